"""P3P files as declarations: the corpus, and each reading on its own."""

import time
from pathlib import Path

import pytest

from consent import (
    PRESETS,
    UNNAMED,
    Behavior,
    Category,
    DeclarationInvalid,
    LegalBasis,
    P3PReading,
    Preferences,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    Rule,
    Statement,
    explain,
    load_p3p,
    match,
    read_p3p,
)
from consent.p3p_xml import Element, read_xml

CORPUS = Path(__file__).parents[1].parent / "shared/corpus/p3p/xml"
HEALTHCARE = "Conservatory__healthcare.gov-2013-10-01__w3c_p3p.xml"
NAMESPACE = "http://www.w3.org/2002/01/P3Pv1"


def corpus() -> list[Path]:
    """Return the files of the corpus, or skip."""
    if not CORPUS.is_dir():
        pytest.skip("the corpus beside the project is absent")
    return sorted(CORPUS.iterdir())


def count(element: Element, name: str) -> int:
    """Count the elements of a name in a tree."""
    return (element.name == name) + sum(
        count(child, name) for child in element.children
    )


@pytest.mark.corpus
def test_every_file_of_the_corpus_is_parsed() -> None:
    """26 META, 33 POLICIES, 9 POLICY; 45 policies, 107 statements."""
    roots = [read_xml(file.read_bytes(), where=file.name) for file in corpus()]
    names = [root.name for root in roots]
    assert [26, 33, 9] == [
        names.count(name) for name in ("META", "POLICIES", "POLICY")
    ]
    assert sum(count(root, "POLICY") for root in roots) == 45
    assert sum(count(root, "STATEMENT") for root in roots) == 107


@pytest.mark.corpus
def test_every_file_of_the_corpus_loads_or_says_why_not() -> None:
    """64 load; 4 hold a mandatory extension that nobody else knows."""
    loaded: list[P3PReading] = []
    refused: list[DeclarationInvalid] = []
    for file in corpus():
        try:
            loaded.append(
                read_p3p(
                    file.read_bytes(), where=file.name, include_tests=True
                )
            )
        except DeclarationInvalid as error:
            refused.append(error)
    assert (len(loaded), len(refused)) == (64, 4)
    assert {"a mandatory EXTENSION is not understood"} == {
        error.what for error in refused
    }
    assert all(error.line and error.column for error in refused)
    declared = [one for reading in loaded for one in reading.declarations]
    assert len(declared) == 41
    assert sum(len(one.statements) for one in declared) == 95
    for one in declared:
        for preferences in PRESETS.values():
            verdicts = match(preferences, one)
            assert len(explain(verdicts, "en")) == len(verdicts) > 0


@pytest.mark.corpus
def test_the_policy_of_healthcare_gov_loads_and_is_matched() -> None:
    """Its statement names no data: kept, noticed, and met by a rule."""
    corpus()
    reading = read_p3p((CORPUS / HEALTHCARE).read_bytes(), where=HEALTHCARE)
    (declared,) = reading.declarations
    assert declared.service == "www.healthcare.gov"
    assert declared.purpose == "forvistors"
    (statement,) = declared.statements
    assert statement.data == ()
    assert statement.retention is Retention.LEGAL_REQUIREMENT
    assert [(f.code, f.line) for f in reading.findings] == [
        ("no-opturi", 3),
        ("no-data", 27),
    ]
    rules = Preferences(
        rules=(
            Rule(
                id="no-profiles",
                behavior=Behavior.REFUSE,
                purposes=frozenset({Purpose.INDIVIDUAL_ANALYSIS}),
            ),
            Rule(id="yes", behavior=Behavior.ALLOW),
        )
    )
    (verdict,) = match(rules, declared)
    assert (verdict.attribute, verdict.behavior, verdict.rule) == (
        UNNAMED,
        Behavior.REFUSE,
        "no-profiles",
    )
    (sentence,) = explain([verdict], "en")
    assert sentence == (
        "data that the service does not name (s1): refused by your rule"
        " “no-profiles”, as it would be used to study you as an identified"
        " person, passed to the body itself, and it is kept for as long as"
        " the law requires."
    )


# --- one reading at a time --------------------------------------------------


def read(
    body: str, *, before: str = "", root: str = NAMESPACE
) -> tuple[Statement, list[str]]:
    """Read a policy of one statement; return it and the findings' codes."""
    text = (
        f'<POLICY xmlns="{root}" name="P" discuri="https://a.example/p"'
        f' opturi="https://a.example/o">{before}{WHO}'
        f"<STATEMENT>{body}</STATEMENT></POLICY>"
    )
    reading = read_p3p(text.encode(), where="p.xml")
    return reading.declarations[0].statements[0], [
        finding.code for finding in reading.findings
    ]


WHO = (
    '<ENTITY><DATA-GROUP><DATA ref="#business.name">Shop</DATA>'
    '<DATA ref="#business.contact-info.online.uri">shop.example</DATA>'
    "</DATA-GROUP></ENTITY><ACCESS><all/></ACCESS>"
)
FULL = (
    "<PURPOSE><current/></PURPOSE><RECIPIENT><ours/></RECIPIENT>"
    "<RETENTION><stated-purpose/></RETENTION>"
    '<DATA-GROUP><DATA ref="#user.bdate"/></DATA-GROUP>'
)


def data(*lines: str) -> str:
    """Return a complete statement with these DATA elements."""
    return FULL.replace('<DATA ref="#user.bdate"/>', "".join(lines))


def test_a_complete_statement_has_no_findings() -> None:
    """What is said plainly is read plainly, and must be asked."""
    statement, codes = read(
        "<CONSEQUENCE>  So that\n it works. </CONSEQUENCE>" + FULL
    )
    assert codes == []
    assert statement.basis is LegalBasis.CONSENT
    assert statement.consequence == {"en": "So that it works."}
    assert statement.attributes == ("user.bdate",)
    assert statement.data[0].categories == {Category.DEMOGRAPHIC}


def test_what_is_left_out_is_read_as_the_widest() -> None:
    """An empty statement is about anything, for anything, for ever."""
    statement, codes = read("<NON-IDENTIFIABLE/>")
    assert statement.non_identifiable
    assert statement.purposes[0].purpose is Purpose.OTHER
    assert statement.recipients == (RecipientClass.PUBLIC,)
    assert statement.retention is Retention.INDEFINITELY
    assert statement.data == ()
    assert codes == ["unsaid"] * 4
    _, codes = read("")
    assert sorted(codes) == [
        "no-data",
        "no-purpose",
        "no-recipient",
        "no-retention-said",
    ]


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("<current/>", "<customization/>", "draft-word"),
        ("<current/>", "<mischief/>", "unknown-word"),
        ("<current/>", '<current required="opt-in"/>', "no-choice"),
        ("<current/>", '<admin required="maybe"/>', "unknown-word"),
        ("<ours/>", '<ours required="opt-in"/>', "no-choice"),
        ("<ours/>", "<friends/>", "unknown-word"),
        ("<stated-purpose/>", "<for-ages/>", "unknown-word"),
        ("<stated-purpose/>", "<no-retention/><indefinitely/>",
         "several-retentions"),
        ('"#user.bdate"', '"#user.bdate" optional="1"', "unknown-word"),
        ('"#user.bdate"', '"http://x.example/s#user.bdate"',
         "foreign-schema"),
        ('"#user.bdate"', '"#"', "no-reference"),
        ('"#user.bdate"', '"#user.shoe-size"', "unknown-element"),
        ('"#user.bdate"', '"#shop.basket"', "unknown-element"),
        ('"#user.bdate"', '"#dynamic.cookies"', "no-categories"),
    ],
)  # fmt: skip
def test_each_oddity_is_a_finding(old: str, new: str, code: str) -> None:
    """Nothing odd is read in silence."""
    assert old in FULL
    _, codes = read(FULL.replace(old, new))
    assert code in codes


def test_unknown_words_are_read_as_the_widest() -> None:
    """A word that nobody knows can only widen."""
    statement, _ = read(
        "<PURPOSE><mischief/></PURPOSE><RECIPIENT><friends/></RECIPIENT>"
        "<RETENTION><for-ages/></RETENTION>"
    )
    assert statement.purposes[0].purpose is Purpose.OTHER
    assert statement.recipients == (RecipientClass.PUBLIC,)
    assert statement.retention is Retention.INDEFINITELY


def test_where_one_purpose_is_said_twice_the_least_choice_wins() -> None:
    """Always beats opt-out, opt-out beats opt-in."""
    statement, _ = read(
        FULL.replace(
            "<current/>",
            '<contact required="opt-in"/><contact required="opt-out"/>'
            '<admin/><admin required="opt-in"/>',
        )
    )
    assert [(u.purpose, u.required) for u in statement.purposes] == [
        (Purpose.CONTACT, Required.OPT_OUT),
        (Purpose.ADMIN, Required.ALWAYS),
    ]


def test_a_choice_about_a_recipient_is_kept() -> None:
    """It becomes the choice of every flow to that recipient."""
    statement, codes = read(
        FULL.replace("<ours/>", '<ours/><same required="opt-out"/>')
    )
    assert codes == []
    assert statement.recipient_choices == {
        RecipientClass.SAME: Required.OPT_OUT
    }


def test_data_said_twice_is_one_element() -> None:
    """Categories add up, and it is optional only if it always is."""
    statement, codes = read(
        data(
            '<DATA ref="#dynamic.miscdata" optional="yes"><CATEGORIES>'
            "<online/></CATEGORIES></DATA>",
            '<DATA ref="http://www.w3.org/TR/P3P/base#dynamic.miscdata">'
            "<CATEGORIES><content/><x/></CATEGORIES></DATA>",
        )
    )
    (item,) = statement.data
    assert item.attribute == "dynamic.miscdata"
    assert not item.optional
    assert item.categories == {
        Category.ONLINE,
        Category.CONTENT,
        Category.OTHER,
    }
    assert codes == ["both-optional", "unknown-word"]


def test_categories_of_fixed_elements_stay_as_they_are() -> None:
    """A file cannot make a birth date a mere preference."""
    statement, codes = read(
        data(
            '<DATA ref="#user.bdate"><CATEGORIES><preference/>'
            "</CATEGORIES></DATA>"
        )
    )
    assert statement.data[0].categories == {Category.DEMOGRAPHIC}
    assert codes == ["fixed-categories"]


def test_an_unknown_part_is_as_sensitive_as_what_it_is_part_of() -> None:
    """A suite is part of a postal address, if nobody says more."""
    statement, codes = read(
        data('<DATA ref="#user.business-info.postal.suite"/>')
    )
    assert Category.PHYSICAL in statement.data[0].categories
    assert "unknown-element" in codes


def test_a_file_may_define_its_own_elements() -> None:
    """Categories come from its DATASCHEMA; an odd one is another."""
    schema = (
        '<DATASCHEMA><DATA-DEF name="shop.basket"><CATEGORIES><purchase/>'
        '<x/></CATEGORIES></DATA-DEF><DATA-DEF name="shop.mood"/>'
        "</DATASCHEMA>"
    )
    statement, codes = read(
        data('<DATA ref="#shop.basket"/>', '<DATA ref="#shop.mood"/>'),
        before=schema,
    )
    assert [item.categories for item in statement.data] == [
        {Category.PURCHASE, Category.OTHER},
        frozenset(),
    ]
    assert codes == ["unknown-word", "no-categories"]


def test_contradictions_within_a_statement_are_findings() -> None:
    """Anonymous yet identified; not retained yet archived."""
    body = FULL.replace("<current/>", "<historical/>")
    body = body.replace("<stated-purpose/>", "<no-retention/>")
    body = body.replace("user.bdate", "user.name")
    _, codes = read("<NON-IDENTIFIABLE/>" + body)
    assert codes == ["kept-and-not-kept", "identifiable"]


@pytest.mark.parametrize(
    ("namespace", "code"),
    [
        ("", "old-namespace"),
        ("http://www.w3.org/2000/12/P3Pv1", "old-namespace"),
        ("http://www.w3.org/2001/09/P3Pv1", "old-namespace"),
        ("http://www.w3.org/2006/01/P3Pv11", "p3p-1.1"),
    ],
)
def test_other_namespaces_are_read_with_a_finding(
    namespace: str, code: str
) -> None:
    """The drafts, the successor and none at all are tolerated."""
    _, codes = read(FULL, root=namespace)
    assert codes == [code]


def test_a_file_of_another_kind_is_refused() -> None:
    """An unknown namespace or element is no P3P file."""
    for text in (b"<html/>", b'<POLICY xmlns="http://x.example/"/>'):
        with pytest.raises(DeclarationInvalid) as caught:
            load_p3p(text, where="x.xml")
        assert "the file begins with" in caught.value.what


def test_a_policy_without_a_statement_is_refused() -> None:
    """There is nothing that it could declare."""
    with pytest.raises(DeclarationInvalid) as caught:
        load_p3p(b"<POLICIES>\n <POLICY/></POLICIES>", where="x.xml")
    assert (caught.value.line, caught.value.column) == (2, 2)


@pytest.mark.parametrize("inside", ["", "<PURPOSE>{}</PURPOSE>"])
def test_a_mandatory_extension_is_refused_wherever_it_stands(
    inside: str,
) -> None:
    """Who does not understand it has not understood the policy."""
    extension = '<EXTENSION optional="no"><x/></EXTENSION>'
    body = (inside or "{}").format(extension)
    with pytest.raises(DeclarationInvalid) as caught:
        read(body)
    assert "mandatory EXTENSION" in caught.value.what
    read(FULL + body.replace('"no"', '"yes"'))


def test_a_test_policy_is_left_out_unless_asked_for() -> None:
    """Nobody acts on a policy that is marked TEST."""
    text = (
        f'<POLICY xmlns="{NAMESPACE}" name="P"><TEST/>'
        f"<STATEMENT>{FULL}</STATEMENT></POLICY>"
    ).encode()
    reading = read_p3p(text, where="x.xml")
    assert reading.declarations == ()
    assert "test" in {f.code for f in reading.findings}
    kept = read_p3p(text, where="x.xml", include_tests=True)
    assert len(kept.declarations) == 1


def test_policies_stand_in_line_and_have_names_of_their_own() -> None:
    """A META may hold policies; equal names are told apart."""
    policy = (
        '<POLICY{} discuri="{}"><ENTITY><DATA-GROUP>'
        '<DATA ref="#business.name">Shop</DATA>'
        '<DATA ref="#business.contact-info.postal.street">1 Lane</DATA>'
        '<DATA ref="#business.contact-info.postal.city">Town</DATA>'
        '<DATA ref="#business.contact-info.online.uri">shop.example</DATA>'
        "</DATA-GROUP></ENTITY><STATEMENT>" + FULL + "</STATEMENT></POLICY>"
    )
    text = (
        f'<META xmlns="{NAMESPACE}"><POLICY-REFERENCES/>'
        '<POLICIES xml:lang="de">'
        + policy.format(' name="The Shop!"', "https://shop.example/p")
        + policy.format(' name="the shop"', "http://[broken")
        + policy.format("", "")
        + "</POLICIES></META>"
    )
    reading = read_p3p(text.encode(), where="x.xml")
    assert reading.root == "META"
    assert [(d.service, d.purpose) for d in reading.declarations] == [
        ("shop.example", "the-shop"),
        ("imported", "the-shop-2"),
        ("imported", "policy"),
    ]
    first = reading.declarations[0]
    assert first.title == {"de": "The Shop!"}
    assert first.controller.name == "Shop"
    assert first.controller.address == "1 Lane, Town"
    assert first.controller.contact == "shop.example"
    assert "no-name" in {f.code for f in reading.findings}
    named = read_p3p(text.encode(), where="x.xml", service="shop")
    assert {d.service for d in named.declarations} == {"shop"}


# --- strictly, by the letter ------------------------------------------------

BROKEN = [
    ("<TEST/>", "<TEST/><TEST/>", "repeated-part"),
    ("<TEST/>", "<TEST>yes</TEST>", "stray-text"),
    ("<TEST/>", "<MOON/>", "unknown-part"),
    ("<TEST/>", "<STATEMENT/><TEST/>", "out-of-order"),
    ("<TEST/>", "<DISPUTES-GROUP/>", "missing-part"),
    (' name="P"', "", "no-name"),
    (' discuri="https://a.example/p"', "", "no-discuri"),
    (' name="P"', ' name="P" moon="1"', "unknown-attribute"),
    ("<all/>", "", "no-access"),
    ("<all/>", "<all/><none/>", "several-accesses"),
    ("<all/>", "<some/>", "unknown-word"),
    ("Shop</DATA>", "</DATA>", "entity-unnamed"),
    ("shop.example</DATA>", "</DATA>", "entity-unreachable"),
    ("#business.name", "#user.name", "entity-foreign"),
    (WHO, "<ACCESS><all/></ACCESS>", "no-entity"),
    ("<current/>", "<other-purpose/>", "no-text"),
    (
        "<TEST/>",
        (
            '<DISPUTES-GROUP><DISPUTES resolution-type="duel" service="/"/>'
            "</DISPUTES-GROUP>"
        ),
        "unknown-word",
    ),
    (
        "<TEST/>",
        '<DISPUTES-GROUP><DISPUTES resolution-type="law"/></DISPUTES-GROUP>',
        "missing-attribute",
    ),
    (
        "<TEST/>",
        (
            '<DISPUTES-GROUP><DISPUTES resolution-type="law" service="/"'
            f' short-description="{"x" * 256}"/></DISPUTES-GROUP>'
        ),
        "too-long",
    ),
    (
        "<TEST/>",
        (
            '<DISPUTES-GROUP><DISPUTES resolution-type="law" service="/">'
            "<REMEDIES/></DISPUTES></DISPUTES-GROUP>"
        ),
        "no-remedy",
    ),
]
WHOLE = (
    f'<POLICY xmlns="{NAMESPACE}" name="P" discuri="https://a.example/p">'
    f"<TEST/>{WHO}<STATEMENT>{FULL}</STATEMENT></POLICY>"
)


@pytest.mark.parametrize(("old", "new", "code"), BROKEN)
def test_a_strict_reader_stops_at_a_breach(
    old: str, new: str, code: str
) -> None:
    """By its name, line and column; a lenient one lists it."""
    assert old in WHOLE
    text = WHOLE.replace(old, new).encode()
    assert code in {f.code for f in read_p3p(text, where="p").findings}
    with pytest.raises(DeclarationInvalid) as caught:
        read_p3p(text, where="p", strict=True)
    assert caught.value.line >= 1
    assert caught.value.column >= 1
    assert caught.value.code in {
        f.code for f in read_p3p(text, where="p").findings
    }


def test_a_correct_file_is_read_strictly() -> None:
    """Notes and warnings do not stop a strict reader."""
    reading = read_p3p(WHOLE.encode(), where="p", strict=True)
    assert ["test"] == [f.code for f in reading.findings]


def test_extensions_of_p3p_1_1_are_understood_even_if_mandatory() -> None:
    """Primary purposes, groups and jurisdictions; no other word."""
    eleven = "http://www.w3.org/2006/01/P3Pv11"
    extension = '<EXTENSION optional="no">{}</EXTENSION>'
    inside = extension.format(
        f'<PPURPOSE xmlns="{eleven}"><government/></PPURPOSE>'
    )
    body = FULL.replace("</PURPOSE>", inside + "</PURPOSE>")
    body = body.replace(
        "</RECIPIENT>",
        extension.format(f'<JURISDICTION xmlns="{eleven}" service="/x"/>')
        + "</RECIPIENT>",
    )
    body += extension.format(
        f'<STATEMENT-GROUP xmlns="{eleven}" name="Contact"/>'
    )
    text = WHOLE.replace(FULL, body).replace("<TEST/>", "")
    reading = read_p3p(text.encode(), where="p", strict=True)
    (said,) = reading.document.policies[0].statements
    assert ("government",) == said.primary
    assert "Contact" == said.group
    assert "JURISDICTION" == said.jurisdictions[0].name
    odd = text.replace("<government/>", "<moon/>").encode()
    with pytest.raises(DeclarationInvalid, match="mandatory EXTENSION"):
        read_p3p(odd, where="p")


def test_data_may_be_spelled_as_elements() -> None:
    """P3P 1.1 writes a reference as the path of its names."""
    statement, codes = read(
        FULL.replace(
            '<DATA ref="#user.bdate"/>',
            "<datatype><user><home-info><online><email/></online>"
            "<postal/></home-info></user></datatype>"
            "<dynamic><cookies><CATEGORIES><state/></CATEGORIES></cookies>"
            "</dynamic>",
        )
    )
    assert statement.attributes == (
        "user.home-info.online.email",
        "user.home-info.postal",
        "dynamic.cookies",
    )
    assert {"p3p-1.1"} == set(codes)


def test_thousands_of_policies_are_read_in_time() -> None:
    """Equal names are told apart without counting each time from one."""
    start = time.process_time()
    text = "<POLICIES>" + "<POLICY><STATEMENT/></POLICY>" * 5000
    reading = read_p3p((text + "</POLICIES>").encode(), where="p")
    assert "policy-5000" == reading.declarations[-1].purpose
    assert time.process_time() - start < 40
