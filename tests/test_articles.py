"""Every rule has its article of law, and a lawyer can read the table."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from policy import LegalPackage, legal_packages, without_article
from tests.parts import ROOT

POLICIES = ROOT / "policies"
LAWS = {"GDPR", "PIPL"}


@pytest.fixture(scope="module")
def packages() -> list[LegalPackage]:
    """The product's own."""
    return legal_packages(POLICIES)


def test_no_rule_is_without_an_article(packages: list[LegalPackage]) -> None:
    """Its own, or that of the annotated rules that it helps."""
    assert [] == without_article(packages)
    rules = [rule for package in packages for rule in package.rules]
    assert len(rules) > 150
    for rule in rules:
        assert {law.split()[0] for law in rule.articles} <= LAWS


def test_every_package_says_what_it_is_and_who_answers(
    packages: list[LegalPackage],
) -> None:
    """Also those of what an OPA server answers and logs."""
    names = {package.name for package in packages}
    assert {"curtilage.disclosure", "curtilage.api", "system.log"} <= names
    for package in packages:
        assert package.title, package.name
        assert package.articles, package.name


SOURCE = """# METADATA
# title: A package
# custom:
#   owner: somebody
#   law: [GDPR 1]
package tried.out

# METADATA
# title: The decision
# entrypoint: true
# custom:
#   law: [GDPR 2]
decision := {"x": first, "y": lonely}

# METADATA
# title: The first
# description: >-
#   With a | in it, and <b>.
# custom:
#   law: [GDPR 3]
first if {
	helper("no_value")
}

# METADATA
# title: The second
# custom:
#   law: [GDPR 4]
second if deeper

helper(_) := 1 if deeper

helper(_) := 2 if {
	# consent_missing is only said here
	x := "restricted"
	x == "lonely"
}

deeper := 3

lonely := 4
"""


@pytest.fixture
def tried(tmp_path: Path) -> Path:
    """A folder of policies with a rule that serves nothing."""
    for part in ("tried/out.rego", "vocabulary/reasons.json"):
        (tmp_path / part).parent.mkdir()
    (tmp_path / "tried/out.rego").write_text(SOURCE, "utf-8")
    (tmp_path / "tried/out_test.rego").write_text("package x\n\ny := 1\n")
    (tmp_path / "vocabulary/reasons.json").write_bytes(
        (POLICIES / "vocabulary" / "reasons.json").read_bytes()
    )
    return tmp_path


def test_a_rule_that_serves_nothing_is_named(tried: Path) -> None:
    """What the decision alone uses has to say what it serves."""
    assert ["tried.out.lonely"] == without_article(legal_packages(tried))


def test_a_helper_serves_whom_it_helps(tried: Path) -> None:
    """The nearest annotated rules, and never the decision or the package."""
    [package] = legal_packages(tried)
    rules = {rule.name: rule for rule in package.rules}
    assert ("first",) == rules["helper"].helps
    assert ("GDPR 3",) == rules["helper"].articles
    assert ("first", "second") == rules["deeper"].helps
    assert ("GDPR 3", "GDPR 4") == rules["deeper"].articles
    assert ("helper", "deeper") == rules["first"].helpers
    assert "tried/out.rego:15" == rules["first"].place


def test_reasons_are_those_of_a_rule_and_its_helpers(tried: Path) -> None:
    """Texts of the rules, and not what comments say."""
    [package] = legal_packages(tried)
    rules = {rule.name: rule for rule in package.rules}
    assert ("no_value", "restricted") == rules["first"].codes
    assert ("provide_value", "lift_restriction") == rules["first"].remedies
    assert () == rules["second"].codes


def test_metadata_that_is_none_is_refused(tried: Path) -> None:
    """With its file and row."""
    path = tried / "tried" / "out.rego"
    path.write_text(SOURCE.replace("title: The first", "title: ["), "utf-8")
    with pytest.raises(ValueError, match=r"tried/out.rego:15"):
        legal_packages(tried)


def test_every_reason_is_given_by_some_rule(
    packages: list[LegalPackage],
) -> None:
    """So the table leaves none out, but those that the gate itself gives."""
    table = json.loads((POLICIES / "vocabulary/reasons.json").read_bytes())
    shown = {
        code
        for package in packages
        for rule in package.rules
        for code in rule.codes
    }
    vocabulary = (POLICIES / "vocabulary/data.json").read_text("utf-8")
    for one in table:
        assert one["code"] in shown or f'"{one["code"]}"' in vocabulary


class Tables(HTMLParser):
    """Counts what a page has, and whether all of it is closed."""

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.rows: list[int] = []
        self.texts: list[str] = []

    def handle_starttag(self, tag: str, _attrs: Any) -> None:  # noqa: ANN401 - of the parser
        """Count cells by row."""
        if tag == "tr":
            self.rows.append(0)
        elif tag in {"td", "th"}:
            self.rows[-1] += 1
        assert tag not in {"b", "script"}

    def handle_data(self, data: str) -> None:
        """Keep the texts."""
        self.texts.append(data)


def cli(*words: object) -> Any:  # noqa: ANN401 - of click
    """Run the command line."""
    return CliRunner().invoke(build(), ["policy", "doc", *map(str, words)])


def test_command_writes_markdown_html_and_json(
    tried: Path, tmp_path: Path
) -> None:
    """One table a package; what stands in the rules stays text."""
    said = cli("--source", tried)
    assert 0 == said.exit_code, said.output
    rows = [row for row in said.stdout.splitlines() if row.startswith("|")]
    assert 2 + 3 == len(rows)
    assert r"With a \| in it" in said.stdout
    page = tmp_path / "rules.html"
    assert 0 == cli("--format", "html", "--out", page).exit_code
    tables = Tables()
    tables.feed(page.read_text("utf-8"))
    assert {6} == set(tables.rows)
    assert "GDPR 5(2)" in " ".join(tables.texts)
    made = cli("--source", tried, "--format", "html")
    tables = Tables()
    tables.feed(made.stdout)
    assert "<b>" in " ".join(tables.texts)
    [package] = json.loads(cli("--source", tried, "--json").stdout)["packages"]
    assert "somebody" == package["owner"]


def test_the_table_of_the_product_is_whole(
    packages: list[LegalPackage],
) -> None:
    """Each annotated rule is a row of it, with its article."""
    said = cli().stdout
    rows = [row for row in said.splitlines() if row.startswith("|")]
    titled = [
        rule for package in packages for rule in package.rules if rule.title
    ]
    assert len(titled) + 2 * len(packages) == len(rows)
    for rule in titled:
        assert rule.articles[0] in said
