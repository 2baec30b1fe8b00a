"""Requests that wait at the same time, answered in one walk.

Each request is about one person and has its own facts, decision, entry and
answer. What stands in common is what a walk costs whoever takes it: the
transaction in which facts are read, and the one in which entries are written.
Nobody waits for company: a round takes who is there when it can be worked on,
and grows with the load by itself, as the ledger's group commit does. No
ruling is shared between the requests of a round.
"""

import asyncio
from collections import deque
from dataclasses import dataclass

from policy.batch import BatchGate, Outcome
from policy.decisions import AccessRequest, Disclosure
from policy.gate import Gate

_LARGEST = 32


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    request: AccessRequest
    answer: asyncio.Future[Outcome]


class Rounds:
    """Answers services about one person each. One for each event loop.

    Args:
        gate: refuses what no answer could be about.
        batch: walks.
        under_way: how many rounds at most. With two, one is committed while
            the next is decided; where an engine elsewhere is waited for, more
            let nobody wait for another's answer.
        in_turn: whether a round starts only when those before it are decided.
            Where facts and rulings are this thread's own work, it would not
            be answered sooner, and would leave out who comes meanwhile.
    """

    def __init__(
        self,
        *,
        gate: Gate,
        batch: BatchGate,
        under_way: int = 2,
        in_turn: bool = False,
    ) -> None:
        self._gate = gate
        self._batch = batch
        self._waiting: deque[_Waiting] = deque()
        self._most = under_way
        self._in_turn = in_turn
        self._under_way: set[asyncio.Task[None]] = set()
        self._undecided: set[asyncio.Task[None]] = set()

    async def disclose(self, request: AccessRequest) -> Disclosure:
        """Answer as `Gate.disclose` does, together with who waits as well.

        Args:
            request: with service and purpose from its credential.

        Raises:
            UnknownAttributes, RequestInvalid, NoDecision: as there.

        """
        self._gate.refuse_malformed(request.attributes)
        answer: asyncio.Future[Outcome] = (
            asyncio.get_running_loop().create_future()
        )
        self._waiting.append(_Waiting(request, answer))
        self._start()
        outcome = await answer
        if isinstance(outcome, Disclosure):
            return outcome
        raise outcome

    def _start(self) -> None:
        """Start a round, if somebody waits and it may start now."""
        if not self._waiting or len(self._under_way) >= self._most:
            return
        if self._in_turn and self._undecided:
            return
        task = asyncio.create_task(self._run())
        self._under_way.add(task)
        self._undecided.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        # Here, too: one that is cancelled before it began decides nothing.
        self._undecided.discard(task)
        if not task.cancelled():
            self._start()

    async def _run(self) -> None:
        """Answer one round."""
        own = asyncio.current_task()

        def decided() -> None:
            self._undecided -= {own}
            self._start()

        taken: list[_Waiting] = []
        try:
            # One turn of the loop lets callers that are ready join.
            await asyncio.sleep(0)
            if not (taken := self._take()):
                return
            outcomes = await self._batch.walk(
                [one.request for one in taken], decided=decided
            )
        except BaseException as error:
            _fail(taken, error)
            if not isinstance(error, Exception):
                raise
        else:
            for one, outcome in zip(taken, outcomes, strict=True):
                if not one.answer.done():
                    one.answer.set_result(outcome)

    def _take(self) -> list[_Waiting]:
        """Take those who ask for the first one's service and purpose.

        From wherever they wait, in order; who is left keeps theirs.
        """
        taken: list[_Waiting] = []
        left: deque[_Waiting] = deque()
        for one in self._waiting:
            if one.answer.done():
                continue
            if len(taken) < _LARGEST and (
                not taken or _asks(one) == _asks(taken[0])
            ):
                taken.append(one)
            else:
                left.append(one)
        self._waiting = left
        return taken


def _asks(one: _Waiting) -> tuple[str, str]:
    return one.request.service, one.request.purpose


def _fail(taken: list[_Waiting], error: BaseException) -> None:
    for one in taken:
        if one.answer.done():
            continue
        if isinstance(error, Exception):
            one.answer.set_exception(error)
        else:
            one.answer.cancel()
