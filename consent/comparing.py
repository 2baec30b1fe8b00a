"""Two versions of a declaration: what is wider, and whom it asks again.

A flow is wider when it lies within no flow that was agreed to
(`consent.statements.within`). Beside the flows, three things hold for a
declaration as a whole, and a person agreed to them as well: who answers for
it, whose law applies, and what is promised for every released value. Where
one of them is given up, nothing that was agreed to carries over.

Words alone ask nobody again: no program can tell a clearer sentence from
another purpose. `DeclarationPlan.words` lists them for whoever approves. Who
means something else says so by another statement id, which asks anew.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID

from consent.declarations import Declaration
from consent.records import ConsentEvent, ConsentState, carried, states
from consent.statements import Statement, Tuple, within
from consent.vocabulary import EventType, LegalBasis
from consent.wideness import given_up, kept, terms_added


class Change(StrEnum):
    """What becomes of one statement.

    Attributes:
        ADDED: it is new.
        REMOVED: it is gone; what was agreed to ends.
        WIDER: it does something that it did not.
        NARROWER: it does less, and nothing new.
        WORDS: it does the same; texts or the order of data changed.
        SAME: nothing changed.
    """

    ADDED = "added"
    REMOVED = "removed"
    WIDER = "wider"
    NARROWER = "narrower"
    WORDS = "words"
    SAME = "same"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementPlan:
    """What becomes of one statement under a new version.

    Attributes:
        id: of the statement.
        change: in one word.
        basis: the legal basis, of the new version if it is in it.
        asks: whether people are asked about it.
        wider: flows that were not there, or not as wide.
        narrower: flows that are no longer there, or not as wide.
        added: attributes that were not named.
        removed: attributes that are no longer named.
        words: names of texts that changed, such as ``consequence.en``.
        terms: terms of shared vocabularies that it did not have.
    """

    id: str
    change: Change
    basis: LegalBasis
    asks: bool
    wider: frozenset[Tuple] = frozenset()
    narrower: frozenset[Tuple] = frozenset()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    terms: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DeclarationPlan:
    """What a new version changes, statement by statement.

    Attributes:
        old: the version in force; None where there is none.
        new: the version in question.
        statements: of both, in the order of the new one, the removed last.
        given_up: what held for all of the old one and does not for the new
            one: ``controller``, ``jurisdiction``, ``obligations``.
        words: names of texts of the declaration that changed.
    """

    old: Declaration | None
    new: Declaration
    statements: tuple[StatementPlan, ...]
    given_up: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(slots=True, kw_only=True)
class Asking:
    """How many people one statement asks again.

    Attributes:
        again: who agreed, and is asked about something more.
        kept: who agreed, and is asked nothing.
        ended: who agreed to what is no longer in the declaration.
        attributes: how many of `again` are asked about each attribute.
    """

    again: int = 0
    kept: int = 0
    ended: int = 0
    attributes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """How many people a new version asks again, and about what.

    Attributes:
        people: who is asked about any statement; each once.
        statements: by statement id.
    """

    people: int
    statements: Mapping[str, Asking]


def compare(old: Declaration | None, new: Declaration) -> DeclarationPlan:
    """Say what a new version changes.

    Args:
        old: the version in force, or None.
        new: the version in question, of the same service and purpose.

    Returns:
        What changes, statement by statement.
    """
    before = () if old is None else old.statements
    gone = [one for one in before if new.statement(one.id) is None]
    return DeclarationPlan(
        old=old,
        new=new,
        statements=(
            *(
                _statement(None if old is None else old.statement(one.id), one)
                for one in new.statements
            ),
            *(_removed(one) for one in gone),
        ),
        given_up=() if old is None else given_up(old, new),
        words=()
        if old is None
        else (
            *_texts("title", old.title, new.title),
            *_texts("purpose_text", old.purpose_text, new.purpose_text),
        ),
    )


def difference(
    state: ConsentState,
    live: Declaration,
    answered: Callable[[str], Declaration | None],
) -> tuple[str, ...]:
    """Say what a person who agreed has to be asked again.

    Args:
        state: a yes, as `states` returned it; anything else asks nothing.
        live: the version in force.
        answered: returns the version that has a digest, or None.

    Returns:
        The attributes of the statement, in its order, that the yes does not
        cover and that the person did not leave out by choice. A no stays a
        no, and an optional attribute that was left out stays out.
    """
    statement = live.statement(state.statement)
    if (
        state.state is not EventType.GIVEN
        or statement is None
        or state.declaration == live.digest
    ):
        return ()
    old = answered(state.declaration)
    said = None if old is None else old.statement(state.statement)
    covered = kept(state.attributes, old, live, state.statement)
    left_out = frozenset(
        item.attribute
        for item in (() if said is None else said.data)
        if item.optional and item.attribute not in state.attributes
    )
    return tuple(
        item.attribute
        for item in statement.data
        if item.attribute not in covered
        and not (item.optional and item.attribute in left_out)
    )


def count_asked(
    logs: Iterable[tuple[UUID, list[ConsentEvent]]],
    *,
    old: Declaration,
    new: Declaration,
    answered: Callable[[str], Declaration | None],
    now: int,
) -> Asked:
    """Count whom a new version asks again.

    Args:
        logs: each person's events for the service and purpose, in order.
        old: the version in force.
        new: the version in question.
        answered: returns the version that has a digest, or None.
        now: POSIX seconds.

    Returns:
        The numbers. Who agreed under the version in force, or under an
        earlier one, counts by what is left of it under the one in force.
    """
    found = {one.id: Asking() for one in (*new.statements, *old.statements)}
    people = 0
    for _, events in logs:
        said = states(events, now)
        standing = carried(said, old, answered)
        again = False
        for name, state in standing.items():
            if state.state is not EventType.GIVEN:
                continue
            again |= _count(found[name], said[name], new, answered)
        people += again
    return Asked(people=people, statements=found)


def _count(
    asking: Asking,
    state: ConsentState,
    new: Declaration,
    answered: Callable[[str], Declaration | None],
) -> bool:
    if new.statement(state.statement) is None:
        asking.ended += 1
        return False
    attributes = difference(state, new, answered)
    if not attributes:
        asking.kept += 1
        return False
    asking.again += 1
    for name in attributes:
        asking.attributes[name] = asking.attributes.get(name, 0) + 1
    return True


def _statement(old: Statement | None, new: Statement) -> StatementPlan:
    if old is None:
        return StatementPlan(
            id=new.id,
            change=Change.ADDED,
            basis=new.basis,
            asks=new.basis is LegalBasis.CONSENT,
            wider=new.tuples(),
            added=new.attributes,
        )
    wider = _beyond(new.tuples(), old.tuples())
    narrower = _beyond(old.tuples(), new.tuples())
    words = _texts("consequence", old.consequence, new.consequence)
    terms = terms_added(old, new)
    if wider or terms:
        change = Change.WIDER
    elif narrower:
        change = Change.NARROWER
    elif old.document() == new.document():
        change = Change.SAME
    else:
        change = Change.WORDS
    return StatementPlan(
        id=new.id,
        change=change,
        basis=new.basis,
        asks=new.basis is LegalBasis.CONSENT,
        wider=wider,
        narrower=narrower,
        added=tuple(a for a in new.attributes if a not in old.attributes),
        removed=tuple(a for a in old.attributes if a not in new.attributes),
        words=tuple(words),
        terms=terms,
    )


def _removed(old: Statement) -> StatementPlan:
    return StatementPlan(
        id=old.id,
        change=Change.REMOVED,
        basis=old.basis,
        asks=False,
        narrower=old.tuples(),
        removed=old.attributes,
    )


def _beyond(
    these: frozenset[Tuple], those: frozenset[Tuple]
) -> frozenset[Tuple]:
    return frozenset(
        row
        for row in these - those
        if not any(within(row, other) for other in those)
    )


def _texts(
    name: str, old: Mapping[str, str], new: Mapping[str, str]
) -> tuple[str, ...]:
    return tuple(
        f"{name}.{language}"
        for language in sorted(old.keys() | new.keys())
        if old.get(language) != new.get(language)
    )
