"""De-identified tables against the targets, and peers beside them.

Adult goes through the same door as `curtilage extract`: a CSV file in, a
file out, the check included. Where labels are those of the hierarchies,
`ncp.py` of the corpus judges the file, as it judges anjana's.

Two times are to be told apart. `seconds` is the whole: specification and
hierarchies read, the file read and counted, classes formed, the result
written, and read back and checked. `engine_seconds` is the classes alone:
from the counted rows, as text, to the label of each (the values numbered,
the hierarchies laid out, all that is tried, the repair). That is what peers
time: anjana's `engine` and ARX's figures begin with rows that are in memory
and end before anything is written, and neither checks. Both are of the wall
clock; `cpu_seconds` and `cpu_layers` are of the processor.

Each figure is the least of some runs in one process, after which everything
is warm; `fresh` is the first run of a process that has the project imported
and has done nothing with it. The time to sort ten million numbers and that
of anjana in the same run tell how fast the machine was.

anjana is installed into an environment of its own, since it pins what we
do not; without a registry it is left out.
"""

import json
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.bench.adults import ADULT, QUASI, ROWS, spec_yaml, write_scaled
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=300_000_000, seconds=60),
    True: Needs(bytes=2_500_000_000, seconds=600),
}

_JUDGE = ADULT.parents[1] / "tools" / "ncp.py"
_L2 = "l: 2"
_T = "models: [{model: t-closeness, column: salary-class, t: 0.2}]"
_CASES: Mapping[str, tuple[int, str]] = {
    "k5_fast": (5, "mode: fast"),
    "k10_fast": (10, "mode: fast"),
    "k5": (5, ""),
    "k10": (10, ""),
    "k5_sets_fast": (5, "labels: sets\nmode: fast"),
    "k5_sets": (5, "labels: sets"),
    "k5_l2": (5, _L2),
    "k5_l2_fast": (5, f"{_L2}\nmode: fast"),
    "k5_l2_sets": (5, f"{_L2}\nlabels: sets"),
    "k5_t02": (5, f"{_T}\nsuppression_limit: 0.01"),
    "k5_t02_fast": (5, f"{_T}\nsuppression_limit: 0.01\nmode: fast"),
}
_CHILD = """
import json, resource, sys, time
from pathlib import Path
from anonymize import extract_plain
source, spec, out, times = sys.argv[1:]
best = cpu = engine = 1e9
layers = {}
fresh = None
for _ in range(int(times)):
    Path(out).unlink(missing_ok=True)
    marks = []
    start, used = time.perf_counter(), time.process_time()
    done = extract_plain(
        Path(source), Path(spec), Path(out), None,
        lambda stage, *_: marks.append(
            (stage, time.process_time(), time.perf_counter())
        ),
    )
    whole = time.perf_counter() - start
    best = min(best, whole)
    cpu = min(cpu, time.process_time() - used)
    for (stage, at, begun), (_, until, ended) in zip(marks, marks[1:]):
        layers[stage] = min(layers.get(stage, 1e9), round(until - at, 3))
        if stage == "classes":
            took = ended - begun
            engine = min(engine, took)
    fresh = fresh or {
        "seconds": round(whole, 3), "engine_seconds": round(took, 3)
    }
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
print(json.dumps({
    "engine_seconds": round(engine, 3), "seconds": round(best, 3),
    "fresh": fresh, "runs": int(times),
    "cpu_seconds": round(cpu, 3), "cpu_layers": layers,
    "peak_mb": round(peak / 1e6), "ncp": round(done.report.ncp, 5),
    "suppressed": done.report.suppressed, "way": done.way,
    "classes": len(done.report.class_sizes),
}))
"""
_SORT = """
import json, time, numpy
numbers = numpy.random.default_rng(1).integers(0, 2**62, 10_000_000)
start = time.perf_counter(); numpy.sort(numbers)
print(json.dumps(round(time.perf_counter() - start, 3)))
"""
_ANJANA = """
import json, sys, time
import pandas as pd
from anjana.anonymity import k_anonymity
folder, k, out, *names = sys.argv[1:]
data = pd.read_csv(f"{folder}/adult.csv", sep=";", dtype=str)
trees = {}
for name in names:
    table = pd.read_csv(f"{folder}/adult_hierarchy_{name}.csv", sep=";",
                        header=None, dtype=str)
    trees[name] = {at: table[at].to_numpy() for at in table.columns}
start = time.perf_counter()
found = k_anonymity(data, [], names, int(k), 10, trees)
seconds = time.perf_counter() - start
found.to_csv(out, sep=";", index=False)
print(json.dumps({"seconds": round(seconds, 3)}))
"""
_PYCANON = """
import json, sys, time
import pandas as pd
from pycanon import anonymity
data = pd.read_csv(sys.argv[1], sep=";", dtype=str, keep_default_na=False)
names = sys.argv[2:]
start = time.perf_counter()
k = anonymity.k_anonymity(data, names)
l = anonymity.l_diversity(data, names, ["salary-class"])
t = anonymity.t_closeness(data, names, ["salary-class"])
print(json.dumps({
    "k": int(k), "l": int(l), "t": round(float(t), 5),
    "seconds": round(time.perf_counter() - start, 3),
}))
"""


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure.

    Args:
        full: repeat more often, run peers, and 10,000,000 rows.
        folder: what is written goes there.
    """
    if not ADULT.is_dir():
        return {"left out": "the corpus is not beside the project"}
    result: dict[str, object] = {"sort_10m_seconds": _python(_SORT)}
    for name, (k, more) in _CASES.items():
        out = folder / f"{name}.csv"
        spec = _spec(folder, k, more)
        times = 5 if full else 1
        found = _child(ADULT / "adult.csv", spec, out, times)
        if "sets" not in name:
            found["judged"] = _judged(out)
        result[name] = found
    sizes = (1_000_000, 10_000_000) if full else (1_000_000,)
    for rows in sizes:
        source = folder / "scaled.csv"
        write_scaled(source, rows)
        for name, more in (("", "mode: fast"), ("_l2", f"{_L2}\nmode: fast")):
            if rows > 1_000_000 and name:
                continue
            out = folder / "scaled.parquet"
            spec = _spec(folder, 5, more)
            result[f"rows_{rows}{name}"] = _child(source, spec, out, 1)
            out.unlink()
        source.unlink()
    for name in ("k5_l2", "k5_t02"):
        path = str(folder / f"{name}.csv")
        result[f"pycanon_{name}"] = _python(_PYCANON, path, *QUASI)
    if full:
        result["anjana"] = _anjana(folder)
    return result


def _spec(folder: Path, k: int, more: str) -> Path:
    path = folder / "spec.yaml"
    path.write_text(spec_yaml(k=k, more=more), "utf-8")
    return path


def _child(
    source: Path, spec: Path, out: Path, times: int
) -> dict[str, object]:
    found = _python(_CHILD, str(source), str(spec), str(out), str(times))
    if not isinstance(found, dict):
        raise TypeError
    return found


def _judged(path: Path) -> object:
    """Have the corpus's own evaluator read the file."""
    found = subprocess.run(
        [sys.executable, "-W", "ignore", str(_JUDGE), str(path),
         "--rows", str(ROWS)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    judged = json.loads(found.stdout)
    return {
        name: judged[name]
        for name in ("ncp", "suppressed_rows", "k", "l_distinct")
    }


def _python(
    code: str, *arguments: str, python: str = sys.executable
) -> object:
    done = subprocess.run(
        [python, "-W", "ignore", "-c", code, *arguments],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout.splitlines()[-1])


def _anjana(folder: Path) -> object:
    """Run anjana at k = 5 and 10, ten per cent of suppression."""
    home = folder / "anjana"
    python = str(home / "bin" / "python")
    try:
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "anjana==1.2.3"],
            check=True,
            timeout=300,
        )
    except (OSError, subprocess.SubprocessError) as problem:
        return f"not to be had ({type(problem).__name__})"
    found = {}
    for k in (5, 10):
        out = folder / f"anjana{k}.csv"
        start = time.perf_counter()
        took = _python(
            _ANJANA, str(ADULT), str(k), str(out), *QUASI, python=python
        )
        found[f"k{k}"] = {
            "engine": took,
            "with_start": round(time.perf_counter() - start, 2),
            "judged": _judged(out),
        }
    return found


if __name__ == "__main__":
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as aside:
        print(json.dumps(measure(full=True, folder=Path(aside)), indent=2))  # noqa: T201 - its output
