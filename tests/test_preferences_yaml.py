"""Preferences in files, their words, and `curtilage preferences explain`."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from typer.testing import CliRunner

from api.cli.main import build
from consent import (
    PRESETS,
    Behavior,
    Preferences,
    PreferencesInvalid,
    Rule,
    Terms,
    explain_declaration,
    load_preferences,
    load_yaml,
    rule_text,
)
from tests.parts import ROOT
from tests.test_matching import preference_sets
from tests.worlds import STATISTICS

MOVING = ROOT / "api/demo/declarations/moving-house.yaml"
MINE = """
rules:
  - id: no-admin
    behavior: refuse
    purposes: [admin]
  - id: month
    behavior: limit
    level: 2
    attributes: [user.home-info.postal.street]
    terms: {times: 1, days: 30, until: 2030-01-01, paused: false}
  - {id: rest, behavior: allow}
"""


def test_a_file_says_what_the_rules_are() -> None:
    """Every key is read to its condition."""
    found = load_preferences(MINE.encode(), where="mine.yaml")
    assert [rule.id for rule in found.rules] == ["no-admin", "month", "rest"]
    assert found.rules[1].terms == Terms(times=1, days=30, until=1893456000)
    assert found.rules[1].behavior is Behavior.LIMIT


def test_a_preset_is_named() -> None:
    """`preset: careful` stands for its rules."""
    found = load_preferences(b"preset: careful", where="mine.yaml")
    assert PRESETS["careful"] == found


@given(preferences=preference_sets().filter(lambda one: one.rules))
def test_what_is_stored_is_a_file_too(preferences: Preferences) -> None:
    """The canonical JSON of rules is read back as the same rules."""
    again = load_preferences(preferences.text().encode(), where="stored.json")
    assert preferences.digest == again.digest


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("rules: []", "mine.yaml:1:8: "),
        ("preset: none-such", "mine.yaml:1:9: no such preset"),
        ("rules:\n- {id: a}", "mine.yaml:2:3: the key 'behavior' is missing"),
        (
            "rules:\n- {id: a, behavior: shrug}",
            "mine.yaml:2:21: 'shrug' is not a Behavior",
        ),
        (
            "rules:\n- {id: a, behavior: limit}",
            "mine.yaml:2:3: rule a: a limit has a level",
        ),
        (
            "rules:\n- {id: a, behavior: allow, attributes: [user.bdat]}",
            "mine.yaml:2:41: no element is called 'user.bdat'; did you mean",
        ),
        (
            "rules:\n- {id: a, behavior: allow, terms: {times: 1}}",
            "mine.yaml:2:3: terms name",
        ),
        (
            "rules:\n- {id: a, behavior: allow, terms: {until: soon}}",
            "mine.yaml:2:43: a day is expected here",
        ),
        ("rules: [*a]", "mine.yaml:1:9: "),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, place: str) -> None:
    """File, line, column, what is wrong and what to do."""
    with pytest.raises(PreferencesInvalid) as told:
        load_preferences(text.encode(), where="mine.yaml")
    assert str(told.value).startswith(place)
    assert "; " in str(told.value)


def test_rules_are_told_in_words() -> None:
    """A rule of every kind is a sentence in both languages."""
    [_, month, rest] = load_preferences(MINE.encode(), where="m").rules
    assert rule_text(month, "en") == (
        "Allow in a less precise form (level 2): this data: street and"
        " number; until 2030-01-01; each service at most once in 30 days"
    )
    assert rule_text(month, "zh-Hans") == (
        "仅允许以较不精确的形式（第2级）：以下信息：街道门牌；"
        "至2030-01-01止；每项服务在30天内最多1次"
    )
    assert rule_text(rest, "en") == "Allow: everything else"
    more = replace(month.terms, times=3, days=1, uses=2, delete_days=1)
    assert rule_text(replace(month, terms=more), "en").endswith(
        "; each service at most 3 times in 1 day; each service at most 2"
        " times in all; if they promise to delete it within 1 day"
    )
    telecom = Rule(
        id="no",
        behavior=Behavior.REFUSE,
        attributes=frozenset({"user.home-info.telecom"}),
    )
    assert rule_text(telecom, "en") == "Refuse: this data: telephone and fax"
    assert rule_text(telecom, "zh-Hans") == "拒绝：以下信息：电话及传真"


@given(preferences=preference_sets())
def test_no_word_of_a_rule_is_left_untold(preferences: Preferences) -> None:
    """Two rules that differ in a condition are told differently."""
    told: dict[str, Rule] = {}
    for rule in preferences.rules:
        text = rule_text(rule, "en")
        same = told.setdefault(text, rule)
        for name in ("attributes", "purposes", "recipients", "terms"):
            assert getattr(same, name) == getattr(rule, name)


def run(tmp_path: Path, *arguments: str) -> str:
    """Run `preferences explain` and return what it says."""
    mine = tmp_path / "mine.yaml"
    mine.write_text(MINE, "utf-8")
    said = CliRunner().invoke(
        build(),
        [
            *("preferences", "explain", "--preferences", str(mine)),
            *("--declaration", str(MOVING), *arguments),
        ],
    )
    assert said.exit_code == 0, said.output
    return said.output


def test_explain_names_verdict_rule_change_and_sentence(
    tmp_path: Path,
) -> None:
    """All four, as JSON."""
    found = json.loads(run(tmp_path, "--json"))
    address, check = found["declarations"][0]["statements"]
    assert (address["verdict"], address["rule"]) == ("limit", "month")
    assert [one["kind"] for one in address["changes"]] == ["drop-data"]
    assert check["verdict"] == "refuse"
    assert check["rule"] == "no-admin"
    assert check["binding"]
    assert check["changes"][0]["kind"] == "drop-statement"
    terms = {one["attribute"]: one["terms"] for one in address["attributes"]}
    assert terms["user.home-info.postal.street"] == ["month", "rest"][:1]


def test_what_rests_on_law_is_told_and_not_decided() -> None:
    """Rules that object to a public task are heard, and bind nobody."""
    [one] = explain_declaration(
        Preferences(rules=(Rule(id="no", behavior=Behavior.REFUSE),)),
        load_yaml(STATISTICS.encode(), where="statistics"),
        "en",
    )
    assert one.behavior is Behavior.REFUSE
    assert not one.binding
    assert (
        "Your rules do not decide about this: it rests on a public task."
        in one.sentences
    )


def test_explain_speaks_to_people_in_both_languages(tmp_path: Path) -> None:
    """The sentences name the element and the rule."""
    assert "street and number" in run(tmp_path)
    assert "街道门牌" in run(tmp_path, "--lang", "zh-Hans")


def test_explain_reads_p3p(tmp_path: Path) -> None:
    """A P3P file is explained like one of ours."""
    mine = tmp_path / "mine.json"
    mine.write_text(PRESETS["careful"].text(), "utf-8")
    policy = tmp_path / "policy.xml"
    policy.write_text(
        '<POLICY xmlns="http://www.w3.org/2002/01/P3Pv1" name="p"'
        ' discuri="http://example.org/p"><ENTITY><DATA-GROUP>'
        '<DATA ref="#business.name">Town</DATA></DATA-GROUP></ENTITY>'
        "<ACCESS><all/></ACCESS><STATEMENT><PURPOSE><telemarketing/>"
        "</PURPOSE><RECIPIENT><unrelated/></RECIPIENT><RETENTION>"
        "<indefinitely/></RETENTION><DATA-GROUP>"
        '<DATA ref="#user.bdate"/></DATA-GROUP></STATEMENT></POLICY>',
        "utf-8",
    )
    said = CliRunner().invoke(
        build(),
        [
            *("preferences", "explain", "--preferences", str(mine)),
            *("--declaration", str(policy), "--json"),
        ],
    )
    assert said.exit_code == 0, said.output
    [declared] = json.loads(said.output)["declarations"]
    [one] = declared["statements"]
    assert one["verdict"] == "refuse"
    assert {each["kind"] for each in one["changes"]} == {
        "offer-choice",
        "shorten-retention",
        "drop-recipient",
    } or one["changes"]


def test_explain_tells_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    """One line with the place, and the exit code of wrong input."""
    mine = tmp_path / "mine.yaml"
    mine.write_text("rules: {}", "utf-8")
    said = CliRunner().invoke(
        build(),
        [
            *("preferences", "explain", "--preferences", str(mine)),
            *("--declaration", str(MOVING)),
        ],
    )
    assert said.exit_code == 2
    assert "mine.yaml:1:8" in said.output
