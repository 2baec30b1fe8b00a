"""The values of a template, and their text as Go's `fmt` shows it.

A value is a string, boolean, list or dict as in JSON, or null; a number of
the documents is a `Spelled`, which is a text, while what the template itself
writes or counts is an int, a float or a `Byte`. Undefined is the literal
`...`: Go's value of no type, which stands for null too once a pipeline has
given it.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from policy.engine.builtins.formatting import Walk
from policy.engine.builtins.operands import MAX_TEXT
from policy.engine.builtins.template_tokens import Spend
from policy.engine.builtins.verbs import Flags, cut, formed
from policy.engine.errors import BudgetExceeded, OutsideProfile

Given = Any
"""A value of a template."""

GRAIN = 256
"""Characters that cost a step."""


class Spelled(str):
    """A number of the documents, by its text: Go's `json.Number`."""

    __slots__ = ()


class Byte(int):
    """A byte of a string: Go's `uint8`."""

    __slots__ = ()


_TYPES: Mapping[type, str] = {
    str: "string",
    Spelled: "json.Number",
    bool: "bool",
    int: "int",
    Byte: "uint8",
    float: "float64",
    list: "[]interface {}",
    dict: "map[string]interface {}",
}
_PLAIN: Mapping[type, type] = {Spelled: str, Byte: int}
TEXTS = frozenset({str, Spelled})
"""Types between which nothing stands when they are shown one by one."""


def gathered(pieces: Iterable[str], spend: Spend) -> str:
    """Pieces as one text, paid for.

    Raises:
        BudgetExceeded: it is longer than the limit, or the steps are used up.
    """
    size = 0
    made = []
    for piece in pieces:
        spend(1 + len(piece) // GRAIN)
        size += len(piece)
        if size > MAX_TEXT:
            msg = "strings.render_template: a text beyond the limit"
            raise BudgetExceeded(msg)
        made.append(piece)
    return "".join(made)


def shown(flags: Flags, verb: str, value: Given) -> Iterator[str]:
    """A value under one verb, in pieces.

    Raises:
        OutsideProfile: it would be an address.
    """
    if value is None or value is ...:
        known = verb in ("T", "v")
        yield flags.pad("<nil>") if known else f"%!{verb}(<nil>)"
    elif verb == "T":
        yield flags.pad(cut(flags, _TYPES[type(value)]))
    elif verb in ("v", "w"):
        plain = replace(flags, sharp=False, plus=False)
        form = _formed if verb == "v" else _misformed
        yield from form(plain, verb, value, sharp_v=flags.sharp)
    elif verb == "p":
        if type(value) in (list, dict):
            msg = "strings.render_template: an address"
            raise OutsideProfile(msg)
        yield from _misformed(flags, verb, value)
    else:
        yield from _formed(flags, verb, value)


def _misformed(
    flags: Flags, verb: str, value: Given, *, sharp_v: bool = False
) -> Iterator[str]:
    """A value under a verb that its type has not."""
    yield f"%!{verb}({_TYPES[type(value)]}="
    yield from _formed(flags, "v", value, sharp_v=sharp_v)
    yield ")"


def _formed(
    flags: Flags, verb: str, value: Given, *, sharp_v: bool = False
) -> Iterator[str]:
    kind = type(value)
    made: str | None = None
    if value is None:  # inside of a list or an object
        made = "interface {}(nil)" if sharp_v else "<nil>"
    elif kind is list or kind is dict:
        yield from _composed(flags, verb, value, sharp_v=sharp_v)
        return
    elif kind is bool:
        if verb in ("t", "v"):
            made = flags.pad("true" if value else "false")
    elif kind is Byte and sharp_v:
        made = formed(replace(flags, sharp=True), "x", int(value))
    else:
        plain = _PLAIN.get(kind, kind)(value)
        made = formed(flags, verb, plain, sharp_v=sharp_v)
    if made is not None:
        yield made
    else:
        yield from _misformed(flags, verb, value, sharp_v=sharp_v)


def _composed(
    flags: Flags, verb: str, value: Given, *, sharp_v: bool
) -> Iterator[str]:
    named = type(value) is dict
    opening, space, closing = ("map[" if named else "[", " ", "]")
    if sharp_v:
        opening, space, closing = (f"{_TYPES[type(value)]}{{", ", ", "}")
    yield opening
    for at, part in enumerate(sorted(value) if named else value):
        if at:
            yield space
        yield from _formed(flags, verb, part, sharp_v=sharp_v)
        if named:
            yield ":"
            yield from _formed(flags, verb, value[part], sharp_v=sharp_v)
    yield closing


def printed(values: Iterable[Given]) -> Iterator[str]:
    """Values one by one, a space between two of which none is a text."""
    last = True
    for value in values:
        text = type(value) in TEXTS
        if not last and not text:
            yield " "
        last = text
        yield from shown(Flags(), "v", value)


def printed_line(values: Iterable[Given]) -> Iterator[str]:
    """Values with spaces between them, as a line."""
    for at, value in enumerate(values):
        if at:
            yield " "
        yield from shown(Flags(), "v", value)
    yield "\n"


class Formatted(Walk):
    """One walk over the format of `printf`."""

    integers = frozenset({int, Byte})

    def __init__(self, layout: str, args: list[Given], spend: Spend) -> None:
        super().__init__(layout, args)
        self.spend = spend

    def shown(self, flags: Flags, verb: str, arg: Given) -> str:
        """One operand under one verb."""
        return gathered(shown(flags, verb, arg), self.spend)

    def typed(self, arg: Given) -> str:
        """An operand that no verb takes, with its type."""
        if arg is None or arg is ...:
            return "<nil>"
        return f"{_TYPES[type(arg)]}={self.shown(Flags(), 'v', arg)}"

    def put(self, made: str) -> None:
        """Add to the result, paid for."""
        self.spend(1 + len(made) // GRAIN)
        super().put(made)
