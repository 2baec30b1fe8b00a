"""Changes of the facts of a decision, each one act of somebody.

An answer, a rule, a restraint, a value, a promise, an assurance, a
declaration, the instant: what `policy.counterfactual` tries. A change is made
to facts and not to the document that the engine reads, so that what is decided
is what would be, had it been so.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from uuid import UUID

from consent import (
    Behavior,
    ConsentEvent,
    DataItem,
    Declaration,
    EventType,
    LegalBasis,
    Preferences,
    Required,
    Rule,
    Statement,
    Uses,
)
from policy.decisions import AccessRequest
from policy.facts import Facts
from policy.vocabulary import Side

STRONGEST = 3
_DAY = 86_400
_LAST = UUID(int=2**128 - 1)
_RULE = "supposed"


class ChangeKind(StrEnum):
    """Whose act a change is, and which.

    Attributes:
        PROMISE: the service understands an obligation.
        UNPROMISE: it does not.
        ASSURANCE: it proves itself at another level.
        DECLARE: it declares an attribute in a statement, as optional.
        UNDECLARE: it no longer declares one.
        OPTIONAL: it declares as optional what it called essential.
        TIME: it asks at another time.
        CONSENT: the person says yes to a statement, for all that it names.
        WITHDRAW: the person takes that back.
        ALLOW: the person's first rule allows the service an attribute.
        REFUSE: it refuses it.
        RESTRICT: the person restricts all use.
        UNRESTRICT: the restriction is lifted.
        OBJECT: the person objects to a purpose.
        UNOBJECT: the objection is withdrawn.
        UNSIGNAL: the browser's signal is lifted.
        PROVIDE: a value is held.
    """

    PROMISE = "promise"
    UNPROMISE = "unpromise"
    ASSURANCE = "assurance"
    DECLARE = "declare"
    UNDECLARE = "undeclare"
    OPTIONAL = "optional"
    TIME = "time"
    CONSENT = "consent"
    WITHDRAW = "withdraw"
    ALLOW = "allow"
    REFUSE = "refuse"
    RESTRICT = "restrict"
    UNRESTRICT = "unrestrict"
    OBJECT = "object"
    UNOBJECT = "unobject"
    UNSIGNAL = "unsignal"
    PROVIDE = "provide"


_REQUESTS = frozenset(
    {ChangeKind.PROMISE, ChangeKind.UNPROMISE, ChangeKind.ASSURANCE}
)
_DECLARATIONS = frozenset(
    {ChangeKind.DECLARE, ChangeKind.UNDECLARE, ChangeKind.OPTIONAL}
)
_FIRST = _DECLARATIONS | {ChangeKind.TIME}


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one fact.

    Attributes:
        kind: what is changed.
        what: obligation, attribute, statement or purpose; empty for none.
        number: assurance, or POSIX seconds.
        within: the statement in which something is declared.
        side: whose doing it is.
    """

    kind: ChangeKind
    what: str = ""
    number: int = 0
    within: str = ""
    side: Side = Side.PERSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Supposed:
    """What is decided on.

    Attributes:
        request: what was asked.
        facts: what was known.
        now: POSIX seconds.
        preferences: the person's rules, of which the verdicts are made.
    """

    request: AccessRequest
    facts: Facts
    now: int
    preferences: Preferences


def suppose(supposed: Supposed, changes: Sequence[Change]) -> Supposed:
    """Suppose changes: when and what is declared first, then the rest."""
    for change in sorted(changes, key=lambda one: one.kind not in _FIRST):
        supposed = changed(supposed, change)
    return supposed


def made_willing(supposed: Supposed) -> Supposed:
    """The same request about a person who allows everything and has all."""
    facts, request = supposed.facts, supposed.request
    declaration = facts.declaration
    return replace(
        supposed,
        preferences=Preferences(
            rules=(Rule(id=_RULE, behavior=Behavior.ALLOW),)
        ),
        facts=replace(
            facts,
            known=True,
            present=frozenset(request.attributes),
            restraints=replace(
                facts.restraints,
                restricted=False,
                objected=(),
                signalled=False,
            ),
            uses={},
            events=()
            if declaration is None
            else tuple(
                _answer(declaration, one, supposed.now, EventType.GIVEN)
                for one in declaration.statements
                if _asks(one)
            ),
        ),
    )


def options_of(
    supposed: Supposed, attribute: str, *, granted: bool
) -> list[Change]:
    """The changes that may turn an attribute over, the service's own first.

    Args:
        supposed: what was decided on.
        attribute: which.
        granted: whether it was granted; then what takes it away.
    """
    found = (_taking if granted else _giving)(supposed, attribute)
    return [
        replace(change, side=Side.SERVICE)
        if change.kind in _REQUESTS | _DECLARATIONS
        else change
        for change in found
    ]


def _giving(supposed: Supposed, attribute: str) -> Iterator[Change]:
    declaration = supposed.facts.declaration
    if declaration is None:
        return
    names = [
        attribute,
        *_essentials(declaration, supposed.request, attribute),
    ]
    yield from _service_gives(supposed.request, declaration, names)
    yield from _times(supposed)
    yield from _person_gives(supposed.facts, declaration, names)


def _service_gives(
    request: AccessRequest, declaration: Declaration, names: Sequence[str]
) -> Iterator[Change]:
    for kind in sorted({*declaration.obligations, "delete_by"}):
        if kind not in request.understands:
            yield Change(kind=ChangeKind.PROMISE, what=kind)
    for level in range(request.assurance + 1, STRONGEST + 1):
        yield Change(kind=ChangeKind.ASSURANCE, number=level)
    for name in names:
        for one in declaration.statements:
            if name not in one.attributes:
                yield Change(kind=ChangeKind.DECLARE, what=name, within=one.id)
    for name in names[1:]:
        yield Change(kind=ChangeKind.OPTIONAL, what=name)


def _person_gives(
    facts: Facts, declaration: Declaration, names: Sequence[str]
) -> Iterator[Change]:
    for one in declaration.statements:
        if _asks(one):
            yield Change(kind=ChangeKind.CONSENT, what=one.id)
    for name in names:
        yield Change(kind=ChangeKind.ALLOW, what=name)
    if facts.restraints.restricted:
        yield Change(kind=ChangeKind.UNRESTRICT)
    for word in facts.restraints.objected:
        yield Change(kind=ChangeKind.UNOBJECT, what=word)
    if facts.restraints.signalled:
        yield Change(kind=ChangeKind.UNSIGNAL)
    for name in names:
        if name not in facts.present:
            yield Change(kind=ChangeKind.PROVIDE, what=name)


def _taking(supposed: Supposed, attribute: str) -> Iterator[Change]:
    request = supposed.request
    declaration = supposed.facts.declaration
    if declaration is None:
        return
    for kind in sorted(request.understands):
        yield Change(kind=ChangeKind.UNPROMISE, what=kind)
    for level in range(request.assurance - 1, -1, -1):
        yield Change(kind=ChangeKind.ASSURANCE, number=level)
    yield Change(kind=ChangeKind.UNDECLARE, what=attribute)
    yield from _times(supposed)
    for one in declaration.statements:
        if _asks(one) and attribute in one.attributes:
            yield Change(kind=ChangeKind.WITHDRAW, what=one.id)
    yield Change(kind=ChangeKind.REFUSE, what=attribute)
    yield Change(kind=ChangeKind.RESTRICT)
    yield Change(kind=ChangeKind.OBJECT, what=request.purpose)


def _times(supposed: Supposed) -> Iterator[Change]:
    """Instants at which something begins or ends, and the one before each.

    Those of the declaration are the service's side; those of an answer or
    a rule are the person's.
    """
    declaration = supposed.facts.declaration
    if declaration is None:
        return
    theirs = {declaration.valid_from, declaration.valid_until}
    mine = {one.expires_at for one in supposed.facts.events}
    for rule in supposed.preferences.rules:
        mine |= {rule.terms.since, rule.terms.until}
        mine |= {
            at + rule.terms.days * _DAY
            for at in supposed.facts.uses.get(rule.id, Uses()).recent
            if rule.terms.days is not None
        }
    for side, edges in ((Side.SERVICE, theirs), (Side.PERSON, mine)):
        for edge in sorted(one for one in edges if one):
            for instant in (edge - 1, edge):
                if 0 < instant != supposed.now:
                    yield Change(
                        kind=ChangeKind.TIME, number=instant, side=side
                    )


def _essentials(
    declaration: Declaration, request: AccessRequest, attribute: str
) -> list[str]:
    """What is asked for and goes with an essential attribute or not at all."""
    essential = {
        name for one in declaration.statements for name in one.essential
    }
    if attribute not in essential:
        return []
    return [
        name
        for name in request.attributes
        if name in essential and name != attribute
    ]


def changed(supposed: Supposed, change: Change) -> Supposed:
    """Suppose one change; verdicts are matched anew by whoever decides."""
    kind = change.kind
    if kind in _REQUESTS:
        request = _asked(supposed.request, change)
        return replace(supposed, request=request)
    if kind is ChangeKind.TIME:
        return replace(supposed, now=change.number)
    if kind in {ChangeKind.ALLOW, ChangeKind.REFUSE}:
        return replace(supposed, preferences=_ruled(supposed, change))
    return replace(supposed, facts=_known(supposed, change))


def _asked(request: AccessRequest, change: Change) -> AccessRequest:
    if change.kind is ChangeKind.ASSURANCE:
        return replace(request, assurance=change.number)
    changed_by = {change.what}
    return replace(
        request,
        understands=request.understands | changed_by
        if change.kind is ChangeKind.PROMISE
        else request.understands - changed_by,
    )


def _known(supposed: Supposed, change: Change) -> Facts:
    facts = supposed.facts
    if change.kind in _DECLARATIONS:
        return replace(facts, declaration=_declared(facts, change))
    if change.kind in {ChangeKind.CONSENT, ChangeKind.WITHDRAW}:
        return _answered(supposed, change)
    if change.kind is ChangeKind.PROVIDE:
        return replace(facts, present=facts.present | {change.what})
    return _restrained(facts, change)


def _restrained(facts: Facts, change: Change) -> Facts:
    old = facts.restraints
    new = {
        ChangeKind.RESTRICT: replace(old, restricted=True),
        ChangeKind.UNRESTRICT: replace(old, restricted=False),
        ChangeKind.OBJECT: replace(old, objected=(*old.objected, change.what)),
        ChangeKind.UNOBJECT: replace(
            old,
            objected=tuple(w for w in old.objected if w != change.what),
        ),
        ChangeKind.UNSIGNAL: replace(old, signalled=False),
    }
    return replace(facts, restraints=new[change.kind])


def _ruled(supposed: Supposed, change: Change) -> Preferences:
    """The person's rules, with one before them about one attribute."""
    rule = Rule(
        id=f"{_RULE}-{len(supposed.preferences.rules)}",
        behavior=(
            Behavior.ALLOW
            if change.kind is ChangeKind.ALLOW
            else Behavior.REFUSE
        ),
        attributes=(change.what,),
        services=frozenset({supposed.request.service}),
    )
    return Preferences(rules=(rule, *supposed.preferences.rules))


def _declared(facts: Facts, change: Change) -> Declaration | None:
    declaration = facts.declaration
    if declaration is None:
        return None
    statements = tuple(
        made
        for one in declaration.statements
        if (made := _restated(one, change)).data or not one.data
    )
    if not statements:
        return None
    return replace(declaration, statements=statements)


def _restated(one: Statement, change: Change) -> Statement:
    data = one.data
    match change.kind:
        case ChangeKind.DECLARE if one.id == change.within:
            data = (*data, DataItem(attribute=change.what, optional=True))
        case ChangeKind.UNDECLARE:
            data = tuple(i for i in data if i.attribute != change.what)
        case ChangeKind.OPTIONAL:
            data = tuple(
                replace(item, optional=True)
                if item.attribute == change.what
                else item
                for item in data
            )
    return one if data == one.data else replace(one, data=data)


def _answered(supposed: Supposed, change: Change) -> Facts:
    facts = supposed.facts
    declaration = facts.declaration
    if declaration is None:
        return facts
    statement = declaration.statement(change.what)
    if statement is None:
        return facts
    kind = (
        EventType.GIVEN
        if change.kind is ChangeKind.CONSENT
        else EventType.WITHDRAWN
    )
    answer = _answer(declaration, statement, supposed.now, kind)
    return replace(facts, events=(*facts.events, answer))


def _answer(
    declaration: Declaration, one: Statement, at: int, kind: EventType
) -> ConsentEvent:
    return ConsentEvent(
        id=_LAST,
        subject=_LAST,
        service=declaration.service,
        purpose=declaration.purpose,
        statement=one.id,
        declaration=declaration.digest,
        notice="",
        language="",
        type=kind,
        attributes=one.attributes if kind is EventType.GIVEN else (),
        at=at,
    )


def _asks(one: Statement) -> bool:
    return one.basis is LegalBasis.CONSENT or any(
        use.required is Required.OPT_IN for use in one.purposes
    )
