"""The gated read: 8 attributes over 20 consents and 100 services.

On SQLite and on PostgreSQL, in process and over HTTP, with the policies run
on the embedded engine, no decision remembered, and a durable ledger entry
before each answer. Every request of a drive is about another person. Beside
it in the same run: a route that does nothing at the same concurrency, the
same path without policies (the engine a constant), each layer by itself, and
the floor of a read without consent, policy and framework. Batches of 1,000
people are driven as well. The load generator takes its share of the cores.
"""

import asyncio
import json
import random
import statistics
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
from sqlalchemy import insert

from api.bootstrap import bootstrap
from api.databases import count_rows
from api.demo.people import synthetic_people
from api.instances import create_instance
from api.platform import Platform
from consent import (
    Declaration,
    Draft,
    EntryKind,
    load_yaml,
    render_notice,
)
from consent.tables import EventRow
from policy import AccessRequest, ByIdentifier, EmbeddedPdp, load_bundle
from policy.decisions import parse_decision
from policy.gate import ENTRYPOINT
from tests.bench import bench_vault_read as bare
from tests.bench.room import Needs
from tests.bench.servers import databases, server
from vault import ReadGrant

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=1_500_000_000, seconds=420),
    True: Needs(bytes=9_000_000_000, seconds=1800),
}
PEOPLE = {False: 10_000, True: 100_000}
# Of whom so many are asked about in one drive, spread over all.
ASKED = 20_000
SERVICES, CONSENTS = 100, 20
EIGHT = (
    "user.name.given",
    "user.name.family",
    "user.bdate",
    "user.gender",
    "user.home-info.postal.street",
    "user.home-info.postal.city",
    "user.home-info.postal.postalcode",
    "user.home-info.online.email",
)
UNDERSTANDS = ["delete_by", "mask", "notify"]
BATCH, BARE_READS = 1000, 6400
TARGETS = {
    "gated_reads_per_s": {"sqlite": 3000, "postgresql": 2000},
    "gated_p99_times_that_without_policy": 2,
    "layers_over_floor_without_decision": 2,
    "batch_people_per_s": 8000,
}
_DECLARATION = """
service: service-{n:03d}
purpose: purpose
version: 1
title: {{en: Service {n}, zh-Hans: 服务{n}}}
purpose_text: {{en: To measure., zh-Hans: 用于测量。}}
controller: {{id: b, name: Bench, address: 1 Bench Street,
  contact: b@b.example, jurisdiction: ZZ, storage: [Bench]}}
assurance: 1
obligations: [delete_by]
statements:
  - id: all
    basis: consent
    purposes: [current]
    recipients: [ours]
    retention: stated-purpose
    retention_days: 90
    data: [{data}]
"""


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure on each database, and return the figures."""
    found: dict[str, object] = {
        "people": PEOPLE[full],
        "services": SERVICES,
        "consents_per_person": CONSENTS,
        "targets": TARGETS,
    }
    with databases() as kinds:
        for kind, settings in kinds.items():
            (folder / kind).mkdir()
            found[kind] = _on(folder / kind, PEOPLE[full], settings)
    return found


def _on(
    folder: Path, people: int, named: Mapping[str, str]
) -> dict[str, object]:
    """Measure on one database."""
    settings = create_instance(
        folder / "home",
        tenant="bench",
        origin="localhost/bench/access-log",
        passphrase_file=folder / "passphrase",
        **named,
    )
    platform = bootstrap(settings)
    everybody, filled = _fill(platform, people)
    numbers = everybody[:: -(-people // ASKED)]
    with platform.data.begin() as conn:
        credential = platform.registry.issue(
            conn, service="service-000", purpose="purpose", assurance=2
        )
    layers = _layers(platform, numbers)
    found: dict[str, object] = {
        "import": filled,
        "layers_us": layers,
        "in_process": asyncio.run(_in_process(platform, numbers)),
    }
    platform.close()
    drives = _over_http(folder, numbers, credential)
    bare = 1e6 / _bare(folder, named, people)
    return (
        found
        | {"http": drives, "bare_read_us": round(bare, 1)}
        | _verdicts(drives, layers["decided"], bare)
    )


def _verdicts(
    drives: Mapping[str, Mapping[str, float]], decided: float, bare: float
) -> dict[str, object]:
    """The ratios that are asked for."""
    gated, nothing = drives["gated_16"], drives["nothing_16"]
    fastest = max(
        drives["gated_16"], drives["gated_16_two_workers"], key=_rate
    )
    ours = 1e6 / _rate(gated) - decided
    floor = 1e6 / _rate(nothing) + bare
    return {
        "gated_reads_per_s": _rate(fastest),
        "gated_p99_times_that_without_policy": round(
            gated["p99_ms"] / drives["without_policy_16"]["p99_ms"], 2
        ),
        "layers_over_floor_without_decision": round(ours / floor, 2),
        "batch_people_per_s": max(
            drives[name]["people_per_s"]
            for name in ("batches_2", "batches_2_two_workers")
        ),
    }


def _rate(drive: Mapping[str, float]) -> float:
    return drive["requests_per_s"]


def _bare(folder: Path, named: Mapping[str, str], people: int) -> float:
    """Reads a second of the vault's and the ledger's own floor."""
    floor: bare._Floor | bare._ServerFloor = (
        bare._ServerFloor(named["data_url"], min(people, 10_000))
        if named
        else bare._Floor(folder, min(people, 10_000))
    )
    try:
        return statistics.median(floor.run(BARE_READS) for _ in range(3))
    finally:
        floor.close()


def _fill(
    platform: Platform, count: int
) -> tuple[list[str], dict[str, float]]:
    declared = [
        load_yaml(
            _DECLARATION.format(n=n, data=", ".join(EIGHT)).encode(),
            where="bench",
        )
        for n in range(SERVICES)
    ]
    with platform.data.begin() as conn:
        for one in declared:
            platform.consents.register(conn, one)
    people = list(synthetic_people(count, seed=7))
    numbers = [one.values["user.identity.number"] for one in people]
    start = time.perf_counter()
    subjects: list[uuid.UUID] = []
    for first in range(0, count, 500):
        subjects.extend(
            platform.registrar.admit_now(
                [one.values for one in people[first : first + 500]],
                source="bench",
            ).subjects
        )
    seconds = time.perf_counter() - start
    _consent(platform, subjects, declared)
    # As an import ends.
    count_rows(platform.data, platform.keys)
    return numbers, {
        "people_per_s": round(count / seconds, 1),
        "values_per_s": round(
            sum(len(one.values) for one in people) / seconds, 1
        ),
    }


def _consent(
    platform: Platform,
    subjects: list[uuid.UUID],
    declared: list[Declaration],
) -> None:
    """20 answers a person, one of them to the service that will ask."""
    draw = random.Random(11)  # noqa: S311 - a reproducible population
    notices = [render_notice(one, "en").digest for one in declared]
    now = platform.clock() - 60
    for first in range(0, len(subjects), 1000):
        rows = []
        for subject in subjects[first : first + 1000]:
            chosen = [0, *draw.sample(range(1, SERVICES), CONSENTS - 1)]
            rows.extend(
                {
                    "tenant": "bench",
                    "subject": subject,
                    "service": declared[n].service,
                    "purpose": "purpose",
                    "revision": order,
                    "id": uuid.uuid4(),
                    "statement": "all",
                    "declaration": declared[n].digest,
                    "notice": notices[n],
                    "language": "en",
                    "type": "given",
                    "attributes": " ".join(EIGHT),
                    "at": now,
                    "expires_at": None,
                    "actor": "self",
                    "channel": "paper",
                }
                for order, n in enumerate(chosen, start=1)
            )
        with platform.data.begin() as conn:
            conn.execute(insert(EventRow), rows)
            for subject in subjects[first : first + 1000]:
                platform.vouching.person(conn, subject)


def _request(number: str) -> AccessRequest:
    return AccessRequest(
        tenant="bench",
        service="service-000",
        purpose="purpose",
        attributes=EIGHT,
        person=ByIdentifier(attribute="user.identity.number", value=number),
        understands=frozenset(UNDERSTANDS),
        assurance=2,
    )


def _layers(platform: Platform, numbers: list[str]) -> dict[str, float]:
    """The cost of each layer by itself, one after the other, in µs."""
    facts_source = platform.gate._facts
    engine = EmbeddedPdp(load_bundle())
    now = platform.clock()
    some = numbers[:1500]
    requests = [_request(number) for number in some]
    subjects = [
        platform.vault.look_up.find("user.identity.number", n) for n in some
    ]
    holdings = [platform.vault.holding(one) for one in subjects if one]

    def read(work: Callable[[Any], Any]) -> Any:  # noqa: ANN401 - whatever the layer gives
        return platform.reader.now(work)

    gathered = [
        read(lambda conn, one=one: facts_source.gather(conn, one, now))
        for one in requests
    ]
    documents = [
        facts_source.input_document(one, found[1], now)
        for one, found in zip(requests, gathered, strict=True)
    ]
    answers = [engine.evaluate(ENTRYPOINT, d) for d in documents]
    grants = [
        ReadGrant(
            tenant="bench",
            subject=one.subject,
            attributes=frozenset(EIGHT),
            purpose="purpose",
            decision=uuid.uuid4(),
            expires_at=now + 600,
        )
        for one in holdings
    ]
    pairs = list(zip(grants, holdings, strict=True))
    return {
        "look_up_by_identifier": _each(
            lambda n: platform.vault.look_up.find("user.identity.number", n),
            some,
        ),
        "facts_gathered": _each(
            lambda one: read(lambda conn: facts_source.gather(conn, one, now)),
            requests,
        ),
        "ciphertext_fetched": _each(
            lambda one: platform.vault.holding(one.subject), holdings
        ),
        "document_built": _each(
            lambda pair: facts_source.input_document(pair[0], pair[1][1], now),
            list(zip(requests, gathered, strict=True)),
        ),
        "decided": _each(
            lambda d: engine.evaluate(ENTRYPOINT, d),
            documents,
        ),
        "decision_parsed": _each(
            lambda a: parse_decision(a, EIGHT, revision="x"), answers
        ),
        "log_key_derived": _each(platform.vault.log_key, holdings),
        "entry_appended_of_64": _append(platform, holdings),
        "values_opened": _each(lambda pair: platform.vault.read(*pair), pairs),
    }


def _append(platform: Platform, holdings: list[Any]) -> float:
    """µs an entry, in durable batches of 64."""
    drafts = [
        Draft(
            kind=EntryKind.DISCLOSURE,
            subject=one.subject,
            log_key=platform.vault.log_key(one),
            service="service-000",
            purpose="purpose",
            attributes=EIGHT,
            outcome="released",
            at=platform.clock(),
            decision=uuid.uuid4(),
            detail={"attributes": {}},
        )
        for one in holdings[:1024]
    ]
    times = []
    for first in range(0, len(drafts), 64):
        start = time.perf_counter()
        with platform.data.begin() as conn:
            platform.ledger.append(conn, drafts[first : first + 64])
        times.append((time.perf_counter() - start) / 64 * 1e6)
    return round(statistics.median(times), 1)


def _each(work: Callable[[Any], Any], things: list[Any]) -> float:
    """Median of the time of `work` on each of `things`, in µs."""
    times = []
    for one in things:
        start = time.perf_counter()
        work(one)
        times.append((time.perf_counter() - start) * 1e6)
    return round(statistics.median(times), 1)


async def _in_process(
    platform: Platform, numbers: list[str]
) -> dict[str, dict[str, float]]:
    found = {}
    async with platform.running():
        for concurrency, count in ((1, 2000), (16, len(numbers))):
            requests = [_request(number) for number in numbers[:count]]
            found[f"concurrency_{concurrency}"] = await _walk(
                platform, requests, concurrency
            )
    return found


async def _walk(
    platform: Platform, requests: list[AccessRequest], concurrency: int
) -> dict[str, float]:
    times: list[float] = []

    async def worker(mine: list[AccessRequest]) -> None:
        for one in mine:
            start = time.perf_counter()
            answer = await platform.gate.disclose(one)
            times.append(time.perf_counter() - start)
            assert all(item.value for item in answer.attributes)

    start = time.perf_counter()
    await asyncio.gather(
        *(worker(requests[n::concurrency]) for n in range(concurrency))
    )
    seconds = time.perf_counter() - start
    times.sort()
    return {
        "reads_per_s": round(len(requests) / seconds, 1),
        "p50_ms": round(statistics.median(times) * 1000, 3),
        "p99_ms": round(times[int(len(times) * 0.99)] * 1000, 3),
    }


def _over_http(
    folder: Path, numbers: list[str], credential: tuple[str, str]
) -> dict[str, Mapping[str, float]]:
    """Drive each server in turn; what stands beside what is one server's."""
    found: dict[str, Mapping[str, float]] = {}
    home = folder / "home"
    nothing = ["GET /health/live HTTP/1.1\r\nHost: b\r\n\r\n"] * 8000
    for end, workers in (("", 1), ("_two_workers", 2)):
        with server(home, workers=workers) as port:
            token = _token(port, credential)
            reads = [_http_read(token, number) for number in numbers]
            batches = _http_batches(token, numbers)
            _drive(folder, port, reads[:500], 16)
            if workers == 1:
                found["nothing_1"] = _drive(folder, port, nothing[:2000], 1)
                found["gated_1"] = _drive(folder, port, reads[:2000], 1)
            found[f"nothing_16{end}"] = _drive(folder, port, nothing, 16)
            found[f"gated_16{end}"] = _drive(folder, port, reads, 16)
            found[f"batches_2{end}"] = _of_people(
                _drive(folder, port, batches, 2)
            )
    with server(home, policies=False) as port:
        token = _token(port, credential)
        reads = [_http_read(token, number) for number in numbers]
        _drive(folder, port, reads[:500], 16)
        found["without_policy_16"] = _drive(folder, port, reads, 16)
    return found


def _of_people(drive: Mapping[str, float]) -> dict[str, float]:
    return {**drive, "people_per_s": round(_rate(drive) * BATCH, 1)}


def _token(port: int, credential: tuple[str, str]) -> str:
    answer = httpx2.post(
        f"http://127.0.0.1:{port}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=credential,
    )
    return str(answer.json()["access_token"])


def _http_batches(token: str, numbers: list[str]) -> list[str]:
    return [
        _post(
            "/v1/profile-requests/batch",
            token,
            {
                "people": [_person(number) for number in some],
                "attributes": EIGHT,
                "understands": UNDERSTANDS,
            },
        )
        for first in range(0, min(len(numbers), 20_000), BATCH)
        if len(some := numbers[first : first + BATCH]) == BATCH
    ]


def _http_read(token: str, number: str) -> str:
    return _post(
        "/v1/profile-requests",
        token,
        {
            "person": _person(number),
            "attributes": EIGHT,
            "understands": UNDERSTANDS,
        },
    )


def _person(number: str) -> dict[str, object]:
    return {
        "identifier": {"attribute": "user.identity.number", "value": number}
    }


def _post(path: str, token: str, document: object) -> str:
    body = json.dumps(document)
    return (
        f"POST {path} HTTP/1.1\r\nHost: b\r\n"
        f"Authorization: Bearer {token}\r\n"
        "Content-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n{body}"
    )


def _drive(
    folder: Path, port: int, requests: list[str], concurrency: int
) -> dict[str, float]:
    file = folder / "requests.json"
    file.write_text(json.dumps(requests), "utf-8")
    done = subprocess.run(
        (
            *(sys.executable, "-m", "tests.bench.load"),
            *(str(port), str(file), str(concurrency)),
        ),
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, float] = json.loads(done.stdout)
    return found
