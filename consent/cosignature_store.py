"""Stored cosignatures: what witnesses said about checkpoints of the ledger.

The rows stand beside the checkpoints and are no part of what the ledger
signed. A row that a known witness's key does not vouch for is left out when
it is read, so that who can write to the table cannot spoil a checkpoint.
"""

from collections.abc import Iterable

from sqlalchemy import Connection, Dialect, bindparam, func, select
from sqlalchemy.dialects import postgresql, sqlite

from consent.cosignature_tables import CosignatureRow
from consent.cosignatures import CosignatureKey
from consent.errors import NoteUntrusted
from consent.ledger_statements import ledger_number
from consent.signed_notes import NoteSignature

_TABLE = CosignatureRow.__table__  # type: ignore[attr-defined]  # SQLModel sets it
_MOST_SIZES = 64


class CosignatureStore:
    """Keeps the cosignatures of one ledger.

    Args:
        origin: The ledger.
        dialect: Of the database.
    """

    def __init__(self, origin: str, dialect: Dialect) -> None:
        self._number = ledger_number(origin)
        number = _TABLE.c.ledger == self._number
        insert = (
            sqlite.insert if dialect.name == "sqlite" else postgresql.insert
        )
        self._add = (
            insert(_TABLE).values(ledger=self._number).on_conflict_do_nothing()
        )
        self._of_size = (
            select(_TABLE.c.name, _TABLE.c.key_id, _TABLE.c.signature)
            .where(number, _TABLE.c.size == bindparam("of_size"))
            .order_by(_TABLE.c.name, _TABLE.c.key_id)
        )
        self._sizes = (
            select(_TABLE.c.size)
            .where(number)
            .distinct()
            .order_by(_TABLE.c.size.desc())
            .limit(_MOST_SIZES)
        )
        self._largest = select(func.max(_TABLE.c.size)).where(
            number,
            _TABLE.c.name == bindparam("of_name"),
            _TABLE.c.key_id == bindparam("of_key"),
        )

    def add(
        self,
        conn: Connection,
        size: int,
        signed: Iterable[tuple[NoteSignature, int]],
    ) -> None:
        """Keep signature lines that have been verified; the first holds.

        Args:
            conn: Where the transaction runs.
            size: Of the checkpoint.
            signed: Lines, and the time that each states.

        """
        rows = [
            {
                "size": size,
                "name": line.name,
                "key_id": line.key_id,
                "signature": line.signature,
                "at": at,
            }
            for line, at in signed
        ]
        if rows:
            conn.execute(self._add, rows)

    def largest(self, conn: Connection, key: CosignatureKey) -> int | None:
        """Read the largest size that a witness cosigned, if any."""
        where = {"of_name": key.name, "of_key": key.key_id}
        found: int | None = conn.execute(self._largest, where).scalar()
        return found

    def sizes(self, conn: Connection) -> list[int]:
        """Read the largest sizes that anybody cosigned, falling."""
        return list(conn.execute(self._sizes).scalars())

    def of_size(
        self,
        conn: Connection,
        size: int,
        text: str,
        known: Iterable[CosignatureKey],
    ) -> list[tuple[NoteSignature, CosignatureKey]]:
        """Read the cosignatures on a checkpoint that hold.

        Args:
            conn: Where to read.
            size: Of the checkpoint.
            text: Its note text.
            known: Keys of known witnesses.

        Returns:
            Lines with their keys.

        """
        keys = {(key.name, key.key_id): key for key in known}
        found = []
        for name, key_id, signature in conn.execute(
            self._of_size, {"of_size": size}
        ):
            key = keys.get((name, bytes(key_id)))
            if key is None or not _holds(key, text, signature):
                continue
            line = NoteSignature(name=name, key_id=key_id, signature=signature)
            found.append((line, key))
        return found


def _holds(key: CosignatureKey, text: str, signature: bytes) -> bool:
    try:
        key.verify(text, signature)
    except NoteUntrusted:
        return False
    return True
