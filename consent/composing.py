"""From a draft to an entry's leaf and sealed openings, before any index.

Each person has two chains, each with its own counter, previous leaf and tag:
what they see at once, and what is withheld. Nothing in a row tells which of
the two it belongs to: tags are keyed, and lengths are made equal.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from consent.entries import (
    AUDIT_DOMAIN,
    SALT_BYTES,
    SUBJECT_DOMAIN,
    Draft,
    Opened,
    Place,
    audit_body,
    commit,
    leaf_data,
    names_text,
    subject_body,
    withheld_body,
)
from consent.errors import LogKeyMoved
from consent.ledger_keys import SECONDS_A_DAY, LedgerKeys, PersonKeys
from consent.sealing import NONCE_BYTES, AuditOpening, seal_audit, seal_own

Random = Callable[[int], bytes]
_ENTRY_RANDOM = 2 * (SALT_BYTES + NONCE_BYTES)
# What differs in length between the chains, at its longest: `withheld` in
# the officer's row; in the person's a body's commitment to its place, and
# that place beside the body.
WITHHELD_ROOM = 48
OWN_ROOM = 144
_CHAIN_MEMBERS = len('"counter":,"previous":"",')
_SECOND_MEMBERS = len('"chain":"",') + 64


@dataclass(slots=True)
class Chain:
    """A chain of a person within one transaction.

    Attributes:
        keys: Its tag and cipher.
        person: Tag of the person's first chain, by which they are locked.
        counter: How many entries it has.
        previous: Leaf data of the last.
        last: Index of the last that has one.
        touched: Whether entries were added.
    """

    keys: PersonKeys
    person: bytes
    counter: int = 0
    previous: bytes = b""
    last: int | None = None
    touched: bool = False


class Composed(NamedTuple):
    """An entry but for its index and seal.

    Attributes:
        leaf: Its leaf data.
        tag: Tag of the chain; ``None`` for nobody.
        service: Side column.
        purpose: Side column.
        day: Side column, days since 1970-01-01, UTC.
        own: The person's sealed row; ``None`` for nobody.
        audit: The officer's sealed row.
    """

    leaf: bytes
    tag: bytes | None
    service: str
    purpose: str
    day: int
    own: bytes | None
    audit: bytes | None


def chain_name(draft: Draft) -> bytes:
    """Name the chain of a draft within one transaction; empty for nobody."""
    if draft.log_key is None:
        return b""
    return draft.log_key + (b"\x02" if draft.withheld else b"\x01")


class Composer:
    """Writes, commits and seals the bodies of entries.

    Args:
        keys: The ledger's.
        random: Source of salts and nonces, like `os.urandom`.
    """

    def __init__(self, keys: LedgerKeys, random: Random) -> None:
        self._keys = keys
        self._random = random
        # As long as one transaction, and so at most as large.
        self._names: dict[tuple[str, ...], str] = {}

    def chain(self, draft: Draft) -> Chain:
        """Make the chain of a draft about a person, not yet read."""
        log_key = draft.log_key or b""
        first = self._keys.person(log_key)
        if draft.withheld is None:
            return Chain(first, first.tag)
        return Chain(self._keys.second(log_key), first.tag)

    def compose(self, draft: Draft, chain: Chain | None) -> Composed:
        """Write an entry and count it in its chain.

        Args:
            draft: What is recorded.
            chain: Where it stands; ``None`` for nobody.

        Returns:
            The entry.

        Raises:
            DraftInvalid: The draft has no entry format.

        """
        fresh = self._random(_ENTRY_RANDOM)
        opened, special = self._write(draft, chain, fresh)
        subject_salt, subject_body, audit_salt, audit_body, _ = opened
        subject = commit(SUBJECT_DOMAIN, subject_salt, subject_body)
        leaf = leaf_data(subject, commit(AUDIT_DOMAIN, audit_salt, audit_body))
        day = draft.at // SECONDS_A_DAY
        withheld = 0
        if draft.withheld is not None:
            withheld = len(f',"withheld":"{draft.withheld}"')
        tag = own = None
        if chain is not None:
            tag, cipher = chain.keys
            own = seal_own(
                cipher,
                opened,
                leaf=leaf,
                nonce=fresh[-2 * NONCE_BYTES : -NONCE_BYTES],
                spare=OWN_ROOM - special,
            )
            if chain.counter < 0:
                msg = "the person's log key was replaced; look them up again"
                raise LogKeyMoved(msg)
            chain.counter += 1
            chain.previous = leaf
            chain.touched = True
        audit = seal_audit(
            self._keys.audit(day),
            AuditOpening(audit_salt, audit_body, subject),
            leaf=leaf,
            nonce=fresh[-NONCE_BYTES:],
            spare=WITHHELD_ROOM - withheld,
        )
        return Composed(
            leaf, tag, draft.service, draft.purpose, day, own, audit
        )

    def _write(
        self, draft: Draft, chain: Chain | None, salts: bytes
    ) -> tuple[Opened, int]:
        """Write both bodies; say how many bytes are the chain's own."""
        mark, place, special = "", None, 0
        counter, previous = 0, b""
        if chain is not None and draft.subject is not None:
            mark = self._keys.mark(draft.subject, draft.at)
            counter, previous = chain.counter + 1, chain.previous
        if draft.withheld is None:
            body = subject_body(draft, counter=counter, previous=previous)
            special = _CHAIN_MEMBERS + len(str(counter)) + 2 * len(previous)
        else:
            place = Place(
                salt=self._random(SALT_BYTES),
                counter=counter,
                previous=previous,
            )
            body = withheld_body(draft, place)
            special = _SECOND_MEMBERS + len(bytes(place))
        opened = Opened(
            subject_salt=salts[:SALT_BYTES],
            subject_body=body,
            audit_salt=salts[SALT_BYTES : 2 * SALT_BYTES],
            audit_body=audit_body(
                draft, mark=mark, names=self._listed(draft.attributes)
            ),
            place=place,
        )
        return opened, special

    def _listed(self, attributes: tuple[str, ...]) -> str:
        """Write names of attributes, once for those who ask alike."""
        text = self._names.get(attributes)
        if text is None:
            text = self._names[attributes] = names_text(attributes)
        return text
