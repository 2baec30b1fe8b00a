"""What the ledger's tests share: a ledger with fixed keys, and drafts."""

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Engine

from api.databases import open_database
from consent.checkpoint import Checkpoint
from consent.entries import Draft, EntryKind
from consent.ledger import Ledger
from consent.signed_notes import LedgerSigner
from consent.tables import ConsentTable
from consent.tlog_policy import TrustPolicy

ORIGIN = "town.example/access-log"
NOON = 1_790_000_000
DATABASES = ("sqlite", "postgresql")
SIGNER = LedgerSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(b"s" * 32))
VKEY = str(SIGNER.verifier)


def open_empty(kind: str, folder: Path) -> Engine:
    """Open an empty database of a kind; skip where there is no server."""
    url = f"sqlite:///{folder}/data.db"
    if kind == "postgresql":
        url = os.environ.get("CURTILAGE_TEST_POSTGRESQL", "")
        if not url:
            pytest.skip("CURTILAGE_TEST_POSTGRESQL names no server")
    engine = open_database(url)
    ConsentTable.metadata.drop_all(engine)
    ConsentTable.metadata.create_all(engine)
    return engine


def wipe(engine: Engine) -> None:
    """Empty the ledger's tables; quicker than making them anew."""
    with engine.begin() as conn:
        for table in ConsentTable.metadata.sorted_tables:
            if table.name.startswith("ledger_"):
                conn.execute(table.delete())


def make_ledger(
    engine: Engine,
    *,
    origin: str = ORIGIN,
    signer: LedgerSigner | None = None,
    random: Callable[[int], bytes] = os.urandom,
    clock: Callable[[], int] = lambda: NOON,
    trust: TrustPolicy | None = None,
    announce: Callable[[Checkpoint], None] | None = None,
) -> Ledger:
    """Build a ledger with the keys that the tests know."""
    return Ledger(
        engine=engine,
        origin=origin,
        signer=signer or SIGNER,
        audit_key=b"a" * 32,
        mark_key=b"m" * 32,
        clock=clock,
        random=random,
        trust=trust,
        announce=announce,
    )


def person(number: int) -> tuple[UUID, bytes]:
    """Return a person and their log key."""
    known = hashlib.sha256(b"%d" % number).digest()
    return UUID(bytes=known[:16], version=4), known


def draft(
    number: int = 1,
    *,
    kind: EntryKind = EntryKind.DISCLOSURE,
    **changes: object,
) -> Draft:
    """Draft an entry about a person; about nobody for number 0."""
    subject, log_key = person(number) if number else (None, None)
    fields: dict[str, object] = {
        "kind": kind,
        "subject": subject,
        "log_key": log_key,
        "service": "moving-house",
        "purpose": "address-change",
        "attributes": ("user.name.given", "user.home-info.postal.city"),
        "outcome": "partial",
        "at": NOON,
        "decision": UUID(int=7),
        "detail": {"user.bdate": ["not_declared"]},
    }
    return Draft(**{**fields, **changes})  # type: ignore[arg-type]  # a table of cases


def fill(ledger: Ledger, count: int, *, people: int = 5) -> None:
    """Append entries about some people in one transaction."""
    with ledger.engine.begin() as conn:
        ledger.append(conn, [draft(n % people + 1) for n in range(count)])
