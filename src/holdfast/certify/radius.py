"""From a lower limit of a probability to a squared radius: an integer, proved and rounded down."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache

from holdfast.records import ABSTAIN
from holdfast.stats import clopper_pearson_lower_down

__all__ = ["certified_count", "largest_radius_sq"]

_BITS = 128
_OVERSHOOT = 1e-9


@lru_cache(maxsize=1 << 16)
def largest_radius_sq(p_lower: float, sigma_px: Fraction, charge: Fraction) -> int:
    """The largest integer K with ``Phi(sqrt(K) / sigma) < p_lower - charge`` proved; -1 if there is none.

    Evaluated as ``erfc(sqrt(K/2) / sigma) / 2 > 1 - p_lower + charge``. The inequality is strict, as the rounded
    Gaussian needs (open ball); for the discrete Gaussian (closed ball) nothing is lost, since equality has measure zero.

    Args:
        p_lower: a double in [0, 1], taken as the exact number it is.
        sigma_px: noise scale in grey levels, exact.
        charge: what the noise table costs (:func:`holdfast.noise.noise_charge`), at least 0.

    Returns:
        K >= 0 in squared grey levels, or -1 (abstain) when ``p_lower - charge > 1/2`` is not proved.

    Guarantee:
        If the class has probability at least ``p_lower`` under the deployed sampler, every integer perturbation
        ``delta`` with ``|delta|^2 <= K`` leaves it the strict majority. Rounded down.

    References: Theorem A1 (docs/theory/discrete-gaussian.md), Theorem I.1 (docs/theory/rounded-gaussian.md).

    Example:
        >>> largest_radius_sq(0.999930924833, Fraction("30.6"), Fraction(0)), largest_radius_sq(0.5, Fraction("30.6"), Fraction(0))
        (13602, -1)
    """
    from scipy.special import ndtri

    if Fraction(p_lower) - charge <= Fraction(1, 2):
        return ABSTAIN
    if p_lower >= 1:
        raise ValueError("a lower limit of 1 cannot come from finitely many samples")
    tail = float(1 - Fraction(p_lower) + charge)
    k = int(float(sigma_px) ** 2 * float(ndtri(tail)) ** 2 * (1 + _OVERSHOOT)) + 1
    while k >= 0 and not _proved(k, p_lower, sigma_px, charge):
        k -= 1
    return k


def _proved(k: int, p_lower: float, sigma_px: Fraction, charge: Fraction) -> bool:
    from flint import arb, ctx, fmpq

    with ctx.workprec(_BITS):
        scale = fmpq(sigma_px.denominator, sigma_px.numerator)
        tail = ((arb(k) / 2).sqrt() * arb(scale)).erfc() / 2
        return bool(tail > 1 - arb(p_lower) + arb(fmpq(charge.numerator, charge.denominator)))


def certified_count(count: int, n: int, alpha: Fraction, sigma_px: Fraction, charge: Fraction) -> tuple[float, int]:
    """``(p_lower, radius_sq_px)`` of ``count`` samples out of ``n``: one entry of the radius table."""
    p_lower = clopper_pearson_lower_down(count, n, alpha)
    return p_lower, largest_radius_sq(p_lower, sigma_px, charge)
