package curtilage.obligations_test

import data.curtilage.disclosure
import data.curtilage.disclosure_test
import data.curtilage.obligations

# The base of the disclosures, with one special category that the statement
# gives to the body alone.
special := object.union(disclosure_test.base, {
	"catalogue": {"a": {"sensitivity": 3, "levels": 3}},
	"service": {
		"assurance": 2,
		"understands": ["delete_by", "no_onward_transfer"],
	},
	"declaration": {"statements": {"s": {"recipients": ["ours"]}}},
})

answer(changes) := decided.attributes.a if {
	decided := disclosure.decision with input as object.union(special, changes)
}

test_a_special_category_for_the_body_goes_no_further if {
	answer({}) == {
		"effect": "release",
		"level": 0,
		"reasons": [{"code": "consent_given", "remedy": "none"}],
		"obligations": [
			{"type": "delete_by", "days": 90},
			{"type": "no_onward_transfer"},
		],
	}
}

test_who_does_not_understand_it_gets_nothing if {
	answer({"service": {"understands": ["delete_by"]}}) == {
		"effect": "withhold",
		"level": 0,
		"reasons": [{"code": "obligation_not_understood", "remedy": "accept_obligation"}],
		"obligations": [],
	}
}

test_a_coarser_value_is_confined_as_well if {
	found := answer({"preferences": [disclosure_test.verdict("s", "a", "limit", 2)]})
	found.effect == "generalize"
	found.obligations == [
		{"type": "delete_by", "days": 90},
		{"type": "mask"},
		{"type": "no_onward_transfer"},
	]
}

test_nothing_else_is_confined[note] if {
	some note, change in {
		"ordinary data": {"catalogue": {"a": {"sensitivity": 2, "levels": 3}}},
		"another recipient": {"declaration": {"statements": {"s": {"recipients": ["ours", "delivery"]}}}},
		"other recipients": {"declaration": {"statements": {"s": {"recipients": ["same"]}}}},
	}
	found := answer(object.union(change, {"service": {"understands": ["delete_by"]}}))
	found.effect == "release"
	found.obligations == [{"type": "delete_by", "days": 90}]
}

test_a_statement_that_lets_it_go_further_may_carry_it if {
	wider := object.union(special.declaration.statements.s, {"recipients": ["same"]})
	found := answer({
		"service": {"understands": ["delete_by"]},
		"declaration": {"statements": {"t": wider}},
		"consents": array.concat(special.consents, [disclosure_test.given("t", null)]),
		"preferences": array.concat(
			special.preferences,
			[disclosure_test.verdict("t", "a", "allow", null)],
		),
	})
	found.effect == "release"
	found.obligations == [{"type": "delete_by", "days": 90}]
}

test_it_is_promised_once if {
	found := answer({"declaration": {"obligations": ["no_onward_transfer"]}})
	found.obligations == [
		{"type": "delete_by", "days": 90},
		{"type": "no_onward_transfer"},
	]
}

test_a_noted_preference_loses_no_obligation if {
	found := answer({
		"declaration": {"statements": {"s": {"basis": "legal-obligation"}}},
		"preferences": [disclosure_test.verdict("s", "a", "refuse", null)],
	})
	[reason.code | some reason in found.reasons] == ["legal_basis", "preference_refuses"]
	found.obligations == [
		{"type": "delete_by", "days": 90},
		{"type": "no_onward_transfer"},
	]
}

test_without_recipients_there_is_no_decision if {
	not answer({"declaration": {"statements": {"s": {"recipients": null}}}})
}

test_each_kind_has_its_place if {
	due := obligations.due(["s"], [{"type": "mask"}], {"notify"}, {30}) with input as special
	due == [
		{"type": "delete_by", "days": 30},
		{"type": "mask"},
		{"type": "notify"},
	]
}

# A person whose rule permits on conditions.
demanding(asked) := {"preferences": [object.union(
	disclosure_test.verdict("s", "a", "allow", null),
	{"obligations": asked},
)]}

deleting(days) := [{"type": "delete_by", "days": days}]

test_a_rule_shortens_the_period if {
	answer(demanding(deleting(30))).obligations[0] == {"type": "delete_by", "days": 30}
	answer(demanding(deleting(365))).obligations[0] == {"type": "delete_by", "days": 90}
}

test_a_rule_adds_promises if {
	found := answer(object.union(
		demanding([{"type": "notify"}, {"type": "no_onward_transfer"}]),
		{"service": {"understands": ["delete_by", "no_onward_transfer", "notify"]}},
	))
	found.effect == "release"
	[one.type | some one in found.obligations] == ["delete_by", "no_onward_transfer", "notify"]
}

test_a_rule_adds_promises_to_what_is_coarser if {
	found := answer({
		"preferences": [object.union(
			disclosure_test.verdict("s", "a", "limit", 1),
			{"obligations": [{"type": "notify"}]},
		)],
		"service": {"understands": ["delete_by", "no_onward_transfer", "notify"]},
	})
	[one.type | some one in found.obligations] == ["delete_by", "mask", "no_onward_transfer", "notify"]
}

test_a_demand_that_is_not_understood_is_the_persons_side if {
	answer(demanding([{"type": "notify"}])) == {
		"effect": "withhold",
		"level": 0,
		"reasons": [{"code": "preference_obligation", "remedy": "change_preferences"}],
		"obligations": [],
	}
}

test_where_the_law_is_the_basis_no_rule_demands if {
	found := answer(object.union(
		demanding([{"type": "notify"}]),
		{"declaration": {"statements": {"s": {"basis": "legal-obligation"}}}},
	))
	found.effect == "release"
	[one.type | some one in found.obligations] == ["delete_by", "no_onward_transfer"]
}

test_a_demand_of_another_shape_is_no_decision[note] if {
	some note, asked in {
		"null": null,
		"text": "notify",
		"mask": [{"type": "mask"}],
		"no type": [{}],
		"no days": [{"type": "delete_by"}],
		"days of another": [{"type": "notify", "days": 1}],
		"none": deleting(0),
		"half": deleting(1.5),
		"text days": deleting("soon"),
		"too many": deleting(3661),
	}
	not answer(demanding(asked))
}
