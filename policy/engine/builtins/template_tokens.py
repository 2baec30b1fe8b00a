"""The words of a template: text, and what stands between `{{` and `}}`."""

import re
import unicodedata
from collections.abc import Callable
from typing import NamedTuple

from policy.engine.errors import BuiltinFailed, OutsideProfile

_SPACE = " \t\r\n"
_BLANK = frozenset(_SPACE)
_GRAIN = 16  # characters that cost a step
_KEYWORDS = frozenset(
    {
        "block",
        "break",
        "continue",
        "define",
        "else",
        "end",
        "if",
        "nil",
        "range",
        "template",
        "with",
    }
)
_STRING = re.compile(r'"(?:\\[^\n]|[^"\\\n])*"')
_RUNE = re.compile(r"'(?:\\[^\n]|[^'\\\n])*'")
_SPACES = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(
    r"[+-]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][+-]?[0-9_]*)?"
    r"|0[oO][0-7_]*(?:\.[0-7_]*)?|0[bB][01_]*(?:\.[01_]*)?"
    r"|[0-9_]*(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?)i?"
)
_QUOTES = {'"': "string", "'": "rune", "`": "raw"}


class Token(NamedTuple):
    """A word, or a run of text or of spaces.

    `kind` is the word itself for keywords and marks; else `text`, `space`,
    `field`, `variable`, `name`, `bool`, `number`, `complex`, `rune`,
    `string`, `raw`, `char` or, behind the last, `eof`.
    """

    kind: str
    text: str


def malformed(what: str) -> BuiltinFailed:
    """The error of a template that is none."""
    return BuiltinFailed(f"strings.render_template: {what}")


Spend = Callable[[int], None]
"""Charges so many steps to the budget."""


def tokens(source: str, spend: Spend) -> list[Token]:
    """All words of a template.

    Args:
        source: the template.
        spend: is charged for each word.

    Returns:
        The words, `eof` behind them.

    Raises:
        BuiltinFailed: what stands between the delimiters is no word.
        OutsideProfile: whether it is depends on the edition of Unicode.
    """
    reader = _Reader(source, spend)
    reader.run()
    return reader.found


def _is_word(char: str) -> bool:
    if char.isascii():
        return char.isalnum() or char == "_"
    category = unicodedata.category(char)
    if category == "Cn":
        msg = "an unassigned code point in a template's action"
        raise OutsideProfile(msg)
    return category[0] == "L" or category == "Nd"


class _Reader:
    """One pass over a template."""

    def __init__(self, source: str, spend: Spend) -> None:
        self.source = source
        self.spend = spend
        self.at = 0
        self.depth = 0
        self.found: list[Token] = []

    def put(self, kind: str, end: int) -> None:
        self.spend(1 + (end - self.at) // _GRAIN)
        self.found.append(Token(kind, self.source[self.at : end]))
        self.at = end

    def starts(self, wanted: str, at: int) -> bool:
        return self.source.startswith(wanted, at)

    def spaces(self, at: int) -> int:
        """Where the spaces that begin here end."""
        found = _SPACES.match(self.source, at)
        assert found is not None  # noqa: S101 - it matches the empty text
        return found.end()

    def run(self) -> None:
        while True:
            begin = self.source.find("{{", self.at)
            if begin < 0:
                break
            inside = begin + 2
            trims = (
                self.starts("-", inside)
                and self.source[inside + 1 : inside + 2] in _BLANK
            )
            text = self.source[self.at : begin]
            if trims:
                text = text.rstrip(_SPACE)
                inside += 2
            self.spend(1)
            if text:
                self.found.append(Token("text", text))
            if self.starts("/*", inside):
                self.comment(inside)
                continue
            self.found.append(Token("{{", "{{"))
            self.at = inside
            self.depth = 0
            while not self.closed():
                self.word()
        if self.at < len(self.source):
            self.put("text", len(self.source))
        self.found.append(Token("eof", ""))

    def closing(self, at: int) -> int:
        """Where the text behind a right delimiter begins; -1 for none."""
        if self.starts("}}", at):
            return at + 2
        if self.source[at : at + 1] in _BLANK and self.starts("-}}", at + 1):
            return self.spaces(at + 4)
        return -1

    def comment(self, at: int) -> None:
        end = self.source.find("*/", at + 2)
        after = self.closing(end + 2) if end >= 0 else -1
        if after < 0:
            msg = "a comment that does not end"
            raise malformed(msg)
        self.at = after

    def closed(self) -> bool:
        after = self.closing(self.at)
        if after < 0:
            return False
        if self.depth:
            msg = "an open parenthesis"
            raise malformed(msg)
        self.found.append(Token("}}", "}}"))
        self.at = after
        return True

    def word(self) -> None:
        """One word inside an action."""
        char = self.source[self.at : self.at + 1]
        if not char:
            msg = "an action that does not end"
            raise malformed(msg)
        if char in _SPACE:
            self.space()
        elif char in _QUOTES:
            self.quoted(char)
        elif char == "$":
            self.named("variable")
        elif char == "." and not self.is_digit(self.at + 1):
            self.named("field")
        elif char in "+-." or self.is_digit(self.at):
            self.number()
        elif _is_word(char):
            self.name()
        else:
            self.mark(char)

    def mark(self, char: str) -> None:
        self.depth += {"(": 1, ")": -1}.get(char, 0)
        if self.depth < 0:
            msg = "a parenthesis that closes nothing"
            raise malformed(msg)
        if self.starts(":=", self.at):
            self.put(":=", self.at + 2)
        elif " " < char < "\x7f" and char != ":":
            self.put(char if char in "=|()" else "char", self.at + 1)
        else:
            msg = "a character that no action has"
            raise malformed(msg)

    def is_digit(self, at: int) -> bool:
        return "0" <= self.source[at : at + 1] <= "9"

    def space(self) -> None:
        end = self.spaces(self.at)
        # The last may belong to the right delimiter.
        self.put("space", end - 1 if self.starts("-}}", end) else end)

    def word_end(self, at: int) -> int:
        while at < len(self.source) and _is_word(self.source[at]):
            at += 1
        return at

    def ends_word(self, at: int) -> None:
        char = self.source[at : at + 1]
        if char and char not in " \t\r\n.,|:)(" and not self.starts("}}", at):
            msg = "a word that goes on with a character of none"
            raise malformed(msg)

    def named(self, kind: str) -> None:
        """A field or a variable; a mark alone is the cursor, or `$`."""
        end = self.word_end(self.at + 1)
        self.ends_word(end)
        alone = kind == "field" and end == self.at + 1
        self.put("." if alone else kind, end)

    def name(self) -> None:
        end = self.word_end(self.at)
        self.ends_word(end)
        word = self.source[self.at : end]
        if word in _KEYWORDS:
            self.put(word, end)
        else:
            self.put("bool" if word in ("true", "false") else "name", end)

    def number(self) -> None:
        end = self.number_end(self.at)
        kind = "number"
        if self.source[end : end + 1] in ("+", "-"):
            end = self.number_end(end)
            if self.source[end - 1] != "i":
                msg = "a number that goes on"
                raise malformed(msg)
            kind = "complex"
        self.put(kind, end)

    def number_end(self, at: int) -> int:
        found = _NUMBER.match(self.source, at)
        assert found is not None  # noqa: S101 - it matches the empty text
        end = found.end()
        if end < len(self.source) and _is_word(self.source[end]):
            msg = "a number that ends in a letter"
            raise malformed(msg)
        return end

    def quoted(self, mark: str) -> None:
        if mark == "`":
            end = self.source.find("`", self.at + 1) + 1
        else:
            pattern = _STRING if mark == '"' else _RUNE
            found = pattern.match(self.source, self.at)
            end = found.end() if found else 0
        if not end:
            msg = "a quotation that does not end"
            raise malformed(msg)
        self.put(_QUOTES[mark], end)
