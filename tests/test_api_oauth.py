"""The token endpoint, and what a token opens and does not open."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest
from joserfc import jwt
from joserfc.jwk import OctKey

from tests.doors import (
    ASK,
    TOKEN,
    Door,
    assert_problem,
    at_the_door,
    body_about,
    credential,
)
from tests.worlds import ADDRESS, build_world

GRANT = {"grant_type": "client_credentials"}


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A running application, shared: these tests write nothing."""
    home = tmp_path_factory.mktemp("oauth") / "home"
    with build_world(home) as world, at_the_door(world) as made:
        yield made


def read(door: Door, token: str) -> int:
    """The status of a good request under a token."""
    return door.client.get(
        "/v1/declaration", headers={"Authorization": f"Bearer {token}"}
    ).status_code


@pytest.mark.parametrize("way", ["basic", "form"])
def test_both_ways_to_prove_a_client(door: Door, way: str) -> None:
    """HTTP Basic and the form give a token; nothing may keep it."""
    proof = {"client_id": door.client_id, "client_secret": door.secret}
    found = (
        door.client.post(TOKEN, data=GRANT, auth=(door.client_id, door.secret))
        if way == "basic"
        else door.client.post(TOKEN, data=GRANT | proof)
    )

    assert 200 == found.status_code
    assert "no-store" == found.headers["cache-control"]
    body = found.json()
    assert {"access_token", "token_type", "expires_in"} == body.keys()
    assert ("Bearer", 300) == (body["token_type"], body["expires_in"])
    assert 200 == read(door, body["access_token"])


@pytest.mark.parametrize("way", ["basic", "form"])
def test_refusals_are_alike(door: Door, way: str) -> None:
    """Wrong secret, unknown client, no client: one status, body, headers."""
    seen = set()
    for client_id, secret in (
        (door.client_id, "wrong"),
        ("nobody.00000000", door.secret),
        ("", ""),
        ("x" * 64, "\x00"),
        (door.client_id + "\x00", door.secret),
        ("é", "é"),
    ):
        proof = {"client_id": client_id, "client_secret": secret}
        raw = base64.b64encode(f"{client_id}:{secret}".encode()).decode()
        found = (
            door.client.post(
                TOKEN, data=GRANT, headers={"Authorization": f"Basic {raw}"}
            )
            if way == "basic"
            else door.client.post(TOKEN, data=GRANT | proof)
        )
        headers = dict(found.headers) | {"x-request-id": ""}
        seen.add((found.status_code, found.text, str(headers)))

    assert 1 == len(seen)
    status, text, headers = seen.pop()
    assert (401, '{"error":"invalid_client"}') == (status, text)
    assert "www-authenticate" in headers


def test_a_revoked_client_is_refused_like_an_unknown_one(door: Door) -> None:
    """Revocation shows as the same refusal, and ends live tokens at once."""
    platform = door.world.platform
    client_id, secret = credential(door.world)
    token = door.token(client_id, secret)
    assert 200 == read(door, token)
    with platform.data.begin() as conn:
        platform.registry.revoke(conn, client_id)
    found = door.client.post(TOKEN, data=GRANT, auth=(client_id, secret))

    assert (401, {"error": "invalid_client"}) == (
        found.status_code,
        found.json(),
    )
    assert 401 == read(door, token)


@pytest.mark.parametrize(
    "grant", ["", "password", "authorization_code", "client_credentials "]
)
def test_only_client_credentials_are_granted(door: Door, grant: str) -> None:
    """Another grant is refused alike, whoever asks."""
    bodies = {
        (found.status_code, found.text)
        for secret in (door.secret, "wrong")
        for found in [
            door.client.post(
                TOKEN,
                data={"grant_type": grant},
                auth=(door.client_id, secret),
            )
        ]
    }

    assert {(400, '{"error":"unsupported_grant_type"}')} == bodies


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\xff\xfe=1", "application/x-www-form-urlencoded"),
        (b"grant_type=" + b"x" * 300, "application/x-www-form-urlencoded"),
        (b"a=1&" * 20_000, "application/x-www-form-urlencoded"),
        (b"--x\r\nContent", "multipart/form-data"),
        (b'{"grant_type":"client_credentials"}', "application/json"),
    ],
)
def test_malformed_forms_are_refused(
    door: Door, content: bytes, kind: str
) -> None:
    """Whatever the body is, the answer is a 4xx without a token."""
    found = door.client.post(
        TOKEN, content=content, headers={"Content-Type": kind}
    )

    assert found.status_code in {400, 422}
    assert "access_token" not in found.text
    assert "xxx" not in found.text


def claims(door: Door, **changed: object) -> dict[str, object]:
    """The claims of a good token of the door, changed."""
    now, issuer = door.world.clock(), door.world.platform.settings.origin
    return {
        "iss": issuer,
        "aud": issuer,
        "sub": door.client_id,
        "client_id": door.client_id,
        "iat": now,
        "exp": now + 300,
        "jti": "1",
        **changed,
    }


def sign(
    door: Door,
    document: dict[str, object],
    *,
    key: bytes = b"",
    header: dict[str, str] | None = None,
) -> str:
    """Sign claims with the instance's key, or with another."""
    chosen = key or door.world.platform.secrets.token
    return jwt.encode(
        header or {"alg": "HS256", "typ": "at+jwt"},
        document,
        OctKey.import_key(chosen),
    )


def test_the_forger_of_these_tests_makes_good_tokens(door: Door) -> None:
    """An unchanged token opens, so the refusals below are for the change."""
    assert 200 == read(door, sign(door, claims(door)))


@pytest.mark.parametrize(
    "changed",
    [
        {"aud": "elsewhere.example/log"},
        {"iss": "elsewhere.example/log"},
        {"exp": 0},
        {"exp": 1_790_000_060},
        {"exp": "soon"},
        {"exp": None},
        {"client_id": "nobody.00000000"},
        {"client_id": "\x00"},
        {"client_id": 7},
    ],
)
def test_wrong_claims_are_refused(
    door: Door, changed: dict[str, object]
) -> None:
    """Another audience or issuer, an expired or an unknown client: 401."""
    assert 401 == read(door, sign(door, claims(door, **changed)))


def test_forged_tokens_are_refused(door: Door) -> None:
    """Another key, another type, no algorithm, a changed byte: 401."""
    good = sign(door, claims(door))
    head, payload, signature = good.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}')
    for forged in (
        sign(door, claims(door), key=b"k" * 32),
        sign(door, claims(door), header={"alg": "HS256", "typ": "JWT"}),
        f"{none.decode().rstrip('=')}.{payload}.",
        f"{head}.{payload}.{signature[::-1]}",
        f"{head}.{payload[:-1]}.{signature}",
        good[:-2],
    ):
        assert 401 == read(door, forged)


def test_a_token_expires(tmp_path: Path) -> None:
    """At its end a token stops, and one second before it does not."""
    with build_world(tmp_path / "home") as world, at_the_door(world) as door:
        token = door.token()
        world.clock.now += 299
        assert 200 == read(door, token)
        world.clock.now += 1
        assert 401 == read(door, token)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Basic dXNlcjpwYXNz",
        "Bearer a.b.c",
        "Bearer ....",
        "Bearer é",
        "Bearer \ud800".encode("utf-8", "replace").decode(),
        "Token x",
        "Bearer " + "a" * 60_000,
    ],
)
def test_malformed_authorization_is_one_problem(
    door: Door, header: str | None
) -> None:
    """Each is a 401 problem that says how to get a token; nothing is kept."""
    before = door.size()
    headers = {} if header is None else {"Authorization": header.encode()}
    found = door.client.post(
        ASK,
        json=body_about(door.world, "consenting", *ADDRESS),
        headers=headers,
    )

    body = assert_problem(found, 401)
    assert "/problems/unauthenticated" == body["type"]
    assert "Bearer" == found.headers["www-authenticate"]
    assert before == door.size()


def test_the_purpose_comes_from_the_credential(door: Door) -> None:
    """A credential for another purpose reads nothing for this one."""
    world = door.world
    other = credential(world, "moving-house", "another-purpose")
    token = door.token(*other)
    found = door.ask(
        body_about(world, "consenting", *ADDRESS),
        headers={"Authorization": f"Bearer {token}"},
    )

    assert 200 == found.status_code
    assert {"withhold"} == {
        one["effect"] for one in found.json()["attributes"].values()
    }
    shown = door.client.get(
        "/v1/declaration", headers={"Authorization": f"Bearer {token}"}
    )
    assert None is shown.json()


@pytest.mark.parametrize("field", ["purpose", "service", "tenant"])
def test_a_body_cannot_name_its_purpose(door: Door, field: str) -> None:
    """There is no such field: the request is refused, and the ledger kept."""
    before = door.size()
    body = body_about(door.world, "consenting", *ADDRESS)
    problem = assert_problem(door.ask(body | {field: "x"}), 422)

    assert [{"where": "body", "what": "extra_forbidden"}] == problem["errors"]
    assert before == door.size()
