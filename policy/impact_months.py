"""Guarded tables of past months, each made once and then kept.

What a month comes to changes while it lasts and, by erasures, ever after. Two
tables of one month would differ by those who were erased between them, so
there is one: the first that was made answers whatever is asked later. It has
guarded counts (`policy.impact_guard`), situations that have one, and the
preferences of those; what is too rare to be counted is in no table.

Each month is a file, sealed under the label of its month. Where the files
were lost or taken away, months are counted anew, without whoever was erased
since, and somebody who kept the answers of before can subtract. So backups of
the data have them, and a restore puts back those that are not there; what was
counted after the backup, and is not there either, is lost. A file that does
not open is no reason to count anew.
"""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from vault import CryptoFailure, NoteBox

_SCHEMA = "curtilage/impact-month/1"
_LABEL = "impact-month/"


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """What may be known of one month.

    Attributes:
        month: its name.
        people: guarded count of each situation that has one.
        rules: text of the preferences in situations, by their digest.
    """

    month: str
    people: Mapping[str, int]
    rules: Mapping[str, str]


class MonthTables:
    """Where the tables of one instance are.

    Args:
        folder: has a file for each month; made when the first is.
        key: 32 bytes that seal them.
    """

    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._box = NoteBox(key, random=os.urandom)

    def find(self, month: str) -> Table | None:
        """The table of a month; None if it was never made.

        Raises:
            CryptoFailure: there is one, and it does not open.
        """
        try:
            sealed = (self._folder / month).read_bytes()
        except FileNotFoundError:
            return None
        found = json.loads(self._box.unseal(_LABEL + month, sealed))
        if found["schema"] != _SCHEMA:
            raise CryptoFailure
        return Table(month=month, people=found["people"], rules=found["rules"])

    def keep(self, table: Table) -> Table:
        """Make this the table of its month, unless there is one; durable.

        Returns:
            The table of the month: of two that are made at a time, the first.

        Raises:
            CryptoFailure: there is one, and it does not open.
        """
        body = json.dumps(
            {
                "schema": _SCHEMA,
                "people": dict(table.people),
                "rules": dict(table.rules),
            }
        )
        sealed = self._box.seal(_LABEL + table.month, body.encode())
        if self._place(table.month, sealed):
            return table
        return self.find(table.month) or table

    def sealed(self) -> dict[str, bytes]:
        """All tables as they are kept, by month: for a backup."""
        if not self._folder.is_dir():
            return {}
        return {
            path.name: path.read_bytes()
            for path in sorted(self._folder.iterdir())
            if not path.name.startswith(".")
        }

    def put_back(self, month: str, sealed: bytes) -> None:
        """Keep what `sealed` gave, unless the month has a table; durable.

        Also what does not open: it keeps its month from being counted anew.
        """
        self._place(month, sealed)

    def _place(self, month: str, sealed: bytes) -> bool:
        self._folder.mkdir(mode=0o700, exist_ok=True)
        unfinished = self._folder / f".{secrets.token_hex(8)}"
        try:
            _write(unfinished, sealed)
            (self._folder / month).hardlink_to(unfinished)
        except FileExistsError:
            return False
        finally:
            unfinished.unlink(missing_ok=True)
        _sync(self._folder)
        return True


def _write(path: Path, body: bytes) -> None:
    with os.fdopen(
        os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
    ) as file:
        file.write(body)
        file.flush()
        os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
