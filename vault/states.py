"""The states of KEKs, authenticated: no row says what nobody set.

One MAC in the tenant's row covers state, dates and id of every KEK, and a
count of their changes. Its key hangs on the tenant's index root, so whoever
has the keys database alone cannot make a retired key active again, or date a
destruction back. It is verified at the start, before every change, and in
use: a state that differs from the one last verified, or is older than a few
seconds, is read and verified anew. The format is in ``FORMAT.md``, section 9.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from hmac import compare_digest
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, select, update

from vault import format as fmt
from vault.deks import TenantSecrets
from vault.envelope import expand, mac
from vault.errors import (
    AdoptionRefused,
    NotInitialised,
    StatesAltered,
    StatesUnsealed,
)
from vault.providers import KeyProvider
from vault.tables import KEK, TENANT, KekState

DATES = (
    "created_at",
    "activated_at",
    "deactivated_at",
    "suspended_at",
    "compromised_at",
    "destroyed_at",
    "gone_at",
    "exposed_until",
)
_FRESH_SECONDS = 5
_ATTEMPTS = 3


class _Seen(NamedTuple):
    """What was verified last, and until when it is taken for true."""

    states: Mapping[int, KekState]
    revision: int
    until: int


def open_secrets(
    row: Row[Any] | None, provider: KeyProvider, tenant: str
) -> TenantSecrets:
    """Unwrap the index root of a tenant's row.

    Raises:
        NotInitialised: there is no row.
        CryptoFailure: the row is not the one that was written.
        KeyUnavailable: its KEK is not there.

    """
    if row is None:
        msg = f"tenant {tenant} is not initialised"
        raise NotInitialised(msg)
    context = fmt.tenant_context(
        tenant, row.decoy, row.kek_epoch, row.created_at
    )
    root = bytearray(fmt.KEY)
    provider.unwrap_into(row.kek_epoch, context, row.blob, root)
    return TenantSecrets(
        decoy=row.decoy, created_at=row.created_at, index_root=bytes(root)
    )


class KekStates:
    """The KEK rows of one tenant, under their seal.

    Args:
        engine: the keys database.
        provider: opens the root that the seal hangs on.
        tenant: whose.
        clock: gives POSIX seconds.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        clock: Callable[[], int],
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._tenant = tenant
        self._clock = clock
        self._key: bytes | None = None
        self._seen: _Seen | None = None

    def of(self, epoch: int, shown: str | None) -> KekState | None:
        """Give the verified state of an epoch; the path of every read.

        Args:
            epoch: which.
            shown: the state that a row just read shows.

        Raises:
            StatesAltered: the rows are not those that were written.

        """
        seen = self._seen
        if (
            seen is None
            or seen.states.get(epoch) != shown
            or self._clock() > seen.until
        ):
            seen = self.verify()
        return seen.states.get(epoch)

    def verify(self) -> _Seen:
        """Hold all rows against their seal.

        Raises:
            StatesAltered: they are not those that were written.

        """
        for _ in range(_ATTEMPTS):
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                tenant, rows = self._rows(conn, lock=False)
            # A change that came between two reads, or two threads, looks
            # like an altered row until it is read again.
            with contextlib.suppress(StatesAltered):
                return self._verified(tenant, rows)
        return self._verified(tenant, rows)

    @contextmanager
    def changing(self) -> Iterator[Connection]:
        """Change KEK rows in one transaction, and seal them anew.

        Raises:
            StatesAltered: the rows are not those that were written; nothing
                is changed, so that no change makes them look sound.

        """
        with self._engine.begin() as conn:
            tenant, rows = self._rows(conn, lock=True)
            self._verified(tenant, rows)
            yield conn
            if tenant is not None:
                self.seal(conn)
        self._seen = None

    def seal(self, conn: Connection) -> None:
        """Seal the rows as they stand; the caller has verified them."""
        tenant, rows = self._rows(conn, lock=False)
        if tenant is None:
            return
        revision = tenant.revision + 1
        conn.execute(
            update(TENANT)
            .where(TENANT.c.tenant == self._tenant)
            .values(revision=revision, seal=self._mac(tenant, rows, revision))
        )
        self._seen = None

    def demand_unsealed(self) -> None:
        """Refuse states that have, or ever had, a seal.

        Raises:
            AdoptionRefused: they have.

        """
        with self._engine.connect().execution_options(read_only=True) as conn:
            self._demand_unsealed(self._rows(conn, lock=False)[0])

    def adopt(self, shown: Mapping[int, Mapping[str, object]]) -> None:
        """Seal the rows for the first time, as somebody was shown them.

        Args:
            shown: by epoch the state, key id and dates that were shown.

        Raises:
            AdoptionRefused: there is a seal, or the rows are others.

        """
        with self._engine.begin() as conn:
            tenant, rows = self._rows(conn, lock=True)
            self._demand_unsealed(tenant)
            names = ("state", "key_id", *DATES)
            found = {
                row.epoch: {name: getattr(row, name) for name in names}
                for row in rows
            }
            if found != shown:
                reason = "they changed since they were shown"
                raise AdoptionRefused(self._tenant, reason)
            self.seal(conn)

    def _demand_unsealed(self, tenant: Row[Any] | None) -> None:
        if tenant is None or tenant.seal is not None or tenant.revision:
            reason = "the states of its keys have, or had, a seal"
            raise AdoptionRefused(self._tenant, reason)

    def revision(self) -> int:
        """Say how often the states were changed, for evidence elsewhere."""
        return self.verify().revision

    def _verified(
        self, tenant: Row[Any] | None, rows: list[Row[Any]]
    ) -> _Seen:
        now, revision = self._clock(), 0
        if tenant is not None:
            # Without a tenant there is nothing yet that a state decides on.
            revision = tenant.revision
            if tenant.seal is None and revision == 0 and not self._seen:
                raise StatesUnsealed(self._tenant)
            try:
                right = compare_digest(
                    self._mac(tenant, rows, revision), tenant.seal or b""
                )
            except (TypeError, ValueError, AttributeError, OverflowError):
                right = False  # a column of another type
            old = self._seen
            if not right or (old and revision < old.revision):
                raise StatesAltered(self._tenant)
        try:
            states = {row.epoch: KekState(row.state) for row in rows}
        except ValueError:
            raise StatesAltered(self._tenant) from None
        self._seen = _Seen(states, revision, now + _FRESH_SECONDS)
        return self._seen

    def _rows(
        self, conn: Connection, *, lock: bool
    ) -> tuple[Row[Any] | None, list[Row[Any]]]:
        asked = select(TENANT).where(TENANT.c.tenant == self._tenant)
        rows = select(KEK).where(KEK.c.tenant == self._tenant)
        if lock:
            asked = asked.with_for_update()
        tenant = conn.execute(asked).first()
        return tenant, list(conn.execute(rows.order_by(KEK.c.epoch)))

    def _mac(
        self, tenant: Row[Any], rows: list[Row[Any]], revision: int
    ) -> bytes:
        if self._key is None:
            secrets = open_secrets(tenant, self._provider, self._tenant)
            self._key = bytes(
                expand(
                    secrets.index_root,
                    fmt.lp(fmt.LABEL_STATES_KEY, self._tenant.encode()),
                    32,
                )
            )
        listed = [
            fmt.kek_state(
                row.epoch,
                row.key_id,
                row.state,
                [getattr(row, name) for name in DATES],
            )
            for row in rows
        ]
        return mac(self._key, fmt.states_message(revision, listed))
