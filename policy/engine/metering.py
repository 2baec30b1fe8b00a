"""Steps: what work costs, and the budget that pays for it.

A step is a turn of a loop or a call of a function, a value that a built-in
looks at or makes, or a stretch of text that it reads or writes. What is small
is paid for by the turn that it is done in, so that ordinary rules pay for
nothing else; what is large is charged by its size, before it is done where it
cannot be interrupted. So no evaluation outlives its deadline by more than a
slice of steps and one such stretch of work, whatever it calls.

The charge follows from the operands alone and never from a clock, from what
another evaluation left in a cache or from the machine: the same evaluation
takes the same steps everywhere.

The budget of the evaluation that runs is the one of its context: work is
charged where it is done, deep inside of what a rule called. Outside of an
evaluation nothing is charged.
"""

from collections.abc import Callable, Hashable
from contextvars import ContextVar
from typing import Final

from policy.engine.errors import BudgetExceeded, DeadlineExceeded

SLICE = 512
"""Steps between two looks at the clock."""

SMALL: Final = 32
"""Values that are looked through in the turn of a loop, at no charge."""

READ: Final = 256
"""Characters that are read in one step."""

MADE: Final = 64
"""Characters that are made, and kept, in one step."""

PARTS: Final = 8
"""Values that are copied or passed over in one step."""

AT_ONCE = 1 << 17
"""Most steps of one stretch of work that nothing interrupts."""

_MET = 128


class Budget:
    """Steps and time of one evaluation.

    Attributes:
        left: steps until the next look at the clock.
    """

    __slots__ = ("_clock", "_deadline", "_met", "_steps", "left")

    def __init__(
        self, *, steps: int, deadline: float, clock: Callable[[], float]
    ) -> None:
        self.left = min(SLICE, steps)
        self._steps = steps - self.left
        self._deadline = deadline
        self._clock = clock
        self._met: set[Hashable] | None = None

    def spend(self, steps: int) -> None:
        """Charge some steps.

        Raises:
            BudgetExceeded: there are not so many left.
            DeadlineExceeded: no time is left.
        """
        self.left -= steps
        if self.left < 0:
            self.refill()

    def look(self) -> None:
        """Look at the clock.

        Raises:
            DeadlineExceeded: no time is left.
        """
        if self._clock() >= self._deadline:
            msg = "the evaluation ran past its deadline"
            raise DeadlineExceeded(msg)

    def refill(self) -> None:
        """Start the next slice.

        Raises:
            BudgetExceeded: no steps are left.
            DeadlineExceeded: no time is left.
        """
        self.look()
        owed = -self.left
        if owed > self._steps:
            msg = "the evaluation used up its steps"
            raise BudgetExceeded(msg)
        self._steps -= owed
        self.left = min(SLICE, self._steps)
        self._steps -= self.left

    def rest(self) -> int:
        """Steps that are left in all."""
        return self._steps + self.left

    def meets(self, what: Hashable) -> bool:
        """Whether this is new to the evaluation, as far as it remembers."""
        if self._met is None or len(self._met) >= _MET:
            self._met = set()
        before = len(self._met)
        self._met.add(what)
        return len(self._met) > before


RUNNING: ContextVar[Budget | None] = ContextVar("RUNNING", default=None)
"""The budget of the evaluation that runs."""


def spend(steps: int) -> None:
    """Charge the evaluation that runs, if one does.

    Raises:
        BudgetExceeded: it has not so many steps left.
        DeadlineExceeded: it has no time left.
    """
    budget = RUNNING.get()
    if budget is not None:
        budget.spend(steps)


def at_once(steps: int) -> None:
    """Charge work that nothing interrupts, before it is done.

    Raises:
        BudgetExceeded: it is more than the limit, within an evaluation or
            not, or the evaluation has not so many steps left.
        DeadlineExceeded: the evaluation has no time left.
    """
    if steps > AT_ONCE:
        msg = "a built-in's operands are beyond the limit"
        raise BudgetExceeded(msg)
    if steps:
        spend(steps)


def look() -> None:
    """Look at the clock, between two stretches of work of unknown length.

    Raises:
        DeadlineExceeded: the evaluation that runs has no time left.
    """
    budget = RUNNING.get()
    if budget is not None:
        budget.look()


def meets(what: Hashable) -> bool:
    """Whether this is new to the evaluation that runs.

    What it costs to prepare something once is charged by this, and not by
    whether some cache still has it.
    """
    budget = RUNNING.get()
    return budget is not None and budget.meets(what)
