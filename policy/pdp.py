"""The policy decision point: the port, and the one way to have no answer.

Whoever decides, the embedded engine or an OPA server, gives a decision
document or raises `NoDecision`. There is no third outcome: nothing odd ever
becomes an allow, and nothing odd silently becomes a deny. The cause says what
happened, so that an alarm can tell a server that is down from a policy that
does not answer.
"""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

from policy.errors import PolicyError

JSON = (
    None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
)
"""A document as `json` reads it: plain values, string keys."""


class Cause(StrEnum):
    """Why there is no decision."""

    DOWN = "down"
    TIMEOUT = "timeout"
    UNDEFINED = "undefined"
    MALFORMED = "malformed"
    WRONG_REVISION = "wrong-revision"
    EVALUATION_ERROR = "evaluation-error"
    BUDGET = "budget"
    OPEN_CIRCUIT = "open-circuit"
    FACTS_MOVING = "facts-moving"
    LEDGER = "ledger"


class NoDecision(PolicyError):
    """The engine gave no answer to act on.

    Attributes:
        cause: what happened; the alarm and the metric are by cause.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        self.cause = cause
        super().__init__(f"{cause}: {detail}" if detail else str(cause))


class PolicyDecisionPoint(Protocol):
    """What decides. It sees documents alone, and no attribute value."""

    @property
    def revision(self) -> str:
        """The revision of the policies that decide."""
        ...

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Mapping[str, JSON]:
        """Ask the policies.

        Args:
            entrypoint: a constant such as `curtilage/disclosure/decision`,
                never made from a request.
            document: the input document, plain JSON.

        Returns:
            The decision document.

        Raises:
            NoDecision: there is none, with its cause.
        """
        ...


class BundleInvalid(PolicyError):
    """The compiled bundle is absent, altered or not one that we run."""


class CompileFailed(PolicyError):
    """OPA's compiler refused the policies; its report is in `report`.

    Attributes:
        report: what the compiler said; it speaks of Rego alone.
    """

    def __init__(self, report: str) -> None:
        self.report = report
        super().__init__(f"the policies do not compile: {report}")
