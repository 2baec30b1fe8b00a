"""Matching a person's rules with what a service declares.

For each row of the declaration's relation the first rule that holds decides.
What happens to one element of one statement is the strictest decision over
all of its rows: one unacceptable purpose is not outvoted by three acceptable
ones. A rule about a part (`user.home-info.postal`) meets a statement about
the whole (`user.home-info`) leaf by leaf, and again the strictest decides.

A row that no rule holds for is refused; `consent.preferences.lint` says so
beforehand.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from consent.declarations import Declaration
from consent.elements import covers, leaves
from consent.preferences import NO_RULE, Behavior, Preferences
from consent.statements import UNNAMED, DataItem, Statement, Tuple


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a person's rules say about one element of one statement.

    Attributes:
        statement: the statement's id.
        attribute: the element, or `UNNAMED`.
        behavior: what happens to it.
        rule: the id of the rule that decided, or `NO_RULE`.
        level: how coarse it must be made, for `Behavior.LIMIT`.
        rejected: the row that the rule limited or refused; None where all
            rows are allowed.
    """

    statement: str
    attribute: str
    behavior: Behavior
    rule: str
    level: int | None
    rejected: Tuple | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDecision:
    """What a person's rules say about one row: the strictest of its leaves.

    Attributes:
        row: the row.
        behavior: what happens to it.
        rule: the id of the rule that decided, or `NO_RULE`.
        level: how coarse the value must be made, for `Behavior.LIMIT`.
    """

    row: Tuple
    behavior: Behavior
    rule: str
    level: int | None


def match(
    preferences: Preferences, declaration: Declaration
) -> tuple[Verdict, ...]:
    """Match a person's rules with what a service declares.

    Args:
        preferences: the person's rules.
        declaration: what the service says it does.

    Returns:
        One verdict for each element of each statement, in their order. A
        statement that names no data has one verdict for `UNNAMED`.
    """
    return tuple(
        _verdict(preferences, declaration.service, statement, item)
        for statement in declaration.statements
        for item in statement.data or (DataItem(attribute=UNNAMED),)
    )


def decide(preferences: Preferences, row: Tuple, service: str) -> RowDecision:
    """Decide one row of a declaration's relation.

    Args:
        preferences: the person's rules.
        row: the row.
        service: the id of the service that declared it.

    Returns:
        The strictest decision over the leaves of the row's attribute. It
        depends on nothing but the arguments, which is why `match` cannot
        depend on how statements are cut.
    """
    decisions = (
        _first(preferences, row, leaf, service)
        for leaf in _relevant(preferences, row.attribute)
    )
    return max(decisions, key=_strictness)


def _verdict(
    preferences: Preferences,
    service: str,
    statement: Statement,
    item: DataItem,
) -> Verdict:
    decision = max(
        (
            decide(preferences, row, service)
            for row in statement.tuples_of(item)
        ),
        key=_strictness,
    )
    allowed = decision.behavior is Behavior.ALLOW
    return Verdict(
        statement=statement.id,
        attribute=item.attribute,
        behavior=decision.behavior,
        rule=decision.rule,
        level=decision.level,
        rejected=None if allowed else decision.row,
    )


def _first(
    preferences: Preferences, row: Tuple, leaf: str, service: str
) -> RowDecision:
    for rule in preferences.rules:
        if rule.holds(row, leaf, service):
            return RowDecision(
                row=row,
                behavior=rule.behavior,
                rule=rule.id,
                level=rule.level,
            )
    return RowDecision(
        row=row, behavior=Behavior.REFUSE, rule=NO_RULE, level=None
    )


def _relevant(preferences: Preferences, attribute: str) -> Sequence[str]:
    """Return the leaves that rules can tell apart.

    Where no rule names a part of the attribute, every leaf is decided as
    the attribute is.
    """
    cut = any(
        name != attribute and covers(attribute, name)
        for rule in preferences.rules
        for name in rule.attributes
    )
    return leaves(attribute) if cut else (attribute,)


_STRICT = {behavior: rank for rank, behavior in enumerate(Behavior)}


def _strictness(decision: RowDecision) -> tuple[int, int]:
    return _STRICT[decision.behavior], decision.level or 0
