"""Looks that are shared: none begins before whoever it answers has asked."""

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from policy.together import Together


class Shelf:
    """Things by name, looked up one look at a time, as long as is wanted."""

    def __init__(self) -> None:
        self.things = {"a": 1, "b": 2}
        self.looks: list[list[str]] = []
        self.open = asyncio.Event()
        self.broken = False

    async def look(self, keys: Sequence[str]) -> Mapping[str, int]:
        """Read at once, answer when the shelf is open."""
        self.looks.append([*keys])
        found = {key: self.things[key] for key in keys if key in self.things}
        await self.open.wait()
        if self.broken:
            msg = "the shelf fell"
            raise OSError(msg)
        return found


def test_who_waits_shares_the_next_look() -> None:
    """One look is under way; all who come meanwhile share one more."""

    async def run() -> tuple[list[int | None], list[list[str]]]:
        shelf = Shelf()
        together = Together(shelf.look)
        first = asyncio.create_task(together("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [asyncio.create_task(together(key)) for key in "abac"]
        await asyncio.sleep(0)
        shelf.open.set()
        return await asyncio.gather(first, *rest), shelf.looks

    found, looks = asyncio.run(run())

    assert [1, 1, 2, 1, None] == found
    assert [["a"], ["a", "b", "c"]] == looks


def test_nobody_gets_what_was_read_before_they_asked() -> None:
    """What is taken away while a look is under way is gone for who asks."""

    async def run() -> tuple[int | None, int | None]:
        shelf = Shelf()
        together = Together(shelf.look)
        early = asyncio.create_task(together("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        del shelf.things["a"]
        late = asyncio.create_task(together("a"))
        await asyncio.sleep(0)
        shelf.open.set()
        return await early, await late

    assert (1, None) == asyncio.run(run())


def test_all_hear_of_a_look_that_failed_and_the_next_works() -> None:
    """An error is each one's who shared the look, and nobody's after it."""

    async def run() -> tuple[list[object], int | None]:
        shelf = Shelf()
        shelf.open.set()
        together = Together(shelf.look)
        shelf.broken = True
        heard: list[object] = [
            *await asyncio.gather(
                together("a"), together("b"), return_exceptions=True
            )
        ]
        shelf.broken = False
        return heard, await together("b")

    heard, found = asyncio.run(run())

    assert ["OSError", "OSError"] == [type(one).__name__ for one in heard]
    assert 2 == found


def test_who_gives_up_takes_nobody_along() -> None:
    """A cancelled question leaves the others their answers."""

    async def run() -> int | None:
        shelf = Shelf()
        together = Together(shelf.look)
        gone = asyncio.create_task(together("a"))
        stays = asyncio.create_task(together("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        shelf.open.set()
        return await stays

    assert 1 == asyncio.run(run())


def test_a_look_that_is_ended_leaves_nobody_waiting() -> None:
    """Where the loop ends, whoever waits is cancelled too."""

    async def run() -> None:
        shelf = Shelf()
        together = Together(shelf.look)
        asked = asyncio.create_task(together("a"))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert together._looking is not None
        together._looking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asked, 60)

    asyncio.run(run())
