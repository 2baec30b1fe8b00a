"""Proof that a notice was served: to whom, when, where, in which words.

An answer refers to a `Served` by its hash, and the hash goes into the ledger
with the answer. So whoever holds the served document can show that it was
there before the answer was, and nobody can write another one afterwards.

A notice that was served and never answered is forgotten after `KEPT`
seconds: who looked at what is not kept for its own sake.
"""

import json
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import Connection, Engine, bindparam, delete, insert, select
from sqlmodel import col

from consent.canonical import Json, canonical, digest
from consent.errors import NoticeNotServed
from consent.prepared import PreparedSelect
from consent.tables import EventRow, ServedRow

KEPT = 30 * 86_400
"""Seconds for which a served notice can be answered."""

_ONE = select(col(ServedRow.text)).where(
    col(ServedRow.tenant) == bindparam("tenant"),
    col(ServedRow.subject) == bindparam("subject"),
    col(ServedRow.digest) == bindparam("digest"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """One notice, shown once.

    Attributes:
        id: random, so that two views are two.
        subject: the person whom the notice is about.
        viewer: who read it: ``self``, or whom the mandate names.
        declaration: digest of the declaration.
        notice: SHA-256 of the exact text.
        statement: the one statement that was asked apart; nothing for all.
        language: the language of the text.
        channel: where: ``portal``, ``counter``, ``phone``, ...
        officer: the officer who read it out or handed it over, or nothing.
        at: POSIX seconds.
    """

    id: UUID
    subject: UUID
    viewer: str = "self"
    declaration: str
    notice: str
    statement: str = ""
    language: str
    channel: str
    officer: str = ""
    at: int

    def document(self) -> dict[str, Json]:
        """Return all of it as JSON."""
        return {
            "schema": "curtilage/served/1",
            "id": str(self.id),
            "subject": str(self.subject),
            "viewer": self.viewer,
            "declaration": self.declaration,
            "notice": self.notice,
            "statement": self.statement,
            "language": self.language,
            "channel": self.channel,
            "officer": self.officer,
            "at": self.at,
        }

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical JSON, 64 hexadecimal digits."""
        return digest(self.document())


class ServedLog:
    """What one tenant's people were shown.

    Args:
        engine: the data database.
        tenant: whose people.
    """

    def __init__(self, engine: Engine, tenant: str) -> None:
        self._tenant = tenant
        self._one = PreparedSelect(engine, _ONE)

    def add(self, conn: Connection, served: Served) -> None:
        """Keep that a notice was served, and forget what nobody answered.

        Args:
            conn: the caller's transaction.
            served: what was shown.
        """
        own = (
            col(ServedRow.tenant) == self._tenant,
            col(ServedRow.subject) == served.subject,
        )
        answered = select(col(EventRow.served)).where(
            col(EventRow.tenant) == self._tenant,
            col(EventRow.subject) == served.subject,
            col(EventRow.served).is_not(None),
        )
        conn.execute(
            delete(ServedRow).where(
                *own,
                col(ServedRow.at) < served.at - KEPT,
                col(ServedRow.digest).not_in(answered),
            )
        )
        conn.execute(
            insert(ServedRow).values(
                tenant=self._tenant,
                subject=served.subject,
                digest=served.digest,
                at=served.at,
                text=canonical(served.document()).decode(),
            )
        )

    def get(
        self, subject: UUID, name: str, conn: Connection | None = None
    ) -> Served:
        """Return what a person was shown.

        Args:
            subject: the person.
            name: the hash that an answer refers to.
            conn: a transaction to read in; None reads what is committed.

        Raises:
            NoticeNotServed: this person was shown nothing of that hash, or
                what is stored was changed.
        """
        rows = self._one.rows(
            {"tenant": self._tenant, "subject": subject, "digest": name}, conn
        )
        for (text,) in rows:
            document = json.loads(text)
            if digest(document) == name:
                return _read(document)
        msg = f"nothing of the hash {name} was served to person {subject}"
        raise NoticeNotServed(msg)

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete what an erased person was shown."""
        conn.execute(
            delete(ServedRow).where(
                col(ServedRow.tenant) == self._tenant,
                col(ServedRow.subject) == subject,
            )
        )


def _read(document: dict[str, str]) -> Served:
    return Served(
        id=UUID(document["id"]),
        subject=UUID(document["subject"]),
        viewer=document["viewer"],
        declaration=document["declaration"],
        notice=document["notice"],
        statement=document["statement"],
        language=document["language"],
        channel=document["channel"],
        officer=document["officer"],
        at=int(document["at"]),
    )
