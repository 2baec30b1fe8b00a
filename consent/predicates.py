"""Predicates: what can be asked about an attribute in place of its value.

A predicate is named below the element that it is computed from, and is
declared, agreed to and answered like any other element of data:

    user.bdate.age_over_18                        "true" or "false"
    user.home-info.postal.country.resident_in_dk  "true" or "false"
    user.income.annual.income_band_10000          "20000-29999"

Because it stands below its source, whoever agreed to the source agreed to
it, a person's rule about the source is a rule about it, and a version that
declares it instead of the source is narrower and asks nobody again.
``age_over_NN`` is the name and the meaning of ISO/IEC 18013-5: the person
has completed NN years.

Enough thresholds around one value are the value, and a service puts together
what it hears for all of its purposes. So `MOST` bounds how many one
declaration may name, and how many all that a service has in force name
together.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache


class PredicateKind(StrEnum):
    """What is asked.

    Attributes:
        AGE_OVER: whether the person has completed that many years.
        RESIDENT_IN: whether the person's home is in that place.
        INCOME_BAND: in which band of that width the income lies.
    """

    AGE_OVER = "age_over"
    RESIDENT_IN = "resident_in"
    INCOME_BAND = "income_band"


@dataclass(frozen=True, slots=True, kw_only=True)
class Predicate:
    """One question about one attribute.

    Attributes:
        name: the full name, such as ``user.bdate.age_over_18``.
        source: the attribute that it is computed from.
        kind: what is asked.
        parameter: years, place or width, as the name spells it.
    """

    name: str
    source: str
    kind: PredicateKind
    parameter: str


MOST: Mapping[PredicateKind, int] = {
    PredicateKind.AGE_OVER: 3,
    PredicateKind.RESIDENT_IN: 5,
    PredicateKind.INCOME_BAND: 1,
}
"""How many predicates of one kind a service may name about a source."""

_HOME = "user.home-info.postal"
_SOURCES: Mapping[str, PredicateKind] = {
    "user.bdate": PredicateKind.AGE_OVER,
    f"{_HOME}.country": PredicateKind.RESIDENT_IN,
    f"{_HOME}.stateprov": PredicateKind.RESIDENT_IN,
    f"{_HOME}.city": PredicateKind.RESIDENT_IN,
    f"{_HOME}.postalcode": PredicateKind.RESIDENT_IN,
    "user.income.annual": PredicateKind.INCOME_BAND,
}
_FORMS: Mapping[PredicateKind, re.Pattern[str]] = {
    PredicateKind.AGE_OVER: re.compile(r"[1-9][0-9]?|1[0-4][0-9]"),
    PredicateKind.RESIDENT_IN: re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*"),
    PredicateKind.INCOME_BAND: re.compile(r"[1-9][0-9]{0,4}000"),
}
_EXAMPLES: Mapping[PredicateKind, str] = {
    PredicateKind.AGE_OVER: "18",
    PredicateKind.RESIDENT_IN: "PLACE",
    PredicateKind.INCOME_BAND: "10000",
}


@lru_cache(maxsize=1024)
def predicate_of(name: str) -> Predicate | None:
    """Read a name as a predicate.

    Args:
        name: the name of an element, without ``#``.

    Returns:
        The predicate; None where the name is none.
    """
    source, _, test = name.rpartition(".")
    kind = _SOURCES.get(source)
    if kind is None or not test.startswith(f"{kind}_"):
        return None
    parameter = test[len(kind) + 1 :]
    if not _FORMS[kind].fullmatch(parameter):
        return None
    return Predicate(name=name, source=source, kind=kind, parameter=parameter)


def source_of(name: str) -> str:
    """Return the attribute that a name is answered from: itself, if none."""
    found = predicate_of(name)
    return name if found is None else found.source


def predicate_sources() -> Mapping[str, PredicateKind]:
    """Return what can be asked of which attribute in place of its value."""
    return _SOURCES


def example_of(source: str) -> str:
    """Spell a predicate of an attribute as one may be declared."""
    kind = _SOURCES[source]
    return f"{source}.{kind}_{_EXAMPLES[kind]}"


def too_many(names: Iterable[str]) -> Iterator[str]:
    """Name the sources about which so much is asked that it tells the value.

    Args:
        names: the elements that are named, in one declaration or in several
            of one service.

    Yields:
        Each source with more predicates than `MOST` has for its kind.
    """
    counted = Counter(map(source_of, predicates_in(names)))
    for source, count in sorted(counted.items()):
        if count > MOST[_SOURCES[source]]:
            yield source


def predicates_in(names: Iterable[str]) -> set[str]:
    """Return those of some names that are predicates."""
    return {name for name in names if predicate_of(name) is not None}


def excess(
    names: Iterable[str], before: Iterable[str], beside: Iterable[str]
) -> Iterator[tuple[str, tuple[str, ...], tuple[str, ...]]]:
    """Say what a version adds to too many questions of one service.

    Args:
        names: the elements that the version names.
        before: those that the version in force of the same purpose names;
            who asks no more than that makes nothing worse.
        beside: those that the service's other purposes name.

    Yields:
        Each source that `too_many` names of all of them, the predicates of it
        that are added, and all of them.
    """
    named = predicates_in(names)
    together = named | predicates_in(beside)
    for source in too_many(together):
        asked = sorted(one for one in together if source_of(one) == source)
        added = tuple(
            one for one in asked if one in named - predicates_in(before)
        )
        if added:
            yield source, added, tuple(asked)
