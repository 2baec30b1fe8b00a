"""The release desk: two officers, one cohort, criteria on the bytes."""

import asyncio
import contextlib
import csv
import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from sqlalchemy import text

import anonymize
from anonymize import (
    CriteriaNotMet,
    OutputExists,
    SuccessionRefused,
    check_folder,
)
from api.settings import Settings
from consent.verifier import main
from policy import (
    Caller,
    CallerKind,
    FactsChanged,
    NoDecision,
    NotPermitted,
    ReleasedStore,
    ReleaseRefused,
    ReleaseRequest,
    RequestInvalid,
    RestraintKind,
    RestraintStore,
    Taken,
)
from policy.pdp import Cause
from policy.release import officers_report, parse_terms
from tests.databases import Kind
from tests.worlds import (
    OFFICER,
    OTHER_OFFICER,
    World,
    build_world,
    person_values,
)

COLUMNS = ("user.gender", "user.bdate", "user.benefit.status")


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[World]:
    """An instance with its cast and sixty more people."""
    home = tmp_path_factory.mktemp("release") / "home"
    with build_world(home, extra=60, database=database) as made:
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


def test_notes_name_nobody_else_of_the_release_either(
    tmp_path: Path,
) -> None:
    """Every value of everybody is found in every note, however written.

    A name in the other order has the label that the person's own note gives
    it. The numbers are of a form that no rule knows.
    """
    with build_world(tmp_path / "home") as world:
        people = [quoting(number) for number in range(40)]
        world.platform.registrar.admit_now(people, source="register")
        take(
            world,
            file(world, wanted(columns=(*COLUMNS, "user.case.note"))),
            tmp_path / "out",
        )
        written = (tmp_path / "out" / "data.csv").read_text("utf-8")

    values = {
        value[name]
        for value in people
        for name in ("user.name.family", "user.tax.number")
    }
    assert set() == {value for value in values if value in written}
    assert set() == {
        value for value in values if f"{value[:3]}-{value[3:]}" in written
    }
    notes = re.findall(r"I am <PERSON_(\d+)>, not <PERSON_(\d+)>", written)
    assert 40 == len(notes)
    assert {mine for mine, _ in notes} == {other for _, other in notes}


def quoting(number: int) -> dict[str, str]:
    """Somebody whose note names the next person, and their number."""

    def tax(of: int) -> str:
        return f"qz{7_000_000 + of * 7919}"

    other = (number + 1) % 40
    names = [f"Zq{chr(97 + n // 26)}{chr(97 + n % 26)}vik" for n in range(40)]
    return {
        **person_values(300 + number),
        "user.name.given": "Qolf",
        "user.name.family": names[number],
        "user.tax.number": tax(number),
        "user.case.note": (
            f"I am Qolf {names[number]}, not {names[other]} Qolf; "
            f"the file is {tax(other)[:3]}-{tax(other)[3:]}."
        ),
    }


def object_to_statistics(world: World, name: str) -> None:
    """Object as one of the cast."""
    platform = world.platform
    restraints = RestraintStore(
        tenant="test",
        engine=platform.data,
        consents=platform.consents,
        random=platform.random,
    )
    with platform.data.begin() as conn:
        restraints.impose(
            conn,
            world.cast[name],
            RestraintKind.OBJECTION,
            purpose="population-statistics",
            now=world.clock(),
        )
        platform.consents.bump(conn, world.cast[name])


def last_detail(world: World, outcome: str) -> dict[str, object]:
    """Return what the last entry of that outcome says."""
    ledger = world.platform.ledger
    found = [
        one.body
        for one in ledger.audit_entries(
            after=max(ledger.size() - 8, 0) - 1, limit=8
        )
        if one.body is not None and one.body.outcome == outcome
    ]
    return dict(found[-1].detail)


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


def test_the_recipient_is_not_told_who_was_left_out(
    world: World, tmp_path: Path
) -> None:
    """No count of people handed in or suppressed is in the recipient's."""
    taken = take(world, file(world, wanted()), tmp_path / "out")
    folder = tmp_path / "out"
    report = json.loads((folder / "report.json").read_bytes())
    manifest = json.loads((folder / "manifest.json").read_bytes())
    full = json.loads((tmp_path / "out.officer.json").read_bytes())
    proof = json.loads((folder / "proof.json").read_bytes())
    detail = json.loads(proof["audit"]["body"])["detail"]

    assert {"out"} == {*report["rows"]}
    assert "allowed" not in report["asked"]
    assert "handed in" not in (folder / "report.md").read_text("utf-8")
    assert taken.rows_out == manifest["rows"]["in"] == manifest["rows"]["out"]
    assert {"approver", "expires_at", "manifest", "rows"} == {*detail}
    assert taken.rows_in == full["rows"]["in"]
    assert report["utility"]["ncp"] == manifest["reached"]["ncp"]


def test_the_report_says_what_the_release_rests_on(
    world: World, tmp_path: Path
) -> None:
    """Declaration, grounds, consents as of an entry; counts to one copy."""
    entries = world.platform.ledger.size()
    release = file(world, wanted())
    taken = take(world, release, tmp_path / "out")

    shown = json.loads((tmp_path / "out" / "report.json").read_bytes())
    officers = json.loads(officers_report(tmp_path / "out").read_bytes())
    declared = world.platform.consents.declaration(
        "statistics-office", "population-statistics"
    )
    assert declared is not None
    stated = shown["basis"]["stated"]
    assert declared.digest in stated["Declaration"]
    assert "public-task" == stated["Legal grounds"]
    # The request itself is one entry.
    as_of = stated["Consents and restrictions as of"]
    assert as_of.endswith(f"ledger entry {entries + 1}")
    assert {} == shown["basis"]["counted"]
    counted = officers["basis"]["counted"]
    assert taken.rows_in == counted["People whose columns may all be used"]
    assert taken.left_out == counted["People left out"]
    assert shown["attacks"]["passed"]
    assert "effects" in officers["earlier_releases"]
    assert "effects" not in shown["earlier_releases"]


def test_a_taken_folder_refuses_before_anything_is_read(
    world: World, tmp_path: Path
) -> None:
    """The request waits on, and can be taken elsewhere."""
    release = file(world, wanted())
    size = world.platform.ledger.size()
    with pytest.raises(OutputExists):
        take(world, release, tmp_path)
    assert size == world.platform.ledger.size()

    assert take(world, release, tmp_path / "out").rows_out


def verified(world: World, folder: Path) -> int:
    """Check a folder as its recipient does, with the one file alone."""
    key = world.platform.ledger_vkey
    return main([str(folder / "proof.json"), "--vkey", key])


def test_an_extract_is_signed_and_proved_offline(
    world: World, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As it is it holds; with any file changed, missing or of another, not."""
    folder, other = tmp_path / "out", tmp_path / "other"
    take(world, file(world, wanted()), folder)
    take(world, file(world, wanted()), other)
    assert 0 == verified(world, folder)
    assert "the extract is the one" in capsys.readouterr().out

    for name in ("data.csv", "report.json", "report.md", "manifest.json"):
        path = folder / name
        good = path.read_bytes()
        path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
        assert 1 == verified(world, folder), name
        path.unlink()
        assert 1 == verified(world, folder), name
        path.write_bytes(good)
    proof = folder / "proof.json"
    good = proof.read_bytes()
    for part in ("statement", "audit", "subject", "proof"):
        mixed = json.loads(good)
        mixed[part] = json.loads((other / "proof.json").read_text())[part]
        if part == "subject":
            mixed[part] = "0" * 64
        proof.write_text(json.dumps(mixed))
        assert 1 == verified(world, folder), part
    proof.write_bytes(good)
    assert 0 == verified(world, folder)


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


def take_with(
    world: World, release: UUID, folder: Path, beside: Callable[[], object]
) -> Taken:
    """Take it, and let something happen once while the criteria are checked.

    It happens in a thread and to its end, as in another process.
    """
    left = [beside]

    def meanwhile(stage: str, _done: int, _total: int) -> None:
        if stage == "check" and left:
            with ThreadPoolExecutor(1) as pool:
                pool.submit(left.pop()).result()

    taken = asyncio.run(
        world.platform.releases.take(
            OTHER_OFFICER
            if outcome_of(world, release) == "requested"
            else OFFICER,
            release,
            folder,
            progress=meanwhile,
        )
    )
    assert not left
    return taken


def outcome_of(world: World, release: UUID) -> str:
    """How a request stands."""
    found = {one.id: one for one in world.platform.releases.releases()}
    return found[release].outcome


def assert_nothing_of(folder: Path) -> None:
    """Neither the extract's folder nor the officer's report is there."""
    assert not folder.exists()
    assert not officers_report(folder).exists()


def test_of_two_takes_at_once_one_waits(world: World, tmp_path: Path) -> None:
    """What was not made beside the other is not kept; taken again, it is."""
    first, second = file(world, wanted()), file(world, wanted())

    with pytest.raises(FactsChanged, match="take it again"):
        take_with(
            world,
            first,
            tmp_path / "first",
            lambda: take(world, second, tmp_path / "second"),
        )

    assert_nothing_of(tmp_path / "first")
    assert {} == {**last_detail(world, "delayed")}
    assert "requested" == outcome_of(world, first)
    assert "taken" == outcome_of(world, second)
    assert (tmp_path / "second").exists()
    take(world, first, tmp_path / "again")
    assert "taken" == outcome_of(world, first)


def test_a_release_taken_twice_at_once_is_taken_once(
    world: World, tmp_path: Path
) -> None:
    """The second of two takes of one request has no file and no part."""
    release = file(world, wanted())

    with pytest.raises(RequestInvalid, match="taken once"):
        take_with(
            world,
            release,
            tmp_path / "late",
            lambda: take(world, release, tmp_path / "out"),
        )

    assert_nothing_of(tmp_path / "late")
    assert "taken" == outcome_of(world, release)
    assert (tmp_path / "out").exists()


def test_a_recall_during_a_take_stands(world: World, tmp_path: Path) -> None:
    """Who is recalled while the classes are made is not taken."""
    desk = world.platform.releases
    release = file(world, wanted())
    asyncio.run(desk.approve(OTHER_OFFICER, release))

    with pytest.raises(RequestInvalid, match="any more"):
        take_with(
            world,
            release,
            tmp_path / "out",
            lambda: asyncio.run(
                desk.recall(OTHER_OFFICER, release, reason="too fine")
            ),
        )

    assert "recalled" == outcome_of(world, release)
    assert_nothing_of(tmp_path / "out")
    assert not desk._released.has(release)


def test_a_recall_while_files_are_written_stands(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After the classes were kept it still ends the extract: files go."""
    desk = world.platform.releases
    release = file(world, wanted())
    asyncio.run(desk.approve(OTHER_OFFICER, release))
    write = anonymize.write_extract

    def written(*arguments: Any) -> None:  # noqa: ANN401 - as the original
        write(*arguments)
        with ThreadPoolExecutor(1) as pool:
            pool.submit(
                asyncio.run,
                desk.recall(OTHER_OFFICER, release, reason="too fine"),
            ).result()

    monkeypatch.setattr(anonymize, "write_extract", written)
    with pytest.raises(RequestInvalid, match="any more"):
        asyncio.run(desk.take(OFFICER, release, tmp_path / "out"))

    assert "recalled" == outcome_of(world, release)
    assert_nothing_of(tmp_path / "out")


def test_an_approval_beside_a_take_ends_one_of_them(
    world: World, tmp_path: Path
) -> None:
    """A take does not go on from what it read before the approval."""
    desk = world.platform.releases
    release = file(world, wanted())

    with pytest.raises(RequestInvalid, match="any more"):
        take_with(
            world,
            release,
            tmp_path / "out",
            lambda: asyncio.run(desk.approve(OTHER_OFFICER, release)),
        )

    assert "approved" == outcome_of(world, release)
    assert_nothing_of(tmp_path / "out")
    asyncio.run(desk.take(OFFICER, release, tmp_path / "again"))
    assert "taken" == outcome_of(world, release)


def test_an_approval_after_a_take_does_not_undo_it(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Approval of what was requested when it was read, and taken since."""
    desk = world.platform.releases
    release = file(world, wanted())
    terms = desk._terms

    async def slow(officer: Caller, asked: ReleaseRequest) -> object:
        found = await terms(officer, asked)
        monkeypatch.undo()
        with ThreadPoolExecutor(1) as pool:
            pool.submit(take, world, release, tmp_path / "out").result()
        return found

    monkeypatch.setattr(desk, "_terms", slow)
    with pytest.raises(RequestInvalid, match="any more"):
        asyncio.run(desk.approve(OTHER_OFFICER, release))

    assert "taken" == outcome_of(world, release)


# From here on people leave, so that less and less can be taken.


def test_an_extract_that_would_tell_who_left_is_delayed(
    world: World, tmp_path: Path
) -> None:
    """Who objects is out at once, and too small a difference waits."""
    platform = world.platform
    before = take(world, file(world, wanted()), tmp_path / "before")
    gone = world.cast["extra-7"]
    assert before.release in {
        one.release for one in platform.releases.own_releases(gone)
    }
    object_to_statistics(world, "extra-7")

    after = take(world, file(world, wanted()), tmp_path / "after")

    assert before.left_out + 1 == after.left_out
    assert before.rows_in - 1 == after.rows_in
    # Not one row is missing but that of a whole class.
    assert before.rows_out - after.rows_out >= before.k
    assert after.release not in {
        one.release for one in platform.releases.own_releases(gone)
    }
    for name in ("extra-20", "extra-33", "extra-46"):
        object_to_statistics(world, name)
    release = file(world, wanted())
    with pytest.raises(SuccessionRefused):
        take(world, release, tmp_path / "later")

    assert not (tmp_path / "later").exists()
    assert "withheld" in last_detail(world, "delayed")
    outcomes = {one.id: one.outcome for one in platform.releases.releases()}
    assert "requested" == outcomes[release]


def test_a_colluding_recipient_is_guarded_as_one(world: World) -> None:
    """What one of a group had counts for the others, and for nobody else."""
    store = ReleasedStore(
        tenant="test",
        engine=world.platform.data,
        key=b"k" * 32,
        groups=Settings(
            colluding="one+other,other+last,apart+third"
        ).colluding_groups(),
    )
    with world.platform.data.begin() as conn:
        release, members = uuid4(), {"x": 0, "y": 0}
        store.remember(
            conn,
            release,
            "one",
            "a/b",
            1,
            members,
            {"ill": {"x": "flu", "y": "gout"}},
        )

    past = store.past("other", "a/b", ["x"], {"ill": ["flu"]}).past
    counted = past.values[0][0]["ill"]
    assert 1 == counted["flu"]
    # Nobody of today has the other value: it is counted, and has no name.
    assert 2 == sum(counted.values())
    assert "gout" not in counted
    with world.platform.data.connect() as conn:
        stored = conn.execute(text("SELECT counted FROM policy_released"))
        assert not [row for row in stored.scalars() if "flu" in row]
    three = store.past("other", "a/b", ["x", "y", "z"])
    assert ([0, 0, -1],) == three.past.classes
    assert {release} == three.releases
    # Who shares with one who shares with the first is of the same group.
    assert ([0],) == store.past("last", "a/b", ["x"]).past.classes
    assert () == store.past("third", "a/b", ["x"]).past.classes
    assert () == store.past("one", "a/c", ["x"]).past.classes


def test_what_was_released_tells_nobody_and_is_erased(
    world: World, tmp_path: Path
) -> None:
    """The state names nobody, and an erased person is in none of it."""
    platform = world.platform
    with contextlib.suppress(SuccessionRefused):
        take(world, file(world, wanted()), tmp_path / "out")
    subject = world.cast["extra-9"]
    count = text("SELECT count(*) FROM policy_released_person")
    tags = text("SELECT tag FROM policy_released_person")
    with platform.data.connect() as conn:
        before = conn.execute(count).scalar_one()
        stored = b"".join(bytes(tag) for tag in conn.execute(tags).scalars())
    mine = len(platform.releases.own_releases(subject))
    assert mine
    assert subject.bytes not in stored

    platform.eraser.erase(subject)

    with platform.data.connect() as conn:
        assert before - mine == conn.execute(count).scalar_one()
    assert [] == platform.releases.own_releases(subject)


def test_an_extract_is_approved_by_a_second_officer(
    world: World, tmp_path: Path
) -> None:
    """Not by who filed it; once approved, who filed it may take it."""
    desk = world.platform.releases
    release = file(world, wanted())
    with pytest.raises(NotPermitted):
        asyncio.run(desk.approve(OFFICER, release))
    asyncio.run(desk.approve(OTHER_OFFICER, release))
    with pytest.raises(RequestInvalid):
        asyncio.run(desk.approve(OTHER_OFFICER, release))

    with contextlib.suppress(SuccessionRefused):
        asyncio.run(desk.take(OFFICER, release, tmp_path / "out"))

    row = next(one for one in desk.releases() if one.id == release)
    assert OTHER_OFFICER.id == row.approver


def test_a_recalled_or_expired_extract_is_not_usable(world: World) -> None:
    """Recall and expiry end it; the entry says who recalled it and why."""
    desk = world.platform.releases
    row = next(one for one in desk.releases() if one.outcome == "taken")
    assert desk.usable(row)
    assert row.expires_at is not None
    world.clock.now, before = row.expires_at, world.clock.now
    assert not desk.usable(row)
    world.clock.now = before

    with pytest.raises(NotPermitted):
        asyncio.run(desk.recall(OFFICER, row.id, reason="mine"))
    asyncio.run(desk.recall(OTHER_OFFICER, row.id, reason="too fine"))

    again = next(one for one in desk.releases() if one.id == row.id)
    assert not desk.usable(again)
    assert row.manifest == again.manifest
    assert "too fine" == last_detail(world, "recalled")["reason"]
