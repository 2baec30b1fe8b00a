"""Legal holds: two officers, and an erasure that waits."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from policy import ErasureWaits, NotPermitted
from tests.databases import KINDS, Kind
from tests.worlds import (
    OFFICER,
    OTHER_OFFICER,
    START,
    World,
    build_world,
)
from vault import DekState, HoldRefused, Holds, SubjectHeld

REVIEW = START + 90 * 86_400


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """An instance with its cast, on each database."""
    kind = Kind(request.param)
    with build_world(tmp_path / "home", database=kind) as made:
        yield made


def held(world: World, name: str) -> UUID:
    """Put somebody under a hold."""
    desk = world.platform.holds
    made = asyncio.run(
        desk.propose(
            OFFICER, world.cast[name], reason="case 7", review_at=REVIEW
        )
    )
    asyncio.run(desk.confirm(OTHER_OFFICER, made))
    return made


def ask(world: World, name: str) -> None:
    """Ask for somebody's erasure, through the officer's door."""
    asyncio.run(
        world.platform.registrar.erase(
            OFFICER,
            world.cast[name],
            proposer="somebody",
            justification="asked for it",
        )
    )


def outcomes(world: World, name: str) -> list[str]:
    """What the person sees happened, the oldest first."""
    vault = world.platform.vault
    key = vault.log_key(vault.holding(world.cast[name]))
    entries = world.platform.ledger.own_entries(key)
    return [one.outcome for one in reversed(entries)]


def test_a_hold_takes_two_officers(world: World) -> None:
    """The same officer neither confirms nor lifts what they proposed."""
    desk, subject = world.platform.holds, world.cast["consenting"]
    custody = world.platform.vault.custody
    made = asyncio.run(
        desk.propose(OFFICER, subject, reason="case 7", review_at=REVIEW)
    )
    assert DekState.LIVE is custody.state(subject)
    with pytest.raises(NotPermitted):
        asyncio.run(desk.confirm(OFFICER, made))
    assert DekState.LIVE is custody.state(subject)
    asyncio.run(desk.confirm(OTHER_OFFICER, made))
    assert DekState.HELD is custody.state(subject)

    asyncio.run(desk.lift(OTHER_OFFICER, made))
    with pytest.raises(NotPermitted):
        asyncio.run(desk.lift(OTHER_OFFICER, made))
    assert DekState.HELD is custody.state(subject)
    asyncio.run(desk.lift(OFFICER, made))
    assert DekState.LIVE is custody.state(subject)


def test_the_store_itself_asks_for_a_second_officer(world: World) -> None:
    """Also where nobody asked the policies."""
    store = Holds(
        engine=world.platform.keys,
        tenant="test",
        clock=world.clock,
        random=world.platform.random,
    )
    made = store.new_id()
    subject = world.cast["consenting"]
    store.propose(
        made, subject, officer="one", reason=b"sealed", review_at=REVIEW
    )
    with pytest.raises(HoldRefused, match="second officer"):
        store.confirm(made, officer="one")
    store.confirm(made, officer="two")
    store.propose_lift(made, officer="one")
    with pytest.raises(HoldRefused, match="second officer"):
        store.lift(made, officer="one")
    with pytest.raises(HoldRefused):
        store.confirm(made, officer="three")


def test_a_held_person_is_read_and_written_as_before(world: World) -> None:
    """A hold alone changes nothing for anybody but the eraser."""
    held(world, "consenting")
    platform, subject = world.platform, world.cast["consenting"]
    assert platform.vault.holding(subject).known
    with platform.data.begin() as conn:
        platform.vault.put(
            conn, subject, {"user.name.given": "Bravo"}, source="desk"
        )
    keys = platform.vault.keystore
    old = keys.epochs.initialise()
    keys.epochs.rotate()
    keys.rewrap()
    keys.epochs.destroy(old)
    assert [] == list(platform.vault.verify())
    disclosed = world.run(platform.gate.disclose(world.request("consenting")))
    assert any(one.value for one in disclosed.attributes)


def test_an_erasure_waits_and_all_use_stops(world: World) -> None:
    """Asked for under a hold: recorded, restricted, carried out at its end."""
    made = held(world, "consenting")
    subject, desk = world.cast["consenting"], world.platform.holds
    for _ in range(2):
        with pytest.raises(ErasureWaits):
            ask(world, "consenting")
    assert world.platform.vault.holding(subject).known
    assert outcomes(world, "consenting")[-4:] == [
        "hold-proposed",
        "held",
        "waiting",
        "waiting",
    ]
    (listed,) = asyncio.run(desk.listed(OFFICER))
    assert ("case 7", "somebody") == (
        listed.reason,
        listed.hold.erasure_proposer,
    )
    asyncio.run(desk.lift(OFFICER, made))
    asyncio.run(desk.lift(OTHER_OFFICER, made))

    assert not world.platform.vault.holding(subject).known
    assert DekState.DESTROYED is world.platform.vault.custody.state(subject)
    assert [] == asyncio.run(desk.listed(OFFICER))
    world.platform.ledger.verify()


def test_services_get_nothing_while_an_erasure_waits(world: World) -> None:
    """The gate treats the person as restricted."""
    held(world, "consenting")
    with pytest.raises(ErasureWaits):
        ask(world, "consenting")
    disclosed = world.run(
        world.platform.gate.disclose(world.request("consenting"))
    )
    assert {None} == {one.value for one in disclosed.attributes}


def test_the_eraser_and_the_vault_refuse_by_themselves(world: World) -> None:
    """Behind the door too, and nothing is left half done."""
    held(world, "consenting")
    platform, subject = world.platform, world.cast["consenting"]
    with pytest.raises(SubjectHeld):
        platform.eraser.erase(subject)
    with pytest.raises(SubjectHeld), platform.data.begin() as conn:
        platform.vault.erase(conn, subject)
    assert [] == platform.journal.pending()
    assert [] == list(platform.vault.verify())


def test_a_second_hold_keeps_what_the_first_let_go(world: World) -> None:
    """The key is live again only with the last."""
    first, second = held(world, "consenting"), held(world, "consenting")
    desk, custody = world.platform.holds, world.platform.vault.custody
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(desk.lift(officer, first))
    assert DekState.HELD is custody.state(world.cast["consenting"])
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(desk.lift(officer, second))
    assert DekState.LIVE is custody.state(world.cast["consenting"])


def test_the_reason_is_not_in_the_keys_database(world: World) -> None:
    """It is sealed for the person's own log key."""
    held(world, "consenting")
    if world.platform.keys.dialect.name == "sqlite":
        for path in (world.home / "keys").iterdir():
            assert b"case 7" not in path.read_bytes()


def test_a_reason_moves_with_the_key(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It opens between the two steps of a re-encryption, and after them."""
    held(world, "consenting")
    desk, keys = world.platform.holds, world.platform.keys_desk

    def reasons() -> list[str]:
        listed = asyncio.run(desk.listed(OFFICER))
        return [one.reason for one in listed]

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vault.rekeying.Rekeying._promote", crash)
        with pytest.raises(KeyboardInterrupt):
            keys.compromise("o", 1)
    assert ["case 7"] == reasons()
    assert 1 == keys.recover()
    assert ["case 7"] == reasons()
    keys.destroy("o", 1)
    assert ["case 7"] == reasons()


def merge(world: World, survivor: str, absorbed: str) -> None:
    """Read two characters' records as one."""
    asyncio.run(
        world.platform.records.merge(
            OFFICER,
            world.cast[survivor],
            world.cast[absorbed],
            justification="same",
        )
    )


@pytest.mark.parametrize("on", ["consenting", "refusing"])
@pytest.mark.parametrize("asked", ["consenting", "refusing"])
def test_a_hold_on_one_record_holds_all(
    world: World, on: str, asked: str
) -> None:
    """Whichever is held and whichever is to go, all wait, and go together."""
    made = held(world, on)
    merge(world, "consenting", "refusing")
    platform = world.platform
    with pytest.raises(ErasureWaits):
        ask(world, asked)
    for name in ("consenting", "refusing"):
        assert platform.vault.holding(world.cast[name]).known
    disclosed = world.run(platform.gate.disclose(world.request("consenting")))
    assert {None} == {one.value for one in disclosed.attributes}
    (listed,) = asyncio.run(platform.holds.listed(OFFICER))
    assert ("case 7", "somebody") == (
        listed.reason,
        listed.hold.erasure_proposer,
    )
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(platform.holds.lift(officer, made))
    for name in ("consenting", "refusing"):
        assert platform.vault.holding(world.cast[name]).erased


def test_an_erasure_waits_for_holds_on_both_records(world: World) -> None:
    """Also for one that came after the request."""
    first = held(world, "consenting")
    merge(world, "consenting", "refusing")
    with pytest.raises(ErasureWaits):
        ask(world, "consenting")
    second = held(world, "refusing")
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(world.platform.holds.lift(officer, first))
    assert world.platform.vault.holding(world.cast["consenting"]).known
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(world.platform.holds.lift(officer, second))
    assert world.platform.vault.holding(world.cast["consenting"]).erased


def test_a_holds_reason_is_read_after_a_merge_and_a_parting(
    world: World,
) -> None:
    """It is sealed for the record that is held, whatever that is part of."""
    desk = world.platform.holds
    merge(world, "consenting", "refusing")
    made = held(world, "refusing")
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(desk.lift(officer, made))
    asyncio.run(
        desk.propose(
            OFFICER,
            world.cast["refusing"],
            reason="case 8",
            review_at=REVIEW,
        )
    )
    asyncio.run(
        world.platform.records.unmerge(
            OFFICER,
            world.cast["consenting"],
            world.cast["refusing"],
            justification="two",
        )
    )
    (listed,) = asyncio.run(desk.listed(OFFICER))
    assert "case 8" == listed.reason
