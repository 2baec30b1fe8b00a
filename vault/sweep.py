"""A sweep over everything stored, naming what was altered, moved or dropped.

Reads page by page and opens every value, so it is work for an operator's
hour and not for a request. It says where something is wrong, by subject id
and attribute number, and never shows a value.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from vault import format as fmt
from vault.catalogue import Catalogue
from vault.deks import StoredDek
from vault.envelope import SubjectKeys
from vault.errors import STRANGE, CryptoFailure, KeyUnavailable
from vault.grants import Finding, FindingKind
from vault.history import text_of
from vault.indexing import Held, Indexing
from vault.keystore import KeyStore
from vault.places import first_version, is_mark
from vault.rows import DataRows, Sealed, Stored
from vault.specs import Spec, Specs, SpecState
from vault.tables import OPENS

_PAGE = 500
_NOBODY = UUID(int=0)


class Sweep:
    """One sweep over one tenant."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        indexing: Indexing,
        specs: Specs,
        catalogue: Catalogue,
        decoy: UUID,
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._indexing = indexing
        self._specs = specs
        self._catalogue = catalogue
        self._decoy = decoy
        self._listed: tuple[Spec, ...] = ()
        # Tag of a value found out of place -> what to say about it.
        self._misplaced: dict[bytes, list[Finding]] = {}

    def run(
        self,
        witness: Callable[[UUID], int] | None,
        progress: Callable[[int], None],
    ) -> Iterator[Finding]:
        """Sweep the living, then rows of nobody, then say what was moved."""
        after: UUID | None = None
        while page := self._keys.page(after, limit=_PAGE):
            yield from self._living(page, witness)
            progress(len(page))
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
            for row in (
                *self._rows.index_entries(conn, page),
                *self._rows.candidate_entries(conn, page),
            ):
                entries.setdefault(row["subject"], []).append(row)
            history = self._rows.histories(conn, page)
            self._listed = self._specs.current(conn, lock=False)
        for subject in page:
            if witness and witness(subject) > stored[subject].epoch:
                yield Finding(kind=FindingKind.ROLLED_BACK, subject=subject)
            dek = deks.get(subject)
            if dek is None or dek.state not in OPENS:
                continue  # erased since the page was listed
            yield from self._person(
                dek,
                stored[subject],
                history.get(subject, []),
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
            row = (stored.epoch, stored.state) if stored.epoch else None
            with self._keys.open(self._keys.fitting(dek, row)) as keys:
                found = list(self._opened(keys, stored, history, entries))
        except (CryptoFailure, KeyUnavailable, *STRANGE):
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
            text = text_of(keys, row)
        except (CryptoFailure, *STRANGE):
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
        """Compare the entries that stand with those that should.

        An index that is being filled, or given a new key, may still lack
        some; it has none too many.
        """
        held = [Held(place, *found) for place, found in texts.items()]
        filling = {
            (spec.attribute, spec.prefix, version)
            for spec in self._listed
            for version in spec.written
            if spec.state is SpecState.FILLING
            or (
                spec.state is SpecState.ROTATING
                and version == spec.other_version
            )
        }
        made = self._indexing.entries(self._listed, subject, None, held)
        expected = {_shown(row): row for row in (*made.unique, *made.shared)}
        strange: set[tuple[int, int, int]] = set()
        for row in entries:
            shown = _shown(row)
            if shown in expected:
                del expected[shown]
            else:
                strange.add(_index_of(row))
        missing = {_index_of(row) for row in expected.values()}
        found = {}
        for one in strange | (missing - filling):
            if one not in missing:
                kind = FindingKind.INDEX_FOREIGN
            elif one in strange:
                kind = FindingKind.INDEX_ALTERED
            else:
                kind = FindingKind.INDEX_MISSING
            found[one[0], kind] = Finding(
                kind=kind, subject=subject, attribute=one[0]
            )
        for key in sorted(found):
            yield found[key]

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
                except STRANGE:
                    yield Finding(kind=FindingKind.LEFTOVER, subject=_NOBODY)
            deks = self._keys.many(subjects)
            for subject in subjects:
                dek = deks.get(subject)
                if dek is None or dek.state not in OPENS:
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


def _index_of(row: Mapping[str, Any]) -> tuple[int, int, int]:
    return row["attribute"], row.get("prefix", 0), row["key_version"]


def _shown(row: Mapping[str, Any]) -> tuple[Any, ...]:
    """Give all of an entry but whose it is."""
    return (
        *_index_of(row),
        row["digest"],
        row["place"],
        row.get("version"),
        row.get("binding"),
    )


def _manifest(
    keys: SubjectKeys, stored: Stored
) -> dict[int, fmt.Entry] | None:
    """Give the verified entries of a state, or none if it is not sound."""
    code, manifest = fmt.split_state(stored.state)
    try:
        keys.check_state(stored.epoch, manifest, code)
        return fmt.parse_manifest(manifest)
    except (CryptoFailure, *STRANGE):
        return None


def _history(
    keys: SubjectKeys, history: list[Sealed], manifest: dict[int, fmt.Entry]
) -> Iterator[Finding]:
    expected = {
        (number, version)
        for number, current, _ in manifest.values()
        if not is_mark(number)
        for version in range(first_version(manifest, number), current)
    }
    for row in history:
        sound = (row.attribute, row.version) in expected
        expected.discard((row.attribute, row.version))
        try:
            keys.open(row.attribute, row.version, row.sealed)
        except (CryptoFailure, *STRANGE):
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
