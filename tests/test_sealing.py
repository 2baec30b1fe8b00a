"""Sealed openings, and the keys under which they are."""

from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from hypothesis import given
from hypothesis import strategies as st

from consent.entries import SUBJECT_DOMAIN, Opened, commit
from consent.errors import EntryUnreadable
from consent.ledger_keys import EntryFields, LedgerKeys
from consent.sealing import (
    AuditOpening,
    _seal,
    open_audit,
    open_own,
    reseal_own,
    seal_audit,
    seal_own,
)
from tests.ledgers import NOON, ORIGIN, person

KEYS = LedgerKeys(origin=ORIGIN, audit_key=b"a" * 32, mark_key=b"m" * 32)
OTHER = LedgerKeys(
    origin="other.example", audit_key=b"a" * 32, mark_key=b"m" * 32
)
ANNA, LOG_KEY = person(1)
OPENED = Opened(
    subject_salt=b"s" * 16,
    subject_body=b'{"subject":"x"}',
    audit_salt=b"t" * 16,
    audit_body=b'{"audit":"y"}',
)
LEAF = OPENED.leaf()
OPENING = AuditOpening(
    salt=OPENED.audit_salt,
    body=OPENED.audit_body,
    subject=bytes.fromhex(
        "ea0aa4e7d1b1d1bd1d0aa35d1c4c5e0ac9f5b3a0bc1a7d7b2f0a3a5f3b6d2f11"
    ),
)
NONCE = b"n" * 12


AUDIT = seal_audit(
    KEYS.audit(3),
    AuditOpening(
        salt=OPENED.audit_salt,
        body=OPENED.audit_body,
        subject=commit(
            SUBJECT_DOMAIN, OPENED.subject_salt, OPENED.subject_body
        ),
    ),
    leaf=LEAF,
    nonce=NONCE,
)


def own() -> bytes:
    """Seal the example for its person."""
    cipher = KEYS.person(LOG_KEY).cipher
    return seal_own(cipher, OPENED, leaf=LEAF, nonce=NONCE)


def opened_own(
    cipher: AESGCM,
    sealed: bytes,
    *,
    leaf: bytes = LEAF,
    audit: bytes = AUDIT,
    index: int = 7,
) -> Opened:
    """Open a person's row beside the example's officer's row."""
    return open_own(
        cipher,
        sealed,
        day=KEYS.audit(3),
        audit=audit,
        index=index,
        leaf=leaf,
    )


def test_what_is_sealed_opens() -> None:
    """Both rows give back what went in."""
    cipher = KEYS.person(LOG_KEY).cipher
    leaf = OPENING.leaf()
    audit = seal_audit(KEYS.audit(3), OPENING, leaf=leaf, nonce=NONCE)
    opened = open_audit(KEYS.audit(3), audit, index=7, leaf=leaf)

    assert OPENED == opened_own(cipher, own())
    assert (OPENING.salt, OPENING.body, OPENING.subject) == (
        opened.salt,
        opened.body,
        opened.subject,
    )


@given(st.integers(0, len(own()) - 1), st.integers(1, 255))
def test_every_byte_of_a_row_counts(place: int, change: int) -> None:
    """A changed byte anywhere keeps the row shut."""
    sealed = bytearray(own())
    sealed[place] ^= change
    cipher = KEYS.person(LOG_KEY).cipher

    with pytest.raises(EntryUnreadable):
        opened_own(cipher, bytes(sealed))


@pytest.mark.parametrize("length", [0, 1, 12, 13, 20, 28])
def test_a_row_that_is_cut_short(length: int) -> None:
    """A row without its end stays shut, with the same error."""
    cipher = KEYS.person(LOG_KEY).cipher

    with pytest.raises(EntryUnreadable):
        opened_own(cipher, own()[:length])


def test_a_row_opens_in_its_place_alone() -> None:
    """Another leaf, person, day or ledger keeps it shut."""
    cipher = KEYS.person(LOG_KEY).cipher
    leaf = OPENING.leaf()
    audit = seal_audit(KEYS.audit(3), OPENING, leaf=leaf, nonce=NONCE)

    with pytest.raises(EntryUnreadable):
        opened_own(cipher, own(), leaf=bytes(32))
    for keys, log_key in ((KEYS, person(2)[1]), (OTHER, LOG_KEY)):
        with pytest.raises(EntryUnreadable):
            opened_own(keys.person(log_key).cipher, own())
    for day_cipher in (KEYS.audit(4), OTHER.audit(3)):
        with pytest.raises(EntryUnreadable):
            open_audit(day_cipher, audit, index=7, leaf=leaf)


def test_a_row_must_give_its_leaf() -> None:
    """A row that opens, but to other words than were committed, is refused."""
    cipher = KEYS.person(LOG_KEY).cipher
    lied = bytes(32)
    sealed = seal_own(cipher, OPENED, leaf=lied, nonce=NONCE)
    audit = seal_audit(KEYS.audit(3), OPENING, leaf=lied, nonce=NONCE)

    with pytest.raises(EntryUnreadable):
        opened_own(cipher, sealed, leaf=lied, audit=audit)
    with pytest.raises(EntryUnreadable):
        open_audit(KEYS.audit(3), audit, index=7, leaf=lied)


def test_a_row_that_holds_less_than_it_says() -> None:
    """Only its writer could seal such a row; it stays shut all the same."""
    cipher = KEYS.person(LOG_KEY).cipher
    plain = bytes(32) + b"\xff" * 32
    for version in b"\x02", b"\x03":
        sealed = _seal(version, cipher, plain, LEAF, nonce=NONCE, spare=0)
        with pytest.raises(EntryUnreadable):
            opened_own(cipher, sealed)


def test_a_person_s_row_needs_its_officer_s_row() -> None:
    """The audit part is read there: changed, gone or another's, it shuts."""
    cipher = KEYS.person(LOG_KEY).cipher
    other = seal_audit(
        KEYS.audit(3),
        AuditOpening(salt=b"t" * 16, body=b"{}", subject=bytes(32)),
        leaf=LEAF,
        nonce=NONCE,
    )

    assert OPENED.audit_body not in cipher.decrypt(
        NONCE, own()[13:], b"\x03" + LEAF
    )
    for audit in (b"", AUDIT[:-1], AUDIT[:-1] + bytes(1), other):
        with pytest.raises(EntryUnreadable):
            opened_own(cipher, own(), audit=audit)


def second_version() -> bytes:
    """Seal the example as version 2 did, both parts in one row."""
    plain = OPENED.subject_salt + OPENED.audit_salt
    for body in (OPENED.subject_body, OPENED.audit_body, b""):
        plain += len(body).to_bytes(4, "big") + body
    plain += bytes(-len(plain) % 32)
    cipher = KEYS.person(LOG_KEY).cipher
    return b"\x02" + NONCE + cipher.encrypt(NONCE, plain, b"\x02" + LEAF)


def test_rows_of_version_2_are_read() -> None:
    """They hold both parts, and need nothing beside them."""
    cipher = KEYS.person(LOG_KEY).cipher

    assert OPENED == opened_own(cipher, second_version(), audit=b"")
    with pytest.raises(EntryUnreadable):
        opened_own(cipher, b"\x03" + second_version()[1:])


@pytest.mark.parametrize("version", [1, 2, 3])
def test_a_row_of_any_version_moves_to_another_key(version: int) -> None:
    """It opens under the new key alone, to the same words."""
    old, new = KEYS.person(LOG_KEY).cipher, KEYS.person(person(2)[1]).cipher
    sealed = {1: first_version(7), 2: second_version(), 3: own()}[version]
    moved = reseal_own(old, new, sealed, index=7, leaf=LEAF, nonce=b"o" * 12)

    assert OPENED == opened_own(new, moved)
    with pytest.raises(EntryUnreadable):
        opened_own(old, moved)


def first_version(index: int, cut: int = 0) -> bytes:
    """Seal the example as version 1 did, with its index in the AAD."""
    plain = OPENED.subject_salt + OPENED.audit_salt
    for body in (OPENED.subject_body, OPENED.audit_body):
        plain += len(body).to_bytes(4, "big") + body
    plain += bytes(-len(plain) % 32)[cut:]
    bound = b"\x01" + index.to_bytes(8, "big") + LEAF
    cipher = KEYS.person(LOG_KEY).cipher
    return b"\x01" + NONCE + cipher.encrypt(NONCE, plain, bound)


@pytest.mark.parametrize("cut", [0, 1, 2])
def test_rows_of_version_1_are_read(cut: int) -> None:
    """At their own index alone, however few zeros end them."""
    cipher = KEYS.person(LOG_KEY).cipher
    sealed = first_version(7, cut)

    assert OPENED == opened_own(cipher, sealed)
    with pytest.raises(EntryUnreadable):
        opened_own(cipher, sealed, index=8)
    with pytest.raises(EntryUnreadable):
        opened_own(cipher, b"\x02" + sealed[1:])


def test_lengths_say_little() -> None:
    """Bodies a few bytes longer give rows of the same length."""
    cipher = KEYS.person(LOG_KEY).cipher
    longer = Opened(
        subject_salt=OPENED.subject_salt,
        subject_body=OPENED.subject_body + b" ",
        audit_salt=OPENED.audit_salt,
        audit_body=OPENED.audit_body + b" ",
    )
    sealed = seal_own(cipher, longer, leaf=longer.leaf(), nonce=NONCE)

    assert len(own()) == len(sealed)


def test_marks_last_a_month() -> None:
    """One mark a person and month, in UTC; none tells of another's."""
    first = int(datetime(2026, 9, 1, tzinfo=UTC).timestamp())
    last = int(datetime(2026, 9, 30, 23, 59, 59, tzinfo=UTC).timestamp())
    marks = {
        KEYS.mark(ANNA, first),
        KEYS.mark(ANNA, last + 1),
        KEYS.mark(person(2)[0], first),
        OTHER.mark(ANNA, first),
    }

    assert KEYS.mark(ANNA, first) == KEYS.mark(ANNA, last)
    assert 4 == len(marks)
    assert {32} == {len(mark) for mark in marks}


def test_tags_are_of_a_ledger_and_a_log_key() -> None:
    """Equal log keys give other tags in another ledger."""
    tags = {
        KEYS.person(LOG_KEY).tag,
        KEYS.person(person(2)[1]).tag,
        OTHER.person(LOG_KEY).tag,
    }

    assert 3 == len(tags)


ROW = EntryFields(7, LEAF, b"t" * 16, "ab", "c", NOON, b"own", b"audit")


@pytest.mark.parametrize(
    "changes",
    [
        {"idx": 8},
        {"leaf": bytes(32)},
        {"leaf": LEAF[:-1], "tag": LEAF[-1:] + b"t" * 16},
        {"tag": None},
        {"tag": b""},
        {"service": "a", "purpose": "bc"},
        {"service": "aB"},
        {"day": 0},
        {"own": None},
        {"own": b"ow", "audit": b"naudit"},
        {"own": None, "audit": b"ownaudit"},
        {"audit": None},
        {"tag": None, "own": None, "audit": None},
    ],
)
def test_the_seal_is_over_the_whole_row(changes: dict[str, object]) -> None:
    """Nothing can be changed, moved to a neighbour or taken away."""
    changed = ROW._replace(**changes)  # type: ignore[arg-type]  # a table of cases

    assert KEYS.seal_entry(ROW) != KEYS.seal_entry(changed)


def test_the_seal_of_an_erased_row_needs_the_key() -> None:
    """Who has the database alone cannot make a deletion look like erasure."""
    erased = ROW._replace(tag=None, own=None, audit=None)
    stranger = LedgerKeys(
        origin=ORIGIN, audit_key=b"x" * 32, mark_key=b"m" * 32
    )

    assert KEYS.seal_entry(erased) != stranger.seal_entry(erased)


@pytest.mark.parametrize("short", ["audit_key", "mark_key"])
def test_keys_have_their_length(short: str) -> None:
    """A key of another length is a mistake of configuration."""
    keys = {"audit_key": b"a" * 32, "mark_key": b"m" * 32, short: b"a" * 31}

    with pytest.raises(ValueError, match="32 bytes"):
        LedgerKeys(origin=ORIGIN, **keys)
