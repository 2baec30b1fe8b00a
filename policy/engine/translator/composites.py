"""Statements on collections: made, filled and merged.

A collection and the insertions that follow it at once become one literal;
where all of it is constant, and nothing is ever added to it, one object
serves every call.
"""

from policy.engine.errors import PlanInvalid
from policy.engine.plan import Block, Stmt
from policy.engine.translator.knowledge import (
    INSERTS,
    LITERAL,
    MAKES,
    Known,
    is_small,
)
from policy.engine.translator.statements import Statements


class Composites(Statements):
    """Writes the statements on collections."""

    def make(self, block: Block, at: int) -> int:
        """An empty collection, with the insertions that follow at once."""
        stmt = block[at]
        local = stmt["target"]
        empty, kind = MAKES[stmt.kind]
        parts: list[str] = []
        constant = True
        count = 1
        for following in block[at + 1 :]:
            part = self.part(following, local)
            if part is None:
                break
            parts.append(part[0])
            constant = constant and part[1]
            count += 1
        if self.single(stmt):
            # Only ever empty or one constant: both are shared, none grows.
            self.emit(f"{self.name(local)} = {self.module.shared(empty)}")
            self.set(local, Known(defined=True, kind=kind))
            return 1
        text = empty
        if parts:
            inner = ", ".join(parts)
            text = {
                "list": f"[{inner}]",
                "dict": f"{{{inner}}}",
                "Set": f"Set({{{inner}}})",
            }[kind]
        known = Known(defined=True, kind=kind)
        if constant and not self.aliased and self.inserts[local] == len(parts):
            # Nothing is ever added to it: one object serves every call.
            name = self.module.shared(text)
            known = Known(defined=True, kind=kind, const=name)
            text = name
        self.emit(f"{self.name(local)} = {text}")
        self.set(local, known)
        return count

    def single(self, stmt: Stmt) -> bool:
        """Whether a set is added one constant string to, and nothing else."""
        return stmt.kind == "MakeSetStmt" and stmt["target"] in self.singles

    def part(self, stmt: Stmt, local: int) -> tuple[str, bool] | None:
        """A literal's item that an insertion stands for, if it is one."""
        names = LITERAL.get(stmt.kind)
        operands = [stmt[name] for name in names or ()]
        if not names or stmt[INSERTS[stmt.kind]] != local:
            return None
        if local in operands or any(
            self.known(o).defined is not True for o in operands
        ):
            return None
        constant = all(self.known(o).const for o in operands)
        value = self.read(stmt["value"])
        if stmt.kind == "ObjectInsertStmt":
            value = f"({self.key_of(stmt['key'])}): {value}"
        elif stmt.kind == "SetAddStmt":
            stored = self.element_key(stmt["value"], value)
            if stored is None:
                return None  # an equal element may be there already
            value = f"{stored}: {value}"
        return value, constant

    def element_key(self, operand: int | str | bool, text: str) -> str | None:  # noqa: FBT001 - an operand
        """The key of an element that equals no other spelling of it."""
        known = self.known(operand)
        if known.kind == "str" or is_small(known.const) or text == "None":
            return text
        if known.const and known.kind == "bool":
            return f'("b", {text})'
        return None

    def growing(self, local: int) -> str:
        """A collection that is added to, which no other call can see."""
        if self.known(local).const:
            msg = "plan: an insertion into what was not made before it"
            raise PlanInvalid(msg)
        return self.name(local)

    def on_array_append(self, stmt: Stmt) -> None:
        """Append to an array."""
        name = self.growing(stmt["array"])
        self.emit(f"{name}.append({self.read(stmt['value'])})")

    def on_set_add(self, stmt: Stmt) -> None:
        """Add to a set; an equal element that is there stays."""
        value = self.read(stmt["value"])
        if stmt["set"] in self.singles:
            whole = self.module.shared(f"Set({{{value}: {value}}})")
            self.emit(f"{self.name(stmt['set'])} = {whole}")
            return
        name = self.growing(stmt["set"])
        if self.known(stmt["value"]).kind == "str":
            self.emit(f"{name}[{value}] = {value}")
            return
        self.emit(f"if type({value}) is str: {name}[{value}] = {value}")
        self.emit(f"else: add({name}, {value})")

    def on_object_insert(self, stmt: Stmt) -> None:
        """Set a field of an object."""
        name, value = self.growing(stmt["object"]), self.read(stmt["value"])
        self.emit(f"{name}[{self.key_of(stmt['key'])}] = {value}")

    def on_object_insert_once(self, stmt: Stmt) -> None:
        """Set a field that may be there with the same value only."""
        name, value = self.growing(stmt["object"]), self.read(stmt["value"])
        wanted = self.read(stmt["key"])
        self.emit(f"if type({wanted}) is str and {wanted} not in {name}:")
        self.emit(f"    {name}[{wanted}] = {value}")
        self.emit(f"else: insert_once({name}, {wanted}, {value})")

    def on_object_merge(self, stmt: Stmt) -> None:
        """Two objects as one."""
        a, b = self.read(stmt["a"]), self.read(stmt["b"])
        self.emit(f"{self.name(stmt['target'])} = merge({a}, {b})")
        self.set(stmt["target"], Known(defined=True, kind="dict"))
