"""Generated values through the embedded engine and an OPA server.

Neither knows the other, so what both say of the same value is Rego. The
policies here are made for this and are not the product's.
"""

import json
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from policy.pdp import Cause, NoDecision
from tests.engines import Engines, both, exactly, write_policy

pytestmark = pytest.mark.opa

# By built-in: an expression over `a`, `b` and `c`, which are any values.
EXPRESSIONS = {
    "plus": "a + b",
    "minus": "a - b",
    "mul": "a * b",
    "div": "a / b",
    "rem": "a % b",
    "abs": "abs(a)",
    "ceil": "ceil(a)",
    "floor": "floor(a)",
    "round": "round(a)",
    "gt": "a > b",
    "gte": "a >= b",
    "lt": "a < b",
    "lte": "a <= b",
    "neq": "a != b",
    "equal": "[a == b, {t | t := a == b}]",
    "count": "count(a)",
    "sum": "sum(a)",
    "product": "product(a)",
    "max": "max(a)",
    "min": "min(a)",
    "sort": "sort(a)",
    "internal.member_2": "[true | a in b]",
    "internal.member_3": "[true | a, c in b]",
    "and": "{x | some x in a} & {x | some x in b}",
    "or": "{x | some x in a} | {x | some x in b}",
    "union": "union({{x | some x in a}, {x | some x in b}})",
    "intersection": "intersection({{x | some x in a}, {x | some x in b}})",
    "object.get": "object.get(a, b, c)",
    "object.keys": "object.keys(a)",
    "object.union": "object.union(a, b)",
    "object.union_n": "object.union_n([a, b, c])",
    "object.remove": "object.remove(a, b)",
    "object.filter": "object.filter(a, b)",
    "object.subset": "object.subset(a, b)",
    "array.concat": "array.concat(a, b)",
    "array.flatten": "array.flatten(a)",
    "array.slice": "array.slice(a, b, c)",
    "array.reverse": "array.reverse(a)",
    "walk": "[v | walk(a, v)]",
    "concat": "concat(a, b)",
    "contains": "contains(a, b)",
    "startswith": "startswith(a, b)",
    "endswith": "endswith(a, b)",
    "upper": "upper(a)",
    "lower": "lower(a)",
    "split": "split(a, b)",
    "trim": "trim(a, b)",
    "trim_left": "trim_left(a, b)",
    "trim_right": "trim_right(a, b)",
    "trim_prefix": "trim_prefix(a, b)",
    "trim_suffix": "trim_suffix(a, b)",
    "trim_space": "trim_space(a)",
    "indexof": "indexof(a, b)",
    "indexof_n": "indexof_n(a, b)",
    "substring": "substring(a, b, c)",
    "strings.reverse": "strings.reverse(a)",
    "strings.count": "strings.count(a, b)",
    "strings.any_prefix_match": "strings.any_prefix_match(a, b)",
    "strings.any_suffix_match": "strings.any_suffix_match(a, b)",
    "format_int": "[format_int(a, base) | some base in [2, 8, 10, 16]]",
    "to_number": "to_number(a)",
    "numbers.range": "numbers.range(a % 50, b % 50)",
    "numbers.range_step": "numbers.range_step(a % 50, b % 50, c % 50)",
    "bits.and": "bits.and(a, b)",
    "bits.or": "bits.or(a, b)",
    "bits.xor": "bits.xor(a, b)",
    "bits.negate": "bits.negate(a)",
    "bits.lsh": "bits.lsh(a, b % 100)",
    "bits.rsh": "bits.rsh(a, b % 100)",
    "json.marshal": "json.marshal({x | some x in a})",
    "json.unmarshal": "json.unmarshal(json.marshal([a, b]))",
    "json.is_valid": "json.is_valid(a)",
    "base64.encode": "base64.encode(a)",
    "base64.is_valid": "base64.is_valid(a)",
    "base64url.encode": "base64url.encode(a)",
    "base64url.encode_no_pad": "base64url.encode_no_pad(a)",
    "hex.encode": "hex.encode(a)",
    "regex.is_valid": 'regex.is_valid("(a|b)*[")',
    "regex.match": "regex.match(`^[a-f]+\\d*$|é`, a)",
    "regex.split": "regex.split(`[ab]*`, a)",
    "regex.find_n": "regex.find_n(`[^a]*`, a, b)",
    "regex.find_all_string_submatch_n": (
        "regex.find_all_string_submatch_n(`(a)|(b)?c*`, a, b)"
    ),
    "regex.replace": 'regex.replace(a, `(a+)|(?P<n>b*)`, "<$1|${n}|$$|$x>")',
    "is_array": "is_array(a)",
    "is_boolean": "is_boolean(a)",
    "is_null": "is_null(a)",
    "is_number": "is_number(a)",
    "is_object": "is_object(a)",
    "is_set": "is_set({x | some x in a})",
    "is_string": "is_string(a)",
    "type_name": "type_name(a)",
    "internal.template_string": '$"{a}|{[b]}|{{x | some x in c}}"',
    "replace": 'replace(concat("", ["-", a]), "a", b)',
    "strings.replace_n": 'strings.replace_n({"a": b, "bc": "x"}, a)',
    "graph.reachable": "graph.reachable(input.graph, b)",
}
COMPARED = frozenset(EXPRESSIONS)

_HEAD = "package {name}\n\na := input.a\n\nb := input.b\n\nc := input.c\n\n"

INTEGERS = st.one_of(
    st.integers(-5, 60), st.integers(-(2**70), 2**70), st.just(10**40)
)
FLOATS = st.one_of(
    st.floats(-100, 100),
    st.floats(allow_nan=False, min_value=-(2.0**52), max_value=2.0**52),
    st.sampled_from([0.5, -0.5, 1.5, 2.5, 0.1, 1e-7, 1.0, -0.0]),
)
TEXTS = st.one_of(
    st.text("abc .é\n", max_size=8),
    st.text(max_size=5),
    st.sampled_from(["12", "-3.50", "1e3", "0x1p-2", "inf", "+5", " 1", "{}"]),
)
SCALARS = st.one_of(st.none(), st.booleans(), INTEGERS, FLOATS, TEXTS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(TEXTS, inner, max_size=4),
    ),
    max_leaves=12,
)
LISTS = st.one_of(
    st.lists(INTEGERS, max_size=5),
    st.lists(st.one_of(INTEGERS, FLOATS), max_size=5),
    st.lists(TEXTS, max_size=5),
    st.lists(VALUES, max_size=4),
)
OBJECTS = st.dictionaries(st.text("abc", max_size=2), VALUES, max_size=4)
# Three values of one sort, so that most built-ins have something to do.
TRIPLES = st.one_of(
    st.tuples(VALUES, VALUES, VALUES),
    st.tuples(INTEGERS, INTEGERS, INTEGERS),
    st.tuples(st.one_of(INTEGERS, FLOATS), FLOATS, INTEGERS),
    st.tuples(TEXTS, TEXTS, TEXTS),
    st.tuples(TEXTS, st.integers(-2, 6), st.integers(-2, 6)),
    st.tuples(TEXTS, st.lists(TEXTS, max_size=4), TEXTS),
    st.tuples(LISTS, LISTS, VALUES),
    st.tuples(LISTS, st.integers(-2, 6), st.integers(-2, 6)),
    st.tuples(OBJECTS, OBJECTS, OBJECTS),
    st.tuples(OBJECTS, st.lists(st.text("abc", max_size=2)), SCALARS),
)
GRAPHS = st.dictionaries(
    st.sampled_from("abcde"),
    st.lists(st.sampled_from("abcdef"), max_size=3),
    max_size=5,
)


@pytest.fixture(scope="module")
def engines(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """Every expression on both engines, and one rule that tries them all."""
    names = {name: f"e{n}" for n, name in enumerate(EXPRESSIONS)}
    modules = {
        f"{names[name]}.rego": _HEAD.format(name=names[name])
        + f"x := {expression}\n"
        for name, expression in EXPRESSIONS.items()
    }
    every = ", ".join(
        f"{json.dumps(name)}: [v | v := data.{short}.x]"
        for name, short in names.items()
    )
    modules["every.rego"] = f"package every\n\nx := {{{every}}}\n"
    modules["policy.rego"] = POLICY
    source = write_policy(tmp_path_factory.mktemp("generated"), modules)
    with both(
        opa_binary, source, ("every/x", "generated/decision")
    ) as running:
        yield running


POLICY = """package generated

decision := {"all": answers, "ordered": [n | some n, _ in answers]} if {
	count(answers) >= 0
}

answers[name] := answer(name, item) if some name, item in input.items

answer(name, item) := {"kind": "object", "keys": ks, "same": same} if {
	is_object(item)
	ks := [k | some k, _ in item]
	same := {n | some n, other in input.items; other == item; n != name}
} else := {"kind": "array", "first": item[0], "sorted": sort(item)} if {
	is_array(item)
	every part in item {
		not is_null(part)
	}
} else := {"kind": "low", "value": item} if {
	item < 10
} else := {"kind": "other", "set": {item, name, 1, true}} if {
	not name in {"hidden"}
}

default trailing := "none"

trailing := item if {
	some item in input.items
	item == "trailing"
}
"""


def value_or_cause(
    ask: Callable[[str, dict[str, Any]], Any], document: dict[str, Any]
) -> Any:  # noqa: ANN401 - a value of any type
    """Return every built-in's value, or why there is none."""
    try:
        return ask("every/x", document)
    except NoDecision as error:
        return error.cause


def agree(engines: Engines, path: str, document: dict[str, Any]) -> None:
    """Ask both engines; they give the same value, or both give none."""
    outcomes: list[Any] = []
    for ask in (engines.asked_embedded, engines.asked_server):
        try:
            outcomes.append(exactly(ask(path, document)))
        except NoDecision as error:
            outcomes.append(error.cause)
    assert outcomes[1] == outcomes[0]


@given(triple=TRIPLES, graph=GRAPHS)
@settings(max_examples=200, deadline=None)
@example(triple=(0.1, 0.2, 3), graph={})
@example(triple=(1 / 3, 1e-9, 7), graph={"a": ["b"], "b": ["a", "a"]})
@example(triple=("aXbßİΣ", "", "x"), graph={})
@example(triple=([True, 1, 1.0], [1], True), graph={})
@example(triple=([None], [], None), graph={})
@example(triple=({"1": 1}, [1], 1), graph={})
def test_every_builtin_gives_what_opa_gives(
    engines: Engines, triple: tuple[Any, Any, Any], graph: dict[str, Any]
) -> None:
    """Each built-in of the profile agrees with OPA on any operands."""
    a, b, c = triple
    document = {"a": a, "b": b, "c": c, "graph": graph}
    got = value_or_cause(engines.asked_embedded, document)
    if got in (Cause.EVALUATION_ERROR, Cause.BUDGET):
        # An operand that the engine does not do at all ends everything, and
        # says so; it is never answered in another way than OPA.
        return
    wanted = value_or_cause(engines.asked_server, document)
    if got is Cause.MALFORMED:  # a number beyond the limits
        assert wanted is Cause.MALFORMED
        return
    differing = {
        name: (wanted[name], got[name])
        for name in EXPRESSIONS
        if exactly(wanted[name]) != exactly(got[name])
    }
    assert {} == differing


@given(items=st.dictionaries(TEXTS, VALUES, max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_policy_decides_what_it_decides_on_opa(
    engines: Engines, items: dict[str, Any]
) -> None:
    """Rules, functions, else, every and comprehensions agree with OPA."""
    agree(engines, "generated/decision", {"items": items})


@pytest.mark.slow
def test_every_code_point_maps_as_on_opa(
    opa_binary: Path, tmp_path: Path
) -> None:
    """Case, white space and JSON agree on the whole of Unicode."""
    chars = [
        chr(n) for n in range(sys.maxunicode + 1) if not 0xD800 <= n < 0xE000
    ]
    known = [c for c in chars if unicodedata.category(c) != "Cn"]
    rules = "".join(
        f"{name} := [{call} | some s in input.chunks]\n\n"
        for name, call in (
            ("up", 'concat("", [upper(c) | some c in split(s, "")])'),
            ("low", 'concat("", [lower(c) | some c in split(s, "")])'),
            ("bare", '[trim_space(c) | some c in split(s, "")]'),
            ("text", "json.marshal(s)"),
        )
    )
    x = 'x := {"u": up, "l": low, "b": bare, "t": text}\n'
    source = write_policy(
        tmp_path / "policy", {"p.rego": f"package p\n\n{rules}{x}"}
    )
    with both(opa_binary, source, ("p/x",)) as engines:
        for start in range(0, len(known), 4000):
            part = "".join(known[start : start + 4000])
            agree(engines, "p/x", {"chunks": [part]})
