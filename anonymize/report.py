"""The report of a release: for programs as JSON, for people as Markdown.

Its figures are those of the independent check, not of the engine. It says
what the release is for and to whom it goes, what was done to each column,
which criteria were asked for and reached, what risk is left, and what the
criteria do not protect against. The word is *de-identified*: k-anonymity is
not anonymity. Neither form holds a value of a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from anonymize.canonical import canonical_json
from anonymize.risk import Risk, Risks, histogram

SCHEMA = "curtilage/extract-report/1"
_PLACES = 6

RESIDUAL = (
    "This extract is de-identified, not anonymous. Whoever knows the "
    "quasi-identifiers of a person finds a class of at least k rows and "
    "cannot tell from them which row is the person's. The criteria do not "
    "protect against what the members of a class have in common, against "
    "unlikely sensitive values being ruled out by other knowledge, against "
    "subtracting this extract from another one, against refining minimal "
    "labels (downcoding), nor against what free text or columns of the role "
    "other give away."
)
SINGLING_OUT = (
    "by the quasi-identifiers no row can be singled out; over all published "
    "columns, pseudonyms and text apart, the share of rows that stand alone "
    "is stated above"
)
LINKABILITY = (
    "pseudonyms, where there are any, are made for this recipient, data set "
    "and release and match no other; other extracts of the same people were "
    "not taken into account"
)
INFERENCE = (
    "within a class a sensitive value can be inferred as far as its share "
    "goes; l is the number of different values, not of equally likely ones"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnReport:
    """What was done to a column.

    Attributes:
        name: the column.
        role: its role.
        treatment: what happened to it, in words.
    """

    name: str
    role: str
    treatment: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseReport:
    """All that a compliance officer is told of a release.

    Attributes:
        purpose: what the release is for.
        recipient: who receives it.
        columns: the columns handed in, the ones that never leave too.
        k: rows of the smallest class asked for.
        l: distinct sensitive values in a class asked for.
        allowed: rows that might be suppressed.
        rows_in: rows handed in.
        rows_out: rows published.
        k_reached: rows of the smallest class.
        l_reached: fewest distinct sensitive values, None where no column is
            sensitive.
        class_sizes: rows of each class.
        ncp: mean penalty, from 0 to 1.
        alone: published rows that equal no other over all columns but
            pseudonyms and text.
        mentions: labels put into free text, by kind.
        risks: risk of a match; None where nothing is published.
    """

    purpose: str
    recipient: str
    columns: tuple[ColumnReport, ...]
    k: int
    l: int  # noqa: E741 - the literature's own name for it
    allowed: int
    rows_in: int
    rows_out: int
    k_reached: int
    l_reached: int | None
    class_sizes: tuple[int, ...]
    ncp: float
    alone: int
    mentions: Mapping[str, int]
    risks: Risks

    @property
    def suppressed(self) -> int:
        """Rows handed in and not published."""
        return self.rows_in - self.rows_out

    @property
    def mean_class(self) -> float:
        """Mean number of rows in a class."""
        return self.rows_out / len(self.class_sizes)

    @property
    def discernibility(self) -> int:
        """Sum of squared class sizes, suppressed rows at full cost."""
        squares = sum(size * size for size in self.class_sizes)
        return squares + self.suppressed * self.rows_in

    def to_json(self) -> bytes:
        """Return the report as canonical JSON, ratios as decimal text."""
        risks = self.risks
        return canonical_json(
            {
                "schema": SCHEMA,
                "status": "de-identified",
                "purpose": self.purpose,
                "recipient": self.recipient,
                "columns": [
                    {
                        "name": each.name,
                        "role": each.role,
                        "treatment": each.treatment,
                    }
                    for each in self.columns
                ],
                "asked": {"k": self.k, "l": self.l, "allowed": self.allowed},
                "reached": {"k": self.k_reached, "l": self.l_reached},
                "rows": {
                    "in": self.rows_in,
                    "out": self.rows_out,
                    "suppressed": self.suppressed,
                },
                "utility": {
                    "ncp": decimal(self.ncp),
                    "classes": len(self.class_sizes),
                    "mean_class": decimal(self.mean_class),
                    "discernibility": self.discernibility,
                },
                "class_sizes": [
                    {"size": size, "classes": classes, "rows": rows}
                    for size, classes, rows in histogram(self.class_sizes)
                ],
                "risk": {
                    "threshold": decimal(risks.threshold),
                    "population": risks.population,
                    "prosecutor": _risk(risks.prosecutor),
                    "journalist": _risk(risks.journalist),
                    "marketer": {"average": decimal(risks.marketer)},
                },
                "rows_alone_over_all_columns": self.alone,
                "labels_in_text": dict(self.mentions),
                "answers": {
                    "singling_out": SINGLING_OUT,
                    "linkability": LINKABILITY,
                    "inference": INFERENCE,
                },
                "residual_risk": RESIDUAL,
            }
        )

    def to_markdown(self) -> str:
        """Return the report for people to read."""
        return "\n\n".join(
            (
                "# De-identified extract: report",
                self._terms(),
                "## Columns",
                _table(
                    ("column", "role", "what was done"),
                    [(c.name, c.role, c.treatment) for c in self.columns],
                ),
                "## Classes",
                _table(
                    ("rows in a class", "classes", "rows"),
                    [
                        (size, str(classes), str(rows))
                        for size, classes, rows in histogram(self.class_sizes)
                    ],
                ),
                "## Risk of a match",
                self._risks(),
                "## What is left",
                RESIDUAL,
                "\n".join(
                    (
                        f"- Singling out: {SINGLING_OUT}.",
                        f"- Linkability: {LINKABILITY}.",
                        f"- Inference: {INFERENCE}.",
                    )
                ),
                "",
            )
        )

    def _terms(self) -> str:
        reached = "none" if self.l_reached is None else str(self.l_reached)
        share = self.suppressed / self.rows_in
        labels = ", ".join(f"{kind} {n}" for kind, n in self.mentions.items())
        return _table(
            ("", ""),
            [
                ("purpose", self.purpose or "not stated"),
                ("recipient", self.recipient),
                ("k asked, reached", f"{self.k}, {self.k_reached}"),
                ("l asked, reached", f"{self.l}, {reached}"),
                ("rows handed in", str(self.rows_in)),
                ("rows published", str(self.rows_out)),
                ("rows suppressed", f"{self.suppressed} ({share:.2%})"),
                ("rows that might be suppressed", str(self.allowed)),
                ("classes", str(len(self.class_sizes))),
                ("mean class size", f"{self.mean_class:.2f}"),
                ("NCP (0 exact, 1 nothing left)", f"{self.ncp:.4f}"),
                ("rows alone over all columns", str(self.alone)),
                ("labels in text", labels or "none"),
            ],
        )

    def _risks(self) -> str:
        risks = self.risks
        source = (
            "A population table was used."
            if risks.population
            else "There was no population table: journalist and marketer are "
            "bounded by the prosecutor's figures."
        )
        rows = [
            (
                name,
                f"{each.highest:.4f}",
                f"{each.average:.4f}",
                f"{each.lowest:.4f}",
                f"{each.above:.2%}",
            )
            for name, each in (
                ("prosecutor", risks.prosecutor),
                ("journalist", risks.journalist),
            )
        ]
        rows.append(("marketer", "-", f"{risks.marketer:.4f}", "-", "-"))
        heads = (
            "attacker",
            "highest",
            "average",
            "lowest",
            f"rows above {risks.threshold:g}",
        )
        return f"{_table(heads, rows)}\n\n{source}"


def decimal(share: float) -> str:
    """Write a number with six decimals, rounded half to even.

    Args:
        share: the number.
    """
    scaled = round(Fraction(share) * 10**_PLACES)
    return f"{scaled // 10**_PLACES}.{scaled % 10**_PLACES:0{_PLACES}d}"


def _risk(risk: Risk) -> dict[str, str]:
    return {
        "highest": decimal(risk.highest),
        "average": decimal(risk.average),
        "lowest": decimal(risk.lowest),
        "above_threshold": decimal(risk.above),
    }


def _table(heads: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [heads, tuple("---" for _ in heads), *rows]
    return "\n".join(
        "| " + " | ".join(_cell(cell) for cell in line) + " |"
        for line in lines
    )


def _cell(text: str) -> str:
    """Keep a label from breaking the table, or from being markup."""
    flat = " ".join(text.split())
    for char in "\\|<>[]`*_":
        flat = flat.replace(char, "\\" + char)
    return flat
