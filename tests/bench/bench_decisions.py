"""Decisions a second, embedded and through an OPA server on loopback.

The benchmark policy stands in `policies/` beside this, written twice: with
functions and comprehensions, and with partial rules; its inputs are made up
(`population`). The product's own disclosure policy is measured on the golden
case with the most consents. Everything counts, from the document that goes
in to the decision that comes out; `evaluated` leaves both doors out.

Times are of the wall clock, one by one; beside them stands the processor's
time, which other work on the machine disturbs less. Both engines give the
same decisions here, or there is no result. `opa bench` runs the same bundle
on one input of each case in the same run, so that the ratio means something
on any machine.
"""

import asyncio
import json
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policy.bundle import Bundle, load_bundle
from policy.compiling import build_server_bundle
from policy.embedded import EmbeddedPdp
from policy.engine import Limits, Machine, translated
from policy.opa import OpaPdp
from tests.bench.population import base_documents, inputs
from tests.bench.room import Needs
from tests.engines import PATIENT, compiled, write_policy
from tests.parts import ROOT, opa

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=20_000_000, seconds=30),
    True: Needs(bytes=20_000_000, seconds=240),
}

STYLES = {
    "functions": "bench/functions/decision",
    "sets": "bench/sets/decision",
}
DISCLOSURE = "curtilage/disclosure/decision"

Inputs = list[dict[str, Any]]


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure decisions, and return the figures.

    Args:
        full: whether to take many, and the larger populations.
        folder: where policies are compiled.

    """
    repeats = 50 if full else 3
    binary = opa.find().path
    policies = ROOT / "tests" / "bench" / "policies"
    source = write_policy(
        folder / "source",
        {p.name: p.read_text("utf-8") for p in policies.glob("*.rego")},
        json.dumps(base_documents()),
    )
    bundle = compiled(binary, source, tuple(STYLES.values()))
    archive = folder / "server.tar.gz"
    build_server_bundle(binary, source, archive, revision=bundle.revision)
    cases: dict[str, tuple[str, Inputs]] = {
        f"{style}, 8 attributes, {consents} consents": (
            path,
            inputs(200, consents=consents),
        )
        for style, path in STYLES.items()
        for consents in (20, 5)
    }
    return {
        "versions": {
            "opa": opa.find().version,
            "python": platform.python_version(),
        },
        "load": _loading({"benchmark": bundle, "product": load_bundle()}),
        "embedded": {
            name: _embedded(bundle, path, documents, repeats)
            for name, (path, documents) in cases.items()
        },
        "server": dict(_served(binary, archive, bundle, cases, repeats)),
        "beside_opa_bench": {
            name: _beside(binary, archive, bundle, path, documents[0], folder)
            for name, (path, documents) in cases.items()
        },
        "product": _embedded(
            load_bundle(), DISCLOSURE, [_golden()] * 50, repeats
        ),
    }


def run(full: bool) -> dict[str, object]:  # noqa: FBT001 - the one question
    """Measure in a folder of its own."""
    with TemporaryDirectory() as folder:
        return measure(full=full, folder=Path(folder))


def _golden() -> dict[str, Any]:
    path = ROOT / "tests/golden/disclosure/ada-twenty-consents.json"
    case: dict[str, Any] = json.loads(path.read_bytes())
    document: dict[str, Any] = case["input"]
    return document


def _figures(seconds: list[float], processor: float) -> dict[str, float]:
    ordered = sorted(seconds)
    return {
        "decisions": len(ordered),
        "median_us": round(statistics.median(ordered) * 1e6, 1),
        "p10_us": round(ordered[len(ordered) // 10] * 1e6, 1),
        "p99_us": round(ordered[len(ordered) * 99 // 100] * 1e6, 1),
        "per_second": round(len(ordered) / sum(ordered)),
        "per_second_of_processor": round(len(ordered) / processor),
    }


def _timed(
    call: Callable[[dict[str, Any]], object], documents: Inputs, repeats: int
) -> dict[str, float]:
    for document in documents:
        call(document)
    seconds: list[float] = []
    processor = time.thread_time()
    for _ in range(repeats):
        for document in documents:
            start = time.perf_counter()
            call(document)
            seconds.append(time.perf_counter() - start)
    return _figures(seconds, time.thread_time() - processor)


def _embedded(
    bundle: Bundle, path: str, documents: Inputs, repeats: int
) -> dict[str, object]:
    pdp = EmbeddedPdp(bundle)
    machine, limits = Machine(translated(bundle.plan)), Limits()
    return {
        "decided": _timed(
            lambda document: pdp.evaluate(path, document), documents, repeats
        ),
        "evaluated": _timed(
            lambda document: machine.results(
                path, document, bundle.data, limits
            ),
            documents,
            repeats,
        ),
    }


def _beside(  # noqa: PLR0917 - one row of the table
    binary: Path,
    archive: Path,
    bundle: Bundle,
    path: str,
    document: dict[str, Any],
    folder: Path,
) -> dict[str, float]:
    """Return one input's times by `opa bench`, and here right after it.

    OPA's is its evaluation alone, in its own process, of an input that it has
    read before; ours is the whole decision. The ratio is of the medians.
    """
    file = folder / "bench-input.json"
    file.write_text(json.dumps(document), "utf-8")
    query = f"data.{path.replace('/', '.')}"
    said = subprocess.run(
        [
            str(binary),
            "bench",
            f"--bundle={archive}",
            f"--input={file}",
            "--format=json",
            query,
        ],
        capture_output=True,
        check=True,
    )
    measured = json.loads(said.stdout)
    theirs = measured["Extra"]["histogram_timer_rego_query_eval_ns_median"]
    pdp = EmbeddedPdp(bundle)
    ours = _timed(lambda one: pdp.evaluate(path, one), [document], 2000)
    return {
        "opa_median_us": round(theirs / 1e3, 1),
        "opa_per_second": round(measured["N"] / (measured["T"] / 1e9)),
        "median_us": ours["median_us"],
        "per_second": ours["per_second"],
        "per_second_of_processor": ours["per_second_of_processor"],
        "times_faster": round(theirs / 1e3 / ours["median_us"], 2),
    }


def _loading(bundles: Mapping[str, Bundle]) -> dict[str, float]:
    """Return milliseconds of the processor from parsed plan to functions."""
    found = {}
    for name, bundle in bundles.items():
        times = []
        for _ in range(3):
            start = time.thread_time()
            Machine(translated(bundle.plan))
            times.append(time.thread_time() - start)
        found[f"{name}_ms"] = round(min(times) * 1e3, 1)
    return found


def _served(
    binary: Path,
    archive: Path,
    bundle: Bundle,
    cases: Mapping[str, tuple[str, Inputs]],
    repeats: int,
) -> Iterator[tuple[str, dict[str, float]]]:
    embedded = EmbeddedPdp(bundle)
    with (
        opa.serve(binary, ["--bundle", archive]) as address,
        asyncio.Runner() as runner,
        _client(address, bundle.revision, runner) as server,
    ):
        for name, (path, documents) in cases.items():
            for document in documents:
                wanted = embedded.evaluate(path, document)
                got = runner.run(server.evaluate(path, document))
                if got != wanted:
                    msg = f"the engines differ on {name}"
                    raise RuntimeError(msg)
            yield (
                name,
                runner.run(_asked(server, path, documents, repeats)),
            )


@contextmanager
def _client(
    address: str, revision: str, runner: asyncio.Runner
) -> Iterator[OpaPdp]:
    server = OpaPdp(url=address, revision=revision, patience=PATIENT)
    try:
        yield server
    finally:
        runner.run(server.aclose())


async def _asked(
    server: OpaPdp, path: str, documents: Inputs, repeats: int
) -> dict[str, float]:
    seconds: list[float] = []
    processor = time.thread_time()
    for _ in range(min(repeats, 5)):
        for document in documents:
            start = time.perf_counter()
            await server.evaluate(path, document)
            seconds.append(time.perf_counter() - start)
    return _figures(seconds, time.thread_time() - processor)
