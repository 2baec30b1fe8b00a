"""DEK rows as they come out of the keys database."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NoReturn
from uuid import UUID

from sqlalchemy import Select, and_, select

from vault.envelope import WrappedDek
from vault.tables import DEK, KEK, DekState


class StoredDek(NamedTuple):
    """A DEK row and the state of the KEK that wraps it.

    `rival` is the person's next key, while they are being re-encrypted.
    """

    wrapped: WrappedDek
    state: str
    kek_state: str | None
    rival: "StoredDek | None" = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TenantSecrets:
    """What the vault keeps of its tenant while it runs."""

    decoy: UUID
    created_at: int
    index_root: bytes = field(repr=False)

    def __reduce__(self) -> NoReturn:
        msg = "keys are not serialised"
        raise TypeError(msg)


def joined() -> Select[Any]:
    """Select DEK rows, each with the newest state of its KEK."""
    return select(
        DEK.c.subject,
        DEK.c.gen,
        DEK.c.kek_epoch,
        DEK.c.created_at,
        DEK.c.commitment,
        DEK.c.blob,
        DEK.c.state,
        KEK.c.state.label("kek_state"),
    ).join_from(
        DEK,
        KEK,
        and_(KEK.c.tenant == DEK.c.tenant, KEK.c.epoch == DEK.c.kek_epoch),
        isouter=True,
    )


def stored_dek(tenant: str, subject: UUID, row: Sequence[Any]) -> StoredDek:
    """Take a row of `joined` apart."""
    _, gen, epoch, created_at, committed, blob, state, kek_state = row
    wrapped = WrappedDek(
        tenant, subject, gen, epoch, created_at, committed, blob
    )
    return StoredDek(wrapped, state, kek_state)


def merged(deks: Iterable[StoredDek]) -> StoredDek | None:
    """Make one of a person's DEK rows: the newest, and its rival if any.

    A next key shows only beside the one that it will replace.
    """
    ordered = sorted(deks, key=lambda dek: dek.wrapped.gen)
    rival = None
    if ordered and ordered[-1].state == DekState.NEXT:
        rival = ordered.pop()
    return ordered[-1]._replace(rival=rival) if ordered else None
