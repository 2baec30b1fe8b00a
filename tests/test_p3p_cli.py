"""The commands about P3P: lint, show, compact, write, evaluate, import."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import build

APPEL = (
    '<appel:RULESET> <appel:RULE behavior="block"><POLICY><STATEMENT>'
    '<PURPOSE appel:connective="or"><contact/></PURPOSE></STATEMENT></POLICY>'
    '</appel:RULE><appel:RULE behavior="request"/><appel:OTHERWISE/>'
    "</appel:RULE></appel:RULESET>"
)
POLICY = (
    '<POLICIES xmlns="http://www.w3.org/2002/01/P3Pv1"><POLICY name="p">'
    "<STATEMENT><PURPOSE><contact required='opt-out'/></PURPOSE><RECIPIENT>"
    "<ours/></RECIPIENT><RETENTION><no-retention/></RETENTION><DATA-GROUP>"
    '<DATA ref="#user.bdate" optional="yes"/></DATA-GROUP></STATEMENT>'
    "</POLICY></POLICIES>"
)
DEMO = Path(__file__).parents[1] / "api/demo/declarations/library.yaml"


def run(*arguments: object, code: int = 0) -> Any:  # noqa: ANN401 - whatever was printed
    """Run a command as JSON."""
    found = CliRunner().invoke(build(), [*map(str, arguments), "--json"])
    assert code == found.exit_code, (found.stdout, found.stderr)
    return json.loads(found.stdout)


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy in a file whose name says nothing."""
    path = tmp_path / "policy.v2"
    path.write_text(POLICY, "utf-8")
    return path


def test_a_policy_is_linted_leniently_and_strictly(policy: Path) -> None:
    """All findings, or the first breach and exit 2."""
    said = run("declaration", "lint", policy)
    assert said["read"]
    assert {"no-access", "no-entity", "no-discuri", "no-opturi"} == {
        f["code"] for f in said["findings"]
    }
    refused = run("declaration", "lint", policy, "--strict", code=2)
    assert not refused["read"]
    (finding,) = refused["findings"]
    assert (1, "error") == (finding["line"], finding["severity"])


def test_a_policy_is_shown_as_tuples(policy: Path) -> None:
    """Attribute, purpose, recipient, retention, required, optional."""
    said = run("declaration", "show", policy)
    (flow,) = said["flows"]
    assert {
        "attribute": "user.bdate",
        "purpose": "contact",
        "recipient": "ours",
        "retention": "no-retention",
        "required": "opt-out",
        "optional": True,
    }.items() <= flow.items()
    assert "p" == said["policies"][0]["name"]


def test_compact_policies_are_made_compared_and_linted(policy: Path) -> None:
    """Drift is reported in both directions."""
    (said,) = run(
        "declaration", "compact", policy, "--against", "NOI CONo OUR"
    )["policies"]
    assert "CONo OUR NOR DEM" == said["compact"]
    assert (["NOR", "DEM"], ["NOI"]) == (
        said["policy_only"],
        said["compact_only"],
    )
    assert run("compact", "lint", 'CP="NOI CONo OUR"')["valid"]
    assert not run("compact", "lint", "nonsense", code=2)["valid"]


def test_yaml_is_written_as_p3p_and_read_again(tmp_path: Path) -> None:
    """The same flows, access as the operator says."""
    xml = run("declaration", "write", DEMO, "--access", "all")["xml"]
    path = tmp_path / "written.xml"
    path.write_text(xml, "utf-8")
    before = run("declaration", "show", DEMO)["flows"]
    shown = run("declaration", "show", path)
    assert "all" == shown["policies"][0]["access"]
    keys = ("attribute", "purpose", "recipient", "retention", "optional")
    assert {tuple(f[k] for k in keys) for f in before} == {
        tuple(f[k] for k in keys) for f in shown["flows"]
    }


def test_a_rule_set_is_evaluated_and_taken_over(
    policy: Path, tmp_path: Path
) -> None:
    """As printed, mended, with each repair listed; strictly refused."""
    rules = tmp_path / "rules.txt"
    rules.write_text(APPEL, "utf-8")
    said = run("preferences", "evaluate", rules, policy)
    assert ("block", 1, True) == (
        said["behavior"],
        said["rule"],
        said["understood"],
    )
    assert {"self-closed-rule", "prefix-undeclared"} == {
        f["code"] for f in said["findings"]
    }
    assert "request" == run("preferences", "evaluate", rules, DEMO)["behavior"]
    found = run("preferences", "import", rules)["preferences"]
    assert ["refuse", "allow"] == [r["behavior"] for r in found["rules"]]
    strict = CliRunner().invoke(
        build(),
        ["preferences", "evaluate", str(rules), str(policy), "--strict"],
    )
    assert 2 == strict.exit_code
    assert "not XML" in strict.stderr


def test_a_policy_that_is_not_understood_is_marked(
    policy: Path, tmp_path: Path
) -> None:
    """It is evaluated, and nobody may act on it."""
    rules = tmp_path / "rules.txt"
    rules.write_text(APPEL, "utf-8")
    policy.write_text(
        POLICY.replace(
            "</STATEMENT>",
            '<EXTENSION optional="no"><x/></EXTENSION></STATEMENT>',
        ),
        "utf-8",
    )
    said = run("preferences", "evaluate", rules, policy)
    assert ("block", False) == (said["behavior"], said["understood"])
