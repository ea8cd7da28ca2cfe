"""The law by examples, and what it refuses. (Against exact fractions: tests/property/test_integer_networks.py.)"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.errors import NetworkError
from holdfast.intnet import Requantise, quantise_ratio


def test_halves_go_up_also_below_zero(law: Callable[..., Requantise]) -> None:
    found = law((1, 1))(np.array([[-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5]]))
    assert found.tolist() == [[-2, -2, -1, -1, 0, 0, 1, 1, 2, 2, 3]]


def test_values_beyond_the_clamps_take_their_ends(law: Callable[..., Requantise]) -> None:
    assert law((2, 1), low=-3, high=5)(np.array([[-1000, -4, -3, 5, 6, 1000]])).tolist() == [[-3, -3, -3, 5, 5, 5]]


def test_a_pair_serves_its_channel_or_one_pair_serves_all(law: Callable[..., Requantise]) -> None:
    values = np.arange(12).reshape(1, 2, 2, 3)
    assert law((1, 1), (2, 1))(values).tolist() == [[[[0, 1, 1], [2, 2, 3]], [[6, 7, 8], [9, 10, 11]]]]
    assert law((2, 1))(values).tolist() == values.tolist()


REFUSED: dict[str, tuple[Any, Any, int, int, str]] = {
    "wide multipliers": (np.array([1]), np.array([1], np.uint8), 0, 1, "int32 and shifts uint8, not int64 and uint8"),
    "wide shifts": (np.array([1], np.int32), np.array([1]), 0, 1, "not int32 and int64"),
    "two axes": (np.ones((1, 1), np.int32), np.ones((1, 1), np.uint8), 0, 1, r"one shape \(channels,\)"),
    "two lengths": (np.ones(2, np.int32), np.ones(1, np.uint8), 0, 1, r"not \(2,\) and \(1,\)"),
    "nothing": (np.ones(0, np.int32), np.ones(0, np.uint8), 0, 1, "need one shape"),
    "a negative multiplier": (np.array([3, -1], np.int32), np.ones(2, np.uint8), 0, 1, r"not in \[-1, 3\]"),
    "a large multiplier": (np.array([1 << 22], np.int32), np.ones(1, np.uint8), 0, 1, r"\[0, 2\^22\)"),
    "shift 0": (np.ones(1, np.int32), np.zeros(1, np.uint8), 0, 1, r"shifts must lie in \[1, 52\], not in \[0, 0\]"),
    "shift 53": (np.ones(1, np.int32), np.array([53], np.uint8), 0, 1, r"not in \[53, 53\]"),
    "low -128": (np.ones(1, np.int32), np.ones(1, np.uint8), -128, 1, "not -128 and 1"),
    "high 128": (np.ones(1, np.int32), np.ones(1, np.uint8), 0, 128, "not 0 and 128"),
    "low above high": (np.ones(1, np.int32), np.ones(1, np.uint8), 2, 1, "low <= high"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_numbers_out_of_range_are_refused(case: str) -> None:
    multiplier, shift, low, high, message = REFUSED[case]
    with pytest.raises(NetworkError, match=message):
        Requantise(multiplier, shift, low, high)


def test_ratios_at_the_ends() -> None:
    assert quantise_ratio(2.0**-53) == (1, 52)
    assert quantise_ratio(math.nextafter(2.0**-53, 0)) == (0, 52)
    assert quantise_ratio(math.nextafter(2.0**21, 0)) == ((1 << 22) - 1, 1), "not 2^22, which would be nearer"
    assert quantise_ratio(math.nextafter(1, 0)) == (1 << 21, 21), "rounded up to a power of two"


@pytest.mark.parametrize("ratio", [0.0, -1.0, 2.0**21, math.inf, math.nan])
def test_ratios_that_no_multiplier_reaches_are_refused(ratio: float) -> None:
    with pytest.raises(NetworkError, match="factor must lie in"):
        quantise_ratio(ratio)
