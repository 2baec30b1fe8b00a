package curtilage.release_test

import data.curtilage.release

base := {
	"schema": "curtilage/release/1",
	"now": 1000,
	"officer": {"id": "ana", "roles": ["analyst"]},
	"request": {
		"columns": ["age", "city", "health"],
		"k": 5,
		"l": 2,
		"sensitive": "health",
		"recipient": "statistics office",
	},
	"declaration": {
		"digest": "d1",
		"version": 1,
		"valid_from": 0,
		"valid_until": null,
		"assurance": 1,
		"obligations": [],
		"statements": {
			"s": {"data": {"age": {}, "city": {}, "name": {}}},
			"t": {"data": {"health": {}, "note": {}, "visits": {}}},
		},
		"release": {
			"recipient": "statistics office",
			"k": 5,
			"l": 2,
			"suppression_limit": 0.05,
			"sensitive": ["health"],
		},
	},
	"catalogue": {
		"age": {"sensitivity": 1, "role": "quasi"},
		"city": {"sensitivity": 1, "role": "quasi"},
		"health": {"sensitivity": 3, "role": "sensitive"},
		"name": {"sensitivity": 2, "role": "direct"},
		"note": {"sensitivity": 2, "role": "text"},
		"visits": {"sensitivity": 1, "role": "other"},
	},
}

granted := {
	"schema": "curtilage/release/1",
	"allow": true,
	"reasons": [],
	"columns": {
		"age": {"role": "quasi"},
		"city": {"role": "quasi"},
		"health": {"role": "sensitive"},
	},
	"k": 5,
	"l": 2,
	"suppression_limit": 0.05,
	"epsilon": 0,
	"pseudonym": "per-release",
}

asking(change) := object.union(base, {"request": change})

promising(change) := object.union(base, {"declaration": {"release": change}})

test_granted if {
	release.decision == granted with input as base
}

# The declared criteria are the floor.

criteria := {
	"more than declared is granted": {
		"input": asking({"k": 20, "l": 4}),
		"k": 20,
		"l": 4,
	},
	"less than declared is raised": {
		"input": asking({"k": 2, "l": 1}),
		"k": 5,
		"l": 2,
	},
	"nothing asked is raised": {
		"input": asking({"k": 0, "l": 0}),
		"k": 5,
		"l": 2,
	},
	"nothing declared is raised too": {
		"input": object.union(
			promising({"k": 0, "l": 0}),
			{"request": {"k": 1, "l": 0}},
		),
		"k": 2,
		"l": 1,
	},
}

raises contains title if {
	some title, case in criteria
	decision := release.decision with input as case.input
	decision.allow == true
	[decision.k, decision.l] == [case.k, case.l]
}

# What did not hold is empty.
test_criteria if object.keys(criteria) - raises == set()

test_suppression_and_pseudonym_are_as_declared if {
	decision := release.decision with input as promising({
		"suppression_limit": 0.2,
		"pseudonym": "linked",
	})
	decision.suppression_limit == 0.2
	decision.pseudonym == "linked"
}

# Roles.

roles := {
	"a direct identifier stays one": {
		"input": asking({"columns": ["health", "name"]}),
		"columns": {"health": "sensitive", "name": "direct"},
	},
	"declared sensitive or not": {
		"input": object.union(
			promising({"sensitive": ["health", "name"]}),
			{"request": {"columns": ["health", "name"]}},
		),
		"columns": {"health": "sensitive", "name": "direct"},
	},
	"a quasi-identifier stays one, declared sensitive": {
		"input": promising({"sensitive": ["health", "age", "city"]}),
		"columns": {"age": "quasi", "city": "quasi", "health": "sensitive"},
	},
	"a text stays one, declared sensitive": {
		"input": object.union(
			promising({"sensitive": ["health", "note"]}),
			{"request": {"columns": ["health", "note"]}},
		),
		"columns": {"health": "sensitive", "note": "text"},
	},
	"an ordinary column, declared sensitive": {
		"input": object.union(
			promising({"sensitive": ["visits"]}),
			{"request": {"columns": ["age", "visits"], "sensitive": "visits"}},
		),
		"columns": {"age": "quasi", "visits": "sensitive"},
	},
	"an ordinary column of a special category": {
		"input": object.union(
			asking({"columns": ["health", "visits"]}),
			{"catalogue": {"visits": {"sensitivity": 3}}},
		),
		"columns": {"health": "sensitive", "visits": "sensitive"},
	},
	"an ordinary column": {
		"input": asking({"columns": ["health", "visits"]}),
		"columns": {"health": "sensitive", "visits": "other"},
	},
	"nothing sensitive, nothing named": {
		"input": asking({"columns": ["age", "visits"], "sensitive": null}),
		"columns": {"age": "quasi", "visits": "other"},
	},
}

assigns contains title if {
	some title, case in roles
	decision := release.decision with input as case.input
	decision.allow == true
	decision.columns == {name: {"role": role} | some name, role in case.columns}
}

# What did not hold is empty.
test_role if object.keys(roles) - assigns == set()

# Refusals.

refusals := {
	"not an analyst": {
		"input": object.union(base, {"officer": {"roles": ["compliance"]}}),
		"want": [["role_missing", null]],
	},
	"no roles": {
		"input": object.union(base, {"officer": {"roles": []}}),
		"want": [["role_missing", null]],
	},
	"no release section": {
		"input": object.union(base, {"declaration": {"release": null}}),
		"want": [
			["release_not_declared", null],
			["sensitive_not_declared", null],
		],
	},
	"declaration expired": {
		"input": object.union(base, {"declaration": {"valid_until": 1000}}),
		"want": [["declaration_expired", null]],
	},
	"declaration not yet valid": {
		"input": object.union(base, {"declaration": {"valid_from": 1001}}),
		"want": [["declaration_expired", null]],
	},
	"another recipient": {
		"input": asking({"recipient": "a newspaper"}),
		"want": [["recipient_not_declared", null]],
	},
	"the recipient in capitals": {
		"input": asking({"recipient": "STATISTICS OFFICE"}),
		"want": [["recipient_not_declared", null]],
	},
	"columns that were not declared": {
		"input": object.union(
			asking({"columns": ["health", "income", "wage"]}),
			{"catalogue": {
				"income": {"sensitivity": 2, "role": "sensitive"},
				"wage": {"sensitivity": 2, "role": "sensitive"},
			}},
		),
		"want": [["not_declared", "income"], ["not_declared", "wage"]],
	},
	"a column that does not exist": {
		"input": asking({"columns": ["health", "zz"]}),
		"want": [["unknown_attribute", "zz"]],
	},
	"only direct identifiers": {
		"input": asking({"columns": ["name"], "sensitive": null}),
		"want": [["nothing_to_release", null]],
	},
	"sensitive column not named": {
		"input": asking({"sensitive": null}),
		"want": [["sensitive_not_declared", null]],
	},
	"sensitive column not declared as such": {
		"input": promising({"sensitive": []}),
		"want": [["sensitive_not_declared", null]],
	},
	"sensitive column not among the columns": {
		"input": asking({"columns": ["age", "city"]}),
		"want": [["sensitive_not_declared", null]],
	},
	"a quasi-identifier named as the sensitive column": {
		"input": object.union(
			promising({"sensitive": ["age"]}),
			{"request": {"sensitive": "age"}},
		),
		"want": [["sensitive_not_declared", null]],
	},
	"a direct identifier named as the sensitive column": {
		"input": object.union(
			promising({"sensitive": ["name"]}),
			{"request": {"columns": ["age", "name"], "sensitive": "name"}},
		),
		"want": [["sensitive_not_declared", null]],
	},
	"several at once": {
		"input": object.union(
			asking({"columns": ["health", "zz"], "recipient": "x"}),
			{"officer": {"roles": []}},
		),
		"want": [
			["recipient_not_declared", null],
			["role_missing", null],
			["unknown_attribute", "zz"],
		],
	},
}

refuses contains title if {
	some title, case in refusals
	decision := release.decision with input as case.input
	decision.allow == false
	decision.columns == {}
	got := {[reason.code, object.get(reason, "attribute", null)] |
		some reason in decision.reasons
	}
	got == {pair | some pair in case.want}
	every reason in decision.reasons {
		reason.remedy == data.vocabulary.reasons[reason.code].remedy
	}
}

# What did not hold is empty.
test_refused if object.keys(refusals) - refuses == set()

test_no_declaration if {
	decision := release.decision with input as object.union(
		base,
		{"declaration": null},
	)
	decision.allow == false
	decision.k == 5
	"service_not_registered" in [reason.code | some reason in decision.reasons]
}

test_no_decision_without_a_remedy if {
	not release.decision with input as asking({"recipient": "x"})
		with data.vocabulary.reasons as {}
}
