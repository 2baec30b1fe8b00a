"""Values in two times: what held when, and what was known of it when."""

import uuid
from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete, insert, select

from tests.test_vault import NOW, World, sqlite_world, world
from vault import Confidence, CryptoFailure, GrantRefused, InvalidValue
from vault.format import EARLIEST, LATEST
from vault.history import as_of
from vault.tables import HISTORY, SUBJECT, VALUE

__all__ = ["sqlite_world", "world"]

CITY, GENDER = "user.home-info.postal.city", "user.gender"
YEAR = 365 * 86400


def put(world: World, subject: uuid.UUID, city: str, **more: object) -> None:
    """Write a city in a transaction of its own."""
    with world.data.begin() as conn:
        world.vault.put(conn, subject, {CITY: city}, source="desk", **more)


def held(
    world: World, subject: uuid.UUID, valid_at: int, known_at: int
) -> str | None:
    """Read the city as of two instants."""
    found = world.vault.as_of(
        world.grant(subject), valid_at=valid_at, known_at=known_at
    )
    return found[CITY].value if CITY in found else None


def test_what_is_recorded_comes_back(world: World) -> None:
    """Times and confidence are read with the value, now and as history."""
    subject = world.person({GENDER: "female"})
    put(
        world,
        subject,
        "Leeds",
        valid_from=NOW - YEAR,
        valid_until=NOW + YEAR,
        confidence=Confidence.DOCUMENTED,
    )
    world.now += 5
    put(world, subject, "York")

    newest, oldest = world.vault.history(world.grant(subject), CITY)
    current = world.vault.records(
        world.grant(subject), world.vault.holding(subject)
    )[CITY]
    assert newest == current
    assert (NOW + 5, NOW + 5, None, Confidence.UNSTATED, "desk") == (
        newest.recorded_at,
        newest.valid_from,
        newest.valid_until,
        newest.confidence,
        newest.source,
    )
    assert (NOW, NOW - YEAR, NOW + YEAR, Confidence.DOCUMENTED) == (
        oldest.recorded_at,
        oldest.valid_from,
        oldest.valid_until,
        oldest.confidence,
    )


def test_both_questions_at_once(world: World) -> None:
    """A late correction changes what held, not what was known before."""
    subject = world.person({GENDER: "female"})
    put(world, subject, "Leeds", valid_from=NOW - 10 * YEAR)
    world.now = NOW + YEAR
    put(world, subject, "York")
    world.now = NOW + 2 * YEAR
    put(
        world,
        subject,
        "Hull",
        valid_from=NOW - 5 * YEAR,
        valid_until=NOW - 4 * YEAR,
    )

    now = world.now
    assert held(world, subject, NOW - 11 * YEAR, now) is None
    assert "Leeds" == held(world, subject, NOW - 6 * YEAR, now)
    assert "Hull" == held(world, subject, NOW - 5 * YEAR, now)
    assert "Leeds" == held(world, subject, NOW - 5 * YEAR, now - 1)
    assert "Leeds" == held(world, subject, NOW - 4 * YEAR, now)
    assert "Leeds" == held(world, subject, NOW + YEAR - 1, now)
    assert "York" == held(world, subject, NOW + YEAR, now)
    assert "York" == held(world, subject, now, now)
    assert "Leeds" == held(world, subject, now, NOW + YEAR - 1)
    assert held(world, subject, now, NOW - 1) is None


def test_a_value_that_has_ended(world: World) -> None:
    """After its end nothing holds, though the value is still read."""
    subject = world.person({GENDER: "female"})
    put(world, subject, "Leeds", valid_until=NOW + 10)

    assert "Leeds" == held(world, subject, NOW + 9, NOW)
    assert held(world, subject, NOW + 10, NOW) is None
    assert {CITY: "Leeds"} == world.read(subject, CITY)


@dataclass
class Told:
    """One thing that was recorded, as the oracle keeps it."""

    at: int
    since: int
    until: int | None
    value: str


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 3),
            st.integers(-5, 8),
            st.none() | st.integers(1, 6),
        ),
        min_size=1,
        max_size=5,
    )
)
def test_as_of_is_the_last_that_was_told(
    sqlite_world: World, steps: list[tuple[int, int, int | None]]
) -> None:
    """For any order of records, an oracle that keeps plain tuples agrees."""
    world = sqlite_world
    world.now = NOW
    subject, told = world.person({GENDER: "female"}), []
    for number, (later, since, lasts) in enumerate(steps):
        world.now += later
        until = None if lasts is None else NOW + since + lasts
        put(
            world,
            subject,
            f"town {number}",
            valid_from=NOW + since,
            valid_until=until,
        )
        told.append(Told(world.now, NOW + since, until, f"town {number}"))
    for valid_at in range(NOW - 6, NOW + 16, 3):
        for known_at in range(NOW - 1, world.now + 2):
            covering = [
                one.value
                for one in told
                if one.at <= known_at
                and one.since <= valid_at
                and (one.until is None or valid_at < one.until)
            ]
            expected = covering[-1] if covering else None
            assert expected == held(world, subject, valid_at, known_at)


@pytest.mark.parametrize(
    "times",
    [
        {"valid_from": EARLIEST - 1},
        {"valid_from": LATEST + 1},
        {"valid_until": NOW},
        {"valid_from": NOW + 5, "valid_until": NOW + 5},
        {"valid_from": NOW, "valid_until": LATEST + 1},
    ],
)
def test_times_that_make_no_interval(
    world: World, times: dict[str, int]
) -> None:
    """Empty, backward and absurd intervals are refused."""
    subject = world.person({GENDER: "female"})
    with pytest.raises(InvalidValue, match="out-of-range"):
        put(world, subject, "Leeds", **times)
    put(world, subject, "Leeds", valid_from=EARLIEST, valid_until=LATEST)
    assert "Leeds" == held(world, subject, EARLIEST, NOW)


def test_as_of_asks_for_a_grant(world: World) -> None:
    """Nothing beyond the grant opens, and an expired one opens nothing."""
    subject = world.person()
    grant = world.grant(subject, GENDER)

    found = world.vault.as_of(grant, valid_at=NOW, known_at=NOW)
    assert {GENDER} == set(found)
    nobody = world.grant(uuid.uuid4())
    assert {} == world.vault.as_of(nobody, valid_at=NOW, known_at=NOW)
    world.now += 61
    with pytest.raises(GrantRefused):
        world.vault.as_of(grant, valid_at=NOW, known_at=NOW)


def test_a_missing_version_is_noticed(world: World) -> None:
    """A past that somebody thinned out is refused, not told."""
    subject = world.person({GENDER: "female"})
    for city in ("Leeds", "York", "Hull"):
        put(world, subject, city)
    with world.data.begin() as conn:
        conn.execute(delete(HISTORY).where(HISTORY.c.version == 1))

    with pytest.raises(CryptoFailure):
        held(world, subject, NOW, NOW)
    with pytest.raises(CryptoFailure):
        world.vault.history(world.grant(subject), CITY)


def test_a_version_younger_than_the_snapshot_is_passed_over(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write between the two reads of a history is not an attack."""
    subject = world.person({GENDER: "female"})
    put(world, subject, "Leeds")
    put(world, subject, "York")
    holding = world.vault.holding(subject)
    put(world, subject, "Hull")
    monkeypatch.setattr(world.vault, "holding", lambda _: holding)
    listed = world.vault.history(world.grant(subject), CITY)

    assert ["York", "Leeds"] == [one.value for one in listed]


def test_values_of_schema_1_are_read(world: World) -> None:
    """A record from before holds since it was written, with no end."""
    subject = world.person({GENDER: "female"})
    holding = world.vault.holding(subject)
    plain = (NOW).to_bytes(8, "big") + b"\x04desk\x80\x00\x00"
    plain += b"old town\x80" + bytes(7)
    with world.keys.open(holding.dek) as keys:
        sealed = keys._sealed(13, 1, plain, bytes(12), 1)
        (old,) = holding.stored.values
        manifest = b"".join(
            place.to_bytes(4, "big") + (1).to_bytes(8, "big") + box[-16:]
            for place, box in ((8, old[2]), (13, sealed))
        )
        state = keys.state_mac(2, manifest) + manifest
    with world.data.begin() as conn:
        conn.execute(
            insert(VALUE).values(
                tenant="town",
                subject=subject,
                attribute=13,
                version=1,
                sealed=sealed,
            )
        )
        conn.execute(SUBJECT.delete().where(SUBJECT.c.subject == subject))
        conn.execute(
            insert(SUBJECT).values(
                tenant="town", subject=subject, epoch=2, state=state
            )
        )

    assert {CITY: "old town", GENDER: "female"} == world.read(subject)
    put(world, subject, "new town")
    new, first = world.vault.history(world.grant(subject), CITY)
    assert ("new town", "old town") == (new.value, first.value)
    assert (NOW, None, Confidence.UNSTATED) == (
        first.valid_from,
        first.valid_until,
        first.confidence,
    )
    with world.data.connect() as conn:
        kinds = conn.execute(
            select(HISTORY.c.sealed).where(HISTORY.c.subject == subject)
        ).scalar_one()[0]
    assert 1 == kinds
    assert [] == list(world.vault.verify())


def test_nothing_listed_is_nothing_known() -> None:
    """Of no versions none is chosen."""
    assert as_of([], valid_at=1, known_at=1) is None
