"""The words of P3P 1.0, section 3, and our own beside them.

The member names and values are P3P's element names; the docstrings say what
each one means. P3P gives no order to recipients or retention. A statement
such as "at most as wide as" needs one, so `RECIPIENT_ORDER`,
`RETENTION_ORDER` and `REQUIRED_ORDER` fix ours, from narrow to wide. That is
a choice of this product and part of what a person agrees to: never reorder.
"""

from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

T = TypeVar("T")


class Purpose(StrEnum):
    """Why data is used (PURPOSE; the compact token in brackets).

    Attributes:
        CURRENT: complete or support the activity that the data was given
            for [CUR].
        ADMIN: technical support of the system [ADM].
        DEVELOP: evaluate and improve the service [DEV].
        TAILORING: adapt what is shown, during one visit only [TAI].
        PSEUDO_ANALYSIS: study a profile that is tied to a pseudonym [PSA].
        PSEUDO_DECISION: decide about the person from such a profile [PSD].
        INDIVIDUAL_ANALYSIS: study a profile of the identified person [IVA].
        INDIVIDUAL_DECISION: decide about the person from it [IVD].
        CONTACT: offer something, by any way but a telephone call [CON].
        HISTORICAL: preserve social history under law or policy [HIS].
        TELEMARKETING: offer something by a telephone call [TEL].
        OTHER: anything else, described in words [OTP].
    """

    CURRENT = "current"
    ADMIN = "admin"
    DEVELOP = "develop"
    TAILORING = "tailoring"
    PSEUDO_ANALYSIS = "pseudo-analysis"
    PSEUDO_DECISION = "pseudo-decision"
    INDIVIDUAL_ANALYSIS = "individual-analysis"
    INDIVIDUAL_DECISION = "individual-decision"
    CONTACT = "contact"
    HISTORICAL = "historical"
    TELEMARKETING = "telemarketing"
    OTHER = "other-purpose"


class Required(StrEnum):
    """What choice the person has about one purpose or recipient.

    Attributes:
        ALWAYS: none.
        OPT_OUT: it happens unless the person objects.
        OPT_IN: it happens only if the person asks for it.
    """

    ALWAYS = "always"
    OPT_IN = "opt-in"
    OPT_OUT = "opt-out"


class RecipientClass(StrEnum):
    """Who gets the data, as a class (RECIPIENT).

    Attributes:
        OURS: the body itself and agents that act only for it [OUR].
        DELIVERY: delivery services that may use it for their own ends [DEL].
        SAME: other legal entities with the same practices [SAM].
        OTHER: entities accountable to us with other practices [OTR].
        UNRELATED: third parties whose practices are not known [UNR].
        PUBLIC: anybody: registers, forums, directories [PUB].
    """

    OURS = "ours"
    DELIVERY = "delivery"
    SAME = "same"
    OTHER = "other-recipient"
    UNRELATED = "unrelated"
    PUBLIC = "public"


class Retention(StrEnum):
    """How long data is kept, as a class (RETENTION).

    Attributes:
        NONE: for one interaction only, never logged [NOR].
        STATED_PURPOSE: until the stated purpose is fulfilled [STP].
        LEGAL_REQUIREMENT: longer, because a law requires it [LEG].
        BUSINESS_PRACTICES: as the body's own timetable says [BUS].
        INDEFINITELY: without a known end [IND].
    """

    NONE = "no-retention"
    STATED_PURPOSE = "stated-purpose"
    LEGAL_REQUIREMENT = "legal-requirement"
    BUSINESS_PRACTICES = "business-practices"
    INDEFINITELY = "indefinitely"


class Category(StrEnum):
    """What kind of data an element holds (CATEGORIES).

    Attributes:
        PHYSICAL: reach the person offline: name, address, telephone [PHY].
        ONLINE: reach the person online: email [ONL].
        UNIQUEID: identifiers that no government and no bank issued [UNI].
        PURCHASE: purchases and ways of paying [PUR].
        FINANCIAL: accounts, balances, income as a state of finances [FIN].
        COMPUTER: the person's computer: network address, browser [COM].
        NAVIGATION: passive behaviour: pages seen, for how long [NAV].
        INTERACTIVE: active behaviour: queries, use of an account [INT].
        DEMOGRAPHIC: traits: gender, age, income class, region [DEM].
        CONTENT: words in messages and notes [CNT].
        STATE: what keeps a session: cookies [STA].
        POLITICAL: membership in a religion, union or party [POL].
        HEALTH: body, mind, sexual orientation, care [HEA].
        PREFERENCE: tastes, likes and dislikes [PRE].
        LOCATION: the exact place where the person is now [LOC].
        GOVERNMENT: identifiers that a government issued [GOV].
        OTHER: anything else, described in words [OTC].
    """

    PHYSICAL = "physical"
    ONLINE = "online"
    UNIQUEID = "uniqueid"
    PURCHASE = "purchase"
    FINANCIAL = "financial"
    COMPUTER = "computer"
    NAVIGATION = "navigation"
    INTERACTIVE = "interactive"
    DEMOGRAPHIC = "demographic"
    CONTENT = "content"
    STATE = "state"
    POLITICAL = "political"
    HEALTH = "health"
    PREFERENCE = "preference"
    LOCATION = "location"
    GOVERNMENT = "government"
    OTHER = "other-category"


class Access(StrEnum):
    """What a person may see of the data held about them (ACCESS).

    Attributes:
        NONIDENT: there is no identified data [NOI].
        ALL: all of it [ALL].
        CONTACT_AND_OTHER: contact data and some of the rest [CAO].
        IDENT_CONTACT: contact data only [IDC].
        OTHER_IDENT: some of the rest, not contact data [OTI].
        NONE: nothing [NON].
    """

    NONIDENT = "nonident"
    ALL = "all"
    CONTACT_AND_OTHER = "contact-and-other"
    IDENT_CONTACT = "ident-contact"
    OTHER_IDENT = "other-ident"
    NONE = "none"


class LegalBasis(StrEnum):
    """Why processing is lawful (GDPR 6(1)(a)-(f); PIPL 13).

    Only `CONSENT` is ever asked for. The others are shown, never asked.
    """

    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal-obligation"
    VITAL_INTERESTS = "vital-interests"
    PUBLIC_TASK = "public-task"
    LEGITIMATE_INTERESTS = "legitimate-interests"


class EventType(StrEnum):
    """What happened to a consent record.

    Attributes:
        REQUESTED: the person was asked, and has not answered yet.
        GIVEN: the person allowed the named attributes.
        REFUSED: the person said no.
        PAUSED: the person stopped the use for a while.
        RESUMED: the person ended the pause.
        RENEWED: the person let a yes that was in force last longer.
        WITHDRAWN: the person took an earlier yes back.
        REVOKED: the controller ended a yes.
        EXPIRED: the time that the yes was given for ran out.
        INVALIDATED: the yes turned out to be void, from a stated time on.
    """

    REQUESTED = "requested"
    GIVEN = "given"
    REFUSED = "refused"
    PAUSED = "paused"
    RESUMED = "resumed"
    RENEWED = "renewed"
    WITHDRAWN = "withdrawn"
    REVOKED = "revoked"
    EXPIRED = "expired"
    INVALIDATED = "invalidated"


class SeparateGround(StrEnum):
    """Why a yes takes an act of its own.

    Attributes:
        PROVISION: the data goes to another body (PIPL 23).
        PUBLICATION: the data is made public (PIPL 25).
        SENSITIVE: the data is of a special or sensitive kind (GDPR 9(2)(a);
            PIPL 29).
        ABROAD: the data leaves the country (PIPL 39).
    """

    PROVISION = "provision"
    PUBLICATION = "publication"
    SENSITIVE = "sensitive"
    ABROAD = "abroad"


class Language(StrEnum):
    """The languages that people are addressed in (BCP 47 tags)."""

    ENGLISH = "en"
    CHINESE = "zh-Hans"


RECIPIENT_ORDER: tuple[RecipientClass, ...] = (
    RecipientClass.OURS,
    RecipientClass.DELIVERY,
    RecipientClass.SAME,
    RecipientClass.OTHER,
    RecipientClass.UNRELATED,
    RecipientClass.PUBLIC,
)
RETENTION_ORDER: tuple[Retention, ...] = (
    Retention.NONE,
    Retention.STATED_PURPOSE,
    Retention.LEGAL_REQUIREMENT,
    Retention.BUSINESS_PRACTICES,
    Retention.INDEFINITELY,
)
REQUIRED_ORDER: tuple[Required, ...] = (
    Required.OPT_IN,
    Required.OPT_OUT,
    Required.ALWAYS,
)


def no_wider(order: Sequence[T], item: T, than: T) -> bool:
    """Say whether one word is at most as wide as another.

    Args:
        order: one of the three orders of this module.
        item: the word in question.
        than: the widest word that is still acceptable.

    Returns:
        True when `item` stands at or before `than` in the order.
    """
    return order.index(item) <= order.index(than)


def at_most(order: Sequence[T], widest: T) -> frozenset[T]:
    """Return the words up to and including one of them.

    Args:
        order: one of the three orders of this module.
        widest: the last word that belongs to the answer.

    Returns:
        Every word that is no wider than `widest`.
    """
    return frozenset(order[: order.index(widest) + 1])


def beyond(order: Sequence[T], limit: T) -> frozenset[T]:
    """Return the words that are wider than one of them.

    Args:
        order: one of the three orders of this module.
        limit: the widest word that does not belong to the answer.

    Returns:
        Every word that is wider than `limit`.
    """
    return frozenset(order[order.index(limit) + 1 :])
