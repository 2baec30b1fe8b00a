"""The life of key-encryption keys: one active epoch, and how it ends.

States follow SP 800-57 part 1 revision 5, section 7. Exactly one epoch of a
tenant is active; a partial unique index in the database holds that even
against two processes. A new epoch is written down as *pre-active* before its
key is made, so that a crash between the two is finished at the next call.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, func, select, update

from vault.errors import KeyUnavailable
from vault.providers import KeyProvider
from vault.states import DATES, KekStates
from vault.tables import DEK, KEK, TENANT, DekState, KekState

UNWRAPS = frozenset({KekState.ACTIVE, KekState.DEACTIVATED})
"""States in which a KEK may open what it once wrapped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Epoch:
    """One epoch as an operator sees it.

    Attributes:
        number: counts from 1.
        key_id: of its KEK in the provider.
        state: verified.
        wraps: how many DEKs it still wraps.
        dates: POSIX seconds by the names of `vault.states.DATES`.

    """

    number: int
    key_id: UUID
    state: KekState
    wraps: int
    dates: Mapping[str, int | None]


class KekEpochs:
    """The KEK epochs of one tenant.

    Args:
        engine: the keys database.
        provider: custody of the KEKs.
        tenant: whose.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.
        open_suspended: let a suspended KEK open what it once wrapped.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        provider: KeyProvider,
        tenant: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        open_suspended: bool = False,
    ) -> None:
        self.kek_states = KekStates(
            engine=engine, provider=provider, tenant=tenant, clock=clock
        )
        self._opens = (
            UNWRAPS | {KekState.SUSPENDED} if open_suspended else UNWRAPS
        )
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
            StatesAltered: the states are not those that were set.

        """
        found = self._find_active(conn)
        if (
            found is None
            or self.kek_states.of(found, KekState.ACTIVE)
            is not KekState.ACTIVE
        ):
            msg = f"tenant {self._tenant} has no active key-encryption key"
            raise KeyUnavailable(msg)
        return found

    def require_opening(
        self,
        epoch: int,
        shown: str | None,
        *,
        also: frozenset[KekState] = frozenset(),
    ) -> None:
        """Refuse an epoch that may not open what it once wrapped.

        Args:
            epoch: which.
            shown: the state that a row just read shows.
            also: further states that may open, for the job that drains a
                compromised epoch alone.

        Raises:
            KeyUnavailable: it is suspended, compromised, destroyed, or was
                never begun.
            StatesAltered: the states are not those that were set.

        """
        if self.kek_states.of(epoch, shown) not in self._opens | also:
            msg = f"the key of epoch {epoch} may not open"
            raise KeyUnavailable(msg)

    def states(self) -> dict[int, KekState]:
        """Give the state of every epoch, by number.

        Raises:
            StatesAltered: they are not those that were set.

        """
        return dict(self.kek_states.verify().states)

    def listed(self) -> list[Epoch]:
        """Give every epoch with its dates and what it still wraps."""
        self.kek_states.verify()
        return self._listed()

    def unsealed(self) -> list[Epoch]:
        """Give every epoch as `adopt` would seal it; nothing is verified.

        Raises:
            AdoptionRefused: the states have, or had, a seal.
            KeyUnavailable: a usable epoch has no key, or a stranger's.

        """
        self.kek_states.demand_unsealed()
        self._check_provider()
        return self._listed()

    def adopt(self, shown: Sequence[Epoch]) -> None:
        """Seal states that never had a seal, as `unsealed` gave them.

        Raises:
            AdoptionRefused: there is a seal, or they changed since.

        """
        self.kek_states.adopt(
            {
                one.number: {
                    "state": one.state.value,
                    "key_id": one.key_id,
                    **one.dates,
                }
                for one in shown
            }
        )

    def _listed(self) -> list[Epoch]:
        counts = (
            select(DEK.c.kek_epoch, func.count())
            .where(
                DEK.c.tenant == self._tenant,
                DEK.c.state != DekState.DESTROYED,
            )
            .group_by(DEK.c.kek_epoch)
        )
        rows = (
            select(KEK)
            .where(KEK.c.tenant == self._tenant)
            .order_by(KEK.c.epoch)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            wraps = dict(map(tuple, conn.execute(counts)))
            return [
                Epoch(
                    number=row.epoch,
                    key_id=row.key_id,
                    state=KekState(row.state),
                    wraps=wraps.get(row.epoch, 0),
                    dates={name: getattr(row, name) for name in DATES},
                )
                for row in conn.execute(rows)
            ]

    def check(self) -> None:
        """Verify the states, and the keys that the provider really has.

        Raises:
            StatesAltered: the states are not those that were set.
            KeyUnavailable: a usable epoch has no key, or a stranger's.

        """
        self._check_provider()
        self.kek_states.verify()

    def _check_provider(self) -> None:
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
        with self.kek_states.changing() as conn:
            planned = conn.execute(
                select(KEK.c.state)
                .where(mine, KEK.c.epoch == epoch)
                .with_for_update()
            ).scalar_one()
            # Of two processes that took up one plan the first activates. By
            # now another epoch may be active, which must stay so.
            if planned != KekState.PRE_ACTIVE:
                return epoch
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
        before, dated = {
            KekState.SUSPENDED: ([KekState.DEACTIVATED], "suspended_at"),
            KekState.DEACTIVATED: ([KekState.SUSPENDED], "deactivated_at"),
            KekState.COMPROMISED: (
                [KekState.DEACTIVATED, KekState.SUSPENDED],
                "compromised_at",
            ),
        }.get(state, ([], "deactivated_at"))
        with self.kek_states.changing() as conn:
            done = conn.execute(
                update(KEK)
                .where(
                    KEK.c.tenant == self._tenant,
                    KEK.c.epoch == epoch,
                    KEK.c.state.in_(before),
                )
                .values({"state": state, dated: self._clock()})
            )
            if done.rowcount != 1:
                now = conn.execute(
                    select(KEK.c.state).where(
                        KEK.c.tenant == self._tenant, KEK.c.epoch == epoch
                    )
                ).scalar_one_or_none()
                if now is None:
                    raise KeyUnavailable(_no_epoch(epoch))
                msg = (
                    f"epoch {epoch} is {now} and cannot become {state}; only "
                    f"one that is {' or '.join(before)} can"
                )
                raise KeyUnavailable(msg)

    def expose(self, epoch: int) -> int:
        """Note that an epoch's key is in other hands, before it is drained.

        Returns:
            The instant up to which made DEKs count as exposed; a second
            call gives the same one.

        Raises:
            KeyUnavailable: the epoch is active, or was never begun.

        """
        mine = KEK.c.tenant == self._tenant, KEK.c.epoch == epoch
        with self.kek_states.changing() as conn:
            row = conn.execute(select(KEK).where(*mine)).first()
            if row is None or row.deactivated_at is None:
                state = "unknown" if row is None else row.state
                msg = f"epoch {epoch} is {state}; rotate first"
                raise KeyUnavailable(msg)
            if row.exposed_until is not None:
                return int(row.exposed_until)
            # Another machine's clock may run ahead of ours.
            last = conn.execute(
                select(func.max(DEK.c.created_at)).where(
                    DEK.c.tenant == self._tenant, DEK.c.kek_epoch == epoch
                )
            ).scalar()
            until = max(row.deactivated_at, self._clock(), last or 0)
            conn.execute(update(KEK).where(*mine).values(exposed_until=until))
            return int(until)

    def exposed(self) -> list[tuple[int, int]]:
        """List the epochs that were exposed, each with its instant."""
        self.kek_states.verify()
        asked = select(KEK.c.epoch, KEK.c.exposed_until).where(
            KEK.c.tenant == self._tenant, KEK.c.exposed_until.is_not(None)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return [(row[0], row[1]) for row in conn.execute(asked)]

    def destroy(self, epoch: int) -> None:
        """Destroy a drained epoch's key; its dates stay.

        Raises:
            KeyUnavailable: it is active, or a key is still wrapped by it.

        """
        mine = KEK.c.tenant == self._tenant, KEK.c.epoch == epoch
        now = self._clock()
        with self.kek_states.changing() as conn:
            state = conn.execute(
                select(KEK.c.state).where(*mine).with_for_update()
            ).scalar_one_or_none()
            if state is None:
                raise KeyUnavailable(_no_epoch(epoch))
            if state in {KekState.ACTIVE, KekState.PRE_ACTIVE}:
                msg = (
                    f"epoch {epoch} is {state}, not retired; rotate and "
                    "re-wrap first"
                )
                raise KeyUnavailable(msg)
            self._refuse_undrained(conn, epoch)
            # Destroyed again, it may be that the provider was not told the
            # first time: the key is gone later than the row says.
            dates = {"gone_at": now + self._provider.grace}
            if state != KekState.DESTROYED:
                dates["destroyed_at"] = now
            conn.execute(
                update(KEK)
                .where(*mine)
                .values(state=KekState.DESTROYED, **dates)
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

    def _taken(self, epoch: int) -> bool:
        try:
            self._provider.key_id(epoch)
        except KeyUnavailable:
            return False
        return True

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
        with self.kek_states.changing() as conn:
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
            # A keys database that was put back from a backup may not know
            # of epochs that began since; their numbers are taken. It knows
            # of one at least: a first epoch that is taken is a stranger's.
            while last and self._taken(last + 1):
                last += 1
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


def _no_epoch(epoch: int) -> str:
    return f"there is no epoch {epoch}; look at those that there are"
