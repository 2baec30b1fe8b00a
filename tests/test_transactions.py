"""Transactions that met badly are run again, and no others."""

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, OperationalError

from api.databases import open_database
from consent import EventType
from policy import Form
from tests.databases import Kind, connect, fresh
from tests.worlds import World, build_world, person_values
from vault import Transactions

STRICT = ("repeatable read", "serializable")


def at_level(engine: Engine, level: str) -> Engine:
    """The same database, with its transactions at a level."""
    return engine.execution_options(isolation_level=level.upper())


@pytest.fixture(params=STRICT)
def strict(
    request: pytest.FixtureRequest, postgresql_url: str
) -> Iterator[Engine]:
    """A database where two writers of one row cannot both go on."""
    with fresh(Kind.POSTGRESQL) as addresses:
        engine = at_level(open_database(addresses["data_url"]), request.param)
        with engine.begin() as conn:
            conn.execute(text("CREATE TABLE tally (id INT, n INT)"))
            conn.execute(text("INSERT INTO tally VALUES (1, 0), (2, 0)"))
        yield engine
        engine.dispose()


def count(conn: Connection, row: int) -> None:
    """Read a number, and write the next one."""
    found = conn.execute(
        text("SELECT n FROM tally WHERE id = :row"), {"row": row}
    ).scalar_one()
    conn.execute(
        text("UPDATE tally SET n = :n WHERE id = :row"),
        {"row": row, "n": found + 1},
    )


def tally(engine: Engine) -> list[int]:
    """The numbers, by row."""
    with engine.connect() as conn:
        found = conn.execute(text("SELECT n FROM tally ORDER BY id"))
        return list(found.scalars())


@pytest.mark.postgresql
def test_no_count_is_lost_between_two_writers(strict: Engine) -> None:
    """The second of two that read the same number reads it again."""
    runs = Transactions(strict, random=os.urandom)
    both_have_read = threading.Barrier(2)
    attempts: list[int] = []

    def work(conn: Connection) -> None:
        attempts.append(1)
        conn.execute(text("SELECT n FROM tally")).all()
        if len(attempts) <= 2:
            both_have_read.wait(timeout=240)
        count(conn, 1)

    with ThreadPoolExecutor(2) as threads:
        for done in [threads.submit(runs.run, work) for _ in range(2)]:
            done.result()

    assert [2, 0] == tally(strict)
    assert 3 == len(attempts)


@pytest.mark.postgresql
def test_without_a_second_run_the_second_writer_fails(strict: Engine) -> None:
    """The conflict is real: a plain transaction ends with 40001."""
    with strict.connect() as slow, slow.begin():
        slow.execute(text("SELECT n FROM tally")).all()
        with strict.begin() as quick:
            count(quick, 1)
        with pytest.raises(OperationalError) as caught:
            count(slow, 1)

    assert "40001" == caught.value.orig.sqlstate


@pytest.mark.postgresql
def test_a_serialization_failure_at_the_commit_is_run_again(
    postgresql_url: str,
) -> None:
    """Each reads what the other writes: one of the two commits fails."""
    with fresh(Kind.POSTGRESQL) as addresses:
        engine = at_level(open_database(addresses["data_url"]), STRICT[1])
        with engine.begin() as conn:
            conn.execute(text("CREATE TABLE tally (id INT, n INT)"))
            conn.execute(text("INSERT INTO tally VALUES (1, 0), (2, 0)"))
        runs = Transactions(engine, random=os.urandom)
        meeting = threading.Barrier(2)
        attempts: list[int] = []

        def work(conn: Connection, mine: int) -> None:
            attempts.append(mine)
            conn.execute(text("SELECT n FROM tally")).all()
            if len(attempts) <= 2:
                meeting.wait(timeout=240)
            conn.execute(
                text("UPDATE tally SET n = n + 1 WHERE id = :mine"),
                {"mine": mine},
            )
            if len(attempts) <= 2:
                meeting.wait(timeout=240)

        with ThreadPoolExecutor(2) as threads:
            for done in [
                threads.submit(runs.run, lambda conn, n=n: work(conn, n))
                for n in (1, 2)
            ]:
                done.result()

        assert [1, 1] == tally(engine)
        assert 3 == len(attempts)
        engine.dispose()


@pytest.mark.postgresql
def test_a_deadlock_is_run_again(postgresql_url: str) -> None:
    """Two take two rows crosswise: one is ended, and then succeeds."""
    with fresh(Kind.POSTGRESQL) as addresses:
        engine = open_database(addresses["data_url"])
        with engine.begin() as conn:
            conn.execute(text("CREATE TABLE tally (id INT, n INT)"))
            conn.execute(text("INSERT INTO tally VALUES (1, 0), (2, 0)"))
        runs = Transactions(engine, random=os.urandom)
        holding = threading.Barrier(2)
        attempts: list[int] = []

        def work(conn: Connection, rows: tuple[int, int]) -> None:
            attempts.append(1)
            add = text("UPDATE tally SET n = n + 1 WHERE id = :row")
            conn.execute(add, {"row": rows[0]})
            if len(attempts) <= 2:
                holding.wait(timeout=240)
            conn.execute(add, {"row": rows[1]})

        with ThreadPoolExecutor(2) as threads:
            for done in [
                threads.submit(runs.run, lambda conn, r=r: work(conn, r))
                for r in ((1, 2), (2, 1))
            ]:
                done.result()

        assert [2, 2] == tally(engine)
        assert 3 == len(attempts)
        engine.dispose()


class _Ended(Exception):
    """What a driver raises when the server ended a transaction."""

    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


def ended(sqlstate: str) -> DBAPIError:
    """The error of a transaction that the server ended."""
    return OperationalError("UPDATE", {}, _Ended(sqlstate))


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Engine]:
    """An embedded database."""
    engine = open_database(f"sqlite:///{tmp_path}/a.db")
    yield engine
    engine.dispose()


def test_the_attempts_are_bounded_and_the_pauses_grow(plain: Engine) -> None:
    """Eight attempts; each pause is a share of twice the one before."""
    pauses: list[float] = []
    attempts: list[int] = []
    runs = Transactions(
        plain, random=lambda n: b"\x80" + bytes(n - 1), sleep=pauses.append
    )

    def work(_conn: Connection) -> None:
        attempts.append(1)
        raise ended(sqlstate="40001")

    with pytest.raises(OperationalError):
        runs.run(work)

    assert 8 == len(attempts)
    assert pytest.approx([0.005 * 2**n for n in range(7)]) == pauses


def test_the_pause_is_drawn(plain: Engine) -> None:
    """Two that met badly do not meet again: the share is random."""
    pauses: list[float] = []
    drawn = iter([b"\0" * 4, b"\xff" * 4])
    runs = Transactions(
        plain, random=lambda _n: next(drawn), sleep=pauses.append
    )
    failures = iter([ended("40001"), ended("40P01")])

    def work(_conn: Connection) -> str:
        for failure in failures:
            raise failure
        return "done"

    assert "done" == runs.run(work)
    assert pytest.approx([0.0, 0.02]) == pauses


@pytest.mark.parametrize("sqlstate", ["23505", "55P03", "57P01", "40003"])
def test_any_other_failure_is_raised_at_once(
    plain: Engine, sqlstate: str
) -> None:
    """A full or locked database, or an unknown outcome, is not retried."""
    runs = Transactions(plain, random=os.urandom, sleep=pytest.fail)

    def work(_conn: Connection) -> None:
        raise ended(sqlstate)

    with pytest.raises(OperationalError):
        runs.run(work)


def test_an_error_of_the_work_rolls_back(plain: Engine) -> None:
    """What the work raises passes through, and nothing of it stays."""
    runs = Transactions(plain, random=os.urandom, sleep=pytest.fail)
    runs.run(lambda conn: conn.execute(text("CREATE TABLE t (x UNIQUE)")))

    def twice(conn: Connection) -> None:
        for _ in range(2):
            conn.execute(text("INSERT INTO t VALUES (1)"))

    with pytest.raises(IntegrityError):
        runs.run(twice)
    assert 0 == runs.run(
        lambda conn: conn.execute(text("SELECT count(*) FROM t")).scalar_one()
    )


@pytest.mark.postgresql
@pytest.mark.parametrize("level", STRICT)
def test_writers_queue_whatever_the_servers_own_level_is(
    tmp_path: Path, postgresql_url: str, level: str
) -> None:
    """Two threads import and enter forms: the second waits, and goes in.

    At the strict level itself the second is ended each time, and under
    load eight attempts are too few.
    """
    with fresh(Kind.POSTGRESQL) as addresses:
        name = make_url(addresses["data_url"]).database
        with connect(postgresql_url) as connection:
            connection.execute(
                f"ALTER DATABASE {name}"
                f" SET default_transaction_isolation = '{level}'"
            )
        with build_world(tmp_path / "home", **addresses) as world:
            before = world.platform.ledger.size()

            def admit(first: int) -> None:
                for number in range(first, first + 5):
                    _admit(world, number)

            with ThreadPoolExecutor(2) as threads:
                for done in [
                    threads.submit(admit, first) for first in (200, 300)
                ]:
                    done.result()

            assert before + 20 == world.platform.ledger.verify().size
            assert [] == list(world.platform.vault.verify())


def _admit(world: World, number: int) -> None:
    """One person, and their form."""
    registrar = world.platform.registrar
    subject = registrar.admit_now(
        [person_values(number)], source="register"
    ).subjects[0]
    given = world.event("consenting", EventType.GIVEN)
    registrar.enter_forms_now(
        [Form(subject=subject, answers=(replace(given, subject=subject),))]
    )
