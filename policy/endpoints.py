"""Where services are told, and the secrets that sign what they are told.

The secrets are those of Standard Webhooks 1.0.0: ``whsec_`` for HMAC-SHA256
(signature ``v1``), ``whsk_`` and ``whpk_`` for Ed25519 (``v1a``). They are
kept sealed, since an HMAC needs the secret itself; a service sees it once.
After a rotation the one before signs beside the new one until its end.
"""

import base64
import json
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from sqlalchemy import Connection, Row, select, update

from policy.errors import RecordUnknown
from policy.webhook_tables import EndpointRow
from vault import NoteBox

_TABLE = EndpointRow.metadata.tables["policy_webhook_endpoint"]
SECRET_BYTES = 32
# Standard Webhooks leaves the time to the sender.
OVERLAP_SECONDS = 86_400


class Scheme(StrEnum):
    """How deliveries are signed: the identifier of the signature."""

    SYMMETRIC = "v1"
    ASYMMETRIC = "v1a"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SigningSecret:
    """One secret of an endpoint. It has no `repr`.

    Attributes:
        scheme: what it is for.
        key: 32 bytes: of the HMAC, or the seed of the Ed25519 key.
        until: POSIX seconds at which it stops signing; None for the newest.
    """

    scheme: Scheme
    key: bytes
    until: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where one service is told, for one purpose.

    Attributes:
        id: its own; it changes with the address.
        service: the service.
        purpose: its purpose.
        url: where.
        secrets: the newest first.
        created_at: POSIX seconds.
        stopped_at: POSIX seconds since when nothing is sent there, because
            it answered 410; or None.
    """

    id: UUID
    service: str
    purpose: str
    url: str
    secrets: tuple[SigningSecret, ...]
    created_at: int
    stopped_at: int | None


class Endpoints:
    """The endpoints of one tenant.

    Args:
        tenant: whose.
        box: seals under a key of the instance.
        random: as ``os.urandom``.
        clock: POSIX seconds.
    """

    def __init__(
        self,
        *,
        tenant: str,
        box: NoteBox,
        random: Callable[[int], bytes],
        clock: Callable[[], int],
    ) -> None:
        self._tenant = tenant
        self._box = box
        self._random = random
        self._clock = clock

    def register(
        self,
        conn: Connection,
        service: str,
        purpose: str,
        url: str,
        scheme: Scheme,
    ) -> Endpoint:
        """Set where a service is told, under a new secret.

        What was registered before for it ends at once, secrets included.

        Args:
            conn: the caller's transaction.
            service: the service.
            purpose: its purpose.
            url: the caller has checked it against the settings.
            scheme: how deliveries are signed.
        """
        made = Endpoint(
            id=uuid.UUID(bytes=self._random(16), version=4),
            service=service,
            purpose=purpose,
            url=url,
            secrets=(self._secret(scheme),),
            created_at=self._clock(),
            stopped_at=None,
        )
        conn.execute(_TABLE.delete().where(self._of(service, purpose)))
        conn.execute(
            _TABLE.insert().values(
                tenant=self._tenant,
                service=service,
                purpose=purpose,
                id=made.id,
                url=url,
                sealed=self._seal(made.id, made.secrets),
                created_at=made.created_at,
            )
        )
        return made

    def rotate(
        self,
        conn: Connection,
        service: str,
        purpose: str,
        *,
        scheme: Scheme | None = None,
        overlap: int = OVERLAP_SECONDS,
    ) -> Endpoint:
        """Make a new secret; the newest one signs on for a while.

        Args:
            conn: the caller's transaction.
            service: the service.
            purpose: its purpose.
            scheme: of the new secret; by default the newest one's.
            overlap: seconds that the newest one still signs; 0 ends it.

        Raises:
            RecordUnknown: nothing is registered.
        """
        found = self.find(conn, service, purpose)
        if found is None:
            msg = f"{service}/{purpose} has no webhook endpoint"
            raise RecordUnknown(msg)
        now, newest = self._clock(), found.secrets[0]
        kept = [
            SigningSecret(scheme=one.scheme, key=one.key, until=until)
            for one in found.secrets
            if (until := one.until or now + overlap) > now
        ]
        secrets = (self._secret(scheme or newest.scheme), *kept)
        conn.execute(
            update(_TABLE)
            .where(self._of(service, purpose))
            .values(sealed=self._seal(found.id, secrets), stopped_at=None)
        )
        return Endpoint(
            id=found.id,
            service=service,
            purpose=purpose,
            url=found.url,
            secrets=secrets,
            created_at=found.created_at,
            stopped_at=None,
        )

    def remove(self, conn: Connection, service: str, purpose: str) -> None:
        """Forget where a service is told.

        Raises:
            RecordUnknown: nothing is registered.
        """
        gone = conn.execute(_TABLE.delete().where(self._of(service, purpose)))
        if not gone.rowcount:
            msg = f"{service}/{purpose} has no webhook endpoint"
            raise RecordUnknown(msg)

    def stop(self, conn: Connection, identity: UUID) -> None:
        """Send nothing there any more: it answered that it is gone."""
        conn.execute(
            update(_TABLE)
            .where(_TABLE.c.tenant == self._tenant, _TABLE.c.id == identity)
            .values(stopped_at=self._clock())
        )

    def find(
        self, conn: Connection, service: str, purpose: str
    ) -> Endpoint | None:
        """Return where a service is told, or None."""
        row = conn.execute(
            select(_TABLE).where(self._of(service, purpose))
        ).one_or_none()
        return None if row is None else self._read(row)

    def all(self, conn: Connection) -> list[Endpoint]:
        """Return every endpoint, by service and purpose."""
        rows = conn.execute(
            select(_TABLE)
            .where(_TABLE.c.tenant == self._tenant)
            .order_by(_TABLE.c.service, _TABLE.c.purpose)
        )
        return [self._read(row) for row in rows]

    def _of(self, service: str, purpose: str):  # type: ignore[no-untyped-def] # noqa: ANN202 - SQLAlchemy's own expression
        return (
            (_TABLE.c.tenant == self._tenant)
            & (_TABLE.c.service == service)
            & (_TABLE.c.purpose == purpose)
        )

    def _secret(self, scheme: Scheme) -> SigningSecret:
        return SigningSecret(scheme=scheme, key=self._random(SECRET_BYTES))

    def _seal(self, identity: UUID, secrets: Sequence[SigningSecret]) -> bytes:
        listed = [
            [one.scheme.value, base64.b64encode(one.key).decode(), one.until]
            for one in secrets
        ]
        body = json.dumps(listed).encode()
        return self._box.seal(f"webhook-secret/{identity}", body)

    def _read(self, row: Row[tuple[object, ...]]) -> Endpoint:
        body = self._box.unseal(f"webhook-secret/{row.id}", row.sealed)
        return Endpoint(
            id=row.id,
            service=row.service,
            purpose=row.purpose,
            url=row.url,
            secrets=tuple(
                SigningSecret(
                    scheme=Scheme(scheme),
                    key=base64.b64decode(key),
                    until=until,
                )
                for scheme, key, until in json.loads(body)
            ),
            created_at=row.created_at,
            stopped_at=row.stopped_at,
        )
