# METADATA
# title: What of a decision an OPA server may log
# description: >-
#   An allow-list: every member of the input and of the result that is not
#   named here is taken out of OPA's own decision log. What stays says who
#   asked for which attributes for what purpose; facts about the person, and
#   reasons that follow from them, do not leave the server. The ledger and the
#   decision store are the record; this log is for operators.
# organizations:
#   - Curtilage
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(c), GDPR 25, GDPR 32, PIPL 6, PIPL 51]
package system.log

# METADATA
# title: Paths that are removed
# scope: document
# custom:
#   law: [GDPR 5(1)(c), PIPL 6]
mask contains path if {
	some name in object.keys(object.get(input, "input", {}))
	not name in {"schema", "service", "request"}
	path := concat("/", ["/input", escaped(name)])
}

mask contains path if {
	some name in object.keys(object.get(input, "result", {}))
	name != "schema"
	path := concat("/", ["/result", escaped(name)])
}

# RFC 6901, section 3: a name with a slash must not point elsewhere.
escaped(name) := replace(replace(name, "~", "~0"), "/", "~1")
