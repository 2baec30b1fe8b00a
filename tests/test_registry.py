"""Credentials: one for each purpose, proved by a secret, revoked at once."""

import asyncio
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Engine, text

from policy import CredentialRefused, Reader, RecordUnknown, Registry
from tests.databases import Kind
from tests.doors import credential
from tests.worlds import PURPOSE, World, build_world

T = TypeVar("T")


class _Noting:
    """A connection, its driver and its cursor in one, noting statements."""

    def __init__(self, conn: Connection, seen: list[str]) -> None:
        self._driver: Any = conn.connection
        self._cursor: Any = None
        self._seen = seen

    @property
    def connection(self) -> "_Noting":
        return self

    def cursor(self) -> "_Noting":
        self._cursor = self._driver.cursor()
        return self

    def execute(self, statement: str, values: object) -> None:
        self._seen.append(statement)
        self._cursor.execute(statement, values)

    def fetchall(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    def close(self) -> None:
        self._cursor.close()


class _Counting(Reader):
    """A reader that notes the statements that the driver is given."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.statements: list[str] = []
        self.threads: set[int] = set()

    def now(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on a connection that is watched."""
        self.threads.add(threading.get_ident())
        return super().now(
            lambda conn: work(_Noting(conn, self.statements))  # type: ignore[arg-type] # as much of one as is used
        )


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[World]:
    """An instance whose people do not matter here."""
    home = tmp_path_factory.mktemp("registry") / "home"
    with build_world(home, database=database) as made:
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
    platform = world.platform
    reader = _Counting(platform.data)
    registry = Registry(
        tenant=platform.settings.tenant,
        engine=platform.data,
        reader=reader,
        macs=platform.macs,
        clock=world.clock,
        random=platform.random,
    )
    seen: list[list[str]] = []
    for one in (client_id, "nobody.00000000", "\x00"):
        reader.statements.clear()
        with pytest.raises(CredentialRefused):
            registry.authenticate(one, "wrong")
        seen.append([*reader.statements])
    reader.close()

    assert 1 == len(seen[0])
    assert "SELECT" == seen[0][0].split()[0]
    assert seen == [seen[0]] * 3


def test_on_the_loop_a_credential_is_as_live_as_beside_it(
    world: World,
) -> None:
    """Many ask at once: each gets its own; what was revoked is refused."""
    platform = world.platform
    registry = platform.registry
    client_id, _ = credential(world)
    other, _ = credential(world)
    asked = [client_id, other, "nobody.00000000", "\x00", client_id]

    async def ask() -> list[object]:
        return [
            *await asyncio.gather(
                *map(registry.live, asked), return_exceptions=True
            )
        ]

    found = asyncio.run(ask())
    with platform.data.begin() as conn:
        registry.revoke(conn, client_id)
    later = asyncio.run(ask())

    def named(one: object) -> str:
        return getattr(one, "client_id", type(one).__name__)

    refused = CredentialRefused.__name__
    assert [client_id, other, refused, refused, client_id] == [
        named(one) for one in found
    ]
    assert [refused, other, refused, refused, refused] == [
        named(one) for one in later
    ]


def test_a_server_is_waited_for_beside_the_loop(
    world: World, database: Kind
) -> None:
    """Of a server all who ask at once cost one look, on another thread."""
    platform = world.platform
    client_id, _ = credential(world)
    reader = _Counting(platform.data)
    registry = Registry(
        tenant=platform.settings.tenant,
        engine=platform.data,
        reader=reader,
        macs=platform.macs,
        clock=world.clock,
        random=platform.random,
    )

    async def ask() -> None:
        await asyncio.gather(*(registry.live(client_id) for _ in range(5)))

    asyncio.run(ask())
    reader.close()

    mine = threading.get_ident()
    if database is Kind.POSTGRESQL:
        assert 1 == len(reader.statements)
        assert mine not in reader.threads
    else:
        assert 5 == len(reader.statements)
        assert {mine} == reader.threads


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
        reader=platform.reader,
        macs=platform.macs,
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


def test_what_was_issued_is_listed(world: World) -> None:
    """With purpose and dates, of this tenant alone; an end takes it off."""
    registry = world.platform.registry
    client_id, _ = credential(world)
    before = {one.credential.client_id: one for one in registry.issued()}
    assert (PURPOSE, world.clock(), None) == (
        before[client_id].credential.purpose,
        before[client_id].at,
        before[client_id].revoked_at,
    )
    world.clock.now += 60
    with world.platform.data.begin() as conn:
        registry.revoke(conn, client_id)
    assert client_id not in {
        one.credential.client_id for one in registry.issued()
    }
    after = {
        one.credential.client_id: one for one in registry.issued(revoked=True)
    }
    assert world.clock() == after[client_id].revoked_at
    others = Registry(
        tenant="other",
        engine=world.platform.data,
        reader=world.platform.reader,
        macs=world.platform.macs,
        clock=world.clock,
        random=os.urandom,
    )
    assert [] == others.issued(revoked=True)
