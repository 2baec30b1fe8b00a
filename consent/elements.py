"""The base data schema of P3P 1.0, section 5.5, and our own elements.

A schema is a set of structures (`postal`, `date`, ...) and of elements that
use them (`user.home-info` is a `contact`). A name is a path through both:
`user.home-info.postal.city`. Four rules give a name its categories:

1. A name that declares categories has those, and no others: not the union
   of what lies below it.
2. A name of variable category takes those of the nearest name above it that
   declares some: `user.bdate.ymd.year` is as demographic as `user.bdate`.
3. `dynamic.cookies` and `dynamic.miscdata` have nothing above them that
   declares any, so whoever refers to them must say.
4. A whole set such as `user`, and a mere step of a path such as `user.case`,
   has the union of the elements in it, taken as rule 1 has them.

Where the drafts and the Recommendation differ, the Recommendation holds. The
elements of `_OURS` are those that a public body holds and P3P never named.
P3P has no category for origin, so `user.race` counts as ``other-category``,
which careful preferences treat as sensitive.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from types import MappingProxyType

from consent.predicates import predicate_of
from consent.vocabulary import Category

_Categories = frozenset[Category]
_VARIABLE: _Categories = frozenset()


def _of(*categories: Category) -> _Categories:
    return frozenset(categories)


_PHY = _of(Category.PHYSICAL)
_DEM = _of(Category.DEMOGRAPHIC)
_ONL = _of(Category.ONLINE)
_UNI = _of(Category.UNIQUEID)
_NAV = _of(Category.NAVIGATION)
_COM = _of(Category.COMPUTER)
_INT = _of(Category.INTERACTIVE)
_FIN = _of(Category.FINANCIAL)
_GOV = _of(Category.GOVERNMENT)

# path within the structure -> (the structure it has, or "", categories)
_Members = Mapping[str, tuple[str, _Categories]]


def _leaves(names: str, categories: _Categories) -> _Members:
    return dict.fromkeys(names.split(), ("", categories))


_STRUCTURES: Mapping[str, _Members] = {
    "date": _leaves(
        "ymd.year ymd.month ymd.day hms.hour hms.minute hms.second"
        " fractionsecond timezone",
        _VARIABLE,
    ),
    "personname": {
        **_leaves("prefix suffix nickname", _DEM),
        **_leaves("given middle family", _PHY),
    },
    "login": _leaves("id password", _UNI),
    "certificate": _leaves("key format", _UNI),
    "telephonenum": _leaves("intcode loccode number ext comment", _PHY),
    "postal": {
        "name": ("personname", _PHY | _DEM),
        **_leaves("street", _PHY),
        **_leaves("city stateprov postalcode country organization", _DEM),
    },
    "telecom": dict.fromkeys(
        ("telephone", "fax", "mobile", "pager"), ("telephonenum", _PHY)
    ),
    "online": _leaves("email uri", _ONL),
    "contact": {
        "postal": ("postal", _PHY | _DEM),
        "telecom": ("telecom", _PHY),
        "online": ("online", _ONL),
    },
    "uri": _leaves("authority stem querystring", _VARIABLE),
    "ipaddr": {
        **_leaves("hostname fullip", _COM),
        **_leaves("partialhostname partialip", _DEM),
    },
    "loginfo": {
        "uri": ("uri", _NAV),
        "timestamp": ("date", _NAV),
        "clientip": ("ipaddr", _COM | _DEM),
        **_leaves("other.httpmethod", _NAV | _COM),
        **_leaves("other.bytes other.statuscode", _NAV),
    },
    "httpinfo": {"referer": ("uri", _NAV), **_leaves("useragent", _COM)},
}

_PERSON: _Members = {
    "name": ("personname", _PHY | _DEM),
    "bdate": ("date", _DEM),
    "login": ("login", _UNI),
    "cert": ("certificate", _UNI),
    **_leaves("gender employer department jobtitle", _DEM),
    "home-info": ("contact", _PHY | _ONL | _DEM),
    "business-info": ("contact", _PHY | _ONL | _DEM),
}

_OURS: _Members = {
    **_leaves(
        "age marital-status education nationality workclass occupation"
        " household.size household.role life-event",
        _DEM,
    ),
    **_leaves("race", _DEM | _of(Category.OTHER)),
    **_leaves("religion", _DEM | _of(Category.POLITICAL)),
    **_leaves(
        "identity.number identity.passport tax.number vehicle.registration",
        _GOV,
    ),
    **_leaves("income.annual income.source salary-class", _FIN | _DEM),
    **_leaves(
        "bank.account benefit.status benefit.kind benefit.amount"
        " pension.status property.value",
        _FIN,
    ),
    **_leaves("property.address", _FIN | _PHY),
    **_leaves("identifier.phone", _PHY | _UNI),
    **_leaves("identifier.email", _ONL | _UNI),
    **_leaves("identifier.account identifier.card", _UNI),
    **_leaves("case.status", _INT),
    **_leaves("case.note", _of(Category.CONTENT)),
    **_leaves("health.note", _of(Category.HEALTH, Category.CONTENT)),
    **_leaves("health.disability", _of(Category.HEALTH)),
    **_leaves("language interests", _of(Category.PREFERENCE)),
}

_SETS: Mapping[str, _Members] = {
    "user": {**_PERSON, **_OURS},
    "thirdparty": _PERSON,
    "business": {
        **_leaves("name department", _DEM),
        "cert": ("certificate", _UNI),
        "contact-info": ("contact", _PHY | _ONL | _DEM),
    },
    "dynamic": {
        "clickstream": ("loginfo", _NAV | _COM),
        "http": ("httpinfo", _NAV | _COM),
        **_leaves("clientevents", _NAV),
        **_leaves("cookies miscdata", _VARIABLE),
        **_leaves("searchtext interactionrecord", _INT),
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DataElement:
    """One name of the schema.

    Attributes:
        name: the full path, such as ``user.home-info.postal``.
        categories: what kind of data it is; empty where whoever refers to
            the element must say.
        leaf: whether nothing lies below it.
    """

    name: str
    categories: frozenset[Category]
    leaf: bool


def _declared(
    prefix: str, members: _Members
) -> Iterator[tuple[str, _Categories]]:
    for path, (structure, categories) in members.items():
        name = f"{prefix}.{path}"
        yield name, categories
        if structure:
            yield from _declared(name, _STRUCTURES[structure])


def _parents(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _resolve(name: str, names: Mapping[str, _Categories]) -> _Categories:
    for step in (name, *_parents(name)):
        if names[step]:
            return names[step]
    return _VARIABLE.union(
        *(
            categories
            for below, categories in names.items()
            if covers(name, below)
            and not any(names[step] for step in _parents(below))
        )
    )


@cache
def schema() -> Mapping[str, DataElement]:
    """Return every element by its name, built at the first call.

    Returns:
        A read-only mapping; its order is that of the schema.
    """
    declared = {
        name: categories
        for prefix, members in _SETS.items()
        for name, categories in _declared(prefix, members)
    }
    steps = {step: _VARIABLE for name in declared for step in _parents(name)}
    names = {**steps, **declared}
    inner = {step for name in names for step in _parents(name)}
    return MappingProxyType(
        {
            name: DataElement(
                name=name,
                categories=_resolve(name, names),
                leaf=name not in inner,
            )
            for name in names
        }
    )


@cache
def leaves(ref: str) -> tuple[str, ...]:
    """Return the leaves that a reference stands for.

    Args:
        ref: an element name, or a name the schema does not know.

    Returns:
        The names of all leaves of the subtree, in the schema's order; the
        name alone where the schema does not know it.
    """
    found = tuple(
        name
        for name, element in schema().items()
        if element.leaf and covers(ref, name)
    )
    return found or (ref,)


def in_base_schema(ref: str) -> bool:
    """Say whether a name is of P3P's base data schema, and not ours."""
    return ref in _base_names()


@cache
def _base_names() -> frozenset[str]:
    return frozenset(
        ref
        for ref in schema()
        if not any(
            covers(f"user.{name}", ref)
            or (covers(ref, f"user.{name}") and ref != "user")
            for name in _OURS
        )
    )


def structure_categories(
    structure: str, path: str
) -> frozenset[Category] | None:
    """Return the categories of a part of a structure of the base schema.

    Args:
        structure: its name, such as ``postal``.
        path: what lies below it, or nothing for all of it.

    Returns:
        The categories; the empty set where they are variable; None where
        there is no such structure or part.
    """
    members = _STRUCTURES.get(structure)
    if members is None:
        return None
    names = dict(_declared(structure, members))
    steps = {step: _VARIABLE for name in names for step in _parents(name)}
    names = {**steps, **names}
    whole = f"{structure}.{path}" if path else structure
    return _resolve(whole, names) if whole in names else None


def covers(ref: str, name: str) -> bool:
    """Say whether a reference includes a name: a node means its subtree.

    Args:
        ref: the reference, such as ``user.home-info``.
        name: the name in question, such as ``user.home-info.postal``.

    Returns:
        True when `name` is `ref` or lies below it.
    """
    return name == ref or name.startswith(ref + ".")


def categories_of(ref: str) -> frozenset[Category] | None:
    """Return the categories of an element.

    Args:
        ref: an element name, without ``#``.

    Returns:
        The categories; the empty set where the element is of variable
        category and whoever refers to it must say; None where the schema
        does not know the name. A predicate has those of its source.
    """
    element = schema().get(ref)
    if element is not None:
        return element.categories
    asked = predicate_of(ref)
    return None if asked is None else schema()[asked.source].categories


def base_categories_of(ref: str) -> frozenset[Category] | None:
    """Return the categories of an element by P3P's own schema.

    Who wrote a P3P file and refers to ``user`` means P3P's ten elements of
    it, the same as those of ``thirdparty``, and none of ours.

    Args:
        ref: an element name, without ``#``.

    Returns:
        As `categories_of`, and the same but for ``user``.
    """
    return categories_of("thirdparty" if ref == "user" else ref)
