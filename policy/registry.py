"""Who may ask: service credentials, each bound to one purpose.

A credential for purpose A reads nothing for purpose B, because the purpose
of a request is read from the credential and never from the body.

Every row has a code over all of it (`consent.row_macs`): what was written
past this registry, or changed since, is refused like what is not there.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import (
    ARRAY,
    Connection,
    Engine,
    String,
    any_,
    bindparam,
    select,
    update,
)
from sqlmodel import col

from consent import RowForged, RowMacs
from policy.errors import CredentialRefused, RecordUnknown
from policy.reading import DriverStatement, Reader
from policy.tables import CredentialRow
from policy.together import Together

_TABLE = CredentialRow.metadata.tables["policy_credential"]
# The table, and the version of what its rows' codes cover.
_CODED = "policy_credential/1"
# How much of a service's id a client id repeats.
_SERVICE_SHOWN = 48
# As many characters as the column has, and none that a database refuses.
_CLIENT_ID = re.compile(r"[!-~]{1,64}")


class _Row(NamedTuple):
    """A row, but for its tenant."""

    client_id: str
    service: str
    purpose: str
    assurance: int
    secret_hash: bytes
    created_at: int
    revoked_at: int | None
    mac: bytes | None


_OF_TENANT = select(*(_TABLE.c[name] for name in _Row._fields)).where(
    _TABLE.c.tenant == bindparam("tenant")
)
_ALL_LIVE = _OF_TENANT.where(_TABLE.c.revoked_at.is_(None))
_LIVE = _ALL_LIVE.where(_TABLE.c.client_id == bindparam("client_id"))
_SOME_LIVE = _ALL_LIVE.where(
    _TABLE.c.client_id == any_(bindparam("client_ids", type_=ARRAY(String)))
)
_ORDER = (
    _TABLE.c.service,
    _TABLE.c.purpose,
    _TABLE.c.created_at,
    _TABLE.c.client_id,
)
# Compared when the client is unknown, so that both answers cost the same.
_NO_SECRET = hashlib.sha256(b"no such credential").digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A service that has proved who it is, for one purpose."""

    client_id: str
    service: str
    purpose: str
    assurance: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A credential as it stands in the register, without its secret.

    Attributes:
        credential: whose it is, and for what.
        at: when it was made, POSIX seconds.
        revoked_at: when it ended; None while it lives.
        genuine: whether its row is as this instance wrote it. Where codes
            are demanded, one that is not is refused.
    """

    credential: Credential
    at: int
    revoked_at: int | None
    genuine: bool


class Registry:
    """The credentials of one tenant."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        reader: Reader,
        macs: RowMacs,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._macs = macs
        self._tenant = tenant
        self._reader = reader
        self._clock = clock
        self._random = random
        # In the place of a row that is not there, so that it costs as much.
        nobody = _Row("", "", "", 0, _NO_SECRET, 0, None, None)
        self._nobody = nobody._replace(mac=self._code(nobody))
        self._find = DriverStatement(engine, _LIVE)
        self._list = DriverStatement(engine, _OF_TENANT.order_by(*_ORDER))
        self._list_live = DriverStatement(engine, _ALL_LIVE.order_by(*_ORDER))
        self._together: Together[str, _Row] | None = None
        if engine.dialect.name == "postgresql":
            self._find_all = DriverStatement(engine, _SOME_LIVE)
            self._together = Together(self._rows)

    def issue(
        self,
        conn: Connection,
        *,
        service: str,
        purpose: str,
        assurance: int = 1,
        at: int | None = None,
    ) -> tuple[str, str]:
        """Make a credential; `CredentialDesk.issue` enters it too.

        Args:
            conn: the transaction.
            service: whose.
            purpose: the one purpose that it is for.
            assurance: its level.
            at: when, POSIX seconds; else now.

        Returns:
            The client id and the secret, which is shown this once.

        """
        client_id = f"{service[:_SERVICE_SHOWN]}.{self._random(4).hex()}"
        secret = (
            base64.urlsafe_b64encode(self._random(32)).decode().rstrip("=")
        )
        row = _Row(
            client_id=client_id,
            service=service,
            purpose=purpose,
            assurance=assurance,
            secret_hash=_hash(secret),
            created_at=self._clock() if at is None else at,
            revoked_at=None,
            mac=None,
        )
        values = row._replace(mac=self._code(row))._asdict()
        conn.execute(_TABLE.insert().values(tenant=self._tenant, **values))
        return client_id, secret

    def authenticate(self, client_id: str, secret: str) -> Credential:
        """Prove a service by its secret.

        Raises:
            CredentialRefused: unknown, revoked, forged and wrong alike.

        """
        row = self._genuine(self._row(client_id))
        expected = _NO_SECRET if row is None else row.secret_hash
        if not hmac.compare_digest(_hash(secret), expected) or row is None:
            msg = "client credentials were refused"
            raise CredentialRefused(msg)
        return _credential(row)

    def credential(self, client_id: str) -> Credential:
        """Look a live credential up, for a token made under it.

        Raises:
            CredentialRefused: it was revoked since, or forged.

        """
        return self._demanded(client_id, self._row(client_id))

    async def live(self, client_id: str) -> Credential:
        """As `credential`, on an event loop that must not wait for a server.

        Whoever asks at the same time shares the look, which begins after
        they asked: what was revoked before is refused.

        Raises:
            CredentialRefused: it was revoked since, or forged.

        """
        if self._together is None:
            return self.credential(client_id)
        row = await self._together(_possible(client_id))
        return self._demanded(client_id, row)

    def revoke(
        self, conn: Connection, client_id: str, *, at: int | None = None
    ) -> Issued:
        """End a credential; `CredentialDesk.revoke` enters that too.

        A forged one ends too, and is vouched for no more than before.

        Args:
            conn: the transaction.
            client_id: which.
            at: when, POSIX seconds; else now.

        Returns:
            What ended, and whether it counted until then.

        Raises:
            RecordUnknown: there is no such live credential.

        """
        given = {"tenant": self._tenant, "client_id": _possible(client_id)}
        for values in self._find.rows(conn, given):
            row = _Row(*values)
            ended = row._replace(
                revoked_at=self._clock() if at is None else at, mac=None
            )
            genuine = self._genuine(row) is not None
            if genuine:
                ended = ended._replace(mac=self._code(ended))
            if self._rewrite(conn, row, ended):
                return _issued(ended, genuine=genuine)
        msg = "there is no live credential of that id"
        raise RecordUnknown(msg)

    def vouch(self, conn: Connection) -> int:
        """Make the codes of all rows that lack a right one, as they stand.

        Whoever has this done has looked through `issued` first.

        Returns:
            Of how many rows.

        """
        rows = [
            _Row(*values)
            for values in self._list.rows(conn, {"tenant": self._tenant})
        ]
        return sum(
            self._rewrite(conn, row, row._replace(mac=self._code(row)))
            for row in rows
            if not self._is_right(row)
        )

    def standing(self, conn: Connection) -> list[tuple[Any, ...]]:
        """Return all rows but their codes, for whoever is to vouch."""
        rows = self._list.rows(conn, {"tenant": self._tenant})
        return [tuple(row[:-1]) for row in rows]

    def issued(self, *, revoked: bool = False) -> Sequence[Issued]:
        """List the credentials, by service and purpose, the oldest first.

        Args:
            revoked: whether those that ended are listed too.

        """
        statement = self._list if revoked else self._list_live
        rows = self._reader.now(
            lambda conn: statement.rows(conn, {"tenant": self._tenant})
        )
        return [
            _issued(row, genuine=self._is_right(row))
            for row in (_Row(*values) for values in rows)
        ]

    def _code(self, row: _Row) -> bytes:
        return self._macs.of(_CODED, *row[:-1])

    def _is_right(self, row: _Row) -> bool:
        """Whether a row has its code, demanded or not."""
        return isinstance(row.mac, bytes) and hmac.compare_digest(
            row.mac, self._code(row)
        )

    def _genuine(self, row: _Row | None) -> _Row | None:
        """Take a forged row for none; none costs a code as well."""
        looked_at = self._nobody if row is None else row
        try:
            self._macs.demand(looked_at.mac, _CODED, *looked_at[:-1])
        except RowForged:
            return None
        return row

    def _demanded(self, client_id: str, found: _Row | None) -> Credential:
        row = self._genuine(found)
        if row is None:
            msg = f"credential {client_id} is not live"
            raise CredentialRefused(msg)
        return _credential(row)

    def _rewrite(self, conn: Connection, row: _Row, anew: _Row) -> bool:
        """Write an end and a code, unless the row ended since it was read."""
        ended = col(CredentialRow.revoked_at)
        done = conn.execute(
            update(CredentialRow)
            .where(
                col(CredentialRow.tenant) == self._tenant,
                col(CredentialRow.client_id) == row.client_id,
                ended.is_not_distinct_from(row.revoked_at),
            )
            .values(revoked_at=anew.revoked_at, mac=anew.mac)
        )
        return bool(done.rowcount)

    def _row(self, client_id: str) -> _Row | None:
        given = {"tenant": self._tenant, "client_id": _possible(client_id)}
        rows = self._reader.now(lambda conn: self._find.rows(conn, given))
        return _Row(*rows[0]) if rows else None

    async def _rows(self, client_ids: Sequence[str]) -> Mapping[str, _Row]:
        given = {"tenant": self._tenant, "client_ids": [*client_ids]}
        rows = await self._reader(
            lambda conn: self._find_all.rows(conn, given)
        )
        return {one.client_id: one for one in (_Row(*row) for row in rows)}


def _possible(client_id: str) -> str:
    """An id that none can be is looked up too, at the same cost."""
    return client_id if _CLIENT_ID.fullmatch(client_id) else ""


def _credential(row: _Row) -> Credential:
    return Credential(
        client_id=row.client_id,
        service=row.service,
        purpose=row.purpose,
        assurance=row.assurance,
    )


def _issued(row: _Row, *, genuine: bool) -> Issued:
    return Issued(
        credential=_credential(row),
        at=row.created_at,
        revoked_at=row.revoked_at,
        genuine=genuine,
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
