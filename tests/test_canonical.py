"""Canonical JSON, against the vectors of RFC 8785."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import canonical as canonical_module
from consent.canonical import Json, canonical, digest

# RFC 8785, appendix B: IEEE 754 bits and the text that they become.
NUMBERS = {
    "0000000000000000": "0",
    "8000000000000000": "0",
    "0000000000000001": "5e-324",
    "8000000000000001": "-5e-324",
    "7fefffffffffffff": "1.7976931348623157e+308",
    "ffefffffffffffff": "-1.7976931348623157e+308",
    "4340000000000000": "9007199254740992",
    "c340000000000000": "-9007199254740992",
    "4430000000000000": "295147905179352830000",
    "44b52d02c7e14af5": "9.999999999999997e+22",
    "44b52d02c7e14af6": "1e+23",
    "44b52d02c7e14af7": "1.0000000000000001e+23",
    "444b1ae4d6e2ef4e": "999999999999999700000",
    "444b1ae4d6e2ef4f": "999999999999999900000",
    "444b1ae4d6e2ef50": "1e+21",
    "3eb0c6f7a0b5ed8c": "9.999999999999997e-7",
    "3eb0c6f7a0b5ed8d": "0.000001",
    "41b3de4355555553": "333333333.3333332",
    "41b3de4355555554": "333333333.33333325",
    "41b3de4355555555": "333333333.3333333",
    "41b3de4355555556": "333333333.3333334",
    "41b3de4355555557": "333333333.33333343",
    "becbf647612f3696": "-0.0000033333333333333333",
    "43143ff3c1cb0959": "1424953923781206.2",
}

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@pytest.mark.parametrize(("bits", "text"), NUMBERS.items())
def test_numbers_are_written_as_the_rfc_says(bits: str, text: str) -> None:
    """Each number of appendix B has the text of appendix B."""
    (value,) = struct.unpack(">d", bytes.fromhex(bits))
    assert text.encode() == canonical(value)


def test_the_sample_of_the_rfc() -> None:
    """The object of section 3.2.2 becomes the text of section 3.2.3."""
    source = json.loads(
        r"""{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3,
        0.000000000000000000000000001],
        "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
        "literals": [null, true, false]}"""
    )
    expected = (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,'
        '4.5,0.002,1e-27],"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )
    assert expected.encode() == canonical(source)


def test_keys_sort_by_utf16_code_units() -> None:
    """The sorting sample of section 3.2.3, where code points differ."""
    source = {
        "\u20ac": 1,
        "\r": 2,
        "\ufb33": 3,
        "1": 4,
        "\U0001f600": 5,
        "\x80": 6,
        "\u00f6": 7,
    }
    order = list(json.loads(canonical(source)).values())
    assert order == [2, 4, 6, 7, 1, 5, 3]


def number(text: str) -> float:
    """Read a whole number as the double that it was, where it is large."""
    return int(text) if abs(int(text)) <= 2**53 else float(text)


@given(JSON)
def test_what_was_written_reads_back_and_writes_the_same(value: Json) -> None:
    """Reading the canonical form gives an equal value and equal bytes."""
    text = canonical(value)
    assert canonical(json.loads(text, parse_int=number)) == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        2**53 + 1,
        "\ud800",
        {1: "x"},
        b"bytes",
        {1, 2},
    ],
    ids=repr,
)
def test_what_json_cannot_hold_is_refused(value: Json) -> None:
    """Nothing is rounded, replaced or turned into a string."""
    with pytest.raises(ValueError, match=r".+"):
        canonical(value)


def test_the_digest_is_sha256_of_the_canonical_form() -> None:
    """An empty object's digest is SHA-256 of two braces."""
    assert digest({}) == (
        "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(st.characters(codec="ascii")), inner)
    ),
    max_leaves=20,
)


@given(PLAIN)
def test_the_short_way_writes_what_the_long_way_writes(value: Json) -> None:
    """What Python's own encoder may write, it writes as the RFC does."""
    assert canonical_module._is_plain(value)
    long = canonical_module._write(value)

    assert long.encode() == canonical(value)


@pytest.mark.parametrize(
    "value", [1.5, {"é": 1}, 2**53 + 1, {1: 2}, b"x", [1, [2.0]]]
)
def test_the_short_way_is_not_taken_where_it_differs(value: object) -> None:
    """Floats, keys beyond ASCII and what is no JSON take the long way."""
    assert not canonical_module._is_plain(value)
