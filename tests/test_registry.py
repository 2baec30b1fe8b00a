"""Credentials: one for each purpose, proved by a secret, revoked at once."""

from collections.abc import Iterator

import pytest
from sqlalchemy import event, text

from policy import CredentialRefused, RecordUnknown, Registry
from tests.doors import credential
from tests.worlds import World, build_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """An instance whose people do not matter here."""
    with build_world(tmp_path_factory.mktemp("registry") / "home") as made:
        yield made


def test_a_secret_proves_its_credential(world: World) -> None:
    """Service, purpose and assurance are the registry's, not the caller's."""
    found = world.platform.registry.authenticate(*credential(world))

    assert ("moving-house", "address-change", 2) == (
        found.service,
        found.purpose,
        found.assurance,
    )


def test_no_secret_is_stored(world: World) -> None:
    """The table has a hash; two credentials share neither id nor secret."""
    first, second = credential(world), credential(world)
    with world.platform.data.connect() as conn:
        rows = str(conn.execute(text("SELECT * FROM policy_credential")).all())

    assert 4 == len({*first, *second})
    assert first[1] not in rows
    assert 43 == len(first[1])


@pytest.mark.parametrize(
    "client_id", ["", "nobody.00000000", "\x00", "é" * 30, "x" * 100_000, "'"]
)
def test_an_impossible_client_is_refused(world: World, client_id: str) -> None:
    """Unknown, empty, hostile: one refusal, by secret and by token."""
    registry = world.platform.registry
    for refuse in (
        lambda: registry.authenticate(client_id, "x"),
        lambda: registry.credential(client_id),
    ):
        with pytest.raises(CredentialRefused):
            refuse()


def test_a_refusal_costs_what_a_proof_costs(world: World) -> None:
    """Known, unknown and impossible clients run the same statement."""
    client_id, _ = credential(world)
    seen: list[str] = []

    def count(*arguments: object) -> None:
        seen.append(str(arguments[2]))

    event.listen(world.platform.data, "before_cursor_execute", count)
    try:
        for one in (client_id, "nobody.00000000", "\x00"):
            with pytest.raises(CredentialRefused):
                world.platform.registry.authenticate(one, "wrong")
    finally:
        event.remove(world.platform.data, "before_cursor_execute", count)

    assert seen == seen[:2] * 3
    assert ["BEGIN", "SELECT"] == [one.split()[0] for one in seen[:2]]


def test_a_credential_is_revoked_once(world: World) -> None:
    """Revoked is refused; revoking it again, or nobody, is an error."""
    platform = world.platform
    client_id, secret = credential(world)
    other = credential(world)
    with platform.data.begin() as conn:
        platform.registry.revoke(conn, client_id)

    with pytest.raises(CredentialRefused):
        platform.registry.authenticate(client_id, secret)
    assert platform.registry.authenticate(*other)
    for gone in (client_id, "nobody.00000000"):
        with (
            platform.data.begin() as conn,
            pytest.raises(RecordUnknown) as caught,
        ):
            platform.registry.revoke(conn, gone)
        assert gone not in str(caught.value)


def test_a_tenant_sees_its_own_credentials(world: World) -> None:
    """Another tenant's registry on the same rows neither reads nor ends."""
    platform = world.platform
    client_id, secret = credential(world)
    other = Registry(
        tenant="other",
        engine=platform.data,
        clock=world.clock,
        random=platform.random,
    )

    with pytest.raises(CredentialRefused):
        other.authenticate(client_id, secret)
    with platform.data.begin() as conn, pytest.raises(RecordUnknown):
        other.revoke(conn, client_id)
    assert platform.registry.authenticate(client_id, secret)


def test_a_long_service_has_a_client_id_that_fits(world: World) -> None:
    """The id fits its column, which PostgreSQL holds to."""
    client_id, secret = credential(world, "s" * 128, "p" * 128)

    assert len(client_id) <= 64
    assert world.platform.registry.authenticate(client_id, secret)
