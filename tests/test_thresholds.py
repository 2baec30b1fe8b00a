"""Questions are counted over all purposes of a service, not over one."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from threading import Event, Thread

import pytest
from sqlalchemy import Connection, text

from consent import (
    ConsentStore,
    Declaration,
    DeclarationInvalid,
    load_yaml,
    write_declaration,
)
from tests.databases import Kind
from tests.worlds import (
    BIRTH,
    CITY,
    DECLARATION,
    OTHER_OFFICER,
    SERVICE,
    World,
    build_world,
    publish,
)

AGES = tuple(f"{BIRTH}.age_over_{n}" for n in (18, 21, 25, 30, 40, 50))
PLACES = tuple(f"{CITY}.resident_in_{one}" for one in "abcdef")
BANDS = tuple(f"user.income.annual.income_band_{n}000" for n in (10, 11))
OTHER = "parking-permit"


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


def declared(
    purpose: str, *names: str, version: int = 1, service: str = SERVICE
) -> Declaration:
    """A declaration of some elements."""
    head = DECLARATION[: DECLARATION.index("    data:\n")]
    data = "".join(f"      - {name}\n" for name in names or ["user.gender"])
    return load_yaml(
        f"{head}    data:\n{data}".replace(
            "purpose: address-change\nversion: 1",
            f"purpose: {purpose}\nversion: {version}",
        )
        .replace(f"service: {SERVICE}", f"service: {service}")
        .encode(),
        where="test",
    )


def register(world: World, declaration: Declaration) -> None:
    """Register it in a transaction of its own."""
    with world.platform.data.begin() as conn:
        world.platform.consents.register(conn, declaration)


def force(world: World, declaration: Declaration) -> None:
    """Put it into the tables as it was allowed before this was counted."""
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO consent_declaration (tenant, digest, service,"
                " purpose, version, text) VALUES ('test', :digest, :service,"
                " :purpose, :version, :text)"
            ),
            {
                "digest": declaration.digest,
                "service": declaration.service,
                "purpose": declaration.purpose,
                "version": declaration.version,
                "text": write_declaration(declaration),
            },
        )
        world.platform.consents.vouch_registry(conn)


def proposals(world: World) -> int:
    """How many proposals there are."""
    return len(world.platform.declarations.listed())


@pytest.mark.parametrize("names", [AGES[:4], PLACES, BANDS])
def test_purposes_are_counted_together(
    world: World, names: tuple[str, ...]
) -> None:
    """One too many is not planned, proposed or registered; it says why."""
    desk = world.platform.declarations
    register(world, declared(OTHER, *names[:-2], "user.gender"))
    publish(world.platform, declared("third", names[-2]))
    wrong = declared("fourth", names[-1])
    before = proposals(world)
    ways = (
        lambda: desk.plan(wrong),
        lambda: asyncio.run(desk.propose(OTHER_OFFICER, wrong)),
        lambda: register(world, wrong),
    )

    for way in ways:
        with pytest.raises(DeclarationInvalid) as caught:
            way()
        assert "too-many-predicates" == caught.value.code
        assert "for all of its purposes" in caught.value.what
        assert ", ".join(sorted(names)) in caught.value.what
        assert caught.value.remedy.startswith(f"leave out {names[-1]}, or ")
        assert "third" in caught.value.remedy

    assert before == proposals(world)
    assert world.platform.consents.declaration(SERVICE, "fourth") is None
    # What it says helps: what another purpose leaves out is free.
    publish(world.platform, declared("third", version=2))
    publish(world.platform, wrong)


def test_what_is_proposed_at_once_is_counted_when_it_is_approved(
    world: World,
) -> None:
    """Of two proposals that fit alone, one is published."""
    desk = world.platform.declarations
    register(world, declared(OTHER, *AGES[:2]))
    last = declared("fourth", AGES[3])
    number = asyncio.run(desk.propose(OTHER_OFFICER, last))
    publish(world.platform, declared("third", AGES[2]))

    with pytest.raises(DeclarationInvalid, match="for all of its purposes"):
        publish(world.platform, last)

    assert "proposed" == desk.proposal(number).state.value


def test_of_two_registrations_at_once_one_is_refused(world: World) -> None:
    """The second waits for the first, and finds what it registered."""
    register(world, declared(OTHER, *AGES[:2]))
    store, held = world.platform.consents, Event()
    refused: list[DeclarationInvalid] = []

    def second() -> None:
        held.wait(60)
        try:
            register(world, declared("fourth", AGES[3]))
        except DeclarationInvalid as error:
            refused.append(error)

    thread = Thread(target=second)
    thread.start()
    with world.platform.data.begin() as conn:
        store.register(conn, declared("third", AGES[2]))
        held.set()
        # It cannot end before this does; where it has not begun, no matter.
        thread.join(0.2)
        assert thread.is_alive()
    thread.join(60)

    assert 1 == len(refused)


def test_the_same_questions_count_once(world: World) -> None:
    """What two purposes ask alike tells no more than what one asks."""
    register(world, declared(OTHER, *AGES[:3]))
    register(world, declared("third", *AGES[:3]))
    register(world, declared("fourth", *PLACES[:5]))


def test_another_service_is_counted_by_itself(world: World) -> None:
    """Services are told apart by their credentials, and do not hear alike."""
    register(world, declared(OTHER, *AGES[:3]))
    register(world, declared(OTHER, *AGES[3:], service="library"))


def test_a_new_version_takes_the_place_of_its_own(world: World) -> None:
    """What the version before asked is not counted beside it."""
    register(world, declared(OTHER, *AGES[:3]))
    register(world, declared(OTHER, *AGES[3:], version=2))
    # One that does not come into force asks nothing.
    register(world, declared(OTHER, *AGES[:2], version=1))


def test_what_was_too_much_before_can_be_lessened(world: World) -> None:
    """A version that adds nothing is published; one that adds is not."""
    force(world, declared(OTHER, *AGES[:3]))
    force(world, declared("third", *AGES[3:]))

    publish(world.platform, declared("fourth"))
    publish(world.platform, declared(OTHER, *AGES[:2], version=2))
    with pytest.raises(DeclarationInvalid, match="for all of its purposes"):
        register(world, declared(OTHER, *AGES[1:3], version=3))
    publish(world.platform, declared("third", AGES[3], version=2))
    register(world, declared(OTHER, *AGES[1:3], version=3))


def test_what_does_not_read_is_not_left_uncounted(world: World) -> None:
    """A damaged purpose of the same service could ask anything."""
    register(world, declared(OTHER, *AGES[:3]))
    with world.platform.data.begin() as conn:
        assert spoil(conn, OTHER)
    store = ConsentStore(world.platform.data, "test", macs=world.platform.macs)

    with (
        pytest.raises(DeclarationInvalid, match="restore it from a backup"),
        world.platform.data.begin() as conn,
    ):
        store.register(conn, declared("third", AGES[3]))


def spoil(conn: Connection, purpose: str) -> int:
    """Cut a stored declaration off."""
    return conn.execute(
        text("UPDATE consent_declaration SET text = '{' WHERE purpose = :it"),
        {"it": purpose},
    ).rowcount
