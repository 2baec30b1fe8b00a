"""The real components that tests run against: found, or fetched, or named.

======================  ====================================================
`tests.parts.opa`        OPA: the policy engine, as command and as server
`tests.parts.regal`      Regal: the linter of the policies; never required
`tests.parts.postgresql` PostgreSQL: server binaries and a throw-away cluster
`tests.parts.chromium`   Chromium: an executable that pages are opened in
`tests.parts.strace`     strace: the system calls of a server, one by one
`tests.parts.softhsm`    SoftHSM2: a hardware module in software
`tests.parts.transit`    Vault or OpenBao: transit keys; never required
======================  ====================================================

Each has two verbs. ``find()`` looks at this machine and changes nothing;
tests use it. ``obtain()`` may also fetch the component; ``make test`` calls
it once before the tests, through ``python -m tests.parts``. Both return a
`Part` or raise `MissingPartError` with a reason of one line.

Only the standard library is used, so this runs before anything is installed.
"""

from tests.parts.pins import ROOT, TOOLS
from tests.parts.report import MissingPartError, Part, is_ci

__all__ = ["ROOT", "TOOLS", "MissingPartError", "Part", "is_ci"]
