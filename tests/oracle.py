"""What the policies say, a second time, in Python and for the tests alone.

Written from `policies/README.md` and not from the Rego: one attribute and
one statement at a time, with plain loops, where the Rego works on whole
documents. A wrong reading has to be made twice, in two forms, to go
unnoticed. No product code may import this (DESIGN.md, "Facts in Python,
decisions in Rego").
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]

REMEDIES = {
    "unknown_attribute": "correct_request",
    "service_not_registered": "register_declaration",
    "not_declared": "declare_attribute",
    "assurance_too_low": "raise_assurance",
    "obligation_not_understood": "accept_obligation",
    "declaration_expired": "renew_declaration",
    "person_unknown": "none",
    "no_value": "provide_value",
    "consent_missing": "give_consent",
    "consent_refused": "give_consent",
    "consent_withdrawn": "give_consent",
    "consent_paused": "resume_consent",
    "consent_revoked": "give_consent",
    "consent_invalidated": "give_consent",
    "consent_expired": "renew_consent",
    "preference_refuses": "change_preferences",
    "preference_limits": "change_preferences",
    "preference_paused": "change_preferences",
    "preference_window": "change_preferences",
    "preference_uses": "change_preferences",
    "preference_frequency": "change_preferences",
    "preference_obligation": "change_preferences",
    "signal_refuses": "lift_signal",
    "restricted": "lift_restriction",
    "objected": "withdraw_objection",
    "essential_incomplete": "complete_essential",
    "consent_given": "none",
    "legal_basis": "none",
}
BASES = (
    "consent",
    "contract",
    "legal-obligation",
    "legitimate-interests",
    "public-task",
    "vital-interests",
)
OBLIGATIONS = ("delete_by", "mask", "no_onward_transfer", "notify")
HOLDS = {
    "paused": "preference_paused",
    "window": "preference_window",
    "uses": "preference_uses",
    "frequency": "preference_frequency",
    "signal": "signal_refuses",
}
MOST = 10**12


class Unsound(Exception):
    """The document is not fit to be judged: there is no decision."""


@dataclass(slots=True)
class Verdict:
    """What comes out for one attribute, before it is written down."""

    effect: str = "withhold"
    level: int = 0
    codes: set[str] = field(default_factory=set)
    noted: set[str] = field(default_factory=set)
    obligations: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Return the form that the decision document has."""
        return {
            "effect": self.effect,
            "level": self.level,
            "reasons": [
                *(
                    {"code": c, "remedy": REMEDIES[c]}
                    for c in sorted(self.codes)
                ),
                *({"code": c, "remedy": "none"} for c in sorted(self.noted)),
            ],
            "obligations": self.obligations,
        }


@dataclass(frozen=True, slots=True)
class Offer:
    """One statement that permits: how much of the value, and why."""

    level: int
    days: int | None
    codes: frozenset[str]
    noted: frozenset[str]
    confined: bool
    demanded: tuple[tuple[str, int | None], ...]


def disclosure(document: Document) -> dict[str, Any] | None:
    """Decide a disclosure.

    Args:
        document: the input of ``curtilage/disclosure/decision``.

    Returns:
        The decision document, or None where there is no decision.

    """
    try:
        sound(document)
        verdicts = {
            name: _judge(document, name)
            for name in document["request"]["attributes"]
        }
    except Unsound:
        return None
    essential = [name for name in verdicts if _is_essential(document, name)]
    if any(verdicts[name].effect == "withhold" for name in essential):
        for name in essential:
            if verdicts[name].effect != "withhold":
                verdicts[name] = Verdict(codes={"essential_incomplete"})
    return {
        "schema": "curtilage/disclosure/1",
        "attributes": {
            name: verdict.document() for name, verdict in verdicts.items()
        },
    }


def _is_essential(document: Document, name: str) -> bool:
    return any(
        not statement["data"][name]["optional"]
        for _, statement in _statements(document)
        if name in statement["data"]
    )


def _statements(document: Document) -> Iterator[tuple[str, Document]]:
    if document["declaration"] is not None:
        yield from document["declaration"]["statements"].items()


def _judge(document: Document, name: str) -> Verdict:
    failings = _failings(document, name)
    if failings:
        return Verdict(codes=failings)
    offers, obstacles = _weigh(document, name)
    person = document["person"]
    if not person["known"]:
        return Verdict(codes={"person_unknown"})
    hindrances = set() if offers else obstacles
    if person["restricted"]:
        hindrances.add("restricted")
    if name not in person["present"]:
        hindrances.add("no_value")
    if hindrances:
        return Verdict(codes=hindrances)
    return _grant(document, offers)


def _grant(document: Document, offers: list[Offer]) -> Verdict:
    level = min(offer.level for offer in offers)
    best = [offer for offer in offers if offer.level == level]
    asked = [one for offer in best for one in offer.demanded]
    days = [offer.days for offer in best if offer.days is not None]
    days += [limit for _, limit in asked if limit is not None]
    obligations: list[dict[str, Any]] = []
    if days:
        obligations.append({"type": "delete_by", "days": min(days)})
    if level:
        obligations.append({"type": "mask"})
    kinds = _undertakings(document)
    if any(offer.confined for offer in best):
        kinds.add("no_onward_transfer")
    kinds |= {kind for kind, limit in asked if limit is None}
    obligations += [{"type": kind} for kind in sorted(kinds)]
    return Verdict(
        effect="generalize" if level else "release",
        level=level,
        codes={code for offer in best for code in offer.codes},
        noted={code for offer in best for code in offer.noted},
        obligations=obligations,
    )


def _undertakings(document: Document) -> set[str]:
    return set(document["declaration"]["obligations"]) - {"delete_by", "mask"}


def _failings(document: Document, name: str) -> set[str]:
    declaration, service = document["declaration"], document["service"]
    if declaration is None:
        return {"service_not_registered"}
    codes = set()
    demanded = declaration["assurance"]
    found = document["catalogue"].get(name)
    if found is not None:
        demanded = max(demanded, {2: 1, 3: 2}.get(found["sensitivity"], 0))
    if service["assurance"] < demanded:
        codes.add("assurance_too_low")
    end = declaration["valid_until"]
    now = document["now"]
    if now < declaration["valid_from"] or (end is not None and now >= end):
        codes.add("declaration_expired")
    declaring = [
        one for _, one in _statements(document) if name in one["data"]
    ]
    if found is None:
        codes.add("unknown_attribute")
    elif not declaring:
        codes.add("not_declared")
    elif not any(_understood(document, one, name) for one in declaring):
        codes.add("obligation_not_understood")
    return codes


def _confined(document: Document, statement: Document, name: str) -> bool:
    """A special category that goes to the body alone goes no further."""
    found = document["catalogue"].get(name)
    return (
        bool(found)
        and found["sensitivity"] == 3
        and statement["recipients"]
        and all(one == "ours" for one in statement["recipients"])
    )


def _understood(document: Document, statement: Document, name: str) -> bool:
    duties = _undertakings(document)
    if not duties <= set(OBLIGATIONS):
        return False
    if _days(statement) is not None:
        duties.add("delete_by")
    if _confined(document, statement, name):
        duties.add("no_onward_transfer")
    return duties <= set(document["service"]["understands"])


def _days(statement: Document) -> int | None:
    days: int | None = statement["retention_days"]
    if days is None and statement["retention"] == "no-retention":
        return 0
    return days


def _weigh(document: Document, name: str) -> tuple[list[Offer], set[str]]:
    offers, obstacles = [], set()
    for key, statement in _statements(document):
        if name in statement["data"] and _understood(
            document, statement, name
        ):
            found = _offer(document, key, name)
            if isinstance(found, Offer):
                offers.append(found)
            else:
                obstacles |= found
    return offers, obstacles


def _offer(document: Document, key: str, name: str) -> Offer | set[str]:
    statement = document["declaration"]["statements"][key]
    basis, purposes = statement["basis"], statement["purposes"]
    choices = {purpose["required"] for purpose in purposes}
    against, codes, noted, level = set(), set(), set(), 0
    if basis == "consent" or "opt-in" in choices:
        standing = _standing(document, key, name)
        (codes if standing == "consent_given" else against).add(standing)
    if basis != "consent":
        codes.add("legal_basis")
    carries = {"consent", "legal-obligation", "public-task"}
    if (
        document["catalogue"][name]["sensitivity"] == 3
        and basis not in carries
    ):
        against.add("consent_missing")
    if _objected(document, statement):
        against.add("objected")
    verdict = _preference(document, key, name)
    if basis == "consent":
        level = _level(document, verdict, name)
        if level < 0:
            hold = None if verdict is None else verdict["hold"]
            refusal = "preference_refuses"
            if hold is None and _unmet(document, verdict):
                refusal = "preference_obligation"
            against.add(HOLDS.get(hold, refusal))
        elif level:
            codes.add("preference_limits")
    elif verdict is not None and verdict["behavior"] != "allow":
        noted.add(
            {"limit": "preference_limits", "refuse": "preference_refuses"}[
                verdict["behavior"]
            ]
        )
    return against or Offer(
        level,
        _days(statement),
        frozenset(codes),
        frozenset(noted),
        _confined(document, statement, name),
        _demanded(verdict) if basis == "consent" else (),
    )


def _demanded(
    verdict: Document | None,
) -> tuple[tuple[str, int | None], ...]:
    """What the person's rules ask in return; nothing where left out.

    Raises:
        Unsound: it is no list of obligations.

    """
    asked = False if verdict is None else verdict.get("obligations", False)
    if asked is False:
        return ()
    if type(asked) is not list:
        raise Unsound
    found = []
    for one in asked:
        if one in ({"type": "no_onward_transfer"}, {"type": "notify"}):
            found.append((one["type"], None))
            continue
        if type(one) is not dict or set(one) != {"type", "days"}:
            raise Unsound
        days = one["days"]
        if one["type"] != "delete_by" or not (
            _count(days) and 1 <= days <= 3660
        ):
            raise Unsound
        found.append(("delete_by", days))
    return tuple(found)


def _unmet(document: Document, verdict: Document | None) -> bool:
    kinds = {kind for kind, _ in _demanded(verdict)}
    return any(k not in document["service"]["understands"] for k in kinds)


def _standing(document: Document, key: str, name: str) -> str:
    for consent in document["consents"]:
        if consent["statement"] == key:
            state, until = consent["state"], consent["until"]
            if state in {"unanswered", "requested"}:
                return "consent_missing"
            if state != "given":
                return f"consent_{state}"
            if until is not None and until <= document["now"]:
                return "consent_expired"
            if name in consent["attributes"]:
                return "consent_given"
    return "consent_missing"


def _objected(document: Document, statement: Document) -> bool:
    against = document["person"]["objected"]
    for purpose in statement["purposes"]:
        named = (
            purpose["purpose"] in against
            or document["service"]["purpose"] in against
        )
        stoppable = purpose["required"] == "opt-out" or statement["basis"] in {
            "public-task",
            "legitimate-interests",
        }
        if named and stoppable:
            return True
    return False


def _preference(document: Document, key: str, name: str) -> Document | None:
    for one in document["preferences"]:
        # Of one that has a defect and is about nothing asked, nothing is owed.
        if type(one) is not dict:
            continue
        if (one.get("statement"), one.get("attribute")) == (key, name):
            found: Document = one
            return found
    return None


def _level(document: Document, verdict: Document | None, name: str) -> int:
    if verdict is None:
        raise Unsound
    if verdict["hold"] is not None or _unmet(document, verdict):
        return -1
    if verdict["behavior"] == "allow":
        return 0
    levels: int = document["catalogue"][name]["levels"]
    if verdict["behavior"] == "refuse" or levels == 0:
        return -1
    wanted = verdict["level"]
    return levels if wanted is None else min(wanted, levels)


# Guidance: the service's own side alone.

_HOME = "user.home-info.postal"
PREDICATES = {
    "user.bdate": ("age_over", "18"),
    "user.income.annual": ("income_band", "10000"),
    f"{_HOME}.city": ("resident_in", "PLACE"),
    f"{_HOME}.country": ("resident_in", "PLACE"),
    f"{_HOME}.postalcode": ("resident_in", "PLACE"),
    f"{_HOME}.stateprov": ("resident_in", "PLACE"),
}
EXACT = {"current", "historical", "other-purpose"}


def guidance(document: Document) -> dict[str, Any] | None:
    """Say what a service lacks on its own side.

    Args:
        document: the input of ``curtilage/guidance/decision``.

    Returns:
        The guidance document, or None where there is none.

    """
    try:
        _sound_guidance(document)
    except Unsound:
        return None
    told = {}
    for name in document["request"]["attributes"]:
        instead = _instead(document, name)
        codes = _failings(document, name)
        if instead:
            codes = codes | {"predicate_would_do"}
        remedies = {**REMEDIES, "predicate_would_do": "declare_predicate"}
        told[name] = {
            "reasons": [
                {"code": code, "remedy": remedies[code]}
                for code in sorted(codes)
            ],
            "instead": instead,
        }
    return {
        "schema": "curtilage/guidance/1",
        "attributes": told,
        "minimum": _minimum(document),
    }


def _instead(document: Document, name: str) -> list[str]:
    """Name what would do in place of a value; nothing where it is needed."""
    if name not in PREDICATES:
        return []
    others: set[str] = set()
    declared = False
    for _, statement in _statements(document):
        others.update(statement["data"])
        if name in statement["data"]:
            declared = True
            essential = not statement["data"][name]["optional"]
            uses = {one["purpose"] for one in statement["purposes"]}
            if essential and uses & EXACT:
                return []
    if not declared:
        return []
    kind, example = PREDICATES[name]
    beside = [one for one in others if one.startswith(f"{name}.{kind}_")]
    return sorted(beside) or [f"{name}.{kind}_{example}"]


def _minimum(document: Document) -> dict[str, Any] | None:
    if document["declaration"] is None:
        return None
    forms: set[str] = set()
    duties = _undertakings(document)
    assurance = document["declaration"]["assurance"]
    for _, statement in _statements(document):
        for name, item in statement["data"].items():
            found = document["catalogue"].get(name)
            special = statement["basis"] in {
                "consent",
                "legal-obligation",
                "public-task",
            }
            if item["optional"] or found is None:
                continue
            if found["sensitivity"] == 3 and not special:
                continue
            forms.update(_instead(document, name) or [name])
            clearance = {2: 1, 3: 2}.get(found["sensitivity"], 0)
            assurance = max(assurance, clearance)
            if _days(statement) is not None:
                duties.add("delete_by")
            if _confined(document, statement, name):
                duties.add("no_onward_transfer")
    return {
        "attributes": sorted(forms),
        "assurance": assurance,
        "understands": sorted(duties),
    }


def _sound_guidance(document: object) -> None:
    _demand(
        document,
        schema=_among("curtilage/guidance/1"),
        now=_time,
        service=_a(dict),
        request=_a(dict),
        declaration=_or_none(_a(dict)),
        catalogue=_a(dict),
    )
    assert isinstance(document, dict)
    _sound_asker(document)
    for found in document["catalogue"].values():
        _demand(found, sensitivity=_among(0, 1, 2, 3))
    if document["declaration"] is None:
        return
    declaration = document["declaration"]
    _demand(
        declaration,
        valid_from=_time,
        valid_until=_or_none(_time),
        assurance=_time,
        obligations=_a(list),
        statements=_a(dict),
    )
    if any(type(kind) is not str for kind in declaration["obligations"]):
        raise Unsound
    for statement in declaration["statements"].values():
        _demand(
            statement,
            basis=_among(*BASES),
            purposes=_a(list),
            recipients=_a(list),
            retention=_a(str),
            retention_days=_or_none(_count),
            data=_a(dict),
        )
        for purpose in statement["purposes"]:
            _demand(purpose, purpose=_a(str))
        for item in statement["data"].values():
            _demand(item, optional=_a(bool))


# What a sound document looks like.


def _a(kind: type) -> Callable[[Any], bool]:
    return lambda value: type(value) is kind


def _time(value: object) -> bool:
    return type(value) in {int, float} and 0 <= value < MOST  # type: ignore[operator] # a number by now


def _until(value: object) -> bool:
    return type(value) in {int, float} and value < MOST  # type: ignore[operator] # a number by now


def _count(value: object) -> bool:
    return _time(value) and value % 1 == 0  # type: ignore[operator] # a number by now


def _or_none(check: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: value is None or check(value)


def _among(*words: object) -> Callable[[Any], bool]:
    return lambda value: any(
        value == w and type(value) is type(w) for w in words
    )


def _demand(document: object, **checks: Callable[[Any], bool]) -> None:
    if type(document) is not dict:
        raise Unsound
    for name, check in checks.items():
        if name not in document or not check(document[name]):
            raise Unsound


def sound(document: object) -> None:
    """Hold an input of the disclosure policy to its shape.

    Raises:
        Unsound: it is not fit to be judged.

    """
    _demand(
        document,
        schema=_among("curtilage/disclosure/1"),
        now=_time,
        service=_a(dict),
        request=_a(dict),
        declaration=_or_none(_a(dict)),
        catalogue=_a(dict),
        consents=_a(list),
        preferences=_a(list),
        person=_a(dict),
    )
    assert isinstance(document, dict)
    _sound_asker(document)
    _demand(
        document["person"],
        known=_a(bool),
        restricted=_a(bool),
        present=_a(list),
        objected=_a(list),
    )
    if document["declaration"] is not None:
        asked = document["request"]["attributes"]
        _sound_declaration(document["declaration"], asked)
    _sound_lists(document)


def _sound_asker(document: Document) -> None:
    _demand(
        document["service"],
        id=_a(str),
        purpose=_a(str),
        assurance=_time,
        understands=_a(list),
    )
    _demand(document["request"], attributes=_a(list))
    asked = document["request"]["attributes"]
    if not asked or any(type(name) is not str for name in asked):
        raise Unsound
    for name in asked:
        if document["catalogue"].get(name, False) is not False:
            _demand(
                document["catalogue"][name],
                sensitivity=_among(0, 1, 2, 3),
                levels=lambda value: _count(value) and value < 16,
            )


def _sound_declaration(declaration: Document, asked: list[str]) -> None:
    _demand(
        declaration,
        valid_from=_time,
        valid_until=_or_none(_time),
        assurance=_time,
        obligations=_a(list),
        statements=_a(dict),
    )
    for statement in declaration["statements"].values():
        _demand(
            statement,
            basis=_among(*BASES),
            purposes=_a(list),
            recipients=_a(list),
            retention=_a(str),
            retention_days=_or_none(_count),
            data=_a(dict),
        )
        for purpose in statement["purposes"]:
            _demand(
                purpose,
                purpose=_a(str),
                required=_among("always", "opt-in", "opt-out"),
            )
        for name in asked:
            if statement["data"].get(name, False) is not False:
                _demand(statement["data"][name], optional=_a(bool))


def _sound_lists(document: Document) -> None:
    for one in document["consents"]:
        _demand(
            one,
            statement=_a(str),
            state=_among(
                *("given", "refused", "withdrawn", "expired", "paused"),
                *("revoked", "invalidated", "requested", "unanswered"),
            ),
            attributes=_a(list),
            until=_or_none(_until),
        )
    consents = [one["statement"] for one in document["consents"]]
    if len(set(consents)) != len(consents):
        raise Unsound
    _sound_verdicts(document)


def _sound_verdicts(document: Document) -> None:
    judged = []
    for key, statement in _statements(document):
        if statement["basis"] != "consent":
            continue
        for one in document["preferences"]:
            if type(one) is dict and one.get("statement") == key:
                _sound_verdict(document, one)
                judged.append(json.dumps([key, one["attribute"]]))
        for name in document["request"]["attributes"]:
            declared = name in statement["data"]
            if declared and json.dumps([key, name]) not in judged:
                raise Unsound
    if len(set(judged)) != len(judged):
        raise Unsound


def _sound_verdict(document: Document, verdict: Document) -> None:
    if "attribute" not in verdict or "hold" not in verdict:
        raise Unsound
    if verdict["hold"] is not None:
        if type(verdict["hold"]) is str and verdict["hold"] in HOLDS:
            return
        raise Unsound
    if _unmet(document, verdict):
        return
    if "level" not in verdict:
        raise Unsound
    behavior, level = verdict.get("behavior"), verdict["level"]
    if behavior not in ("allow", "refuse", "limit"):
        raise Unsound
    name = verdict["attribute"]
    found = document["catalogue"].get(name) if type(name) is str else None
    if behavior != "limit" or found is None or found is False:
        return
    # Of what was not asked for, the catalogue's word was not looked at yet.
    levels = found.get("levels") if type(found) is dict else None
    whole = level is None or (_count(level) and level >= 1)
    if levels != 0 and not (whole and _above_zero(levels)):
        raise Unsound


def _above_zero(levels: object) -> bool:
    """As Rego orders: null and booleans before numbers, texts after them."""
    if levels is None or type(levels) is bool:
        return False
    return levels > 0 if isinstance(levels, int | float) else True


GLASS_TERMS = {
    "seconds": 14_400,
    "approval_seconds": 900,
    "officer_day": 5,
    "person_day": 3,
}
GLASS_REACH = {"emergency-care": 3, "missing-person": 2, "disaster-relief": 1}
GLASS_REMEDIES = {
    "case_missing": "give_justification",
    "glass_alert_open": "ask_colleague",
    "glass_approved": "none",
    "glass_attribute": "none",
    "glass_ended": "ask_colleague",
    "glass_limit": "none",
    "glass_person": "none",
    "glass_purpose": "none",
    "justification_missing": "give_justification",
    "not_own": "none",
    "person_unknown": "none",
    "restricted": "lift_restriction",
    "unknown_attribute": "correct_request",
}


def glass(document: Document) -> dict[str, Any] | None:
    """Decide a step of emergency access.

    Args:
        document: the input of ``curtilage/glass/decision``.

    Returns:
        The decision document, or None where there is no decision.

    """
    try:
        _sound_glass(document)
    except Unsound:
        return None
    # Of the person nothing is said to whoever is refused for themselves.
    codes = _glass_officer(document) or _glass_person(document)
    return {
        "schema": "curtilage/glass/1",
        "allow": not codes,
        "reasons": [
            {"code": code, "remedy": GLASS_REMEDIES[code]}
            for code in sorted(codes)
        ],
        "terms": GLASS_TERMS,
    }


def _glass_officer(document: Document) -> set[str]:
    step, grant = document["step"], document["grant"]
    codes = _glass_asked(document) if step == "request" else set()
    if step != "request" and not _glass_stands(document["now"], grant):
        codes.add("glass_ended")
    if step == "open":
        codes |= _glass_opened(document, grant)
    if step == "approve" and grant["approver"]:
        codes.add("glass_approved")
    return codes if step == "approve" else codes | _glass_reach(document)


def _glass_person(document: Document) -> set[str]:
    found: set[str] = set()
    if document["step"] == "approve":
        return found
    if not document["person"]["known"]:
        found.add("person_unknown")
    if document["person"]["restricted"]:
        found.add("restricted")
    if document["step"] == "open":
        return found | (
            set() if document["grant"]["same_person"] else {"glass_person"}
        )
    if document["recent"]["person"] >= GLASS_TERMS["person_day"]:
        found.add("glass_limit")
    return found


def _glass_asked(document: Document) -> set[str]:
    recent, stated = document["recent"], document["stated"]
    found = set()
    if not stated["reason"].strip():
        found.add("justification_missing")
    if not stated["case"].strip():
        found.add("case_missing")
    if recent["officer"] >= GLASS_TERMS["officer_day"]:
        found.add("glass_limit")
    if recent["alerts"]:
        found.add("glass_alert_open")
    return found


def _glass_opened(document: Document, grant: Document) -> set[str]:
    request, found = document["request"], set()
    if document["officer"] != grant["officer"]:
        found.add("not_own")
    if request["purpose"] != grant["purpose"]:
        found.add("glass_purpose")
    for name in request["attributes"]:
        if name not in grant["attributes"]:
            found.add("glass_attribute")
    return found


def _glass_reach(document: Document) -> set[str]:
    found = set()
    reach = GLASS_REACH.get(document["request"]["purpose"])
    if reach is None:
        return {"glass_purpose"}
    for name in document["request"]["attributes"]:
        if name not in document["catalogue"]:
            found.add("unknown_attribute")
        elif document["catalogue"][name]["sensitivity"] > reach:
            found.add("glass_attribute")
    return found


def _glass_stands(now: int, grant: Document) -> bool:
    if grant["ended"] or now < grant["seen"] or now >= grant["ends"]:
        return False
    return bool(grant["approver"]) or now < grant["deadline"]


def _sound_glass(document: object) -> None:
    _demand(
        document,
        schema=_among("curtilage/glass/1"),
        now=_count,
        step=_among("request", "open", "approve"),
        officer=lambda value: type(value) is str and bool(value),
        request=_a(dict),
        stated=_a(dict),
        catalogue=_a(dict),
        person=_a(dict),
        recent=_a(dict),
    )
    assert isinstance(document, dict)
    _demand(
        document["request"],
        purpose=_a(str),
        attributes=_a(list),
    )
    _demand(document["stated"], reason=_a(str), case=_a(str))
    names = document["request"]["attributes"]
    if not names or any(type(name) is not str for name in names):
        raise Unsound
    if len(set(names)) != len(names):
        raise Unsound
    for one in document["catalogue"].values():
        _demand(one, sensitivity=_count)
    _demand(document["person"], known=_a(bool), restricted=_a(bool))
    _demand(document["recent"], officer=_count, person=_count, alerts=_count)
    if document["step"] == "request":
        if document.get("grant", 0) is not None:
            raise Unsound
        return
    _demand(
        document.get("grant"),
        officer=lambda value: type(value) is str and bool(value),
        purpose=_a(str),
        approver=_a(str),
        attributes=_a(list),
        ended=_a(bool),
        same_person=_a(bool),
        seen=_count,
        deadline=_count,
        ends=_count,
    )
