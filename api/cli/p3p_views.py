"""What is in a P3P file, as JSON for machines."""

from typing import Any

from consent import Finding, P3PPolicy, P3PStatement, ReferenceFile


def finding_row(finding: Finding) -> dict[str, Any]:
    """Return a finding as JSON."""
    return {
        "where": finding.where,
        "line": finding.line,
        "column": finding.column,
        "code": finding.code,
        "severity": finding.severity.value,
        "message": finding.message,
    }


def policy_document(policy: P3PPolicy) -> dict[str, Any]:
    """Return all of a policy as JSON."""
    return {
        "name": policy.name,
        "discuri": policy.discuri,
        "opturi": policy.opturi,
        "language": policy.language,
        "test": policy.test,
        "expiry": None
        if policy.expiry is None
        else {"max_age": policy.expiry.max_age, "date": policy.expiry.date},
        "entity": dict(policy.entity),
        "access": None if policy.access is None else policy.access.value,
        "disputes": [
            {
                "resolution_type": each.resolution,
                "service": each.service,
                "verification": each.verification,
                "short_description": each.short,
                "long_description": each.long,
                "remedies": list(each.remedies),
            }
            for each in policy.disputes
        ],
        "schema": [
            {
                "name": each.name,
                "structure": each.structure,
                "categories": sorted(each.categories),
            }
            for each in (*policy.schema.elements, *policy.schema.structures)
        ],
        "statements": [_statement(each) for each in policy.statements],
    }


def _statement(said: P3PStatement) -> dict[str, Any]:
    return {
        "consequence": said.consequence,
        "non_identifiable": said.non_identifiable,
        "purposes": [
            {"purpose": term.purpose.value, "required": term.required.value}
            for term in said.purposes
        ],
        "primary_purposes": list(said.primary),
        "recipients": [
            {
                "recipient": term.recipient.value,
                "required": term.required.value,
                "descriptions": list(term.descriptions),
            }
            for term in said.recipients
        ],
        "retention": [each.value for each in said.retentions],
        "group": said.group,
        "data": [
            {
                "attribute": term.attribute,
                "optional": term.optional,
                "categories": sorted(term.categories),
                "other_category": term.other,
            }
            for term in said.data
        ],
    }


def reference_document(file: ReferenceFile) -> dict[str, Any]:
    """Return a reference file as JSON."""
    return {
        "expiry": {"max_age": file.expiry.max_age, "date": file.expiry.date},
        "policies": [
            {
                "about": each.about,
                "include": list(each.includes),
                "exclude": list(each.excludes),
                "methods": list(each.methods),
                "cookie_include": [
                    {
                        "name": cookie.name,
                        "value": cookie.value,
                        "domain": cookie.domain,
                        "path": cookie.path,
                    }
                    for cookie in each.cookie_includes
                ],
                "cookie_exclude": [
                    {
                        "name": cookie.name,
                        "value": cookie.value,
                        "domain": cookie.domain,
                        "path": cookie.path,
                    }
                    for cookie in each.cookie_excludes
                ],
            }
            for each in file.references
        ],
        "hints": [
            {"scope": each.scope, "path": each.path} for each in file.hints
        ],
    }
