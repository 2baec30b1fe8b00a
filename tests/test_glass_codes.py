"""Emergency access that nobody asked for, or that somebody changed, is none.

Each attack is by somebody who writes the data database alone, and tries to
have a grant, an approval, a later end, or a lapse that is forgotten.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import ColumnElement, Connection, Table, text, update
from typer.testing import CliRunner

from api.cli.main import build
from api.processing_log import row_of as row_of_entry
from consent import EntryKind, RowForged
from policy import (
    AlertKind,
    Caller,
    Cause,
    Emergency,
    Glass,
    GlassState,
    ListedGlass,
    NoDecision,
    RecordUnknown,
)
from policy.gate import Gate
from policy.glass import GlassDesk
from policy.glass_tables import GlassAlertRow, GlassRow
from policy.glass_told import GlassTold, _day_before
from tests.databases import KINDS, Kind
from tests.test_fact_codes import put_back
from tests.test_glass import (
    APPROVAL,
    FIRST,
    PURPOSE,
    REASON,
    SECOND,
    THIRD,
    WHOLE,
    about,
    alerts,
    entered,
    granted,
    opened,
    refused,
    seen,
)
from tests.worlds import BIRTH, OFFICER, STREET, World, build_world
from tests.worlds import reopen as opened_again

GRANTS = GlassRow.metadata.tables["policy_glass"]
ALERTS = GlassAlertRow.metadata.tables["policy_glass_alert"]
FOURTH = replace(FIRST, id="officer-4")
AGES = 2**39


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """One grant waits, one was ended, and one lapsed, each about "silent"."""

    world: World
    waiting: UUID
    ended: UUID
    lapsed: UUID

    async def refusals(self) -> Sequence[ListedGlass]:
        """The steps that were refused."""
        return await self.world.platform.glass.grants(SECOND, refused=True)

    def undemanded(self) -> None:
        """Demand no codes from here on, as in an instance of before.

        Nor what the ledger tells: what earlier attacks entered stays.
        """
        self.world.platform.macs.required = False

        def nothing(_conn: Connection, glass: Glass) -> GlassTold:
            assert glass
            return GlassTold()

        vars(self.world.platform.glass)["_tells"] = nothing


def edit(world: World, identity: UUID, **columns: object) -> None:
    """Change a grant past every check of ours."""
    with world.platform.data.begin() as conn:
        where = GRANTS.c.id == identity
        done = conn.execute(update(GRANTS).where(where).values(**columns))
        assert done.rowcount


def edit_alerts(world: World, identity: UUID, **columns: object) -> None:
    """Change the alerts of a lapse past every check of ours."""
    with world.platform.data.begin() as conn:
        done = conn.execute(
            update(ALERTS)
            .where(ALERTS.c.glass == identity, ALERTS.c.kind == "lapsed")
            .values(**columns)
        )
        assert done.rowcount


def copied(world: World, identity: UUID, **columns: object) -> UUID:
    """Write another row like one that is there; give its id."""
    made: dict[str, Any] = {"id": uuid4(), "once": uuid4().bytes, **columns}
    with world.platform.data.begin() as conn:
        row = conn.execute(
            GRANTS.select().where(GRANTS.c.id == identity)
        ).one()
        conn.execute(GRANTS.insert().values({**row._asdict(), **made}))
    return made["id"]


def delete(world: World, table: Table, *which: ColumnElement[bool]) -> None:
    """Delete rows past every check of ours."""
    with world.platform.data.begin() as conn:
        assert conn.execute(table.delete().where(*which)).rowcount


def row_of(world: World, identity: UUID) -> Mapping[str, Any]:
    """The row of a grant, as it stands."""
    with world.platform.data.connect() as conn:
        found = conn.execute(GRANTS.select().where(GRANTS.c.id == identity))
        return found.one()._asdict()


async def prepare(world: World) -> tuple[UUID, UUID, UUID]:
    """Have a grant of each kind, the waiting one last."""
    desk = world.platform.glass
    lapsed = await granted(world, officer=THIRD, case="lapsed")
    await opened(world, lapsed, officer=THIRD)
    world.clock.now += WHOLE
    await desk.settle()
    ended = await granted(world, case="ended")
    await desk.approve(SECOND, ended.id)
    await desk.end(FIRST, ended.id, reason="over")
    waiting = await granted(world, "limited", case="waiting")
    return waiting.id, ended.id, lapsed.id


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """An instance for many attacks, on each database."""
    home = tmp_path_factory.mktemp("glass-codes") / "home"
    with build_world(home, database=Kind(request.param)) as made:
        waiting, ended, lapsed = made.run(prepare(made))
        yield Stage(world=made, waiting=waiting, ended=ended, lapsed=lapsed)


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The shared instance, opened anew; what an attack did is put back."""
    with put_back(shared.world, "policy_glass", "policy_glass_alert"):
        platform = opened_again(shared.world)
        try:
            yield replace(
                shared, world=replace(shared.world, platform=platform)
            )
        finally:
            platform.close()


def last(world: World) -> Any:  # noqa: ANN401 - a body of an entry
    """What the newest entry tells."""
    ledger = world.platform.ledger
    [found] = ledger.audit_entries(after=ledger.size() - 2)
    assert found.body is not None
    return found.body


LATER = {"deadline": AGES, "ends": AGES}
OPEN = {"ended_by": "", "ended_at": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """What is written over a grant, and what is asked of it then."""

    which: str
    columns: Mapping[str, object]
    who: Caller = FIRST
    name: str = "limited"
    names: tuple[str, ...] = (BIRTH,)
    purpose: str = PURPOSE

    def forge(self, world: World, identity: UUID) -> None:
        """Write it; a person is a character."""
        columns = dict(self.columns)
        if "subject" in columns:
            columns["subject"] = world.cast[str(columns["subject"])]
        edit(world, identity, **columns)

    async def open(self, world: World, identity: UUID) -> set[str]:
        """Ask for it; give the names of what was opened."""
        ask = Emergency(
            subject=world.cast[self.name],
            purpose=self.purpose,
            attributes=self.names,
        )
        shown = await world.platform.glass.open(self.who, identity, ask)
        return {one.attribute for one in shown}


ATTACKS = {
    "to another officer": Attack(
        which="waiting", columns={"officer": THIRD.id}, who=THIRD
    ),
    "about another person": Attack(
        which="waiting", columns={"subject": "refusing"}, name="refusing"
    ),
    "more attributes": Attack(
        which="waiting",
        columns={"attributes": f'["{STREET}"]'},
        names=(STREET,),
    ),
    "another purpose": Attack(
        which="waiting",
        columns={"purpose": "missing-person"},
        purpose="missing-person",
    ),
    "approved": Attack(which="waiting", columns={"approver": SECOND.id}),
    "ends later": Attack(which="waiting", columns={"ends": AGES}),
    "never used": Attack(which="waiting", columns={"seen": 1}),
    "recognized otherwise": Attack(
        which="waiting", columns={"once": b"o" * 16}
    ),
    "without its reason": Attack(which="waiting", columns={"sealed": None}),
    "without a code": Attack(which="waiting", columns={"mac": None}),
    "brought back": Attack(which="ended", columns=OPEN, name="silent"),
    "lapsed, and due later": Attack(
        which="lapsed", columns=OPEN | LATER, who=THIRD, name="silent"
    ),
    "lapsed, and approved": Attack(
        which="lapsed",
        columns=OPEN | {"ends": AGES, "approver": SECOND.id},
        who=THIRD,
        name="silent",
    ),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_grant_that_somebody_changed_opens_nothing(
    stage: Stage, attack: Attack
) -> None:
    """It is a step without a decision; without codes it would open."""
    world, identity = stage.world, getattr(stage, attack.which)
    attack.forge(world, identity)

    async def scene() -> None:
        with pytest.raises(RowForged):
            await attack.open(world, identity)
        told = (await seen(world, attack.name))[-1]
        assert ("no-decision", Cause.DAMAGED.value, str(identity)) == (
            told.outcome,
            told.detail["cause"],
            told.detail["grant"],
        )
        stage.undemanded()
        assert set(attack.names) == await attack.open(world, identity)

    world.run(scene())


def test_a_grant_that_nobody_asked_for_opens_nothing(stage: Stage) -> None:
    """Neither one that was written, nor a right row under another id."""
    world = stage.world
    written = copied(
        world,
        stage.ended,
        **OPEN,
        **LATER,
        subject=world.cast["refusing"],
        approver=SECOND.id,
        mac=None,
    )
    moved = copied(world, stage.waiting)
    about = Attack(which="", columns={}, name="refusing")

    async def scene() -> None:
        with pytest.raises(RowForged):
            await about.open(world, written)
        with pytest.raises(RowForged):
            await replace(about, name="limited").open(world, moved)
        stage.undemanded()
        assert {BIRTH} == await about.open(world, written)
        assert {BIRTH} == await replace(about, name="limited").open(
            world, moved
        )

    world.run(scene())


def test_who_is_named_as_the_officer_is_not_believed(stage: Stage) -> None:
    """Else one officer would approve their own, and nobody would look."""
    world, desk = stage.world, stage.world.platform.glass
    edit(world, stage.waiting, officer="officer-9")

    async def scene() -> None:
        for step in (
            desk.approve(FIRST, stage.waiting),
            desk.end(FIRST, stage.waiting, reason="over"),
            desk.show(SECOND, stage.waiting, reason="a complaint"),
        ):
            with pytest.raises(RowForged):
                await step
            assert ("no-decision", "", ()) == (
                last(world).outcome,
                last(world).mark,
                last(world).attributes,
            )
        stage.undemanded()
        assert FIRST.id == (await desk.approve(FIRST, stage.waiting)).approver

    world.run(scene())


def test_what_is_changed_while_it_is_decided_stays_unused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that is written anew is looked at again."""
    world = stage.world
    recorded = Gate.record_then_show

    async def slow(self: Gate, **rest: Any) -> Any:  # noqa: ANN401 - as there
        edit(world, stage.waiting, approver=SECOND.id)
        edit(world, stage.waiting, approver="", ends=AGES)
        return await recorded(self, **rest)

    monkeypatch.setattr(Gate, "record_then_show", slow)

    async def scene() -> None:
        with pytest.raises(RowForged):
            await Attack(which="waiting", columns={}).open(
                world, stage.waiting
            )

    world.run(scene())
    assert 0 == row_of(world, stage.waiting)["uses"]


def test_lists_show_what_somebody_changed(stage: Stage) -> None:
    """Flagged, whatever it reads like, beside what is genuine."""
    world, desk = stage.world, stage.world.platform.glass
    edit(world, stage.waiting, attributes="none", ends=2**62)
    edit_alerts(world, stage.lapsed, kind="odd", glass=UUID(int=1))

    async def scene() -> None:
        assert {
            stage.waiting: (GlassState.WAITING, False),
            stage.ended: (GlassState.ENDED, True),
            stage.lapsed: (GlassState.LAPSED, True),
        } == {
            one.glass.id: (one.state, one.glass.genuine)
            for one in await desk.grants(SECOND)
        }
        assert {
            (AlertKind.GRANTED, stage.lapsed, True),
            (AlertKind.OPENED, stage.lapsed, True),
            (None, UUID(int=1), False),
            (AlertKind.GRANTED, stage.ended, True),
            (AlertKind.GRANTED, stage.waiting, False),
        } == {
            (one.kind, one.grant, one.genuine)
            for one in await desk.alerts(SECOND)
        }

    world.run(scene())


FORGOTTEN: Mapping[str, tuple[str, dict[str, object]]] = {
    "closed": ("alert", {"closed_by": SECOND.id, "closed_at": 1}),
    "of another kind": ("alert", {"kind": "granted"}),
    "about no grant": ("alert", {"glass": UUID(int=1)}),
    "about another officer": ("alert", {"officer": "officer-9"}),
    "no alert": ("no alert", {}),
    "another officer's": ("grant", {"officer": "officer-9"}),
    "approved": ("grant", {"approver": SECOND.id}),
    "no grant": ("grant", {"ended_by": "REFUSED"}),
    "of another id": ("grant", {"id": UUID(int=2)}),
}


@pytest.mark.parametrize("attack", FORGOTTEN.values(), ids=FORGOTTEN)
def test_a_lapse_is_not_forgotten(
    stage: Stage, attack: tuple[str, dict[str, object]]
) -> None:
    """Grant and alert each tell of it; one of them alone is not enough."""
    world = stage.world
    what, columns = attack
    if what == "grant":
        edit(world, stage.lapsed, **columns)
    elif what == "alert":
        edit_alerts(world, stage.lapsed, **columns)
    else:
        delete(world, ALERTS, ALERTS.c.kind == "lapsed")

    async def scene() -> None:
        await refused(
            granted(world, "refusing", officer=THIRD), "glass_alert_open"
        )
        assert await granted(world, "refusing", officer=SECOND)
        stage.undemanded()
        if columns.get("closed_at"):
            assert await granted(world, "refusing", officer=THIRD)

    world.run(scene())


@pytest.mark.parametrize("closed", [False, True])
def test_whoever_has_a_changed_grant_owes_an_answer(
    stage: Stage, *, closed: bool
) -> None:
    """By the alert where the officer was changed, else by the grant."""
    world, desk = stage.world, stage.world.platform.glass

    async def scene() -> None:
        if closed:
            [alert] = [
                one
                for one in await desk.alerts(SECOND)
                if one.grant == stage.waiting
            ]
            await desk.close(SECOND, alert.id, reason="fine")
        edit(
            world,
            stage.waiting,
            **({"approver": SECOND.id} if closed else {"officer": "x"}),
        )
        await refused(granted(world, "refusing"), "glass_alert_open")
        assert await granted(world, "refusing", officer=FOURTH)
        stage.undemanded()
        if closed:
            assert await granted(world, "refusing")

    world.run(scene())


def test_codes_do_not_tell_what_is_gone(stage: Stage) -> None:
    """A lapse of which both rows were deleted is the ledger's to tell."""
    world = stage.world
    delete(world, ALERTS, ALERTS.c.glass == stage.lapsed)
    delete(world, GRANTS, GRANTS.c.id == stage.lapsed)

    async def scene() -> None:
        assert stage.lapsed not in {one for _, one in await alerts(world)}
        assert await granted(world, "refusing", officer=THIRD)

    world.run(scene())


@pytest.mark.parametrize("step", ["end", "lapse", "open", "approve"])
def test_a_grant_of_before_its_last_step_opens_nothing(
    tmp_path: Path, database: Kind, step: str
) -> None:
    """Its code is right; the entries tell that something came after."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            before = row_of(world, glass.id)
            if step == "end":
                await desk.end(FIRST, glass.id, reason="over")
            elif step == "open":
                await opened(world, glass)
            elif step == "approve":
                await desk.approve(SECOND, glass.id)
            else:
                world.clock.now += APPROVAL
                assert 1 == await desk.settle()
            edit(world, glass.id, **before)
            for act in (
                opened(world, glass),
                desk.approve(SECOND, glass.id),
                desk.end(FIRST, glass.id, reason="over"),
                desk.show(SECOND, glass.id, reason="to approve it"),
            ):
                steps = len(await entered(world))
                with pytest.raises(RowForged, match="glass verify`, and ask"):
                    await act
                assert ["no-decision"] == (await entered(world))[steps:]
            assert before == row_of(world, glass.id)

        world.run(scene())


@pytest.mark.parametrize("step", ["open", "approve"])
def test_a_grant_that_ends_and_is_put_back_meanwhile_opens_nothing(
    tmp_path: Path,
    database: Kind,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
) -> None:
    """The entries are asked again where the step is written down."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass
        decided = GlassDesk._judge

        async def scene() -> None:
            glass = await granted(world)
            before = row_of(world, glass.id)

            async def slow(self: GlassDesk, question: Any) -> Any:  # noqa: ANN401 - as there
                monkeypatch.undo()
                found = await decided(self, question)
                await desk.end(FIRST, glass.id, reason="over")
                edit(world, glass.id, **before)
                return found

            monkeypatch.setattr(GlassDesk, "_judge", slow)
            act: Any = (
                opened(world, glass)
                if step == "open"
                else desk.approve(SECOND, glass.id)
            )
            with pytest.raises(RowForged):
                await act
            assert before == row_of(world, glass.id)
            assert ["ended", "no-decision"] == (await entered(world))[-2:]

        world.run(scene())


@pytest.mark.parametrize("step", ["end", "approve"])
def test_a_grant_that_did_not_lapse_does_not_lapse_after(
    tmp_path: Path, database: Kind, step: str
) -> None:
    """Nobody is alerted, or entered, about a row that was put back."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            before = row_of(world, glass.id)
            if step == "end":
                await desk.end(FIRST, glass.id, reason="over")
            else:
                await desk.approve(SECOND, glass.id)
            then = await entered(world)
            edit(world, glass.id, **before)
            world.clock.now += APPROVAL
            assert 0 == await desk.settle()
            assert then == await entered(world)
            assert {AlertKind.GRANTED} == {
                one for one, _ in await alerts(world)
            }
            # What is due, and did not lapse, is for its officer to explain.
            await refused(granted(world, "refusing"), "glass_alert_open")

        world.run(scene())


def test_a_lapse_is_not_forgotten_with_a_row_of_before_it(
    tmp_path: Path, database: Kind
) -> None:
    """Put back to where it waited, and its alert deleted, it is owed."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            before = row_of(world, glass.id)
            world.clock.now += APPROVAL
            assert 1 == await desk.settle()
            edit(world, glass.id, **before)
            delete(world, ALERTS, ALERTS.c.kind == "lapsed")
            await refused(granted(world, "refusing"), "glass_alert_open")
            assert await granted(world, "refusing", officer=SECOND)

        world.run(scene())


def test_a_changed_entry_is_no_way_to_go_unseen(
    tmp_path: Path, database: Kind
) -> None:
    """A step that cannot ask the ledger is entered, and others go on."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            [index] = [one.index for one in await seen(world)]
            with world.platform.data.begin() as conn:
                changed = text(
                    "UPDATE ledger_entry SET audit = :other WHERE idx = :index"
                )
                assert conn.execute(
                    changed, {"other": b"x" * 90, "index": index}
                ).rowcount
            for act in (
                opened(world, glass),
                desk.approve(SECOND, glass.id),
                desk.end(FIRST, glass.id, reason="over"),
                desk.show(SECOND, glass.id, reason="to approve it"),
            ):
                size = world.platform.ledger.size()
                with pytest.raises(NoDecision):
                    await act
                assert size + 1 == world.platform.ledger.size()
                assert "no-decision" == last(world).outcome
            world.clock.now += APPROVAL
            assert 1 == await desk.settle()
            assert 1 == len(await desk.grants(SECOND))
            assert await granted(world, "refusing", officer=SECOND)

        world.run(scene())


def test_steps_about_one_grant_are_not_linked_for_others(
    tmp_path: Path, database: Kind
) -> None:
    """Spans of it have traces of their own; a later look has its own act."""
    with build_world(tmp_path / "home", database=database) as world:
        platform, desk = world.platform, world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            await opened(world, glass)
            await desk.show(SECOND, glass.id, reason="a complaint")
            entries = [
                one
                for one in platform.ledger.audit_entries(limit=1000)
                if one.body is not None and one.body.kind is EntryKind.GLASS
            ]
            acts = [one.body.decision for one in entries if one.body]
            assert [glass.id, glass.id] == acts[:2]
            assert glass.id != acts[2]
            rows = [row_of_entry(one, lambda *_: "") for one in entries]
            traces = {row.trace_id for row in rows if row is not None}
            assert len(entries) == len(traces)
            assert glass.id.hex not in traces

        world.run(scene())


def test_entries_are_read_from_the_day_before_a_grant() -> None:
    """One may be dated a little before; of garbage all are read."""
    assert date(1970, 1, 10) == _day_before(10 * 86_400 + 5)
    assert [None, None] == [_day_before(2**62), _day_before(-(2**62))]


def test_the_entries_of_a_purpose_are_found_by_it(tmp_path: Path) -> None:
    """Else each step of emergency access would read the whole ledger."""
    with build_world(tmp_path / "home") as world:
        ledger = world.platform.ledger
        query = ledger._sql.audit_query(
            service="registrar",
            purpose=PURPOSE,
            day_from=1,
            day_to=None,
            about_nobody=False,
            few=True,
            after=-1,
            limit=500,
        )
        with world.platform.data.connect() as conn:
            compiled = query.compile(
                conn, compile_kwargs={"literal_binds": True}
            )
            plan = conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {compiled}")
            told = " ".join(str(row) for row in plan)
        assert (
            "ledger_entry_side (ledger=? AND service=? AND purpose=?" in told
        )


def test_a_step_that_is_made_meanwhile_is_no_contradiction(
    tmp_path: Path, database: Kind
) -> None:
    """The row is looked at after the entries, which go on."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass
        told = desk._told

        async def scene() -> None:
            glass = await granted(world)

            async def between(asked: Glass) -> GlassTold:
                vars(desk).pop("_told")
                await opened(world, glass)
                return await told(asked)

            vars(desk)["_told"] = between
            assert await opened(world, glass)

        world.run(scene())


def test_a_step_that_waits_for_its_index_holds_up_no_other(
    tmp_path: Path, database: Kind
) -> None:
    """Where the entries tell less than the row, the row is believed."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            glass = await granted(world)
            told = await desk._told(glass)
            await opened(world, glass)

            async def earlier(_glass: Glass) -> GlassTold:
                return told

            vars(desk)["_told"] = earlier
            assert await opened(world, glass)

        world.run(scene())


COUNTED = {"another officer's": {"officer": "officer-9"}, "old": {"at": 1}}


@pytest.mark.parametrize("columns", COUNTED.values(), ids=COUNTED)
def test_a_changed_row_counts_in_the_officers_limit(
    stage: Stage, columns: Mapping[str, object]
) -> None:
    """Whose it was is not known; one keeps nobody else from asking."""
    world = stage.world

    async def scene() -> None:
        odd = about(world, "consenting", purpose="address-change")
        for _ in range(3):
            await refused(
                world.platform.glass.request(
                    FIRST, odd, reason=REASON, case="odd"
                ),
                "glass_purpose",
            )
        steps = {one.glass.id for one in await stage.refusals()}
        await refused(granted(world, "refusing"), "glass_limit")
        edit(world, min(steps), **columns)
        delete(
            world,
            GRANTS,
            GRANTS.c.ended_by == "REFUSED",
            GRANTS.c.id.not_in(steps),
        )
        await refused(granted(world, "refusing"), "glass_limit")
        assert await granted(world, "refusing", officer=SECOND)
        # That refusal has its row, too.
        delete(
            world,
            GRANTS,
            GRANTS.c.ended_by == "REFUSED",
            GRANTS.c.id.not_in(steps),
        )
        stage.undemanded()
        assert await granted(world, "refusing")

    world.run(scene())


def test_a_changed_row_counts_once(stage: Stage) -> None:
    """Also for the officer whom it still names."""
    world = stage.world
    odd = about(world, "consenting", purpose="address-change")

    async def scene() -> None:
        for _ in range(2):
            await refused(
                world.platform.glass.request(
                    FIRST, odd, reason=REASON, case="odd"
                ),
                "glass_purpose",
            )
        [step, _] = await stage.refusals()
        edit(world, step.glass.id, purpose="odd")
        assert await granted(world, "refusing")

    world.run(scene())


def test_a_changed_row_counts_in_everybodys_limit(stage: Stage) -> None:
    """About whom it was is not known; its officer owes an answer, too."""
    world = stage.world

    async def scene() -> None:
        third = await granted(world, officer=SECOND)
        await refused(granted(world, case="fourth"), "glass_limit")
        edit(world, third.id, subject=None)
        await refused(granted(world, case="fourth"), "glass_limit")
        await refused(
            granted(world, "refusing", officer=SECOND), "glass_alert_open"
        )
        assert await granted(world, "refusing", officer=FOURTH)
        stage.undemanded()
        assert await granted(world, officer=SECOND, case="fourth")

    world.run(scene())


def test_an_alert_that_somebody_changed_stays_open(stage: Stage) -> None:
    """It is listed, and neither it nor one about a changed grant closes."""
    world, desk = stage.world, stage.world.platform.glass

    async def listed(grant: UUID) -> list[tuple[UUID, bool]]:
        return [
            (one.id, one.genuine)
            for one in await desk.alerts(SECOND)
            if one.grant == grant and one.kind is not AlertKind.OPENED
        ]

    async def scene() -> None:
        [(waits, _)] = await listed(stage.waiting)
        edit(world, stage.waiting, officer=SECOND.id)
        assert [(waits, False)] == await listed(stage.waiting)
        edit_alerts(world, stage.lapsed, closed_by="officer-9", closed_at=1)
        [(_, other), (closed, genuine)] = await listed(stage.lapsed)
        assert (True, False) == (other, genuine)
        for one in (waits, closed):
            with pytest.raises(RowForged):
                await desk.close(FIRST, one, reason="fine")
        stage.undemanded()
        assert 1 == len(await listed(stage.lapsed))
        await desk.close(FIRST, waits, reason="fine")

    world.run(scene())


def test_a_close_is_of_one_alert_once(stage: Stage) -> None:
    """A closed one is not closed again, and what is not there neither."""
    world, desk = stage.world, stage.world.platform.glass

    async def scene() -> None:
        found = [
            one.id
            for one in await desk.alerts(SECOND)
            if one.kind is AlertKind.LAPSED
        ]
        for one in found:
            await desk.close(SECOND, one, reason="asked")
        for one in (*found, uuid4()):
            with pytest.raises(RecordUnknown):
                await desk.close(SECOND, one, reason="asked")
        assert await granted(world, "refusing", officer=THIRD)

    world.run(scene())


def test_a_changed_grant_keeps_nobody_else_waiting(
    tmp_path: Path, database: Kind
) -> None:
    """Others lapse with their alert, and are opened as before."""
    with build_world(tmp_path / "home", database=database) as world:
        desk = world.platform.glass

        async def scene() -> None:
            first = await granted(world)
            second = await granted(world, "limited")
            edit(world, first.id, uses=7)
            world.clock.now += APPROVAL
            assert 1 == await desk.settle()
            assert {second.id} == {
                one
                for kind, one in await alerts(world)
                if kind is AlertKind.LAPSED
            }
            other = await granted(world, "refusing", officer=SECOND)
            assert await opened(world, other, officer=SECOND)

        world.run(scene())


UNREAD = "UPDATE policy_glass SET officer = CAST(x'ff' AS TEXT) WHERE uses = 7"


@pytest.mark.parametrize("unread", [False, True])
def test_an_erasure_goes_over_what_somebody_changed(
    tmp_path: Path, database: Kind, *, unread: bool
) -> None:
    """It is about nobody then; only what was right has a right code."""
    with build_world(tmp_path / "home", database=database) as world:
        store = world.platform.glass._store

        async def scene() -> None:
            first = await granted(world)
            second = await granted(world, officer=SECOND)
            edit(world, first.id, uses=7)
            if unread and database is Kind.SQLITE:
                with world.platform.data.begin() as conn:
                    assert conn.execute(text(UNREAD)).rowcount
            await world.platform.registrar.erase(
                replace(OFFICER, id="officer-3"),
                world.cast["silent"],
                proposer="officer-4",
                justification="asked for it",
            )
            edit(world, first.id, officer="x")
            with world.platform.data.connect() as conn:
                found = {one.id: one for one in store.all(conn)}
            assert [(None, None)] * 2 == [
                (one.subject, one.sealed) for one in found.values()
            ]
            assert not found[first.id].genuine
            assert found[second.id].genuine is not (
                unread and database is Kind.SQLITE
            )

        world.run(scene())


def test_new_keys_go_over_what_somebody_changed(
    tmp_path: Path, database: Kind
) -> None:
    """What opens is sealed anew; only what was right has a right code."""
    with build_world(tmp_path / "home", database=database) as world:
        platform = world.platform
        desk = platform.glass
        made = []

        async def scene() -> None:
            made.extend(
                [await granted(world, officer=one) for one in (FIRST, SECOND)]
            )
            made.append(await granted(world, officer=THIRD))

        world.run(scene())
        sound, alike, damaged = (one.id for one in made)
        edit(world, alike, officer=FIRST.id)
        edit(world, damaged, sealed=b"x" * 61)
        before = row_of(world, sound)["sealed"]
        platform.keys_desk.compromise("o", 1)
        assert before != row_of(world, sound)["sealed"]
        found = {one.id: one for one in platform.reader.now(desk._store.all)}

        assert {sound: True, alike: False, damaged: False} == {
            one.id: one.genuine for one in found.values()
        }
        assert [REASON, REASON, ""] == [
            desk._why(found[one])[0] for one in (sound, alike, damaged)
        ]


def test_new_keys_go_over_what_somebody_put_back(
    tmp_path: Path, database: Kind
) -> None:
    """A row of before the last new keys has its code, and opens no more."""
    with build_world(tmp_path / "home", database=database) as world:
        platform = world.platform
        desk, made = platform.glass, []

        async def scene() -> None:
            made.extend(
                [await granted(world, officer=one) for one in (FIRST, SECOND)]
            )

        world.run(scene())
        sound, glass = (one.id for one in made)
        before = row_of(world, glass)
        platform.keys_desk.compromise("o", 1)
        kept = ("sealed", "once", "mac")
        edit(world, glass, **{name: before[name] for name in kept})
        then = row_of(world, sound)["sealed"]
        platform.keys_desk.compromise("o", 2)

        assert then != row_of(world, sound)["sealed"]
        assert before["sealed"] == row_of(world, glass)["sealed"]
        found = {one.id: one for one in platform.reader.now(desk._store.all)}
        assert [REASON, ""] == [
            desk._why(found[one])[0] for one in (sound, glass)
        ]
        assert found[glass].genuine


def test_the_command_line_flags_it(tmp_path: Path) -> None:
    """In the words that other registers have for it."""
    with build_world(tmp_path / "home") as world:
        home = str(world.platform.settings.home)
        glass = world.run(granted(world))
        edit(world, glass.id, ends=2**62)

    def run(*args: str) -> str:
        found = CliRunner().invoke(build(), ["--home", home, "glass", *args])
        assert not found.exit_code
        return found.stdout

    for told in (run("list"), run("alerts")):
        assert "no, refused" in " ".join(told.split())
    assert '"genuine": false' in run("list", "--json")
