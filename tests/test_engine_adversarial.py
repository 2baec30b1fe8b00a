"""Adversarial policies and inputs, on the embedded engine and on OPA."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from policy.compiling import current_capabilities
from policy.embedded import EmbeddedPdp
from policy.engine import BuiltinRefused, Limits, Machine, translated
from policy.pdp import Cause, CompileFailed, NoDecision
from tests.engines import Engines, both, compiled, exactly, write_policy

pytestmark = pytest.mark.opa

UNDEFINED = object()
CONFLICT = object()


class Case(NamedTuple):
    """One rule `x`, its input, and OPA's answer."""

    rule: str
    wanted: object
    given: dict[str, Any] = {}  # noqa: RUF012 - never changed


DATA: dict[str, Any] = {"r": 90, "b": 365, "c": "Jõhvi"}

CASES = {
    "min of a set": Case("x := min({90,365})", 90),
    "min of an array": Case("x := min([90,365])", 90),
    "min of a set from input": Case(
        "x := min({r | some c in input.c; r := c})", 90, {"c": [365, 90, 730]}
    ),
    "min of a union with data": Case(
        "x := min({r | some c in input.c; r := c} | {data.r})",
        90,
        {"c": [365, 730]},
    ),
    "min of an input array": Case("x := min(input.c)", 90, {"c": [365, 90]}),
    "max": Case("x := max({90,365,1000})", 1000),
    "sort of a set": Case("x := sort({90,365,1000})", [90, 365, 1000]),
    "sort of input": Case(
        "x := sort(input.c)", [90, 365, 1000], {"c": [90, 1000, 365]}
    ),
    "comparison": Case(
        'x := {"lt": 90 < 365, "in": input.a < data.b}',
        {"lt": True, "in": True},
        {"a": 90},
    ),
    "set comparison": Case("x := {90} < {365}", True),
    "empty partial set, read": Case(
        'm[a] contains "r" if { some a in input.xs; a == "zz" }\n'
        'x := object.get(m, "q", set())',
        [],
        {"xs": ["a"]},
    ),
    "empty partial set, itself": Case(
        'm[a] contains "r" if { some a in input.xs; a == "zz" }\nx := m',
        {},
        {"xs": ["a"]},
    ),
    "empty partial set, counted": Case(
        'm[a] contains "r" if { some a in input.xs; a == "zz" }\n'
        "x := count(m)",
        0,
        {"xs": ["a"]},
    ),
    "empty partial object": Case(
        'm[a] := 1 if { some a in input.xs; a == "zz" }\n'
        'x := object.get(m, "q", 7)',
        7,
        {"xs": ["a"]},
    ),
    "undefined inside every": Case(
        "x if { every c in input.cs { c.mask == true } }",
        UNDEFINED,
        {"cs": [{"mask": True}, {}]},
    ),
    "order of types": Case(
        'x := [null < false, false < 0, 0 < "a", "a" < [], [] < {},'
        " {} < set()]",
        [True] * 6,
    ),
    "default function": Case(
        'default f(_) := "d"\nf(a) := "one" if a == 1\nx := [f(1), f(2)]',
        ["one", "d"],
    ),
    "with": Case(
        'allow if input.u == "a"\nx if allow with input.u as "a"',
        True,
        {"u": "b"},
    ),
    "else": Case("x := 1 if { input.a } else := 2", 2, {"a": False}),
    "conflict": Case(
        "x := 1 if input.a\nx := 2 if input.a", CONFLICT, {"a": True}
    ),
    "conflict of two loops": Case(
        'x := "a" if { some v in input.p; v > 0 }\n'
        'x := "b" if { some v in input.q; v > 0 }',
        CONFLICT,
        {"p": [0, 1], "q": [0, 2]},
    ),
    "no conflict of two loops": Case(
        'x := "a" if { some v in input.p; v > 0 }\n'
        'x := "a" if { some v in input.q; v > 0 }',
        "a",
        {"p": [0, 1], "q": [0, 2]},
    ),
    "order of an object's keys": Case(
        "x := [[k | some k, _ in input.o], [v | some v in input.o]]",
        [["a", "b", "é"], [2, 1, 3]],
        {"o": {"é": 3, "b": 1, "a": 2}},
    ),
    "order of a set": Case(
        'x := [v | some v in {"b", 2, "a", [1], null, true, 1.5}]',
        [None, True, 1.5, 2, "a", "b", [1]],
    ),
    "first of several loops": Case(
        "f(a) := true if { some v in input.p; some w in input.q; v + w == a }"
        "\nx := [f(3), object.get({false: 1}, f(3), 0)]",
        [True, 0],
        {"p": [0, 1], "q": [0, 2]},
    ),
    "big integer": Case(
        "x := input.n + 1", 9007199254740994, {"n": 9007199254740993}
    ),
    "floats": Case("x := 0.1+0.2", 0.3),
    "1.0 as a key": Case('x := {1: "a"}[1.0]', "a"),
    "1.0 equals 1": Case("x := 1 == 1.0", True),
    "set of 1 and 1.0": Case("x := count({1,1.0})", 1),
    "lower of Unicode": Case('x := lower("ÄÖ")', "äö"),
    "class of Unicode": Case('x := regex.match(`^\\p{L}+$`, "Jõhvi")', True),
    "non-ASCII against a literal": Case(
        'x := input.c == "Jõhvi"', True, {"c": "Jõhvi"}
    ),
    "non-ASCII, input against data": Case(
        "x := input.c == data.c", True, {"c": "Jõhvi"}
    ),
    "a quote in a string": Case(r'x := input.c == "a\"b"', True, {"c": 'a"b'}),
    "injection of JSON": Case(
        'x := {"allow": false, "w": input.w}',
        {"allow": False, "w": 'x","allow":true,"z":"'},
        {"w": 'x","allow":true,"z":"'},
    ),
    "an empty key": Case('x := input[""]', 1, {"": 1}),
    "a negated error": Case('x := 1 if { not to_number("zz") }', 1),
    "NUL counts": Case("x := count(input.s)", 3, {"s": "a\0b"}),
    "NUL does not end a string": Case(
        'x := input.s == "a"', False, {"s": "a\0b"}
    ),
    "10**40 is exact": Case("x := input.n + 1", 10**40 + 2, {"n": 10**40 + 1}),
    "RFC 3339 with Z": Case(
        'x := time.parse_rfc3339_ns("2026-01-01T00:00:00Z")',
        1767225600000000000,
    ),
    "RFC 3339 with milliseconds": Case(
        'x := time.parse_rfc3339_ns("2026-01-01T00:00:00.123Z")',
        1767225600123000000,
    ),
    "sprintf": Case(
        'x := sprintf("%d %s %v %5.2f", [1, "a", {"a": [1, "b"]}, 1.5])',
        '1 a {"a": [1, "b"]}  1.50',
    ),
    "undefined time under not": Case(
        "expired if time.parse_rfc3339_ns(input.e) < input.now\n"
        'x := "allowed" if not expired',
        UNDEFINED,
        {"e": "2020-01-01T00:00:00Z", "now": 1767225600000000000},
    ),
    "linear regular expression": Case(
        "x := regex.match(`^(a+)+$`, input.s)", False, {"s": "a" * 40 + "b"}
    ),
    "nested documents": Case(
        "x := count([v | walk(input.n, [_, v])])",
        61,
        {"n": json.loads("[" * 61 + "]" * 61)},
    ),
}

REFUSED = {
    "unsafe variable": "x := y",
    "negation over an iteration": 'x if { not input.xs[_] == "q" }',
    "old syntax": "x { true }",
    "wrong arity": "x := count(1,2)",
    "static type error": 'x := 1 + "a"',
    "recursive function": "f(a) := f(a)\nx := f(1)",
    "recursive rule": "x := y\ny := x",
    "garbage": "\x01\x02garbage",
    "nested 3,000 deep": "x := " + "[" * 3000 + "]" * 3000,
    **{
        f"forbidden {call}": f"x := {call}"
        for call in (
            'http.send({"method": "get", "url": "http://127.0.0.1/"})',
            "opa.runtime()",
            'net.lookup_ip_addr("localhost")',
            "time.now_ns()",
            'rand.intn("a", 3)',
            'uuid.rfc4122("a")',
            'io.jwt.decode("a.b.c")',
            'crypto.x509.parse_certificates("a")',
            'graphql.is_valid("a", "b")',
            'rego.parse_module("a", "package a")',
            'graphql.parse_query("{a}")',
            "providers.aws.sign_req({}, {}, 1)",
        )
    },
}

HOSTILE = 'a"b\nc\\d é'
INJECTED = 'x", "allow": true, "z": "y'

ESCAPING = {
    "equality": ("input.s == data.s", True),
    "equality with a literal": (
        "{t | some v in [input.s, data.s]; t := v == $LITERAL}",
        [True],
    ),
    "count": ("[count(input.s), count(data.s)]", [len(HOSTILE)] * 2),
    "concat": ('concat("|", [input.s, data.s])', f"{HOSTILE}|{HOSTILE}"),
    "upper": ("[upper(input.s), upper(data.s)]", [HOSTILE.upper()] * 2),
    "split": ('split(input.s, "\\n")', HOSTILE.split("\n")),
    "marshal": (
        "json.marshal(input.s)",
        json.dumps(HOSTILE, ensure_ascii=False),
    ),
    "unmarshal of marshal": (
        'json.unmarshal(json.marshal({"k": input.s})).k == data.s',
        True,
    ),
    "key": ("{input.s: 1, data.s: 1}", {HOSTILE: 1}),
    "key of the input": ("input.keyed[data.s]", "found"),
    "base64": (
        "base64.encode(input.s)",
        "YSJiCmNcZCDDqQ==",
    ),
    "indexof": ('[indexof(input.s, "é"), indexof(data.s, "\\\\")]', [8, 5]),
    "replace": ('replace(input.s, "\\"", "\'")', HOSTILE.replace('"', "'")),
    "echo of an injection": ("input.injected", INJECTED),
    "key of an injection": ("{input.injected: false}", {INJECTED: False}),
    "interpolation": ('$"<{input.s}>"', f"<{HOSTILE}>"),
}


def _package(number: int) -> str:
    return f"case_{number}"


def _modules() -> dict[str, str]:
    rules = [case.rule for case in CASES.values()]
    literal = json.dumps(HOSTILE, ensure_ascii=False)
    rules += [
        f"x := {rule.replace('$LITERAL', literal)}"
        for rule, _ in ESCAPING.values()
    ]
    return {
        f"{_package(n)}.rego": f"package {_package(n)}\n\n{rule}\n"
        for n, rule in enumerate(rules)
    }


@pytest.fixture(scope="module")
def engines(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """All cases on both engines, each rule in a package of its own."""
    modules = _modules()
    source = write_policy(
        tmp_path_factory.mktemp("cases"),
        modules,
        json.dumps({**DATA, "s": HOSTILE}),
    )
    entrypoints = tuple(f"{_package(n)}/x" for n in range(len(modules)))
    with both(opa_binary, source, entrypoints) as running:
        yield running


@pytest.mark.parametrize("engine", ["embedded", "server"])
@pytest.mark.parametrize("name", CASES)
def test_answer_is_the_one_of_the_table(
    engines: Engines, engine: str, name: str
) -> None:
    """Each engine gives the answer that stands in the table."""
    case = CASES[name]
    path = f"{_package(list(CASES).index(name))}/x"
    ask = getattr(engines, f"asked_{engine}")
    causes = {
        id(UNDEFINED): Cause.UNDEFINED,
        id(CONFLICT): Cause.EVALUATION_ERROR,
    }
    if id(case.wanted) in causes:
        with pytest.raises(NoDecision) as raised:
            ask(path, case.given)
        assert raised.value.cause == causes[id(case.wanted)]
    else:
        assert exactly(case.wanted) == exactly(ask(path, case.given))


@pytest.mark.parametrize("engine", ["embedded", "server"])
@pytest.mark.parametrize("name", ESCAPING)
def test_hostile_strings_pass_through_unchanged(
    engines: Engines, engine: str, name: str
) -> None:
    """Quotes, newlines, backslashes and accents are data in every place."""
    wanted = ESCAPING[name][1]
    number = len(CASES) + list(ESCAPING).index(name)
    document = {
        "s": HOSTILE,
        "injected": INJECTED,
        "keyed": {HOSTILE: "found"},
    }
    ask = getattr(engines, f"asked_{engine}")
    assert exactly(wanted) == exactly(ask(f"{_package(number)}/x", document))


@pytest.mark.parametrize("name", REFUSED)
def test_policy_is_refused_when_it_is_compiled(
    opa_binary: Path, tmp_path: Path, name: str
) -> None:
    """What must not run does not compile, under our capabilities."""
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{REFUSED[name]}\n"}
    )
    with pytest.raises(CompileFailed):
        compiled(opa_binary, source, ("p/x",))


def test_empty_module_has_nothing_to_ask(
    opa_binary: Path, tmp_path: Path
) -> None:
    """An entrypoint that no rule defines is never answered."""
    source = write_policy(tmp_path / "policy", {"p.rego": ""})
    with pytest.raises(CompileFailed):
        compiled(opa_binary, source, ("p/x",))


def test_strict_mode_makes_a_negated_error_an_error(
    opa_binary: Path, tmp_path: Path
) -> None:
    """In strict mode a failing built-in ends the evaluation."""
    source = write_policy(
        tmp_path / "policy",
        {"p.rego": 'package p\n\nx := 1 if { not to_number("zz") }\n'},
    )
    bundle = compiled(opa_binary, source, ("p/x",))
    with pytest.raises(NoDecision) as raised:
        EmbeddedPdp(bundle, strict=True).evaluate("p/x", {})
    assert raised.value.cause == Cause.EVALUATION_ERROR


LOOP = """package p

x := count([1 |
	some i in numbers.range(1, 10000)
	some j in numbers.range(1, 10000)
	i * j < 0
])
"""


def test_endless_loop_ends_at_the_deadline(
    opa_binary: Path, tmp_path: Path
) -> None:
    """10**8 turns end when the time is up, and the engine goes on."""
    source = write_policy(tmp_path / "policy", {"p.rego": LOOP})
    limits = Limits(seconds=0.2, steps=10**12)
    pdp = EmbeddedPdp(compiled(opa_binary, source, ("p/x",)), limits=limits)
    for _ in range(2):
        with pytest.raises(NoDecision) as raised:
            pdp.evaluate("p/x", {})
        assert raised.value.cause == Cause.TIMEOUT


def test_endless_loop_ends_when_its_steps_are_used_up(
    opa_binary: Path, tmp_path: Path
) -> None:
    """Without a clock the steps alone end it."""
    source = write_policy(tmp_path / "policy", {"p.rego": LOOP})
    limits = Limits(seconds=1e9, steps=100_000)
    pdp = EmbeddedPdp(compiled(opa_binary, source, ("p/x",)), limits=limits)
    with pytest.raises(NoDecision) as raised:
        pdp.evaluate("p/x", {})
    assert raised.value.cause == Cause.BUDGET


def test_plan_made_without_our_capabilities_is_refused_by_name(
    opa_binary: Path, tmp_path: Path
) -> None:
    """What slips past the compiler is refused when the plan is loaded."""
    source = write_policy(
        tmp_path / "policy", {"p.rego": "package p\n\nx := time.now_ns()\n"}
    )
    everything = current_capabilities(opa_binary)
    (source / "capabilities.json").write_text(json.dumps(everything))
    bundle = compiled(opa_binary, source, ("p/x",))
    with pytest.raises(BuiltinRefused, match=r"time\.now_ns"):
        Machine(translated(bundle.plan))
