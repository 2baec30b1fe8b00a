"""KEKs sealed in a hardware security module, through PKCS#11 (extra pkcs11).

One AES-256 key object an epoch, made in the module, marked sensitive and not
extractable, good for encryption and decryption alone. The KEK is sealed by
CKM_AES_GCM with the context as associated data (PKCS#11 3.0, 6.13).
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from vault import format as fmt
from vault.custodians import Kind, driver_missing
from vault.errors import KeyUnavailable

if TYPE_CHECKING:
    from types import ModuleType

_TAG_BITS = 128


class Pkcs11Custodian:
    """Key objects in one token.

    Args:
        module: the module's library, a shared object.
        token: the token's label.
        pin: of its user.
        random: as ``os.urandom``; nonces come from it.

    """

    def __init__(
        self,
        *,
        module: Path,
        token: str,
        pin: str,
        random: Callable[[int], bytes],
    ) -> None:
        self._module = module
        self._token = token
        self._pin = pin
        self._random = random
        self._session: Any = None
        # A session runs one operation at a time.
        self._lock = threading.RLock()

    @property
    def kind(self) -> Kind:
        """PKCS#11."""
        return Kind.PKCS11

    @property
    def grace(self) -> int:
        """A destroyed object is gone at once."""
        return 0

    def make(self, name: str, key_id: UUID) -> None:
        """Make a key object, unless the token has it."""
        with self._opened() as (driver, session):
            if self._find(driver, session, name) is None:
                session.generate_key(
                    driver.KeyType.AES,
                    fmt.KEY * 8,
                    id=key_id.bytes,
                    label=name,
                    store=True,
                    capabilities=driver.MechanismFlag.ENCRYPT
                    | driver.MechanismFlag.DECRYPT,
                    template={
                        driver.Attribute.PRIVATE: True,
                        driver.Attribute.SENSITIVE: True,
                        driver.Attribute.EXTRACTABLE: False,
                    },
                )

    def seal(self, name: str, context: bytes, secret: bytes) -> bytes:
        """Seal: nonce, ciphertext, tag."""
        nonce = self._random(fmt.NONCE)
        with self._opened() as (driver, session):
            sealed: bytes = self._key(driver, session, name).encrypt(
                secret,
                mechanism=driver.Mechanism.AES_GCM,
                mechanism_param=driver.GCMParams(nonce, context, _TAG_BITS),
            )
        return nonce + sealed

    def open(self, name: str, context: bytes, sealed: bytes) -> bytes:
        """Open what `seal` made."""
        nonce, box = sealed[: fmt.NONCE], sealed[fmt.NONCE :]
        with self._opened() as (driver, session):
            opened: bytes = self._key(driver, session, name).decrypt(
                box,
                mechanism=driver.Mechanism.AES_GCM,
                mechanism_param=driver.GCMParams(nonce, context, _TAG_BITS),
            )
        return opened

    def destroy(self, name: str) -> None:
        """Destroy a key object, if it is there."""
        with self._opened() as (driver, session):
            key = self._find(driver, session, name)
            if key is not None:
                key.destroy()

    def close(self) -> None:
        """Close the session."""
        with self._lock:
            session, self._session = self._session, None
            if session is not None:
                session.close()

    @contextmanager
    def _opened(self) -> Iterator[tuple[Any, Any]]:
        driver = _driver()
        with self._lock:
            try:
                if self._session is None:
                    self._session = self._open(driver)
                yield driver, self._session
            except driver.exceptions.PKCS11Error as error:
                # A token that was pulled out or restarted needs a new one.
                self._forget(driver)
                # Modules name the same fault differently, so the name is
                # shown and nothing is concluded from it.
                msg = (
                    f"the PKCS#11 token {self._token!r} refuses: "
                    f"{type(error).__name__}. Check CURTILAGE_PKCS11_MODULE, "
                    "_TOKEN and _PIN_FILE, and whether the key is there"
                )
                raise KeyUnavailable(msg) from None

    def _open(self, driver: Any) -> Any:  # noqa: ANN401 - the driver's own types
        try:
            library = driver.lib(str(self._module))
        except (OSError, RuntimeError) as error:
            msg = (
                f"{self._module}: the PKCS#11 module does not load "
                f"({type(error).__name__}); set CURTILAGE_PKCS11_MODULE"
            )
            raise KeyUnavailable(msg) from None
        token = library.get_token(token_label=self._token)
        try:
            return token.open(rw=True, user_pin=self._pin)
        except driver.exceptions.UserAlreadyLoggedIn:
            # The login is the process's, so another session shares it.
            return token.open(rw=True)

    def _forget(self, driver: Any) -> None:  # noqa: ANN401 - the driver's own type
        session, self._session = self._session, None
        if session is not None:
            try:
                session.close()
            except driver.exceptions.PKCS11Error:
                return

    def _find(self, driver: Any, session: Any, name: str) -> Any:  # noqa: ANN401 - the driver's own types
        try:
            return self._key(driver, session, name)
        except driver.exceptions.NoSuchKey:
            return None

    def _key(self, driver: Any, session: Any, name: str) -> Any:  # noqa: ANN401 - the driver's own types
        return session.get_key(
            label=name,
            object_class=driver.ObjectClass.SECRET_KEY,
            key_type=driver.KeyType.AES,
        )


def _driver() -> "ModuleType":
    try:
        import pkcs11  # noqa: PLC0415 - an extra, imported when used
        import pkcs11.exceptions  # noqa: PLC0415 - as above
    except ImportError:
        raise driver_missing(Kind.PKCS11) from None
    return pkcs11
