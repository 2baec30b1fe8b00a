"""Why a person's rules said what they said, in sentences.

Every sentence names the element, the statement and the rule that decided;
where something was limited or refused, also the flow that the rule objected
to, because one element can be in several flows.
"""

from collections.abc import Iterable

from consent.labels import label
from consent.matching import Verdict
from consent.preferences import NO_RULE, Behavior
from consent.statements import Tuple
from consent.wording import column, phrase

_SENTENCES = {
    Behavior.ALLOW: (
        "{what} ({statement}): allowed by your rule “{rule}”.",
        "{what}（{statement}）：您的规则“{rule}”允许。",
    ),
    Behavior.LIMIT: (
        "{what} ({statement}): level {level} by rule “{rule}”, as {flow}.",
        "{what}（{statement}）：按规则“{rule}”降为第{level}级，因为{flow}。",
    ),
    Behavior.REFUSE: (
        "{what} ({statement}): refused by your rule “{rule}”, as {flow}.",
        "{what}（{statement}）：被您的规则“{rule}”拒绝，因为{flow}。",
    ),
}
_FALLEN_THROUGH = (
    "{what} ({statement}): refused, as none of your rules covers that {flow}.",
    "{what}（{statement}）：已拒绝，您的规则均未涉及：{flow}。",
)
_FLOW = (
    "it would be used {purpose}, passed to {recipient}, and {retention}",
    "该数据将用于“{purpose}”，提供给“{recipient}”，并{retention}",
)


def explain(verdicts: Iterable[Verdict], lang: str) -> list[str]:
    """Explain verdicts to the person whose rules gave them.

    Args:
        verdicts: what `match` returned.
        lang: ``en`` or ``zh-Hans``.

    Returns:
        One sentence a verdict, in their order.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    return [_sentence(verdict, lang) for verdict in verdicts]


def _sentence(verdict: Verdict, lang: str) -> str:
    fallen = verdict.rule == NO_RULE
    forms = _FALLEN_THROUGH if fallen else _SENTENCES[verdict.behavior]
    row = verdict.rejected
    return forms[column(lang)].format(
        what=label(verdict.attribute, lang),
        statement=verdict.statement,
        rule=verdict.rule,
        level=verdict.level,
        flow="" if row is None else _flow(row, lang),
    )


def _flow(row: Tuple, lang: str) -> str:
    return _FLOW[column(lang)].format(
        purpose=phrase(row.purpose, lang),
        recipient=phrase(row.recipient, lang),
        retention=phrase(row.retention, lang),
    )
