"""Prepared reads: one connection a thread, never a stale snapshot."""

import gc
import threading
import weakref
from pathlib import Path

from sqlalchemy import bindparam, select, text

from api.databases import open_database
from tests.test_vault import World, sqlite_world, world
from vault.reading import Reader
from vault.tables import KEK

__all__ = ["sqlite_world", "world"]


def test_arguments_go_where_the_names_say(world: World) -> None:
    """The order of arguments is the caller's, not the statement's."""
    reader = Reader(world.engine)
    query = reader.prepare(
        select(KEK.c.epoch).where(
            KEK.c.tenant == bindparam("tenant"),
            KEK.c.epoch == bindparam("epoch"),
        ),
        "epoch",
        "tenant",
    )

    assert [(1,)] == [tuple(row) for row in query(1, "town")]
    assert [] == query(2, "town")
    reader.close()


def test_each_thread_has_its_own_connection(world: World) -> None:
    """Threads do not share a cursor; their connections end with them."""
    reader = world.keys._reader
    held: list[object] = []

    def look() -> None:
        world.vault.decoy()
        world.vault.holding(world.vault.decoy())
        held.append(weakref.ref(reader._local.held))

    look()
    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    gc.collect()

    mine, theirs = held
    assert mine() is not None
    assert theirs() is None


def test_a_closed_reader_opens_again(world: World) -> None:
    """Closing is for quiet; the next read simply connects."""
    subject = world.person()
    world.vault.close()

    assert "Ada" == world.read(subject)["user.name.given"]


def test_readers_take_no_connection_from_the_pool(world: World) -> None:
    """The pool is left for writers."""
    world.vault.holding(world.vault.decoy())

    assert 0 == world.data.pool.checkedout()


def test_a_connection_that_the_server_closed_is_replaced(
    world: World,
) -> None:
    """A restart of the server costs one reconnect and no error."""
    subject = world.person()
    assert world.read(subject)
    if world.data.dialect.name == "postgresql":
        for reader in (world.vault._rows.reader, world.keys._reader):
            pid = reader._local.held._driver.info.backend_pid
            with world.data.connect() as conn:
                conn.execute(
                    text("SELECT pg_terminate_backend(:pid, 5000)"),
                    {"pid": pid},
                )
    else:
        world.vault.close()

    assert "Ada" == world.read(subject)["user.name.given"]


def test_a_database_in_memory_keeps_its_one_connection(
    tmp_path: Path, sqlite_world: World
) -> None:
    """The connection that knows the tables is not taken out of its pool."""
    engine = open_database("sqlite://")
    with engine.begin() as conn:
        KEK.create(conn)
    reader = Reader(engine)

    assert [] == reader.prepare(select(KEK.c.epoch))()
    reader.close()
    engine.dispose()
