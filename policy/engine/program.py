"""A plan translated: compiled Python functions, and what they are called.

Translating the product's policies takes a second where deciding takes a
tenth of a millisecond, and says the same of the same text whoever asks. So a
process that opens several instances, or swaps back and forth, translates a
text once. What a `Program` holds is never changed, and nothing of any request
is in it; whoever runs it makes functions of their own.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType
from typing import Any

from policy.engine import runtime
from policy.engine.builtins import PROFILE
from policy.engine.errors import (
    BuiltinFailed,
    EvaluationError,
    PlanInvalid,
)
from policy.engine.plan import Function, Plan
from policy.engine.reader import read_plan
from policy.engine.staging import members_read
from policy.engine.translator import Module
from policy.engine.values import (
    Raw,
    Set,
    equal,
    key,
    lookup,
    lookup_base,
    union,
)

# A plan, as it is and watched, and the one that it is swapped for.
_KEPT = 4
_SUPPORT: Mapping[str, Any] = {
    "BuiltinFailed": BuiltinFailed,
    "MISSING": (KeyError, TypeError, IndexError),
    "SIZED": frozenset({list, dict, Set, str, Raw}),
    "Set": Set,
    "add": runtime.add,
    "conflict": runtime.conflict,
    "dynamic": runtime.dynamic,
    "equal": equal,
    "insert_once": runtime.insert_once,
    "items": runtime.items,
    "key": key,
    "length": runtime.length,
    "lookup": lookup,
    "lookup_base": lookup_base,
    "merge": runtime.merge,
    "ordered_items": runtime.ordered_items,
    "ordered_values": runtime.ordered_values,
    "union": union,
    "upsert": runtime.upsert,
    "values": runtime.values,
}
_BUILTINS: Mapping[str, Any] = {
    "bool": bool,
    "type": type,
    "len": len,
    "dict": dict,
    "list": list,
    "str": str,
    "int": int,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """The functions of one plan, not yet made.

    Attributes:
        source: the Python source.
        code: the same, compiled.
        names: what the code finds: support, constants and built-ins.
        functions: by its name in the code each planned function that is
            watched; none where evaluations are not.
        dynamic: names in the code, by the path that they are called by.
        entrypoints: names in the code, by entrypoint.
        rules: number, members of the input that it reads, and name in the
            code of each rule without parameters that reads only some.
        files: the Rego files that places refer to.
        places: file and row of what is watched.
    """

    source: str
    code: CodeType
    names: Mapping[str, Any]
    functions: Mapping[str, Function]
    dynamic: Mapping[tuple[str, ...], str]
    entrypoints: Mapping[str, str]
    rules: tuple[tuple[int, frozenset[str], str], ...]
    files: tuple[str, ...]
    places: tuple[tuple[int, int], ...]

    def space(self) -> dict[str, Any]:
        """Make the functions; give all that the code names.

        Each call makes others, so what one caller puts in another's way
        nobody else meets.
        """
        space = {**self.names, "__builtins__": dict(_BUILTINS)}
        exec(self.code, space)  # noqa: S102 - our own source; constants via repr
        return space


def translate(
    document: Any,  # noqa: ANN401 - JSON, checked by the reader
    *,
    strict: bool = False,
    watched: bool = False,
) -> Program:
    """Translate a plan.

    Args:
        document: the parsed `plan.json`.
        strict: whether a built-in's error ends the evaluation, rather than
            being undefined as an OPA server has it.
        watched: whether its evaluations may be watched, which slows them.

    Raises:
        PlanInvalid: the plan is malformed or beyond what the engine has.
    """
    plan = read_plan(document, PROFILE)
    module = Module(plan, strict=strict, watched=watched)
    try:
        source = module.source()
    except EvaluationError as error:
        msg = "plan: a number is not one"
        raise PlanInvalid(msg) from error
    try:
        code = compile(source, "<plan>", "exec")
    except (SyntaxError, RecursionError, MemoryError) as error:
        msg = "plan: too large or too deeply nested to translate"
        raise PlanInvalid(msg) from error
    return Program(
        source=source,
        code=code,
        names={
            **_SUPPORT,
            **module.constants,
            **{short: PROFILE[b] for b, short in module.builtins.items()},
        },
        functions={
            module.names[name]: function
            for name, function in plan.functions.items()
            if watched
        },
        dynamic={
            function.path: module.names[name]
            for name, function in plan.functions.items()
            if function.path and len(function.params) == 2
        },
        entrypoints={name: f"p{i}" for i, name in enumerate(plan.entrypoints)},
        rules=_rules(plan, module),
        files=tuple(plan.files),
        places=tuple(module.places),
    )


@lru_cache(_KEPT)
def translated(
    text: bytes, *, strict: bool = False, watched: bool = False
) -> Program:
    """Translate the text of a plan, once.

    Args:
        text: of `plan.json`.
        strict: as `translate` takes it.
        watched: likewise.

    Raises:
        PlanInvalid: it is not JSON, or the plan is malformed or beyond what
            the engine has.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        msg = "plan: not JSON"
        raise PlanInvalid(msg) from None
    return translate(document, strict=strict, watched=watched)


def _rules(
    plan: Plan, module: Module
) -> tuple[tuple[int, frozenset[str], str], ...]:
    return tuple(
        (module.numbers[name], members, module.names[name])
        for name, members in members_read(plan).items()
        if members is not None and len(plan.functions[name].params) == 2
    )
