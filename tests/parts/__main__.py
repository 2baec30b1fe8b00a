"""Fetch the real components that the tests run against.

``python -m tests.parts`` prints one line for each. Under ``CI`` a component
that cannot be had is a failure, and the command ends with 1; elsewhere the
tests that need it will be skipped, each with that reason.
"""

import sys
from collections.abc import Callable, Mapping

from tests.parts import (
    MissingPartError,
    Part,
    chromium,
    is_ci,
    opa,
    postgresql,
    strace,
)

PARTS: Mapping[str, Callable[[], Part]] = {
    "OPA": opa.obtain,
    "PostgreSQL": postgresql.obtain,
    "Chromium": chromium.obtain,
    "strace": strace.obtain,
}


def main(parts: Mapping[str, Callable[[], Part]] = PARTS) -> int:
    """Obtain every part and print what came of it.

    Args:
        parts: name and how to obtain it.

    Returns:
        The exit status.

    """
    missing = 0
    for name, obtain in parts.items():
        try:
            _say(str(obtain()))
        except MissingPartError as error:
            missing += 1
            _say(f"{name} cannot be had: {error}")
    return 1 if missing and is_ci() else 0


def _say(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
