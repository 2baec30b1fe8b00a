"""Disk and time, looked at before they are spent."""

import shutil
from dataclasses import dataclass
from pathlib import Path

_SPARE = 1_000_000_000  # bytes that stay free whatever happens


class NoRoomError(Exception):
    """A run would take more disk or more time than there is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What a run takes, estimated on two cores.

    Attributes:
        bytes: of disk, at its largest.
        seconds: from start to end.

    """

    bytes: int
    seconds: int

    def __add__(self, other: "Needs") -> "Needs":
        return Needs(
            bytes=max(self.bytes, other.bytes),
            seconds=self.seconds + other.seconds,
        )


def check_room(needs: Needs, *, folder: Path, minutes: float | None) -> None:
    """Refuse a run for which there is no room.

    Args:
        needs: of the whole run. Runs follow one another and clean up, so
            disk is the largest of them, and time their sum.
        folder: where the run writes.
        minutes: how long it may take; None for as long as it needs.

    Raises:
        NoRoomError: the disk is too full, or the time too short.

    """
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needs.bytes + _SPARE:
        msg = (
            f"{folder} has {free / 1e9:.1f} GB free; this needs "
            f"{needs.bytes / 1e9:.1f} GB and leaves {_SPARE / 1e9:.0f}"
        )
        raise NoRoomError(msg)
    if minutes is not None and needs.seconds > minutes * 60:
        msg = (
            f"this takes about {needs.seconds / 60:.0f} minutes, and "
            f"MINUTES={minutes:g} are allowed"
        )
        raise NoRoomError(msg)
