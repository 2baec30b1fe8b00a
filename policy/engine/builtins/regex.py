"""Regular expressions, by RE2: linear in the length of the text.

RE2's matching is that of Go's `regexp`, with one difference that is undone
here: an empty match right behind a match does not count. Groups are captured
only where they are asked for, since RE2 is much slower then.

A search takes at most as long as the text is and the expression's program;
it is charged by both, since nothing interrupts it. What it costs to compile
an expression is charged to each evaluation that uses it, whether or not it is
still known from another.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import re2

from policy.engine.builtins.operands import (
    MAX_TEXT,
    index,
    sized,
    sized_text,
    text,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import MADE, at_once, look, meets, spend
from policy.engine.values import Value

_WIDE = re.compile(r"\\[pP]")  # classes that are large programs
_COSTS_WIDE = 256
_COSTS_FAILED = 512
_CHARS = 8  # characters that are looked at one by one in a step
_WORK = 256  # characters times instructions that are searched in a step
_MATCH = 8  # steps of a match
_AHEAD = 2048  # characters ahead of a match that are looked at in a step


class Expression:
    """An expression that is compiled, and charges its searches."""

    __slots__ = ("regexp", "size")

    def __init__(self, regexp: Any) -> None:  # noqa: ANN401 - re2 has no types
        self.regexp = regexp
        self.size: int = regexp.programsize

    def _charge(self, source: str) -> None:
        work = len(source) * self.size // _WORK
        if work:
            at_once(work)

    def found(self, source: str) -> bool:
        """Whether the text has a match."""
        self._charge(source)
        return self.regexp.search(source) is not None

    def matches(self, source: str) -> Iterator[Any]:
        """RE2's matches, one after the other."""
        self._charge(source)
        size, groups = len(source), self.regexp.groups
        for match in self.regexp.finditer(source):
            spend(_MATCH + groups + (size - match.end()) // _AHEAD)
            yield match
            look()


def compiled(pattern: str, *, groups: bool = False) -> Expression:
    """An expression, compiled.

    Args:
        pattern: its text.
        groups: whether it is asked what its groups matched.

    Returns:
        The expression.

    Raises:
        BuiltinFailed: it is none, or too large for RE2's memory.
    """
    new = meets((pattern, groups))
    if new:
        wide = len(_WIDE.findall(pattern))
        at_once(len(pattern) // MADE + wide * _COSTS_WIDE)
    found = _compiled(pattern, groups)
    if new:
        spend(_COSTS_FAILED if found is None else found.size)
    if found is None:
        msg = "regex: malformed pattern"
        raise BuiltinFailed(msg)
    return found


@lru_cache(maxsize=256)
def _compiled(pattern: str, groups: bool) -> Expression | None:  # noqa: FBT001 - cached
    options = re2.Options()
    options.log_errors = False
    options.never_capture = not groups
    try:
        return Expression(re2.compile(pattern, options=options))
    except re2.error:
        return None


def _matches(expression: Expression, source: str, limit: int) -> Iterator[Any]:
    end = -1
    count = 0
    for match in expression.matches(source):
        if count == limit:
            return
        accepted = not (match.start() == match.end() == end)
        end = match.end()
        if accepted:
            count += 1
            sized(count)
            yield match


def _match(a: Value, b: Value) -> Value:
    pattern, source = text(a, 1), text(b, 2)
    return compiled(pattern).found(source)


def _is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    try:
        compiled(a)
    except BuiltinFailed:
        return False
    return True


def _split(a: Value, b: Value) -> Value:
    pattern, source = text(a, 1), text(b, 2)
    if pattern and not source:
        return [""]
    pieces: list[Value] = []
    begin = end = 0
    for match in _matches(compiled(pattern), source, -1):
        end = match.start()
        if match.end() != 0:
            pieces.append(source[begin:end])
        begin = match.end()
    if end != len(source):
        pieces.append(source[begin:])
    return pieces


def _find(a: Value, b: Value, c: Value) -> Value:
    pattern, source, limit = text(a, 1), text(b, 2), index(c, 3)
    expression = compiled(pattern)
    return [m.group() for m in _matches(expression, source, limit)]


def _submatches(a: Value, b: Value, c: Value) -> Value:
    pattern, source, limit = text(a, 1), text(b, 2), index(c, 3)
    expression = compiled(pattern, groups=True)
    return [
        [m.group(), *m.groups(default="")]
        for m in _matches(expression, source, limit)
    ]


class _Part(NamedTuple):
    """Text of a template, and the name of the group behind it, if any."""

    text: str
    name: str | None


def _parts(template: str) -> list[_Part]:
    """A template, read once for all matches."""
    parts: list[_Part] = []
    begin, at = 0, template.find("$")
    while at >= 0:
        spend(1)
        size, after = _name(template, at + 1)
        if template.startswith("$", at + 1):
            parts.append(_Part(template[begin : at + 1], None))
            begin = at + 2
        elif not size:
            parts.append(_Part(template[begin : at + 1], None))
            begin = at + 1
        else:
            name = template[at + 1 : after].strip("{}")
            parts.append(_Part(template[begin:at], name))
            begin = after
        at = template.find("$", begin)
    return [*parts, _Part(template[begin:], None)]


def _name(template: str, at: int) -> tuple[int, int]:
    """How long the name is that begins here, and where it ends."""
    brace = template.startswith("{", at)
    begin = end = at + brace
    while template[end : end + 1].isalpha() or _digit(template[end : end + 1]):
        end += 1
    if brace and not template.startswith("}", end):
        return 0, at
    return end - begin, end + brace


def _digit(char: str) -> bool:
    return char.isdecimal() or char == "_"


def _number(regexp: Any, name: str | None) -> int | None:  # noqa: ANN401 - re2 has no types
    """The number of the group that a template names, if there is one."""
    if name is None:
        return None
    number = name.isascii() and name.isdigit() and len(name) < 9
    if number and (name == "0" or name[0] != "0"):
        wanted = int(name)
        return wanted if wanted <= regexp.groups else None
    found: int | None = regexp.groupindex.get(name)
    return found


def _replace(a: Value, b: Value, c: Value) -> Value:
    source, pattern, template = text(a, 1), text(b, 2), text(c, 3)
    read = _parts(template)
    named = any(part.name is not None for part in read)
    expression = compiled(pattern, groups=named)
    parts = [(p.text, _number(expression.regexp, p.name)) for p in read]
    pieces: list[str] = []
    end = size = 0
    for match in _matches(expression, source, -1):
        pieces.append(source[end : match.start()])
        for literal, group in parts:
            pieces.append(literal)
            if group is not None:
                pieces.append(match.group(group) or "")
            size += len(pieces[-1]) + (group is not None) * len(literal)
        spend(len(parts))
        if size > MAX_TEXT:
            msg = "regex.replace: result beyond the limit"
            raise BudgetExceeded(msg)
        end = match.end()
    return sized_text("".join([*pieces, source[end:]]))


def _delimited(template: str, start: str, end: str) -> list[tuple[int, int]]:
    """Where the expressions of a template begin and end."""
    at_once(len(template) // _CHARS)
    found: list[tuple[int, int]] = []
    level = begin = 0
    for at, char in enumerate(template):
        if char == start:
            level += 1
            begin = at if level == 1 else begin
        elif char == end:
            level -= 1
            if level < 0:
                break
            if level == 0:
                found.append((begin, at + 1))
    if level:
        msg = "regex.template_match: unbalanced delimiters"
        raise BuiltinFailed(msg)
    return found


def _template_match(a: Value, b: Value, c: Value, d: Value) -> Value:
    template, source = text(a, 1), text(b, 2)
    start, end = text(c, 3), text(d, 4)
    for delimiter in (start, end):
        if len(delimiter.encode()) != 1:
            msg = "regex.template_match: a delimiter is one character"
            raise BuiltinFailed(msg)
    pieces: list[str] = []
    at = 0
    for begin, after in _delimited(template, start, end):
        inner = template[begin + 1 : after - 1]
        compiled(f"^{inner}$")
        spend(_MATCH)
        pieces.append(f"{re2.escape(template[at:begin])}({inner})")
        at = after
    expression = f"^{''.join(pieces)}{re2.escape(template[at:])}$"
    return compiled(expression).found(source)


REGEX: Mapping[str, Callable[..., Value]] = {
    "regex.match": _match,
    "regex.is_valid": _is_valid,
    "regex.split": _split,
    "regex.find_n": _find,
    "regex.find_all_string_submatch_n": _submatches,
    "regex.replace": _replace,
    "regex.template_match": _template_match,
}
