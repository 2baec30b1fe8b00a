"""The background task that tells services, and the pass that it repeats.

One process sends at a time, by a lease in the database; another takes over
when the lease runs out. Within a pass each service has a thread, so that one
that hangs holds up none of the others, and its own deliveries go out one
after another until one fails.

A process that is killed between a send and its note has sent something that
nobody noted: it is sent again, under the same id.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby

import structlog

from api.platform import Platform
from api.webhook_addresses import allowed
from api.webhook_sending import NotDeliveredError, Sender
from policy import Outgoing, WebhookDesk

LOOK_SECONDS = 0.25
_SLOWEST = 6
_THREADS = 8
_HOLDER_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What came of one pass.

    Attributes:
        held: whether this process was the one to send.
        told: deliveries that were made out of what ended.
        received: how many services took.
        failed: how many attempts failed.
    """

    held: bool
    told: int
    received: int
    failed: int


class Deliverer:
    """Sends what is due, with a lease.

    Args:
        desk: of the webhooks.
        sender: makes one attempt.
        holder: names this process among those of the instance.
        finished: called on each thread that read the database.
    """

    def __init__(
        self,
        *,
        desk: WebhookDesk,
        sender: Sender,
        holder: str,
        finished: Callable[[], None],
    ) -> None:
        self._desk = desk
        self._sender = sender
        self._holder = holder
        self._finished = finished

    def run(self) -> Pass:
        """Do one pass; safe to call again, and in several processes."""
        try:
            told = self._desk.spread()
            if not self._desk.outgoing():
                return Pass(held=True, told=told, received=0, failed=0)
            if not self._desk.hold_lease(self._holder):
                return Pass(held=False, told=told, received=0, failed=0)
            try:
                results = self._send_all()
            finally:
                self._desk.hold_lease(self._holder, seconds=0)
        finally:
            self._finished()
        return Pass(
            held=True,
            told=told,
            received=results.count(True),
            failed=results.count(False),
        )

    def _send_all(self) -> list[bool]:
        # Again, under the lease: another process may just have sent them.
        due = self._desk.outgoing()
        queues = [
            list(queue)
            for _, queue in groupby(
                due, lambda one: (one.delivery.service, one.delivery.purpose)
            )
        ]
        with ThreadPoolExecutor(
            max_workers=_THREADS, thread_name_prefix="webhook"
        ) as threads:
            done = list(threads.map(self._send_queue, queues))
        return [each for queue in done for each in queue]

    def _send_queue(self, queue: list[Outgoing]) -> list[bool]:
        results: list[bool] = []
        try:
            for one in queue:
                if not self._desk.hold_lease(self._holder):
                    break  # somebody took over from a process that hung
                results.append(self._send(one))
                if not results[-1]:
                    break
        finally:
            self._finished()
        return results

    def _send(self, one: Outgoing) -> bool:
        try:
            self._sender.send(one)
        except NotDeliveredError as error:
            self._desk.failed(one, error.word, gone=error.gone)
            return False
        self._desk.received(one)
        return True


def deliverer(
    platform: Platform, *, sender: Sender | None = None
) -> Deliverer:
    """Make the deliverer of a platform, by its settings."""
    settings = platform.settings
    return Deliverer(
        desk=platform.webhooks,
        sender=sender
        or Sender(
            allowed=allowed(settings.webhook_hosts, settings.webhook_networks),
            clock=platform.clock,
        ),
        holder=platform.random(_HOLDER_BYTES).hex(),
        finished=platform.reader.release,
    )


@asynccontextmanager
async def telling(
    platform: Platform, *, seconds: float = LOOK_SECONDS
) -> AsyncIterator[None]:
    """Deliver while the block runs, if the settings name any host.

    Args:
        platform: whose services are told.
        seconds: between two looks.

    Yields:
        While the task runs.
    """
    if not platform.settings.webhook_hosts:
        yield
        return
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="webhooks")
    task = asyncio.create_task(
        _repeat(threads, deliverer(platform).run, seconds)
    )
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        # What is being sent is noted before the database closes.
        await asyncio.get_running_loop().run_in_executor(
            None, partial(threads.shutdown, wait=True, cancel_futures=True)
        )


async def _repeat(
    threads: ThreadPoolExecutor, work: Callable[[], Pass], seconds: float
) -> None:
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        try:
            done = await loop.run_in_executor(threads, work)
            failures = 0
            if done.failed:
                structlog.get_logger().warning(
                    "webhooks not delivered", attempts=done.failed
                )
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find it gone
            failures += 1
            structlog.get_logger().warning(
                "webhooks not looked after", error=type(error).__name__
            )
        await asyncio.sleep(seconds * 2 ** min(failures, _SLOWEST))
