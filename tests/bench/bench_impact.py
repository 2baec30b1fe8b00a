"""How fast history replays under a candidate.

Stored decisions of a year, ten for each person, of two services: sealed one
by one under their person's key, as the gate stores them, on facts that the
gate's own code read. People differ by what they answered, what they prefer,
what is held about them, and when they were asked; services by the obligations
that they understand. ``--full`` is a million decisions of 100,000 people.

The figure that passes or not is of the clock, on one process of two cores;
`scan_cpu_s` is what it took of one core, where other processes share them.

Opening each decision is the work: the candidate decides each situation once
(`policy.situations`), and there are some hundred times fewer of them. The
parts are timed: `keys` unwraps every key and derives tags, `scan` also reads,
opens and groups, `compare` lets a candidate decide what is left.
"""

import asyncio
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from uuid import UUID

from sqlalchemy import Connection

from consent import (
    PRESETS,
    ConsentEvent,
    Declaration,
    EventType,
    load_yaml,
    render_notice,
)
from policy import (
    AccessRequest,
    ById,
    Candidate,
    DecisionStore,
    FactSource,
    RestraintStore,
    load_bundle,
)
from policy.decisions import Decision
from policy.facts import Facts
from policy.situations import months
from tests.bench.room import Needs
from tests.test_impact import by_law, study
from tests.towns import TEXT
from tests.worlds import (
    ADDRESS,
    EVERYTHING,
    World,
    build_world,
)
from vault import NoteBox

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=100_000_000, seconds=60),
    True: Needs(bytes=3_000_000_000, seconds=900),
}
PEOPLE = {False: 2_000, True: 100_000}
EACH = 10
YEAR = 365 * 86_400
MILLION_AT_MOST_S = 240.0
A_MILLION = 1_000_000
START = 1_767_225_600  # 2026-01-01
UNDERSTOOD = (
    frozenset({"delete_by"}),
    frozenset({"delete_by", "mask", "notify"}),
)
HELD = (
    frozenset(EVERYTHING),
    frozenset(ADDRESS),
    frozenset(EVERYTHING[:-1]),
)
ANSWERS = ((EventType.GIVEN,), (EventType.REFUSED,), ())


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures."""
    with build_world(folder / "home", start=START) as world:
        began = time.monotonic()
        count = _fill(world, PEOPLE[full])
        filled = time.monotonic() - began
        world.clock.now = START + YEAR + 86_400
        found = _measured(world)
    rate = count / (found["scan_s"] + found["compare_s"])
    seconds = A_MILLION / rate
    return {
        "decisions": count,
        "people": PEOPLE[full],
        "stored_in_s": round(filled, 1),
        **found,
        "decisions_per_s": round(rate),
        "a_million_takes_s": round(seconds, 1),
        "a_million_at_most_s": MILLION_AT_MOST_S,
        "passed": seconds <= MILLION_AT_MOST_S,
    }


def _measured(world: World) -> dict[str, float]:
    made = study(world)
    within = months(START, START + YEAR - 1, world.clock())
    began = time.monotonic()
    keys = sum(1 for _ in world.platform.vault.keyring())
    opened = time.monotonic()
    cpu = time.process_time()
    history = made.scan(within, lambda _: None)
    spent = time.process_time() - cpu
    scanned = time.monotonic()
    found = made.compare(
        Candidate(bundle=load_bundle(), declaration=by_law(world.declaration)),
        history,
    )
    compared = time.monotonic()
    return {
        "keys": keys,
        "keys_s": round(opened - began, 2),
        "scan_s": round(scanned - opened, 2),
        "scan_cpu_s": round(spent, 2),
        "compare_s": round(compared - scanned, 2),
        "situations_counted": len(history.people),
        "changes": len(found.changes),
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class _Maker:
    """What stores decisions as the gate does."""

    world: World
    facts: FactSource
    store: DecisionStore
    declarations: tuple[Declaration, ...]
    decided: dict[tuple[object, ...], Decision]

    def decision(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Decision:
        """What the engine decides; once for the same facts."""
        document = self.facts.input_document(request, facts, now)
        key = (
            request.service,
            request.understands,
            repr(document["person"]),
            repr(document["preferences"]),
            repr(
                [
                    (one["statement"], one["state"])
                    for one in document["consents"]
                ]
            ),
        )
        if key not in self.decided:
            self.decided[key] = asyncio.run(
                self.world.platform.gate.decide(request, facts, now)
            )
        return self.decided[key]


def _fill(world: World, people: int) -> int:
    platform = world.platform
    draw = Random(17)  # noqa: S311 - a reproducible population
    with platform.data.begin() as conn:
        clinic = _clinic(world)
        platform.consents.register(conn, clinic)
    maker = _Maker(
        world=world,
        facts=FactSource(
            vault=platform.vault,
            consents=platform.consents,
            restraints=RestraintStore(
                tenant=platform.settings.tenant,
                engine=platform.data,
                consents=platform.consents,
                random=os.urandom,
            ),
            classification=platform.classification,
        ),
        store=DecisionStore(
            tenant=platform.settings.tenant, engine=platform.data
        ),
        declarations=(world.declaration, clinic),
        decided={},
    )
    count = 0
    subjects = platform.vault.enrol_many(people)
    for first in range(0, people, 500):
        page = subjects[first : first + 500]
        with platform.data.begin() as conn:
            platform.consents.admit(conn, page)
            for subject in page:
                _answer(maker, conn, subject, draw)
        with platform.data.begin() as conn:
            for subject in page:
                for write in _decisions(maker, conn, subject, draw):
                    write(conn)
                    count += 1
    return count


def _clinic(world: World) -> Declaration:
    text = TEXT.format(version=1, recipients="[ours]")
    declared = load_yaml(text.encode(), where="bench")
    return replace(declared, controller=world.declaration.controller)


def _answer(
    maker: _Maker, conn: Connection, subject: UUID, draw: Random
) -> None:
    consents = maker.world.platform.consents
    if draw.random() < 0.2:
        name = draw.choice(sorted(PRESETS))
        consents.set_preferences(conn, subject, PRESETS[name], START)
    for declared in maker.declarations:
        notice = render_notice(declared, "en").digest
        for statement in declared.statements:
            if statement.separate:
                continue
            for kind in draw.choice(ANSWERS):
                given = kind is EventType.GIVEN
                consents.record(
                    conn,
                    ConsentEvent(
                        id=uuid.UUID(int=draw.getrandbits(128), version=4),
                        subject=subject,
                        service=declared.service,
                        purpose=declared.purpose,
                        statement=statement.id,
                        declaration=declared.digest,
                        notice=notice,
                        language="en",
                        type=kind,
                        attributes=statement.attributes if given else (),
                        at=START,
                        channel="paper",
                    ),
                )


def _decisions(
    maker: _Maker, conn: Connection, subject: UUID, draw: Random
) -> Iterator[Callable[[Connection], None]]:
    platform = maker.world.platform
    [key] = platform.vault.log_keys(subject)
    notes = NoteBox(key, random=os.urandom)
    present = draw.choice(HELD)
    for declared in maker.declarations:
        request = AccessRequest(
            tenant=platform.settings.tenant,
            service=declared.service,
            purpose=declared.purpose,
            attributes=tuple(
                name
                for statement in declared.statements
                for name in statement.attributes
            ),
            person=ById(subject=subject),
            understands=draw.choice(UNDERSTOOD),
            assurance=2,
        )
        facts = maker.facts.about(
            conn, subject, request, START, known=True, present=present
        )
        # No answer ends within the year, so the instant decides nothing.
        decided = maker.decision(request, facts, START)
        for _ in range(EACH // 2):
            yield maker.store.writer(
                uuid.UUID(int=draw.getrandbits(128), version=4),
                request,
                facts,
                decided,
                START + 1 + draw.randrange(YEAR - 1),
                notes=notes,
            )
