# METADATA
# title: What an OPA server answers at all
# description: >-
#   Decisions at the entrypoints, the one condition that is compiled, and its
#   health. Policies and data are not
#   read, written or queried ad hoc through its API: they come as one signed
#   bundle or not at all.
# organizations:
#   - Curtilage
# custom:
#   owner: data protection officer
#   law: [GDPR 32, PIPL 51]
package system.authz

# METADATA
# title: Whether a call of the server's own API is let through
# scope: document
# custom:
#   law: [GDPR 32, PIPL 51]
default allow := false

allow if {
	input.method == "POST"
	input.path in entrypoints
}

allow if {
	input.method == "POST"
	input.path == ["v1", "compile", "curtilage", "cohort", "include"]
}

allow if {
	input.method == "GET"
	input.path == ["health"]
}

entrypoints := {["v1", "data", "curtilage", name, "decision"] |
	some name in {"api", "disclosure", "glass", "guidance", "numbers", "release"}
}
