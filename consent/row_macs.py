"""Message authentication codes of rows that decide who learns what.

Whoever can write the data database alone could otherwise give a consent, a
declaration or a credential that nobody gave: the gate acts on the rows that
it finds. So a row that allows something carries an HMAC-SHA256 (RFC 2104)
over its columns under a key that is in neither database, and what was taken
away shows in the code of the row that counts.

An instance of before there were such codes goes on without them until an
operator has vouched for what stands in it (``curtilage vouch``). That this
was done is kept beside the key and not in the database, where whoever could
take the codes away could take it back as well.
"""

import hmac
import json

from consent.errors import RowForged


class RowMacs:
    """Makes and checks the codes of one tenant's rows.

    Args:
        key: 32 bytes that only this instance knows.
        tenant: whose rows.
        required: whether a row without its code is refused. Where not, no
            code is looked at: somebody who can write rows could as well
            take the code away.
    """

    def __init__(self, key: bytes, tenant: str, *, required: bool) -> None:
        self._key = key
        self._tenant = tenant
        self.required = required

    def __repr__(self) -> str:
        """Tell nothing of the key."""
        return f"RowMacs({self._tenant!r}, required={self.required})"

    def of(
        self,
        kind: str,
        *columns: str | int | bytes | None,
        blob: bytes = b"",
    ) -> bytes:
        """Make the code of a row.

        Args:
            kind: the table, and the version of what is covered of it.
            columns: its columns, always the same ones in the same order.
            blob: one that is long.

        Returns:
            32 bytes. Two rows have the same one only if they are equal.

        """
        covered = json.dumps(
            [
                kind,
                self._tenant,
                *(
                    {"b": one.hex()} if isinstance(one, bytes) else one
                    for one in columns
                ),
            ]
        )
        # What JSON writes has no line end, so the two cannot run together.
        message = covered.encode("ascii") + b"\n" + blob
        return hmac.digest(self._key, message, "sha256")

    def demand(
        self,
        given: object,
        kind: str,
        *columns: str | int | bytes | None,
        blob: bytes = b"",
    ) -> None:
        """Make sure that a row is as it was written.

        Args:
            given: the code that stands in the row.
            kind: as `of`.
            columns: as `of`.
            blob: as `of`.

        Raises:
            RowForged: it is another row's, or none.

        """
        if not self.required:
            return
        expected = self.of(kind, *columns, blob=blob)
        if not isinstance(given, bytes) or not hmac.compare_digest(
            given, expected
        ):
            raise RowForged(kind)
