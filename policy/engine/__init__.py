"""An engine for OPA's plans, embedded.

OPA's own compiler makes a plan of the Rego (`opa build -t plan`); this
package runs it: `plan` checks it, `program` makes Python functions of it,
`machine` holds them, `runtime`, `values` and `numbers` give them Rego's
semantics, `builtins` is the profile (`PROFILE.md` lists it, and what is
refused and why), `door` is where JSON comes in and goes
out. It is an engine and not a second reading of the policy: what parses,
type-checks and plans is OPA.

The engine knows no request, no person and no file. It decides nothing when it
fails: every failure is an error of `errors`, which `policy.embedded` turns
into `NoDecision`.
"""

from policy.engine.builtins import PROFILE
from policy.engine.door import Bounds, admit, release, taken
from policy.engine.errors import (
    BudgetExceeded,
    BuiltinFailed,
    BuiltinRefused,
    ConflictError,
    DeadlineExceeded,
    DocumentRefused,
    EngineError,
    EvaluationError,
    OutsideProfile,
    PlanInvalid,
)
from policy.engine.machine import Limits, Machine
from policy.engine.program import Program, translate, translated
from policy.engine.staging import Stage
from policy.engine.tracing import Call, Coverage, Tracer, coverage

__all__ = [
    "PROFILE",
    "Bounds",
    "BudgetExceeded",
    "BuiltinFailed",
    "BuiltinRefused",
    "Call",
    "ConflictError",
    "Coverage",
    "DeadlineExceeded",
    "DocumentRefused",
    "EngineError",
    "EvaluationError",
    "Limits",
    "Machine",
    "OutsideProfile",
    "PlanInvalid",
    "Program",
    "Stage",
    "Tracer",
    "admit",
    "coverage",
    "release",
    "taken",
    "translate",
    "translated",
]
