"""Binomial bounds on plain integers: proposed in floats, proved in ball arithmetic, rounded outward.

Clopper-Pearson by duality: ``p`` is a valid lower confidence limit for ``k`` successes in ``n`` at level ``alpha``
exactly when ``P(Bin(n, p) >= k) <= alpha``. Any such ``p`` is sound; the largest is the tightest.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import comb
from typing import Any

from holdfast.errors import ImpossibleRequest, ParameterError, ProofFailed

__all__ = ["check_alpha", "clopper_pearson_lower_down", "critical_count", "require_possible", "upper_tail"]

_BITS = 128
_GUARD = 2e-13
"""Relative widening of ``1 - p``: a little more than the error of scipy's inverse incomplete beta function."""
_TAIL_TOLERANCE = 2.0**-50
_CHECK_EVERY = 32


def check_alpha(alpha: Fraction) -> Fraction:
    """Refuse a failure probability that is not exact or lies outside (0, 1/2)."""
    if not isinstance(alpha, Fraction):
        raise ParameterError(f"alpha must be an exact Fraction, not {alpha!r}")
    if not 0 < alpha < Fraction(1, 2):
        raise ParameterError(f"alpha must lie between 0 and 0.5, not {float(alpha):g}")
    return alpha


def upper_tail(k: int, n: int, p: Any) -> Any:
    """A ball that contains ``P(Bin(n, p) >= k)``, for ``1 <= k <= n`` and a ball or number ``p`` in (0, 1).

    The first term by the log-gamma function, the others by their ratio
    ``u_{i+1} / u_i = (n - i) / (i + 1) * p / (1 - p)``, which decreases in ``i``: once it is below one, what is left
    after a term ``u`` is at most ``u r / (1 - r)``, and that bound is added to the ball.

    Reference: docs/theory/statistics.md, "Floats propose, ball arithmetic proves".
    """
    from flint import arb, ctx

    with ctx.workprec(_BITS):
        p = arb(p)
        odds = p / (1 - p)
        log_choose = arb(n + 1).lgamma() - arb(k + 1).lgamma() - arb(n - k + 1).lgamma()
        term = (log_choose + k * p.log() + (n - k) * (1 - p).log()).exp()
        total = term
        for i in range(k, n):
            ratio = odds * (n - i) / (i + 1)
            if i % _CHECK_EVERY == 0 and ratio < 1:
                rest = (term * ratio / (1 - ratio)).upper()
                if rest < total * _TAIL_TOLERANCE:
                    return total + arb(rest / 2, rest / 2)
            term *= ratio
            total += term
        return total


@lru_cache(maxsize=1 << 16)
def clopper_pearson_lower_down(k: int, n: int, alpha: Fraction) -> float:
    """Lower confidence limit of a binomial probability, proved and rounded down.

    Args:
        k: successes, ``0 <= k <= n``.
        n: trials, at least 1.
        alpha: failure probability in (0, 1/2), exact.

    Returns:
        A double ``p`` with ``P(Bin(n, p) >= k) <= alpha`` proved; 0.0 for ``k = 0``. ``1 - p`` exceeds the exact limit's
        by less than one part in 10^12, or near ``p = 1``, where doubles are not that fine, by a few units of 2^-53.

    Raises:
        ParameterError: k, n or alpha out of range.

    Guarantee:
        If K ~ Bin(n, q), then ``q >= clopper_pearson_lower_down(K, n, alpha)`` with probability at least 1 - alpha.

    Example:
        >>> clopper_pearson_lower_down(100_000, 100_000, Fraction(1, 1000))  # alpha^(1/n), rounded down
        0.999930924...
    """
    from scipy.special import betaincinv

    check_alpha(alpha)
    if n < 1 or not 0 <= k <= n:
        raise ParameterError(f"no such count: {k} of {n}")
    if k == 0:
        return 0.0
    proposed = float(betaincinv(k, n - k + 1, float(alpha)))
    guard = _GUARD
    while guard < 1:
        p = 1.0 - (1.0 - proposed) * (1.0 + guard)
        if p <= 0:
            return 0.0
        if _tail_at_most(k, n, p, alpha):
            return p
        guard *= 4
    raise ProofFailed(f"no lower limit could be proved for {k} of {n} at level {alpha}")


def _tail_at_most(k: int, n: int, p: float, alpha: Fraction) -> bool:
    from flint import fmpq

    return bool(upper_tail(k, n, p) <= fmpq(alpha.numerator, alpha.denominator))


@lru_cache(maxsize=1 << 12)
def critical_count(trials: int, alpha: Fraction) -> int:
    """Smallest ``a`` such that ``a`` of ``trials`` rejects a fair coin, two-sided, at level ``alpha``.

    The exact test of PREDICT: return the top class iff its count reaches this, where ``trials`` counts the two top
    classes only. The condition is ``2 P(Bin(trials, 1/2) >= a) <= alpha``.

    Args:
        trials: number of samples in the two top classes, at least 0.
        alpha: level in (0, 1/2), exact.

    Returns:
        An integer in (trials/2, trials + 1]; ``trials + 1`` when even unanimity does not reject.

    Guarantee:
        Exact; proved in ball arithmetic. PREDICT returns another class than the most probable one with probability at
        most alpha (Cohen et al. 2019, Prop. 2; Hung and Fithian 2019; docs/theory/statistics.md, "PREDICT").

    Example:
        >>> critical_count(1000, Fraction(1, 1000)), critical_count(10, Fraction(1, 1000)), critical_count(11, Fraction(1, 1000))
        (553, 11, 11)
    """
    check_alpha(alpha)
    low, high = trials // 2, trials + 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _rejects(middle, trials, alpha) else (middle, high)
    return high


def _rejects(count: int, trials: int, alpha: Fraction) -> bool:
    """Whether ``2 P(Bin(trials, 1/2) >= count) <= alpha``: by a ball, and where that leaves a doubt (equality) by integers."""
    from flint import fmpq

    tail, level = 2 * upper_tail(count, trials, fmpq(1, 2)), fmpq(alpha.numerator, alpha.denominator)
    if tail <= level or tail > level:
        return bool(tail <= level)
    outcomes = sum(comb(trials, i) for i in range(count, trials + 1))
    return 2 * outcomes * alpha.denominator <= alpha.numerator << trials


def require_possible(n: int, alpha: Fraction) -> None:
    """Refuse ``n`` for which even a unanimous vote proves no majority: ``alpha^(1/n) <= 1/2``.

    Args:
        n: estimation samples.
        alpha: failure probability in (0, 1/2).

    Raises:
        ImpossibleRequest: names the smallest n that can certify.

    Example:
        >>> require_possible(9, Fraction(1, 1000))
        Traceback (most recent call last):
        ...
        holdfast.errors.ImpossibleRequest: n=9 is too small for alpha=0.001: every input would abstain; n must be at least 10
    """
    needed = 1
    while alpha * 2**needed <= 1:
        needed += 1
    if n < needed:
        raise ImpossibleRequest(
            f"n={n} is too small for alpha={float(alpha):g}: every input would abstain; n must be at least {needed}"
        )
