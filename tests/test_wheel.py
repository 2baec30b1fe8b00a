"""The wheel carries what it needs, and the slim core stays slim."""

import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.parts import ROOT, TOOLS

UV = TOOLS / "uv" / "bin" / "uv"
LARGEST_CORE = 150_000_000  # bytes, with everything it depends on
HEAVY = {"numpy", "polars", "presidio_analyzer", "spacy", "psycopg"}

pytestmark = [pytest.mark.long, pytest.mark.slow]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel as `make wheel` does."""
    if not UV.exists():
        pytest.skip("uv is not in .tools: `make setup` puts it there")
    folder = tmp_path_factory.mktemp("wheel")
    uv(
        *("build", "--wheel", "--offline", "--no-build-isolation"),
        *("--python", ROOT / ".venv" / "bin" / "python"),
        *("--out-dir", folder, ROOT),
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def core(
    wheel: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """Install the locked core and the wheel into an environment."""
    folder = tmp_path_factory.mktemp("core") / "venv"
    uv("venv", "--python", ROOT / ".venv" / "bin" / "python", folder)
    install = ("pip", "install", "--python", folder / "bin" / "python")
    # Copied, so that what is measured is what a machine would hold.
    copied = ("--link-mode", "copy", "--no-deps")
    lock = ROOT / "requirements.lock"
    uv(*install, *copied, "--require-hashes", "-r", lock)
    uv(*install, *copied, wheel)
    yield folder
    shutil.rmtree(folder)


def uv(*arguments: str | Path) -> None:
    """Run the pinned uv, which says what went wrong."""
    subprocess.run(
        [str(part) for part in (UV, *arguments, "--quiet")],
        check=True,
        stdin=subprocess.DEVNULL,
    )


def names(wheel: Path) -> set[str]:
    """List the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def committed(*folders: str) -> set[str]:
    """List the files of folders as git knows them."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard", *folders],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    listed = set(done.stdout.split("\0")) - {""}
    return {name for name in listed if (ROOT / name).is_file()}


def test_the_wheel_carries_the_policies(wheel: Path) -> None:
    """Every file of `policies/` travels inside the package that reads it."""
    carried = {
        name.replace("policies/", "policy/_policies/", 1)
        for name in committed("policies")
    }

    assert carried
    assert set() == carried - names(wheel)


def test_the_wheel_carries_the_packages(wheel: Path) -> None:
    """Every file of the packages is there: pages, words and code."""
    packages = ("vault", "consent", "anonymize", "policy", "services", "api")
    carried = {
        name
        for name in committed(*packages)
        if not name.startswith("api/assets/")
    }

    assert set() == carried - names(wheel)


def test_the_wheel_carries_the_page_assets(wheel: Path) -> None:
    """What git ignores and pages need is in the wheel all the same."""
    folder = ROOT / "api" / "static" / "vendor"
    built = {str(path.relative_to(ROOT)) for path in folder.iterdir()}

    assert built
    assert set() == built - names(wheel)


def test_the_wheel_carries_nothing_else(wheel: Path) -> None:
    """Tests, tools and what npm fetched stay out."""
    folders = {name.split("/")[0] for name in names(wheel)}
    stray = {
        name
        for name in names(wheel)
        if name.startswith("api/assets/") or "node_modules" in name
    }

    assert set() == stray
    assert {
        *("vault", "consent", "anonymize", "policy", "services", "api"),
        next(name for name in folders if name.endswith(".dist-info")),
    } == folders


def test_the_core_is_slim(core: Path) -> None:
    """The gate and all it depends on take less than 150 MB."""
    size = sum(
        path.lstat().st_size for path in core.rglob("*") if path.is_file()
    )

    assert size < LARGEST_CORE


def test_the_core_has_no_analytics(core: Path) -> None:
    """What only extras need does not come with the core."""
    (packages,) = core.glob("lib/python*/site-packages")
    installed = {path.name for path in packages.iterdir()}

    assert set() == HEAVY & installed


def test_the_command_of_the_core_starts(core: Path, tmp_path: Path) -> None:
    """`curtilage` starts from the wheel, away from the checkout."""
    done = subprocess.run(
        [core / "bin" / "curtilage", "--help"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (0, "") == (done.returncode, done.stderr)
    assert "demo" in done.stdout
