"""Both engines on one policy: compiled, embedded, and on an OPA server."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from policy.bundle import Bundle, load_bundle
from policy.compiling import (
    CAPABILITIES,
    build_bundle,
    build_server_bundle,
)
from policy.embedded import EmbeddedPdp
from policy.engine import PROFILE, Limits
from policy.engine.metering import RUNNING, Budget
from policy.engine.values import Value
from policy.opa import OpaPdp, Patience
from tests.parts import ROOT, opa

PATIENT = Patience(seconds=240.0)
UNHURRIED = Limits(seconds=240.0)
"""A stall of the machine is no fault where lateness is not the subject."""


def unhurried(bundle: Bundle | None = None) -> EmbeddedPdp:
    """Return the embedded engine, `UNHURRIED`; by default on our policies."""
    return EmbeddedPdp(
        load_bundle() if bundle is None else bundle, limits=UNHURRIED
    )


def write_policy(
    folder: Path, modules: Mapping[str, str], data: str = "{}"
) -> Path:
    """Lay out Rego modules, data and the product's capabilities.

    Args:
        folder: where to.
        modules: text by file name.
        data: base documents as JSON.

    """
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in modules.items():
        (folder / name).write_text(text, "utf-8")
    (folder / "data.json").write_text(data, "utf-8")
    allowed = (ROOT / "policies" / CAPABILITIES).read_bytes()
    (folder / CAPABILITIES).write_bytes(allowed)
    return folder


def compiled(
    opa_binary: Path, source: Path, entrypoints: tuple[str, ...]
) -> Bundle:
    """Compile a folder that `write_policy` laid out."""
    return build_bundle(
        opa_binary, source, source / "bundle", entrypoints=entrypoints
    )


@dataclass
class Engines:
    """One policy on both engines."""

    embedded: EmbeddedPdp
    server: OpaPdp
    address: str
    runner: asyncio.Runner = field(repr=False)

    def asked_embedded(self, path: str, document: Mapping[str, Any]) -> object:
        """Evaluate on the embedded engine."""
        return self.embedded.evaluate(path, document)

    def asked_server(self, path: str, document: Mapping[str, Any]) -> object:
        """Evaluate on the OPA server."""
        return self.runner.run(self.server.evaluate(path, document))


@contextmanager
def both(
    opa_binary: Path,
    source: Path,
    entrypoints: tuple[str, ...],
    limits: Limits = UNHURRIED,
) -> Iterator[Engines]:
    """Run a folder that `write_policy` laid out on both engines."""
    bundle = compiled(opa_binary, source, entrypoints)
    archive = source / "server.tar.gz"
    build_server_bundle(opa_binary, source, archive, revision=bundle.revision)
    with (
        opa.serve(opa_binary, ["--bundle", archive]) as address,
        asyncio.Runner() as runner,
    ):
        server = OpaPdp(
            url=address, revision=bundle.revision, patience=PATIENT
        )
        try:
            yield Engines(
                embedded=EmbeddedPdp(bundle, limits=limits),
                server=server,
                address=address,
                runner=runner,
            )
        finally:
            runner.run(server.aclose())


def charged(budget: Budget, name: str, *operands: Value) -> Value:
    """Call a built-in as an evaluation with this budget does."""
    outer = RUNNING.set(budget)
    try:
        return PROFILE[name](*operands)
    finally:
        RUNNING.reset(outer)


def exactly(value: object) -> object:
    """Make a value comparable with its types: 1, 1.0 and true differ."""
    if isinstance(value, dict):
        return {k: exactly(v) for k, v in value.items()}
    if isinstance(value, list):
        return [exactly(v) for v in value]
    return (type(value).__name__, value)
