"""The constants of a template, as Go writes them."""

import re

from policy.engine.builtins.template_tokens import malformed
from policy.engine.builtins.texts import of_bytes
from policy.engine.errors import OutsideProfile

_ESCAPE = re.compile(
    rb"\\(?:([abfnrtv\\\"'])|x([0-9a-fA-F]{2})|([0-7]{3})"
    rb"|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|)"
)
_PLAIN = dict(zip(b"abfnrtv\\\"'", b"\a\b\f\n\r\t\v\\\"'", strict=True))


def _escaped(found: re.Match[bytes], barred: bytes) -> bytes:
    """What an escape stands for; the other quotation mark is none."""
    plain, byte, octal, short, long = found.groups()
    if plain and plain != barred:
        return bytes([_PLAIN[plain[0]]])
    if byte or octal:
        value = int(byte, 16) if byte else int(octal, 8)
        if value < 256:
            return bytes([value])
    elif short or long:
        code = int(short or long, 16)
        if code < 0xD800 or 0xE000 <= code < 0x110000:
            return chr(code).encode()
    msg = "an escape that there is not"
    raise malformed(msg)


def unquoted(text: str) -> str:
    """The string that a quotation stands for.

    Raises:
        BuiltinFailed: it has an escape that there is not.
        OutsideProfile: it is not UTF-8.
    """
    inside = text[1:-1]
    if text[0] == "`":
        return inside.replace("\r", "")
    if "\\" not in inside:
        return inside
    content = inside.encode()
    return of_bytes(_ESCAPE.sub(lambda f: _escaped(f, b"'"), content))


def _rune(text: str) -> int:
    inside = text[1:-1]
    if len(inside) == 1:
        return ord(inside)
    found = _ESCAPE.fullmatch(inside.encode())
    if found is None:
        msg = "a character that is none, or several"
        raise malformed(msg)
    content = _escaped(found, b'"')
    return content[0] if found[2] or found[3] else ord(content.decode())


_WHOLE = re.compile(
    r"([+-]?)(?:0[bB]((?:_?[01])+)|0[oO]((?:_?[0-7])+)"
    r"|0[xX]((?:_?[0-9a-fA-F])+)|(0(?:_?[0-7])*)|([1-9](?:_?[0-9])*))"
)
_DECIMAL = re.compile(
    r"[+-]?(?:[0-9](?:_?[0-9])*(?:\.(?:[0-9](?:_?[0-9])*)?)?"
    r"|\.[0-9](?:_?[0-9])*)(?:[eE][+-]?[0-9](?:_?[0-9])*)?"
)
_HEXADECIMAL = re.compile(
    r"[+-]?0[xX](?:(?:_?[0-9a-fA-F])+(?:\.(?:[0-9a-fA-F]"
    r"(?:_?[0-9a-fA-F])*)?)?|\.[0-9a-fA-F](?:_?[0-9a-fA-F])*)"
    r"[pP][+-]?[0-9](?:_?[0-9])*"
)
_BASES = (2, 8, 16, 8, 10)


def _whole(text: str) -> int | None:
    """An integer as Go writes them, or None."""
    found = _WHOLE.fullmatch(text)
    if found is None:
        return None
    sign, *groups = found.groups()
    given = zip(groups, _BASES, strict=True)
    digits, base = next((g, b) for g, b in given if g is not None)
    if len(digits) > 100:
        return None
    return int(sign + digits.replace("_", ""), base)


def _real(text: str) -> float | None:
    """A float as Go reads it, or None."""
    try:
        if _DECIMAL.fullmatch(text):
            value = float(text.replace("_", ""))
        elif _HEXADECIMAL.fullmatch(text):
            value = float.fromhex(text.replace("_", ""))
        else:
            return None
    except OverflowError:
        return None
    return None if value in (float("inf"), float("-inf")) else value


def constant(kind: str, text: str) -> bool | int | float | str | None:
    """The value of a constant.

    Args:
        kind: that of its token.
        text: as it is written.

    Returns:
        The value; None for an integer that is read and too large to use.

    Raises:
        BuiltinFailed: it is malformed.
        OutsideProfile: it is complex, or a string that is not UTF-8.
    """
    if kind == "bool":
        return text == "true"
    if kind in ("string", "raw"):
        return unquoted(text)
    return _number(kind, text)


def _number(kind: str, text: str) -> int | float | None:
    if kind == "rune":
        return _rune(text)
    if kind == "complex" or (text[-1] == "i" and _real(text[:-1]) is not None):
        msg = "strings.render_template: a complex number"
        raise OutsideProfile(msg)
    whole = _whole(text)
    signed = text[0] in "+-"
    if whole is not None and -(2**63) <= whole < 2 ** (63 if signed else 64):
        if signed and not set("eE").isdisjoint(text):
            # Go takes a signed hexadecimal with an `e` in it for a float.
            return float(whole)
        return whole if whole < 2**63 else None
    value = _real(text)
    if value is None or set(".eEpP").isdisjoint(text):
        msg = "a number that is none"
        raise malformed(msg)
    return value
