package curtilage.api_test

import data.curtilage.api

person(id) := {"kind": "person", "id": id, "roles": []}

service(id) := {"kind": "service", "id": id, "roles": []}

officer(roles) := {"kind": "officer", "id": "olga", "roles": roles}

asked(caller, action, target, justification) := {
	"schema": "curtilage/api/1",
	"caller": caller,
	"action": action,
	"target": target,
	"justification": justification,
}

allowed := {
	"own view": asked(person("p"), "own-view", {"subject": "p"}, ""),
	"own consent": asked(person("p"), "consent-write", {"subject": "p"}, ""),
	"for somebody else": asked(
		person("p"),
		"consent-represent",
		{"subject": "q", "actor": "p", "mandate": "in-force"},
		"",
	),
	"a yes at the counter": asked(officer(["registrar"]), "consent-assist", {"subject": "p"}, ""),
	"a consent ended": asked(officer(["compliance"]), "consent-revoke", {"subject": "p"}, "complaint 3"),
	"records read": asked(officer(["compliance"]), "consent-read", {"subject": "p"}, "request 17"),
	"a mandate": asked(officer(["registrar"]), "mandate-write", {"subject": "p"}, "certificate seen"),
	"own preferences": asked(
		person("p"),
		"preference-write",
		{"subject": "p"},
		"",
	),
	"own erasure": asked(person("p"), "erase", {"subject": "p", "proposer": null}, ""),
	"officer's look": asked(
		officer(["compliance"]),
		"officer-view",
		{"subject": "p"},
		"request 17",
	),
	"erasure by two": asked(
		officer(["compliance"]),
		"erase",
		{"subject": "p", "proposer": "otto"},
		"court order",
	),
	"import": asked(officer(["registrar"]), "vault-import", {}, ""),
	"correction": asked(
		officer(["registrar"]),
		"vault-correct",
		{"subject": "p"},
		"",
	),
	"publication by two": asked(
		officer(["compliance"]),
		"declaration-publish",
		{"proposer": "otto"},
		"",
	),
	"a declaration proposed": asked(officer(["registrar"]), "declaration-propose", {}, ""),
	"a proposal rejected": asked(officer(["compliance"]), "declaration-reject", {}, "unclear"),
	"policies proposed": asked(officer(["compliance"]), "policy-propose", {}, ""),
	"policies published by two": asked(
		officer(["compliance"]),
		"policy-publish",
		{"proposer": "otto"},
		"",
	),
	"policies rejected": asked(officer(["compliance"]), "policy-reject", {}, "unclear"),
	"policies rolled back": asked(officer(["compliance"]), "policy-rollback", {}, "flaw"),
	"extract": asked(officer(["analyst"]), "release-request", {}, ""),
	"approval by two": asked(
		officer(["compliance", "analyst"]),
		"release-approve",
		{"proposer": "otto"},
		"",
	),
	"audit": asked(officer(["auditor"]), "ledger-audit", {}, ""),
	"audit by compliance": asked(officer(["compliance"]), "ledger-audit", {}, ""),
	"break-glass": asked(
		officer(["emergency"]),
		"break-glass",
		{"subject": "p"},
		"unconscious",
	),
	"break-glass approved by another": asked(
		officer(["compliance"]),
		"glass-approve",
		{"proposer": "otto"},
		"",
	),
	"break-glass ended": asked(officer(["emergency"]), "glass-end", {}, "over"),
	"break-glass looked over": asked(officer(["auditor"]), "glass-list", {}, ""),
	"a break-glass reason read": asked(
		officer(["emergency"]),
		"glass-show",
		{},
		"to approve it",
	),
	"an alert closed by another": asked(
		officer(["compliance"]),
		"glass-close",
		{"proposer": "otto"},
		"asked the officer",
	),
	"a rule proposed": asked(officer(["compliance"]), "visibility-propose", {}, ""),
	"a rule by two": asked(
		officer(["compliance"]),
		"visibility-confirm",
		{"proposer": "otto"},
		"",
	),
	"the queue": asked(officer(["auditor"]), "withheld-list", {}, ""),
	"an entry lifted": asked(officer(["compliance"]), "withheld-review", {}, "closed"),
	"a card linked": asked(officer(["registrar"]), "record-link", {"subject": "p"}, ""),
	"people looked up": asked(officer(["registrar"]), "record-find", {}, "at the counter"),
	"two records of one person": asked(
		officer(["registrar"]),
		"record-merge",
		{"subject": "p"},
		"same number",
	),
	"a dispute": asked(person("p"), "dispute", {"subject": "p"}, ""),
	"a dispute written down": asked(officer(["registrar"]), "dispute", {"subject": "p"}, ""),
	"a dispute resolved": asked(officer(["compliance"]), "dispute-resolve", {"subject": "p"}, ""),
	"the clock": asked(officer(["compliance"]), "clock-set", {}, "was ahead"),
	"disclosure": asked(service("s"), "disclosure-request", {"service": "s"}, ""),
}

allows contains title if {
	some title, question in allowed
	api.decision == {
		"schema": "curtilage/api/1",
		"allow": true,
		"reasons": [],
	} with input as question
}

# What did not hold is empty.
test_allowed if object.keys(allowed) - allows == set()

refused := {
	"no mandate in force": {
		"input": asked(
			person("p"),
			"consent-represent",
			{"subject": "q", "actor": "p", "mandate": "none"},
			"",
		),
		"want": ["mandate_missing"],
	},
	"somebody else's mandate": {
		"input": asked(
			person("p"),
			"consent-represent",
			{"subject": "q", "actor": "r", "mandate": "in-force"},
			"",
		),
		"want": ["mandate_missing"],
	},
	"a mandate for oneself": {
		"input": asked(
			person("p"),
			"consent-represent",
			{"subject": "p", "actor": "p", "mandate": "in-force"},
			"",
		),
		"want": ["mandate_missing"],
	},
	"an officer as representative": {
		"input": asked(
			officer(["registrar"]),
			"consent-represent",
			{"subject": "q", "actor": "olga", "mandate": "in-force"},
			"",
		),
		"want": ["caller_not_allowed"],
	},
	"another's view": {
		"input": asked(person("p"), "own-view", {"subject": "q"}, ""),
		"want": ["not_own"],
	},
	"a view of nobody": {
		"input": asked(person("p"), "own-view", {}, ""),
		"want": ["not_own"],
	},
	"nobody's view of nobody": {
		"input": asked(person(""), "own-view", {"subject": ""}, ""),
		"want": ["not_own"],
	},
	"a service that looks people up": {
		"input": asked(service("s"), "record-find", {"service": "s"}, "curious"),
		"want": ["caller_not_allowed"],
	},
	"a look-up without a reason": {
		"input": asked(officer(["registrar"]), "record-find", {}, " "),
		"want": ["justification_missing"],
	},
	"another's consent": {
		"input": asked(person("p"), "consent-write", {"subject": "q"}, ""),
		"want": ["not_own"],
	},
	"another's preferences": {
		"input": asked(person("p"), "preference-write", {"subject": "q"}, ""),
		"want": ["not_own"],
	},
	"another's erasure": {
		"input": asked(person("p"), "erase", {"subject": "q"}, ""),
		"want": ["not_own"],
	},
	"a person as an officer": {
		"input": asked(
			{"kind": "person", "id": "p", "roles": ["compliance"]},
			"officer-view",
			{"subject": "p"},
			"curious",
		),
		"want": ["caller_not_allowed"],
	},
	"an officer as the person": {
		"input": asked(officer(["compliance"]), "own-view", {"subject": "olga"}, ""),
		"want": ["caller_not_allowed"],
	},
	"an officer writes consent": {
		"input": asked(officer(["compliance"]), "consent-write", {"subject": "p"}, ""),
		"want": ["caller_not_allowed"],
	},
	"a service writes consent": {
		"input": asked(service("s"), "consent-write", {"subject": "s"}, ""),
		"want": ["caller_not_allowed"],
	},
	"a service for another": {
		"input": asked(service("s"), "disclosure-request", {"service": "t"}, ""),
		"want": ["not_own"],
	},
	"a service that is nobody": {
		"input": asked(service(""), "disclosure-request", {"service": ""}, ""),
		"want": ["not_own"],
	},
	"a look without a justification": {
		"input": asked(officer(["compliance"]), "officer-view", {"subject": "p"}, ""),
		"want": ["justification_missing"],
	},
	"a look with a blank justification": {
		"input": asked(officer(["compliance"]), "officer-view", {}, " \t\n"),
		"want": ["justification_missing"],
	},
	"a look without the role": {
		"input": asked(officer(["analyst"]), "officer-view", {}, "request 17"),
		"want": ["role_missing"],
	},
	"a look without role or justification": {
		"input": asked(officer([]), "officer-view", {}, ""),
		"want": ["justification_missing", "role_missing"],
	},
	"break-glass approved by oneself": {
		"input": asked(officer(["compliance"]), "glass-approve", {"proposer": "olga"}, ""),
		"want": ["separation_of_duties"],
	},
	"break-glass without a word": {
		"input": asked(officer(["emergency"]), "break-glass", {}, ""),
		"want": ["justification_missing"],
	},
	"approval of one's own": {
		"input": asked(
			officer(["compliance"]),
			"release-approve",
			{"proposer": "olga"},
			"",
		),
		"want": ["separation_of_duties"],
	},
	"approval of nobody's": {
		"input": asked(officer(["compliance"]), "release-approve", {}, ""),
		"want": ["separation_of_duties"],
	},
	"approval of an empty name's": {
		"input": asked(
			officer(["compliance"]),
			"release-approve",
			{"proposer": ""},
			"",
		),
		"want": ["separation_of_duties"],
	},
	"approval of a number's": {
		"input": asked(
			officer(["compliance"]),
			"release-approve",
			{"proposer": 7},
			"",
		),
		"want": ["separation_of_duties"],
	},
	"a proposal rejected without a word": {
		"input": asked(officer(["compliance"]), "declaration-reject", {}, " "),
		"want": ["justification_missing"],
	},
	"publication by a registrar": {
		"input": asked(
			officer(["registrar"]),
			"declaration-publish",
			{"proposer": "otto"},
			"",
		),
		"want": ["role_missing"],
	},
	"publication of one's own": {
		"input": asked(
			officer(["compliance"]),
			"declaration-publish",
			{"proposer": "olga"},
			"",
		),
		"want": ["separation_of_duties"],
	},
	"publication of one's own policies": {
		"input": asked(
			officer(["compliance"]),
			"policy-publish",
			{"proposer": "olga"},
			"",
		),
		"want": ["separation_of_duties"],
	},
	"policies rolled back without a word": {
		"input": asked(officer(["compliance"]), "policy-rollback", {}, ""),
		"want": ["justification_missing"],
	},
	"policies proposed by a registrar": {
		"input": asked(officer(["registrar"]), "policy-propose", {}, ""),
		"want": ["role_missing"],
	},
	"erasure by one": {
		"input": asked(
			officer(["compliance"]),
			"erase",
			{"subject": "p", "proposer": "olga"},
			"court order",
		),
		"want": ["separation_of_duties"],
	},
	"erasure by officers without a word": {
		"input": asked(
			officer(["compliance"]),
			"erase",
			{"subject": "p", "proposer": "otto"},
			"",
		),
		"want": ["justification_missing"],
	},
	"import by an analyst": {
		"input": asked(officer(["analyst"]), "vault-import", {}, ""),
		"want": ["role_missing"],
	},
	"extract by compliance": {
		"input": asked(officer(["compliance"]), "release-request", {}, ""),
		"want": ["role_missing"],
	},
	"an action that nobody has": {
		"input": asked(officer(["compliance"]), "vault-dump", {}, "because"),
		"want": ["action_unknown"],
	},
	"an action with a hostile name": {
		"input": asked(officer([]), "x\", \"allow\": true, \"z\": \"y", {}, ""),
		"want": ["action_unknown"],
	},
	"a hostile role": {
		"input": asked(officer(["compliance\u0000", "COMPLIANCE"]), "ledger-audit", {}, ""),
		"want": ["role_missing"],
	},
}

refuses contains title if {
	some title, case in refused
	decision := api.decision with input as case.input
	decision.allow == false
	[reason.code | some reason in decision.reasons] == case.want
	every reason in decision.reasons {
		reason.remedy == data.vocabulary.reasons[reason.code].remedy
	}
}

# What did not hold is empty.
test_refused if object.keys(refused) - refuses == set()

wrong := {
	["schema"]: ["curtilage/api/2", null],
	["caller"]: [null, "olga"],
	["caller", "kind"]: ["god", null, ""],
	["caller", "id"]: [null, 1],
	["caller", "roles"]: [null, "compliance", {"compliance": true}],
	["action"]: [null, 1, ["own-view"]],
	["target"]: [null, "p", []],
	["justification"]: [null, 1, true],
}

nested([a], value) := {a: value}

nested([a, b], value) := {a: {b: value}}

# The same document without the field at a path.
without(document, [a]) := object.remove(document, [a])

without(document, [a, b]) := object.union(
	object.remove(document, [a]),
	{a: without_1(document[a], b)},
)

without_1(document, a) := object.remove(document, [a])

undecided_when_wrong contains title if {
	some path, values in wrong
	some i, value in values
	title := concat(".", array.concat(path, [format_int(i, 10)]))
	document := object.union(
		without(allowed["officer's look"], path),
		nested(path, value),
	)
	not api.decision with input as document
}

# What did not hold is empty.
test_wrong if {title |
	some path, values in wrong
	some i, _ in values
	title := concat(".", array.concat(path, [format_int(i, 10)]))
} - undecided_when_wrong == set()

undecided_when_missing contains title if {
	some path, _ in wrong
	title := concat(".", path)
	not api.decision with input as without(allowed["officer's look"], path)
}

# What did not hold is empty.
test_missing if {concat(".", path) | some path, _ in wrong} - undecided_when_missing == set()

# Every line of the table is exercised above, as allowed.
test_every_action_has_a_case if {
	every action, _ in data.vocabulary.actions {
		some question in allowed
		question.action == action
	}
}

test_no_decision_without_a_remedy if {
	not api.decision with input as refused["another's view"].input
		with data.vocabulary.reasons as {}
}
