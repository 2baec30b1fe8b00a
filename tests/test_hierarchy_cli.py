"""Hierarchies are looked at before they are used, and built as tables."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from anonymize import (
    InvalidRows,
    InvalidSpec,
    TableHierarchy,
    ValueNotCovered,
    count_values,
    hierarchy_csv,
    preview_levels,
    read_hierarchy,
)
from api.cli.main import build

SPEC = """
recipient: office
k: 2
columns:
  age: {role: quasi, hierarchy: {intervals: {low: 0, high: 99,
        widths: [10]}}}
  x: {role: sensitive}
"""
RULE = "{intervals: {low: 0, high: 99, widths: [10]}}"


def people(folder: Path) -> Path:
    """Write rows and the specification."""
    path = folder / "people.csv"
    path.write_text("age,x\n31,flu\n31,gout\n47,flu\n,flu\n", "utf-8")
    (folder / "spec.yaml").write_text(SPEC, "utf-8")
    return path


def test_preview_counts_labels_and_the_rarest(tmp_path: Path) -> None:
    """By hand: two ages and a missing one, then two tens, then all."""
    source = people(tmp_path)
    done = CliRunner().invoke(
        build(),
        ["hierarchy", "preview", "--input", str(source), "--spec",
         str(tmp_path / "spec.yaml"), "--json"],
    )  # fmt: skip
    assert 0 == done.exit_code, done.output
    levels = json.loads(done.stdout)["levels"]
    assert [(0, 3, 1), (1, 3, 1), (2, 1, 4)] == [
        (each["level"], each["labels"], each["rarest"]) for each in levels
    ]
    assert "1.0000" == levels[2]["penalty"]
    assert f"{(3 * 9 / 99) / 4:.4f}" == levels[1]["penalty"]


def test_what_is_built_is_a_hierarchy(tmp_path: Path) -> None:
    """The table reads back with the labels of the rule."""
    source = people(tmp_path)
    out = tmp_path / "age.csv"
    asked = [
        "hierarchy", "build", "--input", str(source), "--column", "age",
        "--rule", RULE, "--out", str(out), "--json",
    ]  # fmt: skip
    done = CliRunner().invoke(build(), asked)
    assert 0 == done.exit_code, done.output
    found = TableHierarchy.from_file(out)
    assert ("47", "40-49", "*") == found.path("47")
    assert 2 == found.leaves
    again = CliRunner().invoke(build(), asked)
    assert 0 != again.exit_code


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A value outside the rule, no such column, no such rule."""
    source = people(tmp_path)
    rule = read_hierarchy(
        RULE.replace("99", "40").encode(), where="age", folder=tmp_path
    )
    counts = count_values(source, "age", delimiter=",")
    assert {"31": 2, "47": 1, "": 1} == counts
    for look in (preview_levels, hierarchy_csv):
        with pytest.raises(ValueNotCovered, match="1 row"):
            look("age", rule, counts)
    with pytest.raises(InvalidRows, match="lacks"):
        count_values(source, "gone", delimiter=",")
    with pytest.raises(InvalidSpec):
        read_hierarchy(b"{rule: of thumb}", where="age", folder=tmp_path)
