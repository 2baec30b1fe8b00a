"""The next release to those who have the last ones.

Each release alone may be k-anonymous and two of them still single somebody
out: where one person left, two tables that differ in one row give that row
away; where classes were cut anew, their intersections are small. So a later
release is made from the earlier ones. People who were published together
ever since stay together (a *cell*), and cells are never cut. Classes that
lost one to k - 1 people are published as one, until they lost k, or are
withheld whole (`differences`). People who are new form classes of their own;
fewer than would fill one wait for a later release.

After that any class of an earlier release and any of this one have nobody or
at least k people in common, and of classes that are connected by people they
have in common the one release has nobody or at least k whom the other does
not have; each such set has l values. `crossing` checks it without this
module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from anonymize.classes import make_classes
from anonymize.criteria import Criteria
from anonymize.cube import Cube, Whole, make_cube
from anonymize.differences import Before, Cells, Labels, Values, settle
from anonymize.errors import (
    CriteriaNotMet,
    InvalidSpec,
    MissingExtra,
    SuccessionRefused,
)
from anonymize.hierarchies import Hierarchy, flat
from anonymize.partition import Plan, Published, choose, class_labels, counts
from anonymize.rules import Rules

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

ABSENT = -1
"""In place of a class, of a row that a release did not have."""
_CELL = "\0cell"
_NEARLY_ALL = 1 - 2**-40

Cell = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What earlier releases had, oldest first.

    Attributes:
        classes: for each of them the class of each row that is handed in
            now, or `ABSENT`.
        sizes: for each of them the rows of each class as it was published,
            those of people who are gone included.
        releases: for each of them what it is called in the report, or
            none.
        values: for each of them and each class, by sensitive column, the
            rows of each value as it was published; where it is not known,
            a class that lost anybody is withheld whole.
    """

    classes: tuple[Sequence[int], ...] = field(default=(), repr=False)
    sizes: tuple[Mapping[int, int], ...] = field(default=(), repr=False)
    releases: tuple[str, ...] = ()
    values: tuple[Mapping[int, Values], ...] = field(default=(), repr=False)

    def cells(self) -> list[Cell]:
        """Return for each row its classes in the earlier releases."""
        return [*zip(*self.classes, strict=True)]


def succeeding_labels(
    quasi: Mapping[str, tuple[Sequence[str], Hierarchy]],
    sensitive: Mapping[str, Sequence[str]],
    criteria: Criteria,
    past: Past,
    plan: Plan | None = None,
) -> Published:
    """Generalize quasi-identifiers so that earlier releases tell no more.

    Args:
        quasi: for each quasi-identifier its cells and its hierarchy; at
            least one.
        sensitive: for each sensitive column its cells.
        criteria: k, l and the suppression limit.
        past: one earlier release or more.
        plan: further terms; None has none.

    Raises:
        ValueNotCovered: a value has no place in its hierarchy.
        InvalidSpec: a model of people is asked for.
        SuccessionRefused: more rows than allowed would be withheld, or all.
    """
    plan = plan or Plan()
    if plan.of_people:
        msg = "models of people cannot be held over successive releases"
        raise InvalidSpec(msg)
    cells = past.cells()
    new = (ABSENT,) * len(past.classes)
    numbers = {cell: at for at, cell in enumerate(sorted({*cells, new}))}
    names = [str(numbers[cell]) for cell in cells]
    cube = make_cube(
        {**quasi, _CELL: (names, flat({*names}, where=_CELL))},
        {
            name: column
            for name, column in sensitive.items()
            if counts(name, criteria, plan)
        },
        len(cells),
    )
    own, cube = _cells_of(cube)
    rules = Rules(cube, criteria, plan.models)
    passing = _passing(cube, own, rules, numbers)
    kept = sorted(passing - {new})
    place = np.full(len(numbers), ABSENT, dtype=np.int64)
    place[[numbers[cell] for cell in kept]] = np.arange(len(kept))
    cell_of = place[own]
    member = np.full(len(own), ABSENT, dtype=np.int64)
    inside = np.flatnonzero(cell_of != ABSENT)
    if len(inside):
        settled = _settled(cube, cell_of, _before(kept, past), criteria)
        member[inside] = settled[cell_of[inside]]
    fresh = np.flatnonzero(own == numbers[new])
    member[fresh] = _newcomers(cube, fresh, len(kept), criteria, plan)
    return _published(cube, member, rules, criteria, plan)


def _before(kept: Sequence[Cell], past: Past) -> list[Before]:
    """Return what each earlier release had of the cells."""
    return [
        Before(
            number=[None if cell[at] == ABSENT else cell[at] for cell in kept],
            sizes=sizes,
            values=past.values[at] if past.values else {},
        )
        for at, sizes in enumerate(past.sizes)
    ]


def _settled(
    cube: Cube, cell_of: Whole, before: Sequence[Before], criteria: Criteria
) -> Whole:
    """Decide which cells are published, and which of them as one."""
    inside = np.flatnonzero(cell_of != ABSENT)
    part = replace(
        cube,
        leaves=cube.leaves[inside],
        weights=cube.weights[inside],
        counts=cube.counts[inside],
    )
    single = make_classes(part, cell_of[inside], join=False)
    waiting = cube.rows - int(single.weights.sum())
    settled = settle(
        Cells(
            weights=single.weights.tolist(),
            values=[_values_of(cube, line) for line in single.counts],
        ),
        before,
        Labels(cube.axes, single),
        k=criteria.k,
        l=criteria.l,
        may_withhold=max(0, criteria.allowed(cube.rows) - waiting),
    )
    return np.array(settled, dtype=np.int64)


def _values_of(cube: Cube, counted: Whole) -> dict[str, dict[str, int]]:
    """Return the values of a class by column; a missing one is none."""
    return {
        name: {
            value: int(many)
            for value, many in zip(
                cube.values[name], counted[first:last], strict=True
            )
            if many
        }
        for name, (first, last) in zip(cube.sensitive, cube.spans, strict=True)
    }


def _cells_of(cube: Cube) -> tuple[Whole, Cube]:
    """Take the cells off the axes: the cell of each tuple, and the rest."""
    *axes, cell = cube.axes
    texts = cell.labels[0]
    names = np.array(
        [int(texts[group]) for group in cell.groups[0]], dtype=np.int64
    )
    bare = replace(cube, axes=tuple(axes), leaves=cube.leaves[:, :-1])
    return names[cube.leaves[:, -1]], bare


def _passing(
    cube: Cube, member: Whole, rules: Rules, numbers: Mapping[Cell, int]
) -> set[Cell]:
    """Return the cells that hold every rule by themselves."""
    size = len(numbers)
    weights = np.bincount(member, cube.weights, minlength=size)
    counted = np.zeros((cube.counts.shape[1], size), dtype=np.int64)
    for at, column in enumerate(cube.counts.T):
        counted[at] = np.bincount(member, column, minlength=size)
    good = rules.passes(weights.astype(np.int64), counted)
    return {cell for cell, at in numbers.items() if good[at] and weights[at]}


def _newcomers(
    cube: Cube, fresh: Whole, first: int, criteria: Criteria, plan: Plan
) -> Whole:
    """Form classes of new people alone; who fits into none waits."""
    member = np.full(len(fresh), ABSENT, dtype=np.int64)
    if not len(fresh):
        return member
    alone = replace(
        cube,
        leaves=cube.leaves[fresh],
        weights=cube.weights[fresh],
        counts=cube.counts[fresh],
        tuples=np.arange(len(fresh)),
    )
    lenient = replace(criteria, suppression_limit=_NEARLY_ALL)
    try:
        found = choose(alone, lenient, plan)
    except CriteriaNotMet:
        return member
    numbers = np.where(
        found.kept[found.classes.member],
        found.classes.member + first,
        ABSENT,
    )
    return np.asarray(numbers, dtype=np.int64)


def _published(
    cube: Cube, member: Whole, rules: Rules, criteria: Criteria, plan: Plan
) -> Published:
    """Label what is kept; classes that would say nothing are withheld."""
    kept = np.flatnonzero(member != ABSENT)
    published: list[int] = []
    labels: dict[str, tuple[str, ...]] = {}
    if len(kept):
        part = replace(
            cube,
            leaves=cube.leaves[kept],
            weights=cube.weights[kept],
            counts=cube.counts[kept],
        )
        compact = np.unique(member[kept], return_inverse=True)[1]
        classes = make_classes(part, compact)
        good = rules.passes(classes.weights, classes.counts.T)
        good &= ~classes.blank(cube.axes)
        of_tuple = np.full(len(member), ABSENT, dtype=np.int64)
        of_tuple[kept] = np.where(good[classes.member], classes.member, ABSENT)
        of_row = of_tuple[cube.tuples]
        rows = np.flatnonzero(of_row != ABSENT)
        published = rows.tolist()
        of_class = class_labels(part, classes, plan)
        labels = {
            name: tuple(map(each.cells().__getitem__, of_row[rows].tolist()))
            for name, each in of_class.items()
        }
    withheld = cube.rows - len(published)
    allowed = criteria.allowed(cube.rows)
    if withheld > allowed or not published:
        raise SuccessionRefused(withheld=withheld, allowed=allowed)
    return Published(rows=tuple(published), labels=labels, way="succession")
