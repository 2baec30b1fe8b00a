"""Reference files: which policy is about which resource and cookie."""

from hypothesis import given
from hypothesis import strategies as st

from consent import Cookie, PolicyReference, ReferenceFile, read_p3p
from consent.expiry import Expiry
from consent.policy_reference import CookiePattern, Hint

NAMESPACE = "http://www.w3.org/2002/01/P3Pv1"


def read(inside: str) -> tuple[ReferenceFile, list[str]]:
    """Read a META with these POLICY-REFERENCES; the findings' codes too."""
    text = (
        f'<META xmlns="{NAMESPACE}"><POLICY-REFERENCES>{inside}'
        "</POLICY-REFERENCES></META>"
    )
    reading = read_p3p(text.encode(), where="p3p.xml")
    assert reading.document.references is not None
    return reading.document.references, [f.code for f in reading.findings]


def ref(*includes: str, excludes: tuple[str, ...] = ()) -> PolicyReference:
    """A policy about these URIs."""
    return PolicyReference(about="#p", includes=includes, excludes=excludes)


def test_all_of_a_reference_file_is_read() -> None:
    """Expiry, patterns, cookies, methods and hints, in their order."""
    file, codes = read(
        '<EXPIRY max-age="172800"/>'
        '<POLICY-REF about="/P3P/Policies.xml#first"><INCLUDE>/*</INCLUDE>'
        "<EXCLUDE>/catalog/*</EXCLUDE>"
        '<COOKIE-INCLUDE name="id*" domain=".a.example"/>'
        '<COOKIE-EXCLUDE name="idle"/><METHOD>GET</METHOD></POLICY-REF>'
        '<HINT scope="http://b.example" path="/w3c/b.xml"/>'
    )
    assert [] == codes
    assert Expiry(max_age=172800) == file.expiry
    assert (
        PolicyReference(
            about="/P3P/Policies.xml#first",
            includes=("/*",),
            excludes=("/catalog/*",),
            cookie_includes=(CookiePattern(name="id*", domain=".a.example"),),
            cookie_excludes=(CookiePattern(name="idle"),),
            methods=("GET",),
        ),
    ) == file.references
    assert (Hint(scope="http://b.example", path="/w3c/b.xml"),) == file.hints


def test_a_policy_covers_what_it_includes_and_does_not_exclude() -> None:
    """Nothing without an INCLUDE; excludes win; the whole URI must match."""
    assert not PolicyReference(about="#p").covers("/")
    assert not PolicyReference(about="#p", excludes=("/a",)).covers("/b")
    assert ref("/a*").covers("/a/b?c=d")
    assert not ref("/a").covers("/a/b")
    assert not ref("/*", excludes=("/a/*",)).covers("/a/b")
    assert not ref("\\*").covers("/a")


def test_methods_narrow_a_policy() -> None:
    """None means all; names are compared as they stand."""
    posts = PolicyReference(about="#p", includes=("/*",), methods=("POST",))
    assert posts.covers("/a", "POST")
    assert not posts.covers("/a")
    assert ref("/*").covers("/a", "DELETE")


def test_escapes_are_decoded_only_where_they_say_nothing() -> None:
    """``%7E`` is a tilde; ``%2F`` is no slash, and ``%2A`` an asterisk."""
    assert ref("/%7ejoe/*").covers("/~joe/x")
    assert ref("/~joe/*").covers("/%7Ejoe/x")
    assert not ref("/a/b").covers("/a%2Fb")
    assert ref("/a%2fb").covers("/a%2Fb")
    assert ref("/a%2A").covers("/a*")
    assert not ref("/a%2A").covers("/ab")


def test_the_first_policy_that_covers_holds() -> None:
    """Order is significant, for resources and for cookies."""
    file, codes = read(
        '<POLICY-REF about="#a"><INCLUDE>/a/*</INCLUDE>'
        '<COOKIE-INCLUDE name="a"/></POLICY-REF>'
        '<POLICY-REF about="#b"><INCLUDE>/*</INCLUDE>'
        "<COOKIE-INCLUDE/></POLICY-REF>"
        '<POLICY-REF about="#c"><INCLUDE>/c</INCLUDE></POLICY-REF>'
    )
    assert ["shadowed"] == codes
    assert ["#a", "#b", "#b"] == [file.about(u) for u in ("/a/", "/a", "/c")]
    assert "#a" == file.about_cookie(Cookie(name="a"))
    assert "#b" == file.about_cookie(Cookie(name="b", value="1"))
    assert None is ReferenceFile().about("/a")
    assert None is ReferenceFile().about_cookie(Cookie(name="a"))


def test_a_cookie_is_covered_by_all_four_of_its_parts() -> None:
    """Name, value, domain and path; what is not said is anything."""
    pattern = CookiePattern(name="n", value="v*", domain="*.d", path="/p")
    good = Cookie(name="n", value="v1", domain="x.d", path="/p")
    assert pattern.covers(good)
    for bad in (
        Cookie(name="m", value="v1", domain="x.d", path="/p"),
        Cookie(name="n", value="w", domain="x.d", path="/p"),
        Cookie(name="n", value="v1", domain="x.e", path="/p"),
        Cookie(name="n", value="v1", domain="x.d", path="/q"),
    ):
        assert not pattern.covers(bad)
    one = PolicyReference(
        about="#p",
        cookie_includes=(CookiePattern(),),
        cookie_excludes=(pattern,),
    )
    assert not one.covers_cookie(good)
    assert one.covers_cookie(Cookie(name="m"))


def test_expiry_is_an_age_a_date_or_a_day() -> None:
    """What cannot be read is good for nothing."""
    assert Expiry(max_age=86400) == read("")[0].expiry
    dated, _ = read('<EXPIRY date="Thu, 01 Jan 1970 00:10:00 GMT"/>')
    assert Expiry(date=600) == dated.expiry
    assert not dated.expired(fetched=0, now=599)
    assert dated.expired(fetched=0, now=600)
    aged, _ = read('<EXPIRY max-age="1000000000"/>')
    assert not aged.expired(fetched=5, now=1_000_000_004)
    assert aged.expired(fetched=5, now=1_000_000_005)
    for broken in ('date="soon"', 'max-age="-1"', 'max-age="1e9"', ""):
        file, codes = read(f"<EXPIRY {broken}/>")
        assert ["bad-expiry"] == codes
        assert file.expired(fetched=1, now=1)


def test_patterns_that_can_match_nothing_are_noticed() -> None:
    """An absolute URI, an escaped asterisk, an EXCLUDE alone."""
    for inside, code in (
        ("<INCLUDE>http://a.example/*</INCLUDE>", "absolute-pattern"),
        ("<INCLUDE>\\*</INCLUDE>", "odd-pattern"),
        ("", "no-cover"),
        ("<EXCLUDE>/a</EXCLUDE>", "no-cover"),
    ):
        _, codes = read(f'<POLICY-REF about="#a">{inside}</POLICY-REF>')
        assert [code] == codes


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_pattern_and_any_uri_can_be_compared(
    pattern: str, uri: str
) -> None:
    """Comparing never fails, and a URI without ``*`` matches itself."""
    ref(pattern).covers(uri)
    if "*" not in uri:
        assert ref(uri).covers(uri)
