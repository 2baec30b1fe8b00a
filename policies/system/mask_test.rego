package system.log_test

import data.system.log

test_facts_about_the_person_are_removed if {
	found := log.mask with input as {
		"input": {
			"schema": "curtilage/disclosure/1",
			"service": {"id": "moving-house"},
			"request": {"attributes": ["user.bdate"]},
			"person": {"known": true},
			"consents": [],
			"preferences": [],
		},
		"result": {"schema": "curtilage/disclosure/1", "attributes": {}},
	}
	found == {
		"/input/person", "/input/consents", "/input/preferences",
		"/result/attributes",
	}
}

test_what_an_officer_states_is_removed if {
	found := log.mask with input as {"input": {
		"schema": "curtilage/glass/1",
		"request": {"purpose": "emergency-care", "attributes": ["user.bdate"]},
		"stated": {"reason": "found unconscious", "case": "dispatch-0042"},
	}}
	found == {"/input/stated"}
}

test_what_nobody_listed_is_removed if {
	found := log.mask with input as {"input": {"a/b~c": 1, "later": 2}}
	found == {"/input/a~1b~0c", "/input/later"}
}

test_a_decision_without_either_loses_nothing if {
	found := log.mask with input as {"decision_id": "1"}
	found == set()
}
