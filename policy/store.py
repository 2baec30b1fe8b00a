"""The decision store: what a replay needs, by reference where it can be.

A stored decision holds the request, the instant, the bundle revision, the
answer, and *references* to the facts: the declaration's digest, the ids of
consent events, the version of the preferences. Those are immutable where
they stand. The whole is sealed under the person's log key, so that erasing
the person closes it with everything else.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, select, update

from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    ById,
    Decision,
    Json,
)
from policy.errors import ReplayImpossible
from policy.facts import Facts
from policy.reading import DriverStatement
from policy.tables import DecisionRow
from vault import Holding, NoteBox

TAG = "decision"
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


class DecisionStore:
    """Sealed decisions of one tenant."""

    def __init__(self, *, tenant: str, engine: Engine) -> None:
        self._tenant = tenant
        self._insert = DriverStatement(engine, _INSERT)

    def writer(
        self,
        decision_id: UUID,
        request: AccessRequest,
        facts: Facts,
        decision: Decision,
        now: int,
        *,
        notes: NoteBox,
    ) -> Callable[[Connection], None]:
        """Seal a decision now; return what writes it in a transaction."""
        body = _encode(request, facts, decision, now)
        row = {
            "id": decision_id,
            "tenant": self._tenant,
            "tag": notes.tag(TAG),
            "at": now,
            "revision": decision.revision,
            "sealed": notes.seal(f"decision/{decision_id}", body),
        }

        def write(conn: Connection) -> None:
            self._insert.write(conn, row)

        return write

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
                ``unknown`` for an id that is not theirs.

        """
        row = conn.execute(_FIND, {"decision": decision_id}).one_or_none()
        if row is None:
            msg = f"decision {decision_id}: unknown"
            raise ReplayImpossible(msg)
        if row.sealed is None or not holding.known:
            msg = f"decision {decision_id}: erased"
            raise ReplayImpossible(msg)
        body = notes.unseal(f"decision/{decision_id}", row.sealed)
        return _decode(decision_id, row.revision, holding, body)

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
        name: {
            "effect": one.effect.value,
            "level": one.level,
            "reasons": sorted(reason.code for reason in one.reasons),
            "obligations": sorted(
                [item.type, item.days if item.days is not None else -1]
                for item in one.obligations
            ),
        }
        for name, one in sorted(attributes.items())
    }


def _encode(
    request: AccessRequest, facts: Facts, decision: Decision, now: int
) -> bytes:
    return json.dumps(
        {
            "v": 1,
            "now": now,
            "service": request.service,
            "purpose": request.purpose,
            "attributes": request.attributes,
            "understands": sorted(request.understands),
            "assurance": request.assurance,
            "declaration": (
                facts.declaration.digest if facts.declaration else None
            ),
            "events": [str(event.id) for event in facts.events],
            "preferences": facts.preferences,
            "known": facts.known,
            "present": sorted(facts.present),
            "restricted": facts.restraints.restricted,
            "objected": facts.restraints.objected,
            "answer": answer_document(decision.attributes),
        },
        separators=(",", ":"),
    ).encode()


def _decode(
    decision_id: UUID, revision: str, holding: Holding, body: bytes
) -> StoredDecision:
    found = json.loads(body)
    return StoredDecision(
        id=decision_id,
        revision=revision,
        now=found["now"],
        request=AccessRequest(
            tenant="",
            service=found["service"],
            purpose=found["purpose"],
            attributes=tuple(found["attributes"]),
            person=ById(subject=holding.subject),
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
    )


def _uuids(texts: Sequence[str]) -> tuple[UUID, ...]:
    return tuple(UUID(text) for text in texts)
