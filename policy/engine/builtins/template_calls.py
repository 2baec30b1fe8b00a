"""The functions that a template may call.

A number of the documents is a text to all of them: `eq .n "1"` may hold,
`eq .n 1` is an error.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from policy.engine.builtins.operands import sized_text
from policy.engine.builtins.template_prints import (
    TEXTS,
    Byte,
    Formatted,
    Given,
    Spelled,
    gathered,
    printed,
    printed_line,
)
from policy.engine.builtins.template_tokens import Spend, malformed
from policy.engine.builtins.texts import of_bytes
from policy.engine.builtins.urls import query_escaped
from policy.engine.errors import BuiltinFailed, OutsideProfile


@dataclass(frozen=True, slots=True)
class Callee:
    """A function, and how many operands it takes.

    Attributes:
        run: called with the operands, of which null is undefined, and with
            what charges steps.
        least: how many it needs.
        more: whether it takes more.
        text: whether the first must be a string.
    """

    run: Callable[[list[Given], Spend], Given]
    least: int
    more: bool = True
    text: bool = False


def truth(value: Given) -> bool:
    """Whether a value counts as true: it is not empty, zero or nothing."""
    return value is not ... and bool(value)


def _not(args: list[Given], _spend: Spend) -> Given:
    return not truth(args[0])


def _size(value: Given) -> int:
    if type(value) in TEXTS:
        return len(value) if value.isascii() else len(value.encode())
    if type(value) not in (list, dict):
        msg = "len of what has none"
        raise malformed(msg)
    return len(value)


def _len(args: list[Given], _spend: Spend) -> Given:
    return _size(args[0])


def _position(index: Given, most: int) -> int:
    if type(index) not in (int, Byte) or not 0 <= index <= most:
        msg = "an index that is none, or out of range"
        raise malformed(msg)
    return int(index)


def _index(args: list[Given], _spend: Spend) -> Given:
    item, *indexes = args
    if item is ...:
        msg = "an index into nothing"
        raise malformed(msg)
    for index in indexes:
        if type(item) is dict and type(index) is str:
            item = item.get(index)
        elif type(item) is list:
            item = item[_position(index, len(item) - 1)]
        elif type(item) in TEXTS:
            content = item.encode()
            item = Byte(content[_position(index, len(content) - 1)])
        else:
            msg = "an index into what has none"
            raise malformed(msg)
    return item


def _slice(args: list[Given], _spend: Spend) -> Given:
    item, *indexes = args
    kind = type(item)
    if kind not in (str, Spelled, list) or len(indexes) > 3:
        msg = "a slice of what has none"
        raise malformed(msg)
    if kind is not list and len(indexes) == 3:
        msg = "a slice of a string with a capacity"
        raise malformed(msg)
    source = item if kind is list else item.encode()
    bounds = [_bound(index, source) for index in indexes]
    begin, end = (*bounds[:2], *(0, len(source))[len(bounds[:2]) :])
    if begin > end or (len(bounds) == 3 and end > bounds[2]):
        msg = "a slice that ends before it begins"
        raise malformed(msg)
    if kind is list:
        return source[begin:end]
    return kind(of_bytes(source[begin:end]))


def _bound(index: Given, source: list[Given] | bytes) -> int:
    counts = type(source) is list and type(index) in (int, Byte)
    if counts and index > len(source):
        # Go may have kept more room than there are elements, and slices it.
        msg = "strings.render_template: a slice beyond an array"
        raise OutsideProfile(msg)
    return _position(index, len(source))


_KINDS: Mapping[type, str] = {
    bool: "bool",
    int: "int",
    Byte: "uint",
    float: "float",
    str: "text",
    Spelled: "text",
}


def _comparable(a: Given, b: Given) -> bool:
    """Whether two values are of one sort, of those that have an order."""
    kinds = {_KINDS.get(type(a)), _KINDS.get(type(b))}
    return None not in kinds and (len(kinds) == 1 or kinds == {"int", "uint"})


def _incomparable() -> BuiltinFailed:
    return malformed("a comparison of what has none")


def _equal(a: Given, b: Given) -> bool:
    if a is ... or b is ...:
        return a is b
    if not _comparable(a, b):
        raise _incomparable()
    return bool(a == b)


def _eq(args: list[Given], _spend: Spend) -> Given:
    first, *others = args
    if not others:
        raise _incomparable()
    return any(_equal(first, other) for other in others)


def _ne(args: list[Given], spend: Spend) -> Given:
    return not _eq(args, spend)


def _less(a: Given, b: Given) -> bool:
    if not _comparable(a, b) or type(a) is bool:
        raise _incomparable()
    return bool(a < b)


def _lt(args: list[Given], _spend: Spend) -> Given:
    return _less(args[0], args[1])


def _le(args: list[Given], _spend: Spend) -> Given:
    return _less(args[0], args[1]) or _equal(args[0], args[1])


def _gt(args: list[Given], spend: Spend) -> Given:
    return not _le(args, spend)


def _ge(args: list[Given], _spend: Spend) -> Given:
    return not _less(args[0], args[1])


def _call(_args: list[Given], _spend: Spend) -> Given:
    msg = "a call of what is no function"
    raise malformed(msg)


def _print(args: list[Given], spend: Spend) -> Given:
    return gathered(printed(args), spend)


def _println(args: list[Given], spend: Spend) -> Given:
    return gathered(printed_line(args), spend)


def _printf(args: list[Given], spend: Spend) -> Given:
    layout, *rest = args
    return Formatted(layout, rest, spend).run()


def _text(args: list[Given], spend: Spend) -> str:
    """What is escaped: values as a template shows them."""
    values = ["<no value>" if arg is ... else arg for arg in args]
    return gathered(printed(values), spend)


_HTML = str.maketrans(
    {
        "\0": "\ufffd",
        '"': "&#34;",
        "'": "&#39;",
        "&": "&amp;",
        "<": "&lt;",
        ">": "&gt;",
    }
)


def _html(args: list[Given], spend: Spend) -> Given:
    return sized_text(_text(args, spend).translate(_HTML))


_SCRIPT = re.compile("[\\\\'\"<>&=\0-\x1f]|[^\0-\x7f]")


def _scripted(found: re.Match[str]) -> str:
    char = found[0]
    if char in "\\'\"":
        return f"\\{char}"
    if char.isprintable() and not char.isascii():
        return char
    if unicodedata.category(char) == "Cn":
        # Whether OPA escapes it depends on the Unicode edition of its build.
        msg = "unassigned code point in an escaped text"
        raise OutsideProfile(msg)
    return f"\\u{ord(char):04X}"


def _js(args: list[Given], spend: Spend) -> Given:
    return sized_text(_SCRIPT.sub(_scripted, _text(args, spend)))


def _urlquery(args: list[Given], spend: Spend) -> Given:
    return sized_text(query_escaped(_text(args, spend)))


def _chosen(args: list[Given], _spend: Spend) -> Given:
    """What `and` and `or` come to, once it is known which operand it is."""
    return args[-1]


CALLEES: Mapping[str, Callee] = {
    "and": Callee(_chosen, 1),
    "call": Callee(_call, 1),
    "eq": Callee(_eq, 1),
    "ge": Callee(_ge, 2, more=False),
    "gt": Callee(_gt, 2, more=False),
    "html": Callee(_html, 0),
    "index": Callee(_index, 1),
    "js": Callee(_js, 0),
    "le": Callee(_le, 2, more=False),
    "len": Callee(_len, 1, more=False),
    "lt": Callee(_lt, 2, more=False),
    "ne": Callee(_ne, 2, more=False),
    "not": Callee(_not, 1, more=False),
    "or": Callee(_chosen, 1),
    "print": Callee(_print, 0),
    "printf": Callee(_printf, 1, text=True),
    "println": Callee(_println, 0),
    "slice": Callee(_slice, 1),
    "urlquery": Callee(_urlquery, 0),
}
