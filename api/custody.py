"""Who holds the key-encryption keys, as the settings name them."""

from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine

from api.secrets import Costs
from api.settings import KeyProviderChoice, Settings, text_of
from vault import (
    Argon2Cost,
    AwsKmsCustodian,
    Custodian,
    CustodyProvider,
    FileKeyProvider,
    KekRows,
    KeyProvider,
    Pkcs11Custodian,
    TransitCustodian,
)

Random = Callable[[int], bytes]


def key_provider(
    settings: Settings,
    keys: Engine,
    passphrase: bytes,
    *,
    random: Random,
    costs: Costs | None = None,
) -> KeyProvider:
    """Make the provider of an instance's KEKs; nothing is asked of it yet.

    Args:
        settings: which, and where.
        keys: the keys database, which holds KEKs that a custodian sealed.
        passphrase: opens the key files, where they are files.
        random: as ``os.urandom``.
        costs: of the passphrase.

    Raises:
        ValueError: a file of a secret is not there, or no text.

    """
    if settings.key_provider is KeyProviderChoice.FILE:
        return FileKeyProvider(
            settings.kek_path,
            passphrase,
            cost=None if costs is None else _cost(costs),
            random=random,
        )
    return CustodyProvider(
        custodian=_custodian(settings, random),
        keks=KekRows(keys, settings.tenant),
        tenant=settings.tenant,
        random=random,
    )


def _custodian(settings: Settings, random: Random) -> Custodian:
    match settings.key_provider:
        case KeyProviderChoice.PKCS11:
            return Pkcs11Custodian(
                module=settings.pkcs11_module or Path(),
                token=settings.pkcs11_token,
                pin=_secret(settings.pkcs11_pin_file, "pkcs11_pin_file"),
                random=random,
            )
        case KeyProviderChoice.TRANSIT:
            return TransitCustodian(
                url=settings.transit_url,
                mount=settings.transit_mount,
                token=_secret(
                    settings.transit_token_file, "transit_token_file"
                ),
                authority=settings.transit_ca_file,
                namespace=settings.transit_namespace,
            )
        case _:
            return AwsKmsCustodian(
                region=settings.kms_region, endpoint=settings.kms_endpoint
            )


def _secret(file: Path | None, name: str) -> str:
    try:
        text = text_of(file or Path())
    except OSError as error:
        msg = f"{name}: {file} cannot be read ({type(error).__name__})"
        raise ValueError(msg) from None
    if not text:
        msg = f"{name}: {file} is empty"
        raise ValueError(msg)
    return text


def _cost(costs: Costs) -> Argon2Cost:
    return Argon2Cost(
        iterations=costs.iterations,
        lanes=costs.lanes,
        memory_kib=costs.memory_kib,
    )
