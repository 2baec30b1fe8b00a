"""KEKs sealed by a transit engine: HashiCorp Vault or OpenBao (extra transit).

One key of the type ``aes256-gcm96`` an epoch. The KEK is sealed with the
context as ``associated_data``, so a server that lacks it (older than 1.13)
refuses or ignores it; the binding inside tells. Nothing but the address that
the settings name is asked: no redirect is followed and no proxy taken from
the environment.
"""

import base64
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

from vault.custodians import Kind, driver_missing
from vault.errors import KeyUnavailable

_SECONDS = 10


class TransitCustodian:
    """Keys in one mount of a transit engine.

    Args:
        url: the server's address.
        mount: path of the engine.
        token: what the server knows us by. It needs ``create``, ``read``
            and ``update`` on ``keys/curtilage-*`` and their ``config``,
            ``update`` on ``encrypt/`` and ``decrypt/curtilage-*``, and
            ``delete`` on the keys.
        authority: file of the authority that signed the server's
            certificate; none for the usual ones.
        namespace: of the server, where it has several.

    """

    def __init__(
        self,
        *,
        url: str,
        mount: str,
        token: str,
        authority: Path | None = None,
        namespace: str = "",
    ) -> None:
        self._url = url
        self._mount = mount
        self._token = token
        self._authority = authority
        self._namespace = namespace
        self._client: Any = None
        self._lock = threading.RLock()

    @property
    def kind(self) -> Kind:
        """Transit."""
        return Kind.TRANSIT

    @property
    def grace(self) -> int:
        """A deleted key is gone at once."""
        return 0

    def make(self, name: str, key_id: UUID) -> None:
        """Make a key; the server takes no notice of one that is there."""
        del key_id
        with self._transit() as transit:
            transit.create_key(
                name,
                key_type="aes256-gcm96",
                exportable=False,
                allow_plaintext_backup=False,
                mount_point=self._mount,
            )

    def seal(self, name: str, context: bytes, secret: bytes) -> bytes:
        """Seal: the server's own text."""
        with self._transit() as transit:
            answer = transit.encrypt_data(
                name,
                plaintext=_text(secret),
                associated_data=_text(context),
                mount_point=self._mount,
            )
            sealed: str = answer["data"]["ciphertext"]
            return sealed.encode("ascii")

    def open(self, name: str, context: bytes, sealed: bytes) -> bytes:
        """Open what `seal` made."""
        with self._transit() as transit:
            answer = transit.decrypt_data(
                name,
                ciphertext=sealed.decode("ascii"),
                associated_data=_text(context),
                mount_point=self._mount,
            )
            return base64.b64decode(answer["data"]["plaintext"], validate=True)

    def destroy(self, name: str) -> None:
        """Allow a key's deletion, and delete it."""
        hvac = _driver()
        with self._transit() as transit:
            try:
                transit.read_key(name, mount_point=self._mount)
            except hvac.exceptions.InvalidPath:
                return
            transit.update_key_configuration(
                name, deletion_allowed=True, mount_point=self._mount
            )
            transit.delete_key(name, mount_point=self._mount)

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            client, self._client = self._client, None
            if client is not None:
                client.adapter.close()

    @contextmanager
    def _transit(self) -> Iterator[Any]:
        hvac = _driver()
        with self._lock:
            if self._client is None:
                self._client = self._connected(hvac)
            try:
                yield self._client.secrets.transit
            except hvac.exceptions.VaultError as error:
                # Its message quotes the server, which quotes the request.
                what = type(error).__name__
            except (KeyError, TypeError, ValueError):
                what = "an answer that is none of a transit engine"
            except OSError as error:  # requests' errors are such
                what = type(error).__name__
            else:
                return
        msg = (
            f"the transit engine at {self._url} ({self._mount}) refuses: "
            f"{what}. Check CURTILAGE_TRANSIT_URL, _MOUNT and _TOKEN_FILE, "
            "and whether the key is there"
        )
        raise KeyUnavailable(msg)

    def _connected(self, hvac: Any) -> Any:  # noqa: ANN401 - the driver's own types
        client = hvac.Client(
            url=self._url,
            token=self._token,
            verify=str(self._authority) if self._authority else True,
            timeout=_SECONDS,
            allow_redirects=False,
            namespace=self._namespace or None,
        )
        # No proxy, and no password file, of the environment.
        client.adapter.session.trust_env = False
        return client


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _driver() -> Any:  # noqa: ANN401 - an untyped module
    try:
        import hvac  # noqa: PLC0415 - an extra, imported when used
        import hvac.exceptions  # noqa: PLC0415 - as above
    except ImportError:
        raise driver_missing(Kind.TRANSIT) from None
    return hvac
