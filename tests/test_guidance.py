"""Guidance: a denied service hears of its own side, and of nobody."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from consent import load_yaml
from policy import (
    Cause,
    Guidance,
    Guide,
    NoDecision,
    Ruling,
    standard_classification,
)
from policy.guidance import ENTRYPOINT, parse_guidance
from tests.doors import Door, at_the_door, body_about
from tests.engines import unhurried
from tests.worlds import (
    ADDRESS,
    BIRTH,
    DECLARATION,
    INCOME,
    MOBILE,
    STREET,
    build_world,
)

OF_THE_ANSWER = ("decision", "ledger_index", "decided_at")
PEOPLE = (
    *("nobody", "valueless", "erased", "refusing", "silent", "withdrawn"),
    "restricted",
)
MINIMUM = {
    "attributes": sorted(ADDRESS),
    "assurance": 1,
    "understands": ["delete_by"],
}


class CountingPdp:
    """The embedded engine, with every question written down."""

    def __init__(self, *, guides: bool = True) -> None:
        """Begin with none; without guidance where that is wanted."""
        self._engine = unhurried()
        self._guides = guides
        self.asked: list[tuple[str, Mapping[str, Any]]] = []

    @property
    def revision(self) -> str:
        """The bundle's."""
        return self._engine.revision

    async def decide(
        self, entrypoint: str, document: Mapping[str, Any]
    ) -> Ruling:
        """Write down, then decide."""
        self.asked.append((entrypoint, document))
        if entrypoint == ENTRYPOINT and not self._guides:
            raise NoDecision(Cause.TIMEOUT)
        return await self._engine.decide(entrypoint, document)


@pytest.fixture
def pdp() -> CountingPdp:
    """The engine of the door."""
    return CountingPdp()


@pytest.fixture
def door(tmp_path: Path, pdp: CountingPdp) -> Iterator[Door]:
    """A running application with its cast."""
    with (
        build_world(tmp_path / "home", pdp=pdp) as world,
        at_the_door(world) as made,
    ):
        yield made


def test_a_denial_says_what_the_service_lacks(door: Door) -> None:
    """Each reason of its own side with its remedy, and the minimum."""
    body = body_about(door.world, "nobody", STREET, BIRTH, INCOME)
    body["understands"] = []
    found = door.ask(body).json()

    accept = {"code": "obligation_not_understood"}
    accept["remedy"] = "accept_obligation"
    assert {
        "missing": {
            BIRTH: [
                accept,
                {"code": "predicate_would_do", "remedy": "declare_predicate"},
            ],
            STREET: [accept],
            INCOME: [{"code": "not_declared", "remedy": "declare_attribute"}],
        },
        "instead": {BIRTH: [f"{BIRTH}.age_over_18"]},
        "minimum": MINIMUM,
    } == found["guidance"]


def test_who_gets_everything_needs_no_guidance(door: Door) -> None:
    """An answer in which nothing is withheld has none."""
    found = door.ask(body_about(door.world, "consenting", *ADDRESS)).json()
    assert found["guidance"] is None


def test_guidance_is_the_same_whoever_is_asked_about(
    door: Door, pdp: CountingPdp
) -> None:
    """One answer, one length and one work for all that is the person's."""
    seen = set()
    for name in PEOPLE:
        pdp.asked.clear()
        found = door.ask(body_about(door.world, name, *ADDRESS, BIRTH))
        body = found.json()
        assert {BIRTH: [f"{BIRTH}.age_over_18"]} == body["guidance"]["instead"]
        assert MINIMUM == body["guidance"]["minimum"]
        rest = {k: v for k, v in body.items() if k not in OF_THE_ANSWER}
        questions = [entrypoint for entrypoint, _ in pdp.asked]
        told = [
            {**document, "now": 0}
            for entrypoint, document in pdp.asked
            if entrypoint == ENTRYPOINT
        ]
        seen.add(
            (
                found.status_code,
                len(found.content),
                json.dumps(rest),
                tuple(questions),
                json.dumps(told, sort_keys=True),
            )
        )
    assert 1 == len(seen)


def test_the_engine_is_told_of_nobody(door: Door, pdp: CountingPdp) -> None:
    """The document that guidance is made from has no person in it."""
    door.ask(body_about(door.world, "refusing", *ADDRESS))
    (document,) = (d for entry, d in pdp.asked if entry == ENTRYPOINT)
    assert {
        *("schema", "now", "service", "request", "declaration", "catalogue"),
    } == set(document)


def test_without_guidance_the_answer_stands(tmp_path: Path) -> None:
    """A hint that does not come takes no answer with it."""
    with (
        build_world(tmp_path / "home", pdp=CountingPdp(guides=False)) as world,
        at_the_door(world) as door,
    ):
        found = door.ask(body_about(world, "consenting", STREET, INCOME))
    assert 200 == found.status_code
    told = found.json()
    assert told["guidance"] is None
    assert "release" == told["attributes"][STREET]["effect"]
    assert "not_declared" == told["attributes"][INCOME]["reason"]


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "curtilage/guidance/2"},
        {"more": 1},
        {"attributes": {}},
        {"attributes": None},
        {"attributes": {STREET: {"reasons": [{"code": 1, "remedy": "x"}]}}},
        {"attributes": {STREET: {"reasons": [], "instead": [1]}}},
        {"attributes": {STREET: {"reasons": [], "instead": []}, "b": {}}},
        {"minimum": []},
        {"minimum": {**MINIMUM, "assurance": True}},
        {"minimum": {**MINIMUM, "more": 1}},
        {"minimum": {**MINIMUM, "understands": [None]}},
    ],
)
def test_another_shape_is_no_guidance(change: dict[str, Any]) -> None:
    """What is not exactly a guidance is not repaired."""
    answer: dict[str, Any] = {
        "schema": "curtilage/guidance/1",
        "attributes": {STREET: {"reasons": [], "instead": []}},
        "minimum": MINIMUM,
    }
    assert isinstance(parse_guidance(answer, [STREET]), Guidance)
    with pytest.raises(NoDecision):
        parse_guidance(answer | change, [STREET])


def test_an_evaluation_is_guided_as_an_answer_is(door: Door) -> None:
    """AuthZEN denials carry what is missing, what would do, the minimum."""
    for name in PEOPLE:
        person = body_about(door.world, name, BIRTH)["person"]
        found = door.client.post(
            "/access/v1/evaluation",
            json={
                "subject": {"type": "service", "id": "moving-house"},
                "action": {"name": "read"},
                "resource": {
                    "type": "attribute",
                    "id": BIRTH,
                    "properties": {"person": person},
                },
                "context": {"understands": ["delete_by"]},
            },
            headers={"Authorization": f"Bearer {door.token()}"},
        ).json()
        context = found["context"]
        assert not found["decision"]
        assert [f"{BIRTH}.age_over_18"] == context["instead"]
        assert MINIMUM == context["minimum"]
        assert [
            {"code": "predicate_would_do", "remedy": "declare_predicate"}
        ] == context["missing"]


def test_planning_names_the_predicate_that_would_do(tmp_path: Path) -> None:
    """`declaration plan` says it in words and as JSON, before anybody asks."""
    file = tmp_path / "next.yaml"
    text = DECLARATION.replace("version: 1", "version: 2")
    file.write_text(text, "utf-8")
    with build_world(tmp_path / "home"):
        pass
    plan = ["--home", str(tmp_path / "home"), "declaration", "plan", str(file)]
    said = CliRunner().invoke(build(), plan)
    told = CliRunner().invoke(build(), [*plan, "--json"])
    assert f"{BIRTH} is more than the purpose needs" in said.output
    (found,) = json.loads(told.stdout)["plans"]
    assert {BIRTH: [f"{BIRTH}.age_over_18"]} == found["instead"]


def test_a_value_that_is_needed_has_no_hint() -> None:
    """An address that somebody moves to is needed as it is."""
    guide = Guide(
        pdp=unhurried(),
        classification=standard_classification(),
    )
    text = DECLARATION.replace(
        "      - {attribute: user.bdate, optional: true}\n",
        "      - user.bdate\n",
    )
    found = asyncio.run(guide.on(load_yaml(text.encode(), where="test")))
    assert found is not None
    assert {} == found.instead
    assert {*ADDRESS, BIRTH} == set(found.minimum.attributes)  # type: ignore[union-attr] # declared
    assert MOBILE not in found.minimum.attributes  # type: ignore[union-attr] # declared
