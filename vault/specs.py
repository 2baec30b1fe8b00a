"""Which indexes a tenant has declared, and which key versions are in use.

An identifier of the catalogue has its unique index without a declaration; a
row stands here once its key was rotated. Other indexes are declared by an
operator, at the width that `vault.planner` gave.

A change of the declarations waits for every write that saw the old ones: a
write holds a share lock on them until it commits, so no entry of a version
that has come into use can be missing afterwards.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Engine, Row, delete, insert, select, update

from vault.catalogue import Catalogue
from vault.indexes import KEY_VERSION
from vault.tables import SPEC

UNIQUE_BITS = 128
FRESH = 5


class SpecState(StrEnum):
    """Where an index stands.

    `filling`: written, not yet served. `ready`: both. `rotating`: both under
    the old key and the new, served by the old first. `retiring`: served by
    the new first; the old is still written for workers that do not know yet.
    """

    FILLING = "filling"
    READY = "ready"
    ROTATING = "rotating"
    RETIRING = "retiring"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spec:
    """One index.

    Attributes:
        attribute: number.
        prefix: how many characters of a value count; 0 for all.
        bits: width of a digest.
        state: where it stands.
        key_version: served first.
        other_version: also written, while the key changes.
        done: up to which person the back-fill has come.
        changed_at: when the state last changed, POSIX seconds.
        unique: whether a digest belongs to one person.

    """

    attribute: int
    prefix: int
    bits: int
    state: SpecState
    key_version: int
    other_version: int | None = None
    done: UUID | None = None
    changed_at: int = 0
    unique: bool = False

    @property
    def key(self) -> tuple[int, int]:
        """Attribute and prefix, which name the index."""
        return self.attribute, self.prefix

    @property
    def written(self) -> tuple[int, ...]:
        """Key versions under which every value has an entry."""
        if self.other_version is None:
            return (self.key_version,)
        return self.key_version, self.other_version

    @property
    def served(self) -> tuple[int, ...]:
        """Key versions under which a look-up looks, in this order."""
        return () if self.state is SpecState.FILLING else self.written


class Specs:
    """The declared indexes of one tenant."""

    def __init__(
        self,
        *,
        engine: Engine,
        tenant: str,
        catalogue: Catalogue,
        clock: Callable[[], int],
    ) -> None:
        """Take the collaborators; nothing is read yet."""
        self._engine = engine
        self._tenant = tenant
        self._identifiers = {
            one.number: Spec(
                attribute=one.number,
                prefix=0,
                bits=UNIQUE_BITS,
                state=SpecState.READY,
                key_version=KEY_VERSION,
                unique=True,
            )
            for one in catalogue.indexed()
        }
        self._clock = clock
        self._cached: tuple[int, tuple[Spec, ...]] | None = None

    def current(self, conn: Connection, *, lock: bool) -> tuple[Spec, ...]:
        """Read them, held against change until the commit if asked."""
        asked = select(SPEC).where(SPEC.c.tenant == self._tenant)
        if lock:
            asked = asked.with_for_update(read=True)
        rows = conn.execute(asked).all()
        return self._listed(rows)

    def recent(self) -> tuple[Spec, ...]:
        """Give them as they were at most a few seconds ago.

        A look-up must not cost one statement more for a person who is there
        than for one who is not, nor one more each time: both versions are
        served for longer than this.
        """
        now, cached = self._clock(), self._cached
        if cached is None or not 0 <= now - cached[0] < FRESH:
            with self._engine.connect().execution_options(
                read_only=True
            ) as conn:
                cached = self._cached = (now, self.current(conn, lock=False))
        return cached[1]

    def find(self, attribute: int, prefix: int) -> Spec | None:
        """Give one index as it was a few seconds ago."""
        for one in self.recent():
            if one.key == (attribute, prefix):
                return one
        return None

    def hold(self, conn: Connection) -> None:
        """Wait for every write that saw the declarations as they are.

        To be called first in a transaction that changes one. Each write has
        a lock on the table, also where it read no row; SQLite has one
        writer anyway.
        """
        if conn.dialect.name == "postgresql":
            conn.exec_driver_sql(f"LOCK TABLE {SPEC.name} IN EXCLUSIVE MODE")

    def set(self, conn: Connection, spec: Spec) -> None:
        """Declare or change an index."""
        self._cached = None
        values = {
            "bits": spec.bits,
            "state": spec.state.value,
            "key_version": spec.key_version,
            "other_version": spec.other_version,
            "done": spec.done,
            "changed_at": spec.changed_at,
        }
        mine = (
            SPEC.c.tenant == self._tenant,
            SPEC.c.attribute == spec.attribute,
            SPEC.c.prefix == spec.prefix,
        )
        if not conn.execute(update(SPEC).where(*mine).values(values)).rowcount:
            conn.execute(
                insert(SPEC).values(
                    tenant=self._tenant,
                    attribute=spec.attribute,
                    prefix=spec.prefix,
                    **values,
                )
            )

    def remove(self, conn: Connection, spec: Spec) -> None:
        """Take a declaration away."""
        self._cached = None
        conn.execute(
            delete(SPEC).where(
                SPEC.c.tenant == self._tenant,
                SPEC.c.attribute == spec.attribute,
                SPEC.c.prefix == spec.prefix,
            )
        )

    def _listed(self, rows: "Sequence[Row[Any]]") -> tuple[Spec, ...]:
        found = {(number, 0): one for number, one in self._identifiers.items()}
        for row in rows:
            spec = Spec(
                attribute=row.attribute,
                prefix=row.prefix,
                bits=row.bits,
                state=SpecState(row.state),
                key_version=row.key_version,
                other_version=row.other_version,
                done=row.done,
                changed_at=row.changed_at,
                unique=(row.attribute, row.prefix) in found
                and row.bits == UNIQUE_BITS,
            )
            found[spec.key] = spec
        return tuple(found[key] for key in sorted(found))
