"""How fast free text is searched, and how much of it is found.

Throughput is by the clock of the processor, best of several, on one core.
The Chinese text is of sentences that were held out, ordinary ones and one
full of identifiers (`tests.chinese_corpus`); quality is measured as in
`tests.test_names`. `sort_10m_seconds` compares machines.
"""

import json
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from anonymize import KnownValue, Scrubber, ValueIndex
from anonymize.chinese_names import ChineseNames
from anonymize.folding import plain
from tests.bench.room import Needs
from tests.chinese_corpus import HELD_OUT, ORDINARY, RARE, sentences
from tests.test_names import LABELLED, english, without_a_model

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_000_000, seconds=60),
    True: Needs(bytes=1_000_000, seconds=300),
}
ENGLISH = (
    "The caller, John Smith of 12 High Street, asked twice about form 12; "
    "he can be reached on 020 7946 0958 or at john@example.com. "
)
CHINESE = (
    "来访人张伟于2021年3月12日到窗口登记，手机13812341234，"
    "身份证11010519491231002X，经高速公路前来。"
)


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure; nothing is written into the folder.

    Args:
        full: an index of 1,500,000 values rather than 100,000.
        folder: not used.
    """
    del folder
    everything, patterns = Scrubber(), Scrubber(names=False)
    result: dict[str, object] = {"sort_10m_seconds": sorting()}
    for name, language, text in (
        ("chinese", "zh", chinese_text()),
        ("english", "en", (ENGLISH * 60)[:5000]),
    ):
        result[name] = {
            "patterns_mchar_s": speed(
                lambda t=text, g=language: patterns.scrub(t, language=g),
                len(text),
            ),
            "all_layers_mchar_s": speed(
                lambda t=text, g=language: everything.scrub(t, language=g),
                len(text),
            ),
            "findings": len(everything.find(text, language=language)),
            "characters": len(text),
        }
    result["chinese_names"] = chinese_names()
    result["values"] = values(1_500_000 if full else 100_000)
    if LABELLED.is_file():
        result["english_f2_held_out"] = english(
            lambda text: (
                (each.entity, each.start, each.end)
                for each in everything.find(text, language="en")
            ),
            1,
        )
        result["english_f2_without_a_model"] = english(without_a_model(), 1)
    return result


def chinese_text() -> str:
    """Mix sentences with names, ordinary ones and one of identifiers."""
    named = sentences(HELD_OUT, (RARE, RARE), count=20, seed=1)
    usual = "".join(each.text for each in named)
    return ((usual + CHINESE * 2 + "".join(ORDINARY) * 2) * 6)[:5000]


def chinese_names() -> dict[str, float]:
    """Measure characters of unseen names: share covered, and share right."""
    names = ChineseNames()
    real = covered = found = 0
    for sentence in sentences(HELD_OUT, (RARE, RARE), count=1500, seed=7):
        there = {n for a, b in sentence.names for n in range(a, b)}
        folded = plain(sentence.text)
        hits = {
            n
            for hit in names.find(folded.text)
            for n in range(*folded.original(hit.start, hit.end))
        }
        real += len(there)
        covered += len(there & hits)
        found += len(hits)
    return {
        "character_recall": round(covered / real, 4),
        "character_precision": round(covered / found, 4),
    }


def values(count: int) -> dict[str, object]:
    """Build an index of many values, plant some, and look for them."""
    known = [
        KnownValue(entity="PHONE", text=f"1{3 + n % 7}{n:09}")
        for n in range(count)
    ]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    index = ValueIndex(known)
    built = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    planted = known[:: max(1, count // 1000)]
    text = "".join(
        f"{ORDINARY[n % len(ORDINARY)]}{each.text[:3]}-{each.text[3:]}，"
        for n, each in enumerate(planted)
    )
    found = {match.key for match in index.find(text)}
    rate = speed(lambda: index.find(text), len(text))
    return {
        "values": index.count,
        "build_cpu_seconds": round(built, 2),
        "build_peak_mb": round(peak * 1024 / 1e6),
        "scan_mchar_s": rate,
        "planted": len(planted),
        "found": sum(each.text in found for each in planted),
    }


def speed(work: Callable[[], object], characters: int) -> float:
    """Return millions of characters a second of the processor."""
    best = float("inf")
    for _ in range(5):
        before = time.process_time()
        for _ in range(8):
            work()
        best = min(best, time.process_time() - before)
    return round(8 * characters / best / 1e6, 3)


def sorting() -> float:
    """Time the sorting of ten million numbers, to compare machines by."""
    numbers = np.random.default_rng(1).integers(0, 2**62, 10_000_000)
    before = time.process_time()
    np.sort(numbers)
    return round(time.process_time() - before, 3)


if __name__ == "__main__":
    print(json.dumps(measure(full=True, folder=Path()), indent=2))  # noqa: T201 - its output
