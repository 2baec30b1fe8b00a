"""Notes about a person that others keep: sealed under the person's log key.

The gate keeps stored decisions, and later guard state, in tables of its
own. They are about a person, so erasure must reach them without looking for
them: they are sealed here under keys that hang on the log key, which goes
with the DEK. The format is in ``FORMAT.md``, section Notes.
"""

import hmac
from collections.abc import Callable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from vault import format as fmt
from vault.errors import CryptoFailure

_LABEL_KEY = b"pv1/note-key"
_LABEL_TAG = b"pv1/note-tag"
_LABEL_NOTE = b"pv1/note"
_VERSION = b"\x01"
_SHORTEST = 1 + fmt.NONCE + fmt.TAG


class NoteBox:
    """Seals and opens the notes about one person.

    Args:
        log_key: what `Vault.log_key` gave.
        random: as ``os.urandom``; nonces come from it.

    """

    def __init__(
        self, log_key: bytes, *, random: Callable[[int], bytes]
    ) -> None:
        self._log_key = log_key
        self._random = random
        self._made: AESGCM | None = None

    def tag(self, label: str) -> bytes:
        """Give the 16 bytes under which notes of a kind are found.

        Without the log key nobody can tell whose tag it is.
        """
        message = fmt.lp(_LABEL_TAG, label.encode())
        return hmac.digest(self._log_key, message, "sha256")[: fmt.DIGEST]

    def seal(self, label: str, body: bytes) -> bytes:
        """Seal a note; it opens under the same label only."""
        nonce = self._random(fmt.NONCE)
        sealed = self._cipher().encrypt(nonce, body, _aad(label))
        return _VERSION + nonce + sealed

    def unseal(self, label: str, sealed: bytes) -> bytes:
        """Open a note.

        Raises:
            CryptoFailure: it was altered, moved, or is somebody else's.

        """
        if len(sealed) < _SHORTEST or sealed[:1] != _VERSION:
            raise CryptoFailure
        nonce, box = sealed[1 : 1 + fmt.NONCE], sealed[1 + fmt.NONCE :]
        try:
            return self._cipher().decrypt(nonce, box, _aad(label))
        except InvalidTag:
            raise CryptoFailure from None

    def _cipher(self) -> AESGCM:
        if self._made is None:
            message = fmt.lp(_LABEL_KEY)
            key = hmac.digest(self._log_key, message, "sha256")
            self._made = AESGCM(key)
        return self._made


def _aad(label: str) -> bytes:
    return fmt.lp(_LABEL_NOTE, label.encode())
