"""Declaring indexes, filling them, and giving them new keys.

A job writes where it stands after each page, so it may be stopped and begun
again. While an index is filled, or changes its key, every write already
makes the entries (`vault.specs`), so a page that was passed stays right.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from hashlib import blake2b
from math import log2
from uuid import UUID

from sqlalchemy import Connection, Engine, delete

from vault.catalogue import Attribute, Catalogue
from vault.errors import CryptoFailure, IndexRefused, UnknownSubject
from vault.history import text_of
from vault.indexes import KEY_VERSION
from vault.indexing import Held, Indexing
from vault.keystore import KeyStore
from vault.opening import locked_record
from vault.places import slots
from vault.planner import Column, Plan, plan
from vault.rows import DataRows
from vault.specs import FRESH, Spec, Specs, SpecState
from vault.tables import CANDIDATE, INDEX
from vault.values import Kind, prefix_form

PAGE = 200
RETIRED_AFTER = 12 * FRESH
_DOMAINS = {
    Kind.DATE: log2(36_525),
    Kind.COUNTRY: log2(249),
    Kind.POSTAL_CODE: log2(100_000),
}
Progress = Callable[[int], None]


class IndexJobs:
    """Plans, fills, rotates and drops the indexes of one tenant."""

    def __init__(
        self,
        *,
        data: Engine,
        rows: DataRows,
        keys: KeyStore,
        catalogue: Catalogue,
        specs: Specs,
        indexing: Callable[[], Indexing],
        decoy: Callable[[], UUID],
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators."""
        self._data = data
        self._rows = rows
        self._keys = keys
        self._catalogue = catalogue
        self._specs = specs
        self._indexing = indexing
        self._decoy = decoy
        self._clock = clock
        self._random = random

    def listed(self) -> tuple[Spec, ...]:
        """List the indexes as they stand."""
        with self._data.connect().execution_options(read_only=True) as conn:
            return self._specs.current(conn, lock=False)

    def holders(self, name: str) -> int:
        """Count the people who hold an attribute."""
        number = self._catalogue[name].number
        with self._data.connect().execution_options(read_only=True) as conn:
            return self._rows.holders(conn, number)

    def plan(
        self,
        name: str,
        *,
        prefix: int = 0,
        domain_bits: float | None = None,
        progress: Progress = lambda _: None,
    ) -> Plan:
        """Measure a column and plan an index of it.

        Args:
            name: of the attribute.
            prefix: how many characters are indexed; 0 for the whole value.
            domain_bits: logarithm of how many values there can be; what the
                kind says or what is held, if left out.
            progress: told how many people were looked at.

        """
        attribute = self._catalogue[name]
        if attribute.index:
            return plan(Column(rows=0, domain_bits=0, unique=True))
        whole: Counter[bytes] = Counter()
        forms: Counter[bytes] = Counter()
        key = self._random(32)
        for text in self._texts(attribute, progress):
            # Counted under a passing key: no list of values is made.
            whole[_mark(key, text.casefold())] += 1
            form = prefix_form(text, prefix)
            if form is not None:
                forms[_mark(key, form)] += 1
        if domain_bits is None:
            held = log2(len(whole)) if whole else 0.0
            domain_bits = _DOMAINS.get(attribute.kind, held)
        return plan(
            Column(
                rows=whole.total(),
                domain_bits=domain_bits,
                prefix_bits=log2(len(forms)) if prefix and forms else None,
                commonest=max(forms.values(), default=1),
                spent=[
                    float(one.bits)
                    for one in self.listed()
                    if one.attribute == attribute.number
                    and one.prefix != prefix
                ],
            )
        )

    def add(
        self,
        name: str,
        *,
        prefix: int = 0,
        domain_bits: float | None = None,
        progress: Progress = lambda _: None,
    ) -> Spec:
        """Declare an index as planned and fill it; again takes it up.

        Raises:
            IndexRefused: the planner says no, or there is one already.

        """
        attribute = self._catalogue[name]
        spec = self._find(attribute, prefix)
        if spec is None:
            found = self.plan(name, prefix=prefix, domain_bits=domain_bits)
            if found.refusal is not None:
                raise IndexRefused(name, found.refusal.value, found.reason)
            spec = Spec(
                attribute=attribute.number,
                prefix=prefix,
                bits=found.bits,
                state=SpecState.FILLING,
                key_version=KEY_VERSION,
                changed_at=self._clock(),
            )
            self._change(spec)
        if spec.state is not SpecState.FILLING:
            raise IndexRefused(name, "exists", "it has such an index already")
        self._fill(spec, spec.key_version, progress)
        return self._change(self._moved(spec, SpecState.READY))

    def rotate(
        self,
        name: str,
        *,
        prefix: int = 0,
        progress: Progress = lambda _: None,
    ) -> Spec:
        """Give an index a new key, fill it, and switch; again takes it up.

        The old entries stay until `retire`, for workers that do not know
        yet.

        Raises:
            IndexRefused: there is no such index, or it is not ready.

        """
        spec = self._known(name, prefix)
        if spec.state is SpecState.READY:
            spec = self._change(
                replace(
                    self._moved(spec, SpecState.ROTATING),
                    other_version=spec.key_version + 1,
                )
            )
        other = spec.other_version
        if spec.state is not SpecState.ROTATING or other is None:
            raise IndexRefused(name, spec.state, "it is changing already")
        self._fill(spec, other, progress)
        return self._change(
            replace(
                self._moved(spec, SpecState.RETIRING),
                key_version=other,
                other_version=spec.key_version,
            )
        )

    def retire(self, name: str, *, prefix: int = 0) -> Spec:
        """Drop the entries under the key before the last rotation.

        Raises:
            IndexRefused: there are none, or a worker may still use them.

        """
        spec = self._known(name, prefix)
        if spec.state is not SpecState.RETIRING or spec.other_version is None:
            raise IndexRefused(name, spec.state, "no old key is in use")
        if self._clock() - spec.changed_at < RETIRED_AFTER:
            what = f"wait {RETIRED_AFTER} seconds after the switch"
            raise IndexRefused(name, spec.state, what)
        old = spec.other_version
        ready = replace(self._moved(spec, SpecState.READY), other_version=None)
        with self._data.begin() as conn:
            self._specs.hold(conn)
            self._specs.set(conn, ready)
            self._remove(conn, spec, old)
        return ready

    def drop(self, name: str, *, prefix: int = 0) -> None:
        """Take an index away, entries and all.

        Raises:
            IndexRefused: there is none, or identifiers depend on it.

        """
        spec = self._known(name, prefix)
        if spec.unique:
            what = "an identifier is unique by its index; it stays"
            raise IndexRefused(name, "unique", what)
        with self._data.begin() as conn:
            self._specs.hold(conn)
            self._specs.remove(conn, spec)
            self._remove(conn, spec, None)

    def _find(self, attribute: Attribute, prefix: int) -> Spec | None:
        for one in self.listed():
            if one.key == (attribute.number, prefix):
                return one
        return None

    def _known(self, name: str, prefix: int) -> Spec:
        spec = self._find(self._catalogue[name], prefix)
        if spec is None:
            raise IndexRefused(name, "none", "it has no such index")
        return spec

    def _moved(self, spec: Spec, state: SpecState) -> Spec:
        return replace(spec, state=state, done=None, changed_at=self._clock())

    def _change(self, spec: Spec) -> Spec:
        with self._data.begin() as conn:
            self._specs.hold(conn)
            self._specs.set(conn, spec)
        return spec

    def _fill(self, spec: Spec, version: int, progress: Progress) -> None:
        only = replace(spec, key_version=version, other_version=None)
        after = spec.done
        while page := self._keys.page(after, limit=PAGE):
            with self._data.begin() as conn:
                for subject in page:
                    self._fill_one(conn, only, subject)
            after = page[-1]
            # Apart from the page: a writer holds what this waits for.
            with self._data.begin() as conn:
                self._specs.set(conn, replace(spec, done=after))
            progress(len(page))

    def _fill_one(self, conn: Connection, spec: Spec, subject: UUID) -> None:
        if subject == self._decoy():
            return
        held = self._held(conn, spec.attribute, subject)
        who = self._rows.reader.subject(subject)
        made = self._indexing().entries([spec], subject, who, held)
        self._remove(conn, spec, spec.key_version, subject)
        if made.unique:
            self._rows.add_index(conn, made.unique)
        if made.shared:
            self._rows.add_candidates(conn, made.shared)

    def _held(
        self, conn: Connection, number: int, subject: UUID
    ) -> list[Held]:
        try:
            with locked_record(
                conn, self._rows, self._keys, subject
            ) as record:
                return [
                    Held(place, row.version, text_of(record.keys, row))
                    for place in slots(number)
                    if (row := record.rows.get(place)) is not None
                ]
        except UnknownSubject:
            return []  # erased since the page was listed

    def _texts(
        self, attribute: Attribute, progress: Progress
    ) -> Iterator[str]:
        after: UUID | None = None
        while page := self._keys.page(after, limit=PAGE):
            deks = self._keys.many(page)
            with self._data.connect().execution_options(
                read_only=True
            ) as conn:
                stored = self._rows.many(conn, page)
            for subject in page:
                if subject == self._decoy() or subject not in deks:
                    continue
                wanted = {attribute.number: attribute.name}
                try:
                    with self._keys.open(deks[subject]) as keys:
                        yield from keys.open_texts(
                            stored[subject].values, wanted
                        ).values()
                except CryptoFailure:
                    continue  # the sweep names it; a plan counts the rest
            after = page[-1]
            progress(len(page))

    def _remove(
        self,
        conn: Connection,
        spec: Spec,
        version: int | None,
        subject: UUID | None = None,
    ) -> None:
        table = INDEX if spec.unique else CANDIDATE
        gone = delete(table).where(
            table.c.tenant == self._rows.tenant,
            table.c.attribute == spec.attribute,
        )
        if not spec.unique:
            gone = gone.where(table.c.prefix == spec.prefix)
        if version is not None:
            gone = gone.where(table.c.key_version == version)
        if subject is not None:
            gone = gone.where(table.c.subject == subject)
        conn.execute(gone)


def _mark(key: bytes, form: str) -> bytes:
    return blake2b(form.encode(), key=key, digest_size=16).digest()
