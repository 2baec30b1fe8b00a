"""pycanon measures the files that the independent check passed."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

from anonymize import (
    Ceiling,
    Closeness,
    EntropyDiversity,
    ExtractSpec,
    Likeness,
    Reference,
    Role,
    Terms,
    build_extract,
    check_bytes,
)
from anonymize.csvfile import read_csv
from tests.bench.adults import ADULT, QUASI, SENSITIVE, hierarchies

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("pycanon") is None,
        reason="pycanon has no wheels for this Python",
    ),
]

ROWS = 6_000
PYCANON = """
import json, sys
import pandas as pd
from pycanon import anonymity
data = pd.read_csv(sys.argv[1], dtype=str, keep_default_na=False)
names, value = sys.argv[3:], [sys.argv[2]]
alpha, k = anonymity.alpha_k_anonymity(data, names, value)
print(json.dumps({
    "k": int(k), "alpha": float(alpha),
    "l": int(anonymity.l_diversity(data, names, value)),
    "entropy": int(anonymity.entropy_l_diversity(data, names, value)),
    "t": float(anonymity.t_closeness(data, names, value)),
    "beta": float(anonymity.basic_beta_likeness(data, names, value)),
}))
"""
LOOSE = (
    Ceiling(column=SENSITIVE, alpha=0.999999),
    EntropyDiversity(column=SENSITIVE, l=1),
    Closeness(column=SENSITIVE, t=1, reference=Reference.PUBLISHED),
    Likeness(column=SENSITIVE, beta=1e9, reference=Reference.PUBLISHED),
)


@pytest.mark.parametrize(
    "terms",
    [
        {"l": 2},
        {"l": 2, "sets": True},
        {"models": (Closeness(column=SENSITIVE, t=0.2),)},
    ],
    ids=["l", "l, sets", "t"],
)
def test_pycanon_finds_what_the_check_finds(
    tmp_path: Path, terms: dict[str, object]
) -> None:
    """The values of k, l, entropy l, t, alpha and beta, of one file."""
    table = read_csv(
        (ADULT / "adult.csv").read_bytes(), where="adult", delimiter=";"
    )
    table = {n: table[n][:ROWS] for n in (*QUASI, SENSITIVE)}
    given: dict[str, object] = {
        "columns": {
            **dict.fromkeys(QUASI, Role.QUASI),
            SENSITIVE: Role.SENSITIVE,
        },
        "hierarchies": hierarchies(),
        "k": 5,
        "fast": True,
        "recipient": "office",
    }
    extract = build_extract(
        ExtractSpec(**given | terms),  # type: ignore[arg-type]  # as given
        table,
    )
    data = extract.files["data.csv"]
    (tmp_path / "data.csv").write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PYCANON,
         str(tmp_path / "data.csv"), SENSITIVE, *QUASI],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    theirs = json.loads(done.stdout.splitlines()[-1])
    values = {
        value: table[SENSITIVE].count(value) for value in ("<=50K", ">50K")
    }
    ours = check_bytes(
        data,
        Terms(
            quasi=QUASI,
            sensitive=(SENSITIVE,),
            k=5,
            l=1,
            rows_in=ROWS,
            allowed=0,
            delimiter=",",
            models=tuple(each.describe() for each in LOOSE),
            reference={SENSITIVE: values},
        ),
    )
    reached = {each.model: each.reached for each in ours.models}
    assert (theirs["k"], theirs["l"]) == (ours.k, ours.l)
    assert theirs["entropy"] == int(reached["entropy-l"])
    assert theirs["alpha"] == pytest.approx(reached["alpha-k"])
    assert theirs["t"] == pytest.approx(reached["t-closeness"])
    assert theirs["beta"] == pytest.approx(reached["beta-likeness"])
