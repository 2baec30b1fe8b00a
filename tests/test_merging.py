"""Two records read as one, and apart again as if it had never been."""

import json
import uuid
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select, update

from tests.test_vault import ADA, World, sqlite_world, world
from vault import (
    CryptoFailure,
    DuplicateIdentifier,
    MergedSubject,
    UnknownSubject,
    VaultError,
)
from vault.places import ABSORBED, ALIAS
from vault.tables import HISTORY, SUBJECT, VALUE

__all__ = ["sqlite_world", "world"]

CITY, GENDER, AGE = (
    "user.home-info.postal.city",
    "user.gender",
    "user.age",
)
EMAIL, CARD = "user.home-info.online.email", "user.identifier.card"
BOB = {CITY: "Leeds", AGE: "41", EMAIL: "bob@example.org"}


def merge(world: World, survivor: uuid.UUID, absorbed: uuid.UUID) -> None:
    """Merge in a transaction of its own."""
    with world.data.begin() as conn:
        world.vault.merge(conn, survivor, absorbed)


def unmerge(world: World, survivor: uuid.UUID, absorbed: uuid.UUID) -> None:
    """Unmerge in a transaction of its own."""
    with world.data.begin() as conn:
        world.vault.unmerge(conn, survivor, absorbed)


def exported(world: World, *people: uuid.UUID) -> list[bytes]:
    """Canonical exports."""
    return [world.vault.export(world.grant(who)) for who in people]


def test_a_merged_person_is_read_as_one(world: World) -> None:
    """Either id gives the survivor, and what only the other holds."""
    ada, bob = world.person(), world.person(BOB)
    merge(world, ada, bob)

    expected = BOB | ADA | {EMAIL: "Ada@example.org"}
    for who in (ada, bob):
        holding = world.vault.holding(who)
        assert (ada, True) == (holding.subject, holding.known)
        assert set(expected) == holding.present
        assert expected == world.read(who)
    assert {ada: expected} == dict(world.vault.read_many([world.grant(ada)]))
    records = world.vault.records(world.grant(ada), world.vault.holding(ada))
    assert expected == {name: one.value for name, one in records.items()}
    (age,) = world.vault.history(world.grant(ada), AGE)
    assert "41" == age.value
    now = world.vault.as_of(
        world.grant(bob), valid_at=world.now, known_at=world.now
    )
    assert expected == {name: one.value for name, one in now.items()}
    assert [ada] == list(world.vault.subjects())
    assert (ada, bob) == world.vault.members(bob)
    assert [] == list(world.vault.verify())


def test_every_identifier_leads_to_the_survivor(world: World) -> None:
    """Those of either record, and still none to two."""
    ada, bob = world.person(), world.person(BOB)
    with world.data.begin() as conn:
        world.vault.link(conn, bob, (CARD, "C-2"), source="desk")
    merge(world, ada, bob)

    for identifier in (
        (EMAIL, ADA[EMAIL]),
        (EMAIL, BOB[EMAIL]),
        (CARD, "C-2"),
    ):
        assert ada == world.vault.look_up.find(*identifier)
    assert [
        (EMAIL, "Ada@example.org"),
        (EMAIL, "bob@example.org"),
        ("user.identity.number", ADA["user.identity.number"]),
        (CARD, "C-2"),
    ] == world.vault.identifiers(world.grant(bob))
    with pytest.raises(DuplicateIdentifier):
        world.person({EMAIL: BOB[EMAIL]})
    unmerge(world, ada, bob)
    assert bob == world.vault.look_up.find(CARD, "C-2")


def test_parted_records_are_as_they_were(world: World) -> None:
    """Both exports are the same bytes as before."""
    ada, bob = world.person(), world.person(BOB)
    world.put(bob, {CITY: "York"})
    before = exported(world, ada, bob)
    merge(world, ada, bob)
    joined = exported(world, ada)
    unmerge(world, ada, bob)

    assert before == exported(world, ada, bob)
    assert [
        record for one in before for record in json.loads(one)["records"]
    ] == json.loads(joined[0])["records"]
    assert [] == list(world.vault.verify())


def test_a_merged_record_takes_no_writes(world: World) -> None:
    """Writes go to the survivor, and stay there."""
    ada, bob = world.person(), world.person(BOB)
    merge(world, ada, bob)
    for write in (
        lambda: world.put(bob, {CITY: "Hull"}),
        lambda: merge(world, bob, world.person({AGE: "7"})),
        lambda: merge(world, world.person({AGE: "8"}), bob),
    ):
        with pytest.raises(MergedSubject):
            write()
    world.put(ada, {AGE: "42"})

    assert "42" == world.read(bob)[AGE]
    unmerge(world, ada, bob)
    assert ("42", "41") == (world.read(ada)[AGE], world.read(bob)[AGE])


def test_what_cannot_be_merged_or_parted(world: World) -> None:
    """Oneself, strangers, the erased, the decoy; what is not merged."""
    ada, bob, eve = world.person(), world.person(BOB), world.person({AGE: "1"})
    with pytest.raises(MergedSubject):
        merge(world, ada, ada)
    for pair in ((ada, uuid.uuid4()), (uuid.uuid4(), ada)):
        with pytest.raises(UnknownSubject):
            merge(world, *pair)
    for pair in ((ada, world.vault.decoy()), (world.vault.decoy(), ada)):
        with pytest.raises(UnknownSubject):
            merge(world, *pair)
    merge(world, ada, bob)
    for pair in ((bob, ada), (ada, eve), (eve, bob), (ada, ada)):
        with pytest.raises(MergedSubject):
            unmerge(world, *pair)


def test_merges_of_merges_come_apart_one_by_one(world: World) -> None:
    """Whoever was merged brings along those merged into them."""
    ada, bob, eve = world.person(), world.person(BOB), world.person({AGE: "1"})
    zoe = world.person({"user.race": "x"})
    before = exported(world, ada, bob, eve, zoe)
    merge(world, bob, eve)
    between = exported(world, bob)
    merge(world, ada, bob)
    merge(world, ada, zoe)

    for who in (ada, bob, eve, zoe):
        assert ada == world.vault.holding(who).subject
        assert (ada, bob, eve, zoe) == world.vault.members(who)
    assert "41" == world.read(eve)[AGE]
    assert "x" == world.read(eve)["user.race"]
    unmerge(world, ada, bob)
    assert between == exported(world, bob)
    assert (ada, zoe) == world.vault.members(ada)
    assert bob == world.vault.holding(eve).subject
    unmerge(world, ada, zoe)
    unmerge(world, bob, eve)
    assert before == exported(world, ada, bob, eve, zoe)
    assert [] == list(world.vault.verify())


SHAPES = ["chain", "star"]
STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("put"),
            st.integers(0, 2),
            st.sampled_from([CITY, AGE]),
            st.integers(0, 99),
        ),
        st.tuples(st.just("drop"), st.integers(0, 2), st.just(CITY)),
        st.tuples(st.just("link"), st.integers(0, 2), st.integers(0, 5)),
        st.tuples(st.just("unlink"), st.integers(0, 2), st.integers(0, 5)),
        st.tuples(st.just("dispute"), st.integers(0, 2)),
    ),
    max_size=12,
)


def act(world: World, people: list[uuid.UUID], step: tuple) -> None:
    """Do one thing to one of three people, if it can be done."""
    kind, who, *rest = step
    subject = people[who]
    world.now += 1
    try:
        with world.data.begin() as conn:
            if kind == "put":
                values = {rest[0]: str(rest[1])}
                world.vault.put(conn, subject, values, source="desk")
            elif kind == "drop":
                world.vault.drop(conn, subject, [rest[0]])
            elif kind == "link":
                card = (CARD, f"C-{rest[0]}")
                world.vault.link(conn, subject, card, source="desk")
            elif kind == "unlink":
                world.vault.unlink(conn, subject, (CARD, f"C-{rest[0]}"))
            else:
                world.vault.disputes.enter(
                    conn, subject, AGE, "Not so.", by="self"
                )
    except VaultError:
        return


@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(STEPS, st.permutations([0, 1, 2]), st.sampled_from(SHAPES))
def test_any_histories_survive_a_merge(
    sqlite_world: World, steps: list[tuple], order: list[int], shape: str
) -> None:
    """Whatever happened before, unmerging gives the same exports."""
    world = sqlite_world
    people = [world.person({GENDER: "female"}) for _ in range(3)]
    for step in steps:
        act(world, people, step)
    first, second, third = (people[place] for place in order)
    before = exported(world, *people)
    cards = {
        f"C-{n}": world.vault.look_up.find(CARD, f"C-{n}") for n in range(6)
    }
    merge(world, first, second)
    merge(world, *((third, first) if shape == "chain" else (first, third)))
    assert 3 == len(world.vault.members(second))
    unmerge(world, *((third, first) if shape == "chain" else (first, third)))
    unmerge(world, first, second)

    assert before == exported(world, *people)
    assert cards == {
        card: world.vault.look_up.find(CARD, card) for card in cards
    }
    assert set(people) <= set(world.vault.subjects())
    for subject in people:
        with world.data.begin() as conn:
            world.vault.drop(conn, subject, [CARD])


def _remove(world: World, subject: uuid.UUID, where: int) -> None:
    with world.data.begin() as conn:
        conn.execute(
            delete(VALUE).where(
                VALUE.c.subject == subject, VALUE.c.attribute == where
            )
        )


def _record(world: World, subject: uuid.UUID) -> list[tuple[type, list]]:
    with world.data.connect() as conn:
        return [
            (
                table,
                conn.execute(
                    select(table).where(table.c.subject == subject)
                ).all(),
            )
            for table in (SUBJECT, VALUE, HISTORY)
        ]


def _restore(
    world: World, subject: uuid.UUID, kept: list[tuple[type, list]]
) -> None:
    with world.data.begin() as conn:
        for table, rows in kept:
            conn.execute(delete(table).where(table.c.subject == subject))
            for row in rows:
                conn.execute(insert(table).values(row._asdict()))


@pytest.mark.parametrize("whose", ["survivor", "absorbed"])
def test_a_bond_taken_away_is_noticed(world: World, whose: str) -> None:
    """Neither side's row can be removed without a trace."""
    ada, bob = world.person(), world.person(BOB)
    merge(world, ada, bob)
    if whose == "survivor":
        _remove(world, ada, ABSORBED)
    else:
        _remove(world, bob, ALIAS)

    with pytest.raises(CryptoFailure):
        world.read(ada if whose == "survivor" else bob)
    assert [] != list(world.vault.verify())


@pytest.mark.parametrize("whose", ["survivor", "absorbed"])
def test_one_side_set_back_as_a_whole_is_noticed(
    world: World, whose: str
) -> None:
    """A record of before the merge does not answer to the other side."""
    ada, bob = world.person(), world.person(BOB)
    subject = ada if whose == "survivor" else bob
    kept = _record(world, subject)
    merge(world, ada, bob)
    _restore(world, subject, kept)

    with pytest.raises(CryptoFailure):
        world.read(bob if whose == "survivor" else ada)


def test_an_alias_moved_to_somebody_else_is_noticed(world: World) -> None:
    """Nobody can be merged in the database."""
    ada, bob, eve = world.person(), world.person(BOB), world.person({AGE: "1"})
    merge(world, ada, bob)
    with world.data.begin() as conn:
        conn.execute(
            update(VALUE)
            .where(VALUE.c.subject == bob, VALUE.c.attribute == ALIAS)
            .values(subject=eve)
        )

    for who in (bob, eve):
        with pytest.raises(CryptoFailure):
            world.read(who)


@pytest.mark.parametrize("pick", [lambda a, _: a, lambda _, b: b])
def test_who_was_merged_is_erased_with_the_whole(
    world: World, pick: Callable[[uuid.UUID, uuid.UUID], uuid.UUID]
) -> None:
    """Erasing all members leaves nobody, whichever was asked for."""
    ada, bob = world.person(), world.person(BOB)
    merge(world, ada, bob)
    for member in reversed(world.vault.members(pick(ada, bob))):
        with world.data.begin() as conn:
            world.vault.erase(conn, member)

    for who in (ada, bob):
        holding = world.vault.holding(who)
        assert (False, True) == (holding.known, holding.erased)
        assert {} == world.read(who)
    assert [] == list(world.vault.subjects())
    assert [] == list(world.vault.verify())


@pytest.mark.parametrize("first", ["survivor", "absorbed"])
def test_half_an_erasure_opens_nothing_of_the_erased(
    world: World, first: str
) -> None:
    """What is left is unknown, or the survivor alone."""
    ada, bob = world.person(), world.person(BOB)
    merge(world, ada, bob)
    with world.data.begin() as conn:
        world.vault.erase(conn, ada if first == "survivor" else bob)

    if first == "survivor":
        for who in (ada, bob):
            assert {} == world.read(who)
            assert not world.vault.holding(who).known
        assert world.vault.look_up.find(EMAIL, BOB[EMAIL]) is None
    else:
        assert ADA | {EMAIL: "Ada@example.org"} == world.read(ada)
        assert {} == world.read(bob)
