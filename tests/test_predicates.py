"""Predicates: a question about a value is answered, the value stays."""

from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from api.pages.i18n import Language
from api.pages.labels import load_labels
from consent import (
    Behavior,
    Declaration,
    DeclarationInvalid,
    EventType,
    P3PDocument,
    PredicateKind,
    Preferences,
    Rule,
    categories_of,
    example_of,
    label,
    load_yaml,
    match,
    policy_of,
    predicate_of,
    predicate_sources,
    read_p3p,
    render_notice,
    write_p3p,
)
from policy import (
    Effect,
    Form,
    Hypothesis,
    WithPredicates,
    standard_classification,
)
from policy.happenings import Happening, HappeningKind
from policy.predicates import answered, body_zone
from policy.recipients import PastDisclosure, holders
from policy.tables import DecisionRow
from tests.doors import at_the_door, body_about
from tests.worlds import (
    BIRTH,
    CITY,
    DECLARATION,
    STREET,
    World,
    build_world,
    person_values,
    publish,
)
from vault import NoteBox

ADULT = f"{BIRTH}.age_over_18"
OLD = f"{BIRTH}.age_over_67"
HERE = f"{CITY}.resident_in_testville"
THERE = f"{CITY}.resident_in_elsewhere"
BAND = "user.income.annual.income_band_10000"
NARROWER = (
    DECLARATION.replace("version: 1", "version: 2")
    .replace(
        "      - {attribute: user.bdate, optional: true}\n",
        f"      - {{attribute: {ADULT}, optional: true}}\n"
        f"      - {{attribute: {OLD}, optional: true}}\n",
    )
    .replace(
        f"      - {CITY}\n",
        f"      - {{attribute: {HERE}, optional: true}}\n"
        f"      - {{attribute: {THERE}, optional: true}}\n",
    )
)


def declared(*lines: str) -> Declaration:
    """A declaration of some elements, each on its own line."""
    head = DECLARATION[: DECLARATION.index("    data:\n")]
    data = "".join(f"      - {line}\n" for line in lines)
    return load_yaml(f"{head}    data:\n{data}".encode(), where="test")


def ask(name: str, value: str, at: str, zone: tzinfo = UTC) -> str | None:
    """Answer a predicate at an instant in ISO form."""
    found = predicate_of(name)
    assert found is not None
    now = int(datetime.fromisoformat(at).timestamp())
    return answered(found, value, now, zone)


@pytest.mark.parametrize(
    ("name", "source", "kind", "parameter"),
    [
        (ADULT, BIRTH, PredicateKind.AGE_OVER, "18"),
        (f"{BIRTH}.age_over_149", BIRTH, PredicateKind.AGE_OVER, "149"),
        (HERE, CITY, PredicateKind.RESIDENT_IN, "testville"),
        (BAND, "user.income.annual", PredicateKind.INCOME_BAND, "10000"),
    ],
)
def test_a_name_is_read(
    name: str, source: str, kind: PredicateKind, parameter: str
) -> None:
    """A predicate's name says source, kind and parameter."""
    found = predicate_of(name)
    assert found is not None
    assert (name, source, kind, parameter) == (
        found.name,
        found.source,
        found.kind,
        found.parameter,
    )
    assert categories_of(source) == categories_of(name)


@pytest.mark.parametrize(
    "name",
    [
        BIRTH,
        f"{BIRTH}.age_over_0",
        f"{BIRTH}.age_over_018",
        f"{BIRTH}.age_over_150",
        f"{BIRTH}.age_over_",
        f"{BIRTH}.age_over_18 ",
        f"{BIRTH}.age_over_１８",
        f"{BIRTH}.resident_in_dk",
        f"{CITY}.age_over_18",
        f"{CITY}.resident_in_Testville",
        f"{CITY}.resident_in_-a",
        "user.income.annual.income_band_1",
        "user.income.annual.income_band_999",
        "user.age.age_over_18",
        "age_over_18",
        f"{ADULT}.age_over_18",
        "",
    ],
)
def test_what_is_no_predicate_is_none(name: str) -> None:
    """Other spellings, sources and parameters are no predicate."""
    assert predicate_of(name) is None
    with pytest.raises(KeyError):
        WithPredicates({})[name]


@pytest.mark.parametrize(
    ("born", "at", "adult"),
    [
        ("2000-06-15", "2018-06-14T23:59:59+00:00", "false"),
        ("2000-06-15", "2018-06-15T00:00:00+00:00", "true"),
        ("2000-06-15", "2018-12-01T00:00:00+00:00", "true"),
        # Born on a leap day: completed on 1 March of a common year.
        ("2004-02-29", "2022-02-28T23:59:59+00:00", "false"),
        ("2004-02-29", "2022-03-01T00:00:00+00:00", "true"),
        # Eighteen years never end in a leap year; the day before counts.
        ("2002-03-01", "2020-02-29T12:00:00+00:00", "false"),
        ("2002-03-01", "2020-03-01T00:00:00+00:00", "true"),
        ("2018-01-01", "2018-01-01T00:00:00+00:00", "false"),
        ("2018-01-02", "2018-01-01T23:59:59+00:00", None),
        ("1880-01-01", "2018-01-01T00:00:00+00:00", "true"),
        ("nonsense", "2018-01-01T00:00:00+00:00", None),
        ("", "2018-01-01T00:00:00+00:00", None),
    ],
)
def test_years_are_completed(born: str, at: str, adult: str | None) -> None:
    """A year is completed on the day, and a value that is none has none."""
    assert adult == ask(ADULT, born, at)


def test_a_leap_day_is_met_in_a_leap_year() -> None:
    """Born on 29 February, twenty are completed on the same day."""
    name = f"{BIRTH}.age_over_20"
    assert "false" == ask(name, "2004-02-29", "2024-02-28T23:59:59+00:00")
    assert "true" == ask(name, "2004-02-29", "2024-02-29T00:00:00+00:00")


@pytest.mark.parametrize(
    ("zone", "adult"),
    [
        ("UTC", "false"),
        ("Asia/Shanghai", "true"),
        ("America/New_York", "false"),
    ],
)
def test_the_day_is_the_bodys(zone: str, adult: str) -> None:
    """At one instant it is another day elsewhere; the body's counts."""
    at = "2018-06-14T20:00:00+00:00"
    assert adult == ask(ADULT, "2000-06-15", at, body_zone(zone))


@pytest.mark.parametrize("name", ["", "Nowhere/Atall", "../../etc/passwd"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    """A time zone that the system does not know is no setting."""
    with pytest.raises(ValueError, match="time zone"):
        body_zone(name)


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        (HERE, "Testville", "true"),
        (HERE, "TESTVILLE", "true"),
        (HERE, "Testville North", "false"),
        (f"{CITY}.resident_in_saint-andre", "Saint  André", "true"),
        (f"{CITY}.resident_in_x", "北京X", None),
        (f"{CITY}.resident_in_x", "!", None),
        ("user.home-info.postal.country.resident_in_dk", "DK", "true"),
        ("user.home-info.postal.country.resident_in_dk", "DE", "false"),
        ("user.home-info.postal.postalcode.resident_in_12", "12345", "true"),
        ("user.home-info.postal.postalcode.resident_in_123", "12-345", "true"),
        ("user.home-info.postal.postalcode.resident_in_13", "12345", "false"),
        ("user.home-info.postal.stateprov.resident_in_ab", "Ab", "true"),
    ],
)
def test_a_place_is_compared_as_it_is_spelled(
    name: str, value: str, answer: str | None
) -> None:
    """Case, accents and punctuation do not count; other letters do."""
    assert answer == ask(name, value, "2018-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("value", "answer"),
    [
        ("0", "0-9999"),
        ("9999", "0-9999"),
        ("10000", "10000-19999"),
        ("123456789", "123450000-123459999"),
        ("-1", None),
        ("１２", None),
        ("much", None),
    ],
)
def test_income_lies_in_a_band(value: str, answer: str | None) -> None:
    """A band has both ends; what is no amount is in none."""
    assert answer == ask(BAND, value, "2018-01-01T00:00:00+00:00")


def test_every_source_is_classified_and_its_example_reads() -> None:
    """A predicate is as delicate as its source, and has one form alone."""
    ours = standard_classification()
    askable = WithPredicates(ours)
    assert list(ours) == list(askable)
    assert len(ours) == len(askable)
    for source in predicate_sources():
        name = example_of(source).replace("PLACE", "zz")
        found = askable[name]
        assert (ours[source].sensitivity, ours[source].role, 0) == (
            found.sensitivity,
            found.role,
            found.levels,
        )


@pytest.mark.parametrize("language", ["en", "zh-Hans"])
def test_every_predicate_has_words(language: str) -> None:
    """Notices and pages ask the question, and show no technical name."""
    for source in predicate_sources():
        name = example_of(source).replace("PLACE", "zz")
        text = label(name, language)
        assert "_" not in text
        shown = load_labels().attribute(name, Language(language))
        assert (text, language) == (shown.text, shown.language)


def test_a_declaration_asks_for_a_predicate() -> None:
    """YAML, P3P and the notice carry the predicate in place of the value."""
    made = declared(ADULT, f"{{attribute: {BAND}, optional: true}}")
    assert (ADULT, BAND) == made.statements[0].attributes
    assert "18 or older" in render_notice(made, "en").text
    written = write_p3p(
        P3PDocument(root="POLICY", policies=(policy_of(made),))
    )
    read = read_p3p(written, where="w")
    (again,) = read.declarations
    assert not [one for one in read.findings if one.code == "unknown-element"]
    assert (ADULT, BAND) == again.statements[0].attributes


@pytest.mark.parametrize(
    "names",
    [
        [f"{BIRTH}.age_over_{n}" for n in (18, 21, 65, 67)],
        [f"user.income.annual.income_band_{n}000" for n in (10, 11)],
        [f"{CITY}.resident_in_{letter}" for letter in "abcdef"],
    ],
)
def test_thresholds_cannot_be_put_together(names: list[str]) -> None:
    """A declaration with so many questions that they tell is refused."""
    declared(*names[:-1])
    with pytest.raises(DeclarationInvalid, match="together tell its value"):
        declared(*names)


def behaviors(rules: tuple[Rule, ...], *names: str) -> dict[str, Behavior]:
    """What rules say about declared elements."""
    found = match(Preferences(rules=rules), declared(*names))
    return {one.attribute: one.behavior for one in found}


def test_a_rule_about_the_source_is_about_its_predicates() -> None:
    """Who refuses the date refuses what is computed from it."""
    rules = (
        Rule(id="no", behavior=Behavior.REFUSE, attributes=(BIRTH,)),
        Rule(id="rest", behavior=Behavior.ALLOW),
    )
    assert {ADULT: Behavior.REFUSE, STREET: Behavior.ALLOW} == behaviors(
        rules, ADULT, STREET
    )


def test_a_predicate_can_be_allowed_alone() -> None:
    """A person may let the answer out and keep the value."""
    rules = (
        Rule(id="adult", behavior=Behavior.ALLOW, attributes=(ADULT,)),
        Rule(id="no", behavior=Behavior.REFUSE, attributes=(BIRTH,)),
        Rule(id="rest", behavior=Behavior.ALLOW),
    )
    assert {ADULT: Behavior.ALLOW, OLD: Behavior.REFUSE} == behaviors(
        rules, ADULT, OLD
    )
    assert {BIRTH: Behavior.REFUSE} == behaviors(rules, BIRTH)


def test_a_refused_predicate_refuses_the_value() -> None:
    """The value tells the answer, so it may not leave either."""
    rules = (
        Rule(id="no", behavior=Behavior.REFUSE, attributes=(ADULT,)),
        Rule(id="rest", behavior=Behavior.ALLOW),
    )
    assert {BIRTH: Behavior.REFUSE, OLD: Behavior.ALLOW} == behaviors(
        rules, BIRTH, OLD
    )


def test_an_end_is_told_as_the_service_knows_it() -> None:
    """Who had the predicate hears of it, not of a value it never had."""
    for got, told in (
        ({ADULT, STREET}, (ADULT,)),
        ({ADULT, BIRTH}, (BIRTH, ADULT)),
        ({BIRTH}, (BIRTH,)),
        ({STREET}, (BIRTH,)),
    ):
        happening = Happening(
            id=UUID(int=1),
            subject=UUID(int=2),
            kind=HappeningKind.NARROWED,
            at=2,
            service="asked",
            purpose="p",
            attributes=(BIRTH,),
        )
        past = PastDisclosure(
            decision=UUID(int=3),
            at=1,
            service="asked",
            purpose="p",
            attributes=frozenset(got),
        )
        (holder,) = holders(happening, [past])
        assert told == holder.attributes
        assert bool(holder.decisions) is (got != {STREET})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """The cast, of whom predicates are asked instead of what they agreed to.

    The version is narrower, so that everybody's answer stands.
    """
    with build_world(tmp_path / "home") as made:
        publish(made.platform, load_yaml(NARROWER.encode(), where="test"))
        yield made


def test_the_answer_leaves_and_the_value_stays(
    world: World, capfd: pytest.CaptureFixture[str]
) -> None:
    """Answer, entry, decision, log, page and outlook name the predicate."""
    platform, subject = world.platform, world.cast["consenting"]
    value = world.values["consenting"][BIRTH]
    with at_the_door(world) as door:
        found = door.ask(
            body_about(world, "consenting", ADULT, OLD, HERE, THERE)
        )
        told = found.json()["attributes"]
        assert {ADULT: "true", OLD: "false", HERE: "true", THERE: "false"} == {
            name: one["value"] for name, one in told.items()
        }
        assert {"release"} == {one["effect"] for one in told.values()}
        entry = platform.ledger.own_entries(
            platform.vault.log_key(platform.vault.holding(subject)), limit=1
        )[0]
        outlook = door.client.portal.call(  # type: ignore[union-attr] # it runs
            platform.what_if.outlook,
            world.caller("consenting"),
            subject,
            Hypothesis(),
        )
    assert (ADULT, OLD, HERE, THERE) == entry.attributes
    assert {ADULT, OLD, HERE, THERE} == set(entry.detail["attributes"])  # type: ignore[arg-type] # an object
    (mine,) = (one for one in outlook if one.service == "moving-house")
    assert Effect.RELEASE is mine.now[ADULT].effect
    assert BIRTH not in mine.now
    notes = NoteBox(
        platform.vault.log_key(platform.vault.holding(subject)),
        random=platform.random,
    )
    with platform.data.connect() as conn:
        rows = conn.execute(select(DecisionRow.__table__)).all()  # type: ignore[attr-defined] # a table
        kept = [notes.unseal(f"decision/{r.id}", r.sealed) for r in rows]
        (past,) = platform.replay._decisions.disclosures(conn, notes)
    assert {ADULT, OLD, HERE, THERE} == past.attributes
    out, err = capfd.readouterr()
    for text in (found.text, str(entry), *map(str, kept), out, err):
        assert value not in text
        assert "Testville" not in text


def test_whatever_depends_on_the_person_is_one_answer(world: World) -> None:
    """Absent, invalid, refused and unknown are the same, length included."""
    unborn = person_values(55) | {BIRTH: "2199-01-01"}
    subject = world.platform.registrar.admit_now(
        [unborn], source="register"
    ).subjects[0]
    world.values["unborn"] = unborn  # type: ignore[index] # a dict
    world.cast["unborn"] = subject  # type: ignore[index] # a dict
    given = world.event("unborn", EventType.GIVEN)
    world.platform.registrar.enter_forms_now(
        [Form(subject=subject, answers=(given,), preferences=None)]
    )
    answers = set()
    with at_the_door(world) as door:
        for name in (
            *("unborn", "valueless", "refusing", "withdrawn", "silent"),
            *("erased", "restricted", "nobody"),
        ):
            found = door.ask(body_about(world, name, ADULT))
            assert 200 == found.status_code
            told = found.json()
            answers.add(
                (
                    str(told["attributes"]),
                    str(told["guidance"]),
                    len(found.content),
                )
            )
    assert 1 == len(answers)
    assert "not_available" in str(answers)


def test_an_undeclared_predicate_is_the_services_own_fault(
    world: World,
) -> None:
    """Another threshold than the declared one is not answered."""
    name = f"{BIRTH}.age_over_55"
    with at_the_door(world) as door:
        told = door.ask(body_about(world, "consenting", name, BIRTH)).json()
        unknown = door.ask(body_about(world, "nobody", name)).json()
    for one in (
        told["attributes"][name],
        told["attributes"][BIRTH],
        unknown["attributes"][name],
    ):
        assert ("withhold", "not_declared") == (one["effect"], one["reason"])


def test_a_decision_about_a_predicate_replays(world: World) -> None:
    """The stored decision comes to the same answer, by its name."""
    platform = world.platform

    async def twice() -> tuple[str, ...]:
        request = world.request("consenting", ADULT)
        (judged,) = (await platform.judge.judge(request)).attributes
        assert (ADULT, Effect.RELEASE) == (judged.attribute, judged.effect)
        made = await platform.gate.disclose(request)
        again = await platform.replay.replay(
            platform.pdp, made.decision, world.cast["consenting"]
        )
        assert {ADULT} == set(again.stored)
        return again.differs

    assert () == world.run(twice())


def test_the_catalogue_says_what_can_be_asked(world: World) -> None:
    """Developers find each source with an example that reads."""
    with at_the_door(world) as door:
        found = door.client.get("/v1/catalogue").json()
    assert predicate_sources() == {
        one["of"]: one["kind"] for one in found["predicates"]
    }
    assert ADULT in {one["example"] for one in found["predicates"]}
