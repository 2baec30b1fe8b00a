"""The page of a person's own rules: see, change, and see what would change.

Every change is shown before it is made: the form leads to a page that says
which services would see what, computed by the gate's own engine, and only
the button there puts the rules in force. Both pages work without scripts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import NamedTuple, TypeVar

from starlette.responses import Response

from api.pages.errors import Conflict, FormInvalid
from api.pages.forms import Form
from api.pages.i18n import Language, Localized, localized
from api.pages.labels import Labels, Reasons
from api.pages.rules_desk import RulesDesk
from api.pages.visits import Doorman, Visit
from consent import (
    Behavior,
    Category,
    Preferences,
    PreferencesInvalid,
    Purpose,
    RecipientClass,
    Retention,
    Rule,
    Terms,
    categories_of,
    phrase,
    predicate_of,
    read_preferences,
    rule_text,
)
from policy import Hypothesis, Outlook

W = TypeVar("W", bound=StrEnum)
HERE = "/me/rules"
MOST_RULES = 50
_WORDS: Mapping[str, type[StrEnum]] = {
    "purposes": Purpose,
    "categories": Category,
    "recipients": RecipientClass,
    "retentions": Retention,
}
_MOVES = frozenset({"up", "down", "remove", "pause", "resume"})


class Option(NamedTuple):
    """One word that can be ticked."""

    value: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleView:
    """One rule as the page shows it."""

    id: str
    text: str
    first: bool
    last: bool
    permits: bool
    paused: bool


class Shift(NamedTuple):
    """One attribute of which a service would see another form."""

    label: Localized
    now: str
    then: str
    why: tuple[Localized, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would change for one service."""

    title: Localized
    stops: bool
    starts: bool
    shifts: tuple[Shift, ...]


class RulesPages:
    """Handlers of the person's own rules.

    Args:
        doorman: renders and leaves.
        desk: tells and changes the rules.
        labels: the attributes' names.
        reasons: reason code to text.

    """

    def __init__(
        self,
        *,
        doorman: Doorman,
        desk: RulesDesk,
        labels: Labels,
        reasons: Reasons,
    ) -> None:
        self._doorman = doorman
        self._desk = desk
        self._labels = labels
        self._reasons = reasons

    async def show(self, visit: Visit) -> Response:
        """Show the rules, who sees an attribute, and the form for a rule."""
        return await self._show(visit, error=False)

    async def _show(self, visit: Visit, *, error: bool) -> Response:
        stored = self._desk.rules(visit.subject)
        asked = visit.request.query_params.get("who", "")
        who = asked if asked in self._labels.attributes else None
        seers: list[Localized] = []
        if who is not None:
            seers = [
                self._seer(one, who, visit.language)
                for one in await self._desk.outlook(
                    visit.subject, Hypothesis()
                )
                if one.seen(who)
            ]
        signals = self._desk.signals(visit.subject)
        return self._doorman.render(
            visit,
            "rules.html",
            status=422 if error else 200,
            error=error,
            version=stored.version,
            rules=_views(stored.preferences, visit.language),
            words={
                name: [
                    Option(word.value, phrase(word, visit.language))
                    for word in words
                ]
                for name, words in _WORDS.items()
            },
            attributes=[
                Option(name, self._labels.attribute(name, visit.language).text)
                for name in self._labels.attributes
                if categories_of(name) is not None
            ],
            who=who,
            who_label=None
            if who is None
            else self._labels.attribute(who, visit.language),
            seers=seers,
            signal=signals[-1] if signals else None,
        )

    def _seer(self, one: Outlook, who: str, language: Language) -> Localized:
        """Name a service; and what it is told, where not the value itself."""
        title, names = self._title(one, language), one.seen(who)
        if not all(predicate_of(name) for name in names):
            return title
        asked = [self._labels.attribute(name, language).text for name in names]
        return replace(title, text=f"{title.text}: {'; '.join(asked)}")

    async def preview(self, visit: Visit) -> Response:
        """Show what a change would change; nothing is changed yet."""
        stored = self._desk.rules(visit.subject)
        if visit.form.need("version") != str(stored.version):
            msg = "the rules have changed"
            raise Conflict(msg)
        try:
            rules = _changed(stored.preferences.rules, visit.form)
            preferences = Preferences(rules=rules)
        except PreferencesInvalid:
            return await self._show(visit, error=True)
        outlooks = await self._desk.outlook(
            visit.subject, Hypothesis(preferences=preferences)
        )
        return self._doorman.render(
            visit,
            "rules_preview.html",
            version=stored.version,
            rules=_views(preferences, visit.language),
            text=preferences.text(),
            forecasts=[
                self._forecast(one, visit.language)
                for one in outlooks
                if one.changed
            ],
        )

    async def save(self, visit: Visit) -> Response:
        """Put the rules in force that were shown."""
        try:
            preferences = read_preferences(visit.form.need("rules"))
        except PreferencesInvalid:
            msg = "the form holds no rules"
            raise FormInvalid(msg) from None
        if len(preferences.rules) > MOST_RULES:
            msg = f"more than {MOST_RULES} rules"
            raise FormInvalid(msg)
        version = visit.form.need("version")
        if version != str(self._desk.rules(visit.subject).version):
            msg = "the rules have changed"
            raise Conflict(msg)
        await self._desk.set_rules(visit.subject, preferences, int(version))
        return self._doorman.leave(visit, HERE, flash="rules")

    async def signal(self, visit: Visit) -> Response:
        """Lift the browser's signal, or honour it again."""
        if visit.form.need("signal") == "lift":
            await self._desk.lift_signal(visit.subject)
        else:
            await self._desk.honour_signal(visit.subject, HERE)
        return self._doorman.leave(visit, HERE, flash="signal")

    def _title(self, one: Outlook, language: Language) -> Localized:
        return localized(self._desk.title(one.service, one.purpose), language)

    def _forecast(self, one: Outlook, language: Language) -> Forecast:
        return Forecast(
            title=self._title(one, language),
            stops=one.stops,
            starts=one.starts,
            shifts=tuple(
                Shift(
                    label=self._labels.attribute(name, language),
                    now=one.now[name].effect.value,
                    then=one.then[name].effect.value,
                    why=tuple(
                        localized(self._reasons[code], language)
                        for code in one.then[name].reasons
                        if code in self._reasons
                    ),
                )
                for name in self._labels.in_order(one.changed)
            ),
        )


def _views(preferences: Preferences, language: Language) -> list[RuleView]:
    last = len(preferences.rules) - 1
    return [
        RuleView(
            id=rule.id,
            text=rule_text(rule, language),
            first=place == 0,
            last=place == last,
            permits=rule.behavior is not Behavior.REFUSE,
            paused=rule.terms.paused,
        )
        for place, rule in enumerate(preferences.rules)
    ]


def _changed(rules: Sequence[Rule], form: Form) -> tuple[Rule, ...]:
    """Return the rules as a form wants them."""
    move = form.need("move")
    if move == "add":
        if len(rules) >= MOST_RULES:
            msg = f"more than {MOST_RULES} rules"
            raise PreferencesInvalid(msg)
        return (_read_rule(form, {rule.id for rule in rules}), *rules)
    if move not in _MOVES:
        msg = "no such change"
        raise FormInvalid(msg)
    wanted = form.need("rule")
    places = [at for at, rule in enumerate(rules) if rule.id == wanted]
    if not places:
        msg = "no such rule"
        raise Conflict(msg)
    return _moved(list(rules), places[0], move)


def _moved(rules: list[Rule], at: int, move: str) -> tuple[Rule, ...]:
    if move in {"pause", "resume"}:
        rule = rules[at]
        terms = replace(rule.terms, paused=move == "pause")
        rules[at] = replace(rule, terms=terms)
        return tuple(rules)
    rule = rules.pop(at)
    if move != "remove":
        step = -1 if move == "up" else 1
        rules.insert(max(0, at + step), rule)
    return tuple(rules)


def _read_rule(form: Form, taken: set[str]) -> Rule:
    number = next(n for n in range(1, 1000) if f"mine-{n}" not in taken)
    behavior = _word(Behavior, form.need("behavior"))
    conditions = {
        name: frozenset(_word(words, one) for one in form.many(name))
        for name, words in _WORDS.items()
    }
    refuses = behavior is Behavior.REFUSE
    return Rule(
        id=f"mine-{number}",
        behavior=behavior,
        level=_number(form, "level") or 1
        if behavior is Behavior.LIMIT
        else None,
        attributes=form.many("attributes"),
        terms=Terms() if refuses else _terms(form),
        **conditions,  # type: ignore[arg-type] # each has the words of its own kind
    )


def _terms(form: Form) -> Terms:
    return Terms(
        since=_day(form, "since"),
        until=_day(form, "until"),
        times=_number(form, "times"),
        days=_number(form, "days"),
        uses=_number(form, "uses"),
        delete_days=_number(form, "delete_days"),
        notify=form.one("notify") == "yes",
        no_onward_transfer=form.one("no_onward_transfer") == "yes",
    )


def _word(words: type[W], text: str) -> W:
    try:
        return words(text)
    except ValueError:
        msg = "no such word"
        raise FormInvalid(msg) from None


def _number(form: Form, name: str) -> int | None:
    text = (form.one(name) or "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdigit()) or len(text) > 9:
        msg = f"{name} is no number"
        raise PreferencesInvalid(msg)
    return int(text)


def _day(form: Form, name: str) -> int | None:
    text = (form.one(name) or "").strip()
    if not text:
        return None
    try:
        day = datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)
    except ValueError:
        msg = f"{name} is no day"
        raise PreferencesInvalid(msg) from None
    return max(1, int(day.timestamp()))
