"""Predicates are answered behind the gate; their source never leaves it.

Each answer is a pure function of the canonical value, of the instant that
was passed in, and of the body's time zone:

- ``age_over_NN`` counts completed years on the body's calendar day. Who was
  born on 29 February completes a year on 1 March of a common year: a day
  late rather than a day early.
- ``resident_in_PLACE`` compares the place as the name can spell it: without
  case, accents or punctuation. A postal code is in the place that its first
  characters name. A value in other letters has no spelling, and no answer.
- ``income_band_WIDTH`` gives both ends of the band, the upper one included.

A value that gives no answer is, to the service, a value that is not there.
"""

import unicodedata
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from consent import Predicate, PredicateKind, predicate_of
from policy.classification import Classification, band

_POSTAL_CODE = "user.home-info.postal.postalcode"
_ANSWERS = {True: "true", False: "false"}


class WithPredicates(Mapping[str, Classification]):
    """A classification that knows the predicates of what it classifies.

    A predicate is as delicate as its source and cannot be made coarser.
    Iteration gives the attributes alone: of predicates there is no end.
    """

    def __init__(self, attributes: Mapping[str, Classification]) -> None:
        self._attributes = attributes

    def __getitem__(self, name: str) -> Classification:
        """Return the class of an attribute or of a predicate.

        Raises:
            KeyError: it is neither.

        """
        found = self._attributes.get(name)
        if found is not None:
            return found
        predicate = predicate_of(name)
        if predicate is None:
            raise KeyError(name)
        source = self._attributes[predicate.source]
        return Classification(sensitivity=source.sensitivity, role=source.role)

    def __iter__(self) -> Iterator[str]:
        """Go over the attributes."""
        return iter(self._attributes)

    def __len__(self) -> int:
        """Count the attributes."""
        return len(self._attributes)


def body_zone(name: str) -> tzinfo:
    """Return a time zone by its name in the IANA database.

    Args:
        name: such as ``Europe/Copenhagen``; ``UTC`` needs no database.

    Raises:
        ValueError: this system knows no such zone.

    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        msg = f"no time zone of that name is known here: {name[:64]!r}"
        raise ValueError(msg) from None


def answered(
    predicate: Predicate, value: str, now: int, zone: tzinfo
) -> str | None:
    """Answer a predicate.

    Args:
        predicate: what is asked.
        value: the canonical value of its source.
        now: POSIX seconds.
        zone: the time zone of the body.

    Returns:
        ``true``, ``false`` or the band; None where the value is not one
        that this can be asked of.

    """
    match predicate.kind:
        case PredicateKind.AGE_OVER:
            return _age_over(int(predicate.parameter), value, now, zone)
        case PredicateKind.RESIDENT_IN:
            return _resident_in(predicate, value)
        case PredicateKind.INCOME_BAND:
            if not (value.isascii() and value.isdecimal()):
                return None
            return band(int(predicate.parameter))(value)


def _age_over(years: int, value: str, now: int, zone: tzinfo) -> str | None:
    try:
        born = date.fromisoformat(value)
    except ValueError:
        return None
    today = datetime.fromtimestamp(now, zone).date()
    if born > today:
        return None
    before = (today.month, today.day) < (born.month, born.day)
    return _ANSWERS[today.year - born.year - before >= years]


def _resident_in(predicate: Predicate, value: str) -> str | None:
    place = _spelled(value)
    if place is None:
        return None
    if predicate.source == _POSTAL_CODE:
        code = place.replace("-", "")
        return _ANSWERS[code.startswith(predicate.parameter.replace("-", ""))]
    return _ANSWERS[place == predicate.parameter]


def _spelled(place: str) -> str | None:
    """Spell a place in small ASCII letters, digits and single hyphens."""
    letters = [
        one if one.isalnum() else " "
        for one in unicodedata.normalize("NFKD", place.casefold())
        if not unicodedata.combining(one)
    ]
    text = "-".join("".join(letters).split())
    return text if text and text.isascii() else None
