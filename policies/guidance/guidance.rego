# METADATA
# title: Guidance to a service
# description: >-
#   What a service lacks on its own side, which predicate would do in place
#   of a value, and the least that its declaration could lawfully carry. The
#   input has no person in it, so nothing here can tell of one; nothing here
#   grants anything either.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.guidance
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6, PIPL 51]
package curtilage.guidance

import data.curtilage.disclosure
import data.curtilage.obligations

# METADATA
# title: The guidance about each attribute that was asked for
# description: Undefined when the input is unsound, as a decision is.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 25, PIPL 9]
decision := {
	"schema": "curtilage/guidance/1",
	"attributes": {name: advice(name) | some name in input.request.attributes},
	"minimum": minimum,
} if {
	sound
}

# METADATA
# title: What one attribute is advised
# custom:
#   law: [GDPR 5(1)(c), GDPR 12(1), PIPL 6, PIPL 7]
advice(name) := {
	"reasons": [disclosure.explained(code) | some code in codes],
	"instead": instead(name),
} if {
	codes := disclosure.failings(name) | excess(name)
}

# METADATA
# title: More than the purpose needs
# custom:
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6]
excess(name) := {code | name in excessive; code := "predicate_would_do"}

# METADATA
# title: Values that the purpose does not need
# description: >-
#   A value of which a predicate can be asked, and which no statement needs
#   as it is. What a statement calls optional it can do without; and only
#   what the person asked for, an archive, or a purpose that the words do not
#   describe can need the value itself.
# custom:
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6, PIPL 19]
excessive := {name |
	some name in declared
	data.vocabulary.predicates[name]
	not name in needed
}

needed := {name |
	some statement in statements
	some purpose in statement.purposes
	purpose.purpose in data.vocabulary.exact
	some name, item in statement.data
	item.optional == false
}

# METADATA
# title: The predicates that would do
# description: Those declared already, or else one as an example.
# scope: document
# custom:
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6]
instead(name) := [] if not name in excessive

instead(name) := told if {
	name in excessive
	told := beside(name)
	count(told) > 0
} else := [data.vocabulary.predicates[name].example] if {
	name in excessive
}

beside(name) := sort([other |
	some other in declared
	startswith(other, data.vocabulary.predicates[name].prefix)
])

# METADATA
# title: The least that the declaration could lawfully carry
# description: >-
#   What a statement calls essential and its basis may carry, each as a
#   predicate where one would do; the assurance that this takes, and the
#   obligations that a caller has to understand for it.
# scope: document
# custom:
#   law: [GDPR 5(1)(c), GDPR 9(2), GDPR 25(2), PIPL 6, PIPL 28, PIPL 29]
minimum := null if input.declaration == null

minimum := {
	"attributes": sort({form |
		some name in essential
		some form in forms(name)
	}),
	"assurance": max({input.declaration.assurance} | {level |
		some name in essential
		level := disclosure.clearance(name)
	}),
	"understands": sort(obligations.undertakings | (deletion | onward)),
} if {
	input.declaration != null
}

essential := {name |
	some names in carrying
	some name in names
}

carrying := {id: names |
	some id, statement in statements
	names := {name |
		some name, item in statement.data
		item.optional == false
		carries(statement.basis, input.catalogue[name].sensitivity)
	}
}

carries(basis, _) if data.vocabulary.bases[basis].special

carries(_, sensitivity) if sensitivity < 3

forms(name) := [name] if not name in excessive

forms(name) := instead(name) if name in excessive

deletion := {"delete_by" |
	some id, names in carrying
	count(names) > 0
	obligations.retention[id] >= 0
}

onward := {"no_onward_transfer" |
	some id, names in carrying
	{to | some to in statements[id].recipients} == {"ours"}
	some name in names
	input.catalogue[name].sensitivity == 3
}

declared := {name |
	some statement in statements
	some name, _ in statement.data
}

statements := {id: statement |
	some id, statement in input.declaration.statements
}

# METADATA
# title: The input is fit to be judged
# description: As far as a decision about a disclosure asks of the same parts.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
sound if {
	input.schema == "curtilage/guidance/1"
	disclosure.is_time(input.now)
	disclosure.sound_service
	disclosure.sound_request
	sound_declaration
	every _, found in input.catalogue {
		found.sensitivity in {0, 1, 2, 3}
	}
}

sound_declaration if input.declaration == null

sound_declaration if {
	disclosure.is_time(input.declaration.valid_from)
	disclosure.is_end(input.declaration.valid_until)
	disclosure.is_time(input.declaration.assurance)
	is_array(input.declaration.obligations)
	is_object(input.declaration.statements)
	every kind in input.declaration.obligations {
		is_string(kind)
	}
	every statement in input.declaration.statements {
		data.vocabulary.bases[statement.basis]
		is_array(statement.recipients)
		is_string(statement.retention)
		disclosure.is_period(statement.retention_days)
		is_array(statement.purposes)
		every purpose in statement.purposes {
			is_string(purpose.purpose)
		}
		is_object(statement.data)
		every item in statement.data {
			is_boolean(item.optional)
		}
	}
}
