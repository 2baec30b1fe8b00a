"""A slice of the soak: kills under mixed load, on both databases."""

from pathlib import Path

import pytest

from tests.bench.soak_kills import soak
from tests.databases import Kind


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_nothing_acknowledged_is_lost(
    tmp_path: Path, database: Kind, workers: int
) -> None:
    """Attack 23: kill -9 of server, worker and desk loses no word."""
    found = soak(
        tmp_path / "home",
        database,
        workers=workers,
        kills=2,
        seed=workers,
        passing=40,
    )

    assert 2 == sum(found["kills"].values())
