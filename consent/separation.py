"""Which questions a person answers one at a time.

A separate consent has its own screen, its own act and its own record. It is
asked for where data of a special kind is processed on consent (GDPR
9(2)(a)), where the declaration says so, also by a term of the PIPL, and, for
bodies under Chinese law, where data goes to others, is published, is sensitive
or goes abroad (PIPL 23, 25, 29 and 39). That data goes abroad follows from
nothing else in a declaration, so there the declaration says it itself.
"""

from collections.abc import Sequence
from typing import Protocol

from consent.declarations import Declaration
from consent.errors import SeparateConsentNeeded
from consent.statements import Statement
from consent.vocabulary import (
    Category,
    EventType,
    LegalBasis,
    RecipientClass,
    SeparateGround,
)

SPECIAL = frozenset({Category.HEALTH, Category.POLITICAL})
"""Special categories: GDPR 9 and 10."""

SENSITIVE = SPECIAL | {
    Category.FINANCIAL,
    Category.GOVERNMENT,
    Category.LOCATION,
}
"""Sensitive personal information: PIPL 28."""

_CHINA = "CN"
# The acts that our vocabulary of the PIPL says need separate consent.
_BY_TERM = {
    "pipl:ProvisionToOtherHandler": SeparateGround.PROVISION,
    "pipl:PublicDisclosure": SeparateGround.PUBLICATION,
    "pipl:PublicSpaceImaging": SeparateGround.SENSITIVE,
    "pipl:SensitiveProcessing": SeparateGround.SENSITIVE,
    "pipl:CrossBorderProvision": SeparateGround.ABROAD,
}


def separate_grounds(
    declaration: Declaration, statement: Statement
) -> frozenset[SeparateGround]:
    """Say why a statement is asked for apart.

    Args:
        declaration: the declaration.
        statement: one of its statements.

    Returns:
        The grounds; none where it may be answered together with others.
    """
    if statement.basis is not LegalBasis.CONSENT:
        return frozenset()
    kinds = {kind for item in statement.data for kind in item.categories}
    found = set(statement.separate)
    found |= {_BY_TERM[one] for one in statement.terms if one in _BY_TERM}
    if kinds & SPECIAL:
        found.add(SeparateGround.SENSITIVE)
    if declaration.controller.jurisdiction.partition("-")[0] == _CHINA:
        others = set(statement.recipients) - {RecipientClass.OURS}
        if kinds & SENSITIVE:
            found.add(SeparateGround.SENSITIVE)
        if others - {RecipientClass.PUBLIC}:
            found.add(SeparateGround.PROVISION)
        if RecipientClass.PUBLIC in others:
            found.add(SeparateGround.PUBLICATION)
    return frozenset(found)


class Answered(Protocol):
    """What this module needs of an answer."""

    @property
    def statement(self) -> str:
        """The statement."""

    @property
    def type(self) -> EventType:
        """What is answered."""


def check_act(
    answers: Sequence[tuple[Declaration, Answered]],
) -> None:
    """Refuse one act that says yes to several things of which one is apart.

    Args:
        answers: what one act answers, each with the version that it is
            about.

    Raises:
        SeparateConsentNeeded: a yes that takes an act of its own is among
            others.
    """
    if len(answers) < 2:
        return
    for declaration, answer in answers:
        statement = declaration.statement(answer.statement)
        if (
            answer.type in {EventType.GIVEN, EventType.RENEWED}
            and statement is not None
            and separate_grounds(declaration, statement)
        ):
            msg = (
                f"statement {statement.id} of {declaration.service}/"
                f"{declaration.purpose} takes an act of its own"
            )
            raise SeparateConsentNeeded(msg)
