"""Rego's values as plain Python values, and what Rego says of them.

Null, booleans, numbers, strings, arrays and objects are what `json` gives:
None, bool, int or float (see `numbers`), str, list, dict. Undefined is the
literal `...`, which costs the interpreter no look-up. A set is a `Set`: a
dict from the *key* of each element to the element.

A key stands for a value in a hash table: strings, numbers and null stand for
themselves; a boolean, array, object or set is a tagged tuple, so that `true`
is not 1 while 1.0 is. Keys of objects are stored in that form too; `unkey`
undoes it. Values are never changed once another value can see them.
"""

from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
)
from decimal import Decimal
from functools import cmp_to_key
from types import EllipsisType
from typing import Any

from policy.engine.errors import BudgetExceeded
from policy.engine.metering import PARTS, READ, SMALL, at_once, spend
from policy.engine.numbers import (
    Real,
    SpelledFloat,
    compare_numbers,
    digits,
    spelling,
)

Value = Any
"""None, bool, int, float, Decimal, str, list, dict or `Set`."""

UNDEFINED: EllipsisType = ...


class Raw(str):
    """A string whose bytes are not all UTF-8; the others stand escaped.

    It is a value like any other, but no built-in looks into it.
    """

    __slots__ = ()


_SCALARS = frozenset({str, Raw, int, float, SpelledFloat, type(None)})
_NUMBERS = frozenset({int, float, SpelledFloat, Real})


class Set(dict[Hashable, Value]):
    """A Rego set: each element under its key."""

    __slots__ = ()


_ORDER: Mapping[type, int] = {
    type(None): 0,
    bool: 1,
    int: 2,
    float: 2,
    SpelledFloat: 2,
    Real: 2,
    str: 3,
    Raw: 3,
    list: 4,
    dict: 5,
    Set: 6,
}

_NAMES = ("null", "boolean", "number", "string", "array", "object", "set")


def type_name(value: Value) -> str:
    """The name of a value's Rego type."""
    return _NAMES[_ORDER[type(value)]]


def is_number(value: Value) -> bool:
    """Whether a value is a Rego number."""
    return type(value) in _NUMBERS


_CONTAINERS = frozenset({list, dict, Set})
_LONG = 1 << 14  # characters that are compared in one step
_TEXTS = frozenset({str})
_STRINGS = frozenset({str, Raw})
_WEIGHTY = frozenset({*_STRINGS, int, Real})
MAX_WEIGHT = 500_000
"""Most values that one value may hold, each counted wherever it stands."""


def length_of(values: Iterable[Value]) -> int:
    """Characters of the strings among some values, and digits of numbers.

    Digits count where they are many.
    """
    count = 0
    for one in values:
        kind = type(one)
        if kind in _STRINGS:
            count += len(one)
        elif kind is int or kind is Real:
            count += digits(one)
    return count


def _length_of(values: Collection[Value], kinds: set[type]) -> int:
    """The same, where the types are known; of one type it is faster."""
    if kinds.isdisjoint(_WEIGHTY):
        return 0
    return sum(map(len, values)) if kinds <= _STRINGS else length_of(values)


_UNCHARGED = MAX_WEIGHT - SMALL


def weigh(value: Value, *, text: int | None = None) -> Value:
    """The value, if walking it through ends; the walk is charged.

    A policy may name one part twice, and that twice, until a value of a few
    dozen objects has more leaves than there is time for, or a few strings
    stand for more text than there is memory.

    Args:
        value: any.
        text: how many characters it may hold.

    Raises:
        BudgetExceeded: it holds too many values, or too much text.
    """
    left = MAX_WEIGHT
    stack = [value]
    while stack:
        one = stack.pop()
        left -= 1
        if type(one) in _CONTAINERS:
            parts = one if type(one) is list else one.values()
            left -= len(parts)
            if left < 0:
                msg = "a value holds more values than the limit"
                raise BudgetExceeded(msg)
            stack += [part for part in parts if type(part) in _CONTAINERS]
    if left < _UNCHARGED:
        _charge(value, MAX_WEIGHT - left, text)
    return value


def _charge(value: Value, count: int, most: int | None) -> None:
    """Charge a container of many values, and what their texts count for."""
    chars = _length_within(value)
    weight = count + chars // READ
    if weight > MAX_WEIGHT or (most is not None and chars > most):
        msg = "a value holds more text than the limit"
        raise BudgetExceeded(msg)
    spend(weight)


def _length_within(value: Value) -> int:
    """Characters of all strings and keys that a value holds."""
    chars = 0
    stack = [value]
    while stack:
        one = stack.pop()
        parts = one if type(one) is list else one.values()
        kinds = set(map(type, parts))
        chars += _length_of(parts, kinds)
        if type(one) is dict:
            chars += _length_of(one, set(map(type, one)))
        if not _CONTAINERS.isdisjoint(kinds):
            stack += [part for part in parts if type(part) in _CONTAINERS]
    return chars


def key(value: Value) -> Hashable:
    """What stands for a value in a hash table.

    Raises:
        BudgetExceeded: it holds too many values.
    """
    kind = type(value)
    if kind in _SCALARS:
        return value  # type: ignore[no-any-return] # scalars hash as they are
    if kind in _CONTAINERS:
        if kind is list and _TEXTS.issuperset(map(type, value)):
            if len(value) > SMALL:
                spend(len(value))
            return ("l", *value)
        parts = value if kind is list else value.values()
        if not _CONTAINERS.isdisjoint(map(type, parts)):
            weigh(value)
        elif len(value) > SMALL:
            spend(len(value))
    return _key(value)


def _key(value: Value) -> Hashable:
    kind = type(value)
    if kind in _SCALARS:
        return value  # type: ignore[no-any-return] # scalars hash as they are
    if kind is bool:
        return ("b", value)
    if kind is Real:
        whole = value == value.to_integral_value()
        return int(value) if whole else ("n", format(value.normalize(), "e"))
    if kind is list:
        return ("l", *map(_key, value))
    if kind is dict:
        return ("o", frozenset((k, _key(v)) for k, v in value.items()))
    if kind is Set:
        return ("s", frozenset(value))
    msg = "not a value of Rego"
    raise TypeError(msg)


def unkey(stored: Hashable) -> Value:
    """The value that a key stands for."""
    if type(stored) is not tuple:
        return stored
    tag, *rest = stored
    if tag == "b":
        return rest[0]
    if tag == "n":
        real = Real(rest[0])
        real.text = rest[0]
        return real
    size = len(rest) if tag == "l" else len(rest[0])
    if size > SMALL:
        spend(size)
    if tag == "l":
        return [unkey(k) for k in rest]
    if tag == "o":
        return {k: unkey(v) for k, v in rest[0]}
    return Set((k, unkey(k)) for k in rest[0])


def make_set(elements: Iterable[Value]) -> Set:
    """A set of the elements; of equal ones the first stays, as it is."""
    made = Set()
    for element in elements:
        made.setdefault(key(element), element)
    return made


def _charge_pass(a: Set, b: Set) -> None:
    if len(a) + len(b) > SMALL:
        spend((len(a) + len(b)) // PARTS)


def union(a: Set, b: Set) -> Set:
    """The union of two sets; of equal elements those of the first stay."""
    if not b:
        return a
    if not a:
        return b
    _charge_pass(a, b)
    made = Set(b)
    made.update(a)
    return made


def difference(a: Set, b: Set) -> Set:
    """What is in the first set and not in the second."""
    if not a or not b:
        return a
    _charge_pass(a, b)
    if len(b) > len(a):
        return Set((k, v) for k, v in a.items() if k not in b)
    made = Set(a)
    for stored in b:
        made.pop(stored, None)
    return made


def intersection(a: Set, b: Set) -> Set:
    """What two sets share, with the elements of the smaller one."""
    some, other = (b, a) if len(b) < len(a) else (a, b)
    spend(len(some) // PARTS)
    return Set((k, v) for k, v in some.items() if k in other)


def same(a: Value, b: Value) -> bool:
    """Rego equality of two values that Python finds equal.

    Python takes True for 1, and an object for a set; this does not. It is
    only asked where `a == b` already holds, and then finds the difference.
    """
    kind = type(a)
    if kind is str or a is b:
        return True
    if _ORDER[kind] != _ORDER[type(b)]:
        return False
    if kind is list:
        return all(map(same, a, b))
    if kind is dict:
        return all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, Decimal) or isinstance(b, Decimal):
        return compare_numbers(a, b) == 0
    return True  # equal scalars of one type; sets are equal by their keys


def equal(a: Value, b: Value) -> bool:
    """Rego equality of any two values.

    Raises:
        BudgetExceeded: they hold too many values.
    """
    kind = type(a)
    if kind is type(b):
        if kind is str or kind is int:
            return bool(a == b)
        if kind in _CONTAINERS and a is not b:
            weigh(a)
    return bool(a == b) and same(a, b)


def _compare_plain(a: Value, b: Value) -> int:
    return int(a > b) - int(a < b)


def _compare_texts(a: str, b: str) -> int:
    shorter = min(len(a), len(b))
    if shorter > _LONG:
        spend(shorter // _LONG)
    if type(a) is str and type(b) is str:
        return _compare_plain(a, b)
    x, y = (s.encode(errors="surrogateescape") for s in (a, b))
    return int(x > y) - int(x < y)


def compare(a: Value, b: Value) -> int:
    """Rego's order of any two values: negative, zero or positive."""
    rank, other = _ORDER[type(a)], _ORDER[type(b)]
    return _COMPARE[rank](a, b) if rank == other else rank - other


def _compare_lists(a: list[Value], b: list[Value]) -> int:
    shorter = min(len(a), len(b))
    if shorter > SMALL:
        spend(shorter // PARTS)
    for x, y in zip(a, b, strict=False):
        order = compare(x, y)
        if order:
            return order
    return len(a) - len(b)


def _compare_objects(
    a: dict[Hashable, Value], b: dict[Hashable, Value]
) -> int:
    for (j, v), (k, w) in zip(pairs(a), pairs(b), strict=False):
        order = compare(j, k) or compare(v, w)
        if order:
            return order
    return len(a) - len(b)


_COMPARE: Mapping[int, Callable[[Value, Value], int]] = {
    0: lambda _a, _b: 0,
    1: _compare_plain,
    2: compare_numbers,
    3: _compare_texts,
    4: _compare_lists,
    5: _compare_objects,
    6: lambda a, b: _compare_lists(elements(a), elements(b)),
}

_sort_key: Callable[[Value], Any] = cmp_to_key(compare)


def _compare_one_of_many(a: Value, b: Value) -> int:
    spend(1)
    return compare(a, b)


_charged_key: Callable[[Value], Any] = cmp_to_key(_compare_one_of_many)


def ordered(values: Iterable[Value]) -> list[Value]:
    """The values in Rego's order; what is large is charged.

    Raises:
        BudgetExceeded: they hold too many values.
    """
    listed = list(values)
    kinds = set(map(type, listed))
    if _is_plain(listed, kinds):
        listed.sort()
    else:
        if not _CONTAINERS.isdisjoint(kinds):
            weigh(listed)
        many = len(listed) > SMALL
        listed.sort(key=_charged_key if many else _sort_key)
    return listed


def _is_plain(values: Collection[Value], kinds: set[type]) -> bool:
    """Whether Python's order is Rego's; sorting them is charged if so."""
    if kinds <= _TEXTS:
        text = sum(map(len, values))
        if text > READ:
            turns = len(values).bit_length()
            at_once(len(values) // 2 + text // READ * turns // 16)
        return True
    if kinds <= {int, float}:
        if len(values) > SMALL:
            at_once(len(values) // 2)
        return True
    return False


def elements(items: Set) -> list[Value]:
    """The elements of a set, in order."""
    return ordered(items.values())


def pairs(items: dict[Hashable, Value]) -> list[tuple[Value, Value]]:
    """The keys and values of an object, in order of the keys."""
    names = ordered_keys(items)
    return [(unkey(k), items[k]) for k in names]


def ordered_keys(items: dict[Hashable, Value]) -> list[Hashable]:
    """The stored keys of an object, in Rego's order of what they stand for."""
    kinds = set(map(type, items))
    if _is_plain(items, kinds):
        return sorted(items)  # type: ignore[type-var] # one type of scalar
    chosen = _charged_key if len(items) > SMALL else _sort_key
    return sorted(items, key=lambda k: chosen(unkey(k)))


def lookup(source: Value, wanted: Value) -> Value:
    """One step of a reference: a field, an index, an element of a set."""
    kind = type(source)
    if kind is dict:
        if type(wanted) is str:
            return source.get(wanted, ...)
        return source.get(key(wanted), ...)
    if kind is list:
        if type(wanted) is not int:
            if type(wanted) not in _NUMBERS or wanted != int(wanted):
                return ...
            wanted = int(wanted)
        return source[wanted] if 0 <= wanted < len(source) else ...
    if kind is Set:
        return source.get(key(wanted), ...)
    return ...


def lookup_base(source: Value, wanted: Value) -> Value:
    """One step of a reference into `data`.

    The names of base documents are strings; a number finds the name that it
    is written as.
    """
    found = lookup(source, wanted)
    if found is ... and type(source) is dict and is_number(wanted):
        return source.get(spelling(wanted), ...)
    return found
