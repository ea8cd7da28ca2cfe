"""Checking certificates by other formulas than those that made them.

The binomial tail by FLINT's regularised incomplete beta function instead of a series, the normal tail by the incomplete
gamma function instead of erfc. Both directions are checked: what is claimed holds, and it is what the counts give (a
bound that was lowered is refused as well).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import numpy as np

from holdfast.certify.runs import THEOREMS
from holdfast.noise import noise_charge, noise_law
from holdfast.records import ABSTAIN, Certificate, Run
from holdfast.stats import check_alpha

__all__ = ["certificate_problems", "fresh_refutes", "refutation_limit", "run_problems"]

_BITS = 192
_SLACK = Fraction(1, 10**11)
"""The stored limit may be this much (relative, of 1 - p) below the exact one: the prover's guard is 2e-13."""
_UNITS = Fraction(16, 1 << 53)
"""And this much in any case: near 1 a double cannot be closer than about 2^-53, more than 1e-11 of a 1 - p of 1e-6."""


def run_problems(run: Run) -> Iterator[str]:
    """What does not hold about a run's own statement: the noise table, the charge, the split, the looks."""
    if unusable := _unusable(run):
        yield unusable
        return
    law = noise_law(run.noise, run.sigma_px)
    if law.digest != run.noise_digest:
        yield "the noise table of this law and scale has another digest"
    if Fraction(run.epsilon) != noise_charge(law.total_variation):
        yield f"the charge for the noise table is {run.epsilon}, not {noise_charge(law.total_variation)}"
    if sum(map(Fraction, run.alpha_split), Fraction(0)) != Fraction(run.alpha):
        yield "the parts of alpha do not add up to alpha"
    if run.looks != (run.n,):
        yield f"a fixed-n run has one look, at {run.n}, not {run.looks}"
    if run.theorem != THEOREMS[run.noise]:
        yield f"the theorem named, {run.theorem!r}, is not the one for {run.noise} noise"


def _unusable(run: Run) -> str | None:
    """Why a run's own numbers (which may come from a hostile file) cannot be computed with."""
    try:
        noise_law(run.noise, run.sigma_px)
        check_alpha(Fraction(run.alpha))
        parts = [Fraction(run.epsilon), *map(Fraction, run.alpha_split)]
    except (ValueError, ZeroDivisionError, OverflowError) as error:
        return f"the noise, sigma, alpha or charge of the run is not usable: {error}"
    return None if min(parts) >= 0 else "the charge or a part of alpha is negative"


def certificate_problems(run: Run, certificate: Certificate) -> Iterator[str]:
    """Every claim of a certificate that does not hold, one sentence each; nothing when all hold."""
    if unusable := _unusable(run):
        yield unusable
        return
    for counts in (certificate.selection_counts, certificate.counts):
        if not counts or len(counts) != run.num_classes or min(counts) < 0:
            yield f"the counts are not one number of samples for each of the {run.num_classes} classes"
            return
    if not (math.isfinite(certificate.p_lower) and math.isfinite(certificate.p_upper)):
        yield f"p_lower={certificate.p_lower!r} and p_upper={certificate.p_upper!r} are no probabilities"
        return
    if sum(certificate.selection_counts) != run.n0 or sum(certificate.counts) != run.n:
        yield (
            f"the counts add up to {sum(certificate.selection_counts)} + {sum(certificate.counts)}, "
            f"the run has {run.n0} + {run.n} samples"
        )
        return
    selected = int(np.argmax(certificate.selection_counts))
    if certificate.label != selected:
        yield f"label {certificate.label} is not the class the selection samples chose, {selected}"
        return
    yield from _bound_problems(run, certificate)
    yield from _radius_problems(run, certificate)


def _bound_problems(run: Run, certificate: Certificate) -> Iterator[str]:
    count, p, alpha = certificate.counts[certificate.label], Fraction(certificate.p_lower), _ball(Fraction(run.alpha))
    if count == 0:
        if p != 0:
            yield f"p_lower is {certificate.p_lower!r} although no sample had the label"
    elif not 0 <= p < 1 or not _upper_tail(count, run.n, p) <= alpha:
        yield f"p_lower={certificate.p_lower!r} is not a lower limit for {count} of {run.n} at alpha={run.alpha}"
    elif not _upper_tail(count, run.n, min(p + (1 - p) * _SLACK + _UNITS, Fraction(1))) > alpha:
        yield f"p_lower={certificate.p_lower!r} is not the limit that {count} of {run.n} give: it is lower"
    upper = certificate.p_upper
    if not (Fraction(upper) >= 1 - p and Fraction(math.nextafter(upper, -math.inf)) < 1 - p):
        yield f"p_upper={upper!r} is not 1 - p_lower rounded up"


def _radius_problems(run: Run, certificate: Certificate) -> Iterator[str]:
    k, p, charge = certificate.radius_sq_px, Fraction(certificate.p_lower), Fraction(run.epsilon)
    threshold = _ball(1 - p + charge)
    if k < ABSTAIN or (k > ABSTAIN and not _normal_tail(k, run.sigma_px) > threshold):
        yield f"radius_sq_px={k} is not proved by p_lower={certificate.p_lower!r} at sigma={run.sigma}"
    elif _normal_tail(k + 1, run.sigma_px) > threshold:
        yield f"radius_sq_px={k} is not the radius that p_lower={certificate.p_lower!r} gives: it is smaller"


def fresh_refutes(certificate: Certificate, fresh_count: int, samples: int, level: Fraction) -> bool:
    """Whether ``fresh_count`` of ``samples`` drawn with a verifier's own key contradict ``p_lower``, at ``level``.

    The exact one-sided binomial test of "the label has probability at least p_lower": refuted iff
    ``P(Bin(samples, p_lower) <= fresh_count) <= level``, proved.
    """
    p = Fraction(certificate.p_lower)
    if fresh_count >= samples or p == 0:
        return False
    return _tail_at_most(samples - fresh_count, samples, 1 - p, level)


def refutation_limit(certificates: int, alpha: Fraction, level: Fraction) -> int:
    """Smallest number of refuted certificates that refutes the method itself, at ``level``.

    Up to a share alpha of valid certificates is false; more than the ``level`` quantile of Binomial(certificates, alpha)
    is not chance (docs/theory/statistics.md, "How a verifier checks").

    Example:
        >>> refutation_limit(200, Fraction(1, 1000), Fraction(1, 10**6))
        6
    """
    for count in range(1, certificates + 1):
        if _tail_at_most(count, certificates, alpha, level):
            return count
    return certificates + 1


def _tail_at_most(k: int, n: int, p: Fraction, level: Fraction) -> bool:
    """Whether ``P(Bin(n, p) >= k) <= level``: by a ball, and where that leaves a doubt (equality) by integers."""
    tail, ball = _upper_tail(k, n, p), _ball(level)
    if tail <= ball or tail > ball:
        return bool(tail <= ball)
    hits, misses = p.numerator, p.denominator - p.numerator
    ways = sum(math.comb(n, i) * hits**i * misses ** (n - i) for i in range(k, n + 1))
    return Fraction(ways, p.denominator**n) <= level


def _ball(value: Fraction) -> Any:
    from flint import arb, ctx, fmpq

    with ctx.workprec(_BITS):
        return arb(fmpq(value.numerator, value.denominator))


def _upper_tail(k: int, n: int, p: Fraction) -> Any:
    """``P(Bin(n, p) >= k) = I_p(k, n - k + 1)``, a ball."""
    from flint import arb, ctx

    with ctx.workprec(_BITS):
        return _ball(p).beta_lower(arb(k), arb(n - k + 1), True)


def _normal_tail(k: int, sigma_px: Fraction) -> Any:
    """``P(Z > sqrt(k) / sigma) = Gamma(1/2, k / (2 sigma^2)) / (2 Gamma(1/2))``, a ball."""
    from flint import arb, ctx

    if k == 0:
        return _ball(Fraction(1, 2))
    with ctx.workprec(_BITS):
        return arb.gamma_upper(_ball(Fraction(k) / (2 * sigma_px**2)), _ball(Fraction(1, 2)), 1) / 2
