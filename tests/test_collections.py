"""A server looks for cycles rarely while it serves."""

import gc

import pytest
from starlette.types import Receive, Scope, Send

from api.cli.instance import run_server


def test_server_collects_rarely_and_leaves_it_as_it_was() -> None:
    """What was loaded before is not looked through while it runs."""
    seen: list[tuple[int, int]] = []

    async def looking(_scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        seen.append((gc.get_threshold()[0], gc.get_freeze_count()))
        # Then the server ends where it would have begun.
        await send({"type": "lifespan.startup.failed", "message": "seen"})

    before = gc.get_threshold()
    with pytest.raises(SystemExit):
        run_server(looking, host="127.0.0.1", port=0)
    ((threshold, frozen),) = seen
    assert threshold > before[0]
    assert frozen > 1_000
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() < frozen
