"""The base data schema, against a table that others transcribed."""

import csv
import re
from pathlib import Path

import pytest

from consent.elements import (
    base_categories_of,
    categories_of,
    covers,
    leaves,
    schema,
)
from consent.labels import label
from consent.vocabulary import Category

ROOT = Path(__file__).parents[1]
TABLE = ROOT.parent / "shared/corpus/p3p/base_data_schema.tsv"

# Where the schema uses a structure; enough to see every row of the table.
USES = {
    "date": "user.bdate",
    "personname": "user.name",
    "login": "user.login",
    "certificate": "user.cert",
    "telephonenum": "user.home-info.telecom.fax",
    "postal": "user.home-info.postal",
    "telecom": "user.home-info.telecom",
    "online": "user.home-info.online",
    "contact": "user.home-info",
    "uri": "dynamic.clickstream.uri",
    "ipaddr": "dynamic.clickstream.clientip",
    "loginfo": "dynamic.clickstream",
    "httpinfo": "dynamic.http",
}


def names_of(cell: str) -> list[str]:
    """Expand ``a.b|c, a.d`` of the table into names of our schema."""
    names = []
    for part in cell.split(","):
        head, _, last = part.strip().rpartition(".")
        for leaf in last.split("|"):
            prefix, _, rest = f"{head}.{leaf}".partition(".")
            names.append(f"{USES.get(prefix, prefix)}.{rest}")
    return names


@pytest.mark.corpus
def test_the_schema_is_that_of_the_recommendation() -> None:
    """Every row of the table has the Recommendation's categories here."""
    if not TABLE.exists():
        pytest.skip("the corpus beside the project is absent")
    checked = 0
    with TABLE.open(encoding="utf-8") as table:
        for row in csv.DictReader(table, delimiter="\t"):
            if row["name"].startswith("thirdparty"):
                continue
            cell = row["categories_REC2002"]
            for name in names_of(row["name"]):
                found = categories_of(name)
                if cell.startswith("variable"):
                    user = re.sub(r"\.(ymd|hms)?\.?\w+$", "", name)
                    assert categories_of(user) == found, name
                elif cell.startswith("VARIABLE"):
                    assert found == frozenset(), name
                else:
                    assert frozenset(map(Category, cell.split(","))) == (
                        found
                    ), name
                checked += 1
    assert checked == 75


def test_a_third_party_has_the_ten_elements_of_the_standard() -> None:
    """What P3P says of the person it says of a third party, ours not."""
    standard = [n for n in schema() if n.startswith("thirdparty.")]
    assert all(
        categories_of(n)
        == categories_of("user" + n.removeprefix("thirdparty"))
        for n in standard
    )
    assert len({n.split(".")[1] for n in standard}) == 10
    assert categories_of("thirdparty.identity.number") is None


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user.bdate.ymd.year", {"demographic"}),
        ("dynamic.http.referer.querystring", {"navigation"}),
        ("user.home-info.postal.name.given", {"physical"}),
        # Not DEM, though the client's partial address below is.
        ("dynamic.clickstream", {"navigation", "computer"}),
        ("dynamic", {"navigation", "computer", "interactive"}),
        ("user.case", {"interactive", "content"}),
        ("business", {"physical", "online", "demographic", "uniqueid"}),
    ],
)
def test_categories_follow_the_four_rules(
    name: str, expected: set[str]
) -> None:
    """Declared, inherited, and the union of a set, as the module says."""
    assert {Category(word) for word in expected} == categories_of(name)


def test_a_variable_element_has_no_categories_of_its_own() -> None:
    """Cookies may hold anything, so a reference must say what."""
    assert categories_of("dynamic.cookies") == frozenset()
    assert categories_of("user.shoe-size") is None


def test_the_whole_user_of_a_p3p_file_is_that_of_p3p() -> None:
    """Who refers to ``user`` means ten elements, and none of ours."""
    assert base_categories_of("user") == {
        Category.PHYSICAL,
        Category.ONLINE,
        Category.UNIQUEID,
        Category.DEMOGRAPHIC,
    }
    assert base_categories_of("user.bdate") == categories_of("user.bdate")
    assert Category.GOVERNMENT in (categories_of("user") or ())


def test_a_reference_means_its_subtree_and_no_neighbour() -> None:
    """A dot is a step; a longer word is another word."""
    assert covers("user.home-info", "user.home-info.postal.city")
    assert covers("user.name", "user.name")
    assert not covers("user.name", "user.names")
    assert not covers("user.name.given", "user.name")


def test_leaves_are_what_a_reference_stands_for() -> None:
    """A structure has its leaves, a leaf and a stranger only themselves."""
    assert leaves("user.login") == ("user.login.id", "user.login.password")
    assert leaves("user.gender") == ("user.gender",)
    assert leaves("user.shoe-size") == ("user.shoe-size",)


def test_every_attribute_of_the_vault_has_categories() -> None:
    """What the vault can hold, a declaration can name and a rule can match."""
    catalogue = ROOT / "vault" / "catalogue.py"
    if not catalogue.exists():
        pytest.skip("the vault's catalogue is absent")
    names = set(
        re.findall(
            r"\"((?:user|thirdparty|business)\.[a-z0-9.-]+)\"",
            catalogue.read_text("utf-8"),
        )
    )
    assert len(names) > 40
    assert [name for name in sorted(names) if not categories_of(name)] == []
    for language in ("en", "zh-Hans"):
        assert [
            name for name in sorted(names) if label(name, language) == name
        ] == []
