"""The twin is the integer network: at the ends of every range, where floats would round, and while it learns."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from float_graphs import Graph, graph_of
from numpy.typing import NDArray

from holdfast.compression import Twin, product
from holdfast.compression import twin as twins
from holdfast.compression.calibrate import initial_scales
from holdfast.compression.evaluate import each_value
from holdfast.compression.graph import FloatMaxPool
from holdfast.compression.plan import make_plan
from holdfast.errors import ConversionError
from holdfast.intnet import Add, Conv, Linear
from holdfast.intnet.reference import trace
from holdfast.models import to_input
from holdfast.records import Preprocessing

GREY = Preprocessing((0.4, 0.6), (0.3, 0.2))


def images(shape: tuple[int, ...] = (2, 4, 4), count: int = 16, seed: int = 0) -> NDArray[np.int16]:
    """Noisy ones, the last two at the ends of int16."""
    found = np.random.default_rng(seed).integers(-300, 556, (count, *shape)).astype(np.int16)
    found[-2:] = np.array([-(1 << 15), (1 << 15) - 1], np.int16).reshape(2, *(1,) * len(shape))
    return found


def twin_of(write: Callable[[Graph], Any], preprocessing: Preprocessing = GREY, **settings: int) -> Twin:
    """The calibrated twin of a graph."""
    graph = graph_of(write, **settings)
    plan, pixels = make_plan(graph), torch.from_numpy(images(graph.shapes[0])[:-2])
    scales = initial_scales(plan, each_value(graph, to_input(pixels, preprocessing, torch.float64)))
    return Twin(plan, scales, preprocessing).eval()


def require_agreement(twin: Twin, batch: NDArray[np.int16]) -> None:
    values = trace(twin.integer_network(), batch)
    for computed in (twin, copy.deepcopy(twin).double()):
        with torch.no_grad():
            for own, value in zip(computed.values(torch.from_numpy(batch)), values, strict=True):
                assert np.array_equal(own.q.double().numpy(), value.astype(np.float64))


def block(g: Graph) -> None:
    """A convolution, a block with a residual, a classifier."""
    start = g.relu("relu", g.conv("first", 0, g.tensor(4, 2, 3, 3), padding=(1, 1, 1, 1)))
    inner = g.relu("inner relu", g.conv("inner", start, g.tensor(4, 4, 3, 3), padding=(1, 0, 0, 1)))
    body = g.conv("body", inner, g.tensor(4, 4, 2, 2), padding=(1, 1, 1, 1))
    total = g.relu("total", g.plus("sum", body, start))
    g.linear("fc", g.flatten("flat", g.average("mean", total, 4)), g.tensor(3, 4))


# The last bit


def test_the_integers_are_those_of_the_reference() -> None:
    twin = twin_of(block)
    require_agreement(twin, images())
    assert twin.logits(torch.from_numpy(images())).tolist() == twin.integer_network().logits(images()).tolist()


def test_the_real_logits_are_the_integer_ones_in_one_unit() -> None:
    twin = twin_of(block)
    batch = torch.from_numpy(images())
    with torch.no_grad():
        last = twin.values(batch)[-1]
        assert torch.equal(twin(batch), (twin.logits(batch) * last.scale).float())
    assert last.scale > 0
    assert torch.equal(twin(batch).argmax(1), twin.logits(batch).argmax(1))


def test_the_twin_is_near_the_float_network() -> None:
    """Quantisation costs precision, not the function: the mean error is a small share of the logits' size."""
    graph, twin = graph_of(block), twin_of(block)
    batch = torch.from_numpy(images(count=200)[:-2])
    with torch.no_grad():
        (*_, (_, logits)) = each_value(graph, to_input(batch, GREY, torch.float64))
        error = (twin(batch) - logits).abs().mean() / logits.abs().mean()
    assert float(error) < 0.05


@pytest.mark.parametrize("size", [1e-3, 1e-9, 0.0])
def test_a_channel_that_is_almost_dead_beside_its_residual_keeps_the_factors_small(size: float) -> None:
    """Engines are fastest where factors are small; the residual passes such a channel to within a step or two."""

    def fading(g: Graph) -> None:
        start = g.relu("relu", g.conv("first", 0, g.tensor(4, 2, 3, 3), padding=(1, 1, 1, 1)))
        weight = g.tensor(4, 4, 3, 3)
        weight[2] *= size
        body = g.conv("body", start, weight, padding=(1, 1, 1, 1))
        total = g.relu("total", g.plus("sum", body, start))
        g.linear("fc", g.flatten("flat", g.average("mean", total, 4)), g.tensor(3, 4))

    twin = twin_of(fading)
    require_agreement(twin, images())
    factors = [op.residual.factor for op in twin.integer_network().operations if getattr(op, "residual", None)]
    assert len(factors) == 1
    assert 1 <= factors[0].max() <= 1 << 13
    graph, batch = graph_of(fading), torch.from_numpy(images(count=100)[:-2])
    exact = dict(
        zip(
            (n.name for n in graph.nodes),
            (v for _, v in each_value(graph, to_input(batch, GREY, torch.float64))),
            strict=True,
        )
    )
    with torch.no_grad():
        values = {step.node.name: value for step, value in zip(twin.plan.steps, twin.values(batch), strict=True)}
    name = next(n for n in ("total", "sum", "body") if n in values)
    apart = (values[name].q * values[name].scale - exact["total"]).abs()[:, 2] / float(values[name].scale)
    assert float(apart.quantile(0.9)) < 2


def wide(g: Graph) -> None:
    """All weights saturated, so 127 * 127 * 2200 leaves the integers that float32 holds."""
    features = g.flatten("flat", 0)
    weight = torch.ones(3, 2200, dtype=torch.float64)
    weight[1, ::2] = -1
    g.linear("fc", features, weight, torch.tensor([0.0, 1.0, 2.0], dtype=torch.float64))


def bright(count: int) -> NDArray[np.int16]:
    """Images that quantise to 127 almost everywhere, to odd numbers at random."""
    random = np.random.default_rng(1)
    return np.where(random.random((count, 2, 44, 25)) < 0.9, 900, random.integers(0, 300, (count, 2, 44, 25))).astype(
        np.int16
    )


def test_sums_beyond_float32_are_made_in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    twin, batch = twin_of(wide, height=44, width=25), bright(20)
    network = twin.integer_network()
    assert int(np.abs(network.logits(batch)).max()) > 1 << 24
    require_agreement(twin, batch)
    exact = twin.logits(torch.from_numpy(batch))
    monkeypatch.setattr(product, "_FLOAT32_EXACT", 1 << 60)
    assert not torch.equal(twin.logits(torch.from_numpy(batch)), exact), "without the switch there is a difference"


def test_a_narrow_layer_is_summed_in_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is what makes training fast; the products' type is that of the value before the law."""
    kinds = []
    convolve = torch.nn.functional.conv2d
    monkeypatch.setattr(twins.F, "conv2d", lambda q, *more: kinds.append(q.dtype) or convolve(q, *more))
    twin = twin_of(block)
    twin.logits(torch.from_numpy(images()))
    assert kinds[-3:] == [torch.float32] * 3
    copy.deepcopy(twin).double().logits(torch.from_numpy(images()))
    assert kinds[-3:] == [torch.float64] * 3


# Floors of the weights' scales


def hard(g: Graph, sizes: list[float], biases: list[float], residual: bool) -> None:
    """A layer whose channels have weights of these sizes and these biases."""
    start = g.conv("first", 0, g.tensor(4, 2, 1, 1))
    weight = g.tensor(4, 4, 3, 3) * torch.tensor(sizes, dtype=torch.float64).reshape(4, 1, 1, 1)
    conv = g.conv("conv", start, weight, torch.tensor(biases, dtype=torch.float64), padding=(1, 1, 1, 1))
    last = g.plus("sum", conv, start) if residual else conv
    g.linear("fc", g.flatten("flat", g.relu("relu", last)), g.tensor(3, 64))


HARD: dict[str, tuple[list[float], list[float]]] = {
    "a dead channel": ([1.0, 0.0, 1.0, 1.0], [0.1, 0.0, 0.2, 0.3]),
    "a channel that is only its bias": ([1.0, 0.0, 0.0, 1.0], [0.1, 2.0, -3.0, 0.0]),
    "a huge bias": ([1.0, 1.0, 1.0, 1.0], [0.0, 1e7, -1e9, 1e-9]),
    "huge biases on dead and tiny channels": ([1e-9, 0.0, 1e-4, 1.0], [1e8, -1e8, 1e12, 0.0]),
    "tiny weights": ([1e-9, 1e-7, 1e-20, 1.0], [0.0, 0.0, 0.0, 0.0]),
    "all dead": ([0.0] * 4, [1.0, 0.0, 0.0, 0.0]),
    "huge weights": ([1e9, 1.0, 1e-9, 1e12], [0.0, 0.0, 0.0, 0.0]),
}


@pytest.mark.parametrize("residual", [False, True], ids=["plain", "with a residual"])
@pytest.mark.parametrize("case", HARD)
def test_no_channel_overflows_and_all_agree(case: str, residual: bool) -> None:
    """The accumulator's bound is proved while the network is built; the twin gives the same integers."""
    twin = twin_of(lambda g: hard(g, *HARD[case], residual))
    network = twin.integer_network()
    (conv,) = (op for op in network.operations if op.name == "conv")
    assert isinstance(conv, Conv)
    assert (conv.residual is not None) == residual
    require_agreement(twin, images())


def test_a_dead_channel_gives_its_bias_everywhere() -> None:
    twin = twin_of(lambda g: hard(g, *HARD["a channel that is only its bias"], False))
    value = trace(twin.integer_network(), images())[2]
    for channel, bias in ((1, 2.0), (2, 0.0)):
        scale = float(twin.scale_of(twin.plan.steps[2].group).detach())
        expected = min(127, math.floor(bias / scale + 0.5))
        assert set(value[:, channel].ravel().tolist()) == {expected}


def test_the_classifier_has_one_scale_however_its_rows_differ() -> None:
    """Raw logits are compared with one another."""

    def write(g: Graph) -> None:
        rows = torch.tensor([[1.0], [1e-3], [100.0]], dtype=torch.float64)
        g.linear("fc", g.flatten("flat", 0), g.tensor(3, 32) * rows, torch.tensor([0.0, 5.0, 0.0], dtype=torch.float64))

    twin = twin_of(write)
    *_, fc = twin.integer_network().operations
    assert isinstance(fc, Linear)
    assert [int(np.abs(row).max()) for row in fc.weight[[0, 2]]][1] == 127
    assert int(np.abs(fc.weight[1]).max()) <= 1
    require_agreement(twin, images())


# Clamps


@pytest.mark.parametrize("high", [6.0, 0.5, 1e-3])
def test_a_relu6_clamps_at_its_own_integer(high: float) -> None:
    """Under a scale in which 6 is less than 127 steps, the clamp is the integer nearest to 6."""

    def write(g: Graph) -> None:
        a = g.relu("relu6", g.conv("a", 0, g.tensor(2, 2, 1, 1)), high)
        b = g.relu("relu", g.conv("b", 0, 9 * high * g.tensor(2, 2, 1, 1)))
        g.linear("fc", g.flatten("flat", g.concat("both", a, b)), g.tensor(3, 64))

    twin = twin_of(write)
    conv = twin.integer_network().operations[1]
    assert isinstance(conv, Conv)
    assert conv.requantise is not None
    scale = float(twin.scale_of(twin.plan.steps[1].group).detach())
    assert (conv.requantise.low, conv.requantise.high) == (0, math.floor(high / scale + 0.5))
    assert 0 < conv.requantise.high < 127
    require_agreement(twin, images())


def test_a_clamp_beyond_127_steps_is_127() -> None:
    twin = twin_of(lambda g: g.linear("fc", g.flatten("flat", g.relu("relu", g.conv("conv", 0, g.tensor(2, 2, 1, 1)))),
                                      g.tensor(2, 32)))  # fmt: skip
    conv = twin.integer_network().operations[1]
    assert isinstance(conv, Conv)
    assert conv.requantise is not None
    assert (conv.requantise.low, conv.requantise.high) == (0, 127)


def test_padding_never_wins_a_max_pool() -> None:
    """All values are negative, so a padded zero would be the largest."""

    def write(g: Graph) -> None:
        below = g.clamp("clamp", g.conv("conv", 0, g.tensor(2, 2, 1, 1)), -5.0, -1.0)
        pool = g.add(FloatMaxPool("pool", below, (3, 2), (2, 1), (1, 1, 1, 0), (1, 1)))
        g.linear("fc", g.flatten("flat", pool), g.tensor(3, 16))

    twin = twin_of(write)
    assert int(trace(twin.integer_network(), images())[2].max()) < 0
    require_agreement(twin, images())


def test_a_sum_of_two_scales_is_rounded_once() -> None:
    def write(g: Graph) -> None:
        a = g.relu("relu", g.conv("a", 0, 100 * g.tensor(2, 2, 1, 1)))
        g.linear("fc", g.flatten("flat", g.clamp("clamp", g.plus("sum", a, 0), -1.0, 50.0)), g.tensor(3, 32))

    twin = twin_of(write)
    added = twin.integer_network().operations[2]
    assert isinstance(added, Add)
    assert max(added.multipliers) >= 1 << 21, "the larger multiplier uses all its bits"
    require_agreement(twin, images())


# Learning


def test_every_parameter_gets_a_gradient_and_each_weight_its_own() -> None:
    """Also the largest weight of a channel, which quantises to 127: its scale follows it."""
    twin = twin_of(block).train()
    twin(torch.from_numpy(images(count=64)[:-2])).square().sum().backward()
    for name, parameter in twin.named_parameters():
        assert parameter.grad is not None, name
        assert bool(torch.isfinite(parameter.grad).all()), name
        assert bool(parameter.grad.any()), name
    for key, weight in twin.weights.items():
        rows, gradient = weight.detach().flatten(1), weight.grad
        assert gradient is not None
        largest = gradient.flatten(1).gather(1, rows.abs().argmax(1, keepdim=True))
        assert bool(largest.all()), f"step {key}"


def test_the_loss_falls() -> None:
    """Two classes of bright and dark images, from random weights: what the steps of training are for."""
    random = np.random.default_rng(3)
    labels = random.integers(0, 2, 64)
    pixels = random.integers(0, 120, (64, 2, 4, 4)) + 100 * labels[:, None, None, None]
    batch, wanted = torch.tensor(pixels, dtype=torch.int16), torch.tensor(labels)
    twin = twin_of(block)

    def loss() -> torch.Tensor:
        return torch.nn.functional.cross_entropy(twin(batch), wanted)

    with torch.no_grad():
        before = float(loss())
    optimiser = torch.optim.SGD(twin.train().parameters(), lr=0.01, momentum=0.9)
    for _ in range(40):
        optimiser.zero_grad()
        loss().backward()
        optimiser.step()
    twin.eval()
    with torch.no_grad():
        assert float(loss()) < before / 4
    assert int((twin.logits(batch).argmax(1) == wanted).sum()) > 0.9 * len(wanted)
    require_agreement(twin, images())


def test_scales_learn_too() -> None:
    """From scales ten times too small almost everything saturates; training widens them."""
    calibrated = twin_of(block)
    narrow = copy.deepcopy(calibrated)
    with torch.no_grad():
        narrow.log_scales -= math.log(10)
    batch = torch.from_numpy(images(count=64)[:-2])
    with torch.no_grad():
        wanted = calibrated(batch)
    start = narrow.log_scales.detach().clone()
    optimiser = torch.optim.Adam([narrow.log_scales], lr=0.05)
    losses = []
    for _ in range(60):
        optimiser.zero_grad()
        loss = (narrow(batch) - wanted).square().mean()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < losses[0] / 4
    assert bool((narrow.log_scales.detach() > start).all())


# What is refused


@pytest.mark.parametrize("scale", [0.0, -1.0, float("nan"), float("inf")])
def test_a_scale_that_is_not_positive_is_refused(scale: float) -> None:
    plan = make_plan(graph_of(block))
    with pytest.raises(ConversionError, match="scales must be positive numbers"):
        Twin(plan, [scale] * plan.groups, GREY)
