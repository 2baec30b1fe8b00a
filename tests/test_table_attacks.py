"""Attacks on releases of Adult, each with what it does undefended.

Two thousand people are left out of the release: the control. An attack is
run on as many members and on the control; where the defence is taken away
(no k, no l, no bound on presence) the same attack must succeed, or it would
show nothing.
"""

import math
import random
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import pytest

from anonymize import (
    Closeness,
    Criteria,
    ExtractSpec,
    Hierarchy,
    Population,
    Presence,
    Role,
    build_extract,
)
from anonymize.attacks import (
    Matcher,
    Rate,
    Row,
    certainties,
    claim_membership,
    infer,
    isolating_predicates,
    link,
)
from anonymize.csvfile import read_csv
from anonymize.partition import Plan, published_labels
from anonymize.published import PublishedLabels
from tests.bench.adults import ADULT, QUASI, SENSITIVE, hierarchies

pytestmark = [pytest.mark.corpus, pytest.mark.long, pytest.mark.slow]

TARGETS = 2_000
K = 5


@dataclass(frozen=True, kw_only=True)
class People:
    """Who is in the release and who is not."""

    members: list[dict[str, str]]
    control: list[dict[str, str]]

    @property
    def targets(self) -> list[dict[str, str]]:
        """Members who are attacked, as many as there are in the control."""
        return self.members[:TARGETS]

    @property
    def most(self) -> str:
        """The most frequent salary, which anybody knows."""
        return Counter(p[SENSITIVE] for p in self.members).most_common(1)[0][0]


@cache
def people() -> People:
    """Split Adult, at random but always alike."""
    data = (ADULT / "adult.csv").read_bytes()
    table = read_csv(data, where="adult.csv", delimiter=";")
    names = (*QUASI, SENSITIVE)
    columns = (table[name] for name in names)
    rows = [
        dict(zip(names, row, strict=True))
        for row in zip(*columns, strict=True)
    ]
    random.Random(5).shuffle(rows)  # noqa: S311 - a split, not a secret
    return People(members=rows[TARGETS:], control=rows[:TARGETS])


@cache
def trees() -> dict[str, Hierarchy]:
    """Return ARX's hierarchies, read once."""
    return hierarchies()


def readers() -> dict[str, PublishedLabels]:
    """Return what labels mean."""
    return {
        name: PublishedLabels(name, each.describe(), sets=False)
        for name, each in trees().items()
    }


def released(**terms: object) -> list[dict[str, str]]:
    """Release the members at k = 5, and return the published rows."""
    given: dict[str, object] = {
        "columns": {
            **dict.fromkeys(QUASI, Role.QUASI),
            SENSITIVE: Role.SENSITIVE,
        },
        "hierarchies": trees(),
        "k": K,
        "fast": True,
        "recipient": "attacker",
    }
    extract = build_extract(
        ExtractSpec(**given | terms),  # type: ignore[arg-type]  # as given
        people().members,
    )
    return [
        dict(zip(extract.columns, row, strict=True)) for row in extract.rows
    ]


@cache
def plain() -> list[dict[str, str]]:
    """The release that has k alone."""
    return released()


@cache
def diverse() -> list[dict[str, str]]:
    """The release that has l = 2 too."""
    return released(l=2)


def matcher(rows: Sequence[Row]) -> Matcher:
    """Take a release as the attacker does."""
    return Matcher(rows, QUASI, readers())


def test_nobody_is_singled_out_by_quasi_identifiers() -> None:
    """No predicate of one or two columns holds for one row; raw, many do."""
    assert 0 == isolating_predicates(plain(), QUASI, most=2)
    raw = people().members
    assert isolating_predicates(raw, QUASI, most=2) > 100


def test_whole_rows_are_not_alone_in_their_class() -> None:
    """All quasi-identifiers together hold for k rows; raw, for one."""

    def alone(rows: Sequence[Row]) -> int:
        seen = Counter(tuple(row[name] for name in QUASI) for row in rows)
        return sum(many < K for many in seen.values())

    assert 0 == alone(plain())
    assert alone(people().members) > 10_000


def test_linkage_succeeds_no_better_than_one_in_k() -> None:
    """Members are found once in k at most; in the raw table most are."""
    found = link(matcher(plain()), people().targets)
    assert found.interval[1] <= 1 / K
    raw = link(matcher(people().members), people().targets)
    assert raw.share > 0.5


def test_membership_shows_no_more_than_in_the_control() -> None:
    """Rows match people who are left out as often; raw rows do not."""
    release = matcher(plain())
    members = claim_membership(release, people().targets)
    control = claim_membership(release, people().control)
    assert not members.beyond(control)
    raw = matcher(people().members)
    assert claim_membership(raw, people().targets).beyond(
        claim_membership(raw, people().control)
    )


def test_presence_bounds_what_a_match_says() -> None:
    """Of those who match a class at most half are in it; without, all are."""
    among = people().members[:1_600]
    population = Population.of_table(
        {name: [p[name] for p in among] for name in QUASI}, QUASI
    )
    spec = {
        "columns": dict.fromkeys(QUASI, Role.QUASI),
        "hierarchies": trees(),
        "k": K,
        "fast": True,
        "recipient": "attacker",
    }
    inside = among[:600]
    rows = [{name: p[name] for name in QUASI} for p in inside]

    def surest(**terms: object) -> float:
        extract = build_extract(
            ExtractSpec(**spec | terms),  # type: ignore[arg-type]  # as given
            rows,
        )
        reading = readers()
        shares = []
        for labels, many in Counter(extract.rows).items():
            matched = sum(
                all(
                    reading[name].covers(label, person[name])
                    for name, label in zip(
                        extract.columns, labels, strict=True
                    )
                )
                for person in among
            )
            shares.append(many / matched)
        return max(shares)

    bounded = surest(
        of_people=(Presence(high=0.5),),
        population=population,
        suppression_limit=0.1,
    )
    assert bounded <= 0.5
    assert surest() > 0.9


def test_the_sensitive_value_is_not_inferred_of_members() -> None:
    """The guess is as good for people who are left out; l leaves no one sure.

    With k alone dozens of members have candidates of one value only.
    """
    release = matcher(diverse())
    most = people().most
    members = infer(release, people().targets, SENSITIVE, most)
    control = infer(release, people().control, SENSITIVE, most)
    assert not members.beyond(control)
    assert 0 == certainties(release, people().targets, SENSITIVE)
    assert certainties(matcher(plain()), people().targets, SENSITIVE) > 50
    raw = matcher(people().members)
    assert infer(raw, people().targets, SENSITIVE, most).beyond(
        infer(raw, people().control, SENSITIVE, most)
    )


def largest_gain(rows: Sequence[Row]) -> float:
    """Return by how much a class shifts the belief in a value at most."""
    overall = Counter(person[SENSITIVE] for person in people().members)
    classes: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in rows:
        labels = tuple(row[name] for name in QUASI)
        classes[labels][row[SENSITIVE]] += 1
    return max(
        abs(values[value] / values.total() - many / overall.total())
        for values in classes.values()
        for value, many in overall.items()
    )


def test_closeness_leaves_little_to_infer() -> None:
    """Nobody's class shifts a belief by more than t; with l alone it does."""
    close = released(models=(Closeness(column=SENSITIVE, t=0.2),))
    release = matcher(close)
    most = people().most
    members = infer(release, people().targets, SENSITIVE, most)
    control = infer(release, people().control, SENSITIVE, most)
    assert not members.beyond(control)
    assert largest_gain(close) <= 0.2
    assert largest_gain(diverse()) > 0.5


def grouped(
    criteria: Criteria, *, sensitive: bool
) -> dict[tuple[str, ...], list[int]]:
    """Return the members of each class, as the engine forms them."""
    members = people().members
    quasi = {n: ([p[n] for p in members], trees()[n]) for n in QUASI}
    values = {SENSITIVE: [p[SENSITIVE] for p in members]} if sensitive else {}
    found = published_labels(
        quasi, values, criteria, len(members), Plan(fast=True)
    )
    classes: dict[tuple[str, ...], list[int]] = defaultdict(list)
    labels = zip(*(found.labels[name] for name in QUASI), strict=True)
    for row, label in zip(found.rows, labels, strict=True):
        classes[label].append(row)
    return classes


def sure_cells(
    classes: Mapping[tuple[str, ...], Sequence[int]],
    rows: Sequence[Row],
) -> int:
    """Count generalized cells below which a class has one value only."""
    return sum(
        len({rows[member][name] for member in members}) == 1
        for labels, members in classes.items()
        for name, label in zip(QUASI, labels, strict=True)
        if label != rows[members[0]][name]
    )


def test_downcoding_recovers_nobody_for_certain() -> None:
    """Labels are minimal, and each hides two values or more (Cohen 2022).

    The gain of an attacker who reckons with minimality is a guess that is
    hardly better. A label that hides one value only would be given away by
    whoever knows what occurs: the attack finds such cells.
    """
    rows = people().members
    classes = grouped(Criteria(k=K), sensitive=False)
    assert 0 == sure_cells(classes, rows)
    widened = {("*", *labels[1:]): m for labels, m in classes.items()}
    assert sure_cells(widened, rows) > 50
    naive, aware, cells = 0, 0, 0
    for at, name in enumerate(QUASI):
        tree = trees()[name]
        shares = Counter(row[name] for row in rows)
        paths = {value: tree.path(value) or () for value in shares}
        for labels, members in classes.items():
            if labels[at] in shares:
                continue
            level = paths[rows[members[0]][name]].index(labels[at])
            below = {
                v: n
                for v, n in shares.items()
                if paths[v][level] == labels[at]
            }
            total = sum(below.values())
            part: Counter[str] = Counter()
            for value, many in below.items():
                part[paths[value][level - 1]] += many
            odds = {
                v: n
                * (
                    1
                    - (part[paths[v][level - 1]] / total) ** (len(members) - 1)
                )
                for v, n in below.items()
            }
            blind = max(below, key=lambda v: (below[v], v))
            sharp = max(odds, key=lambda v: (odds[v], v))
            cells += len(members)
            naive += sum(rows[m][name] == blind for m in members)
            aware += sum(rows[m][name] == sharp for m in members)
    gain = Rate(successes=aware, attempts=cells).gain_over(
        Rate(successes=naive, attempts=cells)
    )
    assert gain < 0.05


def test_minimality_of_the_repair_gives_little_away() -> None:
    """Who knows the engine and everybody's quasi-identifiers gains little.

    The attacker forms the classes of k alone, sees which two were joined,
    and knows that one of them had one value only (Wong et al. 2007). Where
    nothing is joined, with k alone, whole classes are read off.
    """
    rows = people().members
    alone = grouped(Criteria(k=K), sensitive=False)
    joined = grouped(Criteria(k=K, l=2), sensitive=True)
    home = {member: own for own, each in alone.items() for member in each}
    blind, sharp, attempts = 0, 0, 0
    for members in joined.values():
        parts = Counter(home[member] for member in members)
        whole = all(len(alone[own]) == many for own, many in parts.items())
        if len(parts) != 2 or not whole:
            continue
        values = Counter(rows[m][SENSITIVE] for m in members)
        most, least = (value for value, _ in values.most_common(2))
        for own, other in (tuple(parts), tuple(parts)[::-1]):
            belief = rare(values[least], parts[own], parts[other])
            guess = least if belief > 0.5 else most
            blind += sum(rows[m][SENSITIVE] == most for m in alone[own])
            sharp += sum(rows[m][SENSITIVE] == guess for m in alone[own])
            attempts += parts[own]
    assert attempts > 500
    aware = Rate(successes=sharp, attempts=attempts)
    naive = Rate(successes=blind, attempts=attempts)
    assert aware.gain_over(naive) < 0.1


def rare(few: int, own: int, other: int) -> float:
    """Believe that one of two classes has one value; is it rare in this one?

    Args:
        few: rows of the rarer value in both.
        own: rows of this class.
        other: rows of the other.
    """
    worlds = [
        (math.comb(other, few), 0.0),
        (math.comb(own, few), few / own),
    ]
    if own <= few:
        worlds.append((math.comb(other, few - own), 1.0))
    if other <= few:
        worlds.append((math.comb(own, few - other), (few - other) / own))
    total = sum(many for many, _ in worlds)
    return sum(many * share for many, share in worlds) / total if total else 0
