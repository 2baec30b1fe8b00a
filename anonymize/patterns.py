r"""Patterns of personal data in English and Chinese text.

Each is written for text in the form that `folding.plain` gives, in which
digits, dashes and full-width letters are ASCII. None uses ``\b``: Chinese
characters are word characters, so a value glued to Chinese text would have
no word boundary. Instead each looks for digits, or for ASCII letters and
digits, on either side. None can backtrack over more than its own bounded
length.

What cannot be told from a pattern is not here: names and places of people
who are not known (`chinese_names`, `chinese_addresses`, `english_names`).

Each match holds a digit, an ``@``, or a word for passport, so long stretches
without any of them are passed over.
"""

import datetime as dt
import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from anonymize.overlaps import Hit

_DIGIT = r"(?<![0-9])"
_END = r"(?![0-9])"
_NUMBER = _DIGIT + r"(?=[0-9])"
_CALL = _DIGIT + r"(?=[0-9+(])"
_WORD = r"(?<![A-Za-z0-9])"
_WORD_END = r"(?![A-Za-z0-9])"
_MONTH = (
    r"(?:[Jj]an|[Ff]eb|[Mm]ar|[Aa]pr|[Mm]ay|[Jj]une?|[Jj]uly?|[Aa]ug|[Ss]ep"
    r"|[Oo]ct|[Nn]ov|[Dd]ec|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
    r"[A-Za-z]{0,6}\.?"
)
_TIME = r"(?:[ T][0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?Z?)?"
_NUMERAL = "[〇零一二三四五六七八九十]"
_STRETCH = 80  # longer than what a match has before its first digit
_IDLE = re.compile(rf"[^0-9:@年照tT]{{{2 * _STRETCH + 1},}}")
_LATIN = "A-Za-z0-9\u00c0-\u024f"

Check = Callable[[str], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One pattern.

    Attributes:
        entity: label of what it finds.
        regex: what is looked for; where it has a group ``value``, that.
        score: how sure a match is, from 0 to 1.
        check: returns how many characters of a match are the value, 0 where
            it is none; None takes the match.
        checked: score of a match that the check has confirmed.
    """

    entity: str
    regex: re.Pattern[str]
    score: float
    check: Check | None = None
    checked: float = 1.0


class Patterns:
    """Finds what has a pattern. Holds its rules and nothing of any text."""

    def __init__(self) -> None:
        rules = make_rules()
        self._mail = [rule for rule in rules if rule.entity == "EMAIL"]
        self._rest = [rule for rule in rules if rule.entity != "EMAIL"]

    def find(self, text: str) -> list[Hit]:
        """Return what is found in a text in folded form (`folding.plain`).

        Args:
            text: the text.
        """
        hits: list[Hit] = []
        if "@" in text:
            for rule in self._mail:
                hits += _hits(rule, text, 0, len(text))
        for start, end in _busy(text):
            for rule in self._rest:
                hits += _hits(rule, text, start, end)
        return hits


def _busy(text: str) -> Iterator[tuple[int, int]]:
    """Yield the pieces of a text in which something can match."""
    start = 0
    for idle in _IDLE.finditer(text):
        first, last = idle.span()
        if first or start:
            yield start, min(len(text), first + _STRETCH)
        start = last - _STRETCH
    if start + _STRETCH < len(text) or not start:
        yield start, len(text)


def _hits(rule: Rule, text: str, start: int, end: int) -> Iterator[Hit]:
    group = "value" if "value" in rule.regex.groupindex else 0
    for match in rule.regex.finditer(text, start, end):
        first, last = match.span(group)
        score = rule.score
        if rule.check is not None:
            length = rule.check(match[group])
            if not length:
                continue
            last, score = first + length, rule.checked
        yield Hit(entity=rule.entity, start=first, end=last, score=score)


def make_rules() -> tuple[Rule, ...]:
    """Return the rules for English and Chinese."""
    return (
        *_identity(),
        *_phones(),
        *_accounts(),
        *_plates(),
        *_network(),
        *_dates(),
    )


def _rule(
    entity: str, regex: str, score: float, check: Check | None = None
) -> Rule:
    return Rule(
        entity=entity, regex=re.compile(regex), score=score, check=check
    )


def _identity() -> tuple[Rule, ...]:
    birth = (
        r"(?:18|19|20)[0-9]{2} ?(?:0[1-9]|1[0-2])(?:0[1-9]|[12][0-9]|3[01])"
    )
    resident = rf"{_DIGIT}[1-9][0-9]{{5}}[ -]?{birth}[ -]?[0-9]{{3}}[0-9Xx]"
    passport = r"[EGDSP][A-HJ-NP-Z0-9][0-9]{7}|H[0-9]{8,10}"
    context = (
        r"(?:护照|[Pp]assport)[^0-9A-Za-z]{0,12}"
        r"(?:(?:[Nn]o|[Nn]umber)\W{0,3})?"
    )
    return (
        _rule("CN_ID", resident + _END, 1.0, _resident_length),
        _rule("CN_ID", resident + _END, 0.6),
        _rule(
            "CN_ID",
            rf"{_DIGIT}[1-9][0-9]{{7}}(?:0[1-9]|1[0-2])"
            rf"(?:0[1-9]|[12][0-9]|3[01])[0-9]{{3}}{_END}",
            0.4,
        ),
        _rule("PASSPORT", rf"{_WORD}(?:{passport}){_WORD_END}", 0.4),
        _rule("PASSPORT", rf"{context}(?P<value>[A-Z0-9]{{6,12}})", 0.7),
        _rule(
            "PERMIT",
            rf"(?:通行证|居住证|军官证|驾驶证|社保卡|医保卡|病历|学号|工号)"
            rf"(?:号码|编号|号)?[^0-9A-Za-z\u4e00-\u9fff]{{0,4}}"
            rf"(?P<value>[A-Z0-9]{{6,20}}){_WORD_END}",
            0.6,
        ),
        _rule(
            "US_SSN", rf"{_DIGIT}[0-9]{{3}}-[0-9]{{2}}-[0-9]{{4}}{_END}", 0.6
        ),
    )


def _phones() -> tuple[Rule, ...]:
    china = r"(?:(?:\+|00)?86[ -]?)?"
    code = "0(?:10|2[0-9]|[3-9][0-9]{2})"
    area = rf"(?:\({code}\)|{code})[ -]?"
    trunk = "0[1-9][0-9]{0,4}"
    extension = r"(?: ?(?:-|x|ext\.?|转) ?[0-9]{1,6})?"
    return (
        _rule(
            "PHONE",
            rf"{_CALL}{china}1[3-9][0-9](?:[ -]?[0-9]{{4}}){{2}}{_END}",
            0.7,
        ),
        _rule(
            "PHONE",
            rf"{_CALL}{china}{area}[2-9][0-9]{{2,3}}[ -]?[0-9]{{4}}"
            rf"{extension}{_END}",
            0.6,
        ),
        _rule(
            "PHONE",
            rf"{_CALL}(?:\+?1[ .-]?)?(?:\([2-9][0-9]{{2}}\) ?|"
            r"[2-9][0-9]{2}[ .-]?)[2-9][0-9]{2}[ .-]?[0-9]{4}"
            rf"{extension}{_END}",
            0.5,
        ),
        _rule(
            "PHONE",
            rf"{_CALL}(?:\({trunk}\)|{trunk})(?:[ .-]?[0-9]{{2,4}}){{2,4}}"
            rf"{extension}{_END}",
            0.5,
        ),
        _rule(
            "PHONE",
            rf"{_DIGIT}(?:\+|00)[1-9][0-9]{{0,2}}[ .-]?(?:\(0?[0-9]{{0,4}}\)"
            rf"[ .-]?)?[0-9](?:[ .-]?[0-9]){{5,12}}{extension}{_END}",
            0.6,
        ),
        Rule(
            entity="PHONE",
            regex=re.compile(
                r"(?<![0-9.])(?:\([0-9]{2,4}\)|[0-9]{2,4})"
                r"(?:[ .-][0-9]{2,4}){2,4}"
                r"(?!\.?[0-9])"
            ),
            score=0.4,
            check=_phone_length,
            checked=0.4,
        ),
    )


def _phone_length(text: str) -> int:
    """Digits in groups: a telephone number has 8 to 15 (E.164)."""
    return len(text) if 8 <= sum(map(str.isdecimal, text)) <= 15 else 0


def _accounts() -> tuple[Rule, ...]:
    return (
        _rule(
            "IBAN",
            rf"{_WORD}[A-Za-z]{{2}}[0-9]{{2}}(?:[ -]?[A-Za-z0-9]{{4}}){{2,7}}"
            rf"(?:[ -]?[A-Za-z0-9]{{1,3}})?{_WORD_END}",
            1.0,
            _iban_length,
        ),
        _rule(
            "ACCOUNT",
            r"(?:卡号|账号|帐号|账户|帐户|银行卡)[^0-9]{0,6}"
            rf"(?P<value>[0-9](?:[ -]?[0-9]){{8,20}}){_END}",
            0.6,
        ),
        Rule(
            entity="CARD",
            regex=re.compile(
                rf"(?<![0-9+])[1-9](?:[ -]?[0-9]){{11,18}}{_END}"
            ),
            score=1.0,
            check=_card_length,
            checked=0.95,
        ),
    )


def _plates() -> tuple[Rule, ...]:
    """Chinese licence plates, those of new-energy vehicles too (GA 36)."""
    place = "[京津沪渝冀豫云辽黑湘皖鲁新苏浙赣鄂桂甘晋蒙陕吉闽贵粤青藏川宁琼]"
    letter, sign = "[A-HJ-NP-Z]", "[A-HJ-NP-Z0-9]"
    energy = rf"[A-HJK]{sign}[0-9]{{4}}|[0-9]{{5}}[A-HJK]"
    usual = rf"(?=[A-Z0-9]{{0,4}}[0-9]){sign}{{4}}(?:{sign}|[挂学警港澳领])"
    embassy = r"使[0-9]{6}|[0-9]{6}使"
    return (
        _rule(
            "PLATE",
            rf"(?:{place}{letter}[·• -]?(?:{energy}|{usual})|{embassy})"
            r"(?![A-Za-z0-9])",
            0.8,
        ),
    )


def _network() -> tuple[Rule, ...]:
    octet = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
    return (
        _rule(
            "EMAIL",
            rf"(?<![{_LATIN}._%+'-])[{_LATIN}._%+'-]+@"
            rf"(?:[{_LATIN}](?:[{_LATIN}-]{{0,61}}[{_LATIN}])?\.)+"
            r"[A-Za-z]{2,63}",
            0.9,
        ),
        _rule(
            "IP_ADDRESS",
            rf"(?<![0-9.])(?=[0-9]){octet}(?:\.{octet}){{3}}(?!\.?[0-9])",
            0.7,
        ),
        _rule(
            "IP_ADDRESS",
            r"(?<![0-9A-Za-z:.])(?=[0-9A-Fa-f:])(?:[0-9A-Fa-f]{0,4}:){2,7}"
            r"[0-9A-Fa-f]{0,4}"
            r"(?![0-9A-Za-z:])",
            0.9,
            _ip_length,
        ),
    )


def _dates() -> tuple[Rule, ...]:
    day = r"[0-3]?[0-9](?:st|nd|rd|th)?"
    year = r"[12][0-9]{3}"
    return (
        _rule(
            "DATE",
            rf"{_DIGIT}{year}([-/.])(?:0?[1-9]|1[0-2])\1"
            rf"(?:[12][0-9]|3[01]|0?[1-9]){_TIME}{_END}",
            0.6,
        ),
        _rule(
            "DATE",
            rf"{_NUMBER}[0-3]?[0-9]([-/.])[0-3]?[0-9]\1"
            rf"(?:{year}|[0-9]{{2}}){_TIME}{_END}",
            0.5,
        ),
        _rule(
            "DATE",
            rf"{_NUMBER}{day}(?: of)?[ -]{_MONTH},?[ -](?:{year}|[0-9]{{2}})"
            rf"{_END}",
            0.6,
        ),
        _rule(
            "DATE",
            rf"(?<![A-Za-z])(?=[ADFJMNOSadfjmnos]){_MONTH}"
            rf"(?: {day}(?:,? {year})?|,? {year}){_END}",
            0.5,
        ),
        _rule(
            "DATE",
            rf"{_DIGIT}{year} ?年 ?[0-9]{{1,2}} ?月"
            r"(?: ?[0-9]{1,2} ?[日号])?",
            0.7,
        ),
        _rule(
            "DATE",
            rf"{_NUMERAL}{{4}}年{_NUMERAL}{{1,2}}月"
            rf"(?:{_NUMERAL}{{1,3}}[日号])?",
            0.7,
        ),
    )


def _resident_length(text: str) -> int:
    """Chinese resident identity number: real date and MOD 11-2 (GB 11643)."""
    number = re.sub("[ -]", "", text).upper()
    try:
        dt.date.fromisoformat(
            f"{number[6:10]}-{number[10:12]}-{number[12:14]}"
        )
    except ValueError:
        return 0
    weights = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
    total = sum(
        weight * int(digit)
        for weight, digit in zip(weights, number[:17], strict=True)
    )
    return len(text) if "10X98765432"[total % 11] == number[17] else 0


def _card_length(text: str) -> int:
    """Payment card number: check digit of ISO/IEC 7812 (Luhn)."""
    digits = [int(char) for char in text if char.isdecimal()]
    total = sum(digits[-1::-2])
    total += sum(sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return len(text) if total % 10 == 0 and len({*digits}) > 1 else 0


def _iban_length(text: str) -> int:
    """Longest start that is an IBAN (ISO 13616: remainder 1 of 97)."""
    for end in range(len(text), 14, -1):
        bare = re.sub("[ -]", "", text[:end]).upper()
        if text[end - 1] in " -" or not 15 <= len(bare) <= 34:
            continue
        turned = bare[4:] + bare[:4]
        if int("".join(str(int(char, 36)) for char in turned)) % 97 == 1:
            return end
    return 0


def _ip_length(text: str) -> int:
    """IPv6 address (RFC 4291)."""
    try:
        ipaddress.IPv6Address(text)
    except ValueError:
        return 0
    return len(text) if len(text) > 2 else 0
