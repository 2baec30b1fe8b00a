"""Extracts over HTTP: their recipient's, whole, and nobody else's."""

import asyncio
from collections.abc import Iterator
from uuid import UUID, uuid4

import pytest
from httpx2 import Response

from api.routes.extracts import extract_folder
from policy import ReleaseRequest
from tests.databases import Kind
from tests.doors import Door, assert_problem, at_the_door, credential
from tests.worlds import OFFICER, OTHER_OFFICER, build_world

STATISTICS = ("statistics-office", "population-statistics")
FILES = ("data.csv", "report.json", "report.md", "manifest.json")


@pytest.fixture(scope="module")
def door(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Door]:
    """A running application with people enough for an extract."""
    home = tmp_path_factory.mktemp("extracts") / "home"
    with (
        build_world(home, extra=24, database=database) as world,
        at_the_door(world) as made,
    ):
        yield made


@pytest.fixture(scope="module")
def release(door: Door) -> UUID:
    """An extract that was taken, for the statistics office."""
    desk = door.world.platform.releases
    wanted = ReleaseRequest(
        service=STATISTICS[0],
        purpose=STATISTICS[1],
        recipient="statistics-office",
        columns=("user.gender", "user.bdate", "user.benefit.status"),
        k=3,
        l=2,
        sensitive="user.benefit.status",
    )

    async def take() -> UUID:
        found = await desk.request(OFFICER, wanted)
        folder = extract_folder(door.world.home, found)
        folder.parent.mkdir(exist_ok=True)
        await desk.take(OTHER_OFFICER, found, folder)
        await desk.request(OFFICER, wanted)
        return found

    return asyncio.run(take())


def as_service(door: Door, path: str, *who: str) -> Response:
    """Get a path with a new credential of a service and purpose."""
    token = door.token(*credential(door.world, *who))
    return door.client.get(path, headers={"Authorization": f"Bearer {token}"})


def test_the_recipient_sees_its_extracts(door: Door, release: UUID) -> None:
    """Those of its own service and purpose, with how they ended."""
    found = as_service(door, "/v1/extracts", *STATISTICS)

    assert "no-store" == found.headers["cache-control"]
    listed = {one["release"]: one for one in found.json()["extracts"]}
    assert ["requested", "taken"] == sorted(
        one["outcome"] for one in listed.values()
    )
    assert listed[str(release)]["rows"] > 0
    assert 64 == len(listed[str(release)]["manifest"])


@pytest.mark.parametrize("name", FILES)
def test_the_recipient_fetches_each_file(
    door: Door, release: UUID, name: str
) -> None:
    """The bytes are those on the disk, and no cache keeps them."""
    found = as_service(door, f"/v1/extracts/{release}/{name}", *STATISTICS)

    folder = extract_folder(door.world.home, release)
    assert 200 == found.status_code
    assert "no-store" == found.headers["cache-control"]
    assert (folder / name).read_bytes() == found.content
    assert b"Canary" not in found.content


@pytest.mark.parametrize(
    "who",
    [
        ("moving-house", "address-change"),
        ("statistics-office", "another-purpose"),
        ("another-office", "population-statistics"),
    ],
)
def test_nobody_else_sees_an_extract(
    door: Door, release: UUID, who: tuple[str, str]
) -> None:
    """Another service or purpose lists none, and gets what nobody gets."""
    mine = as_service(door, f"/v1/extracts/{release}/data.csv", *who)
    none = as_service(door, f"/v1/extracts/{uuid4()}/data.csv", *who)
    ours, theirs = assert_problem(mine, 404), assert_problem(none, 404)

    assert [] == as_service(door, "/v1/extracts", *who).json()["extracts"]
    assert ours | {"request": ""} == theirs | {"request": ""}


@pytest.mark.parametrize(
    "name",
    [
        "secrets.json",
        "..%2F..%2Fsecrets%2Fsecrets.json",
        "..%2F..%2Fcurtilage.yaml",
        "%2Fetc%2Fpasswd",
        "data.csv%00",
        ".",
        "DATA.CSV",
    ],
)
def test_only_the_files_of_an_extract_are_served(
    door: Door, release: UUID, name: str
) -> None:
    """No other name, be it there, and no way out of the folder."""
    folder = extract_folder(door.world.home, release)
    (folder / "secrets.json").write_text("{}", "utf-8")
    found = as_service(door, f"/v1/extracts/{release}/{name}", *STATISTICS)

    assert_problem(found, 404)


def test_a_request_that_waits_has_no_file(door: Door, release: UUID) -> None:
    """What was not taken cannot be fetched, even if a folder stood there."""
    listed = as_service(door, "/v1/extracts", *STATISTICS).json()["extracts"]
    (waiting,) = (
        one["release"] for one in listed if one["outcome"] == "requested"
    )
    folder = extract_folder(door.world.home, UUID(waiting))
    folder.mkdir(parents=True)
    (folder / "data.csv").write_text("x", "utf-8")

    assert_problem(
        as_service(door, f"/v1/extracts/{waiting}/data.csv", *STATISTICS), 404
    )


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/extracts", 401),
        (f"/v1/extracts/{UUID(int=0)}/data.csv", 401),
    ],
)
def test_without_a_token_nothing_is_shown(
    door: Door, path: str, status: int
) -> None:
    """Who asks comes first."""
    assert_problem(door.client.get(path), status)


def test_an_id_that_is_none_is_refused(door: Door) -> None:
    """A malformed id is a 422 that does not repeat it."""
    found = as_service(door, "/v1/extracts/canary/data.csv", *STATISTICS)

    assert_problem(found, 422)
    assert "canary" not in found.text
