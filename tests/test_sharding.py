"""README's page on sharding, held to the schema and to the statements sent."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import text

from api.databases import open_database
from policy import Effect
from tests.databases import Kind, fresh
from tests.parts import ROOT
from tests.worlds import (
    ADDRESS,
    NUMBER,
    World,
    build_world,
    person_values,
)

pytestmark = pytest.mark.postgresql
# What stays whole, or is copied to every worker (README says why).
UNSHARDED = re.compile(
    r"^(ledger_\w+|policy_decision|policy_visibility|policy_proposal|consent_declaration"
    r"|policy_credential|policy_glass(_alert)?|policy_consent_request"
    r"|policy_release(d(_person)?)?|policy_budget"
    r"|consent_registry|consent_notice"
    r"|policy_bundle|policy_flip|policy_live"
    r"|policy_webhook_\w+|vault_index_spec|vault_data_mark|data_revision)$"
)
_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(\w+)", re.IGNORECASE)


@pytest.fixture
def world(tmp_path: Path, postgresql_url: str) -> Iterator[World]:
    """An instance on PostgreSQL."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as made:
        yield made


def page() -> str:
    """The SQL that README tells an operator to run."""
    readme = (ROOT / "README.md").read_text("utf-8")
    section = readme.split("## Sharding by person")[1].split("\n## ")[0]
    found = re.search(r"```sql\n(.*?)```", section, re.DOTALL)
    assert found
    return found[1]


def named(statement: str) -> set[str]:
    """The tables that a statement is about."""
    return set(_TABLE.findall(statement))


def distributed() -> dict[str, str]:
    """The distribution column of each table that the page distributes."""
    return dict(
        re.findall(r"create_distributed_table\('(\w+)', '(\w+)'", page())
    )


def test_each_statement_after_the_look_up_is_about_one_person(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tenant and subject stand in each part about a sharded table.

    The driver's own cursor is watched, so the prepared reads are seen as
    well as what SQLAlchemy sends.
    """
    sent: list[str] = []
    real: Callable[..., object] = psycopg.Cursor.execute

    def noting(*given: object, **more: object) -> object:
        sent.append(str(given[1]))
        return real(*given, **more)

    monkeypatch.setattr(psycopg.Cursor, "execute", noting)
    answer = world.run(
        world.platform.gate.disclose(world.request("consenting", *ADDRESS))
    )
    monkeypatch.undo()

    assert {Effect.RELEASE} == {one.effect for one in answer.attributes}
    (look_up,) = [n for n, one in enumerate(sent) if "vault_index." in one]
    keys = {"vault_dek", "vault_kek", "vault_tenant", "vault_keys_mark"}
    checked = set()
    for statement in sent[look_up + 1 :]:
        for part in re.split(r"\bUNION ALL\b", statement):
            # `unnest` is a function, and what is filled by it the ledger's.
            words = {"SET", "unnest"}
            tables = set(_TABLE.findall(part)) - keys - words
            sharded = {one for one in tables if not UNSHARDED.match(one)}
            assert sharded <= set(distributed()), statement
            for table in sharded:
                for column in ("tenant", "subject"):
                    assert re.search(rf"\b{table}\.{column} = %", part), (
                        statement
                    )
            checked |= sharded

    assert {
        "vault_subject",
        "vault_value",
        "consent_event",
        "consent_revision",
        "consent_preferences",
        "policy_restraint",
    } <= checked


def test_the_look_up_is_two_statements_for_anybody(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the index value, then by the person; as many for a stranger."""
    sent: list[str] = []
    real: Callable[..., object] = psycopg.Cursor.execute

    def noting(*given: object, **more: object) -> object:
        sent.append(str(given[1]))
        return real(*given, **more)

    look_ups = {}
    monkeypatch.setattr(psycopg.Cursor, "execute", noting)
    for name in ("consenting", "erased", "nobody"):
        sent.clear()
        values = world.values.get(name) or person_values(977)
        found = world.platform.vault.look_up.find(NUMBER, values[NUMBER])
        assert (name == "consenting") == (found is not None)
        # The list of indexes is read once, and then again now and then.
        look_ups[name] = [
            one for one in sent if {"vault_index", "vault_value"} & named(one)
        ]
    monkeypatch.undo()

    index, value = look_ups["nobody"]
    assert "digest" == distributed()["vault_index"]
    assert {"vault_index"} == named(index)
    assert "vault_index.digest = %" in index
    assert {"vault_value"} == named(value)
    for column in ("tenant", "subject"):
        assert f"vault_value.{column} = %" in value
    assert look_ups["consenting"] == look_ups["erased"] == look_ups["nobody"]


def test_every_table_of_the_data_has_its_place(world: World) -> None:
    """A table that is new is distributed, copied, or said to stay whole."""
    with world.platform.data.connect() as conn:
        tables = set(
            conn.execute(
                text(
                    "SELECT tablename FROM pg_tables"
                    " WHERE schemaname = current_schema()"
                )
            ).scalars()
        )
    whole = {one for one in tables if UNSHARDED.match(one)}

    assert set(distributed()) == tables - whole


def test_the_page_runs_and_leaves_constraints_that_citus_takes(
    postgresql_url: str,
) -> None:
    """Each unique constraint of a distributed table has its column.

    Citus's two functions are stood in for; the rest is run as it is.
    """
    with fresh(Kind.POSTGRESQL) as addresses:
        engine = open_database(addresses["data_url"])
        with engine.begin() as conn:
            for name in ("distributed", "reference"):
                conn.execute(
                    text(
                        f"CREATE FUNCTION create_{name}_table(a regclass,"
                        " b text DEFAULT '', colocate_with text DEFAULT '')"
                        " RETURNS void LANGUAGE sql AS 'SELECT'"
                    )
                )
            conn.exec_driver_sql(page())
            unique = conn.execute(
                text(
                    "SELECT c.relname, array_agg(a.attname::text)"
                    " FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid"
                    " JOIN pg_attribute a ON a.attrelid = c.oid"
                    " AND a.attnum = ANY (i.indkey)"
                    " WHERE i.indisunique"
                    " AND c.relnamespace = current_schema()::regnamespace"
                    " GROUP BY c.relname, i.indexrelid"
                )
            ).all()
            references = conn.execute(
                text(
                    "SELECT c.relname, f.relname FROM pg_constraint o"
                    " JOIN pg_class c ON c.oid = o.conrelid"
                    " JOIN pg_class f ON f.oid = o.confrelid"
                    " WHERE o.contype = 'f'"
                    " AND c.relnamespace = current_schema()::regnamespace"
                )
            ).all()
        engine.dispose()

    columns = distributed()
    copied = set(re.findall(r"create_reference_table\('(\w+)'", page()))
    assert set(columns) <= {table for table, _ in unique}
    for table, parts in unique:
        if table in columns:
            assert columns[table] in parts, (table, parts)
    for table, other in references:
        if table in columns:
            assert other in copied


def test_it_says_that_it_was_not_run_on_citus() -> None:
    """Nobody shall take the page for a report."""
    assert "It was not run on Citus" in (ROOT / "README.md").read_text("utf-8")
