"""A small HTTP load generator: keep-alive connections, one process.

It speaks just enough HTTP/1.1 to send prepared requests and read answers by
Content-Length, on bare protocols and the fast loop, so that it takes little of
the two cores that it shares with the server. Traffic goes to loopback only.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import cast

import uvloop

_END = b"\r\n\r\n"
_LENGTH = b"content-length:"
_GOOD = b"HTTP/1.1 200"


class AnswerError(Exception):
    """The server answered something else than 200, or went away."""


class _Connection(asyncio.Protocol):
    """Sends a request, waits for its answer, sends the next."""

    def __init__(self, requests: Iterator[bytes], times: list[float]) -> None:
        self._requests = requests
        self._times = times
        self._transport: asyncio.WriteTransport | None = None
        self._head = b""
        self._left = 0
        self._start = 0.0
        self.size = 0
        self.ended: asyncio.Future[None] = (
            asyncio.get_running_loop().create_future()
        )

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first request."""
        # The fast loop's own transport is not registered as one.
        self._transport = cast("asyncio.WriteTransport", transport)
        self._next()

    def data_received(self, data: bytes) -> None:
        """Take in a piece of an answer."""
        if self._left:
            self._left -= len(data)
        else:
            self._head += data
            head, end, body = self._head.partition(_END)
            if not end:
                return
            if not head.startswith(_GOOD):
                self._end(AnswerError(head.split(b"\r\n")[0].decode()))
                return
            self.size = _length(head)
            self._left = self.size - len(body)
            self._head = b""
        if not self._left:
            self._times.append(time.perf_counter() - self._start)
            self._next()

    def connection_lost(self, error: Exception | None) -> None:
        """Note a server that hung up."""
        self._end(error or AnswerError("the server hung up"))

    def _next(self) -> None:
        assert self._transport is not None
        request = next(self._requests, None)
        if request is None:
            self._end(None)
            self._transport.close()
            return
        self._start = time.perf_counter()
        self._transport.write(request)

    def _end(self, error: Exception | None) -> None:
        if self.ended.done():
            return
        if error is None:
            self.ended.set_result(None)
        else:
            self.ended.set_exception(error)


def _length(head: bytes) -> int:
    for line in head.split(b"\r\n"):
        if line.lower().startswith(_LENGTH):
            return int(line[len(_LENGTH) :])
    return 0


async def drive(
    port: int, requests: Sequence[bytes], concurrency: int
) -> dict[str, float]:
    """Send every request once, over `concurrency` connections.

    Returns:
        Requests a second; median and 99th percentile in milliseconds.

    """
    loop = asyncio.get_running_loop()
    times: list[float] = []
    rest = iter(requests)
    start = time.perf_counter()
    made = [
        (
            await loop.create_connection(
                lambda: _Connection(rest, times), "127.0.0.1", port
            )
        )[1]
        for _ in range(concurrency)
    ]
    await asyncio.gather(*(one.ended for one in made))
    seconds = time.perf_counter() - start
    times.sort()
    return {
        "requests": len(times),
        "requests_per_s": round(len(times) / seconds, 1),
        "p50_ms": round(statistics.median(times) * 1000, 3),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 3),
        "body_bytes": made[0].size,
    }


def main() -> int:
    """Read requests from a file and print the figures as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("file", type=Path)
    parser.add_argument("concurrency", type=int)
    asked = parser.parse_args()
    requests = [
        line.encode("latin-1")
        for line in json.loads(asked.file.read_text("utf-8"))
    ]
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        found = runner.run(drive(asked.port, requests, asked.concurrency))
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
