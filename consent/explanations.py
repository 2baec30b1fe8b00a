"""Why a person's rules said what they said, and what would change it.

Every sentence names the element, the statement and the rule that decided;
where something was limited or refused, also the flow that the rule objected
to, because one element can be in several flows.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consent.concessions import Concession, ConcessionKind, concessions
from consent.declarations import Declaration
from consent.labels import label
from consent.matching import Verdict, match_statement
from consent.preferences import NO_RULE, Behavior, Preferences
from consent.rule_words import terms_text
from consent.statements import Statement, Tuple
from consent.vocabulary import (
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)
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
_ON_TERMS = (
    " Terms of your rule “{rule}”: {terms}.",
    "您的规则“{rule}”的条件：{terms}。",
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
    said = forms[column(lang)].format(
        what=label(verdict.attribute, lang),
        statement=verdict.statement,
        rule=verdict.rule,
        level=verdict.level,
        flow="" if row is None else _flow(row, lang),
    )
    return said + "".join(
        _ON_TERMS[column(lang)].format(
            rule=rule, terms=terms_text(terms, lang)
        )
        for rule, terms in verdict.terms
    )


def _flow(row: Tuple, lang: str) -> str:
    return _FLOW[column(lang)].format(
        purpose=phrase(row.purpose, lang),
        recipient=phrase(row.recipient, lang),
        retention=phrase(row.retention, lang),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Explanation:
    """What a person's rules say about one statement, and why.

    Attributes:
        statement: the statement's id.
        behavior: the strictest behavior over its elements.
        rule: the id of the rule that decided it, or `NO_RULE`.
        binding: whether the rules decide at all; where the basis is not
            consent they do not, and the person is told that they object.
        verdicts: one for each element.
        changes: the fewest changes to the statement that the rules would
            accept: past a refusal, or from a limit to the whole value.
        sentences: all of it for the person.
    """

    statement: str
    behavior: Behavior
    rule: str
    binding: bool
    verdicts: tuple[Verdict, ...]
    changes: tuple[Concession, ...]
    sentences: tuple[str, ...]


_STRICT = {behavior: rank for rank, behavior in enumerate(Behavior)}
_NOT_BINDING = (
    "Your rules do not decide about this: it rests on {basis}.",
    "此项不由您的规则决定，因为其依据是：{basis}。",
)
_ACCEPTED_IF = {
    Behavior.REFUSE: (
        "Your rules would accept it if the service did this: {changes}.",
        "若该服务作如下调整，您的规则即可接受：{changes}。",
    ),
    Behavior.LIMIT: (
        "It could be had whole if the service did this: {changes}.",
        "若该服务作如下调整，即可获得完整信息：{changes}。",
    ),
}
_CHANGES: Mapping[ConcessionKind, tuple[str, str]] = {
    ConcessionKind.OFFER_CHOICE: (
        "offer a choice about {what}: {to}",
        "就“{what}”提供选择：{to}",
    ),
    ConcessionKind.SHORTEN_RETENTION: (
        "promise that {to}, and no longer",
        "承诺{to}，不再延长",
    ),
    ConcessionKind.DROP_RECIPIENT: ("not pass it to {what}", "不提供给{what}"),
    ConcessionKind.DROP_DATA: ("not ask for {what}", "不收集{what}"),
    ConcessionKind.DROP_PURPOSE: ("not use it {what}", "不用于{what}"),
    ConcessionKind.DROP_STATEMENT: (
        "leave this out as a whole",
        "整项取消",
    ),
}
_JOINT = ("; ", "；")


def explain_declaration(
    preferences: Preferences, declaration: Declaration, lang: str
) -> list[Explanation]:
    """Explain to a person what their rules say about a declaration.

    Args:
        preferences: the person's rules.
        declaration: what a service says it does.
        lang: ``en`` or ``zh-Hans``.

    Returns:
        One explanation a statement, in their order.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    return [
        _explained(preferences, statement, declaration.service, lang)
        for statement in declaration.statements
    ]


def _explained(
    preferences: Preferences, statement: Statement, service: str, lang: str
) -> Explanation:
    verdicts = match_statement(preferences, statement, service)
    worst = max(
        verdicts, key=lambda one: (_STRICT[one.behavior], one.level or 0)
    )
    changes = _asked_of(preferences, statement, service, worst.behavior)
    binding = statement.basis is LegalBasis.CONSENT
    sentences = explain(verdicts, lang)
    if not binding:
        sentences.append(
            _NOT_BINDING[column(lang)].format(
                basis=phrase(statement.basis, lang)
            )
        )
    if changes:
        told = _JOINT[column(lang)].join(
            change_text(change, lang) for change in changes
        )
        form = _ACCEPTED_IF[worst.behavior][column(lang)]
        sentences.append(form.format(changes=told))
    return Explanation(
        statement=statement.id,
        behavior=worst.behavior,
        rule=worst.rule,
        binding=binding,
        verdicts=tuple(verdicts),
        changes=changes,
        sentences=tuple(sentences),
    )


def _asked_of(
    preferences: Preferences,
    statement: Statement,
    service: str,
    worst: Behavior,
) -> tuple[Concession, ...]:
    if worst is Behavior.ALLOW:
        return ()
    refused = worst is Behavior.REFUSE
    found = concessions(
        preferences,
        statement,
        service,
        accept=Behavior.LIMIT if refused else Behavior.ALLOW,
    )
    if not refused and found[0].kind is ConcessionKind.DROP_STATEMENT:
        # What leaves in a coarser form needs no change to be acceptable.
        return ()
    return found


def change_text(change: Concession, lang: str) -> str:
    """Say a change as what the service would do.

    Args:
        change: the change.
        lang: ``en`` or ``zh-Hans``.

    Returns:
        A phrase that fits behind "the service would".

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    form = _CHANGES[change.kind][column(lang)]
    to = ""
    if change.kind is ConcessionKind.OFFER_CHOICE:
        to = phrase(Required(change.to), lang)
    elif change.kind is ConcessionKind.SHORTEN_RETENTION:
        to = phrase(Retention(change.to), lang)
    return form.format(what=_what(change, lang), to=to)


def _what(change: Concession, lang: str) -> str:
    if change.kind is ConcessionKind.DROP_DATA:
        return label(change.what, lang)
    if change.what in set(Purpose):
        return phrase(Purpose(change.what), lang)
    if change.what in set(RecipientClass):
        return phrase(RecipientClass(change.what), lang)
    return change.what
