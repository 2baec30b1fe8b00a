"""Instants and dates as a person reads them."""

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.pages.dates import (
    clock_time,
    day_of,
    long_date,
    machine_time,
    plain_value,
)
from api.pages.i18n import Language

AT = 447_084_300  # 1984-03-02T14:05:00Z


def test_date_is_written_out_in_both_languages() -> None:
    """A date reads as a person of the language writes it."""
    day = date(1984, 3, 2)

    assert "2 March 1984" == long_date(day, Language.EN)
    assert "1984年3月2日" == long_date(day, Language.ZH_HANS)


def test_time_names_its_zone() -> None:
    """Hour and day are those of the pages' zone, and say so."""
    east = timezone(timedelta(hours=10), "AEST")

    assert "14:05 UTC" == clock_time(AT, UTC)
    assert "00:05 AEST" == clock_time(AT, east)
    assert date(1984, 3, 3) == day_of(AT, east)


@given(st.integers(0, 4_000_000_000))
def test_machine_time_is_the_same_instant(at: int) -> None:
    """The machine-readable form can be read back to the same second."""
    assert at == datetime.fromisoformat(machine_time(at)).timestamp()


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("1984-03-02", "2 March 1984"),
        ("1984-13-02", "1984-13-02"),
        ("1984-W10-5", "1984-W10-5"),
        ("19840302", "19840302"),
        ("Wei", "Wei"),
    ],
)
def test_only_a_whole_date_is_written_out(value: str, shown: str) -> None:
    """Other values stay as they are."""
    assert shown == plain_value(value, Language.EN)
