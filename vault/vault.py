"""The vault: one tenant's people, their sealed values, and how they open.

The vault knows a subject id and an attribute name and never why somebody
asks. It opens only on a `ReadGrant`. Nothing opened is kept: there is no
cache of keys or values, and every read sees the newest committed rows.

An unknown or erased person takes the way of the tenant's decoy, with the
same queries and the same cryptography, and comes back empty.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hmac import compare_digest
from itertools import islice
from struct import error as struct_error
from typing import NoReturn
from uuid import UUID

from sqlalchemy import Connection, Engine

from vault import format as fmt
from vault.catalogue import Catalogue, validate
from vault.decoy import TYPICAL
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import (
    CryptoFailure,
    GrantRefused,
    NotIndexed,
    UnknownSubject,
)
from vault.grants import (
    ErasureReport,
    Finding,
    HistoricValue,
    Holding,
    ReadGrant,
)
from vault.indexes import KEY_VERSION, BlindIndex
from vault.keystore import KeyStore
from vault.rows import DataRows, Found, Stored
from vault.sweep import Sweep
from vault.tables import DekState
from vault.writing import CHUNK, Writer

_STRANGE = (TypeError, ValueError, OverflowError, struct_error)
"""What Python says when a column holds something of another type."""


class Vault:
    """Custody of one tenant's personal data. Safe to share between threads.

    Args:
        tenant: id of the public body, at most 64 characters.
        data: the data database.
        keys: the keys database of the same tenant.
        catalogue: the attributes.
        clock: gives POSIX seconds.
        random: as ``os.urandom``; nonces come from it.

    """

    def __init__(
        self,
        *,
        tenant: str,
        data: Engine,
        keys: KeyStore,
        catalogue: Catalogue,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        if keys.tenant != tenant or not 0 < len(tenant) <= 64:
            msg = "the keys are of another tenant, or the id is unfit"
            raise ValueError(msg)
        self.tenant = tenant
        self.catalogue = catalogue
        self._data = data
        self._keys = keys
        self._clock = clock
        self._rows = DataRows(data, tenant)
        self._names = {catalogue[name].number: name for name in catalogue}
        self._writer = Writer(
            rows=self._rows,
            keys=keys,
            catalogue=catalogue,
            clock=clock,
            random=random,
        )
        self._secrets: tuple[UUID, BlindIndex] | None = None

    def __reduce__(self) -> NoReturn:
        msg = "a vault is not serialised"
        raise TypeError(msg)

    def close(self) -> None:
        """Close the connections kept for reading."""
        self._rows.reader.close()
        self._keys.close()

    # Set-up and start

    def initialise(self) -> None:
        """Make the tenant's first KEK, index root and decoy.

        Again is harmless, and finishes what a crash interrupted.
        """
        decoy = self._keys.initialise().decoy
        with self._data.begin() as conn:
            if not self._rows.states(conn, [decoy], lock=True):
                values = {
                    name: text
                    for name, text in TYPICAL.items()
                    if name in self.catalogue
                }
                self._writer.write(
                    conn, [(decoy, values)], source="decoy", index=None
                )

    def recover(self) -> int:
        """Finish the erasures that a crash or a rollback interrupted.

        To be called at start, outside any transaction.

        Returns:
            How many had something left to do.

        """
        finished = 0
        seen = []
        for subject, state in self._keys.unsettled():
            with self._data.begin() as conn:
                removed = self._rows.delete(conn, subject)
            if state is DekState.ERASING:
                self._keys.destroy_dek(subject)
            finished += state is DekState.ERASING or any(removed)
            seen.append(subject)
        self._keys.settle(seen)
        return finished

    # Writing

    def enrol(self) -> UUID:
        """Enrol a new person: their DEK is committed when this returns."""
        return self.enrol_many(1)[0]

    def enrol_many(self, count: int) -> list[UUID]:
        """Enrol new people in one commit of the keys database."""
        return self._keys.create_deks(count)

    def put(
        self,
        conn: Connection,
        subject: UUID,
        values: Mapping[str, str],
        *,
        source: str,
    ) -> int:
        """Write new versions of some attributes of one person.

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.
            values: by attribute name; other attributes stay.
            source: where they come from.

        Returns:
            The epoch of the person's record; kept as evidence elsewhere, it
            lets `verify` notice a record rolled back as a whole.

        Raises:
            UnknownSubject: not enrolled, or erased.
            UnknownAttribute: a name is not in the catalogue.
            InvalidValue: a text is no value of its attribute.
            DuplicateIdentifier: somebody else has that identifier.
            CryptoFailure: the person's stored state does not verify.

        """
        return self.put_many(conn, [(subject, values)], source=source)[subject]

    def put_many(
        self,
        conn: Connection,
        people: Iterable[tuple[UUID, Mapping[str, str]]],
        *,
        source: str,
    ) -> dict[UUID, int]:
        """Write for many people at once. As `put`; epochs by person."""
        decoy, index = self._ready()
        return self._writer.write(
            conn, _without(decoy, people), source=source, index=index
        )

    def erase(self, conn: Connection, subject: UUID) -> ErasureReport:
        """Erase a person.

        The intent is committed in the keys database first: from then on
        nothing of the person opens. Rows go in the caller's transaction, and
        the DEK is overwritten before this returns, so a rollback does not
        bring the person back: `recover` then removes the rows. Erasing again
        reports the same dates.

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.

        Raises:
            UnknownSubject: nobody with that id was ever enrolled.

        """
        if subject == self.decoy():
            raise UnknownSubject(subject)
        self._keys.begin_erasure(subject)
        removed = self._rows.delete(conn, subject)
        dates = self._keys.destroy_dek(subject)
        return ErasureReport(
            subject=subject,
            values=removed.values,
            versions=removed.versions,
            index_entries=removed.index_entries,
            kek_epoch=dates.kek_epoch,
            began_at=dates.began_at,
            destroyed_at=dates.destroyed_at,
        )

    # Reading

    def decoy(self) -> UUID:
        """Give the id of the record that stands in for unknown people."""
        return self._ready()[0]

    def holding(self, subject: UUID) -> Holding:
        """Fetch a person's ciphertext and wrapped key; open nothing.

        For somebody unknown or erased it is the decoy's, fetched by the
        same queries, with ``known=False``.

        Raises:
            CryptoFailure: a row is not of the form that was written.

        """
        chosen = self._keys.choose(subject, self._ready()[0])
        who = chosen.dek.wrapped.subject
        try:
            stored = self._rows.one(who)
            names = self._names
            present = frozenset(
                [names[row[0]] for row in stored.values if row[0] in names]
            )
        except _STRANGE:
            raise CryptoFailure(who) from None
        return Holding(
            subject=who,
            asked=subject,
            known=chosen.known,
            erased=chosen.erased,
            present=present if chosen.known else frozenset(),
            dek=chosen.dek,
            stored=stored,
        )

    def log_key(self, holding: Holding) -> bytes:
        """Derive the key of the person's ledger entries, 32 bytes.

        Raises:
            CryptoFailure: the DEK does not open.

        """
        with self._keys.open(holding.dek) as keys:
            return keys.log_key()

    def read(
        self, grant: ReadGrant, holding: Holding | None = None
    ) -> dict[str, str]:
        """Open what a grant names, as far as it is held.

        Args:
            grant: minted by the gate.
            holding: what `holding` gave, or fetched now.

        Returns:
            Values by attribute name; empty for somebody unknown, after the
            same work on the decoy.

        Raises:
            GrantRefused: expired, or for another tenant or person.
            UnknownAttribute: the grant names what the catalogue has not.
            CryptoFailure: the record was altered, moved or cut short.
            KeyUnavailable: its KEK may not be used any more.

        """
        self._check(grant)
        if holding is None:
            holding = self.holding(grant.subject)
        elif grant.subject not in (holding.subject, holding.asked):
            msg = f"the grant is not for subject {holding.subject}"
            raise GrantRefused(msg)
        values = self._opened(grant, holding.dek, holding.stored)
        return values if holding.known else {}

    def records(
        self, grant: ReadGrant, holding: Holding
    ) -> dict[str, HistoricValue]:
        """Open as `read`, with version, source and date of each value."""
        self._check(grant)
        if grant.subject != holding.subject:
            msg = f"the grant is not for subject {holding.subject}"
            raise GrantRefused(msg)
        if not holding.known:
            return {}
        wanted = {self.catalogue[one].number: one for one in grant.attributes}
        try:
            with self._keys.open(holding.dek) as keys:
                _verify(keys, holding.stored)
                return {
                    wanted[number]: _historic(keys, number, version, sealed)
                    for number, version, sealed in holding.stored.values
                    if number in wanted
                }
        except _STRANGE:
            raise CryptoFailure(holding.subject) from None

    def read_many(
        self, grants: Iterable[ReadGrant]
    ) -> Iterator[tuple[UUID, dict[str, str]]]:
        """Open many people's records, 500 at a time by three queries.

        Yields:
            Ids and values in the order of the grants; nothing held, or
            nobody known, gives an empty mapping.

        Raises:
            GrantRefused: as `read`; before anything of its batch is opened.
            CryptoFailure: as `read`.

        """
        rest = iter(grants)
        while batch := list(islice(rest, CHUNK)):
            yield from self._read_batch(batch)

    def history(self, grant: ReadGrant, attribute: str) -> list[HistoricValue]:
        """Open every version of one attribute, newest first.

        Raises:
            GrantRefused: as `read`, or the grant does not name it.
            CryptoFailure: a version was altered or is missing.

        """
        self._check(grant)
        if attribute not in grant.attributes:
            msg = f"the grant for {grant.subject} does not name it"
            raise GrantRefused(msg)
        holding = self.holding(grant.subject)
        number = self.catalogue[attribute].number
        current = [row for row in holding.stored.values if row[0] == number]
        with self._data.connect().execution_options(read_only=True) as conn:
            older = self._rows.history(conn, holding.subject, number)
        versions = [(row[1], row[2]) for row in (*older, *current)]
        if [version for version, _ in versions] != list(
            range(1, len(versions) + 1)
        ) or (older and not current):
            raise CryptoFailure(holding.subject)
        with self._keys.open(holding.dek) as keys:
            _verify(keys, holding.stored)
            opened = [
                _historic(keys, number, version, sealed)
                for version, sealed in reversed(versions)
            ]
        return opened if holding.known else []

    def find(self, attribute: str, value: str) -> UUID | None:
        """Find the person with an identifier.

        Raises:
            NotIndexed: exact look-up is not declared for the attribute.
            InvalidValue: the text is no value of it.
            CryptoFailure: the entry was altered, moved to somebody else, or
                restored from earlier.

        """
        declared = self.catalogue[attribute]
        if not declared.index:
            raise NotIndexed(attribute)
        decoy, index = self._ready()
        digest = index.digest(declared, validate(declared, value))
        number = declared.number
        found = self._rows.find(number, KEY_VERSION, digest)
        # Somebody unknown costs the same tag as somebody known.
        shown = found or Found(decoy, 1, b"", None)
        tag = index.binding(number, shown.subject, digest, shown.version)
        if found is None:
            return None
        if (
            not compare_digest(tag, found.binding)
            or found.version != found.current
        ):
            raise CryptoFailure(found.subject)
        return found.subject

    def subjects(self) -> Iterator[UUID]:
        """List everybody with a record and a live key, by id."""
        decoy = self.decoy()
        after: UUID | None = None
        while True:
            with self._data.connect().execution_options(
                read_only=True
            ) as conn:
                page = self._rows.written(conn, after, CHUNK)
            if not page:
                return
            deks = self._keys.many(page)
            for subject in page:
                dek = deks.get(subject)
                if (
                    subject != decoy
                    and dek is not None
                    and dek.state == DekState.LIVE
                ):
                    yield subject
            after = page[-1]

    def verify(
        self, *, witness: Callable[[UUID], int] | None = None
    ) -> Iterator[Finding]:
        """Sweep over everything stored and name what is wrong.

        Args:
            witness: gives the least epoch that a person's record must have,
                from evidence kept elsewhere (what `put` returned). Without
                it a record rolled back as a whole, with its state, looks
                like its own past and cannot be noticed.

        Yields:
            Findings by subject id and attribute number, never a value.

        """
        decoy, index = self._ready()
        sweep = Sweep(
            rows=self._rows,
            keys=self._keys,
            index=index,
            catalogue=self.catalogue,
            decoy=decoy,
        )
        return sweep.run(witness)

    # Inside

    def _ready(self) -> tuple[UUID, BlindIndex]:
        secrets = self._secrets
        if secrets is None:
            # Two threads may both load them; both load the same.
            loaded = self._keys.secrets()
            index = BlindIndex(self.tenant, loaded.index_root)
            secrets = self._secrets = (loaded.decoy, index)
        return secrets

    def _check(self, grant: ReadGrant) -> None:
        if grant.tenant != self.tenant:
            msg = f"the grant for {grant.subject} is of another tenant"
            raise GrantRefused(msg)
        if self._clock() >= grant.expires_at:
            msg = f"the grant for {grant.subject} has expired"
            raise GrantRefused(msg)

    def _opened(
        self, grant: ReadGrant, dek: StoredDek, stored: Stored
    ) -> dict[str, str]:
        catalogue = self.catalogue
        wanted = {catalogue[name].number: name for name in grant.attributes}
        try:
            with self._keys.open(dek) as keys:
                _verify(keys, stored)
                return keys.open_texts(stored.values, wanted)
        except _STRANGE:
            raise CryptoFailure(dek.wrapped.subject) from None

    def _read_batch(
        self, grants: Sequence[ReadGrant]
    ) -> Iterator[tuple[UUID, dict[str, str]]]:
        for grant in grants:
            self._check(grant)
        subjects = list({grant.subject for grant in grants})
        deks = self._keys.many(subjects)
        decoy = self.decoy()
        with self._data.connect().execution_options(read_only=True) as conn:
            stored = self._rows.many(conn, subjects)
        for grant in grants:
            dek = deks.get(grant.subject)
            if (
                dek is None
                or dek.state != DekState.LIVE
                or grant.subject == decoy
            ):
                yield grant.subject, {}
            else:
                yield (
                    grant.subject,
                    self._opened(grant, dek, stored[grant.subject]),
                )


def _verify(keys: SubjectKeys, stored: Stored) -> None:
    """Compare the rows with the person's authenticated state.

    Raises:
        CryptoFailure: a row was altered, added, dropped or rolled back.

    """
    if not stored.epoch and not stored.values:
        return
    code, manifest = fmt.split_state(stored.state)
    keys.check_state(stored.epoch, manifest, code)
    if manifest != fmt.manifest_of(stored.values):
        raise CryptoFailure(keys.subject)


def _historic(
    keys: SubjectKeys, number: int, version: int, sealed: bytes
) -> HistoricValue:
    record = fmt.parse_record(keys.open(number, version, sealed))
    return HistoricValue(
        value=record.text,
        version=version,
        recorded_at=record.recorded_at,
        source=record.source,
    )


def _without(
    decoy: UUID, people: Iterable[tuple[UUID, Mapping[str, str]]]
) -> Iterator[tuple[UUID, Mapping[str, str]]]:
    for subject, values in people:
        if subject == decoy:
            raise UnknownSubject(subject)
        yield subject, values
