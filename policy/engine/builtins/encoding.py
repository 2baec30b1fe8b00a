"""JSON, base64 and hexadecimal.

Nothing here makes text of bytes: strings of the engine are Unicode, while
OPA's may hold any bytes, so the decoders are outside the profile.
"""

import binascii
import json
import re
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping

from policy.engine.builtins.operands import sized_text, text
from policy.engine.errors import BuiltinFailed
from policy.engine.numbers import number
from policy.engine.spelling import json_text
from policy.engine.values import Value

_LONE = re.compile("[\ud800-\udfff]")
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


def _read(source: str) -> Value:
    try:
        return _well_formed(
            json.loads(
                source,
                parse_int=number,
                parse_float=number,
                parse_constant=_constant,
            )
        )
    except ValueError as error:
        msg = "json.unmarshal: malformed JSON"
        raise BuiltinFailed(msg) from error


def _marshal(a: Value) -> Value:
    return sized_text(json_text(a))


def _unmarshal(a: Value) -> Value:
    return _read(text(a, 1))


def _json_is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    try:
        _read(a)
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
    try:
        _decoded(a.encode())
    except BuiltinFailed:
        return False
    return True


def _url_encode(a: Value) -> Value:
    return sized_text(urlsafe_b64encode(_bytes(a)).decode())


def _url_encode_bare(a: Value) -> Value:
    return sized_text(urlsafe_b64encode(_bytes(a)).rstrip(b"=").decode())


def _hex_encode(a: Value) -> Value:
    return sized_text(_bytes(a).hex())


ENCODING: Mapping[str, Callable[..., Value]] = {
    "json.marshal": _marshal,
    "json.unmarshal": _unmarshal,
    "json.is_valid": _json_is_valid,
    "base64.encode": _b64_encode,
    "base64.is_valid": _b64_is_valid,
    "base64url.encode": _url_encode,
    "base64url.encode_no_pad": _url_encode_bare,
    "hex.encode": _hex_encode,
}
