"""What the generated code calls.

One `Frame` goes through an evaluation: the memo of rules already computed,
and the budget. The budget counts the turns of loops and the calls of
functions; whenever a slice of it is used up the clock is asked, so that no
evaluation outlives its deadline by more than a slice.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from policy.engine.errors import (
    BudgetExceeded,
    ConflictError,
    DeadlineExceeded,
)
from policy.engine.plan import Function
from policy.engine.values import (
    Raw,
    Set,
    Value,
    elements,
    equal,
    key,
    pairs,
    unkey,
)

SLICE = 4096
"""Turns between two looks at the clock."""


class Budget:
    """Steps and time of one evaluation.

    Attributes:
        left: turns until the next look at the clock.
    """

    __slots__ = ("_clock", "_deadline", "_steps", "left")

    def __init__(
        self, *, steps: int, deadline: float, clock: Callable[[], float]
    ) -> None:
        self.left = min(SLICE, steps)
        self._steps = steps - self.left
        self._deadline = deadline
        self._clock = clock

    def refill(self) -> None:
        """Start the next slice.

        Raises:
            BudgetExceeded: no steps are left.
            DeadlineExceeded: no time is left.
        """
        if self._clock() >= self._deadline:
            msg = "the evaluation ran past its deadline"
            raise DeadlineExceeded(msg)
        owed = -self.left
        if owed > self._steps:
            msg = "the evaluation used up its steps"
            raise BudgetExceeded(msg)
        self._steps -= owed
        self.left = min(SLICE, self._steps)
        self._steps -= self.left

    def rest(self) -> int:
        """Steps that are left in all."""
        return self._steps + self.left


class Watcher(Protocol):
    """Who is told what an evaluation does."""

    def enter(self, function: Function, args: tuple[Value, ...]) -> None:
        """A rule or function is evaluated."""
        ...

    def leave(self, result: Value) -> None:
        """What was entered last has this result."""
        ...

    def line(self, place: int) -> None:
        """A statement is reached."""
        ...

    def stop(self, place: int) -> None:
        """A statement did not hold, and its body ends there."""
        ...


class Frame(dict[Any, Value]):
    """The memo of one evaluation, with its budget and who watches it."""

    __slots__ = ("budget", "watcher")
    budget: Budget
    watcher: Watcher | None

    def fresh(self) -> "Frame":
        """A frame for a changed input or data: same budget, no memo."""
        self.budget.left -= 1
        if self.budget.left < 0:
            self.budget.refill()
        frame = Frame()
        frame.budget = self.budget
        frame.watcher = self.watcher
        return frame


def values(source: Value) -> Collection[Value]:
    """What a scan yields, in no order, where only values are read."""
    if type(source) is list:
        return source
    if type(source) in (dict, Set):
        return source.values()  # type: ignore[no-any-return] # both are dicts
    return ()


def ordered_values(source: Value) -> Collection[Value]:
    """What a scan yields, in Rego's order, where only values are read."""
    if type(source) is list:
        return source
    if type(source) is dict:
        return [v for _, v in pairs(source)]
    return elements(source) if type(source) is Set else ()


def items(source: Value) -> list[tuple[Value, Value]]:
    """The keys and values that a scan yields, in no order."""
    kind = type(source)
    if kind is list:
        return list(enumerate(source))
    if kind is dict:
        if tuple in set(map(type, source)):
            return [(unkey(k), v) for k, v in source.items()]
        return list(source.items())
    if kind is Set:
        return [(v, v) for v in source.values()]
    return []


def ordered_items(source: Value) -> list[tuple[Value, Value]]:
    """The keys and values that a scan yields, in Rego's order."""
    kind = type(source)
    if kind is list:
        return list(enumerate(source))
    if kind is dict:
        return pairs(source)
    if kind is Set:
        return [(v, v) for v in elements(source)]
    return []


def conflict() -> ConflictError:
    """The error of a rule with two values."""
    return ConflictError("a complete rule or function has two values")


def insert_once(target: Value, name: Value, value: Value) -> None:
    """Add a field that may be there already, with the same value only."""
    stored = key(name)
    if not equal(target.setdefault(stored, value), value):
        msg = "an object has two values for one key"
        raise ConflictError(msg)


def merge(a: Value, b: Value) -> Value:
    """Two objects as one, level by level; the first wins on the rest."""
    if type(a) is not dict or type(b) is not dict:
        msg = "a base document and a rule stand at one path"
        raise ConflictError(msg)
    result = dict(b)
    for k, v in a.items():
        other = result.get(k)
        both = type(v) is dict and type(other) is dict
        result[k] = merge(v, other) if both else v
    return result


def upsert(source: Value, path: tuple[str, ...], value: Value) -> Value:
    """A copy of a document with one value replaced or added."""
    head, *rest = path
    result = dict(source) if type(source) is dict else {}
    result[head] = (
        upsert(result.get(head), tuple(rest), value) if rest else value
    )
    return result


def add(target: Set, value: Value) -> None:
    """Add an element; an equal one that is there stays as it is."""
    target.setdefault(key(value), value)


def length(source: Value) -> Value:
    """What `LenStmt` gives: a collection's size, else undefined."""
    return len(source) if type(source) in (list, dict, Set, str, Raw) else ...


def dynamic(
    functions: Mapping[tuple[Any, ...], Callable[..., Value]],
    path: tuple[Value, ...],
) -> Callable[..., Value] | None:
    """The rule at a path known only now, or None."""
    if all(type(part) is str for part in path):
        return functions.get(path)
    return None
