"""Blocks, negation, `with`, and scans.

`with` renames the document's local and takes a fresh frame, so nothing needs
undoing. A scan whose only lasting effect is to give one constant to one
undefined local ends at its first success, as OPA's own evaluator ends it.
"""

from policy.engine.plan import Block, Stmt, walk
from policy.engine.translator.analysis import (
    defines_last,
    exposed,
    leaves,
    order_shows,
)
from policy.engine.translator.calls import Calls
from policy.engine.translator.control import Level
from policy.engine.translator.knowledge import (
    INSERTS,
    MAKES,
    UNDEFINED,
    UNKNOWN,
    Known,
    merge,
)


class Blocks(Calls):
    """Writes the statements that hold blocks."""

    def on_block(self, stmt: Stmt) -> None:
        """Blocks one after the other, whatever becomes of each."""
        for block in stmt["blocks"]:
            if self.state is None:
                return
            if block:
                self.block(block)

    def on_not(self, stmt: Stmt) -> None:
        """A block that must fail."""
        flag = self.unique("n")
        self.emit(f"{flag} = True")
        self.emit("while True:")
        level = Level("while")
        self.body(stmt["block"], level, last=f"{flag} = False")
        self.closed(merge(level.exits))
        if self.state is not None:
            self.fail_if(f"not {flag}")

    def on_with(self, stmt: Stmt) -> None:
        """A block under a changed input or data."""
        local, path = stmt["local"], stmt["path"]
        value = self.read(stmt["value"])
        known = self.known(stmt["value"])
        before, frame = self.rename.get(local), self.frame
        was = self.known(local)
        name, self.frame = self.unique("w"), self.unique("m")
        if path:
            parts = "".join(f"{part!r}, " for part in path)
            if was.defined is False:
                value = f"upsert(..., ({parts}), {value})"
            else:
                value = f"upsert({self.name(local)}, ({parts}), {value})"
            known = Known(defined=True, kind="dict")
        self.emit(f"{name} = {value}")
        self.emit(f"{self.frame} = {frame}.fresh()")
        self.rename[local] = name
        self.set(
            local,
            Known(defined=known.defined, kind=known.kind, base=was.base),
        )
        # A failure inside fails the statement, so the block needs no loop
        # of its own; to a jump it is one level all the same.
        self.levels.append(self.levels[-1])
        self.statements(stmt["block"])
        self.levels.pop()
        self.frame = frame
        if before is None:
            del self.rename[local]
        else:
            self.rename[local] = before
        if self.state is not None:
            self.set(local, was)

    def on_scan(self, stmt: Stmt) -> None:
        """A loop over a collection."""
        if self.known(stmt["source"]).defined is False:
            return
        outside = exposed(self.blocks, stmt)[0]
        held = self.unique("s")
        self.emit(f"{held} = {self.scanned(stmt, outside)}")
        self.emit(f"budget.left -= len({held})")
        self.emit("if budget.left < 0: budget.refill()")
        once = self.only_effect(stmt, outside)
        self.enter_scan(stmt)
        start = dict(self.state or {})
        if once is not None:
            # The loop is left as soon as this local has its value, so no
            # turn of it begins with one.
            self.set(once, UNDEFINED)
        names = self.name(stmt["value"])
        if self.reads[stmt["key"]]:
            names = f"{self.name(stmt['key'])}, {names}"
            self.set(stmt["key"])
        self.set(stmt["value"])
        self.emit(f"for {names} in {held}:")
        last = "" if once is None else self.leaving(stmt["block"], once)
        self.body(stmt["block"], Level("for"), last=last)
        self.closed(start)

    def scanned(self, stmt: Stmt, outside: frozenset[int]) -> str:
        """What a scan iterates over."""
        text = self.read(stmt["source"])
        kind = self.known(stmt["source"]).kind
        ordered = order_shows(stmt["block"], outside)
        if self.reads[stmt["key"]]:
            return f"{'ordered_items' if ordered else 'items'}({text})"
        if kind == "list":
            return text
        helper = "ordered_values" if ordered else "values"
        return f"{text} if type({text}) is list else {helper}({text})"

    def enter_scan(self, stmt: Stmt) -> None:
        """Forget what does not hold in every turn of a loop."""
        assert self.state is not None  # noqa: S101 - callers are reachable
        for one in (stmt, *walk((stmt["block"],))):
            for local in one.targets():
                self.state[local] = UNKNOWN

    def only_effect(self, stmt: Stmt, outside: frozenset[int]) -> int | None:
        """The undefined local that a scan does nothing but define, if any.

        It must be given constants alone, so that later turns could only give
        it the same again.
        """
        if leaves(stmt["block"]):
            return None
        given = self.given(stmt["block"], outside)
        if given is None or len(given) != 1:
            return None
        ((local, constants),) = given.items()
        once = len(constants) == 1 and self.known(local).defined is False
        last = defines_last(stmt["block"], local)
        return local if once and last else None

    def given(
        self, block: Block, outside: frozenset[int]
    ) -> dict[int, set[str]] | None:
        """The constants that a body gives to locals, if it does no more."""
        inside = list(walk((block,)))
        made = {one["target"] for one in inside if one.kind in MAKES}
        given: dict[int, set[str]] = {}
        for one in inside:
            grows = INSERTS.get(one.kind)
            if one.kind == "ResultSetAddStmt" or (
                grows is not None and one[grows] not in made
            ):
                return None
            for local in set(one.targets()) & outside:
                assigns = one.kind in ("AssignVarStmt", "AssignVarOnceStmt")
                if not assigns or type(one["source"]) is int:
                    return None
                given.setdefault(local, set()).add(repr(one["source"]))
        return given

    def leaving(self, block: Block, once: int) -> str:
        """What ends a turn of a loop that is left at its first success."""
        if block[-1].kind != "ScanStmt":
            return "break"
        self.unset.add(once)
        return f"if {self.name(once)} is not ...: break"
