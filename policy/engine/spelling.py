"""Values as text: JSON as Go writes it, and Rego's own notation.

The first is what `json.marshal` gives and what a key becomes that is no
string; the second is what string interpolation shows.
"""

import re
import unicodedata
from collections.abc import Hashable
from json import dumps

from policy.engine.errors import BudgetExceeded, OutsideProfile
from policy.engine.metering import MADE, SMALL, at_once, spend
from policy.engine.numbers import spelling
from policy.engine.values import (
    Raw,
    Set,
    Value,
    elements,
    is_number,
    pairs,
    unkey,
    weigh,
)

_CHARS = 8  # characters that are looked at one by one in a step
_LITERALS = {None: "null", True: "true", False: "false"}
_HTML = re.compile("[<>&\u2028\u2029]")
_HTML_ESCAPES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}
_LONGEST = 1 << 20
_QUOTED = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


def _json_text(value: str) -> str:
    if len(value) > MADE:
        spend(len(value) // MADE)
    made = dumps(value, ensure_ascii=False)
    return made.translate(_HTML_ESCAPES) if _HTML.search(made) else made


def json_key(stored: Hashable) -> str:
    """An object's key as JSON has it: a string, or a value's JSON text."""
    if type(stored) is str:
        return stored
    if type(stored) is Raw:
        raise _not_text()
    value = unkey(stored)
    return value if type(value) is str else json_text(value)


def json_text(value: Value) -> str:
    """A value as compact JSON with sorted keys, escaped as Go escapes.

    Raises:
        BudgetExceeded: it holds too many values, or too much text.
    """
    return _json_text_of(weigh(value, text=_LONGEST))


def _walked(value: Value) -> None:
    """Charge the making of a container's text, so that it can be ended."""
    if len(value) > SMALL:
        spend(len(value))


def _json_text_of(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return _json_text(value)
    if value is None or kind is bool:
        return _LITERALS[value]
    if kind is list:
        _walked(value)
        return f"[{','.join(map(_json_text_of, value))}]"
    if kind is Set:
        _walked(value)
        return f"[{','.join(map(_json_text_of, elements(value)))}]"
    if kind is dict:
        _walked(value)
        fields = {json_key(k): v for k, v in value.items()}
        inner = (
            f"{_json_text(k)}:{_json_text_of(fields[k])}"
            for k in sorted(fields)
        )
        return f"{{{','.join(inner)}}}"
    if kind is Raw:
        raise _not_text()
    return spelling(value)


def _not_text() -> OutsideProfile:
    return OutsideProfile("a string that is not UTF-8")


def indented(value: Value, prefix: str, indent: str) -> str:
    """A value as JSON over several lines, as Go indents it.

    Args:
        value: the value.
        prefix: what every line begins with.
        indent: what one level adds.

    Returns:
        The text.

    Raises:
        BudgetExceeded: it is longer than the limit.
    """
    pieces: list[str] = [prefix]
    _indent(
        weigh(value, text=_LONGEST), f"\n{prefix}", indent, pieces, [_LONGEST]
    )
    return "".join(pieces)


def _indent(
    value: Value, line: str, indent: str, pieces: list[str], left: list[int]
) -> None:
    kind = type(value)
    if kind is Set:
        value = elements(value)
    if kind not in (list, dict, Set) or not value:
        pieces.append(json_text(value))
        return
    spend(len(value))
    inner = line + indent
    opening, closing = "{}" if kind is dict else "[]"
    if kind is dict:
        fields = {json_key(k): v for k, v in value.items()}
        parts = [(f"{_json_text(k)}: ", fields[k]) for k in sorted(fields)]
    else:
        parts = [("", part) for part in value]
    left[0] -= (len(inner) + 2) * (len(parts) + 1)
    if left[0] < 0:
        msg = "json: a text beyond the limit"
        raise BudgetExceeded(msg)
    for i, (name, part) in enumerate(parts):
        pieces.append(f"{',' if i else opening}{inner}{name}")
        _indent(part, inner, indent, pieces, left)
    pieces.append(line + closing)


def _quoted(char: str) -> str:
    if char in _QUOTED:
        return _QUOTED[char]
    if char.isprintable():
        return char
    code = ord(char)
    if unicodedata.category(char) == "Cn":
        # Whether OPA prints it depends on the Unicode edition of its build.
        msg = "unassigned code point in a displayed value"
        raise OutsideProfile(msg)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def quoted(source: str, *, mark: str, ascii_only: bool) -> str:
    """A text between quotation marks, as Go's `strconv` quotes it.

    Args:
        source: the text.
        mark: the quotation mark, which is escaped inside.
        ascii_only: whether all else is escaped.

    Returns:
        The quoted text.
    """
    at_once(len(source) // _CHARS)
    parts = []
    for char in source:
        if char in "\"'":
            parts.append(f"\\{char}" if char == mark else char)
        elif ascii_only and not char.isascii():
            code = ord(char)
            short = code < 0x10000
            parts.append(f"\\u{code:04x}" if short else f"\\U{code:08x}")
        else:
            parts.append(_quoted(char))
    return f"{mark}{''.join(parts)}{mark}"


def notation(value: Value) -> str:
    """A value in Rego's own notation.

    Raises:
        BudgetExceeded: it holds too many values, or too much text.
    """
    return _notation(weigh(value, text=_LONGEST))


def _notation(value: Value) -> str:
    kind = type(value)
    if kind is str:
        at_once(len(value) // _CHARS)
        return f'"{"".join(map(_quoted, value))}"'
    if value is None or kind is bool:
        return _LITERALS[value]
    if is_number(value):
        return spelling(value)
    if kind is list:
        _walked(value)
        return f"[{', '.join(map(_notation, value))}]"
    if kind is dict:
        _walked(value)
        inner = (f"{_notation(k)}: {_notation(v)}" for k, v in pairs(value))
        return f"{{{', '.join(inner)}}}"
    if kind is Raw:
        raise _not_text()
    _walked(value)
    inside = ", ".join(map(_notation, elements(value)))
    return f"{{{inside}}}" if inside else "set()"


def display(value: Value) -> str:
    """A value as string interpolation shows it."""
    return value if type(value) is str else notation(value)
