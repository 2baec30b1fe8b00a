"""The decision store: what a replay needs, by reference where it can be.

A stored decision holds the request, the instant, the bundle revision, the
answer, and *references* to the facts: the declaration's digest, the ids of
consent events, the version of the preferences. Those are immutable where
they stand. The whole is sealed under the person's log key, so that erasing
the person closes it with everything else.
"""

import json
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    bindparam,
    func,
    select,
    type_coerce,
    update,
)
from sqlalchemy.types import NullType

from consent import Uses
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    ById,
    Decision,
    Effect,
    Json,
)
from policy.errors import ReplayImpossible
from policy.facts import Facts
from policy.reading import DriverStatement
from policy.recipients import PastDisclosure
from policy.tables import DecisionRow
from vault import Holding, NoteBox

TAG = "decision"
_MOVED = "moved"
_TAG_BYTES = 16
_HEAD, _EVENTS = b'{"v":1,"now":', b',"events":'
_ASKED_KEPT = 256
_compact = json.JSONEncoder(separators=(",", ":")).encode
_TABLE = DecisionRow.metadata.tables["policy_decision"]
_INSERT = _TABLE.insert()
_FIND = select(_TABLE).where(_TABLE.c.id == bindparam("decision"))


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """One decision as it was: what was asked, known and answered."""

    id: UUID
    revision: str
    now: int
    request: AccessRequest
    declaration: str | None
    events: tuple[UUID, ...]
    preferences: int
    known: bool
    present: tuple[str, ...]
    restricted: bool
    objected: tuple[str, ...]
    answer: Mapping[str, Json]
    signalled: bool = False
    uses: Mapping[str, Uses] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDecision:
    """What stands of a decision without opening it.

    Attributes:
        id: its id.
        at: when it was made, POSIX seconds.
        revision: of the policies that made it.
        tag: finds the person by their log key; None once they are erased.
    """

    id: UUID
    at: int
    revision: str
    tag: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class FormerTags:
    """Under what a person was found by an earlier log key.

    Attributes:
        note: tag of their decisions.
        ledgers: tags of their entries, one for each ledger of that day.
    """

    note: bytes
    ledgers: tuple[bytes, ...]


class DecisionStore:
    """Sealed decisions of one tenant."""

    def __init__(self, *, tenant: str, engine: Engine) -> None:
        self._tenant = tenant
        self._insert = DriverStatement(engine, _INSERT)
        self._latest: tuple[Decision | None, str] = (None, "")
        # Of requests and declarations alone, and so of nobody.
        self._asked: dict[Hashable, str] = {}

    def writer(
        self,
        decision_id: UUID,
        request: AccessRequest,
        facts: Facts,
        decision: Decision,
        now: int,
        *,
        notes: NoteBox,
        opened: bool = True,
    ) -> Callable[[Connection], None]:
        """Seal as `row` does; return what writes it in a transaction."""
        row = self.row(
            decision_id,
            request,
            facts,
            decision,
            now,
            notes=notes,
            opened=opened,
        )

        def write(conn: Connection) -> None:
            self.write(conn, [row])

        return write

    def row(
        self,
        decision_id: UUID,
        request: AccessRequest,
        facts: Facts,
        decision: Decision,
        now: int,
        *,
        notes: NoteBox,
        opened: bool = True,
    ) -> Mapping[str, object]:
        """Seal a decision now; return the row that `write` takes.

        Args:
            decision_id: its id.
            request: what was asked.
            facts: what was known.
            decision: what was decided.
            now: POSIX seconds.
            notes: of the person.
            opened: whether what it grants is opened and handed out.

        """
        body = _encode(
            self._asked_of(request, facts),
            facts,
            self._answer(decision),
            now,
            opened=opened,
        )
        return {
            "id": decision_id,
            "tenant": self._tenant,
            "tag": notes.tag(TAG),
            "at": now,
            "revision": decision.revision,
            "sealed": notes.seal(f"decision/{decision_id}", body),
        }

    def _answer(self, decision: Decision) -> str:
        """Write a decision's answer; once where it serves one after another.

        People whose facts are equal share a decision (`policy.batch`).
        """
        before, written = self._latest
        if before is not decision:
            written = answer_text(decision.attributes)
            self._latest = decision, written
        return written

    def _asked_of(self, request: AccessRequest, facts: Facts) -> str:
        """Write what was asked under what; once for all that ask alike."""
        declared = facts.declaration.digest if facts.declaration else None
        key = (
            request.service,
            request.purpose,
            request.attributes,
            request.understands,
            request.assurance,
            declared,
        )
        text = self._asked.get(key)
        if text is None:
            if len(self._asked) >= _ASKED_KEPT:
                self._asked.clear()
            text = self._asked[key] = _members(
                {
                    "service": request.service,
                    "purpose": request.purpose,
                    "attributes": request.attributes,
                    "understands": sorted(request.understands),
                    "assurance": request.assurance,
                    "declaration": declared,
                }
            )
        return text

    def write(
        self, conn: Connection, rows: Sequence[Mapping[str, object]]
    ) -> None:
        """Write sealed decisions in the caller's transaction."""
        self._insert.write_many(conn, rows)

    def kept(self, conn: Connection, decision_id: UUID) -> KeptDecision:
        """Say what stands of a decision, whoever it is about.

        Raises:
            ReplayImpossible: ``unknown``.

        """
        row = conn.execute(_FIND, {"decision": decision_id}).one_or_none()
        if row is None or row.revision == _MOVED:
            msg = f"decision {decision_id}: unknown"
            raise ReplayImpossible(msg)
        return KeptDecision(
            id=decision_id,
            at=row.at,
            revision=row.revision,
            tag=None if row.sealed is None else row.tag,
        )

    def load(
        self,
        conn: Connection,
        decision_id: UUID,
        holding: Holding,
        *,
        notes: NoteBox,
    ) -> StoredDecision:
        """Open one stored decision of the person of `holding`.

        Raises:
            ReplayImpossible: ``erased`` once the person is gone, or
                ``unknown`` where there is none.
            CryptoFailure: it is not theirs.

        """
        row = conn.execute(_FIND, {"decision": decision_id}).one_or_none()
        if row is None or row.revision == _MOVED:
            msg = f"decision {decision_id}: unknown"
            raise ReplayImpossible(msg)
        if row.sealed is None:
            msg = f"decision {decision_id}: erased"
            raise ReplayImpossible(msg)
        body = notes.unseal(f"decision/{decision_id}", row.sealed)
        return decoded(
            decision_id, row.revision, holding.subject, json.loads(body)
        )

    def count(self, conn: Connection, since: int, until: int) -> int:
        """Count what can be opened of an interval, its end left out."""
        counted = select(func.count()).where(*self._within(since, until))
        return conn.execute(counted).scalar_one()

    def sealed(
        self, conn: Connection, tags: Sequence[bytes], since: int, until: int
    ) -> Iterator[tuple[bytes, str, bytes]]:
        """Read many people's decisions of an interval, still sealed.

        Args:
            conn: where to read.
            tags: of the people, at most some hundred.
            since: POSIX seconds.
            until: POSIX seconds; what was decided then is left out.

        Yields:
            Tag, label to unseal under, and the sealed body.

        """
        listed = select(
            _TABLE.c.tag,
            # As the driver has it: making a UUID of each costs a third.
            type_coerce(_TABLE.c.id, NullType()),
            _TABLE.c.sealed,
        ).where(_TABLE.c.tag.in_(tags), *self._within(since, until))
        for tag, identity, sealed in conn.execute(listed):
            yield tag, f"decision/{_dashed(identity)}", sealed

    def _within(
        self, since: int, until: int
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            _TABLE.c.tenant == self._tenant,
            _TABLE.c.at >= since,
            _TABLE.c.at < until,
            _TABLE.c.sealed.is_not(None),
            _TABLE.c.revision != _MOVED,
        )

    def disclosures(
        self, conn: Connection, notes: NoteBox
    ) -> Iterator[PastDisclosure]:
        """Say what services got of the person of `notes`, in no order.

        Args:
            conn: where to read.
            notes: of one of the person's records.

        Yields:
            One for each decision by which at least one value left.

        """
        listed = select(_TABLE.c.id, _TABLE.c.at, _TABLE.c.sealed).where(
            _TABLE.c.tag == notes.tag(TAG), _TABLE.c.revision != _MOVED
        )
        for row in conn.execute(listed):
            if row.sealed is None:
                continue
            found = json.loads(notes.unseal(f"decision/{row.id}", row.sealed))
            got = _left(found)
            if got:
                yield PastDisclosure(
                    decision=row.id,
                    at=row.at,
                    service=found["service"],
                    purpose=found["purpose"],
                    attributes=got,
                )

    def rekey(self, conn: Connection, old: NoteBox, new: NoteBox) -> int:
        """Seal a person's decisions anew, under their next log key.

        Returns:
            How many.

        """
        listed = select(_TABLE.c.id, _TABLE.c.sealed).where(
            _TABLE.c.tag == old.tag(TAG)
        )
        rows = conn.execute(listed).all()
        for row in rows:
            label = f"decision/{row.id}"
            sealed = None
            if row.sealed is not None:
                sealed = new.seal(label, old.unseal(label, row.sealed))
            conn.execute(
                update(DecisionRow)
                .where(_TABLE.c.id == row.id)
                .values(tag=new.tag(TAG), sealed=sealed)
            )
        return len(rows)

    def mark_former(
        self,
        conn: Connection,
        identity: UUID,
        former: FormerTags,
        *,
        notes: NoteBox,
    ) -> None:
        """Keep under what a person was found, sealed like their decisions.

        Their erasure writes it into the journal: a backup of before has
        them under those tags. From then on it goes with their decisions.

        Args:
            conn: of the transaction that moves them.
            identity: a fresh id for the row.
            former: their tags until now.
            notes: of their next log key.

        """
        body = b"".join((former.note, *former.ledgers))
        conn.execute(
            _INSERT,
            {
                "id": identity,
                "tenant": self._tenant,
                "tag": notes.tag(TAG),
                "at": 0,
                "revision": _MOVED,
                "sealed": notes.seal(f"decision/{identity}", body),
            },
        )

    def former(self, conn: Connection, notes: NoteBox) -> list[FormerTags]:
        """Give the tags of a person's earlier log keys."""
        listed = select(_TABLE.c.id, _TABLE.c.sealed).where(
            _TABLE.c.tag == notes.tag(TAG), _TABLE.c.revision == _MOVED
        )
        return [
            _former(notes.unseal(f"decision/{row.id}", row.sealed))
            for row in conn.execute(listed)
        ]

    def forget(self, conn: Connection, tag: bytes) -> None:
        """Close every decision of an erased person; the rows stay counted."""
        conn.execute(
            update(DecisionRow)
            .where(_TABLE.c.tag == tag)
            .values(tag=None, sealed=None)
        )


def answer_document(
    attributes: Mapping[str, AttributeDecision],
) -> dict[str, Json]:
    """An answer in one canonical form, for storing and for comparing."""
    return {
        name: _one_document(one) for name, one in sorted(attributes.items())
    }


def answer_text(attributes: Mapping[str, AttributeDecision]) -> str:
    """`answer_document` as it is stored, in compact JSON.

    Attributes that are answered by the same objects are written once.
    """
    written: dict[tuple[Effect, int, int, int], str] = {}
    parts = []
    for name, one in sorted(attributes.items()):
        like = (one.effect, one.level, id(one.reasons), id(one.obligations))
        text = written.get(like)
        if text is None:
            text = written[like] = _compact(_one_document(one))
        parts.append(f"{_compact(name)}:{text}")
    return f"{{{','.join(parts)}}}"


def _one_document(one: AttributeDecision) -> dict[str, Json]:
    return {
        "effect": one.effect.value,
        "level": one.level,
        "reasons": sorted(reason.code for reason in one.reasons),
        "obligations": sorted(
            [item.type, item.days if item.days is not None else -1]
            for item in one.obligations
        ),
    }


def _members(document: Mapping[str, object]) -> str:
    """The members of an object in compact JSON, to stand beside others."""
    return _compact(document)[1:-1]


def _encode(
    asked: str, facts: Facts, answer: str, now: int, *, opened: bool
) -> bytes:
    known = _members(
        {
            "events": [str(event.id) for event in facts.events],
            "preferences": facts.preferences,
            "known": facts.known,
            "present": sorted(facts.present),
            "restricted": facts.restraints.restricted,
            "objected": facts.restraints.objected,
            "signalled": facts.restraints.signalled,
            "uses": {
                rule: [one.total, *one.recent]
                for rule, one in facts.uses.items()
            },
        }
    )
    return (
        f'{{"v":1,"now":{now},{asked},{known},"answer":{answer},'
        f'"opened":{"true" if opened else "false"}}}'
    ).encode()


def decoded(
    decision_id: UUID,
    revision: str,
    subject: UUID,
    found: Mapping[str, Any],
) -> StoredDecision:
    """Take the document of a stored decision apart.

    Args:
        decision_id: its id.
        revision: of the policies that made it.
        subject: whom it is about.
        found: the document that was sealed.
    """
    return StoredDecision(
        id=decision_id,
        revision=revision,
        now=found["now"],
        request=AccessRequest(
            tenant="",
            service=found["service"],
            purpose=found["purpose"],
            attributes=tuple(found["attributes"]),
            person=ById(subject=subject),
            understands=frozenset(found["understands"]),
            assurance=found["assurance"],
        ),
        declaration=found["declaration"],
        events=_uuids(found["events"]),
        preferences=found["preferences"],
        known=found["known"],
        present=tuple(found["present"]),
        restricted=found["restricted"],
        objected=tuple(found["objected"]),
        answer=found["answer"],
        # Decisions of before there were signals and counts have neither.
        signalled=found.get("signalled", False),
        uses={
            rule: Uses(total=total, recent=tuple(recent))
            for rule, (total, *recent) in found.get("uses", {}).items()
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parted:
    """The document of a stored decision, cut where decisions differ.

    Attributes:
        now: when it was made, POSIX seconds.
        events: the list of ids that it refers to, in JSON.
        rest: everything else, in JSON; many decisions have the same.
    """

    now: int
    events: bytes
    rest: bytes


def parted(body: bytes) -> Parted:
    """Cut the document of a stored decision, without reading all of it.

    Before the list of events no object is opened, and no quotation mark
    stands bare in a text, so neither name can be found anywhere else.

    Raises:
        ValueError: it is not of the form that is written.
    """
    if not body.startswith(_HEAD):
        msg = "not a stored decision"
        raise ValueError(msg)
    first = body.index(b",", len(_HEAD))
    opens = body.index(_EVENTS, first) + len(_EVENTS)
    closes = body.index(b"]", opens) + 1
    return Parted(
        now=int(body[len(_HEAD) : first]),
        events=body[opens:closes],
        rest=b"".join((b"{", body[first + 1 : opens], b"[]", body[closes:])),
    )


def _dashed(identity: UUID | str) -> UUID | str:
    """An id as it was sealed; some drivers leave out the dashes."""
    if isinstance(identity, UUID):
        return identity
    parts = (identity[:8], identity[8:12], identity[12:16], identity[16:20])
    return "-".join((*parts, identity[20:]))


def _left(found: Mapping[str, Json]) -> frozenset[str]:
    """Names of the attributes whose values left with an answer."""
    answer, present = found["answer"], found["present"]
    # Written since there are decisions that open nothing.
    opened = found.get("opened", True)
    if not isinstance(answer, Mapping) or not isinstance(present, list):
        return frozenset()
    if not opened:
        return frozenset()
    return frozenset(
        name
        for name, one in answer.items()
        if name in present
        and isinstance(one, Mapping)
        and one["effect"] != Effect.WITHHOLD
    )


def _former(body: bytes) -> FormerTags:
    note, *ledgers = (
        body[at : at + _TAG_BYTES] for at in range(0, len(body), _TAG_BYTES)
    )
    return FormerTags(note=note, ledgers=tuple(ledgers))


def _uuids(texts: Sequence[str]) -> tuple[UUID, ...]:
    return tuple(UUID(text) for text in texts)
