"""APPEL rule sets taken over as a person's own rules."""

import pytest

from consent import (
    Behavior,
    Category,
    PreferencesInvalid,
    Purpose,
    RecipientClass,
    Required,
    Rule,
    import_appel,
    lint,
    read_appel,
)

APPEL = "http://www.w3.org/2002/04/APPELv1"


def taken(
    body: str, behavior: str = "block", rest: str = ""
) -> tuple[tuple[Rule, ...], list[str]]:
    """Import one rule about statements; the rules and the codes."""
    text = (
        f'<appel:RULESET xmlns:appel="{APPEL}"><appel:RULE'
        f' behavior="{behavior}"><POLICY><STATEMENT>{body}</STATEMENT>'
        f"</POLICY></appel:RULE>{rest}</appel:RULESET>"
    )
    found = import_appel(read_appel(text.encode(), where="r"), where="r")
    assert [] == list(lint(found.preferences))
    return found.preferences.rules, [f.code for f in found.findings]


REQUEST = (
    '<appel:RULE behavior="request"><appel:OTHERWISE/></appel:RULE>'
    '<appel:RULE behavior="block"><appel:OTHERWISE/></appel:RULE>'
)


def test_a_rule_becomes_conditions_on_flows() -> None:
    """Purposes, recipients, elements; the last rule catches all."""
    rules, codes = taken(
        '<PURPOSE appel:connective="or"><contact/><telemarketing/></PURPOSE>'
        '<RECIPIENT appel:connective="or"><unrelated/></RECIPIENT>'
        '<DATA-GROUP><DATA ref="#user.home-info.*"/></DATA-GROUP>',
        rest=REQUEST,
    )
    assert ["never-tried"] == codes, "the rule behind the last one"
    assert (
        Rule(
            id="appel-1",
            behavior=Behavior.REFUSE,
            purposes=frozenset({Purpose.CONTACT, Purpose.TELEMARKETING}),
            recipients=frozenset({RecipientClass.UNRELATED}),
            attributes=("user.home-info",),
        ),
        Rule(id="appel-2", behavior=Behavior.ALLOW),
    ) == rules


def test_categories_choices_and_complements_are_taken_over() -> None:
    """``non-or`` is every other word; one choice for all is a choice."""
    (rule, _), _ = taken(
        '<PURPOSE appel:connective="non-or"><current/></PURPOSE>'
        '<RECIPIENT><same required="always"/></RECIPIENT>'
        "<DATA-GROUP><DATA><CATEGORIES><health/></CATEGORIES></DATA>"
        "</DATA-GROUP>",
        "limited",
    )
    assert set(Purpose) - {Purpose.CURRENT} == rule.purposes
    assert {Required.ALWAYS} == rule.required
    assert {Category.HEALTH} == rule.categories
    assert (Behavior.LIMIT, 1) == (rule.behavior, rule.level)


def test_both_in_a_block_becomes_either() -> None:
    """What APPEL's default connective says is not what people mean."""
    (rule, _), codes = taken("<PURPOSE><contact/><admin/></PURPOSE>")
    assert {Purpose.CONTACT, Purpose.ADMIN} == rule.purposes
    assert "widened" in codes


@pytest.mark.parametrize(
    "body",
    [
        '<PURPOSE appel:connective="non-and"><admin/></PURPOSE>',
        "<PURPOSE><mischief/></PURPOSE>",
        '<DATA-GROUP><DATA ref="#shop.basket"/></DATA-GROUP>',
        "<NON-IDENTIFIABLE/>",
        "<CONSEQUENCE>*</CONSEQUENCE>",
    ],
)
def test_what_cannot_be_said_protects(body: str) -> None:
    """A block then blocks everything; a permission permits nothing."""
    blocked, codes = taken(body, "block", REQUEST)
    assert blocked[0].catches_all
    assert Behavior.REFUSE is blocked[0].behavior
    assert "widened" in codes
    permitted, codes = taken(body, "request")
    assert [Behavior.REFUSE] == [rule.behavior for rule in permitted]
    assert "narrowed" in codes


def test_a_behavior_of_an_application_is_not_taken_over() -> None:
    """Nobody knows what it would do."""
    with pytest.raises(PreferencesInvalid, match="behavior"):
        taken("<PURPOSE><admin/></PURPOSE>", "dance")
