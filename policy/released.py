"""What was released to whom: the state of the guard over releases.

For each extract that was made it keeps the size of each class, for each
person in it a tag and the number of their class, and for each class how many
rows had which sensitive value, under a keyed tag too. A person's tag is a
keyed digest of person and release, so that without the instance's secret
nobody can tell whose row it is, nor which rows of two releases are one
person's. Erasing a person deletes their rows; the sizes and counts of classes
stay, so that one who is gone still counts as missing.

Recipients who may pass extracts on to each other are read as one.
"""

import hmac
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, Engine, select

import anonymize
from policy.reading import DriverStatement
from policy.tables import ReleasedPersonRow, ReleasedRow, ReleaseRow

_RELEASED = ReleasedRow.metadata.tables["policy_released"]
_PERSON = ReleasedPersonRow.metadata.tables["policy_released_person"]
_RELEASE = ReleaseRow.metadata.tables["policy_release"]
_TAG_BYTES = 16
_DOMAIN = b"curtilage/released/1"
_VALUE_DOMAIN = b"curtilage/released/value/1"
_CHUNK = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnRelease:
    """An extract that somebody's row was in.

    Attributes:
        release: its id.
        service: whose declaration it was made under.
        purpose: what for.
        recipient: who got it.
        at: when, POSIX seconds.
        outcome: ``taken``, or ``recalled`` since.
        expires_at: until when the recipient may use it.
    """

    release: UUID
    service: str
    purpose: str
    recipient: str
    at: int
    outcome: str
    expires_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Had:
    """What a recipient, and who may share with them, had already.

    Attributes:
        past: their extracts, as the guard wants them.
        releases: the ids of those extracts: while the next one is made
            others may be, and it must not be kept beside what it was not
            made from.
    """

    past: "anonymize.Past"
    releases: frozenset[UUID]


class ReleasedStore:
    """Who was in which class of which extract of one tenant."""

    def __init__(
        self,
        *,
        tenant: str,
        engine: Engine,
        key: bytes,
        groups: Sequence[frozenset[str]] = (),
    ) -> None:
        """Take the collaborators.

        Args:
            tenant: whose extracts.
            engine: the data database.
            key: secret of the instance; tags are made under it.
            groups: recipients who may pass extracts on to each other.

        """
        self._tenant = tenant
        self._engine = engine
        self._key = key
        self._groups = tuple(groups)
        self._add = DriverStatement(engine, _PERSON.insert())

    def past(
        self,
        recipient: str,
        dataset: str,
        people: Sequence[str],
        values: Mapping[str, Sequence[str]] | None = None,
    ) -> Had:
        """Tell what a recipient, or who may share with them, had of people.

        Args:
            recipient: who is to get the next extract.
            dataset: service and purpose; extracts of others do not count.
            people: ids of those who are to be in it, in its order.
            values: for each sensitive column the values of those people.

        """
        known = {
            self._value_tag(column, value): (column, value)
            for column, cells in (values or {}).items()
            for value in {*cells}
        }
        listed = (
            select(_RELEASED)
            .where(*self._read_as_one(recipient, dataset))
            .order_by(_RELEASED.c.at, _RELEASED.c.id)
        )
        classes, sizes, names, counted = [], [], [], []
        releases = set()
        with self._engine.connect().execution_options(read_only=True) as conn:
            for row in conn.execute(listed).all():
                releases.add(row.id)
                members = self._members(conn, row.id)
                tags = self._tags(row.id, people)
                classes.append([members.get(tag, -1) for tag in tags])
                sizes.append(dict(enumerate(json.loads(row.sizes))))
                counted.append(
                    _told(json.loads(row.counted or "[]"), known, values)
                )
                day = datetime.fromtimestamp(row.at, UTC).date()
                names.append(f"{row.id} to {row.recipient}, {day}")
        past = anonymize.Past(
            classes=tuple(classes),
            sizes=tuple(sizes),
            releases=tuple(names),
            values=tuple(counted),
        )
        return Had(past=past, releases=frozenset(releases))

    def released_to(
        self, conn: Connection, recipient: str, dataset: str
    ) -> frozenset[UUID]:
        """Name the extracts that `past` would read in this transaction."""
        listed = select(_RELEASED.c.id).where(
            *self._read_as_one(recipient, dataset)
        )
        return frozenset(conn.execute(listed).scalars())

    def _read_as_one(
        self, recipient: str, dataset: str
    ) -> tuple[ColumnElement[bool], ...]:
        return (
            _RELEASED.c.tenant == self._tenant,
            _RELEASED.c.dataset == dataset,
            _RELEASED.c.recipient.in_(sorted(self._readers(recipient))),
        )

    def remember(  # noqa: PLR0917 - the parts of one record
        self,
        conn: Connection,
        release: UUID,
        recipient: str,
        dataset: str,
        at: int,
        members: Mapping[str, int],
        values: Mapping[str, Mapping[str, str]] | None = None,
    ) -> None:
        """Keep an extract and its classes, before anything is handed out.

        Args:
            conn: of the transaction.
            release: the extract.
            recipient: who gets it.
            dataset: service and purpose.
            at: POSIX seconds.
            members: by person's id the number of their class, from 0.
            values: for each sensitive column by person's id the value.

        Raises:
            IntegrityError: it was kept before; nothing is written.

        """
        found = Counter(members.values())
        sizes = [found[number] for number in range(max(found, default=-1) + 1)]
        counted = self._counted(members, values or {}, len(sizes))
        conn.execute(
            _RELEASED.insert(),
            {
                "id": release,
                "tenant": self._tenant,
                "recipient": recipient,
                "dataset": dataset,
                "at": at,
                "sizes": json.dumps(sizes),
                "counted": json.dumps(counted),
            },
        )
        tags = self._tags(release, [*members])
        # By tag: in the order of the extract the rows would tell who is who.
        listed = sorted(zip(tags, members.values(), strict=True))
        own = self._add.bind(release)
        for at_row in range(0, len(listed), _CHUNK):
            self._add.write_tuples(
                conn,
                ("release", "tag", "tenant", "number"),
                [
                    (own, tag, self._tenant, number)
                    for tag, number in listed[at_row : at_row + _CHUNK]
                ],
            )

    def drop(self, conn: Connection, release: UUID) -> None:
        """Forget an extract of which nobody got anything."""
        conn.execute(_PERSON.delete().where(_PERSON.c.release == release))
        conn.execute(_RELEASED.delete().where(_RELEASED.c.id == release))

    def has(self, release: UUID) -> bool:
        """Tell whether an extract was made, finished or not."""
        listed = select(_RELEASED.c.id).where(_RELEASED.c.id == release)
        with self._engine.connect().execution_options(read_only=True) as conn:
            return conn.execute(listed).first() is not None

    def of_person(self, subject: UUID) -> Sequence[OwnRelease]:
        """List the extracts that somebody's row was in, newest first."""
        with self._engine.connect().execution_options(read_only=True) as conn:
            mine = self._having(conn, subject)
            rows = [
                conn.execute(
                    select(_RELEASE).where(_RELEASE.c.id == one)
                ).one()
                for one in mine
            ]
        return sorted(
            (
                OwnRelease(
                    release=row.id,
                    service=row.service,
                    purpose=row.purpose,
                    recipient=row.recipient,
                    at=row.at,
                    outcome=row.outcome,
                    expires_at=row.expires_at,
                )
                for row in rows
                if row.outcome in {"taken", "recalled"}
            ),
            key=lambda one: (-one.at, str(one.release)),
        )

    def forget(self, conn: Connection, subject: UUID) -> None:
        """Delete an erased person's rows; they still count as missing."""
        for release in self._having(conn, subject):
            conn.execute(
                _PERSON.delete().where(
                    _PERSON.c.release == release,
                    _PERSON.c.tag == self._tags(release, [str(subject)])[0],
                )
            )

    def _having(self, conn: Connection, subject: UUID) -> list[UUID]:
        listed = select(_RELEASED.c.id).where(
            _RELEASED.c.tenant == self._tenant
        )
        found = []
        for release in conn.execute(listed).scalars().all():
            tag = self._tags(release, [str(subject)])[0]
            mine = select(_PERSON.c.number).where(
                _PERSON.c.release == release, _PERSON.c.tag == tag
            )
            if conn.execute(mine).first() is not None:
                found.append(release)
        return found

    def _readers(self, recipient: str) -> set[str]:
        readers = {recipient}
        for group in self._groups:
            if recipient in group:
                readers |= group
        return readers

    def _members(self, conn: Connection, release: UUID) -> dict[bytes, int]:
        listed = select(_PERSON.c.tag, _PERSON.c.number).where(
            _PERSON.c.release == release
        )
        return {bytes(tag): number for tag, number in conn.execute(listed)}

    def _counted(
        self,
        members: Mapping[str, int],
        values: Mapping[str, Mapping[str, str]],
        classes: int,
    ) -> list[dict[str, dict[str, int]]]:
        """Count the values of each class by column, under tags."""
        counted: list[dict[str, dict[str, int]]] = [
            {column: {} for column in values} for _ in range(classes)
        ]
        for column, of_person in values.items():
            tags = {
                value: self._value_tag(column, value)
                for value in {*of_person.values()}
            }
            found = Counter(
                zip(
                    members.values(),
                    map(of_person.__getitem__, members),
                    strict=True,
                )
            )
            for (number, value), many in found.items():
                counted[number][column][tags[value]] = many
        return counted

    def _value_tag(self, column: str, value: str) -> str:
        """Name a value for whoever has the key; a missing one is empty."""
        if not value:
            return ""
        name = column.encode()
        message = len(name).to_bytes(4, "big") + name + value.encode()
        return hmac.digest(self._key, _VALUE_DOMAIN + message, "sha256").hex()[
            : 2 * _TAG_BYTES
        ]

    def _tags(self, release: UUID, people: Sequence[str]) -> list[bytes]:
        keyed = hmac.new(self._key, _DOMAIN + release.bytes, "sha256")
        tags = []
        for person in people:
            one = keyed.copy()
            one.update(person.encode())
            tags.append(one.digest()[:_TAG_BYTES])
        return tags


def _told(
    counted: Sequence[Mapping[str, Mapping[str, int]]],
    known: Mapping[str, tuple[str, str]],
    values: Mapping[str, Sequence[str]] | None,
) -> dict[int, dict[str, dict[str, int]]]:
    """Say what values classes had; one that nobody has today by its tag.

    A class of which a column is not known is left out.
    """
    wanted = {*(values or {})}
    return {
        number: {
            column: {
                known.get(tag, (column, tag))[1]: many
                for tag, many in one[column].items()
            }
            for column in sorted(wanted)
        }
        for number, one in enumerate(counted)
        if wanted <= {*one}
    }
