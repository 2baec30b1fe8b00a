"""Backup and restore: nobody who was erased comes back."""

import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import bindparam, text

from api.agreement import STATE_NAME, RestoreUnfinishedError, RolledBackError
from api.backups import back_up, month_tables
from api.bootstrap import bootstrap
from api.manifests import BackupRefusedError
from api.migrations import Chain
from api.platform import Platform
from api.restoring import Restored, Surroundings, replay, restore
from api.settings import Settings, read_settings
from api.witnesses import WitnessClient, WitnessFailedError, witness_clients
from consent import Checkpoint, EntryKind, LedgerSigner
from consent.cosignatures import CosignatureSigner
from consent.signed_notes import parse_note_untrusted
from consent.tlog_policy import KnownWitness
from policy import PersonUnknown
from policy.impact_months import Table
from policy.store import TAG
from tests.databases import KINDS, Kind, counted
from tests.serving import free_port
from tests.test_erasing import copy, erase
from tests.test_impact import (
    EXTRA,
    KEY,
    SAME,
    NoGuard,
    ask,
    consent,
    ended,
    study,
)
from tests.test_witnesses import Process, start, wait_for
from tests.worlds import CHEAP, NUMBER, World, build_world
from vault import JournalDamaged, JournalUnavailable, NoteBox


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An instance with its cast, on SQLite."""
    with build_world(tmp_path / "home") as made:
        yield made


def nothing(*_: object) -> None:
    """Watch no progress."""


def backed_up(world: World, folder: Path) -> Mapping[Chain, Path]:
    """Back both databases up."""
    return {
        chain: back_up(world.platform, chain, folder / chain, nothing)
        for chain in Chain
    }


def settings_of(world: World) -> Settings:
    """The settings, as the next process reads them."""
    file = world.platform.settings
    return read_settings(
        world.home,
        **{
            name: getattr(file, name)
            for name in ("data_url", "keys_url")
            if getattr(file, name)
        },
    )


def around(world: World) -> Surroundings:
    """The test's own clock and costs."""
    return Surroundings(clock=world.clock, random=os.urandom, costs=CHEAP)


def restored(world: World, chain: Chain, file: Path) -> Restored:
    """Restore one backup."""
    return restore(
        settings_of(world), chain, file, around=around(world), steps=nothing
    )


def again(world: World) -> Platform:
    """Start the instance as the next process would."""
    return bootstrap(settings_of(world), clock=world.clock, costs=CHEAP)


def close(world: World) -> None:
    """Stop the instance."""
    world.platform.vault.close()
    world.platform.close()


def nobody(platform: Platform, world: World, name: str) -> None:
    """See to it that somebody is nowhere to be had."""
    subject = world.cast[name]
    assert not platform.vault.holding(subject).known
    assert (
        platform.vault.look_up.find(NUMBER, world.values[name][NUMBER]) is None
    )
    assert subject not in set(platform.vault.subjects())
    assert [] == list(platform.vault.verify())
    with pytest.raises(PersonUnknown):
        platform.eraser.erase(subject)


@pytest.mark.parametrize("kind", KINDS)
def test_attack_18_both_backups_of_before_bring_nobody_back(
    tmp_path: Path, kind: Kind
) -> None:
    """Data and keys of before the erasure, with today's root and journal."""
    with build_world(tmp_path / "home", database=kind) as world:
        files = backed_up(world, tmp_path)
        erase(world, "consenting")
        world.platform.ledger.checkpoint()
        close(world)

        done = {
            chain: restored(world, chain, file)
            for chain, file in files.items()
        }
        assert 1 <= sum(one.brought_back for one in done.values())
        platform = again(world)
        try:
            nobody(platform, world, "consenting")
            assert platform.vault.holding(world.cast["limited"]).known
            platform.ledger.verify()
            for past in platform.past_ledgers:
                past.verify()
        finally:
            platform.vault.close()
            platform.close()


@pytest.mark.postgresql
def test_a_server_has_counted_what_was_put_back(tmp_path: Path) -> None:
    """What reads by keys does not go through all rows until it does."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        files = backed_up(world, tmp_path)
        close(world)
        for chain, file in files.items():
            restored(world, chain, file)
        platform = again(world)
        try:
            found = counted(platform.data) | counted(platform.keys)
        finally:
            platform.vault.close()
            platform.close()

    # Without rows a table is never counted by the server itself.
    empty = {"policy_webhook_delivery", "vault_hold"}
    assert {"vault_value", "vault_dek"} | empty <= found


def test_attack_18_with_the_journal_withheld_is_refused(
    world: World, tmp_path: Path
) -> None:
    """No journal, an empty one, or yesterday's: nothing is restored."""
    path = world.platform.settings.journal_path
    files = backed_up(world, tmp_path)
    old = path.read_bytes()
    erase(world, "consenting")
    close(world)
    whole = path.read_bytes()

    path.unlink()
    for chain, file in files.items():
        with pytest.raises(JournalUnavailable, match="come back"):
            restored(world, chain, file)
    path.write_bytes(b"")
    with pytest.raises(JournalDamaged):
        restored(world, Chain.DATA, files[Chain.DATA])
    path.write_bytes(old)
    with pytest.raises(JournalDamaged, match="lost its end"):
        restored(world, Chain.DATA, files[Chain.DATA])
    path.write_bytes(whole)
    again(world).close()


@pytest.mark.parametrize("chain", Chain)
def test_attack_18_a_journal_shorter_than_the_backup_knows(
    world: World, tmp_path: Path, chain: Chain
) -> None:
    """Though it reaches as far as either database knows."""
    platform, path = world.platform, world.platform.settings.journal_path
    platform.vault.custody.mark(platform.journal.position)
    old, known = path.read_bytes(), platform.vault.custody.marks()
    platform.registrar.admit_now([{}], source="desk")
    files = backed_up(world, tmp_path)
    record = platform.journal.position.number
    assert known == platform.vault.custody.marks()
    assert all(mark.number < record for mark in known.values())
    close(world)
    whole = path.read_bytes()
    path.write_bytes(old)

    with pytest.raises(JournalDamaged, match="the backup knows"):
        restored(world, chain, files[chain])
    path.write_bytes(whole)
    restored(world, chain, files[chain])


@pytest.mark.parametrize("chain", Chain)
def test_attack_18_files_put_back_by_hand_are_replayed(
    world: World, tmp_path: Path, chain: Chain
) -> None:
    """A snapshot in place is refused at the start, and then brought up."""
    files = backed_up(world, tmp_path)
    erase(world, "consenting")
    close(world)
    copy(files[chain], world.home / chain / f"{chain}.db")
    with pytest.raises(RolledBackError):
        again(world)

    done = replay(settings_of(world), around=around(world), steps=nothing)
    assert 1 == done.brought_back
    platform = again(world)
    nobody(platform, world, "consenting")
    platform.vault.close()
    platform.close()


def test_a_ledger_older_than_a_checkpoint_gets_a_new_name(
    world: World, tmp_path: Path
) -> None:
    """Never a fork: the new name starts at nothing, the old one verifies."""
    files = backed_up(world, tmp_path)
    old = world.platform.settings.origin
    size = world.platform.ledger.size()
    world.platform.registrar.admit_now([{}], source="desk")
    world.platform.ledger.checkpoint()
    close(world)

    done = restored(world, Chain.DATA, files[Chain.DATA])
    assert (f"{old}/2", True) == (done.origin, done.renamed)
    platform = again(world)
    assert f"{old}/2" == platform.settings.origin
    (past,) = platform.past_ledgers
    assert (old, size) == (past.origin, past.size())
    entries = platform.ledger.audit_entries()
    body = entries[done.index].body
    assert body is not None
    assert "recovery" == body.kind
    platform.ledger.verify()
    past.verify()
    # Answers of before have their entries there; the cast's one
    # restriction is imposed beside the gate, and has none.
    found = platform.fact_sweep().run()
    assert {world.cast["restricted"]} == {one.subject for one in found}
    # An erasure reaches the entries under the former name too.
    subject = world.cast["limited"]
    key = platform.vault.log_key(platform.vault.holding(subject))
    assert past.own_entries(key)
    platform.eraser.erase(subject)
    assert [] == past.own_entries(key)
    platform.vault.close()
    platform.close()


def test_a_ledger_as_young_as_its_checkpoint_keeps_its_name(
    world: World, tmp_path: Path
) -> None:
    """Entries that no checkpoint covered are lost without a fork."""
    files = backed_up(world, tmp_path)
    close(world)
    done = restored(world, Chain.DATA, files[Chain.DATA])

    assert not done.renamed
    platform = again(world)
    assert () == platform.past_ledgers
    platform.close()


def test_no_backup_holds_what_opens_it(world: World, tmp_path: Path) -> None:
    """No byte of a KEK file, the passphrase or the secrets, nor a log."""
    files = backed_up(world, tmp_path)
    settings = world.platform.settings
    secret = [path.read_bytes() for path in settings.kek_path.iterdir()]
    pieces = [one[at : at + 16] for one in secret for at in range(0, 130, 16)]
    pieces.append(settings.opened_passphrase())
    box = json.loads(settings.secrets_path.read_text("utf-8"))["box"]
    pieces.append(box.encode()[:32])
    for file in files.values():
        raw = file.read_bytes()
        assert [] == [piece for piece in pieces if piece in raw]
        assert {".db", ".json"} == {
            one.suffix for one in file.parent.iterdir()
        }


def test_data_and_keys_are_not_backed_up_together(
    world: World, tmp_path: Path
) -> None:
    """Nor beside the KEKs, the journal, the secrets or the other database."""
    backed_up(world, tmp_path)
    home = world.home
    for chain, folder in (
        (Chain.KEYS, tmp_path / "data"),
        (Chain.DATA, tmp_path / "keys"),
        (Chain.DATA, home / "kek"),
        (Chain.DATA, home),
        (Chain.DATA, home / "journal"),
        (Chain.DATA, home / "keys"),
    ):
        with pytest.raises(BackupRefusedError):
            back_up(world.platform, chain, folder, nothing)


def test_counts_of_past_months_come_back_elsewhere(tmp_path: Path) -> None:
    """Counted anew they would tell who was erased; so they are not."""
    with build_world(tmp_path / "home", extra=SAME) as world:
        consent(world, EXTRA[:SAME])
        world.run(ask(world, EXTRA[:SAME]))
        months = ended(world)

        def counts(of: World, where: str) -> list[int]:
            made = study(of, NoGuard(KEY), tables=where)
            found = made.scan(months, nothing)
            return list(found.people.values())

        assert [SAME] == counts(world, "impact")
        file = backed_up(world, tmp_path)[Chain.DATA]
        assert 0o600 == file.with_suffix(".impact").stat().st_mode & 0o777
        erase(world, EXTRA[0])
        close(world)
        shutil.rmtree(world.home / "impact")
        restored(world, Chain.DATA, file)
        elsewhere = replace(world, platform=again(world))
        try:
            assert [SAME] == counts(elsewhere, "impact")
            assert [SAME - 1] == counts(elsewhere, "anew")
        finally:
            close(elsewhere)


def test_counts_in_place_are_not_replaced(
    world: World, tmp_path: Path
) -> None:
    """What answered last is what a count is held against."""
    tables = month_tables(world.platform.settings, world.platform.secrets)
    month = Table(month="2026-01", people={"a": 20}, rules={})
    later = replace(month, month="2026-02")
    tables.keep(month)
    file = backed_up(world, tmp_path)[Chain.DATA]
    shutil.rmtree(world.home / "impact")
    newer = tables.keep(replace(month, people={"a": 30}))
    tables.keep(later)
    close(world)

    restored(world, Chain.DATA, file)

    assert newer == tables.find("2026-01")
    assert later == tables.find("2026-02")


@pytest.mark.parametrize("how", ["gone", "flipped"])
def test_a_backup_without_its_counts_changes_nothing(
    world: World, tmp_path: Path, how: str
) -> None:
    """Restored without them, months would be counted anew."""
    tables = month_tables(world.platform.settings, world.platform.secrets)
    tables.keep(Table(month="2026-01", people={"a": 20}, rules={}))
    file = backed_up(world, tmp_path)[Chain.DATA]
    close(world)
    beside = file.with_suffix(".impact")
    if how == "gone":
        beside.unlink()
    else:
        beside.write_text(beside.read_text("utf-8").swapcase(), "utf-8")

    with pytest.raises(BackupRefusedError, match="counts of past months"):
        restored(world, Chain.DATA, file)

    platform = again(world)
    assert platform.vault.holding(world.cast["consenting"]).known
    platform.close()


def altered(file: Path, how: str) -> None:
    """Damage a backup."""
    manifest = file.with_suffix(".json")
    raw = bytearray(file.read_bytes())
    if how == "flipped":
        raw[len(raw) // 2] ^= 1
        file.write_bytes(raw)
    elif how == "cut":
        file.write_bytes(raw[:-4096])
    elif how == "manifest":
        body = json.loads(manifest.read_text("utf-8"))
        manifest.write_text(json.dumps(body | {"record": 1}), "utf-8")
    else:
        manifest.unlink()


@pytest.mark.parametrize("how", ["flipped", "cut", "manifest", "alone"])
def test_a_damaged_backup_changes_nothing(
    world: World, tmp_path: Path, how: str
) -> None:
    """One clear error, and the data as it was."""
    file = backed_up(world, tmp_path)[Chain.DATA]
    close(world)
    altered(file, how)
    with pytest.raises(BackupRefusedError):
        restored(world, Chain.DATA, file)

    platform = again(world)
    assert platform.vault.holding(world.cast["consenting"]).known
    platform.close()


def test_a_half_restored_instance_is_refused_and_taken_up(
    world: World, tmp_path: Path
) -> None:
    """Killed between the two renames: the same command finishes it."""
    file = backed_up(world, tmp_path)[Chain.DATA]
    close(world)
    target = world.home / "data" / "data.db"
    target.replace(target.with_name("data.db.before-restore"))
    (world.home / STATE_NAME).write_text("{}", "utf-8")
    with pytest.raises(RestoreUnfinishedError, match="same `curtilage"):
        again(world)

    restored(world, Chain.DATA, file)
    platform = again(world)
    assert platform.vault.holding(world.cast["consenting"]).known
    assert ["data.db"] == sorted(
        one.name
        for one in target.parent.iterdir()
        if not one.name.endswith(("-wal", "-shm"))
    )
    platform.close()


def test_a_backup_of_the_keys_of_before_a_rewrap_opens_nothing(
    world: World, tmp_path: Path
) -> None:
    """Once the old KEK is destroyed, older backups of the keys are dead."""
    files = backed_up(world, tmp_path)
    keys = world.platform.vault.keystore
    old = keys.epochs.initialise()
    keys.epochs.rotate()
    keys.rewrap()
    keys.epochs.destroy(old)
    close(world)
    with pytest.raises(BackupRefusedError, match="nothing in this keys"):
        restored(world, Chain.KEYS, files[Chain.KEYS])

    platform = again(world)
    assert platform.vault.holding(world.cast["consenting"]).known
    platform.close()


def test_keys_of_before_a_rotation_can_begin_a_further_epoch(
    world: World, tmp_path: Path
) -> None:
    """The provider has an epoch that the restored database knows not of."""
    files = backed_up(world, tmp_path)
    world.platform.keys_desk.rotate("o")
    close(world)
    restored(world, Chain.KEYS, files[Chain.KEYS])
    platform = again(world)

    assert 3 == platform.vault.keystore.epochs.rotate()
    assert platform.vault.holding(world.cast["consenting"]).known
    platform.close()


def test_a_backup_under_load_is_one_snapshot(
    world: World, tmp_path: Path
) -> None:
    """People admitted while pages are copied are all in it, or not at all."""
    registrar = world.platform.registrar
    admitted: list[object] = []

    def admit(_done: int, _total: int) -> None:
        if len(admitted) < 20:
            found = registrar.admit_now([{}], source="desk")
            admitted.extend(found.subjects)

    file = back_up(world.platform, Chain.DATA, tmp_path / "data", admit)
    assert admitted
    close(world)
    restored(world, Chain.DATA, file)
    platform = again(world)
    for ledger in (platform.ledger, *platform.past_ledgers):
        ledger.verify()
    platform.close()


def test_the_other_tenants_backup_is_refused(
    world: World, tmp_path: Path
) -> None:
    """A manifest sealed by another instance is none."""
    file = backed_up(world, tmp_path)[Chain.DATA]
    with build_world(tmp_path / "other") as other:
        close(other)
        with pytest.raises(BackupRefusedError, match="no manifest"):
            restored(other, Chain.DATA, file)


def personal(platform: Platform, log_key: bytes) -> tuple[int, int]:
    """How many entries and decisions are found under a log key."""
    notes = NoteBox(log_key, random=os.urandom).tag(TAG)
    ledgers = (platform.ledger, *platform.past_ledgers)
    tags = [one.tag(log_key) for one in ledgers]
    with platform.data.connect().execution_options(read_only=True) as conn:
        entries = conn.execute(
            text(
                "SELECT count(*) FROM ledger_entry WHERE tag IN :tags"
            ).bindparams(bindparam("tags", tags, expanding=True))
        ).scalar_one()
        decisions = conn.execute(
            text("SELECT count(*) FROM policy_decision WHERE tag = :tag"),
            {"tag": notes},
        ).scalar_one()
    return entries, decisions


@pytest.mark.parametrize("kind", KINDS)
def test_an_erasure_reaches_a_backup_of_before_a_compromise(
    tmp_path: Path, kind: Kind
) -> None:
    """Two generations back: rows, entries and decisions of that log key."""
    with build_world(tmp_path / "home", database=kind) as world:
        platform, subject = world.platform, world.cast["consenting"]
        vault = platform.vault
        world.run(platform.gate.disclose(world.request("consenting")))
        first = vault.log_key(vault.holding(subject))
        file = back_up(platform, Chain.DATA, tmp_path / "data", nothing)
        assert (2, 1) == personal(platform, first)
        keys = [first]
        for epoch in (1, 2):
            world.clock.now += 10
            platform.keys_desk.compromise("o", epoch)
            keys.append(vault.log_key(vault.holding(subject)))
        assert 3 == len(set(keys))
        platform.eraser.erase(subject)
        found = platform.journal.find(subject)
        assert found is not None
        assert 3 == len(set(found.note_tags)) == len(set(found.ledger_tags))
        assert [(0, 0)] * 3 == [personal(platform, key) for key in keys]
        close(world)

        restored(world, Chain.DATA, file)
        platform = again(world)
        try:
            assert (0, 0) == personal(platform, first)
            with platform.data.begin() as conn:
                assert not platform.vault.custody.leftovers(conn, subject)
            for one in (platform.ledger, *platform.past_ledgers):
                one.verify()
        finally:
            platform.vault.close()
            platform.close()


def own_key(world: World) -> str:
    """The verifier key of the world's ledger."""
    name, key = world.platform.settings.origin, world.platform.secrets.ledger
    return str(LedgerSigner(name=name, key=key).verifier)


def trusting(world: World, witness: Process, port: int) -> Settings:
    """The settings with a policy of one witness, at some port."""
    path = world.home / f"witnesses-{port}"
    line = f"witness w {witness.vkey} http://127.0.0.1:{port}/w"
    path.write_text(f"log {own_key(world)}\n{line}\nquorum w\n", "utf-8")
    return settings_of(world).model_copy(update={"witness_policy": path})


def test_a_witness_that_knows_more_opens_a_new_name(
    world: World, tmp_path: Path
) -> None:
    """Where the anchors lost the end too; one that is gone is named."""
    platform, old = world.platform, world.platform.settings.origin
    with ExitStack() as stack:
        witness = start(tmp_path / "w", 1, stack, log=own_key(world))
        wait_for(witness)
        here = trusting(world, witness, witness.port)
        gone = trusting(world, witness, free_port())
        platform.close()
        witnessed = bootstrap(here, clock=world.clock, costs=CHEAP)
        files = {
            chain: back_up(witnessed, chain, tmp_path / chain, nothing)
            for chain in Chain
        }
        (client,) = witness_clients(witnessed.ledger)
        client.submit()
        assert not client.ahead()
        witnessed.registrar.admit_now([{}], source="desk")
        witnessed.ledger.checkpoint()
        client.submit()
        witnessed.close()
        # The journal has the checkpoint of the backup; the last is lost.
        known = platform.settings.journal_path
        known.with_name(f"{known.name}.checkpoint").unlink()

        def put_back(settings: Settings) -> Restored:
            return restore(
                settings,
                Chain.DATA,
                files[Chain.DATA],
                around=around(world),
                steps=nothing,
            )

        done = put_back(gone)
        assert (old, False) == (done.origin, done.renamed)
        (why,) = done.unasked
        assert "witness w: not reached" in why
        done = put_back(here)
        assert (f"{old}/2", True, ()) == (
            done.origin,
            done.renamed,
            done.unasked,
        )
    platform = again(world)
    assert f"{old}/2" == platform.settings.origin
    platform.ledger.verify()
    platform.close()


def test_a_witness_that_knows_another_tree_opens_a_new_name(
    world: World, tmp_path: Path
) -> None:
    """Of the same size; one that knows less, or equally much, does not."""
    ledger = world.platform.ledger
    ledger.checkpoint()
    last = ledger.publication.last()
    assert last is not None
    answers: list[tuple[int, bytes]] = [
        (200, b""),
        (409, b"0\n"),
        (409, b"%d\n" % (last.size - 1)),
        (422, b"another root\n"),
        (409, b"%d\n" % (last.size + 1)),
    ]
    key = CosignatureSigner(
        "w.example", Ed25519PrivateKey.from_private_bytes(bytes(32)), int
    ).verifier
    witness = KnownWitness(name="w", key=key, url="http://w.example")

    def ahead(answer: tuple[int, bytes]) -> bool:
        client = WitnessClient(ledger, witness, post=lambda *_: answer)
        return client.ahead()

    assert [False] * 3 + [True] * 2 == [ahead(one) for one in answers]
    with pytest.raises(WitnessFailedError, match="answered 404"):
        ahead((404, b"this log is not followed here\n"))


def test_what_was_pending_in_a_backup_stays_whole_and_is_erased(
    world: World, tmp_path: Path
) -> None:
    """Several workers leave pending rows in a backup, under the old name."""
    platform, subject = world.platform, world.cast["limited"]
    draft = platform.registrar._draft(
        EntryKind.OFFICER_VIEW,
        holding=platform.vault.holding(subject),
        outcome="opened",
    )
    with (
        platform.data.begin() as conn,
        platform.ledger.batch(conn, pending=True),
    ):
        platform.ledger.append(conn, [draft])
    files = backed_up(world, tmp_path)
    platform.registrar.admit_now([{}], source="desk")
    given = Checkpoint.parse(
        parse_note_untrusted(platform.ledger.checkpoint().encode()).text
    )
    close(world)

    assert restored(world, Chain.DATA, files[Chain.DATA]).renamed
    platform = again(world)
    (past,) = platform.past_ledgers
    key = platform.vault.log_key(platform.vault.holding(subject))
    shown = past.own_entries(key)
    assert EntryKind.OFFICER_VIEW == shown[0].kind
    past.verify()
    platform.ledger.verify()
    # Nothing is signed again under the name that went on elsewhere.
    assert not [one for one in past.checkpoints() if one.size > given.size]
    platform.eraser.erase(subject)
    assert [] == past.own_entries(key)
    assert not past.has_pending()
    past.verify()
    platform.vault.close()
    platform.close()
