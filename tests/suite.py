"""Every check of the tree, one after the other, and what came of each.

``python -m tests.suite`` is what ``make test`` runs. All checks run even
where an earlier one failed, so that one run tells all; the table at the end
says which. Names of checks on the command line run those alone; ``--write``
lets the policies be formatted instead of compared.
"""

import argparse
import json
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.parts import ROOT, MissingPartError, is_ci, opa, regal
from tests.parts.__main__ import main as obtain_parts

RESULTS = ROOT / "var" / "test" / "pytest.xml"
POLICIES = Path("policies")
CAPABILITIES = POLICIES / "capabilities.json"
SCHEMAS = POLICIES / "schemas"
LEAST_COVERAGE = 95  # percent of the lines of the rules


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one check ended.

    Attributes:
        check: its name.
        passed: whether nothing was wrong.
        seconds: how long it took.
        note: what else the table should say.

    """

    check: str
    passed: bool
    seconds: float
    note: str = ""


def parts() -> tuple[bool, str]:
    """Obtain the real components."""
    return obtain_parts() == 0, ""


def lint() -> tuple[bool, str]:
    """Hold the Python to the rules and to the format."""
    ruff = (sys.executable, "-m", "ruff")
    obeyed = _run(*ruff, "check", "--output-format=concise", ".")
    formatted = _run(*ruff, "format", "--check", ".")
    return obeyed and formatted, ""


def types() -> tuple[bool, str]:
    """Hold the Python to its types."""
    return _run(sys.executable, "-m", "mypy"), ""


def policies(*, write: bool = False) -> tuple[bool, str]:
    """Hold the Rego to its format, to strict mode and to its own tests.

    The tests reach `LEAST_COVERAGE` of the rules, and Regal finds nothing,
    where it can be had.

    Args:
        write: format it, instead of comparing it with its format.

    """
    try:
        binary = opa.find().path
    except MissingPartError as error:
        return not is_ci(), f"skipped: {error}"
    if write:
        return _run(binary, "fmt", "--write", POLICIES), ""
    # As a bundle, so that schemas and capabilities are not taken for data.
    bundle = ("--schema", SCHEMAS, "--bundle", POLICIES)
    formatted = _run(binary, "fmt", "--fail", "--list", POLICIES)
    strict = _run(
        *(binary, "check", "--strict", "--capabilities", CAPABILITIES),
        *bundle,
    )
    # The test runner needs a built-in of its own, beyond the capabilities.
    tested = _run(binary, "test", "--fail-on-empty", *bundle)
    covered, note = coverage(binary, POLICIES)
    linted, said = linting()
    note = "; ".join(part for part in (note, said) if part)
    return formatted and strict and tested and covered and linted, note


def coverage(binary: Path, folder: Path) -> tuple[bool, str]:
    """Tell whether the tests of a folder of Rego reach enough of it.

    Args:
        binary: of OPA.
        folder: the policies; schemas for them are those of the tree.

    """
    done = subprocess.run(
        [
            *(str(binary), "test", "--coverage", "--format", "json"),
            *("--schema", str(ROOT / SCHEMAS), "--bundle", str(folder)),
        ],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        files = json.loads(done.stdout)["files"]
    except (ValueError, KeyError):
        return False, "no coverage"
    lines = {"covered_lines": 0, "not_covered_lines": 0}
    for name, one in files.items():
        if not name.endswith("_test.rego"):
            for kind in lines:
                lines[kind] += one.get(kind, 0)
    reached = 100 * lines["covered_lines"] / max(1, sum(lines.values()))
    note = f"{reached:.1f} % of the rules covered"
    return reached >= LEAST_COVERAGE, note


def linting() -> tuple[bool, str]:
    """Hold the Rego to Regal; where that cannot be had, say so."""
    try:
        binary = regal.find().path
    except MissingPartError as error:
        return True, f"not linted: {error}"
    return _run(binary, "lint", POLICIES), ""


def pytest() -> tuple[bool, str]:
    """Run the tests, on two processes, each of which takes whole files."""
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.unlink(missing_ok=True)
    passed = _run(
        *(sys.executable, "-m", "pytest", "-q", "-n", "2"),
        # Files in the order of their collection, in which the long tests
        # stand first, and not by how many tests they have.
        *("--dist", "loadfile", "--no-loadscope-reorder"),
        f"--junitxml={RESULTS}",
    )
    return passed, counted(RESULTS)


CHECKS: dict[str, Callable[[], tuple[bool, str]]] = {
    "parts": parts,
    "lint": lint,
    "types": types,
    "policies": policies,
    "pytest": pytest,
}


def counted(results: Path) -> str:
    """Say in one phrase what a JUnit file counted.

    Args:
        results: the file that pytest wrote.

    """
    if not results.exists():
        return "no result was written"
    total = dict.fromkeys(("tests", "failures", "errors", "skipped"), 0)
    for suite in ET.parse(results).getroot().iter("testsuite"):  # noqa: S314 - pytest wrote it a moment ago
        for name in total:
            total[name] += int(suite.get(name, "0"))
    wrong = total["failures"] + total["errors"]
    passed = total["tests"] - wrong - total["skipped"]
    return f"{passed} passed, {wrong} failed, {total['skipped']} skipped"


def run(names: Sequence[str], *, write: bool = False) -> list[Outcome]:
    """Run checks by name.

    Args:
        names: of checks, in the order to run them.
        write: passed on to `policies`.

    Returns:
        One outcome for each.

    """
    outcomes = []
    for name in names:
        _say(f"== {name}")
        start = time.monotonic()
        check = CHECKS[name]
        passed, note = policies(write=True) if write else check()
        outcomes.append(
            Outcome(
                check=name,
                passed=passed,
                seconds=time.monotonic() - start,
                note=note,
            )
        )
    return outcomes


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line names, or everything, and print the table.

    Args:
        arguments: of the command line; by default those of the process.

    Returns:
        The exit status: 0 where every check passed.

    """
    parser = argparse.ArgumentParser(prog="python -m tests.suite")
    parser.add_argument("checks", nargs="*", choices=[[], *CHECKS])
    parser.add_argument("--write", action="store_true")
    chosen = parser.parse_args(arguments)
    outcomes = run(chosen.checks or list(CHECKS), write=chosen.write)
    _say("\n== summary")
    for outcome in outcomes:
        word = "ok" if outcome.passed else "FAILED"
        _say(
            f"{outcome.check:<10}{word:<8}{outcome.seconds:7.1f} s"
            f"  {outcome.note}".rstrip()
        )
    return 0 if all(outcome.passed for outcome in outcomes) else 1


def _run(*command: str | Path) -> bool:
    done = subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    return done.returncode == 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
