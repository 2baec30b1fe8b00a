"""Re-wrapping DEKs: keys a second, and what a writer and readers feel.

The floor is the same work with nothing around it: read a page, unwrap, wrap,
``UPDATE`` by ``executemany``, commit. Both run in this process over equal
keys databases, one after the other.

What others feel is measured as it is lived: job, writer and reader are
processes of their own, so that nobody waits for another's interpreter.
"""

import multiprocessing
import os
import sqlite3
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.ciphers.aead import AESGCMSIV

from api.databases import open_database
from tests.bench.room import Needs
from vault import (
    DATA_METADATA,
    Argon2Cost,
    FileKeyProvider,
    KeyStore,
    ReadGrant,
    Vault,
    standard_catalogue,
)
from vault.rewrapping import PAGE

if TYPE_CHECKING:  # A queue is generic to a checker alone.
    from multiprocessing.queues import Queue
    from multiprocessing.synchronize import Event

SUBJECTS = {False: 20_000, True: 1_000_000}
NEEDS = {
    False: Needs(bytes=60_000_000, seconds=40),
    True: Needs(bytes=2_500_000_000, seconds=420),
}
CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)
READERS = 50


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure the floor, the job alone, and the job beside others."""
    count = SUBJECTS[full]
    vault, keys = _made(folder, count)
    floor = count / _floor(folder, count)
    keys.epochs.rotate()
    start = time.perf_counter()
    done = keys.rewrap()
    alone = done / (time.perf_counter() - start)
    keys.epochs.rotate()
    beside = _beside(folder, vault, keys)
    vault.close()
    return {
        "subjects": count,
        "page": PAGE,
        "rewrapped a second": round(alone),
        "floor a second": round(floor),
        "ratio to the floor": round(alone / floor, 3),
        "beside a writer and a reader": beside,
    }


def _opened(folder: Path) -> tuple[Vault, KeyStore]:
    data = open_database(f"sqlite:///{folder}/data.db")
    keys = KeyStore(
        engine=open_database(f"sqlite:///{folder}/keys.db", turns=True),
        provider=FileKeyProvider(folder / "kek", b"passphrase", cost=CHEAP),
        tenant="town",
        clock=lambda: int(time.time()),
        random=os.urandom,
    )
    vault = Vault(
        tenant="town",
        data=data,
        keys=keys,
        catalogue=standard_catalogue(),
        clock=lambda: int(time.time()),
        random=os.urandom,
    )
    return vault, keys


def _made(folder: Path, count: int) -> tuple[Vault, KeyStore]:
    vault, keys = _opened(folder)
    keys.create_all()
    DATA_METADATA.create_all(vault._data)
    vault.initialise()
    for start in range(0, count, 10_000):
        keys.create_deks(min(10_000, count - start))
    return vault, keys


def _floor(folder: Path, count: int) -> float:
    """Do the bare work on a copy of the database; gives seconds."""
    path = folder / "floor.db"
    source = sqlite3.connect(folder / "keys.db")
    copy = sqlite3.connect(path, isolation_level=None)
    source.backup(copy)
    source.close()
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",
        "secure_delete=ON",
    ):
        copy.execute(f"PRAGMA {pragma}").fetchall()
    old = AESGCMSIV(os.urandom(32))
    new = AESGCMSIV(os.urandom(32))
    aad = os.urandom(96)
    some = os.urandom(12)
    blob = some + old.encrypt(some, os.urandom(32), aad)
    key, after, done = bytearray(32), "", 0
    start = time.perf_counter()
    while True:
        page = copy.execute(
            "SELECT subject, gen, created_at, blob, state FROM vault_dek"
            " WHERE tenant = 'town' AND kek_epoch = 1 AND subject > ?"
            f" AND state = 'live' ORDER BY subject LIMIT {PAGE}",
            (after,),
        ).fetchall()
        if not page:
            break
        rows = []
        for who, gen, _, _, _ in page:
            old.decrypt_into(blob[:12], blob[12:], aad, key)
            nonce = os.urandom(12)
            fresh = b"\x02" + nonce + new.encrypt(nonce, key, aad)
            rows.append((2, fresh, "town", who, gen, 1))
        copy.execute("BEGIN IMMEDIATE")
        copy.executemany(
            "UPDATE vault_dek SET kek_epoch = ?, blob = ? WHERE tenant = ?"
            " AND subject = ? AND gen = ? AND kek_epoch = ?",
            rows,
        )
        copy.execute("COMMIT")
        done += len(page)
        after = page[-1][0]
    seconds = time.perf_counter() - start
    copy.close()
    for file in folder.glob("floor.db*"):
        file.unlink()
    assert done == count + 1
    return seconds


def _beside(folder: Path, vault: Vault, keys: KeyStore) -> dict[str, object]:
    """Run the job while somebody enrols people and somebody reads."""
    people = _readable(vault)
    apart = multiprocessing.get_context("spawn")
    stop, told = apart.Event(), apart.Queue()
    reader = apart.Process(target=_read, args=(folder, people, stop, told))
    job = apart.Process(target=_job, args=(folder, told))
    reader.start()
    told.get()
    job.start()
    told.get()
    stalls: list[float] = []
    syncs: list[float] = []
    while job.is_alive():
        start = time.perf_counter()
        keys.create_deks(1)
        stalls.append(time.perf_counter() - start)
        syncs.append(_sync(folder))
        job.join(0.01)
    done, seconds = told.get()
    stop.set()
    reads, failed = told.get()
    reader.join()
    stalls.sort()
    return {
        "rewrapped a second": round(done / seconds),
        "writes": len(stalls),
        "writer p50 ms": _at(stalls, 0.5),
        "writer p99 ms": _at(stalls, 0.99),
        "writer longest ms": _at(stalls, 1),
        "bare fsync longest ms": _at(sorted(syncs), 1),
        "reads": reads,
        "reads failed": failed,
    }


def _job(folder: Path, told: "Queue[object]") -> None:
    """Re-wrap, in a process of its own, as the command does."""
    _, keys = _opened(folder)
    told.put("ready")
    start = time.perf_counter()
    done = keys.rewrap()
    told.put((done, time.perf_counter() - start))


def _readable(vault: Vault) -> list[tuple[uuid.UUID, str]]:
    people = vault.enrol_many(READERS)
    values = [(one, {"user.age": str(n)}) for n, one in enumerate(people)]
    with vault._data.begin() as conn:
        vault.put_many(conn, values, source="bench")
    return [(one, found["user.age"]) for one, found in values]


def _read(
    folder: Path,
    people: list[tuple[uuid.UUID, str]],
    stop: "Event",
    told: "Queue[object]",
) -> None:
    """Read people over and over; tell how often, and how often in vain."""
    vault, _ = _opened(folder)
    reads = failed = 0
    told.put("ready")
    while not stop.is_set():
        for one, age in people:
            grant = ReadGrant(
                tenant="town",
                subject=one,
                attributes=frozenset({"user.age"}),
                purpose="bench",
                decision=uuid.uuid4(),
                expires_at=int(time.time()) + 60,
            )
            reads += 1
            try:
                failed += vault.read(grant) != {"user.age": age}
            except Exception:  # noqa: BLE001 - each is a failed read
                failed += 1
        stop.wait(0.01)
    told.put((reads, failed))


def _sync(folder: Path) -> float:
    """Seconds of a bare fsync of one page."""
    handle = os.open(folder / "bare", os.O_WRONLY | os.O_CREAT, 0o600)
    os.write(handle, bytes(4096))
    start = time.perf_counter()
    os.fsync(handle)
    seconds = time.perf_counter() - start
    os.close(handle)
    return seconds


def _at(values: list[float], share: float) -> float:
    if not values:
        return 0.0
    place = min(len(values) - 1, int(len(values) * share))
    return round(values[place] * 1000, 2)
