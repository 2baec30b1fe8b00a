"""The ledger: appending, checkpoints, proofs, each beside its floor.

Entries are appended in durable batches of 64 (SQLite, ``synchronous=FULL``),
each about another person of its batch. The floor of the same run does for
each entry what no ledger of this format can do without: it inserts rows of
the same sizes into the same tables by the bare driver, and runs the same
number of SHA-256, AES-256-GCM and HMAC-SHA-256 operations. Floor and ledger
take turns, so that both see the same disk.

Proofs are made at the final size from an opened database, and verified by
the ledger's code and by the stand-alone verifier's; their floor is SHA-256
of the 65 bytes of a node, once for each hash of the proof.
"""

import hashlib
import hmac
import os
import random
import sqlite3
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.databases import open_database
from consent import CosignatureSigner, Draft, EntryKind, Ledger, LedgerSigner
from consent.merkle import (
    hash_leaf,
    verify_consistency,
    verify_inclusion,
)
from consent.tables import ConsentTable
from consent.tile_paths import TilePath
from consent.tree import StoredTree
from consent.verifier import check_inclusion
from tests.bench.room import Needs

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=300_000_000, seconds=60),
    True: Needs(bytes=6_000_000_000, seconds=900),
}
ENTRIES = {False: 50_000, True: 1_000_000}
BATCH, PROOFS = 64, 300
ORIGIN, NOW = "bench.example/access-log", 1_790_000_000
# Of one entry about a person: two commitments, leaf, leaf hash, and one
# node of the tree; the seal, the mark, and two blocks of the person's keys;
# the person's part and the officer's.
SHA256, HMAC, AES = 5, 4, 2
ATTRIBUTES = (
    "user.name.given",
    "user.name.family",
    "user.bdate",
    "user.gender",
    "user.home-info.postal.street",
    "user.home-info.postal.city",
    "user.home-info.postal.postalcode",
    "user.home-info.online.email",
)
# What the reference machine gave a prototype of this design.
REFERENCE = {
    "append_of_64_per_s": 29_400,
    "inclusion_made_us": 375,
    "inclusion_verified_us": 9,
    "sha256_of_65_bytes_us": 0.32,
}
T = TypeVar("T")


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure, and return the figures."""
    count = ENTRIES[full]
    ledger = _ledger(folder / "ledger.db")
    appended = _append(ledger, count, _Floor(folder / "floor.db"))
    node = _node_floor()
    found: dict[str, object] = {
        "entries": count,
        "reference": REFERENCE,
        "append_batches_of_64": appended,
        "sha256_of_65_bytes_us": node,
        "checkpoint_signed_us": _checkpoints(ledger),
        "proofs": _proofs(ledger, node),
        "bytes_per_entry": round(
            (folder / "ledger.db").stat().st_size / count, 1
        ),
    }
    ledger.engine.dispose()
    return found


def _ledger(path: Path) -> Ledger:
    engine = open_database(f"sqlite:///{path}")
    ConsentTable.metadata.create_all(engine)
    return Ledger(
        engine=engine,
        origin=ORIGIN,
        signer=LedgerSigner(ORIGIN, Ed25519PrivateKey.generate()),
        audit_key=os.urandom(32),
        mark_key=os.urandom(32),
        clock=lambda: NOW,
        random=os.urandom,
        cosigners=(
            CosignatureSigner(
                ORIGIN, MLDSA44PrivateKey.generate(), lambda: NOW
            ),
        ),
    )


def _draft(number: int) -> Draft:
    key = hashlib.sha256(b"%d" % number).digest()
    return Draft(
        kind=EntryKind.DISCLOSURE,
        subject=UUID(bytes=key[:16], version=4),
        log_key=key,
        service="service-000",
        purpose="purpose",
        attributes=ATTRIBUTES,
        outcome="released",
        at=NOW,
        decision=UUID(int=number),
        detail={"attributes": {}},
    )


def _append(ledger: Ledger, count: int, floor: "_Floor") -> dict[str, object]:
    """Append all entries; the floor takes a turn every eighth batch."""
    draw = random.Random(5)  # noqa: S311 - a reproducible population
    people = max(BATCH, count // 10)
    ours: list[float] = []
    theirs: list[float] = []
    for batch in range(-(-count // BATCH)):
        width = min(BATCH, count - batch * BATCH)
        drafts = [_draft(n) for n in draw.sample(range(people), width)]
        ours.append(_timed(lambda drafts=drafts: _commit(ledger, drafts)))
        if batch % 8 == 7:
            theirs.append(_timed(floor.batch))
    tenth = max(1, len(ours) // 10)
    floor.close()
    return {
        "entries_per_s": _rate(ours, count),
        "entries_per_s_first_tenth": _rate(ours[:tenth], tenth * BATCH),
        "entries_per_s_last_tenth": _rate(
            ours[-tenth:], count - (len(ours) - tenth) * BATCH
        ),
        "batch_p50_ms": _ms(statistics.median(ours)),
        "batch_p99_ms": _ms(_p99(ours)),
        "floor_entries_per_s": _rate(theirs, len(theirs) * BATCH),
        "floor_batch_p50_ms": _ms(statistics.median(theirs)),
        "floor_batch_p99_ms": _ms(_p99(theirs)),
        "times_the_floor_p50": round(
            statistics.median(ours) / statistics.median(theirs), 2
        ),
    }


def _commit(ledger: Ledger, drafts: Sequence[Draft]) -> None:
    with ledger.engine.begin() as conn:
        ledger.append(conn, drafts)


class _Floor:
    """The least that a batch costs: bare rows and bare primitives."""

    def __init__(self, path: Path) -> None:
        self._cipher = AESGCM(os.urandom(32))
        self._sizes = _row_sizes()
        self._next = 0
        self._db = sqlite3.connect(path, isolation_level=None)
        for pragma in ("journal_mode=WAL", "synchronous=FULL"):
            self._db.execute(f"PRAGMA {pragma}")
        engine = open_database(f"sqlite:///{path}")
        ConsentTable.metadata.create_all(engine)
        engine.dispose()

    def batch(self) -> None:
        """Insert one batch and commit."""
        self._db.execute("BEGIN IMMEDIATE")
        rows = [self._row(self._next + n) for n in range(BATCH)]
        self._next += BATCH
        self._db.executemany(
            "INSERT INTO ledger_entry (ledger, idx, leaf, tag, service,"
            " purpose, day, own, audit, seal, before)"
            " VALUES (1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            rows,
        )
        self._db.executemany(
            "INSERT INTO ledger_person"
            " (ledger, tag, counter, previous, last)"
            " VALUES (1, ?, 1, ?, ?)",
            [(row[2], row[1], row[0]) for row in rows],
        )
        self._db.execute("COMMIT")

    def close(self) -> None:
        """Let the file go."""
        self._db.close()

    def _row(self, index: int) -> tuple[Any, ...]:
        fresh = os.urandom(64)
        body = bytes(300)
        for _ in range(SHA256):
            leaf = hashlib.sha256(body).digest()
        for _ in range(HMAC):
            seal = hmac.digest(fresh[:32], body[:100], "sha256")[:16]
        own, audit = (
            self._cipher.encrypt(fresh[:12], bytes(size), leaf)
            for size in self._sizes
        )
        return (
            index,
            leaf,
            fresh[:16],
            "service-000",
            "purpose",
            NOW // 86_400,
            own,
            audit,
            seal,
            index - BATCH,
        )


def _row_sizes() -> tuple[int, int]:
    """The plain sizes of both openings, read off a ledger in memory."""
    ledger = _ledger(Path(":memory:"))
    with ledger.engine.begin() as conn:
        ledger.append(conn, [_draft(1)])
        own, audit = conn.exec_driver_sql(
            "SELECT length(own), length(audit) FROM ledger_entry"
        ).one()
    ledger.engine.dispose()
    return own - 16, audit - 16


def _checkpoints(ledger: Ledger) -> float:
    """µs to verify that the tree continues, to sign twice, and to store."""
    times = []
    for number in range(20):
        _commit(ledger, [_draft(number)])
        times.append(_timed(ledger.checkpoint))
    return _us(statistics.median(times))


def _proofs(ledger: Ledger, node: float) -> dict[str, object]:
    draw = random.Random(7)  # noqa: S311 - reproducible places
    ledger.checkpoint()
    size = ledger.size()
    places = [draw.randrange(size) for _ in range(PROOFS)]
    olds = [draw.randrange(1, size) for _ in range(PROOFS // 3)]
    made, proofs = _all(lambda at: ledger.inclusion(at, size), places)
    root = ledger.checkpoints(after=size - 1)[0].root
    leaves = [_leaf_hash(ledger, at) for at in places]
    facts = [
        {"index": at, "size": size, "proof": proof, "root": root}
        for at, proof in zip(places, proofs, strict=True)
    ]
    pairs = list(zip(facts, leaves, strict=True))
    checked, _ = _all(
        lambda one: verify_inclusion(leaf_hash=one[1], **one[0]), pairs
    )
    alone, _ = _all(lambda one: check_inclusion(leaf=one[1], **one[0]), pairs)
    grown, steps = _all(lambda old: ledger.consistency(old, size), olds)
    roots = {old: _root(ledger, old) for old in olds[:20]}
    held, _ = _all(
        lambda one: verify_consistency(
            old=one[0],
            new=size,
            proof=one[1],
            old_root=roots[one[0]],
            new_root=root,
        ),
        list(zip(olds[:20], steps[:20], strict=True)),
    )
    length = statistics.fmean(len(proof) for proof in proofs)
    tile, _ = _all(
        ledger.tiles.read,
        [
            TilePath(level=0, number=at // 256)
            for at in places
            if at < size // 256 * 256
        ],
    )
    return {
        "size": size,
        "hashes": round(length, 1),
        "inclusion_made_us": made,
        "inclusion_verified_us": checked,
        "inclusion_verified_alone_us": alone,
        "inclusion_floor_us": round(node * (length + 1), 2),
        "times_the_floor": round(checked / (node * (length + 1)), 2),
        "consistency_made_us": grown,
        "consistency_verified_us": held,
        "tile_read_us": tile,
    }


def _leaf_hash(ledger: Ledger, index: int) -> bytes:
    with ledger.engine.connect() as conn:
        leaf = conn.exec_driver_sql(
            "SELECT leaf FROM ledger_entry WHERE idx = ?", (index,)
        ).scalar_one()
    return hash_leaf(leaf)


def _root(ledger: Ledger, size: int) -> bytes:
    """The root of an earlier size, from the stored tree."""
    with ledger.engine.connect() as conn:
        tree = StoredTree(conn, ledger._sql, ledger.size())
        return tree.subtree(0, size)


def _node_floor() -> float:
    """µs of SHA-256 over one node's 65 bytes."""
    data = os.urandom(65)
    times = []
    for _ in range(50):
        start = time.perf_counter()
        for _ in range(1000):
            hashlib.sha256(data).digest()
        times.append((time.perf_counter() - start) / 1000)
    return _us(statistics.median(times))


def _all(
    work: Callable[[Any], T], things: Sequence[Any]
) -> tuple[float, list[T]]:
    """Median time of `work` on each, in µs, and what came of it."""
    times, found = [], []
    for one in things:
        start = time.perf_counter()
        found.append(work(one))
        times.append(time.perf_counter() - start)
    return _us(statistics.median(times)), found


def _timed(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _rate(seconds: Sequence[float], entries: int) -> int:
    return round(entries / sum(seconds))


def _p99(times: Sequence[float]) -> float:
    return sorted(times)[int(len(times) * 0.99)]


def _ms(seconds: float) -> float:
    return round(seconds * 1e3, 3)


def _us(seconds: float) -> float:
    return round(seconds * 1e6, 2)
