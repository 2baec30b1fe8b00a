"""No decision: 503 with its cause in time, nothing leaked, and an entry.

The engine is made to fail in every way that one can. Each time the answer is
the same whoever was asked about, the person's own entry says that there was
no decision, and the next question is decided again.
"""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from api.bootstrap import bootstrap
from api.pages.desk import GateDesk
from api.pages.port import Effect, Outcome
from consent import EntryKind, OwnEntry, Visibility, load_yaml
from policy import (
    Cause,
    NoDecision,
    PolicyDecisionPoint,
    load_bundle,
)
from policy.compiling import build_server_bundle
from policy.embedded import EmbeddedPdp
from policy.engine import Limits
from policy.opa import OpaPdp, Patience
from tests.databases import Kind
from tests.doors import Door, assert_problem, at_the_door, body_about
from tests.engines import compiled, unhurried, write_policy
from tests.parts import opa
from tests.test_authzen import EVALUATION, question, send
from tests.test_visibility import POLICE, inquiry, rule
from tests.worlds import (
    ADDRESS,
    BIRTH,
    CHEAP,
    OFFICER,
    World,
    build_world,
    publish,
)

ENTRYPOINT = "curtilage/disclosure/decision"
DEADLINE = 0.75
# A commit, and a busy machine: what comes on top of the engine's deadline.
SLACK = 30.0  # of a loaded machine: what is not bounded takes minutes
QUICK = Patience(seconds=DEADLINE, attempts=1, failures=1_000)
# A wrong answer comes at once, unless the machine stalls: that is no lateness.
CALM = Patience(seconds=SLACK, attempts=1, failures=1_000)
# What a hostile or broken policy could hold: 10^8 turns before an answer.
ENDLESS = """package curtilage.disclosure

decision := {"schema": "curtilage/disclosure/1", "attributes": {a: {
	"effect": "release",
	"level": 0,
	"reasons": [{"code": "consent_given", "remedy": "none"}],
	"obligations": [],
} |
	some a in input.request.attributes
}} if settled

settled if not "user.bdate" in input.request.attributes

settled if {
	"user.bdate" in input.request.attributes
	count([1 |
		some a in numbers.range(1, 10000)
		some b in numbers.range(1, 10000)
		a + b < 0
	]) == 0
}
"""


class Falsifier(ThreadingHTTPServer):
    """An OPA server that answers well, or as it is told to.

    Attributes:
        spoil: makes bytes of the right answer; None breaks the connection.
    """

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port."""
        super().__init__(("127.0.0.1", 0), _Answering)
        self.pdp = unhurried()
        self.spoil: Callable[[dict[str, Any]], tuple[int, bytes] | None]
        self.spoil = well

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def right(self, document: dict[str, Any]) -> dict[str, Any]:
        """The answer of a server with the right bundle."""
        return {
            "result": self.pdp.evaluate(ENTRYPOINT, document),
            "provenance": {"bundles": {"b": {"revision": self.pdp.revision}}},
        }


class _Answering(BaseHTTPRequestHandler):
    server: Falsifier

    def do_POST(self) -> None:
        """Answer one decision."""
        body = self.rfile.read(int(self.headers["content-length"]))
        right = self.server.right(json.loads(body)["input"])
        found = self.server.spoil(right)
        if found is None:
            return
        status, content = found
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


def well(right: dict[str, Any]) -> tuple[int, bytes]:
    """The right answer."""
    return 200, json.dumps(right).encode()


def changed(**fields: Any) -> Callable[[dict[str, Any]], tuple[int, bytes]]:  # noqa: ANN401 - JSON
    """Return the right answer with other fields."""
    return lambda right: well(right | fields)


def slowly(right: dict[str, Any]) -> tuple[int, bytes]:
    """The right answer, too late."""
    time.sleep(2 * DEADLINE)
    return well(right)


def generous(right: dict[str, Any]) -> tuple[int, bytes]:
    """Everything released, with one thing more than was asked."""
    given = {
        "effect": "release",
        "level": 0,
        "reasons": [{"code": "consent_given", "remedy": "none"}],
        "obligations": [],
    }
    asked = dict.fromkeys((*right["result"]["attributes"], BIRTH), given)
    return well(right | {"result": right["result"] | {"attributes": asked}})


OLDER = {"bundles": {"b": {"revision": "0" * 64}}}
SPOILT = {
    "500": (lambda _right: (500, b"{}"), Cause.EVALUATION_ERROR),
    "garbage": (lambda _right: (200, b"\x00\xff]["), Cause.MALFORMED),
    "no result": (
        lambda right: well({"provenance": right["provenance"]}),
        Cause.UNDEFINED,
    ),
    "an older revision": (changed(provenance=OLDER), Cause.WRONG_REVISION),
    "a self-made allow": (changed(result={"allow": True}), Cause.MALFORMED),
    "an allow of more": (generous, Cause.MALFORMED),
    "a broken connection": (lambda _right: None, Cause.DOWN),
    "slow": (slowly, Cause.TIMEOUT),
}


@contextmanager
def falsified() -> Iterator[Falsifier]:
    """Run such a server."""
    with Falsifier() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def decided_by(door: Door, pdp: PolicyDecisionPoint) -> Iterator[None]:
    """Let another engine decide disclosures at a door."""
    gate = door.world.platform.gate
    before, gate._pdp = gate._pdp, pdp
    try:
        yield
    finally:
        gate._pdp = before
        if isinstance(pdp, OpaPdp):
            assert door.client.portal is not None
            door.client.portal.call(pdp.aclose)


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared."""
    home = tmp_path_factory.mktemp("undecided") / "home"
    with (
        build_world(home, database=database) as world,
        at_the_door(world) as made,
    ):
        yield made


def own(world: World, name: str) -> OwnEntry:
    """The newest entry about a character, as the person sees it."""
    platform = world.platform
    holding = platform.vault.holding(world.cast[name])
    [entry] = platform.ledger.own_entries(
        platform.vault.log_key(holding), before=None, limit=1
    )
    return entry


def assert_undecided(
    door: Door, cause: Cause, *attributes: str, within: float
) -> None:
    """Hold a failing engine to what everybody is to be told.

    Args:
        door: where it is asked.
        cause: expected.
        attributes: what is asked for.
        within: seconds that one answer may take.
    """
    told = []
    for name in ("consenting", "refusing", "nobody"):
        size, begun = door.size(), time.monotonic()
        found = door.ask(body_about(door.world, name, *attributes))
        took = time.monotonic() - begun
        body = assert_problem(found, 503)

        assert "/problems/no-decision" == body["type"]
        assert cause.value == body["cause"]
        assert took < within
        assert "Canary" not in found.text
        assert size + 1 == door.size()
        body["request"] = ""
        told.append((body, len(found.headers)))
        if name in door.world.cast:
            entry = own(door.world, name)
            assert (EntryKind.NO_DECISION, "no-decision", attributes) == (
                entry.kind,
                entry.outcome,
                entry.attributes,
            )
            assert {"cause": cause.value} == entry.detail
    assert [told[0]] * 3 == told


def assert_recovered(door: Door, *, tries: int = 1) -> None:
    """The next question is decided, and its values leave.

    Args:
        door: where it is asked.
        tries: how often, of an engine with a short deadline: a stall of the
            machine is one more lateness, and no fault that stays.
    """
    for _ in range(tries):
        found = door.ask(body_about(door.world, "consenting", *ADDRESS))
        if 200 == found.status_code:
            break

    assert 200 == found.status_code
    assert "0 Canary Street" in found.text


@pytest.mark.parametrize("name", SPOILT)
def test_a_failing_server_is_no_decision(door: Door, name: str) -> None:
    """Each fault: 503 in time, an entry, no value, and it recovers."""
    spoil, cause = SPOILT[name]
    with falsified() as server:
        pdp = OpaPdp(
            url=server.url,
            revision=load_bundle().revision,
            patience=QUICK if cause is Cause.TIMEOUT else CALM,
        )
        with decided_by(door, pdp):
            server.spoil = spoil
            assert_undecided(door, cause, *ADDRESS, within=DEADLINE + SLACK)
            server.spoil = well
            assert_recovered(door, tries=5)


def test_an_absent_server_is_no_decision(door: Door) -> None:
    """Nothing listens; and while the circuit rests nobody waits for it."""
    with falsified() as server:
        url = server.url
    pdp = OpaPdp(
        url=url,
        revision=load_bundle().revision,
        patience=Patience(seconds=SLACK, failures=3, rest=600.0),
    )
    with decided_by(door, pdp):
        assert_undecided(door, Cause.DOWN, *ADDRESS, within=DEADLINE + SLACK)
        assert_undecided(door, Cause.OPEN_CIRCUIT, *ADDRESS, within=SLACK)
    assert_recovered(door)


def test_an_engine_past_its_budget_is_no_decision(door: Door) -> None:
    """The product's own policies, out of steps."""
    pdp = EmbeddedPdp(load_bundle(), limits=Limits(steps=20))
    with decided_by(door, pdp):
        assert_undecided(door, Cause.BUDGET, *ADDRESS, within=SLACK)
    assert_recovered(door)


@pytest.mark.opa
@pytest.mark.parametrize(
    ("limits", "cause"),
    [
        (Limits(seconds=60.0), Cause.BUDGET),
        (Limits(steps=10**12), Cause.TIMEOUT),
    ],
)
def test_a_rule_of_many_steps_is_no_decision(
    door: Door, opa_binary: Path, tmp_path: Path, limits: Limits, cause: Cause
) -> None:
    """10^8 turns end at the budget, and without one at the deadline."""
    source = write_policy(tmp_path / "policy", {"p.rego": ENDLESS})
    bundle = compiled(opa_binary, source, (ENTRYPOINT,))
    with decided_by(door, EmbeddedPdp(bundle, limits=limits)):
        assert_undecided(
            door, cause, *ADDRESS, BIRTH, within=Limits().seconds + SLACK
        )
        assert_recovered(door)


@pytest.mark.opa
def test_a_rule_of_many_steps_on_a_server_is_no_decision(
    door: Door, opa_binary: Path, tmp_path: Path
) -> None:
    """Our deadline ends it, and the server decides the next question."""
    source = write_policy(tmp_path / "policy", {"p.rego": ENDLESS})
    archive, revision = source / "server.tar.gz", "1" * 64
    build_server_bundle(opa_binary, source, archive, revision=revision)
    with opa.serve(opa_binary, ["--bundle", archive]) as url:
        pdp = OpaPdp(url=url, revision=revision, patience=QUICK)
        with decided_by(door, pdp):
            assert_undecided(
                door, Cause.TIMEOUT, *ADDRESS, BIRTH, within=DEADLINE + SLACK
            )
            assert_recovered(door, tries=5)


class Silent:
    """An engine that never decides, and quotes somebody as it fails."""

    revision = "none"

    async def decide(self, _entrypoint: str, _document: object) -> object:
        """Fail."""
        raise NoDecision(Cause.UNDEFINED, "0 Canary Street")


def test_a_judgement_without_a_decision_is_an_entry(door: Door) -> None:
    """Asked whether, too: the person sees that nothing was decided."""
    with decided_by(door, Silent()):
        found = send(door, EVALUATION, question(door, "consenting"))
    assert_problem(found, 503)
    assert EntryKind.NO_DECISION is own(door.world, "consenting").kind


def test_the_person_and_the_officer_are_told(door: Door) -> None:
    """In plain words for the one, by outcome for the other; no quotation."""
    platform = door.world.platform
    before = door.size()
    with decided_by(door, Silent()):
        door.ask(body_about(door.world, "consenting", *ADDRESS))
    entry = own(door.world, "consenting")
    use = GateDesk(platform)._use(entry)
    [seen] = asyncio.run(platform.registrar.audit(OFFICER, after=before - 1))

    assert {"cause": "undefined"} == entry.detail
    assert Outcome.UNDECIDED is use.outcome
    assert [(name, Effect.WITHHOLD, "") for name in ADDRESS] == [
        (one.attribute, one.effect, one.reason) for one in use.attributes
    ]
    assert seen.body is not None
    assert (EntryKind.NO_DECISION, "no-decision", ADDRESS) == (
        seen.body.kind,
        seen.body.outcome,
        seen.body.attributes,
    )


def test_what_the_law_delays_is_delayed_here_too(tmp_path: Path) -> None:
    """A class of visibility holds for what was not decided as for the rest."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        publish(platform, load_yaml(POLICE.encode(), where="police.yml"))
        rule(platform, Visibility.SEALED)
        platform.gate._pdp = Silent()
        with pytest.raises(NoDecision):
            world.run(platform.gate.disclose(inquiry(world, "consenting")))
        last = platform.ledger.size() - 1
        [seen] = asyncio.run(platform.registrar.audit(OFFICER, after=last - 1))

        assert Visibility.SEALED is seen.visibility
        assert EntryKind.NO_DECISION is not own(world, "consenting").kind


def test_without_a_ledger_there_is_no_entry_and_no_answer(
    tmp_path: Path,
) -> None:
    """Neither the engine nor the ledger: 503 all the same."""
    with (
        build_world(tmp_path / "home") as world,
        at_the_door(world) as door,
        decided_by(door, Silent()),
    ):
        door.token()
        with world.platform.data.begin() as conn:
            conn.execute(text("ALTER TABLE ledger_entry RENAME TO gone"))
        found = door.ask(body_about(world, "consenting", *ADDRESS))

    assert "undefined" == assert_problem(found, 503)["cause"]


def test_the_embedded_engine_of_the_start_is_what_decides(
    tmp_path: Path,
) -> None:
    """Who starts a platform with one of other limits gets those."""
    with build_world(tmp_path / "home") as world:
        short = bootstrap(
            world.platform.settings,
            clock=world.clock,
            embedded=EmbeddedPdp(load_bundle(), limits=Limits(steps=20)),
            costs=CHEAP,
        )
        with pytest.raises(NoDecision) as raised:
            asyncio.run(
                short.gate.disclose(world.request("consenting", *ADDRESS))
            )
        short.close()
        assert Cause.BUDGET is raised.value.cause
