"""A small instance with a cast: each character exists for one outcome.

`build_world` calls the same functions as the product does: `create_instance`,
`bootstrap`, the registrar's door. Only the clock, the cost of the passphrase
and, where a test asks for it, the engine are passed in.
"""

import asyncio
import os
import uuid
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from api.bootstrap import bootstrap
from api.instances import create_instance
from api.platform import Platform
from api.secrets import Costs
from consent import (
    Behavior,
    ConsentEvent,
    Declaration,
    EventType,
    Preferences,
    Rule,
    latest_instant,
    load_yaml,
    render_notice,
)
from policy import (
    AccessRequest,
    ByIdentifier,
    Caller,
    CallerKind,
    Form,
    PolicyDecisionPoint,
    RestraintKind,
    RestraintStore,
)
from tests.databases import Kind, fresh, lay_files
from tests.engines import unhurried

T = TypeVar("T")
CHEAP = Costs(iterations=1, lanes=1, memory_kib=8)
START = 1_790_000_000
SERVICE, PURPOSE = "moving-house", "address-change"
STREET = "user.home-info.postal.street"
CITY = "user.home-info.postal.city"
CODE = "user.home-info.postal.postalcode"
MOBILE = "user.home-info.telecom.mobile"
BIRTH = "user.bdate"
INCOME = "user.income.annual"
NUMBER = "user.identity.number"
ADDRESS = (STREET, CITY, CODE)
EVERYTHING = (*ADDRESS, MOBILE, BIRTH, INCOME)
ROLES = ("compliance", "registrar", "analyst", "auditor")
OFFICER = Caller(kind=CallerKind.OFFICER, id="officer-1", roles=ROLES)
OTHER_OFFICER = Caller(kind=CallerKind.OFFICER, id="officer-2", roles=ROLES)
DECLARATION = """
service: moving-house
purpose: address-change
version: 1
title: {en: Moving house, zh-Hans: 搬家}
purpose_text: {en: To change your address., zh-Hans: 变更住址。}
controller: {id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}
assurance: 1
obligations: [delete_by]
statements:
  - id: address
    basis: consent
    purposes: [current]
    recipients: [ours]
    retention: stated-purpose
    retention_days: 90
    consequence: {en: You write yourself., zh-Hans: 自行书面通知。}
    data:
      - user.home-info.postal.street
      - user.home-info.postal.city
      - user.home-info.postal.postalcode
      - {attribute: user.home-info.telecom.mobile, optional: true}
      - {attribute: user.bdate, optional: true}
"""
STATISTICS = """
service: statistics-office
purpose: population-statistics
version: 1
title: {en: Statistics, zh-Hans: 统计}
purpose_text: {en: To count., zh-Hans: 用于统计。}
controller: {id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}
assurance: 1
obligations: [delete_by]
statements:
  - id: extract
    basis: public-task
    purposes: [{purpose: historical, required: opt-out}]
    recipients: [ours]
    retention: legal-requirement
    retention_days: 1825
    consequence: {en: You can object., zh-Hans: 可以反对。}
    data:
      - {attribute: user.gender, optional: true}
      - {attribute: user.bdate, optional: true}
      - {attribute: user.benefit.status, optional: true}
      - {attribute: user.case.note, optional: true}
release: {recipient: statistics-office, k: 3, l: 2, suppression_limit: 0.2,
  sensitive: [user.benefit.status]}
"""


class Clock:
    """A clock that a test moves."""

    def __init__(self, start: int = START) -> None:
        """Start at some instant."""
        self.now = start

    def __call__(self) -> int:
        """Tell the time."""
        return self.now


def person_values(number: int) -> dict[str, str]:
    """The values of one synthetic person; identifiers are distinct."""
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    body = f"990001197{number % 10}0101{number % 1000:03d}"
    total = sum(w * int(d) for w, d in zip(weights, body, strict=True))
    return {
        NUMBER: body + "10X98765432"[total % 11],
        "user.name.given": "Alfa",
        "user.name.family": f"Sample{number}",
        "user.gender": ("female", "male")[number % 2],
        BIRTH: f"197{number % 10}-01-01",
        STREET: f"{number} Canary Street",
        CITY: "Testville",
        CODE: f"{100000 + number}",
        MOBILE: f"+4477009{number:05d}",
        INCOME: f"{30000 + number}",
        "user.benefit.status": ("none", "housing", "family")[number % 3],
        "user.case.note": f"Alfa Sample{number} called about a letter.",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """An instance and its cast, by name."""

    platform: Platform
    home: Path
    clock: Clock
    cast: Mapping[str, UUID]
    values: Mapping[str, Mapping[str, str]]
    declaration: Declaration

    def request(self, name: str, *attributes: str) -> AccessRequest:
        """A request of the moving-house service about a character.

        A name that is not in the cast is nobody's identity number.
        """
        values = self.values.get(name) or person_values(977)
        return AccessRequest(
            tenant=self.platform.settings.tenant,
            service=SERVICE,
            purpose=PURPOSE,
            attributes=attributes or EVERYTHING,
            person=ByIdentifier(attribute=NUMBER, value=values[NUMBER]),
            understands=frozenset({"delete_by", "notify", "mask"}),
            assurance=2,
        )

    def caller(self, name: str) -> Caller:
        """A character, as the person that they are."""
        return Caller(kind=CallerKind.PERSON, id=str(self.cast[name]))

    def event(
        self, name: str, kind: EventType, *attributes: str
    ) -> ConsentEvent:
        """An answer of a character to the one statement, now."""
        given = kind is EventType.GIVEN
        allowed = attributes or self.declaration.statements[0].attributes
        return ConsentEvent(
            id=uuid.uuid4(),
            subject=self.cast[name],
            service=SERVICE,
            purpose=PURPOSE,
            statement="address",
            declaration=self.declaration.digest,
            notice=render_notice(self.declaration, "en").digest,
            language="en",
            type=kind,
            attributes=allowed if given else (),
            at=self.clock(),
            expires_at=None,
            actor="self",
            channel="paper",
        )

    async def served(self, name: str, statement: str = "address") -> str:
        """Serve a character the notice, and return the hash of that."""
        shown = await self.platform.consent_desk.serve(
            self.caller(name),
            self.cast[name],
            SERVICE,
            PURPOSE,
            statement,
            "en",
        )
        return shown.digest

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one piece of work while the platform runs.

        The commit queue closes with it, so a test does this once.
        """

        async def running() -> T:
            async with self.platform.running():
                return await work

        return asyncio.run(running())


LIMITED = Preferences(
    rules=(
        Rule(
            id="year-only",
            behavior=Behavior.LIMIT,
            level=2,
            attributes=(BIRTH,),
        ),
        Rule(id="no-calls", behavior=Behavior.REFUSE, attributes=(MOBILE,)),
        Rule(id="rest", behavior=Behavior.ALLOW),
    )
)
CAST = (
    "consenting",
    "limited",
    "silent",
    "refusing",
    "withdrawn",
    "erased",
    "restricted",
    "valueless",
)


@contextmanager
def build_world(
    home: Path,
    *,
    pdp: PolicyDecisionPoint | None = None,
    extra: int = 0,
    database: Kind = Kind.SQLITE,
    start: int = START,
    **more: str,
) -> Iterator[World]:
    """Make an instance with its cast, and close it afterwards.

    Args:
        home: folder of the instance.
        pdp: what decides, instead of the embedded engine.
        extra: how many people beyond the cast.
        database: what it stands on.
        start: where the clock starts, POSIX seconds.
        **more: further settings.

    """
    with build_platform(
        home, pdp=pdp, database=database, start=start, **more
    ) as made:
        platform, clock = made
        yield _fill(platform, home, clock, extra)


@contextmanager
def build_platform(
    home: Path,
    *,
    pdp: PolicyDecisionPoint | None = None,
    database: Kind = Kind.SQLITE,
    start: int = START,
    **more: str,
) -> Iterator[tuple[Platform, Clock]]:
    """Make an instance with nobody in it, and close it afterwards."""
    clock = Clock(start)
    with fresh(database) as addresses:
        if not {"data_url", "keys_url"} & (addresses.keys() | more.keys()):
            home.mkdir(mode=0o700, parents=True, exist_ok=True)
            lay_files(home)
        settings = create_instance(
            home,
            passphrase_file=home.parent / f"{home.name}.passphrase",
            costs=CHEAP,
            **{
                "tenant": "test",
                "origin": "localhost/test/access-log",
                "demo": True,
                "secure_cookies": False,
                **addresses,
                **more,
            },
        )
        platform = bootstrap(
            settings,
            clock=clock,
            pdp=pdp,
            embedded=unhurried(),
            costs=CHEAP,
        )
        try:
            yield platform, clock
        finally:
            platform.close()


def reopen(world: World, **settings: object) -> Platform:
    """Open the same instance again, as the next process would.

    Another process may have written by the machine's own clock; then the
    world's clock, which both platforms share, goes on from there.
    """
    told = world.platform.settings
    with world.platform.data.connect() as conn:
        latest = latest_instant(conn, told.origin)
    world.clock.now = max(world.clock.now, latest)
    return bootstrap(
        told.model_copy(update=settings),
        clock=world.clock,
        embedded=unhurried(),
        costs=CHEAP,
    )


def _fill(platform: Platform, home: Path, clock: Clock, extra: int) -> World:
    values = {name: person_values(n) for n, name in enumerate(CAST)}
    for name in (CITY, MOBILE, BIRTH):
        del values["valueless"][name]
    declared = load_yaml(DECLARATION.encode(), where="test")
    with platform.data.begin() as conn:
        for text in (DECLARATION, STATISTICS):
            platform.consents.register(
                conn, load_yaml(text.encode(), where="test")
            )
    more = {f"extra-{n}": person_values(100 + n) for n in range(extra)}
    everyone = values | more
    admitted = platform.registrar.admit_now(
        list(everyone.values()), source="register"
    )
    world = World(
        platform=platform,
        home=home,
        clock=clock,
        cast=dict(zip(everyone, admitted.subjects, strict=True)),
        values=everyone,
        declaration=declared,
    )
    _answer(world)
    clock.now += 60
    return world


def _answer(world: World) -> None:
    given, gone = EventType.GIVEN, EventType.WITHDRAWN
    answers = {
        "consenting": [world.event("consenting", given)],
        "limited": [world.event("limited", given)],
        "refusing": [world.event("refusing", EventType.REFUSED)],
        "withdrawn": [
            world.event("withdrawn", given),
            world.event("withdrawn", gone),
        ],
        "erased": [world.event("erased", given)],
        "restricted": [world.event("restricted", given)],
        "valueless": [world.event("valueless", given)],
    }
    platform = world.platform
    platform.registrar.enter_forms_now(
        [
            Form(
                subject=world.cast[name],
                answers=tuple(
                    replace(one, notice="") if one.type is gone else one
                    for one in events
                ),
                preferences=LIMITED if name == "limited" else None,
            )
            for name, events in answers.items()
        ]
    )
    asyncio.run(
        platform.registrar.erase(
            OFFICER,
            world.cast["erased"],
            proposer="erased",
            justification="asked for it",
        )
    )
    restrict(platform, world.cast["restricted"], world.clock())


def publish(platform: Platform, declaration: Declaration) -> int:
    """Let two officers put a declaration into force; return the proposal."""

    async def both() -> int:
        desk = platform.declarations
        number = await desk.propose(OTHER_OFFICER, declaration)
        await desk.approve(OFFICER, number)
        return number

    return asyncio.run(both())


def restrict(platform: Platform, subject: UUID, now: int) -> None:
    """Restrict all use of a person's data, beside the running gate."""
    restraints = RestraintStore(
        tenant=platform.settings.tenant,
        engine=platform.data,
        consents=platform.consents,
        random=os.urandom,
    )
    with platform.data.begin() as conn:
        restraints.impose(conn, subject, RestraintKind.RESTRICTION, now=now)
        platform.consents.bump(conn, subject)
