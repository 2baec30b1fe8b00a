# METADATA
# title: Disclosure
# description: >-
#   Which attributes of one person a service gets for its one declared
#   purpose: released, generalized or withheld, with reasons and obligations.
#   An attribute is released only on positive proof; whatever is missing or
#   of the wrong shape leaves the whole decision undefined (see defects.rego).
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.disclosure
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 5(1)(c), GDPR 6(1), PIPL 6, PIPL 13]
package curtilage.disclosure

# METADATA
# title: The decision about each attribute that was asked for
# description: >-
#   Undefined, never a refusal, when the input has a defect or when one
#   attribute could not be judged; the gate then answers that there is no
#   decision.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 24, PIPL 9]
decision := {"schema": "curtilage/disclosure/1", "attributes": answers} if {
	count(defects) == 0
	count(answers) == count(requested)
}

# METADATA
# title: Answers in the shape that the gate reads
# description: A code without an entry in the vocabulary drops the answer.
# custom:
#   law: [GDPR 12(1), PIPL 7]
answers := {name: answer |
	some name, found in complete
	reasons := array.concat(
		[{"code": code, "remedy": data.vocabulary.reasons[code].remedy} |
			some code in found.codes
		],
		[{"code": code, "remedy": "none"} | some code in found.noted],
	)
	count(reasons) == count(found.codes) + count(found.noted)
	answer := {
		"effect": found.effect,
		"level": found.level,
		"reasons": reasons,
		"obligations": found.obligations,
	}
}

# METADATA
# title: Essential attributes go together or not at all
# description: >-
#   Part of what a purpose cannot do without is of no use to the service, so
#   handing it over would be more than is necessary.
# custom:
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6]
complete := {name: settled(name) | some name in requested}

settled(name) := findings[name] if not name in incomplete

settled(name) := withheld({"essential_incomplete"}) if name in incomplete

incomplete := {name |
	essential_withheld
	some name in essential
	findings[name].effect != "withhold"
}

essential_withheld if {
	some name in essential
	findings[name].effect == "withhold"
}

essential := {name |
	some name, statements in declaring
	some id in statements
	input.declaration.statements[id].data[name].optional == false
}

# METADATA
# title: What each attribute comes to by itself
# description: >-
#   The service's own failings come first and alone: they may be told to the
#   service, so nothing of the person may decide whether they appear.
# custom:
#   law: [GDPR 5(1)(f), GDPR 25, PIPL 51]
findings := {name: finding(name) | some name in requested}

finding(name) := withheld(failings[name]) if count(failings[name]) > 0

finding(name) := withheld({"person_unknown"}) if {
	failings[name] == set()
	input.person.known == false
}

finding(name) := withheld(hindrances) if {
	failings[name] == set()
	input.person.known == true
	hindrances := hindering(name)
	count(hindrances) > 0
}

finding(name) := granted(name) if {
	failings[name] == set()
	input.person.known == true
	hindering(name) == set()
}

withheld(codes) := {
	"effect": "withhold",
	"level": 0,
	"codes": codes,
	"noted": set(),
	"obligations": [],
}

# METADATA
# title: The least generalization among the statements that permit
# description: >-
#   Statements that offer the same least level are taken together, and the
#   shortest of their periods binds the service.
# custom:
#   law: [GDPR 5(1)(e), PIPL 19]
granted(name) := {
	"effect": effects[level > 0],
	"level": level,
	"codes": {code | some id in best; some code in grounds(id, name)},
	"noted": {code | some id in best; some code in notes(id, name)},
	"obligations": obligations(best, level),
} if {
	level := min([reach | some reach in permitting[name]])
	best := [id | some id, reach in permitting[name]; reach == level]
}

effects := {false: "release", true: "generalize"}

# METADATA
# title: The grounds of a grant
# custom:
#   law: [GDPR 6(1), GDPR 7(1), PIPL 13]
grounds(id, name) := consented[id] | {code |
	reaches[name][id] > 0
	code := "preference_limits"
} if {
	id in by_consent
} else := consented[id] | {"legal_basis"}

consented := {id: {code | id in asking; code := "consent_given"} |
	some id, _ in input.declaration.statements
}

# METADATA
# title: Preferences that the law overrides are noted for the person
# custom:
#   law: [GDPR 12(1), GDPR 15(1), PIPL 44]
notes(id, name) := {code |
	not id in by_consent
	code := notable[verdicts[[id, name]].behavior]
}

notable := {"limit": "preference_limits", "refuse": "preference_refuses"}

# METADATA
# title: Obligations that go with a value
# description: >-
#   Masking is the gate's own work; the rest is what the service promises,
#   and only a service that understands it gets this far.
# custom:
#   law: [GDPR 5(1)(e), GDPR 19, PIPL 19, PIPL 47]
obligations(statements, level) := array.concat(
	array.concat(
		[{"type": "delete_by", "days": min(periods)} | count(periods) > 0],
		[{"type": "mask"} | level > 0],
	),
	[{"type": kind} | some kind in undertakings],
) if {
	periods := [days | some id in statements; days := retention[id]]
}

# METADATA
# title: The service's own failings, by attribute
# description: >-
#   These depend on the declaration, the request and the service alone.
# custom:
#   law: [GDPR 5(1)(b), GDPR 28, GDPR 32, PIPL 6, PIPL 51]
failings := {name: {"service_not_registered"} |
	some name in requested
} if {
	input.declaration == null
}

failings := {name: codes |
	some name in requested
	codes := (unprepared | unfounded(name)) | uncleared(name)
} if {
	input.declaration != null
}

unprepared := {code |
	input.service.assurance < input.declaration.assurance
	code := "assurance_too_low"
} | {code |
	not in_force
	code := "declaration_expired"
}

in_force if {
	input.declaration.valid_from <= input.now
	not lapsed
}

lapsed if {
	input.declaration.valid_until != null
	input.declaration.valid_until <= input.now
}

unfounded(name) := {"unknown_attribute"} if not input.catalogue[name]

unfounded(name) := {"not_declared"} if {
	input.catalogue[name]
	count(declaring[name]) == 0
}

unfounded(name) := {code |
	count(eligible[name]) == 0
	code := "obligation_not_understood"
} if {
	input.catalogue[name]
	count(declaring[name]) > 0
}

# METADATA
# title: The assurance that delicate data demands of the service
# custom:
#   law: [GDPR 9, GDPR 32, PIPL 28, PIPL 51]
uncleared(name) := {code |
	found := input.catalogue[name]
	input.service.assurance < data.vocabulary.clearance[found.sensitivity]
	code := "assurance_too_low"
}

# METADATA
# title: The person's side, by attribute
# description: >-
#   A restriction and a missing value hold for every statement; otherwise one
#   statement that permits is enough, and only when none does are all of
#   their obstacles the reason.
# custom:
#   law: [GDPR 7, GDPR 18, GDPR 21, PIPL 15, PIPL 44]
hindering(name) := (frozen | absent(name)) | {code |
	count(permitted) == 0
	some id in eligible[name]
	some code in obstacles(id, name)
} if {
	permitted := permitting[name]
}

# METADATA
# title: A restriction freezes every use
# description: >-
#   Stricter than GDPR 18(2), which would let consent and important public
#   interests through; the person lifts the restriction for that.
# custom:
#   law: [GDPR 18, PIPL 44]
frozen := {code | input.person.restricted; code := "restricted"}

absent(name) := {code | not name in present; code := "no_value"}

# METADATA
# title: Statements that permit, with the level that each of them reaches
# description: >-
#   Proof is positive: a statement whose facts are incomplete has no reach
#   and is missing here, and then judged says that it was not judged.
# custom:
#   law: [GDPR 5(2), GDPR 6(1), PIPL 13]
permitting := {name: found |
	some name in requested
	found := {id: reach |
		some id, reach in reaches[name]
		reach >= 0
		obstacles(id, name) == set()
	}
	count(reaches[name]) == count(eligible[name])
}

obstacles(id, name) := (unasked(id, name) | unfit(id, name)) | (unwanted(id, name) | objections[id])

# METADATA
# title: A statement that asks needs a consent that lists the attribute
# description: >-
#   Consent as the basis asks, and so does an opt-in purpose under any basis.
# custom:
#   law: [GDPR 6(1)(a), GDPR 7, PIPL 14, PIPL 15]
unasked(id, name) := {code |
	id in asking
	code := standing(id, name)
	code != "consent_given"
}

standing(id, name) := "consent_given" if {
	consents[id].state == "given"
	unexpired(id)
	name in consents[id].attributes
} else := "consent_expired" if {
	consents[id].state == "given"
	not unexpired(id)
} else := refused if {
	refused := refusals[consents[id].state]
} else := "consent_missing"

unexpired(id) if consents[id].until == null

unexpired(id) if {
	consents[id].until != null
	consents[id].until > input.now
}

refusals := {
	"refused": "consent_refused",
	"withdrawn": "consent_withdrawn",
	"expired": "consent_expired",
}

# METADATA
# title: Special categories need consent or a law that names the task
# description: >-
#   Neither a contract nor an interest carries them. Vital interests do not
#   either: that exception is for a person who cannot consent, which an
#   officer judges and no rule here can.
# custom:
#   law: [GDPR 9(2), PIPL 28, PIPL 29]
unfit(id, name) := {code |
	input.catalogue[name].sensitivity >= 3
	not bases[id].special
	code := "consent_missing"
}

# METADATA
# title: Preferences bind where consent is the basis
# custom:
#   law: [GDPR 4(11), GDPR 25, PIPL 14]
unwanted(id, name) := {code |
	reaches[name][id] < 0
	code := "preference_refuses"
}

# METADATA
# title: The level that a statement reaches for each attribute
# description: >-
#   0 is the whole value, n the nth generalization, -1 a refusal. A limit on
#   an attribute that cannot be generalized is a refusal.
# custom:
#   law: [GDPR 5(1)(c), GDPR 25, PIPL 6]
reaches := {name: found |
	some name in requested
	found := {id: level |
		some id in eligible[name]
		level := reach(id, name)
	}
}

reach(id, _) := 0 if not id in by_consent

reach(id, name) := wanted(verdicts[[id, name]], name) if id in by_consent

wanted(verdict, _) := 0 if verdict.behavior == "allow"

wanted(verdict, _) := -1 if verdict.behavior == "refuse"

wanted(verdict, name) := -1 if {
	verdict.behavior == "limit"
	input.catalogue[name].levels == 0
}

wanted(verdict, name) := min([verdict.level, input.catalogue[name].levels]) if {
	verdict.behavior == "limit"
	verdict.level != null
	input.catalogue[name].levels > 0
}

wanted(verdict, name) := input.catalogue[name].levels if {
	verdict.behavior == "limit"
	verdict.level == null
	input.catalogue[name].levels > 0
}

# METADATA
# title: Objections
# description: >-
#   An objection names the service's purpose or one of P3P's. It stops what
#   rests on a public task or on legitimate interests, and every purpose that
#   the declaration itself offers to opt out of.
# custom:
#   law: [GDPR 21, PIPL 24, PIPL 44]
objections := {id: codes |
	some id, statement in input.declaration.statements
	codes := {"objected" |
		some purpose in statement.purposes
		some word in [purpose.purpose, input.service.purpose]
		word in objected
		objectable(id, purpose.required)
	}
}

objectable(id, _) if bases[id].objectable

objectable(_, "opt-out") := true

# The facts in the form that the rules above read, each made once.

requested := {name | some name in input.request.attributes}

understood := {kind | some kind in input.service.understands}

present := {name | some name in input.person.present}

objected := {word | some word in input.person.objected}

consents := {one.statement: one | some one in input.consents}

verdicts := {[one.statement, one.attribute]: one |
	some one in input.preferences
}

bases := {id: data.vocabulary.bases[statement.basis] |
	some id, statement in input.declaration.statements
}

by_consent := {id | some id, basis in bases; basis.asks}

asking := by_consent | {id |
	some id, statement in input.declaration.statements
	some purpose in statement.purposes
	purpose.required == "opt-in"
}

declaring := {name: statements |
	some name in requested
	statements := [id |
		some id, statement in input.declaration.statements
		statement.data[name]
	]
}

eligible := {name: statements |
	some name, all in declaring
	statements := [id | some id in all; id in acceptable]
}

# METADATA
# title: Statements whose obligations everybody understands
# description: >-
#   An obligation that these policies do not know is understood by nobody.
# custom:
#   law: [GDPR 28(3), GDPR 32, PIPL 21, PIPL 51]
acceptable := {id |
	some id, _ in input.declaration.statements
	every kind in undertakings {
		data.vocabulary.obligations[kind]
	}
	every kind in promised(id) {
		kind in understood
	}
}

promised(id) := undertakings | {"delete_by" | retention[id] >= 0}

# Deletion takes its days from the statement, masking its level from the
# decision; what else the declaration undertakes goes out as it stands.
undertakings := {kind | some kind in input.declaration.obligations} - {"delete_by", "mask"}

# METADATA
# title: Days after which a service deletes what a statement gave it
# description: No retention means none; without a period there is no date.
# custom:
#   law: [GDPR 5(1)(e), PIPL 19]
retention := {id: days |
	some id, statement in input.declaration.statements
	days := period(statement.retention_days, statement.retention)
}

period(days, _) := days if days != null

period(null, "no-retention") := 0
