"""The engine's door: JSON within limits, in and out."""

import json
from enum import StrEnum

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policy.engine import (
    Bounds,
    BudgetExceeded,
    DocumentRefused,
    admit,
    release,
)
from policy.engine.numbers import number
from policy.engine.values import Set, key, make_set

BOUNDS = Bounds(depth=8, nodes=1000, text=1000)
ROOMY = Bounds(depth=20, nodes=1000, text=1000)
JSON = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(10**99), 10**99),
        st.floats(-(2.0**52), 2.0**52),
        st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=3),
            inner,
            max_size=3,
        ),
    ),
    max_leaves=10,
)


class Word(StrEnum):
    """A string that is not only one."""

    A = "a"


class Text(str):
    """A string of a class of its own."""

    __slots__ = ()


REFUSED = {
    "NaN": float("nan"),
    "infinity": float("inf"),
    "minus infinity": float("-inf"),
    "a float that stands for several integers": 2.0**53,
    "an integer of 101 digits": 10**100,
    "its negative": -(10**100),
    "a lone surrogate": "\ud800",
    "half a pair": "a\udc00b",
    "bytes": b"a",
    "a tuple": (1,),
    "a set": {1},
    "an enumeration": Word.A,
    "a subclass of str": Text("a"),
    "undefined": ...,
    "an object": object(),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_plain_json_is_refused(name: str) -> None:
    """At every place of a document: alone, in an array, as a field."""
    value = REFUSED[name]
    for document in (value, [value], {"a": value}, [{"a": ["b", value]}]):
        with pytest.raises(DocumentRefused):
            admit(document, BOUNDS)


@pytest.mark.parametrize(
    "name", [1, None, True, 1.5, Word.A, Text("a"), "\ud800", ("a",)]
)
def test_keys_are_well_formed_strings(name: object) -> None:
    """No other key is taken for its text."""
    for document in ({name: 1}, [{"a": {"b": "x", name: "y"}}]):
        with pytest.raises(DocumentRefused):
            admit(document, BOUNDS)


@given(document=JSON)
def test_plain_json_is_admitted_uncopied_and_comes_out_copied(
    document: object,
) -> None:
    """What goes in is what the caller gave; what comes out is its own."""
    wide = Bounds()
    assert admit(document, wide) is document
    released = release(document, wide)
    assert json.dumps(document, sort_keys=True) == json.dumps(
        released, sort_keys=True
    )
    if isinstance(document, list | dict):
        assert released is not document


@pytest.mark.parametrize("deep", [9, 2_000, 20_000])
def test_deep_documents_are_refused_both_ways(deep: int) -> None:
    """Depth ends in an error of ours, however deep."""
    document: object = "x"
    for _ in range(deep):
        document = [document]
    with pytest.raises(DocumentRefused):
        admit(document, BOUNDS)
    with pytest.raises(BudgetExceeded):
        release(document, BOUNDS)


def test_depth_is_counted_to_the_last_level() -> None:
    """As many levels as allowed are admitted, and one more is not."""
    document: object = []
    for _ in range(7):
        document = [document]
    assert admit(document, BOUNDS) is document
    with pytest.raises(DocumentRefused):
        admit({"a": document}, BOUNDS)


@pytest.mark.parametrize(
    "document",
    [
        [0] * 1001,
        [[0] * 400] * 3,
        {str(n): n for n in range(1001)},
        ["x" * 1001],
        {"x" * 1001: 1},
        [["x" * 400] * 3],
        "x" * 1001,
    ],
    ids=["long", "wide", "fields", "text", "name", "texts", "alone"],
)
def test_large_documents_are_refused_both_ways(document: object) -> None:
    """Values and characters are counted in all."""
    with pytest.raises(DocumentRefused):
        admit(document, BOUNDS)
    with pytest.raises((BudgetExceeded, DocumentRefused)):
        release(document, BOUNDS)


def test_sets_and_odd_keys_become_json() -> None:
    """A set is an array in order; a key that is no string, its JSON text."""
    assert [None, 1, "a", [2]] == release(
        make_set(["a", [2], 1, None]), BOUNDS
    )
    fields = {key(1): "one", key(True): "yes", key([1, "<"]): "list"}
    assert {"1": "one", "true": "yes", '[1,"\\u003c"]': "list"} == release(
        fields, BOUNDS
    )
    assert {"s": []} == release({"s": Set()}, BOUNDS)


def test_object_that_stands_twice_is_made_once_and_counted_twice() -> None:
    """What is shared in a result costs its size wherever it stands."""
    deal = {"codes": ["a", "b"], "days": 1}
    found = release({"x": deal, "y": deal}, BOUNDS)
    assert found == {"x": deal, "y": deal}
    assert found["x"] is found["y"]
    assert found["x"] is not deal
    doubled: object = deal
    for _ in range(6):
        doubled = {"x": doubled, "y": doubled}
    with pytest.raises(BudgetExceeded):
        release({"a": doubled, "b": doubled, "c": doubled}, ROOMY)
    texts = {str(n): {"t": "x" * 400} for n in range(2)}
    with pytest.raises(BudgetExceeded):
        release([texts, texts], BOUNDS)


def test_object_that_stands_again_too_deep_is_refused() -> None:
    """Where it stands first and higher, its depth is no excuse."""
    tall: object = {"x": {"x": {}}}
    low = tall
    for _ in range(5):
        low = {"x": low}
    release(low, BOUNDS)
    with pytest.raises(BudgetExceeded):
        release({"a": tall, "b": low}, BOUNDS)


def test_two_keys_of_one_text_are_no_result() -> None:
    """1 and "1" are two keys to Rego, and one to JSON."""
    with pytest.raises(BudgetExceeded):
        release({key(1): "number", "1": "string"}, BOUNDS)


def test_numbers_leave_as_json_has_them() -> None:
    """Spellings go, values stay, and what JSON cannot hold is refused."""
    assert "1.5" == repr(release(number("1.50"), BOUNDS))
    assert 10**30 == release(number("1e30"), BOUNDS)
    assert 0.1 == release(number("0.10000000000000000001"), BOUNDS)
    for text in ("9007199254740993.5", "1" * 101):
        with pytest.raises(DocumentRefused):
            release(number(text), BOUNDS)
