"""Webhooks at the doors: routes, commands, a server that is killed."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from httpx2 import Response
from typer.testing import CliRunner

from api.bootstrap import bootstrap
from api.cli.main import build
from api.settings import read_settings
from api.webhook_delivery import deliverer
from consent import EventType
from policy import Form, Scheme
from policy.webhook_desk import LEASE_SECONDS
from tests.doors import Door, assert_problem, at_the_door, credential
from tests.receivers import Receiver, receiving, reply, verify
from tests.worlds import (
    ADDRESS,
    CHEAP,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)

ENDPOINT = "/v1/webhooks/endpoint"
DELIVERIES = "/v1/webhooks/deliveries"
LOOPBACK = "127.0.0.0/8"
LIMIT = 60


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    """A service's receiver."""
    with receiving() as running:
        yield running


@pytest.fixture(scope="module")
def door(
    receiver: Receiver, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Door]:
    """The doors of a running application, which delivers by itself."""
    home = tmp_path_factory.mktemp("webhooks") / "home"
    with (
        build_world(
            home, webhook_hosts=receiver.host, webhook_networks=LOOPBACK
        ) as world,
        at_the_door(world) as open_door,
    ):
        yield open_door


def send(
    door: Door,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    token: str | None = None,
) -> Response:
    """Send a request as the service."""
    found: Response = door.client.request(
        method,
        path,
        json=body,
        headers={"Authorization": f"Bearer {token or door.token()}"},
    )
    return found


def withdraw(world: World, name: str) -> None:
    """Record that a character withdraws."""
    event = world.event(name, EventType.WITHDRAWN)
    world.platform.registrar.enter_forms_now(
        [Form(subject=event.subject, answers=(event,))]
    )


def test_a_service_registers_is_told_and_answers(
    door: Door, receiver: Receiver
) -> None:
    """The whole walk over HTTP; the server delivers by itself."""
    made = send(door, "PUT", ENDPOINT, {"url": receiver.url}).json()
    decision = door.ask(
        {
            "person": {
                "identifier": {
                    "attribute": "user.identity.number",
                    "value": door.world.values["consenting"][
                        "user.identity.number"
                    ],
                }
            },
            "attributes": list(ADDRESS),
            "understands": ["delete_by", "mask", "notify"],
        }
    ).json()["decision"]
    # What the cast said before there was an address: tried without one, it
    # is tried again a little later, by a clock that stands still.
    while not receiver.messages:
        door.world.clock.now += 60
        time.sleep(0.1)
    withdraw(door.world, "consenting")
    message = receiver.wait(2)[1]
    verify(
        made["secret"], message.headers, message.body, now=door.world.clock()
    )
    where = message.data["acknowledge"]
    again = send(door, "GET", f"{DELIVERIES}/{message.data['delivery']}")
    all_of_it = send(door, "GET", message.data["all_decisions"])
    answered = send(door, "POST", where, {"outcome": "deleted"})
    listed = send(door, "GET", DELIVERIES).json()["deliveries"]

    assert [decision] == message.data["decisions"]
    assert message.body == again.content
    assert {"decisions": [decision], "in_all": 1, "next": None} == (
        all_of_it.json()
    )
    assert ("done", "deleted") == (
        answered.json()["standing"],
        answered.json()["outcome"],
    )
    assert message.data["delivery"] not in {one["delivery"] for one in listed}
    assert "no-store" == answered.headers["cache-control"]


def test_secrets_are_shown_once(door: Door, receiver: Receiver) -> None:
    """Reading the endpoint gives public keys, and never a secret."""
    first = send(door, "PUT", ENDPOINT, {"url": receiver.url}).json()
    turned = send(
        door, "POST", f"{ENDPOINT}/rotation", {"scheme": "v1a"}
    ).json()
    read = send(door, "GET", ENDPOINT)

    assert ("v1", "v1a") == (first["scheme"], turned["scheme"])
    assert [turned["secret"]] == read.json()["public_keys"]
    assert first["secret"] not in read.text
    assert "whsec" not in read.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"url": "https://169.254.169.254/"}, 422),
        ({"url": "http://127.0.0.1:1/"}, 422),
        ({"url": "file:///etc/passwd"}, 422),
        ({"url": ""}, 422),
        ({"url": "https://x/", "scheme": "v0"}, 422),
        ({"url": "https://x/", "more": 1}, 422),
        ({}, 422),
    ],
)
def test_addresses_outside_the_settings_are_refused(
    door: Door, body: Mapping[str, object], status: int
) -> None:
    """A service cannot point the server at anything but a named host."""
    found = send(door, "PUT", ENDPOINT, body)

    assert found.status_code in {400, status}
    assert_problem(found, found.status_code)


def test_nobody_answers_for_another(door: Door) -> None:
    """No token, another service's token, unknown ids: nothing is learned."""
    world = door.world
    other = door.token(
        *credential(world, "statistics-office", "population-statistics")
    )
    withdraw(world, "limited")
    mine = send(door, "GET", DELIVERIES).json()["deliveries"][0]["delivery"]
    body = {"outcome": "deleted"}
    foreign = send(
        door, "POST", f"{DELIVERIES}/{mine}/acknowledgement", body, other
    )
    unknown = send(
        door, "POST", f"{DELIVERIES}/{uuid4()}/acknowledgement", body, other
    )
    told = [
        {key: value for key, value in found.json().items() if key != "request"}
        for found in (foreign, unknown)
    ]

    assert told[0] == told[1]
    assert_problem(foreign, 404)
    for path in ("", "/decisions"):
        found = send(door, "GET", f"{DELIVERIES}/{mine}{path}", token=other)
        assert_problem(found, 404)
    assert (
        [] == send(door, "GET", DELIVERIES, token=other).json()["deliveries"]
    )
    nobody = door.client.get(DELIVERIES)
    assert_problem(nobody, 401)


@pytest.mark.parametrize(
    "body",
    [
        {"outcome": "kept"},
        {"outcome": "kept", "ground": "consent"},
        {"outcome": "kept", "ground": "because"},
        {"outcome": "deleted", "ground": "legal-obligation"},
        {"outcome": "forgotten"},
        {"outcome": "deleted", "note": "Alfa Sample asked"},
    ],
)
def test_answers_that_say_nothing_are_refused(
    door: Door, body: Mapping[str, object]
) -> None:
    """Keeping takes a ground in law; free text has no place."""
    withdraw(door.world, "limited")
    (first, *_) = send(door, "GET", DELIVERIES).json()["deliveries"]
    where = f"{DELIVERIES}/{first['delivery']}/acknowledgement"
    found = send(door, "POST", where, body)

    assert found.status_code in {400, 422}
    assert "Alfa" not in found.text


def curtilage(home: Path, *arguments: str) -> dict[str, Any]:
    """Run a command and read its JSON."""
    result = CliRunner().invoke(
        build(), ["--home", str(home), "webhooks", *arguments, "--json"]
    )
    assert 0 == result.exit_code, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


def test_officers_see_who_has_not_answered(tmp_path: Path) -> None:
    """Register, deliver, outstanding, redeliver: what each one says."""
    with receiving() as running:
        home = tmp_path / "home"
        with build_world(
            home, webhook_hosts=running.host, webhook_networks=LOOPBACK
        ) as world:
            person = world.cast["consenting"]
            withdraw(world, "consenting")
        made = curtilage(home, "register", SERVICE, PURPOSE, running.url)
        running.answer = lambda handler, _: reply(handler, 500)
        failed = curtilage(home, "deliver")
        first = curtilage(home, "outstanding")["deliveries"]
        running.answer = lambda handler, _: reply(handler, 200)
        curtilage(home, "redeliver", first[0]["delivery"])
        curtilage(home, "deliver")
        after = curtilage(home, "list")["deliveries"]
        turned = curtilage(home, "rotate", SERVICE, PURPOSE)
        shown = curtilage(home, "endpoints")["endpoints"]

    assert (0, 1) == (failed["received"], failed["failed"])
    assert "status-500" == first[0]["fault"]
    assert {"received"} >= {
        one["standing"]
        for one in after
        if one["delivery"] == first[0]["delivery"]
    }
    assert made["secret"] != turned["secret"]
    assert 2 == shown[0]["secrets"]
    assert "whsec" not in json.dumps(shown)
    assert person.hex not in json.dumps([first, after]).replace("-", "")
    assert re.fullmatch(r"whsec_[A-Za-z0-9+/]{43}=", made["secret"])


def test_commands_refuse_what_they_must(tmp_path: Path) -> None:
    """An address that no setting names, a delivery that is none."""
    home = tmp_path / "home"
    with build_world(home):
        pass
    run = CliRunner().invoke
    app = build()
    there = ["--home", str(home), "webhooks"]
    address = run(
        app, [*there, "register", SERVICE, PURPOSE, "https://a.example/"]
    )
    nobody = run(app, [*there, "redeliver", str(uuid4())])

    assert 2 == address.exit_code
    assert "webhook_hosts" in address.stderr
    assert 1 == nobody.exit_code
    assert "waits for an answer" in nobody.stderr


def test_killed_between_send_and_note(tmp_path: Path) -> None:
    """What was sent and not noted is sent again, under the same id."""
    arrived, hold = threading.Event(), threading.Event()

    def answer(handler: BaseHTTPRequestHandler, number: int) -> None:
        if number == 1:
            arrived.set()
            hold.wait(LIMIT)  # the sender dies while it waits for this
        reply(handler, 200)

    with receiving() as running:
        home = tmp_path / "home"
        with build_world(
            home, webhook_hosts=running.host, webhook_networks=LOOPBACK
        ) as world:
            world.platform.webhooks.register(
                SERVICE, PURPOSE, running.url, Scheme.SYMMETRIC
            )
        running.answer = answer
        command = [
            *(sys.executable, "-c", "from api.cli.main import main; main()"),
            *("--home", str(home), "webhooks", "deliver"),
        ]
        with subprocess.Popen(command, start_new_session=True) as process:
            assert arrived.wait(LIMIT)
            os.killpg(process.pid, signal.SIGKILL)
        hold.set()
        open_ones = curtilage(home, "outstanding")["deliveries"]
        busy = curtilage(home, "deliver")
        # The lease of the dead runs out after a minute.
        settings = read_settings(home)
        later = int(time.time()) + LEASE_SECONDS + LIMIT
        platform = bootstrap(settings, clock=lambda: later, costs=CHEAP)
        try:
            done = deliverer(platform).run()
        finally:
            platform.close()
        ids = [one.id for one in running.messages]

    assert "waiting" == open_ones[0]["standing"]
    assert busy["sending_elsewhere"]
    assert 1 == done.received
    assert 2 == len(ids)
    assert 1 == len(set(ids))
