"""A rule and its terms in a sentence, for the person whose rule it is."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from enum import StrEnum

from consent.labels import label
from consent.preferences import Behavior, Rule
from consent.rule_terms import NO_TERMS, Terms
from consent.wording import column, phrase

_DO: Mapping[Behavior, tuple[str, str]] = {
    Behavior.ALLOW: ("Allow", "允许"),
    Behavior.LIMIT: (
        "Allow in a less precise form (level {level})",
        "仅允许以较不精确的形式（第{level}级）",
    ),
    Behavior.REFUSE: ("Refuse", "拒绝"),
}
_ANYTHING = ("everything else", "其余一切")
# Name of the condition -> how its words are led in.
_LED: Mapping[str, tuple[str, str]] = {
    "attributes": ("this data: {words}", "以下信息：{words}"),
    "categories": ("data of these kinds: {words}", "以下类别：{words}"),
    "purposes": ("if it is used {words}", "用途：{words}"),
    "recipients": ("if it is passed to {words}", "提供对象：{words}"),
    "retentions": ("if {words}", "保存期限：{words}"),
    "services": ("by these services: {words}", "服务：{words}"),
    "required": ("where it is said: {words}", "选择权：{words}"),
    "bases": ("where it rests on {words}", "依据：{words}"),
}
_OR = (" or ", "或")
_AND = ("; ", "；")
_COLON = (": ", "：")
_PAUSED = ("paused until you resume it", "已暂停，直至您恢复")
_SINCE = ("from {day} on", "自{day}起")
_UNTIL = ("until {day}", "至{day}止")
_TIMES = (
    "each service at most {often} in {within}",
    "每项服务在{days}天内最多{times}次",
)
_USES = (
    "each service at most {often} in all",
    "每项服务总共最多{uses}次",
)
_DELETE = (
    "if they promise to delete it within {within}",
    "须承诺在{days}天内删除",
)
_NO_ONWARD = (
    "if they promise to pass it on to nobody",
    "须承诺不再提供给任何人",
)
_NOTIFY = (
    "if they promise to tell you of each use",
    "须承诺每次使用均告知您",
)


def rule_text(rule: Rule, language: str) -> str:
    """Say a rule in one sentence.

    Args:
        rule: the rule.
        language: ``en`` or ``zh-Hans``.

    Returns:
        The sentence, without a full stop. Conditions stand behind each
        other and all of them must be met.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    which = column(language)
    conditions = [
        form[which].format(words=_OR[which].join(words))
        for name, form in _LED.items()
        if (words := _words(name, getattr(rule, name), language))
    ] or [_ANYTHING[which]]
    if rule.terms != NO_TERMS:
        conditions.append(terms_text(rule.terms, language))
    does = _DO[rule.behavior][which].format(level=rule.level)
    return does + _COLON[which] + _AND[which].join(conditions)


def terms_text(terms: Terms, language: str) -> str:
    """Say the terms of a rule.

    Args:
        terms: the terms.
        language: ``en`` or ``zh-Hans``.

    Returns:
        A phrase; days are those of UTC.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    which = column(language)
    parts = []
    if terms.paused:
        parts.append(_PAUSED[which])
    if terms.since is not None:
        parts.append(_SINCE[which].format(day=_day(terms.since)))
    if terms.until is not None:
        parts.append(_UNTIL[which].format(day=_day(terms.until)))
    if terms.times is not None:
        parts.append(
            _TIMES[which].format(
                times=terms.times,
                days=terms.days,
                often=_often(terms.times),
                within=_within(terms.days),
            )
        )
    if terms.uses is not None:
        parts.append(
            _USES[which].format(uses=terms.uses, often=_often(terms.uses))
        )
    if terms.delete_days is not None:
        parts.append(
            _DELETE[which].format(
                days=terms.delete_days, within=_within(terms.delete_days)
            )
        )
    if terms.no_onward_transfer:
        parts.append(_NO_ONWARD[which])
    if terms.notify:
        parts.append(_NOTIFY[which])
    return _AND[which].join(parts)


def _words(name: str, found: Iterable[str], language: str) -> list[str]:
    return [
        phrase(one, language)
        if isinstance(one, StrEnum)
        else label(one, language)
        if name == "attributes"
        else one
        for one in sorted(found)
    ]


def _often(times: int) -> str:
    return "once" if times == 1 else f"{times} times"


def _within(days: int | None) -> str:
    return "1 day" if days == 1 else f"{days} days"


def _day(instant: int) -> str:
    whole = datetime.fromtimestamp(instant, UTC)
    midnight = (whole.hour, whole.minute, whole.second) == (0, 0, 0)
    return f"{whole:%Y-%m-%d}" if midnight else f"{whole:%Y-%m-%d %H:%M} UTC"
