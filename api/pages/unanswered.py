"""The page of who was told of a no and has not said what they did.

For the body's officers. It names services, days and replies, and nobody
whose no it was. Until officers can prove who they are, it stands in demo
mode alone, like every page.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.responses import Response

from api.pages.i18n import localized
from api.pages.port import Reply, Text
from api.pages.visits import Doorman, Visit

PATH = "/desk/unanswered"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnansweredView:
    """One service that owes an answer.

    Attributes:
        delivery: id of what it was told, for the command line.
        title: of its declaration.
        kind: what happened, as a word of `policy.HappeningKind`.
        at: POSIX seconds of the no.
        deadline: POSIX seconds until which it is to answer.
        days_late: whole days since then; 0 where there is time left.
        reply: how far it came.

    """

    delivery: str
    title: Text
    kind: str
    at: int
    deadline: int
    days_late: int
    reply: Reply


Outstanding = Callable[[], Awaitable[Sequence[UnansweredView]]]


class UnansweredPages:
    """Handler of the page.

    Args:
        doorman: renders.
        outstanding: who owes an answer, the most overdue first.

    """

    def __init__(self, *, doorman: Doorman, outstanding: Outstanding) -> None:
        self._doorman = doorman
        self._outstanding = outstanding

    async def show(self, visit: Visit) -> Response:
        """List them."""
        found = await self._outstanding()
        return self._doorman.render(
            visit,
            "unanswered.html",
            rows=[
                (localized(one.title, visit.language), one) for one in found
            ],
        )
