"""Rows of consent and restraints held against the ledger, attack by attack.

Each attack is by somebody who writes the data database alone. That the gate
answers by what they left, and that the sweeps of ledger and vault see
nothing, is asserted beside what this sweep says.
"""

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from sqlalchemy import Uuid, bindparam, text
from sqlalchemy.exc import DBAPIError
from typer.testing import CliRunner

from api.cli.main import build
from consent import (
    ANYTHING,
    PRESETS,
    ConsentEvent,
    Draft,
    EntryKind,
    EventType,
    LedgerInconsistent,
    Mandate,
    MandateKind,
    OwnEntry,
)
from consent.tables import EventRow, MandateRow, PreferencesRow
from policy import (
    Cause,
    ErasureWaits,
    FactFault,
    FactFinding,
    FactKind,
    Form,
    NoDecision,
    RestraintKind,
)
from policy.consent_writer import entry_of
from policy.fact_rows import told
from policy.tables import RestraintRow
from tests.databases import KINDS, Kind
from tests.test_holding import ask, held
from tests.test_record_desk import merge, unmerge
from tests.worlds import (
    OFFICER,
    PURPOSE,
    SERVICE,
    START,
    STREET,
    World,
    build_world,
)

OTHER = UUID("00000000-0000-4000-8000-00000000abcd")


TABLES = [
    table.metadata.tables[str(table.__tablename__)]
    for table in (EventRow, PreferencesRow, MandateRow, RestraintRow)
]


@contextmanager
def sound(home: Path, kind: Kind) -> Iterator[World]:
    """An instance in which every row has its entry."""
    with build_world(home, database=kind) as made:
        with made.platform.data.begin() as conn:
            # Imposed beside the gate, and so without an entry.
            conn.execute(text("DELETE FROM policy_restraint"))
            made.platform.vouching.person(conn, made.cast["restricted"])
        restrain(made, "restricted", RestraintKind.RESTRICTION)
        restrain(made, "valueless", RestraintKind.OBJECTION, PURPOSE)
        signal(made, "silent")
        empower(made, "limited")
        end(made, "refusing", empower(made, "refusing"))
        assert [] == sweep(made)
        yield made


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A sound instance, on each database."""
    with sound(tmp_path / "home", Kind(request.param)) as made:
        yield made


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """A sound instance for many attacks, on each database."""
    home = tmp_path_factory.mktemp("facts") / "home"
    with sound(home, Kind(request.param)) as made:
        yield made


@pytest.fixture
def target(shared: World) -> Iterator[World]:
    """The shared instance, with its rows put back afterwards."""
    data = shared.platform.data
    with data.connect() as conn:
        kept = [conn.execute(table.select()).all() for table in TABLES]
    yield shared
    with data.begin() as conn:
        for table, rows in zip(TABLES, kept, strict=True):
            conn.execute(table.delete())
            conn.execute(table.insert(), [row._asdict() for row in rows])
    assert [] == sweep(shared)


def restrain(
    world: World, name: str, kind: RestraintKind, purpose: str = ""
) -> None:
    """Let a character restrict or object, at their own door."""
    asyncio.run(
        world.platform.person.restrain(
            world.caller(name), world.cast[name], kind, purpose=purpose
        )
    )


def signal(world: World, name: str) -> None:
    """Let a character's browser signal."""
    asyncio.run(
        world.platform.person.signal(
            world.caller(name), world.cast[name], "gpc", "GET /me/rules"
        )
    )


def empower(world: World, name: str) -> UUID:
    """Let an officer record who may act for a character."""
    made = Mandate(
        id=uuid4(),
        subject=world.cast[name],
        actor="agent:7",
        kind=MandateKind.POWER,
        proof="deed 17/2026",
        scope=(ANYTHING,),
        valid_from=START,
        valid_until=START + 900_000,
        officer=OFFICER.id,
        recorded_at=world.clock.now,
    )
    asyncio.run(
        world.platform.assist.mandate(OFFICER, made, justification="shown")
    )
    return made.id


def end(world: World, name: str, mandate: UUID) -> None:
    """Let an officer end a mandate."""
    asyncio.run(
        world.platform.assist.end_mandate(
            OFFICER,
            world.cast[name],
            mandate,
            at=world.clock.now - 5,
            justification="given back",
        )
    )


def sweep(world: World) -> list[FactFinding]:
    """What the sweep finds."""
    return list(world.platform.fact_sweep().run())


def enter(world: World, name: str, *events: ConsentEvent) -> None:
    """Enter a form of a character's."""
    world.clock.now += 10
    world.platform.registrar.enter_forms_now(
        [Form(subject=world.cast[name], answers=events)]
    )


def released(world: World, name: str) -> bool:
    """Whether the gate gives the street of a character."""
    found = asyncio.run(
        world.platform.gate.disclose(world.request(name, STREET))
    )
    return found.attributes[0].value is not None


def refused(world: World, name: str) -> bool:
    """Whether the gate takes what is stored of a character for damaged."""
    with pytest.raises(NoDecision) as raised:
        released(world, name)
    return raised.value.cause is Cause.DAMAGED


@contextmanager
def unvouched(world: World) -> Iterator[None]:
    """Let rows count without their codes, as in an instance of before."""
    macs = world.platform.macs
    macs.required = False
    try:
        yield
    finally:
        macs.required = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """A statement over rows, and what the sweep has to say.

    Attributes:
        sql: with `:who` and `:other`, the ids of two characters.
        who: the first.
        other: the second, or nobody.
        opens: of whom the gate would give what it withheld before, if
            nothing vouched for the rows.
        said: fault, whose, and columns, of each finding.
        sqlite_alone: whether PostgreSQL's own rules refuse the statement.

    """

    sql: str
    who: str
    other: str = "nobody"
    opens: str = ""
    said: tuple[tuple[str, str, tuple[str, ...]], ...]
    sqlite_alone: bool = False


EVENT = "consent_event WHERE subject = :who"
COPY = (
    "tenant, service, purpose, statement, declaration, notice, language,"
    " type, attributes, at, expires_at, actor, channel, record, recorded_at,"
    " served, mandate, officer"
)
ATTACKS = {
    "a withdrawal deleted": Attack(
        sql=f"DELETE FROM {EVENT} AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("missing", "withdrawn", ()),),
    ),
    "a refusal deleted": Attack(
        sql=f"DELETE FROM {EVENT}",
        who="refusing",
        said=(("missing", "refusing", ()),),
    ),
    "a withdrawal moved to another purpose": Attack(
        sql="UPDATE consent_event SET purpose = 'other'"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("moved", "withdrawn", ("purpose",)),),
    ),
    "a withdrawal moved to another service": Attack(
        sql="UPDATE consent_event SET service = 'other'"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("moved", "withdrawn", ("service",)),),
    ),
    "a withdrawal moved to somebody else": Attack(
        sql="UPDATE consent_event SET subject = :other"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        other="silent",
        opens="withdrawn",
        said=(("moved", "withdrawn", ()),),
    ),
    "a withdrawal moved to nobody": Attack(
        sql="UPDATE consent_event SET subject = :other"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("moved", "withdrawn", ()),),
    ),
    "a yes moved to somebody who gave none": Attack(
        sql="UPDATE consent_event SET subject = :other WHERE subject = :who",
        who="consenting",
        other="silent",
        opens="silent",
        said=(("moved", "consenting", ()),),
    ),
    "a withdrawal of another kind": Attack(
        sql="UPDATE consent_event SET type = 'requested'"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("altered", "withdrawn", ("type",)),),
    ),
    "a withdrawal of a later day": Attack(
        sql="UPDATE consent_event SET at = at + 900000"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        said=(("altered", "withdrawn", ("at",)),),
    ),
    "a withdrawal of another statement": Attack(
        sql="UPDATE consent_event SET statement = 'other'"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        said=(("altered", "withdrawn", ("statement",)),),
    ),
    "a yes put behind the no": Attack(
        sql="UPDATE consent_event SET revision = 900"
        " WHERE subject = :who AND type = 'given'",
        who="withdrawn",
        opens="withdrawn",
        said=(("altered", "withdrawn", ("revision",)),),
    ),
    "a yes made longer": Attack(
        sql="UPDATE consent_event SET expires_at = 4000000000"
        " WHERE subject = :who",
        who="consenting",
        said=(("altered", "consenting", ("expires_at",)),),
    ),
    "a yes made wider": Attack(
        sql="UPDATE consent_event SET attributes = attributes || ' x.y'"
        " WHERE subject = :who",
        who="consenting",
        said=(("altered", "consenting", ("attributes",)),),
    ),
    "an answer that does not read": Attack(
        sql="UPDATE consent_event SET type = 'maybe' WHERE subject = :who",
        who="refusing",
        said=(("altered", "refusing", ("*",)),),
    ),
    "a yes that nobody gave": Attack(
        sql=f"INSERT INTO consent_event ({COPY}, subject, revision, id)"
        f" SELECT {COPY}, :other, 900, :fresh FROM {EVENT}",
        who="consenting",
        other="refusing",
        opens="refusing",
        said=(("added", "refusing", ()),),
    ),
    "rules deleted": Attack(
        sql="DELETE FROM consent_preferences WHERE subject = :who",
        who="limited",
        said=(("missing", "limited", ()),),
    ),
    "rules moved to somebody else": Attack(
        sql="UPDATE consent_preferences SET subject = :other"
        " WHERE subject = :who",
        who="limited",
        other="silent",
        said=(("moved", "limited", ()),),
    ),
    "rules of another text": Attack(
        sql="UPDATE consent_preferences SET text ="
        " replace(text, 'refuse', 'allow') WHERE subject = :who",
        who="limited",
        said=(("altered", "limited", ("text",)),),
    ),
    "rules of another number": Attack(
        sql="UPDATE consent_preferences SET version = 3 WHERE subject = :who",
        who="limited",
        said=(("altered", "limited", ("version",)),),
    ),
    "rules that nobody chose": Attack(
        sql="INSERT INTO consent_preferences (tenant, subject, version, at,"
        " text) SELECT tenant, subject, 2, at, text FROM consent_preferences"
        " WHERE subject = :who",
        who="limited",
        said=(("added", "limited", ()),),
    ),
    "a restriction deleted": Attack(
        sql="DELETE FROM policy_restraint WHERE subject = :who",
        who="restricted",
        opens="restricted",
        said=(("missing", "restricted", ()),),
    ),
    "a restriction moved to somebody else": Attack(
        sql="UPDATE policy_restraint SET subject = :other"
        " WHERE subject = :who",
        who="restricted",
        other="silent",
        opens="restricted",
        said=(("moved", "restricted", ()),),
    ),
    "a restriction moved to another body": Attack(
        sql="UPDATE policy_restraint SET tenant = 'other'"
        " WHERE subject = :who",
        who="restricted",
        opens="restricted",
        said=(("missing", "restricted", ()),),
        sqlite_alone=True,
    ),
    "a restriction lifted": Attack(
        sql="UPDATE policy_restraint SET until = 1 WHERE subject = :who",
        who="restricted",
        opens="restricted",
        said=(("altered", "restricted", ("until",)),),
    ),
    "a restriction of another kind": Attack(
        sql="UPDATE policy_restraint SET kind = 'objection'"
        " WHERE subject = :who",
        who="restricted",
        opens="restricted",
        said=(("altered", "restricted", ("kind",)),),
    ),
    "an objection to another purpose": Attack(
        sql="UPDATE policy_restraint SET purpose = 'other'"
        " WHERE subject = :who",
        who="valueless",
        said=(("moved", "valueless", ("purpose",)),),
    ),
    "a signal deleted": Attack(
        sql="DELETE FROM policy_restraint WHERE subject = :who",
        who="silent",
        said=(("missing", "silent", ()),),
    ),
    "a signal seen elsewhere": Attack(
        sql="UPDATE policy_restraint SET evidence = 'x' WHERE subject = :who",
        who="silent",
        said=(("altered", "silent", ("evidence",)),),
    ),
    "a restriction that nobody asked for": Attack(
        sql="INSERT INTO policy_restraint (id, tenant, subject, kind,"
        " purpose, since) SELECT :fresh, tenant, :other, kind, purpose,"
        " since FROM policy_restraint WHERE subject = :who",
        who="restricted",
        other="consenting",
        said=(("added", "consenting", ()),),
    ),
    "a mandate deleted": Attack(
        sql="DELETE FROM consent_mandate WHERE subject = :who",
        who="limited",
        said=(("missing", "limited", ()),),
    ),
    "a mandate moved to somebody else": Attack(
        sql="UPDATE consent_mandate SET subject = :other WHERE subject = :who",
        who="limited",
        other="silent",
        said=(("moved", "limited", ()),),
    ),
    "a mandate of somebody else's": Attack(
        sql="UPDATE consent_mandate SET text ="
        " replace(text, 'agent:7', 'agent:8') WHERE subject = :who",
        who="limited",
        said=(("altered", "limited", ("actor",)),),
    ),
    "a mandate that goes on": Attack(
        sql="UPDATE consent_mandate SET text ="
        f" replace(text, '{START + 900_000}', '4000000000')"
        " WHERE subject = :who",
        who="limited",
        said=(("altered", "limited", ("valid_until",)),),
    ),
    "a mandate that did not end": Attack(
        sql="UPDATE consent_mandate SET ended_at = NULL WHERE subject = :who",
        who="refusing",
        said=(("altered", "refusing", ("ended_at",)),),
    ),
    "a mandate that does not read": Attack(
        sql="UPDATE consent_mandate SET text = '{' WHERE subject = :who",
        who="limited",
        said=(("altered", "limited", ("*",)),),
    ),
    "rows under an id that is none": Attack(
        sql="UPDATE consent_event SET subject = 'zz'"
        " WHERE subject = :who AND type = 'withdrawn'",
        who="withdrawn",
        opens="withdrawn",
        said=(("added", "", ()), ("missing", "withdrawn", ())),
        sqlite_alone=True,
    ),
}


@pytest.mark.parametrize("name", sorted(ATTACKS))
def test_each_is_named_here_and_nowhere_else(target: World, name: str) -> None:
    """The gate refuses it, and this sweep tells what it was."""
    attack, world = ATTACKS[name], target
    if attack.sqlite_alone and world.platform.data.dialect.name != "sqlite":
        with pytest.raises(DBAPIError):
            strike(world, attack)
        return
    names = {who: name for name, who in world.cast.items()}
    if attack.opens:
        assert not released(world, attack.opens)

    strike(world, attack)

    if attack.opens:
        assert refused(world, attack.opens)
        with unvouched(world):
            assert released(world, attack.opens)
    assert world.platform.ledger.verify().size
    assert [] == list(world.platform.vault.verify())
    found = sweep(world)
    assert [(fault, who) for fault, who, _ in attack.said] == [
        (one.fault.value, "" if one.subject is None else names[one.subject])
        for one in found
    ]
    for one, (_, _, columns) in zip(found, attack.said, strict=True):
        assert columns in {("*",), one.columns}
        unknown = {FactFault.ADDED, FactFault.UNREADABLE}
        assert (one.entry is None) == (one.fault in unknown)
        if one.found is not None:
            assert one.found == world.cast.get(attack.other, OTHER)


def strike(world: World, attack: Attack) -> None:
    """Carry an attack out."""
    ids = {
        "who": world.cast[attack.who],
        "other": world.cast.get(attack.other, OTHER),
        "fresh": uuid4(),
    }
    used = {name: one for name, one in ids.items() if f":{name}" in attack.sql}
    statement = text(attack.sql).bindparams(
        *(bindparam(name, type_=Uuid()) for name in used)
    )
    with world.platform.data.begin() as conn:
        assert conn.execute(statement, used).rowcount


def test_what_people_and_officers_do_is_sound(world: World) -> None:
    """Every door that writes such a row leaves an entry that tells it."""
    platform = world.platform
    for preset in ("careful", "open"):
        version = platform.consents.preferences(world.cast["silent"]).version
        asyncio.run(
            platform.person.prefer(
                world.caller("silent"),
                world.cast["silent"],
                PRESETS.get(preset, PRESETS["careful"]),
                expected=version,
            )
        )
    silent = world.caller("silent"), world.cast["silent"]
    asyncio.run(platform.person.lift_signal(*silent, "gpc"))
    asyncio.run(platform.person.signal(*silent, "gpc", "GET /me", again=True))
    restrain(world, "consenting", RestraintKind.OBJECTION)
    enter(
        world,
        "refusing",
        replace(
            world.event("refusing", EventType.GIVEN),
            expires_at=START + 900_000,
        ),
    )
    world.clock.now += 5
    merge(world, "silent", "limited")
    merge(world, "refusing", "withdrawn")
    merge(world, "valueless", "restricted")
    enter(
        world,
        "withdrawn",
        world.event("withdrawn", EventType.GIVEN),
    )
    unmerge(world, "valueless", "restricted")
    held(world, "refusing")
    with pytest.raises(ErasureWaits):
        ask(world, "withdrawn")
    with pytest.raises(ErasureWaits):
        ask(world, "withdrawn")
    assert [] == sweep(world)
    platform.keys_desk.compromise("olga", 1)
    assert [] == sweep(world)


def test_rules_carried_over_by_a_merge_are_told(world: World) -> None:
    """The version that a merge makes for the survivor is in its entry."""
    merge(world, "consenting", "limited")
    assert (
        1
        == world.platform.consents.preferences(
            world.cast["consenting"]
        ).version
    )
    assert [] == sweep(world)
    strike(
        world,
        Attack(
            sql="DELETE FROM consent_preferences WHERE subject = :who",
            who="consenting",
            said=(),
        ),
    )
    (found,) = sweep(world)
    assert (FactFault.MISSING, FactKind.RULES, "1") == (
        found.fault,
        found.kind,
        found.name,
    )


def test_a_mandate_of_a_merged_record_is_the_survivors(world: World) -> None:
    """Whichever id the officer has, it is found to act by and to end."""
    merge(world, "consenting", "withdrawn")
    made = empower(world, "withdrawn")
    assert [made] == [
        one.id
        for one in world.platform.consents.mandates(world.cast["consenting"])
    ]
    end(world, "withdrawn", made)
    assert [] == sweep(world)


def test_a_waiting_erasure_restricts_each_record_with_an_entry(
    world: World,
) -> None:
    """Of records that are one person's, none can lose its restriction."""
    merge(world, "consenting", "refusing")
    held(world, "consenting")
    with pytest.raises(ErasureWaits):
        ask(world, "consenting")
    assert [] == sweep(world)
    with world.platform.data.begin() as conn:
        conn.execute(
            text("DELETE FROM policy_restraint WHERE kind = 'restriction'")
        )
    assert {
        (FactFault.MISSING, world.cast[name])
        for name in ("consenting", "refusing", "restricted")
    } == {(one.fault, one.subject) for one in sweep(world)}


def test_an_erased_person_has_no_finding_until_a_row_comes_back(
    world: World,
) -> None:
    """Rows of somebody whom no key opens are named as added."""
    with world.platform.data.begin() as conn:
        rows = conn.execute(
            text(f"SELECT {COPY}, subject, revision, id FROM {EVENT}")
            .bindparams(bindparam("who", type_=Uuid()))
            .columns(subject=Uuid()),
            {"who": world.cast["refusing"]},
        ).all()
    world.platform.eraser.erase(world.cast["refusing"])
    assert [] == sweep(world)

    names = [*COPY.split(", "), "subject", "revision", "id"]
    marks = ", ".join(f":{name}" for name in names)
    back = text(
        f"INSERT INTO consent_event ({', '.join(names)}) VALUES ({marks})"
    ).bindparams(bindparam("subject", type_=Uuid()))
    with world.platform.data.begin() as conn:
        conn.execute(back, dict(zip(names, rows[0], strict=True)))
    (found,) = sweep(world)
    assert (FactFault.ADDED, world.cast["refusing"]) == (
        found.fault,
        found.subject,
    )


def test_an_entry_that_waits_for_its_number_is_waited_for(
    world: World,
) -> None:
    """What another worker just wrote is no finding."""
    platform, event = world.platform, world.event("silent", EventType.GIVEN)
    log_key = platform.vault.log_key(platform.vault.own_holding(event.subject))
    draft = Draft(
        kind=EntryKind.CONSENT,
        subject=event.subject,
        log_key=log_key,
        service=SERVICE,
        purpose=PURPOSE,
        attributes=event.attributes,
        outcome=event.type.value,
        at=event.at,
        decision=uuid4(),
        detail=entry_of(event),
    )
    with (
        platform.data.begin() as conn,
        platform.ledger.batch(conn, pending=True) as batch,
    ):
        batch.add([draft])
        platform.consents.record(conn, event)
    assert platform.ledger.has_pending()
    assert [] == sweep(world)


def test_a_chain_that_does_not_open_is_named_and_the_rest_is_swept(
    world: World,
) -> None:
    """One person's damage hides nobody else's."""
    strike(world, ATTACKS["a withdrawal deleted"])
    platform = world.platform
    who = world.cast["limited"]
    key = platform.vault.log_key(platform.vault.own_holding(who))
    (entry, *_) = platform.ledger.own_entries(key, limit=1)
    with platform.data.begin() as conn:
        conn.execute(
            text("UPDATE ledger_entry SET own = audit WHERE idx = :idx"),
            {"idx": entry.index},
        )
    assert {
        (FactFault.UNREADABLE, who),
        (FactFault.MISSING, world.cast["withdrawn"]),
    } == {(one.fault, one.subject) for one in sweep(world)}


FORGED = {
    "as if erased": "UPDATE ledger_entry SET tag = NULL, own = NULL,"
    " audit = NULL WHERE idx = :idx",
    "out of the chain": "UPDATE ledger_person SET counter = counter - 1,"
    " last = (SELECT before FROM ledger_entry WHERE idx = :idx)"
    " WHERE last = :idx",
}


@pytest.mark.parametrize("how", sorted(FORGED))
def test_an_entry_taken_out_too_is_for_the_ledgers_own_sweep(
    world: World, how: str
) -> None:
    """Where this sweep has nothing left to go by, the other one names it."""
    platform, who = world.platform, world.cast["withdrawn"]
    key = platform.vault.log_key(platform.vault.own_holding(who))
    (entry, *_) = platform.ledger.own_entries(key, limit=1)
    assert "withdrawn" == entry.outcome
    strike(world, ATTACKS["a withdrawal deleted"])
    with platform.data.begin() as conn:
        assert conn.execute(text(FORGED[how]), {"idx": entry.index}).rowcount
    (found,) = sweep(world)
    assert (FactFault.UNVOUCHED, who) == (found.fault, found.subject)
    with unvouched(world):
        assert [] == sweep(world)
    with pytest.raises(LedgerInconsistent):
        platform.ledger.verify()


def test_rows_that_the_driver_cannot_decode_are_named(tmp_path: Path) -> None:
    """A text that is none is damage of one person's, and ends no sweep."""
    with build_world(tmp_path / "home") as world:
        who = world.cast["limited"]
        with world.platform.data.begin() as conn:
            conn.execute(
                text(
                    "UPDATE consent_event SET statement = CAST(x'ff41' AS"
                    " TEXT) WHERE subject = :who"
                ),
                {"who": who.hex},
            )
        assert (FactFault.UNREADABLE, who) in {
            (one.fault, one.subject) for one in sweep(world)
        }


def own(kind: EntryKind, outcome: str, index: int, **detail: str) -> OwnEntry:
    """An entry of an earlier version, with less in it."""
    return OwnEntry(
        index=index,
        counter=index + 1,
        leaf=bytes(32),
        kind=kind,
        service="self",
        purpose=PURPOSE,
        attributes=(),
        outcome=outcome,
        at=START + index,
        decision=OTHER,
        detail=detail,
    )


def test_entries_that_name_no_row_still_say_when() -> None:
    """Of earlier entries everything is compared that they do tell."""
    found = told(
        [
            (OTHER, own(EntryKind.OBJECTION, "imposed", 0)),
            (OTHER, own(EntryKind.PREFERENCE, "set", 1)),
            (OTHER, own(EntryKind.PREFERENCE, "set", 2)),
            (OTHER, own(EntryKind.ERASURE, "waiting", 3)),
            (OTHER, own(EntryKind.MERGE, "merged", 4)),
        ],
        [],
    )
    assert [
        (FactKind.RESTRAINT, "", START),
        (FactKind.RULES, "1", START + 1),
        (FactKind.RULES, "2", START + 2),
    ] == [
        (one.kind, one.name, one.columns.get("since", one.columns.get("at")))
        for one in found.facts
    ]
    assert ([START + 3], [START + 4]) == (found.frozen_at, found.merged_at)


def test_the_command_names_what_is_wrong(tmp_path: Path) -> None:
    """With its exit code, for people and for machines."""
    home = tmp_path / "home"
    with build_world(home) as world:
        restricted = str(world.cast["restricted"])
        strike(world, ATTACKS["a withdrawal deleted"])
        withdrawn = str(world.cast["withdrawn"])
    command = ["--home", str(home), "consent", "verify"]
    said = CliRunner().invoke(build(), [*command, "--json"])
    assert 1 == said.exit_code
    # The cast's one restriction is imposed beside the gate.
    assert [
        ("added", restricted, "restraint", None),
        ("missing", withdrawn, "answer", True),
    ] == [
        (
            one["fault"],
            one["subject"],
            one["kind"],
            one["entry"] if one["entry"] is None else one["entry"] > 0,
        )
        for one in json.loads(said.stdout)["findings"]
    ]
    with (
        build_world(tmp_path / "sound") as world,
        world.platform.data.begin() as conn,
    ):
        conn.execute(text("DELETE FROM policy_restraint"))
        world.platform.vouching.person(conn, world.cast["restricted"])
    command[1] = str(tmp_path / "sound")
    said = CliRunner().invoke(build(), command)
    assert 0 == said.exit_code
    assert re.match(
        r"Nothing is wrong: what \d+ people answered and set is as the "
        r"ledger's \d+ entries tell it\.$",
        " ".join(said.output.split()),
    )
