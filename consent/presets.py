"""Four rule sets with plain names, for people who write no rules.

They are our own. Mozilla's and Privacy Bird's defaults of 2002 are not
copied: one let health data be sold, another kept shops from taking payment.

`EACH_TIME` is what holds for a person who never chose: no standing rule, so
every question reaches them, and nothing that they answered is overruled by
a rule that they never saw.
"""

from collections.abc import Mapping
from types import MappingProxyType

from consent.preferences import Behavior, Preferences, Rule
from consent.vocabulary import (
    RECIPIENT_ORDER,
    RETENTION_ORDER,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    at_most,
    beyond,
)

ONLY_NEEDED = "only-needed"
CAREFUL = "careful"
CONTRIBUTE = "contribute"
EACH_TIME = "each-time"

_ADVERTISING = frozenset({Purpose.CONTACT, Purpose.TELEMARKETING})
_SENSITIVE = frozenset(
    {
        Category.HEALTH,
        Category.POLITICAL,
        Category.FINANCIAL,
        Category.GOVERNMENT,
        Category.LOCATION,
        Category.OTHER,
    }
)
_TASK = frozenset({Purpose.CURRENT, Purpose.ADMIN})
_STUDY = frozenset(
    {Purpose.DEVELOP, Purpose.PSEUDO_ANALYSIS, Purpose.HISTORICAL}
)
_OPEN_END = beyond(RETENTION_ORDER, Retention.LEGAL_REQUIREMENT)
_STRANGERS = beyond(RECIPIENT_ORDER, RecipientClass.OTHER)
_OTHERWISE_NO = Rule(id="otherwise-no", behavior=Behavior.REFUSE)
_OTHERWISE_YES = Rule(id="otherwise-yes", behavior=Behavior.ALLOW)
_NO_OPEN_END = Rule(
    id="no-open-end", behavior=Behavior.REFUSE, retentions=_OPEN_END
)
_MY_REQUEST = Rule(
    id="my-request",
    behavior=Behavior.ALLOW,
    purposes=_TASK,
    recipients=at_most(RECIPIENT_ORDER, RecipientClass.DELIVERY),
)
_NO_STRANGERS = Rule(
    id="no-strangers", behavior=Behavior.REFUSE, recipients=_STRANGERS
)

PRESETS: Mapping[str, Preferences] = MappingProxyType(
    {
        ONLY_NEEDED: Preferences(
            rules=(_NO_OPEN_END, _MY_REQUEST, _OTHERWISE_NO)
        ),
        CAREFUL: Preferences(
            rules=(
                _NO_OPEN_END,
                _NO_STRANGERS,
                _MY_REQUEST,
                Rule(
                    id="sensitive-only-for-my-request",
                    behavior=Behavior.REFUSE,
                    categories=_SENSITIVE,
                ),
                Rule(
                    id="studies-see-less",
                    behavior=Behavior.LIMIT,
                    level=1,
                    purposes=_STUDY,
                    recipients=frozenset({RecipientClass.OURS}),
                ),
                Rule(
                    id="what-i-ask-for",
                    behavior=Behavior.ALLOW,
                    required=frozenset({Required.OPT_IN}),
                ),
                _OTHERWISE_NO,
            )
        ),
        CONTRIBUTE: Preferences(
            rules=(
                _NO_STRANGERS,
                Rule(
                    id="no-advertising",
                    behavior=Behavior.REFUSE,
                    purposes=_ADVERTISING,
                    required=frozenset({Required.ALWAYS}),
                ),
                Rule(
                    id="sensitive-studies-see-less",
                    behavior=Behavior.LIMIT,
                    level=1,
                    categories=_SENSITIVE,
                    purposes=_STUDY,
                ),
                _OTHERWISE_YES,
            )
        ),
        EACH_TIME: Preferences(rules=(_OTHERWISE_YES,)),
    }
)

DEFAULT_PRESET = EACH_TIME

_TITLES: Mapping[str, Mapping[str, str]] = {
    ONLY_NEEDED: {
        "en": "Only what my own request needs",
        "zh-Hans": "仅限办理我本人的申请所需",
    },
    CAREFUL: {
        "en": "Careful: my request, and studies that see less",
        "zh-Hans": "谨慎：办理我的申请，研究只看概略信息",
    },
    CONTRIBUTE: {
        "en": "Help to improve services, without advertising",
        "zh-Hans": "帮助改进服务，但不接受推销",
    },
    EACH_TIME: {
        "en": "No standing rules: ask me each time",
        "zh-Hans": "不设常用规则：每次都问我",
    },
}


def preset_title(name: str, language: str) -> str:
    """Return what a preset is called.

    Args:
        name: a key of `PRESETS`.
        language: ``en`` or ``zh-Hans``.

    Returns:
        The title.

    Raises:
        KeyError: there is no such preset, or not in that language.
    """
    return _TITLES[name][language]
