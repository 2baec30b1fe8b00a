"""Several OPA servers, of which one has to answer.

They run the same bundle, so it does not matter which one decides. One that
is down, too slow, at rest behind its circuit or still on another bundle is
passed over for the next, within the deadline of one decision. What a server
did decide, or failed to, the others would as well: an undefined or malformed
answer and an evaluation error are never asked again.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self, TypeVar

from policy.opa import OpaPdp
from policy.pdp import JSON, Cause, NoDecision, Ruling

T = TypeVar("T")
_PASSED_OVER = frozenset(
    {Cause.DOWN, Cause.TIMEOUT, Cause.OPEN_CIRCUIT, Cause.WRONG_REVISION}
)


class FailoverPdp:
    """Asks one server after another, from the one that last answered.

    Args:
        servers: at least one, each with its own patience.
        seconds: for one decision, all servers together.

    Raises:
        ValueError: there is no server.
    """

    def __init__(
        self, servers: Sequence[OpaPdp], *, seconds: float = 3.0
    ) -> None:
        if not servers:
            msg = "no OPA server is named"
            raise ValueError(msg)
        self._servers = tuple(servers)
        self._seconds = seconds
        self._first = 0
        self._stack = AsyncExitStack()

    @property
    def revision(self) -> str:
        """The bundle revision that must decide."""
        return self._servers[0].revision

    def expect(self, revision: str, *, also: str | None = None) -> None:
        """As `OpaPdp.expect`, of every server."""
        for one in self._servers:
            one.expect(revision, also=also)

    async def __aenter__(self) -> Self:
        """Open the connections."""
        for one in self._servers:
            await self._stack.enter_async_context(one)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the connections."""
        await self._stack.aclose()

    async def confirm(self) -> None:
        """Hold the servers to the revision that must decide.

        Raises:
            NoDecision: none of them answers under it.
        """
        await self._ask(lambda server: server.confirm())

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.PolicyDecisionPoint`."""
        return await self._ask(
            lambda server: server.decide(entrypoint, document)
        )

    async def decide_within(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.TracedDecisionPoint`."""
        return await self._ask(
            lambda server: server.decide_within(entrypoint, document, trace)
        )

    async def filter(
        self, path: str, document: Mapping[str, JSON]
    ) -> tuple[str, JSON]:
        """Compile a rule; see `policy.cohort_filter.Filtering`."""
        return await self._ask(
            lambda server: server.filter(path, document),
            seconds=max(one.compiling for one in self._servers),
        )

    async def _ask(
        self,
        call: Callable[[OpaPdp], Awaitable[T]],
        *,
        seconds: float | None = None,
    ) -> T:
        count = len(self._servers)
        last = NoDecision(Cause.DOWN)
        try:
            async with asyncio.timeout(seconds or self._seconds):
                for step in range(count):
                    at = (self._first + step) % count
                    try:
                        found = await call(self._servers[at])
                    except NoDecision as error:
                        if error.cause not in _PASSED_OVER:
                            raise
                        last = error
                    else:
                        self._first = at
                        return found
        except TimeoutError:
            raise NoDecision(Cause.TIMEOUT) from None
        raise last
