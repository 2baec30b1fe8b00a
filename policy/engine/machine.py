"""A plan made runnable, and one evaluation of it.

`Machine` holds the compiled functions and nothing of any request; it is
shared by all threads. What an evaluation needs beside the input and data
travels in its `Frame`.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from policy.engine.errors import (
    BudgetExceeded,
    DeadlineExceeded,
    EvaluationError,
)
from policy.engine.metering import RUNNING, Budget
from policy.engine.plan import Function
from policy.engine.program import Program
from policy.engine.runtime import Frame, Watcher
from policy.engine.staging import Stage
from policy.engine.values import Value


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
        program: the plan, translated.
        clock: a monotonic clock in seconds, for the deadline.
    """

    def __init__(
        self,
        program: Program,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        space = program.space()
        for name, function in program.functions.items():
            space[name] = _watched(function, space[name])
        space["DYNAMIC"] = {
            path: space[name] for path, name in program.dynamic.items()
        }
        self.files = program.files
        self.places = program.places
        self._entrypoints: Mapping[str, Callable[..., list[Value]]] = {
            entrypoint: space[name]
            for entrypoint, name in program.entrypoints.items()
        }
        self._rules = tuple(
            (number, members, space[name])
            for number, members, name in program.rules
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
