"""Privacy models: what is published holds them, or nothing is."""

import math
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anonymize import (
    Ceiling,
    Closeness,
    CriteriaNotMet,
    Distance,
    EntropyDiversity,
    ExtractSpec,
    Intervals,
    InvalidSpec,
    Likeness,
    RecursiveDiversity,
    Reference,
    Role,
    TableHierarchy,
    Terms,
    build_extract,
    check_bytes,
    flat,
    read_spec,
)
from anonymize.models import OfValues
from anonymize.recheck import measure_model

AGE = Intervals(low=0, high=39, widths=(5, 10, 20))
SEX = flat(["f", "m"], where="sex")
ILLNESS = TableHierarchy.from_rows(
    [
        ["flu", "lung", "*"],
        ["cough", "lung", "*"],
        ["gout", "joint", "*"],
        ["sprain", "joint", "*"],
    ],
    where="illness",
)
VALUES = ("flu", "cough", "gout", "sprain")
ROWS = st.lists(
    st.tuples(
        st.integers(0, 39).map(str),
        st.sampled_from(["f", "m", ""]),
        st.sampled_from([*VALUES, ""]),
    ),
    min_size=1,
    max_size=30,
)
REFERENCES = st.sampled_from([*Reference])
SMALL = st.floats(0.05, 1)
MODELS: st.SearchStrategy[OfValues] = st.one_of(
    st.builds(EntropyDiversity, column=st.just("x"), l=st.floats(1, 3)),
    st.builds(
        RecursiveDiversity,
        column=st.just("x"),
        l=st.integers(2, 3),
        c=st.floats(0.5, 4),
    ),
    st.builds(Closeness, column=st.just("x"), t=SMALL, reference=REFERENCES),
    st.builds(
        Closeness,
        column=st.just("x"),
        t=SMALL,
        reference=REFERENCES,
        distance=st.just(Distance.ORDERED),
        order=st.permutations(["", *VALUES]).map(tuple),
    ),
    st.builds(
        Closeness,
        column=st.just("x"),
        t=SMALL,
        reference=REFERENCES,
        distance=st.just(Distance.HIERARCHICAL),
        hierarchy=st.just(ILLNESS),
    ),
    st.builds(
        Ceiling,
        column=st.just("x"),
        alpha=st.floats(0.2, 0.9),
        values=st.sampled_from([(), ("flu",), ("flu", "gout")]),
    ),
    st.builds(
        Likeness,
        column=st.just("x"),
        beta=st.floats(0.1, 4),
        enhanced=st.booleans(),
        reference=REFERENCES,
    ),
)


def spec(
    models: tuple[OfValues, ...] = (),
    *,
    k: int = 2,
    diversity: int = 1,
    limit: float = 0.0,
    fast: bool = False,
) -> ExtractSpec:
    """Terms over age, sex and x."""
    return ExtractSpec(
        columns={
            "age": Role.QUASI,
            "sex": Role.QUASI,
            "x": Role.SENSITIVE,
        },
        hierarchies={"age": AGE, "sex": SEX},
        k=k,
        l=diversity,
        models=models,
        suppression_limit=limit,
        fast=fast,
        recipient="r",
    )


def distances(p: Counter[str], q: Counter[str], model: Closeness) -> float:
    """Earth mover's distance by its definition, not by its formula."""
    everyone, total = sum(q.values()), sum(p.values())
    gap = {v: p[v] / total - q[v] / everyone for v in {*p, *q}}
    if model.distance is Distance.EQUAL:
        return sum(max(each, 0.0) for each in gap.values())
    if model.distance is Distance.ORDERED:
        last = len(model.order) - 1
        upto = [
            sum(gap.get(v, 0.0) for v in model.order[: at + 1])
            for at in range(last)
        ]
        return sum(map(abs, upto)) / last
    inner: dict[str, float] = {}
    moved = 0.0
    for name in ("lung", "joint", ""):
        children = [
            each
            for v, each in gap.items()
            if (ILLNESS.path(v) or ("", ""))[1] == name
        ]
        up = sum(max(each, 0.0) for each in children)
        down = sum(max(-each, 0.0) for each in children)
        moved += min(up, down) / 2
        inner[name] = sum(children)
    up = sum(max(each, 0.0) for each in inner.values())
    down = sum(max(-each, 0.0) for each in inner.values())
    return moved + min(up, down)


def holds(members: Counter[str], model: OfValues, q: Counter[str]) -> bool:
    """Tell by the textbook whether a class holds a model."""
    counts = sorted((n for v, n in members.items() if v), reverse=True)
    rows = sum(counts)
    slack = 1e-7
    match model:
        case EntropyDiversity():
            shares = [n / rows for n in counts]
            bits = -sum(share * math.log(share) for share in shares)
            return rows > 0 and math.exp(bits) >= model.l - slack
        case RecursiveDiversity():
            rest = sum(counts[model.l - 1 :])
            return rows > 0 and counts[0] < model.c * rest + slack
        case Ceiling():
            named = {*model.values} or {*members} - {""}
            return all(
                members[v] <= (model.alpha + slack) * rows for v in named
            )
        case Closeness():
            return distances(members, q, model) <= model.t + slack
        case Likeness():
            everyone, total = sum(q.values()), sum(members.values())
            for value, n in members.items():
                was, now = q[value] / everyone, n / total
                bound = model.beta
                if model.enhanced and was:
                    bound = min(bound, -math.log(was))
                if now > was and not now - was <= bound * was + slack:
                    return False
            return True


@settings(max_examples=150, deadline=None)
@given(
    ROWS,
    st.lists(MODELS, min_size=1, max_size=2).map(tuple),
    st.tuples(
        st.integers(2, 4),
        st.integers(1, 2),
        st.sampled_from([0.0, 0.3, 0.9]),
        st.booleans(),
    ),
)
def test_no_row_leaves_that_misses_its_model(
    rows: list[tuple[str, str, str]],
    models: tuple[OfValues, ...],
    terms: tuple[int, int, float, bool],
) -> None:
    """Each class of what leaves holds each model, by an oracle of its own."""
    age, sex, x = (list(each) for each in zip(*rows, strict=True))
    k, diversity, limit, fast = terms
    asked = spec(models, k=k, diversity=diversity, limit=limit, fast=fast)
    try:
        extract = build_extract(asked, {"age": age, "sex": sex, "x": x})
    except CriteriaNotMet:
        return

    classes: dict[tuple[str, ...], Counter[str]] = {}
    for *label, value in extract.rows:
        classes.setdefault(tuple(label), Counter())[value] += 1
    published = Counter(row[-1] for row in extract.rows)
    for members in classes.values():
        assert sum(members.values()) >= k
        assert diversity == 1 or len({*members} - {""}) >= diversity
        for model in models:
            named = getattr(model, "reference", Reference.INPUT)
            q = Counter(x) if named is Reference.INPUT else published
            assert holds(members, model, q)
    assert len(rows) - len(extract.rows) <= limit * len(rows)


def test_a_file_that_asks_for_k_alone_says_why() -> None:
    """Without a reason a sensitive column is not left to k; l = 2 is usual."""
    text = (
        "recipient: r\nk: 2\ncolumns:\n"
        "  sex: {role: quasi, hierarchy: {flat: [f, m]}}\n"
        "  x: {role: sensitive}\n"
    )
    with pytest.raises(InvalidSpec, match="k alone protects no"):
        read_spec((text + "l: 1\n").encode(), folder=Path())
    assert 2 == read_spec(text.encode(), folder=Path()).l
    reason = text + "k_alone: it is published elsewhere\n"
    assert 2 == read_spec(reason.encode(), folder=Path()).k
    model = text + "models: [{model: entropy-l, column: x, l: 1.5}]\n"
    assert (EntropyDiversity(column="x", l=1.5),) == (
        read_spec(model.encode(), folder=Path()).models
    )


@pytest.mark.parametrize(
    ("model", "reached"),
    [
        (EntropyDiversity(column="x", l=1.9), 1.754765),
        (RecursiveDiversity(column="x", l=2, c=3.0), 3.0),
        (Closeness(column="x", t=0.2), 0.25),
        (
            Closeness(
                column="x",
                t=0.2,
                distance=Distance.ORDERED,
                order=("flu", "gout"),
            ),
            0.25,
        ),
        (
            Closeness(
                column="x",
                t=0.2,
                distance=Distance.HIERARCHICAL,
                hierarchy=ILLNESS,
            ),
            0.25,
        ),
        (Ceiling(column="x", alpha=0.7), 0.75),
        (Likeness(column="x", beta=0.4), 0.5),
    ],
)
def test_the_check_refuses_a_class_that_misses_its_model(
    model: OfValues, reached: float
) -> None:
    """Without the engine: figures by hand, and a refusal that names it."""
    data = (
        b"q,x\n" + b"a,flu\n" * 3 + b"a,gout\n" + b"b,flu\n" + b"b,gout\n" * 3
    )
    terms = Terms(
        quasi=("q",),
        sensitive=("x",),
        k=2,
        l=2,
        rows_in=8,
        allowed=0,
        delimiter=",",
        models=(model.describe(),),
        reference={"x": {"flu": 4, "gout": 4}},
    )
    with pytest.raises(CriteriaNotMet) as caught:
        check_bytes(data, terms)
    assert (f"{model.model} of x",) == caught.value.missed
    found = check_bytes(
        b"q,x\n" + data[4:].replace(b"b,", b"a,"), terms
    ).models
    measured = measure_model(
        ({"flu": 3, "gout": 1}, {"flu": 1, "gout": 3}),
        model.describe(),
        {"flu": 4, "gout": 4},
    )
    assert found[0].holds
    assert reached == pytest.approx(measured.reached, abs=1e-6)
