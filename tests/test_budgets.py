"""Privacy budgets in SQL, and the desk that spends them."""

import asyncio
import json
import os
import random
import threading
from collections.abc import Iterator
from fractions import Fraction
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import text

from anonymize import (
    Answer,
    BudgetExhausted,
    Charge,
    InvalidQuery,
    Kind,
    Query,
    Reservation,
    epsilon_of,
    rho_of,
)
from consent import RowForged
from policy import (
    Caller,
    CallerKind,
    NoDecision,
    NotPermitted,
    NumberRequest,
    ReleaseRefused,
)
from policy.budget_told import SpendingTold
from policy.budgets import DAY, Account, Allowance, SqlBudget
from policy.numbers import parse_terms
from policy.tables import BudgetRow
from tests.databases import Kind as Database
from tests.worlds import OFFICER, World, build_world, restrict

BUDGETS = BudgetRow.metadata.tables["policy_budget"]
SERVICE, PURPOSE = "statistics-office", "population-statistics"
DELTA = Fraction(1, 10**6)


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, database: Database
) -> Iterator[World]:
    """An instance with its cast and forty more people."""
    home = tmp_path_factory.mktemp("budgets") / "home"
    with build_world(home, extra=40, database=database) as made:
        yield made


def budget(
    world: World,
    name: str,
    recipient: str = "one",
    *,
    own: int = 100,
    shared: int = 120,
    everybody: int = 150,
    days: int = 10,
    group: frozenset[str] = frozenset(),
) -> SqlBudget:
    """The budget of a recipient of a data set of its own."""
    platform = world.platform
    return SqlBudget(
        tenant=platform.settings.tenant,
        account=Account(
            service=name,
            purpose="p",
            recipient=recipient,
            snapshot="day",
            columns=("user.gender",),
            officer="officer-1",
            colluding=group,
        ),
        allowance=Allowance(
            recipient=own, colluding=shared, everybody=everybody, days=days
        ),
        transactions=platform.transactions,
        ledger=platform.ledger,
        past=platform.past_ledgers,
        clock=world.clock,
        random=os.urandom,
    )


def spend(one: SqlBudget, query: str, rho: int) -> str | None:
    """Reserve and commit; return the answer that was there, if any."""
    reservation = one.reserve(Charge(query=query, rho=rho))
    if reservation.answer is None:
        one.commit(reservation, f"answer to {query}")
    return reservation.answer


def entries(world: World) -> int:
    """Count the entries of the ledger."""
    with world.platform.data.connect() as conn:
        count = conn.execute(text("SELECT count(*) FROM ledger_entry"))
        return int(count.scalar_one())


def test_one_recipient_is_stopped_and_told_when(world: World) -> None:
    """What was spent first leaves the window first; until then it is no."""
    one = budget(world, "stopped")
    start = world.clock.now
    spend(one, "a", 60)
    world.clock.now += DAY
    spend(one, "b", 40)

    with pytest.raises(BudgetExhausted) as refused:
        spend(one, "c", 50)
    assert refused.value.scope == "recipient"
    assert refused.value.refreshes_at == start + 10 * DAY + 1

    world.clock.now = start + 10 * DAY
    with pytest.raises(BudgetExhausted):
        spend(one, "c", 50)
    world.clock.now += 1
    assert spend(one, "c", 50) is None
    with pytest.raises(BudgetExhausted, match="smaller epsilon"):
        spend(one, "d", 101)


def test_recipients_who_collude_are_stopped_together(world: World) -> None:
    """The cap over all recipients binds where none has spent its own."""
    spend(budget(world, "cap", "one"), "a", 90)
    with pytest.raises(BudgetExhausted) as refused:
        spend(budget(world, "cap", "two"), "b", 61)
    assert refused.value.scope == "everybody"
    assert spend(budget(world, "cap", "two"), "b", 60) is None


def test_recipients_who_share_have_a_budget_together(world: World) -> None:
    """Two who share answers are stopped before a third, who does not."""
    start = world.clock.now
    pair = frozenset({"one", "two"})
    spend(budget(world, "share", "one", group=pair), "a", 90)
    two = budget(world, "share", "two", group=pair)
    with pytest.raises(BudgetExhausted, match="who share") as refused:
        spend(two, "b", 31)
    assert "colluding" == refused.value.scope
    assert start + 10 * DAY + 1 == refused.value.refreshes_at
    # What the other has already is no more to the two of them.
    assert "answer to a" == spend(two, "a", 90)
    assert spend(budget(world, "share", "three"), "b", 31) is None


def test_two_noises_of_one_question_are_two_losses(world: World) -> None:
    """Who asks while the other's answer is on its way has another noise."""
    pair = frozenset({"one", "two"})
    one, two = (
        budget(
            world,
            "noises",
            name,
            own=900,
            shared=179,
            everybody=900,
            group=pair,
        )
        for name in sorted(pair)
    )
    first = one.reserve(Charge(query="a", rho=60))
    second = two.reserve(Charge(query="a", rho=60))
    assert first.answer is None is second.answer
    one.commit(first, "1")
    two.commit(second, "2")

    with pytest.raises(BudgetExhausted) as refused:
        spend(one, "b", 60)
    assert "colluding" == refused.value.scope
    # What they hold already is told to either of them again.
    assert "1" == spend(one, "a", 60)
    assert "2" == spend(two, "a", 60)


def test_a_reservation_left_behind_counts_beside_the_next(
    world: World,
) -> None:
    """Its answer may have been seen, and the same again has another noise."""
    pair = frozenset({"one", "two"})
    one, two = (
        budget(world, "left", name, shared=119, everybody=900, group=pair)
        for name in sorted(pair)
    )
    one.reserve(Charge(query="a", rho=60))

    with pytest.raises(BudgetExhausted) as refused:
        two.reserve(Charge(query="a", rho=60))
    assert "colluding" == refused.value.scope


def test_a_group_gets_no_second_noise_for_nothing(world: World) -> None:
    """A copy is of what the group holds, not of what an outsider has."""
    pair = frozenset({"one", "two"})
    outside = budget(world, "second", "three", everybody=900)
    one, two = (
        budget(world, "second", name, everybody=900, group=pair)
        for name in sorted(pair)
    )
    theirs = outside.reserve(Charge(query="a", rho=60))
    ours = one.reserve(Charge(query="a", rho=60))
    one.commit(ours, "ours")
    outside.commit(theirs, "theirs")

    assert "ours" == spend(two, "a", 60)


@pytest.mark.parametrize("seed", range(12))
def test_a_group_never_holds_more_than_its_allowance(
    world: World, seed: int
) -> None:
    """In any order of asking and answering, by rho over distinct answers."""
    dice = random.Random(seed)  # noqa: S311 - an order of steps, no secret
    pair = frozenset({"one", "two"})
    group = dict.fromkeys(pair, pair) | {"three": frozenset({"three"})}
    held: set[str] = set()
    open_: list[tuple[str, Reservation]] = []
    for step in range(60):
        if open_ and dice.random() < 0.4:
            name, reservation = open_.pop(dice.randrange(len(open_)))
            answer = f"answer-{step}"
            account(world, f"walk-{seed}", name, group[name]).commit(
                reservation, answer
            )
        else:
            name = dice.choice(sorted(group))
            asked = Charge(query=dice.choice("ab"), rho=30)
            try:
                reservation = account(
                    world, f"walk-{seed}", name, group[name]
                ).reserve(asked)
            except BudgetExhausted:
                continue
            if reservation.answer is None:
                open_.append((name, reservation))
                continue
            answer = reservation.answer
        if name in pair:
            held.add(answer)

    assert 30 <= 30 * len(held) <= 120


def account(
    world: World, name: str, recipient: str, group: frozenset[str]
) -> SqlBudget:
    """A budget of which only the cap over a group binds."""
    return budget(
        world, name, recipient, own=9_000, everybody=9_000, group=group
    )


@pytest.mark.parametrize("epsilon", [0, 11, -1])
def test_there_is_no_bare_number(world: World, epsilon: int) -> None:
    """Without noise, or with next to none, nothing is asked at all."""
    with pytest.raises(InvalidQuery, match="epsilon is above 0"):
        Query(kind=Kind.COUNT, epsilon=Fraction(epsilon))
    everybody = Query(kind=Kind.COUNT, epsilon=Fraction(1, 10))
    before = entries(world)
    # Of no attribute no policy can say whose may be counted.
    with pytest.raises(ReleaseRefused) as refused:
        asyncio.run(
            world.platform.numbers.ask(
                OFFICER,
                NumberRequest(
                    service=SERVICE,
                    purpose=PURPOSE,
                    recipient=SERVICE,
                    query=everybody,
                ),
            )
        )
    assert ("nothing_to_release",) == refused.value.reasons
    assert before == entries(world)


def test_the_same_question_costs_nothing_again(world: World) -> None:
    """One recipient pays once, and all together pay once for one noise."""
    one, two = budget(world, "same"), budget(world, "same", "two")
    assert spend(one, "a", 100) is None
    for _ in range(3):
        assert spend(one, "a", 100) == "answer to a"
    assert spend(two, "a", 100) == "answer to a"
    with pytest.raises(BudgetExhausted) as refused:
        spend(two, "b", 1)
    assert refused.value.scope == "recipient"
    three = budget(world, "same", "three")
    assert spend(three, "b", 50) is None


def test_a_reservation_without_an_answer_counts_as_spent(
    world: World,
) -> None:
    """A crash between the two loses the answer and not the count."""
    one = budget(world, "crash")
    one.reserve(Charge(query="a", rho=100))

    with pytest.raises(BudgetExhausted):
        budget(world, "crash").reserve(Charge(query="a", rho=100))


def test_the_last_of_a_budget_is_given_once(world: World) -> None:
    """Of eight who ask at once for the last of it, one gets it."""
    given, refused = [], []
    barrier = threading.Barrier(8)

    def ask(number: int) -> None:
        one = budget(world, "race")
        barrier.wait()
        try:
            given.append(one.reserve(Charge(query=f"q{number}", rho=60)))
        except BudgetExhausted as error:
            refused.append(error)

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert (len(given), len(refused)) == (1, 7)


def test_no_reservation_without_an_entry(world: World) -> None:
    """Both are in one transaction: where the entry fails there is neither."""
    one = budget(world, "entry")
    before = entries(world)

    class Broken:
        """A ledger that cannot be appended to."""

        lock = world.platform.ledger.lock

        def append(self, *_: object) -> None:
            """Fail."""
            raise RuntimeError

    one._ledger = Broken()  # type: ignore[assignment] # fails on purpose
    with pytest.raises(RuntimeError):
        one.reserve(Charge(query="a", rho=1))

    assert spend(budget(world, "entry"), "a", 100) is None
    assert entries(world) == before + 1


# The desk.


def asked(**changes: object) -> NumberRequest:
    """A question that the policies allow."""
    fields: dict[str, object] = {
        "kind": Kind.HISTOGRAM,
        "epsilon": Fraction(1, 2),
        "column": "user.gender",
        "keys": ("female", "male", "x"),
    }
    recipient = str(changes.pop("recipient", SERVICE))
    return NumberRequest(
        service=SERVICE,
        purpose=PURPOSE,
        recipient=recipient,
        query=Query(**{**fields, **changes}),  # type: ignore[arg-type] # fields by name
    )


def answer(
    world: World, question: NumberRequest, officer: Caller = OFFICER
) -> Answer:
    """Ask the desk."""
    return asyncio.run(world.platform.numbers.ask(officer, question))


def test_the_desk_answers_and_writes_the_entry_first(world: World) -> None:
    """Noisy counts come out, charged, with one entry before the answer."""
    before = entries(world)
    first = answer(world, asked())
    again = answer(world, asked())

    assert set(first.cells) == {"female", "male", "x"}
    assert sum(first.cells.values()) < 46 + 3 * 3 * first.errors["x"]
    assert first.epsilon <= 0.5
    assert (again.again, again.cells) == (True, first.cells)
    assert entries(world) == before + 2
    (spent,) = world.platform.numbers.spent(SERVICE, PURPOSE, days=365)
    assert spent.recipient == SERVICE
    assert 0.499 < epsilon_of(spent.rho, DELTA) <= 0.5


def test_the_desk_refuses_before_it_reads(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the budget is used up no grant is minted and no row opened."""
    spent = [answer(world, asked(epsilon=Fraction(3, 4), keys=("a",)))]
    monkeypatch.setattr(
        world.platform.vault,
        "read_many",
        lambda _grants: pytest.fail("a row was read"),
    )

    with pytest.raises(BudgetExhausted) as refused:
        answer(world, asked(epsilon=Fraction(1), keys=("b",)))
    assert spent
    assert refused.value.refreshes_at is not None


def test_the_desk_keeps_out_whom_the_policies_refuse(world: World) -> None:
    """Another recipient, another column, or no analyst: no number."""
    for changes in ({"recipient": "other"}, {"column": "user.name.given"}):
        with pytest.raises(ReleaseRefused):
            answer(world, asked(**changes))
    nobody = Caller(kind=CallerKind.OFFICER, id="o", roles=("registrar",))
    with pytest.raises(NotPermitted):
        answer(world, asked(), nobody)


def test_whoever_is_restricted_is_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cohort is the one of an extract: who is out of it is uncounted."""
    platform = world.platform
    heights = []
    original = platform.numbers._rows

    def looked_on(*arguments: object) -> object:
        """Note how many rows were read."""
        rows = original(*arguments)  # type: ignore[arg-type] # as they came
        heights.append(len(rows["user.gender"]))
        return rows

    monkeypatch.setattr(platform.numbers, "_rows", looked_on)
    world.clock.now += 400 * DAY
    answer(world, asked(epsilon=Fraction(1, 100)))
    restrict(platform, next(iter(world.cast.values())), world.clock.now)
    answer(world, asked(epsilon=Fraction(2, 100)))

    assert heights[0] - 1 == heights[1]


def test_the_stored_answer_is_all_that_is_stored(world: World) -> None:
    """No exact count is in the budget's table."""
    answer(world, asked(epsilon=Fraction(1, 50), keys=("female", "male")))
    with world.platform.data.connect() as conn:
        rows = conn.execute(text("SELECT answer FROM policy_budget")).scalars()
        kept = [json.loads(row) for row in rows if row.startswith("{")]

    assert kept
    assert all(
        {*each} == {"cells", "errors", "rank_error", "epsilon", "delta"}
        for each in kept
    )


GOOD = {
    "schema": "curtilage/numbers/1",
    "allow": True,
    "reasons": [],
    "budget": {
        "recipient": 1000, "colluding": 1500, "everybody": 3000,
        "delta_exponent": 6, "days": 365,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    "changes",
    [
        {"schema": "curtilage/numbers/2"},
        {"allow": "yes"},
        {"reasons": None},
        {"budget": None},
        {"budget": {**GOOD["budget"], "recipient": 0}},  # type: ignore[dict-item] # a mapping
        {"budget": {**GOOD["budget"], "colluding": 0}},  # type: ignore[dict-item] # as above
        {"budget": {**GOOD["budget"], "days": 1.5}},  # type: ignore[dict-item] # as above
        {"budget": {**GOOD["budget"], "more": 1}},  # type: ignore[dict-item] # as above
    ],
)
def test_any_other_decision_is_no_decision(changes: dict[str, object]) -> None:
    """The budget is read strictly."""
    assert parse_terms(GOOD).allowance.recipient == rho_of(  # type: ignore[arg-type] # JSON
        Fraction(1), DELTA
    )
    with pytest.raises(NoDecision):
        parse_terms({**GOOD, **changes})  # type: ignore[arg-type] # JSON


@pytest.mark.parametrize(
    "attack",
    [
        "DELETE FROM policy_budget WHERE dataset = :d AND query = 'a'",
        "UPDATE policy_budget SET rho = 1 WHERE dataset = :d AND query = 'a'",
        (
            "UPDATE policy_budget SET everybody = 0"
            " WHERE dataset = :d AND query = 'a'"
        ),
        (
            "UPDATE policy_budget SET recipient = 'x'"
            " WHERE dataset = :d AND query = 'a'"
        ),
        "UPDATE policy_budget SET at = 1 WHERE dataset = :d AND query = 'a'",
        (
            "UPDATE policy_budget SET dataset = 'x/p'"
            " WHERE dataset = :d AND query = 'a'"
        ),
        (
            "UPDATE policy_budget SET query = 'b'"
            " WHERE dataset = :d AND query = 'a'"
        ),
        (
            "UPDATE policy_budget SET snapshot = 'x'"
            " WHERE dataset = :d AND query = 'a'"
        ),
    ],
)
def test_nothing_that_was_spent_is_taken_back(
    world: World, attack: str
) -> None:
    """Whoever takes a row away, or lowers it, has nothing to spend."""
    name = f"taken-{uuid4().hex[:8]}"
    spend(budget(world, name), "a", 60)
    with world.platform.data.begin() as conn:
        assert conn.execute(text(attack), {"d": f"{name}/p"}).rowcount
    before = entries(world)
    for recipient in ("one", "two"):
        with pytest.raises(RowForged):
            spend(budget(world, name, recipient), "c", 10)
    assert before == entries(world)
    # What left the window with its entry is asked about no more.
    world.clock.now += 11 * DAY
    assert spend(budget(world, name), "c", 100) is None


@pytest.mark.parametrize(
    ("rho", "everybody"), [(-1000, -1000), (-1000, 0), (0, -1000), (5, 3)]
)
def test_nothing_that_is_written_beside_gives_back(
    world: World, rho: int, everybody: int
) -> None:
    """A row that nobody spent counts, and never for less than nothing."""
    name = f"beside-{uuid4().hex[:8]}"
    spend(budget(world, name), "a", 60)
    with world.platform.data.begin() as conn:
        row = conn.execute(
            BUDGETS.select().where(BUDGETS.c.dataset == f"{name}/p")
        ).one()
        conn.execute(
            BUDGETS.insert().values(
                {
                    **row._asdict(),
                    "id": uuid4(),
                    "query": "b",
                    "rho": rho,
                    "everybody": everybody,
                }
            )
        )
    with pytest.raises(RowForged):
        spend(budget(world, name), "c", 10)


def test_an_entry_of_before_names_recipient_and_cost(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not name is not demanded; what it names is."""
    appended = SqlBudget._append

    def before(self: SqlBudget, *args: Any, **cost: str) -> None:  # noqa: ANN401 - as there
        appended(self, *args, rho=cost["rho"])

    monkeypatch.setattr(SqlBudget, "_append", before)
    spend(budget(world, "before"), "a", 60)
    monkeypatch.undo()
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                "UPDATE policy_budget SET snapshot = 'x'"
                " WHERE dataset = 'before/p'"
            )
        )
    assert spend(budget(world, "before"), "b", 10) is None
    with world.platform.data.begin() as conn:
        conn.execute(
            text("UPDATE policy_budget SET rho = 1 WHERE query = 'a'")
        )
    with pytest.raises(RowForged):
        spend(budget(world, "before"), "c", 10)


def test_what_was_entered_meanwhile_is_asked_about(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Entries are read again under the lock, and only the newer ones."""
    read = SpendingTold.read

    def between(self: SpendingTold) -> None:
        read(self)
        monkeypatch.undo()
        spend(budget(world, "meanwhile", "two"), "a", 60)
        with world.platform.data.begin() as conn:
            conn.execute(
                text("DELETE FROM policy_budget WHERE dataset = :d"),
                {"d": "meanwhile/p"},
            )

    monkeypatch.setattr(SpendingTold, "read", between)
    with pytest.raises(RowForged):
        spend(budget(world, "meanwhile"), "b", 10)
