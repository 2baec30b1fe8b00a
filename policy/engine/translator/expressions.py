"""Expressions: comparisons, equality and built-ins that need no call."""

from typing import Any

from policy.engine.plan import Stmt
from policy.engine.translator.control import Control
from policy.engine.translator.knowledge import (
    COMPARISONS,
    QUESTIONS,
    SHORT,
    TOTAL,
    is_plain,
    is_small,
)


class Expressions(Control):
    """Writes what is true or has a value."""

    def condition(self, stmt: Stmt) -> str | None:
        """An expression that is true where a total boolean built-in is."""
        name = stmt["func"]
        if name not in self.module.plan.builtins or name not in TOTAL:
            return None
        return self.total(name, stmt["args"])

    def total(self, name: str, args: tuple[Any, ...]) -> str:
        """An expression for a built-in that refuses no operand."""
        texts = [self.read(arg) for arg in args]
        if name in COMPARISONS:
            return self.comparison(name, args, texts)
        if name in QUESTIONS:
            return QUESTIONS[name].format(texts[0])
        function = self.module.builtin(name)
        call = f"{function}({', '.join(texts)})"
        if name == "internal.member_2":
            tests = self.found_at_once(args, texts)
            found = " in ".join(texts)
            if not tests:
                return found
            return f"({found} if {' and '.join(tests)} else {call})"
        if name == "equal":
            return self.equality(args[0], args[1])
        return call

    def found_at_once(
        self, args: tuple[Any, ...], texts: list[str]
    ) -> list[str]:
        """What must hold for Python's `in` to be Rego's, at no charge."""
        a, b = texts
        first, second = map(self.known, args)
        tests = [] if first.kind == "str" else [f"type({a}) is str"]
        short = f"len({b}) < {SHORT}"
        if second.kind == "list":
            tests += [] if second.const else [short]
        elif second.kind != "Set":
            tests.append(
                f"(type({b}) is Set or type({b}) is list and {short})"
            )
        return tests

    def comparison(
        self, name: str, args: tuple[Any, ...], texts: list[str]
    ) -> str:
        """An expression for Rego's order of two operands."""
        a, b = texts
        call = f"{self.module.builtin(name)}({a}, {b})"
        tests = [
            f"type({text}) is int"
            for arg, text in zip(args, texts, strict=True)
            if not is_small(self.known(arg).const)
            and self.known(arg).kind != "int"
        ]
        plain = f"{a} {COMPARISONS[name]} {b}"
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
            if known.kind == "str" or is_plain(known.const):
                return f"{x} == {y}"
            if "int" in (self.known(a).kind, self.known(b).kind):
                return f"{x} == {y}"
            if known.kind in ("bool", "None"):
                return f"{x} is {y}"
        if "str" in (self.known(a).kind, self.known(b).kind):
            return f"{left} == {right}"
        plain = f"{left} == {right}"
        return f"({plain} if type({left}) is str else equal({left}, {right}))"

    def inlined(self, name: str, args: tuple[Any, ...]) -> str | None:
        """An expression for a built-in on operands of known types."""
        kinds = [self.known(arg).kind for arg in args]
        if name == "count" and kinds[0] in ("list", "dict", "Set", "str"):
            return f"len({self.read(args[0])})"
        if name == "or" and kinds == ["Set", "Set"]:
            a, b = map(self.read, args)
            return f"union({a}, {b}) if {a} and {b} else {a} or {b}"
        if name == "object.get" and kinds[:2] == ["dict", "str"]:
            source, wanted, default = map(self.read, args)
            return f"{source}.get({wanted}, {default})"
        return None

    def key_of(self, operand: Any) -> str:  # noqa: ANN401 - an operand
        """An expression for the key under which an operand is stored."""
        text = self.read(operand)
        if self.known(operand).kind in ("str", "int") or is_small(text):
            return text
        return f"{text} if type({text}) is str else key({text})"
