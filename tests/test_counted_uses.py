"""Pause, window, uses and frequency, obeyed by the gate."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from consent import Behavior, Preferences, Rule, Terms
from consent.rule_terms import DAY
from policy import Disclosure, Effect, Form, Side
from tests.databases import Kind
from tests.worlds import (
    ADDRESS,
    BIRTH,
    MOBILE,
    PURPOSE,
    SERVICE,
    STREET,
    World,
    build_world,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def prefer(world: World, *rules: Rule, name: str = "consenting") -> None:
    """Put a character's rules in force."""
    world.platform.registrar.enter_forms_now(
        [
            Form(
                subject=world.cast[name],
                answers=(),
                preferences=Preferences(rules=rules),
            )
        ]
    )


def permitting(**terms: object) -> Rule:
    """A rule that allows everything on some terms."""
    return Rule(
        id="mine",
        behavior=Behavior.ALLOW,
        terms=Terms(**terms),  # type: ignore[arg-type] # the terms vary by test
    )


async def ask(
    world: World, *attributes: str, name: str = "consenting"
) -> Disclosure:
    """Ask the gate once."""
    return await world.platform.gate.disclose(
        world.request(name, *(attributes or ADDRESS))
    )


def effects(found: Disclosure) -> set[Effect]:
    """What became of the attributes."""
    return {one.effect for one in found.attributes}


async def reasons(world: World) -> set[str]:
    """The codes of the newest entry, as the person sees them."""
    [entry] = await world.platform.person.own_uses(
        world.caller("consenting"),
        world.cast["consenting"],
        before=None,
        limit=1,
    )
    return {
        code
        for one in entry.detail["attributes"].values()
        for code in one["reasons"]
    }


def test_a_paused_rule_permits_nothing_until_it_is_resumed(
    world: World,
) -> None:
    """Nothing leaves, the person sees why, and resuming is one change."""
    prefer(world, permitting(paused=True))

    async def story() -> None:
        held = await ask(world)
        assert effects(held) == {Effect.WITHHOLD}
        assert {one.reason for one in held.attributes} == {"not_available"}
        assert await reasons(world) == {"preference_paused"}
        prefer(world, permitting())
        assert effects(await ask(world)) == {Effect.RELEASE}

    world.run(story())


def test_a_window_opens_and_closes_to_the_second(world: World) -> None:
    """Before it and from its end on nothing leaves."""
    now = world.clock()
    prefer(world, permitting(since=now + 100, until=now + 200))

    async def story() -> None:
        found = {}
        for second in (99, 100, 199, 200):
            world.clock.now = now + second
            found[second] = effects(await ask(world))
        assert found == {
            99: {Effect.WITHHOLD},
            100: {Effect.RELEASE},
            199: {Effect.RELEASE},
            200: {Effect.WITHHOLD},
        }
        assert await reasons(world) == {"preference_window"}

    world.run(story())


def test_a_frequency_is_kept_and_frees_itself(world: World) -> None:
    """Twice in a day, and again a day after the first."""
    prefer(world, permitting(times=2, days=1))
    start = world.clock()

    async def story() -> None:
        assert effects(await ask(world)) == {Effect.RELEASE}
        world.clock.now = start + 10
        assert effects(await ask(world)) == {Effect.RELEASE}
        assert effects(await ask(world)) == {Effect.WITHHOLD}
        assert await reasons(world) == {"preference_frequency"}
        world.clock.now = start + DAY - 1
        assert effects(await ask(world)) == {Effect.WITHHOLD}
        world.clock.now = start + DAY
        assert effects(await ask(world)) == {Effect.RELEASE}
        assert effects(await ask(world)) == {Effect.WITHHOLD}

    world.run(story())


def test_uses_run_out_and_refusals_take_none(world: World) -> None:
    """Three disclosures, whatever was refused between them."""
    rule = permitting(uses=3)
    no_calls = Rule(
        id="no-calls", behavior=Behavior.REFUSE, attributes=(MOBILE,)
    )
    prefer(world, no_calls, rule)

    async def story() -> None:
        for _ in range(3):
            assert effects(await ask(world, MOBILE)) == {Effect.WITHHOLD}
            assert effects(await ask(world)) == {Effect.RELEASE}
        assert effects(await ask(world)) == {Effect.WITHHOLD}
        assert await reasons(world) == {"preference_uses"}
        # More uses of the same rule go on from what was used.
        prefer(world, permitting(uses=4))
        assert effects(await ask(world)) == {Effect.RELEASE}
        assert effects(await ask(world)) == {Effect.WITHHOLD}

    world.run(story())


def test_a_limit_has_terms_too(world: World) -> None:
    """A coarser value leaves as often as its rule says, others freely."""
    prefer(
        world,
        Rule(
            id="year",
            behavior=Behavior.LIMIT,
            level=2,
            attributes=(BIRTH,),
            terms=Terms(uses=1),
        ),
        Rule(id="rest", behavior=Behavior.ALLOW),
    )

    async def story() -> None:
        first = await ask(world, BIRTH)
        assert effects(first) == {Effect.GENERALIZE}
        again = await ask(world, BIRTH, *ADDRESS)
        found = {one.attribute: one.effect for one in again.attributes}
        assert found[BIRTH] is Effect.WITHHOLD
        assert found[STREET] is Effect.RELEASE

    world.run(story())


@pytest.mark.parametrize(
    "database",
    [
        Kind.SQLITE,
        pytest.param(Kind.POSTGRESQL, marks=pytest.mark.postgresql),
    ],
)
def test_requests_at_once_take_what_there_is_and_no_more(
    tmp_path: Path, database: Kind, request: pytest.FixtureRequest
) -> None:
    """Of twenty requests at once, exactly as many leave as the rule says."""
    if database is Kind.POSTGRESQL:
        request.getfixturevalue("postgresql_url")
    with build_world(tmp_path / "home", database=database) as world:
        prefer(world, permitting(uses=5))

        async def story() -> list[Disclosure]:
            return await asyncio.gather(*(ask(world) for _ in range(20)))

        found = [effects(one) for one in world.run(story())]
        assert found.count({Effect.RELEASE}) == 5
        assert found.count({Effect.WITHHOLD}) == 15
        counted = world.platform.consents.uses(
            (world.cast["consenting"],), SERVICE, PURPOSE
        )
        assert counted["mine"].total == 5


@pytest.mark.postgresql
def test_a_counted_use_waits_for_whoever_holds_the_person(
    tmp_path: Path, postgresql_url: str
) -> None:
    """Another worker's open transaction about the person is waited for."""
    assert postgresql_url
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        prefer(world, permitting(uses=5))

        async def story() -> None:
            with world.platform.data.connect() as conn:
                with conn.begin():
                    world.platform.consents.lock(
                        conn, world.cast["consenting"]
                    )
                    asked = asyncio.create_task(ask(world))
                    await asyncio.wait({asked}, timeout=3)
                    assert not asked.done()
                assert effects(await asked) == {Effect.RELEASE}

        world.run(story())


def test_a_decision_on_counted_uses_replays(world: World) -> None:
    """What was used then is stored with the decision, sealed."""
    prefer(world, permitting(uses=1))

    async def story() -> None:
        for _ in range(2):
            made = await ask(world)
            again = await world.platform.replay.replay(
                world.platform.pdp, made.decision, world.cast["consenting"]
            )
            assert again.differs == ()

    world.run(story())


def test_erasing_somebody_forgets_what_was_counted(world: World) -> None:
    """No row of the counts names an erased person."""
    prefer(world, permitting(uses=9))

    async def story() -> None:
        await ask(world)

    world.run(story())
    subject = world.cast["consenting"]
    consents = world.platform.consents
    assert consents.uses((subject,), SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        consents.forget(conn, subject)
    assert not consents.uses((subject,), SERVICE, PURPOSE)


def test_a_service_cannot_tell_why_it_gets_nothing(world: World) -> None:
    """Each hold is on the person's side."""
    for code in ("paused", "window", "uses", "frequency"):
        side = world.platform.reasons.side(f"preference_{code}")
        assert side is Side.PERSON
    assert world.platform.reasons.side("signal_refuses") is Side.PERSON
