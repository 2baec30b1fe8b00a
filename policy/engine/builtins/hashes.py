"""Hashes of strings; MD5 and SHA-1 are here for what others computed."""

import hashlib
import hmac
from collections.abc import Callable, Mapping

from policy.engine.builtins.operands import text
from policy.engine.values import Value


def _plain(name: str) -> Callable[[Value], Value]:
    def digest(a: Value) -> Value:
        content = text(a, 1).encode()
        return hashlib.new(name, content, usedforsecurity=False).hexdigest()

    return digest


def _keyed(name: str) -> Callable[[Value, Value], Value]:
    def digest(a: Value, b: Value) -> Value:
        message, secret = text(a, 1).encode(), text(b, 2).encode()
        return hmac.new(secret, message, name).hexdigest()

    return digest


def _equal(a: Value, b: Value) -> Value:
    return hmac.compare_digest(text(a, 1).encode(), text(b, 2).encode())


HASHES: Mapping[str, Callable[..., Value]] = {
    **{f"crypto.{n}": _plain(n) for n in ("md5", "sha1", "sha256")},
    **{
        f"crypto.hmac.{n}": _keyed(n)
        for n in ("md5", "sha1", "sha256", "sha512")
    },
    "crypto.hmac.equal": _equal,
}
