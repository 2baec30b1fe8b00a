"""An officer has a decision of the past decided again, and it is an entry."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Connection, text
from typer.testing import CliRunner

from api.cli.decision import sentence
from api.cli.main import build
from consent import Commit, Draft, EntryKind
from policy import (
    ChangeKind,
    ExplainedDecision,
    LivePdp,
    NotPermitted,
    PastDecision,
    ReplayImpossible,
    Supposition,
    bundle_files,
)
from policy.compiling import build_bundle
from tests.databases import Kind
from tests.engines import unhurried
from tests.parts import ROOT
from tests.worlds import (
    EVERYTHING,
    OFFICER,
    OTHER_OFFICER,
    World,
    build_world,
)

WHY = "complaint 17"
CLEARED = "data.vocabulary.clearance[input.catalogue[name].sensitivity]"


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


async def asked(world: World, name: str) -> UUID:
    """Let a service ask about somebody; give the decision's id."""
    answer = await world.platform.gate.disclose(world.request(name))
    return answer.decision


async def replayed(world: World, decision: UUID, **more: Any) -> PastDecision:  # noqa: ANN401 - passed on
    """Have a decision decided again by an officer who says why."""
    return await world.platform.decision_desk.replay(
        OFFICER, decision, **{"justification": WHY, **more}
    )


@pytest.mark.parametrize("name", ["consenting", "limited", "nobody at all"])
def test_a_decision_is_replayed_by_its_id_alone(
    world: World, name: str
) -> None:
    """Whoever it is about is found, or that it is about nobody."""

    async def story() -> PastDecision:
        return await replayed(world, await asked(world, name))

    past = world.run(story())
    assert past.replayed is not None
    assert past.stored is not None
    assert () == past.replayed.differs
    assert set(EVERYTHING) == set(past.replayed.again)
    assert (name in world.cast) == past.stored.known


def test_the_look_is_an_entry_that_the_person_sees(world: World) -> None:
    """With the officer and the justification, as any look of theirs."""

    async def story() -> list[tuple[str, object]]:
        platform, who = world.platform, world.cast["consenting"]
        await replayed(world, await asked(world, "consenting"))
        return [
            (one.outcome, one.detail["justification"])
            for one in await platform.person.own_uses(
                world.caller("consenting"), who, before=None, limit=10
            )
            if one.kind is EntryKind.OFFICER_VIEW
        ]

    assert [("opened", WHY)] == world.run(story())


@pytest.mark.parametrize("name", ["consenting", "nobody at all", "erased"])
def test_the_entry_names_the_decision_and_what_was_done(
    world: World, name: str
) -> None:
    """Whoever it is about, or was: which decision, replayed or explained."""
    platform = world.platform

    async def story() -> tuple[UUID, list[dict[str, object]]]:
        decision = await asked(
            world, "consenting" if name == "erased" else name
        )
        if name == "erased":
            await platform.registrar.erase(
                OFFICER,
                world.cast["consenting"],
                proposer="the-person",
                justification=WHY,
            )
        drafts: list[Draft] = []
        append, submit = platform.ledger.append, platform.commits.submit

        def appended(conn: Connection, found: Sequence[Draft]) -> object:
            drafts.extend(found)
            return append(conn, found)

        async def submitted(commit: Commit) -> object:
            drafts.extend(commit.drafts)
            return await submit(commit)

        platform.ledger.append = appended
        platform.commits.submit = submitted
        await replayed(world, decision)
        with contextlib.suppress(ReplayImpossible):
            await platform.decision_desk.explain(
                OFFICER, decision, justification=WHY
            )
        return decision, [
            {key: one.detail[key] for key in ("act", "decision", "officer")}
            for one in {one.decision: one for one in drafts}.values()
            if one.kind is EntryKind.OFFICER_VIEW
        ]

    decision, found = world.run(story())
    assert [
        {"act": act, "decision": str(decision), "officer": OFFICER.id}
        for act in ("replay", "explain")
    ] == found


def test_without_a_justification_nothing_is_opened(world: World) -> None:
    """Nor is anything said of whether there is such a decision."""

    async def story() -> None:
        for decision in (await asked(world, "consenting"), uuid4()):
            with pytest.raises(NotPermitted, match="justification_missing"):
                await replayed(world, decision, justification=" ")

    world.run(story())


def test_after_erasure_the_answer_is_erased(world: World) -> None:
    """Whether or not the officer knows whom it was about."""

    async def story() -> list[PastDecision]:
        decision = await asked(world, "consenting")
        who = world.cast["consenting"]
        await world.platform.registrar.erase(
            OFFICER, who, proposer="the-person", justification=WHY
        )
        return [
            await replayed(world, decision),
            await replayed(world, decision, person=who),
        ]

    assert [True, True] == [past.erased for past in world.run(story())]


def test_a_decision_of_before_a_merger_replays(world: World) -> None:
    """It is sealed under the key of the record that it was made about."""

    async def story() -> list[PastDecision]:
        decision = await asked(world, "limited")
        await world.platform.records.merge(
            OFFICER,
            world.cast["consenting"],
            world.cast["limited"],
            justification=WHY,
        )
        return [
            await replayed(world, decision),
            await replayed(world, decision, person=world.cast["consenting"]),
        ]

    for past in world.run(story()):
        assert past.replayed is not None
        assert () == past.replayed.differs


def test_an_unknown_decision_is_unknown(world: World) -> None:
    """And says so."""
    with pytest.raises(ReplayImpossible, match="unknown"):
        world.run(replayed(world, uuid4()))


def test_policies_that_are_not_kept_are_named(world: World) -> None:
    """Rather than deciding under others and calling that a replay."""

    async def story() -> None:
        decision = await asked(world, "consenting")
        with world.platform.data.begin() as conn:
            conn.execute(
                text("UPDATE policy_decision SET revision = :other"),
                {"other": "e" * 64},
            )
        await replayed(world, decision)

    with pytest.raises(ReplayImpossible, match=f"{'e' * 64} are not kept"):
        world.run(story())


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
    rego.write_text(before.replace(CLEARED, f"{CLEARED} + 5"), "utf-8")
    assert before != rego.read_text("utf-8")
    build_bundle(opa_binary, source, folder / "bundle")
    return folder / "bundle"


@pytest.mark.opa
def test_each_decision_replays_under_its_own_policies(
    world: World, candidate: Path
) -> None:
    """Those of then, whichever are in force today."""
    platform = world.platform
    number = asyncio.run(
        platform.policies.propose(OFFICER, bundle_files(candidate))
    )

    async def story() -> list[PastDecision]:
        decision = await asked(world, "consenting")
        await platform.policies.publish(OTHER_OFFICER, number)
        assert isinstance(platform.pdp, LivePdp)
        platform.pdp.refresh()
        later = await asked(world, "consenting")
        return [await replayed(world, one) for one in (decision, later)]

    first, second = world.run(story())
    for past in (first, second):
        assert past.replayed is not None
        assert () == past.replayed.differs
    assert first.kept.revision != second.kept.revision
    assert first.replayed is not None
    assert second.replayed is not None
    assert first.replayed.again != second.replayed.again


def test_what_the_gate_did_not_carry_out_replays_so(world: World) -> None:
    """An answer is replayed through the gate's own care, not around it."""
    platform, name = world.platform, "consenting"
    bundle = platform.policies.bundle(0)
    odd = unhurried(bundle)

    class Odd:
        """An engine that adds an obligation which no gate knows."""

        revision = bundle.revision

        async def decide(self, entrypoint: str, document: Any) -> Any:  # noqa: ANN401 - an engine's JSON
            ruling = await odd.decide(entrypoint, document)
            for one in ruling.document["attributes"].values():
                one["obligations"].append({"type": "burn_after_reading"})
            return ruling

    async def story() -> tuple[Any, Any]:
        decision = await asked(world, name)
        found = await platform.replay.replay(Odd(), decision, world.cast[name])
        return found.stored, found.again

    stored, again = world.run(story())
    assert stored != again
    assert {"withhold"} == {one["effect"] for one in again.values()}


def cli(home: Path, *words: str) -> Any:  # noqa: ANN401 - of click
    """Run the command line at an instance."""
    return CliRunner().invoke(build(), ["--home", str(home), *words])


def test_command_replays_and_says_how_it_went(tmp_path: Path) -> None:
    """Same, differs with 1, erased; no value is in any of them."""
    home = tmp_path / "home"
    with build_world(home) as world:
        decision = str(world.run(asked(world, "consenting")))
        values = world.values["consenting"].values()
    words = ("decision", "replay", decision, "--because", WHY)
    said = cli(home, *words)
    assert 0 == said.exit_code, said.output
    assert "The same answer again." in said.stdout
    made = json.loads(cli(home, *words, "--json").stdout)
    assert "same" == made["answer"]
    assert set(EVERYTHING) == set(made["attributes"])
    assert all(value not in said.stdout for value in values)
    refused = cli(home, "decision", "replay", decision)
    assert 1 == refused.exit_code
    assert "justification_missing" in refused.stderr
    assert '--because "complaint 17"' in refused.stderr


def test_an_explanation_is_a_look_like_any_other(world: World) -> None:
    """It has an entry; it says what would have turned each attribute over."""

    async def story() -> tuple[ExplainedDecision, int]:
        platform, who = world.platform, world.cast["limited"]
        found = await platform.decision_desk.explain(
            OFFICER, await asked(world, "limited"), justification=WHY
        )
        seen = await platform.person.own_uses(
            world.caller("limited"), who, before=None, limit=10
        )
        looks = [one for one in seen if one.kind is EntryKind.OFFICER_VIEW]
        return found, len(looks)

    found, looks = world.run(story())
    assert 1 == looks
    told = {one.attribute: one for one in found.officer}
    assert set(EVERYTHING) == set(told)
    for name, one in told.items():
        assert found.stored.answer[name]["effect"] == one.effect  # type: ignore[index,call-overload] # its JSON
        assert one.changes
    assert [one.attribute for one in found.service] == list(told)


def test_what_is_erased_or_not_justified_is_not_explained(
    world: World,
) -> None:
    """As it is not replayed."""

    async def story() -> None:
        desk = world.platform.decision_desk
        decision = await asked(world, "consenting")
        with pytest.raises(NotPermitted):
            await desk.explain(OFFICER, decision, justification="")
        await world.platform.registrar.erase(
            OFFICER,
            world.cast["consenting"],
            proposer="the-person",
            justification=WHY,
        )
        with pytest.raises(ReplayImpossible, match="erased"):
            await desk.explain(OFFICER, decision, justification=WHY)

    world.run(story())


def test_command_explains_in_words(tmp_path: Path) -> None:
    """What would have helped, and apart what the service may be told."""
    home = tmp_path / "home"
    with build_world(home) as world:
        decision = str(world.run(asked(world, "silent")))
    words = ("decision", "explain", decision, "--because", WHY)
    said = cli(home, *words)
    assert 0 == said.exit_code, said.output
    assert "otherwise if the person had agreed to address" in said.stdout
    own = said.stdout.partition("The service may be told")[2]
    assert "agreed" not in own
    assert "was declared in address" in own
    made = json.loads(cli(home, *words, "--json").stdout)
    assert len(EVERYTHING) == len(made["attributes"])
    sides = {
        change["side"]
        for one in made["service_may_hear"]
        for changes in one["changes"]
        for change in changes
    }
    assert {"service"} == sides


@pytest.mark.parametrize("kind", ChangeKind)
def test_every_change_has_words(kind: ChangeKind) -> None:
    """And they name what it is about."""
    said = sentence(Supposition(kind=kind, what="X", number=1, within="S"))
    assert said
    assert "{" not in said
