"""`curtilage person`: what a person does with their own rules, in the demo.

People have no identity on the command line. In demo mode, where they are
synthetic, whoever runs it may act for one of them; elsewhere nobody may.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar
from uuid import UUID

import typer

from api.cli.context import Json, instance
from api.cli.output import Output, speaks
from api.pages.rules_desk import GateRulesDesk
from api.platform import Platform
from api.routes.preferences import outlook_row
from consent import lint, load_preferences, rule_text
from policy import Hypothesis

T = TypeVar("T")
Person = Annotated[
    UUID, typer.Option("--person", help="Id of the synthetic person.")
]
Language = Annotated[
    Literal["en", "zh-Hans"], typer.Option("--lang", help="Language.")
]


def person_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Act for a synthetic person, in demo mode.",
        no_args_is_help=True,
    )
    group.command("rules")(rules)
    group.command("set-rules")(set_rules)
    group.command("what-if")(what_if)
    group.command("signal")(signal)
    return group


@speaks
def rules(
    context: typer.Context,
    person: Person,
    lang: Language = "en",
    *,
    as_json: Json = False,
) -> None:
    """Show a person's rules, in the order in which they are tried.

    Example: curtilage person rules --person ID --lang zh-Hans
    """
    output = Output(as_json=as_json)
    with instance(context).platform() as platform:
        desk = _desk(platform)
        stored = desk.rules(person)
        signals = desk.signals(person)
    for number, rule in enumerate(stored.preferences.rules, start=1):
        output.say(f"{number}. {rule_text(rule, lang)} [{rule.id}]")
    for one in signals:
        state = "standing" if one.lifted_at is None else "lifted"
        output.say(f"signal {one.kind} on {one.where}: {state}")
    output.result(
        {
            "version": stored.version,
            "preferences": json.loads(stored.preferences.text()),
            "words": [
                rule_text(rule, lang) for rule in stored.preferences.rules
            ],
            "signals": [
                {
                    "signal": one.kind,
                    "at": one.at,
                    "where": one.where,
                    "lifted_at": one.lifted_at,
                }
                for one in signals
            ],
        },
        f"version {stored.version}",
    )


@speaks
def set_rules(
    context: typer.Context,
    person: Person,
    file: Annotated[
        Path,
        typer.Argument(
            exists=True, dir_okay=False, help="Rules: YAML or JSON."
        ),
    ],
    *,
    as_json: Json = False,
) -> None:
    """Put rules in force for a person, recorded in the ledger.

    Example: curtilage person set-rules --person ID mine.yaml
    """
    output = Output(as_json=as_json)
    preferences = load_preferences(file.read_bytes(), where=str(file))
    for fault in lint(preferences):
        output.say(f"{file}: {fault}")
    with instance(context).platform() as platform:
        desk = _desk(platform)
        before = desk.rules(person).version
        version = _run(
            platform, lambda: desk.set_rules(person, preferences, before)
        )
    output.result({"version": version}, f"version {version} is in force")


@speaks
def what_if(
    context: typer.Context,
    person: Person,
    preferences: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="Rules to suppose."),
    ] = None,
    withdraw: Annotated[
        list[str] | None,
        typer.Option(
            help="service/purpose whose every yes would be taken back."
        ),
    ] = None,
    attribute: Annotated[
        str | None,
        typer.Option(help="Who would see this, as user.home-info.telecom?"),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Say what each service would see; nothing is changed or opened.

    Example: curtilage person what-if --person ID --preferences mine.yaml
    --attribute user.home-info.telecom
    """
    output = Output(as_json=as_json)
    supposed = Hypothesis(
        preferences=None
        if preferences is None
        else load_preferences(
            preferences.read_bytes(), where=str(preferences)
        ),
        withdrawn=frozenset(_activity(one) for one in withdraw or ()),
    )
    with instance(context).platform() as platform:
        desk = _desk(platform)
        found = _run(platform, lambda: desk.outlook(person, supposed))
    for one in found:
        end = " stops" if one.stops else " starts" if one.starts else ""
        output.say(f"{one.service}/{one.purpose}:{end or ' goes on'}")
        for name in one.changed:
            now, then = one.now[name], one.then[name]
            why = ", ".join(then.reasons)
            output.say(f"  {name}: {now.effect} -> {then.effect} ({why})")
        if attribute is not None:
            seen = ", ".join(one.seen(attribute)) or "nothing"
            output.say(f"  would see of {attribute}: {seen}")
    output.result(
        {"services": [outlook_row(one, attribute) for one in found]},
        f"{sum(one.stops for one in found)} services would stop",
    )


@speaks
def signal(
    context: typer.Context,
    person: Person,
    act: Annotated[
        Literal["lift", "honour"], typer.Argument(help="What to do with it.")
    ],
    *,
    as_json: Json = False,
) -> None:
    """Lift what a person's browser signals (GPC), or honour it again.

    Example: curtilage person signal lift --person ID
    """
    with instance(context).platform() as platform:
        desk = _desk(platform)
        _run(
            platform,
            lambda: (
                desk.lift_signal(person)
                if act == "lift"
                else desk.honour_signal(person, "command line")
            ),
        )
    Output(as_json=as_json).result({"signal": act}, f"{act}: done")


def _desk(platform: Platform) -> GateRulesDesk:
    if not platform.settings.demo:
        msg = (
            "people act here in demo mode only (CURTILAGE_DEMO); elsewhere"
            " they sign in themselves"
        )
        raise ValueError(msg)
    return GateRulesDesk(platform)


def _activity(text: str) -> tuple[str, str]:
    service, slash, purpose = text.partition("/")
    if not slash:
        msg = f"--withdraw {text}: write service/purpose"
        raise ValueError(msg)
    return service, purpose


def _run(platform: Platform, work: Callable[[], Awaitable[T]]) -> T:
    async def running() -> T:
        async with platform.running():
            return await work()

    return asyncio.run(running())
