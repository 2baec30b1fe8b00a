"""`json.patch`, `json.remove` and `json.filter`.

A path is a JSON pointer or an array of steps. The patch works on OPA's
*edit tree*, one of whose habits shows: a step into an array that was changed
before looks the element up where it stood in the original array. A patch
that would tell the difference gives here what it gives there.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any

from policy.engine.builtins.operands import array, mapping, passed
from policy.engine.errors import BuiltinFailed, OutsideProfile
from policy.engine.metering import PARTS, spend
from policy.engine.numbers import small_integer, spelled_integer
from policy.engine.values import (
    Set,
    Value,
    elements,
    equal,
    is_number,
    key,
    make_set,
)

_Path = list[Value]


def _wrong(what: str) -> BuiltinFailed:
    return BuiltinFailed(f"json: {what}")


def _path(value: Value) -> _Path:
    if type(value) is list:
        spend(1 + len(value))
        return value
    if type(value) is not str:
        msg = "a path is neither a string nor an array"
        raise _wrong(msg)
    spend(1 + len(value) // PARTS)
    if value == "":
        return []
    return [
        part.replace("~1", "/").replace("~0", "~")
        for part in value.lstrip("/").split("/")
    ]


def _paths(value: Value) -> list[_Path]:
    if type(value) is list:
        return [_path(part) for part in value]
    if type(value) is Set:
        return [_path(part) for part in elements(value)]
    msg = "operand 2 must be set or array"
    raise BuiltinFailed(msg)


_Wanted = dict[Hashable, Any]


def _as_object(paths: list[_Path]) -> _Wanted:
    """Paths as nested objects that end in None."""
    root: _Wanted = {}
    for path in paths:
        node = root
        for step in path[:-1]:
            child = node.setdefault(key(step), {})
            if child is None:
                break
            node = child
        else:
            if path:
                node[key(path[-1])] = None
    return root


def _removed(value: Value, wanted: _Wanted) -> Value:
    """A value without what the paths name."""
    kind = type(value)
    if kind in (dict, list, Set):
        spend(1 + len(value) // (2 if kind is Set else PARTS))
    if kind is dict:
        found = ((k, v, wanted.get(k, ...)) for k, v in value.items())
        return {
            k: v if w is ... else _removed(v, w)
            for k, v, w in found
            if w is not None
        }
    if kind is list:
        kept = ((v, wanted.get(str(i), ...)) for i, v in enumerate(value))
        return [
            v if w is ... else _removed(v, w) for v, w in kept if w is not None
        ]
    if kind is Set:
        within = ((v, wanted.get(k, ...)) for k, v in value.items())
        return make_set(
            v if w is ... else _removed(v, w)
            for v, w in within
            if w is not None
        )
    return value


def _kept(value: Value, wanted: _Wanted | None) -> Value:
    """What the paths name of a value."""
    if wanted is None:
        return value
    kind = type(value)
    if kind in (dict, list, Set):
        spend(1 + len(value) // PARTS)
    if kind is dict:
        return {
            k: _kept(v, wanted[k]) for k, v in value.items() if k in wanted
        }
    if kind is list:
        return [
            _kept(v, wanted[str(i)])
            for i, v in enumerate(value)
            if str(i) in wanted
        ]
    if kind is Set:
        return make_set(
            _kept(v, wanted[k]) for k, v in value.items() if k in wanted
        )
    return value


def _remove(a: Value, b: Value) -> Value:
    return _removed(mapping(a, 1), _as_object(_paths(b)))


def _filter(a: Value, b: Value) -> Value:
    return _kept(mapping(a, 1), _as_object(_paths(b)))


class _Tree:
    """One value under edits."""

    __slots__ = ("children", "slots", "value")

    def __init__(self, value: Value) -> None:
        self.reset(value)

    def reset(self, value: Value) -> None:
        self.value = value
        if type(value) is list:
            passed(value)
        # Of an object: what was changed; of an array, each element: where
        # it stood, or what it became.
        self.children: dict[Hashable, _Tree | None] = {}
        self.slots: list[int | _Tree] = (
            list(range(len(value))) if type(value) is list else []
        )

    def rendered(self) -> Value:
        kind = type(self.value)
        if kind is list:
            passed(self.slots)
        elif kind is dict or kind is Set:
            passed(self.value)
        spend(1)
        if kind is list:
            return [
                self.value[slot] if type(slot) is int else slot.rendered()  # type: ignore[union-attr] # a tree
                for slot in self.slots
            ]
        if kind is dict:
            made = {
                k: v for k, v in self.value.items() if k not in self.children
            }
            for k, child in self.children.items():
                if child is not None:
                    made[k] = child.rendered()
            return made
        if kind is Set:
            kept = [v for k, v in self.value.items() if k not in self.children]
            changed = (c for c in self.children.values() if c is not None)
            return make_set([*kept, *(c.rendered() for c in changed)])
        return self.value

    def place(self, step: Value) -> int:
        """The index that a step into an array means."""
        if step == "-":
            return len(self.slots)
        if type(step) is str:
            found = spelled_integer(step)
            if step != "0" and step.startswith("0"):
                found = None
        else:
            found = small_integer(step) if is_number(step) else None
        if found is None:
            msg = "a step into an array is no index"
            raise _wrong(msg)
        return found

    def at(self, path: _Path) -> "_Tree":
        tree = self
        for step in path:
            tree = tree.child(step)
        return tree

    def child(self, step: Value) -> "_Tree":
        kind = type(self.value)
        if kind is list:
            return self.element(self.place(step))
        if kind is not dict and kind is not Set:
            msg = "a path leads into a scalar"
            raise _wrong(msg)
        if kind is Set and type(step) in (list, dict, Set):
            self.reset(self.rendered())
        stored = key(step)
        child = self.children.get(stored, ...)
        if child is ...:
            if stored not in self.value:
                msg = "a path does not exist"
                raise _wrong(msg)
            child = self.children[stored] = _Tree(self.value[stored])
        if child is None:
            msg = "a path was removed before"
            raise _wrong(msg)
        return child

    def element(self, place: int) -> "_Tree":
        if 0 <= place < len(self.slots):
            slot = self.slots[place]
            if type(slot) is not int:
                return slot  # type: ignore[return-value] # a tree
        # The element is looked up in the original array, as OPA does.
        if not 0 <= place < min(len(self.value), len(self.slots)):
            msg = "a path does not exist"
            raise _wrong(msg)
        child = self.slots[place] = _Tree(self.value[place])
        return child

    def insert(self, step: Value, value: Value) -> None:
        kind = type(self.value)
        if kind is list:
            place = self.place(step)
            if not 0 <= place <= len(self.slots):
                msg = "an index is out of bounds"
                raise _wrong(msg)
            passed(self.slots)
            self.slots.insert(place, _Tree(value))
        elif kind is dict:
            self.children[key(step)] = _Tree(value)
        elif kind is Set:
            if not equal(step, value):
                msg = "the key of a set is not its value"
                raise _wrong(msg)
            if type(step) in (list, dict, Set):
                self.reset(self.rendered())
            self.children[key(step)] = _Tree(value)
        else:
            msg = "a path leads into a scalar"
            raise _wrong(msg)

    def delete(self, step: Value) -> None:
        kind = type(self.value)
        if kind is list:
            place = self.place(step)
            if not 0 <= place < len(self.slots):
                msg = "an index is out of bounds"
                raise _wrong(msg)
            del self.slots[place]
            return
        if kind is not dict and kind is not Set:
            msg = "a path leads into a scalar"
            raise _wrong(msg)
        if kind is Set and type(step) in (list, dict, Set):
            self.reset(self.rendered())
        stored = key(step)
        child = self.children.get(stored, ...)
        if child is None or (child is ... and stored not in self.value):
            msg = "a path does not exist"
            raise _wrong(msg)
        self.children[stored] = None


def _field(operation: Value, name: str) -> Value:
    if name not in operation:
        msg = f"an operation lacks {name}"
        raise _wrong(msg)
    return operation[name]


class _Patch:
    """One document under a patch."""

    def __init__(self, source: Value) -> None:
        self.root = _Tree(source)

    def add(self, path: _Path, value: Value) -> None:
        if path:
            self.root.at(path[:-1]).insert(path[-1], value)
        else:
            self.root.reset(value)

    def remove(self, path: _Path, *, then: bool = False) -> None:
        if path:
            self.root.at(path[:-1]).delete(path[-1])
        elif not then:
            msg = "json.patch: OPA does not survive a root that is removed"
            raise OutsideProfile(msg)

    def apply(self, operation: Value) -> None:
        if type(operation) is not dict:
            msg = "an operation is no object"
            raise _wrong(msg)
        _field(operation, "path")
        name = _field(operation, "op")
        path = _path(operation["path"])
        if name == "add":
            self.add(path, _field(operation, "value"))
        elif name == "remove":
            self.remove(path)
        elif name == "replace":
            self.remove(path, then=True)
            self.add(path, _field(operation, "value"))
        elif name in ("move", "copy"):
            source = _path(_field(operation, "from"))
            moved = self.root.at(source).rendered()
            if name == "move":
                self.remove(source, then=not path)
            self.add(path, moved)
        elif name == "test":
            found = self.root.at(path).rendered()
            if not equal(found, _field(operation, "value")):
                msg = "a test failed"
                raise _wrong(msg)
        else:
            msg = "an operation is not known"
            raise _wrong(msg)


def _patch(a: Value, b: Value) -> Value:
    patch = _Patch(a)
    for operation in array(b, 2):
        patch.apply(operation)
    return patch.root.rendered()


PATCHES: Mapping[str, Callable[..., Value]] = {
    "json.patch": _patch,
    "json.remove": _remove,
    "json.filter": _filter,
}
