"""The run of all checks: it goes on after a failure and tells the truth."""

import os
import subprocess
from pathlib import Path

import pytest

from tests import suite
from tests.parts import ROOT, MissingPartError, Part, opa, regal

RESULTS = """<?xml version="1.0"?>
<testsuites><testsuite name="pytest" errors="1" failures="2" skipped="3"
 tests="10" time="1.0"></testsuite></testsuites>
"""


def test_every_check_runs_although_one_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run tells everything, and ends with a failure."""
    checks = {
        "first": lambda: (False, "a reason"),
        "second": lambda: (True, ""),
    }
    monkeypatch.setattr(suite, "CHECKS", checks)

    status = suite.main([])

    said = capsys.readouterr().out
    assert 1 == status
    assert ["first", "FAILED"] == line_of(said, "first ")[:2]
    assert ["a", "reason"] == line_of(said, "first ")[-2:]
    assert ["second", "ok"] == line_of(said, "second ")[:2]


def test_named_checks_run_alone(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A check that is not asked for does not run."""
    checks = {"first": lambda: (False, ""), "second": lambda: (True, "")}
    monkeypatch.setattr(suite, "CHECKS", checks)

    assert 0 == suite.main(["second"])
    assert "first" not in capsys.readouterr().out


def test_an_unknown_check_is_refused() -> None:
    """A misspelt name does not pass for a check that passed."""
    with pytest.raises(SystemExit):
        suite.main(["tyops"])


def test_results_are_counted(tmp_path: Path) -> None:
    """Skipped and failed tests are not counted as passed."""
    results = tmp_path / "pytest.xml"
    results.write_text(RESULTS, "utf-8")

    assert "4 passed, 3 failed, 3 skipped" == suite.counted(results)


def test_missing_results_are_told(tmp_path: Path) -> None:
    """A run that died does not look like a run without tests."""
    assert "no result was written" == suite.counted(tmp_path / "none.xml")


NOTING = """import os
from pathlib import Path

from tests.long_first import pytest_collection_modifyitems


def pytest_runtest_setup(item):
    worker = Path(os.environ["PYTEST_XDIST_WORKER"])
    with worker.with_suffix(".txt").open("a") as file:
        print(item.nodeid, file=file)
"""
LONG = "import pytest\n\n\n@pytest.mark.long\n"
BRIEF = "def test_{}(): pass\n"


def test_long_tests_are_the_first_of_each_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Not the files with the most tests, and in a file not what stands first.

    The order is otherwise that of the collection.
    """
    commands: list[list[str]] = []
    monkeypatch.setattr(suite, "RESULTS", tmp_path / "pytest.xml")
    monkeypatch.setattr(
        suite, "_run", lambda *words: commands.append([*map(str, words)])
    )
    suite.pytest()
    for name, text in {
        "pytest.ini": "[pytest]\nmarkers = long: first\n",
        "conftest.py": NOTING,
        "test_a.py": BRIEF.format("a"),
        "test_b.py": "".join(BRIEF.format(f"b{at}") for at in range(9)),
        "test_c.py": BRIEF.format("c0") + LONG + BRIEF.format("c1"),
        "test_d.py": LONG + BRIEF.format("d"),
    }.items():
        (tmp_path / name).write_text(text, "utf-8")

    (command,) = commands
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={
            **{k: v for k, v in os.environ.items() if "PYTEST" not in k},
            "PYTHONPATH": str(ROOT),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert 0 == done.returncode, done.stdout
    begun = [
        (tmp_path / f"gw{worker}.txt").read_text("utf-8").split()
        for worker in range(2)
    ]
    first, second = sorted(begun)
    assert ["test_c.py::test_c1", "test_c.py::test_c0"] == first[:2]
    assert "test_d.py::test_d" == second[0]
    assert 13 == len(first) + len(second)
    for each in (first[2:], second[1:]):
        assert sorted(each) == each


@pytest.mark.parametrize(("ci", "passed"), [("", True), ("true", False)])
def test_policies_are_checked_only_with_opa(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, *, passed: bool
) -> None:
    """Without OPA the check says so; under CI that is a failure."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(opa, "find", missing)

    assert (passed, "skipped: OPA is not here") == suite.policies()


UNTRIED = """package tried

reached if input.x == 1

missed if {
	input.x == 2
	input.y == 3
	input.z == 4
}
"""
TRIED = """package tried_test

import data.tried

test_reached if tried.reached with input as {"x": 1}
"""


@pytest.mark.opa
def test_rules_that_no_test_reaches_fail(
    tmp_path: Path, opa_binary: Path
) -> None:
    """Those of the product are reached; a rule without a test is told."""
    passed, note = suite.coverage(opa_binary, suite.POLICIES)
    assert passed, note
    (tmp_path / "tried.rego").write_text(UNTRIED, "utf-8")
    (tmp_path / "tried_test.rego").write_text(TRIED, "utf-8")
    passed, note = suite.coverage(opa_binary, tmp_path)
    assert not passed
    assert "% of the rules covered" in note
    (tmp_path / "tried.rego").write_text("package tried\n\nx := {", "utf-8")
    assert (False, "no coverage") == suite.coverage(opa_binary, tmp_path)


@pytest.mark.parametrize("status", [0, 3])
def test_what_regal_finds_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, status: int
) -> None:
    """Where it is there; its exit status is its word."""
    linter = tmp_path / "regal"
    linter.write_text(f"#!/bin/sh\nexit {status}\n", "ascii")
    linter.chmod(0o755)
    part = Part(name="Regal", path=linter, version="1", how="here")
    monkeypatch.setattr(regal, "find", lambda: part)

    assert (not status, "") == suite.linting()


def test_without_regal_nothing_is_linted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And the summary says so."""
    monkeypatch.setattr(regal, "find", missing)

    passed, note = suite.linting()
    assert passed
    assert "not linted" in note


def missing() -> None:
    """Stand in for a machine without OPA."""
    msg = "OPA is not here"
    raise MissingPartError(msg)


def line_of(text: str, start: str) -> list[str]:
    """Return the words of the line that starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line.split()
