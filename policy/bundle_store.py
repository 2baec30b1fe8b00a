"""Bundles that officers proposed, and the pointer to the one in force.

The bundle that the software carries has the number 0 and stands in no row:
a new instance decides by it, and it can always be gone back to.

The pointer is a row from the instance's first day on, and has a code over
itself and the revisions that it points to (`consent.row_macs`), as each
proposal has over who proposed and who approved it: what somebody wrote, or
took away, in the database alone is not in force.
"""

import hmac
import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import (
    Connection,
    Engine,
    Row,
    Select,
    and_,
    select,
    text,
)

from consent import RowForged, RowMacs
from policy.bundle import (
    DATA,
    MANIFEST,
    PLAN,
    Bundle,
    bundle_files,
    read_bundle,
)
from policy.bundle_tables import BundleRow, FlipRow, LiveRow
from policy.coded_rows import CodedRows, Standing, legible
from policy.errors import RecordUnknown
from policy.facts import is_damage
from policy.pdp import BundleInvalid

_BUNDLES = BundleRow.metadata.tables["policy_bundle"]
_LIVE = LiveRow.metadata.tables["policy_live"]
_FLIPS = FlipRow.metadata.tables["policy_flip"]
OURS, NONE = 0, -1
# The table, and the version of what the pointer's code covers.
_POINTER = "policy_live/1"
_POINT = text(
    "INSERT INTO policy_live (tenant, changes, number, shadow, mac)"
    " VALUES (:tenant, :changes, :number, :shadow, :mac)"
    " ON CONFLICT (tenant) DO UPDATE SET changes = :changes,"
    " number = :number, shadow = :shadow, mac = :mac"
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
        state: what became of it; of a row that is not genuine, anything.
        officer: who decided; empty as long as nobody did.
        decided_at: POSIX seconds; None likewise.
        signed: whether a signed archive for OPA servers came with it.
        genuine: whether its row is as this instance wrote it. Where codes
            are demanded, one that is not can only be looked at.
    """

    number: int
    revision: str
    base: str
    proposer: str
    proposed_at: int
    state: BundleState | str
    officer: str
    decided_at: int | None
    signed: bool
    genuine: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """Which bundle is in force, which runs in its shadow, and since when.

    `shadow` is `NONE` where none does. The revisions are empty where the
    bundle is the software's own, or none.
    """

    changes: int
    number: int
    shadow: int
    revision: str = ""
    shadow_revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flip:
    """How often a candidate decided one attribute otherwise."""

    service: str
    purpose: str
    attribute: str
    was: str
    becomes: str
    times: int


class _Pointer(NamedTuple):
    """The pointer's row, and the revisions of the rows it points to."""

    changes: int
    number: int
    shadow: int
    mac: bytes | None
    revision: str | None
    shadow_revision: str | None


_NO_POINTER = _Pointer(0, OURS, NONE, None, None, None)


class BundleStore:
    """Bundles of one tenant.

    Args:
        tenant: whose.
        engine: the data database.
        macs: vouches for the proposals, and for which is in force.
    """

    def __init__(self, *, tenant: str, engine: Engine, macs: RowMacs) -> None:
        self._tenant = tenant
        self._engine = engine
        self._macs = macs
        self._rows = CodedRows(
            _BUNDLES, macs, tenant, but=("manifest", "plan", "data")
        )
        self._live = _pointer(tenant)

    def live(self, conn: Connection | None = None) -> Live:
        """Read the pointer.

        Raises:
            RowForged: it is not as this instance wrote it.
        """
        if conn is None:
            with self._reading() as reading:
                return self.live(reading)
        found = self._found(conn)
        self._macs.demand(found.mac, _POINTER, *_covered(found))
        return _live(found)

    def pointer(self, conn: Connection) -> Standing:
        """Return where the pointer points, whoever wrote it."""
        unread: tuple[str, ...] = ()
        try:
            found = self._found(conn)
        except Exception as error:
            if not is_damage(error):
                raise
            read, unread = legible(conn, self._live)
            found = _Pointer(**read)
        code = self._macs.of(_POINTER, *_covered(found))
        given = found.mac
        return Standing(
            columns={
                "changes": found.changes,
                "number": found.number,
                "revision": found.revision,
                "shadow": found.shadow,
                "shadow_revision": found.shadow_revision,
            },
            genuine=not unread
            and isinstance(given, bytes)
            and hmac.compare_digest(given, code),
            unread=unread,
        )

    def standing(self, conn: Connection) -> list[Standing]:
        """Return the proposals, without their files, whoever wrote them."""
        return self._rows.standing(conn)

    def point(self, conn: Connection, before: Live, after: Live) -> Live:
        """Move the pointer, in the caller's transaction.

        Whoever calls holds the ledger's lock, so nobody else moves it, and
        has loaded what it is to point to: its revisions are theirs, and not
        those that the rows have by now.

        Args:
            conn: the transaction.
            before: where it pointed.
            after: where it is to point, with the same count of changes.

        Returns:
            Where it points, with the next count.
        """
        moved = replace(after, changes=before.changes + 1)
        self._write(conn, moved)
        return moved

    def begin(self, conn: Connection) -> None:
        """Begin a new instance: the software's own policies are in force."""
        self._write(conn, Live(changes=0, number=OURS, shadow=NONE))

    def vouch(self, conn: Connection) -> int:
        """Vouch for what stands there, whoever wrote it.

        Whoever has this done has looked through it first.

        Returns:
            For how many proposals a code was made.
        """
        made = self._rows.vouch(conn)
        self._write(conn, _live(self._found(conn)))
        return made

    def _write(self, conn: Connection, live: Live) -> None:
        pointer = _Pointer(
            changes=live.changes,
            number=live.number,
            shadow=live.shadow,
            mac=None,
            revision=live.revision or None,
            shadow_revision=live.shadow_revision or None,
        )
        conn.execute(
            _POINT,
            {
                "tenant": self._tenant,
                "changes": live.changes,
                "number": live.number,
                "shadow": live.shadow,
                "mac": self._macs.of(_POINTER, *_covered(pointer)),
            },
        )

    def _found(self, conn: Connection) -> _Pointer:
        row = conn.execute(self._live).one_or_none()
        return _NO_POINTER if row is None else _Pointer(*row)

    def add(
        self,
        conn: Connection,
        files: Mapping[str, bytes],
        *,
        archive: bytes | None,
        base: str,
        proposer: str,
        now: int,
        above: int = 0,
    ) -> int:
        """Keep a proposal; give its number.

        Args:
            conn: the transaction.
            files: the three files.
            archive: the signed one, or None.
            base: revision in force.
            proposer: who proposes.
            now: POSIX seconds.
            above: a number that was given before, whatever rows there are.

        Raises:
            BundleInvalid: the files are no bundle.
        """
        bundle = read_bundle(files)
        number = self._rows.free(conn, "number", above=above)
        self._rows.insert(
            conn,
            {
                "number": number,
                "revision": bundle.revision,
                "base": base,
                "manifest": files[MANIFEST].decode(),
                "plan": files[PLAN].decode(),
                "data": files[DATA].decode(),
                "archive": archive,
                "proposer": proposer,
                "proposed_at": now,
                "officer": "",
                "state": BundleState.PROPOSED.value,
            },
        )
        return number

    def decide(
        self,
        conn: Connection,
        proposal: ProposedBundle,
        *,
        state: BundleState,
        officer: str,
        now: int,
    ) -> None:
        """Say what became of a proposal that waits.

        Raises:
            RecordUnknown: it does not wait, or is not the one that it was.
            RowForged: its row is not as this instance wrote it.
        """
        row = self._row(proposal.number, conn)
        if (
            row.state != BundleState.PROPOSED.value
            or self._proposed(row) != proposal
            or not self._rows.change(
                conn, row, state=state.value, officer=officer, decided_at=now
            )
        ):
            msg = f"no proposed bundle {proposal.number} waits"
            raise RecordUnknown(msg)

    def proposals(self) -> Sequence[ProposedBundle]:
        """Every proposal by number, decided ones and forged ones included."""
        with self._reading() as conn:
            return [self._proposed(row) for row in self._rows.all(conn)]

    def proposal(self, number: int) -> ProposedBundle:
        """One proposal.

        Raises:
            RecordUnknown: there is none of that number.
            RowForged: its row is not as this instance wrote it.
        """
        return self._proposed(self._demanded(number))

    def of_revision(self, revision: str) -> Bundle | None:
        """A bundle that has a revision, if one is kept.

        One that somebody put there or changed is passed over.
        """
        statement = (
            select(_BUNDLES.c.number)
            .where(
                _BUNDLES.c.tenant == self._tenant,
                _BUNDLES.c.revision == revision,
            )
            .order_by(_BUNDLES.c.number)
        )
        with self._reading() as conn:
            numbers = conn.execute(statement).scalars().all()
        for number in numbers:
            with suppress(RowForged, BundleInvalid):
                return self.load(number, revision)
        return None

    def load(self, number: int, revision: str | None = None) -> Bundle:
        """The bundle of a proposal, verified as it was when it came.

        Args:
            number: of the proposal.
            revision: that it has to have; None for any.

        Raises:
            RecordUnknown: there is none of that number.
            RowForged: its row is not as this instance wrote it.
            BundleInvalid: what is stored was changed.
        """
        return _bundle(self._demanded(number), revision)

    def intact(self, conn: Connection, number: int) -> None:
        """Make sure that the files are those of the row's revision.

        Raises:
            RecordUnknown, BundleInvalid: as `load`.
        """
        _bundle(self._row(number, conn), None)

    def sources(self, number: int) -> Mapping[str, str]:
        """Digest of each source of a bundle, by its path.

        Raises:
            RecordUnknown, RowForged, BundleInvalid: as `load`.
        """
        text = bundle_files()[MANIFEST].decode()
        if number != OURS:
            row = self._demanded(number)
            _bundle(row, None)
            text = row.manifest
        found: Mapping[str, str] = json.loads(text)["sources"]
        return found

    def archive(self, number: int) -> bytes | None:
        """The signed archive for OPA servers, if one came with it."""
        if number == OURS:
            return None
        found = self._demanded(number).archive
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

    def _row(self, number: int, conn: Connection | None = None) -> Row[Any]:
        if conn is None:
            with self._reading() as reading:
                return self._row(number, reading)
        statement = select(_BUNDLES).where(
            _BUNDLES.c.tenant == self._tenant, _BUNDLES.c.number == number
        )
        row = conn.execute(statement).one_or_none()
        if row is None:
            msg = (
                f"there is no proposed bundle {number}; look at those there "
                "are"
            )
            raise RecordUnknown(msg)
        return row

    def _demanded(self, number: int) -> Row[Any]:
        row = self._row(number)
        self._rows.demand(row)
        return row

    def _proposed(self, row: Row[Any]) -> ProposedBundle:
        return ProposedBundle(
            number=row.number,
            revision=row.revision,
            base=row.base,
            proposer=row.proposer,
            proposed_at=row.proposed_at,
            state=_state(row.state),
            officer=row.officer,
            decided_at=row.decided_at,
            signed=row.archive is not None,
            genuine=self._rows.is_right(row),
        )

    def _reading(self) -> Connection:
        return self._engine.connect().execution_options(read_only=True)


def _state(stored: str) -> BundleState | str:
    with suppress(ValueError):
        return BundleState(stored)
    return str(stored)


def _bundle(row: Row[Any], revision: str | None) -> Bundle:
    """Read the files of a row, which are anything.

    Raises:
        BundleInvalid: they are no bundle, or another than they have to be.
    """
    try:
        bundle = read_bundle(
            {
                MANIFEST: row.manifest.encode(),
                PLAN: row.plan.encode(),
                DATA: row.data.encode(),
            }
        )
    except (AttributeError, TypeError, ValueError):
        msg = f"bundle {row.number}: the files are no bundle"
        raise BundleInvalid(msg) from None
    if bundle.revision != row.revision or (
        revision not in {None, bundle.revision}
    ):
        msg = f"bundle {row.number}: the files are not those of its revision"
        raise BundleInvalid(msg)
    return bundle


def _pointer(tenant: str) -> Select[Any]:
    """Select the pointer with both revisions, of one state of the database."""
    live = _BUNDLES.alias()
    shadow = _BUNDLES.alias()
    return (
        select(
            _LIVE.c.changes,
            _LIVE.c.number,
            _LIVE.c.shadow,
            _LIVE.c.mac,
            live.c.revision,
            shadow.c.revision.label("shadow_revision"),
        )
        .outerjoin_from(
            _LIVE,
            live,
            and_(
                live.c.tenant == _LIVE.c.tenant,
                live.c.number == _LIVE.c.number,
                live.c.number > OURS,
            ),
        )
        .outerjoin(
            shadow,
            and_(
                shadow.c.tenant == _LIVE.c.tenant,
                shadow.c.number == _LIVE.c.shadow,
                shadow.c.number > OURS,
            ),
        )
        .where(_LIVE.c.tenant == tenant)
    )


def _covered(found: _Pointer) -> list[int | str | None]:
    """All that the pointer's code is over."""
    return [
        found.changes,
        found.number,
        found.shadow,
        found.revision,
        found.shadow_revision,
    ]


def _live(found: _Pointer) -> Live:
    return Live(
        changes=found.changes,
        number=found.number,
        shadow=found.shadow,
        revision=found.revision or "",
        shadow_revision=found.shadow_revision or "",
    )
