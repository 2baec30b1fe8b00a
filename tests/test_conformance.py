"""OPA's own conformance cases, on the embedded engine.

Every case whose plan asks for built-ins of the profile passes; every other
case is refused when its plan is loaded, with the name of a built-in that it
asks for. One case of the corpus (OPA 1.14.1) was corrected in OPA since, and
is held to the answer of the pinned release; none is excepted.
"""

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy.engine import (
    PROFILE,
    BuiltinFailed,
    BuiltinRefused,
    ConflictError,
    EvaluationError,
    Limits,
    Machine,
    translate,
)
from policy.engine.numbers import number
from policy.engine.spelling import json_key
from policy.engine.values import Set, Value, key, make_set, ordered

pytestmark = pytest.mark.corpus

CASES = (
    Path(__file__).parents[1].parent
    / "shared/corpus/opa-conformance/cases.jsonl.gz"
)
PASSED, REFUSED = 1297, 246
"""Of the 1,543 cases of the corpus."""

CORRECTED = {
    "reachable_paths/cycle_1022_3": [
        {
            "x": [
                ["one", "five", "seven", "eight", "three"],
                ["one", "five", "six", "nine"],
                ["one", "five", "six", "seven", "eight", "three"],
                ["one", "two", "four", "three"],
            ]
        }
    ],
}
"""What OPA 1.20.2's own case of that name wants: a node that one branch has
visited no longer ends another branch."""

LIMITS = Limits(steps=10_000_000, seconds=60.0)


def read_json(text: str) -> object:
    """Read JSON with numbers as the engine has them."""
    return json.loads(text, parse_int=number, parse_float=number)


class Term:
    """Reads a Rego term: JSON, and sets, and a comma behind the last."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0

    def skip(self) -> str:
        """Go to the next character that says something, and return it."""
        while self.text[self.at].isspace() or self.text[self.at] == ",":
            self.at += 1
        return self.text[self.at]

    def value(self) -> Value:
        """Read one term."""
        char = self.skip()
        if self.text.startswith("set()", self.at):
            self.at += len("set()")
            return Set()
        if char in "[{":
            return self.container(char)
        found, end = json.JSONDecoder(
            parse_int=number, parse_float=number
        ).raw_decode(self.text[self.at :])
        self.at += end
        return found

    def container(self, opening: str) -> Value:
        """Read an array, an object or a set."""
        self.at += 1
        parts: list[Any] = []
        named = opening == "{" and self.skip() == "}"
        while self.skip() not in "]}":
            part = self.value()
            if opening == "{" and self.skip() == ":":
                named = True
                self.at += 1
                part = (part, self.value())
            parts.append(part)
        self.at += 1
        if opening == "[":
            return parts
        if named:
            return {key(name): value for name, value in parts}
        return make_set(parts)


def cases() -> Iterator[dict[str, Any]]:
    """Read every case of the corpus."""
    if not CASES.exists():
        pytest.skip("the conformance cases in ../shared are not here")
    with gzip.open(CASES, "rt", encoding="utf-8") as lines:
        for line in lines:
            yield read_json(line)


def comparable(value: Value, *, anyhow: bool) -> Value:
    """Turn a result into the JSON of a case: sets as sorted arrays.

    Args:
        value: what the engine gave, or what the case wants.
        anyhow: whether the case sorts arrays, too.

    """
    kind = type(value)
    if kind is dict:
        return {
            json_key(k): comparable(v, anyhow=anyhow) for k, v in value.items()
        }
    if kind is Set or (anyhow and kind is list):
        inside = value.values() if kind is Set else value
        return ordered(comparable(v, anyhow=anyhow) for v in inside)
    if kind is list:
        return [comparable(v, anyhow=anyhow) for v in value]
    return value


def given_input(case: dict[str, Any]) -> Value:
    """Read the input of a case; undefined where it has none."""
    if "input_term" in case:
        return Term(case["input_term"]).value()
    return case.get("input", ...)


def fault(case: dict[str, Any]) -> str | None:
    """Run one case and say what is wrong with the outcome, if anything."""
    machine = Machine(
        translate(case["plan"], strict=bool(case.get("strict_error")))
    )
    wanted_error = {
        "eval_conflict_error": ConflictError,
        "eval_builtin_error": BuiltinFailed,
        "eval_type_error": BuiltinFailed,
    }.get(case.get("want_error_code", ""), EvaluationError)
    fails = bool(case.get("want_error_code") or case.get("want_error"))
    try:
        results = machine.results(
            case["entrypoints"][0],
            given_input(case),
            case.get("data") or {},
            LIMITS,
        )
    except EvaluationError as error:
        right = fails and isinstance(error, wanted_error)
        return None if right else f"error: {error!r}"
    if fails:
        return f"no error, but {results!r}"
    anyhow = bool(case.get("sort_bindings"))
    distinct = list(make_set(results).values())
    got = ordered(comparable(r, anyhow=anyhow) for r in distinct)
    listed = CORRECTED.get(case["note"], case["want_plan_result"]) or []
    wanted = ordered(comparable(r, anyhow=anyhow) for r in listed)
    return None if key(wanted) == key(got) else f"got {got!r}"


def asked_for(case: dict[str, Any]) -> set[str]:
    """Name the built-ins that a case's plan asks for."""
    listed = case["plan"]["static"].get("builtin_funcs") or []
    return {builtin["name"] for builtin in listed}


def test_every_case_passes_or_is_refused_by_name() -> None:
    """All cases within the profile pass, and all others name why not."""
    faults: dict[str, str] = {}
    outcome: Counter[str] = Counter()
    for case in cases():
        outside = asked_for(case) - PROFILE.keys()
        if outside:
            with pytest.raises(BuiltinRefused) as raised:
                translate(case["plan"])
            assert raised.value.name in outside
            outcome["refused"] += 1
            continue
        found = fault(case)
        if found is not None:
            faults[case["note"]] = found
        outcome["passed"] += found is None
    assert {} == faults
    assert {"passed": PASSED, "refused": REFUSED} == outcome


def test_no_case_within_the_profile_is_marked_to_be_ignored() -> None:
    """The corpus excepts none of the cases that we count as passed."""
    ignored = [
        case["note"]
        for case in cases()
        if case["ignore"] and not asked_for(case) - PROFILE.keys()
    ]
    assert [] == ignored


def test_every_builtin_of_the_profile_is_tried() -> None:
    """A built-in is in the profile only where a case or OPA itself tries it.

    What no case of the corpus calls is compared with an OPA server in
    `test_engine_differential.py` and `test_engine_builtins.py`.
    """
    from tests.test_engine_builtins import SAMPLED  # noqa: PLC0415 - its names alone
    from tests.test_engine_differential import COMPARED  # noqa: PLC0415 - likewise

    tried: set[str] = set()
    for case in cases():
        tried |= asked_for(case)
    assert set() == PROFILE.keys() - tried - COMPARED - SAMPLED - {
        "internal.print"
    }
