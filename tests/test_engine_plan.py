"""Plans that are not ones: refused when loaded, and never half run."""

import copy
import functools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy.bundle import load_bundle
from policy.engine import (
    PROFILE,
    BuiltinRefused,
    ConflictError,
    EvaluationError,
    Limits,
    Machine,
    PlanInvalid,
    translate,
    translated,
)

LIMITS = Limits(steps=10_000, seconds=5.0)


def local(number: int) -> dict[str, Any]:
    """Return an operand that names a local."""
    return {"type": "local", "value": number}


def stmt(kind: str, **fields: object) -> dict[str, Any]:
    """Return one statement."""
    return {"type": kind, "stmt": {"file": 0, "col": 1, "row": 1, **fields}}


def plan(*stmts: dict[str, Any], strings: tuple[str, ...] = ("a",)) -> object:
    """Return a plan with one entrypoint `p` of these statements."""
    return {
        "static": {
            "strings": [{"value": text} for text in strings],
            "builtin_funcs": [
                {
                    "name": "count",
                    "decl": {
                        "args": [{"type": "any"}],
                        "result": {"type": "number"},
                        "type": "function",
                    },
                }
            ],
        },
        "plans": {
            "plans": [{"name": "p", "blocks": [{"stmts": list(stmts)}]}]
        },
        "funcs": {"funcs": None},
    }


def results(document: object, given_input: object = ...) -> list[Any]:
    """Run the entrypoint `p`."""
    return Machine(translate(document)).results("p", given_input, {}, LIMITS)


def test_smallest_plan_runs() -> None:
    """A plan that adds one value gives it."""
    made = plan(
        stmt("MakeNumberIntStmt", value=7, target=2),
        stmt("ResultSetAddStmt", value=2),
    )
    assert [7] == results(made)


MALFORMED = {
    "no object": [],
    "a statement of no kind": plan({"type": "EvalStmt", "stmt": {}}),
    "a missing field": plan(stmt("ResetLocalStmt")),
    "an unknown field": plan(stmt("ResetLocalStmt", target=2, more=1)),
    "a field of the wrong type": plan(stmt("ResetLocalStmt", target="2")),
    "a boolean for a local": plan(stmt("ResetLocalStmt", target=True)),
    "a local below zero": plan(stmt("ResetLocalStmt", target=-1)),
    "a string out of range": plan(
        stmt("MakeNumberRefStmt", Index=9, target=2)
    ),
    "a string that is no number": plan(
        stmt("MakeNumberRefStmt", Index=0, target=2)
    ),
    "an operand of no type": plan(
        stmt("AssignVarStmt", source={"type": "x", "value": 1}, target=2)
    ),
    "a jump out of the function": plan(stmt("BreakStmt", index=1)),
    "a call of nothing": plan(
        stmt("CallStmt", func="g0.data.none", args=[], result=2)
    ),
    "a call with too many operands": plan(
        stmt("CallStmt", func="count", args=[local(0), local(1)], result=2)
    ),
    "a dynamic call by itself": plan(
        stmt("CallDynamicStmt", args=[0, 1], path=[], result=2)
    ),
    "a field beside a statement": plan(
        {**stmt("ResetLocalStmt", target=2), "more": 1}
    ),
    "a field beside an operand": plan(
        stmt("AssignVarStmt", source={**local(0), "more": 1}, target=2)
    ),
    "a field beside the statements": plan(
        stmt("BlockStmt", blocks=[{"stmts": [], "more": 1}])
    ),
    "a file that is no number": plan(
        stmt("ResetLocalStmt", target=2, file="x")
    ),
    "a lone surrogate": plan(strings=("\ud800",)),
    "blocks without end": plan(
        json.loads(
            '{"type":"BlockStmt","stmt":{"blocks":[{"stmts":[' * 70
            + "]}]}}" * 70
        )
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_plan_is_refused(name: str) -> None:
    """What is not a plan is refused before anything of it runs."""
    with pytest.raises(PlanInvalid):
        translate(MALFORMED[name])


def test_builtin_outside_the_profile_is_refused_by_name() -> None:
    """The error names what the plan asked for."""
    made = plan()
    made["static"]["builtin_funcs"][0]["name"] = "http.send"
    with pytest.raises(BuiltinRefused, match=r"http\.send") as raised:
        translate(made)
    assert raised.value.name == "http.send"


@pytest.mark.parametrize(
    "name",
    [
        "http.send",
        "net.lookup_ip_addr",
        "opa.runtime",
        "rand.intn",
        "time.now_ns",
        "trace",
        "uuid.rfc4122",
        "io.jwt.decode_verify",
        "rego.parse_module",
    ],
)
def test_nothing_impure_is_in_the_profile(name: str) -> None:
    """No clock, network, environment, randomness or key is at hand."""
    assert name not in PROFILE


def test_text_of_a_plan_cannot_become_code() -> None:
    """Strings enter the generated source as literals, whatever they hold."""
    hostile = '\'); import os  # """ \\ \n{}\0'
    made = plan(
        stmt("MakeObjectStmt", target=2),
        stmt(
            "ObjectInsertStmt",
            key={"type": "string_index", "value": 0},
            value={"type": "string_index", "value": 0},
            object=2,
        ),
        stmt("ResultSetAddStmt", value=2),
        strings=(hostile,),
    )
    assert [{hostile: hostile}] == results(made)


def test_generated_code_reaches_no_builtin_of_python() -> None:
    """The functions see what they were given, and no `open` or `import`."""
    program = translated(load_bundle().plan)
    for word in ("import", "open(", "exec", "eval", "getattr", "__"):
        assert word not in program.source


def numbers_of(count: int) -> list[dict[str, Any]]:
    """Return statements that loop over the input, one within another."""
    body: list[dict[str, Any]] = [stmt("NopStmt")]
    for depth in range(count):
        first = 10 + 2 * depth
        body = [
            stmt(
                "ScanStmt",
                source=0,
                key=first,
                value=first + 1,
                block={"stmts": body},
            )
        ]
    return body


def test_loops_within_loops_are_translated_or_refused() -> None:
    """CPython's limit of nested blocks never shows as a broken plan."""
    assert [] == results(plan(*numbers_of(10)), [1])
    with pytest.raises(PlanInvalid, match="nested"):
        translate(plan(*numbers_of(30)))


def test_jump_over_several_blocks_ends_at_its_target() -> None:
    """A jump leaves as many blocks as it names, and no more."""
    made = plan(
        stmt("MakeNumberIntStmt", value=1, target=2),
        stmt(
            "BlockStmt",
            blocks=[
                {
                    "stmts": [
                        stmt(
                            "BlockStmt",
                            blocks=[
                                {"stmts": [stmt("BreakStmt", index=1)]},
                                {"stmts": [stmt("ResultSetAddStmt", value=2)]},
                            ],
                        ),
                        stmt("ResultSetAddStmt", value=2),
                    ]
                },
                {"stmts": [stmt("ResultSetAddStmt", value=2)]},
            ],
        ),
        stmt("MakeNumberIntStmt", value=5, target=3),
        stmt("ResultSetAddStmt", value=3),
    )
    assert [1, 5] == results(made)


def test_jump_out_of_a_loop_goes_on_with_the_next_turn() -> None:
    """A jump whose target is a loop's body starts the next turn of it."""
    made = plan(
        stmt(
            "ScanStmt",
            source=0,
            key=2,
            value=3,
            block={
                "stmts": [
                    stmt(
                        "BlockStmt",
                        blocks=[
                            {
                                "stmts": [
                                    stmt("EqualStmt", a=local(2), b=local(3)),
                                    stmt("BreakStmt", index=1),
                                ]
                            }
                        ],
                    ),
                    stmt("ResultSetAddStmt", value=3),
                ]
            },
        )
    )
    assert [7, 8] == results(made, [0, 7, 2, 8])


def test_loop_cannot_overwrite_the_value_of_a_rule() -> None:
    """A value that is there before a loop conflicts with another in it."""
    constants = [
        {"type": "string_index", "value": 0},
        {"type": "string_index", "value": 1},
    ]
    made = plan(
        stmt("AssignVarOnceStmt", source=constants[0], target=2),
        stmt(
            "ScanStmt",
            source=0,
            key=3,
            value=4,
            block={
                "stmts": [
                    stmt("AssignVarOnceStmt", source=constants[1], target=2)
                ]
            },
        ),
        stmt("IsDefinedStmt", source=2),
        stmt("ResultSetAddStmt", value=2),
        strings=("a", "b"),
    )
    assert ["a"] == results(made, [])
    with pytest.raises(ConflictError):
        results(made, [1])


@functools.cache
def small_plan() -> object:
    """Return the first functions of the product's own plan."""
    made = json.loads(load_bundle().plan)
    functions = made["funcs"]["funcs"]
    wanted = [f for f in functions if ".api." in f["name"]]
    return {
        "static": made["static"],
        "plans": {
            "plans": [
                p for p in made["plans"]["plans"] if "/api/" in p["name"]
            ]
        },
        "funcs": {"funcs": wanted},
    }


@settings(max_examples=100, deadline=None)
@given(data=st.data())
def test_damaged_plan_is_refused_or_still_decides(data: st.DataObject) -> None:
    """Damage anywhere gives an error of ours or an answer, nothing else."""
    damaged = copy.deepcopy(small_plan())
    parent: object = damaged
    for _ in range(14):
        keys = list(parent) if isinstance(parent, dict) else range(len(parent))
        if not keys:
            break
        at = data.draw(st.sampled_from(list(keys)))
        if (
            not isinstance(parent[at], dict | list)
            or data.draw(st.integers(0, 5)) == 0
        ):
            parent[at] = data.draw(
                st.sampled_from([None, 0, 1, -1, "x", [], {}, True, 10**9])
            )
            break
        parent = parent[at]
    try:
        machine = Machine(translate(damaged))
    except PlanInvalid:
        return
    for entrypoint in machine.entrypoints:
        try:
            machine.results(entrypoint, {"schema": "x"}, {}, LIMITS)
        except EvaluationError:
            continue
