"""The vault's contract, on each database that there is."""

import os
import pickle
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, func, select, text
from sqlalchemy.engine import make_url

import vault as package
from api.databases import open_database
from vault import (
    DATA_METADATA,
    Argon2Cost,
    CryptoFailure,
    DuplicateIdentifier,
    FileKeyProvider,
    GrantRefused,
    InvalidValue,
    KeyStore,
    KeyUnavailable,
    NotIndexed,
    NotInitialised,
    ReadGrant,
    UnknownAttribute,
    UnknownSubject,
    Vault,
    standard_catalogue,
)
from vault.reading import ManyQuery
from vault.tables import DEK, HISTORY, INDEX, SUBJECT, VALUE, DekState

CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)
NOW = 1_790_000_000

ADA = {
    "user.name.given": "Ada",
    "user.name.family": "Byron",
    "user.bdate": "1980-12-10",
    "user.gender": "female",
    "user.home-info.postal.city": "Nottingham",
    "user.home-info.online.email": "Ada@Example.org",
    "user.identity.number": "11010519491231002X",
    "user.case.note": "first line\nsecond line",
}


@dataclass
class World:
    """A vault, its two databases, and a clock that tests can turn."""

    data: Engine
    engine: Engine
    provider: FileKeyProvider
    tenant: str = "town"
    now: int = NOW
    random: Callable[[int], bytes] = os.urandom
    keys: KeyStore = field(init=False)
    vault: Vault = field(init=False)

    def __post_init__(self) -> None:
        self.keys = KeyStore(
            engine=self.engine,
            provider=self.provider,
            tenant=self.tenant,
            clock=lambda: self.now,
            random=self.draw,
        )
        self.vault = Vault(
            tenant=self.tenant,
            data=self.data,
            keys=self.keys,
            catalogue=standard_catalogue(),
            clock=lambda: self.now,
            random=self.draw,
        )
        self.keys.create_all()
        DATA_METADATA.create_all(self.data)
        self.vault.initialise()

    def draw(self, count: int) -> bytes:
        """Give random bytes, from a source that tests can change."""
        return self.random(count)

    def person(self, values: dict[str, str] | None = None) -> uuid.UUID:
        """Enrol somebody with some values."""
        subject = self.vault.enrol()
        self.put(subject, ADA if values is None else values)
        return subject

    def put(self, subject: uuid.UUID, values: dict[str, str]) -> int:
        """Write in a transaction of its own."""
        with self.data.begin() as conn:
            return self.vault.put(conn, subject, values, source="desk")

    def grant(self, subject: uuid.UUID, *names: str) -> ReadGrant:
        """Mint a grant for everything, or for what is named."""
        return ReadGrant(
            tenant=self.tenant,
            subject=subject,
            attributes=frozenset(names or standard_catalogue()),
            purpose="test",
            decision=uuid.uuid4(),
            expires_at=self.now + 60,
        )

    def read(self, subject: uuid.UUID, *names: str) -> dict[str, str]:
        """Read everything, or what is named."""
        return self.vault.read(self.grant(subject, *names))

    def count(self, table: object, subject: uuid.UUID) -> int:
        """Count somebody's rows in a table."""
        engine = self.engine if table is DEK else self.data
        with engine.connect() as conn:
            return conn.execute(
                select(func.count())
                .select_from(table)
                .where(table.c.subject == subject)
            ).scalar_one()


def _sqlite(tmp_path: Path) -> Iterator[World]:
    data = open_database(f"sqlite:///{tmp_path}/data.db")
    engine = open_database(f"sqlite:///{tmp_path}/keys.db")
    provider = FileKeyProvider(tmp_path / "keks", b"passphrase", cost=CHEAP)
    world = World(data=data, engine=engine, provider=provider)
    yield world
    world.vault.close()
    data.dispose()
    engine.dispose()


def _postgresql(tmp_path: Path) -> Iterator[World]:
    address = os.environ.get("CURTILAGE_TEST_POSTGRESQL")
    if not address:
        pytest.skip("CURTILAGE_TEST_POSTGRESQL names no server")
    schemas = [f"{kind}_{uuid.uuid4().hex}" for kind in ("data", "keys")]
    admin = open_database(address)
    with admin.begin() as conn:
        for schema in schemas:
            conn.execute(text(f"CREATE SCHEMA {schema}"))
    engines = [
        open_database(
            make_url(address)
            .update_query_dict({"options": f"-csearch_path={schema}"})
            .render_as_string(hide_password=False)
        )
        for schema in schemas
    ]
    provider = FileKeyProvider(tmp_path / "keks", b"passphrase", cost=CHEAP)
    world = World(data=engines[0], engine=engines[1], provider=provider)
    yield world
    world.vault.close()
    for engine in engines:
        engine.dispose()
    with admin.begin() as conn:
        for schema in schemas:
            conn.execute(text(f"DROP SCHEMA {schema} CASCADE"))
    admin.dispose()


@pytest.fixture(
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A fresh vault on each database."""
    make = {"sqlite": _sqlite, "postgresql": _postgresql}[request.param]
    yield from make(tmp_path)


@pytest.fixture
def sqlite_world(tmp_path: Path) -> Iterator[World]:
    """A fresh vault on SQLite, for what only SQLite does."""
    yield from _sqlite(tmp_path)


def test_values_come_back_canonical(world: World) -> None:
    """What was written is read, in its canonical form."""
    subject = world.person()

    expected = ADA | {"user.home-info.online.email": "Ada@example.org"}
    assert expected == world.read(subject)


def test_only_what_is_granted_opens(world: World) -> None:
    """A read returns the granted attributes that are held, no others."""
    subject = world.person()

    values = world.read(subject, "user.bdate", "user.education")

    assert {"user.bdate": "1980-12-10"} == values


def test_a_holding_tells_names_and_no_values(world: World) -> None:
    """A holding shows which attributes there are, before any decision."""
    subject = world.person()

    holding = world.vault.holding(subject)

    assert (subject, subject) == (holding.subject, holding.asked)
    assert (True, False, 1) == (holding.known, holding.erased, holding.epoch)
    assert frozenset(ADA) == holding.present
    assert "Ada" not in repr(holding)


def test_a_read_from_a_holding_equals_a_fresh_one(world: World) -> None:
    """The gate's way, holding first, opens the same."""
    subject = world.person()
    holding = world.vault.holding(subject)

    assert world.read(subject) == world.vault.read(
        world.grant(subject), holding
    )


def test_the_log_key_is_stable_and_the_persons_own(world: World) -> None:
    """A log key survives writes and KEK epochs, and differs by person."""
    ada, bob = world.person(), world.person({"user.name.given": "Bob"})
    before = world.vault.log_key(world.vault.holding(ada))
    world.put(ada, {"user.gender": "other"})
    world.keys.epochs.rotate()
    world.keys.rewrap()

    assert 32 == len(before)
    assert before == world.vault.log_key(world.vault.holding(ada))
    assert before != world.vault.log_key(world.vault.holding(bob))


@pytest.mark.parametrize("shift", [60, 61])
def test_an_expired_grant_is_refused(world: World, shift: int) -> None:
    """A grant is void from its instant on."""
    subject = world.person()
    grant = world.grant(subject)
    world.now += shift

    with pytest.raises(GrantRefused):
        world.vault.read(grant)
    with pytest.raises(GrantRefused):
        list(world.vault.read_many([grant]))
    with pytest.raises(GrantRefused):
        world.vault.history(grant, "user.bdate")


def test_a_grant_for_somebody_else_is_refused(world: World) -> None:
    """A grant opens neither another tenant's nor another person's rows."""
    ada, bob = world.person(), world.person({"user.name.given": "Bob"})
    foreign = ReadGrant(
        tenant="elsewhere",
        subject=ada,
        attributes=frozenset({"user.bdate"}),
        purpose="test",
        decision=uuid.uuid4(),
        expires_at=NOW + 60,
    )

    with pytest.raises(GrantRefused):
        world.vault.read(foreign)
    with pytest.raises(GrantRefused):
        world.vault.read(world.grant(bob), world.vault.holding(ada))


def test_unknown_names_are_refused(world: World) -> None:
    """Neither a write nor a grant can invent an attribute."""
    subject = world.person()

    with pytest.raises(UnknownAttribute):
        world.put(subject, {"user.shoe-size": "46"})
    with pytest.raises(UnknownAttribute):
        world.read(subject, "user.shoe-size")


def test_an_unknown_person_is_the_decoy(world: World) -> None:
    """Nobody's holding is the decoy's, opens like it, and gives nothing."""
    stranger = uuid.uuid4()

    holding = world.vault.holding(stranger)

    assert world.vault.decoy() == holding.subject
    assert stranger == holding.asked
    assert not holding.known
    assert not holding.erased
    assert frozenset() == holding.present
    assert holding.stored.values
    assert 32 == len(world.vault.log_key(holding))
    assert {} == world.vault.read(world.grant(stranger), holding)
    assert {} == world.vault.read(world.grant(holding.subject), holding)
    assert {} == world.read(stranger)
    assert [] == world.vault.history(world.grant(stranger), "user.bdate")


def test_an_unknown_person_costs_the_same_queries_and_openings(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The statements run and the values opened do not tell who exists."""
    ada = world.person(
        {
            name: value
            for name, value in ADA.items()
            if name != "user.case.note"
        }
    )
    trace: list[str] = []
    for reader in (world.keys._reader, world.vault._rows.reader):
        run = reader._run
        monkeypatch.setattr(
            reader,
            "_run",
            lambda sql, values, run=run: (trace.append(sql), run(sql, values))[
                1
            ],
        )
    opens = world.keys.open
    monkeypatch.setattr(
        world.keys, "open", lambda dek: (trace.append("open"), opens(dek))[1]
    )
    names = ("user.name.given", "user.bdate")

    walks = []
    for subject in (ada, uuid.uuid4()):
        trace.clear()
        holding = world.vault.holding(subject)
        world.vault.log_key(holding)
        world.vault.read(world.grant(subject, *names), holding)
        walks.append(list(trace))

    assert walks[0] == walks[1]
    assert 3 == len(walks[0])


def test_a_holding_keeps_no_key_after_it_was_read(world: World) -> None:
    """The sub-keys that made the log key are zeroed once values are open."""
    ada = world.person(ADA)
    holding = world.vault.holding(ada)
    world.vault.log_key(holding)
    opened = holding.opened
    assert opened is not None

    world.vault.read(world.grant(ada, "user.bdate"), holding)

    assert holding.opened is None
    assert bytes(128) == bytes(opened._derived)


def test_a_holding_that_is_dropped_zeroes_its_keys(world: World) -> None:
    """Where nothing is granted, the keys end with the holding."""
    holding = world.vault.holding(world.person(ADA))
    world.vault.log_key(holding)
    assert holding.opened is not None
    derived = holding.opened._derived

    del holding

    assert bytes(128) == bytes(derived)


def test_the_decoy_can_be_neither_written_nor_erased_nor_found(
    world: World,
) -> None:
    """The decoy is nobody: no service reaches it by any identifier."""
    decoy = world.vault.decoy()

    with pytest.raises(UnknownSubject):
        world.put(decoy, ADA)
    with pytest.raises(UnknownSubject), world.data.begin() as conn:
        world.vault.erase(conn, decoy)
    assert not world.vault.holding(decoy).known
    assert decoy not in set(world.vault.subjects())
    assert 0 == world.count(INDEX, decoy)


def test_initialising_again_changes_nothing(world: World) -> None:
    """The decoy stays, and so do the keys."""
    decoy = world.vault.decoy()
    subject = world.person()

    world.vault.initialise()

    assert decoy == world.vault.decoy()
    assert "Ada" == world.read(subject)["user.name.given"]


def test_initialising_is_finished_after_a_crash(world: World) -> None:
    """A decoy whose values never arrived gets them at the next start."""
    decoy = world.vault.decoy()
    with world.data.begin() as conn:
        world.vault._rows.delete(conn, decoy)

    world.vault.initialise()

    assert world.vault.holding(uuid.uuid4()).stored.values


def test_a_vault_that_was_not_initialised_says_so(
    world: World, tmp_path: Path
) -> None:
    """Nothing works before the tenant has its keys."""
    other = Vault(
        tenant="village",
        data=world.data,
        keys=KeyStore(
            engine=world.engine,
            provider=FileKeyProvider(tmp_path / "other", b"x", cost=CHEAP),
            tenant="village",
            clock=lambda: NOW,
            random=os.urandom,
        ),
        catalogue=standard_catalogue(),
        clock=lambda: NOW,
        random=os.urandom,
    )

    with pytest.raises(NotInitialised):
        other.holding(uuid.uuid4())
    with pytest.raises(KeyUnavailable):
        other.enrol()


def test_two_tenants_share_databases_and_nothing_else(
    world: World, tmp_path: Path
) -> None:
    """No query of one tenant reaches the other's people."""
    provider = FileKeyProvider(tmp_path / "other", b"x", cost=CHEAP)
    other = World(
        data=world.data,
        engine=world.engine,
        provider=provider,
        tenant="village",
    )
    ada, bob = world.person(), other.person()

    assert not world.vault.holding(bob).known
    assert not other.vault.holding(ada).known
    email = ADA["user.home-info.online.email"]
    name = "user.home-info.online.email"
    assert ada == world.vault.look_up.find(name, email)
    assert bob == other.vault.look_up.find(name, email)
    assert [ada] == list(world.vault.subjects())
    assert [] == list(world.vault.verify())
    other.vault.close()


def test_writes_keep_history(world: World) -> None:
    """Every version stays readable, newest first, with time and source."""
    subject = world.person()
    world.now += 10
    with world.data.begin() as conn:
        world.vault.put(
            conn, subject, {"user.gender": "other"}, source="portal"
        )

    history = world.vault.history(world.grant(subject), "user.gender")

    assert [
        ("other", 2, NOW + 10, "portal"),
        ("female", 1, NOW, "desk"),
    ] == [
        (one.value, one.version, one.recorded_at, one.source)
        for one in history
    ]
    assert "other" == world.read(subject)["user.gender"]
    assert [] == world.vault.history(world.grant(subject), "user.education")


def test_history_needs_a_grant_for_the_attribute(world: World) -> None:
    """History opens no wider than a read."""
    subject = world.person()

    with pytest.raises(GrantRefused):
        world.vault.history(world.grant(subject, "user.bdate"), "user.gender")


def test_records_come_with_version_time_and_source(world: World) -> None:
    """What a person is shown of a value is its whole record."""
    subject = world.person()
    world.now += 9
    world.put(subject, {"user.gender": "other"})
    holding = world.vault.holding(subject)

    records = world.vault.records(
        world.grant(subject, "user.gender", "user.education"), holding
    )

    assert {"user.gender"} == set(records)
    shown = records["user.gender"]
    assert ("other", 2, NOW + 9, "desk") == (
        shown.value,
        shown.version,
        shown.recorded_at,
        shown.source,
    )
    decoy = world.vault.holding(uuid.uuid4())
    assert {} == world.vault.records(world.grant(decoy.subject), decoy)
    with pytest.raises(GrantRefused):
        world.vault.records(world.grant(uuid.uuid4()), holding)
    with world.data.begin() as conn:
        conn.execute(VALUE.update().values(sealed=b"short"))
    with pytest.raises(CryptoFailure):
        world.vault.records(world.grant(subject), world.vault.holding(subject))


def test_somebody_enrolled_and_not_yet_written_has_nothing(
    world: World,
) -> None:
    """Between enrolment and first write a person is known and empty."""
    subject = world.vault.enrol()
    holding = world.vault.holding(subject)

    assert (True, frozenset(), 0) == (
        holding.known,
        holding.present,
        holding.epoch,
    )
    assert {} == world.read(subject)
    assert [(subject, {})] == list(
        world.vault.read_many([world.grant(subject)])
    )


@pytest.mark.parametrize("source", ["", "a\nb", "x" * 256, "数" * 100, "a\0"])
def test_a_source_is_a_short_name(world: World, source: str) -> None:
    """What goes into every record of a write is checked once."""
    subject = world.vault.enrol()
    with pytest.raises(InvalidValue, match="source"), world.data.begin() as c:
        world.vault.put(c, subject, ADA, source=source)


def test_a_duplicate_that_only_the_constraint_sees(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two writers at once: the second is refused, without positions."""
    world.person()
    subject = world.vault.enrol()
    monkeypatch.setattr(world.vault._rows, "taken", lambda *_: set())
    with pytest.raises(DuplicateIdentifier) as caught:
        world.put(subject, ADA)

    assert () == caught.value.positions
    assert "example" not in str(caught.value)


def test_a_rolled_back_write_leaves_nothing(world: World) -> None:
    """The caller's transaction decides, index included."""
    subject = world.person()
    with world.data.connect() as conn, conn.begin() as transaction:
        world.vault.put(
            conn,
            subject,
            {"user.home-info.online.email": "new@example.org"},
            source="desk",
        )
        transaction.rollback()

    assert ADA["user.name.given"] == world.read(subject)["user.name.given"]
    name = "user.home-info.online.email"
    assert world.vault.look_up.find(name, "new@example.org") is None
    assert subject == world.vault.look_up.find(name, "ada@example.org")
    assert 1 == world.vault.holding(subject).epoch


def test_put_returns_the_epoch(world: World) -> None:
    """Each write raises the epoch of the person's record by one."""
    subject = world.vault.enrol()

    assert [1, 2, 3] == [
        world.put(subject, {"user.age": str(age)}) for age in (1, 2, 3)
    ]


def test_a_person_may_occur_twice_in_one_write(world: World) -> None:
    """The later values of one batch supersede the earlier."""
    subject = world.vault.enrol()
    with world.data.begin() as conn:
        epochs = world.vault.put_many(
            conn,
            [(subject, {"user.age": "1"}), (subject, {"user.age": "2"})],
            source="desk",
        )

    assert {subject: 2} == epochs
    assert {"user.age": "2"} == world.read(subject)


def test_many_people_are_written_and_read_in_batches(world: World) -> None:
    """More people than a batch holds come back in the order asked."""
    subjects = world.vault.enrol_many(1203)
    with world.data.begin() as conn:
        world.vault.put_many(
            conn,
            (
                (subject, {"user.age": str(place % 100)})
                for place, subject in enumerate(subjects)
            ),
            source="census",
        )
    asked = [*subjects, uuid.uuid4(), world.vault.decoy()]

    read = list(world.vault.read_many(map(world.grant, asked)))

    assert asked == [subject for subject, _ in read]
    expected = [{"user.age": str(n % 100)} for n in range(1203)] + [{}, {}]
    assert expected == [values for _, values in read]
    assert sorted(subjects) == list(world.vault.subjects())


def test_reading_many_takes_few_statements(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch of people costs a constant number of statements."""
    subjects = world.vault.enrol_many(40)
    with world.data.begin() as conn:
        world.vault.put_many(
            conn, [(one, {"user.age": "4"}) for one in subjects], source="x"
        )
    calls: list[object] = []
    real = ManyQuery.rows

    def rows(query: ManyQuery, *about: Any, **more: Any) -> Sequence[Any]:  # noqa: ANN401 - as the original
        calls.append(query)
        return real(query, *about, **more)

    monkeypatch.setattr(ManyQuery, "rows", rows)

    assert 40 == len(list(world.vault.read_many(map(world.grant, subjects))))
    assert 3 == len(calls)


def test_find_goes_by_identifier_whatever_its_spelling(world: World) -> None:
    """Exact look-up canonicalises what is asked for."""
    subject = world.person()

    for name, spelling in (
        ("user.home-info.online.email", " aDa@EXAMPLE.org "),
        ("user.identity.number", "11010519491231002x"),
    ):
        assert subject == world.vault.look_up.find(name, spelling)
    assert (
        world.vault.look_up.find("user.identity.passport", "E12345678") is None
    )


def test_find_refuses_what_is_not_indexed_or_no_value(world: World) -> None:
    """A skewed attribute has no look-up, and nonsense is no identifier."""
    with pytest.raises(NotIndexed):
        world.vault.look_up.find("user.gender", "female")
    with pytest.raises(InvalidValue):
        world.vault.look_up.find("user.identity.number", "110105194912310021")


def test_a_changed_identifier_finds_by_the_new_one_alone(
    world: World,
) -> None:
    """The index follows the value, and the old one is free again."""
    ada = world.person()
    name = "user.home-info.online.email"
    world.put(ada, {name: "new@example.org"})

    assert ada == world.vault.look_up.find(name, "new@example.org")
    assert world.vault.look_up.find(name, "ada@example.org") is None
    bob = world.person({name: "ada@example.org"})
    assert bob == world.vault.look_up.find(name, "ada@example.org")


def test_a_change_between_the_two_statements_of_a_look_up(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no alarm: who changed is looked up once more."""
    rows, name = world.vault._rows, "user.home-info.online.email"
    ada, real = world.person(), rows._current
    now: list[dict[str, str]] = []

    def late(*given: object) -> object:
        while now:
            world.put(ada, now.pop())
        return real(*given)

    monkeypatch.setattr(rows, "_current", late)
    now.append({name: ADA[name]})
    assert ada == world.vault.look_up.find(name, ADA[name])
    now.append({name: "new@example.org"})
    assert world.vault.look_up.find(name, ADA[name]) is None
    assert ada == world.vault.look_up.find(name, "new@example.org")


def test_writing_the_same_identifier_again_is_no_duplicate(
    world: World,
) -> None:
    """A person may be sent their own address twice."""
    ada = world.person()
    name = "user.home-info.online.email"

    assert 2 == world.put(ada, {name: "ada@example.org"})
    assert ada == world.vault.look_up.find(name, "ada@example.org")


def test_two_people_swap_identifiers_in_one_write(world: World) -> None:
    """What is freed and taken in one batch is no duplicate."""
    name = "user.home-info.online.email"
    ada = world.person({name: "a@example.org"})
    bob = world.person({name: "b@example.org"})
    with world.data.begin() as conn:
        world.vault.put_many(
            conn,
            [(ada, {name: "b@example.org"}), (bob, {name: "a@example.org"})],
            source="desk",
        )

    assert bob == world.vault.look_up.find(name, "a@example.org")
    assert [] == list(world.vault.verify())


def test_a_duplicate_identifier_names_places_and_no_value(
    world: World,
) -> None:
    """Who was refused is said by position; the rest can be tried again."""
    world.person()
    people = world.vault.enrol_many(4)
    name = "user.home-info.online.email"
    emails = ["x@e.org", "ADA@example.org", "y@e.org", "X@e.org"]
    with (
        pytest.raises(DuplicateIdentifier) as caught,
        world.data.begin() as conn,
    ):
        world.vault.put_many(
            conn,
            [
                (one, {name: email})
                for one, email in zip(people, emails, strict=True)
            ],
            source="desk",
        )

    assert (name, (1, 3)) == (
        caught.value.attribute,
        caught.value.positions,
    )
    assert "@" not in str(caught.value)


def test_erasing_leaves_dates_and_nothing_else(world: World) -> None:
    """Ciphertext, history, index and key go; the dates stay."""
    ada, bob = world.person(), world.person({"user.name.given": "Bob"})
    world.put(ada, {"user.gender": "other"})
    world.now += 5
    with world.data.begin() as conn:
        report = world.vault.erase(conn, ada)

    assert (ada, 8, 1, 2, 1, NOW + 5, NOW + 5) == (
        report.subject,
        report.values,
        report.versions,
        report.index_entries,
        report.kek_epoch,
        report.began_at,
        report.destroyed_at,
    )
    assert [0, 0, 0, 0] == [
        world.count(table, ada) for table in (SUBJECT, VALUE, HISTORY, INDEX)
    ]
    with world.engine.connect() as conn:
        row = conn.execute(select(DEK).where(DEK.c.subject == ada)).one()
    assert (bytes(61), bytes(32)) == (row.blob, row.commitment)
    assert "Bob" == world.read(bob)["user.name.given"]
    assert [bob] == list(world.vault.subjects())
    assert [] == list(world.vault.verify())


def test_an_erased_person_is_like_an_unknown_one(world: World) -> None:
    """Reads give the decoy's nothing; only the holding says erased."""
    ada = world.person()
    before = world.vault.holding(ada)
    with world.data.begin() as conn:
        world.vault.erase(conn, ada)
    holding = world.vault.holding(ada)

    assert (False, True) == (holding.known, holding.erased)
    assert world.vault.decoy() == holding.subject
    assert {} == world.read(ada)
    name = "user.home-info.online.email"
    assert world.vault.look_up.find(name, "ada@example.org") is None
    assert [(ada, {})] == list(world.vault.read_many([world.grant(ada)]))
    # A holding taken before is ciphertext whose key is now overwritten.
    assert before.known


def test_an_erased_id_is_never_enrolled_again(world: World) -> None:
    """The kept row takes the id out of use, and nothing can be written."""
    fixed = bytes(range(16))
    world.random = lambda count: (fixed * 4)[:count]
    subject = world.vault.enrol()
    world.random = os.urandom
    world.put(subject, ADA)
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)
    world.random = lambda count: (fixed * 4)[:count]

    with pytest.raises(CryptoFailure):
        world.vault.enrol()
    world.random = os.urandom
    with pytest.raises(UnknownSubject):
        world.put(subject, ADA)


def test_erasing_again_reports_the_same_dates(world: World) -> None:
    """An erasure can be repeated; a stranger cannot be erased."""
    ada = world.person()
    with world.data.begin() as conn:
        first = world.vault.erase(conn, ada)
    world.now += 100
    with world.data.begin() as conn:
        second = world.vault.erase(conn, ada)

    assert (first.began_at, first.destroyed_at) == (
        second.began_at,
        second.destroyed_at,
    )
    with pytest.raises(UnknownSubject), world.data.begin() as conn:
        world.vault.erase(conn, uuid.uuid4())


@pytest.mark.parametrize("step", ["intent", "rollback", "none"])
def test_recover_finishes_an_interrupted_erasure(
    world: World, step: str
) -> None:
    """After a crash at any point, the next start ends with nothing left."""
    ada = world.person()
    if step == "intent":
        world.keys.begin_erasure(ada)
    elif step == "rollback":
        with world.data.connect() as conn, conn.begin() as transaction:
            world.vault.erase(conn, ada)
            transaction.rollback()
    else:
        with world.data.begin() as conn:
            world.vault.erase(conn, ada)
    assert not world.vault.holding(ada).known
    assert {} == world.read(ada)

    assert (0 if step == "none" else 1) == world.vault.recover()
    assert 0 == world.vault.recover()

    assert [] == list(world.vault.verify())
    assert [0, 0, 0, 0] == [
        world.count(table, ada) for table in (SUBJECT, VALUE, HISTORY, INDEX)
    ]
    with world.engine.connect() as conn:
        row = conn.execute(select(DEK).where(DEK.c.subject == ada)).one()
    assert (DekState.DESTROYED, bytes(61)) == (row.state, row.blob)


def test_readers_see_the_newest_committed_state(world: World) -> None:
    """A thread with a connection of long standing sees another's write."""
    subject = world.person({"user.age": "1"})
    seen: list[dict[str, str]] = []
    turn, done = threading.Barrier(2), threading.Barrier(2)

    def reader() -> None:
        for _ in range(3):
            turn.wait(240)
            seen.append(world.read(subject))
            done.wait(240)

    thread = threading.Thread(target=reader)
    thread.start()
    for age in (2, 3, 4):
        world.put(subject, {"user.age": str(age)})
        turn.wait(240)
        done.wait(240)
    thread.join()

    assert ["2", "3", "4"] == [values["user.age"] for values in seen]


def test_threads_read_while_one_writes(world: World) -> None:
    """Under concurrent writes every read is whole and verifies."""
    subject = world.person({"user.age": "0", "user.gender": "g0"})
    wrong: list[object] = []
    stop = threading.Event()

    def reader() -> None:
        try:
            while not stop.is_set():
                values = world.read(subject)
                if f"g{values['user.age']}" != values["user.gender"]:
                    wrong.append(values)
        except Exception as error:  # noqa: BLE001 - any failure is the finding
            wrong.append(error)

    threads = [threading.Thread(target=reader) for _ in range(3)]
    for thread in threads:
        thread.start()
    for age in range(1, 40):
        world.put(subject, {"user.age": str(age), "user.gender": f"g{age}"})
    stop.set()
    for thread in threads:
        thread.join()

    assert [] == wrong


def test_a_vault_is_not_pickled(world: World) -> None:
    """Keys do not leave the process by serialisation."""
    with pytest.raises(TypeError):
        pickle.dumps(world.vault)
    with pytest.raises(TypeError):
        pickle.dumps(world.keys.secrets())
    with pytest.raises(TypeError):
        pickle.dumps(world.provider)


def test_a_vault_takes_no_other_tenants_keys(world: World) -> None:
    """Keys and vault must be of one tenant."""
    with pytest.raises(ValueError, match="another tenant"):
        Vault(
            tenant="village",
            data=world.data,
            keys=world.keys,
            catalogue=standard_catalogue(),
            clock=lambda: NOW,
            random=os.urandom,
        )


def test_the_contract_is_what_the_package_says() -> None:
    """Each public name exists, and the list is sorted."""
    assert sorted(package.__all__, key=_rank) == package.__all__
    assert all(hasattr(package, name) for name in package.__all__)


def _rank(name: str) -> tuple[int, str]:
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name
