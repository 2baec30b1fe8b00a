package curtilage.glass_test

import data.curtilage.glass

start := 1790000000

request := {
	"schema": "curtilage/glass/1",
	"now": start,
	"step": "request",
	"officer": "olga",
	"request": {
		"purpose": "emergency-care",
		"attributes": ["user.bdate"],
	},
	"stated": {"reason": "found unconscious", "case": "dispatch-0042"},
	"catalogue": {"user.bdate": {"sensitivity": 1}},
	"person": {"known": true, "restricted": false},
	"recent": {"officer": 0, "person": 0, "alerts": 0},
	"grant": null,
}

grant := {
	"officer": "olga",
	"purpose": "emergency-care",
	"attributes": ["user.bdate"],
	"approver": "",
	"ended": false,
	"same_person": true,
	"seen": start,
	"deadline": start + 900,
	"ends": start + 14400,
}

opening := object.union(request, {"step": "open", "grant": grant})

approval := object.union(request, {"step": "approve", "officer": "otto", "grant": grant})

said(document) := {one.code | some one in answer.reasons} if {
	answer := glass.decision with input as document
}

test_granted_for_a_short_time if {
	answer := glass.decision with input as request
	answer.allow
	answer.terms.approval_seconds < answer.terms.seconds
}

cases := {
	"opens": {"input": opening, "codes": set()},
	"is approved": {"input": approval, "codes": set()},
	"no reason": {
		"input": object.union(request, {"stated": {"reason": " "}}),
		"codes": {"justification_missing"},
	},
	"no case": {
		"input": object.union(request, {"stated": {"case": ""}}),
		"codes": {"case_missing"},
	},
	"an ordinary purpose": {
		"input": object.union(request, {"request": {"purpose": "tax-collection"}}),
		"codes": {"glass_purpose"},
	},
	"an attribute nobody knows": {
		"input": object.union(request, {"request": {"attributes": ["x"]}}),
		"codes": {"unknown_attribute"},
	},
	"too sensitive": {
		"input": object.union(request, {
			"request": {"purpose": "disaster-relief"},
			"catalogue": {"user.bdate": {"sensitivity": 2}},
		}),
		"codes": {"glass_attribute"},
	},
	"erased and restricted": {
		"input": object.union(request, {"person": {"known": false, "restricted": true}}),
		"codes": {"person_unknown", "restricted"},
	},
	"too often": {
		"input": object.union(request, {"recent": {"officer": 5}}),
		"codes": {"glass_limit"},
	},
	"too often about one person": {
		"input": object.union(request, {"recent": {"person": 3}}),
		"codes": {"glass_limit"},
	},
	"an alert open": {
		"input": object.union(request, {"recent": {"alerts": 1}}),
		"codes": {"glass_alert_open"},
	},
	"at the deadline": {
		"input": object.union(opening, {"now": start + 900}),
		"codes": {"glass_ended"},
	},
	"past the deadline, approved": {
		"input": object.union(opening, {
			"now": start + 901,
			"grant": {"approver": "otto"},
		}),
		"codes": set(),
	},
	"at its end": {
		"input": object.union(opening, {
			"now": start + 14400,
			"grant": {"approver": "otto"},
		}),
		"codes": {"glass_ended"},
	},
	"ended": {
		"input": object.union(opening, {"grant": {"ended": true}}),
		"codes": {"glass_ended"},
	},
	"a clock set back": {
		"input": object.union(opening, {"now": start - 1}),
		"codes": {"glass_ended"},
	},
	"somebody else's": {
		"input": object.union(opening, {
			"officer": "otto",
			"request": {
				"purpose": "missing-person",
				"attributes": ["user.bdate", "user.gender"],
			},
			"catalogue": {"user.gender": {"sensitivity": 1}},
			"grant": {"same_person": false},
		}),
		"codes": {"not_own", "glass_purpose", "glass_attribute"},
	},
	"about another person": {
		"input": object.union(opening, {"grant": {"same_person": false}}),
		"codes": {"glass_person"},
	},
	"erased under a grant": {
		"input": object.union(opening, {
			"person": {"known": false},
			"grant": {"same_person": false},
		}),
		"codes": {"person_unknown", "glass_person"},
	},
	"no authority, whoever it is": {
		"input": object.union(request, {
			"request": {"purpose": "tax-collection"},
			"person": {"known": false, "restricted": true},
			"recent": {"person": 3},
		}),
		"codes": {"glass_purpose"},
	},
	"no grant of theirs, whoever it is": {
		"input": object.union(opening, {
			"officer": "otto",
			"person": {"known": false, "restricted": true},
			"grant": {"same_person": false},
		}),
		"codes": {"not_own"},
	},
	"approved late": {
		"input": object.union(approval, {"now": start + 900}),
		"codes": {"glass_ended"},
	},
	"approved twice": {
		"input": object.union(approval, {"grant": {"approver": "otto"}}),
		"codes": {"glass_approved"},
	},
}

differing contains title if {
	some title, one in cases
	said(one.input) != one.codes
}

test_each_case if {
	count(differing) == 0
}

unsound := {
	"schema": {"schema": "curtilage/glass/2"},
	"now": {"now": 0.5},
	"step": {"step": "renew"},
	"officer": {"officer": ""},
	"request": {"request": {"attributes": []}},
	"stated": {"stated": {"reason": 1}},
	"catalogue": {"catalogue": {"user.bdate": {"sensitivity": "low"}}},
	"person": {"person": {"known": 1}},
	"recent": {"recent": {"alerts": -1}},
	"grant": {"grant": grant},
}

undefined contains name if {
	some name, change in unsound
	document := object.union(request, change)
	found := glass.defects with input as document
	name in found
	not glass.decision with input as document
}

test_each_defect_is_found if undefined == object.keys(unsound)

test_nothing_is_sound_of_nothing if {
	glass.defects == object.keys(unsound) with input as {}
	not glass.decision with input as {}
}
