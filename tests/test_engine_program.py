"""A translated plan: made once of a text, and run by machines of their own."""

import json
from dataclasses import replace

import pytest

from policy.bundle import load_bundle
from policy.engine import Machine, PlanInvalid, translate, translated
from tests.engines import UNHURRIED, unhurried


def answering(value: int) -> bytes:
    """The text of a plan whose one entrypoint gives a number."""
    stmts = [
        {"type": "MakeObjectStmt", "stmt": {"target": 2}},
        {"type": "MakeNumberIntStmt", "stmt": {"value": value, "target": 3}},
        {
            "type": "ObjectInsertStmt",
            "stmt": {
                "key": {"type": "string_index", "value": 0},
                "value": {"type": "local", "value": 3},
                "object": 2,
            },
        },
        {"type": "ResultSetAddStmt", "stmt": {"value": 2}},
    ]
    return json.dumps(
        {
            "static": {"strings": [{"value": "result"}]},
            "plans": {
                "plans": [{"name": "p/x", "blocks": [{"stmts": stmts}]}]
            },
            "funcs": {"funcs": []},
        }
    ).encode()


def test_text_is_translated_once_as_it_is_asked_for() -> None:
    """Strict, watched and neither are three programs, each made once."""
    text = answering(1)
    kinds = ({}, {"strict": True}, {"watched": True})
    made = [translated(text, **kind) for kind in kinds]
    assert 3 == len({id(one) for one in made})
    copied = bytes(bytearray(text))
    assert all(
        translated(copied, **kind) is one
        for kind, one in zip(kinds, made, strict=True)
    )
    assert translated(answering(2)) is not made[0]


def test_policies_under_a_known_name_are_still_read() -> None:
    """What was translated is found by the text, never by the revision."""
    bundle = replace(load_bundle(), plan=answering(1))
    pdp = unhurried(bundle)
    assert 1 == pdp.evaluate("p/x", {})
    assert 2 == unhurried(replace(bundle, plan=answering(2))).evaluate(
        "p/x", {}
    )
    with pytest.raises(PlanInvalid):
        pdp.swap(replace(bundle, plan=answering(2)[:-1]))
    assert 1 == pdp.evaluate("p/x", {})


@pytest.mark.parametrize(
    "text",
    [b"", b"\xff", b"{", b"[" * 100_000, b"1", b'"x"', b'{"plans": []}'],
)
def test_what_is_no_plan_is_refused_each_time(text: bytes) -> None:
    """A refusal is not remembered as if it were a program."""
    for _ in range(2):
        with pytest.raises(PlanInvalid):
            translated(text)


def test_machines_of_one_program_share_no_functions() -> None:
    """Whoever puts something in one machine's way changes no other's."""
    program = translate(json.loads(answering(1)))
    first, second = program.space(), program.space()
    assert first["p0"] is not second["p0"]
    first["__builtins__"].clear()
    first["Set"] = None
    assert "bool" in second["__builtins__"]
    assert second["Set"]
    assert "bool" in program.space()["__builtins__"]
    assert "p0" not in program.names
    found = Machine(program).results("p/x", {}, {}, UNHURRIED)
    assert found == Machine(program).results("p/x", {}, {}, UNHURRIED)
