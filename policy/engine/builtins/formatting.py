"""`sprintf`, as Go's `fmt` does it.

Go's format language is walked as Go walks it, its complaints
(`%!d(string=x)`) included: they are part of what OPA answers.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from policy.engine.builtins.operands import (
    MAX_TEXT,
    array,
    sized_text,
    text,
)
from policy.engine.builtins.verbs import TYPES, Flags, argument, shown
from policy.engine.errors import BudgetExceeded
from policy.engine.metering import MADE, spend
from policy.engine.values import Value

_WIDEST = 1_000_000
_DIRECTIVE = 4  # steps of one directive


class Walk:
    """One walk over a format, as `fmt.Sprintf` goes.

    Args:
        layout: the format.
        args: the operands, of types that `shown` knows.
    """

    integers: frozenset[type] = frozenset({int})
    """The types of which a width or precision may be."""

    def __init__(self, layout: str, args: list[Any]) -> None:
        self.layout = layout
        self.args = args
        self.at = 0
        self.arg = 0
        self.good = True
        self.reordered = False
        self.after_index = False
        self.size = 0
        self.pieces: list[str] = []

    def shown(self, flags: Flags, verb: str, arg: Any) -> str:  # noqa: ANN401 - as Go would have it
        """One operand under one verb."""
        return shown(flags, verb, arg)

    def typed(self, arg: Any) -> str:  # noqa: ANN401 - as above
        """An operand that no verb takes, with its type."""
        return f"{TYPES[type(arg)]}={self.shown(Flags(), 'v', arg)}"

    def put(self, made: str) -> None:
        """Add to the result.

        Raises:
            BudgetExceeded: it is longer than the limit.
        """
        self.size += len(made)
        if self.size > MAX_TEXT:
            msg = "sprintf: result beyond the limit"
            raise BudgetExceeded(msg)
        if len(made) >= MADE:
            spend(len(made) // MADE)
        self.pieces.append(made)

    def run(self) -> str:
        """What the format makes of the operands.

        Raises:
            BudgetExceeded: it is longer than the limit.
        """
        end = len(self.layout)
        while self.at < end:
            found = self.layout.find("%", self.at)
            found = end if found < 0 else found
            self.put(self.layout[self.at : found])
            self.at = found + 1
            if found < end and not self.directive():
                break
        if not self.reordered and self.arg < len(self.args):
            self.put("%!(EXTRA ")
            for at, arg in enumerate(self.args[self.arg :]):
                spend(_DIRECTIVE)
                self.put((", " if at else "") + self.typed(arg))
            self.put(")")
        return "".join(self.pieces)

    def directive(self) -> bool:
        """One directive; false where the format ends in it."""
        spend(_DIRECTIVE)
        self.good = True
        self.after_index = False
        flags = Flags()
        names = {"#": "sharp", "0": "zero", "+": "plus", "-": "minus"}
        names[" "] = "space"
        while self.char() in names:
            setattr(flags, names[self.char()], True)
            self.at += 1
        self.index()
        self.width(flags)
        self.precision(flags)
        if not self.after_index:
            self.index()
        verb = self.char()
        if not verb:
            self.put("%!(NOVERB)")
            return False
        self.at += 1
        if verb == "%":
            self.put("%")
        elif not self.good:
            self.put(f"%!{verb}(BADINDEX)")
        elif self.arg >= len(self.args):
            self.put(f"%!{verb}(MISSING)")
        else:
            self.put(self.shown(flags, verb, self.args[self.arg]))
            self.arg += 1
        return True

    def char(self) -> str:
        """The character that is next, or none."""
        return self.layout[self.at : self.at + 1]

    def index(self) -> None:
        """An explicit operand, `[n]`."""
        self.after_index = False
        if self.char() != "[":
            return
        self.reordered = True
        close = self.layout.find("]", self.at + 1)
        if close < 0 or len(self.layout) - self.at < 3:
            self.good = False
            self.at += 1
            return
        inside = self.layout[self.at + 1 : close]
        self.at = close + 1
        number = _parsed(inside)
        if number is None:
            self.good = False
            return
        self.after_index = True
        if 0 < number <= len(self.args):
            self.arg = number - 1
        else:
            self.good = False

    def number(self) -> int | None:
        """A number that is next; None where there is none, or too large."""
        found = _DECIMAL.match(self.layout, self.at)
        assert found is not None  # noqa: S101 - it matches the empty text
        if not found[0]:
            return None
        number = _parsed(found[0])
        self.at = found.end() if number is not None else len(self.layout)
        return number

    def operand(self) -> int | None:
        """A width or precision that is an operand, `*`."""
        self.at += 1
        if self.arg >= len(self.args):
            return None
        given = self.args[self.arg]
        self.arg += 1
        fits = type(given) in self.integers and -_WIDEST <= given <= _WIDEST
        return given if fits else None

    def width(self, flags: Flags) -> None:
        """A width, if one is next."""
        if self.char() != "*":
            flags.width = self.number()
            if self.after_index and flags.width is not None:
                self.good = False
            return
        flags.width = self.operand()
        if flags.width is None:
            self.put("%!(BADWIDTH)")
        elif flags.width < 0:
            flags.width = -flags.width
            flags.minus, flags.zero = True, False
        self.after_index = False

    def precision(self, flags: Flags) -> None:
        """A precision, if one is next."""
        if self.char() != "." or self.at + 1 >= len(self.layout):
            return
        self.at += 1
        if self.after_index:
            self.good = False
        self.index()
        if self.char() != "*":
            flags.precision = self.number() or 0
            return
        given = self.operand()
        flags.precision = given if given is not None and given >= 0 else None
        if flags.precision is None:
            self.put("%!(BADPREC)")
        self.after_index = False


_DECIMAL = re.compile("[0-9]*")


def _parsed(digits: str) -> int | None:
    """A width, precision or index; None beyond what Go takes."""
    if not digits.isascii() or not digits.isdigit():
        return None
    # Go refuses once what it has read so far is over the limit.
    return None if int(digits[:-1] or "0") > _WIDEST else int(digits)


def _sprintf(a: Value, b: Value) -> Value:
    layout, args = text(a, 1), array(b, 2)
    return sized_text(Walk(layout, [argument(arg) for arg in args]).run())


FORMATTING: Mapping[str, Callable[..., Value]] = {"sprintf": _sprintf}
