"""The port behind the AuthZEN door: what answers its questions.

The door speaks the protocol, an evaluator decides. The product's evaluator
asks the gate; the certification scenario brings one over its own fixture,
in the tests, which never stands beside the product's policies.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from api.authzen.entities import Evaluation, Search
from policy import Credential


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One decision and its context (Authorization API 1.0, 5.5)."""

    decision: bool
    context: Mapping[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """The answer as the API has it; an empty context is left out."""
        if not self.context:
            return {"decision": self.decision}
        return {"decision": self.decision, "context": dict(self.context)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Who asks: a proved credential, and the caller's own trace."""

    credential: Credential
    trace: str | None = None


class Evaluator(Protocol):
    """Decides; it raises where it cannot, and never denies instead."""

    async def evaluate(self, asker: Asker, asked: Evaluation) -> Answer:
        """Answer one question.

        Raises:
            BadRequestError: a property that the evaluator needs is missing
                or misshapen.
            NoDecision: there is no answer to act on.

        """
        ...

    async def search(
        self, asker: Asker, asked: Search
    ) -> Sequence[Mapping[str, Any]]:
        """Find all entities for which `evaluate` would say true.

        In an order that is the same each time; nothing, and no error, for
        ids and types that are unknown.

        Raises:
            BadRequestError: as `evaluate`.
            NoDecision: as `evaluate`.

        """
        ...
