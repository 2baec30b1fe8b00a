"""A process that does what has no HTTP door, until it is killed.

``python -m tests.bench.kill_desk HOME SEED`` opens the instance as the
command line does. It gives and withdraws consents, shows people what is held
about them, corrects, erases and signs checkpoints, all at once, for the
people that stand as JSON on its standard input. What cannot be undone it
prints before (``correcting``, ``erasing``); each act it prints after it was
acknowledged, one line of JSON each.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from uuid import UUID

from api.bootstrap import bootstrap
from api.platform import Platform
from api.settings import read_settings
from consent import EventType, LedgerUnavailable, render_notice
from policy import Answer, Caller, CallerKind, FactsChanged, NoDecision
from tests.worlds import (
    CHEAP,
    OFFICER,
    PURPOSE,
    SERVICE,
    STREET,
)

# Seconds between two of the same kind, at most: erasures use people up.
_PAUSES = {"erase": 0.6, "checkpoint": 0.3}
_PAUSE = 0.05


class Desk:
    """The acts of one process."""

    def __init__(
        self,
        platform: Platform,
        draw: random.Random,
        settled: Sequence[UUID],
        passing: Sequence[UUID],
    ) -> None:
        """Take whom to act for; `passing` are erased one by one."""
        self._platform = platform
        self._draw = draw
        self._settled = settled
        self._passing = list(passing)
        declared = platform.consents.declaration(SERVICE, PURPOSE)
        assert declared is not None
        self._declared = declared
        self._notice = render_notice(declared, "en").digest

    async def run(self) -> None:
        """Act until the process is killed."""
        async with self._platform.running():
            say("ready")
            await asyncio.gather(
                *(
                    self._repeat(act)
                    for act in (
                        *(self.consent, self.view, self.correct),
                        *(self.erase, self.checkpoint),
                    )
                )
            )

    async def _repeat(self, act: Callable[[], Awaitable[None]]) -> None:
        pause = _PAUSES.get(act.__name__, _PAUSE)
        while True:
            try:
                await act()
            except (FactsChanged, NoDecision, LedgerUnavailable) as error:
                say("refused", status=type(error).__name__)
            except Exception as error:
                say("fault", act=act.__name__, error=repr(error))
                raise
            await asyncio.sleep(self._draw.random() * pause)

    async def consent(self) -> None:
        """Give or withdraw a consent."""
        kind = self._draw.choice((EventType.GIVEN, EventType.WITHDRAWN))
        await self._answer(self._draw.choice(self._settled), kind)

    async def view(self) -> None:
        """Show a person everything that is held about them."""
        subject = self._draw.choice(self._settled)
        await self._platform.person.own_view(_person(subject), subject)
        say("viewed", subject=str(subject))

    async def correct(self) -> None:
        """Replace a value with one that nobody had."""
        subject = self._draw.choice(self._settled)
        value = f"{self._draw.getrandbits(60)} Soak Street"
        say("correcting", subject=str(subject), value=value)
        index = await self._platform.registrar.correct(
            OFFICER, subject, {STREET: value}, source="soak"
        )
        say("corrected", subject=str(subject), value=value, index=index)

    async def erase(self) -> None:
        """Take a person's consent, and erase them."""
        if not self._passing:
            await asyncio.sleep(3600)
            return
        subject = self._passing.pop()
        await self._answer(subject, EventType.GIVEN)
        say("erasing", subject=str(subject))
        await self._platform.registrar.erase(
            OFFICER, subject, proposer=str(subject), justification="soak"
        )
        say("erased", subject=str(subject), at=time.monotonic())

    async def checkpoint(self) -> None:
        """Sign the ledger as it stands."""
        say("checkpoint", note=await self._platform.commits.checkpoint())

    async def _answer(self, subject: UUID, kind: EventType) -> None:
        served = await self._platform.consent_desk.serve(
            _person(subject), subject, SERVICE, PURPOSE, "address", "en"
        )
        event = await self._platform.person.answer(
            _person(subject),
            subject,
            Answer(
                service=SERVICE,
                purpose=PURPOSE,
                statement="address",
                type=kind,
                attributes=self._declared.statements[0].attributes,
                declaration=self._declared.digest,
                notice=self._notice,
                language="en",
                served=served.digest,
            ),
        )
        say("consent", subject=str(subject), event=str(event.id))


def say(what: str, **found: object) -> None:
    """Tell the parent what was acknowledged."""
    sys.stdout.write(json.dumps({"what": what, **found}) + "\n")
    sys.stdout.flush()


def _person(subject: UUID) -> Caller:
    return Caller(kind=CallerKind.PERSON, id=str(subject))


def main(arguments: Sequence[str]) -> None:
    """Open the instance and act."""
    people = json.load(sys.stdin)
    platform = bootstrap(read_settings(Path(arguments[0])), costs=CHEAP)
    desk = Desk(
        platform,
        random.Random(int(arguments[1])),  # noqa: S311 - load, not keys
        [UUID(one) for one in people["settled"]],
        [UUID(one) for one in people["passing"]],
    )
    asyncio.run(desk.run())


if __name__ == "__main__":
    main(sys.argv[1:])
