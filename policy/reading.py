"""How the gate reads: inline where a read is a memory look-up, else aside.

A read of SQLite's page cache takes a few microseconds, so handing it to a
thread would cost more than the read. A read of PostgreSQL waits for a
network answer, so it must not hold the event loop.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection, Engine

T = TypeVar("T")


class Reader:
    """Runs read-only work on a database without blocking the event loop."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._inline = engine.dialect.name == "sqlite"

    async def __call__(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one read transaction and return its result."""
        if self._inline:
            return self.now(work)
        return await asyncio.to_thread(self.now, work)

    def now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in one read transaction on the calling thread."""
        with (
            self._engine.connect().execution_options(
                read_only=True
            ) as connection,
            connection.begin(),
        ):
            return work(connection)
