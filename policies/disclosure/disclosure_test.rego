package curtilage.disclosure_test

import data.curtilage.disclosure

# One attribute, one statement that rests on consent, and everything in
# order. Each case below changes one thing and says what then comes out.
base := {
	"schema": "curtilage/disclosure/1",
	"now": 1000,
	"service": {
		"id": "moving-house",
		"purpose": "address-change",
		"assurance": 1,
		"understands": ["delete_by"],
	},
	"request": {"attributes": ["a"]},
	"declaration": {
		"digest": "d1",
		"version": 1,
		"valid_from": 0,
		"valid_until": null,
		"assurance": 1,
		"obligations": [],
		"statements": {"s": statement("consent", "always", 90)},
	},
	"catalogue": {"a": {"sensitivity": 1, "levels": 3}},
	"consents": [given("s", null)],
	"preferences": [verdict("s", "a", "allow", null)],
	"person": {
		"known": true,
		"present": ["a"],
		"restricted": false,
		"objected": [],
	},
}

statement(basis, required, days) := {
	"basis": basis,
	"purposes": [{"purpose": "current", "required": required}],
	"recipients": ["delivery"],
	"retention": "stated-purpose",
	"retention_days": days,
	"data": {"a": {"optional": false, "categories": []}},
}

given(id, until) := consent(id, "given", ["a"], until)

consent(id, state, attributes, until) := {
	"statement": id,
	"state": state,
	"attributes": attributes,
	"until": until,
	"event": "e",
}

verdict(id, name, behavior, level) := {
	"statement": id,
	"attribute": name,
	"behavior": behavior,
	"level": level,
	"rule": "r",
	"hold": null,
}

on_hold(why) := object.union(verdict("s", "a", "allow", null), {"hold": why})

refused(codes) := {"effect": "withhold", "level": 0, "codes": codes, "duties": []}

released(codes) := {
	"effect": "release",
	"level": 0,
	"codes": codes,
	"duties": [{"type": "delete_by", "days": 90}],
}

limited(level) := {
	"effect": "generalize",
	"level": level,
	"codes": ["consent_given", "preference_limits"],
	"duties": [{"type": "delete_by", "days": 90}, {"type": "mask"}],
}

found(name) := {
	"effect": one.effect,
	"level": one.level,
	"codes": [reason.code | some reason in one.reasons],
	"duties": one.obligations,
} if {
	one := disclosure.decision.attributes[name]
}

lawful(basis) := {
	"declaration": {"statements": {"s": statement(basis, "always", 90)}},
	"consents": [],
}

consent_cases := {
	"consent given": {"change": {}, "want": released(["consent_given"])},
	"consent until later": {
		"change": {"consents": [given("s", 1001)]},
		"want": released(["consent_given"]),
	},
	"no consent": {
		"change": {"consents": []},
		"want": refused(["consent_missing"]),
	},
	"consent to another statement": {
		"change": {"consents": [given("t", null)]},
		"want": refused(["consent_missing"]),
	},
	"consent without this attribute": {
		"change": {"consents": [consent("s", "given", ["b"], null)]},
		"want": refused(["consent_missing"]),
	},
	"consent refused": {
		"change": {"consents": [consent("s", "refused", [], null)]},
		"want": refused(["consent_refused"]),
	},
	"refused, though it lists the attribute": {
		"change": {"consents": [consent("s", "refused", ["a"], null)]},
		"want": refused(["consent_refused"]),
	},
	"not answered": {
		"change": {"consents": [consent("s", "unanswered", [], null)]},
		"want": refused(["consent_missing"]),
	},
	"not answered, though it lists the attribute": {
		"change": {"consents": [consent("s", "unanswered", ["a"], null)]},
		"want": refused(["consent_missing"]),
	},
	"consent withdrawn": {
		"change": {"consents": [consent("s", "withdrawn", ["a"], null)]},
		"want": refused(["consent_withdrawn"]),
	},
	"a consent that is paused": {
		"change": {"consents": [consent("s", "paused", ["a"], null)]},
		"want": refused(["consent_paused"]),
	},
	"a consent that is revoked": {
		"change": {"consents": [consent("s", "revoked", ["a"], null)]},
		"want": refused(["consent_revoked"]),
	},
	"a consent that is invalidated": {
		"change": {"consents": [consent("s", "invalidated", ["a"], null)]},
		"want": refused(["consent_invalidated"]),
	},
	"a consent that is requested": {
		"change": {"consents": [consent("s", "requested", ["a"], null)]},
		"want": refused(["consent_missing"]),
	},
	"consent expired as a state": {
		"change": {"consents": [consent("s", "expired", ["a"], 900)]},
		"want": refused(["consent_expired"]),
	},
	"consent expired by the clock": {
		"change": {"consents": [given("s", 999)]},
		"want": refused(["consent_expired"]),
	},
	"consent expires at this instant": {
		"change": {"consents": [given("s", 1000)]},
		"want": refused(["consent_expired"]),
	},
}

service_cases := {
	"no declaration": {
		"change": {"declaration": null},
		"want": refused(["service_not_registered"]),
	},
	"not in the catalogue": {
		"change": {"request": {"attributes": ["zz"]}},
		"ask": "zz",
		"want": refused(["unknown_attribute"]),
	},
	"declared but not in the catalogue": {
		"change": {
			"request": {"attributes": ["b"]},
			"declaration": {"statements": {"s": {"data": {"b": {"optional": true}}}}},
			"preferences": [verdict("s", "b", "allow", null)],
		},
		"ask": "b",
		"want": refused(["unknown_attribute"]),
	},
	"not declared": {
		"change": {
			"request": {"attributes": ["b"]},
			"catalogue": {"b": {"sensitivity": 1, "levels": 0}},
			"person": {"present": ["b"]},
			"preferences": [verdict("s", "b", "allow", null)],
			"consents": [consent("s", "given", ["b"], null)],
		},
		"ask": "b",
		"want": refused(["not_declared"]),
	},
	"assurance too low": {
		"change": {"declaration": {"assurance": 2}},
		"want": refused(["assurance_too_low"]),
	},
	"assurance too low for special data": {
		"change": {"catalogue": {"a": {"sensitivity": 3}}},
		"want": refused(["assurance_too_low"]),
	},
	"assurance too low for identifying data": {
		"change": {
			"catalogue": {"a": {"sensitivity": 2}},
			"service": {"assurance": 0},
			"declaration": {"assurance": 0},
		},
		"want": refused(["assurance_too_low"]),
	},
	"no assurance needed for ordinary data": {
		"change": {"service": {"assurance": 0}, "declaration": {"assurance": 0}},
		"want": released(["consent_given"]),
	},
	"declaration expired": {
		"change": {"declaration": {"valid_until": 1000}},
		"want": refused(["declaration_expired"]),
	},
	"declaration expires next second": {
		"change": {"declaration": {"valid_until": 1001}},
		"want": released(["consent_given"]),
	},
	"declaration not yet valid": {
		"change": {"declaration": {"valid_from": 1001}},
		"want": refused(["declaration_expired"]),
	},
	"declaration valid from now": {
		"change": {"declaration": {"valid_from": 1000}},
		"want": released(["consent_given"]),
	},
	"deletion not understood": {
		"change": {"service": {"understands": []}},
		"want": refused(["obligation_not_understood"]),
	},
	"notification not understood": {
		"change": {"declaration": {"obligations": ["notify"]}},
		"want": refused(["obligation_not_understood"]),
	},
	"an obligation that nobody knows": {
		"change": {
			"declaration": {"obligations": ["burn"]},
			"service": {"understands": ["delete_by", "burn"]},
		},
		"want": refused(["obligation_not_understood"]),
	},
	"several failings of the service": {
		"change": {
			"declaration": {"assurance": 3, "valid_until": 5},
			"service": {"understands": []},
		},
		"want": refused([
			"assurance_too_low",
			"declaration_expired",
			"obligation_not_understood",
		]),
	},
	"the service's failings hide the person's": {
		"change": {
			"declaration": {"assurance": 2},
			"consents": [],
			"person": {"known": false, "present": []},
		},
		"want": refused(["assurance_too_low"]),
	},
}

person_cases := {
	"person unknown": {
		"change": {"person": {"known": false, "present": []}},
		"want": refused(["person_unknown"]),
	},
	"person unknown, though all else is in order": {
		"change": {"person": {"known": false}},
		"want": refused(["person_unknown"]),
	},
	"person unknown, with answers that stand in": {
		"change": {
			"person": {"known": false, "present": []},
			"consents": [consent("s", "unanswered", [], null)],
		},
		"want": refused(["person_unknown"]),
	},
	"person unknown, whatever else the decoy has": {
		"change": {"person": {"known": false, "restricted": true}},
		"want": refused(["person_unknown"]),
	},
	"no value": {
		"change": {"person": {"present": []}},
		"want": refused(["no_value"]),
	},
	"restricted": {
		"change": {"person": {"restricted": true}},
		"want": refused(["restricted"]),
	},
	"restricted, and nothing else right either": {
		"change": {
			"person": {"restricted": true, "present": []},
			"consents": [],
			"preferences": [verdict("s", "a", "refuse", null)],
		},
		"want": refused([
			"consent_missing",
			"no_value",
			"preference_refuses",
			"restricted",
		]),
	},
	"restricted beats the law": {
		"change": object.union(
			lawful("legal-obligation"),
			{"person": {"restricted": true}},
		),
		"want": refused(["restricted"]),
	},
}

preference_cases := {
	"preference refuses": {
		"change": {"preferences": [verdict("s", "a", "refuse", null)]},
		"want": refused(["preference_refuses"]),
	},
	"preference limits to 1": {
		"change": {"preferences": [verdict("s", "a", "limit", 1)]},
		"want": limited(1),
	},
	"preference limits to the last level": {
		"change": {"preferences": [verdict("s", "a", "limit", 3)]},
		"want": limited(3),
	},
	"preference limits beyond the levels": {
		"change": {"preferences": [verdict("s", "a", "limit", 9)]},
		"want": limited(3),
	},
	"preference limits without a level": {
		"change": {"preferences": [verdict("s", "a", "limit", null)]},
		"want": limited(3),
	},
	"a level without a limit means nothing": {
		"change": {"preferences": [verdict("s", "a", "allow", 2)]},
		"want": released(["consent_given"]),
	},
	"preference limits what has no levels": {
		"change": {
			"preferences": [verdict("s", "a", "limit", 1)],
			"catalogue": {"a": {"levels": 0}},
		},
		"want": refused(["preference_refuses"]),
	},
	"preference limits what has no levels, to no level": {
		"change": {
			"preferences": [verdict("s", "a", "limit", null)],
			"catalogue": {"a": {"levels": 0}},
		},
		"want": refused(["preference_refuses"]),
	},
	"paused": {
		"change": {"preferences": [on_hold("paused")]},
		"want": refused(["preference_paused"]),
	},
	"outside its window": {
		"change": {"preferences": [on_hold("window")]},
		"want": refused(["preference_window"]),
	},
	"used up": {
		"change": {"preferences": [on_hold("uses")]},
		"want": refused(["preference_uses"]),
	},
	"too often": {
		"change": {"preferences": [on_hold("frequency")]},
		"want": refused(["preference_frequency"]),
	},
	"a signal refuses": {
		"change": {"preferences": [on_hold("signal")]},
		"want": refused(["signal_refuses"]),
	},
	"a signal does not touch what the law demands": {
		"change": object.union(
			lawful("legal-obligation"),
			{"preferences": [on_hold("signal")]},
		),
		"want": released(["legal_basis"]),
	},
	"limited without consent": {
		"change": {
			"preferences": [verdict("s", "a", "limit", 2)],
			"consents": [],
		},
		"want": refused(["consent_missing"]),
	},
}

law_cases := {
	"contract": {
		"change": lawful("contract"),
		"want": released(["legal_basis"]),
	},
	"legal obligation": {
		"change": lawful("legal-obligation"),
		"want": released(["legal_basis"]),
	},
	"vital interests": {
		"change": lawful("vital-interests"),
		"want": released(["legal_basis"]),
	},
	"public task": {
		"change": lawful("public-task"),
		"want": released(["legal_basis"]),
	},
	"legitimate interests": {
		"change": lawful("legitimate-interests"),
		"want": released(["legal_basis"]),
	},
	"the law needs no verdict": {
		"change": object.union(lawful("contract"), {"preferences": []}),
		"want": released(["legal_basis"]),
	},
	"preferences cannot refuse the law, and are noted": {
		"change": object.union(
			lawful("public-task"),
			{"preferences": [verdict("s", "a", "refuse", null)]},
		),
		"want": released(["legal_basis", "preference_refuses"]),
	},
	"preferences cannot limit the law, and are noted": {
		"change": object.union(
			lawful("public-task"),
			{"preferences": [verdict("s", "a", "limit", 1)]},
		),
		"want": released(["legal_basis", "preference_limits"]),
	},
}

objection_cases := {
	"objected to a public task": {
		"change": object.union(
			lawful("public-task"),
			{"person": {"objected": ["address-change"]}},
		),
		"want": refused(["objected"]),
	},
	"objected to the P3P purpose of a public task": {
		"change": object.union(
			lawful("public-task"),
			{"person": {"objected": ["current"]}},
		),
		"want": refused(["objected"]),
	},
	"objected to legitimate interests": {
		"change": object.union(
			lawful("legitimate-interests"),
			{"person": {"objected": ["address-change"]}},
		),
		"want": refused(["objected"]),
	},
	"objected to something else": {
		"change": object.union(
			lawful("legitimate-interests"),
			{"person": {"objected": ["tourism"]}},
		),
		"want": released(["legal_basis"]),
	},
	"nobody can object to an obligation": {
		"change": object.union(
			lawful("legal-obligation"),
			{"person": {"objected": ["address-change"]}},
		),
		"want": released(["legal_basis"]),
	},
	"consent outlives an objection until it is withdrawn": {
		"change": {"person": {"objected": ["address-change"]}},
		"want": released(["consent_given"]),
	},
	"opt-out, no objection": {
		"change": {
			"declaration": {"statements": {"s": statement("contract", "opt-out", 90)}},
			"consents": [],
		},
		"want": released(["legal_basis"]),
	},
	"opt-out, objected": {
		"change": {
			"declaration": {"statements": {"s": statement("contract", "opt-out", 90)}},
			"consents": [],
			"person": {"objected": ["address-change"]},
		},
		"want": refused(["objected"]),
	},
	"opt-out under consent, objected to the P3P purpose": {
		"change": {
			"declaration": {"statements": {"s": statement("consent", "opt-out", 90)}},
			"person": {"objected": ["current"]},
		},
		"want": refused(["objected"]),
	},
}

opt_in_cases := {
	"opt-in under contract, nothing said": {
		"change": {
			"declaration": {"statements": {"s": statement("contract", "opt-in", 90)}},
			"consents": [],
		},
		"want": refused(["consent_missing"]),
	},
	"opt-in under contract, asked for": {
		"change": {"declaration": {"statements": {"s": statement("contract", "opt-in", 90)}}},
		"want": released(["consent_given", "legal_basis"]),
	},
	"opt-in under a legal obligation, withdrawn": {
		"change": {
			"declaration": {"statements": {"s": statement(
				"legal-obligation",
				"opt-in",
				90,
			)}},
			"consents": [consent("s", "withdrawn", ["a"], null)],
		},
		"want": refused(["consent_withdrawn"]),
	},
}

special_cases := {
	"special data with consent": {
		"change": special,
		"want": released(["consent_given"]),
	},
	"special data with consent, limited": {
		"change": object.union(
			special,
			{"preferences": [verdict("s", "a", "limit", 2)]},
		),
		"want": limited(2),
	},
	"special data on an allowing preference alone": {
		"change": object.union(special, {"consents": []}),
		"want": refused(["consent_missing"]),
	},
	"special data under contract": {
		"change": object.union(special, lawful("contract")),
		"want": refused(["consent_missing"]),
	},
	"special data under contract with an opt-in": {
		"change": object.union(
			special,
			{"declaration": {"statements": {"s": statement("contract", "opt-in", 90)}}},
		),
		"want": refused(["consent_missing"]),
	},
	"special data under legitimate interests": {
		"change": object.union(special, lawful("legitimate-interests")),
		"want": refused(["consent_missing"]),
	},
	"special data for vital interests": {
		"change": object.union(special, lawful("vital-interests")),
		"want": refused(["consent_missing"]),
	},
	"special data for a legal obligation": {
		"change": object.union(special, lawful("legal-obligation")),
		"want": released(["legal_basis"]),
	},
	"special data for a public task": {
		"change": object.union(special, lawful("public-task")),
		"want": released(["legal_basis"]),
	},
}

special := {"catalogue": {"a": {"sensitivity": 3}}, "service": {"assurance": 2}}

# The titles of those that do not come out as they should.
failing(cases) := {title |
	some title, case in cases
	document := object.union(base, case.change)
	not comes_out(object.get(case, "ask", "a"), document, case.want)
}

comes_out(name, document, want) if {
	found(name) == want with input as document
}

test_consent_cases if failing(consent_cases) == set()

test_service_cases if failing(service_cases) == set()

test_person_cases if failing(person_cases) == set()

test_preference_cases if failing(preference_cases) == set()

test_law_cases if failing(law_cases) == set()

test_objection_cases if failing(objection_cases) == set()

test_opt_in_cases if failing(opt_in_cases) == set()

test_special_cases if failing(special_cases) == set()

# What goes with a value.

duties := {
	"nothing": {"statement": statement("consent", "always", null), "want": []},
	"no retention": {
		"statement": object.union(
			statement("consent", "always", null),
			{"retention": "no-retention"},
		),
		"want": [{"type": "delete_by", "days": 0}],
	},
	"a stated period beats no retention": {
		"statement": object.union(
			statement("consent", "always", 1),
			{"retention": "no-retention"},
		),
		"want": [{"type": "delete_by", "days": 1}],
	},
	"none at all": {
		"statement": statement("consent", "always", 0),
		"want": [{"type": "delete_by", "days": 0}],
	},
	"a very long time": {
		"statement": statement("consent", "always", 999999999999),
		"want": [{"type": "delete_by", "days": 999999999999}],
	},
}

carries contains title if {
	some title, case in duties
	one := disclosure.decision.attributes.a with input as object.union(
		base,
		{"declaration": {"statements": {"s": case.statement}}},
	)
	one.effect == "release"
	one.obligations == case.want
}

# What did not hold is empty.
test_duties if object.keys(duties) - carries == set()

test_undertakings_go_out_in_order if {
	one := disclosure.decision.attributes.a with input as object.union(base, {
		"declaration": {"obligations": ["notify", "delete_by", "no_onward_transfer", "mask"]},
		"service": {"understands": ["no_onward_transfer", "notify", "delete_by"]},
		"preferences": [verdict("s", "a", "limit", 2)],
	})
	one.obligations == [
		{"type": "delete_by", "days": 90},
		{"type": "mask"},
		{"type": "no_onward_transfer"},
		{"type": "notify"},
	]
}

# Several statements for one attribute.

several(first, second, rest) := object.union_n([
	base,
	{"declaration": {"statements": {"s": first, "t": second}}},
	rest,
])

choices := {
	"the second permits": {
		"first": statement("consent", "always", 10),
		"second": statement("public-task", "always", 90),
		"rest": {"consents": []},
		"want": released(["legal_basis"]),
	},
	"the least generalization wins, with its own period": {
		"first": statement("consent", "always", 10),
		"second": statement("consent", "always", 90),
		"rest": {
			"consents": [given("s", null), given("t", null)],
			"preferences": [
				verdict("s", "a", "limit", 2),
				verdict("t", "a", "limit", 1),
			],
		},
		"want": limited(1),
	},
	"a tie takes the shorter period": {
		"first": statement("consent", "always", 365),
		"second": statement("public-task", "always", 90),
		"rest": {},
		"want": released(["consent_given", "legal_basis"]),
	},
	"a tie with a statement without a period": {
		"first": statement("consent", "always", null),
		"second": statement("consent", "always", 90),
		"rest": {
			"consents": [given("s", null), given("t", null)],
			"preferences": [
				verdict("s", "a", "allow", null),
				verdict("t", "a", "allow", null),
			],
		},
		"want": released(["consent_given"]),
	},
	"a refusal in one does not spoil the other": {
		"first": statement("consent", "always", 90),
		"second": statement("consent", "always", 10),
		"rest": {
			"consents": [given("s", null), consent("t", "refused", [], null)],
			"preferences": [
				verdict("s", "a", "allow", null),
				verdict("t", "a", "refuse", null),
			],
		},
		"want": released(["consent_given"]),
	},
	"none permits: all their obstacles": {
		"first": statement("consent", "always", 90),
		"second": statement("public-task", "always", 90),
		"rest": {
			"consents": [consent("s", "withdrawn", [], null)],
			"person": {"objected": ["address-change"]},
		},
		"want": refused(["consent_withdrawn", "objected"]),
	},
	"a statement that is not understood is left aside": {
		"first": statement("consent", "always", 90),
		"second": statement("public-task", "always", null),
		"rest": {"service": {"understands": []}},
		"want": object.union(released(["legal_basis"]), {"duties": []}),
	},
	"the person's side speaks once one statement is understood": {
		"first": statement("public-task", "always", 90),
		"second": statement("consent", "always", null),
		"rest": {
			"service": {"understands": []},
			"consents": [],
			"preferences": [verdict("t", "a", "allow", null)],
		},
		"want": refused(["consent_missing"]),
	},
}

chooses contains title if {
	some title, case in choices
	document := several(case.first, case.second, case.rest)
	found("a") == case.want with input as document
}

# What did not hold is empty.
test_choice if object.keys(choices) - chooses == set()

# Essential attributes.

family := object.union(base, {
	"request": {"attributes": ["a", "b", "c"]},
	"catalogue": {
		"b": {"sensitivity": 1, "levels": 0},
		"c": {"sensitivity": 1, "levels": 0},
	},
	"declaration": {"statements": {"s": {"data": {
		"b": {"optional": false, "categories": []},
		"c": {"optional": true, "categories": []},
	}}}},
	"consents": [consent("s", "given", ["a", "b", "c"], null)],
	"preferences": [
		verdict("s", "a", "allow", null),
		verdict("s", "b", "allow", null),
		verdict("s", "c", "allow", null),
	],
	"person": {"present": ["a", "b", "c"]},
})

families := {
	"all": {
		"change": {},
		"a": ["consent_given"],
		"b": ["consent_given"],
		"c": ["consent_given"],
	},
	"one essential has no value": {
		"change": {"person": {"present": ["a", "c"]}},
		"a": ["essential_incomplete"],
		"b": ["no_value"],
		"c": ["consent_given"],
	},
	"one essential is not consented to": {
		"change": {"consents": [consent("s", "given", ["b", "c"], null)]},
		"a": ["consent_missing"],
		"b": ["essential_incomplete"],
		"c": ["consent_given"],
	},
	"an optional one has no value": {
		"change": {"person": {"present": ["a", "b"]}},
		"a": ["consent_given"],
		"b": ["consent_given"],
		"c": ["no_value"],
	},
	"both essentials fail for their own reasons": {
		"change": {
			"person": {"present": ["a", "c"]},
			"consents": [consent("s", "given", ["b", "c"], null)],
		},
		"a": ["consent_missing"],
		"b": ["no_value"],
		"c": ["consent_given"],
	},
	"a generalized essential counts as granted": {
		"change": {"preferences": [
			verdict("s", "a", "limit", 1),
			verdict("s", "b", "allow", null),
			verdict("s", "c", "allow", null),
		]},
		"a": ["consent_given", "preference_limits"],
		"b": ["consent_given"],
		"c": ["consent_given"],
	},
	"a failing of the service spoils the essentials too": {
		"change": {"catalogue": {"b": {"sensitivity": 3}}},
		"a": ["essential_incomplete"],
		"b": ["assurance_too_low"],
		"c": ["consent_given"],
	},
	"essential in one statement is essential": {
		"change": {
			"declaration": {"statements": {"t": object.union(
				statement("consent", "always", null),
				{"data": {"c": {"optional": false, "categories": []}}},
			)}},
			"preferences": [
				verdict("s", "a", "allow", null),
				verdict("s", "b", "allow", null),
				verdict("s", "c", "allow", null),
				verdict("t", "a", "allow", null),
				verdict("t", "c", "allow", null),
			],
			"person": {"present": ["a", "b"]},
		},
		"a": ["essential_incomplete"],
		"b": ["essential_incomplete"],
		"c": ["no_value"],
	},
}

essentials contains title if {
	some title, case in families
	document := object.union(family, case.change)
	decision := disclosure.decision with input as document
	every name in ["a", "b", "c"] {
		answer := decision.attributes[name]
		[reason.code | some reason in answer.reasons] == case[name]
	}
}

# What did not hold is empty.
test_essential if object.keys(families) - essentials == set()

test_only_requested_essentials_count if {
	document := object.union(family, {
		"request": {"attributes": ["a", "c"]},
		"person": {"present": ["a", "c"]},
	})
	found("a").effect == "release" with input as document
}

test_remedies if {
	decision := disclosure.decision with input as object.union(
		base,
		{"consents": [], "preferences": [verdict("s", "a", "refuse", null)]},
	)
	decision.attributes.a.reasons == [
		{"code": "consent_missing", "remedy": "give_consent"},
		{"code": "preference_refuses", "remedy": "change_preferences"},
	]
}

test_a_noted_preference_has_no_remedy if {
	decision := disclosure.decision with input as object.union_n([
		base,
		lawful("public-task"),
		{"preferences": [verdict("s", "a", "refuse", null)]},
	])
	decision.attributes.a.reasons == [
		{"code": "legal_basis", "remedy": "none"},
		{"code": "preference_refuses", "remedy": "none"},
	]
}

test_shape if {
	decision := disclosure.decision with input as base
	object.keys(decision) == {"schema", "attributes"}
	decision.schema == "curtilage/disclosure/1"
	object.keys(decision.attributes) == {"a"}
	object.keys(decision.attributes.a) == {"effect", "level", "reasons", "obligations"}
}

# A reason without an entry in the vocabulary is no decision.
test_no_decision_without_a_remedy if {
	not disclosure.decision with input as base
		with data.vocabulary.reasons as {}
	not disclosure.decision with input as object.union(base, {"consents": []})
		with data.vocabulary.reasons as {}
}

# Where proof and explanation find nothing, the attribute is not judged.
test_no_decision_without_a_judgement if {
	not disclosure.decision with input as base
		with data.vocabulary.clearance as []
}
