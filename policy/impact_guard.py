"""How many people a situation had, so that no count is somebody's.

**The rule.** What is counted is fixed before anybody asks: the people of one
situation in one whole month that has ended (`policy.situations`). Each such
count is guarded by itself and before anything is added up:

1. It is rounded to a multiple of `BASE`, up or down by a secret that belongs
   to the set of people who were counted, whatever their situation. So the
   same people have the same rounding in every situation and month, and
   asking about them in many ways makes no average.
2. It is nothing unless it reaches twice `BASE` so. A situation of `MINIMUM`
   people or fewer is never counted, and the number from which it is lies
   between 11 and 20 and is not known.
3. The guarded counts of a month are made once and kept
   (`policy.impact_months`). An erasure does not change them, so the same
   question before and after one does not differ by a person.

The answer to a question is a sum of guarded counts, over the situations that
the candidate decides otherwise. So all questions together, whatever their
candidates and months, tell what the one table of guarded counts tells and
nothing more. Two questions that overlap, subtracted, leave guarded counts: at
least `MINIMUM` people each, rounded. A candidate that is made for one person
finds them in no count, because it does not decide about people, but about
situations, and theirs either has enough others in it or does not count.

What this does not hold against: somebody who chooses, before the month ends,
who is in a situation. Other people are another rounding, so a service that
asks about many sets which differ by a few, or that knows all others of a
situation well enough to make more of them, can narrow down how many there
are of whom it knows nothing else. Nor does it hold where the tables of months
were lost, as are those that were made after the backup that is restored
elsewhere: they are made anew without those who were erased since.
Records that are one person's by a merge count each.
Nothing is said of whether rare situations were left out: they always may have
been.
"""

import hmac
from uuid import UUID

MINIMUM = 10
"""So many people in a situation, or fewer, are never counted."""

BASE = 10
"""Every count is a multiple of it."""

_PERSON, _CELL = b"person\x00", b"cell\x00"
_WIDTH = 32


class Guard:
    """Rounds counts of situations under a secret key.

    Args:
        key: 32 bytes, the same for as long as counts are to stay the same.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key

    def mark(self, subject: UUID) -> int:
        """What stands for a person in the cell of a situation.

        The cell is the exclusive or of its people's marks: the same for the
        same people in any order, and anything for others.
        """
        return int.from_bytes(
            hmac.digest(self._key, _PERSON + subject.bytes, "sha256")
        )

    def published(self, cell: int, people: int) -> int:
        """How many people a situation is said to have.

        Args:
            cell: of their marks.
            people: how many it had.

        Returns:
            0, or a multiple of `BASE` from twice `BASE`; within `BASE` of
            `people`.
        """
        drawn = hmac.digest(self._key, _CELL + cell.to_bytes(_WIDTH), "sha256")
        offset = int.from_bytes(drawn[:8]) % BASE
        rounded = (people + offset) // BASE * BASE
        return rounded if rounded >= 2 * BASE else 0
