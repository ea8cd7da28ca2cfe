"""Rounding with a gradient: forward the law to the last bit, backward the derivative of the formula without rounding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from holdfast.compression.straight_through import multipliers, requantise, round_clamped, rounded
from holdfast.errors import NetworkError
from holdfast.intnet import Requantise, quantise_ratio

TIES = torch.tensor([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 126.5, -126.5], dtype=torch.float64)
UP = [-2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 127.0, -126.0]


def leaf(*values: float) -> Tensor:
    return torch.tensor(values, dtype=torch.float64, requires_grad=True)


def slope(function: Callable[[Tensor], Tensor], at: Tensor, weights: Tensor) -> Tensor:
    """Central differences of ``sum weights * function`` in each element: exact where it is linear and nothing is rounded."""
    found = torch.zeros_like(at)
    for place in np.ndindex(*at.shape):
        step = torch.zeros_like(at)
        step[place] = 0.25
        found[place] = ((function(at + step) - function(at - step)) * weights).sum() / 0.5
    return found


def test_ties_go_up_on_both_sides_of_zero() -> None:
    assert rounded(TIES).tolist() == UP
    assert round_clamped(TIES, -127, 127).tolist() == UP
    assert round_clamped(TIES, -1, 2).tolist() == [max(-1.0, min(2.0, v)) for v in UP]


def test_what_is_rounded_is_exactly_an_integer() -> None:
    values = torch.tensor(np.random.default_rng(0).normal(0, 60, 5000))
    clamped = round_clamped(values, -127, 127)
    assert clamped.tolist() == np.floor(values.numpy() + 0.5).clip(-127, 127).tolist()
    single = round_clamped(values.float(), -127, 127)
    assert single.dtype == torch.float32
    assert single.tolist() == np.floor(values.float().numpy() + np.float32(0.5)).clip(-127, 127).tolist()


def test_a_rounding_is_the_identity_to_the_gradient() -> None:
    values = leaf(-3.7, -0.5, 0.2, 1e6)
    (rounded(values) * torch.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [1, 2, 3, 4]


def test_a_clamp_lets_the_gradient_through_inside_only() -> None:
    """Inside is what is rounded to strictly between the clamps."""
    values = leaf(-4.0, -3.0, -2.5, -2.4, 0.3, 1.4, 1.5, 3.0)
    (round_clamped(values, -3, 2) * 5).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [0, 0, 5, 5, 5, 5, 0, 0]


class Case:
    """An accumulator of three channels with everything that may enter it; powers of two, so all products are exact."""

    def __init__(self, shared: bool = False, residual: bool = True, flat: bool = False) -> None:
        random = np.random.default_rng(7)
        shape = (4, 3) if flat else (4, 3, 2, 3)
        self.along = (-1,) + (1,) * (len(shape) - 2)
        self.accumulator = torch.tensor(random.integers(-400, 401, shape).astype(np.float64))
        self.bias = torch.tensor([0.0, -37.0, 90.0], dtype=torch.float64)
        self.ratio = torch.tensor([0.25] if shared else [0.25, 0.375, 0.03125], dtype=torch.float64)
        self.factor = torch.tensor([2.0, 0.0, 5.0], dtype=torch.float64) if residual else None
        self.residual = torch.tensor(random.integers(-60, 61, shape).astype(np.float64)) if residual else None
        self.upstream = torch.tensor(random.integers(-8, 9, shape).astype(np.float64))
        self.low, self.high = -50, 41

    def arguments(self) -> dict[str, Any]:
        names = ("accumulator", "bias", "ratio", "factor", "residual")
        return {name: v.clone().requires_grad_() for name in names if (v := getattr(self, name)) is not None}

    def run(self, given: dict[str, Tensor]) -> Tensor:
        return requantise(**given, law=multipliers(given["ratio"]), low=self.low, high=self.high)

    def real(self, given: dict[str, Tensor]) -> Tensor:
        """The formula without rounding and without clamps."""
        total = given["accumulator"] + given["bias"].reshape(self.along)
        if "factor" in given:
            total = total + given["factor"].reshape(self.along) * given["residual"]
        return total * given["ratio"].reshape(self.along)


CASES = [Case(), Case(shared=True), Case(residual=False), Case(flat=True), Case(shared=True, residual=False, flat=True)]


@pytest.mark.parametrize("case", CASES)
def test_the_forward_value_is_the_law_s(case: Case) -> None:
    given = case.arguments()
    law = Requantise(*multipliers(case.ratio), case.low, case.high)
    total = case.accumulator + case.bias.reshape(case.along)
    if case.factor is not None:
        total = total + case.factor.reshape(case.along) * case.residual
    assert case.run(given).tolist() == law(total.numpy().astype(np.int64)).tolist()


@pytest.mark.parametrize("case", CASES)
def test_every_gradient_is_that_of_the_formula_without_rounding(case: Case) -> None:
    """Inside the clamps; outside there is none. No tolerance: the formula is linear in each, and nothing is rounded."""
    given = case.arguments()
    case.run(given).backward(case.upstream)
    plain = {name: value.detach() for name, value in given.items()}
    result = torch.floor(case.real(plain) + 0.5)
    inside = (result > case.low) & (result < case.high)
    assert 0 < int(inside.sum()) < inside.numel(), "the case must have both"
    for name, value in given.items():
        expected = slope(lambda at, name=name: case.real(plain | {name: at}), plain[name], case.upstream * inside)  # type: ignore[misc]
        assert value.grad is not None
        assert value.grad.tolist() == expected.tolist(), name


def test_gradients_keep_the_accumulator_s_precision() -> None:
    accumulator = torch.tensor([[100.0, -3.0]], requires_grad=True)
    bias, ratio = leaf(1.0, 2.0), leaf(0.5, 0.25)
    found = requantise(accumulator, bias, ratio, multipliers(ratio), -127, 127)
    assert found.dtype == torch.float32
    found.sum().backward()
    assert [p.grad.dtype for p in (accumulator, bias, ratio)] == [torch.float32, torch.float64, torch.float64]  # type: ignore[union-attr]


def test_large_accumulators_are_exact() -> None:
    """float32 could not add the bias, nor float32 products the half: the sum is made in float64."""
    accumulator = torch.tensor([[2.0**24, 2.0**24]], dtype=torch.float32)
    bias = torch.tensor([1.0, 3.0], dtype=torch.float64)
    ratio = torch.tensor([100 / (2.0**24 + 1), 100.5 / (2.0**24 + 3)], dtype=torch.float64)
    law = Requantise(*multipliers(ratio), -127, 127)
    exact = np.array([[2**24 + 1, 2**24 + 3]])
    assert requantise(accumulator, bias, ratio, multipliers(ratio), -127, 127).tolist() == law(exact).tolist()


def test_multipliers_are_those_of_the_law() -> None:
    ratios = [0.75, 1e-9, 3.0, 2.0**-52, 12345.678]
    found = multipliers(torch.tensor(ratios, dtype=torch.float64))
    assert list(zip(*(part.tolist() for part in found), strict=True)) == [quantise_ratio(r) for r in ratios]
    assert [part.dtype for part in found] == [np.int32, np.uint8]


@pytest.mark.parametrize("ratio", [2.0**20, 2.0**21, 1e30])
def test_a_factor_beyond_the_law_saturates_all_but_zero_as_it_would(ratio: float) -> None:
    factor = torch.tensor([ratio], dtype=torch.float64)
    accumulator = torch.tensor([[-5.0], [-1.0], [0.0], [1.0]])
    nothing = torch.zeros(1, dtype=torch.float64)
    found = requantise(accumulator, nothing, factor, multipliers(factor), -127, 127)
    assert found.flatten().tolist() == [-127, -127, 0, 127]


@pytest.mark.parametrize("ratio", [0.0, -1.0, float("nan")])
def test_a_factor_that_is_not_positive_is_refused(ratio: float) -> None:
    with pytest.raises(NetworkError, match="must lie in"):
        multipliers(torch.tensor([ratio], dtype=torch.float64))
