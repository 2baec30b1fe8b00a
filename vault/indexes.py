"""Exact look-up of identifiers without storing them.

Follows ``vault/FORMAT.md``, section 7. A digest is HMAC-SHA256 under a key
of its own per (tenant, attribute, key version), cut to 128 bits; equal values
under two attributes or two tenants have unrelated digests. A binding tag ties
the digest to the person and to the version of the value it was made from, so
that a row moved to somebody else, or restored from earlier, is noticed at the
look-up.

The defence against a dictionary is custody of the key, not slowness: whoever
holds the index root can try every identity number in minutes.
"""

from typing import NoReturn
from uuid import UUID

from vault import format as fmt
from vault.catalogue import Attribute
from vault.envelope import expand, mac
from vault.values import index_form

KEY_VERSION = 1


class BlindIndex:
    """The index keys of one tenant."""

    __slots__ = ("_keys", "_root", "_tenant")

    def __init__(self, tenant: str, root: bytes) -> None:
        """Take the root; keys are derived when first used."""
        self._tenant = tenant
        self._root = root
        self._keys: dict[int, bytes] = {}

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    def digest(self, attribute: Attribute, text: str) -> bytes:
        """Give the digest of a canonical value, 16 bytes."""
        key = self._key(attribute.number)[:32]
        form = index_form(attribute.kind, text)
        return mac(key, form.encode())[: fmt.DIGEST]

    def binding(
        self, attribute: int, subject: UUID, digest: bytes, version: int
    ) -> bytes:
        """Give the tag that ties a digest to a person and a version."""
        key = self._key(attribute)[32:]
        message = fmt.binding_message(subject, digest, version)
        return mac(key, message)[: fmt.DIGEST]

    def _key(self, attribute: int) -> bytes:
        # Two threads may derive the same key twice; both get the same.
        key = self._keys.get(attribute)
        if key is None:
            context = fmt.index_context(self._tenant, attribute, KEY_VERSION)
            key = self._keys[attribute] = bytes(
                expand(self._root, context, 64)
            )
        return key
