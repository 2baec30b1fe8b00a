"""Officers' acts on keys: recorded around, and finished after a crash."""

import os
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import delete, insert, select

from api.restoring import Surroundings, replay
from consent import Draft, EntryKind, LogKeyMoved
from policy.key_desk import PURPOSE, SERVICE
from policy.tables import DecisionRow
from tests.worlds import CHEAP, LIMITED, OFFICER, World, build_world, reopen
from vault import Holding, KekState, KeyUnavailable, StatesAltered, Vault
from vault.tables import DEK, KEK, TENANT


def entries(world: World) -> list[tuple[str, str, int]]:
    """Give act, outcome and epoch of each key entry."""
    found = world.platform.ledger.audit_entries(
        service=SERVICE, purpose=PURPOSE, limit=500
    )
    return [
        (one.body.detail["act"], one.body.outcome, one.body.detail["epoch"])
        for one in found
        if one.body is not None and one.body.detail is not None
    ]


@pytest.fixture
def world(tmp_path: Path) -> Any:  # noqa: ANN401 - a generator of worlds
    """A whole instance."""
    with build_world(tmp_path / "home") as made:
        yield made


def test_every_act_has_an_entry_before_and_after(world: World) -> None:
    """Intent and outcome, also of what was refused."""
    desk = world.platform.keys_desk
    assert 2 == desk.rotate("o")
    desk.suspend("o", 1)
    desk.reinstate("o", 1)
    with pytest.raises(KeyUnavailable, match="re-wrap first"):
        desk.destroy("o", 1)
    assert desk.rewrap("o") > 5
    desk.destroy("o", 1)

    assert [
        (act, outcome, epoch)
        for act, epoch, ends in (
            ("rotate", 2, "done"),
            ("suspend", 1, "done"),
            ("reinstate", 1, "done"),
            ("destroy", 1, "undone"),
            ("rewrap", 0, "done"),
            ("destroy", 1, "done"),
        )
        for outcome in ("begun", ends)
    ] == entries(world)
    world.platform.ledger.verify()


def test_a_compromise_moves_everything_that_hangs_on_the_log_key(
    world: World,
) -> None:
    """Own entries, receipts' chain, decisions: all under the new key."""
    platform = world.platform
    subject = world.cast["consenting"]

    async def ask() -> Any:  # noqa: ANN401 - a disclosure
        return await platform.gate.disclose(world.request("consenting"))

    vault, ledger = platform.vault, platform.ledger
    before = ledger.own_entries(vault.log_key(vault.holding(subject)))
    old = vault.log_key(vault.holding(subject))
    found = platform.keys_desk.compromise("o", 1)

    new = vault.log_key(vault.holding(subject))
    assert () == found.refused
    assert old != new
    assert [] == list(ledger.own_entries(old))
    assert list(before) == list(ledger.own_entries(new))
    assert KekState.COMPROMISED == vault.keys.epochs.states()[1]
    ledger.verify()
    assert [] == list(vault.verify())
    answer = world.run(ask())
    assert answer.attributes[0].value
    after = ledger.own_entries(new)
    assert len(before) + 1 == len(after)
    ledger.verify()
    platform.keys_desk.destroy("o", 1)


def test_a_stored_decision_replays_after_a_compromise(world: World) -> None:
    """What was sealed under the old log key opens under the new one."""
    platform = world.platform
    subject = world.cast["consenting"]

    async def both() -> Any:  # noqa: ANN401 - a report
        answer = await platform.gate.disclose(world.request("consenting"))
        platform.keys_desk.compromise("o", 1)
        return await platform.replay.replay(
            platform.pdp, answer.decision, subject
        )

    assert () == world.run(both()).differs


def test_an_old_log_key_is_refused_and_an_old_tag_erases(
    world: World,
) -> None:
    """Nobody goes on writing in a chain that moved; erasure follows it."""
    platform = world.platform
    vault, ledger = platform.vault, platform.ledger
    subject = world.cast["consenting"]
    old = vault.log_key(vault.holding(subject))
    platform.keys_desk.compromise("o", 1)
    new = vault.log_key(vault.holding(subject))
    count = len(ledger.own_entries(new))

    draft = Draft(
        kind=EntryKind.OWN_VIEW,
        subject=subject,
        log_key=old,
        service="desk",
        purpose="test",
        attributes=(),
        outcome="opened",
        at=world.clock(),
        decision=uuid4(),
    )
    with pytest.raises(LogKeyMoved), platform.data.begin() as conn:
        ledger.append(conn, [draft])
    with platform.data.begin() as conn:
        assert count == ledger.erase(conn, old)

    assert [] == list(ledger.own_entries(new))
    ledger.verify()


def test_states_set_back_with_their_seal_are_refused_at_the_start(
    world: World,
) -> None:
    """Attack 15: what was suspended opens again by no copy of the rows."""
    desk, engine = world.platform.keys_desk, world.platform.keys
    desk.rotate("o")
    with engine.begin() as conn:
        kept = {
            table: [dict(row._mapping) for row in conn.execute(select(table))]
            for table in (KEK, TENANT)
        }
    desk.suspend("o", 1)
    reopen(world).close()
    with engine.begin() as conn:
        for table, rows in kept.items():
            conn.execute(delete(table))
            conn.execute(insert(table), rows)

    with pytest.raises(StatesAltered, match="older than those"):
        reopen(world)
    # A restore says in the ledger what stands from now on.
    replay(
        world.platform.settings,
        around=Surroundings(clock=world.clock, random=os.urandom, costs=CHEAP),
        steps=lambda *_: None,
    )
    reopen(world).close()
    assert ("restore", "done", 0) == entries(world)[-1]


@pytest.mark.parametrize("act", ["rotate", "compromise", "destroy", "rewrap"])
def test_an_interrupted_act_is_finished_at_the_next_start(
    world: World, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """Intent without outcome: the next process ends it, and says so."""
    desk = world.platform.keys_desk
    if act == "destroy":
        desk.rotate("o")
        desk.rewrap("o")

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(
            {
                "rotate": "vault.providers.FileKeyProvider.create",
                "compromise": "vault.rekeying.Rekeying._promote",
                "destroy": "vault.providers.FileKeyProvider.destroy",
                "rewrap": "vault.rewrapping.Rewrapping.run",
            }[act],
            crash,
        )
        with pytest.raises(KeyboardInterrupt):
            (
                getattr(desk, act)("o")
                if act in {"rotate", "rewrap"}
                else getattr(desk, act)("o", 1)
            )
    assert "begun" == entries(world)[-1][1]

    again = reopen(world)
    try:
        assert (act, "done") == entries(world)[-1][:2]
        assert [] == list(again.vault.verify())
        states = again.vault.keys.epochs.states()
        expected = {
            "rotate": {1: KekState.DEACTIVATED, 2: KekState.ACTIVE},
            "compromise": {1: KekState.COMPROMISED, 2: KekState.ACTIVE},
            "destroy": {1: KekState.DESTROYED, 2: KekState.ACTIVE},
            "rewrap": {1: KekState.ACTIVE},
        }[act]
        assert expected == states
        if act == "compromise":
            with again.keys.connect() as conn:
                gens = set(
                    conn.execute(
                        select(DEK.c.gen).where(DEK.c.state == "live")
                    ).scalars()
                )
            assert {2} == gens
        assert 0 == again.keys_desk.recover()
    finally:
        again.close()


def test_an_act_that_never_began_is_noted_as_undone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash between intent and act leaves nothing but its note."""

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("vault.epochs.KekEpochs.rotate", crash)
        with pytest.raises(KeyboardInterrupt):
            world.platform.keys_desk.rotate("o")

    assert 1 == world.platform.keys_desk.recover()
    assert [("rotate", "begun", 2), ("rotate", "undone", 2)] == entries(world)


def test_a_start_leaves_a_running_job_to_its_process(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was begun is finished once, by who holds the lock."""

    def start(*_: object, **__: object) -> int:
        again = reopen(world)
        again.close()
        return 7

    with monkeypatch.context() as patch:
        patch.setattr("vault.rewrapping.Rewrapping.run", start)
        assert 7 == world.platform.keys_desk.rewrap("o")

    assert [("rewrap", "begun", 0), ("rewrap", "done", 0)] == entries(world)


@pytest.mark.parametrize("act", ["own_view", "prefer", "correct", "erase"])
def test_who_looked_up_before_a_key_moved_looks_again(
    world: World, monkeypatch: pytest.MonkeyPatch, act: str
) -> None:
    """A compromise between look-up and entry costs a look, not the act."""
    platform, subject = world.platform, world.cast["consenting"]
    name = "own_holding" if act == "erase" else "holding"
    look_up, looks = getattr(Vault, name), [0]

    def moving(self: Vault, asked: UUID) -> Holding:
        found: Holding = look_up(self, asked)
        looks[0] += asked == subject
        # The eraser looks once to see whether there is anybody.
        if asked == subject and looks[0] == 1 + (act == "erase"):
            self.log_key(found)
            platform.keys_desk.compromise("o", 1)
        return found

    async def story() -> None:
        await platform.gate.disclose(world.request("consenting"))
        monkeypatch.setattr(Vault, name, moving)
        caller = world.caller("consenting")
        match act:
            case "own_view":
                assert await platform.person.own_view(caller, subject)
            case "prefer":
                await platform.person.prefer(
                    caller, subject, LIMITED, expected=0
                )
            case "correct":
                await platform.registrar.correct(
                    OFFICER, subject, {"user.gender": "male"}, source="desk"
                )
            case _:
                await platform.registrar.erase(
                    OFFICER, subject, proposer="x", justification="asked"
                )

    world.run(story())

    assert looks[0] > 1
    platform.ledger.verify()
    assert [] == list(platform.vault.verify())
    if act == "erase":
        with platform.data.connect() as conn:
            table = DecisionRow.__table__
            # Other people's marks of their former keys stay.
            kept = select(table.c.sealed).where(table.c.revision != "moved")
            assert {None} == set(conn.execute(kept).scalars())
