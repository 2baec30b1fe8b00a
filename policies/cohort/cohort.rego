# METADATA
# title: The cohort of an extract, as a condition
# description: >-
#   For the compile API: which of many kinds of people the disclosure policy
#   releases whole, as a condition on a column and as nothing else. Each kind
#   is a document of facts under its key. The policy is asked about each; what
#   is unknown, `input.facts`, is only which kind a row is of. So what comes
#   out is one equality for every kind, whatever the rules are, and a kind on
#   which there is no decision has none.
# organizations:
#   - Curtilage
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 6(1), GDPR 21, GDPR 89(1), PIPL 6, PIPL 13]
package curtilage.cohort

# METADATA
# title: A row is of a kind that was decided
# description: >-
#   The key is followed by a space and the codes against a release. Rows carry
#   their key with the space and no code, so only what is released whole can
#   be theirs; the others say why people stay out.
# custom:
#   law: [GDPR 5(2), GDPR 6(1), PIPL 13]
include if {
	some key, document in input.documents
	found := data.curtilage.disclosure.decision.attributes with input as document
	object.keys(found) == {name | some name in document.request.attributes}
	every one in found {
		told(one)
	}
	codes := {reason.code |
		some one in found
		one.effect != "release"
		some reason in one.reasons
	}
	input.facts.kind == concat(" ", [key, concat(",", codes)])
}

# METADATA
# scope: document
# title: An attribute that is released, or says why not
# description: Withheld without a reason is no decision, and no release.
# custom:
#   law: [GDPR 5(2), GDPR 6(1), PIPL 13]
told(one) if one.effect == "release"

told(one) if count(one.reasons) > 0
