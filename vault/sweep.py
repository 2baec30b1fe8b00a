"""A sweep over everything stored, naming what was altered, moved or dropped.

Reads page by page and opens every value, so it is work for an operator's
hour and not for a request. It says where something is wrong, by subject id
and attribute number, and never shows a value.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from struct import error as struct_error
from typing import Any
from uuid import UUID

from vault import format as fmt
from vault.catalogue import Catalogue
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure, KeyUnavailable
from vault.grants import Finding, FindingKind
from vault.indexes import KEY_VERSION, BlindIndex
from vault.keystore import KeyStore
from vault.rows import DataRows, Sealed, Stored
from vault.tables import DekState

_PAGE = 500
_STRANGE = (TypeError, ValueError, OverflowError, struct_error)
_NOBODY = UUID(int=0)


class Sweep:
    """One sweep over one tenant."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        index: BlindIndex,
        catalogue: Catalogue,
        decoy: UUID,
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._index = index
        self._catalogue = catalogue
        self._decoy = decoy
        # Tag of a value found out of place -> what to say about it.
        self._misplaced: dict[bytes, list[Finding]] = {}

    def run(self, witness: Callable[[UUID], int] | None) -> Iterator[Finding]:
        """Sweep the living, then rows of nobody, then say what was moved."""
        after: UUID | None = None
        while page := self._keys.page(after, limit=_PAGE):
            yield from self._living(page, witness)
            after = page[-1]
        yield from self._leftovers()
        yield from self._moved()

    def _living(
        self, page: list[UUID], witness: Callable[[UUID], int] | None
    ) -> Iterator[Finding]:
        deks = self._keys.many(page)
        with self._rows.engine.connect().execution_options(
            read_only=True
        ) as conn:
            stored = self._rows.many(conn, page)
            entries: dict[UUID, list[Any]] = {}
            for row in self._rows.index_entries(conn, page):
                entries.setdefault(row.subject, []).append(row)
            history = {
                subject: self._rows.history(conn, subject) for subject in page
            }
        for subject in page:
            if witness and witness(subject) > stored[subject].epoch:
                yield Finding(kind=FindingKind.ROLLED_BACK, subject=subject)
            dek = deks.get(subject)
            if dek is None or dek.state != DekState.LIVE:
                continue  # erased since the page was listed
            yield from self._person(
                dek,
                stored[subject],
                history[subject],
                entries.get(subject, []),
            )

    def _person(
        self,
        dek: StoredDek,
        stored: Stored,
        history: list[Sealed],
        entries: list[Any],
    ) -> Iterator[Finding]:
        subject = dek.wrapped.subject
        if not (stored.epoch or stored.values or history or entries):
            yield Finding(kind=FindingKind.EMPTY, subject=subject)
            return
        try:
            with self._keys.open(dek) as keys:
                found = list(self._opened(keys, stored, history, entries))
        except (CryptoFailure, KeyUnavailable, *_STRANGE):
            found = [Finding(kind=FindingKind.KEY, subject=subject)]
        yield from found

    def _opened(
        self,
        keys: SubjectKeys,
        stored: Stored,
        history: list[Sealed],
        entries: list[Any],
    ) -> Iterator[Finding]:
        subject = keys.subject
        manifest = _manifest(keys, stored)
        if manifest is None:
            yield Finding(kind=FindingKind.STATE, subject=subject)
            manifest = {row[0]: (row[0], row[1], b"") for row in stored.values}
        texts: dict[int, tuple[int, str]] = {}
        for row in stored.values:
            yield from self._value(keys, Sealed(*row), manifest, texts)
        for number, version, _ in manifest.values():
            if all(row[0] != number for row in stored.values):
                yield Finding(
                    kind=FindingKind.MISSING,
                    subject=subject,
                    attribute=number,
                    version=version,
                )
        yield from _history(keys, history, manifest)
        if subject != self._decoy:
            yield from self._entries(subject, texts, entries)

    def _value(
        self,
        keys: SubjectKeys,
        row: Sealed,
        manifest: dict[int, fmt.Entry],
        texts: dict[int, tuple[int, str]],
    ) -> Iterator[Finding]:
        tag = row.sealed[-fmt.TAG :]
        entry = manifest.get(row.attribute)
        in_place = entry is not None and (
            entry[1] == row.version and entry[2] in (tag, b"")
        )
        finding = Finding(
            kind=FindingKind.ALTERED if entry else FindingKind.FOREIGN,
            subject=keys.subject,
            attribute=row.attribute,
            version=row.version,
        )
        try:
            text = fmt.record_text(
                keys.open(row.attribute, row.version, row.sealed)
            )
        except (CryptoFailure, *_STRANGE):
            in_place = False
        if in_place:
            texts[row.attribute] = row.version, text
            return
        if entry is not None and entry[2] == tag:
            yield finding
        else:
            self._misplaced.setdefault(tag, []).append(finding)

    def _entries(
        self,
        subject: UUID,
        texts: dict[int, tuple[int, str]],
        entries: list[Any],
    ) -> Iterator[Finding]:
        expected = {}
        for attribute in self._catalogue.indexed():
            number = attribute.number
            if number in texts:
                version, text = texts[number]
                digest = self._index.digest(attribute, text)
                tag = self._index.binding(number, subject, digest, version)
                expected[number] = KEY_VERSION, digest, version, tag
        strange: set[int] = set()
        for row in entries:
            shown = row.key_version, row.digest, row.version, row.binding
            if expected.get(row.attribute) == shown:
                del expected[row.attribute]
            else:
                strange.add(row.attribute)
        for number in sorted(strange | set(expected)):
            if number not in expected:
                kind = FindingKind.INDEX_FOREIGN
            elif number in strange:
                kind = FindingKind.INDEX_ALTERED
            else:
                kind = FindingKind.INDEX_MISSING
            yield Finding(kind=kind, subject=subject, attribute=number)

    def _leftovers(self) -> Iterator[Finding]:
        after: Any = None
        while True:
            with self._rows.engine.connect().execution_options(
                read_only=True
            ) as conn:
                page = self._rows.subjects(conn, after, _PAGE)
            if not page:
                return
            after = page[-1]
            subjects = []
            for raw in page:
                try:
                    subjects.append(self._rows.reader.uuid(raw))
                except _STRANGE:
                    yield Finding(kind=FindingKind.LEFTOVER, subject=_NOBODY)
            deks = self._keys.many(subjects)
            for subject in subjects:
                dek = deks.get(subject)
                if dek is None or dek.state != DekState.LIVE:
                    yield Finding(kind=FindingKind.LEFTOVER, subject=subject)

    def _moved(self) -> Iterator[Finding]:
        """Look for the true place of every value that was out of place."""
        after: UUID | None = None
        origins: dict[bytes, UUID] = {}
        while self._misplaced:
            page = self._keys.page(after, limit=_PAGE)
            if not page:
                break
            after = page[-1]
            with self._rows.engine.connect().execution_options(
                read_only=True
            ) as conn:
                states = self._rows.states(conn, page, lock=False)
            for subject, (_, state) in states.items():
                for start in range(32, len(state) - 27, 28):
                    tag = state[start + 12 : start + 28]
                    if tag in self._misplaced:
                        origins[tag] = subject
        for tag, findings in self._misplaced.items():
            for finding in findings:
                if tag in origins:
                    yield replace(
                        finding, kind=FindingKind.MOVED, origin=origins[tag]
                    )
                else:
                    yield finding


def _manifest(
    keys: SubjectKeys, stored: Stored
) -> dict[int, fmt.Entry] | None:
    """Give the verified entries of a state, or none if it is not sound."""
    code, manifest = fmt.split_state(stored.state)
    try:
        keys.check_state(stored.epoch, manifest, code)
        return fmt.parse_manifest(manifest)
    except (CryptoFailure, *_STRANGE):
        return None


def _history(
    keys: SubjectKeys, history: list[Sealed], manifest: dict[int, fmt.Entry]
) -> Iterator[Finding]:
    expected = {
        (number, version)
        for number, current, _ in manifest.values()
        for version in range(1, current)
    }
    for row in history:
        sound = (row.attribute, row.version) in expected
        expected.discard((row.attribute, row.version))
        try:
            keys.open(row.attribute, row.version, row.sealed)
        except (CryptoFailure, *_STRANGE):
            sound = False
        if not sound:
            yield Finding(
                kind=FindingKind.HISTORY_ALTERED,
                subject=keys.subject,
                attribute=row.attribute,
                version=row.version,
            )
    for number, version in sorted(expected):
        yield Finding(
            kind=FindingKind.HISTORY_MISSING,
            subject=keys.subject,
            attribute=number,
            version=version,
        )
