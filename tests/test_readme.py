"""README shows what happens: its commands are run and compared.

In a ``console`` block a line with ``$`` is a command, one with ``>`` goes on
with it, and the rest is what it prints; ``...`` stands for any lines, and
within a line for any text. All blocks run in one folder, in order.
"""

import os
import re
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.parts import ROOT

README = (ROOT / "README.md").read_text("utf-8")
BLOCKS = re.findall(
    r"^```console\n(.*?)^```", README, re.MULTILINE | re.DOTALL
)


@dataclass(slots=True)
class Command:
    """One command of README, and what it says that it prints."""

    text: str
    shown: list[str] = field(default_factory=list)


def commands(block: str) -> list[Command]:
    """Read a console block."""
    found: list[Command] = []
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif line.startswith("> ") and not found[-1].shown:
            found[-1].text += "\n" + line[2:]
        else:
            found[-1].shown.append(line.rstrip())
    return found


def pattern(shown: list[str]) -> re.Pattern[str]:
    """What README shows, as a pattern over what was printed."""
    parts = []
    for line in shown:
        if line == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            text = re.escape(line).replace(r"\.\.\.", ".*")
            parts.append(text + r"[ ]*\n")
    return re.compile("".join(parts))


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=["session", "own-service"])
def test_every_console_block_is_what_happens(
    block: str, tmp_path: Path
) -> None:
    """Each command of a block runs, and prints what README shows."""
    tool = tmp_path / "bin" / "curtilage"
    tool.parent.mkdir()
    tool.write_text(
        f"#!{sys.executable}\nfrom api.cli import main\nmain()\n", "utf-8"
    )
    tool.chmod(0o755)
    exports: list[str] = []
    for command in commands(block):
        done = subprocess.run(
            ("bash", "-ec", "\n".join([*exports, command.text])),
            cwd=tmp_path,
            env={
                "PATH": f"{tool.parent}:{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "HOME": str(tmp_path),
                "COLUMNS": "100",
                "PYTHONUTF8": "1",
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if command.text.startswith("export "):
            exports.append(command.text)
        printed = done.stdout.replace("\u2026", "…")
        assert 0 == done.returncode, done.stderr
        assert pattern(command.shown).fullmatch(printed) or pattern(
            command.shown
        ).match(printed), (command.text, printed, done.stderr)


def test_make_targets_in_readme_exist() -> None:
    """Each `make` target that README names is in the Makefile."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)\b", README, re.MULTILINE))
    targets = set(re.findall(r"^([a-z][a-z ]*):", makefile, re.MULTILINE))
    known = {one for line in targets for one in line.split()}

    assert set() == named - known


def test_files_that_readme_names_exist() -> None:
    """Each path in README stands in the tree."""
    named = re.findall(
        r"`((?:tests|consent|vault|policy|policies|anonymize|api|\.github)"
        r"/[\w./-]*)`",
        README,
    )

    assert named
    assert [] == [one for one in named if not (ROOT / one).exists()]
