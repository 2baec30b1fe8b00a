"""Invariant 12: at run time nothing is reached but what the settings name.

The whole story of the demo, text scrubbing included, runs in a network
namespace that has a loopback interface and no route to anywhere. Where
namespaces are not allowed, the same runs with every connection but those to
loopback refused in the process itself.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.parts import ROOT

DEMO = (
    "from api.cli import main; import sys; "
    "sys.argv = ['curtilage', 'demo', '--people', '100', '--no-serve', "
    "'--home', sys.argv[1]]; main()"
)
GUARDED = "from tests.loopback import guard_network; guard_network(); " + DEMO
NAMESPACE = ("unshare", "--net", "--map-root-user")


def can_unshare() -> bool:
    """Whether this process may make a network namespace."""
    done = subprocess.run(
        (*NAMESPACE, "true"), capture_output=True, check=False
    )
    return done.returncode == 0


def run_demo(
    home: Path, program: str, *before: str
) -> subprocess.CompletedProcess[str]:
    """Run the demo's story, under a command."""
    return subprocess.run(
        (*before, sys.executable, "-c", program, str(home)),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.long
@pytest.mark.slow
def test_the_whole_story_runs_without_a_network(tmp_path: Path) -> None:
    """In a namespace without routes, every scene ends as it must."""
    if can_unshare():
        done = run_demo(tmp_path / "demo", DEMO, *NAMESPACE)
    else:
        done = run_demo(tmp_path / "demo", GUARDED)

    assert 0 == done.returncode, done.stderr
    assert "The story is told." in done.stdout


def test_a_connection_out_would_be_noticed(tmp_path: Path) -> None:
    """In that namespace a look-up and a connection fail, so the test can."""
    program = (
        "import socket\n"
        "try:\n"
        "    socket.create_connection(('192.0.2.1', 80), timeout=3)\n"
        "except OSError:\n"
        "    raise SystemExit(3)\n"
    )
    before = NAMESPACE if can_unshare() else ()
    guard = "" if before else "import tests.loopback as t\nt.guard_network()\n"
    done = run_demo(tmp_path, guard + program, *before)

    assert done.returncode != 0
