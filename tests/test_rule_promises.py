"""A rule may permit on condition of a promise; who does not make it gets none.

Whether a rule asks for one depends on the person, so a service that does not
make it hears what it hears of a refusal.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from api.pages.desk import CAST_NAME
from consent import (
    Behavior,
    Preferences,
    PreferencesInvalid,
    Rule,
    Terms,
    load_preferences,
    load_yaml,
    read_preferences,
    rule_text,
)
from policy import Form
from tests.doors import Door, at_the_door, body_about
from tests.test_consents_api import signed_in
from tests.test_predicates import ADULT, NARROWER, OLD
from tests.worlds import BIRTH, STREET, World, build_world, publish

OF_THE_ANSWER = ("decision", "ledger_index", "decided_at")
ASKING = Terms(delete_days=7, no_onward_transfer=True)


def permitting(terms: Terms) -> Preferences:
    """Everything is allowed on some terms."""
    return Preferences(
        rules=(Rule(id="promise", behavior=Behavior.ALLOW, terms=terms),)
    )


def prefer(world: World, name: str, preferences: Preferences) -> None:
    """Enter a person's rules as they came on paper."""
    world.platform.registrar.enter_forms_now(
        [Form(subject=world.cast[name], answers=(), preferences=preferences)]
    )


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    """A running application; one person's rule asks for promises."""
    with build_world(tmp_path / "home") as world:
        prefer(world, "consenting", permitting(ASKING))
        with at_the_door(world) as made:
            yield made


def test_who_makes_the_promise_gets_the_value_with_it(door: Door) -> None:
    """The rule's seven days go before the declaration's ninety."""
    body = body_about(door.world, "consenting", STREET)
    body["understands"] = ["delete_by", "no_onward_transfer"]
    told = door.ask(body).json()["attributes"][STREET]

    assert "release" == told["effect"]
    assert [
        {"type": "delete_by", "days": 7},
        {"type": "no_onward_transfer", "days": None},
    ] == told["obligations"]


def test_who_does_not_make_it_hears_what_a_refusal_tells(door: Door) -> None:
    """One answer and one length with unknown, refused and withdrawn."""
    seen = set()
    for name in ("consenting", "nobody", "refusing", "withdrawn", "silent"):
        found = door.ask(body_about(door.world, name, STREET))
        rest = {
            key: value
            for key, value in found.json().items()
            if key not in OF_THE_ANSWER
        }
        seen.add((found.status_code, len(found.content), json.dumps(rest)))
    assert 1 == len(seen)
    assert "not_available" in str(seen)


def test_the_person_sees_which_promise_was_not_made(door: Door) -> None:
    """Their own entry has the true reason."""
    door.ask(body_about(door.world, "consenting", STREET))
    platform = door.world.platform
    holding = platform.vault.holding(door.world.cast["consenting"])
    [entry] = platform.ledger.own_entries(
        platform.vault.log_key(holding), limit=1
    )
    assert "preference_obligation" in str(entry.detail)


def test_promises_travel_with_their_rule() -> None:
    """YAML, the canonical text and the sentence carry all three."""
    text = """
rules:
  - id: promise
    behavior: allow
    terms: {delete_days: 7, notify: true, no_onward_transfer: true}
"""
    found = load_preferences(text.encode(), where="test")
    assert replace(ASKING, notify=True) == found.rules[0].terms
    assert found == read_preferences(found.text())
    assert "within 7 days" in rule_text(found.rules[0], "en")
    assert "7天" in rule_text(found.rules[0], "zh-Hans")
    with pytest.raises(PreferencesInvalid):
        load_preferences(text.replace("7", "0").encode(), where="test")


def test_who_sees_names_the_predicate(tmp_path: Path) -> None:
    """A service that is told yes or no is not said to see the date."""
    with build_world(tmp_path / "home") as world:
        publish(world.platform, load_yaml(NARROWER.encode(), where="test"))
        cast = [
            {
                "subject": str(world.cast["consenting"]),
                "label": {"en": "one", "zh-Hans": "one"},
                "description": None,
            }
        ]
        (world.home / CAST_NAME).write_text(json.dumps(cast), "utf-8")
        with at_the_door(world) as door:
            me = signed_in(world, door.client, "consenting")
            page = me.get(f"/me/rules?who={BIRTH}").text
    assert "whether you are 18 or older" in page
    assert "whether you are 67 or older" in page
    assert ADULT not in page
    assert OLD not in page
