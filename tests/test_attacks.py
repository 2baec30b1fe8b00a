"""The twenty-five attacks, and the tests that show each of them fail.

For each is said which defence was taken away to see its tests fail: a test
that passes without the defence that it is about shows nothing.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
VAULT = "test_vault_attacks"
INDEX = "test_index_attacks"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attack:
    """One attack.

    Attributes:
        what: what is tried.
        tests: by module, the names of tests or what they begin with.
        removal: what was taken away, and made one of them fail.

    """

    what: str
    tests: dict[str, tuple[str, ...]]
    removal: str


ATTACKS = {
    1: Attack(
        what="swap values between columns, rows, subjects, tenants",
        tests={VAULT: ("test_01_",)},
        removal="tenant, subject, place or version out of the associated "
        "data, each alone",
    ),
    2: Attack(
        what="swap wrapped DEKs",
        tests={VAULT: ("test_02_swap_wrapped_deks",)},
        removal="the commitment unchecked",
    ),
    3: Attack(
        what="swap blobs between DEK generations",
        tests={VAULT: ("test_03_",), "test_rekeying": ("test_03_",)},
        removal="the generation out of the associated data and out of the "
        "label of the sub-keys; out of one alone, the other still holds it",
    ),
    4: Attack(
        what="restore an old version of a value",
        tests={VAULT: ("test_04_restore_an_old_version_of_a_value",)},
        removal="the rows not compared with the manifest, or only their "
        "number",
    ),
    5: Attack(
        what="drop an attribute row",
        tests={VAULT: ("test_05_",)},
        removal="the manifest not compared; its MAC unchecked, in reading or "
        "in writing",
    ),
    6: Attack(
        what="roll the whole subject back",
        tests={VAULT: ("test_06_",)},
        removal="the epoch not compared with its witness",
    ),
    7: Attack(
        what="a ciphertext valid under two DEKs",
        tests={VAULT: ("test_07_",)},
        removal="the commitment unchecked",
    ),
    8: Attack(
        what="nonce uniqueness over a million writes, and after a fork",
        tests={VAULT: ("test_08_",)},
        removal="a constant nonce",
    ),
    9: Attack(
        what="flip every byte of every stored field",
        tests={VAULT: ("test_09_",)},
        removal="the state MAC unchecked; the binding of an index entry "
        "unchecked",
    ),
    10: Attack(
        what="downgrade of the suite byte",
        tests={VAULT: ("test_10_downgrade_of_the_suite",)},
        removal="the header of a value, or of a wrapped DEK, unchecked",
    ),
    11: Attack(
        what="length leak before and after padding",
        tests={VAULT: ("test_11_",)},
        removal="nothing padded; the head not padded by itself",
    ),
    12: Attack(
        what="frequency attack on the blind index of a skewed column",
        tests={
            INDEX: ("test_12_",),
            "test_index_jobs": ("test_a_skewed_column_gets_none",),
            "test_planner": ("test_what_gets_no_index",),
        },
        removal="skew or low entropy not refused; the width unbounded, the "
        "digest uncut, other indexes of the column not counted",
    ),
    13: Attack(
        what="index equality across tenants and columns",
        tests={VAULT: ("test_13_",), INDEX: ("test_13_",)},
        removal="tenant, attribute, prefix or width out of the label of the "
        "key, each alone",
    ),
    14: Attack(
        what="dictionary run against an index with a leaked database only",
        tests={VAULT: ("test_14_",), INDEX: ("test_14_",)},
        removal="the root stored bare, or a constant; digests without a key",
    ),
    15: Attack(
        what="read with a deactivated, compromised, destroyed KEK",
        tests={
            VAULT: ("test_15_",),
            "test_key_desk": ("test_states_set_back_with_their_seal_",),
        },
        removal="the seal of the KEK states unchecked; their number of "
        "changes not compared with the ledger's",
    ),
    16: Attack(
        what="two active KEKs by a race",
        tests={VAULT: ("test_16_two_active_keks",)},
        removal="the unique index on the active epoch",
    ),
    17: Attack(
        what="kill -9 in the middle of a re-wrap",
        tests={VAULT: ("test_17_",)},
        removal="the new epoch not bound to what is wrapped anew",
    ),
    18: Attack(
        what="restore yesterday's backup after an erasure",
        tests={
            VAULT: ("test_18_",),
            "test_restoring": ("test_attack_18_",),
        },
        removal="the journal not replayed; the key of the old epoch not "
        "destroyed",
    ),
    19: Attack(
        what="erased subject through a cache, a replica, a second worker",
        tests={VAULT: ("test_19_",), "test_canaries": ("test_attack_19_",)},
        removal="the revision of the person's facts not looked at again "
        "before an entry",
    ),
    20: Attack(
        what="plaintext in logs, exceptions, files, dead rows",
        tests={VAULT: ("test_20_",), "test_canaries": ("test_attack_20_",)},
        removal="index entries that are the text",
    ),
    21: Attack(
        what="injectivity of the associated data",
        tests={VAULT: ("test_21_",)},
        removal="fields joined without their lengths",
    ),
    22: Attack(
        what="error oracle: wrong key, wrong place and missing alike",
        tests={VAULT: ("test_22_",)},
        removal="another class of error where a key does not open; other "
        "types of columns let through",
    ),
    23: Attack(
        what="a served read without a ledger entry",
        tests={
            "test_gate": (
                "test_the_entry_is_durable_before_the_vault_opens",
                "test_no_entry_no_answer",
            ),
            "test_durability": (
                "test_a_killed_server_has_an_entry_for_every_answer",
            ),
            "test_ledger_processes": ("test_killed_",),
        },
        removal="values opened before the entry is recorded",
    ),
    24: Attack(
        what="fork, split view, truncated or re-ordered ledger, forgery",
        tests={
            "test_witness": (
                "test_a_forged_checkpoint_is_403",
                "test_a_fork_",
                "test_a_reordered_ledger_is_422",
                "test_a_truncated_ledger_is_refused",
            ),
            "test_verifier_complete": ("test_attack_24_",),
            "test_pending": ("test_a_pending_row_that_is_put_back_is_found",),
        },
        removal="no consistency proof asked of a grown checkpoint; leaves "
        "that stand twice not looked for",
    ),
    25: Attack(
        what="break-glass without a second approver",
        tests={"test_glass": ("test_25_",)},
        removal="the deadline out of the policies; separation of duties out "
        "of the vocabulary; an approval that overwrites another; the alert "
        "not asked for; an early end without the alert, or with no look at "
        "the deadline; a damaged record that stops the settling",
    ),
}


def names(module: str) -> set[str]:
    """List the test functions of a module, without running it."""
    tree = ast.parse((TESTS / f"{module}.py").read_text("utf-8"))
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    }


def test_every_attack_is_listed() -> None:
    """From the first to the last, each with what was taken away."""
    assert list(range(1, 26)) == list(ATTACKS)
    assert all(one.removal for one in ATTACKS.values())
    assert all(one.tests for one in ATTACKS.values())


@pytest.mark.parametrize("number", range(1, 26))
def test_what_is_named_is_there(number: int) -> None:
    """A renamed or deleted test leaves no attack covered by its memory."""
    for module, wanted in ATTACKS[number].tests.items():
        known = names(module)
        for start in wanted:
            exact = not start.endswith("_")
            assert [
                name
                for name in known
                if name == start or (not exact and name.startswith(start))
            ], f"{module} has no {start}"


def test_every_numbered_test_is_listed() -> None:
    """A test with an attack's number in its name is in the table."""
    for module in (VAULT, INDEX):
        for name in names(module):
            number = name.removeprefix("test_")[:2]
            if number.isdigit():
                tests = ATTACKS[int(number)].tests[module]
                assert name.startswith(tests)
