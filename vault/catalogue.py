"""The attributes that the vault knows, by name and by stable number.

Names are those of the P3P 1.0 base data schema (``user.name.given``,
``user.home-info.postal.city``; the same names serve the Java portlet
specifications), extended for e-government in the same manner. A number goes
into the associated data of every sealed value: it is never changed and never
given to another attribute. New attributes take new numbers; a withdrawn one
leaves its number unused.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeAlias

from vault.errors import InvalidValue, UnknownAttribute
from vault.places import OWN
from vault.values import Kind, Unfit, canonical

_Line: TypeAlias = tuple[int, str, Kind, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One attribute of a person.

    Attributes:
        name: such as ``user.bdate``.
        number: stable, from 1, below `vault.places.OWN`, never reused.
        kind: what its values look like.
        index: whether exact look-up is allowed; values are then unique.
        max_length: most characters of a value.

    """

    name: str
    number: int
    kind: Kind = Kind.TEXT
    index: bool = False
    max_length: int = 256


class Catalogue:
    """A frozen mapping from names to attributes."""

    __slots__ = ("_by_name", "_by_number")

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        """Take the attributes.

        Raises:
            ValueError: a name or number occurs twice, or is out of range.

        """
        listed = sorted(attributes, key=lambda one: one.number)
        self._by_name = {one.name: one for one in listed}
        self._by_number = {one.number: one for one in listed}
        if not len(listed) == len(self._by_name) == len(self._by_number):
            msg = "a name or number occurs twice in the catalogue"
            raise ValueError(msg)
        if any(not 0 < one.number < OWN for one in listed):
            msg = "a number is out of range in the catalogue"
            raise ValueError(msg)

    def __getitem__(self, name: str) -> Attribute:
        """Give the attribute of a name.

        Raises:
            UnknownAttribute: there is none.

        """
        try:
            return self._by_name[name]
        except KeyError:
            raise UnknownAttribute(name) from None

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def numbered(self, number: int) -> Attribute:
        """Give the attribute of a number.

        Raises:
            UnknownAttribute: there is none.

        """
        try:
            return self._by_number[number]
        except KeyError:
            raise UnknownAttribute(number) from None

    def indexed(self) -> tuple[Attribute, ...]:
        """List the attributes that allow exact look-up."""
        return tuple(one for one in self._by_name.values() if one.index)


def validate(attribute: Attribute, text: str) -> str:
    """Give the canonical form of a value.

    Raises:
        InvalidValue: the text is no value of the attribute. The message
            names the attribute and a reason, never the text.

    """
    try:
        return canonical(attribute.kind, text, attribute.max_length)
    except Unfit as unfit:
        raise InvalidValue(attribute.name, unfit.reason) from None


def standard_catalogue() -> Catalogue:
    """Give the catalogue that the product ships with."""
    return Catalogue(
        Attribute(
            name=name,
            number=number,
            kind=kind,
            max_length=length,
            index=name in _INDEXED,
        )
        for number, name, kind, length in _STANDARD
    )


_INDEXED = frozenset(
    {
        "user.identity.number",
        "user.identity.passport",
        "user.tax.number",
        "user.home-info.online.email",
        "user.identifier.phone",
        "user.identifier.email",
        "user.identifier.account",
        "user.identifier.card",
    }
)
"""Unique identifiers only. A skewed attribute is never indexed: equal
digests would show how often each value occurs. Telephone numbers are left
out because a household shares them and an index makes values unique; the
identifiers of channels (``user.identifier``) are those that somebody proved
to be theirs alone, and a person may have several of a kind."""

# Append only. Never change a number, never reuse one.
_STANDARD: tuple[_Line, ...] = (
    (1, "user.name.prefix", Kind.TEXT, 32),
    (2, "user.name.given", Kind.TEXT, 100),
    (3, "user.name.middle", Kind.TEXT, 100),
    (4, "user.name.family", Kind.TEXT, 100),
    (5, "user.name.suffix", Kind.TEXT, 32),
    (6, "user.name.nickname", Kind.TEXT, 100),
    (7, "user.bdate", Kind.DATE, 10),
    (8, "user.gender", Kind.TEXT, 32),
    (9, "user.employer", Kind.TEXT, 200),
    (10, "user.department", Kind.TEXT, 200),
    (11, "user.jobtitle", Kind.TEXT, 200),
    (12, "user.home-info.postal.street", Kind.TEXT, 200),
    (13, "user.home-info.postal.city", Kind.TEXT, 100),
    (14, "user.home-info.postal.stateprov", Kind.TEXT, 100),
    (15, "user.home-info.postal.postalcode", Kind.POSTAL_CODE, 20),
    (16, "user.home-info.postal.country", Kind.COUNTRY, 2),
    (17, "user.home-info.postal.organization", Kind.TEXT, 200),
    (18, "user.home-info.telecom.telephone", Kind.PHONE, 16),
    (19, "user.home-info.telecom.mobile", Kind.PHONE, 16),
    (20, "user.home-info.telecom.fax", Kind.PHONE, 16),
    (21, "user.home-info.online.email", Kind.EMAIL, 254),
    (22, "user.home-info.online.uri", Kind.URI, 500),
    (23, "user.business-info.postal.street", Kind.TEXT, 200),
    (24, "user.business-info.postal.city", Kind.TEXT, 100),
    (25, "user.business-info.postal.stateprov", Kind.TEXT, 100),
    (26, "user.business-info.postal.postalcode", Kind.POSTAL_CODE, 20),
    (27, "user.business-info.postal.country", Kind.COUNTRY, 2),
    (28, "user.business-info.telecom.telephone", Kind.PHONE, 16),
    (29, "user.business-info.online.email", Kind.EMAIL, 254),
    (30, "user.identity.number", Kind.IDENTITY_NUMBER, 18),
    (31, "user.identity.passport", Kind.TEXT, 20),
    (32, "user.tax.number", Kind.TEXT, 32),
    (33, "user.income.annual", Kind.INTEGER, 18),
    (34, "user.income.source", Kind.TEXT, 100),
    (35, "user.household.size", Kind.INTEGER, 3),
    (36, "user.household.role", Kind.TEXT, 64),
    (37, "user.marital-status", Kind.TEXT, 64),
    (38, "user.education", Kind.TEXT, 64),
    (39, "user.race", Kind.TEXT, 64),
    (40, "user.nationality", Kind.TEXT, 64),
    (41, "user.workclass", Kind.TEXT, 64),
    (42, "user.occupation", Kind.TEXT, 64),
    (43, "user.salary-class", Kind.TEXT, 16),
    (44, "user.age", Kind.INTEGER, 3),
    (45, "user.benefit.status", Kind.TEXT, 64),
    (46, "user.benefit.kind", Kind.TEXT, 64),
    (47, "user.benefit.amount", Kind.INTEGER, 18),
    (48, "user.property.address", Kind.TEXT, 300),
    (49, "user.property.value", Kind.INTEGER, 18),
    (50, "user.vehicle.registration", Kind.TEXT, 20),
    (51, "user.health.note", Kind.NOTE, 4000),
    (52, "user.health.disability", Kind.TEXT, 100),
    (53, "user.case.note", Kind.NOTE, 8000),
    (54, "user.case.status", Kind.TEXT, 64),
    (55, "user.language", Kind.TEXT, 35),
    (56, "user.religion", Kind.TEXT, 64),
    (57, "user.pension.status", Kind.TEXT, 64),
    (58, "user.bank.account", Kind.TEXT, 40),
    (59, "user.interests", Kind.TEXT, 500),
    (60, "user.life-event", Kind.TEXT, 100),
    (61, "user.identifier.phone", Kind.PHONE, 16),
    (62, "user.identifier.email", Kind.EMAIL, 254),
    (63, "user.identifier.account", Kind.TEXT, 64),
    (64, "user.identifier.card", Kind.TEXT, 32),
)
