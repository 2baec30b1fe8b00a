"""`curtilage policy doc`: the rules as a table that a lawyer reads."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from enum import StrEnum
from html import escape
from pathlib import Path
from typing import Annotated

import typer

from api.cli.context import Json
from api.cli.output import Output, speaks
from policy import (
    LegalPackage,
    LegalRule,
    legal_packages,
    load_bundle,
    policies_folder,
)

_COLUMNS = (
    "Rule",
    "What it decides",
    "Articles",
    "Reasons it can give",
    "What would help",
    "Where",
)
_STYLE = (
    "body{font-family:sans-serif;line-height:1.4;margin:2em;max-width:110em}"
    "table{border-collapse:collapse;margin:1em 0}"
    "th,td{border:1px solid #777;padding:.4em .6em;text-align:left;"
    "vertical-align:top}th{background:#eee}"
)


class Form(StrEnum):
    """How the table is written."""

    MARKDOWN = "markdown"
    HTML = "html"


@speaks
def doc(
    form: Annotated[
        Form, typer.Option("--format", help="How the table is written.")
    ] = Form.MARKDOWN,
    source: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            help="Folder of the Rego; that of the software, if left out.",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", help="File to write instead of printing."),
    ] = None,
    *,
    as_json: Json = False,
) -> None:
    """Show what each rule decides, and which article of law it serves.

    With the reasons that it can give and what would help. Rules that only
    help others stand with those that they help, and serve their articles.

    Example: curtilage policy doc --format html --out rules.html
    """
    packages = legal_packages(source or policies_folder())
    voice = Output(as_json=as_json)
    text = (_markdown if form is Form.MARKDOWN else _html)(
        packages, "" if source else load_bundle().revision
    )
    if out is not None:
        out.write_text(text, "utf-8")
        voice.result(
            {
                "file": str(out),
                "packages": len(packages),
                "rules": sum(len(one.rules) for one in packages),
            }
        )
        return
    if as_json:
        voice.result({"packages": [asdict(one) for one in packages]})
    else:
        typer.echo(text, nl=False)


def _cells(rule: LegalRule) -> tuple[str, ...]:
    told = ". ".join(
        part.rstrip(".") for part in (rule.title, rule.description) if part
    )
    if rule.helpers:
        told = f"{told}. With: {', '.join(rule.helpers)}"
    return (
        f"{rule.name} (decision)" if rule.entrypoint else rule.name,
        f"{told}.",
        "; ".join(rule.articles),
        ", ".join(rule.codes),
        ", ".join(dict.fromkeys(r for r in rule.remedies if r != "none")),
        rule.place,
    )


def _shown(package: LegalPackage) -> Iterator[LegalRule]:
    return (rule for rule in package.rules if rule.title)


def _markdown(packages: Sequence[LegalPackage], revision: str) -> str:
    lines = ["# Rules and the law that they serve", ""]
    if revision:
        lines += [f"Policies of revision `{revision}`.", ""]
    for package in packages:
        lines += [f"## {package.title} (`{package.name}`)", ""]
        lines += [text + "\n" for text in _about(package)]
        lines.append(_row(_COLUMNS))
        lines.append(_row(["---"] * len(_COLUMNS)))
        lines += [_row(_cells(rule)) for rule in _shown(package)]
        lines.append("")
    return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(_plain(cell) for cell in cells)} |"


def _plain(cell: str) -> str:
    """A cell that Markdown takes for text, whatever stands in it."""
    for character in "\\|*<[`_":
        cell = cell.replace(character, f"\\{character}")
    return cell


def _about(package: LegalPackage) -> list[str]:
    owner = f"Answers for it: {package.owner}." if package.owner else ""
    law = "; ".join(package.articles)
    return [
        text
        for text in (
            package.description,
            f"Articles: {law}." if law else "",
            owner,
        )
        if text
    ]


def _html(packages: Sequence[LegalPackage], revision: str) -> str:
    parts = [
        '<!doctype html>\n<html lang="en">\n<meta charset="utf-8">',
        "<title>Rules and the law that they serve</title>",
        f"<style>{_STYLE}</style>",
        "<h1>Rules and the law that they serve</h1>",
    ]
    if revision:
        parts.append(f"<p>Policies of revision <code>{revision}</code>.</p>")
    for package in packages:
        title = escape(package.title)
        parts.append(f"<h2>{title} ({escape(package.name)})</h2>")
        parts += [f"<p>{escape(text)}</p>" for text in _about(package)]
        heads = "".join(
            f'<th scope="col">{escape(name)}</th>' for name in _COLUMNS
        )
        parts.append(f"<table>\n<thead><tr>{heads}</tr></thead>\n<tbody>")
        for rule in _shown(package):
            first, *rest = map(escape, _cells(rule))
            cells = "".join(f"<td>{cell}</td>" for cell in rest)
            parts.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
        parts.append("</tbody>\n</table>")
    return "\n".join([*parts, "</html>\n"])
