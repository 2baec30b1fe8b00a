"""What the pages themselves do with data, as a declaration like any other.

It is what ``/w3c/p3p.xml`` says about the pages and their cookies, and what
stands in their ``P3P`` header. Requests are logged without address, cookie
or person (`api.logs`), so nothing of them is declared.
"""

from consent import (
    Category,
    Controller,
    DataItem,
    Declaration,
    LegalBasis,
    Purpose,
    RecipientClass,
    Retention,
    Statement,
    StatementPurpose,
)


def portal_declaration(controller: Controller) -> Declaration:
    """Return what the pages do, on behalf of a body."""
    return Declaration(
        service="portal",
        purpose="portal",
        version=1,
        title={"en": "These pages", "zh-Hans": "本网站"},
        purpose_text={
            "en": "To show you your data and keep your choices.",
            "zh-Hans": "向您展示您的信息并保存您的选择。",
        },
        controller=controller,
        statements=(
            Statement(
                id="session",
                basis=LegalBasis.PUBLIC_TASK,
                purposes=(StatementPurpose(purpose=Purpose.CURRENT),),
                recipients=(RecipientClass.OURS,),
                retention=Retention.STATED_PURPOSE,
                consequence={
                    "en": "A cookie keeps your visit, another your language.",
                    "zh-Hans": "一个 Cookie 保持您的访问，另一个记住语言。",
                },
                data=(
                    DataItem(
                        attribute="dynamic.cookies",
                        categories=frozenset({Category.STATE}),
                    ),
                ),
            ),
            Statement(
                id="choices",
                basis=LegalBasis.LEGAL_OBLIGATION,
                purposes=(StatementPurpose(purpose=Purpose.CURRENT),),
                recipients=(RecipientClass.OURS,),
                retention=Retention.LEGAL_REQUIREMENT,
                consequence={
                    "en": "Your answers are kept as proof of what you chose.",
                    "zh-Hans": "您的答复将作为您所作选择的证明予以保存。",
                },
                data=(DataItem(attribute="dynamic.interactionrecord"),),
            ),
        ),
    )
