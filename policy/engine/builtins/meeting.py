"""`regex.globs_match`: whether two globs have a text in common.

The globs here are expressions of single characters, sets and dots, each
perhaps with `+` or `*`. The search goes as that of the library which OPA
uses, which gives up where another might go on.
"""

from dataclasses import dataclass, replace

from policy.engine.builtins.operands import text
from policy.engine.errors import BudgetExceeded, BuiltinFailed
from policy.engine.metering import at_once, spend
from policy.engine.values import Value

_LONGEST = 4096
_CHARS = 32  # characters of a set that are looked for in a step


@dataclass(frozen=True, slots=True)
class _Token:
    """One step of a glob: characters (None: any), and how often."""

    chars: frozenset[str] | None
    set: bool
    flag: str

    def same(self, other: "_Token") -> bool:
        return self.chars == other.chars and self.set == other.set

    def meets(self, other: "_Token") -> bool:
        if self.chars is None or other.chars is None:
            # A set has a character in common with any, if it has one.
            return True
        smaller = min(len(self.chars), len(other.chars))
        if smaller > _CHARS:
            spend(smaller // _CHARS)
        return not self.chars.isdisjoint(other.chars)


class _Tokens:
    """Reads a glob as the library does that intersects two."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.at = 0

    def rune(self) -> tuple[str, bool]:
        char = self.source[self.at]
        if char != "\\":
            self.at += 1
            return char, False
        if self.at + 1 >= len(self.source):
            msg = "input ends with an escape"
            raise BuiltinFailed(msg)
        self.at += 2
        return self.source[self.at - 1], True

    def read(self) -> list[_Token]:
        spend(len(self.source))
        found: list[_Token] = []
        while self.at < len(self.source):
            char, escaped = self.rune()
            chars: frozenset[str] | None = frozenset(char)
            is_set = False
            if not escaped:
                if char in "]+*":
                    msg = "a special character stands alone"
                    raise BuiltinFailed(msg)
                if char == ".":
                    chars = None
                elif char == "[":
                    chars, is_set = self.set(), True
            flag = ""
            following = self.source[self.at : self.at + 1]
            if following == "\\" and self.at + 1 >= len(self.source):
                self.rune()  # raises: nothing is escaped
            if following and following in "+*":
                flag = following
                self.at += 1
            token = _Token(chars, is_set, flag)
            last = found[-1] if found else None
            if last and flag and last.flag and token.same(last):
                both = "+" if "+" in (flag, last.flag) else "*"
                found[-1] = replace(last, flag=both)
            else:
                found.append(token)
        return found

    def set(self) -> frozenset[str]:
        chars: set[str] = set()
        previous = ""
        while self.at < len(self.source):
            char, escaped = self.rune()
            if not escaped and char == "]":
                return frozenset(chars)
            if escaped or char != "-":
                chars.add(char)
                previous = char
                continue
            if not previous or self.at >= len(self.source) - 1:
                msg = "a range lacks an end"
                raise BuiltinFailed(msg)
            high, escaped = self.rune()
            if (not escaped and high in "]-") or high < previous:
                msg = "a range is out of order"
                raise BuiltinFailed(msg)
            at_once(ord(high) - ord(previous))
            chars |= {chr(n) for n in range(ord(previous), ord(high) + 1)}
            previous = ""
        msg = "a set has no end"
        raise BuiltinFailed(msg)


class _Meeting:
    """Whether two globs can mean one text, as far as OPA finds out."""

    def __init__(self) -> None:
        self.turns = 100_000

    def turn(self) -> None:
        spend(1)
        self.turns -= 1
        if self.turns < 0:
            msg = "regex.globs_match: more turns than the limit"
            raise BudgetExceeded(msg)

    def plain(self, a: list[_Token], b: list[_Token]) -> bool:
        for i, (x, y) in enumerate(zip(a, b, strict=False)):
            self.turn()
            if x.flag or y.flag:
                return self.special(a[i:], b[i:])
            if not x.meets(y):
                return False
        return len(a) == len(b)

    def special(self, a: list[_Token], b: list[_Token]) -> bool:
        if not a[0].flag:
            a, b = b, a
        if a[0].flag == "*":
            return self.star(a, b)
        if not a[0].meets(b[0]):
            return False
        if self.star(a, b[1:]):
            return True
        return bool(b[0].flag) and self.plain(a[1:], b)

    def star(self, starred: list[_Token], other: list[_Token]) -> bool:
        token = starred[0]
        following = starred[1] if len(starred) > 1 else None
        for i, one in enumerate(other):
            self.turn()
            if (
                following is not None
                and one.meets(following)
                and self.plain(starred[1:], other[i:])
            ):
                return True
            if not one.meets(token):
                return False
        return following is None


def _trimmed(
    a: list[_Token], b: list[_Token]
) -> tuple[list[_Token], list[_Token]] | None:
    """Without what both begin and end with; None where that differs."""
    left = 0
    while left < min(len(a), len(b)) and not a[left].flag and not b[left].flag:
        if not a[left].meets(b[left]):
            return None
        left += 1
    left = max(left - 1, 0)
    x, y = len(a) - 1, len(b) - 1
    while min(x, y) >= max(left, 0) and not a[x].flag and not b[y].flag:
        if not a[x].meets(b[y]):
            return None
        x, y = x - 1, y - 1
    if x < len(a) - 1:
        x, y = x + 1, y + 1
    return a[left : x + 1], b[left : y + 1]


def globs_match(a: Value, b: Value) -> Value:
    """Whether two globs of this kind have a text in common."""
    first, second = text(a, 1), text(b, 2)
    if len(first) + len(second) > _LONGEST:
        msg = "regex.globs_match: globs beyond the limit"
        raise BudgetExceeded(msg)
    trimmed = _trimmed(_Tokens(first).read(), _Tokens(second).read())
    return trimmed is not None and _Meeting().plain(*trimmed)
