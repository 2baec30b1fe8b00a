"""Rules of visibility, the queue, and what persons and services see."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from api.platform import Platform
from consent import (
    ClockBehind,
    DraftInvalid,
    EntryUnreadable,
    LegalBasis,
    UnknownEntry,
    Visibility,
    load_yaml,
)
from policy import (
    AccessRequest,
    Caller,
    NotPermitted,
    RecordUnknown,
    RequestInvalid,
)
from tests.worlds import (
    BIRTH,
    OFFICER,
    OTHER_OFFICER,
    PURPOSE,
    SERVICE,
    START,
    World,
    build_world,
    publish,
)

DAY = 86_400
POLICE = """
service: police
purpose: investigation
version: 1
title: {en: Police, zh-Hans: 警务}
purpose_text: {en: To inquire., zh-Hans: 用于调查。}
controller: {id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}
assurance: 1
obligations: [delete_by]
statements:
  - id: inquiry
    basis: public-task
    purposes: [current]
    recipients: [ours]
    retention: stated-purpose
    retention_days: 90
    consequence: {en: "Nothing.", zh-Hans: 无。}
    data:
      - user.bdate
"""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance where the police have declared an investigation."""
    with build_world(tmp_path / "home") as made:
        publish(made.platform, load_yaml(POLICE.encode(), where="police.yml"))
        yield made


def rule(
    platform: Platform,
    visibility: Visibility,
    *,
    days: int = 30,
    service: str = "police",
    purpose: str = "investigation",
) -> int:
    """Let two officers put a rule into force."""

    async def both() -> int:
        desk = platform.visibility
        number = await desk.propose(
            OFFICER,
            service=service,
            purpose=purpose,
            visibility=visibility,
            days=days,
            basis=LegalBasis.LEGAL_OBLIGATION,
            law="Inquiries Act, section 4",
        )
        await desk.confirm(OTHER_OFFICER, number)
        return number

    return asyncio.run(both())


def inquiry(world: World, name: str) -> AccessRequest:
    """A request of the police about a character."""
    base = world.request(name, BIRTH)
    return AccessRequest(
        tenant=base.tenant,
        service="police",
        purpose="investigation",
        attributes=base.attributes,
        person=base.person,
        understands=base.understands,
        assurance=base.assurance,
    )


def test_a_sealed_activity_leaves_no_trace(world: World) -> None:
    """The service is answered as ever; the person sees nothing until."""
    platform = world.platform
    caller, subject = world.caller("consenting"), world.cast["consenting"]
    number = rule(platform, Visibility.SEALED)

    async def scene() -> None:
        async with platform.running():
            before = await platform.person.own_uses(
                caller, subject, before=None, limit=9
            )
            answer = await platform.gate.disclose(inquiry(world, "consenting"))
            after = await platform.person.own_uses(
                caller, subject, before=None, limit=9
            )
            assert before == after
            with pytest.raises(EntryUnreadable):
                await platform.person.proof(
                    caller, subject, answer.ledger_index
                )
            (held,) = await platform.visibility.review(OFFICER)
            assert (number, "police", Visibility.SEALED) == (
                held.rule,
                held.service,
                held.visibility,
            )
            assert world.clock() + 30 * DAY == held.until
            for refused in ("", " "):
                with pytest.raises(NotPermitted):
                    await platform.visibility.lift(
                        OFFICER, held.id, reason=refused
                    )
            with pytest.raises(DraftInvalid):
                await platform.visibility.extend(
                    OFFICER, held.id, START, reason="earlier"
                )
            longer = await platform.visibility.extend(
                OFFICER, held.id, START + 60 * DAY, reason="goes on"
            )
            assert ["goes on"] == [e.reason for e in longer.extensions]
            await platform.visibility.lift(OFFICER, held.id, reason="closed")
            with pytest.raises(UnknownEntry):
                await platform.visibility.lift(
                    OFFICER, held.id, reason="twice"
                )
            shown = await platform.person.own_uses(
                caller, subject, before=None, limit=9
            )
            assert answer.ledger_index == shown[0].index
            assert list(before) == list(shown[1:])
            assert await platform.person.proof(
                caller, subject, answer.ledger_index
            )

    asyncio.run(scene())
    kinds = [
        entry.body.outcome
        for entry in platform.ledger.audit_entries(service="police")
        if entry.body
    ]
    assert ["proposed", "published", "proposed", "confirmed"] == kinds[:4]
    assert ["extended", "lifted"] == kinds[5:]
    platform.ledger.verify()


def test_a_service_is_told_the_same(world: World) -> None:
    """Sealed and immediate answers have the same shape and values."""
    platform = world.platform

    async def ask() -> list[object]:
        answers = [
            await platform.gate.disclose(inquiry(world, name))
            for name in ("consenting", "nobody-at-all")
        ]
        return [one.attributes for one in answers]

    async def scene() -> None:
        async with platform.running():
            plain = await ask()
            number = await platform.visibility.propose(
                OFFICER,
                service="police",
                purpose="investigation",
                visibility=Visibility.SEALED,
                days=1,
                basis=LegalBasis.PUBLIC_TASK,
                law="section 4",
            )
            # Proposed alone it does not hold.
            assert plain == await ask()
            assert [] == platform.ledger.review()
            await platform.visibility.confirm(OTHER_OFFICER, number)
            assert plain == await ask()
            assert 2 == len(platform.ledger.review())

    asyncio.run(scene())


def test_a_delayed_look_of_an_officer_opens_by_itself(world: World) -> None:
    """Named by its purpose; the person learns of it when the date passed."""
    platform = world.platform
    caller, subject = world.caller("consenting"), world.cast["consenting"]
    rule(
        platform,
        Visibility.DELAYED,
        service="registrar",
        purpose="fraud-inquiry",
    )

    async def scene() -> None:
        async with platform.running():
            with pytest.raises(RequestInvalid):
                await platform.registrar.officer_view(
                    OFFICER,
                    subject,
                    frozenset({BIRTH}),
                    justification="tip",
                    purpose="curiosity",
                )
            for purpose in ("officer-view", "fraud-inquiry"):
                await platform.registrar.officer_view(
                    OFFICER,
                    subject,
                    frozenset({BIRTH}),
                    justification="tip",
                    purpose=purpose,
                )

            async def purposes() -> list[str]:
                uses = await platform.person.own_uses(
                    caller, subject, before=None, limit=2
                )
                return [one.purpose for one in uses]

            assert "fraud-inquiry" not in await purposes()
            world.clock.now += 30 * DAY
            assert ["fraud-inquiry", "officer-view"] == await purposes()
            world.clock.now -= 30 * DAY
            assert ["fraud-inquiry", "officer-view"] == await purposes()

    asyncio.run(scene())


def test_the_last_confirmed_rule_holds(world: World) -> None:
    """Immediate is a rule like the others."""
    platform = world.platform
    rule(platform, Visibility.SEALED)
    rule(platform, Visibility.IMMEDIATE, days=0)
    world.run(platform.gate.disclose(inquiry(world, "consenting")))

    assert [] == platform.ledger.review()


async def propose(platform: Platform, **changes: object) -> int:
    """Propose a sound rule, but for the changes."""
    fields: dict[str, object] = {
        "service": "police",
        "purpose": "investigation",
        "visibility": Visibility.SEALED,
        "days": 30,
        "basis": LegalBasis.PUBLIC_TASK,
        "law": "section 4",
    }
    made: int = await platform.visibility.propose(OFFICER, **fields | changes)
    return made


def test_unsound_rules_are_refused(world: World) -> None:
    """No law, consent as basis, a use by consent, wrong days, unknown."""
    for changes in (
        {"law": " "},
        {"law": "x" * 501},
        {"basis": LegalBasis.CONSENT},
        {"service": SERVICE, "purpose": PURPOSE},
        {"service": "nobody"},
        {"days": 0},
        {"days": 99_999},
        {"visibility": Visibility.IMMEDIATE},
        {"visibility": Visibility.LIFTED},
    ):
        with pytest.raises(RequestInvalid):
            asyncio.run(propose(world.platform, **changes))
    assert [] == list(world.platform.visibility.rules())


def test_one_officer_alone_sets_nothing(world: World) -> None:
    """Whoever proposed does not confirm, and a rule is confirmed once."""
    platform = world.platform
    number = asyncio.run(propose(platform))
    for officer in (
        OFFICER,
        Caller(kind=OFFICER.kind, id="officer-3", roles=("analyst",)),
    ):
        with pytest.raises(NotPermitted):
            asyncio.run(platform.visibility.confirm(officer, number))
    asyncio.run(platform.visibility.confirm(OTHER_OFFICER, number))
    for wrong in (number, 99):
        with pytest.raises(RecordUnknown):
            asyncio.run(platform.visibility.confirm(OTHER_OFFICER, wrong))


def test_an_auditor_sees_the_queue_and_lifts_nothing(world: World) -> None:
    """Looking and deciding are two roles."""
    auditor = Caller(kind=OFFICER.kind, id="a", roles=("auditor",))
    desk = world.platform.visibility
    assert [] == list(asyncio.run(desk.review(auditor)))
    with pytest.raises(NotPermitted):
        asyncio.run(desk.lift(auditor, uuid4(), reason="r"))
    with pytest.raises(UnknownEntry):
        asyncio.run(desk.lift(OFFICER, uuid4(), reason="r"))


def test_a_clock_that_goes_backwards_is_one_clear_error(world: World) -> None:
    """No entry takes an earlier time, and none is given another."""
    platform = world.platform
    size = platform.ledger.size()
    world.clock.now -= 301
    with pytest.raises(ClockBehind, match="set the clock right"):
        asyncio.run(propose(platform))
    assert size == platform.ledger.size()
    with pytest.raises(NotPermitted):
        asyncio.run(platform.visibility.set_clock(OFFICER, reason=""))
    asyncio.run(platform.visibility.set_clock(OFFICER, reason="was ahead"))
    asyncio.run(propose(platform))
    assert size + 2 == platform.ledger.verify().size
