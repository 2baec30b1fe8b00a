"""The run of all checks: it goes on after a failure and tells the truth."""

from pathlib import Path

import pytest

from tests import suite
from tests.parts import MissingPartError, opa

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


@pytest.mark.parametrize(("ci", "passed"), [("", True), ("true", False)])
def test_policies_are_checked_only_with_opa(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ci: str, *, passed: bool
) -> None:
    """Without OPA the check says so; under CI that is a failure."""
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(opa, "find", missing)

    assert (passed, "skipped: OPA is not here") == suite.policies()


def missing() -> None:
    """Stand in for a machine without OPA."""
    msg = "OPA is not here"
    raise MissingPartError(msg)


def line_of(text: str, start: str) -> list[str]:
    """Return the words of the line that starts so."""
    (line,) = [line for line in text.splitlines() if line.startswith(start)]
    return line.split()
