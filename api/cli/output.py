"""How commands speak: tables for people, JSON for machines, one error line.

Under ``--json`` a command prints exactly one JSON document on standard
output. Errors go to standard error with what, where and what to do, and the
exit code is 2 for wrong use or input and 1 for everything else. No command
prints a stack trace unless ``CURTILAGE_TRACEBACK`` is set.
"""

import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import typer
from pydantic import ValidationError
from rich.cells import cell_len
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

from api.cli.context import instance
from api.cli.system_errors import told
from api.faults import fault_of, sentence
from api.opening import addresses
from api.problems import row_of
from policy import (
    NotPermitted,
    ReleaseRefused,
    load_reasons,
    reasons_file,
)

P = ParamSpec("P")
R = TypeVar("R")
# Exceptions of ours and of the system whose message is fit to be shown.
_SHOWN = (OSError, ValueError)
# A border and a space on either side of a cell.
_AROUND = 3
_TIMES = frozenset({"at", "since", "until", "deadline"})
_REMEDIES: Mapping[str, str] = MappingProxyType(
    {
        "justification_missing": (
            'say why, which is recorded: --because "complaint 17"'
        ),
        "separation_of_duties": (
            "somebody else must do it: --as and that officer's id"
        ),
    }
)


class Output:
    """One command's voice."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._console = Console(highlight=False)
        self._progress = Console(stderr=True)

    def result(self, document: Mapping[str, Any], human: str = "") -> None:
        """Print a result: the document as JSON, or the human text."""
        if self.as_json:
            typer.echo(json.dumps(document, ensure_ascii=False))
        else:
            self._console.print(human or _lines(document), markup=False)

    def table(
        self,
        name: str,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
    ) -> None:
        """Print rows: as a list of objects under `name`, or as a table.

        A table that would break words at this width is one block a row, in
        which what has no value is left out.
        """
        if self.as_json:
            found = [dict(zip(columns, row, strict=True)) for row in rows]
            typer.echo(
                json.dumps({name: found}, ensure_ascii=False, default=str)
            )
            return
        cells = [
            [_cell(*one) for one in zip(columns, row, strict=True)]
            for row in rows
        ]
        if not rows:
            self._console.print(f"{name}: none", markup=False)
        elif widths := _widths([columns, *cells], self._console.width):
            self._console.print(_table(columns, widths, cells))
        else:
            for row in cells:
                self._console.print(_block(columns, row))

    def say(self, text: str) -> None:
        """A line for people only."""
        if not self.as_json:
            self._console.print(text, markup=False)

    def whether(self, *, genuine: bool, demanded: bool = True) -> object:
        """Say whether a row is as this instance wrote it.

        Args:
            genuine: whether its code is right.
            demanded: whether codes are demanded; a row of before they were
                has none, and counts.
        """
        if self.as_json:
            return genuine
        otherwise = "no, refused" if demanded else "not vouched for"
        return "yes" if genuine else otherwise

    @contextmanager
    def progress(
        self, label: str, total: int | None
    ) -> Iterator[Callable[[int], None]]:
        """Show a bar on a terminal's standard error; yields its advance."""
        with Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._progress,
            disable=self.as_json or not self._progress.is_terminal,
            transient=False,
        ) as bar:
            task = bar.add_task(label, total=total)
            yield lambda steps: bar.advance(task, steps)


def speaks(function: Callable[P, R]) -> Callable[P, R]:
    """Turn every exception of a command into one line and an exit code."""

    @wraps(function)
    def wrapped(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except (
            typer.BadParameter,
            typer.Exit,
            typer.Abort,
            KeyboardInterrupt,
        ):
            raise
        except Exception as error:
            if os.environ.get("CURTILAGE_TRACEBACK"):
                raise
            said = (
                _fault(error, args, kwargs)
                or told(error, _paths(args, kwargs))
                or _sentence(error)
            )
            line = " ".join(said.split())
            sys.stderr.write(f"curtilage: {line}\n")
            raise typer.Exit(_code(error)) from None

    return wrapped


class Tally:
    """Shows the progress of a sweep, and counts what it went through.

    Args:
        advance: shows it.

    Attributes:
        seen: how much that was.

    """

    def __init__(self, advance: Callable[[int], None]) -> None:
        self._advance = advance
        self.seen = 0

    def __call__(self, count: int) -> None:
        """Take in a page."""
        self.seen += count
        self._advance(count)


def counted(number: int, one: str, more: str) -> str:
    """A number with its noun."""
    return f"{number} {one if number == 1 else more}"


def everybody(records: int) -> str:
    """How many people a sweep over all records saw."""
    # One record stands in for unknown people.
    return counted(max(0, records - 1), "person", "people")


def _fault(
    error: Exception, args: Sequence[object], kwargs: Mapping[str, object]
) -> str:
    """What a driver's failure means, for the instance of the command."""
    if fault_of(error) is None:
        return ""
    places: Mapping[str, str] = {}
    for given in (*args, *kwargs.values()):
        if isinstance(given, typer.Context):
            with suppress(Exception):
                places = addresses(instance(given).settings())
    return sentence(error, places)


def _paths(args: Sequence[object], kwargs: Mapping[str, object]) -> list[Path]:
    """The paths that the command was given, those to be made first."""
    found = [one for one in (*args, *kwargs.values()) if isinstance(one, Path)]
    return sorted(found, key=lambda one: one.is_file())


def _sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        places = "; ".join(
            f"{'.'.join(map(str, one['loc'])) or 'settings'}: {one['msg']}"
            for one in error.errors(include_input=False, include_url=False)
        )
        return f"settings are wrong: {places}"
    if isinstance(error, NotPermitted | ReleaseRefused):
        return "; ".join([f"{error}", *_plain(error.reasons)])
    if _ours(error) or isinstance(error, _SHOWN):
        return f"{error}"
    return (
        f"{type(error).__name__} (unexpected; set CURTILAGE_TRACEBACK=1 "
        "to see where)"
    )


def _plain(codes: Sequence[str]) -> list[str]:
    """What each code of the policies means here: what helps, or says why."""
    reasons = load_reasons(reasons_file())
    # A code without words says nothing that the error does not.
    return [
        text.rstrip(".")
        for one in codes
        if (text := _REMEDIES.get(one) or reasons.text(one, "en")) != one
    ]


def _ours(error: Exception) -> bool:
    return type(error).__module__.partition(".")[0] in {
        "vault",
        "consent",
        "anonymize",
        "policy",
        "services",
        "api",
    }


def _code(error: Exception) -> int:
    """2 where what was given is wrong, 1 where the answer is no."""
    row = row_of(type(error))
    if isinstance(error, ValueError) or (row and row.is_about_input):
        return 2
    return 1


def _lines(document: Mapping[str, Any]) -> str:
    return "\n".join(
        f"{key}: {_shown(value)}" for key, value in document.items()
    )


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        each = (f"{key} {_shown(one)}" for key, one in value.items())
        return ", ".join(each) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_shown, value)) or "none"
    return str(value)


def _table(
    columns: Sequence[str],
    widths: Sequence[int],
    rows: Sequence[Sequence[str]],
) -> Table:
    # What is cut cannot be given to the next command, so cells fold.
    table = Table(
        *(
            Column(one, overflow="fold", width=width)
            for one, width in zip(columns, widths, strict=True)
        )
    )
    for row in rows:
        table.add_row(*map(Text, row))
    return table


def moment(at: int) -> str:
    """A time in POSIX seconds as people read it; the number if none do."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, ValueError, OSError):
        return str(at)


def _cell(column: str, value: object) -> str:
    if value is None:
        return ""
    when = column in _TIMES or column.endswith("_at")
    return moment(value) if when and isinstance(value, int) else str(value)


def _block(columns: Sequence[str], row: Sequence[str]) -> Table:
    block = Table.grid("", Column("", overflow="fold"), padding=(0, 2, 0, 0))
    for column, cell in zip(columns, row, strict=True):
        if cell:
            block.add_row(Text(column), Text(cell))
    block.add_row()
    return block


def _widths(rows: Sequence[Sequence[str]], width: int) -> list[int]:
    """How wide each column is in a table that breaks no word.

    Args:
        rows: cells, the headings among them.
        width: of the table at most, borders and all.

    Returns:
        As much as every column asks for, where that fits; else the widest
        between words give way first. Nothing where words would break.
    """
    columns = [*zip(*rows, strict=True)]
    least = [
        max(
            (cell_len(word) for cell in one for word in cell.split()),
            default=0,
        )
        for one in columns
    ]
    widths = [
        max(
            (cell_len(line) for cell in one for line in cell.splitlines()),
            default=0,
        )
        for one in columns
    ]
    over = 1 + sum(one + _AROUND for one in widths) - width
    for _ in range(over):
        spare, place = max(
            (one - narrowest, place)
            for place, (one, narrowest) in enumerate(
                zip(widths, least, strict=True)
            )
        )
        if not spare:
            return []
        widths[place] -= 1
    return widths
