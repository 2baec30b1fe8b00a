"""The live classes of a repair, and who is joined with whom; see `repair`.

Failing classes are looked at a block at a time: what joining each with each
other would cost is one matrix, in which labels that occur again and again
are priced once. Whether a class passes with another depends on the value
counts of the two alone, of which there are few kinds. Of those in a block
that want the same partner the first has it; the others look again.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

from anonymize.classes import Classes
from anonymize.cube import Axis, Cube, Real, Truth, Whole
from anonymize.errors import MissingExtra
from anonymize.rules import Rules

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

_BLOCK = 64
_GROUPS = 4
_ROUNDING = 1e-9
_SEED = 0x6D6572676572
_LISTED = 1_000

Prices = npt.NDArray[np.float32]


class _Ladder:
    """What joint labels on one axis cost.

    A label is named by a place: its level and a leaf under it. Labels are
    also numbered, level by level.
    """

    def __init__(self, axis: Axis) -> None:
        self._axis = axis
        self.width = axis.groups.shape[1]
        sizes = axis.groups.max(axis=1) + 1
        self.labels = int(sizes.sum())
        starts = np.cumsum(sizes) - sizes
        self.numbers: Whole = (axis.groups + starts[:, None]).ravel()
        place = np.zeros(self.labels, dtype=np.int64)
        place[self.numbers[::-1]] = np.arange(len(self.numbers))[::-1]
        self._level, self._leaf = np.divmod(place, self.width)
        self._rows: dict[int, Prices] = {}
        self._table: Prices | None = None
        if self.labels <= _LISTED:
            self._table = self._joint(np.arange(self.labels))

    def costs(self, labels: Whole) -> Prices:
        """Return the cost of joint labels, every label by those given."""
        if self._table is not None:
            return self._table.take(labels, axis=1)
        rows = np.array([self._one(label) for label in labels.tolist()])
        result: Prices = np.ascontiguousarray(rows.T)
        return result

    def _one(self, label: int) -> Prices:
        found = self._rows.get(label)
        if found is None:
            found = self._rows[label] = self._joint(np.array([label]))[:, 0]
        return found

    def _joint(self, labels: Whole) -> Prices:
        axis = self._axis
        level, leaf = self._level[labels], self._leaf[labels]
        costs = np.ones((self.labels, len(labels)))
        for at in range(axis.levels - 1, -1, -1):
            groups = axis.groups[at]
            same = groups.take(self._leaf)[:, None] == groups.take(leaf)
            same &= (self._level <= at)[:, None]
            same &= level <= at
            costs = np.where(same, axis.costs[at].take(leaf), costs)
        return costs.astype(np.float32)

    def joint(self, places: Whole, others: Whole) -> tuple[Whole, Real]:
        """Return the places of joint labels, and what these cost."""
        level, leaf = np.divmod(places, self.width)
        again, there = np.divmod(others, self.width)
        groups = self._axis.groups
        same = groups[:, leaf] == groups[:, there]
        same &= np.arange(len(groups))[:, None] >= np.maximum(level, again)
        level = np.argmax(same, axis=0)
        return level * self.width + leaf, self._axis.costs[level, leaf]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Kinds:
    """Classes or tuples by their rows and value counts.

    Attributes:
        number: the kind of each.
        weights: rows of each kind.
        counts: rows of each sensitive value, values by kinds.
    """

    number: Whole
    weights: Real
    counts: Real

    @classmethod
    def of(cls, weights: Real, counts: Real) -> Self:
        """Put what has equal counts together.

        Two whose hashes were equal by chance would only be joined where
        another choice had been better.
        """
        _, first, number = np.unique(
            _words(weights, counts), return_index=True, return_inverse=True
        )
        return cls(
            number=number, weights=weights[first], counts=counts[:, first]
        )


def _words(weights: Real, counts: Real) -> npt.NDArray[np.uint64]:
    """Return a hash of rows and value counts."""
    odd = _odd_words(len(counts) + 1)
    words: npt.NDArray[np.uint64] = weights.astype(np.uint64) * odd[-1]
    for row, word in zip(counts, odd, strict=False):
        words += row.astype(np.uint64) * word
    return words


class _Register:
    """The kinds of classes that change; kinds that no class has any more stay.

    To find out about a few classes is quicker than to sort all anew.
    """

    def __init__(self, weights: Real, counts: Real) -> None:
        self._kinds = _Kinds.of(weights, counts)
        words = _words(self._kinds.weights, self._kinds.counts)
        self._known = {word: at for at, word in enumerate(words.tolist())}

    def of(self, classes: Whole) -> _Kinds:
        """Return the kinds, and that of each of some classes."""
        return replace(self._kinds, number=self._kinds.number.take(classes))

    def recount(self, classes: Whole, weights: Real, counts: Real) -> None:
        """Take note of what classes hold now.

        Args:
            classes: which.
            weights: rows of each.
            counts: rows of each sensitive value, values by classes.
        """
        fresh = []
        words = _words(weights, counts).tolist()
        for at, word in enumerate(words):
            if word not in self._known:
                self._known[word] = len(self._known)
                fresh.append(at)
        self._kinds.number[classes] = [self._known[word] for word in words]
        if fresh:
            kinds = self._kinds
            self._kinds = _Kinds(
                number=kinds.number,
                weights=np.append(kinds.weights, weights[fresh]),
                counts=np.append(kinds.counts, counts[:, fresh], axis=1),
            )


@lru_cache
def _odd_words(count: int) -> npt.NDArray[np.uint64]:
    """Draw words, the same for all; whoever gets them cannot change them."""
    chance = np.random.default_rng(_SEED)
    words = chance.integers(0, 2**64, count, dtype=np.uint64)
    words.flags.writeable = False
    return words


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Choice:
    """For each class of a block what it would best be joined with.

    Attributes:
        other: a class or a tuple; -1 for none.
        price: what that costs, for the good that it does.
        cost: what the joint label costs.
    """

    other: Whole
    price: Real
    cost: Real

    @classmethod
    def nothing(cls, count: int) -> Self:
        """Return the choice of classes that have found nothing."""
        return cls(
            other=np.full(count, -1, dtype=np.int64),
            price=np.full(count, np.inf),
            cost=np.full(count, np.inf),
        )

    def take(
        self, mine: Whole, others: Whole, price: Prices, costs: Prices
    ) -> None:
        """Let classes of the block choose the cheapest.

        Args:
            mine: which classes of the block.
            others: what they choose from, at least one.
            price: others by classes.
            costs: what the joint labels cost, likewise.
        """
        at = np.argmin(price, axis=0)
        lines = np.arange(len(mine))
        self.price[mine] = price[at, lines]
        self.cost[mine] = costs[at, lines]
        found = np.isfinite(self.price[mine])
        self.other[mine] = np.where(found, others[at], -1)


class Merger:
    """The live classes while they are merged, and what they can give."""

    def __init__(
        self,
        cube: Cube,
        classes: Classes,
        rules: Rules,
        allowed: int,
        *,
        give: bool,
    ) -> None:
        """Begin with a partition.

        Args:
            cube: the counted tuples; at least one axis.
            classes: the partition.
            rules: what a class must hold.
            allowed: rows that may be suppressed.
            give: whether tuples may change their class.
        """
        count = len(classes.weights)
        self._rules = rules
        self._budget = allowed
        self._ladders = [_Ladder(axis) for axis in cube.axes]
        widths = np.array([each.width for each in self._ladders])
        self._places = np.ascontiguousarray(
            (classes.levels * widths + classes.leaves).T
        )
        self._numbers = self._numbered(self._places)
        self._weights = classes.weights.astype(np.float64)
        self._counts = np.ascontiguousarray(classes.counts.T, np.float64)
        self._register = _Register(self._weights, self._counts)
        self._costs = classes.costs.astype(np.float64)
        self._alive = np.ones(count, dtype=np.bool_)
        self._into = np.arange(count)
        # tuples
        self._member = classes.member.copy()
        self._leaves = np.ascontiguousarray(cube.leaves.T)
        self._own = self._numbered(self._leaves)
        self._tuple_weights = cube.weights.astype(np.float64)
        self._tuple_counts = np.ascontiguousarray(cube.counts.T, np.float64)
        self._give = give
        if give:
            self._kinds = _Kinds.of(self._tuple_weights, self._tuple_counts)
            order = np.argsort(classes.member, kind="stable")
            ends = np.cumsum(np.bincount(classes.member))
            self._members = dict(
                enumerate(map(np.ndarray.tolist, np.split(order, ends[:-1])))
            )
            self._loose = np.zeros(len(cube.weights), dtype=np.bool_)
            self._loosen(np.arange(len(cube.weights)))

    def _numbered(self, places: Whole) -> Whole:
        """Return the numbers of labels, as places axis by axis."""
        return np.stack(
            [
                ladder.numbers.take(own)
                for ladder, own in zip(self._ladders, places, strict=True)
            ]
        )

    def member(self) -> Whole:
        """Return the class of each tuple."""
        into = self._into
        while True:
            further = into[into]
            if np.array_equal(further, into):
                break
            into = further
        result: Whole = into[self._member]
        return result

    def cure(self, failing: Sequence[int]) -> None:
        """Merge classes, or give them tuples, until they pass.

        Args:
            failing: the classes, in their order.
        """
        queue = deque(failing)
        while queue:
            some = [queue.popleft() for _ in range(min(_BLOCK, len(queue)))]
            block = self._failing(some)
            if len(block):
                queue.extendleft(reversed(self._cure(block)))

    def _failing(self, some: Sequence[int]) -> Whole:
        numbers = np.array(some, dtype=np.int64)
        numbers = numbers[self._alive[numbers]]
        weights, counts = self._weights[numbers], self._counts[:, numbers]
        failing: Whole = numbers[~self._rules.passes(weights, counts)]
        return failing

    def _cure(self, block: Whole) -> list[int]:
        """Cure a block of classes; return those that have to look again."""
        partners = self._partners(block)
        donors = _Choice.nothing(len(block))
        if self._give:
            donors = self._donors(block)
        again: list[int] = []
        pairs: list[tuple[int, int]] = []
        taken: set[int] = set()
        for at, number in enumerate(block.tolist()):
            given = donors.price[at] < partners.price[at]
            other = int(donors.other[at] if given else partners.other[at])
            partner = int(self._member[other]) if given else other
            if partner < 0:
                continue
            if number in taken or partner in taken:
                again.append(number)
                continue
            if not given and self._spared(number, float(partners.cost[at])):
                continue
            again.append(number)
            taken |= {number, partner}
            if given:
                self._receive(number, other, float(donors.cost[at]))
            else:
                pairs.append((number, partner))
        if pairs:
            self._merge(*np.array(pairs, dtype=np.int64).T)
        return [*map(int, self._failing(again))]

    def _spared(self, number: int, cost: float) -> bool:
        """Leave a class out that would drag its partner down with it."""
        weight = self._weights[number]
        if cost < len(self._ladders) - _ROUNDING or weight > self._budget:
            return False
        self._budget -= int(weight)
        return True

    def _partners(self, block: Whole) -> _Choice:
        """Choose whom each of a block is merged with."""
        live = np.flatnonzero(self._alive)
        kinds = self._register.of(live)
        choice = _Choice.nothing(len(block))
        for mine, good in self._alike(block, kinds):
            there = np.flatnonzero(good.any(axis=1).take(kinds.number))
            if not len(there):
                continue
            others = live[there]
            costs = self._joint_costs(block[mine], self._numbers[:, others])
            rise = self._rises(block[mine], others, costs)
            if good.shape[1] > 1:
                rise[~good.take(kinds.number[there], axis=0)] = np.inf
            choice.take(mine, others, rise, costs)
        lost = np.flatnonzero(choice.other < 0)
        if len(lost) and len(live) > 1:
            costs = self._joint_costs(block[lost], self._numbers[:, live])
            rise = self._rises(block[lost], live, costs)
            self._weigh(block[lost], kinds, rise)
            choice.take(lost, live, rise, costs)
        return choice

    def _alike(
        self, block: Whole, kinds: _Kinds
    ) -> Iterator[tuple[Whole, Truth]]:
        """Tell with which kinds of others those of a block pass.

        Returns:
            Members of the block, and for each kind of others whether they
            pass with it: one column for all of them where they agree, else
            one each.
        """
        own = _Kinds.of(self._weights[block], self._counts[:, block])
        good = np.stack(
            [
                self._rules.passes(
                    weight + kinds.weights,
                    own.counts[:, at, None] + kinds.counts,
                )
                for at, weight in enumerate(own.weights)
            ],
            axis=1,
        )
        groups: dict[bytes, list[int]] = {}
        for at, column in enumerate(good.T):
            groups.setdefault(column.tobytes(), []).append(at)
        if len(groups) > _GROUPS:
            yield np.arange(len(block)), good[:, own.number]
            return
        for some in groups.values():
            inside = np.zeros(len(own.weights), dtype=np.bool_)
            inside[some] = True
            mine = np.flatnonzero(inside[own.number])
            yield mine, good[:, some[:1]]

    def _joint_costs(self, classes: Whole, others: Whole) -> Prices:
        """Return what joint labels cost, others by classes.

        Args:
            classes: the classes.
            others: the numbers of the others' labels, axes by others.
        """
        total = np.zeros((others.shape[1], len(classes)), dtype=np.float32)
        for at, ladder in enumerate(self._ladders):
            costs = ladder.costs(self._numbers[at, classes])
            total += costs.take(others[at], axis=0)
        return total

    def _rises(self, numbers: Whole, others: Whole, costs: Prices) -> Prices:
        """Return by how much merging raises the summed cost of labels."""
        heavy = self._weights.astype(np.float32)
        paid = (self._weights * self._costs).astype(np.float32)
        rise: Prices = heavy[others][:, None] + heavy[numbers]
        rise *= costs
        rise -= paid[others][:, None]
        rise -= paid[numbers]
        at = np.searchsorted(others, numbers).clip(max=len(others) - 1)
        own = np.flatnonzero(others[at] == numbers)
        rise[at[own], own] = np.inf
        return rise

    def _weigh(self, numbers: Whole, kinds: _Kinds, rise: Prices) -> None:
        """Divide the rise by how much nearer a class comes to passing."""
        weights, counts = self._weights[numbers], self._counts[:, numbers]
        now = self._rules.excess(weights, counts)
        for at in range(len(numbers)):
            after = self._rules.excess(
                weights[at] + kinds.weights,
                counts[:, at, None] + kinds.counts,
            )
            gain = ((now[at] - after) / max(now[at], 1e-12))[kinds.number]
            there = np.isfinite(rise[:, at])
            price = np.maximum(rise[:, at], 1e-6)
            if (gain[there] > 0).any():
                price /= np.maximum(gain, 1e-9)
                there &= gain > 0
            else:
                price *= 1e9
            rise[:, at] = np.where(there, price, np.inf)

    def _donors(self, block: Whole) -> _Choice:
        """Choose the tuple that cures each of a block at the least rise."""
        choice = _Choice.nothing(len(block))
        for mine, good in self._alike(block, self._kinds):
            cures = good.any(axis=1).take(self._kinds.number)
            loose = np.flatnonzero(cures & self._loose)
            if not len(loose):
                continue
            numbers = block[mine]
            costs = self._joint_costs(numbers, self._own[:, loose])
            giver = self._member[loose]
            own = self._tuple_weights[loose].astype(np.float32)
            heavy = self._weights[numbers].astype(np.float32)
            rise: Prices = (own[:, None] + heavy) * costs
            rise -= heavy * self._costs[numbers].astype(np.float32)
            rise -= (own * self._costs[giver].astype(np.float32))[:, None]
            rise[giver[:, None] == numbers] = np.inf
            if good.shape[1] > 1:
                kinds = self._kinds.number[loose]
                rise[~good.take(kinds, axis=0)] = np.inf
            choice.take(mine, loose, rise, costs)
        return choice

    def _receive(self, number: int, donor: int, cost: float) -> None:
        giver = int(self._member[donor])
        self._weights[giver] -= self._tuple_weights[donor]
        self._counts[:, giver] -= self._tuple_counts[:, donor]
        self._weights[number] += self._tuple_weights[donor]
        self._counts[:, number] += self._tuple_counts[:, donor]
        self._recount(np.array([giver, number]))
        self._member[donor] = number
        self._members[giver].remove(donor)
        self._members[number].append(donor)
        for at, ladder in enumerate(self._ladders):
            self._places[at, number] = ladder.joint(
                self._places[at, [number]], self._leaves[at, [donor]]
            )[0][0]
        self._numbers[:, [number]] = self._numbered(self._places[:, [number]])
        self._costs[number] = cost
        self._loosen(np.array(self._members[giver] + self._members[number]))

    def _merge(self, mine: Whole, others: Whole) -> None:
        """Merge pairs of classes; no class is in two of them."""
        cost = np.zeros(len(mine))
        for at, ladder in enumerate(self._ladders):
            places, costs = ladder.joint(
                self._places[at, mine], self._places[at, others]
            )
            self._places[at, mine] = places
            cost += costs
        self._numbers[:, mine] = self._numbered(self._places[:, mine])
        self._weights[mine] += self._weights[others]
        self._counts[:, mine] += self._counts[:, others]
        self._recount(mine)
        self._costs[mine] = cost
        self._alive[others] = False
        if not self._give:
            self._into[others] = mine
            return
        for number, other in zip(mine.tolist(), others.tolist(), strict=True):
            moved = self._members.pop(other)
            self._member[moved] = number
            self._members[number] += moved
            self._loosen(np.array(self._members[number]))

    def _recount(self, classes: Whole) -> None:
        """Take note of classes whose rows are others now."""
        self._register.recount(
            classes, self._weights[classes], self._counts[:, classes]
        )

    def _loosen(self, tuples: Whole) -> None:
        """Find out which tuples their classes can do without."""
        classes = self._member[tuples]
        rest = self._weights[classes] - self._tuple_weights[tuples]
        counts = self._counts[:, classes] - self._tuple_counts[:, tuples]
        # The last tuple stays: a class of none would hold any rule.
        self._loose[tuples] = self._rules.passes(rest, counts) & (rest > 0)
