"""PIP: what is known about a request, as facts and never as values.

`gather` reads the stores; `input_document` is a pure function from facts to
the versioned document that the engine sees. A replay calls the same
function on facts that were loaded by reference, so the two cannot drift.

The fact revision is read first. Whatever is read after it may be newer, and
then the writer finds the revision changed and the gate decides again.
"""

import sqlite3
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from consent import (
    Answered,
    ConsentDamaged,
    ConsentError,
    ConsentEvent,
    ConsentStore,
    Declaration,
    DeclarationInvalid,
    EventType,
    Hold,
    LegalBasis,
    PreferencesInvalid,
    Required,
    RowForged,
    Statement,
    StoredPreferences,
    Uses,
    Verdict,
    carried,
    demands,
    hold_of,
    match,
    source_of,
    states,
)
from policy.classification import Classification
from policy.decisions import (
    SCHEMA,
    AccessRequest,
    ById,
    ByIdentifier,
    Json,
    SubjectRef,
)
from policy.errors import PolicyError, RestraintDamaged
from policy.pdp import Cause, Document, NoDecision, Standing
from policy.restraints import (
    NO_RESTRAINTS,
    Restraints,
    RestraintStore,
    restraints_of,
    union,
)
from vault import CryptoFailure, Holding, Vault, VaultError

_VERDICTS_KEPT = 4096
_CATALOGUES_KEPT = 256
_SIDES_KEPT = 256
_UNANSWERED = "unanswered"
_UNREAD = -1
_LOOKS = 3
T = TypeVar("T")
_NO_EVENT = UUID(int=0)
_OF_ONE = (ConsentError, PolicyError, VaultError)
# Their texts have ids alone.
_NAMING = (
    ConsentDamaged,
    DeclarationInvalid,
    RestraintDamaged,
    RowForged,
    CryptoFailure,
)
_DAMAGED = (*_NAMING, PreferencesInvalid)
# What Python says of a column of another form that no reader refused.
_STRANGE = (TypeError, ValueError, LookupError, AttributeError, OverflowError)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """All that may decide one request, and the revision it was read under."""

    revision: int
    known: bool
    declaration: Declaration | None
    events: tuple[ConsentEvent, ...]
    preferences: int
    verdicts: tuple[Verdict, ...]
    restraints: Restraints
    present: frozenset[str]
    # When the newest answer was given; the decision is not before it.
    since: int = 0
    # What was used before under the person's counted rules, by rule id.
    uses: Mapping[str, Uses] = field(default_factory=dict)
    # Whether uses can be counted; where not, no counted rule permits any.
    counts: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shared:
    """What is the same for everybody in a read of many."""

    declaration: Declaration | None
    present: frozenset[str]
    counts: bool


class Gathered(NamedTuple):
    """What was read of one of many people; facts are made when wanted."""

    answered: Answered
    restraints: Restraints
    verdicts: tuple[Verdict, ...]
    shared: _Shared

    @property
    def subject(self) -> UUID:
        """The person."""
        return self.answered.subject

    def facts(self) -> Facts:
        """Make the facts; nothing can be written under their revision."""
        return Facts(
            revision=_UNREAD,
            known=True,
            declaration=self.shared.declaration,
            events=self.answered.events(),
            preferences=self.answered.preferences.version,
            verdicts=self.verdicts,
            restraints=self.restraints,
            present=self.shared.present,
            since=self.answered.since(),
            uses=self.answered.uses,
            counts=self.shared.counts,
        )

    def likeness(self, now: int) -> Hashable:
        """Give a key under which facts make one document, whoever they are of.

        For one request: equal keys make equal documents, but for the ids of
        events, and are much cheaper. Verdicts and what is shared are
        compared by identity, so whoever keeps a key keeps this as well.

        Args:
            now: POSIX seconds of the decision.
        """
        answered, restraints, verdicts, shared = self
        return (
            max(now, answered.since()),
            answered.likeness(),
            id(verdicts),
            id(shared.declaration),
            # Of most people nothing holds, and no hash is made of it.
            None if restraints is NO_RESTRAINTS else restraints,
            tuple(sorted(answered.uses.items())) if answered.uses else (),
        )


_NOTHING = Facts(
    revision=0,
    known=False,
    declaration=None,
    events=(),
    preferences=0,
    verdicts=(),
    restraints=Restraints(restricted=False, objected=()),
    present=frozenset(),
)
"""Stands where facts are still to come."""


def _present(request: AccessRequest, held: frozenset[str]) -> frozenset[str]:
    """Add the predicates asked whose source is held to what is held."""
    return held | {
        name for name in request.attributes if source_of(name) in held
    }


class FactSource:
    """Gathers facts from the vault's rows and the consent store."""

    def __init__(
        self,
        *,
        vault: Vault,
        consents: ConsentStore,
        restraints: RestraintStore,
        classification: Mapping[str, Classification],
    ) -> None:
        self._vault = vault
        self._consents = consents
        self._restraints = restraints
        self._classification = classification
        # Of the classification, which does not change; nobody changes them.
        self._catalogues: dict[tuple[str, ...], dict[str, Json]] = {}
        self._matched: dict[tuple[str, str], tuple[Verdict, ...]] = {}
        # Of requests and declarations alone, and so of nobody.
        self._sides: dict[
            Hashable, tuple[Mapping[str, Json] | None, Standing]
        ] = {}

    def holding(self, person: SubjectRef) -> Holding:
        """Fetch whom a request names, or the decoy.

        Raises:
            NoDecision: what is stored of the person does not read.
        """
        with _undamaged():
            return self._vault.holding(self.resolve(person))

    def resolve(self, person: SubjectRef) -> UUID:
        """Find the person, or the decoy when there is none."""
        if isinstance(person, ById):
            return person.subject
        found = self._vault.look_up.find(person.attribute, person.value)
        return self._vault.decoy() if found is None else found

    def record_of(self, person: SubjectRef) -> UUID:
        """Find the record that a reference leads to, or the decoy.

        It may be read with others as one person's; `resolve` gives whose.

        Raises:
            NoDecision: what leads to the person does not read.
        """
        if isinstance(person, ById):
            return person.subject
        with _undamaged():
            found = self._vault.look_up.find(
                person.attribute, person.value, whole=False
            )
        return self._vault.decoy() if found is None else found

    def named(self, person: SubjectRef) -> SubjectRef:
        """Spell a reference as every other spelling of it is spelt.

        Nobody is looked up, so it tells nothing of who is known.
        """
        if isinstance(person, ById):
            return person
        try:
            value = self._vault.look_up.spelled(person.attribute, person.value)
        except VaultError:
            return person
        return ByIdentifier(attribute=person.attribute, value=value)

    def gather(
        self, conn: Connection, request: AccessRequest, now: int
    ) -> tuple[Holding, Facts]:
        """Read everything that can decide `request` at the instant `now`.

        The same statements run for a known and for an unknown person.

        Raises:
            NoDecision: what is stored of the person, or of what the service
                declared, does not read.
        """
        with _undamaged():
            holding = self._vault.holding(self.resolve(request.person))
            return self._gathered(conn, request, now, holding)

    def _gathered(
        self,
        conn: Connection,
        request: AccessRequest,
        now: int,
        holding: Holding,
    ) -> tuple[Holding, Facts]:
        facts = self.about(
            conn,
            holding.subject,
            request,
            now,
            known=holding.known,
            present=holding.present,
            merged=tuple(other.subject for other in holding.others),
        )
        return holding, facts

    def gather_each(
        self, conn: Connection, requests: Sequence[AccessRequest], now: int
    ) -> list[tuple[Holding, Facts] | Exception]:
        """Read as `gather` does about several people, in fewer statements.

        Args:
            conn: the transaction to read in.
            requests: of one service for one purpose.
            now: the instant.

        Returns:
            For each request, in order, what `gather` would return or, of
            what is the person's or their identifier's own fault, raise.

        """
        try:
            return self._gathered_each(conn, requests, now)
        except Exception as error:
            if not isinstance(error, _OF_ONE) and not is_damage(error):
                raise
            # One row spoils what is read of all: each is read alone.
            return [self._tried(conn, request, now) for request in requests]

    def _gathered_each(
        self, conn: Connection, requests: Sequence[AccessRequest], now: int
    ) -> list[tuple[Holding, Facts] | Exception]:
        found: list[tuple[Holding, Facts] | Exception] = []
        simple: list[int] = []
        for place, holding in enumerate(self._holdings(requests)):
            if isinstance(holding, Exception) or holding.others:
                found.append(self._tried(conn, requests[place], now))
            else:
                simple.append(place)
                found.append((holding, _NOTHING))
        self._fill(conn, requests, now, simple, found)
        return found

    def _tried(
        self, conn: Connection, request: AccessRequest, now: int
    ) -> tuple[Holding, Facts] | Exception:
        try:
            return self.gather(conn, request, now)
        except _OF_ONE as error:
            return error

    def _holdings(
        self, requests: Sequence[AccessRequest]
    ) -> list[Holding | Exception]:
        """Find and fetch everybody, or the decoy in somebody's place."""
        decoy = self._vault.decoy()
        resolved: list[UUID | Exception] = [decoy] * len(requests)
        by_attribute: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            person = request.person
            if isinstance(person, ById):
                resolved[place] = person.subject
            else:
                by_attribute.setdefault(person.attribute, []).append(place)
        for attribute, places in by_attribute.items():
            for place, one in zip(
                places, self._found(attribute, requests, places), strict=True
            ):
                resolved[place] = decoy if one is None else one
        subjects = [one for one in resolved if isinstance(one, UUID)]
        fetched = iter(self._vault.holdings(subjects))
        return [
            next(fetched) if isinstance(one, UUID) else one for one in resolved
        ]

    def _found(
        self,
        attribute: str,
        requests: Sequence[AccessRequest],
        places: Sequence[int],
    ) -> Sequence[UUID | Exception | None]:
        values = [
            person.value
            for place in places
            if isinstance(person := requests[place].person, ByIdentifier)
        ]
        try:
            return self._vault.look_up.find_each(attribute, values)
        except _OF_ONE as error:
            return [error] * len(values)

    def _fill(
        self,
        conn: Connection,
        requests: Sequence[AccessRequest],
        now: int,
        simple: Sequence[int],
        found: list[tuple[Holding, Facts] | Exception],
    ) -> None:
        """Put the facts of those in who are one record each."""
        holdings = [
            one[0]
            for place in simple
            if not isinstance(one := found[place], Exception)
        ]
        if not holdings:
            return
        subjects = [one.subject for one in holdings]
        service, purpose = requests[0].service, requests[0].purpose
        told = self._consents.told(
            conn, subjects, service, purpose, [one.known for one in holdings]
        )
        restraints = self._restraints.of_each(
            conn, subjects, now, [one.parts for one in told]
        )
        declaration = self._consents.declaration(service, purpose, conn)
        for place, holding, said, held in zip(
            simple, holdings, told, restraints, strict=True
        ):
            facts = Facts(
                revision=said.revision,
                known=holding.known,
                declaration=declaration,
                events=tuple(said.events),
                preferences=said.preferences.version,
                verdicts=self.verdicts(said.preferences, declaration),
                restraints=held,
                present=_present(requests[place], holding.present),
                since=max((event.at for event in said.events), default=0),
                uses=said.uses,
            )
            found[place] = holding, facts

    def about(
        self,
        conn: Connection,
        subject: UUID,
        request: AccessRequest,
        now: int,
        *,
        known: bool,
        present: frozenset[str],
        merged: Sequence[UUID] = (),
        counts: bool = True,
    ) -> Facts:
        """Read what consent, preferences and restraints say of a person.

        An answer counts from when it was committed, also where the clock
        of whoever took it is ahead of ours: a withdrawal is never late.

        Of records that are `merged` into the person's, answers count in
        the order they were given, and every restraint holds.

        Raises:
            ConsentDamaged, PreferencesInvalid, RestraintDamaged: what is
                stored is not as it was written.
        """
        members = (subject, *merged)
        return settled(
            self._consents,
            conn,
            members,
            lambda: self._about(
                conn,
                members,
                request,
                now,
                known=known,
                present=present,
                counts=counts,
            ),
        )

    def _about(
        self,
        conn: Connection,
        members: tuple[UUID, ...],
        request: AccessRequest,
        now: int,
        *,
        known: bool,
        present: frozenset[str],
        counts: bool,
    ) -> Facts:
        subject = members[0]
        counted = [
            self._consents.counted(
                conn, one, known=known or one is not subject
            )
            for one in members
        ]
        declaration = self._consents.declaration(
            request.service, request.purpose, conn
        )
        events = [
            event
            for one, (_, parts) in zip(members, counted, strict=True)
            for event in self._consents.events(
                one,
                request.service,
                request.purpose,
                until=None,
                conn=conn,
                parts=parts,
            )
        ]
        if len(members) > 1:
            events.sort(key=lambda event: event.at)
        revision, parts = counted[0]
        stored = self._consents.preferences(subject, conn, parts)
        return Facts(
            revision=revision,
            known=known,
            declaration=declaration,
            events=tuple(events),
            preferences=stored.version,
            verdicts=self.verdicts(stored, declaration),
            restraints=union(
                [
                    self._restraints.at(conn, one, now, parts)
                    for one, (_, parts) in zip(members, counted, strict=True)
                ]
            ),
            present=_present(request, present),
            since=max((event.at for event in events), default=0),
            uses=self._consents.uses(
                members, request.service, request.purpose, conn
            ),
            counts=counts,
        )

    def about_many(
        self,
        conn: Connection,
        subjects: Sequence[UUID],
        request: AccessRequest,
        now: int,
        *,
        present: frozenset[str],
        counts: bool = True,
    ) -> Iterator["Gathered"]:
        """Read of many known people what `about` reads, by four statements.

        Args:
            conn: the transaction to read in.
            subjects: the people, some hundreds at a time; none of them is
                read with another's record.
            request: what is asked, whoever it names.
            now: POSIX seconds.
            present: the attributes that count as held.
            counts: whether uses can be counted.

        Yields:
            What was read of each person, in the order given.
        """
        declaration = self._consents.declaration(
            request.service, request.purpose
        )
        shared = _Shared(
            declaration=declaration, present=present, counts=counts
        )
        answered = self._consents.answered(
            conn, subjects, request.service, request.purpose
        )
        rows = self._restraints.of_many(conn, subjects)
        preferences = None
        verdicts: tuple[Verdict, ...] = ()
        for one in answered:
            # Most people never chose, and have the same one.
            if one.preferences is not preferences:
                preferences = one.preferences
                verdicts = self.verdicts(preferences, declaration)
            try:
                held = self._held(one, rows, request, now)
            except _DAMAGED:
                # Or it was being changed, in which case one more look says so.
                yield self._again(conn, one.subject, request, now, shared)
            else:
                yield Gathered(one, held, verdicts, shared)

    def _held(
        self,
        one: Answered,
        rows: Mapping[UUID, Sequence[Sequence[Any]]],
        request: AccessRequest,
        now: int,
    ) -> Restraints:
        """Say what holds of somebody, of whom all read is vouched for."""
        parts = self._consents.vouched(one, request.service, request.purpose)
        own = rows.get(one.subject, ()) if rows else ()
        return restraints_of(one.subject, own, now, parts)

    def _again(
        self,
        conn: Connection,
        subject: UUID,
        request: AccessRequest,
        now: int,
        shared: _Shared,
    ) -> Gathered:
        """Read one of many by themselves."""

        def look() -> Gathered:
            (one,) = self._consents.answered(
                conn, [subject], request.service, request.purpose
            )
            rows = {subject: self._restraints.rows(conn, subject)}
            held = self._held(one, rows, request, now)
            verdicts = self.verdicts(one.preferences, shared.declaration)
            return Gathered(one, held, verdicts, shared)

        return settled(self._consents, conn, (subject,), look)

    def verdicts(
        self, stored: StoredPreferences, declaration: Declaration | None
    ) -> tuple[Verdict, ...]:
        """Match preferences with a declaration, each pair once.

        Both are immutable under their digests, so a kept result is exact.
        The store is emptied when full: its size bounds memory, not truth.
        """
        if declaration is None:
            return ()
        key = (stored.preferences.digest, declaration.digest)
        found = self._matched.get(key)
        if found is None:
            if len(self._matched) >= _VERDICTS_KEPT:
                self._matched.clear()
            found = match(stored.preferences, declaration)
            self._matched[key] = found
        return found

    def input_document(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Document:
        """The document of ``curtilage/disclosure/1``; no value is in it.

        Raises:
            NoDecision: a version that the person answered does not read.
        """
        with _undamaged():
            return self._document(request, facts, now)

    def _document(
        self, request: AccessRequest, facts: Facts, now: int
    ) -> Document:
        return Document(
            self._side(request, facts.declaration),
            {
                "now": now,
                "consents": self._standing(facts, now),
                "preferences": _preferences(facts, request.attributes, now),
                "person": {
                    "known": facts.known,
                    "present": [
                        name
                        for name in request.attributes
                        if name in facts.present
                    ],
                    "restricted": facts.restraints.restricted,
                    "objected": list(facts.restraints.objected),
                },
            },
        )

    def _side(
        self, request: AccessRequest, declaration: Declaration | None
    ) -> Standing:
        """What is the service's, made once for all that it asks alike."""
        key = (
            request.service,
            request.purpose,
            request.assurance,
            request.understands,
            request.attributes,
        )
        declared = None if declaration is None else declaration.facts
        kept = self._sides.get(key)
        if kept is not None and kept[0] is declared:
            return kept[1]
        side = Standing(
            {
                "schema": SCHEMA,
                "service": {
                    "id": request.service,
                    "purpose": request.purpose,
                    "assurance": request.assurance,
                    "understands": sorted(request.understands),
                },
                "request": {"attributes": list(request.attributes)},
                "declaration": declared,
                "catalogue": self._catalogue(request.attributes),
            }
        )
        if len(self._sides) >= _SIDES_KEPT:
            self._sides.clear()
        self._sides[key] = declared, side
        return side

    def _catalogue(self, attributes: tuple[str, ...]) -> dict[str, Json]:
        """What is classified about some attributes, put together once."""
        known = self._catalogues.get(attributes)
        if known is None:
            if len(self._catalogues) >= _CATALOGUES_KEPT:
                self._catalogues.clear()
            known = self._catalogues[attributes] = {
                name: {
                    "sensitivity": found.sensitivity,
                    "levels": found.levels,
                }
                for name in attributes
                if (found := self._classification.get(name)) is not None
            }
        return known

    def resting(
        self, facts: Facts, granted: frozenset[str], now: int
    ) -> tuple[Verdict, ...]:
        """Return the verdicts with counted terms that a grant rests on.

        Args:
            facts: what was decided on.
            granted: the attributes that leave by consent.
            now: the instant of the decision.

        Raises:
            NoDecision: a version that the person answered does not read.
        """
        counted = [
            verdict
            for verdict in facts.verdicts
            if verdict.attribute in granted
            and any(terms.counted for _, terms in verdict.terms)
        ]
        if not counted or facts.declaration is None:
            return ()
        with _undamaged():
            given = carried(
                states(facts.events, now),
                facts.declaration,
                self._consents.declaration_by_digest,
            )
        return tuple(
            verdict
            for verdict in counted
            if verdict.statement in given
            and verdict.attribute in given[verdict.statement].attributes
        )

    def _demand_declared(
        self, events: Sequence[ConsentEvent], live: Declaration
    ) -> None:
        """Refuse an answer to a statement that its declaration never had.

        It could be a no to another one, which would stand as if unsaid.

        Raises:
            ConsentDamaged: there is one.
        """
        for event in events:
            if live.statement(event.statement) is not None:
                continue
            said = self._consents.declaration_by_digest(event.declaration)
            if said is None or said.statement(event.statement) is None:
                raise ConsentDamaged(event.subject)

    def _standing(self, facts: Facts, now: int) -> list[Json]:
        """What the answers mean now, under the version in force.

        What asks and was never answered stands here as well. Somebody
        unknown has answered nothing, so that their document is as long as
        the others', and is judged as long.
        """
        if facts.declaration is None:
            return []
        self._demand_declared(facts.events, facts.declaration)
        answered = {event.statement for event in facts.events}
        stand_ins = [
            _stand_in(one, facts.declaration)
            for one in facts.declaration.statements
            if one.id not in answered and _asks(one)
        ]
        standing = carried(
            states((*facts.events, *stand_ins), now),
            facts.declaration,
            self._consents.declaration_by_digest,
        )
        return [
            {
                "statement": one.statement,
                "state": (
                    _UNANSWERED if one.event == _NO_EVENT else one.state.value
                ),
                "attributes": list(one.attributes),
                "until": one.until,
                "event": str(one.event),
            }
            for one in standing.values()
        ]


def settled(
    consents: ConsentStore,
    conn: Connection,
    members: Sequence[UUID],
    look: Callable[[], T],
) -> T:
    """Look at somebody's facts, again where they were changed meanwhile.

    A server shows each statement what is committed when it begins, so rows
    may be newer than what vouches for them. What is wrong although nothing
    changed is damage.

    Args:
        consents: counts the changes.
        conn: the transaction to read in.
        members: whose facts are read.
        look: reads them.

    Raises:
        ConsentDamaged, PreferencesInvalid, RestraintDamaged: they are not as
            they were written.
    """
    with suppress(*_DAMAGED):
        return look()
    for _ in range(_LOOKS):
        before = consents.revisions(conn, members)
        try:
            return look()
        except _DAMAGED:
            if before == consents.revisions(conn, members):
                raise
    return look()


@contextmanager
def _undamaged() -> Iterator[None]:
    """Take what does not read for no decision, about whoever it is of.

    An error of the database itself is nobody's, and passes.
    """
    try:
        yield
    except Exception as error:
        if not is_damage(error):
            raise
        # A text of Python's own could quote what is stored.
        told = error if isinstance(error, _NAMING) else type(error).__name__
        raise NoDecision(Cause.DAMAGED, str(told)) from None


def is_damage(error: Exception) -> bool:
    """Say whether an error is what is stored of somebody, not the database."""
    cause = error.orig if isinstance(error, DBAPIError) else error
    # SQLite has no code for a text that is no UTF-8: it was read well.
    return isinstance(error, (*_DAMAGED, *_STRANGE)) or (
        isinstance(cause, sqlite3.OperationalError)
        and str(cause).startswith("Could not decode")
    )


def _stand_in(statement: Statement, declaration: Declaration) -> ConsentEvent:
    """Stand where an answer would; it is never stored, and allows nothing."""
    return ConsentEvent(
        id=_NO_EVENT,
        subject=_NO_EVENT,
        service=declaration.service,
        purpose=declaration.purpose,
        statement=statement.id,
        declaration=declaration.digest,
        notice="",
        language="",
        type=EventType.REFUSED,
        attributes=(),
        at=0,
        expires_at=None,
        actor="",
        channel="",
    )


def _asks(statement: Statement) -> bool:
    """Whether the person is asked, as `policies/disclosure` has it."""
    return statement.basis is LegalBasis.CONSENT or any(
        one.required is Required.OPT_IN for one in statement.purposes
    )


def _preferences(facts: Facts, asked: Sequence[str], now: int) -> list[Json]:
    wanted = frozenset(asked)
    return [
        {
            "statement": one.statement,
            "attribute": one.attribute,
            "behavior": one.behavior.value,
            "level": one.level,
            "rule": one.rule,
            "hold": _hold(one, facts, now),
            # Left out where there are none, as of most rules.
            **_demanded(one),
        }
        for one in facts.verdicts
        if one.attribute in wanted
    ]


def _demanded(verdict: Verdict) -> dict[str, Json]:
    """What the rules have whoever gets the value promise."""
    if not verdict.terms:
        return {}
    found = demands(verdict.terms)
    if not found:
        return {}
    return {
        "obligations": [
            {"type": kind} if days is None else {"type": kind, "days": days}
            for kind, days in found
        ]
    }


def _hold(verdict: Verdict, facts: Facts, now: int) -> str | None:
    """Say why what the rules permit is not permitted now, if it is not."""
    if verdict.optional_sharing and facts.restraints.signalled:
        return Hold.SIGNAL.value
    if not verdict.terms:
        return None
    if not facts.counts and any(one.counted for _, one in verdict.terms):
        return Hold.USES.value
    found = hold_of(verdict.terms, facts.uses, now)
    return None if found is None else found[0].value
