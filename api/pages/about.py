"""The pages about the pages: help and accessibility."""

from starlette.responses import Response

from api.pages.settings import HelpDesk
from api.pages.visits import Doorman, Visit


class AboutPages:
    """Handlers of help and accessibility.

    Args:
        doorman: renders.
        help_desk: whom a person can ask.

    """

    def __init__(self, *, doorman: Doorman, help_desk: HelpDesk) -> None:
        self._doorman = doorman
        self._help_desk = help_desk

    async def help(self, visit: Visit) -> Response:
        """Tell whom to ask, and how rights are used."""
        return self._doorman.render(
            visit,
            "help.html",
            email=self._help_desk.email,
            phone=self._help_desk.phone,
        )

    async def accessibility(self, visit: Visit) -> Response:
        """Tell what was done for accessibility, and what is not known."""
        return self._doorman.render(
            visit, "accessibility.html", email=self._help_desk.email
        )
