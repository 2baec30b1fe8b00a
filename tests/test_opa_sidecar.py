"""`curtilage serve --opa`: a real OPA server beside ours, kept alive.

Its bundle is signed and fetched from our own server; its API answers nothing
but decisions and health; its log says nothing of a person.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from api.opa_sidecar import make_signing_key
from consent import EntryKind
from policy import load_bundle
from policy.compiling import build_server_bundle
from policy.opa import Patience
from tests.parts import ROOT
from tests.serving import HOST, Served, serving, until
from tests.serving import running as is_running
from tests.test_undecided import SLACK, own
from tests.worlds import NUMBER, World, build_world

pytestmark = [pytest.mark.opa, pytest.mark.slow]


def status(port: int, path: str, method: str = "GET") -> int:
    """The status of one call without a body; 0 where nobody answers."""
    request = urllib.request.Request(
        f"http://{HOST}:{port}{path}", method=method
    )
    try:
        with urllib.request.urlopen(request, timeout=30) as found:  # noqa: S310 - loopback
            code: int = found.status
            return code
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return 0


def opa_of(world: World) -> tuple[int, int]:
    """Process id and port of the OPA server beside an instance's server."""
    configuration = str(world.home / "opa" / "configuration.json").encode()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"opa") and configuration in words:
            address = words[words.index(b"--addr") + 1].decode()
            return int(path.parent.name), int(address.rpartition(":")[2])
    pytest.fail("no OPA server runs")


def is_ready(served: Served) -> bool:
    """Whether it says that it can answer."""
    return status(served.port, "/health/ready") == 200


def decided(world: World, served: Served, name: str) -> dict[str, Any]:
    """Ask until there is a decision: a stall of the machine is no fault."""
    found: list[dict[str, Any]] = []
    refused: set[int] = set()

    def asked() -> bool:
        try:
            found.append(served.ask(world.values[name][NUMBER]))
        except urllib.error.HTTPError as error:
            error.close()
            refused.add(error.code)
        return bool(found)

    until(asked, "it decides")
    assert refused <= {503}
    return found[0]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance with its cast, shared."""
    home = tmp_path_factory.mktemp("sidecar") / "home"
    with build_world(home) as made:
        yield made


@pytest.fixture(scope="module")
def served(world: World, opa_binary: Path) -> Iterator[Served]:
    """That instance, served with an OPA server beside."""
    with serving(world, options=("--opa-binary", str(opa_binary))) as running:
        until(lambda: is_ready(running), "the policies are confirmed")
        yield running


def test_the_server_decides(world: World, served: Served) -> None:
    """Consent opens, refusal does not, and the answer says by which bundle."""
    given = decided(world, served, "consenting")
    refused = decided(world, served, "refusing")

    assert {"release"} == {
        one["effect"] for one in given["attributes"].values()
    }
    assert {"withhold"} == {
        one["effect"] for one in refused["attributes"].values()
    }
    assert world.platform.pdp.revision == given["bundle_revision"]


def test_it_answers_nothing_else(world: World, served: Served) -> None:
    """No policy is read or put, no data, no query, through its own API."""
    _pid, port = opa_of(world)

    assert 200 == status(port, "/health")
    for method, path in (
        ("GET", "/v1/policies"),
        ("PUT", "/v1/policies/mine"),
        ("GET", "/v1/data"),
        ("PUT", "/v1/data/vocabulary"),
        ("POST", "/v1/query"),
        ("POST", "/v1/compile"),
        ("GET", "/v1/config"),
        ("GET", "/metrics"),
    ):
        assert 401 == status(port, path, method), path


def test_its_log_names_nobody(world: World, served: Served) -> None:
    """The decision log holds what the mask lets through, and no fact."""
    decided(world, served, "withdrawn")
    path = world.home / "opa" / "opa.log"

    def logged() -> list[dict[str, object]]:
        lines = [
            json.loads(one)
            for one in path.read_text().splitlines()
            if one.startswith("{")
        ]
        return [
            one
            for one in lines
            if one.get("path") == "curtilage/disclosure/decision"
        ]

    until(lambda: bool(logged()), "the decision is logged")
    [*_, last] = logged()
    assert {"schema", "service", "request"} == set(last["input"])
    assert {"schema"} == set(last["result"])
    assert last["decision_id"]
    assert "consent_withdrawn" not in path.read_text()


def test_a_killed_one_comes_again(world: World, served: Served) -> None:
    """Meanwhile there is no decision, and afterwards there is."""
    refused: list[int] = []

    def is_noticed() -> bool:
        # One that was started again during a stall is killed again.
        with suppress(pytest.fail.Exception, ProcessLookupError):
            os.kill(opa_of(world)[0], signal.SIGKILL)
        if is_ready(served):
            return False
        try:
            served.ask(world.values["consenting"][NUMBER])
        except urllib.error.HTTPError as error:
            error.close()
            refused.append(error.code)
        return bool(refused)

    until(is_noticed, "its end is noticed")
    entry = own(world, "consenting")
    until(lambda: is_ready(served), "it decides again")
    found = decided(world, served, "consenting")

    assert [503] == refused
    assert EntryKind.NO_DECISION is entry.kind
    assert {"release"} == {
        one["effect"] for one in found["attributes"].values()
    }


def test_a_stopped_one_is_no_decision(world: World, served: Served) -> None:
    """SIGSTOP: an answer inside the deadline, and it recovers by itself."""
    pid, _port = opa_of(world)
    os.kill(pid, signal.SIGSTOP)
    begun = time.monotonic()
    try:
        with pytest.raises(urllib.error.HTTPError) as refused:
            served.ask(world.values["consenting"][NUMBER])
        body = json.loads(refused.value.read())
        refused.value.close()
        took = time.monotonic() - begun
        entry = own(world, "consenting")
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: is_ready(served), "it decides again")
    found = decided(world, served, "consenting")

    assert (503, "/problems/no-decision") == (
        refused.value.code,
        body["type"],
    )
    assert body["cause"] in {"timeout", "open-circuit"}
    assert took < Patience().seconds + SLACK
    assert "Canary" not in json.dumps(body)
    assert (EntryKind.NO_DECISION, {"cause": body["cause"]}) == (
        entry.kind,
        entry.detail,
    )
    assert {"release"} == {
        one["effect"] for one in found["attributes"].values()
    }


def test_it_ends_with_the_server(tmp_path: Path, opa_binary: Path) -> None:
    """Also when ours is killed and can tell nobody."""
    with (
        build_world(tmp_path / "home") as world,
        serving(world, options=("--opa-binary", str(opa_binary))) as running,
    ):
        pid, _port = opa_of(world)
        running.process.kill()
        running.process.wait()
        until(lambda: not is_running(pid), "it ends")


def test_an_unsigned_bundle_is_not_loaded(
    tmp_path: Path, opa_binary: Path
) -> None:
    """Whoever can write the file cannot put policies into force."""
    forged = tmp_path / "forged.tar.gz"
    build_server_bundle(
        opa_binary, ROOT / "policies", forged, revision="f" * 64
    )
    with (
        build_world(tmp_path / "home") as world,
        serving(world, options=("--opa-binary", str(opa_binary))) as running,
    ):
        until(lambda: is_ready(running), "the policies are confirmed")
        log = world.home / "opa" / "opa.log"
        shutil.copy(forged, world.home / "opa" / "bundle.tar.gz")
        until(
            lambda: "bundle missing .signatures.json file" in log.read_text(),
            "the forged bundle is refused",
        )

        assert is_ready(running)


def test_a_fleet_loads_what_was_signed(
    tmp_path: Path, opa_binary: Path
) -> None:
    """The command's bundle loads under its public key, and no other does."""
    key, bundle = tmp_path / "k.pem", tmp_path / "bundle.tar.gz"
    for _ in range(2):
        found = CliRunner().invoke(
            build(),
            [
                *("policy", "sign", "--opa", str(opa_binary), "--json"),
                *("--key", str(key), "--out", str(bundle)),
            ],
        )
        assert 0 == found.exit_code, found.output
    told = json.loads(found.stdout)
    assert load_bundle().revision == told["revision"]
    assert 0o600 == key.stat().st_mode & 0o777
    other = make_signing_key(tmp_path / "other.pem")
    (tmp_path / "other.pub.pem").write_text(other)

    def loads(public: Path) -> bool:
        done = subprocess.run(
            [
                *(opa_binary, "build", "--bundle", bundle),
                *("--output", tmp_path / "again.tar.gz"),
                *("--verification-key", public),
                *("--verification-key-id", "curtilage"),
                *("--signing-alg", "ES256"),
            ],
            capture_output=True,
            check=False,
        )
        return done.returncode == 0

    assert loads(tmp_path / "k.pub.pem")
    assert not loads(tmp_path / "other.pub.pem")


def test_without_a_binary_it_says_so(tmp_path: Path) -> None:
    """One clear error, and nothing is served."""
    with build_world(tmp_path / "home") as world:
        found = subprocess.run(
            [
                *(sys.executable, "-c"),
                "from api.cli.main import main; main()",
                *("--home", str(world.home), "serve", "--opa"),
            ],
            env={"PATH": str(tmp_path), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )

    assert found.returncode
    assert "--opa-binary" in found.stderr
    assert "Traceback" not in found.stderr
