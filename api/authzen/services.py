"""The product's evaluator: a service asks for itself, at the gate.

What is wrong on the service's own side (another subject than itself, another
action than reading, a type or a name that is not in the catalogue) is denied
with that reason before anybody is looked up, so there is no entry either.
Everything else is judged and recorded by `policy.Judge`.
"""

import hmac
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from api.authzen import obligations
from api.authzen.denials import Denials, instant
from api.authzen.entities import (
    Action,
    ActionSearch,
    BadRequestError,
    Entity,
    Evaluation,
    Members,
    ResourceSearch,
    Search,
    SubjectSearch,
)
from api.authzen.port import Answer, Asker
from api.platform import Platform
from policy import (
    MOST_ATTRIBUTES,
    AccessRequest,
    ById,
    ByIdentifier,
    Effect,
    Guidance,
    Judged,
    Judgement,
    NotRequestable,
    SubjectRef,
)

SERVICE, ATTRIBUTE, READ = "service", "attribute", "read"
_LONGEST = 256
# Who names no person asks about nobody; a search then finds nothing.
_WHERE = "resource.properties.person"
# An id that no approval has.
_NOBODYS = UUID(int=0)


class ServiceEvaluator:
    """Answers a service about attributes of people."""

    def __init__(
        self, platform: Platform, denials: Denials | None = None
    ) -> None:
        """Take the platform; without `denials` none can be asked about."""
        self._platform = platform
        self._denials = denials

    async def evaluate(self, asker: Asker, asked: Evaluation) -> Answer:
        """Say whether the service may read one attribute of one person."""
        approval = _presented(asked.context)
        person = _person(asked.resource.properties)
        fault = fault_of(self._platform, asker, asked)
        if fault is not None:
            remedy = self._platform.reasons.remedy(fault)
            return Answer(
                decision=False, context={"reason": fault, "remedy": remedy}
            )
        judgement = await self._judge(
            asker, person, (asked.resource.id,), asked.context
        )
        [one] = judgement.attributes
        context = _context(judgement, one)
        if self._denials is not None:
            if one.requestable:
                context["access_request"] = self._denials.offer(
                    asker.credential, asked, str(one.decision)
                )
            if approval is not None:
                context |= await self._approved(asker, asked, one, approval)
        return Answer(
            decision=one.effect is not Effect.WITHHOLD, context=context
        )

    async def _approved(
        self, asker: Asker, asked: Evaluation, one: Judged, approval: UUID
    ) -> dict[str, Any]:
        """What an answer says of an approval that came with the question.

        It changes no decision. What it says follows from the approval alone,
        which the service has, and from nothing else about the person.
        """
        denials = self._denials
        if denials is None:
            return {}
        question = denials.asked(asked)
        found = await self._platform.asking.approval(
            asker.credential.service,
            asker.credential.purpose,
            approval,
            question,
        )
        applies = found is not None and hmac.compare_digest(
            found.asked, question
        )
        until = found.until if found is not None and applies else 0
        valid = until > self._platform.clock()
        if one.effect is not Effect.WITHHOLD:
            told = {"id": str(approval), "approved_until": instant(until)}
            return {"approval": told} if valid else {}
        if not one.requestable:
            return {"next_action": "none"}
        if not applies:
            return {"next_action": "none", "reason": "approval_unverifiable"}
        if not valid:
            return {"next_action": "request", "reason": "approval_expired"}
        return {"next_action": "request"}

    async def search(
        self, asker: Asker, asked: Search
    ) -> Sequence[Mapping[str, Any]]:
        """Find itself, the attributes it may read, or that it may read."""
        if isinstance(asked, ResourceSearch):
            return await self._attributes(asker, asked)
        subject = (
            Entity(type=SERVICE, id=asker.credential.service)
            if isinstance(asked, SubjectSearch)
            else asked.subject
        )
        action = (
            Action(name=READ)
            if isinstance(asked, ActionSearch)
            else asked.action
        )
        if isinstance(asked, SubjectSearch) and asked.type != SERVICE:
            return []
        answer = await self.evaluate(
            asker,
            Evaluation(
                subject=subject,
                action=action,
                resource=asked.resource,
                context=asked.context,
            ),
        )
        if not answer.decision:
            return []
        duties = answer.context.get("obligations")
        more = {"obligations": duties} if duties else {}
        if isinstance(asked, SubjectSearch):
            own = {"type": SERVICE, "id": asker.credential.service}
            return [own | more]
        return [{"name": READ} | more]

    async def _attributes(
        self, asker: Asker, asked: ResourceSearch
    ) -> Sequence[Mapping[str, Any]]:
        """What of one person the service may read, of what it declares."""
        person = _person(asked.properties)
        declaration = self._platform.consents.declaration(
            asker.credential.service, asker.credential.purpose
        )
        if (
            asked.type != ATTRIBUTE
            or _fault(asker, asked.subject, asked.action)
            or declaration is None
        ):
            return []
        declared = sorted(
            {
                name
                for statement in declaration.statements
                for name in statement.attributes
                if name in self._platform.classification
            }
        )
        found = []
        for begin in range(0, len(declared), MOST_ATTRIBUTES):
            names = tuple(declared[begin : begin + MOST_ATTRIBUTES])
            judgement = await self._judge(asker, person, names, asked.context)
            found += [
                _found(one)
                for one in judgement.attributes
                if one.effect is not Effect.WITHHOLD
            ]
        return found

    async def _judge(
        self,
        asker: Asker,
        person: SubjectRef,
        attributes: tuple[str, ...],
        context: Members,
    ) -> Judgement:
        return await self._platform.judge.judge(
            _request(self._platform, asker, person, attributes, context)
        )


def read_question(
    platform: Platform, asker: Asker, asked: Evaluation
) -> AccessRequest:
    """Read what a service asked about as a request to the gate.

    Raises:
        BadRequestError: nobody is named, or a member is misshapen.
        NotRequestable: the fault is the service's own, whoever it is about.

    """
    person = _person(asked.resource.properties)
    if fault_of(platform, asker, asked) is not None:
        raise NotRequestable(
            asker.credential.service, asker.credential.purpose
        )
    return _request(
        platform, asker, person, (asked.resource.id,), asked.context
    )


def fault_of(
    platform: Platform, asker: Asker, asked: Evaluation
) -> str | None:
    """What is wrong whoever the person is, as a code."""
    fault = _fault(asker, asked.subject, asked.action)
    if fault is not None:
        return fault
    known = (
        asked.resource.type == ATTRIBUTE
        and asked.resource.id in platform.classification
    )
    return None if known else "unknown_attribute"


def _request(
    platform: Platform,
    asker: Asker,
    person: SubjectRef,
    attributes: tuple[str, ...],
    context: Members,
) -> AccessRequest:
    return AccessRequest(
        tenant=platform.settings.tenant,
        service=asker.credential.service,
        purpose=asker.credential.purpose,
        attributes=attributes,
        person=person,
        understands=obligations.understood(context),
        assurance=asker.credential.assurance,
        trace=asker.trace,
    )


def _fault(asker: Asker, subject: Entity, action: Action) -> str | None:
    """What is wrong with who asks, and for what, as a code."""
    if (subject.type, subject.id) != (SERVICE, asker.credential.service):
        return "not_own"
    if action.name != READ:
        return "action_unknown"
    purpose = action.properties.get("purpose", asker.credential.purpose)
    return None if purpose == asker.credential.purpose else "not_declared"


def _presented(context: Members) -> UUID | None:
    """The approval that comes with a question, by its id.

    Raises:
        BadRequestError: it is none of the profile.

    """
    found = context.get("approval")
    if found is None:
        return None
    where, what = "context.approval", "the approval as it was given"
    if type(found) is not dict:
        raise BadRequestError(where, what)
    try:
        return UUID(found.get("id"))
    except (ValueError, AttributeError, TypeError):
        return _NOBODYS


def _found(one: Judged) -> dict[str, Any]:
    """An attribute that may be read, with the duties that go with it."""
    found: dict[str, Any] = {"type": ATTRIBUTE, "id": one.attribute}
    if one.obligations:
        found["obligations"] = obligations.members(one.obligations)
    return found


def _person(properties: Members) -> SubjectRef:
    """Whom a question is about.

    Raises:
        BadRequestError: nobody is named, or not in one of the two ways.

    """
    what = "an object with either `id` or `identifier`"
    found = properties.get("person")
    if type(found) is not dict:
        raise BadRequestError(_WHERE, what)
    given, identifier = found.get("id"), found.get("identifier")
    if (given is None) == (identifier is None):
        raise BadRequestError(_WHERE, what)
    if identifier is None:
        try:
            return ById(subject=UUID(given))
        except (ValueError, AttributeError, TypeError):
            where, what = f"{_WHERE}.id", "a UUID"
            raise BadRequestError(where, what) from None
    where = f"{_WHERE}.identifier"
    what = "an object with the strings `attribute` and `value`"
    if type(identifier) is not dict:
        raise BadRequestError(where, what)
    attribute, value = identifier.get("attribute"), identifier.get("value")
    for text in (attribute, value):
        if type(text) is not str or not 0 < len(text) <= _LONGEST:
            raise BadRequestError(where, what)
    return ByIdentifier(attribute=str(attribute), value=str(value))


def _context(judgement: Judgement, one: Judged) -> dict[str, Any]:
    """What goes with an answer; of the person's side, one code."""
    context: dict[str, Any] = {
        "evaluation_id": str(one.decision),
        "evaluated_at": instant(judgement.at),
        "bundle_revision": judgement.revision,
        "effect": one.effect.value,
    }
    if judgement.index is not None:
        context["ledger_index"] = judgement.index
    if judgement.promise is not None:
        context["inclusion_promise"] = judgement.promise
    if one.reason is not None:
        told = {"reason": one.reason, "remedy": one.remedy}
        return context | told | _guided(judgement.guidance, one.attribute)
    if one.level:
        context["level"] = one.level
    if one.obligations:
        context["obligations"] = obligations.members(one.obligations)
    return context


def _guided(guidance: Guidance | None, name: str) -> dict[str, Any]:
    """What the service lacks for one attribute; nothing of the person."""
    if guidance is None:
        return {}
    least = guidance.minimum
    return {
        "missing": [
            {"code": one.code, "remedy": one.remedy}
            for one in guidance.missing.get(name, ())
        ],
        "instead": list(guidance.instead.get(name, ())),
        "minimum": None if least is None else least.document(),
    }
