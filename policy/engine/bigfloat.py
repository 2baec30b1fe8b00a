"""Binary floats of any precision, as Go's `big.Float` rounds and writes them.

A pair (mantissa, exponent) of integers stands for mantissa * 2**exponent.
OPA computes with mantissas of 64 bits; powers of ten are read through powers
of five that are themselves rounded, which shows in the last digit of numbers
with large exponents, and is done the same way here.
"""

from functools import lru_cache

Big = tuple[int, int]
PRECISION = 64


def round_to(mantissa: int, exponent: int, precision: int) -> Big:
    """Round to nearest, ties to even."""
    excess = abs(mantissa).bit_length() - precision
    if excess <= 0:
        return mantissa, exponent
    size = abs(mantissa)
    kept, lost = size >> excess, size & ((1 << excess) - 1)
    half = 1 << (excess - 1)
    if lost > half or (lost == half and kept & 1):
        kept += 1
    return (kept if mantissa > 0 else -kept), exponent + excess


def times(x: Big, y: Big, precision: int) -> Big:
    """The product, rounded."""
    return round_to(x[0] * y[0], x[1] + y[1], precision)


def quotient(x: Big, y: Big, precision: int) -> Big:
    """The quotient, rounded."""
    if x[0] == 0:
        return 0, 0
    shift = (
        precision + 2 + max(0, abs(y[0]).bit_length() - abs(x[0]).bit_length())
    )
    quotient, rest = divmod(abs(x[0]) << shift, abs(y[0]))
    # A sticky bit below the rounding position stands for the remainder.
    quotient = (quotient << 1) | bool(rest)
    sign = -1 if (x[0] < 0) != (y[0] < 0) else 1
    return round_to(sign * quotient, x[1] - y[1] - shift - 1, precision)


@lru_cache(maxsize=1024)
def power_of_five(n: int, precision: int) -> Big:
    """5**n as OPA's arithmetic rounds it."""
    if n <= 27:
        return 5**n, 0
    result: Big = (5**27, 0)
    n -= 27
    factor: Big = (5, 0)
    while n:
        if n & 1:
            result = times(result, factor, precision)
        factor = times(factor, factor, precision + 64)
        n >>= 1
    return result


def _decimal(mantissa: int, exponent: int) -> tuple[str, int]:
    """Digits and decimal exponent (0.digits * 10**exp) of a positive."""
    if exponent >= 0:
        text, shift = str(mantissa << exponent), 0
    else:
        text, shift = str(mantissa * 5**-exponent), exponent
    return text.rstrip("0"), len(text) + shift


def shortest(mantissa: int, exponent: int, precision: int) -> tuple[str, int]:
    """The shortest digits that read back as this positive float."""
    digits, point = _decimal(mantissa, exponent)
    # lsb(scaled) is half a unit in the last place of the precision.
    scale = precision + 1 - mantissa.bit_length()
    scaled, scaled_exponent = mantissa << scale, exponent - scale
    lower, _ = _decimal(scaled - 1, scaled_exponent)
    upper, _ = _decimal(scaled + 1, scaled_exponent)
    inclusive = not scaled & 2
    for i, digit in enumerate(digits):
        low = lower[i] if i < len(lower) else "0"
        up = upper[i] if i < len(upper) else "0"
        down_ok = low != digit or (inclusive and i + 1 == len(lower))
        up_ok = digit != up and (
            inclusive or ord(digit) + 1 < ord(up) or i + 1 < len(upper)
        )
        if down_ok or up_ok:
            return _cut(digits, point, i + 1, down_ok=down_ok, up_ok=up_ok)
    return digits, point


def _cut(
    digits: str, point: int, n: int, *, down_ok: bool, up_ok: bool
) -> tuple[str, int]:
    if n >= len(digits):
        return digits, point
    rest = digits[n:]
    up = not down_ok
    if down_ok and up_ok:
        tie = rest == "5"
        up = int(digits[n - 1]) % 2 == 1 if tie else rest[0] >= "5"
    if not up:
        return digits[:n].rstrip("0"), point
    kept = str(int(digits[:n]) + 1)
    return kept.rstrip("0"), point + (len(kept) > n)


def truncate(big: Big) -> int:
    """The integer part, toward zero."""
    mantissa, exponent = big
    if exponent >= 0:
        return mantissa << exponent
    size = abs(mantissa) >> -exponent
    return -size if mantissa < 0 else size


def is_fractional(big: Big, whole: int) -> bool:
    """Whether a float is more or less than its integer part."""
    mantissa, exponent = big
    return exponent < 0 and (whole << -exponent) != mantissa


def read(mantissa: int, ten: int) -> Big:
    """The float of 64 bits for mantissa * 10**ten."""
    if mantissa == 0:
        return 0, 0
    if ten == 0:
        return round_to(mantissa, 0, PRECISION)
    power = power_of_five(abs(ten), PRECISION + 64)
    combine = quotient if ten < 0 else times
    m, e = combine((mantissa, 0), power, PRECISION)
    return m, e + ten


def plus(x: Big, y: Big) -> Big:
    """The sum, rounded to 64 bits."""
    (m, e), (n, f) = x, y
    low = min(e, f)
    return round_to((m << (e - low)) + (n << (f - low)), low, PRECISION)


def written(big: Big, precision: int) -> str:
    """The shortest decimal that reads back, as Go writes it.

    An integer is written out; other numbers get an exponent where it is
    below -4 or above 5.
    """
    mantissa, exponent = big
    if mantissa == 0:
        return "0"
    sign = "-" if mantissa < 0 else ""
    zeros = (mantissa & -mantissa).bit_length() - 1
    digits, point = shortest(abs(mantissa), exponent, precision)
    power = point - 1
    if exponent + zeros >= 0:
        return sign + digits.ljust(point, "0")
    if power < -4 or power >= 6:
        tail = f".{digits[1:]}" if len(digits) > 1 else ""
        mark = "-" if power < 0 else "+"
        return f"{sign}{digits[0]}{tail}e{mark}{abs(power):02}"
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    return f"{sign}{digits[:point]}.{digits[point:]}"
