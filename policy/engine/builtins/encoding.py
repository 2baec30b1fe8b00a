"""JSON, base64 and hexadecimal."""

import binascii
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping

from policy.engine.builtins.operands import (
    glanced,
    mapping,
    sized_text,
    text,
)
from policy.engine.builtins.texts import decoded
from policy.engine.errors import BuiltinFailed
from policy.engine.metering import MADE, READ, at_once, spend
from policy.engine.numbers import Number, number
from policy.engine.spelling import indented, json_text
from policy.engine.values import Value

_LONE = re.compile("[\ud800-\udfff]")
_HEX = re.compile(r"[0-9a-fA-F]*\Z")
_FROM_URL = bytes.maketrans(b"-_", b"+/")
_ALPHABET = re.compile(rb"[A-Za-z0-9+/]*={0,2}\Z")


def _constant(name: str) -> Value:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _well_formed(value: Value) -> Value:
    """Replace lone surrogates as Go's reader does."""
    if type(value) is str:
        return value if value.isascii() else _LONE.sub("\ufffd", value)
    if type(value) is list:
        return [_well_formed(v) for v in value]
    if type(value) is dict:
        return {_well_formed(k): _well_formed(v) for k, v in value.items()}
    return value


def _number(source: str) -> Number:
    spend(1)
    return number(source)


def read_json(source: str) -> Value:
    """Read JSON; each value that there may be in it is charged.

    Raises:
        BuiltinFailed: it is none.
        BudgetExceeded: it may hold too many values.
    """
    if len(source) > MADE:
        at_once(sum(map(source.count, "[{,")) + len(source) // MADE)
    try:
        return _well_formed(
            json.loads(
                source,
                parse_int=_number,
                parse_float=_number,
                parse_constant=_constant,
            )
        )
    except ValueError as error:
        msg = "json.unmarshal: malformed JSON"
        raise BuiltinFailed(msg) from error


def _marshal(a: Value) -> Value:
    return sized_text(json_text(a))


def _unmarshal(a: Value) -> Value:
    return read_json(glanced(a, 1))


def _json_is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    try:
        read_json(a)
    except BuiltinFailed:
        return False
    return True


def _bytes(a: Value) -> bytes:
    return text(a, 1).encode()


def _decoded(source: bytes) -> bytes:
    source = source.translate(None, b"\r\n")
    if len(source) % 4 or not _ALPHABET.match(source):
        msg = "illegal base64 data"
        raise BuiltinFailed(msg)
    try:
        return b64decode(source, validate=True)
    except binascii.Error as error:
        msg = "illegal base64 data"
        raise BuiltinFailed(msg) from error


def _b64_encode(a: Value) -> Value:
    return sized_text(b64encode(_bytes(a)).decode())


def _b64_is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    at_once(len(a) // READ)
    try:
        _decoded(a.encode())
    except BuiltinFailed:
        return False
    return True


def _url_encode(a: Value) -> Value:
    return sized_text(urlsafe_b64encode(_bytes(a)).decode())


def _url_encode_bare(a: Value) -> Value:
    return sized_text(urlsafe_b64encode(_bytes(a)).rstrip(b"=").decode())


def _b64_decode(a: Value) -> Value:
    return decoded(_decoded(text(a, 1).encode()))


def _url_decode(a: Value) -> Value:
    source = text(a, 1).encode()
    if not source.endswith(b"="):
        if len(source) % 4 == 1:
            msg = "illegal base64url string"
            raise BuiltinFailed(msg)
        source += b"=" * (-len(source) % 4)
    if b"+" in source or b"/" in source:
        msg = "illegal base64 data"
        raise BuiltinFailed(msg)
    return decoded(_decoded(source.translate(_FROM_URL)))


def _hex_decode(a: Value) -> Value:
    source = text(a, 1)
    if len(source) % 2 or not _HEX.match(source):
        msg = "illegal hexadecimal"
        raise BuiltinFailed(msg)
    return decoded(bytes.fromhex(source))


def _marshal_with_options(a: Value, b: Value) -> Value:
    options = mapping(b, 2)
    for name, value in options.items():
        kind = {"prefix": str, "indent": str, "pretty": bool}.get(name)
        if kind is None or type(value) is not kind:
            msg = "json.marshal_with_options: an option is not one"
            raise BuiltinFailed(msg)
    pretty = options.get("pretty", bool(options.keys() - {"pretty"}))
    if not pretty:
        return sized_text(json_text(a))
    return indented(a, options.get("prefix", ""), options.get("indent", "\t"))


def _hex_encode(a: Value) -> Value:
    return sized_text(_bytes(a).hex())


ENCODING: Mapping[str, Callable[..., Value]] = {
    "json.marshal": _marshal,
    "json.marshal_with_options": _marshal_with_options,
    "json.unmarshal": _unmarshal,
    "json.is_valid": _json_is_valid,
    "base64.encode": _b64_encode,
    "base64.decode": _b64_decode,
    "base64url.decode": _url_decode,
    "hex.decode": _hex_decode,
    "base64.is_valid": _b64_is_valid,
    "base64url.encode": _url_encode,
    "base64url.encode_no_pad": _url_encode_bare,
    "hex.encode": _hex_encode,
}
