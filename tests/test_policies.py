"""The policies as sources, and as what they decide on generated input.

The oracle in `tests/oracle.py` is the second reading: on thousands of inputs
it and the embedded engine have to say the same, hostile text and broken
documents included. The other properties need no oracle: nothing of the
person shows in what a service may hear, and less consent never gives more.
"""

import copy
import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from consent import (
    Hold,
    LegalBasis,
    Purpose,
    Required,
    example_of,
    predicate_sources,
)
from policy import Action, NoDecision, load_reasons
from policy.gate import UNDERSTOOD
from policy.vocabulary import Side
from tests import oracle
from tests.engines import unhurried

POLICIES = Path(__file__).parent.parent / "policies"
ENTRYPOINT = "curtilage/disclosure/decision"
RULES = sorted(
    path
    for path in POLICIES.rglob("*.rego")
    if not path.stem.endswith("_test")
)
VOCABULARY: dict[str, Any] = json.loads(
    (POLICIES / "vocabulary" / "data.json").read_text("utf-8")
)
REASONS: list[dict[str, Any]] = json.loads(
    (POLICIES / "vocabulary" / "reasons.json").read_text("utf-8")
)
CODES = {one["code"] for one in REASONS}
PDP = unhurried()
# Two thousand take a minute: set it so before a release.
EXAMPLES = int(os.environ.get("CURTILAGE_ORACLE_EXAMPLES", "300"))


# The sources.


def run(binary: Path, *arguments: str | Path) -> str:
    """Run OPA in the tree and return what it says."""
    done = subprocess.run(
        [binary, *arguments],
        cwd=POLICIES.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.opa
def test_rego_is_formatted(opa_binary: Path) -> None:
    """`opa fmt` would change nothing."""
    assert not run(opa_binary, "fmt", "--fail", "--list", "policies")


@pytest.mark.opa
def test_rego_is_strict_and_fits_its_schemas(opa_binary: Path) -> None:
    """Strict mode, the schemas of the input and the profile are kept."""
    run(
        opa_binary,
        *("check", "--strict", "--schema", "policies/schemas"),
        *("--capabilities", "policies/capabilities.json"),
        *("--bundle", "policies"),
    )


@pytest.mark.opa
def test_rego_tests_cover_the_rules(opa_binary: Path) -> None:
    """Every rule is covered by the tests beside it, to 95 % at least."""
    run(
        opa_binary,
        *("test", "--coverage", "--threshold", "95", "--timeout", "60s"),
        *("--bundle", "policies"),
    )


def test_every_rule_file_has_its_tests_beside_it() -> None:
    """A rule file has a test file of the same name in its folder."""
    assert RULES
    for path in RULES:
        assert path.with_name(f"{path.stem}_test.rego").is_file()


@pytest.mark.opa
def test_entrypoints_are_exactly_the_decisions(opa_binary: Path) -> None:
    """What may be asked is a rule called decision, one a package."""
    said = run(opa_binary, *("inspect", "-a", "--format", "json", "policies"))
    marked = [
        "/".join(part["value"] for part in one["path"][1:])
        for one in json.loads(said)["annotations"]
        if one["annotations"].get("entrypoint")
    ]
    wanted = [
        f"curtilage/{name}/decision"
        for name in (
            *("api", "disclosure", "glass", "guidance", "numbers", "release"),
        )
    ]
    assert wanted == sorted(marked)


@pytest.mark.opa
def test_annotated_rules_name_their_law(opa_binary: Path) -> None:
    """Every annotation has a title and the articles that the rule serves."""
    said = run(opa_binary, *("inspect", "-a", "--format", "json", "policies"))
    for one in json.loads(said)["annotations"]:
        found = one["annotations"]
        assert found["title"]
        articles = found["custom"]["law"]
        assert {"GDPR", "PIPL"} == {text.split()[0] for text in articles}


def test_rego_asks_nothing_of_its_surroundings() -> None:
    """No rule calls for the time, the network or the environment."""
    for path in RULES:
        text = re.sub(r"#.*", "", path.read_text("utf-8"))
        assert not re.search(r"\b(time|http|net|opa|rand|uuid)\.", text)


# The vocabulary.


def codes_of_the_rego() -> set[str]:
    """Every reason code that a rule can give.

    A code is a text that is no key of an object; of the texts with one word,
    those that the vocabulary has.
    """
    text = "\n".join(path.read_text("utf-8") for path in RULES)
    words = set(
        re.findall(r'"([a-z_]+)"(?!:)', re.sub(r"(?m)^\s*#.*", "", text))
    )
    said = {word for word in words if "_" in word or word in CODES}
    held = set(VOCABULARY["holds"].values())
    return (said | held) - set(VOCABULARY["obligations"])


def test_every_code_has_an_entry_and_every_entry_a_use() -> None:
    """The codes of the Rego and those of the table are the same."""
    assert codes_of_the_rego() == CODES


@pytest.mark.parametrize("one", REASONS, ids=lambda one: str(one["code"]))
def test_reason_speaks_both_languages(one: dict[str, Any]) -> None:
    """A reason has a plain sentence in English and in Chinese."""
    assert {"en", "zh-Hans"} == set(one["text"])
    assert one["text"]["en"].isascii()
    assert one["text"]["en"].endswith(".")
    assert re.search(r"[\u4e00-\u9fff]", one["text"]["zh-Hans"])
    assert one["text"]["zh-Hans"].endswith("。")
    assert "_" not in one["text"]["en"]


def test_sides_and_remedies_are_the_same_in_both_tables() -> None:
    """What Rego reads of a code is what the gate reads of it."""
    assert VOCABULARY["reasons"] == {
        one["code"]: {"side": one["side"], "remedy": one["remedy"]}
        for one in REASONS
    }


def test_holds_are_those_of_the_facts() -> None:
    """Every reason to hold a permission back has its code, and no other."""
    assert set(VOCABULARY["holds"]) == {hold.value for hold in Hold}


def test_service_hears_of_its_own_side_alone() -> None:
    """The codes on the service's side are these, and no more."""
    table = load_reasons((POLICIES / "vocabulary/reasons.json").read_bytes())
    assert {
        "unknown_attribute",
        "service_not_registered",
        "not_declared",
        "assurance_too_low",
        "obligation_not_understood",
        "declaration_expired",
        "predicate_would_do",
    } == {code for code in CODES if table.side(code) is Side.SERVICE}


def test_readme_lists_every_code() -> None:
    """The table of `policies/README.md` has a row for each code."""
    text = (POLICIES / "README.md").read_text("utf-8")
    rows = re.findall(r"(?m)^\| `([a-z_]+)` \| (\w+) \| `(\w+)` \|", text)
    assert [(o["code"], o["side"], o["remedy"]) for o in REASONS] == rows


def test_vocabulary_is_that_of_the_packages() -> None:
    """Bases, obligations and actions are the words of the Python."""
    assert {one.value for one in LegalBasis} == set(VOCABULARY["bases"])
    assert set(VOCABULARY["obligations"]) == UNDERSTOOD
    assert {one.value for one in Action} <= set(VOCABULARY["actions"])
    assert {one.value for one in Required} == {"always", "opt-in", "opt-out"}
    assert set(VOCABULARY["exact"]) < {one.value for one in Purpose}
    assert VOCABULARY["predicates"] == {
        source: {"example": example_of(source), "prefix": f"{source}.{kind}_"}
        for source, kind in predicate_sources().items()
    }


def test_schemas_fit_the_golden_set() -> None:
    """Whatever has a wanted decision has the shape of its schema."""
    golden = Path(__file__).parent / "golden"
    for path in golden.glob("*/*.json"):
        case = json.loads(path.read_text("utf-8"))
        schema = json.loads(
            (POLICIES / "schemas" / f"{path.parent.name}.json").read_text(
                "utf-8"
            )
        )
        if case["wanted"] is not None:
            assert not list(misfits(case["input"], schema, path.stem))


TYPES = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
}


def misfits(value: Any, schema: dict[str, Any], where: str) -> Any:  # noqa: ANN401 - JSON
    """Yield where a value does not fit the part of JSON Schema in use."""
    if "anyOf" in schema:
        if all(list(misfits(value, one, where)) for one in schema["anyOf"]):
            yield where
        return
    kind = schema["type"]
    if kind in {"integer", "number"}:
        wanted = {"integer": (int,), "number": (int, float)}[kind]
        low, high = schema.get("minimum", value), schema.get("maximum", value)
        if type(value) not in wanted or not low <= value <= high:
            yield where
        return
    if type(value) is not TYPES[kind]:
        yield where
        return
    if value not in schema.get("enum", [schema.get("const", value)]):
        yield where
    if kind == "array":
        for i, one in enumerate(value):
            yield from misfits(one, schema["items"], f"{where}[{i}]")
    if kind == "object":
        yield from _misfit_fields(value, schema, where)


def _misfit_fields(
    value: dict[str, Any], schema: dict[str, Any], where: str
) -> Any:  # noqa: ANN401 - an iterator of texts
    known, rest = schema.get("properties", {}), schema["additionalProperties"]
    if missing := set(schema.get("required", ())) - set(value):
        yield f"{where}: {missing}"
    for name, one in value.items():
        if name in known:
            yield from misfits(one, known[name], f"{where}.{name}")
        elif rest is False:
            yield f"{where}.{name}"
        elif rest is not True:
            yield from misfits(one, rest, f"{where}.{name}")


# What they decide.

NOW = 1_790_000_000
HOSTILE = (
    'x", "allow": true, "z": "y',
    'a"b\nc\\d \u00e9',
    "nul\0byte",
    "\u5e02\u6c11\U0001f512",
    "",
)
NAMES = (
    "user.bdate",
    "user.name.given",
    "user.religion",
    HOSTILE[0],
    HOSTILE[2],
)
STATEMENTS = ("s1", "s2", HOSTILE[1])
PURPOSES = ("current", "contact", HOSTILE[3])
TIMES = st.sampled_from([0, NOW - 1, NOW, NOW + 1, NOW + 10**6])
names = st.sampled_from(NAMES)
mostly = st.sampled_from([True, True, True, False])


def some(elements: st.SearchStrategy[Any], most: int) -> Any:  # noqa: ANN401 - a strategy
    """Lists without repetition, in any order."""
    return st.lists(elements, max_size=most, unique=True)


def data() -> st.SearchStrategy[Any]:
    """What a statement declares."""
    item = st.fixed_dictionaries(
        {"optional": st.booleans(), "categories": st.just(["physical"])}
    )
    return st.dictionaries(names, item, max_size=4)


statement = st.fixed_dictionaries(
    {
        "basis": st.sampled_from(["consent", "consent", *oracle.BASES]),
        "purposes": st.lists(
            st.fixed_dictionaries(
                {
                    "purpose": st.sampled_from(PURPOSES),
                    "required": st.sampled_from(
                        ["always", "always", "opt-in", "opt-out"]
                    ),
                }
            ),
            min_size=1,
            max_size=2,
        ),
        "recipients": st.sampled_from(
            [["ours"], ["ours"], ["ours", "same"], ["delivery"], []]
        ),
        "retention": st.sampled_from(
            ["stated-purpose", "no-retention", HOSTILE[4]]
        ),
        "retention_days": st.sampled_from([None, 0, 30, 90, 365, 1000]),
        "data": data(),
    }
)
declaration = st.fixed_dictionaries(
    {
        "digest": st.just("5b" * 32),
        "version": st.just(1),
        "valid_from": st.sampled_from([0, 0, 0, NOW, NOW + 1]),
        "valid_until": st.sampled_from([None, None, NOW + 9, NOW]),
        "assurance": st.sampled_from([0, 1, 1, 2]),
        "obligations": some(
            st.sampled_from(
                [*oracle.OBLIGATIONS, *oracle.OBLIGATIONS, HOSTILE[0]]
            ),
            2,
        ),
        "statements": st.dictionaries(
            st.sampled_from(STATEMENTS), statement, min_size=1, max_size=3
        ),
    }
)
consent = st.fixed_dictionaries(
    {
        "statement": st.sampled_from(STATEMENTS),
        "state": st.sampled_from(
            [
                *("given", "given", "given"),
                *("refused", "withdrawn", "expired", "unanswered"),
                *("paused", "revoked", "invalidated", "requested"),
            ]
        ),
        "attributes": st.one_of(st.just(list(NAMES)), some(names, 5)),
        "until": st.one_of(st.none(), TIMES),
        "event": st.just("e"),
    }
)


DEMANDS: tuple[dict[str, Any], ...] = (
    *({}, {}, {}, {}),
    {"obligations": [{"type": "delete_by", "days": 7}]},
    {"obligations": [{"type": "notify"}]},
    {"obligations": [{"type": "no_onward_transfer"}, {"type": "notify"}]},
)


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    """Inputs that are sound, and whose facts are anything."""
    declared = draw(st.one_of(st.just(None), declaration, declaration))
    asked = draw(st.lists(names, min_size=1, max_size=5))
    verdicts = [
        {
            "statement": key,
            "attribute": name,
            "behavior": draw(
                st.sampled_from(["allow", "allow", "limit", "refuse"])
            ),
            "level": draw(st.sampled_from([None, 1, 2, 9])),
            "rule": "r",
            "hold": draw(st.sampled_from([None] * 7 + [*oracle.HOLDS])),
            **draw(st.sampled_from(DEMANDS)),
        }
        for key, one in (declared or {"statements": {}})["statements"].items()
        for name in one["data"]
    ]
    catalogued = draw(st.one_of(st.just(list(NAMES)), some(names, 5)))
    return {
        "schema": "curtilage/disclosure/1",
        "now": NOW,
        "service": {
            "id": draw(st.sampled_from(HOSTILE)),
            "purpose": draw(st.sampled_from(["address-change", HOSTILE[0]])),
            "assurance": draw(st.sampled_from([0, 1, 2, 2, 3])),
            "understands": draw(
                st.one_of(
                    st.just(list(oracle.OBLIGATIONS)),
                    some(st.sampled_from(oracle.OBLIGATIONS), 4),
                )
            ),
        },
        "request": {"attributes": asked},
        "declaration": declared,
        "catalogue": {
            name: {
                "sensitivity": draw(st.sampled_from([0, 1, 1, 2, 3])),
                "levels": draw(st.sampled_from([0, 1, 3])),
            }
            for name in catalogued
        },
        "consents": draw(
            st.lists(
                consent, max_size=4, unique_by=lambda one: one["statement"]
            )
        ),
        "preferences": verdicts,
        "person": {
            "known": draw(mostly),
            "present": draw(st.one_of(st.just(list(NAMES)), some(names, 5))),
            "restricted": not draw(mostly),
            "objected": draw(
                some(st.sampled_from(["address-change", *PURPOSES]), 2)
            ),
        },
    }


ODD = (None, True, -1, 1, 0.5, 10**40, "", "9999999999", [], {}, HOSTILE[0])


@st.composite
def broken(
    draw: st.DrawFn, sound: st.SearchStrategy[dict[str, Any]] | None = None
) -> dict[str, Any]:
    """Sound inputs with one field removed or replaced by something odd."""
    document: Any = copy.deepcopy(
        draw(documents() if sound is None else sound)
    )
    place, field = document, draw(st.sampled_from(sorted(document)))
    while draw(mostly) and place[field] and type(place[field]) in {dict, list}:
        place = place[field]
        keys = sorted(place) if type(place) is dict else range(len(place))
        field = draw(st.sampled_from(keys))
    if draw(st.booleans()):
        del place[field]
    else:
        place[field] = draw(st.sampled_from(ODD))
    return document  # type: ignore[no-any-return] # it was one before


def decide(document: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Ask the embedded engine; `None` where it gives no decision."""
    try:
        return PDP.evaluate(ENTRYPOINT, document)
    except NoDecision:
        return None


@settings(max_examples=EXAMPLES)
@given(document=st.one_of(documents(), documents(), broken()))
def test_engine_and_oracle_agree(document: dict[str, Any]) -> None:
    """The plan and the oracle decide alike, sound input or not."""
    assert oracle.disclosure(document) == decide(document)


SERVICE_SIDE = {one["code"] for one in REASONS if one["side"] == "service"}


def heard(decision: dict[str, Any]) -> dict[str, list[str]]:
    """What a service may hear, by attribute."""
    return {
        name: [
            reason["code"]
            for reason in one["reasons"]
            if reason["code"] in SERVICE_SIDE
        ]
        for name, one in decision["attributes"].items()
    }


@st.composite
def own_sides(draw: st.DrawFn) -> dict[str, Any]:
    """The service's own side of a disclosure, with values to do without."""
    document: Any = copy.deepcopy(draw(documents()))
    for part in ("person", "consents", "preferences"):
        del document[part]
    document["schema"] = "curtilage/guidance/1"
    if document["declaration"] is not None:
        for statement in document["declaration"]["statements"].values():
            statement["data"] |= draw(
                st.dictionaries(
                    st.sampled_from(BESIDE),
                    st.fixed_dictionaries(
                        {
                            "optional": st.booleans(),
                            "categories": st.just([]),
                        }
                    ),
                    max_size=3,
                )
            )
    return document  # type: ignore[no-any-return] # it was one before


BESIDE = (
    "user.income.annual",
    "user.bdate.age_over_18",
    "user.bdate.age_over_67",
    "user.bdate.ymd.year",
)


def guided(document: dict[str, Any]) -> Any:  # noqa: ANN401 - JSON
    """Ask the embedded engine for guidance; `None` where there is none."""
    try:
        return PDP.evaluate("curtilage/guidance/decision", document)
    except NoDecision:
        return None


@settings(max_examples=EXAMPLES)
@given(document=st.one_of(own_sides(), own_sides(), broken(own_sides())))
def test_engine_and_oracle_guide_alike(document: dict[str, Any]) -> None:
    """The plan and the oracle say the same of a service's own side."""
    assert oracle.guidance(document) == guided(document)


@settings(max_examples=100)
@given(document=documents())
def test_guidance_gives_the_reasons_of_the_decision(
    document: dict[str, Any],
) -> None:
    """What a decision holds against a service is what guidance tells it."""
    told = {**document, "schema": "curtilage/guidance/1"}
    for part in ("person", "consents", "preferences"):
        del told[part]
    reasons = {
        name: [
            reason["code"]
            for reason in one["reasons"]
            if reason["code"] != "predicate_would_do"
        ]
        for name, one in guided(told)["attributes"].items()
    }
    assert heard(decide(document)) == reasons


@settings(max_examples=100)
@given(document=documents(), other=documents())
def test_what_a_service_hears_is_independent_of_the_person(
    document: dict[str, Any], other: dict[str, Any]
) -> None:
    """Another person's facts leave the service's own reasons as they are."""
    swapped = {
        **document,
        "person": other["person"],
        "consents": other["consents"],
    }
    assert heard(decide(document)) == heard(decide(swapped))


@settings(max_examples=100)
@given(document=documents())
def test_sides_are_never_mixed(document: dict[str, Any]) -> None:
    """A withheld attribute has the service's reasons or the person's."""
    for one in decide(document)["attributes"].values():
        codes = {reason["code"] for reason in one["reasons"]}
        assert codes <= SERVICE_SIDE or not codes & SERVICE_SIDE


def granted(decision: dict[str, Any]) -> set[str]:
    """The attributes that leave, in whatever form."""
    return {
        name
        for name, one in decision["attributes"].items()
        if one["effect"] != "withhold"
    }


@settings(max_examples=100)
@given(document=documents(), kept=st.integers(0, 3))
def test_less_consent_never_gives_more(
    document: dict[str, Any], kept: int
) -> None:
    """Taking consents away takes attributes away, or changes nothing."""
    fewer = {**document, "consents": document["consents"][:kept]}
    assert granted(decide(fewer)) <= granted(decide(document))


@settings(max_examples=100)
@given(document=documents())
def test_restriction_stops_everything(document: dict[str, Any]) -> None:
    """Under a restriction nothing leaves, whatever else holds."""
    person = {**document["person"], "restricted": True}
    assert not granted(decide({**document, "person": person}))


@settings(max_examples=100)
@given(document=documents())
@example(
    document=json.loads(
        (
            Path(__file__).parent / "golden/disclosure/lea-consent.json"
        ).read_text("utf-8")
    )["input"]
)
def test_special_categories_rest_on_consent_or_law(
    document: dict[str, Any],
) -> None:
    """What is special leaves under a listed consent or a named task only."""
    for name in granted(decide(document)):
        if document["catalogue"][name]["sensitivity"] == 3:
            assert carried(document, name)


def carried(document: dict[str, Any], name: str) -> bool:
    """Whether some statement may carry a special category at all."""
    listed = {
        one["statement"]
        for one in document["consents"]
        if one["state"] == "given" and name in one["attributes"]
    }
    return any(
        name in one["data"]
        and (
            one["basis"] in {"legal-obligation", "public-task"}
            or (one["basis"] == "consent" and key in listed)
        )
        for key, one in document["declaration"]["statements"].items()
    )
