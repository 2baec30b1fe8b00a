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
from consent import ConsentStore, GroupCommit, Ledger
from policy import (
    Classification,
    Gate,
    PersonDoor,
    PolicyDecisionPoint,
    Reader,
    ReasonTable,
    RegistrarDoor,
    Registry,
    ReleaseDesk,
    Replay,
)
from vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """One instance of Curtilage."""

    version: str
    settings: Settings
    data: Engine
    keys: Engine
    vault: Vault
    consents: ConsentStore
    ledger: Ledger
    ledger_vkey: str
    commits: GroupCommit
    pdp: PolicyDecisionPoint
    gate: Gate
    person: PersonDoor
    registrar: RegistrarDoor
    releases: ReleaseDesk
    replay: Replay
    registry: Registry
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
            if isinstance(self.pdp, AbstractAsyncContextManager):
                await stack.enter_async_context(self.pdp)
            yield

    def close(self) -> None:
        """Let the databases go; call once nothing runs any more."""
        self.data.dispose()
        self.keys.dispose()
