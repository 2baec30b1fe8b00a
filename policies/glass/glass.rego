# METADATA
# title: Emergency access (break-glass)
# description: >-
#   Whether an officer may open named attributes of one person at once, where
#   life or safety does not wait for the ordinary ground. It is granted for a
#   short time, and ends without a second officer's approval. What a grant is,
#   and how often there were some, are facts; roles are asked of curtilage.api.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.glass
# custom:
#   owner: data protection officer
#   law: [GDPR 6(1)(d), GDPR 9(2)(c), GDPR 5(1)(c), PIPL 13(4), PIPL 28]
package curtilage.glass

# METADATA
# title: The decision about one step
# description: >-
#   Undefined, never a refusal, when the input has a defect. The terms hold
#   for a grant that is made by this decision.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 6(1)(d), PIPL 9, PIPL 13(4)]
decision := {
	"schema": "curtilage/glass/1",
	"allow": count(codes) == 0,
	"reasons": reasons,
	"terms": data.vocabulary.glass.terms,
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
# title: What stands against the step
# description: >-
#   What is known of the person is looked at only where nothing stands against
#   the officer, so that to whoever has no authority a refusal tells nothing of
#   anybody.
# scope: document
# custom:
#   law: [GDPR 5(1)(b), GDPR 5(1)(f), GDPR 32(4), PIPL 51]
codes := officer_side if count(officer_side) > 0

codes := person_side if count(officer_side) == 0

# METADATA
# title: What stands against the officer
# scope: document
# custom:
#   law: [GDPR 29, GDPR 32(4), PIPL 51]
officer_side := ask_side | excess if input.step == "request"

officer_side := grant_side | excess if input.step == "open"

officer_side := unended | {code | not unapproved; code := "glass_approved"} if input.step == "approve"

# METADATA
# title: What stands on the person's side
# description: >-
#   An opening asks about the person that the grant is about, and whether it is
#   the one now named; an approval asks nothing about anybody.
# scope: document
# custom:
#   law: [GDPR 5(1)(f), GDPR 17, GDPR 18(2), PIPL 47]
person_side := barred | {code | not rested; code := "glass_limit"} if input.step == "request"

person_side := barred | {code | not same_person; code := "glass_person"} if input.step == "open"

person_side := set() if input.step == "approve"

# METADATA
# title: Nobody who is erased, unknown or under restriction is opened
# description: >-
#   A restriction may be put aside for another's rights only, which is not
#   what an emergency of the person's own is.
# custom:
#   law: [GDPR 17, GDPR 18(2), PIPL 47]
barred := {code | not known; code := "person_unknown"} | {code | restricted; code := "restricted"}

known if input.person.known == true

restricted if input.person.restricted == true

rested if input.recent.person < data.vocabulary.glass.terms.person_day

# METADATA
# title: A request says why, names a case, and does not come too often
# description: >-
#   A step that was refused counts as one that was granted does. Whoever left a
#   grant without its approval asks for no other one until a compliance officer
#   has closed the alert.
# custom:
#   law: [GDPR 5(2), GDPR 32(4), PIPL 51]
ask_side := {code | not reasoned; code := "justification_missing"} | ({code | not cased; code := "case_missing"} | ({code | not seldom; code := "glass_limit"} | {code | input.recent.alerts > 0; code := "glass_alert_open"}))

reasoned if trim_space(input.stated.reason) != ""

cased if trim_space(input.stated.case) != ""

seldom if input.recent.officer < data.vocabulary.glass.terms.officer_day

# METADATA
# title: What the purpose does not permit
# description: >-
#   A purpose opens emergency access where the table of the vocabulary has it,
#   and then as far as its sensitivity reaches.
# scope: document
# custom:
#   law: [GDPR 5(1)(b), GDPR 5(1)(c), GDPR 9(2)(c), PIPL 6, PIPL 28]
excess := {"glass_purpose"} if not ground

excess := {code |
	some name in input.request.attributes
	code := amiss(name)
} if {
	ground
}

ground := data.vocabulary.glass.purposes[input.request.purpose]

amiss(name) := "unknown_attribute" if not input.catalogue[name]

amiss(name) := "glass_attribute" if input.catalogue[name].sensitivity > ground.sensitivity

# METADATA
# title: A grant opens for its officer what it names, while it stands
# custom:
#   law: [GDPR 5(1)(b), GDPR 29, PIPL 6, PIPL 51]
grant_side := unended | ({code | not own; code := "not_own"} | ({code | not same_purpose; code := "glass_purpose"} | {code | some name in input.request.attributes; not name in input.grant.attributes; code := "glass_attribute"}))

own if input.officer == input.grant.officer

same_person if input.grant.same_person == true

same_purpose if input.request.purpose == input.grant.purpose

# METADATA
# title: A grant has ended at its end, or at its deadline without an approval
# description: >-
#   An instant before the last one that the grant knows is that of a clock
#   that was set back, and opens nothing.
# custom:
#   law: [GDPR 5(1)(e), GDPR 32(4), PIPL 19]
unended := {code | not standing; code := "glass_ended"}

standing if {
	input.grant.ended == false
	input.now >= input.grant.seen
	input.now < input.grant.ends
	timely
}

timely if not unapproved

timely if input.now < input.grant.deadline

unapproved if input.grant.approver == ""

# METADATA
# title: Defects of the input
# description: Named for whoever has to find one; one is enough for no decision.
# scope: document
# custom:
#   law: [GDPR 5(1)(d), GDPR 5(2), PIPL 8, PIPL 51]
defects contains "schema" if not sound_schema

defects contains "now" if not sound_now

defects contains "step" if not sound_step

defects contains "officer" if not sound_officer

defects contains "request" if not sound_request

defects contains "stated" if not sound_stated

defects contains "catalogue" if not sound_catalogue

defects contains "person" if not sound_person

defects contains "recent" if not sound_recent

defects contains "grant" if not sound_grant

sound_schema if input.schema == "curtilage/glass/1"

sound_now if is_count(input.now)

sound_step if input.step in {"request", "open", "approve"}

sound_officer if {
	is_string(input.officer)
	input.officer != ""
}

sound_request if {
	is_string(input.request.purpose)
	is_array(input.request.attributes)
	count(input.request.attributes) > 0
	names := {name |
		some name in input.request.attributes
		is_string(name)
	}
	count(names) == count(input.request.attributes)
}

# Apart from the request, which OPA's decision log may hold (system/mask.rego).
sound_stated if {
	is_string(input.stated.reason)
	is_string(input.stated.case)
}

sound_catalogue if {
	is_object(input.catalogue)
	every one in input.catalogue {
		is_count(one.sensitivity)
	}
}

sound_person if {
	is_boolean(input.person.known)
	is_boolean(input.person.restricted)
}

sound_recent if {
	is_count(input.recent.officer)
	is_count(input.recent.person)
	is_count(input.recent.alerts)
}

sound_grant if {
	input.step == "request"
	is_null(input.grant)
}

sound_grant if {
	input.step != "request"
	is_string(input.grant.officer)
	input.grant.officer != ""
	is_string(input.grant.purpose)
	is_string(input.grant.approver)
	is_array(input.grant.attributes)
	is_boolean(input.grant.ended)
	is_boolean(input.grant.same_person)
	is_count(input.grant.seen)
	is_count(input.grant.deadline)
	is_count(input.grant.ends)
}

is_count(number) if {
	is_number(number)
	number >= 0
	number < 1000000000000
	number % 1 == 0
}
