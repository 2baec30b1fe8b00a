"""Declared indexes are filled, rotated and dropped while people are found."""

import uuid
from dataclasses import replace

import pytest
from sqlalchemy import delete, func, select, update

from tests.test_vault import World, sqlite_world, world
from vault import IndexRefused, NotIndexed
from vault.specs import SpecState
from vault.tables import CANDIDATE, INDEX, SPEC

__all__ = ["sqlite_world", "world"]

FAMILY, EMAIL = "user.name.family", "user.home-info.online.email"
NAMES = [f"{chr(65 + n % 26)}{chr(97 + n // 26)}son{n}" for n in range(64)]


@pytest.fixture
def people(world: World) -> dict[str, uuid.UUID]:
    """Sixty-four people of different names."""
    return {
        name: world.person({FAMILY: name, EMAIL: f"p{n}@example.org"})
        for n, name in enumerate(NAMES)
    }


def sound(world: World) -> bool:
    """Whether a sweep finds nothing."""
    return not list(world.vault.verify())


def count(world: World, table: type, **where: int) -> int:
    """Count entries."""
    asked = select(func.count()).select_from(table)
    for name, value in where.items():
        asked = asked.where(table.c[name] == value)
    with world.data.connect() as conn:
        return conn.execute(asked).scalar_one()


def test_a_declared_index_finds_people(
    world: World, people: dict[str, uuid.UUID]
) -> None:
    """By the whole value, in any case; nobody by chance; writes follow."""
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, NAMES[3])
    spec = world.vault.index.add(FAMILY)
    world.now += 6

    assert 1 <= spec.bits <= 5
    for name, subject in people.items():
        assert [subject] == world.vault.look_up.search(FAMILY, name.upper())
    assert [] == world.vault.look_up.search(FAMILY, "Nobody")
    changed = people[NAMES[5]]
    world.put(changed, {FAMILY: "Newname"})
    assert [] == world.vault.look_up.search(FAMILY, NAMES[5])
    assert [changed] == world.vault.look_up.search(FAMILY, "newname")
    assert sound(world)


def test_a_limit_counts_who_answers(
    world: World, people: dict[str, uuid.UUID]
) -> None:
    """People who share an entry by chance do not push anybody out."""
    world.vault.index.add(FAMILY)
    world.now += 6

    for name, subject in people.items():
        assert [subject] == world.vault.look_up.search(FAMILY, name, limit=1)


def test_a_prefix_finds_who_begins_so(
    world: World, people: dict[str, uuid.UUID]
) -> None:
    """One index a length; a longer question is compared to its end."""
    world.vault.index.add(FAMILY, prefix=2)
    world.now += 6

    for begin in ("Aa", "aa", "Aason0"):
        found = world.vault.look_up.search(FAMILY, begin)
        assert [people["Aason0"]] == found
    assert [] == world.vault.look_up.search(FAMILY, "Aason1")
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, "A")
    short = world.person({FAMILY: "Q"})
    assert short not in world.vault.look_up.search(FAMILY, "Qa")
    with pytest.raises(IndexRefused, match="budget"):
        world.vault.index.add(FAMILY, prefix=3)
    assert sound(world)


def test_a_question_says_whether_it_is_whole(
    world: World, people: dict[str, uuid.UUID]
) -> None:
    """A prefix's index answers for whole values; none does the reverse."""
    world.vault.index.add(FAMILY, prefix=2)
    world.now += 6
    for asked, whole, found in (
        ("Aason", True, []),
        ("Aason", False, ["Aason0"]),
        ("Aason0", True, ["Aason0"]),
    ):
        assert [people[one] for one in found] == world.vault.look_up.search(
            FAMILY, asked, whole=whole
        )
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, "A", whole=False)
    world.vault.index.drop(FAMILY, prefix=2)
    world.vault.index.add(FAMILY)
    world.now += 6
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, "Aason0", whole=False)


def test_a_merged_record_leads_to_the_whole(
    world: World, people: dict[str, uuid.UUID]
) -> None:
    """Whichever of two names is looked up, the surviving record is found."""
    world.vault.index.add(FAMILY, prefix=1)
    world.now += 6
    one, other = people["Aason0"], people["Abson26"]
    with world.data.begin() as conn:
        world.vault.merge(conn, one, other)
    for asked in ("Aason0", "Abson26"):
        assert [one] == world.vault.look_up.search(FAMILY, asked)
    assert 2 == world.vault.look_up.search(FAMILY, "A").count(one) + 1
    with world.data.begin() as conn:
        world.vault.unmerge(conn, one, other)
    assert [other] == world.vault.look_up.search(FAMILY, "Abson26")


def test_a_skewed_column_gets_none(world: World) -> None:
    """Attack 12: what would show how often a value occurs is refused."""
    for number in range(40):
        world.person({"user.gender": ("female", "male")[number % 2]})
    with pytest.raises(IndexRefused, match="low-entropy"):
        world.vault.index.add("user.gender")
    with pytest.raises(IndexRefused, match="skewed"):
        world.vault.index.add("user.gender", domain_bits=60)
    assert 0 == count(world, CANDIDATE)
    assert 0 == count(world, SPEC)


def test_a_filling_is_taken_up_again(
    world: World,
    people: dict[str, uuid.UUID],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Stopped after a page it goes on there; nothing is served before."""
    monkeypatch.setattr("vault.index_jobs.PAGE", 10)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.vault.index.add(FAMILY, progress=stop)
    world.now += 6
    assert 0 < count(world, CANDIDATE) <= 10
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, NAMES[0])
    assert sound(world)
    late = world.person({FAMILY: "Latecomer"})
    seen: list[int] = []
    world.vault.index.add(FAMILY, progress=seen.append)
    world.now += 6

    # Whose random id is among those filled before is indexed already.
    assert sum(seen) in {55, 56}
    assert [late] == world.vault.look_up.search(FAMILY, "latecomer")
    for name, subject in people.items():
        assert [subject] == world.vault.look_up.search(FAMILY, name)
    assert sound(world)


@pytest.fixture
def two(world: World, people: dict[str, uuid.UUID]) -> tuple[str, int]:
    """An identifier's index and a declared one."""
    assert people
    world.vault.index.add(FAMILY)
    world.now += 6
    return FAMILY, 1


def test_a_key_is_rotated_while_people_are_found(
    world: World,
    people: dict[str, uuid.UUID],
    two: tuple[str, int],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before, in the middle and after; old keys go when nobody uses them."""
    assert two
    monkeypatch.setattr("vault.index_jobs.PAGE", 10)

    def all_found() -> None:
        world.now += 6
        for number, (name, subject) in enumerate(people.items()):
            mail = f"p{number}@example.org"
            assert subject == world.vault.look_up.find(EMAIL, mail)
            assert [subject] == world.vault.look_up.search(FAMILY, name)
        assert sound(world)

    def stop(_: int) -> None:
        raise KeyboardInterrupt

    for name, table in ((EMAIL, INDEX), (FAMILY, CANDIDATE)):
        with pytest.raises(KeyboardInterrupt):
            world.vault.index.rotate(name, progress=stop)
        all_found()
        world.put(people[NAMES[1]], {FAMILY: NAMES[1], EMAIL: "x@example.org"})
        world.put(people[NAMES[1]], {EMAIL: "p1@example.org"})
        spec = world.vault.index.rotate(name)
        assert (2, 1, SpecState.RETIRING) == (
            spec.key_version,
            spec.other_version,
            spec.state,
        )
        all_found()
        if name == EMAIL:
            with pytest.raises(IndexRefused, match="wait"):
                world.vault.index.retire(name)
        world.now += 60
        world.vault.index.retire(name)
        number = {EMAIL: 21, FAMILY: 4}[name]
        assert 0 == count(world, table, attribute=number, key_version=1)
        assert 64 == count(world, table, attribute=number, key_version=2)
        all_found()


def test_an_index_is_dropped(
    world: World, people: dict[str, uuid.UUID], two: tuple[str, int]
) -> None:
    """Entries and declaration go; an identifier's stays."""
    assert people
    assert two
    world.vault.index.drop(FAMILY)
    world.now += 6

    assert 0 == count(world, CANDIDATE)
    with pytest.raises(NotIndexed):
        world.vault.look_up.search(FAMILY, NAMES[0])
    for name, why in ((EMAIL, "unique"), (FAMILY, "none")):
        with pytest.raises(IndexRefused, match=why):
            world.vault.index.drop(name)
    assert sound(world)


@pytest.mark.parametrize("what", ["taken", "added", "moved"])
def test_a_shared_entry_that_is_wrong_is_named(
    world: World, people: dict[str, uuid.UUID], two: tuple[str, int], what: str
) -> None:
    """The sweep knows which entries must be, and finds none by chance."""
    assert two
    one, other = people[NAMES[0]], people[NAMES[1]]
    mine = CANDIDATE.c.subject == one
    with world.data.begin() as conn:
        (row,) = conn.execute(select(CANDIDATE).where(mine)).all()
        if what == "taken":
            conn.execute(delete(CANDIDATE).where(mine))
        elif what == "added":
            more = row._asdict() | {"subject": other, "digest": b"\xff\xff"}
            conn.execute(CANDIDATE.insert().values(more))
        else:
            conn.execute(
                update(CANDIDATE).where(mine).values(digest=b"\xff\xff")
            )

    assert not sound(world)
    assert world.vault.look_up.search(FAMILY, NAMES[1]) == [other]


def test_a_spec_names_what_is_written_and_served(world: World) -> None:
    """An index that is being filled is written and not served."""
    spec = world.vault.index.listed()[0]

    assert ((1,), (1,)) == (spec.written, spec.served)
    filling = replace(spec, state=SpecState.FILLING)
    assert ((1,), ()) == (filling.written, filling.served)
    both = replace(spec, state=SpecState.RETIRING, other_version=3)
    assert (1, 3) == both.served
