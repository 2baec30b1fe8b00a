"""The report of an extract as a PDF: the same sections as the page.

The same parts give the same bytes; there is no date in it that is not one of
the release's.
"""

import html
import re
from collections.abc import Sequence
from io import BytesIO
from typing import Any

from anonymize.errors import MissingExtra
from anonymize.report_page import Part, Plot, plot_shares, shortened

_WIDTH = 469.0
"""Points between the margins of a page of A4."""
_MARGIN = 57.0
_FIRST = 0.3
_ROOM = 110.0
_PADDING = 6.0
_BAR, _LEFT, _LENGTH = 20.0, 140.0, 200.0
_INK, _LINE, _BLUE, _GREY = "#0b0c0c", "#b1b4b6", "#1d70b8", "#505a5f"
_CJK = "STSong-Light"
_WIDE = re.compile(r"[\u2e80-\u9fff\uf900-\ufaff\uff00-\uffef]+")
_TITLE = "De-identified extract: report"


def report_pdf(parts: Sequence[Part]) -> bytes:
    """Write the report as a PDF.

    Args:
        parts: of `report_parts`.

    Raises:
        MissingExtra: ReportLab is not installed.
    """
    try:
        # ruff: noqa: PLC0415 - the extra is loaded here and not before
        from reportlab.lib.pagesizes import A4
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.cidfonts import UnicodeCIDFont
        from reportlab.platypus import CondPageBreak, Paragraph
        from reportlab.platypus import SimpleDocTemplate as Template
    except ImportError as missing:
        raise MissingExtra(library="reportlab") from missing
    pdfmetrics.registerFont(UnicodeCIDFont(_CJK))
    styles = _styles()
    flow: list[Any] = [Paragraph(_TITLE, styles["title"])]
    for part in parts:
        heading = Paragraph(_escaped(part.title), styles["heading"])
        made = [
            *_table(part, styles),
            *(_drawing(plot) for plot in part.plots),
            *(
                Paragraph(_escaped(said), styles["text"])
                for said in part.words
            ),
        ]
        # A heading is not left alone at the foot of a page.
        flow += [CondPageBreak(_ROOM), heading, *made]
    out = BytesIO()
    Template(
        out,
        pagesize=A4,
        title=_TITLE,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        invariant=1,
    ).build(flow, onFirstPage=_foot, onLaterPages=_foot)
    return out.getvalue()


def _styles() -> dict[str, Any]:
    from reportlab.lib.styles import ParagraphStyle

    text = ParagraphStyle(
        "text", fontName="Helvetica", fontSize=9, leading=12.5, spaceAfter=5
    )
    return {
        "text": text,
        # A hash has no spaces: it breaks where it must.
        "cell": ParagraphStyle(
            "cell", parent=text, spaceAfter=0, splitLongWords=1
        ),
        "head": ParagraphStyle(
            "head", parent=text, spaceAfter=0, fontName="Helvetica-Bold"
        ),
        "title": ParagraphStyle(
            "title",
            parent=text,
            fontName="Helvetica-Bold",
            fontSize=20,
            leading=26,
            spaceAfter=6,
        ),
        "heading": ParagraphStyle(
            "heading",
            parent=text,
            fontName="Helvetica-Bold",
            fontSize=13,
            leading=17,
            spaceBefore=14,
            spaceAfter=6,
        ),
    }


def _table(part: Part, styles: dict[str, Any]) -> list[Any]:
    from reportlab.platypus import Paragraph, Table

    if not part.rows:
        return []
    lines = [
        [
            Paragraph(_escaped(one), styles["cell" if at else "head"])
            for at, one in enumerate(row)
        ]
        for row in part.rows
    ]
    if part.heads:
        heads = [Paragraph(_escaped(h), styles["head"]) for h in part.heads]
        lines.insert(0, heads)
    rest = _WIDTH * (1 - _FIRST) / (len(part.rows[0]) - 1)
    rules = [
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LINEBELOW", (0, 0), (-1, -1), 0.5, _LINE),
        ("LEFTPADDING", (0, 0), (-1, -1), 0),
        ("TOPPADDING", (0, 0), (-1, -1), 3),
        ("BOTTOMPADDING", (0, 0), (-1, -1), 4),
    ]
    if part.heads:
        rules.append(("LINEBELOW", (0, 0), (-1, 0), 1, _INK))
    return [
        Table(
            lines,
            colWidths=[_WIDTH * _FIRST, *[rest] * (len(part.rows[0]) - 1)],
            repeatRows=1 if part.heads else 0,
            style=rules,
            hAlign="LEFT",
            spaceAfter=6,
        )
    ]


def _drawing(plot: Plot) -> Any:  # noqa: ANN401 - ReportLab has no types
    from reportlab.graphics.shapes import Drawing, Rect, String
    from reportlab.lib.colors import HexColor

    height = _BAR * (len(plot.bars) + 1) + 10
    drawing = Drawing(_WIDTH, height)

    def write(x: float, y: float, said: str, **style: object) -> None:
        given = {"fontName": _font(said), "fontSize": 9, **style}
        drawing.add(String(x, y, said, **given))

    write(0, height - 14, plot.title, fontName="Helvetica-Bold")
    for at, (name, share, said) in enumerate(plot_shares(plot)):
        y = _BAR * (len(plot.bars) - 1 - at) + 4
        write(_LEFT - 8, y + 4, shortened(name), textAnchor="end")
        bar = Rect(_LEFT, y, max(_LENGTH * share, 0.5), _BAR - 6)
        bar.fillColor, bar.strokeColor = HexColor(_BLUE), None
        drawing.add(bar)
        write(_LEFT + 8 + _LENGTH * share, y + 4, said)
    return drawing


def _foot(canvas: Any, document: Any) -> None:  # noqa: ANN401 - no types
    """Number a page."""
    canvas.setFont("Helvetica", 8)
    canvas.setFillColor(_GREY)
    canvas.drawString(_MARGIN + _PADDING, _MARGIN / 2, _TITLE)
    page = f"Page {document.page}"
    canvas.drawRightString(_MARGIN + _PADDING + _WIDTH, _MARGIN / 2, page)


def _font(said: str) -> str:
    return _CJK if _WIDE.search(said) else "Helvetica"


def _escaped(said: str) -> str:
    """Escape markup; Chinese is written in a font that has it."""
    escaped = html.escape(said)
    return _WIDE.sub(rf'<font name="{_CJK}">\g<0></font>', escaped)
