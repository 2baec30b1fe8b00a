"""Strings. Positions count code points, as in Rego.

Case is mapped code point by code point without the special cases of full
Unicode mapping (the sharp s stays, final sigma is not looked for), as OPA
maps it.
"""

from collections.abc import Callable, Iterator, Mapping

from policy.engine.builtins.operands import (
    MAX_TEXT,
    array,
    glanced,
    index,
    made,
    mapping,
    sized,
    sized_text,
    text,
    texts,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import MADE, READ, at_once, spend
from policy.engine.spelling import display
from policy.engine.values import Set, Value, is_number, ordered

WHITE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006"
    "\u2007\u2008\u2009\u200a\u2028\u2029\u202f\u205f\u3000"
)
"""What Go takes for white space."""

_CHARS = 8  # characters that are looked at one by one in a step
_ENDS = 32  # prefixes or suffixes that are tried in a step
_LONG = 1 << 14  # characters that are compared in a step


def _concat(a: Value, b: Value) -> Value:
    joint, parts = text(a, 1), texts(b, 2)
    size = sum(map(len, parts)) + len(joint) * len(parts)
    if size > MAX_TEXT + len(joint):
        msg = "concat: result beyond the limit"
        raise BudgetExceeded(msg)
    at_once(size // MADE)
    return joint.join(parts)


def _contains(a: Value, b: Value) -> Value:
    return text(b, 2) in text(a, 1)


def _startswith(a: Value, b: Value) -> Value:
    return glanced(a, 1).startswith(text(b, 2))


def _endswith(a: Value, b: Value) -> Value:
    return glanced(a, 1).endswith(text(b, 2))


def _upper_one(char: str) -> str:
    for mapped in (char.upper(), char.title()):
        if len(mapped) == 1:
            return mapped
    return char


def _upper(a: Value) -> Value:
    source = text(a, 1)
    if source.isascii():
        return made(source.upper())
    at_once(len(source) // _CHARS)
    return "".join(map(_upper_one, source))


def lower(a: Value) -> Value:
    """Lower case, code point by code point."""
    source = text(a, 1)
    if source.isascii():
        return made(source.lower())
    at_once(len(source) // _CHARS)
    return "".join(char.lower()[0] for char in source)


def _split(a: Value, b: Value) -> Value:
    source, separator = text(a, 1), text(b, 2)
    pieces = source.count(separator)
    sized(pieces)
    at_once(pieces // 2 + len(source) // MADE)
    return source.split(separator) if separator else list(source)


def _split_n(a: Value, b: Value, c: Value) -> Value:
    """The first parts, or with a negative count the last."""
    parts, count = _split(a, b), index(c, 3)
    return parts[:count] if count >= 0 else parts[count:]


def _replace(a: Value, b: Value, c: Value) -> Value:
    source, old, new = text(a, 1), text(b, 2), text(c, 3)
    if not old and not source.isascii():
        # OPA would insert between the bytes of a code point.
        msg = "replace: empty search in a string beyond ASCII"
        raise OutsideProfile(msg)
    growth = source.count(old) * (len(new) - len(old))
    if len(source) + growth > MAX_TEXT:
        msg = "replace: result beyond the limit"
        raise BudgetExceeded(msg)
    return made(source.replace(old, new))


def _replace_n(a: Value, b: Value) -> Value:
    patterns, source = mapping(a, 1), text(b, 2)
    for old, new in patterns.items():
        if type(old) is not str or type(new) is not str:
            msg = "operand 1 must be an object of strings"
            raise BuiltinFailed(msg)
    if "" in patterns:
        msg = "strings.replace_n: empty search"
        raise OutsideProfile(msg)
    names = sorted(patterns)
    pieces: list[str] = []
    at = size = 0
    turn = 1 + len(names) // _CHARS
    while at < len(source):
        spend(turn)
        found = next((n for n in names if source.startswith(n, at)), None)
        pieces.append(source[at] if found is None else patterns[found])
        at += 1 if found is None else len(found)
        size += len(pieces[-1])
        if size > MAX_TEXT:
            msg = "strings.replace_n: result beyond the limit"
            raise BudgetExceeded(msg)
    return made("".join(pieces))


def _trim(a: Value, b: Value) -> Value:
    return made(text(a, 1).strip(text(b, 2))) if b != "" else text(a, 1)


def _trim_left(a: Value, b: Value) -> Value:
    return made(text(a, 1).lstrip(text(b, 2))) if b != "" else text(a, 1)


def _trim_right(a: Value, b: Value) -> Value:
    return made(text(a, 1).rstrip(text(b, 2))) if b != "" else text(a, 1)


def _trim_prefix(a: Value, b: Value) -> Value:
    return made(glanced(a, 1).removeprefix(text(b, 2)))


def _trim_suffix(a: Value, b: Value) -> Value:
    return made(glanced(a, 1).removesuffix(text(b, 2)))


def _trim_space(a: Value) -> Value:
    return made(text(a, 1).strip(WHITE))


def _searched(a: Value, b: Value) -> tuple[str, str]:
    source, wanted = text(a, 1), text(b, 2)
    if not wanted:
        msg = "indexof: empty search character"
        raise BuiltinFailed(msg)
    return source, wanted


def _indexof(a: Value, b: Value) -> Value:
    source, wanted = _searched(a, b)
    return source.find(wanted)


def _indexof_n(a: Value, b: Value) -> Value:
    source, wanted = _searched(a, b)
    found: list[Value] = []
    at = source.find(wanted)
    while at >= 0:
        spend(1 + len(wanted) // READ)
        found.append(at)
        sized(len(found))
        at = source.find(wanted, at + 1)
    return found


def _substring(a: Value, b: Value, c: Value) -> Value:
    source, start, length = glanced(a, 1), index(b, 2), index(c, 3)
    if start < 0:
        msg = "substring: negative offset"
        raise BuiltinFailed(msg)
    return made(
        source[start:] if length < 0 else source[start : start + length]
    )


def _reverse(a: Value) -> Value:
    return made(text(a, 1)[::-1])


def _count(a: Value, b: Value) -> Value:
    return text(a, 1).count(text(b, 2))


def _some_texts(value: Value, position: int) -> list[str]:
    return [value] if type(value) is str else texts(value, position)


def _searched_for(bases: list[str], ends: tuple[str, ...]) -> Iterator[str]:
    """Each string that is compared with all of the ends, paid for."""
    turn = 1 + len(ends) // _ENDS + sum(map(len, ends)) // _LONG
    for base in bases:
        spend(turn)
        yield base


def _any_prefix(a: Value, b: Value) -> Value:
    bases, heads = _some_texts(a, 1), tuple(_some_texts(b, 2))
    return any(b.startswith(heads) for b in _searched_for(bases, heads))


def _any_suffix(a: Value, b: Value) -> Value:
    bases, tails = _some_texts(a, 1), tuple(_some_texts(b, 2))
    return any(b.endswith(tails) for b in _searched_for(bases, tails))


def _template(a: Value) -> Value:
    """The parts of an interpolated string, joined.

    A part that is an expression comes as a set: of its value, or empty where
    it is undefined.
    """
    parts: list[str] = []
    size = 0
    for part in array(a, 1):
        if type(part) is Set:
            if len(part) > 1:
                msg = "a template string has several outputs"
                raise OutsideProfile(msg)
            found = ordered(part.values())
            parts.append(display(found[0]) if found else "<undefined>")
        elif part is None or type(part) in (bool, str) or is_number(part):
            parts.append(display(part))
        else:
            msg = "a template string's part is composite"
            raise OutsideProfile(msg)
        size += len(parts[-1])
        if size > MAX_TEXT:
            msg = "a template string beyond the limit"
            raise BudgetExceeded(msg)
    return sized_text("".join(parts))


STRINGS: Mapping[str, Callable[..., Value]] = {
    "concat": _concat,
    "contains": _contains,
    "startswith": _startswith,
    "endswith": _endswith,
    "upper": _upper,
    "lower": lower,
    "split": _split,
    "replace": _replace,
    "strings.split_n": _split_n,
    "strings.replace_n": _replace_n,
    "trim": _trim,
    "trim_left": _trim_left,
    "trim_right": _trim_right,
    "trim_prefix": _trim_prefix,
    "trim_suffix": _trim_suffix,
    "trim_space": _trim_space,
    "indexof": _indexof,
    "indexof_n": _indexof_n,
    "substring": _substring,
    "strings.reverse": _reverse,
    "strings.count": _count,
    "strings.any_prefix_match": _any_prefix,
    "strings.any_suffix_match": _any_suffix,
    "internal.template_string": _template,
}
