"""`strings.render_template`, as Go's `text/template` fills one in.

The variables are what Go's JSON makes of their notation in Rego, which is
how OPA hands them over: numbers keep their spelling and are texts, and what
JSON has no notation for (a set, a control character that Go escapes in its
own way) is refused.

Bodies are walked by generators on one stack, so that a template that
includes itself costs steps, not frames. Every node, operand and piece of
text is charged to the evaluation's budget.
"""

import re
import unicodedata
from collections.abc import Callable, Generator, Iterator, Mapping

from policy.engine.builtins.operands import MAX_TEXT, mapping, sized_text, text
from policy.engine.builtins.template_calls import CALLEES, truth
from policy.engine.builtins.template_prints import (
    GRAIN,
    TEXTS,
    Byte,
    Given,
    Spelled,
    printed,
)
from policy.engine.builtins.template_tokens import Spend, malformed
from policy.engine.builtins.template_trees import (
    MAIN,
    Action,
    Body,
    Constant,
    Control,
    Dot,
    Fields,
    Function,
    Include,
    Jump,
    Nil,
    Operand,
    Pipe,
    Text,
    Variable,
    parsed,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import spend
from policy.engine.numbers import spelling
from policy.engine.values import Value, is_number, weigh

_DEEPEST = 10_000
"""Bodies inside of each other, those of included templates counted."""

_AT_ONCE = 16
"""Variables among which one is looked for in a step."""

_ESCAPED = re.compile("[\0-\x07\x0b\x0e-\x1f\x7f]|[^\0-\uffff]")
_FUNCTIONS = frozenset(CALLEES)
_MISSING = object()
"""What the first command of a pipeline gets: no operand at all."""

_Names = list[tuple[str, Given]]
_Walk = Generator["_Walk", "Jump | None", "Jump | None"]


def _is_json(content: str) -> bool:
    """Whether a string in Rego's notation is one in JSON's.

    Raises:
        OutsideProfile: that depends on the edition of Unicode.
    """
    for found in _ESCAPED.finditer(content):
        char = found[0]
        if char.isprintable():
            continue
        if unicodedata.category(char) == "Cn":
            msg = "unassigned code point in a template's variables"
            raise OutsideProfile(msg)
        return False
    return True


def _given(value: Value, spend: Spend) -> Given:
    """A variable as a template has it."""
    kind = type(value)
    spend(1 + (len(value) // GRAIN if kind is str else 0))
    if kind is list:
        return [_given(part, spend) for part in value]
    if kind is dict:
        return {_given_key(k): _given(v, spend) for k, v in value.items()}
    if value is None or kind is bool or (kind is str and _is_json(value)):
        return value
    if is_number(value):
        return Spelled(spelling(value))
    raise _not_json()


def _given_key(name: Value) -> str:
    if type(name) is not str or not _is_json(name):
        raise _not_json()
    return name


def _not_json() -> BuiltinFailed:
    return malformed("variables that JSON has not")


def _stripped(value: Given) -> Given:
    return ... if value is None else value


class _Filling:
    """One template being filled in."""

    def __init__(self, trees: Mapping[str, Body], spend: Spend) -> None:
        self.trees = trees
        self.spend = spend
        self.size = 0
        self.pieces: list[str] = []

    def put(self, piece: str) -> None:
        self.spend(1 + len(piece) // GRAIN)
        self.size += len(piece)
        if self.size > MAX_TEXT:
            msg = "strings.render_template: a text beyond the limit"
            raise BudgetExceeded(msg)
        self.pieces.append(piece)

    def run(self, dot: Given) -> str:
        stack = [_Scope(self, dot).body(self.trees[MAIN], dot)]
        jump: Jump | None = None
        while stack:
            try:
                inner = stack[-1].send(jump)
            except StopIteration as stop:
                stack.pop()
                jump = stop.value
                continue
            jump = None
            stack.append(inner)
            if len(stack) > _DEEPEST:
                msg = "strings.render_template: nested too deeply"
                raise BudgetExceeded(msg)
        return "".join(self.pieces)


class _Scope:
    """One template and its variables; an included one has its own."""

    def __init__(self, filling: _Filling, dot: Given) -> None:
        self.filling = filling
        self.spend = filling.spend
        self.names: _Names = [("$", dot)]

    # Bodies: each yields what is to be walked inside of it, and gives the
    # jump that ended it, if one did.

    def body(self, nodes: Body, dot: Given) -> _Walk:
        for node in nodes:
            self.spend(1)
            if isinstance(node, Text):
                self.filling.put(node.text)
            elif isinstance(node, Action):
                self.action(node, dot)
            elif isinstance(node, Jump):
                return node
            elif isinstance(node, Include):
                yield self.included(node, dot)
            else:
                control = self.loop if node.kind == "range" else self.choice
                mark = len(self.names)
                jump = yield control(node, dot)
                del self.names[mark:]
                if jump is not None:
                    return jump
        return None

    def action(self, node: Action, dot: Given) -> None:
        value = self.pipe(node.pipe, dot)
        if node.pipe.names:
            return
        if value is ...:
            self.filling.put("<no value>")
            return
        for piece in printed([value]):
            self.filling.put(piece)

    def included(self, node: Include, dot: Given) -> _Walk:
        if node.name not in self.filling.trees:
            msg = "a template that there is not"
            raise malformed(msg)
        given = ... if node.pipe is None else self.pipe(node.pipe, dot)
        scope = _Scope(self.filling, given)
        return scope.body(self.filling.trees[node.name], given)

    def choice(self, node: Control, dot: Given) -> _Walk:
        value = self.pipe(node.pipe, dot)
        if truth(value):
            inner = value if node.kind == "with" else dot
            return (yield self.body(node.body, inner))
        if node.other is not None:
            return (yield self.body(node.other, dot))
        return None

    def loop(self, node: Control, dot: Given) -> _Walk:
        turns = self.turns(self.pipe(node.pipe, dot), node.pipe)
        mark = len(self.names)
        went = False
        for index, element in turns:
            went = True
            self.spend(1)
            self.turn(node.pipe, index, element)
            jump = yield self.body(node.body, element)
            del self.names[mark:]
            if jump is not None and jump.ends:
                return None
        if not went and node.other is not None:
            jump = yield self.body(node.other, dot)
            # Go ends the loop that it has already left, and goes on with the
            # next turn of the one around it.
            return None if jump is None or jump.ends else jump
        return None

    def turns(self, value: Given, pipe: Pipe) -> Iterator[tuple[Given, Given]]:
        """The indexes and elements that a loop goes through."""
        kind = type(value)
        if kind is list:
            return enumerate(value)
        if kind is dict:
            self.spend(len(value))
            return ((name, value[name]) for name in sorted(value))
        if value is ...:
            return iter(())
        if kind in (int, Byte) and len(pipe.names) < 2:
            return ((..., kind(n)) for n in range(value))
        msg = "a loop over what has no elements"
        raise malformed(msg)

    def turn(self, pipe: Pipe, index: Given, element: Given) -> None:
        """Set the variables of a loop: the element last, or alone."""
        count = len(pipe.names)
        given = (index, element)[2 - count :]
        for at, (name, value) in enumerate(
            zip(pipe.names, given, strict=True)
        ):
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.names[at - count] = (name, value)

    def assign(self, name: str, value: Given) -> None:
        self.names[self.place(name)] = (name, value)

    def place(self, name: str) -> int:
        for at in range(len(self.names) - 1, -1, -1):
            if self.names[at][0] == name:
                self.spend((len(self.names) - at) // _AT_ONCE)
                return at
        msg = "a variable that is not set"
        raise malformed(msg)

    # Pipelines

    def pipe(self, pipe: Pipe, dot: Given) -> Given:
        value: Given = _MISSING
        for operands in pipe.commands:
            value = _stripped(self.command(operands, dot, value))
        for name in pipe.names:
            if pipe.assigns:
                self.assign(name, value)
            else:
                self.names.append((name, value))
        return value

    def command(
        self, operands: tuple[Operand, ...], dot: Given, last: Given
    ) -> Given:
        first, *rest = operands
        if isinstance(first, Function):
            return self.called(first.name, rest, dot, last)
        alone = not rest and last is _MISSING
        if isinstance(first, Fields):
            return self.fields(first, dot, alone=alone)
        if not alone or isinstance(first, Nil):
            msg = "operands for what is no function"
            raise malformed(msg)
        return self.operand(first, dot)

    def operand(self, operand: Operand, dot: Given) -> Given:  # noqa: PLR0911 - one row a kind of operand
        """The value of an operand, where any will do."""
        self.spend(1)
        if isinstance(operand, Dot):
            return dot
        if isinstance(operand, Constant):
            if operand.value is None:
                msg = "an integer that is too large"
                raise malformed(msg)
            return operand.value
        if isinstance(operand, Variable):
            return self.names[self.place(operand.name)][1]
        if isinstance(operand, Fields):
            return self.fields(operand, dot, alone=True)
        if isinstance(operand, Pipe):
            return self.pipe(operand, dot)
        if isinstance(operand, Function):
            return self.called(operand.name, [], dot, _MISSING)
        return ...

    def fields(self, fields: Fields, dot: Given, *, alone: bool) -> Given:
        value = dot if fields.of is None else self.operand(fields.of, dot)
        for at, name in enumerate(fields.names, 1):
            self.spend(1)
            if value is ...:
                continue
            if type(value) is not dict:
                msg = "a field of what has none"
                raise malformed(msg)
            if not alone and at == len(fields.names):
                msg = "operands for a field"
                raise malformed(msg)
            value = value.get(name, ...)
        return value

    def called(
        self,
        name: str,
        operands: list[Operand],
        dot: Given,
        last: Given,
    ) -> Given:
        callee = CALLEES[name]
        count = len(operands) + (last is not _MISSING)
        if count < callee.least or (count > callee.least and not callee.more):
            msg = "too few operands, or too many"
            raise malformed(msg)
        args: list[Given] = []
        for operand in operands:
            value = _stripped(self.operand(operand, dot))
            args.append(value)
            if name in ("and", "or") and truth(value) is (name == "or"):
                return value
        if last is not _MISSING:
            args.append(last)
        if callee.text and type(args[0]) is not str:
            msg = "a format that is no string"
            raise malformed(msg)
        self.spend(1 + sum(map(_cost, args)))
        return callee.run(args, self.spend)


def _cost(value: Given) -> int:
    """The steps that it takes to look through an operand once."""
    kind = type(value)
    if kind in TEXTS:
        return len(value) // GRAIN
    return len(value) if kind in (list, dict) else 0


def _render(a: Value, b: Value) -> Value:
    """A template is a program: what it does is charged as it runs."""
    source, variables = sized_text(text(a, 1)), mapping(b, 2)
    dot = _given(weigh(variables), spend)
    trees = parsed(source, _FUNCTIONS, spend)
    filled = _Filling(trees, spend).run(dot)
    return sized_text(filled.replace("<no value>", "<undefined>"))


TEMPLATES: Mapping[str, Callable[..., Value]] = {
    "strings.render_template": _render,
}
