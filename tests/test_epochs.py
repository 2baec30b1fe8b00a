"""KEK epochs: one is active, and each ends in its own way."""

import threading
import uuid
from pathlib import Path

import pytest
from sqlalchemy import insert, select

from tests.test_vault import CHEAP, World, world
from vault import FileKeyProvider, KekState, KeyStore, KeyUnavailable
from vault.tables import KEK

__all__ = ["world"]


def test_a_rotation_keeps_one_active(world: World) -> None:
    """The new epoch wraps, the old unwraps, both are dated."""
    world.now += 7
    epoch = world.keys.epochs.rotate()

    assert 2 == epoch
    with world.engine.connect() as conn:
        old, new = conn.execute(select(KEK).order_by(KEK.c.epoch)).all()
    assert (KekState.DEACTIVATED, world.now) == (old.state, old.deactivated_at)
    assert (KekState.ACTIVE, world.now) == (new.state, new.activated_at)
    assert world.provider.key_id(2) == new.key_id


@pytest.mark.parametrize("after_file", [True, False])
def test_a_crash_while_an_epoch_begins(
    world: World, monkeypatch: pytest.MonkeyPatch, *, after_file: bool
) -> None:
    """The epoch written down first is taken up again, not a second one."""
    create = world.provider.create

    def crash(epoch: int, key_id: uuid.UUID) -> None:
        if after_file:
            create(epoch, key_id)
        raise KeyboardInterrupt

    monkeypatch.setattr(world.provider, "create", crash)
    with pytest.raises(KeyboardInterrupt):
        world.keys.epochs.rotate()
    monkeypatch.setattr(world.provider, "create", create)
    assert KekState.PRE_ACTIVE == world.keys.epochs.states()[2]
    subject = world.person()

    assert 2 == world.keys.epochs.rotate()
    assert {1, 2} == set(world.keys.epochs.states())
    assert "Ada" == world.read(subject)["user.name.given"]


def test_two_tenants_cannot_share_a_folder(world: World) -> None:
    """Another tenant's first epoch meets a key that is not its own."""
    other = KeyStore(
        engine=world.engine,
        provider=world.provider,
        tenant="village",
        clock=lambda: 0,
        random=world.random,
    )

    with pytest.raises(KeyUnavailable):
        other.initialise()


def test_a_changed_key_file_is_noticed_at_the_start(
    world: World, tmp_path: Path
) -> None:
    """The row names the key; a stranger's under its epoch is refused."""
    (tmp_path / "keks/kek-00000001").unlink()
    stranger = FileKeyProvider(tmp_path / "keks", b"passphrase", cost=CHEAP)
    stranger.create(1, uuid.uuid4())
    keys = KeyStore(
        engine=world.engine,
        provider=stranger,
        tenant=world.tenant,
        clock=lambda: 0,
        random=world.random,
    )

    with pytest.raises(KeyUnavailable, match="another"):
        keys.initialise()


@pytest.mark.parametrize(
    "state",
    [
        KekState.SUSPENDED,
        KekState.COMPROMISED,
        KekState.DEACTIVATED,
        KekState.ACTIVE,
        KekState.DESTROYED,
    ],
)
def test_the_active_epoch_cannot_be_marked(
    world: World, state: KekState
) -> None:
    """Whoever retires the active key rotates first."""
    with pytest.raises(KeyUnavailable):
        world.keys.epochs.mark(1, state)


def test_what_is_in_use_is_not_destroyed(world: World) -> None:
    """Neither the active epoch, nor an unknown one, nor one that wraps."""
    world.person()
    for epoch in (1, 9):
        with pytest.raises(KeyUnavailable):
            world.keys.epochs.destroy(epoch)
    world.keys.epochs.rotate()
    with pytest.raises(KeyUnavailable, match="still wraps"):
        world.keys.epochs.destroy(1)

    assert 3 == world.keys.rewrap()
    world.keys.epochs.destroy(1)
    assert KekState.DESTROYED == world.keys.epochs.states()[1]


def test_destroying_is_finished_after_a_crash(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The state comes first, so a key left behind is of no use."""
    world.keys.epochs.rotate()
    world.keys.rewrap()
    destroy = world.provider.destroy

    def crash(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(world.provider, "destroy", crash)
    with pytest.raises(KeyboardInterrupt):
        world.keys.epochs.destroy(1)
    monkeypatch.setattr(world.provider, "destroy", destroy)

    assert KekState.DESTROYED == world.keys.epochs.states()[1]
    world.keys.epochs.destroy(1)
    with pytest.raises(KeyUnavailable):
        world.provider.key_id(1)


def test_many_rotations_at_once_leave_one_active(world: World) -> None:
    """Two processes that rotate together end with one active epoch."""
    errors: list[Exception] = []

    def rotate() -> None:
        try:
            world.keys.epochs.rotate()
        except Exception as error:  # noqa: BLE001 - one may lose the race
            errors.append(error)

    threads = [threading.Thread(target=rotate) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    states = list(world.keys.epochs.states().values())
    assert 1 == states.count(KekState.ACTIVE)
    assert len(errors) < 4
    assert "Ada" == world.read(world.person())["user.name.given"]


def test_a_tenant_without_an_active_epoch_enrols_nobody(world: World) -> None:
    """No active key is its own error, not a missing row."""
    with world.engine.begin() as conn:
        conn.execute(KEK.delete())
        conn.execute(
            insert(KEK).values(
                tenant="town",
                epoch=1,
                key_id=world.provider.key_id(1),
                state=KekState.SUSPENDED,
                created_at=0,
            )
        )

    with pytest.raises(KeyUnavailable, match="no active"):
        world.vault.enrol()
