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
    regal,
    softhsm,
    strace,
    transit,
)

PARTS: Mapping[str, Callable[[], Part]] = {
    "OPA": opa.obtain,
    "PostgreSQL": postgresql.obtain,
    "Chromium": chromium.obtain,
    "strace": strace.obtain,
    "SoftHSM2": softhsm.obtain,
}


# Without these a check does less, and no test is skipped.
OPTIONAL: Mapping[str, Callable[[], Part]] = {
    "Regal": regal.obtain,
    "A transit server": transit.find,
}


def main(
    parts: Mapping[str, Callable[[], Part]] = PARTS,
    optional: Mapping[str, Callable[[], Part]] = OPTIONAL,
) -> int:
    """Obtain every part and print what came of it.

    Args:
        parts: name and how to obtain it.
        optional: likewise, of what is never required.

    Returns:
        The exit status.

    """
    missing = 0
    for name, obtain in {**parts, **optional}.items():
        try:
            _say(str(obtain()))
        except MissingPartError as error:
            missing += name in parts
            _say(f"{name} cannot be had: {error}")
    return 1 if missing and is_ci() else 0


def _say(line: str) -> None:
    print(f"  {line}", flush=True)  # noqa: T201 - this is a command


if __name__ == "__main__":
    sys.exit(main())
