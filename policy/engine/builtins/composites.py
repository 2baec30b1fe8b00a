"""Sets, objects and arrays."""

from collections.abc import Callable, Hashable, Mapping
from functools import reduce

from policy.engine.builtins.operands import (
    a_set,
    an_array,
    an_object,
    array,
    index,
    mapping,
    passed,
    sized,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import PARTS, SMALL, spend
from policy.engine.values import (
    Set,
    Value,
    elements,
    equal,
    intersection,
    key,
    lookup,
    pairs,
    union,
    unkey,
    weigh,
)

_DEEPEST = 200
"""Longest path that is followed through a graph."""


def _and(a: Value, b: Value) -> Value:
    return intersection(a_set(a, 1), a_set(b, 2))


def _or(a: Value, b: Value) -> Value:
    return union(a_set(a, 1), a_set(b, 2))


def _intersection(a: Value) -> Value:
    parts = [a_set(part, 1) for part in elements(a_set(a, 1))]
    return reduce(intersection, parts) if parts else Set()


def _union(a: Value) -> Value:
    parts = [a_set(part, 1) for part in elements(a_set(a, 1))]
    return reduce(union, parts) if parts else Set()


def _get(source: Value, wanted: Value, default: Value) -> Value:
    found: Value = an_object(source, 1)
    if type(wanted) is list:
        passed(wanted)
    for step in wanted if type(wanted) is list else [wanted]:
        found = lookup(found, step)
        if found is ...:
            return default
    return found


def _keys(a: Value) -> Value:
    return Set((k, unkey(k)) for k in mapping(a, 1))


def _merged(a: Value, b: Value) -> Value:
    passed(a)
    result = dict(a)
    for k, v in b.items():
        old = result.get(k)
        both = type(old) is dict and type(v) is dict
        result[k] = _merged(old, v) if both else v
    return result


def _object_union(a: Value, b: Value) -> Value:
    left, right = mapping(a, 1), mapping(b, 2)
    return left if equal(left, right) else _merged(left, weigh(right))


def _object_union_n(a: Value) -> Value:
    result: Value = {}
    for part in array(a, 1):
        spend(1)
        result = _merged(result, weigh(mapping(part, 1)))
    return result


def _names(value: Value) -> set[Hashable]:
    if type(value) is list:
        spend(len(value) // 4)
        return {key(element) for element in value}
    if type(value) in (Set, dict):
        passed(value)
        return set(value)
    msg = "operand 2 must be object, set or array"
    raise BuiltinFailed(msg)


def _remove(a: Value, b: Value) -> Value:
    source, names = mapping(a, 1), _names(b)
    return {k: v for k, v in source.items() if k not in names}


def _filter(a: Value, b: Value) -> Value:
    source, names = mapping(a, 1), _names(b)
    return {k: v for k, v in source.items() if k in names}


def _within(large: Value, small: Value) -> bool:
    """Whether one object is a part of another, level by level."""
    if len(small) > SMALL:
        spend(len(small))
    for k, v in small.items():
        if k not in large:
            return False
        other = large[k]
        if equal(v, other):
            continue
        if type(other) is not type(v) or not _part(other, v):
            return False
    return True


def _slice_of(large: Value, small: Value) -> bool:
    """Whether OPA finds one array inside another.

    OPA's search does not look again at elements that it has passed while a
    partial match failed; this walks just as it does.
    """
    if len(small) > len(large):
        return False
    at, matched = 0, 0
    while matched < len(small):
        if at + matched == len(large):
            return False
        spend(1)
        if equal(large[at + matched], small[matched]):
            matched += 1
        else:
            at, matched = at + 1, 0
    return True


def _part(large: Value, small: Value) -> bool:
    if type(large) is dict:
        return _within(large, small)
    if type(large) is Set:
        passed(small)
        return all(k in large for k in small)
    return type(large) is list and _slice_of(large, small)


def _subset(large: Value, small: Value) -> Value:
    if type(large) is list and type(small) is Set:
        # Every match is counted, duplicates included, as OPA counts them.
        spend(len(large) // 4)
        missing = len(small)
        for element in large:
            missing -= key(element) in small
            if missing == 0:
                return True
        return False
    if type(large) is not type(small) or type(large) not in (list, dict, Set):
        msg = "operands must be of one type, or array and set"
        raise BuiltinFailed(msg)
    return _part(large, small)


def _concat(a: Value, b: Value) -> Value:
    left, right = array(a, 1), array(b, 2)
    sized(len(left) + len(right))
    return left + right


def _flatten(a: Value) -> Value:
    result: list[Value] = []
    for element in array(a, 1):
        if type(element) is list:
            passed(element)
            result.extend(element)
            sized(len(result))
        else:
            result.append(element)
    return result


def _slice(a: Value, b: Value, c: Value) -> Value:
    source, start, stop = an_array(a, 1), index(b, 2), index(c, 3)
    stop = min(max(stop, 0), len(source))
    start = min(max(start, 0), stop)
    spend((stop - start) // PARTS)
    return source[start:stop]


def _reverse(a: Value) -> Value:
    return array(a, 1)[::-1]


def _edges(graph: Value, node: Value) -> list[Value] | None:
    found = lookup(graph, node)
    if found is ...:
        return None
    if type(found) is Set:
        return elements(found)
    return found if type(found) is list else []


def _roots(value: Value) -> list[Value]:
    if type(value) is Set:
        return elements(value)
    if type(value) is list:
        return value
    msg = "operand 2 must be array or set"
    raise BuiltinFailed(msg)


def _reachable(a: Value, b: Value) -> Value:
    graph, queue = mapping(a, 1), list(_roots(b))
    reached, queued = Set(), {key(node) for node in queue}
    for node in queue:
        edges = _edges(graph, node)
        spend(1 if edges is None else 1 + len(edges))
        if edges is None:
            continue
        reached[key(node)] = node
        for neighbour in edges:
            if key(neighbour) not in queued:
                queued.add(key(neighbour))
                queue.append(neighbour)
    return reached


class _Paths:
    """The longest paths through a graph from one of its nodes."""

    def __init__(self, graph: Value) -> None:
        self.graph = graph
        self.found = Set()
        self.size = 0

    def add(self, path: list[Value]) -> None:
        self.size += len(path) + 1
        sized(self.size)
        self.found[key(path)] = path

    def start(self, node: Value) -> None:
        edges = _edges(self.graph, node)
        spend(1)
        if edges == []:
            self.add([node])
        for neighbour in edges or ():
            self.follow(neighbour, [node])

    def follow(self, node: Value, path: list[Value]) -> None:
        if len(path) > _DEEPEST:
            msg = "graph.reachable_paths: a path beyond the limit"
            raise BudgetExceeded(msg)
        edges = _edges(self.graph, node)
        spend(1 + len(path) + (0 if edges is None else len(edges)))
        if edges is None:
            self.add(path)
            return
        longer = [*path, node]
        if not edges:
            self.add(longer)
        seen = {key(step) for step in longer}
        for neighbour in edges:
            if key(neighbour) in seen:
                self.add(longer)
            else:
                self.follow(neighbour, longer)


def _reachable_paths(a: Value, b: Value) -> Value:
    paths = _Paths(mapping(a, 1))
    for node in _roots(b):
        paths.start(node)
    return paths.found


def _walk(a: Value) -> Value:
    """All results of the relation, in order: pairs of path and value."""
    result: list[Value] = []
    stack: list[tuple[list[Value], Value]] = [([], a)]
    while stack:
        path, value = stack.pop()
        spend(1 + len(path) // PARTS)
        result.append([path, value])
        sized(len(result))
        if type(value) is list:
            steps = list(enumerate(value))
        elif type(value) is dict:
            steps = pairs(value)
        elif type(value) is Set:
            steps = [(v, v) for v in elements(value)]
        else:
            continue
        stack.extend(([*path, step], v) for step, v in reversed(steps))
    return result


COLLECTIONS: Mapping[str, Callable[..., Value]] = {
    "and": _and,
    "or": _or,
    "intersection": _intersection,
    "union": _union,
    "object.get": _get,
    "object.keys": _keys,
    "object.union": _object_union,
    "object.union_n": _object_union_n,
    "object.remove": _remove,
    "object.filter": _filter,
    "object.subset": _subset,
    "array.concat": _concat,
    "array.flatten": _flatten,
    "array.slice": _slice,
    "array.reverse": _reverse,
    "graph.reachable": _reachable,
    "graph.reachable_paths": _reachable_paths,
    "walk": _walk,
}
