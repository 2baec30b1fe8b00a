"""Globs: `glob.match` and `glob.quote_meta`.

A glob becomes an expression of RE2, so matching is linear in the text. The
grammar is that of the library which OPA uses: `*` and `?` stop at the
delimiters, `**` does not, `[a-z]`, `[!abc]`, `{one,other}`, and a backslash.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache

from policy.engine.builtins.meeting import globs_match
from policy.engine.builtins.operands import array, made, text
from policy.engine.builtins.regex import compiled
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import meets, spend
from policy.engine.values import Value

_QUOTED = str.maketrans({char: f"\\{char}" for char in "*?\\[]{}"})
_LONGEST = 4096


def _bad(what: str) -> BuiltinFailed:
    return BuiltinFailed(f"glob: {what}")


def _code(chars: str) -> str:
    return "".join(f"\\x{{{ord(char):x}}}" for char in chars)


class _Glob:
    """Reads one glob into an expression."""

    def __init__(self, source: str, delimiters: str) -> None:
        self.source = source
        self.at = 0
        self.level = 0
        self.one = f"[^{_code(delimiters)}]" if delimiters else "(?s:.)"

    def next(self) -> str:
        char = self.source[self.at : self.at + 1]
        self.at += 1
        return char

    def pieces(self) -> list[str]:
        found: list[str] = []
        while self.at < len(self.source):
            found.append(self.piece())
        return found + [")"] * self.level

    def piece(self) -> str:
        char = self.next()
        if char in "{,}" and (self.level or char == "{"):
            self.level += {"{": 1, ",": 0, "}": -1}[char]
            return {"{": "(?:", ",": "|", "}": ")"}[char]
        if char == "[":
            return self.choice()
        if char == "?":
            return self.one
        if char == "*":
            if self.source[self.at : self.at + 1] == "*":
                self.at += 1
                return "(?s:.*)"
            return f"{self.one}*"
        self.at -= 1
        return _code(
            self.literal("?*[{},") if self.level else self.literal("?*[{")
        )

    def literal(self, breakers: str) -> str:
        """Text up to a character that means something."""
        found: list[str] = []
        escaped = False
        while self.at < len(self.source):
            char = self.source[self.at]
            if not escaped and char == "\\":
                escaped = True
                self.at += 1
                continue
            if not escaped and char in breakers:
                break
            escaped = False
            found.append(char)
            self.at += 1
        return "".join(found)

    def choice(self) -> str:
        """One character out of a list or a range."""
        negated = ""
        char = self.next()
        if char == "!":
            negated = "^"
            char = self.next()
        if not char:
            msg = "unexpected end of input"
            raise _bad(msg)
        if self.source[self.at : self.at + 1] == "-":
            self.at += 1
            high = self.next()
            if self.next() != "]" or not high or high < char:
                msg = "malformed range"
                raise _bad(msg)
            return f"[{negated}{_code(char)}-{_code(high)}]"
        self.at -= 1
        chars = self.literal("]")
        if not chars or self.next() != "]":
            msg = "malformed list"
            raise _bad(msg)
        return f"[{negated}{_code(chars)}]"


def _takes_nothing(pieces: list[str], one: str) -> bool:
    """Whether OPA finds the empty text in a glob that has one character.

    It does where such a glob, or an alternative of one, is a single `?` or a
    negated list or range.
    """
    if len(pieces) == 1:
        return pieces[0] == one or pieces[0].startswith("[^")
    if not pieces or pieces[0] != "(?:":
        return False
    level, start = 0, 1
    found = False
    for at, piece in enumerate(pieces):
        level += {"(?:": 1, ")": -1}.get(piece, 0)
        if level == 0 or (level == 1 and piece == "|"):
            found = found or _takes_nothing(pieces[start:at], one)
            start = at + 1
        if level == 0:
            return found and at == len(pieces) - 1
    return False


@lru_cache(maxsize=256)
def _expression(pattern: str, delimiters: str) -> str:
    if "\ufffd" in pattern:
        msg = "could not read rune"
        raise _bad(msg)
    if max(len(pattern), len(pattern) * len(delimiters) // 16) > _LONGEST:
        msg = "glob: a pattern beyond the limit"
        raise BudgetExceeded(msg)
    glob = _Glob(pattern, delimiters)
    pieces = glob.pieces()
    nothing = "|" if _takes_nothing(pieces, glob.one) else ""
    return f"^(?:{''.join(pieces)}{nothing})\\z"


def _match(a: Value, b: Value, c: Value) -> Value:
    pattern = text(a, 1)
    if b is None:
        delimiters = ""
    else:
        for part in array(b, 2):
            if type(part) is not str or len(part) != 1:
                msg = "operand 2 must be an array of single characters"
                raise BuiltinFailed(msg)
        delimiters = "".join(b) or "."
    source = text(c, 3)
    if meets((pattern, delimiters)):
        spend(len(pattern))
    return compiled(_expression(pattern, delimiters)).found(source)


def _quote_meta(a: Value) -> Value:
    return made(text(a, 1).translate(_QUOTED))


GLOBS: Mapping[str, Callable[..., Value]] = {
    "glob.match": _match,
    "glob.quote_meta": _quote_meta,
    "regex.globs_match": globs_match,
}
