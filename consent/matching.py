"""Matching a person's rules with what a service declares.

For each row of the declaration's relation the first rule that holds decides.
What happens to one element of one statement is the strictest decision over
all of its rows: one unacceptable purpose is not outvoted by three acceptable
ones. A rule about a part (`user.home-info.postal`) meets a statement about
the whole (`user.home-info`) leaf by leaf, and again the strictest decides.

A row that no rule holds for is refused; `consent.preferences.lint` says so
beforehand. The terms of every rule that permitted a row go with the verdict,
and each of them must be met.

`match` never builds the rows: `consent.flows` tries each rule on all of them
at once. `decide` is the same for one row, by the definition above, and the
tests hold one to the other.
"""

from dataclasses import dataclass

from consent.declarations import Declaration
from consent.flows import Flows, relevant
from consent.preferences import NO_RULE, Behavior, Preferences
from consent.rule_terms import RuleTerms
from consent.statements import UNNAMED, DataItem, Statement, Tuple
from consent.vocabulary import LegalBasis, Purpose, RecipientClass

_ASKED_FOR = frozenset({Purpose.CURRENT, Purpose.ADMIN})
_AT_HOME = frozenset({RecipientClass.OURS, RecipientClass.DELIVERY})


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
        terms: on what terms, by rule; nothing where it is refused.
        optional_sharing: whether this rests on consent and goes beyond what
            the person asked the body for: `optional_sharing` says when.
    """

    statement: str
    attribute: str
    behavior: Behavior
    rule: str
    level: int | None
    rejected: Tuple | None
    terms: RuleTerms = ()
    optional_sharing: bool = False


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


def optional_sharing(statement: Statement, item: DataItem) -> bool:
    """Say whether a general signal against sharing is about an element.

    Args:
        statement: a statement.
        item: one of its elements.

    Returns:
        True where the statement rests on consent and the element is
        optional, or is used for more than the person's own request and the
        systems that it needs, or goes to others than the body and its
        delivery services. What the law or a contract demands never is.
    """
    return statement.basis is LegalBasis.CONSENT and (
        item.optional or _beyond_the_request(statement)
    )


def _beyond_the_request(statement: Statement) -> bool:
    return any(
        use.purpose not in _ASKED_FOR for use in statement.purposes
    ) or not _AT_HOME.issuperset(statement.recipients)


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
        verdict
        for statement in declaration.statements
        for verdict in match_statement(
            preferences, statement, declaration.service
        )
    )


def match_statement(
    preferences: Preferences, statement: Statement, service: str
) -> list[Verdict]:
    """Match a person's rules with one statement.

    Args:
        preferences: the person's rules.
        statement: the statement.
        service: the id of the service that declares it.

    Returns:
        One verdict for each element, in their order.
    """
    flows = Flows(preferences, statement, service)
    by_consent = statement.basis is LegalBasis.CONSENT
    beyond = by_consent and _beyond_the_request(statement)
    return [
        _verdict(
            statement,
            item,
            flows,
            shared=beyond or (by_consent and item.optional),
        )
        for item in statement.data or (DataItem(attribute=UNNAMED),)
    ]


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
        for leaf in relevant(preferences, row.attribute)
    )
    return max(decisions, key=_strictness)


def _verdict(
    statement: Statement, item: DataItem, flows: Flows, *, shared: bool
) -> Verdict:
    found = flows.outcome(item)
    behavior = _BEHAVIORS[found.strictness[0]]
    return Verdict(
        statement=statement.id,
        attribute=item.attribute,
        behavior=behavior,
        rule=found.rule,
        level=found.strictness[1] or None,
        rejected=None
        if behavior is Behavior.ALLOW
        else flows.row(item, found),
        terms=found.terms,
        optional_sharing=shared,
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


_BEHAVIORS = tuple(Behavior)
_STRICT = {behavior: rank for rank, behavior in enumerate(Behavior)}


def _strictness(decision: RowDecision) -> tuple[int, int]:
    return _STRICT[decision.behavior], decision.level or 0
