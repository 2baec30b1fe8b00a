"""OPA's plan: the intermediate representation of compiled Rego, as values.

The format is OPA's contract (openpolicyagent.org/docs/ir, with a JSON
Schema); `reader` makes these values of a document that it has checked.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

# What each field of each statement holds.
STATEMENTS: Mapping[str, Mapping[str, str]] = {
    "ArrayAppendStmt": {"array": "local", "value": "operand"},
    "AssignIntStmt": {"value": "integer", "target": "local"},
    "AssignVarOnceStmt": {"source": "operand", "target": "local"},
    "AssignVarStmt": {"source": "operand", "target": "local"},
    "BlockStmt": {"blocks": "blocks"},
    "BreakStmt": {"index": "integer"},
    "CallDynamicStmt": {
        "args": "locals",
        "path": "operands",
        "result": "local",
    },
    "CallStmt": {"func": "name", "args": "operands", "result": "local"},
    "DotStmt": {"source": "operand", "key": "operand", "target": "local"},
    "EqualStmt": {"a": "operand", "b": "operand"},
    "IsArrayStmt": {"source": "operand"},
    "IsDefinedStmt": {"source": "local"},
    "IsObjectStmt": {"source": "operand"},
    "IsSetStmt": {"source": "operand"},
    "IsUndefinedStmt": {"source": "local"},
    "LenStmt": {"source": "operand", "target": "local"},
    "MakeArrayStmt": {"capacity": "integer", "target": "local"},
    "MakeNullStmt": {"target": "local"},
    "MakeNumberIntStmt": {"value": "integer", "target": "local"},
    "MakeNumberRefStmt": {"Index": "string", "target": "local"},
    "MakeObjectStmt": {"target": "local"},
    "MakeSetStmt": {"target": "local"},
    "NopStmt": {},
    "NotEqualStmt": {"a": "operand", "b": "operand"},
    "NotStmt": {"block": "block"},
    "ObjectInsertOnceStmt": {
        "key": "operand",
        "value": "operand",
        "object": "local",
    },
    "ObjectInsertStmt": {
        "key": "operand",
        "value": "operand",
        "object": "local",
    },
    "ObjectMergeStmt": {"a": "local", "b": "local", "target": "local"},
    "ResetLocalStmt": {"target": "local"},
    "ResultSetAddStmt": {"value": "local"},
    "ReturnLocalStmt": {"source": "local"},
    "ScanStmt": {
        "source": "local",
        "key": "local",
        "value": "local",
        "block": "block",
    },
    "SetAddStmt": {"value": "operand", "set": "local"},
    "WithStmt": {
        "local": "local",
        "path": "strings",
        "value": "operand",
        "block": "block",
    },
}

# The field that a statement assigns.
TARGETS: Mapping[str, tuple[str, ...]] = {
    **{
        name: ("target",)
        for name, fields in STATEMENTS.items()
        if "target" in fields
    },
    "CallStmt": ("result",),
    "CallDynamicStmt": ("result",),
    "ScanStmt": ("key", "value"),
}


@dataclass(frozen=True, slots=True)
class Stmt:
    """One statement: its kind and its checked fields.

    An operand is an `int` for a local, a `str` or a `bool` for a constant.
    """

    kind: str
    fields: Mapping[str, Any]
    place: tuple[int, int] = (-1, 0)
    """File and row that it was planned from; no file where none is stated."""

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - by kind
        return self.fields[name]

    def blocks(self) -> tuple["Block", ...]:
        """The blocks inside this statement."""
        if self.kind == "BlockStmt":
            found: tuple[Block, ...] = self.fields["blocks"]
            return found
        inner = self.fields.get("block")
        return () if inner is None else (inner,)

    def targets(self) -> tuple[int, ...]:
        """The locals that this statement assigns, itself."""
        names = TARGETS.get(self.kind, ())
        return tuple(self.fields[name] for name in names)

    def reads(self) -> Iterator[int]:
        """The locals that this statement reads, itself."""
        shape = STATEMENTS[self.kind]
        written = TARGETS.get(self.kind, ())
        for name, holds in shape.items():
            value = self.fields[name]
            if holds in ("operands", "locals"):
                yield from (v for v in value if type(v) is int)
            elif (
                holds in ("operand", "local")
                and name not in written
                and type(value) is int
            ):
                yield value
        if self.kind == "AssignVarOnceStmt":
            yield self.fields["target"]


Block = tuple[Stmt, ...]


def walk(blocks: tuple[Block, ...]) -> Iterator[Stmt]:
    """Every statement of the blocks, and of the blocks inside them."""
    for block in blocks:
        for stmt in block:
            yield stmt
            yield from walk(stmt.blocks())


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """One planned rule or function."""

    name: str
    params: tuple[int, ...]
    result: int
    blocks: tuple[Block, ...]
    path: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Builtin:
    """One built-in as the plan declares it."""

    name: str
    arity: int
    result: str
    """The declared type of the result; empty where there is none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A checked plan."""

    strings: tuple[str, ...]
    files: tuple[str, ...]
    builtins: Mapping[str, Builtin]
    functions: Mapping[str, Function]
    entrypoints: Mapping[str, tuple[Block, ...]]
