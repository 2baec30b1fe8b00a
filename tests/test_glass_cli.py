"""`curtilage glass`, as it is typed."""

import json

import pytest

from tests.test_cli import Shell, _clean, made
from tests.worlds import BIRTH

__all__ = ["_clean"]


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An instance with its cast, by the machine's own clock."""
    return made(tmp_path_factory.mktemp("glass") / "home")


def request(shell: Shell, name: str, case: str, who: str = "ann") -> str:
    """Ask as one officer; return the grant's id."""
    said = shell(
        *("glass", "request", shell.cast[name], "--attribute", BIRTH),
        *("--purpose", "emergency-care", "--because", "found unconscious"),
        *("--case", case, "--as", who, "--json"),
    )
    found: str = said.document()["id"]
    return found


def test_the_whole_way(shell: Shell) -> None:
    """Requested, opened, approved by another, listed, ended, closed."""
    grant = request(shell, "silent", "dispatch-1")
    shown = shell(
        *("glass", "open", grant, shell.cast["silent"], "--attribute", BIRTH),
        *("--purpose", "emergency-care", "--as", "ann"),
    )
    assert 0 == shown.code
    assert "1972-01-01" in shown.out

    own = shell("glass", "approve", grant, "--as", "ann")
    assert "separation_of_duties" in own.line()
    assert 0 == shell("glass", "approve", grant, "--as", "bea").code
    [row] = shell("glass", "list", "--json").document()["grants"]
    assert ("approved", "bea", 1) == (
        row["state"],
        row["approver"],
        row["uses"],
    )
    assert "dispatch-1" not in json.dumps(row)
    look = ("glass", "show", grant, "--because", "a complaint", "--json")
    told = shell(*look).document()
    assert ("dispatch-1", "found unconscious") == (
        told["case"],
        told["reason"],
    )

    ended = shell("glass", "end", grant, "--because", "over", "--as", "ann")
    assert 0 == ended.code
    again = shell("glass", "end", grant, "--because", "over", "--as", "ann")
    assert "has ended" in again.line()
    listed = shell("glass", "alerts", "--json").document()["alerts"]
    assert ["granted", "opened"] == [one["kind"] for one in listed]
    for one in listed:
        close = ("glass", "close", one["id"], "--because", "asked the doctor")
        assert 0 == shell(*close, "--as", "bea").code
    assert [] == shell("glass", "alerts", "--json").document()["alerts"]
    closed = shell("glass", "alerts", "--closed", "--json").document()
    assert ["bea", "bea"] == [one["closed"] for one in closed["alerts"]]


def test_what_is_refused_says_why(shell: Shell) -> None:
    """A purpose that does not permit it, and a case that came before."""
    said = shell(
        *("glass", "request", shell.cast["limited"], "--attribute", BIRTH),
        *("--purpose", "address-change", "--because", "curious"),
        *("--case", "none", "--as", "cid"),
    )
    assert "glass_purpose" in said.line()
    listed = shell("glass", "list", "--refused", "--json").document()
    [row] = [
        one for one in listed["grants"] if one["purpose"] == "address-change"
    ]
    assert ("refused", "", "cid") == (
        row["state"],
        row["person"],
        row["officer"],
    )
    request(shell, "limited", "dispatch-2", "cid")
    again = shell(
        *("glass", "request", shell.cast["limited"], "--attribute", BIRTH),
        *("--purpose", "emergency-care", "--because", "found unconscious"),
        *("--case", "dispatch-2", "--as", "cid"),
    )
    assert "in this case" in again.line(2)
