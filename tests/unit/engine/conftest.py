"""A small float network, an integer one, and classifiers made of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from engine_programs import Layer
from numpy.typing import NDArray
from torch import nn

from holdfast.digest import array_digest
from holdfast.engine.torch import TorchClassifier
from holdfast.intnet import IntegerNetwork
from holdfast.noise import DiscreteGaussian
from holdfast.records import Address, Preprocessing, Purpose

SHAPE = (2, 4, 4)
INPUT = Preprocessing((0.5, 0.4), (0.25, 0.2))


class FunctionModule(nn.Module):
    """A network from a function."""

    def __init__(self, function: Callable[[torch.Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: torch.Tensor) -> Any:
        return self.function(x)


def make_network(seed: int = 0) -> nn.Sequential:
    """Convolution, batch statistics, dropout, a linear layer: everything that eval mode changes."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 3)
    )


def make_classifier(module: nn.Module | None = None, **changes: Any) -> TorchClassifier:
    """A classifier of the usual settings, some of them changed."""
    settings = {"num_classes": 3, "shape": SHAPE, "preprocessing": INPUT, "noise": DiscreteGaussian("40"), "threads": 1}
    return TorchClassifier(module if module is not None else make_network(), **(settings | changes))


@pytest.fixture(scope="session")
def network() -> Callable[..., nn.Sequential]:
    return make_network


@pytest.fixture(scope="session")
def integer_network() -> IntegerNetwork:
    return Layer(8, 8, (6, 7), factor=30).network()


@pytest.fixture(scope="session")
def function_module() -> type[nn.Module]:
    return FunctionModule


@pytest.fixture(scope="session")
def classifier() -> Callable[..., TorchClassifier]:
    return make_classifier


@pytest.fixture(scope="session")
def usual() -> TorchClassifier:
    return make_classifier()


@pytest.fixture(scope="session")
def image() -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, SHAPE, dtype=np.uint8)


@pytest.fixture(scope="session")
def address(image: NDArray[np.uint8]) -> Address:
    return Address(bytes(32), array_digest(image), Purpose.ESTIMATE)


@pytest.fixture
def two_threads() -> Iterator[None]:
    """Torch's own number of threads is two."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)
