"""The erasure journal: no edit, cut or reordering goes unnoticed."""

import contextlib
import json
import os
import resource
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vault import (
    Anchor,
    ErasureJournal,
    JournalDamaged,
    JournalUnavailable,
    Position,
)
from vault.journal import RecordKind, parse_record

KEY = bytes(range(32))
VECTOR = json.loads(
    (Path(__file__).parent / "vectors/erasure_journal.json").read_text("utf-8")
)
ALFA, BRAVO = UUID(int=1 << 100), UUID(int=2 << 100)
NOTE, TAG = b"n" * 16, b"t" * 16


def clock() -> int:
    """A clock that stands."""
    return 1_790_000_000


def made(path: Path) -> ErasureJournal:
    """A new journal."""
    return ErasureJournal.create(
        path,
        key=KEY,
        tenant="town",
        origin="town.example/log",
        clock=clock,
        random=os.urandom,
    )


def opened(path: Path, *, key: bytes = KEY) -> ErasureJournal:
    """The journal as the next process opens it."""
    return ErasureJournal(path, key=key, tenant="town", clock=clock)


def intend(journal: ErasureJournal, subject: UUID = ALFA) -> Position:
    """Write one intent."""
    return journal.intend(
        subject, kek_epoch=3, note_tags=(NOTE,), ledger_tags=(TAG,)
    )


def filled(path: Path) -> ErasureJournal:
    """A journal with one of everything."""
    journal = made(path)
    intend(journal)
    journal.complete(ALFA)
    intend(journal, BRAVO)
    journal.cancel(BRAVO)
    journal.anchor(Anchor(origin="town.example/log", size=7, root=b"r" * 32))
    return journal


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_journal_made_apart_is_read(tmp_path: Path) -> None:
    """The vector's file verifies, and says what its records say."""
    path = tmp_path / "erasures"
    path.write_bytes(bytes.fromhex(VECTOR["file"]))
    journal = opened(path, key=bytes.fromhex(VECTOR["key"]))

    last = VECTOR["records"][-1]
    assert UUID(hex=VECTOR["id"]) == journal.id
    assert last["number"] == journal.position.number
    assert bytes.fromhex(last["mac"]) == journal.position.mac
    (found,) = journal.completed()
    assert 3 == found.kek_epoch
    assert (b"\xb2" * 16,) == found.ledger_tags
    assert ("town.example/log", "town.example/log/2") == journal.origins
    anchor = journal.anchor_of("town.example/log")
    assert anchor is not None
    assert 42 == anchor.size


def test_the_bytes_written_are_the_vectors(tmp_path: Path) -> None:
    """Appending what the vector's records say gives the vector's bytes."""
    whole = bytes.fromhex(VECTOR["file"])
    path = tmp_path / "erasures"
    path.write_bytes(whole[:61])
    now = [0]
    journal = ErasureJournal(
        path,
        key=bytes.fromhex(VECTOR["key"]),
        tenant="town",
        clock=lambda: now[0],
    )
    writers: dict[int, Callable[[tuple[bytes, ...]], Position]] = {
        1: lambda f: journal.intend(
            UUID(bytes=f[0]),
            kek_epoch=int.from_bytes(f[1]),
            note_tags=(f[2],),
            ledger_tags=f[3:],
        ),
        2: lambda f: journal.complete(UUID(bytes=f[0])),
        4: lambda f: journal.anchor(
            Anchor(origin=f[0].decode(), size=int.from_bytes(f[1]), root=f[2])
        ),
        5: lambda f: journal.restored(
            f[0].decode(), f[1], int.from_bytes(f[2])
        ),
        6: lambda f: journal.opened(f[0].decode()),
    }
    for record in VECTOR["records"]:
        now[0] = record["at"]
        writers[record["kind"]](tuple(map(bytes.fromhex, record["fields"])))

    assert whole == path.read_bytes()


def test_a_journal_tells_what_was_finished(tmp_path: Path) -> None:
    """Finished, cancelled and pending erasures, also after a reopening."""
    path = tmp_path / "erasures"
    journal = filled(path)
    intend(journal, BRAVO)
    again = opened(path)

    assert [ALFA] == [one.subject for one in again.completed()]
    assert [BRAVO] == [one.subject for one in again.pending()]
    assert journal.position == again.position
    assert ((NOTE,), (TAG,)) == (
        again.completed()[0].note_tags,
        again.completed()[0].ledger_tags,
    )


def test_a_journal_tells_where_the_newest_erasure_stands(
    tmp_path: Path,
) -> None:
    """Its intent, then its outcome; an anchor and a cancelling are none."""
    path = tmp_path / "erasures"
    journal = made(path)
    assert 0 == journal.newest_erasure.number
    begun = intend(journal)
    assert begun == journal.newest_erasure
    journal.anchor(Anchor(origin="town.example/log", size=7, root=b"r" * 32))
    assert begun == opened(path).newest_erasure
    finished = journal.complete(ALFA)
    assert finished == opened(path).newest_erasure
    begun = intend(journal, BRAVO)
    journal.cancel(BRAVO)
    assert begun == opened(path).newest_erasure


def test_two_processes_take_turns(tmp_path: Path) -> None:
    """What one appends, the other verifies before it appends in turn."""
    path = tmp_path / "erasures"
    one, other = made(path), opened(path)
    intend(one)
    other.complete(ALFA)
    intend(one, BRAVO)

    assert [ALFA] == [found.subject for found in one.completed()]
    assert one.position == opened(path).position


def test_threads_do_not_tear_the_chain(tmp_path: Path) -> None:
    """Eight threads over two handles leave one chain that verifies."""
    path = tmp_path / "erasures"
    journals = [made(path), opened(path)]

    def work(number: int) -> None:
        for step in range(20):
            intend(journals[number % 2], UUID(int=number << 64 | step))

    threads = [threading.Thread(target=work, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 160 == len(opened(path).pending())


def test_every_flipped_byte_is_noticed(tmp_path: Path) -> None:
    """No byte of the file can be changed, but for those of a torn tail."""
    path = tmp_path / "erasures"
    filled(path)
    whole = path.read_bytes()
    position = opened(path).position
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 0x01
        path.write_bytes(changed)
        with pytest.raises(JournalDamaged):
            opened(path).demand(position, held_by="a database")


def test_records_cannot_be_left_out_or_swapped(tmp_path: Path) -> None:
    """A cut in the middle and another order do not verify."""
    path = tmp_path / "erasures"
    filled(path)
    whole = path.read_bytes()
    records = list(split(whole))
    for first in range(len(records) - 1):
        for second in range(first + 1, len(records)):
            swapped = list(records)
            swapped[first], swapped[second] = records[second], records[first]
            path.write_bytes(whole[:61] + b"".join(swapped))
            with pytest.raises(JournalDamaged):
                opened(path)
        path.write_bytes(
            whole[:61] + b"".join(records[:first] + records[first + 1 :])
        )
        with pytest.raises(JournalDamaged):
            opened(path)


def split(whole: bytes) -> Iterator[bytes]:
    """Cut a journal into its records, by section 11."""
    offset = 61
    while offset < len(whole):
        length = int.from_bytes(whole[offset : offset + 4]) + 36
        yield whole[offset : offset + length]
        offset += length


def test_a_lost_tail_is_noticed_by_a_mark(tmp_path: Path) -> None:
    """The file alone verifies, but not against what a database knows."""
    path = tmp_path / "erasures"
    journal = filled(path)
    mark = journal.position
    whole = path.read_bytes()
    last = list(split(whole))[-1]
    path.write_bytes(whole[: -len(last)])
    cut = opened(path)

    with pytest.raises(JournalDamaged, match="lost its end"):
        cut.demand(mark, held_by="the keys database")
    intend(cut, BRAVO)
    with pytest.raises(JournalDamaged, match="is not the one"):
        cut.demand(mark, held_by="the keys database")


def test_a_torn_record_is_overwritten(tmp_path: Path) -> None:
    """What a crash left half written, at every length, is not a record."""
    path = tmp_path / "erasures"
    journal = filled(path)
    mark, whole = journal.position, path.read_bytes()
    intend(journal, BRAVO)
    record = path.read_bytes()[len(whole) :]
    for length in range(1, len(record)):
        for left in (record[:length], bytes(length)):
            path.write_bytes(whole + left)
            found = opened(path)
            assert mark == found.position
    intend(found, BRAVO)
    assert whole + record == path.read_bytes()


def test_a_shrunk_file_is_refused_while_open(tmp_path: Path) -> None:
    """A process notices that the file became shorter under its hands."""
    path = tmp_path / "erasures"
    journal = filled(path)
    os.truncate(path, 200)

    with pytest.raises(JournalDamaged):
        intend(journal)


def test_another_key_or_tenant_is_refused(tmp_path: Path) -> None:
    """A journal of somebody else does not verify."""
    path = tmp_path / "erasures"
    filled(path)
    with pytest.raises(JournalDamaged):
        opened(path, key=bytes(32))
    with pytest.raises(JournalDamaged):
        ErasureJournal(path, key=KEY, tenant="city", clock=clock)


def test_a_full_disk_leaves_the_journal_as_it_was(tmp_path: Path) -> None:
    """One clear error, and the next append finds an unbroken chain."""
    path = tmp_path / "erasures"
    journal = filled(path)
    whole = path.read_bytes()
    with (
        file_limit(len(whole) + 10),
        pytest.raises(JournalUnavailable, match="Nothing was erased"),
    ):
        intend(journal, BRAVO)

    assert whole == path.read_bytes()
    intend(journal, BRAVO)
    assert [BRAVO] == [one.subject for one in opened(path).pending()]


def test_a_missing_journal_is_one_clear_error(tmp_path: Path) -> None:
    """The message names the file and what to do."""
    with pytest.raises(JournalUnavailable, match="see to the file"):
        opened(tmp_path / "erasures")
    made(tmp_path / "erasures")
    with pytest.raises(JournalUnavailable):
        made(tmp_path / "erasures")


def test_no_link_is_followed(tmp_path: Path) -> None:
    """A link in the journal's place is refused."""
    filled(tmp_path / "elsewhere")
    (tmp_path / "erasures").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(JournalUnavailable):
        opened(tmp_path / "erasures")


@given(st.binary(max_size=200))
def test_no_body_is_read_but_a_record(body: bytes) -> None:
    """Whatever parses is of a known kind; all else is a `ValueError`."""
    with contextlib.suppress(ValueError):
        assert parse_record(body).kind in RecordKind


def test_an_outcome_that_nobody_began_is_not_written(tmp_path: Path) -> None:
    """It would be a record that no reader takes: the journal's last."""
    path = tmp_path / "journal"
    journal = filled(path)
    before = path.read_bytes()

    with pytest.raises(ValueError, match="was begun"):
        journal.complete(UUID(int=7, version=4))

    assert before == path.read_bytes()
    opened(path)


def test_an_outcome_of_what_another_process_began_is(tmp_path: Path) -> None:
    """What others appended is read before it is said that nobody began."""
    path = tmp_path / "journal"
    mine, other = filled(path), opened(path)
    intend(other, UUID(int=8, version=4))

    mine.complete(UUID(int=8, version=4))

    assert UUID(int=8, version=4) in {one.subject for one in mine.completed()}
