package curtilage.numbers_test

import data.curtilage.numbers as asked_of
import data.curtilage.release_test

test_whoever_may_have_an_extract_may_ask if {
	answer := asked_of.decision with input as release_test.base
	answer == {
		"schema": "curtilage/numbers/1",
		"allow": true,
		"reasons": [],
		"budget": {
			"recipient": 1000,
			"colluding": 1500,
			"everybody": 3000,
			"delta_exponent": 6,
			"days": 365,
		},
	}
}

test_a_declaration_may_allow_less_and_never_more if {
	spending(401) == {"recipient": 401, "colluding": 601, "everybody": 1203}
	spending(9999) == {"recipient": 1000, "colluding": 1500, "everybody": 3000}
}

spending(declared) := object.filter(
	answer.budget,
	{"recipient", "colluding", "everybody"},
) if {
	terms := {"declaration": {"release": {"epsilon_thousandths": declared}}}
	answer := asked_of.decision with input as object.union(
		release_test.base,
		terms,
	)
}

test_no_sensitive_column_needs_to_be_named if {
	asked := object.union(release_test.base, {"request": {"sensitive": null}})
	answer := asked_of.decision with input as asked
	answer.allow
}

test_another_recipient_is_refused if {
	asked := object.union(
		release_test.base,
		{"request": {"recipient": "somebody else"}},
	)
	answer := asked_of.decision with input as asked
	not answer.allow
	answer.reasons[0].code == "recipient_not_declared"
}

test_a_defect_is_undefined if {
	not defective
}

defective if {
	_ := asked_of.decision with input as object.union(
		release_test.base,
		{"now": "soon"},
	)
}
