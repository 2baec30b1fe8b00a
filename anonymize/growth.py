"""Clusters grown around rare tuples, many at a time; see `members`.

In each part the rarest open tuples are the seeds. Each lists the open tuples
that would join it at the least cost, and takes of those, one after the
other, the one that makes the set labels dearer by the least for the rows
that it brings, until there are k rows. Of two clusters that want one tuple
the cheaper has it. A cluster that cannot be filled is given up, and its
tuples are open again in the next round.

What decides are single-precision sums in a fixed order, and places where
those are equal, so that all machines find the same clusters.
"""

from anonymize.cube import Cube, Truth, Whole, short
from anonymize.errors import MissingExtra

try:
    import numpy as np
    import numpy.typing as npt
except ImportError as missing:
    raise MissingExtra(library="numpy") from missing

Prices = npt.NDArray[np.float32]

_SPARE = 0.1
_APART = 6
_LISTED = 8
_CELLS = 1_000_000
_LAST = np.int32(2**31 - 1)


def grow(cube: Cube, part: Whole, k: int, *, seeds: int) -> Whole:
    """Grow clusters of k rows or more within parts.

    Args:
        cube: the counted tuples; each has fewer than k rows.
        part: the part of each tuple.
        k: least rows of a cluster.
        seeds: how many clusters of a part are grown at once, at most; more
            are quicker, and cost a little.

    Returns:
        The cluster of each tuple, numbered from 0 without gaps; -1 where
        fewer than k rows were left in a part.
    """
    member = np.full(len(part), -1, dtype=np.int64)
    values = _Values(cube)
    count = int(part.max()) + 1
    limit = np.full(count, seeds)
    open_ = np.lexsort((-_rareness(cube, part), short(part)))
    following = 0
    while True:
        home = part.take(open_)
        rows = np.bincount(home, cube.weights.take(open_), minlength=count)
        enough = rows.take(home) >= k
        open_, home = open_[enough], home[enough]
        if not len(open_):
            return member
        many = np.clip(rows.astype(np.int64) // (_APART * k), 1, limit)
        lines = _Lines(values, open_, home, many, k)
        lines.fill()
        full = np.flatnonzero(lines.held >= k)
        numbers = np.full(len(lines.held), -1, dtype=np.int64)
        numbers[full] = following + np.arange(len(full))
        following += len(full)
        taken = np.flatnonzero(lines.owner >= 0)
        member[taken] = numbers.take(lines.owner.take(taken))
        # One that grows alone finds k rows, so that each round goes on.
        limit[:] = 1
        limit[lines.home[full]] = seeds
        open_ = open_[member.take(open_) < 0]


class _Values:
    """The values of tuples, as they are compared.

    Attributes:
        plain: the leaf of each tuple, axes without a scale by tuples.
        prices: what a further value adds to the cost of such an axis.
        scaled: for each other axis the place of each tuple's value, in
            units of cost.
        weights: rows of each tuple.
    """

    def __init__(self, cube: Cube) -> None:
        self.weights = cube.weights.astype(np.float32)
        widest = max(axis.groups.shape[1] for axis in cube.axes)
        plain, prices, scaled = [], [], []
        for at, axis in enumerate(cube.axes):
            leaves = cube.leaves[:, at]
            price = axis.weight / axis.span
            if axis.places is None:
                plain.append(leaves)
                prices.append(price)
            else:
                places = axis.places.clip(*axis.bounds) - axis.bounds[0]
                scaled.append((places * price).take(leaves))
        shape = -1, len(self.weights)
        kind = np.min_scalar_type(widest)
        self.plain = np.array(plain, dtype=kind).reshape(shape)
        self.prices = np.array(prices, dtype=np.float32)
        self.scaled = np.array(scaled, dtype=np.float32).reshape(shape)


def _rareness(cube: Cube, part: Whole) -> Prices:
    """Return what tuples would cost beside the others of their part."""
    rows = np.bincount(part, cube.weights)
    total = np.zeros(len(part))
    for at, axis in enumerate(cube.axes):
        leaves = cube.leaves[:, at]
        if axis.places is None:
            value = part * axis.groups.shape[1]
            value += leaves
            share = np.bincount(value, cube.weights).take(value)
            away = 1 - share / rows.take(part)
        else:
            place = axis.places.clip(*axis.bounds)[leaves]
            middle = np.bincount(part, cube.weights * place) / rows
            away = np.abs(place - middle.take(part))
        total += away * (axis.weight / axis.span)
    return total.astype(np.float32)


class _Lines:
    """The clusters of a round, a line each."""

    def __init__(
        self,
        values: _Values,
        open_: Whole,
        home: Whole,
        many: Whole,
        k: int,
    ) -> None:
        """Plant the seeds, and list what is near to each.

        Args:
            values: of all tuples.
            open_: the open tuples, part by part, the rarest first.
            home: the part of each of them.
            many: seeds of each part.
            k: least rows of a cluster.
        """
        self._k = np.float32(k)
        self._listed = k * _LISTED
        self._values = values
        starts = np.flatnonzero(np.diff(home, prepend=-1))
        sizes = np.diff(starts, append=len(home))
        many = np.minimum(many[home[starts]], sizes)
        block = np.repeat(np.arange(len(starts)), many)
        slot = np.arange(len(block)) - np.repeat(np.cumsum(many) - many, many)
        seeds = open_[starts[block] + slot]
        self.home = home[starts[block]]
        self.owner = np.full(len(values.weights), -1, dtype=np.int64)
        self.owner[seeds] = np.arange(len(seeds))
        self.held = values.weights.take(seeds)
        self._cost = np.zeros(len(seeds), dtype=np.float32)
        self._seeds = seeds
        place = np.arange(int(sizes.max()))
        at = (starts[:, None] + place).clip(max=len(open_) - 1)
        tuples = open_.take(at)
        lost = (place < many[:, None]) | (place >= sizes[:, None])
        step = max(_CELLS // len(place), 1)
        listed = [
            self._near(seeds[some], block[some], tuples, lost)
            for some in (
                slice(start, start + step)
                for start in range(0, len(seeds), step)
            )
        ]
        near, blocked = (
            np.concatenate(each) for each in zip(*listed, strict=True)
        )
        self._tuples, self._blocked = near, blocked

    def _near(
        self, seeds: Whole, block: Whole, tuples: Whole, lost: Truth
    ) -> tuple[Whole, Truth]:
        """List what is nearest to seeds; of equally near ones the first.

        Args:
            seeds: some of the seeds.
            block: the line of `tuples` that each is to choose from.
            tuples: the tuples of each part.
            lost: which of them are none, or seeds.

        Returns:
            For each seed the tuples, and which of them are none.
        """
        width = tuples.shape[1]
        low = np.int32((1 << width.bit_length()) - 1)
        # Numbers that are 0 or more are in the order of their bits, the last
        # of which give way to the place.
        keys = self._away(seeds, block, tuples).view(np.int32)
        keys &= ~low
        keys |= np.arange(width, dtype=np.int32)
        keys[lost.take(block, axis=0)] = _LAST
        if self._listed < width:
            keys = np.partition(keys, self._listed, axis=1)
            keys = keys[:, : self._listed]
        keys.sort(axis=1)
        place = (keys & low).clip(max=width - 1) + block[:, None] * width
        return tuples.take(place), keys == _LAST

    def _away(self, seeds: Whole, block: Whole, tuples: Whole) -> Prices:
        """Return how far the tuples of their parts are from seeds."""
        away = np.zeros((len(seeds), tuples.shape[1]), dtype=np.float32)
        values = self._values
        first, last = int(block[0]), int(block[-1]) + 1
        block = block - first
        tuples = tuples[first:last]
        for leaves, price in zip(values.plain, values.prices, strict=True):
            there = leaves.take(tuples).take(block, axis=0)
            away += (there != leaves.take(seeds)[:, None]) * price
        for places in values.scaled:
            there = places.take(tuples).take(block, axis=0)
            there -= places.take(seeds)[:, None]
            away += np.abs(there, out=there)
        return away

    def _score(self, add: Prices, weights: Prices) -> Prices:
        """Score tuples: the lowest of a line is the one to take."""
        held = self.held[:, None]
        score = held + weights
        score *= add
        score += weights * self._cost[:, None]
        score /= np.minimum(weights, np.maximum(self._k - held, 1))
        return score

    def fill(self) -> None:
        """Take tuples until most clusters have k rows, or find no more."""
        values, tuples, k = self._values, self._tuples, self._k
        lines = np.arange(len(self.held))
        first = np.zeros(len(self.owner), dtype=np.int64)
        closed = np.zeros(len(self.owner), dtype=np.bool_)
        weights = values.weights.take(tuples)
        plain = values.plain.take(tuples, axis=1)
        places = values.scaled.take(tuples, axis=1)
        newest = self._seeds.copy()
        low = values.scaled.take(newest, axis=1)
        high = low.copy()
        absent = np.ones(plain.shape, dtype=np.bool_)
        live = self.held < k
        while np.count_nonzero(live) > _SPARE * len(live):
            own = values.plain.take(newest, axis=1)
            absent &= plain != own[:, :, None]
            add = np.zeros(tuples.shape, dtype=np.float32)
            for each, price in zip(absent, values.prices, strict=True):
                add += each * price
            for each, least, most in zip(places, low, high, strict=True):
                away = np.maximum(least[:, None] - each, each - most[:, None])
                add += np.maximum(away, np.float32(0), out=away)
            score = self._score(add, weights)
            score[self._blocked] = np.inf
            pick = np.argmin(score, axis=1)
            price = score[lines, pick]
            live &= np.isfinite(price)
            going = np.flatnonzero(live)
            chosen = tuples[going, pick[going]]
            order = np.argsort(price[going], kind="stable")[::-1]
            first[chosen[order]] = going[order]  # the cheapest comes last
            won = first[chosen] == going
            going, chosen = going[won], chosen[won]
            at = pick[going]
            self.owner[chosen] = going
            newest[going] = chosen
            self.held[going] += weights[going, at]
            self._cost[going] += add[going, at]
            near = values.scaled.take(newest, axis=1)
            np.minimum(low, near, out=low)
            np.maximum(high, near, out=high)
            closed[chosen] = True
            self._blocked |= closed.take(tuples)
            live &= self.held < k
