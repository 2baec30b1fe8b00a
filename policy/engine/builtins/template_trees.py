"""A template as a tree: what its words say, before anything is filled in."""

from dataclasses import dataclass, field

from policy.engine.builtins.strings import WHITE
from policy.engine.builtins.template_constants import constant, unquoted
from policy.engine.builtins.template_tokens import (
    Spend,
    Token,
    malformed,
    tokens,
)
from policy.engine.errors import BudgetExceeded

MAIN = "template"
"""The name of the template itself, by which it can include itself."""

_DEEPEST = 50
"""Levels of parentheses."""

_AT_ONCE = 64
"""Variables among which one is looked for in a step."""


@dataclass(frozen=True, slots=True)
class Dot:
    """The cursor."""


@dataclass(frozen=True, slots=True)
class Nil:
    """The word `nil`."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A boolean, number, character or string; None is an integer too large."""

    value: bool | int | float | str | None


@dataclass(frozen=True, slots=True)
class Fields:
    """Fields of the cursor, or of what stands before them."""

    names: tuple[str, ...]
    of: "Variable | Function | Pipe | None" = None


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable, its mark included."""

    name: str


@dataclass(frozen=True, slots=True)
class Function:
    """The name of a function."""

    name: str


@dataclass(frozen=True, slots=True)
class Pipe:
    """Commands, each of which gets what the one before gave."""

    commands: tuple[tuple["Operand", ...], ...]
    names: tuple[str, ...] = ()
    """The variables that it sets."""

    assigns: bool = False
    """Whether they are there already."""


Operand = Dot | Nil | Constant | Fields | Variable | Function | Pipe


@dataclass(frozen=True, slots=True)
class Text:
    """What stands as it is."""

    text: str


@dataclass(frozen=True, slots=True)
class Action:
    """A pipeline whose value is shown, unless it sets variables."""

    pipe: Pipe


@dataclass(frozen=True, slots=True)
class Jump:
    """The end of a loop, or of one turn of it."""

    ends: bool


@dataclass(frozen=True, slots=True)
class Control:
    """`if`, `with` or `range`."""

    kind: str
    pipe: Pipe
    body: "Body"
    other: "Body | None"


@dataclass(frozen=True, slots=True)
class Include:
    """A named template, filled in with the value of a pipeline."""

    name: str
    pipe: Pipe | None


Node = Text | Action | Jump | Control | Include
Body = tuple[Node, ...]


@dataclass(slots=True)
class _Tree:
    """One named template, while it is read."""

    name: str
    names: list[str] = field(default_factory=lambda: ["$"])
    loops: int = 0
    body: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class _Open:
    """A control that has not met its end."""

    kind: str
    pipe: Pipe
    mark: int
    chained: bool
    body: list[Node] = field(default_factory=list)
    other: list[Node] | None = None


_OPERANDS = frozenset(
    {
        "bool",
        "rune",
        "complex",
        ".",
        "field",
        "name",
        "number",
        "nil",
        "raw",
        "string",
        "variable",
        "(",
    }
)


def parsed(
    source: str, functions: frozenset[str], spend: Spend
) -> dict[str, Body]:
    """The named templates of a template, itself among them.

    Args:
        source: its text.
        functions: the functions that there are.
        spend: is charged what it takes to read it.

    Returns:
        The templates by name; the text's own is `MAIN`, unless it says
        nothing and another of that name does.

    Raises:
        BuiltinFailed: it is malformed.
        BudgetExceeded: its parentheses are nested too deeply.
        OutsideProfile: it holds what has no answer here.
    """
    parser = _Parser(tokens(source, spend), functions, spend)
    parser.run()
    return parser.trees


def _says_nothing(body: Body) -> bool:
    return all(type(n) is Text and not n.text.strip(WHITE) for n in body)


class _Parser:
    """Reads words; controls stand on a stack, so that depth costs nothing."""

    def __init__(
        self, words: list[Token], functions: frozenset[str], spend: Spend
    ) -> None:
        self.words = words
        self.spend = spend
        self.functions = functions
        self.at = 0
        self.depth = 0
        self.trees: dict[str, Body] = {}
        self.open: list[_Open] = []
        # A tree for the text itself, and one for each open definition.
        self.written = [_Tree(MAIN)]

    # Words

    def peek(self) -> Token:
        return self.words[self.at]

    def next(self) -> Token:
        self.spend(1)
        self.at += 1
        return self.words[self.at - 1]

    def skip(self) -> Token:
        """Go to the next word that is no space, and look at it."""
        while self.peek().kind == "space":
            self.at += 1
        return self.peek()

    def take(self) -> Token:
        self.skip()
        return self.next()

    def expect(self, *kinds: str) -> Token:
        found = self.take()
        if found.kind not in kinds:
            msg = f"{kinds[0]} is missing"
            raise malformed(msg)
        return found

    # Bodies

    @property
    def tree(self) -> _Tree:
        return self.written[-1]

    def put(self, node: Node) -> None:
        if not self.open:
            self.tree.body.append(node)
            return
        inner = self.open[-1]
        (inner.body if inner.other is None else inner.other).append(node)

    def run(self) -> None:
        while self.peek().kind != "eof":
            found = self.next()
            if found.kind == "text":
                self.put(Text(found.text))
            else:
                self.action()
        if self.open:
            msg = "a control that does not end"
            raise malformed(msg)
        self.add(MAIN, self.tree.body)

    def action(self) -> None:
        kind = self.skip().kind
        if kind in ("if", "range", "with"):
            self.at += 1
            self.control(kind)
        elif kind in ("break", "continue"):
            self.at += 1
            self.jump(ends=kind == "break")
        elif kind in _OTHERS:
            self.at += 1
            _OTHERS[kind](self)
        else:
            self.put(Action(self.pipeline("}}")))

    def add(self, name: str, body: list[Node]) -> None:
        made = tuple(body)
        if _says_nothing(self.trees.get(name, ())):
            self.trees[name] = made
        elif not _says_nothing(made):
            msg = "two templates of one name"
            raise malformed(msg)

    def jump(self, *, ends: bool) -> None:
        self.expect("}}")
        if not self.tree.loops:
            msg = "a jump outside of a loop"
            raise malformed(msg)
        self.put(Jump(ends))

    def control(self, kind: str, *, chained: bool = False) -> None:
        mark = len(self.tree.names)
        pipe = self.pipeline("}}", ranges=kind == "range")
        self.tree.loops += kind == "range"
        self.open.append(_Open(kind, pipe, mark, chained))

    def define(self) -> None:
        if self.open:
            msg = "a definition inside of something"
            raise malformed(msg)
        name = self.template_name()
        self.expect("}}")
        self.definition(name)

    def block(self) -> None:
        name = self.template_name()
        self.put(Include(name, self.pipeline("}}")))
        self.definition(name)

    def definition(self, name: str) -> None:
        self.open.append(_Open("define", Pipe(()), 0, chained=False))
        self.written.append(_Tree(name))

    def template_name(self) -> str:
        return unquoted(self.expect("string", "raw").text)

    def include(self) -> None:
        name = self.template_name()
        pipe = None
        if self.skip().kind == "}}":
            self.at += 1
        else:
            pipe = self.pipeline("}}")
        self.put(Include(name, pipe))

    def otherwise(self) -> None:
        inner = self.open[-1] if self.open else None
        if inner is None or inner.kind == "define" or inner.other is not None:
            msg = "an else of nothing"
            raise malformed(msg)
        self.tree.loops -= inner.kind == "range"
        inner.other = []
        kind = self.skip().kind
        if kind == inner.kind and kind in ("if", "with"):
            self.at += 1
            self.control(kind, chained=True)
        else:
            self.expect("}}")

    def end(self) -> None:
        self.expect("}}")
        while True:
            if not self.open:
                msg = "an end of nothing"
                raise malformed(msg)
            inner = self.open.pop()
            if inner.kind == "define":
                self.add(self.written.pop().name, inner.body)
                return
            if inner.kind == "range" and inner.other is None:
                self.tree.loops -= 1
            del self.tree.names[inner.mark :]
            other = None if inner.other is None else tuple(inner.other)
            body = tuple(inner.body)
            self.put(Control(inner.kind, inner.pipe, body, other))
            if not inner.chained:
                return

    # Pipelines

    def pipeline(self, end: str, *, ranges: bool = False) -> Pipe:
        names, assigns = self.declared(ranges=ranges)
        commands: list[tuple[Operand, ...]] = []
        while True:
            kind = self.skip().kind
            if kind == end:
                self.at += 1
                break
            if kind not in _OPERANDS:
                msg = f"{kind} where an operand should be"
                raise malformed(msg)
            commands.append(self.command())
        if not commands:
            msg = "an empty pipeline"
            raise malformed(msg)
        for later in commands[1:]:
            if type(later[0]) in (Constant, Dot, Nil):
                msg = "a value where a function should be"
                raise malformed(msg)
        return Pipe(tuple(commands), names, assigns)

    def declared(self, *, ranges: bool) -> tuple[tuple[str, ...], bool]:
        """The variables that a pipeline sets, up to its first command."""
        names: list[str] = []
        while self.skip().kind == "variable":
            start = self.at
            name = self.next().text
            mark = self.skip()
            if mark.kind in ("=", ":="):
                self.at += 1
                names.append(name)
                self.tree.names.append(name)
                return tuple(names), mark.kind == "="
            if mark.text != "," or mark.kind != "char":
                self.at = start
                break
            self.at += 1
            names.append(name)
            self.tree.names.append(name)
            follows = self.skip().kind
            if not ranges or len(names) > 1:
                msg = "too many variables"
                raise malformed(msg)
            if follows not in ("variable", "}}", ")"):
                msg = "a loop sets variables alone"
                raise malformed(msg)
        return tuple(names), False

    def command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while True:
            self.skip()
            found = self.operand()
            if found is not None:
                operands.append(found)
            kind = self.next().kind
            if kind == "space":
                continue
            if kind in ("}}", ")"):
                self.at -= 1
            elif kind != "|":
                msg = f"{kind} behind an operand"
                raise malformed(msg)
            break
        if not operands:
            msg = "an empty command"
            raise malformed(msg)
        return tuple(operands)

    def operand(self) -> Operand | None:
        term = self.term()
        names: list[str] = []
        while term is not None and self.peek().kind == "field":
            names.append(self.next().text[1:])
        if not names:
            return term
        if isinstance(term, Fields):
            return Fields((*term.names, *names))
        if isinstance(term, (Variable, Function, Pipe)):
            return Fields(tuple(names), term)
        msg = "a field of what has none"
        raise malformed(msg)

    def term(self) -> Operand | None:
        kind, text = self.peek()
        if kind not in _OPERANDS:
            return None
        self.at += 1
        if kind == "(":
            return self.parenthesized()
        if kind == "field":
            return Fields((text[1:],))
        if kind in ("name", "variable"):
            return self.known(kind, text)
        if kind in (".", "nil"):
            return Dot() if kind == "." else Nil()
        return Constant(constant(kind, text))

    def known(self, kind: str, text: str) -> Variable | Function:
        """A variable or a function, which must be there."""
        self.spend(1 + len(self.tree.names) // _AT_ONCE)
        there = self.tree.names if kind == "variable" else self.functions
        if text not in there:
            msg = f"a {kind} that there is not"
            raise malformed(msg)
        return Variable(text) if kind == "variable" else Function(text)

    def parenthesized(self) -> Pipe:
        self.depth += 1
        if self.depth > _DEEPEST:
            msg = "strings.render_template: parentheses nested too deeply"
            raise BudgetExceeded(msg)
        made = self.pipeline(")")
        self.depth -= 1
        return made


_OTHERS = {
    "block": _Parser.block,
    "define": _Parser.define,
    "else": _Parser.otherwise,
    "end": _Parser.end,
    "template": _Parser.include,
}
