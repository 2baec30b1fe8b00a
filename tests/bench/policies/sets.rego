# METADATA
# title: The benchmark policy, written with partial rules
# description: The same decisions as in functions.rego.
package bench.sets

# METADATA
# entrypoint: true
decision[attribute] := {
	"effect": effects[attribute],
	"reasons": reasons[attribute],
	"obligations": obligations[attribute],
} if {
	some attribute in requested
}

requested contains attribute if some attribute in input.request.attributes

service := data.services[input.request.service]

purpose := service.purposes[input.request.purpose]

covering[attribute][consent.id] := consent if {
	some attribute in requested
	some consent in input.consents
	consent.recipient == input.request.service
	consent.purpose == input.request.purpose
	consent.status == "active"
	consent.expires_at > input.context.now
	attribute in consent.attributes
}

plain[attribute] contains id if {
	some attribute in requested
	some id, consent in covering[attribute]
	not consent.mask
}

reasons[attribute] := {reason | some reason in found[attribute]} if {
	some attribute in requested
}

found[attribute] contains "unknown_service" if {
	some attribute in requested
	not service
}

found[attribute] contains "purpose_not_declared" if {
	some attribute in requested
	not purpose
}

found[attribute] contains "unknown_attribute" if {
	some attribute in requested
	not data.attributes[attribute]
}

found[attribute] contains "attribute_not_declared" if {
	some attribute in requested
	not declared[attribute]
}

found[attribute] contains "assurance_too_low" if {
	some attribute in requested
	input.context.assurance < purpose.assurance
}

found[attribute] contains "no_consent" if {
	some attribute in requested
	not covering[attribute]
}

found[attribute] contains "consent_masked_only" if {
	some attribute in requested
	covering[attribute]
	not plain[attribute]
}

found[attribute] contains "sensitivity_above_clearance" if {
	some attribute in requested
	data.attributes[attribute].sensitivity > service.clearance
}

declared contains attribute if some attribute in purpose.attributes

denied contains attribute if {
	some attribute in requested
	count(reasons[attribute] - {"consent_masked_only"}) > 0
}

effects[attribute] := "deny" if some attribute in denied

effects[attribute] := "mask" if {
	some attribute in requested
	not attribute in denied
	"consent_masked_only" in reasons[attribute]
}

effects[attribute] := "allow" if {
	some attribute in requested
	not attribute in denied
	not "consent_masked_only" in reasons[attribute]
}

obligations[attribute] := [] if some attribute in denied

obligations[attribute] := array.concat(
	[{"type": "delete", "days": min(days[attribute])}],
	[{"type": "notify"} | data.attributes[attribute].notify],
) if {
	some attribute in requested
	not attribute in denied
}

days[attribute] contains purpose.retention_days if {
	some attribute in requested
}

days[attribute] contains consent.retention_days if {
	some attribute in requested
	some consent in covering[attribute]
}
