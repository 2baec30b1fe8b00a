"""The cohort of an extract: read for many at a time, and the same as one."""

import asyncio
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import (
    PRESETS,
    Answered,
    ConsentEvent,
    EventType,
    StoredPreferences,
    Uses,
    carried,
    load_yaml,
    states,
)
from consent.many import LIKENESS
from policy import (
    AccessRequest,
    ById,
    FactSource,
    RestraintKind,
    RestraintStore,
)
from policy.cohort import Cohort, CohortSource
from policy.facts import Facts, Gathered
from policy.pdp import Cause, NoDecision
from tests.databases import Kind
from tests.worlds import (
    ADDRESS,
    BIRTH,
    DECLARATION,
    MOBILE,
    OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)

COLUMNS = (*ADDRESS, MOBILE, BIRTH)
NOW = 1_000


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[World]:
    """An instance with its cast and some more people, two of them merged."""
    home = tmp_path_factory.mktemp("cohort") / "home"
    with build_world(home, extra=12, database=database) as made:
        give(made, *(f"extra-{number}" for number in range(9)))
        restrain(made, "extra-3", RestraintKind.OBJECTION)
        restrain(made, "extra-4", RestraintKind.SIGNAL)
        count_use(made, "extra-5")
        yield made


def give(world: World, *names: str) -> None:
    """Let some say yes, each at an instant of their own."""
    for name in names:
        world.clock.now += 1
        with world.platform.data.begin() as conn:
            event = world.event(name, EventType.GIVEN)
            world.platform.consents.record(conn, event)


def restrain(world: World, name: str, kind: RestraintKind) -> None:
    """Impose a restraint beside the gate."""
    store = RestraintStore(
        tenant="test",
        engine=world.platform.data,
        consents=world.platform.consents,
        random=world.platform.random,
    )
    with world.platform.data.begin() as conn:
        store.impose(
            conn, world.cast[name], kind, purpose=PURPOSE, now=world.clock()
        )


def count_use(world: World, name: str) -> None:
    """Count a use under a rule of somebody's."""
    with world.platform.data.begin() as conn:
        world.platform.consents.take_use(
            conn,
            world.cast[name],
            SERVICE,
            PURPOSE,
            rules=["once"],
            now=world.clock(),
        )


def source_of(world: World) -> tuple[FactSource, CohortSource]:
    """What the release desk reads with."""
    found = world.platform.releases._cohorts
    return found._facts, found


def request_of(world: World, who: UUID) -> AccessRequest:
    """What a release asks about somebody."""
    return source_of(world)[1]._request(SERVICE, PURPOSE, COLUMNS, who)


def gather(world: World) -> Cohort:
    """Gather the cohort of the moving-house service."""
    return asyncio.run(
        source_of(world)[1].gather(
            SERVICE,
            PURPOSE,
            COLUMNS,
            now=world.clock(),
            bundle=world.platform.pdp.revision,
            progress=lambda _people: None,
        )
    )


def read_both(world: World) -> list[tuple[Facts, Gathered]]:
    """Read everybody's facts alone, and together."""
    facts, _ = source_of(world)
    people = [*world.platform.vault.subjects()]
    asked = request_of(world, people[0])
    present = frozenset(COLUMNS)
    with world.platform.data.connect() as conn:
        together = [
            *facts.about_many(
                conn, people, asked, world.clock(), present=present
            )
        ]
        alone = [
            facts.about(
                conn, who, asked, world.clock(), known=True, present=present
            )
            for who in people
        ]
    assert people == [one.subject for one in together]
    return [*zip(alone, together, strict=True)]


def document(world: World, facts: Facts) -> str:
    """The document that would be decided on, ids of events apart."""
    source, _ = source_of(world)
    asked = request_of(world, uuid4())
    made = source.input_document(asked, facts, max(world.clock(), facts.since))
    for one in made["consents"]:
        one["event"] = ""
    return json.dumps(made, sort_keys=True)


def test_facts_of_many_are_those_of_each(world: World) -> None:
    """Answers, rules, restraints and uses; the revision alone is not read."""
    pairs = read_both(world)

    for alone, together in pairs:
        assert together.facts() == replace(alone, revision=-1)
    assert any(alone.restraints.restricted for alone, _ in pairs)
    assert any(alone.restraints.objected for alone, _ in pairs)
    assert any(alone.restraints.signalled for alone, _ in pairs)
    assert any(alone.uses for alone, _ in pairs)
    assert {0, 1} == {alone.preferences for alone, _ in pairs}
    assert {0, 1, 2} == {len(alone.events) for alone, _ in pairs}


def test_people_who_are_alike_have_one_document(world: World) -> None:
    """Equal keys, equal documents; people who answered apart share keys."""
    made: dict[Any, set[str]] = {}
    people = read_both(world)
    for alone, together in people:
        key = together.likeness(world.clock())
        made.setdefault(key, set()).add(document(world, alone))

    assert {1} == {len(found) for found in made.values()}
    assert len(made) < len(people) / 2


def test_each_document_is_decided_once(world: World) -> None:
    """As many decisions as there are documents, not as there are people."""
    documents = {document(world, alone) for alone, _ in read_both(world)}
    facts = source_of(world)[0]
    asked: list[object] = []

    class Counting:
        async def decide(self, entrypoint: str, given: Any) -> Any:  # noqa: ANN401 - JSON
            asked.append(given)
            return await world.platform.pdp.decide(entrypoint, given)

    counting = CohortSource(
        tenant="test",
        engine=world.platform.data,
        vault=world.platform.vault,
        facts=facts,
        pdp=Counting(),
    )
    found = asyncio.run(
        counting.gather(
            SERVICE,
            PURPOSE,
            COLUMNS,
            now=world.clock(),
            bundle=world.platform.pdp.revision,
            progress=lambda _people: None,
        )
    )

    assert found == gather(world)
    assert len(asked) == len(documents) < len(found.subjects) + found.left_out


def test_policies_that_change_on_the_way_select_nobody(world: World) -> None:
    """A cohort is decided under one bundle, the one of its terms."""
    asked: list[object] = []

    class Swapped:
        async def decide(self, entrypoint: str, given: Any) -> Any:  # noqa: ANN401 - JSON
            asked.append(given)
            ruling = await world.platform.pdp.decide(entrypoint, given)
            return ruling if len(asked) == 1 else replace(ruling, revision="n")

    own = source_of(world)[1]
    source = CohortSource(
        tenant=own._tenant,
        engine=own._engine,
        vault=own._vault,
        facts=own._facts,
        pdp=Swapped(),  # type: ignore[arg-type] # nobody asks for its revision
    )
    with pytest.raises(NoDecision) as raised:
        asyncio.run(
            source.gather(
                SERVICE,
                PURPOSE,
                COLUMNS,
                now=world.clock(),
                bundle=world.platform.pdp.revision,
                progress=lambda _people: None,
            )
        )

    assert Cause.WRONG_REVISION == raised.value.cause
    assert 2 == len(asked)


def test_who_is_in_the_cohort(world: World) -> None:
    """Who said yes and not no since, and is not restricted."""
    names = {subject: name for name, subject in world.cast.items()}
    within = {names[one] for one in gather(world).subjects}

    assert {"consenting", "valueless", "extra-0"} <= within
    assert set() == within & {
        "silent",
        "refusing",
        "withdrawn",
        "erased",
        "restricted",
        "extra-9",
    }


def test_what_was_said_of_a_merged_record_counts(world: World) -> None:
    """Who is restricted on a record that is read with theirs stays out."""
    platform, cast = world.platform, world.cast
    assert {cast["extra-6"], cast["extra-7"]} <= {*gather(world).subjects}

    asyncio.run(
        platform.records.merge(
            OFFICER, cast["extra-6"], cast["extra-7"], justification="one"
        )
    )
    assert cast["extra-6"] in gather(world).subjects
    assert cast["extra-7"] not in gather(world).subjects

    restrain(world, "extra-7", RestraintKind.RESTRICTION)
    assert cast["extra-6"] not in gather(world).subjects


# --- the key, by itself


DECLARED = load_yaml(DECLARATION.encode(), where="test")
ATTRIBUTES = DECLARED.statements[0].attributes
EVENTS = st.lists(
    st.tuples(
        st.sampled_from(EventType),
        st.integers(NOW - 4, NOW),
        st.sampled_from([None, NOW - 2, NOW, NOW + 5]),
        st.sampled_from(["address", "other"]),
        st.sampled_from([ATTRIBUTES, ATTRIBUTES[:3]]),
    ),
    max_size=4,
)


def answered(rows: Sequence[Sequence[Any]]) -> tuple[Answered, Any]:
    """Make what would be read of somebody with these events, and them."""
    events = [
        ConsentEvent(
            id=uuid4(),
            subject=uuid4(),
            service=SERVICE,
            purpose=PURPOSE,
            statement=statement,
            declaration=DECLARED.digest,
            notice="",
            language="en",
            type=kind,
            attributes=tuple(attributes),
            at=at,
            expires_at=ends,
        )
        for kind, at, ends, statement, attributes in rows
    ]
    stored = StoredPreferences(version=0, preferences=PRESETS["careful"])
    read = [
        (
            one.statement,
            one.declaration,
            one.type.value,
            " ".join(one.attributes),
            one.at,
            one.expires_at,
        )
        for one in events
    ]
    return Answered(uuid4(), read, stored, {}), events


def meaning(events: Sequence[ConsentEvent], now: int) -> Any:  # noqa: ANN401 - compared only
    """What answers mean, but for ids and the instants they began at."""
    found = carried(states(events, now), DECLARED, lambda _digest: DECLARED)
    return {
        name: (one.state, one.attributes, one.until)
        for name, one in found.items()
    }


@settings(max_examples=400, deadline=None)
@given(rows=EVENTS, shift=st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_equal_keys_have_equal_meaning(
    rows: list[tuple[Any, ...]], shift: list[int]
) -> None:
    """Instants may move as long as the key does not say that they did."""
    moved = [
        (kind, at - by, *rest)
        for (kind, at, *rest), by in zip(rows, shift, strict=False)
    ]
    (one, events), (other, others) = answered(rows), answered(moved)

    for now in (NOW, NOW + 3):
        if one.likeness() == other.likeness():
            assert meaning(events, now) == meaning(others, now)


def test_the_key_tells_what_decides_apart() -> None:
    """Another state, attribute, statement, order or end is another key."""
    yes = (EventType.GIVEN, NOW - 2, None, "address", ATTRIBUTES)
    no = (EventType.WITHDRAWN, NOW - 1, None, "address", ())
    late = (EventType.WITHDRAWN, NOW - 3, None, "address", ())
    less = (EventType.GIVEN, NOW - 2, None, "address", ATTRIBUTES[:3])
    ends = (EventType.GIVEN, NOW - 2, NOW + 9, "address", ATTRIBUTES)
    logs = [[], [yes], [yes, no], [yes, late], [no, yes], [less], [ends]]

    for one, other in product(logs, logs):
        same = answered(one)[0].likeness() == answered(other)[0].likeness()
        assert same == (one == other)
    earlier = [(yes[0], yes[1] - 50, *yes[2:]), (no[0], no[1] - 20, *no[2:])]
    assert answered(earlier)[0].likeness() == answered([yes, no])[0].likeness()
    assert ("statement", "declaration", "type", "attributes") == LIKENESS


def test_uses_and_clock_are_in_the_key(world: World) -> None:
    """Whose uses were counted, or whose answer is of later, stands apart."""
    _, read = read_both(world)[0]
    used = read._replace(
        answered=read.answered._replace(
            uses={"once": Uses(total=1, recent=(5,))}
        )
    )

    assert read.likeness(NOW * NOW) == read.likeness(NOW * NOW)
    assert read.likeness(NOW * NOW) != used.likeness(NOW * NOW)
    assert ById(subject=read.subject) == request_of(world, read.subject).person
