"""Sealed KEKs in the rows of their epochs, written once each."""

from sqlalchemy import Engine, select, update

from vault.custodians import SealedKek
from vault.tables import KEK


class KekRows:
    """The sealed KEKs of one tenant.

    Args:
        engine: the keys database.
        tenant: whose.

    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._engine = engine
        self._tenant = tenant

    def load(self, epoch: int) -> SealedKek | None:
        """Give an epoch's row, if it is there."""
        asked = select(KEK.c.key_id, KEK.c.blob).where(
            KEK.c.tenant == self._tenant, KEK.c.epoch == epoch
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            row = conn.execute(asked).first()
        return None if row is None else SealedKek(row.key_id, row.blob)

    def add(self, epoch: int, blob: bytes) -> None:
        """Write an epoch's sealed KEK, unless it has one."""
        with self._engine.begin() as conn:
            conn.execute(
                update(KEK)
                .where(
                    KEK.c.tenant == self._tenant,
                    KEK.c.epoch == epoch,
                    KEK.c.blob.is_(None),
                )
                .values(blob=blob)
            )
