"""The gate: the only package that holds vault, consent and anonymize.

One order stands here and nowhere else: decide, record, open.

- `Gate.disclose` answers a service, `BatchGate` about many people at once;
  `PersonDoor` and `RegistrarDoor` serve
  the person and the officers; `ReleaseDesk` hands extracts to analytics.
- `FactSource` gathers facts; `EmbeddedPdp` and `OpaPdp` decide on them, by
  one set of policies run in two ways. Anything odd is `NoDecision`.
- `GlassDesk` opens in an emergency, for a short time and never unseen.
- `DecisionStore` and `Replay` answer for a decision years later.
- `Outbox` takes down what ended, in the transaction that ends it; `Telling`
  finds who holds the data; `WebhookDesk` has them told, and hears the answer
  (`WEBHOOKS.md`).

Facts are computed in Python, decisions are made in Rego.
"""

from policy.answering import Answer, ConsentDesk
from policy.articles import (
    LegalPackage,
    LegalRule,
    legal_packages,
    without_article,
)
from policy.asking import AskDesk, Submission
from policy.assisting import AssistDesk, Place, WrittenDown
from policy.authority import Action, Caller, CallerKind
from policy.batch import MOST_PEOPLE, BatchGate
from policy.budgets import Spent
from policy.bundle import (
    Bundle,
    bundle_files,
    load_bundle,
    policies_folder,
)
from policy.bundle_store import (
    NONE,
    OURS,
    BundleState,
    BundleStore,
    Flip,
    Live,
    ProposedBundle,
)
from policy.classification import (
    Classification,
    Role,
    standard_classification,
)
from policy.compiling import (
    SIGNING,
    SigningKey,
    build_bundle,
    build_server_bundle,
)
from policy.consent_history import AsOf, ConsentHistory
from policy.consent_requests import (
    Approval,
    ConsentRequests,
    ConsentTask,
    TaskStatus,
)
from policy.consent_writer import ConsentWriter
from policy.counterfactual import Counterfactual
from policy.credential_desk import CredentialDesk
from policy.credential_sweep import (
    CredentialFault,
    CredentialFinding,
    CredentialSweep,
)
from policy.decision_desk import DecisionDesk, ExplainedDecision, PastDecision
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    ById,
    ByIdentifier,
    Decision,
    Disclosed,
    Disclosure,
    Effect,
    Guidance,
    Minimum,
    Obligation,
    Reason,
    SubjectRef,
)
from policy.deliveries import (
    Deliveries,
    Delivery,
    Done,
    Standing,
    Told,
)
from policy.embedded import EmbeddedPdp
from policy.endpoints import (
    OVERLAP_SECONDS,
    Endpoint,
    Endpoints,
    Scheme,
    SigningSecret,
)
from policy.engine.errors import EngineError
from policy.erasing import Eraser, Erasure, ReplayedErasures
from policy.errors import (
    AskedTooOften,
    CredentialRefused,
    DuplicateRequest,
    ErasureWaits,
    FactsChanged,
    NotPermitted,
    NotRequestable,
    PersonUnknown,
    PolicyError,
    RecordUnknown,
    ReleaseRefused,
    ReplayImpossible,
    RequestInvalid,
    RestraintDamaged,
    TaskExpired,
    TaskSettled,
    TaskUnknown,
    UnknownAttributes,
)
from policy.evidence import EpochWitness
from policy.fact_rows import FactKind
from policy.fact_sweep import FactFault, FactFinding, FactSweep
from policy.facts import FactSource
from policy.gate import MOST_ATTRIBUTES, Gate, Shown
from policy.glass import GlassDesk, ListedGlass, ShownGlass
from policy.glass_question import Emergency
from policy.glass_store import (
    Alert,
    AlertKind,
    Glass,
    GlassState,
    GlassStore,
)
from policy.glass_sweep import GlassFinding, GlassRowKind, GlassSweep
from policy.guidance import Guide
from policy.happenings import HappeningKind, Outbox
from policy.holding import HoldDesk, ListedHold
from policy.impact import Candidate, Change, Impact, ImpactStudy
from policy.impact_desk import ImpactDesk
from policy.impact_guard import Guard
from policy.impact_months import MonthTables
from policy.impact_scan import ScanFile, Scanner
from policy.judging import Judge, Judged, Judgement
from policy.key_desk import KEPT, KeyDesk
from policy.live import LivePdp
from policy.numbers import NumberDesk, NumberRequest
from policy.opa import OpaPdp
from policy.opa_failover import FailoverPdp
from policy.pdp import (
    BundleInvalid,
    Cause,
    CompileFailed,
    ConfirmedRevision,
    NoDecision,
    PolicyDecisionPoint,
    Ruling,
)
from policy.person import PersonDoor
from policy.policy_desk import PolicyDesk
from policy.predicates import WithPredicates, body_zone
from policy.proposal_sweep import (
    ProposalFault,
    ProposalFinding,
    ProposalSweep,
)
from policy.proposals import DeclarationDesk, Proposal, ProposalState
from policy.reading import Reader
from policy.records import FoundPeople, RecordDesk, Sought
from policy.registrar import Admitted, Form, RegistrarDoor
from policy.registry import Credential, Issued, Registry
from policy.release import ReleaseDesk, ReleaseRequest, Taken
from policy.released import OwnRelease, ReleasedStore
from policy.replay import Replay, Replayed
from policy.restraints import (
    RestraintKind,
    Restraints,
    RestraintStore,
    Signal,
)
from policy.retention import Due, Retention
from policy.rounds import Rounds
from policy.settled import ProposalKind
from policy.store import DecisionStore
from policy.supposing import Change as Supposition
from policy.supposing import ChangeKind
from policy.tables import METADATA
from policy.telling import Telling
from policy.tracing import Trace, explained, trace_decision
from policy.visibility import (
    VisibilityDesk,
    VisibilityRule,
    VisibilityRules,
    visibility_rows,
)
from policy.vocabulary import ReasonTable, Side, load_reasons, reasons_file
from policy.vouching import Registered, Vouching
from policy.webhook_desk import Outgoing, WebhookDesk, asks_to
from policy.what_if import Hypothesis, Outlook, Sight, WhatIf

__all__ = [
    "KEPT",
    "METADATA",
    "MOST_ATTRIBUTES",
    "MOST_PEOPLE",
    "NONE",
    "OURS",
    "OVERLAP_SECONDS",
    "SIGNING",
    "AccessRequest",
    "Action",
    "Admitted",
    "Alert",
    "AlertKind",
    "Answer",
    "Approval",
    "AsOf",
    "AskDesk",
    "AskedTooOften",
    "AssistDesk",
    "AttributeDecision",
    "BatchGate",
    "Bundle",
    "BundleInvalid",
    "BundleState",
    "BundleStore",
    "ById",
    "ByIdentifier",
    "Caller",
    "CallerKind",
    "Candidate",
    "Cause",
    "Change",
    "ChangeKind",
    "Classification",
    "CompileFailed",
    "ConfirmedRevision",
    "ConsentDesk",
    "ConsentHistory",
    "ConsentRequests",
    "ConsentTask",
    "ConsentWriter",
    "Counterfactual",
    "Credential",
    "CredentialDesk",
    "CredentialFault",
    "CredentialFinding",
    "CredentialRefused",
    "CredentialSweep",
    "Decision",
    "DecisionDesk",
    "DecisionStore",
    "DeclarationDesk",
    "Deliveries",
    "Delivery",
    "Disclosed",
    "Disclosure",
    "Done",
    "Due",
    "DuplicateRequest",
    "Effect",
    "EmbeddedPdp",
    "Emergency",
    "Endpoint",
    "Endpoints",
    "EngineError",
    "EpochWitness",
    "Eraser",
    "Erasure",
    "ErasureWaits",
    "ExplainedDecision",
    "FactFault",
    "FactFinding",
    "FactKind",
    "FactSource",
    "FactSweep",
    "FactsChanged",
    "FailoverPdp",
    "Flip",
    "Form",
    "FoundPeople",
    "Gate",
    "Glass",
    "GlassDesk",
    "GlassFinding",
    "GlassRowKind",
    "GlassState",
    "GlassStore",
    "GlassSweep",
    "Guard",
    "Guidance",
    "Guide",
    "HappeningKind",
    "HoldDesk",
    "Hypothesis",
    "Impact",
    "ImpactDesk",
    "ImpactStudy",
    "Issued",
    "Judge",
    "Judged",
    "Judgement",
    "KeyDesk",
    "LegalPackage",
    "LegalRule",
    "ListedGlass",
    "ListedHold",
    "Live",
    "LivePdp",
    "Minimum",
    "MonthTables",
    "NoDecision",
    "NotPermitted",
    "NotRequestable",
    "NumberDesk",
    "NumberRequest",
    "Obligation",
    "OpaPdp",
    "Outbox",
    "Outgoing",
    "Outlook",
    "OwnRelease",
    "PastDecision",
    "PersonDoor",
    "PersonUnknown",
    "Place",
    "PolicyDecisionPoint",
    "PolicyDesk",
    "PolicyError",
    "Proposal",
    "ProposalFault",
    "ProposalFinding",
    "ProposalKind",
    "ProposalState",
    "ProposalSweep",
    "ProposedBundle",
    "Reader",
    "Reason",
    "ReasonTable",
    "RecordDesk",
    "RecordUnknown",
    "Registered",
    "RegistrarDoor",
    "Registry",
    "ReleaseDesk",
    "ReleaseRefused",
    "ReleaseRequest",
    "ReleasedStore",
    "Replay",
    "ReplayImpossible",
    "Replayed",
    "ReplayedErasures",
    "RequestInvalid",
    "RestraintDamaged",
    "RestraintKind",
    "RestraintStore",
    "Restraints",
    "Retention",
    "Role",
    "Rounds",
    "Ruling",
    "ScanFile",
    "Scanner",
    "Scheme",
    "Shown",
    "ShownGlass",
    "Side",
    "Sight",
    "Signal",
    "SigningKey",
    "SigningSecret",
    "Sought",
    "Spent",
    "Standing",
    "SubjectRef",
    "Submission",
    "Supposition",
    "Taken",
    "TaskExpired",
    "TaskSettled",
    "TaskStatus",
    "TaskUnknown",
    "Telling",
    "Told",
    "Trace",
    "UnknownAttributes",
    "VisibilityDesk",
    "VisibilityRule",
    "VisibilityRules",
    "Vouching",
    "WebhookDesk",
    "WhatIf",
    "WithPredicates",
    "WrittenDown",
    "asks_to",
    "body_zone",
    "build_bundle",
    "build_server_bundle",
    "bundle_files",
    "explained",
    "legal_packages",
    "load_bundle",
    "load_reasons",
    "policies_folder",
    "reasons_file",
    "standard_classification",
    "trace_decision",
    "visibility_rows",
    "without_article",
]
