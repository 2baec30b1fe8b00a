"""New DEKs after a compromise: everything moves, nothing is lost."""

import threading
import uuid
from collections.abc import Callable

import pytest
from sqlalchemy import Connection, delete, select, update

from tests.test_vault import ADA, World, sqlite_world, world
from vault import CryptoFailure, KekState
from vault.tables import DEK, HISTORY, VALUE, DekState

__all__ = ["sqlite_world", "world"]


def compromised(world: World) -> int:
    """Retire the first epoch as a compromise does; give the instant."""
    world.keys.epochs.rotate()
    until = world.keys.epochs.expose(1)
    world.keys.rewrap()
    world.keys.epochs.mark(1, KekState.COMPROMISED)
    return until


def ignore(*_: object) -> None:
    """Keep nothing under the log key."""


def rekey(
    world: World, until: int, moved: Callable[..., None] = ignore
) -> int:
    """Run to the end."""
    return world.vault.rekey(until, moved=moved).people


def generations(world: World, subject: uuid.UUID) -> dict[int, str]:
    """Give somebody's DEK generations and their states."""
    with world.engine.connect() as conn:
        return {
            row.gen: row.state
            for row in conn.execute(
                select(DEK).where(DEK.c.subject == subject)
            )
        }


def test_everybody_gets_a_new_key_and_reads_as_before(world: World) -> None:
    """Values, history, look-up and log key move; the old key is gone."""
    ada, bob = world.person(), world.person({"user.age": "7"})
    world.put(ada, {"user.gender": "male"})
    log_key = world.vault.log_key(world.vault.holding(ada))
    with world.engine.connect() as conn:
        old = set(conn.execute(select(DEK.c.blob)).scalars())
    told: list[uuid.UUID] = []

    def moved(_: Connection, who: uuid.UUID, was: bytes, now: bytes) -> None:
        told.append(who)
        assert who != ada or (log_key == was != now)

    assert 3 == rekey(world, compromised(world), moved)

    assert {ada, bob, world.vault.decoy()} == set(told)
    assert ADA["user.name.given"] == world.read(ada)["user.name.given"]
    assert {"user.age": "7"} == world.read(bob)
    assert ["male", "female"] == [
        one.value
        for one in world.vault.history(world.grant(ada), "user.gender")
    ]
    email = ADA["user.home-info.online.email"]
    assert ada == world.vault.look_up.find(
        "user.home-info.online.email", email
    )
    assert log_key != world.vault.log_key(world.vault.holding(ada))
    assert {2: DekState.LIVE} == generations(world, ada)
    with world.engine.connect() as conn:
        assert old.isdisjoint(conn.execute(select(DEK.c.blob)).scalars())
    assert [] == list(world.vault.verify())
    assert 0 == rekey(world, world.keys.epochs.expose(1))
    world.vault.recover()
    assert [] == world.keys.unsettled()
    world.keys.epochs.destroy(1)
    assert "male" == world.read(ada)["user.gender"]


@pytest.mark.parametrize("step", ["plan", "seal", "moved", "promote"])
def test_a_crash_at_each_step(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Everybody reads in between, a write goes on, the next run ends it."""
    people = [world.person({"user.age": str(age)}) for age in range(6)]
    until = compromised(world)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    name = {
        "plan": "vault.rekeying.Rekeying._seal",
        "seal": "vault.rekeying.Rekeying._promote",
        "promote": "vault.keystore.KeyStore.drop_log",
    }.get(step)
    with monkeypatch.context() as patch:
        if name:
            patch.setattr(name, crash)
        with pytest.raises(KeyboardInterrupt):
            rekey(world, until, ignore if name else crash)

    def ages() -> list[str]:
        return [world.read(one)["user.age"] for one in people]

    assert [str(age) for age in range(6)] == ages()
    grants = [world.grant(one) for one in people]
    assert [str(age) for age in range(6)] == [
        values["user.age"] for _, values in world.vault.read_many(grants)
    ]
    assert [] == list(world.vault.verify())
    world.put(people[0], {"user.age": "40"})
    world.vault.recover()
    assert [] == world.keys.unsettled()

    rekey(world, until)

    assert ["40", "1", "2", "3", "4", "5"] == ages()
    assert {2: DekState.LIVE} == generations(world, people[0])
    assert [] == list(world.vault.verify())


def test_no_read_fails_meanwhile(world: World) -> None:
    """Readers in other threads see each person before, or after."""
    people = [world.person({"user.age": str(age)}) for age in range(40)]
    until = compromised(world)
    failed: list[str] = []
    reads, stop = [0], threading.Event()

    def read() -> None:
        while not stop.is_set():
            for age, one in enumerate(people):
                try:
                    holding = world.vault.holding(one)
                    world.vault.log_key(holding)
                    found = world.vault.read(world.grant(one), holding)
                    reads[0] += 1
                    if found != {"user.age": str(age)}:
                        failed.append(f"{found}")
                except Exception as error:  # noqa: BLE001 - each is a failed read
                    failed.append(f"{error!r}")

    threads = [threading.Thread(target=read) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        assert 41 == rekey(world, until)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert [] == failed
    assert reads[0] > 0


def test_03_swap_blobs_between_generations(world: World) -> None:
    """Attack 3: what the old key sealed does not open under the new one."""
    ada = world.person()
    world.put(ada, {"user.gender": "male"})
    with world.data.connect() as conn:
        before = conn.execute(
            select(VALUE).where(VALUE.c.subject == ada)
        ).all()
        older = conn.execute(
            select(HISTORY).where(HISTORY.c.subject == ada)
        ).all()
    rekey(world, compromised(world))

    for table, rows in ((VALUE, before), (HISTORY, older)):
        for row in rows:
            place = (
                table.c.subject == ada,
                table.c.attribute == row.attribute,
                table.c.version == row.version,
            )
            with world.data.begin() as conn:
                fresh = conn.execute(
                    select(table.c.sealed).where(*place)
                ).scalar_one()
                assert fresh != row.sealed
                conn.execute(
                    update(table).where(*place).values(sealed=row.sealed)
                )
            with pytest.raises(CryptoFailure):
                world.vault.history(world.grant(ada), "user.gender")
            renamed = fresh[:6] + row.sealed[6:]
            with world.data.begin() as conn:
                conn.execute(
                    update(table).where(*place).values(sealed=renamed)
                )
            with pytest.raises(CryptoFailure):
                world.vault.history(world.grant(ada), "user.gender")
            with world.data.begin() as conn:
                conn.execute(update(table).where(*place).values(sealed=fresh))
    assert "male" == world.read(ada)["user.gender"]


def test_03_a_next_key_made_live_by_sql_opens_nothing(world: World) -> None:
    """Attack 3: a generation that sealed nothing is no way in."""
    ada = world.person()
    until = compromised(world)
    with pytest.raises(ZeroDivisionError):
        rekey(world, until, lambda *_: 1 // 0)
    assert {1: DekState.LIVE, 2: DekState.NEXT} == generations(world, ada)
    with world.engine.begin() as conn:
        conn.execute(delete(DEK).where(DEK.c.subject == ada, DEK.c.gen == 1))
        conn.execute(
            update(DEK)
            .where(DEK.c.subject == ada)
            .values(state=DekState.LIVE.value)
        )

    with pytest.raises(CryptoFailure):
        world.read(ada)


def test_an_erasure_in_between_wins(world: World) -> None:
    """Neither generation opens, and the run passes the person over."""
    ada, bob = world.person(), world.person({"user.age": "7"})
    until = compromised(world)
    with pytest.raises(ZeroDivisionError):
        rekey(world, until, lambda *_: 1 // 0)
    with world.data.begin() as conn:
        world.vault.erase(conn, ada)

    assert 2 == rekey(world, until)

    assert {} == world.read(ada)
    assert {"user.age": "7"} == world.read(bob)
    assert {DekState.DESTROYED} == set(generations(world, ada).values())
    world.vault.recover()
    assert [] == list(world.vault.verify())


def test_a_held_person_stays_held(world: World) -> None:
    """A legal hold goes with the person, not with a generation."""
    ada = world.person()
    with world.engine.begin() as conn:
        conn.execute(
            update(DEK)
            .where(DEK.c.subject == ada)
            .values(state=DekState.HELD.value)
        )

    rekey(world, compromised(world))

    assert {2: DekState.HELD} == generations(world, ada)
    assert "female" == world.read(ada)["user.gender"]


def test_an_altered_record_is_named_and_not_made_sound(world: World) -> None:
    """What does not verify is not sealed anew; the others are."""
    ada, bob = world.person(), world.person({"user.age": "7"})
    until = compromised(world)
    with world.data.begin() as conn:
        conn.execute(
            delete(VALUE).where(VALUE.c.subject == ada, VALUE.c.attribute == 8)
        )

    found = world.vault.rekey(until, moved=ignore)

    assert ((ada,), 2) == (found.refused, found.people)
    assert {"user.age": "7"} == world.read(bob)
    with pytest.raises(CryptoFailure):
        world.read(ada)
