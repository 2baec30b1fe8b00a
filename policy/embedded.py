"""The embedded decision point: OPA's plan, run in this process.

Everything that one decision reads (functions, data, revisions) hangs on one
reference that is read once at its start, so a swap of the policies or of the
data while decisions are under way mixes nothing: each is wholly of the old or
of the new, and says which. On it hangs as well what the rules say of members
that many documents have in common (`policy.pdp.Standing`): worked out at the
first of them, and gone with the policies or the data that it was worked out
under.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from policy.bundle import Bundle, digest, serialize
from policy.engine import (
    Bounds,
    BudgetExceeded,
    DeadlineExceeded,
    DocumentRefused,
    EngineError,
    Limits,
    Machine,
    Stage,
    admit,
    release,
    taken,
    translated,
)
from policy.pdp import JSON, Cause, Document, NoDecision, Ruling, Standing

INPUT_BOUNDS = Bounds()
"""How large an input document may be."""

_OUTPUT = Bounds(nodes=20_000, text=1_000_000)
_DATA = Bounds(nodes=2_000_000, text=64_000_000)
# A stage is left empty where it takes more, or a tenth of a decision's time.
_STAGE_STEPS, _STAGE_SHARE = 20_000, 0.1
_STAGES_KEPT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One result, with what decided it.

    Attributes:
        result: the value of the entrypoint.
        revision: of the bundle.
        data_revision: digest of the base documents.
    """

    result: JSON
    revision: str
    data_revision: str


@dataclass(frozen=True, slots=True)
class _Staged:
    """What is known of some members, and what they leave to the others."""

    stage: Stage
    bounds: Bounds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Loaded:
    machine: Machine
    data: Mapping[str, JSON]
    revision: str
    data_revision: str
    staged: dict[Standing, _Staged] = field(default_factory=dict)


class EmbeddedPdp:
    """Decides in this process, on the compiled plan.

    Thread-safe; one instance serves all threads.

    Args:
        bundle: the compiled policies.
        limits: steps and seconds that one decision may use.
        strict: whether a built-in's error ends the decision; an OPA server
            takes it for undefined, and so does the default.
        clock: a monotonic clock in seconds, for the deadline.

    Raises:
        PlanInvalid: the plan is not one that the engine runs.
        DocumentRefused: the data is not JSON within the limits.
    """

    def __init__(
        self,
        bundle: Bundle,
        *,
        limits: Limits | None = None,
        strict: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limits = Limits() if limits is None else limits
        self._strict = strict
        self._clock = clock
        self._loaded: _Loaded | None = self._load(bundle)

    def _load(self, bundle: Bundle) -> _Loaded:
        return _Loaded(
            machine=Machine(
                translated(bundle.plan, strict=self._strict),
                clock=self._clock,
            ),
            data=admit(bundle.data, _DATA),
            revision=bundle.revision,
            data_revision=digest(serialize(bundle.data)),
        )

    @property
    def revision(self) -> str:
        """The revision of the bundle; empty once closed."""
        loaded = self._loaded
        return "" if loaded is None else loaded.revision

    @property
    def entrypoints(self) -> frozenset[str]:
        """The paths that can be asked."""
        loaded = self._loaded
        return frozenset() if loaded is None else loaded.machine.entrypoints

    def swap(self, bundle: Bundle) -> None:
        """Take other policies, without a decision dropped or mixed.

        Args:
            bundle: the compiled policies.

        Raises:
            PlanInvalid: they are refused; the old ones go on deciding.
            DocumentRefused: likewise, for the data.
        """
        self._loaded = self._load(bundle)

    def replace_data(self, data: Mapping[str, JSON]) -> str:
        """Take other base documents under the same policies.

        Args:
            data: plain JSON, never to be changed afterwards.

        Returns:
            The revision of the data.

        Raises:
            DocumentRefused: it is not JSON within the limits.
            NoDecision: the engine is closed.
        """
        loaded = self._loaded
        if loaded is None:
            raise NoDecision(Cause.DOWN, "closed")
        revision = digest(serialize(admit(data, _DATA)))
        self._loaded = replace(
            loaded, data=data, data_revision=revision, staged={}
        )
        return revision

    def close(self) -> None:
        """Decide nothing any more."""
        self._loaded = None

    def answer(self, entrypoint: str, document: Mapping[str, JSON]) -> Answer:
        """Evaluate an entrypoint, and say what decided.

        Args:
            entrypoint: one of `entrypoints`.
            document: the input, plain JSON; not changed, and not to be
                changed meanwhile.

        Returns:
            The result.

        Raises:
            NoDecision: there is none, with its cause.
        """
        loaded = self._loaded
        if loaded is None:
            raise NoDecision(Cause.DOWN, "closed")
        if entrypoint not in loaded.machine.entrypoints:
            raise NoDecision(Cause.UNDEFINED, "no such entrypoint")
        try:
            return Answer(
                result=self._evaluate(loaded, entrypoint, document),
                revision=loaded.revision,
                data_revision=loaded.data_revision,
            )
        except DocumentRefused as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        except DeadlineExceeded as error:
            raise NoDecision(Cause.TIMEOUT, str(error)) from error
        except BudgetExceeded as error:
            raise NoDecision(Cause.BUDGET, str(error)) from error
        except EngineError as error:
            raise NoDecision(Cause.EVALUATION_ERROR, str(error)) from error

    def _evaluate(
        self, loaded: _Loaded, entrypoint: str, document: Mapping[str, JSON]
    ) -> JSON:
        stage = None
        if type(document) is Document:
            document, stage = self._begun(loaded, document)
        elif type(document) is dict:
            admit(document, INPUT_BOUNDS)
        else:
            msg = "the input is no object"
            raise DocumentRefused(msg)
        results = loaded.machine.results(
            entrypoint, document, loaded.data, self._limits, stage=stage
        )
        if len(results) != 1:
            raise NoDecision(Cause.UNDEFINED)
        result: JSON = release(results[0]["result"], _OUTPUT)
        return result

    def _begun(
        self, loaded: _Loaded, document: Document
    ) -> tuple[dict[str, JSON], Stage | None]:
        """Admit a document, and give what is known of it already."""
        plain, standing = dict(document), document.standing()
        if standing is None:
            admit(plain, INPUT_BOUNDS)
            return plain, None
        staged = loaded.staged.get(standing)
        if staged is None:
            staged = self._staged(loaded, dict(standing.members))
            if len(loaded.staged) >= _STAGES_KEPT:
                loaded.staged.clear()
            loaded.staged[standing] = staged
        known = standing.members
        own = {name: plain[name] for name in plain if name not in known}
        admit(own, staged.bounds)
        return plain, staged.stage

    def _staged(self, loaded: _Loaded, members: dict[str, JSON]) -> _Staged:
        admit(members, INPUT_BOUNDS)
        limits = Limits(
            steps=min(_STAGE_STEPS, self._limits.steps),
            seconds=self._limits.seconds * _STAGE_SHARE,
        )
        return _Staged(
            stage=loaded.machine.stage(members, loaded.data, limits),
            bounds=taken(members, INPUT_BOUNDS),
        )

    def evaluate(self, entrypoint: str, document: Mapping[str, JSON]) -> JSON:
        """Evaluate an entrypoint.

        Args:
            entrypoint: one of `entrypoints`.
            document: the input, plain JSON.

        Returns:
            Its value.

        Raises:
            NoDecision: there is none, with its cause.
        """
        return self.answer(entrypoint, document).result

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.PolicyDecisionPoint`."""
        answer = self.answer(entrypoint, document)
        if type(answer.result) is not dict:
            raise NoDecision(Cause.MALFORMED, "the decision is no object")
        return Ruling(document=answer.result, revision=answer.revision)
