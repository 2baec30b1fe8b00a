# What makes an input unfit to be judged. Each rule negates a positive check,
# so a field that is missing is a defect like one of the wrong type. The check
# is a rule of its own, because `not f(input.x)` looks input.x up outside the
# negation and is undefined, not true, where the field is missing. Without
# these rules, Rego's order of types would let a text pass for a late date:
# "soon" is greater than every number.
package curtilage.disclosure

# METADATA
# title: Defects of the input
# description: Named for whoever has to find one; one is enough for no decision.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
defects contains "schema" if not sound_schema

defects contains "now" if not sound_now

defects contains "service" if not sound_service

defects contains "request" if not sound_request

defects contains "declaration" if not sound_declaration

defects contains "statements" if not sound_statements

defects contains "catalogue" if not sound_catalogue

defects contains "consents" if not sound_consents

defects contains "preferences" if not sound_preferences

defects contains "person" if not sound_person

sound_schema if input.schema == "curtilage/disclosure/1"

sound_now if is_count(input.now)

sound_service if {
	is_string(input.service.id)
	is_string(input.service.purpose)
	is_count(input.service.assurance)
	is_array(input.service.understands)
}

sound_request if {
	is_array(input.request.attributes)
	count(input.request.attributes) > 0
	every name in input.request.attributes {
		is_string(name)
	}
}

sound_declaration if input.declaration == null

sound_declaration if {
	is_count(input.declaration.valid_from)
	is_end(input.declaration.valid_until)
	is_count(input.declaration.assurance)
	is_array(input.declaration.obligations)
	is_object(input.declaration.statements)
}

sound_statements if input.declaration == null

sound_statements if {
	every id, statement in input.declaration.statements {
		bases[id]
		is_object(statement.data)
		is_string(statement.retention)
		is_period(statement.retention_days)
		is_array(statement.purposes)
		every purpose in statement.purposes {
			is_string(purpose.purpose)
			purpose.required in {"always", "opt-in", "opt-out"}
		}
	}
	every name, statements in declaring {
		every id in statements {
			is_boolean(input.declaration.statements[id].data[name].optional)
		}
	}
}

sound_catalogue if {
	is_object(input.catalogue)
	every name in known {
		input.catalogue[name].sensitivity in {0, 1, 2, 3}
		is_count(input.catalogue[name].levels)
		input.catalogue[name].levels < 16
	}
}

known := {name | some name in requested; input.catalogue[name]}

# One state a statement: two of them make the counts differ.
sound_consents if {
	is_array(input.consents)
	count(consents) == count(input.consents)
	every one in consents {
		is_string(one.statement)
		one.state in {"given", "refused", "withdrawn", "expired"}
		is_array(one.attributes)
		is_end(one.until)
	}
}

# One verdict for a statement and an attribute, as with consents.
sound_preferences if {
	is_array(input.preferences)
	count(verdicts) == count(input.preferences)
	every one in verdicts {
		is_string(one.statement)
		is_string(one.attribute)
		one.behavior in {"allow", "limit", "refuse"}
		is_level(one.level)
	}
}

sound_person if {
	is_boolean(input.person.known)
	is_boolean(input.person.restricted)
	is_array(input.person.present)
	is_array(input.person.objected)
}

is_end(null)

is_end(instant) if is_count(instant)

is_period(null)

is_period(days) if is_count(days)

is_level(null)

is_level(level) if {
	is_count(level)
	level > 0
}

# Bounded, so that no engine's way with huge numbers can matter.
is_count(number) if {
	is_number(number)
	number >= 0
	number < 1000000000000
	floor(number) == number
}
