"""P3P XML, written and read again: it says the same."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consent import (
    Declaration,
    P3PDocument,
    P3PPolicy,
    P3PStatement,
    PolicyReference,
    ReferenceFile,
    Statement,
    StatementPurpose,
    load_yaml,
    policy_of,
    read_p3p,
    read_p3p_document,
    write_p3p,
)
from consent.dataschema import DataSchema, Definition
from consent.elements import categories_of, schema
from consent.expiry import Expiry
from consent.p3p_extensions import PRIMARY_PURPOSES
from consent.p3p_model import (
    DataTerm,
    Dispute,
    Extension,
    Image,
    Markup,
    PurposeTerm,
    RecipientTerm,
)
from consent.policy_reference import CookiePattern, Hint
from consent.statements import DataItem
from consent.vocabulary import (
    Access,
    Category,
    Purpose,
    RecipientClass,
    Required,
    Retention,
)

DEMO = Path(__file__).parents[1] / "api/demo/declarations"
word = st.from_regex(r"[a-z]{1,8}", fullmatch=True)
text = st.text(
    st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1
)
BASE_NAMES = sorted(
    name
    for name in schema()
    if name.startswith(("thirdparty.", "business.", "dynamic."))
)


purposes = st.builds(
    lambda word, required, said: PurposeTerm(
        purpose=word,
        required=Required.ALWAYS if word is Purpose.CURRENT else required,
        text=said if word is Purpose.OTHER else "",
    ),
    st.sampled_from(Purpose),
    st.sampled_from(Required),
    text,
)
recipients = st.builds(
    lambda word, required, said: RecipientTerm(
        recipient=word,
        required=Required.ALWAYS if word is RecipientClass.OURS else required,
        descriptions=tuple(said),
    ),
    st.sampled_from(RecipientClass),
    st.sampled_from(Required),
    st.lists(text, max_size=2),
)
terms = st.one_of(
    st.builds(
        lambda name, optional, said: DataTerm(
            attribute=name,
            optional=optional,
            categories=categories_of(name) or said,
        ),
        st.sampled_from(BASE_NAMES),
        st.booleans(),
        st.frozensets(st.sampled_from(Category), min_size=1),
    ),
    st.builds(
        lambda optional: DataTerm(
            attribute="shop.basket",
            optional=optional,
            categories=frozenset({Category.PURCHASE}),
            local=True,
        ),
        st.booleans(),
    ),
)
unknown = Markup(
    name="GROUP-INFO",
    namespace="http://x.example/",
    attributes=(("name", 'a "b" <c>'),),
    children=(Markup(name="x", namespace="http://y.example/", text="&"),),
)
statements = st.builds(
    P3PStatement,
    consequence=text | st.just(""),
    non_identifiable=st.booleans(),
    purposes=st.lists(purposes, unique_by=lambda t: t.purpose).map(tuple),
    recipients=st.lists(recipients, unique_by=lambda t: t.recipient).map(
        tuple
    ),
    retentions=st.lists(st.sampled_from(Retention), max_size=1).map(tuple),
    data=st.lists(terms, max_size=4, unique_by=lambda t: t.attribute).map(
        tuple
    ),
    primary=st.lists(
        st.sampled_from(sorted(PRIMARY_PURPOSES)), max_size=2, unique=True
    ).map(tuple),
    group=word | st.just(""),
    extensions=st.sampled_from(
        [(), (Extension(place="STATEMENT", content=(unknown,)),)]
    ),
)
disputes = st.builds(
    Dispute,
    resolution=st.sampled_from(["service", "independent", "court", "law"]),
    service=text,
    verification=text | st.just(""),
    short=text,
    long=text | st.just(""),
    image=st.none() | st.builds(Image, src=text, alt=text),
    remedies=st.lists(
        st.sampled_from(["correct", "money", "law"]), unique=True
    ).map(tuple),
)
expiries = st.one_of(
    st.builds(Expiry, max_age=st.integers(0, 10**9)),
    st.builds(Expiry, date=st.integers(0, 4 * 10**9)),
)
policies = st.builds(
    P3PPolicy,
    name=word,
    discuri=text,
    opturi=text,
    language=st.sampled_from(["", "en", "zh-Hans"]),
    test=st.booleans(),
    expiry=st.none() | expiries,
    entity=st.just((("business.name", "Shop & <Co>"),)),
    access=st.none() | st.sampled_from(Access),
    disputes=st.lists(disputes, max_size=2).map(tuple),
    statements=st.lists(statements, min_size=1, max_size=3).map(tuple),
    schema=st.just(
        DataSchema(
            elements=(
                Definition(
                    name="shop.basket",
                    categories=frozenset({Category.PURCHASE}),
                    text="Basket",
                ),
            ),
            structures=(Definition(name="s.a", structure="#t"),),
        )
    ),
)
references = st.builds(
    ReferenceFile,
    expiry=expiries,
    references=st.lists(
        st.builds(
            PolicyReference,
            about=text,
            includes=st.lists(text, max_size=2).map(tuple),
            excludes=st.lists(text, max_size=2).map(tuple),
            cookie_includes=st.lists(
                st.builds(CookiePattern, name=text, domain=text), max_size=2
            ).map(tuple),
            methods=st.lists(st.sampled_from(["GET", "POST"])).map(tuple),
        ),
        max_size=2,
    ).map(tuple),
    hints=st.lists(st.builds(Hint, scope=text, path=text), max_size=1).map(
        tuple
    ),
)


@settings(max_examples=60)
@given(st.lists(policies, max_size=2), st.none() | references)
def test_what_is_written_is_read_again(
    found: list[P3PPolicy], listed: ReferenceFile | None
) -> None:
    """Every policy and every reference, word for word, and it is stable."""
    document = P3PDocument(
        root="POLICIES" if listed is None else "META",
        policies=tuple(found),
        references=listed,
    )
    written = write_p3p(document)
    back, _ = read_p3p_document(written, where="w")
    assert document.policies == back.policies
    assert document.references == back.references
    assert written == write_p3p(back)


@pytest.mark.corpus
def test_every_file_of_the_corpus_survives_the_round_trip(
    corpus: Path,
) -> None:
    """Model, relation and findings' absence: the same after writing."""
    for file in sorted((corpus / "p3p/xml").iterdir()):
        first, _ = read_p3p_document(file.read_bytes(), where=file.name)
        again, _ = read_p3p_document(write_p3p(first), where=file.name)
        assert first.policies == again.policies
        assert first.references == again.references


uses = st.builds(
    lambda word, required: StatementPurpose(
        purpose=word,
        required=Required.ALWAYS if word is Purpose.CURRENT else required,
    ),
    st.sampled_from(Purpose),
    st.sampled_from(Required),
)
declared = st.lists(
    st.builds(
        Statement,
        id=word,
        purposes=st.lists(
            uses, min_size=1, max_size=3, unique_by=lambda u: u.purpose
        ).map(tuple),
        recipients=st.lists(
            st.sampled_from(RecipientClass), min_size=1, unique=True
        ).map(tuple),
        retention=st.sampled_from(Retention),
        data=st.lists(
            st.builds(
                DataItem,
                attribute=st.sampled_from(sorted(schema())),
                optional=st.booleans(),
                categories=st.frozensets(
                    st.sampled_from(Category), min_size=1
                ),
            ),
            max_size=3,
            unique_by=lambda item: item.attribute,
        ).map(tuple),
        consequence=st.dictionaries(st.just("en"), text),
    ),
    min_size=1,
    max_size=3,
    unique_by=lambda statement: statement.id,
)


@settings(max_examples=60)
@given(declared)
def test_a_declaration_written_as_p3p_has_the_same_relation(
    said: list[Statement],
) -> None:
    """Our own elements included, because the file defines them."""
    declaration = Declaration(
        service="s",
        purpose="p",
        version=1,
        title={},
        purpose_text={},
        statements=tuple(said),
    )
    written = write_p3p(
        P3PDocument(root="POLICY", policies=(policy_of(declaration),))
    )
    (back,) = read_p3p(written, where="w").declarations
    assert declaration.tuples() == back.tuples()


def test_the_declarations_of_the_demonstration_are_p3p() -> None:
    """Nothing but their address, access and a choice's is missing."""
    for file in sorted(DEMO.glob("*.yaml")):
        said = load_yaml(file.read_bytes(), where=file.name)
        text = write_p3p(
            P3PDocument(root="POLICIES", policies=(policy_of(said),))
        )
        reading = read_p3p(text, where=file.name)
        (back,) = reading.declarations

        def flows(one: Declaration) -> set[tuple[object, ...]]:
            return {
                (r.attribute, r.purpose, r.recipient, r.retention, r.required)
                for r in one.tuples()
            }

        assert flows(said) == flows(back)
        assert {f.code for f in reading.findings} <= {
            "no-discuri",
            "no-access",
            "no-opturi",
        }


def test_words_beside_the_vocabulary_survive_the_round_trip() -> None:
    """What another category is, and what a definition is, in words."""
    text = (
        '<POLICY xmlns="http://www.w3.org/2002/01/P3Pv1" name="p"'
        ' discuri="d"><DATASCHEMA><DATA-DEF name="shop.mood">'
        "<CATEGORIES><preference/></CATEGORIES><LONG-DESCRIPTION>How"
        " somebody feels</LONG-DESCRIPTION></DATA-DEF></DATASCHEMA>"
        '<ENTITY><DATA-GROUP><DATA ref="#business.name">S</DATA>'
        '<DATA ref="#business.contact-info.online.uri">s.example</DATA>'
        "</DATA-GROUP></ENTITY><ACCESS><all/></ACCESS><STATEMENT>"
        "<PURPOSE><current/></PURPOSE><RECIPIENT><ours/></RECIPIENT>"
        "<RETENTION><indefinitely/></RETENTION><DATA-GROUP>"
        '<DATA ref="#dynamic.miscdata"><CATEGORIES><content/>'
        "<other-category>shoe size</other-category></CATEGORIES></DATA>"
        "</DATA-GROUP></STATEMENT></POLICY>"
    )
    document, findings = read_p3p_document(text.encode(), where="x")
    again, _ = read_p3p_document(write_p3p(document), where="y")
    assert [] == list(findings)
    assert document == again
    (policy,) = again.policies
    assert "How somebody feels" == policy.schema.elements[0].long
    assert "shoe size" == policy.statements[0].data[0].other
