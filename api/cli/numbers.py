"""`curtilage numbers`: noisy numbers under a privacy budget."""

import asyncio
from dataclasses import asdict
from fractions import Fraction
from typing import Annotated

import typer

import anonymize
from api.cli.context import Actor, Json, instance, officer
from api.cli.output import Output, speaks
from policy import NumberRequest

Service = Annotated[str, typer.Argument(help="Id of the service.")]
Purpose = Annotated[str, typer.Argument(help="Id of the purpose.")]
_DELTA = Fraction(1, 10**6)


def numbers_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="Counts, sums, means, quantiles and histograms with noise, so "
        "that no answer tells of anybody; each costs of a budget.",
        no_args_is_help=True,
    )
    group.command("ask")(ask)
    group.command("budget")(budget)
    return group


@speaks
def ask(  # noqa: PLR0917 - typer reads the options from here
    context: typer.Context,
    service: Service,
    purpose: Purpose,
    recipient: Annotated[str, typer.Option(help="Who receives it.")],
    kind: Annotated[anonymize.Kind, typer.Option(help="What is asked.")],
    epsilon: Annotated[
        str, typer.Option(help="What it may cost: more is less noise.")
    ],
    column: Annotated[
        str, typer.Option(help="The attribute; a count has none.")
    ] = "",
    key: Annotated[
        list[str] | None,
        typer.Option(help="Of a histogram a cell; name all, also empty."),
    ] = None,
    low: Annotated[str, typer.Option(help="Least value that counts.")] = "",
    high: Annotated[str, typer.Option(help="Largest value.")] = "",
    step: Annotated[
        str,
        typer.Option(help="Of a quantile: candidates from low to high by."),
    ] = "",
    at: Annotated[
        str, typer.Option(help="Of a quantile which, such as 1/2.")
    ] = "",
    digits: Annotated[int, typer.Option(help="Decimal places.")] = 0,
    where: Annotated[
        list[str] | None,
        typer.Option(help="Only where ATTRIBUTE=VALUE; repeat."),
    ] = None,
    actor: Actor = "",
    *,
    as_json: Json = False,
) -> None:
    """Ask one question; the budget is charged before anything is read.

    Example: curtilage numbers ask statistics-office population-statistics
    --recipient statistics-office --kind histogram --column user.gender
    --key female --key male --epsilon 0.1
    """
    voice = Output(as_json=as_json)
    query = anonymize.Query(
        kind=kind,
        epsilon=_number(epsilon, "epsilon"),
        column=column,
        keys=tuple(key or ()),
        low=_number(low, "low") if low else None,
        high=_number(high, "high") if high else None,
        digits=digits,
        at=_number(at, "at") if at else None,
        candidates=_candidates(low, high, step) if step else (),
        where=dict(_pair(each) for each in where or ()),
    )
    with (
        instance(context).platform() as platform,
        voice.progress("Asking", None) as advance,
    ):
        answer = asyncio.run(
            platform.numbers.ask(
                officer(actor, "analyst"),
                NumberRequest(
                    service=service,
                    purpose=purpose,
                    recipient=recipient,
                    query=query,
                ),
                progress=lambda _stage, _done, _total: advance(1),
            )
        )
    if as_json:
        voice.result(asdict(answer))
        return
    voice.table(
        "answer",
        ("what", "about", "give or take"),
        [
            (name, f"{value:g}", f"{answer.errors[name]:g}")
            if name in answer.errors
            else (name, f"{value:g}", f"{answer.rank_error} ranks")
            for name, value in answer.cells.items()
        ],
    )
    voice.say(
        "The same was asked before: this cost nothing."
        if answer.again
        else f"This cost epsilon {answer.epsilon:.4f} at delta "
        f"{answer.delta:g}."
    )
    voice.say("The truth is within the last column in 95 of 100 cases.")


@speaks
def budget(
    context: typer.Context,
    service: Service,
    purpose: Purpose,
    days: Annotated[int, typer.Option(help="Length of the window.")] = 365,
    *,
    as_json: Json = False,
) -> None:
    """Show what each recipient has spent on a data set.

    Example: curtilage numbers budget statistics-office
    population-statistics
    """
    with instance(context).platform() as platform:
        spent = platform.numbers.spent(service, purpose, days=days)
    Output(as_json=as_json).table(
        "spent",
        ("recipient", "epsilon", "rho", "answers", "never_given"),
        [
            (
                each.recipient,
                round(anonymize.epsilon_of(each.rho, _DELTA), 4),
                str(Fraction(each.rho, 10**12)),
                each.answers,
                each.reserved,
            )
            for each in spent
        ],
    )


def _number(text: str, name: str) -> Fraction:
    try:
        return Fraction(text)
    except (ValueError, ZeroDivisionError):
        msg = f"--{name}: a number such as 0.1 or 1/10 is needed"
        raise anonymize.InvalidQuery(msg) from None


def _candidates(low: str, high: str, step: str) -> tuple[Fraction, ...]:
    first, last = _number(low, "low"), _number(high, "high")
    width = _number(step, "step")
    if width <= 0 or (last - first) / width > 100_000:
        msg = "--step: above 0, and at most 100,000 candidates"
        raise anonymize.InvalidQuery(msg)
    return tuple(
        first + width * number
        for number in range(int((last - first) / width) + 1)
    )


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        msg = "--where: ATTRIBUTE=VALUE is needed"
        raise anonymize.InvalidQuery(msg)
    return name, value
