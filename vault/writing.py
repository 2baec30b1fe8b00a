"""Sealing values and writing them, many people at a time.

Everything happens in the caller's transaction. A person's state is locked
and verified before it is replaced, so that a write cannot launder rows that
somebody altered; the new state keeps the tags of what was not written.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, TypeAlias
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from vault import format as fmt
from vault.catalogue import Attribute, Catalogue, validate
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import (
    CryptoFailure,
    DuplicateIdentifier,
    InvalidValue,
    UnknownSubject,
)
from vault.indexes import KEY_VERSION, BlindIndex
from vault.keystore import KeyStore
from vault.rows import DataRows
from vault.tables import DekState
from vault.values import Kind, Unfit, canonical

CHUNK = 500

Person: TypeAlias = tuple[UUID, Mapping[str, str]]
_Rows: TypeAlias = list[dict[str, Any]]


@dataclass(slots=True)
class _Batch:
    """Rows collected for one round of statements."""

    added: _Rows = field(default_factory=list)
    replaced: _Rows = field(default_factory=list)
    new_states: _Rows = field(default_factory=list)
    states: _Rows = field(default_factory=list)
    unindexed: _Rows = field(default_factory=list)
    indexed: _Rows = field(default_factory=list)
    versions: dict[tuple[UUID, int], int] = field(default_factory=dict)
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
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._catalogue = catalogue
        self._clock = clock
        self._random = random

    def write(
        self,
        conn: Connection,
        people: Iterable[Person],
        *,
        source: str,
        index: BlindIndex | None,
    ) -> dict[UUID, int]:
        """Write new versions of some attributes of some people.

        Args:
            conn: the caller's transaction.
            people: ids and values by attribute name.
            source: where the values come from, at most 255 bytes.
            index: the blind index, or none for the decoy.

        Returns:
            The epoch of each person's record after the write.

        """
        prefix = fmt.record_prefix(self._clock(), _checked(source))
        epochs: dict[UUID, int] = {}
        start = 0
        for chunk in _chunks(people):
            batch = self._sealed(conn, start, chunk, prefix, index)
            self._store(conn, batch)
            epochs |= batch.epochs
            start += len(chunk)
        return epochs

    def _sealed(
        self,
        conn: Connection,
        start: int,
        chunk: list[Person],
        prefix: bytes,
        index: BlindIndex | None,
    ) -> _Batch:
        subjects = [subject for subject, _ in chunk]
        # The lock comes before the look at the keys: an erasure that begins
        # now waits for us, and one that began before is seen.
        states = self._rows.states(conn, subjects, lock=True)
        deks = self._keys.many(subjects)
        batch = _Batch()
        for position, (subject, values) in enumerate(chunk, start):
            dek = deks.get(subject)
            if dek is None or dek.state != DekState.LIVE:
                raise UnknownSubject(subject)
            texts = [
                (attribute, validate(attribute, text))
                for attribute, text in (
                    (self._catalogue[name], text)
                    for name, text in values.items()
                )
            ]
            self._seal_person(batch, dek, states.get(subject), texts, prefix)
            if index is not None:
                self._index_person(batch, position, subject, texts, index)
        return batch

    def _seal_person(
        self,
        batch: _Batch,
        dek: StoredDek,
        stored: tuple[int, bytes] | None,
        texts: list[tuple[Attribute, str]],
        prefix: bytes,
    ) -> None:
        subject = dek.wrapped.subject
        tenant, who = self._rows.tenant, self._rows.reader.subject(subject)
        with self._keys.open(dek) as keys:
            entries, epoch = _verified(keys, stored)
            for attribute, text in texts:
                number = attribute.number
                old = entries[number][1] if number in entries else 0
                sealed = keys.seal(
                    number,
                    old + 1,
                    prefix + text.encode(),
                    self._random(fmt.NONCE),
                )
                entries[number] = (number, old + 1, sealed[-fmt.TAG :])
                self._add_value(batch, who, number, old, sealed)
                if old and attribute.index:
                    batch.versions[subject, number] = old + 1
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

    def _add_value(
        self,
        batch: _Batch,
        who: Any,  # noqa: ANN401 - an id in the driver's own form
        attribute: int,
        old: int,
        sealed: bytes,
    ) -> None:
        if old:
            batch.replaced.append(
                {
                    "tenant": self._rows.tenant,
                    "who": who,
                    "which": attribute,
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
                    "attribute": attribute,
                    "version": 1,
                    "sealed": sealed,
                }
            )

    def _index_person(
        self,
        batch: _Batch,
        position: int,
        subject: UUID,
        texts: list[tuple[Attribute, str]],
        index: BlindIndex,
    ) -> None:
        tenant, who = self._rows.tenant, self._rows.reader.subject(subject)
        for attribute, text in texts:
            if not attribute.index:
                continue
            number = attribute.number
            version = batch.versions.get((subject, number), 1)
            if version > 1:
                batch.unindexed.append(
                    {"tenant": tenant, "who": who, "which": number}
                )
            digest = index.digest(attribute, text)
            batch.positions.append(position)
            batch.indexed.append(
                {
                    "tenant": tenant,
                    "attribute": number,
                    "key_version": KEY_VERSION,
                    "digest": digest,
                    "subject": who,
                    "version": version,
                    "binding": index.binding(number, subject, digest, version),
                }
            )

    def _store(self, conn: Connection, batch: _Batch) -> None:
        rows = self._rows
        if batch.unindexed:
            rows.drop_index(conn, batch.unindexed)
        if batch.indexed:
            self._refuse_duplicates(conn, batch)
        try:
            self._store_values(conn, batch)
        except IntegrityError:
            # A row stands where the verified state has none.
            raise CryptoFailure from None
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
        by_attribute: dict[int, list[tuple[int, bytes]]] = {}
        for position, row in zip(batch.positions, batch.indexed, strict=True):
            by_attribute.setdefault(row["attribute"], []).append(
                (position, row["digest"])
            )
        for number, listed in by_attribute.items():
            digests = [digest for _, digest in listed]
            seen = self._rows.taken(conn, number, KEY_VERSION, digests)
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


def _checked(source: str) -> str:
    field = "source"
    try:
        text = canonical(Kind.TEXT, source, 255)
    except Unfit as unfit:
        raise InvalidValue(field, unfit.reason) from None
    if len(text.encode()) > 255:
        reason = "too-long"
        raise InvalidValue(field, reason)
    return text


def _chunks(people: Iterable[Person]) -> Iterator[list[Person]]:
    """Cut into chunks in which nobody occurs twice."""
    rest = iter(people)
    while listed := list(islice(rest, CHUNK)):
        chunk: list[Person] = []
        seen: set[UUID] = set()
        for person in listed:
            if person[0] in seen:
                yield chunk
                chunk, seen = [], set()
            chunk.append(person)
            seen.add(person[0])
        yield chunk
