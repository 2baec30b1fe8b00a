"""Erasure: journaled before, finished or undone after, never half done."""

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from uuid import uuid4

import pytest
from sqlalchemy import Connection, text

from api.agreement import RolledBackError
from consent import Draft, EntryKind, Visibility, Withheld
from policy import (
    DecisionStore,
    Eraser,
    PersonUnknown,
    RestraintStore,
    ScanFile,
)
from tests.test_journal import file_limit
from tests.worlds import OFFICER, World, build_world, reopen
from vault import (
    DekState,
    JournalDamaged,
    JournalUnavailable,
    UnknownSubject,
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def erase(world: World, name: str) -> None:
    """Erase one of the cast through the officer's door."""
    world.run(
        world.platform.registrar.erase(
            OFFICER,
            world.cast[name],
            proposer="somebody",
            justification="asked for it",
        )
    )


def journal_of(world: World) -> Path:
    """The journal's file."""
    return world.platform.settings.journal_path


class BrokenDecisions(DecisionStore):
    """Fails where an erasure is past its point of no return."""

    def forget(self, conn: object, tag: bytes) -> None:
        """Fail as a power cut would."""
        del conn, tag
        raise KeyboardInterrupt


class LateScan(ScanFile):
    """Somebody's scan is kept right after it was dropped the first time."""

    late = True

    def drop(self) -> None:
        """Drop it, and let another process have kept one once more."""
        super().drop()
        if self.late:
            self.late = False
            self.save(self.load(("2026-01",)))
            assert self._path.exists()


def broken_eraser(world: World) -> Eraser:
    """An eraser that dies between the key and the commit of the data."""
    return other_eraser(
        world,
        BrokenDecisions(tenant="test", engine=world.platform.data),
        world.platform.eraser._counted,
    )


def other_eraser(
    world: World, decisions: DecisionStore, counted: ScanFile
) -> Eraser:
    """The platform's, with parts of a test's own."""
    platform = world.platform
    return Eraser(
        transactions=platform.transactions,
        vault=platform.vault,
        journal=platform.journal,
        consents=platform.consents,
        restraints=_restraints(world),
        decisions=decisions,
        glass=platform.eraser._glass,
        released=platform.eraser._released,
        requests=platform.eraser._requests,
        ledger=platform.ledger,
        past=(),
        telling=platform.eraser._telling,
        counted=counted,
        clock=world.clock,
        random=os.urandom,
    )


def _restraints(world: World) -> RestraintStore:
    return RestraintStore(
        tenant="test",
        engine=world.platform.data,
        consents=world.platform.consents,
        random=os.urandom,
    )


def test_an_erasure_stands_in_the_journal_and_both_databases(
    world: World,
) -> None:
    """Intent, outcome and tags; both marks know the intent."""
    journal = world.platform.journal
    erase(world, "consenting")
    subject = world.cast["consenting"]
    found = journal.find(subject)

    assert found is not None
    assert subject in {one.subject for one in journal.completed()}
    assert 1 == len(found.ledger_tags)
    assert [16] == [len(one) for one in found.note_tags]
    marks = world.platform.vault.custody.marks()
    assert {"data", "keys"} == set(marks)
    assert all(mark.number >= found.number for mark in marks.values())
    world.platform.ledger.verify()


def test_no_counts_of_a_stopped_scan_outlive_an_erasure(
    world: World,
) -> None:
    """Nor one taken up at a start, nor one replayed; nor one kept late."""
    waiting = world.home / "impact.scan"
    platform = world.platform
    with pytest.raises(KeyboardInterrupt):
        broken_eraser(world).erase(world.cast["consenting"])
    waiting.write_bytes(b"counts")
    assert 1 == platform.eraser.recover()
    assert not waiting.exists()

    waiting.write_bytes(b"counts")
    platform.eraser.replay()
    assert not waiting.exists()

    late = LateScan(
        waiting, bytes(32), lambda: platform.journal.newest_erasure
    )
    other_eraser(
        world, DecisionStore(tenant="test", engine=platform.data), late
    ).erase(world.cast["refusing"])
    assert not late.late
    assert not waiting.exists()


def test_the_journal_holds_ids_and_tags_only(world: World) -> None:
    """No value of anybody, in whatever spelling."""
    erase(world, "consenting")
    raw = journal_of(world).read_bytes()
    for value in world.values["consenting"].values():
        assert value.encode() not in raw
        assert value.encode("utf-16-le") not in raw


def test_a_full_disk_erases_nothing(world: World) -> None:
    """The intent cannot be written: one clear error, the person is there."""
    size = journal_of(world).stat().st_size
    erasing = world.platform.registrar.erase(
        OFFICER,
        world.cast["consenting"],
        proposer="somebody",
        justification="asked for it",
    )
    with (
        file_limit(size + 20),
        pytest.raises(JournalUnavailable, match="Nothing was erased"),
    ):
        # Only the journal is this long: the databases are written nowhere.
        world.run(erasing)

    subject = world.cast["consenting"]
    assert DekState.LIVE is world.platform.vault.custody.state(subject)
    assert world.platform.vault.holding(subject).known
    assert [] == world.platform.journal.pending()


def test_an_unknown_person_leaves_no_record(world: World) -> None:
    """Nothing is written for somebody who is not there."""
    before = world.platform.journal.position
    with pytest.raises(PersonUnknown):
        world.platform.eraser.erase(world.cast["erased"])

    assert before == world.platform.journal.position


def test_an_erasure_cut_short_is_finished_at_the_start(world: World) -> None:
    """Killed between the key's destruction and the commit of the data."""
    subject = world.cast["consenting"]
    with pytest.raises(KeyboardInterrupt):
        broken_eraser(world).erase(subject)
    assert [subject] == [
        one.subject for one in world.platform.journal.pending()
    ]
    assert rows_of(world, subject)
    world.platform.close()

    again = reopen(world)
    try:
        assert subject in {one.subject for one in again.journal.completed()}
        assert [] == again.journal.pending()
        assert not rows_of(world, subject)
        again.ledger.verify()
        with pytest.raises(UnknownSubject), again.data.begin() as conn:
            again.vault.put(conn, subject, {}, source="desk")
    finally:
        again.close()


def test_an_intent_that_came_to_nothing_is_cancelled(world: World) -> None:
    """Killed right after the journal: the person stays, the intent goes."""
    subject = world.cast["consenting"]
    world.platform.journal.intend(
        subject, kek_epoch=1, note_tags=(b"n" * 16,), ledger_tags=()
    )
    world.platform.close()

    again = reopen(world)
    try:
        assert [] == again.journal.pending()
        assert again.vault.holding(subject).known
    finally:
        again.close()


def test_an_outcome_counts_after_a_cancellation(world: World) -> None:
    """A start beside a running erasure cancels it; the outcome wins."""
    subject = world.cast["consenting"]
    journal = world.platform.journal
    journal.intend(
        subject, kek_epoch=1, note_tags=(b"n" * 16,), ledger_tags=()
    )
    journal.cancel(subject)
    journal.complete(subject)

    assert subject in {one.subject for one in journal.completed()}


def rows_of(world: World, subject: object) -> int:
    """How many rows of a person the data database has."""
    path = world.home / "data" / "data.db"
    with closing(sqlite3.connect(path)) as conn:
        key = getattr(subject, "hex", "")
        return sum(
            conn.execute(
                f"SELECT count(*) FROM {table} WHERE subject = ?",
                (key,),
            ).fetchone()[0]
            for table in (
                "vault_subject",
                "vault_value",
                "vault_index",
                "consent_event",
            )
        )


def copy(source: Path, target: Path) -> None:
    """Copy a database over another, as a disk's snapshot would."""
    with (
        closing(sqlite3.connect(source)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        old.backup(new)


def test_a_missing_journal_is_refused_at_the_start(world: World) -> None:
    """Without it nothing opens."""
    world.platform.close()
    journal_of(world).unlink()

    with pytest.raises(JournalUnavailable, match="missing"):
        reopen(world)


def test_a_journal_without_its_end_is_refused(world: World) -> None:
    """Cut back to before the erasure, it still verifies by itself."""
    short = journal_of(world).read_bytes()
    erase(world, "consenting")
    world.platform.close()
    journal_of(world).write_bytes(short)

    with pytest.raises(JournalDamaged, match="lost its end"):
        reopen(world)


@pytest.mark.parametrize("which", ["data", "keys"])
def test_a_database_put_back_by_hand_is_refused(
    world: World, tmp_path: Path, which: str
) -> None:
    """Yesterday's file in place of today's: the journal knows better."""
    path = world.home / which / f"{which}.db"
    copy(path, tmp_path / "old.db")
    erase(world, "consenting")
    world.platform.close()
    copy(tmp_path / "old.db", path)

    with pytest.raises(RolledBackError, match="restore replay"):
        reopen(world)


def test_a_ledger_shorter_than_its_checkpoint_is_refused(
    world: World, tmp_path: Path
) -> None:
    """No erasure in between, but a checkpoint was given away."""
    path = world.home / "data" / "data.db"
    copy(path, tmp_path / "old.db")
    world.platform.registrar.admit_now([{}], source="desk")
    world.platform.ledger.checkpoint()
    world.platform.close()
    copy(tmp_path / "old.db", path)

    with pytest.raises(RolledBackError, match="data database is older"):
        reopen(world)


def test_an_instance_of_before_the_journal_adopts_one(world: World) -> None:
    """Its erased people are written down at the first start."""
    platform = world.platform
    with platform.keys.begin() as keys, platform.data.begin() as data:
        keys.execute(text("DELETE FROM vault_keys_mark"))
        data.execute(text("DELETE FROM vault_data_mark"))
    platform.close()
    journal_of(world).unlink()

    again = reopen(world)
    try:
        assert [world.cast["erased"]] == [
            one.subject for one in again.journal.completed()
        ]
    finally:
        again.close()


TAMPERED = {
    "nothing": (),
    "first row dropped": ("DELETE FROM ledger_person WHERE tag = :first",),
    "second row dropped": ("DELETE FROM ledger_person WHERE tag = :second",),
    "first chain cut, counter lowered": (
        (
            "UPDATE ledger_entry SET before = NULL WHERE idx ="
            " (SELECT last FROM ledger_person WHERE tag = :first)"
        ),
        "UPDATE ledger_person SET counter = 1 WHERE tag = :first",
    ),
    "second chain cut, counter lowered": (
        (
            "UPDATE ledger_person SET counter = 0, last = NULL"
            " WHERE tag = :second"
        ),
    ),
    "marks of the rekey dropped": (
        "DELETE FROM ledger_person WHERE counter = -1",
    ),
    "marks of the rekey and its rows dropped": (
        "DELETE FROM ledger_person WHERE counter = -1",
        "DELETE FROM ledger_person WHERE tag IN (:first, :second)",
    ),
}
TABLES = ("ledger_entry", "ledger_person", "ledger_withheld")


def chained(world: World) -> dict[str, bytes]:
    """Give a person two chains of three, under a second log key; name them."""
    platform, subject = world.platform, world.cast["consenting"]
    old = platform.vault.log_key(platform.vault.holding(subject))
    hidden = Withheld(
        visibility=Visibility.SEALED, until=world.clock() + 86_400, rule=7
    )
    drafts = [
        Draft(
            kind=EntryKind.OWN_VIEW,
            subject=subject,
            log_key=old,
            service="desk",
            purpose="test",
            attributes=(),
            outcome="opened",
            at=world.clock(),
            decision=uuid4(),
            withheld=withheld,
        )
        for withheld in (None, hidden) * 3
    ]
    with platform.data.begin() as conn:
        platform.ledger.append(conn, drafts)
    platform.keys_desk.compromise("o", 1)
    new = platform.vault.log_key(platform.vault.holding(subject))
    tags = {"old": platform.ledger.tag(old), "first": platform.ledger.tag(new)}
    tags["second"] = platform.ledger._keys.second_tag(tags["first"])
    platform.ledger.verify()
    return tags


def tamper(world: World, attack: str, tags: dict[str, bytes]) -> None:
    """Change what leads to a person's entries behind the ledger's back."""
    with world.platform.data.begin() as conn:
        for statement in TAMPERED[attack]:
            done = conn.execute(
                text(statement),
                {name: tag for name, tag in tags.items() if name in statement},
            )
            assert done.rowcount


def openings(world: World, places: Sequence[int]) -> list[int]:
    """List the entries among some that bear a tag or an opening yet."""
    with world.platform.data.connect() as conn:
        left = conn.execute(
            text(
                "SELECT idx FROM ledger_entry WHERE tag IS NOT NULL"
                " OR own IS NOT NULL OR audit IS NOT NULL"
                " OR before IS NOT NULL"
            )
        ).scalars()
        return sorted(set(left) & set(places))


def places_of(world: World, tags: dict[str, bytes]) -> list[int]:
    """List the indexes of a person's entries, by their tags alone."""
    found = text("SELECT idx FROM ledger_entry WHERE tag IN (:first, :second)")
    wanted = {name: tags[name] for name in ("first", "second")}
    with world.platform.data.connect() as conn:
        return list(conn.execute(found, wanted).scalars())


@pytest.mark.parametrize("attack", TAMPERED)
def test_an_erasure_believes_nothing_that_leads_to_a_chain(
    world: World, attack: str
) -> None:
    """Whatever was dropped or cut, the officer's erasure leaves no opening."""
    tags = chained(world)
    places = places_of(world, tags)
    assert 6 <= len(places)
    tamper(world, attack, tags)
    erase(world, "consenting")

    assert [] == openings(world, places)
    world.platform.ledger.verify()


@pytest.mark.parametrize("attack", TAMPERED)
def test_a_replay_believes_nothing_that_leads_to_a_chain(
    world: World, attack: str
) -> None:
    """Brought back and tampered with, the entries are erased once more."""
    tags = chained(world)
    places, engine = places_of(world, tags), world.platform.data
    with engine.begin() as conn:
        for table in TABLES:
            conn.execute(text(f"CREATE TABLE old AS SELECT * FROM {table}"))
            conn.execute(text(f"ALTER TABLE old RENAME TO old_{table}"))
    erase(world, "consenting")
    with engine.begin() as conn:
        bring_back(conn)
    assert sorted(places) == openings(world, places)
    tamper(world, attack, tags)
    replayed = world.platform.eraser.replay()

    assert 1 == replayed.brought_back
    assert [] == openings(world, places)
    world.platform.ledger.verify()


def bring_back(conn: Connection) -> None:
    """Put the rows of before the erasure back among those of after it."""
    for table in TABLES:
        conn.execute(
            text(f"INSERT OR REPLACE INTO {table} SELECT * FROM old_{table}")
        )
        conn.execute(text(f"DROP TABLE old_{table}"))
