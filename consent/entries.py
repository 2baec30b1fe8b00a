"""Ledger entries: drafts, their two bodies, commitments and the leaf.

The byte format is in `LEDGER.md`. A leaf is SHA-256 over two salted
commitments and nothing else. The subject part is for the person alone, the
audit part for the officer; whoever holds one body with its salt learns
nothing of the other from the leaf.

This module writes and reads bodies; it neither seals nor stores.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Self
from uuid import UUID

from consent.canonical import Json, canonical
from consent.errors import DraftInvalid, LedgerUnavailable
from consent.visibility import LATEST, Withheld

VERSION = 1
SALT_BYTES = 16
LARGEST_BODY = 1 << 16
LEAF_DOMAIN = b"curtilage/ledger/1/leaf\x00"
SUBJECT_DOMAIN = b"curtilage/ledger/1/subject\x00"
AUDIT_DOMAIN = b"curtilage/ledger/1/audit\x00"
PLACE_DOMAIN = b"curtilage/ledger/1/place\x00"
# Of a draft that concerns nobody: it says that there is no subject part.
NOBODY_BODY = b'{"v":1}'
_TRACE = re.compile(r"[0-9a-f]{32}-[0-9a-f]{16}")
# The encoder's own function for one text: `JSONEncoder.encode` calls it
# after a walk that costs more than it does.
_text = json.encoder.encode_basestring


class EntryKind(StrEnum):
    """What happened. A name is never reused for another meaning."""

    DISCLOSURE = "disclosure"
    REFUSAL = "refusal"
    CONSENT = "consent"
    PREFERENCE = "preference"
    RESTRICTION = "restriction"
    OBJECTION = "objection"
    IMPORT = "import"
    CORRECTION = "correction"
    ERASURE = "erasure"
    RELEASE = "release"
    OWN_VIEW = "own-view"
    OFFICER_VIEW = "officer-view"
    DECLARATION = "declaration"
    BUNDLE = "bundle"
    KEY = "key"
    RECOVERY = "recovery"
    VISIBILITY = "visibility"
    LINK = "link"
    MERGE = "merge"
    DISPUTE = "dispute"
    LOOKUP = "look-up"
    EVALUATION = "evaluation"
    NOTIFICATION = "notification"
    NO_DECISION = "no-decision"
    CONSENT_REQUEST = "consent-request"
    GLASS = "break-glass"
    CREDENTIAL = "credential"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What should be recorded. It never holds an attribute's value.

    Attributes:
        kind: What happened.
        subject: The person, or ``None`` where nobody is concerned.
        log_key: 32 bytes that only the person's own key gives; ``None``
            exactly where `subject` is.
        service: Who asked or acted.
        purpose: For which declared purpose.
        attributes: Names of the attributes concerned.
        outcome: How it ended, in a word of the caller's vocabulary.
        at: POSIX seconds.
        decision: The decision or act that this records.
        detail: For the person alone, such as reasons by attribute; where
            nobody is concerned, for the officer, such as a manifest's hash.
        withheld: Why the person does not learn of it at once; ``None``
            where they do.
        trace: The caller's own trace and span (W3C Trace Context), as
            32 and 16 hexadecimal digits with a hyphen between; ``None``
            where none came.
    """

    kind: EntryKind
    subject: UUID | None
    log_key: bytes | None = field(repr=False)
    service: str
    purpose: str
    attributes: tuple[str, ...] = ()
    outcome: str
    at: int
    decision: UUID
    detail: Mapping[str, Json] = field(default_factory=dict)
    withheld: Withheld | None = None
    trace: str | None = None

    def __post_init__(self) -> None:
        if self.trace is not None and not _TRACE.fullmatch(self.trace):
            msg = "a trace is 32 and 16 hexadecimal digits"
            raise DraftInvalid(msg)
        if self.withheld is not None and self.subject is None:
            msg = "what is about nobody is withheld from nobody"
            raise DraftInvalid(msg)
        if (self.subject is None) != (self.log_key is None):
            msg = "a draft has both a subject and a log key, or neither"
            raise DraftInvalid(msg)
        if self.log_key is not None and len(self.log_key) != 32:
            msg = "a log key has 32 bytes"
            raise DraftInvalid(msg)
        if not 0 <= self.at <= LATEST:
            msg = "a draft's time is in POSIX seconds, of years up to 9999"
            raise DraftInvalid(msg)


@dataclass(frozen=True, slots=True, kw_only=True)
class Appended:
    """Where an entry stands. Durable only when its commit has returned.

    Attributes:
        index: Position in the ledger, from 0, without gaps; ``None`` while
            it is pending.
        leaf: The 32 bytes of leaf data.
        counter: The how many-th entry of its chain about this person, from
            1; 0 where nobody is concerned.
    """

    index: int | None
    leaf: bytes
    counter: int

    def numbered(self) -> int:
        """Return the index of an entry that was appended directly.

        Raises:
            LedgerUnavailable: It is pending.

        """
        if self.index is None:
            msg = "the entry is pending and has no index yet"
            raise LedgerUnavailable(msg)
        return self.index


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an entry stands in a person's second chain.

    The body of such an entry only commits to it: an entry that is lifted
    alone must not tell how many others are still withheld.

    Attributes:
        salt: 16 bytes.
        counter: The how many-th entry of the chain, from 1.
        previous: Leaf data of the one before; empty for the first.
    """

    salt: bytes
    counter: int
    previous: bytes

    def commitment(self) -> bytes:
        """Commit to counter and previous leaf."""
        counter = self.counter.to_bytes(8, "big")
        return commit(PLACE_DOMAIN, self.salt, counter + self.previous)

    def __bytes__(self) -> bytes:
        return self.salt + self.counter.to_bytes(8, "big") + self.previous

    @classmethod
    def read(cls, data: bytes) -> Self:
        """Read what `bytes` wrote."""
        return cls(
            salt=data[:SALT_BYTES],
            counter=int.from_bytes(data[SALT_BYTES : SALT_BYTES + 8], "big"),
            previous=data[SALT_BYTES + 8 :],
        )


class Opened(NamedTuple):
    """Both bodies of an entry with their salts, as the person may see them.

    A tuple, because one is made for every entry.

    Attributes:
        subject_salt: 16 bytes.
        subject_body: Canonical JSON.
        audit_salt: 16 bytes.
        audit_body: Canonical JSON.
        place: In the second chain; ``None`` in the first.
    """

    subject_salt: bytes
    subject_body: bytes
    audit_salt: bytes
    audit_body: bytes
    place: Place | None = None

    def leaf(self) -> bytes:
        """Compute the leaf data over both parts."""
        return leaf_data(
            commit(SUBJECT_DOMAIN, self.subject_salt, self.subject_body),
            commit(AUDIT_DOMAIN, self.audit_salt, self.audit_body),
        )


def commit(domain: bytes, salt: bytes, body: bytes) -> bytes:
    """Commit to a body: SHA-256 over domain, 16 bytes of salt, body."""
    return hashlib.sha256(domain + salt + body).digest()


def leaf_data(subject: bytes, audit: bytes) -> bytes:
    """Compute the leaf data over the two commitments of 32 bytes."""
    return hashlib.sha256(LEAF_DOMAIN + subject + audit).digest()


def subject_body(draft: Draft, *, counter: int, previous: bytes) -> bytes:
    """Write the subject part of an entry of the first chain.

    Args:
        draft: What happened.
        counter: The how many-th entry about this person, from 1.
        previous: Leaf data of the person's previous entry; empty for the
            first.

    Returns:
        Canonical JSON (RFC 8785).

    Raises:
        DraftInvalid: The detail is no JSON, or the body is too long.

    """
    if draft.subject is None:
        return NOBODY_BODY
    # Keys in order, by hand: this runs once an entry on the gated path.
    return _encoded(
        f'{{"counter":{counter},"decision":"{draft.decision}",'
        f'"detail":{_detail(draft)},"kind":"{draft.kind}",'
        f'"previous":"{previous.hex()}","subject":"{draft.subject}",'
        f'"v":{VERSION}}}'
    )


def withheld_body(draft: Draft, place: Place) -> bytes:
    """Write the subject part of an entry of the second chain.

    Args:
        draft: What happened.
        place: Where it stands; the body commits to it and says no more.

    Returns:
        Canonical JSON (RFC 8785).

    Raises:
        DraftInvalid: The detail is no JSON, or the body is too long.

    """
    return _encoded(
        f'{{"chain":"{place.commitment().hex()}",'
        f'"decision":"{draft.decision}","detail":{_detail(draft)},'
        f'"kind":"{draft.kind}","subject":"{draft.subject}",'
        f'"v":{VERSION}}}'
    )


def names_text(attributes: Iterable[str]) -> str:
    """Write names of attributes as the audit part lists them."""
    return ",".join(map(_text, attributes))


def audit_body(draft: Draft, *, mark: str, names: str | None = None) -> bytes:
    """Write the audit part, from which no name of the person follows.

    Args:
        draft: What happened.
        mark: Hexadecimal mark of the person for the month; empty for
            nobody.
        names: What `names_text` gave for the draft's attributes, if that
            is at hand.

    Returns:
        Canonical JSON (RFC 8785).

    Raises:
        DraftInvalid: The detail is no JSON, or the body is too long.

    """
    detail = "" if draft.subject else f'"detail":{_detail(draft)},'
    if names is None:
        names = names_text(draft.attributes)
    withheld = f',"withheld":"{draft.withheld}"' if draft.withheld else ""
    trace = f'"trace":"{draft.trace}",' if draft.trace else ""
    return _encoded(
        f'{{"attributes":[{names}],"decision":"{draft.decision}",{detail}'
        f'"kind":"{draft.kind}","mark":"{mark}",'
        f'"outcome":{_text(draft.outcome)},"purpose":{_text(draft.purpose)},'
        f'"service":{_text(draft.service)},"time":{draft.at},{trace}'
        f'"v":{VERSION}{withheld}}}'
    )


def _detail(draft: Draft) -> str:
    detail = draft.detail
    if not detail:
        return "{}"
    try:
        return canonical(detail).decode()
    except ValueError:
        # The cause could quote the value that has no JSON form.
        msg = "the detail of a draft is not JSON"
        raise DraftInvalid(msg) from None


def _encoded(text: str) -> bytes:
    try:
        body = text.encode()
    except UnicodeEncodeError:
        msg = "a draft holds text that UTF-8 cannot carry"
        raise DraftInvalid(msg) from None
    if len(body) > LARGEST_BODY:
        msg = f"a part of an entry is longer than {LARGEST_BODY} bytes"
        raise DraftInvalid(msg)
    return body
