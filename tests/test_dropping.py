"""What is dropped is gone, stays gone, and nothing else is."""

import uuid

import pytest
from sqlalchemy import delete, func, insert, select, update

from tests.test_vault import ADA, World, sqlite_world, world
from vault import (
    CryptoFailure,
    DuplicateIdentifier,
    UnknownAttribute,
    UnknownSubject,
)
from vault.tables import HISTORY, INDEX, SUBJECT, VALUE

__all__ = ["sqlite_world", "world"]

EMAIL, GENDER = "user.home-info.online.email", "user.gender"
MAIL = 21


def drop(world: World, subject: uuid.UUID, *names: str) -> int:
    """Drop in a transaction of its own."""
    with world.data.begin() as conn:
        return world.vault.drop(conn, subject, names)


def sound(world: World) -> bool:
    """Whether a sweep finds nothing."""
    return not list(world.vault.verify())


def test_a_dropped_attribute_is_gone(world: World) -> None:
    """Value, history and index entry go; the rest stays; the epoch counts."""
    subject = world.person()
    epoch = world.put(subject, {EMAIL: "second@example.org"})

    assert epoch + 1 == drop(world, subject, EMAIL, GENDER)

    left = {name for name in ADA if name not in {EMAIL, GENDER}}
    assert left == set(world.read(subject))
    assert left == world.vault.holding(subject).present
    assert [] == world.vault.history(world.grant(subject), EMAIL)
    assert world.vault.look_up.find(EMAIL, "second@example.org") is None
    with world.data.connect() as conn:
        for table in (VALUE, HISTORY, INDEX):
            mine = select(func.count()).where(
                table.c.subject == subject, table.c.attribute == MAIL
            )
            assert 0 == conn.execute(mine).scalar_one()
    assert sound(world)


def test_others_keep_what_they_have(world: World) -> None:
    """Nobody else's rows are touched."""
    subject = world.person()
    other = world.person({EMAIL: "other@example.org", GENDER: "male"})

    drop(world, subject, EMAIL, GENDER)

    assert {EMAIL: "other@example.org", GENDER: "male"} == world.read(other)
    assert other == world.vault.look_up.find(EMAIL, "other@example.org")


def test_a_dropped_identifier_is_free_again(world: World) -> None:
    """Somebody else may have it from then on."""
    subject, other = world.person(), world.person({GENDER: "male"})
    with pytest.raises(DuplicateIdentifier):
        world.put(other, {EMAIL: ADA[EMAIL]})

    drop(world, subject, EMAIL)

    world.put(other, {EMAIL: ADA[EMAIL]})
    assert other == world.vault.look_up.find(EMAIL, ADA[EMAIL])
    assert sound(world)


def test_versions_go_on_after_a_drop(world: World) -> None:
    """A later value takes the next number, and the history begins there."""
    subject = world.person({EMAIL: "a@example.org"})
    world.put(subject, {EMAIL: "b@example.org"})
    drop(world, subject, EMAIL)
    world.put(subject, {EMAIL: "c@example.org"})
    world.put(subject, {EMAIL: "d@example.org"})

    listed = world.vault.history(world.grant(subject), EMAIL)
    assert [(4, "d@example.org"), (3, "c@example.org")] == [
        (one.version, one.value) for one in listed
    ]
    assert subject == world.vault.look_up.find(EMAIL, "d@example.org")
    assert sound(world)

    drop(world, subject, EMAIL)
    world.put(subject, {EMAIL: "e@example.org"})
    (last,) = world.vault.history(world.grant(subject), EMAIL)
    assert 5 == last.version
    assert sound(world)


def test_nothing_held_is_nothing_dropped(world: World) -> None:
    """Dropping what is not there, or is gone already, changes nothing."""
    subject = world.person({GENDER: "female"})
    epoch = world.vault.holding(subject).epoch

    assert epoch == drop(world, subject, EMAIL)
    assert epoch == drop(world, subject)
    assert epoch + 1 == drop(world, subject, GENDER)
    assert epoch + 1 == drop(world, subject, GENDER)
    assert {} == world.read(subject)
    assert 0 == drop(world, world.vault.enrol(), GENDER)


def test_a_drop_rolls_back_with_its_transaction(world: World) -> None:
    """Without a commit everything stands as it did."""
    subject = world.person()
    before = world.read(subject)

    with world.data.connect() as conn:
        world.vault.drop(conn, subject, [EMAIL])
        conn.rollback()

    assert before == world.read(subject)
    assert subject == world.vault.look_up.find(EMAIL, ADA[EMAIL])


def test_who_and_what_can_be_dropped(world: World) -> None:
    """Strangers, the erased, the decoy and strange names are refused."""
    subject = world.person()
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)

    for nobody in (uuid.uuid4(), subject, world.vault.decoy()):
        with pytest.raises(UnknownSubject):
            drop(world, nobody, GENDER)
    with pytest.raises(UnknownAttribute):
        drop(world, world.person({GENDER: "male"}), "user.shoe-size")


@pytest.mark.parametrize("damage", ["value", "state", "row"])
def test_a_drop_launders_nothing(world: World, damage: str) -> None:
    """What somebody altered is refused, not tidied away."""
    subject = world.person()
    gender = (VALUE.c.subject == subject) & (VALUE.c.attribute == 8)
    with world.data.begin() as conn:
        if damage == "value":
            conn.execute(update(VALUE).where(gender).values(sealed=bytes(66)))
        elif damage == "state":
            conn.execute(
                update(SUBJECT)
                .where(SUBJECT.c.subject == subject)
                .values(epoch=7)
            )
        else:
            conn.execute(delete(VALUE).where(gender))

    for name in (GENDER, EMAIL):
        with pytest.raises(CryptoFailure):
            drop(world, subject, name)


@pytest.mark.parametrize("table", [VALUE, HISTORY])
def test_a_dropped_version_does_not_fit_in_again(
    world: World, table: type
) -> None:
    """A copy of the removed rows is refused, as value and as history."""
    subject = world.person({GENDER: "male"})
    with world.data.connect() as conn:
        (old,) = conn.execute(
            select(VALUE).where(VALUE.c.subject == subject)
        ).all()
    drop(world, subject, GENDER)
    world.put(subject, {GENDER: "female"})
    world.put(subject, {GENDER: "unknown"})
    with world.data.begin() as conn:
        mine = (table.c.subject == subject) & (table.c.attribute == 8)
        conn.execute(delete(table).where(mine))
        conn.execute(insert(table).values(old._asdict()))

    with pytest.raises(CryptoFailure):
        world.vault.history(world.grant(subject), GENDER)
    assert not sound(world)


def test_the_mark_cannot_be_taken_away(world: World) -> None:
    """Without its mark an attribute would count from one again."""
    subject = world.person({GENDER: "male"})
    drop(world, subject, GENDER)
    with world.data.begin() as conn:
        conn.execute(delete(VALUE).where(VALUE.c.subject == subject))

    with pytest.raises(CryptoFailure):
        world.read(subject)
    assert not sound(world)
