"""Copies of PostgreSQL rows, by the server's own pg_dump, pg_restore, psql.

One tenant's rows are dumped under the row-level security of its connection,
as INSERT statements, and put back in one transaction that first deletes
what is there: all of it or nothing. The schema is not in the dump; it is
Alembic's. Address and password go by the environment, never in arguments.
"""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy.engine import URL, make_url

_ROWS_A_STATEMENT = "200"
_QUERY = {
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "host": "PGHOST",
    "port": "PGPORT",
}


class ToolMissingError(Exception):
    """One of PostgreSQL's own programs is not installed."""


def dump(
    url: str, tables: Sequence[str], target: Path, settings: Mapping[str, str]
) -> None:
    """Dump rows of some tables into a new file, from one snapshot.

    Args:
        url: the database.
        tables: their names.
        target: must not exist.
        settings: of the server, for the connection.

    Raises:
        ToolMissingError: there is no pg_dump.
        OSError: it failed; the file is gone again.

    """
    program = _program("pg_dump")
    if target.exists():
        raise FileExistsError(target)
    try:
        _run(
            [
                program,
                "--format=custom",
                "--data-only",
                "--enable-row-security",
                f"--rows-per-insert={_ROWS_A_STATEMENT}",
                "--no-password",
                f"--file={target}",
                *(f"--table={name}" for name in tables),
            ],
            _environment(url, settings),
        )
        target.chmod(0o600)
    except OSError:
        target.unlink(missing_ok=True)
        raise


def load(
    url: str, tables: Sequence[str], source: Path, settings: Mapping[str, str]
) -> None:
    """Put dumped rows in the place of those that are there, or change none.

    Args:
        url: the database.
        tables: their names.
        source: what `dump` made.
        settings: of the server, for the connection.

    Raises:
        ToolMissingError: there is no pg_restore, or no psql.
        OSError: it failed; the database is as it was.

    """
    unpack, psql = _program("pg_restore"), _program("psql")
    script = source.with_suffix(".sql.part")
    try:
        _run(
            [
                unpack,
                "--enable-row-security",
                f"--file={script}",
                str(source),
            ],
            dict(os.environ),
        )
        deletes = [
            f"--command=DELETE FROM {name}" for name in reversed(tables)
        ]
        _run(
            [
                psql,
                "--no-psqlrc",
                "--quiet",
                "--no-password",
                "--single-transaction",
                "--set=ON_ERROR_STOP=1",
                *deletes,
                f"--file={script}",
                # As `api.databases.count_rows`; the file ends outside any
                # schema.
                "--command=RESET search_path",
                f"--command=ANALYZE {', '.join(tables)}",
            ],
            _environment(url, settings),
        )
    finally:
        script.unlink(missing_ok=True)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        msg = (
            f"{name} is not on PATH: backups of PostgreSQL are made with its "
            "own programs. Install its client package of the server's version"
        )
        raise ToolMissingError(msg)
    return found


def _run(command: Sequence[str], environment: Mapping[str, str]) -> None:
    done = subprocess.run(  # noqa: S603 - a fixed program, no shell
        command, env=environment, capture_output=True, check=False, text=True
    )
    if done.returncode:
        # A row that psql quotes may hold anything; its first line does not.
        first = (done.stderr.splitlines() or ["no message"])[0]
        name = Path(command[0]).name
        msg = f"{name} failed ({done.returncode}): {first[:200]}"
        raise OSError(msg)


def _environment(url: str, settings: Mapping[str, str]) -> dict[str, str]:
    parsed: URL = make_url(url)
    options = [str(parsed.query.get("options", ""))]
    options += [f"-c{name}={value}" for name, value in settings.items()]
    named = {
        "PGHOST": parsed.host,
        "PGPORT": parsed.port and str(parsed.port),
        "PGUSER": parsed.username,
        "PGPASSWORD": parsed.password and str(parsed.password),
        "PGDATABASE": parsed.database,
        "PGOPTIONS": " ".join(options).strip(),
    }
    for key, variable in _QUERY.items():
        if key in parsed.query:
            named[variable] = str(parsed.query[key])
    return {
        **os.environ,
        **{name: value for name, value in named.items() if value},
    }
