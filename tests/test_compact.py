"""Compact policies: tokens, the transform both ways, and drift."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    CompactPolicy,
    DeclarationInvalid,
    compact_of,
    drift,
    load_compact,
    policy_of_compact,
    read_compact,
    read_p3p,
    read_p3p_document,
    write_p3p,
)
from consent.compact_tokens import (
    ACCESS,
    CHOICES,
    PURPOSES,
    RECIPIENTS,
    TOKENS,
)
from consent.p3p_model import P3PDocument, P3PPolicy
from consent.vocabulary import Category, Purpose, Required

PAIRS = "p3p/policy_cp_pairs.json"


def codes(text: str) -> set[str]:
    """The codes of what is noticed."""
    return {f.code for f in read_compact(text, where="cp").findings}


def policy(corpus: Path, file: str, name: str | None = None) -> P3PPolicy:
    """A policy of a file of the corpus."""
    text = (corpus / "p3p/xml" / file).read_bytes()
    document, _ = read_p3p_document(text, where=file)
    found = document.policies[0] if name is None else document.policy(name)
    assert found is not None
    return found


def test_there_are_52_tokens() -> None:
    """All of the specification's, LOC included."""
    assert 52 == len(TOKENS)
    assert {"LOC", "OTC", "TST", "NID", "DSP"} <= TOKENS


@pytest.mark.corpus
def test_published_pairs_are_reproduced(corpus: Path) -> None:
    """The compact policy that a site published is what its policy says."""
    for pair in json.loads((corpus / PAIRS).read_text("utf-8"))["pairs"]:
        full = policy(corpus, pair["policy_file"], pair["policy_name"])
        sent = load_compact(pair["cp"], where=pair["policy_file"])
        assert not drift(compact_of(full), sent)


@pytest.mark.corpus
def test_pairs_that_disagree_are_reported_as_drift(corpus: Path) -> None:
    """And the recorded differences are those found."""
    pairs = json.loads((corpus / PAIRS).read_text("utf-8"))
    found = {}
    for pair in pairs["disagreeing_real_world_pairs"]:
        full = compact_of(policy(corpus, pair["policy_file"]))
        apart = drift(full, load_compact(pair["cp"], where="cp"))
        assert apart
        found[pair["policy_file"].partition("__")[0]] = (
            set(apart.missing),
            set(apart.extra),
        )
    assert (set(), {"BUS", "INT", "TAIa", "UNI"}) == found["AMEE"]
    assert ({"ALL"}, {"BUS", "DEVa", "NOI", "UNI"}) == found["nenadg"]
    assert {"NOI", "NID"} == found["nrajput"][1]
    assert {"PHY", "ONL", "UNI"} <= found["nrajput"][0]
    assert found["seedr07"] == (
        {"COM", "DEM", "INT", "NAV", "ONL", "PHY", "UNI"},
        set(),
    )


@pytest.mark.corpus
def test_every_header_is_read_or_refused_as_its_note_says(
    corpus: Path,
) -> None:
    """``AND`` is no token; all the others are, with their warnings."""
    text = (corpus / "p3p/cp_headers.tsv").read_text("utf-8")
    rows = list(csv.DictReader(text.splitlines(), delimiter="\t"))
    readings = {
        row["cp_value"]: read_compact(row["cp_value"], where="cp")
        for row in rows
    }
    assert 30 == len(readings)
    assert ["CAO DSP AND"] == [
        value for value, reading in readings.items() if not reading.valid
    ]
    for row in rows:
        value, note = row["cp_value"], row["note"] or ""
        if "leading/trailing space" in note:
            assert "odd-space" in codes(value)
        if "CUS" in note:
            assert "draft-word" in codes(value)
        if "contradiction" in note:
            assert "identifiable" in codes(value)
        for token, code in (("CURa", "no-choice"), ("TST", "test")):
            assert (token in value.split()) == (code in codes(value))


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CAO DSP AND", "unknown-token"),
        ("NOI DSP SO", "unknown-token"),
        ("NOIa", "unknown-token"),
        ("PHYa", "unknown-token"),
        ("ADMx", "unknown-token"),
        ("adm", "unknown-token"),
        ("This is not a P3P policy!", "unknown-token"),
        ("ADMaa", "unknown-token"),
        ("", "no-compact"),
        ('policyref="/w3c/p3p.xml"', "no-compact"),
        ("NOI " * 3000, "too-long"),
    ],
)
def test_what_is_no_compact_policy_is_refused(text: str, code: str) -> None:
    """By its code, where it stands."""
    assert not read_compact(text, where="cp").valid
    with pytest.raises(DeclarationInvalid) as caught:
        load_compact(text, where="cp")
    assert code == caught.value.code


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("CURa", "no-choice"),
        ("OURi", "no-choice"),
        ("CUS", "draft-word"),
        ("NOI ALL", "several-accesses"),
        ("ADM", "no-access"),
        ("NOI", "no-purpose"),
        ("NOI", "no-recipient"),
        ("NOI", "no-retention-said"),
        ("NOI", "no-categories"),
        ("NOR IND", "kept-and-not-kept"),
        ("NOR LEG", "several-retentions"),
        ("NID PHY", "identifiable"),
        ("NOI GOV", "identifiable"),
        ("COR", "no-disputes"),
        ("TST", "test"),
        ("ADM ADM", "token-twice"),
        (" ADM", "odd-space"),
        ("ADM  CUR", "odd-space"),
        ("ADM\tCUR", "odd-space"),
        ('CP="NOI", CP="ALL"', "second-header"),
        ('CP="NOI CUR', "open-quote"),
        ("CP='NOI CUR", "open-quote"),
    ],
)
def test_what_is_odd_is_read_with_a_warning(text: str, code: str) -> None:
    """Nothing odd is read in silence."""
    assert read_compact(text, where="cp").valid
    assert code in codes(text)


def test_a_whole_header_is_read() -> None:
    """Either part may stand alone, and only the first CP counts."""
    for text in (
        'policyref="http://a.example/p3p.xml", CP="NOI CUR"',
        "P3P: cp='NOI CUR', policyref='http://a.example/p3p.xml'",
        'CP = "NOI CUR", CP="ALL", policyref="http://a.example/p3p.xml"',
    ):
        reading = read_compact(text, where="header")
        assert ("NOI", "CUR") == reading.policy.tokens()
        assert "http://a.example/p3p.xml" == reading.policyref


def test_a_position_is_that_of_the_token() -> None:
    """The column counts from 1 in the text that was given."""
    (found,) = (
        f
        for f in read_compact('CP="NOI XXX"', where="cp").findings
        if f.code == "unknown-token"
    )
    assert (1, 9) == (found.line, found.column)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CONi CONo", Required.OPT_OUT),
        ("CONo CONa CONi", Required.ALWAYS),
        ("CONi CON", Required.ALWAYS),
        ("CONi", Required.OPT_IN),
    ],
)
def test_the_least_choice_wins(text: str, expected: Required) -> None:
    """Always over opt-out over opt-in; no suffix is always."""
    reading = read_compact(text, where="cp")
    assert {Purpose.CONTACT: expected} == reading.policy.purposes


def statements(*bodies: str) -> CompactPolicy:
    """The compact policy of a policy of these statements."""
    inside = "".join(f"<STATEMENT>{body}</STATEMENT>" for body in bodies)
    text = f"<POLICY name='p'>{inside}</POLICY>"
    return compact_of(read_p3p(text.encode(), where="p").document.policies[0])


def test_a_policy_becomes_the_union_of_its_statements() -> None:
    """Least choice, every retention, NID only where all are."""
    body = (
        "<PURPOSE><admin required='{}'/></PURPOSE>"
        "<RETENTION><{}/></RETENTION>"
        "<DATA-GROUP><DATA ref='#{}'/></DATA-GROUP>"
    )
    one = body.format("opt-in", "no-retention", "user.bdate")
    other = body.format("opt-out", "indefinitely", "dynamic.clickstream")
    said = statements(one, "<NON-IDENTIFIABLE/>" + other)
    assert ("ADMo", "NOR", "IND", "COM", "NAV", "DEM") == said.tokens()
    assert statements("<NON-IDENTIFIABLE/>").non_identifiable
    assert ("NID",) == statements("<NON-IDENTIFIABLE/>").tokens()


def test_what_is_said_again_below_adds_nothing() -> None:
    """A whole has its own categories, also where a part stands beside it."""
    whole = "<DATA ref='#dynamic.clickstream'/>"
    part = "<DATA ref='#dynamic.clickstream.clientip'/>"
    group = "<DATA-GROUP>{}</DATA-GROUP>"
    both = {Category.NAVIGATION, Category.COMPUTER}
    assert both == statements(group.format(whole + part)).categories
    assert both == statements(group.format(part + whole)).categories
    assert Category.DEMOGRAPHIC in statements(group.format(part)).categories


def some_tokens() -> st.SearchStrategy[list[str]]:
    """Tokens with and without suffixes, each name once."""
    free = sorted(TOKENS - set(PURPOSES) - set(RECIPIENTS))
    chosen = sorted({*PURPOSES, *RECIPIENTS} - {"CUR", "OUR"})
    token = st.one_of(
        st.sampled_from([*free, "CUR", "OUR"]),
        st.builds(
            "{}{}".format, st.sampled_from(chosen), st.sampled_from([*CHOICES])
        ),
    )
    return st.lists(token, unique_by=lambda text: text[:3])


@given(some_tokens())
def test_tokens_are_read_and_written_back(tokens: list[str]) -> None:
    """Reading and writing keep them all, whatever their order."""
    reading = read_compact(" ".join(tokens) or "NID", where="cp")
    assert sorted(tokens or ["NID"]) == sorted(reading.policy.tokens())
    again = read_compact(reading.policy.text(), where="cp").policy
    assert again == reading.policy


@given(some_tokens())
def test_a_compact_policy_stands_for_a_policy(tokens: list[str]) -> None:
    """Its policy, written and read, has the same compact policy."""
    said = read_compact(" ".join(tokens) or "NID", where="cp").policy
    full = policy_of_compact(said)
    text = write_p3p(P3PDocument(root="POLICY", policies=(full,)))
    back = read_p3p_document(text, where="p")[0].policies[0]
    more_than_one = {*ACCESS}
    kept = {*said.tokens()} | ({"DSP"} if said.remedies else set())
    assert kept - more_than_one == {*compact_of(back).tokens()} - more_than_one
    assert compact_of(back).access <= said.access


@given(st.text(max_size=300))
def test_no_text_breaks_the_reader(text: str) -> None:
    """Whatever a header holds, there is an answer."""
    reading = read_compact(text, where="cp")
    assert reading.findings or reading.policy.tokens()
