"""Attacks on the blind indexes by whoever has copies of both databases.

They hold every row of every table, and know as much of the population as
they like: which names there are, how common each is, what one of the people
is called. They hold no KEK. Each attack is first shown to work where the key
is known, so that its failure says something.
"""

import hashlib
import hmac
import uuid
from collections import Counter
from collections.abc import Iterator

import pytest
from sqlalchemy import Engine, insert, inspect, select, text

from tests.test_vault import World, sqlite_world, world
from vault import IndexRefused, standard_catalogue
from vault import format as fmt
from vault.envelope import expand as hkdf
from vault.indexes import BlindIndex
from vault.specs import Spec
from vault.tables import CANDIDATE, INDEX, TENANT

__all__ = ["sqlite_world", "world"]

FAMILY, GIVEN = "user.name.family", "user.name.given"
PASSPORT, TAX = "user.identity.passport", "user.tax.number"
EMAIL = "user.home-info.online.email"

COMMON = [("Li", 5), ("Wang", 4), ("Zhang", 4), ("Liu", 3)]
NAMES = [name for name, times in COMMON for _ in range(times)] + [
    f"{first}{last}"
    for first in ("Ha", "Ke", "Mo", "Ru", "So", "Ti", "Vo", "Yu")
    for last in ("an", "el", "in", "os", "ur", "ath")
]


@pytest.fixture
def people(world: World) -> dict[uuid.UUID, str]:
    """Sixty-four people, the commonest name of five of them."""
    return {
        world.person(
            {FAMILY: name, GIVEN: name, EMAIL: f"p{n}@example.org"}
        ): name
        for n, name in enumerate(NAMES)
    }


def candidates(world: World, name: str) -> dict[uuid.UUID, bytes]:
    """Copy the stored digests of an attribute, by person."""
    number = standard_catalogue()[name].number
    with world.data.connect() as conn:
        listed = conn.execute(
            select(CANDIDATE.c.subject, CANDIDATE.c.digest).where(
                CANDIDATE.c.attribute == number
            )
        )
        return {row.subject: row.digest for row in listed}


def leaked(engine: Engine) -> Iterator[bytes]:
    """Give both ends of each cell of a leaked database, 32 bytes long."""
    with engine.connect() as conn:
        for table in inspect(conn).get_table_names():
            for row in conn.execute(text(f"SELECT * FROM {table}")):
                for cell in row:
                    if isinstance(cell, bytes | memoryview):
                        raw = bytes(cell)
                    elif isinstance(cell, uuid.UUID):
                        raw = cell.bytes
                    else:
                        raw = str(cell).encode()
                    yield (raw + bytes(32))[:32]
                    yield (bytes(32) + raw)[-32:]
                    yield hashlib.sha256(raw).digest()


def keys(world: World) -> set[bytes]:
    """Give what a hopeful attacker tries as the root of the indexes.

    Both ends of every cell there is, and every part of the tenant's row.
    """
    with world.engine.connect() as conn:
        blob = bytes(conn.execute(select(TENANT.c.blob)).scalar_one())
    return {
        bytes(32),
        *leaked(world.data),
        *leaked(world.engine),
        *(blob[at : at + 32] for at in range(len(blob) - 31)),
    }


def dictionary(root: bytes, spec: Spec, names: list[str]) -> set[bytes]:
    """Digest names under a root, as the vault would."""
    attribute = standard_catalogue().numbered(spec.attribute)
    index = BlindIndex("town", root)
    return {
        index.candidate(attribute, spec.prefix, spec.bits, name) or b""
        for name in names
    }


def hits(
    root: bytes, spec: Spec, stored: dict[uuid.UUID, bytes], names: list[str]
) -> int:
    """Count the people whose digest is the one of their own name."""
    context = fmt.candidate_context(
        "town", spec.attribute, spec.prefix, spec.bits, 1
    )
    key = bytes(hkdf(root, context, 32))
    return sum(
        fmt.cut(
            hmac.digest(key, name.casefold().encode(), "sha256"), spec.bits
        )
        == digest
        for digest, name in zip(stored.values(), names, strict=True)
    )


@pytest.mark.parametrize("prefix", [0, 2])
def test_12_a_shared_index_shows_no_frequency(
    world: World, people: dict[uuid.UUID, str], prefix: int
) -> None:
    """Attack 12: entries are counted and matched with the commonness.

    At the full width the counts of the entries are the counts of the names,
    and the commonest name is found by sight. At the planned width names
    share entries, two and more of them on average.
    """
    spec = world.vault.index.add(FAMILY, prefix=prefix)
    stored = candidates(world, FAMILY)
    names = {who: people[who] for who in stored}
    forms = [
        one[:prefix] if prefix else one
        for one in (name.casefold() for name in names.values())
    ]
    index = BlindIndex("town", bytes(32))
    attribute = standard_catalogue()[FAMILY]
    wide = Counter(
        index.candidate(attribute, prefix, 128, name)
        for name in names.values()
    )
    seen = Counter(stored.values())

    assert sorted(Counter(forms).values()) == sorted(wide.values())
    assert sorted(Counter(forms).values()) != sorted(seen.values())
    assert len(seen) <= 2**spec.bits <= len(NAMES) / 2
    assert len(seen) < len(set(forms))


def test_12_more_indexes_of_a_column_add_up_to_no_more(
    world: World, people: dict[uuid.UUID, str]
) -> None:
    """Attack 12: entries of two indexes are put together to tell apart."""
    bits = [world.vault.index.add(FAMILY, prefix=n).bits for n in (1, 0)]
    with world.data.connect() as conn:
        rows = conn.execute(
            select(CANDIDATE.c.subject, CANDIDATE.c.prefix, CANDIDATE.c.digest)
        ).all()
    joined: dict[uuid.UUID, set[tuple[int, bytes]]] = {}
    for row in rows:
        joined.setdefault(row.subject, set()).add((row.prefix, row.digest))
    told = {frozenset(one) for one in joined.values()}

    assert all(bits)
    assert sum(bits) <= 5
    assert len(people) == len(joined)
    assert len(told) <= len(people) / 2
    for prefix in (2, 3):
        with pytest.raises(IndexRefused, match="budget"):
            world.vault.index.add(FAMILY, prefix=prefix)


def test_13_equal_identifiers_are_not_equal_entries(world: World) -> None:
    """Attack 13: one text in two columns of one person, at the store."""
    who = world.person({PASSPORT: "E12345678", TAX: "E12345678"})
    with world.data.connect() as conn:
        rows = conn.execute(
            select(INDEX.c.digest, INDEX.c.binding).where(
                INDEX.c.subject == who
            )
        ).all()

    assert 2 == len(rows)
    assert 4 == len({cell for row in rows for cell in row})


def test_13_shared_digests_match_in_no_other_index() -> None:
    """Attack 13: tenant, column, prefix, width and key version all count.

    The same root, so that nothing but the labels keeps them apart; and a
    narrow digest is not the beginning of a wide one.
    """
    catalogue = standard_catalogue()
    name = "Fang"
    made = [
        BlindIndex(tenant, bytes(32)).candidate(
            catalogue[attribute], prefix, bits, name, version
        )
        for tenant in ("town", "village")
        for attribute in (FAMILY, GIVEN)
        for prefix in (0, 4)
        for bits in (64, 128)
        for version in (1, 2)
    ]

    assert 32 == len({(one or b"")[:8] for one in made})


def test_13_columns_cannot_be_joined_by_their_entries(
    world: World, people: dict[uuid.UUID, str]
) -> None:
    """Attack 13: two columns of equal values group people differently."""
    one, other = (world.vault.index.add(name) for name in (FAMILY, GIVEN))
    left, right = candidates(world, FAMILY), candidates(world, GIVEN)

    def groups(stored: dict[uuid.UUID, bytes]) -> set[frozenset[uuid.UUID]]:
        by_digest: dict[bytes, set[uuid.UUID]] = {}
        for who, digest in stored.items():
            by_digest.setdefault(digest, set()).add(who)
        return {frozenset(group) for group in by_digest.values()}

    assert one.bits == other.bits
    assert set(people) == set(left) == set(right)
    assert groups(left) != groups(right)


def test_14_a_dictionary_run_against_a_shared_index(
    world: World, people: dict[uuid.UUID, str]
) -> None:
    """Attack 14: the whole population's names, and no key that fits.

    A narrow digest is hit by chance, so the attacker counts: under the right
    root all are hit, under any other a few.
    """
    spec = world.vault.index.add(FAMILY)
    stored = candidates(world, FAMILY)
    names = [people[who] for who in stored]
    tried = keys(world)
    root = world.keys.secrets().index_root

    assert len(stored) == hits(root, spec, stored, names)
    assert len(tried) > 500
    assert root not in tried
    best = max(hits(one, spec, stored, names) for one in tried)
    assert best < len(stored) / 2


def test_14_a_dictionary_run_against_identifiers(world: World) -> None:
    """Attack 14: an address that is known to be there is not found."""
    address = "ada@example.org"
    who = world.person({EMAIL: address})
    attribute = standard_catalogue()[EMAIL]
    with world.data.connect() as conn:
        stored = conn.execute(
            select(INDEX.c.digest).where(INDEX.c.subject == who)
        ).scalar_one()
    tried = keys(world)
    root = world.keys.secrets().index_root
    guesses = {
        digest
        for key in tried
        for digest in (
            BlindIndex("town", key).digest(attribute, address),
            hmac.digest(key, address.encode(), "sha256")[:16],
            hashlib.sha256(key + address.encode()).digest()[:16],
            hashlib.sha256(address.encode() + key).digest()[:16],
        )
    } | {hashlib.sha256(address.encode()).digest()[:16]}

    assert stored == BlindIndex("town", root).digest(attribute, address)
    assert len(guesses) > 500
    assert stored not in guesses


def test_14_a_planted_entry_finds_nobody(
    world: World, people: dict[uuid.UUID, str]
) -> None:
    """Attack 14, active: an entry moved to somebody else is opened to see.

    Whoever writes to the database and may also ask learns nothing of a
    person by giving them another's entry: the value itself is compared.
    """
    spec = world.vault.index.add(FAMILY)
    world.now += 6
    stored = candidates(world, FAMILY)
    victim = next(who for who, name in people.items() if name == "Li")
    other = next(who for who, name in people.items() if name == "Mour")
    with world.data.begin() as conn:
        (row,) = conn.execute(
            select(CANDIDATE).where(CANDIDATE.c.subject == victim)
        ).all()
        conn.execute(CANDIDATE.delete().where(CANDIDATE.c.subject == other))
        conn.execute(
            insert(CANDIDATE).values(row._asdict() | {"subject": other})
        )

    assert dictionary(world.keys.secrets().index_root, spec, ["Li"]) == {
        stored[victim]
    }
    assert {who for who, name in people.items() if name == "Li"} == set(
        world.vault.look_up.search(FAMILY, "Li")
    )
