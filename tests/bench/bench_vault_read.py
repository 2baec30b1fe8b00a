"""The gated read without policy: 8 attributes, entry durable before them.

In one run, in one process, over people none of whom is read twice: the floor
(the driver, the cipher and SHA-256 by hand: a wrapped key, eight values, one
leaf of one hash, a commit for each 64), and the vault and the ledger as the
gate uses them (SQLite, ``synchronous=FULL``, group commit, 64 callers). The
ratio of the two is the figure; what each step costs stands beside it. As at
the gate, records are fetched one by one on SQLite, and on a server those of
who wait at the same time by one statement a database; one by one is measured
there as well.

With ``--full`` one instance grows from 10,000 people to 100,000 and on to
1,000,000, and is measured at each size: what grows but by the logarithm of
an index shows. Nearly all of the time goes into the import, which is
measured too.
"""

import asyncio
import hashlib
import os
import sqlite3
import statistics
import struct
import time
import uuid
from collections.abc import (
    Awaitable,
    Callable,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
)
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from api.bootstrap import bootstrap
from api.databases import count_rows
from api.demo.people import SyntheticPerson, synthetic_people
from api.instances import create_instance
from api.platform import Platform
from consent import Commit, Draft, EntryKind, GroupCommit
from consent.compact_range import CompactRange
from consent.merkle import hash_leaf
from policy.together import Together
from tests.bench.room import Needs
from tests.databases import connect, create_database, create_owner
from tests.parts import MissingPartError, postgresql
from vault import Holding, ReadGrant

NEEDS: Mapping[bool, Needs] = {
    False: Needs(bytes=300_000_000, seconds=90),
    True: Needs(bytes=8_000_000_000, seconds=600),
}
SIZES = {False: (10_000,), True: (10_000, 100_000, 1_000_000)}
READS = 6400
GROUP = 64
ROUNDS = 5
EIGHT = (
    "user.name.given",
    "user.name.family",
    "user.bdate",
    "user.gender",
    "user.home-info.postal.street",
    "user.home-info.postal.city",
    "user.home-info.postal.postalcode",
    "user.home-info.online.email",
)
# The floor that the design was measured against, on a faster host.
REFERENCE = {
    "floor_reads_per_s": 24_400,
    "target_reads_per_s": 12_000,
    "postgresql_floor_reads_per_s": 8_500,
    "postgresql_target_reads_per_s": 4_000,
}


def measure(*, full: bool, folder: Path) -> dict[str, object]:
    """Measure at each size, and return the figures."""
    found: dict[str, object] = {
        "reference": REFERENCE,
        **_grown(folder / "embedded", SIZES[full]),
    }
    with _postgresql() as urls:
        if urls is not None:
            first = SIZES[full][:1]
            (found["postgresql"],) = _grown(
                folder / "server", first, urls
            ).values()
    return found


@contextmanager
def _postgresql() -> Iterator[tuple[str, str] | None]:
    """Two empty databases of an ordinary role; nothing without a server."""
    try:
        part = postgresql.find()
    except MissingPartError:
        yield None
        return
    with postgresql.cluster(part) as server:
        owner = create_owner(server)
        yield (
            create_database(owner, "bench_data"),
            create_database(owner, "bench_keys"),
        )


def _grown(
    folder: Path, sizes: Sequence[int], urls: tuple[str, str] | None = None
) -> dict[str, object]:
    """Let one instance grow from size to size, and measure at each."""
    folder.mkdir()
    named = (
        {}
        if urls is None
        else dict(zip(("data_url", "keys_url"), urls, strict=True))
    )
    settings = create_instance(
        folder / "home",
        tenant="bench",
        origin="localhost/bench/access-log",
        passphrase_file=folder / "passphrase",
        **named,
    )
    platform = bootstrap(settings)
    people = iter(synthetic_people(sizes[-1], seed=7))
    subjects: list[uuid.UUID] = []
    found: dict[str, object] = {}
    for size in sizes:
        filled, more = _fill(platform, islice(people, size - len(subjects)))
        subjects += more
        # As an import ends, and as the floor does.
        count_rows(platform.data, platform.keys)
        floor: _Floor | _ServerFloor
        if urls is None:
            (folder / str(size)).mkdir()
            floor = _Floor(folder / str(size), size)
        else:
            floor = _ServerFloor(urls[0], min(size, 10_000))
        row = {"import": filled, **_figures(platform, floor, subjects)}
        if urls is None and size == sizes[-1]:
            row["storage"] = _storage(platform, folder / "home", size)
        floor.close()
        found[f"people_{size}"] = row
    platform.close()
    return found


def _figures(
    platform: Platform,
    floor: "_Floor | _ServerFloor",
    subjects: list[uuid.UUID],
) -> dict[str, object]:
    step = max(1, len(subjects) // READS)
    chosen = subjects[::step][:READS]
    ours, floors, alone = [], [], []
    for _ in range(ROUNDS):
        floors.append(floor.run(len(chosen)))
        ours.append(asyncio.run(_gated(platform, chosen, _fetching(platform))))
        if platform.data.dialect.name != "sqlite":
            alone.append(asyncio.run(_gated(platform, chosen, _one(platform))))
    return {
        # On SQLite the gate itself fetches so.
        "one_by_one_reads_per_s": round(statistics.median(alone or ours)),
        "floor_reads_per_s": round(statistics.median(floors)),
        "gated_reads_per_s": round(statistics.median(ours)),
        "ratio_to_floor": round(
            statistics.median(
                one / bare for one, bare in zip(ours, floors, strict=True)
            ),
            3,
        ),
        "layers_us": _layers(platform, chosen),
    }


def _fill(
    platform: Platform, people: Iterable[SyntheticPerson]
) -> tuple[dict[str, float], list[uuid.UUID]]:
    """Admit people; say how fast, and who they are."""
    subjects: list[uuid.UUID] = []
    seconds, values = 0.0, 0
    for some in _batched(people, 2000):
        batch = [{name: one.values[name] for name in EIGHT} for one in some]
        values += sum(map(len, batch))
        start = time.perf_counter()
        subjects += platform.registrar.admit_now(
            batch, source="bench"
        ).subjects
        seconds += time.perf_counter() - start
    return {"values_per_s": round(values / seconds)}, subjects


Fetch = Callable[[uuid.UUID], Awaitable[Holding]]


def _one(platform: Platform) -> Callable[[], Fetch]:
    """Fetch each person's record by itself."""

    async def fetch(subject: uuid.UUID) -> Holding:
        return platform.vault.holding(subject)

    return lambda: fetch


def _fetching(platform: Platform) -> Callable[[], Fetch]:
    """Fetch as the gate does on this database."""
    if platform.data.dialect.name == "sqlite":
        return _one(platform)

    async def look(
        subjects: Sequence[uuid.UUID],
    ) -> Mapping[uuid.UUID, Holding]:
        found = await asyncio.to_thread(platform.vault.holdings, subjects)
        return {one.subject: one for one in found if isinstance(one, Holding)}

    def begin() -> Fetch:
        together = Together(look)

        async def fetch(subject: uuid.UUID) -> Holding:
            found = await together(subject)
            assert found is not None
            return found

        return fetch

    return begin


async def _gated(
    platform: Platform,
    subjects: list[uuid.UUID],
    begin: Callable[[], Fetch],
) -> float:
    """Reads a second, by as many callers as a full group has."""
    fetch = begin()
    vault, now = platform.vault, platform.clock()
    wanted = frozenset(EIGHT)

    async def caller(mine: Iterable[uuid.UUID]) -> None:
        for subject in mine:
            holding = await fetch(subject)
            decision = uuid.UUID(bytes=os.urandom(16), version=4)
            await commits.submit(
                Commit(
                    drafts=(
                        Draft(
                            kind=EntryKind.DISCLOSURE,
                            subject=holding.subject,
                            log_key=vault.log_key(holding),
                            service="service",
                            purpose="purpose",
                            attributes=EIGHT,
                            outcome="released",
                            at=now,
                            decision=decision,
                        ),
                    )
                )
            )
            grant = ReadGrant(
                tenant="bench",
                subject=subject,
                attributes=wanted,
                purpose="purpose",
                decision=decision,
                expires_at=now + 600,
            )
            values = vault.read(grant, holding)
            assert len(values) == len(EIGHT)

    commits = GroupCommit(platform.ledger)
    start = time.perf_counter()
    await asyncio.gather(*(caller(subjects[n::GROUP]) for n in range(GROUP)))
    seconds = time.perf_counter() - start
    await commits.drain()
    return len(subjects) / seconds


def _layers(platform: Platform, subjects: list[uuid.UUID]) -> dict[str, float]:
    """What each step costs by itself, in µs."""
    vault, now = platform.vault, platform.clock()
    some = subjects[:2000]
    holdings = [vault.holding(one) for one in some]
    pairs = [
        (
            ReadGrant(
                tenant="bench",
                subject=one.subject,
                attributes=frozenset(EIGHT),
                purpose="purpose",
                decision=uuid.uuid4(),
                expires_at=now + 600,
            ),
            one,
        )
        for one in holdings
    ]
    return {
        "ciphertext_fetched": _each(vault.holding, some),
        "log_key_derived": _each(vault.log_key, holdings),
        "entry_appended_of_64": _append(platform, holdings),
        "values_opened": _each(lambda pair: vault.read(*pair), pairs),
    }


def _append(platform: Platform, holdings: list[Any]) -> float:
    drafts = [
        Draft(
            kind=EntryKind.DISCLOSURE,
            subject=one.subject,
            log_key=platform.vault.log_key(one),
            service="service",
            purpose="purpose",
            attributes=EIGHT,
            outcome="released",
            at=platform.clock(),
            decision=uuid.uuid4(),
        )
        for one in holdings
    ]
    times = []
    for batch in _batched(drafts, GROUP):
        start = time.perf_counter()
        with platform.data.begin() as conn:
            platform.ledger.append(conn, batch)
        times.append((time.perf_counter() - start) / len(batch) * 1e6)
    return round(statistics.median(times), 1)


def _each(work: Callable[[Any], Any], things: list[Any]) -> float:
    times = []
    for one in things:
        start = time.perf_counter()
        work(one)
        times.append((time.perf_counter() - start) * 1e6)
    return round(statistics.median(times), 1)


def _batched(things: Iterable[Any], size: int) -> Iterator[list[Any]]:
    rest = iter(things)
    while some := list(islice(rest, size)):
        yield some


def _storage(platform: Platform, home: Path, people: int) -> dict[str, float]:
    """Bytes on the disk, and what 64 bytes of text grow to."""
    before = _pages(home)
    lines = ["x" * 64] * 2000
    platform.registrar.admit_now(
        [{"user.home-info.postal.street": one} for one in lines],
        source="bench",
    )
    data = sqlite3.connect(home / "data" / "data.db")
    (values,) = data.execute("SELECT count(*) FROM vault_value").fetchone()
    (sealed,) = data.execute(
        "SELECT max(length(sealed)) FROM vault_value"
    ).fetchone()
    data.close()
    return {
        "bytes_a_value": round(
            before["vault_value"] / (values - len(lines)), 1
        ),
        "sealed_bytes_of_64": sealed,
        "state_bytes_a_person": round(before["vault_subject"] / people, 1),
    }


def _pages(home: Path) -> dict[str, int]:
    data = sqlite3.connect(home / "data" / "data.db")
    found = dict(
        data.execute("SELECT name, sum(pgsize) FROM dbstat GROUP BY name")
    )
    data.close()
    return found


class _Floor:
    """The same work with nothing between it and the libraries.

    Keys and values stand in two files. What is left out is what the design
    asks beyond it: the commitment, the state, the two sealed openings of an
    entry, the person's counter.
    """

    def __init__(self, folder: Path, size: int) -> None:
        self._size = min(size, 100_000)
        self._keys = self._open(folder / "floor-keys.db")
        self._data = self._open(folder / "floor-data.db")
        self._kek = AESGCM(bytes(32))
        self._edge = CompactRange(0, [])
        self._next = 0
        self._fill()

    @staticmethod
    def _open(path: Path) -> sqlite3.Connection:
        made = sqlite3.connect(path, isolation_level=None)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=FULL")
        return made

    def _fill(self) -> None:
        self._keys.execute(
            "CREATE TABLE dek (subject BLOB PRIMARY KEY, blob BLOB)"
            " WITHOUT ROWID"
        )
        self._data.execute(
            "CREATE TABLE value (subject BLOB, attribute INT, version INT,"
            " sealed BLOB, PRIMARY KEY (subject, attribute)) WITHOUT ROWID"
        )
        self._data.execute(
            "CREATE TABLE entry (idx INTEGER PRIMARY KEY, leaf BLOB,"
            " body BLOB)"
        )
        self._subjects = [os.urandom(16) for _ in range(self._size)]
        for some in _batched(self._subjects, 5000):
            keys, values = [], []
            for subject in some:
                dek, nonce = os.urandom(32), os.urandom(12)
                blob = nonce + self._kek.encrypt(
                    nonce, dek, self._aad(subject)
                )
                keys.append((subject, blob))
                cipher = AESGCM(dek)
                for attribute in range(8):
                    nonce = os.urandom(12)
                    aad = struct.pack(">16sIQ", subject, attribute, 1)
                    sealed = nonce + cipher.encrypt(nonce, bytes(64), aad)
                    values.append((subject, attribute, 1, sealed))
            self._write(self._keys, "INSERT INTO dek VALUES (?,?)", keys)
            self._write(
                self._data, "INSERT INTO value VALUES (?,?,?,?)", values
            )

    @staticmethod
    def _write(
        conn: sqlite3.Connection, statement: str, rows: list[Any]
    ) -> None:
        conn.execute("BEGIN IMMEDIATE")
        conn.executemany(statement, rows)
        conn.execute("COMMIT")

    @staticmethod
    def _aad(subject: bytes) -> bytes:
        return struct.pack(">I6sI16sII", 6, b"floor:", 16, subject, 4, 1)

    def run(self, reads: int) -> float:
        """Read so many people, and return how many a second."""
        keys, data = self._keys.cursor(), self._data.cursor()
        step = max(1, self._size // reads)
        chosen = (self._subjects[::step] * (reads // self._size + 1))[:reads]
        start = time.perf_counter()
        for some in _batched(chosen, GROUP):
            fetched, entries = [], []
            for subject in some:
                (blob,) = keys.execute(
                    "SELECT blob FROM dek WHERE subject = ?", (subject,)
                ).fetchone()
                rows = data.execute(
                    "SELECT attribute, version, sealed FROM value"
                    " WHERE subject = ?",
                    (subject,),
                ).fetchall()
                fetched.append((subject, blob, rows))
                entries.append(self._entry(subject))
            self._write(
                self._data, "INSERT INTO entry VALUES (?,?,?)", entries
            )
            for subject, blob, rows in fetched:
                self._opened(subject, blob, rows)
        return reads / (time.perf_counter() - start)

    def close(self) -> None:
        """Close both files."""
        self._keys.close()
        self._data.close()

    def _entry(self, subject: bytes) -> tuple[int, bytes, bytes]:
        salt = os.urandom(16)
        body = b'{"a":"released","p":"purpose","s":"service","t":1790000000}'
        leaf = hashlib.sha256(salt + body + subject).digest()
        self._edge.append(hash_leaf(leaf))
        self._next += 1
        return self._next, leaf, salt + body

    def _opened(
        self, subject: bytes, blob: bytes, rows: list[tuple[int, int, bytes]]
    ) -> list[bytes]:
        dek = self._kek.decrypt(blob[:12], blob[12:], self._aad(subject))
        decrypt, pack = AESGCM(dek).decrypt, struct.pack
        return [
            decrypt(
                sealed[:12],
                sealed[12:],
                pack(">16sIQ", subject, attribute, version),
            )
            for attribute, version, sealed in rows
        ]


class _ServerFloor(_Floor):
    """The same on a server: the driver, its prepared statements, a batch."""

    def __init__(self, url: str, size: int) -> None:
        self._size = size
        self._conn = connect(url)
        self._kek = AESGCM(bytes(32))
        self._edge = CompactRange(0, [])
        self._next = 0
        self._fill()

    def close(self) -> None:
        """Close the connection."""
        self._conn.close()

    def _fill(self) -> None:
        self._conn.execute(
            "CREATE TABLE floor_dek (subject uuid PRIMARY KEY, blob bytea)"
        )
        self._conn.execute(
            "CREATE TABLE floor_value (subject uuid, attribute int,"
            " version bigint, sealed bytea, PRIMARY KEY (subject, attribute))"
        )
        self._conn.execute(
            "CREATE TABLE floor_entry (idx bigint PRIMARY KEY, leaf bytea,"
            " body bytea)"
        )
        self._subjects = [os.urandom(16) for _ in range(self._size)]
        with self._conn.transaction(), self._conn.cursor() as cursor:
            for subject in self._subjects:
                who = uuid.UUID(bytes=subject)
                dek, nonce = os.urandom(32), os.urandom(12)
                blob = nonce + self._kek.encrypt(
                    nonce, dek, self._aad(subject)
                )
                cursor.execute(
                    "INSERT INTO floor_dek VALUES (%s, %s)", (who, blob)
                )
                cipher = AESGCM(dek)
                rows = []
                for attribute in range(8):
                    nonce = os.urandom(12)
                    aad = struct.pack(">16sIQ", subject, attribute, 1)
                    sealed = nonce + cipher.encrypt(nonce, bytes(64), aad)
                    rows.append((who, attribute, 1, sealed))
                cursor.executemany(
                    "INSERT INTO floor_value VALUES (%s, %s, %s, %s)", rows
                )
        self._conn.execute("ANALYZE")

    def run(self, reads: int) -> float:
        """Read so many people, and return how many a second."""
        cursor = self._conn.cursor(binary=True)
        chosen = (self._subjects * (reads // self._size + 1))[:reads]
        start = time.perf_counter()
        for some in _batched(chosen, GROUP):
            fetched, entries = [], []
            for subject in some:
                who = (uuid.UUID(bytes=subject),)
                (blob,) = cursor.execute(
                    "SELECT blob FROM floor_dek WHERE subject = %s",
                    who,
                    prepare=True,
                ).fetchone()
                rows = cursor.execute(
                    "SELECT attribute, version, sealed FROM floor_value"
                    " WHERE subject = %s",
                    who,
                    prepare=True,
                ).fetchall()
                fetched.append((subject, blob, rows))
                entries.append(self._entry(subject))
            with self._conn.transaction():
                cursor.executemany(
                    "INSERT INTO floor_entry VALUES (%s, %s, %s)", entries
                )
            for subject, blob, rows in fetched:
                self._opened(subject, blob, rows)
        return reads / (time.perf_counter() - start)
