"""What was acknowledged, and the demand that all of it is there.

`Books` keeps what client processes said; `Audit` holds an instance against
it. An audit may run while the load goes on: it takes what was acknowledged
first, and looks second.
"""

import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import text

from api.platform import Platform
from consent import EntryKind, VerifierKey
from consent.merkle import hash_leaf
from consent.promises import open_promise
from tests.worlds import STREET
from vault import ReadGrant

PROMISE_SECONDS = 30.0
_PAGE = 200
_LEAVES = "SELECT idx, leaf FROM ledger_entry WHERE idx > :last ORDER BY idx"
_IN_WORDS = 5.0  # seconds that a line may take to reach the books


class LostError(Exception):
    """Something that was acknowledged is not there, or not as it was."""


@dataclass(slots=True, kw_only=True)
class Books:
    """What was acknowledged, each in the order in which it arrived.

    Attributes:
        answers: of the server, as `kill_reader` prints them.
        consents: event ids by person.
        begun: values that a correction was begun with, by person.
        corrected: by person, the last acknowledged value and the index.
        viewed: how many views each person got.
        erasing: whose erasure was begun.
        erased: whose erasure was acknowledged, and when.
        notes: checkpoints that were given away.
        refused: what was not answered, by its reason.
    """

    answers: list[dict[str, Any]] = field(default_factory=list)
    consents: defaultdict[UUID, list[UUID]] = field(
        default_factory=lambda: defaultdict(list)
    )
    begun: defaultdict[UUID, list[str]] = field(
        default_factory=lambda: defaultdict(list)
    )
    corrected: dict[UUID, list[tuple[str, int]]] = field(default_factory=dict)
    viewed: Counter[UUID] = field(default_factory=Counter)
    erasing: set[UUID] = field(default_factory=set)
    erased: dict[UUID, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)

    def take(self, said: dict[str, Any]) -> None:
        """Write one line of a client down.

        Raises:
            LostError: a client met an error that is none of the refusals.

        """
        what = said["what"]
        if what == "fault":
            msg = f"{said['act']}: {said['error']}"
            raise LostError(msg)
        if what == "answer":
            self.answers.append(said)
        elif what == "refused":
            self.refused[str(said["status"])] += 1
        elif what == "checkpoint":
            self.notes.append(said["note"])
        elif "subject" in said:
            self._take_act(what, UUID(said["subject"]), said)

    def _take_act(
        self, what: str, subject: UUID, said: dict[str, Any]
    ) -> None:
        if what == "consent":
            self.consents[subject].append(UUID(said["event"]))
        elif what == "viewed":
            self.viewed[subject] += 1
        elif what == "correcting":
            self.begun[subject].append(said["value"])
        elif what == "corrected":
            done = (said["value"], said["index"])
            self.corrected.setdefault(subject, []).append(done)
        elif what == "erasing":
            self.erasing.add(subject)
        elif what == "erased":
            self.erased[subject] = said["at"]

    def count(self) -> dict[str, int]:
        """Tell how much was acknowledged, and how much refused."""
        return {
            "answers": len(self.answers),
            "promised": sum(1 for one in self.answers if one["promise"]),
            "consents": sum(map(len, self.consents.values())),
            "views": self.viewed.total(),
            "corrections": sum(map(len, self.corrected.values())),
            "erasures": len(self.erased),
            "checkpoints": len(self.notes),
            "refused": self.refused.total(),
        }


class Audit:
    """Holds one instance against the books, each time what is new.

    Args:
        platform: of the instance; it only reads.
        books: are written on by other threads meanwhile.
        settled: who is never erased.
    """

    def __init__(
        self, platform: Platform, books: Books, settled: Iterable[UUID]
    ) -> None:
        self._platform = platform
        self._books = books
        self._settled = tuple(settled)
        self._key = VerifierKey.parse(platform.ledger_vkey)
        self._leaves: dict[bytes, int] = {}
        self._answers = 0
        self._notes = 0
        self._seen: dict[UUID, tuple[int, int]] = {}
        self._own: dict[UUID, tuple[int, bytes]] = {}
        self._kinds: Counter[tuple[UUID, EntryKind]] = Counter()
        self._events: set[str] = set()
        self._corrections: set[int] = set()

    def run(self) -> None:
        """Demand that everything acknowledged until now is there.

        Raises:
            LostError: it is not.

        """
        books = self._books
        answers = books.answers[self._answers :]
        viewed = dict(books.viewed)
        consents = {who: list(ids) for who, ids in books.consents.items()}
        corrected = {who: list(made) for who, made in books.corrected.items()}
        erased = dict(books.erased)
        notes = books.notes[self._notes :]
        promised = {
            open_promise(
                one["promise"].encode(),
                [self._key],
                origin=self._platform.settings.origin,
            ).leaf_hash: one
            for one in answers
            if one["promise"]
        }
        self._await_promised(promised)
        for subject in self._settled:
            self._read_own(subject)
        self._demand_living(erased)
        self._demand_answers(answers, erased)
        self._demand_promised(promised)
        self._demand_consents(consents, erased)
        self._demand_corrections(corrected)
        for subject, count in viewed.items():
            if self._kinds[subject, EntryKind.OWN_VIEW] < count:
                _lost(f"{count} views of {subject} have fewer entries")
        for note in notes:
            self._platform.ledger.continues(note.encode())
        self._answers += len(answers)
        self._notes += len(notes)

    def _await_promised(self, promised: dict[bytes, dict[str, Any]]) -> None:
        """Wait for whoever serves to number what was promised."""
        deadline = time.monotonic() + PROMISE_SECONDS
        while True:
            self._read_leaves()
            missing = promised.keys() - self._leaves.keys()
            if not missing:
                return
            if time.monotonic() > deadline:
                _lost(f"{len(missing)} promises are not kept")
            time.sleep(0.1)

    def _read_leaves(self) -> None:
        with self._platform.data.connect() as conn:
            rows = conn.execute(
                text(_LEAVES), {"last": len(self._leaves) - 1}
            ).all()
        for index, leaf in rows:
            if index != len(self._leaves):
                _lost(f"entry {index} follows {len(self._leaves) - 1}")
            hashed = hash_leaf(bytes(leaf))
            if self._leaves.setdefault(hashed, index) != index:
                _lost(f"entry {index} stands twice")

    def _read_own(self, subject: UUID) -> None:
        """Read what is new about a person; their count has no gap."""
        vault = self._platform.vault
        log_key = vault.log_key(vault.holding(subject))
        seen, counted = self._seen.get(subject, (-1, 0))
        new = list(self._newer(log_key, seen))
        if not new:
            return
        counters = [one.counter for one in new]
        newest = counted + len(new)
        if counters != list(range(newest, counted, -1)):
            _lost(f"the count of {subject} has a gap after {counted}")
        for one in new:
            if one.decision in self._own:
                _lost(f"decision {one.decision} has two entries")
            self._own[one.decision] = one.index, one.leaf
            self._kinds[subject, one.kind] += 1
            if one.kind is EntryKind.CORRECTION:
                self._corrections.add(one.index)
            elif one.kind is EntryKind.CONSENT:
                self._events.add(str(one.detail.get("event")))
        self._seen[subject] = new[0].index, newest

    def _newer(self, log_key: bytes, seen: int) -> Iterator[Any]:
        before = None
        while page := self._platform.ledger.own_entries(
            log_key, before=before, limit=_PAGE
        ):
            for one in page:
                if one.index <= seen:
                    return
                yield one
            before = page[-1].index

    def _demand_living(self, erased: dict[UUID, float]) -> None:
        """Demand that the erased stay erased, and that all others live."""
        for subject in erased:
            if self._lives(subject):
                _lost(f"{subject} was erased and is back")
        for subject in self._settled:
            if not self._lives(subject):
                _lost(f"{subject} is gone, and was never erased")

    def _lives(self, subject: UUID) -> bool:
        return self._platform.vault.holding(subject).known

    def _demand_answers(
        self, answers: list[dict[str, Any]], erased: dict[UUID, float]
    ) -> None:
        settled = {str(one) for one in self._settled}
        told = [one["index"] for one in answers if one["index"] is not None]
        if len(set(told)) != len(told):
            _lost("an index was given to two answers")
        for one in answers:
            index, decision = one["index"], one["decision"]
            if (index is None) == (one["promise"] is None):
                _lost(f"decision {decision} has no one place in the ledger")
            if index is not None and index >= len(self._leaves):
                _lost(f"decision {decision} has no entry {index}")
            ended = erased.get(UUID(one["subject"]))
            if ended and one["released"] and one["started"] > ended:
                _lost(f"decision {decision} opened an erased person")
            if one["subject"] in settled:
                found = self._own.get(UUID(decision))
                if found is None or index not in {None, found[0]}:
                    _lost(f"decision {decision} has no entry of its person")

    def _demand_promised(self, promised: dict[bytes, dict[str, Any]]) -> None:
        for leaf_hash, one in promised.items():
            found = self._own.get(UUID(one["decision"]))
            if found is not None and hash_leaf(found[1]) != leaf_hash:
                _lost(f"the promise to {one['decision']} is of another entry")

    def _demand_consents(
        self, consents: dict[UUID, list[UUID]], erased: dict[UUID, float]
    ) -> None:
        for subject, events in consents.items():
            if subject in erased or not self._lives(subject):
                self._demand_begun(subject)
                continue
            stored = {
                one.id for one in self._platform.consents.all_events(subject)
            }
            if missing := set(events) - stored:
                if subject in self._books.erasing:
                    continue
                _lost(f"{len(missing)} consents of {subject} are gone")
            if subject in self._settled and not (
                {str(one) for one in events} <= self._events
            ):
                _lost(f"a consent of {subject} has no entry")

    def _demand_begun(self, subject: UUID) -> None:
        """Demand that somebody asked for an erasure that took place."""
        deadline = time.monotonic() + _IN_WORDS
        while subject not in self._books.erasing:
            if time.monotonic() > deadline:
                _lost(f"{subject} is gone, and was never erased")
            time.sleep(0.05)

    def _demand_corrections(
        self, corrected: dict[UUID, list[tuple[str, int]]]
    ) -> None:
        for subject, made in corrected.items():
            value, _ = made[-1]
            if missing := {at for _, at in made} - self._corrections:
                _lost(f"corrections {sorted(missing)} have no entry")
            found = self._street(subject)
            begun = self._books.begun[subject]
            if found not in begun[begun.index(value) :]:
                _lost(f"the last correction of {subject} is gone")

    def _street(self, subject: UUID) -> str:
        platform = self._platform
        holding = platform.vault.holding(subject)
        grant = ReadGrant(
            tenant=platform.settings.tenant,
            subject=subject,
            attributes=frozenset({STREET}),
            purpose="audit",
            decision=UUID(int=0),
            expires_at=platform.clock() + 60,
        )
        return platform.vault.read(grant, holding)[STREET]


def _lost(what: str) -> None:
    raise LostError(what)
