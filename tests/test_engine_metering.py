"""What built-ins do is charged by its size, whichever of them a rule calls.

A rule calls each of them often on a large operand. Its loop has few turns, so
that without charges it is far within its steps, however long it takes.
"""

import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from policy.engine import (
    PROFILE,
    BudgetExceeded,
    DeadlineExceeded,
    Limits,
    Machine,
    translated,
)
from policy.engine.builtins import regex
from policy.engine.metering import AT_ONCE, RUNNING, Budget
from policy.engine.values import Value, make_set, weigh
from tests.engines import charged, compiled, write_policy

pytestmark = pytest.mark.opa

TURNS, STEPS = 100, 10_000
TEXT = "a" * 40_000
WORDS = [f"w{n}" for n in range(1_000)]
OTHERS = [f"v{n}" for n in range(1_000)]
FIELDS = dict.fromkeys(WORDS, 1)
SCHEMA = {"properties": {word: {"type": "string"} for word in WORDS[:20]}}
MASK = f"10.0.0.0/{'0' * 30_000}8"
RELEASE = f"1.0.0-{'a.' * 4_000}"
SECOND = f"2006-01-02T15:04:05.{'0' * 30_000}Z"

# Calls as they stand, and their operands.
CALLS: Mapping[str, tuple[object, ...]] = {
    "array.concat": (WORDS, WORDS),
    "array.flatten": ([WORDS],),
    "array.reverse": (WORDS,),
    "array.slice": (WORDS, 0, 1_000),
    "base64.decode": ("YWFh" * 10_000,),
    "base64.encode": (TEXT,),
    "base64.is_valid": ("YWFh" * 10_000,),
    "base64url.decode": ("YWFh" * 10_000,),
    "base64url.encode": (TEXT,),
    "base64url.encode_no_pad": (TEXT,),
    "concat": ("", WORDS),
    "contains": (TEXT, "b"),
    "crypto.hmac.equal": (TEXT, TEXT),
    "crypto.hmac.md5": (TEXT, "k"),
    "crypto.hmac.sha1": (TEXT, "k"),
    "crypto.hmac.sha256": (TEXT, "k"),
    "crypto.hmac.sha512": (TEXT, "k"),
    "crypto.md5": (TEXT,),
    "crypto.sha1": (TEXT,),
    "crypto.sha256": (TEXT,),
    "endswith": (TEXT, TEXT),
    "glob.match": ("*b", [], TEXT),
    "glob.quote_meta": (TEXT,),
    "graph.reachable": ({"a": WORDS}, ["a"]),
    "graph.reachable_paths": ({"a": WORDS[:100]}, ["a"]),
    "hex.decode": ("61" * 20_000,),
    "hex.encode": (TEXT,),
    "indexof": (TEXT, "b"),
    "indexof_n": ("a" * 1_000, "a"),
    "json.filter": (FIELDS, ["a/b"]),
    "json.is_valid": (json.dumps(WORDS),),
    "json.marshal": (WORDS,),
    "json.marshal_with_options": (WORDS[:200], {"pretty": True}),
    "json.match_schema": (WORDS[:20], {"items": {"type": "string"}}),
    "json.patch": (
        {"a": WORDS},
        [{"op": "add", "path": "/a/0", "value": 1}],
    ),
    "json.remove": (FIELDS, ["a/b"]),
    "json.unmarshal": (json.dumps(WORDS),),
    "json.verify_schema": (SCHEMA,),
    "lower": (TEXT,),
    "max": (WORDS,),
    "min": (WORDS,),
    "net.cidr_contains": (MASK, "10.1.1.1"),
    "net.cidr_contains_matches": (["10.0.0.0/8"], ["10.1.1.1"] * 20),
    "net.cidr_expand": ("10.0.0.0/26",),
    "net.cidr_intersects": (MASK, MASK),
    "net.cidr_is_valid": (TEXT,),
    "net.cidr_merge": (["10.0.0.0/24"] * 20,),
    "numbers.range": (1, 5_000),
    "numbers.range_step": (1, 10_000, 2),
    "object.filter": (FIELDS, WORDS),
    "object.get": ({"a": 1}, WORDS, 0),
    "object.keys": (FIELDS,),
    "object.remove": (FIELDS, WORDS),
    "object.subset": (FIELDS, dict(FIELDS)),
    "object.union": (FIELDS, dict.fromkeys(OTHERS, 1)),
    "object.union_n": ([FIELDS, dict.fromkeys(OTHERS, 1)],),
    "product": ([1] * 1_000,),
    "regex.find_all_string_submatch_n": ("(a)", "a" * 30, -1),
    "regex.find_n": ("a", "a" * 30, -1),
    "regex.globs_match": ("a" * 200, "a" * 200),
    "regex.match": ("b", TEXT),
    "regex.replace": ("a" * 30, "a", "b"),
    "regex.split": ("a", "a" * 30),
    "regex.template_match": ("x{.*}", TEXT, "{", "}"),
    "replace": (TEXT, "a", "b"),
    "semver.compare": (f"{RELEASE}a", f"{RELEASE}b"),
    "semver.is_valid": (f"{RELEASE}a",),
    "sort": (WORDS,),
    "split": ("a," * 5_000, ","),
    "sprintf": ("%s", [TEXT]),
    "startswith": (TEXT, TEXT),
    "strings.any_prefix_match": (WORDS[:100], OTHERS),
    "strings.any_suffix_match": (WORDS[:100], ["x"] * 1_000),
    "strings.count": (TEXT, "b"),
    "strings.render_template": ("{{range 300}}{{end}}", {}),
    "strings.replace_n": ({"b": "c"}, TEXT[:400]),
    "strings.reverse": (TEXT,),
    "strings.split_n": ("a," * 5_000, ",", 1),
    "substring": (TEXT, 1, -1),
    "sum": ([1] * 1_000,),
    "time.format": ([1, "UTC", "2006" * 50],),
    "time.parse_duration_ns": ("1ms" * 200,),
    "time.parse_ns": ("2006" * 50, "2006" * 50),
    "time.parse_rfc3339_ns": (SECOND,),
    "to_number": ("1" * 3_000,),
    "trim": (TEXT, "b"),
    "trim_left": (TEXT, "b"),
    "trim_prefix": (TEXT, TEXT[1:]),
    "trim_right": (TEXT, "b"),
    "trim_space": (TEXT,),
    "trim_suffix": (TEXT, TEXT[1:]),
    "units.parse": ("1" * 3_000,),
    "units.parse_bytes": ("1" * 3_000,),
    "upper": (TEXT,),
    "uri.is_valid": (f"http://h/{TEXT}",),
    "uri.parse": (f"http://h/{TEXT}",),
    "urlquery.decode": ("%61" * 2_000,),
    "urlquery.decode_object": ("a=b&" * 100,),
    "urlquery.encode": (TEXT,),
    "urlquery.encode_object": ({"a": WORDS},),
    "uuid.parse": (TEXT,),
    "yaml.is_valid": ("- a\n" * 20,),
    "yaml.marshal": (WORDS[:20],),
    "yaml.unmarshal": ("- a\n" * 20,),
}
# What is written otherwise: the expression, and what `input.o` is in it.
WRITTEN: Mapping[str, tuple[str, tuple[object, ...]]] = {
    "and": ("s & t", (WORDS, WORDS)),
    "or": ("s | t", (WORDS, OTHERS)),
    "minus": ("s - t", (WORDS, OTHERS)),
    "union": ("union({s, t})", (WORDS, OTHERS)),
    "intersection": ("intersection({s, t})", (WORDS, OTHERS)),
    "plus": ("big + big", ()),
    "mul": ("big * big", ()),
    "div": ("big / 3", ()),
    "rem": ("big % 7", ()),
    "abs": ("abs(big)", ()),
    "ceil": ("ceil(big)", ()),
    "floor": ("floor(big)", ()),
    "round": ("round(big)", ()),
    "format_int": ("format_int(big, 10)", ()),
    "bits.and": ("bits.and(big, big)", ()),
    "bits.or": ("bits.or(big, big)", ()),
    "bits.xor": ("bits.xor(big, big)", ()),
    "bits.negate": ("bits.negate(big)", ()),
    "bits.lsh": ("bits.lsh(big, 1)", ()),
    "bits.rsh": ("bits.rsh(big, 1)", ()),
    "equal": ("input.o[0] == input.o[1]", (WORDS, list(WORDS))),
    "neq": ("input.o[0] != input.o[1]", (WORDS, list(WORDS))),
    "gt": ("input.o[0] > input.o[1]", (WORDS, list(WORDS))),
    "gte": ("input.o[0] >= input.o[1]", (WORDS, list(WORDS))),
    "lt": ("input.o[0] < input.o[1]", (WORDS, list(WORDS))),
    "lte": ("input.o[0] <= input.o[1]", (WORDS, list(WORDS))),
    "internal.member_2": ("input.o[0] in input.o[1]", ("x", WORDS * 5)),
    "internal.member_3": (
        "input.o[0], input.o[1] in input.o[2]",
        ("k", WORDS, {"k": list(WORDS)}),
    ),
    "internal.template_string": ('$"{input.o[0]}"', (TEXT,)),
    # Expressions that are compiled, each for the first time.
    "regex.is_valid": (r"regex.is_valid(sprintf(`\pL%d`, [i]))", ()),
    # Not built-ins, but done to values all the same.
    "an array in a set": ("{input.o[0]}", (WORDS,)),
    "an array as a key": ("{input.o[0]: 1}", (WORDS,)),
    "a look-up by an array": ("m[input.o[0]]", (WORDS,)),
    "another input": ("q with input.z as i", (FIELDS,)),
    "two values of one rule": ("twice with input.z as i", (WORDS, [*WORDS])),
}
# Built-ins whose work no operand makes more of, or that the loop over what
# they give pays for.
CONSTANT = frozenset(
    {
        "count",
        "internal.print",
        "is_array",
        "is_boolean",
        "is_null",
        "is_number",
        "is_object",
        "is_set",
        "is_string",
        "time.add_date",
        "time.clock",
        "time.date",
        "time.diff",
        "time.weekday",
        "type_name",
        "walk",
    }
)
SUPPORT = """package p

s := {v | some v in input.o[0]}

t := {v | some v in input.o[1]}

m := {input.o[0]: 1}

q := input.z

twice := input.o[0] if input.z > 0

twice := input.o[1] if input.z > 0

tens := 10000000000000000000000000000000000000000000000000000000000000000

big := product([tens | some _ in numbers.range(1, 20)])
"""
NAMES = (*CALLS, *WRITTEN)


def written(name: str) -> tuple[str, Mapping[str, Any]]:
    """Write a call, and the input that has its operands."""
    if name in WRITTEN:
        call, operands = WRITTEN[name]
    else:
        operands = CALLS[name]
        places = ", ".join(f"input.o[{n}]" for n in range(len(operands)))
        call = f"{name}({places})"
    return call, {"o": list(operands), **FIELDS}


@pytest.fixture(scope="module")
def machine(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Machine:
    """All rules, each of which calls one thing often."""
    rules = [
        f"r{n} := count([y |\n\tsome i in numbers.range(1, {TURNS})\n"
        f"\ty := {written(name)[0]}\n])\n"
        for n, name in enumerate(NAMES)
    ]
    folder = tmp_path_factory.mktemp("metering") / "policy"
    source = write_policy(folder, {"p.rego": "\n".join([SUPPORT, *rules])})
    entrypoints = tuple(f"p/r{n}" for n in range(len(NAMES)))
    return Machine(translated(compiled(opa_binary, source, entrypoints).plan))


def ask(machine: Machine, name: str) -> object:
    """Evaluate the rule of a call; its time alone is no matter."""
    return machine.results(
        f"p/r{NAMES.index(name)}",
        written(name)[1],
        {},
        Limits(steps=STEPS, seconds=3_600.0),
    )[0]["result"]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_large_is_charged_by_its_size(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """A rule ends in its budget, and only because of what it calls."""
    with pytest.raises(BudgetExceeded, match="used up its steps"):
        ask(machine, name)
    monkeypatch.setattr(Budget, "spend", lambda _self, _steps: None)
    assert ask(machine, name) in (0, TURNS)


def test_every_builtin_is_charged_or_costs_the_same_for_all_operands() -> None:
    """A built-in that is new is tried here before it is in the profile."""
    tried = CALLS.keys() | WRITTEN.keys()
    assert set() == PROFILE.keys() - tried - CONSTANT
    assert set() == tried & CONSTANT


# One call of each would take more than seconds, or all of the memory.
LONG = "a" * 1_000_000
OVERSIZE: Mapping[str, tuple[str, tuple[Value, ...]]] = {
    "JSON of many small values": ("json.unmarshal", (f"[{'{},' * 300_000}",)),
    "one text in JSON, many times": ("json.marshal", ([LONG] * 10_000,)),
    "one text in a notation": ("sprintf", ("%v", [[LONG] * 10_000])),
    "one text in YAML": ("yaml.marshal", ([LONG] * 10_000,)),
    "one text in a query": (
        "urlquery.encode_object",
        ({"a": [LONG] * 10_000},),
    ),
    "long texts that differ in the end": (
        "sort",
        ([f"{LONG}b", f"{LONG}c"] * 40_000,),
    ),
    "a long text among many": (
        "internal.member_2",
        (f"{LONG}b", [f"{LONG}c"] * 40_000),
    ),
    "arrays of long texts": (
        "neq",
        ([f"{LONG}b"] * 200_000, [f"{LONG}b"] * 200_000),
    ),
    "a set of all characters": (
        "regex.globs_match",
        ("[\x00-\U0010ffff]", "a"),
    ),
    "a glob of many delimiters": (
        "glob.match",
        ("?" * 4_000, ["/"] * 90_000, "a"),
    ),
    "a wide class, often": ("regex.is_valid", (r"\pL" * 20_000,)),
    "a large program on a long text": ("regex.match", ("a?" * 900, LONG)),
    "an expansion for each match": (
        "regex.replace",
        (LONG[:50_000], "a{100}", "${0}" * 100),
    ),
    "types that are none": (
        "json.verify_schema",
        ({"type": [None, 1] * 20_000},),
    ),
    "a schema of many schemas": (
        "json.verify_schema",
        ({"properties": {f"p{n}": {} for n in range(20_000)}},),
    ),
    "numbers of many digits": ("sum", ([10**3_999] * 90_000,)),
}


@pytest.mark.parametrize("name", OVERSIZE)
def test_what_nothing_interrupts_is_refused_before_it_is_done(
    name: str,
) -> None:
    """A call is over the limits, whatever steps there are."""
    builtin, operands = OVERSIZE[name]
    patient = Budget(steps=10**12, deadline=1.0, clock=lambda: 0.0)
    with pytest.raises(BudgetExceeded, match="limit"):
        charged(patient, builtin, *operands)
    assert patient.rest() > 10**12 - 10 * AT_ONCE


PATHS = {"a": [1] * 20_000, "b": [1] * 20_000}
ENDLESS: Mapping[str, tuple[Value, ...]] = {
    "object.subset": (["a"] * 100_000, ["a"] * 50_000 + ["b"]),
    "strings.replace_n": (dict.fromkeys(WORDS, "x"), LONG),
    "json.patch": (
        PATHS,
        [{"op": "test", "path": "/a", "value": PATHS["b"]}] * 10_000,
    ),
    "graph.reachable": ({"a": WORDS}, ["a"] * 100_000),
    "indexof_n": (LONG, LONG[:500_000]),
    "strings.any_prefix_match": (WORDS * 100, OTHERS * 100),
    "regex.find_n": (".*b|a", LONG[:90_000], -1),
    "sort": ([[n % 7, f"{n}"] for n in range(90_000)],),
    "max": ([make_set([n % 7, f"{n}"]) for n in range(90_000)],),
    "net.cidr_contains_matches": (["10.0.0.0/8"], ["11.0.0.0/9"] * 90_000),
    "net.cidr_merge": (["10.0.0.0/24"] * 90_000,),
    "yaml.marshal": (FIELDS,),
    "yaml.unmarshal": ("- a\n" * 20_000,),
    "time.format": ([1, "UTC", "1" * 100_000],),
    "json.match_schema": ([1] * 90_000, {"items": {"type": "string"}}),
    "walk": ([[["x"] * 10] * 10] * 500,),
    "sprintf": ("%d" * 90_000, [1] * 90_000),
}


def ticking(count: int) -> Budget:
    """Make a budget whose time is up after so many looks at the clock."""
    now: Iterator[int] = iter(range(10**9))
    return Budget(
        steps=10**12, deadline=float(count), clock=lambda: float(next(now))
    )


@pytest.mark.parametrize("name", ENDLESS)
def test_clock_is_asked_in_the_middle_of_a_call(name: str) -> None:
    """A call that takes long is ended by its deadline."""
    with pytest.raises(DeadlineExceeded):
        charged(ticking(20), name, *ENDLESS[name])


def spent(name: str, *operands: Value) -> int:
    """Count the steps that a call takes."""
    budget = Budget(steps=10**9, deadline=1.0, clock=lambda: 0.0)
    charged(budget, name, *operands)
    return 10**9 - budget.rest()


SHORT: Mapping[str, tuple[Value, ...]] = {
    "array.concat": ([1, 2], [3]),
    "concat": (", ", ["a", "b"]),
    "contains": ("service-17", "17"),
    "internal.member_2": (7, [1, 2, 3]),
    "json.marshal": ({"a": [1, "x"]},),
    "lower": ("Zürich",),
    "object.get": (FIELDS, "w7", 0),
    "object.union": ({"a": 1}, {"b": 2}),
    "plus": (10**30, 1),
    "replace": ("a-b", "-", "_"),
    "sort": (["b", "a"],),
    "startswith": (LONG, "a"),
    "substring": (LONG, 17, 3),
    "sum": ([1, 2, 3],),
    "union": (make_set([make_set(["a"]), make_set(["b"])]),),
}


@pytest.mark.parametrize("name", SHORT)
def test_what_is_small_is_free(name: str) -> None:
    """An ordinary rule pays for its loops alone."""
    assert spent(name, *SHORT[name]) <= 1


def test_steps_do_not_depend_on_what_is_in_a_cache() -> None:
    """An expression costs the same, compiled before or not."""
    for name, operands in (
        ("regex.match", ("^metering-[a-z]+$", "metering-x")),
        ("regex.is_valid", ("(metering",)),
        ("glob.match", ("metering-*", [], "metering-x")),
    ):
        first = spent(name, *operands)
        assert first > 0
        assert first == spent(name, *operands)


def test_an_expression_is_charged_once_in_an_evaluation() -> None:
    """A loop over one expression pays for its searches alone."""
    budget = Budget(steps=10**9, deadline=1.0, clock=lambda: 0.0)
    charged(budget, "regex.match", "^once-[a-z]+$", "once-x")
    before = budget.rest()
    charged(budget, "regex.match", "^once-[a-z]+$", "once-y")
    assert before == budget.rest()


def test_no_evaluation_leaves_its_budget_behind(machine: Machine) -> None:
    """What comes after an evaluation is not charged to it."""
    with pytest.raises(BudgetExceeded):
        ask(machine, "sort")
    assert RUNNING.get() is None


def test_what_an_evaluation_met_takes_little_room() -> None:
    """A rule that makes expressions by the thousand fills no memory."""
    budget = Budget(steps=1, deadline=1.0, clock=lambda: 0.0)
    assert all(budget.meets(n) for n in range(1_000))
    assert len(budget._met or ()) < 200
    assert not budget.meets(999)


def test_time_that_goes_by_between_matches_is_seen() -> None:
    """Few matches cost few steps, whatever is done with each of them."""
    ticks = itertools.count()
    budget = Budget(
        steps=10_000, deadline=10.0, clock=lambda: float(next(ticks))
    )
    outer = RUNNING.set(budget)
    try:
        found = regex.compiled("a").matches("a" * 30)
        with pytest.raises(DeadlineExceeded):
            list(found)
    finally:
        RUNNING.reset(outer)


def test_text_that_is_named_often_counts_as_often() -> None:
    """Of one long string a value holds as much as it is named."""
    named = ["a" * 1_000] * 100
    assert named == weigh(named, text=100_000)
    with pytest.raises(BudgetExceeded, match="text"):
        weigh(named, text=99_999)


def test_a_glob_of_many_delimiters_is_not_spelt_out() -> None:
    """Each `?` stands for all but the delimiters, which are named again."""
    delimiters: list[Value] = [chr(0x100 + n) for n in range(1_000)]
    match = PROFILE["glob.match"]
    assert match("?" * 40, delimiters, "x" * 40)
    with pytest.raises(BudgetExceeded):
        match("?" * 400, delimiters, "x" * 400)
