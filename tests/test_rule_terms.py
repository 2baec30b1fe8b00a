"""Terms of a rule: pause, window, number of uses, frequency."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    Behavior,
    Hold,
    Preferences,
    PreferencesInvalid,
    Rule,
    Terms,
    Uses,
    hold_of,
    read_preferences,
)
from consent.rule_terms import DAY, MOST_TIMES, demands

NOW = 1_790_000_000
instants = st.integers(NOW - 3 * DAY, NOW)
terms = st.builds(
    lambda since, length, frequency, uses, paused, promises: Terms(
        since=since,
        until=None if length is None else (since or NOW) + length,
        times=frequency and frequency[0],
        days=frequency and frequency[1],
        uses=uses,
        paused=paused,
        delete_days=promises[0],
        notify=promises[1],
        no_onward_transfer=promises[2],
    ),
    since=st.none() | st.integers(NOW - 100, NOW + 100),
    length=st.none() | st.integers(1, 200),
    frequency=st.none() | st.tuples(st.integers(1, 4), st.integers(1, 2)),
    uses=st.none() | st.integers(1, 4),
    paused=st.booleans(),
    promises=st.tuples(
        st.none() | st.integers(1, 90), st.booleans(), st.booleans()
    ),
)


@given(one=terms, at=st.lists(instants, max_size=6).map(sorted))
def test_a_hold_is_what_a_plain_reading_says(
    one: Terms, at: list[int]
) -> None:
    """The first of pause, window, uses and frequency that is not met."""
    expected = None
    if one.paused:
        expected = Hold.PAUSED
    elif NOW not in range(one.since or 0, one.until or 10**12):
        expected = Hold.WINDOW
    elif one.uses is not None and len(at) >= one.uses:
        expected = Hold.USES
    elif one.times is not None and one.days is not None:
        recent = [each for each in at if NOW - each < one.days * DAY]
        if len(recent) >= one.times:
            expected = Hold.FREQUENCY
    used = {"r": Uses(total=len(at), recent=tuple(at))}
    found = hold_of((("r", one),), used, NOW)
    assert expected == (None if found is None else found[0])


def test_a_frequency_frees_itself_to_the_second() -> None:
    """A use counts for exactly the period, and not one second more."""
    one = Terms(times=1, days=1)
    used = {"r": Uses(total=1, recent=(NOW,))}
    assert hold_of((("r", one),), used, NOW + DAY - 1) == (
        Hold.FREQUENCY,
        "r",
    )
    assert hold_of((("r", one),), used, NOW + DAY) is None


def test_each_rule_s_terms_must_be_met() -> None:
    """Where two rules permitted, what either holds back is held back."""
    pair = (("a", Terms(uses=1)), ("b", Terms(paused=True)))
    assert hold_of(pair, {"a": Uses(total=1)}, NOW) == (Hold.PAUSED, "b")
    assert hold_of(pair[:1], {"a": Uses(total=1)}, NOW) == (Hold.USES, "a")
    assert hold_of(pair[:1], {"b": Uses(total=1)}, NOW) is None


def test_only_so_many_uses_are_remembered() -> None:
    """What is remembered is bounded, and as much as any rule may ask for."""
    used = Uses()
    for second in range(MOST_TIMES + 5):
        used = used.after(NOW + second)
    assert used.total == MOST_TIMES + 5
    assert len(used.recent) == MOST_TIMES
    whole = (("r", Terms(times=MOST_TIMES, days=1)),)
    found = hold_of(whole, {"r": used}, NOW + MOST_TIMES)
    assert found is not None


@pytest.mark.parametrize(
    "wrong",
    [
        {"since": 0},
        {"until": 10**13},
        {"since": 5, "until": 5},
        {"times": 1},
        {"days": 1},
        {"times": 0, "days": 1},
        {"times": MOST_TIMES + 1, "days": 1},
        {"times": 1, "days": 0},
        {"uses": 0},
        {"uses": True},
        {"since": "tomorrow"},
        {"paused": None},
    ],
)
def test_terms_that_say_nothing_sensible_are_refused(
    wrong: dict[str, object],
) -> None:
    """A number out of range, half a frequency or an empty window."""
    with pytest.raises(PreferencesInvalid):
        Terms(**wrong)  # type: ignore[arg-type] # they are wrong on purpose


def test_a_refusal_has_no_terms() -> None:
    """Nobody can pause a no, which would be a yes nobody gave."""
    with pytest.raises(PreferencesInvalid):
        Rule(id="no", behavior=Behavior.REFUSE, terms=Terms(paused=True))


@given(one=terms)
def test_terms_travel_with_their_rules(one: Terms) -> None:
    """What is stored is what is read back, with the same digest."""
    before = Preferences(
        rules=(Rule(id="r", behavior=Behavior.ALLOW, terms=one),)
    )
    after = read_preferences(before.text())
    assert before == after
    assert before.digest == after.digest


def test_rules_without_terms_keep_their_digest() -> None:
    """Preferences stored before there were terms are read as they were."""
    text = (
        '{"rules":[{"behavior":"allow","id":"r"}],'
        '"schema":"curtilage/preferences/1"}'
    )
    assert read_preferences(text).text() == text


def test_the_strictest_of_all_promises_is_demanded() -> None:
    """Every permitting rule counts, and the fewest days of any."""
    assert () == demands(())
    assert () == demands((("a", Terms(paused=True)),))
    assert (
        ("delete_by", 7),
        ("no_onward_transfer", None),
        ("notify", None),
    ) == demands(
        (
            ("a", Terms(delete_days=30, notify=True)),
            ("b", Terms(delete_days=7)),
            ("c", Terms(no_onward_transfer=True)),
        )
    )


@pytest.mark.parametrize(
    "wrong",
    [
        {"delete_days": 0},
        {"delete_days": 3661},
        {"delete_days": True},
        {"notify": 1},
        {"no_onward_transfer": "yes"},
    ],
)
def test_a_promise_is_days_or_a_yes(wrong: dict[str, Any]) -> None:
    """A number out of range or another type is no promise."""
    with pytest.raises(PreferencesInvalid):
        Terms(**wrong)
