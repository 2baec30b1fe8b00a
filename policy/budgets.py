"""Privacy budgets in SQL: reserve, answer, commit.

A reservation is one transaction: it counts what was spent, refuses or sets
aside, and writes the ledger's entry. Transactions that append to the ledger
stand in one queue (`Ledger.lock`), so of two who ask for the last of a
budget one is refused. What the entries say was spent has to be there
(`policy.budget_told`). What is reserved counts as spent whatever happens
afterwards; a crash before the commit loses the answer and not the count.

The allowance comes with each question, from the policies: this module only
counts. Spending older than the window does not count any more. That is a
promise about a window, and the loss over a lifetime adds up beyond it.
"""

import uuid
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, and_, select, update

from anonymize import BudgetExhausted, Charge, Reservation
from consent import Draft, EntryKind, Ledger
from policy.budget_told import SPENT, SpendingTold
from policy.tables import BudgetRow
from vault import Transactions

RESERVED, COMMITTED = "reserved", "committed"
DAY = 86_400
_TABLE = BudgetRow.metadata.tables["policy_budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What may be spent on one data set within a window, in units of rho.

    Attributes:
        recipient: by one recipient.
        colluding: by recipients who are known to share what they get.
        everybody: by all recipients together, since any may share.
        days: length of the window.
    """

    recipient: int
    colluding: int
    everybody: int
    days: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """Whose budget of what.

    Attributes:
        service: whose data set it is.
        purpose: which.
        recipient: who gets the answers.
        snapshot: names the state of the data that is asked about.
        columns: attributes that are read, for the ledger's entry.
        officer: who asks.
        colluding: recipients who share what they get, this one too.
    """

    service: str
    purpose: str
    recipient: str
    snapshot: str
    columns: tuple[str, ...] = ()
    officer: str = ""
    colluding: frozenset[str] = frozenset()

    @property
    def dataset(self) -> str:
        """The name that spending is counted under."""
        return f"{self.service}/{self.purpose}"


class SqlBudget:
    """The budget of one account: what `anonymize.ask` wants."""

    def __init__(
        self,
        *,
        tenant: str,
        account: Account,
        allowance: Allowance,
        transactions: Transactions,
        ledger: Ledger,
        past: Sequence[Ledger],
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        """Take the collaborators; `past` are the ledgers of former names."""
        self._tenant = tenant
        self._account = account
        self._allowance = allowance
        self._transactions = transactions
        self._ledger = ledger
        self._ledgers = (*past, ledger)
        self._clock = clock
        self._random = random

    def reserve(self, charge: Charge) -> Reservation:
        """Set budget aside, with a durable entry, before anything is read.

        Raises:
            BudgetExhausted: there is not enough; nothing was set aside.
            RowForged: what was spent is not what the ledger tells.

        """
        told = SpendingTold(
            self._ledgers,
            service=self._account.service,
            purpose=self._account.purpose,
            since=self._since(),
        )
        # Most of it before the lock, which holds up every answer.
        told.read()
        return self._transactions.run(
            lambda conn: self._reserve(conn, charge, told)
        )

    def commit(self, reservation: Reservation, answer: str) -> None:
        """Keep the answer for whoever asks the same again."""
        statement = (
            update(_TABLE)
            .where(_TABLE.c.id == reservation.id, _TABLE.c.state == RESERVED)
            .values(state=COMMITTED, answer=answer)
        )
        self._transactions.run(lambda conn: conn.execute(statement))

    def _reserve(
        self, conn: Connection, charge: Charge, told: SpendingTold
    ) -> Reservation:
        self._ledger.lock(conn)
        told.read(conn)
        given = _given(conn, self._tenant, self._account, charge.query)
        if self._account.recipient in given:
            found, answer = given[self._account.recipient]
            self._append(conn, found, "numbers-again", self._clock(), rho="0")
            return Reservation(id=found, answer=answer)
        # Another recipient has the same noise: together they learn no more.
        # One that the group has comes first, so that it gets no second one.
        shared = [one for one in given if one in self._account.colluding]
        known = next((given[one] for one in [*shared, *given]), None)
        everybody = 0 if known else charge.rho
        self._demand(
            conn,
            told,
            (charge.rho, 0 if shared else charge.rho, everybody),
        )
        now = self._clock()
        new = uuid.UUID(bytes=self._random(16), version=4)
        conn.execute(
            _TABLE.insert().values(
                id=new,
                tenant=self._tenant,
                dataset=self._account.dataset,
                snapshot=self._account.snapshot,
                recipient=self._account.recipient,
                query=charge.query,
                rho=charge.rho,
                everybody=everybody,
                at=now,
                state=COMMITTED if known else RESERVED,
                answer=known[1] if known else "",
            )
        )
        self._append(
            conn,
            new,
            SPENT,
            now,
            rho=str(charge.rho),
            everybody=str(everybody),
            query=charge.query,
            snapshot=self._account.snapshot,
        )
        return Reservation(id=new, answer=known[1] if known else None)

    def _demand(
        self,
        conn: Connection,
        told: SpendingTold,
        costs: tuple[int, int, int],
    ) -> None:
        """Refuse what is too much for one, for a group or for all."""
        rows = _spending(conn, self._tenant, self._account.dataset, told.since)
        told.demand(rows)
        own = [
            (row.at, row.rho)
            for row in rows
            if row.recipient == self._account.recipient
        ]
        everyones = [(row.at, row.everybody) for row in rows]
        shared = _noises(
            rows, {self._account.recipient, *self._account.colluding}
        )
        allowance = self._allowance
        for scope, spent, cost, allowed in (
            ("recipient", own, costs[0], allowance.recipient),
            ("colluding", shared, costs[1], allowance.colluding),
            ("everybody", everyones, costs[2], allowance.everybody),
        ):
            if sum(each for _, each in spent) + cost > allowed:
                raise BudgetExhausted(
                    scope=scope,
                    refreshes_at=self._refresh(spent, allowed - cost),
                )

    def _since(self) -> int:
        return self._clock() - self._allowance.days * DAY

    def _refresh(
        self, spent: Sequence[tuple[int, int]], room: int
    ) -> int | None:
        """Tell when enough of the spending is out of the window."""
        if room < 0:
            return None
        left = sum(each for _, each in spent)
        for at, each in sorted(spent):
            left -= each
            if left <= room:
                return at + self._allowance.days * DAY + 1
        return None

    def _append(
        self,
        conn: Connection,
        found: UUID,
        outcome: str,
        now: int,
        **cost: str,
    ) -> None:
        self._ledger.append(
            conn,
            [
                Draft(
                    kind=EntryKind.RELEASE,
                    subject=None,
                    log_key=None,
                    service=self._account.service,
                    purpose=self._account.purpose,
                    attributes=self._account.columns,
                    outcome=outcome,
                    at=now,
                    decision=found,
                    detail={
                        "officer": self._account.officer,
                        "recipient": self._account.recipient,
                        **cost,
                    },
                )
            ],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What one recipient spent on a data set within the window, in units."""

    recipient: str
    rho: int
    answers: int
    reserved: int


def spent_by_recipient(
    engine: Engine, tenant: str, dataset: str, since: int
) -> Iterator[Spent]:
    """Count what was spent on a data set.

    Args:
        engine: the data database.
        tenant: whose.
        dataset: service and purpose.
        since: start of the window, POSIX seconds.

    """
    with engine.connect().execution_options(read_only=True) as conn:
        rows = _spending(conn, tenant, dataset, since)
    for name in sorted({row.recipient for row in rows}):
        own = [row for row in rows if row.recipient == name]
        yield Spent(
            recipient=name,
            rho=sum(row.rho for row in own),
            answers=len(own),
            reserved=sum(row.state == RESERVED for row in own),
        )


def _spending(
    conn: Connection, tenant: str, dataset: str, since: int
) -> Sequence[BudgetRow]:
    statement = select(
        _TABLE.c.id,
        _TABLE.c.recipient,
        _TABLE.c.query,
        _TABLE.c.snapshot,
        _TABLE.c.rho,
        _TABLE.c.everybody,
        _TABLE.c.at,
        _TABLE.c.state,
    ).where(
        and_(
            _TABLE.c.tenant == tenant,
            _TABLE.c.dataset == dataset,
            _TABLE.c.at >= since,
        )
    )
    return conn.execute(statement).all()  # type: ignore[return-value] # Rows with the table's columns


def _noises(
    rows: Sequence[BudgetRow], group: Collection[str]
) -> list[tuple[int, int]]:
    """List when and for how much each noise was drawn that a group may hold.

    What was reserved with a cost to everybody drew a noise of its own, also
    where the same was asked, or reserved and never answered, beside it. What
    cost everybody nothing is a copy: of an original of the group, or else of
    one that somebody outside was given. A noise is one loss, however many of
    the group have it, and leaves the window with the last of them.
    """
    asked: dict[tuple[str, str], list[BudgetRow]] = {}
    for row in rows:
        asked.setdefault((row.query, row.snapshot), []).append(row)
    found = []
    for same in asked.values():
        own = [row for row in same if row.recipient in group]
        if not own:
            continue
        drawn = sorted(row.at for row in own if row.everybody)
        outside = sum(
            row.everybody > 0
            and row.state == COMMITTED
            and row.recipient not in group
            for row in same
        )
        # Which original a copy is of is not kept: it counts as another's
        # where it can be one.
        others = min(len(own) - len(drawn), outside)
        last = max(row.at for row in own)
        cost = max(row.rho for row in own)
        times = [*drawn[:-1], *[last] * max(others + bool(drawn), 1)]
        found += [(at, cost) for at in times]
    return found


def _given(
    conn: Connection, tenant: str, account: Account, query: str
) -> dict[str, tuple[UUID, str]]:
    """Return the answers given to the same question, by recipient."""
    statement = (
        select(_TABLE.c.recipient, _TABLE.c.id, _TABLE.c.answer)
        .where(
            _TABLE.c.tenant == tenant,
            _TABLE.c.query == query,
            _TABLE.c.dataset == account.dataset,
            _TABLE.c.snapshot == account.snapshot,
            _TABLE.c.state == COMMITTED,
        )
        .order_by(_TABLE.c.at, _TABLE.c.id)
    )
    return {
        row.recipient: (row.id, row.answer) for row in conn.execute(statement)
    }
