"""The ledger on both databases: appending, proofs, views, erasure."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import Engine, text

from consent.checkpoint import Checkpoint, ProofFile, open_checkpoint
from consent.compact_range import TILE_WIDTH
from consent.entries import EntryKind
from consent.errors import (
    DraftInvalid,
    EntryUnreadable,
    LedgerInconsistent,
    UnknownEntry,
)
from consent.ledger import Ledger
from consent.merkle import hash_leaf, verify_consistency, verify_inclusion
from consent.sequencer import lock_head
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
from tests.test_merkle import defined_root
from tests.test_signed_notes import signer


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
    """Return an empty ledger."""
    return make_ledger(engine)


def leaf_hashes(ledger: Ledger) -> list[bytes]:
    """Read the leaf hashes past the ledger's own code."""
    with ledger.engine.begin() as conn:
        rows = conn.execute(text("SELECT leaf FROM ledger_entry ORDER BY idx"))
        return [hash_leaf(bytes(leaf)) for (leaf,) in rows]


def test_indexes_have_no_gaps(ledger: Ledger) -> None:
    """A transaction that is rolled back leaves none."""
    with ledger.engine.begin() as conn:
        first = ledger.append(conn, [draft(1), draft(2)])
    with ledger.engine.connect() as conn, conn.begin() as transaction:
        ledger.append(conn, [draft(1)])
        transaction.rollback()
    with ledger.engine.begin() as conn:
        second = ledger.append(conn, [draft(1), draft(0)])

    assert [0, 1] == [each.index for each in first]
    assert [2, 3] == [each.index for each in second]
    assert [1, 1, 2, 0] == [each.counter for each in first + second]
    assert 4 == ledger.size()


def test_an_empty_ledger_is_a_ledger(ledger: Ledger) -> None:
    """Nothing appended: size 0, verified, and a checkpoint over nothing."""
    assert 0 == ledger.size()
    assert 0 == ledger.verify().size
    note = ledger.checkpoint()
    opened = open_checkpoint(note.encode(), [SIGNER.verifier], origin=ORIGIN)

    assert 0 == opened.size
    assert defined_root([]) == opened.root
    assert note == ledger.checkpoint()
    assert 1 == ledger.verify().checkpoints


def test_nothing_is_no_entry(ledger: Ledger) -> None:
    """Appending no draft appends nothing."""
    with ledger.engine.begin() as conn:
        assert [] == ledger.append(conn, [])

    assert 0 == ledger.size()


def test_a_bad_draft_appends_nothing(ledger: Ledger) -> None:
    """Neither does it leave a trace in the caller's transaction."""
    bad = draft(1, detail={"x": 2**60})
    with ledger.engine.begin() as conn:
        with pytest.raises(DraftInvalid):
            ledger.append(conn, [draft(1), bad])
        appended = ledger.append(conn, [draft(1)])

    assert [(0, 1)] == [(each.index, each.counter) for each in appended]
    assert 1 == ledger.verify().size


def test_a_leaf_says_nothing(ledger: Ledger) -> None:
    """Equal drafts give unrelated leaves of 32 bytes (invariant 13)."""
    with ledger.engine.begin() as conn:
        leaves = {e.leaf for e in ledger.append(conn, [draft(0)] * 50)}

    assert 50 == len(leaves)
    assert {32} == {len(leaf) for leaf in leaves}


def test_nothing_readable_stands_in_the_rows(
    ledger: Ledger,
) -> None:
    """Beside service, purpose and day no word of an entry is in the file."""
    with ledger.engine.begin() as conn:
        ledger.append(conn, [draft(1), draft(0, kind=EntryKind.KEY)])
        dumped = "".join(
            repr(tuple(row))
            for table in ("ledger_entry", "ledger_person", "ledger_tile")
            for row in conn.execute(text(f"SELECT * FROM {table}"))
        ).encode()
    database = Path(ledger.engine.url.database or "")
    files = b"".join(
        path.read_bytes() for path in database.parent.glob("data.db*")
    )

    for word in (
        str(person(1)[0]).encode(),
        person(1)[0].bytes,
        b"user.name.given",
        b"disclosure",
        b"partial",
        b"not_declared",
        b"%d" % NOON,
    ):
        assert word not in dumped
        assert word not in files
    assert b"moving-house" in dumped


@pytest.mark.parametrize(
    "steps", [[1] * 5, [3, 300, 1, 250], [600], [255, 1, 1]]
)
def test_stored_tree_proves_every_entry(
    ledger: Ledger, steps: list[int]
) -> None:
    """However it grew, proofs between many sizes verify by the definition."""
    for step in steps:
        fill(ledger, step)
    hashes = leaf_hashes(ledger)
    size = sum(steps)
    places = {0, 1, 7, TILE_WIDTH - 1, TILE_WIDTH, size // 2, size - 1}
    sizes = sorted(each for each in {n + 1 for n in places} if each <= size)

    assert size == len(hashes) == ledger.size()
    for new in sizes:
        root = defined_root(hashes[:new])
        for index in (each for each in places if each < new):
            verify_inclusion(
                index=index,
                size=new,
                leaf_hash=hashes[index],
                proof=ledger.inclusion(index, new),
                root=root,
            )
        for old in (each for each in sizes if each <= new):
            verify_consistency(
                old=old,
                new=new,
                proof=ledger.consistency(old, new),
                old_root=defined_root(hashes[:old]),
                new_root=root,
            )


@pytest.mark.parametrize(
    ("index", "size"), [(-1, 3), (3, 3), (0, 0), (0, 4), (5, 4)]
)
def test_no_proof_of_what_is_not_there(
    ledger: Ledger, index: int, size: int
) -> None:
    """An index or size beyond the ledger is unknown."""
    fill(ledger, 3)

    with pytest.raises(UnknownEntry):
        ledger.inclusion(index, size)


@pytest.mark.parametrize(("old", "new"), [(0, 3), (3, 2), (1, 4), (-1, 3)])
def test_no_consistency_with_what_is_not_there(
    ledger: Ledger, old: int, new: int
) -> None:
    """A size beyond the ledger, or none, is unknown."""
    fill(ledger, 3)

    with pytest.raises(UnknownEntry):
        ledger.consistency(old, new)


def test_checkpoints_follow_the_ledger(ledger: Ledger) -> None:
    """One a size; each opens by the published key and names the root."""
    notes = []
    for step in (1, 0, 300):
        fill(ledger, step)
        notes.append(ledger.checkpoint())
    hashes = leaf_hashes(ledger)
    stored = ledger.checkpoints()
    opened = [
        open_checkpoint(each.note.encode(), [SIGNER.verifier], origin=ORIGIN)
        for each in stored
    ]

    assert [notes[0], notes[2]] == [each.note for each in stored]
    assert notes[0] == notes[1]
    assert [
        Checkpoint(origin=ORIGIN, size=size, root=defined_root(hashes[:size]))
        for size in (1, 301)
    ] == opened
    assert [NOON, NOON] == [each.at for each in stored]
    assert stored[1:] == ledger.checkpoints(after=1)
    assert stored[:1] == ledger.checkpoints(limit=1)


def test_checkpoints_may_bear_more_signatures(engine: Engine) -> None:
    """A witness or a second algorithm signs the same text."""
    witness = signer("witness.example")
    ledger = make_ledger(engine)
    ledger = Ledger(
        engine=engine,
        origin=ORIGIN,
        signer=SIGNER,
        audit_key=b"a" * 32,
        mark_key=b"m" * 32,
        clock=lambda: NOON,
        random=bytes,
        cosigners=[witness],
    )
    note = ledger.checkpoint()

    assert 2 == note.count("— ")
    assert 1 == ledger.verify().checkpoints


def test_a_new_key_takes_over(engine: Engine) -> None:
    """After a change of key the earlier checkpoints still count."""
    old = signer(ORIGIN, 5)
    ledger = make_ledger(engine, signer=old)
    fill(ledger, 2)
    ledger.checkpoint()
    fill(ledger, 2)
    stranger = make_ledger(engine)
    successor = Ledger(
        engine=engine,
        origin=ORIGIN,
        signer=SIGNER,
        audit_key=b"a" * 32,
        mark_key=b"m" * 32,
        clock=lambda: NOON,
        random=bytes,
        past_keys=[old.verifier],
    )

    with pytest.raises(LedgerInconsistent):
        stranger.checkpoint()
    successor.checkpoint()
    assert 2 == successor.verify().checkpoints


def test_own_entries(ledger: Ledger) -> None:
    """The person sees all about them, page by page, the latest first."""
    fill(ledger, 7, people=2)
    key = person(1)[1]
    first = ledger.own_entries(key, limit=3)
    second = ledger.own_entries(key, before=first[-1].index, limit=3)

    assert [6, 4, 2] == [entry.index for entry in first]
    assert [0] == [entry.index for entry in second]
    assert [4, 3, 2, 1] == [entry.counter for entry in first + second]
    assert [] == ledger.own_entries(person(99)[1])
    newest = first[0]
    assert (EntryKind.DISCLOSURE, "moving-house", "address-change") == (
        newest.kind,
        newest.service,
        newest.purpose,
    )
    assert (
        "user.name.given",
        "user.home-info.postal.city",
    ) == newest.attributes
    assert ("partial", NOON, UUID(int=7)) == (
        newest.outcome,
        newest.at,
        newest.decision,
    )
    assert {"user.bdate": ["not_declared"]} == newest.detail


def test_audit_entries(ledger: Ledger) -> None:
    """The officer finds by service, purpose and day, page by page."""
    day = 86_400
    with ledger.engine.begin() as conn:
        ledger.append(
            conn,
            [
                draft(1),
                draft(2, service="library"),
                draft(1, purpose="parking"),
                draft(1, at=NOON + day),
                draft(0, kind=EntryKind.KEY, at=NOON + 2 * day),
            ],
        )
    today = date(2026, 9, 21)

    def found(**where: object) -> list[int]:
        return [e.index for e in ledger.audit_entries(**where)]  # type: ignore[arg-type]  # a table of cases

    assert [0, 1, 2, 3, 4] == found()
    assert [1] == found(service="library")
    assert [2] == found(purpose="parking")
    assert [3, 4] == found(day_from=today.replace(day=22))
    assert [0, 1, 2] == found(day_to=today)
    assert [3] == found(
        service="moving-house",
        purpose="address-change",
        day_from=today.replace(day=22),
        day_to=today.replace(day=22),
    )
    assert [2, 3] == found(after=1, limit=2)
    assert [4] == found(about_nobody=True)
    assert [] == found(about_nobody=True, after=4)


def test_the_officer_sees_a_mark_and_no_name(ledger: Ledger) -> None:
    """Marks tell that two entries of a month are about one person."""
    with ledger.engine.begin() as conn:
        ledger.append(
            conn,
            [draft(1), draft(1), draft(2), draft(1, at=NOON + 40 * 86_400)],
        )
    bodies = [entry.body for entry in ledger.audit_entries()]
    marks = [body.mark for body in bodies if body]

    assert marks[0] == marks[1] == ledger.mark(person(1)[0], NOON)
    assert 3 == len(set(marks))
    assert all(body and not body.detail for body in bodies)


def test_a_changed_row_is_not_shown(ledger: Ledger) -> None:
    """Neither to the officer nor to the person."""
    fill(ledger, 1)
    with ledger.engine.begin() as conn:
        conn.execute(text("UPDATE ledger_entry SET service = 'library'"))

    with pytest.raises(LedgerInconsistent) as caught:
        ledger.audit_entries()
    assert 0 == caught.value.index
    with ledger.engine.begin() as conn:
        conn.execute(text("UPDATE ledger_entry SET own = audit"))
    with pytest.raises(EntryUnreadable):
        ledger.own_entries(person(1)[1])


def test_erasure_takes_both_openings_and_the_tag(ledger: Ledger) -> None:
    """Nobody reads an erased entry; the tree and the proofs stay."""
    fill(ledger, 700, people=2)
    ledger.checkpoint()
    anna, bruno = person(1)[1], person(2)[1]
    root = ledger.verify().root
    with ledger.engine.begin() as conn:
        erased = ledger.erase(conn, anna)
    with ledger.engine.begin() as conn:
        rows = conn.execute(
            text("SELECT tag, own, audit FROM ledger_entry WHERE idx % 2 = 0")
        ).all()
    found = ledger.verify()

    assert 350 == erased
    assert {(None, None, None)} == {tuple(row) for row in rows}
    assert (350, root, 1) == (found.erased, found.root, found.checkpoints)
    assert [] == ledger.own_entries(anna)
    assert 50 == len(ledger.own_entries(bruno))
    first = ledger.audit_entries(limit=1)[0]
    assert first.erased
    assert ("moving-house", date(2026, 9, 21)) == (first.service, first.day)
    with pytest.raises(EntryUnreadable):
        ledger.disclosure_proof(0, anna)
    assert ledger.disclosure_proof(1, bruno)
    with ledger.engine.begin() as conn:
        assert 0 == ledger.erase(conn, anna)


def test_erasure_by_tag_reaches_a_restored_row(ledger: Ledger) -> None:
    """A journal that kept the tag replays an erasure without the log key."""
    fill(ledger, 4, people=2)
    tag = ledger.tag(person(1)[1])
    with ledger.engine.begin() as conn:
        assert {tag: 2} == ledger.erase_tags(conn, [tag, b"t" * 16])

    assert 2 == ledger.verify().erased


def test_erasure_is_of_its_transaction(ledger: Ledger) -> None:
    """A rolled-back erasure has erased nothing."""
    fill(ledger, 3, people=1)
    with ledger.engine.connect() as conn, conn.begin() as transaction:
        ledger.erase(conn, person(1)[1])
        transaction.rollback()

    assert 3 == len(ledger.own_entries(person(1)[1]))


def test_disclosure_proofs_rest_on_a_checkpoint(ledger: Ledger) -> None:
    """On the last one that covers the entry; else one is signed."""
    fill(ledger, 3)
    first = ledger.disclosure_proof(0, person(1)[1])
    fill(ledger, 2)
    second = ledger.disclosure_proof(0, person(1)[1])
    third = ledger.disclosure_proof(3, person(1)[1])

    assert first == second
    assert f"{ORIGIN}\\n3\\n" in first
    assert f"{ORIGIN}\\n5\\n" in third
    with pytest.raises(UnknownEntry):
        ledger.disclosure_proof(5, person(1)[1])
    with pytest.raises(EntryUnreadable):
        ledger.disclosure_proof(1, person(1)[1])


def test_proof_files_verify(ledger: Ledger) -> None:
    """The proof inside a document leads from the leaf to the signed root."""
    fill(ledger, 300)
    document = json.loads(ledger.disclosure_proof(255, person(1)[1]))
    proof = ProofFile.parse(document["proof"])
    checkpoint = open_checkpoint(
        proof.checkpoint.encode(), [SIGNER.verifier], origin=ORIGIN
    )
    verify_inclusion(
        index=proof.index,
        size=checkpoint.size,
        leaf_hash=leaf_hashes(ledger)[255],
        proof=proof.hashes,
        root=checkpoint.root,
    )

    assert 255 == proof.index


def test_consistency_files_need_both_checkpoints(ledger: Ledger) -> None:
    """Only sizes that were signed can be compared by a third party."""
    fill(ledger, 3)
    ledger.checkpoint()
    fill(ledger, 3)

    with pytest.raises(UnknownEntry):
        ledger.consistency_file(3, 6)
    ledger.checkpoint()
    assert "curtilage.consistency-proof/1" in ledger.consistency_file(3, 6)
    with pytest.raises(UnknownEntry):
        ledger.consistency_file(2, 6)


def test_two_ledgers_share_a_database(engine: Engine) -> None:
    """Tenants number from 0 each, and never see each other's entries."""
    ours = make_ledger(engine)
    theirs = make_ledger(
        engine, origin="b.example", signer=signer("b.example")
    )
    fill(ours, 300)
    fill(theirs, 3)

    assert (300, 3) == (ours.size(), theirs.size())
    assert (300, 3) == (ours.verify().size, theirs.verify().size)
    assert [0, 1, 2] == [e.index for e in theirs.audit_entries()]
    assert [0] == [e.index for e in theirs.own_entries(person(1)[1])]
    with engine.begin() as conn:
        theirs.erase(conn, person(1)[1])
    assert 50 == len(ours.own_entries(person(1)[1]))


def test_an_origin_does_not_change_its_name(engine: Engine) -> None:
    """A head row that names another origin is not appended to."""
    ledger = make_ledger(engine)
    fill(ledger, 1)
    with engine.begin() as conn:
        conn.execute(text("UPDATE ledger_head SET origin = 'x'"))

    for act in (ledger.size, ledger.checkpoint, lambda: fill(ledger, 1)):
        with pytest.raises(LedgerInconsistent):
            act()


def test_nothing_is_signed_that_does_not_continue(ledger: Ledger) -> None:
    """A forked, a truncated and a rewritten ledger get no signature."""
    fill(ledger, 600)
    ledger.checkpoint()
    zeros = "zeroblob({})"
    if ledger.engine.dialect.name == "postgresql":
        zeros = "decode(repeat('00', {}), 'hex')"
    attacks = [
        f"ledger_head SET size = 512, nodes = {zeros.format(32)}",
        f"ledger_tile SET hashes = {zeros.format(64)} WHERE level = 1",
        f"ledger_checkpoint SET root = {zeros.format(32)}",
        "ledger_checkpoint SET note = 'x'",
    ]
    for attack in attacks:
        with ledger.engine.connect() as conn, conn.begin() as transaction:
            ledger.append(conn, [draft(1)])
            conn.execute(text(f"UPDATE {attack}"))
            edge = lock_head(conn, ledger._sql, ORIGIN)
            with pytest.raises(LedgerInconsistent):
                ledger._checkpoints.sign(conn, edge)
            transaction.rollback()
    with ledger.engine.begin() as conn:
        forked = lock_head(conn, ledger._sql, ORIGIN)
        forked.nodes[-1] = bytes(32)
        with pytest.raises(LedgerInconsistent):
            ledger._checkpoints.sign(conn, forked)

    assert ledger.checkpoint()


def test_a_damaged_tree_is_not_built_upon(ledger: Ledger) -> None:
    """A missing entry or a short tile stops the append that would need it."""
    fill(ledger, 511)
    with ledger.engine.connect() as conn, conn.begin() as transaction:
        conn.execute(text("DELETE FROM ledger_entry WHERE idx = 300"))
        with pytest.raises(LedgerInconsistent) as caught:
            ledger.append(conn, [draft(1)])
        transaction.rollback()
    assert 256 == caught.value.index
    with ledger.engine.connect() as conn, conn.begin() as transaction:
        conn.execute(text("DELETE FROM ledger_tile WHERE level = 1"))
        with pytest.raises(LedgerInconsistent) as caught:
            ledger.append(conn, [draft(1)])
        transaction.rollback()
    assert 0 == caught.value.index
    with ledger.engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_tile WHERE level = 1"))
    with pytest.raises(LedgerInconsistent):
        ledger.consistency(300, 511)
