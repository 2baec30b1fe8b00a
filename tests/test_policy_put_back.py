"""Rows of earlier that somebody puts back, code and all, change nothing.

Whoever writes the data database keeps copies of rows that this instance
wrote, and swaps them in where an officer or a process looks. They may be in
league with one officer. What the codes cannot tell, the entries do.
"""

import asyncio
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from api.cli.main import build
from consent import Declaration, RowForged, load_yaml
from policy import (
    NONE,
    OURS,
    BundleInvalid,
    BundleStore,
    FactsChanged,
    Live,
    LivePdp,
    NotPermitted,
    ProposalFault,
    RecordUnknown,
    bundle_files,
    load_bundle,
)
from policy.bundle import DATA, PLAN, digest, manifest, serialize
from policy.pdp import Ruling
from policy.settled import Pointed, Settled
from tests.bundles import variant
from tests.databases import Kind
from tests.test_fact_codes import put_back
from tests.test_policy_codes import Stage, declared, of, staged
from tests.test_release import wanted
from tests.worlds import (
    DECLARATION,
    OFFICER,
    OTHER_OFFICER,
    PURPOSE,
    SERVICE,
    build_world,
    reopen,
)

run = asyncio.run
THIRD = replace(OFFICER, id="officer-3")
Rows = list[dict[str, Any]]


@pytest.fixture
def stage(tmp_path: Path, database: Kind) -> Iterator[Stage]:
    """An instance in which nobody proposed anything."""
    with build_world(tmp_path / "home", database=database) as made:
        yield Stage(world=made)


def put(conn: Connection, table: str, rows: Rows) -> None:
    """Make a table what it was."""
    conn.execute(text(f"DELETE FROM {table}"))
    for row in rows:
        names = ", ".join(row)
        held = ", ".join(f":{name}" for name in row)
        conn.execute(
            text(f"INSERT INTO {table} ({names}) VALUES ({held})"), row
        )


def restore(stage: Stage, table: str, rows: Rows) -> None:
    """Do so from beside the instance."""
    with stage.world.platform.data.begin() as conn:
        put(conn, table, rows)


def when_locked(
    stage: Stage,
    monkeypatch: pytest.MonkeyPatch,
    attack: Callable[[Connection], None],
) -> None:
    """Attack while the next act waits for the ledger's lock."""
    ledger = stage.world.platform.policies._ledger
    lock = ledger.lock

    def locked(conn: Connection) -> None:
        lock(conn)
        attack(conn)

    monkeypatch.setattr(ledger, "lock", locked)


def findings(stage: Stage) -> list[ProposalFault]:
    """Which faults the sweep finds."""
    return [one.fault for one in stage.world.platform.proposal_sweep.run()]


def in_force(stage: Stage) -> str:
    """The revision that decides, after a look."""
    stage.pdp.refresh()
    return stage.pdp.revision


def test_what_was_rejected_does_not_wait_again(stage: Stage) -> None:
    """Of either kind, also with the row of when it waited."""
    policies = stage.world.platform.policies
    declarations = stage.world.platform.declarations
    run(policies.propose(OFFICER, variant("bad")))
    run(declarations.propose(OFFICER, declared(2)))
    kept = {
        one: stage.rows(one) for one in ("policy_bundle", "policy_proposal")
    }
    run(policies.reject(THIRD, 1, reason="no"))
    run(declarations.reject(THIRD, 1, reason="no"))
    for table, rows in kept.items():
        restore(stage, table, rows)
    for step in (
        policies.publish(OTHER_OFFICER, 1),
        policies.reject(OTHER_OFFICER, 1, reason="again"),
        declarations.approve(OTHER_OFFICER, 1),
        declarations.reject(OTHER_OFFICER, 1, reason="again"),
    ):
        with pytest.raises(RowForged, match="policy verify"):
            run(step)

    assert [ProposalFault.ALTERED] * 2 == findings(stage)
    assert load_bundle().revision == in_force(stage)


def test_a_number_is_never_given_twice(stage: Stage) -> None:
    """Not even where the row of the first is gone."""
    policies = stage.world.platform.policies
    declarations = stage.world.platform.declarations
    run(policies.propose(OFFICER, variant("a")))
    run(declarations.propose(OFFICER, declared(2)))
    stage.sql("DELETE FROM policy_bundle")
    stage.sql("DELETE FROM policy_proposal")

    assert 2 == run(policies.propose(THIRD, variant("b")))
    assert 2 == run(declarations.propose(THIRD, declared(3)))
    assert [ProposalFault.MISSING] * 2 == findings(stage)


def elsewhere() -> Declaration:
    """A declaration of the same service, for another purpose."""
    return load_yaml(
        DECLARATION.replace(
            f"purpose: {PURPOSE}", "purpose: parking"
        ).encode(),
        where="test.yaml",
    )


@pytest.mark.parametrize("given", ["once", "twice"])
def test_a_number_of_another_purpose_contradicts_nobody(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, given: str
) -> None:
    """The highest row is gone, and the next proposal is of another purpose.

    Before, its number was given again; such entries are no fault of theirs.
    """
    desk = stage.world.platform.declarations
    run(desk.propose(OFFICER, declared(2)))
    run(desk.propose(OFFICER, declared(3)))
    stage.sql("DELETE FROM policy_proposal WHERE number = 2")
    with monkeypatch.context() as patch:
        if given == "twice":
            patch.setattr("policy.settled.Settled.highest", lambda *_: 1)
        number = run(desk.propose(OFFICER, elsewhere()))
    assert number == (3 if given == "once" else 2)
    run(desk.approve(OTHER_OFFICER, number))
    run(desk.approve(OTHER_OFFICER, 1))
    found = stage.world.platform.proposal_sweep.run()

    assert [(ProposalFault.MISSING, 2, SERVICE, PURPOSE)] == [
        (one.fault, one.number, one.service, one.purpose) for one in found
    ]


def test_a_number_far_off_stops_no_proposal(stage: Stage) -> None:
    """Somebody plants rows, with the highest number and with the next."""
    policies = stage.world.platform.policies
    declarations = stage.world.platform.declarations
    run(policies.propose(OFFICER, variant("a")))
    run(declarations.propose(OFFICER, declared(2)))
    for table in ("policy_bundle", "policy_proposal"):
        (row,) = stage.rows(table)
        planted = [row | {"number": one} for one in (2, 2**31 - 1)]
        restore(stage, table, [row, *planted])

    assert 3 == run(policies.propose(OFFICER, variant("b")))
    assert 3 == run(declarations.propose(OFFICER, declared(3)))
    assert [ProposalFault.ADDED] * 4 == findings(stage)


@pytest.fixture
def two(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> tuple[Rows, Rows]:
    """Two rows with right codes under one number: of M, and of G.

    One officer proposed M, another G. As numbers are not given twice, the
    attacker is helped.
    """
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, variant("M")))
    m = stage.rows("policy_bundle")
    stage.sql("DELETE FROM policy_bundle")
    add = BundleStore.add

    def low(self: BundleStore, *args: Any, **rest: Any) -> int:  # noqa: ANN401 - as there
        return add(self, *args, **(rest | {"above": 0}))

    with monkeypatch.context() as patch:
        patch.setattr(BundleStore, "add", low)
        assert 1 == run(policies.propose(THIRD, variant("G")))
    return m, stage.rows("policy_bundle")


def test_what_was_authorized_is_what_is_published(
    stage: Stage, two: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is another one by the time of the lock."""
    m, g = two
    policies = stage.world.platform.policies
    when_locked(stage, monkeypatch, lambda conn: put(conn, "policy_bundle", m))
    with pytest.raises(RecordUnknown):
        run(policies.publish(OFFICER, 1))
    with pytest.raises(RecordUnknown):
        run(policies.reject(OFFICER, 1, reason="no"))
    monkeypatch.undo()
    with pytest.raises(RowForged, match="no backup"):  # proposed twice
        run(policies.publish(OTHER_OFFICER, 1))

    assert g == stage.rows("policy_bundle")
    assert [ProposalFault.CONTRADICTED] == findings(stage)


def test_a_process_takes_the_revision_that_the_pointer_has(
    stage: Stage, two: tuple[Rows, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row is another one by the time of the loading."""
    m, _ = two
    policies = stage.world.platform.policies
    monkeypatch.setattr("policy.settled.Settled.demand", lambda *_: None)
    run(policies.publish(OTHER_OFFICER, 1))
    g = stage.rows("policy_bundle")
    load = BundleStore.load

    def raced(self: BundleStore, *args: Any) -> Any:  # noqa: ANN401 - as there
        restore(stage, "policy_bundle", m)
        try:
            return load(self, *args)
        finally:
            restore(stage, "policy_bundle", g)

    with monkeypatch.context() as patch:
        patch.setattr(BundleStore, "load", raced)
        with pytest.raises(BundleInvalid, match="revision"):
            stage.pdp.refresh()

    assert of("G") == in_force(stage)


@pytest.mark.parametrize("act", ["roll back", "end the shadow"])
def test_an_act_of_one_officer_points_to_what_was_loaded(
    stage: Stage,
    two: tuple[Rows, Rows],
    monkeypatch: pytest.MonkeyPatch,
    act: str,
) -> None:
    """The row is another one by the time of the lock."""
    m, _ = two
    policies = stage.world.platform.policies
    monkeypatch.setattr("policy.settled.Settled.demand", lambda *_: None)
    run(policies.publish(OTHER_OFFICER, 1))
    if act == "roll back":
        run(policies.propose(THIRD, variant("H")))
        run(policies.publish(OTHER_OFFICER, 2))
    swapped = [*m, *stage.rows("policy_bundle")[1:]]
    before = in_force(stage)
    with monkeypatch.context() as patch:
        when_locked(
            stage, patch, lambda conn: put(conn, "policy_bundle", swapped)
        )
        if act == "roll back":
            run(policies.roll_back(OFFICER, 1, reason="flaw"))
        else:
            # The pointer's code is over the revision of the other row.
            with pytest.raises(RowForged):
                run(policies.shadow(OFFICER, None))
    if act == "roll back":
        with pytest.raises(RowForged):
            stage.pdp.refresh()

    assert stage.pdp.revision == before != of("M")


def test_no_act_builds_on_a_pointer_of_earlier(stage: Stage) -> None:
    """A rollback, or a stale proposal, would go by what was in force."""
    policies = stage.world.platform.policies
    first = stage.rows("policy_live")
    for name in ("flawed", "stale"):
        run(policies.propose(OFFICER, variant(name)))
    run(policies.publish(OTHER_OFFICER, 1))
    assert of("flawed") == in_force(stage)
    with pytest.raises(FactsChanged):
        run(policies.publish(OTHER_OFFICER, 2))
    restore(stage, "policy_live", first)
    for step in (
        policies.propose(OFFICER, variant("another")),
        policies.publish(OTHER_OFFICER, 2),
        policies.shadow(OFFICER, 2),
    ):
        with pytest.raises(RowForged, match="policy rollback --to 1"):
            run(step)
    with pytest.raises(BundleInvalid, match="before"):
        stage.pdp.refresh()

    assert [ProposalFault.ALTERED] == findings(stage)


ELSEWHERE = {
    "one of earlier": None,
    "gone": "DELETE FROM policy_live",
    "without a code": "UPDATE policy_live SET mac = NULL",
    "at what waits": "UPDATE policy_live SET number = 4",
    "far ahead": "UPDATE policy_live SET changes = 2147483647",
}


@pytest.mark.parametrize("attack", ELSEWHERE.values(), ids=ELSEWHERE)
def test_going_back_is_the_way_out(stage: Stage, attack: str | None) -> None:
    """It lands where the entries say, in a new process and in one before."""
    policies = stage.world.platform.policies
    for name in ("old", "flawed"):
        run(policies.propose(OFFICER, variant(name)))
        run(policies.publish(OTHER_OFFICER, len(policies.proposals())))
        if name == "old":
            earlier = stage.rows("policy_live")
    for name in ("later", "bad"):
        run(policies.propose(OFFICER, variant(name)))
    run(policies.shadow(OFFICER, 3))
    assert of("flawed") == in_force(stage)
    if attack is None:
        restore(stage, "policy_live", earlier)
    else:
        stage.sql(attack)
    with pytest.raises(RowForged, match="policy rollback --to 2"):
        run(policies.publish(OTHER_OFFICER, 3))
    assert [ProposalFault.ALTERED] == findings(stage)
    again = reopen(stage.world)
    try:
        with pytest.raises(RecordUnknown):  # it waits, and is not in force
            run(again.policies.roll_back(OFFICER, 4, reason="put back"))
        with pytest.raises(NotPermitted):
            run(again.policies.roll_back(OFFICER, 2, reason=""))
        back = run(again.policies.roll_back(OFFICER, 2, reason="put back"))
    finally:
        again.close()

    assert of("flawed") == back.revision == in_force(stage)
    live = policies.live()
    assert (2, 4, NONE) == (live.number, live.changes, live.shadow)
    assert [] == findings(stage)
    entry = stage.world.platform.ledger.audit_entries(
        service="policies", limit=500
    )[-1]
    assert entry.body is not None
    assert "instead_of" in entry.body.detail
    run(policies.publish(OTHER_OFFICER, 3))
    assert of("later") == in_force(stage)
    run(policies.roll_back(OFFICER, 1, reason="flaw"))
    assert of("old") == in_force(stage)
    assert [] == findings(stage)


def test_what_one_officer_put_into_force_judges_nobody(stage: Stage) -> None:
    """Where entries about it do not fit, the software's own are asked."""
    policies = stage.world.platform.policies
    told = Settled(pointed=Pointed(number=5, revision="x"))
    assert policies._in_force(told) is policies._ours


def test_a_pointer_that_does_not_read_leaves_the_way_out(
    tmp_path: Path,
) -> None:
    """SQLite keeps a text that is none; the act counts it for nothing."""
    with staged(tmp_path / "home", Kind.SQLITE) as stage:
        policies = stage.world.platform.policies
        run(policies.propose(OFFICER, variant("old")))
        number = len(policies.proposals())
        run(policies.publish(OTHER_OFFICER, number))
        stage.sql("UPDATE policy_live SET number = CAST(x'ff' AS TEXT)")
        with pytest.raises(RowForged, match="policy rollback --to"):
            run(policies.propose(OFFICER, variant("another")))
        run(policies.roll_back(OFFICER, number, reason="put right"))
        assert of("old") == in_force(stage)
        assert [] == findings(stage)


@pytest.mark.parametrize("act", ["publish", "propose", "reject", "shadow"])
def test_officers_are_judged_by_what_the_entries_put_into_force(
    stage: Stage, act: str
) -> None:
    """Not by what a pointer that is put back for a moment makes decide."""
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, variant("old")))
    number = len(policies.proposals())

    async def anything(*_asked: object, **_rest: object) -> Ruling:
        return Ruling(document={"allow": True, "reasons": []}, revision="x")

    vars(stage.pdp)["decide"] = anything
    nobody = replace(OFFICER, roles=())
    acts: dict[str, Any] = {
        "publish": lambda: policies.publish(OFFICER, number),
        "propose": lambda: policies.propose(nobody, variant("another")),
        "reject": lambda: policies.reject(nobody, number, reason="odd"),
        "shadow": lambda: policies.shadow(nobody, number),
    }
    with pytest.raises(NotPermitted):
        run(acts[act]())
    assert [] == findings(stage)


def test_the_way_out_leads_to_nothing_that_one_officer_wanted(
    stage: Stage,
) -> None:
    """Neither to a bundle that looks published, nor by other rules."""
    policies = stage.world.platform.policies
    first = stage.rows("policy_live")
    for name in ("good", "bad"):
        run(policies.propose(OFFICER, variant(name)))
    run(policies.publish(OTHER_OFFICER, 1))
    good, bad = stage.rows("policy_bundle")
    restore(stage, "policy_live", first)
    # With its right code, as if a key had leaked to nobody but this row.
    with stage.world.platform.data.begin() as conn:
        rows = policies._store._rows
        [_, row] = rows.all(conn)
        assert rows.change(
            conn,
            row,
            state="published",
            officer=OTHER_OFFICER.id,
            decided_at=row.proposed_at,
        )
    with pytest.raises(RowForged, match="policies 2"):
        run(policies.roll_back(OFFICER, 2, reason="put back"))
    # What the entries put into force is to be asked, and is not there.
    restore(stage, "policy_bundle", [good | {"base": "z"}, bad])
    with pytest.raises(RowForged, match="policy_bundle"):
        run(policies.roll_back(OFFICER, OURS, reason="put back"))
    assert first == stage.rows("policy_live")
    restore(stage, "policy_bundle", [good, bad])
    run(policies.roll_back(OFFICER, OURS, reason="put back"))

    assert load_bundle().revision == in_force(stage)
    assert [] == findings(stage)


def test_only_what_was_published_by_the_entries_comes_back(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ledger of before, restored, knows of no such proposal."""
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, variant("a")))
    run(policies.publish(OTHER_OFFICER, 1))
    run(policies.roll_back(OFFICER, OURS, reason="flaw"))
    settled = policies._told()
    settled.fates.clear()
    monkeypatch.setattr(policies, "_told", lambda *_: settled)
    for step in (
        policies.roll_back(OFFICER, 1, reason="no flaw"),
        policies.shadow(OFFICER, 1),
    ):
        with pytest.raises(RowForged, match="policy verify"):
            run(step)


def test_a_pointer_of_as_many_changes_is_another_one(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process compares all of it, and not the count alone."""
    policies = stage.world.platform.policies
    first = stage.rows("policy_live")
    run(policies.propose(OFFICER, variant("flawed")))
    run(policies.publish(OTHER_OFFICER, 1))
    assert of("flawed") == in_force(stage)
    restore(stage, "policy_live", first)
    monkeypatch.setattr(
        "policy.settled.Settled.demand_pointer", lambda *_: None
    )
    run(policies.roll_back(OFFICER, OURS, reason="flaw"))

    with pytest.raises(BundleInvalid, match="before"):
        stage.pdp.refresh()
    assert [ProposalFault.CONTRADICTED] == findings(stage)
    monkeypatch.undo()
    with pytest.raises(RowForged, match="policy rollback --to 0"):
        run(policies.propose(OFFICER, variant("another")))
    run(policies.roll_back(OFFICER, 1, reason="no flaw"))

    assert of("flawed") == in_force(stage)
    assert [] == findings(stage)


def test_a_shadow_that_is_not_to_be_had_stops_nothing(stage: Stage) -> None:
    """Neither at a start, nor what comes into force after."""
    policies = stage.world.platform.policies
    for name in ("flawed", "beside"):
        run(policies.propose(OFFICER, variant(name)))
    run(policies.shadow(OFFICER, 2))
    stage.pdp.refresh()
    assert 2 == stage.pdp._shadow.number
    stage.sql("UPDATE policy_bundle SET base = 'z' WHERE number = 2")
    run(policies.publish(OTHER_OFFICER, 1))
    flawed = stage.rows("policy_live")
    assert of("flawed") == in_force(stage)
    again = reopen(stage.world)
    try:
        assert isinstance(again.pdp, LivePdp)
        again.pdp.demand()
        assert of("flawed") == again.pdp.revision
        assert NONE == again.pdp._shadow.number
        with pytest.raises(RowForged):
            again.pdp.refresh()
    finally:
        again.close()
    run(policies.propose(OFFICER, variant("later")))
    run(policies.shadow(OFFICER, 3))
    stage.sql("UPDATE policy_bundle SET base = 'z' WHERE number = 3")
    with pytest.raises(RowForged):
        stage.pdp.refresh()
    assert NONE == stage.pdp._shadow.number
    run(policies.shadow(OFFICER, None))
    run(policies.roll_back(OFFICER, OURS, reason="flaw"))
    assert load_bundle().revision == in_force(stage)
    restore(stage, "policy_live", flawed)
    with pytest.raises(BundleInvalid, match="before"):
        stage.pdp.refresh()
    assert load_bundle().revision == stage.pdp.revision


def test_the_same_policies_twice_are_no_fault(stage: Stage) -> None:
    """One of them in the shadow of the other ends there."""
    policies = stage.world.platform.policies
    for _ in range(2):
        run(policies.propose(OFFICER, variant("same")))
    run(policies.shadow(OFFICER, 1))
    run(policies.publish(OTHER_OFFICER, 2))

    assert NONE == policies.live().shadow
    assert [] == findings(stage)


def test_the_softwares_own_as_a_candidate_is_no_fault(stage: Stage) -> None:
    """It ends in the shadow of itself, and holds up nobody."""
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, dict(bundle_files())))
    run(policies.propose(OFFICER, variant("a")))
    run(policies.publish(OTHER_OFFICER, 2))
    run(policies.shadow(OFFICER, 1))
    run(policies.roll_back(OFFICER, OURS, reason="flaw"))

    assert NONE == policies.live().shadow
    assert [] == findings(stage)


def test_a_shadow_that_nobody_ordered_holds_up_no_act(stage: Stage) -> None:
    """It is named, and an officer ends it."""
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, variant("a")))
    before = stage.rows("policy_live")
    run(policies.shadow(OFFICER, 1))
    (moved,) = stage.rows("policy_live")
    stage.world.platform.macs.required = False
    restore(stage, "policy_live", [before[0] | {"changes": moved["changes"]}])
    assert [ProposalFault.ALTERED] == findings(stage)
    run(policies.shadow(OFFICER, None))

    assert [] == findings(stage)


def test_a_shadow_of_before_is_no_fault(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was of the same policies as what came into force, and went on."""
    policies = stage.world.platform.policies
    enter = policies._enter

    def entered(
        conn: Connection, outcome: str, detail: dict[str, Any], now: int
    ) -> None:
        told = {k: v for k, v in detail.items() if k != "changes"}
        enter(conn, outcome, told, now)

    def pointed(conn: Connection, live: Live, number: int, of: str) -> Live:
        after = replace(live, number=number, revision=of)
        return policies._store.point(conn, live, after)

    with monkeypatch.context() as patch:
        patch.setattr(policies, "_enter", entered)
        patch.setattr(policies, "_point", pointed)
        for _ in range(2):
            run(policies.propose(OFFICER, variant("same")))
        run(policies.shadow(OFFICER, 1))
        run(policies.publish(OTHER_OFFICER, 2))
    assert 1 == policies.live().shadow
    assert [] == findings(stage)
    run(policies.shadow(OFFICER, None))
    assert [] == findings(stage)


def test_garbage_in_rows_without_codes_is_refused_as_such(
    stage: Stage,
) -> None:
    """Also where no code is demanded yet, with an error that says so."""
    policies = stage.world.platform.policies
    declarations = stage.world.platform.declarations
    releases = stage.world.platform.releases
    run(declarations.propose(OFFICER, declared(2)))
    asked = run(releases.request(OFFICER, wanted(k=3)))
    stage.world.platform.macs.required = False
    stage.sql("UPDATE policy_proposal SET state = 'zzz'")
    with pytest.raises(RowForged, match="policy_proposal"):
        run(declarations.approve(OTHER_OFFICER, 1))
    for odd in ("zzz", "5", "[]", "{}", '{"columns": 5}', "[" * 100_000):
        stage.sql("UPDATE policy_release SET request = :odd", odd=odd)
        with pytest.raises(RowForged, match="policy_release"):
            run(releases.approve(OTHER_OFFICER, asked))
    if stage.world.platform.data.dialect.name == "sqlite":
        stage.sql("UPDATE policy_live SET changes = 'zzz'")
        with pytest.raises(RowForged, match="policy_live"):
            run(policies.propose(OFFICER, variant("a")))
        run(policies.roll_back(OFFICER, OURS, reason="garbage"))
        assert 1 == policies.live().changes


def odd_manifest() -> str:
    """One that fits its files, and is none."""
    files = bundle_files()
    described = manifest(
        plan=files[PLAN],
        data=files[DATA],
        sources={},
        entrypoints=(),
        compiler="x",
    )
    del described["revision"]
    described["entrypoints"] = 5
    revision = digest(serialize(described))
    return serialize({**described, "revision": revision}).decode()


GARBAGE = {
    "a code of text": "UPDATE policy_live SET mac = 'text'",
    "a code that is a number": "UPDATE policy_live SET mac = 9",
    "a revision that is no text": (
        "UPDATE policy_bundle SET revision = CAST(x'ff' AS TEXT)"
    ),
    "a revision of bytes": "UPDATE policy_bundle SET revision = x'ff'",
    "a manifest of bytes": "UPDATE policy_bundle SET manifest = x'ff'",
    "an odd manifest": "UPDATE policy_bundle SET manifest = :odd",
    "another state": "UPDATE policy_bundle SET state = 'zzz'",
    "a declaration's state": "UPDATE policy_proposal SET state = 'zzz'",
    "a declaration's text": "UPDATE policy_proposal SET text = 'zzz'",
    "its day": "UPDATE policy_proposal SET proposed_at = 'x'",
    "a day far off": "UPDATE policy_proposal SET proposed_at = 99999999999999",
}


def test_garbage_stops_no_other_command(tmp_path: Path) -> None:
    """Each is named, and what does not decide by it goes on."""
    with build_world(tmp_path / "home") as world:
        stage = Stage(world=world)
        run(world.platform.policies.propose(OFFICER, variant("x")))
        run(world.platform.policies.publish(OTHER_OFFICER, 1))
        run(world.platform.declarations.propose(OFFICER, declared(2)))
        home = str(world.platform.settings.home)

        def shell(*command: str) -> tuple[int, str]:
            told = CliRunner().invoke(build(), ["--home", home, *command])
            return told.exit_code, told.stdout

        tables = ("policy_live", "policy_bundle", "policy_proposal")
        for name, sql in GARBAGE.items():
            with put_back(world, *tables):
                stage.sql(
                    sql, **({"odd": odd_manifest()} if ":" in sql else {})
                )
                code, said = shell("policy", "verify", "--json")
                assert (name, 1) == (name, code)
                assert (name, True) == (
                    name,
                    bool(json.loads(said)["findings"]),
                )
                assert (name, 0) == (name, shell("declaration", "list")[0])
                if "policy_proposal" in sql:
                    listed = shell("declaration", "proposals")
                    assert (name, 0) == (name, listed[0])
                if "state = 'zzz'" in sql:
                    assert (name, 0) == (name, shell("policy", "proposals")[0])


def test_a_forged_row_hides_no_genuine_one(stage: Stage) -> None:
    """What was decided by a revision is found by it."""
    policies = stage.world.platform.policies
    run(policies.propose(OFFICER, variant("a")))
    run(policies.publish(OTHER_OFFICER, 1))
    for number in (-7, -1):
        stage.sql(
            "INSERT INTO policy_bundle (tenant, number, revision, base,"
            " manifest, plan, data, proposer, proposed_at, officer, state)"
            f" SELECT tenant, {number}, revision, '', '', '', '', '', 0, '',"
            " '' FROM policy_bundle WHERE number = 1"
        )

    assert of("a") == policies.of_revision(of("a")).revision
    assert of("a") == in_force(stage)
    assert [ProposalFault.ADDED] * 2 == findings(stage)
    assert [False, False, True] == [
        one.genuine for one in policies.proposals()
    ]


def test_no_approval_builds_on_a_registry_of_earlier(stage: Stage) -> None:
    """A stale proposal would replace what came into force since."""
    desk = stage.world.platform.declarations
    for number in (2, 3):
        run(desk.propose(OFFICER, declared(number)))
    kept = stage.rows("consent_registry")
    run(desk.approve(OTHER_OFFICER, 2))
    with stage.world.platform.data.begin() as conn:
        conn.execute(
            text(
                "DELETE FROM consent_notice WHERE declaration NOT IN"
                " (SELECT declaration FROM consent_event)"
            )
        )
        conn.execute(text("DELETE FROM consent_declaration WHERE version = 3"))
        put(conn, "consent_registry", kept)
    again = reopen(stage.world)
    try:
        for step in (
            again.declarations.approve(OTHER_OFFICER, 1),
            again.declarations.propose(OFFICER, declared(4)),
        ):
            with pytest.raises(RowForged, match="policy verify"):
                run(step)
    finally:
        again.close()


@pytest.mark.parametrize("act", ["approve", "reject"])
def test_what_is_entered_before_the_lock_is_taken_counts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Most entries are read before it; the newer ones are under it."""
    desk = stage.world.platform.declarations
    run(desk.propose(OFFICER, declared(2)))
    ahead = desk._ahead

    def late(*args: Any) -> Any:  # noqa: ANN401 - as there
        found = ahead(*args)
        monkeypatch.setattr(desk, "_ahead", ahead)
        with put_back(stage.world, "policy_proposal"):
            rejected = desk.reject(OFFICER, 1, reason="odd")
            beside.submit(run, rejected).result()
        return found

    monkeypatch.setattr(desk, "_ahead", late)
    with ThreadPoolExecutor(1) as beside, pytest.raises(RowForged):
        run(
            desk.approve(OTHER_OFFICER, 1)
            if act == "approve"
            else desk.reject(OTHER_OFFICER, 1, reason="odd")
        )


def test_no_officer_approves_another_text_than_was_proposed(
    stage: Stage,
) -> None:
    """Two proposals do not change places."""
    wide = load_yaml(
        DECLARATION.replace("version: 1", "version: 2")
        .replace("retention_days: 90", "retention_days: 9000")
        .encode(),
        where="test.yaml",
    )
    desk = stage.world.platform.declarations
    run(desk.propose(OFFICER, wide))
    kept = stage.rows("policy_proposal")
    run(desk.reject(OFFICER, 1, reason="wide"))
    run(desk.propose(OFFICER, declared(2)))
    (_, narrow) = stage.rows("policy_proposal")
    restore(
        stage,
        "policy_proposal",
        [kept[0] | {"number": 2}, narrow | {"number": 1}],
    )
    with pytest.raises(RowForged):
        run(desk.approve(OTHER_OFFICER, 2))

    found = stage.world.platform.consents.declaration(SERVICE, PURPOSE)
    assert found is not None
    assert 1 == found.version
