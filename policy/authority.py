"""Who may call what: the questions that go to `policies/api`.

A `Caller` is one of the three kinds of people of DESIGN.md, proved by the
door that let them in. The policy decides on ids, roles and the action; no
attribute value is in the question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policy.decisions import Json
from policy.errors import NotPermitted
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint

ENTRYPOINT = "curtilage/api/decision"
SCHEMA = "curtilage/api/1"


class CallerKind(StrEnum):
    """What somebody is to the platform."""

    PERSON = "person"
    SERVICE = "service"
    OFFICER = "officer"


class Action(StrEnum):
    """What somebody wants to do."""

    OWN_VIEW = "own-view"
    OFFICER_VIEW = "officer-view"
    CONSENT_WRITE = "consent-write"
    PREFERENCE_WRITE = "preference-write"
    RELEASE_REQUEST = "release-request"
    RELEASE_APPROVE = "release-approve"
    LEDGER_AUDIT = "ledger-audit"
    DECLARATION_PUBLISH = "declaration-publish"
    VAULT_IMPORT = "vault-import"
    VAULT_CORRECT = "vault-correct"
    ERASE = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who has proved who they are; `id` is never a name."""

    kind: CallerKind
    id: str
    roles: tuple[str, ...] = ()


async def authorize(
    pdp: PolicyDecisionPoint,
    caller: Caller,
    action: Action,
    *,
    target: Mapping[str, Json],
    justification: str | None = None,
) -> None:
    """Ask `policies/api` whether `caller` may do `action` to `target`.

    Raises:
        NotPermitted: the policy refused, with its reason codes.
        NoDecision: the engine gave no answer to act on.

    """
    answer = await pdp.decide(
        ENTRYPOINT,
        {
            "schema": SCHEMA,
            "caller": {
                "kind": caller.kind.value,
                "id": caller.id,
                "roles": list(caller.roles),
            },
            "action": action.value,
            "target": dict(target),
            "justification": justification or "",
        },
    )
    allow, reasons = answer.get("allow"), answer.get("reasons")
    if type(allow) is not bool or not isinstance(reasons, list):
        raise NoDecision(Cause.MALFORMED)
    if not allow:
        raise NotPermitted(action.value, _codes(reasons))


def _codes(reasons: list[Json]) -> list[str]:
    return [
        str(one.get("code")) if isinstance(one, Mapping) else str(one)
        for one in reasons
    ]
