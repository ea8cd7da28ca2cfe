"""Ranges where zeros come in at a border: exactly to zero, on either side; and the bound behind an addition."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from holdfast.intnet import Add, AvgPool, Conv, Input, IntegerNetwork, Op, Pad, Requantise, Rescale

Law = Callable[..., Requantise]
Start = Callable[..., Input]
Ending = Callable[..., IntegerNetwork]
POSITIVE, NEGATIVE = (5, 9), (-9, -5)


def one_weight(weight: int, padding: tuple[int, int, int, int]) -> Conv:
    """A kernel of two places with one weight."""
    return Conv("op", 0, np.full((1, 1, 1, 2), weight, np.int8), np.zeros(1, np.int32), None, padding=padding)


def mean(padding: tuple[int, int, int, int]) -> AvgPool:
    return AvgPool("op", 0, (1, 2), (1, 1), None, padding)


AT_THE_BORDER: dict[str, tuple[Op, tuple[int, int], tuple[int, int]]] = {
    "positive values": (one_weight(3, (0, 0, 1, 0)), POSITIVE, (0, 54)),
    "a negative weight": (one_weight(-3, (0, 0, 0, 1)), POSITIVE, (-54, 0)),
    "negative values": (one_weight(3, (1, 0, 0, 0)), NEGATIVE, (-54, 0)),
    "both negative": (one_weight(-3, (0, 1, 0, 0)), NEGATIVE, (0, 54)),
    "no border": (one_weight(-3, (0, 0, 0, 0)), POSITIVE, (-54, -30)),
    "average, positive": (mean((0, 0, 1, 0)), POSITIVE, (0, 18)),
    "average, negative": (mean((0, 0, 0, 1)), NEGATIVE, (-18, 0)),
    "average, no border": (mean((0, 0, 0, 0)), NEGATIVE, (-18, -10)),
    "pad, positive": (Pad("op", 0, (0, 1, 0), (0, 0, 0)), POSITIVE, (0, 9)),
    "pad, negative": (Pad("op", 0, (0, 0, 0), (0, 0, 1)), NEGATIVE, (-9, 0)),
    "pad, no border": (Pad("op", 0, (0, 0, 0), (0, 0, 0)), NEGATIVE, (-9, -5)),
}


@pytest.mark.parametrize("case", AT_THE_BORDER)
def test_a_border_widens_a_range_to_zero_and_no_further(case: str, start: Start, ending: Ending, law: Law) -> None:
    op, (low, high), expected = AT_THE_BORDER[case]
    found = ending(start(1, 3, 4, requantise=law((2, 1), low=low, high=high)), op).ranges[1]
    assert (found.low.tolist(), found.high.tolist()) == ([expected[0]], [expected[1]])


def test_channels_of_zeros_beside_others(start: Start, ending: Ending, law: Law) -> None:
    first = start(1, 2, 2, requantise=law((2, 1), low=-9, high=-5))
    found = ending(first, Pad("op", 0, (2, 0, 0), (1, 0, 0))).ranges[1]
    assert (found.low.tolist(), found.high.tolist()) == ([0, 0, -9, 0], [0, 0, -5, 0])


def test_the_bound_behind_an_addition_is_the_sum_of_both(start: Start, ending: Ending, law: Law) -> None:
    first = start(2, 1, 1, requantise=law((2, 1), low=-100, high=50))
    fourth = Rescale("fourth", 0, law((1, 2)))
    found = ending(first, fourth, Add("add", (0, 1), (3, 7), 4, -127, 127)).ranges[2]
    assert found.accumulator.tolist() == [3 * 100 + 7 * 25] * 2
    assert (found.low.tolist(), found.high.tolist()) == ([(-475 + 8) >> 4] * 2, [(3 * 50 + 7 * 13 + 8) >> 4] * 2)
