"""Credentials: one for each purpose, proved by a secret, revoked at once."""

import asyncio
import hashlib
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar

import pytest
from sqlalchemy import Connection, Engine, text

from consent import RowMacs
from policy import (
    CredentialRefused,
    Issued,
    Reader,
    RecordUnknown,
    Registry,
)
from tests.databases import Kind
from tests.doors import credential
from tests.worlds import PURPOSE, SERVICE, World, build_world

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


class _CountingMacs(RowMacs):
    """Codes that are counted as they are made."""

    made = 0

    def of(
        self,
        kind: str,
        *columns: str | int | bytes | None,
        blob: bytes = b"",
    ) -> bytes:
        """Make a code."""
        self.made += 1
        return super().of(kind, *columns, blob=blob)


class _Interrupted(RowMacs):
    """Codes before the first of which something happens."""

    happens: Callable[[], object] | None = None

    def of(
        self,
        kind: str,
        *columns: str | int | bytes | None,
        blob: bytes = b"",
    ) -> bytes:
        """Make a code."""
        if self.happens is not None:
            happens, self.happens = self.happens, None
            happens()
        return super().of(kind, *columns, blob=blob)


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


def other_registry(
    world: World,
    *,
    tenant: str = "test",
    reader: Reader | None = None,
    macs: RowMacs | None = None,
) -> Registry:
    """One more registry on the rows of a world."""
    return Registry(
        tenant=tenant,
        engine=world.platform.data,
        reader=reader or world.platform.reader,
        macs=macs or world.platform.macs,
        clock=world.clock,
        random=world.platform.random,
    )


def changed(
    world: World, client_id: str, change: str, **values: object
) -> None:
    """Change one row past the registry; `:mac` is another row's code."""
    with world.platform.data.begin() as conn:
        mac = conn.execute(
            text(
                "SELECT mac FROM policy_credential"
                " WHERE client_id != :id AND mac IS NOT NULL"
            ),
            {"id": client_id},
        ).scalars()
        done = conn.execute(
            text(
                f"UPDATE policy_credential SET {change} WHERE client_id = :id"
            ),
            {"id": client_id, "mac": mac.first(), **values},
        )
        assert 1 == done.rowcount


def standing(world: World, client_id: str) -> Issued:
    """How one credential stands in the register."""
    [found] = [
        one
        for one in world.platform.registry.issued(revoked=True)
        if one.credential.client_id == client_id
    ]
    return found


def assert_accepted(world: World, client_id: str, secret: str) -> None:
    """By its secret and, for a token, by its id."""
    registry = world.platform.registry
    found = registry.authenticate(client_id, secret)
    assert found == registry.credential(client_id)
    assert found == asyncio.run(registry.live(client_id))
    assert standing(world, client_id).genuine


def assert_refused(world: World, client_id: str, secret: str) -> None:
    """As what is not there, by its secret and, for a token, by its id."""
    registry = world.platform.registry
    with pytest.raises(CredentialRefused) as unknown:
        registry.authenticate("nobody.00000000", secret)
    with pytest.raises(CredentialRefused) as forged:
        registry.authenticate(client_id, secret)
    assert f"{unknown.value}" == f"{forged.value}"
    for look in (
        lambda: registry.credential(client_id),
        lambda: asyncio.run(registry.live(client_id)),
    ):
        with pytest.raises(CredentialRefused) as forged:
            look()
        assert f"credential {client_id} is not live" == f"{forged.value}"
    assert not standing(world, client_id).genuine


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
    """Known, forged, unknown and impossible: one statement, code and text."""
    client_id, _ = credential(world)
    forged, secret = credential(world)
    changed(world, forged, "assurance = 3")
    platform = world.platform
    reader = _Counting(platform.data)
    macs = _CountingMacs(b"k" * 32, "test", required=True)
    registry = other_registry(world, reader=reader, macs=macs)
    with platform.data.begin() as conn:
        registry.vouch(conn)
    changed(world, forged, "assurance = 2")
    seen: list[tuple[list[str], int, str]] = []
    for one in (client_id, forged, "nobody.00000000", "\x00"):
        reader.statements.clear()
        macs.made = 0
        with pytest.raises(CredentialRefused) as caught:
            registry.authenticate(one, secret if one == forged else "wrong")
        seen.append(([*reader.statements], macs.made, f"{caught.value}"))
    reader.close()
    with platform.data.begin() as conn:
        platform.registry.vouch(conn)

    assert 1 == len(seen[0][0])
    assert 1 == seen[0][1]
    assert "SELECT" == seen[0][0][0].split()[0]
    assert seen == [seen[0]] * 4


INSERTED = (
    "INSERT INTO policy_credential (client_id, tenant, service, purpose,"
    " assurance, secret_hash, created_at, mac)"
    " SELECT 'by.hand', tenant, service, purpose, assurance, secret_hash,"
    " created_at, {mac} FROM policy_credential WHERE client_id = :id"
)


@pytest.mark.parametrize(
    "change",
    [
        "secret_hash = :secret_hash",
        "service = 'tax-office'",
        "purpose = 'taxation'",
        "assurance = 3",
        "created_at = created_at + 1",
        "client_id = :anew",
        "mac = :mac",
        "mac = NULL",
    ],
)
def test_a_changed_row_is_refused(world: World, change: str) -> None:
    """Whoever writes the database alone makes no credential of another."""
    client_id, secret = credential(world)
    _, other = credential(world)
    assert_accepted(world, client_id, secret)
    changed(
        world,
        client_id,
        change,
        anew=f"{client_id}x",
        secret_hash=hashlib.sha256(other.encode()).digest(),
    )

    assert_refused(
        world,
        f"{client_id}x" if ":anew" in change else client_id,
        other if ":secret_hash" in change else secret,
    )


@pytest.mark.parametrize("mac", ["NULL", "mac"])
def test_a_row_by_hand_is_refused(world: World, mac: str) -> None:
    """Neither without a code nor with another row's is it a credential."""
    client_id, secret = credential(world)
    with world.platform.data.begin() as conn:
        conn.execute(text(INSERTED.format(mac=mac)), {"id": client_id})

    assert_refused(world, "by.hand", secret)
    assert_accepted(world, client_id, secret)
    with world.platform.data.begin() as conn:
        conn.execute(
            text("DELETE FROM policy_credential WHERE client_id = 'by.hand'")
        )


def test_a_row_of_another_tenant_is_refused(world: World) -> None:
    """A row with its own code, moved to another tenant, is none there."""
    key = world.platform.secrets.row_key()
    other = other_registry(world, macs=RowMacs(key, "other", required=True))
    with world.platform.data.begin() as conn:
        client_id, secret = other.issue(conn, service=SERVICE, purpose=PURPOSE)

    assert other.authenticate(client_id, secret)
    assert_refused(world, client_id, secret)


def test_an_end_is_not_taken_back(world: World) -> None:
    """The code of an ended row is not the code of a live one."""
    client_id, secret = credential(world)
    with world.platform.data.begin() as conn:
        world.platform.registry.revoke(conn, client_id)
    changed(world, client_id, "revoked_at = NULL")

    assert_refused(world, client_id, secret)


def test_a_forged_row_ends_and_stays_forged(world: World) -> None:
    """Ending what somebody else wrote does not vouch for it."""
    client_id, _ = credential(world)
    changed(world, client_id, "assurance = 3")
    with world.platform.data.begin() as conn:
        world.platform.registry.revoke(conn, client_id)

    assert not standing(world, client_id).genuine
    assert standing(world, client_id).revoked_at is not None


def test_an_operator_vouches_for_what_stands(world: World) -> None:
    """Each row without a right code gets one; a second time there is none."""
    client_id, secret = credential(world)
    ended, _ = credential(world)
    sound, _ = credential(world)
    with world.platform.data.begin() as conn:
        world.platform.registry.vouch(conn)
        world.platform.registry.revoke(conn, ended)
    changed(world, client_id, "mac = NULL")
    changed(world, ended, "mac = :mac")
    found = [standing(world, one) for one in (client_id, ended, sound)]
    assert [False, False, True] == [one.genuine for one in found]
    with world.platform.data.begin() as conn:
        assert [2, 0] == [world.platform.registry.vouch(conn) for _ in "ab"]

    assert standing(world, ended).genuine
    assert_accepted(world, client_id, secret)


def test_what_ended_meanwhile_is_not_vouched_for_as_live(
    world: World,
) -> None:
    """Who vouches beside who ends makes no code of a live row any more."""
    client_id, secret = credential(world)
    with world.platform.data.begin() as conn:
        world.platform.registry.vouch(conn)
    changed(world, client_id, "mac = NULL")
    key = world.platform.secrets.row_key()
    macs = _Interrupted(key, "test", required=True)
    registry = other_registry(world, macs=macs)
    with world.platform.data.begin() as conn:
        macs.happens = lambda: conn.execute(
            text(
                "UPDATE policy_credential SET revoked_at = 1 WHERE mac IS NULL"
            )
        )
        assert 0 == registry.vouch(conn)
    changed(world, client_id, "revoked_at = NULL")

    assert_refused(world, client_id, secret)


def test_before_that_no_code_is_demanded(world: World) -> None:
    """Rows of before go on; new ones and ends get their codes all the same."""
    key = world.platform.secrets.row_key()
    early = other_registry(world, macs=RowMacs(key, "test", required=False))
    with world.platform.data.begin() as conn:
        old, secret = early.issue(conn, service=SERVICE, purpose=PURPOSE)
        new, _ = early.issue(conn, service=SERVICE, purpose=PURPOSE)
        ended, _ = early.issue(conn, service=SERVICE, purpose=PURPOSE)
    changed(world, old, "mac = NULL")
    with world.platform.data.begin() as conn:
        early.revoke(conn, ended)
    assert early.authenticate(old, secret)
    found = [standing(world, one).genuine for one in (old, new, ended)]
    assert [False, True, True] == found


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
    registry = other_registry(world, reader=reader)

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
    other = other_registry(world, tenant="other")

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
    others = other_registry(world, tenant="other")
    assert [] == others.issued(revoked=True)
