"""Conditions that a policy was compiled to, as SQL with bound values.

OPA's compile API gives them as UCAST. Read here is only what our own rules
compile to (`policies/cohort`): and, or, not, and equality of one known field
with a text. Whatever else comes is no condition. No value and no name ever
becomes part of a statement's text: values are bound, and names are looked up
among columns that the caller has.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, and_, false, not_, or_

from policy.pdp import JSON, Cause, NoDecision

_COMPOUND = frozenset({"and", "or", "not"})
_DEEPEST = 8
_MOST = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Equals:
    """A field has a value."""

    field: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Compound:
    """What holds of several conditions: all, some, or, of one, not."""

    operator: str
    parts: tuple["Condition", ...]


Condition = Equals | Compound


def read_condition(found: JSON) -> Condition:
    """Read a condition in UCAST.

    Raises:
        NoDecision: it is none that our policies compile to.

    """
    budget = [_MOST]
    return _read(found, budget, _DEEPEST)


def to_sql(
    condition: Condition, columns: Mapping[str, ColumnElement[str]]
) -> ColumnElement[bool]:
    """Write a condition over columns, its values as bound parameters.

    Args:
        condition: what must hold.
        columns: by field; no other field can be asked about.

    Raises:
        NoDecision: it asks about a field that has no column.

    """
    if isinstance(condition, Equals):
        column = columns.get(condition.field)
        if column is None:
            raise NoDecision(Cause.MALFORMED, "a field of nothing")
        # No text of a database has a NUL, and one of them refuses to look.
        if "\0" in condition.value:
            return false()
        return column == condition.value
    parts = [to_sql(one, columns) for one in condition.parts]
    if condition.operator == "not":
        return not_(parts[0])
    return and_(*parts) if condition.operator == "and" else or_(*parts)


def alternatives(condition: Condition, field: str) -> Iterator[str]:
    """List the values of which a condition asks for any.

    Raises:
        NoDecision: it is more than one field's equality, or several of them
            joined by `or`.

    """
    if isinstance(condition, Equals):
        if condition.field != field:
            raise NoDecision(Cause.MALFORMED, "another field")
        yield condition.value
        return
    if condition.operator != "or":
        raise NoDecision(Cause.MALFORMED, "no alternatives")
    for one in condition.parts:
        yield from alternatives(one, field)


def _read(found: JSON, budget: list[int], deepest: int) -> Condition:
    budget[0] -= 1
    if type(found) is not dict or deepest < 0 or budget[0] < 0:
        raise NoDecision(Cause.MALFORMED, "no condition")
    operator, value = found.get("operator"), found.get("value")
    if found.get("type") == "field":
        field = found.get("field")
        if operator == "eq" and type(field) is type(value) is str:
            return Equals(field=field, value=value)
    elif found.get("type") == "compound" and operator in _COMPOUND:
        listed = value if type(value) is list else []
        parts = tuple(_read(one, budget, deepest - 1) for one in listed)
        if len(parts) == 1 or (parts and operator != "not"):
            return Compound(operator=str(operator), parts=parts)
    raise NoDecision(Cause.MALFORMED, "no condition that we know")
