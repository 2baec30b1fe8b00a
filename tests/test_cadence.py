"""The server signs about once a second when busy, and survives errors."""

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from api.cadence import is_due, publishing
from api.witnesses import Cosigned, WitnessClient, WitnessFailedError
from consent import Commit
from policy import AccessRequest, ById, Submission
from tests.ledgers import draft
from tests.worlds import CITY, PURPOSE, SERVICE, World, build_world

FAST = 0.02


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Build an instance."""
    with build_world(tmp_path / "home") as built:
        yield built


class Asked(WitnessClient):
    """A witness of whom it is counted how often they were asked."""

    def __init__(self, *, fails: int = 0) -> None:
        """Ask nobody; fail some times first."""
        self.count = 0
        self._fails = fails

    def submit(self) -> Cosigned:
        """Count."""
        self.count += 1
        if self.count <= self._fails:
            msg = "witness w: gone"
            raise WitnessFailedError(msg)
        return Cosigned(witness="w", size=0, fresh=False)


def sizes(world: World) -> list[int]:
    """The sizes of all signed checkpoints."""
    return [one.size for one in world.platform.ledger.checkpoints()]


async def until(done: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(240):
        while not done():  # noqa: ASYNC110 - what is waited for is a row
            await asyncio.sleep(FAST)


def entry(number: int) -> Commit:
    """Draft an entry about nobody."""
    return Commit(drafts=(draft(0, outcome=f"n{number}"),))


def test_it_signs_at_most_once_a_second(world: World) -> None:
    """Under load there is one checkpoint for each second of the clock."""
    platform = world.platform

    async def work() -> None:
        async with publishing(platform, seconds=FAST, clients=[]):
            await until(lambda: len(sizes(world)) == 1)
            for number in range(20):
                await platform.commits.submit(entry(number))
                await asyncio.sleep(FAST)
            assert 1 == len(sizes(world))
            world.clock.now += 1
            await until(lambda: len(sizes(world)) == 2)

    world.run(work())

    assert platform.ledger.size() == sizes(world)[-1]


def test_it_signs_nothing_where_nothing_is_new(world: World) -> None:
    """However the clock goes, a ledger at rest has one checkpoint."""
    platform = world.platform

    async def work() -> None:
        async with publishing(platform, seconds=FAST, clients=[]):
            await until(lambda: len(sizes(world)) == 1)
            for step in (1, 60, -3600):
                world.clock.now += step
                await asyncio.sleep(4 * FAST)

    world.run(work())

    assert 1 == len(sizes(world))


def test_a_clock_that_goes_back_stops_nothing(world: World) -> None:
    """What was signed in a future that is none holds nothing up."""
    platform = world.platform
    platform.ledger.checkpoint()
    world.clock.now -= 3600
    with platform.data.begin() as conn:
        platform.ledger.append(conn, [draft(0)])

    assert is_due(platform)


def test_it_survives_errors_and_says_so(world: World) -> None:
    """A broken head is reported; once it is whole again, it signs."""
    platform = world.platform
    with platform.data.begin() as conn:
        size = platform.ledger.size()
        conn.execute(text("UPDATE ledger_head SET size = size + 1"))

    async def work() -> None:
        async with publishing(platform, seconds=FAST, clients=[]):
            await until(lambda: len(logs) > 1)
            with platform.data.begin() as conn:
                conn.execute(
                    text("UPDATE ledger_head SET size = :size"), {"size": size}
                )
            await until(lambda: sizes(world) == [size])

    with capture_logs() as logs:
        world.run(work())

    errors = {one["error"] for one in logs if one["event"] == "not published"}
    assert {"LedgerInconsistent"} == errors


def kept(world: World) -> int:
    """How many access requests there is anything of."""
    with world.platform.data.connect() as conn:
        found = conn.execute(
            text("SELECT count(*) FROM policy_consent_request")
        )
        return int(found.scalar_one())


def asking(world: World, number: int) -> Submission:
    """What a service sends to have a character asked."""
    return Submission(
        request=AccessRequest(
            tenant=world.platform.settings.tenant,
            service=SERVICE,
            purpose=PURPOSE,
            attributes=(CITY,),
            person=ById(subject=world.cast["silent"]),
        ),
        evaluation=UUID(int=number),
        key=None,
        body=b"b",
        asked=b"a",
        about=b"p",
    )


def test_it_sweeps_what_is_kept_of_expired_requests(world: World) -> None:
    """Digests go a day after their task's end, though nobody asks again."""
    platform = world.platform

    async def work() -> None:
        task = await platform.asking.submit(asking(world, 1))
        world.clock.now = task.expires_at
        await platform.asking.submit(asking(world, 2))
        world.clock.now += 86_400
        async with publishing(platform, sweeping=FAST, clients=[]):
            await asyncio.sleep(4 * FAST)
            assert 2 == kept(world)
            world.clock.now += 1
            await until(lambda: kept(world) == 1)
            await asyncio.sleep(4 * FAST)
            assert 1 == kept(world)

    world.run(work())


def test_a_witness_that_fails_is_asked_again(world: World) -> None:
    """Later each time; the others and the signing do not wait for it."""
    good, bad = Asked(), Asked(fails=2)

    async def work() -> None:
        async with publishing(
            world.platform, seconds=FAST, clients=[bad, good]
        ):
            await until(lambda: bad.count > 3 and good.count > 3)

    with capture_logs() as logs:
        world.run(work())

    failures = [one for one in logs if one["event"] == "not published"]
    assert 2 == len(failures)
    assert "witness w: gone" == failures[0]["cause"]
    assert 1 == len(sizes(world))


def test_it_ends_with_the_server(world: World) -> None:
    """When the block has ended, nobody is asked and nothing is signed."""
    asked = Asked()

    async def work() -> None:
        async with publishing(world.platform, seconds=FAST, clients=[asked]):
            await until(lambda: asked.count > 0)
        count = asked.count
        with world.platform.data.begin() as conn:
            world.platform.ledger.append(conn, [draft(0)])
        world.clock.now += 10
        await asyncio.sleep(5 * FAST)
        assert count == asked.count
        running = {task.get_name() for task in asyncio.all_tasks()}
        assert 1 == len(running)

    world.run(work())

    assert 1 == len(sizes(world))
