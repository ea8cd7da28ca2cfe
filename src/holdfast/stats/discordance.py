"""The law of ``b - c``, where of n inputs b are got by the first of two classifiers alone and c by the second alone.

With ``s = p10 + p01`` and ``d = p10 - p01`` it is the sum of n independent numbers in {-1, 0, 1}. For ``s <= 1/2`` the
generating polynomial of each has real roots, so it is a difference of two independent binomial numbers. For a limit of ``d``
this says two things: the probabilities are cheap to bound, and they grow with ``s`` below the mean.
"""

from __future__ import annotations

import math
from fractions import Fraction
from itertools import accumulate
from typing import Any

__all__ = ["rejected", "smallest_rejected"]

_BITS = 96
_GRID = 1 << 30
_FINE = 1 << 12


def smallest_rejected(k: int, n: int, s: Fraction, level: Fraction) -> Fraction | None:
    """A difference ``d`` from which on every one is refuted by an outcome of at most ``k``, or None if none is.

    Args:
        k: ``b - c``.
        n: inputs, at least 2.
        s: in (0, 1/2]; the probability that the two differ is at most this.
        level: failure probability, exact.

    Guarantee:
        Every ``d' >= d`` gives ``P(b - c <= k) <= level`` for every ``s' <= s``: proved at ``d`` and ``s`` (:func:`rejected`).
        It holds for the others because ``P(b - c <= k)`` falls with ``d``, and grows with ``s`` where ``(n - 1) d >= k + 2``;
        smaller differences are never returned (docs/theory/statistics.md).

    Example:
        >>> round(float(smallest_rejected(20, 1000, Fraction(1, 10), Fraction(1, 20))), 3)
        0.037
    """
    top = math.floor(s * _GRID)
    low = max(math.ceil(Fraction(k + 2, n - 1) * _GRID) - 1, -top)
    if low >= top or not rejected(k, n, s, Fraction(top, _GRID), level):
        return None
    high, width = top, top - low
    while high - low > 1 + width // _FINE:
        middle = (low + high) // 2
        if rejected(k, n, s, Fraction(middle, _GRID), level):
            high = middle
        else:
            low = middle
    return Fraction(high, _GRID)


def rejected(k: int, n: int, s: Fraction, d: Fraction, level: Fraction) -> bool:
    """Whether ``P(b - c <= k) <= level`` is proved for ``|d| <= s <= 1/2``, in ball arithmetic.

    ``b - c`` has the law of ``B - C`` with independent ``B ~ Bin(n, (1 + d - r) / 2)`` and ``C ~ Bin(n, (1 - d - r) / 2)``,
    ``r^2 = 1 - 2 s + d^2``. The sum over C stops where what is left is negligible, and that is added.

    Example:
        >>> rejected(0, 100, Fraction(1, 5), Fraction(1, 5), Fraction(1, 10**9))  # 0.8^100 = 2e-10
        True
    """
    from flint import arb, ctx, fmpq

    with ctx.workprec(_BITS):
        root = 1 - 2 * s + d * d
        r = arb(fmpq(root.numerator, root.denominator)).sqrt()
        ahead = arb(fmpq(d.numerator, d.denominator))
        for_first, for_second = (1 + ahead - r) / 2, (1 - ahead - r) / 2
        mean = n * float((1 - d - Fraction(float(root) ** 0.5)) / 2)
        longest = min(n, math.ceil(mean + 12 * math.sqrt(max(mean, 0)) + 40))
        second = _masses(n, for_second, longest)
        below = list(accumulate(_masses(n, for_first, min(n, max(k + longest, 0)))))
        total = 1 - sum(second, arb(0))
        for c, mass in enumerate(second):
            if k + c >= 0:
                total += mass * below[min(k + c, n)]
        return bool(total <= arb(fmpq(level.numerator, level.denominator)))


def _masses(n: int, p: Any, last: int) -> list[Any]:
    """Balls that contain ``P(Bin(n, p) = i)`` for i up to ``last``."""
    odds, mass = p / (1 - p), (1 - p) ** n
    found = [mass]
    for i in range(last):
        mass = mass * odds * (n - i) / (i + 1)
        found.append(mass)
    return found
