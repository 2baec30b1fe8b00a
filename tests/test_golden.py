"""The golden set: one file a decision, the same on every engine.

Each file names a character made for one outcome, the input document and the
decision that is wanted; a wanted `null` is "no decision". A character fails
for one reason only, so that a change of the policies shows as one name.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy import EmbeddedPdp, NoDecision, OpaPdp, load_bundle
from policy.compiling import build_server_bundle
from tests import oracle
from tests.engines import PATIENT, unhurried
from tests.parts import opa

GOLDEN = Path(__file__).parent / "golden"
POLICIES = Path(__file__).parent.parent / "policies"
CASES = {
    f"{path.parent.name}/{path.stem}": path
    for path in sorted(GOLDEN.glob("*/*.json"))
}


def read(name: str) -> dict[str, Any]:
    """Read one golden case."""
    found: dict[str, Any] = json.loads(CASES[name].read_text("utf-8"))
    return found


def entrypoint(name: str) -> str:
    """Name the decision that a case asks for."""
    return f"curtilage/{name.partition('/')[0]}/decision"


@pytest.fixture(scope="module")
def embedded() -> EmbeddedPdp:
    """The engine that runs the committed plan."""
    return unhurried()


@pytest.fixture(scope="module")
def server(
    opa_binary: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """An OPA server with the same policies under the same revision."""
    archive = tmp_path_factory.mktemp("bundle") / "policies.tar.gz"
    revision = load_bundle().revision
    build_server_bundle(opa_binary, POLICIES, archive, revision=revision)
    with opa.serve(opa_binary, ["--bundle", archive]) as address:
        yield address


@pytest.mark.parametrize("name", CASES)
def test_embedded_engine_decides_as_wanted(
    name: str, embedded: EmbeddedPdp
) -> None:
    """The embedded engine comes to the wanted decision, or to none."""
    case = read(name)
    decision = embedded.decide(entrypoint(name), case["input"])
    if case["wanted"] is None:
        with pytest.raises(NoDecision):
            asyncio.run(decision)
    else:
        assert case["wanted"] == asyncio.run(decision).document


@pytest.mark.opa
def test_opa_server_decides_as_wanted(server: str) -> None:
    """A real OPA server comes to every wanted decision, or to none."""

    async def ask(pdp: OpaPdp, name: str) -> Any:  # noqa: ANN401 - JSON
        try:
            found = await pdp.decide(entrypoint(name), read(name)["input"])
        except NoDecision:
            return None
        return found.document

    async def ask_all() -> dict[str, Any]:
        revision = load_bundle().revision
        async with OpaPdp(
            url=server, revision=revision, patience=PATIENT
        ) as pdp:
            return {name: await ask(pdp, name) for name in CASES}

    assert {name: read(name)["wanted"] for name in CASES} == asyncio.run(
        ask_all()
    )


ORACLES = {
    "disclosure": oracle.disclosure,
    "glass": oracle.glass,
    "guidance": oracle.guidance,
}


@pytest.mark.parametrize(
    "name", [name for name in CASES if name.partition("/")[0] in ORACLES]
)
def test_oracle_decides_as_wanted(name: str) -> None:
    """The oracle, written apart from the Rego, comes to the same."""
    case, decide = read(name), ORACLES[name.partition("/")[0]]
    assert case["wanted"] == decide(case["input"])


def test_golden_set_knows_every_code_of_an_emergency() -> None:
    """Every code of emergency access is the wanted reason of some case."""
    wanted = {
        reason["code"]
        for name in CASES
        if name.startswith("glass/") and read(name)["wanted"]
        for reason in read(name)["wanted"]["reasons"]
    }
    assert set(oracle.GLASS_REMEDIES) == wanted


def test_golden_set_is_large_enough() -> None:
    """There are at least sixty disclosures and fifteen extracts."""
    counted = Counter(name.partition("/")[0] for name in CASES)
    assert counted["disclosure"] >= 60
    assert counted["release"] >= 15


def test_golden_set_knows_every_disclosure_code() -> None:
    """Every code of a disclosure is the wanted reason of some case."""
    wanted = {
        reason["code"]
        for name in CASES
        if name.startswith("disclosure/")
        for one in (read(name)["wanted"] or {"attributes": {}})[
            "attributes"
        ].values()
        for reason in one["reasons"]
    }
    assert set(oracle.REMEDIES) == wanted


@pytest.mark.parametrize("name", CASES)
def test_case_says_what_it_is_for(name: str) -> None:
    """A case has a sentence, a character that its file names, and no more."""
    case = read(name)
    assert {"description", "character", "input", "wanted"} == set(case)
    assert case["description"].endswith(".")
    assert case["character"].lower() == CASES[name].stem.partition("-")[0]
