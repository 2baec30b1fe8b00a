"""The pages' third-party files: pinned, adapted, and rid of the crown."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from api.assets import build, stylesheet

FOLDER = build.HERE
VENDOR = build.VENDOR
SERVED = ["govuk-frontend.min.css", "govuk-frontend.min.js", "htmx.min.js"]
# Of the government of one country, and not under the MIT licence.
NAMES = ["crown", "crest", "gds transport", "govuk-crest", "woff"]


@pytest.fixture(scope="module", autouse=True)
def built() -> None:
    """Build the files where they are not what this code would build."""
    if not build.is_current():
        build.build()


def lock() -> dict[str, dict[str, str]]:
    """Read the locked packages."""
    text = (FOLDER / "package-lock.json").read_text("utf-8")
    packages: dict[str, dict[str, str]] = json.loads(text)["packages"]
    return {name: package for name, package in packages.items() if name}


def test_packages_are_pinned_exactly() -> None:
    """One version each: a new major of htmx answers to other attributes."""
    package = json.loads((FOLDER / "package.json").read_text("utf-8"))

    assert {
        "govuk-frontend": "6.6.0",
        "htmx.org": "4.0.1",
    } == package["dependencies"]


def test_packages_are_locked_by_integrity_alone() -> None:
    """The lock says what a package is, and not where it came from."""
    assert ["node_modules/govuk-frontend", "node_modules/htmx.org"] == (
        sorted(lock())
    )
    for package in lock().values():
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package


@pytest.mark.parametrize("file", SERVED)
def test_nothing_of_the_crown_is_served(file: str) -> None:
    """Neither crown nor crest nor typeface is named in what is served."""
    text = (VENDOR / file).read_text("utf-8").lower()

    assert [] == [name for name in NAMES if name in text]


def test_nothing_else_is_carried() -> None:
    """Fonts, images, source maps and other bundles stay in the packages."""
    extra = {"manifest.json", "htmx.LICENSE.txt", "govuk-frontend.LICENSE.txt"}

    assert {*SERVED, *extra} == {path.name for path in VENDOR.iterdir()}


def test_the_stylesheet_refers_to_no_other_file() -> None:
    """A page with it asks for nothing that we do not serve."""
    text = (VENDOR / SERVED[0]).read_text("utf-8")

    assert "url(" not in text
    assert "@import" not in text
    assert "sourceMappingURL" not in text


def test_the_stylesheet_is_whole() -> None:
    """What the pages use is still there, and its blocks close."""
    text = (VENDOR / SERVED[0]).read_text("utf-8")

    assert text.count("{") == text.count("}")
    assert 58 == text.count(f"font-family:{stylesheet.FONTS}")
    for name in ("button", "radios", "generic-header", "summary-list"):
        assert f".govuk-{name}" in text
    assert not re.search(r"@media[^{]*\{\}", text)


def test_scripts_are_as_they_were_packed() -> None:
    """Scripts lose their reference to a source map, and nothing else."""
    packed = (
        FOLDER / "node_modules" / build.FILES["govuk-frontend.min.js"]
    ).read_text("utf-8")

    served = (VENDOR / "govuk-frontend.min.js").read_text("utf-8")

    assert served == re.sub(r"//# sourceMappingURL=.*", "", packed)


def test_the_manifest_is_checked(tmp_path: Path) -> None:
    """A changed file is noticed, so it is built again."""
    copy = tmp_path / "vendor"
    shutil.copytree(VENDOR, copy)
    before = build.is_current(copy)

    (copy / "htmx.min.js").write_text("something else", "utf-8")

    assert before
    assert not build.is_current(copy)
    assert not build.is_current(tmp_path / "nowhere")


def test_a_rule_with_the_crest_is_dropped() -> None:
    """Rules go whole, and a block that they leave empty goes with them."""
    source = (
        "@font-face{font-family:GDS Transport;src:url(a.woff)}"
        ".a{font-family:GDS Transport,arial,sans-serif}"
        "@media print{.govuk-footer__copyright-logo{background:url(crest)}}"
        "@media screen{.b{color:red}.c__crown{margin:0}}"
    )

    assert (
        f".a{{font-family:{stylesheet.FONTS}}}@media screen{{.b{{color:red}}}}"
    ) == stylesheet.adapt_stylesheet(source)


@pytest.mark.parametrize(
    "source",
    [
        '.a{content:"x"}.b{background:url(/x.png)}',
        ".a{font-family:GDS Transport}",
        "@import 'crown.css';.a{color:red}",
    ],
)
def test_what_cannot_be_dropped_is_an_error(source: str) -> None:
    """A new release cannot bring them back in another form unseen."""
    with pytest.raises(stylesheet.StylesheetError):
        stylesheet.adapt_stylesheet(source)


@pytest.mark.slow
def test_the_npm_of_the_wheel_fetches_the_same(tmp_path: Path) -> None:
    """Where the machine has no npm, the one among our tools does."""
    npm = Path(sys.executable).with_name("npm")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        shutil.copy(FOLDER / name, tmp_path)

    subprocess.run(
        [npm, "ci", "--ignore-scripts"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
    )

    for source in build.FILES.values():
        ours = FOLDER / "node_modules" / source
        theirs = tmp_path / "node_modules" / source
        assert ours.read_bytes() == theirs.read_bytes()


def test_npm_is_taken_from_the_machine_or_from_the_wheel(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing on PATH there is still one npm to try."""
    monkeypatch.setenv("PATH", "")

    found = list(build.npm_candidates())

    assert [str(Path(sys.executable).with_name("npm"))] == found


def test_without_any_npm_the_reason_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing is written when nothing can be fetched."""
    monkeypatch.setattr(build, "npm_candidates", lambda: iter(()))

    with pytest.raises(build.AssetsError, match="no npm"):
        build.build()

    assert build.is_current()
