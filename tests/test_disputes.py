"""What the person says against a value travels with it and stays."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import delete, select, update

from tests.test_vault import NOW, World, sqlite_world, world
from vault import (
    CryptoFailure,
    Dispute,
    DisputeOutcome,
    DisputeState,
    InvalidValue,
    UnknownDispute,
    UnknownSubject,
)
from vault.disputes import added, decode, encode
from vault.places import disputed
from vault.tables import HISTORY, VALUE

__all__ = ["sqlite_world", "world"]

CITY, NUMBER = "user.home-info.postal.city", 13
WORDS = "I have never lived there."


def dispute(
    world: World, subject: uuid.UUID, words: str = WORDS, **more: int
) -> Dispute:
    """Enter a dispute in a transaction of its own."""
    with world.data.begin() as conn:
        return world.vault.disputes.enter(
            conn, subject, CITY, words, by="self", **more
        )


def close(
    world: World,
    subject: uuid.UUID,
    one: Dispute,
    outcome: DisputeOutcome | None = None,
) -> None:
    """Close a dispute in a transaction of its own."""
    with world.data.begin() as conn:
        world.vault.disputes.close(
            conn, subject, CITY, one.id, outcome=outcome
        )


def shown(world: World, subject: uuid.UUID) -> tuple[Dispute, ...]:
    """What stands against the current city."""
    found = world.vault.records(
        world.grant(subject), world.vault.holding(subject)
    )
    return found[CITY].disputes


def test_a_dispute_travels_with_its_version(world: World) -> None:
    """Records, history and as-of show it, where it belongs and only there."""
    subject = world.person({CITY: "Leeds", "user.gender": "female"})
    entered = dispute(world, subject)

    assert WORDS == entered.statement
    assert (1, NOW, "self", DisputeState.OPEN) == (
        entered.version,
        entered.at,
        entered.by,
        entered.state,
    )
    assert (entered,) == shown(world, subject)
    world.now += 5
    world.put(subject, {CITY: "York"})
    assert () == shown(world, subject)
    newest, oldest = world.vault.history(world.grant(subject), CITY)
    assert ((), (entered,)) == (newest.disputes, oldest.disputes)
    grant = world.grant(subject)
    then = world.vault.as_of(grant, valid_at=NOW, known_at=NOW)
    assert (entered,) == then[CITY].disputes
    assert () == then["user.gender"].disputes
    assert [] == list(world.vault.verify())


def test_no_dispute_changes_what_services_read(world: World) -> None:
    """A read gives the value alone."""
    subject = world.person({CITY: "Leeds"})
    dispute(world, subject)

    assert {CITY: "Leeds"} == world.read(subject)
    assert {CITY} == world.vault.holding(subject).present


def test_a_dispute_is_withdrawn_or_resolved_once(world: World) -> None:
    """Closing says how and when; what is closed is not closed again."""
    subject = world.person({CITY: "Leeds"})
    first, second = dispute(world, subject), dispute(world, subject, "Nor so.")
    world.now += 5
    close(world, subject, first)
    close(world, subject, second, DisputeOutcome.CONFIRMED)

    assert [
        (first.id, DisputeState.WITHDRAWN, None, NOW + 5),
        (second.id, DisputeState.RESOLVED, "confirmed", NOW + 5),
    ] == [
        (one.id, one.state, one.outcome, one.closed_at)
        for one in shown(world, subject)
    ]
    for gone in (first.id, uuid.uuid4()):
        with pytest.raises(UnknownDispute), world.data.begin() as conn:
            world.vault.disputes.close(conn, subject, CITY, gone)
    then = world.vault.as_of(
        world.grant(subject), valid_at=NOW, known_at=NOW + 4
    )
    assert (first, second) == then[CITY].disputes
    assert [] == list(world.vault.verify())


def test_an_older_version_is_disputed(world: World) -> None:
    """One says which version; the dispute is not known before it was made."""
    subject = world.person({CITY: "Leeds"})
    world.put(subject, {CITY: "York"})
    world.now += 5
    dispute(world, subject, version=1)

    newest, oldest = world.vault.history(world.grant(subject), CITY)
    assert (0, 1) == (len(newest.disputes), len(oldest.disputes))
    grant = world.grant(subject)
    assert (
        ()
        == world.vault.as_of(grant, valid_at=NOW, known_at=NOW)[CITY].disputes
    )


@pytest.mark.parametrize("words", ["", " \n", "x" * 2001, "a\0b"])
def test_words_that_are_none(world: World, words: str) -> None:
    """An empty, endless or broken statement is refused and not repeated."""
    subject = world.person({CITY: "Leeds"})
    with pytest.raises(InvalidValue) as error:
        dispute(world, subject, words)

    assert "statement" == error.value.attribute
    assert () == shown(world, subject)


def test_what_can_be_disputed(world: World) -> None:
    """Only a version that is held, of a person who is there."""
    subject = world.person({CITY: "Leeds"})
    for version in (0, 2):
        with pytest.raises(InvalidValue, match="not-held"):
            dispute(world, subject, version=version)
    with world.data.begin() as conn, pytest.raises(InvalidValue):
        world.vault.disputes.enter(
            conn, subject, "user.gender", WORDS, by="self"
        )
    with pytest.raises(UnknownSubject):
        dispute(world, uuid.uuid4())


def test_disputes_have_an_end() -> None:
    """Nobody fills the vault with statements against one value."""
    one = Dispute(id=uuid.uuid4(), version=1, statement="x", at=1, by="self")

    assert 64 == len(added([one] * 63, one))
    with pytest.raises(InvalidValue, match="too-many"):
        added([one] * 64, one)


@pytest.mark.parametrize("damage", ["dropped", "altered", "older"])
def test_a_dispute_taken_away_is_noticed(world: World, damage: str) -> None:
    """The manifest covers it: no read passes, and the sweep names it."""
    subject = world.person({CITY: "Leeds"})
    dispute(world, subject)
    here = (VALUE.c.subject == subject) & (
        VALUE.c.attribute == disputed(NUMBER)
    )
    with world.data.connect() as conn:
        (first,) = conn.execute(select(VALUE).where(here)).all()
    dispute(world, subject, "Second.")
    with world.data.begin() as conn:
        if damage == "dropped":
            conn.execute(delete(VALUE).where(here))
        elif damage == "older":
            conn.execute(update(VALUE).where(here).values(first._asdict()))
            conn.execute(delete(HISTORY).where(HISTORY.c.subject == subject))
        else:
            conn.execute(
                update(VALUE).where(here).values(sealed=first.sealed[:-1])
            )

    with pytest.raises(CryptoFailure):
        world.read(subject)
    with pytest.raises(CryptoFailure):
        shown(world, subject)
    assert [] != list(world.vault.verify())


def test_a_dropped_value_takes_its_disputes_along(world: World) -> None:
    """No statement stays about what is no longer held."""
    subject = world.person({CITY: "Leeds", "user.gender": "female"})
    dispute(world, subject)
    dispute(world, subject, "Again.")
    with world.data.begin() as conn:
        world.vault.drop(conn, subject, [CITY])

    with world.data.connect() as conn:
        left = conn.execute(
            select(VALUE.c.attribute).where(VALUE.c.subject == subject)
        ).scalars()
        assert {8, 13 + 2**30, 13 + 2**29 + 2**30} == set(left)
    world.put(subject, {CITY: "York"})
    assert () == shown(world, subject)
    assert [] == list(world.vault.verify())


def test_the_length_of_the_words_does_not_show(world: World) -> None:
    """One word and a paragraph take the same room."""
    sizes = set()
    for words in ("No.", "No. " * 50):
        subject = world.person({CITY: "Leeds"})
        dispute(world, subject, words)
        with world.data.connect() as conn:
            sealed = conn.execute(
                select(VALUE.c.sealed).where(
                    VALUE.c.subject == subject,
                    VALUE.c.attribute == disputed(NUMBER),
                )
            ).scalar_one()
        sizes.add(len(sealed))

    assert 1 == len(sizes)


@given(
    st.lists(
        st.builds(
            Dispute,
            id=st.uuids(),
            version=st.integers(1, 99),
            statement=st.text(max_size=50),
            at=st.integers(0, 2**40),
            by=st.text(max_size=9),
            state=st.sampled_from(DisputeState),
            outcome=st.none() | st.sampled_from(DisputeOutcome),
            closed_at=st.none() | st.integers(0, 2**40),
        )
    )
)
def test_disputes_come_back(listed: list[Dispute]) -> None:
    """Any dispute survives being written down."""
    text = encode(listed)

    assert 0 == len(text) % 512
    assert listed == decode(text)


@pytest.mark.parametrize(
    "text", ["", "{}1", "[1]", '[{"id":1}]', '[{"x":1}]', "[[]]", "null"]
)
def test_what_is_no_list_of_disputes(text: str) -> None:
    """Anything else is one refusal."""
    with pytest.raises(CryptoFailure):
        decode(text)
