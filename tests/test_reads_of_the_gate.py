"""The gate's reader: one connection a thread, and nothing held on a server."""

import gc
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, text

from policy.reading import Reader
from tests.databases import Kind
from tests.ledgers import open_empty


@pytest.fixture
def engine(tmp_path: Path, database: Kind) -> Iterator[Engine]:
    """An empty database of each kind."""
    made = open_empty(database.value, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def reader(engine: Engine) -> Iterator[Reader]:
    """A reader of it."""
    made = Reader(engine)
    yield made
    made.close()


def driver_of(conn: Connection) -> Any:  # noqa: ANN401 - the driver's own type
    """The driver's connection."""
    return conn.connection.driver_connection


def count(conn: Connection) -> int:
    """How many ledgers there are."""
    return int(
        conn.execute(text("SELECT count(*) FROM ledger_head")).scalar_one()
    )


def add(engine: Engine) -> None:
    """Commit one more."""
    with engine.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO ledger_head (ledger, origin, size, nodes, latest)"
                " SELECT count(*), 'o', 0, :nothing, 0 FROM ledger_head"
            ),
            {"nothing": b""},
        )


def test_each_read_sees_what_is_committed(
    engine: Engine, reader: Reader
) -> None:
    """The kept connection holds no old state between two reads."""
    before = reader.now(count)
    add(engine)

    assert before + 1 == reader.now(count)


def test_a_file_is_read_in_one_state(tmp_path: Path) -> None:
    """All of one read, whichever way it asks; it ends with the work."""
    made = open_empty(Kind.SQLITE.value, tmp_path)
    reader = Reader(made)
    kept = driver_of(reader.now(lambda conn: conn))

    def by_driver(conn: Connection) -> int:
        asked = driver_of(conn).execute("SELECT count(*) FROM ledger_head")
        return int(asked.fetchone()[0])

    def looks(conn: Connection) -> tuple[int, ...]:
        before = by_driver(conn)
        add(made)
        return before, by_driver(conn), count(conn)

    def fails(conn: Connection) -> None:
        looks(conn)
        msg = "half-way"
        raise LookupError(msg)

    assert (0, 0, 0) == reader.now(looks)
    assert not kept.in_transaction
    with pytest.raises(LookupError):
        reader.now(fails)
    assert not kept.in_transaction
    assert (2, 2) == (reader.now(count), reader.now(by_driver))
    assert not kept.in_transaction
    reader.close()
    made.dispose()


def test_a_file_whose_connection_was_closed_is_opened_again(
    tmp_path: Path,
) -> None:
    """Once; what is wrong with the work itself is still said."""
    made = open_empty(Kind.SQLITE.value, tmp_path)
    reader = Reader(made)
    reader.now(driver_of).close()
    assert 0 == reader.now(count)

    def misbinds(conn: Connection) -> None:
        driver_of(conn).execute("SELECT ?", ())

    with pytest.raises(sqlite3.ProgrammingError):
        reader.now(misbinds)
    assert 0 == reader.now(count)
    reader.close()
    made.dispose()


def test_a_thread_keeps_one_connection(engine: Engine, reader: Reader) -> None:
    """Two reads of a thread use the same; another thread has its own."""
    seen: list[object] = [reader.now(driver_of), reader.now(driver_of)]
    thread = threading.Thread(
        target=lambda: seen.append(reader.now(driver_of))
    )
    thread.start()
    thread.join()

    assert seen[0] is seen[1]
    assert seen[0] is not seen[2]


def test_a_server_is_read_without_a_transaction(
    engine: Engine, reader: Reader
) -> None:
    """No snapshot and no lock is held while a read is under way."""
    if engine.dialect.name == "sqlite":
        assert reader.now(lambda conn: driver_of(conn).in_transaction)
        return

    def state(conn: Connection) -> tuple[int, str]:
        count(conn)
        return int(driver_of(conn).info.transaction_status), str(
            driver_of(conn).autocommit
        )

    assert (0, "True") == reader.now(state)


def count_by_driver(conn: Connection) -> int:
    """As `count`, past everything that notices a connection that is lost."""
    cursor = driver_of(conn).cursor()
    cursor.execute("SELECT count(*) FROM ledger_head")
    return int(cursor.fetchone()[0])


@pytest.mark.parametrize("look", [count, count_by_driver])
def test_a_server_that_went_away_is_asked_once_more(
    postgresql_url: str, tmp_path: Path, look: Callable[[Connection], int]
) -> None:
    """A restart between two reads is no error; one that lasts is."""
    engine = open_empty("postgresql", tmp_path)
    reader = Reader(engine)
    pids: list[int] = []

    def broken(conn: Connection) -> int:
        pids.append(driver_of(conn).info.backend_pid)
        end(engine, pids[-1])
        return look(conn)

    end(engine, reader.now(lambda conn: driver_of(conn).info.backend_pid))
    assert 0 == reader.now(look)
    with pytest.raises(Exception, match="connection"):
        reader.now(broken)
    assert 2 == len(set(pids))
    assert 0 == reader.now(look)
    reader.close()
    engine.dispose()


def end(engine: Engine, pid: int) -> None:
    """End a connection from the server's side, and wait for that."""
    with engine.connect() as conn:
        conn.execute(
            text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid}
        )


def test_a_thread_that_ends_gives_its_connection_back(
    engine: Engine, reader: Reader
) -> None:
    """However many threads come and go, the pool is not emptied."""
    thread = threading.Thread(target=reader.now, args=(count,))
    thread.start()
    thread.join()
    gc.collect()

    assert 0 == _checked_out(engine)


def test_what_is_released_is_one_thread_s(
    engine: Engine, reader: Reader
) -> None:
    """The calling thread's connection goes back, and no other."""
    with _thread_that_has_read(reader):
        reader.now(count)
        before = _checked_out(engine)
        reader.release()

        assert (2, 1) == (before, _checked_out(engine))
        assert 0 == reader.now(count)


@contextmanager
def _thread_that_has_read(reader: Reader) -> Iterator[None]:
    """While the block runs, a thread lives that keeps a connection."""
    with ThreadPoolExecutor(1) as aside:
        assert 0 == aside.submit(reader.now, count).result()
        yield


def test_closing_leaves_no_connection_out(
    engine: Engine, reader: Reader
) -> None:
    """The connections of all threads go back, also of those that live."""
    with _thread_that_has_read(reader):
        reader.now(count)
        assert 2 == _checked_out(engine)
        reader.close()

        assert 0 == _checked_out(engine)


def _checked_out(engine: Engine) -> int:
    pool: Any = engine.pool
    return int(pool.checkedout())
