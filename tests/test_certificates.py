"""Erasure certificates: what they state, and that they verify offline."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from api.certificates import certify, sign_certificate, verify_certificate
from consent import LedgerSigner, NoteError, VerifierKey
from tests.test_erasing import erase
from tests.worlds import START, World, build_world

DAY = 86_400


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast."""
    with build_world(tmp_path / "home") as made:
        yield made


def issued(world: World, name: str) -> bytes:
    """The certificate of somebody's erasure, as the command makes it."""
    platform, subject = world.platform, world.cast[name]
    erasure = platform.journal.find(subject)
    assert erasure is not None
    made = certify(
        erasure,
        origin=platform.settings.origin,
        destroyed_at=platform.vault.custody.destroyed_at(subject),
        entry=erasure.entry,
        epochs=platform.vault.keystore.epochs.listed(),
        backup_days=14,
        now=world.clock(),
    )
    signer = LedgerSigner(
        name=platform.settings.origin, key=platform.secrets.ledger
    )
    return sign_certificate(made, signer).encode()


def key(world: World) -> VerifierKey:
    """The ledger's key, as it is published."""
    return VerifierKey.parse(world.platform.ledger_vkey)


def test_until_the_kek_dies_the_last_copy_is_a_plan(world: World) -> None:
    """Fourteen days after the key's destruction, by the default."""
    erase(world, "consenting")
    found = verify_certificate(issued(world, "consenting"), key(world)).fields

    assert str(world.cast["consenting"]) == found["subject"]
    assert ("planned", "pending", "1") == (
        found["last-copy-is"],
        found["kek-destroyed"],
        found["kek-epoch"],
    )
    index = int(found["entry"])
    body = world.platform.ledger.audit_entries(after=index - 1)[0].body
    assert body is not None
    assert ("erasure", "erased") == (body.kind, body.outcome)


def test_once_the_kek_is_destroyed_the_date_is_certain(world: World) -> None:
    """It is the day of the destruction."""
    erase(world, "consenting")
    world.clock.now = START + 10 * DAY
    keys = world.platform.vault.keystore
    old = keys.epochs.initialise()
    keys.epochs.rotate()
    keys.rewrap()
    keys.epochs.destroy(old)
    found = verify_certificate(issued(world, "consenting"), key(world)).fields

    assert "certain" == found["last-copy-is"]
    assert found["kek-destroyed"] == found["last-copy"]
    assert found["erased"] < found["last-copy"]


def test_no_certificate_verifies_but_the_ledgers_own(world: World) -> None:
    """No byte of it can be changed, and a checkpoint is none."""
    erase(world, "consenting")
    note = issued(world, "consenting")
    for place in range(0, len(note), 7):
        changed = bytearray(note)
        changed[place] ^= 0x01
        with pytest.raises(NoteError):
            verify_certificate(bytes(changed), key(world))
    checkpoint = world.platform.ledger.checkpoint().encode()
    with pytest.raises(NoteError):
        verify_certificate(checkpoint, key(world))


def test_while_a_custodian_waits_the_last_copy_is_a_plan(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A remote key can be called back for some days; then it is certain."""
    erase(world, "consenting")
    grace = property(lambda _: 7 * DAY)
    monkeypatch.setattr("vault.providers.FileKeyProvider.grace", grace)
    keys = world.platform.vault.keystore
    old = keys.epochs.initialise()
    keys.epochs.rotate()
    keys.rewrap()
    destroyed = world.clock()
    keys.epochs.destroy(old)

    def told() -> tuple[str, str]:
        note = issued(world, "consenting")
        found = verify_certificate(note, key(world)).fields
        assert found["kek-destroyed"] == found["last-copy"]
        return found["last-copy-is"], found["last-copy"]

    ends = datetime.fromtimestamp(destroyed + 7 * DAY, UTC)
    shown = ends.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert ("planned", shown) == told()
    world.clock.now = destroyed + 7 * DAY
    assert ("certain", shown) == told()
