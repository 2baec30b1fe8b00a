"""What is asked of the gate and what it answers: plain values.

`parse_decision` is the only door from an engine's JSON to a `Decision`. It
accepts exactly the shape that `policies/disclosure` promises, for exactly
the attributes that were asked; everything else is `NoDecision`. An answer
with one attribute too many could open a value that nobody asked about, and
one too few could be read as consent, so neither is repaired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

from policy.pdp import Cause, NoDecision

Json: TypeAlias = (
    bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"] | None
)

SCHEMA = "curtilage/disclosure/1"


class Effect(StrEnum):
    """What happens to one attribute."""

    RELEASE = "release"
    GENERALIZE = "generalize"
    WITHHOLD = "withhold"


@dataclass(frozen=True, slots=True, kw_only=True)
class ById:
    """A person named by the vault's own random id."""

    subject: UUID


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ByIdentifier:
    """A person named by an indexed attribute, an identity number say.

    It has no `repr`: the value is personal data and would reach a log.
    """

    attribute: str
    value: str


SubjectRef: TypeAlias = ById | ByIdentifier


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRequest:
    """One question of a service about one person.

    `service` and `purpose` come from the credential, never from the body.
    `understands` names the obligations that the caller says it carries out;
    `trace` is its own trace and span, which the entry remembers.
    """

    tenant: str
    service: str
    purpose: str
    attributes: tuple[str, ...]
    person: SubjectRef
    understands: frozenset[str] = frozenset()
    assurance: int = 1
    trace: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """A code of `policies/vocabulary/reasons.json`, and what would help."""

    code: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Obligation:
    """What goes with a released value; `days` belongs to ``delete_by``."""

    type: str
    days: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttributeDecision:
    """What was decided about one attribute, and why."""

    attribute: str
    effect: Effect
    level: int
    reasons: tuple[Reason, ...]
    obligations: tuple[Obligation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A whole answer of the engine, under one bundle revision."""

    attributes: Mapping[str, AttributeDecision]
    revision: str

    def granted(self) -> frozenset[str]:
        """Names of the attributes that the vault may open."""
        return frozenset(
            name
            for name, one in self.attributes.items()
            if one.effect is not Effect.WITHHOLD
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Minimum:
    """The least that a declaration could lawfully carry.

    Attributes:
        attributes: what it calls essential and its basis may carry, each as
            a predicate where one would do.
        assurance: how strongly the service has to prove itself for it.
        understands: the obligations that a caller has to understand.
    """

    attributes: tuple[str, ...]
    assurance: int
    understands: tuple[str, ...]

    def document(self) -> dict[str, Json]:
        """The same as plain JSON."""
        return {
            "attributes": list(self.attributes),
            "assurance": self.assurance,
            "understands": list(self.understands),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Guidance:
    """What a service lacks on its own side, and what would do.

    Attributes:
        missing: by attribute, all of the service's own reasons; only those
            that have any.
        instead: by attribute, the predicates that would do in its place;
            only those of which the declaration has more than it needs.
        minimum: of the declaration; None where there is none.
    """

    missing: Mapping[str, tuple[Reason, ...]]
    instead: Mapping[str, tuple[str, ...]]
    minimum: Minimum | None

    def document(self) -> dict[str, Json]:
        """The same as plain JSON."""
        return {
            "missing": {
                name: [
                    {"code": one.code, "remedy": one.remedy} for one in reasons
                ]
                for name, reasons in self.missing.items()
            },
            "instead": {
                name: list(found) for name, found in self.instead.items()
            },
            "minimum": (
                None if self.minimum is None else self.minimum.document()
            ),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosed:
    """One attribute in the answer to a service.

    `value` is `None` exactly when it is withheld; then `reason` is the one
    code that the service may see.
    """

    attribute: str
    effect: Effect
    value: str | None
    level: int
    reason: str | None
    remedy: str | None
    obligations: tuple[Obligation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """The answer to an `AccessRequest`; its ledger entry is durable.

    `guidance` goes with every answer in which anything is withheld.
    """

    decision: UUID
    ledger_index: int | None
    promise: str | None = None
    revision: str
    at: int
    attributes: tuple[Disclosed, ...]
    guidance: Guidance | None = None


def parse_decision(
    answer: Mapping[str, Json], asked: Sequence[str], *, revision: str
) -> Decision:
    """Read an engine's answer, strictly.

    Args:
        answer: the decision document of ``curtilage/disclosure/1``.
        asked: the attribute names of the request.
        revision: the bundle revision that decided.

    Raises:
        NoDecision: with cause ``malformed`` for any other shape.

    """
    attributes = answer.get("attributes")
    if (
        set(answer) != {"schema", "attributes"}
        or answer["schema"] != SCHEMA
        or not isinstance(attributes, Mapping)
        or set(attributes) != set(asked)
    ):
        raise NoDecision(Cause.MALFORMED)
    read: dict[int, AttributeDecision] = {}
    return Decision(
        attributes={
            name: _parse_once(name, attributes[name], read) for name in asked
        },
        revision=revision,
    )


def _parse_once(
    name: str, found: Json, read: dict[int, AttributeDecision]
) -> AttributeDecision:
    """Read one object once, of however many attributes it is the answer."""
    known = read.get(id(found))
    if known is None:
        known = read[id(found)] = _parse_attribute(name, found)
    if known.attribute == name:
        return known
    return AttributeDecision(
        attribute=name,
        effect=known.effect,
        level=known.level,
        reasons=known.reasons,
        obligations=known.obligations,
    )


def _parse_attribute(name: str, found: Json) -> AttributeDecision:
    if not isinstance(found, Mapping) or set(found) != {
        "effect",
        "level",
        "reasons",
        "obligations",
    }:
        raise NoDecision(Cause.MALFORMED)
    level = found["level"]
    reasons = _parse_reasons(found["reasons"])
    try:
        effect = Effect(str(found["effect"]))
    except ValueError:
        raise NoDecision(Cause.MALFORMED) from None
    if (
        type(level) is not int
        or not 0 <= level < 16
        or not reasons
        or (effect is Effect.GENERALIZE) != (level > 0)
    ):
        raise NoDecision(Cause.MALFORMED)
    return AttributeDecision(
        attribute=name,
        effect=effect,
        level=level,
        reasons=reasons,
        obligations=_parse_obligations(found["obligations"]),
    )


def _parse_reasons(found: Json) -> tuple[Reason, ...]:
    if not isinstance(found, list):
        raise NoDecision(Cause.MALFORMED)
    reasons = []
    for one in found:
        if not isinstance(one, Mapping) or set(one) != {"code", "remedy"}:
            raise NoDecision(Cause.MALFORMED)
        code, remedy = one["code"], one["remedy"]
        if not isinstance(code, str) or not isinstance(remedy, str):
            raise NoDecision(Cause.MALFORMED)
        reasons.append(Reason(code=code, remedy=remedy))
    return tuple(reasons)


def _parse_obligations(found: Json) -> tuple[Obligation, ...]:
    if not isinstance(found, list):
        raise NoDecision(Cause.MALFORMED)
    obligations = []
    for one in found:
        if not isinstance(one, Mapping) or not {"type"} <= set(one) <= {
            "type",
            "days",
        }:
            raise NoDecision(Cause.MALFORMED)
        kind, days = one["type"], one.get("days")
        if not isinstance(kind, str) or not (
            days is None or (type(days) is int and days >= 0)
        ):
            raise NoDecision(Cause.MALFORMED)
        obligations.append(Obligation(type=kind, days=days))
    return tuple(obligations)
