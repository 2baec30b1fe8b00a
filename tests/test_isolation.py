"""Two public bodies in one PostgreSQL: neither reaches the other's rows."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import Engine, Table, inspect, text
from sqlalchemy.exc import DBAPIError

from api.bootstrap import bootstrap
from api.databases import Rows, UnsafeDatabaseError, open_database
from api.migrations import Chain, downgrade, metadata, upgrade
from api.migrations.isolation import open_tables
from policy import Effect
from tests.databases import Kind, connect, fresh, with_options
from tests.worlds import CHEAP, World, build_world

pytestmark = pytest.mark.postgresql
NORTH, SOUTH = "north", "south"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bodies:
    """Two instances on the same two databases."""

    north: World
    south: World

    def engine(self, world: World, chain: Chain) -> Engine:
        """One of an instance's databases."""
        platform = world.platform
        return platform.data if chain is Chain.DATA else platform.keys


@pytest.fixture(scope="module")
def bodies(
    postgresql_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Bodies]:
    """A northern and a southern body, each with the whole cast."""
    home = tmp_path_factory.mktemp("bodies")
    with (
        fresh(Kind.POSTGRESQL) as shared,
        build_world(home / NORTH, **_of(NORTH), **shared) as north,
        build_world(home / SOUTH, **_of(SOUTH), **shared) as south,
    ):
        yield Bodies(north=north, south=south)


def _of(tenant: str) -> dict[str, str]:
    return {"tenant": tenant, "origin": f"localhost/{tenant}/access-log"}


def tables(chain: Chain) -> list[Table]:
    """Every table that the packages declare for a database."""
    return [table for one in metadata(chain) for table in one.sorted_tables]


EVERY_TABLE = [
    pytest.param(chain, table, id=table.name)
    for chain in Chain
    for table in tables(chain)
]


def rows_of(engine: Engine, table: Table) -> list[tuple[object, ...]]:
    """All rows that a hand-written query finds, in some order."""
    with engine.connect() as conn:
        return [
            tuple(row)
            for row in conn.execute(text(f"SELECT * FROM {table.name}"))
        ]


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_every_table_says_whose_its_rows_are(
    chain: Chain, table: Table
) -> None:
    """A table without the column of a tenant or a ledger would be open."""
    assert {"tenant", "ledger"} & set(table.columns.keys())


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_a_query_without_a_condition_finds_ones_own_rows_alone(
    bodies: Bodies, chain: Chain, table: Table
) -> None:
    """SELECT * finds none of the other body's rows, in any table."""
    column = "tenant" if "tenant" in table.columns else "ledger"
    owners = {}
    for world in (bodies.north, bodies.south):
        engine = bodies.engine(world, chain)
        with engine.connect() as conn:
            found = conn.execute(
                text(f"SELECT DISTINCT {column} FROM {table.name}")
            ).scalars()
            owners[world.platform.settings.tenant] = set(found)

    assert not owners[NORTH] & owners[SOUTH]
    assert len(owners[NORTH]) <= 1 >= len(owners[SOUTH])


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_the_tables_of_the_test_are_not_empty(
    bodies: Bodies, chain: Chain, table: Table
) -> None:
    """Where the cast left rows, both bodies have some of their own."""
    empty = {
        "consent_notice",
        "ledger_checkpoint",
        "ledger_tile",
        "policy_credential",
        "policy_decision",
        "policy_release",
        "vault_history",
    }
    found = rows_of(bodies.engine(bodies.north, chain), table)
    if table.name not in empty and _from_the_start(table):
        assert found


def _from_the_start(table: Table) -> bool:
    """Whether the first revision made the table."""
    folder = Path(__file__).parents[1] / "api" / "migrations"
    return any(
        f'"{table.name}"' in (path / "versions" / "r0001.py").read_text()
        for path in folder.iterdir()
        if path.is_dir() and (path / "versions").is_dir()
    )


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_a_connection_for_nobody_finds_nothing(
    bodies: Bodies, chain: Chain, table: Table
) -> None:
    """Without the settings no row is visible and none can be written."""
    settings = bodies.north.platform.settings
    url = settings.data if chain is Chain.DATA else settings.keys
    engine = open_database(url)

    assert [] == rows_of(engine, table)
    with engine.begin() as conn:
        assert 0 == conn.execute(text(f"DELETE FROM {table.name}")).rowcount
    engine.dispose()


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_nobody_writes_the_other_bodys_rows(
    bodies: Bodies, chain: Chain, table: Table
) -> None:
    """A row under the other's name is refused; theirs are out of reach."""
    north = bodies.engine(bodies.north, chain)
    south = bodies.engine(bodies.south, chain)
    theirs = rows_of(south, table)
    column = "tenant" if "tenant" in table.columns else "ledger"
    whose = (
        theirs[0][list(table.columns.keys()).index(column)] if theirs else 0
    )
    with north.connect() as conn, conn.begin() as transaction:
        updated = conn.execute(
            text(f"UPDATE {table.name} SET {column} = {column}")
        ).rowcount
        deleted = conn.execute(
            text(f"DELETE FROM {table.name} WHERE {column}::text = :whose"),
            {"whose": str(whose)},
        ).rowcount
        transaction.rollback()

    assert (len(rows_of(north, table)), 0) == (updated, deleted)
    assert theirs == rows_of(south, table)
    for row in theirs[:1]:
        marks = ", ".join(f":v{n}" for n in range(len(row)))
        bound = {f"v{n}": value for n, value in enumerate(row)}
        with (
            north.begin() as conn,
            pytest.raises(DBAPIError, match="row-level security"),
        ):
            conn.execute(
                text(f"INSERT INTO {table.name} VALUES ({marks})"), bound
            )


@pytest.mark.parametrize(("chain", "table"), EVERY_TABLE)
def test_ones_own_rows_are_not_handed_over(
    bodies: Bodies, chain: Chain, table: Table
) -> None:
    """A row is not moved to the other body by an update."""
    north = bodies.engine(bodies.north, chain)
    if not rows_of(north, table):
        return
    change = (
        f"tenant = '{SOUTH}'" if "tenant" in table.columns else "ledger = 1"
    )
    with (
        north.begin() as conn,
        pytest.raises(DBAPIError, match="row-level security"),
    ):
        conn.execute(text(f"UPDATE {table.name} SET {change}"))


def test_both_bodies_work_side_by_side(bodies: Bodies) -> None:
    """Both disclose, and both ledgers and vaults verify, in one database."""
    for world in (bodies.north, bodies.south):
        platform = world.platform
        answer = world.run(platform.gate.disclose(world.request("consenting")))
        assert Effect.RELEASE in {one.effect for one in answer.attributes}
        assert platform.ledger.size() == platform.ledger.verify().size
        assert [] == list(platform.vault.verify())
        assert len(world.cast) - 1 == len(list(platform.vault.subjects()))


def test_the_prepared_reads_are_bound_too(bodies: Bodies) -> None:
    """The driver's own connections see the other body's people as unknown.

    The statements name the tenant already, so the rows are asked for under
    the other's name, as a fault of ours would.
    """
    north, south = bodies.north.platform, bodies.south.platform
    subject = bodies.south.cast["consenting"]
    rows = north.vault._rows
    found = rows._one(SOUTH, subject, SOUTH, subject)
    same = south.vault._rows._one(SOUTH, subject, SOUTH, subject)

    assert [] == found
    assert same
    assert not north.vault.holding(subject).known
    assert [] == north.vault._keys._pair(SOUTH, subject, SOUTH, subject)


def test_the_settings_outlive_a_reset_of_the_session(bodies: Bodies) -> None:
    """They are options of the connection's start: DISCARD ALL keeps them."""
    engine = bodies.north.platform.data
    alone = engine.execution_options(isolation_level="AUTOCOMMIT")
    with alone.connect() as conn:
        conn.execute(text("SET curtilage.tenant = 'south'"))
        conn.execute(text("DISCARD ALL"))

        assert NORTH == conn.execute(text("SHOW curtilage.tenant")).scalar()


def test_the_address_cannot_speak_for_another_body(
    bodies: Bodies,
) -> None:
    """Ours come after the options of the address, and the last one holds."""
    settings = bodies.north.platform.settings
    url = with_options(settings.data, "curtilage.tenant=south")
    engine = open_database(url, rows=Rows(tenant=NORTH, ledger=1))
    with engine.connect() as conn:
        assert NORTH == conn.execute(text("SHOW curtilage.tenant")).scalar()
    engine.dispose()


def test_every_pooled_connection_carries_the_settings(
    bodies: Bodies,
) -> None:
    """So many connections at once as the pool gives: each sees its own."""
    engine = bodies.south.platform.data
    held = [engine.connect() for _ in range(12)]
    seen = {
        one.execute(text("SHOW curtilage.tenant")).scalar() for one in held
    }
    for one in held:
        one.close()

    assert {SOUTH} == seen


def test_a_superuser_is_refused(bodies: Bodies) -> None:
    """No policy binds one, so an instance does not run as one."""
    server = os.environ.get("CURTILAGE_TEST_POSTGRESQL_SUPERUSER", "")
    if not server:
        pytest.skip("the server is not the tests' own")
    with pytest.raises(UnsafeDatabaseError, match="ordinary role"):
        open_database(server, rows=Rows(tenant=NORTH, ledger=1))


@pytest.mark.parametrize(
    "change",
    [
        "DISABLE ROW LEVEL SECURITY",
        "NO FORCE ROW LEVEL SECURITY",
    ],
)
def test_a_table_that_was_opened_is_refused_at_the_start(
    tmp_path: Path, postgresql_url: str, change: str
) -> None:
    """The start names the table, and starts nothing."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        settings = world.platform.settings
        with world.platform.data.begin() as conn:
            conn.execute(text(f"ALTER TABLE vault_value {change}"))
        with pytest.raises(UnsafeDatabaseError, match="vault_value"):
            bootstrap(settings, clock=world.clock, costs=CHEAP)


def test_a_second_policy_is_noticed(
    tmp_path: Path, postgresql_url: str
) -> None:
    """Policies permit by OR: one more would open what ours keeps shut."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        with world.platform.data.begin() as conn:
            conn.execute(
                text("CREATE POLICY more ON vault_value USING (true)")
            )
        with pytest.raises(UnsafeDatabaseError, match="vault_value"):
            bootstrap(world.platform.settings, clock=world.clock, costs=CHEAP)


def test_the_way_down_opens_and_the_way_up_isolates(
    postgresql_url: str,
) -> None:
    """Both directions, on each database, and again."""
    with fresh(Kind.POSTGRESQL) as addresses:
        for chain, before in ((Chain.DATA, "0005"), (Chain.KEYS, "0003")):
            engine = open_database(addresses[f"{chain}_url"])
            names = {table.name for table in tables(chain)}
            found = []
            wanted = []
            for move in (downgrade, upgrade, downgrade, upgrade):
                down = move is downgrade
                move(engine, chain, before if down else "head")
                with engine.connect() as conn:
                    found.append(open_tables(conn))
                    # Later revisions' tables are gone on the way down.
                    there = names & set(inspect(conn).get_table_names())
                wanted.append(sorted(there) if down else [])
            engine.dispose()

            assert wanted == found
            assert wanted[0]


def test_in_one_schema_each_chain_isolates_its_own(
    postgresql_url: str,
) -> None:
    """Taking one chain down leaves the other's tables isolated."""
    with fresh(Kind.POSTGRESQL) as addresses:
        url = addresses["data_url"]
        engine = open_database(url)
        upgrade(engine, Chain.KEYS)
        downgrade(engine, Chain.KEYS, "0003")
        with engine.connect() as conn:
            found = open_tables(conn)
        engine.dispose()

    assert sorted(table.name for table in tables(Chain.KEYS)) == found


def test_the_role_of_the_tests_is_an_ordinary_one(postgresql_url: str) -> None:
    """Else every test above would prove nothing."""
    with connect(postgresql_url) as connection:
        above = connection.execute(
            "SELECT rolsuper OR rolbypassrls FROM pg_roles"
            " WHERE rolname = current_user"
        ).fetchone()

    assert (False,) == above
