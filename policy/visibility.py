"""Who may see an entry when: rules for activities, set by two officers.

A rule is about an activity, a service and a purpose. One officer proposes
it, naming the law; another confirms it. It is never edited: the last one
confirmed holds for what is recorded from then on, and `immediate` is a rule
like the others. Where people were asked for their consent nothing may be
withheld from them.

What is withheld waits in a queue. An officer lifts it, or extends it with a
reason and a new date. Each act is an entry; it names the withheld entry by
its id in the queue and no person, so nothing of it shows to them.

Rules stand beside the declarations, under one count and one code: a rule
that was added, edited or taken away past us makes all of it unknown. Then
nothing is disclosed, so no rule is needed about it; and of what is entered
nevertheless, only a rule that was found right before can withhold anything.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Select, bindparam, func, select, update

from consent import (
    ConsentStore,
    Draft,
    EntryKind,
    Held,
    Ledger,
    LegalBasis,
    RowForged,
    Visibility,
    Withheld,
)
from policy.authority import Action, Caller, authorize
from policy.decisions import Json
from policy.errors import RecordUnknown, RequestInvalid
from policy.pdp import PolicyDecisionPoint
from policy.tables import VisibilityRow
from vault import Transactions

SECONDS_A_DAY = 86_400
LONGEST_DAYS = 36_525
OFFICE = "registrar"
_LONGEST_LAW = 500
_TABLE = VisibilityRow.metadata.tables["policy_visibility"]


@dataclass(frozen=True, slots=True, kw_only=True)
class VisibilityRule:
    """When people learn of an activity.

    Attributes:
        number: Names it for ever, within the body.
        service: Whose activity.
        purpose: For which purpose.
        visibility: `IMMEDIATE`, `DELAYED` or `SEALED`.
        days: After so many an entry is disclosed, or reviewed; 0 for
            `IMMEDIATE`.
        basis: Why withholding is lawful; never consent.
        law: The provision, in words.
        proposer: The officer who proposed it.
        officer: Who confirmed it; empty as long as nobody did.
        since: POSIX seconds of that; ``None`` likewise.
    """

    number: int
    service: str
    purpose: str
    visibility: Visibility
    days: int
    basis: LegalBasis
    law: str
    proposer: str
    officer: str = ""
    since: int | None = None


def visibility_rows() -> Select[Any]:
    """Select a tenant's rules, to stand under the declarations' count."""
    return select(_TABLE).where(_TABLE.c.tenant == bindparam("tenant"))


class VisibilityRules:
    """The rules of one tenant.

    Args:
        tenant: whose rules.
        consents: keeps them under the declarations' count, by
            `visibility_rows`.
    """

    def __init__(self, *, tenant: str, consents: ConsentStore) -> None:
        self._tenant = tenant
        self._consents = consents
        # Replaced as a whole, never changed: readers need no lock.
        self._known: tuple[
            Sequence[tuple[Any, ...]],
            Mapping[tuple[str, str], VisibilityRule],
        ] = ((), {})

    def withheld(self, service: str, purpose: str, at: int) -> Withheld | None:
        """Say why an entry is not disclosed at once; ``None`` if it is.

        The caller has just read the declaration of this activity, by which
        the rules are known to be the present ones.

        Args:
            service: who acts.
            purpose: for what.
            at: POSIX seconds of the entry.

        """
        rule = self._standing(service, purpose)
        if rule is None or rule.visibility is Visibility.IMMEDIATE:
            return None
        return Withheld(
            visibility=rule.visibility,
            until=at + rule.days * SECONDS_A_DAY,
            rule=rule.number,
        )

    def withheld_now(
        self, service: str, purpose: str, at: int
    ) -> Withheld | None:
        """As `withheld`, for who has read no declaration.

        Where what stands there was not written by us, what was found right
        before holds; where nothing was, nothing is withheld.
        """
        self._look()
        return self.withheld(service, purpose, at)

    def standing(self, service: str, purpose: str) -> VisibilityRule | None:
        """Return the rule in force about an activity, if there is one."""
        self._look()
        return self._standing(service, purpose)

    def _look(self) -> None:
        """Find the present rules, unless they are not what we wrote."""
        with suppress(RowForged):
            self._consents.beside(anew=True)

    def _standing(self, service: str, purpose: str) -> VisibilityRule | None:
        rows = self._consents.beside(anew=False)
        known, rules = self._known
        if known is not rows:
            rules = _in_force(rows)
            self._known = (rows, rules)
        return rules.get((service, purpose))

    def all(self) -> Sequence[VisibilityRule]:
        """Every rule, proposals included, by number.

        Raises:
            RowForged: what stands there was not written by us.

        """
        return _rules(self._consents.beside(anew=True))

    def add(self, conn: Connection, rule: VisibilityRule, now: int) -> int:
        """Store a proposal under the next number.

        Raises:
            RowForged: what stands there was not written by us.

        """
        last = select(func.max(_TABLE.c.number)).where(
            _TABLE.c.tenant == self._tenant
        )
        with self._consents.registry_change(conn) as change:
            number: int = (conn.execute(last).scalar() or 0) + 1
            row = {
                "tenant": self._tenant,
                "number": number,
                "service": rule.service,
                "purpose": rule.purpose,
                "visibility": rule.visibility.value,
                "days": rule.days,
                "basis": rule.basis.value,
                "law": rule.law,
                "proposer": rule.proposer,
                "proposed_at": now,
                "officer": "",
                "since": None,
            }
            conn.execute(_TABLE.insert().values(row))
            change.put(tuple(row[one.name] for one in _TABLE.columns))
        return number

    def confirm(
        self, conn: Connection, number: int, officer: str, now: int
    ) -> None:
        """Put a proposal into force, once.

        Raises:
            RecordUnknown: no proposal of that number waits.
            RowForged: what stands there was not written by us.

        """
        with self._consents.registry_change(conn) as change:
            found = {_named(one)["number"]: one for one in change.beside()}
            done = conn.execute(
                update(_TABLE)
                .where(
                    _TABLE.c.tenant == self._tenant,
                    _TABLE.c.number == number,
                    _TABLE.c.since.is_(None),
                )
                .values(officer=officer, since=now)
            )
            if done.rowcount != 1 or number not in found:
                msg = f"no proposed rule {number} waits for confirmation"
                raise RecordUnknown(msg)
            row = _named(found[number]) | {"officer": officer, "since": now}
            change.put(tuple(row.values()), found[number])


class VisibilityDesk:
    """What officers do about visibility; each act is an entry."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        rules: VisibilityRules,
        consents: ConsentStore,
        ledger: Ledger,
        pdp: PolicyDecisionPoint,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._rules = rules
        self._consents = consents
        self._ledger = ledger
        self._pdp = pdp
        self._clock = clock
        self._random = random

    def rules(self) -> Sequence[VisibilityRule]:
        """Every rule and proposal: what is withheld, by which law."""
        return self._rules.all()

    async def propose(
        self,
        officer: Caller,
        *,
        service: str,
        purpose: str,
        visibility: Visibility,
        days: int,
        basis: LegalBasis,
        law: str,
    ) -> int:
        """Propose a rule, for somebody else to confirm.

        Returns:
            Its number.

        Raises:
            NotPermitted: not this officer's role.
            RequestInvalid: no law or basis, or a number of days that does
                not fit the class; or people are asked for consent there.

        """
        await authorize(
            self._pdp,
            officer,
            Action.VISIBILITY_PROPOSE,
            target={"service": service, "purpose": purpose},
        )
        rule = VisibilityRule(
            number=0,
            service=service,
            purpose=purpose,
            visibility=visibility,
            days=days,
            basis=basis,
            law=law.strip(),
            proposer=officer.id,
        )
        self._refuse_unsound(rule)

        def write(conn: Connection) -> int:
            self._ledger.lock(conn)
            number = self._rules.add(conn, rule, self._clock())
            self._enter(conn, rule, "proposed", self._told(number, rule))
            return number

        return self._transactions.run(write)

    async def confirm(self, officer: Caller, number: int) -> VisibilityRule:
        """Put a rule into force that somebody else proposed.

        Raises:
            NotPermitted: the same officer proposed it, or not their role.
            RecordUnknown: no proposal of that number waits.
            RequestInvalid: it is not sound any more.

        """
        found = [one for one in self._rules.all() if one.number == number]
        if not found or found[0].since is not None:
            msg = f"no proposed rule {number} waits for confirmation"
            raise RecordUnknown(msg)
        (rule,) = found
        await authorize(
            self._pdp,
            officer,
            Action.VISIBILITY_CONFIRM,
            target={
                "service": rule.service,
                "purpose": rule.purpose,
                "proposer": rule.proposer,
            },
        )
        self._refuse_unsound(rule)
        told = self._told(number, rule) | {"officer": officer.id}

        def write(conn: Connection) -> None:
            self._ledger.lock(conn)
            self._rules.confirm(conn, number, officer.id, self._clock())
            self._enter(conn, rule, "confirmed", told)

        self._transactions.run(write)
        return rule

    async def review(self, officer: Caller) -> Sequence[Held]:
        """What is withheld, the most overdue first.

        Raises:
            NotPermitted: not this officer's role.

        """
        await authorize(self._pdp, officer, Action.WITHHELD_LIST, target={})
        return self._ledger.review()

    async def lift(self, officer: Caller, held: UUID, *, reason: str) -> Held:
        """Disclose an entry to the person.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            UnknownEntry: nothing is withheld under this id.

        """
        await self._may_review(officer, held, reason)
        told = {
            "entry": str(held),
            "officer": officer.id,
            "reason": reason,
        }

        def write(conn: Connection) -> Held:
            self._ledger.lock(conn)
            lifted = self._ledger.lift(conn, held)
            self._enter(conn, lifted, "lifted", told)
            return lifted

        return self._transactions.run(write)

    async def extend(
        self, officer: Caller, held: UUID, until: int, *, reason: str
    ) -> Held:
        """Withhold an entry until a later date.

        Raises:
            NotPermitted: no reason, or not this officer's role.
            UnknownEntry: nothing is withheld under this id.
            DraftInvalid: the date is not a later one.

        """
        await self._may_review(officer, held, reason)
        told: dict[str, Json] = {
            "entry": str(held),
            "officer": officer.id,
            "reason": reason,
            "until": until,
        }

        def write(conn: Connection) -> Held:
            self._ledger.lock(conn)
            longer = self._ledger.extend(conn, held, until, reason=reason)
            self._enter(conn, longer, "extended", told)
            return longer

        return self._transactions.run(write)

    async def set_clock(self, officer: Caller, *, reason: str) -> int:
        """Say that the clock was ahead before and is right now.

        Returns:
            The time that the ledger goes on from, POSIX seconds.

        Raises:
            NotPermitted: no reason, or not this officer's role.

        """
        await authorize(
            self._pdp,
            officer,
            Action.CLOCK_SET,
            target={},
            justification=reason,
        )
        draft = Draft(
            kind=EntryKind.RECOVERY,
            subject=None,
            log_key=None,
            service=OFFICE,
            purpose="clock",
            outcome="clock-set",
            at=self._clock(),
            decision=self._new_id(),
            detail={"officer": officer.id, "reason": reason},
        )

        def write(conn: Connection) -> None:
            with self._ledger.batch(conn) as batch:
                batch.set_clock(draft)

        self._transactions.run(write)
        return draft.at

    async def _may_review(
        self, officer: Caller, held: UUID, reason: str
    ) -> None:
        await authorize(
            self._pdp,
            officer,
            Action.WITHHELD_REVIEW,
            target={"entry": str(held)},
            justification=reason,
        )

    def _refuse_unsound(self, rule: VisibilityRule) -> None:
        withheld = rule.visibility is not Visibility.IMMEDIATE
        if rule.visibility is Visibility.LIFTED:
            msg = "a rule is immediate, delayed or sealed"
            raise RequestInvalid(msg)
        if not (0 < rule.days <= LONGEST_DAYS if withheld else not rule.days):
            msg = (
                f"what is delayed or sealed is so for 1 to {LONGEST_DAYS} "
                "days, and what is immediate for none"
            )
            raise RequestInvalid(msg)
        if rule.basis is LegalBasis.CONSENT or not rule.law:
            msg = "name the law that lets entries be withheld, not consent"
            raise RequestInvalid(msg)
        if len(rule.law) > _LONGEST_LAW:
            msg = f"the law is named in {_LONGEST_LAW} characters"
            raise RequestInvalid(msg)
        declared = self._consents.declaration(rule.service, rule.purpose)
        if declared is None and rule.service != OFFICE:
            msg = f"{rule.service}/{rule.purpose} is not declared"
            raise RequestInvalid(msg)
        asked = declared is not None and any(
            one.basis is LegalBasis.CONSENT for one in declared.statements
        )
        if withheld and asked:
            msg = (
                f"{rule.service}/{rule.purpose} asks people for consent: "
                "its uses are not withheld from them"
            )
            raise RequestInvalid(msg)

    def _told(self, number: int, rule: VisibilityRule) -> dict[str, Json]:
        return {
            "rule": number,
            "class": rule.visibility.value,
            "days": rule.days,
            "basis": rule.basis.value,
            "law": rule.law,
            "proposer": rule.proposer,
        }

    def _enter(
        self,
        conn: Connection,
        about: VisibilityRule | Held,
        outcome: str,
        detail: Mapping[str, Json],
    ) -> None:
        draft = Draft(
            kind=EntryKind.VISIBILITY,
            subject=None,
            log_key=None,
            service=about.service,
            purpose=about.purpose,
            outcome=outcome,
            at=self._clock(),
            decision=self._new_id(),
            detail=detail,
        )
        self._ledger.append(conn, [draft])

    def _new_id(self) -> UUID:
        return uuid.UUID(bytes=self._random(16), version=4)


def _named(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_TABLE.columns.keys(), row, strict=True))


def _rules(rows: Sequence[tuple[Any, ...]]) -> list[VisibilityRule]:
    found = [
        VisibilityRule(
            number=row["number"],
            service=row["service"],
            purpose=row["purpose"],
            visibility=Visibility(row["visibility"]),
            days=row["days"],
            basis=LegalBasis(row["basis"]),
            law=row["law"],
            proposer=row["proposer"],
            officer=row["officer"],
            since=row["since"],
        )
        for row in map(_named, rows)
    ]
    return sorted(found, key=lambda one: one.number)


def _in_force(
    rows: Sequence[tuple[Any, ...]],
) -> Mapping[tuple[str, str], VisibilityRule]:
    confirmed = [
        (rule.since, rule.number, rule)
        for rule in _rules(rows)
        if rule.since is not None
    ]
    return {
        (rule.service, rule.purpose): rule for _, _, rule in sorted(confirmed)
    }
