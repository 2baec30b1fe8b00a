"""Sending the processing log to a collector, over OTLP/HTTP.

Outside any sampler: spans are made of ledger entries one by one, and the
place in the ledger moves on only when the collector has confirmed a page.
What was sent and not confirmed is sent again under the same ids. One process
sends at a time, whoever holds the lock beside the place.

The exporter is OpenTelemetry's own and is imported when used (extra
``tracing``). It talks to the address in the settings and to nothing else: the
environment's proxies and its OTEL variables are left alone.
"""

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import structlog

from api.platform import Platform
from api.processing_log import Activity, ProcessingRow, rows

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

PLACE = "spans.position"
SECONDS = 2.0
_SLOWEST = 6
_TIMEOUT = 10.0


class SpansNotConfirmedError(Exception):
    """The collector did not confirm a page; it is sent again."""


class TracingMissingError(Exception):
    """The extra ``tracing`` is not installed."""


class Collector(Protocol):
    """Takes rows, and returns when they are kept."""

    def take(self, page: Sequence[ProcessingRow]) -> None:
        """Keep a page.

        Raises:
            SpansNotConfirmedError: it may or may not be kept.

        """
        ...


class OtlpCollector:
    """A collector behind OTLP/HTTP.

    Args:
        url: address of its traces, such as ``.../v1/traces``.
        version: of this software, for the resource.

    Raises:
        TracingMissingError: the extra is not installed.

    """

    def __init__(self, url: str, *, version: str) -> None:
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - an extra, imported when used
                OTLPSpanExporter,
            )
            from opentelemetry.sdk.resources import (  # noqa: PLC0415 - as above
                Resource,
            )
        except ImportError:
            msg = "spans need the extra 'tracing' of this package"
            raise TracingMissingError(msg) from None
        import requests  # noqa: PLC0415 - comes with the exporter

        session = requests.Session()
        session.trust_env = False
        self._exporter = OTLPSpanExporter(
            endpoint=url, headers={}, timeout=_TIMEOUT, session=session
        )
        self._resource = Resource(
            {"service.name": "curtilage", "service.version": version}
        )

    def take(self, page: Sequence[ProcessingRow]) -> None:
        """Export a page as spans."""
        from opentelemetry.sdk.trace.export import (  # noqa: PLC0415 - as above
            SpanExportResult,
        )

        result = self._exporter.export([self._span(one) for one in page])
        if result is not SpanExportResult.SUCCESS:
            msg = f"{len(page)} rows"
            raise SpansNotConfirmedError(msg)

    def _span(self, row: ProcessingRow) -> "ReadableSpan":
        from opentelemetry.sdk.trace import (  # noqa: PLC0415 - as above
            ReadableSpan,
        )
        from opentelemetry.trace import (  # noqa: PLC0415 - as above
            SpanContext,
            SpanKind,
            TraceFlags,
        )

        return ReadableSpan(
            name=row.name,
            context=SpanContext(
                trace_id=int(row.trace_id, 16),
                span_id=int(row.span_id, 16),
                is_remote=False,
                trace_flags=TraceFlags(TraceFlags.SAMPLED),
            ),
            parent=(
                SpanContext(
                    trace_id=int(row.trace_id, 16),
                    span_id=int(row.foreign.span_id, 16),
                    is_remote=True,
                )
                if row.foreign
                else None
            ),
            resource=self._resource,
            attributes=row.attributes(),
            kind=SpanKind.SERVER,
            start_time=row.start_time * 1_000_000,
            end_time=row.end_time * 1_000_000,
        )


def send(platform: Platform, collector: Collector) -> int:
    """Send what the collector has not confirmed yet.

    Returns:
        How many rows; 0 also where another process is sending.

    Raises:
        SpansNotConfirmedError: a page was not confirmed; those before it
            were, and are not sent again.

    """
    count = 0
    with _place(platform.settings.home / PLACE) as place:
        if place is None:
            return 0
        for last, page in rows(
            platform.ledger,
            activity=activities(platform),
            after=place.index(),
        ):
            if page:
                collector.take(page)
            place.move(last)
            count += len(page)
    return count


def activities(platform: Platform) -> Activity:
    """URIs of processing activities: one version of one declaration.

    What no declaration tells of (a person's own look, an import) is an
    activity of the platform's own.
    """
    tenant = platform.settings.tenant

    def named(service: str, purpose: str, at: int) -> str:
        base = f"urn:curtilage:{tenant}:{service}"
        if not purpose:
            return base
        versions = [
            one.version
            for one in platform.consents.declarations()
            if (one.service, one.purpose) == (service, purpose)
            and one.valid_from <= at
        ]
        version = f":{max(versions)}" if versions else ""
        return f"{base}:{purpose}{version}"

    return named


@asynccontextmanager
async def echoing(
    platform: Platform,
    *,
    collector: Collector | None = None,
    seconds: float = SECONDS,
) -> AsyncIterator[None]:
    """Send while the block runs, where the settings name a collector.

    Args:
        platform: whose ledger.
        collector: instead of the settings'.
        seconds: between two looks.

    """
    url = platform.settings.spans_url
    if collector is None and url:
        collector = OtlpCollector(url, version=platform.version)
    if collector is None:
        yield
        return
    # Of its own: a collector that hangs takes no thread others wait for.
    threads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spans")
    task = asyncio.create_task(_repeat(platform, collector, threads, seconds))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        threads.shutdown(wait=False, cancel_futures=True)


async def _repeat(
    platform: Platform,
    collector: Collector,
    threads: ThreadPoolExecutor,
    seconds: float,
) -> None:
    loop = asyncio.get_running_loop()
    failures = 0
    while True:
        try:
            await loop.run_in_executor(threads, send, platform, collector)
            failures = 0
        except Exception as error:  # noqa: BLE001 - whatever it is, the next look may find it gone
            failures += 1
            structlog.get_logger().warning(
                "spans not sent", error=type(error).__name__
            )
        await asyncio.sleep(seconds * 2 ** min(failures, _SLOWEST))


class _Place:
    """Index of the last entry whose row was confirmed."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def index(self) -> int:
        try:
            return int(self._path.read_text("ascii"))
        except FileNotFoundError:
            return -1

    def move(self, index: int) -> None:
        part = self._path.with_suffix(".part")
        part.write_text(str(index), "ascii")
        part.replace(self._path)


@contextmanager
def _place(path: Path) -> Iterator[_Place | None]:
    """The place, for one process at a time; None for all others."""
    handle = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield None
            return
        yield _Place(path)
    finally:
        os.close(handle)
