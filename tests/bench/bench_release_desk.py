"""The release desk: everybody in the vault to a signed release, by layers.

Made-up people with a declaration that asks for consent: most agreed, some
refused, withdrew or objected, one in ten has rules of their own. An officer
takes the extract through the desk itself; its own progress tells where one
layer ends and the next begins. The files are then checked and verified
offline, as their recipient would, outside the time.
"""

import asyncio
import hashlib
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from anonymize import check_folder
from api.bootstrap import bootstrap
from api.collecting import few_collections
from api.demo.people import synthetic_people
from api.instances import create_instance
from api.platform import Platform
from api.secrets import Costs
from consent import (
    PRESETS,
    ConsentEvent,
    Declaration,
    EventType,
    load_yaml,
    render_notice,
)
from consent.verifier import main as verify
from policy import (
    Caller,
    CallerKind,
    Form,
    ReleaseRequest,
    RestraintKind,
    RestraintStore,
)
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=300_000_000, seconds=40),
    True: Needs(bytes=3_000_000_000, seconds=300),
}
PEOPLE = {False: 5_000, True: 100_000}
TARGET_SECONDS = 10.0
"""For 100,000 people."""
QUASI = (
    "user.gender",
    "user.bdate",
    "user.home-info.postal.postalcode",
    "user.household.size",
)
SENSITIVE = "user.benefit.status"
HELD = (
    *QUASI,
    SENSITIVE,
    "user.name.given",
    "user.name.family",
    "user.identity.number",
)
_BATCH = 2_000
_DECLARATION = """
service: statistics-office
purpose: population-statistics
version: 1
title: {en: Statistics, zh-Hans: 统计}
purpose_text: {en: To count., zh-Hans: 用于统计。}
controller: {id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}
assurance: 1
obligations: [delete_by]
statements:
  - id: extract
    basis: consent
    purposes: [historical]
    recipients: [ours]
    retention: legal-requirement
    retention_days: 1825
    consequence: {en: Nothing., zh-Hans: 没有影响。}
    data:
      - user.gender
      - user.bdate
      - user.home-info.postal.postalcode
      - user.household.size
      - user.benefit.status
release: {recipient: statistics-office, k: 5, l: 2, suppression_limit: 0.05,
  sensitive: [user.benefit.status]}
"""
_AFTER = {
    "rows": "specification",
    "classes": "rows published, CSV written",
    "attacks": "guard's state, files, ledger",
}
"""What follows once a stage is done."""
_ROLES = ("compliance", "registrar", "analyst", "auditor")
_ASKS = Caller(kind=CallerKind.OFFICER, id="officer-1", roles=_ROLES)
_TAKES = Caller(kind=CallerKind.OFFICER, id="officer-2", roles=_ROLES)


class _Layers:
    """Seconds from one mark of progress to the next: wall and processor."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._layer = "terms"
        self._since = time.perf_counter(), time.process_time()

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Take the desk's own progress for the border of a layer."""
        ended = total and done == total
        layer = _AFTER.get(stage, stage) if ended else stage
        if layer != self._layer:
            self.turn(layer)

    def turn(self, layer: str) -> None:
        """End a layer, and begin another."""
        now = time.perf_counter(), time.process_time()
        spent = self.seconds.setdefault(self._layer, [0.0, 0.0])
        for at in range(2):
            spent[at] += now[at] - self._since[at]
        self._layer, self._since = layer, now

    def table(self) -> dict[str, dict[str, float]]:
        """The figures, to the hundredth of a second."""
        return {
            name: {"seconds": round(wall, 2), "cpu_seconds": round(cpu, 2)}
            for name, (wall, cpu) in self.seconds.items()
        }


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures."""
    count = PEOPLE[full]
    platform = _opened(folder)
    try:
        start = time.perf_counter()
        _fill(platform, count)
        filled = time.perf_counter() - start
        first = _take(platform, folder / "first")
        again = _take(platform, folder / "again")
        seconds = first["seconds"]
        return {
            "people": count,
            "filled_in_seconds": round(filled, 1),
            "first_release": first,
            "next_release_guarded": again,
            "microseconds_a_person": round(seconds / count * 1e6, 1),
            "target_seconds_at_100000": TARGET_SECONDS,
            "within": seconds <= TARGET_SECONDS * count / 100_000,
        }
    finally:
        platform.close()


def _opened(folder: Path) -> Platform:
    settings = create_instance(
        folder / "home",
        tenant="bench",
        origin="localhost/bench/access-log",
        passphrase_file=folder / "passphrase",
    )
    return bootstrap(settings, costs=Costs())


def _fill(platform: Platform, count: int) -> None:
    declaration = load_yaml(_DECLARATION.encode(), where="bench")
    with platform.data.begin() as conn:
        platform.consents.register(conn, declaration)
    people = synthetic_people(count, seed=7)
    for first in range(0, count, _BATCH):
        values = [
            {name: one.values[name] for name in HELD}
            for _, one in zip(
                range(min(_BATCH, count - first)), people, strict=False
            )
        ]
        admitted = platform.registrar.admit_now(values, source="bench")
        forms = [
            _form(platform, declaration, subject, first + at)
            for at, subject in enumerate(admitted.subjects)
        ]
        platform.registrar.enter_forms_now(forms)
        _object(platform, admitted.subjects[::100])


def _form(
    platform: Platform, declaration: Declaration, who: uuid.UUID, number: int
) -> Form:
    kinds = [EventType.REFUSED if number % 20 == 3 else EventType.GIVEN]
    if number % 20 == 7:
        kinds.append(EventType.WITHDRAWN)
    now = platform.clock()
    statement = declaration.statements[0]
    digest = render_notice(declaration, "en").digest
    return Form(
        subject=who,
        answers=tuple(
            ConsentEvent(
                id=uuid.uuid4(),
                subject=who,
                service=declaration.service,
                purpose=declaration.purpose,
                statement=statement.id,
                declaration=declaration.digest,
                notice="" if kind is EventType.WITHDRAWN else digest,
                language="en",
                type=kind,
                attributes=(
                    statement.attributes if kind is EventType.GIVEN else ()
                ),
                at=now,
                expires_at=None,
                actor="self",
                channel="paper",
            )
            for kind in kinds
        ),
        preferences=(
            [*PRESETS.values()][number // 10 % len(PRESETS)]
            if number % 10 == 1
            else None
        ),
    )


def _object(platform: Platform, people: tuple[uuid.UUID, ...]) -> None:
    store = RestraintStore(
        tenant=platform.settings.tenant,
        engine=platform.data,
        consents=platform.consents,
        random=platform.random,
    )
    with platform.data.begin() as conn:
        for who in people:
            platform.consents.bump(conn, who)
            store.impose(
                conn,
                who,
                RestraintKind.OBJECTION,
                purpose="population-statistics",
                now=platform.clock(),
            )


def _take(platform: Platform, out: Path) -> dict[str, Any]:
    desk = platform.releases
    wanted = ReleaseRequest(
        service="statistics-office",
        purpose="population-statistics",
        recipient="statistics-office",
        columns=(*QUASI, SENSITIVE),
        k=5,
        l=2,
        sensitive=SENSITIVE,
    )
    release = asyncio.run(desk.request(_ASKS, wanted))
    layers = _Layers()
    start, used = time.perf_counter(), time.process_time()
    with few_collections():  # as the command has it
        taken = asyncio.run(desk.take(_TAKES, release, out, progress=layers))
    seconds = time.perf_counter() - start
    cpu = time.process_time() - used
    layers.turn("")
    check_folder(out, None)
    proved = verify([str(out / "proof.json"), "--vkey", platform.ledger_vkey])
    return {
        "seconds": round(seconds, 2),
        "cpu_seconds": round(cpu, 2),
        "layers": layers.table(),
        "left_out": taken.left_out,
        "rows_out": taken.rows_out,
        "k": taken.k,
        "l": taken.l,
        "ncp": round(taken.ncp, 4),
        "verified_offline": proved == 0,
        "sha256_of_data": hashlib.sha256(
            (out / "data.csv").read_bytes()
        ).hexdigest()[:16],
    }
