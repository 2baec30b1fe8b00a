"""What officers do with keys: rotate, re-wrap, declare lost, destroy.

Keys live in another file than the ledger, so each act writes its intent
before and its outcome after (DESIGN, 1). Both entries are of the kind
``key``, name the act, the epoch and the officer, and carry one decision id.
`KeyDesk.recover` finishes, at the next start, what has an intent and no
outcome, or notes that nothing came of it.

Each entry also names how often the states of the keys had changed. So a keys
database whose states were set back, seal and all, is refused at the next
start, unless a restore put it in place and said so.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from sqlalchemy import Connection, Engine

from consent import ConsentStore, Draft, EntryKind, Ledger
from policy.glass_store import GlassStore
from policy.store import TAG, DecisionStore, FormerTags
from policy.telling import Telling
from vault import (
    AdoptionRefused,
    Epoch,
    JobLock,
    KekState,
    KeyJobRuns,
    NoteBox,
    Rekeyed,
    StatesAltered,
    Vault,
)

SERVICE, PURPOSE = "keys", "key-custody"
BEGUN, DONE, UNDONE = "begun", "done", "undone"
KEPT = "index-root"
"""What a compromise does not replace, by the name in its entries."""
_PAGE = 500
_EXPOSED = frozenset({KekState.COMPROMISED, KekState.SUSPENDED})
Progress = Callable[[int], None]


class KeyAct(StrEnum):
    """What can be done with an epoch."""

    ROTATE = "rotate"
    REWRAP = "rewrap"
    SUSPEND = "suspend"
    REINSTATE = "reinstate"
    COMPROMISE = "compromise"
    DESTROY = "destroy"
    ADOPT = "adopt"
    RESTORE = "restore"


_AFTER = {
    KeyAct.SUSPEND: KekState.SUSPENDED,
    KeyAct.REINSTATE: KekState.DEACTIVATED,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Intent:
    """An act that was begun."""

    act: KeyAct
    epoch: int
    officer: str
    decision: UUID


def _nothing(_: int) -> None:
    """Show no progress."""


class KeyDesk:
    """Administers the keys of one tenant.

    Args:
        engine: the data database.
        vault: whose keys.
        jobs: held while keys change, by one process.
        consents: their people's fact revisions.
        decisions: sealed under log keys.
        glass: grants of emergency access, whose reasons are sealed so too.
        telling: what services are told, found by log keys.
        ledger: where acts are recorded.
        past: ledgers of former names.
        clock: gives POSIX seconds.
        random: as ``os.urandom``.

    """

    def __init__(
        self,
        *,
        engine: Engine,
        vault: Vault,
        jobs: JobLock,
        consents: ConsentStore,
        decisions: DecisionStore,
        glass: GlassStore,
        telling: Telling,
        ledger: Ledger,
        past: Sequence[Ledger],
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> None:
        self._engine = engine
        self._vault = vault
        self._jobs = jobs
        self._consents = consents
        self._decisions = decisions
        self._glass = glass
        self._telling = telling
        self._ledger = ledger
        self._ledgers = (ledger, *past)
        self._clock = clock
        self._random = random

    def epochs(self) -> list[Epoch]:
        """List every epoch, verified, with what it still wraps."""
        return self._vault.keys.epochs.listed()

    def stale(self) -> int:
        """Count the keys that a re-wrap would move."""
        return self._vault.keys.stale()

    def exposed(self, epoch: int) -> int:
        """Count the people to whom a compromise gives new keys."""
        for number, until in self._vault.keys.epochs.exposed():
            if number == epoch:
                return self._vault.keys.exposed_people(until)
        return self._vault.keys.exposed_people(self._clock())

    def rotate(self, officer: str) -> int:
        """Begin a new epoch, and give its number."""
        epochs = self._vault.keys.epochs
        target = max(epochs.states(), default=0) + 1
        with self._recorded(KeyAct.ROTATE, target, officer):
            return epochs.rotate()

    def rewrap(self, officer: str, progress: Progress = _nothing) -> int:
        """Re-wrap every key in the active epoch; says how many."""
        with self._recorded(KeyAct.REWRAP, 0, officer):
            return self._vault.keys.rewrap(progress)

    def suspend(self, officer: str, epoch: int) -> None:
        """Let a retired epoch open nothing, for an investigation."""
        with self._recorded(KeyAct.SUSPEND, epoch, officer):
            self._vault.keys.epochs.mark(epoch, KekState.SUSPENDED)

    def reinstate(self, officer: str, epoch: int) -> None:
        """Let a suspended epoch open again."""
        with self._recorded(KeyAct.REINSTATE, epoch, officer):
            self._vault.keys.epochs.mark(epoch, KekState.DEACTIVATED)

    def compromise(
        self, officer: str, epoch: int, progress: Progress = _nothing
    ) -> Rekeyed:
        """Declare an epoch's key lost, and give new keys to who had it.

        The epoch is drained before it is marked, so that no read fails;
        then everybody whose DEK it has wrapped gets another, and what is
        theirs is sealed anew. The index root is wrapped anew and stays what
        it is, and both entries say so (`KEPT`): whoever has the epoch's key
        and a copy of the keys database has it, and no rotation of an index
        helps, because the keys of all versions hang on it.

        Raises:
            KeyUnavailable: there is no such epoch.

        """
        with self._recorded(KeyAct.COMPROMISE, epoch, officer, keeps=KEPT):
            return self._compromise(epoch, progress)

    def destroy(self, officer: str, epoch: int) -> None:
        """Destroy a drained epoch's key.

        Raises:
            KeyUnavailable: it is active, or still wraps something.

        """
        with self._recorded(KeyAct.DESTROY, epoch, officer):
            self._vault.keys.epochs.destroy(epoch)

    def unsealed(self) -> list[Epoch]:
        """List the epochs as `adopt` would seal them.

        Raises:
            AdoptionRefused: the states have a seal, or the ledger knows
                that they had one.
            KeyUnavailable: a usable epoch has no key, or a stranger's.

        """
        shown = self._vault.keys.epochs.unsealed()
        if any(
            int(str(detail.get("revision", 0)))
            for _, _, detail in self._acts()
        ):
            tenant = self._vault.keys.tenant
            reason = "the ledger knows of a seal over the states of its keys"
            raise AdoptionRefused(tenant, reason)
        return shown

    def adopt(self, officer: str, shown: Sequence[Epoch]) -> None:
        """Seal the states of an instance of before there were seals.

        Args:
            officer: who looked at them.
            shown: what `unsealed` gave, and the officer saw.

        Raises:
            AdoptionRefused: as `unsealed`, or they changed since.

        """
        self.unsealed()
        listed = ",".join(f"{one.number}:{one.state}" for one in shown)
        with self._recorded(KeyAct.ADOPT, 0, officer, states=listed):
            self._vault.keys.epochs.adopt(shown)

    def restored(self) -> None:
        """Note that the states of the keys are those of a backup now."""
        intent = _Intent(
            act=KeyAct.RESTORE,
            epoch=0,
            officer="",
            decision=UUID(bytes=self._random(16), version=4),
        )
        self._record(intent, DONE)

    def recover(self) -> int:
        """Finish what has an intent and no outcome; says how many.

        What another process is about is left to it.

        Raises:
            StatesAltered: the states of the keys are not those that were
                set, or are older than the ledger's last entry about keys.

        """
        self._vault.keys.epochs.check()
        self._demand_newest()
        if not self._unfinished():
            return 0
        with suppress(KeyJobRuns), self._jobs.held():
            unfinished = self._unfinished()
            for intent in unfinished:
                outcome = DONE if self._finish(intent) else UNDONE
                self._record(intent, outcome)
            return len(unfinished)
        return 0

    def _demand_newest(self) -> None:
        """Refuse states that changed less often than the ledger knows.

        An entry is written after the change that it counts, so that a crash
        between the two leaves the ledger behind, and never ahead.
        """
        newest = 0
        for _, _, detail in self._acts():
            newest = int(str(detail.get("revision", newest)))
        if self._vault.keys.epochs.kek_states.revision() < newest:
            raise StatesAltered(self._vault.keys.tenant)

    def _compromise(self, epoch: int, progress: Progress) -> Rekeyed:
        keys = self._vault.keys
        state = keys.epochs.states().get(epoch)
        if state is KekState.ACTIVE:
            keys.epochs.rotate()
        until = keys.epochs.expose(epoch)
        keys.rewrap(also=_EXPOSED)
        if keys.epochs.states()[epoch] in {
            KekState.DEACTIVATED,
            KekState.SUSPENDED,
        }:
            keys.epochs.mark(epoch, KekState.COMPROMISED)
        return self._vault.rekey(
            until,
            begin=self._ledger.lock,
            moved=self._moved,
            progress=progress,
        )

    def _moved(
        self, conn: Connection, subject: UUID, old: bytes, new: bytes
    ) -> None:
        """Move what hangs on a person's log key, in their transaction."""
        for ledger in self._ledgers:
            ledger.rekey(conn, old, new)
        was, now = (NoteBox(key, random=self._random) for key in (old, new))
        self._decisions.rekey(conn, was, now)
        self._glass.rekey(conn, subject, was, now)
        self._telling.rekey(conn, was, now)
        self._decisions.mark_former(
            conn,
            UUID(bytes=self._random(16), version=4),
            FormerTags(
                note=was.tag(TAG),
                ledgers=tuple(one.tag(old) for one in self._ledgers),
            ),
            notes=now,
        )
        # Whoever decided under the old key decides again.
        self._consents.bump(conn, subject)

    def _finish(self, intent: _Intent) -> bool:
        epochs, epoch = self._vault.keys.epochs, intent.epoch
        state = epochs.states().get(epoch)
        match intent.act:
            case KeyAct.ROTATE:
                if state is KekState.PRE_ACTIVE:
                    epochs.rotate()
                return state is not None
            case KeyAct.REWRAP:
                self._vault.keys.rewrap()
                return True
            case KeyAct.COMPROMISE:
                begun = any(one == epoch for one, _ in epochs.exposed())
                if begun:
                    self._compromise(epoch, _nothing)
                return begun
            case KeyAct.DESTROY:
                if state is KekState.DESTROYED:
                    epochs.destroy(epoch)
                return state is KekState.DESTROYED
            case KeyAct.SUSPEND | KeyAct.REINSTATE:
                return state is _AFTER[intent.act]
            case KeyAct.ADOPT | KeyAct.RESTORE:
                return True  # unsealed states were refused before

    @contextmanager
    def _recorded(
        self, act: KeyAct, epoch: int, officer: str, **more: str
    ) -> Iterator[None]:
        with self._jobs.held(), self._noted(act, epoch, officer, more):
            yield

    @contextmanager
    def _noted(
        self, act: KeyAct, epoch: int, officer: str, more: Mapping[str, str]
    ) -> Iterator[None]:
        intent = _Intent(
            act=act,
            epoch=epoch,
            officer=officer,
            decision=UUID(bytes=self._random(16), version=4),
        )
        self._record(intent, BEGUN, more)
        try:
            yield
        except Exception:
            # An act that was refused came to nothing, and says so; one that
            # was interrupted is for `recover`.
            if not self._began(intent):
                self._record(intent, UNDONE)
            raise
        self._record(intent, DONE, more)

    def _began(self, intent: _Intent) -> bool:
        """Say whether an act that failed left something to finish."""
        if intent.act is KeyAct.ADOPT:
            return False
        epochs = self._vault.keys.epochs
        state = epochs.states().get(intent.epoch)
        return (
            intent.act is KeyAct.REWRAP
            or (intent.act is KeyAct.ROTATE and state is KekState.PRE_ACTIVE)
            or (intent.act is KeyAct.DESTROY and state is KekState.DESTROYED)
            or (
                intent.act is KeyAct.COMPROMISE
                and any(one == intent.epoch for one, _ in epochs.exposed())
            )
        )

    def _record(
        self,
        intent: _Intent,
        outcome: str,
        more: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        before = intent.act is KeyAct.ADOPT and outcome != DONE
        detail: Mapping[str, str | int] = {
            **more,
            "act": intent.act.value,
            "epoch": intent.epoch,
            "officer": intent.officer,
            "revision": 0
            if before
            else self._vault.keys.epochs.kek_states.revision(),
        }
        draft = Draft(
            kind=EntryKind.KEY,
            subject=None,
            log_key=None,
            service=SERVICE,
            purpose=PURPOSE,
            attributes=(),
            outcome=outcome,
            at=self._clock(),
            decision=intent.decision,
            detail=detail,
        )
        with self._engine.begin() as conn:
            self._ledger.append(conn, [draft])

    def _unfinished(self) -> list[_Intent]:
        open_: dict[UUID, _Intent | None] = {}
        for decision, outcome, detail in self._acts():
            if outcome == BEGUN:
                open_[decision] = _intent(decision, detail)
            else:
                open_.pop(decision, None)
        return [one for one in open_.values() if one is not None]

    def _acts(self) -> Iterator[tuple[UUID, str, Mapping[str, object]]]:
        """Give decision, outcome and detail of every entry, in order."""
        after = -1
        while page := self._ledger.audit_entries(
            service=SERVICE, purpose=PURPOSE, after=after, limit=_PAGE
        ):
            for entry in page:
                body = entry.body
                if body is not None and body.kind is EntryKind.KEY:
                    yield body.decision, body.outcome, body.detail or {}
            after = page[-1].index


def _intent(decision: UUID, detail: Mapping[str, object]) -> _Intent | None:
    """Read an intent; of an act that is not known here, nothing."""
    try:
        return _Intent(
            act=KeyAct(str(detail["act"])),
            epoch=int(str(detail["epoch"])),
            officer=str(detail["officer"]),
            decision=decision,
        )
    except (KeyError, ValueError):
        return None
