"""Patterns with asterisks, against an oracle of regular expressions."""

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.wildcards import matches


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("", "a", False),
        ("*", "", True),
        ("/a", "/a", True),
        ("/a", "/ab", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("*b*", "abc", True),
        ("/x/*.gif", "/x/y/z.gif", True),
        ("a.c", "abc", False),
    ],
)
def test_a_pattern_matches_the_whole_text(
    pattern: str, text: str, *, expected: bool
) -> None:
    """An asterisk is any run; everything else is itself."""
    assert expected == matches(pattern, text)


@given(st.text("ab*", max_size=8), st.text("ab", max_size=8))
def test_matching_agrees_with_regular_expressions(
    pattern: str, text: str
) -> None:
    """The same as the expression that it stands for."""
    oracle = ".*".join(map(re.escape, pattern.split("*")))
    assert bool(re.fullmatch(oracle, text)) == matches(pattern, text)


def test_no_pattern_is_slow() -> None:
    """Many asterisks cost no backtracking."""
    start = time.process_time()
    assert not matches("*a" * 5000 + "*b", "a" * 20_000)
    assert time.process_time() - start < 30
