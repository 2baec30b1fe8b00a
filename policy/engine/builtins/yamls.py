"""YAML, as far as its readers agree.

A scalar on which editions of YAML differ (octal, sexagesimal and underscored
numbers, infinities), tags, anchors, aliases and merges have no answer here.
What is left reads and writes as OPA's library does.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import cmp_to_key
from itertools import chain
from typing import Any

import yaml

from policy.engine.builtins.operands import (
    MAX_TEXT,
    sized,
    sized_text,
    text,
)
from policy.engine.builtins.verbs import general
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import PARTS, at_once, spend
from policy.engine.numbers import integer, number, spelling
from policy.engine.spelling import json_key
from policy.engine.values import Set, Value, elements, is_number, weigh

_EVENT = 32  # steps of what PyYAML reads or writes of one value
_LONGEST = 100_000
_DEEPEST = 64
_LONGEST_LINE = 60
_WORDS: Mapping[str, Value] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES"), True),
    **dict.fromkeys(("true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO"), False),
    **dict.fromkeys(("false", "False", "FALSE", "off", "Off", "OFF"), False),
}
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]*)\Z")
_FLOAT = re.compile(
    r"[-+]?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?\Z"
)
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}\Z")
_DOUBTFUL = re.compile(
    r"[-+]?(?:[0-9][0-9a-fA-FxXoO_.+-]*|\.[0-9_][0-9_eE.+-]*"
    r"|\.(?:inf|Inf|INF|nan|NaN|NAN))\Z"
)


def _outside(what: str) -> OutsideProfile:
    return OutsideProfile(f"yaml: {what}")


def _plain(source: str) -> Value:
    """What an unquoted scalar stands for."""
    if source in _WORDS:
        return _WORDS[source]
    if _WHOLE.match(source) and len(source) < 22:
        whole = int(source)
        if -(2**63) <= whole < 2**64:
            return whole
    if _FLOAT.match(source) and len(source) < 30:
        return _float(source)
    if _doubtful(source):
        msg = "a number that readers differ on"
        raise _outside(msg)
    return source


def _doubtful(source: str) -> bool:
    if not _DOUBTFUL.match(source) or _DATE.match(source):
        return False
    return source.count(".") < 2


def _float(source: str) -> Value:
    near = float(source)
    if near in (float("inf"), float("-inf")):
        msg = "a number beyond floats"
        raise _outside(msg)
    if near.is_integer() and abs(near) < 1e21:
        return int(near)
    return number(re.sub(r"e([+-])0(?=[0-9])", r"e\1", repr(near)))


class _Reader:
    """Makes a value of the events of one document."""

    def __init__(self, source: str) -> None:
        self.events = yaml.parse(source, Loader=yaml.SafeLoader)
        self.count = 0

    def next(self) -> Any:  # noqa: ANN401 - PyYAML's stubs say no more
        spend(_EVENT)
        self.count += 1
        sized(self.count)
        return next(self.events)

    def document(self) -> Value:
        self.next()
        if isinstance(self.next(), yaml.StreamEndEvent):
            return None
        value = self.value(self.next(), _DEEPEST)
        self.next()
        if not isinstance(self.next(), yaml.StreamEndEvent):
            msg = "several documents"
            raise _outside(msg)
        return value

    def value(self, event: Any, depth: int) -> Value:  # noqa: ANN401 - as above
        if depth < 0:
            msg = "yaml: nested too deeply"
            raise BudgetExceeded(msg)
        if isinstance(event, yaml.AliasEvent) or event.anchor or event.tag:
            msg = "a tag, an anchor or an alias"
            raise _outside(msg)
        if isinstance(event, yaml.ScalarEvent):
            plain = event.style is None or event.style == ""
            return _plain(event.value) if plain else event.value
        if isinstance(event, yaml.SequenceStartEvent):
            items: list[Value] = []
            while not isinstance(part := self.next(), yaml.SequenceEndEvent):
                items.append(self.value(part, depth - 1))
            return items
        fields: dict[Any, Value] = {}
        while not isinstance(part := self.next(), yaml.MappingEndEvent):
            name = self.name(self.value(part, depth - 1))
            fields[name] = self.value(self.next(), depth - 1)
        return fields

    def name(self, value: Value) -> str:
        if value == "<<":
            msg = "a merge"
            raise _outside(msg)
        if type(value) is str:
            return value
        if type(value) is bool:
            return "true" if value else "false"
        if type(value) is int:
            return str(value)
        msg = "a key that is no text"
        raise _outside(msg)


def _unmarshal(a: Value) -> Value:
    source = text(a, 1)
    if len(source) > _LONGEST:
        msg = "yaml: a text beyond the limit"
        raise BudgetExceeded(msg)
    at_once(len(source))
    try:
        return _Reader(source).document()
    except (yaml.YAMLError, ValueError) as error:
        msg = "yaml.unmarshal: malformed YAML"
        raise BuiltinFailed(msg) from error


def _is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    try:
        _unmarshal(a)
    except BuiltinFailed:
        return False
    return True


def _before(a: str, b: str) -> int:
    """Go's order of keys: numbers inside names count as numbers."""
    spend(1 + min(len(a), len(b)) // PARTS)
    digits = False
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x == y:
            digits = x.isdecimal()
            continue
        return _differ(a, b, i, digits=digits)
    return len(a) - len(b)


def _differ(a: str, b: str, at: int, *, digits: bool) -> int:
    x, y = a[at], b[at]
    if x.isalpha() and y.isalpha():
        return -1 if x < y else 1
    if x.isalpha() or y.isalpha():
        first = x.isalpha() if digits else y.isalpha()
        return -1 if first else 1
    lead = ""
    if "0" in (x, y):
        before = re.search("[0-9]*$", a[:at])
        lead = "1" if before and before[0].strip("0") else ""
    p, q = (_digits(s, at) for s in (a, b))
    m, n = int(f"{lead}{p}" or "0"), int(f"{lead}{q}" or "0")
    if m != n:
        return -1 if m < n else 1
    if len(p) != len(q):
        return len(p) - len(q)
    return -1 if x < y else 1


def _digits(source: str, at: int) -> str:
    found = re.compile("[0-9]*").match(source, at)
    return found[0] if found else ""


def _event(value: str, style: str | None = None) -> yaml.Event:
    return yaml.ScalarEvent(None, None, (True, True), value, style=style)


def _scalar(value: str, *, name: bool = False) -> yaml.Event:
    at_once(len(value) // PARTS)
    odd = any(not c.isprintable() and c not in "\t\n\0" for c in value)
    if odd or len(value) > _LONGEST_LINE or (name and "\n" in value):
        msg = "a text whose lines or escapes writers differ on"
        raise _outside(msg)
    quoted = value in _WORDS or _FLOAT.match(value) or _DATE.match(value)
    if quoted or _doubtful(value):
        return _event(value, '"')
    if ":" in value and value[:1].isdigit():
        msg = "a text that some readers take for a time"
        raise _outside(msg)
    if "\n" not in value:
        return _event(value)
    if value != value.strip(" \n\t") + "\n" * value.endswith("\n"):
        msg = "a text whose lines writers differ on"
        raise _outside(msg)
    return _event(value, "|")


def _events(value: Value, depth: int) -> Iterator[yaml.Event]:
    if depth < 0:
        msg = "yaml: nested too deeply"
        raise BudgetExceeded(msg)
    spend(_EVENT)
    kind = type(value)
    if kind is str:
        yield _scalar(value)
    elif value is None:
        yield _event("null")
    elif kind is bool:
        yield _event("true" if value else "false")
    elif is_number(value):
        yield _event(_number(value))
    elif kind is dict:
        fields = {json_key(k): v for k, v in value.items()}
        yield yaml.MappingStartEvent(None, None, True, flow_style=not fields)  # noqa: FBT003 - PyYAML's signature
        for name in sorted(fields, key=cmp_to_key(_before)):
            spend(_EVENT)
            yield _scalar(name, name=True)
            yield from _events(fields[name], depth - 1)
        yield yaml.MappingEndEvent()
    elif kind is list or kind is Set:
        listed = elements(value) if kind is Set else value
        yield yaml.SequenceStartEvent(None, None, True, flow_style=not listed)  # noqa: FBT003 - as above
        for part in listed:
            yield from _events(part, depth - 1)
        yield yaml.SequenceEndEvent()
    else:
        msg = "a string that is not UTF-8"
        raise _outside(msg)


def _number(value: Value) -> str:
    whole = integer(value)
    if whole is not None and -(2**63) <= whole < 2**64:
        return str(whole)
    near = float(spelling(value))
    if near in (float("inf"), float("-inf")):
        msg = "a number beyond floats"
        raise _outside(msg)
    return ("-" if near < 0 else "") + general(abs(near), "g", None)


def _marshal(a: Value) -> Value:
    events = chain(
        (yaml.StreamStartEvent(), yaml.DocumentStartEvent()),
        _events(weigh(a, text=MAX_TEXT), _DEEPEST),
        (yaml.DocumentEndEvent(), yaml.StreamEndEvent()),
    )
    made = yaml.emit(events, allow_unicode=True, width=1 << 20)
    made = made.removesuffix("...\n")
    return sized_text(made.removeprefix("--- ") if a == "" else made)


YAMLS: Mapping[str, Callable[..., Value]] = {
    "yaml.marshal": _marshal,
    "yaml.unmarshal": _unmarshal,
    "yaml.is_valid": _is_valid,
}
