"""How long an extract and the search of free text take.

Adult (30,162 rows, 8 quasi-identifiers) where the corpus stands beside the
project, else as many made-up rows from a seeded generator. Times are of the
wall clock and of the processor, the best of the repetitions; throughput of
text is by the clock of the processor.
"""

import json
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import numpy as np

from anonymize import (
    Closeness,
    ExtractSpec,
    Hierarchy,
    Intervals,
    KnownValue,
    Role,
    Scrubber,
    TableHierarchy,
    build_extract,
    flat,
)
from anonymize.csvfile import read_csv
from anonymize.models import OfValues
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_000_000, seconds=30),
    True: Needs(bytes=1_000_000, seconds=240),
}

ADULT = Path(__file__).parents[3] / "shared" / "corpus" / "adult"
QUASI = (
    "age", "sex", "race", "marital-status", "education", "native-country",
    "workclass", "occupation",
)  # fmt: skip
ROWS = 30_162
SENTENCE_EN = (
    "The caller, John Smith of 12 High Street, asked twice about form 12; "
    "he can be reached on 020 7946 0958 or at john@example.com. "
)
SENTENCE_ZH = (
    "来访人张伟于2021年3月12日到窗口登记，手机13812341234，"
    "身份证11010519491231002X，经高速公路前来。"
)

T = TypeVar("T")
Table = dict[str, list[str]]
Case = tuple[int, int, tuple[OfValues, ...], bool]


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure; nothing is written into the folder.

    Args:
        full: as in `run`.
        folder: not used.
    """
    del folder
    return run(full)


def run(full: bool) -> dict[str, object]:  # noqa: FBT001 - a plain switch
    """Measure.

    Args:
        full: repeat more often, and measure other criteria too.

    Returns:
        Seconds, NCP and throughput by name.
    """
    source, table, hierarchies = _adult() if ADULT.is_dir() else _made_up()
    repetitions = 5 if full else 1
    result: dict[str, object] = {
        "source": source,
        "rows": ROWS,
        "sort_10m_seconds": _sorting(),
    }
    for name, (k, diversity, models, fast) in _cases(full=full).items():
        spec = ExtractSpec(
            columns={
                **dict.fromkeys(hierarchies, Role.QUASI),
                "salary-class": Role.SENSITIVE,
            },
            hierarchies=hierarchies,
            k=k,
            l=diversity,
            models=models,
            fast=fast,
            recipient="bench",
        )
        found = [_timed(spec, table) for _ in range(repetitions)]
        result[f"extract_{name}"] = {
            "seconds": round(min(each[0] for each in found), 3),
            "cpu_seconds": round(min(each[1] for each in found), 3),
            "ncp": round(found[0][2], 5),
            "suppressed": found[0][3],
        }
    scrubber = Scrubber()
    for language, sentence in (("en", SENTENCE_EN), ("zh", SENTENCE_ZH)):
        text = (sentence * 60)[:5000]
        result[f"text_{language}_mchar_s"] = _throughput(
            scrubber, text, language, 100 if full else 20
        )
    return result


def _sorting() -> float:
    """Time the sorting of ten million numbers, to compare machines by."""
    numbers = np.random.default_rng(1).integers(0, 2**62, 10_000_000)
    return round(_watch(lambda: np.sort(numbers))[0], 3)


def _cases(*, full: bool) -> dict[str, Case]:
    """Criteria to measure: k, l, models and whether in the fast mode."""
    close = (Closeness(column="salary-class", t=0.2),)
    cases: dict[str, Case] = {
        "k5": (5, 1, (), False),
        "k5_l2": (5, 2, (), False),
        "k5_l2_fast": (5, 2, (), True),
    }
    if full:
        cases |= {
            "k10": (10, 1, (), False),
            "k5_fast": (5, 1, (), True),
            "k10_fast": (10, 1, (), True),
            "k10_l2": (10, 2, (), False),
            "k5_t02": (5, 1, close, False),
            "k5_t02_fast": (5, 1, close, True),
        }
    return cases


def _timed(spec: ExtractSpec, table: Table) -> tuple[float, float, float, int]:
    seconds, cpu, extract = _watch(lambda: build_extract(spec, table))
    return seconds, cpu, extract.report.ncp, extract.report.suppressed


def _throughput(
    scrubber: Scrubber, text: str, language: str, times: int
) -> float:
    known = [
        KnownValue(entity="PERSON", text="John Smith"),
        KnownValue(entity="PERSON", text="张伟"),
    ]

    def search() -> None:
        for _ in range(times):
            scrubber.scrub(text, language=language, known=known)

    _, cpu, _ = _watch(search)
    return round(times * len(text) / cpu / 1e6, 3)


def _watch(work: Callable[[], T]) -> tuple[float, float, T]:
    before, used = time.perf_counter(), time.process_time()
    result = work()
    return time.perf_counter() - before, time.process_time() - used, result


def _adult() -> tuple[str, Table, dict[str, Hierarchy]]:
    data = (ADULT / "adult.csv").read_bytes()
    table = read_csv(data, where="adult.csv", delimiter=";")
    hierarchies: dict[str, Hierarchy] = {
        name: TableHierarchy.from_file(
            ADULT / f"adult_hierarchy_{name}.csv",
            domain=(17, 90) if name == "age" else None,
        )
        for name in QUASI
    }
    return "adult", table, hierarchies


def _made_up() -> tuple[str, Table, dict[str, Hierarchy]]:
    chance = random.Random(20260101)  # noqa: S311 - seeded rows to measure on
    sizes = {"sex": 2, "race": 5, "marital": 7, "work": 7, "job": 14}
    hierarchies: dict[str, Hierarchy] = {
        "age": Intervals(low=0, high=99, widths=(5, 10, 20)),
        **{
            name: flat([f"{name}{n}" for n in range(size)], where=name)
            for name, size in sizes.items()
        },
    }
    table: Table = {
        name: [f"{name}{_skewed(chance, size)}" for _ in range(ROWS)]
        for name, size in sizes.items()
    }
    table["age"] = [
        str(min(99, max(0, round(chance.gauss(40, 15))))) for _ in range(ROWS)
    ]
    table["salary-class"] = [
        ">50K" if chance.random() < 0.25 else "<=50K" for _ in range(ROWS)
    ]
    return "made up", table, hierarchies


def _skewed(chance: random.Random, size: int) -> int:
    return min(int(chance.random() ** 3 * size), size - 1)


if __name__ == "__main__":
    print(json.dumps(run(full=True), indent=2))  # noqa: T201 - its output
