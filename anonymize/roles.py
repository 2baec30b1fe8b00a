"""The role of a column in a release: every column has exactly one.

A column without a role is refused, so that a column that somebody adds to
a table later does not leave by accident.
"""

from enum import StrEnum


class Role(StrEnum):
    """What a column can do to a person, and so what happens to it."""

    DIRECT = "direct"
    """Names the person by itself: never leaves."""
    QUASI = "quasi"
    """Known to others and telling in combination: generalized."""
    SENSITIVE = "sensitive"
    """What an attacker wants to learn: left as it is, and kept diverse."""
    TEXT = "text"
    """Free text: findings are replaced by numbered labels."""
    OTHER = "other"
    """Neither known to others nor sensitive: left as it is."""

    @property
    def published(self) -> bool:
        """Whether a column of this role is in the extract at all."""
        return self is not Role.DIRECT
