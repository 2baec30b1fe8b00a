"""Legal holds: who keeps a person's key from being destroyed, and until when.

A hold is proposed by one officer and confirmed by another; from then on the
key is *held*, and no erasure begins. Lifting takes two as well. The reason
is a note sealed for the person's own log key. Rows are in the keys database,
beside the state that they govern, and change in one transaction with it.
"""

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, Row, select, update

from vault.errors import CryptoFailure, HoldRefused, UnknownSubject
from vault.notes import NoteBox
from vault.tables import DEK, HOLD, OPENS, DekState


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """One legal hold.

    Attributes:
        id: its own.
        subject: whose key.
        reason: a sealed note.
        review_at: when it is to be looked at again, POSIX seconds.
        proposer: id of the officer who proposed it.
        confirmer: who confirmed it; None while it is not in force.
        lift_proposer: who proposed to lift it.
        lifted_at: when it ended, POSIX seconds.
        erasure_proposer: who asked meanwhile for the person's erasure.

    """

    id: UUID
    subject: UUID
    reason: bytes
    review_at: int
    proposer: str
    confirmer: str | None
    lift_proposer: str | None
    lifted_at: int | None
    erasure_proposer: str | None

    @property
    def in_force(self) -> bool:
        """Whether it keeps the key."""
        return self.confirmer is not None and self.lifted_at is None


def reason_label(identity: UUID) -> str:
    """Give the label under which the reason of a hold is sealed."""
    return f"hold/{identity}"


def with_holds(
    conn: Connection, tenant: str, subjects: Sequence[UUID]
) -> set[UUID]:
    """Say which of some people have a hold, over or not."""
    asked = select(HOLD.c.subject).where(
        HOLD.c.tenant == tenant, HOLD.c.subject.in_(subjects)
    )
    return set(conn.execute(asked).scalars())


def reseal_reasons(
    conn: Connection, tenant: str, subject: UUID, old: NoteBox, new: NoteBox
) -> None:
    """Seal the reasons of a person's holds anew, for their next log key.

    One that is sealed for it already is left, and so is one that opens
    under neither: it was altered, and the list of holds says so.
    """
    mine = HOLD.c.tenant == tenant, HOLD.c.subject == subject
    for row in conn.execute(select(HOLD.c.id, HOLD.c.reason).where(*mine)):
        label = reason_label(row.id)
        with suppress(CryptoFailure):
            reason = new.seal(label, old.unseal(label, row.reason))
            conn.execute(
                update(HOLD)
                .where(*mine, HOLD.c.id == row.id)
                .values(reason=reason)
            )


class Holds:
    """The holds of one tenant.

    Args:
        engine: the keys database.
        tenant: whose.
        clock: gives POSIX seconds.
        random: as ``os.urandom``; ids come from it.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        tenant: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._tenant = tenant
        self._clock = clock
        self._random = random

    def new_id(self) -> UUID:
        """Draw the id of a hold, under which its reason is sealed."""
        return UUID(bytes=self._random(16), version=4)

    def propose(
        self,
        identity: UUID,
        subject: UUID,
        *,
        officer: str,
        reason: bytes,
        review_at: int,
    ) -> None:
        """Write a proposal down; nothing is held yet.

        Raises:
            UnknownSubject: nobody with a key.

        """
        with self._engine.begin() as conn:
            self._demand_key(conn, subject)
            conn.execute(
                HOLD.insert().values(
                    id=identity,
                    tenant=self._tenant,
                    subject=subject,
                    reason=reason,
                    review_at=review_at,
                    proposer=officer,
                    proposed_at=self._clock(),
                )
            )

    def confirm(self, identity: UUID, *, officer: str) -> Hold:
        """Put a hold in force; its key is held when this returns.

        Raises:
            HoldRefused: there is none to confirm, or the same officer
                proposed it.
            UnknownSubject: the person was erased since.

        """
        with self._engine.begin() as conn:
            hold = self._locked(conn, identity)
            if hold.confirmer is not None or hold.lifted_at is not None:
                raise HoldRefused(identity, "is confirmed already, or over")
            if officer == hold.proposer:
                raise HoldRefused(identity, "takes a second officer")
            self._demand_key(conn, hold.subject)
            self._change(
                conn, identity, confirmer=officer, confirmed_at=self._clock()
            )
            self._set_state(conn, hold.subject, DekState.LIVE, DekState.HELD)
        return self.one(identity)

    def propose_lift(self, identity: UUID, *, officer: str) -> Hold:
        """Write down that somebody wants a hold lifted.

        Raises:
            HoldRefused: it is not in force, or that was proposed already.

        """
        with self._engine.begin() as conn:
            hold = self._locked(conn, identity)
            if not hold.in_force or hold.lift_proposer is not None:
                raise HoldRefused(identity, "has nothing to propose")
            self._change(conn, identity, lift_proposer=officer)
        return self.one(identity)

    def lift(self, identity: UUID, *, officer: str) -> Hold:
        """End a hold; the key is live again unless another one stands.

        Raises:
            HoldRefused: nobody proposed that, or the same officer did.

        """
        with self._engine.begin() as conn:
            hold = self._locked(conn, identity)
            if not hold.in_force or hold.lift_proposer is None:
                raise HoldRefused(identity, "is not proposed for lifting")
            if officer == hold.lift_proposer:
                raise HoldRefused(identity, "takes a second officer")
            self._change(
                conn, identity, lifter=officer, lifted_at=self._clock()
            )
            if not self._find(conn, self._standing(hold.subject)):
                self._set_state(
                    conn, hold.subject, DekState.HELD, DekState.LIVE
                )
        return self.one(identity)

    def ask_erasure(self, subject: UUID, *, proposer: str) -> bool:
        """Note that an erasure waits for the end of a person's holds.

        Returns:
            Whether it is the first request that waits.

        """
        with self._engine.begin() as conn:
            done = conn.execute(
                update(HOLD)
                .where(
                    self._standing(subject), HOLD.c.erasure_asked_at.is_(None)
                )
                .values(
                    erasure_asked_at=self._clock(), erasure_proposer=proposer
                )
            )
        return bool(done.rowcount)

    def standing(self, subject: UUID) -> list[Hold]:
        """List the holds in force on a person."""
        with self._engine.connect().execution_options(read_only=True) as conn:
            return self._find(conn, self._standing(subject))

    def listed(self) -> list[Hold]:
        """List every hold that is not over, by its review date."""
        with self._engine.connect().execution_options(read_only=True) as conn:
            found = self._find(
                conn,
                (HOLD.c.tenant == self._tenant) & HOLD.c.lifted_at.is_(None),
            )
        return sorted(found, key=lambda one: (one.review_at, one.id))

    def one(self, identity: UUID) -> Hold:
        """Give one hold.

        Raises:
            HoldRefused: there is none of that id.

        """
        with self._engine.connect().execution_options(read_only=True) as conn:
            return self._locked(conn, identity)

    def _standing(self, subject: UUID) -> ColumnElement[bool]:
        return (
            (HOLD.c.tenant == self._tenant)
            & (HOLD.c.subject == subject)
            & HOLD.c.confirmer.is_not(None)
            & HOLD.c.lifted_at.is_(None)
        )

    def _locked(self, conn: Connection, identity: UUID) -> Hold:
        row = conn.execute(
            select(HOLD)
            .where(HOLD.c.tenant == self._tenant, HOLD.c.id == identity)
            .with_for_update()
        ).one_or_none()
        if row is None:
            raise HoldRefused(identity, "is not there")
        return _hold(row)

    def _find(
        self, conn: Connection, where: ColumnElement[bool]
    ) -> list[Hold]:
        return [_hold(row) for row in conn.execute(select(HOLD).where(where))]

    def _change(
        self, conn: Connection, identity: UUID, **values: object
    ) -> None:
        conn.execute(
            update(HOLD)
            .where(HOLD.c.tenant == self._tenant, HOLD.c.id == identity)
            .values(**values)
        )

    def _set_state(
        self, conn: Connection, subject: UUID, old: DekState, new: DekState
    ) -> None:
        conn.execute(
            update(DEK)
            .where(
                DEK.c.tenant == self._tenant,
                DEK.c.subject == subject,
                DEK.c.state == old,
            )
            .values(state=new)
        )

    def _demand_key(self, conn: Connection, subject: UUID) -> None:
        found = conn.execute(
            select(DEK.c.state)
            .where(
                DEK.c.tenant == self._tenant,
                DEK.c.subject == subject,
                DEK.c.state.in_(sorted(OPENS)),
            )
            .with_for_update()
        ).first()
        if found is None:
            raise UnknownSubject(subject)


def _hold(row: Row[tuple[object, ...]]) -> Hold:
    return Hold(
        id=row.id,
        subject=row.subject,
        reason=row.reason,
        review_at=row.review_at,
        proposer=row.proposer,
        confirmer=row.confirmer,
        lift_proposer=row.lift_proposer,
        lifted_at=row.lifted_at,
        erasure_proposer=row.erasure_proposer,
    )
