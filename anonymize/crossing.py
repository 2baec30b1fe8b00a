"""What two releases to one reader tell together, checked by counting.

It shares no code with `succession` and `differences`, and knows of each
person only the class that each release put them into, and their sensitive
values. For every class A of an earlier release and every class B of this one
the people in both are none, or at least k with at least l values.

Of classes that are connected, A and B of which have people in common,
directly or through others, a reader can subtract the rows as a whole: the
people of the one release who are not in the other are none or at least k.
And who is missing from A can have had l values: those that are missing from
the connected classes and that A had.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """An earlier release and this one.

    Attributes:
        sizes: people of each class of the earlier one, as published.
        before: for each person of today the class there, None for no class.
        now: for each of them the class of today's release.
        had: of the earlier classes, by sensitive column, the rows of each
            value; a class whose values are not known is not in it.
        has: for each sensitive column the value of each person of today.
        release: what the earlier one is called.
    """

    sizes: Mapping[int, int]
    before: Sequence[int | None]
    now: Sequence[int | None]
    had: Mapping[int, Mapping[str, Mapping[str, int]]] = field(
        default_factory=dict
    )
    has: Mapping[str, Sequence[str]] = field(default_factory=dict)
    release: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """What one earlier release and this one tell together.

    Attributes:
        release: which earlier one, and to whom; empty where it is not said.
        common: pairs of classes, one of each, that have people in common.
        smallest_common: fewest people in common; None where there are none.
        differing: sets of people that one has and the other does not.
        smallest_difference: people of the smallest of those; None where
            there are none.
        small: sets of either kind with too few people.
        uniform: sets of either kind with too few values.
    """

    release: str
    common: int
    smallest_common: int | None
    differing: int
    smallest_difference: int | None
    small: int
    uniform: int = 0


def crossing_effect(pair: Pair, k: int, l: int = 1) -> Effect:  # noqa: E741 - the literature's own name for it
    """Measure what two releases tell together.

    Args:
        pair: the two.
        k: the smallest set that is none.
        l: fewest values of a set.

    Returns:
        The figures; the two releases as a whole are among the sets.
    """
    today = Counter(number for number in pair.now if number is not None)
    both: dict[tuple[int, int], list[int]] = defaultdict(list)
    for person, (old, new) in enumerate(
        zip(pair.before, pair.now, strict=True)
    ):
        if old is not None and new is not None:
            both[old, new].append(person)
    apart = []
    uniform = sum(_few(pair, people, l) for people in both.values())
    for olds, news in _connected(pair.sizes, today, both):
        common = [
            person
            for old in olds
            for new in news
            for person in both.get((old, new), ())
        ]
        left = sum(pair.sizes[old] for old in olds) - len(common)
        joined = sum(today[new] for new in news) - len(common)
        apart += [left, joined]
        if left and not _had_values(pair, olds, common, l):
            uniform += 1
        if joined:
            there = {*common}
            came = [
                person
                for person, new in enumerate(pair.now)
                if new in news and person not in there
            ]
            uniform += _few(pair, came, l)
    everybody = sum(map(len, both.values()))
    apart += [sum(pair.sizes.values()) - everybody, today.total() - everybody]
    sets = [many for many in apart if many]
    smallest = [len(people) for people in both.values()]
    return Effect(
        release=pair.release,
        common=len(both),
        smallest_common=min(smallest, default=None),
        differing=len(sets),
        smallest_difference=min(sets, default=None),
        small=sum(many < k for many in (*smallest, *sets)),
        uniform=uniform,
    )


def _connected(
    sizes: Mapping[int, int],
    today: Mapping[int, int],
    both: Mapping[tuple[int, int], Sequence[int]],
) -> list[tuple[set[int], set[int]]]:
    """Put together the classes that people connect."""
    of_old: dict[int, set[int]] = defaultdict(set)
    of_new: dict[int, set[int]] = defaultdict(set)
    for old, new in both:
        of_old[old].add(new)
        of_new[new].add(old)
    found: list[tuple[set[int], set[int]]] = []
    seen: set[int] = set()
    for first in sizes:
        if first in seen:
            continue
        olds, news = {first}, set[int]()
        queue = [first]
        while queue:
            fresh = of_old[queue.pop()] - news
            news |= fresh
            further = {old for new in fresh for old in of_new[new]} - olds
            olds |= further
            queue += further
        seen |= olds
        found.append((olds, news))
    alone = today.keys() - of_new.keys()
    return [*found, *((set[int](), {new}) for new in sorted(alone))]


def _few(pair: Pair, people: Sequence[int], least: int) -> bool:
    """Tell whether people of today have too few values in a column."""
    return bool(people) and any(
        len({values[person] for person in people} - {""}) < least
        for values in pair.has.values()
    )


def _had_values(
    pair: Pair, olds: set[int], common: Sequence[int], least: int
) -> bool:
    """Tell whether each who is missing can have had enough values."""
    if least < 2:
        return True
    lost: dict[str, Counter[str]] = defaultdict(Counter)
    for old in olds:
        for column, counted in pair.had.get(old, {}).items():
            left = Counter(counted)
            left.subtract(
                pair.has[column][person]
                for person in common
                if pair.before[person] == old
            )
            lost[column] += left
    there = Counter(pair.before[person] for person in common)
    for old in olds:
        if pair.sizes[old] == there[old]:
            continue
        known = pair.had.get(old)
        if known is None:
            if there[old]:
                return False
            continue
        for column, counted in known.items():
            could = {v for v in counted if v and lost[column][v] > 0}
            if len(could) < least:
                return False
    return True


def crossing_faults(
    earlier: Mapping[int, int],
    before: Sequence[int | None],
    now: Sequence[int | None],
    k: int,
) -> int:
    """Count the small sets that two releases make together.

    Args:
        earlier: people of each class of the earlier release, as published.
        before: for each person of today the class there, None for no class.
        now: for each of them the class of today's release.
        k: the smallest set that is none.
    """
    return crossing_effect(
        Pair(sizes=earlier, before=before, now=now), k
    ).small
