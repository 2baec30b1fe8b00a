"""The stored form of an answer, written by hand for speed."""

import json

from hypothesis import given
from hypothesis import strategies as st

from policy.decisions import AttributeDecision, Effect, Obligation, Reason
from policy.store import answer_document, answer_text

_TEXTS = st.text(max_size=8)
_REASONS = st.lists(
    st.builds(Reason, code=_TEXTS, remedy=_TEXTS), max_size=3
).map(tuple)
_OBLIGATIONS = st.lists(
    st.builds(
        Obligation,
        type=_TEXTS,
        days=st.one_of(st.none(), st.integers(0, 9)),
    ),
    max_size=3,
).map(tuple)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, AttributeDecision]:
    """Answers of which some attributes share their reasons, as one object."""
    reasons = draw(st.lists(_REASONS, min_size=1, max_size=2))
    obligations = draw(st.lists(_OBLIGATIONS, min_size=1, max_size=2))
    return {
        name: AttributeDecision(
            attribute=name,
            effect=draw(st.sampled_from(Effect)),
            level=draw(st.integers(0, 3)),
            reasons=draw(st.sampled_from(reasons)),
            obligations=draw(st.sampled_from(obligations)),
        )
        for name in draw(st.sets(_TEXTS, max_size=6))
    }


@given(answer=answers())
def test_text_is_the_document_in_compact_json(
    answer: dict[str, AttributeDecision],
) -> None:
    """Byte for byte, whatever is shared between attributes."""
    assert answer_text(answer) == json.dumps(
        answer_document(answer), separators=(",", ":")
    )
