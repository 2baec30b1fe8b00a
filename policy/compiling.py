"""Compiling the policies with OPA's own compiler.

Used by `curtilage policy build` and by the test that rebuilds the committed
bundle and compares; never while the product serves. OPA is a tool of
development here: the embedded engine needs the compiled plan alone.

The capabilities that the compiler gets are the profile of the embedded
engine, so that a policy which asks for anything else (a clock, the network,
the environment) does not compile at all, on either engine.
"""

import json
import subprocess
import tarfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from policy.bundle import (
    DATA,
    MANIFEST,
    PLAN,
    Bundle,
    digest,
    load_bundle,
    manifest,
    serialize,
)
from policy.engine import PROFILE
from policy.pdp import CompileFailed

ENTRYPOINTS = (
    "curtilage/api/decision",
    "curtilage/disclosure/decision",
    "curtilage/glass/decision",
    "curtilage/guidance/decision",
    "curtilage/numbers/decision",
    "curtilage/release/decision",
)
# For the compile API alone. OPA plans whatever refers to an entrypoint as
# one more of them, and nobody asks our engine for this.
_SERVER_ONLY = "cohort/"
CAPABILITIES = "capabilities.json"
SIGNING = "ES256"

_SECONDS = 120
_DEEPEST = 500  # brackets; OPA itself takes what no reviewer could read
# What the compiler itself turns into statements, so that no plan calls it.
_COMPILED_AWAY = frozenset({"assign", "eq", "print"})


def capabilities(current: Mapping[str, Any]) -> dict[str, Any]:
    """What a policy may use: the embedded engine's profile, and no host.

    Args:
        current: the compiler's own capabilities, as
            `opa capabilities --current` prints them.

    Returns:
        The same, with the built-ins of the profile alone, and of those what
        the compiler reads: names and types, and no prose.

    Raises:
        CompileFailed: the compiler lacks a built-in of the profile.
    """
    wanted = PROFILE.keys() | _COMPILED_AWAY
    kept = [
        _without_prose(b) for b in current["builtins"] if b["name"] in wanted
    ]
    missing = wanted - {b["name"] for b in kept}
    if missing:
        report = f"the compiler lacks {', '.join(sorted(missing))}"
        raise CompileFailed(report)
    return {
        "builtins": sorted(kept, key=lambda b: str(b["name"])),
        "allow_net": [],
        "features": sorted(current.get("features", ())),
        "future_keywords": sorted(current.get("future_keywords", ())),
    }


def _without_prose(found: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(found, dict):
        return {
            name: _without_prose(one)
            for name, one in found.items()
            if name != "description"
        }
    if isinstance(found, list):
        return [_without_prose(one) for one in found]
    return found


def current_capabilities(opa: Path) -> dict[str, Any]:
    """The capabilities of a compiler.

    Args:
        opa: the OPA binary.

    Raises:
        CompileFailed: it cannot be asked.
    """
    said: dict[str, Any] = json.loads(_run(opa, "capabilities", "--current"))
    return said


def sources(folder: Path) -> dict[str, bytes]:
    """The files that decide: Rego without its tests, and base documents.

    Args:
        folder: `policies/`.

    Returns:
        Content by path, relative to the folder, in order.
    """
    found: dict[str, bytes] = {}
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if parts[0] == "bundle" or any(p.startswith(".") for p in parts):
            continue
        rego = path.suffix == ".rego" and not path.stem.endswith("_test")
        if path.is_file() and (rego or path.name == DATA):
            found["/".join(parts)] = path.read_bytes()
    return found


def build_bundle(
    opa: Path,
    source: Path,
    target: Path,
    *,
    entrypoints: Iterable[str] = ENTRYPOINTS,
) -> Bundle:
    """Compile the policies to a plan.

    Args:
        opa: the OPA binary.
        source: the folder of the Rego, with its `capabilities.json`.
        target: the folder that the three files are written to.
        entrypoints: the paths that can be asked.

    Returns:
        The bundle, as it is loaded from what was written.

    Raises:
        CompileFailed: OPA refused the policies.
    """
    files = sources(source)
    asked = tuple(sorted(entrypoints))
    with TemporaryDirectory() as work:
        archive = Path(work) / "bundle.tar.gz"
        _compile(
            opa,
            source,
            {
                name: content
                for name, content in files.items()
                if not name.startswith(_SERVER_ONLY)
            },
            archive,
            "--target=plan",
            *(f"--entrypoint={path}" for path in asked),
        )
        members = _members(archive)
    plan = serialize(json.loads(members[f"/{PLAN}"]))
    data = serialize(json.loads(members.get(f"/{DATA}", b"{}")))
    described = manifest(
        plan=plan,
        data=data,
        sources={name: digest(content) for name, content in files.items()},
        entrypoints=asked,
        compiler=_version(opa),
    )
    target.mkdir(parents=True, exist_ok=True)
    (target / PLAN).write_bytes(plan)
    (target / DATA).write_bytes(data)
    (target / MANIFEST).write_bytes(serialize(described))
    return load_bundle(target)


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """What a server's bundle is signed with, and how servers call the key.

    Attributes:
        path: PEM file of an EC private key on P-256.
        name: the key's id in the servers' configuration.
    """

    path: Path
    name: str = "curtilage"


def build_server_bundle(
    opa: Path,
    source: Path,
    target: Path,
    *,
    revision: str,
    signing: SigningKey | None = None,
) -> None:
    """Build the ordinary bundle of the same policies for an OPA server.

    Args:
        opa: the OPA binary.
        source: the folder of the Rego, with its `capabilities.json`.
        target: the archive to write, a `.tar.gz`.
        revision: what the server will report; that of the compiled bundle.
        signing: signs the bundle; a server that is given the public key
            loads nothing else.

    Raises:
        CompileFailed: OPA refused the policies, or the key.
    """
    signed = (
        ()
        if signing is None
        else (
            f"--signing-key={signing.path.resolve()}",
            f"--signing-alg={SIGNING}",
            f"--verification-key-id={signing.name}",
        )
    )
    _compile(
        opa,
        source,
        sources(source),
        target,
        f"--revision={revision}",
        *signed,
    )


def _compile(
    opa: Path,
    source: Path,
    files: Mapping[str, bytes],
    archive: Path,
    *options: str,
) -> None:
    for name, content in files.items():
        if _nesting(content) > _DEEPEST:
            report = f"{name} is nested too deeply"
            raise CompileFailed(report)
    with TemporaryDirectory() as work:
        folder = Path(work) / "policies"
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        folder.mkdir(exist_ok=True)
        _run(
            opa,
            "build",
            *options,
            f"--capabilities={(source / CAPABILITIES).resolve()}",
            f"--output={archive.resolve()}",
            "--bundle",
            "policies",
            folder=Path(work),
        )


def _nesting(content: bytes) -> int:
    """How deeply brackets nest; a bracket in a string counts as one."""
    depth = deepest = 0
    for byte in content:
        if byte in b"([{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b")]}":
            depth -= 1
    return deepest


def _members(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as opened:
        found = {}
        for member in opened:
            content = opened.extractfile(member)
            if content is not None:
                found[f"/{member.name.lstrip('/')}"] = content.read()
        return found


def _version(opa: Path) -> str:
    return _run(opa, "version").split("\n", 1)[0].removeprefix("Version: ")


def _run(opa: Path, *arguments: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - OPA, with our own arguments
            [str(opa.resolve()), *arguments],
            cwd=folder,
            env={},
            capture_output=True,
            timeout=_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        report = f"OPA does not run: {type(error).__name__}"
        raise CompileFailed(report) from error
    if done.returncode != 0:
        said = done.stderr or done.stdout
        report = said.decode(errors="replace").strip()
        raise CompileFailed(report)
    return done.stdout.decode()
