"""Comparisons, aggregates and membership.

`all` and `any` are not here: OPA deprecates them, and its compiler refuses
them.
"""

from collections.abc import Callable, Iterator, Mapping

from policy.engine import arithmetic as n
from policy.engine.builtins.operands import collection, numbers
from policy.engine.errors import BuiltinFailed
from policy.engine.metering import SMALL, at_once, spend
from policy.engine.values import (
    Raw,
    Set,
    Value,
    compare,
    equal,
    key,
    lookup,
    ordered,
    weigh,
)

_LONG = 1 << 14  # characters that are compared in a step


def _gt(a: Value, b: Value) -> Value:
    return compare(weigh(a), b) > 0


def _gte(a: Value, b: Value) -> Value:
    return compare(weigh(a), b) >= 0


def _lt(a: Value, b: Value) -> Value:
    return compare(weigh(a), b) < 0


def _lte(a: Value, b: Value) -> Value:
    return compare(weigh(a), b) <= 0


def _neq(a: Value, b: Value) -> Value:
    return not equal(a, b)


def _count(a: Value) -> Value:
    if type(a) in (list, dict, Set, str, Raw):
        return len(a)
    msg = "operand 1 must be array, object, set or string"
    raise BuiltinFailed(msg)


def _sum(a: Value) -> Value:
    return n.total(numbers(a, 1))


def _product(a: Value) -> Value:
    return n.product(numbers(a, 1))


def _compared(values: list[Value]) -> Iterator[Value]:
    """Each of many values, paid for as it is compared."""
    turn = int(len(values) > SMALL)
    for value in values:
        spend(turn)
        yield value


def _max(a: Value) -> Value:
    found = collection(a, 1)
    if not found:
        return ...
    weigh(found)
    best = found[0]
    for value in _compared(found):
        if compare(best, value) <= 0:
            best = value
    return best


def _min(a: Value) -> Value:
    found = collection(a, 1)
    if not found:
        return ...
    weigh(found)
    best = found[0]
    for value in _compared(found):
        if compare(best, value) >= 0:
            best = value
    return best


def _sort(a: Value) -> Value:
    return ordered(collection(a, 1))


def _charge_search(value: Value, source: Value) -> None:
    if len(source) <= SMALL and type(value) is not str:
        return
    if type(value) is not str:
        spend(len(source) // 4)
    else:
        at_once(len(source) // SMALL + len(source) * len(value) // _LONG)


def member(value: Value, source: Value) -> Value:
    """Whether a value is among the elements or values of a collection."""
    kind = type(source)
    if kind is Set:
        return key(value) in source
    if kind is dict:
        _charge_search(value, source)
        return any(equal(value, v) for v in source.values())
    if kind is list:
        _charge_search(value, source)
        if type(value) is str:
            return value in source
        return any(equal(value, v) for v in source)
    return False


def member_at(wanted: Value, value: Value, source: Value) -> Value:
    """Whether a collection has a value at a key."""
    found = lookup(source, wanted)
    return found is not ... and equal(value, found)


AGGREGATES: Mapping[str, Callable[..., Value]] = {
    "equal": equal,
    "neq": _neq,
    "gt": _gt,
    "gte": _gte,
    "lt": _lt,
    "lte": _lte,
    "count": _count,
    "sum": _sum,
    "product": _product,
    "max": _max,
    "min": _min,
    "sort": _sort,
    "internal.member_2": member,
    "internal.member_3": member_at,
}
