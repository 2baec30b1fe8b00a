"""What a search for a component ends in: a part, or a reason of one line."""

import os
from dataclasses import dataclass
from pathlib import Path


class MissingPartError(Exception):
    """A real component cannot be had here; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """A component that was found.

    Attributes:
        name: what it is, as printed.
        path: the executable, or the folder of executables.
        version: as the component itself says.
        how: where it came from.

    """

    name: str
    path: Path
    version: str
    how: str

    def __str__(self) -> str:
        return f"{self.name} {self.version} ({self.how}): {self.path}"


def is_ci() -> bool:
    """Tell whether a missing component is a failure rather than a skip."""
    return os.environ.get("CI", "").lower() in {"1", "true", "yes"}
