"""Canaries: what was planted is nowhere to be found, before and after.

Values stand in every attribute of the catalogue, written through the
officer's door; then everything that an instance leaves on a disk is searched
for them in several spellings.
"""

import asyncio
import base64
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text
from sqlalchemy.engine import make_url

from api.backups import back_up
from api.migrations import Chain
from consent import EntryKind, EventType
from policy import FactsChanged, Form, PersonUnknown
from tests.databases import ADDRESS, Kind, connect
from tests.doors import at_the_door, body_about
from tests.test_restoring import nothing
from tests.worlds import (
    MOBILE,
    OFFICER,
    STREET,
    World,
    build_world,
    person_values,
    reopen,
)
from vault import Attribute, CryptoFailure, ReadGrant, UnknownSubject
from vault import Kind as ValueKind

# Two letters or three digits are everywhere; nothing can be said of them.
SHORTEST = 8
SUPERUSER = "curtilage"
SERVER = "CURTILAGE_TEST_POSTGRESQL_SERVER"


def planted(one: Attribute) -> str:  # noqa: PLR0911 - one for each kind
    """A value of an attribute that occurs nowhere else."""
    number = one.number
    match one.kind:
        case ValueKind.DATE:
            return f"18{number:02d}-11-23"
        case ValueKind.INTEGER:
            wide = f"8{number:02d}642097531"
            return wide if one.max_length > 3 else f"{number:03d}".lstrip("0")
        case ValueKind.EMAIL:
            return f"canary{number:02d}zq@example.org"
        case ValueKind.PHONE:
            return f"+4477118{number:05d}"
        case ValueKind.IDENTITY_NUMBER:
            return person_values(977)["user.identity.number"]
        case ValueKind.POSTAL_CODE:
            return f"CA{number:02d}RY77"
        case ValueKind.COUNTRY:
            return "NZ"
        case ValueKind.URI:
            return f"https://canary{number:02d}.example.org/zq"
        case _:
            return f"canary{number:02d}zqxjk"[: one.max_length]


def spellings(value: str) -> Iterator[bytes]:
    """The ways in which a value could have been written down."""
    raw = value.encode()
    yield raw
    yield value.upper().encode()
    yield raw.hex().encode()
    yield raw.hex().upper().encode()
    yield value.encode("utf-16-le")
    yield value.encode("utf-16-be")
    for shift in range(3):
        # The middle of it, as it stands within any longer text.
        coded = base64.b64encode(b"\0" * shift + raw)
        yield coded[(shift and 4) : len(coded) // 4 * 4 - 4]


def values_of(world: World) -> dict[str, str]:
    """A value for each attribute of the catalogue."""
    catalogue = world.platform.vault.catalogue
    return {name: planted(catalogue[name]) for name in catalogue}


def admitted(world: World, values: Mapping[str, str]) -> UUID:
    """Admit the person, correct a value, and ask a few questions."""
    platform = world.platform
    (subject,) = platform.registrar.admit_now([values], source="desk").subjects
    corrected = {STREET: f"{values[STREET]}-2"}

    async def live() -> None:
        async with platform.running():
            await platform.registrar.correct(
                OFFICER, subject, corrected, source="desk"
            )
            await platform.registrar.officer_view(
                OFFICER,
                subject,
                frozenset({STREET}),
                justification="request 17",
            )
            await platform.gate.disclose(world.request("nobody"))

    asyncio.run(live())
    return subject


def disclosed(world: World, subject: UUID, values: Mapping[str, str]) -> None:
    """Let values leave over HTTP, and send some where they do not belong."""
    met = replace(
        world,
        # The commit queue of a platform runs once.
        platform=reopen(world),
        cast={**world.cast, "planted": subject},
        values={**world.values, "planted": values},
    )
    given = met.event("planted", EventType.GIVEN)
    world.platform.registrar.enter_forms_now(
        [Form(subject=subject, answers=(given,), preferences=None)]
    )
    with at_the_door(met) as door:
        found = door.ask(body_about(met, "planted", STREET, MOBILE))
        assert 200 == found.status_code
        assert f"{values[STREET]}-2" in found.text
        for wrong in (
            {"person": values[STREET]},
            body_about(met, "planted", values[MOBILE]),
            values[STREET].encode(),
        ):
            refused = door.ask(wrong)
            assert 400 <= refused.status_code < 500
            assert values[STREET] not in refused.text
    met.platform.close()


def erased(world: World, subject: UUID) -> None:
    """Erase the person through the officer's door."""
    asyncio.run(
        world.platform.registrar.erase(
            OFFICER, subject, proposer="self", justification="asked for it"
        )
    )


def backups(world: World, folder: Path) -> None:
    """Back both databases up."""
    world.clock.now += 1
    for chain in Chain:
        back_up(world.platform, chain, folder / chain, nothing)


def hits(root: Path, wanted: Mapping[str, str]) -> list[str]:
    """Name each attribute whose value is in a file below a folder."""
    needles = [
        (name, spelling)
        for name, value in wanted.items()
        if len(value) >= SHORTEST
        for spelling in spellings(value)
    ]
    found = []
    for path in root.rglob("*"):
        if path.is_file() and not path.is_symlink():
            raw = path.read_bytes()
            found += [
                f"{path.name}: {name}"
                for name, needle in needles
                if needle in raw
            ]
    return found


def test_the_search_finds_what_is_there(tmp_path: Path) -> None:
    """Each spelling is found, so that an empty answer means something."""
    wanted = {"one": "canary01zqxjk"}
    for number, spelling in enumerate(spellings(wanted["one"])):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "file").write_bytes(b"before" + spelling + b"after")
        assert ["file: one"] == sorted(set(hits(folder, wanted)))
    inside = base64.b64encode(b"xy" + wanted["one"].encode() + b"z")
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "file").write_bytes(inside)
    assert hits(tmp_path / "inside", wanted)


def test_attack_20_no_canary_is_on_the_disk(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Databases, logs, journal, backups: before and after an erasure."""
    with build_world(tmp_path / "home") as world:
        values = values_of(world)
        assert 60 <= len(values)
        assert 60 <= sum(len(one) >= SHORTEST for one in values.values())
        subject = admitted(world, values)
        disclosed(world, subject, values)
        backups(world, tmp_path)
        assert [] == hits(tmp_path, values)
        digests, secret = traces(world, subject)
        assert 8 == len(digests)
        assert all(any_file(world.home, one) for one in digests)
        assert all(any_file(world.home, one) for one in secret)

        erased(world, subject)
        assert [] == hits(tmp_path, values)
        for one in (*digests, *secret):
            assert not any_file(world.home, one)
            assert not any_file(world.home, one.hex().encode())
        world.platform.vault.close()
    assert [] == hits(tmp_path, values)
    out, err = capfd.readouterr()
    for value in values.values():
        assert len(value) < SHORTEST or value not in out + err


def traces(world: World, subject: UUID) -> tuple[list[bytes], list[bytes]]:
    """The person's index digests; their wrapped key and a sealed value."""
    platform = world.platform
    key = {"who": subject.hex}
    with platform.data.connect().execution_options(read_only=True) as conn:
        digests = [
            bytes(row[0])
            for row in conn.execute(
                text("SELECT digest FROM vault_index WHERE subject = :who"),
                key,
            )
        ]
        sealed = conn.execute(
            text("SELECT sealed FROM vault_value WHERE subject = :who"), key
        ).scalars()
        found = [bytes(one) for one in sealed][:3]
    with platform.keys.connect().execution_options(read_only=True) as conn:
        blob = conn.execute(
            text("SELECT blob FROM vault_dek WHERE subject = :who"), key
        ).scalar_one()
    return digests, [*found, bytes(blob)]


def any_file(root: Path, needle: bytes) -> bool:
    """Whether a file of an instance holds some bytes."""
    return any(
        needle in path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    )


@pytest.mark.slow
@pytest.mark.postgresql
def test_attack_20_no_canary_is_in_the_cluster(tmp_path: Path) -> None:
    """Tables, dead tuples, the server's log ahead, dumps and backups."""
    with build_world(tmp_path / "home", database=Kind.POSTGRESQL) as world:
        values = values_of(world)
        subject = admitted(world, values)
        backups(world, tmp_path)
        digests = digests_of(world, subject)
        assert digests
        assert [] == in_the_server(world, tmp_path, values)
        assert any(found(one, digests) for one in written_out(world))
        erased(world, subject)
        backups(world, tmp_path)
        assert [] == in_the_server(world, tmp_path, values)
        with as_superuser(world) as connection:
            for table in ("index", "candidate", "value", "history"):
                connection.execute(f"VACUUM FULL data.vault_{table}")
        base, *_ = written_out(world)
        assert not found(base, digests)


@contextmanager
def as_superuser(world: World) -> Iterator[Any]:
    """A connection of the server's owner to the world's database."""
    address = make_url(os.environ.get(SERVER, os.environ[ADDRESS])).set(
        username=SUPERUSER,
        database=make_url(world.platform.settings.data).database,
    )
    with connect(address.render_as_string(hide_password=False)) as connection:
        yield connection


def digests_of(world: World, subject: UUID) -> list[bytes]:
    """The blind-index digests of a person."""
    asked = text("SELECT digest FROM vault_index WHERE subject = :who")
    with world.platform.data.connect() as conn:
        return [bytes(one) for (one,) in conn.execute(asked, {"who": subject})]


def written_out(world: World) -> list[Path]:
    """The folders of the world's database and of the log ahead.

    Other databases of the server are other tests'.
    """
    with as_superuser(world) as connection:
        connection.execute("CHECKPOINT")
        (folder,) = connection.execute("SHOW data_directory").fetchone()
        (number,) = connection.execute(
            "SELECT oid FROM pg_database WHERE datname = current_database()"
        ).fetchone()
    if not os.access(Path(folder) / "base", os.R_OK):
        pytest.skip("the cluster's folder cannot be read")
    return [Path(folder) / "base" / str(number), Path(folder) / "pg_wal"]


def in_the_server(
    world: World, folder: Path, values: Mapping[str, str]
) -> list[str]:
    """Search the server's files, a plain dump, and what was backed up."""
    plain = folder / "plain"
    plain.mkdir(exist_ok=True)
    with as_superuser(world) as connection:
        tables = connection.execute(
            "SELECT schemaname || '.' || tablename FROM pg_tables"
            " WHERE schemaname IN ('data', 'keys')"
        ).fetchall()
        for (table,) in tables:
            rows = connection.execute(f"SELECT * FROM {table}").fetchall()
            (plain / table).write_text(repr(rows), "utf-8")
    assert tables
    return [
        hit
        for one in (*written_out(world), folder)
        for hit in hits(one, values)
    ]


def found(root: Path, needles: Sequence[bytes]) -> bool:
    """Whether any of some bytes is in a file below a folder."""
    return any(
        needle in path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
        for needle in needles
    )


def test_attack_19_a_second_worker_forgets_at_once(tmp_path: Path) -> None:
    """Warm in another process: unknown there too, from the next look on."""
    with build_world(tmp_path / "home") as world:
        other = reopen(world)
        subject = world.cast["consenting"]
        holding = other.vault.holding(subject)
        assert other.vault.log_key(holding)
        revision = other.consents.revision(None, subject)
        erased(world, subject)

        assert not other.vault.holding(subject).known
        with pytest.raises(PersonUnknown):
            other.eraser.erase(subject)
        with pytest.raises(UnknownSubject), other.data.begin() as conn:
            other.vault.put(conn, subject, {STREET: "1 Street"}, source="x")
        assert revision < other.consents.revision(None, subject)
        grant = ReadGrant(
            tenant="test",
            subject=subject,
            attributes=frozenset({STREET}),
            purpose="address-change",
            decision=subject,
            expires_at=other.clock() + 60,
        )
        assert {} == other.vault.read(grant)
        other.vault.close()
        other.close()


def test_attack_19_what_was_fetched_before_is_not_opened(
    tmp_path: Path,
) -> None:
    """A worker that holds ciphertext and key from before gets no entry."""
    with build_world(tmp_path / "home") as world:
        platform, subject = world.platform, world.cast["consenting"]
        other = reopen(world)
        holding = other.vault.holding(subject)
        revision = other.consents.revision(None, subject)
        draft = platform.registrar._draft(
            EntryKind.OFFICER_VIEW, holding=holding, outcome="opened"
        )
        erased(world, subject)

        async def late() -> None:
            async with other.running():
                await other.gate.record_then_open(
                    holding=holding,
                    revision=revision,
                    draft=draft,
                    granted=frozenset({STREET}),
                )

        with pytest.raises((FactsChanged, CryptoFailure)):
            asyncio.run(late())
        other.vault.close()
        other.close()
