"""Attacks on a release, by somebody who has it and knows people.

After Giomi et al. 2022: the *main* attack is on people who are in the
release, the *control* is the same attack on people of the same kind who are
not, and the *naive* one guesses without the release. What the release gives
away of its own members is what the main attack gains over the control. A
main attack that is no better than the naive one means that the attack is
weak, not that the data are safe.

`Matcher` is the attacker's way in: whose row can this be? Rates come with
Wilson's interval.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from anonymize.published import PublishedLabels

_Z = 1.96

Row = Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often an attack succeeded.

    Attributes:
        successes: expected number of successes.
        attempts: number of attempts, 1 or more.
    """

    successes: float
    attempts: int

    @property
    def share(self) -> float:
        """Successes over attempts."""
        return self.successes / self.attempts

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval at 95 %."""
        n, z = self.attempts, _Z
        s = self.successes
        centre = (s + z * z / 2) / (n + z * z)
        spread = max(s * (n - s), 0) / n + z * z / 4
        half = z / (n + z * z) * math.sqrt(spread)
        return max(0.0, centre - half), min(1.0, centre + half)

    def gain_over(self, control: "Rate") -> float:
        """Return what the attack gains over a control.

        Args:
            control: the same attack on people who are not in the release.
        """
        room = 1 - control.share
        return (self.share - control.share) / room if room > 0 else 0.0

    def beyond(self, control: "Rate") -> bool:
        """Tell whether the intervals of attack and control are apart.

        Args:
            control: the same attack on people who are not in the release.
        """
        return self.interval[0] > control.interval[1]


class Matcher:
    """Finds the classes whose labels stand for a person's values."""

    def __init__(
        self,
        rows: Sequence[Row],
        quasi: Sequence[str],
        readers: Mapping[str, PublishedLabels],
    ) -> None:
        """Take a release.

        Args:
            rows: the published rows.
            quasi: the quasi-identifiers.
            readers: what their labels mean.
        """
        self._quasi = tuple(quasi)
        self._readers = readers
        self._classes: dict[tuple[str, ...], list[Row]] = {}
        for row in rows:
            key = tuple(row[name] for name in self._quasi)
            self._classes.setdefault(key, []).append(row)
        self._keys = list(self._classes)
        self._masks: dict[tuple[int, str], int] = {}

    def candidates(self, person: Row) -> list[Row]:
        """Return the rows that can be a person's.

        Args:
            person: their true values of the quasi-identifiers.
        """
        found = (1 << len(self._keys)) - 1
        for at, name in enumerate(self._quasi):
            found &= self._mask(at, person[name])
        rows: list[Row] = []
        while found:
            low = found & -found
            rows += self._classes[self._keys[low.bit_length() - 1]]
            found ^= low
        return rows

    def _mask(self, at: int, value: str) -> int:
        known = self._masks.get((at, value))
        if known is None:
            reader = self._readers[self._quasi[at]]
            covers = {
                label: reader.covers(label, value)
                for label in {key[at] for key in self._keys}
            }
            known = sum(
                1 << number
                for number, key in enumerate(self._keys)
                if covers[key[at]]
            )
            self._masks[at, value] = known
        return known


def isolating_predicates(
    rows: Sequence[Row], columns: Sequence[str], *, most: int
) -> int:
    """Count the conjunctions of published values that hold for one row.

    Args:
        rows: the published rows.
        columns: what the predicates are over.
        most: largest number of columns in a predicate.
    """
    found = 0
    for size in range(1, most + 1):
        for chosen in combinations(columns, size):
            seen = Counter(tuple(row[c] for c in chosen) for row in rows)
            found += sum(1 for many in seen.values() if many == 1)
    return found


def link(matcher: Matcher, people: Sequence[Row]) -> Rate:
    """Point at a person's row; of several that can be theirs at any.

    Args:
        matcher: the release.
        people: true values of people in the release.
    """
    chances = 0.0
    for person in people:
        found = matcher.candidates(person)
        if found:
            chances += 1 / len(found)
    return Rate(successes=chances, attempts=len(people))


def claim_membership(matcher: Matcher, people: Sequence[Row]) -> Rate:
    """Claim that a person is in the release where a row can be theirs.

    Args:
        matcher: the release.
        people: true values of people.
    """
    claims = sum(1 for person in people if matcher.candidates(person))
    return Rate(successes=claims, attempts=len(people))


def infer(
    matcher: Matcher, people: Sequence[Row], sensitive: str, otherwise: str
) -> Rate:
    """Guess a sensitive value: the most frequent of the rows that match.

    Args:
        matcher: the release.
        people: true values of people, the sensitive one too.
        sensitive: the column.
        otherwise: the guess where no row matches.
    """
    right = 0
    for person in people:
        values = Counter(row[sensitive] for row in matcher.candidates(person))
        guess = otherwise
        if values:
            guess = min(values, key=lambda value: (-values[value], value))
        right += guess == person[sensitive]
    return Rate(successes=right, attempts=len(people))


def certainties(
    matcher: Matcher, people: Sequence[Row], sensitive: str
) -> int:
    """Count the people all of whose candidates share the sensitive value.

    Args:
        matcher: the release.
        people: true values of people.
        sensitive: the column.
    """
    return sum(
        len({row[sensitive] for row in matcher.candidates(person)}) == 1
        for person in people
    )
