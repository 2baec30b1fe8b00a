"""Re-wrapping every live key in the active epoch, while people read.

Unwraps and wraps outside the write transaction, page by page; each update
names the epoch that it replaces, so a race or a restart is harmless. Once
nothing is wrapped by a past epoch, its KEK can be destroyed, and with it
every backup of the keys database made under it.
"""

from uuid import UUID

from sqlalchemy import Engine, bindparam, update

from vault import format as fmt
from vault.bulk import Bulk
from vault.deks import StoredDek, TenantSecrets, joined, stored_dek
from vault.envelope import zero
from vault.epochs import UNWRAPS, KekEpochs
from vault.errors import CryptoFailure, KeyUnavailable
from vault.providers import KeyProvider
from vault.reading import Reader
from vault.tables import DEK, TENANT, DekState

PAGE = 1000


class Rewrapping:
    """One run over one tenant's keys."""

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        epochs: KekEpochs,
    ) -> None:
        """Take the collaborators."""
        self._engine = engine
        self._reader = Reader(engine)
        self._provider = provider
        self._tenant = tenant
        self._epochs = epochs

    def run(self, secrets: TenantSecrets) -> int:
        """Re-wrap everything, and say how much that was."""
        with self._engine.connect() as conn:
            epoch = self._epochs.active(conn)
        done = self._tenant_row(secrets, epoch)
        after: UUID | None = None
        while page := self._stale(after, epoch):
            done += self._page(page, epoch)
            after = page[-1].wrapped.subject
        return done

    def _stale(self, after: UUID | None, epoch: int) -> list[StoredDek]:
        asked = (
            joined()
            .where(
                DEK.c.tenant == self._tenant,
                DEK.c.kek_epoch < epoch,
                DEK.c.state == DekState.LIVE,
            )
            .order_by(DEK.c.subject)
            .limit(PAGE)
        )
        if after is not None:
            asked = asked.where(DEK.c.subject > after)
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = conn.execute(asked).all()
        return [stored_dek(self._tenant, row[0], row) for row in rows]

    def _page(self, page: list[StoredDek], epoch: int) -> int:
        rows = [self._rewrapped(stored, epoch) for stored in page]
        statement = Bulk(
            self._engine,
            update(DEK)
            .where(
                DEK.c.tenant == bindparam("tenant"),
                DEK.c.subject == bindparam("who"),
                DEK.c.gen == bindparam("which"),
                DEK.c.kek_epoch == bindparam("old"),
                DEK.c.state == bindparam("live"),
            )
            .values(kek_epoch=bindparam("epoch"), blob=bindparam("new")),
        )
        with self._engine.begin() as conn:
            return statement.run(conn, rows)

    def _rewrapped(self, stored: StoredDek, epoch: int) -> dict[str, object]:
        wrapped = stored.wrapped
        if stored.kek_state is None:
            raise CryptoFailure(wrapped.subject)
        if stored.kek_state not in UNWRAPS:
            msg = f"the key of epoch {wrapped.kek_epoch} may not open"
            raise KeyUnavailable(msg)
        dek = bytearray(fmt.KEY)
        try:
            self._provider.unwrap_into(
                wrapped.kek_epoch, wrapped.context(), wrapped.blob, dek
            )
            context = wrapped._replace(kek_epoch=epoch).context()
            blob = self._provider.wrap(epoch, context, dek)
        finally:
            zero(dek)
        return {
            "tenant": self._tenant,
            "who": self._reader.subject(wrapped.subject),
            "which": wrapped.gen,
            "old": wrapped.kek_epoch,
            "live": DekState.LIVE.value,
            "epoch": epoch,
            "new": blob,
        }

    def _tenant_row(self, secrets: TenantSecrets, epoch: int) -> int:
        context = fmt.tenant_context(
            self._tenant, secrets.decoy, epoch, secrets.created_at
        )
        blob = self._provider.wrap(epoch, context, secrets.index_root)
        with self._engine.begin() as conn:
            return conn.execute(
                update(TENANT)
                .where(
                    TENANT.c.tenant == self._tenant,
                    TENANT.c.kek_epoch < epoch,
                )
                .values(kek_epoch=epoch, blob=blob)
            ).rowcount
