"""The erasure journal: what a restored backup must be told.

A small append-only file outside both databases. Each erasure writes its
intent before anything is destroyed and its outcome after; checkpoints of the
ledger that were given away are anchored in it. It holds random ids, tags and
dates, and nothing else. Every record is chained to the one before by a MAC
under a key of the instance, so that an edit, a cut in the middle or another
order does not verify; the loss of the tail is noticed against the marks that
both databases keep (`ErasureJournal.demand`). The bytes are laid down in
``vault/FORMAT.md``, section 11.

Any number of processes may append: the file is locked for each record, and
what the others wrote is verified first.
"""

import fcntl
import hmac
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from struct import Struct
from struct import error as struct_error
from threading import Lock
from uuid import UUID

from vault import format as fmt
from vault.errors import JournalDamaged, JournalUnavailable

_MAGIC = b"CJRN\x01"
_HEAD = Struct(">5s16sQ")
_LENGTH = Struct(">I")
_FIXED = Struct(">BQQ")
_MAC = 32
_LARGEST = 1 << 16
_LABEL_HEAD = b"pv1/journal"
_LABEL_RECORD = b"pv1/journal-record"


class RecordKind(IntEnum):
    """What a record says. A number is never given another meaning."""

    INTENT = 1
    OUTCOME = 2
    CANCELLED = 3
    ANCHOR = 4
    RESTORED = 5
    ORIGIN = 6


_ERASING = frozenset({RecordKind.INTENT, RecordKind.OUTCOME})


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """A place in the journal: a record's number, and the MAC up to it."""

    number: int
    mac: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalRecord:
    """One record, verified.

    Attributes:
        number: from 1, without gaps.
        at: POSIX seconds.
        kind: what it says.
        fields: as ``vault/FORMAT.md`` lists them for the kind.

    """

    number: int
    at: int
    kind: RecordKind
    fields: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledErasure:
    """One erasure, and what it takes to carry it out once more.

    Attributes:
        number: of the record of its intent.
        at: POSIX seconds of the intent.
        subject: the person's random id.
        kek_epoch: epoch of the KEK that wrapped the DEK.
        note_tags: by which notes about the person are found, one for each
            generation of their DEK.
        ledger_tags: by which their ledger entries are, one for each ledger
            and generation.
        entry: index of the ledger entry that records it; -1 if not known.

    """

    number: int
    at: int
    subject: UUID
    kek_epoch: int
    note_tags: tuple[bytes, ...]
    ledger_tags: tuple[bytes, ...]
    entry: int = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """A checkpoint of the ledger that was given away."""

    origin: str
    size: int
    root: bytes


class ErasureJournal:
    """The journal of one tenant. Safe to share between threads.

    Args:
        path: the file, made by `create`.
        key: 32 bytes; makes and checks the chain.
        tenant: whose.
        clock: gives POSIX seconds.

    Raises:
        JournalUnavailable: there is no such file, or it cannot be read.
        JournalDamaged: it does not verify.

    """

    def __init__(
        self,
        path: Path,
        *,
        key: bytes,
        tenant: str,
        clock: Callable[[], int],
    ) -> None:
        self.path = path
        self._key = key
        self._tenant = tenant
        self._clock = clock
        self._lock = Lock()
        self._end = 0
        self._macs: list[bytes] = []
        self._begun: dict[UUID, JournaledErasure] = {}
        self._pending: dict[UUID, JournaledErasure] = {}
        self._completed: dict[UUID, JournaledErasure] = {}
        self._anchors: dict[str, Anchor] = {}
        self._origins: list[str] = []
        self._anchored_at = 0
        self._newest_erasure = 0
        self.refresh()

    @classmethod
    def create(
        cls,
        path: Path,
        *,
        key: bytes,
        tenant: str,
        origin: str,
        clock: Callable[[], int],
        random: Callable[[int], bytes],
    ) -> "ErasureJournal":
        """Begin the journal of a new instance.

        Raises:
            JournalUnavailable: there is one already, or it cannot be
                written.

        """
        head = _HEAD.pack(_MAGIC, random(16), clock())
        mac = _mac(key, _LABEL_HEAD, tenant.encode(), head)
        with _told(path, "made"):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            handle = os.open(path, flags, 0o600)
            try:
                os.write(handle, head + mac)
                os.fsync(handle)
            finally:
                os.close(handle)
            _sync_folder(path.parent)
        journal = cls(path, key=key, tenant=tenant, clock=clock)
        journal.opened(origin)
        return journal

    # What it says

    @property
    def position(self) -> Position:
        """The last record."""
        return Position(number=len(self._macs) - 1, mac=self._macs[-1])

    @property
    def newest_erasure(self) -> Position:
        """The last record that began or finished one; the head if none did."""
        number = self._newest_erasure
        return Position(number=number, mac=self._macs[number])

    @property
    def id(self) -> UUID:
        """The journal's own random id."""
        return self._id

    @property
    def origins(self) -> tuple[str, ...]:
        """Names that the ledger has had; the last is the present one."""
        return tuple(self._origins)

    @property
    def anchored_at(self) -> int:
        """When a checkpoint was last anchored, POSIX seconds; 0 if never."""
        return self._anchored_at

    def pending(self) -> list[JournaledErasure]:
        """Erasures that were begun, and neither finished nor cancelled."""
        return list(self._pending.values())

    def completed(self) -> list[JournaledErasure]:
        """Erasures that were finished."""
        return list(self._completed.values())

    def find(self, subject: UUID) -> JournaledErasure | None:
        """Give a person's erasure, or the last intent of one."""
        return self._completed.get(subject) or self._begun.get(subject)

    def anchor_of(self, origin: str) -> Anchor | None:
        """Give the largest checkpoint anchored for a ledger."""
        return self._anchors.get(origin)

    def demand(self, position: Position, *, held_by: str) -> None:
        """Hold the journal against a mark that was kept elsewhere.

        Args:
            position: where the journal stood when the mark was made.
            held_by: who kept it, for the message.

        Raises:
            JournalDamaged: the journal is shorter than that, or another.

        """
        if position.number >= len(self._macs):
            msg = (
                f"{self.path}: the erasure journal has lost its end: "
                f"{held_by} knows record {position.number}, the journal "
                f"ends at {len(self._macs) - 1}. Put the newest copy of "
                "the journal in place"
            )
            raise JournalDamaged(msg)
        if not hmac.compare_digest(self._macs[position.number], position.mac):
            msg = (
                f"{self.path}: record {position.number} of the erasure "
                f"journal is not the one that {held_by} knows. Put the "
                "instance's own journal in place"
            )
            raise JournalDamaged(msg)

    def refresh(self) -> None:
        """Verify what other processes appended since.

        Raises:
            JournalUnavailable: the file cannot be read.
            JournalDamaged: it does not verify.

        """
        with self._lock, self._opened(os.O_RDONLY) as handle:
            self._catch_up(handle)

    # What is appended

    def intend(
        self,
        subject: UUID,
        *,
        kek_epoch: int,
        note_tags: tuple[bytes, ...],
        ledger_tags: tuple[bytes, ...],
    ) -> Position:
        """Write down that a person will be erased; durable on return."""
        return self._append(
            RecordKind.INTENT,
            subject.bytes,
            fmt.u32(kek_epoch),
            b"".join(note_tags),
            *ledger_tags,
        )

    def complete(self, subject: UUID, entry: int = -1) -> Position:
        """Write down that an erasure was carried out.

        Args:
            subject: the person.
            entry: index of the ledger entry that records it, if known.

        Raises:
            ValueError: nobody began it; nothing is written, for a record
                that no reader takes would end the journal.

        """
        if subject not in self._begun:
            self.refresh()
        if subject not in self._begun:
            msg = f"no erasure of {subject} was begun"
            raise ValueError(msg)
        more = (fmt.u64(entry),) if entry >= 0 else ()
        return self._append(RecordKind.OUTCOME, subject.bytes, *more)

    def cancel(self, subject: UUID) -> Position:
        """Write down that an erasure never began."""
        return self._append(RecordKind.CANCELLED, subject.bytes)

    def anchor(self, anchor: Anchor) -> Position:
        """Write down a checkpoint that was given away."""
        return self._append(
            RecordKind.ANCHOR,
            anchor.origin.encode(),
            fmt.u64(anchor.size),
            anchor.root,
        )

    def restored(self, what: str, digest: bytes, made_at: int) -> Position:
        """Write down that a backup was put in place.

        Args:
            what: ``data`` or ``keys``.
            digest: SHA-256 of the backup's file.
            made_at: when it was made, POSIX seconds.

        """
        return self._append(
            RecordKind.RESTORED, what.encode(), digest, fmt.u64(made_at)
        )

    def opened(self, origin: str) -> Position:
        """Write down under which name the ledger goes on."""
        return self._append(RecordKind.ORIGIN, origin.encode())

    # Inside

    def _append(self, kind: RecordKind, *fields: bytes) -> Position:
        """Append one record; on any failure the file is as it was.

        Raises:
            JournalUnavailable: it cannot be written.
            JournalDamaged: what stands there does not verify.

        """
        with self._lock, self._opened(os.O_RDWR) as handle:
            self._catch_up(handle)
            number = len(self._macs)
            body = _FIXED.pack(kind, number, self._clock()) + fmt.lp(*fields)
            mac = _mac(self._key, _LABEL_RECORD, self._macs[-1], body)
            record = _LENGTH.pack(len(body)) + body + mac
            try:
                # What a crash left half written goes first.
                os.ftruncate(handle, self._end)
                written = os.pwrite(handle, record, self._end)
                if written != len(record):
                    _full()
                os.fsync(handle)
            except OSError:
                os.ftruncate(handle, self._end)
                raise
            self._take(body, mac)
            self._end += len(record)
            return self.position

    @contextmanager
    def _opened(self, flags: int) -> Iterator[int]:
        exclusive = flags == os.O_RDWR
        with _told(self.path, "written" if exclusive else "read"):
            handle = os.open(self.path, flags | os.O_NOFOLLOW)
            try:
                fcntl.flock(
                    handle, fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH
                )
                yield handle
            finally:
                os.close(handle)

    def _catch_up(self, handle: int) -> None:
        size = os.fstat(handle).st_size
        if size < self._end:
            self._damaged(len(self._macs))
        content = os.pread(handle, size - self._end, self._end)
        offset = 0 if self._macs else self._take_head(content)
        while record := self._next(content, offset):
            body, mac = record
            expected = _mac(self._key, _LABEL_RECORD, self._macs[-1], body)
            if not hmac.compare_digest(expected, mac):
                self._damaged(len(self._macs))
            self._take(body, mac)
            offset += _LENGTH.size + len(body) + _MAC
        self._end += offset

    def _take_head(self, content: bytes) -> int:
        length = _HEAD.size + _MAC
        head, mac = content[: _HEAD.size], content[_HEAD.size : length]
        expected = _mac(self._key, _LABEL_HEAD, self._tenant.encode(), head)
        if not head.startswith(_MAGIC) or not hmac.compare_digest(
            expected, mac
        ):
            self._damaged(0)
        self._id = UUID(bytes=_HEAD.unpack(head)[1])
        self._macs.append(mac)
        return length

    def _next(self, content: bytes, offset: int) -> tuple[bytes, bytes] | None:
        """Cut out one record; None at the end, or at what a crash left.

        A record that was never synced is shorter than it says, or all
        zeros. Nobody went on after it, so it is no record.
        """
        rest = len(content) - offset
        if rest < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(content, offset)
        # No record has a length of 0, so the rest is looked at once at most.
        if not length and not any(content[offset:]):
            return None
        if not _FIXED.size <= length <= _LARGEST:
            self._damaged(len(self._macs))
        if rest < _LENGTH.size + length + _MAC:
            return None
        start = offset + _LENGTH.size
        end = start + length
        return content[start:end], content[end : end + _MAC]

    def _take(self, body: bytes, mac: bytes) -> None:
        try:
            record = parse_record(body)
            if record.number != len(self._macs):
                self._damaged(len(self._macs))
            self._apply(record)
        except (ValueError, LookupError):
            self._damaged(len(self._macs))
        self._macs.append(mac)
        if record.kind in _ERASING:
            self._newest_erasure = record.number

    def _apply(self, record: JournalRecord) -> None:
        fields = record.fields
        if record.kind is RecordKind.INTENT:
            erasure = JournaledErasure(
                number=record.number,
                at=record.at,
                subject=UUID(bytes=fields[0]),
                kek_epoch=int.from_bytes(fields[1]),
                note_tags=_tags(fields[2]),
                ledger_tags=fields[3:],
            )
            self._begun[erasure.subject] = erasure
            self._pending[erasure.subject] = erasure
        elif record.kind is RecordKind.OUTCOME:
            # Also of one that a start cancelled while it was under way.
            subject = UUID(bytes=fields[0])
            self._pending.pop(subject, None)
            begun = self._begun[subject]
            for entry in fields[1:]:
                begun = replace(begun, entry=int.from_bytes(entry))
            self._completed.setdefault(subject, begun)
        elif record.kind is RecordKind.CANCELLED:
            self._pending.pop(UUID(bytes=fields[0]), None)
        elif record.kind is RecordKind.ANCHOR:
            self._apply_anchor(record)
        elif record.kind is RecordKind.ORIGIN:
            self._origins.append(fields[0].decode())

    def _apply_anchor(self, record: JournalRecord) -> None:
        origin, size, root = record.fields
        found = Anchor(
            origin=origin.decode(), size=int.from_bytes(size), root=root
        )
        known = self._anchors.get(found.origin)
        if known is None or known.size < found.size:
            self._anchors[found.origin] = found
        self._anchored_at = record.at

    def _damaged(self, number: int) -> None:
        msg = (
            f"{self.path}: the erasure journal does not verify at record "
            f"{number}. Put the newest good copy in place"
        )
        raise JournalDamaged(msg)


def parse_record(body: bytes) -> JournalRecord:
    """Take a record's body apart.

    Raises:
        ValueError: it is no record.

    """
    fields = []
    try:
        kind, number, at = _FIXED.unpack_from(body)
        offset = _FIXED.size
        while offset < len(body):
            (length,) = _LENGTH.unpack_from(body, offset)
            offset += _LENGTH.size
            fields.append(body[offset : offset + length])
            offset += length
    except struct_error:
        offset = -1
    if offset != len(body):
        msg = "a field is shorter than it says"
        raise ValueError(msg)
    return JournalRecord(
        number=number, at=at, kind=RecordKind(kind), fields=tuple(fields)
    )


def _tags(joined: bytes) -> tuple[bytes, ...]:
    """Take tags of one length apart."""
    if len(joined) % fmt.DIGEST:
        msg = "a tag is shorter than the others"
        raise ValueError(msg)
    return tuple(
        joined[at : at + fmt.DIGEST]
        for at in range(0, len(joined), fmt.DIGEST)
    )


def _mac(key: bytes, *fields: bytes) -> bytes:
    return hmac.digest(key, fmt.lp(*fields), "sha256")


def _full() -> None:
    msg = "the disk is full"
    raise OSError(msg)


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    """Turn the system's refusal into one error that says what to do."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        msg = (
            f"{path}: the erasure journal cannot be {what} ({reason}). "
            "Nothing was erased; see to the file and its disk, then try "
            "again"
        )
        raise JournalUnavailable(msg) from None


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
