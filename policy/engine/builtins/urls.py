"""URLs and their queries, as Go's `net/url` reads and writes them."""

import re
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address, ip_address
from urllib.parse import quote, unquote_to_bytes

from policy.engine.builtins.operands import (
    MAX_TEXT,
    mapping,
    sized,
    sized_text,
    text,
)
from policy.engine.builtins.texts import of_bytes
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import at_once, spend
from policy.engine.spelling import json_key
from policy.engine.values import Set, Value, elements

_MOST = 10_000
_CHARS = 16  # characters that are escaped or checked in a step
_ESCAPES = 4  # escapes that are undone in a step
_BROKEN = re.compile("%(?![0-9A-Fa-f]{2})")
_SCHEME = re.compile("[A-Za-z][A-Za-z0-9+.-]*")
_PORT = re.compile(":[0-9]*")
_CONTROL = re.compile("[\x00-\x1f\x7f]")
_USER = re.compile(r"[A-Za-z0-9._:~!$&'()*+,;=%@-]*\Z")
_UNRESERVED = "-_.~"
_PATH = "$&+,/:;=@"
_HOST = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
    "-_.~!$&'()*+,;=:[]<>\""
)


def _bad() -> BuiltinFailed:
    return BuiltinFailed("malformed URL")


def _unescaped(source: str) -> str:
    if _BROKEN.search(source):
        raise _bad()
    if "%" not in source:
        return source
    at_once(source.count("%") // _ESCAPES)
    return of_bytes(unquote_to_bytes(source))


def _query_unescaped(source: str) -> str:
    return _unescaped(source.replace("+", " "))


def query_escaped(source: str) -> str:
    """A text as it stands in a query."""
    at_once(len(source) // _CHARS)
    return quote(source, safe=_UNRESERVED).replace("%20", "+")


def _encode(a: Value) -> Value:
    return sized_text(query_escaped(text(a, 1)))


def _decode(a: Value) -> Value:
    return _query_unescaped(text(a, 1))


def _values(value: Value) -> list[str]:
    if type(value) is str:
        return [value]
    found = elements(value) if type(value) is Set else value
    if type(found) is list:
        spend(len(found))
    if type(found) is not list or any(type(v) is not str for v in found):
        msg = "operand 1 values must be string, array[string], or set[string]"
        raise BuiltinFailed(msg)
    return found


def _encode_object(a: Value) -> Value:
    fields = {json_key(k): _values(v) for k, v in mapping(a, 1).items()}
    size = sum(
        len(name) + len(value) for name in fields for value in fields[name]
    )
    if size > MAX_TEXT:
        msg = "urlquery.encode_object: result beyond the limit"
        raise BudgetExceeded(msg)
    return sized_text(
        "&".join(
            f"{query_escaped(name)}={query_escaped(value)}"
            for name in sorted(fields)
            for value in fields[name]
        )
    )


def _decode_object(a: Value) -> Value:
    query = text(a, 1)
    if query.count("&") + 1 > _MOST:
        msg = "urlquery.decode_object: too many parameters"
        raise BuiltinFailed(msg)
    found: dict[str, Value] = {}
    for part in query.split("&"):
        spend(2)
        if ";" in part:
            raise _bad()
        if part:
            name, _, value = part.partition("=")
            values = found.setdefault(_query_unescaped(name), [])
            values.append(_query_unescaped(value))
            sized(len(values))
    return found


def _scheme(source: str) -> tuple[str, str]:
    found = _SCHEME.match(source)
    if source.startswith(":"):
        raise _bad()
    if found is None or source[found.end() : found.end() + 1] != ":":
        return "", source
    return found[0].lower(), source[found.end() + 1 :]


def _host_unescaped(source: str) -> str:
    """A host's text; percent stands for bytes beyond ASCII, or itself."""
    at_once(len(source) // _CHARS)
    if _BROKEN.search(source):
        raise _bad()
    for escape in re.findall("%..", source):
        if int(escape[1], 16) < 8 and escape != "%25":
            raise _bad()
    for char in source:
        if char.isascii() and char != "%" and char not in _HOST:
            raise _bad()
    return _unescaped(source)


def _zone_unescaped(source: str) -> str:
    at_once(len(source) // _CHARS)
    if _BROKEN.search(source):
        raise _bad()
    for escape in re.findall("%..", source):
        byte = chr(int(escape[1:], 16))
        if escape != "%25" and byte != " " and byte not in _HOST:
            raise _bad()
    for char in source:
        if char.isascii() and char != "%" and char not in _HOST:
            raise _bad()
    return _unescaped(source)


def _host(scheme: str, source: str) -> str:
    opening = source.rfind("[")
    if opening > 0:
        raise _bad()
    if opening == 0:
        return _literal(source)
    first, last = source.find(":"), source.rfind(":")
    if first >= 0:
        if first != last and scheme not in ("http", "https"):
            first = last
        if not _PORT.fullmatch(source[first:]):
            raise _bad()
    return _host_unescaped(source)


def _literal(source: str) -> str:
    """An IPv6 address in brackets, perhaps with a zone and a port."""
    closing = source.rfind("]")
    if closing < 0:
        raise _bad()
    name, port = source[1:closing], source[closing + 1 :]
    if port and not _PORT.fullmatch(port):
        raise _bad()
    at = name.find("%25")
    if at >= 0:
        shown = _host_unescaped(name[:at]) + _zone_unescaped(name[at:])
    else:
        shown = _host_unescaped(name)
    try:
        if isinstance(ip_address(shown), IPv4Address):
            raise _bad()
    except ValueError as error:
        raise _bad() from error
    return f"[{shown}]{port}"


def _authority(scheme: str, source: str) -> str:
    user, at, host = source.rpartition("@")
    shown = _host(scheme, host)
    if at:
        if not _USER.match(user):
            raise _bad()
        _unescaped(user)
    return shown


def _parsed(source: str) -> dict[str, Value]:
    at_once(len(source) // _CHARS)
    source, _, fragment = source.partition("#")
    if _CONTROL.search(source):
        raise _bad()
    if source == "*":
        return _named({"path": "*", "raw_path": "*"}, fragment)
    scheme, rest = _scheme(source)
    found: dict[str, str] = {"scheme": scheme}
    rest, _, found["raw_query"] = rest.partition("?")
    if not rest.startswith("/"):
        if scheme:
            return _named(found, fragment)
        if ":" in rest.partition("/")[0]:
            raise _bad()
    if (scheme or not rest.startswith("///")) and rest.startswith("//"):
        authority, slash, path = rest[2:].partition("/")
        rest = slash + path
        host = _authority(scheme, authority)
        at = host.rfind(":")
        if at >= 0 and _PORT.fullmatch(host[at:]):
            host, found["port"] = host[:at], host[at + 1 :]
        if host.startswith("[") and host.endswith("]"):
            host = host[1:-1]
        found["hostname"] = host
    path = _unescaped(rest)
    found["path"] = path
    # Go keeps the raw path only where it is not the one way to escape it.
    found["raw_path"] = rest
    if rest == quote(path, safe=_UNRESERVED + _PATH):
        found["raw_path"] = path
    return _named(found, fragment)


def _named(found: dict[str, str], fragment: str) -> dict[str, Value]:
    if fragment:
        found["fragment"] = _unescaped(fragment)
    if not found.get("path"):
        found.pop("raw_path", None)
    return {name: value for name, value in found.items() if value}


def _parse(a: Value) -> Value:
    return _parsed(text(a, 1))


def _is_valid(a: Value) -> Value:
    if type(a) is not str or not a:
        return False
    try:
        _parsed(a)
    except BuiltinFailed:
        return False
    return True


URLS: Mapping[str, Callable[..., Value]] = {
    "urlquery.encode": _encode,
    "urlquery.decode": _decode,
    "urlquery.encode_object": _encode_object,
    "urlquery.decode_object": _decode_object,
    "uri.parse": _parse,
    "uri.is_valid": _is_valid,
}
