"""What the vocabulary is called when people are spoken to.

English and Simplified Chinese. These phrases go into notices, whose text is
hashed and agreed to: changing one makes a new notice, never a new meaning of
an old one.
"""

from collections.abc import Mapping
from enum import StrEnum

from consent.errors import NoticeUnavailable
from consent.vocabulary import (
    Category,
    Language,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

_Phrases = Mapping[StrEnum, tuple[str, str]]

_PHRASES: _Phrases = {
    Purpose.CURRENT: ("to do what you asked for", "办理您申请的事项"),
    Purpose.ADMIN: ("to run its computer systems", "维护信息系统"),
    Purpose.DEVELOP: ("to improve the service", "改进服务"),
    Purpose.TAILORING: (
        "to adapt what you see during this visit",
        "在本次访问中调整显示内容",
    ),
    Purpose.PSEUDO_ANALYSIS: (
        "to study use under a pseudonym",
        "以化名进行分析研究",
    ),
    Purpose.PSEUDO_DECISION: (
        "to make decisions from a pseudonymous profile",
        "根据化名档案作出决定",
    ),
    Purpose.INDIVIDUAL_ANALYSIS: (
        "to study you as an identified person",
        "对您本人进行分析研究",
    ),
    Purpose.INDIVIDUAL_DECISION: (
        "to make decisions about you from a profile",
        "根据您的个人档案对您作出决定",
    ),
    Purpose.CONTACT: (
        "to write to you with offers",
        "以书面或电子方式向您推介",
    ),
    Purpose.HISTORICAL: ("to archive it as history", "作为历史资料存档"),
    Purpose.TELEMARKETING: (
        "to telephone you with offers",
        "以电话向您推介",
    ),
    Purpose.OTHER: (
        "for another purpose, described in the text",
        "用于文中另行说明的其他目的",
    ),
    RecipientClass.OURS: ("the body itself", "本机构"),
    RecipientClass.DELIVERY: ("delivery services", "寄递服务机构"),
    RecipientClass.SAME: (
        "others who follow the same rules",
        "遵循相同规则的其他机构",
    ),
    RecipientClass.OTHER: (
        "others who answer to the body but have other rules",
        "对本机构负责但规则不同的其他机构",
    ),
    RecipientClass.UNRELATED: (
        "third parties whose rules are not known",
        "规则不明的第三方",
    ),
    RecipientClass.PUBLIC: ("the public", "社会公众"),
    Retention.NONE: (
        "it is not kept after this one exchange",
        "本次交互后不保存",
    ),
    Retention.STATED_PURPOSE: (
        "it is kept until the purpose is fulfilled",
        "保存至目的实现为止",
    ),
    Retention.LEGAL_REQUIREMENT: (
        "it is kept for as long as the law requires",
        "按法律规定的期限保存",
    ),
    Retention.BUSINESS_PRACTICES: (
        "it is kept as the body's own timetable says",
        "按本机构的期限表保存",
    ),
    Retention.INDEFINITELY: (
        "it is kept without a known end",
        "保存期限不定",
    ),
    Required.ALWAYS: ("you have no choice about this", "您无法选择"),
    Required.OPT_IN: (
        "only if you ask for it",
        "仅在您主动选择时",
    ),
    Required.OPT_OUT: (
        "unless you object",
        "除非您提出反对",
    ),
    Category.PHYSICAL: ("name and address data", "姓名和住址类信息"),
    Category.ONLINE: ("online contact data", "网络联系方式"),
    Category.UNIQUEID: ("identifiers", "标识符"),
    Category.PURCHASE: ("purchases", "购买信息"),
    Category.FINANCIAL: ("financial data", "财务信息"),
    Category.COMPUTER: ("data about your computer", "计算机信息"),
    Category.NAVIGATION: ("pages that you saw", "浏览信息"),
    Category.INTERACTIVE: ("what you did", "操作信息"),
    Category.DEMOGRAPHIC: ("personal traits", "人口特征信息"),
    Category.CONTENT: ("what was written", "文字内容"),
    Category.STATE: ("session data", "会话信息"),
    Category.POLITICAL: (
        "memberships and beliefs",
        "组织成员身份和信仰信息",
    ),
    Category.HEALTH: ("health data", "健康信息"),
    Category.PREFERENCE: ("likes and dislikes", "偏好信息"),
    Category.LOCATION: ("where you are", "位置信息"),
    Category.GOVERNMENT: ("official identifiers", "官方证件号码"),
    Category.OTHER: ("other data", "其他信息"),
    LegalBasis.CONSENT: ("your consent", "您的同意"),
    LegalBasis.CONTRACT: ("a contract with you", "与您订立的合同"),
    LegalBasis.LEGAL_OBLIGATION: ("a legal obligation", "法定义务"),
    LegalBasis.VITAL_INTERESTS: (
        "the protection of life",
        "保护生命安全",
    ),
    LegalBasis.PUBLIC_TASK: ("a public task", "履行法定职责"),
    LegalBasis.LEGITIMATE_INTERESTS: (
        "a legitimate interest",
        "正当利益",
    ),
}

_COLUMN: Mapping[str, int] = {
    Language.ENGLISH.value: 0,
    Language.CHINESE.value: 1,
}


def column(language: str) -> int:
    """Return which of two texts is in a language.

    Args:
        language: a BCP 47 tag.

    Returns:
        0 for English, 1 for Simplified Chinese.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    try:
        return _COLUMN[language]
    except KeyError:
        msg = f"there are no texts in {language}; there are en and zh-Hans"
        raise NoticeUnavailable(msg) from None


def phrase(word: StrEnum, language: str) -> str:
    """Say a word of the vocabulary as people would.

    Args:
        word: a member of one of the vocabularies.
        language: ``en`` or ``zh-Hans``.

    Returns:
        A phrase that fits into a list or a sentence.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    return _PHRASES[word][column(language)]
