"""What the generated code calls.

One `Frame` goes through an evaluation: the memo of rules already computed,
and the budget (`metering`). Loops and calls are charged by the code itself;
what is done here to large values is charged here.
"""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Protocol

from policy.engine.errors import ConflictError
from policy.engine.metering import PARTS, Budget, spend
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
        self.budget.spend(1)
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
    spend(len(a) + len(b) // PARTS)
    result = dict(b)
    for k, v in a.items():
        other = result.get(k)
        both = type(v) is dict and type(other) is dict
        result[k] = merge(v, other) if both else v
    return result


def upsert(source: Value, path: tuple[str, ...], value: Value) -> Value:
    """A copy of a document with one value replaced or added."""
    head, *rest = path
    result: dict[Any, Value] = {}
    if type(source) is dict:
        spend(len(source) // PARTS)
        result = dict(source)
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
