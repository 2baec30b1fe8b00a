"""The life of key-encryption keys: one active epoch, and how it ends.

States follow SP 800-57 part 1 revision 5, section 7. Exactly one epoch of a
tenant is active; a partial unique index in the database holds that even
against two processes. A new epoch is written down as *pre-active* before its
key is made, so that a crash between the two is finished at the next call.
"""

from collections.abc import Callable
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, update

from vault.errors import KeyUnavailable
from vault.providers import KeyProvider
from vault.tables import DEK, KEK, TENANT, DekState, KekState

UNWRAPS = frozenset({KekState.ACTIVE, KekState.DEACTIVATED})
"""States in which a KEK may open what it once wrapped."""


class KekEpochs:
    """The KEK epochs of one tenant.

    Args:
        engine: the keys database.
        provider: custody of the KEKs.
        tenant: whose.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._provider = provider
        self._tenant = tenant
        self._clock = clock
        self._random = random

    def initialise(self) -> int:
        """See to it that there is an active epoch, and give its number."""
        with self._engine.connect() as conn:
            found = self._find_active(conn)
        return self.rotate() if found is None else found

    def active(self, conn: Connection) -> int:
        """Give the epoch that wraps.

        Raises:
            KeyUnavailable: there is none.

        """
        found = self._find_active(conn)
        if found is None:
            msg = f"tenant {self._tenant} has no active key-encryption key"
            raise KeyUnavailable(msg)
        return found

    def states(self) -> dict[int, KekState]:
        """Give the state of every epoch, by number."""
        asked = select(KEK.c.epoch, KEK.c.state).where(
            KEK.c.tenant == self._tenant
        )
        with self._engine.connect() as conn:
            return {
                row.epoch: KekState(row.state) for row in conn.execute(asked)
            }

    def check(self) -> None:
        """Compare the epochs with the keys that the provider really has.

        Raises:
            KeyUnavailable: a usable epoch has no key, or a stranger's.

        """
        asked = select(KEK.c.epoch, KEK.c.key_id).where(
            KEK.c.tenant == self._tenant, KEK.c.state.in_(sorted(UNWRAPS))
        )
        with self._engine.connect() as conn:
            rows = conn.execute(asked).all()
        for row in rows:
            if self._provider.key_id(row.epoch) != row.key_id:
                msg = f"the provider's key of epoch {row.epoch} is another"
                raise KeyUnavailable(msg)

    def rotate(self) -> int:
        """Begin a new epoch; the active one before it only unwraps from now.

        Returns:
            The new epoch's number.

        """
        epoch, key_id = self._planned()
        self._provider.create(epoch, key_id)
        now = self._clock()
        mine = KEK.c.tenant == self._tenant
        with self._engine.begin() as conn:
            conn.execute(
                update(KEK)
                .where(mine, KEK.c.state == KekState.ACTIVE)
                .values(state=KekState.DEACTIVATED, deactivated_at=now)
            )
            conn.execute(
                update(KEK)
                .where(mine, KEK.c.epoch == epoch)
                .values(state=KekState.ACTIVE, activated_at=now)
            )
        return epoch

    def mark(self, epoch: int, state: KekState) -> None:
        """Suspend an epoch, declare it compromised, or reinstate it.

        Args:
            epoch: not the active one; rotate first.
            state: ``SUSPENDED``, ``COMPROMISED`` or ``DEACTIVATED``. What is
                compromised stays so.

        Raises:
            KeyUnavailable: the epoch is not in a state that allows it.

        """
        before = {
            KekState.SUSPENDED: [KekState.DEACTIVATED],
            KekState.DEACTIVATED: [KekState.SUSPENDED],
            KekState.COMPROMISED: [KekState.DEACTIVATED, KekState.SUSPENDED],
        }.get(state, [])
        with self._engine.begin() as conn:
            done = conn.execute(
                update(KEK)
                .where(
                    KEK.c.tenant == self._tenant,
                    KEK.c.epoch == epoch,
                    KEK.c.state.in_(before),
                )
                .values(state=state)
            )
        if done.rowcount != 1:
            msg = f"epoch {epoch} cannot become {state}"
            raise KeyUnavailable(msg)

    def destroy(self, epoch: int) -> None:
        """Destroy a drained epoch's key; its dates stay.

        Raises:
            KeyUnavailable: it is active, or a key is still wrapped by it.

        """
        mine = KEK.c.tenant == self._tenant, KEK.c.epoch == epoch
        with self._engine.begin() as conn:
            state = conn.execute(
                select(KEK.c.state).where(*mine).with_for_update()
            ).scalar_one_or_none()
            if state in {None, KekState.ACTIVE, KekState.PRE_ACTIVE}:
                msg = f"epoch {epoch} is {state or 'unknown'}, not retired"
                raise KeyUnavailable(msg)
            self._refuse_undrained(conn, epoch)
            conn.execute(
                update(KEK)
                .where(*mine)
                .values(state=KekState.DESTROYED, destroyed_at=self._clock())
            )
        # After the state: a crash here leaves a key that nothing may use,
        # and destroying it again is harmless.
        self._provider.destroy(epoch)

    def _refuse_undrained(self, conn: Connection, epoch: int) -> None:
        for table, more in (
            (DEK, [DEK.c.state != DekState.DESTROYED]),
            (TENANT, []),
        ):
            count = conn.execute(
                select(func.count())
                .select_from(table)
                .where(
                    table.c.tenant == self._tenant,
                    table.c.kek_epoch == epoch,
                    *more,
                )
            ).scalar_one()
            if count:
                msg = f"epoch {epoch} still wraps {count} keys; re-wrap first"
                raise KeyUnavailable(msg)

    def _find_active(self, conn: Connection) -> int | None:
        found: int | None = conn.execute(
            select(KEK.c.epoch).where(
                KEK.c.tenant == self._tenant, KEK.c.state == KekState.ACTIVE
            )
        ).scalar_one_or_none()
        return found

    def _planned(self) -> tuple[int, UUID]:
        """Write the next epoch down, or take up the one a crash left."""
        mine = KEK.c.tenant == self._tenant
        with self._engine.begin() as conn:
            left = conn.execute(
                select(KEK.c.epoch, KEK.c.key_id).where(
                    mine, KEK.c.state == KekState.PRE_ACTIVE
                )
            ).first()
            if left is not None:
                return left.epoch, left.key_id
            last = conn.execute(
                select(func.coalesce(func.max(KEK.c.epoch), 0)).where(mine)
            ).scalar_one()
            key_id = UUID(bytes=self._random(16), version=4)
            conn.execute(
                KEK.insert().values(
                    tenant=self._tenant,
                    epoch=last + 1,
                    key_id=key_id,
                    state=KekState.PRE_ACTIVE,
                    created_at=self._clock(),
                )
            )
            return last + 1, key_id
