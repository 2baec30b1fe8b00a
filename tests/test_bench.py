"""Measurements start only where there is room, and leave one file each."""

import json
from pathlib import Path
from typing import ClassVar

import pytest

from tests.bench.__main__ import load, main, run
from tests.bench.room import Needs, NoRoomError, check_room


class Sample:
    """A measurement that writes a file and finds one figure."""

    NEEDS: ClassVar = {
        False: Needs(bytes=1000, seconds=60),
        True: Needs(bytes=10**18, seconds=6000),
    }

    @staticmethod
    def measure(*, full: bool, folder: Path) -> dict[str, object]:
        """Write a file into the folder and return what it holds."""
        (folder / "data").write_text("7", "utf-8")
        return {"figure": 7, "full": full}


def test_a_result_is_written_and_the_folder_removed(tmp_path: Path) -> None:
    """The figures and the machine they were measured on stay, alone."""
    run({"sample": Sample()}, full=False, results=tmp_path)

    (written,) = tmp_path.iterdir()
    report = json.loads(written.read_text("utf-8"))
    assert "sample.json" == written.name
    assert {"figure": 7, "full": False} == report["result"]
    assert report["machine"]["cores"] >= 1


def test_a_run_without_disk_is_not_started(tmp_path: Path) -> None:
    """Too little disk is told before anything is measured."""
    with pytest.raises(NoRoomError, match="GB free"):
        run({"sample": Sample()}, full=True, results=tmp_path)

    assert [] == list(tmp_path.iterdir())


def test_a_run_without_time_is_not_started(tmp_path: Path) -> None:
    """Two runs take the time of both."""
    two = {"first": Sample(), "second": Sample()}

    with pytest.raises(NoRoomError, match="about 2 minutes"):
        run(two, full=False, results=tmp_path, minutes=1.5)


def test_a_run_that_can_ends_in_time(tmp_path: Path) -> None:
    """It is told how many seconds it has, and never more than it needs."""
    told: list[float | None] = []

    class Patient(Sample):
        """A measurement that does as much as there is time for."""

        ENDS_IN_TIME = True

        @staticmethod
        def measure(
            *, full: bool, folder: Path, seconds: float | None = None
        ) -> dict[str, object]:
            """Note the time that there is."""
            told.append(seconds)
            return {"full": full, "folder": folder.name}

    for minutes in (0.5, 2.0, None):
        patient = {"patient": Patient()}
        run(patient, full=False, results=tmp_path, minutes=minutes)

    assert [30.0, None, None] == told


def test_room_is_enough_where_it_is_enough(tmp_path: Path) -> None:
    """A small run on an ordinary disk is let through."""
    check_room(Needs(bytes=1, seconds=59), folder=tmp_path / "new", minutes=1)

    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("kind", ["bench", "soak"])
def test_every_measurement_says_what_it_needs(kind: str) -> None:
    """Each module offers its needs, quick and full, and a measurement."""
    for bench in load(kind).values():
        assert {False, True} == set(bench.NEEDS)
        assert callable(bench.measure)


def test_a_measurement_that_is_not_there_is_told() -> None:
    """A misspelt name does not pass for a run without findings."""
    with pytest.raises(SystemExit):
        main(["no-such-measurement"])
