"""The gate: decide, record, open, and what a service can learn from it."""

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import event, text

from consent import EventType
from policy import (
    AccessRequest,
    Answer,
    ById,
    Cause,
    Disclosure,
    Effect,
    NoDecision,
    RequestInvalid,
    Ruling,
    UnknownAttributes,
)
from policy.decisions import Json
from tests.databases import Kind
from tests.worlds import (
    ADDRESS,
    BIRTH,
    EVERYTHING,
    INCOME,
    MOBILE,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    restrict,
)


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


def effects(answer: Disclosure) -> dict[str, Effect]:
    """What became of each attribute."""
    return {one.attribute: one.effect for one in answer.attributes}


def test_consent_releases_what_was_consented_to(world: World) -> None:
    """Consent opens exactly the declared attributes, with their values."""
    answer = world.run(
        world.platform.gate.disclose(world.request("consenting"))
    )

    expected = dict.fromkeys(EVERYTHING, Effect.RELEASE)
    expected[INCOME] = Effect.WITHHOLD
    assert expected == effects(answer)
    values = {one.attribute: one.value for one in answer.attributes}
    held = world.values["consenting"]
    assert {name: held[name] for name in ADDRESS} == {
        name: values[name] for name in ADDRESS
    }


def test_preferences_generalize_and_refuse(world: World) -> None:
    """A limit makes the value coarser behind the gate; a refusal stands."""
    answer = world.run(world.platform.gate.disclose(world.request("limited")))

    found = {one.attribute: one for one in answer.attributes}
    assert (Effect.GENERALIZE, "1971") == (
        found[BIRTH].effect,
        found[BIRTH].value,
    )
    assert (Effect.WITHHOLD, None, "not_available") == (
        found[MOBILE].effect,
        found[MOBILE].value,
        found[MOBILE].reason,
    )


@pytest.mark.parametrize(
    "name",
    ["silent", "refusing", "withdrawn", "erased", "restricted", "nobody"],
)
def test_whatever_depends_on_the_person_looks_alike(
    world: World, name: str
) -> None:
    """Unknown, erased, refused, withdrawn, restricted: one code for all."""
    answer = world.run(
        world.platform.gate.disclose(world.request(name, *ADDRESS))
    )

    assert {("withhold", None, "not_available", "none")} == {
        (one.effect.value, one.value, one.reason, one.remedy)
        for one in answer.attributes
    }


def test_a_missing_value_looks_like_a_refusal(world: World) -> None:
    """An essential attribute without a value withholds them all, alike."""
    answer = world.run(
        world.platform.gate.disclose(world.request("valueless", *ADDRESS))
    )

    assert {"not_available"} == {one.reason for one in answer.attributes}


def test_unknown_people_cost_the_same_statements(world: World) -> None:
    """A refused and an unknown person run the same SQL, in number."""
    seen: list[str] = []

    def count(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    for engine in (world.platform.data, world.platform.keys):
        event.listen(engine, "before_cursor_execute", count)

    async def both() -> tuple[list[str], list[str]]:
        counts = []
        for name in ("warm", "silent", "nobody"):
            seen.clear()
            await world.platform.gate.disclose(world.request(name, *ADDRESS))
            counts.append(list(seen))
        return counts[1], counts[2]

    known, unknown = world.run(both())
    assert known == unknown


def test_the_entry_is_durable_before_the_vault_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the vault opens, the entry can be read by another connection."""
    platform = world.platform
    before = platform.ledger.size()
    sizes: list[int] = []
    real = platform.vault.read

    def read(*arguments: object) -> Mapping[str, str]:
        sizes.append(platform.ledger.size())
        return real(*arguments)

    monkeypatch.setattr(platform.vault, "read", read)
    world.run(platform.gate.disclose(world.request("consenting")))

    assert [before + 1] == sizes


def test_no_entry_no_answer(world: World) -> None:
    """If the ledger cannot commit, nothing is opened and 503 is the answer."""
    platform = world.platform
    with platform.data.begin() as conn:
        conn.execute(text("DROP TABLE ledger_entry"))

    with pytest.raises(NoDecision) as caught:
        world.run(platform.gate.disclose(world.request("consenting")))

    assert Cause.LEDGER is caught.value.cause


def test_refusals_are_entries_too(world: World) -> None:
    """A refusal is recorded, and the person sees the true reason."""
    platform = world.platform

    async def refused() -> str:
        await platform.gate.disclose(world.request("withdrawn", *ADDRESS))
        page = await platform.person.own_uses(
            world.caller("withdrawn"),
            world.cast["withdrawn"],
            before=None,
            limit=1,
        )
        detail = page[0].detail["attributes"]
        return str(detail[ADDRESS[0]]["reasons"])

    assert "consent_withdrawn" in world.run(refused())


def test_a_change_between_decision_and_entry_decides_again(
    tmp_path: Path,
) -> None:
    """A restriction that lands after the decision is obeyed."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        real = platform.pdp.decide
        decided: list[int] = []

        class Racing:
            """Decides, and lets a restriction land right after."""

            revision = platform.pdp.revision

            async def decide(
                self, entrypoint: str, document: Mapping[str, Json]
            ) -> Ruling:
                answer = await real(entrypoint, document)
                decided.append(1)
                if len(decided) == 1:
                    restrict(platform, world.cast["consenting"], world.clock())
                return answer

        platform.gate._pdp = Racing()
        answer = world.run(
            platform.gate.disclose(world.request("consenting", *ADDRESS))
        )

        assert (2, {Effect.WITHHOLD}) == (
            len(decided),
            set(effects(answer).values()),
        )


def test_facts_that_never_stand_still_are_no_decision(
    tmp_path: Path,
) -> None:
    """After three moves the gate gives up, and opens nothing."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        real = platform.pdp.decide

        class Restless:
            """Changes the facts after every decision."""

            revision = platform.pdp.revision

            async def decide(
                self, entrypoint: str, document: Mapping[str, Json]
            ) -> Ruling:
                answer = await real(entrypoint, document)
                with platform.data.begin() as conn:
                    platform.consents.bump(conn, world.cast["consenting"])
                return answer

        platform.gate._pdp = Restless()
        with pytest.raises(NoDecision) as caught:
            world.run(platform.gate.disclose(world.request("consenting")))

        assert Cause.FACTS_MOVING is caught.value.cause


class Fixed:
    """An engine that answers what it was told to."""

    revision = "0" * 64

    def __init__(self, answer: Json) -> None:
        """Take the answer."""
        self._answer = answer

    async def decide(
        self, _entrypoint: str, _document: Mapping[str, Json]
    ) -> Ruling:
        """Give the answer."""
        if isinstance(self._answer, Exception):
            raise self._answer
        return Ruling(document=self._answer, revision=self.revision)


def one(effect: str = "release", **changes: Json) -> dict[str, Json]:
    """A well-formed decision about one attribute, with changes."""
    return {
        "effect": effect,
        "level": 0,
        "reasons": [{"code": "consent_given", "remedy": "none"}],
        "obligations": [],
    } | changes


def answer_of(attributes: Json) -> dict[str, Json]:
    """A decision document around attributes."""
    return {"schema": "curtilage/disclosure/1", "attributes": attributes}


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"result": True},
        answer_of({}),
        answer_of(None),
        answer_of({CODE: one() for CODE in (*ADDRESS, INCOME)}),
        answer_of(dict.fromkeys(ADDRESS[:2], one())),
        answer_of(dict.fromkeys(ADDRESS, one("allow"))),
        answer_of(dict.fromkeys(ADDRESS, one(level=True))),
        answer_of(dict.fromkeys(ADDRESS, one(level=1))),
        answer_of(dict.fromkeys(ADDRESS, one("generalize", level=9))),
        answer_of(dict.fromkeys(ADDRESS, one(reasons=[]))),
        answer_of(dict.fromkeys(ADDRESS, one(reasons=["x"]))),
        answer_of(dict.fromkeys(ADDRESS, one(obligations=[{"days": 3}]))),
        answer_of(dict.fromkeys(ADDRESS, one(extra=1))),
        answer_of(dict.fromkeys(ADDRESS, one())) | {"schema": "other"},
    ],
)
def test_a_malformed_decision_is_no_decision(
    world: World, answer: Json
) -> None:
    """Anything but the promised shape opens nothing, and is an entry."""
    platform = world.platform
    before = platform.ledger.size()
    platform.gate._pdp = Fixed(answer)

    with pytest.raises(NoDecision) as caught:
        world.run(
            platform.gate.disclose(world.request("consenting", *ADDRESS))
        )

    assert (Cause.MALFORMED, before + 1) == (
        caught.value.cause,
        platform.ledger.size(),
    )


def test_an_unknown_obligation_withholds(world: World) -> None:
    """What the gate cannot carry out is not released."""
    platform = world.platform
    platform.gate._pdp = Fixed(
        answer_of(dict.fromkeys(ADDRESS, one(obligations=[{"type": "sing"}])))
    )

    answer = world.run(
        platform.gate.disclose(world.request("consenting", *ADDRESS))
    )

    assert {"obligation_not_understood"} == {
        found.reason for found in answer.attributes
    }


def test_an_obligation_unknown_to_the_caller_withholds(world: World) -> None:
    """A service that did not say it deletes gets nothing to delete."""
    request = replace(
        world.request("consenting", *ADDRESS), understands=frozenset()
    )

    answer = world.run(world.platform.gate.disclose(request))

    assert {"obligation_not_understood"} == {
        found.reason for found in answer.attributes
    }


@pytest.mark.parametrize(
    ("attributes", "error"),
    [
        (("user.no.such",), UnknownAttributes),
        ((), RequestInvalid),
        ((CITY := ADDRESS[1], CITY), RequestInvalid),
        (tuple(f"a{n}" for n in range(65)), RequestInvalid),
    ],
)
def test_malformed_requests_are_refused_before_any_look_up(
    world: World, attributes: tuple[str, ...], error: type[Exception]
) -> None:
    """Names are checked before the person is looked up or anything written."""
    request = replace(world.request("consenting"), attributes=attributes)
    before = world.platform.ledger.size()

    with pytest.raises(error):
        world.run(world.platform.gate.disclose(request))

    assert before == world.platform.ledger.size()


def test_after_withdrawal_and_a_smaller_grant_exactly_that_is_granted(
    world: World,
) -> None:
    """Revoke, then grant X: exactly X opens."""
    platform = world.platform
    name, subject = "consenting", world.cast["consenting"]

    async def answer(kind: EventType, *attributes: str) -> Answer:
        event_ = world.event(name, kind, *attributes)
        return Answer(
            service=SERVICE,
            purpose=PURPOSE,
            statement="address",
            type=kind,
            attributes=event_.attributes,
            declaration=event_.declaration,
            notice=event_.notice,
            language="en",
            served=await world.served(name),
        )

    async def story() -> Disclosure:
        door = platform.person
        caller = world.caller(name)
        await door.answer(caller, subject, await answer(EventType.WITHDRAWN))
        world.clock.now += 1
        await door.answer(
            caller, subject, await answer(EventType.GIVEN, *ADDRESS)
        )
        return await platform.gate.disclose(world.request(name))

    granted = {
        one.attribute
        for one in world.run(story()).attributes
        if one.value is not None
    }
    assert set(ADDRESS) == granted


def test_a_person_is_found_by_id_too(world: World) -> None:
    """The vault's own id names a person as an identifier does."""
    request: AccessRequest = replace(
        world.request("consenting", *ADDRESS),
        person=ById(subject=world.cast["consenting"]),
    )

    answer = world.run(world.platform.gate.disclose(request))

    assert {Effect.RELEASE} == set(effects(answer).values())


def test_many_at_once_are_each_answered_about_their_own(
    world: World,
) -> None:
    """Concurrent requests never get each other's values."""
    names = ["consenting", "limited", "valueless", "nobody"] * 10

    async def all_of_them() -> list[Disclosure]:
        return await asyncio.gather(
            *(
                world.platform.gate.disclose(world.request(name, *ADDRESS))
                for name in names
            )
        )

    for name, answer in zip(names, world.run(all_of_them()), strict=True):
        street = answer.attributes[0].value
        expected = (
            world.values[name][ADDRESS[0]]
            if name in {"consenting", "limited"}
            else None
        )
        assert expected == street
