"""Reading what a caller sent: entities, questions, batches and searches.

Authorization API 1.0, sections 5 to 8. Members that the API does not know
are ignored, as it demands; members that it knows have their type or the
request is refused. What a caller sends is personal data as often as not, so
no error repeats any of it: it names the place alone.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, TypeAlias

Members: TypeAlias = Mapping[str, Any]

_DEEPEST = 32
_LONGEST_NAME = 1024
_AN_OBJECT, _A_STRING = "an object", "a string"


class BadRequestError(Exception):
    """A request is not one of the API (its section 10.1.1); told as 400.

    Args:
        where: the place of the fault, in names of the API alone.
        what: what should stand there.

    """

    def __init__(self, where: str, what: str) -> None:
        super().__init__(f"{where}: {what}")
        self.where = where
        self.what = what


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Entity:
    """A subject or a resource (5.1, 5.2). No `repr`: ids may be people's."""

    type: str
    id: str
    properties: Members = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Action:
    """What would be done (5.3)."""

    name: str
    properties: Members = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Evaluation:
    """One question (6.1)."""

    subject: Entity
    action: Action
    resource: Entity
    context: Members = field(default_factory=dict)


class Semantic(StrEnum):
    """When a batch ends (7.1.2.1)."""

    EXECUTE_ALL = "execute_all"
    DENY_ON_FIRST_DENY = "deny_on_first_deny"
    PERMIT_ON_FIRST_PERMIT = "permit_on_first_permit"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Batch:
    """Several questions (7.1).

    An item that is no question is the error that it makes; empty `items`
    stand for one question, which then is `single`.
    """

    items: tuple[Evaluation | BadRequestError, ...]
    single: Evaluation | None
    semantic: Semantic


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubjectSearch:
    """Who of a type could do this (8.4)."""

    type: str
    action: Action
    resource: Entity
    context: Members


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ResourceSearch:
    """What of a type could be reached (8.5)."""

    subject: Entity
    action: Action
    type: str
    properties: Members
    context: Members


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ActionSearch:
    """What could be done (8.6)."""

    subject: Entity
    resource: Entity
    context: Members


Search: TypeAlias = SubjectSearch | ResourceSearch | ActionSearch


def read_body(body: bytes, content_type: str) -> Members:
    """The members of a request.

    Args:
        body: at most what the server lets through.
        content_type: the header; only ``application/json`` will do.

    Raises:
        BadRequestError: another type, no JSON, no object, a member twice, a
            number beyond double precision, a lone surrogate, or nesting
            beyond 32 (I-JSON, RFC 7493).

    """
    media_type = content_type.split(";", maxsplit=1)[0].strip().lower()
    if media_type != "application/json":
        where, what = "Content-Type", "application/json"
        raise BadRequestError(where, what)
    where = "body"
    try:
        found = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_number,
            parse_float=_number,
        )
    except (ValueError, RecursionError):
        what = "a JSON object in UTF-8, each member once"
        raise BadRequestError(where, what) from None
    if type(found) is not dict:
        what = "a JSON object"
        raise BadRequestError(where, what)
    _demand_sound(found, _DEEPEST)
    return found


def read_evaluation(body: Members) -> Evaluation:
    """Read one question.

    Raises:
        BadRequestError: subject, action or resource is missing or misshapen.

    """
    return Evaluation(
        subject=_entity(body, "subject"),
        action=_action(body),
        resource=_entity(body, "resource"),
        context=_context(body),
    )


def read_batch(body: Members, *, most: int) -> Batch:
    """Read several questions, with their defaults.

    A member of an item replaces the default whole; nothing is merged.

    Raises:
        BadRequestError: the batch itself is misshapen, or has more items
            than `most`.

    """
    semantic = _semantic(body)
    items = body.get("evaluations")
    if items is None or items == []:
        return Batch(items=(), single=read_evaluation(body), semantic=semantic)
    if type(items) is not list or len(items) > most:
        where, what = "evaluations", f"an array of at most {most}"
        raise BadRequestError(where, what)
    defaults = {
        name: body[name]
        for name in ("subject", "action", "resource", "context")
        if name in body
    }
    return Batch(
        items=tuple(
            _item(defaults, one, f"evaluations[{at}]")
            for at, one in enumerate(items)
        ),
        single=None,
        semantic=semantic,
    )


def read_subject_search(body: Members) -> SubjectSearch:
    """Read a search for subjects; an id of the subject is ignored.

    Raises:
        BadRequestError: as `read_evaluation`.

    """
    return SubjectSearch(
        type=_text(_object(body, "subject"), "subject", "type"),
        action=_action(body),
        resource=_entity(body, "resource"),
        context=_context(body),
    )


def read_resource_search(body: Members) -> ResourceSearch:
    """Read a search for resources; an id of the resource is ignored.

    Raises:
        BadRequestError: as `read_evaluation`.

    """
    sought = _object(body, "resource")
    return ResourceSearch(
        subject=_entity(body, "subject"),
        action=_action(body),
        type=_text(sought, "resource", "type"),
        properties=_properties(sought, "resource"),
        context=_context(body),
    )


def read_action_search(body: Members) -> ActionSearch:
    """Read a search for actions.

    Raises:
        BadRequestError: as `read_evaluation`.

    """
    return ActionSearch(
        subject=_entity(body, "subject"),
        resource=_entity(body, "resource"),
        context=_context(body),
    )


def _item(
    defaults: Members, found: object, where: str
) -> Evaluation | BadRequestError:
    if not isinstance(found, Mapping):
        return BadRequestError(where, "an object")
    try:
        return read_evaluation({**defaults, **found})
    except BadRequestError as error:
        return BadRequestError(f"{where}.{error.where}", error.what)


def _semantic(body: Members) -> Semantic:
    options = body.get("options", {})
    where, what = "options", "an object"
    if type(options) is not dict:
        raise BadRequestError(where, what)
    found = options.get("evaluations_semantic", Semantic.EXECUTE_ALL)
    try:
        return Semantic(found)
    except ValueError:
        where = "options.evaluations_semantic"
        what = "one of " + ", ".join(Semantic)
        raise BadRequestError(where, what) from None


def _entity(body: Members, name: str) -> Entity:
    found = _object(body, name)
    return Entity(
        type=_text(found, name, "type"),
        id=_text(found, name, "id"),
        properties=_properties(found, name),
    )


def _action(body: Members) -> Action:
    found = _object(body, "action")
    return Action(
        name=_text(found, "action", "name"),
        properties=_properties(found, "action"),
    )


def _context(body: Members) -> Members:
    return _object(body, "context") if "context" in body else {}


def _properties(found: Members, where: str) -> Members:
    if "properties" not in found:
        return {}
    properties = found["properties"]
    if type(properties) is not dict:
        place = f"{where}.properties"
        raise BadRequestError(place, _AN_OBJECT)
    return properties


def _object(body: Members, name: str) -> dict[str, Any]:
    found = body.get(name)
    if type(found) is not dict:
        raise BadRequestError(name, _AN_OBJECT)
    return found


def _text(found: Members, where: str, name: str) -> str:
    value = found.get(name)
    if type(value) is not str or not 0 < len(value) <= _LONGEST_NAME:
        place = f"{where}.{name}"
        raise BadRequestError(place, _A_STRING)
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError
    return found


def _number(text: str) -> float:
    value = float(text)
    if value in {float("inf"), float("-inf")}:
        raise ValueError
    return value


def _no_number(_text: str) -> float:
    raise ValueError


def _demand_sound(value: object, deepest: int) -> None:
    """Refuse lone surrogates, whole numbers beyond a double, and depth."""
    where, what = "body", "I-JSON, nested at most 32 deep"
    if deepest < 0:
        raise BadRequestError(where, what)
    if isinstance(value, dict):
        for name, one in value.items():
            _demand_sound(name, deepest)
            _demand_sound(one, deepest - 1)
    elif isinstance(value, list):
        for one in value:
            _demand_sound(one, deepest - 1)
    elif isinstance(value, str):
        if any("\ud800" <= letter <= "\udfff" for letter in value):
            raise BadRequestError(where, what)
    elif type(value) is int and abs(value) > 2**1023:
        raise BadRequestError(where, what)
