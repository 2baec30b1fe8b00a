"""The engine's door: plain JSON within limits, in and out.

What comes in is checked and not copied: exact types only (no subclass, no
integer as a key), every string well-formed, every number exact in all that
read it, nothing deeper or larger than the limits. What goes out is made anew,
so that a caller can never change what the engine shares.

Stricter than JSON and OPA: lone surrogates, NaN and infinities, integers of
more than 100 digits and floats from 2**53 on are refused.
"""

from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policy.engine.errors import BudgetExceeded, DocumentRefused
from policy.engine.numbers import MAX_FLOAT, integer
from policy.engine.spelling import json_key
from policy.engine.values import Set, Value, elements, ordered_keys

_MAX_INTEGER = 10**100


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """How large a document may be."""

    depth: int = 64
    """Levels of arrays and objects."""

    nodes: int = 100_000
    """Values in all."""

    text: int = 4_000_000
    """Characters of all strings and keys together."""


_STRINGS = {str}
_SCALARS = {bool, type(None)}


def _strings(parts: Collection[str], text: int) -> int:
    """Check strings together; returns what is left of the allowance."""
    joined = "".join(parts)
    if not joined.isascii():
        try:
            joined.encode()
        except UnicodeEncodeError:
            msg = "a string has a lone surrogate"
            raise DocumentRefused(msg) from None
    return text - len(joined)


def _members(values: Collection[Any], containers: list[Any], text: int) -> int:
    """Check what a container holds, and collect the containers in it."""
    plain: list[str] = []
    for value in values:
        kind = type(value)
        if kind is str:
            plain.append(value)
        elif kind is dict or kind is list:
            containers.append(value)
        elif kind is int:
            if not -_MAX_INTEGER < value < _MAX_INTEGER:
                msg = "an integer is beyond the limit"
                raise DocumentRefused(msg)
        elif kind is float:
            # NaN fails every comparison, so it fails this one.
            if not -MAX_FLOAT < value < MAX_FLOAT:
                msg = "a float is not finite or beyond 2**53"
                raise DocumentRefused(msg)
        elif kind not in _SCALARS:
            msg = "a value is not JSON"
            raise DocumentRefused(msg)
    return _strings(plain, text) if plain else text


def admit(document: Any, bounds: Bounds) -> Value:  # noqa: ANN401 - checked here
    """Check a document on its way in.

    Args:
        document: what should be plain JSON; it is not copied, and must not
            be changed while it is used.
        bounds: how large it may be.

    Returns:
        The same document.

    Raises:
        DocumentRefused: it is not JSON, or not within the limits.
    """
    nodes, text = bounds.nodes, bounds.text
    level: list[Any] = []
    text = _members((document,), level, text)
    for _ in range(bounds.depth):
        if not level:
            break
        below: list[Any] = []
        for parent in level:
            nodes -= len(parent)
            if nodes < 0:
                break
            if type(parent) is dict:
                if parent and set(map(type, parent)) != _STRINGS:
                    msg = "an object has a key that is not a string"
                    raise DocumentRefused(msg)
                text = _members(parent.values(), below, _strings(parent, text))
            else:
                text = _members(parent, below, text)
        if nodes < 0 or text < 0:
            break
        level = below
    if nodes < 0 or text < 0:
        msg = "a document is too large"
        raise DocumentRefused(msg)
    if level:
        msg = "a document is nested too deeply"
        raise DocumentRefused(msg)
    return document


class _Emission:
    """Counts one result on its way out."""

    __slots__ = ("nodes", "text")

    def __init__(self, bounds: Bounds) -> None:
        self.nodes = bounds.nodes
        self.text = bounds.text

    def value(self, value: Value, depth: int) -> Any:  # noqa: ANN401 - JSON
        kind = type(value)
        if kind is dict:
            return self.fields(value, depth)
        if kind is list:
            return self.items(value, depth)
        if kind is Set:
            return self.items(elements(value), depth)
        if kind is str:
            self.text -= len(value)
            return value
        if kind in _SCALARS:
            return value
        return _number(value)

    def items(self, value: list[Value], depth: int) -> list[Any]:
        self.container(len(value), depth)
        if set(map(type, value)) <= _STRINGS:
            self.text -= len("".join(value))
            return value[:]
        return [self.value(inner, depth - 1) for inner in value]

    def fields(self, value: Value, depth: int) -> dict[str, Any]:
        self.container(len(value), depth)
        if set(map(type, value)) <= _STRINGS:
            self.text -= len("".join(value))
            if set(map(type, value.values())) <= _STRINGS:
                self.text -= len("".join(value.values()))
                return dict(value)
            return {k: self.value(v, depth - 1) for k, v in value.items()}
        result: dict[str, Any] = {}
        for stored in ordered_keys(value):
            name = json_key(stored)
            if name in result:
                msg = "two keys of an object have one JSON text"
                raise BudgetExceeded(msg)
            self.text -= len(name)
            result[name] = self.value(value[stored], depth - 1)
        return result

    def container(self, size: int, depth: int) -> None:
        self.nodes -= size
        if depth <= 0 or self.nodes < 0 or self.text < 0:
            msg = "the result is beyond the limits"
            raise BudgetExceeded(msg)


def _number(value: float | Decimal) -> int | float:
    if isinstance(value, float):
        return float(value)
    found = integer(value)
    if found is not None:
        if -_MAX_INTEGER < found < _MAX_INTEGER:
            return found
        msg = "an integer is beyond the limit"
        raise DocumentRefused(msg)
    # What no float can show becomes the nearest one, as it does in whoever
    # reads an OPA server's answer.
    near = float(value)
    if -MAX_FLOAT < near < MAX_FLOAT:
        return near
    msg = "a number is beyond 2**53 and not integral"
    raise DocumentRefused(msg)


def release(result: Value, bounds: Bounds) -> Any:  # noqa: ANN401 - JSON
    """Make plain JSON of a result: sets as arrays in Rego's order.

    Args:
        result: a value of the engine.
        bounds: how large it may be.

    Returns:
        JSON that shares nothing with the engine.

    Raises:
        BudgetExceeded: it is too large, or two keys collide.
        DocumentRefused: a number is beyond the limits.
    """
    emission = _Emission(bounds)
    made = emission.value(result, bounds.depth)
    if emission.text < 0:
        msg = "the result is beyond the limits"
        raise BudgetExceeded(msg)
    return made
