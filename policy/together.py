"""One look for all who wait: fewer messages to a server under load.

Whoever asks while a look is under way shares the next one, which begins
after they asked, so nobody is told what was no longer so. A look takes who is
there when it starts and grows with the load by itself, as `policy.rounds` do.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Together(Generic[K, V]):
    """Looks keys up for who waits at the same time. One for each event loop.

    Args:
        look: finds what there is of several keys; it leaves out the others.
    """

    def __init__(
        self, look: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
    ) -> None:
        self._look = look
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._looking: asyncio.Task[None] | None = None

    async def __call__(self, key: K) -> V | None:
        """Look one key up, with whoever else waits.

        Returns:
            What there is of it, or None.

        Raises:
            Exception: what the look raised, to all who shared it.

        """
        answer: asyncio.Future[V | None] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.setdefault(key, []).append(answer)
        if self._looking is None:
            self._looking = asyncio.create_task(self._run())
        return await answer

    async def _run(self) -> None:
        taken: dict[K, list[asyncio.Future[V | None]]] = {}
        try:
            while self._waiting:
                taken, self._waiting = self._waiting, {}
                await self._answer(taken)
        finally:
            self._looking = None
            # Nobody is left here but where the loop ends.
            for one in _all(taken, self._waiting):
                one.cancel()

    async def _answer(
        self, taken: Mapping[K, list[asyncio.Future[V | None]]]
    ) -> None:
        try:
            found = await self._look([*taken])
        except Exception as error:  # noqa: BLE001 - each who waits must hear it
            for one in _all(taken):
                one.set_exception(error)
            return
        for key, waiting in taken.items():
            for one in _all({key: waiting}):
                one.set_result(found.get(key))


def _all(
    *waiting: Mapping[K, list[asyncio.Future[V | None]]],
) -> list[asyncio.Future[V | None]]:
    """Those who still wait."""
    return [
        one
        for some in waiting
        for each in some.values()
        for one in each
        if not one.done()
    ]
