"""`curtilage consent` and `curtilage mandate`, and the JSON routes' batch."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli.consent import when
from api.cli.main import build
from consent import EventType, notice_for
from tests.doors import assert_problem
from tests.test_consents_api import Me, signed_in
from tests.towns import CLINIC, REMINDERS, clinic
from tests.worlds import PURPOSE, SERVICE, START, build_world

HERE = (SERVICE, PURPOSE)
WHY = ("--because", "complaint 17")


def run(home: Path, *words: str, code: int = 0) -> dict[str, Any]:
    """Run one command of an officer and read what it printed."""
    said = CliRunner().invoke(build(), ["--home", str(home), *words, "--json"])
    assert code == said.exit_code, said.output
    found: dict[str, Any] = json.loads(said.stdout) if said.stdout else {}
    return found


def day(at: int) -> str:
    """The day of an instant, as an option has it."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


@pytest.mark.slow
def test_as_of_says_what_was_known_and_what_is(tmp_path: Path) -> None:
    """A yes that a court voids later: allowed then, and never by now."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = str(world.cast["consenting"])
        quiet = str(world.cast["silent"])
    asked = ("consent", "as-of", who, *HERE, "--at", day(START), *WHY)
    before = run(home, *asked)
    assert before["by_what_was_known_then"]["address"]["allowed"]
    assert before["by_what_is_known_now"]["address"]["allowed"]
    run(
        home,
        *("consent", "end", who, *HERE, "address"),
        *("--because", "court order 9", "--void-since", str(START)),
    )
    after = run(home, *asked)
    assert after["by_what_was_known_then"] == before["by_what_was_known_then"]
    now = after["by_what_is_known_now"]["address"]
    assert (now["allowed"], now["state"]) == (False, "invalidated")
    late = run(home, *asked, "--known", "2100-01-01")
    assert not late["by_what_was_known_then"]["address"]["allowed"]
    assert (
        run(home, "consent", "as-of", quiet, *HERE, "--at", day(START), *WHY)[
            "by_what_is_known_now"
        ]
        == {}
    )
    run(home, *asked[:-2], "--because", " ", code=1)
    run(home, *asked[:6], "soon", *WHY, code=2)
    human = CliRunner().invoke(build(), ["--home", str(home), *asked])
    assert "invalidated" in human.output


def test_records_and_differences_are_listed(tmp_path: Path) -> None:
    """Every event under its record, with subject and actor apart."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = str(world.cast["withdrawn"])
    rows = run(home, "consent", "records", who, *WHY)["events"]
    assert [row["event"] for row in rows] == ["given", "withdrawn"]
    assert len({row["record"] for row in rows}) == 1
    assert {row["state"] for row in rows} == {"withdrawn"}
    assert {(row["subject"], row["actor"]) for row in rows} == {(who, "self")}
    (one,) = run(home, "consent", "diff", who, *HERE, *WHY)["answers"]
    assert (one["asked_again"], one["lines"]) == (False, [])
    run(home, "consent", "diff", who, *HERE, "--because", "", code=1)


def test_what_was_never_declared_is_refused_unlooked(tmp_path: Path) -> None:
    """A misspelt service is said to be one, and no look is entered."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = str(world.cast["consenting"])
    before = run(home, "ledger", "verify")["entries"]
    misspelt = (HERE[0], f"{HERE[1]}s")
    at = ("--at", day(START))
    run(home, "consent", "as-of", who, *misspelt, *at, *WHY, code=2)
    run(home, "consent", "diff", who, *misspelt, *WHY, code=2)
    assert before == run(home, "ledger", "verify")["entries"]
    run(home, "consent", "diff", who, *HERE, *WHY)
    assert before + 1 == run(home, "ledger", "verify")["entries"]


@pytest.mark.slow
def test_an_officer_writes_down_confirms_and_asks(tmp_path: Path) -> None:
    """The yes waits, the confirmation lets it count, once."""
    home = tmp_path / "home"
    with build_world(home) as world:
        who = str(world.cast["silent"])
    place = (*HERE, "address")
    at = ("consent", "as-of", who, *HERE, "--at", "2100-01-01", *WHY)

    def state() -> str:
        found = run(home, *at)["by_what_is_known_now"]["address"]["state"]
        return str(found)

    asked = run(home, "consent", "ask", who, *place)
    assert UUID(asked["event"])
    assert state() == "requested"
    done = run(
        home, "consent", "assist", who, *place, "yes", "--channel", "counter"
    )
    assert done["pending"]
    assert state() == "requested"
    confirm = ("consent", "confirm", who, done["event"], "--how", "handed")
    run(home, *confirm)
    assert state() == "given"
    run(home, *confirm, code=1)
    run(home, "consent", "assist", who, *place, "no", "--channel", "phone")
    assert state() == "refused"
    run(
        home, "consent", "assist", who, *place, "yes", "--channel", "x", code=2
    )
    run(home, *confirm[:-1], "thought", code=2)


def test_mandates_are_recorded_listed_and_ended(tmp_path: Path) -> None:
    """With proof and a reason; a minor's with a day of birth."""
    home = tmp_path / "home"
    with build_world(home) as world:
        child = str(world.cast["silent"])
        parent = str(world.cast["consenting"])
    add = ("mandate", "add", child, parent, "--proof", "certificate 3", *WHY)
    minor = ("--kind", "minor")
    run(home, *add, *minor, code=2)
    made = run(home, *add, *minor, "--born", "2020-02-29")
    assert day(made["ends"]) == "2034-03-01"
    (row,) = run(home, "mandate", "list", child)["mandates"]
    assert (row["actor"], row["in force"]) == (parent, True)
    over = ("mandate", "end", child, made["mandate"], *WHY)
    run(home, *over)
    run(home, *over, code=1)
    (row,) = run(home, "mandate", "list", child)["mandates"]
    assert not row["in force"]
    run(home, *add[:-1], "", "--kind", "power", code=1)


def test_a_batch_through_the_json_route(tmp_path: Path) -> None:
    """Plain questions go together; one asked apart stops them all.

    A repeated request under one Idempotency-Key says yes once, and cannot
    bring back what was withdrawn in between.
    """
    home = tmp_path / "home"
    with build_world(home) as world:
        declared = clinic()
        with world.platform.data.begin() as conn:
            world.platform.consents.register(conn, declared)
        application = create_app(world.platform)
        with TestClient(application, raise_server_exceptions=False) as client:
            me = signed_in(world, client, "silent")

            def view(statement: str) -> str:
                found = client.post(
                    "/v1/me/notices",
                    json={
                        "service": CLINIC,
                        "purpose": REMINDERS,
                        "statement": statement,
                        "language": "en",
                    },
                    headers=headers(me),
                )
                assert found.status_code == 201
                return str(found.json()["served"])

            def body(statement: str, choice: str = "give") -> dict[str, Any]:
                return {
                    "service": CLINIC,
                    "purpose": REMINDERS,
                    "statement": statement,
                    "choice": choice,
                    "declaration": declared.digest,
                    "notice": notice_for(declared, "en", statement).digest,
                    "language": "en",
                    "served": view(statement),
                }

            def post(path: str, what: object, **more: str) -> Any:  # noqa: ANN401 - an answer
                return client.post(
                    f"/v1/me/consents{path}",
                    json=what,
                    headers=headers(me) | more,
                )

            together = {"answers": [body("letters"), body("abroad")]}
            found = assert_problem(post("/together", together), 409)
            assert found["type"] == "/problems/separate-consent-needed"
            found = assert_problem(
                post(
                    "", body("abroad") | {"served": body("letters")["served"]}
                ),
                409,
            )
            assert found["type"] == "/problems/notice-not-served"
            assert state(world, "letters") is None
            plain = {"answers": [body("letters"), body("calls")]}
            assert post("/together", plain).status_code == 201
            assert state(world, "calls") is EventType.GIVEN
            alone = body("abroad")
            key = {"Idempotency-Key": "k-1"}
            assert post("", alone, **key).status_code == 201
            assert post("", body("abroad", "withdraw")).status_code == 201
            assert post("", alone, **key).status_code in {201, 409}
            assert post("", alone).status_code == 409
            assert state(world, "abroad") is EventType.WITHDRAWN
            assert_problem(post("/together", {"answers": []}), 422)


def headers(me: Me) -> dict[str, str]:
    """The session and its form token."""
    return {"Cookie": me.cookie, "X-Form-Token": me.form_token()}


def state(world: Any, statement: str) -> EventType | None:  # noqa: ANN401 - a world
    """What stands of the person's answer."""
    world.clock.now += 1
    found = world.platform.consents.standing(
        world.cast["silent"], CLINIC, REMINDERS, world.clock.now
    ).get(statement)
    return None if found is None else found.state


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("2026-05-03", 1777852799), ("1777852799", 1777852799)],
)
def test_a_day_is_its_end(text: str, seconds: int) -> None:
    """What was allowed on 3 May is what was at the end of it, in UTC."""
    assert when(text) == seconds
