"""Built-ins on operands made for them, on the embedded engine and on OPA.

Each built-in here meets every combination of its samples. OPA answers all of
them in one request; the engine answers one by one, since it may say of an
operand that it has no answer, which OPA never does.
"""

import re
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from policy.compiling import current_capabilities
from policy.engine import PROFILE
from policy.pdp import Cause, NoDecision
from tests.engines import Engines, both, exactly, write_policy
from tests.parts import ROOT
from tests.templates import SHOWN, SPELLED, TEMPLATES, VARIABLES

pytestmark = pytest.mark.opa


class Samples(NamedTuple):
    """A call over `i`, its operands, and how many may have no answer."""

    call: str
    operands: tuple[list[Any], ...]
    unanswered: int = 0


INSTANTS: list[Any] = [
    0,
    -1,
    1767225600000000000,
    1709209845123456789,
    951782400000000000,
    -1000000000000000001,
    2**63 - 1,
    -(2**63),
    2**63,
    1.5,
    "x",
]
ZONES: list[Any] = [
    "",
    "UTC",
    "Europe/Tallinn",
    "America/New_York",
    "Asia/Kathmandu",
    "Africa/Monrovia",
    "Nowhere/None",
    "../etc/passwd",
    "/etc/localtime",
]
LAYOUTS: list[Any] = [
    "",
    "RFC3339",
    "RFC3339Nano",
    "ANSIC",
    "UnixDate",
    "RubyDate",
    "RFC822Z",
    "RFC850",
    "RFC1123Z",
    "Jan _2 06 __2 002 3:04:05.000 PM pm 03",
    "January Monday Januar Mond 1/2/2006 15h4m5s .999 ,000 .0001",
    "Z07 Z0700 Z070000 Z07:00:00 -07 -070000 -07:00:00 MST _2006",
]
MOMENTS: list[Any] = [
    "2026-01-01T00:00:00Z",
    "2026-01-01T00:00:00.123456789123+05:30",
    "2026-02-29T00:00:00Z",
    "2024-02-29T23:59:59,5Z",
    "2026-01-01T24:00:00Z",
    "2026-01-01T0:00:00Z",
    "2026-01-01 00:00:00Z",
    "2026-01-01T00:00:00+25:00",
    "1677-09-21T00:12:43.145224192Z",
    "1677-09-21T00:12:43Z",
    "Thu Jan  1 00:00:00 UTC 2026",
    "Thu Jan  1 00:00:00 EET 2026",
    "Thu Jan  1 00:00:00 GMT+3 2026",
    "01 Jan 26 10:20 MST",
    "01 Jan 69 10:20 -0700",
    "Thursday, 01-Jan-26 00:00:00 PST",
    "Thu, 01 Jan 2026 00:00:00 -0430",
    "12:30 pm",
    "12:30 AM",
    "060 2024",
    "366 2024",
    "366 2026",
    "",
    "é",
]
PATTERNS: list[Any] = [
    "*",
    "**",
    "*.example.com",
    "**.com",
    "a?c",
    "[a-c]x",
    "[!a-c]x",
    "[abc]",
    "[!abc]",
    "{a,b*}.{com,net}",
    "\\*",
    "a{b,c",
    "a}b",
    "[a-cx]",
    "[]",
    "[",
    "é*",
    "",
    "a\\",
    "{,a}b",
    "?",
    "{?,ab}",
    "{[!x],b}c",
]
TEXTS: list[Any] = [
    "",
    "a",
    "abc",
    "ax",
    "dx",
    "*",
    "www.example.com",
    "a.b.com",
    "a.com",
    "bc.net",
    "é.é",
    "ab",
    "b",
    "a\nb",
    "a}b",
]
BLOCKS: list[Any] = [
    "10.0.0.0/8",
    "10.1.2.3/24",
    "10.1.2.0/30",
    "10.1.2.4",
    "0.0.0.0/0",
    "192.168.1.1/32",
    "::/0",
    "2001:db8::/32",
    "2001:db8:0:1::/64",
    "2001:db8::1",
    "::ffff:10.1.2.3",
    "::ffff:10.1.2.3/120",
    "10.0.0.01/8",
    "10.0.0.0/33",
    "10.0.0.0/08",
    "10.0.0.0",
    "fe80::1%eth0/64",
    "x",
    "",
    7,
]
VERSIONS: list[Any] = [
    "1.2.3",
    "v1.2.3",
    "1.2.4",
    "1.10.0",
    "1.2.3-alpha",
    "1.2.3-alpha.1",
    "1.2.3-alpha.beta",
    "1.2.3-2",
    "1.2.3-11",
    "1.2.3+build",
    "1.2.3-a+b.c",
    "01.2.3",
    "+1.2.3",
    "1.2",
    "1.2.3.4",
    "1.2.-3",
    "1.2.3-",
    "1.2.3-a..b",
    "99999999999999999999.0.0",
    "",
    3,
]
AMOUNTS: list[Any] = [
    "1",
    "10K",
    "10k",
    "1.5Mi",
    "1.5mib",
    "100m",
    "100M",
    "0.1",
    ".5G",
    "5.g",
    "1e3",
    "1e3k",
    "1E",
    "1e",
    "-5Ki",
    "+5kb",
    "1 k",
    '"1"',
    "1KIB",
    "1ei",
    "0.0000000000001",
    "0.00005m",
    "12345678901234567890.5k",
    "1e9999999",
    "k",
    "",
    "1..2",
    "1x",
    "e5",
    "1\u212a",
]
URLS: list[Any] = [
    "https://user:pw@www.example.com:8080/a%20b/c?q=1&r=%32#f%20g",
    "http://[2001:db8::1]:80/x",
    "http://[fe80::1%25eth0]/",
    "http://[::1",
    "http://[127.0.0.1]/",
    "mailto:a@b.example",
    "/path/only",
    "//host/path",
    "///path",
    "path:x/y",
    "p/x:y",
    "a b",
    "http://a b/",
    "http://a/%zz",
    "http://a/%C3%A9/\u00e9",
    "http://a:b/",
    "http://a:1:2/",
    "x://a:1:2/",
    "HTTP://A.example/?",
    "http://a?b?c",
    "*",
    "#f",
    "?q",
    ":x",
    "1http://a",
    "http://a/\u007f",
    "http://a/\n",
    "http://%41/",
    "http://a%2fb/",
    "http://u%zz@a/",
    "http://u[@a/",
    "http://a/a+b/a%2Fb/[x]",
    "",
    5,
]
QUERIES: list[Any] = [
    "a=1&b=2&a=3",
    "a=%20+&b",
    "&&=x&a",
    "a;b",
    "a=%",
    "%41=%C3%A9",
    "",
    "a b&\u00e9=~!*'()",
]
DURATIONS: list[Any] = [
    "1h30m",
    "-1.5h",
    "1d",
    "1w2d",
    "1.5y",
    "1d2h30m0.5s",
    "1us1\u00b5s1\u03bcs1ns",
    "0",
    "-0",
    "+5s",
    "5",
    ".s",
    "1.s",
    ".5s",
    "1x",
    "300y",
    "9223372036854775807ns",
    "9223372036854775808ns",
    "-9223372036854775808ns",
    "0.9999999999999999999s",
    "1.2.3s",
    "1dd",
    "d",
    "",
    "1 s",
]
NUMBERS: list[Any] = [
    0,
    1,
    -1,
    42,
    65,
    0x1F600,
    2**63 - 1,
    2**63,
    -(2**70),
    1.5,
    -0.25,
    123456.789,
    1234567.5,
    1e-7,
    "text\t\u00e9",
    True,
    None,
    [1, "a"],
    {"a": 1.5},
]
VERBS: list[Any] = [
    f"<%{flags}{width}{verb}>"
    for flags, width in [
        ("", ""),
        ("+", ""),
        ("#", "8"),
        ("-", "8"),
        ("0", "8"),
        (" ", ".3"),
        ("0", "9.2"),
        ("", "*"),
    ]
    for verb in "vdsqxXoObcUtegfEGTz%"
] + ["%", "%d%d", "%[2]d", "%[1]d %[1]v", "%[3]*.[2]*[1]f", "%!", "%.", "%é"]
UUIDS: list[Any] = [
    "00000000-0000-0000-0000-000000000000",
    "b45eee7e-5d1f-11ee-8c99-0242ac120002",
    "000003e8-5d1f-21ee-8c00-325096b39f47",
    "000003e8-5d1f-21ee-8c09-325096b39f47",
    "urn:uuid:00000000-0000-4000-8000-000000000000",
    "URN:UUID:00000000-0000-4000-C000-000000000000",
    "{00000000-0000-5000-e000-000000000000}",
    "x00000000-0000-5000-e000-000000000000y",
    "000000000000400080000000000000ff",
    "00000000-0000-4000-8000-00000000000g",
    "00000000-0000-4000-8000-0000000000",
    "",
    1,
]
DOCUMENTS: list[Any] = [
    {"a": 1, "b": [1, 2, {"c": "x"}], "c": "text"},
    {"a": "one"},
    [1, 1, 2],
    {},
    '{"a": 1.0}',
    "{",
    5,
]
SCHEMAS: list[Any] = [
    {"required": ["a", "z"]},
    {"properties": {"a": {"type": ["integer", "null"]}}},
    {"properties": {"a": {"minimum": 2, "multipleOf": 0.7}}},
    {"additionalProperties": False, "properties": {"a": {}, "b": {}}},
    {"patternProperties": {"^[ab]$": {"type": "array"}}},
    {"anyOf": [{"type": "array"}, {"required": ["q"]}]},
    {"oneOf": [{}, {"type": "object"}]},
    {"allOf": [{"type": "array"}, {"minItems": 9}]},
    {"not": {"type": "object"}},
    {"uniqueItems": True, "maxItems": 2, "contains": {"type": "string"}},
    {"items": [{"type": "integer"}], "additionalItems": False},
    {"items": {"enum": [1, "a"]}},
    {"if": {"type": "array"}, "then": {"minItems": 5}, "else": False},
    {"dependencies": {"a": ["q"]}},
    {"dependencies": {"b": {"required": ["r"]}}},
    {"propertyNames": {"pattern": "^[^a]$"}, "minProperties": 4},
    {"const": {"a": 1}},
    {"properties": {"c": {"pattern": "^x", "maxLength": 2}}},
    {"$ref": "#/definitions/d", "definitions": {"d": {"type": "array"}}},
    {"type": "unknown"},
    {"type": 5},
    '{"type": "array"}',
    True,
    "{",
]
OPERATIONS: list[Any] = [
    [{"op": op, "path": path, "value": value, "from": "/b/0"}]
    for op in ("add", "remove", "replace", "move", "copy", "test", "odd")
    for path in ("/a", "/b/1", "/b/-", "/b/01", "/z/y", "/", "a/b", ["b", 2])
    for value in (9, [1])
] + [
    [
        {"op": "remove", "path": "/b/0"},
        {"op": "add", "path": "/b/0/x", "value": 1},
    ],
    [
        {"op": "add", "path": "/b/0", "value": {}},
        {"op": "add", "path": "/b/1/x", "value": 1},
    ],
    [
        {"op": "remove", "path": "/b/0"},
        {"op": "test", "path": "/b/0", "value": 2},
    ],
    [{"op": "replace", "path": "", "value": 4}],
    [{"op": "add", "path": "/q"}],
    [7],
]
POINTERS: list[Any] = [
    ["/a", "b/1"],
    [["b", "2", "c"]],
    [["b", 2, "c"]],
    ["/b/2/c", "/b/2"],
    ["/b/2", "/b/2/c"],
    [""],
    ["/"],
    [],
    [5],
    ["/c/x", "/~0/~1"],
]
YAMLS: list[Any] = [
    "a: 1\nb: [x, 'y', \"z\\n\"]\n",
    "- 1\n- yes\n- ~\n- 1.5\n- 2020-01-01\n",
    "a: |\n  x\n  y\nb: >\n  x\n  y\n",
    "1: x\ntrue: y\n",
    "[1",
    "a: b: c",
    "",
    "{a: {b: []}}",
    "1e3",
    "1.2.3",
    "\ttab",
    5,
]
PLAIN: list[Any] = [
    "true", "a", "1", "", "a: b", "# x", "multi\nline", " lead", "~", "é",
    "- x", "@x", "\t", "2020-01-01", "1_000", "y", "=", 10, 1.5, 1e-7,
    True, None, [], {}, [[1, 2], [3]],
    {"a10": 1, "a2": 2, "A": 3, "_": 4, "b": {"c": [1, {"d": None}]}},
]  # fmt: skip
GLOBS: list[Any] = [
    "a.a.",
    "[a-c]+x",
    "b*x",
    "a*",
    "",
    ".+",
    "[^a]",
    "[a-",
    "+a",
    "a\\*",
    "ab",
    "a\\",
    "x]",
]

SAMPLES: dict[str, Samples] = {
    "time.format": Samples("time.format(i)", (INSTANTS, ZONES, LAYOUTS)),
    "time.date": Samples("time.date(i)", (INSTANTS, ZONES)),
    "time.clock": Samples("time.clock(i)", (INSTANTS, ZONES)),
    "time.weekday": Samples("time.weekday(i)", (INSTANTS, ZONES)),
    "time.add_date": Samples(
        "time.add_date(i[0], i[1], i[2], i[3])",
        (
            [[at, zone] for at in INSTANTS for zone in ZONES[:6]],
            [0, 1, -300],
            [0, 13, -25],
            [0, 31, 1.0],
        ),
    ),
    "time.diff": Samples(
        "time.diff(i[0], i[1])",
        (
            [[at, zone] for at in INSTANTS for zone in ZONES[:5]],
            INSTANTS,
        ),
    ),
    "time.parse_rfc3339_ns": Samples(
        "time.parse_rfc3339_ns(i[0])", (MOMENTS,)
    ),
    "time.parse_ns": Samples(
        "time.parse_ns(i[0], i[1])",
        (
            [
                *LAYOUTS[1:9],
                "3:04 pm",
                "3:04 PM",
                "002 2006",
                "2006-01-02 15:04:05Z",
                "2006-01-02T15:04:05.000Z07",
            ],
            MOMENTS,
        ),
    ),
    "time.parse_duration_ns": Samples(
        "time.parse_duration_ns(i[0])", (DURATIONS,)
    ),
    "sprintf": Samples("sprintf(i[0], [i[1], 3])", (VERBS, NUMBERS), 100),
    "glob.match": Samples(
        "glob.match(i[0], i[1], i[2])",
        (PATTERNS, [None, [], ["."], ["b", "é"], ["ab"]], TEXTS),
    ),
    "glob.quote_meta": Samples("glob.quote_meta(i[0])", (PATTERNS,)),
    "regex.globs_match": Samples(
        "regex.globs_match(i[0], i[1])", (GLOBS, GLOBS)
    ),
    "regex.template_match": Samples(
        "regex.template_match(i[0], i[1], i[2], i[3])",
        (
            ["a<[0-9]+>b", "<a", "a>", "x{2}<.*>", "<(>", "a.b", "<<a>>"],
            ["a12b", "a.b", "xx", "x{2}q", "aXb"],
            ["<", "ab", ""],
            [">", ">>"],
        ),
    ),
    "net.cidr_contains": Samples(
        "net.cidr_contains(i[0], i[1])", (BLOCKS, BLOCKS)
    ),
    "net.cidr_intersects": Samples(
        "net.cidr_intersects(i[0], i[1])", (BLOCKS, BLOCKS)
    ),
    "net.cidr_contains_matches": Samples(
        "net.cidr_contains_matches(i[0], i[1])",
        (
            [
                "10.0.0.0/8",
                ["10.0.0.0/8", ["::/0", "x"]],
                {"k": "10.1.0.0/16"},
                [[]],
            ],
            ["10.1.2.3", ["10.1.2.3", "::1"], {"a": ["10.2.0.0/16"]}, 5],
        ),
    ),
    "net.cidr_expand": Samples(
        "net.cidr_expand(i[0])",
        (
            [
                "10.1.2.3/29",
                "2001:db8::ff/125",
                "10.0.0.1/32",
                "x",
                "::ffff:1.2.3.4/127",
            ],
        ),
    ),
    "net.cidr_is_valid": Samples("net.cidr_is_valid(i[0])", (BLOCKS,)),
    "net.cidr_merge": Samples(
        "net.cidr_merge(i)",
        (
            [*BLOCKS[:6], "172.16.5.5", 7],
            [*BLOCKS[:6], "10.1.2.4/31"],
            ["10.1.3.0/24", "10.2.2.0/23", "0.0.0.0/1", "128.0.0.0/1"],
        ),
    ),
    "net.cidr_merge of six": Samples(
        "net.cidr_merge(i)",
        (
            ["2001:db8::/33", "2001:db8:8000::/33", "::/0", "::1", "x"],
            ["2001:db8::/32", "2001:db9::/32", "2001:dba::/32", "::2/127"],
        ),
    ),
    "semver.compare": Samples(
        "semver.compare(i[0], i[1])", (VERSIONS, VERSIONS)
    ),
    "semver.is_valid": Samples("semver.is_valid(i[0])", (VERSIONS,)),
    "units.parse": Samples("units.parse(i[0])", (AMOUNTS,)),
    "units.parse_bytes": Samples("units.parse_bytes(i[0])", (AMOUNTS,)),
    "uuid.parse": Samples("uuid.parse(i[0])", (UUIDS,)),
    "uri.parse": Samples("uri.parse(i[0])", (URLS,)),
    "uri.is_valid": Samples("uri.is_valid(i[0])", (URLS,)),
    "urlquery.encode": Samples("urlquery.encode(i[0])", ([*QUERIES, *URLS],)),
    "urlquery.decode": Samples("urlquery.decode(i[0])", ([*QUERIES, *URLS],)),
    "urlquery.decode_object": Samples(
        "urlquery.decode_object(i[0])", (QUERIES,)
    ),
    "urlquery.encode_object": Samples(
        "urlquery.encode_object(i[0])",
        (
            [
                {"b": "x y", "a": ["1", "é&"]},
                {},
                {"a": 1},
                {"a": [1]},
                {"": ""},
            ],
        ),
    ),
    "json.patch": Samples("json.patch(i[0], i[1])", (DOCUMENTS, OPERATIONS)),
    "json.remove": Samples("json.remove(i[0], i[1])", (DOCUMENTS, POINTERS)),
    "json.filter": Samples("json.filter(i[0], i[1])", (DOCUMENTS, POINTERS)),
    "json.match_schema": Samples(
        "json.match_schema(i[0], i[1])", (DOCUMENTS, SCHEMAS)
    ),
    "json.verify_schema": Samples("json.verify_schema(i[0])", (SCHEMAS,), 2),
    "json.marshal_with_options": Samples(
        "json.marshal_with_options(i[0], i[1])",
        (
            [*DOCUMENTS, [], [[], {}]],
            [
                {},
                {"pretty": True},
                {"pretty": False, "indent": " "},
                {"prefix": "> "},
                {"indent": "é", "prefix": ""},
                {"odd": 1},
                {"indent": 1},
            ],
        ),
    ),
    "yaml.unmarshal": Samples("yaml.unmarshal(i[0])", (YAMLS,)),
    "yaml.is_valid": Samples("yaml.is_valid(i[0])", (YAMLS,)),
    "yaml.marshal": Samples("yaml.marshal(i[0])", (PLAIN,)),
    "base64.decode": Samples(
        "base64.decode(i[0])",
        (
            [
                "YWJj",
                "YQ==",
                "YQ=",
                "YQ",
                "Y\nQ==",
                "/w==",
                "w6k=",
                "-_==",
                "",
                "é",
                1,
            ],
        ),
    ),
    "base64url.decode": Samples(
        "base64url.decode(i[0])",
        (["YWJj", "YQ==", "YQ=", "YQ", "_w", "w6k", "+/8=", "Y", "", 1],),
    ),
    "hex.decode": Samples(
        "hex.decode(i[0])",
        (["6162", "C3a9", "ff", "6", "zz", "", "61 62", 1],),
    ),
    "strings.render_template": Samples(
        "strings.render_template(i[0], i[1])", (TEMPLATES, [VARIABLES]), 6
    ),
    "strings.render_template of what is spelled oddly": Samples(
        "strings.render_template(i[0], i[1])", ([SHOWN, "{{", 5], SPELLED)
    ),
    "strings.split_n": Samples(
        "strings.split_n(i[0], i[1], i[2])",
        (
            ["a,b,c", "", "abc", "é,"],
            [",", "", "bc"],
            [-9, -2, -1, 0, 1, 2, 9, 1.5],
        ),
    ),
    "graph.reachable_paths": Samples(
        "graph.reachable_paths(i[0], i[1])",
        (
            [
                {"a": ["b", "c"], "b": ["a"], "c": []},
                {"a": ["a"]},
                {"a": ["q"], "b": None},
                {},
            ],
            [["a"], ["b", "a"], ["q"], "a"],
        ),
    ),
    "crypto.md5": Samples("crypto.md5(i[0])", (["", "é", 1],)),
    "crypto.sha1": Samples("crypto.sha1(i[0])", (["", "é", 1],)),
    "crypto.sha256": Samples("crypto.sha256(i[0])", (["", "é", 1],)),
    **{
        f"crypto.hmac.{name}": Samples(
            f"crypto.hmac.{name}(i[0], i[1])", (["", "é", 1], ["", "k" * 200])
        )
        for name in ("md5", "sha1", "sha256", "sha512", "equal")
    },
}
SAMPLED = frozenset(SAMPLES)
AT_ONCE = 60


def operands(name: str) -> list[list[Any]]:
    """Every combination of a built-in's samples."""
    return [list(one) for one in product(*SAMPLES[name].operands)]


@pytest.fixture(scope="module")
def engines(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Engines]:
    """Each call on both engines, in a package of its own."""
    modules = {
        f"s{n}.rego": f"package s{n}\n\nx := [[v | v := f(i)] |"
        f" some i in input.items\n]\n\nf(i) := {samples.call}\n"
        for n, samples in enumerate(SAMPLES.values())
    }
    source = write_policy(tmp_path_factory.mktemp("samples"), modules)
    paths = tuple(f"s{n}/x" for n in range(len(SAMPLES)))
    with both(opa_binary, source, paths) as running:
        yield running


@pytest.mark.parametrize("name", SAMPLES)
def test_builtin_gives_what_opa_gives(engines: Engines, name: str) -> None:
    """A built-in agrees with OPA on every combination of its samples."""
    path = f"s{list(SAMPLES).index(name)}/x"
    items = operands(name)
    wanted: list[Any] = []
    for at in range(0, len(items), AT_ONCE):
        part = {"items": items[at : at + AT_ONCE]}
        said = engines.asked_server(path, part)
        assert isinstance(said, list)
        wanted += said
    assert len(items) == len(wanted)
    differing: list[Any] = []
    unanswered = 0
    for given, said in zip(items, wanted, strict=True):
        try:
            answer = engines.asked_embedded(path, {"items": [given]})
        except NoDecision as error:
            assert Cause.EVALUATION_ERROR == error.cause  # noqa: PT017 - its cause is what is looked at
            unanswered += 1
            continue
        if exactly(answer) != exactly([said]):
            differing.append((given, said, answer))
    assert [] == differing
    assert unanswered <= SAMPLES[name].unanswered


def test_manual_names_every_builtin_of_opa(opa_binary: Path) -> None:
    """The profile's manual says of each what it is: here, or refused."""
    manual = (ROOT / "policy/engine/PROFILE.md").read_text("utf-8")
    here, _, rest = manual.partition("## Refused")
    refused = rest.partition("\n## ")[0]
    current = current_capabilities(opa_binary)["builtins"]
    names = {builtin["name"] for builtin in current}
    listed, outside = _names(here, names), _names(refused, names)
    assert PROFILE.keys() | {"assign", "eq", "print"} == listed
    assert names - listed == outside


def _names(text: str, known: set[str]) -> set[str]:
    return set(re.findall(r"`([a-z0-9_.]+)`", text)) & known
