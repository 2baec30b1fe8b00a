"""Noise from OpenDP's samplers, and the proof of what it costs.

Nothing here computes noise: floating-point noise of one's own gives its
input away in its last bits (Mironov 2012). OpenDP samples the discrete
Gaussian and the exponential mechanism exactly, on whole numbers, and says
what a measurement costs; each is asked (`map`) before it is used, and its
word is what is charged.

Loaded when noise is first wanted: the extra ``noise``.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from anonymize.budget import UNIT
from anonymize.errors import MissingExtra

try:
    import opendp.prelude as dp
except ImportError as missing:
    raise MissingExtra(library="opendp") from missing

ALPHA = 0.05
"""Error bars hold the truth but in one case of twenty."""
_DOUBLINGS = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Noisy:
    """Whole numbers with noise.

    Attributes:
        values: the numbers.
        error: the truth of each lies within this of it, but in 5 of 100.
        rho: what it cost, in units, as OpenDP says, rounded up.
    """

    values: tuple[int, ...]
    error: int
    rho: int


def noisy(values: Sequence[int], *, sensitivity: int, rho: int) -> Noisy:
    """Add discrete Gaussian noise.

    Args:
        values: whole numbers within 64 bits.
        sensitivity: most that one person changes all of them together, as
            the root of the sum of squares.
        rho: most that it may cost, in units, above 0.
    """
    dp.enable_features("contrib")
    scale = gaussian_scale(sensitivity, rho)
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    for _ in range(_DOUBLINGS):
        measurement = dp.m.make_gaussian(
            domain, dp.l2_distance(T="f64"), scale=scale
        )
        cost = _cost(measurement, float(sensitivity))
        if cost <= rho:
            break
        # A scale that rounding left a hair too small.
        scale = scale * (1 + 2**-40)
    else:
        msg = "no scale of noise has this cost"
        raise ArithmeticError(msg)
    error = dp.discrete_gaussian_scale_to_accuracy(scale=scale, alpha=ALPHA)
    return Noisy(
        values=tuple(measurement([*values])),
        error=math.ceil(error),
        rho=cost,
    )


def gaussian_scale(sensitivity: int, rho: int) -> float:
    """Return the scale of Gaussian noise that costs a rho.

    ``rho = sensitivity**2 / (2 * scale**2)``.

    Args:
        sensitivity: as in `noisy`.
        rho: in units, above 0.
    """
    return math.nextafter(sensitivity / math.sqrt(2 * rho / UNIT), math.inf)


def least(scores: Sequence[int], *, sensitivity: int, rho: int) -> Noisy:
    """Choose the place of about the least score, by noisy minimum.

    Args:
        scores: whole numbers from 0 on, one a candidate.
        sensitivity: most that one person changes any of them.
        rho: most that it may cost, in units, above 0.

    Returns:
        One value, the place; `error` is by how much its score may be above
        the least, but in 5 of 100.
    """
    dp.enable_features("contrib")
    domain = dp.vector_domain(dp.atom_domain(T="i64"))
    scale = sensitivity / math.sqrt(2 * rho / UNIT)
    for _ in range(_DOUBLINGS):
        measurement = dp.m.make_noisy_max(
            domain,
            dp.linf_distance(T="i64"),
            dp.zero_concentrated_divergence(),
            scale=scale,
            negate=True,
        )
        cost = _cost(measurement, sensitivity)
        if cost <= rho:
            break
        scale *= 2**0.125
    else:
        msg = "no scale of noise has this cost"
        raise ArithmeticError(msg)
    # Gumbel's tail over all candidates (McSherry and Talwar 2007).
    error = scale * math.log(len(scores) / ALPHA)
    return Noisy(
        values=(int(measurement([*scores])),),
        error=math.ceil(error),
        rho=cost,
    )


def _cost(measurement: dp.Measurement, sensitivity: float) -> int:
    """Ask OpenDP what a measurement costs, in units, rounded up."""
    rho: float = measurement.map(sensitivity)  # type: ignore[no-untyped-call] # OpenDP has no types here
    return math.ceil(Fraction(rho) * UNIT)
