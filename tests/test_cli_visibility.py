"""`curtilage ledger review`, `visibility` and `clock`, as they are typed."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from api.bootstrap import wall_clock
from consent import load_yaml
from tests.test_cli import Shell, _clean
from tests.test_visibility import DAY, POLICE, inquiry
from tests.worlds import World, build_world, publish

__all__ = ["_clean"]
LAW = "Inquiries Act, section 4"
SEALED = ("--class", "sealed", "--days", "30", "--law", LAW)
INQUIRY = ("police", "investigation")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance where the police have declared an investigation."""
    with build_world(tmp_path / "home") as made:
        publish(made.platform, load_yaml(POLICE.encode(), where="police.yml"))
        yield made


@pytest.fixture
def shell(world: World) -> Shell:
    """The command line at it."""
    return Shell(home=world.home, cast=dict(world.cast))


def seal(shell: Shell) -> int:
    """Let two officers put a rule about the investigation into force."""
    said = shell(
        *("ledger", "visibility", "propose", *INQUIRY, *SEALED),
        *("--as", "ann", "--json"),
    )
    number: int = said.document()["number"]
    arguments = ("ledger", "visibility", "confirm", number, "--as", "bea")
    assert 0 == shell(*arguments).code
    return number


def ask(world: World) -> int | None:
    """Let the police ask about a person; return the entry's index."""
    world.clock.now = wall_clock()
    gate = world.platform.gate
    return world.run(gate.disclose(inquiry(world, "consenting"))).ledger_index


def test_a_rule_takes_two_officers(shell: Shell) -> None:
    """Who proposed it confirms nothing; the other does, and only once."""
    arguments = ("ledger", "visibility")
    said = shell(*(*arguments, "propose", *INQUIRY, *SEALED, "--as", "ann"))
    assert 0 == said.code
    assert "curtilage ledger visibility confirm 1" in said.out

    same = shell(*arguments, "confirm", 1, "--as", "ann")
    assert "separation_of_duties" in same.line()
    (proposed,) = shell(*arguments, "list", "--json").document()["rules"]
    other = shell(*arguments, "confirm", 1, "--as", "bea", "--json")
    (confirmed,) = shell(*arguments, "list", "--json").document()["rules"]
    twice = shell(*arguments, "confirm", 1, "--as", "bea")

    assert {"number": 1, "state": "confirmed"} == other.document()
    assert "proposed" == proposed["state"]
    assert {**proposed, "state": "confirmed"} == confirmed
    assert [*INQUIRY, "sealed", 30, LAW] == [
        confirmed[name]
        for name in ("service", "purpose", "class", "days", "law")
    ]
    assert "no proposed rule 1" in twice.line()
    assert LAW in shell(*arguments, "list").out


def test_what_asks_for_consent_is_not_withheld(shell: Shell) -> None:
    """The service that people are asked about has no such rule."""
    said = shell(
        *("ledger", "visibility", "propose"),
        *("moving-house", "address-change", *SEALED),
    )

    assert "asks people for consent" in said.line(2)
    listed = shell("ledger", "visibility", "list", "--json").document()
    assert [] == listed["rules"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--class", "sealed", "--law", LAW), "for 1 to"),
        (("--class", "delayed", "--days", "9", "--law", " "), "name the law"),
        (("--class", "lifted", "--days", "9", "--law", LAW), "immediate"),
        ((*SEALED, "--basis", "consent"), "not consent"),
    ],
)
def test_an_unsound_rule_is_one_line(
    shell: Shell, options: tuple[str, ...], said: str
) -> None:
    """It says what is missing; nothing is proposed."""
    refused = shell("ledger", "visibility", "propose", *INQUIRY, *options)

    assert said in refused.line(2)


def test_an_entry_is_extended_and_lifted(shell: Shell, world: World) -> None:
    """The queue names it by an id; extending moves it, lifting ends it."""
    number, review = seal(shell), ("ledger", "review")
    index = ask(world)
    (held,) = shell(*review, "list", "--json").document()["withheld"]
    one = held["id"]

    assert [*INQUIRY, "sealed", number, False, 0] == [
        held[name]
        for name in (
            *("service", "purpose", "class", "rule", "overdue", "extended"),
        )
    ]
    assert str(world.cast["consenting"]) not in str(held)
    because = ("--because", "inquiry continues")
    early = shell(*review, "extend", one, "--until", held["due"], *because)
    assert "after" in early.line()
    longer = shell(
        *(*review, "extend", one, "--until", "2199-01-31", *because, "--json")
    )
    assert {"id": one, "due": "2199-01-31"} == longer.document()
    unexplained = shell(*review, "lift", one, "--because", " ")
    assert unexplained.line()
    (held,) = shell(*review, "list", "--json").document()["withheld"]
    assert ["2199-01-31", 1] == [held["due"], held["extended"]]

    lifted = shell(*review, "lift", one, "--because", "closed", "--json")
    again = shell(*review, "lift", one, "--because", "closed")

    assert {"id": one, "index": index, "class": "lifted"} == lifted.document()
    assert "disclosed already" in again.line()
    found = shell(*review, "list", "--json").document()
    assert [] == found["withheld"]
    assert 0 == shell("ledger", "verify").code


def test_an_instance_whose_clock_was_ahead_starts_again(
    shell: Shell, world: World
) -> None:
    """Every command is refused but the one that says so, with a reason."""
    world.clock.now = wall_clock() + 30 * DAY
    world.platform.registrar.admit_now([], source="wrong clock")
    world.platform.ledger.checkpoint()
    assert "set the clock" in shell("ledger", "review", "list").line()
    refused = shell("ledger", "clock", "--because", " ")
    assert refused.line()
    assert "set the clock" in shell("ledger", "review", "list").line()

    before = wall_clock()
    said = shell("ledger", "clock", "--because", "time server", "--json")

    assert before <= said.document()["latest"] <= wall_clock()
    assert 0 == shell("ledger", "review", "list").code
    assert 0 == shell("ledger", "verify").code
