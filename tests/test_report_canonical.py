"""Canonical JSON."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anonymize import InvalidSpec
from anonymize.canonical import canonical_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(VALUES)
def test_canonical_json_reads_back_and_is_stable(value: object) -> None:
    """What is read back is equal and gives the same bytes again."""
    data = canonical_json(value)
    assert value == json.loads(data)
    assert data == canonical_json(json.loads(data))


def test_names_are_ordered_by_utf16_units() -> None:
    """The example of RFC 8785, 3.2.3: surrogates sort before U+FB33."""
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\u0080", "\u00f6"]
    expected = [
        "\r",
        "1",
        "\u0080",
        "\u00f6",
        "\u20ac",
        "\U0001f600",
        "\ufb33",
    ]
    data = canonical_json(dict.fromkeys(names, 0))
    assert expected == [*json.loads(data)]


def test_text_is_not_escaped_beyond_need() -> None:
    """Only quotes, backslashes and controls are escaped (RFC 8785)."""
    expected = '"\\u000f\\n\\"\\\\/€\u2028"'.encode()
    assert expected == canonical_json('\x0f\n"\\/€\u2028')


@pytest.mark.parametrize("value", [1.5, 2**53, b"x", object(), {"a": 0.0}])
def test_anything_else_is_refused(value: object) -> None:
    """Floats, large numbers and bytes have no one canonical form."""
    with pytest.raises(InvalidSpec):
        canonical_json(value)
