"""All flows of a statement at once: each rule is tried on sets of rows.

The rows of one element differ in purpose, recipient and category. For one
category the flows of a statement, purposes by recipients, are the bits of a
number, and a rule's conditions are a mask over them; "the first rule that
holds" is to take away what earlier rules took. A statement of twelve
purposes and six recipients costs what one of one purpose does, and elements
that no rule can tell apart are tried once.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter

from consent.elements import covers, leaves
from consent.predicates import predicate_of
from consent.preferences import NO_RULE, Behavior, Preferences, Rule
from consent.rule_terms import NO_TERMS, RuleTerms, Terms
from consent.statements import UNNAMED, DataItem, Statement, Tuple
from consent.vocabulary import Category

_STRICT = {behavior: rank for rank, behavior in enumerate(Behavior)}
_REFUSED = (_STRICT[Behavior.REFUSE], 0)
_UNSAID = (Category.OTHER,)


@dataclass(slots=True)
class Outcome:
    """What the rules make of all rows of an element.

    Attributes:
        strictness: the rank of the strictest behavior, and its level.
        first: the first row that is decided so: flow, then category.
        rule: the id of the rule that decided it, or `NO_RULE`.
        terms: those of every rule that permitted a row, by rule; nothing
            where one row is refused.
    """

    strictness: tuple[int, int]
    first: tuple[int, int]
    rule: str
    terms: RuleTerms


_About = tuple[bool, ...]
_Taken = list[tuple[tuple[int, int], int, str, Terms | None]]


class Flows:
    """The flows of one statement, tried by one person's rules.

    Args:
        preferences: the rules.
        statement: the statement.
        service: the id of the service that declares it.
    """

    def __init__(
        self, preferences: Preferences, statement: Statement, service: str
    ) -> None:
        self._preferences = preferences
        self._statement = statement
        self._flows = statement.flows()
        self._all = (1 << len(self._flows)) - 1
        # The rules that hold for any flow at all, in order, with which.
        self._rules = [
            (rule, mask)
            for rule in preferences.rules
            if (mask := self._mask(rule, service))
        ]
        self._outcomes: dict[
            tuple[frozenset[Category], tuple[_About, ...], bool], Outcome
        ] = {}
        self._taken: dict[tuple[Category, _About | None], _Taken] = {}

    def _mask(self, rule: Rule, service: str) -> int:
        statement = self._statement
        if (
            (rule.services and service not in rule.services)
            or (rule.retentions and statement.retention not in rule.retentions)
            or (rule.bases and statement.basis not in rule.bases)
        ):
            return 0
        purposes, recipients = rule.purposes, rule.recipients
        required = rule.required
        if not (purposes or recipients or required):
            return self._all
        mask = 0
        for bit, (purpose, recipient, choice) in enumerate(self._flows):
            if (
                (not purposes or purpose in purposes)
                and (not recipients or recipient in recipients)
                and (not required or choice in required)
            ):
                mask |= 1 << bit
        return mask

    def outcome(self, item: DataItem) -> Outcome:
        """Decide an element; those that no rule tells apart, once.

        Args:
            item: an element of the statement.
        """
        if self._preferences.about or item.attribute == UNNAMED:
            names = relevant(self._preferences, item.attribute)
            abouts = tuple(dict.fromkeys(map(self._about, names)))
        else:
            abouts = ((),)
        key = (item.categories, abouts, item.attribute == UNNAMED)
        known = self._outcomes.get(key)
        if known is None:
            known = self._outcomes[key] = self._decide(item, abouts)
        return known

    def _decide(self, item: DataItem, abouts: Sequence[_About]) -> Outcome:
        categories = sorted(item.categories) or _UNSAID
        found = [
            (strictness, (flow, place), rule, terms)
            for about in abouts
            for place, category in enumerate(categories)
            for strictness, flow, rule, terms in self._decided(
                category, about, unnamed=item.attribute == UNNAMED
            )
        ]
        worst = max(one[0] for one in found)
        # The first row that is decided so, and of its parts the first.
        _, first, rule, _ = min(
            (one for one in found if one[0] == worst), key=itemgetter(1)
        )
        on_terms: dict[str, Terms] = {}
        if worst[0] != _REFUSED[0]:
            on_terms = {
                name: terms for _, _, name, terms in found if terms is not None
            }
        return Outcome(
            worst,
            first,
            rule,
            tuple(sorted(on_terms.items(), key=itemgetter(0))),
        )

    def _about(self, name: str) -> _About:
        """Which of the rules that name attributes are about this one."""
        return tuple(
            any(covers(each, name) for each in rule.attributes)
            for rule in self._preferences.about
        )

    def _decided(
        self, category: Category, about: _About, *, unnamed: bool
    ) -> _Taken:
        key = (category, None if unnamed else about)
        taken = self._taken.get(key)
        if taken is None:
            taken = self._try(category, about, unnamed=unnamed)
            self._taken[key] = taken
        return taken

    def _try(
        self, category: Category, about: _About, *, unnamed: bool
    ) -> _Taken:
        covered = dict(
            zip(
                (rule.id for rule in self._preferences.about),
                about,
                strict=True,
            )
        )
        left = self._all
        taken: _Taken = []
        for rule, mask in self._rules:
            if unnamed:
                about_data = rule.attributes or rule.categories
                if about_data and rule.behavior is not Behavior.REFUSE:
                    continue
            elif (rule.categories and category not in rule.categories) or (
                rule.attributes and not covered[rule.id]
            ):
                continue
            mine = left & mask
            if mine:
                terms = None if rule.terms == NO_TERMS else rule.terms
                strictness = (_STRICT[rule.behavior], rule.level or 0)
                taken.append((strictness, _lowest(mine), rule.id, terms))
                left &= ~mask
                if not left:
                    return taken
        taken.append((_REFUSED, _lowest(left), NO_RULE, None))
        return taken

    def row(self, item: DataItem, one: Outcome) -> Tuple:
        """Build the first row that a rule decided."""
        flow, place = one.first
        statement = self._statement
        purpose, recipient, required = self._flows[flow]
        return Tuple(
            attribute=item.attribute,
            purpose=purpose,
            recipient=recipient,
            retention=statement.retention,
            required=required,
            optional=item.optional,
            category=(sorted(item.categories) or _UNSAID)[place],
            retention_days=statement.retention_days,
            basis=statement.basis,
        )


def _lowest(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def relevant(preferences: Preferences, attribute: str) -> Sequence[str]:
    """Return the leaves of an attribute that rules can tell apart.

    Args:
        preferences: the rules.
        attribute: an element.

    Returns:
        Its leaves, and the predicates of it that rules name; the attribute
        alone where no rule names a part of it, because every leaf is then
        decided as the attribute is.
    """
    parts = {
        name
        for rule in preferences.about
        for name in rule.attributes
        if name != attribute and covers(attribute, name)
    }
    if not parts:
        return (attribute,)
    # The value tells what can be asked of it.
    asked = sorted(name for name in parts if predicate_of(name))
    return (*leaves(attribute), *asked)
