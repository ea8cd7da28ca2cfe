"""Small pieces of integer networks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from holdfast.intnet import Flatten, Input, IntegerNetwork, Op, Requantise


@pytest.fixture(scope="session")
def law() -> Callable[..., Requantise]:
    """A law of the given (multiplier, shift) pairs, by default of one half."""

    def make(*pairs: tuple[int, int], low: int = -127, high: int = 127) -> Requantise:
        multipliers, shifts = zip(*(pairs or [(1, 1)]), strict=True)
        return Requantise(np.array(multipliers, np.int32), np.array(shifts, np.uint8), low, high)

    return make


@pytest.fixture(scope="session")
def start(law: Callable[..., Requantise]) -> Callable[..., Input]:
    """An input of a given shape that passes [-127, 127]."""

    def make(*shape: int, **changes: Any) -> Input:
        settings = {"center": np.zeros(shape[0], np.int32), "requantise": law((2, 1))} | changes
        return Input("in", shape, **settings)  # type: ignore[arg-type]

    return make


@pytest.fixture(scope="session")
def ending() -> Callable[..., IntegerNetwork]:
    """A network of these operations and a last one that makes the value flat."""

    def make(*operations: Op) -> IntegerNetwork:
        return IntegerNetwork([*operations, Flatten("flat", len(operations) - 1)])

    return make
