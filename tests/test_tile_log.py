"""Tiles: their paths, their bytes, and a monitor that needs nothing else."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from consent.checkpoint import Checkpoint
from consent.compact_range import CompactRange
from consent.errors import LedgerInconsistent, UnknownEntry
from consent.ledger import Ledger
from consent.merkle import hash_leaf
from consent.tile_paths import TilePath, tiles_of
from tests.ledgers import DATABASES, fill, make_ledger, open_empty, wipe
from tests.test_checkpoint import entries
from tests.test_merkle import defined_root

Fetch = Callable[[str], bytes]


@pytest.fixture(
    scope="module",
    params=[
        "sqlite",
        pytest.param("postgresql", marks=pytest.mark.postgresql),
    ],
)
def engine(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engine]:
    """Open an empty database of each kind."""
    assert request.param in DATABASES
    opened = open_empty(request.param, tmp_path_factory.mktemp("tiles"))
    yield opened
    opened.dispose()


@pytest.fixture
def ledger(engine: Engine) -> Ledger:
    """Return an empty ledger."""
    wipe(engine)
    return make_ledger(engine)


class Monitor:
    """Whoever watches a log by its tiles, written from the specification.

    It takes nothing from the project but the hash of a leaf's data.
    """

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch

    def root(self, size: int) -> bytes:
        """Recompute the root of a size from leaf data and from tiles."""
        hashes = self.hashes(None, size)
        assert hashes == self.hashes(0, size)
        root = defined_root(hashes)
        level = 1
        while size >> (8 * level):
            full = size >> (8 * level)
            above = [
                defined_root(hashes[n * 256 : (n + 1) * 256])
                for n in range(full)
            ]
            assert above == self.hashes(level, full)
            hashes, level = above, level + 1
        return root

    def hashes(self, level: int | None, count: int) -> list[bytes]:
        """Fetch all hashes of a level."""
        found: list[bytes] = []
        for number in range(-(-count // 256)):
            width = min(256, count - 256 * number)
            part = "" if width == 256 else f".p/{width}"
            named = "entries" if level is None else str(level)
            tile = self._fetch(f"tile/{named}/{number:03d}{part}")
            if level is None:
                found += [hash_leaf(each) for each in entries(tile)]
            else:
                found += [tile[n : n + 32] for n in range(0, len(tile), 32)]
            assert 256 * number + width == len(found)
        return found


def fetch_from(ledger: Ledger) -> Fetch:
    """Fetch from the ledger itself."""
    return lambda path: ledger.tiles.read(TilePath.parse(path))


def signed(note: str) -> Checkpoint:
    """Read a checkpoint that is trusted here."""
    return Checkpoint.parse(note.rpartition("\n\n")[0] + "\n")


@pytest.mark.parametrize("sizes", [(1, 2, 255, 256, 257), (511, 512, 700)])
def test_a_monitor_recomputes_every_root(
    ledger: Ledger, sizes: tuple[int, ...]
) -> None:
    """At each checkpoint the tiles alone give the signed root.

    Those of earlier checkpoints still do when the ledger has grown.
    """
    roots: dict[int, bytes] = {}
    for size in sizes:
        fill(ledger, size - ledger.size())
        found = signed(ledger.checkpoint())
        roots[found.size] = found.root
        monitor = Monitor(fetch_from(ledger))
        for earlier, root in roots.items():
            assert root == monitor.root(earlier)

    assert list(sizes) == list(roots)


def test_nothing_beyond_the_last_checkpoint(ledger: Ledger) -> None:
    """Entries that no checkpoint covers are not shown."""
    fill(ledger, 5)
    with pytest.raises(UnknownEntry):
        ledger.tiles.read(TilePath(level=0, number=0, width=1))
    ledger.checkpoint()
    fill(ledger, 300)
    held = ledger.tiles.read(TilePath(level=0, number=0, width=5))

    assert 5 * 32 == len(held)
    for level in (None, 0):
        for width in (6, 256):
            with pytest.raises(UnknownEntry):
                ledger.tiles.read(TilePath(level=level, number=0, width=width))
    with pytest.raises(UnknownEntry):
        ledger.tiles.read(TilePath(level=1, number=0, width=1))


def test_a_partial_tile_is_the_start_of_the_full_one(ledger: Ledger) -> None:
    """What was answered once is answered for ever."""
    fill(ledger, 255)
    ledger.checkpoint()
    path = TilePath(level=0, number=0, width=255)
    bundle = TilePath(level=None, number=0, width=255)
    before = ledger.tiles.read(path), ledger.tiles.read(bundle)
    fill(ledger, 10)
    ledger.checkpoint()

    assert before == (ledger.tiles.read(path), ledger.tiles.read(bundle))
    whole = ledger.tiles.read(TilePath(level=0, number=0))
    assert (8192, True) == (len(whole), whole.startswith(before[0]))


def test_a_tile_that_is_not_whole_is_not_served(ledger: Ledger) -> None:
    """Missing hashes or entries are an error and never a shorter answer."""
    fill(ledger, 600)
    ledger.checkpoint()
    with ledger.engine.begin() as conn:
        conn.execute(text("DELETE FROM ledger_entry WHERE idx = 513"))
        conn.execute(
            text("UPDATE ledger_tile SET hashes = :h WHERE level = 1"),
            {"h": bytes(32)},
        )
    for path in (
        TilePath(level=None, number=2, width=88),
        TilePath(level=0, number=2, width=88),
        TilePath(level=1, number=0, width=2),
    ):
        with pytest.raises(LedgerInconsistent):
            ledger.tiles.read(path)


@pytest.mark.corpus
def test_a_tessera_log_gives_the_same_tiles(
    corpus: Path, ledger: Ledger
) -> None:
    """A monitor of ours reads another maker's log, at all 16 sizes."""
    log = corpus / "vectors/tessera-log/testdata/log"
    monitor = Monitor(lambda path: (log / path).read_bytes())
    for size in range(16):
        lines = (log / f"checkpoint.{size}").read_text("utf-8").splitlines()

        assert size == int(lines[1])
        assert base64.b64decode(lines[2]) == monitor.root(size)
        assert all((log / str(path)).is_file() for path in tiles_of(size))
    assert 0 == ledger.size()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(level=0, number=0), "tile/0/000"),
        (TilePath(level=3, number=999), "tile/3/999"),
        (TilePath(level=0, number=1000), "tile/0/x001/000"),
        (TilePath(level=0, number=1234067), "tile/0/x001/x234/067"),
        (
            TilePath(level=None, number=1234067, width=8),
            "tile/entries/x001/x234/067.p/8",
        ),
        (TilePath(level=63, number=0, width=255), "tile/63/000.p/255"),
    ],
)
def test_paths_as_the_specification_has_them(
    path: TilePath, text: str
) -> None:
    """Its own example among them; each is read back."""
    assert text == str(path)
    assert path == TilePath.parse(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tile/0/0",
        "tile/0/0000",
        "tile/00/000",
        "tile/64/000",
        "tile/-1/000",
        "tile/0/x000/001",
        "tile/0/001/002",
        "tile/0/x001",
        "tile/0/000.p/0",
        "tile/0/000.p/01",
        "tile/0/000.p/256",
        "tile/0/000.p/999",
        "tile/0/000.p/",
        "tile/0/000/",
        "tile/0/٠٠٠",
        "tile/entries/000\n",
        "tile/Entries/000",
        "/tile/0/000",
        "tile/0/../0/000",
        "tile/0/" + "x001/" * 7 + "001",
    ],
)
def test_malformed_paths(text: str) -> None:
    """Anything but the one exact form names nothing."""
    with pytest.raises(UnknownEntry):
        TilePath.parse(text)


@given(
    st.builds(
        TilePath,
        level=st.none() | st.integers(0, 63),
        number=st.integers(0, 10**18),
        width=st.integers(1, 256),
    )
)
def test_paths_are_not_malleable(path: TilePath) -> None:
    """Each path is read back from the one text that it writes."""
    assert path == TilePath.parse(str(path))


def test_the_specifications_tree_of_70000() -> None:
    """273 full and 1 partial tile, then 1 and 1, then 1 of width 1."""
    paths = [path for path in tiles_of(70_000) if path.level is not None]
    shapes = [
        (
            level,
            width,
            sum(p.level == level and p.width == width for p in paths),
        )
        for level, width in ((0, 256), (0, 112), (1, 256), (1, 17), (2, 1))
    ]

    assert [273, 1, 1, 1, 1] == [count for _, _, count in shapes]
    assert 277 == len(paths)
    assert 274 == len(tiles_of(70_000)) - len(paths)
    assert ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"] == [
        str(path) for path in tiles_of(256)
    ]
    assert [] == tiles_of(0)


def test_the_end_of_a_path_is_the_least_size() -> None:
    """A tile is asked for only of trees that hold all of it."""
    for size in (1, 255, 256, 257, 65_536, 70_000):
        assert all(path.end <= size for path in tiles_of(size))
    assert 65_536 == TilePath(level=1, number=0).end
    assert 1 == CompactRange(1, [bytes(32)]).size
