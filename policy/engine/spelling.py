"""Values as text: JSON as Go writes it, and Rego's own notation.

The first is what `json.marshal` gives and what a key becomes that is no
string; the second is what string interpolation shows.
"""

import re
import unicodedata
from collections.abc import Hashable
from json import dumps

from policy.engine.errors import OutsideProfile
from policy.engine.numbers import spelling
from policy.engine.values import (
    Set,
    Value,
    elements,
    is_number,
    pairs,
    unkey,
)

_LITERALS = {None: "null", True: "true", False: "false"}
_HTML = re.compile("[<>&\u2028\u2029]")
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
    return _HTML.sub(
        lambda found: f"\\u{ord(found[0]):04x}",
        dumps(value, ensure_ascii=False),
    )


def json_key(stored: Hashable) -> str:
    """An object's key as JSON has it: a string, or a value's JSON text."""
    if type(stored) is str:
        return stored
    value = unkey(stored)
    return value if type(value) is str else json_text(value)


def json_text(value: Value) -> str:
    """A value as compact JSON with sorted keys, escaped as Go escapes."""
    kind = type(value)
    if kind is str:
        return _json_text(value)
    if value is None or kind is bool:
        return _LITERALS[value]
    if kind is list:
        return f"[{','.join(map(json_text, value))}]"
    if kind is Set:
        return f"[{','.join(map(json_text, elements(value)))}]"
    if kind is dict:
        fields = {json_key(k): v for k, v in value.items()}
        inner = (
            f"{_json_text(k)}:{json_text(fields[k])}" for k in sorted(fields)
        )
        return f"{{{','.join(inner)}}}"
    return spelling(value)


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


def _notation(value: Value) -> str:
    kind = type(value)
    if kind is str:
        return f'"{"".join(map(_quoted, value))}"'
    if value is None or kind is bool:
        return _LITERALS[value]
    if is_number(value):
        return spelling(value)
    if kind is list:
        return f"[{', '.join(map(_notation, value))}]"
    if kind is dict:
        inner = (f"{_notation(k)}: {_notation(v)}" for k, v in pairs(value))
        return f"{{{', '.join(inner)}}}"
    inside = ", ".join(map(_notation, elements(value)))
    return f"{{{inside}}}" if inside else "set()"


def display(value: Value) -> str:
    """A value as string interpolation shows it."""
    return value if type(value) is str else _notation(value)
