"""Erasure, holds, retention, backups and restores on the command line.

The tests share one instance and touch a person each; the last one puts a
backup in place.
"""

from pathlib import Path
from uuid import uuid4

import pytest

from tests.test_cli import Shell, _clean
from tests.worlds import NUMBER, STREET, build_world, person_values

__all__ = ["_clean"]

TWO = ("--proposer", "officer-2", "--as", "officer-1")


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """An instance with its cast, that the tests share."""
    home = tmp_path_factory.mktemp("custody") / "home"
    # The commands go by the machine's clock: what is old enough is due.
    with build_world(home, start=1_600_000_000) as world:
        return Shell(home=home, cast=dict(world.cast))


def test_an_erasure_and_its_certificate(shell: Shell, tmp_path: Path) -> None:
    """Erased by id; the note verifies offline, and an altered one does not."""
    subject = shell.cast["silent"]
    why = ("--because", "asked for it", *TWO)
    done = shell("erase", subject, *why, "--json").document()
    assert {"subject": str(subject), "values": 12, "kek_epoch": 1} == done
    again = shell("erase", subject, *why)
    assert "not known" in again.line()

    made = shell("erasure", "certificate", subject, "--json").document()
    assert (str(subject), "planned") == (made["subject"], made["last-copy-is"])
    printed = shell("erasure", "certificate", subject).out
    assert made["note"].rstrip("\n") == printed.rstrip("\n")
    note = tmp_path / "erasure.note"
    note.write_text(made["note"], "utf-8")
    key = shell("ledger", "key").out.split("\n")[0]
    found = shell("erasure", "verify", note, "--vkey", key, "--json")
    assert made["entry"] == found.document()["entry"]
    as_it_was = shell("erasure", "verify", note, "--key", key, "--json")
    assert found == as_it_was
    note.write_text(made["note"].replace("planned", "certain"), "utf-8")
    assert shell("erasure", "verify", note, "--vkey", key).line()
    nobody = shell("erasure", "certificate", uuid4())
    assert "no erasure of" in nobody.line()


def test_an_erasure_by_identifier(shell: Shell) -> None:
    """Found by the number; one that nobody has is not repeated."""
    number = person_values(7)[NUMBER]
    why = ("--because", "asked for it")
    unknown = person_values(977)[NUMBER]
    said = shell("erase", unknown, *why, *TWO).line()
    assert "nobody has that identifier" in said
    assert unknown not in said
    alone = ("--proposer", "officer-1", "--as", "officer-1")
    assert shell("erase", number, *why, *alone).line()

    done = shell("erase", number, *why, *TWO)
    assert 0 == done.code
    assert f"Erased: {shell.cast['valueless']}" in done.out


def test_a_hold_from_proposal_to_the_end(shell: Shell) -> None:
    """Two officers each way; an erasure waits, and then runs."""
    subject = shell.cast["limited"]
    case = ("--because", "case 7", "--review", "2027-01-31")
    one, two = ("--as", "officer-1"), ("--as", "officer-2")
    hold = shell("hold", "propose", subject, *case, *one, "--json").document()[
        "hold"
    ]
    assert shell("hold", "confirm", hold, *one).line()
    held = shell("hold", "confirm", hold, *two, "--json").document()
    assert {"hold": hold, "subject": str(subject), "in_force": True} == held

    why = ("--because", "asked for it", *TWO)
    assert "hold" in shell("erase", subject, *why).line()
    (listed,) = shell("hold", "list", *one, "--json").document()["holds"]
    assert (hold, "2027-01-31", "yes", "case 7") == (
        listed["hold"],
        listed["review"],
        listed["erasure_waits"],
        listed["reason"],
    )
    assert "case 7" in shell("hold", "list", *one).out
    first = shell("hold", "lift", hold, *one, "--json").document()
    assert first["in_force"]
    assert shell("hold", "lift", hold, *one).line()
    last = shell("hold", "lift", hold, *two, "--json").document()
    assert not last["in_force"]
    assert [] == shell("hold", "list", *one, "--json").document()["holds"]
    certificate = shell("erasure", "certificate", subject)
    assert str(subject) in certificate.out
    assert shell("hold", "confirm", uuid4(), *two).line()


def test_retention_is_planned_and_run(shell: Shell) -> None:
    """What the plan names goes, once; an instance that is none is named."""
    subject = str(shell.cast["withdrawn"])
    due = shell("retention", "plan", "--json").document()["due"]
    (mine,) = (one for one in due if one["subject"] == subject)
    assert STREET in mine["attributes"]
    assert subject in shell("retention", "plan").out
    done = shell("retention", "run", "--json").document()
    assert len(due) == done["people"]
    assert [] == done["held"]
    assert [] == shell("retention", "plan", "--json").document()["due"]
    assert "0 values of 0 people" in shell("retention", "run").out
    absent = Shell(home=shell.home / "absent", cast={})
    assert absent("retention", "plan").line(2)


def test_backups_and_the_way_back(shell: Shell, tmp_path: Path) -> None:
    """Apart, replayed, whole; a mixture or a lost journal is refused."""
    data, keys = tmp_path / "data", tmp_path / "keys"
    made = shell("backup", "data", data, "--json").document()
    assert Path(made["manifest"]).is_file()
    assert "erasure journal" in shell("backup", "keys", keys).out
    assert "kept apart" in shell("backup", "keys", data).line()
    subject = shell.cast["refusing"]
    shell("erase", subject, "--because", "asked for it", *TWO)

    journal = shell.home / "journal" / "erasures"
    whole = journal.read_bytes()
    journal.unlink()
    said = shell("restore", "data", made["backup"]).line()
    assert "come back" in said
    journal.write_bytes(whole)
    done = shell("restore", "data", made["backup"], "--json").document()
    assert ("data", 1, []) == (
        done["restored"],
        done["brought_back"],
        done["warnings"],
    )
    (file,) = keys.glob("*.db")
    said_keys = shell("restore", "keys", file)
    assert "Restored: keys." in said_keys.out
    replayed = shell("restore", "replay", "--json").document()
    assert ("replay", 0) == (replayed["restored"], replayed["brought_back"])
    found = shell("erasure", "certificate", subject)
    assert str(subject) in found.out
    assert "Nothing is wrong: " in shell("vault", "verify").out
    assert (
        "this is a backup of the keys" in shell("restore", "data", file).line()
    )
