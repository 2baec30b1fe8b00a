"""Sealing values and writing them, many people at a time.

Everything happens in the caller's transaction. A person's state is locked
and verified before it is replaced, so that a write cannot launder rows that
somebody altered; the new state keeps the tags of what was not written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.catalogue import Catalogue, validate
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import (
    CryptoFailure,
    DuplicateIdentifier,
    MergedSubject,
    UnknownSubject,
)
from vault.indexing import Entries, Held, Indexing
from vault.keystore import KeyStore
from vault.places import ALIAS, attribute_of, dropped, is_disputed
from vault.rows import DataRows
from vault.specs import Specs
from vault.tables import OPENS

CHUNK = 500

Person: TypeAlias = tuple[UUID, Mapping[str, str]]
_Rows: TypeAlias = list[dict[str, Any]]


class Item(NamedTuple):
    """A text, already canonical, and the place where it is to stand."""

    place: int
    text: str


Writing: TypeAlias = tuple[UUID, Sequence[Item]]


@dataclass(slots=True)
class _Batch:
    """Rows collected for one round of statements."""

    added: _Rows = field(default_factory=list)
    replaced: _Rows = field(default_factory=list)
    new_states: _Rows = field(default_factory=list)
    states: _Rows = field(default_factory=list)
    superseded: _Rows = field(default_factory=list)
    indexed: _Rows = field(default_factory=list)
    listed: _Rows = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    epochs: dict[UUID, int] = field(default_factory=dict)


class Writer:
    """Writes values of one tenant's people."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        catalogue: Catalogue,
        specs: Specs,
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._catalogue = catalogue
        self._specs = specs
        self._random = random

    def write(
        self,
        conn: Connection,
        people: Iterable[Person],
        *,
        head: bytes,
        indexing: Indexing | None,
    ) -> dict[UUID, int]:
        """Write new versions of some attributes of some people.

        Args:
            conn: the caller's transaction.
            people: ids and values by attribute name.
            head: what all the records begin with.
            indexing: makes index entries; none for the decoy.

        Returns:
            The epoch of each person's record after the write.

        """
        canonical = (
            (subject, self._items(values)) for subject, values in people
        )
        return self.write_items(conn, canonical, head=head, indexing=indexing)

    def write_items(
        self,
        conn: Connection,
        people: Iterable[Writing],
        *,
        head: bytes,
        indexing: Indexing | None,
    ) -> dict[UUID, int]:
        """Write canonical texts at places. As `write`."""
        epochs: dict[UUID, int] = {}
        start = 0
        for chunk in _chunks(people):
            batch = self._sealed(conn, start, chunk, head, indexing)
            self._store(conn, batch)
            epochs |= batch.epochs
            start += len(chunk)
        return epochs

    def _items(self, values: Mapping[str, str]) -> list[Item]:
        listed = []
        for name, text in values.items():
            attribute = self._catalogue[name]
            listed.append(Item(attribute.number, validate(attribute, text)))
        return listed

    def _sealed(
        self,
        conn: Connection,
        start: int,
        chunk: list[Writing],
        head: bytes,
        indexing: Indexing | None,
    ) -> _Batch:
        subjects = [subject for subject, _ in chunk]
        # The lock comes before the look at the keys: an erasure that begins
        # now waits for us, and one that began before is seen.
        states = self._rows.states(conn, subjects, lock=True)
        deks = self._keys.many(subjects)
        specs = self._specs.current(conn, lock=True) if indexing else ()
        indexed = frozenset(spec.attribute for spec in specs)
        batch = _Batch()
        for position, (subject, items) in enumerate(chunk, start):
            dek = deks.get(subject)
            if dek is None or dek.state not in OPENS:
                raise UnknownSubject(subject)
            state = states.get(subject)
            held = self._seal_person(
                batch, self._keys.fitting(dek, state), state, items, head
            )
            if indexing is not None:
                who = self._rows.reader.subject(subject)
                entries = indexing.entries(specs, subject, who, held)
                self._index(batch, who, held, entries, indexed=indexed)
                batch.positions += [position] * len(entries.unique)
        return batch

    def _seal_person(
        self,
        batch: _Batch,
        dek: StoredDek,
        stored: tuple[int, bytes] | None,
        items: Sequence[Item],
        head: bytes,
    ) -> list[Held]:
        subject = dek.wrapped.subject
        tenant, who = self._rows.tenant, self._rows.reader.subject(subject)
        written = []
        with self._keys.open(dek) as keys:
            entries, epoch = _verified(keys, stored)
            # What is said against a value goes where the value is.
            if ALIAS in entries and not all(
                is_disputed(item.place) for item in items
            ):
                what = "is merged into another record; write to that one"
                raise MergedSubject(subject, what)
            for place, text in items:
                held = place in entries
                old = _last_version(entries, place)
                sealed = keys.seal(
                    place,
                    old + 1,
                    head + text.encode(),
                    self._random(fmt.NONCE),
                )
                entries[place] = (place, old + 1, sealed[-fmt.TAG :])
                row = (place, old, sealed)
                self._add_value(batch, who, row, held=held)
                written.append(Held(place, old + 1, text))
            manifest = fmt.write_manifest(entries.values())
            state = keys.state_mac(epoch + 1, manifest) + manifest
        batch.epochs[subject] = epoch + 1
        if stored is None:
            batch.new_states.append(
                {
                    "tenant": tenant,
                    "subject": who,
                    "epoch": epoch + 1,
                    "state": state,
                }
            )
        else:
            batch.states.append(
                {
                    "tenant": tenant,
                    "who": who,
                    "old": epoch,
                    "new": epoch + 1,
                    "cipher": state,
                }
            )
        return written

    def _add_value(
        self,
        batch: _Batch,
        who: Any,  # noqa: ANN401 - an id in the driver's own form
        row: tuple[int, int, bytes],
        *,
        held: bool,
    ) -> None:
        place, old, sealed = row
        if held:
            batch.replaced.append(
                {
                    "tenant": self._rows.tenant,
                    "who": who,
                    "which": place,
                    "old": old,
                    "new": old + 1,
                    "cipher": sealed,
                }
            )
        else:
            batch.added.append(
                {
                    "tenant": self._rows.tenant,
                    "subject": who,
                    "attribute": place,
                    "version": old + 1,
                    "sealed": sealed,
                }
            )

    def _index(
        self,
        batch: _Batch,
        who: Any,  # noqa: ANN401 - an id in the driver's own form
        held: list[Held],
        entries: Entries,
        *,
        indexed: frozenset[int],
    ) -> None:
        batch.superseded += [
            {"tenant": self._rows.tenant, "who": who, "which": one.place}
            for one in held
            if one.version > 1 and attribute_of(one.place) in indexed
        ]
        batch.indexed += entries.unique
        batch.listed += entries.shared

    def _store(self, conn: Connection, batch: _Batch) -> None:
        rows = self._rows
        if batch.superseded:
            rows.drop_index(conn, batch.superseded)
            rows.drop_candidates(conn, batch.superseded)
        if batch.indexed:
            self._refuse_duplicates(conn, batch)
        try:
            self._store_values(conn, batch)
        except IntegrityError:
            # A row stands where the verified state has none.
            raise CryptoFailure from None
        if batch.listed:
            rows.add_candidates(conn, batch.listed)
        if batch.indexed:
            try:
                rows.add_index(conn, batch.indexed)
            except IntegrityError:
                number = batch.indexed[0]["attribute"]
                name = self._catalogue.numbered(number).name
                raise DuplicateIdentifier(name, ()) from None

    def _store_values(self, conn: Connection, batch: _Batch) -> None:
        rows = self._rows
        if batch.replaced and not rows.supersede(conn, batch.replaced):
            # A row that the verified state names is not there.
            raise CryptoFailure
        if batch.added:
            rows.add(conn, batch.added)
        if batch.new_states:
            rows.add_states(conn, batch.new_states)
        if batch.states and not rows.set_states(conn, batch.states):
            raise CryptoFailure

    def _refuse_duplicates(self, conn: Connection, batch: _Batch) -> None:
        by_key: dict[tuple[int, int], list[tuple[int, bytes]]] = {}
        for position, row in zip(batch.positions, batch.indexed, strict=True):
            by_key.setdefault(
                (row["attribute"], row["key_version"]), []
            ).append((position, row["digest"]))
        for (number, version), listed in by_key.items():
            digests = [digest for _, digest in listed]
            seen = self._rows.taken(conn, number, version, digests)
            refused = []
            for position, digest in listed:
                if digest in seen:
                    refused.append(position)
                seen.add(digest)
            if refused:
                name = self._catalogue.numbered(number).name
                raise DuplicateIdentifier(name, tuple(refused))


def _verified(
    keys: SubjectKeys, stored: tuple[int, bytes] | None
) -> tuple[dict[int, fmt.Entry], int]:
    """Give the entries of a verified state, none for a first write."""
    if stored is None:
        return {}, 0
    epoch, state = stored
    code, manifest = fmt.split_state(state)
    keys.check_state(epoch, manifest, code)
    return fmt.parse_manifest(manifest), epoch


def _last_version(entries: Mapping[int, fmt.Entry], place: int) -> int:
    """Give the last version that stood at a place, removed or not."""
    entry = entries.get(place) or entries.get(dropped(place))
    return 0 if entry is None else entry[1]


def _chunks(people: Iterable[Writing]) -> Iterator[list[Writing]]:
    """Cut into chunks in which nobody occurs twice."""
    rest = iter(people)
    while listed := list(islice(rest, CHUNK)):
        chunk: list[Writing] = []
        seen: set[UUID] = set()
        for person in listed:
            if person[0] in seen:
                yield chunk
                chunk, seen = [], set()
            chunk.append(person)
            seen.add(person[0])
        yield chunk
