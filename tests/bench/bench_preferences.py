"""Matching, facts for the gate, and how soon a withdrawal is seen.

- ``matching``: statements matched with preferences in a second of one core's
  time (other processes share the machine, so it is not the clock's):
  the demo's declarations with each preset, and where the corpus lies beside
  the tree its policies too, with the presets and with forty rules.
- ``facts``: what `FactSource.about` takes for one person, service and
  purpose, over people drawn from a table of answers with 50 each, and what
  each of its reads takes; beside it the floor, the same statements by the
  driver alone.
- ``withdrawal``: from the answer to a withdrawal over HTTP to the end of the
  first refused read, over new connections to two workers.
"""

import json
import statistics
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection

from api.pages.desk import CAST_NAME
from api.pages.sessions import Sessions
from api.platform import Platform
from consent import (
    PRESETS,
    Behavior,
    Category,
    Declaration,
    Parts,
    Preferences,
    Purpose,
    RecipientClass,
    Rule,
    Terms,
    load_p3p,
    load_yaml,
    match,
    render_notice,
)
from policy import AccessRequest, ById, FactSource, RestraintStore
from policy.gate import UNDERSTOOD
from tests.bench.room import Needs
from tests.parts import ROOT
from tests.serving import HOST, Served, serving
from tests.worlds import (
    NUMBER,
    PURPOSE,
    SERVICE,
    World,
    build_platform,
    build_world,
)

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=200_000_000, seconds=60),
    True: Needs(bytes=1_500_000_000, seconds=180),
}
ANSWERS = {False: 50_000, True: 1_000_000}
EACH = 50
ACTIVITIES = 10
READS = 4000
ROUNDS = 12
CORPUS = ROOT.parent / "shared" / "corpus" / "p3p" / "xml"
NOW = 1_790_000_000


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures."""
    return {
        "targets": {
            "matches_per_s": 20_000,
            "facts_us": 150,
            "withdrawal_ms": 50,
        },
        "matching": _matching(),
        "facts": _facts(folder / "facts", ANSWERS[full]),
        "withdrawal": _withdrawal(folder / "served"),
    }


# Matching.


def _matching() -> dict[str, object]:
    demo = [
        load_yaml(path.read_bytes(), where=path.name)
        for path in sorted((ROOT / "api/demo/declarations").glob("*.yaml"))
    ]
    sets = {
        "presets": list(PRESETS.values()),
        "forty_rules": [_forty()],
    }
    found: dict[str, object] = {
        f"demo_{name}_per_s": _rate(demo, preferences)
        for name, preferences in sets.items()
    }
    corpus = list(_corpus())
    if corpus:
        found |= {
            f"corpus_{name}_per_s": _rate(corpus, preferences)
            for name, preferences in sets.items()
        }
    return found


def _corpus() -> Iterator[Declaration]:
    for path in sorted(CORPUS.glob("*.xml")):
        try:
            yield from load_p3p(path.read_bytes(), where=path.name)
        except Exception:  # noqa: BLE001, S112 - what is refused is not matched
            continue


def _forty() -> Preferences:
    draw = Random(40)  # noqa: S311 - a reproducible rule set
    return Preferences(
        rules=(
            *(
                Rule(
                    id=f"r{n}",
                    behavior=draw.choice([Behavior.ALLOW, Behavior.REFUSE]),
                    purposes=frozenset(draw.sample(list(Purpose), 2)),
                    recipients=frozenset(draw.sample(list(RecipientClass), 2)),
                    categories=frozenset(draw.sample(list(Category), 3)),
                    attributes=("user.home-info.postal",) if n % 5 else (),
                )
                for n in range(39)
            ),
            Rule(id="rest", behavior=Behavior.ALLOW),
        )
    )


def _rate(
    declared: Sequence[Declaration], preferences: Sequence[Preferences]
) -> int:
    """Statements a second, the best of three rounds."""
    statements = sum(len(one.statements) for one in declared)
    best = 0.0
    for _ in range(3):
        done, start = 0, time.process_time()
        while (spent := time.process_time() - start) < 1.0:
            for one in preferences:
                for each in declared:
                    match(one, each)
            done += statements * len(preferences)
        best = max(best, done / spent)
    return round(best)


# Facts.


def _facts(home: Path, answers: int) -> dict[str, object]:
    home.parent.mkdir(parents=True, exist_ok=True)
    with build_platform(home) as (platform, _clock):
        declared = _declare(platform)
        start = time.perf_counter()
        people = _fill(platform, declared, answers // EACH)
        filled = time.perf_counter() - start
        return {
            "answers": answers,
            "people": len(people),
            "filled_s": round(filled, 1),
            **_read(platform, declared, people),
        }


def _declare(platform: Platform) -> list[Declaration]:
    whole = (ROOT / "api/demo/declarations/moving-house.yaml").read_bytes()
    first = load_yaml(whole, where="moving-house")
    statement = first.statements[0]
    fields = {name: getattr(statement, name) for name in statement.__slots__}
    declared = [
        Declaration(
            service=f"service-{n}",
            purpose="purpose",
            version=1,
            title=first.title,
            purpose_text=first.purpose_text,
            controller=first.controller,
            statements=tuple(
                type(statement)(**{**fields, "id": f"s{k}"})
                for k in range(EACH // ACTIVITIES)
            ),
        )
        for n in range(ACTIVITIES)
    ]
    with platform.data.begin() as conn:
        for one in declared:
            platform.consents.register(conn, one)
    return declared


def _fill(
    platform: Platform, declared: Sequence[Declaration], people: int
) -> list[uuid.UUID]:
    """Write answers by the driver: every event as the store would."""
    draw = Random(50)  # noqa: S311 - a reproducible population
    tenant = platform.settings.tenant
    subjects = [
        uuid.UUID(int=draw.getrandbits(128), version=4) for _ in range(people)
    ]
    names = {one.digest: render_notice(one, "en").digest for one in declared}
    preferences = [
        Preferences(
            rules=(
                Rule(
                    id="mine",
                    behavior=Behavior.ALLOW,
                    terms=Terms(times=3, days=30),
                ),
            )
        ).text(),
        *(one.text() for one in PRESETS.values()),
    ]

    def events(subject: uuid.UUID) -> Iterator[tuple[object, ...]]:
        revision = 0
        for one in declared:
            for statement in one.statements:
                revision += 1
                identity = uuid.UUID(int=draw.getrandbits(128), version=4)
                yield (
                    tenant,
                    subject.hex,
                    one.service,
                    one.purpose,
                    revision,
                    identity.hex,
                    statement.id,
                    one.digest,
                    names[one.digest],
                    "en",
                    "given",
                    " ".join(statement.attributes),
                    NOW - revision,
                    "self",
                    "portal",
                )

    with platform.data.begin() as conn:
        driver: Any = conn.connection.driver_connection
        driver.executemany(
            "INSERT INTO consent_event (tenant, subject, service, purpose,"
            " revision, id, statement, declaration, notice, language, type,"
            " attributes, at, actor, channel)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            # In the order of the key, so that the table is written once.
            (row for one in sorted(subjects) for row in events(one)),
        )
        driver.executemany(
            "INSERT INTO consent_revision (tenant, subject, revision)"
            " VALUES (?, ?, ?)",
            ((tenant, one.hex, EACH) for one in subjects),
        )
        driver.executemany(
            "INSERT INTO consent_preferences"
            " (tenant, subject, version, at, text) VALUES (?, ?, 1, ?, ?)",
            (
                (tenant, one.hex, NOW, preferences[n % len(preferences)])
                for n, one in enumerate(subjects)
            ),
        )
        for one in subjects:
            platform.vouching.person(conn, one)
    return subjects


def _read(
    platform: Platform,
    declared: Sequence[Declaration],
    people: Sequence[uuid.UUID],
) -> dict[str, object]:
    consents = platform.consents
    restraints = RestraintStore(
        tenant=platform.settings.tenant,
        engine=platform.data,
        consents=platform.consents,
        random=platform.random,
    )
    source = FactSource(
        vault=platform.vault,
        consents=consents,
        restraints=restraints,
        classification=platform.classification,
    )
    draw = Random(7)  # noqa: S311 - a reproducible sample
    asked = [
        (draw.choice(people), draw.choice(declared)) for _ in range(READS)
    ]
    attributes = declared[0].statements[0].attributes
    requests = {
        one.service: AccessRequest(
            tenant=platform.settings.tenant,
            service=one.service,
            purpose=one.purpose,
            attributes=attributes,
            person=ById(subject=people[0]),
            understands=UNDERSTOOD,
            assurance=2,
        )
        for one in declared
    }
    present = frozenset(attributes)

    def facts(conn: Connection, who: uuid.UUID, one: Declaration) -> object:
        return source.about(
            conn, who, requests[one.service], NOW, known=True, present=present
        )

    layers: dict[str, Callable[[Connection, uuid.UUID, Declaration], object]]
    layers = {
        "facts": facts,
        "revision": lambda conn, who, _: consents.revision(conn, who),
        "declaration": lambda _conn, _who, one: consents.declaration(
            one.service, one.purpose
        ),
        "answers": lambda conn, who, one: consents.events(
            who, one.service, one.purpose, until=None, conn=conn
        ),
        "preferences": lambda conn, who, _: consents.preferences(who, conn),
        "revision_and_code": lambda conn, who, _: consents.counted(
            conn, who, known=True
        ),
        # With the digest of the rows, which is compared with nothing here.
        "restraints": lambda conn, who, _: restraints.at(
            conn, who, NOW, Parts(who, None)
        ),
        "counted_uses": lambda conn, who, one: consents.uses(
            (who,), one.service, one.purpose, conn
        ),
        "verdicts": lambda conn, who, one: source.verdicts(
            consents.preferences(who, conn), one
        ),
        "facts_and_input": lambda conn, who, one: source.input_document(
            requests[one.service],
            source.about(
                conn,
                who,
                requests[one.service],
                NOW,
                known=True,
                present=present,
            ),
            NOW,
        ),
    }
    timed = {
        name: platform.reader.now(
            lambda conn, work=work: _timed(conn, work, asked)  # type: ignore[misc] # mypy cannot type a bound default
        )
        for name, work in layers.items()
    }
    return {
        "facts_us": timed["facts"]["median_us"],
        "facts_p99_us": timed["facts"]["p99_us"],
        "layers_median_us": {
            name: found["median_us"] for name, found in timed.items()
        },
    }


def _timed(
    conn: Connection,
    work: Callable[[Connection, uuid.UUID, Declaration], object],
    asked: Sequence[tuple[uuid.UUID, Declaration]],
) -> dict[str, float]:
    for who, one in asked[:200]:
        work(conn, who, one)
    spent = []
    for who, one in asked:
        start = time.perf_counter_ns()
        work(conn, who, one)
        spent.append(time.perf_counter_ns() - start)
    return {
        "median_us": round(statistics.median(spent) / 1000, 1),
        "p99_us": round(statistics.quantiles(spent, n=100)[98] / 1000, 1),
    }


# Withdrawal.


def _withdrawal(home: Path) -> dict[str, object]:
    home.parent.mkdir(parents=True, exist_ok=True)
    with build_world(home) as world:
        me = {
            "subject": str(world.cast["consenting"]),
            "label": {"en": "Person 1", "zh-Hans": "人员1"},
            "description": None,
        }
        (home / CAST_NAME).write_text(json.dumps([me]), "utf-8")
        with serving(world, workers=2) as server:
            rounds = [_seen(world, server) for _ in range(ROUNDS)]
    return {
        "workers": 2,
        "rounds": ROUNDS,
        "median_ms": round(statistics.median(one[0] for one in rounds), 1),
        "worst_ms": round(max(one[0] for one in rounds), 1),
        "released_after_the_answer": sum(one[1] for one in rounds),
        "the_withdrawal_itself_ms": round(
            statistics.median(one[2] for one in rounds), 1
        ),
    }


def _seen(world: World, server: Served) -> tuple[float, int, float]:
    """Withdraw once: ms to the first refusal, later releases, ms it took."""
    cookie = _cookie(world)
    number = world.values["consenting"][NUMBER]
    _answer(world, server, cookie, "give")
    if not all(_released(server.ask(number)) for _ in range(8)):
        msg = "consent was given, and not every worker releases"
        raise RuntimeError(msg)
    start = time.perf_counter()
    _answer(world, server, cookie, "withdraw")
    answered = time.perf_counter()
    first: float | None = None
    released = 0
    # New connections, which the kernel spreads over both workers.
    for _ in range(8):
        if _released(server.ask(number)):
            released += 1
        elif first is None:
            first = time.perf_counter() - answered
    if first is None:
        msg = "no read was refused"
        raise RuntimeError(msg)
    return first * 1000, released, (answered - start) * 1000


def _released(answer: Mapping[str, Any]) -> bool:
    return any(
        one["effect"] == "release" for one in answer["attributes"].values()
    )


def _cookie(world: World) -> str:
    """A session of the person, as signing in makes it."""
    platform = world.platform
    sessions = Sessions(
        secret=platform.secrets.session,
        secure=False,
        clock=lambda: int(time.time()),
        random=platform.random,
    )
    text = sessions._cookies.dumps(
        [
            platform.random(16).hex(),
            int(time.time()),
            world.cast["consenting"].hex,
            None,
        ]
    )
    return f"{sessions.cookie}={text}"


def _answer(world: World, server: Served, cookie: str, choice: str) -> None:
    """Give or withdraw over HTTP; it is in force when this returns."""
    address = f"http://{HOST}:{server.port}/v1/me/consents"
    read = urllib.request.Request(address, headers={"Cookie": cookie})
    with urllib.request.urlopen(read, timeout=60) as answer:  # noqa: S310 - loopback
        token = json.load(answer)["form_token"]
    about = {
        "service": SERVICE,
        "purpose": PURPOSE,
        "statement": "address",
        "language": "en",
    }
    served = _post(server, "notices", about, cookie, token)
    _post(
        server,
        "consents",
        {
            **about,
            "choice": choice,
            "optional": [],
            "declaration": world.declaration.digest,
            "notice": served["notice"],
            "served": served["served"],
        },
        cookie,
        token,
    )


def _post(
    server: Served,
    path: str,
    body: Mapping[str, object],
    cookie: str,
    token: str,
) -> Any:  # noqa: ANN401 - a JSON document
    sent = urllib.request.Request(
        f"http://{HOST}:{server.port}/v1/me/{path}",
        data=json.dumps(body).encode(),
        headers={
            "Cookie": cookie,
            "Content-Type": "application/json",
            "X-Form-Token": token,
        },
    )
    with urllib.request.urlopen(sent, timeout=60) as answer:  # noqa: S310 - loopback
        return json.load(answer)
