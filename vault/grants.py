"""What passes between the vault and those who may open it.

A `ReadGrant` is the capability: the vault opens exactly the attributes that
it names, for the person it names, until it expires. Only the gate and the
releases mint one; a test holds that. A `Holding` is one person's ciphertext
as the databases had it at one moment, or the decoy's for want of the person.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING
from uuid import UUID

from vault.disputes import Dispute

if TYPE_CHECKING:
    from vault.deks import StoredDek
    from vault.envelope import OpenSubject
    from vault.rows import Stored


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadGrant:
    """Leave to open some attributes of one person.

    Attributes:
        tenant: whose vault.
        subject: the person.
        attributes: names that may be opened.
        purpose: a label for the record; the vault does not interpret it.
        decision: the decision that stands behind the grant.
        expires_at: POSIX seconds from which the grant is void.

    """

    tenant: str
    subject: UUID
    attributes: frozenset[str]
    purpose: str
    decision: UUID
    expires_at: int


class Holding:
    """One person's ciphertext and wrapped key.

    No value in it is open. The person's sub-keys may be, from
    `Vault.log_key` until `Vault.read` or the end of the holding, so that one
    answer unwraps them once; then they are zeroed.

    Attributes:
        subject: whose rows these are; the decoy's id when nobody is known.
        asked: the id that was asked for.
        known: whether ``asked`` is a person with a live key.
        erased: whether ``asked`` once was.
        present: names of the attributes held; empty when not known.
        epoch: how often the person's record was written; `Vault.attest`
            gives it verified.
        others: records that are merged into this one and read with it.
        verified: whether state and rows were compared already.

    """

    __slots__ = (
        "asked",
        "dek",
        "epoch",
        "erased",
        "known",
        "opened",
        "others",
        "present",
        "stored",
        "subject",
        "verified",
    )

    def __init__(
        self,
        *,
        subject: UUID,
        asked: UUID,
        known: bool,
        erased: bool,
        present: frozenset[str],
        dek: "StoredDek",
        stored: "Stored",
    ) -> None:
        """Take what was read."""
        self.subject = subject
        self.asked = asked
        self.known = known
        self.erased = erased
        self.present = present
        self.epoch = stored.epoch
        self.dek = dek
        self.stored = stored
        self.opened: OpenSubject | None = None
        self.others: tuple[Holding, ...] = ()
        self.verified = False

    def close(self) -> None:
        """Zero what `Vault.log_key` left open; again is harmless."""
        opened, self.opened = self.opened, None
        if opened is not None:
            opened.close()

    def __del__(self) -> None:
        # Not left to the collector's mercy alone: `Vault.read` closes too.
        if getattr(self, "opened", None) is not None:
            self.close()

    def __repr__(self) -> str:
        return f"<Holding of {self.subject}>"


class Confidence(StrEnum):
    """How sure a value is, in the words of who recorded it."""

    UNSTATED = "unstated"
    DECLARED = "declared"
    DERIVED = "derived"
    DOCUMENTED = "documented"
    VERIFIED = "verified"


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoricValue:
    """One version of one attribute.

    Attributes:
        value: the canonical text.
        version: counted from 1.
        recorded_at: when it was written, POSIX seconds.
        source: where it came from.
        valid_from: since when it holds, POSIX seconds; the time of
            recording where nothing else was said.
        valid_until: from when it holds no longer; none if that is open.
        confidence: how sure it is.
        disputes: what the person says against it, oldest first.

    """

    value: str
    version: int
    recorded_at: int
    source: str
    valid_from: int
    valid_until: int | None = None
    confidence: Confidence = Confidence.UNSTATED
    disputes: tuple[Dispute, ...] = ()

    def holds_at(self, instant: int) -> bool:
        """Say whether the value is valid at an instant."""
        return self.valid_from <= instant and (
            self.valid_until is None or instant < self.valid_until
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureReport:
    """What an erasure removed.

    Attributes:
        subject: the person's id, never to be used again.
        values: current values removed.
        versions: superseded versions removed.
        index_entries: blind-index entries removed.
        kek_epoch: the epoch whose KEK wrapped the DEK. Until that KEK is
            destroyed, a backup of the keys database could bring the DEK
            back for an operator.
        began_at: POSIX seconds of the intent.
        destroyed_at: POSIX seconds of the DEK's destruction.

    """

    subject: UUID
    values: int
    versions: int
    index_entries: int
    kek_epoch: int
    began_at: int
    destroyed_at: int


class FindingKind(StrEnum):
    """What a sweep can find wrong."""

    KEY = "key"
    STATE = "state"
    ALTERED = "altered"
    MOVED = "moved"
    MISSING = "missing"
    FOREIGN = "foreign"
    HISTORY_ALTERED = "history-altered"
    HISTORY_MISSING = "history-missing"
    INDEX_ALTERED = "index-altered"
    INDEX_MISSING = "index-missing"
    INDEX_FOREIGN = "index-foreign"
    ROLLED_BACK = "rolled-back"
    EMPTY = "empty"
    LEFTOVER = "leftover"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a sweep found wrong.

    Attributes:
        kind: what.
        subject: at whose place.
        attribute: number of the attribute, where it is about one.
        version: version concerned, where it is about one.
        origin: for what was moved, the person whose it is.

    """

    kind: FindingKind
    subject: UUID
    attribute: int | None = None
    version: int | None = None
    origin: UUID | None = None
