"""Answers about many people: each is what asking for them alone would give."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, event, text

from api.routes.profiles import BatchOut
from consent import (
    Behavior,
    Preferences,
    PreferencesInvalid,
    Rule,
    Terms,
)
from policy import (
    MOST_PEOPLE,
    AccessRequest,
    ByIdentifier,
    Cause,
    Disclosure,
    Effect,
    Form,
    NoDecision,
    PolicyDecisionPoint,
    RequestInvalid,
    Ruling,
)
from policy.decisions import Json
from tests.databases import Kind
from tests.doors import (
    UNDERSTANDS,
    Door,
    assert_problem,
    at_the_door,
    body_about,
)
from tests.worlds import (
    ADDRESS,
    BIRTH,
    EVERYTHING,
    NUMBER,
    STREET,
    World,
    build_world,
    person_values,
)

BATCH = "/v1/profile-requests/batch"
EVERYBODY = (
    "consenting",
    "limited",
    "refusing",
    "silent",
    "withdrawn",
    "restricted",
    "erased",
    "valueless",
    "nobody",
)
OF_THE_ANSWER = ("decision", "ledger_index", "decided_at")


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared."""
    home = tmp_path_factory.mktemp("batch") / "home"
    with (
        build_world(home, database=database) as world,
        at_the_door(world) as made,
    ):
        yield made


def batch_of(
    door: Door, *names: str, attributes: tuple[str, ...] = ADDRESS
) -> dict[str, Any]:
    """A batch about characters, by identity number."""
    people = [body_about(door.world, one)["person"] for one in names]
    return {
        "people": people,
        "attributes": list(attributes),
        "understands": UNDERSTANDS,
    }


def send(door: Door, body: object) -> Any:  # noqa: ANN401 - the client's own answer
    """Send a batch."""
    return door.client.post(
        BATCH, json=body, headers={"Authorization": f"Bearer {door.token()}"}
    )


def of_the_person(answer: Mapping[str, Any]) -> dict[str, Any]:
    """An answer without what is of the moment."""
    return {
        name: value
        for name, value in answer.items()
        if name not in OF_THE_ANSWER
    }


def test_each_is_answered_as_if_asked_for_alone(door: Door) -> None:
    """Same answer, in the order asked, each with an entry of its own."""
    alone = [
        of_the_person(
            door.ask(body_about(door.world, name, *EVERYTHING)).json()
        )
        for name in EVERYBODY
    ]
    before = door.size()

    found = send(door, batch_of(door, *EVERYBODY, attributes=EVERYTHING))

    assert 200 == found.status_code
    assert "no-store" == found.headers["cache-control"]
    body = found.json()
    assert len(EVERYBODY) == body["answered"]
    answers = [one["answer"] for one in body["results"]]
    assert alone == [of_the_person(one) for one in answers]
    assert len(EVERYBODY) == len({one["decision"] for one in answers})
    assert list(range(before, before + len(EVERYBODY))) == sorted(
        one["ledger_index"] for one in answers
    )
    assert before + len(EVERYBODY) == door.size()
    read = BatchOut.model_validate_json(found.content)
    assert len(EVERYBODY) == read.answered


def test_whatever_depends_on_a_person_is_one_item(door: Door) -> None:
    """Unknown, erased, refusing: items of one length and shape."""
    names = ("nobody", "erased", "refusing", "silent", "withdrawn")
    body = send(door, batch_of(door, *names)).json()

    shown = [
        json.dumps({**one, "answer": of_the_person(one["answer"])})
        for one in body["results"]
    ]
    assert {shown[0]} == set(shown)


def test_a_person_may_be_named_twice_and_by_id(door: Door) -> None:
    """Both names of one person get an answer and an entry each."""
    body = batch_of(door, "consenting")
    subject = str(door.world.cast["consenting"])
    body["people"] += [{"id": subject}, {"id": subject}]
    before = door.size()

    found = send(door, body).json()

    told = [one["answer"]["attributes"][STREET] for one in found["results"]]
    assert [told[0]] * 3 == told
    assert "0 Canary Street" == told[0]["value"]
    assert before + 3 == door.size()


def test_what_fails_for_one_fails_for_that_one_alone(door: Door) -> None:
    """A wrong number is a problem in its place; the others are answered."""
    body = batch_of(door, "consenting", "refusing")
    wrong = {"identifier": {"attribute": NUMBER, "value": "CANARY-7"}}
    unindexed = {"identifier": {"attribute": BIRTH, "value": "1990-01-01"}}
    body["people"][1:1] = [wrong, unindexed]

    found = send(door, body)

    assert 200 == found.status_code
    results = found.json()["results"]
    assert [200, 422, 422, 200] == [one["status"] for one in results]
    assert 2 == found.json()["answered"]
    for one, slug in zip(
        results[1:3], ("invalid-value", "not-an-identifier"), strict=True
    ):
        assert one["answer"] is None
        assert f"/problems/{slug}" == one["problem"]["type"]
        assert one["problem"]["remedy"]
    assert "CANARY-7" not in found.text
    for one in (results[0], results[3]):
        assert one["problem"] is None


@pytest.mark.parametrize(
    "change",
    [
        {"people": []},
        {"people": [{"identifier": None}]},
        {"people": [{"id": "x"}]},
        {"attributes": []},
        {"attributes": [STREET] * 65},
        {"person": {}},
        {"purpose": "other"},
    ],
)
def test_what_is_no_batch_is_one_problem(
    door: Door, change: Mapping[str, object]
) -> None:
    """A malformed batch is refused whole, and nothing is recorded."""
    before = door.size()

    assert_problem(send(door, batch_of(door, "consenting") | change), 422)

    assert before == door.size()


def test_a_batch_has_a_largest_size(door: Door) -> None:
    """One person more than a thousand is refused whole."""
    body = batch_of(door, "consenting")
    body["people"] *= MOST_PEOPLE + 1

    assert_problem(send(door, body), 422)


def test_an_unknown_attribute_refuses_the_whole(door: Door) -> None:
    """The names are the service's own, so the batch is at fault."""
    found = send(door, batch_of(door, "consenting", attributes=("user.x",)))

    assert_problem(found, 422)


def test_a_batch_takes_a_token(door: Door) -> None:
    """Without one nobody is answered."""
    assert_problem(
        door.client.post(BATCH, json=batch_of(door, "consenting")), 401
    )


def test_the_description_has_the_batch(door: Door) -> None:
    """/openapi.json says what is sent and what comes, and how many."""
    described = door.client.get("/openapi.json").json()
    people = described["components"]["schemas"]["BatchRequest"]["properties"]

    assert MOST_PEOPLE == people["people"]["maxItems"]
    assert "post" in described["paths"][BATCH]


def test_every_entry_is_durable_before_the_vault_opens(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 people none is opened whose entry could not be read."""
    platform = world.platform
    before = platform.ledger.size()
    opened: list[int] = []
    real = platform.vault.read

    def read(*arguments: object) -> Mapping[str, str]:
        opened.append(platform.ledger.size() - before)
        return real(*arguments)

    monkeypatch.setattr(platform.vault, "read", read)
    found = world.run(
        platform.batch.disclose([world.request("consenting")] * 100)
    )

    assert 100 == len(opened)
    assert all(entries >= nth + 1 for nth, entries in enumerate(opened))
    assert all(isinstance(one, Disclosure) for one in found)


def test_no_entry_no_answer(world: World, monkeypatch: Any) -> None:  # noqa: ANN401 - pytest's own
    """Where the ledger cannot commit, nobody is opened."""
    platform = world.platform
    monkeypatch.setattr(platform.vault, "read", None)
    with platform.data.begin() as conn:
        conn.execute(text("DROP TABLE ledger_entry"))

    found = world.run(
        platform.batch.disclose([world.request("consenting")] * 3)
    )

    causes = [one.cause for one in found if isinstance(one, NoDecision)]
    assert [Cause.LEDGER] * 3 == causes


def test_who_was_not_decided_has_an_entry_that_says_so(world: World) -> None:
    """An engine that fails for one person is that person's problem."""
    platform = world.platform
    before = platform.ledger.size()

    class Failing(Counting):
        """Decides about nobody but the first."""

        def after(self) -> None:
            if self.count > 1:
                raise NoDecision(Cause.TIMEOUT)

    platform.gate._pdp = Failing(platform.pdp)
    asked = [world.request(one, STREET) for one in ("consenting", "refusing")]

    found = world.run(platform.batch.disclose(asked))

    assert isinstance(found[0], Disclosure)
    assert isinstance(found[1], NoDecision)
    assert Cause.TIMEOUT is found[1].cause
    assert before + 2 == platform.ledger.size()


class Counting:
    """Decides as another does, and counts, and does something after."""

    def __init__(self, other: PolicyDecisionPoint) -> None:
        self._decide = other.decide
        self.revision = other.revision
        self.count = 0
        self.heard = 0

    async def decide(
        self, entrypoint: str, document: Mapping[str, Json]
    ) -> Ruling:
        """Decide."""
        self.count += 1
        ruling = await self._decide(entrypoint, document)
        self.after()
        return ruling

    def after(self) -> None:
        """Do nothing."""

    def repeated(self, *_: object) -> None:
        """Hear that a ruling served somebody else too."""
        self.heard += 1


def test_equal_facts_are_decided_once(world: World) -> None:
    """And who differs in anything but the ids of events is decided apart."""
    platform = world.platform
    counting = platform.gate._pdp = Counting(platform.pdp)
    asked = [
        world.request(name, *ADDRESS)
        for name in ("consenting", "refusing", "stranger", "nobody")
    ]
    asked[2] = invented(world, 978)

    found = world.run(platform.batch.disclose(asked))

    assert (3, 1) == (counting.count, counting.heard)
    effects = [
        {each.effect for each in one.attributes}
        for one in found
        if isinstance(one, Disclosure)
    ]
    withheld, released = {Effect.WITHHOLD}, {Effect.RELEASE}
    assert [released, withheld, withheld, withheld] == effects


def invented(world: World, number: int) -> AccessRequest:
    """A request about an identity number that is nobody's."""
    value = person_values(number)[NUMBER]
    return replace(
        world.request("nobody", *ADDRESS),
        person=ByIdentifier(attribute=NUMBER, value=value),
    )


@pytest.mark.parametrize("spelled", ["{}", " {}"])
def test_copies_of_a_name_do_not_tell_who_is_like_it(
    world: World, spelled: str
) -> None:
    """Four parts of 63 copies and the one listened for: no ruling is saved.

    Were they shared, the count would be 4 where the two are alike and 8
    where they are not; now the two counts differ by one at most.
    """
    platform = world.platform
    counts: list[int] = []
    for name in ("consenting", "nobody"):
        counting = platform.gate._pdp = Counting(platform.pdp)
        copy = invented(world, 978)
        other = replace(
            copy,
            person=ByIdentifier(
                attribute=NUMBER,
                value=spelled.format(person_values(978)[NUMBER]),
            ),
        )
        part = [copy, *[other] * 62, world.request(name, *ADDRESS)]
        world.run(platform.batch.disclose(part * 4))
        counts.append(counting.count)

    assert [256, 255] == counts


def test_no_ruling_serves_under_another_bundle(world: World) -> None:
    """Policies that change within a part decide what comes after them."""
    platform = world.platform

    class Swapping(Counting):
        """Has another revision after each decision."""

        def after(self) -> None:
            self.revision = str(self.count)

    swapping = platform.gate._pdp = Swapping(platform.pdp)
    world.run(platform.batch.disclose([world.request("consenting")] * 3))

    assert 3 == swapping.count


def test_a_change_between_decision_and_entry_decides_again(
    world: World,
) -> None:
    """Who withdraws after the decision gets nothing; others lose nothing."""
    platform = world.platform

    class Racing(Counting):
        """Lets a withdrawal land right after the first decision."""

        def after(self) -> None:
            if self.count == 1:
                with platform.data.begin() as conn:
                    platform.consents.bump(conn, world.cast["limited"])
                    platform.consents.bump(conn, world.cast["consenting"])
                    conn.execute(
                        text("DELETE FROM consent_event WHERE subject = :who"),
                        {
                            "who": world.cast["consenting"].hex
                            if platform.data.dialect.name == "sqlite"
                            else world.cast["consenting"]
                        },
                    )
                    platform.vouching.person(conn, world.cast["consenting"])

    platform.gate._pdp = Racing(platform.pdp)
    asked = [world.request(one, STREET) for one in ("consenting", "limited")]

    found = world.run(platform.batch.disclose(asked))

    effects = [
        one.attributes[0].effect
        for one in found
        if isinstance(one, Disclosure)
    ]
    assert [Effect.WITHHOLD, Effect.RELEASE] == effects


def test_uses_are_counted_one_by_one(world: World) -> None:
    """Of a person named seven times, two leave where two may."""
    platform = world.platform
    terms = Terms(uses=2)
    rule = Rule(id="mine", behavior=Behavior.ALLOW, terms=terms)
    platform.registrar.enter_forms_now(
        [
            Form(
                subject=world.cast["consenting"],
                answers=(),
                preferences=Preferences(rules=(rule,)),
            )
        ]
    )

    found = world.run(
        platform.batch.disclose([world.request("consenting", STREET)] * 7)
    )

    effects = [
        one.attributes[0].effect
        for one in found
        if isinstance(one, Disclosure)
    ]
    assert [Effect.RELEASE] * 2 + [Effect.WITHHOLD] * 5 == effects


def test_each_decision_replays(world: World) -> None:
    """What was decided for another too is stored as each one's own."""
    platform = world.platform

    async def story() -> None:
        asked = [
            world.request(name, *ADDRESS)
            for name in ("consenting", "limited", "consenting")
        ]
        names = ("consenting", "limited", "consenting")
        found = await platform.batch.disclose(asked)
        for name, one in zip(names, found, strict=True):
            assert isinstance(one, Disclosure)
            again = await platform.replay.replay(
                platform.pdp, one.decision, world.cast[name]
            )
            assert () == again.differs

    world.run(story())


def test_a_request_alone_is_let_in_between(world: World) -> None:
    """Somebody who asks during a batch waits for a part of it at most."""
    platform = world.platform
    order: list[str] = []

    async def many() -> None:
        await platform.batch.disclose([world.request("consenting")] * 600)
        order.append("batch")

    async def alone() -> None:
        await asyncio.sleep(0.01)
        await platform.gate.disclose(world.request("consenting"))
        order.append("alone")

    async def both() -> None:
        await asyncio.gather(many(), alone())

    world.run(both())
    assert ["alone", "batch"] == order


@pytest.mark.parametrize("count", [0, MOST_PEOPLE + 1])
def test_the_gate_itself_bounds_a_batch(world: World, count: int) -> None:
    """Nobody and more than a thousand are refused."""
    with pytest.raises(RequestInvalid):
        world.run(
            world.platform.batch.disclose([world.request("nobody")] * count)
        )


def altered_rules(world: World, name: str) -> None:
    """Somebody edits a person's stored rules in the database."""
    world.platform.registrar.enter_forms_now(
        [
            Form(
                subject=world.cast[name],
                answers=(),
                preferences=Preferences(
                    rules=(Rule(id="mine", behavior=Behavior.ALLOW),)
                ),
            )
        ]
    )
    with world.platform.data.begin() as conn:
        assert conn.execute(
            text("UPDATE consent_preferences SET text = '{}'")
        ).rowcount


def altered_record(world: World, name: str) -> None:
    """The number of an attribute becomes a letter, in the file itself.

    PostgreSQL keeps no value of another type: there it is the rules again.
    """
    if world.platform.data.dialect.name != "sqlite":
        altered_rules(world, name)
        return
    with world.platform.data.begin() as conn:
        assert conn.execute(
            text(
                "UPDATE vault_value SET attribute = 'x' WHERE subject = :who "
                "AND attribute = (SELECT MAX(attribute) FROM vault_value "
                "WHERE subject = :who)"
            ),
            {"who": world.cast[name].hex},
        ).rowcount


@pytest.mark.parametrize("alter", [altered_rules, altered_record])
@pytest.mark.parametrize("together", ["batch", "round"])
def test_one_bad_row_is_one_persons(
    world: World, together: str, alter: Callable[[World, str], None]
) -> None:
    """Batch and round tell each what the gate tells them alone."""
    platform = world.platform
    alter(world, "limited")
    asked = [world.request(name, *ADDRESS) for name in EVERYBODY]

    async def alone(request: AccessRequest) -> object:
        return await platform.gate.disclose(request)

    async def story() -> None:
        expected = await asyncio.gather(
            *map(alone, asked), return_exceptions=True
        )
        found: list[object] = (
            [*await platform.batch.disclose(asked)]
            if together == "batch"
            else await asyncio.gather(
                *map(platform.rounds.disclose, asked), return_exceptions=True
            )
        )
        assert [*map(heard, expected)] == [*map(heard, found)]
        assert 1 == sum(not isinstance(one, Disclosure) for one in found)

    world.run(story())


def test_a_fault_at_the_entries_is_looked_for_one_by_one(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever one person's check says, the others are answered."""
    platform = world.platform
    real = platform.consents.revisions

    def wrong(conn: Connection, people: Sequence[UUID]) -> list[int]:
        if world.cast["limited"] in people:
            raise PreferencesInvalid
        return real(conn, people)

    monkeypatch.setattr(platform.consents, "revisions", wrong)
    asked = [world.request(name, STREET) for name in ("consenting", "limited")]

    found = world.run(platform.batch.disclose(asked))

    assert all(isinstance(one, Disclosure) for one in found)


def heard(outcome: object) -> object:
    """An outcome without what is of the moment."""
    if isinstance(outcome, Disclosure):
        return outcome.attributes, outcome.guidance
    return type(outcome)


class Dead(Counting):
    """Times out about everybody."""

    def after(self) -> None:
        """Give no answer."""
        raise NoDecision(Cause.TIMEOUT)


def test_a_dead_engine_is_waited_for_once(world: World) -> None:
    """Of 200 people one a part under way is asked about; all are entered."""
    platform = world.platform
    dead = platform.gate._pdp = Dead(platform.pdp)
    before, commits = platform.ledger.size(), 0

    def count(_: object) -> None:
        nonlocal commits
        commits += 1

    event.listen(platform.data, "commit", count)
    found = world.run(
        platform.batch.disclose([world.request("consenting")] * 200)
    )

    assert {Cause.TIMEOUT} == {
        one.cause for one in found if isinstance(one, NoDecision)
    }
    assert 200 == len(found)
    assert dead.count <= 2
    assert before + 200 == platform.ledger.size()
    # Each is looked up once; entries one by one would be as many again.
    assert commits < 300


def test_another_cause_ends_nobody_elses(world: World) -> None:
    """What the policies did not define about one is decided of the rest."""
    platform = world.platform

    class Undefined(Counting):
        """Has no decision about the first."""

        def after(self) -> None:
            if self.count == 1:
                raise NoDecision(Cause.UNDEFINED)

    platform.gate._pdp = Undefined(platform.pdp)
    asked = [world.request(one, STREET) for one in ("refusing", "consenting")]

    found = world.run(platform.batch.disclose(asked))

    assert isinstance(found[0], NoDecision)
    assert isinstance(found[1], Disclosure)


@pytest.mark.parametrize("together", ["batch", "round"])
def test_a_walk_that_takes_too_long_opens_nothing(
    world: World, together: str
) -> None:
    """No grant is too old when it is used: who is left has no decision."""
    platform = world.platform

    class Slow(Counting):
        """Takes longer than a grant is good for."""

        def after(self) -> None:
            world.clock.now += 100

    slow = platform.gate._pdp = Slow(platform.pdp)
    before = platform.ledger.size()
    asked = [world.request(one) for one in ("consenting", "limited", "nobody")]

    found = world.run(
        platform.batch.disclose(asked)
        if together == "batch"
        else platform.batch.walk(asked)
    )

    assert [Cause.TIMEOUT] * 3 == [
        one.cause for one in found if isinstance(one, NoDecision)
    ]
    assert 1 <= slow.count <= 3
    assert before + 3 == platform.ledger.size()
