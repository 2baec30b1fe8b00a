"""APPEL 1.0: connectives, matching, and what the draft leaves open."""

import time
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import (
    Evidence,
    PreferencesInvalid,
    evaluate_ruleset,
    read_appel,
    read_evidence,
    read_ruleset,
)
from consent.p3p_xml import Element, read_xml

APPEL = "http://www.w3.org/2002/04/APPELv1"
OTHERWISE = '<appel:RULE behavior="else"><appel:OTHERWISE/></appel:RULE>'


def rules(body: str, attributes: str = "", after: str = OTHERWISE) -> bytes:
    """A rule set whose first rule has this body."""
    return (
        f'<appel:RULESET xmlns:appel="{APPEL}"><appel:RULE behavior="hit"'
        f" {attributes}>{body}</appel:RULE>{after}</appel:RULESET>"
    ).encode()


def evidence(*statements: str) -> Evidence:
    """A completed policy of these statements."""
    inside = "".join(f"<STATEMENT>{each}</STATEMENT>" for each in statements)
    text = f'<POLICY name="p">{inside}</POLICY>'.encode()
    return read_evidence(text, where="p")[0]


def fires(body: str, *statements: str, attributes: str = "") -> bool:
    """Whether a rule is true for a policy."""
    ruleset = read_appel(rules(body, attributes), where="r")
    return evaluate_ruleset(ruleset, evidence(*statements)).rule == 1


def over(connective: str, words: Iterable[str]) -> str:
    """A pattern of purposes under a connective."""
    inside = "".join(f"<{word}/>" for word in words)
    return (
        "<POLICY><STATEMENT>"
        f'<PURPOSE appel:connective="{connective}">{inside}</PURPOSE>'
        "</STATEMENT></POLICY>"
    )


def purposes(*words: str) -> str:
    """A PURPOSE of these words."""
    return f"<PURPOSE>{''.join(f'<{word}/>' for word in words)}</PURPOSE>"


@pytest.mark.parametrize(
    ("connective", "answers"),
    [
        # pattern {admin, contact} over: both, one, other, both and more,
        # one and more
        ("and", "yes no no yes no"),
        ("or", "yes yes no yes yes"),
        ("non-and", "no yes yes no yes"),
        ("non-or", "no no yes no no"),
        ("and-exact", "yes no no no no"),
        ("or-exact", "yes yes no no no"),
    ],
)
def test_each_connective_is_what_the_draft_says(
    connective: str, answers: str
) -> None:
    """Six connectives over five sets of purposes."""
    pattern = over(connective, ["admin", "contact"])
    sets = (
        ("admin", "contact"),
        ("admin",),
        ("develop",),
        ("admin", "contact", "develop"),
        ("admin", "develop"),
    )
    found = ["yes" if fires(pattern, purposes(*s)) else "no" for s in sets]
    assert answers.split() == found


WORDS = ["admin", "contact", "develop", "historical"]


@given(
    st.sampled_from(
        ["and", "or", "non-and", "non-or", "and-exact", "or-exact"]
    ),
    st.lists(st.sampled_from(WORDS), min_size=1, unique=True),
    st.lists(st.sampled_from(WORDS), unique=True),
)
def test_connectives_are_what_sets_say(
    connective: str, wanted: list[str], said: list[str]
) -> None:
    """An oracle of sets agrees with the evaluator of trees."""
    e, n = set(wanted), set(said)
    expected = {
        "and": e <= n,
        "or": bool(e & n),
        "non-and": not e <= n,
        "non-or": not e & n,
        "and-exact": e == n,
        "or-exact": bool(e & n) and n <= e,
    }[connective]
    assert expected is fires(over(connective, wanted), purposes(*said))


def test_expressions_without_children_ask_for_presence() -> None:
    """The exact ones ask for emptiness; the negative ones are refused."""
    full, empty = purposes("admin"), "<PURPOSE/>"
    assert fires(over("and", ()), full)
    assert fires(over("or", ()), empty)
    assert not fires(over("and", ()), "<RECIPIENT/>")
    for exact in ("and-exact", "or-exact"):
        assert not fires(over(exact, ()), full)
        assert fires(over(exact, ()), empty)
    for negative in ("non-and", "non-or"):
        with pytest.raises(PreferencesInvalid, match="over nothing"):
            read_appel(rules(over(negative, ())), where="r")


def test_attributes_and_texts_match_with_wildcards() -> None:
    """A value the policy lacks is its default, or no match."""
    body = "<POLICY><STATEMENT><PURPOSE><contact {}/></PURPOSE></STATEMENT>"
    body += "</POLICY>"
    assert fires(body.format('required="always"'), purposes("contact"))
    assert fires(body.format('required="al*"'), purposes("contact"))
    assert not fires(body.format('required="opt-in"'), purposes("contact"))
    assert not fires(body.format('moon="*"'), purposes("contact"))
    said = "<CONSEQUENCE> We  sell\n it. </CONSEQUENCE>"
    pattern = "<POLICY><STATEMENT><CONSEQUENCE>{}</CONSEQUENCE></STATEMENT>"
    assert fires(pattern.format("We sell it.") + "</POLICY>", said)
    assert fires(pattern.format("*sell*") + "</POLICY>", said)
    assert not fires(pattern.format("sell") + "</POLICY>", said)


def test_the_evidence_is_completed_first() -> None:
    """Defaults, and categories of the data schema."""
    statement = purposes("current", "admin") + (
        "<RECIPIENT><ours/><same/></RECIPIENT>"
        '<DATA-GROUP><DATA ref="#user.bdate"/></DATA-GROUP>'
    )
    (said,) = evidence(statement).policy.children
    flat = {
        (child.name, child.attributes.get("required"))
        for group in said.children
        for child in group.children
    }
    assert {("current", None), ("admin", "always"), ("ours", None)} <= flat
    assert ("same", "always") in flat
    data = (
        "<POLICY><STATEMENT><DATA-GROUP><DATA optional='no'><CATEGORIES>"
        "<demographic/></CATEGORIES></DATA></DATA-GROUP></STATEMENT></POLICY>"
    )
    assert fires(data, statement)
    assert not fires(data.replace("demographic", "physical"), statement)


def test_the_first_true_rule_decides_and_without_one_all_is_blocked() -> None:
    """Order is significant; nothing is disclosed for want of a rule."""
    text = rules(over("or", ["admin"]), after="")
    ruleset = read_appel(text, where="r")
    assert ["no-otherwise"] == [f.code for f in ruleset.findings]
    found = ruleset.evaluate(evidence(purposes("contact")).policy)
    assert ("block", 0) == (found.behavior, found.rule)
    twice = read_appel(rules("<appel:OTHERWISE/>"), where="r")
    assert ["never-tried"] == [f.code for f in twice.findings]
    assert 1 == twice.evaluate(evidence("").policy).rule


def test_a_rule_says_what_to_ask() -> None:
    """Description, prompt and message reach the outcome."""
    text = rules(
        "<appel:OTHERWISE/>",
        'prompt="yes" promptmsg="Sure?" description="ask" persona="me"',
    )
    found = read_appel(text, where="r").evaluate(evidence("").policy)
    assert ("hit", "ask", True, "Sure?") == (
        found.behavior,
        found.description,
        found.prompt,
        found.message,
    )


def test_a_rule_may_be_about_a_resource() -> None:
    """REQUEST-GROUP is laid over the resource in question."""
    body = (
        '<appel:REQUEST-GROUP><appel:REQUEST uri="http://a.example/*"/>'
        "</appel:REQUEST-GROUP>" + over("or", ["admin"])
    )
    ruleset = read_appel(rules(body), where="r")
    policy = evidence(purposes("admin"))
    for uri, rule in (
        ("http://a.example/x", 1),
        ("http://b.example/", 2),
        ("", 2),
    ):
        assert rule == evaluate_ruleset(ruleset, policy, uri=uri).rule


def test_a_rules_own_connective_combines_its_expressions() -> None:
    """Of two patterns of a policy, either is enough under ``or``."""
    body = over("or", ["admin"]) + over("or", ["contact"])
    assert not fires(body, purposes("admin"))
    assert fires(body, purposes("admin"), attributes='appel:connective="or"')


def test_optional_extensions_do_not_break_exact_connectives() -> None:
    """A mandatory one does, because nobody knows what it says."""
    said = (
        "<PURPOSE><admin/><EXTENSION optional='{}'><x/></EXTENSION></PURPOSE>"
    )
    pattern = over("and-exact", ["admin"])
    assert fires(pattern, said.format("yes"))
    assert not fires(pattern, said.format("no"))
    mentions = over("and", ["admin", "EXTENSION"])
    assert fires(mentions, said.format("yes"))


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (b"<html/>", "no rule set"),
        (b"<RULESET/>", "no rule"),
        (b"<RULESET><RULE><POLICY/></RULE></RULESET>", "no behavior"),
        (
            b'<RULESET><RULE behavior="b" prompt="x"/></RULESET>',
            "prompt",
        ),
        (rules(over("xor", ["admin"])), "no connective"),
        (b"<!DOCTYPE a><RULESET/>", "document type"),
        (b"<RULESET>" + b" " * 200_000 + b"</RULESET>", "more than"),
        (b"<RULESET><", "not XML"),
    ],
)
def test_what_is_no_rule_set_is_refused(text: bytes, what: str) -> None:
    """In one error, with its place where it has one."""
    with pytest.raises(PreferencesInvalid, match=what):
        read_ruleset(text, where="r")


def test_large_rules_over_large_policies_end() -> None:
    """Thousands of equal names on both sides are not multiplied out."""
    start = time.process_time()
    pattern = over("non-and", ["admin"] * 5000).replace(
        "<admin/>", "<admin><x/></admin>"
    )
    policy = evidence("<PURPOSE>" + "<admin/>" * 40_000 + "</PURPOSE>")
    ruleset = read_appel(rules(pattern.replace("non-and", "or")), where="r")
    with pytest.raises(PreferencesInvalid, match="too large"):
        evaluate_ruleset(ruleset, policy)
    assert time.process_time() - start < 60


NAMES = ["POLICY", "STATEMENT", "PURPOSE", "admin", "EXTENSION"]


def trees() -> st.SearchStrategy[str]:
    """Small trees of a few names and connectives."""
    connective = st.sampled_from(
        ["", *(f'appel:connective="{c}"' for c in ("or", "and-exact", "x"))]
    )
    leaf = st.sampled_from([f"<{name}/>" for name in NAMES])
    return st.recursive(
        leaf,
        lambda inner: st.builds(
            "<{0} {1}>{2}</{0}>".format,
            st.sampled_from(NAMES),
            connective,
            st.lists(inner, max_size=3).map("".join),
        ),
        max_leaves=8,
    )


@settings(max_examples=80)
@given(trees(), trees())
def test_any_tree_over_any_tree_has_an_answer(one: str, other: str) -> None:
    """Nothing but the one error escapes."""
    node: Element = read_xml(
        f'<a xmlns:appel="{APPEL}">{other}</a>'.encode(), where="n"
    )
    try:
        ruleset = read_appel(rules(one), where="r")
    except PreferencesInvalid:
        return
    assert ruleset.evaluate(node.children[0]).rule in {1, 2}


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(noise: bytes) -> None:
    """Whatever a rule set holds, it is read, mended or refused."""
    for text in (noise, b'<RULESET><RULE condition="' + noise):
        with pytest.raises(PreferencesInvalid):
            read_ruleset(text, where="r")
