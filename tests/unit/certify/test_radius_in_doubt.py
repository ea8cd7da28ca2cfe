"""Radii where a proof is barely possible or not possible: what is not proved is not claimed."""

from __future__ import annotations

from fractions import Fraction

import pytest

from holdfast.certify import largest_radius_sq
from holdfast.records import ABSTAIN

TINY = Fraction(1, 10**60)
"""Far below what 128 bits resolve beside one half."""


@pytest.mark.parametrize("p_lower", [0.625, 0.75, 0.875])
@pytest.mark.parametrize("sigma_px", ["0.5", "30.6", "2400"])
def test_a_majority_that_no_ball_can_tell_from_one_half_abstains(p_lower: float, sigma_px: str) -> None:
    """The charge leaves one half and 10^-60: it is a majority, but the proof of radius 0 does not see it."""
    charge = Fraction(p_lower) - Fraction(1, 2) - TINY
    assert Fraction(p_lower) - charge > Fraction(1, 2)
    assert largest_radius_sq(p_lower, Fraction(sigma_px), charge) == ABSTAIN


@pytest.mark.parametrize("p_lower", [0.625, 0.75, 0.875])
def test_a_majority_that_a_ball_can_tell_has_radius_0_at_least(p_lower: float) -> None:
    charge = Fraction(p_lower) - Fraction(1, 2) - Fraction(1, 10**20)
    assert largest_radius_sq(p_lower, Fraction("30.6"), charge) == 0


def test_exactly_one_half_abstains() -> None:
    assert largest_radius_sq(0.75, Fraction(2400), Fraction(1, 4)) == ABSTAIN
