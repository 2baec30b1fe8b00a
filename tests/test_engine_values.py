"""Rego's values and numbers: keys, equality, order, arithmetic."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.engine import BudgetExceeded, BuiltinFailed
from policy.engine.arithmetic import (
    add,
    ceiling,
    divide,
    floor,
    multiply,
    product,
    remainder,
    rounded,
    subtract,
    total,
)
from policy.engine.numbers import (
    MAX_DIGITS,
    compare_numbers,
    integer,
    number,
    small_integer,
    spelling,
)
from policy.engine.spelling import display, json_text
from policy.engine.values import (
    Set,
    compare,
    equal,
    key,
    lookup,
    lookup_base,
    make_set,
    ordered,
    type_name,
    unkey,
)

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(-(2.0**50), 2.0**50),
    st.text(max_size=4),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.text(max_size=3), inner, max_size=4),
        st.lists(inner, max_size=4).map(make_set),
    ),
    max_leaves=12,
)
INTEGERS = st.integers(-(10**30), 10**30)


@given(value=VALUES)
def test_a_key_stands_for_its_value(value: object) -> None:
    """What a key gives back equals the value, and has the same key."""
    assert equal(value, unkey(key(value)))
    assert key(value) == key(unkey(key(value)))


@given(a=VALUES, b=VALUES)
def test_keys_equality_and_order_agree(a: object, b: object) -> None:
    """Two values are equal by key, by equality and by order, or by none."""
    assert equal(a, b) == (key(a) == key(b)) == (compare(a, b) == 0)
    assert (compare(a, b) > 0) == (compare(b, a) < 0)


@given(values=st.lists(VALUES, max_size=6))
def test_order_is_total(values: list[Any]) -> None:
    """Sorting puts every value before those that are more."""
    for a, b in pairwise(ordered(values)):
        assert compare(a, b) <= 0


def test_order_of_the_types() -> None:
    """Null, boolean, number, string, array, object, set: in this order."""
    values = [None, False, True, -1, 2.5, "", "a", [], {}, Set()]
    assert values == ordered(reversed(values))


def test_one_is_one_but_not_true() -> None:
    """1 and 1.0 are one element; true is another; so are nested ones."""
    assert 2 == len(make_set([1, 1.0, True]))
    assert 2 == len(make_set([[1], [1.0], [True]]))
    assert not equal([1], [True])
    assert not equal({"a": 0}, {"a": False})
    assert not equal({}, Set())


def test_the_first_of_equal_elements_stays_as_it_is_spelled() -> None:
    """A set holds what was put in first."""
    assert [1.0] == list(make_set([1.0, 1]).values())
    assert "1.0" == repr(next(iter(make_set([1.0, 1]).values())))


def test_a_step_of_a_reference() -> None:
    """Fields, indexes and elements are found; all else is undefined."""
    assert 7 == lookup({"a": 7}, "a")
    assert 7 == lookup([7], 0.0)
    assert 7 == lookup({key(True): 7}, True)
    assert "x" == lookup(make_set(["x"]), "x")
    for source, wanted in (
        ({"a": 7}, "b"),
        ([7], 1),
        ([7], -1),
        ([7], True),
        ([7], "0"),
        ([7], 0.5),
        ("text", 0),
        (None, "a"),
        (..., "a"),
        ({"1": 7}, 1),
    ):
        assert lookup(source, wanted) is ...


def test_a_number_names_a_base_document_by_its_text() -> None:
    """The names in `data` are strings, and 1 finds the one that is "1"."""
    assert 7 == lookup_base({"1": 7}, 1)
    assert lookup_base({"1": 7}, True) is ...


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("1", 1),
        ("-0", 0),
        ("1.0", 1),
        ("1e3", 1000),
        ("0.1", 0.1),
        ("123456789012345678901234567890", 123456789012345678901234567890),
    ],
)
def test_a_number_keeps_its_value_and_its_spelling(
    text: str, wanted: object
) -> None:
    """What a text stands for is exact, and shows as it was written."""
    assert 0 == compare_numbers(wanted, number(text))
    assert text == spelling(number(text))


def test_digits_beyond_a_float_are_not_lost() -> None:
    """Numbers that are one float are still two."""
    near, far = number("0.1"), number("0.10000000000000000001")
    assert not equal(near, far)
    assert compare_numbers(near, far) < 0
    assert key(near) != key(far)
    assert not equal(number("9007199254740993"), number("9007199254740992.0"))


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("", BuiltinFailed),
        ("x", BuiltinFailed),
        ("1e", BuiltinFailed),
        (".", BuiltinFailed),
        ("9" * (MAX_DIGITS + 1), BudgetExceeded),
        ("1e99999", BudgetExceeded),
    ],
)
def test_what_is_no_number_within_the_limits_is_refused(
    text: str, error: type[Exception]
) -> None:
    """Neither a wrong nor an endless number is read."""
    with pytest.raises(error):
        number(text)


@given(a=INTEGERS, b=INTEGERS)
def test_integers_are_exact(a: int, b: int) -> None:
    """Sums, differences, products and remainders of integers never round."""
    assert a + b == add(a, b)
    assert a - b == subtract(a, b)
    assert a * b == multiply(a, b)
    assert a + b == total([a, b])
    assert a * b == product([a, b])
    if b:
        assert a == b * ((a - remainder(a, b)) // b) + remainder(a, b)
        assert abs(remainder(a, b)) < abs(b)


@pytest.mark.parametrize(
    ("got", "text"),
    [
        (add(0.1, 0.2), "0.3"),
        (divide(1, 3), "0.33333333333333333334"),
        (multiply(1234567.5, 1.1), "1.35802425e+06"),
        (divide(10, 4), "2.5"),
        (divide(6, 3), "2"),
        (rounded(2.5), "3"),
        (rounded(-2.5), "-3"),
        (floor(-1.5), "-2"),
        (ceiling(1.2), "2"),
        (ceiling(-0.5), "1"),
        (floor(-0.5), "0"),
        (add(1e-7, 1), "1.0000001"),
        (product([1.1, 1.3, 7]), "10.010000000000002"),
        (total([0.1, 0.7, 1]), "1.8"),
        (divide(1, 3 * 10**40), "3.3333333333333333334e-41"),
    ],
)
def test_fractions_are_written_as_opa_writes_them(
    got: object, text: str
) -> None:
    """Each of these texts is what OPA 1.20.2 shows for the operation."""
    assert text == spelling(got)


def test_division_by_zero_and_fractional_remainders_are_errors() -> None:
    """OPA refuses these operands, and so do we."""
    for call in (
        lambda: divide(1, 0),
        lambda: divide(1, 0.0),
        lambda: remainder(1, 0),
        lambda: remainder(1.5, 1),
    ):
        with pytest.raises(BuiltinFailed):
            call()


def test_products_without_end_are_refused() -> None:
    """An integer of more digits than the limit is no result."""
    with pytest.raises(BudgetExceeded):
        multiply(10**3000, 10**3000)
    with pytest.raises(BudgetExceeded):
        add(10**MAX_DIGITS, 10**MAX_DIGITS)


def test_an_index_is_judged_by_its_spelling() -> None:
    """3.0 is an integer to OPA, 3e0 is not, nor what leaves 64 bits."""
    assert 3 == small_integer(3.0)
    assert small_integer(number("3e0")) is None
    assert small_integer(2**63) is None
    assert small_integer(1.5) is None
    assert 3 == integer(number("3e0"))


@given(value=VALUES)
def test_json_text_reads_back(value: object) -> None:
    """The text of a value is JSON, and is that of what it reads as."""
    text = json_text(value)
    assert text == json_text(json.loads(text, parse_float=number))


def test_notation_of_values() -> None:
    """Interpolation shows strings bare and collections in Rego's notation."""
    assert 'a"b' == display('a"b')
    shown = display([None, True, 1.5, 'a"b\n\x7f é', {}, Set(), {"k": "v"}])
    assert (
        '[null, true, 1.5, "a\\"b\\n\\x7f é", {}, set(), {"k": "v"}]' == shown
    )
    assert '{1, "a"}' == display(make_set(["a", 1]))


def test_names_of_the_types() -> None:
    """Every value has the name of its type."""
    named = {
        "null": None,
        "boolean": True,
        "number": 1.5,
        "string": "",
        "array": [],
        "object": {},
        "set": Set(),
    }
    assert list(named) == [type_name(value) for value in named.values()]
