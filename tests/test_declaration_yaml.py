"""Declarations in YAML: one that loads, and one clear error for the rest."""

import time
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import (
    Category,
    Declaration,
    DeclarationInvalid,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    load_yaml,
    read_declaration,
    write_declaration,
)

GOOD = """\
service: moving-house
purpose: address-change
version: 2
title: {en: Moving house, zh-Hans: 搬家}
purpose_text: {en: To change your address., zh-Hans: 变更您的住址。}
controller:
  id: sample-city
  name: Sample City
  address: 1 Market Square, 12345 Sample City
  contact: privacy@sample.example
  jurisdiction: DE
  storage: [Sample City computing centre]
valid_from: 2026-01-01
valid_until: 2030-01-01
assurance: 1
obligations: [delete_by, notify]
statements:
  - id: new-address
    basis: consent
    purposes:
      - current
      - {purpose: contact, required: opt-in}
    recipients: [ours, {recipient: same, required: opt-in}]
    retention: stated-purpose
    retention_days: 90
    consequence: {en: Without it you must write., zh-Hans: 否则须书面办理。}
    data:
      - user.name.given
      - {attribute: user.bdate, optional: true}
      - {attribute: dynamic.miscdata, categories: [content]}
  - id: register
    basis: public-task
    purposes: [current]
    recipients: [ours]
    retention: legal-requirement
    data: [user.home-info.postal]
release:
  recipient: statistics
  k: 5
  l: 2
  suppression_limit: 0.05
  sensitive: [user.income.annual]
"""


def load(text: str) -> Declaration:
    """Load a text as the file that errors name."""
    return load_yaml(text.encode(), where="moving.yml")


def failure(text: str | bytes) -> DeclarationInvalid:
    """Return the error that loading gives."""
    data = text.encode() if isinstance(text, str) else text
    with pytest.raises(DeclarationInvalid) as caught:
        load_yaml(data, where="moving.yml")
    return caught.value


def test_everything_that_is_written_is_read() -> None:
    """Each key of the form arrives where it belongs."""
    found = load(GOOD)
    assert (found.service, found.purpose, found.version) == (
        "moving-house",
        "address-change",
        2,
    )
    assert found.valid_from == 1767225600
    assert found.valid_until == 1893456000
    assert found.obligations == ("delete_by", "notify")
    assert found.title["zh-Hans"] == "搬家"
    assert found.controller.storage == ("Sample City computing centre",)
    assert found.release is not None
    assert (found.release.k, found.release.suppression_limit) == (5, 0.05)
    assert found.release.epsilon_thousandths is None
    less = load(GOOD + "  epsilon_thousandths: 400\n")
    assert less.release is not None
    assert 400 == less.release.epsilon_thousandths
    assert "epsilon_thousandths" not in (found.facts["release"] or {})
    written = write_declaration(less)
    assert read_declaration(written, where="stored") == less
    assert less.digest != found.digest
    first, second = found.statements
    assert first.attributes == (
        "user.name.given",
        "user.bdate",
        "dynamic.miscdata",
    )
    assert first.essential == {"user.name.given", "dynamic.miscdata"}
    assert first.data[2].categories == {Category.CONTENT}
    assert first.recipient_choices == {RecipientClass.SAME: Required.OPT_IN}
    assert second.basis is LegalBasis.PUBLIC_TASK
    assert second.retention_days is None


def with_terms(terms: str) -> str:
    """The good text, whose first statement names terms."""
    before = "    consequence: {en"
    return GOOD.replace(before, f"    terms: [{terms}]\n{before}", 1)


def test_terms_of_shared_vocabularies_are_read() -> None:
    """DPV, its public services and the PIPL, beside what follows anyway."""
    found = load(
        with_terms("dpv:ServiceRegistration, pipl:ProvisionToOtherHandler")
    )
    first, second = found.statements
    assert first.terms == (
        "dpv:ServiceRegistration",
        "pipl:ProvisionToOtherHandler",
    )
    assert first.all_terms == (
        "dpv:Consent",
        "pipl:Consent",
        "dpv:RequestedServiceProvision",
        "dpv:DirectMarketing",
        *first.terms,
    )
    assert second.all_terms == (
        "dpv:OfficialAuthorityOfController",
        "pipl:StateOrganPowers",
        "dpv:RequestedServiceProvision",
    )
    assert found.digest != load(GOOD).digest
    again = read_declaration(write_declaration(found), where="stored")
    assert (found.digest, found.statements) == (again.digest, again.statements)


@pytest.mark.parametrize(
    ("terms", "what"),
    [
        ("dpv:ServiceRegistratoin", "no term that is known"),
        ("ServiceRegistration", "no term that is known"),
        ("dpv:LegalObligation", "is not the basis consent"),
        ("pipl:StateOrganPowers", "is not the basis consent"),
        ("dpv:Consent, dpv:Consent", "twice"),
        ("", "at least one"),
        ("{dpv: Consent}", "a text"),
    ],
)
def test_a_wrong_term_is_told_where_it_stands(terms: str, what: str) -> None:
    """A misspelt or contradicting term is no declaration."""
    error = failure(with_terms(terms))
    assert error.line == 26
    assert what in error.what


def test_the_choice_of_a_flow_is_the_more_careful_of_two() -> None:
    """A recipient by opt-in makes each flow to it one by opt-in."""
    choices = {
        (row.purpose, row.recipient): row.required
        for row in load(GOOD).statements[0].tuples()
    }
    assert choices == {
        (Purpose.CURRENT, RecipientClass.OURS): Required.ALWAYS,
        (Purpose.CURRENT, RecipientClass.SAME): Required.OPT_IN,
        (Purpose.CONTACT, RecipientClass.OURS): Required.OPT_IN,
        (Purpose.CONTACT, RecipientClass.SAME): Required.OPT_IN,
    }


WRONG = {
    # name: (what to replace, by what, line, column, part of the fault)
    "unknown key": ("assurance: 1", "asurance: 1", 15, 1, "'asurance'"),
    "missing key": ("version: 2\n", "", 1, 1, "'version' is missing"),
    "key twice": ("version: 2", "version: 2\nversion: 2", 4, 1, "twice"),
    "a number for a text": ("en: Moving house", "en: 7", 4, 13, "a text"),
    "norway": ("jurisdiction: DE", "jurisdiction: NO", 11, 17, "a text"),
    "yes for true": ("optional: true", "optional: yes", 29, 43, "true or"),
    "octal": ("version: 2", "version: 0o2", 3, 10, "whole number"),
    "underscores": ("version: 2", "version: 1_0", 3, 10, "whole number"),
    "sexagesimal": ("version: 2", "version: 1:30", 3, 10, "whole number"),
    "version 0": ("version: 2", "version: 0", 3, 10, "from 1"),
    "list for mapping": ("{en: Moving house, zh-Hans: 搬家}", "[a]", 4, 8,
                         "keys with values"),
    "a language short": (", zh-Hans: 搬家", "", 4, 8, "'zh-Hans' is missing"),
    "a language more": ("{en: Moving", "{tlh: x, en: Moving", 4, 9, "'tlh'"),
    "unknown purpose": ("- current\n      - {", "- curent\n      - {", 21, 9,
                        "not a Purpose"),
    "unknown element": ("user.name.given", "user.name.givn", 28, 9,
                        "no element"),
    "attribute twice": ("user.name.given", "user.bdate", 29, 9, "twice"),
    "statement twice": ("id: register", "id: new-address", 31, 5, "twice"),
    "no data": ("data: [user.home-info.postal]", "data: []", 36, 11,
                "at least one"),
    "open categories": (", categories: [content]", "", 30, 9, "open"),
    "fixed categories": ("optional: true", "categories: [health]", 29, 9,
                         "fixes"),
    "choice about current": ("- current\n      - {purpose: contact",
                             "- {purpose: current", 21, 38, "current"),
    "choice about ours": ("recipient: same", "recipient: ours", 23, 52,
                          "ours"),
    "a day that is none": ("2026-01-01", "2026-02-30", 13, 13, "a day"),
    "a short day": ("2026-01-01", "2026-1-1", 13, 13, "a day"),
    "ends before it begins": ("2030-01-01", "2025-01-01", 14, 14, "before"),
    "days without a bound": ("retention: stated-purpose",
                             "retention: indefinitely", 25, 21, "no bound"),
    "no retention for history": (
        "recipients: [ours]\n    retention: legal-requirement",
        "recipients: [ours]\n    retention: no-retention",
        35,
        16,
        "without retention",
    ),
    "anonymous yet identified": (
        "    basis: public-task",
        "    basis: public-task\n    non_identifiable: true",
        33,
        23,
        "identifies people",
    ),
    "share over 1": ("0.05", "1.5", 41, 22, "more than 1"),
    "share in words": ("0.05", "5%", 41, 22, "a share"),
    "anchor": ("title: {", "title: &a {", 4, 8, "anchors"),
    "alias": ("k: 5", "k: *a", 39, 6, "anchors"),
    "tag": ("version: 2", "version: !!int 2", 3, 10, "tag"),
    "second document": ("release:", "---\nrelease:", 37, 1, "second"),
    "broken yaml": ("k: 5", "k: [5", 40, 4, "not YAML"),
    "big letters": ("service: moving-house", "service: Moving", 1, 10,
                    "identifier"),
    "empty text": ("name: Sample City", "name: ' '", 8, 9, "1 to 4000"),
    "merge key": ("version: 2", "<<: {version: 2}", 3, 1, "'<<'"),
    "a list as a key": ("version: 2", "? [version]\n: 2", 3, 3, "unknown"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_one_clear_error_where_the_fault_is(name: str) -> None:
    """File, line, column, what is wrong and what to do about it."""
    old, new, line, column, what = WRONG[name]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if name == "no retention for history":
        text = text.replace("purposes: [current]", "purposes: [historical]")
    error = failure(text)
    assert (error.where, error.line, error.column) == (
        "moving.yml",
        line,
        column,
    ), str(error)
    assert what in error.what
    assert error.remedy
    assert str(error).startswith(f"moving.yml:{line}:{column}: ")


@pytest.mark.parametrize(
    ("data", "line", "column", "what"),
    [
        (b"", 0, 0, "empty"),
        (b"# nothing\n", 0, 0, "empty"),
        (b"a: 1\nb: \xff\n", 2, 4, "not UTF-8"),
        (b"a: 1\nb: x\0\n", 2, 5, "NUL"),
        (b"a: \x07\n", 0, 0, "forbids"),
        (b"x" * (256 * 1024 + 1), 0, 0, "more than"),
        (b"[" * 200_000, 1, 17, "nested deeper"),
        (b"- " * 100_000, 1, 33, "nested deeper"),
    ],
    ids=lambda value: repr(value)[:20],
)
def test_hostile_bytes_are_refused_at_once(
    data: bytes, line: int, column: int, what: str
) -> None:
    """Size, encoding and depth are looked at before anything is built."""
    start = time.process_time()
    error = failure(data)
    assert time.process_time() - start < 15
    assert (error.line, error.column) == (line, column)
    assert what in error.what


def test_a_billion_laughs_are_refused_at_the_first_anchor() -> None:
    """No alias is expanded."""
    lines = ["a0: &a0 [x]"] + [
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)
    ]
    error = failure("\n".join(lines))
    assert (error.line, error.column) == (1, 5)
    assert "anchors and aliases" in error.what


def test_the_remedy_for_a_misspelt_element_names_the_right_one() -> None:
    """A near miss is met with the near name, a far one with the place."""
    near = failure(GOOD.replace("user.name.given", "user.name.givn"))
    far = failure(GOOD.replace("user.name.given", "zzz.qqq"))
    assert near.remedy == "did you mean user.name.given?"
    assert far.remedy == "see consent/elements.py"


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_nothing_but_the_one_error_escapes(data: bytes) -> None:
    """Whatever the bytes are, the error is a DeclarationInvalid."""
    failure(data)


@given(st.data())
def test_damage_to_a_good_text_is_an_error_or_a_declaration(
    data: st.DataObject,
) -> None:
    """A cut or a foreign character gives no other kind of failure."""
    at = data.draw(st.integers(0, len(GOOD) - 1))
    with_what = data.draw(st.text(max_size=3))
    width = data.draw(st.integers(0, 5))
    text = GOOD[:at] + with_what + GOOD[at + width :]
    with suppress(DeclarationInvalid):
        load_yaml(text.encode(), where="moving.yml")
