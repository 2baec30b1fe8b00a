"""A readable trace of one decision.

What the rules asked of each other, what each answered, and at which line a
body ended because something there did not hold. An input document holds facts
and no attribute value, so neither can a trace; it does show what decided
about a person, and is for the officer who may see that.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from policy.bundle import Bundle
from policy.embedded import INPUT_BOUNDS
from policy.engine import (
    Call,
    Coverage,
    EngineError,
    EvaluationError,
    Limits,
    Machine,
    Tracer,
    admit,
    coverage,
    translated,
)
from policy.pdp import JSON, Cause, Document, NoDecision

_LIMITS = Limits(steps=20_000_000, seconds=60.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One decision, and how it came about.

    Attributes:
        revision: of the policies.
        result: the decision; None where there is none.
        failure: why there is none; empty where there is one.
        calls: the rules, in the order in which they were first asked.
        coverage: the lines that were reached.
    """

    revision: str
    result: JSON
    failure: str
    calls: tuple["Step", ...]
    coverage: Coverage


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One rule's evaluation.

    Attributes:
        depth: how deep it stands.
        rule: its path.
        arguments: of a function.
        defined: whether it has a value.
        result: the value.
        places: file and rows that it reached.
        stopped: file and row of each line that did not hold, with how often.
    """

    depth: int
    rule: str
    arguments: tuple[object, ...]
    defined: bool
    result: object
    places: tuple[str, ...]
    stopped: tuple[tuple[str, int], ...]


class Tracing:
    """Traces decisions under one bundle.

    Args:
        bundle: the policies.

    Raises:
        PlanInvalid: the plan is not one that the engine runs.
    """

    def __init__(self, bundle: Bundle) -> None:
        self._bundle = bundle
        self._machine = Machine(translated(bundle.plan, watched=True))

    def trace(self, entrypoint: str, document: Mapping[str, JSON]) -> Trace:
        """Decide an input document, and say how.

        Args:
            entrypoint: one of the bundle's.
            document: the input, plain JSON.

        Returns:
            The trace, also of an evaluation that failed.

        Raises:
            NoDecision: it is no document, or there is no such entrypoint.
        """
        machine = self._machine
        if type(document) is Document:
            document = dict(document)
        try:
            admitted = admit(document, INPUT_BOUNDS)
        except EngineError as error:
            raise NoDecision(Cause.MALFORMED, str(error)) from error
        if entrypoint not in machine.entrypoints:
            raise NoDecision(Cause.UNDEFINED, "no such entrypoint")
        tracer = Tracer()
        failure = ""
        try:
            results = machine.results(
                entrypoint, admitted, self._bundle.data, _LIMITS, tracer
            )
            if not results:
                failure = "undefined: the policies give no answer"
        except EvaluationError as error:
            failure = str(error)
        answer = None if failure else tracer.root.calls[-1].result
        return Trace(
            revision=self._bundle.revision,
            result=answer,  # type: ignore[arg-type] # released JSON
            failure=failure,
            calls=tuple(_steps(machine, tracer)),
            coverage=coverage(machine, [tracer]),
        )


def trace_decision(
    bundle: Bundle, entrypoint: str, document: Mapping[str, JSON]
) -> Trace:
    """Trace one decision; see `Tracing`."""
    return Tracing(bundle).trace(entrypoint, document)


def explained(trace: Trace, *, width: int = 100) -> str:
    """A trace as a person reads it: a tree of rules with their answers.

    Args:
        trace: the trace.
        width: where a long answer is cut.

    Returns:
        Lines of text.
    """
    lines = [f"revision {trace.revision}"]
    for step in trace.calls:
        margin = "  " * step.depth
        arguments = ", ".join(map(_brief, step.arguments))
        name = f"{step.rule}({arguments})" if step.arguments else step.rule
        shown = _brief(step.result) if step.defined else "undefined"
        where = f"  [{'; '.join(step.places)}]" if step.places else ""
        lines.append(f"{_cut(f'{margin}{name} = {shown}', width)}{where}")
        for place, count in step.stopped:
            times = f" ({count} times)" if count > 1 else ""
            lines.append(f"{margin}  did not hold: {place}{times}")
    said = trace.failure or _brief(trace.result)
    lines.append(f"decision: {said}" if not trace.failure else f"none: {said}")
    return "\n".join(lines)


def _brief(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(", ", ": "))


def _cut(line: str, width: int) -> str:
    return line if len(line) <= width else f"{line[: width - 1]}…"


def _steps(machine: Machine, tracer: Tracer) -> Iterator[Step]:
    for depth, call in tracer.walked():
        yield Step(
            depth=depth,
            rule=call.rule,
            arguments=call.arguments,
            defined=call.defined,
            result=call.result,
            places=tuple(_rows(machine, call)),
            stopped=tuple(
                (_place(machine, number), count)
                for number, count in sorted(call.stops.items())
            ),
        )


def _place(machine: Machine, number: int) -> str:
    file, row = machine.places[number]
    return f"{machine.files[file].removeprefix('policies/')}:{row}"


def _rows(machine: Machine, call: Call) -> Iterator[str]:
    found: dict[str, set[int]] = {}
    for number in call.lines:
        file, row = machine.places[number]
        name = machine.files[file].removeprefix("policies/")
        found.setdefault(name, set()).add(row)
    for name, rows in sorted(found.items()):
        yield f"{name}:{','.join(map(str, sorted(rows)))}"
