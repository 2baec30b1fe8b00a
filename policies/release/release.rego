# METADATA
# title: Release
# description: >-
#   Whether an officer gets a de-identified extract, of which columns in which
#   role, and the criteria that the extract has to meet. What the declaration
#   promised is the floor: a request may ask for more protection, never less.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.release
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 5(1)(c), GDPR 89(1), PIPL 6, PIPL 51]
package curtilage.release

# METADATA
# title: The decision about one extract
# description: >-
#   Undefined, never a refusal, when the input has a defect.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 24, PIPL 9]
decision := {
	"schema": "curtilage/release/1",
	"allow": count(reasons) == 0,
	"reasons": reasons,
	"columns": columns,
	"k": strictest(floor_k, terms.k, input.request.k),
	"l": strictest(1, terms.l, input.request.l),
	"suppression_limit": terms.suppression_limit,
	"epsilon": 0,
	"pseudonym": object.get(terms, "pseudonym", "per-release"),
} if {
	count(defects) == 0
	count(reasons) == count(refusals)
}

# METADATA
# title: An extract without classes of at least two people is not one
# custom:
#   law: [GDPR recital 26, PIPL 73(4)]
floor_k := 2

# METADATA
# title: The strictest of what is demanded, declared and asked
# custom:
#   law: [GDPR 25(2), GDPR 89(1), PIPL 51]
strictest(least, declared, asked) := max([least, declared, asked])

# METADATA
# title: Reasons in the shape that the gate reads
# description: A refusal that concerns one column names it.
# custom:
#   law: [GDPR 5(2), PIPL 9]
reasons := [reason |
	some refusal in refusals
	entry := data.vocabulary.reasons[refusal.code]
	reason := object.union(refusal, {"remedy": entry.remedy})
]

# METADATA
# title: What stands against the extract
# custom:
#   law: [GDPR 5(1)(b), GDPR 6(4), PIPL 6, PIPL 14]
refusals := general | particular

general := {{"code": code} | some code in general_codes}

general_codes := {code | not "analyst" in roles; code := "role_missing"} | ({code | input.declaration == null; code := "service_not_registered"} | ({code | not in_force; code := "declaration_expired"} | ({code | not offered; code := "release_not_declared"} | ({code | misdirected; code := "recipient_not_declared"} | ({code | not sensitive_fits; code := "sensitive_not_declared"} | {code | count(leaving) == 0; code := "nothing_to_release"})))))

# METADATA
# title: Columns are refused by name
# custom:
#   law: [GDPR 5(1)(c), PIPL 6]
particular := {{"code": "unknown_attribute", "attribute": name} |
	some name in requested
	not input.catalogue[name]
} | {{"code": "not_declared", "attribute": name} |
	some name in requested
	input.catalogue[name]
	not name in declared
}

in_force if input.declaration == null

in_force if {
	input.declaration.valid_from <= input.now
	not lapsed
}

lapsed if {
	input.declaration.valid_until != null
	input.declaration.valid_until <= input.now
}

offered if input.declaration == null

offered if input.declaration.release != null

# METADATA
# title: The recipient is the declared one, to the letter
# custom:
#   law: [GDPR 13(1)(e), GDPR 28, PIPL 23]
misdirected if {
	terms.recipient != null
	input.request.recipient != terms.recipient
}

# METADATA
# title: The column whose values must stay diverse
# description: >-
#   It is declared, asked for, and sensitive in the catalogue's own reading.
#   Where an extract has sensitive columns, one of them must be named, for
#   without it nothing would be measured.
# scope: document
# custom:
#   law: [GDPR 9, PIPL 28]
sensitive_fits if {
	input.request.sensitive == null
	every _, column in roles_of {
		column.role != "sensitive"
	}
}

sensitive_fits if {
	roles_of[input.request.sensitive].role == "sensitive"
	input.request.sensitive in terms.sensitive
}

# METADATA
# title: Roles of the columns
# description: >-
#   The catalogue says what identifies. A declaration may make an ordinary
#   column sensitive; it cannot take a column out of those that identify.
# custom:
#   law: [GDPR 4(5), GDPR 25, PIPL 73(3)]
roles_of := {name: {"role": role} |
	some name in requested
	role := role_of(name)
}

role_of(name) := "sensitive" if {
	input.catalogue[name].role == "other"
	sensitive(name)
}

role_of(name) := "other" if {
	input.catalogue[name].role == "other"
	not sensitive(name)
}

role_of(name) := input.catalogue[name].role if {
	input.catalogue[name].role != "other"
}

sensitive(name) if name in terms.sensitive

sensitive(name) if input.catalogue[name].sensitivity >= 3

# METADATA
# title: Columns of the extract
# description: >-
#   A refused extract has none. Direct identifiers are named with their role,
#   so that they can be taken out and their values scrubbed from the texts.
# scope: document
# custom:
#   law: [GDPR 5(1)(c), GDPR 89(1), PIPL 6]
columns := roles_of if count(refusals) == 0

columns := {} if count(refusals) > 0

leaving := {name | some name, column in roles_of; column.role != "direct"}

# The facts in the form that the rules above read, each made once.

requested := {name | some name in input.request.columns}

roles := {role | some role in input.officer.roles}

declared := {name |
	some statement in input.declaration.statements
	some name, _ in statement.data
}

terms := input.declaration.release if has_terms

terms := {
	"recipient": null,
	"k": floor_k,
	"l": 1,
	"suppression_limit": 0,
	"sensitive": [],
} if {
	not has_terms
}

has_terms if input.declaration.release != null
