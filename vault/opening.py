"""A person's whole record, locked, verified and open, for a change of it."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from vault import format as fmt
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure, UnknownSubject
from vault.keystore import KeyStore
from vault.rows import DataRows, Sealed, Stored
from vault.tables import OPENS


class Record(NamedTuple):
    """An open record: its keys, its verified rows by place, its epoch."""

    keys: SubjectKeys
    rows: dict[int, Sealed]
    epoch: int


def verified(keys: SubjectKeys, stored: Stored) -> dict[int, Sealed]:
    """Compare rows with the person's authenticated state.

    Returns:
        The rows by place.

    Raises:
        CryptoFailure: a row was altered, added, dropped or rolled back.

    """
    if stored.epoch or stored.values:
        code, manifest = fmt.split_state(stored.state)
        keys.check_state(stored.epoch, manifest, code)
        if manifest != fmt.manifest_of(stored.values):
            raise CryptoFailure(keys.subject)
    return {row[0]: Sealed(*row) for row in stored.values}


@contextmanager
def locked_record(
    conn: Connection, rows: DataRows, keys: KeyStore, subject: UUID
) -> Iterator[Record]:
    """Open a record for a change in the caller's transaction.

    Raises:
        UnknownSubject: not enrolled, or erased.
        CryptoFailure: the stored record does not verify.

    """
    locked = rows.states(conn, [subject], lock=True)
    dek = keys.many([subject]).get(subject)
    if dek is None or dek.state not in OPENS:
        raise UnknownSubject(subject)
    stored = rows.many(conn, [subject])[subject]
    with keys.open(keys.fitting(dek, locked.get(subject))) as opened:
        yield Record(opened, verified(opened, stored), stored.epoch)
