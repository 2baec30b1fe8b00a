"""From a table's columns to the published labels of its rows.

Several ways to form classes are tried, the portfolio; each is repaired
until it holds the rules, and what cannot be published is left out: classes
that still fail, and those whose labels say nothing. The best by NCP is
published; of equal ones the one that was tried first.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anonymize.classes import Classes, Labels, make_classes
from anonymize.criteria import Criteria
from anonymize.cube import Cube, Truth, Whole, make_cube
from anonymize.errors import CriteriaNotMet, MissingExtra
from anonymize.hierarchies import Hierarchy
from anonymize.lattice import OPEN, walk
from anonymize.members import members
from anonymize.models import Closeness, Likeness, OfPeople, OfValues, Reference
from anonymize.mondrian import mondrian
from anonymize.population import Population
from anonymize.repair import repair
from anonymize.rules import Rules
from anonymize.sets import set_costs, set_labels
from anonymize.sweep import sweep

try:
    import numpy as np
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_SMALL = 2_000
_CUT = 60_000
_ROUNDING = 1e-9
_CHEAP = 0.11
_SHARE = 0.65
_BLOCK = 30_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How classes are to be formed, beside the criteria.

    Attributes:
        models: further models of sensitive values.
        fast: try only the way that is best for its time.
        weights: weight of each quasi-identifier's labels, 1 where it has
            none.
        sets: whether labels are sets of values rather than nodes of the
            hierarchies.
        of_people: models of the people that a label matches.
        population: whom the people of the table are among.
    """

    models: tuple[OfValues, ...] = ()
    fast: bool = False
    weights: Mapping[str, float] = field(default_factory=dict)
    sets: bool = False
    of_people: tuple[OfPeople, ...] = ()
    population: Population | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the engine publishes.

    Attributes:
        rows: numbers of the rows that are published, rising.
        labels: for each quasi-identifier the label of each of those rows.
        way: name of the way that formed the classes.
    """

    rows: tuple[int, ...]
    labels: Mapping[str, tuple[str, ...]]
    way: str = ""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Found:
    """A partition that one of the ways found.

    Attributes:
        way: its name.
        classes: the classes.
        kept: which of them are published.
        loss: NCP summed over the rows.
    """

    way: str
    classes: Classes
    kept: Truth = field(repr=False)
    loss: float


def published_labels(
    quasi: Mapping[str, tuple[Sequence[str], Hierarchy]],
    sensitive: Mapping[str, Sequence[str]],
    criteria: Criteria,
    count: int,
    plan: Plan | None = None,
) -> Published:
    """Generalize the quasi-identifiers of a table.

    Args:
        quasi: for each quasi-identifier its cells and its hierarchy.
        sensitive: for each sensitive column its cells.
        criteria: k, l and the suppression limit.
        count: number of rows, 1 or more.
        plan: further terms; None has none.

    Raises:
        ValueNotCovered: a value has no place in its hierarchy.
        CriteriaNotMet: more rows than allowed would be left out, or all.
        InvalidSpec: the lattice is too large.
    """
    plan = plan or Plan()
    counted = {
        name: column
        for name, column in sensitive.items()
        if counts(name, criteria, plan)
    }
    cube = make_cube(quasi, counted, count, plan.population)
    if not quasi:
        return Published(rows=tuple(range(count)), labels={})
    best = choose(cube, criteria, plan)
    member = best.classes.member[cube.tuples]
    rows = np.flatnonzero(best.kept[member])
    numbers = member[rows].tolist()
    labels = {
        name: tuple(map(of_class.cells().__getitem__, numbers))
        for name, of_class in class_labels(cube, best.classes, plan).items()
    }
    return Published(rows=tuple(rows.tolist()), labels=labels, way=best.way)


def counts(name: str, criteria: Criteria, plan: Plan) -> bool:
    """Tell whether the values of a sensitive column must be counted.

    Args:
        name: the column.
        criteria: k and l.
        plan: further terms.
    """
    return criteria.l > 1 or any(m.column == name for m in plan.models)


def choose(cube: Cube, criteria: Criteria, plan: Plan) -> Found:
    """Form classes in the ways there are, and take the best.

    Args:
        cube: the counted tuples; at least one axis.
        criteria: k, l and the suppression limit.
        plan: further terms.

    Raises:
        CriteriaNotMet: more rows than allowed would be left out, or all.
        InvalidSpec: the lattice is too large.
    """
    _keep_memory()
    count = cube.rows
    cube = _weighted(cube, plan.weights)
    good, tried = _try(cube, criteria, plan)
    if not good and plan.fast:
        good, tried = _try(cube, criteria, replace(plan, fast=False))
    if not good:
        raise _refusal(tried, criteria, count)
    return min(good, key=lambda each: round(each.loss, 6))


def _keep_memory() -> None:
    """Have the memory of freed arrays kept for the next ones.

    glibc gives memory back to the system above a limit that grows with the
    largest block it has seen freed, up to 32 MiB. Without one, arrays of a
    few megabytes come with a page fault for each 4 KiB, again and again,
    which was a third of a sweep's time. Nothing is written to the block, so
    it takes no memory; elsewhere than in glibc it does nothing.
    """
    block = np.empty(_BLOCK, dtype=np.uint8)
    del block


def class_labels(
    cube: Cube, classes: Classes, plan: Plan
) -> dict[str, Labels]:
    """Return the labels of the classes on each axis.

    Args:
        cube: the counted tuples.
        classes: their partition.
        plan: tells the form of the labels.
    """
    if plan.sets:
        return set_labels(cube, classes.member)
    labels = {}
    for at, axis in enumerate(cube.axes):
        levels, leaves = classes.levels[:, at], classes.leaves[:, at]
        width = axis.groups.shape[1]
        texts = [
            each
            for level in axis.labels
            for each in (*level, *[""] * (width - len(level)))
        ]
        numbers = levels * width + axis.groups[levels, leaves]
        labels[axis.name] = Labels.of(texts, numbers)
    return labels


def _try(
    cube: Cube, criteria: Criteria, plan: Plan
) -> tuple[list[Found], list[Found]]:
    """Return the partitions that can be published, and all."""
    count = cube.rows
    rules = Rules(cube, criteria, (*plan.models, *plan.of_people))
    allowed = criteria.allowed(count)
    tried = list(_ways(cube, rules, allowed, plan))
    if allowed and _compares(plan):
        tried += _ways(cube, rules, 0, plan)
        tried = [each for each in tried if _holds(cube, each, criteria, plan)]
    good = [each for each in tried if _left_out(each) <= allowed]
    good = [each for each in good if _left_out(each) < count]
    if any(isinstance(m, Closeness | Likeness) for m in plan.models):
        # The reference is published: fewer rows than a class could be read
        # off it by subtraction.
        apart = range(1, criteria.k)
        good = [each for each in good if _left_out(each) not in apart]
    return good, tried


def _weighted(cube: Cube, weights: Mapping[str, float]) -> Cube:
    """Weigh the costs of labels; the costliest label costs as before."""
    given = [weights.get(axis.name, 1.0) for axis in cube.axes]
    if len({*given}) == 1:
        return cube
    scale = len(given) / sum(given)
    axes = (
        replace(
            axis, costs=axis.costs * (weight * scale), weight=weight * scale
        )
        for axis, weight in zip(cube.axes, given, strict=True)
    )
    return replace(cube, axes=tuple(axes))


def _compares(plan: Plan) -> bool:
    """Tell whether a model compares with the rows that are published."""
    return any(
        isinstance(model, Closeness | Likeness)
        and model.reference is Reference.PUBLISHED
        for model in plan.models
    )


def _holds(cube: Cube, found: Found, criteria: Criteria, plan: Plan) -> bool:
    """Tell whether what is published holds its models by its own rows."""
    counts = found.classes.counts[found.kept]
    models = [
        model
        for model in plan.models
        if isinstance(model, Closeness | Likeness)
        and model.reference is Reference.PUBLISHED
    ]
    total = counts.sum(axis=0)
    if not total.any():
        return False
    rules = Rules(cube, criteria, models, total)
    weights = found.classes.weights[found.kept]
    return bool(rules.passes(weights, counts.T).all())


def _refusal(
    tried: Sequence[Found], criteria: Criteria, count: int
) -> CriteriaNotMet:
    if not tried:
        return CriteriaNotMet(
            k_asked=criteria.k,
            k_reached=0,
            l_asked=criteria.l,
            suppressed=count,
            allowed=criteria.allowed(count),
        )
    best = min(tried, key=_left_out)
    kept = best.classes.weights[best.kept]
    kept = kept[kept > 0]  # classes of people who are not in the table
    return CriteriaNotMet(
        k_asked=criteria.k,
        k_reached=int(kept.min(initial=count)) if len(kept) else 0,
        l_asked=criteria.l,
        suppressed=_left_out(best),
        allowed=criteria.allowed(count),
    )


def _left_out(found: Found) -> int:
    return int(found.classes.weights[~found.kept].sum())


def _ways(
    cube: Cube, rules: Rules, allowed: int, plan: Plan
) -> Iterator[Found]:
    """Try the ways to form classes."""

    def both(way: str, member: Whole) -> Iterator[Found]:
        return _both(way, (cube, member), rules, allowed, plan)

    if plan.sets and rules.plain:
        yield from both(
            "mondrian+members", members(cube, rules, fast=plan.fast)
        )
        if plan.fast:
            return
    if rules.plain or rules.only_distinct or not plan.fast:
        share = _SHARE if plan.fast and rules.plain else 0.0
        yield from both("sweep", sweep(cube, rules.k, share=share))
    if not rules.only_distinct:
        yield from both("early+sweep", _early(cube, rules))
    if plan.fast:
        return
    if len(cube.weights) <= _SMALL:
        yield from both("walk", walk(cube, rules.k))
    if len(cube.weights) <= _CUT:
        yield from both("mondrian", mondrian(cube, rules))


def _both(
    way: str,
    tuples: tuple[Cube, Whole],
    rules: Rules,
    allowed: int,
    plan: Plan,
) -> Iterator[Found]:
    """Return what a way found, and what repair makes of it."""
    cube, member = tuples
    join, give = not plan.sets, not plan.fast
    classes = make_classes(cube, _with_open(member), join=join)
    better = repair(cube, classes, rules, allowed, give=give, join=join)
    if rules.plain or better is classes:
        yield _found(way, cube, classes, rules, plan)
    if better is not classes:
        yield _found(f"{way}+repair", cube, better, rules, plan)


def _early(cube: Cube, rules: Rules) -> Whole:
    """Close what holds all rules while that is cheap, the rest by k alone.

    Later the rules are met by repair at less cost: groups that meet them
    by themselves would use up the rare values.
    """
    until = _CHEAP * len(cube.axes)
    member = sweep(cube, rules.k, rules=rules, until=until)
    rest = np.flatnonzero(member == OPEN)
    again = sweep(cube, rules.k, still=rest)[rest]
    again[again != OPEN] += member.max(initial=OPEN) + 1
    member[rest] = again
    return member


def _with_open(member: Whole) -> Whole:
    """Make each tuple that is open a class of its own."""
    alone = np.flatnonzero(member == OPEN)
    member[alone] = np.arange(len(alone)) + member.max(initial=OPEN) + 1
    return member


def _found(
    way: str, cube: Cube, classes: Classes, rules: Rules, plan: Plan
) -> Found:
    kept = rules.passes(classes.weights, classes.counts.T)
    if plan.sets:
        costs = set_costs(cube, classes.member)
        full = sum(axis.weight for axis in cube.axes)
        kept &= costs < full - _ROUNDING  # or they say nothing
    else:
        costs = classes.costs
        kept &= ~classes.blank(cube.axes)
    costs = np.where(kept, costs, float(len(cube.axes)))
    return Found(
        way=way,
        classes=classes,
        kept=kept,
        loss=float(classes.weights @ costs),
    )
