"""One record over many channels: the identifiers that lead to a person.

A telephone number, a mail address, a web account and a counter card are each
a sealed value with an index entry of its own, and a person may have several
of a kind (`vault.places.slots`). Whichever is looked up, it leads to the one
record.
"""

from uuid import UUID

from sqlalchemy import Connection

from vault.catalogue import Attribute, Catalogue, validate
from vault.dropping import Dropper
from vault.errors import InvalidValue, NotIndexed
from vault.history import text_of
from vault.indexing import Indexing
from vault.keystore import KeyStore
from vault.opening import Record, locked_record
from vault.places import slots
from vault.rows import DataRows
from vault.values import index_form
from vault.writing import Item, Writer


class Linking:
    """Identifiers of one tenant's people."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        catalogue: Catalogue,
        writer: Writer,
        dropper: Dropper,
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._catalogue = catalogue
        self._writer = writer
        self._dropper = dropper

    def link(
        self,
        conn: Connection,
        subject: UUID,
        identifier: tuple[str, str],
        *,
        head: bytes,
        indexing: Indexing,
    ) -> int:
        """Let one more identifier lead to a person.

        Args:
            conn: the caller's transaction.
            subject: the person.
            identifier: attribute name and value.
            head: what the record begins with.
            indexing: makes the index entry.

        Returns:
            The epoch of the person's record.

        Raises:
            NotIndexed: the attribute is no identifier.
            InvalidValue: the text is no value of it, or the person has too
                many of the kind.
            DuplicateIdentifier: it leads to somebody already.
            UnknownSubject, MergedSubject, CryptoFailure: as `Vault.put`.

        """
        attribute, text = self._identifier(identifier)
        with locked_record(conn, self._rows, self._keys, subject) as record:
            free = [
                place
                for place in slots(attribute.number)
                if place not in record.rows
            ]
        if not free:
            reason = "too-many"
            raise InvalidValue(attribute.name, reason)
        epochs = self._writer.write_items(
            conn,
            [(subject, [Item(free[0], text)])],
            head=head,
            indexing=indexing,
        )
        return epochs[subject]

    def unlink(
        self, conn: Connection, subject: UUID, identifier: tuple[str, str]
    ) -> int:
        """Let an identifier no longer lead to a person; forget it.

        Returns:
            The epoch of the person's record.

        Raises:
            NotIndexed: the attribute is no identifier.
            InvalidValue: the person has no such identifier.
            UnknownSubject, CryptoFailure: as `Vault.drop`.

        """
        attribute, text = self._identifier(identifier)
        with locked_record(conn, self._rows, self._keys, subject) as record:
            place = _place_of(record, attribute, text)
        if place is None:
            reason = "not-held"
            raise InvalidValue(attribute.name, reason)
        return self._dropper.drop(conn, subject, [place])

    def _identifier(
        self, identifier: tuple[str, str]
    ) -> tuple[Attribute, str]:
        attribute = self._catalogue[identifier[0]]
        if not attribute.index:
            raise NotIndexed(attribute.name)
        return attribute, validate(attribute, identifier[1])


def _place_of(record: Record, attribute: Attribute, text: str) -> int | None:
    wanted = index_form(attribute.kind, text)
    for place in slots(attribute.number):
        row = record.rows.get(place)
        if row is not None:
            held = index_form(attribute.kind, text_of(record.keys, row))
            if held == wanted:
                return place
    return None
