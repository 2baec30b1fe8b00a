"""The gate: the only package that holds vault, consent and anonymize.

One order stands here and nowhere else: decide, record, open.

- `Gate.disclose` answers a service; `PersonDoor` and `RegistrarDoor` serve
  the person and the officers; `ReleaseDesk` hands extracts to analytics.
- `FactSource` gathers facts; `EmbeddedPdp` and `OpaPdp` decide on them, by
  one set of policies run in two ways. Anything odd is `NoDecision`.
- `DecisionStore` and `Replay` answer for a decision years later.

Facts are computed in Python, decisions are made in Rego.
"""

from policy.authority import Action, Caller, CallerKind
from policy.bundle import Bundle, load_bundle
from policy.classification import (
    Classification,
    Role,
    standard_classification,
)
from policy.compiling import build_bundle
from policy.decisions import (
    AccessRequest,
    AttributeDecision,
    ById,
    ByIdentifier,
    Decision,
    Disclosed,
    Disclosure,
    Effect,
    Obligation,
    Reason,
    SubjectRef,
)
from policy.embedded import EmbeddedPdp
from policy.engine.errors import EngineError
from policy.errors import (
    CredentialRefused,
    FactsChanged,
    NotPermitted,
    PersonUnknown,
    PolicyError,
    RecordUnknown,
    ReleaseRefused,
    ReplayImpossible,
    RequestInvalid,
    UnknownAttributes,
)
from policy.facts import FactSource
from policy.gate import Gate, Shown
from policy.opa import OpaPdp
from policy.pdp import (
    BundleInvalid,
    Cause,
    CompileFailed,
    NoDecision,
    PolicyDecisionPoint,
)
from policy.person import Answer, PersonDoor
from policy.reading import Reader
from policy.registrar import Admitted, Form, RegistrarDoor
from policy.registry import Credential, Registry
from policy.release import ReleaseDesk, ReleaseRequest, Taken
from policy.replay import Replay, Replayed
from policy.restraints import RestraintKind, Restraints, RestraintStore
from policy.store import DecisionStore
from policy.tables import METADATA
from policy.vocabulary import ReasonTable, Side, load_reasons, reasons_file

__all__ = [
    "METADATA",
    "AccessRequest",
    "Action",
    "Admitted",
    "Answer",
    "AttributeDecision",
    "Bundle",
    "BundleInvalid",
    "ById",
    "ByIdentifier",
    "Caller",
    "CallerKind",
    "Cause",
    "Classification",
    "CompileFailed",
    "Credential",
    "CredentialRefused",
    "Decision",
    "DecisionStore",
    "Disclosed",
    "Disclosure",
    "Effect",
    "EmbeddedPdp",
    "EngineError",
    "FactSource",
    "FactsChanged",
    "Form",
    "Gate",
    "NoDecision",
    "NotPermitted",
    "Obligation",
    "OpaPdp",
    "PersonDoor",
    "PersonUnknown",
    "PolicyDecisionPoint",
    "PolicyError",
    "Reader",
    "Reason",
    "ReasonTable",
    "RecordUnknown",
    "RegistrarDoor",
    "Registry",
    "ReleaseDesk",
    "ReleaseRefused",
    "ReleaseRequest",
    "Replay",
    "ReplayImpossible",
    "Replayed",
    "RequestInvalid",
    "RestraintKind",
    "RestraintStore",
    "Restraints",
    "Role",
    "Shown",
    "Side",
    "SubjectRef",
    "Taken",
    "UnknownAttributes",
    "build_bundle",
    "load_bundle",
    "load_reasons",
    "reasons_file",
    "standard_classification",
]
