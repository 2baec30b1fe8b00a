"""An officer's act takes one connection, and waits for no other of its own.

A pool may have a single one. Whoever asks it for a second while keeping the
first waits for themselves, with the ledger's lock, until the pool gives up.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from policy import NONE, OURS
from tests.bundles import variant
from tests.databases import Kind
from tests.test_policy_codes import declared
from tests.test_release import wanted
from tests.worlds import OFFICER, OTHER_OFFICER, World, build_world

run = asyncio.run


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance in which nobody proposed anything."""
    with build_world(tmp_path / "home", extra=24, database=database) as made:
        yield made


@contextmanager
def most_at_once(engine: Engine) -> Iterator[list[int]]:
    """Collect how many connections this thread has, each time it gets one."""
    mine, held, seen = threading.get_ident(), set[object](), list[int]()

    def out(_driver: object, record: object, _proxy: object) -> None:
        if threading.get_ident() == mine:
            held.add(record)
            seen.append(len(held))

    def back(_driver: object, record: object) -> None:
        held.discard(record)

    event.listen(engine, "checkout", out)
    event.listen(engine, "checkin", back)
    try:
        yield seen
    finally:
        event.remove(engine, "checkout", out)
        event.remove(engine, "checkin", back)


async def about_policies(world: World) -> None:
    """Each act."""
    desk = world.platform.policies
    for name in ("a", "b", "c"):
        await desk.propose(OFFICER, variant(name))
    await desk.shadow(OFFICER, 1)
    await desk.shadow(OFFICER, None)
    await desk.publish(OTHER_OFFICER, 1)
    await desk.reject(OFFICER, 2, reason="no")
    await desk.roll_back(OFFICER, OURS, reason="flaw")
    assert (OURS, NONE) == (desk.live().number, desk.live().shadow)


async def about_declarations(world: World) -> None:
    """Each act."""
    desk = world.platform.declarations
    for number in (2, 3):
        await desk.propose(OFFICER, declared(number))
    await desk.approve(OTHER_OFFICER, 1)
    await desk.reject(OFFICER, 2, reason="no")


async def about_extracts(world: World) -> None:
    """A request, its approval, and its end."""
    desk = world.platform.releases
    one = await desk.request(OFFICER, wanted(k=3))
    await desk.approve(OTHER_OFFICER, one)
    await desk.recall(OTHER_OFFICER, one, reason="no")


async def about_rows_of_before(world: World) -> None:
    """Vouching looks through them under the lock."""
    desk = world.platform.policies
    await desk.propose(OFFICER, variant("a"))
    await world.platform.declarations.propose(OFFICER, declared(2))
    vouching = world.platform.vouching
    vouching.registers(OFFICER.id, 0, vouching.registered())


ACTS = (
    about_policies,
    about_declarations,
    about_extracts,
    about_rows_of_before,
)


@pytest.mark.parametrize("acts", ACTS)
def test_an_act_takes_one_connection(
    world: World, acts: Callable[[World], Coroutine[Any, Any, None]]
) -> None:
    """It reads the entries where it holds the ledger's lock."""
    with most_at_once(world.platform.data) as seen:
        run(acts(world))

    assert {1} == set(seen)
