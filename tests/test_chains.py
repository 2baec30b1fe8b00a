"""Chains of entries about a person: found by links, and held against tags."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from consent.errors import LedgerInconsistent
from consent.ledger import Ledger
from tests.ledgers import draft, make_ledger, open_empty, person

ANNA, BRUNO = person(1)[1], person(2)[1]


@pytest.fixture(
    params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgresql)]
)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Engine]:
    """An empty database of each kind."""
    if request.param == "postgresql":
        request.getfixturevalue("postgresql_url")
    made = open_empty(request.param, tmp_path)
    yield made
    made.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """Twelve entries, by turns about one person, another, and nobody."""
    made = make_ledger(engine)
    for _ in range(4):
        with engine.begin() as conn:
            made.append(conn, [draft(1), draft(2), draft(0)])
    made.verify()
    return made


def run(engine: Engine, statement: str) -> None:
    """Change the tables behind the ledger's back."""
    with engine.begin() as conn:
        conn.execute(text(statement))


def places(ledger: Ledger, before: int | None = None) -> list[int]:
    """List where the first person's entries are found."""
    found = ledger.own_entries(ANNA, before=before, limit=3)
    return [entry.index for entry in found]


def test_pages_of_a_chain(ledger: Ledger) -> None:
    """Any index may stand before a page: of the chain, between, beyond."""
    assert [9, 6, 3] == places(ledger)
    assert [0] == places(ledger, 3)
    assert [3, 0] == places(ledger, 5)
    assert [] == places(ledger, 0)
    assert [9, 6, 3] == places(ledger, 10_000)


def test_a_link_into_another_chain_leads_nowhere(ledger: Ledger) -> None:
    """Nobody is shown, and nobody loses, an entry of somebody else."""
    run(ledger.engine, "UPDATE ledger_entry SET before = 4 WHERE idx = 9")

    assert [9] == places(ledger)
    with ledger.engine.begin() as conn:
        assert 4 == ledger.erase(conn, ANNA)
    assert 4 == len(ledger.own_entries(BRUNO))


@pytest.mark.parametrize("link", [9, 10, 3])
def test_a_circle_has_an_end(ledger: Ledger, link: int) -> None:
    """Links that rise, which the ledger never makes, are not followed."""
    run(
        ledger.engine, f"UPDATE ledger_entry SET before = {link} WHERE idx = 3"
    )

    assert [9, 6, 3] == places(ledger)
    assert [] == places(ledger, 3)
    with pytest.raises(LedgerInconsistent, match="link"):
        ledger.verify()


@pytest.mark.parametrize(
    "attack",
    [
        "UPDATE ledger_entry SET before = NULL WHERE idx = 6",
        "UPDATE ledger_entry SET before = 0 WHERE idx = 6",
        "UPDATE ledger_person SET last = NULL",
        "UPDATE ledger_person SET last = 6 WHERE last = 9",
        "DELETE FROM ledger_person WHERE last = 9",
    ],
)
def test_an_erasure_reaches_what_was_cut_off(
    ledger: Ledger, attack: str
) -> None:
    """It follows no link and no row: it searches all entries for the tags."""
    run(ledger.engine, attack)
    with pytest.raises(LedgerInconsistent):
        ledger.verify()

    with ledger.engine.begin() as conn:
        assert 4 == ledger.erase(conn, ANNA)
        left = conn.execute(
            text(
                "SELECT count(*) FROM ledger_entry WHERE idx % 3 = 0 AND"
                " (tag IS NOT NULL OR own IS NOT NULL OR audit IS NOT NULL"
                " OR before IS NOT NULL)"
            )
        )
        assert 0 == left.scalar_one()


def test_erased_entries_are_linked_to_nothing(ledger: Ledger) -> None:
    """Who had been one person does not follow from what is left."""
    with ledger.engine.begin() as conn:
        ledger.erase(conn, ANNA)
        linked = conn.execute(
            text("SELECT idx FROM ledger_entry WHERE before IS NOT NULL")
        ).scalars()
        assert {4, 7, 10} == set(linked)
    ledger.verify()
