"""A small HTTP load generator: keep-alive connections, one process.

It speaks just enough HTTP/1.1 to send prepared requests and read answers by
Content-Length, so that it takes little of the two cores that it shares with
the server. Traffic goes to loopback only.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

_LENGTH = b"content-length:"


class AnswerError(Exception):
    """The server answered something else than 200."""


async def _one(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(_LENGTH):
            length = int(line[len(_LENGTH) :])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 200"):
        raise AnswerError(head.split(b"\r\n")[0].decode())
    return body


async def _connection(
    port: int, requests: Sequence[bytes], times: list[float]
) -> int:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    size = 0
    for request in requests:
        start = time.perf_counter()
        body = await _one(reader, writer, request)
        times.append(time.perf_counter() - start)
        size = len(body)
    writer.close()
    return size


async def drive(
    port: int, requests: Sequence[bytes], concurrency: int
) -> dict[str, float]:
    """Send every request once, over `concurrency` connections.

    Returns:
        Requests a second; median and 99th percentile in milliseconds.

    """
    times: list[float] = []
    start = time.perf_counter()
    sizes = await asyncio.gather(
        *(
            _connection(port, requests[n::concurrency], times)
            for n in range(concurrency)
        )
    )
    seconds = time.perf_counter() - start
    times.sort()
    return {
        "requests": len(times),
        "requests_per_s": round(len(times) / seconds, 1),
        "p50_ms": round(statistics.median(times) * 1000, 3),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 3),
        "body_bytes": sizes[0],
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
    found = asyncio.run(drive(asked.port, requests, asked.concurrency))
    sys.stdout.write(json.dumps(found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
