"""Letting a service in, and ending that: the row and its entry in one.

The entry is about nobody. It says which service for which purpose, under
which client id and at which assurance; the secret and its hash are in no
entry. `credential_sweep` holds the rows against these entries.
"""

import uuid
from collections.abc import Callable
from enum import StrEnum

from sqlalchemy import Connection

from consent import Draft, EntryKind, Ledger
from policy.registry import Credential, Registry
from vault import Transactions


class CredentialAct(StrEnum):
    """What an entry about a credential says was done."""

    ISSUED = "issued"
    REVOKED = "revoked"


class CredentialDesk:
    """What the doors do with credentials, each act an entry."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        registry: Registry,
        ledger: Ledger,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._registry = registry
        self._ledger = ledger
        self._clock = clock
        self._random = random

    def issue(
        self, *, service: str, purpose: str, assurance: int = 1
    ) -> tuple[str, str]:
        """Make a credential; the caller has seen that it is declared.

        Returns:
            The client id and the secret, which is shown this once.

        """

        def write(conn: Connection) -> tuple[str, str]:
            self._ledger.lock(conn)
            now = self._clock()
            client_id, secret = self._registry.issue(
                conn,
                service=service,
                purpose=purpose,
                assurance=assurance,
                at=now,
            )
            made = Credential(
                client_id=client_id,
                service=service,
                purpose=purpose,
                assurance=assurance,
            )
            self._enter(conn, CredentialAct.ISSUED, made, now, genuine=True)
            return client_id, secret

        return self._transactions.run(write)

    def revoke(self, client_id: str) -> None:
        """End a credential; tokens made under it stop working at once.

        A forged one ends too, and its entry says that it was.

        Raises:
            RecordUnknown: there is no such live credential.

        """

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            now = self._clock()
            ended = self._registry.revoke(conn, client_id, at=now)
            self._enter(
                conn,
                CredentialAct.REVOKED,
                ended.credential,
                now,
                genuine=ended.genuine,
            )

        self._transactions.run(write)

    def _enter(
        self,
        conn: Connection,
        act: CredentialAct,
        credential: Credential,
        now: int,
        *,
        genuine: bool,
    ) -> None:
        draft = Draft(
            kind=EntryKind.CREDENTIAL,
            subject=None,
            log_key=None,
            service=credential.service,
            purpose=credential.purpose,
            outcome=act.value,
            at=now,
            decision=uuid.UUID(bytes=self._random(16), version=4),
            detail={
                "client_id": credential.client_id,
                "assurance": credential.assurance,
                "genuine": genuine,
            },
        )
        self._ledger.append(conn, [draft])
