"""Servers that are measured: of the product, and without its policies.

``python -m tests.bench.servers HOME PORT`` serves an instance whose engine
is a constant: the same path but for the policies, whose share is so told.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import httpx2

from api.app import create_app
from api.bootstrap import bootstrap
from api.cli.instance import run_server
from api.logs import configure_logs
from api.settings import read_settings
from policy import Ruling
from policy.decisions import SCHEMA, Json
from tests.databases import create_database, create_owner
from tests.parts import MissingPartError, postgresql

FIRST_PORT = 18_420
_RELEASED: Mapping[str, Json] = {
    "effect": "release",
    "level": 0,
    "reasons": [{"code": "consent_given", "remedy": "none"}],
    "obligations": [{"type": "delete_by", "days": 90}],
}


class Constant:
    """Releases whatever is asked for; for measuring what deciding costs."""

    revision = "none"

    async def decide(
        self, _entrypoint: str, document: Mapping[str, Json]
    ) -> Ruling:
        """Decide nothing."""
        request = document["request"]
        assert isinstance(request, Mapping)
        asked = request["attributes"]
        assert isinstance(asked, list)
        return Ruling(
            document={
                "schema": SCHEMA,
                "attributes": {str(name): _RELEASED for name in asked},
            },
            revision=self.revision,
        )


@contextmanager
def server(
    home: Path, *, workers: int = 1, policies: bool = True
) -> Iterator[int]:
    """Serve an instance in processes of its own; give the port.

    Args:
        home: its folder.
        workers: how many processes answer.
        policies: whether they decide; where not, one process answers.

    """
    port = FIRST_PORT + os.getpid() % 1000
    serve: tuple[str, ...] = (
        *("-c", "from api.cli import main; main()", "--home", str(home)),
        *("serve", "--port", str(port), "--workers", str(workers)),
    )
    if not policies:
        serve = ("-m", "tests.bench.servers", str(home), str(port))
    process = subprocess.Popen(
        (sys.executable, *serve),
        env=os.environ | {"CURTILAGE_LOG_LEVEL": "error"},
    )
    try:
        _wait(port)
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def _wait(port: int) -> None:
    for _ in range(600):
        try:
            httpx2.get(f"http://127.0.0.1:{port}/health/ready")
        except httpx2.HTTPError:
            time.sleep(0.1)
        else:
            return


@contextmanager
def databases() -> Iterator[Mapping[str, Mapping[str, str]]]:
    """The settings of an instance on each database that can be had."""
    try:
        part = postgresql.find()
    except MissingPartError:
        yield {"sqlite": {}}
        return
    with postgresql.cluster(part) as cluster:
        owner = create_owner(cluster)
        yield {
            "sqlite": {},
            "postgresql": {
                "data_url": create_database(owner, "gate_data"),
                "keys_url": create_database(owner, "gate_keys"),
            },
        }


def main(home: str, port: str) -> None:
    """Serve without policies until told to end."""
    configure_logs("error")
    platform = bootstrap(read_settings(Path(home)), pdp=Constant())
    try:
        run_server(create_app(platform), host="127.0.0.1", port=int(port))
    finally:
        platform.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
