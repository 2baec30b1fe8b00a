"""What a reader noticed in a text that it could read all the same.

A fault that leaves no safe reading is an error and ends the reading. For
everything else there is one rule: read what stands there as the widest that
it can mean, and say so.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was noticed.

    Attributes:
        where: the file or other source.
        line: from 1.
        column: from 1.
        code: what kind of thing, stable, such as ``no-data``.
        message: what it is and how it was read, in one sentence.
    """

    where: str
    line: int
    column: int
    code: str
    message: str
