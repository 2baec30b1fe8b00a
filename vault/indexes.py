"""Exact look-up of identifiers without storing them.

Follows ``vault/FORMAT.md``, section 7. A digest is HMAC-SHA256 under a key
of its own per (tenant, index, key version), cut to 128 bits for a unique
identifier and to the planned width for what many people may share; equal
values under two indexes or two tenants have unrelated digests. A binding tag
ties the digest of an identifier to the person and to the version of the value
it was made from, so that a row moved to somebody else, or restored from
earlier, is noticed at the look-up. An entry that many share needs none: what
it leads to is a candidate, and the value itself is opened to see.

The defence against a dictionary is custody of the key, not slowness: whoever
holds the index root can try every identity number in minutes.
"""

from typing import NoReturn
from uuid import UUID

from vault import format as fmt
from vault.catalogue import Attribute
from vault.envelope import expand, mac
from vault.places import attribute_of
from vault.values import index_form, prefix_form

KEY_VERSION = 1


class BlindIndex:
    """The index keys of one tenant."""

    __slots__ = ("_keys", "_root", "_tenant")

    def __init__(self, tenant: str, root: bytes) -> None:
        """Take the root; keys are derived when first used."""
        self._tenant = tenant
        self._root = root
        self._keys: dict[bytes, bytes] = {}

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)

    def digest(
        self, attribute: Attribute, text: str, key_version: int = KEY_VERSION
    ) -> bytes:
        """Give the digest of a canonical identifier, 16 bytes."""
        key = self._key(attribute.number, key_version)[:32]
        form = index_form(attribute.kind, text)
        return mac(key, form.encode())[: fmt.DIGEST]

    def binding(
        self,
        place: int,
        subject: UUID,
        digest: bytes,
        version: int,
        key_version: int = KEY_VERSION,
    ) -> bytes:
        """Give the tag that ties a digest to a person, a place, a version."""
        key = self._key(attribute_of(place), key_version)[32:]
        message = fmt.binding_message(subject, digest, version, place)
        return mac(key, message)[: fmt.DIGEST]

    def candidate(
        self,
        attribute: Attribute,
        prefix: int,
        bits: int,
        text: str,
        key_version: int = KEY_VERSION,
    ) -> bytes | None:
        """Give the digest of a value, or of its beginning, cut to a width.

        Args:
            attribute: whose value it is.
            prefix: how many characters of the form count; 0 for all.
            bits: width, 1 to 128.
            text: the canonical value.
            key_version: of the index.

        Returns:
            The digest; none where the value is shorter than the prefix.

        """
        form = prefix_form(text, prefix)
        if form is None:
            return None
        context = fmt.candidate_context(
            self._tenant, attribute.number, prefix, bits, key_version
        )
        return fmt.cut(mac(self._derived(context, 32), form.encode()), bits)

    def _key(self, attribute: int, key_version: int) -> bytes:
        context = fmt.index_context(self._tenant, attribute, key_version)
        return self._derived(context, 64)

    def _derived(self, context: bytes, length: int) -> bytes:
        # Two threads may derive the same key twice; both get the same.
        key = self._keys.get(context)
        if key is None:
            key = self._keys[context] = bytes(
                expand(self._root, context, length)
            )
        return key
