"""Vouching for what is stored of people, as an instance of before needs it.

Whoever decides demands that a person's facts have the code that this
instance made of them (`consent.fact_parts`). Rows of before there were codes
have none, and rows that somebody put right by hand have a wrong one. Both
get theirs here, after the ledger was asked about each: the entry of an act
is what the row is held to (`policy.fact_sweep`), and where it tells of
another one nobody is vouched for.
"""

import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    RESTRAINTS_PART,
    ConsentStore,
    Draft,
    EntryKind,
    Ledger,
    RegistryStanding,
)
from policy.bundle_store import BundleStore
from policy.errors import RequestInvalid
from policy.facts import is_damage
from policy.glass_store import GlassStore
from policy.proposal_sweep import ProposalSweep
from policy.proposals import DeclarationDesk
from policy.registry import Registry
from policy.release import ReleaseDesk
from policy.restraints import RestraintStore
from policy.visibility import OFFICE
from vault import Transactions, Vault

_PAGE = 200


class Registered(NamedTuple):
    """What is declared, issued and in force, as whoever vouches has seen it.

    Attributes:
        declarations: digest, version, service and purpose of each.
        rules: the rows of rules of visibility.
        credentials: the columns of each, without its code.
        live: which bundle is in force, which runs in its shadow, and the
            revisions of both.
        bundles: the columns of each proposed bundle, without its files.
        proposals: the columns of each proposed declaration.
        grants: the columns of each grant of emergency access, also of those
            that ended, and of each step that was refused.
        alerts: the columns of each alert about one, also of closed ones.
        releases: the columns of each request for an extract.
    """

    declarations: Sequence[tuple[Any, ...]]
    rules: Sequence[tuple[Any, ...]]
    credentials: Sequence[tuple[Any, ...]]
    live: Mapping[str, Any]
    bundles: Sequence[Mapping[str, Any]]
    proposals: Sequence[Mapping[str, Any]]
    grants: Sequence[Mapping[str, Any]]
    alerts: Sequence[Mapping[str, Any]]
    releases: Sequence[Mapping[str, Any]]


class Vouching:
    """Makes and checks the codes of everybody's facts.

    Args:
        transactions: of the data database.
        vault: lists whom it knows.
        consents: keeps the codes, and most of the facts.
        restraints: the rest of the facts.
        registry: the credentials.
        bundles: the policies, and which are in force.
        proposals: the proposed declarations.
        glass: the grants of emergency access, and the alerts.
        releases: the requests for extracts.
        sweep: holds what officers settled to the ledger.
        ledger: says that somebody vouched.
        clock: POSIX seconds.
        random: like ``os.urandom``.
    """

    def __init__(
        self,
        *,
        transactions: Transactions,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        registry: Registry,
        bundles: BundleStore,
        proposals: DeclarationDesk,
        glass: GlassStore,
        releases: ReleaseDesk,
        sweep: ProposalSweep,
        ledger: Ledger,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._registry = registry
        self._bundles = bundles
        self._proposals = proposals
        self._glass = glass
        self._releases = releases
        self._sweep = sweep
        self._ledger = ledger
        self._clock = clock
        self._random = random
        self._transactions = transactions
        self._vault = vault
        self._consents = consents
        self._restraints = restraints

    def demand(self, conn: Connection, subject: UUID) -> None:
        """Make sure that all that is stored of somebody is as written.

        Raises:
            ConsentDamaged, PreferencesInvalid: it is not.

        """
        rows = {RESTRAINTS_PART: self._restraints.rows(conn, subject)}
        self._consents.demand_vouched(conn, subject, rows)

    def person(self, conn: Connection, subject: UUID) -> None:
        """Take what is stored of somebody for what they said, unchecked."""
        # First, so that nobody of ours writes between the looks at the parts.
        self._consents.lock(conn, subject)
        rows = {RESTRAINTS_PART: self._restraints.rows(conn, subject)}
        self._consents.vouch(conn, subject, rows)

    def everybody(
        self, progress: Callable[[int], None] = lambda _: None
    ) -> int:
        """Vouch for everybody who is known and has no right code.

        Can be stopped and begun again. What the ledger tells is not asked
        here: whoever calls does so before and after.

        Args:
            progress: told how many people a page had.

        Returns:
            For how many a code was made.

        """
        made = 0
        for page in self._pages():
            made += self._transactions.run(partial(self._page, page))
            progress(len(page))
        return made

    def registered(self) -> Registered:
        """Return what is declared, issued and in force, to be looked at."""
        return self._transactions.run(
            lambda conn: self._registered(
                conn, self._consents.registered(conn)
            )
        )

    def changed(self) -> frozenset[UUID]:
        """Return which emergency access, or alert, somebody changed.

        Where codes are not demanded, that is not known of any.
        """
        return self._transactions.run(self._glass.changed)

    def _registered(
        self, conn: Connection, standing: RegistryStanding
    ) -> Registered:
        return Registered(
            declarations=sorted(one[:4] for one in standing.declarations),
            rules=sorted(map(tuple, standing.beside), key=repr),
            credentials=self._registry.standing(conn),
            live=self._bundles.pointer(conn).columns,
            bundles=[one.columns for one in self._bundles.standing(conn)],
            proposals=[one.columns for one in self._proposals.standing(conn)],
            grants=[one.columns for one in self._glass.grants_standing(conn)],
            alerts=[one.columns for one in self._glass.alerts_standing(conn)],
            releases=[one.columns for one in self._releases.standing(conn)],
        )

    def registers(self, officer: str, people: int, seen: Registered) -> int:
        """Vouch for what `registered` returns; enter that it was done.

        Whoever has this done has looked through it first.

        Args:
            officer: who vouches.
            people: for how many people a code was made.
            seen: what they looked through.

        Returns:
            The index of the ledger entry.

        Raises:
            RequestInvalid: there is something else by now, or the ledger
                tells otherwise of it; nothing is vouched for.

        """
        ahead = self._sweep.ahead()

        def write(conn: Connection) -> int:
            self._ledger.lock(conn)
            # Again: what was found sound before may have changed since.
            if self._sweep.within(conn, ahead, codes=False):
                msg = "the ledger tells otherwise: see `policy verify`"
                raise RequestInvalid(msg)
            coded = self._consents.vouch_registry(conn)
            credentials = self._registry.vouch(conn)
            proposals = self._bundles.vouch(conn)
            proposals += self._proposals.vouch(conn)
            emergencies = self._glass.vouch(conn)
            releases = self._releases.vouch(conn)
            if self._registered(conn, coded) != seen:
                msg = (
                    "what is declared or in force changed meanwhile; run again"
                )
                raise RequestInvalid(msg)
            draft = Draft(
                kind=EntryKind.RECOVERY,
                subject=None,
                log_key=None,
                service=OFFICE,
                purpose="codes",
                outcome="vouched",
                at=self._clock(),
                decision=uuid.UUID(bytes=self._random(16), version=4),
                detail={
                    "officer": officer,
                    "people": people,
                    "credentials": credentials,
                    "proposals": proposals,
                    "emergencies": emergencies,
                    "releases": releases,
                },
            )
            return self._ledger.append(conn, [draft])[0].numbered()

        return self._transactions.run(write)

    def _pages(self) -> Iterator[list[UUID]]:
        decoy = self._vault.decoy()
        after: UUID | None = None
        while page := self._vault.keys.page(after, limit=_PAGE):
            yield [one for one in page if one != decoy]
            after = page[-1]

    def _page(self, page: list[UUID], conn: Connection) -> int:
        made = 0
        for subject in page:
            if not self._vault.epoch(conn, subject):
                continue  # enrolled, and never taken in
            if not self._consents.macs.required or self._wrong(conn, subject):
                self.person(conn, subject)
                made += 1
        return made

    def _wrong(self, conn: Connection, subject: UUID) -> bool:
        try:
            self.demand(conn, subject)
        except Exception as error:
            if not is_damage(error):
                raise
            return True
        return False
