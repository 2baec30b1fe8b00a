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
"""

import hmac
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID

from sqlalchemy import Connection, Engine, select, update

import anonymize
from anonymize import CriteriaNotMet, ExtractSpec, Hierarchy
from anonymize import Role as ColumnRole
from consent import ConsentStore, Draft, EntryKind, Ledger
from policy.authority import Action, Caller, authorize
from policy.classification import Classification, Role
from policy.cohort import Cohort, CohortSource
from policy.decisions import Json
from policy.errors import ReleaseRefused, RequestInvalid
from policy.facts import FactSource
from policy.hierarchies import hierarchies_for
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from policy.tables import ReleaseRow
from vault import ReadGrant, Vault

if TYPE_CHECKING:
    from anonymize import KnownValue

ENTRYPOINT = "curtilage/release/decision"
SCHEMA = "curtilage/release/1"
GRANT_SECONDS = 3600
PERSON = "person"
_TABLE = ReleaseRow.metadata.tables["policy_release"]
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
    """What an analyst asks for."""

    service: str
    purpose: str
    recipient: str
    columns: tuple[str, ...]
    k: int = 2
    l: int = 1  # noqa: E741 - the literature's own name for it
    sensitive: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What `policies/release` decided."""

    columns: Mapping[str, ColumnRole]
    k: int
    l: int  # noqa: E741 - the literature's own name for it
    suppression_limit: float
    linked: bool


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
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        classification: Mapping[str, Classification],
        pseudonym_root: bytes,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._tenant = tenant
        self._engine = engine
        self._vault = vault
        self._consents = consents
        self._cohorts = CohortSource(
            tenant=tenant, engine=engine, vault=vault, facts=facts, pdp=pdp
        )
        self._ledger = ledger
        self._pdp = pdp
        self._classification = classification
        self._pseudonym_root = pseudonym_root
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

    async def take(
        self,
        officer: Caller,
        release: UUID,
        folder: Path,
        *,
        hierarchies: Mapping[str, Hierarchy] | None = None,
        progress: Progress = lambda _stage, _done, _total: None,
    ) -> Taken:
        """Make the extract of a request that somebody else filed.

        Args:
            officer: who approves by taking.
            release: the request's id.
            folder: where the files are to stand; it must not exist.
            hierarchies: by attribute; others have the built-in ones.
            progress: told the stage and how far it is.

        Raises:
            NotPermitted: `officer` filed it.
            ReleaseRefused: the terms do not hold any more.
            CriteriaNotMet: no class structure meets k and l within the
                suppression limit. There is no file, and an entry says so.

        """
        proposer, wanted = self._requested(release)
        await authorize(
            self._pdp,
            officer,
            Action.RELEASE_APPROVE,
            target={
                "service": wanted.service,
                "purpose": wanted.purpose,
                "proposer": proposer,
            },
        )
        terms = await self._terms(
            Caller(kind=officer.kind, id=proposer, roles=("analyst",)), wanted
        )
        now = self._clock()
        columns = _leaving(terms)
        cohort = await self._cohort(wanted, columns, now, progress)
        self._enter(release, wanted, columns, "reading", {
            "people": len(cohort.subjects),
            "left_out": cohort.left_out,
            "officer": officer.id,
        })  # fmt: skip
        rows, known = self._rows(release, wanted, terms, cohort, progress)
        spec = self._spec(release, wanted, terms, rows, hierarchies or {})
        try:
            extract = anonymize.build_extract(
                spec, rows, known=known, progress=progress
            )
            anonymize.write_extract(
                extract, folder, anonymize.descriptions(spec)
            )
        except CriteriaNotMet as missed:
            self._settle(release, wanted, columns, "unmet", {
                "k": missed.k_reached,
            })  # fmt: skip
            raise
        report = extract.report
        index = self._settle(release, wanted, columns, "taken", {
            "manifest": extract.manifest_digest,
            "rows": report.rows_out,
        })  # fmt: skip
        return Taken(
            release=release,
            folder=folder,
            manifest=extract.manifest_digest,
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

    def releases(self) -> Sequence[ReleaseRow]:
        """Every request and how it ended, newest first."""
        statement = (
            select(_TABLE)
            .where(_TABLE.c.tenant == self._tenant)
            .order_by(_TABLE.c.at.desc(), _TABLE.c.id)
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            return conn.execute(statement).all()  # type: ignore[return-value] # Rows with the table's columns

    async def _terms(self, officer: Caller, wanted: ReleaseRequest) -> Terms:
        declaration = self._consents.declaration(
            wanted.service, wanted.purpose
        )
        answer = await self._pdp.decide(
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
        return parse_terms(answer, wanted.columns)

    async def _cohort(
        self,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        now: int,
        progress: Progress,
    ) -> Cohort:
        seen = 0

        def tell(people: int) -> None:
            nonlocal seen
            seen += people
            progress("cohort", seen, 0)

        return await self._cohorts.gather(
            wanted.service, wanted.purpose, columns, now=now, progress=tell
        )

    def _rows(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        terms: Terms,
        cohort: Cohort,
        progress: Progress,
    ) -> tuple[dict[str, list[str]], dict[str, list["KnownValue"]]]:
        """Open the columns and, for scrubbing texts, who the person is.

        Direct identifiers are opened only where a free text leaves, are
        handed to the scrubber, and are in no column.
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
            progress("rows", done, total)
        return rows, known

    def _grants(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        subjects: Sequence[UUID],
        attributes: frozenset[str],
    ) -> Iterator[ReadGrant]:
        for subject in subjects:
            yield ReadGrant(
                tenant=self._tenant,
                subject=subject,
                attributes=attributes,
                purpose=wanted.purpose,
                decision=release,
                expires_at=self._clock() + GRANT_SECONDS,
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

    def _requested(self, release: UUID) -> tuple[str, ReleaseRequest]:
        statement = select(_TABLE).where(
            _TABLE.c.id == release, _TABLE.c.tenant == self._tenant
        )
        with self._engine.connect().execution_options(read_only=True) as conn:
            row = conn.execute(statement).one_or_none()
        if row is None or row.outcome != "requested":
            msg = f"release {release} is not waiting to be taken"
            raise RequestInvalid(msg)
        found = json.loads(row.request)
        return row.officer, ReleaseRequest(
            **{**found, "columns": tuple(found["columns"])}
        )

    def _write(
        self,
        officer: Caller,
        release: UUID,
        wanted: ReleaseRequest,
        outcome: str,
        reasons: Sequence[str],
    ) -> None:
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            conn.execute(
                _TABLE.insert().values(
                    id=release,
                    tenant=self._tenant,
                    service=wanted.service,
                    purpose=wanted.purpose,
                    recipient=wanted.recipient,
                    officer=officer.id,
                    at=self._clock(),
                    outcome=outcome,
                    request=json.dumps(asdict(wanted)),
                    rows=0,
                    manifest="",
                )
            )
            self._append(
                conn,
                release,
                wanted,
                wanted.columns,
                outcome,
                {"officer": officer.id, "reasons": list(reasons)},
            )

    def _settle(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        outcome: str,
        detail: Mapping[str, Json],
    ) -> int:
        with self._engine.begin() as conn:
            self._ledger.lock(conn)
            conn.execute(
                update(ReleaseRow)
                .where(_TABLE.c.id == release)
                .values(
                    outcome=outcome,
                    rows=detail.get("rows", 0),
                    manifest=detail.get("manifest", ""),
                )
            )
            return self._append(
                conn, release, wanted, columns, outcome, detail
            )

    def _enter(
        self,
        release: UUID,
        wanted: ReleaseRequest,
        columns: tuple[str, ...],
        outcome: str,
        detail: Mapping[str, Json],
    ) -> None:
        with self._engine.begin() as conn:
            self._append(conn, release, wanted, columns, outcome, detail)

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
        return self._ledger.append(conn, [draft])[0].index


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


def _leaving(terms: Terms) -> tuple[str, ...]:
    return tuple(
        name
        for name, role in terms.columns.items()
        if role is not ColumnRole.DIRECT
    )


def _entity(name: str) -> str:
    for prefix, entity in _ENTITIES.items():
        if name.startswith(prefix):
            return entity
    return "IDENTIFIER"
