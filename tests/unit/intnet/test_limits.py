"""The limits of the law, each with the last number that is accepted and the first that is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np
import pytest

from holdfast.errors import NetworkError
from holdfast.intnet import (
    AvgPool,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    Op,
    Requantise,
    Residual,
    quantise_ratio,
)

Law = Callable[..., Requantise]
Start = Callable[..., Input]
Ending = Callable[..., IntegerNetwork]
LARGEST = (1 << 31) - 1
ALL = 127 * 127
"""What one weight of 127 adds to an accumulator."""


def numbers(*values: int) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.array(values, np.int32)


def matrix(bias: int, requantise: Requantise | None) -> list[Op]:
    """Two outputs; the accumulator of the second can reach ``bias + 127 * 127``."""
    return [Flatten("flat", 0), Linear("fc", 1, np.full((2, 1), 127, np.int8), numbers(0, bias), requantise)]


@pytest.mark.parametrize("sign", [1, -1])
def test_an_accumulator_may_reach_2_to_the_31_less_1(sign: int, start: Start) -> None:
    network = IntegerNetwork([start(1, 1, 1), *matrix(sign * (LARGEST - ALL), None)])
    assert network.ranges[-1].accumulator.tolist() == [ALL, LARGEST]
    extreme = np.full((1, 1, 1, 1), sign * 127, np.int16)
    assert network.logits(extreme)[0, 1] == sign * LARGEST
    with pytest.raises(NetworkError, match=f"fc: the accumulator of channel 1 could reach {LARGEST + 1}, beyond"):
        IntegerNetwork([start(1, 1, 1), *matrix(sign * (LARGEST - ALL + 1), None)])


def test_a_noisy_pixel_is_any_int16(start: Start, ending: Ending) -> None:
    network = ending(start(3, 1, 1, center=numbers(100, 0, -100)))
    assert network.ranges[0].accumulator.tolist() == [32768 + 100, 32768, 32767 + 100]


def test_so_may_one_with_a_residual(start: Start, ending: Ending) -> None:
    def network(bias: int) -> IntegerNetwork:
        op = Conv(
            "conv", 0, np.full((1, 1, 1, 1), 127, np.int8), numbers(bias), None, residual=Residual(0, numbers(1000))
        )
        return ending(start(1, 2, 2), op)

    assert network(LARGEST - ALL - 127_000).ranges[1].accumulator.tolist() == [LARGEST]
    with pytest.raises(NetworkError, match=f"could reach {LARGEST + 1}"):
        network(LARGEST - ALL - 127_000 + 1)


def test_so_may_an_average(ending: Ending, start: Start, law: Law) -> None:
    """127 times an area: the last one up to 2^31 - 1, and the first beyond of which a kernel has the sides."""
    last = LARGEST // 127
    ranges = ending(start(2, *sides(last)), AvgPool("mean", 0, sides(last), (1, 1), law((1, 24)))).ranges
    assert ranges[1].accumulator.tolist() == [127 * last] * 2
    beyond = next(area for area in count(last + 1) if max(sides(area)) <= 1 << 16)
    with pytest.raises(NetworkError, match=f"could reach {127 * beyond}, beyond"):
        ending(start(2, *sides(beyond)), AvgPool("mean", 0, sides(beyond), (1, 1), law((1, 24))))


def sides(area: int) -> tuple[int, int]:
    """Height and width, as near to each other as can be."""
    height = next(f for f in range(math.isqrt(area), 0, -1) if area % f == 0)
    return height, area // height


@pytest.mark.parametrize(
    ("multiplier", "shift", "bound", "beyond"),
    [(3_435_771, 52, 1_966_196_071, -3), (4_091_005, 52, 1_651_281_150, 6)],
)
def test_a_product_may_reach_2_to_the_53(
    multiplier: int, shift: int, bound: int, beyond: int, start: Start, law: Law
) -> None:
    """Of all multipliers, shifts and accumulators these come nearest to it from below and from above."""
    reached = bound * multiplier + (1 << (shift - 1))
    assert reached == (1 << 53) + beyond
    operations = [start(1, 1, 1), *matrix(bound - ALL, law((1, 1), (multiplier, shift)))]
    if beyond <= 0:
        assert IntegerNetwork(operations).ranges[-1].accumulator.tolist() == [ALL, bound]
    else:
        with pytest.raises(NetworkError, match=f"fc: the product of channel 1 could reach {reached}, beyond 2"):
            IntegerNetwork(operations)


@pytest.mark.parametrize("pairs", [[(1, 0), (1, 9)], [(1, 9), (1, 0)], [(1, 9), (1, 53)], [(1, 53), (1, 9)]])
def test_one_shift_out_of_range_among_others_is_refused(pairs: list[tuple[int, int]], law: Law) -> None:
    with pytest.raises(NetworkError, match="shifts must lie in"):
        law(*pairs)


@pytest.mark.parametrize("pairs", [[(-1, 9), (1, 9)], [(1 << 22, 9), (1, 9)]])
def test_one_multiplier_out_of_range_among_others_is_refused(pairs: list[tuple[int, int]], law: Law) -> None:
    with pytest.raises(NetworkError, match="multipliers must lie in"):
        law(*pairs)


def test_all_numbers_at_their_limits_are_accepted(law: Law) -> None:
    found = law((0, 1), ((1 << 22) - 1, 52), low=-127, high=127)
    assert found(np.array([[[5], [-3]]])).tolist() == [[[0], [0]]]


def test_a_ratio_that_is_rounded_up_to_a_power_of_two_with_a_shift_to_spare() -> None:
    """As far as shift 1, and there the largest multiplier takes its place."""
    assert quantise_ratio(math.nextafter(2.0**20, 0)) == (1 << 21, 1)
    assert quantise_ratio(math.nextafter(2.0**19, 0)) == (1 << 21, 2)
