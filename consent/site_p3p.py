"""The P3P of a whole site: its reference file, its policies, its header.

P3P 1.0, section 2.2: a browser asks for ``/w3c/p3p.xml`` and finds which
policy is about which address. Each purpose of a service has a policy of its
own, about the page on which people decide; the portal has one about all its
pages and the cookies that it sets, and that one stands in the header.

What is written is read back by our own strict reader without an error; a
test holds it. A policy holds for a day after it was fetched, which is the
least that P3P allows (section 2.3.2.3).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from urllib.parse import quote

from consent.compact import compact_of
from consent.declarations import Declaration
from consent.expiry import DAY, Expiry
from consent.p3p_model import P3PDocument, P3PPolicy
from consent.p3p_writing import policy_of
from consent.policy_reference import (
    CookiePattern,
    PolicyReference,
    ReferenceFile,
)
from consent.vocabulary import Access

REFERENCE_PATH = "/w3c/p3p.xml"
"""Where every browser looks (P3P 1.0, section 2.2.1)."""

POLICIES_PATH = "/w3c/policies.xml"
"""Where our policies are."""

_PORTAL = "portal"


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteAddresses:
    """Where people read and choose.

    Attributes:
        read: the page that tells what the body does.
        choose: the page on which people choose.
        decide: the pages of single purposes, below which a service and a
            purpose name one.
    """

    read: str = "/help"
    choose: str = "/me/consents"
    decide: str = "/me/consents"


def site_policies(
    declarations: Iterable[Declaration],
    *,
    portal: Declaration,
    language: str = "en",
    addresses: SiteAddresses | None = None,
) -> P3PDocument:
    """Return the policies of a site.

    Args:
        declarations: those in force, one a service and purpose.
        portal: what the pages themselves do.
        language: the language of the texts, where they have it.
        addresses: where people read and choose.

    Returns:
        A POLICIES document: the portal's policy, then the others in the
        order of their names.
    """
    where = addresses or SiteAddresses()
    found = [_policy(portal, _PORTAL, language, where)]
    found += [
        _policy(one, policy_name(one), language, where)
        for one in sorted(declarations, key=policy_name)
    ]
    return P3PDocument(
        root="POLICIES",
        language=language,
        expiry=Expiry(max_age=DAY),
        policies=tuple(found),
    )


def site_references(
    declarations: Iterable[Declaration],
    *,
    addresses: SiteAddresses | None = None,
) -> P3PDocument:
    """Return the reference file of a site.

    Args:
        declarations: those in force, one a service and purpose.
        addresses: where people read and choose.

    Returns:
        A META document. The first that covers an address holds, so the
        portal's, which covers all of them and the cookies, stands last.
    """
    where = addresses or SiteAddresses()
    about = [
        PolicyReference(
            about=f"{POLICIES_PATH}#{policy_name(one)}",
            includes=(f"{where.decide}/{_quoted(one)}",),
        )
        for one in sorted(declarations, key=policy_name)
    ]
    about.append(
        PolicyReference(
            about=f"{POLICIES_PATH}#{_PORTAL}",
            includes=("/*",),
            cookie_includes=(CookiePattern(),),
        )
    )
    return P3PDocument(
        root="META",
        references=ReferenceFile(
            expiry=Expiry(max_age=DAY), references=tuple(about)
        ),
    )


def p3p_header(portal: Declaration) -> str:
    """Return the value of the ``P3P`` header of the site's pages.

    Args:
        portal: what the pages themselves do.

    Returns:
        Where the reference file is, and the compact policy of the portal.
    """
    policy = _policy(portal, _PORTAL, "en", SiteAddresses())
    return f'policyref="{REFERENCE_PATH}", CP="{compact_of(policy).text()}"'


def policy_name(declaration: Declaration) -> str:
    """Return the name of a declaration's policy, unique within a site."""
    return f"{declaration.service}.{declaration.purpose}"


def _quoted(declaration: Declaration) -> str:
    return f"{quote(declaration.service, '')}/{quote(declaration.purpose, '')}"


def _policy(
    declaration: Declaration,
    name: str,
    language: str,
    where: SiteAddresses,
) -> P3PPolicy:
    policy = policy_of(declaration, language=language)
    return replace(
        policy,
        name=name,
        discuri=where.read,
        opturi=where.choose,
        access=Access.ALL,
    )
