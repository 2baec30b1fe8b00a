# METADATA
# title: Disclosure
# description: >-
#   Which attributes of one person a service gets for its one declared
#   purpose: released, generalized or withheld, with reasons and obligations.
#   First comes the proof: an attribute is granted only where every condition
#   holds. Then comes the explanation of what was not granted; it grants
#   nothing, and where it finds no reason there is no decision at all.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.disclosure
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 5(1)(c), GDPR 6(1), PIPL 6, PIPL 13]
package curtilage.disclosure

import data.curtilage.obligations

# METADATA
# title: The decision about each attribute that was asked for
# description: >-
#   Undefined, never a refusal, when the input is unsound, when one attribute
#   could not be judged or when an answer has no reason; the gate then says
#   that there is no decision.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 24, PIPL 9]
decision := {"schema": "curtilage/disclosure/1", "attributes": answers} if {
	sound
	count(answers) == count(requested)
	every found in answers {
		count(found.reasons) > 0
	}
}

# METADATA
# title: An attribute is judged once, however often it is named
# custom:
#   law: [GDPR 5(1)(c), PIPL 6]
requested := {name | some name in input.request.attributes}

# METADATA
# title: One answer for each attribute, whichever it is
# description: >-
#   A grant, or a refusal that says why: the service's own failings first and
#   alone, and else what stands on the person's side.
# scope: document
# custom:
#   law: [GDPR 5(1)(a), GDPR 5(2), GDPR 12(1), PIPL 7]
answers := grants if count(withheld) == 0

answers := {name: answer(name) | some name in requested} if count(withheld) > 0

# METADATA
# title: What one attribute is answered
# scope: document
# custom:
#   law: [GDPR 5(1)(a), GDPR 5(1)(c), PIPL 6, PIPL 7]
answer(name) := grants[name] if {
	not name in withheld
	not name in spoiled
}

answer(name) := refusal(["essential_incomplete"]) if name in spoiled

answer(name) := refusal(failings(name)) if {
	name in withheld
	count(failings(name)) > 0
}

answer(name) := refusal(hindrances(name)) if {
	name in withheld
	count(failings(name)) == 0
}

withheld := {name | some name in input.request.attributes; not grants[name]}

# METADATA
# title: Essential attributes go together or not at all
# description: >-
#   Part of what a purpose cannot do without is of no use to the service, so
#   handing it over would be more than is necessary. An attribute that one
#   statement calls essential is essential.
# custom:
#   law: [GDPR 5(1)(c), GDPR 25(2), PIPL 6]
spoiled := {name | some name in essential; not name in withheld} if {
	count(essential & withheld) > 0
} else := set()

essential := {name |
	some id, names in declaring
	some name in names
	input.declaration.statements[id].data[name].optional == false
}

# METADATA
# title: Grants, with what goes with them
# description: >-
#   The service is in order, the person is known and has not restricted the
#   use, the value exists, the service is cleared for data as delicate as
#   this, and at least one statement offers it. What is the person's own is
#   asked last, so that it decides what comes out and not how long it takes.
# custom:
#   law: [GDPR 5(1)(f), GDPR 6(1), GDPR 18, GDPR 25, PIPL 13, PIPL 44, PIPL 51]
grants := {name: grant(name) |
	prepared
	some name in cleared
	name in offered
	name in input.person.present
	input.person.restricted == false
	input.person.known == true
}

# METADATA
# title: What the service is cleared for
# description: The attributes asked that are no more delicate than it may see.
# custom:
#   law: [GDPR 9, GDPR 32, PIPL 28, PIPL 51]
cleared := {name |
	some name in input.request.attributes
	input.service.assurance >= clearance(name)
}

# METADATA
# title: What at least one statement offers, whole or coarser
# custom:
#   law: [GDPR 5(1)(c), GDPR 6(1), PIPL 13]
offered := {name |
	some name, found in permitting
	some id in found
	reaches[id][name] >= 0
}

# METADATA
# title: The least generalization among the statements that permit
# description: >-
#   Statements that offer the same least level are taken together, and the
#   shortest of their periods binds the service. Attributes that the same
#   statements offer whole share one deal, made once; where nothing is added
#   for one of them alone, that is all.
# custom:
#   law: [GDPR 5(1)(e), PIPL 19]
grant(name) := deals[whole[name]] if {
	unqualified
} else := object.union(deals[whole[name]], {
	"reasons": noted,
	"obligations": owed(whole[name], [], name),
}) if {
	count(whole[name]) > 0
	noted := array.concat(
		deals[whole[name]].reasons,
		[{"code": note, "remedy": "none"} | some note in notes(name)],
	)
} else := {
	"effect": "generalize",
	"level": least,
	"reasons": [explained("consent_given"), explained("preference_limits")],
	"obligations": owed(best, [{"type": "mask"}], name),
} if {
	levels := [level |
		some id in permitting[name]
		level := reaches[id][name]
		level > 0
	]
	least := min(levels)
	best := [id | some id in permitting[name]; reaches[id][name] == least]
}

unqualified if {
	count(overridden) == 0
	count(obligations.confined) == 0
	count(obligations.demanding) == 0
}

deals := {best: deal |
	some best in {best | some best in whole; count(best) > 0}
	deal := {
		"effect": "release",
		"level": 0,
		"reasons": array.concat(
			[explained("consent_given") | asked(best)],
			[explained("legal_basis") | lawful(best)],
		),
		"obligations": obligations.due(best, [], set(), set()),
	}
}

owed(ids, masks, name) := obligations.due(ids, masks, kinds, days) if {
	demanded := obligations.demanded([id | some id in ids; id in by_consent], name)
	kinds := obligations.onward(ids, name) | ({one.type | some one in demanded} - {"delete_by"})
	days := {one.days | some one in demanded}
}

# METADATA
# title: The grounds of a grant
# custom:
#   law: [GDPR 6(1), GDPR 7(1), PIPL 13]
asked(best) if {
	some id in best
	id in asking
}

lawful(best) if {
	some id in best
	not id in by_consent
}

# METADATA
# title: Preferences that the law overrides are noted for the person
# custom:
#   law: [GDPR 12(1), GDPR 15(1), PIPL 44]
notes(name) := {note |
	some verdict in overridden
	verdict.attribute == name
	verdict.statement in whole[name]
	note := notable[verdict.behavior]
}

overridden := [verdict |
	some verdict in input.preferences
	verdict.behavior != "allow"
	not verdict.statement in by_consent
]

notable := {"limit": "preference_limits", "refuse": "preference_refuses"}

# METADATA
# title: Statements that permit each attribute
# description: >-
#   They declare it, their ground covers it and their basis may carry it. How
#   much of it then leaves is for the person's preferences to say.
# custom:
#   law: [GDPR 5(1)(b), GDPR 6(1), PIPL 6, PIPL 13]
permitting := {name: found |
	some name, ids in able
	found := [id | some id in ids; name in covered[id]]
}

# METADATA
# title: Statements that could permit each attribute, whoever it is about
# custom:
#   law: [GDPR 5(1)(b), GDPR 9(2), PIPL 6, PIPL 28]
able := {name: found |
	some name in input.request.attributes
	found := [id | some id in eligible(name); name in carried[id]]
}

whole := {name: [id | some id in found; reaches[id][name] == 0] |
	some name, found in permitting
}

# METADATA
# title: What the ground of a statement covers
# description: >-
#   Where a statement asks, the attributes that the consent lists; elsewhere
#   everything. Nothing, once the person has objected.
# custom:
#   law: [GDPR 6(1)(a), GDPR 7, GDPR 21, PIPL 14, PIPL 15, PIPL 44]
covered := {id: names |
	some id in obligations.acceptable
	not id in objected
	names := ground_of(id)
}

ground_of(id) := input.request.attributes if not id in asking

ground_of(id) := consents[id].attributes if {
	id in asking
	consents[id].state == "given"
	unexpired(id)
}

unexpired(id) if consents[id].until == null

unexpired(id) if {
	consents[id].until != null
	consents[id].until > input.now
}

# METADATA
# title: A statement asks for consent
# description: Consent as the basis asks; so does an opt-in under any basis.
# custom:
#   law: [GDPR 6(1)(a), GDPR 7, PIPL 14]
asking := {id |
	some id, statement in input.declaration.statements
	asks(id, statement.purposes)
}

asks(id, _) if id in by_consent

asks(_, purposes) if {
	some purpose in purposes
	purpose.required == "opt-in"
}

# METADATA
# title: Objections
# description: >-
#   An objection names the service's purpose or one of P3P's. It stops what
#   rests on a public task or on legitimate interests, and every purpose that
#   the declaration itself offers to opt out of.
# custom:
#   law: [GDPR 21, PIPL 24, PIPL 44]
objected := {id |
	count(input.person.objected) > 0
	some id, statement in input.declaration.statements
	some purpose in statement.purposes
	some word in [purpose.purpose, input.service.purpose]
	word in input.person.objected
	objectable(id, purpose.required)
}

objectable(id, _) if bases[id].objectable

objectable(_, "opt-out") := true

# METADATA
# title: What the basis of a statement may carry
# description: >-
#   Special categories need consent or a law that names the task. Neither a
#   contract nor an interest carries them. Vital interests do not either:
#   that exception is for a person who cannot consent, which an officer
#   judges and no rule here can.
# custom:
#   law: [GDPR 9(2), PIPL 28, PIPL 29]
carried := {id: names |
	some id, basis in bases
	names := {true: input.request.attributes, false: ordinary}[basis.special]
}

ordinary := [name |
	some name in input.request.attributes
	input.catalogue[name].sensitivity < 3
]

# METADATA
# title: The level that a statement reaches for each attribute
# description: >-
#   0 is the whole value, n the nth generalization, -1 a refusal. Preferences
#   bind where consent is the basis. A limit on an attribute that cannot be
#   generalized is a refusal, and so is a permission whose terms are not met.
# custom:
#   law: [GDPR 4(11), GDPR 5(1)(c), GDPR 25, PIPL 6, PIPL 14]
reaches := {id: levels |
	some id, basis in bases
	levels := reached(id, basis.asks)
}

reached(_, false) := untouched

reached(id, true) := {verdict.attribute: level |
	some verdict in input.preferences
	verdict.statement == id
	level := granted(verdict)
}

untouched := {name: 0 | some name in input.request.attributes}

# A hold that the vocabulary does not know leaves no level, and no decision.
granted(verdict) := wanted(verdict.behavior, verdict.level, verdict.attribute) if {
	verdict.hold == null
	not verdict.obligations
}

granted(verdict) := wanted(verdict.behavior, verdict.level, verdict.attribute) if {
	verdict.hold == null
	obligations.met(verdict.obligations)
}

granted(verdict) := -1 if {
	verdict.hold == null
	obligations.unmet(verdict.obligations)
}

granted(verdict) := -1 if data.vocabulary.holds[verdict.hold]

wanted("allow", _, _) := 0

wanted("refuse", _, _) := -1

wanted("limit", _, name) := -1 if indivisible(name)

wanted("limit", level, name) := min([level, input.catalogue[name].levels]) if {
	is_count(level)
	level > 0
	input.catalogue[name].levels > 0
}

wanted("limit", null, name) := input.catalogue[name].levels if {
	input.catalogue[name].levels > 0
}

indivisible(name) if not input.catalogue[name]

indivisible(name) if input.catalogue[name].levels == 0

# METADATA
# title: The service is in order
# custom:
#   law: [GDPR 5(1)(b), GDPR 28, GDPR 32, PIPL 51]
prepared if {
	input.declaration != null
	input.service.assurance >= input.declaration.assurance
	in_force
}

in_force if {
	input.declaration.valid_from <= input.now
	not lapsed
}

lapsed if {
	input.declaration.valid_until != null
	input.declaration.valid_until <= input.now
}

# METADATA
# title: The assurance that delicate data demands of the service
# custom:
#   law: [GDPR 9, GDPR 32, PIPL 28, PIPL 51]
clearance(name) := data.vocabulary.clearance[input.catalogue[name].sensitivity]

declaring := {id: names |
	some id, statement in input.declaration.statements
	names := [name |
		some name in input.request.attributes
		statement.data[name]
	]
}

bases := {id: data.vocabulary.bases[statement.basis] |
	some id, statement in input.declaration.statements
}

by_consent := {id | some id, basis in bases; basis.asks}

consents := {one.statement: one |
	some one in input.consents
	input.declaration.statements[one.statement]
}

# The explanation of what was withheld.

# METADATA
# title: A refusal has a reason, or there is no decision
# custom:
#   law: [GDPR 5(2), GDPR 12(1), PIPL 7]
refusal(codes) := {
	"effect": "withhold",
	"level": 0,
	"reasons": [explained(code) | some code in codes],
	"obligations": [],
} if {
	count(codes) > 0
}

# METADATA
# title: A reason and what would help
# custom:
#   law: [GDPR 12(1), PIPL 7]
explained(code) := {
	"code": code,
	"remedy": data.vocabulary.reasons[code].remedy,
}

# METADATA
# title: The service's own failings
# description: >-
#   They come first and alone. They depend on the declaration, the request
#   and the service, may be told to the service, and so nothing of the person
#   may decide whether they appear.
# custom:
#   law: [GDPR 5(1)(b), GDPR 28, GDPR 32, PIPL 6, PIPL 51]
failings(name) := unregistered | (unprepared | (unfounded(name) | uncleared(name)))

unregistered := {code |
	input.declaration == null
	code := "service_not_registered"
}

unprepared := {code |
	input.service.assurance < input.declaration.assurance
	code := "assurance_too_low"
} | {code |
	input.declaration != null
	not in_force
	code := "declaration_expired"
}

uncleared(name) := {code |
	input.declaration != null
	input.service.assurance < clearance(name)
	code := "assurance_too_low"
}

unfounded(name) := {code |
	input.declaration != null
	code := unfound(name)
}

unfound(name) := "unknown_attribute" if {
	not input.catalogue[name]
} else := "not_declared" if {
	not declared(name)
} else := "obligation_not_understood" if {
	count(eligible(name)) == 0
}

declared(name) if {
	some names in declaring
	name in names
}

eligible(name) := [id |
	some id in obligations.acceptable
	name in declaring[id]
	not [id, name] in obligations.unbound
]

# METADATA
# title: What hinders on the person's side
# description: >-
#   A restriction and a missing value hold for every statement; of the rest,
#   one statement that permits is enough, and only when none does are the
#   obstacles of all of them the reason. A restriction freezes every use,
#   which is stricter than GDPR 18(2). Nobody is spared any of this, known or
#   not: how long it takes shall tell no more than the answer does.
# custom:
#   law: [GDPR 7, GDPR 18, GDPR 21, PIPL 15, PIPL 44]
hindrances(name) := {true: own(name), false: {"person_unknown"}}[input.person.known]

own(name) := (frozen | absent(name)) | {true: set(), false: obstructed(name)}[permits(name)]

permits(name) if {
	name in offered
} else := false

obstructed(name) := {code |
	some id in eligible(name)
	some code in obstacles(id, name)
}

frozen := {code | input.person.restricted; code := "restricted"}

absent(name) := {code | not name in input.person.present; code := "no_value"}

obstacles(id, name) := ({code | id in asking; code := standing(id, name)} | {code | not name in carried[id]; code := "consent_missing"}) | ({code | reaches[id][name] < 0; code := against(id, name)} | {code | id in objected; code := "objected"})

# METADATA
# title: Why the person's preferences withhold
# custom:
#   law: [GDPR 7(3), GDPR 12(1), GDPR 21(5), PIPL 15, PIPL 44]
against(id, name) := data.vocabulary.holds[hold] if {
	some verdict in input.preferences
	verdict.statement == id
	verdict.attribute == name
	hold := verdict.hold
	hold != null
} else := "preference_obligation" if {
	some verdict in input.preferences
	verdict.statement == id
	verdict.attribute == name
	obligations.unmet(verdict.obligations)
} else := "preference_refuses"

# METADATA
# title: What is wrong with a consent
# custom:
#   law: [GDPR 7(1), GDPR 7(3), PIPL 15, PIPL 16]
standing(id, name) := "consent_missing" if {
	not consents[id]
} else := lost[consents[id].state] if {
	consents[id].state != "given"
} else := "consent_expired" if {
	not unexpired(id)
} else := "consent_missing" if {
	not name in consents[id].attributes
}

lost := {
	"refused": "consent_refused",
	"withdrawn": "consent_withdrawn",
	"expired": "consent_expired",
	"paused": "consent_paused",
	"revoked": "consent_revoked",
	"invalidated": "consent_invalidated",
	"requested": "consent_missing",
	"unanswered": "consent_missing",
}
