"""Policies come into force by two officers, whole, and go back by one."""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli.main import build
from api.policy_watch import watching
from consent import EntryKind
from policy import (
    NONE,
    OURS,
    BundleInvalid,
    BundleState,
    FactsChanged,
    LivePdp,
    NotPermitted,
    RecordUnknown,
    bundle_files,
    load_bundle,
)
from policy.bundle import DATA, MANIFEST, PLAN, manifest, serialize
from policy.compiling import build_bundle
from policy.engine import PlanInvalid
from policy.live import NOTHING, Shadow
from tests.databases import Kind
from tests.parts import ROOT
from tests.worlds import (
    ADDRESS,
    OFFICER,
    OTHER_OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    reopen,
)

CLEARED = "data.vocabulary.clearance[input.catalogue[name].sensitivity]"


@pytest.fixture(scope="module")
def candidate(
    tmp_path_factory: pytest.TempPathFactory, opa_binary: Path
) -> Path:
    """A bundle under which no service is cleared for anything."""
    folder = tmp_path_factory.mktemp("candidate")
    source = folder / "policies"
    for path in (ROOT / "policies").rglob("*"):
        part = path.relative_to(ROOT / "policies")
        if path.is_file() and part.parts[0] != "bundle":
            (source / part).parent.mkdir(parents=True, exist_ok=True)
            (source / part).write_bytes(path.read_bytes())
    rego = source / "disclosure" / "disclosure.rego"
    before = rego.read_text("utf-8")
    after = before.replace(CLEARED, f"{CLEARED} + 5")
    assert before != after
    rego.write_text(after, "utf-8")
    build_bundle(opa_binary, source, folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


def refresh(world: World) -> None:
    """Let the world's process look whether other policies are in force."""
    assert isinstance(world.platform.pdp, LivePdp)
    world.platform.pdp.refresh()


def proposed(world: World, candidate: Path) -> int:
    """Propose the candidate; give its number."""
    return asyncio.run(
        world.platform.policies.propose(OFFICER, bundle_files(candidate))
    )


def published(world: World, candidate: Path) -> int:
    """Propose and publish the candidate; give its number."""
    number = proposed(world, candidate)
    asyncio.run(world.platform.policies.publish(OTHER_OFFICER, number))
    return number


def refused(world: World) -> bool:
    """Whether the consenting person's address is withheld now."""
    found = world.run(
        world.platform.gate.disclose(world.request("consenting", *ADDRESS))
    )
    effects = {one.effect.value for one in found.attributes}
    assert world.platform.pdp.revision == found.revision
    assert 1 == len(effects)
    return effects == {"withhold"}


def test_two_officers_put_policies_into_force(
    world: World, candidate: Path
) -> None:
    """Nothing changes before the second, and everything after."""
    desk = world.platform.policies
    number = proposed(world, candidate)
    refresh(world)
    assert load_bundle().revision == world.platform.pdp.revision
    with pytest.raises(NotPermitted):
        asyncio.run(desk.publish(OFFICER, number))
    asyncio.run(desk.publish(OTHER_OFFICER, number))
    refresh(world)

    assert load_bundle(candidate).revision == world.platform.pdp.revision
    assert refused(world)
    outcomes = [
        (one.body.outcome, one.body.detail["revision"])
        for one in world.platform.ledger.audit_entries(limit=500)
        if one.body and one.body.kind is EntryKind.BUNDLE
    ]
    revision = load_bundle(candidate).revision
    assert [("proposed", revision), ("published", revision)] == outcomes


def test_another_process_takes_them_when_it_starts(
    world: World, candidate: Path
) -> None:
    """What is in force is in the database, not in a process."""
    published(world, candidate)
    again = reopen(world)
    try:
        assert load_bundle(candidate).revision == again.pdp.revision
        assert refused(replace(world, platform=again))
    finally:
        again.close()


def test_one_officer_goes_back(world: World, candidate: Path) -> None:
    """To what the software carries, with a reason, and to nothing new."""
    desk = world.platform.policies
    number = published(world, candidate)
    other = proposed(world, candidate)
    refresh(world)
    with pytest.raises(RecordUnknown):
        asyncio.run(desk.roll_back(OFFICER, other, reason="flaw"))
    with pytest.raises(NotPermitted):
        asyncio.run(desk.roll_back(OFFICER, OURS, reason=" "))
    asyncio.run(desk.roll_back(OFFICER, OURS, reason="flaw"))
    refresh(world)
    assert load_bundle().revision == world.platform.pdp.revision
    asyncio.run(desk.roll_back(OFFICER, number, reason="no flaw"))
    refresh(world)

    assert load_bundle(candidate).revision == world.platform.pdp.revision


def test_a_proposal_is_against_what_was_in_force(
    world: World, candidate: Path
) -> None:
    """Where other policies came in between, it has to be made anew."""
    desk = world.platform.policies
    late = proposed(world, candidate)
    published(world, candidate)
    with pytest.raises(FactsChanged):
        asyncio.run(desk.publish(OTHER_OFFICER, late))
    rejected = asyncio.run(desk.reject(OFFICER, late, reason="late"))

    assert BundleState.REJECTED is rejected.state
    with pytest.raises(RecordUnknown):
        asyncio.run(desk.publish(OTHER_OFFICER, late))


def test_what_is_no_bundle_is_not_proposed(
    world: World, candidate: Path
) -> None:
    """A changed byte anywhere, or a plan that no engine runs."""
    files = bundle_files(candidate)
    before = world.platform.ledger.size()
    for changed in (
        {PLAN: files[PLAN].replace(b"disclosure", b"disclosurf", 1)},
        {MANIFEST: files[MANIFEST] + b" "},
        {PLAN: b"{}"},
    ):
        with pytest.raises(BundleInvalid):
            asyncio.run(
                world.platform.policies.propose(OFFICER, files | changed)
            )

    assert [] == list(world.platform.policies.proposals())
    assert before == world.platform.ledger.size()


def test_what_runs_no_more_is_not_put_into_force(
    world: World, candidate: Path
) -> None:
    """A plan that the engine refuses, although it was kept as it came."""
    platform = world.platform
    files = bundle_files(candidate)
    described = json.loads(files[MANIFEST])
    files[PLAN] = b"{"
    files[MANIFEST] = serialize(
        manifest(
            plan=files[PLAN],
            data=files[DATA],
            sources=described["sources"],
            entrypoints=tuple(described["entrypoints"]),
            compiler=described["compiler"],
        )
    )
    with pytest.raises(PlanInvalid):
        asyncio.run(platform.policies.propose(OFFICER, files))
    with platform.data.begin() as conn:
        number = platform.bundles.add(
            conn,
            files,
            archive=None,
            base=load_bundle().revision,
            proposer=OFFICER.id,
            now=world.clock(),
        )
    for step in (
        platform.policies.publish(OTHER_OFFICER, number),
        platform.policies.shadow(OFFICER, number),
    ):
        with pytest.raises(PlanInvalid):
            asyncio.run(step)
    with platform.data.begin() as conn:
        platform.bundles.decide(
            conn,
            platform.bundles.proposal(number),
            state=BundleState.PUBLISHED,
            officer=OTHER_OFFICER.id,
            now=world.clock(),
        )
    with pytest.raises(PlanInvalid):
        asyncio.run(platform.policies.roll_back(OFFICER, number, reason="try"))
    good = proposed(world, candidate)
    shadow = Shadow(platform.bundles)
    shadow.run(good, load_bundle(candidate))
    for _ in range(2):
        with pytest.raises(PlanInvalid):
            shadow.run(number, platform.bundles.load(number))
    assert shadow.runs
    refresh(world)
    assert load_bundle().revision == platform.pdp.revision


def test_a_changed_row_is_not_taken(world: World, candidate: Path) -> None:
    """Whoever can write the database cannot write policies."""
    number = proposed(world, candidate)
    asyncio.run(world.platform.policies.publish(OTHER_OFFICER, number))
    with world.platform.data.begin() as conn:
        conn.execute(
            text("UPDATE policy_bundle SET plan = replace(plan, :a, :b)"),
            {"a": "consent_given", "b": "consent_gives"},
        )
    with pytest.raises(BundleInvalid):
        refresh(world)

    assert load_bundle().revision == world.platform.pdp.revision
    assert not refused(world)


def test_a_candidate_in_the_shadow_changes_no_answer(
    world: World, candidate: Path
) -> None:
    """What it would decide otherwise is counted, by service and attribute."""
    platform = world.platform
    number = proposed(world, candidate)
    asyncio.run(platform.policies.shadow(OFFICER, number))
    refresh(world)
    pdp = platform.pdp
    assert isinstance(pdp, LivePdp)

    async def twice() -> set[str]:
        effects = set()
        for name in ("consenting", "refusing"):
            found = await platform.gate.disclose(world.request(name, *ADDRESS))
            effects |= {one.effect.value for one in found.attributes}
        return effects

    assert {"release", "withhold"} == world.run(twice())
    assert 2 == pdp.compare()
    assert 0 == pdp.compare()
    flips = {
        (one.attribute, one.was, one.becomes): one.times
        for one in platform.policies.flips(number)
        if (one.service, one.purpose) == (SERVICE, PURPOSE)
    }
    assert {
        (NOTHING, NOTHING, NOTHING): 2,
        **{(name, "release", "withhold"): 1 for name in ADDRESS},
    } == flips
    asyncio.run(platform.policies.shadow(OFFICER, None))
    refresh(world)
    assert NONE == platform.policies.live().shadow


def test_no_request_is_decided_by_half_a_bundle(
    tmp_path: Path, candidate: Path
) -> None:
    """Swapped under load: each answer fits the revision that it names."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        number = proposed(world, candidate)
        desk = platform.policies
        old, new = load_bundle().revision, load_bundle(candidate).revision

        async def under_load() -> list[tuple[str, str]]:
            found = []

            async def ask() -> None:
                answer = await platform.gate.disclose(
                    world.request("consenting", *ADDRESS)
                )
                found.extend(
                    (answer.revision, one.effect.value)
                    for one in answer.attributes
                )

            async with watching(platform, seconds=0.01):
                await asyncio.gather(*(ask() for _ in range(40)))
                await desk.publish(OTHER_OFFICER, number)
                while platform.pdp.revision == old:
                    await ask()
                await asyncio.gather(*(ask() for _ in range(40)))
            return found

        found = world.run(under_load())

    assert {(old, "release"), (new, "withhold")} == set(found)


def test_a_manifest_names_what_was_built(candidate: Path) -> None:
    """The candidate differs from ours in one source."""
    ours = json.loads(bundle_files()[MANIFEST])["sources"]
    theirs = json.loads(bundle_files(candidate)[MANIFEST])["sources"]

    assert ["disclosure/disclosure.rego"] == [
        name for name in ours if ours[name] != theirs[name]
    ]


def test_the_command_line_leads_through_all_of_it(
    tmp_path: Path, candidate: Path
) -> None:
    """Plan, propose, shadow, publish, list, go back; each by its officer."""
    home = tmp_path / "home"
    with build_world(home):
        pass

    def say(*words: str) -> dict[str, Any]:
        found = CliRunner().invoke(
            build(), ["--home", str(home), "policy", *words, "--json"]
        )
        assert 0 == found.exit_code, found.output
        told: dict[str, Any] = json.loads(found.stdout)
        return told

    planned = say("plan", str(candidate))
    assert ["disclosure/disclosure.rego"] == planned["changed"]
    assert [[], [], []] == [
        planned[name] for name in ("added", "removed", "data")
    ]
    number = say("propose", str(candidate), "--as", "officer-1")["proposal"]
    say("shadow", str(number), "--as", "officer-1")
    assert {"flips": []} == say("shadow", str(number), "--show")
    own = CliRunner().invoke(
        build(),
        [
            *("--home", str(home), "policy", "publish", str(number)),
            *("--as", "officer-1"),
        ],
    )
    assert own.exit_code
    assert "separation_of_duties" in own.stderr
    say("publish", str(number), "--as", "officer-2")
    listed = {one["number"]: one for one in say("proposals")["policies"]}
    assert ("in force", "") == (listed[number]["now"], listed[0]["now"])
    say("rollback", "--because", "flaw", "--as", "officer-1")
    listed = {one["number"]: one for one in say("proposals")["policies"]}
    assert ("", "in force") == (listed[number]["now"], listed[0]["now"])
