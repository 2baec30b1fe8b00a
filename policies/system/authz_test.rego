package system.authz_test

import data.system.authz

decision := ["v1", "data", "curtilage", "disclosure", "decision"]

test_decisions_and_health_are_answered if {
	authz.allow with input as {"method": "POST", "path": decision}
	authz.allow with input as {"method": "GET", "path": ["health"]}
}

cohort := ["v1", "compile", "curtilage", "cohort", "include"]

test_the_cohort_is_compiled if {
	authz.allow with input as {"method": "POST", "path": cohort}
}

test_nothing_else_is[note] if {
	some note, call in {
		"data read": {"method": "GET", "path": ["v1", "data"]},
		"a decision by GET": {"method": "GET", "path": decision},
		"a rule inside": {"method": "POST", "path": array.concat(decision, ["x"])},
		"a policy put": {"method": "PUT", "path": ["v1", "policies", "mine"]},
		"data put": {"method": "PUT", "path": ["v1", "data", "vocabulary"]},
		"an ad-hoc query": {"method": "POST", "path": ["v1", "query"]},
		"compiling": {"method": "POST", "path": ["v1", "compile"]},
		"compiling a decision": {"method": "POST", "path": ["v1", "compile", "curtilage", "disclosure", "decision"]},
		"compiling within": {"method": "POST", "path": array.concat(cohort, ["x"])},
		"the cohort by GET": {"method": "GET", "path": cohort},
		"the root": {"method": "POST", "path": []},
		"the configuration": {"method": "GET", "path": ["v1", "config"]},
	}
	not authz.allow with input as call
}
