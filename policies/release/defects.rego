# What makes a question about an extract unfit to be judged. Each defect
# negates a rule of its own, because `not f(input.x)` looks input.x up outside
# the negation and is undefined, not true, where the field is missing.
package curtilage.release

# METADATA
# title: Defects of the input
# description: Named for whoever has to find one; one is enough for no decision.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
defects contains "schema" if not sound_schema

defects contains "now" if not sound_now

defects contains "officer" if not sound_officer

defects contains "request" if not sound_request

defects contains "declaration" if not sound_declaration

defects contains "terms" if not sound_terms

defects contains "catalogue" if not sound_catalogue

sound_schema if input.schema == "curtilage/release/1"

sound_now if is_count(input.now)

sound_officer if {
	is_string(input.officer.id)
	is_array(input.officer.roles)
}

sound_request if {
	is_count(input.request.k)
	is_count(input.request.l)
	is_string(input.request.recipient)
	is_text_or_null(input.request.sensitive)
	is_array(input.request.columns)
	count(input.request.columns) > 0
	every name in input.request.columns {
		is_string(name)
	}
}

sound_declaration if input.declaration == null

sound_declaration if {
	is_count(input.declaration.valid_from)
	is_end(input.declaration.valid_until)
	is_object(input.declaration.statements)
	every statement in input.declaration.statements {
		is_object(statement.data)
	}
}

sound_terms if input.declaration == null

sound_terms if input.declaration.release == null

sound_terms if {
	is_string(input.declaration.release.recipient)
	is_count(input.declaration.release.k)
	is_count(input.declaration.release.l)
	is_share(input.declaration.release.suppression_limit)
	is_array(input.declaration.release.sensitive)
	sound_allowance
	object.get(
		input.declaration.release,
		"pseudonym",
		"per-release",
	) in {"per-release", "linked"}
}

sound_allowance if not allowance_stated

sound_allowance if {
	is_count(input.declaration.release.epsilon_thousandths)
	input.declaration.release.epsilon_thousandths > 0
}

allowance_stated if {
	stated := input.declaration.release.epsilon_thousandths
	stated == stated
}

sound_catalogue if {
	is_object(input.catalogue)
	every name in known {
		input.catalogue[name].sensitivity in {0, 1, 2, 3}
		input.catalogue[name].role in {
			"direct",
			"other",
			"quasi",
			"sensitive",
			"text",
		}
	}
}

known := {name | some name in requested; input.catalogue[name]}

is_text_or_null(null)

is_text_or_null(text) if is_string(text)

is_end(null)

is_end(instant) if is_count(instant)

is_share(number) if {
	is_number(number)
	number >= 0
	number <= 1
}

# Bounded, so that no engine's way with huge numbers can matter.
is_count(number) if {
	is_number(number)
	number >= 0
	number < 1000000000000
	number % 1 == 0
}
