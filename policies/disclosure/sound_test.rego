package curtilage.disclosure_sound_test

import data.curtilage.disclosure

sound := {
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
		"statements": {"s": {
			"basis": "consent",
			"purposes": [{"purpose": "current", "required": "always"}],
			"recipients": ["ours"],
			"retention": "stated-purpose",
			"retention_days": 90,
			"data": {"a": {"optional": false, "categories": []}},
		}},
	},
	"catalogue": {"a": {"sensitivity": 1, "levels": 3}},
	"consents": [{
		"statement": "s",
		"state": "given",
		"attributes": ["a"],
		"until": 2000,
		"event": "e",
	}],
	"preferences": [{
		"statement": "s",
		"attribute": "a",
		"behavior": "limit",
		"level": 1,
		"rule": "r",
		"hold": null,
	}],
	"person": {
		"known": true,
		"present": ["a"],
		"restricted": false,
		"objected": [],
	},
}

test_sound if {
	disclosure.decision.attributes.a.effect == "generalize" with input as sound
	disclosure.sound with input as sound
}

# Wherever a field holds what it may not, there is no decision. Every value
# stands in for a whole family; the texts are greater than every number.
wrong := {
	["schema"]: ["curtilage/disclosure/2", "", 1, null],
	["now"]: ["soon", null, true, [], {}, -1, 1e30],
	["service"]: [null, "moving-house", []],
	["service", "id"]: [null, 1],
	["service", "purpose"]: [null, 1],
	["service", "assurance"]: ["high", null, -1],
	["service", "understands"]: [null, "delete_by", {"delete_by": true}],
	["request"]: [null, [], "a"],
	["request", "attributes"]: [null, "a", {"a": 1}, [], [1], ["a", null]],
	["declaration"]: [false, "d1", [], 0],
	["declaration", "valid_from"]: [null, "", -5, 1e30],
	["declaration", "valid_until"]: ["later", false, {}, 2e15],
	["declaration", "assurance"]: [null, "low", -1],
	["declaration", "obligations"]: [null, "notify", {}],
	["declaration", "statements"]: [null, [], "s", {"s": null}, {"s": []}],
	["declaration", "statements", "s", "basis"]: [null, "", "whim", 1],
	["declaration", "statements", "s", "purposes"]: [
		null,
		{},
		"always",
		[null],
		[{}],
		[{"purpose": "current"}],
		[{"purpose": "current", "required": "maybe"}],
		[{"purpose": null, "required": "always"}],
	],
	["declaration", "statements", "s", "retention"]: [null, 90],
	["declaration", "statements", "s", "retention_days"]: [
		"90",
		-1,
		0.5,
		true,
		1e30,
	],
	["declaration", "statements", "s", "data"]: [null, [], "a", {"a": {}}, {"a": 1}],
	["declaration", "statements", "s", "data", "a", "optional"]: [
		null,
		"false",
		0,
	],
	["catalogue"]: [null, [], "a", {"a": 1}, {"a": {}}, {"a": []}],
	["catalogue", "a", "sensitivity"]: [null, 4, -1, "1", 1.5],
	["catalogue", "a", "levels"]: [null, -1, 16, "3", 1.5],
	["consents"]: [
		null,
		"given",
		{},
		[null],
		["given"],
		[sound.consents[0], sound.consents[0]],
	],
	["preferences"]: [
		null,
		{},
		[null],
		[],
		[sound.preferences[0], sound.preferences[0]],
	],
	["person"]: [null, [], true],
	["person", "known"]: [null, 1, "true"],
	["person", "present"]: [null, "a", {"a": true}],
	["person", "restricted"]: [null, 0, "false"],
	["person", "objected"]: [null, "current", {}],
}

nested([a], value) := {a: value}

nested([a, b], value) := {a: {b: value}}

nested([a, b, c], value) := {a: {b: {c: value}}}

nested([a, b, c, d], value) := {a: {b: {c: {d: value}}}}

nested([a, b, c, d, e, f], value) := {a: {b: {c: {d: {e: {f: value}}}}}}

# The same document without the field at a path.
without(document, [a]) := object.remove(document, [a])

without(document, [a, b]) := object.union(
	object.remove(document, [a]),
	{a: without_1(document[a], b)},
)

without(document, [a, b, c]) := object.union(
	object.remove(document, [a]),
	{a: without_2(document[a], b, c)},
)

without(document, [a, b, c, d]) := object.union(
	object.remove(document, [a]),
	{a: without_3(document[a], b, c, d)},
)

without(document, [a, b, c, d, e, f]) := object.union(
	object.remove(document, [a]),
	{a: without_5(document[a], b, c, d, e, f)},
)

without_1(document, a) := object.remove(document, [a])

without_2(document, a, b) := object.union(
	object.remove(document, [a]),
	{a: without_1(document[a], b)},
)

without_3(document, a, b, c) := object.union(
	object.remove(document, [a]),
	{a: without_2(document[a], b, c)},
)

without_4(document, a, b, c, d) := object.union(
	object.remove(document, [a]),
	{a: without_3(document[a], b, c, d)},
)

without_5(document, a, b, c, d, e) := object.union(
	object.remove(document, [a]),
	{a: without_4(document[a], b, c, d, e)},
)

undecided_when_wrong contains title if {
	some path, values in wrong
	some i, value in values
	title := concat(".", array.concat(path, [format_int(i, 10)]))

	# An object would be merged by object.union, so the field goes first.
	document := object.union(
		without(sound, path),
		nested(path, value),
	)
	not disclosure.decision with input as document
}

# What did not hold is empty.
test_wrong if {title |
	some path, values in wrong
	some i, _ in values
	title := concat(".", array.concat(path, [format_int(i, 10)]))
} - undecided_when_wrong == set()

undecided_when_missing contains title if {
	some path, _ in wrong
	title := concat(".", path)
	not disclosure.decision with input as without(sound, path)
}

# What did not hold is empty.
test_missing if {concat(".", path) | some path, _ in wrong} - undecided_when_missing == set()

missing_inside_lists_fields := [
	["consents", "statement"],
	["consents", "state"],
	["consents", "attributes"],
	["consents", "until"],
	["preferences", "statement"],
	["preferences", "attribute"],
	["preferences", "behavior"],
	["preferences", "level"],
	["preferences", "hold"],
]

undecided_when_missing_in_lists contains title if {
	some [list, field] in missing_inside_lists_fields
	title := concat(".", [list, field])
	one := object.remove(sound[list][0], [field])
	not disclosure.decision with input as object.union(sound, {list: [one]})
}

test_missing_inside_lists if count(undecided_when_missing_in_lists) == count(missing_inside_lists_fields)

wrong_inside_lists_fields := [
	["consents", "statement", 1],
	["consents", "state", "maybe"],
	["consents", "state", null],
	["consents", "attributes", "a"],
	["consents", "until", "later"],
	["consents", "until", 1e30],
	["consents", "until", false],
	["preferences", "statement", null],
	["preferences", "attribute", 1],
	["preferences", "behavior", "shrug"],
	["preferences", "level", 0],
	["preferences", "level", -1],
	["preferences", "level", 1.5],
	["preferences", "level", "1"],
	["preferences", "hold", "unheard-of"],
	["preferences", "hold", 1],
	["preferences", "hold", false],
]

undecided_when_wrong_in_lists contains title if {
	some i, [list, field, value] in wrong_inside_lists_fields
	title := concat(".", [list, field, format_int(i, 10)])
	one := object.union(sound[list][0], {field: value})
	not disclosure.decision with input as object.union(sound, {list: [one]})
}

test_wrong_inside_lists if count(undecided_when_wrong_in_lists) == count(wrong_inside_lists_fields)

# A verdict is owed for every statement that asks: none is no decision, even
# where something else would have withheld the attribute anyway.
test_a_missing_verdict_is_no_decision if {
	document := object.union(sound, {"preferences": []})
	not disclosure.decision with input as document
	not disclosure.decision with input as object.union(
		document,
		{"person": {"restricted": true}},
	)
}

test_no_input_no_decision if {
	not disclosure.decision with input as {}
	not disclosure.decision with input as []
	not disclosure.decision with input as null
	not disclosure.decision with input as "curtilage/disclosure/1"
}

# A defect counts even where nothing hangs on it.
test_a_defect_of_no_consequence_is_a_defect if {
	idle := object.union(sound.declaration.statements.s, {"basis": "whim"})
	not disclosure.decision with input as object.union(sound, {"declaration": {"statements": {"t": object.union(
		object.remove(idle, ["data"]),
		{"data": {}},
	)}}})
	not disclosure.decision with input as object.union_n([
		sound,
		{"declaration": null},
		{"person": {"known": "true"}},
	])
}
