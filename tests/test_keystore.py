"""The keys database: enrolment, erasure's two steps, re-wrapping."""

import os
import threading
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import event, select, update

from tests.test_vault import World, sqlite_world, world
from vault import CryptoFailure, KeyUnavailable, UnknownSubject
from vault.rewrapping import PAGE, Pace, Rewrapping
from vault.tables import DEK, TENANT, DekState

__all__ = ["sqlite_world", "world"]


def test_every_dek_is_fresh(world: World) -> None:
    """No two people share a key, a nonce or a commitment."""
    world.vault.enrol_many(200)
    with world.engine.connect() as conn:
        rows = conn.execute(select(DEK)).all()

    assert 201 == len({row.blob for row in rows})
    assert 201 == len({row.commitment for row in rows})


def test_enrolling_nobody_is_nothing(world: World) -> None:
    """An empty batch opens no transaction worth the name."""
    assert [] == world.vault.enrol_many(0)


def test_ids_are_random_and_of_version_four(world: World) -> None:
    """An id says nothing about when or in which order."""
    people = world.vault.enrol_many(50)

    assert {4} == {one.version for one in people}
    assert people != sorted(people)


def test_erasing_needs_an_intent(world: World) -> None:
    """A live key is not overwritten by the second step alone."""
    subject = world.person()
    world.keys.destroy_dek(subject)

    assert "Ada" == world.read(subject)["user.name.given"]
    with pytest.raises(UnknownSubject):
        world.keys.begin_erasure(uuid.uuid4())


def test_a_settled_erasure_is_not_looked_at_again(world: World) -> None:
    """Recovery costs what is open, not what ever was."""
    subject = world.person()
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)

    assert [(subject, DekState.DESTROYED)] == world.keys.unsettled()
    world.vault.recover()
    assert [] == world.keys.unsettled()


@pytest.mark.parametrize("state", [DekState.ERASING, DekState.DESTROYED])
def test_a_gone_key_opens_nothing_though_its_bytes_are_there(
    world: World, state: DekState
) -> None:
    """By its state alone: the wrapped key is whole, and would unwrap."""
    subject = world.person()
    before = world.keys.many([subject])[subject]
    with world.engine.begin() as conn:
        conn.execute(
            update(DEK).where(DEK.c.subject == subject).values(state=state)
        )
    now = world.keys.many([subject])[subject]

    assert before.wrapped == now.wrapped
    with pytest.raises(CryptoFailure):
        world.keys.open(now)
    world.keys.open(now._replace(state=DekState.LIVE)).close()


@pytest.mark.parametrize("state", [DekState.ERASING, DekState.DESTROYED])
def test_a_look_up_of_a_gone_key_takes_the_decoy(
    world: World, state: DekState
) -> None:
    """Whatever the rows still hold, nobody is found, and it is said why."""
    subject = world.person()
    with world.engine.begin() as conn:
        conn.execute(
            update(DEK).where(DEK.c.subject == subject).values(state=state)
        )
    chosen = world.keys.choose(subject, world.vault.decoy())

    assert (False, True) == (chosen.known, chosen.erased)
    assert world.vault.decoy() == chosen.dek.wrapped.subject
    assert {} == world.read(subject)


@pytest.mark.parametrize(
    ("states", "closed"),
    [
        ([], True),
        (["live"], False),
        (["held"], False),
        (["erasing"], True),
        (["destroyed"], True),
        (["next"], True),
        (["live", "next"], False),
        (["held", "next"], False),
        (["erasing", "next"], True),
        (["destroyed", "live"], False),
        (["destroyed", "live", "next"], False),
        (["live", "destroyed"], True),
        (["live", "erasing", "next"], True),
    ],
)
def test_the_newest_key_says_whether_somebody_is_closed(
    world: World, *, states: list[str], closed: bool
) -> None:
    """Of several generations the last counts, but for one still to come."""
    subject, other = world.person(), world.person({"user.gender": "male"})
    with world.engine.begin() as conn:
        (row,) = conn.execute(select(DEK).where(DEK.c.subject == subject))
        conn.execute(DEK.delete().where(DEK.c.subject == subject))
        for gen, state in enumerate(states, 1):
            changed = {**row._mapping, "gen": gen, "state": state}
            conn.execute(DEK.insert().values(changed))
    gone = {subject} if closed else set()

    assert gone == world.keys.closed([other, subject])
    assert gone == world.keys.closed(world.keys.listed([subject, other]))
    assert (not closed) == world.vault.roll([subject, other]).all_open()
    assert (subject in world.vault.subjects()) != closed


def test_a_roll_notices_each_way_to_be_gone(world: World) -> None:
    """By the key from the intent on, and by the record once it is over."""
    people = sorted(world.vault.enrol_many(30))
    with world.data.begin() as conn:
        world.vault.put_many(
            conn, [(one, {"user.age": "4"}) for one in people], source="x"
        )
    roll = world.vault.roll(people)
    with world.data.connect() as conn:
        assert roll.all_open()
        assert roll.all_held(conn)

    world.keys.begin_erasure(people[7])
    with world.data.connect() as conn:
        assert not roll.all_open()
        assert roll.all_held(conn)

    with world.data.begin() as conn:
        world.vault.erase(conn, people[7])
        assert not roll.all_held(conn)


def test_a_page_shrinks_while_the_lock_is_held_long() -> None:
    """Down to the least, and up again once a page is quick."""
    pace, sizes = Pace(500), []
    for seconds in [0.01] * 5 + [0.003, 0.001, 0.001]:
        pace.note(seconds)
        sizes.append(pace.size)
    for _ in range(20):
        pace.note(0)

    assert [250, 125, 62, 50, 50, 50, 63, 79] == sizes
    assert 500 == pace.size
    small = Pace(3)
    small.note(1)
    assert 3 == small.size


def _rewrapping(
    world: World,
    *,
    random: Callable[[int], bytes] = os.urandom,
    progress: Callable[[int], None] = lambda _: None,
    timer: Callable[[], float] = lambda: 0.0,
) -> Rewrapping:
    return Rewrapping(
        engine=world.engine,
        provider=world.keys._provider,
        tenant=world.keys.tenant,
        epochs=world.keys.epochs,
        random=random,
        progress=progress,
        timer=timer,
    )


def test_a_slow_rewrap_takes_smaller_pages(world: World) -> None:
    """The job itself goes by how long its pages hold the lock."""
    world.vault.enrol_many(900)
    world.keys.epochs.rotate()
    clock = iter(range(10**6))
    pages: list[int] = []
    job = _rewrapping(world, progress=pages.append, timer=lambda: next(clock))

    assert 902 == job.run(world.keys.secrets())
    assert [500, 250, 125] == pages[:3]
    with world.engine.connect() as conn:
        if conn.dialect.name == "sqlite":
            driver = conn.connection.driver_connection
            assert driver is not None
            kept = driver.execute("PRAGMA wal_autocheckpoint").fetchone()
            assert (1000,) == kept


def test_a_rewrap_prepares_a_page_while_the_last_is_committed(
    world: World,
) -> None:
    """A commit that waits for the next page's nonces is not waited for."""
    world.vault.enrol_many(PAGE + 1)
    world.keys.epochs.rotate()
    drawn: list[int] = []
    second = threading.Event()

    def random(count: int) -> bytes:
        drawn.append(count)
        if len(drawn) == 2:
            second.set()
        return os.urandom(count)

    waited: list[bool] = []

    @event.listens_for(world.engine, "commit")
    def _commit(_conn: object) -> None:
        if drawn and not second.is_set():
            waited.append(second.wait(30))

    try:
        done = _rewrapping(world, random=random).run(world.keys.secrets())
    finally:
        event.remove(world.engine, "commit", _commit)

    assert PAGE + 3 == done
    assert [True] == waited


def test_a_commit_that_fails_ends_a_rewrap(world: World) -> None:
    """Also that of the last page; what was before stays, and no lock."""
    world.vault.enrol_many(PAGE + 1)
    world.keys.epochs.rotate()
    pages: list[int] = []
    # Of the tenant's row, of a page, and of what is left.
    commits = iter((False, False, True))

    @event.listens_for(world.engine, "commit")
    def _commit(_conn: object) -> None:
        if next(commits):
            msg = "the disk is full"
            raise OSError(msg)

    try:
        with pytest.raises(OSError, match="the disk is full"):
            _rewrapping(world, progress=pages.append).run(world.keys.secrets())
    finally:
        event.remove(world.engine, "commit", _commit)

    assert [PAGE] == pages
    assert 2 == world.keys.rewrap()


def test_a_rewrap_moves_live_keys_alone(world: World) -> None:
    """The erased stay where they were; everybody else opens as before."""
    ada, bob = world.person(), world.person({"user.age": "1"})
    with world.data.begin() as conn:
        world.vault.erase(conn, ada)
    world.keys.epochs.rotate()

    assert 3 == world.keys.rewrap()
    with world.engine.connect() as conn:
        epochs = {
            row.subject: row.kek_epoch for row in conn.execute(select(DEK))
        }
    assert (1, 2) == (epochs[ada], epochs[bob])
    assert {"user.age": "1"} == world.read(bob)
    world.keys.epochs.destroy(1)
    assert {"user.age": "1"} == world.read(bob)
    assert world.keys.secrets().decoy == world.vault.decoy()


def test_a_record_read_during_a_rewrap_opens(world: World) -> None:
    """A holding fetched before opens as long as its epoch lives."""
    subject = world.person()
    holding = world.vault.holding(subject)
    world.keys.epochs.rotate()
    world.keys.rewrap()

    values = world.vault.read(world.grant(subject), holding)

    assert "Ada" == values["user.name.given"]


def test_a_lost_decoy_is_an_alarm(world: World) -> None:
    """Without its decoy the vault does not fall back to answering faster."""
    decoy = world.vault.decoy()
    with world.engine.begin() as conn:
        conn.execute(DEK.delete().where(DEK.c.subject == decoy))

    with pytest.raises(CryptoFailure):
        world.vault.holding(uuid.uuid4())


def test_a_dek_that_is_not_live_is_not_opened(world: World) -> None:
    """From the intent on, also while the wrapped key is still there."""
    subject = world.person()
    world.keys.begin_erasure(subject)
    began = world.keys.many([subject])[subject]
    with world.data.begin() as conn:
        world.vault.erase(conn, subject)
    done = world.keys.many([subject])[subject]

    for dek in (began, done):
        with pytest.raises(CryptoFailure):
            world.keys.open(dek)


def test_a_missing_epoch_row_is_a_failure(world: World) -> None:
    """Re-wrapping does not trust a row that names no epoch."""
    subject = world.person()
    world.keys.epochs.rotate()
    with world.engine.begin() as conn:
        conn.execute(
            update(DEK).where(DEK.c.subject == subject).values(kek_epoch=-5)
        )

    with pytest.raises(KeyUnavailable):
        world.keys.rewrap()


def test_a_changed_tenant_row_is_noticed(world: World) -> None:
    """Decoy, epoch, date and blob belong together."""
    for values in (
        {"decoy": uuid.uuid4()},
        {"created_at": 1},
        {"blob": os.urandom(61)},
    ):
        with world.engine.begin() as conn:
            row = conn.execute(select(TENANT)).one()
            conn.execute(update(TENANT).values(**values))
        with pytest.raises(CryptoFailure):
            world.keys.secrets()
        with world.engine.begin() as conn:
            conn.execute(update(TENANT).values(**row._mapping))


def test_an_overwritten_key_leaves_the_files(
    sqlite_world: World, tmp_path: Path
) -> None:
    """After an erasure neither file nor WAL has the wrapped key."""
    world = sqlite_world
    subject = world.person()
    with world.engine.connect() as conn:
        blob = conn.execute(
            select(DEK.c.blob).where(DEK.c.subject == subject)
        ).scalar_one()
    world.vault._keys._reader.close()
    assert _anywhere(tmp_path, blob)

    with world.data.begin() as conn:
        world.vault.erase(conn, subject)

    assert not _anywhere(tmp_path, blob)


def _anywhere(folder: Path, needle: bytes) -> bool:
    return any(needle in path.read_bytes() for path in folder.glob("keys.db*"))
