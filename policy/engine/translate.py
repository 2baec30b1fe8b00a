"""Translation of a checked plan into Python source.

Each planned function and each entrypoint becomes one Python function with a
local for a local. A block is a `while True` that ends in `break`: failure
inside it is `break`, and inside a scan, which is a `for`, it is `continue`.
A jump over several blocks sets a flag that the blocks on the way test. What
is known of a local at each point (defined or not, its type, its constant
value) is followed through the statements to leave out checks.

`with` renames the document's local and takes a fresh memo, so nothing needs
undoing. Every constant text enters the source through `repr`.

Early exit: a scan whose only lasting effect is to give constants to locals
ends at its first success, as OPA's own evaluator ends it.
"""

from collections import Counter
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from policy.engine.errors import PlanInvalid
from policy.engine.numbers import number
from policy.engine.plan import Block, Function, Plan, Stmt, walk

_MAX_LOOPS = 18  # CPython compiles at most 20 nested blocks


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a local: defined, undefined or neither; its type."""

    defined: bool | None = None
    kind: str = ""
    const: str = ""
    base: bool = False
    """Whether it is a part of `data`, whose numbered names are strings."""


_DEFINED = Known(defined=True)
_UNDEFINED = Known(defined=False)
_UNKNOWN = Known()
_DATA = Known(base=True)

_KINDS = {
    "number": "number",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "set": "Set",
    "null": "None",
}

_MAKES = {
    "MakeArrayStmt": ("[]", "list"),
    "MakeObjectStmt": ("{}", "dict"),
    "MakeSetStmt": ("Set()", "Set"),
}

_INSERTS = {
    "ArrayAppendStmt": "array",
    "ObjectInsertStmt": "object",
    "ObjectInsertOnceStmt": "object",
    "SetAddStmt": "set",
}

# The operands of insertions that can stand in a literal.
_LITERAL = {
    "ArrayAppendStmt": ("value",),
    "ObjectInsertStmt": ("key", "value"),
    "SetAddStmt": ("value",),
}

_COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# Questions of type that are one test of Python's.
_QUESTIONS = {
    "is_array": "type({}) is list",
    "is_boolean": "type({}) is bool",
    "is_null": "{} is None",
    "is_object": "type({}) is dict",
    "is_set": "type({}) is Set",
    "is_string": "type({}) is str",
}

# Built-ins that refuse no operand.
_TOTAL = frozenset(
    {
        *_COMPARISONS,
        *_QUESTIONS,
        "equal",
        "internal.member_2",
        "internal.member_3",
        "is_number",
        "neq",
    }
)

State = dict[int, Known]


@dataclass(slots=True, eq=False)
class Level:
    """A place that a failure or a jump can lead to the end of."""

    kind: str  # "while", "for" or "function"
    exits: list[State] = field(default_factory=list)
    flagged: bool = False
    name: str = ""


def _merge(states: list[State]) -> State | None:
    if not states:
        return None
    first, *rest = states
    result = dict(first)
    for other in rest:
        for local in result.keys() | other.keys():
            a = result.get(local, _UNDEFINED)
            b = other.get(local, _UNDEFINED)
            if a != b:
                result[local] = Known(
                    defined=a.defined if a.defined == b.defined else None,
                    kind=a.kind if a.kind == b.kind else "",
                    base=a.base or b.base,
                )
    return result


class Module:
    """The source of a whole plan, and the constants it refers to."""

    def __init__(self, plan: Plan, *, strict: bool) -> None:
        self.plan = plan
        self.strict = strict
        self.constants: dict[str, Any] = {}
        self.prelude: list[str] = []
        self.numbers = {name: i for i, name in enumerate(plan.functions)}
        self.names = {name: f"f{i}" for name, i in self.numbers.items()}
        self.remembered = _worth_remembering(plan)
        self.builtins: dict[str, str] = {}

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
            lines += _Writer(self, function).function()
        for i, blocks in enumerate(self.plan.entrypoints.values()):
            lines += _Writer(self, None).entrypoint(f"p{i}", blocks)
        return "\n".join([*self.prelude, *lines, ""])


class _Writer:
    """Writes one function."""

    def __init__(self, module: Module, function: Function | None) -> None:
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
        self.crossing: list[Level] = []
        self.blocks: tuple[Block, ...] = ()

    # -- small things ----------------------------------------------------

    def emit(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    def unique(self, prefix: str) -> str:
        self.fresh += 1
        return f"{prefix}{self.fresh}"

    def name(self, local: int) -> str:
        return self.rename.get(local, f"v{local}")

    def known(self, operand: int | str | bool) -> Known:  # noqa: FBT001 - an operand
        if type(operand) is int:
            assert self.state is not None  # noqa: S101 - callers are reachable
            return self.state.get(operand, _UNDEFINED)
        kind = "bool" if type(operand) is bool else "str"
        return Known(defined=True, kind=kind, const=repr(operand))

    def read(self, operand: int | str | bool) -> str:  # noqa: FBT001 - an operand
        if type(operand) is not int:
            return repr(operand)
        known = self.known(operand)
        if known.const:
            return known.const
        if known.defined is not True:
            self.unset.add(operand)
        return self.name(operand)

    def set(self, local: int, known: Known = _DEFINED) -> None:
        assert self.state is not None  # noqa: S101 - callers are reachable
        self.state[local] = known

    # -- control ---------------------------------------------------------

    def target(self, index: int) -> Level:
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

    def fail(self) -> None:
        self.jump(self.levels[-1])

    def fail_if(self, condition: str) -> None:
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
        if loops >= _MAX_LOOPS:
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

    # -- whole functions -------------------------------------------------

    def count(self, blocks: tuple[Block, ...]) -> None:
        self.blocks = blocks
        for stmt in walk(blocks):
            self.reads.update(stmt.reads())
        self.drop_unread(blocks)
        for stmt in walk(blocks):
            if stmt.kind in _INSERTS:
                self.inserts[stmt[_INSERTS[stmt.kind]]] += 1
        # Where a collection is added to under a second name, none is shared.
        self.aliased = any(
            self.inserts[stmt["target"]] and type(stmt["source"]) is int
            for stmt in walk(blocks)
            if stmt.kind in ("AssignVarStmt", "AssignVarOnceStmt")
        )
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
        for block in blocks:
            for stmt, following in pairwise(block):
                if _tests(stmt, following):
                    self.fused[stmt.targets()[0]] += 1
            for stmt in block:
                self.pairs(stmt.blocks())

    def function(self) -> list[str]:
        planned = self.planned
        assert planned is not None  # noqa: S101 - the caller's choice
        self.count(planned.blocks)
        params = [f"v{p}" for p in planned.params]
        memo = len(params) == 2
        number = self.module.numbers[planned.name]
        self.state = dict.fromkeys(planned.params, _DEFINED)
        self.state[planned.params[0]] = _UNKNOWN
        self.state[planned.params[1]] = _DATA
        undefined = f"m[{number}] = ..." if memo else ""
        self.returned = f"{undefined}; return ..." if memo else "return ..."
        self.memo = f"m[{number}] = " if memo else ""
        self.top(planned.blocks)
        self.emit(self.returned)
        head = [
            f"def {self.module.names[planned.name]}({', '.join(params)}, m):",
            *self.charged(planned, memo=memo),
        ]
        return head + self.initial(planned.params) + self.lines

    def charged(self, planned: Function, *, memo: bool) -> list[str]:
        """The lines that charge a call to the budget.

        A rule without parameters runs once a frame, and frames are charged;
        its loops are, too.
        """
        scans = any(s.kind == "ScanStmt" for s in walk(planned.blocks))
        lines = ["    budget = m.budget"] if scans or not memo else []
        if not memo:
            lines += [
                "    budget.left -= 1",
                "    if budget.left < 0: budget.refill()",
            ]
        return lines

    def entrypoint(self, name: str, blocks: tuple[Block, ...]) -> list[str]:
        self.count(blocks)
        self.state = {0: _UNKNOWN, 1: _DATA}
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
        names = [f"v{n}" for n in sorted(self.unset - set(params))]
        return [f"    {' = '.join(names)} = ..."] if names else []

    def top(
        self, blocks: tuple[Block, ...], *, last_is_function: bool = True
    ) -> None:
        for i, block in enumerate(blocks):
            if self.state is None:
                break
            if last_is_function and i == len(blocks) - 1:
                self.levels.append(Level("function"))
                self.statements(block)
                self.levels.pop()
            else:
                self.block(block)

    def block(self, block: Block) -> None:
        """One block: whatever happens inside, go on behind it."""
        level = Level("while")
        self.emit("while True:")
        self.body(block, level)
        self.closed(_merge(level.exits))

    def statements(self, block: Block) -> None:
        at = 0
        while at < len(block) and self.state is not None:
            at += self.statement(block, at)

    # -- statements ------------------------------------------------------

    def statement(self, block: Block, at: int) -> int:
        """Write one statement, or several that go together.

        Returns:
            How many statements were written.
        """
        stmt = block[at]
        following = block[at + 1] if at + 1 < len(block) else None
        if following is not None and self.tested(stmt, following):
            return 2
        if stmt.kind in _MAKES:
            return self.make(block, at)
        getattr(self, f"do_{stmt.kind}")(stmt)
        return 1

    def tested(self, stmt: Stmt, following: Stmt) -> bool:
        """A call or look-up whose result is only compared with false."""
        if not _tests(stmt, following):
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

    def condition(self, stmt: Stmt) -> str | None:
        """An expression that is true where a total boolean built-in is."""
        name = stmt["func"]
        if name not in self.module.plan.builtins or name not in _TOTAL:
            return None
        return self.total(name, stmt["args"])

    def total(self, name: str, args: tuple[Any, ...]) -> str:
        texts = [self.read(arg) for arg in args]
        if name in _COMPARISONS:
            return self.comparison(name, args, texts)
        if name in _QUESTIONS:
            return _QUESTIONS[name].format(texts[0])
        function = self.module.builtin(name)
        call = f"{function}({', '.join(texts)})"
        if name == "internal.member_2":
            a, b = texts
            kinds = [self.known(arg).kind for arg in args]
            tests = [
                test
                for test, needed in (
                    (f"type({a}) is str", kinds[0] != "str"),
                    (
                        f"(type({b}) is list or type({b}) is Set)",
                        kinds[1] not in ("list", "Set"),
                    ),
                )
                if needed
            ]
            if not tests:
                return f"{a} in {b}"
            return f"({a} in {b} if {' and '.join(tests)} else {call})"
        if name == "equal":
            return self.equality(args[0], args[1])
        return call

    def comparison(
        self, name: str, args: tuple[Any, ...], texts: list[str]
    ) -> str:
        a, b = texts
        call = f"{self.module.builtin(name)}({a}, {b})"
        tests = [
            f"type({text}) is int"
            for arg, text in zip(args, texts, strict=True)
            if not _small(self.known(arg).const)
            and self.known(arg).kind != "int"
        ]
        plain = f"{a} {_COMPARISONS[name]} {b}"
        if not tests:
            return plain
        return f"({plain} if {' and '.join(tests)} else {call})"

    def equality(self, a: Any, b: Any) -> str:  # noqa: ANN401 - operands
        """An expression for Rego's equality of two operands."""
        left, right = self.read(a), self.read(b)
        for x, y, known in (
            (left, right, self.known(b)),
            (right, left, self.known(a)),
        ):
            if not known.const:
                continue
            if known.kind == "str" or _plain(known.const):
                return f"{x} == {y}"
            if "int" in (self.known(a).kind, self.known(b).kind):
                return f"{x} == {y}"
            if known.kind in ("bool", "None"):
                return f"{x} is {y}"
        if "str" in (self.known(a).kind, self.known(b).kind):
            return f"{left} == {right}"
        return f"({left} == {right} and same({left}, {right}))"

    def do_NopStmt(self, _stmt: Stmt) -> None:  # noqa: N802 - by statement
        """Nothing."""

    def do_EqualStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.fail_if(f"not {self.equality(stmt['a'], stmt['b'])}")

    def do_NotEqualStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.fail_if(self.equality(stmt["a"], stmt["b"]))

    def do_AssignVarStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        if id(stmt) in self.unread:
            self.set(stmt["target"], self.known(stmt["source"]))
            return
        self.assign(stmt["target"], stmt["source"])

    def assign(self, target: int, source: Any) -> None:  # noqa: ANN401 - an operand
        known = self.known(source)
        self.emit(f"{self.name(target)} = {self.read(source)}")
        # A name given to a part of `data` makes it a value like any other.
        self.set(target, replace(known, base=False))

    def do_AssignIntStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.emit(f"{self.name(stmt['target'])} = {stmt['value']}")
        self.set(stmt["target"], _number(str(stmt["value"])))

    def do_AssignVarOnceStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        target, source = stmt["target"], stmt["source"]
        before = self.known(target)
        if before.defined is False:
            self.assign(target, source)
            return
        self.unset.add(target)
        name, value = self.name(target), self.read(source)
        known = self.known(source)
        if known.defined is not True:
            self.emit(f"if {value} is not ...:")
            self.indent += 1
        self.emit(f"if {name} is ...:")
        self.emit(f"    {name} = {value}")
        self.emit(f"elif not ({name} == {value} and same({name}, {value})):")
        self.emit("    raise conflict()")
        if known.defined is not True:
            self.indent -= 1
            self.set(target, _UNKNOWN)
        else:
            self.set(target, _DEFINED)

    def do_ResetLocalStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        target = stmt["target"]
        if self.known(target).defined is not False:
            self.emit(f"{self.name(target)} = ...")
        self.set(target, _UNDEFINED)

    def do_IsDefinedStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        known = self.known(stmt["source"])
        if known.defined is True:
            return
        if known.defined is False:
            self.fail()
            self.stop()
            return
        self.fail_if(f"{self.read(stmt['source'])} is ...")
        self.set(
            stmt["source"],
            Known(defined=True, kind=known.kind, base=known.base),
        )

    def do_IsUndefinedStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        known = self.known(stmt["source"])
        if known.defined is False:
            return
        if known.defined is True:
            self.fail()
            self.stop()
            return
        self.fail_if(f"{self.read(stmt['source'])} is not ...")
        self.set(stmt["source"], _UNDEFINED)

    def is_type(self, stmt: Stmt, kind: str) -> None:
        known = self.known(stmt["source"])
        if known.kind == kind:
            return
        if known.kind:
            self.fail()
            self.stop()
            return
        self.fail_if(f"type({self.read(stmt['source'])}) is not {kind}")

    def do_IsArrayStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.is_type(stmt, "list")

    def do_IsObjectStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.is_type(stmt, "dict")

    def do_IsSetStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.is_type(stmt, "Set")

    def do_DotStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.look_up(stmt)

    def look_up(self, stmt: Stmt) -> str | None:
        """A reference's step; None where it can never be defined."""
        source, wanted, target = stmt["source"], stmt["key"], stmt["target"]
        if type(source) is not int or self.known(source).defined is False:
            self.fail()
            self.stop()
            return None
        left, right = self.read(source), self.read(wanted)
        base = self.known(source).base
        name = self.name(target)
        if self.known(wanted).kind == "str" and self.known(wanted).const:
            # Subscription finds what Rego finds: a field, or an element of
            # a set under its key. All else raises one of these.
            self.emit("try:")
            self.emit(f"    {name} = {left}[{right}]")
            self.emit("except MISSING:")
            self.indent += 1
            self.fail()
            self.indent -= 1
        else:
            tests = [f"type({left}) is dict"]
            if self.known(wanted).kind != "str":
                tests.append(f"type({right}) is str")
            helper = "lookup_base" if base else "lookup"
            self.emit(
                f"{name} = {left}.get({right}, ...)"
                f" if {' and '.join(tests)} else {helper}({left}, {right})"
            )
            self.fail_if(f"{name} is ...")
        self.set(target, Known(defined=True, base=base))
        return name

    def do_LenStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        name = self.name(stmt["target"])
        self.emit(f"{name} = length({self.read(stmt['source'])})")
        self.fail_if(f"{name} is ...")
        self.set(stmt["target"], Known(defined=True, kind="number"))

    def do_MakeNullStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.emit(f"{self.name(stmt['target'])} = None")
        self.set(
            stmt["target"], Known(defined=True, kind="None", const="None")
        )

    def do_MakeNumberIntStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        text = str(stmt["value"])
        self.emit(f"{self.name(stmt['target'])} = {text}")
        self.set(stmt["target"], _number(text))

    def do_MakeNumberRefStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        value = number(stmt["Index"])
        small = type(value) is int and abs(value) < 10**18
        text = str(value) if small else self.module.constant(value)
        self.emit(f"{self.name(stmt['target'])} = {text}")
        self.set(stmt["target"], _number(text))

    def key_of(self, operand: Any) -> str:  # noqa: ANN401 - an operand
        text = self.read(operand)
        if self.known(operand).kind in ("str", "int") or _small(text):
            return text
        return f"{text} if type({text}) is str else key({text})"

    def make(self, block: Block, at: int) -> int:
        """An empty collection, with the insertions that follow at once."""
        stmt = block[at]
        local = stmt["target"]
        empty, kind = _MAKES[stmt.kind]
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

    def part(self, stmt: Stmt, local: int) -> tuple[str, bool] | None:
        """A literal's item that an insertion stands for, if it is one."""
        if stmt.kind not in _LITERAL or stmt[_INSERTS[stmt.kind]] != local:
            return None
        operands = [stmt[name] for name in _LITERAL[stmt.kind]]
        if local in operands or any(
            self.known(o).defined is not True for o in operands
        ):
            return None
        constant = all(self.known(o).const for o in operands)
        value = self.read(stmt["value"])
        if stmt.kind == "ArrayAppendStmt":
            return value, constant
        if stmt.kind == "ObjectInsertStmt":
            return f"({self.key_of(stmt['key'])}): {value}", constant
        known = self.known(stmt["value"])
        if known.kind == "str" or _small(known.const) or value == "None":
            return f"{value}: {value}", constant
        if known.const and known.kind == "bool":
            return f'("b", {value}): {value}', constant
        return None  # an equal element may be there already

    def growing(self, local: int) -> str:
        """A collection that is added to, which no other call can see."""
        if self.known(local).const:
            msg = "plan: an insertion into what was not made before it"
            raise PlanInvalid(msg)
        return self.name(local)

    def do_ArrayAppendStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        name = self.growing(stmt["array"])
        self.emit(f"{name}.append({self.read(stmt['value'])})")

    def do_SetAddStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        name, value = self.growing(stmt["set"]), self.read(stmt["value"])
        if self.known(stmt["value"]).kind == "str":
            self.emit(f"{name}[{value}] = {value}")
            return
        self.emit(f"if type({value}) is str: {name}[{value}] = {value}")
        self.emit(f"else: add({name}, {value})")

    def do_ObjectInsertStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        name, value = self.growing(stmt["object"]), self.read(stmt["value"])
        self.emit(f"{name}[{self.key_of(stmt['key'])}] = {value}")

    def do_ObjectInsertOnceStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        name, value = self.growing(stmt["object"]), self.read(stmt["value"])
        wanted = self.read(stmt["key"])
        self.emit(f"if type({wanted}) is str and {wanted} not in {name}:")
        self.emit(f"    {name}[{wanted}] = {value}")
        self.emit(f"else: insert_once({name}, {wanted}, {value})")

    def do_ObjectMergeStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        a, b = self.read(stmt["a"]), self.read(stmt["b"])
        self.emit(f"{self.name(stmt['target'])} = merge({a}, {b})")
        self.set(stmt["target"], Known(defined=True, kind="dict"))

    def do_ReturnLocalStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        value = self.read(stmt["source"])
        if self.memo:
            self.emit(f"{self.memo}{value}")
        self.emit(f"return {value}")
        self.stop()

    def do_ResultSetAddStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.emit(f"results.append({self.read(stmt['value'])})")

    def do_BreakStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        self.jump(self.target(stmt["index"]))
        self.stop()

    # -- calls -----------------------------------------------------------

    def do_CallStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        if stmt["func"] in self.module.plan.functions:
            self.call_function(stmt)
        else:
            self.call_builtin(stmt)

    def call_function(self, stmt: Stmt) -> None:
        function = self.module.plan.functions[stmt["func"]]
        result = self.name(stmt["result"])
        args = ", ".join(self.read(arg) for arg in stmt["args"])
        call = f"{self.module.names[function.name]}({args}, {self.frame})"
        if len(function.params) == 2:
            number = self.module.numbers[function.name]
            held = f"{self.frame}[{number}]"
            call = f"{held} if {number} in {self.frame} else {call}"
            self.emit(f"{result} = {call}")
        elif function.name in self.module.remembered:
            self.remembered(stmt, call, result)
        else:
            self.emit(f"{result} = {call}")
        self.fail_if(f"{result} is ...")
        self.set(stmt["result"])

    def remembered(self, stmt: Stmt, call: str, result: str) -> None:
        """A call of a function of strings, looked up before it is made."""
        args = stmt["args"][2:]
        number = self.module.numbers[stmt["func"]]
        texts = [self.read(arg) for arg in args]
        stored = self.unique("a")
        tests = [
            f"type({text}) is str"
            for arg, text in zip(args, texts, strict=True)
            if self.known(arg).kind != "str"
        ]
        if tests:
            self.emit(f"if {' and '.join(tests)}:")
            self.indent += 1
        self.emit(f"{stored} = ({number}, {', '.join(texts)})")
        self.emit(f"if {stored} in {self.frame}:")
        self.emit(f"    {result} = {self.frame}[{stored}]")
        self.emit("else:")
        self.emit(f"    {result} = {self.frame}[{stored}] = {call}")
        if tests:
            self.indent -= 1
            self.emit("else:")
            self.emit(f"    {result} = {call}")

    def call_builtin(self, stmt: Stmt) -> None:
        name, args = stmt["func"], stmt["args"]
        declared = self.module.plan.builtins[name]
        result = self.name(stmt["result"])
        kind = _KINDS.get(declared.result, "")
        if not declared.result:
            return  # it prints; nothing is printed
        if name in _TOTAL:
            self.emit(f"{result} = {self.total(name, args)}")
            self.set(stmt["result"], Known(defined=True, kind=kind))
            return
        if name == "count":
            kind = "int"
        text = self.inlined(name, args)
        if text is not None:
            self.emit(f"{result} = {text}")
            self.set(stmt["result"], Known(defined=True, kind=kind))
            return
        texts = ", ".join(self.read(arg) for arg in args)
        call = f"{result} = {self.module.builtin(name)}({texts})"
        if name == "count":
            sized = f"len({texts}) if type({texts}) in SIZED"
            call = call.replace("= ", f"= {sized} else ", 1)
        if self.module.strict:
            self.emit(call)
        else:
            self.emit("try:")
            self.emit(f"    {call}")
            self.emit("except BuiltinFailed:")
            self.indent += 1
            self.fail()
            self.indent -= 1
        self.fail_if(f"{result} is ...")
        self.set(stmt["result"], Known(defined=True, kind=kind))

    def inlined(self, name: str, args: tuple[Any, ...]) -> str | None:
        """An expression for a built-in on operands of known types."""
        kinds = [self.known(arg).kind for arg in args]
        if name == "count" and kinds[0] in ("list", "dict", "Set", "str"):
            return f"len({self.read(args[0])})"
        if name == "or" and kinds == ["Set", "Set"]:
            return f"union({self.read(args[0])}, {self.read(args[1])})"
        if name == "object.get" and kinds[:2] == ["dict", "str"]:
            source, wanted, default = map(self.read, args)
            return f"{source}.get({wanted}, {default})"
        return None

    def do_CallDynamicStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        path = "".join(f"{self.read(part)}, " for part in stmt["path"])
        args = ", ".join(self.read(arg) for arg in stmt["args"])
        function = self.unique("d")
        result = self.name(stmt["result"])
        self.emit(f"{function} = dynamic(DYNAMIC, ({path}))")
        self.fail_if(f"{function} is None")
        self.emit(f"{result} = {function}({args}, {self.frame})")
        # A rule that is there but undefined ends the whole reference: the
        # planner puts this statement three blocks inside of it.
        self.emit(f"if {result} is ...:")
        self.indent += 1
        self.jump(self.target(3))
        self.indent -= 1
        self.set(stmt["result"])

    # -- blocks ----------------------------------------------------------

    def do_BlockStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        for block in stmt["blocks"]:
            if self.state is None:
                return
            if block:
                self.block(block)

    def do_NotStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        flag = self.unique("n")
        self.emit(f"{flag} = True")
        self.emit("while True:")
        level = Level("while")
        self.body(stmt["block"], level, last=f"{flag} = False")
        self.closed(_merge(level.exits))
        if self.state is not None:
            self.fail_if(f"not {flag}")

    def do_WithStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
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

    def do_ScanStmt(self, stmt: Stmt) -> None:  # noqa: N802 - by statement
        if self.known(stmt["source"]).defined is False:
            return
        outside = _exposed(self.blocks, stmt)[0]
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
            self.set(once, _UNDEFINED)
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
        ordered = _orders(stmt["block"], outside)
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
                self.state[local] = _UNKNOWN

    def only_effect(self, stmt: Stmt, outside: frozenset[int]) -> int | None:
        """The undefined local that a scan does nothing but define, if any.

        It must be given constants alone, so that later turns could only give
        it the same again.
        """
        if _leaves(stmt["block"]):
            return None
        inside = list(walk((stmt["block"],)))
        made = {one["target"] for one in inside if one.kind in _MAKES}
        given: dict[int, set[Any]] = {}
        for one in inside:
            if one.kind == "ResultSetAddStmt":
                return None
            if one.kind in _INSERTS and one[_INSERTS[one.kind]] not in made:
                return None
            for local in set(one.targets()) & outside:
                constant = one.kind in ("AssignVarStmt", "AssignVarOnceStmt")
                if not constant or type(one["source"]) is int:
                    return None
                given.setdefault(local, set()).add(repr(one["source"]))
        if len(given) != 1:
            return None
        ((local, constants),) = given.items()
        if len(constants) != 1 or self.known(local).defined is not False:
            return None
        return local if _defines_last(stmt["block"], local) else None

    def leaving(self, block: Block, once: int) -> str:
        """What ends a turn of a loop that is left at its first success."""
        if block[-1].kind != "ScanStmt":
            return "break"
        self.unset.add(once)
        return f"if {self.name(once)} is not ...: break"


def _worth_remembering(plan: Plan) -> frozenset[str]:
    """The functions that are called from several places and do some work."""
    calls: Counter[str] = Counter()
    working: set[str] = set()
    for function in plan.functions.values():
        for stmt in walk(function.blocks):
            if stmt.kind == "ScanStmt":
                working.add(function.name)
            elif stmt.kind == "CallStmt" and stmt["func"] in plan.functions:
                working.add(function.name)
                calls[stmt["func"]] += 1
    return frozenset(
        name
        for name in working
        if calls[name] > 1 and 2 < len(plan.functions[name].params) <= 5
    )


def _number(text: str) -> Known:
    return Known(defined=True, kind="number", const=text)


def _small(text: str) -> bool:
    """Whether a constant is an integer literal."""
    return text.lstrip("-").isdigit()


def _plain(text: str) -> bool:
    """Whether Python's equality with this literal is Rego's."""
    return _small(text) and text not in ("0", "1")


def _tests(stmt: Stmt, following: Stmt) -> bool:
    """Whether a statement's result is compared with false behind it."""
    if stmt.kind not in ("CallStmt", "DotStmt"):
        return False
    if following.kind != "NotEqualStmt" or following["b"] is not False:
        return False
    return following["a"] == stmt.targets()[0] and following["a"] is not False


def _orders(block: Block, outside: frozenset[int]) -> bool:
    """Whether the order of a scan over this body can be seen."""
    if _leaves(block):
        return True
    inside = list(walk((block,)))
    made = {one["target"] for one in inside if one.kind in _MAKES}
    for one in inside:
        if one.kind in ("ArrayAppendStmt", "ObjectInsertStmt"):
            if one[_INSERTS[one.kind]] not in made:
                return True
        elif (
            one.kind != "AssignVarOnceStmt"
            and not outside.isdisjoint(one.targets())
            and (one.kind != "AssignVarStmt" or type(one["source"]) is int)
        ):
            return True
    return False


def _leaves(block: Block, depth: int = 0) -> bool:
    """Whether anything in a loop's body jumps out of the loop."""
    for stmt in block:
        if stmt.kind == "ReturnLocalStmt":
            return True
        if stmt.kind == "BreakStmt" and stmt["index"] > depth:
            return True
        if stmt.kind == "CallDynamicStmt" and depth < 3:
            return True
        if any(_leaves(inner, depth + 1) for inner in stmt.blocks()):
            return True
    return False


def _defines_last(block: Block, local: int) -> bool:
    """Whether the end of a turn is reached with the local defined.

    That is so behind its assignment; behind an inner loop it is tested.
    """
    if not block:
        return False
    last = block[-1]
    if last.kind == "ScanStmt":
        return _defines_last(last["block"], local)
    return local in last.targets()


def _exposed(
    blocks: tuple[Block, ...], scan: Stmt
) -> tuple[frozenset[int], bool]:
    """The locals that are read where a scan's assignments may be seen.

    Those are read outside the scan without an assignment in front of them;
    what was assigned before the scan counts as not assigned behind it.

    Returns:
        The locals, and whether the scan is among these blocks.
    """
    found: set[int] = set()
    seen = False
    for block in blocks:
        assigned: set[int] = set()
        for stmt in block:
            if stmt is scan:
                seen = True
                assigned.clear()
                continue
            found |= set(stmt.reads()) - assigned
            inner, contains = _exposed(stmt.blocks(), scan)
            found |= inner - assigned
            if contains:
                seen = True
                assigned.clear()
            elif stmt.kind != "ScanStmt":
                assigned.update(stmt.targets())
    return frozenset(found), seen
