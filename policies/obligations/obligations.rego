# METADATA
# title: Obligations
# description: >-
#   What goes with a released value, and who has to have said that they
#   understand it. Masking is the gate's own work; the rest is the receiver's
#   promise. Nothing is decided here alone: the decision about a disclosure
#   asks, and withholds what would go out under an obligation that the caller
#   does not understand.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.disclosure
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 5(1)(e), GDPR 28(3), PIPL 19, PIPL 21]
package curtilage.obligations

# METADATA
# title: What the whole declaration undertakes
# description: >-
#   Deletion takes its days from the statement, masking its level from the
#   decision; what else the declaration undertakes goes out as it stands.
# custom:
#   law: [GDPR 28(3), PIPL 21]
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

# METADATA
# title: Statements whose obligations everybody understands
# description: >-
#   An obligation that these policies do not know is understood by nobody.
# custom:
#   law: [GDPR 28(3), GDPR 32, PIPL 21, PIPL 51]
acceptable := [id |
	some id, _ in input.declaration.statements
	every kind in undertakings {
		data.vocabulary.obligations[kind]
		kind in input.service.understands
	}
	deletable(id)
]

deletable(id) if not retention[id]

deletable(_) if "delete_by" in input.service.understands

# METADATA
# title: Values that go no further
# description: >-
#   A special category that a statement gives to the body alone is passed on
#   to nobody: the declared recipients are all that the person, or the law,
#   let it go to.
# custom:
#   law: [GDPR 5(1)(b), GDPR 9(2), PIPL 23, PIPL 28, PIPL 29]
confined := {id: delicate |
	count(delicate) > 0
	some id, statement in input.declaration.statements
	{to | some to in statement.recipients} == {"ours"}
}

delicate := {name |
	some name in input.request.attributes
	input.catalogue[name].sensitivity == 3
}

# METADATA
# title: Values that a statement confines, and the caller would not
# custom:
#   law: [GDPR 9(2), GDPR 28(3), PIPL 21, PIPL 29]
unbound := {[id, name] |
	not "no_onward_transfer" in input.service.understands
	some id, names in confined
	some name in names
}

# METADATA
# title: The obligations of some statements together
# description: >-
#   The shortest period binds the service. The order is that of the kinds:
#   deletion, masking, and then the promises by name.
# custom:
#   law: [GDPR 5(1)(e), GDPR 19, PIPL 19, PIPL 47]
due(ids, masks, kinds, days) := array.concat(
	array.concat(deletion({period | some id in ids; period := retention[id]} | days), masks),
	[{"type": kind} | some kind in (undertakings | kinds)],
)

deletion(periods) := [{"type": "delete_by", "days": min(periods)} | count(periods) > 0]

# METADATA
# title: What the recipients of some statements add for one attribute
# custom:
#   law: [GDPR 5(1)(b), GDPR 9(2), PIPL 28, PIPL 29]
onward(ids, name) := {"no_onward_transfer" |
	some id in ids
	name in confined[id]
}

# METADATA
# title: What the person's rules add for one attribute
# description: >-
#   A rule may permit on condition that whoever gets the value promises
#   something. Where consent is the basis that binds; elsewhere no rule does.
# custom:
#   law: [GDPR 4(11), GDPR 7, GDPR 25, PIPL 14, PIPL 15]
demanded(ids, name) := [one |
	some verdict in demanding
	verdict.attribute == name
	verdict.statement in ids
	some one in verdict.obligations
]

demanding := [verdict |
	some verdict in input.preferences
	verdict.obligations
]

# METADATA
# title: Whether the caller understands all that a rule demands
# description: >-
#   Undefined, and with it the decision, for a demand of another shape.
# custom:
#   law: [GDPR 7, GDPR 28(3), PIPL 14, PIPL 21]
met(asked) if {
	wellformed(asked)
	every one in asked {
		one.type in input.service.understands
	}
}

# METADATA
# title: Whether the caller does not understand something that a rule demands
# custom:
#   law: [GDPR 7, GDPR 28(3), PIPL 14, PIPL 21]
unmet(asked) if {
	wellformed(asked)
	some one in asked
	kind := one.type
	not kind in input.service.understands
}

wellformed(asked) if {
	is_array(asked)
	every one in asked {
		demandable(one)
	}
}

demandable(one) if one in [{"type": "no_onward_transfer"}, {"type": "notify"}]

demandable(one) if {
	object.keys(one) == {"type", "days"}
	one.type == "delete_by"
	is_number(one.days)
	one.days >= 1
	one.days <= 3660
	one.days % 1 == 0
}
