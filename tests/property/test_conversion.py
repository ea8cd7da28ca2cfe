"""What is trained is what is shipped: twin, exact twin, reference and the file compute the same integers, value by value."""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, get_args

import numpy as np
import pytest
import torch
from float_networks import Drawn, drawn, make_network
from hypothesis import given, reject, settings
from numpy.typing import NDArray

from holdfast.compression import Twin, to_twin
from holdfast.errors import ConversionError
from holdfast.intnet import Op, codec
from holdfast.intnet.reference import trace
from holdfast.intnet.shapes import is_raw
from holdfast.records import Preprocessing

pytestmark = pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel")

EVERY_BLOCK = [
    Drawn((1, 7, 5), ("grouped", "max pool", "identity shortcut", "norm"), ("flat norm", "linear norm"), "classifier", 7),
    Drawn((3, 6, 7), ("option A", "read twice", "average pool", "clamp"), (), "conv with shortcut", 2),
    Drawn((3, 5, 5), ("depthwise", "projection", "padding", "doubled"), ("flat shortcut",), "classifier with shortcut", 9),
    Drawn((1, 6, 6), ("joined", "stand-alone sum", "subsample", "adaptive pool"), (), "global average", 4),
    Drawn((3, 4, 3), ("conv", "joined"), ("flat joined", "linear"), "clamped classifier", 5),
    Drawn((1, 3, 3), ("conv", "padding"), (), "largest", 6),
    Drawn((1, 7, 7), ("subsample",), (), "whole conv", 7),
    Drawn((3, 4, 4), ("read twice",), (), "mean", 8),
]  # fmt: skip


@pytest.mark.parametrize("network", EVERY_BLOCK, ids=lambda network: network.head)
def test_every_block_and_head(network: Drawn) -> None:
    require_agreement_throughout(converted(network), network.seed)


@given(drawn())
@settings(max_examples=6)
def test_twin_reference_and_file_agree_on_every_integer(network: Drawn) -> None:
    try:
        twin = converted(network)
    except ConversionError as refused:
        if "zero on every calibration image" not in str(refused):  # the only reason for which one may be refused
            raise
        reject()
    require_agreement_throughout(twin, network.seed)


@cache
def converted(network: Drawn) -> Twin:
    random = np.random.default_rng(network.seed)
    images = random.integers(0, 256, (16, *network.shape)).astype(np.uint8)
    channels = network.shape[0]
    mean, std = random.uniform(0, 1, channels), random.uniform(0.05, 1, channels)
    module = make_network(network)
    module = module.double() if random.random() < 0.5 else module
    preprocessing = Preprocessing(tuple(mean.tolist()), tuple(std.tolist()))
    return to_twin(module, calibration=images, preprocessing=preprocessing, sigma="0.25")


def require_agreement_throughout(calibrated: Twin, seed: int) -> None:
    """As calibrated, after steps of training, and with parameters thrown far from where training would lead them."""
    random, twin = np.random.default_rng(seed), copy.deepcopy(calibrated)
    require_agreement(twin, random)
    before = twin.integer_network().digest
    train(twin, random)
    require_agreement(twin, random)
    assert twin.integer_network().digest != before, "training changed nothing"
    for _ in range(2):
        throw(twin, random)
        require_agreement(twin, random)


def require_agreement(twin: Twin, random: np.random.Generator) -> None:
    network = twin.integer_network()
    file = codec.from_bytes(codec.to_bytes(network), "a copy")
    exact = copy.deepcopy(twin).double()
    for images in batches(network.shape, random):
        values = trace(network, images)
        for computed in (twin, exact):
            with torch.no_grad():
                for own, value in zip(computed.values(torch.from_numpy(images)), values, strict=True):
                    assert np.array_equal(own.q.double().numpy(), value.astype(np.float64))
            assert np.array_equal(computed.logits(torch.from_numpy(images)).numpy(), values[-1])
        assert np.array_equal(file.logits(images), values[-1])


def batches(shape: tuple[int, ...], random: np.random.Generator) -> list[NDArray[Any]]:
    """Clean bytes, and noisy ones: near the bytes, anywhere, at random ends, at either end."""
    lowest, highest = -(1 << 15), (1 << 15) - 1
    noisy = [
        random.integers(-500, 756, (2, *shape)),
        random.integers(lowest, highest + 1, (2, *shape)),
        random.choice([lowest, highest], (1, *shape)),
        np.full((1, *shape), lowest),
        np.full((1, *shape), highest),
    ]
    return [random.integers(0, 256, (2, *shape)).astype(np.uint8), np.concatenate(noisy).astype(np.int16)]


def train(twin: Twin, random: np.random.Generator) -> None:
    """Three steps towards random labels."""
    optimiser = torch.optim.Adam(twin.train().parameters(), lr=0.03)
    channels, height, width = twin.integer_network().shape
    images = torch.tensor(random.integers(-200, 456, (8, channels, height, width)), dtype=torch.int16)
    for _ in range(3):
        optimiser.zero_grad()
        logits = twin(images)
        labels = torch.tensor(random.integers(0, logits.shape[1], len(logits)))
        torch.nn.functional.cross_entropy(logits, labels).backward()
        for name, parameter in twin.named_parameters():
            assert parameter.grad is not None, name
            assert bool(torch.isfinite(parameter.grad).all()), name
        optimiser.step()
    twin.eval()


def throw(twin: Twin, random: np.random.Generator) -> None:
    """Other scales everywhere; of each layer some channels dead, tiny, huge, or with a bias beyond all sums."""
    with torch.no_grad():
        twin.log_scales += torch.tensor(random.normal(0, 1, len(twin.log_scales)))
        twin.center += torch.tensor(random.normal(0, 0.5, len(twin.center)))
        for weight, bias in zip(twin.weights.values(), twin.biases.values(), strict=True):
            sizes = random.choice([0.0, 1e-9, 1e-3, 1.0, 1.0, 1.0, 1e3, 1e6], len(weight))
            weight *= torch.tensor(sizes, dtype=weight.dtype).reshape(-1, *(1,) * (weight.ndim - 1))
            bias *= torch.tensor(random.choice([0.0, 1.0, 1.0, 1e4, 1e8], len(bias)), dtype=bias.dtype)


def test_the_named_networks_contain_every_operation() -> None:
    """And both forms of each that has two."""
    operations = [op for network in EVERY_BLOCK for op in converted(network).integer_network().operations]
    found = {
        text
        for op in operations
        for text, holds in (
            (type(op).__name__, True),
            (f"{type(op).__name__} with residual", getattr(op, "residual", None) is not None),
            (f"{type(op).__name__} in groups", getattr(op, "groups", 1) > 1),
            (f"dilated {type(op).__name__}", max(getattr(op, "dilation", (1, 1))) > 1),
            (f"raw {type(op).__name__}", is_raw(op)),
        )
        if holds
    }
    assert found >= {
        *(kind.__name__ for kind in get_args(Op)), "Conv with residual", "Linear with residual", "Conv in groups",
        "dilated Conv", "dilated MaxPool", "raw Conv", "raw Linear", "raw AvgPool",
    }  # fmt: skip
