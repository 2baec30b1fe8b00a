"""Real data that others made: a census, and a policy that a site published.

Both stand beside the checkout and are never copied into it; where they are
absent these tests say so and are skipped.
"""

import asyncio
import csv
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from anonymize import TableHierarchy, check_folder
from api.platform import Platform
from consent import (
    Behavior,
    Preferences,
    Purpose,
    Rule,
    explain,
    load_p3p,
    load_yaml,
    match,
)
from policy import ReleaseRequest, Taken
from tests.parts import ROOT
from tests.worlds import OFFICER, OTHER_OFFICER, build_platform
from vault import ImportReport, import_csv, load_mapping, standard_catalogue

PEOPLE = 30_162
COLUMNS = {
    "sex": "user.gender",
    "age": "user.age",
    "race": "user.race",
    "marital-status": "user.marital-status",
    "education": "user.education",
    "native-country": "user.nationality",
    "workclass": "user.workclass",
    "occupation": "user.occupation",
    "salary-class": "user.salary-class",
}
QUASI = [name for name in COLUMNS if name != "salary-class"]
MAPPING = "version: 1\ndelimiter: ';'\nsource: census\ncolumns:\n" + "".join(
    f"  {column}: {name}\n" for column, name in COLUMNS.items()
)
STATISTICS = (
    """
service: census-office
purpose: census-statistics
version: 1
title: {en: Census, zh-Hans: 普查}
purpose_text: {en: To count., zh-Hans: 用于统计。}
controller: {id: t, name: Test Town, address: 1 Test Street,
  contact: privacy@town.example, jurisdiction: ZZ, storage: [Test Town]}
assurance: 1
statements:
  - id: extract
    basis: public-task
    purposes: [{purpose: historical, required: opt-out}]
    recipients: [ours]
    retention: legal-requirement
    retention_days: 1825
    data:
"""
    + "".join(
        f"      - {{attribute: {name}, optional: true}}\n"
        for name in COLUMNS.values()
    )
    + """
release: {recipient: census-office, k: 5, l: 1, suppression_limit: 0.05,
  sensitive: [user.salary-class]}
"""
)


@pytest.fixture(scope="module")
def adult(corpus: Path) -> Path:
    """The folder of the census."""
    return corpus / "adult"


@pytest.fixture(scope="module")
def census(
    adult: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, ImportReport]]:
    """An instance with the census in its vault."""
    folder = tmp_path_factory.mktemp("census")
    mapping = folder / "mapping.yaml"
    mapping.write_text(MAPPING, "utf-8")
    with build_platform(folder / "home") as (platform, _clock):
        registrar = platform.registrar
        report = import_csv(
            adult / "adult.csv",
            load_mapping(mapping, standard_catalogue()),
            batch=500,
            write=lambda people: registrar.admit_now(people, source="census"),
            rejects=folder / "rejects.csv",
        )
        with platform.data.begin() as conn:
            platform.consents.register(
                conn, load_yaml(STATISTICS.encode(), where="census")
            )
        yield platform, report


@pytest.fixture(scope="module")
def taken(
    census: tuple[Platform, ImportReport],
    adult: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> Taken:
    """The extract over the eight quasi-identifiers, k = 5."""
    desk = census[0].releases
    release = asyncio.run(
        desk.request(
            OFFICER,
            ReleaseRequest(
                service="census-office",
                purpose="census-statistics",
                recipient="census-office",
                columns=tuple(COLUMNS.values()),
                k=5,
                l=1,
                sensitive="user.salary-class",
            ),
        )
    )
    return asyncio.run(
        desk.take(
            OTHER_OFFICER,
            release,
            tmp_path_factory.mktemp("taken") / "extract",
            hierarchies={
                COLUMNS[column]: TableHierarchy.from_file(
                    adult / f"adult_hierarchy_{column}.csv"
                )
                for column in QUASI
            },
        )
    )


@pytest.mark.corpus
@pytest.mark.long
@pytest.mark.slow
def test_the_census_goes_into_the_vault(
    census: tuple[Platform, ImportReport],
) -> None:
    """30,162 rows become 30,162 people, and none is rejected."""
    assert (PEOPLE, 0) == (census[1].accepted, census[1].rejected)


@pytest.mark.corpus
@pytest.mark.slow
def test_the_census_leaves_with_k_5(taken: Taken) -> None:
    """Everybody who left is among five, by the checker's word."""
    checked = check_folder(taken.folder, None)

    assert checked.k >= 5
    assert taken.rows_out == checked.rows
    assert taken.ncp < 0.06


@pytest.mark.corpus
@pytest.mark.slow
def test_pycanon_agrees_about_the_file_that_came_out(taken: Taken) -> None:
    """A checker that others wrote finds the same k and l."""
    pytest.importorskip("pycanon", reason="pycanon has no wheel here")
    program = (
        "import sys, pandas as pd\n"
        "from pycanon import anonymity\n"
        "frame = pd.read_csv(sys.argv[1], dtype=str)\n"
        f"quasi = {[COLUMNS[name] for name in QUASI]!r}\n"
        "print(anonymity.k_anonymity(frame, quasi),\n"
        "  anonymity.l_diversity(frame, quasi, ['user.salary-class']))\n"
    )
    done = subprocess.run(
        (
            *(sys.executable, "-W", "ignore", "-c", program),
            str(taken.folder / "data.csv"),
        ),
        capture_output=True,
        text=True,
        check=True,
    )

    assert f"{taken.k} {taken.l}" == done.stdout.split("\n")[-2]


@pytest.mark.corpus
@pytest.mark.slow
def test_no_row_of_the_extract_is_a_census_row_of_its_own(
    taken: Taken,
) -> None:
    """No combination of the eight published labels stands alone."""
    with (taken.folder / "data.csv").open(encoding="utf-8") as opened:
        rows = [
            tuple(row[COLUMNS[name]] for name in QUASI)
            for row in csv.DictReader(opened)
        ]
    counts = {row: rows.count(row) for row in set(rows[:200])}

    assert min(counts.values()) >= 5


@pytest.mark.corpus
def test_a_published_policy_is_matched_and_explained(corpus: Path) -> None:
    """A health site's P3P policy loads, and a rule says why it is refused."""
    path = (
        corpus
        / "p3p"
        / "xml"
        / "Conservatory__healthcare.gov-2013-10-01__w3c_p3p.xml"
    )
    (declaration,) = load_p3p(path.read_bytes(), where=path.name)
    preferences = Preferences(
        rules=(
            Rule(
                id="no-profiles",
                behavior=Behavior.REFUSE,
                purposes=frozenset({Purpose.INDIVIDUAL_ANALYSIS}),
            ),
            Rule(id="rest", behavior=Behavior.ALLOW),
        )
    )

    verdicts = match(preferences, declaration)
    sentences = explain(verdicts, "en")

    assert {("refuse", "no-profiles")} == {
        (one.behavior.value, one.rule) for one in verdicts
    }
    assert any("no-profiles" in one for one in sentences)


def test_nothing_of_the_reference_data_is_in_the_tree() -> None:
    """The project holds no census row and no corpus file."""
    assert [] == list(ROOT.glob("**/adult*.csv"))
