"""The pinned versions of the components, read from ``pins.toml``."""

import platform
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / ".tools"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpaPin:
    """The one OPA that decisions are compared with.

    Attributes:
        version: without a leading ``v``.
        module: the Go module that `go install` builds.
        release: base address of the official releases.
        sha256: of the official binary for this machine, or empty where
            nobody has pinned it.

    """

    version: str
    module: str
    release: str
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RegalPin:
    """The linter of the policies.

    Attributes:
        version: without a leading ``v``.
        module: the Go module that is built.

    """

    version: str
    module: str


def regal_pin() -> RegalPin:
    """Read the pin of Regal."""
    path = Path(__file__).with_name("pins.toml")
    table = tomllib.loads(path.read_text("utf-8"))["regal"]
    return RegalPin(version=table["version"], module=table["module"])


def opa_pin() -> OpaPin:
    """Read the pin of OPA for this machine's architecture."""
    path = Path(__file__).with_name("pins.toml")
    table = tomllib.loads(path.read_text("utf-8"))["opa"]
    return OpaPin(
        version=table["version"],
        module=table["module"],
        release=table["release"],
        sha256=table["sha256"].get(architecture(), ""),
    )


def architecture() -> str:
    """Name this machine's architecture the way Go and OPA name it."""
    machine = platform.machine()
    return _MACHINES.get(machine, machine)
