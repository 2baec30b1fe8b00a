"""The tiled log over HTTP and as files: what a monitor gets, it can check."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from typer.testing import CliRunner

from api.app import create_app
from api.cli.main import build
from consent.checkpoint import open_checkpoint
from consent.cosignatures import read_log_key
from tests.doors import assert_problem
from tests.test_tile_log import Monitor
from tests.worlds import World, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Build an instance with some entries."""
    home = tmp_path_factory.mktemp("tiles") / "home"
    with build_world(home) as built:
        yield built


@pytest.fixture(scope="module")
def client(world: World) -> TestClient:
    """Return a client that runs no lifespan."""
    return TestClient(create_app(world.platform))


def test_a_monitor_reads_over_http(world: World, client: TestClient) -> None:
    """Both keys hold, and the tiles give the signed root."""
    world.platform.ledger.checkpoint()
    answer = client.get("/ledger/checkpoint")
    keys = [
        read_log_key(line)
        for line in client.get("/v1/ledger/key").text.splitlines()
    ]
    origin = world.platform.settings.origin

    assert "text/plain; charset=utf-8" == answer.headers["content-type"]
    assert "public, max-age=1" == answer.headers["cache-control"]
    assert [1, 6] == [getattr(key, "algorithm", 1) for key in keys]
    for key in keys:
        found = open_checkpoint(answer.content, [key], origin=origin)
        assert world.platform.ledger.size() == found.size
    monitor = Monitor(lambda path: client.get(f"/ledger/{path}").content)
    assert found.root == monitor.root(found.size)


def test_tiles_may_be_kept_for_ever(world: World, client: TestClient) -> None:
    """Content type and caching are the specification's."""
    world.platform.ledger.checkpoint()
    for path in ("tile/0/000.p/3", "tile/entries/000.p/3"):
        answer = client.get(f"/ledger/{path}")

        assert 200 == answer.status_code
        assert "application/octet-stream" == answer.headers["content-type"]
        assert "immutable" in answer.headers["cache-control"]
    assert 3 * 34 == len(answer.content)


@pytest.mark.parametrize(
    "path",
    [
        "tile/0/000",
        "tile/0/001",
        "tile/1/000",
        "tile/entries/999.p/1",
        "tile/0/000.p/256",
        "tile/0/0",
        "tile/",
        "tile/0/x123/x123/x123/x123/x123/x123/123",
    ],
)
def test_what_is_not_there_is_not_kept(client: TestClient, path: str) -> None:
    """A tile of the future is a 404 that no cache keeps."""
    answer = client.get(f"/ledger/{path}")

    assert_problem(answer, 404)
    assert "no-store" == answer.headers["cache-control"]


def export(world: World, folder: Path) -> tuple[int, str, str]:
    """Run the export."""
    done = CliRunner().invoke(
        build(),
        ["--home", str(world.home), "ledger", "export", str(folder), "--json"],
    )
    return done.exit_code, done.stdout, done.stderr


def test_an_export_is_the_same_log(
    world: World, client: TestClient, tmp_path: Path
) -> None:
    """The files are what HTTP serves, and a second run writes nothing."""
    code, out, _ = export(world, tmp_path)
    said = json.loads(out)
    checkpoint = (tmp_path / "checkpoint").read_bytes()
    size = int(checkpoint.splitlines()[1])
    monitor = Monitor(lambda path: (tmp_path / path).read_bytes())

    assert 0 == code
    assert said["size"] == size == world.platform.ledger.size()
    assert said["files"] == said["written"]
    assert checkpoint == client.get("/ledger/checkpoint").content
    assert monitor.root(size)
    for file in tmp_path.glob("tile/**/*"):
        if file.is_file():
            path = file.relative_to(tmp_path)
            assert file.read_bytes() == client.get(f"/ledger/{path}").content
    assert 0 == json.loads(export(world, tmp_path)[1])["written"]


def test_an_export_goes_on_where_it_was_killed(
    world: World, tmp_path: Path
) -> None:
    """What is cut short or missing is written again, nothing else."""
    export(world, tmp_path)
    files = sorted(p for p in tmp_path.glob("tile/**/*") if p.is_file())
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:-1])
    (tmp_path / "checkpoint").unlink()

    assert 1 == json.loads(export(world, tmp_path)[1])["written"]
    assert whole == files[0].read_bytes()


def test_an_export_is_not_written_over_another_ledger(
    world: World, tmp_path: Path
) -> None:
    """Neither over one of another key, nor over a fork."""
    with build_world(tmp_path / "other") as other:
        export(other, tmp_path / "out")
    before = (tmp_path / "out" / "checkpoint").read_bytes()
    code, _, err = export(world, tmp_path / "out")

    assert 1 == code
    assert 1 == len(err.splitlines())
    assert before == (tmp_path / "out" / "checkpoint").read_bytes()
