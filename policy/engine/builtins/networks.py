"""CIDR blocks, as Go's `net` reads and writes them. Nothing is looked up.

An address is its 16 bytes; those of IPv4 are mapped into IPv6, which is how
OPA compares blocks of both families.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv6Address,
    ip_address,
    summarize_address_range,
)

from policy.engine.builtins.operands import (
    MAX_ITEMS,
    sized,
    text,
)
from policy.engine.errors import BudgetExceeded, BuiltinFailed, OutsideProfile
from policy.engine.metering import READ, spend
from policy.engine.values import Set, Value, elements, key, make_set, pairs

_MAPPED = 0xFFFF << 32
_MAPPED_BITS = 96
_ADDRESS = 4  # steps of reading or writing an address


@dataclass(frozen=True, slots=True)
class _Block:
    """A network: its address, and how many of its 128 bits are fixed.

    A block of IPv6 that is mapped IPv4 with a shorter prefix than the
    mapping is compared by its last 32 bits, as Go does.
    """

    address: int
    prefix: int
    four: bool

    @property
    def first(self) -> int:
        return self.address >> self.host << self.host

    @property
    def last(self) -> int:
        return self.first | ((1 << self.host) - 1)

    @property
    def host(self) -> int:
        return 128 - self.prefix

    def contains(self, address: int) -> bool:
        if _is_four(self.first) != _is_four(address):
            return False
        if _is_four(self.first):
            fixed = max(self.prefix - _MAPPED_BITS, 0)
            mask = ((1 << 32) - 1) >> (32 - fixed) << (32 - fixed)
            return (self.first ^ address) & mask == 0
        return self.first <= address <= self.last

    def shown(self) -> str:
        if _is_four(self.address):
            return f"{_text(self.address)}/{max(self.prefix - 96, 0)}"
        return f"{_text(self.address)}/{self.prefix}"


def _is_four(address: int) -> bool:
    return address >> 32 == 0xFFFF


def _text(address: int) -> str:
    if _is_four(address):
        return str(IPv4Address(address & 0xFFFFFFFF))
    return str(IPv6Address(address))


def _paid(address: int) -> str:
    """The text of one of many addresses."""
    spend(_ADDRESS)
    return _text(address)


def _address(source: str) -> tuple[int, bool] | None:
    """An address, and whether it was written as IPv4."""
    if "%" in source or not source.isascii():
        return None
    try:
        found = ip_address(source)
    except ValueError:
        return None
    if isinstance(found, IPv4Address):
        return int(found) | _MAPPED, True
    return int(found), False


def _block(source: str) -> _Block:
    head, slash, mask = source.partition("/")
    found = _address(head)
    if found is None or not slash:
        msg = "invalid CIDR address"
        raise BuiltinFailed(msg)
    address, four = found
    digits = mask.isascii() and mask.isdigit()
    bits = int(mask[-9:]) if digits and not mask[:-9].strip("0") else 999
    if bits > (32 if four else 128):
        msg = "invalid CIDR address"
        raise BuiltinFailed(msg)
    return _Block(address, bits + (_MAPPED_BITS if four else 0), four)


def _network(source: str) -> _Block:
    whole = _block(source)
    return _Block(whole.first, whole.prefix, whole.four)


def _contains(a: Value, b: Value) -> Value:
    large, source = _network(text(a, 1)), text(b, 1)
    single = _address(source)
    if single is not None:
        return large.contains(single[0])
    small = _network(source)
    return large.contains(small.first) and large.contains(small.last)


def _intersects(a: Value, b: Value) -> Value:
    x, y = _network(text(a, 1)), _network(text(b, 1))
    return x.contains(y.first) or y.contains(x.first)


def _is_valid(a: Value) -> Value:
    if type(a) is not str:
        return False
    spend(len(a) // READ)
    try:
        _block(a)
    except BuiltinFailed:
        return False
    return True


def _expand(a: Value) -> Value:
    network = _network(text(a, 1))
    if network.host > MAX_ITEMS.bit_length():
        msg = "net.cidr_expand: more addresses than the limit"
        raise BudgetExceeded(msg)
    sized(1 << network.host)
    shown = map(_paid, range(network.first, network.last + 1))
    return Set((name, name) for name in shown)


def _named(value: Value) -> Value:
    if type(value) is str:
        return value
    if type(value) is list and value:
        return value[0]
    msg = "element must be string or non-empty array"
    raise BuiltinFailed(msg)


def _indexed(value: Value) -> Iterator[tuple[Value, Value]]:
    """Each block of an operand, with what stands for it in the result."""
    if type(value) is str:
        yield value, value
    elif type(value) is list:
        for i, element in enumerate(value):
            yield _named(element), i
    elif type(value) is Set:
        for element in elements(value):
            yield _named(element), element
    elif type(value) is dict:
        for name, element in pairs(value):
            yield _named(element), name


def _contains_matches(a: Value, b: Value) -> Value:
    found = Set()
    turns = 0
    for large, first in _indexed(a):
        for small, second in _indexed(b):
            turns += 1
            spend(2 * _ADDRESS)
            sized(turns)
            if _contains(large, small):
                pair = [first, second]
                found[key(pair)] = pair
    return found


def _given(value: Value) -> _Block:
    """A block to merge; a bare IPv4 address takes the mask of its class."""
    if type(value) is not str:
        msg = "element must be string"
        raise BuiltinFailed(msg)
    spend(2 * _ADDRESS + len(value) // READ)
    single = _address(value)
    if single is None:
        return _network(value)
    address, _ = single
    if not _is_four(address):
        msg = "IPv6 invalid: needs prefix length"
        raise BuiltinFailed(msg)
    head = address >> 24 & 0xFF
    if head >= 224:
        msg = "net.cidr_merge: an address of no class with a mask"
        raise OutsideProfile(msg)
    prefix = 8 if head < 128 else 16 if head < 192 else 24
    return _Block(address, prefix + _MAPPED_BITS, four=True)


def _previous(address: int) -> int:
    return address if address in (0, _MAPPED) else address - 1


def _merge(a: Value) -> Value:
    if type(a) is Set:
        given = [_given(value) for value in elements(a)]
    elif type(a) is list:
        given = [_given(value) for value in a]
    else:
        msg = "operand must be an array"
        raise BuiltinFailed(msg)
    ranges: list[tuple[int, int, _Block | None]] = sorted(
        ((block.first, block.last, block) for block in given),
        key=lambda r: (r[1], r[0]),
    )
    for i in range(len(ranges) - 1, 0, -1):
        first, last, _ = ranges[i]
        before, end, _ = ranges[i - 1]
        if _previous(first) <= end:
            ranges[i - 1] = (min(first, before), last, None)
            del ranges[i]
    shown: list[str] = []
    for first, last, block in ranges:
        shown += [block.shown()] if block else _spanned(first, last)
        sized(len(shown))
    return make_set(shown)


def _spanned(first: int, last: int) -> list[str]:
    if _is_four(first) and _is_four(last):
        four = summarize_address_range(
            IPv4Address(first & 0xFFFFFFFF), IPv4Address(last & 0xFFFFFFFF)
        )
        return [str(network) for network in four]
    if _is_four(first) or _is_four(last):
        msg = "net.cidr_merge: blocks of both families run together"
        raise OutsideProfile(msg)
    six = summarize_address_range(IPv6Address(first), IPv6Address(last))
    return [str(network) for network in six]


NETWORKS: Mapping[str, Callable[..., Value]] = {
    "net.cidr_contains": _contains,
    "net.cidr_contains_matches": _contains_matches,
    "net.cidr_expand": _expand,
    "net.cidr_intersects": _intersects,
    "net.cidr_is_valid": _is_valid,
    "net.cidr_merge": _merge,
}
