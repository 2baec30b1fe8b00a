"""What a person wants in general: ordered rules over statements.

What APPEL 1.0 wanted to be. A rule is a predicate over rows of the relation
of a declaration (`consent.statements.Tuple`), never over its text, so the
answer cannot depend on how a service cut its statements. `consent.matching`
tries the rules in order.

A statement that does not name its data may be about anything: a rule that
asks for an attribute or a category holds for it only if the rule refuses.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from consent.canonical import Json, canonical, digest
from consent.elements import categories_of, covers
from consent.errors import PreferencesInvalid
from consent.rule_terms import NO_TERMS, Terms
from consent.statements import UNNAMED, Tuple
from consent.vocabulary import (
    Category,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

NO_RULE = "no-rule"
"""The rule id of a verdict that fell through every rule."""


_LONGEST_ID = 64


class Behavior(StrEnum):
    """What a rule does with a row that it holds for, mildest first."""

    ALLOW = "allow"
    LIMIT = "limit"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule. An empty condition holds for everything.

    Attributes:
        id: unique within the rule set, 1 to 64 characters; shown to the
            person, and what uses are counted under.
        behavior: what happens where the rule holds.
        level: for `Behavior.LIMIT`, how coarse the value must be made, from
            1; None otherwise.
        attributes: elements of the data schema; each means its subtree.
        categories: kinds of data.
        purposes: what the data is used for.
        recipients: who gets it. Say "at most this wide" with
            ``at_most(RECIPIENT_ORDER, ...)``.
        retentions: how long it is kept. Say "longer than" with
            ``beyond(RETENTION_ORDER, ...)``.
        services: ids of services.
        required: what choice the person has.
        bases: why the flow is lawful.
        terms: on what terms it permits; only where it permits at all.

    Raises:
        PreferencesInvalid: no id or one too long, a level without a limit, a
            limit without a level, terms of a refusal, or an attribute that
            the data schema does not know.
    """

    id: str
    behavior: Behavior
    level: int | None = None
    attributes: tuple[str, ...] = ()
    categories: frozenset[Category] = frozenset()
    purposes: frozenset[Purpose] = frozenset()
    recipients: frozenset[RecipientClass] = frozenset()
    retentions: frozenset[Retention] = frozenset()
    services: frozenset[str] = frozenset()
    required: frozenset[Required] = frozenset()
    bases: frozenset[LegalBasis] = frozenset()
    terms: Terms = NO_TERMS

    def __post_init__(self) -> None:
        if not 0 < len(self.id) <= _LONGEST_ID:
            msg = f"a rule has an id of 1 to {_LONGEST_ID} characters"
            raise PreferencesInvalid(msg)
        whole = type(self.level) is int and self.level > 0
        limits = self.behavior is Behavior.LIMIT
        if whole != limits or (self.level is not None) != limits:
            msg = f"rule {self.id}: a limit has a level from 1, others none"
            raise PreferencesInvalid(msg)
        if self.terms != NO_TERMS and self.behavior is Behavior.REFUSE:
            msg = f"rule {self.id}: a refusal has no terms"
            raise PreferencesInvalid(msg)
        for name in self.attributes:
            if categories_of(name) is None:
                msg = f"rule {self.id}: no element is called {name}"
                raise PreferencesInvalid(msg)
        names = tuple(sorted(set(self.attributes)))
        object.__setattr__(self, "attributes", names)

    @property
    def catches_all(self) -> bool:
        """Whether the rule holds for every row of every declaration."""
        return not (
            self.attributes
            or self.categories
            or self.purposes
            or self.recipients
            or self.retentions
            or self.services
            or self.required
            or self.bases
        )

    def holds(self, row: Tuple, leaf: str, service: str) -> bool:
        """Say whether the rule holds for one leaf of one row.

        Args:
            row: a row of the declaration's relation.
            leaf: a leaf of the row's attribute, or the attribute itself.
            service: the id of the service that declared the row.

        Returns:
            True when every condition of the rule is met.
        """
        if (
            (self.services and service not in self.services)
            or (self.purposes and row.purpose not in self.purposes)
            or (self.recipients and row.recipient not in self.recipients)
            or (self.retentions and row.retention not in self.retentions)
            or (self.required and row.required not in self.required)
            or (self.bases and row.basis not in self.bases)
        ):
            return False
        if row.attribute == UNNAMED:
            about_data = self.attributes or self.categories
            return not about_data or self.behavior is Behavior.REFUSE
        return (not self.categories or row.category in self.categories) and (
            not self.attributes
            or any(covers(name, leaf) for name in self.attributes)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """A person's rules, in the order in which they are tried.

    Attributes:
        rules: the rules; the last one should catch all.
        digest: SHA-256 of the canonical JSON of the rules.
        about: those of the rules that name attributes.

    Raises:
        PreferencesInvalid: two rules have one id, or one is `NO_RULE`.
    """

    rules: tuple[Rule, ...]
    digest: str = field(init=False, repr=False)
    about: tuple[Rule, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        ids = [rule.id for rule in self.rules]
        if len(set(ids)) != len(ids) or NO_RULE in ids:
            msg = f"every rule has an id of its own, and not {NO_RULE}"
            raise PreferencesInvalid(msg)
        object.__setattr__(self, "digest", digest(self.document()))
        about = tuple(rule for rule in self.rules if rule.attributes)
        object.__setattr__(self, "about", about)

    def document(self) -> dict[str, Json]:
        """Return the rules as JSON."""
        return {
            "schema": "curtilage/preferences/1",
            "rules": [_rule_document(rule) for rule in self.rules],
        }

    def text(self) -> str:
        """Return the rules as canonical JSON text, for storage."""
        return canonical(self.document()).decode("utf-8")


def lint(preferences: Preferences) -> Iterator[str]:
    """Name what is wrong with a rule set that can still be evaluated.

    Args:
        preferences: the rules to look at.

    Yields:
        One sentence a fault: no rule that catches all, or rules behind one.
    """
    ends = [n for n, rule in enumerate(preferences.rules) if rule.catches_all]
    if not ends:
        yield (
            "no rule catches all, so whatever no rule holds for is refused;"
            " end with a rule without conditions"
        )
        return
    for rule in preferences.rules[ends[0] + 1 :]:
        yield (
            f"rule {rule.id} is never tried, because rule"
            f" {preferences.rules[ends[0]].id} before it catches all"
        )


_CONDITIONS: Mapping[str, type[StrEnum] | type[str]] = {
    "attributes": str,
    "categories": Category,
    "purposes": Purpose,
    "recipients": RecipientClass,
    "retentions": Retention,
    "services": str,
    "required": Required,
    "bases": LegalBasis,
}


_TERMS = (
    *("since", "until", "times", "days", "uses", "paused"),
    *("delete_days", "notify", "no_onward_transfer"),
)


def _rule_document(rule: Rule) -> Mapping[str, Json]:
    document: dict[str, Json] = {
        "id": rule.id,
        "behavior": rule.behavior.value,
    }
    if rule.level is not None:
        document["level"] = rule.level
    for name in _CONDITIONS:
        words = sorted(str(word) for word in getattr(rule, name))
        if words:
            document[name] = words
    terms = {
        name: value
        for name in _TERMS
        if (value := getattr(rule.terms, name)) not in {None, False}
    }
    if terms:
        document["terms"] = terms
    return document


def read_preferences(text: str) -> Preferences:
    """Read rules back from their canonical JSON text.

    Args:
        text: what `Preferences.text` returned.

    Returns:
        Equal preferences.

    Raises:
        PreferencesInvalid: the text is anything else, down to one space.
    """
    try:
        document = json.loads(text)
        rules = tuple(_read_rule(rule) for rule in document["rules"])
        preferences = Preferences(rules=rules)
    except (
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        RecursionError,
    ):
        msg = "the text is not a rule set of this version"
        raise PreferencesInvalid(msg) from None
    if preferences.text() != text:
        msg = "the text is not the canonical form of its rule set"
        raise PreferencesInvalid(msg)
    return preferences


def _read_rule(document: Mapping[str, Any]) -> Rule:
    # Whatever else stands here, the caller finds by writing it back.
    conditions: dict[str, Any] = {
        name: frozenset(word(item) for item in document.get(name, ()))
        for name, word in _CONDITIONS.items()
    }
    conditions["attributes"] = tuple(sorted(conditions["attributes"]))
    return Rule(
        id=str(document["id"]),
        behavior=Behavior(document["behavior"]),
        level=document.get("level"),
        terms=Terms(**document.get("terms", {})),
        **conditions,
    )
