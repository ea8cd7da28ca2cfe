"""Sums of integers are exact in every arithmetic; gradients in bfloat16 stay close to the exact ones."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from holdfast.compression import product
from holdfast.compression.graph import FloatConv, FloatLinear
from holdfast.compression.product import quick_gradients, sums
from holdfast.compression.straight_through import multipliers, requantise

GEOMETRIES: list[dict[str, Any]] = [
    {"stride": (1, 1), "padding": (1, 1, 1, 1), "dilation": (1, 1), "groups": 1},
    {"stride": (2, 2), "padding": (0, 1, 0, 1), "dilation": (1, 1), "groups": 1},
    {"stride": (1, 2), "padding": (2, 2, 2, 2), "dilation": (2, 2), "groups": 2},
    {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 8},
]


def conv_node(weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> FloatConv:
    """A convolution of which only the geometry counts."""
    return FloatConv("conv", 0, weight, torch.zeros(len(weight)), stride, padding, dilation, groups)


def integers(*shape: int) -> Tensor:
    """Values in [-127, 127], the ends included."""
    values = torch.randint(-127, 128, shape, generator=torch.Generator().manual_seed(7)).float()
    values.view(-1)[:2] = torch.tensor([-127.0, 127.0])
    return values


def exact(q: Tensor, weight: Tensor, stride: Any, padding: Any, dilation: Any, groups: int) -> Tensor:
    """The convolution in float64."""
    top, bottom, left, right = padding
    padded = F.pad(q.double(), (left, right, top, bottom))
    return F.conv2d(padded, weight.double(), None, stride, 0, dilation, groups)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("quick", [False, True])
def test_sums_are_exact(geometry: dict[str, Any], quick: bool) -> None:
    q, weight = integers(3, 8, 9, 11), integers(16, 8 // geometry["groups"], 3, 3)
    with torch.autocast("cpu", torch.bfloat16, enabled=quick):
        found = sums(conv_node(weight, **geometry), q, weight, float64=False)
    assert torch.equal(found.double(), exact(q, weight, **geometry))


@pytest.mark.parametrize("quick", [False, True])
def test_sums_of_a_linear_map_are_exact(quick: bool) -> None:
    q, weight = integers(5, 300), integers(7, 300)
    with torch.autocast("cpu", torch.bfloat16, enabled=quick):
        found = sums(FloatLinear("fc", 0, weight, torch.zeros(7)), q, weight, float64=False)
    assert torch.equal(found.double(), q.double() @ weight.double().T)


def test_sums_that_float32_may_not_hold_are_made_in_float64_also_in_quick_training() -> None:
    q, weight = torch.full((1, 1200, 3, 3), 127.0), torch.full((1, 1200, 3, 3), 127.0)
    node = conv_node(weight, (1, 1), (0, 0, 0, 0), (1, 1), 1)
    with torch.autocast("cpu", torch.bfloat16):
        found = sums(node, q, weight, float64=False)
    assert found.dtype == torch.float64
    assert found.item() == 1200 * 9 * 127 * 127


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_quick_gradients_are_close_to_the_exact_ones(geometry: dict[str, Any]) -> None:
    start = torch.randn(exact(integers(3, 8, 9, 11), integers(16, 8 // geometry["groups"], 3, 3), **geometry).shape)
    gradients = []
    for quick in (False, True):
        q, weight = (v.requires_grad_() for v in (integers(3, 8, 9, 11), integers(16, 8 // geometry["groups"], 3, 3)))
        with torch.autocast("cpu", torch.bfloat16, enabled=quick):
            result = sums(conv_node(weight, **geometry), q, weight, float64=False)
        result.backward(start)
        gradients.append((q.grad, weight.grad))
    for slow, fast in zip(*gradients, strict=True):
        assert slow is not None
        assert fast is not None
        assert fast.dtype == torch.float32
        assert (slow - fast).norm() <= 2**-7 * slow.norm()


@pytest.mark.parametrize("frozen", ["values", "weight"])
def test_what_is_frozen_has_no_quick_gradient(frozen: str) -> None:
    q, weight = integers(3, 8, 9, 11), integers(16, 8, 3, 3)
    (weight if frozen == "values" else q).requires_grad_()
    with torch.autocast("cpu", torch.bfloat16):
        sums(conv_node(weight, **GEOMETRIES[0]), q, weight, float64=False).sum().backward()
    assert (q.grad is None, weight.grad is None) == (frozen == "values", frozen == "weight")


def test_a_processor_that_cannot_multiply_bytes_exactly_goes_the_slow_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(product, "_multiplies_bytes_exactly", lambda: False)
    monkeypatch.setattr(product, "_byte_sums", None)
    q, weight = integers(3, 8, 9, 11), integers(16, 8, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        assert not quick_gradients(q)
        found = sums(conv_node(weight, **GEOMETRIES[0]), q, weight, float64=False)
    assert torch.equal(found, exact(q, weight, **GEOMETRIES[0]).float())


def test_outside_autocast_nothing_is_quick() -> None:
    assert not quick_gradients(integers(1, 2))


def test_the_quick_law_is_off_by_one_at_most_and_next_to_ties_only() -> None:
    accumulator = torch.arange(-(1 << 16), 1 << 16, dtype=torch.float32).reshape(1, 1, -1)
    bias, ratio = torch.tensor([12345.0], dtype=torch.float64), torch.tensor([1 / 517.3], dtype=torch.float64)
    law = multipliers(ratio)
    slow = requantise(accumulator, bias, ratio, law, -127, 127)
    with torch.autocast("cpu", torch.bfloat16):
        fast = requantise(accumulator, bias, ratio, law, -127, 127)
    assert fast.dtype == slow.dtype
    apart = (slow - fast).abs()
    assert apart.max() <= 1
    value = (accumulator.double() + bias) * ratio
    from_tie = ((value + 0.5) - (value + 0.5).round()).abs()
    assert not (apart.bool() & (from_tie > 1e-4)).any()
