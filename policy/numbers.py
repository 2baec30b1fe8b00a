"""Noisy numbers about the people of a data set, for one recipient.

1. `policies/numbers` decides, on the same facts as an extract would be,
   whether these columns may be asked about, and what may be spent.
2. The cost is reserved and the ledger's entry is durable (`budgets`); a
   budget that is used up is told here, before anybody's row is read.
3. The cohort is who an extract of these columns would have: whoever
   withdrew is not counted.
4. `anonymize.ask` aggregates and adds noise; only that leaves.

The snapshot is the day (UTC): the same question on the same day has the same
answer and costs nothing; asked on another day it costs again.
"""

import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from sqlalchemy import Engine

import anonymize
from anonymize import Query
from consent import ConsentStore, Ledger
from policy.authority import Action, Caller, authorize
from policy.budgets import (
    DAY,
    Account,
    Allowance,
    Spent,
    SqlBudget,
    spent_by_recipient,
)
from policy.classification import Classification
from policy.cohort import CohortSource
from policy.decisions import Json
from policy.errors import ReleaseRefused
from policy.facts import FactSource
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint
from vault import ReadGrant, Transactions, Vault

if TYPE_CHECKING:
    from anonymize import Answer

ENTRYPOINT = "curtilage/numbers/decision"
SCHEMA = "curtilage/numbers/1"
GRANT_SECONDS = 3600
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRequest:
    """What an analyst asks, about whose data, for whom."""

    service: str
    purpose: str
    recipient: str
    query: Query


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberTerms:
    """What `policies/numbers` decided: allowances in epsilon at a delta."""

    epsilon: Fraction
    colluding: Fraction
    everybody: Fraction
    delta: Fraction
    days: int
    bundle: str = ""

    @property
    def allowance(self) -> Allowance:
        """The same in units of rho."""
        return Allowance(
            recipient=anonymize.rho_of(self.epsilon, self.delta),
            colluding=anonymize.rho_of(self.colluding, self.delta),
            everybody=anonymize.rho_of(self.everybody, self.delta),
            days=self.days,
        )


class NumberDesk:
    """Answers questions of one tenant's analysts."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        transactions: Transactions,
        vault: Vault,
        consents: ConsentStore,
        facts: FactSource,
        ledger: Ledger,
        past: Sequence[Ledger],
        pdp: PolicyDecisionPoint,
        classification: Mapping[str, Classification],
        clock: Callable[[], int],
        random: Callable[[int], bytes],
        groups: Sequence[frozenset[str]] = (),
    ) -> None:
        self._groups = tuple(groups)
        self._tenant = tenant
        self._engine = engine
        self._transactions = transactions
        self._vault = vault
        self._consents = consents
        self._cohorts = CohortSource(
            tenant=tenant, engine=engine, vault=vault, facts=facts, pdp=pdp
        )
        self._ledger = ledger
        self._past = tuple(past)
        self._pdp = pdp
        self._classification = classification
        self._clock = clock
        self._random = random

    async def ask(
        self,
        officer: Caller,
        asked: NumberRequest,
        *,
        progress: Progress = lambda _stage, _done, _total: None,
    ) -> "Answer":
        """Answer one question.

        Args:
            officer: who asks; an analyst.
            asked: the question.
            progress: told the stage and how far it is.

        Raises:
            NotPermitted: `officer` is no analyst.
            ReleaseRefused: with the policy's reason codes.
            BudgetExhausted: nothing was read; it says when to ask again.
            RowForged: what was spent is not what the ledger tells.
            NoDecision: the engine gave no answer to act on.

        """
        await authorize(
            self._pdp,
            officer,
            Action.RELEASE_REQUEST,
            target={"service": asked.service, "purpose": asked.purpose},
        )
        terms = await self.terms(officer, asked)
        columns = asked.query.columns
        budget = SqlBudget(
            tenant=self._tenant,
            account=Account(
                service=asked.service,
                purpose=asked.purpose,
                recipient=asked.recipient,
                snapshot=self._snapshot(),
                columns=columns,
                officer=officer.id,
                colluding=self._colluding(asked.recipient),
            ),
            allowance=terms.allowance,
            transactions=self._transactions,
            ledger=self._ledger,
            past=self._past,
            clock=self._clock,
            random=self._random,
        )
        asking = anonymize.prepare(
            asked.query,
            budget,
            delta=terms.delta,
            context=(asked.service, asked.purpose, self._snapshot()),
        )
        if isinstance(asking, anonymize.Answer):
            return asking
        people = await self._cohorts.gather(
            asked.service,
            asked.purpose,
            columns,
            now=self._clock(),
            bundle=terms.bundle,
            progress=lambda people: progress("cohort", people, 0),
        )
        rows = self._rows(asked, people.subjects, columns, progress)
        return asking.answer(anonymize.frame_of(rows))

    async def terms(
        self, officer: Caller, asked: NumberRequest
    ) -> NumberTerms:
        """Ask the policies what may be spent.

        Raises:
            ReleaseRefused: with the policy's reason codes.
            NoDecision: the engine gave no answer to act on.

        """
        declaration = self._consents.declaration(asked.service, asked.purpose)
        columns = asked.query.columns
        if not columns:
            # Of no attribute nothing says whose may be counted.
            raise ReleaseRefused(["nothing_to_release"])
        ruling = await self._pdp.decide(
            ENTRYPOINT,
            {
                "schema": "curtilage/release/1",
                "now": self._clock(),
                "officer": {"id": officer.id, "roles": list(officer.roles)},
                "request": {
                    "columns": list(columns),
                    "k": 0,
                    "l": 0,
                    "sensitive": None,
                    "recipient": asked.recipient,
                },
                "declaration": (
                    None if declaration is None else declaration.facts
                ),
                "catalogue": {
                    name: {
                        "sensitivity": found.sensitivity,
                        "role": found.role.value,
                    }
                    for name in columns
                    if (found := self._classification.get(name)) is not None
                },
            },
        )
        return replace(parse_terms(ruling.document), bundle=ruling.revision)

    def spent(self, service: str, purpose: str, *, days: int) -> list[Spent]:
        """Count what each recipient spent within the last days."""
        since = self._clock() - days * DAY
        return [
            *spent_by_recipient(
                self._engine, self._tenant, f"{service}/{purpose}", since
            )
        ]

    def _colluding(self, recipient: str) -> frozenset[str]:
        """Return who may share what a recipient gets, itself too."""
        return frozenset({recipient}).union(
            *(group for group in self._groups if recipient in group)
        )

    def _snapshot(self) -> str:
        return f"day-{self._clock() // DAY}"

    def _rows(
        self,
        asked: NumberRequest,
        subjects: tuple[uuid.UUID, ...],
        columns: tuple[str, ...],
        progress: Progress,
    ) -> dict[str, list[str | None]]:
        decision = uuid.UUID(bytes=self._random(16), version=4)
        grants = (
            ReadGrant(
                tenant=self._tenant,
                subject=subject,
                attributes=frozenset(columns),
                purpose=asked.purpose,
                decision=decision,
                expires_at=self._clock() + GRANT_SECONDS,
            )
            for subject in subjects
        )
        rows: dict[str, list[str | None]] = {name: [] for name in columns}
        for done, (_, values) in enumerate(
            self._vault.read_many(grants), start=1
        ):
            for name in columns:
                rows[name].append(values.get(name))
            progress("rows", done, len(subjects))
        return rows


def parse_terms(answer: Mapping[str, Json]) -> NumberTerms:
    """Read a decision of ``curtilage/numbers/1``, strictly.

    Raises:
        ReleaseRefused: the policy refused.
        NoDecision: any other shape.

    """
    if (
        answer.get("schema") != SCHEMA
        or type(answer.get("allow")) is not bool
        or not isinstance(answer.get("reasons"), list)
    ):
        raise NoDecision(Cause.MALFORMED)
    if not answer["allow"]:
        reasons = answer["reasons"]
        raise ReleaseRefused(
            sorted(
                str(one.get("code"))
                for one in (reasons if isinstance(reasons, list) else ())
                if isinstance(one, Mapping)
            )
        )
    budget = answer.get("budget")
    if not isinstance(budget, Mapping):
        raise NoDecision(Cause.MALFORMED)
    names = ("recipient", "colluding", "everybody", "delta_exponent", "days")
    numbers = {name: budget.get(name) for name in names}
    if set(budget) != set(names) or not all(
        type(each) is int and 0 < each <= 100_000 for each in numbers.values()
    ):
        raise NoDecision(Cause.MALFORMED)
    thousandth = Fraction(1, 1000)
    return NumberTerms(
        epsilon=thousandth * int(str(numbers["recipient"])),
        colluding=thousandth * int(str(numbers["colluding"])),
        everybody=thousandth * int(str(numbers["everybody"])),
        delta=Fraction(1, 10 ** min(30, int(str(numbers["delta_exponent"])))),
        days=int(str(numbers["days"])),
    )
