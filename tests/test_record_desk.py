"""Officers link, merge and part records, and people dispute values."""

import asyncio
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from consent import EntryKind
from policy import (
    Caller,
    CallerKind,
    EpochWitness,
    FoundPeople,
    NotPermitted,
    PersonUnknown,
    Sought,
)
from tests.databases import KINDS, Kind
from tests.test_holding import held
from tests.worlds import (
    CITY,
    OFFICER,
    OTHER_OFFICER,
    STREET,
    World,
    build_world,
)
from vault import (
    DisputeOutcome,
    DisputeState,
    FindingKind,
    MergedSubject,
    NotIndexed,
    SubjectHeld,
    UnknownDispute,
)

CARD = "user.identifier.card"


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A small instance, on each database."""
    kind = Kind(request.param)
    with build_world(tmp_path / "home", database=kind) as made:
        yield made


def entries(world: World, name: str) -> list[tuple[str, str, dict]]:
    """What the person's own entries say, newest first."""
    platform = world.platform
    holding = platform.vault.own_holding(world.cast[name])
    key = platform.vault.log_key(holding)
    return [
        (one.kind, one.outcome, dict(one.detail))
        for one in platform.ledger.own_entries(key, limit=50)
    ]


def merge(world: World, one: str, other: str) -> None:
    """Merge two characters."""
    asyncio.run(
        world.platform.records.merge(
            OFFICER, world.cast[one], world.cast[other], justification="same"
        )
    )


def unmerge(world: World, one: str, other: str) -> None:
    """Part them again."""
    asyncio.run(
        world.platform.records.unmerge(
            OFFICER, world.cast[one], world.cast[other], justification="two"
        )
    )


def test_a_link_is_recorded_for_the_person(world: World) -> None:
    """The entry names the channel and the officer, never the identifier."""
    records, subject = world.platform.records, world.cast["consenting"]
    card = (CARD, "C-0001")
    asyncio.run(records.link(OFFICER, subject, card, source="counter"))
    assert subject == world.platform.vault.look_up.find(*card)
    asyncio.run(records.unlink(OFFICER, subject, card))

    assert world.platform.vault.look_up.find(*card) is None
    said = entries(world, "consenting")[:2]
    assert [
        (EntryKind.LINK, "unlinked", {"by": "officer-1", "epoch": 3}),
        (EntryKind.LINK, "linked", {"by": "officer-1", "epoch": 2}),
    ] == said
    assert "C-0001" not in repr(said)


def test_a_merge_is_recorded_for_both(world: World) -> None:
    """Each learns which record was joined to theirs, by whom and why."""
    merge(world, "consenting", "refusing")

    one, other = world.cast["consenting"], world.cast["refusing"]
    for name, peer in (("consenting", other), ("refusing", one)):
        kind, outcome, detail = entries(world, name)[0]
        assert (EntryKind.MERGE, "merged") == (kind, outcome)
        assert {
            "by": "officer-1",
            "with": str(peer),
            "justification": "same",
            "preferences": None,
            "epoch": 2,
        } == detail
    caller = world.caller("consenting")
    uses = asyncio.run(
        world.platform.person.own_uses(caller, one, before=None, limit=50)
    )
    assert 2 == sum(use.kind is EntryKind.MERGE for use in uses)
    assert sorted({use.index for use in uses}, reverse=True) == [
        use.index for use in uses
    ]


def test_who_may_and_what_can_be_merged(world: World) -> None:
    """A registrar who says why; people who are there; once."""
    records = world.platform.records
    one, other = world.cast["consenting"], world.cast["refusing"]
    for caller, why in ((OFFICER, " "), (world.caller("consenting"), "x")):
        with pytest.raises(NotPermitted):
            asyncio.run(records.merge(caller, one, other, justification=why))
    for nobody in (uuid4(), world.cast["erased"]):
        with pytest.raises(PersonUnknown):
            asyncio.run(records.merge(OFFICER, one, nobody, justification="x"))
    size = world.platform.ledger.size()
    with pytest.raises(MergedSubject):
        unmerge(world, "consenting", "refusing")
    assert size == world.platform.ledger.size()


def test_restraints_of_either_hold_for_both(world: World) -> None:
    """Merging never opens what the person had restricted."""
    assert "released" == _ask(world, "consenting")
    merge(world, "consenting", "restricted")
    assert "refused" == _ask(world, "consenting")
    assert "refused" == _ask(world, "restricted")
    unmerge(world, "consenting", "restricted")
    assert "released" == _ask(world, "consenting")


def test_the_last_answer_of_either_counts(world: World) -> None:
    """Answers count in the order they were given, whoever's they were."""
    merge(world, "valueless", "consenting")

    assert "released" == _ask(world, "valueless")
    replayed = asyncio.run(
        world.platform.replay.replay(
            world.platform.pdp,
            _last_decision(world, "valueless"),
            world.cast["valueless"],
        )
    )
    assert () == replayed.differs


def _ask(world: World, name: str) -> str:
    found = asyncio.run(
        world.platform.gate.disclose(world.request(name, STREET))
    )
    (one,) = found.attributes
    return "refused" if one.value is None else "released"


def _last_decision(world: World, name: str) -> UUID:
    platform = world.platform
    key = platform.vault.log_key(platform.vault.own_holding(world.cast[name]))
    return platform.ledger.own_entries(key, limit=1)[0].decision


def test_merged_people_are_erased_together(world: World) -> None:
    """Whichever id is asked for, neither comes back."""
    merge(world, "consenting", "refusing")
    asyncio.run(
        world.platform.registrar.erase(
            OFFICER,
            world.cast["refusing"],
            proposer="somebody",
            justification="asked for it",
        )
    )

    for name in ("consenting", "refusing"):
        assert world.platform.vault.holding(world.cast[name]).erased
    assert [] == list(world.platform.vault.verify())


def test_a_person_disputes_and_an_officer_resolves(world: World) -> None:
    """The statement is sealed with the value; the entry says only that."""
    records, subject = world.platform.records, world.cast["consenting"]
    person = world.caller("consenting")
    made = asyncio.run(
        records.dispute(person, subject, CITY, "I moved in May.")
    )
    shown = asyncio.run(world.platform.person.own_view(person, subject))
    (city,) = [one.record for one in shown if one.attribute == CITY]
    assert (made,) == city.disputes
    with pytest.raises(NotPermitted):
        asyncio.run(
            records.close_dispute(
                person, subject, CITY, made.id, outcome=DisputeOutcome.REMOVED
            )
        )
    asyncio.run(
        records.close_dispute(
            OFFICER, subject, CITY, made.id, outcome=DisputeOutcome.CONFIRMED
        )
    )
    with pytest.raises(UnknownDispute):
        asyncio.run(records.close_dispute(person, subject, CITY, made.id))

    shown = asyncio.run(world.platform.person.own_view(person, subject))
    (city,) = [one.record for one in shown if one.attribute == CITY]
    assert DisputeState.RESOLVED is city.disputes[0].state
    said = entries(world, "consenting")
    assert ["confirmed", "disputed"] == [
        outcome for kind, outcome, _ in said if kind is EntryKind.DISPUTE
    ]
    assert "May" not in repr(said)


def test_nobody_disputes_for_somebody_else(world: World) -> None:
    """But an officer, by name."""
    records, subject = world.platform.records, world.cast["consenting"]
    with pytest.raises(NotPermitted):
        asyncio.run(
            records.dispute(world.caller("refusing"), subject, CITY, "No.")
        )
    made = asyncio.run(records.dispute(OFFICER, subject, CITY, "No."))
    assert "officer-1" == made.by


def find(world: World, text: str, *, whole: bool = True) -> FoundPeople:
    """Look people up as an officer, by card or by city."""
    return asyncio.run(
        world.platform.records.find(
            OFFICER,
            Sought(attribute=CARD if whole else CITY, text=text, whole=whole),
            justification="lost her card",
        )
    )


def test_a_look_up_is_recorded_for_whoever_was_found(world: World) -> None:
    """With reason and officer, never with what was looked for."""
    records, subject = world.platform.records, world.cast["consenting"]
    asyncio.run(records.link(OFFICER, subject, (CARD, "C-1"), source="desk"))
    merge(world, "refusing", "consenting")

    found = find(world, "C-1")
    assert (world.cast["refusing"],) == found.subjects
    kind, outcome, detail = entries(world, "refusing")[0]
    assert (EntryKind.LOOKUP, "found") == (kind, outcome)
    assert {"justification": "lost her card", "by": "officer-1"} == detail
    uses = asyncio.run(
        world.platform.person.own_uses(
            world.caller("refusing"), found.subjects[0], before=None, limit=1
        )
    )
    assert ((CARD,), found.index) == (uses[0].attributes, uses[0].index)
    world.platform.ledger.verify()


def test_a_look_up_of_nobody_is_recorded_too(world: World) -> None:
    """So that officers do not try numbers unseen."""
    found = find(world, "C-404")
    assert () == found.subjects
    (entry,) = asyncio.run(
        world.platform.registrar.audit(OFFICER, after=found.index - 1)
    )
    assert (EntryKind.LOOKUP, "nobody", (CARD,)) == (
        entry.body.kind,
        entry.body.outcome,
        entry.body.attributes,
    )
    assert "C-404" not in repr(entry)


def test_people_are_found_by_how_a_value_begins(world: World) -> None:
    """Where such an index is declared; everybody found learns of it."""
    with pytest.raises(NotIndexed):
        find(world, "Mors", whole=False)
    vault = world.platform.vault
    some = vault.enrol_many(64)
    with world.platform.data.begin() as conn:
        vault.put_many(
            conn,
            [(one, {CITY: f"Mo{n % 8}rs{n}"}) for n, one in enumerate(some)],
            source="desk",
        )
    vault.index.add(CITY, prefix=3)
    world.clock.now += 6
    found = find(world, "Mo3", whole=False)
    assert {*some[3::8]} == {*found.subjects}
    for one in found.subjects:
        key = vault.log_key(vault.own_holding(one))
        (entry,) = world.platform.ledger.own_entries(key)
        assert "found" == entry.outcome


@pytest.mark.parametrize("why", ["a service", "the person", "no reason"])
def test_only_officers_with_a_reason_look_up(world: World, why: str) -> None:
    """And a refused look-up looks at nothing."""
    caller = {
        "a service": Caller(kind=CallerKind.SERVICE, id="moving-house"),
        "the person": world.caller("consenting"),
        "no reason": OFFICER,
    }[why]
    with pytest.raises(NotPermitted):
        asyncio.run(
            world.platform.records.find(
                caller,
                Sought(attribute="no.such", text="C-1"),
                justification="" if why == "no reason" else "curious",
            )
        )


def test_a_value_of_the_other_record_is_disputed_there(world: World) -> None:
    """It stays with the value when the two are parted; so does its end."""
    records, vault = world.platform.records, world.platform.vault
    one, other = world.cast["valueless"], world.cast["consenting"]
    assert CITY not in vault.holding(one).present
    merge(world, "valueless", "consenting")
    person = world.caller("valueless")
    made = asyncio.run(records.dispute(person, one, CITY, "Not so."))
    shown = asyncio.run(world.platform.person.own_view(person, one))
    (city,) = [each.record for each in shown if each.attribute == CITY]
    assert (made,) == city.disputes
    assert "disputed" == entries(world, "consenting")[0][1]
    unmerge(world, "valueless", "consenting")
    asyncio.run(
        records.close_dispute(world.caller("consenting"), other, CITY, made.id)
    )
    assert [] == list(vault.verify())


def test_a_held_record_is_not_parted(world: World) -> None:
    """The hold is on both, and apart one of them could be erased."""
    merge(world, "consenting", "refusing")
    hold = held(world, "refusing")
    with pytest.raises(SubjectHeld):
        unmerge(world, "consenting", "refusing")
    for officer in (OFFICER, OTHER_OFFICER):
        asyncio.run(world.platform.holds.lift(officer, hold))
    unmerge(world, "consenting", "refusing")


def test_every_use_and_change_leaves_the_epoch(world: World) -> None:
    """Disclosure, own view, officer's view and correction witness it."""
    platform, subject = world.platform, world.cast["consenting"]
    witness = EpochWitness(vault=platform.vault, ledger=platform.ledger)
    assert 0 == witness(subject)
    _ask(world, "consenting")
    assert 1 == witness(subject)
    asyncio.run(
        platform.registrar.correct(
            OFFICER, subject, {CITY: "Hull"}, source="desk"
        )
    )
    assert 2 == witness(subject)
    asyncio.run(
        platform.registrar.officer_view(
            OFFICER, subject, frozenset({CITY}), justification="asked"
        )
    )
    asyncio.run(platform.person.own_view(world.caller("consenting"), subject))
    assert [2, 2, 2, 1] == [
        detail["epoch"]
        for _, _, detail in entries(world, "consenting")
        if "epoch" in detail
    ]
    assert 0 == witness(uuid4())


def _verify(home: Path) -> tuple[int, set[tuple[str, str]]]:
    said = CliRunner().invoke(
        build(), ["--home", str(home), "vault", "verify", "--json"]
    )
    found = json.loads(said.stdout)["findings"]
    return said.exit_code, {(one["kind"], one["subject"]) for one in found}


def test_the_sweep_finds_and_names_every_kind(tmp_path: Path) -> None:
    """Altered, moved, dropped, set back alone, set back as a whole."""
    home = tmp_path / "home"
    with build_world(home) as world:
        names = [
            "consenting",
            "limited",
            "refusing",
            "withdrawn",
            "restricted",
        ]
        cast = {name: world.cast[name] for name in names}
        path = home / "data" / "data.db"
        before = _rows(path, cast["restricted"])
        alone = _rows(path, cast["withdrawn"])
        for name in ("restricted", "withdrawn"):
            asyncio.run(
                world.platform.registrar.correct(
                    OFFICER, cast[name], {CITY: "Hull"}, source="desk"
                )
            )
    assert (0, set()) == _verify(home)
    tables = ("vault_subject", "vault_value", "vault_history")
    with sqlite3.connect(path) as database:
        run = database.execute
        run(
            "UPDATE vault_value SET sealed = zeroblob(length(sealed)) "
            "WHERE subject = ? AND attribute = 13",
            (cast["consenting"].hex,),
        )
        run(
            "UPDATE vault_value SET sealed = (SELECT sealed FROM vault_value "
            "WHERE subject = ? AND attribute = 12) "
            "WHERE subject = ? AND attribute = 12",
            (cast["restricted"].hex, cast["limited"].hex),
        )
        run(
            "DELETE FROM vault_value WHERE subject = ? AND attribute = 13",
            (cast["refusing"].hex,),
        )
        (old,) = [row for row in alone["vault_value"] if row[2] == 13]
        run(
            "UPDATE vault_value SET version = ?, sealed = ? "
            "WHERE subject = ? AND attribute = 13",
            (*old[3:], cast["withdrawn"].hex),
        )
        for table in tables:
            run(
                f"DELETE FROM {table} WHERE subject = ?",
                (cast["restricted"].hex,),
            )
            for row in before[table]:
                marks = ",".join("?" * len(row))
                run(f"INSERT INTO {table} VALUES ({marks})", row)
    database.close()

    code, found = _verify(home)
    assert 1 == code
    assert {
        (FindingKind.ALTERED, "consenting"),
        (FindingKind.MOVED, "limited"),
        (FindingKind.MISSING, "refusing"),
        (FindingKind.ALTERED, "withdrawn"),
        (FindingKind.ROLLED_BACK, "restricted"),
    } <= {
        (kind, name)
        for kind, subject in found
        for name in names
        if str(cast[name]) == subject
    }


def _rows(path: Path, subject: UUID) -> dict[str, list[tuple]]:
    with sqlite3.connect(path) as database:
        found = {
            table: database.execute(
                f"SELECT * FROM {table} WHERE subject = ?", (subject.hex,)
            ).fetchall()
            for table in ("vault_subject", "vault_value", "vault_history")
        }
    database.close()
    return found
