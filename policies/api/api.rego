# METADATA
# title: Who may call what
# description: >-
#   One table, `actions` of the vocabulary, says for each action which kind of
#   caller may take it and under what conditions. What is not in the table is
#   not allowed.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.api
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(f), GDPR 32(4), PIPL 51]
package curtilage.api

# METADATA
# title: The decision about one call
# description: >-
#   Undefined, never a refusal, when the input has a defect.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 29, PIPL 9]
decision := {
	"schema": "curtilage/api/1",
	"allow": count(codes) == 0,
	"reasons": reasons,
} if {
	count(defects) == 0
	count(reasons) == count(codes)
}

# METADATA
# title: Reasons in the shape that the gate reads
# custom:
#   law: [GDPR 12(1), PIPL 7]
reasons := [{"code": code, "remedy": data.vocabulary.reasons[code].remedy} |
	some code in codes
]

# METADATA
# title: What stands against the call
# scope: document
# custom:
#   law: [GDPR 29, GDPR 32(4), PIPL 51]
codes := {"action_unknown"} if not listed

codes := {"caller_not_allowed"} if {
	listed
	not terms
}

codes := {code | not entitled; code := "role_missing"} | ({code | not rightful; code := "not_own"} | ({code | not justified; code := "justification_missing"} | ({code | not separated; code := "separation_of_duties"} | {code | not empowered; code := "mandate_missing"}))) if {
	terms
}

listed if data.vocabulary.actions[input.action]

terms := data.vocabulary.actions[input.action][input.caller.kind]

# METADATA
# title: One of the roles of the action
# scope: document
# custom:
#   law: [GDPR 32(4), PIPL 51(2)]
entitled if count(terms.roles) == 0

entitled if {
	some role in input.caller.roles
	role in terms.roles
}

# METADATA
# title: A person acts for themselves, a service for itself
# scope: document
# custom:
#   law: [GDPR 12(6), GDPR 15, PIPL 44, PIPL 45]
rightful if not terms.own

rightful if {
	input.caller.kind == "person"
	input.caller.id != ""
	input.target.subject == input.caller.id
}

rightful if {
	input.caller.kind == "service"
	input.caller.id != ""
	input.target.service == input.caller.id
}

# METADATA
# title: To look at a person's data an officer says why
# description: Blanks are no justification.
# scope: document
# custom:
#   law: [GDPR 5(2), GDPR 32(4), PIPL 51]
justified if not terms.justification

justified if trim_space(input.justification) != ""

# METADATA
# title: Who proposes does not approve
# description: An approval of what nobody proposed is no approval either.
# scope: document
# custom:
#   law: [GDPR 24, GDPR 32(4), PIPL 51]
separated if not terms.separate

separated if {
	is_string(input.target.proposer)
	input.target.proposer != ""
	input.target.proposer != input.caller.id
}

# METADATA
# title: Who acts for somebody else shows a mandate in force
# description: >-
#   Whether one is in force and covers the purpose is a fact; subject and
#   actor are two, and the actor is the caller.
# scope: document
# custom:
#   law: [GDPR 8, PIPL 31, PIPL 49]
empowered if not terms.mandated

empowered if {
	input.caller.id != ""
	input.target.actor == input.caller.id
	input.target.subject != input.caller.id
	input.target.mandate == "in-force"
}

# METADATA
# title: Defects of the input
# description: Named for whoever has to find one; one is enough for no decision.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
defects contains "schema" if not sound_schema

defects contains "caller" if not sound_caller

defects contains "action" if not sound_action

defects contains "target" if not sound_target

defects contains "justification" if not sound_justification

sound_schema if input.schema == "curtilage/api/1"

sound_caller if {
	input.caller.kind in {"person", "service", "officer"}
	is_string(input.caller.id)
	is_array(input.caller.roles)
}

sound_action if is_string(input.action)

sound_target if is_object(input.target)

sound_justification if is_string(input.justification)
