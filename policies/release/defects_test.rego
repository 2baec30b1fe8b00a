package curtilage.release_defects_test

import data.curtilage.release

sound := {
	"schema": "curtilage/release/1",
	"now": 1000,
	"officer": {"id": "ana", "roles": ["analyst"]},
	"request": {
		"columns": ["age"],
		"k": 5,
		"l": 2,
		"sensitive": null,
		"recipient": "statistics office",
	},
	"declaration": {
		"valid_from": 0,
		"valid_until": 2000,
		"statements": {"s": {"data": {"age": {}}}},
		"release": {
			"recipient": "statistics office",
			"k": 5,
			"l": 2,
			"suppression_limit": 0.05,
			"sensitive": [],
		},
	},
	"catalogue": {"age": {"sensitivity": 1, "role": "quasi"}},
}

test_sound if {
	release.decision.allow == true with input as sound
	release.defects == set() with input as sound
}

wrong := {
	["schema"]: ["curtilage/release/2", "curtilage/disclosure/1", null, 1],
	["now"]: ["soon", null, -1, 1e30],
	["officer"]: [null, "ana", []],
	["officer", "id"]: [null, 7],
	["officer", "roles"]: [null, "analyst", {"analyst": true}],
	["request"]: [null, []],
	["request", "columns"]: [null, "age", [], [1], {"age": 1}],
	["request", "k"]: ["5", null, -1, 2.5, 1e30],
	["request", "l"]: ["2", null, -1, 1.5],
	["request", "recipient"]: [null, 1],
	["request", "sensitive"]: [1, [], false],
	["declaration"]: [false, "d", []],
	["declaration", "valid_from"]: ["", null],
	["declaration", "valid_until"]: ["later", false],
	["declaration", "statements"]: [null, [], {"s": null}, {"s": {"data": []}}],
	["declaration", "release"]: [false, [], "yes", {}],
	["declaration", "release", "recipient"]: [null, 1],
	["declaration", "release", "k"]: ["5", null, -1, 0.5],
	["declaration", "release", "l"]: ["2", null, -1],
	["declaration", "release", "suppression_limit"]: ["0", null, -0.1, 1.1],
	["declaration", "release", "sensitive"]: [null, "age", {}],
	["catalogue"]: [null, [], {"age": 1}],
	["catalogue", "age", "sensitivity"]: [null, 4, "3"],
	["catalogue", "age", "role"]: [null, "", "open"],
}

test_an_allowance_is_a_number_above_nothing if {
	every value in [0, -1, 1.5, "1", null, false] {
		terms := {"declaration": {"release": {"epsilon_thousandths": value}}}
		found := release.defects with input as object.union(sound, terms)
		count(found) > 0
	}
	fine := {"declaration": {"release": {"epsilon_thousandths": 400}}}
	release.defects == set() with input as object.union(sound, fine)
}

nested([a], value) := {a: value}

nested([a, b], value) := {a: {b: value}}

nested([a, b, c], value) := {a: {b: {c: value}}}

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

without_1(document, a) := object.remove(document, [a])

without_2(document, a, b) := object.union(
	object.remove(document, [a]),
	{a: without_1(document[a], b)},
)

undecided_when_wrong contains title if {
	some path, values in wrong
	some i, value in values
	title := concat(".", array.concat(path, [format_int(i, 10)]))
	document := object.union(
		without(sound, path),
		nested(path, value),
	)
	not release.decision with input as document
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
	not release.decision with input as without(sound, path)
}

# What did not hold is empty.
test_missing if {concat(".", path) | some path, _ in wrong} - undecided_when_missing == set()

test_no_such_pseudonym if {
	not release.decision with input as object.union(
		sound,
		{"declaration": {"release": {"pseudonym": "none"}}},
	)
}

test_an_unsound_declaration_without_terms if {
	document := object.union(sound, {"declaration": {"release": null}})
	release.decision.allow == false with input as document
}

test_no_input_no_decision if {
	not release.decision with input as {}
	not release.decision with input as null
}
