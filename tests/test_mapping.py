"""Import mappings: what is accepted, and how errors point to their line."""

from pathlib import Path

import pytest

from vault import MappingInvalid, load_mapping, standard_catalogue

GOOD = """\
version: 1
encoding: GB18030
delimiter: ";"
source: census
columns:
  given: user.name.given
  sex:
    attribute: user.gender
    values: {M: male, F: female}
constants:
  user.home-info.postal.country: cn
ignore: [row id]
"""

BAD = {
    "empty": ("", 1, "empty"),
    "not a mapping": ("- a\n", 1, "not a mapping"),
    "not YAML": ("version: 1\ncolumns: {a: [\n", 3, "well-formed"),
    "tab": ("version: 1\ncolumns:\n\ta: user.bdate\n", 3, "well-formed"),
    "NUL": ("version: 1\0\n", 1, "well-formed"),
    "no columns": ("version: 1\n", 1, "'columns' is missing"),
    "no version": ("columns: {a: user.bdate}\n", 1, "'version' is missing"),
    "version 2": ("version: 2\ncolumns: {a: user.bdate}\n", 1, "not 1"),
    "unknown key": (
        "version: 1\ncolour: red\ncolumns: {a: user.bdate}\n",
        2,
        "unknown key",
    ),
    "repeated key": (
        "version: 1\ncolumns:\n  a: user.bdate\n  a: user.gender\n",
        4,
        "repeated",
    ),
    "nothing mapped": ("version: 1\ncolumns: {}\n", 2, "no column"),
    "no name": ('version: 1\ncolumns: {"": user.bdate}\n', 2, "no name"),
    "unknown attribute": (
        "version: 1\ncolumns:\n  a: user.shoe-size\n",
        3,
        "no such attribute",
    ),
    "unknown column key": (
        "version: 1\ncolumns:\n  a: {attribute: user.bdate, skip: 1}\n",
        3,
        "unknown key",
    ),
    "no attribute": (
        "version: 1\ncolumns:\n  a: {values: {M: male}}\n",
        3,
        "'attribute' is missing",
    ),
    "list for a column": (
        "version: 1\ncolumns:\n  a: [user.bdate]\n",
        3,
        "not a mapping",
    ),
    "bad value": (
        (
            "version: 1\ncolumns:\n  a:\n    attribute: user.bdate\n"
            "    values: {x: 2001-02-30}\n"
        ),
        5,
        "no value of user.bdate (not-a-date)",
    ),
    "bad constant": (
        (
            "version: 1\ncolumns: {a: user.gender}\n"
            "constants:\n  user.bdate: yesterday\n"
        ),
        4,
        "no value of user.bdate (not-a-date)",
    ),
    "constant identifier": (
        (
            "version: 1\ncolumns: {a: user.gender}\n"
            "constants:\n  user.home-info.online.email: a@b.org\n"
        ),
        4,
        "identifier",
    ),
    "filled twice": (
        "version: 1\ncolumns: {a: user.bdate, b: user.bdate}\n",
        1,
        "user.bdate is filled twice",
    ),
    "filled and constant": (
        (
            "version: 1\ncolumns: {a: user.gender}\n"
            "constants: {user.gender: male}\n"
        ),
        1,
        "user.gender is filled twice",
    ),
    "mapped and ignored": (
        "version: 1\ncolumns: {a: user.gender}\nignore: [a]\n",
        3,
        "ignored",
    ),
    "ignore is a text": (
        "version: 1\ncolumns: {a: user.gender}\nignore: all\n",
        3,
        "not a list",
    ),
    "long delimiter": (
        'version: 1\ndelimiter: "||"\ncolumns: {a: user.gender}\n',
        2,
        "delimiter",
    ),
    "quote delimiter": (
        "version: 1\ndelimiter: '\"'\ncolumns: {a: user.gender}\n",
        2,
        "delimiter",
    ),
    "encoding": (
        "version: 1\nencoding: utf-16\ncolumns: {a: user.gender}\n",
        2,
        "encoding",
    ),
    "source": (
        'version: 1\nsource: ""\ncolumns: {a: user.gender}\n',
        2,
        "source",
    ),
    "anchor": (
        "version: 1\ncolumns: &a {a: user.gender}\n",
        2,
        "anchor",
    ),
    "alias": (
        "version: 1\ncolumns: {a: &x user.gender, b: *x}\n",
        2,
        "anchor",
    ),
    "tag": (
        "version: 1\ncolumns: !!python/object:os.system {a: b}\n",
        2,
        "tag",
    ),
    "deep": ("version: 1\ncolumns: " + "[" * 5000 + "\n", 1, "well-formed"),
}


def write(tmp_path: Path, text: str | bytes) -> Path:
    """Write a mapping."""
    path = tmp_path / "map.yaml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_a_mapping_is_read(tmp_path: Path) -> None:
    """Everything a mapping can say arrives, canonical."""
    mapping = load_mapping(write(tmp_path, GOOD), standard_catalogue())

    assert ("gb18030", ";", "census") == (
        mapping.encoding,
        mapping.delimiter,
        mapping.source,
    )
    assert {"given": "user.name.given", "sex": "user.gender"} == {
        name: column.attribute.name for name, column in mapping.columns.items()
    }
    assert {"M": "male", "F": "female"} == mapping.columns["sex"].values
    assert {"user.home-info.postal.country": "CN"} == mapping.constants
    assert frozenset({"row id"}) == mapping.ignored


def test_the_rest_has_defaults(tmp_path: Path) -> None:
    """A short mapping is a comma and UTF-8, with or without a mark."""
    text = b"\xef\xbb\xbfversion: 1\ncolumns: {a: user.bdate}\n"

    mapping = load_mapping(write(tmp_path, text), standard_catalogue())

    assert ("utf-8", ",", None) == (
        mapping.encoding,
        mapping.delimiter,
        mapping.source,
    )


@pytest.mark.parametrize("name", BAD)
def test_a_bad_mapping_points_to_its_line(tmp_path: Path, name: str) -> None:
    """File, line, what, and what to do."""
    text, line, what = BAD[name]
    with pytest.raises(MappingInvalid) as caught:
        load_mapping(write(tmp_path, text), standard_catalogue())

    error = caught.value
    assert "map.yaml" == error.where
    assert what in error.what
    assert error.remedy.endswith(".")
    if name != "deep":
        assert line == error.line
    assert str(error).startswith(f"map.yaml:{error.line}: ")


def test_what_cannot_be_read_at_all(tmp_path: Path) -> None:
    """Absent, not UTF-8, or far too large."""
    catalogue = standard_catalogue()
    with pytest.raises(MappingInvalid, match="cannot be read"):
        load_mapping(tmp_path / "absent.yaml", catalogue)
    with pytest.raises(MappingInvalid, match=":2: is not UTF-8"):
        load_mapping(write(tmp_path, b"version: 1\n\xff"), catalogue)
    with pytest.raises(MappingInvalid, match="256 KiB"):
        load_mapping(write(tmp_path, b"#" * 300_000), catalogue)
