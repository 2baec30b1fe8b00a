"""Where values stand: an attribute's number, and what hangs on it.

A row of a person is found by a *place*, 31 bits. Its lower 16 bits are the
number of an attribute; the place that is nothing else holds the attribute's
value. The bits above make room for more values of the kind (identifiers of
several channels), and the two highest for what goes with a value and must be
authenticated with it: what the person says against it, a mark left by a
removal. Whatever stands at any place is in the person's manifest, so none of
it can be taken away unnoticed.
"""

from collections.abc import Iterator, Mapping

NUMBERS = 1 << 16
"""Attribute numbers are below this; the last 16 are the vault's own."""

OWN = NUMBERS - 16
ALIAS = OWN
"""Holds the id of the record that a merged one is read with."""
ABSORBED = OWN + 1
"""Holds the ids of the records that are read with this one."""

SLOTS = 64
"""How many values of one kind a person can have."""

_DISPUTED = 1 << 29
_DROPPED = 1 << 30


def attribute_of(place: int) -> int:
    """Give the number of the attribute that a place belongs to."""
    return place % NUMBERS


def slots(number: int) -> Iterator[int]:
    """List the places for values of an attribute, its own first."""
    return iter(range(number, number + SLOTS * NUMBERS, NUMBERS))


def disputed(place: int) -> int:
    """Give the place of what is said against the value of a place."""
    return place | _DISPUTED


def is_disputed(place: int) -> bool:
    """Say whether a place is for what is said against a value."""
    return bool(place & _DISPUTED)


def dropped(place: int) -> int:
    """Give the place of the mark that says what was removed from a place.

    The mark's version is the last one that stood there: whatever comes next
    is numbered on from it, so that no removed version fits in again.
    """
    return place | _DROPPED


def is_mark(place: int) -> bool:
    """Say whether a place is for a mark of removal."""
    return bool(place & _DROPPED)


def holds_value(place: int) -> bool:
    """Say whether a place is for a value of an attribute."""
    return place < _DISPUTED and attribute_of(place) < OWN


def first_version(
    entries: Mapping[int, tuple[int, int, bytes]], place: int
) -> int:
    """Give the oldest version that may stand at a place.

    Args:
        entries: place, version and something, by place.
        place: which.

    """
    mark = entries.get(dropped(place))
    return 1 if mark is None else mark[1] + 1
