"""Proposals and what is in force, held to the ledger, attack by attack.

Each attack is by somebody who writes the data database alone, also with rows
that this instance wrote itself, earlier.
"""

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from policy import OURS, ProposalFault, ProposalFinding, ProposalKind
from policy.bundle import MANIFEST
from tests.bundles import variant
from tests.databases import KINDS, Kind
from tests.test_fact_codes import put_back
from tests.test_policy_codes import DONE, GONE, WAITS, Stage, settle, staged
from tests.worlds import OFFICER, OTHER_OFFICER, build_world

DECLARATION, POLICIES, RELEASE, IN_FORCE = ProposalKind
ADDED, MISSING, ALTERED, CONTRADICTED = ProposalFault


@pytest.fixture(scope="module", params=KINDS)
def shared(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stage]:
    """Of each kind one proposal waits, and one was rejected."""
    home = tmp_path_factory.mktemp("proposal-sweep") / "home"
    with staged(home, Kind(request.param)) as made:
        yield made


@pytest.fixture
def stage(shared: Stage) -> Iterator[Stage]:
    """The shared instance; what an attack did is put back."""
    tables = ("policy_live", "policy_bundle", "policy_proposal")
    with put_back(shared.world, *tables):
        yield shared
        shared.world.platform.macs.required = True


Found = tuple[ProposalFault, ProposalKind, int | str, tuple[str, ...]]


def findings(stage: Stage) -> list[ProposalFinding]:
    """What the sweep finds."""
    return stage.world.platform.proposal_sweep.run()


def found(stage: Stage) -> list[Found]:
    """The same without the entries."""
    return [
        (one.fault, one.kind, one.number, one.columns)
        for one in findings(stage)
    ]


def test_nothing_is_found_where_officers_acted_alone(stage: Stage) -> None:
    """Through every act that there is."""
    assert [] == found(stage)
    with build_world(stage.world.platform.settings.home / "fresh") as fresh:
        policies = fresh.platform.policies
        sweep = fresh.platform.proposal_sweep
        assert [] == sweep.run()
        settle(fresh)

        async def acts() -> None:
            await policies.shadow(OFFICER, WAITS)
            assert [] == sweep.run()
            await policies.shadow(OFFICER, None)
            assert [] == sweep.run()
            await policies.shadow(OFFICER, WAITS)
            await policies.publish(OTHER_OFFICER, WAITS)
            assert [] == sweep.run()
            await policies.roll_back(OFFICER, OURS, reason="flaw")
            assert [] == sweep.run()
            await policies.roll_back(OFFICER, DONE, reason="no flaw")
            await fresh.platform.declarations.approve(OTHER_OFFICER, 1)

        asyncio.run(acts())
        assert [] == sweep.run()


CHANGES: Mapping[str, tuple[str, Found]] = {
    "another proposer": (
        f"UPDATE policy_bundle SET proposer = 'x' WHERE number = {WAITS}",
        (ALTERED, POLICIES, WAITS, ("proposer", "mac")),
    ),
    "waits again": (
        (
            "UPDATE policy_proposal SET state = 'proposed', officer = '',"
            f" decided_at = NULL WHERE number = {GONE}"
        ),
        (
            *(ALTERED, DECLARATION, GONE),
            ("state", "officer", "decided_at", "mac"),
        ),
    ),
    "an earlier day": (
        "UPDATE policy_proposal SET proposed_at = 5 WHERE number = 1",
        (ALTERED, DECLARATION, 1, ("proposed_at", "mac")),
    ),
    "another base": (
        f"UPDATE policy_bundle SET base = 'x' WHERE number = {WAITS}",
        (ALTERED, POLICIES, WAITS, ("base", "mac")),
    ),
    "another digest": (
        "UPDATE policy_proposal SET digest = 'x' WHERE number = 1",
        (ALTERED, DECLARATION, 1, ("digest", "mac")),
    ),
    "a declaration is gone": (
        "DELETE FROM policy_proposal WHERE number = 2",
        (MISSING, DECLARATION, 2, ()),
    ),
    "a bundle is gone": (
        f"DELETE FROM policy_bundle WHERE number = {WAITS}",
        (MISSING, POLICIES, WAITS, ()),
    ),
    "a shadow": (
        f"UPDATE policy_live SET shadow = {WAITS}",
        (ALTERED, IN_FORCE, DONE, ("shadow_revision", "mac")),
    ),
    "other policies": (
        f"UPDATE policy_live SET number = {WAITS}",
        (ALTERED, IN_FORCE, WAITS, ("number", "revision", "mac")),
    ),
    "no pointer": (
        "DELETE FROM policy_live",
        (
            *(ALTERED, IN_FORCE, OURS),
            ("number", "revision", "changes", "mac"),
        ),
    ),
}


@pytest.mark.parametrize("attack", CHANGES.values(), ids=CHANGES)
def test_a_row_that_the_ledger_denies_is_named(
    stage: Stage, attack: tuple[str, Found]
) -> None:
    """And no other; without codes, too, but for the code."""
    sql, expected = attack
    stage.sql(sql)
    assert [expected] == found(stage)
    (one,) = findings(stage)
    assert isinstance(one.entry, int)

    stage.world.platform.macs.required = False
    fault, kind, number, columns = expected
    less = tuple(name for name in columns if name != "mac")
    without = [(fault, kind, number, less)]
    assert (without if less or fault is MISSING else []) == found(stage)


def test_what_nobody_proposed_is_named(stage: Stage) -> None:
    """Of either kind."""
    columns = "service, purpose, version, digest, base, text, proposer"
    stage.sql(
        f"INSERT INTO policy_proposal (tenant, number, {columns},"
        f" proposed_at, officer, state, mac) SELECT tenant, 9, {columns},"
        " proposed_at, officer, state, mac FROM policy_proposal"
        " WHERE number = 1"
    )
    columns = "revision, base, manifest, plan, data, proposer, proposed_at"
    stage.sql(
        f"INSERT INTO policy_bundle (tenant, number, {columns}, officer,"
        f" state, mac) SELECT tenant, 9, {columns}, officer, state, mac"
        f" FROM policy_bundle WHERE number = {WAITS}"
    )

    assert [
        (ADDED, DECLARATION, 9, ()),
        (ADDED, POLICIES, 9, ()),
    ] == found(stage)


def test_a_row_of_earlier_is_named(stage: Stage) -> None:
    """It has its code; what came of it after stands in the ledger."""
    with build_world(stage.world.platform.settings.home / "later") as later:
        settle(later)
        inner = Stage(world=later)
        policies, declarations = (
            later.platform.policies,
            later.platform.declarations,
        )
        with put_back(
            later, "policy_live", "policy_bundle", "policy_proposal"
        ):
            asyncio.run(policies.publish(OTHER_OFFICER, WAITS))
            asyncio.run(declarations.reject(OFFICER, 1, reason="odd"))
            assert [] == found(inner)

        decided = ("state", "officer", "decided_at")
        assert [
            (ALTERED, DECLARATION, 1, decided),
            (ALTERED, POLICIES, WAITS, decided),
            (ALTERED, IN_FORCE, DONE, ("number", "revision", "changes")),
        ] == found(inner)


def test_other_files_under_a_revision_are_named(stage: Stage) -> None:
    """The row may be as it was; what it proposes is not."""
    files = variant("forged")
    stage.sql(
        f"UPDATE policy_bundle SET manifest = :m WHERE number = {WAITS}",
        m=files[MANIFEST].decode(),
    )
    assert [(ALTERED, POLICIES, WAITS, ("files",))] == found(stage)
    stage.sql(
        "UPDATE policy_proposal SET text = replace(text, 'Test', 'Best')"
        " WHERE number = 2"
    )
    stage.world.platform.macs.required = False

    assert [
        (ALTERED, DECLARATION, 2, ("text",)),
        (ALTERED, POLICIES, WAITS, ("files",)),
    ] == found(stage)


NO_TEXT = "CAST(x'ff41' AS TEXT)"
UNREAD: Mapping[str, tuple[str, Found]] = {
    "a revision": (
        f"policy_bundle SET revision = {NO_TEXT} WHERE number = {WAITS}",
        (ALTERED, POLICIES, WAITS, ("revision", "mac")),
    ),
    "a manifest": (
        f"policy_bundle SET manifest = {NO_TEXT} WHERE number = {WAITS}",
        (ALTERED, POLICIES, WAITS, ("files",)),
    ),
    "an archive": (
        f"policy_bundle SET archive = {NO_TEXT} WHERE number = {WAITS}",
        (ALTERED, POLICIES, WAITS, ("archive", "mac")),
    ),
    "what is empty": (
        f"policy_proposal SET decided_at = {NO_TEXT} WHERE number = 1",
        (ALTERED, DECLARATION, 1, ("decided_at", "mac")),
    ),
    "a text": (
        f"policy_proposal SET text = {NO_TEXT} WHERE number = 1",
        (ALTERED, DECLARATION, 1, ("text", "mac")),
    ),
    "a code": (
        f"policy_proposal SET mac = {NO_TEXT} WHERE number = 1",
        (ALTERED, DECLARATION, 1, ("mac",)),
    ),
    "a code of the pointer": (
        f"policy_live SET mac = {NO_TEXT}",
        (ALTERED, IN_FORCE, DONE, ("mac",)),
    ),
    "a count": (
        f"policy_live SET changes = {NO_TEXT}",
        (ALTERED, IN_FORCE, DONE, ("changes", "mac")),
    ),
}


def test_a_row_that_the_driver_cannot_decode_is_named(
    tmp_path: Path,
) -> None:
    """And no other; it ends no sweep, with codes or without."""
    tables = ("policy_live", "policy_bundle", "policy_proposal")
    with staged(tmp_path / "home", Kind.SQLITE) as stage:
        for name, (sql, expected) in UNREAD.items():
            with put_back(stage.world, *tables):
                stage.sql(f"UPDATE {sql}")
                assert (name, [expected]) == (name, found(stage))
                stage.world.platform.macs.required = False
                (one,) = found(stage)
                assert (name, expected[:3]) == (name, one[:3])
                assert set(one[3]) <= set(expected[3])
                stage.world.platform.macs.required = True


def test_a_number_and_a_revision_that_do_not_read_are_named(
    tmp_path: Path,
) -> None:
    """What is in force rests on the row; what has no number is one more."""
    with staged(tmp_path / "home", Kind.SQLITE) as stage:
        stage.sql(
            f"UPDATE policy_bundle SET revision = {NO_TEXT}"
            f" WHERE number = {DONE}"
        )
        stage.sql(
            f"UPDATE policy_proposal SET number = {NO_TEXT} WHERE number = 2"
        )

        unread = ("revision", "mac")
        assert [
            (ADDED, DECLARATION, "", ()),
            (ALTERED, POLICIES, DONE, unread),
            (MISSING, DECLARATION, 2, ()),
            (ALTERED, IN_FORCE, DONE, unread),
        ] == found(stage)
        home = str(stage.world.platform.settings.home)
        asked = ["--home", home, "policy", "verify"]
        for options in ((), ("--json",)):
            told = CliRunner().invoke(build(), [*asked, *options])
            assert (1, "") == (told.exit_code, told.stderr)
            assert "altered" in told.stdout


def test_the_command_names_what_is_wrong(stage: Stage) -> None:
    """It ends with 1 where there is something, and says so for people."""
    home = str(stage.world.platform.settings.home)

    def run(*options: str) -> tuple[int, str]:
        asked = ["--home", home, "policy", "verify", *options]
        told = CliRunner().invoke(build(), asked)
        return told.exit_code, told.stdout

    code, said = run()
    assert (0, True) == (code, said.startswith("Nothing is wrong"))
    assert (0, {"findings": []}) == (0, json.loads(run("--json")[1]))
    stage.sql(f"DELETE FROM policy_bundle WHERE number = {WAITS}")
    code, said = run("--json")
    (finding,) = json.loads(said)["findings"]
    assert (1, "missing", "policies", WAITS, []) == (
        code,
        *(finding[name] for name in ("fault", "kind", "number", "columns")),
    )
    code, said = run()
    assert (1, True) == (code, "missing" in said)
    assert "rollback" not in said
    stage.sql("DELETE FROM policy_live")
    assert "policy rollback --to NUMBER" in " ".join(run()[1].split())


def test_what_is_contradicted_is_not_sent_to_a_backup(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the entries that do not fit, and there is no other ledger."""
    with build_world(tmp_path / "home") as made:
        policies = made.platform.policies
        asyncio.run(policies.propose(OFFICER, variant("a")))
        with put_back(made, "policy_bundle"):
            asyncio.run(policies.reject(OFFICER, 1, reason="no"))
        with monkeypatch.context() as patch:
            patch.setattr("policy.settled.Settled.demand", lambda *_: None)
            asyncio.run(policies.publish(OTHER_OFFICER, 1))
        asked = ["--home", str(made.platform.settings.home)]
        told = CliRunner().invoke(build(), [*asked, "policy", "verify"])

    said = " ".join(told.stdout.split())
    assert (1, True) == (told.exit_code, "contradicted" in said)
    assert "propose or request it anew" in said
