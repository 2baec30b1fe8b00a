"""The policies in force, in every process that decides.

`LivePdp` stands before the engine. About once a second it reads the pointer
of the bundle store; where it moved, the engine takes the other bundle whole.
Each ruling carries the revision that made it, so no request is decided by
half a bundle, and none is dropped. A stored bundle that does not verify, or
a pointer that this instance did not write, is not taken: the one before goes
on deciding, and an alarm is due. Where there is none before, because a
process starts, nothing decides until one is taken.

Where a candidate runs in the shadow, every disclosure that was decided is
decided again by it, aside and afterwards, and what it decides otherwise is
counted; its answers go nowhere.
"""

from collections import Counter, deque
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from types import TracebackType
from typing import Self

from policy.bundle import Bundle
from policy.bundle_store import NONE, OURS, BundleStore, Flip, Live
from policy.embedded import EmbeddedPdp
from policy.gate import ENTRYPOINT
from policy.opa_failover import FailoverPdp
from policy.pdp import (
    JSON,
    BundleInvalid,
    Cause,
    ConfirmedRevision,
    NoDecision,
    Ruling,
    decide_within,
)

_MOST_WAITING = 2000
NOTHING, FAILED = "", "no decision"
Engine = EmbeddedPdp | FailoverPdp


class LivePdp:
    """`PolicyDecisionPoint` under whichever bundle is in force.

    Args:
        engine: what decides.
        store: where bundles and the pointer are.
        ours: the bundle that the software carries.

    Where the bundle in force is not taken at the start, `demand` says why,
    and there is no decision.
    """

    def __init__(
        self, engine: Engine, *, store: BundleStore, ours: Bundle
    ) -> None:
        self._engine = engine
        self._store = store
        self._ours = ours
        # What decides; None as long as nothing was taken.
        self._live: Live | None = None
        self._shadow = Shadow(store)
        self._stack = AsyncExitStack()
        self._untaken: Exception | None = None
        try:
            self.refresh()
        except Exception as error:  # noqa: BLE001 - whatever is stored: nothing decides by it, and `demand` says why
            # Where only the shadow is not to be had, what decides is.
            self._untaken = None if self._has_taken() else error

    @property
    def revision(self) -> str:
        """The revision that decides now."""
        return self._engine.revision

    async def __aenter__(self) -> Self:
        """Open what the engine needs."""
        if isinstance(self._engine, AbstractAsyncContextManager):
            await self._stack.enter_async_context(self._engine)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        await self._stack.aclose()

    async def decide(
        self, entrypoint: str, document: Mapping[str, JSON]
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.PolicyDecisionPoint`."""
        return await self._decide(entrypoint, document, None)

    async def decide_within(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str
    ) -> Ruling:
        """Ask the policies; see `policy.pdp.TracedDecisionPoint`."""
        return await self._decide(entrypoint, document, trace)

    async def _decide(
        self, entrypoint: str, document: Mapping[str, JSON], trace: str | None
    ) -> Ruling:
        self._demand_taken()
        ruling = await decide_within(self._engine, entrypoint, document, trace)
        if entrypoint == ENTRYPOINT and self._shadow.runs:
            self._shadow.saw(document, ruling)
        return ruling

    def repeated(
        self, entrypoint: str, document: Mapping[str, JSON], ruling: Ruling
    ) -> None:
        """Hear that a ruling served an equal document too."""
        if entrypoint == ENTRYPOINT and self._shadow.runs:
            self._shadow.saw(document, ruling)

    def filtering(self) -> FailoverPdp | None:
        """What compiles rules to conditions: servers, and not our engine.

        Raises:
            NoDecision: there is nothing to decide by.
        """
        self._demand_taken()
        return None if isinstance(self._engine, EmbeddedPdp) else self._engine

    def demand(self) -> None:
        """Make sure that there is a bundle to decide by.

        Raises:
            Exception: what the look at the start came upon, in most cases
                one of those of `refresh`.
        """
        if self._untaken is not None:
            raise self._untaken

    async def confirm(self) -> None:
        """Hold servers to the revision in force; ours needs none.

        Raises:
            NoDecision: they do not answer under it, or there is nothing to
                decide by.
        """
        self._demand_taken()
        if isinstance(self._engine, ConfirmedRevision):
            await self._engine.confirm()

    def refresh(self) -> bool:
        """Take another bundle where the pointer moved.

        A candidate in the shadow that is not to be had ends the one before,
        is tried again at the next call, and changes nothing of what decides.

        Returns:
            Whether it moved.

        Raises:
            RowForged: the pointer, or what it points to, is not as this
                instance wrote it; as with all others, the one before goes on
                deciding, and the next call tries again.
            RecordUnknown: it points to a bundle that is not there.
            BundleInvalid, EngineError: the one that it points to does not
                verify or run, or the pointer is one of earlier.
        """
        live, before = self._store.live(), self._live
        moved = live != before
        if moved:
            if before is not None and live.changes <= before.changes:
                msg = "which bundle is in force was put back to before"
                raise BundleInvalid(msg)
            self._take(self._load(live.number, live.revision))
            self._live, self._untaken = live, None
        self._run_shadow(live)
        return moved

    def _has_taken(self) -> bool:
        return self._live is not None

    def _run_shadow(self, live: Live) -> None:
        if live.shadow == self._shadow.number:
            return
        self._shadow.run(NONE, None)
        if live.shadow != NONE:
            candidate = self._load(live.shadow, live.shadow_revision)
            self._shadow.run(live.shadow, candidate)

    def compare(self) -> int:
        """Decide again, in the shadow, what was decided since.

        Returns:
            How many decisions.
        """
        return self._shadow.compare()

    def _demand_taken(self) -> None:
        if self._untaken is not None:
            raise NoDecision(Cause.DAMAGED, str(self._untaken))

    def _load(self, number: int, revision: str) -> Bundle:
        if number == OURS:
            return self._ours
        # Between the look and this, the row may have become another one.
        return self._store.load(number, revision)

    def _take(self, bundle: Bundle) -> None:
        if bundle.revision == self._engine.revision:
            return
        if isinstance(self._engine, EmbeddedPdp):
            self._engine.swap(bundle)
        else:
            # Servers load it in their own time; until then either decides,
            # and each answer says which.
            self._engine.expect(bundle.revision, also=self._engine.revision)


class Shadow:
    """Runs a candidate on what was decided, and counts what flips."""

    def __init__(self, store: BundleStore) -> None:
        self._store = store
        self._number = NONE
        self._candidate: EmbeddedPdp | None = None
        self._waiting: deque[tuple[Mapping[str, JSON], Ruling]] = deque(
            maxlen=_MOST_WAITING
        )

    @property
    def number(self) -> int:
        """Which candidate runs; `NONE` where there is none."""
        return self._number

    @property
    def runs(self) -> bool:
        """Whether there is a candidate."""
        return self._candidate is not None

    def run(self, number: int, bundle: Bundle | None) -> None:
        """Take another candidate, or none."""
        if number == self._number:
            return
        # First: one that the engine refuses is not counted as the other.
        candidate = None if bundle is None else EmbeddedPdp(bundle)
        self._waiting.clear()
        self._number, self._candidate = number, candidate

    def saw(self, document: Mapping[str, JSON], ruling: Ruling) -> None:
        """Remember one decision; beyond 2,000 the oldest is let go."""
        self._waiting.append((document, ruling))

    def compare(self) -> int:
        """Decide what waits again, count and store what flips."""
        candidate, number = self._candidate, self._number
        if candidate is None:
            return 0
        flips: Counter[tuple[str, str, str, str, str]] = Counter()
        count = 0
        while self._waiting:
            document, ruling = self._waiting.popleft()
            flips.update(_differs(candidate, document, ruling))
            count += 1
        if flips:
            self._store.count(
                number,
                [
                    Flip(
                        service=service,
                        purpose=purpose,
                        attribute=attribute,
                        was=was,
                        becomes=becomes,
                        times=found,
                    )
                    for (
                        service,
                        purpose,
                        attribute,
                        was,
                        becomes,
                    ), found in flips.items()
                ],
            )
        return count


def _differs(
    candidate: EmbeddedPdp,
    document: Mapping[str, JSON],
    ruling: Ruling,
) -> list[tuple[str, str, str, str, str]]:
    """What flips, and that one decision was compared."""
    service = document.get("service")
    if not isinstance(service, Mapping):
        return []
    who = (str(service["id"]), str(service["purpose"]))
    was = effects(ruling.document)
    try:
        becomes = effects(candidate.evaluate(ENTRYPOINT, document))
    except NoDecision:
        becomes = dict.fromkeys(was, FAILED)
    found = [(*who, NOTHING, NOTHING, NOTHING)]
    found += [
        (*who, name, was.get(name, FAILED), becomes.get(name, FAILED))
        for name in sorted({*was, *becomes})
        if was.get(name) != becomes.get(name)
    ]
    return found


def effects(document: object) -> dict[str, str]:
    """Effect of each attribute, with its level where it is coarser."""
    attributes = (
        document.get("attributes") if isinstance(document, Mapping) else None
    )
    if not isinstance(attributes, Mapping):
        return {}
    return {
        name: f"{one['effect']} {one['level']}"
        if one["level"]
        else str(one["effect"])
        for name, one in attributes.items()
    }
