"""What the screen says is what the gate does."""

import asyncio
import itertools
import uuid
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consent import (
    PRESETS,
    Behavior,
    ConsentEvent,
    DataItem,
    Declaration,
    EventType,
    LegalBasis,
    Preferences,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    Rule,
    Statement,
    StatementPurpose,
    Terms,
    explain_declaration,
    render_notice,
)
from policy import (
    AccessRequest,
    ById,
    Disclosure,
    Effect,
    Form,
    Hypothesis,
    NotPermitted,
    Outlook,
)
from policy.gate import UNDERSTOOD
from tests.test_matching import preference_sets
from tests.worlds import (
    ADDRESS,
    BIRTH,
    EVERYTHING,
    INCOME,
    MOBILE,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)

T = TypeVar("T")
ME = "consenting"
NAMES = (*EVERYTHING, "user.gender", "user.case.note")


@dataclass(frozen=True, slots=True)
class Running:
    """A world whose platform runs on a loop that tests step."""

    world: World
    runner: asyncio.Runner

    def __call__(self, work: Coroutine[Any, Any, T]) -> T:
        """Run one piece of work to its end."""
        return self.runner.run(work)


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Running]:
    """One world for the module."""
    home = tmp_path_factory.mktemp("what-if") / "home"
    with build_world(home) as world, asyncio.Runner() as runner:
        context = world.platform.running()
        runner.run(context.__aenter__())
        yield Running(world, runner)
        runner.run(context.__aexit__(None, None, None))


statements = st.builds(
    Statement,
    id=st.just("s"),
    purposes=st.lists(
        st.builds(
            StatementPurpose,
            purpose=st.sampled_from(Purpose),
            required=st.sampled_from(Required),
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda use: use.purpose,
    ).map(tuple),
    recipients=st.lists(
        st.sampled_from(RecipientClass), min_size=1, max_size=2, unique=True
    ).map(tuple),
    retention=st.sampled_from(Retention),
    data=st.lists(
        st.builds(
            DataItem,
            attribute=st.sampled_from(NAMES),
            optional=st.booleans(),
        ),
        min_size=1,
        max_size=4,
        unique_by=lambda item: item.attribute,
    ).map(tuple),
    basis=st.sampled_from([LegalBasis.CONSENT] * 4 + [*LegalBasis]),
)
answers = st.sampled_from(
    [EventType.GIVEN] * 4 + [EventType.REFUSED, EventType.WITHDRAWN, None]
)
terms = st.sampled_from(
    [
        Terms(),
        Terms(),
        Terms(paused=True),
        Terms(uses=1),
        Terms(times=1, days=1),
        Terms(since=5),
        Terms(until=5),
    ]
)


@st.composite
def rule_sets(draw: st.DrawFn) -> Preferences:
    """Rules with terms, the last of which mostly allows the rest."""
    drawn = [
        each
        if each.behavior is Behavior.REFUSE
        else replace(each, terms=draw(terms))
        for each in draw(preference_sets()).rules
    ]
    if draw(st.booleans()):
        drawn.append(
            Rule(id="rest", behavior=Behavior.ALLOW, terms=draw(terms))
        )
    return Preferences(rules=tuple(drawn))


_numbers = itertools.count()


def declare(world: World, drawn: list[Statement]) -> Declaration:
    """Register a declaration of a service of its own."""
    declared = Declaration(
        service=f"service-{next(_numbers)}",
        purpose="purpose",
        version=1,
        title={"en": "Service", "zh-Hans": "服务"},
        purpose_text={"en": "To serve.", "zh-Hans": "用于服务。"},
        controller=world.declaration.controller,
        statements=tuple(
            replace(one, id=f"s{n}") for n, one in enumerate(drawn)
        ),
    )
    with world.platform.data.begin() as conn:
        world.platform.consents.register(conn, declared)
    return declared


def answer(
    world: World, declared: Declaration, drawn: list[EventType | None]
) -> None:
    """Answer the statements that ask."""
    given = EventType.GIVEN
    events = []
    for one, kind in zip(declared.statements, drawn, strict=False):
        if one.basis is not LegalBasis.CONSENT or kind is None:
            continue
        steps = [given, kind] if kind is EventType.WITHDRAWN else [kind]
        events += [
            ConsentEvent(
                id=uuid.uuid4(),
                subject=world.cast[ME],
                service=declared.service,
                purpose=declared.purpose,
                statement=one.id,
                declaration=declared.digest,
                notice=""
                if step is EventType.WITHDRAWN
                else render_notice(declared, "en").digest,
                language="en",
                type=step,
                attributes=one.attributes if step is given else (),
                at=world.clock(),
            )
            for step in steps
        ]
    if events:
        world.platform.registrar.enter_forms_now(
            [Form(subject=world.cast[ME], answers=tuple(events))]
        )


def prefer(world: World, preferences: Preferences) -> None:
    """Put rules in force."""
    world.platform.registrar.enter_forms_now(
        [Form(subject=world.cast[ME], answers=(), preferences=preferences)]
    )


async def outlook(
    world: World, declared: Declaration, supposed: Hypothesis
) -> Outlook:
    """What is foretold for one service."""
    [found] = [
        one
        for one in await world.platform.what_if.outlook(
            world.caller(ME), world.cast[ME], supposed
        )
        if one.service == declared.service
    ]
    return found


async def ask(world: World, told: Outlook) -> Disclosure:
    """Ask the gate for what was foretold, as the service would."""
    return await world.platform.gate.disclose(
        AccessRequest(
            tenant=world.platform.settings.tenant,
            service=told.service,
            purpose=told.purpose,
            attributes=tuple(told.now),
            person=ById(subject=world.cast[ME]),
            understands=UNDERSTOOD,
            assurance=3,
        )
    )


async def same(world: World, told: Outlook, *, then: bool = False) -> None:
    """Compare what was told with what leaves, and with the person's page."""
    sights = told.then if then else told.now
    made = await ask(world, told)
    assert {name: one.effect for name, one in sights.items()} == {
        one.attribute: one.effect for one in made.attributes
    }
    [entry] = await world.platform.person.own_uses(
        world.caller(ME), world.cast[ME], before=None, limit=1
    )
    details = entry.detail["attributes"]
    assert isinstance(details, dict)
    assert {
        name: (one.effect.value, one.level, sorted(one.reasons))
        for name, one in sights.items()
    } == {
        name: (one["effect"], one["level"], sorted(one["reasons"]))
        for name, one in details.items()
    }


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    drawn=st.lists(statements, min_size=1, max_size=3),
    given_answers=st.lists(answers, min_size=3, max_size=3),
    first=rule_sets(),
    second=rule_sets(),
)
def test_what_the_screen_says_is_what_the_gate_does(
    running: Running,
    drawn: list[Statement],
    given_answers: list[EventType | None],
    first: Preferences,
    second: Preferences,
) -> None:
    """Now, and again after the person did what they asked about."""
    world = running.world
    declared = declare(world, drawn)
    answer(world, declared, given_answers)
    prefer(world, first)

    async def story() -> None:
        size = world.platform.ledger.size()
        told = await outlook(world, declared, Hypothesis(preferences=second))
        # Nothing was opened, so there is nothing to record.
        assert size == world.platform.ledger.size()
        await same(world, told)
        told = await outlook(world, declared, Hypothesis(preferences=second))
        prefer(world, second)
        await same(world, told, then=True)

    running(story())


@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(drawn=st.lists(statements, min_size=1, max_size=2), rules=rule_sets())
def test_what_is_explained_as_refused_never_leaves_by_consent(
    running: Running, drawn: list[Statement], rules: Preferences
) -> None:
    """Of the explanation's verdicts, a refusal withholds, a limit bounds."""
    world = running.world
    declared = declare(
        world, [replace(one, basis=LegalBasis.CONSENT) for one in drawn]
    )
    answer(world, declared, [EventType.GIVEN] * len(drawn))
    prefer(world, rules)
    verdicts: dict[str, list[Behavior]] = {}
    for one in explain_declaration(rules, declared, "en"):
        for verdict in one.verdicts:
            verdicts.setdefault(verdict.attribute, []).append(verdict.behavior)

    async def story() -> Disclosure:
        told = await outlook(world, declared, Hypothesis())
        return await ask(world, told)

    for one in running(story()).attributes:
        behaviors = verdicts[one.attribute]
        if set(behaviors) == {Behavior.REFUSE}:
            assert one.effect is Effect.WITHHOLD
        if Behavior.ALLOW not in behaviors:
            assert one.effect is not Effect.RELEASE


def test_who_could_see_my_phone_and_what_would_stop(
    running: Running,
) -> None:
    """The two questions of somebody who thinks of a stricter rule."""
    world = running.world
    prefer(world, PRESETS["each-time"])
    no_phone = Preferences(
        rules=(
            Rule(
                id="no",
                behavior=Behavior.REFUSE,
                attributes=("user.home-info.telecom",),
            ),
            Rule(id="yes", behavior=Behavior.ALLOW),
        )
    )
    no_street = Preferences(
        rules=(
            Rule(id="no", behavior=Behavior.REFUSE, attributes=ADDRESS[:1]),
            Rule(id="yes", behavior=Behavior.ALLOW),
        )
    )

    async def story() -> None:
        now = await outlook(world, world.declaration, Hypothesis())
        assert now.seen("user.home-info.telecom") == (MOBILE,)
        assert now.runs_now
        assert not now.changed
        phone = await outlook(
            world, world.declaration, Hypothesis(preferences=no_phone)
        )
        assert phone.seen("user.home-info.telecom") == ()
        assert phone.changed == (MOBILE,)
        assert not phone.stops
        street = await outlook(
            world, world.declaration, Hypothesis(preferences=no_street)
        )
        assert street.stops
        assert set(street.changed) >= set(ADDRESS)

    running(story())


def test_a_withdrawal_is_foretold(running: Running) -> None:
    """What is taken back in supposition is still given in fact."""
    world = running.world
    prefer(world, PRESETS["each-time"])

    async def story() -> None:
        told = await outlook(
            world,
            world.declaration,
            Hypothesis(withdrawn=frozenset({(SERVICE, PURPOSE)})),
        )
        assert told.stops
        assert set(told.then[BIRTH].reasons) == {"consent_withdrawn"}
        again = await outlook(world, world.declaration, Hypothesis())
        assert again.runs_now

    running(story())


def test_a_signal_is_foretold(running: Running) -> None:
    """It would withhold what is optional, and stop nothing essential."""
    world = running.world
    prefer(world, PRESETS["each-time"])

    async def story() -> None:
        told = await outlook(world, world.declaration, Hypothesis(signal=True))
        assert set(told.changed) == {MOBILE, BIRTH}
        assert set(told.then[MOBILE].reasons) == {"signal_refuses"}
        assert not told.stops

    running(story())


def test_nobody_asks_about_somebody_else(running: Running) -> None:
    """Another person, and a service, are refused."""
    world = running.world

    async def story() -> None:
        with pytest.raises(NotPermitted):
            await world.platform.what_if.outlook(
                world.caller("limited"), world.cast[ME], Hypothesis()
            )

    running(story())


def test_income_is_asked_of_nobody_here(running: Running) -> None:
    """An attribute that no service declares is in no outlook of it."""
    world = running.world

    async def story() -> None:
        told = await outlook(world, world.declaration, Hypothesis())
        assert INCOME not in told.now

    running(story())
