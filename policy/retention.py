"""Retention: each value carries the day by which it goes, and goes.

The day follows from the period that the law sets for the attribute
(`Classification.legal_days`), or else from the longest period that a
declaration in force states for it. An attribute that a declaration keeps
without an end, or that nobody declared, has no day. The day is written in
the transaction of the value; the job deletes what is due, one person a
transaction, so that it can be stopped and started at any point. People under
a legal hold are passed over and reported.

A record that is read as part of another keeps its own days, and loses its
own values; a hold on one of them is a hold on all.
"""

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection

from consent import ConsentStore, Draft, EntryKind, Ledger
from policy.classification import Classification
from policy.erasing import PURPOSE
from vault import DekState, RetentionDays, Transactions, Vault

SECONDS_A_DAY = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What of one person is due, or is held.

    Attributes:
        subject: the person's record that holds the values.
        attributes: names, sorted.
        held: whether a legal hold keeps them, on this record or on one that
            is read with it.
    """

    subject: UUID
    attributes: tuple[str, ...]
    held: bool


class Retention:
    """Dates the values of one tenant, and deletes what is due."""

    def __init__(
        self,
        *,
        transactions: Transactions,
        vault: Vault,
        days: RetentionDays,
        consents: ConsentStore,
        ledger: Ledger,
        classification: Mapping[str, Classification],
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._transactions = transactions
        self._vault = vault
        self._days = days
        self._consents = consents
        self._ledger = ledger
        self._classification = classification
        self._clock = clock
        self._random = random

    def periods(self) -> dict[str, int]:
        """Give the days that each attribute is kept, where they end."""
        found: dict[str, list[int | None]] = {}
        for declaration in self._consents.declarations():
            for row in declaration.statements:
                for name in row.attributes:
                    found.setdefault(name, []).append(row.retention_days)
        kept = {
            name: max(ended)
            for name, days in found.items()
            if (ended := [one for one in days if one is not None])
            and len(ended) == len(days)
        }
        law = {
            name: one.legal_days
            for name, one in self._classification.items()
            if one.legal_days is not None
        }
        return kept | law

    def date(
        self,
        conn: Connection,
        people: Iterable[tuple[UUID, Iterable[str]]],
    ) -> None:
        """Write the days for values that are written in `conn`."""
        periods = self.periods()
        today = self._clock() // SECONDS_A_DAY
        numbers = self._vault.catalogue
        self._days.write(
            conn,
            [
                (
                    subject,
                    numbers[name].number,
                    today + periods[name] if name in periods else None,
                )
                for subject, names in people
                for name in names
            ],
        )

    def due(self) -> Sequence[Due]:
        """List what is due today, by person."""
        numbers = self._vault.catalogue
        today = self._clock() // SECONDS_A_DAY
        return [
            Due(
                subject=subject,
                attributes=tuple(
                    sorted(numbers.numbered(one).name for one in listed)
                ),
                held=self._held(self._vault.members(subject)),
            )
            for subject, listed in self._days.due(today).items()
        ]

    def delete(self, due: Due) -> int | None:
        """Delete what is due of one person.

        Returns:
            The index of the entry; None for somebody under a hold.

        """
        holding = self._vault.own_holding(due.subject)
        members = self._vault.members(due.subject)
        if due.held or not holding.known or self._held(members):
            return None
        log_key = self._vault.log_key(holding)
        draft = Draft(
            kind=EntryKind.ERASURE,
            subject=due.subject,
            log_key=log_key,
            service="registrar",
            purpose=PURPOSE,
            attributes=due.attributes,
            outcome="retention-ended",
            at=self._clock(),
            decision=uuid.UUID(bytes=self._random(16), version=4),
        )

        def write(conn: Connection) -> int:
            self._ledger.lock(conn, log_key)
            self._vault.drop(conn, due.subject, due.attributes)
            self._days.write(
                conn,
                [
                    (due.subject, self._vault.catalogue[name].number, None)
                    for name in due.attributes
                ],
            )
            for member in {due.subject, *members}:
                self._consents.bump(conn, member)
            return self._ledger.append(conn, [draft])[0].numbered()

        return self._transactions.run(write)

    def _held(self, members: Iterable[UUID]) -> bool:
        """Say whether a hold stands on any record of a person's."""
        custody = self._vault.custody
        return any(custody.state(one) is DekState.HELD for one in members)
