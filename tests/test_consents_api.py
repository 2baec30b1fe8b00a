"""The person's own routes: their session, their form token, their data."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from fastapi.testclient import TestClient
from httpx2 import Response

from api.app import create_app
from api.pages.desk import CAST_NAME
from api.pages.sessions import Session, Sessions
from consent import load_yaml, render_notice
from tests.databases import Kind
from tests.doors import assert_problem
from tests.worlds import (
    ADDRESS,
    DECLARATION,
    MOBILE,
    PURPOSE,
    SERVICE,
    World,
    build_world,
    publish,
)

ME = "/v1/me/consents"
USES = "/v1/me/uses"


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """A program in a person's session."""

    world: World
    client: TestClient
    cookie: str
    name: str

    def get(self, path: str) -> Response:
        """Get a path with the session's cookie."""
        return self.client.get(path, headers={"Cookie": self.cookie})

    def form_token(self) -> str:
        """The token that a change must carry."""
        return str(self.get(ME).json()["form_token"])

    def answer(self, token: str | None = None, **changed: object) -> Response:
        """Answer the one statement of the moving-house service."""
        declared = self.world.declaration
        body: dict[str, Any] = {
            "service": SERVICE,
            "purpose": PURPOSE,
            "statement": "address",
            "choice": "give",
            "optional": [],
            "declaration": declared.digest,
            "notice": render_notice(declared, "en").digest,
            "language": "en",
            "served": self.serve().json().get("served", ""),
        }
        headers: dict[str, Any] = {
            "Cookie": self.cookie,
            "X-Form-Token": (
                self.form_token() if token is None else token
            ).encode("latin-1"),
        }
        return self.client.post(ME, json=body | changed, headers=headers)

    def serve(self, statement: str = "address") -> Response:
        """Have the notice served."""
        return self.client.post(
            "/v1/me/notices",
            json={
                "service": SERVICE,
                "purpose": PURPOSE,
                "statement": statement,
                "language": "en",
            },
            headers={
                "Cookie": self.cookie,
                "X-Form-Token": self.form_token(),
            },
        )

    def state(self) -> dict[str, Any]:
        """What stands of the person's answer."""
        (service,) = (
            one
            for one in self.get(ME).json()["services"]
            if one["service"] == SERVICE
        )
        found: dict[str, Any] = service["statements"][0]
        return found


def signed_in(world: World, client: TestClient, name: str) -> Me:
    """Make a session of a character, as signing in does."""
    platform = world.platform
    sessions = Sessions(
        secret=platform.secrets.session,
        secure=False,
        clock=world.clock,
        random=platform.random,
    )
    text = sessions._cookies.dumps(
        [platform.random(16).hex(), world.clock(), world.cast[name].hex, None]
    )
    return Me(
        world=world,
        client=client,
        cookie=f"{sessions.cookie}={text}",
        name=name,
    )


@contextmanager
def at_home(home: Path, database: Kind = Kind.SQLITE) -> Iterator[Me]:
    """A person who has answered nothing, at a running application."""
    with build_world(home, database=database) as world:
        cast = [
            {
                "subject": str(world.cast[name]),
                "label": {"en": name, "zh-Hans": name},
                "description": None,
            }
            for name in ("silent", "consenting")
        ]
        (world.home / CAST_NAME).write_text(json.dumps(cast), "utf-8")
        application = create_app(world.platform)
        with TestClient(application, raise_server_exceptions=False) as client:
            yield signed_in(world, client, "silent")


@pytest.fixture
def me(tmp_path: Path, database: Kind) -> Iterator[Me]:
    """The person, in a world of this test's own."""
    with at_home(tmp_path / "home", database) as made:
        yield made


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Me]:
    """The person, in a world that no test changes."""
    with at_home(tmp_path_factory.mktemp("calm") / "home") as made:
        yield made


def test_a_wider_declaration_asks_for_the_difference(me: Me) -> None:
    """The person is asked about what is new, and answers exactly that."""
    assert 201 == me.answer(optional=[MOBILE]).status_code
    assert [] == me.state()["asked_again"]
    wider = DECLARATION.replace("version: 1", "version: 2").replace(
        "    data:\n", "    data:\n      - user.name.family\n"
    )
    declared = load_yaml(wider.encode(), where="wider.yaml")
    publish(me.world.platform, declared)
    me.world.clock.now += 1

    before = me.state()
    assert ["user.name.family"] == before["asked_again"]
    assert {*ADDRESS, MOBILE} == set(before["given"])
    assert 409 == me.answer().status_code
    answered = me.answer(
        optional=[MOBILE],
        declaration=declared.digest,
        notice=render_notice(declared, "en").digest,
    )
    me.world.clock.now += 1
    assert 201 == answered.status_code
    assert [] == me.state()["asked_again"]
    assert {*ADDRESS, MOBILE, "user.name.family"} == set(me.state()["given"])


def test_an_answer_stands_at_once(me: Me) -> None:
    """Give, then withdraw: each is an event and an entry the person sees."""
    assert "none" == me.state()["state"]
    given = me.answer(optional=[MOBILE])
    me.world.clock.now += 1

    assert 201 == given.status_code
    assert UUID(given.json()["event"])
    assert "no-store" == given.headers["cache-control"]
    assert "given" == me.state()["state"]
    assert MOBILE in me.state()["given"]
    assert 201 == me.answer(choice="withdraw").status_code
    me.world.clock.now += 1
    assert "withdrawn" == me.state()["state"]
    entries = me.get(USES).json()["entries"]
    assert [(SERVICE, PURPOSE)] * 2 == [
        (one["service"], one["purpose"]) for one in entries
    ]


def test_without_a_session_nothing_is_shown(calm: Me) -> None:
    """No cookie, a forged one, another's name: 401, and never a value."""
    head, _, signature = calm.cookie.rpartition(".")
    for cookie in (
        "",
        "curtilage=",
        "curtilage=x.y",
        f"{head}.{signature[::-1]}",
        calm.cookie.replace("curtilage=", "__Host-curtilage="),
    ):
        for path in (ME, USES):
            found = calm.client.get(path, headers={"Cookie": cookie})
            assert_problem(found, 401)


def test_a_session_of_nobody_opens_nothing(me: Me) -> None:
    """The session that every visitor has is no person's."""
    me.client.get("/")
    assert me.client.cookies

    assert_problem(me.client.get(ME), 401)


def test_a_session_runs_out(me: Me) -> None:
    """After eight hours the cookie is nobody's."""
    me.world.clock.now += 8 * 3600 - 1
    assert 200 == me.get(ME).status_code
    me.world.clock.now += 1

    assert_problem(me.get(ME), 401)


def test_signing_out_ends_these_routes_too(me: Me) -> None:
    """A copied cookie is worth nothing after its person signed out."""
    form = {"form_token": me.form_token()}
    left = me.client.post(
        "/sign-out",
        data=form,
        headers={"Cookie": me.cookie},
        follow_redirects=False,
    )

    assert 303 == left.status_code
    assert_problem(me.get(ME), 401)
    assert_problem(me.get(USES), 401)


@pytest.mark.parametrize("token", ["", "x", "x.y", "\xe9"])
def test_a_change_needs_the_form_token(calm: Me, token: str) -> None:
    """The cookie alone changes nothing: that is what a forgery has."""
    before = calm.world.platform.ledger.size()
    found = calm.answer(token)

    assert_problem(found, 403)
    assert before == calm.world.platform.ledger.size()
    assert "none" == calm.state()["state"]


def test_another_sessions_token_is_refused(calm: Me) -> None:
    """A token is bound to one session, not to the instance."""
    other = signed_in(calm.world, calm.client, "consenting")

    assert_problem(calm.answer(other.form_token()), 403)


@pytest.mark.parametrize(
    ("changed", "status"),
    [
        ({"choice": "maybe"}, 422),
        ({"language": "fr"}, 422),
        ({"optional": "x"}, 422),
        ({"optional": ["x"] * 65}, 422),
        ({"service": "x" * 129}, 422),
        ({"extra": 1}, 422),
        ({"declaration": "0" * 63}, 422),
        ({"subject": str(UUID(int=0))}, 422),
        ({"service": "nobody"}, 404),
        ({"purpose": "\x00"}, 404),
        ({"statement": "nothing"}, 404),
        ({"declaration": "0" * 64}, 409),
        ({"notice": "0" * 64}, 409),
    ],
)
def test_a_wrong_answer_changes_nothing(
    calm: Me, changed: dict[str, object], status: int
) -> None:
    """Each is one problem; no event and no entry is written."""
    before = calm.world.platform.ledger.size()
    found = calm.answer(**changed)

    assert_problem(found, status)
    assert before == calm.world.platform.ledger.size()
    assert "none" == calm.state()["state"]


def test_consent_is_not_asked_where_the_law_is_the_basis(calm: Me) -> None:
    """The statistics rest on a public task: nobody gives or refuses."""
    declared = calm.world.platform.consents.declaration(
        "statistics-office", "population-statistics"
    )
    assert declared is not None
    found = calm.answer(
        service=declared.service,
        purpose=declared.purpose,
        statement="extract",
        declaration=declared.digest,
        notice=render_notice(declared, "en").digest,
    )

    assert "/problems/consent-not-asked" == assert_problem(found, 422)["type"]


def test_an_erased_person_has_nothing_left(calm: Me) -> None:
    """A session that outlived its person finds no one."""
    gone = signed_in(calm.world, calm.client, "erased")

    assert_problem(gone.get(USES), 404)
    assert_problem(gone.answer(), 404)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("", 200),
        ("?limit=1", 200),
        ("?limit=0", 422),
        ("?limit=201", 422),
        ("?before=0", 200),
        ("?before=-1", 422),
        (f"?before={2**62}", 200),
        (f"?before={10**40}", 422),
        (f"?before=-{10**40}", 422),
        (f"?limit={10**40}", 422),
        ("?before=x", 422),
        ("?limit=" + "9" * 5_000, 422),
    ],
)
def test_pages_of_uses_have_bounds(calm: Me, query: str, status: int) -> None:
    """Whatever is asked, a page or a 422."""
    found = signed_in(calm.world, calm.client, "consenting").get(USES + query)

    assert status == found.status_code
    if status == 422:
        assert_problem(found, 422)


def test_people_see_their_own_entries_alone(me: Me) -> None:
    """The entries of one are not on the page of another."""
    consenting = signed_in(me.world, me.client, "consenting")
    theirs = {one["index"] for one in consenting.get(USES).json()["entries"]}
    assert 201 == me.answer().status_code
    ours = {one["index"] for one in me.get(USES).json()["entries"]}

    assert theirs
    assert ours
    assert not ours & theirs


def test_a_proof_is_signed_between_two_batches(
    me: Me, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its checkpoint is not signed on the event loop, which batches need."""
    ledger = me.world.platform.ledger
    real, threads = ledger.checkpoint, list[str]()

    def checkpoint() -> str:
        threads.append(threading.current_thread().name)
        return real()

    monkeypatch.setattr(ledger, "checkpoint", checkpoint)
    consenting = signed_in(me.world, me.client, "consenting")
    (entry,) = consenting.get(USES).json()["entries"]
    proof = consenting.get(f"/me/uses/{entry['index']}/proof")

    assert 200 == proof.status_code
    assert {"ledger-commit"} == {one.rpartition("_")[0] for one in threads}


def test_outside_demo_mode_there_is_no_such_route(tmp_path: Path) -> None:
    """Until identity lands: no pages, no person's routes, and no 401."""
    with build_world(tmp_path / "home") as world:
        settings = world.platform.settings.model_copy(update={"demo": False})
        platform = _with(world, settings)
        with TestClient(create_app(platform)) as client:
            for path in (ME, USES, "/", "/me/data", "/sign-in"):
                assert_problem(client.get(path), 404)


def _with(world: World, settings: object) -> Any:  # noqa: ANN401 - a platform
    from dataclasses import replace  # noqa: PLC0415 - needed here alone

    return replace(world.platform, settings=settings)


def test_the_cookie_of_a_test_is_that_of_the_pages(calm: Me) -> None:
    """What these tests sign is what signing in would have sent."""
    assert calm.cookie.startswith("curtilage=")
    assert isinstance(calm.world.cast[calm.name], UUID)
    assert Session(nonce="", issued_at=0).subject is None
