"""The attacks of `attacks` in their short form, run on every real release.

After Giomi et al. 2022. The *main* attack is on people who are in the
release. The *control* is the same attack on people who are not: some are set
aside, a release is made on the same terms without them, and that one is
attacked. The *naive* one guesses without any release. What is drawn depends
on the published bytes alone, so a trial can be made again, and at most
`TARGETS` people are attacked, so its time is bounded.

* Singling out: conjunctions of one or two published values that hold for one
  row, over the quasi-identifiers and over all columns.
* Linkage: the attacker knows the true quasi-identifiers of a person and
  points at one of the rows that can be theirs.
* Membership: they claim that the person is in the release where a row can be
  theirs; the control says how often that is claimed of others.
* Inference: they guess the sensitive value, the most frequent of the rows
  that can be theirs.

Rows that are equal in all that the attacks are about are one *item* with
its count (`Items`), so a file whose rows are never in memory together is
attacked as a table is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from anonymize.attacks import Rate
from anonymize.cube import Coded, count_items, make_axis, number_columns, pack
from anonymize.errors import CriteriaNotMet, MissingExtra
from anonymize.partition import Plan, Published, choose, class_labels, counts
from anonymize.published import PublishedLabels
from anonymize.roles import Role
from anonymize.spec import ExtractSpec
from anonymize.tables import Table

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

TARGETS = 2_000
"""Most members, and most people of the control, that are attacked."""
_OF_TEN = 10
_STAR = "*"
_FEWEST, _READINGS = 200, 500_000
_NEARLY_ALL = 1 - 2**-40
_KEPT = 64_000_000
"""Most bytes that are kept of which labels stand for which values."""
_COLUMNS = 24
"""Most columns of which predicates take two."""
LEFT_OUT = -1
"""In place of a class, of an item that is not published."""
NO_QUASI = "there is no quasi-identifier to attack by"
"""Why a release without quasi-identifiers is not attacked."""
_MOST = 50_000
"""Most rows that the release for the control is made of."""

Codes = np.ndarray[tuple[int], np.dtype[np.int64]]
Bits = np.ndarray[tuple[int], np.dtype[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guesses:
    """How well the values of one sensitive column were guessed.

    Attributes:
        column: the column.
        members: of people in the release.
        control: of people who are not; None without a control.
        naive: of members, without the release.
    """

    column: str
    members: Rate
    control: Rate | None
    naive: Rate


@dataclass(frozen=True, slots=True, kw_only=True)
class Trials:
    """What the attacks on one release came to.

    Attributes:
        seed: what the draws depend on, as hexadecimal digits.
        alone: predicates over quasi-identifiers that hold for one row.
        alone_over_all: the same over all columns but pseudonyms, text and
            those of `aside`.
        bound: the share of links that k allows.
        linkage: members whose row was pointed at.
        members: members who were said to be in the release.
        control: people who are not in it and were said to be; None where
            too few rows were left to make a control of.
        guesses: for each sensitive column.
        aside: published columns that were not counted, and so are in no
            predicate.
    """

    seed: str
    alone: int
    alone_over_all: int
    bound: float
    linkage: Rate
    members: Rate
    control: Rate | None
    guesses: tuple[Guesses, ...] = ()
    aside: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether nothing was gained beyond what the criteria allow.

        Guesses of sensitive values are not in it: a release may be made to
        let them be guessed, where k alone was asked for with a reason.
        """
        joined = self.control is not None and self.members.beyond(self.control)
        return (
            not self.alone and self.linkage.share <= self.bound and not joined
        )


def draw(seed: bytes, among: int, count: int) -> list[int]:
    """Draw numbers without one twice, always the same for a seed.

    Args:
        seed: what the draw depends on.
        among: how many there are.
        count: how many are drawn; no more than there are.
    """
    drawn: dict[int, None] = {}
    turn = 0
    while len(drawn) < min(count, among):
        block = hashlib.shake_256(seed + turn.to_bytes(8, "big")).digest(8_192)
        for at in range(0, len(block), 8):
            drawn[int.from_bytes(block[at : at + 8], "big") % among] = None
        turn += 1
    return [*drawn][:count]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Column:
    """A column in numbers.

    Attributes:
        texts: its values, in their order.
        codes: the number of its value for each item.
    """

    texts: tuple[str, ...]
    codes: Codes = field(repr=False)

    @classmethod
    def of(cls, cells: Sequence[str]) -> "Column":
        """Number the cells of a column."""
        texts = tuple(sorted({*cells}))
        numbers = {text: at for at, text in enumerate(texts)}
        codes = np.fromiter(
            map(numbers.__getitem__, cells), np.int64, len(cells)
        )
        return cls(texts=texts, codes=codes)

    def at(self, items: Codes) -> "Column":
        """Return the column of some items."""
        return replace(self, codes=self.codes[items])

    def cells(self) -> tuple[str, ...]:
        """Return the value of each item."""
        return tuple(map(self.texts.__getitem__, self.codes.tolist()))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Items:
    """What was handed in and published, equal rows counted.

    Attributes:
        known: quasi-identifiers and sensitive columns as they truly are.
        labels: for each quasi-identifier the label of each class, as they
            are items of their own.
        member: the class of each item; -1 of one that is not published.
        weights: rows of each item.
    """

    known: Mapping[str, Column]
    labels: Mapping[str, Column]
    member: Codes
    weights: Codes

    @property
    def rows(self) -> int:
        """Rows handed in."""
        return int(self.weights.sum())

    @property
    def published(self) -> "Items":
        """The items that are published."""
        there = np.flatnonzero(self.member != LEFT_OUT)
        return replace(
            self,
            known={name: one.at(there) for name, one in self.known.items()},
            member=self.member[there],
            weights=self.weights[there],
        )


def count_published(
    known: Mapping[str, Column],
    labels: Mapping[str, Sequence[str]],
    member: Codes,
    weights: Codes,
) -> Items:
    """Count rows, or items, that are equal.

    Args:
        known: quasi-identifiers and sensitive columns.
        labels: for each quasi-identifier the label of each class.
        member: the class of each row; -1 of one that is not published.
        weights: how many rows each of them stands for.

    Returns:
        The items, in an order that does not depend on that of the rows.
    """
    texts = [*zip(*labels.values(), strict=True)]
    used = np.unique(member[member != LEFT_OUT])
    numbers = {
        one: at for at, one in enumerate(sorted({texts[at] for at in used}))
    }
    numbered = np.full(len(texts) + 1, LEFT_OUT)
    numbered[used] = [numbers[texts[at]] for at in used]
    own = numbered[member]
    keys = [one.codes for one in known.values()]
    sizes = [len(one.texts) for one in known.values()]
    item = number_columns(
        pack(np.stack([*keys, own + 1]), [*sizes, len(numbers) + 1])
    )
    count = int(item.max(initial=-1)) + 1
    first = np.zeros(count, dtype=np.int64)
    first[item] = np.arange(len(item))
    columns = [*zip(*numbers, strict=True)]
    return Items(
        known={name: one.at(first) for name, one in known.items()},
        labels={
            name: Column.of(column)
            for name, column in zip(labels, columns, strict=True)
        },
        member=own[first],
        weights=np.bincount(item, weights, minlength=count).astype(np.int64),
    )


def count_rows(spec: ExtractSpec, table: Table, found: Published) -> Items:
    """Count the rows of a table and of a release of it.

    Args:
        spec: the terms of the release.
        table: the rows that were handed in.
        found: which of them are published, under which labels.
    """
    rows = len(next(iter(table.values())))
    texts: dict[tuple[str, ...], int] = {}
    member = np.full(rows, LEFT_OUT)
    member[[*found.rows]] = [
        texts.setdefault(label, len(texts))
        for label in zip(*found.labels.values(), strict=True)
    ]
    columns = [*zip(*texts, strict=True)]
    return count_published(
        {name: Column.of(table[name]) for name in _known(spec)},
        dict(zip(found.labels, columns, strict=True)),
        member,
        np.ones(rows, dtype=np.int64),
    )


class _View:
    """A release as the attacker has it: classes, and what is in them."""

    def __init__(self, items: Items, spec: ExtractSpec) -> None:
        """Take a release.

        Args:
            items: its rows and labels.
            spec: tells what the labels of each column mean.
        """
        self._spec = spec
        shown = items.published
        count = len(next(iter(items.labels.values())).codes)
        self._places = {
            name: _places(column) for name, column in items.labels.items()
        }
        self._sizes = np.bincount(
            shown.member, shown.weights, minlength=count
        ).astype(np.int64)
        self._values = {
            name: _counted(shown, shown.known[name], count)
            for name in spec.of_role(Role.SENSITIVE)
        }
        self._known: dict[tuple[str, str], Bits] = {}
        self._readers: dict[str, PublishedLabels] = {}

    def matches(self, person: Mapping[str, str]) -> Codes:
        """Return the classes of which a row can be a person's."""
        found = np.ones(len(self._sizes), dtype=np.bool_)
        for name, value in person.items():
            found &= self._covering(name, value)
        return np.flatnonzero(found)

    def link(self, people: Sequence[Codes]) -> Rate:
        """Point at a row of each person, at any of those that can be."""
        rows = [int(self._sizes[found].sum()) for found in people]
        return Rate(
            successes=sum(1 / many for many in rows if many),
            attempts=len(people),
        )

    def guess(
        self, name: str, people: Sequence[Codes], true: Sequence[str]
    ) -> Rate:
        """Guess a sensitive value of each person."""
        column = self._values[name]
        right = sum(
            column.guess(found) == value
            for found, value in zip(people, true, strict=True)
        )
        return Rate(successes=right, attempts=len(people))

    def guess_usual(self, name: str, true: Sequence[str]) -> Rate:
        """Guess the value that most rows have, whoever it is."""
        usual = self._values[name].usual
        return Rate(
            successes=sum(value == usual for value in true),
            attempts=len(true),
        )

    def _covering(self, name: str, value: str) -> Bits:
        """Tell of each class whether its label stands for a value."""
        known = self._known.get((name, value))
        if known is None:
            places = self._places[name]
            above = {value, _STAR}
            if self._spec.sets:
                above |= self._sets_of(name, [*places], value)
            else:
                above |= {*(self._spec.hierarchies[name].path(value) or ())}
            known = np.zeros(len(self._sizes), dtype=np.bool_)
            for text in above & places.keys():
                known[places[text]] = True
            if len(self._known) * len(known) < _KEPT:
                self._known[name, value] = known
        return known

    def _sets_of(
        self, name: str, texts: Sequence[str], value: str
    ) -> set[str]:
        """Return the sets and intervals that a value is in."""
        reader = self._readers.get(name)
        if reader is None:
            reader = PublishedLabels(
                name, self._spec.hierarchies[name].describe(), sets=True
            )
            self._readers[name] = reader
        return {text for text in texts if reader.covers(text, value)}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Counted:
    """The values of a sensitive column in each class.

    Attributes:
        texts: the values.
        usual: the one that most rows have, the first of several.
        starts: where each class begins in what follows, and the end.
        codes: the values of a class, one class after the other.
        many: rows of each of them.
    """

    texts: tuple[str, ...]
    usual: str
    starts: Codes
    codes: Codes
    many: Codes

    def guess(self, classes: Codes) -> str:
        """Return the most frequent value of some classes."""
        if not len(classes):
            return self.usual
        spans = [
            (self.starts[one], self.starts[one + 1])
            for one in classes.tolist()
        ]
        seen = np.bincount(
            np.concatenate([self.codes[a:b] for a, b in spans]),
            np.concatenate([self.many[a:b] for a, b in spans]),
        )
        return self.texts[int(seen.argmax())]


def _counted(shown: Items, column: Column, count: int) -> _Counted:
    """Count the values of a column in each class."""
    width = len(column.texts)
    flat, place = np.unique(
        shown.member * width + column.codes, return_inverse=True
    )
    usual = np.bincount(column.codes, shown.weights, minlength=width)
    return _Counted(
        texts=column.texts,
        usual=column.texts[int(usual.argmax())],
        starts=np.searchsorted(flat // width, np.arange(count + 1)),
        codes=flat % width,
        many=np.bincount(place, shown.weights),
    )


def _places(column: Column) -> dict[str, Codes]:
    """List where each value of a column stands."""
    order = np.argsort(column.codes, kind="stable")
    ends = np.searchsorted(column.codes[order], range(1, len(column.texts)))
    return dict(zip(column.texts, np.split(order, ends), strict=True))


def try_release(
    spec: ExtractSpec,
    items: Items,
    digest: str,
    cells: Mapping[str, Sequence[str]] | None = None,
) -> Trials:
    """Attack a release before it is handed out.

    Args:
        spec: its terms; at least one column is a quasi-identifier.
        items: what was handed in, and what of it is published.
        digest: of the published bytes, in hexadecimal digits; draws depend
            on it.
        cells: the published columns row by row; without them those that
            are not counted are in no predicate.
    """
    seed = bytes.fromhex(digest)
    there = np.flatnonzero(items.member != LEFT_OUT)
    ends = np.cumsum(items.weights[there])
    rows, most = int(ends[-1]), _most(spec, items)
    drawn = np.array(draw(seed, rows, 2 * most), dtype=np.int64)
    people = there[np.searchsorted(ends, drawn, side="right")]
    apart = people[: min(most, rows // _OF_TEN)]
    targets = people[len(apart) :][:most]
    view = _View(items, spec)
    members = _matches(view, spec, items, targets)
    other = _without(spec, items, apart, seed)
    outside = None if other is None else _View(other, spec)
    strangers = (
        [] if outside is None else _matches(outside, spec, items, apart)
    )
    over_all, aside = _over_all(spec, items, cells)
    return Trials(
        seed=digest,
        alone=_isolated(*_quasi_columns(items)),
        alone_over_all=over_all,
        bound=1 / spec.k,
        linkage=view.link(members),
        members=_claims(members),
        control=_claims(strangers) if strangers else None,
        guesses=tuple(
            Guesses(
                column=name,
                members=view.guess(name, members, _true(items, name, targets)),
                control=(
                    outside.guess(name, strangers, _true(items, name, apart))
                    if outside is not None and strangers
                    else None
                ),
                naive=view.guess_usual(name, _true(items, name, targets)),
            )
            for name in spec.of_role(Role.SENSITIVE)
        ),
        aside=aside,
    )


def _most(spec: ExtractSpec, items: Items) -> int:
    """Return how many members are attacked at most."""
    if not spec.sets:
        return TARGETS
    # Each set has to be read for each value: fewer people are attacked.
    labels = max(len(column.texts) for column in items.labels.values())
    return max(_FEWEST, min(TARGETS, _READINGS // labels))


def _known(spec: ExtractSpec) -> tuple[str, ...]:
    """Return the columns that attacks are about."""
    return (*spec.of_role(Role.QUASI), *spec.of_role(Role.SENSITIVE))


def _matches(
    view: _View, spec: ExtractSpec, items: Items, people: Codes
) -> list[Codes]:
    quasi = spec.of_role(Role.QUASI)
    truly = zip(*(_true(items, name, people) for name in quasi), strict=True)
    return [view.matches(dict(zip(quasi, one, strict=True))) for one in truly]


def _claims(people: Sequence[Codes]) -> Rate:
    """Claim of each person whom a row can belong to that they are in it."""
    claimed = sum(1 for found in people if len(found))
    return Rate(successes=claimed, attempts=len(people))


def _true(items: Items, name: str, people: Codes) -> list[str]:
    """Return the true values of some people, by their items."""
    return [*items.known[name].at(people).cells()]


def _without(
    spec: ExtractSpec, items: Items, apart: Codes, seed: bytes
) -> Items | None:
    """Make the release once more, on the same terms, without some people."""
    if not len(apart):
        return None
    left = _left(items, apart, seed)
    some = np.flatnonzero(left)
    known = {name: one.at(some) for name, one in items.known.items()}
    plan = Plan(
        models=spec.models, weights=spec.weights, sets=spec.sets, fast=True
    )
    criteria = replace(spec.criteria, suppression_limit=_NEARLY_ALL)
    axes, codes = [], []
    for name, hierarchy in spec.hierarchies.items():
        column = known[name]
        there = np.unique(column.codes)
        texts = [column.texts[at] for at in there.tolist()]
        # All of them had a place in their hierarchy before.
        axis, leaf_of = make_axis(
            name, texts, hierarchy, lambda lost: (len(lost), 0)
        )
        leaves = np.zeros(len(column.texts), dtype=np.int64)
        leaves[there] = [leaf_of[text] for text in texts]
        axes.append(axis)
        codes.append(leaves[column.codes])
    coded = {
        name: _without_missing(known[name])
        for name in spec.of_role(Role.SENSITIVE)
        if counts(name, criteria, plan)
    }
    cube = count_items(axes, codes, left[some], coded)
    try:
        best = choose(cube, criteria, plan)
    except CriteriaNotMet:
        return None
    member = best.classes.member[cube.tuples]
    return count_published(
        known,
        {
            name: tuple(each.cells())
            for name, each in class_labels(cube, best.classes, plan).items()
        },
        np.where(best.kept[member], member, LEFT_OUT),
        left[some],
    )


def _left(items: Items, apart: Codes, seed: bytes) -> Codes:
    """Count the rows of each item that the control is made of."""
    gone = np.bincount(apart, minlength=len(items.weights))
    if items.rows <= _MOST:
        return items.weights - gone
    ends = np.cumsum(items.weights)
    drawn = np.array(draw(seed, items.rows, _MOST), dtype=np.int64)
    item = np.searchsorted(ends, drawn, side="right")
    # The first rows of an item are those of the people set apart.
    place = drawn - (ends - items.weights)[item]
    return np.bincount(item[place >= gone[item]], minlength=len(gone))


def _without_missing(column: Column) -> Coded:
    """Number a sensitive column as the engine does: the missing value last."""
    if "" not in column.texts:
        return Coded(values=column.texts, codes=column.codes)
    last = len(column.texts) - 1
    codes = np.where(column.codes == 0, last, column.codes - 1)
    return Coded(values=column.texts[1:], codes=codes)


def _quasi_columns(items: Items) -> tuple[list[Codes], Codes]:
    """Return the labels in numbers, of classes, and the rows of each."""
    shown = items.published
    columns = [column.codes for column in items.labels.values()]
    return columns, np.bincount(shown.member, shown.weights)


def _over_all(
    spec: ExtractSpec,
    items: Items,
    cells: Mapping[str, Sequence[str]] | None,
) -> tuple[int, tuple[str, ...]]:
    """Count predicates over all columns, and name those that are in none."""
    names, others = _known(spec), spec.of_role(Role.OTHER)
    if others and cells is not None:
        codes = [Column.of(cells[name]).codes for name in (*names, *others)]
        return _isolated(codes, np.ones_like(codes[0])), ()
    shown = items.published
    codes = [one.codes[shown.member] for one in items.labels.values()]
    codes += [shown.known[name].codes for name in spec.of_role(Role.SENSITIVE)]
    return _isolated(codes, shown.weights), others


def _isolated(columns: Sequence[Codes], weights: Codes) -> int:
    """Count conjunctions of one or two values that hold for one row."""
    alone = sum(_once(one, weights) for one in columns)
    for one, other in combinations(columns[:_COLUMNS], 2):
        width = int(other.max(initial=0)) + 1
        alone += _once(one * width + other, weights)
    return alone


def _once(codes: Codes, weights: Codes) -> int:
    """Count the codes that one row has."""
    size = int(codes.max(initial=0)) + 1
    if size > 4 * len(codes):
        codes = np.unique(codes, return_inverse=True)[1]
    return int((np.bincount(codes, weights) == 1).sum())
