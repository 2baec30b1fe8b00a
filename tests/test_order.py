"""Exactly what was said last, and no order where none must matter."""

import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    PRESETS,
    ConsentEvent,
    EventType,
    states,
)
from policy import Answer, Effect, RestraintKind
from tests.test_records import ANSWERS, answer, some_attributes
from tests.test_records import events as logs
from tests.worlds import (
    ADDRESS,
    BIRTH,
    EVERYTHING,
    MOBILE,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)


@given(
    log=logs,
    attributes=some_attributes,
    gone=st.sampled_from([EventType.WITHDRAWN, EventType.REFUSED]),
)
def test_after_revoke_then_grant_x_exactly_x_stands(
    log: list[ConsentEvent],
    attributes: tuple[str, ...],
    gone: EventType,
) -> None:
    """Whatever was said before, nothing of it is added to the new yes."""
    asked = {event.statement for event in log} or {"s1"}
    for statement in asked:
        after = [
            *log,
            answer(gone, 50, statement=statement),
            answer(
                EventType.GIVEN,
                51,
                statement=statement,
                attributes=attributes,
                expires_at=None,
            ),
        ]
        found = states(after, 60)[statement]
        assert found.state is EventType.GIVEN
        assert set(attributes) == set(found.attributes)


@given(
    first=st.lists(
        st.tuples(st.sampled_from(ANSWERS), st.integers(0, 20)), max_size=5
    ),
    second=st.lists(
        st.tuples(st.sampled_from(ANSWERS), st.integers(0, 20)), max_size=5
    ),
    draw=st.randoms(use_true_random=False),
)
def test_answers_to_two_statements_may_come_in_any_order(
    first: list[tuple[EventType, int]],
    second: list[tuple[EventType, int]],
    draw: object,
) -> None:
    """What one statement means does not depend on the other's answers."""
    one = [answer(kind, at, statement="s1") for kind, at in first]
    two = [answer(kind, at, statement="s2") for kind, at in second]
    places = [0] * len(one) + [1] * len(two)
    draw.shuffle(places)  # type: ignore[attr-defined] # hypothesis' own random
    sources = (iter(one), iter(two))
    mixed = [next(sources[place]) for place in places]
    apart = states(one, 30) | states(two, 30)
    assert apart == states(mixed, 30)


ACTS = ("answer", "prefer", "object", "signal")
ORDERS = tuple(itertools.permutations(ACTS))


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with one person for each order."""
    with build_world(tmp_path / "home", extra=len(ORDERS)) as made:
        yield made


async def act(world: World, name: str, what: str) -> None:
    """Do one of the four things that somebody decides on."""
    door, caller = world.platform.person, world.caller(name)
    subject = world.cast[name]
    if what == "answer":
        served = await world.platform.consent_desk.serve(
            caller, subject, SERVICE, PURPOSE, "address", "en"
        )
        await door.answer(
            caller,
            subject,
            Answer(
                service=SERVICE,
                purpose=PURPOSE,
                statement="address",
                type=EventType.GIVEN,
                attributes=(*ADDRESS, BIRTH, MOBILE),
                declaration=world.declaration.digest,
                notice=served.notice,
                language="en",
                served=served.digest,
            ),
        )
    elif what == "prefer":
        await door.prefer(caller, subject, PRESETS["only-needed"], expected=0)
    elif what == "object":
        await door.restrain(
            caller, subject, RestraintKind.OBJECTION, purpose="historical"
        )
    else:
        await door.signal(caller, subject, "gpc", "GET /me/rules")


def test_what_somebody_decides_may_come_in_any_order(world: World) -> None:
    """Consent, rules, an objection and a signal: 24 orders, one outcome."""

    async def one(name: str, order: Sequence[str]) -> dict[str, object]:
        for what in order:
            await act(world, name, what)
        made = await world.platform.gate.disclose(
            world.request(name, *EVERYTHING)
        )
        [entry] = await world.platform.person.own_uses(
            world.caller(name), world.cast[name], before=None, limit=1
        )
        found = {each.attribute: each.effect for each in made.attributes}
        return {"effects": found, "reasons": entry.detail["attributes"]}

    async def story() -> list[dict[str, object]]:
        return [
            await one(f"extra-{n}", order) for n, order in enumerate(ORDERS)
        ]

    first, *others = world.run(story())
    assert all(first == other for other in others)
    effects = first["effects"]
    assert isinstance(effects, dict)
    assert effects[ADDRESS[0]] is Effect.RELEASE
    assert effects[MOBILE] is Effect.WITHHOLD
