"""Two records that turn out to be one person's, together and apart again.

A merged record keeps its rows, its key and its history as they are. It gets
an alias, sealed in its own record, that names the one it is read with; that
one lists it, sealed in turn. Each is in its record's manifest, and a reader
refuses either without the other, so nobody can join or part two people in
the database. To part them is to take both away: nothing else was touched.

Until then the merged record takes no writes but of what is said against a
value that it holds. Both are read as one: what the
surviving record holds, and what only the other holds.
"""

import json
from collections.abc import Callable, Sequence
from uuid import UUID

from sqlalchemy import Connection

from vault.dropping import Dropper
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure, MergedSubject
from vault.grants import Holding
from vault.history import head, text_of
from vault.keystore import KeyStore
from vault.opening import locked_record, verified
from vault.places import ABSORBED, ALIAS
from vault.rows import DataRows, Sealed, Stored
from vault.writing import Item, Writer

_SOURCE = "merge"


class Merging:
    """Joins and parts records of one tenant."""

    def __init__(
        self,
        *,
        rows: DataRows,
        keys: KeyStore,
        writer: Writer,
        dropper: Dropper,
        clock: Callable[[], int],
    ) -> None:
        """Take the collaborators."""
        self._rows = rows
        self._keys = keys
        self._writer = writer
        self._dropper = dropper
        self._clock = clock

    def merge(
        self, conn: Connection, survivor: UUID, absorbed: UUID
    ) -> dict[UUID, int]:
        """Read two records as one from now on.

        Args:
            conn: the caller's transaction.
            survivor: the record that goes on.
            absorbed: the record that is read with it.

        Returns:
            The epochs of both records.

        Raises:
            MergedSubject: they are one record, or either is already part
                of another.
            UnknownSubject: one is not enrolled, or erased.
            CryptoFailure: a stored record does not verify.

        """
        if survivor == absorbed:
            raise MergedSubject(survivor, "is one record already")
        listed: list[UUID] = []
        # Locked in order of their ids, as every write of several is.
        for subject in sorted((survivor, absorbed)):
            with locked_record(
                conn, self._rows, self._keys, subject
            ) as record:
                if ALIAS in record.rows:
                    what = "is merged into another record already"
                    raise MergedSubject(subject, what)
                if subject == survivor:
                    listed = absorbed_ids(record.keys, record.rows)
        return self._write(
            conn,
            [
                (absorbed, Item(ALIAS, str(survivor))),
                (survivor, _listing([*listed, absorbed])),
            ],
        )

    def unmerge(
        self, conn: Connection, survivor: UUID, absorbed: UUID
    ) -> dict[UUID, int]:
        """Read two records apart again, each as it was.

        Raises:
            MergedSubject: the one is not merged into the other.
            UnknownSubject: one is not enrolled, or erased.
            CryptoFailure: a stored record does not verify.

        """
        listed: list[UUID] = []
        alias = None
        for subject in sorted((survivor, absorbed)):
            with locked_record(
                conn, self._rows, self._keys, subject
            ) as record:
                if subject == survivor:
                    listed = absorbed_ids(record.keys, record.rows)
                else:
                    alias = alias_of(record.keys, record.rows)
        if alias != survivor or absorbed not in listed:
            raise MergedSubject(absorbed, "is not merged into that record")
        rest = [one for one in listed if one != absorbed]
        epochs = {
            absorbed: self._dropper.drop(conn, absorbed, [ALIAS]),
        }
        if rest:
            return epochs | self._write(conn, [(survivor, _listing(rest))])
        epochs[survivor] = self._dropper.drop(conn, survivor, [ABSORBED])
        return epochs

    def _write(
        self, conn: Connection, items: Sequence[tuple[UUID, Item]]
    ) -> dict[UUID, int]:
        return self._writer.write_items(
            conn,
            [(subject, [item]) for subject, item in items],
            head=head(self._clock(), _SOURCE),
            indexing=None,
        )


class Following:
    """Finds the whole of which a record is a part."""

    def __init__(
        self, *, keys: KeyStore, own: Callable[[UUID], Holding]
    ) -> None:
        """Take the keys, and what fetches one record alone."""
        self._keys = keys
        self._own = own

    def whole(self, holding: Holding) -> Holding | None:
        """Give the record that goes on, with those that are read with it.

        Args:
            holding: of a record that `is_merged`.

        Returns:
            The surviving record's holding; none where it was erased.

        Raises:
            CryptoFailure: a record does not verify, or one does not answer
                to what the other says.

        """
        root = holding
        alias, below = self._bonds(root)
        passed = [root.subject]
        while alias is not None:
            root = self._own(alias)
            if root.erased:
                return None
            if not root.known or alias in passed:
                raise CryptoFailure(holding.subject)
            alias, below = self._bonds(root)
            if passed[-1] not in below:
                raise CryptoFailure(root.subject)
            passed.append(root.subject)
        root.asked = holding.asked
        root.others = tuple(self._below(root, below))
        names = [one.present for one in root.others]
        root.present = root.present.union(*names)
        return root

    def _below(self, parent: Holding, below: Sequence[UUID]) -> list[Holding]:
        found = []
        for subject in below:
            one = self._own(subject)
            if one.erased:
                continue
            if not one.known:
                raise CryptoFailure(parent.subject)
            alias, more = self._bonds(one)
            if alias != parent.subject:
                raise CryptoFailure(one.subject)
            found.append(one)
            found += self._below(one, more)
        return found

    def _bonds(self, holding: Holding) -> tuple[UUID | None, list[UUID]]:
        with self._keys.open(holding.dek) as keys:
            rows = verified(keys, holding.stored)
            return alias_of(keys, rows), absorbed_ids(keys, rows)


def is_merged(stored: Stored) -> bool:
    """Say whether a record is part of a whole, by its rows alone."""
    values = stored.values
    # Sorted by place, and most people have none above an attribute's.
    return (
        bool(values)
        and values[-1][0] >= ALIAS
        and any(row[0] in {ALIAS, ABSORBED} for row in values)
    )


def alias_of(keys: SubjectKeys, rows: dict[int, Sealed]) -> UUID | None:
    """Open the id of the record that this one is merged into."""
    row = rows.get(ALIAS)
    if row is None:
        return None
    try:
        return UUID(text_of(keys, row))
    except ValueError:
        raise CryptoFailure(keys.subject) from None


def absorbed_ids(keys: SubjectKeys, rows: dict[int, Sealed]) -> list[UUID]:
    """Open the ids of the records that are merged into this one."""
    row = rows.get(ABSORBED)
    if row is None:
        return []
    try:
        return [UUID(one) for one in json.loads(text_of(keys, row))]
    except (ValueError, TypeError, AttributeError):
        raise CryptoFailure(keys.subject) from None


def _listing(subjects: Sequence[UUID]) -> Item:
    return Item(ABSORBED, json.dumps([str(one) for one in subjects]))
