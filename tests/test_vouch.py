"""An instance of before codes gets them, once the ledger bears its rows."""

import asyncio
import base64
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from fastapi.testclient import TestClient
from sqlalchemy import Connection, text
from structlog.testing import capture_logs
from typer.testing import CliRunner

from api.app import create_app
from api.cli.main import build
from api.cli.output import moment
from api.platform import Platform
from api.secrets import Costs, _derive, add_vouched, load_secrets
from consent import ConsentStore, Ledger
from policy import FactFault, Glass, LivePdp, RequestInvalid, Vouching
from policy.restraints import RestraintStore
from tests.databases import Kind
from tests.test_fact_codes import heard, put_back, run_sql
from tests.test_glass import FIRST, SECOND, granted
from tests.test_policy_codes import WAITS, settle
from tests.test_release import COLUMNS, file, wanted
from tests.worlds import OFFICER, World, build_world, reopen

CODES = (
    "UPDATE consent_revision SET parts = NULL, mac = NULL",
    "UPDATE consent_registry SET mac = NULL",
    "UPDATE policy_credential SET mac = NULL",
    "UPDATE policy_bundle SET mac = NULL",
    "UPDATE policy_proposal SET mac = NULL",
    "UPDATE policy_glass SET mac = NULL",
    "UPDATE policy_glass_alert SET mac = NULL",
    "UPDATE policy_release SET mac = NULL",
    "DELETE FROM policy_live",
)


def outdate(world: World) -> Platform:
    """Make an instance one of before there were codes."""
    settings = world.platform.settings
    path, passphrase = settings.secrets_path, settings.opened_passphrase()
    document = json.loads(path.read_text("ascii"))
    key = _derive(
        passphrase,
        base64.b64decode(document["salt"]),
        Costs(
            iterations=document["iterations"],
            lanes=document["lanes"],
            memory_kib=document["memory_kib"],
        ),
    )
    nonce, box = (base64.b64decode(document[n]) for n in ("nonce", "box"))
    aad = b"curtilage/secrets/1"
    body = json.loads(AESGCM(key).decrypt(nonce, box, aad))
    del body["vouched"]
    fresh = os.urandom(12)
    opened = AESGCM(key).encrypt(fresh, json.dumps(body).encode(), aad)
    document["nonce"] = base64.b64encode(fresh).decode()
    document["box"] = base64.b64encode(opened).decode()
    path.write_text(json.dumps(document), "ascii")
    with world.platform.data.begin() as conn:
        # Imposed beside the gate, and so without an entry.
        conn.execute(text("DELETE FROM policy_restraint"))
        for one in CODES:
            conn.execute(text(one))
    return reopen(world)


@pytest.fixture
def old(tmp_path: Path) -> World:
    """An instance of before codes, in which something is declared."""
    with build_world(tmp_path / "home") as world:
        with world.platform.data.begin() as conn:
            world.platform.registry.issue(
                conn, service="moving-house", purpose="address-change"
            )
        with capture_logs() as logs, TestClient(create_app(outdate(world))):
            pass
        assert "rows count without codes" in [one["event"] for one in logs]
        return world


def vouch(world: World, *options: str, says: str = "") -> tuple[int, Any]:
    """Run the command; give its exit code and what it says as JSON."""
    home = str(world.platform.settings.home)
    found = CliRunner().invoke(
        build(), ["--home", home, "vouch", "--json", *options], input=says
    )
    told = found.stdout.strip()
    return found.exit_code, json.loads(told) if told else None


def is_vouched(world: World) -> bool:
    """Whether the secrets file says that codes are demanded."""
    settings = world.platform.settings
    secrets = load_secrets(settings.secrets_path, settings.opened_passphrase())
    return secrets.vouched


def test_an_older_instance_is_vouched_for(old: World) -> None:
    """It answers before and after; then no row counts without its code."""
    assert not is_vouched(old)
    before = heard(old, "consenting")

    code, told = vouch(old, "--yes")

    assert (0, True) == (code, is_vouched(old))
    platform = reopen(old)
    assert told["people"] == len(list(platform.vault.subjects()))
    assert platform.macs.required
    assert [] == list(platform.fact_sweep().run())
    assert {type(one) for one in before} == {
        type(one) for one in heard(old, "consenting")
    }
    assert [True] == [one.genuine for one in platform.registry.issued()]
    entries = platform.ledger.audit_entries(limit=50)
    assert ("codes", "vouched") in [
        (one.purpose, one.body.outcome)
        for one in entries
        if one.body is not None
    ]
    assert (0, {"people": 0}) == vouch(old, "--yes")


def test_nobody_is_vouched_for_whose_rows_the_ledger_denies(
    old: World,
) -> None:
    """What was forged before there were codes does not get one."""
    run_sql(
        old,
        "DELETE FROM consent_event WHERE subject = :who"
        " AND type = 'withdrawn'",
        who=old.cast["withdrawn"],
    )

    code, told = vouch(old, "--yes")

    assert (1, False) == (code, is_vouched(old))
    assert ["missing"] == [one["fault"] for one in told["findings"]]
    with old.platform.data.connect() as conn:
        found = conn.execute(
            text("SELECT mac FROM consent_revision WHERE subject = :who"),
            {"who": old.cast["withdrawn"].hex},
        )
        assert found.scalar_one() is None


def test_policies_that_the_ledger_denies_are_not_vouched_for(
    old: World,
) -> None:
    """Nor is anybody, as long as they are in force."""
    with old.platform.data.begin() as conn:
        conn.execute(
            text(
                "INSERT INTO policy_live (tenant, changes, number, shadow)"
                " VALUES (:tenant, 9, 3, -1)"
            ),
            {"tenant": old.platform.settings.tenant},
        )

    code, told = vouch(old, "--yes")

    assert (1, False) == (code, is_vouched(old))
    assert [("altered", "in-force")] == [
        (one["fault"], one["kind"]) for one in told["findings"]
    ]


def test_an_instance_of_some_codes_gets_the_others(tmp_path: Path) -> None:
    """One that demands codes since before there were those of policies."""
    with build_world(tmp_path / "home") as world:
        run_sql(world, "DELETE FROM policy_restraint")
        settle(world)
        with world.platform.data.begin() as conn:
            conn.execute(text("UPDATE policy_bundle SET mac = NULL"))
            conn.execute(text("UPDATE policy_proposal SET mac = NULL"))
            conn.execute(text("UPDATE policy_live SET mac = NULL"))
        home = str(world.platform.settings.home)
        serve = CliRunner().invoke(build(), ["--home", home, "serve"])
        assert serve.exit_code
        assert "curtilage vouch" in serve.stderr

        assert 0 == vouch(world, "--yes")[0]
        platform = reopen(world)
        assert [] == platform.proposal_sweep.run()
        assert isinstance(platform.pdp, LivePdp)
        platform.pdp.demand()
        assert 1 == platform.policies.live().number


def test_what_changes_between_the_looks_is_not_vouched_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The ledger is asked again where the codes are made."""
    with build_world(tmp_path / "home") as world:
        run_sql(world, "DELETE FROM policy_restraint")
        settle(world)
        registered = Vouching.registered

        def raced(self: Vouching) -> Any:  # noqa: ANN401 - as there
            run_sql(world, "UPDATE policy_bundle SET proposer = 'officer-9'")
            return registered(self)

        monkeypatch.setattr(Vouching, "registered", raced)
        code, told = vouch(world, "--yes")

        assert (True, None) == (bool(code), told)
        assert not any(
            one.genuine for one in world.platform.policies.proposals()
        )


@contextmanager
def read_under_the_lock(
    world: World, meanwhile: Callable[[], object]
) -> Iterator[list[int]]:
    """Collect the entries that a writer reads in its one transaction.

    Args:
        world: whose vouching writes.
        meanwhile: done just before that transaction begins.

    Yields:
        Their indices, in the order in which they are read.

    """
    read: list[int] = []
    vouching, entries = world.platform.vouching, Ledger.audit_entries
    transactions = vouching._transactions

    def observed(self: Ledger, **wanted: Any) -> Any:  # noqa: ANN401 - as there
        page = entries(self, **wanted)
        read.extend(one.index for one in page)
        return page

    def run(work: Callable[[Connection], Any]) -> Any:  # noqa: ANN401 - as there
        meanwhile()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Ledger, "audit_entries", observed)
            return transactions.run(work)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(vouching, "_transactions", SimpleNamespace(run=run))
        yield read


def test_under_the_lock_no_entry_of_before_is_read(
    tmp_path: Path, database: Kind
) -> None:
    """A large ledger keeps nobody waiting while somebody vouches."""
    with build_world(tmp_path / "home", database=database) as world:
        settle(world)
        vouching, ledger = world.platform.vouching, world.platform.ledger
        seen = vouching.registered()
        with read_under_the_lock(world, lambda: None) as read:
            assert ledger.size() == vouching.registers("officer-1", 0, seen)

        assert [] == read


def test_what_is_entered_before_the_lock_is_taken_into_account(
    tmp_path: Path, database: Kind
) -> None:
    """Of an act whose rows were put back by then the ledger still tells."""
    with build_world(tmp_path / "home", database=database) as world:
        settle(world)
        vouching, ledger = world.platform.vouching, world.platform.ledger
        seen, size = vouching.registered(), ledger.size()

        def rejected() -> None:
            with put_back(world, "policy_bundle"):
                asyncio.run(
                    world.platform.policies.reject(
                        OFFICER, WAITS, reason="too wide"
                    )
                )

        with (
            read_under_the_lock(world, rejected) as read,
            pytest.raises(RequestInvalid, match="policy verify"),
        ):
            vouching.registers("officer-1", 0, seen)

        assert [size] == read
        assert size + 1 == ledger.size()


def test_what_is_gone_by_the_comparison_is_not_vouched_for(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The registry's code is over what was shown, whatever is there then."""
    vouched = ConsentStore.vouch_registry

    def raced(self: ConsentStore, conn: Connection) -> Any:  # noqa: ANN401 - as there
        conn.execute(
            text(
                "INSERT INTO consent_declaration (tenant, digest, service,"
                " purpose, version, text) VALUES (:tenant, 'd', 's', 'p', 1,"
                " 't')"
            ),
            {"tenant": old.platform.settings.tenant},
        )
        found = vouched(self, conn)
        conn.execute(
            text("DELETE FROM consent_declaration WHERE digest = 'd'")
        )
        return found

    monkeypatch.setattr(ConsentStore, "vouch_registry", raced)
    code, told = vouch(old, "--yes")

    assert (True, None, False) == (bool(code), told, is_vouched(old))


def test_proposals_get_their_code(old: World) -> None:
    """Of either kind, and what is in force; all of it is shown before."""
    settle(replace(old, platform=reopen(old)))
    with old.platform.data.begin() as conn:
        for table in ("policy_bundle", "policy_proposal", "policy_live"):
            conn.execute(text(f"UPDATE {table} SET mac = NULL"))
    home = str(old.platform.settings.home)
    told = CliRunner().invoke(build(), ["--home", home, "vouch"], input="y\n")

    assert not told.exit_code
    shown = told.stderr
    assert "proposed declaration 1: moving-house/address-change" in shown
    assert "proposed policies 1: " in shown
    assert "policies in force 1: " in shown
    platform = reopen(old)
    assert platform.macs.required
    assert [] == platform.proposal_sweep.run()
    assert 1 == platform.policies.live().number


def test_requests_for_extracts_get_their_code(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that they ask for is shown before, whatever a forger wrote."""
    monkeypatch.setattr("policy.release._beside", lambda _: None)
    before = replace(old, platform=reopen(old))
    release = file(before, wanted(k=3))
    before.platform.close()
    run_sql(
        old,
        "UPDATE policy_release SET mac = NULL, recipient = '\x1b[2Jmine',"
        ' request = replace(request, \'"recipient": "statistics-office"\','
        ' \'"recipient": "\\u001b[2Jmine"\')',
    )
    home = str(old.platform.settings.home)
    told = CliRunner().invoke(build(), ["--home", home, "vouch"], input="y\n")

    assert not told.exit_code
    (shown,) = [
        one for one in told.stderr.splitlines() if f"release {release}" in one
    ]
    assert "to ?[2Jmine, by officer-1" in shown
    for each in (*COLUMNS, '"k": 3', '"l": 2', '"days": 365'):
        assert each in shown
    assert "\x1b" not in told.stderr
    platform = reopen(old)
    assert [] == platform.proposal_sweep.run()
    assert all(map(platform.releases.genuine, platform.releases.releases()))


def test_a_request_for_more_is_not_vouched_for(old: World) -> None:
    """The ledger tells what was asked for."""
    before = replace(old, platform=reopen(old))
    release = file(before, wanted(k=3))
    before.platform.close()
    run_sql(
        old,
        "UPDATE policy_release SET mac = NULL,"
        " request = replace(request, 'user.gender', 'user.name.family')",
    )

    code, told = vouch(old, "--yes")

    assert (1, False) == (code, is_vouched(old))
    assert [("altered", "release", str(release), ["request"])] == [
        (one["fault"], one["kind"], one["number"], one["columns"])
        for one in told["findings"]
    ]


def test_emergency_access_gets_its_code(old: World) -> None:
    """What stands and what is open is shown before, the rest counted."""
    before = replace(old, platform=reopen(old))

    async def scene() -> tuple[Glass, Glass]:
        ended = await granted(before, "limited")
        await before.platform.glass.end(FIRST, ended.id, reason="over")
        for one in await before.platform.glass.alerts(SECOND):
            await before.platform.glass.close(SECOND, one.id, reason="fine")
        return ended, await granted(before)

    ended, glass = before.run(scene())
    before.platform.close()
    with old.platform.data.begin() as conn:
        for table in ("policy_glass", "policy_glass_alert"):
            conn.execute(text(f"UPDATE {table} SET mac = NULL"))
    home = str(old.platform.settings.home)
    told = CliRunner().invoke(build(), ["--home", home, "vouch"], input="y\n")

    assert not told.exit_code
    assert f'emergency access {glass.id}: ["user.bdate"' in told.stderr
    due = f"approved by nobody, due {moment(glass.deadline)}"
    assert f"used 0 times, {due}" in " ".join(told.stderr.split())
    assert f"granted about {glass.id}" in told.stderr
    assert str(ended.id) not in told.stderr
    assert "besides: 1 that ended or was refused; alerts closed: 1" in (
        told.stderr
    )
    after = replace(old, platform=reopen(old))
    assert after.platform.macs.required
    with after.platform.data.connect() as conn:
        store = after.platform.glass._store
        assert [True] * 2 == [one.genuine for one in store.all(conn)]
        assert [True] * 2 == [
            one.genuine for one in store.alerts(conn, closed=True)
        ]
        assert 0 == store.forged(conn)


def test_emergency_access_that_was_changed_is_shown(tmp_path: Path) -> None:
    """Also what ended or is closed, before it gets a code as it stands."""
    with build_world(tmp_path / "home") as world:

        async def scene() -> list[Glass]:
            made = [await granted(world, "limited"), await granted(world)]
            for one in made:
                await world.platform.glass.end(FIRST, one.id, reason="over")
            for alert in await world.platform.glass.alerts(SECOND):
                await world.platform.glass.close(
                    SECOND, alert.id, reason="fine"
                )
            return made

        with world.platform.data.begin() as conn:
            conn.execute(text("DELETE FROM policy_restraint"))
            world.platform.vouching.person(conn, world.cast["restricted"])
        changed, other = world.run(scene())
        for sql in (
            "UPDATE policy_glass SET uses = 7 WHERE id = :it",
            "UPDATE policy_glass_alert SET at = 1 WHERE glass = :it",
        ):
            run_sql(world, sql, it=changed.id)
        home = str(world.platform.settings.home)
        told = CliRunner().invoke(build(), ["--home", home, "vouch", "--yes"])

        assert f"emergency access {changed.id}: " in told.stderr
        assert "ended by officer-1" in told.stderr
        assert f"granted about {changed.id}" in told.stderr
        assert "closed by officer-2" in told.stderr
        assert str(other.id) not in told.stderr
        again = reopen(world)
        assert not again.reader.now(again.glass._store.changed)


def test_the_operator_is_asked(old: World) -> None:
    """Whoever says no to what is declared vouches for nothing."""
    code, told = vouch(old, says="n\n")

    assert (1, None, False) == (code, told, is_vouched(old))
    assert (0, True) == (vouch(old, says="y\n")[0], is_vouched(old))


def test_only_what_was_shown_is_vouched_for(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A credential that appears meanwhile ends it, and gets no code."""
    everybody = Vouching.everybody

    def slow(self: Vouching, progress: Callable[[int], None]) -> int:
        with old.platform.data.begin() as conn:
            conn.execute(
                text(
                    "INSERT INTO policy_credential SELECT 'slipped', tenant,"
                    " service, purpose, assurance, secret_hash, created_at,"
                    " revoked_at, mac FROM policy_credential"
                )
            )
        return everybody(self, progress)

    monkeypatch.setattr(Vouching, "everybody", slow)
    code, _ = vouch(old, "--yes")

    assert code
    assert not is_vouched(old)
    with old.platform.data.connect() as conn:
        found = conn.execute(text("SELECT mac FROM policy_credential"))
        assert [None, None] == [*found.scalars()]


def test_a_code_that_is_wrong_by_the_end_is_found(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last look asks for codes, though the instance does not yet."""
    registers = Vouching.registers

    def disturbed(self: Vouching, *rest: Any) -> int:  # noqa: ANN401 - as there
        run_sql(
            old,
            "UPDATE consent_revision SET revision = revision + 1"
            " WHERE subject = :who",
            who=old.cast["consenting"],
        )
        return registers(self, *rest)

    monkeypatch.setattr(Vouching, "registers", disturbed)
    code, told = vouch(old, "--yes")

    assert (1, False) == (code, is_vouched(old))
    assert ["unvouched"] == [one["fault"] for one in told["findings"]]


def test_nobody_writes_between_the_looks_at_somebody(
    old: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The person's lock is taken before anything of theirs is read."""
    order: list[str] = []
    lock, rows = ConsentStore.lock, RestraintStore.rows

    def locked(self: ConsentStore, conn: Connection, subject: UUID) -> int:
        order.append("lock")
        return lock(self, conn, subject)

    def read(
        self: RestraintStore, conn: Connection, subject: UUID
    ) -> list[tuple[Any, ...]]:
        order.append("read")
        return rows(self, conn, subject)

    monkeypatch.setattr(ConsentStore, "lock", locked)
    monkeypatch.setattr(RestraintStore, "rows", read)
    with old.platform.data.begin() as conn:
        old.platform.vouching.person(conn, old.cast["consenting"])

    assert ["lock", "read"] == order


def test_rows_put_right_from_elsewhere_get_their_code(tmp_path: Path) -> None:
    """Also in an instance that demands codes, and of them alone."""
    with build_world(tmp_path / "home") as world:
        with world.platform.data.begin() as conn:
            conn.execute(text("DELETE FROM policy_restraint"))
            world.platform.vouching.person(conn, world.cast["restricted"])
        run_sql(
            world,
            "UPDATE consent_revision SET mac = NULL WHERE subject = :who",
            who=world.cast["consenting"],
        )
        (found,) = world.platform.fact_sweep().run()
        assert FactFault.UNVOUCHED is found.fault

        assert (0, {"people": 1}) == vouch(world, "--yes")
        assert [] == list(reopen(world).fact_sweep().run())


def test_the_note_is_made_once(old: World) -> None:
    """It is in the box, under the passphrase, and stays."""
    settings = old.platform.settings
    passphrase = settings.opened_passphrase()
    for _ in range(2):
        assert add_vouched(
            settings.secrets_path, passphrase, random=os.urandom
        ).vouched
