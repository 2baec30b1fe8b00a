"""What can go wrong inside the embedded engine.

The tree::

    PolicyError
    └── EngineError
        ├── PlanInvalid           the plan is not one that we run
        │   └── BuiltinRefused    it asks for a built-in outside the profile
        ├── DocumentRefused       input, data or result is not plain JSON
        └── EvaluationError       the policy itself failed
            ├── ConflictError     two values where Rego allows one
            ├── BuiltinFailed     a built-in's error, in strict mode
            ├── BudgetExceeded    steps, recursion or sizes
            └── DeadlineExceeded  the time was up

Messages name plan objects, built-ins and limits; never a value.
"""

from policy.errors import PolicyError


class EngineError(PolicyError):
    """Base of all errors of the embedded engine."""


class PlanInvalid(EngineError):
    """The plan is malformed, or uses what the engine does not have."""


class BuiltinRefused(PlanInvalid):
    """The plan asks for a built-in that is outside the profile.

    Attributes:
        name: the built-in's name.
    """

    def __init__(self, name: str) -> None:
        super().__init__(f"built-in {name} is outside the engine's profile")
        self.name = name


class DocumentRefused(EngineError):
    """A document at the engine's door is not JSON within the limits."""


class EvaluationError(EngineError):
    """The evaluation ended without an answer."""


class ConflictError(EvaluationError):
    """A complete rule, function or object key got two different values."""


class BuiltinFailed(EvaluationError):
    """A built-in refused its operands.

    Outside strict mode the generated code turns this into undefined, as OPA
    does.
    """


class OutsideProfile(EvaluationError):
    """A built-in met an operand on which it would differ from OPA.

    Unlike `BuiltinFailed` it is never taken for undefined: there is no
    answer rather than an approximate one.
    """


class BudgetExceeded(EvaluationError):
    """Steps, recursion or the size of a value went over the budget."""


class DeadlineExceeded(EvaluationError):
    """The evaluation ran past its deadline."""
