"""Spark gives the same release, and talks to nobody."""

import random
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import polars as pl
import pytest
from pyspark import SparkContext
from pyspark.sql import SparkSession

from anonymize import (
    Closeness,
    CriteriaNotMet,
    ExtractSpec,
    Intervals,
    InvalidRows,
    OutputExists,
    Role,
    ValueNotCovered,
    flat,
    spark,
)
from anonymize.bulk import extract_file_in_bulk
from anonymize.tablefile import TableFile

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("java") is None, reason="no Java"),
]

SPEC = ExtractSpec(
    columns={
        "age": Role.QUASI,
        "home town": Role.QUASI,
        "x": Role.SENSITIVE,
        "note": Role.OTHER,
        "name": Role.DIRECT,
    },
    hierarchies={
        "age": Intervals(low=0, high=99, widths=(5, 20)),
        "home town": flat(["a1", "a2", "b1"], where="town"),
    },
    k=4,
    l=2,
    models=(Closeness(column="x", t=0.4),),
    suppression_limit=0.1,
    recipient="office",
)


def silent(_stage: str, _done: int, _total: int) -> None:
    """Tell nobody."""


@pytest.fixture(scope="module")
def session() -> Iterator[SparkSession]:
    """Start Spark in this machine."""
    found = spark.local_session(memory="1g")
    yield found
    found.stop()


def write_people(path: Path, count: int) -> None:
    """Write made-up people, with missing values and odd texts."""
    chance = random.Random(7)  # noqa: S311 - made-up rows
    pl.DataFrame(
        {
            "age": [str(chance.choice([3, 31, 33, 64])) for _ in range(count)],
            "home town": [
                chance.choice(["a1", "a2", "b1", ""]) for _ in range(count)
            ],
            "x": [chance.choice(["flu", "gout", ""]) for _ in range(count)],
            "note": [
                chance.choice(["=1", 'say "a,b"', "北京", "", " z"])
                for _ in range(count)
            ],
            "name": [f"person {n}" for n in range(count)],
        }
    ).write_csv(path)


def test_spark_gives_the_same_release(
    session: SparkSession, tmp_path: Path
) -> None:
    """Rows, their order and the report are those of one machine."""
    source = tmp_path / "in.csv"
    write_people(source, 400)
    one = extract_file_in_bulk(
        SPEC,
        TableFile(source, delimiter=","),
        tmp_path / "one.parquet",
        suffix=".parquet",
        progress=silent,
    )
    many = spark.extract_with_spark(
        session, SPEC, source, tmp_path / "many", silent
    )
    parts = sorted((tmp_path / "many").iterdir())
    assert {".parquet"} == {part.suffix for part in parts}
    assert (
        pl.read_parquet(tmp_path / "one.parquet").rows()
        == pl.read_parquet(parts).rows()
    )
    # Attacks are drawn from the hash of the files, which are not the same.
    assert one.report.trials is not None
    assert many.report.trials is not None
    assert one.report.trials.seed != many.report.trials.seed
    assert one.report.trials.passed
    assert many.report.trials.passed
    untried = [replace(each.report, trials=None) for each in (one, many)]
    assert untried[0].to_json() == untried[1].to_json()
    assert {"in.csv", "one.parquet", "many"} == {
        path.name for path in tmp_path.iterdir()
    }


def listening(process: int) -> list[str]:
    """List the addresses that a process listens on, as Linux writes them."""
    place = Path("/proc") / str(process)
    mine = {str(each.readlink()) for each in (place / "fd").iterdir()}
    found = []
    for name in ("tcp", "tcp6"):
        lines = (place / "net" / name).read_text("ascii").splitlines()
        found += [
            fields[1].split(":")[0]
            for fields in map(str.split, lines[1:])
            if fields[3] == "0A" and f"socket:[{fields[9]}]" in mine
        ]
    return found


def test_spark_listens_to_this_machine_alone(session: SparkSession) -> None:
    """No socket of the Java process is open to others; no pages are shown."""
    gateway = vars(SparkContext)["_gateway"]
    addresses = listening(gateway.proc.pid)
    assert addresses
    loopback = ("0100007F", "0000000000000000FFFF00000100007F")
    assert {*addresses} <= {*loopback}
    assert session.sparkContext.uiWebUrl is None


def test_spark_refuses_what_one_machine_refuses(
    session: SparkSession, tmp_path: Path
) -> None:
    """One clear error, and nothing is left."""
    source = tmp_path / "in.csv"
    for text, error in (
        ("age,home town,x,note\n3,a1,flu,n\n", InvalidRows),
        ("age,home town,x,note,name\n3,a1,flu\n" * 2, InvalidRows),
        ("age,home town,x,note,name\nold,a1,flu,,n\n" * 9, ValueNotCovered),
        ("age,home town,x,note,name\n3,a1,flu,,n\n", CriteriaNotMet),
    ):
        source.write_text(text, "utf-8")
        with pytest.raises(error) as caught:
            spark.extract_with_spark(
                session, SPEC, source, tmp_path / "out", silent
            )
        assert "\n" not in str(caught.value)
        assert ["in.csv"] == [path.name for path in tmp_path.iterdir()]
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputExists):
        spark.extract_with_spark(
            session, SPEC, source, tmp_path / "out", silent
        )
