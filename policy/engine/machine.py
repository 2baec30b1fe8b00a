"""A plan made runnable, and one evaluation of it.

`Machine` holds the compiled functions and nothing of any request; it is
shared by all threads. What an evaluation needs beside the input and data
travels in its `Frame`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from policy.engine import runtime
from policy.engine.builtins import PROFILE
from policy.engine.errors import (
    BudgetExceeded,
    BuiltinFailed,
    DeadlineExceeded,
    EvaluationError,
    PlanInvalid,
)
from policy.engine.metering import RUNNING, Budget
from policy.engine.plan import Function
from policy.engine.reader import read_plan
from policy.engine.runtime import Frame, Watcher
from policy.engine.staging import Stage, members_read
from policy.engine.translator import Module
from policy.engine.values import (
    Raw,
    Set,
    Value,
    equal,
    key,
    lookup,
    lookup_base,
    union,
)

_SUPPORT: Mapping[str, Any] = {
    "BuiltinFailed": BuiltinFailed,
    "MISSING": (KeyError, TypeError, IndexError),
    "SIZED": frozenset({list, dict, Set, str, Raw}),
    "Set": Set,
    "add": runtime.add,
    "conflict": runtime.conflict,
    "dynamic": runtime.dynamic,
    "equal": equal,
    "insert_once": runtime.insert_once,
    "items": runtime.items,
    "key": key,
    "length": runtime.length,
    "lookup": lookup,
    "lookup_base": lookup_base,
    "merge": runtime.merge,
    "ordered_items": runtime.ordered_items,
    "ordered_values": runtime.ordered_values,
    "union": union,
    "upsert": runtime.upsert,
    "values": runtime.values,
}


def _watched(
    function: Function, run: Callable[..., Value]
) -> Callable[..., Value]:
    """A function whose calls the watcher is told of."""

    def told(*args: Any) -> Value:  # noqa: ANN401 - values, then the frame
        watcher = args[-1].watcher
        watcher.enter(function, args[2:-1])
        result = run(*args)
        watcher.leave(result)
        return result

    return told


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one evaluation may use."""

    steps: int = 2_000_000
    """Turns of loops, calls, and by its size what built-ins work on."""

    seconds: float = 1.0
    """Time from its start, in seconds."""


class Machine:
    """The functions of one plan.

    Args:
        document: the parsed `plan.json`.
        strict: whether a built-in's error ends the evaluation, rather than
            being undefined as an OPA server has it.
        clock: a monotonic clock in seconds, for the deadline.
        watched: whether its evaluations may be watched, which slows them.

    Raises:
        PlanInvalid: the plan is malformed or beyond what the engine has.
    """

    def __init__(
        self,
        document: Any,  # noqa: ANN401 - JSON, checked by the reader
        *,
        strict: bool = False,
        clock: Callable[[], float] = time.monotonic,
        watched: bool = False,
    ) -> None:
        plan = read_plan(document, PROFILE)
        module = Module(plan, strict=strict, watched=watched)
        try:
            self.source = module.source()
        except EvaluationError as error:
            msg = "plan: a number is not one"
            raise PlanInvalid(msg) from error
        space: dict[str, Any] = {
            **_SUPPORT,
            **module.constants,
            "__builtins__": {
                "bool": bool,
                "type": type,
                "len": len,
                "dict": dict,
                "list": list,
                "str": str,
                "int": int,
            },
        }
        space.update(
            (short, PROFILE[name]) for name, short in module.builtins.items()
        )
        try:
            code = compile(self.source, "<plan>", "exec")
        except (SyntaxError, RecursionError, MemoryError) as error:
            msg = "plan: too large or too deeply nested to translate"
            raise PlanInvalid(msg) from error
        exec(code, space)  # noqa: S102 - our own source; constants via repr
        if watched:
            for name, function in plan.functions.items():
                short = module.names[name]
                space[short] = _watched(function, space[short])
        self.files = plan.files
        self.places = tuple(module.places)
        space["DYNAMIC"] = {
            function.path: space[module.names[name]]
            for name, function in plan.functions.items()
            if function.path and len(function.params) == 2
        }
        self._entrypoints: Mapping[str, Callable[..., list[Value]]] = {
            name: space[f"p{i}"] for i, name in enumerate(plan.entrypoints)
        }
        self._rules = tuple(
            (module.numbers[name], members, space[module.names[name]])
            for name, members in members_read(plan).items()
            if members is not None and len(plan.functions[name].params) == 2
        )
        self._clock = clock

    @property
    def entrypoints(self) -> frozenset[str]:
        """The paths that can be asked."""
        return frozenset(self._entrypoints)

    def results(
        self,
        entrypoint: str,
        document: Value,
        data: Value,
        limits: Limits,
        watcher: Watcher | None = None,
        *,
        stage: Stage | None = None,
    ) -> list[Value]:
        """The result set of an entrypoint: each an object of bindings.

        Args:
            entrypoint: one of `entrypoints`.
            document: the input, or `...` for none.
            data: the base documents.
            limits: the budget.
            watcher: who is told what happens; a watched machine needs one.
            stage: what `stage` gave for a part of this very input and for
                this data.

        Returns:
            The results; none where the query is undefined.

        Raises:
            KeyError: there is no such entrypoint.
            EvaluationError: the policy failed or went over its budget.
        """
        run = self._entrypoints[entrypoint]
        frame = self._frame(
            limits, charged=0 if stage is None else stage.steps
        )
        frame.watcher = watcher
        if stage is not None:
            frame.update(stage.values)
        outer = RUNNING.set(frame.budget)
        try:
            return run(document, data, frame)
        except RecursionError:
            msg = "the evaluation nested too deeply"
            raise BudgetExceeded(msg) from None
        except MemoryError:
            msg = "the evaluation ran out of memory"
            raise BudgetExceeded(msg) from None
        except EvaluationError:
            raise
        except Exception as error:
            # Nothing in a checked plan leads here; if something does, there
            # is no answer, and no detail of it in a message.
            msg = "the evaluation failed inside the engine"
            raise EvaluationError(msg) from error
        finally:
            RUNNING.reset(outer)

    def stage(
        self, members: Mapping[str, Value], data: Value, limits: Limits
    ) -> Stage:
        """Evaluate what needs no more of an input than some members of it.

        Args:
            members: by name, admitted, never to be changed afterwards.
            data: the base documents.
            limits: the budget. Where it does not do, the stage is empty, and
                what starts with it does all the work itself.

        Returns:
            The values of the rules without parameters that read nothing else.
            One that fails is left out: it fails where it is asked for.
        """
        frame = self._frame(limits, charged=0)
        frame.watcher = None
        outer = RUNNING.set(frame.budget)
        try:
            self._known(members, data, frame)
        except (BudgetExceeded, DeadlineExceeded):
            return Stage(values={}, steps=0)
        finally:
            RUNNING.reset(outer)
        return Stage(
            values=dict(frame), steps=limits.steps - frame.budget.rest()
        )

    def _known(
        self, members: Mapping[str, Value], data: Value, frame: Frame
    ) -> None:
        """Evaluate the rules that need no more than some members."""
        for number, needed, run in self._rules:
            if number in frame or not needed <= members.keys():
                continue
            try:
                run(members, data, frame)
            except (BudgetExceeded, DeadlineExceeded):
                raise
            except Exception:  # noqa: BLE001 - said where it is asked for, with the cause
                frame.pop(number, None)

    def _frame(self, limits: Limits, *, charged: int) -> Frame:
        frame = Frame()
        frame.budget = Budget(
            steps=max(0, limits.steps - charged),
            deadline=self._clock() + limits.seconds,
            clock=self._clock,
        )
        return frame
