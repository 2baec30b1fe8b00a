"""P3P files as hostile bytes."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent import DeclarationInvalid
from consent.p3p_xml import DEEPEST, _Reader, read_xml

BILLION = b"""<?xml version="1.0"?>
<!DOCTYPE P [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;">]>
<POLICY>&b;</POLICY>"""
EXTERNAL = b"""<!DOCTYPE P [<!ENTITY x SYSTEM "file:///etc/passwd">]>
<POLICY>&x;</POLICY>"""
PARAMETER = b"""<!DOCTYPE P [<!ENTITY % p SYSTEM "http://x.example/">%p;]>
<POLICY/>"""
REMOTE = b"""<!DOCTYPE POLICY SYSTEM "http://x.example/p.dtd"><POLICY/>"""


def failure(text: bytes) -> DeclarationInvalid:
    """Return the error that reading gives."""
    with pytest.raises(DeclarationInvalid) as caught:
        read_xml(text, where="p3p.xml")
    assert caught.value.where == "p3p.xml"
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    ("text", "line", "column", "what"),
    [
        (BILLION, 2, 13, "document type"),
        (EXTERNAL, 1, 13, "document type"),
        (PARAMETER, 1, 13, "document type"),
        (REMOTE, 1, 49, "document type"),
        (b"<POLICY>&a;</POLICY>", 1, 9, "undefined entity"),
        (b"<POLICY>\n  <A></B></POLICY>", 2, 8, "mismatched tag"),
        (b"<POLICY", 1, 1, "unclosed token"),
        (b"", 1, 1, "no element"),
        (b"   ", 1, 4, "no element"),
        (b"<POLICY a='1' a='2'/>", 1, 15, "duplicate attribute"),
        (b"<x:POLICY/>", 1, 1, "unbound prefix"),
        (b"<POLICY>\0</POLICY>", 1, 9, "not well-formed"),
        (b"<POLICY>\xff</POLICY>", 1, 9, "not well-formed"),
        (b"<?xml version='1.0' encoding='klingon'?><P/>", 1, 31, "encoding"),
        (b"<?xml version='1.0' encoding='gbk'?><P/>", 1, 31, "encoding"),
        (b"<P>" + b" " * 1024 * 1024 + b"</P>", 0, 0, "more than"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_what_is_refused_is_refused_where_it_stands(
    text: bytes, line: int, column: int, what: str
) -> None:
    """One error, with its line and its column."""
    error = failure(text)
    assert (error.line, error.column) == (line, column), str(error)
    assert what in error.what


@pytest.mark.parametrize("text", [BILLION, EXTERNAL, PARAMETER])
def test_entities_are_refused_behind_the_document_type_too(
    text: bytes,
) -> None:
    """Were a document type let through, its entities still are not."""
    reader = _Reader("p3p.xml")
    reader._parser.StartDoctypeDeclHandler = None
    with pytest.raises(DeclarationInvalid, match="an entity is not allowed"):
        reader.read(text)


def test_ten_megabytes_of_nesting_are_refused_at_once() -> None:
    """Size is looked at first, depth as soon as it is exceeded."""
    start = time.process_time()
    assert "more than" in failure(b"<P>" * (10 * 1024 * 1024 // 3)).what
    assert "nested deeper" in failure(b"<P>" * (1024 * 1024 // 3)).what
    assert time.process_time() - start < 10


def test_depth_is_exact() -> None:
    """The last level that is allowed is read, the next one is not."""
    read_xml(b"<P>" * DEEPEST + b"</P>" * DEEPEST, where="x")
    one_more = DEEPEST + 1
    error = failure(b"<P>" * one_more + b"</P>" * one_more)
    assert (error.line, error.column) == (1, 3 * DEEPEST + 1)


def test_a_megabyte_of_text_is_read_in_time() -> None:
    """Text in many small pieces does not cost its square."""
    start = time.process_time()
    text = b"<P>" + b"a&#98;" * 150_000 + b"</P>"
    assert len(read_xml(text, where="x").text) == 300_000
    assert time.process_time() - start < 5


def test_a_foreign_element_is_not_taken_for_p3p() -> None:
    """The name of another namespace stays another name."""
    root = read_xml(
        b'<POLICY xmlns="http://www.w3.org/2002/01/P3Pv1"'
        b' xmlns:x="http://x.example/" x:name="no" name="yes"'
        b' xml:lang="en"><x:STATEMENT/><STATEMENT/></POLICY>',
        where="x",
    )
    assert [child.name for child in root.children] == [
        "{http://x.example/}STATEMENT",
        "STATEMENT",
    ]
    assert len(list(root.all("STATEMENT"))) == 1
    assert root.first("PURPOSE") is None
    assert root.attributes == {"name": "yes", "lang": "en"}


@given(st.binary(max_size=100))
def test_nothing_but_the_one_error_escapes(noise: bytes) -> None:
    """Whatever stands in a file, reading ends in one kind of error."""
    failure(b"<POLICY>" + noise + b"<")


def test_attributes_of_other_namespaces_are_kept_apart() -> None:
    """They can be asked for, and are never P3P's."""
    root = read_xml(b'<a xmlns:x="http://x/" x:b="1" b="2"/>', where="x")
    assert {"b": "2"} == root.attributes
    assert {"{http://x/}b": "1"} == root.foreign


def test_text_between_many_elements_is_read_in_time() -> None:
    """A piece before each of 40,000 elements costs no square."""
    start = time.process_time()
    root = read_xml(b"<P>" + b"aaaaaaaa<b/>" * 40_000 + b"</P>", where="x")
    assert len(root.text) == 320_000
    assert time.process_time() - start < 8


def test_too_many_elements_are_refused() -> None:
    """Before they fill the memory."""
    error = failure(b"<P>" + b"<b/>" * 60_000 + b"</P>")
    assert "more than 50000 elements" in error.what
