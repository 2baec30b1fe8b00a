"""Entries: bodies, commitments and the leaf, to the byte."""

import hashlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.canonical import canonical
from consent.entries import (
    AUDIT_DOMAIN,
    LARGEST_BODY,
    LATEST,
    LEAF_DOMAIN,
    NOBODY_BODY,
    SUBJECT_DOMAIN,
    EntryKind,
    Opened,
    audit_body,
    subject_body,
)
from consent.errors import DraftInvalid
from tests.ledgers import draft, person

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(-1e15, 1e15)
    | words,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(words, inner, max_size=3)
    ),
    max_leaves=8,
)
details = st.dictionaries(words, json_values, max_size=4)


@given(details, words, st.lists(words, max_size=3))
def test_bodies_are_canonical(
    detail: dict[str, object], word: str, names: list[str]
) -> None:
    """Both bodies are RFC 8785 for whatever a draft may hold."""
    entry = draft(
        service=word,
        purpose=word,
        outcome=word,
        attributes=tuple(names),
        detail=detail,
    )
    own = subject_body(entry, counter=3, previous=b"p" * 32)
    audit = audit_body(entry, mark="ab")

    assert canonical(json.loads(own)) == own
    assert canonical(json.loads(audit)) == audit
    assert json.loads(own)["detail"] == json.loads(canonical(detail))


def test_the_parts_keep_apart_what_is_whose() -> None:
    """The audit part lacks the person; the subject part lacks the service."""
    entry = draft(4)
    own = json.loads(subject_body(entry, counter=2, previous=b""))
    audit = json.loads(audit_body(entry, mark="ab"))
    subject = str(person(4)[0])

    assert subject == own["subject"]
    assert subject not in json.dumps(audit)
    assert {"counter", "previous", "subject", "detail"}.isdisjoint(audit)
    assert {"service", "purpose", "attributes", "time"}.isdisjoint(own)


def test_a_leaf_is_the_hash_of_two_commitments() -> None:
    """The formula of LEDGER.md, written out."""
    opened = Opened(
        subject_salt=b"s" * 16,
        subject_body=b"own",
        audit_salt=b"a" * 16,
        audit_body=b"audit",
    )
    own = hashlib.sha256(SUBJECT_DOMAIN + b"s" * 16 + b"own").digest()
    audit = hashlib.sha256(AUDIT_DOMAIN + b"a" * 16 + b"audit").digest()

    assert hashlib.sha256(LEAF_DOMAIN + own + audit).digest() == opened.leaf()


def test_nobody_has_a_subject_part_that_says_nothing() -> None:
    """An entry about nobody tells its detail to the officer instead."""
    entry = draft(0, kind=EntryKind.RELEASE, detail={"manifest": "ab"})

    assert NOBODY_BODY == subject_body(entry, counter=0, previous=b"")
    assert {"manifest": "ab"} == json.loads(audit_body(entry, mark=""))[
        "detail"
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"log_key": None},
        {"subject": None},
        {"log_key": b"short"},
        {"at": -1},
        {"at": LATEST + 1},
    ],
)
def test_drafts_that_contradict_themselves(changes: dict[str, object]) -> None:
    """A person comes with a log key of 32 bytes; time is from 1970 on."""
    with pytest.raises(DraftInvalid):
        draft(**changes)  # type: ignore[arg-type]  # a table of cases


@pytest.mark.parametrize(
    "changes",
    [
        {"detail": {"x": float("nan")}},
        {"detail": {"x": {1: "integer for a name"}}},
        {"detail": {"x": 2**53 + 1}},
        {"detail": {"x": "\ud800"}},
        {"detail": {"x": ["a" * LARGEST_BODY]}},
        {"detail": {"x": b"bytes"}},
    ],
)
def test_details_that_are_no_json(changes: dict[str, object]) -> None:
    """What has no one JSON form is refused, and the message hides it."""
    with pytest.raises(DraftInvalid) as caught:
        subject_body(draft(**changes), counter=1, previous=b"")  # type: ignore[arg-type]  # a table of cases

    assert caught.value.__cause__ is None


def test_words_that_are_no_text() -> None:
    """Half a surrogate pair has no UTF-8."""
    with pytest.raises(DraftInvalid):
        audit_body(draft(service="\udfff"), mark="")


def test_a_draft_hides_its_key() -> None:
    """A log key does not print."""
    assert repr(person(1)[1]) not in repr(draft(1))


def test_kinds_are_never_renamed() -> None:
    """Stored entries hold these words for ever."""
    expected = (
        "disclosure refusal consent preference restriction objection import"
        " correction erasure release own-view officer-view declaration bundle"
        " key recovery visibility link merge dispute look-up evaluation"
        " notification no-decision consent-request break-glass credential"
    )

    assert expected.split() == [kind.value for kind in EntryKind]
