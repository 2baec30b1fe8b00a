package curtilage.cohort_test

import data.curtilage.cohort

about(names) := {"request": {"attributes": names}}

whole := {"attributes": {"a": {"effect": "release", "reasons": [{"code": "consent_given"}]}}}

partly := {"attributes": {
	"a": {"effect": "release", "reasons": [{"code": "consent_given"}]},
	"b": {"effect": "generalize", "reasons": [{"code": "preference_limits"}]},
	"c": {"effect": "withhold", "reasons": [{"code": "no_value"}, {"code": "consent_missing"}]},
}}

test_what_is_released_whole_has_no_code if {
	cohort.include with input as {"documents": {"k": about(["a"])}, "facts": {"kind": "k "}}
		with data.curtilage.disclosure.decision as whole
}

test_what_is_not_has_its_codes if {
	kind := "k consent_missing,no_value,preference_limits"
	cohort.include with input as {"documents": {"k": about(["a", "b", "c"])}, "facts": {"kind": kind}}
		with data.curtilage.disclosure.decision as partly
}

test_rows_of_what_is_not_released_stay_out if {
	not cohort.include with input as {"documents": {"k": about(["a", "b", "c"])}, "facts": {"kind": "k "}}
		with data.curtilage.disclosure.decision as partly
}

test_another_kind_is_not_this_one if {
	not cohort.include with input as {"documents": {"k": about(["a"])}, "facts": {"kind": "l "}}
		with data.curtilage.disclosure.decision as whole
}

test_what_is_not_decided_is_of_no_kind if {
	not cohort.include with input as {"documents": {"k": {"junk": 1}}, "facts": {"kind": "k "}}
}

test_what_answers_less_or_more_than_was_asked_is_of_no_kind if {
	every names in [["a", "b"], []] {
		not cohort.include with input as {"documents": {"k": about(names)}, "facts": {"kind": "k "}}
			with data.curtilage.disclosure.decision as whole
	}
}

test_what_is_withheld_without_a_reason_is_of_no_kind if {
	bare := {"attributes": {"a": {"effect": "withhold", "reasons": []}}}
	not cohort.include with input as {"documents": {"k": about(["a"])}, "facts": {"kind": "k "}}
		with data.curtilage.disclosure.decision as bare
}
