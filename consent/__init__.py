"""What people allow, and the evidence for it.

# Declarations, preferences, consent

A service's **declaration** says what it does: statements of data, purpose,
recipient and retention in the vocabulary of P3P 1.0. It is written as YAML
(`load_yaml`) or comes from a P3P file (`load_p3p`; `read_p3p` adds what was
noticed). It stands for a relation (`Declaration.tuples`); whatever compares
declarations compares relations. `Declaration.facts` is what decisions read.

A person's **preferences** are ordered rules over that relation. `match` says
what they mean for one declaration, `explain` says why.

    verdicts = match(PRESETS["careful"], load_yaml(text, where="moving.yml"))
    reasons = explain(verdicts, "en")

A **notice** (`render_notice`) is the exact text that a person reads. An
answer is a `ConsentEvent` that names declaration and notice by their hashes;
`ConsentStore.record` appends it, or refuses it where the law is the basis,
where it goes beyond what was asked, or where a later no stands.

What somebody allows now is `ConsentStore.standing`, or, from events already
at hand, `carried(states(events, now), live, by_digest)`. `states` alone does
not know that a declaration was widened since: never decide by it.

A **receipt** (`issue_receipt`) is one answer, signed, with the wording in it;
`verify_receipt` needs a public key and nothing else.

What must hold: an answer is never edited; the last one holds, whole; a yes
to less is not a yes to more; an answered declaration never changes; every
write about a person counts up their fact revision in its own transaction.

# The ledger

The **ledger** is the tamper-evident log of every use. `Ledger.append` works
in the caller's transaction, so that a change and its entry stand or fall
together; whoever writes other rows first calls `Ledger.lock` before them.
Nothing may be answered before that transaction's commit has returned.
`GroupCommit` is the same for an asynchronous server, with one commit for all
who wait.

    commits = GroupCommit(ledger)
    [entry] = await commits.submit(Commit(drafts=(draft,), check=still_true))

On an event loop a checkpoint is `await commits.checkpoint()`; a plain
`Ledger.checkpoint` there could wait for the loop it stands on.

The person sees `Ledger.own_entries` and takes home `disclosure_proof`; the
officer sees `audit_entries`. `Ledger.erase` destroys the openings of a
person's entries, and the ledger still verifies. `Ledger.verify` recomputes
everything. `consent/verifier.py` is one file that checks proofs and receipts
offline; copy it anywhere. The byte formats are in `consent/LEDGER.md`.

What must hold: a leaf says nothing; indexes have no gaps; no entry is ever
changed, only made unreadable; nothing is signed that does not continue what
was signed before.
"""

from consent.commit import Commit, GroupCommit
from consent.declaration_yaml import load_yaml
from consent.declarations import (
    Controller,
    Declaration,
    ReleaseTerms,
    widening,
)
from consent.elements import categories_of, covers
from consent.entries import Appended, Draft, EntryKind
from consent.entry_views import AuditEntry, OwnEntry
from consent.errors import (
    ConsentError,
    ConsentNotAsked,
    DeclarationError,
    DeclarationFrozen,
    DeclarationInvalid,
    DraftInvalid,
    EntryUnreadable,
    LedgerBusy,
    LedgerError,
    LedgerInconsistent,
    LedgerUnavailable,
    NoticeError,
    NoticeUnavailable,
    PreferencesInvalid,
    ReceiptInvalid,
    RecordError,
    RecordInvalid,
    UnknownDeclaration,
    UnknownEntry,
    UnknownNotice,
)
from consent.explanations import explain
from consent.findings import Finding
from consent.ledger import Ledger
from consent.matching import Verdict, match
from consent.notices import Notice, render_notice
from consent.p3p_policies import P3PReading, load_p3p, read_p3p
from consent.people import StoredPreferences
from consent.preferences import (
    NO_RULE,
    Behavior,
    Preferences,
    Rule,
    lint,
    read_preferences,
)
from consent.presets import DEFAULT_PRESET, PRESETS, preset_title
from consent.receipts import (
    issue_receipt,
    read_public_key,
    verify_receipt,
)
from consent.records import ConsentEvent, ConsentState, carried, states
from consent.signed_notes import LedgerSigner, VerifierKey
from consent.statements import (
    UNNAMED,
    DataItem,
    Statement,
    StatementPurpose,
    Tuple,
)
from consent.store import ConsentStore
from consent.tables import ConsentTable
from consent.verifier import main as run_verifier
from consent.vocabulary import (
    RECIPIENT_ORDER,
    REQUIRED_ORDER,
    RETENTION_ORDER,
    Access,
    Category,
    EventType,
    Language,
    LegalBasis,
    Purpose,
    RecipientClass,
    Required,
    Retention,
    at_most,
    beyond,
)

__all__ = [
    "DEFAULT_PRESET",
    "NO_RULE",
    "PRESETS",
    "RECIPIENT_ORDER",
    "REQUIRED_ORDER",
    "RETENTION_ORDER",
    "UNNAMED",
    "Access",
    "Appended",
    "AuditEntry",
    "Behavior",
    "Category",
    "Commit",
    "ConsentError",
    "ConsentEvent",
    "ConsentNotAsked",
    "ConsentState",
    "ConsentStore",
    "ConsentTable",
    "Controller",
    "DataItem",
    "Declaration",
    "DeclarationError",
    "DeclarationFrozen",
    "DeclarationInvalid",
    "Draft",
    "DraftInvalid",
    "EntryKind",
    "EntryUnreadable",
    "EventType",
    "Finding",
    "GroupCommit",
    "Language",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerInconsistent",
    "LedgerSigner",
    "LedgerUnavailable",
    "LegalBasis",
    "Notice",
    "NoticeError",
    "NoticeUnavailable",
    "OwnEntry",
    "P3PReading",
    "Preferences",
    "PreferencesInvalid",
    "Purpose",
    "ReceiptInvalid",
    "RecipientClass",
    "RecordError",
    "RecordInvalid",
    "ReleaseTerms",
    "Required",
    "Retention",
    "Rule",
    "Statement",
    "StatementPurpose",
    "StoredPreferences",
    "Tuple",
    "UnknownDeclaration",
    "UnknownEntry",
    "UnknownNotice",
    "Verdict",
    "VerifierKey",
    "at_most",
    "beyond",
    "carried",
    "categories_of",
    "covers",
    "explain",
    "issue_receipt",
    "lint",
    "load_p3p",
    "load_yaml",
    "match",
    "preset_title",
    "read_p3p",
    "read_preferences",
    "read_public_key",
    "render_notice",
    "run_verifier",
    "states",
    "verify_receipt",
    "widening",
]
