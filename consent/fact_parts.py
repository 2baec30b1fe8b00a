"""Digests of what is known of a person, part by part.

A person's facts are in rows of several tables, and a decision reads a few of
them: the answers to one purpose of one service, the newest rules, what the
person restricts. Each such part has a digest of its rows, as the driver
gives them. The digests stand together in the row that counts the person's
facts, under one code (`consent.row_macs`): so a row that was added, edited
or taken away is noticed by whoever reads its part, and so is a part that was
put back alone to what it was before. Only all parts put back together, with
their row, are as they once were; the ledger tells of that.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from consent.errors import ConsentDamaged

_SIZE = 16  # of a part's name and of its digest, 128 bits each
_PAIR = 2 * _SIZE
Rows = Sequence[Sequence[Any]]


def _plain(value: object) -> str:
    if isinstance(value, UUID):
        return value.hex
    msg = "no column of facts has this form"
    raise TypeError(msg)


_ENCODER = json.JSONEncoder(default=_plain, separators=(",", ":"))


def _name(*words: str) -> bytes:
    return hashlib.sha256(json.dumps(words).encode()).digest()[:_SIZE]


@lru_cache(maxsize=4096)
def answers_part(service: str, purpose: str) -> bytes:
    """Name the part of the answers to one purpose of one service."""
    return _name("answers", service, purpose)


RULES_PART = _name("rules")
"""Names the part of a person's newest rules."""
MANDATES_PART = _name("mandates")
"""Names the part of who may act for a person."""
RESTRAINTS_PART = _name("restraints")
"""Names the part of what a person restricts and objects to."""


class Parts(NamedTuple):
    """The digests of one person's parts, once their code was checked.

    Attributes:
        subject: the person.
        digests: name and digest of each part that has rows, sorted by name;
            None where nothing is demanded.
    """

    subject: UUID
    digests: bytes | None

    def demand(self, name: bytes, rows: Rows) -> None:
        """Make sure that the rows of a part are all, and as written.

        Args:
            name: of the part.
            rows: as the driver gives them, in order.

        Raises:
            ConsentDamaged: they are others than when they were written.
        """
        try:
            # Of no rows, and of nobody, too: whoever is known costs as much.
            found = _digest(rows)
        except (TypeError, ValueError):
            raise ConsentDamaged(self.subject) from None
        if self.digests is None:
            return
        if _found(self.digests, name) != (found if rows else b""):
            raise ConsentDamaged(self.subject)

    def demand_all(self, parts: Mapping[bytes, Rows]) -> None:
        """Make sure that there are these parts and no others.

        Args:
            parts: by name, all rows of each part that has any.

        Raises:
            ConsentDamaged: there are others, or one is not as written.
        """
        if self.digests is None:
            return
        try:
            expected = joined(parts)
        except (TypeError, ValueError):
            raise ConsentDamaged(self.subject) from None
        if self.digests != expected:
            raise ConsentDamaged(self.subject)

    def replaced(self, name: bytes, rows: Rows) -> bytes:
        """Give the digests with those rows of a part."""
        return joined({**_taken_apart(self.digests or b""), name: rows})


def joined(parts: Mapping[bytes, Rows | bytes]) -> bytes:
    """Give the digests of parts.

    Args:
        parts: by name, the rows of a part, or its digest.
    """
    return b"".join(
        name + (found if isinstance(found, bytes) else _digest(found))
        for name, found in sorted(parts.items())
        if found
    )


def _digest(rows: Rows) -> bytes:
    covered = _ENCODER.encode([tuple(row) for row in rows])
    return hashlib.sha256(covered.encode("ascii")).digest()[:_SIZE]


def _found(digests: bytes, name: bytes) -> bytes:
    """Return the digest of a part; empty where it has no rows."""
    place = digests.find(name)
    while place % _PAIR and place != -1:  # within another pair, by chance
        place = digests.find(name, place + 1)
    if place == -1:
        return b""
    return digests[place + _SIZE : place + _PAIR]


def _taken_apart(digests: bytes) -> dict[bytes, bytes]:
    return {
        digests[place : place + _SIZE]: digests[place + _SIZE : place + _PAIR]
        for place in range(0, len(digests), _PAIR)
    }
