"""A client at the HTTP doors of a small world, with its credential."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from api.app import create_app
from tests.worlds import NUMBER, PURPOSE, SERVICE, World, person_values

ASK = "/v1/profile-requests"
TOKEN = "/oauth/token"
PROBLEM = "application/problem+json"
UNDERSTANDS = ["delete_by", "notify", "mask"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """A service that stands at the door of a running application."""

    world: World
    client: TestClient
    client_id: str
    secret: str

    def token(self, client_id: str = "", secret: str = "") -> str:
        """An access token for a credential; by default the door's own."""
        found = self.client.post(
            TOKEN,
            data={"grant_type": "client_credentials"},
            auth=(client_id or self.client_id, secret or self.secret),
        )
        return str(found.json()["access_token"])

    def ask(
        self, body: object, *, headers: Mapping[str, str] | None = None
    ) -> Response:
        """Send a profile request; bytes go as they are."""
        given = {
            "Authorization": f"Bearer {self.token()}",
            "Content-Type": "application/json",
            **(headers or {}),
        }
        content = body if isinstance(body, bytes) else json.dumps(body)
        return self.client.post(ASK, content=content, headers=given)

    def size(self) -> int:
        """How many entries the ledger has."""
        return self.world.platform.ledger.size()


def body_about(world: World, name: str, *attributes: str) -> dict[str, Any]:
    """A profile request about a character, by identity number."""
    values = world.values.get(name) or person_values(977)
    return {
        "person": {
            "identifier": {"attribute": NUMBER, "value": values[NUMBER]}
        },
        "attributes": list(attributes),
        "understands": UNDERSTANDS,
    }


def credential(
    world: World, service: str = SERVICE, purpose: str = PURPOSE
) -> tuple[str, str]:
    """A new credential's client id and secret."""
    with world.platform.data.begin() as conn:
        return world.platform.registry.issue(
            conn, service=service, purpose=purpose, assurance=2
        )


@contextmanager
def at_the_door(world: World) -> Iterator[Door]:
    """Run the application of a world with its lifespan."""
    client_id, secret = credential(world)
    application = create_app(world.platform)
    with TestClient(application, raise_server_exceptions=False) as client:
        yield Door(
            world=world, client=client, client_id=client_id, secret=secret
        )


def assert_problem(found: Response, status: int) -> dict[str, Any]:
    """Hold an answer to the one shape of problems, and return its body."""
    body: dict[str, Any] = found.json()
    assert (status, PROBLEM) == (
        found.status_code,
        found.headers["content-type"],
    )
    assert {"type", "title", "status", "remedy", "request"} <= body.keys()
    assert status == body["status"]
    assert body["type"].startswith("/problems/")
    assert body["title"]
    assert body["remedy"]
    assert body["request"] == found.headers["x-request-id"]
    assert "no-store" == found.headers["cache-control"]
    assert "Traceback" not in found.text
    return body
