"""The pages for the person: server-rendered, in English and Chinese.

A person sees what is held about them, what they allowed, and who used it,
on pages that work without scripts. The pages know a `PersonDesk`, which
stands for everything behind them, and turn its views into words; they hold
no rule about who may see what.

`make_pages_router` puts them together. Its ``explain`` is an exception
handler for addresses that no page has. Sign-in is by choosing a synthetic
person, in demo mode only; outside it the router is empty.

What must hold here: a ``POST`` without the session's token changes nothing;
no identifier of a person stands in an address; nothing is stored by a
browser but the static files; nothing comes from another origin; an answer
that refers to a changed declaration or notice is not recorded.
"""

from api.pages.errors import (
    Conflict,
    Forbidden,
    FormInvalid,
    NoDecision,
    NotFound,
    PagesError,
    PagesMisconfigured,
)
from api.pages.i18n import Language
from api.pages.labels import Reasons, load_reasons
from api.pages.port import (
    Choice,
    DisputeMark,
    DisputeView,
    Effect,
    HeldAttribute,
    NoticeView,
    Outcome,
    PersonDesk,
    PreferencesView,
    PresetView,
    ReceiptForm,
    ServiceView,
    State,
    StatementView,
    Text,
    UsedAttribute,
    UsesPage,
    UseView,
)
from api.pages.router import PagesRouter, make_pages_router
from api.pages.settings import CastMember, HelpDesk, PagesSettings

__all__ = [
    "CastMember",
    "Choice",
    "Conflict",
    "DisputeMark",
    "DisputeView",
    "Effect",
    "Forbidden",
    "FormInvalid",
    "HeldAttribute",
    "HelpDesk",
    "Language",
    "NoDecision",
    "NotFound",
    "NoticeView",
    "Outcome",
    "PagesError",
    "PagesMisconfigured",
    "PagesRouter",
    "PagesSettings",
    "PersonDesk",
    "PreferencesView",
    "PresetView",
    "Reasons",
    "ReceiptForm",
    "ServiceView",
    "State",
    "StatementView",
    "Text",
    "UseView",
    "UsedAttribute",
    "UsesPage",
    "load_reasons",
    "make_pages_router",
]
