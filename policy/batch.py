"""Answers about many people to one service: one walk each, made together.

Nothing is shared but work. Each person has facts, an entry, a stored decision
and a grant of their own; the entry is durable before the person's record is
opened, and what fails for one fails for that one alone. Together are only the
transaction of the entries of a part of the batch, and the decision about
people whose facts are equal: the documents are compared whole but for the ids
of events, which say who and decide nothing. That comparison lives as long as
the part, so nothing outlives the facts that it was computed from.

How many decisions a batch takes shows in how long it takes, and so could tell
whether two people's facts are equal. So a decision is shared only where a
person is named for the first time in the batch: a name that is repeated adds
a decision each time, and whoever listens for one decision less has to find
another name, known or not, for each. What remains is that: people whose facts
are equal still save time where each is named once. Rounds, which answer one
person a request, share nothing.

An engine that is down, too slow or out of its budget about one ends what is
left of the batch: asking about each would wait as often. So does a part that
takes longer than `WALK_SECONDS`. Each who is left has an entry that says so.

Where a person's rule counts uses, or their facts moved meanwhile, they are
answered by `Gate.disclose`, one by one, as if they had been asked for alone.
"""

import asyncio
import json
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection

from consent import (
    Appended,
    Commit,
    ConsentError,
    ConsentStore,
    GroupCommit,
    LedgerUnavailable,
    LogKeyMoved,
)
from policy.decisions import (
    AccessRequest,
    Decision,
    Disclosure,
    Guidance,
    SubjectRef,
)
from policy.errors import PolicyError, RequestInvalid
from policy.facts import Facts, FactSource
from policy.gate import ENTRYPOINT, GRANT_SECONDS, Gate, Prepared, denied
from policy.pdp import (
    Cause,
    Document,
    HearsRepeats,
    NoDecision,
    Ruling,
    decide_within,
)
from policy.reading import Reader
from policy.retrying import FactsMovedError
from policy.store import DecisionStore
from vault import Holding, VaultError

MOST_PEOPLE = 1000
# People a transaction, and between two looks at what else waits.
_PART, _TURN = 64, 16
# Parts under way: one is committed while the next is decided.
_UNDER_WAY = 2
# After which nobody of a walk is decided about: what it grants ends soon.
WALK_SECONDS = GRANT_SECONDS // 3
_OF_ONE = (PolicyError, VaultError, ConsentError)
_OF_THE_ENGINE = frozenset(
    {Cause.DOWN, Cause.TIMEOUT, Cause.BUDGET, Cause.OPEN_CIRCUIT}
)
_Rulings = dict[Hashable, tuple[Ruling, Decision]]
Outcome = Disclosure | PolicyError | VaultError | ConsentError
"""An answer about one person, or why there is none."""


@dataclass(slots=True)
class _Course:
    """Whether a batch, or a round, goes on.

    Attributes:
        carries: the causes of one's failure that end the rest as well.
        cause: why the rest gets no decision; None while it goes on.
    """

    carries: frozenset[Cause]
    cause: Cause | None = None

    def hear(self, outcome: object) -> None:
        """Hear of an outcome, which may end the rest."""
        if isinstance(outcome, NoDecision) and outcome.cause in self.carries:
            self.cause = self.cause or outcome.cause


@dataclass(frozen=True, slots=True)
class _Part:
    """What is walked together, since when, as part of what."""

    requests: Sequence[AccessRequest]
    course: _Course
    now: int
    clock: Callable[[], int]

    def late(self) -> bool:
        """Whether what was decided at the start is too old to act on."""
        return self.clock() - self.now > WALK_SECONDS

    def over(self) -> NoDecision | None:
        """Why nobody else is decided about; None while somebody may be."""
        if self.course.cause is None and self.late():
            self.course.cause = Cause.TIMEOUT
        cause = self.course.cause
        return None if cause is None else NoDecision(cause)


class BatchGate:
    """The gate, asked about many people at once."""

    def __init__(
        self,
        *,
        gate: Gate,
        facts: FactSource,
        consents: ConsentStore,
        commits: GroupCommit,
        decisions: DecisionStore,
        reader: Reader,
        clock: Callable[[], int],
    ) -> None:
        self._gate = gate
        self._facts = facts
        self._consents = consents
        self._commits = commits
        self._decisions = decisions
        self._read = reader
        self._clock = clock

    async def disclose(
        self, requests: Sequence[AccessRequest]
    ) -> list[Outcome]:
        """Answer a service about several people.

        Args:
            requests: of one service for one purpose, about 1 to
                `MOST_PEOPLE` people, with equal attributes.

        Returns:
            For each request, in order, what `Gate.disclose` would return or
            raise. The entry of each answer is durable.

        Raises:
            RequestInvalid: too many people, or no, too many or repeated
                attributes.
            UnknownAttributes: a name is not in the catalogue.

        """
        if not 0 < len(requests) <= MOST_PEOPLE:
            msg = f"a batch names 1 to {MOST_PEOPLE} people"
            raise RequestInvalid(msg)
        self._gate.refuse_malformed(requests[0].attributes)
        room = asyncio.Semaphore(_UNDER_WAY)
        course = _Course(carries=_OF_THE_ENGINE)
        first = self._first_mentions(requests)
        parts = [
            asyncio.create_task(
                self._in_turn(
                    room,
                    requests[start : start + _PART],
                    first[start : start + _PART],
                    course,
                )
            )
            for start in range(0, len(requests), _PART)
        ]
        try:
            found = await asyncio.gather(*parts)
        finally:
            for one in parts:
                one.cancel()
        return [outcome for part in found for outcome in part]

    async def _in_turn(
        self,
        room: asyncio.Semaphore,
        requests: Sequence[AccessRequest],
        first: Sequence[bool],
        course: _Course,
    ) -> list[Outcome]:
        async with room:
            part = self._part(requests, course)
            return await self._walk(part, first)

    def _first_mentions(self, requests: Sequence[AccessRequest]) -> list[bool]:
        """Of each request, whether none before it names the same person."""
        seen: set[SubjectRef] = set()
        first: list[bool] = []
        for request in requests:
            person = self._facts.named(request.person)
            first.append(person not in seen)
            seen.add(person)
        return first

    async def walk(
        self,
        requests: Sequence[AccessRequest],
        *,
        decided: Callable[[], None] = lambda: None,
    ) -> list[Outcome]:
        """Answer some requests in one walk, as `disclose` does.

        Each is decided by itself, all at the same time. After
        `WALK_SECONDS` nobody who is left is decided about.

        Args:
            requests: of one service for one purpose, none malformed.
            decided: hears when what is left is to be committed.

        """
        course = _Course(carries=frozenset())
        return await self._walk(self._part(requests, course), None, decided)

    def _part(
        self, requests: Sequence[AccessRequest], course: _Course
    ) -> _Part:
        return _Part(requests, course, self._clock(), self._clock)

    async def _walk(
        self,
        part: _Part,
        first: Sequence[bool] | None,
        decided: Callable[[], None] = lambda: None,
    ) -> list[Outcome]:
        requests = part.requests
        outcomes: dict[int, Outcome] = {}
        unentered: dict[int, NoDecision] = {}
        ready: dict[int, Prepared] = {}
        for place, one in enumerate(await self._looked_up(part, first)):
            if isinstance(one, Prepared):
                if one.uses is None:
                    ready[place] = one
                else:
                    one.holding.close()
                continue
            outcomes[place] = one
            if isinstance(one, NoDecision):
                unentered[place] = one
        decided()
        if part.late():
            _close(ready)
        else:
            await self._finish(ready, outcomes)
        for place, request in enumerate(requests):
            if place in outcomes:
                continue
            over = part.over()
            if over is None:
                outcomes[place] = await self._alone(request)
                part.course.hear(outcomes[place])
            else:
                outcomes[place] = unentered[place] = over
        # At the same time, so that the queue commits them together.
        await asyncio.gather(
            *(
                self._gate.enter_none(requests[place], none)
                for place, none in unentered.items()
            )
        )
        return [outcomes[place] for place in range(len(requests))]

    async def _looked_up(
        self, part: _Part, first: Sequence[bool] | None
    ) -> Sequence[Prepared | Outcome]:
        """Read the facts and decide, unless it is over before that."""
        if part.over() is not None:
            return ()
        found = await self._read(
            lambda conn: self._facts.gather_each(conn, part.requests, part.now)
        )
        return await self._decided(part, found, first)

    async def _decided(
        self,
        part: _Part,
        found: Sequence[tuple[Holding, Facts] | Exception],
        first: Sequence[bool] | None,
    ) -> list[Prepared | Outcome]:
        """Decide about each; what one waits for holds up no other alone."""
        if first is None:
            return await asyncio.gather(
                *(
                    self._tried(request, known, part, None)
                    for request, known in zip(
                        part.requests, found, strict=True
                    )
                )
            )
        rulings: _Rulings = {}
        made: list[Prepared | Outcome] = []
        for request, known, new in zip(
            part.requests, found, first, strict=True
        ):
            if len(made) % _TURN == _TURN - 1:
                await asyncio.sleep(0)
            mine = rulings if new else None
            made.append(await self._tried(request, known, part, mine))
        return made

    async def _tried(
        self,
        request: AccessRequest,
        known: tuple[Holding, Facts] | Exception,
        part: _Part,
        rulings: _Rulings | None,
    ) -> Prepared | Outcome:
        if isinstance(known, Exception):
            return _of_one(known)
        over = part.over()
        if over is not None:
            return over
        try:
            return await self._prepared(request, *known, part.now, rulings)
        except _OF_ONE as error:
            part.course.hear(error)
            return error

    async def _prepared(
        self,
        request: AccessRequest,
        holding: Holding,
        facts: Facts,
        now: int,
        rulings: _Rulings | None,
    ) -> Prepared:
        now = max(now, facts.since)
        document = self._facts.input_document(request, facts, now)
        if rulings is None:
            ruling = await decide_within(
                self._gate.pdp, ENTRYPOINT, document, request.trace
            )
            decision = self._gate.read(request, ruling)
        else:
            decision = await self._shared(request, document, rulings)
        return self._gate.prepare(request, holding, facts, decision, now)

    async def _shared(
        self,
        request: AccessRequest,
        document: Document,
        rulings: _Rulings,
    ) -> Decision:
        """Decide, or take what was decided about an equal document."""
        same = _same(document)
        before = rulings.get(same)
        if before is None or before[0].revision != self._gate.pdp.revision:
            ruling = await decide_within(
                self._gate.pdp, ENTRYPOINT, document, request.trace
            )
            decision = self._gate.read(request, ruling)
            rulings[same] = ruling, decision
            return decision
        ruling, decision = before
        if isinstance(self._gate.pdp, HearsRepeats):
            self._gate.pdp.repeated(ENTRYPOINT, document, ruling)
        return decision

    async def _finish(
        self, ready: Mapping[int, Prepared], outcomes: dict[int, Outcome]
    ) -> None:
        """Make the entries of a part durable, then open what they allow.

        Who is left without an outcome is to be asked for alone.
        """
        if not ready:
            return
        try:
            entries = await self._recorded([*ready.values()])
        except _OF_ONE as error:
            _close(ready)
            # Anything else, also a key that moved, is somebody's.
            if isinstance(error, LedgerUnavailable) and not isinstance(
                error, LogKeyMoved
            ):
                none = NoDecision(Cause.LEDGER)
                outcomes.update(dict.fromkeys(ready, none))
            return
        # It is of the service's side alone, so those who asked alike at the
        # same instant share it.
        guidances: dict[Hashable, Guidance | None] = {}
        for (place, one), entry in zip(ready.items(), entries, strict=True):
            try:
                answer = self._gate.open(one, entry)
            except _OF_ONE as error:
                outcomes[place] = error
                continue
            if denied(answer):
                side = _side(one)
                if side not in guidances:
                    guidances[side] = await self._gate.guidance(one)
                answer = replace(answer, guidance=guidances[side])
            outcomes[place] = answer

    async def _recorded(self, ready: Sequence[Prepared]) -> list[Appended]:
        def unmoved(conn: Connection) -> None:
            people = [one.holding.subject for one in ready]
            if self._consents.revisions(conn, people) != [
                one.revision for one in ready
            ]:
                raise FactsMovedError

        def after(conn: Connection, _appended: Sequence[Appended]) -> None:
            self._decisions.write(conn, [one.row for one in ready])

        return await self._commits.submit(
            Commit(
                check=unmoved,
                drafts=tuple([one.draft for one in ready]),
                after=after,
            )
        )

    async def _alone(self, request: AccessRequest) -> Outcome:
        try:
            return await self._gate.disclose(request)
        except _OF_ONE as error:
            return error


def _close(ready: Mapping[int, Prepared]) -> None:
    for one in ready.values():
        one.holding.close()


def _of_one(error: Exception) -> Outcome:
    """Take a fault of one person's for their outcome; raise any other."""
    if isinstance(error, _OF_ONE):
        return error
    raise error


def _side(one: Prepared) -> Hashable:
    """All that guidance about a request is made from."""
    request = one.request
    return (
        one.draft.at,
        id(one.declaration),
        request.service,
        request.purpose,
        request.attributes,
        request.understands,
        request.assurance,
    )


def _same(document: Document) -> Hashable:
    """What two documents have in common that are decided alike.

    What is the service's is compared as the one object that it is.
    """
    standing = document.standing()
    common = () if standing is None else standing.members
    own = {name: document[name] for name in document if name not in common}
    own["consents"] = [{**one, "event": ""} for one in document["consents"]]
    return standing, json.dumps(own)
