package curtilage.guidance_test

import data.curtilage.guidance

# One declaration: a name that the purpose needs, a birth date and an income
# that it can do without. Each case changes one thing.
base := {
	"schema": "curtilage/guidance/1",
	"now": 1000,
	"service": {
		"id": "library",
		"purpose": "membership",
		"assurance": 2,
		"understands": ["delete_by", "notify"],
	},
	"request": {"attributes": ["user.bdate"]},
	"declaration": {
		"digest": "d1",
		"version": 1,
		"valid_from": 0,
		"valid_until": null,
		"assurance": 1,
		"obligations": ["notify", "mask"],
		"statements": {"s": statement("consent", "current", 30)},
	},
	"catalogue": {
		"user.name.given": {"sensitivity": 1, "levels": 1},
		"user.bdate": {"sensitivity": 1, "levels": 3},
		"user.income.annual": {"sensitivity": 2, "levels": 2},
		"user.race": {"sensitivity": 3, "levels": 0},
	},
}

statement(basis, purpose, days) := {
	"basis": basis,
	"purposes": [{"purpose": purpose, "required": "always"}],
	"recipients": ["ours"],
	"retention": "stated-purpose",
	"retention_days": days,
	"data": {
		"user.name.given": {"optional": false, "categories": []},
		"user.bdate": {"optional": true, "categories": []},
		"user.income.annual": {"optional": true, "categories": []},
	},
}

declaring(statements) := object.union(
	object.remove(base, ["declaration"]),
	{"declaration": object.union(
		object.remove(base.declaration, ["statements"]),
		{"statements": statements},
	)},
)

with_data(basis, purpose, added) := declaring({"s": object.union(
	statement(basis, purpose, null),
	{"data": added},
)})

codes(answer, name) := [reason.code | some reason in answer.attributes[name].reasons]

test_an_optional_value_is_more_than_is_needed if {
	answer := guidance.decision with input as base
	answer == {
		"schema": "curtilage/guidance/1",
		"attributes": {"user.bdate": {
			"reasons": [{"code": "predicate_would_do", "remedy": "declare_predicate"}],
			"instead": ["user.bdate.age_over_18"],
		}},
		"minimum": {
			"attributes": ["user.name.given"],
			"assurance": 1,
			"understands": ["delete_by", "notify"],
		},
	}
}

test_an_essential_value_may_be_needed[purpose] if {
	some purpose in {"current", "historical", "other-purpose"}
	asked := with_data("consent", purpose, {"user.bdate": {"optional": false, "categories": []}})
	answer := guidance.decision with input as asked
	answer.attributes["user.bdate"] == {"reasons": [], "instead": []}
	answer.minimum.attributes == ["user.bdate", "user.name.given"]
}

test_no_other_purpose_needs_the_value[purpose] if {
	some purpose in {"admin", "contact", "individual-decision", "pseudo-analysis", "tailoring"}
	asked := with_data("consent", purpose, {"user.bdate": {"optional": false, "categories": []}})
	answer := guidance.decision with input as asked
	codes(answer, "user.bdate") == ["predicate_would_do"]
	answer.minimum.attributes == ["user.bdate.age_over_18", "user.name.given"]
}

test_what_is_declared_beside_it_would_do if {
	asked := with_data("consent", "contact", {
		"user.bdate.age_over_65": {"optional": true, "categories": []},
		"user.bdate.age_over_18": {"optional": true, "categories": []},
		"user.bdate.ymd.year": {"optional": true, "categories": []},
	})
	answer := guidance.decision with input as asked
	answer.attributes["user.bdate"].instead == ["user.bdate.age_over_18", "user.bdate.age_over_65"]
}

test_one_statement_that_needs_it_is_enough if {
	needy := object.union(
		statement("contract", "current", null),
		{"data": {"user.bdate": {"optional": false, "categories": []}}},
	)
	asked := declaring({"s": statement("consent", "contact", null), "t": needy})
	answer := guidance.decision with input as asked
	answer.attributes["user.bdate"].reasons == []
}

test_every_failing_of_the_service_is_told if {
	asked := object.union(base, {
		"now": 2000,
		"request": {"attributes": ["user.race", "nonsense", "user.bdate"]},
		"service": {"assurance": 0, "understands": []},
		"declaration": {"valid_until": 1500},
	})
	answer := guidance.decision with input as asked
	codes(answer, "user.race") == ["assurance_too_low", "declaration_expired", "not_declared"]
	codes(answer, "nonsense") == ["assurance_too_low", "declaration_expired", "unknown_attribute"]
	codes(answer, "user.bdate") == [
		"assurance_too_low",
		"declaration_expired",
		"obligation_not_understood",
		"predicate_would_do",
	]
	every _, one in answer.attributes {
		every reason in one.reasons {
			reason.remedy != "none"
			data.vocabulary.reasons[reason.code].side == "service"
		}
	}
}

test_without_a_declaration_there_is_no_minimum if {
	answer := guidance.decision with input as object.union(base, {"declaration": null})
	codes(answer, "user.bdate") == ["service_not_registered"]
	answer.minimum == null
}

test_the_minimum_is_what_the_law_carries[basis] if {
	some basis, carried in {
		"consent": true,
		"legal-obligation": true,
		"public-task": true,
		"contract": false,
		"legitimate-interests": false,
		"vital-interests": false,
	}
	asked := with_data(basis, "current", {"user.race": {"optional": false, "categories": []}})
	answer := guidance.decision with input as asked
	answer.minimum == {
		true: {
			"attributes": ["user.name.given", "user.race"],
			"assurance": 2,
			"understands": ["no_onward_transfer", "notify"],
		},
		false: {
			"attributes": ["user.name.given"],
			"assurance": 1,
			"understands": ["notify"],
		},
	}[carried]
}

test_no_retention_is_a_deletion if {
	kept := object.union(
		object.remove(statement("consent", "current", null), ["retention"]),
		{"retention": "no-retention"},
	)
	answer := guidance.decision with input as declaring({"s": kept})
	answer.minimum.understands == ["delete_by", "notify"]
}

test_what_is_unsound_has_no_guidance[note] if {
	some note, change in {
		"schema": {"schema": "curtilage/disclosure/1"},
		"now": {"now": "soon"},
		"sensitivity": {"catalogue": {"user.bdate": {"sensitivity": "low", "levels": 0}}},
		"assurance": {"declaration": {"assurance": "high"}},
		"basis": {"declaration": {"statements": {"s": {"basis": "whim"}}}},
		"days": {"declaration": {"statements": {"s": {"retention_days": 1.5}}}},
		"purposes": {"declaration": {"statements": {"s": {"purposes": "current"}}}},
		"optional": {"declaration": {"statements": {"s": {"data": {"user.bdate": {"optional": "no"}}}}}},
	}
	changed := object.union(base, change)
	not guided with input as changed
}

guided if guidance.decision
