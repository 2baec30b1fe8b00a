"""Many identifiers lead to one record, and none to two."""

import uuid

import pytest
from sqlalchemy import delete, select, update

from tests.test_vault import World, sqlite_world, world
from vault import (
    CryptoFailure,
    DuplicateIdentifier,
    InvalidValue,
    NotIndexed,
    UnknownSubject,
)
from vault.tables import INDEX, VALUE

__all__ = ["sqlite_world", "world"]

PHONE, CARD = "user.identifier.phone", "user.identifier.card"
MAIL, ACCOUNT = "user.identifier.email", "user.identifier.account"
MINE = [
    (PHONE, "+441154960000"),
    (PHONE, "+441154960001"),
    (MAIL, "ada@example.org"),
    (ACCOUNT, "ada.byron"),
    (CARD, "C-0001"),
    (CARD, "C-0002"),
    (CARD, "C-0003"),
]


def link(world: World, subject: uuid.UUID, *identifier: str) -> int:
    """Link in a transaction of its own."""
    with world.data.begin() as conn:
        return world.vault.link(conn, subject, identifier, source="desk")


def unlink(world: World, subject: uuid.UUID, *identifier: str) -> int:
    """Unlink in a transaction of its own."""
    with world.data.begin() as conn:
        return world.vault.unlink(conn, subject, identifier)


def linked(world: World) -> uuid.UUID:
    """Somebody with every identifier of the list."""
    subject = world.person({"user.gender": "female"})
    for identifier in MINE:
        link(world, subject, *identifier)
    return subject


def test_every_identifier_leads_to_the_one_record(world: World) -> None:
    """Telephone, mail, account and card: each reaches the person."""
    subject, other = linked(world), world.person({"user.gender": "male"})
    link(world, other, CARD, "C-0009")

    assert {subject} == {world.vault.look_up.find(*one) for one in MINE}
    assert other == world.vault.look_up.find(CARD, "C-0009")
    assert world.vault.look_up.find(CARD, "C-0010") is None
    assert MINE == world.vault.identifiers(world.grant(subject))
    assert MINE[4:] == world.vault.identifiers(world.grant(subject, CARD))
    assert "+441154960000" == world.read(subject)[PHONE]
    assert [] == list(world.vault.verify())


def test_an_identifier_leads_to_one_record(world: World) -> None:
    """Whatever its slot, it cannot be linked twice, not even to oneself."""
    subject, other = linked(world), world.person({"user.gender": "male"})
    for who in (subject, other):
        for identifier in MINE:
            with pytest.raises(DuplicateIdentifier):
                link(world, who, *identifier)

    assert [] == world.vault.identifiers(world.grant(other))


def test_an_identifier_is_taken_back(world: World) -> None:
    """What is unlinked leads nowhere, leaves the others, and is free."""
    subject, other = linked(world), world.person({"user.gender": "male"})
    unlink(world, subject, CARD, "C-0002")
    unlink(world, subject, PHONE, "+44 115 496 0000")

    assert world.vault.look_up.find(CARD, "C-0002") is None
    left = [MINE[1], *MINE[2:5], MINE[6]]
    assert left == world.vault.identifiers(world.grant(subject))
    link(world, other, CARD, "C-0002")
    link(world, subject, CARD, "C-0004")
    assert other == world.vault.look_up.find(CARD, "C-0002")
    assert subject == world.vault.look_up.find(CARD, "C-0004")
    assert [] == list(world.vault.verify())


def test_what_cannot_be_linked(world: World) -> None:
    """Attributes without look-up, strange texts, strangers, the 65th."""
    subject = world.person({"user.gender": "female"})
    with pytest.raises(NotIndexed):
        link(world, subject, "user.gender", "female")
    with pytest.raises(InvalidValue):
        link(world, subject, PHONE, "none")
    with pytest.raises(InvalidValue, match="not-held"):
        unlink(world, subject, CARD, "C-1")
    for nobody in (uuid.uuid4(), world.vault.decoy()):
        with pytest.raises(UnknownSubject):
            link(world, nobody, CARD, "C-1")
    with world.data.begin() as conn:
        for number in range(64):
            card = (CARD, f"C-{number}")
            world.vault.link(conn, subject, card, source="desk")
    with pytest.raises(InvalidValue, match="too-many"):
        link(world, subject, CARD, "C-65")
    assert [] == list(world.vault.verify())


def test_dropping_an_identifier_drops_all_of_its_kind(world: World) -> None:
    """Retention asks for an attribute, wherever its values stand."""
    subject = linked(world)
    with world.data.begin() as conn:
        world.vault.drop(conn, subject, [CARD])

    assert MINE[:4] == world.vault.identifiers(world.grant(subject))
    assert world.vault.look_up.find(CARD, "C-0003") is None
    assert [] == list(world.vault.verify())


@pytest.mark.parametrize("what", ["subject", "place", "version"])
def test_an_entry_led_elsewhere_is_noticed(world: World, what: str) -> None:
    """Its binding holds for one person, one place and one version."""
    subject, other = linked(world), world.person({"user.gender": "male"})
    link(world, other, CARD, "C-0009")
    third = (INDEX.c.subject == subject) & (INDEX.c.place == 64 + 2 * 65536)
    changed = {"subject": other, "place": 64, "version": 2}[what]
    with world.data.begin() as conn:
        conn.execute(update(INDEX).where(third).values({what: changed}))

    with pytest.raises(CryptoFailure):
        world.vault.look_up.find(CARD, "C-0003")
    assert [] != list(world.vault.verify())


def test_a_value_moved_to_another_slot_does_not_open(world: World) -> None:
    """The place is under the seal."""
    subject = linked(world)
    mine = VALUE.c.subject == subject
    with world.data.begin() as conn:
        first, second = conn.execute(
            select(VALUE.c.sealed)
            .where(mine, VALUE.c.attribute % 65536 == 64)
            .order_by(VALUE.c.attribute)
            .limit(2)
        ).scalars()
        for place, sealed in ((64, second), (64 + 65536, first)):
            conn.execute(
                update(VALUE)
                .where(mine, VALUE.c.attribute == place)
                .values(sealed=sealed)
            )

    with pytest.raises(CryptoFailure):
        world.read(subject)


def test_an_erased_person_leaves_no_identifier(world: World) -> None:
    """All of them are free again."""
    subject, other = linked(world), world.person({"user.gender": "male"})
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)
    with world.data.connect() as conn:
        assert (
            []
            == conn.execute(
                select(INDEX).where(INDEX.c.subject == subject)
            ).all()
        )

    for identifier in MINE:
        assert world.vault.look_up.find(*identifier) is None
        link(world, other, *identifier)


def test_an_entry_taken_away_is_named(world: World) -> None:
    """The sweep knows which look-up is missing."""
    subject = linked(world)
    with world.data.begin() as conn:
        conn.execute(delete(INDEX).where(INDEX.c.place == 64 + 65536))

    assert [("index-missing", subject, 64)] == [
        (one.kind, one.subject, one.attribute) for one in world.vault.verify()
    ]
