"""Data-handling preferences that name purposes of P3P (the webinos form).

A policy set is a list of policies; the first whose target fits the request
decides, by its first rule that holds. A permission then stands only if every
purpose that is asked for is among those that the preferences of the resource
allow; otherwise the person has to be asked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from consent.p3p_xml import Element, read_xml


class HandlingDecision(StrEnum):
    """What happens with a request."""

    PERMIT = "permit"
    DENY = "deny"
    PROMPT_ONESHOT = "prompt-oneshot"
    PROMPT_SESSION = "prompt-session"
    PROMPT_BLANKET = "prompt-blanket"
    INAPPLICABLE = "inapplicable"


@dataclass(frozen=True, slots=True, kw_only=True)
class HandlingRequest:
    """Who asks for what, and what for.

    Attributes:
        resource: the feature that is asked for.
        purposes: addresses of purposes.
        subject: what is known of who asks, by the name of the attribute.
    """

    resource: str
    purposes: frozenset[str] = frozenset()
    subject: Mapping[str, str] = field(default_factory=dict)


def decide_handling(
    text: bytes, request: HandlingRequest, *, where: str
) -> HandlingDecision:
    """Decide a request under data-handling preferences.

    Args:
        text: the bytes of the policy or policy set.
        request: the request.
        where: what to call the source in an error.

    Returns:
        The decision; a permission for a purpose that is not allowed is
        `HandlingDecision.PROMPT_BLANKET`.

    Raises:
        DeclarationInvalid: the text cannot be read safely.
    """
    root = read_xml(text, where=where)
    in_set = root.name == "policy-set"
    for policy in root.all("policy") if in_set else (root,):
        if not _targets(policy, request):
            continue
        for rule in policy.all("rule"):
            if _holds(rule, request):
                places = (rule, policy, root) if in_set else (rule, policy)
                return _effect(rule, root, places, request)
        return HandlingDecision.INAPPLICABLE
    return HandlingDecision.INAPPLICABLE


def _effect(
    rule: Element,
    root: Element,
    places: tuple[Element, ...],
    request: HandlingRequest,
) -> HandlingDecision:
    try:
        effect = HandlingDecision(rule.attributes.get("effect", ""))
    except ValueError:
        return HandlingDecision.DENY
    if effect is HandlingDecision.PERMIT and not _allowed(
        root, places, request
    ):
        return HandlingDecision.PROMPT_BLANKET
    return effect


def _targets(policy: Element, request: HandlingRequest) -> bool:
    target = policy.first("target")
    if target is None:
        return True
    return any(
        all(
            request.subject.get(match.attributes.get("attr", ""))
            == match.attributes.get("match")
            for match in subject.all("subject-match")
        )
        for subject in target.all("subject")
    )


def _holds(rule: Element, request: HandlingRequest) -> bool:
    condition = rule.first("condition")
    if condition is None:
        return True
    said = [
        match.attributes.get("match") == request.resource
        for match in condition.all("resource-match")
    ]
    any_is_enough = condition.attributes.get("combine") == "or"
    return any(said) if any_is_enough else all(said)


def _allowed(
    root: Element, places: tuple[Element, ...], request: HandlingRequest
) -> bool:
    """Say whether every purpose is allowed for the resource."""
    for place in places:
        for name in _preferences_for(place, request.resource):
            for preferences in root.all("DataHandlingPreferences"):
                if preferences.attributes.get("PolicyId") == name:
                    words = set(_purposes(preferences))
                    return "" in words or request.purposes <= words
    return False


def _preferences_for(place: Element, resource: str) -> Iterator[str]:
    """Yield names of preferences for a resource, the closest one first."""
    found: list[tuple[int, str]] = []
    for actions in place.all("ProvisionalActions"):
        for action in actions.all("ProvisionalAction"):
            values = [v.text.strip() for v in action.all("AttributeValue")]
            names = [value for value in values if value.startswith("#")]
            about = [value for value in values if not value.startswith("#")]
            if names and about and _covers(about[0], resource):
                found.append((len(about[0]), names[0]))
    for _, name in sorted(found, key=lambda each: -each[0]):
        yield name


def _covers(pattern: str, resource: str) -> bool:
    return pattern in {"*", resource} or resource.startswith(pattern + ".")


def _purposes(preferences: Element) -> Iterator[str]:
    for group in preferences.all("AuthorizationsSet"):
        for use in group.all("AuthzUseForPurpose"):
            for purpose in use.all("Purpose"):
                yield purpose.text.strip()
