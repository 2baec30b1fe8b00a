"""Policies and plans that mean harm: each ends in its own cause, and soon."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.embedded import EmbeddedPdp
from policy.engine import (
    PROFILE,
    BudgetExceeded,
    DeadlineExceeded,
    EvaluationError,
    Limits,
    Machine,
    translate,
)
from policy.pdp import Cause, NoDecision
from tests.engines import compiled, write_policy

PATIENT = Limits(seconds=120.0, steps=300_000)


def doubled(count: int, step: str, first: str) -> str:
    """Rules of which each makes the one before twice as large."""
    rules = [f"r0 := {first}"]
    rules += [
        f"r{n} := {step.replace('$', f'r{n - 1}')}"
        for n in range(1, count + 1)
    ]
    return "\n\n".join(rules)


LARGE = doubled(40, "[$, $]", "input.n")
PAIRED = doubled(40, "twice($)", "[1]")
OTHER = LARGE.replace("r", "s")
BLOWN: Mapping[str, tuple[str, Cause]] = {
    "text that doubles": (
        doubled(60, 'concat("", [$, $])', '"ab"') + "\n\nx := count(r60)",
        Cause.BUDGET,
    ),
    "replaced text that doubles": (
        doubled(60, 'replace($, "a", "aa")', '"ab"') + "\n\nx := count(r60)",
        Cause.BUDGET,
    ),
    "formatted text that doubles": (
        doubled(60, 'sprintf("%s%s", [$, $])', '"ab"') + "\n\nx := count(r60)",
        Cause.BUDGET,
    ),
    "a width of a million": (
        'x := sprintf("%999999d%999999d%999999d", [1, 1, 1])',
        Cause.BUDGET,
    ),
    "an array that doubles": (
        doubled(60, "array.concat($, $)", "[1]") + "\n\nx := count(r60)",
        Cause.BUDGET,
    ),
    "a number that squares": (
        doubled(60, "$ * $", "99") + "\n\nx := r60",
        Cause.BUDGET,
    ),
    "a shift of a billion": ("x := bits.lsh(1, 1000000000)", Cause.BUDGET),
    "a range of a billion": (
        "x := count(numbers.range(1, 1000000000))",
        Cause.BUDGET,
    ),
    "a network of all addresses": (
        'x := count(net.cidr_expand("::/0"))',
        Cause.BUDGET,
    ),
    "an answer that doubles": (f"{LARGE}\n\nx := r40", Cause.BUDGET),
    "its text": (f"{LARGE}\n\nx := count(json.marshal(r40))", Cause.BUDGET),
    "its indented text": (
        f'{LARGE}\n\nx := json.marshal_with_options(r40, {{"prefix": "a"}})',
        Cause.BUDGET,
    ),
    "its notation": (
        f'{LARGE}\n\nx := count(sprintf("%v", [r40]))',
        Cause.BUDGET,
    ),
    "its YAML": (f"{LARGE}\n\nx := count(yaml.marshal(r40))", Cause.BUDGET),
    "a set of it": (f"{LARGE}\n\nx := count({{r40, 1}})", Cause.BUDGET),
    "its equal": (f"{LARGE}\n\n{OTHER}\n\nx := r40 == s40", Cause.BUDGET),
    "its better": (f"{LARGE}\n\n{OTHER}\n\nx := r40 < s40", Cause.BUDGET),
    "its equal as a rule's other value": (
        (
            f"twice(v) := [v, v]\n\n{PAIRED}\n\n{PAIRED.replace('r', 's')}"
            "\n\nx := r40 if input.n\n\nx := s40 if input.n"
        ),
        Cause.BUDGET,
    ),
    "its order": (
        f"{LARGE}\n\n{OTHER}\n\nx := sort([r40, s40])",
        Cause.BUDGET,
    ),
    "a walk through it": (
        f"{LARGE}\n\nx := count([1 | walk(r40, _)])",
        Cause.BUDGET,
    ),
    "a prefix on every line": (
        (
            'x := json.marshal_with_options(numbers.range(1, 1000), {"prefix":'
            ' concat("", [c | some i in numbers.range(1, 5000); c := "aa"])})'
        ),
        Cause.BUDGET,
    ),
    "paths through a complete graph": (
        (
            "g := {n: numbers.range(1, 30) | some n in numbers.range(1, 30)}"
            "\n\nx := count(graph.reachable_paths(g, [1]))"
        ),
        Cause.BUDGET,
    ),
    "a template's loops in loops": (
        (
            "x := strings.render_template(`{{range 1000000}}"
            "{{range 1000000}}{{end}}{{end}}`, {})"
        ),
        Cause.BUDGET,
    ),
    "a template's loop around what it throws away": (
        (
            "x := strings.render_template(`{{range 1000000}}{{$s := printf "
            '"%999999d" 1}}{{end}}`, {})'
        ),
        Cause.BUDGET,
    ),
    "a template's width for each element": (
        (
            'x := strings.render_template(`{{printf "%999999v" .x}}`, '
            '{"x": numbers.range(1, 10000)})'
        ),
        Cause.BUDGET,
    ),
    "a template that includes itself": (
        'x := strings.render_template(`{{template "template"}}`, {})',
        Cause.BUDGET,
    ),
    "a template that includes itself twice": (
        (
            'x := strings.render_template(`{{block "t" .x}}{{if .}}{{template '
            '"t" slice . 1}}{{template "t" slice . 1}}{{end}}{{end}}`, '
            '{"x": numbers.range(1, 1000)})'
        ),
        Cause.BUDGET,
    ),
    "a template's text that doubles": (
        (
            'x := strings.render_template(`{{$s := "ab"}}{{range 60}}{{$s = '
            "print $s $s}}{{end}}{{len $s}}`, {})"
        ),
        Cause.BUDGET,
    ),
    "a template of too large a value": (
        (
            f'{LARGE}\n\nx := strings.render_template("{{{{len .x}}}}", '
            '{"x": r40})'
        ),
        Cause.BUDGET,
    ),
    "many templates, each within its budget": (
        (
            "x := count([1 |\n\tsome i in numbers.range(1, 4000)\n"
            "\tstrings.render_template(`{{range 1000}}{{end}}`, {}) != `i`\n])"
        ),
        Cause.BUDGET,
    ),
    "three loops of a thousand": (
        (
            "x := count([1 |\n\tsome a in numbers.range(1, 1000)\n"
            "\tsome b in numbers.range(1, 1000)\n"
            "\tsome c in numbers.range(1, 1000)\n\ta + b + c < 0\n])"
        ),
        Cause.BUDGET,
    ),
    "functions that call each other twice": (
        "f0(a) := a\n\n"
        + "\n\n".join(
            f"f{n}(a) := f{n - 1}(a + {n}) + f{n - 1}(a - {n})"
            for n in range(1, 41)
        )
        + "\n\nx := f40(input.n)",
        Cause.BUDGET,
    ),
}


@pytest.mark.opa
@pytest.mark.parametrize("name", BLOWN)
def test_what_blows_up_ends_in_its_own_cause(
    opa_binary: Path, tmp_path: Path, name: str
) -> None:
    """A policy that would never end, or fill the memory, is no decision."""
    rules, cause = BLOWN[name]
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{rules}\n"}
    )
    pdp = EmbeddedPdp(compiled(opa_binary, source, ("p/x",)), limits=PATIENT)
    with pytest.raises(NoDecision) as raised:
        pdp.evaluate("p/x", {"n": 1})
    assert cause == raised.value.cause


def test_schema_of_a_value_that_doubles_is_over_the_budget() -> None:
    """OPA's own compiler does not get through the type of such a policy."""
    value: Any = ["a"]
    for _ in range(40):
        value = [value, value]
    for name, operands in (
        ("json.match_schema", (value, {})),
        ("json.verify_schema", (value,)),
        ("object.union", ({"a": value}, {"a": value, "b": 1})),
        ("max", ([value, [value]],)),
    ):
        with pytest.raises(BudgetExceeded):
            PROFILE[name](*operands)


@pytest.mark.opa
def test_set_that_is_too_large_to_answer_is_not_sorted_first(
    opa_binary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What goes out is counted before the time is spent on its order."""
    rule = "x := {[n, 1] | some n in numbers.range(1, 30000)}"
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{rule}\n"}
    )
    pdp = EmbeddedPdp(compiled(opa_binary, source, ("p/x",)), limits=PATIENT)
    sorted_ones: list[int] = []
    monkeypatch.setattr(
        "policy.engine.door.elements", lambda s: sorted_ones.append(len(s))
    )
    with pytest.raises(NoDecision) as raised:
        pdp.evaluate("p/x", {})
    assert Cause.BUDGET == raised.value.cause
    assert not sorted_ones


BOMBS = (
    r"^(a+)+$",
    r"^(a|aa)+$",
    r"(x+x+)+y",
    r"(.*a){12}",
    r"((a{1,30}){1,30}){1,30}",
    r"(a?){40}a{40}",
)


@pytest.mark.opa
def test_regular_expressions_cost_what_the_text_is_long(
    opa_binary: Path, tmp_path: Path
) -> None:
    """Bombs for other engines are answered, or refused as OPA does."""
    rules = "\n".join(
        f"x contains {n} if regex.match(`{bomb}`, input.s)\n"
        for n, bomb in enumerate(BOMBS)
    )
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{rules}"}
    )
    pdp = EmbeddedPdp(
        compiled(opa_binary, source, ("p/x",)), limits=Limits(seconds=60.0)
    )
    said = pdp.evaluate("p/x", {"s": "a" * 50_000 + "b"})
    assert said == [3, 5]


def call(func: str, *args: int, result: int) -> dict[str, Any]:
    """A call of a planned function, with the documents."""
    operands = [{"type": "local", "value": n} for n in (0, 1, *args)]
    return {
        "type": "CallStmt",
        "stmt": {"func": func, "args": operands, "result": result},
    }


def plan(*functions: dict[str, Any]) -> dict[str, Any]:
    """A plan that asks the first of some functions."""
    return {
        "static": {"strings": [{"value": "result"}]},
        "plans": {
            "plans": [
                {
                    "name": "p/x",
                    "blocks": [
                        {"stmts": [call(functions[0]["name"], result=2)]}
                    ],
                }
            ]
        },
        "funcs": {"funcs": list(functions)},
    }


def function(name: str, *stmts: dict[str, Any]) -> dict[str, Any]:
    """A rule that does this and returns its local 2."""
    last = {"type": "ReturnLocalStmt", "stmt": {"source": 2}}
    return {
        "name": name,
        "params": [0, 1],
        "return": 2,
        "path": ["g0", name],
        "blocks": [{"stmts": [*stmts, last]}],
    }


def test_plan_that_recurs_ends_in_its_budget() -> None:
    """OPA plans no recursion; a plan that has it all the same ends."""
    machine = Machine(translate(plan(function("f", call("f", result=2)))))
    with pytest.raises(BudgetExceeded):
        machine.results("p/x", {}, {}, PATIENT)


def test_plan_that_recurs_through_with_ends_in_its_budget() -> None:
    """A fresh memo each time round is paid for, and depth ends it too."""
    inner = {
        "type": "WithStmt",
        "stmt": {
            "local": 0,
            "path": [],
            "value": {"type": "bool", "value": True},
            "block": {"stmts": [call("f", result=2)]},
        },
    }
    machine = Machine(translate(plan(function("f", inner))))
    with pytest.raises(BudgetExceeded):
        machine.results("p/x", {}, {}, PATIENT)


def test_deadline_needs_no_thread() -> None:
    """The clock is asked between slices of steps, by the evaluation itself."""
    now = iter(range(1_000_000))
    loop = plan(
        function(
            "f",
            {"type": "MakeSetStmt", "stmt": {"target": 2}},
            {
                "type": "ScanStmt",
                "stmt": {
                    "source": 0,
                    "key": 3,
                    "value": 4,
                    "block": {
                        "stmts": [
                            {
                                "type": "ScanStmt",
                                "stmt": {
                                    "source": 0,
                                    "key": 5,
                                    "value": 6,
                                    "block": {"stmts": []},
                                },
                            }
                        ]
                    },
                },
            },
        )
    )
    machine = Machine(translate(loop), clock=lambda: float(next(now)))
    with pytest.raises(DeadlineExceeded):
        machine.results(
            "p/x",
            list(range(3_000)),
            {},
            Limits(seconds=50.0, steps=10**12),
        )


HOSTILE_NAMES = (
    "'); import os; os._exit(1)  #",
    '"""\nraise SystemExit\n"""',
    "\\",
    "\n\tpass",
    "{0}",
    "__import__('os')._exit(1)",
    "\x00",
    "v0",
)


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_name_of_a_function_is_never_code(name: str) -> None:
    """A name, a path and a file of a plan stay text, watched or not."""
    document = plan(
        function(name, {"type": "MakeNullStmt", "stmt": {"target": 2}})
    )
    document["static"]["files"] = [{"value": name}]
    for watched in (False, True):
        program = translate(document, watched=watched)
        assert name not in program.source or name == "v0"
    results = Machine(translate(document)).results("p/x", {}, {}, PATIENT)
    assert results == []


def test_error_inside_the_engine_is_no_answer() -> None:
    """What no checked plan does would still be an error of ours."""
    document = plan(
        function("f", {"type": "MakeNullStmt", "stmt": {"target": 2}})
    )
    machine = Machine(translate(document, watched=True))
    with pytest.raises(EvaluationError):
        machine.results("p/x", {}, {}, PATIENT)  # watched by nobody
