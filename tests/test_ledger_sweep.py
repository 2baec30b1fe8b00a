"""The sweep: whatever is changed in the stored ledger is found and named."""

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import OperationalError

from consent.checkpoint import Checkpoint, sign_checkpoint
from consent.compact_range import CompactRange
from consent.errors import LedgerInconsistent
from consent.ledger import Ledger
from consent.ledger_keys import EntryFields
from consent.ledger_sweep import _read_page
from consent.merkle import hash_leaf
from consent.tables import ConsentTable
from tests.ledgers import (
    DATABASES,
    NOON,
    ORIGIN,
    SIGNER,
    draft,
    fill,
    make_ledger,
    open_empty,
    person,
    wipe,
)
from tests.test_signed_notes import signer

SIZE = 300
VICTIM = 41


@pytest.fixture(scope="module", params=DATABASES)
def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Open a database of each kind."""
    engine = open_empty(request.param, tmp_path_factory.mktemp("ledger"))
    yield engine
    engine.dispose()


@pytest.fixture
def engine(opened: Engine) -> Engine:
    """Return the database without an entry."""
    wipe(opened)
    return opened


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """Return a ledger of 300 entries with checkpoints and an erased person."""
    made = make_ledger(engine)
    fill(made, 30)
    made.checkpoint()
    fill(made, SIZE - 30)
    made.checkpoint()
    with engine.begin() as conn:
        made.erase(conn, person(4)[1])
    return made


def flip_byte(value: object) -> object:
    """Change the least a column's value can be changed."""
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        return value[:-1] + chr(ord(value[-1]) ^ 1)
    raw = bytearray(bytes(value))  # type: ignore[call-overload]  # the rest are bytes
    raw[len(raw) // 2] ^= 1
    return bytes(raw)


def attack(conn: Connection, table: str, column: str, where: str) -> object:
    """Flip one column of one row; return what stood there."""
    old = conn.execute(
        text(f"SELECT {column} FROM {table} WHERE {where}")
    ).scalar_one()
    conn.execute(
        text(f"UPDATE {table} SET {column} = :new WHERE {where}"),
        {"new": flip_byte(old)},
    )
    return old


ENTRY = f"idx = {VICTIM}"
FLIPS = [
    *(
        ("ledger_entry", column, ENTRY, VICTIM)
        for column in (
            "leaf",
            "tag",
            "service",
            "purpose",
            "day",
            "own",
            "audit",
            "seal",
            "before",
            "ledger",
        )
    ),
    # Moved beyond the end, an entry leaves a gap where it stood.
    ("ledger_entry", "idx", f"idx = {SIZE - 1}", SIZE - 1),
    ("ledger_tile", "hashes", "level = 0", 128),
    ("ledger_tile", "hashes", "level = 1", 0),
    ("ledger_tile", "level", "level = 1", 0),
    ("ledger_tile", "number", "level = 0", 0),
    ("ledger_tile", "ledger", "level = 0", 0),
    ("ledger_checkpoint", "size", "size = 30", None),
    ("ledger_checkpoint", "root", "size = 30", None),
    ("ledger_checkpoint", "note", "size = 30", None),
    ("ledger_checkpoint", "at", "size = 30", None),
    ("ledger_checkpoint", "seal", "size = 30", None),
    ("ledger_head", "origin", "1 = 1", None),
    ("ledger_head", "size", "1 = 1", None),
    ("ledger_head", "nodes", "1 = 1", None),
]


@pytest.mark.parametrize(("table", "column", "where", "index"), FLIPS)
def test_every_column_counts(
    ledger: Ledger, table: str, column: str, where: str, index: int | None
) -> None:
    """One changed byte of any column is found, and the entry named."""
    ledger.verify()
    with ledger.engine.begin() as conn:
        attack(conn, table, column, where)

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert index == caught.value.index


def test_every_table_and_column_is_tried(engine: Engine) -> None:
    """The table above knows all columns there are."""
    columns = {
        (table.name, column.name)
        for table in ConsentTable.metadata.sorted_tables
        if table.name.startswith("ledger_")
        and table.name
        not in {"ledger_pending", "ledger_withheld", "ledger_cosignature"}
        for column in table.columns
    }
    elsewhere = {
        ("ledger_person", name)
        for name in ("ledger", "tag", "counter", "previous", "last")
    }
    elsewhere.add(("ledger_head", "latest"))
    harmless = {("ledger_checkpoint", "ledger"), ("ledger_head", "ledger")}

    assert columns - elsewhere - harmless == {f[:2] for f in FLIPS}


@pytest.mark.parametrize(
    "column", ["ledger", "tag", "counter", "previous", "last"]
)
def test_counts_of_people_count(ledger: Ledger, column: str) -> None:
    """A changed count is found and named by the person's last entry."""
    last = SIZE - 5
    tag = ledger.tag(person(1)[1]).hex()
    literal = f"x'{tag}'"
    if ledger.engine.dialect.name == "postgresql":
        literal = f"'\\x{tag}'"
    with ledger.engine.begin() as conn:
        attack(conn, "ledger_person", column, f"tag = {literal}")

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert last == caught.value.index


def test_the_latest_time_counts(engine: Engine) -> None:
    """A head that states another time than its entries do is found."""
    ledger = make_ledger(engine)
    fill(ledger, 3)
    ledger.verify()
    with engine.begin() as conn:
        attack(conn, "ledger_head", "latest", "1 = 1")

    with pytest.raises(LedgerInconsistent, match="time of the head"):
        ledger.verify()


def test_a_count_of_nobody_is_found(ledger: Ledger) -> None:
    """A person's row without an entry was not written by the ledger."""
    with ledger.engine.begin() as conn:
        sql = ledger._sql
        sql.write(conn, sql.set_people, [(b"t" * 16, 1, b"p" * 32, 0)])

    with pytest.raises(LedgerInconsistent, match="count of nobody"):
        ledger.verify()


def swap(conn: Connection, one: int, other: int) -> None:
    """Let two entries change places."""
    for old, new in ((one, -7), (other, one), (-7, other)):
        conn.execute(
            text("UPDATE ledger_entry SET idx = :new WHERE idx = :old"),
            {"new": new, "old": old},
        )


def statement(sql: str) -> Callable[[Connection], None]:
    """Make an attack of one statement."""
    return lambda conn: conn.execute(text(sql)) and None


ATTACKS = {
    "two entries change places": (lambda conn: swap(conn, 3, 9), 3),
    "an entry is deleted": (
        statement("DELETE FROM ledger_entry WHERE idx = 77"),
        77,
    ),
    "the last entry is deleted": (
        statement("DELETE FROM ledger_entry WHERE idx = 299"),
        299,
    ),
    "an entry is made to look erased": (
        statement(
            "UPDATE ledger_entry SET tag = NULL, own = NULL, audit = NULL"
            " WHERE idx = 5"
        ),
        5,
    ),
    "an opening is moved to another entry": (
        statement(
            "UPDATE ledger_entry SET own ="
            " (SELECT own FROM ledger_entry WHERE idx = 11) WHERE idx = 6"
        ),
        6,
    ),
    "an entry is appended past the head": (
        statement(
            "INSERT INTO ledger_entry SELECT ledger, 300, leaf, tag, service,"
            " purpose, day, own, audit, seal, before FROM ledger_entry"
            " WHERE idx = 1"
        ),
        300,
    ),
    "an entry is put before the first": (
        statement(
            "INSERT INTO ledger_entry SELECT ledger, -1, leaf, tag, service,"
            " purpose, day, own, audit, seal, before FROM ledger_entry"
            " WHERE idx = 1"
        ),
        299,
    ),
    "a tile is deleted": (
        statement("DELETE FROM ledger_tile WHERE level = 0"),
        0,
    ),
    "a tile is added": (
        statement(
            "INSERT INTO ledger_tile"
            " SELECT ledger, 5, 5, hashes FROM ledger_tile WHERE level = 0"
        ),
        None,
    ),
    "a tile is longer than its level": (
        statement(
            "UPDATE ledger_tile SET hashes = (SELECT hashes FROM ledger_tile"
            " WHERE level = 0) WHERE level = 1"
        ),
        0,
    ),
    "the head is deleted": (statement("DELETE FROM ledger_head"), 0),
}


@pytest.mark.parametrize("name", ATTACKS)
def test_rows_moved_taken_or_added(ledger: Ledger, name: str) -> None:
    """Attack 24: re-ordered, truncated and padded ledgers do not verify."""
    act, index = ATTACKS[name]
    with ledger.engine.begin() as conn:
        act(conn)

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert index == caught.value.index


def test_a_tile_with_one_hash_too_many(ledger: Ledger) -> None:
    """What stands behind the hashes that belong there is found too."""
    with ledger.engine.begin() as conn:
        where = {"at_level": 1, "at_number": 0}
        tile = conn.execute(ledger._sql.read_tile, where).scalar()
        assert tile is not None
        longer = (1, 0, bytes(tile) + bytes(32))
        conn.exec_driver_sql(ledger._sql.set_tiles, [longer])

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert 0 == caught.value.index


def test_entries_without_a_head(ledger: Ledger) -> None:
    """With the checkpoints gone too, the rows alone betray it."""
    with ledger.engine.begin() as conn:
        for table in ("ledger_head", "ledger_checkpoint"):
            conn.execute(text(f"DELETE FROM {table}"))

    with pytest.raises(LedgerInconsistent, match="beyond the head") as caught:
        ledger.verify()
    assert 0 == caught.value.index


def test_an_audit_row_that_does_not_open(ledger: Ledger) -> None:
    """Not even with a seal that fits."""
    with ledger.engine.begin() as conn:
        where = {"at_index": VICTIM}
        row = conn.execute(ledger._sql.read_entry, where).one()
        forged = EntryFields(*row[:8])._replace(audit=b"\x01" + bytes(60))
        conn.execute(
            text(
                "UPDATE ledger_entry SET audit = :audit, seal = :seal"
                " WHERE idx = :idx"
            ),
            {
                "audit": forged.audit,
                "seal": ledger._keys.seal_entry(forged),
                "idx": VICTIM,
            },
        )

    with pytest.raises(LedgerInconsistent, match="audit") as caught:
        ledger.verify()
    assert VICTIM == caught.value.index


def forge_checkpoint(ledger: Ledger, size: int, note: str) -> None:
    """Store a checkpoint of zeros with a seal that fits."""
    root = bytes(32)
    seal = ledger._keys.seal_checkpoint(
        size=size, root=root, note=note, at=NOON
    )
    with ledger.engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_checkpoint"))
        conn.execute(
            ledger._sql.add_checkpoint,
            {
                "size": size,
                "root": root,
                "note": note,
                "at": NOON,
                "seal": seal,
            },
        )


def test_a_checkpoint_that_says_other_than_its_row(ledger: Ledger) -> None:
    """The signed note decides, whatever stands beside it."""
    forge_checkpoint(ledger, 300, ledger.checkpoint())

    with pytest.raises(LedgerInconsistent, match="checkpoint of 300"):
        ledger.verify()


def test_nothing_continues_an_empty_ledger_that_was_not(
    ledger: Ledger,
) -> None:
    """A checkpoint of no entries has the root of nothing."""
    claim = Checkpoint(origin=ORIGIN, size=0, root=bytes(32))
    forge_checkpoint(ledger, 0, str(sign_checkpoint(claim, [SIGNER])))

    with pytest.raises(LedgerInconsistent, match="checkpoint of 0"):
        ledger.checkpoint()
    with pytest.raises(LedgerInconsistent):
        ledger.verify()


def test_a_lost_connection_is_no_finding(ledger: Ledger) -> None:
    """The ledger is not called inconsistent because the server went away."""
    gone = OperationalError("x", {}, Exception(), connection_invalidated=True)

    class Gone:
        def execute(self, *_: object) -> None:
            raise gone

    with pytest.raises(OperationalError):
        _read_page(Gone(), ledger._sql, 0, 8)  # type: ignore[arg-type]  # stands for a connection


def test_a_ledger_cut_back_with_all_its_rows(ledger: Ledger) -> None:
    """A head moved back in step with the rows misses its own checkpoint."""
    edge = CompactRange()
    with ledger.engine.begin() as conn:
        rows = conn.execute(
            text("SELECT leaf FROM ledger_entry WHERE idx < 200 ORDER BY idx")
        )
        for (leaf,) in rows:
            edge.append(hash_leaf(bytes(leaf)))
        conn.execute(text("DELETE FROM ledger_entry WHERE idx >= 200"))
        conn.execute(text("DELETE FROM ledger_tile"))
        conn.exec_driver_sql(
            ledger._sql.move_head, (200, b"".join(edge.nodes), NOON)
        )

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert 200 == caught.value.index
    with pytest.raises(LedgerInconsistent):
        ledger.checkpoint()


def rewrite(ledger: Ledger, conn: Connection, index: int) -> None:
    """Rewrite an entry as someone who holds every key of the ledger but one.

    Rows, tiles and head are made to fit; only the checkpoints are left.
    """
    sql = ledger._sql
    within = {"begin": 0, "end": SIZE}
    rows = list(conn.execute(sql.read_entries, within))
    row = EntryFields(*rows[index][:8])._replace(
        leaf=b"f" * 32, tag=None, own=None, audit=None
    )
    conn.execute(
        text(
            "UPDATE ledger_entry SET leaf = :leaf, tag = NULL, own = NULL,"
            " audit = NULL, seal = :seal WHERE idx = :idx"
        ),
        {
            "leaf": row.leaf,
            "seal": ledger._keys.seal_entry(row),
            "idx": index,
        },
    )
    leaves = [row.leaf if r.idx == index else r.leaf for r in rows]
    hashes = [hash_leaf(leaf) for leaf in leaves]
    edge = CompactRange()
    closed = [each for leaf in hashes for each in edge.append(leaf)]
    conn.exec_driver_sql(
        sql.set_tiles, [(0, 0, b"".join(hashes[:256])), (1, 0, closed[0][2])]
    )
    conn.exec_driver_sql(sql.move_head, (SIZE, b"".join(edge.nodes), NOON))


@pytest.mark.parametrize(("index", "named"), [(7, 0), (40, 30), (299, 30)])
def test_a_rewrite_by_who_has_the_keys(
    ledger: Ledger, index: int, named: int
) -> None:
    """Checkpoints betray it, and bound where: after the last that holds."""
    with ledger.engine.begin() as conn:
        rewrite(ledger, conn, index)
        conn.execute(text("DELETE FROM ledger_person"))

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.verify()
    assert named == caught.value.index
    fill(ledger, 1)
    with pytest.raises(LedgerInconsistent):
        ledger.checkpoint()


def test_a_forged_checkpoint_is_found(ledger: Ledger) -> None:
    """A checkpoint under another key, even with the row's seal, is none."""
    forger = make_ledger(ledger.engine, signer=signer(ledger.origin, 66))
    with ledger.engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_checkpoint"))
    forger.checkpoint()

    with pytest.raises(LedgerInconsistent, match="checkpoint of 300"):
        ledger.verify()
    with pytest.raises(LedgerInconsistent):
        ledger.checkpoint()


def test_a_row_that_does_not_decode_is_named(
    ledger: Ledger,
) -> None:
    """Bytes that are no text, and text that is no bytes, are found too."""
    if ledger.engine.dialect.name == "postgresql":
        return  # its columns hold nothing but what their type allows
    for change in (
        "service = CAST(x'ff' AS TEXT)",
        "leaf = 'text'",
        "day = 'x'",
    ):
        with ledger.engine.begin() as conn:
            before = conn.execute(
                text("SELECT service, leaf, day FROM ledger_entry WHERE idx=9")
            ).one()
            conn.execute(
                text(f"UPDATE ledger_entry SET {change} WHERE idx = 9")
            )
        with pytest.raises(LedgerInconsistent) as caught:
            ledger.verify()
        assert 9 == caught.value.index
        with ledger.engine.begin() as conn:
            conn.execute(
                text(
                    "UPDATE ledger_entry SET service = :service, leaf = :leaf,"
                    " day = :day WHERE idx = 9"
                ),
                before._asdict(),
            )
    ledger.verify()


def test_side_columns_are_held_against_the_audit_part(
    ledger: Ledger,
) -> None:
    """Even with a fitting seal a side column may not say something else."""
    with ledger.engine.begin() as conn:
        where = {"at_index": VICTIM}
        row = conn.execute(ledger._sql.read_entry, where).one()
        forged = EntryFields(*row[:8])._replace(service="library")
        conn.execute(
            text(
                "UPDATE ledger_entry SET service = 'library', seal = :seal"
                " WHERE idx = :idx"
            ),
            {"seal": ledger._keys.seal_entry(forged), "idx": VICTIM},
        )

    with pytest.raises(LedgerInconsistent, match="side columns") as caught:
        ledger.verify()
    assert VICTIM == caught.value.index


def test_a_sweep_tells_how_far_it_is(engine: Engine) -> None:
    """It reports pages, and sums up what it held against each other."""
    ledger = make_ledger(engine)
    with engine.begin() as conn:
        ledger.append(conn, [draft(0, detail={})] * 2500)
    told: list[tuple[int, int]] = []
    found = ledger.verify(lambda done, size: told.append((done, size)))

    assert [(1024, 2500), (2048, 2500), (2500, 2500)] == told
    assert (2500, 0, 0, 0) == (
        found.size,
        found.erased,
        found.checkpoints,
        found.signed,
    )


def test_a_sweep_beside_a_writer(ledger: Ledger) -> None:
    """What is appended and signed meanwhile disturbs nothing."""

    def write(_done: int, _size: int) -> None:
        fill(ledger, 700)
        ledger.checkpoint()

    assert SIZE == ledger.verify(write).size
    assert SIZE + 700 == ledger.verify().size
