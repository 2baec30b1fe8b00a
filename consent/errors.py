"""The one error tree of the package.

```
ConsentError
├── DeclarationError
│   ├── DeclarationInvalid    a text is not a declaration; says where and why
│   ├── DeclarationFrozen     an answered version may not change any more
│   └── UnknownDeclaration    no such service, purpose, version or digest
├── PreferencesInvalid        a rule set that cannot be evaluated
├── ConsentDamaged            what is stored of a person does not read
├── RowForged                 a row is not as this instance wrote it
├── RecordError
│   ├── RecordInvalid         an event that contradicts its declaration
│   ├── ConsentNotAsked       the law is the basis, so nobody may be asked
│   ├── SeparateConsentNeeded a yes that takes an act and a view of its own
│   ├── NoticeNotServed       nothing shows that the notice was served
│   └── MandateInvalid        somebody acts for another without a mandate
├── NoticeError
│   ├── NoticeUnavailable     the declaration lacks that language
│   └── UnknownNotice         no notice of that hash is stored
├── ReceiptInvalid            a receipt does not verify, for whatever cause
└── LedgerError
    ├── DraftInvalid          what should be recorded has no entry format
    ├── LedgerUnavailable     not durable, so nothing may be answered
    │   ├── LogKeyMoved       the person has another log key by now
    │   ├── LedgerBusy        too many wait already
    │   └── ClockBehind       the clock is far behind the last entry
    ├── LedgerInconsistent    what is stored is not what was appended
    ├── UnknownEntry          no such index or size
    ├── EntryUnreadable       an entry does not open, for whatever cause
    ├── ProofInvalid          a Merkle proof misses its root
    ├── TrustPolicyInvalid    a file is no trust policy
    ├── WitnessStateInvalid   a witness's state or keys cannot be used
    └── NoteError
        ├── NoteMalformed     not in the one exact form
        └── NoteUntrusted     no known key, or not each, vouches for it
```

Messages name ids, element names and positions. They never hold an attribute
value, a text that a person wrote, or a byte of a key.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from uuid import UUID


class ConsentError(Exception):
    """Base of every error that this package raises on purpose."""


class DeclarationError(ConsentError):
    """A declaration cannot be read, found or changed."""


class DeclarationInvalid(DeclarationError):
    """A text is not a declaration; one clear error, the first one met.

    Attributes:
        where: The file or other source that was read.
        line: Line of the fault, from 1; 0 where the whole file is meant.
        column: Column of the fault, from 1; 0 where the whole line is meant.
        what: What is wrong.
        remedy: What to do about it.
        code: What kind of fault it is, stable, such as ``no-purpose``.
    """

    def __init__(
        self,
        *,
        where: str,
        line: int,
        column: int,
        what: str,
        remedy: str,
        code: str = "invalid",
    ) -> None:
        self.where = where
        self.line = line
        self.column = column
        self.what = what
        self.remedy = remedy
        self.code = code
        places = (str(one) for one in (line, column) if one)
        super().__init__(f"{':'.join((where, *places))}: {what}; {remedy}")


class DeclarationFrozen(DeclarationError):
    """Somebody has answered this version, so it may not change."""


class UnknownDeclaration(DeclarationError):
    """No declaration of that service, purpose, version or digest."""


class PreferencesInvalid(ConsentError):
    """A rule set that cannot be evaluated, or a stored one that is broken."""


class ConsentDamaged(ConsentError):
    """What is stored of a person's consent does not read: it was changed.

    Attributes:
        subject: the person.
    """

    def __init__(self, subject: "UUID") -> None:
        self.subject = subject
        super().__init__(f"person {subject}: stored consent does not read")


class RowForged(ConsentError):
    """A row is not as this instance wrote it.

    Attributes:
        kind: which table's.
    """

    def __init__(
        self,
        kind: str,
        *,
        told: bool = False,
        sweep: str = "policy",
        remedy: str = "put it back from a backup",
    ) -> None:
        """Take the table, and whether the ledger tells of it otherwise.

        Args:
            kind: which table's.
            told: whether it is the ledger that tells otherwise.
            sweep: which command says what the ledger tells.
            remedy: what helps where it does.
        """
        self.kind = kind
        super().__init__(
            f"{kind}: what stands there is not what the ledger tells; see "
            f"`curtilage {sweep} verify`, and {remedy}"
            if told
            else f"{kind}: what stands there is not what was written; put it "
            "back from a backup, or vouch for it if you changed it yourself "
            "(curtilage vouch)"
        )


class RecordError(ConsentError):
    """A consent event cannot be recorded."""


class RecordInvalid(RecordError):
    """The event contradicts the declaration that it answers, or itself."""


class ConsentNotAsked(RecordError):
    """The statement rests on the law, so nobody may be asked for consent."""


class SeparateConsentNeeded(RecordError):
    """The yes takes an act, and a view of its notice, of its own."""


class NoticeNotServed(RecordError):
    """Nothing shows that this person was served this notice for this."""


class MandateInvalid(RecordError):
    """Who acts for another has no mandate in force that covers it."""


class NoticeError(ConsentError):
    """A notice cannot be rendered or found."""


class NoticeUnavailable(NoticeError):
    """The declaration does not hold the texts for that language."""


class UnknownNotice(NoticeError):
    """No notice with that content hash is stored."""


class ReceiptInvalid(ConsentError):
    """A receipt does not verify. One class, whatever the cause."""


class LedgerError(ConsentError):
    """Base of every error of the ledger."""


class DraftInvalid(LedgerError):
    """What should be recorded cannot be written in the entry format."""


class LedgerUnavailable(LedgerError):
    """The entry is not durable, so nothing that rests on it may leave."""


class LedgerBusy(LedgerUnavailable):
    """More entries wait for the disk than the ledger lets wait."""


class LogKeyMoved(LedgerUnavailable):
    """The person has another log key by now: look them up again."""


class ClockBehind(LedgerUnavailable):
    """The clock went backwards, so an entry's time would be a lie."""


class LedgerInconsistent(LedgerError):
    """The stored ledger is not what was appended.

    Attributes:
        index: The first entry that is touched, counted from 0; ``None``
            where the fault lies in no entry.
        what: The stored thing that does not fit.
    """

    def __init__(self, *, index: int | None, what: str) -> None:
        self.index = index
        self.what = what
        where = "" if index is None else f"entry {index}: "
        super().__init__(f"ledger inconsistent, {where}{what}")


class UnknownEntry(LedgerError):
    """No entry of that index, or no tree of that size, is in the ledger."""


class EntryUnreadable(LedgerError):
    """An entry does not open. One class, whatever the cause."""


class ProofInvalid(LedgerError):
    """A Merkle proof does not lead to the root that it was given."""


class TrustPolicyInvalid(LedgerError):
    """A file is no policy of https://c2sp.org/tlog-policy.

    Attributes:
        where: The file.
        line: Line of the fault, from 1.
        what: What is wrong.
    """

    def __init__(self, *, where: str, line: int, what: str) -> None:
        self.where = where
        self.line = line
        self.what = what
        super().__init__(f"{where}:{line}: {what}")


class WitnessStateInvalid(LedgerError):
    """A witness's state or keys cannot be used; nothing was cosigned."""


class NoteError(LedgerError):
    """A signed note or checkpoint cannot be trusted."""


class NoteMalformed(NoteError):
    """A note, checkpoint or verifier key is not in its one exact form."""


class NoteUntrusted(NoteError):
    """No known key, or not every known key, vouches for the note."""
