"""The sweep names what is wrong, where, and nothing else."""

import uuid

import pytest
from sqlalchemy import insert, select, update

from tests.test_vault import World, sqlite_world, world
from vault import Finding, FindingKind
from vault.tables import DEK, HISTORY, INDEX, SUBJECT, VALUE

__all__ = ["sqlite_world", "world"]

GENDER, EMAIL = 8, 21


def found(world: World) -> list[Finding]:
    """Sweep."""
    return list(world.vault.verify())


def test_a_sound_vault_has_no_findings(world: World) -> None:
    """Writes, changes, erasures and rotations leave nothing to find."""
    people = [world.person()]
    people += [world.person({"user.age": str(age)}) for age in range(5)]
    world.put(people[1], {"user.age": "99"})
    world.put(people[0], {"user.home-info.online.email": "new@example.org"})
    with world.data.begin() as conn:
        world.vault.erase(conn, people[2])
    world.keys.epochs.rotate()
    world.keys.rewrap()

    assert [] == found(world)


def test_somebody_never_written_is_named(world: World) -> None:
    """An enrolment without a record may be a crash, or a record removed."""
    subject = world.vault.enrol()

    assert [Finding(kind=FindingKind.EMPTY, subject=subject)] == found(world)


def test_a_whole_record_removed(world: World) -> None:
    """What enrolment promised is missing; with a witness it is sure."""
    subject = world.person()
    with world.data.begin() as conn:
        world.vault._rows.delete(conn, subject)

    assert [FindingKind.EMPTY] == [one.kind for one in found(world)]
    kinds = [
        one.kind
        for one in world.vault.verify(witness=lambda who: int(who == subject))
    ]
    assert [FindingKind.ROLLED_BACK, FindingKind.EMPTY] == kinds


def test_rows_of_nobody_are_named(world: World) -> None:
    """Leftovers of an erasure, or rows under a made-up id."""
    subject, stranger = world.person(), uuid.uuid4()
    with world.data.begin() as conn:
        row = conn.execute(
            select(VALUE).where(VALUE.c.subject == subject)
        ).first()
        conn.execute(
            insert(VALUE).values(row._asdict() | {"subject": stranger})
        )
    world.keys.begin_erasure(subject)

    findings = found(world)
    assert {subject, stranger} == {one.subject for one in findings}
    assert {FindingKind.LEFTOVER} == {one.kind for one in findings}


def test_an_id_that_is_none(sqlite_world: World) -> None:
    """A damaged id does not stop the sweep."""
    world = sqlite_world
    subject = world.person({"user.age": "1"})
    raw = world.data.raw_connection()
    raw.cursor().execute(
        "UPDATE vault_value SET subject = 'zz' WHERE subject = ?",
        (subject.hex,),
    )
    raw.close()

    assert {
        (FindingKind.MISSING, subject),
        (FindingKind.LEFTOVER, uuid.UUID(int=0)),
    } == {(one.kind, one.subject) for one in found(world)}


@pytest.mark.parametrize("how", ["drop", "alter", "add"])
def test_the_history_is_swept(world: World, how: str) -> None:
    """A superseded version dropped, altered or invented; named by version."""
    subject = world.person({"user.gender": "a"})
    for value in ("b", "c"):
        world.put(subject, {"user.gender": value})
    here = (HISTORY.c.subject == subject) & (HISTORY.c.version == 2)
    with world.data.begin() as conn:
        row = conn.execute(select(HISTORY).where(here)).one()
        if how == "drop":
            conn.execute(HISTORY.delete().where(here))
        elif how == "alter":
            conn.execute(update(HISTORY).where(here).values(sealed=b"x" * 66))
        else:
            conn.execute(
                insert(HISTORY).values(row._asdict() | {"version": 3})
            )

    (finding,) = found(world)
    kind = {
        "drop": FindingKind.HISTORY_MISSING,
        "alter": FindingKind.HISTORY_ALTERED,
        "add": FindingKind.HISTORY_ALTERED,
    }[how]
    version = 3 if how == "add" else 2
    assert (kind, subject, GENDER, version) == (
        finding.kind,
        finding.subject,
        finding.attribute,
        finding.version,
    )


@pytest.mark.parametrize("how", ["drop", "binding", "digest", "foreign"])
def test_the_index_is_swept(world: World, how: str) -> None:
    """An index entry dropped, altered, or that nothing stands behind."""
    subject = world.person({"user.home-info.online.email": "a@b.org"})
    here = INDEX.c.subject == subject
    values = {
        "binding": {"binding": bytes(16)},
        "digest": {"digest": bytes(16)},
        "foreign": {"attribute": 30},
    }
    with world.data.begin() as conn:
        if how == "drop":
            conn.execute(INDEX.delete().where(here))
        else:
            conn.execute(update(INDEX).where(here).values(**values[how]))

    kinds = {
        "drop": {FindingKind.INDEX_MISSING},
        "binding": {FindingKind.INDEX_ALTERED},
        "digest": {FindingKind.INDEX_ALTERED},
        "foreign": {FindingKind.INDEX_MISSING, FindingKind.INDEX_FOREIGN},
    }[how]
    findings = found(world)
    assert kinds == {one.kind for one in findings}
    assert {subject} == {one.subject for one in findings}


def test_an_altered_state_is_named_with_its_sound_rows(world: World) -> None:
    """The rest of the person's rows is still looked at."""
    subject = world.person()
    with world.data.begin() as conn:
        conn.execute(
            update(SUBJECT)
            .where(SUBJECT.c.subject == subject)
            .values(epoch=77)
        )
        conn.execute(
            update(VALUE)
            .where(VALUE.c.subject == subject, VALUE.c.attribute == GENDER)
            .values(sealed=b"x" * 66)
        )

    assert {
        (FindingKind.STATE, None),
        (FindingKind.ALTERED, GENDER),
    } == {(one.kind, one.attribute) for one in found(world)}


def test_the_decoy_is_swept_too(world: World) -> None:
    """A damaged decoy would tell unknown people apart."""
    decoy = world.vault.decoy()
    with world.data.begin() as conn:
        conn.execute(
            VALUE.delete().where(
                VALUE.c.subject == decoy, VALUE.c.attribute == GENDER
            )
        )

    assert [(FindingKind.MISSING, decoy, GENDER)] == [
        (one.kind, one.subject, one.attribute) for one in found(world)
    ]


def test_more_people_than_a_page(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every page is swept, and only once."""
    monkeypatch.setattr("vault.sweep._PAGE", 3)
    people = [world.person({"user.age": str(age)}) for age in range(8)]
    with world.data.begin() as conn:
        for subject in people[::2]:
            conn.execute(VALUE.delete().where(VALUE.c.subject == subject))

    assert sorted(people[::2]) == sorted(one.subject for one in found(world))


def test_a_key_that_does_not_open_is_named(world: World) -> None:
    """Whoever cannot be opened is on the list, and the rest is swept."""
    ada, bob = world.person(), world.person({"user.age": "1"})
    with world.engine.begin() as conn:
        conn.execute(
            update(DEK)
            .where(DEK.c.subject == ada)
            .values(commitment=bytes(32))
        )
    with world.data.begin() as conn:
        conn.execute(VALUE.delete().where(VALUE.c.subject == bob))

    assert {
        (FindingKind.KEY, ada),
        (FindingKind.MISSING, bob),
    } == {(one.kind, one.subject) for one in found(world)}
