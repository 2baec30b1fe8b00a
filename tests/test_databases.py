"""How databases are opened: durable, or not at all."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg
import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from api.bootstrap import bootstrap
from api.databases import (
    Pool,
    UnsafeDatabaseError,
    count_rows,
    open_database,
)
from api.instances import create_instance
from api.platform import Platform
from consent import EventType, load_yaml, render_notice
from policy import (
    AccessRequest,
    Answer,
    ByIdentifier,
    Caller,
    CallerKind,
    CredentialRefused,
    Disclosure,
)
from tests.databases import Kind, counted, fresh, with_options
from tests.worlds import (
    ADDRESS,
    CHEAP,
    DECLARATION,
    NUMBER,
    PURPOSE,
    SERVICE,
    Clock,
    build_world,
    person_values,
)


def pragma(engine: Engine, name: str) -> object:
    """The value of a pragma on a fresh connection."""
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("journal_mode", "wal"),
        ("synchronous", 2),
        ("secure_delete", 1),
        ("foreign_keys", 1),
        ("busy_timeout", 10_000),
    ],
)
def test_sqlite_is_opened_for_durable_writes(
    tmp_path: Path, name: str, value: object
) -> None:
    """Write-ahead log, full syncs, deleted bytes overwritten."""
    engine = open_database(f"sqlite:///{tmp_path}/a.db")

    assert value == pragma(engine, name)
    engine.dispose()


def test_a_writer_locks_when_it_begins(tmp_path: Path) -> None:
    """A transaction is a writer from its first moment; a reader never is."""
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (x)"))
    reading = engine.execution_options(read_only=True)
    with engine.begin(), reading.begin() as reader:
        assert 0 == reader.execute(text("SELECT count(*) FROM t")).scalar()
        with engine.connect() as second:
            second.connection.driver_connection.execute(
                "PRAGMA busy_timeout=1"
            )
            with pytest.raises(OperationalError, match="locked"):
                second.begin()
    engine.dispose()


def test_an_error_does_not_show_what_was_bound(tmp_path: Path) -> None:
    """The text of a database error has the statement and no parameter."""
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    with engine.connect() as conn, pytest.raises(DBAPIError) as caught:
        conn.execute(
            text("INSERT INTO absent VALUES (:x)"), {"x": "0 Canary Street"}
        )

    assert "Canary" not in str(caught.value)
    engine.dispose()


def test_deleted_bytes_are_gone(tmp_path: Path) -> None:
    """What was deleted is not on the free list of the file."""
    path = tmp_path / "a.db"
    engine = open_database(f"sqlite:///{path}")
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE t (x)"))
        conn.execute(text("INSERT INTO t VALUES ('0 Canary Street')"))
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM t"))
    with engine.connect() as conn:
        conn.rollback()
        driver = conn.connection.driver_connection
        driver.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()

    assert b"Canary" not in path.read_bytes()


@pytest.mark.postgresql
@pytest.mark.parametrize("value", ["on", "local", "remote_write"])
def test_a_postgresql_that_syncs_is_opened(
    postgresql_url: str, value: str
) -> None:
    """Any setting under which a local commit is on the disk is fine."""
    engine = open_database(
        with_options(postgresql_url, f"synchronous_commit={value}")
    )
    with engine.connect() as conn:
        assert 1 == conn.execute(text("SELECT 1")).scalar_one()
    engine.dispose()


@pytest.mark.postgresql
def test_a_postgresql_that_may_lose_commits_is_refused(
    postgresql_url: str,
) -> None:
    """synchronous_commit=off is refused with the setting's name."""
    with pytest.raises(UnsafeDatabaseError, match="synchronous_commit=off"):
        open_database(with_options(postgresql_url, "synchronous_commit=off"))


@pytest.mark.postgresql
def test_a_postgresql_without_fsync_is_refused(
    postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server alone sets fsync, so its answer is changed on the way."""
    real = Connection.exec_driver_sql

    def answering(self: Connection, statement: str) -> object:
        if statement == "SHOW fsync":
            return real(self, "SELECT 'off'")
        return real(self, statement)

    monkeypatch.setattr(Connection, "exec_driver_sql", answering)
    with pytest.raises(UnsafeDatabaseError, match="fsync=off"):
        open_database(postgresql_url)


@dataclass(frozen=True, slots=True, kw_only=True)
class Town:
    """An instance on PostgreSQL with one person."""

    platform: Platform
    subject: UUID

    async def ask(self) -> Disclosure:
        """Ask for the address as the moving-house service."""
        return await self.platform.gate.disclose(
            AccessRequest(
                tenant="test",
                service=SERVICE,
                purpose=PURPOSE,
                attributes=ADDRESS,
                person=ByIdentifier(
                    attribute=NUMBER, value=person_values(3)[NUMBER]
                ),
                understands=frozenset({"delete_by"}),
                assurance=2,
            )
        )

    async def answer(self, kind: EventType) -> None:
        """Give or withdraw, as the person."""
        declared = self.platform.consents.declaration(SERVICE, PURPOSE)
        assert declared is not None
        caller = Caller(kind=CallerKind.PERSON, id=str(self.subject))
        served = await self.platform.consent_desk.serve(
            caller, self.subject, SERVICE, PURPOSE, "address", "en"
        )
        await self.platform.person.answer(
            caller,
            self.subject,
            Answer(
                service=SERVICE,
                purpose=PURPOSE,
                statement="address",
                type=kind,
                attributes=ADDRESS,
                declaration=declared.digest,
                notice=render_notice(declared, "en").digest,
                language="en",
                channel="portal",
                served=served.digest,
            ),
        )


@pytest.mark.postgresql
def test_the_gate_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    """Both databases in two schemas: refuse, disclose, withdraw, verify."""
    server = open_database(postgresql_url)
    for schema in ("gate_data", "gate_keys"):
        with server.begin() as conn:
            conn.execute(text(f"DROP SCHEMA IF EXISTS {schema} CASCADE"))
            conn.execute(text(f"CREATE SCHEMA {schema}"))
    server.dispose()
    clock = Clock()
    settings = create_instance(
        tmp_path / "home",
        tenant="test",
        origin="localhost/test/access-log",
        passphrase_file=tmp_path / "opens",
        costs=CHEAP,
        data_url=with_options(postgresql_url, "search_path=gate_data"),
        keys_url=with_options(postgresql_url, "search_path=gate_keys"),
    )
    platform = bootstrap(settings, clock=clock, costs=CHEAP)
    with platform.data.begin() as conn:
        platform.consents.register(
            conn, load_yaml(DECLARATION.encode(), where="test")
        )
    admitted = platform.registrar.admit_now(
        [person_values(3)], source="register"
    )
    town = Town(platform=platform, subject=admitted.subjects[0])
    street = person_values(3)[ADDRESS[0]]

    async def story() -> list[str | None]:
        told = []
        async with platform.running():
            for kind in (None, EventType.GIVEN, EventType.WITHDRAWN):
                if kind is not None:
                    await town.answer(kind)
                clock.now += 1
                told.append((await town.ask()).attributes[0].value)
        return told

    assert [None, street, None] == asyncio.run(story())
    assert 6 == platform.ledger.verify(lambda _done, _total: None).size
    assert [] == list(platform.vault.verify())
    with platform.data.begin() as conn:
        client_id, secret = platform.registry.issue(
            conn, service="s" * 64, purpose=PURPOSE
        )
    assert (
        client_id
        == platform.registry.authenticate(client_id, secret).client_id
    )
    for nobody in ("\x00", "é", "x" * 1_000):
        with pytest.raises(CredentialRefused):
            platform.registry.authenticate(nobody, secret)
    platform.close()
    again = bootstrap(settings, clock=clock, costs=CHEAP)
    assert 6 == again.ledger.size()
    again.close()


def shown(conn: Connection, *names: str) -> list[object]:
    """Settings of a connection."""
    return [conn.exec_driver_sql(f"SHOW {one}").scalar() for one in names]


@pytest.mark.postgresql
def test_look_ups_plan_once_and_the_pool_takes_it_back(
    postgresql_url: str,
) -> None:
    """The option is its connection's, and not that of whoever is next."""
    engine = open_database(postgresql_url, pool=Pool(size=1, overflow=0))
    names = ("plan_cache_mode", "enable_seqscan", "enable_hashjoin")
    with engine.connect() as conn:
        before = shown(conn, *names)
    with engine.connect().execution_options(look_ups=True) as conn:
        during = shown(conn, *names)
        conn.rollback()
        again = shown(conn, *names)
        of_option = conn.get_execution_options()["look_ups"]
    with engine.connect() as conn:
        after = shown(conn, *names)
    engine.dispose()

    assert ["auto", "on", "on"] == before == after
    assert ["force_generic_plan", "off", "off"] == during == again
    assert of_option is True


@pytest.mark.postgresql
def test_whoever_answers_reads_and_writes_by_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every connection of a disclosure, that of its entry too, looks up."""
    seen: dict[int, psycopg.Connection[object]] = {}
    real = psycopg.Cursor.execute

    def noting(*given: Any, **more: Any) -> object:  # noqa: ANN401 - the driver's own
        connection = given[0].connection
        seen[id(connection)] = connection
        return real(*given, **more)

    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        request = world.request("consenting", *ADDRESS)

        async def asking() -> set[object]:
            await world.platform.gate.disclose(request)
            monkeypatch.setattr(psycopg.Cursor, "execute", noting)
            await world.platform.gate.disclose(request)
            monkeypatch.undo()
            return {
                one.execute("SHOW plan_cache_mode").fetchone()
                for one in seen.values()
            }

        modes = world.run(asking())

    # Keys, the vault's rows, facts, and the entry.
    assert 4 <= len(seen)
    assert {("force_generic_plan",)} == modes


@pytest.mark.postgresql
def test_a_look_up_of_keys_is_by_the_person_also_where_nothing_is_counted(
    tmp_path: Path,
) -> None:
    """No other index looks as good to a server that knows of no rows."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        engine = world.platform.keys
        with engine.connect().execution_options(look_ups=True) as conn:
            conn.exec_driver_sql(
                "PREPARE asked (text, uuid) AS SELECT blob FROM vault_dek"
                " WHERE tenant = $1 AND subject = $2"
            )
            plan = "\n".join(
                conn.exec_driver_sql(
                    "EXPLAIN EXECUTE asked ('t', gen_random_uuid())"
                ).scalars()
            )

    assert "vault_dek_pkey" in plan


@pytest.mark.postgresql
def test_the_server_counts_what_was_put_in() -> None:
    """All tables of the engine's schema, and no others."""
    with fresh(Kind.POSTGRESQL) as urls:
        data, keys = map(open_database, urls.values())
        try:
            with data.begin() as conn:
                conn.execute(text('CREATE TABLE "Odd name" (x int)'))
            before = counted(data) | counted(keys)
            count_rows(data)
            after, beside = counted(data), counted(keys)
        finally:
            data.dispose()
            keys.dispose()

    assert not {"Odd name", "vault_value", "vault_dek"} & before
    assert {"Odd name", "vault_value", "consent_event"} <= after
    assert "vault_dek" not in beside


def test_nothing_is_counted_on_sqlite(tmp_path: Path) -> None:
    """SQLite looks up by the order of the indexes, and is left alone."""
    engine = open_database(f"sqlite:///{tmp_path / 'a.db'}")
    count_rows(engine)
    with engine.connect() as conn:
        tables = conn.execute(text("SELECT name FROM sqlite_master")).all()
    engine.dispose()

    assert [] == tables
