"""Retention: values go by their day, once, and never under a hold."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from policy import Retention, standard_classification
from tests.databases import KINDS, Kind
from tests.test_holding import held, merge
from tests.worlds import (
    BIRTH,
    CITY,
    CODE,
    MOBILE,
    OFFICER,
    STREET,
    World,
    build_world,
)
from vault import RetentionDays

DAY = 86_400


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An instance with its cast, on each database."""
    kind = Kind(request.param)
    with build_world(tmp_path / "home", database=kind) as made:
        yield made


def test_nothing_is_due_before_its_day(world: World) -> None:
    """90 days are declared for an address, 1825 for what counting needs."""
    retention = world.platform.retention
    assert (90, 90, 1825) == tuple(
        retention.periods()[name] for name in (STREET, CODE, BIRTH)
    )
    world.clock.now += 89 * DAY
    assert [] == list(retention.due())
    world.clock.now += DAY
    due = {one.subject: one for one in retention.due()}
    assert tuple(sorted((STREET, CITY, CODE, MOBILE))) == (
        due[world.cast["consenting"]].attributes
    )


def test_what_is_due_goes_and_the_rest_stays(world: World) -> None:
    """Value, history and index go; one entry names them to the person."""
    platform, subject = world.platform, world.cast["consenting"]
    before = platform.vault.holding(subject).present
    world.clock.now += 90 * DAY
    for one in platform.retention.due():
        assert platform.retention.delete(one) is not None

    after = platform.vault.holding(subject).present
    assert {STREET, CITY, CODE, MOBILE} == before - after
    assert [] == list(platform.retention.due())
    assert [] == list(platform.vault.verify())
    key = platform.vault.log_key(platform.vault.holding(subject))
    last = platform.ledger.own_entries(key)[0]
    assert ("retention-ended", {STREET, CITY, CODE, MOBILE}) == (
        last.outcome,
        set(last.attributes),
    )


def test_a_run_that_was_stopped_goes_on(world: World) -> None:
    """Each person is one transaction; what is done is not due again."""
    retention = world.platform.retention
    world.clock.now += 90 * DAY
    everyone = list(retention.due())
    for one in everyone[:3]:
        retention.delete(one)
    left = list(retention.due())
    assert everyone[3:] == left


def test_people_under_a_hold_are_passed_over(world: World) -> None:
    """They stay due, and are named as held."""
    held(world, "consenting")
    retention = world.platform.retention
    world.clock.now += 90 * DAY
    (found,) = [one for one in retention.due() if one.held]
    assert world.cast["consenting"] == found.subject
    assert None is retention.delete(found)
    assert STREET in world.platform.vault.holding(found.subject).present


def test_a_correction_begins_the_time_anew(world: World) -> None:
    """The day is that of the newest value."""
    world.clock.now += 80 * DAY
    world.run(
        world.platform.registrar.correct(
            OFFICER,
            world.cast["consenting"],
            {STREET: "2 New Street"},
            source="desk",
        )
    )
    world.clock.now += 10 * DAY
    due = {one.subject: one for one in world.platform.retention.due()}
    assert STREET not in due[world.cast["consenting"]].attributes
    assert CITY in due[world.cast["consenting"]].attributes


def test_the_law_goes_before_a_declaration(world: World) -> None:
    """A legal period stands in the place of what is declared."""
    known = standard_classification()
    platform = world.platform
    retention = Retention(
        transactions=platform.transactions,
        vault=platform.vault,
        days=RetentionDays(engine=platform.data, tenant="test"),
        consents=platform.consents,
        ledger=platform.ledger,
        classification={
            **known,
            STREET: replace(known[STREET], legal_days=3650),
        },
        clock=world.clock,
        random=platform.random,
    )
    assert 3650 == retention.periods()[STREET]


def test_an_erasure_takes_the_days_along(world: World) -> None:
    """Nothing of an erased person is ever due."""
    world.clock.now += 3650 * DAY
    subjects = {one.subject for one in world.platform.retention.due()}
    assert world.cast["erased"] not in subjects
    assert world.cast["limited"] in subjects


def test_each_merged_record_loses_its_own(world: World) -> None:
    """Neither keeps what the other lost; the person sees both entries."""
    platform = world.platform
    world.clock.now += 30 * DAY
    world.run(
        platform.registrar.correct(
            OFFICER,
            world.cast["consenting"],
            {STREET: "2 New Street"},
            source="desk",
        )
    )
    merge(world, "consenting", "refusing")
    one, other = world.cast["consenting"], world.cast["refusing"]
    world.clock.now += 60 * DAY
    due = {each.subject: each for each in platform.retention.due()}
    assert STREET not in due[one].attributes
    assert STREET in due[other].attributes
    for each in due.values():
        assert platform.retention.delete(each) is not None

    assert CITY not in platform.vault.holding(one).present
    assert STREET in platform.vault.own_holding(one).present
    assert STREET not in platform.vault.own_holding(other).present
    assert [] == list(platform.vault.verify())
    for subject in (one, other):
        key = platform.vault.log_key(platform.vault.own_holding(subject))
        last = platform.ledger.own_entries(key)[0]
        assert "retention-ended" == last.outcome
    uses = world.run(
        platform.person.own_uses(
            world.caller("consenting"), one, before=None, limit=50
        )
    )
    assert 2 == sum(each.outcome == "retention-ended" for each in uses)


@pytest.mark.parametrize("on", ["consenting", "refusing"])
def test_a_hold_on_one_record_keeps_the_values_of_all(
    world: World, on: str
) -> None:
    """Also one that came between the list and the deletion."""
    retention = world.platform.retention
    merge(world, "consenting", "refusing")
    world.clock.now += 90 * DAY
    both = {world.cast[name] for name in ("consenting", "refusing")}
    before = [one for one in retention.due() if one.subject in both]
    held(world, on)
    after = [one for one in retention.due() if one.subject in both]

    assert both == {one.subject for one in before}
    assert {True} == {one.held for one in after}
    assert {None} == {retention.delete(one) for one in (*before, *after)}
    for subject in both:
        assert STREET in world.platform.vault.own_holding(subject).present
