"""The release desk: extracts for analytics, asked by one, taken by another.

1. An analyst requests: `policies/release` decides columns, roles, k, l and
   the suppression limit. What the declaration promises is the floor.
2. A compliance officer who is somebody else takes it. The policies decide
   again; the cohort is gathered; an entry says what is about to be read.
3. Rows come out of the vault in batches, free text is scrubbed with the
   person's own values, quasi-identifiers are generalized.
4. The criteria are checked on the written bytes by code that did not
   produce them. If they are missed there is no file.
5. A second entry holds the manifest's hash.

An erasure wins over an extract that is being made: until the second entry is
durable, the files go, nothing is kept, and the extract is to be taken again.
"""

import hmac
import json
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, select
from sqlalchemy.exc import IntegrityError

import anonymize
from anonymize import (
    OFFICERS,
    CriteriaNotMet,
    ExtractSpec,
    Hierarchy,
    OutputExists,
    SuccessionRefused,
)
from anonymize import Role as ColumnRole
from consent import (
    ConsentStore,
    Draft,
    EntryKind,
    Ledger,
    RowForged,
    RowMacs,
)
from policy.authority import Action, Caller, authorize
from policy.classification import Classification, Role
from policy.coded_rows import CodedRows, Standing
from policy.cohort import Cohort, CohortSource
from policy.decisions import Json
from policy.errors import FactsChanged, ReleaseRefused, RequestInvalid
from policy.facts import FactSource
from policy.hierarchies import hierarchies_for
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.release_basis import release_basis
from policy.released import OwnRelease, ReleasedStore
from policy.settled import Key, ProposalKind, ReadAhead, Settled, read_ahead
from policy.tables import ReleaseRow
from vault import ReadGrant, Roll, Transactions, Vault

if TYPE_CHECKING:
    from anonymize import KnownValue, ValueIndex

ENTRYPOINT = "curtilage/release/decision"
SCHEMA = "curtilage/release/1"
GRANT_SECONDS = 3600
DAY = 86_400
_PAGE = 500
PROOF = "proof.json"
"""Name of the signed statement and ledger proof beside an extract."""
PERSON = "person"
_TABLE = ReleaseRow.metadata.tables["policy_release"]
_NAMES = ("given", "family")
_ENTITIES = {
    "user.name": "PERSON",
    "user.home-info.postal": "ADDRESS",
    "user.home-info.telecom": "PHONE",
    "user.home-info.online": "EMAIL",
    "user.identity": "IDENTIFIER",
}

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseRequest:
    """What an analyst asks for; `days` is how long it may be used."""

    service: str
    purpose: str
    recipient: str
    columns: tuple[str, ...]
    k: int = 2
    l: int = 1  # noqa: E741 - the literature's own name for it
    sensitive: str | None = None
    days: int = 365


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What `policies/release` decided."""

    columns: Mapping[str, ColumnRole]
    k: int
    l: int  # noqa: E741 - the literature's own name for it
    suppression_limit: float
    linked: bool
    bundle: str = ""
    """Revision of the policies that decided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An extract that passed its criteria and stands in `folder`."""

    release: UUID
    folder: Path
    manifest: str
    ledger_index: int
    left_out: int
    rows_in: int
    rows_out: int
    k: int
    l: int | None  # noqa: E741 - the literature's own name for it
    ncp: float
    highest_risk: float
    average_risk: float


class ReleaseDesk:
    """Requests and takes extracts of one tenant."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        transactions: Transactions,
        vault: Vault,
        consents: ConsentStore,
        macs: RowMacs,
        facts: FactSource,
        ledger: Ledger,
        past: Sequence[Ledger],
        pdp: PolicyDecisionPoint,
        classification: Mapping[str, Classification],
        pseudonym_root: bytes,
        released: ReleasedStore,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._tenant = tenant
        self._engine = engine
        self._requests = CodedRows(_TABLE, macs, tenant)
        self._transactions = transactions
        self._vault = vault
        self._consents = consents
        self._cohorts = CohortSource(
            tenant=tenant, engine=engine, vault=vault, facts=facts, pdp=pdp
        )
        self._ledger = ledger
        self._ledgers = (*past, ledger)
        self._pdp = pdp
        self._classification = classification
        self._pseudonym_root = pseudonym_root
        self._released = released
        self._clock = clock
        self._random = random

    async def request(self, officer: Caller, wanted: ReleaseRequest) -> UUID:
        """File a request, once the policies allow its terms.

        Returns:
            The release's id, for somebody else to take.

        Raises:
            NotPermitted: `officer` is no analyst.
            ReleaseRefused: with the policy's reason codes; recorded.

        """
        await authorize(
            self._pdp,
            officer,
            Action.RELEASE_REQUEST,
            target={"service": wanted.service, "purpose": wanted.purpose},
        )
        release = uuid.UUID(bytes=self._random(16), version=4)
        try:
            await self._terms(officer, wanted)
        except ReleaseRefused as refused:
            self._write(officer, release, wanted, "refused", refused.reasons)
            raise
        self._write(officer, release, wanted, "requested", ())
        return release

    async def approve(self, officer: Caller, release: UUID) -> int:
        """Approve a request that somebody else filed.

        Returns:
            The index of the entry.

        Raises:
            NotPermitted: `officer` filed it, or may not approve.
            ReleaseRefused: the terms do not hold any more.
            RequestInvalid: it does not wait to be approved, or not any more.
            RowForged: its row is not as this instance wrote it.

        """
        row, wanted = self._waiting(release, "requested")
        await self._may_approve(officer, row, wanted)
        await self._terms(_analyst(officer, row.officer), wanted)
        return self._settle(
            row,
            wanted,
            wanted.columns,
            "approved",
            {"officer": officer.id},
            approver=officer.id,
        )

    async def recall(
        self, officer: Caller, release: UUID, *, reason: str
    ) -> int:
        """Call an extract back: it is handed out no more, and said to be void.

        Copies that were handed out are the recipient's to delete.

        Args:
            officer: who recalls.
            release: an approved or taken one.
            reason: written into the entry.

        Returns:
            The index of the entry.

        Raises:
            NotPermitted: `officer` filed it, or may not approve.
            RequestInvalid: there is nothing to recall.

        """
        row, wanted = self._waiting(release, "approved", "taken")
        await self._may_approve(officer, row, wanted)
        return self._settle(
            row,
            wanted,
            wanted.columns,
            "recalled",
            {"officer": officer.id, "reason": reason},
            rows=row.rows,
            manifest=row.manifest,
        )

    async def released(
        self, caller: Caller, subject: UUID
    ) -> Sequence[OwnRelease]:
        """List the extracts that the caller's own row was in.

        Raises:
            NotPermitted: `caller` is somebody else.

        """
        await authorize(
            self._pdp,
            caller,
            Action.OWN_VIEW,
            target={"subject": str(subject)},
        )
        found = [
            one
            for member in self._vault.members(subject)
            for one in self.own_releases(member)
        ]
        return sorted(found, key=lambda one: -one.at)

    def own_releases(self, subject: UUID) -> Sequence[OwnRelease]:
        """List the extracts that somebody's row was in, newest first."""
        return self._released.of_person(subject)

    def genuine(self, row: Row[Any]) -> bool:
        """Tell whether a request's row is as this instance wrote it.

        Where codes are demanded, one that is not can only be looked at.
        """
        return self._requests.is_right(row)

    def vouch(self, conn: Connection) -> int:
        """Vouch for the requests as they stand, whoever wrote them.

        Whoever has this done has looked through them first.

        Returns:
            For how many a code was made.

        """
        return self._requests.vouch(conn)

    def standing(self, conn: Connection) -> list[Standing]:
        """Return the requests, whoever wrote them."""
        return self._requests.standing(conn)

    def usable(self, row: Row[Any]) -> bool:
        """Tell whether an extract may be handed out now.

        One whose row is not as this instance wrote it may not be.
        """
        try:
            self._requests.demand(row)
        except RowForged:
            return False
        expired = row.expires_at is not None and row.expires_at <= (
            self._clock()
        )
        return row.outcome == "taken" and not expired

    async def _may_approve(
        self, officer: Caller, row: Row[Any], wanted: ReleaseRequest
    ) -> None:
        await authorize(
            self._pdp,
            officer,
            Action.RELEASE_APPROVE,
            target={
                "service": wanted.service,
                "purpose": wanted.purpose,
                "proposer": row.officer,
            },
        )

    async def take(
        self,
        officer: Caller,
        release: UUID,
        folder: Path,
        *,
        hierarchies: Mapping[str, Hierarchy] | None = None,
        progress: Progress = lambda _stage, _done, _total: None,
    ) -> Taken:
        """Make the extract of a request that a second officer approves.

        Args:
            officer: who approves by taking, or, of an approved request, an
                analyst, who may be the one that filed it.
            release: the request's id.
            folder: where the files are to stand; it must not exist.
            hierarchies: by attribute; others have the built-in ones.
            progress: told the stage and how far it is.

        Raises:
            NotPermitted: `officer` filed it.
            ReleaseRefused: the terms do not hold any more.
            SuccessionRefused: beside what the recipient has already too few
                rows could be published. The request waits on, delayed.
            FactsChanged: another extract was made meanwhile that this one
                was not held against, or somebody was erased who had been
                read for it. Nothing is kept; the request waits on, delayed.
            RequestInvalid: it does not wait, or was approved, recalled or
                made beside this. Nothing of it is left.
            RowForged: its row is not as this instance wrote it, or entered.
            OutputExists: `folder` is taken; nothing was read.
            CriteriaNotMet: no class structure meets k and l within the
                suppression limit. There is no file, and an entry says so.

        """
        row, wanted = self._waiting(release, "requested", "approved")
        self._demand_fresh(release, folder)
        if row.outcome == "approved":
            await authorize(
                self._pdp,
                officer,
                Action.RELEASE_REQUEST,
                target={"service": wanted.service, "purpose": wanted.purpose},
            )
        else:
            await self._may_approve(officer, row, wanted)
        terms = await self._terms(_analyst(officer, row.officer), wanted)
        now = self._clock()
        columns = _leaving(terms)
        entries = self._ledger.size()
        cohort = await self._cohort(
            wanted, columns, now, terms.bundle, progress
        )
        self._enter(release, wanted, columns, "reading", {
            "people": len(cohort.subjects),
            "left_out": cohort.left_out,
            "officer": officer.id,
        })  # fmt: skip
        rows, known, everybody = self._rows(
            release, wanted, terms, cohort, progress
        )
        roll = self._vault.roll(
            list(dict.fromkeys((*cohort.subjects, *cohort.merged)))
        )
        spec = self._spec(release, wanted, terms, rows, hierarchies or {})
        sensitive = _sensitive(terms)
        had = self._released.past(
            wanted.recipient,
            _dataset(wanted),
            rows[PERSON],
            {name: rows[name] for name in sensitive},
        )
        try:
            # Of whoever was erased before the rows, there is an empty one.
            self._unerased(release, roll)
            extract = anonymize.build_extract(
                spec,
                rows,
                known=known,
                everybody=everybody,
                progress=progress,
                past=had.past,
                basis=release_basis(
                    self._consents.declaration(wanted.service, wanted.purpose),
                    columns=columns,
                    bundle=terms.bundle,
                    entries=entries,
                    now=now,
                    cohort=cohort,
                ),
            )
            guarded = {name: rows[name] for name in (PERSON, *sensitive)}
            self._remember(
                row,
                wanted,
                now,
                guarded,
                extract.classes,
                had.releases,
                roll,
            )
            shown = anonymize.for_recipient(spec, extract)
            anonymize.write_extract(
                shown, folder, anonymize.descriptions(spec)
            )
            officers_report(folder).write_bytes(extract.files["report.json"])
        except SuccessionRefused as refused:
            self._enter(release, wanted, columns, "delayed", {
                "withheld": refused.withheld,
                "allowed": refused.allowed,
            })  # fmt: skip
            raise
        except FactsChanged:
            self._enter(release, wanted, columns, "delayed", {})
            raise
        except CriteriaNotMet as missed:
            self._settle(row, wanted, columns, "unmet", {
                "k": missed.k_reached,
            })  # fmt: skip
            raise
        report = extract.report
        expires_at = now + wanted.days * DAY
        try:
            index = self._settle(
                row,
                wanted,
                columns,
                "taken",
                {
                    "manifest": shown.manifest_digest,
                    "rows": report.rows_out,
                    "expires_at": expires_at,
                    "approver": row.approver or officer.id,
                },
                rows=report.rows_out,
                manifest=shown.manifest_digest,
                check=self._unerased(release, roll),
                approver=row.approver or officer.id,
                expires_at=expires_at,
            )
        except (RequestInvalid, RowForged):  # recalled meanwhile, or forged
            _remove(folder)
            raise
        except FactsChanged:  # erased while the files were written
            _remove(folder)
            self._unmake(row, wanted, columns)
            raise
        proof = self._ledger.release_proof(index)
        (folder / PROOF).write_text(proof, encoding="utf-8")
        return Taken(
            release=release,
            folder=folder,
            manifest=shown.manifest_digest,
            ledger_index=index,
            left_out=cohort.left_out,
            rows_in=report.rows_in,
            rows_out=report.rows_out,
            k=report.k_reached,
            l=report.l_reached,
            ncp=report.ncp,
            highest_risk=report.risks.prosecutor.highest,
            average_risk=report.risks.prosecutor.average,
        )

    def releases(self) -> Sequence[Row[Any]]:
        """Every request and how it ended, newest first."""
        statement = (
            select(_TABLE)
            .where(_TABLE.c.tenant == self._tenant)
            .order_by(_TABLE.c.at.desc(), _TABLE.c.id)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return conn.execute(statement).all()

    async def _terms(self, officer: Caller, wanted: ReleaseRequest) -> Terms:
        declaration = self._consents.declaration(
            wanted.service, wanted.purpose
        )
        ruling = await self._pdp.decide(
            ENTRYPOINT,
            {
                "schema": SCHEMA,
                "now": self._clock(),
                "officer": {"id": officer.id, "roles": list(officer.roles)},
                "request": {
                    "columns": list(wanted.columns),
                    "k": wanted.k,
                    "l": wanted.l,
                    "sensitive": wanted.sensitive,
                    "recipient": wanted.recipient,
                },
                "declaration": (
                    None if declaration is None else declaration.facts
                ),
                "catalogue": {
                    name: {
                        "sensitivity": found.sensitivity,
                        "role": found.role.value,
                    }
                    for name in wanted.columns
                    if (found := self._classification.get(name)) is not None
                },
            },
        )
        terms = parse_terms(ruling.document, wanted.columns)
        return replace(terms, bundle=ruling.revision)

    async def _cohort(
        self,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        now: int,
        bundle: str,
        progress: Progress,
    ) -> Cohort:
        seen = 0

        def tell(people: int) -> None:
            nonlocal seen
            seen += people
            progress("cohort", seen, 0)

        return await self._cohorts.gather(
            wanted.service,
            wanted.purpose,
            columns,
            now=now,
            bundle=bundle,
            progress=tell,
        )

    def _rows(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        terms: Terms,
        cohort: Cohort,
        progress: Progress,
    ) -> tuple[
        dict[str, list[str]],
        dict[str, list["KnownValue"]],
        "ValueIndex | None",
    ]:
        """Open the columns and, for scrubbing texts, who the people are.

        Direct identifiers are opened only where a free text leaves, are
        handed to the scrubber, and are in no column. Everybody's are looked
        for in everybody's text, since notes name other people, too.
        """
        columns = _leaving(terms)
        texts = ColumnRole.TEXT in terms.columns.values()
        helpers = frozenset(
            name
            for name, one in self._classification.items()
            if texts and one.role is Role.DIRECT
        )
        rows: dict[str, list[str]] = {name: [] for name in columns}
        rows[PERSON] = []
        known: dict[str, list[KnownValue]] = {}
        names: list[tuple[KnownValue, str]] = []
        grants = self._grants(
            release, wanted, cohort.subjects, frozenset(columns) | helpers
        )
        total = len(cohort.subjects)
        for done, (subject, values) in enumerate(
            self._vault.read_many(grants), start=1
        ):
            person = str(subject)
            rows[PERSON].append(person)
            for name in columns:
                rows[name].append(values.get(name, ""))
            if texts:
                known[person] = [
                    anonymize.KnownValue(
                        entity=_entity(name), text=values[name]
                    )
                    for name in sorted(helpers & values.keys())
                ]
                names += _full_name(values)
            if done % _PAGE == 0 or done == total:
                progress("rows", done, total)
        everybody = None
        if texts:
            everybody = anonymize.ValueIndex(
                chain.from_iterable(known.values()), names
            )
        return rows, known, everybody

    def _grants(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        subjects: Sequence[UUID],
        attributes: frozenset[str],
    ) -> Iterator[ReadGrant]:
        for at, subject in enumerate(subjects):
            if at % _PAGE == 0:  # a long read outlives its first grants
                expires_at = self._clock() + GRANT_SECONDS
            yield ReadGrant(
                tenant=self._tenant,
                subject=subject,
                attributes=attributes,
                purpose=wanted.purpose,
                decision=release,
                expires_at=expires_at,
            )

    def _spec(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        terms: Terms,
        rows: Mapping[str, Sequence[str]],
        hierarchies: Mapping[str, Hierarchy],
    ) -> ExtractSpec:
        columns = {
            name: role
            for name, role in terms.columns.items()
            if role is not ColumnRole.DIRECT
        }
        quasi = [
            name for name, role in columns.items() if role is ColumnRole.QUASI
        ]
        return ExtractSpec(
            columns=columns,
            hierarchies=hierarchies_for(quasi, rows, hierarchies),
            k=terms.k,
            l=terms.l,
            suppression_limit=terms.suppression_limit,
            recipient=wanted.recipient,
            purpose=wanted.purpose,
            person=PERSON,
            pseudonym_key=self._pseudonym_key(
                wanted, None if terms.linked else release
            ),
        )

    def _pseudonym_key(
        self, wanted: ReleaseRequest, release: UUID | None
    ) -> bytes:
        """One key per (recipient, data set, release), by HKDF's extract.

        With linking granted the release is left out, so that the
        recipient's extracts of one data set can be joined.
        """
        fields = (
            wanted.recipient.encode(),
            f"{wanted.service}/{wanted.purpose}".encode(),
            b"" if release is None else release.bytes,
        )
        message = b"curtilage/pseudonym/1" + b"".join(
            len(one).to_bytes(4, "big") + one for one in fields
        )
        return hmac.digest(self._pseudonym_root, message, "sha256")

    def _demand_fresh(self, release: UUID, folder: Path) -> None:
        """Refuse, before anything is read, what could not be finished."""
        if not folder.parent.is_dir():
            msg = (
                f"{folder}: the folder {folder.parent} does not exist; make "
                "it, or name another place"
            )
            raise OutputExists(msg)
        if folder.exists():
            msg = f"{folder} exists; give a folder that does not"
            raise OutputExists(msg)
        if self._released.has(release):
            msg = (
                f"release {release} was made and not finished: file another "
                "request"
            )
            raise RequestInvalid(msg)

    def _remember(  # noqa: PLR0917 - the parts of one record
        self,
        row: Row[Any],
        wanted: ReleaseRequest,
        now: int,
        rows: Mapping[str, Sequence[str]],
        classes: Mapping[int, int],
        had: frozenset[UUID],
        roll: Roll,
    ) -> None:
        """Keep who is in which class, durably, before a file is written.

        The classes took their time. Under the lock it is looked whether the
        request still waits as it did, whether the recipient still had no
        more than what the classes were made beside, and whether everybody
        who was read is still there.
        """
        people = rows[PERSON]
        members = {people[at]: number for at, number in classes.items()}
        values = {
            name: {people[at]: rows[name][at] for at in classes}
            for name in rows
            if name != PERSON
        }
        dataset = _dataset(wanted)
        unerased = self._unerased(row.id, roll)

        def write(conn: Connection) -> None:
            # Most of the work comes before the lock that all wait for. The
            # row of the extract is its first and keeps off another take.
            self._released.remember(
                conn, row.id, wanted.recipient, dataset, now, members, values
            )
            self._ledger.lock(conn)
            outcome = select(_TABLE.c.outcome).where(_TABLE.c.id == row.id)
            if conn.execute(outcome).scalar_one() != row.outcome:
                raise _moved(row)
            known = self._released.released_to(conn, wanted.recipient, dataset)
            if known != had | {row.id}:
                msg = (
                    f"while release {row.id} was made another was, to who "
                    "gets this one too: take it again"
                )
                raise FactsChanged(msg)
            unerased(conn)

        try:
            self._transactions.run(write)
        except IntegrityError:
            msg = f"release {row.id} was made beside this: it is taken once"
            raise RequestInvalid(msg) from None

    def _unerased(
        self, release: UUID, roll: Roll
    ) -> Callable[[Connection], None]:
        """Refuse to go on about anybody who was erased since they were read.

        An erasure takes the ledger's lock first, in whatever process. Under
        it, one is over and found here, or comes later and finds what is kept.
        One that was cut off stands with the keys, of which nothing waits for
        the lock, so they are asked before it.

        Returns:
            What is to be called under the lock.

        Raises:
            FactsChanged: somebody was erased; so does what is returned.

        """
        erased = FactsChanged(
            f"while release {release} was made somebody was erased who "
            "would be in it: take it again"
        )
        if not roll.all_open():
            raise erased

        def check(conn: Connection) -> None:
            if not roll.all_held(conn):
                raise erased

        return check

    def _unmake(
        self,
        row: Row[Any],
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
    ) -> None:
        """Forget an extract whose files are gone, so that it can be taken."""

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            self._released.drop(conn, row.id)
            self._append(conn, row.id, wanted, columns, "delayed", {})

        self._transactions.run(write)

    def _waiting(
        self, release: UUID, *outcomes: str
    ) -> tuple[Row[Any], ReleaseRequest]:
        row = self._row(release)
        if row.outcome not in outcomes:
            states = " or ".join(outcomes)
            msg = (
                f"release {release} is {row.outcome}; only one that is "
                f"{states} can go on"
            )
            raise RequestInvalid(msg)
        wanted = _wanted(row)
        try:
            _demand_told(row, self._ahead(wanted).told)
        except RowForged:
            # An officer who acted since the row was read is no forger.
            if self._row(release) != row:
                raise _moved(row) from None
            raise
        return row, wanted

    def _row(self, release: UUID) -> Row[Any]:
        statement = select(_TABLE).where(
            _TABLE.c.id == release, _TABLE.c.tenant == self._tenant
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            row = conn.execute(statement).one_or_none()
        if row is None:
            msg = f"there is no release {release}; look at those there are"
            raise RequestInvalid(msg)
        self._requests.demand(row)
        return row

    def _write(
        self,
        officer: Caller,
        release: UUID,
        wanted: ReleaseRequest,
        outcome: str,
        reasons: Sequence[str],
    ) -> None:
        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            self._requests.insert(
                conn,
                {
                    "id": release,
                    "service": wanted.service,
                    "purpose": wanted.purpose,
                    "recipient": wanted.recipient,
                    "officer": officer.id,
                    "at": self._clock(),
                    "outcome": outcome,
                    "request": json.dumps(asdict(wanted)),
                    "rows": 0,
                    "manifest": "",
                },
            )
            self._append(
                conn,
                release,
                wanted,
                wanted.columns,
                outcome,
                {
                    "officer": officer.id,
                    "reasons": list(reasons),
                    "request": _beside(wanted),
                },
            )

        self._transactions.run(write)

    def _settle(
        self,
        row: Row[Any],
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        outcome: str,
        detail: Mapping[str, Json],
        *,
        check: Callable[[Connection], None] = lambda _: None,
        **columns_of_row: str | int,
    ) -> int:
        """Change how a request ended, from what it was when it was read.

        By the entries, too: a row of earlier that was put back is no ground.

        Raises:
            RequestInvalid: it is not what it was any more.
            RowForged: its row is not as this instance wrote it, or entered.
        """
        ahead = self._ahead(wanted)

        def write(conn: Connection) -> int:
            self._ledger.lock(conn)
            if not self._requests.change(
                conn, row, outcome=outcome, **columns_of_row
            ):
                raise _moved(row)
            ahead.on(conn=conn)
            _demand_told(row, ahead.told)
            check(conn)
            return self._append(conn, row.id, wanted, columns, outcome, detail)

        return self._transactions.run(write)

    def _ahead(self, wanted: ReleaseRequest) -> ReadAhead:
        """Read what the entries say, before the ledger's lock is taken."""
        return read_ahead(
            self._ledgers, service=wanted.service, purpose=wanted.purpose
        )

    def _enter(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        outcome: str,
        detail: Mapping[str, Json],
    ) -> None:
        self._transactions.run(
            lambda conn: self._append(
                conn, release, wanted, columns, outcome, detail
            )
        )

    def _append(  # noqa: PLR0917 - the parts of one entry
        self,
        conn: Connection,
        release: UUID,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        outcome: str,
        detail: Mapping[str, Json],
    ) -> int:
        draft = Draft(
            kind=EntryKind.RELEASE,
            subject=None,
            log_key=None,
            service=wanted.service,
            purpose=wanted.purpose,
            attributes=columns,
            outcome=outcome,
            at=self._clock(),
            decision=release,
            detail=dict(detail),
        )
        return self._ledger.append(conn, [draft])[0].numbered()


def officers_report(folder: Path) -> Path:
    """Where the officer's report of an extract stands: beside its folder."""
    return folder.parent / f"{folder.name}{OFFICERS}"


def _remove(folder: Path) -> None:
    shutil.rmtree(folder)
    officers_report(folder).unlink()


def parse_terms(answer: Mapping[str, Json], asked: Sequence[str]) -> Terms:
    """Read a decision of ``curtilage/release/1``, strictly.

    Raises:
        ReleaseRefused: the policy refused.
        NoDecision: any other shape.

    """
    columns = answer.get("columns")
    if (
        answer.get("schema") != SCHEMA
        or type(answer.get("allow")) is not bool
        or not isinstance(columns, Mapping)
    ):
        raise NoDecision(Cause.MALFORMED)
    if not answer["allow"]:
        raise ReleaseRefused(_codes(answer.get("reasons")))
    k, least, limit = answer["k"], answer["l"], answer["suppression_limit"]
    try:
        roles = {name: _role(columns[name]) for name in asked}
    except (KeyError, ValueError):
        raise NoDecision(Cause.MALFORMED) from None
    if (
        set(columns) != set(asked)
        or type(k) is not int
        or type(least) is not int
        or not isinstance(limit, int | float)
        or k < 2
        or not 0 <= limit < 1
        or answer.get("pseudonym") not in {"per-release", "linked"}
    ):
        raise NoDecision(Cause.MALFORMED)
    return Terms(
        columns=roles,
        k=k,
        l=least,
        suppression_limit=float(limit),
        linked=answer["pseudonym"] == "linked",
    )


def _role(found: Json) -> ColumnRole:
    if not isinstance(found, Mapping) or set(found) != {"role"}:
        raise NoDecision(Cause.MALFORMED)
    return ColumnRole(str(found["role"]))


def _codes(reasons: Json) -> list[str]:
    if not isinstance(reasons, list):
        return ["unexplained"]
    return sorted(
        str(one.get("code")) for one in reasons if isinstance(one, Mapping)
    )


def _wanted(row: Row[Any]) -> ReleaseRequest:
    """Read what a request asks for, which is anything.

    Raises:
        RowForged: it is no request.
    """
    try:
        found = json.loads(row.request)
        return ReleaseRequest(**{**found, "columns": tuple(found["columns"])})
    except (LookupError, TypeError, ValueError, RecursionError):
        raise RowForged(_TABLE.name) from None


def _beside(wanted: ReleaseRequest) -> Mapping[str, Json]:
    """What a request asks for beside what every entry of it tells."""
    return {
        "recipient": wanted.recipient,
        "k": wanted.k,
        "l": wanted.l,
        "sensitive": wanted.sensitive,
        "days": wanted.days,
    }


def _demand_told(row: Row[Any], told: Settled) -> None:
    """Make sure that a request is as the entries about it tell.

    Raises:
        RowForged: they tell otherwise, or not at all.
    """
    read = {
        "officer": row.officer,
        "recipient": row.recipient,
        "request": row.request,
        "outcome": row.outcome,
        "approver": row.approver,
    }
    told.demand(Key(ProposalKind.RELEASE, str(row.id)), read)


def _moved(row: Row[Any]) -> RequestInvalid:
    return RequestInvalid(f"release {row.id} is not {row.outcome} any more")


def _analyst(officer: Caller, proposer: str) -> Caller:
    """Who filed a request, in the place of who acts on it."""
    return Caller(kind=officer.kind, id=proposer, roles=("analyst",))


def _dataset(wanted: ReleaseRequest) -> str:
    return f"{wanted.service}/{wanted.purpose}"


def _leaving(terms: Terms) -> tuple[str, ...]:
    return tuple(
        name
        for name, role in terms.columns.items()
        if role is not ColumnRole.DIRECT
    )


def _sensitive(terms: Terms) -> list[str]:
    return sorted(
        name
        for name, role in terms.columns.items()
        if role is ColumnRole.SENSITIVE
    )


def _full_name(
    values: Mapping[str, str],
) -> Iterator[tuple["KnownValue", str]]:
    """Give a person's name as it is written, in both orders."""
    parts = [values.get(f"user.name.{one}", "") for one in _NAMES]
    if all(parts):
        # In the order in which a person's own values have their key.
        value = anonymize.KnownValue(
            entity="PERSON", text=" ".join(sorted(parts))
        )
        yield value, value.text
        yield value, " ".join(sorted(parts, reverse=True))


def _entity(name: str) -> str:
    for prefix, entity in _ENTITIES.items():
        if name.startswith(prefix):
            return entity
    return "IDENTIFIER"
