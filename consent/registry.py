"""The declarations of one tenant, in the database and in memory.

Every process keeps the declarations in memory, with the facts that decisions
read already built. A row counts the changes; each look at the declarations
reads that row first, so no process ever answers with a version that another
one has replaced.

A row that somebody edited is no declaration, and takes no other away: only
whoever asks for it is told, or for what it was the version in force of.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf
from operator import itemgetter

from sqlalchemy import (
    BindParameter,
    Connection,
    Engine,
    bindparam,
    delete,
    insert,
    select,
    text,
)
from sqlmodel import col

from consent.declaration_json import read_declaration, write_declaration
from consent.declarations import Declaration
from consent.errors import (
    DeclarationFrozen,
    DeclarationInvalid,
    UnknownNotice,
)
from consent.notices import Notice, notice_digest, render_notice
from consent.predicates import excess, predicates_in, source_of
from consent.prepared import PreparedSelect
from consent.row_macs import RowMacs
from consent.separation import separate_grounds
from consent.tables import DeclarationRow, EventRow, NoticeRow, RegistryRow
from consent.vocabulary import Language

_TENANT: BindParameter[str] = bindparam("tenant")
_REVISION = select(col(RegistryRow.revision)).where(
    col(RegistryRow.tenant) == _TENANT
)
_ALL = select(
    col(DeclarationRow.digest),
    col(DeclarationRow.text),
    col(DeclarationRow.version),
    col(DeclarationRow.service),
    col(DeclarationRow.purpose),
).where(col(DeclarationRow.tenant) == _TENANT)
_SAME_VERSION = select(col(DeclarationRow.digest)).where(
    col(DeclarationRow.tenant) == _TENANT,
    col(DeclarationRow.service) == bindparam("service"),
    col(DeclarationRow.purpose) == bindparam("purpose"),
    col(DeclarationRow.version) == bindparam("version"),
)
_OF_SERVICE = select(
    col(DeclarationRow.digest), col(DeclarationRow.text)
).where(
    col(DeclarationRow.tenant) == _TENANT,
    col(DeclarationRow.service) == bindparam("service"),
)
_TEXT = select(col(DeclarationRow.text)).where(
    col(DeclarationRow.tenant) == _TENANT,
    col(DeclarationRow.digest) == bindparam("digest"),
)
_ANSWERED = (
    select(col(EventRow.id))
    .where(
        col(EventRow.tenant) == _TENANT,
        col(EventRow.declaration) == bindparam("declaration"),
    )
    .limit(1)
)
_NOTICE = select(
    col(NoticeRow.text),
    col(NoticeRow.declaration),
    col(NoticeRow.language),
    col(NoticeRow.statement),
).where(
    col(NoticeRow.tenant) == _TENANT,
    col(NoticeRow.digest) == bindparam("digest"),
)
_COUNT = text(
    "INSERT INTO consent_registry (tenant, revision) VALUES (:tenant, 1)"
    " ON CONFLICT (tenant) DO UPDATE"
    " SET revision = consent_registry.revision + 1"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was read of the tables.

    Attributes:
        revision: the count that it was read under.
        by_digest: the versions, or why one does not read.
        live: the versions in force, or why one does not read.
        whole: whether every version reads.
    """

    revision: int
    by_digest: Mapping[str, Declaration | DeclarationInvalid]
    live: Mapping[tuple[str, str], Declaration | DeclarationInvalid]
    whole: bool


_NOTHING_KNOWN = _Known(revision=-1, by_digest={}, live={}, whole=True)


class DeclarationRegistry:
    """The declarations and notices of one tenant.

    Args:
        engine: the data database.
        tenant: whose declarations.
        macs: vouches for which there are.
    """

    def __init__(self, engine: Engine, tenant: str, macs: RowMacs) -> None:
        self._macs = macs
        self._engine = engine
        self._tenant = tenant
        self._revision = PreparedSelect(engine, _REVISION)
        self._notice = PreparedSelect(engine, _NOTICE)
        self._text = PreparedSelect(engine, _TEXT)
        # Replaced as a whole, never changed: readers need no lock.
        self._known = _NOTHING_KNOWN

    def register(self, conn: Connection, declaration: Declaration) -> None:
        """Add a version, or replace it as long as nobody answered it.

        The notices of every language that it has texts for are stored too.

        Args:
            conn: the caller's transaction.
            declaration: the version.

        Raises:
            DeclarationFrozen: somebody answered another text of it.
            DeclarationInvalid: as `demand_few`.
        """
        # Counting first takes the row's lock: registrations queue up here.
        conn.execute(_COUNT, {"tenant": self._tenant})
        standing = conn.execute(
            _SAME_VERSION,
            {
                "tenant": self._tenant,
                "service": declaration.service,
                "purpose": declaration.purpose,
                "version": declaration.version,
            },
        ).scalar()
        if standing == declaration.digest:
            return
        # Of two purposes at once, the second finds the first here.
        self.demand_few(conn, declaration)
        if standing is not None:
            self._remove(conn, standing)
        conn.execute(
            insert(DeclarationRow).values(
                tenant=self._tenant,
                digest=declaration.digest,
                service=declaration.service,
                purpose=declaration.purpose,
                version=declaration.version,
                text=write_declaration(declaration),
            )
        )
        for language in Language:
            if (
                language in declaration.title
                and language in declaration.purpose_text
            ):
                self._store(conn, declaration, language, "")
                for one in declaration.statements:
                    if separate_grounds(declaration, one):
                        self._store(conn, declaration, language, one.id)

    def demand_open(self, conn: Connection, declaration: Declaration) -> None:
        """Make sure that `register` would take a version, and that it counts.

        Raises:
            DeclarationFrozen: somebody answered another text of it, or a
                higher version is in force.
            DeclarationInvalid: as `demand_few`.
        """
        live = self.live(declaration.service, declaration.purpose)
        if live is not None and live.version > declaration.version:
            msg = (
                f"version {live.version} of {declaration.service}/"
                f"{declaration.purpose} is in force; give yours a higher one"
            )
            raise DeclarationFrozen(msg)
        standing = conn.execute(
            _SAME_VERSION,
            {
                "tenant": self._tenant,
                "service": declaration.service,
                "purpose": declaration.purpose,
                "version": declaration.version,
            },
        ).scalar()
        if standing not in {None, declaration.digest}:
            self._demand_unanswered(conn, str(standing))
        self.demand_few(conn, declaration)

    def demand_few(self, conn: Connection, declaration: Declaration) -> None:
        """Make sure that a service does not ask its way to a value.

        What counts is what it has in force for all of its purposes.

        Args:
            conn: the caller's transaction, in which nothing is changed.
            declaration: the version that would come into force.

        Raises:
            DeclarationInvalid: a predicate that the version adds is one too
                many (`consent.predicates.MOST`), or what is stored of the
                service was changed.
        """
        live = self._live_of(conn, declaration.service)
        own = live.pop(declaration.purpose, None)
        if own is not None and own.version > declaration.version:
            return  # it does not come into force
        for source, added, asked in excess(
            declaration.named(),
            () if own is None else own.named(),
            {name for one in live.values() for name in one.named()},
        ):
            raise DeclarationInvalid(
                where=f"{declaration.service}/{declaration.purpose}/"
                f"{declaration.version}",
                line=0,
                column=0,
                what=f"what {declaration.service} asks about {source} for "
                f"all of its purposes together tells its value: "
                f"{', '.join(asked)}",
                remedy=f"leave out {', '.join(added)}, or first publish a "
                f"version that asks less for {_asking(live, source)}",
                code="too-many-predicates",
            )

    def _live_of(
        self, conn: Connection, service: str
    ) -> dict[str, Declaration]:
        """Read what a service has in force, by purpose."""
        rows = conn.execute(
            _OF_SERVICE, {"tenant": self._tenant, "service": service}
        ).all()
        known = self._known.by_digest
        found = [
            one
            if isinstance(one := known.get(digest), Declaration)
            else self._read(digest, body)
            for digest, body in rows
        ]
        found.sort(key=lambda one: one.version)
        return {one.purpose: one for one in found}

    def _demand_unanswered(self, conn: Connection, digest: str) -> None:
        answered = conn.execute(
            _ANSWERED, {"tenant": self._tenant, "declaration": digest}
        ).first()
        if answered is not None:
            msg = (
                f"declaration {digest} was answered and stays as it is;"
                " register the change under a new version"
            )
            raise DeclarationFrozen(msg)

    def _remove(self, conn: Connection, digest: str) -> None:
        self._demand_unanswered(conn, digest)
        for table, column in (
            (NoticeRow, col(NoticeRow.declaration)),
            (DeclarationRow, col(DeclarationRow.digest)),
        ):
            conn.execute(
                delete(table).where(
                    col(table.tenant) == self._tenant, column == digest
                )
            )

    def _store(
        self,
        conn: Connection,
        declaration: Declaration,
        language: str,
        statement: str,
    ) -> None:
        notice = render_notice(declaration, language, statement)
        conn.execute(
            insert(NoticeRow).values(
                tenant=self._tenant,
                digest=notice.digest,
                declaration=declaration.digest,
                language=language,
                text=notice.text,
                statement=statement,
            )
        )

    def count(self, conn: Connection) -> None:
        """Count a change, so that whoever keeps something reads it anew."""
        conn.execute(_COUNT, {"tenant": self._tenant})

    def revision(self) -> int:
        """Return the count of changes as the last reader found it."""
        return self._known.revision

    def live(
        self, service: str, purpose: str, conn: Connection | None = None
    ) -> Declaration | None:
        """Return the version in force: the highest one, or None.

        Args:
            service: the service.
            purpose: its purpose.
            conn: a transaction to look in whether anything changed, where
                there is one; the pool's connections cost more.

        Raises:
            DeclarationInvalid: what is stored of that version was changed.
        """
        return _readable(self._current(conn).live.get((service, purpose)))

    def by_digest(
        self, digest: str, conn: Connection | None = None
    ) -> Declaration | None:
        """Return the version that has a digest, or None.

        Args:
            digest: 64 hexadecimal digits.
            conn: a transaction, to see what it has not yet committed.

        Raises:
            DeclarationInvalid: what is stored of it was changed.
        """
        if conn is None:
            return _readable(self._current().by_digest.get(digest))
        rows = self._text.rows(
            {"tenant": self._tenant, "digest": digest}, conn
        )
        if not rows:
            return None
        # What a digest names does not change, so memory will do.
        known = self._known.by_digest.get(digest)
        if isinstance(known, Declaration):
            return known
        return self._read(digest, rows[0][0])

    def all(self) -> tuple[Declaration, ...]:
        """Return every version, by service, purpose and version.

        Raises:
            DeclarationInvalid: what is stored of one of them was changed.
        """
        found = [
            one
            for each in self._current().by_digest.values()
            if (one := _readable(each)) is not None
        ]
        return tuple(
            sorted(found, key=lambda d: (d.service, d.purpose, d.version))
        )

    def notice(
        self, digest: str, conn: Connection | None = None
    ) -> tuple[Notice, str]:
        """Return a stored notice and the digest of its declaration.

        Args:
            digest: SHA-256 of the notice's text.
            conn: a transaction, to see what it has not yet committed.

        Raises:
            UnknownNotice: no such text is stored, or it was changed.
        """
        rows = self._notice.rows(
            {"tenant": self._tenant, "digest": digest}, conn
        )
        for body, declaration, language, statement in rows:
            if notice_digest(body) == digest:
                notice = Notice(
                    text=body,
                    digest=digest,
                    language=language,
                    statement=statement or "",
                )
                return notice, declaration
        msg = f"no notice {digest} is stored"
        raise UnknownNotice(msg)

    def _current(self, conn: Connection | None = None) -> _Known:
        rows = self._revision.rows({"tenant": self._tenant}, conn)
        revision = rows[0][0] if rows else 0
        known = self._known
        # What was put back from a backup counts no change.
        if known.revision == revision and known.whole:
            return known
        return self._load(revision)

    def _load(self, revision: int) -> _Known:
        # Read after the revision: what is newer is loaded once too often.
        with self._engine.connect().execution_options(read_only=True) as conn:
            rows = conn.execute(_ALL, {"tenant": self._tenant}).all()
        before = self._known.by_digest
        found: dict[str, Declaration | DeclarationInvalid] = {}
        ranked = []
        for row in rows:
            known = before.get(row.digest)
            if not isinstance(known, Declaration):
                known = self._tried(row.digest, row.text)
            found[row.digest] = known
            # Of one that does not read, its columns say what it is of.
            about = known if isinstance(known, Declaration) else row
            ranked.append((_rank(about.version), about, known))
        ranked.sort(key=itemgetter(0))
        self._known = _Known(
            revision=revision,
            by_digest=found,
            live={
                (about.service, about.purpose): known
                for _, about, known in ranked
            },
            whole=all(isinstance(one, Declaration) for one in found.values()),
        )
        return self._known

    def _tried(
        self, digest: str, body: str
    ) -> Declaration | DeclarationInvalid:
        try:
            return self._read(digest, body)
        except DeclarationInvalid as error:
            return error

    def _read(self, digest: str, body: str) -> Declaration:
        where = f"declaration {digest}"
        declaration = read_declaration(body, where=where)
        if declaration.digest != digest:
            raise DeclarationInvalid(
                where=where,
                line=0,
                column=0,
                what="it has the text of another declaration",
                remedy="restore it from a backup; it was changed",
            )
        return declaration


def _asking(live: Mapping[str, Declaration], source: str) -> str:
    return ", ".join(
        purpose
        for purpose, one in sorted(live.items())
        if source in map(source_of, predicates_in(one.named()))
    )


def _rank(version: object) -> float:
    """One whose number does not read either may be the highest."""
    return version if type(version) is int else inf


def _readable(
    found: Declaration | DeclarationInvalid | None,
) -> Declaration | None:
    if isinstance(found, DeclarationInvalid):
        raise found.with_traceback(None)
    return found
