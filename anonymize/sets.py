"""Set labels: what occurs in a class, rather than a node of a hierarchy.

A class's label is the interval from its least to its greatest value where
the hierarchy has a scale, such as ``31-38`` or
``1984-05-17..1984-06-02``, else the set of its values, ``{gov|self}``; a
single value stands for itself, and so does the missing one. A class that
holds missing and other values is ``*``.

Such labels lose far less than those of a hierarchy (Xu et al. 2006), but
they are ragged: no two classes need have nested ones. They are for readers
who aggregate by program.

An interval costs its width within the scale, a set its values but one over
all values of the hierarchy but one.
"""

from anonymize.classes import Labels
from anonymize.cube import Axis, Cube, Real, Truth, Whole, number_columns
from anonymize.errors import InvalidSpec, MissingExtra

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_WORD = 8
RESERVED = "{|}"
"""Characters that values do not hold where labels are sets."""


def set_costs(cube: Cube, member: Whole) -> Real:
    """Return the summed NCP of the set labels of each class.

    Args:
        cube: the counted tuples.
        member: class of each tuple, numbered from 0 without gaps.
    """
    count = int(member.max()) + 1
    total = np.zeros(count)
    for at, axis in enumerate(cube.axes):
        present = _present(axis, member, cube.leaves[:, at], count)
        empty = missing_leaf(axis)
        others = present[:, ~empty]
        if axis.places is None:
            costs = (others.sum(axis=1) - 1).clip(0) / axis.span
        else:
            places = axis.places[~empty].clip(*axis.bounds)
            least, most = _ends(others, places)
            costs = (most - least).clip(0) / axis.span
        mixed = others.any(axis=1) & present[:, empty].any(axis=1)
        total += np.where(mixed, 1.0, costs) * axis.weight
    return total


def set_labels(cube: Cube, member: Whole) -> dict[str, Labels]:
    """Return the set label of each class on each axis.

    Args:
        cube: the counted tuples.
        member: class of each tuple, numbered from 0 without gaps.

    Raises:
        InvalidSpec: a value holds a character that sets are written with.
    """
    count = int(member.max()) + 1
    return {
        axis.name: _labels(axis, member, cube.leaves[:, at], count)
        for at, axis in enumerate(cube.axes)
    }


def _present(axis: Axis, member: Whole, leaves: Whole, count: int) -> Truth:
    """Tell which leaves occur in each class, classes by leaves."""
    present = np.zeros((count, axis.groups.shape[1]), dtype=np.bool_)
    present[member, leaves] = True
    return present


def missing_leaf(axis: Axis) -> Truth:
    """Tell which leaf is the missing value; at most one is.

    Args:
        axis: the quasi-identifier.
    """
    empty = np.zeros(axis.groups.shape[1], dtype=np.bool_)
    if "" in axis.labels[0]:
        empty[axis.labels[0].index("")] = True
    return empty


def _ends(present: Truth, places: Whole) -> tuple[Whole, Whole]:
    """Return the least and the greatest place in each class."""
    if not len(places):
        nothing = np.zeros(len(present), dtype=np.int64)
        return nothing, nothing
    order = np.argsort(places, kind="stable")
    ordered = present[:, order]
    first = np.argmax(ordered, axis=1)
    last = len(places) - 1 - np.argmax(ordered[:, ::-1], axis=1)
    return places[order][first], places[order][last]


def _labels(axis: Axis, member: Whole, leaves: Whole, count: int) -> Labels:
    texts = axis.labels[0]
    if axis.places is None and any({*text} & {*RESERVED} for text in texts):
        msg = (
            f"column {axis.name}: a value holds one of {RESERVED}, which "
            "set labels are written with; use hierarchy labels"
        )
        raise InvalidSpec(msg)
    order = np.arange(len(texts))
    if axis.places is not None:
        order = np.argsort(axis.places, kind="stable")
    present = _present(axis, member, leaves, count)[:, order]
    if axis.places is not None:
        present = _bounds(present)  # where a missing value is the first
    listed = [texts[leaf] for leaf in order.tolist()]
    kinds = _kinds(present)
    first = np.unique(kinds, return_index=True)[1]
    values: list[list[str]] = [[] for _ in first]
    kind, at = np.nonzero(present[first])
    for number, place in zip(kind.tolist(), at.tolist(), strict=True):
        values[number].append(listed[place])
    scaled = axis.places is not None
    texts_of = [_written(each, scaled=scaled) for each in values]
    return Labels.of(texts_of, kinds)


def _bounds(present: Truth) -> Truth:
    """Leave of each row of a matrix the first and the last truth."""
    lines = np.arange(len(present))
    bounds = np.zeros_like(present)
    bounds[lines, np.argmax(present, axis=1)] = True
    bounds[lines, -1 - np.argmax(present[:, ::-1], axis=1)] = True
    return bounds


def _kinds(present: Truth) -> Whole:
    """Number the distinct rows of a matrix of truths."""
    bits = np.packbits(present, axis=1)
    room = -bits.shape[1] % _WORD
    padded = np.ascontiguousarray(np.pad(bits, ((0, 0), (0, room))))
    return number_columns(padded.view(np.uint64).T)


def _written(values: list[str], *, scaled: bool) -> str:
    if len(values) == 1:
        return values[0]
    if "" in values:
        return "*"
    if not scaled:
        return "{" + "|".join(sorted(values)) + "}"
    plain = values[0].isdigit() and values[-1].isdigit()
    return f"{values[0]}{'-' if plain else '..'}{values[-1]}"
