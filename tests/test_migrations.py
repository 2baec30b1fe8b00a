"""Migrations: the newest revision is exactly what the packages declare."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, MetaData, inspect, text

from api.databases import Rows, open_database
from api.migrations import Chain, _config, downgrade, metadata, upgrade
from consent import ledger_number
from consent.ledger import Ledger
from tests.databases import with_options
from tests.ledgers import ORIGIN, draft, make_ledger, person

VERSIONS = {Chain.DATA: "data_revision", Chain.KEYS: "keys_revision"}


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind."""
    if request.param == "sqlite":
        made = open_database(f"sqlite:///{tmp_path}/a.db")
    else:
        url = request.getfixturevalue("postgresql_url")
        plain = open_database(url)
        with plain.begin() as conn:
            conn.execute(text("DROP SCHEMA IF EXISTS migrating CASCADE"))
            conn.execute(text("CREATE SCHEMA migrating"))
        plain.dispose()
        made = open_database(with_options(url, "search_path=migrating"))
    yield made
    made.dispose()


def tables(engine: Engine) -> set[str]:
    """The tables that are there, but for the revision's own."""
    found = set(inspect(engine).get_table_names())
    return found - set(VERSIONS.values())


def differences(
    engine: Engine, chain: Chain, declared: list[MetaData]
) -> object:
    """What Alembic would still change."""
    with engine.connect() as conn:
        context = MigrationContext.configure(
            conn,
            opts={
                "version_table": VERSIONS[chain],
                "compare_type": True,
                "compare_server_default": True,
                "target_metadata": declared,
            },
        )
        return compare_metadata(context, declared)  # type: ignore[arg-type] # several, as Alembic allows


@pytest.mark.parametrize("chain", Chain)
def test_the_newest_revision_is_the_declared_schema(
    engine: Engine, chain: Chain
) -> None:
    """From empty to head: nothing is missing and nothing is too much."""
    upgrade(engine, chain)

    assert [] == differences(engine, chain, metadata(chain))
    assert {name for one in metadata(chain) for name in one.tables} == tables(
        engine
    )


@pytest.mark.parametrize("chain", Chain)
def test_the_comparison_sees_a_difference(
    engine: Engine, chain: Chain
) -> None:
    """A column too few is reported, so the test above means something."""
    upgrade(engine, chain)
    table = min(tables(engine))
    with engine.begin() as conn:
        conn.execute(text(f"ALTER TABLE {table} ADD COLUMN extra TEXT"))

    assert [] != differences(engine, chain, metadata(chain))


@pytest.mark.parametrize("chain", Chain)
def test_down_to_base_and_up_again(engine: Engine, chain: Chain) -> None:
    """The way back empties the database, and the way up fills it again."""
    upgrade(engine, chain)
    full = tables(engine)
    downgrade(engine, chain, "base")
    assert set() == tables(engine)
    upgrade(engine, chain)

    assert full == tables(engine)
    assert [] == differences(engine, chain, metadata(chain))


@pytest.mark.parametrize("chain", Chain)
def test_upgrading_again_changes_nothing(engine: Engine, chain: Chain) -> None:
    """Every start upgrades; at head that is no change."""
    upgrade(engine, chain)
    before = tables(engine)
    upgrade(engine, chain)

    assert before == tables(engine)


def test_only_what_is_behind_is_migrated(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the newest revision Alembic is not asked; a step before, it is."""
    upgrade(engine, Chain.KEYS)
    asked: list[str] = []
    real = command.upgrade

    def note(config: Config, revision: str) -> None:
        asked.append(revision)
        real(config, revision)

    monkeypatch.setattr(command, "upgrade", note)
    upgrade(engine, Chain.KEYS)
    assert [] == asked
    downgrade(engine, Chain.KEYS, "-1")
    upgrade(engine, Chain.KEYS)
    assert ["head"] == asked
    assert [] == differences(engine, Chain.KEYS, metadata(Chain.KEYS))


def test_both_chains_fit_in_one_database(engine: Engine) -> None:
    """On PostgreSQL they may share one: no table or revision collides."""
    for chain in Chain:
        upgrade(engine, chain)

    assert {
        name
        for chain in Chain
        for one in metadata(chain)
        for name in one.tables
    } == tables(engine)
    downgrade(engine, Chain.KEYS, "base")
    assert {
        name for one in metadata(Chain.DATA) for name in one.tables
    } == tables(engine)


def test_a_failed_upgrade_leaves_nothing(engine: Engine) -> None:
    """All of a revision or nothing of it, on both databases."""
    with engine.begin() as conn:
        conn.execute(text("CREATE TABLE policy_restraint (x INTEGER)"))
    with pytest.raises(Exception, match="policy_restraint"):
        upgrade(engine, Chain.DATA)

    assert {"policy_restraint"} == tables(engine)


@pytest.mark.parametrize("chain", Chain)
def test_a_chain_has_one_line(chain: Chain) -> None:
    """One base and one head: revisions do not fork."""
    script = ScriptDirectory.from_config(_config(chain))

    assert 1 == len(script.get_heads())
    assert 1 == len(script.get_bases())


def test_the_packages_tables_are_named_for_them() -> None:
    """A table's name begins with its package's own word."""
    for chain in Chain:
        for one in metadata(chain):
            for name in one.tables:
                assert name.startswith(
                    ("vault_", "consent_", "ledger_", "policy_")
                )


def as_version_2(ledger: Ledger, log_key: bytes) -> None:
    """Write a person's rows as they were before revision 0015."""
    keys, mine = ledger._keys, ledger._keys.person(log_key)
    with ledger.engine.begin() as conn:
        for entry in ledger.own_entries(log_key):
            row = ledger._row(conn, entry.index)
            opened = ledger._opened(mine, row)
            plain = opened.subject_salt + opened.audit_salt
            for part in (opened.subject_body, opened.audit_body, b""):
                plain += len(part).to_bytes(4, "big") + part
            nonce = bytes(12)
            own = b"\x02" + nonce
            own += mine.cipher.encrypt(nonce, plain, b"\x02" + row.leaf)
            seal = keys.seal_entry(row._replace(own=own))
            conn.execute(
                text(
                    "UPDATE ledger_entry SET own = :own, seal = :seal"
                    " WHERE idx = :idx"
                ),
                {"own": own, "seal": seal, "idx": row.idx},
            )


def test_entries_of_before_are_linked(engine: Engine) -> None:
    """An older ledger verifies, shows its entries, and goes on.

    Entries that older code cannot read keep it from being made older.
    """
    upgrade(engine, Chain.DATA)
    own = open_database(
        engine.url.render_as_string(hide_password=False),
        rows=Rows(tenant="town", ledger=ledger_number(ORIGIN)),
    )
    ledger, key = make_ledger(own), person(1)[1]
    for _ in range(3):
        with own.begin() as conn:
            ledger.append(conn, [draft(1), draft(2), draft(0)])
    for number in (1, 2):
        with pytest.raises(CommandError, match="older code cannot read"):
            downgrade(engine, Chain.DATA, "0014")
        as_version_2(ledger, person(number)[1])
    before = ledger.own_entries(key)
    downgrade(engine, Chain.DATA, "0014")
    assert "before" not in {
        column["name"]
        for column in inspect(engine).get_columns("ledger_entry")
    }
    upgrade(engine, Chain.DATA)

    assert 9 == ledger.verify().size
    assert [6, 3, 0] == [entry.index for entry in before]
    assert before == ledger.own_entries(key)
    with own.begin() as conn:
        ledger.append(conn, [draft(1)])
    assert [9, 6, 3, 0] == [one.index for one in ledger.own_entries(key)]
    ledger.verify()
    own.dispose()
