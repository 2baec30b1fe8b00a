"""What rules read of the input, and what of them can be known beforehand.

Many decisions have a part of their input in common: what a service asks and
what it has declared is the same whoever it asks about. A rule without
parameters that reads nothing but that part has one value for all of them. A
`Stage` holds such values, and an evaluation that is given it starts with them
in its frame, as if it had come to those rules already.

A stage is a matter of the part alone. Which rules go into it is seen from the
plan, so the rest of an input decides neither what is in it nor when it is
made.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from policy.engine.plan import Function, Plan, Stmt, walk
from policy.engine.values import Value


@dataclass(frozen=True, slots=True, eq=False)
class Stage:
    """Values of rules under one part of the input and one data.

    Attributes:
        values: by what the rules have in a frame.
        steps: what they took; each evaluation that starts with them is
            charged as much, and so never gets further than without.
    """

    values: Mapping[Hashable, Value]
    steps: int


def members_read(plan: Plan) -> Mapping[str, frozenset[str] | None]:
    """Name the members of the input that each function can read.

    Args:
        plan: a checked plan.

    Returns:
        By function, the members that it or what it calls looks up in the
        input by a constant name; None where it may read anything else of it,
        or evaluates something under another document.
    """
    own = {name: _own(one) for name, one in plan.functions.items()}
    calls = {name: _calls(plan, one) for name, one in plan.functions.items()}
    found: dict[str, frozenset[str] | None] = {}
    for name in plan.functions:
        reached, members = {name}, set[str]()
        left, bounded = [name], True
        while left and bounded:
            one = left.pop()
            mine = own[one]
            if mine is None:
                bounded = False
                continue
            members |= mine
            left += calls[one] - reached
            reached |= calls[one]
        found[name] = frozenset(members) if bounded else None
    return found


def _own(function: Function) -> frozenset[str] | None:
    """The members that a function looks up itself; None for anything else."""
    given = function.params[:2]
    members: set[str] = set()
    for stmt in walk(function.blocks):
        if not set(given).isdisjoint(stmt.targets()):
            return None
        if stmt.kind == "DotStmt" and stmt["source"] == given[0]:
            if type(stmt["key"]) is not str:
                return None
            members.add(stmt["key"])
        elif not _leaves_alone(stmt, given):
            return None
    return frozenset(members)


def _leaves_alone(stmt: Stmt, given: tuple[int, ...]) -> bool:
    """Whether a statement does nothing with the document but hand it on."""
    if stmt.kind in ("WithStmt", "CallDynamicStmt"):
        return False
    if stmt.kind == "CallStmt":
        return _hands_on(stmt, given)
    return given[0] not in stmt.reads()


def _hands_on(stmt: Stmt, given: tuple[int, ...]) -> bool:
    """Whether a call has the document where functions have it, or nowhere."""
    first, rest = tuple(stmt["args"][:2]), stmt["args"][2:]
    if first == given:
        return given[0] not in rest
    return given[0] not in stmt["args"]


def _calls(plan: Plan, function: Function) -> frozenset[str]:
    return frozenset(
        stmt["func"]
        for stmt in walk(function.blocks)
        if stmt.kind == "CallStmt" and stmt["func"] in plan.functions
    )
