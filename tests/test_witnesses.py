"""Both sides: a ledger, three witness processes, a quorum of two."""

import json
import os
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from sqlalchemy import Engine, text
from typer.testing import CliRunner

from api.cli.main import build
from api.witnesses import (
    WitnessClient,
    WitnessFailedError,
    post_bytes,
    witness_clients,
)
from consent.checkpoint import open_checkpoint
from consent.cosignatures import CosignatureKey
from consent.errors import NoteUntrusted
from consent.ledger import Ledger
from consent.signed_notes import parse_note_untrusted
from consent.tlog_policy import TrustPolicy, read_trust_policy
from consent.witness import submission
from tests.ledgers import (
    ORIGIN,
    SIGNER,
    VKEY,
    fill,
    make_ledger,
    open_empty,
    person,
    wipe,
)
from tests.parts import ROOT
from tests.serving import free_port

COMMAND = (
    sys.executable,
    "-c",
    (
        "from tests.loopback import guard_network; guard_network();"
        "from api.cli import main; main()"
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """A witness that runs."""

    folder: Path
    port: int
    vkey: str

    @property
    def url(self) -> str:
        """Its submission prefix."""
        return f"http://127.0.0.1:{self.port}/w"


def curtilage(*arguments: object) -> str:
    """Run a command in this process."""
    done = CliRunner().invoke(build(), [*map(str, arguments)])
    assert 0 == done.exit_code, done.stderr
    return done.stdout


def start(
    folder: Path, number: int, stack: ExitStack, *, log: str = VKEY
) -> Process:
    """Make a witness by its command and start its server."""
    said = json.loads(
        curtilage(
            "witness",
            "init",
            folder,
            "--name",
            f"witness.example/w{number}",
            "--log",
            log,
            "--json",
        )
    )
    port = free_port()
    process = subprocess.Popen(
        [
            *COMMAND,
            *("witness", "serve", str(folder)),
            *("--port", str(port), "--prefix", "/w"),
        ],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )

    def stop() -> None:
        process.terminate()
        process.wait(timeout=240)

    stack.callback(stop)
    return Process(folder=folder, port=port, vkey=said["keys"][0])


@pytest.fixture(scope="module")
def processes(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[list[Process]]:
    """Run three witnesses that follow the ledger of the tests."""
    folder = tmp_path_factory.mktemp("witnesses")
    with ExitStack() as stack:
        made = [start(folder / f"w{n}", n, stack) for n in (1, 2, 3)]
        for each in made:
            wait_for(each)
        yield made


def wait_for(process: Process) -> None:
    """Wait until a witness answers."""
    for _ in range(2400):
        try:
            post_bytes(f"{process.url}/nothing", b"")
        except OSError:
            _pause()
        else:
            return
    pytest.fail("the witness does not answer")


def _pause() -> None:
    subprocess.run(["sleep", "0.1"], check=True)


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    """Open an empty database."""
    opened = open_empty("sqlite", tmp_path_factory.mktemp("ledger"))
    yield opened
    opened.dispose()


def policy_of(processes: list[Process], *, dead: int = 0) -> TrustPolicy:
    """Two of three, each under its URL; some of them gone."""
    lines = [f"log {VKEY}"]
    for number, each in enumerate(processes, start=1):
        url = each.url if number > dead else "http://127.0.0.1:9/w"
        lines.append(f"witness w{number} {each.vkey} {url}")
    lines += ["group two 2 w1 w2 w3", "quorum two", ""]
    return read_trust_policy("\n".join(lines).encode(), where="policy")


@pytest.fixture(scope="module")
def ledger(engine: Engine, processes: list[Process]) -> Ledger:
    """Return a ledger that three witnesses follow."""
    wipe(engine)
    return make_ledger(engine, trust=policy_of(processes))


def grow(ledger: Ledger, count: int = 3) -> None:
    """Append some entries and sign."""
    fill(ledger, count)
    ledger.checkpoint()


def test_two_of_three_make_a_quorum(
    ledger: Ledger, processes: list[Process]
) -> None:
    """Cosignatures come back, verify, and stand under the checkpoint."""
    grow(ledger)
    size = ledger.size()
    trust = policy_of(processes)
    first, second, third = witness_clients(ledger)

    bare = ledger.publication.newest()
    assert bare is not None
    assert (False, ()) == (bare.quorum, bare.witnesses)
    assert first.submit().fresh
    assert not first.submit().fresh
    one = ledger.publication.newest()
    assert one is not None
    assert (False, ("w1",)) == (one.quorum, one.witnesses)
    with pytest.raises(NoteUntrusted):
        trust.demand_quorum(parse_note_untrusted(one.note.encode()))
    assert second.submit().fresh
    two = ledger.publication.newest()
    assert two is not None
    assert (True, size) == (two.quorum, two.size)
    note = parse_note_untrusted(two.note.encode())
    assert {"w1", "w2"} == set(trust.demand_quorum(note))
    assert open_checkpoint(two.note.encode(), [SIGNER.verifier], origin=ORIGIN)
    assert size == third.submit().size


def test_the_shown_checkpoint_waits_for_its_quorum(
    ledger: Ledger, processes: list[Process]
) -> None:
    """A newer one without cosignatures is not shown; proofs rest on it.

    Where a proof needs the newer one, it gets it all the same.
    """
    grow(ledger)
    for client in witness_clients(ledger):
        client.submit()
    size = ledger.size()
    grow(ledger)
    shown = ledger.publication.newest()
    early = ledger.disclosure_proof(0, person(1)[1])
    late = ledger.disclosure_proof(size, person(1)[1])

    assert shown is not None
    assert (size, True) == (shown.size, shown.quorum)
    assert f"\n{size}\n" in json.loads(early)["proof"]
    assert f"\n{size + 3}\n" in json.loads(late)["proof"]
    assert 3 == len(processes)


def test_a_dead_witness_is_outvoted(
    engine: Engine, ledger: Ledger, processes: list[Process]
) -> None:
    """With one of three gone the quorum stands; with two it does not."""
    for dead, quorum in ((1, True), (2, False)):
        grow(ledger)
        again = make_ledger(engine, trust=policy_of(processes, dead=dead))
        failed = 0
        for client in witness_clients(again):
            try:
                client.submit()
            except WitnessFailedError:
                failed += 1
        shown = again.publication.newest()

        assert dead == failed
        assert shown is not None
        assert quorum is (shown.size == again.size())


def test_a_log_that_forgot_learns_the_size(
    engine: Engine, ledger: Ledger
) -> None:
    """Without its stored cosignatures it asks from 0 and takes the 409."""
    grow(ledger)
    for client in witness_clients(ledger):
        client.submit()
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_cosignature"))
    for client in witness_clients(ledger):
        assert client.submit().fresh
    grow(ledger)
    with engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_cosignature"))
    for client in witness_clients(ledger):
        assert ledger.size() == client.submit().size


def test_a_fork_finds_no_witness(
    ledger: Ledger, processes: list[Process], tmp_path: Path
) -> None:
    """Attack 24, fork: another history under the same key is refused.

    Whether it is as long, longer, or shorter than the one they know.
    """
    grow(ledger)
    for client in witness_clients(ledger):
        client.submit()
    fork_engine = open_empty("sqlite", tmp_path)
    fork = make_ledger(fork_engine, trust=policy_of(processes))
    seen = ledger.size()
    for size, why in (
        (seen - 1, "taken back"),
        (seen, "422"),
        (seen + 4, "422"),
    ):
        fill(fork, size - fork.size())
        fork.checkpoint()
        for client in witness_clients(fork):
            with pytest.raises(WitnessFailedError, match=why):
                client.submit()
        shown = fork.publication.newest()
        assert shown is not None
        assert (False, ()) == (shown.quorum, shown.witnesses)
    fork_engine.dispose()
    grow(ledger)
    assert all(client.submit().fresh for client in witness_clients(ledger))


def test_a_ledger_that_was_taken_back_is_noticed(
    ledger: Ledger, processes: list[Process], tmp_path: Path
) -> None:
    """Attack 24, truncated ledger: the witnesses know the larger size."""
    for client in witness_clients(ledger):
        client.submit()
    engine = open_empty("sqlite", tmp_path)
    back = make_ledger(engine, trust=policy_of(processes))
    fill(back, 2)
    back.checkpoint()
    for client in witness_clients(back):
        with pytest.raises(WitnessFailedError, match="taken back"):
            client.submit()
    engine.dispose()


def test_a_forged_checkpoint_is_refused_over_http(
    ledger: Ledger, processes: list[Process]
) -> None:
    """Attack 24, forged checkpoint: 403, and the witness stays."""
    note = ledger.checkpoint().replace(
        str(ledger.size()), str(ledger.size() + 1), 1
    )
    for each in processes:
        status, _ = post_bytes(
            f"{each.url}/add-checkpoint", submission(0, [], note)
        )
        assert 403 == status


def test_what_a_witness_serves(processes: list[Process]) -> None:
    """One path, one method, a bounded body; content types as they are."""
    url = f"{processes[0].url}/add-checkpoint"

    assert 413 == post_bytes(url, b"x" * (1 << 19))[0]
    assert 400 == post_bytes(url, b"x")[0]
    assert 404 == post_bytes(f"{processes[0].url}/other", b"x")[0]
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(url)  # noqa: S310 - loopback
    assert 405 == caught.value.code
    caught.value.close()


def test_what_a_witness_says_of_itself(
    ledger: Ledger, processes: list[Process]
) -> None:
    """Its keys, what it follows, and how far it came."""
    grow(ledger)
    for client in witness_clients(ledger):
        client.submit()
    for each in processes:
        said = json.loads(curtilage("witness", "show", each.folder, "--json"))

        assert each.vkey == said["keys"][0]
        assert [6, 4] == [
            CosignatureKey.parse(key).algorithm for key in said["keys"]
        ]
        (log,) = said["logs"]
        assert (ORIGIN, ledger.size()) == (log["origin"], log["size"])


# --- A witness that lies ----------------------------------------------------


@pytest.mark.parametrize(
    ("status", "answer", "why"),
    [
        (200, b"", "no cosignature"),
        (200, b"junk\n", "its answer"),
        (200, b"\xff\n", "its answer"),
        (409, b"", "without a size"),
        (409, b"-1\n", "without a size"),
        (409, b"9" * 40, "without a size"),
        (409, "٣\n".encode(), "without a size"),
        (409, b"0\n", "answered 409"),
        (409, b"99999999\n", "taken back"),
        (302, b"", "answered 302"),
        (500, b"\x1b[31mred\x07\n", r"answered 500: \?\[31mred\?"),
    ],
)
def test_an_answer_that_is_none(
    ledger: Ledger,
    processes: list[Process],
    status: int,
    answer: bytes,
    why: str,
) -> None:
    """Nothing is kept of it, and the error names the witness and why."""
    grow(ledger)
    assert ledger.publication.policy is not None
    known = ledger.publication.policy.witnesses["w1"]
    client = WitnessClient(
        ledger, known, post=lambda _url, _body: (status, answer)
    )
    before = ledger.publication.largest(known.key)

    with pytest.raises(WitnessFailedError, match=f"witness w1.*{why}"):
        client.submit()
    assert before == ledger.publication.largest(known.key)
    assert 3 == len(processes)


def test_a_cosignature_of_another_checkpoint_is_not_kept(
    ledger: Ledger,
) -> None:
    """A witness that answers with an old line is not believed."""
    grow(ledger)
    client = witness_clients(ledger)[0]
    answers = []

    def post(url: str, body: bytes) -> tuple[int, bytes]:
        answers.append(post_bytes(url, body))
        return answers[-1]

    client._post = post
    client.submit()
    grow(ledger)
    client._post = lambda _url, _body: answers[-1]

    with pytest.raises(WitnessFailedError, match="does not hold"):
        client.submit()
    client._post = post_bytes
    assert client.submit().fresh


def test_a_spoiled_row_is_left_out(ledger: Ledger) -> None:
    """Who can write to the table can take a line away, not spoil the note."""
    grow(ledger)
    for client in witness_clients(ledger):
        client.submit()
    with ledger.engine.begin() as conn:
        conn.execute(
            text(
                "UPDATE ledger_cosignature SET signature = :junk"
                " WHERE name LIKE '%w1'"
            ),
            {"junk": bytes(2428)},
        )
    shown = ledger.publication.newest()

    assert shown is not None
    assert (("w2", "w3"), True) == (shown.witnesses, shown.quorum)


class Redirecting(BaseHTTPRequestHandler):
    """A server that sends everybody elsewhere."""

    def do_POST(self) -> None:
        """Answer with another address."""
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(307)
        self.send_header("Location", "http://127.0.0.1:9/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(status: int) -> None:
    """No address is reached but the one that the policy names."""

    class Elsewhere(Redirecting):
        def send_response(
            self,
            code: int,  # noqa: ARG002 - the case's own stands for it
            message: str | None = None,
        ) -> None:
            super().send_response(status, message)

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            found = post_bytes(
                f"http://127.0.0.1:{server.server_port}/w", b"body"
            )
        finally:
            server.shutdown()
            thread.join()

    assert status == found[0]
