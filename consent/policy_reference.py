"""Which policy is about which resource: policy reference files.

P3P 1.0, section 2.3. A META lists policies; each covers the local URIs that
one of its INCLUDEs matches and no EXCLUDE does, for the methods it names.
The first that covers a resource is the one that holds; a list that has
expired counts as none at all.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from consent.expiry import DAY, Expiry, read_expiry
from consent.findings import Note
from consent.p3p_xml import Element
from consent.wildcards import matches

WELL_KNOWN = "/w3c/p3p.xml"
"""Where a site's reference file is looked for first."""

_ESCAPE = re.compile("%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset(
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CookiePattern:
    """Which cookies a COOKIE-INCLUDE or COOKIE-EXCLUDE is about."""

    name: str = "*"
    value: str = "*"
    domain: str = "*"
    path: str = "*"

    def covers(self, cookie: "Cookie") -> bool:
        """Say whether it is about a cookie."""
        return (
            matches(self.name, cookie.name)
            and matches(self.value, cookie.value)
            and matches(self.domain, cookie.domain)
            and matches(self.path, cookie.path)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Cookie:
    """A cookie as it is set."""

    name: str
    value: str = ""
    domain: str = ""
    path: str = "/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyReference:
    """A POLICY-REF.

    Attributes:
        about: the address of the policy, with ``#`` and its name.
        includes: patterns of local URIs.
        excludes: patterns of local URIs.
        cookie_includes: patterns of cookies.
        cookie_excludes: patterns of cookies.
        methods: HTTP methods; none means all.
    """

    about: str
    includes: tuple[str, ...] = ()
    excludes: tuple[str, ...] = ()
    cookie_includes: tuple[CookiePattern, ...] = ()
    cookie_excludes: tuple[CookiePattern, ...] = ()
    methods: tuple[str, ...] = ()

    def covers(self, uri: str, method: str = "GET") -> bool:
        """Say whether the policy is about a resource.

        Args:
            uri: path and query, from the root of the host.
            method: the HTTP method.
        """
        local = _plain(uri).replace("*", "%2A")

        def hit(patterns: tuple[str, ...]) -> bool:
            return any(matches(_plain(each), local) for each in patterns)

        return (
            (not self.methods or method in self.methods)
            and hit(self.includes)
            and not hit(self.excludes)
        )

    def covers_cookie(self, cookie: Cookie) -> bool:
        """Say whether the policy is about a cookie."""
        return any(p.covers(cookie) for p in self.cookie_includes) and not any(
            p.covers(cookie) for p in self.cookie_excludes
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """Where the reference file of another host may be."""

    scope: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceFile:
    """The POLICY-REFERENCES of a META.

    Attributes:
        expiry: how long they are good for; a day where nothing is said.
        references: which policy is about what; the first that covers holds.
        hints: where other hosts' files may be.
    """

    expiry: Expiry = field(default_factory=lambda: Expiry(max_age=DAY))
    references: tuple[PolicyReference, ...] = ()
    hints: tuple[Hint, ...] = ()

    def expired(self, *, fetched: int, now: int) -> bool:
        """Say whether it has expired, and so counts as absent.

        Args:
            fetched: when it was fetched, in POSIX seconds.
            now: the time, in POSIX seconds.
        """
        return self.expiry.ends(fetched) <= now

    def about(self, uri: str, method: str = "GET") -> str | None:
        """Return the address of the policy about a resource, or None.

        Args:
            uri: path and query, from the root of the host.
            method: the HTTP method.
        """
        for reference in self.references:
            if reference.covers(uri, method):
                return reference.about
        return None

    def about_cookie(self, cookie: Cookie) -> str | None:
        """Return the address of the policy about a cookie, or None."""
        for reference in self.references:
            if reference.covers_cookie(cookie):
                return reference.about
        return None


def _plain(uri: str) -> str:
    """Decode what needs no escape, and write what does in one way."""

    def one(found: re.Match[str]) -> str:
        character = chr(int(found[1], 16))
        return character if character in _UNRESERVED else found[0].upper()

    return _ESCAPE.sub(one, uri)


def read_references(meta: Element, note: Note) -> ReferenceFile:
    """Read the POLICY-REFERENCES of a META.

    Args:
        meta: the META.
        note: where to report findings.

    Returns:
        What it lists; nothing where there is no POLICY-REFERENCES.
    """
    group = meta.first("POLICY-REFERENCES")
    if group is None:
        return ReferenceFile()
    references = tuple(
        _reference(each, note) for each in group.all("POLICY-REF")
    )
    _note_shadowed(group, references, note)
    return ReferenceFile(
        expiry=read_expiry(group, note) or Expiry(max_age=DAY),
        references=references,
        hints=tuple(
            Hint(
                scope=each.attributes.get("scope", ""),
                path=each.attributes.get("path", ""),
            )
            for each in group.all("HINT")
        ),
    )


def _reference(element: Element, note: Note) -> PolicyReference:
    reference = PolicyReference(
        about=element.attributes.get("about", ""),
        includes=tuple(_patterns(element, "INCLUDE", note)),
        excludes=tuple(_patterns(element, "EXCLUDE", note)),
        cookie_includes=tuple(_cookies(element, "COOKIE-INCLUDE")),
        cookie_excludes=tuple(_cookies(element, "COOKIE-EXCLUDE")),
        methods=tuple(each.text.strip() for each in element.all("METHOD")),
    )
    if not reference.includes and not reference.cookie_includes:
        note(element, "no-cover", "the POLICY-REF includes nothing")
    elif reference.excludes and not reference.includes:
        note(element, "no-cover", "EXCLUDE means nothing without INCLUDE")
    return reference


def _patterns(element: Element, name: str, note: Note) -> Iterator[str]:
    for each in element.all(name):
        pattern = each.text.strip()
        if re.match("[A-Za-z][A-Za-z0-9+.-]*://", pattern):
            note(
                each,
                "absolute-pattern",
                f"{name} is no local URI, so it matches nothing",
            )
        elif not pattern.startswith(("/", "*")):
            note(
                each,
                "odd-pattern",
                f"{name} does not begin with / or *, so it matches nothing",
            )
        yield pattern


def _cookies(element: Element, name: str) -> Iterator[CookiePattern]:
    for each in element.all(name):
        said = each.attributes
        yield CookiePattern(
            name=said.get("name", "*"),
            value=said.get("value", "*"),
            domain=said.get("domain", "*"),
            path=said.get("path", "*"),
        )


def _note_shadowed(
    group: Element, references: tuple[PolicyReference, ...], note: Note
) -> None:
    everything = False
    for element, reference in zip(
        group.all("POLICY-REF"), references, strict=True
    ):
        if everything and reference.includes:
            note(
                element,
                "shadowed",
                "a POLICY-REF before this one covers every URI already",
            )
        everything |= (
            not reference.excludes
            and not reference.methods
            and bool({"/*", "*"} & set(reference.includes))
        )
