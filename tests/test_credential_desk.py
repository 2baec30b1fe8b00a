"""Letting a service in and ending that leave an entry each."""

from collections.abc import Iterator

import pytest
from sqlalchemy import text

from consent import AuditBody, EntryKind
from policy import CredentialRefused, RecordUnknown
from tests.databases import Kind
from tests.worlds import PURPOSE, SERVICE, World, build_world


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[World]:
    """An instance whose people do not matter here."""
    home = tmp_path_factory.mktemp("credentials") / "home"
    with build_world(home, database=database) as made:
        yield made


def entries(world: World) -> list[AuditBody]:
    """What the ledger has of credentials."""
    found = world.platform.ledger.audit_entries(about_nobody=True, limit=1000)
    return [
        one.body
        for one in found
        if one.body and one.body.kind is EntryKind.CREDENTIAL
    ]


def told(body: AuditBody) -> tuple[object, ...]:
    """What an entry says."""
    return (
        *(body.outcome, body.service, body.purpose, body.at, body.mark),
        *(body.detail[one] for one in ("client_id", "assurance", "genuine")),
    )


def test_a_credential_begins_and_ends_with_an_entry(world: World) -> None:
    """Which, for whom and at which assurance; about nobody; no secret."""
    desk = world.platform.credentials
    size = world.platform.ledger.size()
    client_id, secret = desk.issue(
        service=SERVICE, purpose=PURPOSE, assurance=2
    )
    began = world.clock()
    assert world.platform.registry.authenticate(client_id, secret)
    world.clock.now += 60
    desk.revoke(client_id)

    with pytest.raises(CredentialRefused):
        world.platform.registry.authenticate(client_id, secret)
    assert size + 2 == world.platform.ledger.size()
    issued, revoked = entries(world)[-2:]
    assert told(issued) == (
        *("issued", SERVICE, PURPOSE, began, ""),
        *(client_id, 2, True),
    )
    assert told(revoked) == (
        *("revoked", SERVICE, PURPOSE, world.clock(), ""),
        *(client_id, 2, True),
    )
    assert issued.decision != revoked.decision
    assert {"client_id", "assurance", "genuine"} == {*issued.detail}


def test_the_end_of_a_forged_credential_says_so(world: World) -> None:
    """What ends was never made here."""
    desk = world.platform.credentials
    client_id, _ = desk.issue(service=SERVICE, purpose=PURPOSE)
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                "UPDATE policy_credential SET assurance = 3"
                " WHERE client_id = :id"
            ),
            {"id": client_id},
        )
    desk.revoke(client_id)

    assert (client_id, 3, False) == told(entries(world)[-1])[-3:]


def test_what_is_not_there_ends_without_an_entry(world: World) -> None:
    """An error and no trace, for an id of nobody and one that ended."""
    desk = world.platform.credentials
    client_id, _ = desk.issue(service=SERVICE, purpose=PURPOSE)
    desk.revoke(client_id)
    size = world.platform.ledger.size()
    for gone in (client_id, "nobody.00000000", "\x00"):
        with pytest.raises(RecordUnknown):
            desk.revoke(gone)

    assert size == world.platform.ledger.size()


def test_without_its_entry_there_is_no_credential(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Row and entry commit together, or neither does."""
    platform = world.platform
    client_id, secret = platform.credentials.issue(
        service=SERVICE, purpose=PURPOSE
    )
    before = platform.registry.issued(revoked=True)

    def fails(*_given: object) -> None:
        msg = "the disk is full"
        raise RuntimeError(msg)

    monkeypatch.setattr(platform.ledger, "append", fails)
    with pytest.raises(RuntimeError, match="disk"):
        platform.credentials.issue(service=SERVICE, purpose=PURPOSE)
    with pytest.raises(RuntimeError, match="disk"):
        platform.credentials.revoke(client_id)
    assert before == platform.registry.issued(revoked=True)
    assert platform.registry.authenticate(client_id, secret)
