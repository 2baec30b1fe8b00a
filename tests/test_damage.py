"""Damage in the tables is one person's, or one service's: the others go on.

Rows are changed as an editor, a bad disk or a bad migration would, past every
check of ours. SQLite holds no column to its type; what PostgreSQL refuses to
store is tried on SQLite alone.
"""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from consent import EntryKind, load_yaml, write_declaration
from policy import (
    AccessRequest,
    ByIdentifier,
    Cause,
    Disclosure,
    NoDecision,
)
from tests.databases import Kind
from tests.doors import Door, assert_problem, at_the_door, body_about
from tests.test_undecided import own
from tests.worlds import (
    ADDRESS,
    DECLARATION,
    NUMBER,
    PURPOSE,
    SERVICE,
    STATISTICS,
    World,
    build_world,
    reopen,
)

EVERYBODY = (
    "consenting",
    "limited",
    "refusing",
    "silent",
    "restricted",
    "erased",
    "nobody",
)
VICTIM = "limited"


@dataclass(frozen=True, slots=True, kw_only=True)
class Damage:
    """A statement that spoils a row of a person's, and where."""

    table: str
    sql: str
    sqlite_alone: bool = True
    # Whether the person can be found, so that the entry is their own.
    found: bool = True
    keys: bool = False


def column(table: str, name: str, value: str, *, everywhere: bool) -> Damage:
    """A column of all of a person's rows in a table becomes something."""
    return Damage(
        table=table,
        sql=f"UPDATE {table} SET {name} = {value} WHERE subject = :who",
        sqlite_alone=not everywhere,
    )


def event(name: str, value: str, *, everywhere: bool = False) -> Damage:
    """A column of a person's answers."""
    return column("consent_event", name, value, everywhere=everywhere)


def rules(value: str) -> Damage:
    """The text of a person's rules."""
    return column("consent_preferences", "text", value, everywhere=True)


def entry(name: str, value: str, *, everywhere: bool = False) -> Damage:
    """A column of the index entries that lead to a person."""
    return Damage(
        table="vault_index",
        sql=f"UPDATE vault_index SET {name} = {value} WHERE subject = :who",
        sqlite_alone=not everywhere,
        found=False,
    )


NO_UTF8 = "CAST(x'ff41' AS TEXT)"
DAMAGES = {
    "an answer of no kind": event("type", "'maybe'", everywhere=True),
    "an answer of empty kind": event("type", "''", everywhere=True),
    "attributes as bytes": event("attributes", "x'00ff'"),
    "attributes that are no text": event("attributes", NO_UTF8),
    "an instant as a word": event("at", "'soon'"),
    "an instant as a fraction": event("at", "1790000000.5"),
    "a place in the log": event("revision", "'x'"),
    "an end as a word": event("expires_at", "'never'"),
    "an answer's id": event("id", "'zz'"),
    "a record's id": event("record", "'zz'"),
    "a mandate's id": event("mandate", "'zz'"),
    "a statement that was never declared": event(
        "statement", "'adress'", everywhere=True
    ),
    "a statement as bytes": event("statement", "x'00'"),
    "a statement that is no text": event("statement", NO_UTF8),
    "rules that are no JSON": rules("'{'"),
    "rules that are a list": rules("'[]'"),
    "rules of words": rules("""'{"rules":["x"]}'"""),
    "rules without a behaviour": rules("""'{"rules":[{"id":"a"}]}'"""),
    "rules nested without end": column(
        "consent_preferences",
        "text",
        "replace(hex(zeroblob(100000)), '0', '[')",
        everywhere=False,
    ),
    "rules as bytes": column(
        "consent_preferences", "text", "x'ff'", everywhere=False
    ),
    "a version of rules": column(
        "consent_preferences", "version", "'x'", everywhere=False
    ),
    "a fact revision": column(
        "consent_revision", "revision", "'many'", everywhere=False
    ),
    "uses that are no numbers": Damage(
        table="consent_use",
        sql="INSERT INTO consent_use (tenant, subject, service, purpose,"
        f" rule, total, recent) VALUES ('test', :who, '{SERVICE}',"
        f" '{PURPOSE}', 'year-only', 1, 'one two')",
        sqlite_alone=False,
    ),
    "uses in a word": Damage(
        table="consent_use",
        sql="INSERT INTO consent_use (tenant, subject, service, purpose,"
        f" rule, total, recent) VALUES ('test', :who, '{SERVICE}',"
        f" '{PURPOSE}', 'year-only', 'few', '')",
    ),
    "uses under bytes": Damage(
        table="consent_use",
        sql="INSERT INTO consent_use (tenant, subject, service, purpose,"
        f" rule, total, recent) VALUES ('test', :who, '{SERVICE}',"
        f" '{PURPOSE}', x'00ff', 1, '')",
    ),
    "a fraction of a use": Damage(
        table="consent_use",
        sql="INSERT INTO consent_use (tenant, subject, service, purpose,"
        f" rule, total, recent) VALUES ('test', :who, '{SERVICE}',"
        f" '{PURPOSE}', 'year-only', 0.5, '')",
    ),
    "a restraint of no kind": Damage(
        table="policy_restraint",
        sql="INSERT INTO policy_restraint (id, tenant, subject, kind,"
        " purpose, since) VALUES (:who, 'test', :who, 'restrictiom', '', 1)",
        sqlite_alone=False,
    ),
    "an objection to bytes": Damage(
        table="policy_restraint",
        sql="INSERT INTO policy_restraint (id, tenant, subject, kind,"
        " purpose, since) VALUES (:who, 'test', :who, 'objection', x'00', 1)",
    ),
    "whom an entry leads to": entry("subject", "'zz'"),
    "whom an entry leads to, as bytes": entry("subject", "x'00'"),
    "whom an entry leads to, as no text": entry("subject", NO_UTF8),
    "the version of an entry, as bytes": entry("version", "x'01'"),
    "the version of an entry": entry("version", "'x'"),
    "a later version of an entry": entry("version", "99", everywhere=True),
    "the place of an entry": entry("place", "'x'"),
    "another place of an entry": entry("place", "7", everywhere=True),
    "the tag of an entry": entry("binding", "'x'"),
    "a wrapped key": Damage(
        table="vault_dek",
        sql="UPDATE vault_dek SET blob = commitment WHERE subject = :who",
        sqlite_alone=False,
        found=False,
        keys=True,
    ),
    "the state of a key": Damage(
        table="vault_dek",
        sql="UPDATE vault_dek SET state = 'odd' WHERE subject = :who",
        sqlite_alone=False,
        found=False,
        keys=True,
    ),
    "the length of a wrapped key": Damage(
        table="vault_dek",
        sql="UPDATE vault_dek SET blob = 'x' WHERE subject = :who",
        found=False,
        keys=True,
    ),
    "a number of an attribute": Damage(
        table="vault_value",
        sql="UPDATE vault_value SET attribute = 'x' WHERE subject = :who "
        "AND attribute = (SELECT MAX(attribute) FROM vault_value "
        "WHERE subject = :who)",
        found=False,
    ),
}


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with its cast, shared: each test repairs."""
    home = tmp_path_factory.mktemp("damage") / "home"
    with (
        build_world(home, database=database) as world,
        at_the_door(world) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def file_door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """The same on files."""
    home = tmp_path_factory.mktemp("damage") / "home"
    with build_world(home) as world, at_the_door(world) as made:
        yield made


@contextmanager
def damaged(world: World, damage: Damage) -> Iterator[None]:
    """Spoil a person's rows, and put the table back afterwards."""
    platform = world.platform
    data = platform.keys if damage.keys else platform.data
    sqlite = data.dialect.name == "sqlite"
    who = world.cast[VICTIM]
    with data.begin() as conn:
        rows = conn.exec_driver_sql(f"SELECT * FROM {damage.table}").all()
        spoilt = conn.execute(
            text(damage.sql), {"who": who.hex if sqlite else who}
        )
        assert spoilt.rowcount
    try:
        yield
    finally:
        with data.begin() as conn:
            conn.exec_driver_sql(f"DELETE FROM {damage.table}")
            for row in rows:
                marks = ", ".join(["?" if sqlite else "%s"] * len(row))
                conn.exec_driver_sql(
                    f"INSERT INTO {damage.table} VALUES ({marks})", tuple(row)
                )


def heard(outcome: object) -> object:
    """An outcome without what is of the moment."""
    if isinstance(outcome, Disclosure):
        return outcome.attributes, outcome.guidance
    assert isinstance(outcome, NoDecision), outcome
    return outcome.cause


def ask(door: Door, way: str, *names: str) -> list[object]:
    """Ask about some characters, by the gate's one door or another."""
    platform = door.world.platform
    asked = [door.world.request(name, *ADDRESS) for name in names]

    async def each() -> list[object]:
        alone = platform.gate if way == "alone" else platform.rounds
        return await asyncio.gather(
            *(alone.disclose(one) for one in asked), return_exceptions=True
        )

    async def together(requests: list[AccessRequest]) -> list[object]:
        return [*await platform.batch.disclose(requests)]

    assert door.client.portal is not None
    if way == "batch":
        found = door.client.portal.call(together, asked)
    else:
        found = door.client.portal.call(each)
    return [heard(one) for one in found]


@pytest.mark.parametrize(
    "name", [one for one in DAMAGES if not DAMAGES[one].sqlite_alone]
)
def test_damage_of_one_person_is_that_persons(door: Door, name: str) -> None:
    """Alone, in a round and in a batch: no decision, an entry, a 503."""
    assert_of_one(door, DAMAGES[name])


@pytest.mark.parametrize(
    "name", [one for one in DAMAGES if DAMAGES[one].sqlite_alone]
)
def test_values_of_another_type_are_that_persons(
    file_door: Door, name: str
) -> None:
    """The same of what only a file stores."""
    assert_of_one(file_door, DAMAGES[name])


def test_whom_a_question_names_reads_or_is_undecided(door: Door) -> None:
    """The record that an identifier leads to, for a question to its person."""
    world = door.world
    named = ByIdentifier(attribute=NUMBER, value=world.values[VICTIM][NUMBER])
    facts = world.platform.asking._facts
    assert world.cast[VICTIM] == facts.record_of(named)
    later = DAMAGES["a later version of an entry"]
    with damaged(world, later), pytest.raises(NoDecision) as caught:
        facts.record_of(named)
    assert Cause.DAMAGED is caught.value.cause


def assert_of_one(door: Door, damage: Damage) -> None:
    """Damage takes the answer from one person, whoever asks how."""
    world = door.world
    expected = ask(door, "alone", *EVERYBODY)
    spoilt = [
        Cause.DAMAGED if one == VICTIM else before
        for one, before in zip(EVERYBODY, expected, strict=True)
    ]

    with damaged(world, damage):
        for way in ("alone", "round", "batch"):
            size = door.size()
            assert spoilt == ask(door, way, *EVERYBODY), way
            assert size + len(EVERYBODY) == door.size(), way
        found = door.ask(body_about(world, VICTIM, *ADDRESS))
        body = assert_problem(found, 503)
        other = door.ask(body_about(world, "consenting", *ADDRESS))
        if damage.found:
            told = own(world, VICTIM)
            assert EntryKind.NO_DECISION is told.kind
            assert {"cause": "damaged"} == told.detail

    assert "damaged" == body["cause"]
    assert "Canary" not in found.text
    assert 200 == other.status_code
    assert expected == ask(door, "round", *EVERYBODY)


@pytest.mark.parametrize(
    "change",
    [
        "text = '{'",
        "text = '[]'",
        "text = replace(text, 'optional', 'optionaI')",
        "text = replace(text, '\"version\"', '\"Version\"')",
    ],
)
def test_a_damaged_declaration_is_its_services(
    tmp_path: Path, database: Kind, change: str
) -> None:
    """Its service gets no decision about anybody; another one is answered."""
    with build_world(tmp_path / "home", database=database) as world:
        with world.platform.data.begin() as conn:
            spoilt = conn.execute(
                text(
                    f"UPDATE consent_declaration SET {change}"
                    f" WHERE service = '{SERVICE}'"
                )
            )
            assert 1 == spoilt.rowcount
        platform = reopen(world)
        asked = [world.request(one, *ADDRESS) for one in EVERYBODY]
        other = load_yaml(STATISTICS.encode(), where="test")

        async def story() -> None:
            async with platform.running():
                size = platform.ledger.size()
                found = await asyncio.gather(
                    *map(platform.rounds.disclose, asked),
                    *map(platform.gate.disclose, asked),
                    return_exceptions=True,
                )
                found += await platform.batch.disclose(asked)
                assert {Cause.DAMAGED} == {heard(one) for one in found}
                assert size + len(found) == platform.ledger.size()
                assert other == platform.consents.declaration(
                    other.service, other.purpose
                )
                put_back(world)
                answers = await platform.batch.disclose(asked)
                assert all(isinstance(one, Disclosure) for one in answers)

        try:
            asyncio.run(story())
        finally:
            platform.close()


def put_back(world: World) -> None:
    """Put the declaration back, as from a backup: nothing is counted."""
    declared = load_yaml(DECLARATION.encode(), where="test")
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                "UPDATE consent_declaration SET text = :text,"
                f" digest = :digest WHERE service = '{SERVICE}'"
            ),
            {"text": write_declaration(declared), "digest": declared.digest},
        )
