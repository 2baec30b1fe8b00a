"""Policies and proposals that nobody's act put there come to nothing.

Each attack is by somebody who writes the data database alone, and tries to
have other policies in force, or to settle alone what takes two officers. How
the ledger tells of the same is tried in `test_proposal_sweep`.
"""

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text
from typer.testing import CliRunner

from api.app import create_app
from api.cli.main import build
from consent import RowForged, load_yaml
from policy import (
    NONE,
    OURS,
    BundleInvalid,
    Cause,
    LivePdp,
    NoDecision,
    RecordUnknown,
    load_bundle,
)
from policy.authority import authorize
from policy.bundle import DATA, MANIFEST, PLAN, read_bundle
from policy.settled import Settled
from tests.bundles import variant
from tests.databases import KINDS, Kind
from tests.test_fact_codes import heard, put_back
from tests.worlds import (
    DECLARATION,
    OFFICER,
    OTHER_OFFICER,
    World,
    build_world,
    reopen,
)

DONE, WAITS, GONE = 1, 2, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An instance in which officers settled some, and some wait."""

    world: World

    @property
    def pdp(self) -> LivePdp:
        """What decides."""
        assert isinstance(self.world.platform.pdp, LivePdp)
        return self.world.platform.pdp

    def sql(self, statement: str, **values: object) -> None:
        """Write past every check of ours; it has to do something."""
        with self.world.platform.data.begin() as conn:
            assert conn.execute(text(statement), values).rowcount

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Everything that stands in a table."""
        with self.world.platform.data.connect() as conn:
            found = conn.execute(text(f"SELECT * FROM {table}"))
            return [row._asdict() for row in found]


def declared(version: int) -> Any:  # noqa: ANN401 - a declaration
    """The declaration of the cast under another number."""
    said = DECLARATION.replace("version: 1", f"version: {version}")
    return load_yaml(said.encode(), where="test.yaml")


def settle(world: World) -> None:
    """Of each kind let one wait and reject one; put policies into force."""
    policies, declarations = (
        world.platform.policies,
        world.platform.declarations,
    )

    async def acts() -> None:
        await policies.propose(OFFICER, variant("done"))
        await policies.publish(OTHER_OFFICER, DONE)
        for name in ("waits", "gone"):
            await policies.propose(OFFICER, variant(name))
        await policies.reject(OFFICER, GONE, reason="too wide")
        for number in (2, 3, 4):
            await declarations.propose(OFFICER, declared(number))
        await declarations.reject(OFFICER, GONE, reason="too wide")

    asyncio.run(acts())


@contextmanager
def staged(home: Path, database: Kind) -> Iterator[Stage]:
    """An instance in which that was settled."""
    with build_world(home, database=database) as made:
        settle(made)
        yield Stage(world=made)


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """One proposal of each kind waits, and one was rejected."""
    home = tmp_path_factory.mktemp("policy-codes") / "home"
    with staged(home, Kind(request.param)) as made:
        yield made


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The shared instance; what an attack did is put back."""
    tables = ("policy_live", "policy_bundle", "policy_proposal")
    shared.pdp._live = None  # what the last test put back is not of earlier
    shared.pdp.refresh()
    with put_back(shared.world, *tables):
        yield shared
        shared.world.platform.macs.required = True


@pytest.fixture
def own(tmp_path: Path, database: Kind) -> Iterator[Stage]:
    """An instance of its own for acts, of which entries stay."""
    with staged(tmp_path / "own", database) as made:
        made.pdp.refresh()
        yield made


def forge(stage: Stage) -> None:
    """Write a bundle that nobody proposed, and point to it."""
    files = variant("forged")
    stage.sql(
        "INSERT INTO policy_bundle (tenant, number, revision, base, manifest,"
        " plan, data, proposer, proposed_at, officer, decided_at, state)"
        " SELECT tenant, 9, :revision, base, :manifest, :plan, :data,"
        " proposer, proposed_at, officer, decided_at, state"
        f" FROM policy_bundle WHERE number = {DONE}",
        revision=read_bundle(files).revision,
        manifest=files[MANIFEST].decode(),
        plan=files[PLAN].decode(),
        data=files[DATA].decode(),
    )
    stage.sql("UPDATE policy_live SET number = 9, changes = changes + 1")


ELSEWHERE: Mapping[str, str] = {
    "to what is the software's own": f"number = {OURS}, changes = changes + 1",
    "to what waits": f"number = {WAITS}, changes = changes + 1",
    "to what was rejected": f"number = {GONE}, changes = changes + 1",
    "a shadow": f"shadow = {WAITS}, changes = changes + 1",
    "far ahead": "changes = 2000000000",
    "without a code": "mac = NULL, changes = changes + 1",
}


def in_force(stage: Stage) -> str:
    """The revision that decides."""
    return stage.world.platform.pdp.revision


def of(name: str) -> str:
    """The revision of a variant."""
    return read_bundle(variant(name)).revision


def test_a_forged_bundle_is_not_taken(stage: Stage) -> None:
    """Its hashes are right, and nobody proposed it."""
    forge(stage)
    with pytest.raises(RowForged):
        stage.pdp.refresh()
    assert of("done") == in_force(stage)
    assert not any(isinstance(one, Cause) for one in _heard(stage.world))

    stage.world.platform.macs.required = False
    assert stage.pdp.refresh()
    assert of("forged") == in_force(stage)


def test_a_process_that_starts_decides_nothing_by_it(stage: Stage) -> None:
    """It says so at every door, and takes what is put right."""
    world = stage.world
    with put_back(world, "policy_live", "policy_bundle"):
        forge(stage)
        again = reopen(world)
        other = replace(world, platform=again)
        try:
            assert {Cause.DAMAGED} == set(_heard(other))
            pdp = again.pdp
            assert isinstance(pdp, LivePdp)
            with pytest.raises(NoDecision):
                asyncio.run(pdp.confirm())
            with pytest.raises(NoDecision):
                pdp.filtering()
            with pytest.raises(RowForged):
                pdp.demand()
        except BaseException:
            again.close()
            raise
    try:
        assert pdp.refresh()
        pdp.demand()
        assert not any(isinstance(one, Cause) for one in _heard(other))
    finally:
        again.close()


def _heard(world: World) -> list[Any]:
    found = heard(world, "consenting")
    world.platform.reader.close()
    return found


@pytest.mark.parametrize("change", ELSEWHERE.values(), ids=ELSEWHERE)
def test_a_pointer_that_somebody_moved_is_not_followed(
    stage: Stage, change: str
) -> None:
    """What was in force decides, and no act but going back builds on it."""
    stage.sql(f"UPDATE policy_live SET {change}")
    with pytest.raises(RowForged):
        stage.pdp.refresh()
    moved = stage.rows("policy_live")
    for act in _acts(stage):
        with pytest.raises(RowForged):
            asyncio.run(act)

    assert moved == stage.rows("policy_live")
    assert of("done") == in_force(stage)


def _acts(stage: Stage) -> Iterator[Coroutine[Any, Any, object]]:
    policies = stage.world.platform.policies
    yield policies.propose(OFFICER, variant("another"))
    yield policies.publish(OTHER_OFFICER, WAITS)
    yield policies.shadow(OFFICER, WAITS)
    yield policies.shadow(OFFICER, None)


def test_a_pointer_that_is_gone_is_missed(stage: Stage) -> None:
    """Without it the software's own would decide again."""
    stage.sql("DELETE FROM policy_live")
    with pytest.raises(RowForged):
        stage.pdp.refresh()
    with pytest.raises(RowForged):
        stage.world.platform.policies.live()

    assert of("done") == in_force(stage)


def test_a_pointer_of_earlier_is_not_followed(own: Stage) -> None:
    """It has its code; whoever saw a later one knows better."""
    (before,) = own.rows("policy_live")
    desk = own.world.platform.policies
    asyncio.run(desk.roll_back(OFFICER, OURS, reason="flaw"))
    own.pdp.refresh()
    own.sql(
        "UPDATE policy_live SET number = :number, changes = :changes,"
        " shadow = :shadow, mac = :mac",
        **{name: value for name, value in before.items() if name != "tenant"},
    )
    with pytest.raises(BundleInvalid, match="before"):
        own.pdp.refresh()
    assert load_bundle().revision == in_force(own)


PROPOSED: Mapping[str, tuple[str, str]] = {
    "another proposer": ("proposer = 'officer-9'", "publish"),
    "another state": ("state = 'proposed', officer = 'x'", "publish"),
    "was published": ("state = 'published'", "roll back"),
    "another base": ("base = revision", "publish"),
    "of another": ("number = 7", "publish"),
    "without a code": ("mac = NULL", "publish"),
}


@pytest.mark.parametrize("attack", PROPOSED.values(), ids=PROPOSED)
@pytest.mark.parametrize("number", [WAITS, GONE])
def test_a_proposal_of_policies_that_somebody_changed_goes_nowhere(
    stage: Stage, attack: tuple[str, str], number: int
) -> None:
    """Neither by one officer nor by two."""
    change, act = attack
    stage.sql(f"UPDATE policy_bundle SET {change} WHERE number = {number}")
    number = 7 if change == "number = 7" else number
    policies = stage.world.platform.policies
    with pytest.raises(RowForged):
        asyncio.run(
            policies.publish(OFFICER, number)
            if act == "publish"
            else policies.roll_back(OFFICER, number, reason="flaw")
        )
    for step in (
        policies.reject(OFFICER, number, reason="odd"),
        policies.shadow(OFFICER, number),
    ):
        with pytest.raises(RowForged):
            asyncio.run(step)

    assert not stage.pdp.refresh()
    assert [number] == [
        one.number for one in policies.proposals() if not one.genuine
    ]


def test_alone_neither_code_nor_ledger_lets_one_officer_approve(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proposer is whom the row names; without both, it would do."""
    policies = own.world.platform.policies
    own.sql(
        "UPDATE policy_bundle SET proposer = 'officer-9'"
        f" WHERE number = {WAITS}"
    )
    with monkeypatch.context() as patch:
        patch.setattr(Settled, "demand", lambda *_: None)
        with pytest.raises(RowForged):
            asyncio.run(policies.publish(OFFICER, WAITS))
    own.world.platform.macs.required = False
    with pytest.raises(RowForged, match="ledger"):
        asyncio.run(policies.publish(OFFICER, WAITS))
    monkeypatch.setattr(Settled, "demand", lambda *_: None)
    asyncio.run(policies.publish(OFFICER, WAITS))

    assert WAITS == policies.live().number


def test_files_that_are_another_revisions_are_not_loaded(
    stage: Stage,
) -> None:
    """The row's code is over the revision, and the revision over the files."""
    files = variant("forged")
    stage.sql(
        f"UPDATE policy_bundle SET manifest = :m WHERE number = {DONE}",
        m=files[MANIFEST].decode(),
    )
    with pytest.raises(BundleInvalid, match="revision"):
        stage.world.platform.policies.bundle(DONE)
    again = reopen(stage.world)
    try:
        other = replace(stage.world, platform=again)
        assert {Cause.DAMAGED} == set(_heard(other))
    finally:
        again.close()


DECLARED: Mapping[str, str] = {
    "another proposer": "proposer = 'officer-9'",
    "another state": "state = 'proposed', officer = 'officer-9'",
    "another base": "base = ''",
    "of another": "number = 7",
    "another text": "text = replace(text, 'Test Town', 'Best Town')",
    "without a code": "mac = NULL",
}


@pytest.mark.parametrize("change", DECLARED.values(), ids=DECLARED)
@pytest.mark.parametrize("number", [WAITS, GONE])
def test_a_proposed_declaration_that_somebody_changed_goes_nowhere(
    stage: Stage, change: str, number: int
) -> None:
    """Neither by one officer nor by two."""
    stage.sql(f"UPDATE policy_proposal SET {change} WHERE number = {number}")
    number = 7 if change == "number = 7" else number
    desk = stage.world.platform.declarations
    for step in (
        desk.approve(OTHER_OFFICER, number),
        desk.approve(OFFICER, number),
        desk.reject(OFFICER, number, reason="odd"),
    ):
        with pytest.raises(RowForged):
            asyncio.run(step)


def test_alone_neither_code_nor_ledger_lets_what_was_rejected_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody proposed it a second time; without both, it would do."""
    with build_world(tmp_path / "home") as world:
        desk = world.platform.declarations
        number = asyncio.run(desk.propose(OFFICER, declared(2)))
        asyncio.run(desk.reject(OFFICER, number, reason="too wide"))
        Stage(world=world).sql(
            "UPDATE policy_proposal SET state = 'proposed', officer = '',"
            " decided_at = NULL"
        )
        with monkeypatch.context() as patch:
            patch.setattr(Settled, "demand", lambda *_: None)
            with pytest.raises(RowForged):
                asyncio.run(desk.approve(OTHER_OFFICER, number))
        world.platform.macs.required = False
        with pytest.raises(RowForged, match="ledger"):
            asyncio.run(desk.approve(OTHER_OFFICER, number))
        monkeypatch.setattr(Settled, "demand", lambda *_: None)
        found = asyncio.run(desk.approve(OTHER_OFFICER, number))

    assert found.officer == OTHER_OFFICER.id


@pytest.mark.parametrize("which", ["policies", "declarations"])
def test_what_was_decided_meanwhile_is_not_decided_again(
    own: Stage, monkeypatch: pytest.MonkeyPatch, which: str
) -> None:
    """The row that was authorised is the one that is changed."""
    platform = own.world.platform
    module = "policy_desk" if which == "policies" else "proposals"
    authorized = authorize

    async def slow(*args: Any, **rest: Any) -> None:  # noqa: ANN401 - as there
        await authorized(*args, **rest)
        monkeypatch.setattr(f"policy.{module}.authorize", authorized)
        reject = (
            platform.policies.reject
            if which == "policies"
            else platform.declarations.reject
        )
        await reject(OTHER_OFFICER, WAITS, reason="first")

    monkeypatch.setattr(f"policy.{module}.authorize", slow)
    with pytest.raises(RecordUnknown):
        asyncio.run(
            platform.policies.publish(OTHER_OFFICER, WAITS)
            if which == "policies"
            else platform.declarations.approve(OTHER_OFFICER, WAITS)
        )


def test_nobody_is_asked_to_trust_what_is_forged(tmp_path: Path) -> None:
    """Serving ends at the start, and readiness and OPA's bundle say no."""
    with build_world(tmp_path / "home") as world:
        stage = Stage(world=world)
        home = str(world.platform.settings.home)
        with TestClient(
            create_app(world.platform), raise_server_exceptions=False
        ) as client:
            assert 200 == client.get("/health/ready").status_code
            stage.sql("UPDATE policy_live SET shadow = 1")
            assert 500 == client.get("/opa/bundle.tar.gz").status_code
        again = reopen(world)
        try:
            with TestClient(create_app(again)) as client:
                found = client.get("/health/ready")
                assert (503, "policies: damaged") == (
                    found.status_code,
                    found.json()["status"],
                )
        finally:
            again.close()
        told = CliRunner().invoke(build(), ["--home", home, "serve"])

        assert told.exit_code
        assert "policy_live/1" in told.stderr


def test_a_new_instance_knows_that_its_own_decides(tmp_path: Path) -> None:
    """The pointer is there, with its code, before anybody proposes."""
    with build_world(tmp_path / "home") as world:
        live = world.platform.policies.live()

        assert (OURS, NONE, "", "") == (
            live.number,
            live.shadow,
            live.revision,
            live.shadow_revision,
        )
        with pytest.raises(RecordUnknown):
            asyncio.run(world.platform.policies.publish(OFFICER, 1))
        (row,) = Stage(world=world).rows("policy_live")
        assert 32 == len(row["mac"])
