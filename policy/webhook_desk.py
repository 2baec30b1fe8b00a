"""Telling services, and hearing what they did: the desk of webhooks.

Every step that counts is an entry about the person: that a service received
the message, that it said what it did, that it could not be reached in time.
An entry about a service whose uses are withheld from the person is withheld
by the same rule.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentStore, Draft, EntryKind, Ledger, LegalBasis
from policy.authority import Action, Caller, authorize
from policy.deliveries import Deliveries, Delivery, Done, Told
from policy.endpoints import Endpoint, Endpoints, Scheme
from policy.errors import PersonUnknown, RecordUnknown, RequestInvalid
from policy.happenings import HappeningKind
from policy.pdp import PolicyDecisionPoint
from policy.reading import Reader
from policy.retrying import look_again_now
from policy.store import TAG
from policy.telling import Telling
from policy.visibility import VisibilityRules
from vault import NoteBox, Transactions, Vault

T = TypeVar("T")
LEASE_SECONDS = 60
PER_SERVICE = 32
FIRST_PAUSE = 5
LONGEST_PAUSE = 6 * 3600
_GROWTH = 4
_MOST_POWER = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Outgoing:
    """One delivery to send now: to whom, and what it says."""

    delivery: Delivery
    told: Told
    endpoint: Endpoint | None


class WebhookDesk:
    """What the doors and the sender do with deliveries and endpoints."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        reader: Reader,
        vault: Vault,
        consents: ConsentStore,
        visibility: VisibilityRules,
        ledger: Ledger,
        telling: Telling,
        deliveries: Deliveries,
        endpoints: Endpoints,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._reader = reader
        self._vault = vault
        self._consents = consents
        self._visibility = visibility
        self._ledger = ledger
        self._telling = telling
        self._deliveries = deliveries
        self._endpoints = endpoints
        self._pdp = pdp
        self._clock = clock
        self._random = random

    # --- endpoints -------------------------------------------------------

    def register(
        self, service: str, purpose: str, url: str, scheme: Scheme
    ) -> Endpoint:
        """Set where a service is told; the caller has checked the address.

        Raises:
            RecordUnknown: no such service is declared for that purpose.
        """
        if self._consents.declaration(service, purpose) is None:
            msg = f"{service}/{purpose} is not declared"
            raise RecordUnknown(msg)

        def write(conn: Connection) -> Endpoint:
            made = self._endpoints.register(
                conn, service, purpose, url, scheme
            )
            self._deliveries.wake(conn, service, purpose, self._clock())
            return made

        return self._transactions.run(write)

    def rotate(
        self,
        service: str,
        purpose: str,
        *,
        scheme: Scheme | None = None,
        overlap: int,
    ) -> Endpoint:
        """Make a new secret; the one before signs on for `overlap` seconds.

        Raises:
            RecordUnknown: nothing is registered.
        """
        return self._transactions.run(
            lambda conn: self._endpoints.rotate(
                conn, service, purpose, scheme=scheme, overlap=overlap
            )
        )

    def remove(self, service: str, purpose: str) -> None:
        """Forget where a service is told.

        Raises:
            RecordUnknown: nothing is registered.
        """
        self._transactions.run(
            lambda conn: self._endpoints.remove(conn, service, purpose)
        )

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint."""
        return self._reader.now(self._endpoints.all)

    def endpoint(self, service: str, purpose: str) -> Endpoint | None:
        """Return where one service is told, or None."""
        return self._reader.now(
            lambda conn: self._endpoints.find(conn, service, purpose)
        )

    # --- sending ---------------------------------------------------------

    def spread(self) -> int:
        """Turn what waits in the outbox into deliveries; say how many."""
        return self._telling.spread()

    def hold_lease(self, holder: str, *, seconds: int = LEASE_SECONDS) -> bool:
        """Become or stay the process that sends; 0 seconds give it back."""
        return self._transactions.run(
            lambda conn: self._deliveries.lease(
                conn, holder, now=self._clock(), seconds=seconds
            )
        )

    def outgoing(self) -> list[Outgoing]:
        """Return what is to be sent now, some for each service."""
        return self._reader.now(self._outgoing)

    def _outgoing(self, conn: Connection) -> list[Outgoing]:
        found = []
        for one in self._deliveries.due(conn, self._clock(), PER_SERVICE):
            whole = self._deliveries.find(conn, one.id)
            if whole is not None:
                endpoint = self._endpoints.find(conn, one.service, one.purpose)
                found.append(
                    Outgoing(
                        delivery=whole[0], told=whole[1], endpoint=endpoint
                    )
                )
        return found

    def received(self, one: Outgoing) -> None:
        """Note that a service took a delivery; an entry the first time."""

        def write(conn: Connection) -> None:
            now = self._clock()
            if self._deliveries.received(conn, one.delivery.id, now):
                self._enter(conn, one.delivery, one.told, "received")

        self._locked(write)

    def failed(self, one: Outgoing, fault: str, *, gone: bool = False) -> None:
        """Note that an attempt failed: try later, or give up.

        Args:
            one: what was tried.
            fault: what it met, in a word that names no person.
            gone: the endpoint said that it is gone for good.
        """
        delivery = one.delivery
        now = self._clock()
        over = delivery.received_at is not None or delivery.deadline <= now
        until = now + self._pause(delivery.attempts)

        def write(conn: Connection) -> None:
            if gone and one.endpoint is not None:
                self._endpoints.stop(conn, one.endpoint.id)
            self._deliveries.postpone(
                conn, delivery, fault, until=until, now=now
            )
            if over and self._deliveries.give_up(conn, delivery.id, now):
                self._enter(conn, delivery, one.told, "unreachable")

        self._locked(write)

    def _pause(self, attempts: int) -> int:
        """Seconds until the next attempt: longer each time, and uneven."""
        grown: int = FIRST_PAUSE * _GROWTH ** min(attempts, _MOST_POWER)
        pause = min(grown, LONGEST_PAUSE)
        share: float = int.from_bytes(self._random(4)) / (1 << 32)
        return max(1, round(pause / 2 + share * pause / 2))

    # --- what services say ------------------------------------------------

    def acknowledge(
        self,
        service: str,
        purpose: str,
        identity: UUID,
        *,
        outcome: Done,
        ground: LegalBasis | None,
    ) -> Delivery:
        """Record what a service says that it did.

        Saying the same again changes nothing; saying something else is a
        further entry, and the last one holds.

        Args:
            service: who says so, from its credential.
            purpose: likewise.
            identity: the delivery.
            outcome: what it did.
            ground: on what basis it keeps what it keeps.

        Raises:
            RecordUnknown: it was told nothing under that id.
            RequestInvalid: something is kept without a ground, or on the
                consent that is no more; or a ground stands beside another
                outcome.
        """
        if (outcome is Done.KEPT) != (ground is not None):
            msg = "a ground belongs to what is kept, and to nothing else"
            raise RequestInvalid(msg)
        if ground is LegalBasis.CONSENT:
            msg = "nothing is kept on a consent that is no more"
            raise RequestInvalid(msg)
        basis = "" if ground is None else ground.value

        def write(conn: Connection) -> Delivery:
            delivery, told = self._own(conn, service, purpose, identity)
            if (delivery.outcome, delivery.ground) != (outcome, basis):
                self._deliveries.acknowledged(
                    conn,
                    identity,
                    outcome=outcome,
                    ground=basis,
                    now=self._clock(),
                )
                self._enter(conn, delivery, told, outcome.value)
            return self._own(conn, service, purpose, identity)[0]

        return self._locked(write)

    def of_service(
        self, service: str, purpose: str, *, limit: int = 200
    ) -> list[Delivery]:
        """Return what a service has not answered yet, for one that asks."""
        self.spread()
        return self._reader.now(
            lambda conn: self._deliveries.listed(
                conn,
                service=service,
                purpose=purpose,
                open_only=True,
                limit=limit,
            )
        )

    def told(
        self, service: str, purpose: str, identity: UUID
    ) -> tuple[Delivery, Told]:
        """Return one delivery to the service it is for, with what it says.

        Raises:
            RecordUnknown: it was told nothing under that id.
        """
        return self._reader.now(
            lambda conn: self._own(conn, service, purpose, identity)
        )

    # --- who looks ---------------------------------------------------------

    async def outstanding(
        self, officer: Caller, *, everything: bool = False
    ) -> Sequence[Delivery]:
        """Return who has not answered, the most overdue first.

        Args:
            officer: who looks.
            everything: also what is done.

        Raises:
            NotPermitted: not this officer's role.
        """
        await authorize(self._pdp, officer, Action.LEDGER_AUDIT, target={})
        self.spread()
        return self._reader.now(
            lambda conn: self._deliveries.listed(
                conn, open_only=not everything
            )
        )

    async def send_again(self, officer: Caller, identity: UUID) -> None:
        """Have a delivery sent once more, under its own id.

        Raises:
            NotPermitted: not this officer's role.
            RecordUnknown: there is none, or it is done.
        """
        await authorize(self._pdp, officer, Action.LEDGER_AUDIT, target={})
        again = self._transactions.run(
            lambda conn: self._deliveries.send_again(
                conn, identity, self._clock()
            )
        )
        if not again:
            msg = f"no delivery {identity} waits for an answer"
            raise RecordUnknown(msg)

    async def own(self, caller: Caller, subject: UUID) -> Sequence[Delivery]:
        """Return which services were told about a person, to the person.

        Raises:
            NotPermitted: `caller` is somebody else.
            PersonUnknown: there is no such person any more.
        """
        await authorize(
            self._pdp,
            caller,
            Action.OWN_VIEW,
            target={"subject": str(subject)},
        )
        holding = self._vault.holding(subject)
        if not holding.known:
            msg = f"person {subject} is not known here"
            raise PersonUnknown(msg)
        tags = [
            NoteBox(self._vault.log_key(one), random=self._random).tag(TAG)
            for one in (holding, *holding.others)
        ]
        return self._reader.now(
            lambda conn: self._deliveries.of_person(conn, tags)
        )

    # --- shared ------------------------------------------------------------

    def _own(
        self, conn: Connection, service: str, purpose: str, identity: UUID
    ) -> tuple[Delivery, Told]:
        found = self._deliveries.find(conn, identity)
        if found is None or (found[0].service, found[0].purpose) != (
            service,
            purpose,
        ):
            msg = f"no delivery {identity} is for this service"
            raise RecordUnknown(msg)
        return found

    def _locked(self, write: Callable[[Connection], T]) -> T:
        def locked(conn: Connection) -> T:
            self._ledger.lock(conn)
            return write(conn)

        return look_again_now(partial(self._transactions.run, locked))

    def _enter(
        self, conn: Connection, delivery: Delivery, told: Told, outcome: str
    ) -> None:
        """Write an entry about the person, or about nobody if erased."""
        now = self._clock()
        log_key = None
        if told.subject is not None:
            holding = self._vault.holding(told.subject)
            log_key = self._vault.log_key(holding) if holding.known else None
        withheld = None
        if log_key is not None:
            withheld = self._visibility.withheld_now(
                delivery.service, delivery.purpose, now
            )
        self._ledger.append(
            conn,
            [
                Draft(
                    kind=EntryKind.NOTIFICATION,
                    subject=told.subject if log_key else None,
                    log_key=log_key,
                    service=delivery.service,
                    purpose=delivery.purpose,
                    attributes=told.attributes,
                    outcome=outcome,
                    at=now,
                    # The act that it records: all rows of a delivery in
                    # the processing log are of the trace it was sent with.
                    decision=delivery.id,
                    detail={
                        "delivery": str(delivery.id),
                        "about": delivery.kind.value,
                    },
                    withheld=withheld,
                )
            ],
        )


def asks_to(kind: HappeningKind) -> str:
    """Say in one word what a service is asked to do."""
    if kind in {HappeningKind.RESTRICTED, HappeningKind.PAUSED}:
        return "stop"
    if kind is HappeningKind.OBJECTED:
        return "stop-for-purpose"
    return "delete"
