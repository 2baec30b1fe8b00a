"""Who may act for whom: mandates, with proof, scope and an end.

A mandate names the data subject and the actor in two fields that are never
one. It says what proof was seen (a reference, never the document), for which
services, and until when. A guardian's mandate for a minor ends on the day the
minor comes of age, whatever else it says: from then on the person is asked
again, because what the guardian allowed ends with it (GDPR 8, PIPL 31).
Relatives of the dead may look and end, and allow nothing new (PIPL 49).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Connection,
    Engine,
    bindparam,
    insert,
    select,
    update,
)
from sqlalchemy import delete as delete_rows
from sqlmodel import col

from consent.canonical import Json, canonical
from consent.errors import MandateInvalid
from consent.kept import KeptMandate, Owners
from consent.prepared import PreparedSelect, id_text
from consent.tables import MandateRow
from consent.vocabulary import EventType

ANYTHING = "*"
"""The scope of a mandate for every service and purpose."""


class MandateKind(StrEnum):
    """Why somebody may act for another.

    Attributes:
        MINOR: a parent or guardian of somebody under age.
        WARD: a guardian of an adult, appointed by a court.
        POWER: somebody whom the person has empowered.
        COMPANY: an organ or agent of a legal person that is the subject.
        DECEASED: a relative of somebody who died.
    """

    MINOR = "minor"
    WARD = "ward"
    POWER = "power"
    COMPANY = "company"
    DECEASED = "deceased"


_ENDING = frozenset({EventType.REFUSED, EventType.WITHDRAWN, EventType.PAUSED})
_ACTS = _ENDING | {EventType.GIVEN, EventType.RENEWED, EventType.RESUMED}
MAY: Mapping[MandateKind, frozenset[EventType]] = MappingProxyType(
    dict.fromkeys(MandateKind, _ACTS) | {MandateKind.DECEASED: _ENDING}
)
"""What each kind of mandate carries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mandate:
    """One mandate.

    Attributes:
        id: random.
        subject: the person for whom somebody acts.
        actor: who acts: a person's id, or a reference to a body.
        kind: why.
        proof: a reference to the proof that an officer saw.
        scope: ``service/purpose`` of what it covers, or `ANYTHING`.
        valid_from: POSIX seconds.
        valid_until: POSIX seconds from which it is over, or None.
        of_age: for a minor, POSIX seconds of coming of age; else None.
        officer: who saw the proof.
        recorded_at: POSIX seconds.
        ended_at: POSIX seconds since which it no longer holds, or None.
        ended_recorded_at: when that became known.
    """

    id: UUID
    subject: UUID
    actor: str
    kind: MandateKind
    proof: str
    scope: tuple[str, ...]
    valid_from: int
    valid_until: int | None = None
    of_age: int | None = None
    officer: str
    recorded_at: int
    ended_at: int | None = None
    ended_recorded_at: int | None = None

    def __post_init__(self) -> None:
        wrong = None
        if self.actor in {"", "self", "controller", str(self.subject)}:
            wrong = "names as the actor nobody else than the subject"
        elif not self.proof.strip():
            wrong = "has no proof"
        elif not self.scope:
            wrong = "covers nothing"
        elif (self.kind is MandateKind.MINOR) != (self.of_age is not None):
            wrong = "says of a minor alone when they come of age"
        elif any(
            one is not None and one <= self.valid_from
            for one in (self.valid_until, self.of_age)
        ):
            wrong = "ends before it begins"
        if wrong is not None:
            msg = f"mandate {self.id} {wrong}"
            raise MandateInvalid(msg)

    @property
    def end(self) -> int | None:
        """POSIX seconds from which it is over, whatever ends it; or None."""
        ends = [self.valid_until, self.of_age, self.ended_at]
        return min((one for one in ends if one is not None), default=None)

    def holds(self, now: int) -> bool:
        """Say whether it is in force at an instant."""
        return self.valid_from <= now and (self.end is None or now < self.end)

    def covers(self, service: str, purpose: str) -> bool:
        """Say whether it covers one purpose of one service."""
        return ANYTHING in self.scope or f"{service}/{purpose}" in self.scope

    def document(self) -> dict[str, Json]:
        """Return what was recorded when it was made, as JSON."""
        return {
            "schema": "curtilage/mandate/1",
            "id": str(self.id),
            "subject": str(self.subject),
            "actor": self.actor,
            "kind": self.kind.value,
            "proof": self.proof,
            "scope": list(self.scope),
            "valid_from": self.valid_from,
            "valid_until": self.valid_until,
            "of_age": self.of_age,
            "officer": self.officer,
            "recorded_at": self.recorded_at,
        }


def comes_of_age(born: date, years: int) -> int:
    """Return when somebody comes of age, in POSIX seconds.

    Args:
        born: the day of birth.
        years: the age.

    Returns:
        The first second, in UTC, of that birthday. Who was born on 29
        February has it on 1 March of other years: the guardian's power ends
        a day late rather than early.
    """
    year = born.year + years
    try:
        day = born.replace(year=year)
    except ValueError:
        day = date(year, 3, 1)
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp())


_KEPT = (
    select(
        col(MandateRow.text),
        col(MandateRow.ended_at),
        col(MandateRow.ended_recorded_at),
        col(MandateRow.id),
    )
    .where(
        col(MandateRow.tenant) == bindparam("tenant"),
        col(MandateRow.subject) == bindparam("subject"),
    )
    .order_by(col(MandateRow.id))
)


class Mandates:
    """The mandates of one tenant.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._kept = PreparedSelect(engine, _KEPT)
        table = MandateRow.metadata.tables["consent_mandate"]
        self._owners = Owners(engine, table)

    def add(self, conn: Connection, mandate: Mandate) -> None:
        """Keep a new mandate."""
        conn.execute(
            insert(MandateRow).values(
                tenant=self._tenant,
                subject=mandate.subject,
                id=mandate.id,
                text=canonical(mandate.document()).decode(),
            )
        )

    def end(
        self, conn: Connection, subject: UUID, name: UUID, at: int, now: int
    ) -> None:
        """End a mandate, once.

        Args:
            conn: the caller's transaction.
            subject: the person.
            name: the mandate.
            at: POSIX seconds since when it no longer holds.
            now: POSIX seconds when this became known.

        Raises:
            MandateInvalid: there is none, or it was ended already.
        """
        done = conn.execute(
            update(MandateRow)
            .where(
                col(MandateRow.tenant) == self._tenant,
                col(MandateRow.subject) == subject,
                col(MandateRow.id) == name,
                col(MandateRow.ended_at).is_(None),
            )
            .values(ended_at=at, ended_recorded_at=now)
        )
        if done.rowcount != 1:
            msg = f"no mandate {name} can be ended"
            raise MandateInvalid(msg)

    def rows(self, conn: Connection, subject: UUID) -> list[tuple[Any, ...]]:
        """Return every row of a person's, as the driver gives it."""
        values = {"tenant": self._tenant, "subject": subject}
        return self._kept.rows(values, conn)

    def kept(self, conn: Connection, subject: UUID) -> list[KeptMandate]:
        """Return every row of a person's, whether or not it reads."""
        return [
            KeptMandate(id_text(name), *row)
            for *row, name in self.rows(conn, subject)
        ]

    def owners(self, conn: Connection, after: object, limit: int) -> list[Any]:
        """List for whom there is a row, as `Owners.page` does."""
        return self._owners.page(conn, self._tenant, after, limit)

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete the mandates of an erased person."""
        conn.execute(
            delete_rows(MandateRow).where(
                col(MandateRow.tenant) == self._tenant,
                col(MandateRow.subject) == subject,
            )
        )


def changed_alone(
    before: Sequence[Sequence[Any]],
    after: Sequence[Sequence[Any]],
    name: UUID,
) -> bool:
    """Say whether no row but one mandate's came, went or changed.

    Of that one, what was written when it was made is as it was.

    Args:
        before: a person's rows, as `Mandates.rows` gives them.
        after: the same after one act.
        name: the mandate that the act was about.
    """
    was, now = (
        {id_text(identity): row for *row, identity in rows}
        for rows in (before, after)
    )
    own_before, own_now = was.pop(str(name), None), now.pop(str(name), None)
    if was != now or own_now is None:
        return False
    return own_before is None or own_before[0] == own_now[0]


def read_mandates(rows: Sequence[Sequence[Any]]) -> tuple[Mandate, ...]:
    """Read the rows of one person's mandates, by when they were made."""
    return tuple(
        sorted(
            (_read(*row[:-1]) for row in rows),
            key=lambda one: (one.recorded_at, str(one.id)),
        )
    )


def fitting(
    mandates: Sequence[Mandate],
    *,
    actor: str,
    name: UUID | None,
    service: str,
    purpose: str,
    now: int,
) -> Mandate | None:
    """Return the mandate under which somebody may act, or None.

    Args:
        mandates: those of the person.
        actor: who acts.
        name: the mandate that they name.
        service: the service.
        purpose: its purpose.
        now: POSIX seconds.
    """
    for one in mandates:
        if (
            one.id == name
            and one.actor == actor
            and one.holds(now)
            and one.covers(service, purpose)
        ):
            return one
    return None


def under_age(mandates: Sequence[Mandate], now: int) -> bool:
    """Say whether a guardian answers in a minor's place at an instant."""
    return any(
        one.kind is MandateKind.MINOR and one.holds(now) for one in mandates
    )


def _read(text: str, ended_at: int | None, known: int | None) -> Mandate:
    found: dict[str, Any] = json.loads(text)
    del found["schema"]
    return Mandate(
        **{
            **found,
            "id": UUID(found["id"]),
            "subject": UUID(found["subject"]),
            "kind": MandateKind(found["kind"]),
            "scope": tuple(found["scope"]),
        },
        ended_at=ended_at,
        ended_recorded_at=known,
    )
