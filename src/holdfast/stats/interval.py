"""Confidence intervals with exact ends, proved and rounded outward: for a share, and for the mean of bounded values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from holdfast.errors import ParameterError
from holdfast.stats.binomial import check_alpha, clopper_pearson_lower_down

__all__ = ["Interval", "clopper_pearson_upper_up", "mean_interval", "share_interval"]

_BITS = 128


@dataclass(frozen=True, slots=True)
class Interval:
    """Everything from ``lower`` to ``upper``, both included, as exact numbers."""

    lower: Fraction
    upper: Fraction

    def text(self, digits: int = 4) -> str:
        """For showing: the lower end rounded down, the upper end rounded up, so that nothing is left out.

        Example:
            >>> Interval(Fraction(-1, 3), Fraction(1, 3)).text()
            '-0.3334 to 0.3334'
        """
        scale = 10**digits
        low, high = math.floor(self.lower * scale), math.ceil(self.upper * scale)
        return f"{_decimal(low, digits)} to {_decimal(high, digits)}"


def _decimal(scaled: int, digits: int) -> str:
    whole, part = divmod(abs(scaled), 10**digits)
    return f"{'-' if scaled < 0 else ''}{whole}.{part:0{digits}d}"


def clopper_pearson_upper_up(k: int, n: int, alpha: Fraction) -> Fraction:
    """Upper confidence limit of a binomial probability: 1 minus the lower limit of the failures, exactly.

    Args:
        k: successes, ``0 <= k <= n``.
        n: trials, at least 1.
        alpha: failure probability in (0, 1/2), exact.

    Guarantee:
        If K ~ Bin(n, q), then ``q <= clopper_pearson_upper_up(K, n, alpha)`` with probability at least 1 - alpha: n - K
        is Bin(n, 1 - q), and its lower limit is proved.

    Example:
        >>> float(clopper_pearson_upper_up(0, 100, Fraction(1, 20)))  # 1 - alpha^(1/n)
        0.029513...
    """
    return 1 - Fraction(clopper_pearson_lower_down(n - k, n, alpha))


def share_interval(k: int, n: int, alpha: Fraction) -> Interval:
    """Confidence interval of a binomial probability; each end fails with probability at most ``alpha / 2``.

    Args:
        k: successes, ``0 <= k <= n``.
        n: trials, at least 1.
        alpha: failure probability of the interval in (0, 1/2), exact.

    Guarantee:
        If K ~ Bin(n, q), the interval contains q with probability at least 1 - alpha (Clopper-Pearson, union of two ends).

    Example:
        >>> share_interval(50, 100, Fraction(1, 20)).text()
        '0.3983 to 0.6017'
    """
    end = check_alpha(alpha) / 2
    return Interval(Fraction(clopper_pearson_lower_down(k, n, end)), clopper_pearson_upper_up(k, n, end))


def mean_interval(values: Sequence[Fraction], low: Fraction, high: Fraction, alpha: Fraction) -> Interval:
    """Confidence interval of the expectation of independent values from one law on ``[low, high]``.

    With ``t = ln(2 / e)`` and ``e = alpha / 4`` for each use, on values scaled to [0, 1] with mean ``m`` and unbiased
    variance ``V``, two deviations are valid on either side:

    - Hoeffding 1963, Theorem 1: ``sqrt(ln(1 / e) / (2 n))``;
    - empirical Bernstein, Maurer and Pontil 2009, Theorem 4: ``sqrt(2 V t / n) + 7 t / (3 (n - 1))``.

    Four events, each of probability at most ``alpha / 4``, so the smaller deviation may be used. It is conservative: the
    bounds know nothing of the law but its range and its variance.

    Args:
        values: at least 2, exact.
        low: smallest value possible, known beforehand.
        high: largest value possible, known beforehand.
        alpha: failure probability of the interval in (0, 1/2), exact.

    Returns:
        The interval, rounded outward, within ``[low, high]``.

    Raises:
        ParameterError: fewer than 2 values, or one outside the range.

    Guarantee:
        It contains the expectation with probability at least 1 - alpha.

    References: W. Hoeffding, JASA 1963; A. Maurer, M. Pontil, COLT 2009.

    Example:
        >>> mean_interval([Fraction(0), Fraction(1)] * 500, Fraction(0), Fraction(1), Fraction(1, 20)).text()
        '0.4531 to 0.5469'
    """
    part, n, width = check_alpha(alpha) / 4, len(values), high - low
    if n < 2:
        raise ParameterError(f"{n} values have no variance: at least 2 are needed")
    if min(values) < low or max(values) > high:
        raise ParameterError(f"a value lies outside the range from {float(low):g} to {float(high):g}")
    if width == 0:
        return Interval(low, high)
    mean = sum(values, Fraction(0)) / n
    variance = sum(((v - mean) ** 2 for v in values), Fraction(0)) / (n - 1) / width**2
    deviation = width * min(_hoeffding_up(n, part), _bernstein_up(n, variance, part))
    return Interval(max(low, mean - deviation), min(high, mean + deviation))


def _hoeffding_up(n: int, level: Fraction) -> Fraction:
    from flint import ctx

    with ctx.workprec(_BITS):
        return _up(((1 / _ball(level)).log() / (2 * n)).sqrt())


def _bernstein_up(n: int, variance: Fraction, level: Fraction) -> Fraction:
    from flint import ctx

    with ctx.workprec(_BITS):
        log = (2 / _ball(level)).log()
        return _up((2 * _ball(variance) * log / n).sqrt() + 7 * log / (3 * (n - 1)))


def _ball(value: Fraction) -> Any:
    from flint import arb, fmpq

    return arb(fmpq(value.numerator, value.denominator))


def _up(ball: Any) -> Fraction:
    """The upper end of a ball, which is a dyadic number, as a fraction."""
    mantissa, exponent = ball.upper().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)
