"""Whole functions and the source of a whole plan."""

import re
from dataclasses import replace
from itertools import pairwise
from typing import Any

from policy.engine.plan import STATEMENTS, Block, Function, Plan, Stmt, walk
from policy.engine.translator.analysis import (
    calls_nothing,
    single_sets,
    tests_for_false,
    worth_remembering,
)
from policy.engine.translator.blocks import Blocks
from policy.engine.translator.control import Level
from policy.engine.translator.knowledge import (
    DATA,
    DEFINED,
    INSERTS,
    MAKES,
    UNKNOWN,
    Known,
)
from policy.engine.translator.tidying import tidied

# What the planner adds on the line of a rule's head, whatever becomes of it.
SILENT = frozenset(
    {"BlockStmt", "IsDefinedStmt", "IsUndefinedStmt", "ResetLocalStmt"}
)
HAND_ON = ["IsDefinedStmt", "AssignVarOnceStmt"]
HANDLERS = {
    kind: "on" + re.sub("[A-Z]", lambda m: f"_{m[0].lower()}", kind[:-4])
    for kind in STATEMENTS
}


class Module:
    """The source of a whole plan, and the constants it refers to."""

    def __init__(
        self, plan: Plan, *, strict: bool, watched: bool = False
    ) -> None:
        self.plan = plan
        self.strict = strict
        self.watched = watched
        self.places: dict[tuple[int, int], int] = {}
        self.constants: dict[str, Any] = {}
        self.prelude: list[str] = []
        self.numbers = {name: i for i, name in enumerate(plan.functions)}
        self.names = {name: f"f{i}" for name, i in self.numbers.items()}
        self.remembered = worth_remembering(plan)
        self.builtins: dict[str, str] = {}

    def place(self, place: tuple[int, int]) -> int:
        """The number of a place in the sources."""
        return self.places.setdefault(place, len(self.places))

    def constant(self, value: Any) -> str:  # noqa: ANN401 - any Rego value
        """A global name for a value that no literal gives."""
        name = f"K{len(self.constants)}"
        self.constants[name] = value
        return name

    def shared(self, text: str) -> str:
        """A global name for a collection of constants, made once."""
        name = f"C{len(self.prelude)}"
        self.prelude.append(f"{name} = {text}")
        return name

    def builtin(self, name: str) -> str:
        """The global name of a built-in."""
        return self.builtins.setdefault(name, f"b{len(self.builtins)}")

    def source(self) -> str:
        """The Python source."""
        lines: list[str] = []
        for function in self.plan.functions.values():
            lines += Writer(self, function).function()
        for i, blocks in enumerate(self.plan.entrypoints.values()):
            lines += Writer(self, None).entrypoint(f"p{i}", blocks)
        return "\n".join([*self.prelude, *lines, ""])


class Writer(Blocks):
    """Writes one function."""

    def count(self, blocks: tuple[Block, ...]) -> None:
        """Count the reads and insertions of each local."""
        self.blocks = blocks
        for stmt in walk(blocks):
            self.reads.update(stmt.reads())
        self.drop_unread(blocks)
        for stmt in walk(blocks):
            if stmt.kind in INSERTS:
                self.inserts[stmt[INSERTS[stmt.kind]]] += 1
        # Where a collection is added to under a second name, none is shared.
        self.aliased = any(
            self.inserts[stmt["target"]] and type(stmt["source"]) is int
            for stmt in walk(blocks)
            if stmt.kind in ("AssignVarStmt", "AssignVarOnceStmt")
        )
        self.singles = frozenset() if self.aliased else single_sets(blocks)
        self.pairs(blocks)

    def drop_unread(self, blocks: tuple[Block, ...]) -> None:
        """Forget names that are given and never used."""
        names = [s for s in walk(blocks) if s.kind == "AssignVarStmt"]
        while True:
            dead = [s for s in names if not self.reads[s["target"]]]
            if not dead:
                return
            self.unread.update(map(id, dead))
            names = [s for s in names if self.reads[s["target"]]]
            for stmt in dead:
                self.reads.subtract(stmt.reads())

    def pairs(self, blocks: tuple[Block, ...]) -> None:
        """Count the results that are only compared with false."""
        for block in blocks:
            for stmt, following in pairwise(block):
                if tests_for_false(stmt, following):
                    self.fused[stmt.targets()[0]] += 1
            for stmt in block:
                self.pairs(stmt.blocks())

    def function(self) -> list[str]:
        """The lines of a planned function."""
        planned = self.planned
        assert planned is not None  # noqa: S101 - the caller's choice
        self.count(planned.blocks)
        params = [f"v{p}" for p in planned.params]
        memo = len(params) == 2
        number = self.module.numbers[planned.name]
        self.state = dict.fromkeys(planned.params, DEFINED)
        self.state[planned.params[0]] = UNKNOWN
        self.state[planned.params[1]] = DATA
        undefined = f"m[{number}] = ..." if memo else ""
        self.returned = f"{undefined}; return ..." if memo else "return ..."
        self.memo = f"m[{number}] = " if memo else ""
        self.top(planned.blocks)
        self.emit(self.returned)
        head = [
            f"def {self.module.names[planned.name]}({', '.join(params)}, m):",
            *self.charged(planned, memo=memo),
        ]
        lines = tidied(self.lines)
        return head + self.initial(planned.params) + lines

    def charged(self, planned: Function, *, memo: bool) -> list[str]:
        """The lines that charge a call to the budget.

        A rule without parameters runs once a frame, and frames are charged;
        its loops are, too. What neither loops nor calls is paid for by the
        one who calls it.
        """
        scans = any(s.kind == "ScanStmt" for s in walk(planned.blocks))
        leaf = calls_nothing(planned)
        lines = (
            ["    budget = m.budget"] if scans or not (memo or leaf) else []
        )
        if not memo and not leaf:
            lines += [
                "    budget.left -= 1",
                "    if budget.left < 0: budget.refill()",
            ]
        return lines

    def entrypoint(self, name: str, blocks: tuple[Block, ...]) -> list[str]:
        """The lines of an entrypoint, which returns its result set."""
        self.count(blocks)
        self.state = {0: UNKNOWN, 1: DATA}
        self.returned = "return results"
        self.top(blocks, last_is_function=False)
        self.emit(self.returned)
        head = [
            f"def {name}(v0, v1, m):",
            "    budget = m.budget",
            "    results = []",
        ]
        return head + self.initial((0, 1)) + self.lines

    def initial(self, params: tuple[int, ...]) -> list[str]:
        """The line that makes locals undefined before they are read."""
        names = [f"v{n}" for n in sorted(self.unset - set(params))]
        return [f"    {' = '.join(names)} = ..."] if names else []

    def handed_on(self, block: Block) -> bool:
        """A result that is given its value, where it has none so far."""
        if [stmt.kind for stmt in block] != HAND_ON:
            return False
        test, given = block
        source, target = given["source"], given["target"]
        if type(source) is not int or test["source"] != source:
            return False
        if self.known(target).defined is not False:
            return False
        self.unset.add(source)
        self.emit(f"{self.name(target)} = {self.name(source)}")
        self.set(target, replace(self.known(source), base=False))
        return True

    def top(
        self, blocks: tuple[Block, ...], *, last_is_function: bool = True
    ) -> None:
        """The blocks of a function, of which the last may return."""
        for i, block in enumerate(blocks):
            if self.state is None:
                break
            if last_is_function and i == len(blocks) - 1:
                self.levels.append(Level("function"))
                self.statements(block)
                self.levels.pop()
            elif not self.handed_on(block):
                self.block(block)

    def statements(self, block: Block) -> None:
        """The statements of a block, until one is never reached."""
        at = 0
        while at < len(block) and self.state is not None:
            at += self.statement(block, at)

    def statement(self, block: Block, at: int) -> int:
        """Write one statement, or several that go together.

        Returns:
            How many statements were written.
        """
        stmt = block[at]
        before, self.place = self.place, stmt.place
        if stmt.kind not in SILENT:
            self.watch("line")
        count = self.written(block, at)
        self.place = before
        return count

    def written(self, block: Block, at: int) -> int:
        """The same, its place being known."""
        stmt = block[at]
        following = block[at + 1] if at + 1 < len(block) else None
        if following is not None and self.tested(stmt, following):
            return 2
        if stmt.kind in MAKES:
            return self.make(block, at)
        getattr(self, HANDLERS[stmt.kind])(stmt)
        return 1

    def tested(self, stmt: Stmt, following: Stmt) -> bool:
        """A call or look-up whose result is only compared with false."""
        if not tests_for_false(stmt, following):
            return False
        local = stmt.targets()[0]
        if self.reads[local] != self.fused[local]:
            return False
        if stmt.kind == "CallStmt":
            condition = self.condition(stmt)
            if condition is None:
                return False
            self.fail_if(f"not ({condition})")
            self.set(local, Known(defined=True, kind="bool"))
            return True
        name = self.look_up(stmt)
        if name is None:
            return True
        self.fail_if(f"{name} is False")
        return True
