"""What can go wrong in the vault, as one tree.

::

    VaultError
    ├── UnknownAttribute      the catalogue has no such name or number
    ├── InvalidValue          a text is not a value of its attribute
    ├── NotIndexed            exact look-up was not declared for the attribute
    ├── IndexRefused          an index may not be, or cannot change now
    ├── DuplicateIdentifier   an identifier already belongs to somebody
    ├── UnknownSubject        nobody with that id is enrolled (any more)
    ├── MergedSubject         a record is part of another one for now
    ├── UnknownDispute        no open dispute has that id
    ├── GrantRefused          a grant is expired or is for something else
    ├── CryptoFailure         a stored record does not open
    ├── KeyUnavailable        no key-encryption key can be used
    ├── StatesAltered         the states of the KEKs were changed outside
    │   └── StatesUnsealed    they have never had a seal
    ├── AdoptionRefused       they may not be sealed as they stand
    ├── KeyJobRuns            another process changes keys
    ├── NotInitialised        the tenant has no keys or no decoy yet
    ├── HoldRefused           a legal hold cannot be changed like that
    ├── SubjectHeld           a legal hold stands against an erasure
    ├── JournalUnavailable    the erasure journal is missing or unwritable
    ├── JournalDamaged        the erasure journal does not verify
    ├── MappingInvalid        an import mapping cannot be used
    └── ImportRefused         a file cannot be imported at all

Messages carry ids, attribute names and line numbers. They never carry an
attribute value, a key byte or a passphrase. Every way in which a stored
record can fail to open is the one `CryptoFailure` with one wording, so that
an error tells nobody whether the key, the binding or the row was wrong.
"""

from struct import error as struct_error
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID

STRANGE = (
    TypeError,
    ValueError,
    LookupError,
    AttributeError,
    OverflowError,
    struct_error,
)
"""What Python says when a column holds something of another type."""


class VaultError(Exception):
    """Base of everything that the vault raises on purpose."""


class UnknownAttribute(VaultError):
    """The catalogue has no attribute of that name or number."""

    def __init__(self, attribute: str | int) -> None:
        # A name asked for may be anything a caller sent, even a value.
        shown = attribute if isinstance(attribute, int) else "of that name"
        super().__init__(f"the catalogue has no attribute {shown}")


class InvalidValue(VaultError):
    """A text is not a value of its attribute.

    Attributes:
        attribute: the attribute's name.
        reason: a short code, such as ``too-long`` or ``not-a-date``.

    """

    def __init__(self, attribute: str, reason: str) -> None:
        self.attribute = attribute
        self.reason = reason
        super().__init__(f"{attribute}: {reason}")


class NotIndexed(VaultError):
    """Exact look-up is not declared for the attribute."""

    def __init__(self, attribute: str) -> None:
        self.attribute = attribute
        super().__init__(f"{attribute} has no exact look-up")


class IndexRefused(VaultError):
    """An index may not be declared, or cannot be changed now.

    Attributes:
        attribute: the attribute's name.
        reason: a short code, such as ``low-entropy``.

    """

    def __init__(self, attribute: str, reason: str, what: str) -> None:
        self.attribute = attribute
        self.reason = reason
        super().__init__(f"{attribute}: {reason}: {what}")


class DuplicateIdentifier(VaultError):
    """An identifier already belongs to another person.

    The transaction that met it must be rolled back.

    Attributes:
        attribute: the attribute's name.
        positions: which people of the sequence given to ``put_many`` were
            refused, counted from zero. Empty when the database noticed only
            at its own constraint (two writers at once).

    """

    def __init__(self, attribute: str, positions: tuple[int, ...]) -> None:
        self.attribute = attribute
        self.positions = positions
        super().__init__(f"{attribute}: the identifier is already taken")


class UnknownSubject(VaultError):
    """Nobody with that id is enrolled, or they were erased."""

    def __init__(self, subject: "UUID") -> None:
        self.subject = subject
        super().__init__(f"subject {subject} is not enrolled")


class MergedSubject(VaultError):
    """A record is part of another one, or has none to be parted from."""

    def __init__(self, subject: "UUID", what: str) -> None:
        self.subject = subject
        super().__init__(f"subject {subject} {what}")


class UnknownDispute(VaultError):
    """No open dispute of that id is about the attribute."""

    def __init__(self, dispute: "UUID") -> None:
        self.dispute = dispute
        super().__init__(f"no open dispute {dispute} stands there")


class GrantRefused(VaultError):
    """A grant is expired, of another tenant, or for another record."""


class CryptoFailure(VaultError):
    """A stored record does not open. Deliberately without a cause."""

    def __init__(self, subject: "UUID | None" = None) -> None:
        self.subject = subject
        whose = "a record" if subject is None else f"subject {subject}"
        super().__init__(f"{whose}: what is stored does not open")


class KeyUnavailable(VaultError):
    """A key-encryption key cannot be used: absent, refused or retired."""


class StatesAltered(VaultError):
    """The states of the key-encryption keys are not those that were set."""

    def __init__(self, tenant: str) -> None:
        super().__init__(
            f"tenant {tenant}: states or dates of its key-encryption keys "
            "were changed outside this program, or are older than those "
            "seen before; compare with the key entries of the ledger and "
            "restore the keys database"
        )


class StatesUnsealed(StatesAltered):
    """The states of the key-encryption keys have never had a seal."""

    def __init__(self, tenant: str) -> None:
        VaultError.__init__(
            self,
            f"tenant {tenant}: the states of its key-encryption keys have no "
            "seal, as in an instance of before there were seals. If it is "
            "one, look at them and seal them: curtilage keys adopt. If not, "
            "somebody removed the seal: restore the keys database",
        )


class AdoptionRefused(VaultError):
    """States of key-encryption keys may not be sealed as they stand."""

    def __init__(self, tenant: str, reason: str) -> None:
        super().__init__(f"tenant {tenant}: nothing is adopted: {reason}")


class KeyJobRuns(VaultError):
    """Another process changes keys; one at a time does."""

    def __init__(self, tenant: str) -> None:
        super().__init__(
            f"tenant {tenant}: another process changes its keys now; wait "
            "for its end (curtilage keys status), then run this again"
        )


class NotInitialised(VaultError):
    """The tenant has no keys or no decoy yet; initialise the vault first."""


class SubjectHeld(VaultError):
    """A legal hold stands: the person's key may not be destroyed."""

    def __init__(self, subject: "UUID") -> None:
        self.subject = subject
        super().__init__(f"subject {subject} is under a legal hold")


class HoldRefused(VaultError):
    """A legal hold cannot be changed in that way, or not by that officer."""

    def __init__(self, hold: "UUID", why: str) -> None:
        self.hold = hold
        super().__init__(f"hold {hold} {why}")


class JournalUnavailable(VaultError):
    """The erasure journal cannot be read or written."""


class JournalDamaged(VaultError):
    """The erasure journal is not the one that was written."""


class MappingInvalid(VaultError):
    """An import mapping cannot be used.

    Attributes:
        where: the mapping's file name.
        line: line in it, from one.
        what: what is wrong.
        remedy: what to do.

    """

    def __init__(self, where: str, line: int, what: str, remedy: str) -> None:
        self.where = where
        self.line = line
        self.what = what
        self.remedy = remedy
        super().__init__(f"{where}:{line}: {what}. {remedy}")


class ImportRefused(VaultError):
    """A file cannot be imported at all, as its header already shows."""
