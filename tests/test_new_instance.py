"""A new instance is made where nobody's rows, keys or secrets stand.

What is refused leaves everything as it was, so that it can be put right and
the instance made then.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.bootstrap import bootstrap, initialise
from api.cli.main import build
from api.instances import create_instance
from api.opening import open_databases
from api.settings import CONFIG_NAME, Settings, read_settings
from tests.databases import Kind, fresh
from tests.worlds import CHEAP, build_world

PLANTED: Mapping[str, str] = {
    "consent_declaration": "digest, service, purpose, version, text)"
    " VALUES (:tenant, 'd', 's', 'p', 1, 't')",
    "policy_visibility": "number, service, purpose, visibility, days, basis,"
    " law, proposer, proposed_at, officer)"
    " VALUES (:tenant, 1, 's', 'p', 'delayed', 9, 'b', 'l', 'x', 1, 'y')",
    "policy_bundle": "number, revision, base, manifest, plan, data, proposer,"
    " proposed_at, officer, state)"
    " VALUES (:tenant, 1, 'r', '', '', '', '', 'x', 1, 'y', 'published')",
}


def laid(home: Path) -> dict[str, bytes]:
    """Every file below a folder, and its folders."""
    return {
        str(path.relative_to(home)): path.read_bytes()
        if path.is_file()
        else b""
        for path in home.rglob("*")
    }


@contextmanager
def planted(settings: Settings, table: str) -> Iterator[None]:
    """Let a row of nobody's making stand in a database of no instance."""

    def write(sql: str) -> None:
        opened = open_databases(settings, new=True)
        with opened[0].begin() as conn:
            conn.execute(text(sql), {"tenant": settings.tenant})
        for engine in opened:
            engine.dispose()

    write(f"INSERT INTO {table} (tenant, {PLANTED[table]}")
    yield
    write(f"DELETE FROM {table} WHERE tenant = :tenant")


@pytest.mark.parametrize("table", PLANTED)
def test_a_new_instance_takes_no_rows_that_stand_there(
    tmp_path: Path, database: Kind, table: str
) -> None:
    """It is refused before anything is written, and made once they go."""
    home, other = tmp_path / "home", tmp_path / "other"
    with fresh(database) as urls:
        given = urls or {"data_url": f"sqlite:///{other}/data/data.db"}
        named = {"tenant": "test", "origin": "test.example/log", **given}
        passphrase = home / "passphrase"
        (other / "data").mkdir(parents=True)
        settings = read_settings(
            other, passphrase_file=str(passphrase), **named
        )
        (other / "keys").mkdir()
        with planted(settings, table):
            before = laid(tmp_path)
            for _ in range(2):
                with pytest.raises(ValueError, match="another database"):
                    create_instance(
                        home, passphrase_file=passphrase, costs=CHEAP, **named
                    )
            assert before == laid(tmp_path)
        made = create_instance(
            home, passphrase_file=passphrase, costs=CHEAP, **named
        )
        bootstrap(made, costs=CHEAP).close()


def test_rows_that_come_after_the_first_look_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is vouched for that somebody writes meanwhile."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "passphrase").write_text("a passphrase of a test, long enough\n")
    settings = read_settings(
        home,
        tenant="test",
        origin="test.example/log",
        passphrase_file=str(home / "passphrase"),
    )
    for name in ("data", "keys"):
        (home / name).mkdir()
    monkeypatch.setattr("api.bootstrap.refuse_taken", lambda _: None)
    with (
        planted(settings, "policy_bundle"),
        pytest.raises(ValueError, match="another database"),
    ):
        initialise(settings, costs=CHEAP)


def test_a_database_that_cannot_be_opened_leaves_no_secrets(
    tmp_path: Path,
) -> None:
    """Once it is put right, the instance can be made."""
    home = tmp_path / "home"
    (home / "keys").mkdir(parents=True)
    (home / "keys" / "keys.db").write_bytes(b"no database" * 999)
    asked = ["--home", str(home), "init"]
    told = CliRunner().invoke(build(), asked)
    assert (1, True) == (told.exit_code, "keys database" in told.stderr)
    assert not (home / "secrets").exists()
    (home / "keys" / "keys.db").unlink()
    told = CliRunner().invoke(build(), asked)
    assert 0 == told.exit_code

    told = CliRunner().invoke(build(), asked)
    assert (1, True) == (told.exit_code, "already" in told.stderr)


def test_secrets_that_stand_there_are_left_alone(tmp_path: Path) -> None:
    """Also where the settings file is gone, whatever rows there are."""
    with build_world(tmp_path / "home") as world:
        home = world.platform.settings.home
        (home / CONFIG_NAME).unlink()
        path = world.platform.settings.secrets_path
        before = path.read_bytes()
        told = CliRunner().invoke(
            build(), ["--home", str(home), "init", "--tenant", "test"]
        )

        assert told.exit_code
        assert str(path) in told.stderr
        assert before == path.read_bytes()
