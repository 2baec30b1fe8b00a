"""The compiled policies: plan, data and manifest, verified.

Three files lie in `policies/bundle/`: `plan.json`, which OPA's compiler made
of the Rego, `data.json`, the base documents, and `manifest.json`, which names
the digests of both, of every source, and the compiler. The revision is the
SHA-256 of the manifest's canonical text without the revision itself, so it
covers all of them, and every byte of the manifest has to be what that text
says: a changed byte anywhere is refused when the bundle is loaded.

In the source tree the files lie under `policies/`; in an installed package
under `policy/_policies/`.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from policy.pdp import JSON, BundleInvalid

SCHEMA = "curtilage/bundle/1"
PLAN, DATA, MANIFEST = "plan.json", "data.json", "manifest.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Policies ready for an engine.

    Attributes:
        revision: 64 hexadecimal digits over all that decides.
        entrypoints: the paths that can be asked.
        plan: the text of the plan, which the engine reads.
        data: the base documents; never to be changed.
    """

    revision: str
    entrypoints: tuple[str, ...]
    plan: bytes
    data: Mapping[str, JSON]


def policies_folder() -> Path:
    """The folder of the policies: in the source tree, or as installed."""
    installed = Path(__file__).parent / "_policies"
    if installed.is_dir():
        return installed
    return Path(__file__).parent.parent / "policies"


def digest(content: bytes) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    return hashlib.sha256(content).hexdigest()


def serialize(document: Any) -> bytes:  # noqa: ANN401 - any JSON
    """The one text of a file in the bundle: sorted keys, one a line."""
    text = json.dumps(document, ensure_ascii=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


def manifest(
    *,
    plan: bytes,
    data: bytes,
    sources: Mapping[str, str],
    entrypoints: tuple[str, ...],
    compiler: str,
) -> dict[str, Any]:
    """Describe a bundle.

    Args:
        plan: the bytes of `plan.json`.
        data: the bytes of `data.json`.
        sources: digest by path of each source, relative to `policies/`.
        entrypoints: the paths that can be asked.
        compiler: OPA's version.

    Returns:
        The manifest, with the revision that follows from the rest.
    """
    described: dict[str, Any] = {
        "schema": SCHEMA,
        "compiler": compiler,
        "entrypoints": sorted(entrypoints),
        "files": {DATA: digest(data), PLAN: digest(plan)},
        "sources": dict(sources),
    }
    return {**described, "revision": digest(serialize(described))}


def load_bundle(folder: Path | None = None) -> Bundle:
    """Load and verify the compiled policies.

    Args:
        folder: where the three files lie; by default the product's own.

    Returns:
        The bundle.

    Raises:
        BundleInvalid: a file is missing, malformed, or not the one that the
            manifest describes.
    """
    return read_bundle(bundle_files(folder))


def bundle_files(folder: Path | None = None) -> dict[str, bytes]:
    """The bytes of the three files, by name.

    Args:
        folder: where they lie; by default the product's own.

    Raises:
        BundleInvalid: one is missing.
    """
    where = policies_folder() / "bundle" if folder is None else folder
    return {name: _read(where / name) for name in (MANIFEST, PLAN, DATA)}


def read_bundle(files: Mapping[str, bytes]) -> Bundle:
    """Verify the compiled policies, wherever they were kept.

    Args:
        files: the bytes of `manifest.json`, `plan.json` and `data.json`.

    Returns:
        The bundle.

    Raises:
        BundleInvalid: a file is malformed, or not the one that the manifest
            describes.
    """
    raw, plan, data = files[MANIFEST], files[PLAN], files[DATA]
    described = _parse(raw, MANIFEST)
    stated = described.pop("revision", None)
    digests = {DATA: digest(data), PLAN: digest(plan)}
    if described.get("schema") != SCHEMA or described.get("files") != digests:
        msg = "bundle: a file is not the one that the manifest describes"
        raise BundleInvalid(msg)
    if stated != digest(serialize(described)):
        msg = "bundle: the revision is not that of the manifest"
        raise BundleInvalid(msg)
    if raw != serialize({**described, "revision": stated}):
        msg = "bundle: the manifest is not in its canonical form"
        raise BundleInvalid(msg)
    return Bundle(
        revision=str(stated),
        entrypoints=tuple(described.get("entrypoints", ())),
        plan=plan,
        data=_parse(data, DATA),
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        msg = f"bundle: {path.name} cannot be read"
        raise BundleInvalid(msg) from None


def _parse(content: bytes, name: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        msg = f"bundle: {name} is not JSON"
        raise BundleInvalid(msg) from None
    if type(document) is not dict:
        msg = f"bundle: {name} is not an object"
        raise BundleInvalid(msg)
    return document
