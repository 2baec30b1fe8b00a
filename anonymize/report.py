"""The report of a release: for programs as JSON, for people as Markdown.

Its figures are those of the independent check, not of the engine. It says
what the release is for and to whom it goes, what was done to each column,
which criteria were asked for and reached, what risk is left, and what the
criteria do not protect against. The word is *de-identified*: k-anonymity is
not anonymity. Neither form holds a value of a row.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from anonymize.attacks import Rate
from anonymize.canonical import canonical_json
from anonymize.risk import Risk, Risks, histogram

if TYPE_CHECKING:
    from anonymize.crossing import Effect
    from anonymize.trials import Trials

SCHEMA = "curtilage/extract-report/3"
_PLACES = 6

RESIDUAL = (
    "This extract is de-identified, not anonymous. Whoever knows the "
    "quasi-identifiers of a person finds a class of at least k rows and "
    "cannot tell from them which row is the person's. The criteria do not "
    "protect against what the members of a class have in common, against "
    "unlikely sensitive values being ruled out by other knowledge, against "
    "subtracting this extract from others than those named here, against "
    "refining minimal labels (downcoding), nor against what free text or "
    "columns of the role other give away."
)
SINGLING_OUT = (
    "by the quasi-identifiers no row can be singled out; over all published "
    "columns, pseudonyms and text apart, the share of rows that stand alone "
    "is stated above"
)
LINKABILITY = (
    "pseudonyms, where there are any, are made for this recipient, data set "
    "and release and match no other; which other extracts of the same people "
    "were taken into account is stated above"
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
class Basis:
    """What a release rests on, as whoever asks for it says.

    Attributes:
        stated: by name what every reader is told, such as the version of a
            declaration, or as of when consents were looked at.
        counted: by name how many people were found, and left out for what
            reason. For the officer alone: from one release to the next they
            would tell withdrawals.
    """

    stated: Mapping[str, str] = field(default_factory=dict)
    counted: Mapping[str, int] = field(default_factory=dict)


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
        models: what each further model asks, reaches, and reaches by the
            other reference, as text.
        mentions: labels put into free text, by kind.
        published_only: whether it counts published rows alone, and says
            nothing of rows handed in or suppressed.
        risks: risk of a match; None where nothing is published.
        trials: what attacks on it came to; None where none were run.
        untried: why none were run, if so.
        crossings: what it and each earlier release tell together; None
            where earlier ones were not asked for.
        basis: what it rests on.
        losses: for quasi-identifiers the NCP of the published cells.
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
    models: tuple[tuple[str, str, str], ...] = ()
    published_only: bool = False
    trials: "Trials | None" = None
    untried: str = "they were not asked for"
    crossings: "tuple[Effect, ...] | None" = None
    basis: Basis = field(default_factory=Basis)
    losses: Mapping[str, float] = field(default_factory=dict)

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
                "basis": {
                    "stated": dict(self.basis.stated),
                    "counted": dict(self.basis.counted),
                },
                "columns": [
                    {
                        "name": each.name,
                        "role": each.role,
                        "treatment": each.treatment,
                    }
                    for each in self.columns
                ],
                "asked": {"k": self.k, "l": self.l}
                | ({} if self.published_only else {"allowed": self.allowed}),
                "reached": {"k": self.k_reached, "l": self.l_reached},
                "models": [
                    {"model": model, "reached": reached, "otherwise": other}
                    for model, reached, other in self.models
                ],
                "rows": {"out": self.rows_out}
                if self.published_only
                else {
                    "in": self.rows_in,
                    "out": self.rows_out,
                    "suppressed": self.suppressed,
                },
                "utility": {
                    "ncp": decimal(self.ncp),
                    "classes": len(self.class_sizes),
                    "mean_class": decimal(self.mean_class),
                    "discernibility": self.discernibility,
                    "columns": [
                        {"name": name, "ncp": decimal(loss)}
                        for name, loss in self.losses.items()
                    ],
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
                "attacks": self._attacks(),
                "earlier_releases": self._earlier(),
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

    def _attacks(self) -> dict[str, object]:
        trials = self.trials
        if trials is None:
            return {"untried": self.untried}
        exact = not self.published_only
        return {
            "seed": trials.seed,
            "passed": trials.passed,
            "columns_aside": list(trials.aside),
            "singling_out": {
                "quasi_identifiers": trials.alone,
                "all_columns": trials.alone_over_all,
            },
            "linkage": {
                "members": rate(trials.linkage, exact=exact),
                "bound": decimal(trials.bound),
            },
            "membership": _contest(
                trials.members, trials.control, exact=exact
            ),
            "inference": [
                {"column": one.column, "naive": rate(one.naive, exact=exact)}
                | _contest(one.members, one.control, exact=exact)
                for one in trials.guesses
            ],
        }

    def _earlier(self) -> dict[str, object] | None:
        """Return what releases tell together; recipients get no figure.

        The difference of two releases tells how many people left.
        """
        if self.crossings is None:
            return None
        small = sum(each.small + each.uniform for each in self.crossings)
        if self.published_only:
            return {"considered": bool(self.crossings), "small": small}
        return {
            "considered": bool(self.crossings),
            "small": small,
            "effects": [
                {
                    "release": effect.release,
                    "common": effect.common,
                    "smallest_common": effect.smallest_common,
                    "differing": effect.differing,
                    "smallest_difference": effect.smallest_difference,
                    "small": effect.small,
                    "uniform": effect.uniform,
                }
                for effect in self.crossings
            ],
        }

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
                "## Attacks",
                self._attacked(),
                "## Beside earlier releases",
                self._beside(),
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
                *(
                    (f"{model}: reached, by the other reference", f"{a}, {b}")
                    for model, a, b in self.models
                ),
                ("rows published", str(self.rows_out)),
                *(
                    ()
                    if self.published_only
                    else (
                        ("rows handed in", str(self.rows_in)),
                        (
                            "rows suppressed",
                            f"{self.suppressed} ({share:.2%})",
                        ),
                        ("rows that might be suppressed", str(self.allowed)),
                    )
                ),
                ("classes", str(len(self.class_sizes))),
                ("mean class size", f"{self.mean_class:.2f}"),
                ("NCP (0 exact, 1 nothing left)", f"{self.ncp:.4f}"),
                ("rows alone over all columns", str(self.alone)),
                ("labels in text", labels or "none"),
            ],
        )

    def _attacked(self) -> str:
        if self.trials is None:
            return f"None were run: {self.untried}."
        found = self._attacks()
        words = aside_words(found)
        table = _table(ATTACK_HEADS, attack_rows(found))
        return f"{table}\n\n{words}" if words else table

    def _beside(self) -> str:
        return "\n\n".join(
            (
                earlier_words(self._earlier()),
                *(f"- {line}" for line in effect_lines(self._earlier() or {})),
            )
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


ATTACK_HEADS = (
    "attack",
    "on members",
    "control",
    "without the release",
    "bound or gain",
)
"""Heads of the table of attacks."""


def aside_words(found: Mapping[str, Any]) -> str:
    """Say over which columns no predicate was tried; nothing where over all.

    Args:
        found: the member ``attacks`` of the report.
    """
    aside = ", ".join(found["columns_aside"])
    return f"In no predicate, as they were not counted: {aside}." * bool(aside)


def attack_rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Write the attacks of a report as the rows of a table.

    Args:
        found: the member ``attacks`` of the report.
    """
    alone = found["singling_out"]
    linkage = found["linkage"]
    joined = found["membership"]
    return [
        (
            "singling out, by quasi-identifiers",
            f"{alone['quasi_identifiers']} predicates",
            "-",
            "-",
            "0",
        ),
        (
            "singling out, by all columns",
            f"{alone['all_columns']} predicates",
            "-",
            "-",
            "stated only",
        ),
        (
            "linkage",
            _share(linkage["members"]),
            "0 by definition",
            "-",
            f"at most {float(linkage['bound']):.1%}",
        ),
        (
            "membership",
            _share(joined["members"]),
            _share(joined["control"]),
            "-",
            _gain(joined),
        ),
        *(
            (
                f"inference of {one['column']}",
                _share(one["members"]),
                _share(one["control"]),
                _share(one["naive"]),
                _gain(one),
            )
            for one in found["inference"]
        ),
    ]


def earlier_words(found: Mapping[str, Any] | None) -> str:
    """Say what earlier releases were taken into account.

    Args:
        found: the member ``earlier_releases`` of the report.
    """
    if found is None:
        return "Earlier extracts were not taken into account."
    if not found["considered"]:
        return (
            "No earlier extract of these data stands with this recipient, or "
            "with one who may share with it."
        )
    return (
        "Any class of this extract and any class of an earlier one of the "
        "same data to this recipient, or to one who may share with it, have "
        "nobody or at least k people in common. Connected classes differ by "
        "nobody or by at least k, who can have had l values. Sets that do "
        f"not: {found['small']}."
    )


def effect_lines(found: Mapping[str, Any]) -> list[str]:
    """Write what this and each earlier release tell together.

    Args:
        found: the member ``earlier_releases`` of the report.
    """
    return [
        f"{one['release'] or 'earlier release'}: {one['common']} pairs of "
        f"classes have people in common, {_least(one['smallest_common'])}; "
        f"{one['differing']} sets differ, "
        f"{_least(one['smallest_difference'])}."
        for one in found.get("effects", ())
    ]


def rate(found: Rate, *, exact: bool) -> dict[str, object]:
    """Write how often an attack succeeded.

    Args:
        found: the rate.
        exact: whether with counts and interval; else in hundredths, so that
            it tells nothing of one person.
    """
    if not exact:
        return {"share": decimal(round(found.share, 2))}
    low, high = found.interval
    return {
        "successes": decimal(found.successes),
        "attempts": found.attempts,
        "share": decimal(found.share),
        "low": decimal(low),
        "high": decimal(high),
    }


def _contest(
    members: Rate, control: Rate | None, *, exact: bool
) -> dict[str, object]:
    """Write an attack on members beside the same on the control."""
    if control is None:
        return {
            "members": rate(members, exact=exact),
            "control": None,
            "gain": None,
            "beyond_control": None,
        }
    gain = members.gain_over(control)
    return {
        "members": rate(members, exact=exact),
        "control": rate(control, exact=exact),
        "gain": _signed(gain if exact else round(gain, 2)),
        "beyond_control": members.beyond(control),
    }


def _signed(share: float) -> str:
    return ("-" if share < 0 else "") + decimal(abs(share))


def _share(found: Mapping[str, str] | None) -> str:
    if found is None:
        return "too few rows"
    share = f"{float(found['share']):.1%}"
    if "low" not in found:
        return share
    low, high = float(found["low"]), float(found["high"])
    return f"{share} ({100 * low:.1f} to {high:.1%})"


def _gain(found: Mapping[str, Any]) -> str:
    if found["gain"] is None:
        return "no control"
    beyond = "beyond" if found["beyond_control"] else "within"
    return f"{float(found['gain']):.1%}, {beyond} the control's interval"


def _least(many: int | None) -> str:
    return "none" if many is None else f"the smallest of {many}"


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
