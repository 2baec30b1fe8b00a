"""The independent check of an extract.

It shares no code with the engine and believes nothing it said: it reads the
published bytes with another library, puts equal labels together, counts,
and compares with what was asked for and with what the manifest states. A
recipient can run it too. Missing values are not counted as sensitive
values. Rows whose quasi-identifiers all read ``*`` count as suppressed and
form no class.

Penalties are recomputed from the hierarchies as data, the form that
`Hierarchy.describe` gives.
"""

import calendar
import datetime as dt
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anonymize.errors import CriteriaNotMet, ExtractTampered, MissingExtra

try:
    import polars as pl
except ImportError as missing:
    raise MissingExtra(library="polars") from missing

CHECKER = "curtilage-check/1"
"""Name and version of the checker, for the manifest."""
_STAR = "*"
_TOLERANCE = 2e-6

Description = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What an extract must hold.

    Attributes:
        quasi: published names of the quasi-identifiers.
        sensitive: published names of the sensitive columns.
        k: smallest class, in rows.
        l: fewest distinct sensitive values in a class.
        rows_in: rows that were handed in.
        allowed: rows that may be suppressed.
        delimiter: what stands between cells.
    """

    quasi: tuple[str, ...]
    sensitive: tuple[str, ...]
    k: int
    l: int  # noqa: E741 - the literature's own name for it
    rows_in: int
    allowed: int
    delimiter: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """What the check found.

    Attributes:
        k: rows of the smallest class.
        l: fewest distinct sensitive values in a class; None where no column
            is sensitive.
        rows: rows published, without suppressed ones.
        suppressed: rows handed in and not published, or all ``*``.
        class_sizes: rows of each class, rising.
        ncp: mean penalty over all rows handed in and all
            quasi-identifiers, from 0 to 1; None without hierarchies.
        sha256: hash of the bytes.
    """

    k: int
    l: int | None  # noqa: E741 - the literature's own name for it
    rows: int
    suppressed: int
    class_sizes: tuple[int, ...]
    ncp: float | None
    sha256: str


def check_bytes(
    data: bytes,
    terms: Terms,
    hierarchies: Mapping[str, Description] | None = None,
) -> Checked:
    """Check the bytes of an extract against its terms.

    Args:
        data: the published file.
        terms: what it must hold.
        hierarchies: description of each quasi-identifier's hierarchy; None
            leaves the penalty out.

    Returns:
        What was found. That it returns means that the terms are met.

    Raises:
        CriteriaNotMet: k, l or the suppression limit is missed.
        ExtractTampered: the bytes are no such table.
    """
    table = _read(data, terms)
    kept = table
    if terms.quasi:
        starred = pl.all_horizontal(pl.col(terms.quasi) == _STAR)
        kept = table.filter(~starred)
    sizes, diversity = _measure(kept, terms)
    suppressed = terms.rows_in - kept.height
    smallest = min(sizes, default=0)
    if (
        smallest < terms.k
        or (terms.l > 1 and (diversity is None or diversity < terms.l))
        or not 0 <= suppressed <= terms.allowed
    ):
        raise CriteriaNotMet(
            k_asked=terms.k,
            k_reached=smallest,
            l_asked=terms.l,
            l_reached=diversity,
            suppressed=suppressed,
            allowed=terms.allowed,
        )
    ncp = None
    if hierarchies is not None:
        ncp = _penalty(kept, terms, hierarchies)
    return Checked(
        k=smallest,
        l=diversity,
        rows=kept.height,
        suppressed=suppressed,
        class_sizes=tuple(sorted(sizes)),
        ncp=ncp,
        sha256=hashlib.sha256(data).hexdigest(),
    )


def check_folder(
    folder: Path, hierarchies: Mapping[str, Description] | None = None
) -> Checked:
    """Check an extract in a folder against its own manifest.

    The manifest itself is to be checked by its hash or signature, which the
    ledger entry of the release holds.

    Args:
        folder: where data, reports and manifest lie.
        hierarchies: description of each quasi-identifier's hierarchy; None
            leaves the penalty out.

    Returns:
        What was found.

    Raises:
        CriteriaNotMet: the criteria of the manifest are missed.
        ExtractTampered: a file is not what the manifest says.
    """
    manifest = _manifest(folder)
    try:
        terms = _terms(manifest)
        files = dict(manifest["files"])
        stated = dict(manifest["reached"])
        digests = dict(manifest["hierarchies"])
    except (KeyError, TypeError, ValueError):
        msg = "manifest.json lacks what the check needs"
        raise ExtractTampered(msg) from None
    data = b""
    for name in sorted(files):
        content = _content(folder, name, files[name])
        data = content if name == "data.csv" else data
    if hierarchies is not None:
        _check_digests(hierarchies, digests)
    checked = check_bytes(data, terms, hierarchies)
    _compare(checked, stated)
    return checked


def _read(data: bytes, terms: Terms) -> pl.DataFrame:
    try:
        table = pl.read_csv(
            io.BytesIO(data),
            separator=terms.delimiter,
            infer_schema=False,
            empty_string_is_null=False,
        )
    except pl.exceptions.PolarsError as problem:
        msg = f"the data cannot be read ({type(problem).__name__})"
        raise ExtractTampered(msg) from None
    lost = {*terms.quasi, *terms.sensitive} - {*table.columns}
    if lost:
        msg = "columns are missing: " + ", ".join(sorted(lost))
        raise ExtractTampered(msg)
    return table


def _measure(kept: pl.DataFrame, terms: Terms) -> tuple[list[int], int | None]:
    """Sizes of the classes, and the fewest distinct sensitive values."""
    if not kept.height:
        return [], 0 if terms.sensitive else None
    measures = [pl.len().alias("rows")] + [
        pl.col(name).filter(pl.col(name) != "").n_unique().alias(f"l{at}")
        for at, name in enumerate(terms.sensitive)
    ]
    if terms.quasi:
        found = kept.group_by(terms.quasi).agg(measures)
    else:
        found = kept.select(measures)
    fewest = [
        int(each)
        for at in range(len(terms.sensitive))
        for each in found[f"l{at}"]
    ]
    return found["rows"].to_list(), min(fewest, default=None)


def _penalty(
    kept: pl.DataFrame,
    terms: Terms,
    hierarchies: Mapping[str, Description],
) -> float:
    if not terms.quasi:
        return 0.0
    total = float(terms.rows_in - kept.height) * len(terms.quasi)
    for name in terms.quasi:
        penalty = _Penalties(name, hierarchies[name])
        for label, rows in kept[name].value_counts().iter_rows():
            total += rows * penalty.of(label)
    return total / (terms.rows_in * len(terms.quasi))


class _Penalties:
    """Penalties of the labels of one column, read from its description."""

    def __init__(self, column: str, description: Description) -> None:
        self._column = column
        self._description = description
        self._form = description["form"]
        self._under: dict[str, set[str]] = {}
        if self._form == "table":
            for row in description["rows"]:
                for label in row:
                    self._under.setdefault(label, set()).add(row[0])

    def of(self, label: str) -> float:
        """Return the penalty of a label, from 0 to 1."""
        label = label.removeprefix("'")  # put there against formulas
        if label == _STAR:
            return 1.0
        if not label and label not in self._under:
            return 0.0
        try:
            if self._form == "table":
                return self._of_table(label)
            if self._form == "prefixes":
                return self._of_prefix(label)
            return self._of_bounds(*self._bounds(label))
        except (KeyError, ValueError, IndexError):
            msg = f"column {self._column}: a label outside its hierarchy"
            raise ExtractTampered(msg) from None

    def _of_table(self, label: str) -> float:
        leaves = self._under[label]
        if self._description["domain"] is None:
            everything = len(self._under[_STAR])
            return (len(leaves) - 1) / max(everything - 1, 1)
        numbers = sorted(int(leaf) for leaf in leaves)
        low, high = self._description["domain"]
        return _share(numbers[0], numbers[-1], low, high)

    def _of_prefix(self, label: str) -> float:
        if len(label) != self._description["length"]:
            raise ValueError
        size = self._description["alphabet"]
        stars = len(label) - len(label.rstrip(_STAR))
        hidden: int = size**stars
        everything: int = size ** len(label)
        return (hidden - 1) / (everything - 1)

    def _of_bounds(self, first: int, last: int) -> float:
        stated = self._description
        if self._form == "dates":
            low = dt.date.fromisoformat(stated["first"]).toordinal()
            high = dt.date.fromisoformat(stated["last"]).toordinal()
            return _share(first, last, low, high)
        return _share(first, last, stated["low"], stated["high"])

    def _bounds(self, label: str) -> tuple[int, int]:
        if self._form == "intervals":
            parts = [int(part) for part in label.split("-")]
            return parts[0], parts[-1]
        year = int(label[:4]) if len(label) > 4 and label[4] == "-" else None
        if label.endswith("s"):
            start = int(label[:-1])
            return _day(max(start, 1), 1, 1), _day(start + 9, 12, 31)
        if year is None:
            return _day(int(label), 1, 1), _day(int(label), 12, 31)
        month = int(label[5:7])
        if len(label) == 7:
            end = calendar.monthrange(year, month)[1]
            return _day(year, month, 1), _day(year, month, end)
        day = int(label[8:10])
        return _day(year, month, day), _day(year, month, day)


def _day(year: int, month: int, day: int) -> int:
    return dt.date(year, month, day).toordinal()


def _share(first: int, last: int, low: int, high: int) -> float:
    inside = min(last, high) - max(first, low)
    return max(inside, 0) / (high - low)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / "manifest.json").read_bytes())
    except (OSError, ValueError):
        msg = "manifest.json is missing or not JSON"
        raise ExtractTampered(msg) from None
    if not isinstance(manifest, dict):
        msg = "manifest.json is not an object"
        raise ExtractTampered(msg)
    return manifest


def _terms(manifest: Mapping[str, Any]) -> Terms:
    columns: Sequence[Mapping[str, str]] = manifest["columns"]
    criteria, rows = manifest["criteria"], manifest["rows"]
    return Terms(
        quasi=tuple(c["name"] for c in columns if c["role"] == "quasi"),
        sensitive=tuple(
            c["name"] for c in columns if c["role"] == "sensitive"
        ),
        k=int(criteria["k"]),
        l=int(criteria["l"]),
        rows_in=int(rows["in"]),
        allowed=int(rows["allowed"]),
        delimiter=str(manifest["delimiter"]),
    )


def _content(folder: Path, name: str, sha256: object) -> bytes:
    if Path(name).name != name:
        msg = "the manifest names a file outside its folder"
        raise ExtractTampered(msg)
    try:
        content = (folder / name).read_bytes()
    except OSError:
        msg = f"{name} is missing"
        raise ExtractTampered(msg) from None
    if hashlib.sha256(content).hexdigest() != sha256:
        msg = f"{name} is not the file that the manifest names"
        raise ExtractTampered(msg)
    return content


def _check_digests(
    hierarchies: Mapping[str, Description], digests: Mapping[str, object]
) -> None:
    for name, stated in digests.items():
        text = json.dumps(
            hierarchies.get(name),
            ensure_ascii=False,
            separators=(",", ":"),
            sort_keys=True,
        )
        if hashlib.sha256(text.encode("utf-8")).hexdigest() != stated:
            msg = f"column {name}: not the hierarchy that the manifest names"
            raise ExtractTampered(msg)


def _compare(checked: Checked, stated: Mapping[str, object]) -> None:
    found = {
        "k": checked.k,
        "l": checked.l,
        "rows": checked.rows,
        "suppressed": checked.suppressed,
        "classes": len(checked.class_sizes),
    }
    wrong = [name for name, each in found.items() if stated.get(name) != each]
    if checked.ncp is not None:
        difference = abs(float(str(stated.get("ncp", "nan"))) - checked.ncp)
        if not difference <= _TOLERANCE:
            wrong.append("ncp")
    if wrong:
        msg = "the data do not reach what is stated: " + ", ".join(wrong)
        raise ExtractTampered(msg)
