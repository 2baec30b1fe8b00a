"""Lines, levels and jumps of one function that is being written.

A level is what a failure or a jump can lead to the end of: a block, which is
a `while True` left by `break`; a turn of a loop, a `for` left by `continue`;
or the function. A jump over levels that are Python loops sets a flag, which
each loop on the way tests when it has been left.
"""

from abc import ABC, abstractmethod
from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from policy.engine.errors import PlanInvalid
from policy.engine.plan import Block, Function, Plan
from policy.engine.translator.knowledge import (
    DEFINED,
    UNDEFINED,
    Known,
    State,
    merge,
)

MAX_LOOPS = 18  # CPython compiles at most 20 nested blocks


class Shared(Protocol):
    """What the functions of one plan have in common."""

    plan: Plan
    strict: bool
    watched: bool
    numbers: dict[str, int]
    names: dict[str, str]
    remembered: frozenset[str]

    def place(self, place: tuple[int, int]) -> int:
        """The number of a place in the sources."""
        ...

    def constant(self, value: object) -> str:
        """A global name for a value that no literal gives."""
        ...

    def shared(self, text: str) -> str:
        """A global name for a collection of constants, made once."""
        ...

    def builtin(self, name: str) -> str:
        """The global name of a built-in."""
        ...


@dataclass(slots=True, eq=False)
class Level:
    """A place that a failure or a jump can lead to the end of."""

    kind: str  # "while", "for" or "function"
    exits: list[State] = field(default_factory=list)
    flagged: bool = False
    name: str = ""


class Control(ABC):
    """The lines of one function, and where control is in them."""

    def __init__(self, module: "Shared", function: Function | None) -> None:
        self.module = module
        self.planned = function
        self.lines: list[str] = []
        self.indent = 1
        self.levels: list[Level] = []
        self.state: State | None = {}
        self.rename: dict[int, str] = {}
        self.frame = "m"
        self.fresh = 0
        self.unset: set[int] = set()
        self.reads: Counter[int] = Counter()
        self.unread: set[int] = set()
        self.fused: Counter[int] = Counter()
        self.inserts: Counter[int] = Counter()
        self.returned = ""
        self.memo = ""
        self.aliased = False
        self.singles: frozenset[int] = frozenset()
        self.place: tuple[int, int] = (-1, 0)
        self.crossing: list[Level] = []
        self.blocks: tuple[Block, ...] = ()

    @abstractmethod
    def statements(self, block: Block) -> None:
        """Write the statements of a block."""

    def emit(self, line: str) -> None:
        """Write a line at the current depth."""
        self.lines.append("    " * self.indent + line)

    def unique(self, prefix: str) -> str:
        """A Python name that nothing else has."""
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    def name(self, local: int) -> str:
        """The Python name of a local, here."""
        return self.rename.get(local, f"v{local}")

    def known(self, operand: int | str | bool) -> Known:  # noqa: FBT001 - an operand
        """What is known of an operand, here."""
        if type(operand) is int:
            assert self.state is not None  # noqa: S101 - callers are reachable
            return self.state.get(operand, UNDEFINED)
        kind = "bool" if type(operand) is bool else "str"
        return Known(defined=True, kind=kind, const=repr(operand))

    def read(self, operand: int | str | bool) -> str:  # noqa: FBT001 - an operand
        """The expression for an operand."""
        if type(operand) is not int:
            return repr(operand)
        known = self.known(operand)
        if known.const:
            return known.const
        if known.defined is not True:
            self.unset.add(operand)
        return self.name(operand)

    def set(self, local: int, known: Known = DEFINED) -> None:
        """Say what is known of a local from here on."""
        assert self.state is not None  # noqa: S101 - callers are reachable
        self.state[local] = known

    def target(self, index: int) -> Level:
        """The level that a jump over so many leads to the end of."""
        return self.levels[-1 - index]

    def jump(self, level: Level) -> None:
        """Leave for the end of a level."""
        if self.state is None:
            return
        level.exits.append(dict(self.state))
        if level.kind == "function":
            self.emit(self.returned)
            return
        inner = self.levels[-1]
        if level is inner:
            self.emit("continue" if inner.kind == "for" else "break")
            return
        if not level.flagged:
            level.flagged = True
            level.name = self.unique("j")
        self.emit(f"{level.name} = True")
        self.emit("break")

    def watch(self, event: str) -> None:
        """Tell the watcher where this is, if there is one."""
        if self.module.watched and self.place[0] >= 0:
            number = self.module.place(self.place)
            self.emit(f"m.watcher.{event}({number})")

    def fail(self) -> None:
        """Leave the innermost level."""
        if self.state is not None:
            self.watch("stop")
        self.jump(self.levels[-1])

    def fail_if(self, condition: str) -> None:
        """Leave the innermost level on a condition."""
        self.emit(f"if {condition}:")
        self.indent += 1
        self.fail()
        self.indent -= 1

    def stop(self) -> None:
        """Nothing after this point is reached."""
        self.state = None

    def after(self, pending: list[Level]) -> None:
        """Test the flags of jumps that pass through, once a loop ended."""
        for level in pending:
            if level is self.levels[-1]:
                self.emit(f"if {level.name}:")
                word = "continue" if level.kind == "for" else "break"
            else:
                self.emit(f"if {level.name}:")
                word = "break"
            self.emit(f"    {word}")

    def body(self, block: Block, level: Level, *, last: str = "") -> None:
        """The statements of a block inside a new loop of the level's kind.

        What the level's flag needs at its start is put there afterwards.
        """
        loops = sum(1 for lv in set(self.levels) if lv.kind != "function")
        if loops >= MAX_LOOPS:
            msg = "plan: blocks are nested too deeply"
            raise PlanInvalid(msg)
        outer = set(map(id, self.levels))
        before = {id(lv): len(lv.exits) for lv in self.levels}
        self.levels.append(level)
        start = len(self.lines)
        self.indent += 1
        self.statements(block)
        if self.state is not None and last:
            self.emit(last)
        if level.kind == "while" and self.state is not None:
            level.exits.append(dict(self.state))
            self.emit("break")
        if level.flagged:
            self.lines.insert(
                start, "    " * self.indent + f"{level.name} = False"
            )
        if len(self.lines) == start:
            self.emit("pass")
        self.indent -= 1
        self.levels.pop()
        crossing = [
            lv
            for lv in dict.fromkeys(self.levels)
            if id(lv) in outer
            and len(lv.exits) > before[id(lv)]
            and lv.flagged
        ]
        self.crossing = crossing

    def closed(self, state: State | None) -> None:
        """Continue behind a loop with this state."""
        crossing = self.crossing
        self.state = state
        self.after(crossing)

    def block(self, block: Block) -> None:
        """One block: whatever happens inside, go on behind it."""
        level = Level("while")
        self.emit("while True:")
        self.body(block, level)
        self.closed(merge(level.exits))
