"""Bundles that officers proposed, and the pointer to the one in force.

The bundle that the software carries has the number 0 and stands in no row:
an instance without proposals decides by it, and it can always be gone back
to.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Engine, Row, func, select, text, update

from policy.bundle import (
    DATA,
    MANIFEST,
    PLAN,
    Bundle,
    bundle_files,
    read_bundle,
)
from policy.bundle_tables import BundleRow, FlipRow, LiveRow
from policy.errors import RecordUnknown

_BUNDLES = BundleRow.metadata.tables["policy_bundle"]
_LIVE = LiveRow.metadata.tables["policy_live"]
_FLIPS = FlipRow.metadata.tables["policy_flip"]
OURS, NONE = 0, -1
_POINT = text(
    "INSERT INTO policy_live (tenant, changes, number, shadow)"
    " VALUES (:tenant, 1, :number, :shadow)"
    " ON CONFLICT (tenant) DO UPDATE SET changes = policy_live.changes + 1,"
    " number = :number, shadow = :shadow"
)
_COUNT = text(
    "INSERT INTO policy_flip (tenant, number, service, purpose, attribute,"
    " was, becomes, times) VALUES (:tenant, :number, :service, :purpose,"
    " :attribute, :was, :becomes, :times)"
    " ON CONFLICT (tenant, number, service, purpose, attribute, was, becomes)"
    " DO UPDATE SET times = policy_flip.times + :times"
)


class BundleState(StrEnum):
    """What became of a proposal."""

    PROPOSED = "proposed"
    PUBLISHED = "published"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedBundle:
    """One proposal, without its files.

    Attributes:
        number: names it for ever, within the body.
        revision: of the bundle.
        base: revision in force when it was proposed.
        proposer: the officer who proposed it.
        proposed_at: POSIX seconds.
        state: what became of it.
        officer: who decided; empty as long as nobody did.
        decided_at: POSIX seconds; None likewise.
        signed: whether a signed archive for OPA servers came with it.
    """

    number: int
    revision: str
    base: str
    proposer: str
    proposed_at: int
    state: BundleState
    officer: str
    decided_at: int | None
    signed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Which bundle is in force, which runs in its shadow, and since when.

    `shadow` is `NONE` where none does.
    """

    changes: int
    number: int
    shadow: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """How often a candidate decided one attribute otherwise."""

    service: str
    purpose: str
    attribute: str
    was: str
    becomes: str
    times: int


class BundleStore:
    """Bundles of one tenant."""

    def __init__(self, *, tenant: str, engine: Engine) -> None:
        self._tenant = tenant
        self._engine = engine
        self._live = select(_LIVE).where(_LIVE.c.tenant == tenant)

    def live(self, conn: Connection | None = None) -> Live:
        """Read the pointer."""
        if conn is None:
            with self._reading() as reading:
                return self.live(reading)
        row = conn.execute(self._live).one_or_none()
        if row is None:
            return Live(changes=0, number=OURS, shadow=NONE)
        return Live(changes=row.changes, number=row.number, shadow=row.shadow)

    def point(self, conn: Connection, *, number: int, shadow: int) -> None:
        """Move the pointer, in the caller's transaction."""
        conn.execute(
            _POINT,
            {"tenant": self._tenant, "number": number, "shadow": shadow},
        )

    def add(
        self,
        conn: Connection,
        files: Mapping[str, bytes],
        *,
        archive: bytes | None,
        base: str,
        proposer: str,
        now: int,
    ) -> int:
        """Keep a proposal; give its number.

        Raises:
            BundleInvalid: the files are no bundle.
        """
        bundle = read_bundle(files)
        last = select(func.max(_BUNDLES.c.number)).where(
            _BUNDLES.c.tenant == self._tenant
        )
        number = (conn.execute(last).scalar() or 0) + 1
        conn.execute(
            _BUNDLES.insert().values(
                tenant=self._tenant,
                number=number,
                revision=bundle.revision,
                base=base,
                manifest=files[MANIFEST].decode(),
                plan=files[PLAN].decode(),
                data=files[DATA].decode(),
                archive=archive,
                proposer=proposer,
                proposed_at=now,
                officer="",
                state=BundleState.PROPOSED.value,
            )
        )
        return number

    def decide(
        self,
        conn: Connection,
        number: int,
        *,
        state: BundleState,
        officer: str,
        now: int,
    ) -> None:
        """Say what became of a proposal that waits.

        Raises:
            RecordUnknown: it does not wait.
        """
        done = conn.execute(
            update(_BUNDLES)
            .where(
                _BUNDLES.c.tenant == self._tenant,
                _BUNDLES.c.number == number,
                _BUNDLES.c.state == BundleState.PROPOSED.value,
            )
            .values(state=state.value, officer=officer, decided_at=now)
        )
        if not done.rowcount:
            msg = f"no proposed bundle {number} waits"
            raise RecordUnknown(msg)

    def proposals(self) -> Sequence[ProposedBundle]:
        """Every proposal by number, decided ones included."""
        statement = (
            select(_BUNDLES)
            .where(_BUNDLES.c.tenant == self._tenant)
            .order_by(_BUNDLES.c.number)
        )
        with self._reading() as conn:
            return [_proposed(row) for row in conn.execute(statement)]

    def proposal(self, number: int) -> ProposedBundle:
        """One proposal.

        Raises:
            RecordUnknown: there is none of that number.
        """
        return _proposed(self._row(number))

    def of_revision(self, revision: str) -> int | None:
        """The number of a bundle that has a revision, if one is kept."""
        statement = (
            select(_BUNDLES.c.number)
            .where(
                _BUNDLES.c.tenant == self._tenant,
                _BUNDLES.c.revision == revision,
            )
            .order_by(_BUNDLES.c.number)
            .limit(1)
        )
        with self._reading() as conn:
            return conn.execute(statement).scalar()

    def load(self, number: int) -> Bundle:
        """The bundle of a proposal, verified as it was when it came.

        Raises:
            RecordUnknown: there is none of that number.
            BundleInvalid: what is stored was changed.
        """
        row = self._row(number)
        return read_bundle(
            {
                MANIFEST: row.manifest.encode(),
                PLAN: row.plan.encode(),
                DATA: row.data.encode(),
            }
        )

    def sources(self, number: int) -> Mapping[str, str]:
        """Digest of each source of a bundle, by its path."""
        text = (
            bundle_files()[MANIFEST].decode()
            if number == OURS
            else self._row(number).manifest
        )
        found: Mapping[str, str] = json.loads(text)["sources"]
        return found

    def archive(self, number: int) -> bytes | None:
        """The signed archive for OPA servers, if one came with it."""
        if number == OURS:
            return None
        found = self._row(number).archive
        return None if found is None else bytes(found)

    def count(self, number: int, flips: Sequence[Flip]) -> None:
        """Add to what a candidate decided otherwise."""
        with self._engine.begin() as conn:
            for one in flips:
                conn.execute(
                    _COUNT,
                    {
                        "tenant": self._tenant,
                        "number": number,
                        "service": one.service,
                        "purpose": one.purpose,
                        "attribute": one.attribute,
                        "was": one.was,
                        "becomes": one.becomes,
                        "times": one.times,
                    },
                )

    def flips(self, number: int) -> Sequence[Flip]:
        """What a candidate decided otherwise, so far."""
        statement = (
            select(_FLIPS)
            .where(_FLIPS.c.tenant == self._tenant, _FLIPS.c.number == number)
            .order_by(
                _FLIPS.c.service,
                _FLIPS.c.purpose,
                _FLIPS.c.attribute,
                _FLIPS.c.was,
                _FLIPS.c.becomes,
            )
        )
        with self._reading() as conn:
            return [
                Flip(
                    service=row.service,
                    purpose=row.purpose,
                    attribute=row.attribute,
                    was=row.was,
                    becomes=row.becomes,
                    times=row.times,
                )
                for row in conn.execute(statement)
            ]

    def _row(self, number: int) -> Row[Any]:
        statement = select(_BUNDLES).where(
            _BUNDLES.c.tenant == self._tenant, _BUNDLES.c.number == number
        )
        with self._reading() as conn:
            row = conn.execute(statement).one_or_none()
        if row is None:
            msg = (
                f"there is no proposed bundle {number}; look at those there "
                "are"
            )
            raise RecordUnknown(msg)
        return row

    def _reading(self) -> Connection:
        return self._engine.connect().execution_options(read_only=True)


def _proposed(row: Row[Any]) -> ProposedBundle:
    return ProposedBundle(
        number=row.number,
        revision=row.revision,
        base=row.base,
        proposer=row.proposer,
        proposed_at=row.proposed_at,
        state=BundleState(row.state),
        officer=row.officer,
        decided_at=row.decided_at,
        signed=row.archive is not None,
    )
