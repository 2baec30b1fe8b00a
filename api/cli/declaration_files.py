"""Declarations as files: YAML or P3P XML, told apart by what they hold."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from consent import (
    Declaration,
    Finding,
    P3PDocument,
    P3PPolicy,
    load_p3p,
    load_yaml,
    policy_of,
    read_p3p,
    read_p3p_document,
)

File = Annotated[
    Path,
    typer.Argument(
        exists=True, dir_okay=False, help="YAML or P3P XML declaration."
    ),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """What a declaration file holds, in whatever form it is written."""

    declarations: tuple[Declaration, ...]
    findings: tuple[Finding, ...] = ()
    document: P3PDocument | None = None


def is_xml(text: bytes, path: Path) -> bool:
    """Say whether a file is XML: by what it begins with, or by its name."""
    start = text[:64].lstrip(b"\xef\xbb\xbf\xff\xfe\x00 \t\r\n")
    return start.startswith(b"<") or path.suffix.lower() in {".xml", ".p3p"}


def read(path: Path) -> tuple[Declaration, ...]:
    """Read the declarations of a file.

    Raises:
        DeclarationInvalid: with file, line, column, what and remedy.

    """
    text = path.read_bytes()
    if is_xml(text, path):
        return load_p3p(text, where=str(path))
    return (load_yaml(text, where=str(path)),)


def read_all(path: Path, *, tests: bool = False, strict: bool = False) -> Read:
    """Read a file with all that was noticed in it."""
    text = path.read_bytes()
    if not is_xml(text, path):
        return Read(declarations=(load_yaml(text, where=str(path)),))
    reading = read_p3p(
        text, where=str(path), include_tests=tests, strict=strict
    )
    return Read(
        declarations=reading.declarations,
        findings=reading.findings,
        document=reading.document,
    )


def policies(path: Path) -> tuple[P3PPolicy, ...]:
    """Return the P3P policies of a file, or what its YAML is in P3P."""
    text = path.read_bytes()
    if is_xml(text, path):
        return read_p3p_document(text, where=str(path))[0].policies
    return (policy_of(load_yaml(text, where=str(path))),)
