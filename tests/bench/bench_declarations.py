"""P3P policies read on one core, beside the bare parsers of the same bytes.

Over the files of the corpus that hold policies (or, where it is absent, the
demonstration's own, written as P3P). Parsed is a policy once it stands in the
full model with every finding, as `curtilage declaration lint` prints them;
what `load_p3p` adds, declarations with digests and facts for the gate, is a
figure of its own, and so is our tree alone. The floors are what nobody can
go below with these parsers: expat without handlers, and ElementTree. Rounds
alternate, and the best of each counts, in processor time: what else runs on
the machine disturbs all alike.
"""

import time
import xml.etree.ElementTree as ET
from collections.abc import Callable, Mapping
from pathlib import Path
from xml.parsers import expat

from api.demo.world import declarations
from api.portal import portal_declaration
from consent import (
    Controller,
    DeclarationInvalid,
    load_p3p,
    load_yaml,
    read_p3p_document,
    site_policies,
    write_p3p,
)
from consent.p3p_xml import read_xml
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_000_000, seconds=30),
    True: Needs(bytes=1_000_000, seconds=120),
}
TARGET = 2000
ROUNDS = {False: 15, True: 60}
CORPUS = Path(__file__).parents[3] / "shared/corpus/p3p/xml"
YAML = Path(__file__).parents[2] / "api/demo/declarations"


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Time each way to read, and return policies a second.

    Args:
        full: more rounds.
        folder: not written to.

    Returns:
        The rates, the floors, and the shares of the floors.

    """
    del folder
    files, policies = _files()
    ways: dict[str, Callable[[bytes], object]] = {
        "expat, no handlers": _expat,
        "ElementTree": ET.fromstring,
        "our tree (read_xml)": lambda text: read_xml(text, where="x"),
        "full model (read_p3p_document)": (
            lambda text: read_p3p_document(text, where="x")
        ),
        "declarations (load_p3p)": lambda text: load_p3p(text, where="x"),
    }
    rates = _rates(ways, files, policies, ROUNDS[full])
    reached = rates["full model (read_p3p_document)"]
    return {
        "source": "corpus" if CORPUS.is_dir() else "demonstration",
        "files": len(files),
        "policies": policies,
        "bytes_per_policy": round(sum(map(len, files)) / policies),
        "policies_per_s": rates,
        "target_policies_per_s": TARGET,
        "parsed_reaches_target": reached >= TARGET,
        "declarations_reach_target": (
            rates["declarations (load_p3p)"] >= TARGET
        ),
        "share_of_ElementTree": round(reached / rates["ElementTree"], 3),
        "yaml_declarations_per_s": _yaml(ROUNDS[full]),
    }


def _files() -> tuple[list[bytes], int]:
    found: list[bytes] = []
    policies = 0
    for text in _texts():
        try:
            read = len(load_p3p(text, where="x"))
        except DeclarationInvalid:
            continue
        if read:
            found.append(text)
            policies += read
    return found, policies


def _texts() -> list[bytes]:
    if CORPUS.is_dir():
        return [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    portal = portal_declaration(Controller(name="Bench"))
    return [
        write_p3p(site_policies([o], portal=portal)) for o in declarations()
    ]


def _rates(
    ways: Mapping[str, Callable[[bytes], object]],
    files: list[bytes],
    policies: int,
    rounds: int,
) -> dict[str, int]:
    best = dict.fromkeys(ways, float("inf"))
    for _ in range(rounds):
        for name, read in ways.items():
            start = time.process_time()
            for text in files:
                read(text)
            best[name] = min(best[name], time.process_time() - start)
    return {name: round(policies / spent) for name, spent in best.items()}


def _expat(text: bytes) -> None:
    expat.ParserCreate(namespace_separator=" ").Parse(text, True)


def _yaml(rounds: int) -> int:
    texts = [path.read_bytes() for path in sorted(YAML.iterdir())]
    best = float("inf")
    for _ in range(max(1, rounds // 5)):
        start = time.process_time()
        for text in texts:
            load_yaml(text, where="x")
        best = min(best, time.process_time() - start)
    return round(len(texts) / best)
