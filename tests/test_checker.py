"""The independent check."""

import ast
import datetime as dt
import importlib.util
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    CriteriaNotMet,
    Dates,
    Extract,
    ExtractSpec,
    ExtractTampered,
    Hierarchy,
    Intervals,
    Prefixes,
    Role,
    TableHierarchy,
    Terms,
    build_extract,
    check_bytes,
    check_folder,
    write_extract,
)
from anonymize.canonical import canonical_json, digest
from anonymize.csvfile import write_csv
from anonymize.files import descriptions

ROOT = Path(__file__).parents[1]
AGE = Intervals(low=0, high=99, widths=(5, 10))
TERMS = Terms(
    quasi=("age",),
    sensitive=("illness",),
    k=2,
    l=2,
    rows_in=4,
    allowed=0,
    delimiter=",",
)
GOOD = b"age,illness\n0-4,flu\n0-4,cold\n5-9,flu\n5-9,gout\n"


def test_what_is_found_is_told() -> None:
    """k, l, rows, sizes and the penalty by hand."""
    found = check_bytes(GOOD, TERMS, {"age": AGE.describe()})

    assert (2, 2, 4, 0, (2, 2)) == (
        found.k,
        found.l,
        found.rows,
        found.suppressed,
        found.class_sizes,
    )
    assert 4 / 99 == found.ncp
    assert digest(GOOD) == found.sha256


@pytest.mark.parametrize(
    ("data", "k", "diversity", "suppressed"),
    [
        (b"age,illness\n0-4,flu\n0-4,cold\n5-9,flu\n6,gout\n", 1, 1, 0),
        (b"age,illness\n0-4,flu\n0-4,flu\n5-9,flu\n5-9,gout\n", 2, 1, 0),
        (b"age,illness\n0-4,flu\n0-4,\n5-9,flu\n5-9,gout\n", 2, 1, 0),
        (b"age,illness\n0-4,flu\n0-4,cold\n", 2, 2, 2),
        (b"age,illness\n0-4,flu\n0-4,cold\n*,flu\n*,gout\n", 2, 2, 2),
        (b"age,illness\n*,flu\n*,cold\n*,flu\n*,gout\n", 0, 0, 4),
        (b"age,illness\n", 0, 0, 4),
        (GOOD + b"0-4,flu\n", 2, 2, -1),
    ],
)
def test_missed_criteria_are_refused_with_what_was_reached(
    data: bytes, k: int, diversity: int, suppressed: int
) -> None:
    """Small and homogeneous classes, and too many rows gone, raise."""
    with pytest.raises(CriteriaNotMet) as caught:
        check_bytes(data, TERMS)
    error = caught.value
    assert (2, 2) == (error.k_asked, error.l_asked)
    assert (k, diversity, suppressed) == (
        error.k_reached,
        error.l_reached,
        error.suppressed,
    )


def test_a_class_below_k_is_refused_where_l_asks_for_nothing() -> None:
    """One person alone in a class is enough."""
    terms = replace(TERMS, l=1)
    data = GOOD.replace(b"5-9,gout", b"6,gout")
    with pytest.raises(CriteriaNotMet) as caught:
        check_bytes(data, terms)
    assert 1 == caught.value.k_reached
    assert 2 == check_bytes(GOOD, terms).k


def test_suppressed_rows_are_not_a_class() -> None:
    """Starred rows within the limit count neither for k nor for l."""
    data = GOOD + b"*,flu\n"
    found = check_bytes(data, replace(TERMS, rows_in=5, allowed=1))
    assert (2, 4, 1) == (found.k, found.rows, found.suppressed)


def test_the_penalty_does_not_depend_on_the_order_of_rows() -> None:
    """Not in its last digit, though floats are summed."""
    labels = [f"{age}-{age + 4}" for age in range(0, 50, 5)]
    labels += [f"{age}-{age + 9}" for age in range(50, 99, 10)]
    rows = [
        f"{label},{illness}\n"
        for place, label in enumerate(labels)
        for illness in ["flu", "cold"] * (1 + place * place % 7)
    ]
    terms = replace(TERMS, rows_in=len(rows))
    found = set()
    for seed in range(30):
        random.Random(seed).shuffle(rows)  # noqa: S311 - any order will do
        data = ("age,illness\n" + "".join(rows)).encode()
        found.add(check_bytes(data, terms, {"age": AGE.describe()}).ncp)

    assert 1 == len(found)


def test_a_label_outside_the_hierarchy_is_refused() -> None:
    """A penalty is never guessed."""
    data = GOOD.replace(b"0-4", b"young")
    with pytest.raises(ExtractTampered):
        check_bytes(data, TERMS, {"age": AGE.describe()})


@pytest.mark.parametrize(
    "data", [b"", b"age\n1\n", b"age,illness\n1,2,3\n", b"\xff,\xfe\n"]
)
def test_what_is_no_such_table_is_refused(data: bytes) -> None:
    """Bytes without the columns, or that are no table, raise."""
    with pytest.raises((ExtractTampered, CriteriaNotMet)):
        check_bytes(data, TERMS)


HIERARCHIES: list[tuple[Hierarchy, list[str]]] = [
    (AGE, ["", "0", "7", "34", "99"]),
    (Prefixes(length=3, keep=(2, 1)), ["", "000", "123", "999"]),
    (Prefixes(length=2, keep=(1,), alphabet=36), ["", "A1", "-5"]),
    (
        Dates(
            first=dt.date(1950, 2, 3),
            last=dt.date(2005, 6, 7),
        ),
        ["", "1950-02-03", "1999-12-31", "2000-02-29", "2005-06-07"],
    ),
    (
        TableHierarchy.from_rows(
            [["1", "low", "*"], ["2", "low", "*"], ["9", "=high", "*"]],
            where="t",
            numeric=True,
        ),
        ["", "1", "2", "9"],
    ),
    (
        TableHierarchy.from_rows(
            [["x", "@a", "*"], ["y", "@a", "*"], ["'z", "b", "*"]], where="t"
        ),
        ["", "x", "y", "'z"],
    ),
]


@pytest.mark.parametrize(("hierarchy", "values"), HIERARCHIES)
def test_penalties_read_from_labels_are_the_engines(
    hierarchy: Hierarchy, values: list[str]
) -> None:
    """Two separate computations agree on every label of every form."""
    for value in values:
        path = hierarchy.path(value)
        assert path is not None
        for level, label in enumerate(path[:-1]):
            data = write_csv(["q", "o"], [[label, "x"]] * 2, delimiter=",")
            terms = replace(TERMS, quasi=("q",), sensitive=(), l=1, rows_in=2)
            found = check_bytes(data, terms, {"q": hierarchy.describe()})
            expected = hierarchy.penalty(path, level)
            assert expected == pytest.approx(found.ncp)


def small_spec() -> ExtractSpec:
    """Terms of a small release."""
    return ExtractSpec(
        columns={"age": Role.QUASI, "illness": Role.SENSITIVE},
        hierarchies={"age": AGE},
        k=2,
        l=2,
        suppression_limit=0.2,
        recipient="statistics-office",
    )


@pytest.fixture
def extract() -> Extract:
    """Build a small extract of six rows in two or more classes."""
    table = {
        "age": ["1", "3", "6", "7", "8", "34"],
        "illness": ["flu", "cold", "flu", "gout", "flu", "flu"],
    }
    return build_extract(small_spec(), table)


def test_the_folder_of_an_extract_passes(
    extract: Extract, tmp_path: Path
) -> None:
    """What was written is checked from disk, penalty and hashes too."""
    hierarchies = descriptions(small_spec())
    written = write_extract(extract, tmp_path / "out", hierarchies)
    assert extract.checked == written
    assert extract.checked == check_folder(tmp_path / "out", hierarchies)


def resealed(folder: Path, data: bytes) -> None:
    """Replace the data and put its hash into the manifest, as a forger."""
    (folder / "data.csv").write_bytes(data)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"]["data.csv"] = digest(data)
    path.write_bytes(canonical_json(manifest))


def remove_row(data: bytes) -> bytes:
    """Take the last row away."""
    return b"".join(data.splitlines(keepends=True)[:-1])


def narrow_label(data: bytes) -> bytes:
    """Put an exact age in place of one label."""
    return data.replace(b"0-4", b"3", 1)


def move_row(data: bytes) -> bytes:
    """Move one row to another class."""
    return data.replace(b"0-4", b"5-9", 1)


def change_value(data: bytes) -> bytes:
    """Make a class homogeneous."""
    return data.replace(b"cold", b"flu", 1)


@pytest.mark.parametrize(
    "forge", [remove_row, narrow_label, move_row, change_value]
)
@pytest.mark.parametrize("reseal", [False, True])
def test_a_changed_data_file_is_refused(
    extract: Extract,
    tmp_path: Path,
    forge: Callable[[bytes], bytes],
    *,
    reseal: bool,
) -> None:
    """A row removed or moved, a label narrowed, a value changed: refused.

    Even where the forger puts the new hash into the manifest.
    """
    folder = tmp_path / "out"
    write_extract(extract, folder)
    data = extract.files["data.csv"]
    changed = forge(data)
    assert data != changed
    if reseal:
        resealed(folder, changed)
    else:
        (folder / "data.csv").write_bytes(changed)
    with pytest.raises((ExtractTampered, CriteriaNotMet)):
        check_folder(folder)


@pytest.mark.parametrize(
    "forge",
    [remove_row, lambda data: data.replace(b"0-4", b"5-9")],
)
def test_what_the_manifest_states_is_what_must_be_found(
    tmp_path: Path, forge: Callable[[bytes], bytes]
) -> None:
    """A change that keeps k, l and the limit, hash and all, is refused."""
    spec = replace(small_spec(), l=1)
    table = {
        "age": [*"01230123", *"56785678"],
        "illness": ["flu", "cold"] * 8,
    }
    extract = build_extract(replace(spec, k=8), table)
    folder = tmp_path / "out"
    write_extract(extract, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["criteria"]["k"] = 2
    path.write_bytes(canonical_json(manifest))
    assert extract.checked == replace(
        check_folder(folder), ncp=extract.checked.ncp
    )

    resealed(folder, forge(extract.files["data.csv"]))
    with pytest.raises(ExtractTampered, match="do not reach what is stated"):
        check_folder(folder)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(["data.csv", "report.json", "report.md"]), st.data())
def test_one_flipped_bit_is_refused(name: str, data: st.DataObject) -> None:
    """No bit of data or report can change unnoticed."""
    table = {"age": ["1", "3", "6", "7"], "illness": ["a", "b", "a", "c"]}
    extract = build_extract(small_spec(), table)
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "out"
        write_extract(extract, folder)
        content = bytearray(extract.files[name])
        bit = data.draw(st.integers(0, len(content) * 8 - 1))
        content[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(content)
        with pytest.raises(ExtractTampered, match="is not the file"):
            check_folder(folder)


@pytest.mark.parametrize("name", ["data.csv", "report.md", "manifest.json"])
def test_a_missing_file_is_refused(
    extract: Extract, tmp_path: Path, name: str
) -> None:
    """Each file that the manifest names must be there, and the manifest."""
    folder = tmp_path / "out"
    write_extract(extract, folder)
    (folder / name).unlink()
    with pytest.raises(ExtractTampered, match="missing"):
        check_folder(folder)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"{}", b'{"files": 1}', b"\xff", b'{"columns": [1]}'],
)
def test_a_malformed_manifest_is_refused(tmp_path: Path, text: bytes) -> None:
    """A manifest that is not one raises and nothing else."""
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(ExtractTampered):
        check_folder(tmp_path)


def test_a_manifest_cannot_point_outside(
    extract: Extract, tmp_path: Path
) -> None:
    """A file name with a folder in it is not followed."""
    folder = tmp_path / "out"
    write_extract(extract, folder)
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    manifest["files"]["../data.csv"] = "0" * 64
    path.write_bytes(canonical_json(manifest))
    with pytest.raises(ExtractTampered, match="outside"):
        check_folder(folder)


def test_another_hierarchy_is_refused(
    extract: Extract, tmp_path: Path
) -> None:
    """The penalty is measured only by the hierarchy of the manifest."""
    folder = tmp_path / "out"
    write_extract(extract, folder)
    other = Intervals(low=0, high=99, widths=(5,)).describe()
    with pytest.raises(ExtractTampered, match="hierarchy"):
        check_folder(folder, {"age": other})


def test_the_checker_shares_no_code_with_the_engine() -> None:
    """Of this package it imports the errors, and NumPy not at all."""
    allowed = {
        "checker": {
            "anonymize.errors",
            "anonymize.published",
            "anonymize.recheck",
        },
        "published": {"anonymize.errors"},
        "recheck": {"anonymize.errors"},
    }
    for module, expected in allowed.items():
        source = (ROOT / "anonymize" / f"{module}.py").read_text("utf-8")
        names = {
            node.module
            for node in ast.walk(ast.parse(source))
            if isinstance(node, ast.ImportFrom)
            and str(node.module).startswith("anonymize")
        }
        assert expected == names
        assert "numpy" not in source


PYCANON = """
import json, sys
import pandas as pd
from pycanon import anonymity
data = pd.read_csv(sys.argv[1], sep=sys.argv[2], dtype=str,
                   keep_default_na=False)
quasi, sensitive = json.loads(sys.argv[3])
print(json.dumps([int(anonymity.k_anonymity(data, quasi)),
                  int(anonymity.l_diversity(data, quasi, sensitive))]))
"""


def pycanon(path: Path, quasi: list[str], sensitive: list[str]) -> list[int]:
    """Ask pycanon for k and l, in a process of its own for its warnings."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            "-c",
            PYCANON,
            str(path),
            ",",
            json.dumps([quasi, sensitive]),
        ],
        check=True,
        capture_output=True,
        text=True,
    )
    found: list[int] = json.loads(done.stdout.splitlines()[-1])
    return found


def test_pycanon_agrees(extract: Extract, tmp_path: Path) -> None:
    """Another project's checker finds the same k and l in the file."""
    if importlib.util.find_spec("pycanon") is None:
        pytest.skip("pycanon has no wheels for this Python")
    path = tmp_path / "data.csv"
    path.write_bytes(extract.files["data.csv"])
    expected = [extract.checked.k, extract.checked.l]
    assert expected == pycanon(path, ["age"], ["illness"])
