"""Kill the server again and again, and count what it had answered.

Each round serves one instance under load from four clients, kills the whole
process group with -9 at a random moment, opens the instance again and
demands: the ledger verifies, no index was given twice, and every answer
that arrived has its entry.
"""

import os
import random
import signal
import threading
import time
import urllib.error
from collections.abc import Mapping
from pathlib import Path

from tests.bench.room import Needs
from tests.serving import Served, serving
from tests.worlds import NUMBER, World, build_world, reopen

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=200_000_000, seconds=600),
    True: Needs(bytes=2_000_000_000, seconds=6000),
}
ROUNDS = {False: 50, True: 500}
CLIENTS = 4


class LostError(Exception):
    """An answer that arrived has no entry, or an index stands twice."""


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Kill as often as asked; a loss ends it with an error."""
    draw = random.Random(5)  # noqa: S311 - moments, not keys
    answered = 0
    with build_world(folder / "home") as world:
        number = world.values["consenting"][NUMBER]
        for _ in range(ROUNDS[full]):
            with serving(world) as server:
                got = _load_until_killed(server, number, draw.random() * 2)
            _demand(world, got)
            answered += len(got)
    return {"kills": ROUNDS[full], "answers": answered, "lost": 0}


def _load_until_killed(
    server: Served, number: str, seconds: float
) -> list[int]:
    got: list[int] = []

    def ask_on() -> None:
        try:
            while True:
                got.append(server.ask(number)["ledger_index"])
        except (urllib.error.URLError, OSError, ValueError):
            return

    clients = [threading.Thread(target=ask_on) for _ in range(CLIENTS)]
    for one in clients:
        one.start()
    time.sleep(seconds)
    os.killpg(server.process.pid, signal.SIGKILL)
    for one in clients:
        one.join()
    return got


def _demand(world: World, got: list[int]) -> None:
    platform = reopen(world)
    try:
        size = platform.ledger.verify().size
    finally:
        platform.close()
    if len(set(got)) != len(got) or any(index >= size for index in got):
        msg = f"{len(got)} answers, {size} entries: one of them is lost"
        raise LostError(msg)
