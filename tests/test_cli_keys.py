"""`curtilage keys`: what it prints, and what it refuses."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import update

from api.bootstrap import bootstrap
from api.databases import open_database
from api.migrations import Chain, downgrade, upgrade
from api.platform import Platform
from api.settings import read_settings
from consent import EntryKind
from policy.key_desk import PURPOSE, SERVICE
from tests.test_cli import Shell, _clean, made
from tests.worlds import CHEAP
from vault import AdoptionRefused
from vault.tables import KEK

__all__ = ["_clean"]


@pytest.fixture
def own(tmp_path: Path) -> Shell:
    """An instance of the test's own."""
    return made(tmp_path / "home")


def states(own: Shell) -> dict[int, str]:
    """Give the state of every epoch."""
    found = own("keys", "status", "--json").document()
    return {one["epoch"]: one["state"] for one in found["epochs"]}


def test_a_rotation_from_beginning_to_end(own: Shell) -> None:
    """Rotate, re-wrap, destroy; each says what comes next."""
    assert {"epoch": 2} == own("keys", "rotate", "--json").document()
    assert {1: "deactivated", 2: "active"} == states(own)
    said = own("keys", "status")
    assert "curtilage keys rewrap" in said.out
    refused = own("keys", "destroy", "1")
    assert "still wraps" in refused.line()
    assert "re-wrap first" in refused.line()

    found = own("keys", "rewrap", "--json").document()

    assert [1] == found["drained"]
    assert found["rewrapped"] > 20
    assert "is destroyed" in own("keys", "destroy", "1").out
    assert {1: "destroyed", 2: "active"} == states(own)
    assert "Nothing is wrong: " in own("vault", "verify").out
    assert 0 == own("ledger", "verify").code


def test_states_are_shown_with_dates_in_a_zone(
    own: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody has to guess which midnight a key was made before."""
    monkeypatch.setenv("COLUMNS", "250")
    shown = own("keys", "status").out

    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC", shown)


def test_a_compromise_of_the_active_epoch(own: Shell) -> None:
    """It rotates by itself, and everybody has a new key afterwards."""
    found = own("keys", "compromise", "1", "--json").document()

    assert [] == found["refused"]
    assert found["people"] > 20
    assert {1: "compromised", 2: "active"} == states(own)
    assert "Nothing is wrong: " in own("vault", "verify").out
    assert 0 == own("ledger", "verify").code
    assert "unknown" in own("keys", "compromise", "9").line()
    assert 0 == own("keys", "destroy", "1", "--json").code


def test_an_epoch_is_suspended_and_reinstated(own: Shell) -> None:
    """The active one is not; a past one opens nothing in between."""
    assert "cannot become" in own("keys", "suspend", "1").line()
    own("keys", "rotate")
    own("keys", "rewrap")
    assert 0 == own("keys", "suspend", "1").code
    assert "suspended" == states(own)[1]
    assert 0 == own("keys", "reinstate", "1").code
    assert "deactivated" == states(own)[1]


def unsealed(own: Shell) -> None:
    """Take the keys database to what it was before there were seals."""
    engine = open_database(read_settings(own.home).keys)
    downgrade(engine, Chain.KEYS, "0001")
    upgrade(engine, Chain.KEYS)
    engine.dispose()


def test_an_instance_of_before_the_seals_is_adopted(own: Shell) -> None:
    """Refused with what to run; shown, asked, sealed, and in the ledger."""
    assert "nothing is adopted" in own("keys", "adopt", "--yes").line()
    unsealed(own)
    assert "curtilage keys adopt" in own("keys", "status").line()
    assert 1 == own("keys", "adopt").code  # nobody answered
    assert "curtilage keys adopt" in own("keys", "status").line()

    said = own("keys", "adopt", "--yes", "--as", "olga", "--json")

    assert [{"epoch": 1, "state": "active"}] == said.document()["sealed"]
    assert "epoch 1: active (created " in said.err
    assert {1: "active"} == states(own)
    assert "nothing is adopted" in own("keys", "adopt", "--yes").line()
    platform = bootstrap(read_settings(own.home), costs=CHEAP)
    acts = [
        (one.body.outcome, one.body.detail)
        for one in platform.ledger.audit_entries(
            service=SERVICE, purpose=PURPOSE, limit=10
        )
        if one.body is not None and one.body.kind is EntryKind.KEY
    ]
    platform.close()
    assert ["begun", "done"] == [outcome for outcome, _ in acts]
    assert {"olga"} == {detail["officer"] for _, detail in acts if detail}
    assert {"1:active"} == {detail["states"] for _, detail in acts if detail}


def test_a_seal_that_the_ledger_knows_of_is_not_adopted_away(
    own: Shell,
) -> None:
    """Whoever removes the seal gets no new one over what they wrote."""
    own("keys", "rotate")
    unsealed(own)

    assert "the ledger knows" in own("keys", "adopt", "--yes").line()


def test_states_that_change_while_they_are_shown_are_not_sealed(
    own: Shell,
) -> None:
    """What is sealed is what the officer saw."""
    unsealed(own)

    def first(platform: Platform) -> None:
        shown = platform.keys_desk.unsealed()
        with platform.keys.begin() as conn:
            conn.execute(update(KEK).values(suspended_at=7))
        platform.keys_desk.adopt("o", shown)

    with pytest.raises(AdoptionRefused, match="changed"):
        bootstrap(read_settings(own.home), costs=CHEAP, first=first)
    assert "curtilage keys adopt" in own("keys", "status").line()


def test_one_process_changes_keys_at_a_time(own: Shell) -> None:
    """A job elsewhere refuses another, not a look; killed, it blocks none."""
    platform = bootstrap(read_settings(own.home), costs=CHEAP)
    code = (
        "import fcntl, sys, time\n"
        "held = open(sys.argv[1], 'w')\n"
        "fcntl.flock(held, fcntl.LOCK_EX)\n"
        "print('held', flush=True)\n"
        "time.sleep(600)\n"
    )
    other = subprocess.Popen(
        [sys.executable, "-c", code, str(own.home / "keys.lock")],
        stdout=subprocess.PIPE,
    )
    assert other.stdout is not None
    with other, other.stdout as said:
        said.readline()
        for act in ("rotate", "rewrap", "compromise 1", "destroy 1"):
            line = own("keys", *act.split()).line()
            assert "another process changes its keys" in line
        assert {1: "active"} == states(own)
        other.kill()
    platform.close()
    assert 0 == own("keys", "rotate").code
