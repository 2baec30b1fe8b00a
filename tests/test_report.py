"""The report of a release."""

import json

import pytest

from anonymize import Basis, ReleaseReport, measure_risks
from anonymize.attacks import Rate
from anonymize.crossing import Pair, crossing_effect
from anonymize.report import ColumnReport, decimal
from anonymize.trials import Guesses, Trials


def a_report(**changes: object) -> ReleaseReport:
    """Build a report by hand: 12 rows in, classes of 5 and 6 out."""
    values: dict[str, object] = {
        "purpose": "commuting-study",
        "recipient": "statistics-office",
        "columns": (
            ColumnReport(name="name", role="direct", treatment="left out"),
            ColumnReport(name="age", role="quasi", treatment="generalized"),
        ),
        "k": 5,
        "l": 2,
        "allowed": 1,
        "rows_in": 12,
        "rows_out": 11,
        "k_reached": 5,
        "l_reached": 3,
        "class_sizes": (5, 6),
        "ncp": 0.25,
        "alone": 4,
        "mentions": {"PERSON": 7},
        "risks": measure_risks([5, 6]),
    }
    return ReleaseReport(**(values | changes))  # type: ignore[arg-type] - by hand


def test_the_json_has_what_an_officer_is_told() -> None:
    """Purpose, recipient, roles, criteria, rows, risk and what is left."""
    found = json.loads(a_report().to_json())

    assert ("commuting-study", "statistics-office", "de-identified") == (
        found["purpose"],
        found["recipient"],
        found["status"],
    )
    assert {"k": 5, "l": 2, "allowed": 1} == found["asked"]
    assert {"k": 5, "l": 3} == found["reached"]
    assert {"in": 12, "out": 11, "suppressed": 1} == found["rows"]
    assert {
        "ncp": "0.250000",
        "classes": 2,
        "mean_class": "5.500000",
        "discernibility": 25 + 36 + 12,
        "columns": [],
    } == found["utility"]
    assert "0.200000" == found["risk"]["prosecutor"]["highest"]
    assert [{"size": "5-9", "classes": 2, "rows": 11}] == found["class_sizes"]
    assert found["residual_risk"].startswith(
        "This extract is de-identified, not anonymous."
    )


def test_the_text_has_the_same_figures() -> None:
    """Whoever reads the Markdown reads what the JSON says."""
    text = a_report().to_markdown()
    for line in (
        "| k asked, reached | 5, 5 |",
        "| l asked, reached | 2, 3 |",
        "| rows suppressed | 1 (8.33%) |",
        "| mean class size | 5.50 |",
        "| NCP (0 exact, 1 nothing left) | 0.2500 |",
        "| labels in text | PERSON 7 |",
        "| name | direct | left out |",
        "| 5-9 | 2 | 11 |",
        "| prosecutor | 0.2000 | 0.1818 | 0.1667 | 0.00% |",
        "de-identified, not anonymous",
    ):
        assert line in text


def test_the_word_anonymous_is_not_claimed() -> None:
    """The only use of the word is to say that it does not apply."""
    text = a_report().to_markdown()
    assert text.count("anonymous") == text.count("not anonymous") == 1


def test_labels_cannot_be_markup() -> None:
    """A column name cannot break the table or bring in a link."""
    column = ColumnReport(
        name="a|b\n[x](http://x) <img>", role="other", treatment="as it was"
    )
    text = a_report(columns=(column,)).to_markdown()
    line = next(line for line in text.splitlines() if "as it was" in line)
    expected = r"| a\|b \[x\](http://x) \<img\> | other | as it was |"
    assert expected == line


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0.000000"),
        (1.0, "1.000000"),
        (1 / 3, "0.333333"),
        (12.5, "12.500000"),
        (1e-9, "0.000000"),
    ],
)
def test_ratios_are_decimal_text(share: float, text: str) -> None:
    """Six places and no exponent."""
    assert text == decimal(share)


TRIALS = Trials(
    seed="ab",
    alone=0,
    alone_over_all=3,
    bound=0.2,
    linkage=Rate(successes=1.5, attempts=11),
    members=Rate(successes=11, attempts=11),
    control=Rate(successes=7, attempts=10),
    guesses=(
        Guesses(
            column="illness",
            members=Rate(successes=6, attempts=11),
            control=Rate(successes=5, attempts=10),
            naive=Rate(successes=4, attempts=11),
        ),
    ),
)


def test_attacks_are_stated_with_their_control() -> None:
    """Members, control, interval and gain; in both forms."""
    report = a_report(trials=TRIALS)
    found = json.loads(report.to_json())["attacks"]

    assert {"quasi_identifiers": 0, "all_columns": 3} == found["singling_out"]
    assert "0.200000" == found["linkage"]["bound"]
    assert 11 == found["membership"]["members"]["attempts"]
    assert "1.000000" == found["membership"]["gain"]
    assert found["membership"]["beyond_control"] is False
    assert "0.090909" == found["inference"][0]["gain"]
    assert "| membership |" in report.to_markdown()
    none = json.loads(a_report(untried="too large").to_json())["attacks"]
    assert {"untried": "too large"} == none


def test_recipients_get_no_exact_figure_of_attacks_or_differences() -> None:
    """Shares in hundredths; no counts, no differences, nobody left out."""
    pair = Pair(
        sizes={0: 8}, before=[0] * 6, now=[0] * 6, release="one to other"
    )
    effect = crossing_effect(pair, 5)
    report = a_report(
        trials=TRIALS,
        crossings=(effect,),
        basis=Basis(stated={"Policies": "b"}, counted={"left out": 41}),
    )
    shown = a_report(
        trials=TRIALS,
        crossings=(effect,),
        basis=Basis(stated={"Policies": "b"}),
        published_only=True,
    )

    officers = json.loads(report.to_json())
    assert [2] == [
        one["smallest_difference"]
        for one in officers["earlier_releases"]["effects"]
    ]
    assert 41 == officers["basis"]["counted"]["left out"]
    found = json.loads(shown.to_json())
    assert {"considered", "small"} == {*found["earlier_releases"]}
    assert {"share": "0.140000"} == found["attacks"]["linkage"]["members"]
    for key in ("successes", "attempts", "smallest", 'counted":{"'):
        assert key not in shown.to_json().decode()
    assert "one to other" not in shown.to_markdown()
