"""The sequencer: gapless indexes, handed out under the lock of the head row.

On SQLite `BEGIN IMMEDIATE` has already made the writer the only one; on
PostgreSQL `SELECT ... FOR UPDATE` on the head row does. The head row carries
the right edge of the tree, so a writer keeps nothing in memory between
transactions: another process may append in between, and a rollback leaves
nothing stale.

Whoever appends locks the head before any other row of its transaction, so
that no two writers wait for each other.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from consent.compact_range import CompactRange
from consent.entries import (
    SALT_BYTES,
    SUBJECT_DOMAIN,
    Appended,
    Draft,
    Opened,
    audit_body,
    commit,
    leaf_data,
    subject_body,
)
from consent.errors import LedgerInconsistent
from consent.ledger_keys import (
    SECONDS_A_DAY,
    EntryFields,
    LedgerKeys,
    PersonKeys,
)
from consent.ledger_statements import LedgerStatements
from consent.merkle import HASH_BYTES, hash_leaf
from consent.sealing import NONCE_BYTES, AuditOpening, seal_audit, seal_own
from consent.tree import full_tiles, split_hashes, upper_tiles

Random = Callable[[int], bytes]
_ENTRY_RANDOM = 2 * (SALT_BYTES + NONCE_BYTES)


@dataclass(slots=True)
class Person:
    """A person within one batch: keys, and where their count stands."""

    keys: PersonKeys
    counter: int = 0
    previous: bytes = b""
    touched: bool = False


class Batch:
    """Entries of one transaction, from the lock to `flush`.

    Nothing is in the database before `flush`, and nothing is durable before
    the caller's commit.

    Args:
        conn: Where the transaction runs; the caller commits it.
        origin: The ledger; a database holds one.
        keys: Its keys.
        random: Source of salts and nonces, like `os.urandom`.
        sql: The ledger's statements.

    Raises:
        LedgerInconsistent: The head row is broken, or of another ledger.
    """

    def __init__(
        self,
        conn: Connection,
        *,
        origin: str,
        keys: LedgerKeys,
        random: Random,
        sql: LedgerStatements,
    ) -> None:
        self._conn = conn
        self._origin = origin
        self._keys = keys
        self._random = random
        self._sql = sql
        self.reload()

    def reload(self) -> None:
        """Forget what is not flushed; read and lock where the ledger stands.

        After a savepoint was rolled back this is where the batch goes on.

        Raises:
            LedgerInconsistent: The head row is broken, or of another
                ledger.

        """
        self._edge = lock_head(self._conn, self._sql, self._origin)
        self._people: dict[bytes, Person] = {}
        self._clear()

    def expect(self, drafts: Iterable[Draft]) -> None:
        """Fetch what the drafts' people need, in few queries.

        Args:
            drafts: Drafts that may be added later.

        """
        fresh: dict[bytes, Person] = {}
        for draft in drafts:
            key = draft.log_key
            if key and key not in self._people and key not in fresh:
                fresh[key] = Person(self._keys.person(key))
        by_tag = {person.keys.tag: person for person in fresh.values()}
        found = self._sql.read_people(self._conn, list(by_tag))
        for tag, counter, previous in found:
            by_tag[tag].counter = counter
            by_tag[tag].previous = previous
        self._people.update(fresh)

    def add(self, drafts: Sequence[Draft]) -> list[Appended]:
        """Give each draft its index and seal it.

        Args:
            drafts: What is recorded, in order.

        Returns:
            Where each entry stands once the transaction commits.

        Raises:
            DraftInvalid: A draft has no entry format; the batch must then
                not be flushed.

        """
        self.expect(drafts)
        return [self._add(draft) for draft in drafts]

    def flush(self) -> None:
        """Write what was added into the transaction.

        Raises:
            LedgerInconsistent: The stored tree does not hold what came
                before.

        """
        if not self._entries:
            return
        conn, sql = self._conn, self._sql
        conn.exec_driver_sql(sql.add_entries, self._entries)
        people = [
            (person.keys.tag, person.counter, person.previous)
            for person in self._people.values()
            if person.touched
        ]
        if people:
            conn.exec_driver_sql(sql.set_people, people)
        tiles = [
            *full_tiles(conn, sql, begin=self._begin, fresh=self._hashes),
            *upper_tiles(conn, sql, self._closed),
        ]
        if tiles:
            conn.exec_driver_sql(sql.set_tiles, tiles)
        edge = (self._edge.size, b"".join(self._edge.nodes))
        conn.exec_driver_sql(sql.move_head, edge)
        self._clear()

    def forget_people(self) -> None:
        """Read people's counts anew: someone else has changed them.

        The caller has flushed.
        """
        self._people.clear()

    def _clear(self) -> None:
        self._begin = self._edge.size
        self._entries: list[tuple[object, ...]] = []
        self._hashes: list[bytes] = []
        self._closed: list[tuple[int, int, bytes]] = []
        for person in self._people.values():
            person.touched = False

    def _add(self, draft: Draft) -> Appended:
        fresh = self._random(_ENTRY_RANDOM)
        person = self._people[draft.log_key] if draft.log_key else None
        opened = self._write(draft, person, fresh)
        row = self._seal(draft, person, opened, fresh[2 * SALT_BYTES :])
        self._entries.append((*row, self._keys.seal_entry(row)))
        hashed = hash_leaf(row.leaf)
        self._hashes.append(hashed)
        self._closed += self._edge.append(hashed)
        if person is None:
            return Appended(index=row.idx, leaf=row.leaf, counter=0)
        person.counter += 1
        person.previous = row.leaf
        person.touched = True
        return Appended(index=row.idx, leaf=row.leaf, counter=person.counter)

    def _write(
        self, draft: Draft, person: Person | None, salts: bytes
    ) -> Opened:
        mark, counter, previous = "", 0, b""
        if person is not None and draft.subject is not None:
            mark = self._keys.mark(draft.subject, draft.at)
            counter, previous = person.counter + 1, person.previous
        return Opened(
            subject_salt=salts[:SALT_BYTES],
            subject_body=subject_body(
                draft, counter=counter, previous=previous
            ),
            audit_salt=salts[SALT_BYTES : 2 * SALT_BYTES],
            audit_body=audit_body(draft, mark=mark),
        )

    def _seal(
        self,
        draft: Draft,
        person: Person | None,
        opened: Opened,
        nonces: bytes,
    ) -> EntryFields:
        subject = commit(
            SUBJECT_DOMAIN, opened.subject_salt, opened.subject_body
        )
        audit = AuditOpening(
            salt=opened.audit_salt, body=opened.audit_body, subject=subject
        )
        leaf = leaf_data(subject, audit.commitment())
        index, day = self._edge.size, draft.at // SECONDS_A_DAY
        mine, theirs = nonces[:NONCE_BYTES], nonces[NONCE_BYTES:]
        return EntryFields(
            idx=index,
            leaf=leaf,
            tag=person.keys.tag if person else None,
            service=draft.service,
            purpose=draft.purpose,
            day=day,
            own=seal_own(
                person.keys.cipher, opened, index=index, leaf=leaf, nonce=mine
            )
            if person
            else None,
            audit=seal_audit(
                self._keys.audit(day),
                audit,
                index=index,
                leaf=leaf,
                nonce=theirs,
            ),
        )


def lock_head(
    conn: Connection, sql: LedgerStatements, origin: str
) -> CompactRange:
    """Lock the head row, made on first use, and read the tree's right edge.

    Args:
        conn: Where the transaction runs.
        sql: The ledger's statements.
        origin: The ledger that is expected.

    Returns:
        The edge.

    Raises:
        LedgerInconsistent: The row is broken, or of another ledger.

    """
    head = conn.exec_driver_sql(sql.lock_head).one_or_none()
    if head is None:
        first = {"origin": origin, "nodes": b""}
        conn.execute(sql.first_head, first)
        head = conn.exec_driver_sql(sql.lock_head).one()
    return read_edge(head.origin, origin, head.size, head.nodes)


def read_edge(
    found: str, origin: str, size: int, nodes: bytes
) -> CompactRange:
    """Read the right edge of the tree out of the head row's columns.

    Args:
        found: Origin in the row.
        origin: Origin that is expected.
        size: Entries.
        nodes: Roots of the perfect subtrees, joined.

    Returns:
        The edge.

    Raises:
        LedgerInconsistent: The parts do not fit together.

    """
    if found != origin:
        raise LedgerInconsistent(index=None, what="head of another ledger")
    if size < 0 or len(nodes) != size.bit_count() * HASH_BYTES:
        raise LedgerInconsistent(index=None, what="head without its edge")
    return CompactRange(size, split_hashes(nodes))
