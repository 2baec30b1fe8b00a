"""What is left out of the lines of a function once they are written.

A constant or a name that is given to a local which nothing reads; and a jump
to the end of the block that it stands in, with the blocks around it.
"""

import re
from collections import Counter

_NAME = re.compile(r"\b[vj][0-9]+\b")
_GIVEN = re.compile(r"\s+(v[0-9]+) = (?:v[0-9]+|C[0-9]+|K[0-9]+|-?[0-9]+)\Z")
_JUMP = (
    "while True:",
    "    {0} = False",
    "    while True:",
    "        {0} = True",
    "        break",
    "    if {0}:",
    "        break",
)


def _empty_jumps(lines: list[str]) -> list[str]:
    kept: list[str] = []
    at = 0
    while at < len(lines):
        if lines[at].endswith("while True:") and _is_jump(lines, at):
            at += len(_JUMP)
            if not (kept and _opens(kept[-1])):
                continue
            kept.append(" " * _depth(lines[at - len(_JUMP)]) + "pass")
            continue
        kept.append(lines[at])
        at += 1
    return kept


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _opens(line: str) -> bool:
    return line.endswith(":")


def _is_jump(lines: list[str], at: int) -> bool:
    part = lines[at : at + len(_JUMP)]
    if len(part) < len(_JUMP):
        return False
    margin = _depth(part[0])
    name = part[1].strip().partition(" ")[0]
    shape = [" " * margin + line.format(name) for line in _JUMP]
    return part == shape


def tidied(lines: list[str]) -> list[str]:
    """The lines without what has no effect.

    Args:
        lines: of the body of a function.

    Returns:
        Those that matter.
    """
    kept = _empty_jumps(lines)
    seen: Counter[str] = Counter()
    for line in kept:
        seen.update(_NAME.findall(line))
    result: list[str] = []
    for line in kept:
        given = _GIVEN.match(line)
        alone = given is not None and seen[given[1]] == 1
        if alone and not (result and _opens(result[-1])):
            continue
        result.append(line)
    return result
