"""The pages of choices: standing preferences, and an answer to each service.

An answer refers to exactly what the form was drawn from: the digests of the
declaration and of the notice travel in it, and where one of them no longer
stands nothing is recorded (invariant 8). The desk checks them once more in
the transaction that records.
"""

from uuid import UUID

from starlette.responses import Response

from api.pages.consent_views import (
    CHOICES,
    CONSENT,
    READ_FIRST,
    href,
    service_of,
)
from api.pages.errors import Conflict, FormInvalid, NotFound
from api.pages.i18n import Language, localized
from api.pages.labels import Labels
from api.pages.port import (
    Choice,
    PersonDesk,
    ReceiptForm,
    ServiceView,
    StatementView,
)
from api.pages.used import download
from api.pages.visits import Doorman, Visit


class ConsentPages:
    """Handlers of the pages of choices.

    Args:
        doorman: renders and leaves.
        desk: tells and records the answers.
        labels: the attributes' names.

    """

    def __init__(
        self, *, doorman: Doorman, desk: PersonDesk, labels: Labels
    ) -> None:
        self._doorman = doorman
        self._desk = desk
        self._labels = labels

    async def index(self, visit: Visit) -> Response:
        """Show the preferences and all services."""
        return await self._index(visit)

    async def _index(self, visit: Visit, *, error: bool = False) -> Response:
        language = visit.language
        preferences = await self._desk.preferences(visit.subject)
        services = [
            service_of(view, self._labels, language)
            for view in await self._desk.own_services(visit.subject)
        ]
        presets = [
            {
                "id": preset.id,
                "title": localized(preset.title, language),
                "text": localized(preset.text, language),
                "current": preset.id == preferences.preset,
            }
            for preset in preferences.presets
        ]
        return self._doorman.render(
            visit,
            "consents.html",
            status=422 if error else 200,
            error=error,
            preferences=preferences,
            presets=presets,
            current=next(
                (each["title"] for each in presets if each["current"]), None
            ),
            waiting=[service for service in services if service.requested],
            asked=[service for service in services if service.asks],
            lawful=[service for service in services if not service.asks],
        )

    async def prefer(self, visit: Visit) -> Response:
        """Put the chosen preset in force."""
        chosen = visit.form.one("preset")
        if chosen is None:
            return await self._index(visit, error=True)
        version = visit.form.need("version")
        preferences = await self._desk.preferences(visit.subject)
        if chosen not in {preset.id for preset in preferences.presets}:
            msg = "no such preset"
            raise FormInvalid(msg)
        if version != str(preferences.version):
            msg = "the preferences have changed"
            raise Conflict(msg)
        await self._desk.set_preferences(
            visit.subject, chosen, preferences.version
        )
        return self._doorman.leave(visit, "/me/consents", flash="preset")

    async def show(self, visit: Visit) -> Response:
        """Show one service with its notice and the buttons."""
        return await self._show(visit, await self._service(visit))

    async def show_alone(self, visit: Visit) -> Response:
        """Show one question that is asked apart, with a notice of its own."""
        view = await self._service(visit)
        alone = self._alone(visit, view)
        return await self._show(visit, view, alone=alone)

    def _alone(self, visit: Visit, view: ServiceView) -> str:
        wanted = str(visit.request.path_params["statement"])
        for statement in view.statements:
            if statement.id == wanted and statement.apart:
                return wanted
        msg = "no such question is asked apart"
        raise NotFound(msg)

    async def _show(
        self,
        visit: Visit,
        view: ServiceView,
        *,
        error_in: str | None = None,
        alone: str = "",
    ) -> Response:
        service = service_of(
            view,
            self._labels,
            visit.language,
            error_in=error_in,
            alone=alone,
        )
        notice = None
        if service.asks:
            notice = await self._desk.serve(
                visit.subject,
                view.service,
                view.purpose,
                visit.language,
                alone,
            )
        return self._doorman.render(
            visit,
            "consent.html",
            status=200 if error_in is None else 422,
            service=service,
            notice=notice,
            error_part=error_in,
            alone=alone,
        )

    async def decide(self, visit: Visit) -> Response:
        """Record an answer to one statement."""
        view = await self._service(visit)
        return await self._decide(visit, view)

    async def decide_alone(self, visit: Visit) -> Response:
        """Record the answer to the one question of its own page."""
        view = await self._service(visit)
        alone = self._alone(visit, view)
        if visit.form.need("statement") != alone:
            msg = "the page is about another question"
            raise Conflict(msg)
        return await self._decide(visit, view, alone=alone)

    async def _decide(
        self, visit: Visit, view: ServiceView, *, alone: str = ""
    ) -> Response:
        statement = _statement(view, visit.form.need("statement"))
        choice = _choice(visit.form.need("choice"))
        if visit.form.need("declaration") != view.declaration_digest:
            msg = "the declaration has changed"
            raise Conflict(msg)
        if choice not in CHOICES[statement.state]:
            msg = "the answer no longer fits the state"
            raise Conflict(msg)
        if statement.apart and not alone and choice in READ_FIRST:
            msg = "this question has a page of its own"
            raise Conflict(msg)
        language = _language(visit.form.need("language"))
        notice = await self._desk.notice(
            view.service, view.purpose, language, alone
        )
        if visit.form.need("notice") != notice.digest:
            msg = "the notice has changed"
            raise Conflict(msg)
        optional = _optional(visit, statement, choice)
        if choice is Choice.GIVE and not (statement.essential or optional):
            return await self._show(
                visit, view, error_in=statement.id, alone=alone
            )
        await self._desk.decide(
            subject=visit.subject,
            service=view.service,
            purpose=view.purpose,
            statement=statement.id,
            choice=choice,
            optional=optional,
            declaration_digest=view.declaration_digest,
            notice_digest=notice.digest,
            language=language,
            served=visit.form.need("served"),
        )
        return self._doorman.leave(visit, href(view), flash=choice)

    async def receipt(self, visit: Visit) -> Response:
        """Hand over the receipt of one answer as a file."""
        parameters = visit.request.path_params
        try:
            event_id = UUID(parameters["event"])
            form = ReceiptForm(parameters.get("form", ReceiptForm.ISO))
        except ValueError:
            msg = "not an event's id, or not a form of receipts"
            raise NotFound(msg) from None
        text = await self._desk.receipt(visit.subject, event_id, form)
        return download(text, name=f"receipt-{form}-{event_id}")

    async def _service(self, visit: Visit) -> ServiceView:
        """Return the service and purpose that the address names."""
        wanted = (
            visit.request.path_params["service"],
            visit.request.path_params["purpose"],
        )
        for view in await self._desk.own_services(visit.subject):
            if (view.service, view.purpose) == wanted:
                return view
        msg = "no such service and purpose"
        raise NotFound(msg)


def _statement(view: ServiceView, wanted: str) -> StatementView:
    """Return the statement of a form; only consent can be answered."""
    for statement in view.statements:
        if statement.id == wanted and statement.basis == CONSENT:
            return statement
    msg = "no such statement asks for consent"
    raise Conflict(msg)


def _choice(text: str) -> Choice:
    try:
        return Choice(text)
    except ValueError:
        msg = "no such answer"
        raise FormInvalid(msg) from None


def _language(text: str) -> Language:
    try:
        return Language(text)
    except ValueError:
        msg = "no such language"
        raise FormInvalid(msg) from None


def _optional(
    visit: Visit, statement: StatementView, choice: Choice
) -> tuple[str, ...]:
    """Return the optional attributes that a giving allows."""
    if choice is not Choice.GIVE:
        return ()
    ticked = visit.form.many("optional")
    if not set(ticked) <= set(statement.optional):
        msg = "an attribute is not among the optional ones"
        raise FormInvalid(msg)
    return ticked
