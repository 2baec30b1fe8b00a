"""A candidate is tried on the past, and nobody is seen in what comes of it."""

import asyncio
import functools
import itertools
import json
import operator
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from api.cli.main import build
from consent import (
    Behavior,
    Declaration,
    EventType,
    LegalBasis,
    Preferences,
    Rule,
    Terms,
)
from policy import (
    Caller,
    CallerKind,
    Candidate,
    Form,
    Guard,
    Impact,
    ImpactStudy,
    MonthTables,
    NotPermitted,
    RequestInvalid,
    ScanFile,
    Scanner,
    load_bundle,
)
from policy.decisions import parse_decision
from policy.facts import FactSource
from policy.gate import ENTRYPOINT
from policy.impact import History
from policy.impact_guard import BASE, MINIMUM
from policy.impact_months import Table
from policy.restraints import RestraintStore
from policy.situations import STEPS, Months, months, read_situation
from policy.store import DecisionStore, answer_document, parted
from tests.databases import Kind
from tests.engines import unhurried
from tests.worlds import (
    BIRTH,
    DECLARATION,
    EVERYTHING,
    MOBILE,
    OFFICER,
    PURPOSE,
    SERVICE,
    World,
    build_world,
)
from vault import CryptoFailure, NoteBox

MONTH = 31 * 86_400
KEY = bytes(range(32))
CONSENTING, SILENT = 30, 26


class NoGuard(Guard):
    """Counts as they are: what a test takes away."""

    def published(self, cell: int, people: int) -> int:
        """Say how many, whoever they are."""
        del cell
        return people


def scan_file(world: World) -> ScanFile:
    """Where scans of a test wait that were stopped."""
    return ScanFile(
        world.home / "test.scan",
        KEY,
        lambda: world.platform.journal.newest_erasure,
    )


def facts_of(world: World) -> FactSource:
    """What reads the facts of decisions."""
    platform = world.platform
    return FactSource(
        vault=platform.vault,
        consents=platform.consents,
        restraints=RestraintStore(
            tenant=platform.settings.tenant,
            engine=platform.data,
            consents=platform.consents,
            random=os.urandom,
        ),
        classification=platform.classification,
    )


def study(
    world: World,
    guard: Guard | None = None,
    *,
    page: int = 400,
    file: ScanFile | None = None,
    tables: str = "",
) -> ImpactStudy:
    """What the platform has, with a guard of the test's own.

    Nothing was counted before, unless `tables` names where it was kept.
    """
    platform = world.platform
    guard = guard or Guard(KEY)
    return ImpactStudy(
        scanner=Scanner(
            vault=platform.vault,
            consents=platform.consents,
            decisions=DecisionStore(
                tenant=platform.settings.tenant, engine=platform.data
            ),
            reader=platform.reader,
            mark=guard.mark,
            page=page,
        ),
        guard=guard,
        file=file or scan_file(world),
        tables=MonthTables(world.home / (tables or uuid4().hex), KEY),
        gate=platform.gate,
        facts=facts_of(world),
        consents=platform.consents,
    )


def consent(world: World, names: list[str], **more: Any) -> None:  # noqa: ANN401 - of an event
    """Let people answer yes on paper."""
    world.platform.registrar.enter_forms_now(
        [
            Form(
                subject=world.cast[name],
                answers=(replace(world.event(name, EventType.GIVEN), **more),),
            )
            for name in names
        ]
    )


async def ask(world: World, names: list[str]) -> None:
    """Let the service ask about people."""
    for name in names:
        await world.platform.gate.disclose(world.request(name))


def erase(world: World, name: str) -> None:
    """Erase somebody through the officer's door."""
    world.run(
        world.platform.registrar.erase(
            OFFICER,
            world.cast[name],
            proposer="somebody",
            justification="asked for it",
        )
    )


EXTRA = [f"extra-{n}" for n in range(CONSENTING + SILENT)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """A world with a month that has ended, and that month."""

    world: World
    months: Months

    def history(self, guard: Guard | None = None) -> History:
        """Count it."""
        return study(self.world, guard).scan(self.months, lambda _: None)

    def impact(
        self, declaration: Declaration, guard: Guard | None = None
    ) -> Impact:
        """Try a declaration on it."""
        return study(self.world, guard).compare(
            Candidate(bundle=load_bundle(), declaration=declaration),
            self.history(guard),
        )


def ended(world: World) -> Months:
    """The month of the world's clock, which then moves to the next."""
    at = world.clock()
    world.clock.now += MONTH
    return months(at, at, world.clock())


@pytest.fixture(scope="module")
def past(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Past]:
    """Thirty who said yes and six and twenty who said nothing, asked about.

    And the cast: each of them alone in their situation.
    """
    home = tmp_path_factory.mktemp("impact") / "home"
    with build_world(home, extra=len(EXTRA), database=database) as world:
        consent(world, EXTRA[:CONSENTING])
        names = [*EXTRA, "limited", "refusing", "withdrawn", "valueless"]
        world.run(ask(world, [*names, "restricted", "nobody"]))
        yield Past(world=world, months=ended(world))


def without_mobile(declaration: Declaration) -> Declaration:
    """A version that no longer asks for the telephone."""
    [one] = declaration.statements
    return replace(
        declaration,
        version=2,
        statements=(
            replace(
                one,
                data=tuple(
                    item for item in one.data if item.attribute != MOBILE
                ),
            ),
        ),
    )


def by_law(declaration: Declaration) -> Declaration:
    """A version that rests on a public task and asks nobody."""
    [one] = declaration.statements
    return replace(
        declaration,
        version=2,
        statements=(replace(one, basis=LegalBasis.PUBLIC_TASK),),
    )


def test_a_service_is_seen_to_lose_what_it_no_longer_declares(
    past: Past,
) -> None:
    """Of those who had agreed; nothing is said of anything else."""
    found = past.impact(without_mobile(past.world.declaration))

    assert [(MOBILE, "release", "withhold", False)] == [
        (one.attribute, one.was, one.becomes, one.gains)
        for one in found.changes
    ]
    [change] = found.changes
    assert (SERVICE, PURPOSE) == (change.service, change.purpose)
    assert abs(change.people - CONSENTING) < BASE


def test_a_service_is_seen_to_gain_what_law_would_give_it(past: Past) -> None:
    """Of those who had not answered, everything it declares."""
    found = past.impact(by_law(past.world.declaration))

    assert found.changes
    assert all(one.gains for one in found.changes)
    assert {"withhold"} == {one.was for one in found.changes}
    assert BIRTH in {one.attribute for one in found.changes}
    for one in found.changes:
        assert abs(one.people - SILENT) < BASE


def test_a_situation_decides_as_its_decisions_did(past: Past) -> None:
    """For each that there was, rare ones included: the answer of then."""
    made = study(past.world, NoGuard(KEY))
    history = past.history(NoGuard(KEY))
    pdp = unhurried()
    seen = Counter[str]()
    for text, people in history.people.items():
        found = read_situation(text)
        answer = pdp.evaluate(
            ENTRYPOINT,
            made.document(None, found, history.rules[found.preferences]),
        )
        assert isinstance(answer, dict)
        decision = parse_decision(
            answer, found.stored.request.attributes, revision=""
        )
        assert found.stored.answer == answer_document(decision.attributes)
        seen["people"] += people
    assert len(EXTRA) + 6 == seen["people"]
    assert len(history.people) >= 7


def test_no_id_and_no_instant_of_a_person_is_in_a_situation(
    past: Past,
) -> None:
    """Of what a candidate sees, nothing was theirs alone."""
    platform = past.world.platform
    ids = {
        str(event.id)
        for who in past.world.cast.values()
        for event in platform.consents.all_events(who)
    } | {str(who) for who in past.world.cast.values()}
    assert len(ids) > CONSENTING
    for text in past.history(NoGuard(KEY)).people:
        assert not [one for one in ids if one in text]
        assert past.months.since == json.loads(text)["now"]


@given(
    service=st.text(),
    names=st.lists(st.text()),
    events=st.lists(st.uuids()),
    uses=st.dictionaries(st.text(), st.lists(st.integers())),
)
def test_a_stored_decision_is_cut_where_it_says(
    service: str,
    names: list[str],
    events: list[UUID],
    uses: dict[str, list[int]],
) -> None:
    """Whatever stands in its texts; what is cut out is what was there."""
    body = {
        "v": 1,
        "now": 5,
        "service": service,
        "attributes": [*names, ',"events":["x"]'],
        "declaration": ',"events":[',
        "events": [str(one) for one in events],
        "preferences": 3,
        "uses": {**uses, "events": []},
    }
    cut = parted(json.dumps(body, separators=(",", ":")).encode())

    assert 5 == cut.now
    assert body["events"] == json.loads(cut.events)
    rest = {name: body[name] for name in body if name not in {"v", "now"}}
    assert {**rest, "events": []} == json.loads(cut.rest)


def test_what_is_no_stored_decision_is_not_cut() -> None:
    """An altered document is refused."""
    with pytest.raises(ValueError, match="not a stored decision"):
        parted(b'{"v":2,"now":5,"events":[]}')


# --- the guard -----------------------------------------------------------


@given(
    st.binary(min_size=32, max_size=32),
    st.integers(0, 2**256 - 1),
    st.integers(0, 500),
)
def test_a_count_is_rounded_and_the_same_again(
    key: bytes, cell: int, people: int
) -> None:
    """A multiple of ten, near what it was, or nothing; whoever asks again."""
    found = Guard(key).published(cell, people)

    assert found == Guard(key).published(cell, people)
    assert 0 == found % BASE
    if found:
        assert found >= 2 * BASE
        assert people > MINIMUM
        assert abs(found - people) < BASE
    else:
        assert people < 2 * BASE


def test_where_counting_begins_is_not_known() -> None:
    """It differs by who is counted, between eleven and twenty people."""
    guard = Guard(KEY)
    first = {
        next(n for n in itertools.count() if guard.published(cell, n))
        for cell in range(400)
    }
    assert set(range(MINIMUM + 1, 2 * BASE + 1)) == first


def test_marks_make_one_cell_of_the_same_people_in_any_order() -> None:
    """And another of any others, of another key too."""
    guard = Guard(KEY)
    people = [uuid4() for _ in range(25)]

    def cell(guard: Guard, people: list[UUID]) -> int:
        return functools.reduce(operator.xor, map(guard.mark, people))

    assert cell(guard, people) == cell(guard, people[::-1])
    assert cell(guard, people) != cell(guard, people[1:])
    assert cell(guard, people) != cell(Guard(KEY[::-1]), people)


# --- attacks -------------------------------------------------------------


def test_one_more_person_in_a_rare_situation_changes_no_answer(
    tmp_path: Path,
) -> None:
    """Whatever is asked: all answers are of the same guarded counts."""
    with build_world(tmp_path / "home", extra=len(EXTRA)) as world:
        consent(world, EXTRA[:CONSENTING])

        async def story() -> tuple[History, History, History, History]:
            await ask(world, EXTRA)
            within = months(world.clock(), world.clock(), 2**33)
            before = study(world).scan(within, lambda _: None)
            bare = study(world, NoGuard(KEY)).scan(within, lambda _: None)
            await ask(world, ["limited"])
            return (
                before,
                study(world).scan(within, lambda _: None),
                bare,
                study(world, NoGuard(KEY)).scan(within, lambda _: None),
            )

        before, after, bare, told = world.run(story())
        assert before.people
        assert before.people == after.people
        # Without the guard the same questions would tell of that person.
        assert 1 == sum(told.people.values()) - sum(bare.people.values())


def test_overlapping_questions_subtracted_leave_a_guarded_count(
    past: Past,
) -> None:
    """One candidate is made for one person more than another is.

    Both take the telephone from all who agreed; the second also takes the
    date of birth from whoever has it generalized, which is one person.
    """
    first = without_mobile(past.world.declaration)
    [one] = first.statements
    second = replace(
        first,
        statements=(
            replace(
                one,
                data=tuple(
                    item for item in one.data if item.attribute != BIRTH
                ),
            ),
        ),
    )
    generalized = [
        change
        for guard in (Guard(KEY), NoGuard(KEY))
        for change in past.impact(second, guard).changes
        if change.was.startswith("generalize")
    ]
    # Unguarded it would be found, and it would be that person.
    assert [1] == [change.people for change in generalized]
    for candidate in (first, second):
        for change in past.impact(candidate).changes:
            assert 0 == change.people % BASE
            assert change.people >= 2 * BASE


@given(flipped=st.sets(st.integers(0, 11)), more=st.sets(st.integers(0, 11)))
def test_no_two_questions_differ_by_fewer_than_a_guarded_count(
    flipped: set[int], more: set[int]
) -> None:
    """For every pair of sets of situations that candidates may pick out.

    Situations have 1 to 34 people. The difference of two sums is nothing, or
    consists of counts of which each stands for more than `MINIMUM` people.
    """
    sizes = dict(enumerate(range(1, 37, 3)))
    guard = Guard(KEY)

    def answer(chosen: set[int]) -> int:
        return sum(guard.published(n, sizes[n]) for n in chosen)

    rare = {n for n, size in sizes.items() if size <= MINIMUM}
    assert answer(flipped) == answer(flipped | rare)
    difference = answer(flipped | more) - answer(flipped)
    assert 0 == difference % BASE
    assert difference == 0 or difference >= 2 * BASE


SAME = 25
MANY = 200
PROMISES = ("delete_by", "mask", "notify")


def subsets(names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All of them, the small ones first."""
    for size in range(len(names) + 1):
        yield from itertools.combinations(names, size)


async def store_in_many_ways(world: World, names: list[str]) -> None:
    """Store what the gate would, had all been asked about in many ways."""
    platform = world.platform
    source = facts_of(world)
    store = DecisionStore(
        tenant=platform.settings.tenant, engine=platform.data
    )
    ways = itertools.islice(
        itertools.product(list(subsets(EVERYTHING))[1:], subsets(PROMISES)),
        MANY,
    )
    subjects = [world.cast[name] for name in names]
    boxes = {
        one: NoteBox(platform.vault.log_keys(one)[0], random=os.urandom)
        for one in subjects
    }
    now = world.clock()
    request = world.request(names[0])
    with platform.data.begin() as conn:
        facts = {
            one: source.about(
                conn,
                one,
                request,
                now,
                known=True,
                present=frozenset(EVERYTHING),
            )
            for one in subjects
        }
        for attributes, promises in ways:
            asked = replace(
                request,
                attributes=attributes,
                understands=frozenset(promises),
            )
            decided = await platform.gate.decide(
                asked, facts[subjects[0]], now
            )
            for one in subjects:
                store.writer(
                    uuid4(), asked, facts[one], decided, now, notes=boxes[one]
                )(conn)


def test_the_same_people_in_many_situations_have_one_count(
    tmp_path: Path,
) -> None:
    """So a service that asks in many ways gets one rounding, not many."""
    with build_world(tmp_path / "home", extra=SAME) as world:
        names = EXTRA[:SAME]
        consent(world, names)
        asyncio.run(store_in_many_ways(world, names))
        past = Past(world=world, months=ended(world))
        bare = past.history(NoGuard(KEY)).people
        assert [SAME] * MANY == list(bare.values())
        counts = past.history().people.values()
        assert MANY == len(counts)
        assert 1 == len(set(counts))


def test_an_erasure_does_not_show_between_two_answers(tmp_path: Path) -> None:
    """The month was counted before it, and is not counted again."""
    with build_world(tmp_path / "home", extra=SAME) as world:
        names = EXTRA[:SAME]
        consent(world, names)
        world.run(ask(world, names))
        past = Past(world=world, months=ended(world))
        opened: list[int] = []

        def histories() -> list[History]:
            return [
                study(world, guard, tables=where).scan(
                    past.months, opened.append
                )
                for guard, where in (
                    (None, "kept"),
                    (NoGuard(KEY), "bare"),
                    (NoGuard(KEY), ""),
                )
            ]

        before = histories()
        assert before[0].people
        total = study(world, tables="kept").total(past.months)
        assert 0 == total
        opened.clear()
        erase(world, names[0])
        after = histories()
        assert before[:2] == after[:2]
        assert SAME - 1 == sum(opened)
        # Counted again, it would tell of that person.
        assert [SAME] == list(before[2].people.values())
        assert [SAME - 1] == list(after[2].people.values())


def test_what_is_kept_of_a_month_has_nothing_rare(past: Past) -> None:
    """Guarded counts, and the preferences of those alone; sealed."""
    study(past.world, tables="looked-at").scan(past.months, lambda _: None)
    folder = past.world.home / "looked-at"
    [name] = past.months.names
    [file] = list(folder.iterdir())
    assert name == file.name
    assert SERVICE.encode() not in file.read_bytes()
    assert 0o600 == file.stat().st_mode & 0o777
    assert 0o700 == folder.stat().st_mode & 0o777
    table = MonthTables(folder, KEY).find(name)
    assert table is not None
    assert table.people
    assert all(people >= 2 * BASE for people in table.people.values())
    assert set(table.rules) == {
        json.loads(text)["preferences"] for text in table.people
    }


def test_of_two_tables_of_a_month_the_first_is_kept(tmp_path: Path) -> None:
    """And one that was moved or altered is not taken, nor made anew."""
    tables = MonthTables(tmp_path / "tables", KEY)
    first = Table(month="2026-01", people={"a": 20}, rules={})
    assert tables.find("2026-01") is None
    assert first == tables.keep(first)
    assert first == tables.keep(replace(first, people={"a": 30}))
    assert first == tables.find("2026-01")
    file = tmp_path / "tables" / "2026-01"
    assert [file] == list(file.parent.iterdir())
    file.rename(file.with_name("2026-02"))
    with pytest.raises(CryptoFailure):
        tables.find("2026-02")
    with pytest.raises(CryptoFailure):
        tables.keep(replace(first, month="2026-02"))


def test_a_month_more_is_counted_beside_those_that_are_kept(
    tmp_path: Path,
) -> None:
    """Only what is new is opened."""
    with build_world(tmp_path / "home", extra=SAME) as world:
        names = EXTRA[:SAME]
        consent(world, names)

        async def story() -> tuple[Months, Months]:
            first = world.clock()
            await ask(world, names)
            world.clock.now += MONTH
            await ask(world, names)
            world.clock.now += MONTH
            now = world.clock()
            return months(first, first, now), months(first, now, now)

        one, both = world.run(story())
        made = study(world, tables="kept")
        made.scan(one, lambda _: None)
        opened: list[int] = []
        assert SAME == made.total(both)
        found = made.scan(both, opened.append)
        assert SAME == sum(opened)
        assert found == study(world).scan(both, lambda _: None)


def test_months_add_up_to_the_question_about_all_of_them(
    tmp_path: Path,
) -> None:
    """So subtracting windows leaves a month, and nothing narrower exists."""
    with build_world(tmp_path / "home", extra=len(EXTRA)) as world:
        consent(world, EXTRA[:CONSENTING])

        async def story() -> list[History]:
            first = world.clock()
            await ask(world, EXTRA)
            world.clock.now += MONTH
            second = world.clock()
            await ask(world, EXTRA[:CONSENTING])
            world.clock.now += MONTH
            now = world.clock()
            made = study(world)
            return [
                made.scan(months(since, until, now), lambda _: None)
                for since, until in (
                    (first, second),
                    (first, first),
                    (second, second),
                )
            ]

        both, first, second = world.run(story())
        assert 2 == len(both.months)
        assert both.people == {**first.people, **second.people}
        assert first.people
        assert second.people
        assert not first.people.keys() & second.people.keys()


def test_days_are_widened_to_months_that_have_ended() -> None:
    """No window is narrower, and the month that runs is in none."""
    day = 86_400
    now = 1_790_000_000  # in September 2026
    asked = months(now - 100 * day, now, now)

    assert ("2026-06", "2026-07", "2026-08") == asked.names
    for shift in range(40):
        again = months(now - 100 * day + shift, now - shift * day, now)
        assert set(again.names) <= set(asked.names)
    with pytest.raises(RequestInvalid, match="ended"):
        months(now - 5 * day, now, now)
    december = months(1_796_083_200, 1_796_083_200, 1_800_000_000)
    assert ("2026-12",) == december.names


def test_rules_with_a_term_make_a_situation_of_ones_own(
    tmp_path: Path,
) -> None:
    """Their instant is in it, so it is too rare to be counted."""
    with build_world(tmp_path / "home", extra=1) as world:
        consent(world, ["extra-0"])
        world.platform.registrar.enter_forms_now(
            [
                Form(
                    subject=world.cast["extra-0"],
                    preferences=Preferences(
                        rules=(
                            Rule(
                                id="once",
                                behavior=Behavior.ALLOW,
                                terms=Terms(uses=1),
                            ),
                        )
                    ),
                )
            ]
        )
        at = world.clock()
        world.run(ask(world, ["extra-0"]))
        past = Past(world=world, months=ended(world))
        [text] = past.history(NoGuard(KEY)).people
        assert at == json.loads(text)["now"]


@pytest.mark.parametrize("left", [1, 86_400, 86_401, 40 * 86_400])
def test_an_end_stays_after_the_instant(tmp_path: Path, left: int) -> None:
    """A consent that had not ended has not ended in the situation."""
    with build_world(tmp_path / "home", extra=1) as world:
        consent(world, ["extra-0"], expires_at=world.clock() + left)
        world.run(ask(world, ["extra-0"]))
        past = Past(world=world, months=ended(world))
        [text] = past.history(NoGuard(KEY)).people
        found = json.loads(text)
        [[_, state, _, until, _]] = found["events"]
        assert "given" == state
        assert until - found["now"] in {1, *STEPS}
        assert 0 < until - found["now"] <= left


# --- stopping, and who may ------------------------------------------------


def test_a_scan_that_was_stopped_goes_on(past: Past) -> None:
    """From where it stood, to the same counts; what waits is sealed."""
    whole = past.history()
    made = study(past.world, page=10)
    opened: list[int] = []

    def stop(count: int) -> None:
        opened.append(count)
        if sum(opened) > 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        made.scan(past.months, stop)
    waiting = past.world.home / "test.scan"
    body = waiting.read_bytes()
    assert SERVICE.encode() not in body
    assert 0o600 == waiting.stat().st_mode & 0o777
    again: list[int] = []
    assert whole == made.scan(past.months, again.append)
    # The first figure is what was opened before.
    assert sum(opened) == again[0]
    assert len(EXTRA) + 6 == sum(again)
    assert not waiting.exists()


@pytest.fixture
def stopped(tmp_path: Path) -> Iterator[Past]:
    """A month whose scan was stopped in the platform's own file."""
    with build_world(tmp_path / "home", extra=CONSENTING) as world:
        consent(world, EXTRA[:CONSENTING])
        world.run(ask(world, EXTRA[:CONSENTING]))
        past = Past(world=world, months=ended(world))

        def stop(count: int) -> None:
            if count:
                raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            study(world, page=10, file=world.platform.eraser._counted).scan(
                past.months, stop
            )
        assert (world.home / "impact.scan").exists()
        yield past


def test_an_erasure_takes_a_stopped_scan_with_it(stopped: Past) -> None:
    """What it had of the person is gone; the scan begins anew."""
    world = stopped.world
    waiting = world.home / "impact.scan"
    unfinished = world.home / "impact.part"
    unfinished.write_bytes(waiting.read_bytes())
    erase(world, EXTRA[0])

    assert not waiting.exists()
    assert not unfinished.exists()
    again = study(
        world, NoGuard(KEY), file=world.platform.eraser._counted
    ).scan(stopped.months, lambda _: None)
    assert again == stopped.history(NoGuard(KEY))
    assert [CONSENTING - 1] == list(again.people.values())


def test_a_stopped_scan_is_not_taken_up_after_an_erasure(
    stopped: Past,
) -> None:
    """One that was put back is dropped, whatever wrote it."""
    world = stopped.world
    file = world.platform.eraser._counted
    waiting = world.home / "impact.scan"
    body = waiting.read_bytes()
    assert file.load(stopped.months.names).after is not None
    erase(world, EXTRA[0])
    waiting.write_bytes(body)

    assert file.load(stopped.months.names).after is None
    assert not waiting.exists()


def test_a_scan_that_runs_on_over_an_erasure_is_not_kept(
    stopped: Past,
) -> None:
    """The person may be in it; also where the erasure comes while it saves."""
    world = stopped.world
    waiting = world.home / "impact.scan"
    scan = world.platform.eraser._counted.load(stopped.months.names)
    journal = world.platform.journal
    before = journal.newest_erasure
    erase(world, EXTRA[0])
    world.platform.eraser._counted.save(scan)
    assert not waiting.exists()

    said = iter((before, journal.newest_erasure))
    ScanFile(waiting, KEY, lambda: next(said)).save(scan)
    assert next(said, None) is None
    assert not waiting.exists()


def test_a_scan_of_other_months_or_a_damaged_one_begins_anew(
    past: Past,
) -> None:
    """Nothing is made of what does not open."""
    waiting = past.world.home / "test.scan"
    waiting.write_bytes(b"\x01 something else that is long enough to open")
    assert past.history() == past.history()


def test_only_who_proposes_may_ask_and_it_is_recorded(past: Past) -> None:
    """The entry says who asked about which candidate and months."""
    desk = past.world.platform.impact
    candidate = Candidate(bundle=load_bundle())
    nobody = Caller(
        kind=CallerKind.OFFICER, id="officer-9", roles=("auditor",)
    )
    with pytest.raises(NotPermitted):
        asyncio.run(desk.impact(nobody, candidate, past.months))
    with pytest.raises(NotPermitted):
        asyncio.run(
            desk.impact(
                nobody,
                replace(candidate, declaration=past.world.declaration),
                past.months,
            )
        )
    found = asyncio.run(desk.impact(OFFICER, candidate, past.months))
    assert () == found.changes
    assert found.replayed[SERVICE, PURPOSE] > 0
    [entry] = [
        one.body
        for one in past.world.platform.ledger.audit_entries(limit=500)
        if one.body and one.body.outcome == "weighed"
    ]
    assert OFFICER.id == entry.detail["officer"]
    assert list(past.months.names) * 2 == entry.detail["months"]


def cli(home: Path, *words: object) -> Any:  # noqa: ANN401 - of click
    """Run the command line at an instance."""
    arguments = ["--home", str(home), *map(str, words)]
    return CliRunner().invoke(build(), arguments)


def test_command_tries_a_declaration(tmp_path: Path) -> None:
    """For people and programs; it can end with 1 where something widens."""
    home = tmp_path / "home"
    with build_world(home, extra=len(EXTRA), start=1_700_000_000) as world:
        consent(world, EXTRA[:CONSENTING])
        world.run(ask(world, EXTRA))
    file = tmp_path / "candidate.yaml"
    file.write_text(
        DECLARATION.replace("basis: consent", "basis: public-task"), "utf-8"
    )
    words = ("policy", "impact", file, "--since", "2023-11-03")
    said = cli(home, *words, "--until", "2023-11-05")
    assert 0 == said.exit_code, said.output
    assert "gains" in said.stdout
    made = cli(home, *words, "--until", "2023-11-05", "--json")
    document = json.loads(made.stdout)
    assert ["2023-11"] == document["months"]
    assert {"gains"} == {one["direction"] for one in document["changes"]}
    failed = cli(home, *words, "--until", "2023-11-05", "--fail-if-widens")
    assert 1 == failed.exit_code
    assert 0 == cli(home, "policy", "impact", 0, *words[3:]).exit_code
    assert 2 == cli(home, "policy", "impact", "no", *words[3:]).exit_code
