"""Requests for extracts that somebody wrote in the database come to nothing.

Each attack is by somebody who writes the data database alone, and wants an
extract that no second officer approved, or one that was recalled or is over.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from typer.testing import CliRunner

from api.cli.main import build
from api.routes.extracts import extract_folder
from consent import RowForged
from policy import (
    NotPermitted,
    ProposalFault,
    ProposalKind,
    RequestInvalid,
)
from policy.settled import Settled
from policy.tables import ReleaseRow
from tests.databases import KINDS, Kind
from tests.doors import Door, at_the_door
from tests.test_extracts_api import STATISTICS, as_service
from tests.test_fact_codes import put_back
from tests.test_release import COLUMNS, file, take, wanted
from tests.worlds import OFFICER, OTHER_OFFICER, build_world

TABLE = ReleaseRow.metadata.tables["policy_release"]
WAITS, TAKEN, RECALLED = "waits", "taken", "recalled"


class Stage:
    """An instance in which a request waits, one is taken, one recalled."""

    def __init__(self, door: Door) -> None:
        self.door, self.world = door, door.world
        self.desk = door.world.platform.releases
        self.ids = {
            name: file(self.world, wanted(k=3)) for name in (WAITS, TAKEN)
        }
        folder = extract_folder(self.world.home, self.ids[TAKEN])
        folder.parent.mkdir(exist_ok=True)
        take(self.world, self.ids[TAKEN], folder)
        self.ids[RECALLED] = file(self.world, wanted(k=3))
        asyncio.run(self.desk.approve(OTHER_OFFICER, self.ids[RECALLED]))
        self.recall(RECALLED)

    def recall(self, name: str) -> None:
        """Let the second officer call one back."""
        asyncio.run(
            self.desk.recall(OTHER_OFFICER, self.ids[name], reason="flaw")
        )

    def change(self, name: str, **values: object) -> None:
        """Write a row past every check of ours."""
        with self.world.platform.data.begin() as conn:
            done = conn.execute(
                TABLE.update()
                .where(TABLE.c.id == self.ids[name])
                .values(**values)
            )
            assert done.rowcount

    def sql(self, statement: str, name: str) -> None:
        """Write what the driver would not, on SQLite."""
        with self.world.platform.data.begin() as conn:
            assert conn.execute(
                text(f"{statement} WHERE id = :it"), {"it": self.ids[name].hex}
            ).rowcount

    def genuine(self) -> Mapping[UUID, bool]:
        """Which rows are said to be as they were written."""
        return {row.id: self.desk.genuine(row) for row in self.desk.releases()}

    def fetched(self, name: str) -> int:
        """With which status its recipient gets an extract."""
        path = f"/v1/extracts/{self.ids[name]}/data.csv"
        return as_service(self.door, path, *STATISTICS).status_code

    def found(self) -> list[tuple[ProposalFault, str, tuple[str, ...]]]:
        """What the sweep finds of requests, by their names here."""
        names = {str(one): name for name, one in self.ids.items()}
        return [
            (one.fault, names.get(str(one.number), "?"), one.columns)
            for one in self.world.platform.proposal_sweep.run()
            if one.kind is ProposalKind.RELEASE
        ]


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """The instance, on each database."""
    home = tmp_path_factory.mktemp("release-codes") / "home"
    with (
        build_world(home, extra=24, database=Kind(request.param)) as made,
        at_the_door(made) as door,
    ):
        yield Stage(door)


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The shared instance; what an attack did is put back."""
    with put_back(shared.world, "policy_release"):
        yield shared
        shared.world.platform.macs.required = True


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Stage]:
    """An instance for acts, of which entries stay."""
    with (
        build_world(tmp_path / "home", extra=24) as made,
        at_the_door(made) as door,
    ):
        yield Stage(door)


ATTACKS: Mapping[str, tuple[str, Mapping[str, object]]] = {
    "another filed it": (WAITS, {"officer": OTHER_OFFICER.id}),
    "it was approved": (
        WAITS,
        {"outcome": "approved", "approver": OTHER_OFFICER.id},
    ),
    "more is asked": (WAITS, {"request": "{}"}),
    "it waits again": (RECALLED, {"outcome": "requested", "approver": None}),
    "no code": (WAITS, {"mac": None}),
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_a_request_that_somebody_changed_goes_nowhere(
    stage: Stage, attack: tuple[str, Mapping[str, object]], tmp_path: Path
) -> None:
    """Neither by one officer nor by two; lists show which it is."""
    name, values = attack
    stage.change(name, **values)
    release, desk = stage.ids[name], stage.desk
    for step in (
        desk.approve(OTHER_OFFICER, release),
        desk.take(OFFICER, release, tmp_path / "out"),
        desk.recall(OTHER_OFFICER, release, reason="odd"),
    ):
        with pytest.raises(RowForged):
            asyncio.run(step)

    assert not (tmp_path / "out").exists()
    assert {one: one != release for one in stage.ids.values()} == dict(
        stage.genuine()
    )
    ((fault, found, columns),) = stage.found()
    assert (ProposalFault.ALTERED, name, "mac") == (fault, found, columns[-1])


def altered(request: str, name: str, value: object) -> str:
    """What a request asks for, with one thing else."""
    return json.dumps({**json.loads(request), name: value})


TERMS: Mapping[str, tuple[str, object]] = {
    "another service": ("service", "moving-house"),
    "another purpose": ("purpose", "address-change"),
    "other columns": ("columns", ["user.gender", "user.name.family"]),
    "another order": ("columns", [*reversed(COLUMNS)]),
    "columns that are none": ("columns", None),
    "another recipient": ("recipient", "broker"),
    "a smaller k": ("k", 2),
    "a smaller l": ("l", 1),
    "nothing sensitive": ("sensitive", None),
    "for longer": ("days", 9999),
}


@pytest.mark.parametrize("attack", TERMS.values(), ids=TERMS)
def test_what_a_request_asks_for_is_held_to_its_entry(
    stage: Stage, attack: tuple[str, object]
) -> None:
    """All of it, and where no codes are demanded, too."""
    (row,) = [
        one for one in stage.desk.releases() if one.id == stage.ids[WAITS]
    ]
    stage.change(WAITS, request=altered(row.request, *attack))
    both = (ProposalFault.ALTERED, WAITS, ("request", "mac"))
    assert [both] == stage.found()
    stage.world.platform.macs.required = False

    assert [(ProposalFault.ALTERED, WAITS, ("request",))] == stage.found()


def test_a_request_and_its_row_name_one_recipient(stage: Stage) -> None:
    """The one that lists show is the one that gets it."""
    stage.change(WAITS, recipient="broker")
    stage.world.platform.macs.required = False

    assert [(ProposalFault.ALTERED, WAITS, ("request",))] == stage.found()


UNREAD = ("", "{", "[]", "7", "{}", '"columns"', "[" * 100_000)


@pytest.mark.parametrize("request_text", UNREAD, ids=range(len(UNREAD)))
def test_a_request_that_does_not_read_is_named(
    stage: Stage, request_text: str
) -> None:
    """The sweep goes on past it."""
    stage.change(WAITS, request=request_text)
    stage.world.platform.macs.required = False

    assert [(ProposalFault.ALTERED, WAITS, ("request",))] == stage.found()


def test_a_request_whose_id_is_none_is_named(own: Stage) -> None:
    """It is about no request that was made, and that one is missed."""
    for text_of in ("'zz'", "CAST(x'ff' AS TEXT)"):
        with put_back(own.world, "policy_release"):
            own.sql(f"UPDATE policy_release SET id = {text_of}", WAITS)
            assert [
                (ProposalFault.ADDED, "?", ()),
                (ProposalFault.MISSING, WAITS, ()),
            ] == own.found()


def test_no_officer_acts_on_a_request_for_more(own: Stage) -> None:
    """The entry says what was asked, where no code does."""
    for name, value in (("k", 2), ("days", 9999)):
        (row,) = [
            one for one in own.desk.releases() if one.id == own.ids[WAITS]
        ]
        own.change(WAITS, request=altered(row.request, name, value))
        own.world.platform.macs.required = False
        with pytest.raises(RowForged, match="ledger"):
            asyncio.run(own.desk.approve(OTHER_OFFICER, own.ids[WAITS]))


def test_of_a_request_of_before_the_ledger_tells_the_columns(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its entry has no terms; k is for whoever vouches to look at."""
    monkeypatch.setattr("policy.release._beside", lambda _: None)
    own.ids["old"] = file(own.world, wanted(k=3))
    own.world.platform.macs.required = False
    (row,) = [one for one in own.desk.releases() if one.id == own.ids["old"]]
    assert [] == own.found()
    own.change("old", request=altered(row.request, "k", 2))
    assert [] == own.found()
    own.change("old", request=altered(row.request, "columns", ["user.bdate"]))

    assert [(ProposalFault.ALTERED, "old", ("request",))] == own.found()


def test_alone_neither_code_nor_ledger_lets_one_officer_take(
    own: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody approved it; without both, one would be enough."""
    own.change(WAITS, outcome="approved", approver=OTHER_OFFICER.id)
    own.world.platform.macs.required = False
    path = tmp_path / "out"
    with pytest.raises(RowForged, match="ledger"):
        asyncio.run(own.desk.take(OFFICER, own.ids[WAITS], path))
    monkeypatch.setattr(Settled, "demand", lambda *_: None)
    asyncio.run(own.desk.take(OFFICER, own.ids[WAITS], path))

    assert path.is_dir()


def test_an_extract_is_handed_out_by_its_own_row_alone(stage: Stage) -> None:
    """Not for longer than it may be used, nor after a recall."""
    (row,) = [
        one for one in stage.desk.releases() if one.id == stage.ids[TAKEN]
    ]
    assert 200 == stage.fetched(TAKEN)
    stage.change(TAKEN, expires_at=row.expires_at + 1)
    assert 404 == stage.fetched(TAKEN)
    stage.world.platform.macs.required = False
    assert 200 == stage.fetched(TAKEN)


def test_a_row_of_before_a_recall_is_named(own: Stage) -> None:
    """It has its code; that the extract was recalled is an entry."""
    assert [] == own.found()
    with put_back(own.world, "policy_release"):
        own.recall(TAKEN)
        assert 404 == own.fetched(TAKEN)
        assert [] == own.found()

    assert 200 == own.fetched(TAKEN)
    assert [(ProposalFault.ALTERED, TAKEN, ("outcome",))] == own.found()
    with pytest.raises(RowForged, match="ledger"):
        own.recall(TAKEN)


def test_what_was_recalled_is_not_there_to_be_fetched(own: Stage) -> None:
    """Whatever its row says by then; the files are kept aside."""
    home, release = own.world.home, own.ids[TAKEN]
    folder = extract_folder(home, release)
    with put_back(own.world, "policy_release"):
        asked = ["release", "recall", str(release), "--reason", "flaw"]
        told = CliRunner().invoke(
            build(), ["--home", str(home), *asked, "--as", OTHER_OFFICER.id]
        )
        assert not told.exit_code

    assert 404 == own.fetched(TAKEN)
    assert not folder.exists()
    assert (folder.parent / f"{release}.recalled" / "data.csv").is_file()


def test_what_was_added_or_taken_away_is_named(stage: Stage) -> None:
    """An entry without a row, and a row without an entry."""
    with stage.world.platform.data.begin() as conn:
        copied = conn.execute(
            TABLE.select().where(TABLE.c.id == stage.ids[WAITS])
        ).one()
        conn.execute(TABLE.insert(), {**copied._asdict(), "id": UUID(int=7)})
        conn.execute(TABLE.delete().where(TABLE.c.id == stage.ids[RECALLED]))

    assert [
        (ProposalFault.ADDED, "?", ()),
        (ProposalFault.MISSING, RECALLED, ()),
    ] == stage.found()


def test_of_two_officers_who_settle_a_request_one_is_first(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row that was authorised is the one that is changed."""
    desk = own.desk
    terms = desk._terms

    async def slow(*args: Any) -> Any:  # noqa: ANN401 - as there
        found = await terms(*args)
        monkeypatch.setattr(desk, "_terms", terms)
        await desk.approve(OTHER_OFFICER, own.ids[WAITS])
        return found

    monkeypatch.setattr(desk, "_terms", slow)
    with pytest.raises(RequestInvalid):
        asyncio.run(desk.approve(OTHER_OFFICER, own.ids[WAITS]))
    with pytest.raises(NotPermitted):
        asyncio.run(desk.recall(OFFICER, own.ids[WAITS], reason="mine"))


def test_an_officer_who_acts_between_two_looks_is_no_forger(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The row was read before, and the entries after."""
    desk, ahead = own.desk, own.desk._ahead

    def late(*args: Any) -> Any:  # noqa: ANN401 - as there
        monkeypatch.setattr(desk, "_ahead", ahead)
        asyncio.run(desk.approve(OTHER_OFFICER, own.ids[WAITS]))
        return ahead(*args)

    monkeypatch.setattr(desk, "_ahead", late)
    with pytest.raises(RequestInvalid, match="any more"):
        desk._waiting(own.ids[WAITS], "requested")


def test_what_is_entered_before_the_lock_is_no_ground_either(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Most entries are read before it; the newer ones are under it."""
    desk, ahead = own.desk, own.desk._ahead
    seen: list[Any] = []

    def late(*args: Any) -> Any:  # noqa: ANN401 - as there
        found = ahead(*args)
        seen.append(found)
        if len(seen) == 2:  # where it is settled, and not where it was read
            monkeypatch.setattr(desk, "_ahead", ahead)
            with put_back(own.world, "policy_release"):
                act = desk.approve(OTHER_OFFICER, own.ids[WAITS])
                beside.submit(asyncio.run, act).result()
        return found

    monkeypatch.setattr(desk, "_ahead", late)
    with ThreadPoolExecutor(1) as beside, pytest.raises(RowForged):
        asyncio.run(desk.approve(OTHER_OFFICER, own.ids[WAITS]))


def test_a_row_that_is_put_back_meanwhile_is_no_ground(
    own: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is asked again where the request is settled."""
    desk, terms = own.desk, own.desk._terms

    async def slow(*args: Any) -> Any:  # noqa: ANN401 - as there
        found = await terms(*args)
        monkeypatch.setattr(desk, "_terms", terms)
        with put_back(own.world, "policy_release"):
            await desk.approve(OTHER_OFFICER, own.ids[WAITS])
        return found

    monkeypatch.setattr(desk, "_terms", slow)
    with pytest.raises(RowForged, match="ledger"):
        asyncio.run(desk.approve(OTHER_OFFICER, own.ids[WAITS]))


def test_no_row_has_the_code_of_another(stage: Stage) -> None:
    """Also where all of its other columns are the same."""
    with stage.world.platform.data.begin() as conn:
        conn.execute(
            TABLE.update()
            .where(TABLE.c.id == stage.ids[WAITS])
            .values(id=UUID(int=9))
        )
    with pytest.raises(RowForged):
        asyncio.run(stage.desk.approve(OTHER_OFFICER, UUID(int=9)))
