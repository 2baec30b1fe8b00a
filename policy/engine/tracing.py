"""What one evaluation did: the rules it asked, and the lines it reached.

A watched machine tells a `Tracer` of every rule that it evaluates, of every
line that it reaches, and of every line at which a body ended because
something there did not hold. A rule is evaluated once and remembered, so it
stands in the trace where it was asked first. Of what was reached, and of all
that the plan has, follows the coverage.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from policy.engine.door import Bounds, release
from policy.engine.errors import BudgetExceeded
from policy.engine.machine import Machine
from policy.engine.plan import Function
from policy.engine.values import Value

_MOST_CALLS = 20_000
_SHOWN = Bounds(nodes=2_000, text=50_000)


@dataclass(slots=True, kw_only=True)
class Call:
    """One evaluation of a rule or function.

    Attributes:
        rule: its path, such as `curtilage.disclosure.grants`.
        arguments: of a function.
        result: its value, plain JSON; undefined where `defined` is false.
        defined: whether it has a value.
        lines: how often each line of its own was reached.
        stops: how often a body of it ended at each line.
        calls: what it asked in turn, in order.
    """

    rule: str
    arguments: tuple[object, ...] = ()
    result: object = None
    defined: bool = False
    lines: Counter[int] = field(default_factory=Counter)
    stops: Counter[int] = field(default_factory=Counter)
    calls: list["Call"] = field(default_factory=list)


def _shown(value: Value) -> object:
    try:
        return release(value, _SHOWN)
    except BudgetExceeded:
        return "(too large to show)"


class Tracer:
    """Watches one evaluation; see `policy.engine.runtime.Watcher`."""

    def __init__(self) -> None:
        self.root = Call(rule="")
        self._open = [self.root]
        self._left = _MOST_CALLS

    def enter(self, function: Function, args: tuple[Value, ...]) -> None:
        """A rule or function is evaluated.

        Raises:
            BudgetExceeded: the trace is beyond what anybody reads.
        """
        self._left -= 1
        if self._left < 0:
            msg = "the trace has too many calls"
            raise BudgetExceeded(msg)
        call = Call(
            rule=".".join(function.path[1:]) or function.name,
            arguments=tuple(map(_shown, args)),
        )
        self._open[-1].calls.append(call)
        self._open.append(call)

    def leave(self, result: Value) -> None:
        """What was entered last has this result."""
        call = self._open.pop()
        call.defined = result is not ...
        if call.defined:
            call.result = _shown(result)

    def line(self, place: int) -> None:
        """A statement is reached."""
        self._open[-1].lines[place] += 1

    def stop(self, place: int) -> None:
        """A statement did not hold."""
        self._open[-1].stops[place] += 1

    def walked(self) -> Iterator[tuple[int, Call]]:
        """Every call in order, with its depth."""
        stack = [(0, call) for call in reversed(self.root.calls)]
        while stack:
            depth, call = stack.pop()
            yield depth, call
            stack += [(depth + 1, one) for one in reversed(call.calls)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """Which lines of which file were reached, and which were not."""

    reached: Mapping[str, tuple[int, ...]]
    missed: Mapping[str, tuple[int, ...]]

    @property
    def percent(self) -> float:
        """Lines reached of a hundred that have a plan."""
        some = sum(map(len, self.reached.values()))
        all_of_them = some + sum(map(len, self.missed.values()))
        return 100.0 * some / all_of_them if all_of_them else 100.0


def coverage(machine: Machine, tracers: list[Tracer]) -> Coverage:
    """The coverage of some evaluations, of the lines that the plan has.

    Args:
        machine: the watched machine that ran them.
        tracers: who watched them.

    Returns:
        The lines by file.
    """
    seen: set[int] = set()
    for tracer in tracers:
        seen.update(tracer.root.lines)
        for _, call in tracer.walked():
            seen.update(call.lines)
    reached: dict[str, list[int]] = {name: [] for name in machine.files}
    missed: dict[str, list[int]] = {name: [] for name in machine.files}
    for number, (file, row) in enumerate(machine.places):
        kept = reached if number in seen else missed
        kept[machine.files[file]].append(row)
    return Coverage(
        reached={n: tuple(sorted(rows)) for n, rows in reached.items()},
        missed={n: tuple(sorted(rows)) for n, rows in missed.items()},
    )
