"""A consent as a policy of ODRL 2.2: an agreement, or a prohibition.

The assigner is the data subject and the assignee the service: who may use
what, for which purpose, until when, and what has to be deleted. A yes in
force is an Agreement with one permission a datum; a no is one with a
prohibition. Purposes are terms of DPV. The context is an object, so nothing
is fetched.
"""

from collections.abc import Mapping
from types import MappingProxyType

from consent.canonical import Json
from consent.declarations import Declaration
from consent.errors import RecordInvalid
from consent.receipts import instant
from consent.records import ConsentEvent, ConsentState
from consent.terms import PREFIXES, PURPOSE_TERMS
from consent.vocabulary import EventType

PROFILE = "https://curtilage.example/ns/odrl"
CONTEXT: Mapping[str, Json] = MappingProxyType(
    {
        "@vocab": "http://www.w3.org/ns/odrl/2/",
        "odrl": "http://www.w3.org/ns/odrl/2/",
        "xsd": "http://www.w3.org/2001/XMLSchema#",
        **PREFIXES,
        "uid": "@id",
        "profile": {"@type": "@id"},
        "assigner": {"@type": "@id"},
        "assignee": {"@type": "@id"},
        "target": {"@type": "@id"},
        "action": {"@type": "@vocab"},
        "leftOperand": {"@type": "@vocab"},
        "operator": {"@type": "@vocab"},
    }
)
"""The context: terms of ODRL without its document on the web."""


def odrl_agreement(
    event: ConsentEvent, state: ConsentState, declaration: Declaration
) -> dict[str, Json]:
    """Write what one consent means as a policy of ODRL.

    Args:
        event: the event that says so.
        state: what it means now.
        declaration: the version that was answered.

    Returns:
        JSON-LD: an Agreement.

    Raises:
        RecordInvalid: the three are not about one statement.
    """
    statement = declaration.statement(state.statement)
    if (
        statement is None
        or event.statement != state.statement
        or state.declaration != declaration.digest
    ):
        msg = f"event {event.id} is about another declaration"
        raise RecordInvalid(msg)
    given = state.state is EventType.GIVEN
    names = state.attributes if given else statement.attributes
    constraints: list[Json] = [
        {
            "leftOperand": "purpose",
            "operator": "isAnyOf",
            "rightOperand": sorted(
                {
                    term
                    for use in statement.purposes
                    for term in PURPOSE_TERMS[use.purpose]
                }
            ),
        }
    ]
    if state.until is not None:
        constraints.append(
            {
                "leftOperand": "dateTime",
                "operator": "lt",
                "rightOperand": {
                    "@value": instant(state.until),
                    "@type": "xsd:dateTime",
                },
            }
        )
    rules: list[Json] = []
    for name in names:
        rule: dict[str, Json] = {
            "target": f"urn:curtilage:attribute:{name}",
            "action": "use",
            "constraint": constraints,
        }
        if given and statement.retention_days is not None:
            rule["duty"] = [
                {
                    "action": "delete",
                    "constraint": [
                        {
                            "leftOperand": "elapsedTime",
                            "operator": "lteq",
                            "rightOperand": {
                                "@value": f"P{statement.retention_days}D",
                                "@type": "xsd:duration",
                            },
                        }
                    ],
                }
            ]
        rules.append(rule)
    return {
        "@context": dict(CONTEXT),
        "@type": "Agreement",
        "uid": f"urn:uuid:{event.id}",
        "profile": PROFILE,
        "assigner": f"urn:uuid:{event.subject}",
        "assignee": f"urn:curtilage:service:{declaration.service}",
        "permission" if given else "prohibition": rules,
    }
