"""Who may ask: service credentials, each bound to one purpose.

A credential for purpose A reads nothing for purpose B, because the purpose
of a request is read from the credential and never from the body.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

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

from consent import RowMacs
from policy.errors import CredentialRefused, RecordUnknown
from policy.reading import DriverStatement, Reader
from policy.tables import CredentialRow
from policy.together import Together

_TABLE = CredentialRow.metadata.tables["policy_credential"]
# How much of a service's id a client id repeats.
_SERVICE_SHOWN = 48
# As many characters as the column has, and none that a database refuses.
_CLIENT_ID = re.compile(r"[!-~]{1,64}")
_COLUMNS = ("client_id", "service", "purpose", "assurance", "secret_hash")
_OF_TENANT = select(*(_TABLE.c[name] for name in _COLUMNS)).where(
    _TABLE.c.tenant == bindparam("tenant"), _TABLE.c.revoked_at.is_(None)
)
_LIVE = _OF_TENANT.where(_TABLE.c.client_id == bindparam("client_id"))
_ALL_LIVE = _OF_TENANT.where(
    _TABLE.c.client_id == any_(bindparam("client_ids", type_=ARRAY(String)))
)
_LISTED = (
    select(
        _TABLE.c.client_id,
        _TABLE.c.service,
        _TABLE.c.purpose,
        _TABLE.c.assurance,
        _TABLE.c.created_at,
        _TABLE.c.revoked_at,
    )
    .where(_TABLE.c.tenant == bindparam("tenant"))
    .order_by(
        _TABLE.c.service,
        _TABLE.c.purpose,
        _TABLE.c.created_at,
        _TABLE.c.client_id,
    )
)
_LISTED_LIVE = _LISTED.where(_TABLE.c.revoked_at.is_(None))
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
    """

    credential: Credential
    at: int
    revoked_at: int | None


class _Live(NamedTuple):
    """A live row; the columns are `_COLUMNS`."""

    client_id: str
    service: str
    purpose: str
    assurance: int
    secret_hash: bytes


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
        self._find = DriverStatement(engine, _LIVE)
        self._together: Together[str, _Live] | None = None
        if engine.dialect.name == "postgresql":
            self._find_all = DriverStatement(engine, _ALL_LIVE)
            self._together = Together(self._rows)

    def issue(
        self,
        conn: Connection,
        *,
        service: str,
        purpose: str,
        assurance: int = 1,
    ) -> tuple[str, str]:
        """Make a credential.

        Returns:
            The client id and the secret, which is shown this once.

        """
        client_id = f"{service[:_SERVICE_SHOWN]}.{self._random(4).hex()}"
        secret = (
            base64.urlsafe_b64encode(self._random(32)).decode().rstrip("=")
        )
        conn.execute(
            _TABLE.insert().values(
                client_id=client_id,
                tenant=self._tenant,
                service=service,
                purpose=purpose,
                assurance=assurance,
                secret_hash=_hash(secret),
                created_at=self._clock(),
            )
        )
        return client_id, secret

    def authenticate(self, client_id: str, secret: str) -> Credential:
        """Prove a service by its secret.

        Raises:
            CredentialRefused: unknown, revoked and wrong alike.

        """
        row = self._row(client_id)
        expected = _NO_SECRET if row is None else bytes(row.secret_hash)
        if not hmac.compare_digest(_hash(secret), expected) or row is None:
            msg = "client credentials were refused"
            raise CredentialRefused(msg)
        return _credential(row)

    def credential(self, client_id: str) -> Credential:
        """Look a live credential up, for a token made under it.

        Raises:
            CredentialRefused: it was revoked since.

        """
        return _demanded(client_id, self._row(client_id))

    async def live(self, client_id: str) -> Credential:
        """As `credential`, on an event loop that must not wait for a server.

        Whoever asks at the same time shares the look, which begins after
        they asked: what was revoked before is refused.

        Raises:
            CredentialRefused: it was revoked since.

        """
        if self._together is None:
            return self.credential(client_id)
        return _demanded(client_id, await self._together(_possible(client_id)))

    def revoke(self, conn: Connection, client_id: str) -> None:
        """End a credential; tokens made under it stop working at once.

        Raises:
            RecordUnknown: there is no such live credential.

        """
        ended = conn.execute(
            update(CredentialRow)
            .where(
                col(CredentialRow.tenant) == self._tenant,
                col(CredentialRow.client_id) == client_id,
                col(CredentialRow.revoked_at).is_(None),
            )
            .values(revoked_at=self._clock())
        )
        if not ended.rowcount:
            msg = "there is no live credential of that id"
            raise RecordUnknown(msg)

    def issued(self, *, revoked: bool = False) -> Sequence[Issued]:
        """List the credentials, by service and purpose, the oldest first.

        Args:
            revoked: whether those that ended are listed too.

        """
        listed = _LISTED if revoked else _LISTED_LIVE
        rows = self._reader.now(
            lambda conn: conn.execute(listed, {"tenant": self._tenant}).all()
        )
        return [
            Issued(
                credential=Credential(
                    client_id=client_id,
                    service=service,
                    purpose=purpose,
                    assurance=assurance,
                ),
                at=at,
                revoked_at=ended,
            )
            for client_id, service, purpose, assurance, at, ended in rows
        ]

    def _row(self, client_id: str) -> _Live | None:
        given = {"tenant": self._tenant, "client_id": _possible(client_id)}
        rows = self._reader.now(lambda conn: self._find.rows(conn, given))
        return _Live(*rows[0]) if rows else None

    async def _rows(self, client_ids: Sequence[str]) -> Mapping[str, _Live]:
        given = {"tenant": self._tenant, "client_ids": [*client_ids]}
        rows = await self._reader(
            lambda conn: self._find_all.rows(conn, given)
        )
        return {one.client_id: one for one in (_Live(*row) for row in rows)}


def _possible(client_id: str) -> str:
    """An id that none can be is looked up too, at the same cost."""
    return client_id if _CLIENT_ID.fullmatch(client_id) else ""


def _demanded(client_id: str, row: _Live | None) -> Credential:
    if row is None:
        msg = f"credential {client_id} is not live"
        raise CredentialRefused(msg)
    return _credential(row)


def _credential(row: _Live) -> Credential:
    return Credential(
        client_id=row.client_id,
        service=row.service,
        purpose=row.purpose,
        assurance=row.assurance,
    )


def _hash(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
