"""The compiled bundle: the one of the Rego, whole, and refused otherwise."""

import json
import shutil
from pathlib import Path

import pytest

from policy.bundle import (
    DATA,
    MANIFEST,
    PLAN,
    load_bundle,
    policies_folder,
    serialize,
)
from policy.compiling import (
    CAPABILITIES,
    ENTRYPOINTS,
    build_bundle,
    build_server_bundle,
    capabilities,
    current_capabilities,
    sources,
)
from policy.engine import PROFILE, Machine, translated
from policy.pdp import BundleInvalid, CompileFailed
from tests.engines import write_policy
from tests.parts import ROOT

POLICIES = ROOT / "policies"
COMMITTED = POLICIES / "bundle"


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    """Return a copy of the committed bundle."""
    return Path(shutil.copytree(COMMITTED, tmp_path / "bundle"))


def test_product_policies_are_found_and_run() -> None:
    """The bundle of the tree is the default, and the engine runs it."""
    bundle = load_bundle()
    assert POLICIES == policies_folder()
    assert load_bundle(COMMITTED).revision == bundle.revision
    assert set(ENTRYPOINTS) == set(bundle.entrypoints)
    assert set(ENTRYPOINTS) == Machine(translated(bundle.plan)).entrypoints
    assert 64 == len(bundle.revision)


@pytest.mark.opa
def test_committed_bundle_is_what_the_rego_compiles_to(
    opa_binary: Path, tmp_path: Path
) -> None:
    """Rebuilding gives the same three files, byte for byte."""
    build_bundle(opa_binary, POLICIES, tmp_path / "bundle")
    for name in (PLAN, DATA, MANIFEST):
        committed = (COMMITTED / name).read_bytes()
        assert committed == (tmp_path / "bundle" / name).read_bytes(), (
            f"{name} is stale: run `curtilage policy build`"
        )


@pytest.mark.parametrize("name", [PLAN, DATA, MANIFEST])
def test_changed_byte_is_refused(copied: Path, name: str) -> None:
    """A byte changed, added or taken away anywhere refuses the bundle."""
    path = copied / name
    content = path.read_bytes()
    steps = range(0, len(content), max(1, len(content) // 40))
    for at in steps:
        changed = bytearray(content)
        changed[at] ^= 1
        path.write_bytes(changed)
        with pytest.raises(BundleInvalid):
            load_bundle(copied)
    for other in (content + b" ", content[:-1], b"", b"[]", b"\xff"):
        path.write_bytes(other)
        with pytest.raises(BundleInvalid):
            load_bundle(copied)


@pytest.mark.parametrize("name", [PLAN, DATA, MANIFEST])
def test_missing_file_is_refused(copied: Path, name: str) -> None:
    """The bundle is whole or none."""
    (copied / name).unlink()
    with pytest.raises(BundleInvalid, match=name):
        load_bundle(copied)


def test_manifest_cannot_vouch_for_another_plan(copied: Path) -> None:
    """A digest that was changed with its file changes the revision."""
    before = load_bundle(copied).revision
    described = json.loads((copied / MANIFEST).read_bytes())
    described["sources"]["disclosure/disclosure.rego"] = "0" * 64
    (copied / MANIFEST).write_bytes(serialize(described))
    with pytest.raises(BundleInvalid, match="revision"):
        load_bundle(copied)
    assert before == described["revision"]


def test_manifest_in_another_form_is_refused(copied: Path) -> None:
    """The same manifest with other white space is not the manifest."""
    described = json.loads((copied / MANIFEST).read_bytes())
    (copied / MANIFEST).write_text(json.dumps(described))
    with pytest.raises(BundleInvalid, match="canonical"):
        load_bundle(copied)


def test_sources_are_what_decides() -> None:
    """Rego and base documents: no tests, no schemas, no bundle."""
    names = set(sources(POLICIES))
    assert "disclosure/disclosure.rego" in names
    assert "vocabulary/data.json" in names
    assert not any(
        "_test" in n or n.startswith(("bundle", "schemas")) for n in names
    )
    listed = json.loads((COMMITTED / MANIFEST).read_bytes())["sources"]
    assert names == set(listed)


def test_capabilities_are_the_profile() -> None:
    """The compiler allows exactly what the embedded engine has."""
    allowed = json.loads((POLICIES / CAPABILITIES).read_bytes())
    names = {builtin["name"] for builtin in allowed["builtins"]}
    assert PROFILE.keys() | {"assign", "eq", "print"} == names
    assert [] == allowed["allow_net"]


@pytest.mark.opa
def test_capabilities_are_those_of_the_pinned_compiler(
    opa_binary: Path,
) -> None:
    """The committed file is what the function makes of OPA's own."""
    made = capabilities(current_capabilities(opa_binary))
    assert (POLICIES / CAPABILITIES).read_bytes() == serialize(made)


def test_compiler_without_a_builtin_of_the_profile_is_refused() -> None:
    """Capabilities are never quietly less than the profile."""
    with pytest.raises(CompileFailed, match="plus"):
        capabilities({"builtins": []})


def test_program_that_does_not_run_is_no_compiler(tmp_path: Path) -> None:
    """A missing or broken OPA is an error of ours."""
    with pytest.raises(CompileFailed):
        current_capabilities(tmp_path / "none")


@pytest.mark.opa
def test_deep_rego_is_refused_for_the_server_too(
    opa_binary: Path, tmp_path: Path
) -> None:
    """Both builds refuse the same policies."""
    source = write_policy(
        tmp_path / "policy",
        {"p.rego": f"package p\n\nx := {'[' * 600}{']' * 600}\n"},
    )
    with pytest.raises(CompileFailed, match="nested"):
        build_server_bundle(
            opa_binary, source, tmp_path / "b.tar.gz", revision="r"
        )
