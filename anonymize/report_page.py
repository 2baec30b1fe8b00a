"""The report of an extract, read into sections and written as a page.

A page, or a PDF (`report_pdf`), in two copies. Both are made of what stands
in the extract's folder: report, manifest and ledger proof. The *officer's*
copy has every figure. The *recipient's* has no number of people handed in,
left out or suppressed, nor any figure that they could be computed from: from
one release to the next those numbers would tell withdrawals. Neither copy
holds a value of a row.
"""

import html
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

from anonymize.errors import ExtractTampered
from anonymize.report import (
    ATTACK_HEADS,
    aside_words,
    attack_rows,
    earlier_words,
    effect_lines,
)

_LONGEST = 60
_STYLE = (
    "body{font:16px/1.5 sans-serif;color:#0b0c0c;max-width:60rem;"
    "margin:2rem auto;padding:0 1rem}"
    "h2{margin:2.5rem 0 .75rem}h3{margin:1.5rem 0 .5rem;font-size:1rem}"
    ".scroll{overflow-x:auto}"
    ".bar{display:grid;grid-template-columns:12rem 1fr;gap:.6rem;"
    "font-size:.875rem;margin:.3rem 0}"
    ".bar>:first-child{text-align:right}"
    ".bar>:last-child{display:flex;align-items:center;gap:.5rem}"
    "table{border-collapse:collapse;margin:0 0 1rem;width:100%}"
    "th,td{border-bottom:1px solid #b1b4b6;padding:.4rem .8rem .4rem 0;"
    "text-align:left;vertical-align:top;overflow-wrap:break-word}"
    "td:nth-child(2):last-child{overflow-wrap:anywhere}"
    "thead th{border-bottom:2px solid #0b0c0c}"
    "tbody th{font-weight:600;min-width:9rem}"
    "svg{flex:none;height:1.25rem}"
    "@media print{body{margin:0;font-size:11pt}h2{break-after:avoid}}"
    # Side by side, columns would break words on a telephone, and bars would
    # be too wide for it.
    "@media screen and (max-width:48rem){"
    "table,tbody,tr,tbody th,td{display:block}"
    "thead{position:absolute;width:1px;height:1px;overflow:hidden;"
    "clip-path:inset(50%)}"
    "tbody th,td{border:0;padding:.2rem 0}"
    "tbody tr{border-bottom:1px solid #b1b4b6;padding:.4rem 0}"
    'td[data-label]::before{content:attr(data-label) ": ";color:#484f4b}'
    ".bar{display:block;margin:.6rem 0}.bar>:first-child{text-align:left}"
    ".bar>:last-child{flex-wrap:wrap}}"
)


_NAME = 24
_PAIR = 2
_METHOD = (
    "The control are people who were set aside and attacked in a release "
    "made on the same terms without them. Intervals are Wilson's at 95 %. "
    "What was drawn follows from the hash of the data, so that it can be "
    "repeated."
)
OFFICERS = ".officer.json"
"""What the name of the officer's report adds to that of the folder."""


class Copy(StrEnum):
    """Whom a copy of the report is for."""

    OFFICER = "officer"
    RECIPIENT = "recipient"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plot:
    """Bars from 0 to the largest.

    Attributes:
        title: what is shown.
        bars: each one's name, length and figure in words.
        full: the length that fills the plot; 0 takes the largest.
    """

    title: str
    bars: tuple[tuple[str, float, str], ...]
    full: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One section: a table, plots, paragraphs."""

    title: str
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    plots: tuple[Plot, ...] = ()
    words: tuple[str, ...] = field(default=())


def report_parts(folder: Path, copy: Copy) -> tuple[Part, ...]:
    """Read an extract's folder into the sections of its report.

    Args:
        folder: where report, manifest and, from the desk, proof lie.
        copy: whom it is for.

    Raises:
        ExtractTampered: a file is missing or not what it should be.
    """
    try:
        path = folder / "report.json"
        full = folder.parent / f"{folder.name}{OFFICERS}"
        if copy is Copy.OFFICER and full.exists():
            path = full
        report = json.loads(path.read_bytes())
        manifest = json.loads((folder / "manifest.json").read_bytes())
        proof = folder / "proof.json"
        entry: dict[str, Any] = {}
        if proof.exists():
            entry = json.loads(json.loads(proof.read_bytes())["audit"]["body"])
        return _parts(report, manifest, entry, copy)
    except (AttributeError, KeyError, OSError, TypeError, ValueError):
        msg = "the folder does not hold the report of an extract"
        raise ExtractTampered(msg) from None


def _parts(
    report: Mapping[str, Any],
    manifest: Mapping[str, Any],
    entry: Mapping[str, Any],
    copy: Copy,
) -> tuple[Part, ...]:
    found = (
        Part(title="Release", rows=_terms(report, manifest, entry, copy)),
        _basis(report, copy),
        Part(
            title="Columns",
            heads=("Column", "Role", "What was done"),
            rows=tuple(
                (each["name"], each["role"], each["treatment"])
                for each in report["columns"]
            ),
        ),
        Part(title="Classes and utility", plots=_plots(report)),
        _risk(report["risk"]),
        _attacks(report),
        Part(
            title="Beside earlier releases",
            words=(
                earlier_words(report.get("earlier_releases")),
                *effect_lines(report.get("earlier_releases") or {}),
            ),
        ),
        Part(
            title="What is left",
            words=(
                report["residual_risk"],
                *(
                    f"{name.replace('_', ' ').capitalize()}: {said}."
                    for name, said in report["answers"].items()
                ),
            ),
        ),
    )
    return tuple(part for part in found if part.rows or not part.heads)


def _terms(
    report: Mapping[str, Any],
    manifest: Mapping[str, Any],
    entry: Mapping[str, Any],
    copy: Copy,
) -> tuple[tuple[str, str], ...]:
    everything = copy is Copy.OFFICER and "in" in report["rows"]
    asked, reached = report["asked"], report["reached"]
    detail = entry.get("detail", {})
    rows = report["rows"]
    terms = [
        ("Purpose", report["purpose"] or "not stated"),
        ("Recipient", report["recipient"]),
        ("Release", entry.get("decision", "made without the release desk")),
        ("Taken", _day(entry.get("time"))),
        ("May be used until", _day(detail.get("expires_at"))),
        ("Approved by", detail.get("approver", "not stated")),
        ("k asked, reached", f"{asked['k']}, {reached['k']}"),
        ("l asked, reached", f"{asked['l']}, {reached['l'] or 'none'}"),
        *(
            (
                each["model"],
                f"{each['reached']} (other reference: {each['otherwise']})",
            )
            for each in report["models"]
        ),
        ("Reference distribution", _reference(manifest["criteria"])),
        ("Rows published", str(rows["out"])),
    ]
    if everything:
        terms += [
            ("Rows handed in", str(rows["in"])),
            ("Rows suppressed", f"{rows['suppressed']}"),
            ("Rows that might be suppressed", str(asked["allowed"])),
            ("NCP over all rows", _figure(report["utility"]["ncp"])),
            ("Discernibility", str(report["utility"]["discernibility"])),
        ]
    terms += [
        ("NCP over the published rows", f"{_published_ncp(report):.4f}"),
        ("Mean class", f"{float(report['utility']['mean_class']):.2f} rows"),
        ("SHA-256 of the data", manifest["files"]["data.csv"]),
        ("Privacy budget", "none spent: no noisy numbers in this extract"),
    ]
    return tuple(terms)


def _basis(report: Mapping[str, Any], copy: Copy) -> Part:
    """Say what the release rests on; how many people, to the officer."""
    basis = report.get("basis", {})
    counted = basis.get("counted", {}) if copy is Copy.OFFICER else {}
    return Part(
        title="Purpose and consents it rests on",
        heads=("What", "As it stood"),
        rows=(
            *basis.get("stated", {}).items(),
            *((name, str(many)) for name, many in counted.items()),
        ),
    )


def _plots(report: Mapping[str, Any]) -> tuple[Plot, ...]:
    kept = 1 - _published_ncp(report)
    sizes = Plot(
        title="Rows by size of their class",
        bars=tuple(
            (
                each["size"],
                float(each["rows"]),
                f"{each['rows']} rows, {each['classes']} classes",
            )
            for each in report["class_sizes"]
        ),
    )
    columns = [
        (each["name"], 1 - float(each["ncp"]))
        for each in report["utility"].get("columns", ())
    ]
    precision = Plot(
        title="Precision kept in the published rows (1 - NCP)",
        bars=tuple(
            (name, share, f"{share:.1%}")
            for name, share in (*columns, ("all together", kept))
        ),
        full=1.0,
    )
    return sizes, precision


def _risk(risk: Mapping[str, Any]) -> Part:
    return Part(
        title="Risk of a match",
        heads=(
            "Attacker",
            "Highest",
            "Average",
            f"Rows above {float(risk['threshold']):g}",
        ),
        rows=(
            *(
                (
                    name,
                    _figure(risk[name]["highest"]),
                    _figure(risk[name]["average"]),
                    f"{float(risk[name]['above_threshold']):.1%}",
                )
                for name in ("prosecutor", "journalist")
            ),
            ("marketer", "-", _figure(risk["marketer"]["average"]), "-"),
        ),
    )


def _attacks(report: Mapping[str, Any]) -> Part:
    found = report["attacks"]
    title = "Attacks that were run on this release"
    if "untried" in found:
        words = f"None were run: {found['untried']}."
        return Part(title=title, words=(words,))
    verdict = (
        "passed: no row is singled out by quasi-identifiers, links are within "
        "the bound, and members are told from others no better than the "
        "control is"
        if found["passed"]
        else "NOT passed: see the table"
    )
    return Part(
        title=title,
        heads=tuple(head.capitalize() for head in ATTACK_HEADS),
        rows=tuple(attack_rows(found)),
        words=(
            f"Verdict: {verdict}.",
            *filter(None, [aside_words(found)]),
            _METHOD,
        ),
    )


def report_html(parts: Sequence[Part]) -> str:
    """Write the report as one page, with nothing to load.

    Args:
        parts: of `report_parts`.
    """
    body = "".join(map(_section, parts))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        "<title>De-identified extract: report</title>"
        f"<style>{_STYLE}</style></head><body>"
        f"<h1>De-identified extract: report</h1>{body}</body></html>\n"
    )


def _section(part: Part) -> str:
    found = [f"<h2>{html.escape(part.title)}</h2>"]
    if part.rows:
        # Roles, as a table that is shown as blocks is none to all readers.
        found.append('<div class="scroll"><table role="table">')
        if part.heads:
            heads = "".join(
                f'<th scope="col" role="columnheader">{html.escape(h)}</th>'
                for h in part.heads
            )
            found.append(
                f'<thead role="rowgroup"><tr role="row">{heads}</tr></thead>'
            )
        found.append('<tbody role="rowgroup">')
        found += [_row(row, part.heads) for row in part.rows]
        found.append("</tbody></table></div>")
    found += [_bars(plot) for plot in part.plots]
    found += [f"<p>{html.escape(words)}</p>" for words in part.words]
    return "".join(found)


def _row(row: Sequence[str], heads: Sequence[str]) -> str:
    first, *rest = row
    # Two columns speak for themselves.
    named = heads[1:] if len(heads) > _PAIR else ("",) * len(rest)
    cells = "".join(
        f'<td role="cell"{_label(head)}>{html.escape(one)}</td>'
        for head, one in zip(named, rest, strict=True)
    )
    head = f'<th scope="row" role="rowheader">{html.escape(first)}</th>'
    return f'<tr role="row">{head}{cells}</tr>'


def _label(head: str) -> str:
    return f' data-label="{html.escape(head)}"' if head else ""


def _bars(plot: Plot) -> str:
    # Drawn, as a background is not printed.
    bars = "".join(
        f'<div class="bar"><span>{html.escape(shortened(name))}</span>'
        f'<span><svg width="{_LONGEST * share:.1f}%">'
        '<rect width="100%" height="100%" fill="#1d70b8"/></svg>'
        f"<span>{html.escape(said)}</span></span></div>"
        for name, share, said in plot_shares(plot)
    )
    title = html.escape(plot.title)
    said = html.escape(
        "; ".join(f"{name}: {figure}" for name, _, figure in plot.bars)
    )
    return (
        f'<h3>{title}</h3><div role="img" aria-label="{title}. {said}">'
        f"{bars}</div>"
    )


def shortened(name: str) -> str:
    """Shorten the name of a bar to what stands beside it.

    Args:
        name: the name.
    """
    return (
        name
        if len(name) <= _NAME
        else f"{name[: _NAME - 1]}\N{HORIZONTAL ELLIPSIS}"
    )


def plot_shares(plot: Plot) -> list[tuple[str, float, str]]:
    """Return the bars of a plot, their lengths as shares of the longest.

    Args:
        plot: the plot.
    """
    full = plot.full or max((bar[1] for bar in plot.bars), default=1.0) or 1.0
    return [(name, length / full, said) for name, length, said in plot.bars]


def _published_ncp(report: Mapping[str, Any]) -> float:
    """NCP without the suppressed rows, which count 1 in the other."""
    rows = report["rows"]
    out = int(rows["out"])
    there = int(rows.get("in", out))
    lost = float(report["utility"]["ncp"]) * there - (there - out)
    return max(0.0, lost / out)


def _reference(criteria: Mapping[str, Any]) -> str:
    named = {
        str(model["reference"])
        for model in criteria["models"]
        if isinstance(model, Mapping) and "reference" in model
    }
    return ", ".join(sorted(named)) or "none: no model compares with one"


def _figure(decimal: str) -> str:
    return f"{float(decimal):.4f}"


def _day(at: object) -> str:
    if not isinstance(at, int):
        return "not stated"
    return datetime.fromtimestamp(at, UTC).date().isoformat()
