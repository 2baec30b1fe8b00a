"""The declarations of one tenant, in the database and in memory.

Every process keeps the declarations in memory, with the facts that decisions
read already built. A row counts the changes; each look at the declarations
reads that row first, so no process ever answers with a version that another
one has replaced.

A text that somebody edited is no declaration, and takes no other away: only
whoever asks for it is told, or for what it was the version in force of. Where
rows were added, taken away or moved (`consent.registry_rows`) it cannot be
known which version is in force, and there is no declaration at all.
"""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from math import inf
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    Engine,
    Select,
    bindparam,
    delete,
    insert,
    select,
)
from sqlmodel import col

from consent.declaration_json import read_declaration, write_declaration
from consent.declarations import Declaration
from consent.errors import (
    DeclarationFrozen,
    DeclarationInvalid,
    RowForged,
    UnknownNotice,
)
from consent.notices import Notice, notice_digest, render_notice
from consent.predicates import excess, predicates_in, source_of
from consent.prepared import PreparedSelect
from consent.registry_rows import (
    KIND,
    Change,
    DeclarationFields,
    Mark,
    RegistryRows,
    Standing,
)
from consent.row_macs import RowMacs
from consent.separation import separate_grounds
from consent.tables import DeclarationRow, EventRow, NoticeRow
from consent.vocabulary import Language

_TENANT: BindParameter[str] = bindparam("tenant")
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What was read of the tables.

    Attributes:
        mark: the count that it was read under, and its code.
        by_digest: the versions, or why one does not read.
        live: the versions in force, or why one does not read.
        beside: what else stood under the count.
        whole: whether every version reads.
    """

    mark: Mark
    by_digest: Mapping[str, Declaration | DeclarationInvalid]
    live: Mapping[tuple[str, str], Declaration | DeclarationInvalid]
    beside: Sequence[tuple[Any, ...]]
    whole: bool


_NOTHING_KNOWN = _Known(
    mark=Mark(-1, None), by_digest={}, live={}, beside=(), whole=True
)


class DeclarationRegistry:
    """The declarations and notices of one tenant.

    Args:
        engine: the data database.
        tenant: whose declarations.
        macs: vouches for which there are.
        beside: as for `RegistryRows`.
    """

    def __init__(
        self,
        engine: Engine,
        tenant: str,
        macs: RowMacs,
        beside: Select[Any] | None = None,
    ) -> None:
        self._required = macs.required
        self._tenant = tenant
        self._rows = RegistryRows(engine, tenant, macs, beside)
        self._notice = PreparedSelect(engine, _NOTICE)
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
            RowForged: what stands there was not written by us.
        """
        # The row's lock is taken first: registrations queue up here.
        with self.change(conn) as change:
            self._put(conn, declaration, change)

    def _put(
        self, conn: Connection, declaration: Declaration, change: Change
    ) -> None:
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
            change.withdrawn(standing)
        row = DeclarationFields(
            digest=declaration.digest,
            version=declaration.version,
            service=declaration.service,
            purpose=declaration.purpose,
            text=write_declaration(declaration),
        )
        conn.execute(
            insert(DeclarationRow).values(tenant=self._tenant, **row._asdict())
        )
        change.declared(row)
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
        live = self.live(declaration.service, declaration.purpose, conn)
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

    def change(self, conn: Connection) -> AbstractContextManager[Change]:
        """Count what is changed inside; see `RegistryRows.change`."""
        return self._rows.change(conn)

    def standing(self, conn: Connection) -> Standing:
        """Return what stands there, for whoever is to vouch for it."""
        return self._rows.unchecked(conn)

    def vouch(self, conn: Connection) -> Standing:
        """Vouch for what stands there; see `RegistryRows.vouch`."""
        return self._rows.vouch(conn)

    def beside(self, *, anew: bool) -> Sequence[tuple[Any, ...]]:
        """Return what else stands under the count.

        Args:
            anew: whether to look if anything changed; where not, it is as
                the last reader of a declaration found it.

        Returns:
            The rows; the same object as long as nothing changed.

        Raises:
            RowForged: what stands there was not written by us.
        """
        return (self._current() if anew else self._known).beside

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
            RowForged: what stands there was not written by us.
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
            RowForged: what stands there was not written by us.
        """
        known = self._current() if conn is None else self._seen_in(conn)
        return _readable(known.by_digest.get(digest))

    def all(self) -> tuple[Declaration, ...]:
        """Return every version, by service, purpose and version.

        Raises:
            DeclarationInvalid: what is stored of one of them was changed.
            RowForged: what stands there was not written by us.
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
        known = self._known
        # What was put back from a backup counts no change.
        if known.whole and known.mark == self._rows.mark(conn):
            return known
        return self._load()

    def _seen_in(self, conn: Connection) -> _Known:
        """Return what a transaction sees, which it may not have committed."""
        mark = self._rows.mark(conn)
        known = self._known
        if not known.whole or known.mark != mark:
            known = self._load()
        if known.mark == mark:
            return known
        return self._made(self._rows.read(conn))

    def _load(self) -> _Known:
        before = self._known
        found = self._rows.read()
        # It never counts down, and no count has two codes: else this is an
        # earlier state that was put back, or goes on from one.
        if (
            self._required
            and found.mark != before.mark
            and found.mark.revision <= before.mark.revision
        ):
            raise RowForged(KIND)
        self._known = self._made(found)
        return self._known

    def _made(self, standing: Standing) -> _Known:
        before = self._known.by_digest
        found: dict[str, Declaration | DeclarationInvalid] = {}
        ranked = []
        for row in standing.declarations:
            known = before.get(row.digest)
            if not isinstance(known, Declaration):
                known = self._tried(row.digest, row.text)
            found[row.digest] = known
            # Of one that does not read, its columns say what it is of.
            about = known if isinstance(known, Declaration) else row
            ranked.append((_rank(about.version), about, known))
        ranked.sort(key=itemgetter(0))
        return _Known(
            mark=standing.mark,
            by_digest=found,
            live={
                (about.service, about.purpose): known
                for _, about, known in ranked
            },
            beside=standing.beside,
            whole=all(isinstance(one, Declaration) for one in found.values()),
        )

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
