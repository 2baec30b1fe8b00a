"""The policy decision point: the port, and the one way to have no answer.

Whoever decides, the embedded engine or an OPA server, gives a decision
document or raises `NoDecision`. There is no third outcome: nothing odd ever
becomes an allow, and nothing odd silently becomes a deny. The cause says what
happened, so that an alarm can tell a server that is down from a policy that
does not answer.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from policy.errors import PolicyError

JSON = (
    None | bool | int | float | str | Sequence["JSON"] | Mapping[str, "JSON"]
)
"""A document as `json` reads it: plain values, string keys."""


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """Members that many input documents have in common, as one object.

    What can be known of them alone may be worked out once. They are of the
    service's side: were anything of a person among them, how long a decision
    takes would tell whether somebody like that was decided about before.

    Attributes:
        members: by name, plain JSON, never to be changed.
    """

    members: Mapping[str, JSON]


class Document(dict[str, Any]):
    """An input document that says which of its members stand for many.

    A copy of it is a plain document, and is decided as well.

    Args:
        standing: the members that it has in common with others.
        own: the others.
    """

    __slots__ = ("_standing",)

    def __init__(self, standing: Standing, own: Mapping[str, JSON]) -> None:
        super().__init__(standing.members)
        self.update(own)
        self._standing = standing

    def standing(self) -> Standing | None:
        """What it has in common; None once a member of that was replaced."""
        for name, member in self._standing.members.items():
            if self.get(name, self) is not member:
                return None
        return self._standing


class Cause(StrEnum):
    """Why there is no decision.

    Attributes:
        DAMAGED: what is stored of the person, of what the service declared,
            or of which policies are in force does not read: it was changed.
    """

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
    DAMAGED = "damaged"


class NoDecision(PolicyError):
    """The engine gave no answer to act on.

    Attributes:
        cause: what happened; the alarm and the metric are by cause.
    """

    def __init__(self, cause: Cause, detail: str = "") -> None:
        self.cause = cause
        super().__init__(f"{cause}: {detail}" if detail else str(cause))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """A decision document, and the one bundle that it was decided under.

    They come together, because policies may be swapped while decisions are
    under way: asked for afterwards, the revision could be another's.
    """

    document: Mapping[str, JSON]
    revision: str


class PolicyDecisionPoint(Protocol):
    """What decides. It sees documents alone, and no attribute value."""

    @property
    def revision(self) -> str:
        """The revision of the policies that decide now."""
        ...

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Ruling:
        """Ask the policies.

        Args:
            entrypoint: a constant such as `curtilage/disclosure/decision`,
                never made from a request.
            document: the input document, plain JSON.

        Returns:
            The decision document, with the revision that decided.

        Raises:
            NoDecision: there is none, with its cause.
        """
        ...


@runtime_checkable
class TracedDecisionPoint(Protocol):
    """A decision point elsewhere, to which a caller's trace is handed on."""

    async def decide_within(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str
    ) -> Ruling:
        """Ask the policies, as `PolicyDecisionPoint.decide`.

        Args:
            entrypoint: as there.
            document: as there; the trace is no part of it.
            trace: the caller's trace and span, 32 and 16 hexadecimal digits
                with a hyphen between.
        """
        ...


async def decide_within(
    pdp: PolicyDecisionPoint,
    entrypoint: str,
    document: Mapping[str, JSON],
    trace: str | None,
) -> Ruling:
    """Ask the policies, and hand a trace on to who decides elsewhere.

    Args:
        pdp: what decides.
        entrypoint: as in `PolicyDecisionPoint.decide`.
        document: as there.
        trace: the caller's, or None.

    Raises:
        NoDecision: as there.
    """
    if trace is not None and isinstance(pdp, TracedDecisionPoint):
        return await pdp.decide_within(entrypoint, document, trace)
    return await pdp.decide(entrypoint, document)


@runtime_checkable
class ConfirmedRevision(Protocol):
    """A decision point elsewhere, which may run something else."""

    async def confirm(self) -> None:
        """Hold it to the revision that must decide.

        Raises:
            NoDecision: it does not answer, or runs other policies.
        """
        ...


@runtime_checkable
class HearsRepeats(Protocol):
    """A decision point that counts what its rulings serve."""

    def repeated(
        self, entrypoint: str, document: Mapping[str, JSON], ruling: Ruling
    ) -> None:
        """Hear that a ruling served another document that is equal.

        Args:
            entrypoint: as for `PolicyDecisionPoint.decide`.
            document: what was not asked again.
            ruling: what was decided about its equal.
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
