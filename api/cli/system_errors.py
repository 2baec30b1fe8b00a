"""What the system refused, in words: what, where, and what to do.

The system names a file that could not be had, which may be one that a
command made on its way. Here it becomes the path that was given, where there
is one. The content of a file is never in what is said.
"""

import errno
import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

_COMPARED_BYTES = 64 << 20
_PASSING = frozenset({".new", ".part"})
_SAYS: Mapping[int, str] = MappingProxyType(
    {
        errno.EISDIR: "is a folder; name a file",
        errno.EEXIST: "exists; name another",
        errno.ENOTEMPTY: "is a folder with something in it; name another",
        errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
        errno.ELOOP: "its links lead in a circle; name the file itself",
        errno.EROFS: "the file system is read-only; name another place",
        errno.ENOSPC: "the disk is full; make room and try again",
        errno.EDQUOT: "the disk quota of this account is used up; make room "
        "and try again",
        errno.EFBIG: "larger than this account may write; raise the limit "
        "(ulimit -f) and try again",
        errno.EMFILE: "too many files are open; raise the limit (ulimit -n) "
        "and try again",
        errno.EIO: "the disk could not be read or written; look at it, and "
        "try again",
        errno.ENOEXEC: "is no program that this machine can run; name another",
    }
)


def told(error: Exception, given: Sequence[Path]) -> str:
    """Say what the system refused.

    Args:
        error: what was raised.
        given: the paths that the command was given.

    Returns:
        One sentence without the full stop; empty if the error is of another
        kind, or says it in words of its own.

    """
    if isinstance(error, UnicodeDecodeError):
        wrong = error.object
        where = _holding(given, lambda path: wrong in path.read_bytes())
        return (
            f"{where or 'what was read'}: no text in "
            f"{error.encoding.upper()}; save it in that encoding, or name "
            "another file"
        )
    if isinstance(error, UnicodeEncodeError):
        return (
            f"a text cannot be written in {error.encoding.upper()}; use "
            "UTF-8 (PYTHONUTF8=1)"
        )
    if isinstance(error, json.JSONDecodeError):
        text = error.doc
        where = _holding(given, lambda path: text == path.read_text("utf-8"))
        return (
            f"{where or 'what was read'}:{error.lineno}:{error.colno}: no "
            f"JSON ({error.msg}); correct it at this place"
        )
    if isinstance(error, OSError):
        return _refused(error, given)
    return ""


def _refused(error: OSError, given: Sequence[Path]) -> str:
    # Libraries have classes and words of their own.
    if error.errno is None or type(error).__module__ != "builtins":
        return ""
    if error.strerror != os.strerror(error.errno):
        return f"{error.strerror}"
    found = error.filename2 or error.filename
    if not isinstance(found, (str, bytes)):
        return f"{_SAYS.get(error.errno) or _bare(error)}"
    path = Path(os.fsdecode(found))
    place = _place(path, given)
    return f"{place}: {_what(error, path, place)}"


def _what(error: OSError, path: Path, place: Path) -> str:
    match error.errno:
        case errno.ENOENT if not _is_there(place.parent):
            missing = place.parent
            while not _is_there(missing.parent):
                missing = missing.parent
            return (
                f"the folder {missing} does not exist; make it, or name "
                "another place"
            )
        case errno.ENOENT:
            return "there is no such file; look at the name"
        case errno.EACCES | errno.EPERM if path.is_dir():
            # So a folder answers that is run as a program, too.
            return (
                "is a folder, or one that this account may not use; name a "
                "file, or let this account read and write there"
            )
        case errno.EACCES | errno.EPERM:
            return (
                f"this account may not use {_nearest(path)}; let it read "
                "and write there, or name another place"
            )
        case errno.ENOTDIR | errno.EEXIST if _nearest(place).is_file():
            return f"{_nearest(place)} is a file; a folder is needed there"
        case number:
            return _SAYS.get(number or 0) or _bare(error)


def _bare(error: OSError) -> str:
    return (error.strerror or "").lower()


def _place(path: Path, given: Sequence[Path]) -> Path:
    """The path that was given, for one that was made from it."""
    for one in given:
        if path == one or (
            path.parent == one.parent and path.name.startswith(f".{one.name}.")
        ):
            return one
    if not (path.name.startswith(".") or path.suffix in _PASSING):
        return path
    above = [one for one in given if one in path.parents]
    if not above and Path(tempfile.gettempdir()) in path.parents:
        return Path(tempfile.gettempdir())
    return above[0] if above else path.parent


def _nearest(path: Path) -> Path:
    """The path, or what stands nearest above it."""
    while not _is_there(path) and path != path.parent:
        path = path.parent
    return path


def _is_there(path: Path) -> bool:
    return os.access(path, os.F_OK)


def _holding(
    given: Sequence[Path], holds: Callable[[Path], bool]
) -> Path | None:
    """Which of the given files an error of its text is about."""
    for path in given:
        try:
            if path.stat().st_size <= _COMPARED_BYTES and holds(path):
                return path
        except (OSError, ValueError):
            continue
    return None
