"""The person's own rules behind the pages and routes: the desk for them.

It turns the doors' errors into the pages' and decides nothing. What it tells
of the future comes from `policy.WhatIf`, which asks the gate's own engine.
"""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from api.pages.port import Text
from api.pages.translating import translated
from api.platform import Platform
from consent import Preferences, StoredPreferences
from policy import Caller, CallerKind, Hypothesis, Outlook, Signal

GPC = "gpc"
"""The one signal that is known: Global Privacy Control (W3C)."""


class RulesDesk(Protocol):
    """What the pages need to show and change a person's rules."""

    def rules(self, subject: UUID) -> StoredPreferences:
        """Return the rules in force, and their version."""

    async def set_rules(
        self, subject: UUID, preferences: Preferences, expected: int
    ) -> int:
        """Put rules in force; return their version.

        Raises:
            Conflict: the rules are no longer at the version expected.

        """

    async def outlook(
        self, subject: UUID, supposed: Hypothesis
    ) -> Sequence[Outlook]:
        """Say what each service sees, and would see."""

    def signals(self, subject: UUID) -> Sequence[Signal]:
        """Return the signals of the person's browsers, oldest first."""

    async def note_signal(self, subject: UUID, where: str) -> None:
        """Honour a signal that was seen; nothing, if one was seen before."""

    async def lift_signal(self, subject: UUID) -> None:
        """Let the person lift what their browser says."""

    async def honour_signal(self, subject: UUID, where: str) -> None:
        """Let the person have it honoured again."""

    def title(self, service: str, purpose: str) -> Text:
        """Return what a service is called."""


class GateRulesDesk:
    """`RulesDesk` over the person's door."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._door = platform.person

    def rules(self, subject: UUID) -> StoredPreferences:
        """The rules in force."""
        return self._platform.consents.preferences(subject)

    async def set_rules(
        self, subject: UUID, preferences: Preferences, expected: int
    ) -> int:
        """Put rules in force."""
        async with translated():
            return await self._door.prefer(
                _caller(subject), subject, preferences, expected=expected
            )

    async def outlook(
        self, subject: UUID, supposed: Hypothesis
    ) -> Sequence[Outlook]:
        """What each service sees, and would see."""
        async with translated():
            return await self._platform.what_if.outlook(
                _caller(subject), subject, supposed
            )

    def signals(self, subject: UUID) -> Sequence[Signal]:
        """The signals, oldest first."""
        return self._door.signals(subject)

    async def note_signal(self, subject: UUID, where: str) -> None:
        """Honour a signal the first time that it is seen."""
        if self.signals(subject):
            return
        async with translated():
            await self._door.signal(_caller(subject), subject, GPC, where)

    async def lift_signal(self, subject: UUID) -> None:
        """Lift it, on the person's word."""
        async with translated():
            await self._door.lift_signal(_caller(subject), subject, GPC)

    async def honour_signal(self, subject: UUID, where: str) -> None:
        """Honour it again, on the person's word."""
        async with translated():
            await self._door.signal(
                _caller(subject), subject, GPC, where, again=True
            )

    def title(self, service: str, purpose: str) -> Text:
        """What a service is called, or its id."""
        live = self._platform.consents.declaration(service, purpose)
        if live is None or not live.title:
            return {"en": service, "zh-Hans": service}
        return live.title


def _caller(subject: UUID) -> Caller:
    return Caller(kind=CallerKind.PERSON, id=str(subject))
