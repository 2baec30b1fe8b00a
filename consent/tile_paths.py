"""Where a tile stands: the paths of https://c2sp.org/tlog-tiles.

    tile/<L>/<N>[.p/<W>]        hashes; L is a level from 0 to 63
    tile/entries/<N>[.p/<W>]    leaf data

N is written in groups of three digits, all but the last after an ``x``
(1234067 is ``x001/x234/067``), so that a path is a file's and never a
folder's. A path that parses is written back to the same text.
"""

import re
from dataclasses import dataclass
from typing import Self

from consent.compact_range import TILE_HEIGHT, TILE_WIDTH
from consent.errors import UnknownEntry

HIGHEST_LEVEL = 63
ENTRIES = "entries"
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,6}[0-9]{3})"
    r"(?:\.p/([1-9][0-9]{0,2}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """One tile of hashes, or one bundle of entries.

    Attributes:
        level: Of the tile; ``None`` for a bundle, which stands beside a
            tile of level 0.
        number: On its level, from 0.
        width: How many it holds: 256, or fewer in a partial one.
    """

    level: int | None
    number: int
    width: int = TILE_WIDTH

    @property
    def end(self) -> int:
        """The size that a tree has at least, if this stands in it."""
        ends = self.number * TILE_WIDTH + self.width
        return ends << (TILE_HEIGHT * (self.level or 0))

    def __str__(self) -> str:
        level = ENTRIES if self.level is None else str(self.level)
        rest, last = divmod(self.number, 1000)
        number = f"{last:03d}"
        while rest:
            rest, group = divmod(rest, 1000)
            number = f"x{group:03d}/{number}"
        part = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{number}{part}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a path.

        Args:
            text: From ``tile/`` on.

        Returns:
            What it names.

        Raises:
            UnknownEntry: It is no such path.

        """
        found = _PATH.fullmatch(text)
        if found is not None:
            level, digits, width = found.groups()
            path = cls(
                level=None if level == ENTRIES else int(level),
                number=int(re.sub(r"[x/]", "", digits)),
                width=TILE_WIDTH if width is None else int(width),
            )
            # Leading groups of zeros and a width of 256 are written other.
            exact = str(path) == text and path.width <= TILE_WIDTH
            if exact and (path.level or 0) <= HIGHEST_LEVEL:
                return path
        msg = "no tile has such a path"
        raise UnknownEntry(msg)


def tiles_of(size: int) -> list[TilePath]:
    """Name all that stands for a tree: full tiles, then partial ones.

    Args:
        size: Number of entries.

    Returns:
        Bundles and tiles, from the lowest level up; partial ones last on
        their level.

    """
    paths = [*_of_level(None, size)]
    level = 0
    while size:
        paths += _of_level(level, size)
        size >>= TILE_HEIGHT
        level += 1
    return paths


def _of_level(level: int | None, hashes: int) -> list[TilePath]:
    full, rest = divmod(hashes, TILE_WIDTH)
    paths = [TilePath(level=level, number=number) for number in range(full)]
    if rest:
        paths.append(TilePath(level=level, number=full, width=rest))
    return paths
