"""Canonical JSON (RFC 8785), for texts whose hash is evidence.

Stricter than the RFC: there are no floating-point numbers. Ratios travel as
decimal text, because number formatting is where implementations differ.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from anonymize.errors import InvalidSpec

_EXACT = 2**53

_REFUSED = "canonical JSON holds text, whole numbers, true, false and null"


def _ordered(value: object) -> object:
    """Order the members of every object by the UTF-16 units of their name."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int) and abs(value) < _EXACT:
        return value
    if isinstance(value, Mapping):
        names = sorted(value, key=lambda name: name.encode("utf-16-be"))
        return {name: _ordered(value[name]) for name in names}
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return [_ordered(each) for each in value]
    raise InvalidSpec(_REFUSED)


def canonical_json(value: object) -> bytes:
    """Serialize a value so that equal values give equal bytes.

    Args:
        value: mappings with text names, sequences, text, whole numbers
            below 2^53, booleans and None.

    Returns:
        UTF-8 without a final line end.

    Raises:
        InvalidSpec: the value holds anything else.
    """
    text = json.dumps(
        _ordered(value), ensure_ascii=False, separators=(",", ":")
    )
    return text.encode("utf-8")


def digest(data: bytes) -> str:
    """Return the SHA-256 of bytes as hexadecimal text."""
    return hashlib.sha256(data).hexdigest()
