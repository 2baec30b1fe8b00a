"""What can go wrong on a page, apart from how it is told.

::

    PagesError
    ├── NotFound           nothing here for this person (404)
    ├── Forbidden          the form does not belong to this session (403)
    ├── Conflict           what was answered has changed meanwhile (409)
    ├── NoDecision         the policies could not be asked (503)
    ├── FormInvalid        the form's bytes are not a form of ours (400)
    └── PagesMisconfigured the pages cannot be served as configured

The desk raises the first four; `api.pages.errorpages` holds the only table
from error to status. Messages carry ids and names of ours, never a value.
"""


class PagesError(Exception):
    """Base of everything that the pages raise on purpose."""


class NotFound(PagesError):
    """There is nothing of that name for this person."""


class Forbidden(PagesError):
    """The request is not one that this session's own pages could send."""


class Conflict(PagesError):
    """What the person answered to is no longer what stands; read again."""


class NoDecision(PagesError):
    """The policies gave no decision, so nothing was shown or changed."""


class FormInvalid(PagesError):
    """The body is not a form that the pages could have sent."""


class PagesMisconfigured(PagesError):
    """A setting or an asset is missing; raised when the router is made."""
