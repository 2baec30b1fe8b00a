"""Turns: who waits to write is let in before who wrote last."""

import fcntl
import os
import threading
from pathlib import Path

import pytest

from api.databases import open_database
from api.turns import turn
from tests.serving import until
from tests.worlds import build_world

PATIENCE = 240


def is_taken(folder: Path) -> bool:
    """Whether somebody has the turn."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def test_who_waits_comes_before_who_wrote_last(tmp_path: Path) -> None:
    """A job that takes the lock page after page passes nobody."""
    url = f"sqlite:///{tmp_path}/a.db"
    job, desk = (open_database(url, turns=True) for _ in range(2))
    order: list[str] = []

    def write_once() -> None:
        with desk.begin():
            order.append("desk")

    for _ in range(5):
        waiting = threading.Thread(target=write_once)
        with job.begin():
            waiting.start()
            until(lambda: is_taken(tmp_path), "the desk waits")
        with job.begin():
            order.append("job")
        waiting.join(PATIENCE)
    assert ["desk", "job"] * 5 == order
    job.dispose()
    desk.dispose()


def test_a_turn_ends_with_the_lock_or_without_it(tmp_path: Path) -> None:
    """Nobody waits for who gave up, or for a whole transaction."""
    with pytest.raises(ZeroDivisionError), turn(tmp_path):
        raise ZeroDivisionError
    assert not is_taken(tmp_path)
    engine = open_database(f"sqlite:///{tmp_path}/a.db", turns=True)
    with engine.begin():
        assert not is_taken(tmp_path)
    reading = engine.connect().execution_options(read_only=True)
    with turn(tmp_path), reading as conn:
        assert 1 == conn.exec_driver_sql("SELECT 1").scalar_one()
    engine.dispose()


def test_an_instance_takes_turns_at_its_keys_alone(tmp_path: Path) -> None:
    """The ledger's writer stands on the event loop, and may not be held."""
    with build_world(tmp_path / "home") as world:
        with turn(world.home / "data"), world.platform.data.begin():
            pass
        began = threading.Event()

        def write_once() -> None:
            world.platform.vault.enrol()
            began.set()

        waiting = threading.Thread(target=write_once)
        with turn(world.home / "keys"):
            waiting.start()
            assert not began.wait(0.2)
        waiting.join(PATIENCE)
        assert began.is_set()
