"""One change of keys at a time, over all processes of an instance.

With embedded files it is a lock on a file, which the kernel lets go when its
process ends, however it ends. On PostgreSQL, where processes may be on
several hosts, it is a session's advisory lock (PostgreSQL 15, section
13.3.5), which ends with the connection. So no lock outlives its holder.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path

from sqlalchemy import BigInteger, Engine, bindparam, text

from vault.errors import KeyJobRuns

_TRY, _END = (
    text(f"SELECT {name}(:key)").bindparams(bindparam("key", type_=BigInteger))
    for name in ("pg_try_advisory_lock", "pg_advisory_unlock")
)


class JobLock:
    """The lock of one tenant.

    Args:
        engine: the keys database.
        path: the file that is locked where the database is a file.
        tenant: whose keys.

    """

    def __init__(self, *, engine: Engine, path: Path, tenant: str) -> None:
        self._engine = engine
        self._path = path
        self._tenant = tenant

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it; nothing is waited for.

        Raises:
            KeyJobRuns: another process, or another call in this, has it.

        """
        if self._engine.dialect.name == "postgresql":
            with self._advisory():
                yield
            return
        with self._path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise KeyJobRuns(self._tenant) from None
            yield

    @contextmanager
    def _advisory(self) -> Iterator[None]:
        name = f"curtilage/keys/{self._tenant}".encode()
        digest = blake2b(name, digest_size=8).digest()
        key = {"key": int.from_bytes(digest, signed=True)}
        # A session of its own, idle outside any transaction meanwhile.
        with self._engine.connect() as plain:
            conn = plain.execution_options(isolation_level="AUTOCOMMIT")
            if not conn.execute(_TRY, key).scalar_one():
                raise KeyJobRuns(self._tenant)
            try:
                yield
            finally:
                # Where the session is gone, so is the lock.
                if not conn.invalidated:
                    conn.execute(_END, key)
