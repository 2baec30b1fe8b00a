"""Who may call what: the questions that go to `policies/api`.

A `Caller` is one of the three kinds of people of DESIGN.md, proved by the
door that let them in. The policy decides on ids, roles and the action; no
attribute value is in the question.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from policy.decisions import Json
from policy.errors import NotPermitted
from policy.pdp import Cause, NoDecision, PolicyDecisionPoint

ENTRYPOINT = "curtilage/api/decision"
SCHEMA = "curtilage/api/1"


class CallerKind(StrEnum):
    """What somebody is to the platform."""

    PERSON = "person"
    SERVICE = "service"
    OFFICER = "officer"


class Action(StrEnum):
    """What somebody wants to do."""

    OWN_VIEW = "own-view"
    OFFICER_VIEW = "officer-view"
    CONSENT_WRITE = "consent-write"
    CONSENT_REPRESENT = "consent-represent"
    CONSENT_ASSIST = "consent-assist"
    CONSENT_REVOKE = "consent-revoke"
    CONSENT_READ = "consent-read"
    MANDATE_WRITE = "mandate-write"
    PREFERENCE_WRITE = "preference-write"
    RELEASE_REQUEST = "release-request"
    RELEASE_APPROVE = "release-approve"
    LEDGER_AUDIT = "ledger-audit"
    DECLARATION_PROPOSE = "declaration-propose"
    DECLARATION_PUBLISH = "declaration-publish"
    DECLARATION_REJECT = "declaration-reject"
    POLICY_PROPOSE = "policy-propose"
    POLICY_PUBLISH = "policy-publish"
    POLICY_REJECT = "policy-reject"
    POLICY_ROLLBACK = "policy-rollback"
    VAULT_IMPORT = "vault-import"
    VAULT_CORRECT = "vault-correct"
    ERASE = "erase"
    RECORD_FIND = "record-find"
    RECORD_LINK = "record-link"
    RECORD_MERGE = "record-merge"
    DISPUTE = "dispute"
    DISPUTE_RESOLVE = "dispute-resolve"
    VISIBILITY_PROPOSE = "visibility-propose"
    VISIBILITY_CONFIRM = "visibility-confirm"
    WITHHELD_LIST = "withheld-list"
    WITHHELD_REVIEW = "withheld-review"
    CLOCK_SET = "clock-set"
    BREAK_GLASS = "break-glass"
    GLASS_APPROVE = "glass-approve"
    GLASS_END = "glass-end"
    GLASS_LIST = "glass-list"
    GLASS_SHOW = "glass-show"
    GLASS_CLOSE = "glass-close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Somebody who has proved who they are; `id` is never a name."""

    kind: CallerKind
    id: str
    roles: tuple[str, ...] = ()


async def authorize(
    pdp: PolicyDecisionPoint,
    caller: Caller,
    action: Action,
    *,
    target: Mapping[str, Json],
    justification: str | None = None,
) -> None:
    """Ask `policies/api` whether `caller` may do `action` to `target`.

    Raises:
        NotPermitted: the policy refused, with its reason codes.
        NoDecision: the engine gave no answer to act on.

    """
    ruling = await pdp.decide(
        ENTRYPOINT,
        {
            "schema": SCHEMA,
            "caller": {
                "kind": caller.kind.value,
                "id": caller.id,
                "roles": list(caller.roles),
            },
            "action": action.value,
            "target": dict(target),
            "justification": justification or "",
        },
    )
    answer = ruling.document
    allow, reasons = answer.get("allow"), answer.get("reasons")
    if type(allow) is not bool or not isinstance(reasons, list):
        raise NoDecision(Cause.MALFORMED)
    if not allow:
        raise NotPermitted(action.value, _codes(reasons))


def _codes(reasons: list[Json]) -> list[str]:
    return [
        str(one.get("code")) if isinstance(one, Mapping) else str(one)
        for one in reasons
    ]
