"""Emergency access, held to the ledger, attack by attack.

Each attack is by somebody who writes the data database alone, also with rows
that this instance wrote itself, earlier.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from api.bootstrap import bootstrap
from api.cli.main import build
from consent.integrator import Integrator
from policy import (
    AlertKind,
    Emergency,
    GlassFinding,
    GlassRowKind,
    NotPermitted,
    ProposalFault,
)
from policy.glass import GlassDesk
from policy.glass_told import GlassTold
from tests.databases import KINDS, Kind
from tests.test_fact_codes import put_back
from tests.test_glass import (
    FIRST,
    SECOND,
    granted,
    opened,
)
from tests.test_glass_codes import (
    ALERTS,
    GRANTS,
    copied,
    delete,
    edit,
    prepare,
    row_of,
)
from tests.worlds import OFFICER, OTHER_OFFICER, STREET, World, build_world

ADDED, MISSING, ALTERED, CONTRADICTED = ProposalFault
GRANT, REFUSAL, ALERT = GlassRowKind
TABLES = ("policy_glass", "policy_glass_alert")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A grant waits, one was ended, one lapsed; one step was refused.

    Of the lapse the alert is closed.
    """

    world: World
    waiting: UUID
    ended: UUID
    lapsed: UUID
    refused: UUID
    closed: UUID

    def alert(self, grant: UUID, kind: str) -> UUID:
        """The alert of a kind about a grant."""
        about = (ALERTS.c.glass == grant, ALERTS.c.kind == kind)
        with self.world.platform.data.connect() as conn:
            return conn.execute(ALERTS.select().where(*about)).one().id


async def refuse(world: World) -> UUID:
    """Ask what is not granted; give the row of the refusal."""
    desk = world.platform.glass
    ask = Emergency(
        subject=world.cast["consenting"],
        purpose="address-change",
        attributes=(STREET,),
    )
    with pytest.raises(NotPermitted):
        await desk.request(FIRST, ask, reason="odd", case="odd")
    return max(
        await desk.grants(SECOND, refused=True), key=lambda one: one.glass.at
    ).glass.id


async def close(world: World, grant: UUID) -> UUID:
    """Look into a lapse; give the alert."""
    desk = world.platform.glass
    [alert] = [
        one
        for one in await desk.alerts(SECOND)
        if (one.grant, one.kind) == (grant, AlertKind.LAPSED)
    ]
    await desk.close(SECOND, alert.id, reason="asked")
    return alert.id


async def staged(world: World) -> Stage:
    """Have one of each."""
    waiting, ended, lapsed = await prepare(world)
    return Stage(
        world=world,
        waiting=waiting,
        ended=ended,
        lapsed=lapsed,
        refused=await refuse(world),
        closed=await close(world, lapsed),
    )


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """An instance for many attacks, on each database."""
    home = tmp_path_factory.mktemp("glass-sweep") / "home"
    with build_world(home, database=Kind(request.param)) as made:
        yield made.run(staged(made))


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The shared instance; what an attack did is put back."""
    with put_back(shared.world, *TABLES):
        yield shared
        shared.world.platform.macs.required = True


Found = tuple[ProposalFault, GlassRowKind, UUID, tuple[str, ...]]


def findings(world: World) -> list[GlassFinding]:
    """What the sweep finds."""
    return world.platform.glass_sweep.run()


def found(world: World) -> list[Found]:
    """The same without the entries."""
    return [
        (one.fault, one.kind, one.id, one.columns) for one in findings(world)
    ]


def test_nothing_is_found_where_officers_acted_alone(stage: Stage) -> None:
    """Grants, a use, an approval, an end, a lapse, a refusal, a close."""
    assert [] == found(stage.world)


EDITS: Mapping[str, tuple[str, dict[str, object], tuple[str, ...]]] = {
    "approved": ("waiting", {"approver": "x"}, ("approver",)),
    "never used": ("lapsed", {"uses": 0}, ("uses",)),
    "never approved": ("ended", {"approver": ""}, ("approver",)),
    "still open": (
        "ended",
        {"ended_by": "", "ended_at": None},
        ("ended_at",),
    ),
    "ended by somebody": ("lapsed", {"ended_by": "x"}, ("ended_by",)),
    "of another day": ("waiting", {"at": 5}, ("at",)),
    "for another purpose": ("waiting", {"purpose": "x"}, ("purpose",)),
    "of other attributes": (
        "waiting",
        {"attributes": '["user.gender"]'},
        ("attributes",),
    ),
    "for longer": ("waiting", {"ends": 2**40}, ()),
    "of other attributes, refused": (
        "refused",
        {"attributes": "[]"},
        ("attributes",),
    ),
}


@pytest.mark.parametrize("attack", EDITS.values(), ids=EDITS)
def test_a_row_that_the_ledger_denies_is_named(
    stage: Stage, attack: tuple[str, dict[str, object], tuple[str, ...]]
) -> None:
    """And no other; without codes, too, but for the code."""
    which, columns, named = attack
    identity = getattr(stage, which)
    edit(stage.world, identity, **columns)
    kind = REFUSAL if which == "refused" else GRANT
    assert [(ALTERED, kind, identity, (*named, "mac"))] == found(stage.world)
    (one,) = findings(stage.world)
    assert isinstance(one.entry, int)

    stage.world.platform.macs.required = False
    told = [(ALTERED, kind, identity, named)] if named else []
    assert told == found(stage.world)


def test_a_refusal_that_is_called_a_grant_is_named(stage: Stage) -> None:
    """And a grant that is called a refusal, to be looked at by nobody."""
    edit(stage.world, stage.refused, ended_by="x")
    assert [(ALTERED, GRANT, stage.refused, ("ended_by", "mac"))] == found(
        stage.world
    )


def test_what_is_gone_is_named(stage: Stage) -> None:
    """A grant, a refusal, an alert; of a grant its alerts are not told."""
    world = stage.world
    opened_once = stage.alert(stage.lapsed, "opened")
    delete(world, ALERTS, ALERTS.c.glass == stage.ended)
    delete(world, ALERTS, ALERTS.c.id == opened_once)
    for one in (stage.ended, stage.refused):
        delete(world, GRANTS, GRANTS.c.id == one)
    assert {
        (MISSING, GRANT, stage.ended, ()),
        (MISSING, REFUSAL, stage.refused, ()),
        (MISSING, ALERT, stage.lapsed, ("opened",)),
    } == set(found(world))
    assert all(isinstance(one.entry, int) for one in findings(world))


def test_what_nobody_asked_for_is_named(stage: Stage) -> None:
    """A grant; and an alert about one that owes none of its kind."""
    world, alert = stage.world, uuid4()
    made = copied(world, stage.waiting)
    with world.platform.data.begin() as conn:
        row = conn.execute(
            ALERTS.select().where(ALERTS.c.id == stage.closed)
        ).one()
        conn.execute(ALERTS.insert().values({**row._asdict(), "id": alert}))
    assert [
        (ADDED, GRANT, made, ()),
        (ADDED, ALERT, alert, ()),
    ] == found(world)


def test_a_copy_takes_no_entry_from_what_is_gone(stage: Stage) -> None:
    """A grant under another id is added, and the one it was is missing."""
    world = stage.world
    made = copied(world, stage.waiting)
    delete(world, GRANTS, GRANTS.c.id == stage.waiting)
    assert [
        (ADDED, GRANT, made, ()),
        (MISSING, GRANT, stage.waiting, ()),
    ] == found(world)


def test_an_alert_that_somebody_changed_is_named(stage: Stage) -> None:
    """Closed by nobody, or about another kind of step."""
    world = stage.world
    waits = stage.alert(stage.waiting, "granted")
    with world.platform.data.begin() as conn:
        conn.execute(
            ALERTS.update()
            .where(ALERTS.c.id == waits)
            .values(closed_by="x", closed_at=1)
        )
    assert [(ALTERED, ALERT, waits, ("mac", "closed_at"))] == found(world)
    world.platform.macs.required = False
    assert [(ALTERED, ALERT, waits, ("closed_at",))] == found(world)


def put_by(world: World, table: Any, identity: UUID) -> Callable[[], None]:  # noqa: ANN401 - any table
    """Keep a row as it is; give what puts it back, code and all."""
    which = table.c.id == identity
    with world.platform.data.connect() as conn:
        row = conn.execute(table.select().where(which)).one()._asdict()

    def back() -> None:
        with world.platform.data.begin() as conn:
            conn.execute(table.update().where(which).values(**row))

    return back


def test_a_row_of_earlier_is_named(tmp_path: Path, database: Kind) -> None:
    """It has its code; what came after stands in the ledger."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            before = put_by(world, GRANTS, glass.id)
            await opened(world, glass)
            await desk.end(FIRST, glass.id, reason="over")
            [alert] = [
                one
                for one in await desk.alerts(SECOND)
                if one.kind is AlertKind.LAPSED
            ]
            open_again = put_by(world, ALERTS, alert.id)
            await desk.close(SECOND, alert.id, reason="asked")
            assert [] == found(world)
            before()
            open_again()
            assert {
                (ALTERED, GRANT, glass.id, ("uses", "ended_at")),
                (ALTERED, ALERT, alert.id, ("closed_at",)),
            } == set(found(world))

        world.run(scene())


def test_a_step_out_of_a_row_of_earlier_is_named(
    tmp_path: Path, database: Kind
) -> None:
    """Whoever had the entries hidden for a moment is found out after."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        def nothing(_conn: object, glass: object) -> GlassTold:
            assert glass
            return GlassTold()

        async def scene() -> None:
            glass = await granted(world)
            before = put_by(world, GRANTS, glass.id)
            await desk.end(FIRST, glass.id, reason="over")
            after = row_of(world, glass.id)
            before()
            vars(desk)["_tells"] = nothing
            await opened(world, glass)
            assert {(ALTERED, GRANT, glass.id, ("ended_at",))} == set(
                found(world)
            )
            now = row_of(world, glass.id)
            edit(
                world,
                glass.id,
                ended_by=after["ended_by"],
                ended_at=after["ended_at"],
            )
            world.platform.macs.required = False
            assert 1 == now["uses"]
            assert [(CONTRADICTED, GRANT, glass.id, ())] == found(world)

        world.run(scene())


def test_of_the_erased_codes_alone_are_asked(
    tmp_path: Path, database: Kind
) -> None:
    """Their entries are gone; a changed row of theirs is named."""
    with build_world(tmp_path / "home", database=database) as world:

        async def scene() -> None:
            glass = await granted(world)
            await world.platform.registrar.erase(
                replace(OFFICER, id="officer-3"),
                world.cast["silent"],
                proposer=OTHER_OFFICER.id,
                justification="asked for it",
            )
            assert [] == found(world)
            edit(world, glass.id, approver="x")
            assert [(ALTERED, GRANT, glass.id, ("mac",))] == found(world)

        world.run(scene())


def test_what_another_record_was_erased_with_is_no_finding(
    tmp_path: Path, database: Kind
) -> None:
    """Of a grant about a person who was two records, half is entered."""
    with build_world(tmp_path / "home", database=database) as world:
        platform, cast = world.platform, world.cast

        async def scene() -> None:
            early = await granted(world, "limited", case="early")
            pair = cast["silent"], cast["limited"]
            await platform.records.merge(OFFICER, *pair, justification="card")
            late = await granted(world, "limited", case="late")
            await platform.glass.approve(SECOND, early.id)
            await opened(world, early)
            assert [] == found(world)
            await platform.records.unmerge(
                OFFICER, *pair, justification="card"
            )
            await platform.registrar.erase(
                replace(OFFICER, id="officer-3"),
                cast["silent"],
                proposer=OTHER_OFFICER.id,
                justification="asked for it",
            )
            assert cast["limited"] == row_of(world, late.id)["subject"]
            assert [] == found(world)

        world.run(scene())


def test_what_was_entered_before_grants_had_an_act_is_no_finding(
    tmp_path: Path, database: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry tells instant, purpose and attributes, and counts once."""
    drafted = GlassDesk._draft

    def before(self: GlassDesk, *args: Any) -> Any:  # noqa: ANN401 - as there
        return replace(drafted(self, *args), decision=uuid4())

    monkeypatch.setattr(GlassDesk, "_draft", before)
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            first = await granted(world)
            await desk.approve(SECOND, first.id)
            await opened(world, first)
            second = await granted(world, "limited", officer=SECOND)
            assert [] == found(world)
            made = copied(world, second.id)
            assert [(ADDED, GRANT)] == [
                one[:2] for one in found(world) if one[2] in {made, second.id}
            ]
            delete(world, GRANTS, GRANTS.c.id == made)
            delete(world, GRANTS, GRANTS.c.id == first.id)
            assert [(MISSING, GRANT)] == [one[:2] for one in found(world)]

        world.run(scene())


def test_what_waits_for_its_index_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where several processes write, entries are numbered after."""
    monkeypatch.setattr(Integrator, "start", lambda _self: None)
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        platform = bootstrap(world.platform.settings, direct=False)
        several = replace(world, platform=platform)
        told = []

        async def scene() -> None:
            glass = await granted(several)
            await opened(several, glass)
            told.append(platform.ledger.has_pending())
            assert [] == found(several)

        try:
            several.run(scene())
        finally:
            platform.close()
        assert [True] == told


def test_the_command_names_what_is_wrong(stage: Stage) -> None:
    """It ends with 1 where there is something, and says so for people."""
    home = str(stage.world.platform.settings.home)

    def run(*options: str) -> tuple[int, str]:
        asked = ["--home", home, "glass", "verify", *options]
        told = CliRunner().invoke(build(), asked)
        return told.exit_code, told.stdout

    code, said = run()
    assert (0, True) == (code, said.startswith("Nothing is wrong"))
    assert {"findings": []} == json.loads(run("--json")[1])
    delete(stage.world, GRANTS, GRANTS.c.id == stage.refused)
    code, said = run("--json")
    (finding,) = json.loads(said)["findings"]
    assert (1, "missing", "refusal", str(stage.refused), []) == (
        code,
        *(finding[name] for name in ("fault", "kind", "id", "columns")),
    )
    code, said = run()
    assert (1, True) == (code, "missing" in said)
