"""Global Privacy Control: heard, kept as evidence, obeyed, lifted."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from starlette.requests import Request
from typer.testing import CliRunner

from api.app import create_app
from api.cli.main import build
from api.pages.desk import CAST_NAME
from api.pages.signals import says_no
from policy import AccessRequest, Effect
from tests.worlds import (
    ADDRESS,
    BIRTH,
    MOBILE,
    World,
    build_world,
)

ME = "consenting"
TITLES = ("Your browser's privacy signal", "您的浏览器的隐私信号")


class Person:
    """A signed-in person at the doors of a world."""

    def __init__(self, world: World, client: TestClient) -> None:
        """Sign the first of the cast in."""
        self.world = world
        self.client = client
        front = client.get("/").text
        client.post(
            "/sign-in",
            data={
                "form_token": _hidden(front, "form_token"),
                "person": "0",
            },
            headers={"Origin": "http://testserver"},
        )

    def page(self, path: str, *values: str) -> str:
        """Open a page, with these values of the signal's header."""
        answer = self.client.get(
            path, headers=[("Sec-GPC", value) for value in values]
        )
        assert answer.status_code == 200, answer.text
        return unescape(answer.text)

    def rules(self) -> Any:  # noqa: ANN401 - a JSON document
        """Read the rules, as a program."""
        return self.client.get("/v1/me/preferences").json()

    def send(self, method: str, path: str, body: object) -> Any:  # noqa: ANN401 - a JSON document
        """Change something, as a program."""
        answer = self.client.request(
            method,
            path,
            json=body,
            headers={"X-Form-Token": self.rules()["form_token"]},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    def effects(self) -> dict[str, Effect]:
        """What the moving-house service gets now."""
        portal = self.client.portal
        assert portal is not None
        request: AccessRequest = self.world.request(
            ME, *ADDRESS, MOBILE, BIRTH
        )
        found = portal.call(self.world.platform.gate.disclose, request)
        return {one.attribute: one.effect for one in found.attributes}


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', page)
    assert found, page
    return found[1]


@contextmanager
def at_home(home: Path) -> Iterator[Person]:
    """Somebody who consented to moving house, signed in."""
    with build_world(home) as world:
        (home / CAST_NAME).write_text(
            json.dumps(
                [
                    {
                        "subject": str(world.cast[ME]),
                        "label": {"en": "Person 1", "zh-Hans": "人员1"},
                        "description": None,
                    }
                ]
            ),
            "utf-8",
        )
        with TestClient(create_app(world.platform)) as client:
            yield Person(world, client)


@pytest.fixture
def person(tmp_path: Path) -> Iterator[Person]:
    """The person, in a world of this test's own."""
    with at_home(tmp_path / "home") as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Person]:
    """The person, in a world that no test changes."""
    with at_home(tmp_path_factory.mktemp("calm") / "home") as made:
        yield made


@pytest.mark.parametrize(
    ("values", "heard"),
    [
        (("1",), True),
        (("0",), False),
        (("1, 1",), True),
        (("1", "1"), True),
        (("0", "1"), True),
        ((" 1 ",), True),
        (("true",), False),
        (("11",), False),
        (("",), False),
        ((), False),
    ],
)
def test_only_an_exact_one_is_heard(
    values: tuple[str, ...],
    heard: bool,  # noqa: FBT001 - a column of the table
) -> None:
    """The table of what a header says."""
    request = Request(
        {
            "type": "http",
            "headers": [(b"sec-gpc", value.encode()) for value in values],
        }
    )
    assert heard == says_no(request)


def test_a_signal_is_obeyed_shown_and_lifted(person: Person) -> None:
    """Optional sharing ends, essential sharing goes on, the person decides."""
    before = person.effects()
    assert set(before.values()) == {Effect.RELEASE}
    person.page("/me/uses", "1")
    held = {MOBILE: Effect.WITHHOLD, BIRTH: Effect.WITHHOLD}
    assert person.effects() == before | held

    [signal] = person.rules()["signals"]
    assert signal == {
        "signal": "gpc",
        "at": person.world.clock(),
        "where": "GET /me/uses",
        "lifted_at": None,
    }
    page = person.page("/me/rules")
    assert TITLES[0] in page
    assert "GET /me/uses" in page
    person.client.get("/language/zh-Hans")
    assert TITLES[1] in person.page("/me/rules")

    # The browser repeats itself; nothing is added.
    size = person.world.platform.ledger.size()
    person.page("/me/rules", "1")
    person.page("/me/consents")
    assert size == person.world.platform.ledger.size()
    assert person.effects() == before | held

    person.world.clock.now += 5
    person.send("POST", "/v1/me/signal", {"signal": "lift"})
    assert person.effects() == before
    # Lifted is lifted, whatever the browser goes on to say.
    person.page("/me/consents", "1")
    assert person.effects() == before
    assert len(person.rules()["signals"]) == 1

    person.send("POST", "/v1/me/signal", {"signal": "honour"})
    assert person.effects() == before | held
    assert [one["lifted_at"] for one in person.rules()["signals"]] == [
        person.world.clock(),
        None,
    ]


def test_a_signal_is_an_entry_that_the_person_sees(person: Person) -> None:
    """Its kind and where it was seen are in the ledger's own part."""
    person.page("/me/consents", "1")
    portal = person.client.portal
    assert portal is not None
    world = person.world

    async def newest() -> Any:  # noqa: ANN401 - the entry's own
        [entry] = await world.platform.person.own_uses(
            world.caller(ME), world.cast[ME], before=None, limit=1
        )
        return entry

    entry = portal.call(newest)
    assert entry.outcome == "signal"
    assert entry.detail["signal"] == "gpc"
    assert entry.detail["where"] == "GET /me/consents"
    assert "/me/uses" in person.page("/me/uses")


def test_a_program_s_request_is_heard_too(person: Person) -> None:
    """The routes of a person hear what pages hear."""
    person.client.get("/v1/me/preferences", headers={"Sec-GPC": "1"})
    [signal] = person.rules()["signals"]
    assert signal["where"] == "GET /v1/me/preferences"


def test_nobody_signed_in_is_not_heard(person: Person) -> None:
    """A signal of nobody is evidence about nobody."""
    person.client.cookies.clear()
    person.client.get("/", headers={"Sec-GPC": "1"})
    subject = person.world.cast[ME]
    assert not person.world.platform.person.signals(subject)


def test_rules_are_changed_on_a_page_after_a_look_ahead(
    person: Person,
) -> None:
    """Add a rule, see that the phone goes, save; then the gate obeys."""
    page = person.page("/me/rules")
    shown = person.client.post(
        "/me/rules/preview",
        data={
            "form_token": _hidden(page, "form_token"),
            "version": _hidden(page, "version"),
            "move": "add",
            "behavior": "refuse",
            "attributes": MOBILE,
        },
        headers={"Origin": "http://testserver"},
    )
    assert shown.status_code == 200
    assert "Nothing has been changed yet" in shown.text
    assert "Moving house" in shown.text
    assert "Your standing preferences refuse this." in shown.text
    assert set(person.effects().values()) == {Effect.RELEASE}

    saved = person.client.post(
        "/me/rules",
        data={
            "form_token": _hidden(shown.text, "form_token"),
            "version": _hidden(shown.text, "version"),
            "rules": unescape(_hidden(shown.text, "rules")),
        },
        headers={"Origin": "http://testserver"},
    )
    assert saved.status_code == 200
    assert "Your rules are in force." in saved.text
    assert "Refuse: this data: mobile number" in saved.text
    assert person.effects()[MOBILE] is Effect.WITHHOLD
    seen = person.page(f"/me/rules?who={MOBILE}")
    assert "No service would be given this detail" in seen
    seen = person.page(f"/me/rules?who={ADDRESS[0]}")
    assert "These services would be given this detail" in seen


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"move": "add", "behavior": "allow", "times": "3"}, 422),
        ({"move": "add", "behavior": "allow", "until": "soon"}, 422),
        ({"move": "add", "behavior": "allow", "uses": "-1"}, 422),
        ({"move": "add", "behavior": "shrug"}, 400),
        ({"move": "add", "behavior": "allow", "purposes": "gossip"}, 400),
        ({"move": "up", "rule": "none-such"}, 409),
        ({"move": "dance"}, 400),
        ({"move": "add", "behavior": "allow", "version": "7"}, 409),
    ],
)
def test_a_form_that_does_not_fit_changes_nothing(
    calm: Person, fields: dict[str, str], status: int
) -> None:
    """Each fault has its status, and the rules stay as they are."""
    page = calm.page("/me/rules")
    answer = calm.client.post(
        "/me/rules/preview",
        data={
            "form_token": _hidden(page, "form_token"),
            "version": _hidden(page, "version"),
            **fields,
        },
        headers={"Origin": "http://testserver"},
    )
    assert answer.status_code == status
    assert calm.rules()["version"] == 0


def test_rules_are_moved_paused_and_removed(person: Person) -> None:
    """The buttons beside a rule, one after the other."""
    rules = {
        "rules": [
            {"id": "a", "behavior": "refuse", "attributes": [MOBILE]},
            {"id": "b", "behavior": "allow"},
        ]
    }
    put = {"preferences": rules, "version": 0}
    assert person.send("PUT", "/v1/me/preferences", put) == {"version": 1}
    page = person.page("/me/rules")
    for move, rule, expected in (
        ("pause", "b", "paused until you resume it"),
        ("up", "b", "Allow: everything else"),
        ("remove", "a", "Allow: everything else"),
    ):
        shown = person.client.post(
            "/me/rules/preview",
            data={
                "form_token": _hidden(page, "form_token"),
                "version": "1",
                "move": move,
                "rule": rule,
            },
            headers={"Origin": "http://testserver"},
        )
        assert shown.status_code == 200
        assert expected in shown.text
    assert person.rules()["version"] == 1


def test_a_program_asks_what_if(calm: Person) -> None:
    """Which services stop, and who would see the phone."""
    found = calm.send(
        "POST",
        "/v1/me/what-if",
        {
            "preferences": {"rules": [{"id": "no", "behavior": "refuse"}]},
            "attribute": "user.home-info.telecom",
        },
    )
    moving = next(
        one for one in found["services"] if one["service"] == "moving-house"
    )
    assert moving["stops"]
    assert moving["sees"] == []
    assert moving["attributes"][MOBILE]["now"] == "release"
    assert moving["attributes"][MOBILE]["then"] == "withhold"
    # Without the form's token nothing is answered.
    refused = calm.client.post("/v1/me/what-if", json={})
    assert refused.status_code == 403


def test_rules_that_are_wrong_are_told_as_problems(calm: Person) -> None:
    """A rule of no kind is 422, an old version 409."""
    headers = {"X-Form-Token": calm.rules()["form_token"]}
    wrong = calm.client.put(
        "/v1/me/preferences",
        json={"preferences": {"rules": []}, "version": 0},
        headers=headers,
    )
    assert wrong.status_code == 422
    late = calm.client.put(
        "/v1/me/preferences",
        json={"preferences": {"preset": "careful"}, "version": 9},
        headers=headers,
    )
    assert late.status_code in {409, 412}


def test_the_command_line_acts_in_the_demo_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rules are set, asked about and shown; outside the demo, refused."""
    home = tmp_path / "home"
    with build_world(home) as world:
        subject = str(world.cast[ME])
        secret = world.platform.settings.opened_passphrase()
    assert secret
    mine = tmp_path / "mine.yaml"
    mine.write_text(
        "rules:\n- {id: none, behavior: refuse}\n", encoding="utf-8"
    )

    def run(*arguments: str) -> Any:  # noqa: ANN401 - a JSON document
        return CliRunner().invoke(
            build(),
            [
                *("--home", str(home), "person", *arguments),
                *("--person", subject, "--json"),
            ],
        )

    monkeypatch.setenv("CURTILAGE_DEMO", "true")
    told = run("what-if", "--preferences", str(mine))
    assert told.exit_code == 0, told.output
    services = json.loads(told.output)["services"]
    assert [one["service"] for one in services if one["stops"]] == [
        "moving-house"
    ]
    done = run("set-rules", str(mine))
    assert json.loads(done.output) == {"version": 1}
    shown = json.loads(run("rules", "--lang", "zh-Hans").output)
    assert shown["words"] == ["拒绝：其余一切"]
    monkeypatch.setenv("CURTILAGE_DEMO", "false")
    refused = run("rules")
    assert refused.exit_code == 2
    assert "demo mode only" in refused.output
