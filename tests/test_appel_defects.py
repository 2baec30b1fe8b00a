"""What APPEL is known to get wrong: its answer, and ours, side by side.

The first ten are the list of the literature (Agrawal et al., WWW2003;
Hogben, 2002). APPEL is evaluated as the draft has it, so its answers here
are wrong on purpose. Ours are those of rules over flows.
"""

import pytest

from consent import (
    Behavior,
    Category,
    Declaration,
    Preferences,
    Purpose,
    Required,
    Rule,
    evaluate_ruleset,
    match,
    read_appel,
    read_evidence,
    read_p3p,
)

APPEL = "http://www.w3.org/2002/04/APPELv1"
REST = "<RECIPIENT><ours/></RECIPIENT><RETENTION><stated-purpose/></RETENTION>"
BIRTH = '<DATA-GROUP><DATA ref="#user.bdate"/></DATA-GROUP>'
ALLOW, REFUSE = Behavior.ALLOW, Behavior.REFUSE


def statement(*words: str, data: str = BIRTH) -> str:
    """A statement of these purposes; a word may carry attributes."""
    inside = "".join(f"<{word}/>" for word in words)
    return f"<STATEMENT><PURPOSE>{inside}</PURPOSE>{REST}{data}</STATEMENT>"


def policy(*statements: str) -> bytes:
    """A policy of these statements."""
    return f'<POLICY name="p">{"".join(statements)}</POLICY>'.encode()


def appel(first: str, behavior: str, text: bytes, *more: str) -> str:
    """What APPEL does: a first rule, perhaps more, and the opposite."""
    opposite = "request" if behavior == "block" else "block"
    ruleset = (
        f'<appel:RULESET xmlns:appel="{APPEL}">'
        f'<appel:RULE behavior="{behavior}"><POLICY>{first}</POLICY>'
        f"</appel:RULE>{''.join(more)}"
        f'<appel:RULE behavior="{opposite}"><appel:OTHERWISE/></appel:RULE>'
        "</appel:RULESET>"
    )
    (evidence,) = read_evidence(text, where="p")
    rules = read_appel(ruleset.encode(), where="r")
    return evaluate_ruleset(rules, evidence).behavior


def ours(text: bytes, *rules: Rule) -> set[Behavior]:
    """What our rules do: the behaviors over all that is declared."""
    declared: Declaration = read_p3p(text, where="p").declarations[0]
    found = match(Preferences(rules=rules), declared)
    return {verdict.behavior for verdict in found}


def purpose(connective: str, *words: str) -> str:
    """A pattern of purposes."""
    inside = "".join(f"<{word}/>" for word in words)
    return (
        f'<STATEMENT><PURPOSE appel:connective="{connective}">{inside}'
        "</PURPOSE></STATEMENT>"
    )


def rule(behavior: Behavior, *purposes: Purpose) -> Rule:
    """One of our rules about purposes."""
    return Rule(
        id=f"{behavior}-{len(purposes)}",
        behavior=behavior,
        purposes=frozenset(purposes),
    )


YES, NO = Rule(id="yes", behavior=ALLOW), Rule(id="no", behavior=REFUSE)
MARKETING = (Purpose.CONTACT, Purpose.TELEMARKETING)


def test_1_one_acceptable_statement_hides_the_others() -> None:
    """APPEL permits everything; ours refuses the telemarketing."""
    text = policy(statement("current"), statement("telemarketing"))
    pattern = purpose("or-exact", "current", "admin")
    assert "request" == appel(pattern, "request", text)
    needed = rule(ALLOW, Purpose.CURRENT, Purpose.ADMIN)
    assert {ALLOW, REFUSE} == ours(text, needed, NO)


def test_2_the_same_said_in_two_statements_is_another_thing() -> None:
    """APPEL answers by how statements are cut; ours cannot."""
    whole = policy(statement("current", "contact"))
    split = policy(statement("current"), statement("contact"))
    pattern = purpose("and", "current", "contact")
    assert "block" == appel(pattern, "block", whole)
    assert "request" == appel(pattern, "block", split)
    no_contact = rule(REFUSE, Purpose.CONTACT)
    assert REFUSE in ours(whole, no_contact, YES)
    assert REFUSE in ours(split, no_contact, YES)


def test_3_and_is_the_default_where_people_mean_or() -> None:
    """APPEL blocks only who does both; ours who does either."""
    text = policy(statement("telemarketing"))
    pattern = (
        "<STATEMENT><PURPOSE><contact/><telemarketing/></PURPOSE></STATEMENT>"
    )
    assert "request" == appel(pattern, "block", text)
    assert {REFUSE} == ours(text, rule(REFUSE, *MARKETING), YES)


def test_4_who_asks_first_is_blocked_like_who_does_not() -> None:
    """APPEL sees no difference; ours says which choice it is about."""
    text = policy(statement('contact required="opt-in"'))
    assert "block" == appel(purpose("or", "contact"), "block", text)
    unasked = Rule(
        id="unasked",
        behavior=REFUSE,
        purposes=frozenset(MARKETING),
        required=frozenset({Required.ALWAYS, Required.OPT_OUT}),
    )
    assert {ALLOW} == ours(text, unasked, YES)
    always = policy(statement("contact"))
    assert {REFUSE} == ours(always, unasked, YES)


@pytest.mark.parametrize(
    ("said", "ruled"),
    [
        ("user.home-info", "user.home-info.postal"),
        ("user.home-info.postal", "user.home-info"),
    ],
)
def test_5_a_whole_and_its_part_are_strangers(said: str, ruled: str) -> None:
    """APPEL compares text; ours knows what lies in what."""
    data = '<DATA-GROUP><DATA ref="#{}"/></DATA-GROUP>'
    text = policy(statement("current", data=data.format(said)))
    pattern = f"<STATEMENT>{data.format(ruled)}</STATEMENT>"
    assert "request" == appel(pattern, "block", text)
    home = Rule(id="home", behavior=REFUSE, attributes=(ruled,))
    assert {REFUSE} == ours(text, home, YES)


def test_6_the_same_data_by_name_and_by_category() -> None:
    """APPEL on names misses what is declared by category alone."""
    by_name = '<DATA-GROUP><DATA ref="#user.home-info.online.email"/>'
    by_kind = '<DATA-GROUP><DATA ref="#dynamic.miscdata"><CATEGORIES>'
    by_kind += "<online/></CATEGORIES></DATA>"
    named = policy(statement("current", data=by_name + "</DATA-GROUP>"))
    kind = policy(statement("current", data=by_kind + "</DATA-GROUP>"))
    pattern = f"<STATEMENT>{by_name}</DATA-GROUP></STATEMENT>"
    assert "block" == appel(pattern, "block", named)
    assert "request" == appel(pattern, "block", kind)
    online = Rule(
        id="online",
        behavior=REFUSE,
        categories=frozenset({Category.ONLINE}),
    )
    assert {REFUSE} == ours(named, online, YES) == ours(kind, online, YES)


def test_7_not_in_some_statement_is_not_in_no_statement() -> None:
    """APPEL permits for one clean statement; ours looks at every flow."""
    text = policy(statement("current"), statement("telemarketing"))
    pattern = purpose("non-or", "telemarketing")
    assert "request" == appel(pattern, "request", text)
    calls = rule(REFUSE, Purpose.TELEMARKETING)
    assert REFUSE in ours(text, calls, YES)


def test_8_an_extension_breaks_an_exact_match() -> None:
    """Counted it would; an optional one is not, here and in ours."""
    said = statement("current").replace(
        "</PURPOSE>", '<EXTENSION optional="yes"><x/></EXTENSION></PURPOSE>'
    )
    pattern = purpose("and-exact", "current")
    assert "request" == appel(pattern, "request", policy(said))
    assert {ALLOW} == ours(policy(said), rule(ALLOW, Purpose.CURRENT), NO)
    mandatory = policy(said.replace('"yes"', '"no"'))
    assert "block" == appel(pattern, "request", mandatory)


def test_9_an_early_permission_hides_a_later_block() -> None:
    """APPEL stops at the first rule; ours decides flow by flow."""
    text = policy(statement("current", "telemarketing"))
    block = (
        '<appel:RULE behavior="block"><POLICY>'
        f"{purpose('or', 'telemarketing')}</POLICY></appel:RULE>"
    )
    pattern = purpose("or", "current")
    assert "request" == appel(pattern, "request", text, block)
    assert {REFUSE} == ours(
        text,
        rule(ALLOW, Purpose.CURRENT),
        rule(REFUSE, *MARKETING),
        YES,
    )


def test_10_what_is_left_out_escapes_every_rule() -> None:
    """APPEL finds no purpose to block; ours reads the widest."""
    text = policy("<STATEMENT><NON-IDENTIFIABLE/></STATEMENT>")
    pattern = purpose("or", "telemarketing", "other-purpose")
    assert "request" == appel(pattern, "block", text)
    other = rule(REFUSE, Purpose.TELEMARKETING, Purpose.OTHER)
    assert {REFUSE} == ours(text, other, YES)


def test_11_only_the_unacceptable_can_be_said() -> None:
    """To permit "only what is needed", APPEL needs a double negative."""
    clean = policy(statement("current"))
    mixed = policy(statement("current"), statement("develop"))
    unless = (
        "<STATEMENT><PURPOSE appel:connective='non-or'><current/></PURPOSE>"
        "</STATEMENT>"
    )
    assert "request" == appel(unless, "block", clean)
    assert "block" == appel(unless, "block", mixed)
    one = policy(statement("current", "develop"))
    assert "request" == appel(unless, "block", one), "the mixed one escapes"
    needed = rule(ALLOW, Purpose.CURRENT)
    assert {ALLOW} == ours(clean, needed, NO)
    assert REFUSE in ours(one, needed, NO)
