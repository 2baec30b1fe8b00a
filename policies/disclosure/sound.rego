# What makes an input fit to be judged. Without these checks, Rego's order of
# types would let a text pass for a late date: "soon" is greater than every
# number. Every number is bounded, so that no engine's way with huge ones can
# matter.
package curtilage.disclosure

# METADATA
# title: The input is fit to be judged
# description: >-
#   A field that is missing or of the wrong type makes it undefined, and the
#   decision with it.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
sound if {
	input.schema == "curtilage/disclosure/1"
	is_time(input.now)
	sound_service
	sound_request
	sound_declaration
	sound_consents
	sound_preferences
	sound_person
}

sound_service if {
	is_string(input.service.id)
	is_string(input.service.purpose)
	is_time(input.service.assurance)
	is_array(input.service.understands)
}

sound_request if {
	is_array(input.request.attributes)
	is_object(input.catalogue)
	count(input.request.attributes) > 0
	every name in input.request.attributes {
		is_string(name)
		classified(name)
	}
}

classified(name) if not input.catalogue[name]

classified(name) if {
	input.catalogue[name].sensitivity in {0, 1, 2, 3}
	input.catalogue[name].levels in steps
}

steps := {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}

sound_declaration if input.declaration == null

sound_declaration if {
	is_time(input.declaration.valid_from)
	is_end(input.declaration.valid_until)
	is_time(input.declaration.assurance)
	is_array(input.declaration.obligations)
	is_object(input.declaration.statements)
	every id, statement in input.declaration.statements {
		bases[id]
		is_object(statement.data)
		is_array(statement.recipients)
		is_string(statement.retention)
		is_period(statement.retention_days)
		is_array(statement.purposes)
		every purpose in statement.purposes {
			is_string(purpose.purpose)
			purpose.required in {"always", "opt-in", "opt-out"}
		}
		every name in declaring[id] {
			is_boolean(statement.data[name].optional)
		}
	}
}

# One state a statement: two of them make the counts differ.
sound_consents if {
	is_array(input.consents)
	states := {one.statement |
		some one in input.consents
		is_string(one.statement)
		one.state in {"given", "refused", "withdrawn", "expired", "paused", "revoked", "invalidated", "requested", "unanswered"}
		is_array(one.attributes)
		is_boolean(one.until) == false
		one.until < 1000000000000
	}
	count(states) == count(input.consents)
}

# Of a statement that asks, every verdict has a level, every attribute that is
# declared a verdict, and no two are about one attribute: an object has one
# value a key, so the counts would differ.
sound_preferences if {
	is_array(input.preferences)
	every id in by_consent {
		every name in declaring[id] {
			is_number(reaches[id][name])
		}
		count(reaches[id]) == count([1 |
			some one in input.preferences
			one.statement == id
		])
	}
}

sound_person if {
	is_boolean(input.person.known)
	is_boolean(input.person.restricted)
	is_array(input.person.present)
	is_array(input.person.objected)
}

is_time(number) if {
	is_number(number)
	number >= 0
	number < 1000000000000
}

is_end(null)

is_end(instant) if is_time(instant)

is_period(null)

is_period(days) if is_count(days)

is_count(number) if {
	is_time(number)
	number % 1 == 0
}
