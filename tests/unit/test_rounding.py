"""Decimals are read exactly; radii are shown rounded down, never up."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import ParameterError
from holdfast.rounding import (
    certified_at,
    cut_text,
    decimal_text,
    exact_decimal,
    radius_down,
    radius_text,
    share_text,
    squared_px_down,
    truncated_text,
)

RADII_SQ = st.one_of(st.integers(0, 200), st.integers(0, 10**9), st.integers(0, 10**30))
RADII = st.fractions(0, 40, max_denominator=10**6)


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("0.1", Fraction(1, 10)), (" .5 ", Fraction(1, 2)), ("1e-3", Fraction(1, 1000)), ("+2.50E1", Fraction(25)),
        ("-3", Fraction(-3)), ("7.", Fraction(7)), (3, Fraction(3)), (Fraction(1, 3), Fraction(1, 3)),
    ],
)  # fmt: skip
def test_decimals_are_exact(given: str | int | Fraction, value: Fraction) -> None:
    assert exact_decimal(given, "sigma") == value


@pytest.mark.parametrize("given", [0.25, math.nan, math.inf, np.float64(0.1)])
def test_floats_are_refused_with_the_reason(given: float) -> None:
    with pytest.raises(ParameterError, match="sigma must be a decimal string"):
        exact_decimal(given, "sigma")


@pytest.mark.parametrize(
    "given",
    ["", "a", "nan", "inf", "1/3", "0x1", "1_000", "1e", "1e100", "--1", "0.1.2", ".", "1" * 101, "1" * 5000, True,
     None, b"1", [1], np.float32(0.5), np.int64(1), 1j],
)  # fmt: skip
def test_what_is_no_decimal_is_refused_by_name(given: Any) -> None:
    with pytest.raises(ParameterError, match="alpha must be a decimal number") as error:
        exact_decimal(given, "alpha")
    assert len(str(error.value)) < 200


@given(st.fractions())
def test_the_text_of_a_number_gives_it_back(value: Fraction) -> None:
    assert Fraction(decimal_text(value)) == value


@given(st.decimals(allow_nan=False, allow_infinity=False, places=12))
def test_decimals_stay_decimals_with_no_digit_too_many(value: Any) -> None:
    text = decimal_text(Fraction(value))
    assert "/" not in text
    assert "." not in text or not text.endswith(("0", "."))
    assert exact_decimal(text, "value") == Fraction(value)


def test_one_number_has_one_text() -> None:
    assert decimal_text(Fraction("-0.1250")) == "-0.125"
    assert decimal_text(Fraction(2, 7)) == "2/7"
    assert decimal_text(Fraction(0)) == "0"
    assert decimal_text(Fraction(1, 2**40)) == "0.0000000000009094947017729282379150390625"
    assert decimal_text(Fraction(1, 2**41)) == "1/2199023255552"


@given(RADII)
def test_squared_pixels_are_the_floor(radius: Fraction) -> None:
    k = squared_px_down(radius)
    assert k <= (255 * radius) ** 2 < k + 1


@given(RADII_SQ, RADII)
def test_certified_at_is_about_integer_perturbations(radius_sq: int, radius: Fraction) -> None:
    """Covered iff every integer squared length up to (255 r)^2 is at most the certified one."""
    assert certified_at(radius_sq, radius) == (radius_sq >= math.floor((255 * radius) ** 2))
    assert not certified_at(-1, radius)


def test_certified_exactly_at_the_border() -> None:
    assert certified_at(25, Fraction(5, 255))
    assert not certified_at(24, Fraction(5, 255))
    assert certified_at(24, Fraction(5, 255) - Fraction(1, 10**30))
    assert not certified_at(-1, Fraction(0))


@given(st.fractions(0, 1000), st.integers(0, 30))
def test_shown_numbers_are_truncated(value: Fraction, digits: int) -> None:
    shown = Fraction(truncated_text(value, digits))
    assert shown <= value < shown + Fraction(1, 10**digits)
    assert len(truncated_text(value, digits).partition(".")[2]) == digits


@given(RADII_SQ, st.integers(0, 12))
def test_shown_radii_are_the_exact_truncation(radius_sq: int, digits: int) -> None:
    shown, unit = Fraction(radius_text(radius_sq, digits)) * 255, Fraction(255, 10**digits)
    assert shown**2 <= radius_sq < (shown + unit) ** 2


@given(RADII_SQ)
def test_float_radii_are_never_too_large_and_as_large_as_can_be(radius_sq: int) -> None:
    value = radius_down(radius_sq)
    assert (Fraction(value) * 255) ** 2 <= radius_sq
    above = Fraction(value) * (1 + Fraction(1, 2**50))
    assert radius_sq == 0 or (above * 255) ** 2 > radius_sq


def test_some_float_radii_need_the_step_down() -> None:
    """So the loop that steps down is not dead code."""
    needed = [k for k in range(1, 3000) if (Fraction(math.sqrt(k) / 255) * 255) ** 2 > k]
    assert needed
    assert all((Fraction(radius_down(k)) * 255) ** 2 <= k for k in needed)


def test_abstentions_have_no_radius() -> None:
    assert radius_down(-1) == 0.0
    assert radius_down(0) == 0.0
    assert radius_text(-1) == "abstain"
    assert radius_text(0) == "0.0000"
    assert radius_text(13602) == "0.4573"


@given(st.floats(0, 1e6), st.integers(0, 12))
def test_floats_are_cut_never_rounded_up(value: float, digits: int) -> None:
    shown = Fraction(cut_text(value, digits))
    assert shown <= Fraction(value) < shown + Fraction(1, 10**digits)


@given(st.integers(1, 10**6), st.data(), st.integers(0, 8))
def test_shares_are_cut_at_the_exact_fraction(total: int, data: st.DataObject, digits: int) -> None:
    """7 of 10 is shown as 0.7000, although the double nearest to 0.7 is smaller."""
    part = data.draw(st.integers(0, total))
    assert share_text(part / total, total, digits) == truncated_text(Fraction(part, total), digits)


def test_the_share_of_nothing() -> None:
    assert share_text(0.0, 0) == "0.0000"
