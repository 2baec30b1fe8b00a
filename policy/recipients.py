"""Who holds the data: found from the disclosures that were made.

A disclosure here is what a service truly got. A decision that released
nothing, or an attribute that had no value, is not named to anybody: to the
service that asked it was the same as an unknown person (DESIGN, invariant
6), and must stay so.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from uuid import UUID

from consent import source_of
from policy.happenings import Happening, HappeningKind


@dataclass(frozen=True, slots=True, kw_only=True)
class PastDisclosure:
    """What one service got in one answer about the person."""

    decision: UUID
    at: int
    service: str
    purpose: str
    attributes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holder:
    """A service that is to be told, and what it holds.

    Attributes:
        service: the service.
        purpose: for which it holds it.
        attributes: names of what it is told about.
        decisions: the disclosures it has them from, the latest first.
    """

    service: str
    purpose: str
    attributes: tuple[str, ...]
    decisions: tuple[UUID, ...]


def holders(
    happening: Happening, past: Iterable[PastDisclosure]
) -> list[Holder]:
    """Say who is to be told of a happening.

    Args:
        happening: what ended.
        past: every disclosure about the person.

    Returns:
        By service and purpose. The service whose consent ended is among
        them even where it got nothing.
    """
    found: dict[tuple[str, str], list[PastDisclosure]] = {}
    if happening.service:
        found[happening.service, happening.purpose] = []
    wanted = frozenset(happening.attributes)
    for one in past:
        if _concerns(happening, one) and (
            not wanted or wanted & _sources(one.attributes)
        ):
            found.setdefault((one.service, one.purpose), []).append(one)
    return [
        Holder(
            service=service,
            purpose=purpose,
            attributes=_told(happening.attributes, listed),
            decisions=tuple(
                one.decision
                for one in sorted(listed, key=lambda each: -each.at)
            ),
        )
        for (service, purpose), listed in sorted(found.items())
    ]


def _concerns(happening: Happening, one: PastDisclosure) -> bool:
    if happening.service:
        return (one.service, one.purpose) == (
            happening.service,
            happening.purpose,
        )
    if happening.kind is HappeningKind.OBJECTED:
        return one.purpose == happening.purpose
    return True


def _told(
    wanted: tuple[str, ...], listed: Iterable[PastDisclosure]
) -> tuple[str, ...]:
    """Name what is told about, as the service knows it.

    Who was answered a predicate alone is told of that predicate.
    """
    got = _names(listed)
    asked = {source_of(name) for name in got} - set(got)
    return (
        *(name for name in wanted if name not in asked),
        *(name for name in got if _is_of(name, wanted)),
    ) or got


def _is_of(name: str, wanted: tuple[str, ...]) -> bool:
    return source_of(name) != name and source_of(name) in wanted


def _sources(names: frozenset[str]) -> frozenset[str]:
    return frozenset(source_of(name) for name in names)


def _names(listed: Iterable[PastDisclosure]) -> tuple[str, ...]:
    return tuple(sorted({name for one in listed for name in one.attributes}))
