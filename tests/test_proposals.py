"""Declarations come into force by two officers, and ask again by difference.

The last part goes all the way: a wider version, the gate, the answer to the
difference, and the gate again (invariant 8).
"""

import asyncio
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy import text

from api.platform import Platform
from consent import (
    Change,
    Declaration,
    DeclarationFrozen,
    DeclarationInvalid,
    EntryKind,
    EventType,
    load_yaml,
    render_notice,
)
from policy import (
    Answer,
    Caller,
    CallerKind,
    Effect,
    FactsChanged,
    NotPermitted,
    ProposalState,
    RecordUnknown,
)
from tests.worlds import (
    ADDRESS,
    BIRTH,
    DECLARATION,
    MOBILE,
    OFFICER,
    OTHER_OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    publish,
)

T = TypeVar("T")
FAMILY = "user.name.family"


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A running platform, and the loop that it runs on."""

    world: World
    runner: asyncio.Runner

    @property
    def platform(self) -> Platform:
        """The platform."""
        return self.world.platform

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something to its end."""
        return self.runner.run(work)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Stage]:
    """An instance with the cast, that runs."""
    with build_world(tmp_path / "home") as made, asyncio.Runner() as runner:
        running = made.platform.running()
        runner.run(running.__aenter__())
        yield Stage(world=made, runner=runner)
        runner.run(running.__aexit__(None, None, None))


def version(number: int, *changes: tuple[str, str]) -> Declaration:
    """The declaration of the cast under another number, changed."""
    said = DECLARATION.replace("version: 1", f"version: {number}")
    for old, new in changes:
        assert old in said
        said = said.replace(old, new)
    return load_yaml(said.encode(), where="test.yaml")


WIDER = ("    data:\n", f"    data:\n      - {FAMILY}\n")
OPTIONAL = (
    "    data:\n",
    f"    data:\n      - {{attribute: {FAMILY}, optional: true}}\n",
)
LONGER = ("retention_days: 90", "retention_days: 900")


def propose(world: Stage, declared: Declaration, who: Caller = OFFICER) -> int:
    """Let an officer propose."""
    return world.run(world.platform.declarations.propose(who, declared))


def approve(world: Stage, number: int, who: Caller = OTHER_OFFICER) -> None:
    """Let an officer approve."""
    world.run(world.platform.declarations.approve(who, number))


def live(world: Stage) -> int:
    """The number of the version in force."""
    found = world.platform.consents.declaration(SERVICE, PURPOSE)
    assert found is not None
    return found.version


def entries(world: Stage) -> list[dict[str, object]]:
    """What the ledger says of declarations, as officers see it."""
    found = world.run(world.platform.registrar.audit(OFFICER, service=SERVICE))
    return [
        {"outcome": one.body.outcome, **one.body.detail}
        for one in found
        if one.body is not None and one.body.kind is EntryKind.DECLARATION
    ]


def test_nothing_is_in_force_before_another_officer_approved(
    world: Stage,
) -> None:
    """Proposed, refused to the proposer, approved by another, recorded."""
    number = propose(world, version(2))
    assert 1 == live(world)
    with pytest.raises(NotPermitted, match="separation_of_duties"):
        approve(world, number, OFFICER)
    assert 1 == live(world)

    approve(world, number)

    assert 2 == live(world)
    done = world.platform.declarations.proposal(number)
    assert (ProposalState.PUBLISHED, OFFICER.id, OTHER_OFFICER.id) == (
        done.state,
        done.proposer,
        done.officer,
    )
    told = {
        "proposal": number,
        "digest": done.declaration.digest,
        "version": 2,
        "proposer": OFFICER.id,
    }
    assert [
        {"outcome": "proposed", **told, "base": done.base},
        {"outcome": "published", **told, "officer": OTHER_OFFICER.id},
    ] == entries(world)
    with pytest.raises(RecordUnknown):
        approve(world, number)


def test_the_proposer_is_whom_the_store_names(world: Stage) -> None:
    """Nobody can claim that somebody else proposed what they did."""
    number = propose(world, version(2))
    disguised = Caller(
        kind=CallerKind.OFFICER, id=OFFICER.id, roles=("compliance",)
    )
    with pytest.raises(NotPermitted, match="separation_of_duties"):
        approve(world, number, disguised)
    assert 1 == live(world)


@pytest.mark.parametrize(
    "who",
    [
        Caller(kind=CallerKind.OFFICER, id="c", roles=("auditor",)),
        Caller(kind=CallerKind.OFFICER, id="c", roles=()),
        Caller(kind=CallerKind.SERVICE, id="c"),
        Caller(kind=CallerKind.PERSON, id="c"),
    ],
    ids=["auditor", "nobody", "service", "person"],
)
def test_only_those_officers_may(world: Stage, who: Caller) -> None:
    """Others propose, approve and reject nothing, and leave no trace."""
    desk = world.platform.declarations
    number = propose(world, version(2))
    for act in (
        desk.propose(who, version(3)),
        desk.approve(who, number),
        desk.reject(who, number, reason="no"),
    ):
        with pytest.raises(NotPermitted):
            world.run(act)
    assert [number] == [one.columns["number"] for one in desk.listed()]
    assert 1 == live(world)


def test_a_registrar_proposes_and_does_not_approve(world: Stage) -> None:
    """Who keeps the register may write a declaration down."""
    clerk = Caller(kind=CallerKind.OFFICER, id="clerk", roles=("registrar",))
    number = propose(world, version(2), clerk)
    other = Caller(kind=CallerKind.OFFICER, id="other", roles=("registrar",))
    with pytest.raises(NotPermitted, match="role_missing"):
        approve(world, number, other)


def test_a_rejected_proposal_stays_rejected(world: Stage) -> None:
    """It takes a reason, is recorded, and cannot be approved afterwards."""
    desk = world.platform.declarations
    number = propose(world, version(2))
    with pytest.raises(NotPermitted, match="justification_missing"):
        world.run(desk.reject(OFFICER, number, reason="  "))
    done = world.run(desk.reject(OFFICER, number, reason="unclear"))
    assert ProposalState.REJECTED is done.state
    with pytest.raises(RecordUnknown, match="rejected already"):
        approve(world, number)
    assert 1 == live(world)
    assert ["proposed", "rejected"] == [
        one["outcome"] for one in entries(world)
    ]


def test_an_approval_is_of_what_was_compared(world: Stage) -> None:
    """Where another version came into force since, it is proposed anew."""
    first = propose(world, version(2))
    second = propose(world, version(3, LONGER))
    approve(world, first)
    with pytest.raises(FactsChanged, match="came into force since"):
        approve(world, second)
    assert 2 == live(world)
    approve(world, propose(world, version(3, LONGER)))
    assert 3 == live(world)


def test_an_answered_version_is_not_replaced(world: Stage) -> None:
    """Another text of it, or a lower number, is not even proposed."""
    with pytest.raises(DeclarationFrozen, match="was answered"):
        propose(world, version(1, LONGER))
    publish(world.platform, version(3))
    with pytest.raises(DeclarationFrozen, match="version 3"):
        propose(world, version(2))
    assert [] == [
        one
        for one in world.platform.declarations.listed()
        if one.columns["state"] == ProposalState.PROPOSED.value
    ]


def test_an_answer_in_between_freezes_too(world: Stage) -> None:
    """A proposal to replace an unanswered text fails once it is answered."""
    publish(world.platform, version(2))
    number = propose(world, version(2, LONGER))
    answer(world, "consenting", MOBILE)
    with pytest.raises(DeclarationFrozen):
        approve(world, number)
    assert ProposalState.PROPOSED is (
        world.platform.declarations.proposal(number).state
    )


def test_a_proposal_that_somebody_edited_is_not_read(world: Stage) -> None:
    """One changed character, and it is no declaration."""
    number = propose(world, version(2))
    # Of an instance of before codes; what these stop is `test_policy_codes`.
    world.platform.macs.required = False
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                "UPDATE policy_proposal"
                " SET text = replace(text, 'Test Town', 'Best Town')"
            )
        )
    with pytest.raises(DeclarationInvalid):
        approve(world, number)
    assert 1 == live(world)


def test_there_is_no_proposal_that_nobody_made(world: Stage) -> None:
    """A wrong number is told."""
    with pytest.raises(RecordUnknown):
        approve(world, 7)


# --- the plan, and what it comes to -----------------------------------------


def answer(world: Stage, name: str, *optional: str) -> None:
    """Let a character say yes to the version in force."""
    declared = world.platform.consents.declaration(SERVICE, PURPOSE)
    assert declared is not None
    (statement,) = declared.statements
    allowed = {a for a in statement.attributes if a in statement.essential}

    async def answer() -> None:
        await world.platform.person.answer(
            world.world.caller(name),
            world.world.cast[name],
            Answer(
                service=SERVICE,
                purpose=PURPOSE,
                statement=statement.id,
                type=EventType.GIVEN,
                attributes=tuple(
                    a
                    for a in statement.attributes
                    if a in allowed | set(optional)
                ),
                declaration=declared.digest,
                notice=render_notice(declared, "en").digest,
                language="en",
                served=await world.world.served(name),
            ),
        )

    world.run(answer())


def released(world: Stage, name: str, *asked: str) -> set[str]:
    """What the gate lets out."""
    request = world.world.request(name, *asked)
    answered = world.run(world.platform.gate.disclose(request))
    return {
        one.attribute
        for one in answered.attributes
        if one.effect is not Effect.WITHHOLD
    }


def asked_again(world: Stage, name: str) -> dict[str, tuple[str, ...]]:
    """What a character is asked again."""
    return world.platform.consents.difference(
        world.world.cast[name], SERVICE, PURPOSE, world.world.clock()
    )


def test_a_plan_counts_whom_a_wider_version_asks(world: Stage) -> None:
    """Who agreed is asked, only about the new; who refused is not."""
    plan, asked = world.platform.declarations.plan(version(2, OPTIONAL))
    (statement,) = plan.statements
    assert Change.WIDER is statement.change
    assert (FAMILY,) == statement.added
    assert {FAMILY} == {row.attribute for row in statement.wider}
    # consenting, limited, restricted, valueless; erased is gone.
    assert 4 == asked.people
    counted = asked.statements["address"]
    assert (4, 0, {FAMILY: 4}) == (
        counted.again,
        counted.kept,
        counted.attributes,
    )


def test_a_plan_of_less_asks_nobody(world: Stage) -> None:
    """A shorter retention keeps every yes."""
    shorter = ("retention_days: 90", "retention_days: 30")
    plan, asked = world.platform.declarations.plan(version(2, shorter))
    assert Change.NARROWER is plan.statements[0].change
    assert (0, 4) == (asked.people, asked.statements["address"].kept)


def test_what_held_for_all_of_it_is_asked_about_when_given_up(
    world: Stage,
) -> None:
    """Another body, another law, a promise less: everything is asked."""
    for change in (
        ("{id: t,", "{id: other,"),
        ("jurisdiction: ZZ", "jurisdiction: QQ"),
        ("obligations: [delete_by]", "obligations: [mask]"),
    ):
        plan, asked = world.platform.declarations.plan(version(2, change))
        assert 1 == len(plan.given_up)
        assert 4 == asked.people
        assert set(ADDRESS) <= set(asked.statements["address"].attributes)


def test_another_term_is_something_more(world: Stage) -> None:
    """What a statement newly is in DPV, nobody has agreed to."""
    more = ("    basis: consent\n", "    basis: consent\n    terms: [{}]\n")
    for term, people in (
        ("dpv:SellDataToThirdParties", 4),
        ("dpv:Consent", 0),
    ):
        change = (more[0], more[1].format(term))
        plan, asked = world.platform.declarations.plan(version(2, change))
        assert people == asked.people
        assert bool(people) == bool(plan.statements[0].terms)


def test_words_alone_ask_nobody_and_are_listed(world: Stage) -> None:
    """Whoever approves sees which words changed."""
    reworded = ("To change your address.", "To change the address.")
    plan, asked = world.platform.declarations.plan(version(2, reworded))
    assert ("purpose_text.en",) == plan.words
    assert 0 == asked.people


def test_a_wider_version_asks_for_the_difference_only(world: Stage) -> None:
    """Invariant 8, through records and gate, for an optional attribute."""
    before = released(world, "consenting", *ADDRESS, BIRTH)
    assert {*ADDRESS, BIRTH} == before

    publish(world.platform, version(2, OPTIONAL))

    assert {"address": (FAMILY,)} == asked_again(world, "consenting")
    assert before == released(world, "consenting", *ADDRESS, BIRTH, FAMILY)
    answer(world, "consenting", BIRTH, MOBILE, FAMILY)
    assert {} == asked_again(world, "consenting")
    assert {*before, FAMILY} == released(
        world, "consenting", *ADDRESS, BIRTH, FAMILY
    )


def test_a_new_essential_attribute_stops_the_purpose_until_asked(
    world: Stage,
) -> None:
    """The essential ones go together, so none goes before the answer."""
    publish(world.platform, version(2, WIDER))
    assert set() == released(world, "consenting", *ADDRESS, FAMILY)
    assert {"address": (FAMILY,)} == asked_again(world, "consenting")
    answer(world, "consenting")
    assert {*ADDRESS, FAMILY} == released(
        world, "consenting", *ADDRESS, FAMILY
    )


def test_a_longer_retention_stops_what_was_agreed_to(world: Stage) -> None:
    """A yes to 90 days is no yes to 900; the whole is asked again."""
    publish(world.platform, version(2, LONGER))
    assert set() == released(world, "consenting", *ADDRESS, BIRTH)
    assert {*ADDRESS, MOBILE, BIRTH} == set(
        asked_again(world, "consenting")["address"]
    )


def test_another_controller_stops_what_was_agreed_to(world: Stage) -> None:
    """A yes to one body is no yes to another."""
    publish(world.platform, version(2, ("{id: t,", "{id: other,")))
    assert set() == released(world, "consenting", *ADDRESS)


def test_who_left_something_out_is_not_asked_about_it_again(
    world: Stage,
) -> None:
    """An optional attribute that was left out stays out."""
    answer(world, "consenting", BIRTH)
    publish(world.platform, version(2, OPTIONAL))
    assert {"address": (FAMILY,)} == asked_again(world, "consenting")
    assert MOBILE not in released(world, "consenting", *ADDRESS, MOBILE)


@pytest.mark.parametrize("name", ["refusing", "withdrawn"])
def test_a_no_is_not_asked_again(world: Stage, name: str) -> None:
    """Under a wider version a no is a no."""
    publish(world.platform, version(2, OPTIONAL))
    assert {} == asked_again(world, name)
    assert set() == released(world, name, *ADDRESS, FAMILY)


def test_versions_in_between_lose_nothing(world: Stage) -> None:
    """A version that was wider for a while leaves the first yes whole."""
    publish(world.platform, version(2, LONGER))
    publish(world.platform, version(3))
    assert {} == asked_again(world, "consenting")
    assert {*ADDRESS, BIRTH} == released(world, "consenting", *ADDRESS, BIRTH)
