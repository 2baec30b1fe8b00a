"""The command line: one line for an error, one document for a machine."""

import io
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import textwrap
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import click
import pytest
import typer
import yaml
from rich.console import Console
from typer.testing import CliRunner

from api.cli.demo import _bars
from api.cli.main import build
from api.cli.output import Output
from api.databases import open_database
from consent import issue_receipt
from tests.databases import Kind, counted, fresh
from tests.doors import credential
from tests.parts import ROOT
from tests.worlds import (
    BIRTH,
    DECLARATION,
    NUMBER,
    PURPOSE,
    SERVICE,
    STREET,
    build_world,
    person_values,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What a command said, and how it ended."""

    code: int
    out: str
    err: str

    def document(self) -> Any:  # noqa: ANN401 - whatever was printed
        """Standard output, which must be one JSON document and no more."""
        assert 0 == self.code, self.err
        return json.loads(self.out)

    def line(self, code: int = 1) -> str:
        """The one line of a failure; there is no trace and no output."""
        assert code == self.code, (self.out, self.err)
        assert 1 == len(self.err.splitlines()), self.err
        assert self.err.startswith("curtilage: ")
        assert "Traceback" not in self.err
        return self.err


@dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """The command line, pointed at an instance."""

    home: Path
    cast: dict[str, UUID]

    def __call__(self, *arguments: object) -> Said:
        """Run one command in this process."""
        command = ["--home", str(self.home), *map(str, arguments)]
        found = CliRunner().invoke(build(), command)
        if found.exception and not isinstance(found.exception, SystemExit):
            raise found.exception
        return Said(code=found.exit_code, out=found.stdout, err=found.stderr)


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the machine that runs the tests, and a wide terminal."""
    for name in list(os.environ):
        if name.startswith("CURTILAGE_") and "TEST" not in name:
            monkeypatch.delenv(name)
    monkeypatch.setenv("COLUMNS", "200")


def made(home: Path, **more: str) -> Shell:
    """An instance with its cast, and the command line at it."""
    with build_world(home, extra=24, **more) as world:
        return Shell(home=home, cast=dict(world.cast))


@pytest.fixture(scope="module")
def shell(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Shell]:
    """An instance that tests share: they add to it and break nothing."""
    with fresh(database) as addresses:
        yield made(tmp_path_factory.mktemp("cli") / "home", **addresses)


@pytest.fixture
def own(tmp_path: Path) -> Shell:
    """An instance of the test's own, to break."""
    return made(tmp_path / "home")


def commands() -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command with its path, also of groups within groups."""
    root = typer.main.get_command(build())
    assert isinstance(root, click.Group)
    yield from _under(root, ())


def _under(
    group: click.Group, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, one in sorted(group.commands.items()):
        if isinstance(one, click.Group):
            yield from _under(one, (*path, name))
        else:
            yield (*path, name), one


PATHS = [path for path, _ in commands()]


def _example(path: Sequence[str]) -> str:
    """How a command's example begins; some show where the home stands."""
    command = " ".join(path)
    if command in {"init", "serve"}:
        return f"--home /srv/curtilage {command}"
    return command


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_explains_itself(path: Sequence[str]) -> None:
    """--help has a sentence, and each option has its own."""
    command = dict(commands())[tuple(path)]
    said = CliRunner().invoke(build(), [*path, "--help"])

    assert 0 == said.exit_code
    assert command.help
    assert (command.help or "").splitlines()[0].endswith((".", ":"))
    assert re.search(
        rf"Examples?: curtilage {_example(path)}\b",
        " ".join((command.help or "").split()),
    )
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.name != "help":
            assert parameter.help, parameter.name


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_every_command_speaks_to_machines(path: Sequence[str]) -> None:
    """Each but `serve`, which answers nothing, has --json."""
    command = dict(commands())[tuple(path)]
    options = {name for one in command.params for name in one.opts}

    assert (path[-1] != "serve") == ("--json" in options)


@pytest.mark.parametrize("group", sorted({path[0] for path in PATHS}))
def test_a_group_without_a_command_shows_help(group: str) -> None:
    """Nothing happens by leaving the command out."""
    if group in {"init", "serve", "demo", "vouch"}:
        return
    said = CliRunner().invoke(build(), [group])

    assert 2 == said.exit_code
    assert "Usage" in said.stdout + said.stderr


def test_an_instance_is_made_once(tmp_path: Path) -> None:
    """Init lays it down, private; a second init is refused, untouched."""
    shell = Shell(home=tmp_path / "home", cast={})
    found = shell("init", "--tenant", "northbank", "--json").document()
    kept = {
        path: path.read_bytes()
        for path in shell.home.rglob("*")
        if path.is_file()
    }

    assert "northbank" == found["tenant"]
    passphrase = Path(found["passphrase_file"])
    assert 0o600 == passphrase.stat().st_mode & 0o777
    assert 0o600 == (shell.home / "curtilage.yaml").stat().st_mode & 0o777
    assert "instance already" in shell("init").line()
    assert kept == {
        path: path.read_bytes()
        for path in shell.home.rglob("*")
        if path.is_file()
    }
    assert {"entries": 0} == {
        "entries": shell("ledger", "verify", "--json").document()["entries"]
    }


@pytest.mark.parametrize(
    "arguments",
    [
        ["vault", "verify"],
        ["ledger", "verify"],
        ["service", "revoke", "x"],
        ["officer", "audit"],
        ["serve"],
    ],
)
def test_without_an_instance_there_is_one_line(
    tmp_path: Path, arguments: list[str]
) -> None:
    """It says what to do, and makes nothing."""
    home = tmp_path / "nowhere"
    said = Shell(home=home, cast={})(*arguments)

    assert said.code in {1, 2}
    assert 1 == len(said.err.splitlines())
    assert not home.exists()


def test_a_wrong_setting_is_named(shell: Shell, tmp_path: Path) -> None:
    """One line with the setting's name; exit 2."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "curtilage.yaml").write_text("prot: 1\n", "utf-8")

    assert "prot" in Shell(home=home, cast={})("vault", "verify").line(2)


def test_a_credential_is_made_and_ended(shell: Shell) -> None:
    """The secret is shown once, never listed; revoking twice is an error."""
    found = shell("service", "add", SERVICE, PURPOSE, "--json").document()

    assert found["client_id"].startswith(SERVICE)
    assert len(found["client_secret"]) > 40
    listed = shell("service", "list", "--json").document()["credentials"]
    assert found["client_id"] in {one["client_id"] for one in listed}
    assert found["client_secret"] not in json.dumps(listed)
    ended = shell("service", "revoke", found["client_id"], "--json")
    assert ended.document()["revoked"]
    listed = shell("service", "list", "--json").document()["credentials"]
    assert found["client_id"] not in {one["client_id"] for one in listed}
    told = shell("service", "list", "--revoked", "--json").document()
    assert [found["client_id"]] == [
        one["client_id"] for one in told["credentials"] if one["revoked_at"]
    ]
    assert (
        "no live credential"
        in shell("service", "revoke", found["client_id"]).line()
    )


def test_a_forged_credential_is_listed_as_one(own: Shell) -> None:
    """In a word for people, as true or false for machines."""
    found = own("service", "add", SERVICE, PURPOSE, "--json").document()
    said = own("service", "list", "--json").document()["credentials"]
    assert [True] == [one["genuine"] for one in said]
    assert " yes " in own("service", "list").out
    with closing(sqlite3.connect(own.home / "data" / "data.db")) as conn, conn:
        conn.execute("UPDATE policy_credential SET assurance = 3")
    said = own("service", "list", "--json").document()["credentials"]

    assert [(found["client_id"], False)] == [
        (one["client_id"], one["genuine"]) for one in said
    ]
    assert " no, refused " in own("service", "list").out


def test_credentials_are_held_against_the_ledger(own: Shell) -> None:
    """In order, it is one sentence; what came back to life is named."""
    first = own("service", "add", SERVICE, PURPOSE, "--json").document()
    data = own.home / "data" / "data.db"
    client_id = first["client_id"]
    said = own("service", "verify")
    assert (0, True) == (
        said.code,
        said.out.startswith("Nothing is wrong: 1 credential is as "),
    )
    assert {"findings": []} == own("service", "verify", "--json").document()
    with closing(sqlite3.connect(data)) as conn, conn:
        [row] = conn.execute("SELECT mac FROM policy_credential")
    own("service", "revoke", client_id)
    entry = own("ledger", "verify", "--json").document()["entries"] - 1
    with closing(sqlite3.connect(data)) as conn, conn:
        conn.execute("UPDATE policy_credential SET revoked_at = NULL")
        conn.execute("UPDATE policy_credential SET mac = ?", row)
    shown = own("service", "verify", "--json")
    assert 1 == shown.code

    assert [
        {
            "fault": "revived",
            "client_id": client_id,
            "service": SERVICE,
            "purpose": PURPOSE,
            "entry": entry,
            "columns": ["revoked_at"],
        }
    ] == json.loads(shown.out)["findings"]
    shown = own("service", "verify")
    assert (1, True) == (shown.code, " revived " in shown.out)


def test_a_credential_of_before_is_told_apart(tmp_path: Path) -> None:
    """It is named, and it is not wrong."""
    home = tmp_path / "home"
    with build_world(home) as world:
        client_id, _ = credential(world)
    shell = Shell(home=home, cast={})
    said = shell("service", "verify")

    assert (0, True) == (said.code, client_id in said.out)
    assert " of-before " in said.out
    assert "Nothing is wrong: 0 credentials are as " in said.out
    found = shell("service", "verify", "--json").document()["findings"]
    assert [("of-before", client_id)] == [
        (one["fault"], one["client_id"]) for one in found
    ]


def test_a_purpose_that_is_not_declared_has_no_credential(
    shell: Shell,
) -> None:
    """The line says which command comes first."""
    said = shell("service", "add", SERVICE, "another-purpose")

    assert "declaration propose" in said.line(2)


@pytest.fixture
def declared(tmp_path: Path) -> Path:
    """A declaration of another service."""
    path = tmp_path / "declared.yaml"
    path.write_text(DECLARATION.replace("moving-house", "library"), "utf-8")
    return path


def test_a_declaration_is_read_shown_and_registered(
    shell: Shell, declared: Path
) -> None:
    """Lint, show, propose, approve by another, list."""
    linted = shell("declaration", "lint", declared, "--json").document()
    shown = shell("declaration", "show", declared, "--json").document()
    arguments = ("declaration", "propose", declared)
    proposed = shell(*arguments, "--as", "ann", "--json").document()
    (number,) = [one["number"] for one in proposed["proposed"]]
    refused = shell("declaration", "approve", number, "--as", "ann")
    before = shell("declaration", "list", "--json").document()
    done = shell(
        "declaration", "approve", number, "--as", "bea", "--json"
    ).document()
    listed = shell("declaration", "list", "--json").document()

    assert 1 == linted["declarations"]
    assert STREET in {one["attribute"] for one in shown["flows"]}
    assert "separation_of_duties" in refused.line()
    assert "library" not in {one["service"] for one in before["declarations"]}
    assert ("library", "published") == (done["service"], done["state"])
    assert linted["digests"] == [done["digest"]]
    assert "library" in {one["service"] for one in listed["declarations"]}


def test_a_plan_says_what_changes_and_whom_it_asks(
    shell: Shell, tmp_path: Path
) -> None:
    """Statement by statement, for people and for machines."""
    wider = tmp_path / "wider.yaml"
    wider.write_text(
        DECLARATION.replace("version: 1", "version: 2").replace(
            "    data:\n", "    data:\n      - user.name.family\n"
        ),
        "utf-8",
    )
    said = shell("declaration", "plan", wider)
    (plan,) = shell("declaration", "plan", wider, "--json").document()["plans"]
    (statement,) = plan["statements"]

    assert "address (consent): wider" in said.out
    assert f"{plan['people_asked_again']} people would be asked" in said.out
    assert (1, 2) == (plan["from"]["version"], plan["to"]["version"])
    assert ["user.name.family"] == statement["added"]
    assert {"user.name.family"} == set(statement["asked_about"])
    assert plan["people_asked_again"] == statement["asked_again"] >= 4
    assert 2 == shell("declaration", "plan").code
    assert 2 == shell("declaration", "plan", wider, "--proposal", 1).code


@pytest.mark.parametrize(
    ("ending", "text"),
    [
        ("yaml", "service: [\n"),
        ("yaml", "service: x\nservice: y\n"),
        ("yaml", "\x00"),
        ("yaml", DECLARATION.replace("[ours]", "[everybody]")),
        ("yaml", DECLARATION.replace("user.bdate", "user.nonsense")),
        ("xml", "<POLICIES><POLICY></POLICIES>"),
        ("xml", "<!DOCTYPE a [<!ENTITY b 'c'>]><POLICIES>&b;</POLICIES>"),
        ("xml", ""),
    ],
)
@pytest.mark.parametrize("command", ["lint", "show"])
def test_a_malformed_declaration_has_file_and_line(
    shell: Shell, tmp_path: Path, command: str, ending: str, text: str
) -> None:
    """One line with file:line, exit 2, no trace."""
    path = tmp_path / f"broken.{ending}"
    path.write_text(text, "utf-8")
    line = shell("declaration", command, path).line(2)

    assert f"{path}:" in line
    assert line.split(f"{path}:")[1].split(":")[0].isdigit()


@pytest.mark.parametrize("text", ["", "# to do\n"])
def test_an_empty_declaration_is_told_as_such(
    shell: Shell, tmp_path: Path, text: str
) -> None:
    """It has no line 0 at which something would be wrong."""
    path = tmp_path / "broken.yaml"
    path.write_text(text, "utf-8")
    line = shell("declaration", "lint", path).line(2)

    assert f"{path}: it is empty" in line


@pytest.mark.corpus
def test_p3p_files_of_the_nineties_are_read(
    shell: Shell, corpus: Path
) -> None:
    """Real P3P policies lint, or fail in one line with their place."""
    files = sorted((corpus / "p3p").rglob("*.xml"))
    good = 0
    for path in files:
        said = shell("declaration", "lint", path, "--json")
        if said.code == 0:
            good += said.document()["declarations"]
            shell("declaration", "show", path, "--json").document()
        else:
            assert f"{path}:" in said.line(2)

    assert files
    assert good


CSV = "number,given,born\n"
MAPPING = f"""\
version: 1
columns:
  number: {NUMBER}
  given: user.name.given
  born: {BIRTH}
"""


@pytest.fixture
def people(tmp_path: Path) -> tuple[Path, Path]:
    """A file with two good rows and three bad ones, and its mapping."""
    file, mapping = tmp_path / "people.csv", tmp_path / "people.yaml"
    numbers = [person_values(n)[NUMBER] for n in (301, 302, 303)]
    rows = [
        f"{numbers[0]},Ada,1970-01-01",
        f"{numbers[1]},Canary,never",
        f"{numbers[2]},Bea,1971-01-01",
        "Canary,Cleo,1970-01-01",
        f"{numbers[0]},Canary,1970-01-01",
    ]
    file.write_text(CSV + "\n".join(rows) + "\n", "utf-8")
    mapping.write_text(MAPPING, "utf-8")
    return file, mapping


def test_people_are_imported_and_bad_rows_set_aside(
    shell: Shell, people: tuple[Path, Path]
) -> None:
    """Rejects have line and reason and no value, in a private file."""
    file, mapping = people
    said = shell("vault", "import", file, "--mapping", mapping, "--json")
    found = said.document()
    rejects = Path(found["rejects"])
    text = rejects.read_text("utf-8")

    assert (2, 3) == (found["imported"], found["rejected"])
    assert 0o600 == rejects.stat().st_mode & 0o777
    assert "Canary" not in text
    assert person_values(301)[NUMBER] not in text
    assert 4 == len(text.splitlines())
    assert "Canary" not in said.out + said.err


@pytest.mark.postgresql
def test_a_server_has_counted_what_was_imported(
    tmp_path: Path, people: tuple[Path, Path]
) -> None:
    """So it looks people up by their keys from the first question on."""
    file, mapping = people
    with fresh(Kind.POSTGRESQL) as addresses:
        shell = made(tmp_path / "home", **addresses)
        engines = [open_database(one) for one in addresses.values()]
        shell("vault", "import", file, "--mapping", mapping)
        after = [counted(one) for one in engines]
        for one in engines:
            one.dispose()

    # Without rows a table is never counted by the server itself.
    empty = {"policy_webhook_delivery", "vault_hold"}
    assert {"vault_value", "vault_dek"} | empty <= set().union(*after)


def test_an_import_that_cannot_begin_is_one_line(
    shell: Shell, people: tuple[Path, Path]
) -> None:
    """A broken mapping has file and line; a wrong header is refused."""
    file, mapping = people
    begin = ("vault", "import", file, "--mapping", mapping)
    before = shell("ledger", "verify", "--json").document()["entries"]
    for text in ("version: [\n", "version: 1\ncolumns: {number: user.no}\n"):
        mapping.write_text(text, "utf-8")
        assert f"{mapping.name}:" in shell(*begin).line(2)
    mapping.write_text(MAPPING, "utf-8")
    file.write_text("other,columns\n1,2\n", "utf-8")
    shell(*begin).line(2)

    after = shell("ledger", "verify", "--json").document()["entries"]
    assert before == after


def test_the_vault_is_swept(own: Shell) -> None:
    """Nothing is wrong; then a flipped byte is named, and the exit is 1."""
    assert {"findings": []} == own("vault", "verify", "--json").document()
    with sqlite3.connect(own.home / "data" / "data.db") as database:
        (people,) = database.execute(
            "SELECT count(*) - 1 FROM vault_subject"
        ).fetchone()
    database.close()
    shown = own("vault", "verify").out
    assert shown.startswith(f"Nothing is wrong: the values of {people} people")
    assert "━" not in shown
    with sqlite3.connect(own.home / "data" / "data.db") as database:
        (subject,) = database.execute(
            "SELECT subject FROM vault_value LIMIT 1"
        ).fetchone()
        database.execute(
            "UPDATE vault_value SET sealed = zeroblob(length(sealed)) "
            "WHERE subject = ?",
            (subject,),
        )
    database.close()
    said = own("vault", "verify")
    assert 1 == said.code
    assert "subject" in said.out
    assert "Nothing is wrong" not in said.out
    said = own("vault", "verify", "--json")
    found = json.loads(said.out)["findings"]

    assert 1 == said.code
    assert found
    assert str(UUID(str(subject))) in {one["subject"] for one in found}


def test_the_ledger_is_verified(own: Shell) -> None:
    """All entries hold; then a flipped byte is named by its entry."""
    found = own("ledger", "verify", "--json").document()
    assert found["verified"]
    assert 64 == len(found["root"])
    signed = own("ledger", "checkpoint", "--json").document()
    assert signed["checkpoint"].startswith("localhost/test/access-log\n")
    assert signed["key"].startswith("localhost/test/access-log+")
    with sqlite3.connect(own.home / "data" / "data.db") as database:
        (leaf,) = database.execute(
            "SELECT leaf FROM ledger_entry WHERE idx = 3"
        ).fetchone()
        database.execute(
            "UPDATE ledger_entry SET leaf = ? WHERE idx = 3",
            (bytes([leaf[0] ^ 1]) + leaf[1:],),
        )
    database.close()

    assert "entry 3" in own("ledger", "verify", "--json").line()


def test_an_officer_looks_and_the_look_is_an_entry(shell: Shell) -> None:
    """Values with their source, under a justification that is recorded."""
    subject = shell.cast["silent"]
    view = ("officer", "view", subject, "--attribute", STREET)
    found = shell(*view, "--because", "a call", "--as", "o1", "--json")

    assert [
        {
            "attribute": STREET,
            "value": "2 Canary Street",
            "source": "register",
            "disputed": "",
        }
    ] == found.document()["values"]
    audited = shell("officer", "audit", "--limit", "1000", "--json").document()
    last = audited["entries"][-1]
    assert ("officer-view", STREET) == (last["kind"], last["attributes"])
    assert "justification_missing" in shell(*view, "--because", " ").line()
    nobody = shell(
        *("officer", "view", uuid4(), "--attribute", STREET),
        *("--because", "a call"),
    )
    assert "not known" in nobody.line()


def test_a_misspelt_attribute_is_refused_before_the_look(
    shell: Shell,
) -> None:
    """The nearest name is told, and nobody is told of a look at nothing."""
    subject = shell.cast["consenting"]
    before = shell("ledger", "verify", "--json").document()["entries"]
    view = ("officer", "view", subject, "--because", "x", "--attribute")

    assert "'user.bdate' is" in shell(*view, "user.bdat").line(2)
    assert "/v1/catalogue" in shell(*view, "zzz").line(2)
    after = shell("ledger", "verify", "--json").document()["entries"]
    assert before == after


def test_what_is_not_there_is_told_from_what_may_not_be(shell: Shell) -> None:
    """An unknown number or id is no state of one that there is."""
    for command in (
        ("keys", "suspend", "99"),
        ("keys", "destroy", "99"),
        ("release", "approve", uuid4()),
        ("declaration", "approve", "99"),
    ):
        line = shell(*command).line(2 if command[0] == "release" else 1)
        assert "there is no " in line
        assert "look at those" in line
    line = shell("keys", "suspend", "1").line()
    assert "epoch 1 is active and cannot become suspended" in line


def test_an_audit_has_no_person_in_it(shell: Shell) -> None:
    """Service, purpose, kind, outcome, names: no id and no value."""
    said = shell("officer", "audit", "--limit", "1000", "--json")
    entries = said.document()["entries"]

    assert {SERVICE} == {
        one["service"]
        for one in shell(
            "officer", "audit", "--service", SERVICE, "--json"
        ).document()["entries"]
    }
    assert entries
    assert "Canary" not in said.out
    for subject in shell.cast.values():
        assert str(subject) not in said.out
    after = shell("officer", "audit", "--after", entries[3]["index"], "--json")
    assert entries[4]["index"] == after.document()["entries"][0]["index"]


def test_the_policies_are_asked_before_an_audit(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An officer without the role reads nothing of the ledger."""
    from api.cli import officer as module  # noqa: PLC0415 - patched here

    real = module.officer
    monkeypatch.setattr(
        module, "officer", lambda name, *_roles: real(name, "analyst")
    )

    assert "ledger-audit refused" in shell("officer", "audit").line()


def test_an_erasure_takes_two(own: Shell) -> None:
    """Proposed by another, it destroys; a second time there is nobody."""
    subject = own.cast["silent"]
    erase = ("officer", "erase", subject, "--because", "asked for it")
    assert (
        "separation_of_duties"
        in own(*erase, "--proposer", "o1", "--as", "o1").line()
    )
    found = own(*erase, "--proposer", "p", "--as", "o1", "--json").document()

    assert str(subject) == found["subject"]
    assert found["values"] > 5
    assert "not known" in own(*erase, "--proposer", "p", "--as", "o1").line()
    assert own("ledger", "verify", "--json").document()["verified"]
    assert {"findings": []} == own("vault", "verify", "--json").document()


def request(shell: Shell, *more: str) -> Said:
    """File a request for an extract as one officer."""
    return shell(
        *("release", "request", "statistics-office"),
        *("population-statistics", "--recipient", "statistics-office"),
        *("--column", "user.gender", "--column", BIRTH),
        *("--column", "user.benefit.status", "--as", "ann", "--json"),
        *more,
    )


SENSITIVE = ("--l", "2", "--sensitive", "user.benefit.status")


def test_an_extract_takes_two_officers(shell: Shell, tmp_path: Path) -> None:
    """The one who asked is refused; the other gets files that check."""
    release = request(shell, "--k", "3", *SENSITIVE).document()["release"]
    folder = tmp_path / "extract"
    take = ("release", "take", release, "--out", folder)
    assert "separation_of_duties" in shell(*take, "--as", "ann").line()
    assert not folder.exists()
    found = shell(*take, "--as", "bea", "--json").document()

    assert {
        "data.csv",
        "report.json",
        "report.md",
        "manifest.json",
        "proof.json",
    } == {path.name for path in folder.iterdir()}
    assert found["k"] >= 3
    assert found["l"] >= 2
    checked = shell("extract", "check", folder, "--json").document()
    assert found["k"] == checked["k"]
    assert "Canary" not in (folder / "data.csv").read_text("utf-8")
    listed = shell("release", "list", "--json").document()["releases"]
    assert ("taken", found["rows_out"]) in {
        (one["outcome"], one["rows"]) for one in listed
    }
    assert "is taken; only one" in shell(*take, "--as", "bea").line(2)
    with (folder / "data.csv").open("a", encoding="utf-8") as file:
        file.write("x\n")
    shell("extract", "check", folder).line()


def test_an_extract_is_approved_verified_reported_and_recalled(
    shell: Shell, tmp_path: Path
) -> None:
    """Each by its own command; who asked takes what another approved."""
    release = request(shell, "--k", "3", *SENSITIVE).document()["release"]
    folder = tmp_path / "extract"
    assert "separation_of_duties" in (
        shell("release", "approve", release, "--as", "ann").line()
    )
    shell("release", "approve", release, "--as", "bea", "--json").document()
    shell(
        *("release", "take", release, "--out", folder, "--as", "ann", "--json")
    ).document()
    key = shell("ledger", "key", "--json").document()["keys"][0]
    verify = ("release", "verify", folder, "--vkey", key)
    assert shell(*verify).code == 0
    page = tmp_path / "report.html"
    shell(
        *("release", "report", folder, "--out", page, "--copy", "officer"),
        "--json",
    ).document()
    assert "bea" in page.read_text("utf-8")
    recall = ("release", "recall", release, "--reason", "too fine")
    refused = shell(*recall, "--as", "ann").line()
    assert "separation_of_duties" in refused
    assert "somebody else must do it" in refused
    shell(*recall, "--as", "bea", "--json").document()
    assert "is recalled; only one" in shell(*recall, "--as", "bea").line(2)
    (folder / "report.md").write_text("another", encoding="utf-8")
    assert shell(*verify).code != 0


def test_an_extract_that_misses_its_criteria_is_not_there(
    shell: Shell, tmp_path: Path
) -> None:
    """Exit 1, k asked and reached, and no folder."""
    release = request(shell, "--k", "500", *SENSITIVE).document()["release"]
    folder = tmp_path / "extract"
    line = shell(
        *("release", "take", release, "--out", folder, "--as", "bea")
    ).line()

    assert "k asked 500" in line
    assert not folder.exists()


def test_a_request_beyond_the_declaration_is_refused(shell: Shell) -> None:
    """Another recipient or column: the line has the code, and says why."""
    for more, why in (
        (("--recipient", "elsewhere"), "other than the declared one"),
        (("--column", STREET), "did not declare that it needs this"),
    ):
        line = request(shell, "--k", "3", *SENSITIVE, *more).line()

        assert "release refused: " in line
        assert why in line


def test_a_request_cannot_go_below_the_floor(
    shell: Shell, tmp_path: Path
) -> None:
    """What the declaration promises is the least that is reached."""
    release = request(shell, "--k", "2", *SENSITIVE).document()["release"]
    take = ("release", "take", release, "--out", tmp_path / "extract")

    assert shell(*take, "--as", "bea", "--json").document()["k"] >= 3


def test_a_release_that_nobody_filed_is_refused(shell: Shell) -> None:
    """An unknown id is one line."""
    said = shell("release", "take", uuid4(), "--as", "bea")

    assert "there is no release" in said.line(2)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """A plain file and a specification for it."""
    (tmp_path / "spec.yaml").write_text(
        "recipient: office\nk: 2\ncolumns:\n  age: {role: quasi, hierarchy: "
        "{intervals: {low: 0, high: 99, widths: [10]}}}\n",
        "utf-8",
    )
    (tmp_path / "people.csv").write_text("age\n11\n12\n13\n", "utf-8")
    return tmp_path


def test_a_plain_file_is_de_identified(shell: Shell, table: Path) -> None:
    """Run writes an extract that check accepts; the place must be free."""
    spec, out = table / "spec.yaml", table / "out"
    run = ("extract", "run", table / "people.csv", "--spec", spec)
    found = shell(*run, "--out", out, "--json").document()

    assert (3, 3, 3) == (found["rows_in"], found["rows_out"], found["k"])
    assert 3 == shell("extract", "check", out, "--json").document()["k"]
    shell(*run, "--out", out).line()
    spec.write_text("columns: [\n", "utf-8")
    shell(*run, "--out", table / "other").line(2)
    assert not (table / "other").exists()


def test_criteria_that_no_grouping_meets_leave_no_folder(
    shell: Shell, table: Path
) -> None:
    """Exit 1 and nothing is written."""
    spec = table / "spec.yaml"
    spec.write_text(spec.read_text("utf-8").replace("k: 2", "k: 50"), "utf-8")
    run = ("extract", "run", table / "people.csv", "--spec", spec)

    assert "criteria not met" in shell(*run, "--out", table / "out").line()
    assert not (table / "out").exists()


def test_evidence_is_verified_with_public_keys(
    tmp_path: Path,
) -> None:
    """A receipt and a proof verify; a changed byte, or another key, not."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        shell = Shell(home=tmp_path / "home", cast=dict(world.cast))
        (event,) = platform.consents.all_events(world.cast["consenting"])
        receipt = issue_receipt(
            event,
            world.declaration,
            platform.secrets.receipt,
            now=world.clock(),
            random=os.urandom,
        )
        holding = platform.vault.holding(world.cast["consenting"])
        log_key = platform.vault.log_key(holding)
        (entry,) = platform.ledger.own_entries(log_key, before=None, limit=9)
        proof = platform.ledger.disclosure_proof(entry.index, log_key)
        vkey = platform.ledger_vkey
    pem, file = tmp_path / "receipts.pem", tmp_path / "receipt.jws"
    pem.write_text(shell("receipt", "key", "--json").document()["key"])
    assert pem.read_text().strip() == shell("receipt", "key").out.strip()
    file.write_text(receipt, "utf-8")
    verify = ("receipt", "verify", file, "--key", pem)
    assert shell(*verify, "--json").document()["verified"]
    spelt = ("receipt", "verify", file, "--vkey", pem)
    assert shell(*spelt, "--json").document()["verified"]
    file.write_text(receipt[:-9] + "AAAA" + receipt[-5:], "utf-8")
    shell(*verify).line()
    paper = tmp_path / "proof.json"
    paper.write_text(proof, "utf-8")
    check = ("ledger", "proof-verify", paper, "--vkey", vkey)

    assert shell(*check, "--json").document()["ok"]
    check_as_it_was = ("ledger", "proof-verify", paper, "--key", vkey)
    assert shell(*check_as_it_was, "--json").document()["ok"]
    paper.write_text(proof.replace(PURPOSE, "another-purpose"), "utf-8")
    assert 1 == shell(*check, "--json").code


def test_the_policies_show_their_revision(shell: Shell) -> None:
    """The bundle in force, and what may be asked of it."""
    found = shell("policy", "show", "--json").document()

    assert 64 == len(found["revision"])
    assert "curtilage/disclosure/decision" in found["entrypoints"]
    said = shell("policy", "show").out
    assert f"revision: {found['revision']}" in said
    listed = ", ".join(found["entrypoints"])
    assert f"entrypoints: {listed}" in " ".join(said.split())


def test_the_policies_decide_a_document(shell: Shell, tmp_path: Path) -> None:
    """One decision, as one JSON document, with and without --json."""
    question = tmp_path / "question.json"
    document = {
        "schema": "curtilage/api/1",
        "caller": {"kind": "officer", "id": "o1", "roles": ["auditor"]},
        "action": "ledger-audit",
        "target": {},
        "justification": "",
    }
    question.write_text(json.dumps(document), "utf-8")
    decide = ("policy", "decide", "curtilage/api/decision", question)

    assert shell(*decide, "--json").document()["allow"]
    assert shell(*decide).document()["allow"]
    for text in ("{", "[]", "7"):
        question.write_text(text, "utf-8")
        assert f"{question}:1" in shell(*decide).line(2)
    question.write_text("{}", "utf-8")
    shell(*decide).line()
    shell("policy", "decide", "curtilage/nothing", question).line()


def test_an_unforeseen_error_names_its_class_alone(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its text may quote a value; a trace is for who asks for one."""

    def broken(*_arguments: object, **_named: object) -> None:
        msg = "0 Canary Street"
        raise RuntimeError(msg)

    monkeypatch.setattr("api.cli.context.bootstrap", broken)
    line = shell("vault", "verify").line()
    assert "RuntimeError" in line
    assert "Canary" not in line
    monkeypatch.setenv("CURTILAGE_TRACEBACK", "1")

    with pytest.raises(RuntimeError):
        shell("vault", "verify")


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def start(home: Path, port: int) -> subprocess.Popen[str]:
    """Start the installed command's entry point as a process."""
    code = "from api.cli import main; main()"
    return subprocess.Popen(
        [
            *(sys.executable, "-c", code, "--home", str(home)),
            *("serve", "--port", str(port)),
        ],
        cwd=ROOT,
        stderr=subprocess.PIPE,
        text=True,
    )


def ready(process: subprocess.Popen[str], port: int) -> dict[str, Any]:
    """Wait until a server is ready."""
    end = time.monotonic() + 240
    while time.monotonic() < end and process.poll() is None:
        try:
            with urllib.request.urlopen(
                f"http://127.0.0.1:{port}/health/ready", timeout=60
            ) as answer:
                found: dict[str, Any] = json.load(answer)
                return found
        except OSError:
            time.sleep(0.1)
    msg = f"the server is not ready: {process.stderr and process.poll()}"
    raise AssertionError(msg)


@pytest.mark.long
@pytest.mark.slow
def test_a_server_is_alone_and_ends_when_told(own: Shell) -> None:
    """Ready; a second is refused in one line; SIGTERM ends it with 0."""
    port = free_port()
    first = start(own.home, port)
    try:
        found = ready(first, port)
        second = start(own.home, free_port())
        _, refused = second.communicate(timeout=240)
        busy = start(own.home, port)
        busy.communicate(timeout=240)
        first.send_signal(signal.SIGTERM)
        _, log = first.communicate(timeout=240)
    finally:
        first.kill()

    assert "ready" == found["status"]
    assert 1 == second.returncode
    assert "another `curtilage serve` runs" in refused
    assert 1 == len(refused.splitlines())
    assert 0 == first.returncode
    assert all("event" in json.loads(line) for line in log.splitlines())
    again = start(own.home, port)
    try:
        ready(again, port)
        again.send_signal(signal.SIGTERM)
        again.communicate(timeout=240)
    finally:
        again.kill()
    assert 0 == again.returncode


def test_the_settings_file_of_init_is_yaml(shell: Shell) -> None:
    """What init writes is what is read back."""
    text = (shell.home / "curtilage.yaml").read_text("utf-8")
    found = yaml.safe_load(text)

    assert "test" == found["tenant"]


def test_wrong_use_is_told_as_such(tmp_path: Path) -> None:
    """What a command finds wrong in its options is said, and exits with 2."""
    rows = tmp_path / "rows.csv"
    rows.write_text("a\n1\n", "utf-8")
    said = CliRunner().invoke(build(), ["extract", "--input", str(rows)])
    assert 2 == said.exit_code
    assert "give --input, --spec and --out" in said.stderr
    assert "unexpected" not in said.stderr


def test_port_is_one_of_a_machine() -> None:
    """A port that no machine has is refused before anything is bound."""
    for command in ("serve", "demo"):
        said = CliRunner().invoke(build(), [command, "--port", "22222222"])
        assert 2 == said.exit_code
        assert "22222222" in said.stderr


def test_table_cuts_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    """A cell that is wider than the terminal is folded, not cut short."""
    Output(as_json=False).table("rows", ("a", "b"), [("x" * 99, "y" * 99)])
    printed = capsys.readouterr().out
    assert 99 == printed.count("x")
    assert 99 == printed.count("y")


def test_a_table_that_is_too_wide_is_one_block_a_row(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No word is broken at 80 columns; what has no value is left out."""
    monkeypatch.setenv("COLUMNS", "80")
    columns = ("epoch", "state", *(f"{name}_at" for name in "abcdef"), "n")
    date = "2026-11-30 17:41 UTC"
    rows = [(1, "deactivated", *[date] * 4, None, "", 0)]
    Output(as_json=False).table("epochs", columns, rows)
    shown = capsys.readouterr().out.splitlines()
    printed = [line.rstrip() for line in shown]

    assert printed[:3] == [
        "epoch  1",
        "state  deactivated",
        f"a_at   {date}",
    ]
    assert "n      0" == printed[-2]
    assert not any(one.startswith(("e_at", "f_at")) for one in printed)
    Output(as_json=True).table("epochs", columns, rows)
    assert set(columns) == set(
        json.loads(capsys.readouterr().out)["epochs"][0]
    )


def test_a_table_gives_way_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is copied stays in one piece; what is read takes two lines."""
    monkeypatch.setenv("COLUMNS", "80")
    client, since = "service-000.dc631f34", 1_796_060_460
    columns = ("client_id", "service", "purpose", "assurance", "since")
    rows = [(client, "service-000", "purpose", 2, since)]
    Output(as_json=False).table("credentials", columns, rows)
    shown = capsys.readouterr().out.splitlines()

    assert all(len(one) == len(shown[0]) <= 80 for one in shown)
    assert any(f" {client} " in one and "30 17:41" in one for one in shown)
    assert any(one.strip("│ ") == "UTC" for one in shown)
    # Lines of a cell stand below each other, and so are not added up.
    rows = [("the first line\nand the second", "word " * 10)]
    Output(as_json=False).table("texts", ("a", "b"), rows)
    assert "word " * 10 in capsys.readouterr().out


def test_a_table_shows_what_it_was_given(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Brackets are no styles; no rows are one sentence, not a frame."""
    monkeypatch.setenv("COLUMNS", "80")
    Output(as_json=False).table("rows", ("a", "b"), [("[red]x", None)])
    assert "[red]x" in (found := capsys.readouterr().out)
    assert "None" not in found
    rows = [(1_790_000_000, None, 1_790_000_000)]
    Output(as_json=False).table("rows", ("at", "gone_at", "n"), rows)
    shown = capsys.readouterr().out
    assert 1 == shown.count("1790000000")
    assert 1 == shown.count("2026-09-21 14:13 UTC")
    Output(as_json=False).table("releases", ("a",), [])
    assert "releases: none\n" == capsys.readouterr().out


def test_readme_s_specification_makes_an_extract(tmp_path: Path) -> None:
    """As it stands there, on a file of its columns; help teaches as much."""
    readme = (ROOT / "README.md").read_text("utf-8")
    shown = readme.split("```yaml\n", 1)[1].split("```", 1)[0]
    spec, file = tmp_path / "people.yaml", tmp_path / "people.csv"
    spec.write_text(textwrap.dedent(shown), "utf-8")
    rows = (
        f"Person {n},{20 + n % 7},{510000 + n % 3},"
        f"{('female', 'male')[n % 2]},{('low', 'high')[n % 5 // 3]}\n"
        for n in range(300)
    )
    file.write_text("name,age,postcode,sex,income\n" + "".join(rows), "utf-8")
    out, report = tmp_path / "out.csv", tmp_path / "report.md"
    command = ["extract", "--input", file, "--spec", spec, "--out", out]

    said = CliRunner().invoke(
        build(), [*map(str, command), "--report", str(report), "--json"]
    )
    taught = CliRunner().invoke(build(), ["extract", "--help"]).output

    found = json.loads(said.stdout)
    assert (0, 300) == (said.exit_code, found["rows_out"])
    assert found["k"] >= 5
    assert found["l"] >= 2
    assert "Person" not in out.read_text("utf-8")
    assert report.is_file()
    for word in ("Example:", "recipient", "suppression_limit", "sensitive"):
        assert word in taught
    # Where help sends its reader, the specification stands.
    section = readme.split("\n## Running it\n")[1].split("\n## ")[0]
    assert "Running it" in taught
    assert shown in section


@pytest.mark.parametrize("name", ["report.html", "report.pdf", "report"])
def test_a_report_of_another_kind_is_refused_before_anything_is_made(
    tmp_path: Path, name: str
) -> None:
    """JSON under the name of a page would be no page."""
    file, spec = tmp_path / "people.csv", tmp_path / "people.yaml"
    file.write_text("age\n1\n", "utf-8")
    spec.write_text("recipient: r\n", "utf-8")
    out, report = tmp_path / "out.csv", tmp_path / name
    said = CliRunner().invoke(
        build(),
        [
            *("extract", "--input", str(file), "--spec", str(spec)),
            *("--out", str(out), "--report", str(report)),
        ],
    )

    assert 2 == said.exit_code
    assert "curtilage release report" in " ".join(said.output.split())
    assert not out.exists()
    assert not report.exists()


@pytest.mark.parametrize("kind", ["file", "folder", "nothing"])
def test_a_place_without_an_instance_is_named_as_such(
    tmp_path: Path, kind: str
) -> None:
    """Not as an instance that lacks something; how to make one is said."""
    home = tmp_path / "some.csv"
    if kind == "file":
        home.write_text("a\n", "utf-8")
    if kind == "folder":
        (home / "data").mkdir(parents=True)
    wrong = Shell(home=home, cast={})
    for command in (("keys", "status"), ("ledger", "verify"), ("serve",)):
        line = wrong(*command).line(2)
        assert f"no instance in {home}: " in line
        assert "passphrase" not in line
        assert line.rstrip().endswith("init")
    if kind == "file":
        assert "is a file; a folder is needed" in wrong("init").line()
        assert "a\n" == home.read_text("utf-8")


def test_the_keys_are_read_at_80_columns(
    shell: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each date stands in one line of its own, behind its name."""
    monkeypatch.setenv("COLUMNS", "80")
    (epoch,) = shell("keys", "status", "--json").document()["epochs"]
    said = shell("keys", "status").out

    assert 10 == len(epoch)
    assert re.search(
        r"^activated_at +\d{4}-\d\d-\d\d \d\d:\d\d UTC", said, re.MULTILINE
    )
    assert "gone_at" not in said


def test_a_bar_of_the_demo_has_its_end() -> None:
    """A stage whose end nobody knows goes through everybody."""
    shown = Console(file=io.StringIO(), force_terminal=True, width=80)
    with _bars(shown, 300) as tell:
        tell("cohort", 300, 0)
        tell("rows", 150, 200)
    assert isinstance(shown.file, io.StringIO)
    printed = shown.file.getvalue()

    assert "300/300" in printed
    assert "150/200" in printed
    assert "?" not in printed.replace("\x1b[?25l", "").replace("\x1b[?25h", "")
