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
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

from anonymize.attacks import Rate
from anonymize.errors import CriteriaNotMet, MissingExtra
from anonymize.partition import Plan, Published, published_labels
from anonymize.published import PublishedLabels
from anonymize.roles import Role
from anonymize.spec import PSEUDONYM, ExtractSpec
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
_COLUMNS = 24
"""Most columns of which predicates take two."""
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
        alone_over_all: the same over all columns but pseudonyms and text.
        bound: the share of links that k allows.
        linkage: members whose row was pointed at.
        members: members who were said to be in the release.
        control: people who are not in it and were said to be; None where
            too few rows were left to make a control of.
        guesses: for each sensitive column.
    """

    seed: str
    alone: int
    alone_over_all: int
    bound: float
    linkage: Rate
    members: Rate
    control: Rate | None
    guesses: tuple[Guesses, ...] = ()

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


class _View:
    """A release as the attacker has it: classes, and what is in them."""

    def __init__(
        self,
        found: Published,
        spec: ExtractSpec,
        sensitive: Mapping[str, Sequence[str]],
    ) -> None:
        """Take a release.

        Args:
            found: its rows and labels.
            spec: tells what the labels of each column mean.
            sensitive: the sensitive columns of the table.
        """
        self._spec = spec
        quasi = spec.of_role(Role.QUASI)
        numbers: dict[tuple[str, ...], int] = {}
        labels = zip(*(found.labels[name] for name in quasi), strict=True)
        own = [numbers.setdefault(label, len(numbers)) for label in labels]
        columns = zip(*numbers, strict=True)
        self._labels: dict[str, dict[str, list[int]]] = {}
        for name, column in zip(quasi, columns, strict=True):
            places: dict[str, list[int]] = {}
            for at, text in enumerate(column):
                places.setdefault(text, []).append(at)
            self._labels[name] = places
        self._sizes = np.bincount(own, minlength=len(numbers))
        self._values: dict[str, tuple[list[str], Codes]] = {}
        for name, cells in sensitive.items():
            texts = sorted({cells[row] for row in found.rows})
            codes = {text: at for at, text in enumerate(texts)}
            flat = [
                one * len(texts) + codes[cells[row]]
                for one, row in zip(own, found.rows, strict=True)
            ]
            counted = np.bincount(flat, minlength=len(numbers) * len(texts))
            self._values[name] = (
                texts,
                counted.reshape(len(numbers), len(texts)),
            )
        self._known: dict[tuple[str, str], Bits] = {}
        self._readers: dict[str, PublishedLabels] = {}

    def matches(self, person: Mapping[str, str]) -> Bits:
        """Tell of each class whether a row of it can be a person's."""
        found: Bits = np.ones(len(self._sizes), dtype=np.bool_)
        for name, value in person.items():
            found &= self._covering(name, value)
        return found

    def link(self, people: Sequence[Bits]) -> Rate:
        """Point at a row of each person, at any of those that can be."""
        rows = [int(self._sizes[found].sum()) for found in people]
        return Rate(
            successes=sum(1 / many for many in rows if many),
            attempts=len(people),
        )

    def guess(
        self, name: str, people: Sequence[Bits], true: Sequence[str]
    ) -> Rate:
        """Guess a sensitive value of each person."""
        texts, counted = self._values[name]
        usual = int(counted.sum(axis=0).argmax())
        right = 0
        for found, value in zip(people, true, strict=True):
            seen = counted[found].sum(axis=0)
            best = int(seen.argmax()) if seen.any() else usual
            right += texts[best] == value
        return Rate(successes=right, attempts=len(people))

    def guess_usual(self, name: str, true: Sequence[str]) -> Rate:
        """Guess the value that most rows have, whoever it is."""
        texts, counted = self._values[name]
        usual = texts[int(counted.sum(axis=0).argmax())]
        return Rate(
            successes=sum(value == usual for value in true),
            attempts=len(true),
        )

    def _covering(self, name: str, value: str) -> Bits:
        known = self._known.get((name, value))
        if known is None:
            places = self._labels[name]
            above = {value, _STAR}
            if self._spec.sets:
                above |= self._sets_of(name, [*places], value)
            else:
                above |= {*(self._spec.hierarchies[name].path(value) or ())}
            known = np.zeros(len(self._sizes), dtype=np.bool_)
            for text in above & places.keys():
                known[places[text]] = True
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


def try_release(
    spec: ExtractSpec,
    table: Table,
    found: Published,
    cells: Mapping[str, Sequence[str]],
    digest: str,
) -> Trials | None:
    """Attack a release before it is handed out.

    Args:
        spec: its terms.
        table: the rows that were handed in.
        found: which of them are published, under which labels.
        cells: the published columns.
        digest: of the published bytes, in hexadecimal digits; draws depend
            on it.

    Returns:
        None where there is no quasi-identifier to attack by.
    """
    quasi = spec.of_role(Role.QUASI)
    if not quasi:
        return None
    seed = bytes.fromhex(digest)
    sensitive = {name: table[name] for name in spec.of_role(Role.SENSITIVE)}
    most = TARGETS
    if spec.sets:
        # Each set has to be read for each value: fewer people are attacked.
        labels = max(len({*found.labels[name]}) for name in quasi)
        most = max(_FEWEST, min(TARGETS, _READINGS // labels))
    ordered = _ordered([table[name] for name in _known(spec)], found)
    drawn = [ordered[at] for at in draw(seed, len(ordered), 2 * most)]
    apart = drawn[: min(most, len(found.rows) // _OF_TEN)]
    targets = drawn[len(apart) :][:most]
    view = _View(found, spec, sensitive)
    members = _matches(view, table, quasi, targets)
    other = _without(spec, table, apart, seed)
    outside = None if other is None else _View(other, spec, sensitive)
    strangers = (
        [] if outside is None else _matches(outside, table, quasi, apart)
    )
    codes = _encoded(cells, _left_aside(spec))
    return Trials(
        seed=digest,
        alone=_isolated([codes[name] for name in quasi]),
        alone_over_all=_isolated([*codes.values()]),
        bound=1 / spec.k,
        linkage=view.link(members),
        members=_claims(members),
        control=_claims(strangers) if strangers else None,
        guesses=tuple(
            Guesses(
                column=name,
                members=view.guess(name, members, _true(true, targets)),
                control=(
                    outside.guess(name, strangers, _true(true, apart))
                    if outside is not None and strangers
                    else None
                ),
                naive=view.guess_usual(name, _true(true, targets)),
            )
            for name, true in sensitive.items()
        ),
    )


def _known(spec: ExtractSpec) -> tuple[str, ...]:
    """Return the columns that attacks are about."""
    return (*spec.of_role(Role.QUASI), *spec.of_role(Role.SENSITIVE))


def _ordered(columns: Sequence[Sequence[str]], found: Published) -> list[int]:
    """Order the published rows by what is known of them, not as they came."""
    truly = [[column[row] for row in found.rows] for column in columns]
    keys = [*zip(*found.labels.values(), *truly, strict=True)]
    order = sorted(range(len(found.rows)), key=keys.__getitem__)
    return [found.rows[at] for at in order]


def _matches(
    view: _View, table: Table, quasi: Sequence[str], people: Sequence[int]
) -> list[Bits]:
    return [
        view.matches({name: table[name][row] for name in quasi})
        for row in people
    ]


def _claims(people: Sequence[Bits]) -> Rate:
    """Claim of each person whom a row can belong to that they are in it."""
    claimed = sum(bool(found.any()) for found in people)
    return Rate(successes=claimed, attempts=len(people))


def _true(cells: Sequence[str], people: Sequence[int]) -> list[str]:
    return [cells[row] for row in people]


def _without(
    spec: ExtractSpec, table: Table, apart: Sequence[int], seed: bytes
) -> Published | None:
    """Make the release once more, on the same terms, without some people."""
    if not apart:
        return None
    gone = {*apart}
    count = len(next(iter(table.values())))
    among: Sequence[int] = range(count)
    if count > _MOST:
        keys = [*zip(*(table[name] for name in _known(spec)), strict=True)]
        ordered = sorted(among, key=keys.__getitem__)
        among = [ordered[at] for at in draw(seed, count, _MOST)]
    left = [row for row in among if row not in gone]
    plan = Plan(models=spec.models, weights=spec.weights, sets=spec.sets)
    try:
        found = published_labels(
            {
                name: ([table[name][row] for row in left], each)
                for name, each in spec.hierarchies.items()
            },
            {
                name: [table[name][row] for row in left]
                for name in spec.of_role(Role.SENSITIVE)
            },
            replace(spec.criteria, suppression_limit=_NEARLY_ALL),
            len(left),
            replace(plan, fast=True),
        )
    except CriteriaNotMet:
        return None
    rows = tuple(left[row] for row in found.rows)
    return replace(found, rows=rows)


def _left_aside(spec: ExtractSpec) -> set[str]:
    """Return the columns whose values are no predicates."""
    return {PSEUDONYM, *spec.of_role(Role.TEXT)}


def _encoded(
    columns: Mapping[str, Sequence[str]], aside: set[str]
) -> dict[str, Codes]:
    """Number the values of each column but of some."""
    codes = {}
    for name, cells in columns.items():
        if name not in aside:
            numbers = {cell: at for at, cell in enumerate(sorted({*cells}))}
            codes[name] = np.fromiter(
                map(numbers.__getitem__, cells), np.int64, len(cells)
            )
    return codes


def _isolated(columns: Sequence[Codes]) -> int:
    """Count conjunctions of one or two values that hold for one row."""
    alone = sum(map(_once, columns))
    for one, other in combinations(columns[:_COLUMNS], 2):
        width = int(other.max(initial=0)) + 1
        alone += _once(one * width + other)
    return alone


def _once(codes: Codes) -> int:
    """Count the codes that occur once."""
    size = int(codes.max(initial=0)) + 1
    if size <= 4 * len(codes):
        return int((np.bincount(codes) == 1).sum())
    return int((np.unique(codes, return_counts=True)[1] == 1).sum())
