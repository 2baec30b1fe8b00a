"""Rows with a code over their own columns, against whoever writes tables."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Connection, Engine, Row, create_engine, select, text

from consent import RowForged, RowMacs
from policy.coded_rows import CodedRows
from policy.tables import ProposalRow

TABLE = ProposalRow.metadata.tables["policy_proposal"]
VALUES = {
    "number": 1,
    "service": "s",
    "purpose": "p",
    "version": 1,
    "digest": "d",
    "base": "",
    "text": "t",
    "proposer": "officer-1",
    "proposed_at": 5,
    "officer": "",
    "decided_at": None,
    "state": "proposed",
}


def coded(*, required: bool = True, tenant: str = "test") -> CodedRows:
    """The rows of one tenant."""
    return CodedRows(
        TABLE, RowMacs(bytes(32), tenant, required=required), tenant
    )


@pytest.fixture
def conn() -> Iterator[Connection]:
    """A transaction on a database of the one table."""
    engine: Engine = create_engine("sqlite://")
    TABLE.create(engine)
    with engine.begin() as made:
        yield made
    engine.dispose()


def stored(conn: Connection) -> Row[Any]:
    """The one row that there is."""
    return conn.execute(select(TABLE)).one()


@given(
    name=st.sampled_from([*VALUES]),
    other=st.one_of(st.none(), st.integers(), st.text(), st.binary()),
)
def test_every_column_is_under_the_code(name: str, other: object) -> None:
    """Another value in any of them, of any type, is another row."""
    rows = coded()

    class Read:
        """What a driver gives."""

        def __init__(self, values: dict[str, object], mac: bytes) -> None:
            self._values, self.mac = values, mac

        def _asdict(self) -> dict[str, object]:
            return self._values

    mac = rows._code(VALUES)
    rows.demand(Read(dict(VALUES), mac))  # type: ignore[arg-type] # what is read of a row
    if (type(other), other) == (type(VALUES[name]), VALUES[name]):
        return
    with pytest.raises(RowForged):
        rows.demand(Read({**VALUES, name: other}, mac))  # type: ignore[arg-type] # as above


def test_a_row_is_changed_as_it_was_read_or_not_at_all(
    conn: Connection,
) -> None:
    """Whatever became another value meanwhile, with or without a code."""
    rows = coded()
    rows.insert(conn, VALUES)
    before = stored(conn)
    for change in ("base = 'x'", "officer = 'o'", "mac = x'00'"):
        conn.execute(text(f"UPDATE policy_proposal SET {change}"))
        assert not rows.change(conn, before, state="published")
        conn.execute(TABLE.update().values(**before._asdict()))

    assert rows.change(conn, before, state="published")
    rows.demand(stored(conn))
    assert "published" == stored(conn).state
    assert not rows.change(conn, before, state="rejected")


def test_a_row_of_another_is_not_changed(conn: Connection) -> None:
    """Nor vouched for, nor one of another tenant looked at."""
    coded(tenant="other").insert(conn, VALUES)
    rows = coded()

    assert [] == rows.standing(conn)
    assert 0 == rows.vouch(conn)
    with pytest.raises(RowForged):
        rows.change(conn, stored(conn), state="published")


def test_vouching_makes_the_codes_that_are_not_right(
    conn: Connection,
) -> None:
    """Of those alone, as the rows stand."""
    rows = coded()
    rows.insert(conn, VALUES)
    rows.insert(conn, {**VALUES, "number": 2})
    conn.execute(
        text("UPDATE policy_proposal SET base = 'x' WHERE number = 2")
    )
    assert [True, False] == [one.genuine for one in rows.standing(conn)]

    assert 1 == rows.vouch(conn)
    assert [("", True), ("x", True)] == [
        (one.columns["base"], one.genuine) for one in rows.standing(conn)
    ]


def test_a_row_that_does_not_read_stands_beside_those_that_do(
    conn: Connection,
) -> None:
    """Its other columns are told, by whichever key, and it is not genuine."""
    rows = coded()
    for number in (1, 2, 3):
        rows.insert(conn, {**VALUES, "number": number})
    coded(tenant="other").insert(conn, VALUES)
    conn.execute(
        text(
            "UPDATE policy_proposal SET base = CAST(x'ff' AS TEXT)"
            " WHERE number = 2"
        )
    )
    first, second, third = rows.standing(conn)

    assert [(1, True), (3, True)] == [
        (one.columns["number"], one.genuine) for one in (first, third)
    ]
    assert (("base",), False) == (second.unread, second.genuine)
    assert {**VALUES, "number": 2, "base": None} == second.columns
    conn.execute(
        text(
            "UPDATE policy_proposal SET number = CAST(x'ff' AS TEXT)"
            " WHERE number = 2"
        )
    )
    assert [(), (), ("number", "base")] == [
        one.unread for one in rows.standing(conn)
    ]


@pytest.mark.parametrize("right", [True, False])
def test_what_waits_for_nobody_launders_nothing(
    conn: Connection, *, right: bool
) -> None:
    """A row without a right code ends with none."""
    rows = coded()
    rows.insert(conn, VALUES)
    if not right:
        conn.execute(text("UPDATE policy_proposal SET base = 'x'"))
    rows.rewrite(conn, stored(conn), text="")

    assert ("", right) == (stored(conn).text, rows.is_right(stored(conn)))
    assert right == rows.counts(stored(conn))
    assert coded(required=False).counts(stored(conn))
