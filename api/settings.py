"""Settings: where an instance lives and how it is run.

Read once, by `read_settings`, from arguments, then environment variables
beginning with ``CURTILAGE_``, then a YAML file: the one that
``CURTILAGE_CONFIG`` names, or ``curtilage.yaml`` in the home folder, which
``curtilage init`` writes. Every setting has one
place here, one line of meaning, and a row in README (a test compares
them). Secrets print as asterisks.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Any, Self

import yaml
from pydantic import (
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

from api.webhook_addresses import parse_hosts, parse_networks
from policy import body_zone

_TOO_OBVIOUS = frozenset(
    {"", "changeme", "change-me", "default", "passphrase", "password"}
    | {"secret", "curtilage", "test", "demo"}
)
_SHORTEST_PASSPHRASE = 12
_FEWEST_CHARACTERS = 5
CONFIG_NAME = "curtilage.yaml"


class EngineChoice(StrEnum):
    """Which way the policies are run."""

    EMBEDDED = "embedded"
    OPA = "opa"


class KeyProviderChoice(StrEnum):
    """Who holds the key-encryption keys."""

    FILE = "file"
    PKCS11 = "pkcs11"
    TRANSIT = "transit"
    AWS_KMS = "aws-kms"


class Settings(BaseSettings):
    """All settings of one instance; frozen once read."""

    model_config = SettingsConfigDict(
        env_prefix="CURTILAGE_",
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    home: Path = Field(
        default=Path("var/instance"),
        description="folder of the instance; the other paths default in it",
    )
    tenant: str = Field(
        default="main",
        pattern=r"^[a-z0-9][a-z0-9-]{0,62}$",
        description="id of the public body",
    )
    origin: str = Field(
        default="localhost/main/access-log",
        pattern=r"^[^\s+]+$",
        description="name of the ledger, as its checkpoints carry it",
    )
    # An address may hold a password, so it does not print.
    data_url: str = Field(
        default="",
        repr=False,
        description="data database; empty: SQLite in home/data",
    )
    keys_url: str = Field(
        default="",
        repr=False,
        description="keys database; empty: SQLite in home/keys",
    )
    pool_size: int = Field(
        default=8,
        ge=1,
        le=1000,
        description="connections kept to each PostgreSQL database",
    )
    pool_overflow: int = Field(
        default=8,
        ge=0,
        le=1000,
        description="further ones under load, closed again",
    )
    kek_folder: Path | None = Field(
        default=None,
        description="folder of the KEK files; empty: home/kek",
    )
    journal: Path | None = Field(
        default=None,
        description="erasure journal, which restores demand; empty: "
        "home/journal/erasures",
    )
    colluding: str = Field(
        default="",
        description="recipients who may pass extracts on to each other: "
        "names joined by +, groups by a comma; groups with a name in "
        "common are one",
    )
    backup_days: int = Field(
        default=14,
        ge=0,
        le=3650,
        description="days that backups of the keys are kept, which erasure "
        "certificates state",
    )
    passphrase: SecretStr | None = Field(
        default=None, description="opens the KEK files and the secrets"
    )
    passphrase_file: Path | None = Field(
        default=None, description="file that holds the passphrase"
    )
    key_provider: KeyProviderChoice = Field(
        default=KeyProviderChoice.FILE,
        description="who holds the KEKs: file, pkcs11, transit or aws-kms",
    )
    open_suspended: bool = Field(
        default=False,
        description="let a suspended KEK open what it wrapped",
    )
    pkcs11_module: Path | None = Field(
        default=None, description="library of the hardware module"
    )
    pkcs11_token: str = Field(
        default="", description="label of the token in the module"
    )
    pkcs11_pin_file: Path | None = Field(
        default=None, description="file that holds the token's user PIN"
    )
    transit_url: str = Field(
        default="", description="address of the transit engine's server"
    )
    transit_mount: str = Field(
        default="transit", description="path of the transit engine"
    )
    transit_namespace: str = Field(
        default="", description="namespace of the server, if it has any"
    )
    transit_token_file: Path | None = Field(
        default=None, description="file that holds the server's token"
    )
    transit_ca_file: Path | None = Field(
        default=None, description="authority of the server's certificate"
    )
    kms_region: str = Field(default="", description="region of AWS KMS")
    kms_endpoint: str = Field(
        default="", description="address of AWS KMS; empty: the region's"
    )
    witness_policy: Path | None = Field(
        default=None,
        description="trust policy (c2sp.org/tlog-policy) that names the "
        "ledger's witnesses and their quorum",
    )
    engine: EngineChoice = Field(
        default=EngineChoice.EMBEDDED,
        description="embedded, or opa for an OPA server",
    )
    opa_url: str = Field(
        default="http://127.0.0.1:8181",
        description="address of the OPA server; of several, with commas",
    )
    public_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+)?$",
        description="https address under which others reach the server; "
        "empty: no AuthZEN metadata",
    )
    evaluations_per_minute: int = Field(
        default=6000,
        ge=1,
        le=10_000_000,
        description="authorization questions that one service may ask a "
        "minute, in each worker",
    )
    consent_request_days: int = Field(
        default=30,
        ge=1,
        le=365,
        description="days after which a service's question to a person "
        "expires unanswered",
    )
    consent_quiet_days: int = Field(
        default=180,
        ge=1,
        le=3650,
        description="days for which a person who answered a statement is "
        "not asked about it again",
    )
    spans_url: str = Field(
        default="",
        pattern=r"^(https://[^\s?#]+"
        r"|http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?/[^\s?#]*)?$",
        description="collector that gets the processing log over OTLP/HTTP, "
        "its traces address; empty: none",
    )
    time_zone: str = Field(
        default="UTC",
        description="the body's time zone, by whose calendar day people "
        "complete a year, as in Europe/Copenhagen",
    )
    host: str = Field(
        default="127.0.0.1", description="address that the server binds"
    )
    port: int = Field(
        default=8420, ge=0, le=65535, description="port of the server"
    )
    demo: bool = Field(
        default=False,
        description="demo mode: sign-in page for the synthetic cast",
    )
    secure_cookies: bool = Field(
        default=True,
        description="cookies only over https; off on plain localhost",
    )
    token_seconds: int = Field(
        default=300, ge=30, le=3600, description="life of an access token"
    )
    webhook_hosts: str = Field(
        default="",
        description="hosts that webhooks may go to, as host or host:port, "
        "separated by commas; empty: nobody is sent any",
    )
    webhook_networks: str = Field(
        default="",
        description="private networks that these hosts may be in, such as "
        "10.1.0.0/16; plain http goes to loopback ones alone",
    )
    webhook_hours: int = Field(
        default=72,
        ge=1,
        le=8760,
        description="hours that a service has to say what it did",
    )
    log_level: str = Field(
        default="info",
        pattern=r"^(debug|info|warning|error)$",
        description="least level that is logged",
    )

    @field_validator("data_url", "keys_url")
    @classmethod
    def _known_database(cls, value: str) -> str:
        known = {"sqlite", "postgresql"}
        try:
            good = not value or make_url(value).get_backend_name() in known
        except (ArgumentError, ValueError):
            good = False
        if not good:
            msg = "a database address begins with sqlite or postgresql"
            raise ValueError(msg)
        return value

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        body_zone(value)
        return value

    @field_validator("webhook_hosts", "webhook_networks")
    @classmethod
    def _readable_addresses(cls, value: str, info: ValidationInfo) -> str:
        read = (
            parse_networks
            if "networks" in str(info.field_name)
            else (parse_hosts)
        )
        read(value)
        return value

    @model_validator(mode="after")
    def _keys_stand_apart(self) -> Self:
        folder = self.kek_path.resolve()
        for name, url in (("data", self.data), ("keys", self.keys)):
            parsed = make_url(url)
            if parsed.get_backend_name() != "sqlite" or not parsed.database:
                continue
            beside = Path(parsed.database).resolve().parent
            if folder == beside or folder.is_relative_to(beside):
                msg = (
                    f"kek_folder stands beside the {name} database: a copy "
                    "of that folder would hold lock and key. Move it."
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _journal_stands_apart(self) -> Self:
        folder = self.journal_path.resolve().parent
        kek = self.kek_path.resolve()
        if folder == kek or folder.is_relative_to(kek):
            msg = (
                "journal stands in the folder of the KEK files, of which "
                "there are no copies: keep the journal where copies of it "
                "are made. Move it."
            )
            raise ValueError(msg)
        for name, url in (("data", self.data), ("keys", self.keys)):
            parsed = make_url(url)
            if parsed.get_backend_name() != "sqlite" or not parsed.database:
                continue
            beside = Path(parsed.database).resolve().parent
            if folder == beside or folder.is_relative_to(beside):
                msg = (
                    f"journal stands beside the {name} database: it would "
                    "be rolled back with it. Move it."
                )
                raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _two_files(self) -> Self:
        data, keys = make_url(self.data), make_url(self.keys)
        if (
            data.get_backend_name() == keys.get_backend_name() == "sqlite"
            and Path(data.database or "").resolve()
            == Path(keys.database or "").resolve()
        ):
            msg = "data_url and keys_url name the same file: keys stand apart"
            raise ValueError(msg)
        return self

    @model_validator(mode="after")
    def _custodian_is_named(self) -> Self:
        needed = {
            KeyProviderChoice.FILE: (),
            KeyProviderChoice.PKCS11: (
                "pkcs11_module",
                "pkcs11_token",
                "pkcs11_pin_file",
            ),
            KeyProviderChoice.TRANSIT: ("transit_url", "transit_token_file"),
            KeyProviderChoice.AWS_KMS: ("kms_region",),
        }[self.key_provider]
        missing = [name for name in needed if not getattr(self, name)]
        if missing:
            msg = (
                f"key_provider {self.key_provider} needs "
                f"{' and '.join(missing)}"
            )
            raise ValueError(msg)
        return self

    def colluding_groups(self) -> tuple[frozenset[str], ...]:
        """Recipients who may pass extracts on to each other.

        Groups that name the same recipient are one: what the first has,
        that one can pass on to the last.
        """
        groups: list[frozenset[str]] = []
        for listed in self.colluding.split(","):
            found = frozenset(
                name.strip() for name in listed.split("+") if name.strip()
            )
            if not found:
                continue
            touching = [one for one in groups if one & found]
            groups = [one for one in groups if not one & found]
            groups.append(found.union(*touching))
        return tuple(groups)

    @property
    def data(self) -> str:
        """Address of the data database."""
        return self.data_url or f"sqlite:///{self.home}/data/data.db"

    @property
    def keys(self) -> str:
        """Address of the keys database."""
        return self.keys_url or f"sqlite:///{self.home}/keys/keys.db"

    @property
    def kek_path(self) -> Path:
        """Folder of the KEK files."""
        return self.kek_folder or self.home / "kek"

    @property
    def journal_path(self) -> Path:
        """The erasure journal."""
        return self.journal or self.home / "journal" / "erasures"

    @property
    def secrets_path(self) -> Path:
        """File of the instance's other secrets, sealed by the passphrase."""
        return self.home / "secrets" / "secrets.json"

    def opened_passphrase(self) -> bytes:
        """The passphrase, from its setting or its file.

        Raises:
            ValueError: there is none, it is short, or it is a default.

        """
        if self.passphrase is not None:
            text = self.passphrase.get_secret_value()
        elif self.passphrase_file is not None:
            text = text_of(self.passphrase_file)
        else:
            msg = (
                "no passphrase: set CURTILAGE_PASSPHRASE_FILE (or "
                "CURTILAGE_PASSPHRASE). `curtilage init` makes one."
            )
            raise ValueError(msg)
        if _is_obvious(text):
            msg = (
                "the passphrase is missing, a default, or shorter than "
                f"{_SHORTEST_PASSPHRASE} characters"
            )
            raise ValueError(msg)
        return text.encode()


def _is_obvious(text: str) -> bool:
    plain = text.strip().lower()
    distinct = len(set(plain))
    return (
        plain in _TOO_OBVIOUS
        or len(plain) < _SHORTEST_PASSPHRASE
        or distinct < _FEWEST_CHARACTERS
    )


def text_of(file: Path) -> str:
    """Read a secret out of its file.

    Raises:
        ValueError: it is no text in UTF-8.

    """
    try:
        return file.read_text("utf-8").rstrip("\r\n")
    except UnicodeDecodeError:
        # Its message would quote bytes of the passphrase.
        msg = f"{file}: a file of a secret holds UTF-8 text"
        raise ValueError(msg) from None


def _config_of(folder: Path) -> Path | None:
    """The settings file, if there is one.

    Raises:
        ValueError: ``CURTILAGE_CONFIG`` names a file that is not there, or
            the file is no mapping of settings in YAML.

    """
    named = os.environ.get("CURTILAGE_CONFIG")
    path = Path(named) if named else folder / CONFIG_NAME
    if not path.is_file():
        if not named:
            return None
        msg = f"CURTILAGE_CONFIG names {path}, which is no file"
        raise ValueError(msg)
    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except yaml.MarkedYAMLError as error:
        # Its own message quotes the line, which may hold a secret.
        mark = error.problem_mark
        line = 1 if mark is None else mark.line + 1
        msg = f"{path}:{line}: not YAML"
        raise ValueError(msg) from None
    except (yaml.YAMLError, UnicodeDecodeError):
        msg = f"{path}:1: not YAML in UTF-8"
        raise ValueError(msg) from None
    if not isinstance(found, dict | None):
        msg = f"{path}:1: settings are a mapping of names to values"
        raise ValueError(msg)  # noqa: TRY004 - a wrong file, as above
    return path


def home_folder(home: Path | None) -> Path:
    """The instance's folder: as given, or CURTILAGE_HOME, or the default."""
    return home or Path(os.environ.get("CURTILAGE_HOME", "var/instance"))


def read_settings(home: Path | None = None, **arguments: object) -> Settings:
    """Read the settings of one instance, once.

    Args:
        home: the instance's folder; else ``CURTILAGE_HOME``, else
            ``var/instance``.
        **arguments: settings that win over environment and file.

    Raises:
        pydantic.ValidationError: a setting is wrong; it names which.
        ValueError: the settings file cannot be read.

    """
    folder = home_folder(home)
    path = _config_of(folder)

    class Layered(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            del dotenv_settings, file_secret_settings
            layers = (init_settings, env_settings)
            if path is None:
                return layers
            return (*layers, YamlConfigSettingsSource(settings_cls, path))

    given: dict[str, Any] = dict(arguments)
    if home is not None:
        given["home"] = home
    return Settings.model_construct(
        **Layered(**given).model_dump(round_trip=True)
    )
