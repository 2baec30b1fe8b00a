"""Elements that a file defines itself, and the structures that they have."""

import time

import pytest

from consent.dataschema import (
    DataSchema,
    Definition,
    known_categories,
    read_schema,
)
from consent.elements import in_base_schema, structure_categories
from consent.findings import Finding, notes_in
from consent.p3p_xml import read_xml
from consent.vocabulary import Category

BASE = "http://www.w3.org/TR/P3P/base#"
PUR, PRE, PHY, DEM = (
    frozenset({each})
    for each in (
        Category.PURCHASE,
        Category.PREFERENCE,
        Category.PHYSICAL,
        Category.DEMOGRAPHIC,
    )
)


def schema(inside: str) -> tuple[DataSchema, list[str]]:
    """Read a DATASCHEMA, and the codes of what is noticed."""
    found: list[Finding] = []
    text = f"<POLICY><DATASCHEMA>{inside}</DATASCHEMA></POLICY>"
    root = read_xml(text.encode(), where="p")
    return read_schema(root, notes_in("p", found)), [f.code for f in found]


def test_structures_lend_their_members() -> None:
    """An element has the parts of its structure, and their categories."""
    found, codes = schema(
        '<DATA-STRUCT name="item.price" short-description="Price">'
        "<CATEGORIES><purchase/></CATEGORIES></DATA-STRUCT>"
        '<DATA-STRUCT name="item.taste"><CATEGORIES><preference/>'
        "</CATEGORIES></DATA-STRUCT>"
        '<DATA-STRUCT name="basket.first" structref="#item"/>'
        '<DATA-DEF name="shop.basket" structref="#basket"/>'
    )
    assert [] == codes
    assert PUR == found.categories("shop.basket.first.price")
    assert PRE == found.categories("shop.basket.first.taste")
    assert PUR | PRE == found.categories("shop.basket.first")
    assert PUR | PRE == found.categories("shop.basket")
    assert PUR | PRE == found.categories("shop")
    assert None is found.categories("shop.basket.second")
    assert None is found.categories("shopping")


def test_structures_of_the_base_schema_are_known() -> None:
    """By their address; a name without one is the file's own."""
    found, _ = schema(
        f'<DATA-DEF name="boss.address" structref="{BASE}postal"/>'
        '<DATA-DEF name="boss.other" structref="#postal"/>'
    )
    assert PHY == found.categories("boss.address.street")
    assert PHY | DEM == found.categories("boss.address")
    assert None is found.categories("boss.address.moon")
    assert None is found.categories("boss.other.street")
    assert None is structure_categories("moon", "")


def test_what_declares_categories_fixes_them() -> None:
    """They hold for all that lies below, whatever the structure says."""
    found, _ = schema(
        '<DATA-STRUCT name="s.a"/>'
        '<DATA-DEF name="e" structref="#s"><CATEGORIES><purchase/>'
        "</CATEGORIES></DATA-DEF><DATA-DEF name='open'/>"
    )
    assert PUR == found.categories("e.a")
    assert frozenset() == found.categories("open")
    assert PUR == known_categories("e.a", found)
    assert DEM == known_categories("user.bdate", found)
    assert None is known_categories("x", found)


def test_the_base_schema_wins_and_leaves_its_variables_open() -> None:
    """A file cannot redefine a birth date; it may say what cookies are."""
    found, _ = schema(
        '<DATA-DEF name="user.bdate"><CATEGORIES><purchase/></CATEGORIES>'
        '</DATA-DEF><DATA-DEF name="dynamic.cookies"><CATEGORIES>'
        "<purchase/></CATEGORIES></DATA-DEF>"
    )
    assert DEM == known_categories("user.bdate", found)
    assert PUR == known_categories("dynamic.cookies", found)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("user", True),
        ("user.bdate.ymd.year", True),
        ("user.age", False),
        ("user.identity", False),
        ("user.identity.number", False),
        ("user.home-info.postal", True),
        ("moon", False),
    ],
)
def test_our_elements_are_not_those_of_p3p(
    name: str, *, expected: bool
) -> None:
    """A P3P file has to define what a public body adds."""
    assert expected is in_base_schema(name)


def test_a_step_on_the_way_to_members_is_known() -> None:
    """A node means its subtree, though no line defines the node itself."""
    schema = DataSchema(
        elements=(Definition(name="shop.left", structure="#shoe"),),
        structures=(
            Definition(
                name="shoe.colour.hue",
                categories=frozenset({Category.PREFERENCE}),
            ),
            Definition(name="shoe.sole.kind"),
        ),
    )
    assert {Category.PREFERENCE} == schema.categories("shop.left.colour")
    assert frozenset() == schema.categories("shop.left.sole")
    assert schema.categories("shop.left.lace") is None
    assert schema.categories("shop.left.col") is None


def test_circles_and_towers_of_structures_end() -> None:
    """A structure in itself, and thousands within each other, are read."""
    start = time.process_time()
    circle, _ = schema(
        '<DATA-STRUCT name="s.a" structref="#s"/>'
        '<DATA-DEF name="e" structref="#s"/>'
    )
    assert frozenset() == circle.categories("e")
    assert frozenset() == circle.categories("e" + ".a" * 100)
    doubled = DataSchema(
        elements=(Definition(name="e", structure="#s0"),),
        structures=tuple(
            Definition(name=f"s{n}.{side}", structure=f"#s{n + 1}")
            for n in range(900)
            for side in "ab"
        ),
    )
    assert frozenset() == doubled.categories("e")
    assert time.process_time() - start < 30


def test_too_many_or_nameless_definitions_are_left_out() -> None:
    """Both are noticed, and neither takes long."""
    many, codes = schema('<DATA-DEF name="a"/>' * 2001)
    assert (2000, ["too-many"]) == (len(many.elements), codes)
    none, codes = schema(f'<DATA-DEF/><DATA-STRUCT name="{"a" * 256}"/>')
    assert (False, ["no-reference"] * 2) == (bool(none), codes)
    odd, codes = schema(
        '<DATA-DEF name="a"><CATEGORIES><odd/></CATEGORIES></DATA-DEF>'
    )
    assert {Category.OTHER} == odd.categories("a")
    assert ["unknown-word"] == codes
