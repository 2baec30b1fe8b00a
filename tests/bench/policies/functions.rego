# METADATA
# title: The benchmark policy, written with functions and comprehensions
# description: >-
#   One request for some attributes against the consents of one person. For
#   each attribute it decides allow, mask or deny, with the set of reasons and
#   the obligations. The same decisions as in sets.rego.
package bench.functions

# METADATA
# entrypoint: true
decision := {attribute: answer(attribute) |
	some attribute in input.request.attributes
}

service := data.services[input.request.service]

purpose := service.purposes[input.request.purpose]

consents := [consent |
	some consent in input.consents
	consent.recipient == input.request.service
	consent.purpose == input.request.purpose
	consent.status == "active"
	consent.expires_at > input.context.now
]

covering(attribute) := {consent.id: consent |
	some consent in consents
	attribute in consent.attributes
}

plain(attribute) := {id |
	some id, consent in covering(attribute)
	not consent.mask
}

answer(attribute) := {
	"effect": effect(found),
	"reasons": found,
	"obligations": obligations(found, attribute),
} if {
	found := reasons(attribute)
}

effect(found) := "deny" if {
	count(found - {"consent_masked_only"}) > 0
} else := "mask" if {
	"consent_masked_only" in found
} else := "allow"

reasons(attribute) := (((({"unknown_service" | not service} | {"purpose_not_declared" | not purpose}) | {"unknown_attribute" | not data.attributes[attribute]}) | {"attribute_not_declared" | not declared(attribute)}) | {"assurance_too_low" | input.context.assurance < purpose.assurance}) | (({"no_consent" | count(covering(attribute)) == 0} | {"consent_masked_only" | masked_only(attribute)}) | {"sensitivity_above_clearance" | too_sensitive(attribute)})

declared(attribute) if attribute in purpose.attributes

masked_only(attribute) if {
	count(covering(attribute)) > 0
	count(plain(attribute)) == 0
}

too_sensitive(attribute) if {
	data.attributes[attribute].sensitivity > service.clearance
}

obligations(found, attribute) := [] if {
	effect(found) == "deny"
} else := array.concat(
	[{"type": "delete", "days": days(attribute)}],
	[{"type": "notify"} | data.attributes[attribute].notify],
)

days(attribute) := min({purpose.retention_days} | {consent.retention_days |
	some consent in covering(attribute)
})
