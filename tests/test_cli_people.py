"""`curtilage officer find` and `curtilage officer dispute`."""

import json
from pathlib import Path

from typer.testing import CliRunner

from api.cli.main import build
from tests.worlds import CITY, build_world

CARD = "user.identifier.card"


def run(home: Path, *words: str, code: int = 0, **env: str) -> dict:
    """Run one command of an officer and read what it printed."""
    said = CliRunner().invoke(
        build(), ["--home", str(home), *words, "--json"], env=env
    )
    assert code == said.exit_code, said.output
    return json.loads(said.stdout) if said.stdout else {}


def test_people_are_found_and_disputes_are_kept(tmp_path: Path) -> None:
    """From the card to the dispute, its mark in the view, and its end."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = str(world.cast["consenting"])
    secret = {"CURTILAGE_IDENTIFIER": "C-7"}
    run(home, "vault", "link", who, CARD, **secret)
    look = ("officer", "find", "--attribute", CARD, "--because", "lost")
    found = run(home, *look, **secret)
    assert ([who], 1) == (found["subjects"], found["count"])
    assert 0 == run(home, *look, "--value", "C-8")["count"]
    run(home, *look, "--prefix", "C", code=2)

    at = ("--attribute", CITY)
    made = [
        run(
            home,
            *("officer", "dispute", "enter", who, *at),
            *("--statement", f"Not so {n}."),
        )["dispute"]
        for n in range(2)
    ]
    see = ("officer", "view", who, *at, "--because", "asked")
    (row,) = run(home, *see)["values"]
    assert [f"{one} open: Not so {n}." for n, one in enumerate(made)] == row[
        "disputed"
    ].split("; ")
    run(home, "officer", "dispute", "withdraw", who, made[0], *at)
    run(
        home,
        *("officer", "dispute", "resolve", who, made[1], *at),
        *("--outcome", "confirmed"),
    )
    (row,) = run(home, *see)["values"]
    assert f"{made[1]} confirmed: Not so 1." == row["disputed"]
    run(home, "officer", "dispute", "withdraw", who, made[0], *at, code=1)
