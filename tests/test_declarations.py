"""Declarations: their relation, their digest, their stored form."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    RECIPIENT_ORDER,
    REQUIRED_ORDER,
    RETENTION_ORDER,
    UNNAMED,
    Category,
    Controller,
    DataItem,
    Declaration,
    DeclarationInvalid,
    LegalBasis,
    Purpose,
    RecipientClass,
    ReleaseTerms,
    Required,
    Retention,
    Statement,
    StatementPurpose,
    widening,
)
from consent.declaration_json import read_declaration, write_declaration
from consent.statements import Tuple, within

ATTRIBUTES = ["user.name", "user.name.given", "user.bdate", "dynamic.cookies"]

items = st.builds(
    DataItem,
    attribute=st.sampled_from(ATTRIBUTES),
    optional=st.booleans(),
    categories=st.frozensets(st.sampled_from(Category), max_size=2),
)
uses = st.builds(
    StatementPurpose,
    purpose=st.sampled_from(Purpose),
    required=st.sampled_from(Required),
)
texts = st.dictionaries(
    st.sampled_from(["en", "zh-Hans"]), st.text(max_size=8)
)
statements = st.builds(
    Statement,
    id=st.just("s"),
    purposes=st.lists(
        uses, min_size=1, max_size=3, unique_by=lambda use: use.purpose
    ).map(tuple),
    recipients=st.lists(
        st.sampled_from(RecipientClass), min_size=1, max_size=3, unique=True
    ).map(tuple),
    retention=st.sampled_from(Retention),
    retention_days=st.none() | st.integers(1, 999),
    data=st.lists(items, max_size=3, unique_by=lambda i: i.attribute).map(
        tuple
    ),
    basis=st.sampled_from(LegalBasis),
    consequence=texts,
    non_identifiable=st.booleans(),
)
declarations = st.builds(
    Declaration,
    service=st.sampled_from(["tax", "moving"]),
    purpose=st.just("p"),
    version=st.integers(1, 9),
    title=texts,
    purpose_text=texts,
    statements=st.lists(statements, min_size=1, max_size=3).map(
        lambda drawn: tuple(
            replace(one, id=f"s{number}") for number, one in enumerate(drawn)
        )
    ),
    controller=st.builds(
        Controller,
        name=st.text(max_size=5),
        storage=st.lists(st.text(max_size=5), max_size=2).map(tuple),
    ),
    obligations=st.lists(
        st.sampled_from(["delete_by", "notify"]), unique=True
    ).map(lambda drawn: tuple(sorted(drawn))),
    assurance=st.integers(0, 4),
    release=st.none()
    | st.builds(
        ReleaseTerms,
        recipient=st.just("r"),
        k=st.integers(2, 9),
        l=st.integers(1, 9),
        suppression_limit=st.sampled_from([0.0, 0.05, 1.0]),
        sensitive=st.just(("user.bdate",)),
    ),
    valid_from=st.integers(0, 2**40),
    valid_until=st.none() | st.integers(0, 2**40),
)


@given(declarations)
def test_a_declaration_is_read_back_as_it_was(declared: Declaration) -> None:
    """Text and back gives an equal declaration, relation and digest."""
    text = write_declaration(declared)
    again = read_declaration(text, where="row")
    assert declared == again
    assert declared.digest == again.digest
    assert declared.tuples() == again.tuples()
    assert declared.facts == again.facts


@given(declared=declarations, at=st.integers(0), char=st.characters())
def test_one_changed_character_is_no_declaration_or_another(
    declared: Declaration, at: int, char: str
) -> None:
    """No two texts are read as declarations of one digest."""
    text = write_declaration(declared)
    at %= len(text)
    changed = text[:at] + char + text[at + 1 :]
    if changed == text:
        return
    try:
        other = read_declaration(changed, where="row")
    except DeclarationInvalid:
        return
    assert other.digest != declared.digest


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", "[" * 99_999])
def test_what_is_no_declaration_is_refused(text: str) -> None:
    """A broken row is an error with a remedy."""
    with pytest.raises(DeclarationInvalid) as caught:
        read_declaration(text, where="row 7")
    assert caught.value.where == "row 7"


@given(declarations)
def test_the_digest_covers_every_field(declared: Declaration) -> None:
    """Any change, down to a title, is another declaration."""
    changes: list[dict[str, object]] = [
        {"service": "other"},
        {"purpose": "other"},
        {"version": 77},
        {"title": {"en": "Another"}},
        {"purpose_text": {"en": "Another"}},
        {"controller": Controller(name="Another one")},
        {"obligations": ("mask",)},
        {"assurance": 5},
        {"valid_from": 2**41},
        {"valid_until": 2**41},
        {
            "release": ReleaseTerms(
                recipient="x", k=5, l=2, suppression_limit=0.5
            )
        },
        {"statements": (replace(declared.statements[0], id="other"),)},
    ]
    for change in changes:
        other = replace(declared, **change)  # type: ignore[arg-type] # vary
        assert other.digest != declared.digest


@given(declarations)
def test_a_declaration_does_not_widen_itself(declared: Declaration) -> None:
    """Nobody is asked again for the same."""
    assert widening(declared, declared) == frozenset()


@given(old=declarations, new=declarations)
def test_what_widens_is_within_nothing_that_was_agreed_to(
    old: Declaration, new: Declaration
) -> None:
    """The difference and what is covered make up the new relation."""
    wider = widening(old, new)
    assert wider <= new.tuples()
    for row in new.tuples():
        covered = any(within(row, before) for before in old.tuples())
        assert covered != (row in wider)


ROW = Tuple(
    attribute="user.name",
    purpose=Purpose.CONTACT,
    recipient=RecipientClass.SAME,
    retention=Retention.LEGAL_REQUIREMENT,
    required=Required.OPT_OUT,
    optional=True,
    category=Category.PHYSICAL,
    retention_days=90,
    basis=LegalBasis.CONSENT,
)


@pytest.mark.parametrize(
    ("change", "covered"),
    [
        ({}, True),
        ({"attribute": "user.name.given"}, True),
        ({"attribute": "user"}, False),
        ({"attribute": "user.names"}, False),
        ({"purpose": Purpose.CURRENT}, False),
        ({"recipient": RecipientClass.OURS}, True),
        ({"recipient": RecipientClass.OTHER}, False),
        ({"retention": Retention.NONE}, True),
        ({"retention": Retention.INDEFINITELY}, False),
        ({"retention_days": 30}, True),
        ({"retention_days": 91}, False),
        ({"retention_days": None}, False),
        ({"required": Required.OPT_IN}, True),
        ({"required": Required.ALWAYS}, False),
        ({"optional": False}, False),
        ({"category": Category.HEALTH}, False),
        ({"basis": LegalBasis.CONTRACT}, False),
    ],
    ids=str,
)
def test_narrower_is_within_wider_is_not(
    change: dict[str, object], covered: object
) -> None:
    """Each column, one step to either side."""
    assert within(replace(ROW, **change), ROW) is covered  # type: ignore[arg-type] # vary by test


def test_the_orders_are_fixed() -> None:
    """People agreed under these orders: a change is a new meaning."""
    assert [word.value for word in RECIPIENT_ORDER] == [
        "ours",
        "delivery",
        "same",
        "other-recipient",
        "unrelated",
        "public",
    ]
    assert [word.value for word in RETENTION_ORDER] == [
        "no-retention",
        "stated-purpose",
        "legal-requirement",
        "business-practices",
        "indefinitely",
    ]
    assert [word.value for word in REQUIRED_ORDER] == [
        "opt-in",
        "opt-out",
        "always",
    ]


ONE = Statement(
    id="s1",
    purposes=(StatementPurpose(purpose=Purpose.CURRENT),),
    recipients=(RecipientClass.OURS,),
    retention=Retention.STATED_PURPOSE,
    data=(DataItem(attribute="user.bdate"),),
)


def declare(*items: Statement) -> Declaration:
    """Build a declaration of these statements."""
    return Declaration(
        service="tax",
        purpose="p",
        version=1,
        title={},
        purpose_text={},
        statements=items,
    )


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        (ONE, ONE),
        (replace(ONE, data=ONE.data * 2),),
        (replace(ONE, purposes=()),),
        (replace(ONE, recipients=()),),
    ],
    ids=["none", "two ids", "attribute twice", "no purpose", "no recipient"],
)
def test_a_declaration_that_contradicts_itself_cannot_be_made(
    wrong: tuple[Statement, ...],
) -> None:
    """An empty product would be a promise that is kept by saying nothing."""
    with pytest.raises(DeclarationInvalid):
        declare(*wrong)


def test_the_product_is_taken_within_a_statement_only() -> None:
    """Two statements of two purposes each are four rows, not eight."""
    other = replace(
        ONE,
        id="s2",
        purposes=(StatementPurpose(purpose=Purpose.CONTACT),),
        data=(DataItem(attribute="user.gender"),),
    )
    rows = declare(ONE, other).tuples()
    assert {(row.attribute, row.purpose) for row in rows} == {
        ("user.bdate", Purpose.CURRENT),
        ("user.gender", Purpose.CONTACT),
    }


def test_data_that_is_not_named_is_a_row_of_its_own() -> None:
    """A statement without data still says something."""
    (row,) = declare(replace(ONE, data=())).tuples()
    assert (row.attribute, row.category) == (UNNAMED, Category.OTHER)


def test_facts_have_the_shape_that_policies_read() -> None:
    """What decisions rest on, and no text that a person reads."""
    terms = ReleaseTerms(recipient="r", k=5, l=2, suppression_limit=0.05)
    declared = replace(declare(ONE), release=terms, obligations=("notify",))
    assert json.loads(json.dumps(declared.facts)) == {
        "digest": declared.digest,
        "version": 1,
        "valid_from": 0,
        "valid_until": None,
        "assurance": 0,
        "obligations": ["notify"],
        "release": {
            "recipient": "r",
            "k": 5,
            "l": 2,
            "suppression_limit": 0.05,
            "sensitive": [],
        },
        "statements": {
            "s1": {
                "basis": "consent",
                "purposes": [{"purpose": "current", "required": "always"}],
                "recipients": ["ours"],
                "retention": "stated-purpose",
                "retention_days": None,
                "data": {
                    "user.bdate": {
                        "optional": False,
                        "categories": ["demographic"],
                    }
                },
            }
        },
    }
    assert "release" not in declare(ONE).facts
