"""Rule sets of P3P's time: what they share, and how broken ones are mended.

An APPEL or XPref rule set is an ordered list of rules, each with a behavior;
the first rule that is true decides. Rule sets were passed around as printed
in papers, where they are not well-formed XML. `mend` repairs exactly these
faults, and says which it repaired:

``prefix-undeclared``
    ``appel:`` is used and nowhere declared: the root declares it.
``self-closed-rule``
    ``<RULE .../>`` is followed by a body and ``</RULE>``: it is opened.
``quote-in-condition``
    ``"`` or ``<`` stands within ``condition="..."``: it is escaped.
``stray-bracket``
    a ``]"`` closes a predicate of a condition that goes on after it: what
    it closed is put into parentheses, and the predicate goes on.
"""

import re
from dataclasses import dataclass
from typing import Protocol

from consent.errors import DeclarationInvalid, PreferencesInvalid
from consent.findings import Finding, Severity
from consent.p3p_xml import Element, read_xml

LARGEST = 128 * 1024
"""Bytes in one rule set at most."""

NO_RULE = 0
"""The number of the rule that decided, where none did."""

BLOCK = "block"
"""What happens where no rule is true: nothing is disclosed."""

_APPEL = "http://www.w3.org/2002/04/APPELv1"
_RULE = re.compile(
    r"<(/?)((?:appel:)?RULE)\b((?:[^<>\"']|\"[^\"]*\"|'[^']*')*?)(/?)>"
)
_CONDITION = re.compile(r"\bcondition\s*=\s*\"")
_CONDITION_ENDS = re.compile(
    r"\"(?=\s*/?>|\s+(?:behavior|description|crtdby|crtdon|persona|prompt"
    r"|promptmsg)\s*=)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a rule set says about a policy.

    Attributes:
        behavior: what to do: ``request``, ``limited``, ``block``, or a word
            of the application's own.
        rule: which rule decided, from 1; `NO_RULE` where none was true.
        description: what the rule calls itself.
        prompt: whether to ask the person first.
        message: what to ask them.
    """

    behavior: str
    rule: int
    description: str = ""
    prompt: bool = False
    message: str = ""


class Ruleset(Protocol):
    """An ordered list of rules over the XML of a policy."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """What was noticed while it was read."""

    def evaluate(self, policy: Element, *, uri: str = "") -> Outcome:
        """Say what the first rule that is true wants.

        Args:
            policy: a completed POLICY.
            uri: the resource in question, for rules that name one.

        Raises:
            PreferencesInvalid: a rule cannot be evaluated.
        """


def nothing_fires() -> Outcome:
    """Return what holds where no rule is true: nothing is disclosed."""
    return Outcome(behavior=BLOCK, rule=NO_RULE)


def read_rules(
    text: bytes, *, where: str, repair: bool
) -> tuple[Element, list[Finding]]:
    """Read the XML of a rule set, mending it if need be.

    Args:
        text: the bytes of the file.
        where: what to call the source in an error.
        repair: whether what is not well-formed may be mended.

    Returns:
        The root, and what was mended.

    Raises:
        PreferencesInvalid: it is too large, or is not XML.
    """
    if len(text) > LARGEST:
        msg = f"{where}: the rule set has more than {LARGEST} bytes"
        raise PreferencesInvalid(msg)
    try:
        return read_xml(text, where=where), []
    except DeclarationInvalid as error:
        if not repair or not error.what.startswith("this is not XML"):
            raise PreferencesInvalid(str(error)) from None
    mended, found = mend(text.decode("utf-8", "replace"), where=where)
    try:
        return read_xml(mended.encode(), where=where), found
    except DeclarationInvalid as error:
        raise PreferencesInvalid(str(error)) from None


def mend(text: str, *, where: str) -> tuple[str, list[Finding]]:
    """Repair the faults that printed rule sets have.

    Args:
        text: the text of a rule set.
        where: what to call the source in findings.

    Returns:
        The text, repaired, and a finding for each fault.
    """
    found: list[Finding] = []

    def note(at: int, code: str, message: str) -> None:
        line = text.count("\n", 0, at) + 1
        found.append(
            Finding(
                where=where,
                line=line,
                column=at - text.rfind("\n", 0, at),
                code=code,
                message=message,
                severity=Severity.WARNING,
            )
        )

    mended = _mend_conditions(text, note)
    mended = _open_rules(mended, note)
    if "appel:" in mended and "xmlns:appel" not in mended:
        note(0, "prefix-undeclared", "appel: is declared nowhere; it is now")
        mended = mended.replace(
            "<appel:RULESET", f'<appel:RULESET xmlns:appel="{_APPEL}"', 1
        )
    return mended, found


class _Note(Protocol):
    def __call__(self, at: int, code: str, message: str) -> None: ...


def _mend_conditions(text: str, note: _Note) -> str:
    parts: list[str] = []
    at = 0
    while start := _CONDITION.search(text, at):
        end = _CONDITION_ENDS.search(text, start.end())
        if end is None:
            break
        inner = text[start.end() : end.start()]
        if inner.count('"') % 2 and ']"' in inner:
            mended = _without_stray(inner)
            if mended != inner:
                note(
                    start.start(),
                    "stray-bracket",
                    'a ]" that closes too early is read as the end of a group',
                )
                inner = mended
        if '"' in inner or "<" in inner:
            note(
                start.start(),
                "quote-in-condition",
                "quotes within the condition are escaped",
            )
        inner = inner.replace('"', "&quot;").replace("<", "&lt;")
        parts += [text[at : start.end()], inner]
        at = end.start()
    return "".join(parts) + text[at:]


def _without_stray(inner: str) -> str:
    """Read the first ``]"`` whose quote opens no literal as a group's end."""
    quoted = False
    opened: list[int] = []
    for at, character in enumerate(inner):
        if character == '"':
            if not quoted and inner[at - 1 : at] == "]" and opened:
                start = opened[-1] + 1
                group = inner[start : at - 1]
                return f"{inner[:start]}({group}){inner[at + 1 :]}"
            quoted = not quoted
        elif not quoted and character == "[":
            opened.append(at)
        elif not quoted and character == "]" and inner[at + 1 : at + 2] != '"':
            del opened[-1:]
    return inner


def _open_rules(text: str, note: _Note) -> str:
    """Open self-closed rules that are followed by a closing tag."""
    closed: re.Match[str] | None = None
    slashes: list[int] = []
    for tag in _RULE.finditer(text):
        if tag[1]:
            if closed is not None:
                slashes.append(closed.start(4))
                note(
                    closed.start(),
                    "self-closed-rule",
                    "a RULE closes itself before its body; it is opened",
                )
            closed = None
        else:
            closed = tag if tag[4] else None
    for at in reversed(slashes):
        text = text[:at] + text[at + 1 :]
    return text
