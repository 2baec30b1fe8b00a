"""Exact aggregates of a data frame, with what one person can change of them.

Everything is a whole number: values are clipped to declared bounds and
rounded to declared decimal places before they are added, so no sum depends
on the order of its parts. A person's rows beyond the declared number are
left out, those that stay chosen by a hash of the row's content and not by
its place.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from anonymize.errors import InvalidQuery, MissingExtra
from anonymize.queries import Kind, Query

try:
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing

PERSON = "person"
"""Column with the opaque key of the person, where people have several rows."""
_VALUE = "curtilage value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Exact:
    """Aggregates before noise. Personal data: they are not to be shown.

    Attributes:
        values: whole numbers.
        sensitivity: most that one person added or taken away changes them
            (of vectors: as the root of the sum of squares; of scores: any).
    """

    values: tuple[int, ...]
    sensitivity: int


def frame_of(rows: Mapping[str, Sequence[str | None]]) -> pl.DataFrame:
    """Make a data frame of columns of text; None is no value.

    Args:
        rows: cells by column.
    """
    return pl.DataFrame(
        {k: pl.Series(k, v, pl.String) for k, v in rows.items()}
    )


def bounded(frame: pl.DataFrame, query: Query) -> pl.DataFrame:
    """Keep the rows that are asked about, and not too many of a person.

    Args:
        frame: columns of any type; `PERSON` where people have several rows.
        query: the question.

    Raises:
        InvalidQuery: a column is not there, or several rows of a person are
            asked about without saying whose rows they are.
    """
    missing = {*query.columns} - {*frame.columns}
    if missing:
        msg = f"there is no column {', '.join(sorted(missing))}"
        raise InvalidQuery(msg)
    for name, value in sorted(query.where.items()):
        frame = frame.filter(pl.col(name).cast(pl.String) == value)
    if PERSON not in frame.columns:
        if query.contribution > 1:
            msg = f"rows of people need the column {PERSON}"
            raise InvalidQuery(msg)
        return frame
    mixed = pl.struct(pl.all()).hash(seed=0)
    return (
        frame.with_columns(mixed.alias("curtilage order"))
        .sort("curtilage order")
        .group_by(PERSON)
        .head(query.contribution)
    )


def exact(frame: pl.DataFrame, query: Query) -> tuple[Exact, ...]:
    """Return the exact aggregates of a question, in the order of its noise.

    Args:
        frame: the data; see `bounded`.
        query: the question.

    Raises:
        InvalidQuery: a column is missing.
    """
    kept = bounded(frame, query)
    if query.kind is Kind.COUNT:
        return (Exact(values=(kept.height,), sensitivity=query.contribution),)
    if query.kind is Kind.HISTOGRAM:
        return (_histogram(kept, query),)
    values = _values(kept, query)
    if query.kind is Kind.QUANTILE:
        return (_scores(values, query),)
    if query.kind is Kind.SUM:
        low, high = _bounds(query)
        most = query.contribution * max(abs(low), abs(high))
        return (_total(values, most),)
    # A mean: the sum of distances from the middle changes half as much.
    low, high = _bounds(query)
    middle = middle_of(query)
    reach = query.contribution * max(high - middle, middle - low)
    return (
        _total(values - middle, reach),
        Exact(values=(len(values),), sensitivity=query.contribution),
    )


def middle_of(query: Query) -> int:
    """Return the middle of a question's bounds, in its last decimal place."""
    low, high = _bounds(query)
    return (low + high) // 2


def _bounds(query: Query) -> tuple[int, int]:
    low, high = query.low or Fraction(0), query.high or Fraction(0)
    return query.grid(low), query.grid(high)


def _total(values: pl.Series, sensitivity: int) -> Exact:
    return Exact(
        values=(int(values.sum() or 0),), sensitivity=max(1, sensitivity)
    )


def _histogram(frame: pl.DataFrame, query: Query) -> Exact:
    counted = frame.group_by(pl.col(query.column).cast(pl.String)).len()
    counts = dict(counted.iter_rows())
    return Exact(
        values=tuple(int(counts.get(key, 0)) for key in query.keys),
        sensitivity=query.contribution,
    )


def _values(frame: pl.DataFrame, query: Query) -> pl.Series:
    """Return the numbers of a column; what is none is left out."""
    low, high = _bounds(query)
    number = pl.col(query.column).cast(pl.Float64, strict=False)
    grid = (number * 10**query.digits).round()
    whole = grid.filter(grid.is_finite()).clip(low, high).cast(pl.Int64)
    return frame.select(whole.alias(_VALUE))[_VALUE]


def _scores(values: pl.Series, query: Query) -> Exact:
    """Score candidates by how far from the quantile's rank they lie.

    ``|(b - a) * below - a * above|`` for the quantile a/b: 0 at the
    quantile itself, and one person changes it by max(a, b - a) at most.
    """
    at = (query.at or Fraction(1, 2)).limit_denominator(1000)
    ranked = values.sort()
    places = pl.Series([query.grid(each) for each in sorted(query.candidates)])
    below = ranked.search_sorted(places, side="left").to_list()
    to = ranked.search_sorted(places, side="right").to_list()
    share, rest = at.numerator, at.denominator - at.numerator
    scores = tuple(
        abs(rest * under - share * (len(ranked) - upto))
        for under, upto in zip(below, to, strict=True)
    )
    return Exact(
        values=scores,
        sensitivity=query.contribution * max(share, rest),
    )
