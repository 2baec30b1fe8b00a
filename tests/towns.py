"""A world whose platform keeps running, with as many people as are needed."""

import asyncio
import itertools
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from consent import ConsentEvent, Declaration, EventType, load_yaml
from policy import (
    AccessRequest,
    Answer,
    ByIdentifier,
    Caller,
    CallerKind,
)
from tests.worlds import NUMBER, World, build_world, person_values

T = TypeVar("T")
CLINIC, REMINDERS = "clinic", "reminders"
TEXT = """
service: clinic
purpose: reminders
version: {version}
title: {{en: Clinic, zh-Hans: 诊所}}
purpose_text: {{en: To remind you., zh-Hans: 提醒您。}}
controller: {{id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}}
assurance: 1
statements:
  - id: letters
    basis: consent
    purposes: [current]
    recipients: [ours]
    retention: stated-purpose
    retention_days: 90
    data:
      - user.home-info.postal.street
      - {{attribute: user.bdate, optional: true}}
  - id: calls
    basis: consent
    purposes: [current]
    recipients: {recipients}
    retention: stated-purpose
    data:
      - user.home-info.telecom.mobile
  - id: abroad
    basis: consent
    purposes: [current]
    recipients: [ours]
    retention: stated-purpose
    separate: [abroad]
    data:
      - user.name.given
"""


def clinic(version: int = 1, recipients: str = "[ours]") -> Declaration:
    """A declaration with two plain questions and one asked apart."""
    text = TEXT.format(version=version, recipients=recipients)
    return load_yaml(text.encode(), where="test")


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """A running platform, and what tests do with it."""

    world: World
    runner: asyncio.Runner
    numbers: Iterator[int] = field(
        default_factory=lambda: itertools.count(300)
    )

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one piece of work on the platform's loop."""
        return self.runner.run(work)

    def tick(self, seconds: int = 1) -> int:
        """Let time pass; return the time."""
        self.world.clock.now += seconds
        return self.world.clock.now

    def person(self) -> tuple[UUID, int]:
        """Take a new person in: their id and their number."""
        number = next(self.numbers)
        admitted = self.world.platform.registrar.admit_now(
            [person_values(number)], source="register"
        )
        return admitted.subjects[0], number

    def register(self, declaration: Declaration) -> Declaration:
        """Put a declaration into force."""
        platform = self.world.platform
        with platform.data.begin() as conn:
            platform.consents.register(conn, declaration)
        return declaration

    async def view(
        self,
        subject: UUID,
        statement: str,
        *,
        caller: Caller | None = None,
        mandate: UUID | None = None,
        service: str = CLINIC,
        purpose: str = REMINDERS,
    ) -> Answer:
        """Serve a notice, and make the yes that refers to it."""
        served = await self.world.platform.consent_desk.serve(
            caller or themselves(subject),
            subject,
            service,
            purpose,
            statement,
            "en",
            mandate=mandate,
        )
        live = self.world.platform.consents.declaration(service, purpose)
        assert live is not None
        found = live.statement(statement)
        return Answer(
            service=service,
            purpose=purpose,
            statement=statement,
            type=EventType.GIVEN,
            attributes=() if found is None else found.attributes,
            declaration=served.declaration,
            notice=served.notice,
            language="en",
            served=served.digest,
        )

    async def give(self, subject: UUID, statement: str) -> ConsentEvent:
        """Say yes to one statement, as the person."""
        self.tick()
        answer = await self.view(subject, statement)
        return await self.world.platform.consent_desk.answer(
            themselves(subject), subject, answer
        )

    def state(self, subject: UUID, statement: str) -> str:
        """The state of a person's answer to one statement."""
        found = self.world.platform.consents.standing(
            subject, CLINIC, REMINDERS, self.world.clock.now
        ).get(statement)
        return "none" if found is None else found.state.value

    def ask(
        self, subject: UUID, number: int, *attributes: str
    ) -> tuple[set[str], set[str], set[str]]:
        """What the gate releases, what it tells the service and the person."""
        self.tick()
        platform = self.world.platform
        answer = self.run(
            platform.gate.disclose(
                AccessRequest(
                    tenant=platform.settings.tenant,
                    service=CLINIC,
                    purpose=REMINDERS,
                    attributes=attributes,
                    person=ByIdentifier(
                        attribute=NUMBER,
                        value=person_values(number)[NUMBER],
                    ),
                    understands=frozenset({"delete_by", "notify", "mask"}),
                    assurance=2,
                )
            )
        )
        (entry,) = self.run(
            platform.person.own_uses(
                themselves(subject), subject, before=None, limit=1
            )
        )
        own: dict[str, Any] = dict(entry.detail)
        return (
            {one.attribute for one in answer.attributes if one.value},
            {one.reason for one in answer.attributes if one.reason},
            {
                code
                for one in own["attributes"].values()
                for code in one["reasons"]
            },
        )


def themselves(subject: UUID) -> Caller:
    """A person as caller."""
    return Caller(kind=CallerKind.PERSON, id=str(subject))


@contextmanager
def build_town(home: Path) -> Iterator[Town]:
    """Make a world with the clinic's declaration, and keep it running."""
    with build_world(home) as world, asyncio.Runner() as runner:
        running = world.platform.running()
        runner.run(running.__aenter__())
        town = Town(world=world, runner=runner)
        town.register(clinic())
        try:
            yield town
        finally:
            runner.run(running.__aexit__(None, None, None))
