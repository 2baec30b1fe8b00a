"""What is known of withheld entries: when they open, and for whom.

One row an entry, sealed under the audit key, found by keyed names alone.
Opening an entry is written down, so that a clock that goes backwards hides
nothing again. Rows of a class that does not open by itself are not even
found when a person looks, so their number costs a look nothing.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row

from consent.canonical import canonical
from consent.composing import Composed
from consent.entries import Draft, EntryKind
from consent.errors import UnknownEntry
from consent.ledger_keys import SECONDS_A_DAY, LedgerKeys, field_list
from consent.ledger_statements import LedgerStatements
from consent.sealing import NONCE_BYTES, open_known, seal_known
from consent.visibility import Visibility, Withheld

MINIMUM_CELL = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Extension:
    """One act by which sealing was extended.

    Attributes:
        at: POSIX seconds.
        until: The new date.
        reason: As the officer gave it.
    """

    at: int
    until: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """A withheld entry, as officers who review it see it.

    Attributes:
        id: Names it to officers; it is no index.
        leaf: Its leaf data.
        tag: Tag of the chain.
        counter: The how many-th of that chain.
        visibility: `DELAYED`, `SEALED`, or `LIFTED` once disclosed.
        until: When it is disclosed, or must be reviewed; POSIX seconds.
        rule: Number of the rule under which it was withheld.
        kind: What happened.
        service: Who asked or acted.
        purpose: For which purpose.
        decision: The decision or act.
        at: When, POSIX seconds.
        index: Position in the ledger, once disclosed.
        extensions: Each act that moved `until`.
    """

    id: UUID
    leaf: bytes
    tag: bytes
    counter: int
    visibility: Visibility
    until: int
    rule: int
    kind: EntryKind
    service: str
    purpose: str
    decision: UUID
    at: int
    index: int | None = None
    extensions: tuple[Extension, ...] = ()

    @property
    def opened(self) -> bool:
        """Whether the person may see it."""
        return self.visibility is Visibility.LIFTED

    @property
    def year(self) -> int:
        """Year of the entry, UTC."""
        return datetime.fromtimestamp(self.at, UTC).year


@dataclass(frozen=True, slots=True, kw_only=True)
class YearlyCount:
    """How many entries of a year are not disclosed, over the whole body.

    Attributes:
        year: A year that has ended, UTC.
        entries: How many; ``None`` for fewer than the minimum cell, which
            may be none.
    """

    year: int
    entries: int | None


class WithheldEntries:
    """Reads and writes what is known of withheld entries of one ledger.

    Args:
        keys: The ledger's.
        sql: Its statements.
        random: Source of nonces.
    """

    def __init__(
        self,
        keys: LedgerKeys,
        sql: LedgerStatements,
        random: Callable[[int], bytes],
    ) -> None:
        self._keys = keys
        self._sql = sql
        self._random = random
        self._cipher = keys.withheld()

    def row(
        self,
        draft: Draft,
        withheld: Withheld,
        entry: Composed,
        counter: int,
    ) -> tuple[object, ...]:
        """Make the row of a new entry, in the order of the insert."""
        held = Held(
            id=UUID(bytes=self.name(entry.leaf)),
            leaf=entry.leaf,
            tag=entry.tag or b"",
            counter=counter,
            visibility=withheld.visibility,
            until=withheld.until,
            rule=withheld.rule,
            kind=draft.kind,
            service=draft.service,
            purpose=draft.purpose,
            decision=draft.decision,
            at=draft.at,
        )
        row = self._sealed(held)
        return tuple(row.values())

    def name(self, leaf: bytes) -> bytes:
        """Compute the name of an entry's row from its leaf."""
        return self._keys.keyed(b"withheld", leaf)

    def of_leaf(self, conn: Connection, leaf: bytes) -> Held | None:
        """Read what is known of an entry; ``None`` if it is not withheld."""
        return self._one(conn, self.name(leaf))

    def of_id(self, conn: Connection, held: UUID) -> Held:
        """Read what is known under an officer's id.

        Raises:
            UnknownEntry: Nothing is withheld under this id.

        """
        found = self._one(conn, held.bytes)
        if found is None:
            msg = f"nothing is withheld under {held}"
            raise UnknownEntry(msg)
        return found

    def due(self, conn: Connection, tag: bytes, now: int) -> list[Held]:
        """Read the delayed entries of a chain whose date has passed."""
        where = {"of_whom": self._whose(tag, Visibility.DELAYED), "until": now}
        return self._many(conn.execute(self._sql.withheld_due, where))

    def opened(self, conn: Connection, tag: bytes) -> list[Held]:
        """Read the disclosed entries of a chain, by rising counter."""
        where = {"of_whom": self._whose(tag, Visibility.LIFTED)}
        found = self._many(conn.execute(self._sql.withheld_of, where))
        return sorted(found, key=lambda held: held.counter)

    def queue(self, conn: Connection) -> list[Held]:
        """Read what is not disclosed, the earliest date first."""
        return self._many(conn.execute(self._sql.withheld_queue))

    def page(self, conn: Connection, after: bytes, most: int) -> list[Held]:
        """Read all that is known, disclosed or not, by pages."""
        where = {"after": after, "most": most}
        return self._many(conn.execute(self._sql.withheld_page, where))

    def write(self, conn: Connection, held: Held) -> None:
        """Write what is now known in place of what was."""
        row = self._sealed(held)
        where = {"at_place": row.pop("place")}
        to = {f"to_{name}": value for name, value in row.items()}
        conn.execute(self._sql.set_withheld, where | to)

    def open(self, conn: Connection, held: Held, index: int) -> Held:
        """Write down that the person may see an entry from now on."""
        lifted = replace(held, visibility=Visibility.LIFTED, index=index)
        self.write(conn, lifted)
        return lifted

    def forget(self, conn: Connection, tag: bytes) -> None:
        """Delete what is known of a chain."""
        for each in (
            Visibility.DELAYED,
            Visibility.SEALED,
            Visibility.LIFTED,
        ):
            conn.execute(
                self._sql.forget_withheld, {"of_whom": self._whose(tag, each)}
            )

    def move(self, conn: Connection, tag: bytes, to: bytes) -> None:
        """Let what is known of a chain follow it to another tag."""
        for each in (
            Visibility.DELAYED,
            Visibility.SEALED,
            Visibility.LIFTED,
        ):
            where = {"of_whom": self._whose(tag, each)}
            for held in self._many(
                list(conn.execute(self._sql.withheld_of, where))
            ):
                self.write(conn, replace(held, tag=to))

    def counts(self, conn: Connection, now: int) -> list[YearlyCount]:
        """Count by year what is not disclosed, for years that have ended.

        A count of the running year would tell when something was added.
        """
        this_year = datetime.fromtimestamp(now, UTC).year
        rows = conn.execute(self._sql.withheld_count, {"until": now})
        counted: dict[int, int] = {row[0]: row[1] for row in rows}
        for held in self._many(
            conn.execute(self._sql.withheld_overdue, {"until": now})
        ):
            # A delayed one is as good as disclosed: its date has passed.
            if held.visibility is Visibility.SEALED:
                counted[held.year] = counted.get(held.year, 0) + 1
        day = conn.execute(self._sql.first_day).scalar()
        if day is None:
            return []
        first = datetime.fromtimestamp(day * SECONDS_A_DAY, UTC).year
        return [
            YearlyCount(year=year, entries=_in_cell(counted.get(year, 0)))
            for year in range(first, this_year)
        ]

    def _one(self, conn: Connection, place: bytes) -> Held | None:
        where = {"at_place": place}
        row = conn.execute(self._sql.read_withheld, where).one_or_none()
        return None if row is None else self._open(row)

    def _many(self, rows: Iterable[Row[*tuple[Any, ...]]]) -> list[Held]:
        return [self._open(row) for row in rows]

    def _whose(self, tag: bytes, visibility: Visibility) -> bytes:
        return self._keys.keyed(b"whose", tag, visibility.encode())

    def _sealed(self, held: Held) -> dict[str, object]:
        place, opened = held.id.bytes, int(held.opened)
        whose = self._whose(held.tag, held.visibility)
        nonce = self._random(NONCE_BYTES)
        plain = canonical(_document(held))
        bound = _bind(place, whose, held.until, held.year, opened)
        return {
            "place": place,
            "whose": whose,
            "due": held.until,
            "year": held.year,
            "opened": opened,
            "sealed": seal_known(
                self._cipher, plain, bound=bound, nonce=nonce
            ),
        }

    def _open(self, row: Row[*tuple[Any, ...]]) -> Held:
        bound = _bind(row.place, row.whose, row.due, row.year, row.opened)
        plain = open_known(self._cipher, row.sealed, bound=bound)
        return _held(UUID(bytes=row.place), json.loads(plain))


def told_up_to(opened: Iterable[Held]) -> int:
    """Say up to which counter a second chain is disclosed without a gap.

    Only so far may a person learn where in it an entry stands.
    """
    known = {held.counter for held in opened}
    told = 0
    while told + 1 in known:
        told += 1
    return told


def _in_cell(entries: int) -> int | None:
    return entries if entries >= MINIMUM_CELL else None


def _bind(
    place: bytes, whose: bytes, due: int, year: int, opened: int
) -> bytes:
    numbers = b"%d %d %d" % (due, year, opened)
    return field_list(bytes(place), bytes(whose), numbers)


def _document(held: Held) -> dict[str, Any]:
    return {
        "at": held.at,
        "class": held.visibility.value,
        "counter": held.counter,
        "decision": str(held.decision),
        "extensions": [
            [each.at, each.until, each.reason] for each in held.extensions
        ],
        "index": held.index,
        "kind": held.kind.value,
        "leaf": held.leaf.hex(),
        "purpose": held.purpose,
        "rule": held.rule,
        "service": held.service,
        "tag": held.tag.hex(),
        "until": held.until,
        "v": 1,
    }


def _held(name: UUID, found: dict[str, Any]) -> Held:
    return Held(
        id=name,
        leaf=bytes.fromhex(found["leaf"]),
        tag=bytes.fromhex(found["tag"]),
        counter=found["counter"],
        visibility=Visibility(found["class"]),
        until=found["until"],
        rule=found["rule"],
        kind=EntryKind(found["kind"]),
        service=found["service"],
        purpose=found["purpose"],
        decision=UUID(found["decision"]),
        at=found["at"],
        index=found["index"],
        extensions=tuple(
            Extension(at=at, until=until, reason=reason)
            for at, until, reason in found["extensions"]
        ),
    )
