"""The attacks on extracts and the bad input, and the tests of each of them.

For each is said what was taken away to see its tests fail, or that the tests
do so themselves: they run the same attack on what is undefended.
"""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ITSELF = "in the tests: undefended, the same attack succeeds"
TABLES, SUCCESSION = "test_table_attacks", "test_succession"

ATTACKS: dict[str, tuple[dict[str, tuple[str, ...]], str]] = {
    "singling out": (
        {
            TABLES: (
                "test_nobody_is_singled_out_by_quasi_identifiers",
                "test_whole_rows_are_not_alone_in_their_class",
            ),
            "test_trials": ("test_a_release_withstands_what_reads_raw_rows",),
        },
        ITSELF,
    ),
    "linkage with a non-member control": (
        {
            TABLES: ("test_linkage_succeeds_no_better_than_one_in_k",),
            "test_trials": ("test_a_release_withstands_what_reads_raw_rows",),
        },
        ITSELF,
    ),
    "membership": (
        {
            TABLES: (
                "test_membership_shows_no_more_than_in_the_control",
                "test_presence_bounds_what_a_match_says",
            ),
            "test_trials": (
                "test_labels_that_only_members_match_are_found_out",
            ),
        },
        "the control not set aside",
    ),
    "attribute inference": (
        {
            TABLES: (
                "test_the_sensitive_value_is_not_inferred_of_members",
                "test_closeness_leaves_little_to_infer",
            ),
        },
        ITSELF,
    ),
    "downcoding": (
        {TABLES: ("test_downcoding_recovers_nobody_for_certain",)},
        ITSELF,
    ),
    "minimality": (
        {TABLES: ("test_minimality_of_the_repair_gives_little_away",)},
        ITSELF,
    ),
    "differencing of two releases": (
        {
            SUCCESSION: (
                "test_no_small_sets_over_many_releases",
                "test_withdrawals_cannot_be_read_off_two_releases",
                "test_one_who_leaves_alone_takes_the_class_along",
                "test_who_leaves_together_can_have_had_more_than_one_value",
                "test_sets_of_one_value_are_found_by_counting",
            ),
            "test_release": (
                "test_an_extract_that_would_tell_who_left_is_delayed",
                "test_a_colluding_recipient_is_guarded_as_one",
                "test_of_two_takes_at_once_one_waits",
            ),
        },
        (
            "classes made without the earlier ones; values not compared, in "
            "the making or in the check; nothing coarsened; what was made "
            "meanwhile not looked at"
        ),
    ),
    "audit of the noise": (
        {
            "test_numbers": (
                "test_no_audit_shows_more_than_is_claimed",
                "test_half_the_noise_is_caught",
                "test_an_eighth_of_a_quantiles_noise_is_caught",
            ),
        },
        ITSELF,
    ),
    "budgets of those who share": (
        {
            "test_budgets": (
                "test_recipients_who_collude_are_stopped_together",
                "test_recipients_who_share_have_a_budget_together",
                "test_two_noises_of_one_question_are_two_losses",
                "test_the_last_of_a_budget_is_given_once",
                "test_there_is_no_bare_number",
            ),
        },
        "the cap of the group; the question about no attribute let through",
    ),
    "canaries in text": (
        {
            "test_text_canaries": (
                "test_the_search_for_canaries_finds_them",
                "test_no_canary_leaves_in_an_extract",
                "test_canaries_leave_where_known_values_are_not_looked_for",
                "test_no_canary_leaves_in_a_scrubbed_file",
            ),
        },
        ITSELF,
    ),
    "counts in the recipient's copy": (
        {
            "test_report": (
                "test_recipients_get_no_exact_figure_of_attacks_or_differences",
            ),
            "test_report_page": (
                "test_the_officer_reads_counts_and_the_recipient_does_not",
            ),
            "test_release": (
                "test_the_report_says_what_the_release_rests_on",
            ),
        },
        "exact rates, differences or counts of people given to both copies",
    ),
    "empty table, one row, k larger than the table, nulls, mixed types, a "
    "value outside its hierarchy": (
        {"test_plainfile": ("test_bad_input_is_one_error_and_no_file",)},
        "each error is named: another one fails",
    ),
    "all rows equal, unique quasi-identifiers": (
        {
            "test_bulk": (
                "test_odd_columns_hold_or_give_no_rows",
                "test_any_table_holds_its_terms_or_gives_no_rows",
            ),
        },
        "counted by hand from the file that was written",
    ),
    "a hierarchy that is no tree": (
        {
            "test_hierarchies": (
                "test_what_is_no_tree_is_refused",
                "test_rules_that_do_not_nest_are_refused",
                "test_a_malformed_file_is_one_clear_error",
            ),
        },
        "each error is named: another one fails",
    ),
    "10,000 columns, wrong encoding, CSV bombs": (
        {
            "test_bulk": ("test_bad_files_are_one_clear_error",),
            "test_plainfile": ("test_what_is_not_text_or_parquet_is_told",),
        },
        "each error is named: another one fails",
    ),
    "text of 100 MB, zip and PDF bombs": (
        {
            "test_scrub_files": (
                "test_hostile_files_end_in_one_clear_error",
                "test_the_limits_are_what_refuses_a_swollen_archive",
                "test_the_process_that_reads_is_bound_in_memory",
                "test_a_file_above_its_size_is_refused_unread",
            ),
            "test_names": ("test_no_rule_of_english_takes_long_on_any_text",),
        },
        ITSELF,
    ),
}


def names(module: str) -> set[str]:
    """List the test functions of a module, without running it."""
    tree = ast.parse((TESTS / f"{module}.py").read_text("utf-8"))
    return {
        node.name for node in tree.body if isinstance(node, ast.FunctionDef)
    }


@pytest.mark.parametrize("what", [*ATTACKS])
def test_what_is_named_is_there(what: str) -> None:
    """A renamed or deleted test leaves no attack covered by its memory."""
    tests, removal = ATTACKS[what]
    assert tests
    assert removal
    for module, wanted in tests.items():
        assert {*wanted} <= names(module), module
