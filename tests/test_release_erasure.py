"""Somebody is erased while an extract is made: the erasure wins.

It happens through a second platform on the same databases, in a thread and to
its end, as in another process.
"""

import asyncio
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import Connection, text

import anonymize
from api.platform import Platform
from policy import Erasure, FactsChanged, ReleaseRequest, Taken
from policy.release import officers_report
from tests.databases import Kind
from tests.worlds import (
    OFFICER,
    OTHER_OFFICER,
    World,
    build_world,
    reopen,
)
from vault import JournaledErasure, Transactions

WANTED = ReleaseRequest(
    service="statistics-office",
    purpose="population-statistics",
    recipient="statistics-office",
    columns=("user.gender", "user.bdate", "user.benefit.status"),
    k=5,
    l=2,
    sensitive="user.benefit.status",
)
GONE = "extra-9"


@pytest.fixture
def world(tmp_path: Path, database: Kind) -> Iterator[World]:
    """An instance with its cast and sixty more people."""
    with build_world(tmp_path / "home", extra=60, database=database) as made:
        yield made


def file(world: World) -> UUID:
    """File a request as the first officer."""
    return asyncio.run(world.platform.releases.request(OFFICER, WANTED))


def take(
    world: World,
    release: UUID,
    folder: Path,
    progress: Callable[[str, int, int], None] = lambda *_: None,
) -> Taken:
    """Take it as the other officer."""
    return asyncio.run(
        world.platform.releases.take(
            OTHER_OFFICER, release, folder, progress=progress
        )
    )


@contextmanager
def beside(
    world: World,
    moment: str,
    act: Callable[[Platform], object],
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str, int, int], None]]:
    """Let something happen once, elsewhere, at a moment of a take.

    Yields what the take tells its progress to.
    """
    left = [act]
    other = reopen(world)

    def happen() -> None:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(left.pop(), other).result()

    def meanwhile(stage: str, _done: int, _total: int) -> None:
        if stage == moment and left:
            happen()

    write = anonymize.write_extract

    def written(*arguments: Any) -> None:  # noqa: ANN401 - as the original
        write(*arguments)
        if moment == "written" and left:
            happen()

    monkeypatch.setattr(anonymize, "write_extract", written)
    try:
        yield meanwhile
        assert not left
    finally:
        other.close()


def kept(world: World) -> int:
    """How many rows of people the guard keeps."""
    with world.platform.data.connect() as conn:
        return int(
            conn.execute(
                text("SELECT count(*) FROM policy_released_person")
            ).scalar_one()
        )


def assert_nothing_of(world: World, release: UUID, folder: Path) -> None:
    """No file, no state, and the request waits as it did."""
    assert not folder.exists()
    assert not officers_report(folder).exists()
    assert 0 == kept(world)
    assert not world.platform.releases._released.has(release)
    found = {one.id: one for one in world.platform.releases.releases()}
    assert "requested" == found[release].outcome


@pytest.mark.parametrize("moment", ["cohort", "rows", "check", "written"])
def test_who_is_erased_meanwhile_is_in_no_extract(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """The take is refused and leaves nothing; taken again it is without."""
    release, gone = file(world), world.cast[GONE]
    stages: list[str] = []

    with beside(
        world, moment, lambda one: one.eraser.erase(gone), monkeypatch
    ) as progress:

        def told(stage: str, done: int, total: int) -> None:
            stages.append(stage)
            progress(stage, done, total)

        with pytest.raises(FactsChanged, match="erased who would be in it"):
            take(world, release, tmp_path / "out", told)

    assert_nothing_of(world, release, tmp_path / "out")
    # Nothing is made of rows that are known to be empty.
    assert (moment in {"check", "written"}) == ("check" in stages)
    taken = take(world, release, tmp_path / "again")
    assert taken.rows_out == kept(world)
    there = [*world.platform.vault.subjects()]
    assert taken.rows_in == len(there) - taken.left_out
    assert [] == world.platform.releases.own_releases(gone)


@pytest.mark.parametrize("moment", ["check", "written"])
def test_who_is_erased_in_part_is_in_no_extract(
    world: World,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    moment: str,
) -> None:
    """Of records that are read as one, one that is gone already counts."""
    absorbed = world.cast[GONE]
    with world.platform.data.begin() as conn:
        world.platform.vault.merge(conn, world.cast["extra-8"], absorbed)
    release = file(world)

    with (
        beside(
            world,
            moment,
            lambda one: one.eraser._erase_one(absorbed),
            monkeypatch,
        ) as progress,
        pytest.raises(FactsChanged, match="erased who would be in it"),
    ):
        take(world, release, tmp_path / "out", progress)

    assert_nothing_of(world, release, tmp_path / "out")


def test_an_erasure_that_was_cut_off_counts(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rows are there still, and its intent stands with the keys."""
    release, gone = file(world), world.cast[GONE]

    with (
        beside(
            world,
            "check",
            lambda one: one.vault.keys.begin_erasure(gone, None),
            monkeypatch,
        ) as progress,
        pytest.raises(FactsChanged, match="erased who would be in it"),
    ):
        take(world, release, tmp_path / "out", progress)

    assert_nothing_of(world, release, tmp_path / "out")


def test_an_erasure_that_is_under_way_is_waited_for(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Begun before the extract is kept and committed after, it wins."""
    release, gone = file(world), world.cast[GONE]
    begun, awaited = Event(), Event()
    run = Transactions.run

    def kept_beside(self: Transactions, work: Callable[..., object]) -> object:
        if self is world.platform.releases._transactions and begun.is_set():
            awaited.set()
        return run(self, work)

    def slowly(one: Platform) -> None:
        forget = one.eraser._forget

        def after(conn: Connection, erasure: JournaledErasure) -> None:
            begun.set()
            assert awaited.wait(60)
            forget(conn, erasure)

        monkeypatch.setattr(one.eraser, "_forget", after)
        monkeypatch.setattr(Transactions, "run", kept_beside)
        erasures.append(pool.submit(one.eraser.erase, gone))
        assert begun.wait(60)

    erasures: list[Future[Erasure]] = []
    with (
        ThreadPoolExecutor(1) as pool,
        beside(world, "check", slowly, monkeypatch) as progress,
        pytest.raises(FactsChanged, match="erased who would be in it"),
    ):
        take(world, release, tmp_path / "out", progress)

    assert erasures[0].result().report.subject == gone
    assert_nothing_of(world, release, tmp_path / "out")
