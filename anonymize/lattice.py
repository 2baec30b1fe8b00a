"""The lattice walk: classes of at least k rows at the least mean cost.

A node of the lattice is one level for each quasi-identifier. The nodes are
visited in the order of what they cost on average over the tuples that the
first of them leaves open; at each, every group of tuples still open that has
k rows or more becomes a class and is closed. What is still open at the end
goes to repair or is suppressed. The node where all is ``*`` is not visited:
a row that says nothing is a suppressed row.

A class's labels are the lowest that cover its members: had they agreed on a
lower one, a cheaper node would have closed them before.

Groups are counted in two steps. A hash of the group's key counts rows in a
table of a fixed size; a collision can only make a count too high. Only
tuples in slots that reach k are then grouped by their exact keys.
"""

from anonymize.cube import Axis, Cube, Truth, Whole, number_columns
from anonymize.errors import InvalidSpec, MissingExtra

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

Keys = npt.NDArray[np.uint64]
Weights = npt.NDArray[np.float64]

MAX_NODES = 1_000_000
"""Largest lattice that is walked."""
OPEN = -1
"""Class of a tuple that no node closed."""
_ODD = 0x9E3779B97F4A7C15  # 2^64 over the golden ratio: spreads the keys
_DECIMALS = 12
_WORD = 2**63


def walk(cube: Cube, k: int) -> Whole:
    """Put tuples into classes.

    Args:
        cube: the counted tuples; at least one axis.
        k: least number of rows in a class.

    Returns:
        The class of each tuple, numbered from 0, or `OPEN`.

    Raises:
        InvalidSpec: the lattice has more than `MAX_NODES` nodes.
    """
    kept = [_distinct_levels(axis) for axis in cube.axes]
    nodes = _ordered_nodes(cube, kept, cube.weights < k)
    parts = _key_parts(cube, kept)
    classes = np.full(len(cube.weights), OPEN, dtype=np.int64)
    still = np.arange(len(cube.weights))
    weights = cube.weights.astype(np.float64)
    closed = 0
    for node in nodes:
        if weights.sum() < k:
            break
        keys = np.add.reduce(parts[:, node], axis=1)
        groups = _large_groups(keys, weights, k)
        if groups is None:
            continue
        done = groups != OPEN
        classes[still[done]] = groups[done] + closed
        closed += int(groups.max()) + 1
        still, weights = still[~done], weights[~done]
        parts = parts[:, :, ~done]
    return classes


def _distinct_levels(axis: Axis) -> list[int]:
    """Levels whose groups differ from those of the level below.

    A level that groups the leaves that occur as the level below does can
    close nothing that a cheaper node has not closed.
    """
    kept = [0]
    for level in range(1, axis.levels):
        same = axis.groups[level].max() == axis.groups[kept[-1]].max()
        if not same:
            kept.append(level)
    return kept


def _ordered_nodes(cube: Cube, kept: list[list[int]], small: Truth) -> Whole:
    """Return the nodes by mean cost, each as indices into the key parts."""
    shape = tuple(len(levels) for levels in kept)
    if np.prod(shape, dtype=np.float64) > MAX_NODES:
        msg = (
            f"the lattice of the quasi-identifiers has more than {MAX_NODES} "
            "nodes; give them fewer levels, or fewer of them a role"
        )
        raise InvalidSpec(msg)
    nodes = np.indices(shape).reshape(len(shape), -1)
    cost = np.zeros(nodes.shape[1])
    counted = cube.leaves[small] if small.any() else cube.leaves
    for axis, levels, chosen, leaves in zip(
        cube.axes, kept, nodes, counted.T, strict=True
    ):
        cost += axis.costs[levels][:, leaves].mean(axis=1)[chosen]
    # The last node, where everything is generalized most, says nothing only
    # if each axis ends in *, which every axis does unless one leaf occurs.
    tops = [axis.levels - 1 for axis in cube.axes]
    reached = [levels[-1] for levels in kept]
    if tops == reached:
        nodes, cost = nodes[:, :-1], cost[:-1]
    order = np.lexsort(
        (*nodes[::-1], nodes.sum(axis=0), cost.round(_DECIMALS))
    )
    offsets = np.cumsum([0, *shape[:-1]])
    ordered: Whole = nodes[:, order].T + offsets
    return ordered


def _key_parts(cube: Cube, kept: list[list[int]]) -> Keys:
    """Return what each axis and level adds to the key of each tuple.

    Returns:
        Words by axes' levels by tuples. Added up over the axes of a node
        they give the tuple's group as 64-bit mixed-radix words.
    """
    rows: list[tuple[int, npt.NDArray[np.uint64]]] = []
    word, room = 0, 1
    for axis, levels, leaves in zip(
        cube.axes, kept, cube.leaves.T, strict=True
    ):
        size = axis.groups.shape[1]
        if room * size >= _WORD:
            word, room = word + 1, 1
        for level in levels:
            group = axis.groups[level][leaves].astype(np.uint64)
            rows.append((word, group * np.uint64(room)))
        room *= size
    parts = np.zeros((word + 1, len(rows), len(cube.weights)), np.uint64)
    for at, (word, part) in enumerate(rows):
        parts[word, at] = part
    return parts


def _large_groups(keys: Keys, weights: Weights, k: int) -> Whole | None:
    """Number the groups that have k rows or more, the others `OPEN`."""
    count = keys.shape[1]
    bits = max(count - 1, 1).bit_length() + 1
    mixed = keys[0]
    for word in keys[1:]:
        mixed = mixed * np.uint64(_ODD) ^ word
    slots = (mixed * np.uint64(_ODD)) >> np.uint64(64 - bits)
    slots = slots.astype(np.int64)
    sums = np.bincount(slots, weights, minlength=1 << bits)
    maybe = np.flatnonzero(sums[slots] >= k)
    if not len(maybe):
        return None
    numbers = number_columns(keys[:, maybe])
    large = np.bincount(numbers, weights[maybe]) >= k
    if not large.any():
        return None
    renumbered = np.where(large, np.cumsum(large) - 1, OPEN)
    groups = np.full(count, OPEN, dtype=np.int64)
    groups[maybe] = renumbered[numbers]
    return groups
