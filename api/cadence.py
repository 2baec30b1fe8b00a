"""What a server does beside answering: it signs, asks, settles and sweeps.

About once a second, where entries were added since the last checkpoint, the
next one is signed, between two batches of commits. Each witness is brought
up to the newest one by a loop of its own, so that none that is slow or gone
holds up another, or the signing. Emergency access that nobody approved in
time has ended by itself; here its alert opens without anybody looking. What
is kept of access requests that expired is deleted every few minutes. Errors
are logged and tried again, later each time; all loops end when the server
does.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import structlog

from api.platform import Platform
from api.witnesses import WitnessClient, witness_clients

SECONDS = 1.0
SETTLING = 30.0
SWEEPING = 600.0
_SLOWEST = 6


@asynccontextmanager
async def publishing(
    platform: Platform,
    *,
    seconds: float = SECONDS,
    settling: float = SETTLING,
    sweeping: float = SWEEPING,
    clients: list[WitnessClient] | None = None,
) -> AsyncIterator[None]:
    """Sign and have cosigned while the block runs.

    Args:
        platform: Whose ledger; its commit queue runs.
        seconds: Between two looks.
        settling: Likewise, for emergency access past its deadline.
        sweeping: Likewise, for access requests that expired.
        clients: Of the witnesses, instead of the policy's.

    Yields:
        While the loops run.

    """
    asked = witness_clients(platform.ledger) if clients is None else clients
    # Of their own: a witness that hangs must not take a thread that others
    # wait for.
    threads = ThreadPoolExecutor(
        max_workers=len(asked) + 1, thread_name_prefix="checkpoints"
    )
    loop = asyncio.get_running_loop()

    async def sign() -> None:
        if await loop.run_in_executor(threads, is_due, platform):
            await platform.commits.checkpoint()

    async def ask(client: WitnessClient) -> None:
        await loop.run_in_executor(threads, client.submit)

    async def settle() -> None:
        await platform.glass.settle()

    async def sweep() -> None:
        await platform.asking.sweep()

    def asking(client: WitnessClient) -> Callable[[], Awaitable[None]]:
        return lambda: ask(client)

    tasks = [
        asyncio.create_task(_repeat(what, work, pause))
        for what, work, pause in (
            ("checkpoint", sign, seconds),
            ("emergency access", settle, settling),
            ("access requests", sweep, sweeping),
        )
    ]
    tasks += [
        asyncio.create_task(_repeat("witness", asking(each), seconds))
        for each in asked
    ]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        threads.shutdown(wait=False, cancel_futures=True)


def is_due(platform: Platform) -> bool:
    """Whether the next checkpoint is to be signed.

    Several processes may serve one ledger; what one of them has signed
    within this second, no other signs again.
    """
    last = platform.ledger.publication.last()
    if last is None:
        return platform.ledger.size() > 0
    return platform.ledger.size() > last.size and platform.clock() != last.at


async def _repeat(
    what: str, work: Callable[[], Awaitable[None]], seconds: float
) -> None:
    failures = 0
    while True:
        try:
            await work()
            failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find it gone
            failures += 1
            structlog.get_logger().warning(
                "not published",
                place=what,
                cause=str(error),
                error=type(error).__name__,
            )
        await asyncio.sleep(seconds * 2 ** min(failures, _SLOWEST))
