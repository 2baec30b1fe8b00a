"""What people allow, and the evidence for it.

# Declarations, preferences, consent

A service's **declaration** says what it does: statements of data, purpose,
recipient and retention in the vocabulary of P3P 1.0. It is written as YAML
(`load_yaml`) or comes from a P3P file (`load_p3p`; `read_p3p` adds what was
noticed, and the full model of P3P; `write_p3p` writes it back). A compact
policy is one line of tokens (`read_compact`, `compact_of`, `drift`).

A declaration stands for a relation (`Declaration.tuples`); whatever compares
declarations compares relations. `Declaration.facts` is what decisions read.

A person's **preferences** are ordered rules over that relation. `match` says
what they mean for one declaration, `explain` says why.

    verdicts = match(PRESETS["careful"], load_yaml(text, where="moving.yml"))
    reasons = explain(verdicts, "en")

Rule sets of P3P's own time, APPEL and XPref, are run as they stand
(`read_ruleset`, `evaluate_ruleset`) over completed policies
(`read_evidence`), and APPEL is taken over as ours (`import_appel`).

A declaration may ask a **predicate** of an attribute (`predicate_of`) in place
of its value: it is an element below its source, and is agreed to as such. All
declarations of a service that are in force name few of them together.

A **notice** (`render_notice`) is the exact text that a person reads. An
answer is a `ConsentEvent` that names declaration and notice by their hashes;
`ConsentStore.record` appends it, or refuses it where the law is the basis,
where it goes beyond what was asked, or where a later no stands.

What somebody allows now is `ConsentStore.standing`, or, from events already
at hand, `carried(states(events, now), live, by_digest)`. `states` alone does
not know that a declaration was widened since: never decide by it.

A **receipt** (`issue_receipt`) is one answer, signed, with the wording in it;
`verify_receipt` needs a public key and nothing else.

Terms of shared vocabularies (`BASIS_TERMS`, `is_term`, `iri`) are those of
DPV, and of our own vocabulary for the PIPL (`pipl_vocabulary`) beside it.

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

What is **withheld** (`Draft.withheld`: delayed, or sealed) numbers in a
second chain of which the person sees nothing until its date has passed or
`Ledger.lift` discloses it; `Ledger.review` is the queue.

What must hold: a leaf says nothing; indexes have no gaps; no entry is ever
changed, only made unreadable; nothing is signed that does not continue what
was signed before.
"""

from consent.agreed import Agreed, agreed
from consent.appel import AppelRuleset, Connective, read_appel
from consent.appel_import import AppelImport, import_appel
from consent.checkpoint import Checkpoint
from consent.checkpoint_store import StoredCheckpoint
from consent.commit import Commit, GroupCommit
from consent.compact import (
    CompactPolicy,
    CompactReading,
    Drift,
    compact_of,
    drift,
    load_compact,
    policy_of_compact,
    read_compact,
)
from consent.comparing import (
    Asked,
    Asking,
    Change,
    DeclarationPlan,
    StatementPlan,
    compare,
    difference,
)
from consent.concessions import (
    Concession,
    ConcessionKind,
    acceptable,
    conceded,
    concessions,
)
from consent.cosignatures import CosignatureKey, CosignatureSigner
from consent.declaration_json import read_declaration, write_declaration
from consent.declaration_yaml import load_yaml
from consent.declarations import (
    Controller,
    Declaration,
    ReleaseTerms,
    widening,
)
from consent.each import PreparedForEach
from consent.elements import categories_of, covers
from consent.entries import Appended, Draft, EntryKind
from consent.entry_views import AuditBody, AuditEntry, OwnEntry
from consent.errors import (
    ClockBehind,
    ConsentDamaged,
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
    LogKeyMoved,
    MandateInvalid,
    NoteError,
    NoteMalformed,
    NoticeError,
    NoticeNotServed,
    NoticeUnavailable,
    PreferencesInvalid,
    ReceiptInvalid,
    RecordError,
    RecordInvalid,
    RowForged,
    SeparateConsentNeeded,
    TrustPolicyInvalid,
    UnknownDeclaration,
    UnknownEntry,
    UnknownNotice,
    WitnessStateInvalid,
)
from consent.evidence import Evidence, read_evidence
from consent.explanations import (
    Explanation,
    change_text,
    explain,
    explain_declaration,
)
from consent.fact_parts import RESTRAINTS_PART, Parts
from consent.findings import Finding, Severity
from consent.handling import (
    HandlingDecision,
    HandlingRequest,
    decide_handling,
)
from consent.kantara import issue_kantara_receipt, kantara_receipt
from consent.kept import Kept, KeptEvent, KeptMandate, KeptRules, Owners
from consent.labels import label
from consent.latest import latest_entry, latest_instant
from consent.ledger import Ledger
from consent.ledger_statements import ledger_number
from consent.lifecycle import TRANSITIONS, ConsentRecord, group_records
from consent.mandates import (
    ANYTHING,
    Mandate,
    MandateKind,
    comes_of_age,
    fitting,
)
from consent.many import Answered
from consent.matching import Verdict, match
from consent.notices import Notice, notice_for, render_notice
from consent.odrl import odrl_agreement
from consent.p3p_model import P3PDocument, P3PPolicy, P3PStatement
from consent.p3p_policies import (
    P3PReading,
    load_p3p,
    read_p3p,
    read_p3p_document,
)
from consent.p3p_writing import policy_of, write_p3p
from consent.people import StoredPreferences
from consent.policy_reference import Cookie, PolicyReference, ReferenceFile
from consent.predicates import (
    Predicate,
    PredicateKind,
    example_of,
    predicate_of,
    predicate_sources,
    source_of,
)
from consent.preferences import (
    NO_RULE,
    Behavior,
    Preferences,
    Rule,
    lint,
    read_preferences,
)
from consent.preferences_yaml import load_preferences
from consent.prepared import id_text
from consent.presets import DEFAULT_PRESET, PRESETS, preset_title
from consent.receipts import (
    issue_receipt,
    read_public_key,
    verify_receipt,
)
from consent.records import ConsentEvent, ConsentState, carried, states
from consent.registry_rows import Standing as RegistryStanding
from consent.row_macs import RowMacs
from consent.rule_terms import (
    Hold,
    RuleTerms,
    Terms,
    Uses,
    demands,
    hold_of,
)
from consent.rule_words import rule_text, terms_text
from consent.ruleset_reading import evaluate_ruleset, read_ruleset
from consent.rulesets import Outcome, Ruleset
from consent.separation import check_act, separate_grounds
from consent.serving import Served
from consent.signed_notes import (
    LedgerSigner,
    VerifierKey,
    open_note,
    parse_signature_line,
    sign_note,
)
from consent.site_p3p import (
    POLICIES_PATH,
    REFERENCE_PATH,
    SiteAddresses,
    p3p_header,
    policy_name,
    site_policies,
    site_references,
)
from consent.statements import (
    UNNAMED,
    DataItem,
    Statement,
    StatementPurpose,
    Tuple,
)
from consent.store import ConsentStore, Told
from consent.tables import ConsentTable
from consent.terms import (
    BASIS_TERMS,
    PREFIXES,
    PURPOSE_TERMS,
    SENSITIVE_TERMS,
    SEPARATE_CONSENT,
    iri,
    is_term,
    known_terms,
    pipl_concepts,
    pipl_vocabulary,
    sensitive_terms,
)
from consent.tile_paths import TilePath, tiles_of
from consent.tlog_policy import (
    KnownWitness,
    TrustPolicy,
    read_trust_policy,
)
from consent.usage_receipts import issue_usage_receipt
from consent.verifier import main as run_verifier
from consent.visibility import Visibility, Withheld
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
    SeparateGround,
    at_most,
    beyond,
)
from consent.wideness import given_up
from consent.withheld import Held, YearlyCount
from consent.witness import (
    LARGEST_SUBMISSION,
    Witness,
    submission,
)
from consent.witness_store import (
    WitnessStore,
    create_witness_keys,
    load_witness_keys,
)
from consent.wording import phrase
from consent.xpref import XPrefRuleset, read_xpref

__all__ = [
    "ANYTHING",
    "BASIS_TERMS",
    "DEFAULT_PRESET",
    "LARGEST_SUBMISSION",
    "NO_RULE",
    "POLICIES_PATH",
    "PREFIXES",
    "PRESETS",
    "PURPOSE_TERMS",
    "RECIPIENT_ORDER",
    "REFERENCE_PATH",
    "REQUIRED_ORDER",
    "RESTRAINTS_PART",
    "RETENTION_ORDER",
    "SENSITIVE_TERMS",
    "SEPARATE_CONSENT",
    "TRANSITIONS",
    "UNNAMED",
    "Access",
    "Agreed",
    "Answered",
    "AppelImport",
    "AppelRuleset",
    "Appended",
    "Asked",
    "Asking",
    "AuditBody",
    "AuditEntry",
    "Behavior",
    "Category",
    "Change",
    "Checkpoint",
    "ClockBehind",
    "Commit",
    "CompactPolicy",
    "CompactReading",
    "Concession",
    "ConcessionKind",
    "Connective",
    "ConsentDamaged",
    "ConsentError",
    "ConsentEvent",
    "ConsentNotAsked",
    "ConsentRecord",
    "ConsentState",
    "ConsentStore",
    "ConsentTable",
    "Controller",
    "Cookie",
    "CosignatureKey",
    "CosignatureSigner",
    "DataItem",
    "Declaration",
    "DeclarationError",
    "DeclarationFrozen",
    "DeclarationInvalid",
    "DeclarationPlan",
    "Draft",
    "DraftInvalid",
    "Drift",
    "EntryKind",
    "EntryUnreadable",
    "EventType",
    "Evidence",
    "Explanation",
    "Finding",
    "GroupCommit",
    "HandlingDecision",
    "HandlingRequest",
    "Held",
    "Hold",
    "Kept",
    "KeptEvent",
    "KeptMandate",
    "KeptRules",
    "KnownWitness",
    "Language",
    "Ledger",
    "LedgerBusy",
    "LedgerError",
    "LedgerInconsistent",
    "LedgerSigner",
    "LedgerUnavailable",
    "LegalBasis",
    "LogKeyMoved",
    "Mandate",
    "MandateInvalid",
    "MandateKind",
    "NoteError",
    "NoteMalformed",
    "Notice",
    "NoticeError",
    "NoticeNotServed",
    "NoticeUnavailable",
    "Outcome",
    "OwnEntry",
    "Owners",
    "P3PDocument",
    "P3PPolicy",
    "P3PReading",
    "P3PStatement",
    "Parts",
    "PolicyReference",
    "Predicate",
    "PredicateKind",
    "Preferences",
    "PreferencesInvalid",
    "PreparedForEach",
    "Purpose",
    "ReceiptInvalid",
    "RecipientClass",
    "RecordError",
    "RecordInvalid",
    "ReferenceFile",
    "RegistryStanding",
    "ReleaseTerms",
    "Required",
    "Retention",
    "RowForged",
    "RowMacs",
    "Rule",
    "RuleTerms",
    "Ruleset",
    "SeparateConsentNeeded",
    "SeparateGround",
    "Served",
    "Severity",
    "SiteAddresses",
    "Statement",
    "StatementPlan",
    "StatementPurpose",
    "StoredCheckpoint",
    "StoredPreferences",
    "Terms",
    "TilePath",
    "Told",
    "TrustPolicy",
    "TrustPolicyInvalid",
    "Tuple",
    "UnknownDeclaration",
    "UnknownEntry",
    "UnknownNotice",
    "Uses",
    "Verdict",
    "VerifierKey",
    "Visibility",
    "Withheld",
    "Witness",
    "WitnessStateInvalid",
    "WitnessStore",
    "XPrefRuleset",
    "YearlyCount",
    "acceptable",
    "agreed",
    "at_most",
    "beyond",
    "carried",
    "categories_of",
    "change_text",
    "check_act",
    "comes_of_age",
    "compact_of",
    "compare",
    "conceded",
    "concessions",
    "covers",
    "create_witness_keys",
    "decide_handling",
    "demands",
    "difference",
    "drift",
    "evaluate_ruleset",
    "example_of",
    "explain",
    "explain_declaration",
    "fitting",
    "given_up",
    "group_records",
    "hold_of",
    "id_text",
    "import_appel",
    "iri",
    "is_term",
    "issue_kantara_receipt",
    "issue_receipt",
    "issue_usage_receipt",
    "kantara_receipt",
    "known_terms",
    "label",
    "latest_entry",
    "latest_instant",
    "ledger_number",
    "lint",
    "load_compact",
    "load_p3p",
    "load_preferences",
    "load_witness_keys",
    "load_yaml",
    "match",
    "notice_for",
    "odrl_agreement",
    "open_note",
    "p3p_header",
    "parse_signature_line",
    "phrase",
    "pipl_concepts",
    "pipl_vocabulary",
    "policy_name",
    "policy_of",
    "policy_of_compact",
    "predicate_of",
    "predicate_sources",
    "preset_title",
    "read_appel",
    "read_compact",
    "read_declaration",
    "read_evidence",
    "read_p3p",
    "read_p3p_document",
    "read_preferences",
    "read_public_key",
    "read_ruleset",
    "read_trust_policy",
    "read_xpref",
    "render_notice",
    "rule_text",
    "run_verifier",
    "sensitive_terms",
    "separate_grounds",
    "sign_note",
    "site_policies",
    "site_references",
    "source_of",
    "states",
    "submission",
    "terms_text",
    "tiles_of",
    "verify_receipt",
    "widening",
    "write_declaration",
    "write_p3p",
]
