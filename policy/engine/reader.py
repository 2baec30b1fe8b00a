"""Reading a plan: everything is checked before a line of code is made of it.

Every statement known, every field of its type, every string, local, function
and jump within range, every built-in in the profile and called with as many
operands as it has. What does not pass is refused, by name.

Stricter than the format's schema: jumps must stay inside their function, and
a call must name something that exists.
"""

from collections.abc import Mapping
from typing import Any

from policy.engine.errors import BuiltinRefused, PlanInvalid
from policy.engine.plan import STATEMENTS, Block, Builtin, Function, Plan, Stmt

_PLACE = frozenset({"file", "col", "row", "end_col", "end_row"})
_MAX_LOCAL = 100_000
_MAX_NESTING = 64


def _fail(what: str) -> PlanInvalid:
    return PlanInvalid(f"plan: {what}")


def _dict(value: Any, what: str) -> dict[str, Any]:  # noqa: ANN401 - JSON
    if type(value) is not dict:
        msg = f"{what} is not an object"
        raise _fail(msg)
    return value


def _only(shape: dict[str, Any], names: str, what: str) -> None:
    if not set(names.split()) >= shape.keys():
        msg = f"{what} has an unknown field"
        raise _fail(msg)


def _part(root: dict[str, Any], name: str) -> dict[str, Any]:
    value = root.get(name)
    return {} if value is None else _dict(value, name)


def _list(value: Any, what: str) -> list[Any]:  # noqa: ANN401 - JSON
    if value is None:
        return []
    if type(value) is not list:
        msg = f"{what} is not a list"
        raise _fail(msg)
    return value


def _text(value: Any, what: str) -> str:  # noqa: ANN401 - JSON
    if type(value) is not str or not _encodable(value):
        msg = f"{what} is not a string"
        raise _fail(msg)
    return value


def _encodable(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


class _Reader:
    """Reads the parts of one plan."""

    def __init__(self, document: Any) -> None:  # noqa: ANN401 - JSON
        root = _dict(document, "the plan")
        static = _part(root, "static")
        self.strings = tuple(
            _text(_dict(s, "a string").get("value"), "a string")
            for s in _list(static.get("strings"), "strings")
        )
        self.files = tuple(
            _text(_dict(f, "a file").get("value"), "a file")
            for f in _list(static.get("files"), "files")
        )
        self.builtins = {
            b.name: b
            for b in map(
                _builtin, _list(static.get("builtin_funcs"), "builtin_funcs")
            )
        }
        funcs = _part(root, "funcs")
        self.raw_functions = [
            _dict(f, "a function") for f in _list(funcs.get("funcs"), "funcs")
        ]
        self.arity = {
            _text(f.get("name"), "a function's name"): len(
                _list(f.get("params"), "params")
            )
            for f in self.raw_functions
        }
        plans = _part(root, "plans")
        self.raw_plans = [
            _dict(p, "a plan") for p in _list(plans.get("plans"), "plans")
        ]

    def local(self, value: Any) -> int:  # noqa: ANN401 - JSON
        if type(value) is not int or not 0 <= value < _MAX_LOCAL:
            msg = "a local is out of range"
            raise _fail(msg)
        return value

    def string(self, value: Any) -> str:  # noqa: ANN401 - JSON
        if type(value) is not int or not 0 <= value < len(self.strings):
            msg = "a string index is out of range"
            raise _fail(msg)
        return self.strings[value]

    def operand(self, value: Any) -> int | str | bool:  # noqa: ANN401 - JSON
        shape = _dict(value, "an operand")
        _only(shape, "type value", "an operand")
        kind, held = shape.get("type"), shape.get("value")
        if kind == "local":
            return self.local(held)
        if kind == "string_index":
            return self.string(held)
        if kind == "bool" and type(held) is bool:
            return held
        msg = "an operand is of no known type"
        raise _fail(msg)

    def field(self, holds: str, value: Any, depth: int) -> Any:  # noqa: ANN401, C901, PLR0911 - one row a kind of field
        if holds == "local":
            return self.local(value)
        if holds == "operand":
            return self.operand(value)
        if holds == "string":
            return self.string(value)
        if holds == "block":
            return self.block(value, depth + 1)
        if holds == "blocks":
            inner = _list(value, "blocks")
            return tuple(self.block(b, depth + 1) for b in inner)
        if holds == "locals":
            return tuple(map(self.local, _list(value, "args")))
        if holds == "operands":
            return tuple(map(self.operand, _list(value, "args")))
        if holds == "strings":
            return tuple(map(self.string, _list(value, "path")))
        if holds == "name":
            return _text(value, "a function's name")
        if type(value) is not int:
            msg = "a field is not an integer"
            raise _fail(msg)
        return value

    def statement(self, value: Any, depth: int) -> Stmt:  # noqa: ANN401 - JSON
        shape = _dict(value, "a statement")
        _only(shape, "type stmt", "a statement")
        kind = shape.get("type")
        if type(kind) is not str or kind not in STATEMENTS:
            msg = "a statement is of no known kind"
            raise _fail(msg)
        raw = _dict(shape.get("stmt"), kind)
        wanted = STATEMENTS[kind]
        if not wanted.keys() | _PLACE | {"index"} >= raw.keys():
            # OPA writes the string's index of a number under both spellings.
            msg = f"{kind} has an unknown field"
            raise _fail(msg)
        fields = {
            name: self.field(holds, raw.get(name), depth)
            for name, holds in wanted.items()
        }
        stmt = Stmt(kind, fields, self.place(raw))
        self.check(stmt, depth)
        return stmt

    def place(self, raw: dict[str, Any]) -> tuple[int, int]:
        """Where a statement was planned from, if that is stated."""
        file, row = raw.get("file", 0), raw.get("row", 0)
        if type(file) is not int or type(row) is not int:
            msg = "a place is no number"
            raise _fail(msg)
        known = 0 <= file < len(self.files) and row > 0
        return (file, row) if known else (-1, 0)

    def check(self, stmt: Stmt, depth: int) -> None:
        """What the types of the fields alone do not say."""
        if stmt.kind == "BreakStmt" and not 0 <= stmt["index"] <= depth:
            msg = "a jump leaves its function"
            raise _fail(msg)
        if stmt.kind == "CallDynamicStmt" and depth < 3:
            msg = "a dynamic call stands outside the blocks it ends"
            raise _fail(msg)
        if stmt.kind == "CallStmt":
            name, count = stmt["func"], len(stmt["args"])
            if name in self.arity:
                wanted = self.arity[name]
            elif name in self.builtins:
                wanted = self.builtins[name].arity
            else:
                msg = "a call names no function"
                raise _fail(msg)
            if count != wanted:
                msg = f"a call of {name} has {count} operands, not {wanted}"
                raise _fail(msg)

    def block(self, value: Any, depth: int) -> Block:  # noqa: ANN401 - JSON
        if depth > _MAX_NESTING:
            msg = "blocks are nested too deeply"
            raise _fail(msg)
        shape = _dict(value, "a block")
        _only(shape, "stmts", "a block")
        stmts = _list(shape.get("stmts"), "stmts")
        return tuple(self.statement(s, depth) for s in stmts)

    def blocks(self, value: Any) -> tuple[Block, ...]:  # noqa: ANN401 - JSON
        return tuple(self.block(b, 0) for b in _list(value, "blocks"))

    def function(self, raw: dict[str, Any]) -> Function:
        _only(raw, "name params return blocks path", "a function")
        params = tuple(map(self.local, _list(raw.get("params"), "params")))
        if len(params) < 2 or len(set(params)) != len(params):
            msg = "a function lacks its parameters"
            raise _fail(msg)
        path = _list(raw.get("path"), "path")
        return Function(
            name=raw["name"],
            params=params,
            result=self.local(raw.get("return")),
            blocks=self.blocks(raw.get("blocks")),
            path=tuple(_text(p, "a path") for p in path),
        )


def _builtin(value: Any) -> Builtin:  # noqa: ANN401 - JSON
    raw = _dict(value, "a built-in")
    name = _text(raw.get("name"), "a built-in's name")
    declared = _dict(raw.get("decl"), "a declaration")
    result = declared.get("result")
    return Builtin(
        name=name,
        arity=len(_list(declared.get("args"), "args")),
        result=""
        if result is None
        else _text(_dict(result, "a result").get("type"), "a type"),
    )


def read_plan(document: Any, profile: Mapping[str, Any]) -> Plan:  # noqa: ANN401 - JSON, which is what is checked here
    """Check a plan and give it a form that the translator can trust.

    Args:
        document: the parsed `plan.json`.
        profile: the built-ins that the engine has, by name.

    Returns:
        The plan.

    Raises:
        BuiltinRefused: a built-in outside the profile is asked for.
        PlanInvalid: the document is not a plan that we run.
    """
    reader = _Reader(document)
    for name in reader.builtins:
        if name not in profile:
            raise BuiltinRefused(name)
    functions = [reader.function(raw) for raw in reader.raw_functions]
    if len({f.name for f in functions}) != len(functions):
        msg = "two functions have one name"
        raise _fail(msg)
    return Plan(
        strings=reader.strings,
        files=reader.files,
        builtins=reader.builtins,
        functions={f.name: f for f in functions},
        entrypoints={
            _text(p.get("name"), "a plan's name"): reader.blocks(
                p.get("blocks")
            )
            for p in reader.raw_plans
        },
    )
