"""What counts as a value: one canonical text for each kind of attribute.

`canonical` turns what somebody sent into the one text that is stored, or
raises `InvalidValue` with a short code and never with the text. All texts
are in Unicode normal form C (UAX 15), without control characters, unpaired
surrogates, noncharacters or characters that turn the reading direction.

Stricter than the standards: e-mail addresses are ASCII dot-atoms (RFC 5321
without quoting), dates are ``YYYY-MM-DD`` alone of ISO 8601.
"""

import re
import unicodedata
from collections.abc import Callable
from datetime import date
from enum import StrEnum


class Kind(StrEnum):
    """The kinds of attribute. Stored nowhere: a kind may get stricter."""

    TEXT = "text"
    NOTE = "note"
    DATE = "date"
    INTEGER = "integer"
    EMAIL = "email"
    PHONE = "phone"
    IDENTITY_NUMBER = "identity-number"
    POSTAL_CODE = "postal-code"
    COUNTRY = "country"
    URI = "uri"


class Unfit(Exception):
    """Internal: why a text is no value. The code is the only argument."""

    def __init__(self, reason: str) -> None:
        """Keep the reason's code."""
        self.reason = reason
        super().__init__(reason)


_TURNING = frozenset("\u061c\u200e\u200f\u2028\u2029\ufeff").union(
    map(chr, range(0x202A, 0x202F)), map(chr, range(0x2066, 0x206A))
)
_NOTE_CONTROLS = frozenset("\n\t")

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_INTEGER = re.compile(r"0|[1-9][0-9]{0,17}")
_ATOM = r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"{_ATOM}(?:\.{_ATOM})*@{_LABEL}(?:\.{_LABEL})+")
_PHONE_FILLER = re.compile(r"[ ().\-/]")
_PHONE = re.compile(r"\+?[0-9]{5,15}")
_IDENTITY = re.compile(r"[1-9][0-9]{5}(?:18|19|20)[0-9]{9}[0-9X]")
_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECKS = "10X98765432"
_POSTAL = re.compile(r"[A-Z0-9](?:[ -]?[A-Z0-9]){1,9}")
_COUNTRY = re.compile(r"[A-Z]{2}")
_URI = re.compile(r"(?:https?|mailto|urn):[!-~]+")


def canonical(kind: Kind, value: object, max_length: int) -> str:
    """Turn a text into the one form of it that is stored.

    Args:
        kind: what it should be.
        value: what was sent.
        max_length: most characters of the canonical text.

    Returns:
        The canonical text; canonicalising it again changes nothing.

    Raises:
        Unfit: it is no value of that kind.

    """
    if not isinstance(value, str):
        reason = "not-text"
        raise Unfit(reason)
    # Before normalising: NFC work on a hostile length is not free.
    if len(value) > 4 * max_length + 64:
        reason = "too-long"
        raise Unfit(reason)
    text = _clean(value, note=kind is Kind.NOTE)
    form = _FORMS.get(kind)
    if form is not None:
        text = form(text)
    if len(text) > max_length:
        reason = "too-long"
        raise Unfit(reason)
    return text


def index_form(kind: Kind, text: str) -> str:
    """Give the form of a canonical text that a blind index is made over."""
    return text.lower() if kind is Kind.EMAIL else text


def prefix_form(text: str, prefix: int) -> str | None:
    """Give the form that a shared index is made over, letters' case apart.

    Args:
        text: a canonical value.
        prefix: how many characters count; 0 for all.

    Returns:
        The form; none where the value is shorter than the prefix.

    """
    form = text.casefold()
    if not prefix:
        return form
    return form[:prefix] if len(form) >= prefix else None


def _clean(value: str, *, note: bool) -> str:
    if value.isascii():
        text = value.strip()
        if not text.isprintable():
            _refuse_controls(text, note=note)
    else:
        _refuse_strange(value)
        text = unicodedata.normalize("NFC", value).strip()
        _refuse_controls(text, note=note)
    if not text:
        reason = "empty"
        raise Unfit(reason)
    return text


def _refuse_strange(value: str) -> None:
    for character in value:
        point = ord(character)
        if 0xD800 <= point <= 0xDFFF:
            reason = "not-unicode"
            raise Unfit(reason)
        if (
            point & 0xFFFE == 0xFFFE
            or 0xFDD0 <= point <= 0xFDEF
            or character in _TURNING
        ):
            reason = "forbidden-character"
            raise Unfit(reason)


def _refuse_controls(text: str, *, note: bool) -> None:
    for character in text:
        if unicodedata.category(character) != "Cc":
            continue
        if note and character in _NOTE_CONTROLS:
            continue
        reason = "control-character"
        raise Unfit(reason)


def _date(text: str) -> str:
    reason = "not-a-date"
    if not _DATE.fullmatch(text):
        raise Unfit(reason)
    try:
        date.fromisoformat(text)
    except ValueError:
        raise Unfit(reason) from None
    return text


def _matching(
    pattern: re.Pattern[str], reason: str, *, upper: bool = False
) -> Callable[[str], str]:
    def form(text: str) -> str:
        # Beyond ASCII, other letters turn into these: the dotless i into I.
        shown = text.upper() if upper and text.isascii() else text
        if not pattern.fullmatch(shown):
            raise Unfit(reason)
        return shown

    return form


def _email(text: str) -> str:
    local, _, domain = text.rpartition("@")
    if len(local) > 64 or not _EMAIL.fullmatch(text):
        reason = "not-an-email"
        raise Unfit(reason)
    return f"{local}@{domain.lower()}"


def _phone(text: str) -> str:
    digits = _PHONE_FILLER.sub("", text)
    if not _PHONE.fullmatch(digits):
        reason = "not-a-phone-number"
        raise Unfit(reason)
    return digits


def _identity_number(text: str) -> str:
    """Check a resident identity number: shape, birth date, MOD 11-2."""
    shown = text.upper() if text.isascii() else text
    if not _IDENTITY.fullmatch(shown):
        reason = "not-an-identity-number"
        raise Unfit(reason)
    _date(f"{shown[6:10]}-{shown[10:12]}-{shown[12:14]}")
    total = sum(
        weight * int(digit)
        for weight, digit in zip(_WEIGHTS, shown[:17], strict=True)
    )
    if _CHECKS[total % 11] != shown[17]:
        reason = "wrong-check-character"
        raise Unfit(reason)
    return shown


_FORMS: dict[Kind, Callable[[str], str]] = {
    Kind.DATE: _date,
    Kind.INTEGER: _matching(_INTEGER, "not-an-integer"),
    Kind.EMAIL: _email,
    Kind.PHONE: _phone,
    Kind.IDENTITY_NUMBER: _identity_number,
    Kind.POSTAL_CODE: _matching(_POSTAL, "not-a-postal-code", upper=True),
    Kind.COUNTRY: _matching(_COUNTRY, "not-a-country-code", upper=True),
    Kind.URI: _matching(_URI, "not-a-uri"),
}
