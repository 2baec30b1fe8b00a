"""What the pages are told once, when the router is made.

The composition root fills these in; nothing here reads an environment.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from types import MappingProxyType
from uuid import UUID

from api.pages.errors import PagesMisconfigured
from api.pages.port import Text

SECRET_BYTES = 32
"""The least length of the secret that signs sessions."""


def _demo_body() -> Mapping[str, str]:
    return MappingProxyType(
        {"en": "Demonstration Municipality", "zh-Hans": "演示市政府"}
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class HelpDesk:
    """Whom a person can ask: the body's name and how to reach it."""

    body: Text = field(default_factory=_demo_body)
    email: str = "privacy@municipality.example"
    phone: str = "+00 000 000 000"


@dataclass(frozen=True, slots=True, kw_only=True)
class PagesSettings:
    """How the pages behave.

    Attributes:
        demo: whether people may sign in by being chosen from the cast;
            without it there are no pages at all.
        secret: signs the session cookie; at least 32 bytes, never printed.
        secure: whether the pages are reached over https.
        help_desk: whom a person can ask.
        zone: the time zone of the instants on the pages.
        p3p: the value of the ``P3P`` header of every page; empty for none.

    """

    demo: bool
    secret: bytes = field(repr=False)
    secure: bool
    help_desk: HelpDesk = field(default_factory=HelpDesk)
    zone: tzinfo = UTC
    p3p: str = ""

    def __post_init__(self) -> None:
        if len(self.secret) < SECRET_BYTES:
            msg = f"the pages' secret is shorter than {SECRET_BYTES} bytes"
            raise PagesMisconfigured(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class CastMember:
    """One synthetic person who can be chosen in demo mode.

    Attributes:
        subject: the person's id in the vault.
        label: a name for the role, such as "Person 0001".
        description: what this person is made to show, if anything.

    """

    subject: UUID
    label: Text
    description: Text | None = None
