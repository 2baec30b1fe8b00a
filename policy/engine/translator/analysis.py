"""Questions about statements that are asked before code is made of them.

A local that a loop assigns is *exposed* where it is read outside of the loop
without having been assigned in between.
"""

from collections import Counter

from policy.engine.plan import Block, Function, Plan, Stmt, walk
from policy.engine.translator.knowledge import INSERTS, MAKES


def worth_remembering(plan: Plan) -> frozenset[str]:
    """The functions that are called from several places and do some work."""
    calls: Counter[str] = Counter()
    working: set[str] = set()
    for function in plan.functions.values():
        for stmt in walk(function.blocks):
            if stmt.kind == "ScanStmt":
                working.add(function.name)
            elif stmt.kind == "CallStmt" and stmt["func"] in plan.functions:
                working.add(function.name)
                calls[stmt["func"]] += 1
    return frozenset(
        name
        for name in working
        if calls[name] > 1 and 2 < len(plan.functions[name].params) <= 5
    )


def single_sets(blocks: tuple[Block, ...]) -> frozenset[int]:
    """The sets that are made once and given one constant string, if any.

    None where a collection is added to under a second name.
    """
    made: Counter[int] = Counter()
    added: dict[int, list[Stmt]] = {}
    touched: set[int] = set()
    for stmt in walk(blocks):
        if stmt.kind == "MakeSetStmt":
            made[stmt["target"]] += 1
        elif stmt.kind == "SetAddStmt":
            added.setdefault(stmt["set"], []).append(stmt)
        else:
            touched.update(stmt.targets())
    return frozenset(
        local
        for local, stmts in added.items()
        if made[local] == 1
        and local not in touched
        and len(stmts) == 1
        and type(stmts[0]["value"]) is str
    )


def calls_nothing(function: Function) -> bool:
    """Whether a function is done in as many steps as it has statements."""
    return not any(
        stmt.kind in ("ScanStmt", "CallStmt", "CallDynamicStmt")
        for stmt in walk(function.blocks)
    )


def tests_for_false(stmt: Stmt, following: Stmt) -> bool:
    """Whether a statement's result is compared with false behind it."""
    if stmt.kind not in ("CallStmt", "DotStmt"):
        return False
    if following.kind != "NotEqualStmt" or following["b"] is not False:
        return False
    return following["a"] == stmt.targets()[0] and following["a"] is not False


def order_shows(block: Block, outside: frozenset[int]) -> bool:
    """Whether the order of a scan over this body can be seen."""
    if leaves(block):
        return True
    inside = list(walk((block,)))
    made = {one["target"] for one in inside if one.kind in MAKES}
    for one in inside:
        if one.kind in ("ArrayAppendStmt", "ObjectInsertStmt"):
            if one[INSERTS[one.kind]] not in made:
                return True
        elif (
            one.kind != "AssignVarOnceStmt"
            and not outside.isdisjoint(one.targets())
            and (one.kind != "AssignVarStmt" or type(one["source"]) is int)
        ):
            return True
    return False


def leaves(block: Block, depth: int = 0) -> bool:
    """Whether anything in a loop's body jumps out of the loop."""
    for stmt in block:
        if stmt.kind == "ReturnLocalStmt":
            return True
        if stmt.kind == "BreakStmt" and stmt["index"] > depth:
            return True
        if stmt.kind == "CallDynamicStmt" and depth < 3:
            return True
        if any(leaves(inner, depth + 1) for inner in stmt.blocks()):
            return True
    return False


def defines_last(block: Block, local: int) -> bool:
    """Whether the end of a turn is reached with the local defined.

    That is so behind its assignment; behind an inner loop it is tested.
    """
    if not block:
        return False
    last = block[-1]
    if last.kind == "ScanStmt":
        return defines_last(last["block"], local)
    return local in last.targets()


def exposed(
    blocks: tuple[Block, ...], scan: Stmt
) -> tuple[frozenset[int], bool]:
    """The locals that are read where a scan's assignments may be seen.

    Those are read outside the scan without an assignment in front of them;
    what was assigned before the scan counts as not assigned behind it.

    Returns:
        The locals, and whether the scan is among these blocks.
    """
    found: set[int] = set()
    seen = False
    for block in blocks:
        assigned: set[int] = set()
        for stmt in block:
            if stmt is scan:
                seen = True
                assigned.clear()
                continue
            found |= set(stmt.reads()) - assigned
            inner, contains = exposed(stmt.blocks(), scan)
            found |= inner - assigned
            if contains:
                seen = True
                assigned.clear()
            elif stmt.kind != "ScanStmt":
                assigned.update(stmt.targets())
    return frozenset(found), seen
