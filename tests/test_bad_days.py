"""Bad days: one clear line each, and the data as it was."""

import ctypes
import json
import os
import resource
import shutil
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
import yaml
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from api import databases, opening
from api.bootstrap import bootstrap
from api.clock import ClockBehindError, SteadyClock
from api.faults import Fault, fault_of, sentence
from api.problems import problem_of
from api.settings import read_settings
from consent import EventType
from policy import Effect
from tests.databases import Kind
from tests.parts import ROOT
from tests.test_cli import Said, Shell, made
from tests.worlds import (
    ADDRESS,
    CHEAP,
    NUMBER,
    START,
    World,
    build_world,
    person_values,
)

VERIFY = ("ledger", "verify")
DATABASES = ("data", "keys")
_DROP, _OVERRIDE, _SEARCH = 24, 1, 2


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests, and a wide terminal."""
    for name in list(os.environ):
        if name.startswith("CURTILAGE_") and "TEST" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """An instance to break, closed and at rest."""
    found = made(tmp_path / "home")
    # A start finishes what stands open; the tests begin after it.
    assert 0 == found(*VERIFY).code
    for name in DATABASES:
        with closing(sqlite3.connect(file_of(found, name))) as db:
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return found


def file_of(shell: Shell, name: str) -> Path:
    """One of the embedded databases."""
    return shell.home / name / f"{name}.db"


def as_stored(shell: Shell) -> dict[str, bytes]:
    """The bytes of both databases, where they are there."""
    return {
        name: file_of(shell, name).read_bytes()
        for name in DATABASES
        if file_of(shell, name).exists()
    }


def refused(shell: Shell, *command: object, says: str, code: int = 1) -> None:
    """The command ends with one line that says so, and changes nothing."""
    before = as_stored(shell)
    line = shell(*(command or VERIFY)).line(code)

    assert says in line
    assert "unexpected" not in line
    assert before == as_stored(shell)


def in_process(
    shell: Shell, *command: object, before: Callable[[], None] | None = None
) -> Said:
    """Run a command as a process of its own."""
    done = subprocess.run(
        [
            *(sys.executable, "-c", "from api.cli import main; main()"),
            *("--home", str(shell.home), *map(str, command)),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=before,
        timeout=240,
    )
    return Said(code=done.returncode, out=done.stdout, err=done.stderr)


def test_another_passphrase(shell: Shell) -> None:
    """The secrets do not open: the line names the file and the passphrase."""
    settings = read_settings(shell.home)
    assert settings.passphrase_file is not None
    settings.passphrase_file.write_text("another passphrase altogether\n")

    refused(shell, says="Check the passphrase")


def test_a_missing_passphrase_file(shell: Shell) -> None:
    """The line names the file that is not there."""
    settings = read_settings(shell.home)
    assert settings.passphrase_file is not None
    settings.passphrase_file.unlink()

    line = shell(*VERIFY).line()
    assert str(settings.passphrase_file) in line


@pytest.mark.parametrize("command", ["serve", "import"])
def test_a_missing_key_file(
    shell: Shell, tmp_path: Path, command: str
) -> None:
    """A KEK that is gone is missed at the start, by its epoch."""
    for file in (shell.home / "kek").iterdir():
        file.rename(tmp_path / file.name)
    before = as_stored(shell)
    if command == "serve":
        said = in_process(shell, "serve", "--port", 0)
    else:
        said = shell(*_import(tmp_path))

    assert "key" in said.line()
    assert "1" in said.line()
    assert before == as_stored(shell)


def _import(folder: Path) -> tuple[object, ...]:
    """A command that imports one more person."""
    file, mapping = folder / "people.csv", folder / "people.yaml"
    file.write_text(f"number\n{person_values(301)[NUMBER]}\n", "utf-8")
    mapping.write_text(
        "version: 1\nsource: test\ncolumns:\n  number: user.identity.number\n",
        "utf-8",
    )
    return ("vault", "import", file, "--mapping", mapping)


@pytest.mark.parametrize("name", DATABASES)
def test_a_missing_database_is_not_made_anew(shell: Shell, name: str) -> None:
    """The line names it; no empty one is put in its place."""
    file_of(shell, name).unlink()

    refused(shell, says=f"the {name} database")
    assert not file_of(shell, name).exists()


@pytest.mark.parametrize("name", DATABASES)
def test_an_empty_file_is_not_taken_for_a_new_instance(
    shell: Shell, name: str
) -> None:
    """A file of no bytes is what a full disk or a bad copy leaves."""
    file_of(shell, name).write_bytes(b"")

    refused(shell, says=f"the {name} database")
    assert b"" == file_of(shell, name).read_bytes()


@pytest.mark.parametrize("name", DATABASES)
def test_a_file_that_is_no_database(shell: Shell, name: str) -> None:
    """Something else under the name: named, and not overwritten."""
    file_of(shell, name).write_bytes(b"these are no pages\n" * 500)

    refused(shell, says=f"the {name} database")


@pytest.mark.parametrize("name", DATABASES)
def test_a_page_that_was_overwritten(shell: Shell, name: str) -> None:
    """The start finds it, says in which file, and what to do."""
    spoil(file_of(shell, name))

    refused(shell, says=f"the {name} database")
    assert "restore" in shell(*VERIFY).line()


@pytest.mark.parametrize("name", DATABASES)
def test_a_page_of_a_large_file_that_was_overwritten(
    shell: Shell, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Too large to check at the start: the read that meets it says it."""
    monkeypatch.setattr(opening, "_CHECKED_BYTES", 0)
    spoil(file_of(shell, name), begin=8)
    command = VERIFY if name == "data" else ("vault", "verify")

    refused(shell, *command, says=f"the {name} database")


def spoil(file: Path, *, begin: int = 1) -> None:
    """Overwrite the head of every page from a certain one on."""
    with file.open("r+b") as opened:
        size = int.from_bytes(opened.read(18)[16:18])
        for start in range(begin * size, file.stat().st_size, size):
            opened.seek(start)
            opened.write(b"\xff" * 64)


@pytest.mark.parametrize("name", DATABASES)
def test_a_database_that_another_process_holds(
    shell: Shell, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line says which is locked, after the time that one waits."""
    _patience(monkeypatch)
    with closing(
        sqlite3.connect(file_of(shell, name), isolation_level=None)
    ) as other:
        other.execute("BEGIN IMMEDIATE")
        refused(shell, says=f"the {name} database")
        assert "is locked" in shell(*VERIFY).line()
        other.execute("ROLLBACK")

    assert 0 == shell(*VERIFY).code


def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait less long than in earnest."""
    monkeypatch.setattr(databases, "_LOCK_MS", 200)
    monkeypatch.setattr(
        databases,
        "_PRAGMAS",
        tuple(
            one.replace("busy_timeout=10000", "busy_timeout=200")
            for one in databases._PRAGMAS
        ),
    )


def test_a_full_disk(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import that finds no room says so; nothing of it is kept."""
    size = shell("ledger", "verify", "--json").document()
    with closing(sqlite3.connect(file_of(shell, "data"))) as db:
        (pages,) = db.execute("PRAGMA page_count").fetchone()
    with monkeypatch.context() as full:
        full.setattr(
            databases,
            "_PRAGMAS",
            (*databases._PRAGMAS, f"PRAGMA max_page_count={pages}"),
        )
        rows = [person_values(n)[NUMBER] for n in range(400, 800)]
        command = _import(tmp_path)
        (tmp_path / "people.csv").write_text("\n".join(["number", *rows]))
        line = shell(*command).line()

    assert "the disk is full" in line
    assert "data database" in line
    assert size == shell("ledger", "verify", "--json").document()
    found = json.loads(shell("vault", "verify", "--json").out)["findings"]
    # They were enrolled, in the other database, and nothing more.
    assert {"empty"} == {one["kind"] for one in found}


def test_a_limit_on_the_size_of_files(shell: Shell, tmp_path: Path) -> None:
    """A write that the system refuses: one line, and nothing of it is kept."""
    size = shell("ledger", "verify", "--json").document()
    rows = [person_values(n)[NUMBER] for n in range(400, 900)]
    command = _import(tmp_path)
    (tmp_path / "people.csv").write_text("\n".join(["number", *rows]))
    most = 1 << 16

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    said = in_process(shell, *command, before=limit)

    assert "database" in said.line()
    assert "unexpected" not in said.line()
    assert size == shell("ledger", "verify", "--json").document()


def _ordinary() -> None:
    """Give up what lets root write to what is read-only."""
    if os.geteuid() == 0:
        libc = ctypes.CDLL(None, use_errno=True)
        for one in (_OVERRIDE, _SEARCH):
            libc.prctl(_DROP, one, 0, 0, 0)


@pytest.fixture
def read_only(shell: Shell) -> Iterator[Callable[[Path], None]]:
    """What takes the right to write away, until the test is over."""
    changed: list[tuple[Path, int]] = []

    def take(path: Path) -> None:
        changed.append((path, stat.S_IMODE(path.stat().st_mode)))
        path.chmod(0o500 if path.is_dir() else 0o400)

    yield take
    for path, mode in changed:
        path.chmod(mode)


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize("what", ["file", "folder"])
def test_a_read_only_database(
    shell: Shell, read_only: Callable[[Path], None], name: str, what: str
) -> None:
    """The file, or the folder that its log needs, is named."""
    file = file_of(shell, name)
    place = file if what == "file" else file.parent
    read_only(place)
    before = as_stored(shell)
    said = in_process(shell, *VERIFY, before=_ordinary)

    assert f"the {name} database" in said.line()
    assert f"{place} is read-only" in said.line()
    assert before == as_stored(shell)


def configured(shell: Shell, **settings: object) -> None:
    """Change the settings file of the instance."""
    path = shell.home / "curtilage.yaml"
    found = yaml.safe_load(path.read_text("utf-8"))
    path.write_text(yaml.safe_dump(found | settings), "utf-8")


def test_keys_and_data_mixed_up(shell: Shell, tmp_path: Path) -> None:
    """An address that leads to the other database: no table is made in it."""
    for one, other in (("keys", "data"), ("data", "keys")):
        copy = tmp_path / f"{other}-copy" / "copy.db"
        copy.parent.mkdir()
        shutil.copy(file_of(shell, other), copy)
        before = copy.read_bytes()
        configured(shell, **{f"{one}_url": f"sqlite:///{copy}"})

        refused(shell, says="mixed up")
        assert before == copy.read_bytes()
        configured(shell, **{f"{one}_url": ""})
    assert 0 == shell(*VERIFY).code


def test_the_keys_of_another_instance(shell: Shell, tmp_path: Path) -> None:
    """Same kind, other instance: nothing opens, and nothing is written."""
    other = made(tmp_path / "other")
    configured(shell, keys_url=f"sqlite:///{file_of(other, 'keys')}")
    before = as_stored(other)

    refused(shell, says="two instances")
    assert before == as_stored(other)


@pytest.mark.parametrize("name", DATABASES)
def test_a_newer_schema(shell: Shell, name: str) -> None:
    """A database of a later version is not touched by this one."""
    with closing(sqlite3.connect(file_of(shell, name))) as db, db:
        db.execute(f"UPDATE {name}_revision SET version_num = '9999'")

    refused(shell, says="newer version")
    assert f"the {name} database" in shell(*VERIFY).line()


def test_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """A start before the last checkpoint is refused, with both instants."""
    with build_world(tmp_path / "home") as world:
        world.clock.now = 4_000_000_000
        world.platform.ledger.checkpoint()
    shell = Shell(home=tmp_path / "home", cast={})

    refused(shell, says="2096-10-02T07:06:40Z")


def test_a_clock_before_the_last_entry(tmp_path: Path) -> None:
    """Where nothing was signed yet, the last entry's day is held against."""
    with build_world(tmp_path / "home") as world:
        settings = world.platform.settings
        with pytest.raises(ClockBehindError, match="set the clock"):
            bootstrap(settings, clock=lambda: START - 86_400, costs=CHEAP)
        bootstrap(settings, clock=lambda: START - 30, costs=CHEAP).close()


def test_within_a_process_time_does_not_go_back() -> None:
    """The machine's clock may; what is told does not."""
    times = iter([100.9, 90.0, 100.0, 103.2])
    clock = SteadyClock(lambda: next(times))

    assert [100, 100, 100, 103] == [clock() for _ in range(4)]


def test_a_withdrawal_by_a_clock_ahead_counts_at_once(
    world: World,
) -> None:
    """What another worker recorded a minute ahead is obeyed now."""
    platform = world.platform
    world.clock.now += 60
    withdrawal = world.event("consenting", EventType.WITHDRAWN)
    with platform.data.begin() as conn:
        platform.consents.record(conn, withdrawal)
    world.clock.now -= 60
    answer = world.run(
        platform.gate.disclose(world.request("consenting", *ADDRESS))
    )

    assert {Effect.WITHHOLD} == {one.effect for one in answer.attributes}


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made_now:
        yield made_now


@pytest.fixture
def served(tmp_path: Path, postgresql_url: str) -> Iterator[World]:
    """An instance on PostgreSQL."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as found:
        yield found


@pytest.mark.postgresql
def test_a_row_that_another_connection_holds(
    served: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On PostgreSQL, too, one waits for a lock only so long."""
    _patience(monkeypatch)
    settings = served.platform.settings
    shell = Shell(home=served.home, cast={})
    with served.platform.data.begin() as conn:
        conn.execute(text("SELECT * FROM ledger_head FOR UPDATE")).all()
        line = shell("officer", "erase", _anybody(served), *_why()).line()

    assert "the data database is locked" in line
    assert settings.data not in line


def _anybody(world: World) -> object:
    return world.cast["consenting"]


def _why() -> tuple[str, ...]:
    return ("--proposer", "another", "--because", "asked")


@pytest.mark.postgresql
def test_a_server_that_does_not_answer(served: World) -> None:
    """No server at the address: one line, without the address's secrets."""
    shell = Shell(home=served.home, cast={})
    url = "postgresql+psycopg://who:horse@/x?host=/nowhere"
    configured(shell, data_url=url)
    line = shell(*VERIFY).line()

    assert "the data database does not answer" in line
    assert "horse" not in line


@pytest.mark.postgresql
def test_a_database_without_an_instance(served: World) -> None:
    """An empty database is not filled where an instance should be."""
    shell = Shell(home=served.home, cast={})
    url = served.platform.settings.keys.replace("%3Dkeys", "%3Dnowhere")
    configured(shell, keys_url=url)

    assert "the keys database" in shell(*VERIFY).line()


@pytest.mark.postgresql
def test_data_and_keys_mixed_up_on_a_server(served: World) -> None:
    """The schema of the data under the name of the keys is refused."""
    settings = served.platform.settings
    shell = Shell(home=served.home, cast={})
    configured(shell, data_url=settings.keys, keys_url=settings.data)

    assert "mixed up" in shell(*VERIFY).line()


@pytest.mark.postgresql
def test_a_newer_schema_on_a_server(served: World) -> None:
    """The revision is held against those known, on PostgreSQL too."""
    with served.platform.keys.begin() as conn:
        conn.execute(text("UPDATE keys_revision SET version_num = '9999'"))
    shell = Shell(home=served.home, cast={})

    assert "newer version" in shell(*VERIFY).line()


class _Driver(Exception):
    """What a driver raises, with its number."""

    def __init__(self, sqlstate: str | None) -> None:
        self.sqlstate = sqlstate


_Driver.__module__ = "psycopg.errors"


@pytest.mark.parametrize(
    ("sqlstate", "fault"),
    [
        ("55P03", Fault.LOCKED),
        ("53100", Fault.FULL),
        ("25006", Fault.READ_ONLY),
        ("XX001", Fault.DAMAGED),
        ("08006", Fault.UNREACHABLE),
        ("28P01", Fault.FORBIDDEN),
        ("57P01", Fault.UNREACHABLE),
        ("23505", None),
        (None, None),
    ],
)
def test_a_servers_state_becomes_a_fault(
    sqlstate: str | None, fault: Fault | None
) -> None:
    """Each state that stops a database has its sentence; others have none."""
    error = OperationalError("SELECT 1", {}, _Driver(sqlstate))
    told = sentence(error, {}, known="data")

    assert fault == fault_of(error)
    assert bool(fault) == told.startswith("the data database ")


def test_a_fault_is_no_defect_to_a_caller(tmp_path: Path) -> None:
    """Over HTTP it is 503, to be tried again, and says no more."""
    with pytest.raises(sqlite3.Error) as caught:
        sqlite3.connect(f"file:{tmp_path}/absent.db?mode=ro", uri=True)
    found = problem_of(caught.value)

    assert (503, "storage-unavailable") == (found.status, found.slug)
    assert 500 == problem_of(RuntimeError("x")).status
