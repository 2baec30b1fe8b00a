"""Custody of ciphertext: personal data under one key a person.

The vault keeps attribute values sealed under a data-encryption key (DEK) of
their person; DEKs are wrapped by the tenant's key-encryption keys (KEKs) in a
database of their own; KEKs live in a `KeyProvider` outside both. It knows a
subject id and an attribute name, and never why somebody asks: who may read
what is decided elsewhere, and arrives as a `ReadGrant`.

In use::

    provider = FileKeyProvider(folder, passphrase)
    keys = KeyStore(engine=keys_engine, provider=provider, tenant=tenant,
                    clock=clock, random=os.urandom)
    vault = Vault(tenant=tenant, data=data_engine, keys=keys,
                  catalogue=standard_catalogue(), clock=clock,
                  random=os.urandom)
    vault.initialise()                      # first KEK, index root, decoy
    vault.recover()                         # at every start

    person = vault.enrol()
    with data_engine.begin() as conn:
        vault.put(conn, person, {"user.name.given": "Ada"}, source="desk")
    holding = vault.holding(person)         # ciphertext only
    values = vault.read(grant, holding)     # opens what the grant names

Promises, each with a test: a ciphertext moved to another person, attribute,
version or tenant does not open; a row dropped, added or rolled back alone is
noticed at the next read; no value, source or time of recording is in the
databases in the clear; an unknown or erased person takes the decoy's way
with the same queries; after an erasure the key is overwritten, the rows are
gone, and the id is never enrolled again.

Not promised: a record rolled back as a whole, together with its state, is
noticed only by `Vault.verify` with a witness of the epochs that `Vault.put`
returned; a rollback of the whole machine not at all. Opened values are
Python strings, whose copies nobody can zero.

The bytes are specified in ``vault/FORMAT.md``. Tables are created by
``KEYS_METADATA`` (keys database) and ``DATA_METADATA`` (data database).
"""

from vault.catalogue import (
    Attribute,
    Catalogue,
    standard_catalogue,
    validate,
)
from vault.custodians import Custodian, CustodyProvider
from vault.custody import Custody
from vault.disputes import Dispute, DisputeOutcome, DisputeState
from vault.epochs import Epoch
from vault.errors import (
    AdoptionRefused,
    CryptoFailure,
    DuplicateIdentifier,
    GrantRefused,
    HoldRefused,
    ImportRefused,
    IndexRefused,
    InvalidValue,
    JournalDamaged,
    JournalUnavailable,
    KeyJobRuns,
    KeyUnavailable,
    MappingInvalid,
    MergedSubject,
    NotIndexed,
    NotInitialised,
    StatesAltered,
    StatesUnsealed,
    SubjectHeld,
    UnknownAttribute,
    UnknownDispute,
    UnknownSubject,
    VaultError,
)
from vault.grants import (
    Confidence,
    ErasureReport,
    Finding,
    FindingKind,
    HistoricValue,
    Holding,
    ReadGrant,
)
from vault.holds import Hold, Holds, reason_label
from vault.importing import ImportReport, import_csv
from vault.job_lock import JobLock
from vault.journal import (
    Anchor,
    ErasureJournal,
    JournaledErasure,
    Position,
)
from vault.keystore import KeyStore
from vault.mapping import ImportMapping, load_mapping
from vault.notes import NoteBox
from vault.providers import Argon2Cost, FileKeyProvider, KeyProvider
from vault.providers_aws import AwsKmsCustodian
from vault.providers_pkcs11 import Pkcs11Custodian
from vault.providers_transit import TransitCustodian
from vault.rekeying import Rekeyed
from vault.retention import RetentionDays
from vault.roll import Roll
from vault.sealed_keks import KekRows
from vault.tables import DATA_METADATA, KEYS_METADATA, DekState, KekState
from vault.transactions import Transactions
from vault.values import Kind
from vault.vault import Vault

__all__ = [
    "DATA_METADATA",
    "KEYS_METADATA",
    "AdoptionRefused",
    "Anchor",
    "Argon2Cost",
    "Attribute",
    "AwsKmsCustodian",
    "Catalogue",
    "Confidence",
    "CryptoFailure",
    "Custodian",
    "Custody",
    "CustodyProvider",
    "DekState",
    "Dispute",
    "DisputeOutcome",
    "DisputeState",
    "DuplicateIdentifier",
    "Epoch",
    "ErasureJournal",
    "ErasureReport",
    "FileKeyProvider",
    "Finding",
    "FindingKind",
    "GrantRefused",
    "HistoricValue",
    "Hold",
    "HoldRefused",
    "Holding",
    "Holds",
    "ImportMapping",
    "ImportRefused",
    "ImportReport",
    "IndexRefused",
    "InvalidValue",
    "JobLock",
    "JournalDamaged",
    "JournalUnavailable",
    "JournaledErasure",
    "KekRows",
    "KekState",
    "KeyJobRuns",
    "KeyProvider",
    "KeyStore",
    "KeyUnavailable",
    "Kind",
    "MappingInvalid",
    "MergedSubject",
    "NotIndexed",
    "NotInitialised",
    "NoteBox",
    "Pkcs11Custodian",
    "Position",
    "ReadGrant",
    "Rekeyed",
    "RetentionDays",
    "Roll",
    "StatesAltered",
    "StatesUnsealed",
    "SubjectHeld",
    "Transactions",
    "TransitCustodian",
    "UnknownAttribute",
    "UnknownDispute",
    "UnknownSubject",
    "Vault",
    "VaultError",
    "import_csv",
    "load_mapping",
    "reason_label",
    "standard_catalogue",
    "validate",
]
