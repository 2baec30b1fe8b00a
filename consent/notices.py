"""The exact text that a person reads before answering.

A notice is a pure function of a declaration and a language, and is named by
the SHA-256 of its UTF-8 bytes. An answer names that hash, so it can always
be shown what was agreed to. It ends with the declaration's digest, so no two
declarations share one. The layout below is therefore part of the evidence: a
change gives new notices and leaves the stored ones as they are.

It says who asks, why, what is essential and what is optional, who gets it,
how long it is kept, what the answer changes and how to take it back (GDPR 7
and 13; PIPL 14 and 17). What rests on the law is told and not asked. A
question that is asked apart has a notice of its own, which says why (PIPL 30).
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from consent.declarations import Declaration
from consent.errors import NoticeUnavailable
from consent.labels import label
from consent.separation import separate_grounds
from consent.statements import UNNAMED, Statement
from consent.vocabulary import LegalBasis, Required, SeparateGround
from consent.wording import column, phrase

_FORMS = {
    "asks": (
        "{name} asks you: {title}",
        "{name}征求您的意见：{title}",
    ),
    "purpose": ("Purpose: {text}", "目的：{text}"),
    "contact": ("Contact: {text}", "联系方式：{text}"),
    "asked": (
        "Question {id}: do you allow this?",
        "问题 {id}：您是否同意以下处理？",
    ),
    "told": (
        "To be known ({id}): this rests on {basis} and is not asked.",
        "告知事项（{id}）：本项依据为{basis}，无须征求同意。",
    ),
    "use": ("Used {text}.", "用途：{text}。"),
    "essential": (
        "Necessary, all of these or the service cannot act: {text}.",
        "必需（缺少任何一项均无法办理）：{text}。",
    ),
    "optional": (
        "Optional, each as you like: {text}.",
        "可选（逐项自愿）：{text}。",
    ),
    "recipients": ("Passed to: {text}.", "接收方：{text}。"),
    "retention": ("How long: {text}.", "保存期限：{text}。"),
    "days": (
        "{text}, at most {days} days",
        "{text}，最长{days}天",
    ),
    "answer": (
        "What your answer changes: {text}",
        "您的答复有何影响：{text}",
    ),
    "no_effect": (
        "a refusal changes nothing else for you.",
        "拒绝不会对您产生其他影响。",
    ),
    "reference": (
        "Declaration {name}, version {version}: {digest}",
        "声明 {name}，第{version}版：{digest}",
    ),
    "anonymous": (
        "The data is made anonymous when it is collected.",
        "数据在收集时即作匿名处理。",
    ),
}
_APART = {
    SeparateGround.PROVISION: (
        "This is asked apart because the data goes to another body.",
        "本项单独征求同意，因为信息将提供给其他机构。",
    ),
    SeparateGround.PUBLICATION: (
        "This is asked apart because the data is made public.",
        "本项单独征求同意，因为信息将被公开。",
    ),
    SeparateGround.SENSITIVE: (
        (
            "This is asked apart because the data is sensitive: its use can"
            " touch your dignity, your safety or your property. It is needed"
            " for the purpose above."
        ),
        (
            "本项单独征求同意，因为涉及敏感个人信息：其使用可能影响您的"
            "人格尊严、人身或财产安全。上述目的需要此类信息。"
        ),
    ),
    SeparateGround.ABROAD: (
        "This is asked apart because the data leaves the country.",
        "本项单独征求同意，因为信息将提供至境外。",
    ),
}
_WITHDRAW = (
    (
        "You may refuse. You may take a yes back at any time, in as few steps"
        " as you gave it, under “My consents” or at the contact above. What"
        " was done before stays lawful."
    ),
    (
        "您可以拒绝。同意后可随时在“我的同意”页面或通过上述联系方式撤回，"
        "步骤不多于同意时。撤回不影响此前处理的效力。"
    ),
)
_JOIN = ("; ", "；")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """The text that one person reads.

    Attributes:
        text: the text.
        digest: SHA-256 of its UTF-8 bytes, 64 hexadecimal digits.
        language: its language.
        statement: the one statement that it is about; nothing for all.
    """

    text: str
    digest: str
    language: str
    statement: str = ""


def notice_digest(text: str) -> str:
    """Return the hash that names a notice.

    Args:
        text: its exact text.

    Returns:
        SHA-256 of the UTF-8 bytes, 64 hexadecimal digits.
    """
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def render_notice(
    declaration: Declaration, language: str, statement: str = ""
) -> Notice:
    """Write the notice of a declaration, or of one of its statements.

    Args:
        declaration: what the service says it does.
        language: ``en`` or ``zh-Hans``.
        statement: the one that is asked apart; nothing for all of them.

    Returns:
        The notice; equal arguments give equal bytes.

    Raises:
        NoticeUnavailable: the declaration's texts are not in that language,
            people are not addressed in it, or there is no such statement.
    """
    text = "\n".join(_lines(declaration, language, statement)) + "\n"
    return Notice(
        text=text,
        digest=notice_digest(text),
        language=language,
        statement=statement,
    )


def notice_for(
    declaration: Declaration, language: str, statement: str
) -> Notice:
    """Write the notice that an answer to a statement has to refer to.

    Args:
        declaration: what the service says it does.
        language: ``en`` or ``zh-Hans``.
        statement: the statement that is answered.

    Returns:
        The statement's own where it is asked apart, else that of the whole.

    Raises:
        NoticeUnavailable: as `render_notice`.
    """
    found = declaration.statement(statement)
    apart = found is not None and separate_grounds(declaration, found)
    return render_notice(declaration, language, statement if apart else "")


def _lines(
    declaration: Declaration, language: str, only: str
) -> Iterator[str]:
    which = column(language)
    texts = declaration.title, declaration.purpose_text
    if any(language not in text for text in texts):
        msg = (
            f"declaration {declaration.digest} has no texts in {language}; "
            "add them in a new version"
        )
        raise NoticeUnavailable(msg)
    controller = declaration.controller
    yield _FORMS["asks"][which].format(
        name=controller.name or declaration.service,
        title=declaration.title[language],
    )
    yield _FORMS["purpose"][which].format(
        text=declaration.purpose_text[language]
    )
    if controller.contact:
        yield _FORMS["contact"][which].format(text=controller.contact)
    for statement in _chosen_statements(declaration, only):
        yield ""
        yield from _statement_lines(statement, language)
        if only:
            grounds = separate_grounds(declaration, statement)
            yield from (_APART[one][which] for one in sorted(grounds))
    yield ""
    yield withdrawal_method(language)
    yield _FORMS["reference"][which].format(
        name=f"{declaration.service}/{declaration.purpose}",
        version=declaration.version,
        digest=declaration.digest,
    )


def _chosen_statements(
    declaration: Declaration, only: str
) -> tuple[Statement, ...]:
    if not only:
        return declaration.statements
    found = declaration.statement(only)
    if found is None:
        msg = f"declaration {declaration.digest} has no statement {only}"
        raise NoticeUnavailable(msg)
    return (found,)


def _statement_lines(statement: Statement, language: str) -> Iterator[str]:
    which = column(language)
    asked = statement.basis is LegalBasis.CONSENT

    def line(form: str, text: str) -> str:
        return _FORMS[form][which].format(text=text)

    yield _FORMS["asked" if asked else "told"][which].format(
        id=statement.id, basis=phrase(statement.basis, language)
    )
    yield line("use", _JOIN[which].join(_uses(statement, language)))
    for form, names in _data(statement):
        if names:
            labels = (label(name, language) for name in names)
            yield line(form, _JOIN[which].join(labels))
    if statement.non_identifiable:
        yield _FORMS["anonymous"][which]
    yield line(
        "recipients", _JOIN[which].join(_recipients(statement, language))
    )
    yield line("retention", _kept(statement, language))
    if asked:
        nothing = _FORMS["no_effect"][which]
        yield line("answer", statement.consequence.get(language, nothing))


def _data(statement: Statement) -> Iterator[tuple[str, tuple[str, ...]]]:
    essential = statement.essential
    names = statement.attributes
    yield (
        "essential",
        tuple(n for n in names if n in essential)
        or (() if names else (UNNAMED,)),
    )
    yield "optional", tuple(n for n in names if n not in essential)


def _uses(statement: Statement, language: str) -> Iterator[str]:
    for use in statement.purposes:
        yield _chosen(phrase(use.purpose, language), use.required, language)


def _recipients(statement: Statement, language: str) -> Iterator[str]:
    for name in statement.recipients:
        choice = statement.recipient_choices.get(name, Required.ALWAYS)
        yield _chosen(phrase(name, language), choice, language)


def _chosen(text: str, required: Required, language: str) -> str:
    if required is Required.ALWAYS:
        return text
    brackets = (" ({})", "（{}）")[column(language)]
    return text + brackets.format(phrase(required, language))


def _kept(statement: Statement, language: str) -> str:
    text = phrase(statement.retention, language)
    if statement.retention_days is None:
        return text
    return _FORMS["days"][column(language)].format(
        text=text, days=statement.retention_days
    )


def withdrawal_method(language: str) -> str:
    """Say how a yes is taken back, as every notice does.

    Args:
        language: ``en`` or ``zh-Hans``.

    Returns:
        The closing paragraph of the notices in that language.

    Raises:
        NoticeUnavailable: people are not addressed in that language.
    """
    return _WITHDRAW[column(language)]
