"""Which declarations there are cannot be forged by whoever writes the tables.

Each attack is of somebody who can write the data database and has nothing
else. A process that starts then, and one that runs and is told of a change,
give no decision about anybody; once the rows are put back, both decide again.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, text

from api.migrations.isolation import open_tables
from api.platform import Platform
from consent import (
    ConsentStore,
    Declaration,
    EntryKind,
    LegalBasis,
    RowForged,
    RowMacs,
    Visibility,
    load_yaml,
    write_declaration,
)
from consent.registry_rows import RegistryRows, Standing
from policy import Cause, NoDecision, RecordUnknown, visibility_rows
from tests.databases import Kind
from tests.doors import Door, assert_problem, at_the_door, body_about
from tests.test_cli import Shell, _clean
from tests.test_counted_uses import permitting, prefer
from tests.test_damage import heard
from tests.test_signals import at_home
from tests.test_undecided import own
from tests.test_visibility import POLICE, inquiry, rule
from tests.worlds import (
    ADDRESS,
    BIRTH,
    DECLARATION,
    OFFICER,
    OTHER_OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    publish,
    reopen,
)

__all__ = ["_clean"]
PEOPLE = ("consenting", "refusing", "nobody")
# A declaration is deleted before, and put back after, its answers.
TABLES = (
    "policy_visibility",
    "consent_event",
    "consent_registry",
    "consent_declaration",
)
OURS = f"service = '{SERVICE}' AND purpose = '{PURPOSE}'"
NEWEST = (
    "DELETE FROM consent_declaration WHERE version ="
    f" (SELECT MAX(version) FROM consent_declaration WHERE {OURS}) AND {OURS}"
)


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application, with a narrower version in force and a rule."""
    home = tmp_path_factory.mktemp("forged") / "home"
    with build_world(home, database=database) as world:
        publish(world.platform, narrower())
        publish(world.platform, load_yaml(POLICE.encode(), where="police"))
        rule(world.platform, Visibility.SEALED)
        rule(world.platform, Visibility.IMMEDIATE, days=0)
        with at_the_door(world) as made:
            yield made


def version(number: int, basis: str = "consent") -> Declaration:
    """Another version of the one that the cast answered."""
    changed = DECLARATION.replace("version: 1", f"version: {number}")
    return load_yaml(
        changed.replace("basis: consent", f"basis: {basis}").encode(),
        where="test",
    )


def narrower() -> Declaration:
    """A second version, which asks for less."""
    whole = version(2)
    [statement] = whole.statements
    less = DECLARATION.replace("version: 1", "version: 2").replace(
        f"      - {{attribute: {BIRTH}, optional: true}}\n", ""
    )
    made = load_yaml(less.encode(), where="test")
    assert BIRTH in statement.attributes
    assert BIRTH not in made.statements[0].attributes
    return made


def insert(
    conn: Connection, declaration: Declaration, tenant: str = "test"
) -> None:
    """Put a declaration among the rows, sound under its own digest."""
    conn.execute(
        text(
            "INSERT INTO consent_declaration (tenant, digest, service,"
            " purpose, version, text) VALUES (:tenant, :digest, :service,"
            " :purpose, :version, :text)"
        ),
        {
            "tenant": tenant,
            "digest": declaration.digest,
            "service": declaration.service,
            "purpose": declaration.purpose,
            "version": declaration.version,
            "text": write_declaration(declaration),
        },
    )


def by_law(conn: Connection) -> None:
    """A higher version, by which nobody is asked."""
    insert(conn, version(9, "legal-obligation"))


def retenanted(conn: Connection) -> None:
    """The row of another tenant, who declared it by law, made ours."""
    server = conn.dialect.name == "postgresql"
    if server:
        conn.execute(
            text("ALTER TABLE consent_declaration DISABLE ROW LEVEL SECURITY")
        )
    insert(conn, version(9, "legal-obligation"), tenant="county")
    conn.execute(
        text(
            "UPDATE consent_declaration SET tenant = 'test'"
            " WHERE tenant = 'county'"
        )
    )
    if server:
        conn.execute(
            text("ALTER TABLE consent_declaration ENABLE ROW LEVEL SECURITY")
        )
        assert [] == open_tables(conn)


@dataclass(frozen=True, slots=True)
class Statement:
    """An attack that is one statement."""

    sql: str

    def __call__(self, conn: Connection) -> None:
        """Run it; it does something."""
        assert conn.execute(text(self.sql)).rowcount


ATTACKS = {
    "a higher version by law": by_law,
    "the newest version deleted": Statement(NEWEST),
    "the only version of another purpose deleted": Statement(
        "DELETE FROM consent_declaration WHERE service = 'statistics-office'"
    ),
    "a version edited": Statement(
        f"UPDATE consent_declaration SET version = 7 WHERE version = 1"
        f" AND {OURS}"
    ),
    "a purpose edited": Statement(
        "UPDATE consent_declaration SET purpose = 'address-change', service ="
        f" '{SERVICE}', version = 9 WHERE service = 'statistics-office'"
    ),
    "a digest edited": Statement(
        "UPDATE consent_declaration SET digest = 'zz'"
        " WHERE service = 'statistics-office'"
    ),
    "a row of another tenant": retenanted,
    "no code": Statement("UPDATE consent_registry SET mac = NULL"),
    "a count edited": Statement(
        "UPDATE consent_registry SET revision = revision + 9"
    ),
    "a count that went back": Statement(
        "UPDATE consent_registry SET revision = 1"
    ),
    "no registry": Statement("DELETE FROM consent_registry"),
    "a rule that seals": Statement(
        "INSERT INTO policy_visibility (tenant, number, service, purpose,"
        " visibility, days, basis, law, proposer, proposed_at, officer,"
        f" since) VALUES ('test', 9, '{SERVICE}', '{PURPOSE}', 'sealed', 9,"
        " 'public-task', 'x', 'a', 1, 'b', 2)"
    ),
    "the newest rule deleted": Statement(
        "DELETE FROM policy_visibility WHERE visibility = 'immediate'"
    ),
    "a rule edited": Statement("UPDATE policy_visibility SET days = 9"),
}


@contextmanager
def attacked(world: World, attack: Any) -> Iterator[None]:  # noqa: ANN401 - a statement or a function
    """Attack, and put the tables back as they were."""
    data = world.platform.data
    with data.begin() as conn:
        rows = {
            table: conn.exec_driver_sql(f"SELECT * FROM {table}").all()
            for table in TABLES
        }
        attack(conn)
    try:
        yield
    finally:
        with data.begin() as conn:
            put_back(conn, rows)


def put_back(conn: Connection, rows: Mapping[str, Any]) -> None:
    """Make the tables what they were."""
    mark = "?" if conn.dialect.name == "sqlite" else "%s"
    for table in TABLES:
        conn.exec_driver_sql(f"DELETE FROM {table}")
    for table in reversed(TABLES):
        for row in rows[table]:
            marks = ", ".join([mark] * len(row))
            conn.exec_driver_sql(
                f"INSERT INTO {table} VALUES ({marks})", tuple(row)
            )


def tell(world: World) -> None:
    """Count, as a change does, so that who runs reads the rows again."""
    with world.platform.data.begin() as conn:
        conn.execute(
            text("UPDATE consent_registry SET revision = revision + 1")
        )


async def asked(platform: Platform, world: World) -> list[object]:
    """Ask about some characters in each of the gate's ways."""
    requests = [world.request(one, *ADDRESS) for one in PEOPLE]
    found: list[object] = await asyncio.gather(
        *map(platform.rounds.disclose, requests),
        *map(platform.gate.disclose, requests),
        return_exceptions=True,
    )
    found += await platform.batch.disclose(requests)
    return [heard(one) for one in found]


def asked_anew(world: World, attack: Any) -> list[list[object]]:  # noqa: ANN401 - as above
    """Ask a process that starts under an attack, and once it is over."""
    platform = reopen(world)

    async def story() -> list[list[object]]:
        async with platform.running():
            with attacked(world, attack):
                size = platform.ledger.size()
                under = await asked(platform, world)
                assert size + len(under) == platform.ledger.size()
                assert_told(world)
            return [under, await asked(platform, world)]

    try:
        return asyncio.run(story())
    finally:
        platform.close()


def assert_told(world: World) -> None:
    """The person sees at once that nothing was decided."""
    entry = own(world, "consenting")
    assert EntryKind.NO_DECISION is entry.kind
    assert {"cause": "damaged"} == entry.detail


@pytest.mark.parametrize("name", ATTACKS)
def test_a_forged_registry_is_no_decision(door: Door, name: str) -> None:
    """503 and an entry for everybody, in every process, until it is right."""
    world, attack = door.world, ATTACKS[name]
    assert door.client.portal is not None
    before = door.client.portal.call(asked, world.platform, world)
    nothing = [Cause.DAMAGED] * len(before)

    assert [nothing, before] == asked_anew(world, attack)
    with attacked(world, attack):
        tell(world)
        size = door.size()
        under = door.client.portal.call(asked, world.platform, world)
        assert size + len(under) == door.size()
        assert_told(world)
        found = door.ask(body_about(world, "consenting", *ADDRESS))

    assert nothing == under
    assert "damaged" == assert_problem(found, 503)["cause"]
    assert "Canary" not in found.text
    assert before == door.client.portal.call(asked, world.platform, world)


@pytest.mark.parametrize(
    "name",
    [
        "a higher version by law",
        "the newest version deleted",
        "no code",
        "no registry",
        "the newest rule deleted",
    ],
)
def test_a_change_launders_nothing(door: Door, name: str) -> None:
    """Whoever registers, proposes or confirms finds it and changes nothing."""
    world = door.world
    police = load_yaml(
        POLICE.replace("version: 1", "version: 2").encode(), where="police"
    )
    with attacked(world, ATTACKS[name]):
        ways = (
            lambda: register(world, police),
            lambda: publish(world.platform, police),
            lambda: rule(world.platform, Visibility.SEALED),
            lambda: count(world),
        )
        tell(world)
        for way in ways:
            with pytest.raises(RowForged, match="consent_registry"):
                way()
    assert police not in world.platform.consents.declarations()


def register(world: World, declaration: Declaration) -> None:
    """Register in a transaction of its own."""
    with world.platform.data.begin() as conn:
        world.platform.consents.register(conn, declaration)


def count(world: World) -> None:
    """Count a change of nothing."""
    with (
        world.platform.data.begin() as conn,
        world.platform.consents.registry_change(conn),
    ):
        pass


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast, to change."""
    with build_world(tmp_path / "home", database=database) as made:
        yield made


def store(world: World, **macs: bool) -> ConsentStore:
    """The consents of another process of the instance."""
    platform = world.platform
    key = platform.macs
    if macs:
        key = RowMacs(key._key, "test", **macs)
    return ConsentStore(
        platform.data, "test", macs=key, beside=visibility_rows()
    )


def saved(world: World) -> Mapping[str, Any]:
    """The rows as they are."""
    with world.platform.data.begin() as conn:
        return {
            table: conn.exec_driver_sql(f"SELECT * FROM {table}").all()
            for table in TABLES
        }


def test_the_code_of_an_older_count_is_refused(world: World) -> None:
    """The newest version is gone, with the code of before it was there."""
    [(older,)] = codes(world)
    register(world, narrower())

    def attack(conn: Connection) -> None:
        conn.execute(text(NEWEST))
        conn.execute(
            text("UPDATE consent_registry SET mac = :mac"), {"mac": older}
        )

    under, after = asked_anew(world, attack)
    assert {Cause.DAMAGED} == {*under}
    assert Cause.DAMAGED not in after


def codes(world: World) -> list[tuple[bytes]]:
    """The registry's code."""
    with world.platform.data.connect() as conn:
        found = conn.execute(text("SELECT mac FROM consent_registry"))
        return [(bytes(one.mac),) for one in found]


def test_another_state_of_the_same_count_is_refused(world: World) -> None:
    """A set that was put back is no later one for going on from there."""
    here = store(world)
    before = saved(world)
    register(world, version(2))
    assert version(2) == here.declaration(SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        put_back(conn, before)
    register(world, version(3))

    with pytest.raises(RowForged):
        here.declaration(SERVICE, PURPOSE)
    assert version(3) == store(world).declaration(SERVICE, PURPOSE)


def test_an_earlier_state_is_refused_by_who_knows_better(world: World) -> None:
    """All of it, code and count, put back under a process that runs."""
    here = store(world)
    before = saved(world)
    register(world, narrower())
    after = saved(world)
    assert narrower() == here.declaration(SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        put_back(conn, before)
    with pytest.raises(RowForged):
        here.declaration(SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        put_back(conn, after)

    assert narrower() == here.declaration(SERVICE, PURPOSE)


def test_every_reader_is_told(world: World) -> None:
    """By purpose, by digest, all of them, and in a transaction."""
    here, digest = store(world), world.declaration.digest
    with attacked(world, by_law):
        ways = (
            lambda: here.declaration(SERVICE, PURPOSE),
            lambda: here.declaration_by_digest(digest),
            here.declarations,
            lambda: here.beside(anew=True),
            lambda: answer(world, here),
        )
        for way in ways:
            with pytest.raises(RowForged):
                way()

    assert world.declaration == here.declaration_by_digest(digest)


def answer(world: World, consents: ConsentStore) -> None:
    """Let a character refuse by the forged version."""
    from consent import EventType  # noqa: PLC0415 - used once

    event = world.event("consenting", EventType.REFUSED)
    forged = version(9, "legal-obligation")
    with world.platform.data.begin() as conn:
        consents.record(conn, replace(event, declaration=forged.digest))


def test_what_is_not_committed_is_seen_and_not_kept(world: World) -> None:
    """A transaction reads its own registration; nobody believes it after."""
    here, newer = store(world), version(2)
    with world.platform.data.connect() as conn:
        with conn.begin() as transaction:
            here.register(conn, newer)
            seen = here._registry.by_digest(newer.digest, conn)
            transaction.rollback()
        gone = here._registry.by_digest(newer.digest, conn)

    assert (newer, None) == (seen, gone)
    assert world.declaration == here.declaration(SERVICE, PURPOSE)


def test_vouching_takes_what_stands_there(world: World) -> None:
    """An operator who put a row there by hand says so."""
    here, newer = store(world), version(2)
    with world.platform.data.begin() as conn:
        insert(conn, newer)
    with pytest.raises(RowForged):
        here.declaration(SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        here.vouch_registry(conn)

    assert newer == here.declaration(SERVICE, PURPOSE)
    register(world, version(3))
    assert version(3) == here.declaration(SERVICE, PURPOSE)


def test_before_somebody_vouched_nothing_is_checked(world: World) -> None:
    """An instance of before goes on, and writes codes all the same."""
    before, newer = store(world, required=False), version(2)
    with world.platform.data.begin() as conn:
        conn.execute(text("UPDATE consent_registry SET mac = NULL"))
    with pytest.raises(RowForged):
        store(world).declaration(SERVICE, PURPOSE)
    assert world.declaration == before.declaration(SERVICE, PURPOSE)
    with world.platform.data.begin() as conn:
        before.register(conn, newer)

    assert newer == before.declaration(SERVICE, PURPOSE)
    assert newer == store(world).declaration(SERVICE, PURPOSE)


def slip_in(
    monkeypatch: pytest.MonkeyPatch, attack: Callable[[Connection], object]
) -> None:
    """Attack once a change has found all to be right."""
    read = RegistryRows.read

    def then(self: RegistryRows, conn: Connection | None = None) -> Standing:
        found = read(self, conn)
        if conn is not None:
            attack(conn)
        return found

    monkeypatch.setattr(RegistryRows, "read", then)


def test_a_registration_does_not_vouch_for_what_slipped_in(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody is answered by it; without it the registration stands."""
    here, newer = store(world), version(2)
    slip_in(monkeypatch, by_law)
    register(world, newer)
    with pytest.raises(RowForged):
        here.declaration(SERVICE, PURPOSE)
    monkeypatch.undo()
    with world.platform.data.begin() as conn:
        conn.execute(text(NEWEST))

    assert newer == here.declaration(SERVICE, PURPOSE)
    assert newer == world.platform.consents.declaration(SERVICE, PURPOSE)


@pytest.mark.parametrize("act", ["propose", "confirm"])
def test_a_rule_does_not_vouch_for_what_slipped_in(
    world: World, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Neither a proposal nor a confirmation does; without it they stand."""
    desk = world.platform.visibility
    publish(world.platform, load_yaml(POLICE.encode(), where="police"))
    rule(world.platform, Visibility.SEALED)
    # Of the rule before it, or of the one that is confirmed.
    which = f"WHERE number = {1 if act == 'propose' else 2}"

    async def propose() -> int:
        return await desk.propose(
            OFFICER,
            service="police",
            purpose="investigation",
            visibility=Visibility.SEALED,
            days=30,
            basis=LegalBasis.PUBLIC_TASK,
            law="Test Act 1",
        )

    async def confirm(number: int) -> None:
        await desk.confirm(OTHER_OFFICER, number)

    def longer(conn: Connection) -> None:
        conn.execute(text(f"UPDATE policy_visibility SET days = 99 {which}"))

    if act == "propose":
        slip_in(monkeypatch, longer)
        number = asyncio.run(propose())
    else:
        number = asyncio.run(propose())
        slip_in(monkeypatch, longer)
        asyncio.run(confirm(number))
    with pytest.raises(RowForged):
        desk.rules()
    monkeypatch.undo()
    with world.platform.data.begin() as conn:
        conn.execute(text(f"UPDATE policy_visibility SET days = 30 {which}"))

    _, found = desk.rules()
    assert (number, act == "confirm") == (found.number, bool(found.officer))


def test_a_rule_that_only_slipped_in_is_not_confirmed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was found right does not have it, so it does not wait."""
    rules = world.platform.visibility._rules
    rule(
        world.platform,
        Visibility.IMMEDIATE,
        days=0,
        service=SERVICE,
        purpose=PURPOSE,
    )

    def another(conn: Connection) -> None:
        conn.execute(
            text(
                "INSERT INTO policy_visibility SELECT tenant, 7, service,"
                " purpose, visibility, days, basis, law, proposer,"
                " proposed_at, '', NULL FROM policy_visibility"
            )
        )

    slip_in(monkeypatch, another)
    with (
        pytest.raises(RecordUnknown),
        world.platform.data.begin() as conn,
    ):
        rules.confirm(conn, 7, OTHER_OFFICER.id, 5)


def test_an_empty_registry_is_not_a_new_one(world: World) -> None:
    """Where everything was deleted there is no decision, and no denial."""
    with world.platform.data.begin() as conn:
        for table in TABLES:
            conn.execute(text(f"DELETE FROM {table}"))
    for consents in (world.platform.consents, store(world)):
        with pytest.raises(RowForged):
            consents.declaration(SERVICE, PURPOSE)


def test_a_reader_beside_registrations_finds_each_state_whole(
    world: World,
) -> None:
    """No state is half of one and half of the next, and none is refused."""
    here, seen = store(world), []

    async def register_many() -> None:
        for number in range(2, 12):
            await asyncio.to_thread(register, world, version(number))

    async def read() -> None:
        writing = asyncio.create_task(register_many())
        while not writing.done():
            found = await asyncio.to_thread(here.declaration, SERVICE, PURPOSE)
            assert found is not None
            seen.append(found.version)
        await writing

    asyncio.run(read())
    assert sorted(seen) == seen
    assert version(11) == here.declaration(SERVICE, PURPOSE)


def test_a_forged_rule_withholds_nothing(tmp_path: Path) -> None:
    """Neither in a process that starts, nor for an officer who looks."""
    with build_world(tmp_path / "home") as world:
        publish(world.platform, load_yaml(POLICE.encode(), where="police"))
        with world.platform.data.begin() as conn:
            for number, service, purpose in (
                (1, "police", "investigation"),
                (2, "registrar", "officer-view"),
            ):
                conn.execute(
                    text(
                        "INSERT INTO policy_visibility (tenant, number,"
                        " service, purpose, visibility, days, basis, law,"
                        " proposer, proposed_at, officer, since) VALUES"
                        f" ('test', {number}, '{service}', '{purpose}',"
                        f" 'sealed', 9, '{LegalBasis.PUBLIC_TASK}', 'x', 'a',"
                        " 1, 'b', 2)"
                    )
                )
        platform = reopen(world)

        async def story() -> None:
            async with platform.running():
                [found] = await asyncio.gather(
                    platform.gate.disclose(inquiry(world, "consenting")),
                    return_exceptions=True,
                )
                assert Cause.DAMAGED is heard(found)
                assert_told(world)
                await platform.registrar.officer_view(
                    OFFICER,
                    world.cast["consenting"],
                    frozenset({BIRTH}),
                    justification="asked for it",
                )
                assert EntryKind.OFFICER_VIEW is own(world, "consenting").kind
                assert [] == platform.ledger.review()

        try:
            asyncio.run(story())
        finally:
            platform.close()


def test_a_rule_that_was_right_goes_on_withholding(tmp_path: Path) -> None:
    """Who breaks the registry makes nobody hear of a sealed inquiry."""
    with build_world(tmp_path / "home") as world:
        platform = world.platform
        publish(platform, load_yaml(POLICE.encode(), where="police"))
        rule(platform, Visibility.SEALED)

        async def story() -> list[object]:
            asking = platform.gate.disclose
            await asking(inquiry(world, "consenting"))
            with attacked(world, by_law):
                tell(world)
                return await asyncio.gather(
                    asking(inquiry(world, "consenting")),
                    return_exceptions=True,
                )

        [found] = world.run(story())
        assert Cause.DAMAGED is heard(found)
        assert 2 == len(platform.ledger.review())
        assert EntryKind.NO_DECISION is not own(world, "consenting").kind


def test_the_command_line_says_what_and_what_to_do(world: World) -> None:
    """One line for each command that lists or changes what stands there."""
    shell = Shell(home=world.home, cast=dict(world.cast))
    with attacked(world, by_law):
        for command in (
            ("declaration", "list"),
            ("ledger", "visibility", "list"),
        ):
            line = shell(*command).line()
            assert "consent_registry" in line
            assert "backup" in line
            assert "curtilage vouch" in line


def test_a_page_and_a_program_are_told(tmp_path: Path) -> None:
    """One page with a reference, one problem with a remedy; no more."""
    with at_home(tmp_path / "home") as person:
        before = person.client.get("/me/consents")
        with attacked(person.world, by_law):
            tell(person.world)
            page = person.client.get("/me/consents")
            problem = person.client.get("/w3c/p3p.xml")

    assert 200 == before.status_code
    assert 500 == page.status_code
    assert "<h1" in page.text
    assert "Traceback" not in page.text
    assert "RowForged" not in page.text
    assert (
        "/problems/stored-data-refused"
        == (assert_problem(problem, 500)["type"])
    )


def test_what_is_forged_after_the_decision_is_none_either(
    tmp_path: Path,
) -> None:
    """Where uses are counted, the version answered is read once more."""
    with build_world(tmp_path / "home") as world:
        prefer(world, permitting(uses=2))
        publish(world.platform, narrower())
        platform, now = world.platform, world.clock()
        source = platform.gate._facts
        request = world.request("consenting", *ADDRESS)
        with platform.data.connect() as conn:
            _, facts = source.gather(conn, request, now)
        granted = frozenset(ADDRESS)
        assert source.resting(facts, granted, now)
        with attacked(world, by_law):
            tell(world)
            with pytest.raises(NoDecision) as caught:
                source.resting(facts, granted, now)

    assert Cause.DAMAGED is caught.value.cause
