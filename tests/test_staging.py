"""What is known of an input beforehand, and that it changes no decision."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from policy import EmbeddedPdp, load_bundle
from policy.bundle import Bundle
from policy.engine import PROFILE, Limits, Machine, translated
from policy.engine.reader import read_plan
from policy.engine.staging import members_read
from policy.gate import ENTRYPOINT
from policy.pdp import Cause, Document, NoDecision, Standing
from tests.engines import UNHURRIED, compiled, exactly, unhurried, write_policy
from tests.test_policies import broken, documents

PDP = unhurried()
SIDE = ("schema", "service", "request", "declaration", "catalogue")
RULES = """package t

tally := count(input.side)

through := tally + data.more

spread := [twice(x) | some x in input.side]

twice(x) := x * 2

both := tally + input.own

whole := count(input)

member(name) := input[name]

named := member("side")

swapped := x if {
	x := tally with input.side as [1]
}

torn := 1 if input.side[0]

torn := 2 if input.side[1]

long := count([1 |
	some x in input.side
	some y in numbers.range(1, 3000)
	y > x
])

longer := long + count([1 | some y in numbers.range(1, input.own); y > 0])
"""
ASKED = (
    *("tally", "through", "spread", "both", "whole"),
    *("named", "swapped", "torn", "long", "longer"),
)


@pytest.fixture(scope="module")
def bundle(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Bundle:
    """Compile the rules of this module."""
    source = write_policy(
        tmp_path_factory.mktemp("rules"),
        {"t.rego": RULES},
        json.dumps({"more": 1}),
    )
    return compiled(opa_binary, source, tuple(f"t/{name}" for name in ASKED))


def read(bundle: Bundle) -> dict[str, frozenset[str] | None]:
    """What each rule reads of the input, by the rule's last name."""
    return {
        name.rpartition(".")[2]: members
        for name, members in members_read(
            read_plan(json.loads(bundle.plan), PROFILE)
        ).items()
    }


def parted(document: dict[str, Any], names: tuple[str, ...]) -> Document:
    """The same document, with some members in common with others."""
    common = {name: document[name] for name in names if name in document}
    own = {name: document[name] for name in document if name not in common}
    return Document(Standing(common), own)


def decided(
    document: dict[str, Any], pdp: EmbeddedPdp = PDP, entry: str = ENTRYPOINT
) -> object:
    """What is decided, with its types, or why nothing is."""
    try:
        return exactly(pdp.evaluate(entry, document))
    except NoDecision as none:
        return none.cause


@settings(max_examples=200)
@given(
    document=st.one_of(documents(), documents(), broken()),
    other=st.one_of(documents(), broken()),
    names=st.one_of(
        st.just(SIDE),
        st.lists(st.sampled_from([*SIDE, "person", "now"]), unique=True).map(
            tuple
        ),
    ),
)
def test_what_is_known_beforehand_changes_no_decision(
    document: dict[str, Any], other: dict[str, Any], names: tuple[str, ...]
) -> None:
    """Parted or whole, first or after another with the same part."""
    first = parted(document, names)
    common = first.standing()
    assert common is not None
    own = {name: other[name] for name in other if name not in common.members}
    second = Document(common, own)
    for one in (first, second, first):
        assert decided(dict(one)) == decided(one)
    assert document == first


def test_service_side_of_a_disclosure_is_known_beforehand() -> None:
    """What a service asked and declared is judged once; no person is."""
    known = {
        name
        for name, members in read(load_bundle()).items()
        if members is not None and members <= set(SIDE)
    }
    assert {
        *("sound_service", "sound_request", "sound_declaration"),
        *("able", "bases", "declaring", "asking", "carried", "cleared"),
    } <= known
    assert known.isdisjoint(
        {"sound", "covered", "permitting", "reaches", "grants", "decision"}
    )


def test_rule_reads_what_it_and_what_it_calls_look_up(bundle: Bundle) -> None:
    """Anything but a member by its name could be all of the input."""
    found = read(bundle)
    side = frozenset({"side"})
    assert {
        "tally": side,
        "through": side,
        "spread": side,
        "both": side | {"own"},
        "whole": None,
        "swapped": None,
        "torn": side,
        "longer": side | {"own"},
    } == {name: found[name] for name in ASKED if name not in {"named", "long"}}
    assert found["twice"] == frozenset()
    assert found.get("member") is None


@pytest.mark.parametrize("name", ASKED)
def test_every_kind_of_rule_is_answered_as_without(
    bundle: Bundle, name: str
) -> None:
    """Also one that fails, and one that is not known beforehand."""
    pdp = unhurried(bundle)
    for side in ([3, 4], [False], [], None, {"a": 1}, "text"):
        common = Standing({"side": side})
        for own in (1, 2.5, "x"):
            document = Document(common, {"own": own})
            for _ in range(2):
                assert decided(
                    dict(document), unhurried(bundle), f"t/{name}"
                ) == decided(document, pdp, f"t/{name}")


def test_stage_holds_what_did_not_fail(bundle: Bundle) -> None:
    """A rule with two values fails where it is asked for, not before."""
    machine = Machine(translated(bundle.plan))
    stage = machine.stage({"side": [1, 2]}, bundle.data, UNHURRIED)
    numbers = {
        name.rpartition(".")[2]: number
        for number, name in enumerate(
            read_plan(json.loads(bundle.plan), PROFILE).functions
        )
    }
    assert stage.values[numbers["tally"]] == 2
    assert stage.values[numbers["spread"]] == [2, 4]
    assert {"torn", "both", "whole", "swapped"}.isdisjoint(
        name for name, number in numbers.items() if number in stage.values
    )


def test_stage_that_costs_too_much_is_empty_and_costs_nothing(
    bundle: Bundle,
) -> None:
    """Then each decision does the work, within its own budget."""
    machine = Machine(translated(bundle.plan))
    stage = machine.stage({"side": [1, 2]}, bundle.data, Limits(steps=1_000))
    assert not stage.values
    assert not stage.steps


def test_steps_are_charged_to_who_starts_with_the_stage(
    bundle: Bundle,
) -> None:
    """Nobody gets further with what is known beforehand than without."""
    document = Document(Standing({"side": [1, 2]}), {"own": 6_000})
    pdp = EmbeddedPdp(bundle, limits=Limits(steps=9_000, seconds=60.0))
    assert decided(dict(document), pdp, "t/longer") is Cause.BUDGET
    assert decided(document, pdp, "t/longer") is Cause.BUDGET
    assert pdp._loaded is not None
    (staged,) = pdp._loaded.staged.values()
    assert 6_000 <= staged.stage.steps < 9_000


def test_nothing_known_outlives_the_data_or_the_policies(
    bundle: Bundle,
) -> None:
    """What is known goes with what it was worked out under."""
    pdp = unhurried(bundle)
    document = Document(Standing({"side": [1, 2]}), {"own": 1})
    assert pdp.evaluate("t/through", document) == 3
    pdp.replace_data({"more": 10})
    assert pdp.evaluate("t/through", document) == 12
    pdp.swap(bundle)
    assert pdp.evaluate("t/through", document) == 3


def test_changed_document_is_decided_as_it_is(bundle: Bundle) -> None:
    """A member that was replaced or removed is nobody else's any more."""
    pdp = unhurried(bundle)
    common = Standing({"side": [1, 2]})
    document = Document(common, {"own": 1})
    assert pdp.evaluate("t/tally", document) == 2
    document["side"] = [1, 2, 3]
    assert document.standing() is None
    assert pdp.evaluate("t/tally", document) == 3
    del document["side"]
    with pytest.raises(NoDecision):
        pdp.evaluate("t/tally", document)
    assert pdp.evaluate("t/tally", Document(common, {"own": 1})) == 2


def test_large_documents_are_refused_in_parts_as_whole(bundle: Bundle) -> None:
    """The bounds are those of the whole document, wherever it is cut."""
    pdp = unhurried(bundle)
    many, text = list(range(60_000)), "x" * 2_500_000
    for side, own in ((many, many), (text, text), ([text], {text: 1})):
        document = Document(Standing({"side": side}), {"own": own})
        assert decided(dict(document), pdp, "t/tally") is Cause.MALFORMED
        assert decided(document, pdp, "t/tally") is Cause.MALFORMED
        alone = Document(Standing({"side": side}), {"own": 1})
        assert decided(dict(alone), pdp, "t/tally") == decided(
            alone, pdp, "t/tally"
        )


def test_odd_document_is_refused_in_parts_as_whole(bundle: Bundle) -> None:
    """What is no JSON is refused in either part."""
    pdp = unhurried(bundle)
    for side, own in (
        ((1,), 1),
        ([], (1,)),
        ([{1: 2}], 1),
        ([], float("nan")),
    ):
        document = Document(Standing({"side": side}), {"own": own})
        assert decided(document, pdp, "t/tally") is Cause.MALFORMED


def test_few_parts_are_kept(bundle: Bundle) -> None:
    """However many services ask, what is kept of them is bounded."""
    pdp = unhurried(bundle)
    for n in range(600):
        pdp.evaluate("t/tally", Document(Standing({"side": [n]}), {}))
    assert pdp._loaded is not None
    assert 0 < len(pdp._loaded.staged) <= 256
