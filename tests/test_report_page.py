"""The report of an extract as a page and as a PDF, in two copies."""

import re
from io import BytesIO
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from anonymize import (
    Copy,
    ExtractSpec,
    ExtractTampered,
    Intervals,
    Role,
    build_extract,
    descriptions,
    report_html,
    report_parts,
    report_pdf,
    write_extract,
)
from anonymize.report_page import Part, Plot

LEFT_OUT = 3
PEOPLE = 8_641


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An extract of 8,641 rows of which some are suppressed."""
    spec = ExtractSpec(
        columns={"age": Role.QUASI, "illness": Role.SENSITIVE},
        hierarchies={"age": Intervals(low=0, high=9999, widths=(5, 10))},
        k=5,
        l=2,
        suppression_limit=0.5,
        recipient="<b>reader</b>",
    )
    rows = {
        "age": [str(row % 60) for row in range(PEOPLE - LEFT_OUT)]
        + ["9000"] * LEFT_OUT,
        "illness": ["abcd"[row // 60 % 4] for row in range(PEOPLE)],
    }
    made = tmp_path_factory.mktemp("report") / "extract"
    write_extract(build_extract(spec, rows), made, descriptions(spec))
    return made


def words(page: str) -> list[str]:
    """Return the numbers and words of a page."""
    return re.findall(r"[\w.]+", re.sub(r"<[^>]+>", " ", page))


def test_the_officer_reads_counts_and_the_recipient_does_not(
    folder: Path,
) -> None:
    """Rows handed in and suppressed are in one copy and not the other."""
    officer = words(report_html(report_parts(folder, Copy.OFFICER)))
    recipient = words(report_html(report_parts(folder, Copy.RECIPIENT)))

    assert str(PEOPLE) in officer
    assert "suppressed" in officer
    assert str(PEOPLE) not in recipient
    assert "suppressed" not in recipient
    assert str(PEOPLE - LEFT_OUT) in recipient


def test_labels_are_no_markup(folder: Path) -> None:
    """What a request calls itself stays text, and nothing is loaded."""
    page = report_html(report_parts(folder, Copy.OFFICER))

    assert "<b>" not in page
    assert "&lt;b&gt;reader" in page
    assert not re.search(r"(src|href)=|<script|url\(|@import", page)
    assert 2 == page.count('role="img"')


def test_the_pdf_is_the_same_twice(folder: Path) -> None:
    """It is a PDF, with no date of its own."""
    pytest.importorskip("reportlab")
    parts = report_parts(folder, Copy.RECIPIENT)
    made = report_pdf(parts)

    assert made.startswith(b"%PDF-")
    assert made == report_pdf(parts)


def test_every_section_is_on_the_page_and_in_the_pdf(folder: Path) -> None:
    """Attacks and earlier releases too; Chinese is written in its font."""
    pytest.importorskip("reportlab")
    pypdf = pytest.importorskip("pypdf")
    parts = report_parts(folder, Copy.OFFICER)
    chinese = Part(title="用途", rows=(("目的", "用于统计。"),))
    made = report_pdf((*parts, chinese))

    titles = [part.title for part in parts]
    assert "Attacks that were run on this release" in titles
    assert "Beside earlier releases" in titles
    page = report_html(parts)
    read = "".join(
        each.extract_text() for each in pypdf.PdfReader(BytesIO(made)).pages
    )
    for title in titles:
        assert title in page
        assert title in read
    assert "membership" in read
    assert "用于统计" in read


def test_what_is_no_extract_has_no_report(tmp_path: Path) -> None:
    """One clear error."""
    (tmp_path / "report.json").write_text("{}")

    with pytest.raises(ExtractTampered):
        report_parts(tmp_path, Copy.OFFICER)


_BROKEN = r"""() => {
  const found = [];
  const walker = document.createTreeWalker(
    document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode;
    for (const word of node.data.matchAll(/[^\s-]+/g)) {
      const range = document.createRange();
      range.setStart(node, word.index);
      range.setEnd(node, word.index + word[0].length);
      const lines = new Set(
        [...range.getClientRects()].map(r => Math.round(r.top)));
      if (lines.size > 1 && word[0].length < 30) found.push(word[0]);
    }
  }
  return found;
}"""
_SIDEWAYS = """() => [
  ...document.querySelectorAll("html, .scroll, [role=img]")]
  .filter(e => e.scrollWidth > e.clientWidth)
  .map(e => e.tagName + " " + e.scrollWidth)"""
_LENGTHS = """bars => bars.map(
  e => e.getBoundingClientRect().width
    / bars[0].getBoundingClientRect().width)"""


@pytest.mark.chromium
@pytest.mark.parametrize("width", [320, 360, 760, 800, 1100])
def test_no_word_is_broken_and_nothing_scrolls_sideways(
    folder: Path, tmp_path: Path, chromium_executable: Path, width: int
) -> None:
    """On a telephone rows and bars are blocks; figures keep their names."""
    file = tmp_path / "report.html"
    parts = report_parts(folder, Copy.OFFICER)
    attacks = Part(
        title="Attacks",
        heads=("Attack", "On members", "Without the release", "Bound"),
        rows=(("inference of user.benefit.status", "39.0%", "29%", "none"),),
        plots=(
            Plot(
                title="Rows",
                bars=(
                    ("user.home-info.postal.city", 4, "40000 rows, 9 classes"),
                    ("half", 2, "20000 rows, 4 classes"),
                ),
            ),
        ),
    )
    file.write_text(report_html([*parts, attacks]), "utf-8")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=chromium_executable, args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": width, "height": 900})
        page.goto(file.as_uri())
        broken = page.evaluate(_BROKEN)
        sideways = page.evaluate(_SIDEWAYS)
        plot = page.get_by_role("img", name="Rows. user.home-info")
        lengths = plot.locator("rect").evaluate_all(_LENGTHS)
        cell = page.get_by_role("cell", name="29%")
        named = cell.evaluate("e => getComputedStyle(e, '::before').content")
        browser.close()

    assert [] == broken
    assert [] == sideways
    assert [1.0, 0.5] == [round(length, 2) for length in lengths]
    assert ("Without the release" in named) == (width <= 768)
