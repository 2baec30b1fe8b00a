"""Terms of DPV and of our vocabulary for the PIPL."""

import json
from itertools import chain
from urllib.parse import urlsplit

import pytest

from consent import (
    BASIS_TERMS,
    PREFIXES,
    PURPOSE_TERMS,
    SENSITIVE_TERMS,
    SEPARATE_CONSENT,
    Category,
    Language,
    LegalBasis,
    Purpose,
    RecipientClass,
    iri,
    is_term,
    known_terms,
    pipl_concepts,
    pipl_vocabulary,
    sensitive_terms,
)

# PIPL 13(1)(1)-(7), PIPL 28 and the articles that ask for separate consent,
# written down from the law and not from the file.
LAWFUL = {f"PIPL 13(1)({number})" for number in range(1, 8)}
SENSITIVE = {
    "Biometrics",
    "ReligiousBelief",
    "SpecificIdentity",
    "MedicalHealth",
    "FinancialAccount",
    "Whereabouts",
    "MinorUnder14",
}
SEPARATE = {"PIPL 23", "PIPL 25", "PIPL 26", "PIPL 29", "PIPL 39"}


def test_every_legal_basis_has_terms_that_are_known() -> None:
    """Each basis has a DPV term, and a PIPL term but where there is none."""
    assert set(BASIS_TERMS) == set(LegalBasis)
    for basis, terms in BASIS_TERMS.items():
        assert all(map(is_term, terms))
        prefixes = {term.partition(":")[0] for term in terms}
        wanted = {"dpv", "pipl"}
        if basis is LegalBasis.LEGITIMATE_INTERESTS:
            wanted = {"dpv"}
        assert prefixes == wanted


def test_the_vocabulary_has_every_basis_of_the_law() -> None:
    """PIPL 13 is covered, item by item, each by one legal basis."""
    sources = [
        source
        for concept in pipl_concepts().values()
        if "dpv:LegalBasis" in concept["@type"]
        for source in concept["source"]
    ]
    assert LAWFUL <= set(sources)
    assert all(sources.count(one) == 1 for one in LAWFUL)


def test_the_vocabulary_has_every_sensitive_kind_of_the_law() -> None:
    """PIPL 28 is covered, and each kind is under the one general kind."""
    kinds = {
        term.removeprefix("pipl:")
        for term, concept in pipl_concepts().items()
        if concept.get("broader") == "pipl:SensitivePersonalInformation"
    }
    assert kinds == SENSITIVE


def test_the_vocabulary_has_every_act_that_needs_separate_consent() -> None:
    """PIPL 23, 25, 26, 29 and 39 are covered."""
    sources = set(
        chain.from_iterable(
            concept["source"]
            for concept in pipl_concepts().values()
            if concept.get("consent") == "pipl:SeparateConsent"
        )
    )
    assert sources >= SEPARATE


def test_what_a_declaration_can_say_has_known_terms() -> None:
    """Purposes, sensitive categories and recipients all map to terms."""
    assert set(PURPOSE_TERMS) == set(Purpose)
    assert set(SENSITIVE_TERMS) <= set(Category)
    assert set(SEPARATE_CONSENT) == set(RecipientClass) - {RecipientClass.OURS}
    used = chain(
        chain.from_iterable(PURPOSE_TERMS.values()),
        chain.from_iterable(SENSITIVE_TERMS.values()),
        SEPARATE_CONSENT.values(),
    )
    assert [term for term in used if not is_term(term)] == []


def test_sensitive_kinds_of_data() -> None:
    """What may be of a sensitive kind is taken to be, once and in order."""
    assert sensitive_terms([Category.DEMOGRAPHIC]) == ()
    assert sensitive_terms(
        [Category.GOVERNMENT, Category.POLITICAL, Category.HEALTH]
    ) == (
        "pipl:MedicalHealth",
        "pipl:ReligiousBelief",
        "pipl:SpecificIdentity",
    )


def test_every_concept_is_whole() -> None:
    """Each has words in each language, an article, and known relations."""
    concepts = pipl_concepts()
    dpv_classes = {"dpv:DataController", "dpv:DataProcessor", "dpv:Notice"}
    dpv_classes |= {"dpv:LegalBasis", "dpv:ImpactAssessment"}
    for concept in concepts.values():
        for words in (concept["prefLabel"], concept["definition"]):
            assert set(words) == {language.value for language in Language}
            assert all(text.strip() for text in words.values())
        assert concept["source"]
        assert all(one.startswith("PIPL ") for one in concept["source"])
        broader = concept.get("broader", [])
        for wider in [broader] if isinstance(broader, str) else broader:
            assert is_term(wider) or wider in dpv_classes


def test_the_file_is_json_ld_with_each_prefix_defined() -> None:
    """Every prefix that is used is in the context, and means what we say."""
    document = json.loads(pipl_vocabulary())
    context = document["@context"]
    assert context["pipl"] == PREFIXES["pipl"]
    assert context["dpv"] == PREFIXES["dpv"]
    ids = [concept["@id"] for concept in document["@graph"]]
    assert len(set(ids)) == len(ids)
    for concept in document["@graph"]:
        for key in concept.keys() - {"@id", "@type"}:
            assert key in context


def test_a_term_is_an_iri() -> None:
    """Every known term has a whole IRI with a fragment."""
    for term in known_terms():
        assert urlsplit(iri(term)).fragment == term.partition(":")[2]


@pytest.mark.parametrize(
    "term", ["", "dpv:", "dpv:Consemt", "Consent", "pipl:consent", "x:Consent"]
)
def test_an_unknown_term_is_refused(term: str) -> None:
    """A typing error is no concept."""
    assert not is_term(term)
