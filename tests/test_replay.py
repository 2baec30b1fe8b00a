"""Invariant 9: one decision on both engines, and the same one years later."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from policy import (
    OpaPdp,
    Replayed,
    ReplayImpossible,
    load_bundle,
)
from tests.databases import Kind
from tests.engines import PATIENT
from tests.worlds import (
    EVERYTHING,
    OFFICER,
    World,
    build_world,
    reopen,
    restrict,
)

NAMES = (
    "consenting",
    "limited",
    "silent",
    "refusing",
    "withdrawn",
    "restricted",
    "valueless",
)


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


async def decide_and_replay(world: World, name: str) -> Replayed:
    """Decide once about a character, and replay that decision."""
    platform = world.platform
    answer = await platform.gate.disclose(world.request(name))
    return await platform.replay.replay(
        platform.pdp, answer.decision, world.cast[name]
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_past_decision_replays_to_the_same_answer(
    world: World, name: str
) -> None:
    """From references and the sealed rest, the same answer comes again."""
    replayed = world.run(decide_and_replay(world, name))

    assert () == replayed.differs
    assert set(EVERYTHING) == set(replayed.stored)


def test_what_happened_since_does_not_change_a_replay(world: World) -> None:
    """A withdrawal, a restriction and time do not reach into the past."""
    platform, name = world.platform, "limited"

    async def story() -> Replayed:
        answer = await platform.gate.disclose(world.request(name))
        world.clock.now += 10 * 365 * 86_400
        restrict(platform, world.cast[name], world.clock())
        return await platform.replay.replay(
            platform.pdp, answer.decision, world.cast[name]
        )

    assert () == world.run(story()).differs


def test_after_erasure_a_replay_answers_erased(world: World) -> None:
    """Erasure closes the stored decision with everything else."""
    platform, name = world.platform, "consenting"

    async def story() -> None:
        answer = await platform.gate.disclose(world.request(name))
        await platform.registrar.erase(
            OFFICER,
            world.cast[name],
            proposer="the-person",
            justification="asked for it",
        )
        await platform.replay.replay(
            platform.pdp, answer.decision, world.cast[name]
        )

    with pytest.raises(ReplayImpossible, match="erased"):
        world.run(story())


def test_a_decision_about_somebody_else_does_not_replay(
    world: World,
) -> None:
    """A decision is found by its person's key alone."""
    platform = world.platform

    async def story() -> None:
        answer = await platform.gate.disclose(world.request("consenting"))
        await platform.replay.replay(
            platform.pdp, answer.decision, world.cast["limited"]
        )

    with pytest.raises(Exception, match="does not open"):
        world.run(story())


@pytest.mark.opa
def test_an_opa_server_decides_and_replays_the_same(
    world: World, opa_server: str
) -> None:
    """Stored on the embedded engine, replayed on a real OPA server."""
    platform = world.platform

    async def story() -> list[tuple[str, ...]]:
        opa = OpaPdp(
            url=opa_server,
            revision=load_bundle().revision,
            patience=PATIENT,
        )
        differences = []
        async with opa:
            for name in NAMES:
                answer = await platform.gate.disclose(world.request(name))
                replayed = await platform.replay.replay(
                    opa, answer.decision, world.cast[name]
                )
                differences.append(replayed.differs)
        return differences

    assert [()] * len(NAMES) == world.run(story())


@pytest.mark.opa
def test_the_gate_runs_on_an_opa_server(world: World, opa_server: str) -> None:
    """The same requests get the same answers from both engines."""
    platform = reopen(world, engine="opa", opa_url=opa_server)

    async def ask_both() -> None:
        async with world.platform.running(), platform.running():
            for name in NAMES:
                embedded = await world.platform.gate.disclose(
                    world.request(name)
                )
                served = await platform.gate.disclose(world.request(name))
                assert embedded.attributes == served.attributes

    asyncio.run(ask_both())
    platform.close()
