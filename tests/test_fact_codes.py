"""Rows that nobody's act wrote decide nothing, at any door of the gate.

Single rows that are added, edited or deleted are tried in `test_fact_sweep`.
Here is what whoever can write the data database may do to the codes
themselves, and what they cost.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Uuid, bindparam, insert, text

from consent import (
    PRESETS,
    RESTRAINTS_PART,
    ConsentDamaged,
    EventType,
    Parts,
    RowForged,
    RowMacs,
)
from consent.event_log import EventLog
from consent.fact_parts import RULES_PART, answers_part, joined
from consent.mandates import Mandates
from consent.people import Rules
from consent.prepared import as_uuid
from consent.revisions import Counted, Revisions
from consent.tables import PreferencesRow
from policy import Cause, Disclosure, FactFault, NoDecision, RestraintKind
from policy.facts import settled
from policy.restraints import RestraintStore, restraints_of
from tests.databases import KINDS, Kind
from tests.test_cohort import restrain, source_of
from tests.test_fact_sweep import empower, end
from tests.test_record_desk import merge
from tests.worlds import (
    ADDRESS,
    CITY,
    SERVICE,
    World,
    build_world,
    reopen,
)

VICTIM, OTHER = "consenting", "limited"


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[World]:
    """An instance for many attacks, on each database."""
    home = tmp_path_factory.mktemp("codes") / "home"
    with build_world(home, database=Kind(request.param)) as made:
        end(made, OTHER, empower(made, OTHER))
        yield made


@pytest.fixture
def world(shared: World) -> Iterator[World]:
    """The shared instance; what an attack did is put back."""
    with put_back(shared, "consent_revision", "consent_event"):
        yield shared


@contextmanager
def put_back(world: World, *tables: str) -> Iterator[None]:
    """Put tables back to how they are now."""
    data = world.platform.data
    with data.connect() as conn:
        kept = {
            one: [
                row._asdict()
                for row in conn.execute(text(f"SELECT * FROM {one}"))
            ]
            for one in tables
        }
    yield
    with data.begin() as conn:
        for table, rows in kept.items():
            conn.execute(text(f"DELETE FROM {table}"))
            if not rows:
                continue
            names = ", ".join(rows[0])
            held = ", ".join(f":{name}" for name in rows[0])
            conn.execute(
                text(f"INSERT INTO {table} ({names}) VALUES ({held})"), rows
            )


def run_sql(world: World, sql: str, **people: UUID) -> None:
    """Run a statement past every check of ours; it has to do something."""
    bound = text(sql).bindparams(
        *(bindparam(name, type_=Uuid()) for name in people)
    )
    with world.platform.data.begin() as conn:
        assert conn.execute(bound, people).rowcount


def heard(world: World, name: str) -> list[Disclosure | Cause]:
    """What a service hears of somebody, by each way of the gate."""
    platform = world.platform
    asked = world.request(name, *ADDRESS)

    async def ask() -> list[object]:
        return [
            *await asyncio.gather(
                platform.gate.disclose(asked),
                platform.rounds.disclose(asked),
                return_exceptions=True,
            ),
            *await platform.batch.disclose([asked]),
        ]

    answers = asyncio.run(ask())
    # Its threads are gone with the loop, and their connections with them.
    platform.reader.close()
    found: list[Disclosure | Cause] = []
    for one in answers:
        assert isinstance(one, Disclosure | NoDecision)
        found.append(one.cause if isinstance(one, NoDecision) else one)
    return found


ATTACKS = {
    "the row is gone": "DELETE FROM consent_revision WHERE subject = :who",
    "without its code": "UPDATE consent_revision SET mac = NULL"
    " WHERE subject = :who",
    "without its parts": "UPDATE consent_revision SET parts = NULL"
    " WHERE subject = :who",
    "with nothing in its parts": "UPDATE consent_revision SET parts = ("
    "SELECT parts FROM consent_revision WHERE subject = :silent)"
    " WHERE subject = :who",
    "all of somebody else's": "UPDATE consent_revision SET (revision, parts,"
    " mac) = (SELECT revision, parts, mac FROM consent_revision"
    " WHERE subject = :other) WHERE subject = :who",
    "another revision": "UPDATE consent_revision SET revision = revision + 1"
    " WHERE subject = :who",
    "no answer left": "DELETE FROM consent_event WHERE subject = :who",
    "an answer of another place": "UPDATE consent_event SET revision = 99"
    " WHERE subject = :who",
}


@pytest.mark.parametrize("name", ATTACKS)
def test_no_door_opens_by_a_forged_row(world: World, name: str) -> None:
    """Alone, in a round and in a batch it is no decision, of them alone."""
    sql = ATTACKS[name]
    ids = {
        "who": world.cast[VICTIM],
        "other": world.cast[OTHER],
        "silent": world.cast["silent"],
    }
    used = {key: one for key, one in ids.items() if f":{key}" in sql}
    assert all(isinstance(one, Disclosure) for one in heard(world, VICTIM))

    run_sql(world, sql, **used)

    assert [Cause.DAMAGED] * 3 == heard(world, VICTIM)
    assert all(isinstance(one, Disclosure) for one in heard(world, OTHER))
    told = [one.fault for one in world.platform.fact_sweep().run()]
    assert told
    if "answer" not in name:
        assert FactFault.UNVOUCHED in told


def test_what_was_lifted_by_hand_still_holds_somebody_back(
    world: World,
) -> None:
    """A date set beside a restriction ends nothing, and nobody is in."""
    with put_back(world, "policy_restraint"):
        run_sql(
            world,
            "UPDATE policy_restraint SET until = 1 WHERE subject = :who",
            who=world.cast["restricted"],
        )
        assert [Cause.DAMAGED] * 3 == heard(world, "restricted")


def test_one_part_put_back_alone_is_noticed(tmp_path: Path) -> None:
    """Neither older answers under the present row, nor the other way."""
    with build_world(tmp_path / "home") as world:
        who = world.cast[VICTIM]
        with world.platform.data.connect() as conn:
            before = conn.execute(
                text("SELECT * FROM consent_revision WHERE subject = :who"),
                {"who": who.hex},
            ).one()
        restrain(world, VICTIM, RestraintKind.RESTRICTION)
        run_sql(
            world,
            "DELETE FROM policy_restraint WHERE subject = :who",
            who=who,
        )
        assert [Cause.DAMAGED] * 3 == heard(world, VICTIM)

        # All of it together is as it once was: the ledger alone tells.
        with world.platform.data.begin() as conn:
            conn.execute(
                text(
                    "UPDATE consent_revision SET revision = :revision,"
                    " parts = :parts, mac = :mac WHERE subject = :subject"
                ),
                before._asdict(),
            )
        assert all(isinstance(one, Disclosure) for one in heard(world, VICTIM))


def test_a_cohort_is_not_made_of_forged_rows(world: World) -> None:
    """Whoever reads of everybody refuses what a request would."""
    facts, _ = source_of(world)
    people = sorted(world.cast[name] for name in (VICTIM, OTHER, "silent"))
    request = world.request(VICTIM, CITY)

    def read() -> int:
        with world.platform.data.connect() as conn:
            return len(
                list(
                    facts.about_many(
                        conn,
                        people,
                        request,
                        world.clock(),
                        present=frozenset({CITY}),
                    )
                )
            )

    assert 3 == read()
    run_sql(
        world,
        "DELETE FROM consent_event WHERE subject = :who",
        who=world.cast[VICTIM],
    )
    with pytest.raises(ConsentDamaged):
        read()


def test_an_act_vouches_for_no_row_that_was_there(world: World) -> None:
    """Whoever answers anew is told, and what was wrong stays wrong."""
    platform, who = world.platform, world.cast[VICTIM]
    run_sql(
        world,
        "UPDATE consent_event SET attributes = '' WHERE subject = :who",
        who=who,
    )
    event = world.event(VICTIM, EventType.WITHDRAWN)
    with pytest.raises(ConsentDamaged), platform.data.begin() as conn:
        platform.consents.record(conn, event)
    with platform.data.begin() as conn:
        platform.consents.bump(conn, who)

    assert [Cause.DAMAGED] * 3 == heard(world, VICTIM)


SLIPPED_IN = {
    "an answer": "INSERT INTO consent_event (tenant, subject, service,"
    " purpose, revision, id, statement, declaration, notice, language, type,"
    " attributes, at, actor, channel, recorded_at) SELECT tenant, subject,"
    " service, purpose, 99, :fresh, statement, declaration, notice, language,"
    " 'given', attributes, at, actor, channel, recorded_at"
    " FROM consent_event WHERE subject = :who AND type = 'given'",
    "rules": "INSERT INTO consent_preferences (tenant, subject, version, at,"
    " text) SELECT tenant, subject, 99, at, text FROM consent_preferences"
    " WHERE subject = :who AND version = 1",
    "a restraint lifted": "UPDATE policy_restraint SET until = 1"
    " WHERE subject = :who",
    "a mandate": "INSERT INTO consent_mandate (tenant, subject, id, text)"
    " SELECT tenant, subject, :fresh, text FROM consent_mandate"
    " WHERE subject = :who LIMIT 1",
}


def act(world: World, what: str) -> None:
    """Let something be done by which such rows are vouched for anew."""
    consents = world.platform.consents
    with world.platform.data.begin() as conn:
        if what == "an answer":
            consents.record(conn, world.event(VICTIM, EventType.WITHDRAWN))
        elif what == "rules":
            who = world.cast[VICTIM]
            for preset in ("careful", "only-needed"):
                consents.set_preferences(conn, who, PRESETS[preset], 5)
        elif what == "a mandate":
            (ended,) = consents.mandates(world.cast[OTHER], conn)
            for _ in range(2):
                made = replace(
                    ended,
                    id=uuid4(),
                    subject=world.cast[VICTIM],
                    ended_at=None,
                    ended_recorded_at=None,
                )
                consents.add_mandate(conn, made)
    if what == "a restraint lifted":
        restrain(world, VICTIM, RestraintKind.RESTRICTION)
        restrain(world, VICTIM, RestraintKind.OBJECTION)


@pytest.mark.parametrize("what", SLIPPED_IN)
def test_an_act_vouches_for_its_own_row_alone(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    """What somebody else commits while it waits gets no code with it."""
    who, calls = world.cast[VICTIM], 0
    owner, name = {
        "an answer": (EventLog, "append"),
        "rules": (Rules, "add"),
        "a mandate": (Mandates, "add"),
        "a restraint lifted": (RestraintStore, "rows"),
    }[what]
    genuine = getattr(owner, name)

    def slip(self: object, conn: Connection, *rest: object) -> object:
        nonlocal calls
        done = genuine(self, conn, *rest)
        calls += 1
        # With the second act, there is something to take a copy of.
        if calls == {"an answer": 1, "a restraint lifted": 3}.get(what, 2):
            sql = text(SLIPPED_IN[what])
            given = {"who": who, "fresh": uuid4()}
            used = {k: v for k, v in given.items() if f":{k}" in sql.text}
            types = [bindparam(one, type_=Uuid()) for one in used]
            assert conn.execute(sql.bindparams(*types), used).rowcount
        return done

    tables = ("consent_preferences", "consent_mandate", "policy_restraint")
    with put_back(world, *tables):
        monkeypatch.setattr(owner, name, slip)
        with pytest.raises(ConsentDamaged):
            act(world, what)


def test_a_lift_vouches_for_its_own_row_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a row that it ends, nothing else may have changed meanwhile."""
    store = RestraintStore(
        tenant="test",
        engine=world.platform.data,
        consents=world.platform.consents,
        random=world.platform.random,
    )
    who, rows, looks = world.cast["restricted"], RestraintStore.rows, 0

    def slip(
        self: RestraintStore, conn: Connection, subject: UUID
    ) -> list[tuple[object, ...]]:
        nonlocal looks
        looks += 1
        if looks == 2:
            conn.execute(text("UPDATE policy_restraint SET kind = 'signal'"))
        return rows(self, conn, subject)

    with put_back(world, "policy_restraint"):
        with world.platform.data.connect() as conn:
            identity = as_uuid(rows(store, conn, who)[0][0])
        monkeypatch.setattr(RestraintStore, "rows", slip)
        with (
            pytest.raises(ConsentDamaged),
            world.platform.data.begin() as conn,
        ):
            store.lift(conn, who, identity, now=world.clock())


def test_an_end_vouches_for_its_own_columns_alone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a mandate says is as it was made, also once it ends."""
    consents, genuine = world.platform.consents, Mandates.end

    def slip(self: Mandates, conn: Connection, *rest: Any) -> None:  # noqa: ANN401 - as there
        genuine(self, conn, *rest)
        conn.execute(
            text(
                "UPDATE consent_mandate SET text = '{}' WHERE subject = :who"
            ).bindparams(bindparam("who", type_=Uuid())),
            {"who": world.cast[VICTIM]},
        )

    monkeypatch.setattr(Mandates, "end", slip)
    with put_back(world, "consent_mandate"):
        made = empower(world, VICTIM)
        with (
            pytest.raises(ConsentDamaged),
            world.platform.data.begin() as conn,
        ):
            consents.end_mandate(conn, world.cast[VICTIM], made, at=5, now=5)


class Moving:
    """Counts of facts that go on with each look, as often as it is told."""

    def __init__(self, moves: int) -> None:
        """Begin at nothing."""
        self.moves, self.looks = moves, 0

    def revisions(self, _conn: object, members: Sequence[UUID]) -> list[int]:
        """Give a count; it stands still once all moves were made."""
        return [min(self.looks, self.moves)] * len(members)

    def look(self) -> str:
        """Find the facts as they are vouched for, once they stand still."""
        self.looks += 1
        if self.looks <= self.moves:
            raise ConsentDamaged(uuid4())
        return "as written"


@pytest.mark.parametrize("moves", [0, 1, 2, 4])
def test_what_is_changed_while_it_is_read_is_read_again(moves: int) -> None:
    """A server shows each statement what is committed when it begins."""
    facts = Moving(moves)
    found = settled(
        facts,  # type: ignore[arg-type] # what is asked of a store
        None,  # type: ignore[arg-type] # no statement is sent
        [uuid4()],
        facts.look,
    )
    assert "as written" == found
    assert moves + 1 == facts.looks


def test_what_stands_still_and_is_wrong_is_damage() -> None:
    """It is looked at once more, and then it is no decision."""
    facts = Moving(99)
    facts.revisions = lambda _conn, members: [7] * len(members)  # type: ignore[method-assign] # stands still
    with pytest.raises(ConsentDamaged):
        settled(facts, None, [uuid4()], facts.look)  # type: ignore[arg-type] # as above
    assert 2 == facts.looks


def test_mandates_that_are_changed_while_they_are_read_are_read_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is newer than what vouches for it is no forged one."""
    held, looks = Revisions.held, 0

    def older(self: Revisions, conn: Connection, subject: UUID) -> Counted:
        nonlocal looks
        looks += 1
        found = held(self, conn, subject)
        if looks == 1:
            return Counted(found.revision, Parts(subject, b""))
        return found

    monkeypatch.setattr(Revisions, "held", older)
    assert 1 == len(world.platform.consents.mandates(world.cast[OTHER]))
    assert 2 == looks


def test_rules_of_a_version_that_nobody_wrote_are_damage(
    world: World,
) -> None:
    """Version 0 stands for having chosen none, and is in no row."""
    with put_back(world, "consent_preferences"):
        with world.platform.data.begin() as conn:
            conn.execute(
                insert(PreferencesRow).values(
                    tenant="test",
                    subject=world.cast["silent"],
                    version=0,
                    at=5,
                    text=PRESETS["careful"].text(),
                )
            )
        assert [Cause.DAMAGED] * 3 == heard(world, "silent")


def test_a_merge_carries_no_forged_rules_over(world: World) -> None:
    """Rules that nobody chose do not become the survivor's own."""
    forged = PRESETS["only-needed"].text()
    with put_back(world, "consent_preferences"):
        with world.platform.data.begin() as conn:
            world.platform.consents.set_preferences(
                conn, world.cast[OTHER], PRESETS["careful"], world.clock()
            )
        with world.platform.data.begin() as conn:
            conn.execute(
                text("UPDATE consent_preferences SET text = :forged"),
                {"forged": forged},
            )
        with pytest.raises(ConsentDamaged):
            merge(world, "silent", OTHER)


FORGED_MANDATES = {
    "made": "INSERT INTO consent_mandate (tenant, subject, id, text)"
    " SELECT tenant, :who, id, text FROM consent_mandate"
    " WHERE subject = :other",
    "that goes on": "UPDATE consent_mandate SET ended_at = NULL,"
    " ended_recorded_at = NULL WHERE subject = :other",
    "taken away": "DELETE FROM consent_mandate WHERE subject = :other",
}


@pytest.mark.parametrize("name", FORGED_MANDATES)
def test_nobody_acts_under_a_forged_mandate(world: World, name: str) -> None:
    """Whose mandates are not as they were written, of them there are none."""
    with put_back(world, "consent_mandate"):
        run_sql(
            world,
            FORGED_MANDATES[name],
            **{
                key: world.cast[who]
                for key, who in (("who", VICTIM), ("other", OTHER))
                if f":{key}" in FORGED_MANDATES[name]
            },
        )
        victim = VICTIM if name == "made" else OTHER
        with pytest.raises(ConsentDamaged):
            world.platform.consents.mandates(world.cast[victim])
        event = world.event(victim, EventType.GIVEN)
        with (
            pytest.raises(ConsentDamaged),
            world.platform.data.begin() as conn,
        ):
            world.platform.consents.record(conn, event)


def test_a_restraint_vouches_for_no_row_that_was_there(world: World) -> None:
    """One more of them takes none that is gone for what was said."""
    with put_back(world, "policy_restraint"):
        run_sql(
            world,
            "DELETE FROM policy_restraint WHERE subject = :who",
            who=world.cast["restricted"],
        )
        with pytest.raises(ConsentDamaged):
            restrain(world, "restricted", RestraintKind.OBJECTION)


@pytest.mark.parametrize("database", KINDS)
def test_damage_holds_up_no_erasure(tmp_path: Path, database: str) -> None:
    """Whoever wants to be forgotten is, whatever stands in their rows."""
    kind = Kind(database)
    with build_world(tmp_path / "home", database=kind) as world:
        run_sql(
            world,
            "UPDATE consent_revision SET mac = NULL WHERE subject = :who",
            who=world.cast[VICTIM],
        )
        world.platform.eraser.erase(world.cast[VICTIM])
        found = heard(world, VICTIM)
        assert all(isinstance(one, Disclosure) for one in found)
        assert [] == [
            one.fault
            for one in world.platform.fact_sweep().run()
            if one.subject == world.cast[VICTIM]
        ]


def test_nobody_costs_a_code_as_somebody_does(
    shared: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service cannot tell by the work who is known."""
    made: list[str] = []
    of = RowMacs.of

    def count(
        self: RowMacs, kind: str, *columns: str | int, blob: bytes = b""
    ) -> bytes:
        made.append(kind)
        return of(self, kind, *columns, blob=blob)

    monkeypatch.setattr(RowMacs, "of", count)
    costs = []
    for name in ("silent", "nobody", "erased"):
        made.clear()
        heard(shared, name)
        costs.append(sorted(made))
    assert costs[0]
    assert [costs[0]] * 3 == costs


def test_codes_are_of_this_instance(shared: World) -> None:
    """Another key, another tenant or another table makes another code."""
    macs = RowMacs(b"k" * 32, "city", required=True)
    given = macs.of("a", "b", 1, b"c", None)

    macs.demand(given, "a", "b", 1, b"c", None)
    assert given != macs.of("a", "b", 1, b"c", None, blob=b"\n")
    for other, columns in (
        (RowMacs(b"l" * 32, "city", required=True), ("a", "b", 1, b"c", None)),
        (RowMacs(b"k" * 32, "town", required=True), ("a", "b", 1, b"c", None)),
        (macs, ("b", "b", 1, b"c", None)),
        (macs, ("a", "b", "1", b"c", None)),
        (macs, ("a", "b", 1, "c", None)),
        (macs, ("a", "b", 1, b"c", "")),
        (macs, ("a", "b", 1, b"c")),
    ):
        with pytest.raises(RowForged):
            other.demand(given, *columns)
    for none in (None, b"", given[:-1], given.hex()):
        with pytest.raises(RowForged):
            macs.demand(none, "a", "b", 1, b"c", None)
    assert "k" * 4 not in repr(macs)
    assert shared.platform.macs.required


ROWS = st.lists(
    st.tuples(st.text(max_size=5), st.one_of(st.none(), st.integers())),
    max_size=3,
)
NAMES = st.sampled_from(
    [RULES_PART, RESTRAINTS_PART]
    + [answers_part(SERVICE, f"p{n}") for n in range(6)]
)


@given(st.dictionaries(NAMES, ROWS), NAMES, ROWS, ROWS)
def test_parts_vouch_for_just_their_rows(
    parts: dict[bytes, list[tuple[str, int | None]]],
    name: bytes,
    rows: list[tuple[str, int | None]],
    others: list[tuple[str, int | None]],
) -> None:
    """Each part for its own rows, also once one was replaced."""
    who = uuid4()
    replaced = Parts(who, Parts(who, joined(parts)).replaced(name, rows))
    expected = {**parts, name: rows}
    for each, its in expected.items():
        replaced.demand(each, its)
    replaced.demand_all({one: its for one, its in expected.items() if its})
    if rows != others:
        with pytest.raises(ConsentDamaged):
            replaced.demand(name, others)
        with pytest.raises(ConsentDamaged):
            replaced.demand_all({**expected, name: others})


def test_a_name_within_a_digest_is_no_part() -> None:
    """What looks like a part's name across two others is passed over."""
    name = RULES_PART
    torn = b"\x00" * 8 + name + b"\xff" * 8
    parts = Parts(uuid4(), torn + name + b"d" * 16)
    with pytest.raises(ConsentDamaged):
        parts.demand(name, ())
    Parts(uuid4(), torn).demand(name, ())


def test_rows_that_no_code_can_cover_are_damage() -> None:
    """Bytes where text belongs are refused, and are no error of Python's."""
    who = uuid4()
    parts = Parts(who, b"")
    with pytest.raises(ConsentDamaged):
        parts.demand(RULES_PART, [(b"\xff",)])
    with pytest.raises(ConsentDamaged):
        parts.demand_all({RULES_PART: [(b"\xff",)]})
    with pytest.raises(ConsentDamaged):
        restraints_of(who, [(1, "restriction", "", 1, None, None)], 5, parts)


def test_a_restarted_instance_knows_its_codes(tmp_path: Path) -> None:
    """They are under the instance's own key, not a process's."""
    with build_world(tmp_path / "home") as world:
        platform = reopen(world)
        with platform.data.connect() as conn:
            for name in (VICTIM, "restricted", "refusing"):
                platform.vouching.demand(conn, world.cast[name])
