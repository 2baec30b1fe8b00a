"""Credentials held against the ledger, attack by attack.

Each attack is by somebody who writes the data database alone.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from sqlalchemy import text

from policy import CredentialFault, CredentialFinding
from policy.tables import CredentialRow
from tests.databases import Kind
from tests.doors import credential
from tests.worlds import PURPOSE, SERVICE, World, build_world

TABLE = CredentialRow.metadata.tables["policy_credential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """An instance, and three credentials of before there were entries."""

    world: World
    old: tuple[str, str, str]


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, database: Kind
) -> Iterator[Stage]:
    """An instance whose people do not matter here."""
    home = tmp_path_factory.mktemp("credential-sweep") / "home"
    with build_world(home, database=database) as made:
        old = [credential(made)[0] for _ in range(3)]
        made.clock.now += 60
        issue(made)
        yield Stage(world=made, old=(old[0], old[1], old[2]))


@pytest.fixture
def world(stage: Stage) -> World:
    """The instance alone."""
    stage.world.clock.now += 60
    return stage.world


def issue(world: World) -> str:
    """Let a service in, with an entry."""
    return world.platform.credentials.issue(
        service=SERVICE, purpose=PURPOSE, assurance=2
    )[0]


def revoke(world: World, client_id: str) -> None:
    """End that, with an entry, later."""
    world.clock.now += 60
    world.platform.credentials.revoke(client_id)


def changed(world: World, client_id: str, change: str) -> None:
    """Change a row past the register."""
    with world.platform.data.begin() as conn:
        conn.execute(
            text(
                f"UPDATE policy_credential SET {change} WHERE client_id = :i"
            ),
            {"i": client_id},
        )


def deleted(world: World, client_id: str) -> None:
    """Delete a row past the register."""
    with world.platform.data.begin() as conn:
        conn.execute(TABLE.delete().where(TABLE.c.client_id == client_id))


def put_back(world: World, client_id: str) -> None:
    """End a credential, and put the row of before that back."""
    mine = TABLE.c.client_id == client_id
    with world.platform.data.connect() as conn:
        copy = conn.execute(TABLE.select().where(mine)).one()._asdict()
    revoke(world, client_id)
    with world.platform.data.begin() as conn:
        conn.execute(TABLE.delete().where(mine))
        conn.execute(TABLE.insert(), copy)


def found(
    world: World, client_id: str
) -> list[tuple[CredentialFault, tuple[str, ...], bool]]:
    """What the sweep finds of one credential."""
    return [
        (one.fault, one.columns, one.is_wrong)
        for one in findings(world)
        if one.client_id == client_id
    ]


def findings(world: World) -> list[CredentialFinding]:
    """All that the sweep finds; each with its service, for its purpose."""
    all_found = world.platform.credential_sweep.run()
    assert {(SERVICE, PURPOSE)} >= {
        (one.service, one.purpose) for one in all_found
    }
    return all_found


def test_what_the_register_wrote_is_in_order(world: World) -> None:
    """Live and ended; pages are told of as they were read."""
    live, ended = issue(world), issue(world)
    revoke(world, ended)
    counts: list[int] = []
    world.platform.credential_sweep.run(counts.append)

    assert [[], []] == [found(world, one) for one in (live, ended)]
    assert sum(counts) >= 3


def test_a_row_put_back_to_before_its_end_is_named(world: World) -> None:
    """Its code is right and the gate takes it; the ledger takes none back."""
    client_id = issue(world)
    put_back(world, client_id)
    [one] = [each for each in findings(world) if each.client_id == client_id]

    assert world.platform.registry.credential(client_id)
    assert (CredentialFault.REVIVED, ("revoked_at",)) == (
        one.fault,
        one.columns,
    )
    assert one.is_wrong
    assert world.platform.ledger.size() - 1 == one.entry
    revoke(world, client_id)
    assert [] == found(world, client_id)


@pytest.mark.parametrize(
    ("change", "columns"),
    [
        ("assurance = 3", ("assurance", "mac")),
        ("service = 'tax-office'", ("service", "mac")),
        ("purpose = 'taxation'", ("purpose", "mac")),
        ("created_at = created_at + 1", ("created_at", "mac")),
        ("revoked_at = created_at", ("revoked_at", "mac")),
        ("mac = NULL", ("mac",)),
    ],
)
def test_a_changed_row_is_named(
    world: World, change: str, columns: tuple[str, ...]
) -> None:
    """With what the entry contradicts, and a code that is not its own."""
    client_id = issue(world)
    changed(world, client_id, change)

    assert [(CredentialFault.ALTERED, columns, True)] == found(
        world, client_id
    )


def test_a_code_of_whoever_vouched_hides_nothing(world: World) -> None:
    """A change that got a right code is still not what was entered."""
    client_id = issue(world)
    changed(world, client_id, "assurance = 3")
    with world.platform.data.begin() as conn:
        world.platform.registry.vouch(conn)

    assert [(CredentialFault.ALTERED, ("assurance",), True)] == found(
        world, client_id
    )


def test_where_no_code_is_demanded_its_lack_is_no_fault(world: World) -> None:
    """An operator has not vouched yet; the other columns are compared."""
    client_id, other = issue(world), issue(world)
    changed(world, client_id, "mac = NULL")
    changed(world, other, "mac = NULL, assurance = 3")
    world.platform.macs.required = False
    told = [found(world, client_id), found(world, other)]
    world.platform.macs.required = True

    assert [
        [],
        [(CredentialFault.ALTERED, ("assurance",), True)],
    ] == told


def test_a_deleted_row_is_named(world: World) -> None:
    """Of a live one and of one that ended."""
    live, ended = issue(world), issue(world)
    revoke(world, ended)
    for one in (live, ended):
        deleted(world, one)
        assert [(CredentialFault.MISSING, (), True)] == found(world, one)


def test_a_row_without_an_entry_was_added(world: World) -> None:
    """Though its code is right: since the first entry all have one."""
    client_id, _ = credential(world)
    assert [(CredentialFault.ADDED, (), True)] == found(world, client_id)
    revoke(world, client_id)

    assert [] == found(world, client_id)


def test_what_is_of_before_is_told_apart(stage: Stage) -> None:
    """It is not wrong; with no right code it was added, where one counts."""
    world, (first, second, third) = stage.world, stage.old
    of_before = [(CredentialFault.OF_BEFORE, (), False)]
    added = [(CredentialFault.ADDED, (), True)]
    assert of_before == found(world, first)
    changed(world, first, "assurance = 3")
    assert added == found(world, first)
    macs = world.platform.macs
    macs.required = False
    assert of_before == found(world, first)
    macs.required = True
    revoke(world, first)
    assert [] == found(world, first)
    revoke(world, second)
    changed(world, second, "revoked_at = NULL")
    assert [(CredentialFault.REVIVED, ("revoked_at", "mac"), True)] == found(
        world, second
    )
    put_back(world, third)
    assert [(CredentialFault.REVIVED, ("revoked_at",), True)] == found(
        world, third
    )


def test_a_writer_meanwhile_is_no_fault(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are read again where an entry was made since the last page."""
    registry = world.platform.registry
    before, made = registry.issued, [issue(world), issue(world)]

    def end(client_id: str) -> None:
        if client_id in {one.credential.client_id for one in before()}:
            revoke(world, client_id)

    def issued(*, revoked: bool = False) -> object:
        end(made[0])
        rows = before(revoked=revoked)
        end(made[1])
        return rows

    monkeypatch.setattr(registry, "issued", issued)
    assert [] == [one for one in findings(world) if one.client_id in made]
