"""Regular expressions, by RE2: linear in the length of the text.

RE2's matching is that of Go's `regexp`, with one difference that is undone
here: an empty match right behind a match does not count.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import re2

from policy.engine.builtins.operands import index, sized, sized_text, text
from policy.engine.errors import BuiltinFailed
from policy.engine.values import Value


@lru_cache(maxsize=256)
def compiled(pattern: str) -> Any:  # noqa: ANN401 - re2 has no types
    """An expression, compiled.

    Raises:
        BuiltinFailed: it is none, or too large for RE2's memory.
    """
    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(pattern, options=options)
    except re2.error:
        msg = "regex: malformed pattern"
        raise BuiltinFailed(msg) from None


def _matches(pattern: Value, source: str, limit: int) -> Iterator[Any]:
    end = -1
    count = 0
    for match in compiled(pattern).finditer(source):
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
    return compiled(pattern).search(source) is not None


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
    for match in _matches(pattern, source, -1):
        end = match.start()
        if match.end() != 0:
            pieces.append(source[begin:end])
        begin = match.end()
    if end != len(source):
        pieces.append(source[begin:])
    return pieces


def _find(a: Value, b: Value, c: Value) -> Value:
    pattern, source, limit = text(a, 1), text(b, 2), index(c, 3)
    return [m.group() for m in _matches(pattern, source, limit)]


def _submatches(a: Value, b: Value, c: Value) -> Value:
    pattern, source, limit = text(a, 1), text(b, 2), index(c, 3)
    return [
        [m.group(), *m.groups(default="")]
        for m in _matches(pattern, source, limit)
    ]


def _name(template: str) -> tuple[str, str] | None:
    """The name at the start of a template, and what follows it."""
    brace = template.startswith("{")
    rest = template[1:] if brace else template
    size = 0
    while size < len(rest) and (rest[size].isalpha() or _digit(rest[size])):
        size += 1
    if not size or (brace and not rest.startswith("}", size)):
        return None
    return rest[:size], rest[size + brace :]


def _digit(char: str) -> bool:
    return char.isdecimal() or char == "_"


def _group(match: Any, name: str) -> str:  # noqa: ANN401 - re2 has no types
    number = name.isascii() and name.isdigit() and len(name) < 9
    if number and (name == "0" or name[0] != "0"):
        wanted = int(name)
        count = len(match.groups())
        return (match.group(wanted) or "") if wanted <= count else ""
    groups = match.re.groupindex
    return (match.group(groups[name]) or "") if name in groups else ""


def _expanded(template: str, match: Any) -> str:  # noqa: ANN401 - as above
    pieces: list[str] = []
    while "$" in template:
        before, _, template = template.partition("$")
        pieces.append(before)
        if template.startswith("$"):
            pieces.append("$")
            template = template[1:]
            continue
        found = _name(template)
        if found is None:
            pieces.append("$")
            continue
        pieces.append(_group(match, found[0]))
        template = found[1]
    return "".join([*pieces, template])


def _replace(a: Value, b: Value, c: Value) -> Value:
    source, pattern, template = text(a, 1), text(b, 2), text(c, 3)
    pieces: list[str] = []
    end = size = 0
    for match in _matches(pattern, source, -1):
        pieces += [source[end : match.start()], _expanded(template, match)]
        size += len(pieces[-1])
        sized(size >> 4)
        end = match.end()
    return sized_text("".join([*pieces, source[end:]]))


def _delimited(template: str, start: str, end: str) -> list[tuple[int, int]]:
    """Where the expressions of a template begin and end."""
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
        pieces.append(f"{re2.escape(template[at:begin])}({inner})")
        at = after
    expression = f"^{''.join(pieces)}{re2.escape(template[at:])}$"
    return compiled(expression).search(source) is not None


REGEX: Mapping[str, Callable[..., Value]] = {
    "regex.match": _match,
    "regex.is_valid": _is_valid,
    "regex.split": _split,
    "regex.find_n": _find,
    "regex.find_all_string_submatch_n": _submatches,
    "regex.replace": _replace,
    "regex.template_match": _template_match,
}
