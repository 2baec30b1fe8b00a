"""Removing some of a person's values for good, with all that hangs on them.

Value, history, disputes and index entries go; the mark that stays
(`vault.places`) says only up to which version something stood there. As every
write, a removal verifies the person's whole record first, so that it cannot
hide what somebody altered.
"""

from collections.abc import Callable, Collection
from typing import Any
from uuid import UUID

from sqlalchemy import Connection

from vault import format as fmt
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure
from vault.keystore import KeyStore
from vault.opening import locked_record
from vault.places import disputed, dropped
from vault.rows import DataRows

_SOURCE = "removal"


class Dropper:
    """Removes values of one tenant's people."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._clock = clock
        self._random = random

    def drop(
        self, conn: Connection, subject: UUID, places: Collection[int]
    ) -> int:
        """Remove what stands at some places, and what is said against it.

        Args:
            conn: the caller's transaction.
            subject: the person.
            places: which; those empty are passed over.

        Returns:
            The epoch of the person's record; unchanged if nothing stood
            at any of the places.

        Raises:
            UnknownSubject: not enrolled, or erased.
            CryptoFailure: the stored record does not verify.

        """
        wanted = {*places, *map(disputed, places)}
        with locked_record(conn, self._rows, self._keys, subject) as record:
            gone = wanted & record.rows.keys()
            if not gone:
                return record.epoch
            marks = [
                self._mark(record.keys, place, record.rows[place].version)
                for place in sorted(gone)
            ]
            epoch = record.epoch + 1
            entries = {
                place: (place, row.version, row.sealed[-fmt.TAG :])
                for place, row in record.rows.items()
                if place not in gone
            }
            for mark in marks:
                place, sealed = mark["attribute"], mark["sealed"]
                entries[place] = place, mark["version"], sealed[-fmt.TAG :]
            manifest = fmt.write_manifest(entries.values())
            state = record.keys.state_mac(epoch, manifest) + manifest
        self._rows.remove(
            conn, subject, sorted(gone | {dropped(one) for one in gone})
        )
        self._rows.add(conn, marks)
        row = {
            "tenant": self._rows.tenant,
            "who": self._rows.reader.subject(subject),
            "old": epoch - 1,
            "new": epoch,
            "cipher": state,
        }
        if not self._rows.set_states(conn, [row]):
            raise CryptoFailure(subject)
        return epoch

    def _mark(
        self, keys: SubjectKeys, place: int, version: int
    ) -> dict[str, Any]:
        record = fmt.record_head(self._clock(), _SOURCE)
        return {
            "tenant": self._rows.tenant,
            "subject": self._rows.reader.subject(keys.subject),
            "attribute": dropped(place),
            "version": version,
            "sealed": keys.seal(
                dropped(place), version, record, self._random(fmt.NONCE)
            ),
        }
