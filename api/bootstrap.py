"""The composition root: settings in, one frozen `Platform` out.

Called by the entry points and by tests, with overrides, and by nothing
else. It refuses missing or default keys, brings the databases to the newest
revision, finishes what a crash interrupted, and checks that the engine runs
the expected bundle.
"""

import errno
import os
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import structlog
from sqlalchemy import Connection, Engine
from sqlalchemy.engine import make_url

from api.agreement import (
    demand_erasures,
    demand_ledger,
    demand_origin,
    open_journal,
    past_names,
    refuse_unfinished,
)
from api.anchors import Anchors
from api.clock import SteadyClock, refuse_clock_behind
from api.custody import key_provider
from api.opening import has_rows, open_databases
from api.platform import Platform
from api.secrets import (
    Costs,
    Secrets,
    add_ledger_mldsa,
    create_secrets,
    load_secrets,
)
from api.settings import EngineChoice, Settings
from api.tokens import Tokens
from consent import (
    ConsentEvent,
    ConsentStore,
    CosignatureSigner,
    GroupCommit,
    Ledger,
    LedgerSigner,
    RowMacs,
    TrustPolicy,
    TrustPolicyInvalid,
    read_trust_policy,
)
from policy import (
    AskDesk,
    AssistDesk,
    BatchGate,
    BundleStore,
    ConsentDesk,
    ConsentHistory,
    ConsentRequests,
    ConsentWriter,
    CredentialDesk,
    CredentialSweep,
    DecisionDesk,
    DecisionStore,
    DeclarationDesk,
    Deliveries,
    EmbeddedPdp,
    Endpoints,
    Eraser,
    FactSource,
    FactSweep,
    FailoverPdp,
    Gate,
    GlassDesk,
    GlassStore,
    GlassSweep,
    Guard,
    Guide,
    HoldDesk,
    ImpactDesk,
    ImpactStudy,
    Judge,
    KeyDesk,
    LivePdp,
    MonthTables,
    NumberDesk,
    OpaPdp,
    Outbox,
    PersonDoor,
    PolicyDecisionPoint,
    PolicyDesk,
    ProposalSweep,
    Reader,
    RecordDesk,
    RegistrarDoor,
    Registry,
    ReleaseDesk,
    ReleasedStore,
    Replay,
    RestraintStore,
    Retention,
    Rounds,
    ScanFile,
    Scanner,
    Telling,
    VisibilityDesk,
    VisibilityRules,
    Vouching,
    WebhookDesk,
    WhatIf,
    WithPredicates,
    body_zone,
    load_bundle,
    load_reasons,
    reasons_file,
    standard_classification,
    visibility_rows,
)
from vault import (
    ErasureJournal,
    Holds,
    JobLock,
    KeyStore,
    NoteBox,
    Position,
    RetentionDays,
    Transactions,
    Vault,
    standard_catalogue,
)

Clock = Callable[[], int]
Random = Callable[[int], bytes]
Heard = Callable[[Connection, ConsentEvent, Sequence[ConsentEvent]], None]


# What a new instance vouches for, empty as it is.
_VOUCHED_AT_ONCE = (
    "consent_declaration",
    "policy_visibility",
    "policy_bundle",
)
_TAKEN = (
    "the data database has declarations, rules or policies of this tenant "
    "already: name another database or tenant, and another home"
)


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
        ValueError: the passphrase is missing or a default, or the data
            database has rows of another instance's making; nothing was
            written.
        WrongDatabaseError, DatabaseFaultError, UnsafeDatabaseError: as
            `open_databases`; there are no secrets yet.

    """
    passphrase = settings.opened_passphrase()
    refuse_taken(settings)
    for url in (settings.data, settings.keys):
        _make_folder(url)
    settings.kek_path.mkdir(parents=True, exist_ok=True, mode=0o700)
    # Before there are secrets: what cannot be opened can be put right, and
    # the instance made then.
    data, keys = open_databases(settings, new=True)
    try:
        create_secrets(
            settings.secrets_path,
            passphrase,
            random=random,
            costs=costs or Costs(),
        )
        secrets = load_secrets(settings.secrets_path, passphrase)
        vault = _vault(settings, data, keys, passphrase, clock, random, costs)
        vault.initialise()
        open_journal(
            settings, secrets, vault.custody, clock=clock, random=random
        )
        _begin(settings, secrets, data)
    finally:
        data.dispose()
        keys.dispose()


def refuse_taken(settings: Settings) -> None:
    """Refuse what is an instance's already, before anything is written.

    Raises:
        FileExistsError: the home has secrets.
        ValueError: the data database has rows that a new instance would
            vouch for, and nobody of it wrote.
        WrongDatabaseError, DatabaseFaultError, UnsafeDatabaseError: as
            `open_databases`.

    """
    if settings.secrets_path.exists():
        raise FileExistsError(
            errno.EEXIST,
            os.strerror(errno.EEXIST),
            str(settings.secrets_path),
        )
    if has_rows(settings, _VOUCHED_AT_ONCE):
        raise ValueError(_TAKEN)


def _begin(settings: Settings, secrets: Secrets, data: Engine) -> None:
    """Know, and vouch for it, that nothing stands in a new instance yet."""
    macs = _row_macs(settings, secrets)
    consents = ConsentStore(
        data, settings.tenant, macs=macs, beside=visibility_rows()
    )
    bundles = BundleStore(tenant=settings.tenant, engine=data, macs=macs)
    with data.begin() as conn:
        found = consents.registered(conn)
        # Again, as somebody may have written since.
        if found.declarations or found.beside or bundles.standing(conn):
            raise ValueError(_TAKEN)
        consents.vouch_registry(conn)
        bundles.begin(conn)


def bootstrap(
    settings: Settings,
    *,
    clock: Clock | None = None,
    random: Random = os.urandom,
    pdp: PolicyDecisionPoint | None = None,
    embedded: EmbeddedPdp | None = None,
    costs: Costs | None = None,
    direct: bool = True,
    first: Callable[[Platform], None] = lambda _: None,
    clock_was_ahead: bool = False,
) -> Platform:
    """Build the platform of an initialised instance.

    Args:
        settings: read once, by the caller.
        clock: POSIX seconds; every instant in the platform is its. By
            default the machine's, which never goes back.
        random: like ``os.urandom``; every id, nonce and salt is its.
        pdp: what decides, instead of what the settings name.
        embedded: the embedded engine, where tests want one of more patience
            than an answer may take.
        costs: of the passphrase, where tests want cheap ones.
        direct: whether entries have their index at once on every database;
            one of several workers leaves that to whoever numbers next, but
            on SQLite.
        first: what an officer settles once journal and ledger agree, and
            before the states of the keys are looked at.
        clock_was_ahead: start though the ledger bears a later time than the
            clock; for who says so to the ledger, and for nobody else.

    Raises:
        SecretsUnreadableError: no instance here, or another passphrase.
        UnsafeDatabaseError: a commit could be lost.
        WrongDatabaseError, DatabaseFaultError: as `open_databases`.
        ClockBehindError: the clock was set back.

    """
    refuse_unfinished(settings.home)
    steady = clock or SteadyClock()
    platform = assemble(
        settings,
        clock=steady,
        random=random,
        pdp=pdp,
        embedded=embedded,
        costs=costs,
        direct=direct,
        clock_was_ahead=clock_was_ahead,
    )
    try:
        demand_origin(platform.journal, settings)
        demand_erasures(platform.journal, platform.vault.custody)
        anchors = Anchors(platform.journal, steady)
        demand_ledger(anchors, platform.ledger)
        first(platform)
        platform.keys_desk.recover()
        platform.eraser.recover()
        anchors.settle(settings.origin)
        platform.vault.custody.mark(platform.journal.position)
    except BaseException:
        platform.close()
        raise
    return platform


def assemble(
    settings: Settings,
    *,
    clock: Clock = wall_clock,
    random: Random = os.urandom,
    pdp: PolicyDecisionPoint | None = None,
    embedded: EmbeddedPdp | None = None,
    costs: Costs | None = None,
    direct: bool = True,
    clock_was_ahead: bool = False,
) -> Platform:
    """Build the platform, and demand nothing yet of what is stored.

    For a restore, which brings databases up to the journal; everybody else
    calls `bootstrap`.

    Raises:
        SecretsUnreadableError: no instance here, or another passphrase.
        UnsafeDatabaseError: a commit could be lost.
        WrongDatabaseError, DatabaseFaultError: as `open_databases`.
        ClockBehindError: the clock was set back.
        JournalUnavailable, JournalDamaged: the erasure journal is missing,
            or is not the one that was written.

    """
    passphrase = settings.opened_passphrase()
    secrets = _secrets(settings, passphrase, random)
    past = past_names(settings, secrets, clock)
    data, keys = open_databases(settings, past)
    try:
        if not clock_was_ahead:
            refuse_clock_behind(data, origin=settings.origin, now=clock())
        vault = _vault(settings, data, keys, passphrase, clock, random, costs)
        journal = open_journal(
            settings, secrets, vault.custody, clock=clock, random=random
        )
    except BaseException:
        data.dispose()
        keys.dispose()
        raise
    macs = _row_macs(settings, secrets)
    bundles = BundleStore(tenant=settings.tenant, engine=data, macs=macs)
    return _assemble(
        settings=settings,
        secrets=secrets,
        data=data,
        keys=keys,
        vault=vault,
        journal=journal,
        macs=macs,
        bundles=bundles,
        pdp=pdp or _pdp(settings, bundles, embedded),
        clock=clock,
        random=random,
        direct=direct,
    )


def _assemble(
    *,
    settings: Settings,
    secrets: Secrets,
    data: Engine,
    keys: Engine,
    vault: Vault,
    journal: ErasureJournal,
    macs: RowMacs,
    bundles: BundleStore,
    pdp: PolicyDecisionPoint,
    clock: Clock,
    random: Random,
    direct: bool,
) -> Platform:
    tenant = settings.tenant
    signer = LedgerSigner(name=settings.origin, key=secrets.ledger)
    cosigners = _second_signers(settings.origin, secrets, clock)
    ledger, *past = _ledgers(settings, secrets, data, journal, clock, random)
    outbox = Outbox(tenant=tenant, random=random)
    requests = ConsentRequests(
        tenant=tenant, engine=data, members=vault.members
    )
    consents = ConsentStore(
        data,
        tenant,
        macs=macs,
        heard=_both(outbox.consent_recorded, requests.answered),
        beside=visibility_rows(),
    )
    # SQLite has one writer at a time, whoever it is: numbering later would
    # cost a second transaction, and nobody would wait less.
    one_writer = data.dialect.name == "sqlite"
    commits = GroupCommit(ledger, direct=direct or one_writer)
    reader = Reader(data)
    classification = standard_classification()
    askable = WithPredicates(classification)
    restraints = RestraintStore(
        tenant=tenant,
        engine=data,
        consents=consents,
        random=random,
        heard=outbox.restrained,
    )
    decisions = DecisionStore(tenant=tenant, engine=data)
    glass = GlassStore(tenant=tenant, macs=macs, random=random)
    transactions = Transactions(data, random=random)
    visibility = VisibilityRules(tenant=tenant, consents=consents)
    box = NoteBox(secrets.webhook_key(), random=random)
    deliveries = Deliveries(
        tenant=tenant,
        box=box,
        random=random,
        seconds=settings.webhook_hours * 3600,
    )
    telling = Telling(
        transactions=transactions,
        reader=reader,
        vault=vault,
        consents=consents,
        decisions=decisions,
        visibility=visibility,
        outbox=outbox,
        deliveries=deliveries,
        clock=clock,
        random=random,
    )
    released = ReleasedStore(
        tenant=tenant,
        engine=data,
        key=secrets.pseudonym,
        groups=settings.colluding_groups(),
    )
    counted = ScanFile(
        settings.home / "impact.scan",
        secrets.impact_key(),
        lambda: _newest_erasure(journal),
    )
    eraser = Eraser(
        transactions=transactions,
        vault=vault,
        journal=journal,
        consents=consents,
        restraints=restraints,
        decisions=decisions,
        glass=glass,
        released=released,
        requests=requests,
        ledger=ledger,
        past=past,
        telling=telling,
        counted=counted,
        clock=clock,
        random=random,
    )
    embedded = settings.engine is EngineChoice.EMBEDDED
    guard = Guard(secrets.impact_key())
    reasons = load_reasons(reasons_file())
    facts = FactSource(
        vault=vault,
        consents=consents,
        restraints=restraints,
        classification=askable,
    )
    guide = Guide(pdp=pdp, classification=askable)
    gate = Gate(
        tenant=tenant,
        vault=vault,
        consents=consents,
        facts=facts,
        pdp=pdp,
        commits=commits,
        decisions=decisions,
        classification=askable,
        reasons=reasons,
        reader=reader,
        clock=clock,
        random=random,
        visibility=visibility,
        zone=body_zone(settings.time_zone),
        guide=guide,
    )
    writer = ConsentWriter(
        gate=gate,
        vault=vault,
        consents=consents,
        commits=commits,
        clock=clock,
    )
    consent_desk = ConsentDesk(consents=consents, writer=writer, pdp=pdp)
    holds = HoldDesk(
        transactions=transactions,
        gate=gate,
        vault=vault,
        holds=Holds(engine=keys, tenant=tenant, clock=clock, random=random),
        eraser=eraser,
        consents=consents,
        restraints=restraints,
        ledger=ledger,
        pdp=pdp,
        clock=clock,
        random=random,
    )
    retention = Retention(
        transactions=transactions,
        vault=vault,
        days=RetentionDays(engine=data, tenant=tenant),
        consents=consents,
        ledger=ledger,
        classification=classification,
        clock=clock,
        random=random,
    )
    registry = Registry(
        tenant=tenant,
        engine=data,
        reader=reader,
        macs=macs,
        clock=clock,
        random=random,
    )
    declarations = DeclarationDesk(
        tenant=tenant,
        guide=guide,
        engine=data,
        transactions=transactions,
        consents=consents,
        ledger=ledger,
        past=past,
        macs=macs,
        pdp=pdp,
        clock=clock,
        random=random,
    )
    releases = ReleaseDesk(
        tenant=tenant,
        engine=data,
        transactions=transactions,
        vault=vault,
        consents=consents,
        macs=macs,
        facts=facts,
        ledger=ledger,
        past=past,
        pdp=pdp,
        classification=classification,
        pseudonym_root=secrets.pseudonym,
        released=released,
        clock=clock,
        random=random,
    )
    proposal_sweep = ProposalSweep(
        engine=data,
        bundles=bundles,
        proposals=declarations,
        releases=releases,
        ledgers=(*past, ledger),
        macs=macs,
    )
    glass_sweep = GlassSweep(
        engine=data, store=glass, ledgers=(*past, ledger), macs=macs
    )
    vouching = Vouching(
        transactions=transactions,
        vault=vault,
        consents=consents,
        restraints=restraints,
        registry=registry,
        bundles=bundles,
        proposals=declarations,
        glass=glass,
        releases=releases,
        sweep=proposal_sweep,
        ledger=ledger,
        clock=clock,
        random=random,
    )
    credentials = CredentialDesk(
        transactions=transactions,
        registry=registry,
        ledger=ledger,
        clock=clock,
        random=random,
    )
    policies = PolicyDesk(
        transactions=transactions,
        store=bundles,
        ours=load_bundle(),
        ledger=ledger,
        past=past,
        clock=clock,
        random=random,
    )
    registrar = RegistrarDoor(
        transactions=transactions,
        gate=gate,
        vault=vault,
        consents=consents,
        eraser=eraser,
        holds=holds,
        retention=retention,
        ledger=ledger,
        pdp=pdp,
        reader=reader,
        clock=clock,
    )
    replay = Replay(
        gate=gate,
        vault=vault,
        consents=consents,
        facts=facts,
        decisions=decisions,
        reader=reader,
    )
    batch = BatchGate(
        gate=gate,
        facts=facts,
        consents=consents,
        commits=commits,
        decisions=decisions,
        reader=reader,
        clock=clock,
    )
    asking = AskDesk(
        requests=requests,
        transactions=transactions,
        gate=gate,
        facts=facts,
        vault=vault,
        consents=consents,
        reader=reader,
        days=settings.consent_request_days,
        quiet_days=settings.consent_quiet_days,
        clock=clock,
    )
    return Platform(
        version=installed_version(),
        settings=settings,
        data=data,
        keys=keys,
        transactions=transactions,
        vault=vault,
        consents=consents,
        macs=macs,
        ledger=ledger,
        ledger_vkey=str(signer.verifier),
        ledger_vkeys=tuple(
            str(each)
            for each in (
                signer.verifier,
                *(one.verifier for one in cosigners),
            )
        ),
        commits=commits,
        pdp=pdp,
        gate=gate,
        batch=batch,
        rounds=Rounds(
            gate=gate,
            batch=batch,
            under_way=2 if embedded else 64,
            # There, too, facts are read on the event loop's own thread.
            in_turn=embedded and data.dialect.name == "sqlite",
        ),
        policies=policies,
        bundles=bundles,
        judge=Judge(
            gate=gate,
            facts=facts,
            vault=vault,
            decisions=decisions,
            reader=reader,
            clock=clock,
            random=random,
        ),
        asking=asking,
        what_if=WhatIf(
            tenant=tenant,
            gate=gate,
            vault=vault,
            consents=consents,
            facts=facts,
            pdp=pdp,
            reader=reader,
            classification=askable,
            clock=clock,
        ),
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
            desk=consent_desk,
        ),
        consent_desk=consent_desk,
        assist=AssistDesk(consents=consents, writer=writer, pdp=pdp),
        history=ConsentHistory(
            consents=consents, writer=writer, pdp=pdp, clock=clock
        ),
        registrar=registrar,
        eraser=eraser,
        holds=holds,
        retention=retention,
        journal=journal,
        past_ledgers=tuple(past),
        fact_sweep=partial(
            FactSweep,
            engine=data,
            vault=vault,
            consents=consents,
            restraints=restraints,
            vouching=vouching,
            ledgers=(*past, ledger),
        ),
        vouching=vouching,
        declarations=declarations,
        visibility=VisibilityDesk(
            transactions=transactions,
            rules=visibility,
            consents=consents,
            ledger=ledger,
            pdp=pdp,
            clock=clock,
            random=random,
        ),
        glass=GlassDesk(
            origin=settings.origin,
            gate=gate,
            vault=vault,
            consents=consents,
            restraints=restraints,
            store=glass,
            commits=commits,
            pdp=pdp,
            classification=classification,
            ledgers=(*past, ledger),
            reader=reader,
            clock=clock,
            random=random,
        ),
        keys_desk=KeyDesk(
            engine=data,
            vault=vault,
            jobs=JobLock(
                engine=keys, path=settings.home / "keys.lock", tenant=tenant
            ),
            consents=consents,
            decisions=decisions,
            glass=glass,
            telling=telling,
            ledger=ledger,
            past=tuple(past),
            clock=clock,
            random=random,
        ),
        webhooks=WebhookDesk(
            transactions=transactions,
            reader=reader,
            vault=vault,
            consents=consents,
            visibility=visibility,
            ledger=ledger,
            telling=telling,
            deliveries=deliveries,
            endpoints=Endpoints(
                tenant=tenant, box=box, random=random, clock=clock
            ),
            pdp=pdp,
            clock=clock,
            random=random,
        ),
        records=RecordDesk(
            transactions=transactions,
            gate=gate,
            vault=vault,
            consents=consents,
            ledger=ledger,
            pdp=pdp,
            clock=clock,
            joined=asking.joined,
        ),
        numbers=NumberDesk(
            tenant=tenant,
            engine=data,
            transactions=transactions,
            vault=vault,
            consents=consents,
            facts=facts,
            ledger=ledger,
            past=past,
            pdp=pdp,
            classification=classification,
            clock=clock,
            random=random,
            groups=settings.colluding_groups(),
        ),
        releases=releases,
        replay=replay,
        impact=ImpactDesk(
            transactions=transactions,
            study=ImpactStudy(
                scanner=Scanner(
                    vault=vault,
                    consents=consents,
                    decisions=decisions,
                    reader=reader,
                    mark=guard.mark,
                ),
                guard=guard,
                file=counted,
                tables=MonthTables(
                    settings.home / "impact", secrets.impact_key()
                ),
                gate=gate,
                facts=facts,
                consents=consents,
            ),
            ledger=ledger,
            pdp=pdp,
            clock=clock,
            random=random,
        ),
        decision_desk=DecisionDesk(
            transactions=transactions,
            ledger=ledger,
            vault=vault,
            gate=gate,
            facts=facts,
            replay=replay,
            policies=policies,
            registrar=registrar,
            pdp=pdp,
            clock=clock,
            random=random,
        ),
        registry=registry,
        credentials=credentials,
        credential_sweep=CredentialSweep(
            registry=registry, ledgers=(*past, ledger), macs=macs
        ),
        proposal_sweep=proposal_sweep,
        glass_sweep=glass_sweep,
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
        classification=askable,
        secrets=secrets,
        clock=clock,
        random=random,
    )


def _newest_erasure(journal: ErasureJournal) -> Position:
    journal.refresh()
    return journal.newest_erasure


def _both(first: Heard, second: Heard) -> Heard:
    """Let two hear of each event, in this order."""

    def heard(
        conn: Connection, event: ConsentEvent, earlier: Sequence[ConsentEvent]
    ) -> None:
        first(conn, event, earlier)
        second(conn, event, earlier)

    return heard


def _ledgers(  # noqa: PLR0917 - what `_assemble` has
    settings: Settings,
    secrets: Secrets,
    data: Engine,
    journal: ErasureJournal,
    clock: Clock,
    random: Random,
) -> list[Ledger]:
    """The ledger, then those of the names that it had before a restore."""
    anchors = Anchors(journal, clock)
    made = []
    past = [one for one in journal.origins if one != settings.origin]
    for origin in (settings.origin, *past):
        signer = LedgerSigner(name=origin, key=secrets.ledger)
        now = origin == settings.origin
        made.append(
            Ledger(
                engine=data,
                origin=origin,
                signer=signer,
                audit_key=secrets.audit,
                mark_key=secrets.mark,
                clock=clock,
                random=random,
                cosigners=_second_signers(origin, secrets, clock),
                trust=_trust(settings, signer) if now else None,
                announce=anchors.announced,
            )
        )
    return made


def _row_macs(settings: Settings, secrets: Secrets) -> RowMacs:
    return RowMacs(
        secrets.row_key(), settings.tenant, required=secrets.vouched
    )


def _secrets(settings: Settings, passphrase: bytes, random: Random) -> Secrets:
    secrets = load_secrets(settings.secrets_path, passphrase)
    if secrets.ledger_mldsa is not None:
        return secrets
    try:
        return add_ledger_mldsa(
            settings.secrets_path, passphrase, random=random
        )
    except OSError as error:
        # A secrets folder that cannot be written serves on with what it has.
        structlog.get_logger().warning(
            "no second key of the ledger", error=type(error).__name__
        )
        return secrets


def _second_signers(
    origin: str, secrets: Secrets, clock: Clock
) -> tuple[CosignatureSigner, ...]:
    if secrets.ledger_mldsa is None:
        return ()
    return (CosignatureSigner(origin, secrets.ledger_mldsa, clock),)


def _trust(settings: Settings, signer: LedgerSigner) -> TrustPolicy | None:
    """Read the policy that names the ledger's witnesses, if there is one.

    Raises:
        TrustPolicyInvalid: It is none, or is about this ledger with
            another key.

    """
    path = settings.witness_policy
    if path is None:
        return None
    policy = read_trust_policy(path.read_bytes(), where=str(path))
    keys = policy.keys_of(settings.origin)
    if keys and signer.verifier not in keys:
        what = f"{settings.origin} has another key here than this ledger"
        raise TrustPolicyInvalid(where=str(path), line=1, what=what)
    return policy


def _pdp(
    settings: Settings, bundles: BundleStore, embedded: EmbeddedPdp | None
) -> PolicyDecisionPoint:
    ours = load_bundle()
    engine: EmbeddedPdp | FailoverPdp = (
        FailoverPdp(
            [
                OpaPdp(url=url.strip(), revision=ours.revision)
                for url in settings.opa_url.split(",")
            ]
        )
        if settings.engine is EngineChoice.OPA
        else embedded or EmbeddedPdp(ours)
    )
    return LivePdp(engine, store=bundles, ours=ours)


def _vault(  # noqa: PLR0917 - what `initialise` and `bootstrap` share
    settings: Settings,
    data: Engine,
    keys: Engine,
    passphrase: bytes,
    clock: Clock,
    random: Random,
    costs: Costs | None,
) -> Vault:
    provider = key_provider(
        settings, keys, passphrase, random=random, costs=costs
    )
    store = KeyStore(
        engine=keys,
        provider=provider,
        tenant=settings.tenant,
        clock=clock,
        random=random,
        open_suspended=settings.open_suspended,
    )
    return Vault(
        tenant=settings.tenant,
        data=data,
        keys=store,
        catalogue=standard_catalogue(),
        clock=clock,
        random=random,
    )


def _make_folder(url: str) -> None:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(
            parents=True, exist_ok=True, mode=0o700
        )
