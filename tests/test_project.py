"""The tree is what README and the locks say, and holds nothing stray."""

import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
TOP = {
    ".ci": "what continuous integration runs",
    ".editorconfig": "the shape of files, for any editor",
    ".gitattributes": "the same bytes on every machine",
    ".github": "the security policy, where it is looked for",
    ".regal": "what the linter of the policies is told, with reasons",
    ".gitignore": "what set-up and runs leave",
    "LICENSE": "Apache-2.0",
    "Makefile": "one command each for what a person does",
    "README.md": "the first thing that is read",
    "CHANGELOG.md": "what changed, security first",
    "anonymize": "package",
    "api": "package",
    "consent": "package",
    "docs": "specifications that stand beside no single module",
    "policies": "the Rego",
    "policy": "package",
    "pyproject.toml": "the project, its dependencies and its tools",
    "requirements-all.lock": "everything, by version and hash",
    "requirements-tools.lock": "uv, which installs the rest",
    "requirements.lock": "the slim core, by version and hash",
    "services": "package",
    "tests": "tests, and the real components they run against",
    "vault": "package",
}
PACKAGES = ("anonymize", "api", "consent", "policy", "services", "vault")
LOCKS = (
    "requirements.lock",
    "requirements-all.lock",
    "requirements-tools.lock",
    "tests/parts/go.lock",
    "tests/parts/postgresql.lock",
)
# Written so that this file does not hold what it looks for.
STRAY = {
    "an unfinished place": r"\b(TO[D]O|FIX[M]E)\b",
    "a path of one machine": r"(?<![\w.$\)}])/(w[o]rk|r[o]ot|home/\w+)/",
    "the host of a registry": (
        r"\b(py[p]i\.org|python[h]osted\.org|npm[j]s\.(org|com)|"
        r"proxy\.go[l]ang\.org|sum\.go[l]ang\.org|deb\.deb[i]an\.org|"
        r"crates\.i[o]|repo\.mav[e]n)\b"
    ),
    "a merge that was not finished": r"^(<{7}|>{7}) ",
    "a private key": r"BEGIN [A-Z ]*PRIV[A]TE KEY",
}
LARGEST = 3_000_000  # bytes of one committed file; the compiled plan has 1.4


def tracked() -> list[Path]:
    """List the files of the tree, committed or about to be."""
    done = subprocess.run(
        ["git", "ls-files", "-z", "-co", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    names = sorted(set(done.stdout.split("\0")) - {""})
    return [ROOT / name for name in names if (ROOT / name).is_file()]


def project() -> dict[str, dict[str, object]]:
    """Read pyproject.toml."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def requirements(*, core: bool) -> list[Requirement]:
    """List what pyproject.toml asks for.

    Args:
        core: only what the slim core needs.

    """
    parsed = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    asked = list(parsed["project"]["dependencies"])
    if not core:
        for extra in parsed["project"]["optional-dependencies"].values():
            asked += extra
        for group in parsed["dependency-groups"].values():
            asked += group
    return [Requirement(text) for text in asked]


def locked(name: str) -> dict[str, set[str]]:
    """Read the versions that a lock pins, by package."""
    pins: dict[str, set[str]] = {}
    for line in (ROOT / name).read_text("utf-8").splitlines():
        pin = re.match(r"([\w.-]+)==([^\s;]+)", line)
        if pin:
            pins.setdefault(canonicalize_name(pin[1]), set()).add(pin[2])
    return pins


@pytest.mark.parametrize("what", STRAY)
def test_nothing_stray_is_in_the_tree(what: str) -> None:
    """No file holds what belongs to a machine, a registry or a draft."""
    pattern = re.compile(STRAY[what], re.MULTILINE)
    found = [
        f"{path.relative_to(ROOT)}: {match[0]}"
        for path in tracked()
        for match in [pattern.search(path.read_text("utf-8", "replace"))]
        if match
    ]

    assert [] == found


@pytest.mark.parametrize(
    ("what", "text"),
    [
        ("an unfinished place", "# " + "todo".upper() + ": later"),
        ("a path of one machine", "/" + "home/" + "me/src"),
        ("the host of a registry", "https://" + "pypi" + ".org/simple"),
        ("a merge that was not finished", "<" * 7 + " ours"),
    ],
)
def test_what_is_stray_is_seen(what: str, text: str) -> None:
    """Each pattern finds what it is for."""
    assert re.search(STRAY[what], text, re.MULTILINE)


def test_every_top_level_entry_has_a_reason() -> None:
    """Nothing stands at the top of the tree unexplained."""
    entries = {path.relative_to(ROOT).parts[0] for path in tracked()}

    assert set() == entries - set(TOP)


def test_readme_shows_the_tree_as_it_is() -> None:
    """The folders under "The tree" in README are the folders there are."""
    text = (ROOT / "README.md").read_text("utf-8")
    block = re.search(
        r"^## The tree\n.*?^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL
    )
    assert block, "README has no fenced block under '## The tree'"
    shown = set(re.findall(r"^([\w.-]+)/\s", block[1], re.MULTILINE))
    folders = {
        path.relative_to(ROOT).parts[0]
        for path in tracked()
        if path.parent != ROOT and path.relative_to(ROOT).parts[0][0] != "."
    }

    assert folders == shown


def test_no_file_is_large() -> None:
    """Reference data stays outside, and what is built is built again."""
    large = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.stat().st_size > LARGEST
    ]

    assert [] == large


def test_every_dependency_says_why() -> None:
    """Each dependency in pyproject.toml has its reason on the same line."""
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    silent = [
        line.strip()
        for line in text.splitlines()
        if re.match(r'\s+"[a-z][\w.\[\]-]*[><=!~ ].*"', line)
        and not re.search(r'",\s+# \w+', line)
    ]

    assert [] == silent


@pytest.mark.parametrize(
    ("lock", "core"),
    [("requirements.lock", True), ("requirements-all.lock", False)],
)
def test_locks_hold_what_the_project_asks_for(
    *, lock: str, core: bool
) -> None:
    """Each dependency is locked at a version that pyproject.toml admits."""
    pins = locked(lock)

    wrong = [
        str(asked)
        for asked in requirements(core=core)
        if not any(
            asked.specifier.contains(version, prereleases=True)
            for version in pins.get(canonicalize_name(asked.name), ())
        )
    ]

    assert [] == wrong


def test_the_core_is_part_of_everything() -> None:
    """What the core installs is there too where the tests run.

    Versions may differ: a checker among the test tools holds some back.
    """
    core, everything = locked("requirements.lock"), locked(LOCKS[1])

    assert set() == set(core) - set(everything)


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_is_versions_and_hashes_and_nothing_else(name: str) -> None:
    """Every pin has a hash, and no line names an index or a reason."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    pin = re.compile(r"[\w.-]+==[^ ]+( ; [^\\]+)? \\")
    proof = re.compile(r" {4}--hash=sha256:[0-9a-f]{64}( \\)?")

    stray = [
        line
        for line in lines
        if not pin.fullmatch(line) and not proof.fullmatch(line)
    ]
    bare = [
        line
        for line, following in zip(lines, [*lines[1:], ""], strict=True)
        if pin.fullmatch(line) and not proof.fullmatch(following)
    ]

    assert lines
    assert [] == stray
    assert [] == bare


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_is_typed(package: str) -> None:
    """Whoever imports a package may rely on its types."""
    assert (ROOT / package / "py.typed").is_file()


def test_every_silenced_check_says_why() -> None:
    """A silenced rule has its code and its reason on the same line."""
    comment = re.compile(r"#\s*(?:ruff: |flake8: )?no" + r"qa")
    reason = re.compile(
        r"#\s*(?:ruff: )?no" + r"qa: [A-Z]+[0-9]+(, ?[A-Z]+[0-9]+)* [-–] \w"
    )
    ignored = re.compile(r"#\s*type: ig" + r"nore")
    because = re.compile(r"#\s*type: ig" + r"nore\[[\w, -]+\]\s+[#–-] \w")
    silent = []
    for path in tracked():
        if path.suffix != ".py":
            continue
        lines = path.read_text("utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            bare = comment.search(line) and not reason.search(line)
            untold = ignored.search(line) and not because.search(line)
            if bare or untold:
                silent.append(f"{path.relative_to(ROOT)}:{number}")

    assert [] == silent


def test_nothing_is_left_to_be_written() -> None:
    """No function of the product stands in for one that is still to come."""
    stub = re.compile(r"\bNotImple" + r"mentedError\b")
    found = [
        str(path.relative_to(ROOT))
        for path in tracked()
        if path.suffix == ".py" and stub.search(path.read_text("utf-8"))
    ]

    assert [] == found


def test_continuous_integration_runs_what_everybody_runs() -> None:
    """`.ci/run` is a door to `make test` and nothing cleverer."""
    script = ROOT / ".ci" / "run"
    commands = [
        line
        for line in script.read_text("utf-8").splitlines()
        if line and not line.startswith("#")
    ]

    assert os.access(script, os.X_OK)
    assert [
        "set -euo pipefail",
        'cd "$(dirname "$0")/.."',
        "exec make test",
    ] == commands


def test_make_help_lists_every_target() -> None:
    """What can be made can be found by `make` alone."""
    text = (ROOT / "Makefile").read_text("utf-8")
    phony = re.search(r"^\.PHONY: ((?:.*\\\n)*.*)$", text, re.MULTILINE)
    assert phony
    targets = set(phony[1].replace("\\\n", " ").split())

    done = subprocess.run(
        ["make", "--no-print-directory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    assert targets == {
        word
        for line in done.stdout.splitlines()
        for word in line.split("  ")[0].split()
    }
