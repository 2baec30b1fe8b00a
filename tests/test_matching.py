"""Preferences against declarations, with the defects of APPEL as tests."""

from dataclasses import replace
from itertools import starmap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    NO_RULE,
    PRESETS,
    RECIPIENT_ORDER,
    RETENTION_ORDER,
    UNNAMED,
    Behavior,
    Category,
    DataItem,
    Declaration,
    LegalBasis,
    Preferences,
    PreferencesInvalid,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    Rule,
    Statement,
    StatementPurpose,
    Terms,
    Tuple,
    Verdict,
    at_most,
    beyond,
    explain,
    lint,
    match,
    preset_title,
    read_preferences,
)
from consent.elements import leaves
from consent.matching import RowDecision, decide

ATTRIBUTES = [
    "user.name.given",
    "user.bdate",
    "user.home-info",
    "user.home-info.postal",
    "user.home-info.postal.city",
    "user.health.note",
    "dynamic.miscdata",
]
ALLOW, LIMIT, REFUSE = Behavior


def statement(
    *attributes: str,
    purposes: tuple[Purpose, ...] = (Purpose.CURRENT,),
    required: Required = Required.ALWAYS,
    name: str = "s1",
) -> Statement:
    """Build a statement in which only what a test is about varies."""
    return Statement(
        id=name,
        purposes=tuple(
            StatementPurpose(purpose=purpose, required=required)
            for purpose in purposes
        ),
        recipients=(RecipientClass.OURS,),
        retention=Retention.STATED_PURPOSE,
        data=tuple(DataItem(attribute=name) for name in attributes),
    )


def declaration(*statements: Statement) -> Declaration:
    """Build a declaration of the given statements."""
    return Declaration(
        service="moving-house",
        purpose="address-change",
        version=1,
        title={"en": "Moving house"},
        purpose_text={"en": "To change your address."},
        statements=statements,
    )


def rules(*items: Rule) -> Preferences:
    """Build preferences of the given rules."""
    return Preferences(rules=items)


def rule(behavior: Behavior, **conditions: object) -> Rule:
    """Build a rule called after its behavior and its conditions."""
    name = "-".join([behavior.value, *conditions])
    return Rule(id=name, behavior=behavior, **conditions)  # type: ignore[arg-type] # conditions vary by test


YES = Rule(id="yes", behavior=ALLOW)
NO = Rule(id="no", behavior=REFUSE)


def by_attribute(
    preferences: Preferences, *statements: Statement
) -> dict[str, Behavior]:
    """Return the strictest behavior for each attribute."""
    found: dict[str, Behavior] = {}
    order = list(Behavior)
    for verdict in match(preferences, declaration(*statements)):
        before = found.get(verdict.attribute, ALLOW)
        found[verdict.attribute] = max(
            before, verdict.behavior, key=order.index
        )
    return found


# --- the property -------------------------------------------------------

data_items = st.builds(
    DataItem,
    attribute=st.sampled_from(ATTRIBUTES),
    optional=st.booleans(),
    categories=st.frozensets(st.sampled_from(Category), max_size=3),
)
statements = st.builds(
    Statement,
    id=st.just("s"),
    purposes=st.lists(
        st.builds(
            StatementPurpose,
            purpose=st.sampled_from(Purpose),
            required=st.sampled_from(Required),
        ),
        min_size=1,
        max_size=4,
        unique=True,
    ).map(tuple),
    recipients=st.lists(
        st.sampled_from(RecipientClass), min_size=1, max_size=3, unique=True
    ).map(tuple),
    retention=st.sampled_from(Retention),
    data=st.lists(
        data_items, max_size=4, unique_by=lambda item: item.attribute
    ).map(tuple),
    basis=st.sampled_from(LegalBasis),
    recipient_choices=st.dictionaries(
        st.sampled_from(RecipientClass), st.sampled_from(Required), max_size=2
    ),
)
conditions = {
    "attributes": st.lists(st.sampled_from(ATTRIBUTES), max_size=2).map(tuple),
    "categories": st.frozensets(st.sampled_from(Category), max_size=3),
    "purposes": st.frozensets(st.sampled_from(Purpose), max_size=3),
    "recipients": st.frozensets(st.sampled_from(RecipientClass), max_size=2),
    "retentions": st.frozensets(st.sampled_from(Retention), max_size=2),
    "services": st.frozensets(st.sampled_from(["moving-house", "tax"])),
    "required": st.frozensets(st.sampled_from(Required), max_size=2),
    "bases": st.frozensets(st.sampled_from(LegalBasis), max_size=2),
}


@st.composite
def preference_sets(draw: st.DrawFn) -> Preferences:
    """Draw rules with few conditions each, so that some of them hold."""
    drawn = []
    for number in range(draw(st.integers(0, 5))):
        behavior = draw(st.sampled_from(Behavior))
        names = draw(st.sets(st.sampled_from(sorted(conditions)), max_size=2))
        drawn.append(
            Rule(
                id=f"r{number}",
                behavior=behavior,
                level=draw(st.integers(1, 3)) if behavior is LIMIT else None,
                **{name: draw(conditions[name]) for name in names},
            )
        )
    return Preferences(rules=tuple(drawn))


@st.composite
def cuts(draw: st.DrawFn) -> tuple[Declaration, Declaration]:
    """Draw a declaration, and the same one cut and shuffled."""
    whole = draw(st.lists(statements, min_size=1, max_size=3))
    pieces = []
    for one in whole:
        way = draw(st.sampled_from(["data", "purposes", "recipients", "none"]))
        parts = getattr(one, way, ())
        if len(parts) < 2:
            pieces.append(one)
            continue
        at = draw(st.integers(1, len(parts) - 1))
        pieces += [
            replaced(one, way, parts[:at]),
            replaced(one, way, parts[at:]),
        ]
    pieces = draw(st.permutations(pieces))
    return (
        declaration(*named(whole)),
        declaration(*named(pieces)),
    )


def replaced(one: Statement, way: str, parts: object) -> Statement:
    """Return the statement with one of its factors replaced."""
    fields = {name: getattr(one, name) for name in one.__slots__}
    return Statement(**{**fields, way: parts})


def named(items: list[Statement]) -> list[Statement]:
    """Give each statement an id of its own."""
    return [replaced(one, "id", f"s{n}") for n, one in enumerate(items)]


def relation(
    preferences: Preferences, declared: Declaration
) -> frozenset[RowDecision]:
    """Return the decision of every row."""
    return frozenset(
        decide(preferences, row, declared.service) for row in declared.tuples()
    )


def strictest(verdicts: tuple[Verdict, ...]) -> dict[str, tuple[int, int]]:
    """Return the strictest behavior and level for each attribute."""
    order = list(Behavior)
    found: dict[str, tuple[int, int]] = {}
    for verdict in verdicts:
        rank = order.index(verdict.behavior), verdict.level or 0
        found[verdict.attribute] = max(
            found.get(verdict.attribute, rank), rank
        )
    return found


@given(preferences=preference_sets(), pair=cuts())
def test_matching_does_not_depend_on_how_statements_are_cut(
    preferences: Preferences, pair: tuple[Declaration, Declaration]
) -> None:
    """Splitting, merging and reordering statements changes no decision."""
    whole, cut = pair
    assert whole.tuples() == cut.tuples()
    assert relation(preferences, whole) == relation(preferences, cut)
    assert strictest(match(preferences, whole)) == strictest(
        match(preferences, cut)
    )


@given(preferences=preference_sets(), pair=cuts())
def test_a_naive_oracle_agrees(
    preferences: Preferences, pair: tuple[Declaration, Declaration]
) -> None:
    """Every leaf of every row, decided by a plain loop, gives the verdicts."""
    declared = pair[0]
    for verdict in match(preferences, declared):
        one = declared.statement(verdict.statement)
        assert one is not None
        rows = [r for r in one.tuples() if r.attribute == verdict.attribute]
        decisions = [
            oracle(preferences, row, leaf)
            for row in rows
            for leaf in leaves(row.attribute)
        ]
        expected = max(decisions)
        order = list(Behavior)
        assert expected == (
            order.index(verdict.behavior),
            verdict.level or 0,
        )


@given(preferences=preference_sets(), pair=cuts())
def test_all_rows_at_once_are_decided_as_each_row_is(
    preferences: Preferences, pair: tuple[Declaration, Declaration]
) -> None:
    """Rule, level and the row objected to are those of the strictest row."""
    for verdict in match(preferences, pair[0]):
        one = pair[0].statement(verdict.statement)
        assert one is not None
        [item] = [
            each
            for each in one.data or (DataItem(attribute=UNNAMED),)
            if each.attribute == verdict.attribute
        ]
        order = list(Behavior)
        decisive = max(
            (
                decide(preferences, row, "moving-house")
                for row in one.tuples_of(item)
            ),
            key=lambda each: (order.index(each.behavior), each.level or 0),
        )
        allowed = decisive.behavior is ALLOW
        assert (
            decisive.behavior,
            decisive.rule,
            decisive.level,
            None if allowed else decisive.row,
        ) == (verdict.behavior, verdict.rule, verdict.level, verdict.rejected)


@given(preferences=preference_sets(), pair=cuts())
def test_terms_are_those_of_every_rule_that_permitted(
    preferences: Preferences, pair: tuple[Declaration, Declaration]
) -> None:
    """Each rule that decided some leaf of some row brings its terms."""
    paused = Preferences(
        rules=tuple(
            each
            if each.behavior is REFUSE
            else replace(each, terms=Terms(paused=True))
            for each in preferences.rules
        )
    )
    for verdict in match(paused, pair[0]):
        one = pair[0].statement(verdict.statement)
        assert one is not None
        deciding = {
            each.id
            for row in one.tuples()
            if row.attribute == verdict.attribute
            for leaf in leaves(row.attribute)
            for each in paused.rules
            if each is first(paused, row, leaf)
        }
        expected = set() if verdict.behavior is REFUSE else deciding
        assert expected == {name for name, _ in verdict.terms}


def first(preferences: Preferences, row: Tuple, leaf: str) -> Rule | None:
    """Return the first rule that holds."""
    for each in preferences.rules:
        if each.holds(row, leaf, "moving-house"):
            return each
    return None


def oracle(preferences: Preferences, row: Tuple, leaf: str) -> tuple[int, int]:
    """Decide one leaf of one row, written a second time and otherwise."""
    for one in preferences.rules:
        wants = {
            "categories": row.category,
            "purposes": row.purpose,
            "recipients": row.recipient,
            "retentions": row.retention,
            "services": "moving-house",
            "required": row.required,
            "bases": row.basis,
        }
        if row.attribute == UNNAMED:
            del wants["categories"]
            if one.behavior is not REFUSE and (
                one.attributes or one.categories
            ):
                continue
        elif one.attributes and not any(
            (leaf + ".").startswith(name + ".") for name in one.attributes
        ):
            continue
        if all(
            not getattr(one, name) or has in getattr(one, name)
            for name, has in wants.items()
        ):
            return list(Behavior).index(one.behavior), one.level or 0
    return 2, 0


# --- the ten defects of APPEL ---------------------------------------------


def test_defect_1_one_good_statement_does_not_excuse_a_bad_one() -> None:
    """A rule that accepts admin does not accept telemarketing elsewhere."""
    found = by_attribute(
        rules(rule(ALLOW, purposes=frozenset({Purpose.ADMIN})), NO),
        statement("user.bdate", purposes=(Purpose.ADMIN,)),
        statement("user.bdate", purposes=(Purpose.TELEMARKETING,), name="s2"),
    )
    assert found == {"user.bdate": REFUSE}


def test_defect_2_two_statements_say_what_one_says() -> None:
    """Purposes together or apart are judged alike."""
    wanted = rules(rule(REFUSE, purposes=frozenset({Purpose.CONTACT})), YES)
    together = statement(
        "user.bdate", purposes=(Purpose.CURRENT, Purpose.CONTACT)
    )
    apart = (
        statement("user.bdate", purposes=(Purpose.CURRENT,)),
        statement("user.bdate", purposes=(Purpose.CONTACT,), name="s2"),
    )
    assert by_attribute(wanted, together) == by_attribute(wanted, *apart)


def test_defect_3_several_purposes_in_a_rule_mean_any_of_them() -> None:
    """A rule against contact and telemarketing meets either alone."""
    against = frozenset({Purpose.CONTACT, Purpose.TELEMARKETING})
    found = by_attribute(
        rules(rule(REFUSE, purposes=against), YES),
        statement("user.bdate", purposes=(Purpose.CONTACT,)),
    )
    assert found == {"user.bdate": REFUSE}


def test_defect_4_a_rule_can_spare_who_asks_first() -> None:
    """Refusing contact that is always done spares contact by opt-in."""
    wanted = rules(
        rule(
            REFUSE,
            purposes=frozenset({Purpose.CONTACT}),
            required=frozenset({Required.ALWAYS, Required.OPT_OUT}),
        ),
        YES,
    )
    for required, expected in (
        (Required.ALWAYS, REFUSE),
        (Required.OPT_OUT, REFUSE),
        (Required.OPT_IN, ALLOW),
    ):
        one = statement(
            "user.bdate", purposes=(Purpose.CONTACT,), required=required
        )
        assert {"user.bdate": expected} == by_attribute(wanted, one)


def test_defect_5_a_part_and_the_whole_meet() -> None:
    """A rule about the address meets all of home-info, and the reverse."""
    part = rules(rule(REFUSE, attributes=("user.home-info.postal",)), YES)
    whole = rules(rule(REFUSE, attributes=("user.home-info",)), YES)
    assert by_attribute(part, statement("user.home-info")) == {
        "user.home-info": REFUSE
    }
    assert by_attribute(whole, statement("user.home-info.postal")) == {
        "user.home-info.postal": REFUSE
    }


def test_defect_5_allowing_a_part_does_not_allow_the_whole() -> None:
    """Who allows the city has not allowed the street."""
    city = rules(rule(ALLOW, attributes=("user.home-info.postal.city",)), NO)
    assert by_attribute(city, statement("user.home-info.postal")) == {
        "user.home-info.postal": REFUSE
    }


def test_defect_6_a_category_and_a_reference_meet() -> None:
    """The email is online data, by its name or as miscellaneous data."""
    wanted = rules(rule(REFUSE, categories=frozenset({Category.ONLINE})), YES)
    item = DataItem(
        attribute="dynamic.miscdata", categories=frozenset({Category.ONLINE})
    )
    one = replaced(statement("user.home-info.online.email"), "data", (item,))
    assert by_attribute(wanted, one) == {"dynamic.miscdata": REFUSE}
    assert by_attribute(wanted, statement("user.home-info.online.email")) == {
        "user.home-info.online.email": REFUSE
    }


def test_defect_7_no_statement_may_means_no_statement() -> None:
    """An innocent statement does not hide the one with telemarketing."""
    wanted = rules(
        rule(REFUSE, purposes=frozenset({Purpose.TELEMARKETING})), YES
    )
    verdicts = match(
        wanted,
        declaration(
            statement("user.bdate"),
            statement(
                "user.bdate", purposes=(Purpose.TELEMARKETING,), name="s2"
            ),
        ),
    )
    assert [verdict.behavior for verdict in verdicts] == [ALLOW, REFUSE]


def test_defect_9_a_set_that_does_not_end_fails_closed_and_is_named() -> None:
    """Without a last rule for all, what no rule covers is refused."""
    wanted = rules(rule(ALLOW, attributes=("user.name",)))
    (verdict,) = match(wanted, declaration(statement("user.bdate")))
    assert (verdict.behavior, verdict.rule) == (REFUSE, NO_RULE)
    assert len(list(lint(wanted))) == 1
    assert "no rule catches all" in next(lint(wanted))


def test_defect_9_a_rule_that_is_never_tried_is_named() -> None:
    """What stands behind a rule for all is reported."""
    (fault,) = lint(rules(YES, NO))
    assert "rule no is never tried, because rule yes" in fault


def test_defect_10_unnamed_data_may_be_anything() -> None:
    """A refusal of a category meets it; a permission does not."""
    health = frozenset({Category.HEALTH})
    empty = statement()
    assert by_attribute(
        rules(rule(REFUSE, categories=health), YES), empty
    ) == {UNNAMED: REFUSE}
    assert by_attribute(rules(rule(ALLOW, categories=health), NO), empty) == {
        UNNAMED: REFUSE
    }
    assert by_attribute(rules(YES), empty) == {UNNAMED: ALLOW}


def test_data_without_a_category_counts_as_other() -> None:
    """What a service does not classify is treated as sensitive."""
    one = replaced(
        statement(), "data", (DataItem(attribute="dynamic.cookies"),)
    )
    wanted = rules(rule(REFUSE, categories=frozenset({Category.OTHER})), YES)
    assert by_attribute(wanted, one) == {"dynamic.cookies": REFUSE}


# --- the rest -----------------------------------------------------------


def test_at_most_and_beyond_part_the_order() -> None:
    """Every word is on exactly one side."""
    for order in (RECIPIENT_ORDER, RETENTION_ORDER):
        for word in order:
            sides = at_most(order, word), beyond(order, word)
            assert frozenset(order) == sides[0] | sides[1]
            assert not sides[0] & sides[1]
            assert word in sides[0]


def test_the_coarsest_limit_wins() -> None:
    """Two limited purposes give the coarser of their levels."""
    wanted = rules(
        rule(LIMIT, level=1, purposes=frozenset({Purpose.CURRENT})),
        Rule(id="coarse", behavior=LIMIT, level=3),
    )
    (verdict,) = match(
        wanted,
        declaration(
            statement("user.bdate", purposes=(Purpose.ADMIN, Purpose.CURRENT))
        ),
    )
    assert (
        verdict.behavior,
        verdict.level,
        verdict.rule,
    ) == (LIMIT, 3, "coarse")


@pytest.mark.parametrize(
    "wrong",
    [
        {"behavior": ALLOW, "level": 1},
        {"behavior": LIMIT},
        {"behavior": LIMIT, "level": 0},
        {"behavior": LIMIT, "level": True},
        {"behavior": ALLOW, "attributes": ("user.shoe-size",)},
    ],
    ids=str,
)
def test_a_rule_that_means_nothing_is_refused(
    wrong: dict[str, object],
) -> None:
    """Levels belong to limits, attributes to the schema."""
    with pytest.raises(PreferencesInvalid):
        Rule(id="r", **wrong)  # type: ignore[arg-type] # wrong on purpose


def test_two_rules_of_one_id_are_refused() -> None:
    """A verdict that names a rule names one rule."""
    with pytest.raises(PreferencesInvalid):
        rules(YES, YES)


@given(preference_sets())
def test_preferences_are_read_back_as_they_were(
    preferences: Preferences,
) -> None:
    """Text and back gives equal rules with an equal digest."""
    again = read_preferences(preferences.text())
    assert preferences == again
    assert preferences.digest == again.digest


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"rules":[]}', '{"rules":[{}]}', "[" * 100_000],
    ids=lambda text: text[:20],
)
def test_what_is_no_rule_set_is_refused(text: str) -> None:
    """Broken storage is an error of its own, and never an empty rule set."""
    with pytest.raises(PreferencesInvalid):
        read_preferences(text)


def test_not_a_space_may_be_added() -> None:
    """The stored text has one form."""
    with pytest.raises(PreferencesInvalid):
        read_preferences(PRESETS["careful"].text() + " ")


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_has_no_fault_and_a_title(name: str) -> None:
    """Each preset ends in a rule for all and is called something."""
    assert list(lint(PRESETS[name])) == []
    assert preset_title(name, "en") != preset_title(name, "zh-Hans")


PRESET_CASES = {
    # purpose, choice, attribute: only-needed, careful, contribute, each-time
    (Purpose.CURRENT, "always", "user.health.note"): "aaaa",
    (Purpose.DEVELOP, "always", "user.name.given"): "rlaa",
    (Purpose.DEVELOP, "always", "user.health.note"): "rrla",
    (Purpose.TELEMARKETING, "always", "user.name.given"): "rrra",
    (Purpose.CONTACT, "opt-in", "user.name.given"): "raaa",
    (Purpose.CONTACT, "opt-in", "user.income.annual"): "rraa",
}


@pytest.mark.parametrize(("case", "expected"), PRESET_CASES.items())
def test_presets_mean_what_they_are_called(
    case: tuple[Purpose, str, str], expected: str
) -> None:
    """A table of ordinary flows under each preset."""
    purpose, required, attribute = case
    one = statement(
        attribute, purposes=(purpose,), required=Required(required)
    )
    found = starmap(by_attribute, [(p, one) for p in PRESETS.values()])
    assert expected == "".join(b[attribute].value[0] for b in found)


def test_explanations_name_the_rule_and_the_flow() -> None:
    """Both languages name element, rule and what the rule objected to."""
    verdicts = match(
        PRESETS["careful"],
        declaration(
            statement("user.name.given"),
            statement("user.bdate", purposes=(Purpose.DEVELOP,), name="s2"),
            statement(
                "user.bdate", purposes=(Purpose.TELEMARKETING,), name="s3"
            ),
        ),
    )
    allowed, limited, refused = explain(verdicts, "en")
    assert allowed == "given name (s1): allowed by your rule “my-request”."
    assert limited == (
        "date of birth (s2): level 1 by rule “studies-see-less”, as it"
        " would be used to improve the service, passed to the body itself,"
        " and it is kept until the purpose is fulfilled."
    )
    assert refused == (
        "date of birth (s3): refused by your rule “otherwise-no”, as it would"
        " be used to telephone you with offers, passed to the body itself,"
        " and it is kept until the purpose is fulfilled."
    )
    allowed, _, refused = explain(verdicts, "zh-Hans")
    assert allowed == "名（s1）：您的规则“my-request”允许。"
    assert "以电话向您推介" in refused


def test_a_refusal_without_a_rule_is_explained_as_such() -> None:
    """No rule is named where none decided."""
    verdicts = match(rules(), declaration(statement("user.bdate")))
    (sentence,) = explain(verdicts, "en")
    assert "none of your rules" in sentence
    assert NO_RULE not in sentence
