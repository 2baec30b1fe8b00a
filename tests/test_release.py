"""The release desk: two officers, one cohort, criteria on the bytes."""

import asyncio
import csv
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from anonymize import CriteriaNotMet, check_folder
from policy import (
    Caller,
    CallerKind,
    NoDecision,
    NotPermitted,
    ReleaseRefused,
    ReleaseRequest,
    RequestInvalid,
    RestraintKind,
    RestraintStore,
    Taken,
)
from policy.pdp import Cause
from policy.release import parse_terms
from tests.worlds import OFFICER, OTHER_OFFICER, World, build_world

COLUMNS = ("user.gender", "user.bdate", "user.benefit.status")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance with its cast and sixty more people."""
    home = tmp_path_factory.mktemp("release") / "home"
    with build_world(home, extra=60) as made:
        yield made


def wanted(**changes: object) -> ReleaseRequest:
    """A request that the policies allow, with changes."""
    fields: dict[str, object] = {
        "service": "statistics-office",
        "purpose": "population-statistics",
        "recipient": "statistics-office",
        "columns": COLUMNS,
        "k": 5,
        "l": 2,
        "sensitive": "user.benefit.status",
    }
    return ReleaseRequest(**{**fields, **changes})


def file(world: World, request: ReleaseRequest) -> UUID:
    """File a request as the first officer."""
    return asyncio.run(world.platform.releases.request(OFFICER, request))


def take(world: World, release: UUID, folder: Path) -> Taken:
    """Take it as the other officer."""
    return asyncio.run(
        world.platform.releases.take(OTHER_OFFICER, release, folder)
    )


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Read the extract as its recipient would."""
    with (folder / "data.csv").open(encoding="utf-8") as opened:
        return list(csv.DictReader(opened))


def test_an_extract_meets_its_criteria_on_the_bytes(
    world: World, tmp_path: Path
) -> None:
    """What was written has k and l, by code that did not write it."""
    taken = take(world, file(world, wanted()), tmp_path / "out")

    checked = check_folder(tmp_path / "out", None)
    assert (taken.k, taken.l) == (checked.k, checked.l)
    assert checked.k >= 5
    assert (checked.l or 0) >= 2
    assert taken.rows_out == len(rows_of(tmp_path / "out"))


def test_no_identifier_of_a_person_is_in_an_extract(
    world: World, tmp_path: Path
) -> None:
    """Names, numbers, streets and ids of people are in none of the files."""
    release = file(world, wanted(columns=(*COLUMNS, "user.case.note")))
    take(world, release, tmp_path / "out")

    text = "".join(
        path.read_text("utf-8") for path in (tmp_path / "out").iterdir()
    )
    names = {
        value[name]
        for value in world.values.values()
        for name in ("user.identity.number", "user.name.family")
    }
    ids = {str(subject) for subject in world.cast.values()}
    assert set() == {found for found in names | ids if found in text}
    assert "called about a letter" in text


def test_people_who_object_are_not_in_the_next_extract(
    world: World, tmp_path: Path
) -> None:
    """An objection leaves the next extract at once (invariant 11)."""
    platform = world.platform
    before = take(world, file(world, wanted()), tmp_path / "before")
    restraints = RestraintStore(
        tenant="test", engine=platform.data, random=platform.random
    )
    with platform.data.begin() as conn:
        restraints.impose(
            conn,
            world.cast["extra-7"],
            RestraintKind.OBJECTION,
            purpose="population-statistics",
            now=world.clock(),
        )
        platform.consents.bump(conn, world.cast["extra-7"])

    after = take(world, file(world, wanted()), tmp_path / "after")

    assert before.left_out + 1 == after.left_out
    assert before.rows_in - 1 == after.rows_in


def test_an_extract_that_misses_its_criteria_gives_no_rows(
    world: World, tmp_path: Path
) -> None:
    """No file, no folder, and an entry that says so (invariant 11)."""
    release = file(world, wanted(k=1000))

    with pytest.raises(CriteriaNotMet):
        take(world, release, tmp_path / "out")

    assert not (tmp_path / "out").exists()
    last = world.platform.ledger.audit_entries(
        after=world.platform.ledger.size() - 2, limit=1
    )[0]
    assert last.body is not None
    assert "unmet" == last.body.outcome
    outcomes = {
        one.id: one.outcome for one in world.platform.releases.releases()
    }
    assert "unmet" == outcomes[release]


def test_reading_is_recorded_before_the_vault_opens(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the first row opens, the entry is durable."""
    platform = world.platform
    release = file(world, wanted())
    before = platform.ledger.size()
    seen: list[int] = []
    real = platform.vault.read_many

    def read_many(grants: object) -> object:
        seen.append(platform.ledger.size())
        return real(grants)

    monkeypatch.setattr(platform.vault, "read_many", read_many)
    take(world, release, tmp_path / "out")

    assert [before + 1] == seen


def test_the_manifest_is_in_the_ledger(world: World, tmp_path: Path) -> None:
    """The entry after the extract holds the hash of its manifest."""
    taken = take(world, file(world, wanted()), tmp_path / "out")

    entry = world.platform.ledger.audit_entries(
        after=taken.ledger_index - 1, limit=1
    )[0]
    assert entry.body is not None
    assert taken.manifest == entry.body.detail["manifest"]


def test_who_asks_does_not_take(world: World, tmp_path: Path) -> None:
    """The officer who filed a request cannot take it."""
    release = file(world, wanted())

    with pytest.raises(NotPermitted) as caught:
        asyncio.run(
            world.platform.releases.take(OFFICER, release, tmp_path / "out")
        )

    assert "separation_of_duties" in caught.value.reasons
    assert not (tmp_path / "out").exists()


def test_a_release_is_taken_once(world: World, tmp_path: Path) -> None:
    """A taken or unknown release is not waiting any more."""
    release = file(world, wanted())
    take(world, release, tmp_path / "out")

    with pytest.raises(RequestInvalid):
        take(world, release, tmp_path / "again")


def test_only_an_analyst_requests(world: World) -> None:
    """Without the role nothing is filed."""
    clerk = Caller(kind=CallerKind.OFFICER, id="clerk", roles=("registrar",))

    with pytest.raises(NotPermitted):
        asyncio.run(world.platform.releases.request(clerk, wanted()))


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"recipient": "somebody"}, "recipient_not_declared"),
        ({"purpose": "other"}, "service_not_registered"),
        ({"columns": (*COLUMNS, "user.income.annual")}, "not_declared"),
        ({"columns": (*COLUMNS, "user.no.such")}, "unknown_attribute"),
        ({"sensitive": None}, "sensitive_not_declared"),
    ],
)
def test_the_policies_refuse_other_terms(
    world: World, changes: dict[str, object], code: str
) -> None:
    """Refused by name, and the refusal is recorded."""
    before = world.platform.ledger.size()

    with pytest.raises(ReleaseRefused) as caught:
        file(world, wanted(**changes))

    assert code in caught.value.reasons
    assert before + 1 == world.platform.ledger.size()


def test_a_weaker_k_is_raised_to_the_declared_one(
    world: World, tmp_path: Path
) -> None:
    """Who asks for k = 2 gets what the declaration promised."""
    taken = take(world, file(world, wanted(k=2, l=1)), tmp_path / "out")

    assert taken.k >= 3


def test_pseudonyms_of_two_releases_do_not_join(
    world: World, tmp_path: Path
) -> None:
    """No pseudonym of one release is in another."""
    found = []
    for name in ("one", "two"):
        take(world, file(world, wanted()), tmp_path / name)
        found.append({row["pseudonym"] for row in rows_of(tmp_path / name)})

    assert set() == found[0] & found[1]
    assert {32} == {len(one) for one in found[0]}


GOOD = {
    "schema": "curtilage/release/1",
    "allow": True,
    "reasons": [],
    "columns": {"a": {"role": "quasi"}},
    "k": 5,
    "l": 1,
    "suppression_limit": 0.05,
    "epsilon": 0,
    "pseudonym": "per-release",
}


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "x"},
        {"allow": 1},
        {"allow": None},
        {"columns": None},
        {"columns": {}},
        {"columns": {"a": {"role": "public"}}},
        {"columns": {"a": "quasi"}},
        {"columns": {"a": {"role": "quasi"}, "b": {"role": "other"}}},
        {"k": 1},
        {"k": "5"},
        {"k": True},
        {"suppression_limit": 1},
        {"pseudonym": "national"},
    ],
)
def test_malformed_terms_are_no_decision(changes: dict[str, object]) -> None:
    """Anything but the promised shape is no decision."""
    with pytest.raises(NoDecision) as caught:
        parse_terms({**GOOD, **changes}, ("a",))

    assert Cause.MALFORMED is caught.value.cause
