"""The vault: one tenant's people, their sealed values, and how they open.

The vault knows a subject id and an attribute name and never why somebody
asks. It opens only on a `ReadGrant`. Nothing opened is kept: there is no
cache of keys or values, and every read sees the newest committed rows.

An unknown or erased person takes the way of the tenant's decoy, with the
same queries and the same cryptography, and comes back empty.
"""

from collections.abc import (
    Callable,
    Collection,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from itertools import islice
from typing import NoReturn
from uuid import UUID

from sqlalchemy import Connection, Engine

from vault import format as fmt
from vault.catalogue import Catalogue
from vault.custody import Custody
from vault.decoy import TYPICAL
from vault.deks import StoredDek, stored_dek
from vault.disputing import Disputing
from vault.dropping import Dropper
from vault.envelope import OpenSubject, RecordOpener, SubjectKeys
from vault.errors import (
    STRANGE,
    CryptoFailure,
    GrantRefused,
    KeyUnavailable,
    UnknownSubject,
)
from vault.exporting import Part, export
from vault.grants import (
    Confidence,
    ErasureReport,
    Finding,
    HistoricValue,
    Holding,
    ReadGrant,
)
from vault.history import (
    as_of,
    disputes_at,
    head,
    historic,
    versions,
)
from vault.index_jobs import IndexJobs
from vault.indexes import BlindIndex
from vault.indexing import Indexing
from vault.journal import Position
from vault.keystore import Chosen, KeyStore
from vault.linking import Linking
from vault.lookup import LookUp
from vault.merging import Following, Merging, is_merged
from vault.opening import verified
from vault.places import ABSORBED, ALIAS, attribute_of, holds_value, slots
from vault.reading import Row
from vault.rekeying import Moved, Rekeyed, Rekeying
from vault.roll import Roll
from vault.rows import DataRows, Stored
from vault.specs import Specs
from vault.sweep import Sweep
from vault.tables import OPENS, DekState
from vault.writing import CHUNK, Writer

_GENERATIONS = 3


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
        self.keystore = keys
        self._clock = clock
        self._random = random
        self._rows = DataRows(data, tenant)
        self.custody = Custody(data=data, keys=keys, rows=self._rows)
        self._names = {catalogue[name].number: name for name in catalogue}
        self._specs = Specs(
            engine=data, tenant=tenant, catalogue=catalogue, clock=clock
        )
        self._writer = Writer(
            rows=self._rows,
            keys=keys,
            catalogue=catalogue,
            specs=self._specs,
            random=random,
        )
        self._dropper = Dropper(
            rows=self._rows, keys=keys, clock=clock, random=random
        )
        self._linking = Linking(
            rows=self._rows,
            keys=keys,
            catalogue=catalogue,
            writer=self._writer,
            dropper=self._dropper,
        )
        self._merging = Merging(
            rows=self._rows,
            keys=keys,
            writer=self._writer,
            dropper=self._dropper,
            clock=clock,
        )
        self.index = IndexJobs(
            data=data,
            rows=self._rows,
            keys=keys,
            catalogue=catalogue,
            specs=self._specs,
            indexing=lambda: self._indexing(self._ready()[1]),
            decoy=self.decoy,
            clock=clock,
            random=random,
        )
        self._following = Following(keys=keys, own=self.own_holding)
        self.disputes = Disputing(
            rows=self._rows,
            keys=keys,
            catalogue=catalogue,
            writer=self._writer,
            clock=clock,
            random=random,
        )
        self.look_up = LookUp(
            rows=self._rows,
            catalogue=catalogue,
            specs=self._specs,
            ready=self._ready,
            own=self.own_holding,
            whole=self.holding,
            opening=self._open,
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
                    conn,
                    [(decoy, values)],
                    head=head(self._clock(), "decoy"),
                    indexing=None,
                )

    def recover(self) -> int:
        """Finish the erasures that a crash or a rollback interrupted.

        To be called at start, outside any transaction.

        Returns:
            How many had something left to do.

        Raises:
            StatesAltered: the states of the KEKs are not those that were
                set; nothing is done.
            KeyUnavailable: a KEK in use is not there.

        """
        self._keys.epochs.check()
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

    def check_keys(self) -> None:
        """See to it that what the keys database holds can be opened.

        Raises:
            KeyUnavailable: its KEK is gone, or may not be used.
            CryptoFailure: it was altered, or is another tenant's.

        """
        self._keys.secrets()

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
        valid_from: int | None = None,
        valid_until: int | None = None,
        confidence: Confidence = Confidence.UNSTATED,
    ) -> int:
        """Write new versions of some attributes of one person.

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.
            values: by attribute name; other attributes stay.
            source: where they come from.
            valid_from: since when they hold, POSIX seconds; now, if left
                out.
            valid_until: from when they hold no longer; open, if left out.
            confidence: how sure they are.

        Returns:
            The epoch of the person's record; kept as evidence elsewhere, it
            lets `verify` notice a record rolled back as a whole.

        Raises:
            UnknownSubject: not enrolled, or erased.
            UnknownAttribute: a name is not in the catalogue.
            InvalidValue: a text is no value of its attribute, or the times
                make no interval.
            DuplicateIdentifier: somebody else has that identifier.
            MergedSubject: the record is part of another one.
            CryptoFailure: the person's stored state does not verify.

        """
        return self.put_many(
            conn,
            [(subject, values)],
            source=source,
            valid_from=valid_from,
            valid_until=valid_until,
            confidence=confidence,
        )[subject]

    def put_many(
        self,
        conn: Connection,
        people: Iterable[tuple[UUID, Mapping[str, str]]],
        *,
        source: str,
        valid_from: int | None = None,
        valid_until: int | None = None,
        confidence: Confidence = Confidence.UNSTATED,
    ) -> dict[UUID, int]:
        """Write for many people at once. As `put`; epochs by person."""
        decoy, index = self._ready()
        return self._writer.write(
            conn,
            _without(decoy, people),
            head=head(
                self._clock(),
                source,
                valid_from=valid_from,
                valid_until=valid_until,
                confidence=confidence,
            ),
            indexing=self._indexing(index),
        )

    def drop(
        self, conn: Connection, subject: UUID, attributes: Collection[str]
    ) -> int:
        """Remove some attributes of one person: values, history, index.

        What was removed does not come back: a later value is numbered on
        from the last version removed, so none of the old rows fits again.
        An attribute that is not held is passed over.

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.
            attributes: names; other attributes stay.

        Returns:
            The epoch of the person's record, as `put`; unchanged if none of
            the attributes was held.

        Raises:
            UnknownSubject: not enrolled, or erased.
            UnknownAttribute: a name is not in the catalogue.
            CryptoFailure: the person's stored record does not verify;
                nothing was removed.

        """
        if subject == self.decoy():
            raise UnknownSubject(subject)
        places = {
            place
            for name in attributes
            for place in slots(self.catalogue[name].number)
        }
        return self._dropper.drop(conn, subject, places)

    def link(
        self,
        conn: Connection,
        subject: UUID,
        identifier: tuple[str, str],
        *,
        source: str,
    ) -> int:
        """Let one more identifier lead to a person (`vault.linking`).

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.
            identifier: attribute name and value.
            source: where it comes from.

        Returns:
            The epoch of the person's record, as `put`.

        """
        decoy, index = self._ready()
        if subject == decoy:
            raise UnknownSubject(subject)
        return self._linking.link(
            conn,
            subject,
            identifier,
            head=head(self._clock(), source),
            indexing=self._indexing(index),
        )

    def unlink(
        self, conn: Connection, subject: UUID, identifier: tuple[str, str]
    ) -> int:
        """Let an identifier no longer lead to a person; forget it."""
        return self._linking.unlink(conn, subject, identifier)

    def merge(
        self, conn: Connection, survivor: UUID, absorbed: UUID
    ) -> dict[UUID, int]:
        """Read two records as one from now on (`vault.merging`)."""
        if self.decoy() in {survivor, absorbed}:
            raise UnknownSubject(self.decoy())
        return self._merging.merge(conn, survivor, absorbed)

    def unmerge(
        self, conn: Connection, survivor: UUID, absorbed: UUID
    ) -> dict[UUID, int]:
        """Read two merged records apart again, each as it was."""
        return self._merging.unmerge(conn, survivor, absorbed)

    def erase(
        self,
        conn: Connection,
        subject: UUID,
        *,
        position: Position | None = None,
    ) -> ErasureReport:
        """Erase a person.

        The intent is committed in the keys database first: from then on
        nothing of the person opens. Rows go in the caller's transaction, and
        the DEK is overwritten before this returns, so a rollback does not
        bring the person back: `recover` then removes the rows. Erasing again
        reports the same dates.

        Args:
            conn: the caller's transaction on the data database.
            subject: the person.
            position: where the erasure journal has the intent; both
                databases will know it.

        Raises:
            UnknownSubject: nobody with that id was ever enrolled.
            SubjectHeld: a legal hold stands.

        """
        if subject == self.decoy():
            raise UnknownSubject(subject)
        self._keys.begin_erasure(subject, position)
        if position is not None:
            self.custody.mark_data(conn, position)
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

    @property
    def keys(self) -> KeyStore:
        """The wrapped keys, for who administers them."""
        return self._keys

    def rekey(
        self,
        until: int,
        *,
        begin: Callable[[Connection], None] = lambda _: None,
        moved: Moved,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Rekeyed:
        """Give new DEKs to all whose own was made by an instant.

        Reads go on meanwhile. Again is harmless, and finishes what a crash
        interrupted.

        Args:
            until: POSIX seconds, what `KekEpochs.expose` gave.
            begin: called first in each data transaction, for a lock.
            moved: called with connection, person, old and new log key in
                the transaction that seals a person anew; moves whatever
                others keep under the log key.
            progress: told how many people each page had.

        """
        return Rekeying(
            data=self._data,
            engine=self._keys.engine,
            rows=self._rows,
            keys=self._keys,
            clock=self._clock,
            random=self._random,
            begin=begin,
            moved=moved,
            progress=progress,
        ).run(until)

    # Reading

    def decoy(self) -> UUID:
        """Give the id of the record that stands in for unknown people."""
        return self._ready()[0]

    def holding(self, subject: UUID) -> Holding:
        """Fetch a person's ciphertext and wrapped key; open nothing.

        For somebody unknown or erased it is the decoy's, fetched by the
        same queries, with ``known=False``. For a record that is part of
        another (`vault.merging`) it is the whole.

        Raises:
            CryptoFailure: a row is not of the form that was written.

        """
        found = self.own_holding(subject)
        if found.known and is_merged(found.stored):
            return self._whole(found)
        return found

    def own_holding(self, subject: UUID) -> Holding:
        """Fetch one record alone, merged or not. As `holding`."""
        chosen = self._keys.choose(subject, self._ready()[0])
        try:
            stored = self._rows.one(chosen.dek.wrapped.subject)
        except STRANGE:
            raise CryptoFailure(chosen.dek.wrapped.subject) from None
        return self._held(subject, chosen, stored)

    def holdings(
        self, subjects: Sequence[UUID]
    ) -> list[Holding | CryptoFailure]:
        """Fetch several people's as `holding` does, in few statements.

        Returns:
            For each, what `holding` would return or raise.

        """
        chosen = self._keys.choose_each(subjects, self._ready()[0])
        sound = [one for one in chosen if isinstance(one, Chosen)]
        try:
            stored = iter(
                self._rows.ones([one.dek.wrapped.subject for one in sound])
            )
        except STRANGE:
            # One row spoils what is read of all: each is read alone.
            return [self._tried_holding(subject) for subject in subjects]
        found: list[Holding | CryptoFailure] = []
        for subject, one in zip(subjects, chosen, strict=True):
            if not isinstance(one, Chosen):
                found.append(one)
                continue
            try:
                held = self._held(subject, one, next(stored))
                if held.known and is_merged(held.stored):
                    held = self._whole(held)
                found.append(held)
            except CryptoFailure as error:
                found.append(error)
        return found

    def _tried_holding(self, subject: UUID) -> Holding | CryptoFailure:
        try:
            return self.holding(subject)
        except CryptoFailure as error:
            return error

    def _held(self, subject: UUID, chosen: Chosen, stored: Stored) -> Holding:
        """Make a holding of a key and of rows that were read after it."""
        dek = chosen.dek
        who = dek.wrapped.subject
        try:
            if dek.rival or _generation(stored, dek) != dek.wrapped.gen:
                dek, stored = self._settled(dek, stored)
            names = self._names
            present = frozenset(
                [names[row[0]] for row in stored.values if row[0] in names]
            )
        except STRANGE:
            raise CryptoFailure(who) from None
        return Holding(
            subject=who,
            asked=subject,
            known=chosen.known,
            erased=chosen.erased,
            present=present if chosen.known else frozenset(),
            dek=dek,
            stored=stored,
        )

    def epoch(self, conn: Connection, subject: UUID) -> int:
        """Read a record's epoch in the caller's transaction; 0 for none."""
        states = self._rows.states(conn, [subject], lock=False)
        return states[subject][0] if subject in states else 0

    def members(self, subject: UUID) -> tuple[UUID, ...]:
        """List the records that are read as one with somebody's.

        Returns:
            The surviving record's id first; the person's own alone where
            nothing is merged, or where the record does not verify.

        """
        try:
            found = self.holding(subject)
        except (CryptoFailure, KeyUnavailable):
            return (subject,)
        if not found.known:
            return (subject,)
        return found.subject, *(one.subject for one in found.others)

    def holder(self, subject: UUID, attribute: str) -> UUID:
        """Name the record that has the value that is read of somebody.

        It is another than the person's own where only a record that is read
        with it holds the attribute.

        Raises:
            UnknownAttribute: the name is not in the catalogue.
            CryptoFailure: as `holding`.

        """
        place = self.catalogue[attribute].number
        holding = self.holding(subject)
        for one in (holding, *holding.others):
            if any(row[0] == place for row in one.stored.values):
                return one.subject
        return holding.subject

    def attest(self, holding: Holding) -> int:
        """Verify a record's state and give its epoch, for evidence of it.

        Raises:
            CryptoFailure: a row was altered, added, dropped or rolled back.

        """
        try:
            for one in (holding, *holding.others):
                if one.opened is None:
                    one.opened = self._open(one.dek)
                if not one.verified:
                    _verify(one.opened.keys(), one.stored)
                    one.verified = True
        except STRANGE:
            raise CryptoFailure(holding.subject) from None
        return holding.epoch

    def log_key(self, holding: Holding) -> bytes:
        """Derive the key of the person's ledger entries, 32 bytes.

        Raises:
            CryptoFailure: the DEK does not open.

        """
        if holding.opened is None:
            holding.opened = self._open(holding.dek)
        return holding.opened.log_key()

    def log_keys(self, subject: UUID) -> list[bytes]:
        """Derive a person's log key, and their next one if there is one.

        For what is sealed beside the DEK, which moves a moment after the
        person's own rows. Nobody's and an erased person's are none.

        Raises:
            CryptoFailure: a DEK does not open.

        """
        dek = self._keys.many([subject]).get(subject)
        return [] if dek is None else self._log_keys(dek)

    def _log_keys(self, dek: StoredDek) -> list[bytes]:
        found = []
        for one in (dek, dek.rival):
            if one is not None and one.state in OPENS | {DekState.NEXT}:
                with self._keys.open(one) as keys:
                    found.append(keys.log_key())
        return found

    def keyring(
        self, after: UUID | None = None
    ) -> Iterator[tuple[UUID, list[bytes]]]:
        """Derive the log keys of every record with a live key, by id.

        Merged records are there by themselves, and the decoy is too. For
        what is sealed under log keys and found by them alone.

        Args:
            after: only records with an id above it.

        Yields:
            A record's id and its log keys, as `log_keys` gives them.

        Raises:
            CryptoFailure: a DEK does not open.
        """
        while page := self._keys.page(after, limit=CHUNK):
            deks = self._keys.many(page)
            for subject in page:
                if dek := deks.get(subject):
                    yield subject, self._log_keys(dek)
            after = page[-1]

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
        values = self._values(grant, holding)
        for other in holding.others:
            values = self._values(grant, other) | values
        return values if holding.known else {}

    def _values(self, grant: ReadGrant, holding: Holding) -> dict[str, str]:
        opened = holding.opened or self._open(holding.dek)
        try:
            return self._texts(
                self._numbered(grant.attributes),
                opened.keys(),
                holding.stored,
                verified=holding.verified,
            )
        finally:
            opened.close()
            holding.opened = None

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
        found: dict[str, HistoricValue] = {}
        for part in (holding, *holding.others):
            found = self._records(grant, part) | found
        return found

    def _records(
        self, grant: ReadGrant, holding: Holding
    ) -> dict[str, HistoricValue]:
        wanted = {self.catalogue[one].number: one for one in grant.attributes}
        try:
            with self._keys.open(holding.dek) as keys:
                rows = verified(keys, holding.stored)
                return {
                    wanted[place]: historic(
                        keys, row, disputes_at(keys, rows, place)
                    )
                    for place, row in rows.items()
                    if place in wanted
                }
        except STRANGE:
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
        opened = self._versions(holding, [number])[number]
        return opened if holding.known else []

    def as_of(
        self, grant: ReadGrant, *, valid_at: int, known_at: int
    ) -> dict[str, HistoricValue]:
        """Open what was held to be true at one instant, as known at another.

        Args:
            grant: names what may be opened.
            valid_at: for when the values are wanted, POSIX seconds.
            known_at: what was recorded later does not count, POSIX seconds.

        Returns:
            By attribute name, the last recorded version whose interval
            covers `valid_at`, with the disputes known at `known_at`; empty
            for somebody unknown.

        Raises:
            GrantRefused: as `read`.
            CryptoFailure: a version was altered or is missing.

        """
        self._check(grant)
        holding = self.holding(grant.subject)
        numbers = {self.catalogue[one].number: one for one in grant.attributes}
        opened = self._versions(holding, list(numbers))
        found = {
            numbers[number]: as_of(
                listed, valid_at=valid_at, known_at=known_at
            )
            for number, listed in opened.items()
        }
        return {
            name: one
            for name, one in found.items()
            if one is not None and holding.known
        }

    def identifiers(self, grant: ReadGrant) -> list[tuple[str, str]]:
        """List the identifiers that lead to a person, as far as granted.

        Returns:
            Attribute names and values, in the order of the catalogue.

        """
        self._check(grant)
        holding = self.holding(grant.subject)
        indexed = {one.number for one in self.catalogue.indexed()}
        found = []
        for part in self._parts(grant, holding):
            for place, listed in part.versions.items():
                number = attribute_of(place)
                if number in indexed and holding.known:
                    name = self.catalogue.numbered(number).name
                    found.append((number, name, listed[0].value))
        return [(name, value) for _, name, value in sorted(found)]

    def export(self, grant: ReadGrant) -> bytes:
        """Write down all that is held of a person, as far as granted.

        Every version with its times, source, confidence and disputes, in
        canonical JSON: the same record gives the same bytes, also after it
        was merged with another and parted again.

        Raises:
            GrantRefused: as `read`.
            CryptoFailure: a version was altered or is missing.

        """
        self._check(grant)
        holding = self.holding(grant.subject)
        parts = self._parts(grant, holding) if holding.known else []
        return export(self.tenant, self.catalogue, parts)

    def _parts(self, grant: ReadGrant, holding: Holding) -> list[Part]:
        numbers = {self.catalogue[one].number for one in grant.attributes}
        parts = []
        for one in (holding, *holding.others):
            places = [
                row[0]
                for row in one.stored.values
                if holds_value(row[0]) and attribute_of(row[0]) in numbers
            ]
            parts.append(Part(one.subject, self._own_versions(one, places)))
        return parts

    def _versions(
        self, holding: Holding, places: Sequence[int]
    ) -> dict[int, list[HistoricValue]]:
        found: dict[int, list[HistoricValue]] = {place: [] for place in places}
        for part in (holding, *holding.others):
            for place, listed in self._own_versions(part, places).items():
                found[place] = found[place] or listed
        return found

    def _own_versions(
        self, holding: Holding, places: Sequence[int]
    ) -> dict[int, list[HistoricValue]]:
        only = places[0] if len(places) == 1 else None
        with self._data.connect().execution_options(read_only=True) as conn:
            older = self._rows.history(conn, holding.subject, only)
        try:
            with self._keys.open(holding.dek) as keys:
                rows = verified(keys, holding.stored)
                return {
                    place: versions(keys, rows, older, place)
                    for place in places
                }
        except STRANGE:
            raise CryptoFailure(holding.subject) from None

    def subjects(self) -> Iterator[UUID]:
        """List everybody with a record and a live key, by id, once each."""
        for people, _ in self._everybody():
            yield from people

    def people(
        self,
    ) -> Iterator[tuple[list[UUID], dict[UUID, tuple[UUID, ...]]]]:
        """List everybody, as `subjects` does, some hundreds at a time.

        Yields:
            The people, and of who among them is read with other records,
            which these are.

        Raises:
            CryptoFailure: as `holding`, of somebody who has others.

        """
        for people, survivors in self._everybody():
            yield (
                people,
                {
                    one: tuple(
                        other.subject for other in self.holding(one).others
                    )
                    for one in people
                    if one in survivors
                }
                if survivors
                else {},
            )

    def _everybody(self) -> Iterator[tuple[list[UUID], set[UUID]]]:
        """List everybody by pages, and who of them has other records."""
        decoy = self.decoy()
        after: UUID | None = None
        while True:
            with self._data.connect().execution_options(
                read_only=True
            ) as conn:
                page = self._rows.written(conn, after, CHUNK)
                merged = self._rows.merged(conn, page)
            if not page:
                return
            after = page[-1]
            out = {one for one, place in merged if place == ALIAS}
            out |= self._keys.closed(page) | {decoy}
            survivors = {one for one, place in merged if place == ABSORBED}
            yield [one for one in page if one not in out], survivors

    def roll(self, people: Sequence[UUID]) -> Roll:
        """Give what says whether some different people are still there."""
        return Roll(rows=self._rows, keys=self._keys, people=people)

    def verify(
        self,
        *,
        witness: Callable[[UUID], int] | None = None,
        progress: Callable[[int], None] = lambda _: None,
    ) -> Iterator[Finding]:
        """Sweep over everything stored and name what is wrong.

        Args:
            witness: gives the least epoch that a person's record must have,
                from evidence kept elsewhere (what `put` returned). Without
                it a record rolled back as a whole, with its state, looks
                like its own past and cannot be noticed.
            progress: told how many people a page had.

        Yields:
            Findings by subject id and attribute number, never a value.

        """
        decoy, index = self._ready()
        sweep = Sweep(
            rows=self._rows,
            keys=self._keys,
            indexing=self._indexing(index),
            specs=self._specs,
            catalogue=self.catalogue,
            decoy=decoy,
        )
        return sweep.run(witness, progress)

    # Inside

    def _whole(self, found: Holding) -> Holding:
        try:
            whole = self._following.whole(found)
        except STRANGE:
            raise CryptoFailure(found.subject) from None
        if whole is None:
            whole = self.own_holding(self.decoy())
            whole.asked, whole.erased = found.asked, True
        return whole

    def _indexing(self, index: BlindIndex) -> Indexing:
        return Indexing(
            tenant=self.tenant, index=index, catalogue=self.catalogue
        )

    def _ready(self) -> tuple[UUID, BlindIndex]:
        secrets = self._secrets
        if secrets is None:
            # Two threads may both load them; both load the same.
            loaded = self._keys.secrets()
            index = BlindIndex(self.tenant, loaded.index_root)
            secrets = self._secrets = (loaded.decoy, index)
        return secrets

    def _settled(
        self, dek: StoredDek, stored: Stored
    ) -> tuple[StoredDek, Stored]:
        """Fit key and rows of somebody who is being re-encrypted.

        The key was read before the rows, so the rows may be newer.
        """
        who = dek.wrapped.subject
        for _ in range(_GENERATIONS):
            gen = _generation(stored, dek)
            newest = self._keys.many([who]).get(who, dek)
            if not stored.values:
                row = (stored.epoch, stored.state)
                fit = self._keys.fitting(newest, row if row[0] else None)
                return fit, stored
            for one in (dek, newest, newest.rival):
                if one is not None and one.wrapped.gen == gen:
                    return one, stored
            stored = self._rows.one(who)
        return dek, stored

    def _check(self, grant: ReadGrant) -> None:
        self._check_at(grant, self._clock())

    def _check_at(self, grant: ReadGrant, now: int) -> None:
        if grant.tenant != self.tenant:
            msg = f"the grant for {grant.subject} is of another tenant"
            raise GrantRefused(msg)
        if now >= grant.expires_at:
            msg = f"the grant for {grant.subject} has expired"
            raise GrantRefused(msg)

    def _open(self, dek: StoredDek) -> OpenSubject:
        try:
            return self._keys.open(dek)
        except STRANGE:
            raise CryptoFailure(dek.wrapped.subject) from None

    def _numbered(self, attributes: frozenset[str]) -> dict[int, str]:
        catalogue = self.catalogue
        return {catalogue[name].number: name for name in attributes}

    def _texts(
        self,
        wanted: Mapping[int, str],
        keys: SubjectKeys,
        stored: Stored,
        *,
        verified: bool,
    ) -> dict[str, str]:
        try:
            if not verified:
                _verify(keys, stored)
            return keys.open_texts(stored.values, wanted)
        except STRANGE:
            raise CryptoFailure(keys.subject) from None

    def _read_batch(
        self, grants: Sequence[ReadGrant]
    ) -> list[tuple[UUID, dict[str, str]]]:
        now = self._clock()
        for grant in grants:
            self._check_at(grant, now)
        subjects = [grant.subject for grant in grants]
        deks = self._keys.each(subjects)
        with self._data.connect().execution_options(read_only=True) as conn:
            stored = self._rows.each(conn, subjects)
        decoy = self.decoy()
        # Of a batch most grants name the same, often the one same set, and
        # most keys are of one epoch. All is opened before any of it is handed
        # out, so what was seen of the epoch is as new as what is read.
        wanted: dict[frozenset[str], dict[int, str]] = {}
        openers: dict[tuple[int, str | None], RecordOpener] = {}
        found = []
        for grant, dek, (rows, state) in zip(
            grants, deks, stored, strict=True
        ):
            subject, names = grant.subject, grant.attributes
            if names not in wanted:
                wanted[names] = self._numbered(names)
            values: dict[str, str] = {}
            try:
                rows.sort()
                if dek is None or subject == decoy:
                    pass
                elif isinstance(dek, StoredDek) or _needs_care(dek, rows):
                    values = self._read_with_care(
                        grant, dek, (rows, state), wanted[names]
                    )
                elif dek[6] in OPENS:
                    under = dek[2], dek[7]
                    if under not in openers:
                        openers[under] = self._keys.opener(subject, *under)
                    values = openers[under].open_texts(
                        subject, dek, rows, state, wanted[names]
                    )
            except STRANGE:
                raise CryptoFailure(subject) from None
            found.append((subject, values))
        return found

    def _read_with_care(
        self,
        grant: ReadGrant,
        dek: Row | StoredDek,
        stored: tuple[Sequence[Row], Row | None],
        wanted: Mapping[int, str],
    ) -> dict[str, str]:
        """Read somebody who is merged, or may be under another key by now."""
        if not isinstance(dek, StoredDek):
            dek = stored_dek(self.tenant, grant.subject, dek)
        if dek.state not in OPENS:
            return {}
        epoch, state, _ = stored[1] or (0, b"", None)
        rows = Stored(epoch, state, [row[:3] for row in stored[0]])
        if is_merged(rows):
            return self.read(grant)
        if dek.rival or _generation(rows, dek) != dek.wrapped.gen:
            dek, rows = self._settled(dek, rows)
        with self._open(dek) as keys:
            return self._texts(wanted, keys, rows, verified=False)


def _generation(stored: Stored, dek: StoredDek) -> int:
    """Say under which generation rows are sealed; the key's if none is."""
    if not stored.values:
        return dek.wrapped.gen
    return int.from_bytes(stored.values[0][2][2:6])


def _needs_care(dek: Row, rows: Sequence[Row]) -> bool:
    """Say whether rows may be of a merged record, or of another key."""
    return bool(rows) and (
        rows[-1][0] >= ALIAS or int.from_bytes(rows[0][2][2:6]) != dek[1]
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


def _without(
    decoy: UUID, people: Iterable[tuple[UUID, Mapping[str, str]]]
) -> Iterator[tuple[UUID, Mapping[str, str]]]:
    for subject, values in people:
        if subject == decoy:
            raise UnknownSubject(subject)
        yield subject, values
