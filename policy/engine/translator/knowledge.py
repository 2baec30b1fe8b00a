"""What is known of a local at a point, and tables of the plan's language."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a local: defined, undefined or neither; its type."""

    defined: bool | None = None
    kind: str = ""
    const: str = ""
    base: bool = False
    """Whether it is a part of `data`, whose numbered names are strings."""


DEFINED = Known(defined=True)
UNDEFINED = Known(defined=False)
UNKNOWN = Known()
DATA = Known(base=True)

KINDS = {
    "number": "number",
    "string": "str",
    "boolean": "bool",
    "array": "list",
    "object": "dict",
    "set": "Set",
    "null": "None",
}

MAKES = {
    "MakeArrayStmt": ("[]", "list"),
    "MakeObjectStmt": ("{}", "dict"),
    "MakeSetStmt": ("Set()", "Set"),
}

INSERTS = {
    "ArrayAppendStmt": "array",
    "ObjectInsertStmt": "object",
    "ObjectInsertOnceStmt": "object",
    "SetAddStmt": "set",
}

# The operands of insertions that can stand in a literal.
LITERAL = {
    "ArrayAppendStmt": ("value",),
    "ObjectInsertStmt": ("key", "value"),
    "SetAddStmt": ("value",),
}

COMPARISONS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}

# Questions of type that are one test of Python's.
QUESTIONS = {
    "is_array": "type({}) is list",
    "is_boolean": "type({}) is bool",
    "is_null": "{} is None",
    "is_object": "type({}) is dict",
    "is_set": "type({}) is Set",
    "is_string": "type({}) is str",
}

# Built-ins that refuse no operand.
TOTAL = frozenset(
    {
        *COMPARISONS,
        *QUESTIONS,
        "equal",
        "internal.member_2",
        "internal.member_3",
        "is_number",
        "neq",
    }
)

SHORT = 16
"""Fewer strings than this are looked through in the turn of a loop."""

State = dict[int, Known]


def merge(states: list[State]) -> State | None:
    """What holds after any of these states; None after none."""
    if not states:
        return None
    first, *rest = states
    result = dict(first)
    for other in rest:
        for local in result.keys() | other.keys():
            a = result.get(local, UNDEFINED)
            b = other.get(local, UNDEFINED)
            if a != b:
                result[local] = Known(
                    defined=a.defined if a.defined == b.defined else None,
                    kind=a.kind if a.kind == b.kind else "",
                    base=a.base or b.base,
                )
    return result


def a_number(text: str) -> Known:
    """What is known of a number that stands in the plan."""
    return Known(defined=True, kind="number", const=text)


def is_small(text: str) -> bool:
    """Whether a constant is an integer literal."""
    return text.lstrip("-").isdigit()


def is_plain(text: str) -> bool:
    """Whether Python's equality with this literal is Rego's."""
    return is_small(text) and text not in ("0", "1")
