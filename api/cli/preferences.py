"""`curtilage preferences`: rule sets of P3P's time, run and taken over."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from api.cli.context import Json
from api.cli.declaration_files import is_xml, read_all
from api.cli.output import Output, speaks
from api.cli.p3p_views import finding_row
from consent import (
    Declaration,
    Explanation,
    Outcome,
    P3PDocument,
    change_text,
    evaluate_ruleset,
    explain_declaration,
    import_appel,
    lint,
    load_preferences,
    load_yaml,
    policy_of,
    read_appel,
    read_evidence,
    read_p3p_document,
    read_ruleset,
    write_p3p,
)

RulesetFile = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="APPEL or XPref rule set."
    ),
]
PolicyFile = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="P3P XML or YAML declaration."
    ),
]
Strict = Annotated[
    bool,
    typer.Option(
        "--strict", help="Refuse what is not well-formed; mend nothing."
    ),
]
_MILD = {"request": 0, "limited": 1, "block": 3}


def preferences_commands() -> typer.Typer:
    """The group."""
    group = typer.Typer(
        help="What people want in general, as APPEL, XPref or our rules.",
        no_args_is_help=True,
    )
    group.command("evaluate")(evaluate)
    group.command("import")(take_over)
    group.command("explain")(explain_match)
    return group


@speaks
def evaluate(
    ruleset: RulesetFile,
    policy: PolicyFile,
    uri: Annotated[
        str, typer.Option(help="The resource, for rules that name one.")
    ] = "",
    *,
    strict: Strict = False,
    as_json: Json = False,
) -> None:
    """Say what an APPEL or XPref rule set wants done about each policy.

    The first rule that is true decides; where none is, the answer is block.
    A rule set as printed in papers is mended, and each repair is listed. A
    policy with a mandatory extension that nobody understands is evaluated
    and marked as not understood: never act on it.

    Example: curtilage preferences evaluate rules.xml policy.xml --json
    """
    output = Output(as_json=as_json)
    rules = read_ruleset(
        ruleset.read_bytes(), where=str(ruleset), repair=not strict
    )
    text = policy.read_bytes()
    if not is_xml(text, policy):
        said = policy_of(load_yaml(text, where=str(policy)))
        text = write_p3p(P3PDocument(root="POLICY", policies=(said,)))
    _, noticed = read_p3p_document(text, where=str(policy))
    evidence = read_evidence(text, where=str(policy))
    unknown = [f for f in noticed if f.code == "mandatory-extension"]
    outcomes = [
        (one.name, evaluate_ruleset(rules, one, uri=uri)) for one in evidence
    ]
    findings = [*rules.findings, *unknown]
    for finding in findings:
        output.say(str(finding))
    for name, outcome in outcomes:
        output.say(f"{name}: {outcome.behavior} (rule {outcome.rule})")
    decided = max(
        (outcome for _, outcome in outcomes),
        key=lambda outcome: _MILD.get(outcome.behavior, 2),
        default=None,
    )
    output.result(
        {
            "ruleset": str(ruleset),
            "policy": str(policy),
            "behavior": None if decided is None else decided.behavior,
            "rule": None if decided is None else decided.rule,
            "understood": not unknown,
            "policies": [_row(name, outcome) for name, outcome in outcomes],
            "findings": [finding_row(each) for each in findings],
        },
        "no policy in the file" if decided is None else decided.behavior,
    )


def _row(name: str, outcome: Outcome) -> dict[str, Any]:
    return {
        "policy": name,
        "behavior": outcome.behavior,
        "rule": outcome.rule,
        "description": outcome.description,
        "prompt": outcome.prompt,
        "message": outcome.message,
    }


@speaks
def take_over(
    ruleset: RulesetFile, *, strict: Strict = False, as_json: Json = False
) -> None:
    """Take an APPEL 1.0 rule set over as rules of ours.

    What our rules cannot say is read to the person's protection and listed.

    Example: curtilage preferences import rules.xml --json
    """
    output = Output(as_json=as_json)
    rules = read_appel(
        ruleset.read_bytes(), where=str(ruleset), repair=not strict
    )
    found = import_appel(rules, where=str(ruleset))
    for finding in found.findings:
        output.say(str(finding))
    document = json.loads(found.preferences.text())
    output.result(
        {
            "preferences": document,
            "digest": found.preferences.digest,
            "findings": [finding_row(each) for each in found.findings],
        },
        found.preferences.text(),
    )


@speaks
def explain_match(
    preferences: Annotated[
        Path,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="Rules of a person: YAML or JSON, or `preset: NAME`.",
        ),
    ],
    declaration: Annotated[
        Path,
        typer.Option(
            exists=True, dir_okay=False, help="YAML declaration or P3P XML."
        ),
    ],
    lang: Annotated[
        Literal["en", "zh-Hans"],
        typer.Option(help="Language of the sentences for the person."),
    ] = "en",
    *,
    as_json: Json = False,
) -> None:
    """Say what a person's rules make of a declaration, and what would help.

    For each statement: the verdict, the rule that decided, the fewest
    changes to the declaration that the rules would accept, and sentences
    for the person.

    Example: curtilage preferences explain --preferences mine.yaml
    --declaration service.yaml --lang zh-Hans
    """
    output = Output(as_json=as_json)
    rules = load_preferences(preferences.read_bytes(), where=str(preferences))
    faults = list(lint(rules))
    found = [
        (each, explain_declaration(rules, each, lang))
        for each in read_all(declaration).declarations
    ]
    for fault in faults:
        output.say(f"{preferences}: {fault}")
    for each, explanations in found:
        output.say(f"{each.service}/{each.purpose}")
        for one in explanations:
            output.say(f"  {one.statement}: {one.behavior} (rule {one.rule})")
            for sentence in one.sentences:
                output.say(f"    {sentence}")
    if as_json:
        output.result(
            {
                "preferences": str(preferences),
                "digest": rules.digest,
                "findings": faults,
                "declarations": [
                    _explained(each, explanations, lang)
                    for each, explanations in found
                ],
            }
        )


def _explained(
    declaration: Declaration, found: list[Explanation], lang: str
) -> dict[str, Any]:
    return {
        "service": declaration.service,
        "purpose": declaration.purpose,
        "digest": declaration.digest,
        "statements": [
            {
                "statement": one.statement,
                "verdict": one.behavior.value,
                "rule": one.rule,
                "binding": one.binding,
                "attributes": [
                    {
                        "attribute": verdict.attribute,
                        "verdict": verdict.behavior.value,
                        "rule": verdict.rule,
                        "level": verdict.level,
                        "terms": [rule for rule, _ in verdict.terms],
                        "optional_sharing": verdict.optional_sharing,
                    }
                    for verdict in one.verdicts
                ],
                "changes": [
                    {
                        "kind": change.kind.value,
                        "what": change.what,
                        "to": change.to or None,
                        "text": change_text(change, lang),
                    }
                    for change in one.changes
                ],
                "sentences": list(one.sentences),
            }
            for one in found
        ],
    }
