# METADATA
# title: Noisy numbers
# description: >-
#   Whether an officer gets noisy numbers about the people of a data set, and
#   how much privacy may be spent on them. Who may ask about which columns is
#   what an extract of the same columns would be allowed.
# organizations:
#   - Curtilage
# schemas:
#   - input: schema.release
# custom:
#   owner: data protection officer
#   law: [GDPR 5(1)(b), GDPR 5(1)(c), GDPR 89(1), PIPL 6, PIPL 51]
package curtilage.numbers

import data.curtilage.release

# METADATA
# title: The decision about one question
# description: >-
#   Undefined where the decision about an extract would be, and refused where
#   that is, but for the rule that an extract with sensitive columns names one
#   whose values stay diverse: noise protects them all alike.
# entrypoint: true
# custom:
#   law: [GDPR 5(2), GDPR 24, PIPL 9]
decision := {
	"schema": "curtilage/numbers/1",
	"allow": count(against) == 0,
	"reasons": against,
	"budget": budget,
} if {
	said := release.decision
	against := [reason |
		some reason in said.reasons
		reason.code != "sensitive_not_declared"
	]
}

# METADATA
# title: What may be spent on a data set within a window
# description: >-
#   In thousandths of epsilon, at a delta of ten to the minus
#   delta_exponent: by one recipient, by recipients who are known to share
#   what they get, and by all recipients together, since any may. What the
#   declaration allows a recipient is less or the same, and those who share
#   get half as much again. The days are the window's.
# custom:
#   law: [GDPR 25, GDPR 89(1), PIPL 51]
budget := {
	"recipient": allowance,
	"colluding": floor((allowance * 3) / 2),
	"everybody": 3 * allowance,
	"delta_exponent": 6,
	"days": 365,
}

# METADATA
# title: What one recipient may spend under this declaration
# scope: document
# custom:
#   law: [GDPR 25, GDPR 89(1), PIPL 51]
allowance := min([1000, release.terms.epsilon_thousandths])

allowance := 1000 if not release.terms.epsilon_thousandths
