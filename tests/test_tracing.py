"""A trace says how a decision came about, and changes nothing about it."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from policy import explained, load_bundle, trace_decision
from policy.engine import (
    EvaluationError,
    Machine,
    Tracer,
    coverage,
    translated,
)
from policy.pdp import Cause, Document, NoDecision, Standing
from policy.tracing import Tracing
from tests.engines import UNHURRIED
from tests.parts import ROOT
from tests.worlds import CITY, OFFICER, build_world

DISCLOSURE = "curtilage/disclosure/decision"
RELEASE = "curtilage/release/decision"
DECIDED = (
    ("disclosure", DISCLOSURE),
    ("release", RELEASE),
    ("glass", "curtilage/glass/decision"),
    ("guidance", "curtilage/guidance/decision"),
)
LEAST_COVERED = 90.0
"""Of a hundred lines of what has golden cases, by these."""


def golden(kind: str) -> dict[str, dict[str, Any]]:
    """Read the golden cases of a kind, by name."""
    folder = ROOT / "tests/golden" / kind
    return {p.stem: json.loads(p.read_bytes()) for p in folder.glob("*.json")}


def test_watched_machine_decides_what_the_other_decides() -> None:
    """On every golden case the trace ends in the decision itself."""
    bundle = load_bundle()
    plain, tracing = Machine(translated(bundle.plan)), Tracing(bundle)
    for kind, entrypoint in DECIDED:
        for name, case in golden(kind).items():
            trace = tracing.trace(entrypoint, case["input"])
            try:
                results = plain.results(
                    entrypoint, case["input"], bundle.data, UNHURRIED
                )
            except EvaluationError:
                results = []
            assert bool(results) == (trace.failure == ""), name
            if results:
                assert trace.result is not None, name
                assert explained(trace).startswith("revision "), name


def test_document_with_members_in_common_is_traced_whole() -> None:
    """A trace tells of every rule, what is known beforehand included."""
    tracing = Tracing(load_bundle())
    for case in golden("disclosure").values():
        common = Standing(
            {k: v for k, v in case["input"].items() if k == "declaration"}
        )
        assert tracing.trace(DISCLOSURE, case["input"]) == tracing.trace(
            DISCLOSURE, Document(common, case["input"])
        )


def test_golden_cases_cover_the_lines_of_the_policies() -> None:
    """What no golden case reaches is a small part of the rules."""
    bundle = load_bundle()
    machine = Machine(translated(bundle.plan, watched=True))
    tracers: list[Tracer] = []
    for kind, entrypoint in DECIDED:
        for case in golden(kind).values():
            tracers.append(Tracer())
            with suppress(EvaluationError):
                machine.results(
                    entrypoint,
                    case["input"],
                    bundle.data,
                    UNHURRIED,
                    tracers[-1],
                )
    found = coverage(machine, tracers)
    ours = {
        name: len(rows)
        for name, rows in found.reached.items()
        if "/api/" not in name
    }
    missed = sum(len(found.missed[name]) for name in ours)
    reached = sum(ours.values())
    assert reached > 200
    assert 100 * reached / (reached + missed) >= LEAST_COVERED, found.missed
    assert coverage(machine, []).percent == 0


def test_trace_names_the_line_that_did_not_hold() -> None:
    """An officer finds the rule and the line at which it ended."""
    case = golden("disclosure")["mallory-assurance"]
    trace = trace_decision(load_bundle(), DISCLOSURE, case["input"])
    stopped = {place for step in trace.calls for place, _ in step.stopped}
    rules = {step.rule: step for step in trace.calls}
    source = (ROOT / "policies/disclosure/disclosure.rego").read_text("utf-8")
    lines = source.splitlines()
    assert not rules["curtilage.disclosure.prepared"].defined
    assert any(
        "assurance" in lines[int(place.rpartition(":")[2]) - 1]
        for place in stopped
        if place.startswith("disclosure/disclosure.rego")
    )
    text = explained(trace)
    assert "curtilage.disclosure.prepared = undefined" in text
    assert "did not hold: disclosure/disclosure.rego:" in text


def test_trace_of_what_has_no_answer_says_so() -> None:
    """An unsound document has a trace and no decision."""
    trace = trace_decision(load_bundle(), DISCLOSURE, {"schema": "odd"})
    assert trace.failure.startswith("undefined")
    assert trace.result is None
    assert explained(trace).endswith("none: " + trace.failure)


def test_what_is_no_document_is_not_traced() -> None:
    """A lone surrogate or an unknown question is refused at the door."""
    with pytest.raises(NoDecision) as raised:
        trace_decision(load_bundle(), DISCLOSURE, {"a": "\ud800"})
    assert Cause.MALFORMED == raised.value.cause
    with pytest.raises(NoDecision) as raised:
        trace_decision(load_bundle(), "no/such", {})
    assert Cause.UNDEFINED == raised.value.cause


def cli(*words: str) -> Any:  # noqa: ANN401 - of click
    """Run the command line."""
    return CliRunner().invoke(build(), list(words))


def test_command_traces_a_document(tmp_path: Path) -> None:
    """From a file: a tree for people, a document for programs."""
    case = golden("disclosure")["ada-one"]
    file = tmp_path / "question.json"
    file.write_text(json.dumps(case["input"]), "utf-8")
    said = cli("policy", "trace", str(file))
    assert said.exit_code == 0, said.output
    assert "curtilage.disclosure.decision" in said.output
    made = json.loads(cli("policy", "trace", str(file), "--json").stdout)
    assert made["calls"][0]["rule"] == "curtilage.disclosure.decision"
    assert 0 < made["coverage"]["percent"] < 100
    assert cli("policy", "trace").exit_code == 2
    file.write_text("[1]", "utf-8")
    assert cli("policy", "trace", str(file)).exit_code == 2


def test_command_traces_a_stored_decision_and_records_the_look(
    tmp_path: Path,
) -> None:
    """By its id; no value is in it, and the person sees who looked and why."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = world.cast["consenting"]
        platform = world.platform

        async def story() -> tuple[str, set[str]]:
            answer = await platform.gate.disclose(world.request("consenting"))
            shown = await platform.registrar.officer_view(
                OFFICER, who, frozenset({CITY}), justification="test"
            )
            return str(answer.decision), {str(s.record.value) for s in shown}

        decision, values = world.run(story())
    words = ("--home", str(home), "policy", "trace")
    at = ("--decision", decision, "--person", str(who))
    refused = cli(*words, *at)
    assert refused.exit_code != 0
    said = cli(*words, *at, "--because", "asked by the person", "--json")
    assert said.exit_code == 0, said.output
    made = json.loads(said.stdout)
    assert made["failure"] == ""
    assert values
    assert all(value not in said.stdout for value in values)
    seen = cli("--home", str(home), "officer", "audit", "--json").stdout
    assert seen.count("officer-view") >= 2
    alone = cli(*words, "--decision", decision, "--because", "x")
    assert alone.exit_code == 2
