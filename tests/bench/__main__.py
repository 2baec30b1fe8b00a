"""Run the measurements, after a look at disk and time.

``python -m tests.bench [--full] [--soak] [--minutes N] [name ...]``
"""

import argparse
import importlib
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, cast

from tests.bench.room import Needs, NoRoomError, check_room

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "var" / "bench"


class Bench(Protocol):
    """What a module of measurements offers."""

    @property
    def NEEDS(self) -> Mapping[bool, Needs]:  # noqa: N802 - a module's constant
        """What it takes: quick, and full."""

    def measure(
        self, *, full: bool, folder: Path, **seconds: float
    ) -> dict[str, object]:
        """Measure, and return the figures.

        Where the module says `ENDS_IN_TIME`, it may be told ``seconds``.
        """


def load(kind: str, names: Sequence[str] = ()) -> dict[str, Bench]:
    """Import the measurements of a kind.

    Args:
        kind: ``bench`` or ``soak``.
        names: which of them; by default all.

    Returns:
        The modules by name, in the order of their names.

    Raises:
        KeyError: a name is not there.

    """
    found = {
        path.stem.removeprefix(f"{kind}_"): path.stem
        for path in sorted(Path(__file__).parent.glob(f"{kind}_*.py"))
    }
    return {
        name: cast(
            "Bench", importlib.import_module(f"tests.bench.{found[name]}")
        )
        for name in names or found
    }


def run(
    benches: Mapping[str, Bench],
    *,
    full: bool,
    results: Path = RESULTS,
    minutes: float | None = None,
) -> None:
    """Run measurements and write what they found.

    Args:
        benches: by name.
        full: all sizes, rather than the quick ones.
        results: the folder to write to.
        minutes: how long all of it may take, or None.

    Raises:
        NoRoomError: there is not enough disk or time for all of it.

    """
    needs = sum(
        (bench.NEEDS[full] for bench in benches.values()),
        start=Needs(bytes=0, seconds=0),
    )
    # Some do less where they have less time.
    given = {
        name: {"seconds": bench.NEEDS[full].seconds * share}
        for name, bench in benches.items()
        if (share := _share(needs, minutes)) < 1
        and getattr(bench, "ENDS_IN_TIME", False)
    }
    if len(given) == len(benches) and minutes is not None:
        needs = replace(needs, seconds=int(minutes * 60))
    check_room(needs, folder=results, minutes=minutes)
    _say(
        f"about {needs.seconds / 60:.0f} minutes, "
        f"at most {needs.bytes / 1e9:.1f} GB of disk"
    )
    for name, bench in benches.items():
        _say(f"== {name}")
        start = time.monotonic()
        with TemporaryDirectory(prefix=f"{name}-", dir=results) as folder:
            found = bench.measure(
                full=full, folder=Path(folder), **given.get(name, {})
            )
        report = {
            "name": name,
            "full": full,
            "seconds": round(time.monotonic() - start, 1),
            "machine": machine(),
            "result": found,
        }
        path = results / f"{name}.json"
        path.write_text(json.dumps(report, indent=2) + "\n", "utf-8")
        for row in _rows(found):
            _say(row)
        _say(f"   {report['seconds']} s, written to {path}")


def _share(needs: Needs, minutes: float | None) -> float:
    """Tell which part of the time that is needed there is."""
    if minutes is None or not needs.seconds:
        return 1.0
    return min(1.0, minutes * 60 / needs.seconds)


def _rows(found: Mapping[str, object], before: str = "") -> Iterator[str]:
    """Flatten a result into rows of a table: where, and the figure."""
    for name, value in found.items():
        place = f"{before}{name}"
        if isinstance(value, Mapping):
            yield from _rows(value, f"{place} / ")
        else:
            yield f"   {place:<68} {value!s:>14}"


def machine() -> dict[str, object]:
    """Describe where and what was measured, without naming the machine."""
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "commit": commit.stdout.strip(),
        "cores": len(os.sched_getaffinity(0)),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the command line asks for.

    Args:
        arguments: of the command line; by default those of the process.

    Returns:
        The exit status.

    """
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--soak", action="store_true")
    parser.add_argument("--minutes", type=float)
    asked = parser.parse_args(arguments)
    kind = "soak" if asked.soak else "bench"
    try:
        benches = load(kind, asked.names)
    except KeyError as unknown:
        parser.error(f"there is no tests/bench/{kind}_{unknown.args[0]}.py")
    if not benches:
        parser.error(f"there is no tests/bench/{kind}_*.py")
    try:
        run(benches, full=asked.full, minutes=asked.minutes)
    except NoRoomError as error:
        _say(f"not started: {error}")
        return 1
    return 0


def _say(line: str) -> None:
    print(line, flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
