"""Two classifiers on the same inputs: how much larger a share, or a mean, is with one than with the other.

Pairing removes what both have in common. Where two runs agree on nearly all inputs, the difference of their shares is
known far better than either share.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from holdfast.errors import ParameterError
from holdfast.stats.binomial import check_alpha, clopper_pearson_lower_down
from holdfast.stats.discordance import smallest_rejected
from holdfast.stats.interval import Interval, clopper_pearson_upper_up, mean_interval

__all__ = ["PairedCounts", "difference_interval", "difference_upper_up", "mean_difference_interval"]

_UPPER, _LOWER = 20, 100
"""The shares of alpha, as divisors, that limits cost of how often the two differ."""


@dataclass(frozen=True, slots=True)
class PairedCounts:
    """How often each of two classifiers alone gets an input.

    Attributes:
        only_first: inputs that the first gets and the second does not.
        only_second: inputs that the second gets and the first does not.
        total: inputs in all, at least 1.

    Example:
        >>> PairedCounts.of([True, True, False], [False, True, False])
        PairedCounts(only_first=1, only_second=0, total=3)
    """

    only_first: int
    only_second: int
    total: int

    def __post_init__(self) -> None:
        if min(self.only_first, self.only_second) < 0 or not 0 < self.total >= self.only_first + self.only_second:
            raise ParameterError(f"no such counts: {self.only_first} and {self.only_second} of {self.total}")

    @classmethod
    def of(cls, first: Sequence[bool], second: Sequence[bool]) -> PairedCounts:
        """Count, input by input; both sequences are about the same inputs in the same order."""
        pairs = list(zip(first, second, strict=True))
        return cls(sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs), len(pairs))

    @property
    def difference(self) -> Fraction:
        """Share of the first minus share of the second, on these inputs."""
        return Fraction(self.only_first - self.only_second, self.total)


def difference_interval(counts: PairedCounts, alpha: Fraction) -> Interval:
    """Confidence interval of ``P(first) - P(second)``, from inputs that both were asked about.

    The difference is ``p10 - p01``, with ``p10`` the probability that only the first gets an input and ``p01`` that only
    the second does: what both get, or neither, cancels. Each end is a limit of :func:`difference_upper_up`.

    Args:
        counts: of independent inputs from one source.
        alpha: failure probability of the interval in (0, 1/2), exact.

    Returns:
        The interval, rounded outward, within [-1, 1].

    Guarantee:
        It contains the difference with probability at least 1 - alpha: the union bound over its two ends, each of which
        fails with probability at most ``alpha / 2``.

    Example:
        >>> difference_interval(PairedCounts(30, 10, 500), Fraction(1, 20)).text()
        '0.0077 to 0.0712'
    """
    end = check_alpha(alpha) / 2
    flipped = PairedCounts(counts.only_second, counts.only_first, counts.total)
    return Interval(-difference_upper_up(flipped, end), difference_upper_up(counts, end))


def difference_upper_up(counts: PairedCounts, alpha: Fraction) -> Fraction:
    """Upper confidence limit of ``P(first) - P(second)``, from inputs that both were asked about.

    A small part of alpha buys limits of the probability ``s`` that the two differ on an input (Clopper-Pearson). With the
    rest, every difference is refuted at which so few more inputs for the first alone would be too rare, for the largest such
    ``s``: an exact test, with the nuisance parameter confined beforehand. Where ``s`` may exceed 1/2, two Clopper-Pearson
    limits take its place.

    Args:
        counts: of independent inputs from one source.
        alpha: failure probability in (0, 1/2), exact.

    Guarantee:
        The difference is at most this with probability at least 1 - alpha; rounded up.

    References: docs/theory/statistics.md; Berger and Boos, P values maximized over a confidence set for the nuisance
    parameter (1994), for the confinement.

    Example:
        >>> float(difference_upper_up(PairedCounts(0, 0, 1000), Fraction(1, 20)))
        0.004317...
    """
    total, upper_part, lower_part = counts.total, check_alpha(alpha) / _UPPER, alpha / _LOWER
    if total == 1:
        return _by_parts(counts, alpha)
    level, differ = alpha - upper_part - lower_part, counts.only_first + counts.only_second
    if 2 * Fraction(clopper_pearson_lower_down(differ, total, lower_part)) > 1:
        return _by_parts(counts, level)
    often = clopper_pearson_upper_up(differ, total, upper_part)
    limit = smallest_rejected(counts.only_first - counts.only_second, total, min(often, Fraction(1, 2)), level)
    limit = often if limit is None else limit
    return limit if 2 * often <= 1 else max(limit, _by_parts(counts, level))


def _by_parts(counts: PairedCounts, alpha: Fraction) -> Fraction:
    """``U10 - L01``, Clopper-Pearson limits at ``alpha / 2`` each: for classifiers that differ on most inputs."""
    lower = Fraction(clopper_pearson_lower_down(counts.only_second, counts.total, alpha / 2))
    return clopper_pearson_upper_up(counts.only_first, counts.total, alpha / 2) - lower


def mean_difference_interval(
    first: Sequence[Fraction],
    second: Sequence[Fraction],
    largest_first: Fraction,
    largest_second: Fraction,
    alpha: Fraction,
) -> Interval:
    """Confidence interval of the difference of two expectations of non-negative values, from the same inputs.

    Args:
        first: for each input, exact, in ``[0, largest_first]``.
        second: the same for the second, in ``[0, largest_second]``.
        largest_first: a limit known beforehand, such as the radius that a unanimous vote gives.
        largest_second: a limit known beforehand.
        alpha: failure probability of the interval in (0, 1/2), exact.

    Returns:
        Of ``E(first) - E(second)``: :func:`holdfast.stats.interval.mean_interval` of the differences.

    Raises:
        ParameterError: fewer than 2 inputs, or a difference outside the range that the limits allow.

    Guarantee:
        It contains the difference with probability at least 1 - alpha.

    Example:
        >>> ones, halves = [Fraction(1)] * 1000, [Fraction(1, 2)] * 1000
        >>> mean_difference_interval(ones, halves, Fraction(1), Fraction(1), Fraction(1, 20)).text()
        '0.4762 to 0.5238'
    """
    differences = [a - b for a, b in zip(first, second, strict=True)]
    return mean_interval(differences, -largest_second, largest_first, alpha)
