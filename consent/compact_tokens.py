"""The 52 tokens of compact policies (P3P 1.0, section 4.2), and one more.

``CUS`` is a word of the drafts that headers still carry; it is read as
``TAI``. Everything here is a name and its token.
"""

from collections.abc import Mapping

from consent.vocabulary import (
    Access,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

ACCESS: Mapping[str, Access] = {
    "NOI": Access.NONIDENT,
    "ALL": Access.ALL,
    "CAO": Access.CONTACT_AND_OTHER,
    "IDC": Access.IDENT_CONTACT,
    "OTI": Access.OTHER_IDENT,
    "NON": Access.NONE,
}
REMEDIES: Mapping[str, str] = {
    "COR": "correct",
    "MON": "money",
    "LAW": "law",
}
PURPOSES: Mapping[str, Purpose] = {
    "CUR": Purpose.CURRENT,
    "ADM": Purpose.ADMIN,
    "TAI": Purpose.TAILORING,
    "DEV": Purpose.DEVELOP,
    "PSA": Purpose.PSEUDO_ANALYSIS,
    "PSD": Purpose.PSEUDO_DECISION,
    "IVA": Purpose.INDIVIDUAL_ANALYSIS,
    "IVD": Purpose.INDIVIDUAL_DECISION,
    "CON": Purpose.CONTACT,
    "HIS": Purpose.HISTORICAL,
    "TEL": Purpose.TELEMARKETING,
    "OTP": Purpose.OTHER,
}
RECIPIENTS: Mapping[str, RecipientClass] = {
    "OUR": RecipientClass.OURS,
    "DEL": RecipientClass.DELIVERY,
    "SAM": RecipientClass.SAME,
    "UNR": RecipientClass.UNRELATED,
    "PUB": RecipientClass.PUBLIC,
    "OTR": RecipientClass.OTHER,
}
RETENTIONS: Mapping[str, Retention] = {
    "NOR": Retention.NONE,
    "STP": Retention.STATED_PURPOSE,
    "LEG": Retention.LEGAL_REQUIREMENT,
    "BUS": Retention.BUSINESS_PRACTICES,
    "IND": Retention.INDEFINITELY,
}
CATEGORIES: Mapping[str, Category] = {
    "PHY": Category.PHYSICAL,
    "ONL": Category.ONLINE,
    "UNI": Category.UNIQUEID,
    "PUR": Category.PURCHASE,
    "FIN": Category.FINANCIAL,
    "COM": Category.COMPUTER,
    "NAV": Category.NAVIGATION,
    "INT": Category.INTERACTIVE,
    "DEM": Category.DEMOGRAPHIC,
    "CNT": Category.CONTENT,
    "STA": Category.STATE,
    "POL": Category.POLITICAL,
    "HEA": Category.HEALTH,
    "PRE": Category.PREFERENCE,
    "LOC": Category.LOCATION,
    "GOV": Category.GOVERNMENT,
    "OTC": Category.OTHER,
}
CHOICES: Mapping[str, Required] = {
    "a": Required.ALWAYS,
    "i": Required.OPT_IN,
    "o": Required.OPT_OUT,
}
DISPUTES, NON_IDENTIFIABLE, TEST = "DSP", "NID", "TST"
DRAFT = "CUS"
TOKENS = frozenset(
    {
        *ACCESS,
        *REMEDIES,
        *PURPOSES,
        *RECIPIENTS,
        *RETENTIONS,
        *CATEGORIES,
        DISPUTES,
        NON_IDENTIFIABLE,
        TEST,
    }
)
"""All tokens, without their suffixes."""
