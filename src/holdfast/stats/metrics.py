"""Certified accuracy and its relatives, on plain integers and fractions.

``results`` are triples ``(true label, predicted label or -1, radius_sq_px)`` of one run, abstentions included.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction

from holdfast.rounding import certified_at, radius_down

__all__ = [
    "Result",
    "accuracy_among_certified",
    "average_certified_radius",
    "certified_accuracy",
    "certified_percentage",
    "smoothed_accuracy",
]

Result = tuple[int, int, int]


def certified_accuracy(results: Sequence[Result], radius: Fraction) -> Fraction:
    """Share of ALL inputs that are correct, not abstained and certified at ``radius``: the field's definition.

    Args:
        results: one triple per input.
        radius: in [0, 1] image units, exact.

    Reference: Cohen et al. 2019, section 4.

    Example:
        >>> certified_accuracy([(3, 3, 4000), (1, 1, 10), (1, 2, 9000), (5, -1, -1)], Fraction("0.2"))
        Fraction(1, 4)
    """
    return _share((label == predicted and certified_at(k, radius) for label, predicted, k in results), len(results))


def certified_percentage(results: Sequence[Result], radius: Fraction) -> Fraction:
    """Share of all inputs certified at ``radius``, whether or not the label is right (IntRS paper)."""
    return _share((certified_at(k, radius) for _, _, k in results), len(results))


def accuracy_among_certified(results: Sequence[Result], radius: Fraction) -> Fraction:
    """Correct and certified at ``radius``, divided by the inputs that did not abstain: eq. (10) of the IntRS paper.

    Not comparable with other papers: abstaining makes the denominator smaller. 0 when every input abstained.
    """
    kept = [r for r in results if r[2] >= 0]
    return _share((label == predicted and certified_at(k, radius) for label, predicted, k in kept), len(kept))


def smoothed_accuracy(results: Sequence[Result]) -> Fraction:
    """Certified accuracy at radius 0: correct non-abstentions. Not the clean accuracy of the base classifier."""
    return certified_accuracy(results, Fraction(0))


def average_certified_radius(results: Sequence[Result]) -> float:
    """Mean of the certified radius in [0, 1] image units, 0 where wrong or abstained (ACR); rounded down."""
    radii = (Fraction(radius_down(k)) for label, predicted, k in results if label == predicted)
    mean = sum(radii, Fraction(0)) / max(len(results), 1)
    value = float(mean)
    return value if Fraction(value) <= mean else math.nextafter(value, 0.0)


def _share(hits: Iterable[bool], total: int) -> Fraction:
    return Fraction(sum(hits), total) if total else Fraction(0)
