"""Entering and closing disputes, sealed beside the value they are about."""

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from sqlalchemy import Connection

from vault.catalogue import Catalogue
from vault.disputes import (
    Dispute,
    DisputeOutcome,
    added,
    closed,
    encode,
)
from vault.errors import InvalidValue
from vault.history import disputes_at, head
from vault.keystore import KeyStore
from vault.opening import locked_record
from vault.places import disputed, first_version
from vault.rows import DataRows
from vault.writing import Item, Writer

_SOURCE = "dispute"


class Disputing:
    """Disputes of one tenant's people."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        catalogue: Catalogue,
        writer: Writer,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._catalogue = catalogue
        self._writer = writer
        self._clock = clock
        self._random = random

    def enter(
        self,
        conn: Connection,
        subject: UUID,
        attribute: str,
        statement: str,
        *,
        by: str,
        version: int | None = None,
    ) -> Dispute:
        """Keep what the person says against a value.

        Args:
            conn: the caller's transaction.
            subject: the person.
            attribute: name; it must be held.
            statement: their words, at most 2,000 characters.
            by: who enters it: ``self``, or an officer's id.
            version: of the value; the current one if left out.

        Raises:
            InvalidValue: no such version is held, or the statement is no
                text. The message never shows it.
            UnknownSubject: not enrolled, or erased.
            CryptoFailure: the stored record does not verify.

        """
        place = self._catalogue[attribute].number
        now = self._clock()
        with locked_record(conn, self._rows, self._keys, subject) as record:
            held = record.rows.get(place)
            newest = 0 if held is None else held.version
            chosen = newest if version is None else version
            if not first_version(record.rows, place) <= chosen <= newest:
                reason = "not-held"
                raise InvalidValue(attribute, reason)
            listed = added(
                disputes_at(record.keys, record.rows, place),
                Dispute(
                    id=UUID(bytes=self._random(16), version=4),
                    version=chosen,
                    statement=statement,
                    at=now,
                    by=by,
                ),
            )
        self._write(conn, subject, place, encode(listed))
        return replace(listed[-1])

    def close(
        self,
        conn: Connection,
        subject: UUID,
        attribute: str,
        dispute: UUID,
        *,
        outcome: DisputeOutcome | None = None,
    ) -> None:
        """Withdraw a dispute, or resolve it with an outcome.

        Args:
            conn: the caller's transaction.
            subject: the person.
            attribute: name of what is disputed.
            dispute: which.
            outcome: how it was resolved; none if it is withdrawn.

        Raises:
            UnknownDispute: no open one has that id.
            UnknownSubject: not enrolled, or erased.
            CryptoFailure: the stored record does not verify.

        """
        place = self._catalogue[attribute].number
        with locked_record(conn, self._rows, self._keys, subject) as record:
            listed = closed(
                disputes_at(record.keys, record.rows, place),
                dispute,
                at=self._clock(),
                outcome=outcome,
            )
        self._write(conn, subject, place, encode(listed))

    def _write(
        self, conn: Connection, subject: UUID, place: int, text: str
    ) -> None:
        self._writer.write_items(
            conn,
            [(subject, [Item(disputed(place), text)])],
            head=head(self._clock(), _SOURCE),
            indexing=None,
        )
