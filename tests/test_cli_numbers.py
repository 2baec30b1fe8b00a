"""`curtilage numbers`: ask, ask again, and run out."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from tests.worlds import build_world

DATASET = ("statistics-office", "population-statistics")
HISTOGRAM = (
    *("numbers", "ask", *DATASET, "--recipient", "statistics-office"),
    *("--kind", "histogram", "--column", "user.gender"),
    *("--key", "female", "--key", "male", "--key", "other"),
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An instance with its cast."""
    made = tmp_path_factory.mktemp("numbers") / "home"
    with build_world(made):
        return made


def say(home: Path, *words: str, code: int = 0) -> tuple[str, str]:
    """Run one command; return what it printed, and its errors."""
    said = CliRunner().invoke(build(), ["--home", str(home), *words])
    assert code == said.exit_code, said.output
    return said.stdout, said.stderr


def test_numbers_come_with_their_error_bars(home: Path) -> None:
    """A table for people, JSON for machines, the same answer in both."""
    table, _ = say(home, *HISTOGRAM, "--epsilon", "0.5")
    again, _ = say(home, *HISTOGRAM, "--epsilon", "1/2", "--json")
    answer = json.loads(again)

    assert "give or take" in table
    assert "This cost epsilon 0.5000 at delta 1e-06." in table
    assert answer["again"]
    assert (
        {*answer["cells"]}
        == {"female", "male", "other"}
        == {*answer["errors"]}
    )
    for value in answer["cells"].values():
        assert f"{value:g}" in table


def test_what_is_spent_is_shown_and_ends(home: Path) -> None:
    """The budget is listed; when it is used up the command says until when."""
    say(home, *HISTOGRAM, "--epsilon", "0.4")
    shown, _ = say(home, "numbers", "budget", *DATASET, "--json")
    (row,) = json.loads(shown)["spent"]
    _, error = say(home, *HISTOGRAM, "--epsilon", "0.9", code=1)

    assert row["recipient"] == "statistics-office"
    assert 0.4 <= row["epsilon"] < 1
    assert "used up; this can be asked again from 20" in " ".join(
        error.split()
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--epsilon", "much"), "--epsilon: a number such as 0.1"),
        (("--epsilon", "0.1", "--where", "x"), "--where: ATTRIBUTE=VALUE"),
        (("--epsilon", "0.1", "--low", "1"), "low and high are of a sum"),
        (("--epsilon", "0.1", "--low", "0", "--high", "9", "--step", "0"),
         "--step: above 0"),
    ],
)  # fmt: skip
def test_what_was_asked_wrongly_is_said(
    home: Path, words: tuple[str, ...], said: str
) -> None:
    """The option is named, and what to write instead."""
    _, error = say(home, *HISTOGRAM, *words, code=2)

    assert said in " ".join(error.split())
