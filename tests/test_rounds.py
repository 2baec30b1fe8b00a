"""Requests that wait together: each is answered as if it had come alone."""

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from policy import (
    AccessRequest,
    ByIdentifier,
    Cause,
    Disclosure,
    NoDecision,
    RequestInvalid,
    Rounds,
    Ruling,
)
from policy.batch import BatchGate, Outcome
from policy.decisions import Json
from tests.databases import Kind
from tests.worlds import (
    BIRTH,
    EVERYTHING,
    INCOME,
    NUMBER,
    STREET,
    World,
    build_world,
)
from vault import InvalidValue

ADULT = f"{BIRTH}.age_over_18"
NAMES = (
    "consenting",
    "limited",
    "refusing",
    "silent",
    "withdrawn",
    "restricted",
    "erased",
    "valueless",
    "nobody",
)


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[World]:
    """An instance with its cast, which no test runs."""
    home = tmp_path_factory.mktemp("rounds") / "home"
    with build_world(home, database=database) as made:
        yield made


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast, for one test."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


def told(answer: Disclosure) -> tuple[object, ...]:
    """What a service hears, without what is of the moment."""
    return answer.attributes, answer.guidance


def asked(world: World, *names: str) -> list[AccessRequest]:
    """A request about each of some characters."""
    return [world.request(name, *EVERYTHING, ADULT) for name in names]


def test_facts_read_together_are_the_facts_read_alone(shared: World) -> None:
    """Of everybody in the cast, listed twice, by number and by id."""
    platform = shared.platform
    facts, now = platform.gate._facts, shared.clock()
    requests = asked(shared, *NAMES, *NAMES)

    together = platform.reader.now(
        lambda conn: facts.gather_each(conn, requests, now)
    )

    for request, found in zip(requests, together, strict=True):
        assert not isinstance(found, Exception)
        alone = platform.reader.now(
            lambda conn, one=request: facts.gather(conn, one, now)
        )
        assert alone[1] == found[1]
        assert alone[0].subject == found[0].subject


def test_what_is_wrong_with_one_is_that_ones(shared: World) -> None:
    """A malformed number among others is an error in its place."""
    platform = shared.platform
    facts, now = platform.gate._facts, shared.clock()
    requests = asked(shared, "consenting", "limited", "refusing")
    requests[1] = replace(
        requests[1], person=ByIdentifier(attribute=NUMBER, value="CANARY-7")
    )

    found = platform.reader.now(
        lambda conn: facts.gather_each(conn, requests, now)
    )

    assert [False, True, False] == [
        isinstance(one, InvalidValue) for one in found
    ]


def test_everybody_at_once_is_answered_about_themselves(world: World) -> None:
    """Ninety requests at once: the answers that each would get alone."""
    platform = world.platform

    async def story() -> None:
        alone = [
            told(await platform.gate.disclose(one))
            for one in asked(world, *NAMES)
        ]
        before = platform.ledger.size()
        found = await asyncio.gather(
            *(
                platform.rounds.disclose(one)
                for one in asked(world, *NAMES) * 10
            )
        )
        assert alone * 10 == [told(one) for one in found]
        assert len(NAMES) * 10 == len({one.decision for one in found})
        assert before + len(NAMES) * 10 == platform.ledger.size()

    world.run(story())


class Counting:
    """Decides as the platform does, and counts."""

    def __init__(self, world: World) -> None:
        self._decide = world.platform.pdp.decide
        self.revision = world.platform.pdp.revision
        self.asked: list[str] = []

    async def decide(
        self, entrypoint: str, document: Mapping[str, Json]
    ) -> Ruling:
        """Decide; fail where a request names a birthday alone."""
        request = document["request"]
        assert isinstance(request, Mapping)
        self.asked.append(str(request["attributes"]))
        if request["attributes"] == [BIRTH]:
            raise NoDecision(Cause.TIMEOUT)
        return await self._decide(entrypoint, document)


def test_no_ruling_serves_two_requests(world: World) -> None:
    """Equal requests in a round are each decided."""
    counting = world.platform.gate._pdp = Counting(world)

    async def story() -> None:
        await asyncio.gather(
            *(
                world.platform.rounds.disclose(one)
                for one in asked(world, "consenting") * 5
            )
        )

    world.run(story())
    assert 5 == len(counting.asked)


def test_each_hears_of_its_own_failure(world: World) -> None:
    """One without a decision, one malformed, one wrong; one is answered."""
    platform = world.platform
    platform.gate._pdp = Counting(world)
    good = world.request("consenting", STREET)
    before = platform.ledger.size()

    async def story() -> list[object]:
        return await asyncio.gather(
            *(
                platform.rounds.disclose(one)
                for one in (
                    world.request("consenting", BIRTH),
                    replace(good, attributes=()),
                    replace(
                        good,
                        person=ByIdentifier(attribute=NUMBER, value="wrong"),
                    ),
                    good,
                )
            ),
            return_exceptions=True,
        )

    found = world.run(story())
    assert isinstance(found[0], NoDecision)
    assert isinstance(found[1], RequestInvalid)
    assert isinstance(found[2], InvalidValue)
    assert isinstance(found[3], Disclosure)
    # The answer, and that there was none.
    assert before + 2 == platform.ledger.size()


def test_guidance_is_each_requests_own(world: World) -> None:
    """Two denials in a round: each hears of what it asked and promised."""
    platform = world.platform
    one = world.request("refusing", STREET)
    others = [
        one,
        replace(one, understands=frozenset()),
        replace(one, assurance=0),
        world.request("refusing", BIRTH, INCOME),
    ]

    async def story() -> None:
        alone = [told(await platform.gate.disclose(each)) for each in others]
        found = await asyncio.gather(
            *(platform.rounds.disclose(each) for each in others)
        )
        assert alone == [told(each) for each in found]
        assert 4 == len({str(each.guidance) for each in found})

    world.run(story())


def test_services_do_not_meet_in_a_round(world: World) -> None:
    """A purpose that nobody consented to gets nothing beside one that did."""
    platform = world.platform
    good = world.request("consenting", STREET)
    other = replace(good, purpose="another")

    async def story() -> list[Disclosure]:
        return await asyncio.gather(
            *(platform.rounds.disclose(one) for one in (good, other) * 4)
        )

    values = [one.attributes[0].value for one in world.run(story())]
    assert ["0 Canary Street", None] * 4 == values


def test_services_in_turn_do_not_shrink_rounds(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """64 requests of two purposes in turn: hardly more walks than of one."""
    platform = world.platform
    good = world.request("consenting", STREET)
    other = replace(good, purpose="another")
    sizes: list[int] = []
    real = platform.batch.walk

    async def walk(
        requests: Sequence[AccessRequest], *, decided: Callable[[], None]
    ) -> list[Outcome]:
        sizes.append(len(requests))
        return await real(requests, decided=decided)

    monkeypatch.setattr(platform.batch, "walk", walk)

    async def story() -> None:
        for pair in ((good, good), (good, other)):
            await asyncio.gather(
                *(platform.rounds.disclose(one) for one in pair * 32)
            )
            sizes.append(0)

    world.run(story())
    end = sizes.index(0)
    alike, mixed = sizes[:end], sizes[end + 1 : -1]
    assert 64 == sum(alike) == sum(mixed)
    assert len(mixed) <= len(alike) + 2


class Walk:
    """A walk that a test decides and ends."""

    def __init__(self, size: int, decided: Callable[[], None]) -> None:
        self.size = size
        self.decided = decided
        self.end: asyncio.Future[Exception | None] = (
            asyncio.get_running_loop().create_future()
        )


class Walks(BatchGate):
    """Answers nobody until a test says so, and then that it was too slow."""

    def __init__(self) -> None:
        self.all: list[Walk] = []

    async def walk(
        self,
        requests: Sequence[AccessRequest],
        *,
        decided: Callable[[], None] = lambda: None,
    ) -> list[Outcome]:
        """Wait for the test."""
        self.all.append(Walk(len(requests), decided))
        error = await self.all[-1].end
        if error is not None:
            raise error
        return [NoDecision(Cause.TIMEOUT) for _ in requests]

    async def sizes(self) -> list[int]:
        """How many are in each walk, once nothing moves any more."""
        for _ in range(20):
            await asyncio.sleep(0)
        return [one.size for one in self.all]


def test_a_round_starts_when_those_before_are_decided(shared: World) -> None:
    """Who comes meanwhile is in it, and two are under way at most."""
    request = shared.request("consenting", STREET)

    async def story() -> None:
        walks = Walks()
        rounds = Rounds(gate=shared.platform.gate, batch=walks, in_turn=True)

        def ask(count: int) -> list[asyncio.Task[Disclosure]]:
            asks = (rounds.disclose(request) for _ in range(count))
            return [asyncio.create_task(one) for one in asks]

        asked = ask(1)
        assert [1] == await walks.sizes()
        asked += ask(3)
        assert [1] == await walks.sizes()
        walks.all[0].decided()
        assert [1, 3] == await walks.sizes()
        asked += ask(1)
        walks.all[1].decided()
        assert [1, 3] == await walks.sizes()
        walks.all[0].end.set_result(None)
        assert [1, 3, 1] == await walks.sizes()
        asked += ask(2)
        # One that fails undecided gives its turn up.
        walks.all[2].end.set_result(LookupError("lost"))
        assert [1, 3, 1, 2] == await walks.sizes()
        for one in (walks.all[1], walks.all[3]):
            one.end.set_result(None)
        found = await asyncio.gather(*asked, return_exceptions=True)
        lost = [isinstance(one, LookupError) for one in found]
        assert [False] * 4 + [True] + [False] * 2 == lost

    asyncio.run(story())


def test_who_is_ready_joins_a_round(shared: World) -> None:
    """Also one who comes in the very turn in which it starts."""
    request = shared.request("consenting", STREET)

    async def story() -> None:
        walks = Walks()
        rounds = Rounds(gate=shared.platform.gate, batch=walks, in_turn=True)

        async def late() -> Disclosure:
            await asyncio.sleep(0)
            return await rounds.disclose(request)

        asked = [
            asyncio.create_task(one)
            for one in (rounds.disclose(request), late())
        ]
        assert [2] == await walks.sizes()
        walks.all[0].end.set_result(None)
        await asyncio.gather(*asked, return_exceptions=True)

    asyncio.run(story())


def test_a_round_that_never_began_is_in_nobodys_way(shared: World) -> None:
    """A loop that ends before it takes its turn with it."""
    request = shared.request("consenting", STREET)
    walks = Walks()
    rounds = Rounds(gate=shared.platform.gate, batch=walks, in_turn=True)

    async def leave() -> None:
        one = asyncio.create_task(rounds.disclose(request))
        await asyncio.sleep(0)
        assert not one.done()

    async def story() -> None:
        one = asyncio.create_task(rounds.disclose(request))
        assert [1] == await walks.sizes()
        walks.all[0].end.set_result(None)
        with pytest.raises(NoDecision):
            await one

    asyncio.run(leave())
    asyncio.run(story())


def test_rounds_that_wait_elsewhere_start_beside_each_other(
    shared: World,
) -> None:
    """Where an engine or a server is waited for, nobody waits for a turn."""
    request = shared.request("consenting", STREET)

    async def story() -> None:
        walks = Walks()
        rounds = Rounds(gate=shared.platform.gate, batch=walks)
        first = asyncio.create_task(rounds.disclose(request))
        assert [1] == await walks.sizes()
        second = asyncio.create_task(rounds.disclose(request))
        assert [1, 1] == await walks.sizes()
        for one in walks.all:
            one.end.set_result(None)
        await asyncio.gather(first, second, return_exceptions=True)

    asyncio.run(story())


def test_who_leaves_does_not_disturb_the_others(world: World) -> None:
    """A cancelled request is dropped; those beside it are answered."""
    platform = world.platform

    async def story() -> list[object]:
        tasks = [
            asyncio.create_task(platform.rounds.disclose(one))
            for one in asked(world, *["consenting"] * 6)
        ]
        await asyncio.sleep(0)
        tasks[2].cancel()
        return await asyncio.gather(*tasks, return_exceptions=True)

    found = world.run(story())
    assert [2] == [
        place
        for place, one in enumerate(found)
        if isinstance(one, asyncio.CancelledError)
    ]
    assert 5 == sum(isinstance(one, Disclosure) for one in found)


def test_an_error_of_nobodys_reaches_everybody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the facts cannot be read, each who waits is told; none hangs."""
    platform = world.platform

    def broken(*_: object) -> None:
        raise OSError

    monkeypatch.setattr(platform.gate._facts, "gather_each", broken)

    async def story() -> list[object]:
        async with asyncio.timeout(20):
            return await asyncio.gather(
                *(
                    platform.rounds.disclose(one)
                    for one in asked(world, *NAMES)
                ),
                return_exceptions=True,
            )

    assert {OSError} == {type(one) for one in world.run(story())}
