"""Numbers under differential privacy: exact, noisy, charged, and audited.

The audit plays the attacker: it sees answers about two data sets that differ
in one person, tells them apart as well as it can, and bounds from below the
privacy loss that it has shown (Clopper and Pearson 1934). That bound must
stay below what is claimed, and must not where the noise is halved.
"""

import ast
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from uuid import UUID

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    BudgetExhausted,
    Charge,
    InvalidQuery,
    Kind,
    Query,
    Reservation,
    ask,
    epsilon_of,
    noise,
    rho_of,
)
from anonymize.budget import UNIT
from anonymize.exact import PERSON, exact

ROOT = Path(__file__).parents[1]
DELTA = Fraction(1, 10**6)
TENTH = Fraction(1, 10)
DRAWS = 40_000
DRAWS_OF_PLACES = 3_000
AUDIT_DELTA = 0.1
CONFIDENCE = 0.999


class Memory:
    """A budget in memory, for one recipient."""

    def __init__(self, allowed: int = UNIT) -> None:
        self.left = allowed
        self.answers: dict[str, str] = {}
        self.reserved: dict[UUID, str] = {}

    def reserve(self, charge: Charge) -> Reservation:
        """Set aside, or give the answer of before."""
        new = UUID(int=len(self.reserved))
        self.reserved[new] = charge.query
        if charge.query in self.answers:
            return Reservation(id=new, answer=self.answers[charge.query])
        if charge.rho > self.left:
            raise BudgetExhausted(scope="recipient", refreshes_at=1_000)
        self.left -= charge.rho
        return Reservation(id=new, answer=None)

    def commit(self, reservation: Reservation, answer: str) -> None:
        """Keep an answer."""
        self.answers[self.reserved[reservation.id]] = answer


def frame(count: int = 2_000) -> pl.DataFrame:
    """Rows of people with an age and a town."""
    return pl.DataFrame(
        {
            "age": [str(20 + number % 60) for number in range(count)],
            "town": [f"town {number % 4}" for number in range(count)],
        }
    )


TOWNS = tuple(f"town {number}" for number in range(5))
QUERIES = {
    Kind.COUNT: {},
    Kind.SUM: {"column": "age", "low": Fraction(0), "high": Fraction(99)},
    Kind.MEAN: {"column": "age", "low": Fraction(0), "high": Fraction(99)},
    Kind.QUANTILE: {
        "column": "age", "low": Fraction(0), "high": Fraction(99),
        "at": Fraction(1, 2),
        "candidates": tuple(Fraction(n) for n in range(100)),
    },
    Kind.HISTOGRAM: {"column": "town", "keys": TOWNS},
}  # fmt: skip
TRUTH = {"count": 2000, "sum": 98_600, "mean": 49.3, "quantile": 49}


def query(
    kind: Kind, epsilon: Fraction = Fraction(2), **more: object
) -> Query:
    """A question of a kind."""
    fields = {"kind": kind, "epsilon": epsilon, **QUERIES[kind], **more}
    return Query(**fields)  # type: ignore[arg-type] # fields by name


@pytest.mark.parametrize("kind", Kind)
def test_answers_are_about_right_and_say_how_much(kind: Kind) -> None:
    """Each number is within four error bars of the truth."""
    answer = ask(
        query(kind), frame, Memory(), delta=DELTA, context=("set", "day")
    )

    for name, value in answer.cells.items():
        truth = TRUTH.get(name, 0 if name == "town 4" else 500)
        if kind is Kind.QUANTILE:
            assert answer.rank_error is not None
            assert abs(value - truth) <= 2 + 4 * answer.rank_error / 33
        else:
            assert abs(value - truth) <= 4 * answer.errors[name] + 0.5
    assert 0 < answer.epsilon <= 2
    assert not answer.again


@pytest.mark.parametrize("kind", Kind)
def test_the_same_question_has_the_same_answer_at_no_cost(kind: Kind) -> None:
    """A repetition, however it is written, cannot average the noise away."""
    memory = Memory()
    first = ask(query(kind), frame, memory, delta=DELTA, context=("s", "1"))
    left = memory.left
    fields: dict[str, object] = {}
    if kind is Kind.HISTOGRAM:
        fields = {"keys": TOWNS[::-1]}
    if kind is Kind.QUANTILE:
        fields = {"candidates": tuple(Fraction(n) for n in range(99, -1, -1))}
    second = ask(
        query(kind, epsilon=Fraction(4, 2), **fields),
        lambda: pytest.fail("data was read again"),
        memory,
        delta=DELTA,
        context=("s", "1"),
    )

    assert second.again
    assert first.cells == second.cells
    assert left == memory.left
    other = ask(query(kind), frame, memory, delta=DELTA, context=("s", "2"))
    assert not other.again


def test_a_refusal_comes_before_any_row_is_read() -> None:
    """An empty budget is told without the data, and says when to come."""
    with pytest.raises(BudgetExhausted, match="1970-01-01 00:16 UTC"):
        ask(
            query(Kind.COUNT),
            lambda: pytest.fail("data was read"),
            Memory(allowed=0),
            delta=DELTA,
            context=("s",),
        )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.fractions(Fraction(1, 1000), 5), min_size=1, max_size=8),
    st.sampled_from([Fraction(1, 10**6), Fraction(1, 10**9)]),
)
def test_rho_adds_and_is_never_more_than_is_shown(
    parts: list[Fraction], delta: Fraction
) -> None:
    """Costs are whole; each stays in its epsilon, and their sum is exact."""
    units = [rho_of(part, delta) for part in parts]

    for part, each in zip(parts, units, strict=True):
        assert isinstance(each, int)
        assert Fraction(epsilon_of(each, delta)) <= part
        assert epsilon_of(each + each // 1000 + 2, delta) > part * (1 - 1e-3)
    assert epsilon_of(sum(units), delta) <= float(sum(parts)) * (1 + 1e-9)


BAD = [
    {"kind": Kind.COUNT, "epsilon": Fraction(0)},
    {"kind": Kind.COUNT, "epsilon": TENTH, "column": "age"},
    {"kind": Kind.SUM, "epsilon": TENTH, "column": "age"},
    {"kind": Kind.SUM, "epsilon": TENTH, "column": "age",
     "low": Fraction(1), "high": Fraction(1)},
    {"kind": Kind.MEAN, "epsilon": TENTH, "column": "age",
     "low": Fraction(0), "high": Fraction(10**13)},
    {"kind": Kind.HISTOGRAM, "epsilon": TENTH, "column": "town"},
    {"kind": Kind.HISTOGRAM, "epsilon": TENTH, "column": "town",
     "keys": ("a", "a")},
    {"kind": Kind.QUANTILE, "epsilon": TENTH, "column": "age",
     "low": Fraction(0), "high": Fraction(9), "at": Fraction(1),
     "candidates": (Fraction(1), Fraction(2))},
    {"kind": Kind.QUANTILE, "epsilon": TENTH, "column": "age",
     "low": Fraction(0), "high": Fraction(9), "at": Fraction(1, 2),
     "candidates": (Fraction(1), Fraction(20))},
    {"kind": Kind.HISTOGRAM, "epsilon": TENTH, "column": "town",
     "keys": ("a",), "low": Fraction(0)},
    {"kind": Kind.COUNT, "epsilon": TENTH, "contribution": 0},
    {"kind": Kind.COUNT, "epsilon": TENTH, "digits": 7},
]  # fmt: skip


@pytest.mark.parametrize("fields", BAD)
def test_questions_without_a_known_cost_are_refused(
    fields: dict[str, object],
) -> None:
    """Bounds, keys and candidates are declared, never looked up."""
    with pytest.raises(InvalidQuery):
        Query(**fields)  # type: ignore[arg-type] # wrong on purpose


def test_a_column_that_is_missing_is_refused() -> None:
    """It is named, and no number comes out."""
    with pytest.raises(InvalidQuery, match="there is no column age"):
        exact(frame().drop("age"), query(Kind.SUM))


AGES = st.one_of(
    st.integers(-1000, 1000).map(str),
    st.sampled_from(["", "x", "nan", "inf", "-inf", "1e300", "7.9"]),
)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(AGES, max_size=12),
    st.lists(AGES, min_size=1, max_size=3),
    st.sampled_from(Kind),
)
def test_one_person_changes_no_more_than_is_claimed(
    others: list[str], own: list[str], kind: Kind
) -> None:
    """Sensitivity holds for every neighbour that could be found."""

    def rows(person: list[str]) -> pl.DataFrame:
        ages = [*others, *person]
        keys = [f"p{n}" for n in range(len(others))] + ["own"] * len(person)
        towns = [f"town {len(age) % 5}" for age in ages]
        return pl.DataFrame(
            {"age": ages, "town": towns, PERSON: keys},
            schema={"age": pl.String, "town": pl.String, PERSON: pl.String},
        )

    asked = query(kind, contribution=2)
    pairs = zip(exact(rows([]), asked), exact(rows(own), asked), strict=True)
    for without, with_own in pairs:
        changes = [
            abs(one - other)
            for one, other in zip(without.values, with_own.values, strict=True)
        ]
        if kind is Kind.QUANTILE:
            assert max(changes) <= with_own.sensitivity
        else:
            assert math.hypot(*changes) <= with_own.sensitivity


# The audit.


def bound(successes: int, trials: int, *, upper: bool) -> float:
    """Clopper and Pearson's bound of a share, by bisection."""

    def tail(share: float) -> float:
        """Chance of as many as were seen, or more (fewer for the upper)."""
        counts = range(successes + 1) if upper else range(successes)
        whole = math.fsum(
            math.exp(
                math.lgamma(trials + 1)
                - math.lgamma(n + 1)
                - math.lgamma(trials - n + 1)
                + n * math.log(share)
                + (trials - n) * math.log1p(-share)
            )
            for n in counts
        )
        return whole if upper else 1 - whole

    if upper and successes == trials:
        return 1.0
    if not upper and successes == 0:
        return 0.0
    low, high = 1e-12, 1 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        above = tail(middle) < 1 - CONFIDENCE
        if above == upper:
            high = middle
        else:
            low = middle
    return (low + high) / 2


def shown_epsilon(
    without: Sequence[float], with_one: Sequence[float]
) -> float:
    """Bound from below the privacy loss that two series of answers show.

    The event is chosen on one half of the answers, counted on the other.
    """
    half = len(without) // 2
    best, threshold = -math.inf, 0.0
    values = sorted({*without[:half], *with_one[:half]})
    for each in values[:: max(1, len(values) // 60)]:
        seen = sum(v >= each for v in without[:half])
        # An event so rare that its share is not known shows nothing.
        q = (seen + 3 + 3 * math.sqrt(seen + 1)) / half
        p = sum(v >= each for v in with_one[:half]) / half
        if p > AUDIT_DELTA and math.log((p - AUDIT_DELTA) / q) > best:
            best, threshold = math.log((p - AUDIT_DELTA) / q), each
    trials = len(without) - half
    p_low = bound(
        sum(v >= threshold for v in with_one[half:]), trials, upper=False
    )
    q_high = bound(
        sum(v >= threshold for v in without[half:]), trials, upper=True
    )
    if p_low <= AUDIT_DELTA:
        return 0.0
    return math.log((p_low - AUDIT_DELTA) / q_high)


NEIGHBOURS = {
    Kind.COUNT: ("99", "town 0"),
    Kind.SUM: ("99", "town 0"),
    Kind.MEAN: ("99", "town 0"),
    Kind.HISTOGRAM: ("50", "town 4"),
}
# One person, at the bounds, changes as much as anybody can.
CLAIMED = epsilon_of(UNIT, Fraction(AUDIT_DELTA).limit_denominator(100))


def audit(kind: Kind, scale: Callable[[int, int], float]) -> float:
    """Show a loss about a mechanism of rho 1, with a scale of noise."""
    # Ten rows a person: noise of a scale below one is too coarse to see.
    age, town = NEIGHBOURS[kind]
    rows = frame(50).with_columns(
        pl.int_range(50).cast(pl.String).alias(PERSON)
    )
    own = pl.DataFrame(
        {"age": [age] * 10, "town": [town] * 10, PERSON: ["own"] * 10}
    )
    asked = query(kind, contribution=10)
    before = exact(rows, asked)
    after = exact(pl.concat([rows, own]), asked)
    series: list[list[float]] = []
    for parts in (before, after):
        total = [0.0] * DRAWS
        for part, base, other in zip(parts, before, after, strict=True):
            share = UNIT // len(parts)
            moved = [
                n
                for n, value in enumerate(base.values)
                if value != other.values[n]
            ]
            if not moved:
                continue
            (place,) = moved
            sign = 1 if other.values[place] > base.values[place] else -1
            # The mechanism adds the same noise to each of many copies.
            drawn = noise.noisy(
                [part.values[place]] * DRAWS,
                sensitivity=part.sensitivity,
                rho=share,
            )
            spread = scale(part.sensitivity, share)
            total = [
                one + sign * value / spread
                for one, value in zip(total, drawn.values, strict=True)
            ]
        series.append(total)
    return shown_epsilon(*series)


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_no_audit_shows_more_than_is_claimed(kind: Kind) -> None:
    """Over 40,000 answers each, the bound stays below the claimed epsilon."""
    assert audit(kind, noise.gaussian_scale) < CLAIMED


@pytest.mark.parametrize("kind", NEIGHBOURS)
def test_half_the_noise_is_caught(
    kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same audit fails where the scale is halved and nobody asks."""
    right = noise.gaussian_scale
    monkeypatch.setattr(
        noise, "gaussian_scale", lambda change, rho: right(change, rho) / 2
    )
    monkeypatch.setattr(noise, "_cost", lambda _measurement, _change: 0)

    assert audit(kind, right) > CLAIMED


def places(scores: Sequence[int], sensitivity: int) -> list[float]:
    """Ask for the place of the least score many times."""
    return [
        float(noise.least(scores, sensitivity=sensitivity, rho=UNIT).values[0])
        for _ in range(DRAWS_OF_PLACES)
    ]


# Two candidates, and one person below both: one score falls, one rises.
QUANTILE_PAIR = ([4, 0], [3, 1])


def test_no_audit_of_quantiles_shows_more_than_is_claimed() -> None:
    """The place that is chosen tells no more than is claimed."""
    low, high = (places(scores, 1) for scores in QUANTILE_PAIR)

    assert shown_epsilon([-v for v in low], [-v for v in high]) < CLAIMED


def test_an_eighth_of_a_quantiles_noise_is_caught(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """OpenDP's bound for quantiles is loose: at an eighth the audit sees."""
    monkeypatch.setattr(noise, "_cost", lambda _measurement, _change: 0)
    # A sensitivity of an eighth makes an eighth of the noise.
    scores = ([1 * 8, 0], [0, 1 * 8])
    low, high = (places(each, 1) for each in scores)

    assert shown_epsilon([-v for v in low], [-v for v in high]) > CLAIMED


def test_opendp_has_the_last_word_on_the_cost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A scale that is too small is not used, whoever computed it."""
    right = noise.gaussian_scale
    monkeypatch.setattr(
        noise, "gaussian_scale", lambda change, rho: right(change, rho) / 2
    )

    with pytest.raises(ArithmeticError):
        noise.noisy([1], sensitivity=1, rho=UNIT)


def test_no_noise_comes_from_anywhere_else() -> None:
    """No module that makes numbers has another source of chance."""
    for name in ("noise", "numbers", "exact", "budget", "queries", "dates"):
        path = ROOT / "anonymize" / f"{name}.py"
        tree = ast.parse(path.read_text("utf-8"))
        for node in ast.walk(tree):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [str(node.module)]
            elif isinstance(node, ast.Attribute):
                names = [node.attr]
            assert not {"random", "secrets", "numpy.random"} & {*names}, path


def test_nothing_of_it_is_loaded_with_the_package() -> None:
    """The package imports without OpenDP and Polars."""
    code = (
        "import sys, anonymize; anonymize.Query; anonymize.rho_of;"
        "print([n for n in ('opendp', 'polars') if n in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.stdout.strip() == "[]"
