"""The cohort by the compile API: one condition, instead of many decisions.

Facts are computed here and decisions are the policy's (DESIGN.md), so a
person's facts are no columns that a condition could be about, and the rules
of `policies/disclosure`, which read whole lists of them, compile to none.
What does is the question of what kind a row is of (`policies/cohort`): the
server decides on each kind of people with the rules as they are, and answers
with a condition on the kind, which the database applies to people.

A kind without an answer, an answer without a kind, and a server that runs
other policies, before or after, are each no decision about anybody. A server
takes some hundred times longer to compile a decision than to make it, so
beyond `MOST_KINDS` each kind is decided instead, which gives the same.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Protocol, TypeVar, runtime_checkable
from uuid import UUID

from sqlalchemy import (
    CTE,
    ColumnElement,
    Engine,
    String,
    Uuid,
    column,
    or_,
    select,
    values,
)

from policy.conditions import (
    Condition,
    alternatives,
    read_condition,
    to_sql,
)
from policy.pdp import JSON, Cause, NoDecision

T = TypeVar("T")
RULE = "curtilage/cohort/include"
FIELD = "facts.kind"
MOST_KINDS = 64
_AT_ONCE = 8
_PEOPLE = 500


@runtime_checkable
class Filtering(Protocol):
    """A decision point that compiles a rule to a condition."""

    async def filter(
        self, path: str, document: Mapping[str, JSON]
    ) -> tuple[str, JSON]:
        """Compile a rule, of whose input all but ``facts`` is given.

        Args:
            path: a constant, such as `curtilage/cohort/include`.
            document: the input, plain JSON.

        Returns:
            The revision of the policies that it was compiled under, and a
            condition in UCAST.

        Raises:
            NoDecision: there is none, or other policies run there.

        """
        ...


def key_of(text: str) -> str:
    """Name a kind of people: a hash of the document that they share."""
    return hashlib.sha256(text.encode()).hexdigest()


class KindFilter:
    """Asks about kinds, and applies the answer to people.

    Args:
        filtering: what compiles.
        engine: the data database, which applies it.

    """

    def __init__(self, filtering: Filtering, engine: Engine) -> None:
        self._filtering = filtering
        self._engine = engine

    async def compiled(
        self, kinds: Mapping[str, Mapping[str, JSON]], bundle: str
    ) -> tuple[list[Condition], dict[str, tuple[str, ...]]]:
        """Compile what is decided about kinds.

        Args:
            kinds: documents of facts, by key.
            bundle: revision of the policies that have to decide.

        Returns:
            The conditions, of which a person in the cohort meets one, and
            the codes against each kind.

        Raises:
            NoDecision: about one of them, or at all, or other policies did.

        """
        conditions: list[Condition] = []
        against: dict[str, tuple[str, ...]] = {}
        for some in _pages(sorted(kinds), _AT_ONCE):
            documents: dict[str, JSON] = {
                key: dict(kinds[key]) for key in some
            }
            revision, query = await self._filtering.filter(
                RULE, {"documents": documents}
            )
            if revision != bundle:
                raise NoDecision(Cause.WRONG_REVISION)
            found = read_condition(query)
            told = [one.partition(" ") for one in alternatives(found, FIELD)]
            if sorted(key for key, _, _ in told) != some:
                raise NoDecision(Cause.MALFORMED, "not one answer a kind")
            for key, space, codes in told:
                if not space:
                    raise NoDecision(Cause.MALFORMED, "a kind without codes")
                against[key] = tuple(codes.split(",")) if codes else ()
            conditions.append(found)
        return conditions, against

    def within(
        self, people: Sequence[tuple[UUID, str]], conditions: list[Condition]
    ) -> list[UUID]:
        """Select the people who meet one of the conditions, in their order.

        Args:
            people: each with the key of their kind.
            conditions: from `compiled`.

        """
        if not conditions:
            return []
        found: set[UUID] = set()
        with self._engine.connect().execution_options(read_only=True) as conn:
            for page in _pages(people, _PEOPLE):
                rows = rows_of([(who, f"{key} ") for who, key in page])
                columns: dict[str, ColumnElement[str]] = {FIELD: rows.c.kind}
                met = or_(*(to_sql(one, columns) for one in conditions))
                found.update(
                    conn.execute(select(rows.c.subject).where(met)).scalars()
                )
        return [subject for subject, _ in people if subject in found]


def _pages(whole: Iterable[T], most: int) -> Iterator[list[T]]:
    left = iter(whole)
    while page := list(islice(left, most)):
        yield page


def rows_of(people: Sequence[tuple[UUID, str]]) -> CTE:
    """Make a table of people and kinds, of bound values alone."""
    listed = values(
        column("subject", Uuid), column("kind", String), name="facts"
    )
    return listed.data(list(people)).cte("facts")


def text_of(document: Mapping[str, JSON]) -> str:
    """Write a document so that equal ones are equal texts."""
    return json.dumps(document, sort_keys=True)
