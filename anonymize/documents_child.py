"""Text of DOCX and PDF files, read where it can do no harm.

A few kilobytes of either can unfold to gigabytes, or keep a parser busy for
days. So the reading happens in a child process that is bound in memory and
in processor time by the system and in patience by its parent; the archive
of a DOCX file is looked at before, and its parts may name no entities.
"""

import multiprocessing as mp
import resource
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from anonymize.errors import (
    AnonymizeError,
    DocumentUnreadable,
    MissingExtra,
    TextTooLong,
)

MEGABYTE = 1_048_576


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is refused.

    Attributes:
        file_bytes: size of a file.
        characters: text in a DOCX or PDF file.
        unpacked_bytes: parts of a DOCX file, unpacked, together.
        parts: files in the archive of a DOCX file.
        ratio: how many times a part may be larger than packed.
        pages: of a PDF file.
        memory_bytes: address space of the process that reads.
        seconds: time of the process that reads.
    """

    file_bytes: int = 128 * MEGABYTE
    characters: int = 20_000_000
    unpacked_bytes: int = 256 * MEGABYTE
    parts: int = 5_000
    ratio: int = 200
    pages: int = 5_000
    memory_bytes: int = 2_048 * MEGABYTE
    seconds: int = 120


def extract_apart(path: Path, limits: Limits) -> list[str]:
    """Return the passages of a DOCX or PDF file.

    Args:
        path: the file.
        limits: what is refused.

    Raises:
        TextTooLong: it unfolds to more than is allowed, or takes too long.
        DocumentUnreadable: it is not what its suffix says.
        MissingExtra: the extra ``documents`` is not installed.
    """
    if path.suffix.lower() == ".docx":
        _look_into(path, limits)
    context = mp.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    child = context.Process(
        target=_run, args=(there, str(path), limits), daemon=True
    )
    child.start()
    there.close()
    try:
        # A child killed for what it took closes the pipe without a word.
        if not here.poll(limits.seconds + 30):
            raise _exhausted(path)
        outcome, texts = here.recv()
    except (EOFError, OSError):
        raise _exhausted(path) from None
    finally:
        child.kill()
        child.join()
        here.close()
    errors: dict[str, type[AnonymizeError]] = {
        "unreadable": DocumentUnreadable,
        "long": TextTooLong,
    }
    if outcome in errors:
        msg = f"{path.name}: {texts[0]}"
        raise errors[outcome](msg)
    if outcome == "missing":
        raise MissingExtra(library=texts[0])
    return list(texts)


def _exhausted(path: Path) -> TextTooLong:
    msg = (
        f"{path.name} took more memory or time than is allowed to read; "
        "it may have been made to"
    )
    return TextTooLong(msg)


def _look_into(path: Path, limits: Limits) -> None:
    """Refuse an archive that unfolds to too much, before any unfolding."""
    try:
        with zipfile.ZipFile(path) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError):
        msg = f"{path.name} is no DOCX file"
        raise DocumentUnreadable(msg) from None
    unpacked = sum(part.file_size for part in parts)
    swollen = any(
        part.file_size > max(MEGABYTE, limits.ratio * part.compress_size)
        for part in parts
    )
    if len(parts) > limits.parts or unpacked > limits.unpacked_bytes:
        msg = (
            f"{path.name} unfolds to {len(parts)} parts of {unpacked} bytes; "
            f"allowed are {limits.parts} and {limits.unpacked_bytes}"
        )
        raise TextTooLong(msg)
    if swollen:
        msg = (
            f"{path.name} has a part more than {limits.ratio} times larger "
            "than packed: it was made to unfold"
        )
        raise TextTooLong(msg)


def _run(there: Connection, path: str, limits: Limits) -> None:
    """Read in the child, and send what there is, or what is wrong."""
    resource.setrlimit(resource.RLIMIT_AS, (limits.memory_bytes,) * 2)
    resource.setrlimit(
        resource.RLIMIT_CPU, (limits.seconds, limits.seconds + 5)
    )
    with suppress(BrokenPipeError):
        there.send(_read(path, limits))
    there.close()


def _read(path: str, limits: Limits) -> tuple[str, list[str]]:
    texts: list[str] = []
    left = limits.characters
    try:
        found = (
            _docx(path) if path.lower().endswith("x") else _pdf(path, limits)
        )
        for text in found:
            left -= len(text)
            if left < 0:
                return "long", [
                    f"more than {limits.characters} characters of text"
                ]
            texts.append(text)
    except ImportError as missing:
        return "missing", [missing.name or "a library"]
    except MemoryError:
        return "long", ["more memory than is allowed"]
    except _TooManyPages:
        return "long", [f"more than {limits.pages} pages"]
    except Exception as problem:  # noqa: BLE001 - parsers raise all kinds
        # The class alone: messages of parsers quote what they read.
        return "unreadable", [f"cannot be read ({type(problem).__name__})"]
    return "read", texts


class _TooManyPages(Exception):
    """A PDF file has more pages than are allowed."""


def _docx(path: str) -> Iterator[str]:
    import docx  # noqa: PLC0415 - loaded in the child alone
    from docx.oxml.ns import qn  # noqa: PLC0415 - as above

    document = docx.Document(path)
    bodies = [document.element.body]
    for section in document.sections:
        parts = (
            section.header,
            section.footer,
            section.first_page_header,
            section.first_page_footer,
            section.even_page_header,
            section.even_page_footer,
        )
        bodies += [
            part._element  # noqa: SLF001 - there is no public way
            for part in parts
            if not part.is_linked_to_previous
        ]
    for body in bodies:
        # Every paragraph: of tables and text boxes too.
        for paragraph in body.iter(qn("w:p")):
            yield "".join(
                node.text or "" if node.tag == qn("w:t") else "\t"
                for node in paragraph.iter(qn("w:t"), qn("w:tab"), qn("w:br"))
            )


def _pdf(path: str, limits: Limits) -> Iterator[str]:
    import pypdf  # noqa: PLC0415 - loaded in the child alone

    reader = pypdf.PdfReader(path, strict=False)
    if len(reader.pages) > limits.pages:
        raise _TooManyPages
    for page in reader.pages:
        yield page.extract_text()
