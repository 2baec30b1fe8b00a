"""The text that people read before they answer."""

import hashlib
from dataclasses import replace

import pytest

from consent import (
    UNNAMED,
    Category,
    Controller,
    DataItem,
    Declaration,
    Language,
    LegalBasis,
    NoticeUnavailable,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    Statement,
    StatementPurpose,
    render_notice,
)
from consent.labels import label
from consent.vocabulary import EventType
from consent.wording import phrase

DECLARED = Declaration(
    service="moving-house",
    purpose="address-change",
    version=1,
    title={"en": "Moving house", "zh-Hans": "搬家"},
    purpose_text={"en": "To change it.", "zh-Hans": "变更住址。"},
    controller=Controller(name="Sample City", contact="privacy@s.example"),
    statements=(
        Statement(
            id="s1",
            purposes=(
                StatementPurpose(purpose=Purpose.CURRENT),
                StatementPurpose(
                    purpose=Purpose.CONTACT, required=Required.OPT_IN
                ),
            ),
            recipients=(RecipientClass.OURS, RecipientClass.SAME),
            recipient_choices={RecipientClass.SAME: Required.OPT_OUT},
            retention=Retention.STATED_PURPOSE,
            retention_days=90,
            consequence={"en": "You must write.", "zh-Hans": "须书面办理。"},
            data=(
                DataItem(attribute="user.name.given"),
                DataItem(attribute="user.bdate", optional=True),
            ),
        ),
        Statement(
            id="s2",
            basis=LegalBasis.PUBLIC_TASK,
            purposes=(StatementPurpose(purpose=Purpose.ADMIN),),
            recipients=(RecipientClass.OURS,),
            retention=Retention.LEGAL_REQUIREMENT,
            non_identifiable=True,
            data=(DataItem(attribute="user.gender"),),
        ),
    ),
)

ENGLISH = f"""\
Sample City asks you: Moving house
Purpose: To change it.
Contact: privacy@s.example

Question s1: do you allow this?
Used to do what you asked for; to write to you with offers (only if you ask \
for it).
Necessary, all of these or the service cannot act: given name.
Optional, each as you like: date of birth.
Passed to: the body itself; others who follow the same rules (unless you \
object).
How long: it is kept until the purpose is fulfilled, at most 90 days.
What your answer changes: You must write.

To be known (s2): this rests on a public task and is not asked.
Used to run its computer systems.
Necessary, all of these or the service cannot act: gender.
The data is made anonymous when it is collected.
Passed to: the body itself.
How long: it is kept for as long as the law requires.

You may refuse. You may take a yes back at any time, in as few steps as you \
gave it, under “My consents” or at the contact above. What was done before \
stays lawful.
Declaration moving-house/address-change, version 1: {DECLARED.digest}
"""

CHINESE = f"""\
Sample City征求您的意见：搬家
目的：变更住址。
联系方式：privacy@s.example

问题 s1：您是否同意以下处理？
用途：办理您申请的事项；以书面或电子方式向您推介（仅在您主动选择时）。
必需（缺少任何一项均无法办理）：名。
可选（逐项自愿）：出生日期。
接收方：本机构；遵循相同规则的其他机构（除非您提出反对）。
保存期限：保存至目的实现为止，最长90天。
您的答复有何影响：须书面办理。

告知事项（s2）：本项依据为履行法定职责，无须征求同意。
用途：维护信息系统。
必需（缺少任何一项均无法办理）：性别。
数据在收集时即作匿名处理。
接收方：本机构。
保存期限：按法律规定的期限保存。

您可以拒绝。同意后可随时在“我的同意”页面或通过上述联系方式撤回，\
步骤不多于同意时。撤回不影响此前处理的效力。
声明 moving-house/address-change，第1版：{DECLARED.digest}
"""


@pytest.mark.parametrize(
    ("language", "expected"), [("en", ENGLISH), ("zh-Hans", CHINESE)]
)
def test_a_notice_says_all_that_must_be_said(
    language: str, expected: str
) -> None:
    """The whole text, so that no change of it goes unnoticed."""
    notice = render_notice(DECLARED, language)
    assert expected == notice.text
    assert language == notice.language
    assert hashlib.sha256(expected.encode()).hexdigest() == notice.digest


def test_two_declarations_never_share_a_notice() -> None:
    """What is not in the layout still changes the hash."""
    other = replace(DECLARED, assurance=1)
    assert render_notice(other, "en").digest != (
        render_notice(DECLARED, "en").digest
    )


def test_a_declaration_without_the_language_has_no_notice() -> None:
    """Nobody is asked in a language that was not written."""
    english = replace(DECLARED, title={"en": "Moving house"})
    for language in ("zh-Hans", "tlh"):
        with pytest.raises(NoticeUnavailable):
            render_notice(english, language)


def test_what_is_not_named_is_said_to_be_unnamed() -> None:
    """A statement about no data in particular says so."""
    first = DECLARED.statements[0]
    vague = replace(
        DECLARED,
        controller=Controller(),
        statements=(replace(first, data=(), consequence={}),),
    )
    text = render_notice(vague, "en").text
    assert text.startswith("moving-house asks you: ")
    assert "Contact:" not in text
    assert f"act: {label(UNNAMED, 'en')}." in text
    assert "a refusal changes nothing else for you." in text


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize(
    "words",
    [Purpose, RecipientClass, Retention, Required, Category, LegalBasis],
)
def test_every_word_can_be_said(
    words: type[Purpose], language: Language
) -> None:
    """No word of the vocabulary lacks a phrase, none has that of another."""
    said = [phrase(word, language) for word in words]
    assert len(set(said)) == len(said)
    assert all(said)


def test_no_word_is_said_in_an_unknown_language() -> None:
    """An unknown language is an error, not English."""
    for say in (lambda: phrase(Purpose.ADMIN, "tlh"), lambda: label("x", "")):
        with pytest.raises(NoticeUnavailable):
            say()


def test_an_element_without_a_label_is_called_by_its_name() -> None:
    """Longer, but never wrong."""
    assert label("user.cert.key", "en") == "user.cert.key"
    assert EventType.GIVEN == "given"
