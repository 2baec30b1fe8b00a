"""Whether people are all still there, asked again and again."""

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import Connection

from vault.keystore import KeyStore
from vault.reading import Listed
from vault.rows import DataRows

# People that a statement looks for.
_PAGE = 5_000


class Roll:
    """Some different people, however many, of whom none may be gone.

    For a hundred thousand a question takes a fraction of a second. It is
    quickest where they are in the order of their ids.
    """

    def __init__(
        self, *, rows: DataRows, keys: KeyStore, people: Sequence[UUID]
    ) -> None:
        """Take the people."""
        self._rows = rows
        self._keys = keys
        pages = [
            people[start : start + _PAGE]
            for start in range(0, len(people), _PAGE)
        ]
        self._by_key = [keys.listed(page) for page in pages]
        self._by_row: list[tuple[int, Listed]] = [
            (len(page), Listed(rows.reader, page)) for page in pages
        ]

    def all_open(self) -> bool:
        """Say whether everybody has a live key.

        Whoever is being erased has none, whether or not their rows are gone.
        """
        return not any(self._keys.closed(page) for page in self._by_key)

    def all_held(self, conn: Connection) -> bool:
        """Say whether everybody has a record.

        Args:
            conn: the transaction to look in, on the data database.

        """
        return all(
            self._rows.count(conn, page) == count
            for count, page in self._by_row
        )
