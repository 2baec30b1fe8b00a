"""What the system refuses is said in words, at the path that was given."""

import errno
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from api.cli.main import build
from api.cli.system_errors import told


def refused(code: int, path: Path | str | None = None) -> OSError:
    """An error as the system raises it."""
    if path is None:
        return OSError(code, os.strerror(code))
    return OSError(code, os.strerror(code), str(path))


def test_a_file_made_on_the_way_is_told_as_the_one_given(
    tmp_path: Path,
) -> None:
    """Names that nobody typed are not shown."""
    given = tmp_path / "nodir" / "out.csv"
    for name in (".out.csv.part", ".out.csv.x8_k2", "out.csv"):
        said = told(refused(errno.ENOENT, given.parent / name), [given])
        assert f"{given}: the folder {given.parent} does not exist" in said
        assert "make it" in said
        assert ".part" not in said


def test_a_file_made_in_the_folder_given_is_told_as_that_folder(
    tmp_path: Path,
) -> None:
    """A backup's unfinished file stands for the backup's folder."""
    inner = tmp_path / "town-data.part"
    said = told(refused(errno.ENOSPC, inner), [tmp_path])

    assert f"{tmp_path}: the disk is full; make room and try again" == said


def test_a_file_for_the_time_being_is_told_as_their_folder() -> None:
    """The system's folder of temporary files is named, not the file."""
    folder = Path(tempfile.gettempdir())
    said = told(refused(errno.ENOSPC, folder / "tmpx" / "a.part"), [])

    assert said.startswith(f"{folder}: the disk is full")


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (errno.EISDIR, "is a folder; name a file"),
        (errno.EEXIST, "exists; name another"),
        (errno.EROFS, "read-only"),
        (errno.EFBIG, "ulimit -f"),
        (errno.EMFILE, "ulimit -n"),
        (errno.EXDEV, "cross-device"),
        (errno.EACCES, "let it read and write"),
    ],
)
def test_each_refusal_has_words(tmp_path: Path, code: int, says: str) -> None:
    """What it is and what to do, without a number."""
    file = tmp_path / "file"
    said = told(refused(code, file), [file])

    assert says in said
    assert "Errno" not in said


def test_a_file_where_a_folder_is_needed_is_named(tmp_path: Path) -> None:
    """The file that stands in the way, not what was to be made under it."""
    file = tmp_path / "people.csv"
    file.touch()
    for given in (file, file / "x"):
        said = told(refused(errno.ENOTDIR, given / "tile" / "000"), [given])
        assert f"{file} is a file; a folder is needed there" in said


def test_of_a_rename_the_target_is_named(tmp_path: Path) -> None:
    """The source was made by the command."""
    out = tmp_path / "out"
    text = os.strerror(errno.ENOTEMPTY)
    error = OSError(errno.ENOTEMPTY, text, "made", None, str(out))

    assert told(error, []).startswith(f"{out}: is a folder with something")


def test_words_of_its_own_stay(tmp_path: Path) -> None:
    """An error that was raised with a sentence keeps it."""
    assert not told(FileExistsError("another one runs"), [tmp_path])
    assert "bind 1" == told(OSError(errno.EADDRINUSE, "bind 1"), [])
    assert told(refused(errno.ENOSPC), []).startswith("the disk is full")


def test_a_text_in_another_encoding_is_named_and_not_quoted(
    tmp_path: Path,
) -> None:
    """The file of several that it was; nothing that stands in it."""
    good, wrong = tmp_path / "good", tmp_path / "wrong"
    good.write_text("{}", "utf-8")
    wrong.write_bytes(b"Canary \xff\xfe")
    with pytest.raises(UnicodeDecodeError) as caught:
        wrong.read_text("utf-8")
    said = told(caught.value, [good, tmp_path, wrong])

    assert said.startswith(f"{wrong}: no text in UTF-8; save it")
    assert "ff" not in said.removeprefix(str(wrong))
    with pytest.raises(UnicodeEncodeError) as strange:
        "Canary 名".encode("latin-1")
    assert "540d" not in told(strange.value, [])


def test_a_text_that_is_no_json_is_named(tmp_path: Path) -> None:
    """File, line and column."""
    wrong = tmp_path / "wrong.json"
    wrong.write_text('{"Canary":\n ]', "utf-8")
    with pytest.raises(json.JSONDecodeError) as caught:
        json.loads(wrong.read_text("utf-8"))
    said = told(caught.value, [wrong])

    assert said.startswith(f"{wrong}:2:2: no JSON")
    assert "Canary" not in said
    assert not told(ValueError("Canary"), [wrong])


def _scrub(folder: Path) -> list[str]:
    note = folder / "note.txt"
    note.write_text("Call Alfa.", "utf-8")
    out = folder / "nodir" / "out.txt"
    return ["scrub", "--input", str(note), "--out", str(out)]


def _receipt(folder: Path) -> list[str]:
    receipt = folder / "receipt.jws"
    receipt.write_bytes(b"\xff")
    return ["receipt", "verify", str(receipt), "--key", str(folder)]


def _doc(folder: Path) -> list[str]:
    return ["policy", "doc", "--out", str(folder / "nodir" / "doc.md")]


@pytest.mark.parametrize("command", [_scrub, _receipt, _doc])
def test_commands_speak_so(
    tmp_path: Path, command: Callable[[Path], list[str]]
) -> None:
    """One line that names what was given, without number or class."""
    said = CliRunner().invoke(build(), command(tmp_path))

    assert said.exit_code in {1, 2}
    assert 1 == len(said.stderr.splitlines())
    assert str(tmp_path) in said.stderr
    for raw in ("Errno", "codec", "unexpected", ".part"):
        assert raw not in said.stderr
