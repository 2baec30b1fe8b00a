"""What was held, when, and what is said of it: values in two times.

Every version says since when and until when it holds (valid time), and when
it was written (recorded time; Snodgrass, *Developing Time-Oriented Database
Applications in SQL*, 1999). `as_of` answers both questions at once: what was
true then, by what was known then.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from vault import format as fmt
from vault.disputes import Dispute, decode
from vault.envelope import SubjectKeys
from vault.errors import CryptoFailure, InvalidValue
from vault.grants import Confidence, HistoricValue
from vault.places import disputed, first_version
from vault.rows import Sealed
from vault.values import Kind, Unfit, canonical

_CODES = {
    Confidence.UNSTATED: 0,
    Confidence.DECLARED: 1,
    Confidence.DERIVED: 2,
    Confidence.DOCUMENTED: 3,
    Confidence.VERIFIED: 4,
}
_MEANINGS = {code: confidence for confidence, code in _CODES.items()}


def head(
    now: int,
    source: str,
    *,
    valid_from: int | None = None,
    valid_until: int | None = None,
    confidence: Confidence = Confidence.UNSTATED,
) -> bytes:
    """Give the beginning of every record of one write.

    Args:
        now: POSIX seconds.
        source: where the values come from, at most 255 bytes.
        valid_from: since when they hold; now, if left out.
        valid_until: from when they hold no longer, later than that.
        confidence: how sure they are.

    Raises:
        InvalidValue: the source is no text, or the times make no interval
            between the years 1 and 9999.

    """
    since = now if valid_from is None else valid_from
    _refuse("valid_from", since, fmt.EARLIEST)
    if valid_until is not None:
        _refuse("valid_until", valid_until, since + 1)
    return fmt.record_head(
        now,
        _checked(source),
        valid_from=since,
        valid_until=valid_until,
        confidence=_CODES[confidence],
    )


def historic(
    keys: SubjectKeys, row: Sealed, disputes: Sequence[Dispute] = ()
) -> HistoricValue:
    """Open one version.

    Raises:
        CryptoFailure: it was altered, or belongs elsewhere.

    """
    plain = keys.open(row.attribute, row.version, row.sealed)
    record = fmt.parse_record(plain, row.sealed[0])
    confidence = _MEANINGS.get(record.confidence)
    if confidence is None:
        raise CryptoFailure(keys.subject)
    return HistoricValue(
        value=record.text,
        version=row.version,
        recorded_at=record.recorded_at,
        source=record.source,
        valid_from=record.valid_from,
        valid_until=record.valid_until,
        confidence=confidence,
        disputes=tuple(one for one in disputes if one.version == row.version),
    )


def disputes_at(
    keys: SubjectKeys, current: Mapping[int, Sealed], place: int
) -> list[Dispute]:
    """Open what is said against the values of a place."""
    row = current.get(disputed(place))
    return [] if row is None else decode(text_of(keys, row))


def text_of(keys: SubjectKeys, row: Sealed) -> str:
    """Open the text alone of one version."""
    plain = keys.open(row.attribute, row.version, row.sealed)
    return fmt.record_text(plain, row.sealed[0])


def versions(
    keys: SubjectKeys,
    current: Mapping[int, Sealed],
    older: Iterable[Sealed],
    place: int,
) -> list[HistoricValue]:
    """Open every version of one place, newest first, none left out.

    Args:
        keys: the person's.
        current: verified rows by place.
        older: rows of the history; those of other places, and those younger
            than `current`, are passed over.
        place: which.

    Raises:
        CryptoFailure: a version was altered, or is missing.

    """
    newest = current.get(place)
    listed = [row for row in older if row.attribute == place]
    if newest is None:
        if listed:
            raise CryptoFailure(keys.subject)
        return []
    rows = [row for row in listed if row.version < newest.version]
    rows.append(newest)
    first = first_version(current, place)
    if [row.version for row in rows] != list(range(first, newest.version + 1)):
        raise CryptoFailure(keys.subject)
    disputes = disputes_at(keys, current, place)
    return [historic(keys, row, disputes) for row in reversed(rows)]


def as_of(
    listed: Iterable[HistoricValue], *, valid_at: int, known_at: int
) -> HistoricValue | None:
    """Choose what held at one instant by what was known at another.

    Args:
        listed: versions, newest first.
        valid_at: for when the value is wanted.
        known_at: what was written later does not count.

    Returns:
        The last one recorded of those that cover `valid_at`, with its
        disputes as they stood at `known_at`.

    """
    for one in listed:
        if one.recorded_at <= known_at and one.holds_at(valid_at):
            return replace(
                one,
                disputes=tuple(
                    dispute.known_at(known_at)
                    for dispute in one.disputes
                    if dispute.at <= known_at
                ),
            )
    return None


def _refuse(field: str, instant: int, least: int) -> None:
    if not least <= instant <= fmt.LATEST:
        reason = "out-of-range"
        raise InvalidValue(field, reason)


def _checked(source: str) -> str:
    field = "source"
    try:
        text = canonical(Kind.TEXT, source, 255)
    except Unfit as unfit:
        raise InvalidValue(field, unfit.reason) from None
    if len(text.encode()) > 255:
        reason = "too-long"
        raise InvalidValue(field, reason)
    return text
