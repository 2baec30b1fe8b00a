"""Looks about once a second whether other policies are in force.

Every process that serves does; a command of the line reads the pointer when
it starts. What runs in the shadow is compared here too, on a thread of its
own, so that no answer waits for it.
"""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import structlog

from api.platform import Platform
from policy import LivePdp

SECONDS = 1.0


@asynccontextmanager
async def watching(
    platform: Platform, *, seconds: float = SECONDS
) -> AsyncIterator[None]:
    """Look while the block runs.

    Args:
        platform: whose policies.
        seconds: between two looks.

    """
    pdp = platform.pdp
    if not isinstance(pdp, LivePdp):
        yield
        return
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="policies")
    task = asyncio.create_task(_repeat(pdp, threads, seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        threads.shutdown(wait=True, cancel_futures=True)


async def _repeat(
    pdp: LivePdp, threads: ThreadPoolExecutor, seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    while True:
        for work in (pdp.refresh, pdp.compare):
            try:
                await loop.run_in_executor(threads, work)
            except Exception as error:  # noqa: BLE001 - what is in force goes on deciding
                structlog.get_logger().warning(
                    "policies not taken",
                    cause=str(error),
                    error=type(error).__name__,
                )
        await asyncio.sleep(seconds)
