"""The composition root: settings in, one frozen `Platform` out.

Called by the entry points and by tests, with overrides, and by nothing
else. It refuses missing or default keys, brings the databases to the newest
revision, finishes what a crash interrupted, and checks that the engine runs
the expected bundle.
"""

import os
import time
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from sqlalchemy import Engine
from sqlalchemy.engine import make_url

from api.databases import open_database
from api.migrations import Chain, upgrade
from api.platform import Platform
from api.secrets import Costs, Secrets, create_secrets, load_secrets
from api.settings import EngineChoice, Settings
from api.tokens import Tokens
from consent import ConsentStore, GroupCommit, Ledger, LedgerSigner
from policy import (
    DecisionStore,
    EmbeddedPdp,
    FactSource,
    Gate,
    OpaPdp,
    PersonDoor,
    PolicyDecisionPoint,
    Reader,
    RegistrarDoor,
    Registry,
    ReleaseDesk,
    Replay,
    RestraintStore,
    load_bundle,
    load_reasons,
    reasons_file,
    standard_classification,
)
from vault import (
    Argon2Cost,
    FileKeyProvider,
    KeyStore,
    Vault,
    standard_catalogue,
)

Clock = Callable[[], int]
Random = Callable[[int], bytes]


def wall_clock() -> int:
    """POSIX seconds, now."""
    return int(time.time())


def installed_version() -> str:
    """The version of the installed package."""
    try:
        return version("curtilage")
    except PackageNotFoundError:
        return "0+source"


def initialise(
    settings: Settings,
    *,
    clock: Clock = wall_clock,
    random: Random = os.urandom,
    costs: Costs | None = None,
) -> None:
    """Make the folders, secrets, keys and tables of a new instance.

    Raises:
        FileExistsError: the instance has secrets already.
        ValueError: the passphrase is missing or a default.

    """
    passphrase = settings.opened_passphrase()
    for url in (settings.data, settings.keys):
        _make_folder(url)
    settings.kek_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    create_secrets(
        settings.secrets_path,
        passphrase,
        random=random,
        costs=costs or Costs(),
    )
    data, keys = _open_databases(settings)
    _vault(settings, data, keys, passphrase, clock, random, costs).initialise()
    data.dispose()
    keys.dispose()


def bootstrap(
    settings: Settings,
    *,
    clock: Clock = wall_clock,
    random: Random = os.urandom,
    pdp: PolicyDecisionPoint | None = None,
    costs: Costs | None = None,
) -> Platform:
    """Build the platform of an initialised instance.

    Args:
        settings: read once, by the caller.
        clock: POSIX seconds; every instant in the platform is its.
        random: like ``os.urandom``; every id, nonce and salt is its.
        pdp: what decides, instead of what the settings name.
        costs: of the passphrase, where tests want cheap ones.

    Raises:
        SecretsUnreadableError: no instance here, or another passphrase.
        UnsafeDatabaseError: a commit could be lost.

    """
    passphrase = settings.opened_passphrase()
    secrets = load_secrets(settings.secrets_path, passphrase)
    data, keys = _open_databases(settings)
    vault = _vault(settings, data, keys, passphrase, clock, random, costs)
    vault.recover()
    return _assemble(
        settings=settings,
        secrets=secrets,
        data=data,
        keys=keys,
        vault=vault,
        pdp=pdp or _pdp(settings),
        clock=clock,
        random=random,
    )


def _assemble(
    *,
    settings: Settings,
    secrets: Secrets,
    data: Engine,
    keys: Engine,
    vault: Vault,
    pdp: PolicyDecisionPoint,
    clock: Clock,
    random: Random,
) -> Platform:
    tenant = settings.tenant
    signer = LedgerSigner(name=settings.origin, key=secrets.ledger)
    ledger = Ledger(
        engine=data,
        origin=settings.origin,
        signer=signer,
        audit_key=secrets.audit,
        mark_key=secrets.mark,
        clock=clock,
        random=random,
    )
    consents = ConsentStore(data, tenant)
    commits = GroupCommit(ledger)
    reader = Reader(data)
    classification = standard_classification()
    restraints = RestraintStore(tenant=tenant, engine=data, random=random)
    decisions = DecisionStore(tenant=tenant, engine=data)
    reasons = load_reasons(reasons_file())
    facts = FactSource(
        vault=vault,
        consents=consents,
        restraints=restraints,
        classification=classification,
    )
    gate = Gate(
        tenant=tenant,
        vault=vault,
        consents=consents,
        facts=facts,
        pdp=pdp,
        commits=commits,
        decisions=decisions,
        classification=classification,
        reasons=reasons,
        reader=reader,
        clock=clock,
        random=random,
    )
    registry = Registry(tenant=tenant, engine=data, clock=clock, random=random)
    return Platform(
        version=installed_version(),
        settings=settings,
        data=data,
        keys=keys,
        vault=vault,
        consents=consents,
        ledger=ledger,
        ledger_vkey=str(signer.verifier),
        commits=commits,
        pdp=pdp,
        gate=gate,
        person=PersonDoor(
            gate=gate,
            vault=vault,
            consents=consents,
            restraints=restraints,
            ledger=ledger,
            commits=commits,
            pdp=pdp,
            reader=reader,
            clock=clock,
        ),
        registrar=RegistrarDoor(
            engine=data,
            gate=gate,
            vault=vault,
            consents=consents,
            restraints=restraints,
            decisions=decisions,
            ledger=ledger,
            pdp=pdp,
            reader=reader,
            clock=clock,
            random=random,
        ),
        releases=ReleaseDesk(
            tenant=tenant,
            engine=data,
            vault=vault,
            consents=consents,
            facts=facts,
            ledger=ledger,
            pdp=pdp,
            classification=classification,
            pseudonym_root=secrets.pseudonym,
            clock=clock,
            random=random,
        ),
        replay=Replay(
            vault=vault,
            consents=consents,
            facts=facts,
            decisions=decisions,
            reader=reader,
        ),
        registry=registry,
        tokens=Tokens(
            key=secrets.token,
            issuer=settings.origin,
            life=settings.token_seconds,
            registry=registry,
            clock=clock,
            random=random,
        ),
        reader=reader,
        reasons=reasons,
        classification=classification,
        secrets=secrets,
        clock=clock,
        random=random,
    )


def _pdp(settings: Settings) -> PolicyDecisionPoint:
    bundle = load_bundle()
    if settings.engine is EngineChoice.OPA:
        return OpaPdp(url=settings.opa_url, revision=bundle.revision)
    return EmbeddedPdp(bundle)


def _open_databases(settings: Settings) -> tuple[Engine, Engine]:
    data = open_database(settings.data)
    keys = open_database(settings.keys)
    upgrade(data, Chain.DATA)
    upgrade(keys, Chain.KEYS)
    return data, keys


def _vault(  # noqa: PLR0917 - what `initialise` and `bootstrap` share
    settings: Settings,
    data: Engine,
    keys: Engine,
    passphrase: bytes,
    clock: Clock,
    random: Random,
    costs: Costs | None,
) -> Vault:
    provider = FileKeyProvider(
        settings.kek_path,
        passphrase,
        cost=None if costs is None else _cost(costs),
        random=random,
    )
    store = KeyStore(
        engine=keys,
        provider=provider,
        tenant=settings.tenant,
        clock=clock,
        random=random,
    )
    return Vault(
        tenant=settings.tenant,
        data=data,
        keys=store,
        catalogue=standard_catalogue(),
        clock=clock,
        random=random,
    )


def _cost(costs: Costs) -> Argon2Cost:
    return Argon2Cost(
        iterations=costs.iterations,
        lanes=costs.lanes,
        memory_kib=costs.memory_kib,
    )


def _make_folder(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(
            parents=True, exist_ok=True, mode=0o700
        )
