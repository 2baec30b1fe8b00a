"""The platform: every collaborator, built once, frozen.

`api.bootstrap` builds it. Doors (HTTP, pages, command line) take it as an
argument and reach nothing else.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from dataclasses import dataclass

from sqlalchemy import Engine

from api.secrets import Secrets
from api.settings import Settings
from api.tokens import Tokens
from consent import ConsentStore, GroupCommit, Ledger, RowMacs
from policy import (
    AskDesk,
    AssistDesk,
    BatchGate,
    BundleStore,
    Classification,
    ConsentDesk,
    ConsentHistory,
    CredentialDesk,
    CredentialSweep,
    DecisionDesk,
    DeclarationDesk,
    Eraser,
    FactSweep,
    Gate,
    GlassDesk,
    GlassSweep,
    HoldDesk,
    ImpactDesk,
    Judge,
    KeyDesk,
    NumberDesk,
    PersonDoor,
    PolicyDecisionPoint,
    PolicyDesk,
    ProposalSweep,
    Reader,
    ReasonTable,
    RecordDesk,
    RegistrarDoor,
    Registry,
    ReleaseDesk,
    Replay,
    Retention,
    Rounds,
    VisibilityDesk,
    Vouching,
    WebhookDesk,
    WhatIf,
)
from vault import ErasureJournal, Transactions, Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One instance of Curtilage."""

    version: str
    settings: Settings
    data: Engine
    keys: Engine
    transactions: Transactions
    vault: Vault
    consents: ConsentStore
    macs: RowMacs
    ledger: Ledger
    ledger_vkey: str
    ledger_vkeys: tuple[str, ...]
    commits: GroupCommit
    pdp: PolicyDecisionPoint
    gate: Gate
    batch: BatchGate
    rounds: Rounds
    judge: Judge
    asking: AskDesk
    policies: PolicyDesk
    bundles: BundleStore
    person: PersonDoor
    consent_desk: ConsentDesk
    assist: AssistDesk
    history: ConsentHistory
    what_if: WhatIf
    registrar: RegistrarDoor
    declarations: DeclarationDesk
    visibility: VisibilityDesk
    glass: GlassDesk
    webhooks: WebhookDesk
    records: RecordDesk
    releases: ReleaseDesk
    numbers: NumberDesk
    keys_desk: KeyDesk
    replay: Replay
    decision_desk: DecisionDesk
    impact: ImpactDesk
    eraser: Eraser
    holds: HoldDesk
    retention: Retention
    journal: ErasureJournal
    past_ledgers: tuple[Ledger, ...]
    fact_sweep: Callable[[], FactSweep]
    vouching: Vouching
    registry: Registry
    credentials: CredentialDesk
    credential_sweep: CredentialSweep
    proposal_sweep: ProposalSweep
    glass_sweep: GlassSweep
    tokens: Tokens
    reader: Reader
    reasons: ReasonTable
    classification: Mapping[str, Classification]
    secrets: Secrets
    clock: Callable[[], int]
    random: Callable[[int], bytes]

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the commit queue and the engine open; drain on the way out."""
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.commits.drain)
            self.commits.start()
            if isinstance(self.pdp, AbstractAsyncContextManager):
                await stack.enter_async_context(self.pdp)
            yield

    def close(self) -> None:
        """Let the databases go; call once nothing runs any more."""
        self.commits.close()
        self.vault.close()
        self.reader.close()
        self.data.dispose()
        self.keys.dispose()
