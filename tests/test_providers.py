"""One contract for every key provider, each with its real client.

PKCS#11 runs on SoftHSM2, AWS KMS on moto behind boto3, transit on a server
that speaks the documented wire format behind hvac, and on Vault or OpenBao
itself where one is installed.
"""

import builtins
import os
import pickle
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, select, update

from api.databases import open_database
from tests.parts import MissingPartError, softhsm, transit
from tests.transit_server import TOKEN, transit_server
from vault import (
    KEYS_METADATA,
    Argon2Cost,
    AwsKmsCustodian,
    CryptoFailure,
    Custodian,
    CustodyProvider,
    FileKeyProvider,
    KekRows,
    KeyProvider,
    KeyUnavailable,
    Pkcs11Custodian,
    TransitCustodian,
)
from vault import format as fmt
from vault.tables import KEK, KekState

CHEAP = Argon2Cost(memory_kib=32, iterations=1, lanes=1)


def _installed() -> tuple[str, ...]:
    """Name the real server where there is one; it is never required."""
    try:
        transit.find()
    except MissingPartError:
        return ()
    return ("transit-server",)


CUSTODIANS = ("pkcs11", "transit", "aws-kms", *_installed())


@dataclass
class Case:
    """One provider, how to open it anew, and the rows of its epochs."""

    name: str
    engine: Engine
    again: Callable[[], KeyProvider]
    custodian: Callable[[], Custodian] | None
    provider: KeyProvider
    server: Any = None

    def begin(self, epoch: int) -> uuid.UUID:
        """Write an epoch's row down and make its key."""
        key_id = uuid.uuid4()
        self.row(epoch, key_id)
        self.provider.create(epoch, key_id)
        return key_id

    def row(self, epoch: int, key_id: uuid.UUID) -> None:
        """Write an epoch's row down."""
        with self.engine.begin() as conn:
            conn.execute(
                KEK.insert().values(
                    tenant="town",
                    epoch=epoch,
                    key_id=key_id,
                    state=KekState.PRE_ACTIVE.value,
                    created_at=0,
                )
            )

    def blob(self, epoch: int) -> bytes:
        """Give what stands in an epoch's row."""
        with self.engine.connect() as conn:
            return conn.execute(
                select(KEK.c.blob).where(KEK.c.epoch == epoch)
            ).scalar_one()

    def set(self, epoch: int, **values: object) -> None:
        """Change an epoch's row."""
        with self.engine.begin() as conn:
            conn.execute(
                update(KEK).where(KEK.c.epoch == epoch).values(**values)
            )


def unwrapped(
    provider: KeyProvider, epoch: int, context: bytes, blob: bytes
) -> bytes:
    """Unwrap into a buffer and copy it."""
    key = bytearray(32)
    provider.unwrap_into(epoch, context, blob, key)
    return bytes(key)


@pytest.fixture(scope="session")
def token() -> Iterator[softhsm.Token]:
    """A token of SoftHSM2."""
    try:
        part = softhsm.find()
    except MissingPartError as error:
        pytest.skip(str(error))
    with softhsm.token(part) as made:
        yield made


@pytest.fixture(scope="session")
def real_transit() -> Iterator[transit.TransitServer]:
    """A server that is not ours, with a transit engine."""
    with transit.server(transit.find()) as made:
        yield made


def _custodian(
    name: str, request: pytest.FixtureRequest, stack: ExitStack
) -> tuple[Callable[[], Custodian], Any]:
    if name == "pkcs11":
        token: softhsm.Token = request.getfixturevalue("token")
        return (
            lambda: Pkcs11Custodian(
                module=token.module,
                token=token.label,
                pin=token.pin,
                random=os.urandom,
            )
        ), token
    if name == "transit-server":
        real: transit.TransitServer = request.getfixturevalue("real_transit")
        return (
            lambda: TransitCustodian(
                url=real.url, mount=transit.MOUNT, token=real.token
            )
        ), real
    if name == "transit":
        url, engine = stack.enter_context(transit_server())
        return (
            lambda: TransitCustodian(url=url, mount="transit", token=TOKEN)
        ), engine
    from moto import mock_aws  # noqa: PLC0415 - slow to import, one case

    patch = stack.enter_context(pytest.MonkeyPatch.context())
    for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        patch.setenv(key, "synthetic")
    stack.enter_context(mock_aws())
    return (lambda: AwsKmsCustodian(region="eu-central-1")), None


@pytest.fixture(params=["file", *CUSTODIANS])
def case(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Case]:
    """Each provider, empty."""
    engine = open_database(f"sqlite:///{tmp_path}/keys.db")
    KEYS_METADATA.create_all(engine)
    name, server = request.param, None
    custodian: Callable[[], Custodian] | None = None
    with ExitStack() as stack:
        stack.callback(engine.dispose)
        if name == "file":

            def again() -> KeyProvider:
                return FileKeyProvider(
                    tmp_path / "keks", b"phrase", cost=CHEAP
                )
        else:
            make, server = _custodian(name, request, stack)
            custodian = make

            def again() -> KeyProvider:
                return CustodyProvider(
                    custodian=make(),
                    keks=KekRows(engine, "town"),
                    tenant="town",
                    random=os.urandom,
                )

        made = Case(name, engine, again, custodian, again(), server)
        yield made
        made.provider.close()


def test_a_key_wraps_and_unwraps_after_a_restart(case: Case) -> None:
    """What one process wrapped, the next unwraps."""
    dek = os.urandom(32)
    key_id = case.begin(1)
    blob = case.provider.wrap(1, b"context", dek)

    again = case.again()

    assert key_id == again.key_id(1)
    assert dek == unwrapped(again, 1, b"context", blob)
    assert fmt.WRAPPED == len(blob)
    again.close()


def test_a_wrapped_key_is_bound_to_its_context_and_epoch(case: Case) -> None:
    """The same blob under another context or epoch is refused, opaquely."""
    case.begin(1)
    case.begin(2)
    blob = case.provider.wrap(1, b"context", bytes(32))

    for epoch, context in ((1, b"contexts"), (1, b""), (2, b"context")):
        with pytest.raises(CryptoFailure):
            unwrapped(case.provider, epoch, context, blob)
    with pytest.raises(CryptoFailure):
        unwrapped(case.provider, 1, b"context", blob[:-1])


def test_creating_again_is_harmless_and_needs_the_same_id(case: Case) -> None:
    """After a crash creation is repeated; a stranger's key is never used."""
    key_id = case.begin(1)
    blob = case.provider.wrap(1, b"context", bytes(range(32)))

    again = case.again()
    again.create(1, key_id)

    assert bytes(range(32)) == unwrapped(again, 1, b"context", blob)
    with pytest.raises(KeyUnavailable):
        again.create(1, uuid.uuid4())
    again.close()


def test_a_destroyed_key_opens_nothing_and_the_others_stay(
    case: Case,
) -> None:
    """Each epoch's object dies alone; destroying again is harmless."""
    case.begin(1)
    case.begin(2)
    first = case.provider.wrap(1, b"", bytes(range(32)))
    second = case.provider.wrap(2, b"", bytes(range(32)))

    case.provider.destroy(1)
    case.provider.destroy(1)

    again = case.again()
    for provider in (case.provider, again):
        with pytest.raises(KeyUnavailable):
            unwrapped(provider, 1, b"", first)
        with pytest.raises(KeyUnavailable):
            provider.key_id(1)
        assert bytes(range(32)) == unwrapped(provider, 2, b"", second)
    again.close()


def test_a_key_that_was_never_made_is_an_error_of_its_own(case: Case) -> None:
    """Neither a missing row nor a missing key shows as anything else."""
    case.row(1, uuid.uuid4())
    for epoch in (1, 9):
        with pytest.raises(KeyUnavailable):
            case.provider.key_id(epoch)
        with pytest.raises(KeyUnavailable):
            case.provider.wrap(epoch, b"", bytes(32))


def test_a_provider_shows_nothing_and_is_not_serialised(case: Case) -> None:
    """No passphrase, PIN or token in its printing; no pickling."""
    case.begin(1)
    real = getattr(case.server, "token", TOKEN)
    for secret in ("phrase", softhsm.PIN, TOKEN, real):
        assert secret not in repr(case.provider)
    with pytest.raises(TypeError):
        pickle.dumps(case.provider)
    assert 0 <= case.provider.grace <= 7 * 86_400


def test_a_sealed_key_moved_to_another_epoch_does_not_open(
    case: Case,
) -> None:
    """Neither blob nor id alone, nor both, stand for another epoch."""
    one, two = case.begin(1), case.begin(2)
    if case.custodian is None:
        return  # tests/test_file_provider.py renames files
    first, second = case.blob(1), case.blob(2)
    for values in (
        {"blob": first},
        {"key_id": one},
        {"blob": first, "key_id": one},
    ):
        case.set(2, **values)
        again = case.again()
        with pytest.raises(KeyUnavailable):
            again.key_id(2)
        again.close()
        case.set(2, blob=second, key_id=two)


def test_every_byte_of_a_sealed_key_counts(case: Case) -> None:
    """An altered blob is one error, whatever was altered."""
    case.begin(1)
    if case.custodian is None:
        return  # tests/test_file_provider.py flips every byte of a file
    blob = case.blob(1)
    places = [*range(8), len(blob) // 2, len(blob) - 1]
    for changed in (
        *(
            blob[:at] + bytes((blob[at] ^ 1,)) + blob[at + 1 :]
            for at in places
        ),
        blob[:-1],
        blob[:3],
        b"",
    ):
        case.set(1, blob=changed)
        again = case.again()
        with pytest.raises(KeyUnavailable):
            again.key_id(1)
        again.close()


def test_of_two_processes_that_begin_an_epoch_one_key_stays(
    case: Case,
) -> None:
    """Both then wrap under the same."""
    key_id = uuid.uuid4()
    case.row(1, key_id)
    other = case.again()
    if case.custodian is not None:
        # The other process wrote while this one asked its custodian.
        make = case.provider._custodian.make

        def late(name: str, an_id: uuid.UUID) -> None:
            make(name, an_id)
            other.create(1, key_id)

        case.provider._custodian.make = late
    else:
        other.create(1, key_id)
    case.provider.create(1, key_id)

    blob = case.provider.wrap(1, b"", bytes(range(32)))
    assert bytes(range(32)) == unwrapped(other, 1, b"", blob)
    other.close()


def test_a_dek_costs_no_call(case: Case) -> None:
    """The custodian is asked once a process, not once a key."""
    case.begin(1)
    if case.custodian is None:
        return
    custodian = case.provider._custodian
    custodian.open = custodian.seal = None
    for _ in range(3):
        blob = case.provider.wrap(1, b"", bytes(32))
        assert bytes(32) == unwrapped(case.provider, 1, b"", blob)


def test_the_stored_kek_is_not_in_the_clear(case: Case) -> None:
    """The keys database holds no KEK that opens without its custodian."""
    drawn: list[bytes] = []

    def random(count: int) -> bytes:
        drawn.append(os.urandom(count))
        return drawn[-1]

    case.provider._random = random
    case.begin(1)
    kek = next(one for one in drawn if len(one) == 32)
    path = Path(str(case.engine.url.database))

    for file in path.parent.glob("keys.db*"):
        assert kek not in file.read_bytes()


@pytest.mark.parametrize(
    ("module", "extra"),
    [("pkcs11", "pkcs11"), ("hvac", "transit"), ("boto3", "aws-kms")],
)
def test_a_missing_client_names_its_extra(
    monkeypatch: pytest.MonkeyPatch, module: str, extra: str
) -> None:
    """One clear error instead of an import failure."""
    custodian: Custodian = {
        "pkcs11": Pkcs11Custodian(
            module=Path("x"), token="t", pin="p", random=os.urandom
        ),
        "hvac": TransitCustodian(
            url="http://127.0.0.1:1", mount="m", token="t"
        ),
        "boto3": AwsKmsCustodian(region="r"),
    }[module]
    real = builtins.__import__

    def absent(name: str, *rest: object, **more: object) -> object:
        if name.partition(".")[0] == module:
            raise ImportError
        return real(name, *rest, **more)

    for loaded in list(sys.modules):
        if loaded.partition(".")[0] == module:
            monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setattr(builtins, "__import__", absent)

    with pytest.raises(KeyUnavailable, match=rf"curtilage\[{extra}\]"):
        custodian.open("name", b"", b"")


def test_transit_that_ignores_associated_data_is_noticed(
    tmp_path: Path,
) -> None:
    """The binding inside the seal holds where the server's does not."""
    engine = open_database(f"sqlite:///{tmp_path}/keys.db")
    KEYS_METADATA.create_all(engine)
    with transit_server() as (url, server):
        server.ignores_associated_data = True
        custodian = TransitCustodian(url=url, mount="transit", token=TOKEN)
        provider = CustodyProvider(
            custodian=custodian,
            keks=KekRows(engine, "town"),
            tenant="town",
            random=os.urandom,
        )
        case = Case("transit", engine, lambda: provider, None, provider)
        key_id = case.begin(1)
        elsewhere = CustodyProvider(
            custodian=custodian,
            keks=KekRows(engine, "town"),
            tenant="village",
            random=os.urandom,
        )
        # The rows of one tenant, read by another's.
        with pytest.raises(KeyUnavailable, match="does not open"):
            elsewhere.key_id(1)
        assert key_id == provider.key_id(1)
        custodian.close()
    engine.dispose()


def test_transit_says_what_to_check_and_follows_nowhere() -> None:
    """A wrong token, a silent server, a redirect: one error, no secret."""
    with transit_server() as (url, server), transit_server() as (other, far):
        wrong = TransitCustodian(url=url, mount="transit", token="s.wrong")
        with pytest.raises(KeyUnavailable, match="TRANSIT_URL") as caught:
            wrong.make("name", uuid.uuid4())
        assert "s.wrong" not in str(caught.value)
        wrong.close()
        server.redirects_to = other
        right = TransitCustodian(url=url, mount="transit", token=TOKEN)
        with pytest.raises(KeyUnavailable):
            right.seal("name", b"", bytes(48))
        assert [] == far.asked
        right.close()
    with pytest.raises(KeyUnavailable, match="TRANSIT_URL"):
        right.open("name", b"", b"vault:v1:AAAA")
    right.close()


def test_transit_takes_no_proxy_from_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the address of the settings is asked."""
    with transit_server() as (url, server):
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        monkeypatch.setenv("no_proxy", "")
        custodian = TransitCustodian(url=url, mount="transit", token=TOKEN)
        custodian.make("name", uuid.uuid4())
        custodian.close()

        assert {"name"} == set(server.keys)


def test_a_wrong_pin_or_module_is_one_clear_error(
    token: softhsm.Token,
) -> None:
    """Which settings to look at; the PIN is not shown."""
    for module, pin, match in (
        (Path("/nonexistent.so"), token.pin, "does not load"),
        (token.module, token.pin, "absent"),
    ):
        custodian = Pkcs11Custodian(
            module=module, token="absent", pin=pin, random=os.urandom
        )
        with pytest.raises(KeyUnavailable, match=match) as caught:
            custodian.make("name", uuid.uuid4())
        assert pin not in str(caught.value)


def test_a_key_in_the_module_does_not_leave_it(token: softhsm.Token) -> None:
    """Sensitive, not extractable, and good for nothing but sealing."""
    import pkcs11  # noqa: PLC0415 - an extra

    custodian = Pkcs11Custodian(
        module=token.module,
        token=token.label,
        pin=token.pin,
        random=os.urandom,
    )
    custodian.make("stays", uuid.uuid4())
    with custodian._opened() as (driver, session):
        key = custodian._key(driver, session, "stays")
        assert key[pkcs11.Attribute.SENSITIVE]
        assert not key[pkcs11.Attribute.EXTRACTABLE]
        assert not key[pkcs11.Attribute.WRAP]
        with pytest.raises(pkcs11.exceptions.AttributeSensitive):
            key[pkcs11.Attribute.VALUE]
    custodian.destroy("stays")
    custodian.close()


def test_kms_tells_how_long_a_destroyed_key_could_be_called_back() -> None:
    """Seven days, which an erasure's certificate has to add."""
    assert 7 * 86_400 == AwsKmsCustodian(region="r").grace
