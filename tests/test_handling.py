"""Data-handling preferences with purposes of P3P."""

import json
from pathlib import Path

import pytest

from consent import HandlingDecision, HandlingRequest, decide_handling

CODES = {
    0: HandlingDecision.PERMIT,
    1: HandlingDecision.DENY,
    4: HandlingDecision.PROMPT_BLANKET,
}


@pytest.mark.corpus
def test_the_webinos_cases_are_decided_as_expected(corpus: Path) -> None:
    """Twenty requests under five policies."""
    folder = corpus / "p3p/webinos-dhp"
    cases = json.loads((folder / "cases.json").read_text("utf-8"))["cases"]
    assert 20 == len(cases)
    for case in cases:
        request = HandlingRequest(
            resource=case["feature"],
            purposes=frozenset(case["requested_purposes"]),
            subject={
                "user-id": case["user"],
                "distributor-key-cn": case["company"],
                "requestor-id": case["device"],
            },
        )
        text = (folder / case["policy"]).read_bytes()
        found = decide_handling(text, request, where=case["policy"])
        assert CODES[case["expected"]] is found, case


def decide(body: str, *purposes: str) -> HandlingDecision:
    """Decide a request for ``f`` under one policy."""
    text = (
        '<policy><rule effect="permit"/><DataHandlingPreferences'
        f' PolicyId="#p"><AuthorizationsSet><AuthzUseForPurpose>{body}'
        "</AuthzUseForPurpose></AuthorizationsSet></DataHandlingPreferences>"
        "<ProvisionalActions><ProvisionalAction><AttributeValue>f"
        "</AttributeValue><AttributeValue>#p</AttributeValue>"
        "</ProvisionalAction></ProvisionalActions></policy>"
    )
    request = HandlingRequest(resource="f", purposes=frozenset(purposes))
    return decide_handling(text.encode(), request, where="p")


def test_every_purpose_must_be_allowed() -> None:
    """One that is not turns yes into a question; an empty one is all."""
    assert HandlingDecision.PERMIT is decide("<Purpose>a</Purpose>", "a")
    assert HandlingDecision.PROMPT_BLANKET is decide(
        "<Purpose>a</Purpose>", "a", "b"
    )
    assert HandlingDecision.PERMIT is decide("<Purpose/>", "a", "b")
    assert HandlingDecision.PROMPT_BLANKET is decide("", "a")


def test_what_fits_nothing_is_inapplicable() -> None:
    """And an effect that nobody knows is a no."""
    request = HandlingRequest(resource="f")
    for text, expected in (
        (b"<policy-set/>", HandlingDecision.INAPPLICABLE),
        (b"<policy/>", HandlingDecision.INAPPLICABLE),
        (
            b'<policy><rule effect="maybe"/></policy>',
            HandlingDecision.DENY,
        ),
    ):
        assert expected is decide_handling(text, request, where="p")
