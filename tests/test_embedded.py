"""The embedded decision point: whole answers or `NoDecision`."""

import asyncio
import gc
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from policy.bundle import Bundle
from policy.embedded import EmbeddedPdp
from policy.engine import DocumentRefused, Limits, PlanInvalid
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from tests.bench.population import base_documents, inputs
from tests.engines import compiled, exactly, unhurried, write_policy
from tests.parts import ROOT

pytestmark = pytest.mark.opa

RULES = """package t

echo := input.value

whole := input

answer := {"nonce": input.nonce, "left": data.left, "right": data.right} if {
	some n in numbers.range(1, 60)
	n > input.least
}

nothing if input.absent

empty := {}

none := null

long := concat("", [x | some _ in numbers.range(1, 1000); x := input.value])

deep := [[[input.value]]]

many := numbers.range(1, 30000)

too_many := numbers.range(1, 200000)

slow := count([1 |
	some i in numbers.range(1, 10000)
	some j in numbers.range(1, 10000)
	i * j < 0
])

two := 1 if input.value

two := 2 if input.value
"""
NAMES = (
    "echo",
    "whole",
    "answer",
    "nothing",
    "empty",
    "none",
    "long",
    "deep",
    "many",
    "too_many",
    "slow",
    "two",
)
DATA = {"left": 1, "right": 1}


@pytest.fixture(scope="module")
def bundle(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """Compile the rules of this module."""
    source = write_policy(
        tmp_path_factory.mktemp("rules"), {"t.rego": RULES}, json.dumps(DATA)
    )
    return compiled(opa_binary, source, tuple(f"t/{name}" for name in NAMES))


@pytest.fixture
def pdp(bundle: Bundle) -> EmbeddedPdp:
    """Return an engine of its own for a test."""
    return unhurried(bundle)


def cause_of(call: Callable[[], Any]) -> Cause:
    """Return the cause of the `NoDecision` that a call ends in."""
    with pytest.raises(NoDecision) as raised:
        call()
    return raised.value.cause


def test_it_is_a_decision_point(pdp: EmbeddedPdp, bundle: Bundle) -> None:
    """It has the port's shape, and names what decides."""
    port: PolicyDecisionPoint = pdp
    assert bundle.revision == port.revision
    assert {f"t/{name}" for name in NAMES} == pdp.entrypoints
    document = {"nonce": "a", "least": 3}
    decided = asyncio.run(port.decide("t/answer", document))
    assert {"nonce": "a", "left": 1, "right": 1} == decided.document
    assert bundle.revision == decided.revision


ECHOED = [
    None,
    True,
    False,
    0,
    1,
    -1,
    1.0,
    0.5,
    -0.0,
    10**40 + 1,
    "",
    'é\0\n"',
    [],
    {},
    [[], {}, None, 1, 1.0],
    {"": None, "a": {"b": [1.5]}},
]


@pytest.mark.parametrize("value", ECHOED, ids=repr)
def test_every_json_value_comes_back_unchanged(
    pdp: EmbeddedPdp, value: object
) -> None:
    """1 stays 1 and 1.0 stays 1.0, null stays and absent is undefined."""
    assert exactly(value) == exactly(pdp.evaluate("t/echo", {"value": value}))
    assert Cause.UNDEFINED == cause_of(lambda: pdp.evaluate("t/echo", {}))


FAULTS = {
    "undefined": ("t/nothing", {}, Cause.UNDEFINED),
    "unknown entrypoint": ("t/other", {}, Cause.UNDEFINED),
    "null": ("t/none", {}, Cause.MALFORMED),
    "a boolean": ("t/echo", {"value": True}, Cause.MALFORMED),
    "an array": ("t/deep", {"value": 1}, Cause.MALFORMED),
    "not JSON": ("t/echo", {"value": {1}}, Cause.MALFORMED),
    "NaN": ("t/echo", {"value": float("nan")}, Cause.MALFORMED),
    "a lone surrogate": ("t/echo", {"value": "\ud800"}, Cause.MALFORMED),
    "no object": ("t/echo", ["value"], Cause.MALFORMED),
    "too large an input": (
        "t/echo",
        {"value": "x" * 5_000_000},
        Cause.MALFORMED,
    ),
    "too many values": ("t/echo", {"value": [0] * 100_001}, Cause.MALFORMED),
    "too large a string": ("t/long", {"value": "x" * 4000}, Cause.BUDGET),
    "too large a result": ("t/many", {}, Cause.BUDGET),
    "too large a collection": ("t/too_many", {}, Cause.BUDGET),
    "two values": ("t/two", {"value": 1}, Cause.EVALUATION_ERROR),
    "too slow": ("t/slow", {}, Cause.TIMEOUT),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault_is_no_decision_with_its_cause(
    bundle: Bundle, name: str
) -> None:
    """Never an allow, never a deny: no decision, and why."""
    path, document, cause = FAULTS[name]
    seconds = 0.3 if cause is Cause.TIMEOUT else 60.0
    pdp = EmbeddedPdp(bundle, limits=Limits(seconds=seconds, steps=10**12))
    assert cause == cause_of(
        lambda: asyncio.run(pdp.decide(path, document))  # type: ignore[arg-type] # wrong on purpose
    )


def test_empty_object_is_a_decision_to_the_engine(pdp: EmbeddedPdp) -> None:
    """Whether `{}` is one to act on is for the reader of decisions."""
    assert {} == asyncio.run(pdp.decide("t/empty", {})).document


def test_deep_input_is_an_answer_or_a_clean_error(pdp: EmbeddedPdp) -> None:
    """No depth crashes the process."""
    for depth in (10, 60, 2_000, 50_000):
        value: object = 1
        for _ in range(depth):
            value = [value]
        document = {"value": value}
        if depth < 64:
            assert value == pdp.evaluate("t/echo", document)
        else:
            assert Cause.MALFORMED == cause_of(
                lambda: pdp.evaluate("t/echo", document)  # noqa: B023 - called at once
            )


def test_closed_engine_decides_nothing(pdp: EmbeddedPdp) -> None:
    """Once closed it is down, and takes no data."""
    pdp.close()
    assert Cause.DOWN == cause_of(lambda: pdp.evaluate("t/empty", {}))
    assert Cause.DOWN == cause_of(lambda: pdp.replace_data({}))
    assert "" == pdp.revision
    assert frozenset() == pdp.entrypoints


def test_answers_share_nothing_with_the_engine(pdp: EmbeddedPdp) -> None:
    """A caller who changes an answer changes no later one."""
    document = {"value": {"a": [1]}}
    for _ in range(2):
        answer = pdp.evaluate("t/whole", document)
        assert {"value": {"a": [1]}} == answer
        assert isinstance(answer, dict)
        answer["value"]["a"].append(2)
        answer.clear()


def in_threads(count: int, work: Callable[[int], None]) -> None:
    """Run the work on several threads at once, and raise what they raise."""
    failures: list[BaseException] = []

    def run(number: int) -> None:
        try:
            work(number)
        except BaseException as error:  # noqa: BLE001 - raised below
            failures.append(error)

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


@pytest.mark.parametrize("count", [2, 4])
def test_no_answer_carries_another_request(
    pdp: EmbeddedPdp, count: int
) -> None:
    """Threads share one engine, and none sees the nonce of another."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(number: int) -> None:
        for n in range(300):
            nonce = f"{number}-{n}"
            answer = pdp.evaluate("t/answer", {"nonce": nonce, "least": 30})
            assert isinstance(answer, dict)
            assert nonce == answer["nonce"]

    try:
        in_threads(count, work)
    finally:
        sys.setswitchinterval(interval)


def test_swapped_data_is_never_mixed(pdp: EmbeddedPdp) -> None:
    """Each decision is of one document, and reports which one."""
    revisions: dict[str, int] = {}
    pdp.replace_data({"left": 0, "right": 0})
    for n in range(2):
        revisions[pdp.replace_data({"left": n, "right": n})] = n
    done = threading.Event()

    def work(number: int) -> None:
        if number == 0:
            for n in range(400):
                pdp.replace_data({"left": n % 2, "right": n % 2})
            done.set()
            return
        while not done.is_set():
            answer = pdp.answer("t/answer", {"nonce": "", "least": 50})
            wanted = revisions[answer.data_revision]
            assert {"nonce": "", "left": wanted, "right": wanted} == (
                answer.result
            )

    in_threads(3, work)


def test_refused_policies_leave_the_old_ones_deciding(
    pdp: EmbeddedPdp, bundle: Bundle
) -> None:
    """A swap happens whole or not at all."""
    with pytest.raises(PlanInvalid):
        pdp.swap(replace(bundle, revision="x", plan=b'{"plans": []}'))
    with pytest.raises(DocumentRefused):
        pdp.replace_data({"left": float("nan")})
    assert bundle.revision == pdp.revision
    document = {"nonce": "a", "least": 3}
    assert {"nonce": "a", "left": 1, "right": 1} == pdp.evaluate(
        "t/answer", document
    )
    pdp.swap(replace(bundle, revision="y", data={"left": 5, "right": 5}))
    answer = pdp.answer("t/answer", document)
    assert "y" == answer.revision == pdp.revision
    assert {"nonce": "a", "left": 5, "right": 5} == answer.result


def test_product_policies_decide_their_golden_cases() -> None:
    """The committed bundle gives the decisions of the golden set."""
    pdp = unhurried()
    folder = ROOT / "tests" / "golden" / "disclosure"
    for path in sorted(folder.glob("*.json")):
        case = json.loads(path.read_bytes())
        try:
            got = pdp.evaluate("curtilage/disclosure/decision", case["input"])
        except NoDecision:
            got = None
        assert case["wanted"] == got, path.name


def test_embedded_mode_never_loads_the_client_of_a_server() -> None:
    """Neither aiohttp nor the client is imported with the package."""
    code = (
        "import sys, policy.embedded, policy.opa;"
        "print([m for m in ('aiohttp', 'opa_client') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "[]" == done.stdout.strip()


@pytest.mark.slow
def test_memory_stays_flat(opa_binary: Path, tmp_path: Path) -> None:
    """100,000 trivial and 20,000 large decisions leave nothing behind."""
    source = write_policy(
        tmp_path / "policy",
        {
            "functions.rego": (
                ROOT / "tests" / "bench" / "policies" / "functions.rego"
            ).read_text("utf-8"),
            "t.rego": "package t\n\necho := input.value\n",
        },
        json.dumps(base_documents()),
    )
    pdp = EmbeddedPdp(
        compiled(opa_binary, source, ("bench/functions/decision", "t/echo"))
    )
    large = inputs(100)

    def decide(count: int) -> None:
        for n in range(count * 100_000 // 100):
            pdp.evaluate("t/echo", {"value": n})
        for n in range(count * 20_000 // 100):
            pdp.evaluate("bench/functions/decision", large[n % len(large)])

    decide(10)
    gc.collect()
    before = sys.getallocatedblocks()
    decide(90)
    gc.collect()
    assert sys.getallocatedblocks() < before + 500
