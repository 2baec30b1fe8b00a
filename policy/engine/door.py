"""The engine's door: plain JSON within limits, in and out.

What comes in is checked and not copied: exact types only (no subclass, no
integer as a key), every string well-formed, every number exact in all that
read it, nothing deeper or larger than the limits. What goes out is made anew,
so that a caller can never change what the engine shares; what stands in a
result several times, as one object, does so in what is made of it.

Stricter than JSON and OPA: lone surrogates, NaN and infinities, integers of
more than 100 digits and floats from 2**53 on are refused.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from policy.engine.errors import BudgetExceeded, DocumentRefused
from policy.engine.numbers import MAX_FLOAT, integer
from policy.engine.spelling import json_key
from policy.engine.values import Raw, Set, Value, elements, ordered_keys

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
_SHORT = 100  # strings that the count of values bounds well enough
_SCALARS = {bool, type(None)}
_SURROGATES = re.compile("[\ud800-\udfff]")


def admit(document: Any, bounds: Bounds) -> Value:  # noqa: ANN401, C901, PLR0912 - checked here; one loop for speed
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
    kind = type(document)
    if kind is not dict and kind is not list:
        return _admit_scalar(document, bounds)
    nodes = bounds.nodes
    names: list[Any] = []
    texts: list[str] = []
    level: list[Any] = [document]
    for _ in range(bounds.depth):
        below: list[Any] = []
        for parent in level:
            nodes -= len(parent)
            if nodes < 0:
                msg = "a document has too many values"
                raise DocumentRefused(msg)
            if type(parent) is dict:
                names += parent
                parent = parent.values()  # noqa: PLW2901 - its values, from here on
            for value in parent:
                kind = type(value)
                if kind is str:
                    texts.append(value)
                elif kind is dict or kind is list:
                    below.append(value)
                elif kind is int:
                    if not -_MAX_INTEGER < value < _MAX_INTEGER:
                        msg = "an integer is beyond the limit"
                        raise DocumentRefused(msg)
                elif kind not in _SCALARS:
                    _check_odd(value)
        if not below:
            break
        level = below
    else:
        msg = "a document is nested too deeply"
        raise DocumentRefused(msg)
    if not set(map(type, names)) <= _STRINGS:
        msg = "an object has a key that is not a string"
        raise DocumentRefused(msg)
    _well_formed(("".join(names), "".join(texts)), bounds.text)
    return document


def _admit_scalar(value: Any, bounds: Bounds) -> Value:  # noqa: ANN401 - checked here
    kind = type(value)
    if kind is str:
        _well_formed((value,), bounds.text)
    elif kind is int:
        if not -_MAX_INTEGER < value < _MAX_INTEGER:
            msg = "an integer is beyond the limit"
            raise DocumentRefused(msg)
    elif kind not in _SCALARS:
        _check_odd(value)
    return value


def _check_odd(value: Any) -> None:  # noqa: ANN401 - checked here
    """What is neither string, container, integer, boolean nor null."""
    if type(value) is not float:
        msg = "a value is not JSON"
        raise DocumentRefused(msg)
    # NaN fails every comparison, so it fails this one.
    if not -MAX_FLOAT < value < MAX_FLOAT:
        msg = "a float is not finite or beyond 2**53"
        raise DocumentRefused(msg)


def _well_formed(joined: tuple[str, ...], most: int) -> None:
    if sum(map(len, joined)) > most:
        msg = "a document has too much text"
        raise DocumentRefused(msg)
    for text in joined:
        if not text.isascii() and _SURROGATES.search(text):
            msg = "a string has a lone surrogate"
            raise DocumentRefused(msg)


def taken(document: Any, bounds: Bounds) -> Bounds:  # noqa: ANN401 - admitted
    """What bounds leave to the rest of a document.

    Args:
        document: some members of it, as one object, admitted.
        bounds: of the whole.

    Returns:
        Bounds within which `admit` takes the other members, as one object,
        exactly where it would take all of them.
    """
    nodes, text = bounds.nodes, bounds.text
    left = [document]
    while left:
        one = left.pop()
        if type(one) is str:
            text -= len(one)
        elif type(one) is dict:
            nodes -= len(one)
            text -= sum(map(len, one))
            left += one.values()
        elif type(one) is list:
            nodes -= len(one)
            left += one
    return Bounds(depth=bounds.depth, nodes=nodes, text=text)


class _Emission:
    """Counts one result on its way out."""

    __slots__ = ("_made", "nodes", "text")

    def __init__(self, bounds: Bounds) -> None:
        self.nodes = bounds.nodes
        self.text = bounds.text
        # By identity, which is safe as long as the result is held: what was
        # made of an object, how deep below it was allowed, what it counted.
        self._made: dict[int, tuple[dict[str, Any], int, int, int]] = {}

    def value(self, value: Value, depth: int) -> Any:  # noqa: ANN401 - JSON
        kind = type(value)
        if kind is dict:
            return self.fields(value, depth)
        if kind is list:
            return self.items(value, depth)
        if kind is Set:
            return self.elements(value, depth)
        if kind is str:
            self.text -= len(value)
            return value
        if kind in _SCALARS:
            return value
        return self.raw(value) if kind is Raw else _number(value)

    def raw(self, value: str) -> str:
        """A string that is not UTF-8, as JSON shows its bytes."""
        self.text -= len(value)
        return _SURROGATES.sub("\ufffd", value)

    def items(self, value: list[Value], depth: int) -> list[Any]:
        self.container(len(value), depth)
        below = depth - 1
        return [
            v if type(v) is str and len(v) < _SHORT else self.value(v, below)
            for v in value
        ]

    def elements(self, value: Set, depth: int) -> list[Any]:
        """A set, which mostly is of strings: then its keys are all of it."""
        try:
            joined = "".join(value)  # type: ignore[arg-type] # tried
        except TypeError:
            return self.in_order(value, depth)
        if not joined.isascii() and _SURROGATES.search(joined):
            return self.in_order(value, depth)
        self.text -= len(joined)
        self.container(len(value), depth)
        return sorted(value)

    def in_order(self, value: Set, depth: int) -> list[Any]:
        """The elements of a set, which is not sorted if it is too large."""
        if len(value) > self.nodes:
            self.container(len(value), depth)
        return self.items(elements(value), depth)

    def fields(self, value: Value, depth: int) -> dict[str, Any]:
        """An object, made once and counted wherever it stands."""
        known = self._made.get(id(value))
        if known is not None and known[1] <= depth:
            made, _, nodes, text = known
            self.text -= text
            self.container(nodes, depth)
            return made
        nodes, text = self.nodes, self.text
        made = self.fresh(value, depth)
        self._made[id(value)] = (
            *(made, depth),
            *(nodes - self.nodes, text - self.text),
        )
        return made

    def fresh(self, value: Value, depth: int) -> dict[str, Any]:
        self.container(len(value), depth)
        below = depth - 1
        try:
            joined = "".join(value)
        except TypeError:
            return self.odd_fields(value, below)
        if not joined.isascii() and _SURROGATES.search(joined):
            return self.odd_fields(value, below)
        self.text -= len(joined)
        made: dict[str, Any] = {}
        for name, field in value.items():
            kind = type(field)
            if kind is str and len(field) < _SHORT:
                made[name] = field
            elif kind is dict:
                made[name] = self.fields(field, below)
            elif kind is Set:
                made[name] = self.elements(field, below)
            elif kind is list:
                made[name] = self.items(field, below)
            else:
                made[name] = self.value(field, below)
        return made

    def odd_fields(self, value: Value, depth: int) -> dict[str, Any]:
        """An object of which some keys are no strings."""
        result: dict[str, Any] = {}
        for stored in ordered_keys(value):
            name = json_key(stored)
            if name in result:
                msg = "two keys of an object have one JSON text"
                raise BudgetExceeded(msg)
            self.text -= len(name)
            result[name] = self.value(value[stored], depth)
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
        JSON that shares nothing with the engine, for reading alone: an
        object that stands in the result several times is one object.

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
