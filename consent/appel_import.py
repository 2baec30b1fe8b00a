"""APPEL 1.0 rule sets as a person's own rules.

An APPEL rule speaks of the XML of a policy; ours speak of the flows that it
stands for. What a rule says of one STATEMENT becomes conditions on a flow: a
set of purposes, of recipients, of retentions, of categories, of elements.
What cannot be said so is read to the person's protection, and noted: a rule
that blocks then blocks more (``widened``), one that permits permits nothing
(``narrowed``).

That also takes away what APPEL is known to get wrong. "Contact and
telemarketing, both" in a rule that blocks becomes "either", because people
meant that; and a permission holds for the flows that it describes, not for
whatever else the same policy says.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from consent.appel import AppelRule, AppelRuleset, Connective, Expression
from consent.elements import categories_of
from consent.errors import PreferencesInvalid
from consent.findings import Finding, Severity
from consent.preferences import Behavior, Preferences, Rule
from consent.vocabulary import (
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

_BEHAVIORS: Mapping[str, Behavior] = {
    "request": Behavior.ALLOW,
    "limited": Behavior.LIMIT,
    "block": Behavior.REFUSE,
}
_GROUPS: Mapping[str, tuple[str, type[StrEnum]]] = {
    "PURPOSE": ("purposes", Purpose),
    "RECIPIENT": ("recipients", RecipientClass),
    "RETENTION": ("retentions", Retention),
}
_NEGATIVE = frozenset({Connective.NON_AND, Connective.NON_OR})


@dataclass(frozen=True, slots=True, kw_only=True)
class AppelImport:
    """An APPEL rule set as ours.

    Attributes:
        preferences: the rules; the last one catches all.
        findings: what was read otherwise than it stands there.
    """

    preferences: Preferences
    findings: tuple[Finding, ...]


def import_appel(ruleset: AppelRuleset, *, where: str) -> AppelImport:
    """Return an APPEL rule set as a person's own rules.

    Args:
        ruleset: the rule set.
        where: what to call the source in findings.

    Returns:
        Rules over flows, in the same order. Where nothing catches all, the
        last rule refuses.

    Raises:
        PreferencesInvalid: a behavior is none of APPEL's three.
    """
    found = list(ruleset.findings)
    rules: list[Rule] = []
    for number, rule in enumerate(ruleset.rules, start=1):
        reader = _RuleReader(where, rule, number, found)
        rules.extend(reader.rules())
        if any(made.catches_all for made in rules):
            break
    if not any(rule.catches_all for rule in rules):
        rules.append(Rule(id="otherwise-no", behavior=Behavior.REFUSE))
    return AppelImport(
        preferences=Preferences(rules=tuple(rules)), findings=tuple(found)
    )


@dataclass(slots=True)
class _Conditions:
    """What a rule of ours asks for; empty where it asks for nothing."""

    asked: dict[str, Any] = field(default_factory=dict)
    lost: bool = False

    def narrow(self, name: str, words: Collection[Any]) -> None:
        """Ask for one of some words as well."""
        before = self.asked.get(name)
        both = frozenset(words) if before is None else before & set(words)
        self.lost |= not both
        self.asked[name] = both


class _RuleReader:
    def __init__(
        self, where: str, rule: AppelRule, number: int, found: list[Finding]
    ) -> None:
        self._where = where
        self._rule = rule
        self._number = number
        self._found = found

    def rules(self) -> Iterator[Rule]:
        """Yield what the rule is in our words."""
        if self._rule.behavior not in _BEHAVIORS:
            msg = f"rule {self._number} has a behavior that is not APPEL's"
            raise PreferencesInvalid(msg)
        if self._rule.catches_all:
            yield self._made(_Conditions(), "")
            return
        whole = list(self._statements())
        if self._rule.connective in _NEGATIVE or not whole:
            whole = [_Conditions(lost=True)]
        for part, conditions in enumerate(whole, start=1):
            suffix = f"-{part}" if len(whole) > 1 else ""
            if conditions.lost and self._refuses:
                self._note("widened", "it is read as blocking everything")
                yield self._made(_Conditions(), suffix)
            elif conditions.lost:
                self._note("narrowed", "it is read as permitting nothing")
            else:
                yield self._made(conditions, suffix)

    @property
    def _refuses(self) -> bool:
        return self._rule.behavior == "block"

    def _made(self, conditions: _Conditions, suffix: str) -> Rule:
        behavior = _BEHAVIORS[self._rule.behavior]
        return Rule(
            id=f"appel-{self._number}{suffix}",
            behavior=behavior,
            level=1 if behavior is Behavior.LIMIT else None,
            **conditions.asked,
        )

    def _note(self, code: str, message: str) -> None:
        self._found.append(
            Finding(
                where=self._where,
                line=self._rule.line,
                column=self._rule.column,
                code=code,
                message=f"rule {self._number}: {message}",
                severity=Severity.WARNING,
            )
        )

    def _statements(self) -> Iterator[_Conditions]:
        for expression in self._rule.body:
            if expression.name != "POLICY" or expression.attributes:
                yield _Conditions(lost=True)
                continue
            negative = expression.connective in _NEGATIVE
            if not expression.children:
                yield _Conditions()
            for child in expression.children:
                if child.name == "STATEMENT" and not negative:
                    yield self._statement(child)
                else:
                    yield _Conditions(lost=True)

    def _statement(self, statement: Expression) -> _Conditions:
        conditions = _Conditions()
        negative = statement.connective in _NEGATIVE
        several = len(statement.children) > 1
        if negative or (several and statement.connective.startswith("or")):
            conditions.lost = True
            return conditions
        for child in statement.children:
            if child.name in _GROUPS:
                self._group(child, conditions)
            elif child.name == "DATA-GROUP":
                self._data(child, conditions)
            else:
                conditions.lost = True
        return conditions

    def _group(self, group: Expression, conditions: _Conditions) -> None:
        name, words = _GROUPS[group.name]
        said: list[StrEnum] = []
        required: set[str] = set()
        for child in group.children:
            try:
                said.append(words(child.name))
            except ValueError:
                conditions.lost = True
            required |= {v for n, v in child.attributes if n == "required"}
        if required:
            self._required(required, group, conditions)
        if group.connective is Connective.NON_OR:
            conditions.narrow(name, set(words) - set(said))
        elif group.connective is Connective.NON_AND:
            conditions.lost = True
        elif said:
            if group.connective is Connective.AND and len(said) > 1:
                self._note("widened", "all of several words is any of them")
            conditions.narrow(name, said)

    def _required(
        self, said: set[str], group: Expression, conditions: _Conditions
    ) -> None:
        """Ask for a choice, where every word of the group asks for it."""
        everywhere = all(
            any(name == "required" for name, _ in child.attributes)
            for child in group.children
        )
        known = said <= {word.value for word in Required}
        one = len({dict(c.attributes).get("required") for c in group.children})
        if everywhere and known and one == 1:
            conditions.narrow("required", [Required(word) for word in said])
        elif self._refuses:
            self._note("widened", "it is read as whatever the choice is")
        else:
            conditions.lost = True

    def _data(self, group: Expression, conditions: _Conditions) -> None:
        categories: set[Category] = set()
        names: set[str] = set()
        for child in group.children:
            ref = dict(child.attributes).get("ref", "").rpartition("#")[2]
            name = ref.removesuffix("*").rstrip(".")
            if name and categories_of(name) is not None:
                names.add(name)
            elif ref not in {"", "*"}:
                conditions.lost = True
            for inner in child.children:
                categories |= _categories(inner)
                conditions.lost |= inner.connective in _NEGATIVE
        if group.connective in _NEGATIVE or (names and categories):
            conditions.lost = True
        if names:
            conditions.asked["attributes"] = tuple(sorted(names))
        if categories:
            conditions.narrow("categories", categories)


def _categories(group: Expression) -> set[Category]:
    known = {category.value for category in Category}
    return {Category(w.name) for w in group.children if w.name in known}
