"""The fewest changes that would be acceptable, against brute force."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import (
    PRESETS,
    REQUIRED_ORDER,
    RETENTION_ORDER,
    Behavior,
    Concession,
    ConcessionKind,
    DataItem,
    LegalBasis,
    Preferences,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    Rule,
    Statement,
    StatementPurpose,
    acceptable,
    conceded,
    concessions,
    load_yaml,
)
from tests.parts import ROOT
from tests.test_matching import preference_sets

K = ConcessionKind
purposes = st.sampled_from(Purpose)
small_statements = st.builds(
    Statement,
    id=st.just("s"),
    purposes=st.lists(
        st.builds(
            StatementPurpose,
            purpose=purposes,
            required=st.sampled_from(Required),
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda use: use.purpose,
    ).map(tuple),
    recipients=st.lists(
        st.sampled_from(RecipientClass), min_size=1, max_size=2, unique=True
    ).map(tuple),
    retention=st.sampled_from(Retention),
    data=st.lists(
        st.sampled_from(
            [
                "user.bdate",
                "user.home-info",
                "user.home-info.postal",
                "user.health.note",
            ]
        ).map(lambda name: DataItem(attribute=name)),
        max_size=2,
        unique_by=lambda item: item.attribute,
    ).map(tuple),
    basis=st.sampled_from(LegalBasis),
)


def single(one: Statement) -> Iterator[list[Concession | None]]:
    """Every change to each part of a statement, or none to it."""
    for use in one.purposes:
        more = REQUIRED_ORDER[: REQUIRED_ORDER.index(use.required)]
        yield [
            None,
            Concession(kind=K.DROP_PURPOSE, what=use.purpose),
            *(
                Concession(kind=K.OFFER_CHOICE, what=use.purpose, to=choice)
                for choice in more
                if use.purpose is not Purpose.CURRENT
            ),
        ]
    for to in one.recipients:
        now = one.recipient_choices.get(to, Required.ALWAYS)
        yield [
            None,
            Concession(kind=K.DROP_RECIPIENT, what=to),
            *(
                Concession(kind=K.OFFER_CHOICE, what=to, to=choice)
                for choice in REQUIRED_ORDER[: REQUIRED_ORDER.index(now)]
                if to is not RecipientClass.OURS
            ),
        ]
    for item in one.data:
        yield [None, Concession(kind=K.DROP_DATA, what=item.attribute)]
    at = RETENTION_ORDER.index(one.retention)
    yield [
        None,
        *(
            Concession(
                kind=K.SHORTEN_RETENTION, what=one.retention, to=shorter
            )
            for shorter in RETENTION_ORDER[:at]
        ),
    ]


def fewest(
    preferences: Preferences, one: Statement, accept: Behavior
) -> int | None:
    """How few changes are enough, by trying every set of them."""
    sizes = []
    for picked in product(*single(one)):
        changes = [change for change in picked if change is not None]
        if sizes and len(changes) >= min(sizes):
            continue
        after = conceded(one, changes)
        if after is not None and acceptable(preferences, after, "x", accept):
            sizes.append(len(changes))
    return min(sizes, default=None)


@settings(max_examples=150, deadline=None)
@given(
    preferences=preference_sets(),
    one=small_statements,
    accept=st.sampled_from([Behavior.ALLOW, Behavior.LIMIT]),
)
def test_no_smaller_set_of_changes_is_acceptable(
    preferences: Preferences, one: Statement, accept: Behavior
) -> None:
    """What is found is acceptable, and brute force finds nothing smaller."""
    found = concessions(preferences, one, "x", accept=accept)
    smallest = fewest(preferences, one, accept)
    if smallest is None:
        assert [change.kind for change in found] == [K.DROP_STATEMENT]
        return
    after = conceded(one, found)
    assert after is not None
    assert acceptable(preferences, after, "x", accept)
    assert smallest == len(found)


@settings(max_examples=100, deadline=None)
@given(preferences=preference_sets(), one=small_statements)
def test_none_of_the_changes_is_idle(
    preferences: Preferences, one: Statement
) -> None:
    """Leaving one change out leaves the statement unacceptable."""
    found = concessions(preferences, one, "x")
    for fewer in combinations(found, max(len(found) - 1, 0)):
        after = conceded(one, fewer)
        if found:
            assert after is not None
            assert not acceptable(preferences, after, "x", Behavior.LIMIT)


def mildest(one: Statement, *rules: Rule) -> list[tuple[str, str, str]]:
    """What is asked for, in brief."""
    preferences = Preferences(
        rules=(*rules, Rule(id="yes", behavior=Behavior.ALLOW))
    )
    return [
        (change.kind.value, change.what, change.to)
        for change in concessions(preferences, one, "x")
    ]


MARKETING = Statement(
    id="s",
    purposes=(
        StatementPurpose(purpose=Purpose.CURRENT),
        StatementPurpose(purpose=Purpose.CONTACT),
    ),
    recipients=(RecipientClass.OURS, RecipientClass.UNRELATED),
    retention=Retention.INDEFINITELY,
    data=(DataItem(attribute="user.bdate"),),
)


def test_a_choice_is_asked_for_before_anything_is_given_up() -> None:
    """Where a choice is enough, nothing need be dropped."""
    unasked = Rule(
        id="no",
        behavior=Behavior.REFUSE,
        purposes=frozenset({Purpose.CONTACT}),
        required=frozenset({Required.ALWAYS}),
    )
    assert mildest(MARKETING, unasked) == [
        ("offer-choice", "contact", "opt-out")
    ]


def test_each_objection_has_its_change() -> None:
    """Retention, recipient and purpose are changed where each is refused."""
    rules = [
        Rule(
            id="a",
            behavior=Behavior.REFUSE,
            purposes=frozenset({Purpose.CONTACT}),
        ),
        Rule(
            id="b",
            behavior=Behavior.REFUSE,
            recipients=frozenset({RecipientClass.UNRELATED}),
        ),
        Rule(
            id="c",
            behavior=Behavior.REFUSE,
            retentions=frozenset({Retention.INDEFINITELY}),
        ),
    ]
    assert mildest(MARKETING, *rules) == [
        ("shorten-retention", "indefinitely", "business-practices"),
        ("drop-recipient", "unrelated", ""),
        ("drop-purpose", "contact", ""),
    ]


def test_where_nothing_would_help_the_statement_goes() -> None:
    """Rules that refuse the one element there is leave nothing."""
    never = Rule(
        id="never", behavior=Behavior.REFUSE, attributes=("user.bdate",)
    )
    assert mildest(MARKETING, never) == [("drop-statement", "s", "")]


def test_what_is_accepted_needs_no_change() -> None:
    """Nothing is asked of a statement that the rules allow."""
    assert mildest(MARKETING) == []


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_the_largest_statement_there_can_be_is_searched_at_once(
    preset: str,
) -> None:
    """Every purpose, recipient and retention, and many elements."""
    [text] = [(ROOT / "api/demo/declarations/moving-house.yaml").read_bytes()]
    declared = load_yaml(text, where="moving-house")
    items = tuple(
        {
            item.attribute: item
            for statement in declared.statements
            for item in statement.data
        }.values()
    )
    whole = replace(
        MARKETING,
        purposes=tuple(StatementPurpose(purpose=each) for each in Purpose),
        recipients=tuple(RecipientClass),
        data=(*items, DataItem(attribute="user")),
    )
    found = concessions(PRESETS[preset], whole, "x")
    after = conceded(whole, found)
    assert after is None or acceptable(
        PRESETS[preset], after, "x", Behavior.LIMIT
    )
