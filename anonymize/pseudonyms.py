"""Pseudonyms: a keyed name for a person inside one release.

HMAC-SHA-256 (RFC 2104) over a domain and the opaque person key, cut to 128
bits, in hexadecimal. The key is derived by the caller for one recipient,
data set and release, and lies where keys lie; this module neither derives
nor keeps it. Without the key nobody can try identifiers until one fits,
which an unkeyed hash would allow; with another key the same person has an
unrelated pseudonym, so two recipients cannot join their extracts.

A table with pseudonyms is pseudonymous, not anonymous.
"""

import hashlib
import hmac
from typing import NoReturn

from anonymize.errors import InvalidSpec

PSEUDONYM_BYTES = 16
"""Length of a pseudonym: 128 bits."""
KEY_BYTES = 32
"""Shortest key that is taken."""
_DOMAIN = b"curtilage/pseudonym/1\x00"


class Pseudonyms:
    """Names people under one key. Neither printable nor picklable."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        """Take a derived key.

        Args:
            key: 32 bytes or more, derived per recipient, data set, release.

        Raises:
            InvalidSpec: the key is too short.
        """
        if len(key) < KEY_BYTES:
            msg = f"a pseudonym key has {KEY_BYTES} bytes or more"
            raise InvalidSpec(msg)
        self._keyed = hmac.new(key, _DOMAIN, hashlib.sha256)

    def name(self, person: str) -> str:
        """Return the pseudonym of a person: 32 hexadecimal digits.

        Args:
            person: the opaque key of the person, for instance a UUID.
        """
        keyed = self._keyed.copy()
        keyed.update(person.encode("utf-8"))
        return keyed.digest()[:PSEUDONYM_BYTES].hex()

    def __reduce__(self) -> NoReturn:
        msg = "pseudonym keys are not pickled"
        raise TypeError(msg)
