"""Hostile P3P and YAML, made of good texts and of what parsers fear.

A case is made from one seed by a chain of changes: bytes flipped, cut,
doubled; words of the vocabularies put where others stand; entities, deep
nests, huge attributes, aliases, odd encodings. Whatever comes of it, each
reader must return or raise its one error, in bounded time and memory, and
what was read must be stable under writing and reading again.
"""

import copy
import random
import time
import tracemalloc
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from api.demo.world import declarations
from api.portal import portal_declaration
from consent import (
    PRESETS,
    Controller,
    DeclarationInvalid,
    PreferencesInvalid,
    compact_of,
    load_yaml,
    match,
    read_compact,
    read_declaration,
    read_p3p,
    read_p3p_document,
    read_ruleset,
    site_policies,
    site_references,
    write_declaration,
    write_p3p,
)
from consent.p3p_xml import LARGEST

ROOT = Path(__file__).parents[2]
CORPUS = ROOT.parent / "shared/corpus/p3p"
# A case may take so much processor time, a hundred times what a good one of
# its size takes on a loaded machine, and so much memory above its size.
SLOWEST = 20.0
HEAVIEST = 300_000_000

_XML_BITS = (
    *(b"<PURPOSE>", b"</PURPOSE>", b"<current/>", b"<contact required='x'/>"),
    *(b"<RECIPIENT><ours/></RECIPIENT>", b"<RETENTION/>", b"<STATEMENT/>"),
    *(b"<NON-IDENTIFIABLE/>", b"<EXTENSION optional='no'/>", b"<TEST/>"),
    *(b"<DATA ref='#user'/>", b"<DATA ref='#dynamic.cookies'/>"),
    *(b"<DATA-STRUCT name='a.b' structref='#a'/>", b"<DATASCHEMA/>"),
    *(b"<DATA-DEF name='a' structref='#a'/>", b"<EXPIRY max-age='9e9'/>"),
    *(b"<INCLUDE>/*</INCLUDE>", b"<POLICY-REF about='#'/>", b"<METHOD/>"),
    *(b"&lt;", b"&#0;", b"&#x110000;", b"&a;", b"<![CDATA[", b"]]>"),
    *(b"<!DOCTYPE a [<!ENTITY a 'b'>]>", b"<?xml version='1.1'?>"),
    *(b"<?xml version='1.0' encoding='utf-7'?>", b"\xff\xfe", b"\xef\xbb\xbf"),
    *(b"xmlns='http://x/'", b"xmlns:a='http://www.w3.org/2002/01/P3Pv1'"),
    *(b"<a:POLICY xmlns:a='http://www.w3.org/2002/01/P3Pv1'/>", b"\x00"),
)
_YAML_BITS = (
    *(b"&a ", b"*a", b"<<: *a", b"!!python/object:os.system ", b"!!int "),
    *(b"---\n", b"...\n", b"? ", b"- - - ", b"{{{", b"[[[", b"|\n", b">-\n"),
    *(b"\xef\xbb\xbf", b"\xff\xfe", b"\x00", b"\t", b"\r", b"\xe2\x80\xa8"),
    *(b"version: 99999999999999999999", b"version: 1e999", b"k: .inf"),
    *(b"basis: consent", b"retention: forever", b"terms: [dpv:Consent]"),
    *(b"attribute: user", b"optional: yes", b"categories: [health]"),
    *(b"%YAML 1.2\n", b"%TAG ! tag:x,2000:\n", b"\xed\xa0\x80", b"\xc0\x80"),
)


@dataclass(slots=True, kw_only=True)
class Found:
    """What came of the cases.

    Attributes:
        cases: how many there were.
        read: how many could be read, by kind.
        refused: how many were refused, by code.
        slowest: processor seconds of the slowest.
        heaviest: bytes that the heaviest took at its peak, where measured.
    """

    cases: int = 0
    read: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    heaviest: int = 0


class BrokenError(AssertionError):
    """A case broke a promise; the message has its kind and its seed."""


def fuzz(
    seed: int, *, seconds: float, most: int | None = None, weigh: bool = False
) -> Found:
    """Try cases until the time is over.

    Args:
        seed: the first case; each next one has the next number.
        seconds: how long, by the wall.
        most: so many cases at most.
        weigh: measure memory too, which costs time.

    Returns:
        What came of them.

    Raises:
        BrokenError: a reader crashed, hung, ate memory, or forgot something.

    """
    found = Found()
    texts = seeds()
    end = time.monotonic() + seconds
    if weigh:
        tracemalloc.start()
    try:
        while time.monotonic() < end and found.cases != most:
            _try(seed + found.cases, texts, found, weigh=weigh)
            found.cases += 1
    finally:
        if weigh:
            tracemalloc.stop()
    return found


def case(seed: int, texts: Mapping[str, list[bytes]]) -> tuple[str, bytes]:
    """Make the case of a seed: its kind, and its bytes."""
    draw = random.Random(seed)  # noqa: S311 - hostile, not secret
    kind = draw.choice(sorted(texts))
    if draw.random() < 0.03:
        return kind, draw.choice(_bombs(draw, kind))
    text = draw.choice(texts[kind])
    if kind in {"p3p", "ruleset"} and draw.random() < 0.6:
        return kind, _grown(text, draw)
    if kind == "yaml" and draw.random() < 0.6:
        return kind, _rewritten(text, draw)
    bits = _YAML_BITS if kind == "yaml" else _XML_BITS
    for _ in range(draw.randint(0, 8)):
        text = _changed(text, draw, bits, texts[kind])
    return kind, text[: LARGEST + 1]


def seeds() -> dict[str, list[bytes]]:
    """Return good texts to begin with, by kind."""
    declared = list(declarations())
    portal = portal_declaration(Controller(name="Fuzz"))
    whole = write_p3p(site_policies(declared, portal=portal))
    found = {
        "p3p": [whole, write_p3p(site_references(declared)), *_corpus("xml")],
        "yaml": [
            path.read_bytes()
            for path in sorted((ROOT / "api/demo/declarations").iterdir())
        ],
        "compact": [b'CP="ALL CUR OUR STP STA"', *_headers()],
        "ruleset": [_APPEL, *_corpus("appel-xpref")],
        "stored": [write_declaration(one).encode() for one in declared],
    }
    return {
        kind: [text for text in texts if len(text) < 60_000]
        for kind, texts in found.items()
    }


_APPEL = (
    b'<appel:RULESET xmlns:appel="http://www.w3.org/2002/04/APPELv1"'
    b' xmlns="http://www.w3.org/2002/01/P3Pv1">'
    b'<appel:RULE behavior="block"><POLICY><STATEMENT><PURPOSE'
    b' appel:connective="or"><contact/><telemarketing/></PURPOSE>'
    b"</STATEMENT></POLICY></appel:RULE>"
    b'<appel:RULE behavior="request"><appel:OTHERWISE/></appel:RULE>'
    b"</appel:RULESET>"
)


def _corpus(name: str) -> Iterator[bytes]:
    folder = CORPUS / name
    if folder.is_dir():
        for path in sorted(folder.iterdir()):
            yield path.read_bytes()


def _headers() -> list[bytes]:
    path = CORPUS / "cp_headers.tsv"
    return path.read_bytes().splitlines() if path.is_file() else []


def _changed(
    text: bytes,
    draw: random.Random,
    bits: tuple[bytes, ...],
    others: list[bytes],
) -> bytes:
    at = draw.randint(0, len(text))
    to = min(len(text), at + draw.randint(0, 40))
    ways: tuple[Callable[[], bytes], ...] = (
        lambda: text[:at] + text[to:],
        lambda: text[:at] + draw.choice(bits) + text[at:],
        lambda: text[:at] + draw.choice(bits) + text[to:],
        lambda: text[:at] + text[at:to] * draw.randint(2, 300) + text[to:],
        lambda: text[:at] + draw.randbytes(draw.randint(1, 4)) + text[to:],
        lambda: text[:at] + draw.choice(others)[at:],
        lambda: text[:at] + text[at:to][::-1] + text[to:],
        lambda: text.decode("utf-8", "replace").encode(
            draw.choice(("utf-16", "utf-8-sig", "utf-32"))
        ),
    )
    return draw.choice(ways)()


def _grown(text: bytes, draw: random.Random) -> bytes:
    """Change a file as XML, so that it stays XML: parts and words move."""
    try:
        root = ET.fromstring(text)  # noqa: S314 - our own good texts
    except ET.ParseError:
        return text
    every = list(root.iter())
    for _ in range(draw.randint(1, 12)):
        one, other = draw.choice(every), draw.choice(every)
        way = draw.randrange(7)
        if way == 0 and len(one):
            one.remove(draw.choice(list(one)))
        elif way == 1:
            one.tag = other.tag
        elif way == 2:
            one.append(copy.deepcopy(other))
        elif way == 3:
            one.attrib.update(other.attrib)
        elif way == 4 and one.attrib:
            key = draw.choice(sorted(one.attrib))
            one.set(key, draw.choice(_VALUES))
        elif way == 5:
            one.text = draw.choice(_VALUES)
        else:
            one[:] = draw.sample(list(one), len(one))
        if len(ET.tostring(root)) > 100_000:
            break
    encoding = draw.choice(("utf-8", "utf-16", "latin-1"))
    return bytes(ET.tostring(root, encoding))


def _rewritten(text: bytes, draw: random.Random) -> bytes:
    """Change a text by lines and words, so that it stays YAML for longer."""
    lines = text.decode().splitlines()
    for _ in range(draw.randint(1, 6)):
        at = draw.randrange(len(lines))
        way, value = draw.randrange(5), draw.choice(_VALUES)
        if way == 0:
            head, colon, _ = lines[at].partition(": ")
            lines[at] = f"{head}{colon}{value}"
        elif way == 1:
            lines.insert(at, draw.choice(lines))
        elif way == 2:
            words = lines[at].split(" ")
            words[draw.randrange(len(words))] = value
            lines[at] = " ".join(words)
        elif way == 3:
            lines[at] = " " * draw.randrange(9) + lines[at].lstrip()
        elif len(lines) > 1:
            del lines[at]
    return "\n".join(lines).encode("utf-8", "replace")


_VALUES = (
    *("", " ", "yes", "no", "true", "always", "opt-in", "current", "ours"),
    *("#user", "#user.name", "#dynamic.miscdata", "#dynamic.cookies", "#"),
    *("http://www.w3.org/TR/P3P/base", "#user.home-info.postal", "user.bdate"),
    *("86400", "-1", "9" * 30, "1e9", "Thu, 01 Jan 1970 00:00:00 GMT", "soon"),
    *("*", "/*", "/%2A", "/%zz", "a" * 300, "\u202e", "\U0001f600", "x y"),
    *("legal-requirement", "indefinitely", "consent", "[ours]", "[]", "{}"),
    *("and-exact", "non-or", "or", "block", "request", "\x85", "0", "1.0"),
)


def _bombs(draw: random.Random, kind: str) -> list[bytes]:
    """What parsers fear, at the size of the limit."""
    many = draw.choice((1000, 40_000, 200_000))
    if kind == "yaml":
        laughs = b"a0: &a0 [x]\n" + b"".join(
            b"a%d: &a%d [%s]\n" % (n, n, b",".join([b"*a%d" % (n - 1)] * 9))
            for n in range(1, 20)
        )
        return [
            laughs,
            *(b"[" * many, b"{a: " * many, b"- " * many, b"? " * many),
            *(b"a: " + b"x" * many, b"'" * many, b"\n" * many, b"a:\n" * many),
            b"service: " + b"\\x41" * many,
        ]
    name = b"POLICIES" if kind == "p3p" else b"RULESET"
    entities = b"".join(
        b'<!ENTITY e%d "%s">' % (n, b"&e%d;" % (n - 1) * 9)
        for n in range(1, 20)
    )
    return [
        b"<!DOCTYPE P [%s]><P>&e19;</P>" % entities,
        b'<!DOCTYPE P SYSTEM "file:///etc/passwd"><P/>',
        *(b"<a>" * many, b"<%s>" % name * many, b"<a " * many),
        b"<%s a='%s'/>" % (name, b"x" * many),
        b"<%s %s/>" % (name, b" ".join(b"a%d=''" % n for n in range(many))),
        b"<%s>%s</%s>" % (name, b"<POLICY/>" * (many // 10), name),
        b"<%s>%s</%s>" % (name, b"&#65;" * many, name),
        b"<%s><!--%s--></%s>" % (name, b"-x" * many, name),
        b"CP=" + b"CUR " * many,
        b"[" * many,
    ]


def _try(
    seed: int, texts: Mapping[str, list[bytes]], found: Found, *, weigh: bool
) -> None:
    kind, text = case(seed, texts)
    where = f"{kind} case of seed {seed}"
    if weigh:
        tracemalloc.reset_peak()
    start = time.process_time()
    try:
        _READERS[kind](text)
        found.read[kind] += 1
    except DeclarationInvalid as error:
        found.refused[error.code] += 1
        if error.line < 0 or error.column < 0 or not error.remedy:
            msg = f"{where}: the error says no place or no remedy"
            raise BrokenError(msg) from error
    except PreferencesInvalid:
        found.refused["preferences"] += 1
    except Exception as error:
        msg = f"{where}: {type(error).__name__} came out"
        raise BrokenError(msg) from error
    spent = time.process_time() - start
    found.slowest = max(found.slowest, spent)
    if spent > SLOWEST:
        msg = f"{where}: it took {spent:.1f} s for {len(text)} bytes"
        raise BrokenError(msg)
    if weigh:
        peak = tracemalloc.get_traced_memory()[1]
        found.heaviest = max(found.heaviest, peak)
        if peak > HEAVIEST:
            msg = f"{where}: it took {peak} bytes for {len(text)}"
            raise BrokenError(msg)


def _p3p(text: bytes) -> None:
    document, _ = read_p3p_document(text, where="x")
    if document.root != "POLICY" or document.policies:
        again, _ = read_p3p_document(write_p3p(document), where="y")
        if write_p3p(again) != write_p3p(document):
            msg = "what was written reads otherwise"
            raise AssertionError(msg)
    for policy in document.policies:
        read_compact(f'CP="{compact_of(policy).text()}"', where="z")
    reading = read_p3p(text, where="x", include_tests=True)
    for one in reading.declarations[:20]:
        read_declaration(write_declaration(one), where="y")
        if len(one.tuples()) < 5000:
            match(PRESETS["careful"], one)


def _yaml(text: bytes) -> None:
    one = load_yaml(text, where="x")
    if (
        read_declaration(write_declaration(one), where="y").digest
        != one.digest
    ):
        msg = "what was stored reads otherwise"
        raise AssertionError(msg)


def _compact(text: bytes) -> None:
    read_compact(text.decode("utf-8", "replace"), where="x")


def _ruleset(text: bytes) -> None:
    read_ruleset(text, where="x")


def _stored(text: bytes) -> None:
    read_declaration(text.decode("utf-8", "replace"), where="x")


_READERS: Mapping[str, Callable[[bytes], None]] = {
    "p3p": _p3p,
    "yaml": _yaml,
    "compact": _compact,
    "ruleset": _ruleset,
    "stored": _stored,
}
