"""What a service would have to change for a person's rules to accept it.

The changes are to one statement: offer a choice about a purpose or a
recipient, keep for a shorter time, leave out a recipient, a purpose or an
element. `concessions` finds a set of them that is acceptable, such that no
smaller set is; among sets of one size the one that costs the service least,
by the weights below. Where no such set leaves anything of the statement,
the one change is to leave the statement out.

The search is exact and stays small. Elements, and recipients, that no rule
can tell apart are changed together or not at all: changing some of them
helps nothing that the others still hinder. Once elements, recipients and
retention are fixed, each purpose is settled by itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import product

from consent.elements import covers
from consent.flows import relevant
from consent.matching import decide, match_statement
from consent.preferences import Behavior, Preferences
from consent.statements import UNNAMED, DataItem, Statement, Tuple
from consent.vocabulary import (
    REQUIRED_ORDER,
    RETENTION_ORDER,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)


class ConcessionKind(StrEnum):
    """What is changed, the mildest first."""

    OFFER_CHOICE = "offer-choice"
    SHORTEN_RETENTION = "shorten-retention"
    DROP_RECIPIENT = "drop-recipient"
    DROP_DATA = "drop-data"
    DROP_PURPOSE = "drop-purpose"
    DROP_STATEMENT = "drop-statement"


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Concession:
    """One change to a statement.

    Attributes:
        kind: what is done.
        what: the purpose, recipient, element or statement it is done to;
            for the retention, the one declared.
        to: the choice to offer, or the retention to keep; empty otherwise.
    """

    kind: ConcessionKind
    what: str
    to: str = ""


_KINDS = {kind: rank for rank, kind in enumerate(ConcessionKind)}
_STRICT = {behavior: rank for rank, behavior in enumerate(Behavior)}
# What a change costs the service, where two sets are of one size.
_WEIGHT = {
    ConcessionKind.OFFER_CHOICE: 1,
    ConcessionKind.SHORTEN_RETENTION: 4,
    ConcessionKind.DROP_RECIPIENT: 9,
    ConcessionKind.DROP_DATA: 10,
    ConcessionKind.DROP_PURPOSE: 12,
}
_Cost = tuple[int, int, tuple[Concession, ...]]


def concessions(
    preferences: Preferences,
    statement: Statement,
    service: str,
    *,
    accept: Behavior = Behavior.LIMIT,
) -> tuple[Concession, ...]:
    """Find the fewest changes that make a statement acceptable.

    Args:
        preferences: the person's rules.
        statement: what is declared.
        service: the id of the service that declares it.
        accept: the strictest behavior that counts as accepted: `LIMIT`
            lets coarser values pass, `ALLOW` asks for whole ones.

    Returns:
        The changes, in a fixed order; nothing where it is acceptable as it
        stands.
    """
    return _Search(preferences, statement, service, accept).found()


def conceded(
    statement: Statement, changes: Sequence[Concession]
) -> Statement | None:
    """Return the statement as it would be after the changes.

    Args:
        statement: what is declared.
        changes: what is changed in it.

    Returns:
        The statement; None where nothing of it would be left.
    """
    by_kind: dict[ConcessionKind, dict[str, str]] = {
        k: {} for k in ConcessionKind
    }
    for change in changes:
        by_kind[change.kind][change.what] = change.to
    if by_kind[ConcessionKind.DROP_STATEMENT]:
        return None
    choices = by_kind[ConcessionKind.OFFER_CHOICE]
    purposes = tuple(
        replace(use, required=Required(choices[use.purpose]))
        if use.purpose in choices
        else use
        for use in statement.purposes
        if use.purpose not in by_kind[ConcessionKind.DROP_PURPOSE]
    )
    recipients = tuple(
        name
        for name in statement.recipients
        if name not in by_kind[ConcessionKind.DROP_RECIPIENT]
    )
    data = tuple(
        item
        for item in statement.data
        if item.attribute not in by_kind[ConcessionKind.DROP_DATA]
    )
    if not (purposes and recipients) or (statement.data and not data):
        return None
    kept = list(by_kind[ConcessionKind.SHORTEN_RETENTION].values())
    return replace(
        statement,
        purposes=purposes,
        recipients=recipients,
        data=data,
        retention=Retention(kept[0]) if kept else statement.retention,
        recipient_choices={
            **{
                name: choice
                for name, choice in statement.recipient_choices.items()
                if name in recipients
            },
            **{
                name: Required(choices[name])
                for name in recipients
                if name in choices
            },
        },
    )


def acceptable(
    preferences: Preferences,
    statement: Statement,
    service: str,
    accept: Behavior,
) -> bool:
    """Say whether no element of a statement is decided more strictly."""
    return all(
        _STRICT[verdict.behavior] <= _STRICT[accept]
        for verdict in match_statement(preferences, statement, service)
    )


@dataclass(frozen=True, slots=True)
class _Group:
    """Elements, or recipients, that no rule can tell apart."""

    names: tuple[str, ...]
    stands_for: DataItem | RecipientClass


class _Search:
    def __init__(
        self,
        preferences: Preferences,
        statement: Statement,
        service: str,
        accept: Behavior,
    ) -> None:
        self._preferences = preferences
        self._statement = statement
        self._service = service
        self._most = _STRICT[accept]
        self._known: dict[tuple[object, ...], bool] = {}
        self._items = self._item_groups()
        self._recipients = self._recipient_groups()

    def found(self) -> tuple[Concession, ...]:
        """Search sets by size, then weight, then name."""
        best: _Cost | None = None
        for retention, to, items, fixed in sorted(
            self._outer(), key=lambda one: (len(one[3]), _weight(one[3]))
        ):
            if best is not None and len(fixed) > best[0]:
                break
            uses = self._purposes(retention, to, items)
            if uses is None:
                continue
            changes = tuple(
                sorted((*fixed, *uses), key=lambda c: (_KINDS[c.kind], c))
            )
            cost = (len(changes), _weight(changes), changes)
            best = cost if best is None else min(best, cost)
        if best is not None:
            return best[2]
        whole = Concession(
            kind=ConcessionKind.DROP_STATEMENT, what=self._statement.id
        )
        return (whole,)

    def _outer(
        self,
    ) -> Iterator[
        tuple[
            Retention,
            tuple[tuple[RecipientClass, Required], ...],
            tuple[DataItem, ...],
            tuple[Concession, ...],
        ]
    ]:
        """Every way to fix retention, recipients and elements."""
        for (retention, first), recipients, data in product(
            self._retentions(),
            product(*map(self._recipient_options, self._recipients)),
            product(*map(_item_options, self._items)),
        ):
            to = tuple(one for one, _ in recipients if one is not None)
            items = tuple(one for one, _ in data if one is not None)
            if to and items:
                fixed = (
                    *first,
                    *(c for _, more in recipients for c in more),
                    *(c for _, more in data for c in more),
                )
                yield retention, to, items, fixed

    def _retentions(self) -> list[tuple[Retention, tuple[Concession, ...]]]:
        now = self._statement.retention
        found: list[tuple[Retention, tuple[Concession, ...]]] = [(now, ())]
        if any(rule.retentions for rule in self._preferences.rules):
            found += [
                (
                    shorter,
                    (
                        Concession(
                            kind=ConcessionKind.SHORTEN_RETENTION,
                            what=now.value,
                            to=shorter.value,
                        ),
                    ),
                )
                for shorter in RETENTION_ORDER[: RETENTION_ORDER.index(now)]
            ]
        return found

    def _choices(self, now: Required) -> tuple[Required, ...]:
        """The choices that leave the person more than `now` does."""
        if not any(rule.required for rule in self._preferences.rules):
            return ()
        return REQUIRED_ORDER[: REQUIRED_ORDER.index(now)]

    def _recipient_options(
        self, group: _Group
    ) -> list[
        tuple[tuple[RecipientClass, Required] | None, tuple[Concession, ...]]
    ]:
        name = group.stands_for
        assert isinstance(name, RecipientClass)  # noqa: S101 - by construction, for the type checker
        now = self._statement.recipient_choices.get(name, Required.ALWAYS)
        choices = () if name is RecipientClass.OURS else self._choices(now)
        return [
            ((name, now), ()),
            *(
                (
                    (name, choice),
                    tuple(
                        Concession(
                            kind=ConcessionKind.OFFER_CHOICE,
                            what=each,
                            to=choice.value,
                        )
                        for each in group.names
                    ),
                )
                for choice in choices
            ),
            (
                None,
                tuple(
                    Concession(kind=ConcessionKind.DROP_RECIPIENT, what=each)
                    for each in group.names
                ),
            ),
        ]

    def _purposes(
        self,
        retention: Retention,
        to: Sequence[tuple[RecipientClass, Required]],
        items: Sequence[DataItem],
    ) -> tuple[Concession, ...] | None:
        """The cheapest change to each purpose; None where none is left."""
        changes: list[Concession] = []
        left = False
        for purpose, declared in self._declared().items():
            for change in self._purpose_options(purpose, declared):
                if change and change.kind is ConcessionKind.DROP_PURPOSE:
                    changes.append(change)
                    break
                choices = [Required(change.to)] if change else declared
                if all(
                    self._accepts(purpose, choice, retention, to, items)
                    for choice in choices
                ):
                    changes += [change] if change else []
                    left = True
                    break
        return tuple(changes) if left else None

    def _declared(self) -> dict[Purpose, list[Required]]:
        """The choices that each purpose is declared with."""
        found: dict[Purpose, list[Required]] = {}
        for use in self._statement.purposes:
            found.setdefault(use.purpose, []).append(use.required)
        return found

    def _purpose_options(
        self, purpose: Purpose, declared: Sequence[Required]
    ) -> list[Concession | None]:
        widest = max(declared, key=REQUIRED_ORDER.index)
        more = () if purpose is Purpose.CURRENT else self._choices(widest)
        return [
            None,
            *(
                Concession(
                    kind=ConcessionKind.OFFER_CHOICE,
                    what=purpose.value,
                    to=choice.value,
                )
                for choice in reversed(more)
            ),
            Concession(kind=ConcessionKind.DROP_PURPOSE, what=purpose.value),
        ]

    def _accepts(
        self,
        purpose: Purpose,
        choice: Required,
        retention: Retention,
        to: Sequence[tuple[RecipientClass, Required]],
        items: Sequence[DataItem],
    ) -> bool:
        return all(
            self._row(
                item,
                purpose,
                recipient,
                retention,
                min(choice, about, key=REQUIRED_ORDER.index),
            )
            for item in items
            for recipient, about in to
        )

    def _row(
        self,
        item: DataItem,
        purpose: Purpose,
        recipient: RecipientClass,
        retention: Retention,
        required: Required,
    ) -> bool:
        key = (item.attribute, purpose, recipient, retention, required)
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = all(
                _STRICT[
                    decide(
                        self._preferences,
                        Tuple(
                            attribute=item.attribute,
                            purpose=purpose,
                            recipient=recipient,
                            retention=retention,
                            required=required,
                            optional=item.optional,
                            category=category,
                            retention_days=None,
                            basis=self._statement.basis,
                        ),
                        self._service,
                    ).behavior
                ]
                <= self._most
                for category in sorted(item.categories) or (Category.OTHER,)
            )
        return known

    def _item_groups(self) -> list[_Group]:
        groups: dict[object, list[DataItem]] = {}
        for item in self._statement.data or (DataItem(attribute=UNNAMED),):
            about = frozenset(
                tuple(
                    any(covers(name, leaf) for name in rule.attributes)
                    for rule in self._preferences.about
                )
                for leaf in relevant(self._preferences, item.attribute)
            )
            groups.setdefault((item.categories, about), []).append(item)
        return [
            _Group(tuple(item.attribute for item in items), items[0])
            for items in groups.values()
        ]

    def _recipient_groups(self) -> list[_Group]:
        groups: dict[object, list[RecipientClass]] = {}
        choices = self._statement.recipient_choices
        for name in self._statement.recipients:
            key = (
                name is RecipientClass.OURS,
                choices.get(name, Required.ALWAYS),
                tuple(
                    name in rule.recipients
                    for rule in self._preferences.rules
                    if rule.recipients
                ),
            )
            groups.setdefault(key, []).append(name)
        return [_Group(tuple(names), names[0]) for names in groups.values()]


def _item_options(
    group: _Group,
) -> list[tuple[DataItem | None, tuple[Concession, ...]]]:
    item = group.stands_for
    assert isinstance(item, DataItem)  # noqa: S101 - by construction, for the type checker
    if item.attribute == UNNAMED:
        return [(item, ())]
    return [
        (item, ()),
        (
            None,
            tuple(
                Concession(kind=ConcessionKind.DROP_DATA, what=name)
                for name in group.names
            ),
        ),
    ]


def _weight(changes: Sequence[Concession]) -> int:
    return sum(
        _WEIGHT[change.kind] + (change.to == Required.OPT_IN)
        for change in changes
    ) + sum(
        RETENTION_ORDER.index(Retention(change.what))
        - RETENTION_ORDER.index(Retention(change.to))
        for change in changes
        if change.kind is ConcessionKind.SHORTEN_RETENTION
    )
