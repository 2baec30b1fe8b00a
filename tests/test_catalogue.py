"""The attribute catalogue: stable numbers, few and unique indexes."""

import csv
import json
from pathlib import Path

import pytest

from vault import (
    Attribute,
    Catalogue,
    InvalidValue,
    Kind,
    UnknownAttribute,
    standard_catalogue,
    validate,
)

ADULT = Path(__file__).parents[1].parent / "shared/corpus/adult/adult.csv"
CENSUS = {
    "sex": "user.gender",
    "age": "user.age",
    "race": "user.race",
    "marital-status": "user.marital-status",
    "education": "user.education",
    "native-country": "user.nationality",
    "workclass": "user.workclass",
    "occupation": "user.occupation",
    "salary-class": "user.salary-class",
}
# A number, once given, is bound into every sealed value. If the test of it
# fails, the catalogue is wrong and not the file.
NUMBERS = Path(__file__).parent / "vectors/vault_catalogue.json"


def test_numbers_never_change() -> None:
    """Every number that was ever given still means the same name."""
    catalogue = standard_catalogue()
    given = json.loads(NUMBERS.read_text("utf-8"))["numbers"]

    assert given == {
        str(catalogue[name].number): name for name in given.values()
    }
    assert len(given) == len(catalogue)


def test_it_is_a_mapping_both_ways() -> None:
    """Names and numbers lead to the same attributes."""
    catalogue = standard_catalogue()

    assert all(
        catalogue.numbered(catalogue[name].number).name == name
        for name in catalogue
    )
    assert "user.bdate" in catalogue
    assert "user.shoe-size" not in catalogue
    with pytest.raises(UnknownAttribute):
        catalogue["user.shoe-size"]
    with pytest.raises(UnknownAttribute, match="999"):
        catalogue.numbered(999)


def test_an_unknown_name_is_not_repeated() -> None:
    """A caller may have sent a value where a name belongs."""
    with pytest.raises(UnknownAttribute) as caught:
        standard_catalogue()["ada@example.org"]

    assert "ada" not in str(caught.value)


def test_only_unique_identifiers_are_indexed() -> None:
    """No skewed attribute can be looked up."""
    assert [
        "user.home-info.online.email",
        "user.identifier.account",
        "user.identifier.card",
        "user.identifier.email",
        "user.identifier.phone",
        "user.identity.number",
        "user.identity.passport",
        "user.tax.number",
    ] == sorted(one.name for one in standard_catalogue().indexed())


@pytest.mark.parametrize(
    "attributes",
    [
        [Attribute(name="a", number=1), Attribute(name="a", number=2)],
        [Attribute(name="a", number=1), Attribute(name="b", number=1)],
        [Attribute(name="a", number=0)],
        [Attribute(name="a", number=2**16 - 16)],
        [Attribute(name="a", number=2**31)],
    ],
)
def test_a_catalogue_without_repetition(attributes: list[Attribute]) -> None:
    """A name or number that is there twice, or out of range, is refused."""
    with pytest.raises(ValueError, match="catalogue"):
        Catalogue(attributes)


def test_validating_names_attribute_and_reason() -> None:
    """An error helps without the value."""
    attribute = Attribute(name="x", number=1, kind=Kind.DATE, max_length=10)

    assert "2000-01-01" == validate(attribute, " 2000-01-01 ")
    with pytest.raises(InvalidValue, match=r"^x: not-a-date$") as caught:
        validate(attribute, "secret")
    assert caught.value.__suppress_context__


@pytest.mark.corpus
def test_it_takes_the_census() -> None:
    """Every cell of the Adult columns is a value of its attribute."""
    if not ADULT.exists():
        pytest.skip("../shared has no Adult census here")
    catalogue = standard_catalogue()
    with ADULT.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter=";")
        distinct = {cell for row in rows for cell in row.items()}

    assert set(CENSUS) == {column for column, _ in distinct}
    for column, cell in distinct:
        assert cell == validate(catalogue[CENSUS[column]], cell)
