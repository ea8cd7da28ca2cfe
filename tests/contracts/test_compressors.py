"""What every method of compression promises. A new method is one more row of the table."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.compression import Twin, require_equal, to_twin
from holdfast.errors import ConversionError
from holdfast.intnet import IntegerNetwork, codec, require_integers
from holdfast.records import Preprocessing
from holdfast.workflows.compress import METHODS

COMPRESSORS: dict[str, Callable[..., Twin]] = {"int8": to_twin}
"""By method: from a module and calibration images to the twin that is trained and converted."""
SHAPE = (2, 6, 6)
SETTINGS: dict[str, Any] = {"preprocessing": Preprocessing((0.5, 0.4), (0.25, 0.2)), "sigma": "0.1"}

pytestmark = pytest.mark.parametrize("method", COMPRESSORS)


class Network(nn.Module):
    """A convolution, a block with a shortcut, a classifier; in training mode and partly frozen, as a user may leave it."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.first = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True))
        self.block = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4))
        self.drop = nn.Dropout(0.5)
        self.fc = nn.Linear(4, 3)
        self.first.requires_grad_(False)
        self.block[1].eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.first(x)
        x = torch.relu(self.block(x) + x)
        return self.fc(self.drop(x.mean((2, 3))))


def images(count: int = 24) -> NDArray[np.uint8]:
    return np.random.default_rng(2).integers(0, 256, (count, *SHAPE), dtype=np.uint8)


@pytest.fixture(scope="module")
def twins() -> Callable[[str], Twin]:
    """The twin of each method; not to be changed."""
    made: dict[str, Twin] = {}

    def twin(method: str) -> Twin:
        if method not in made:
            made[method] = COMPRESSORS[method](Network(), calibration=images(), **SETTINGS)
        return made[method]

    return twin


def test_it_is_offered(method: str) -> None:
    """And nothing is offered that is not in the table."""
    assert method in METHODS
    assert set(METHODS) == set(COMPRESSORS)


def test_the_module_stays_as_it_was(method: str) -> None:
    """Weights, statistics, modes and what is frozen."""
    module = Network()
    weights = copy.deepcopy(module.state_dict())
    modes = [part.training for part in module.modules()]
    frozen = [parameter.requires_grad for parameter in module.parameters()]
    twin = COMPRESSORS[method](module, calibration=images(), **SETTINGS)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter += 1  # what is trained later shares no memory with it
    assert all(torch.equal(tensor, weights[name]) for name, tensor in module.state_dict().items())
    assert [part.training for part in module.modules()] == modes
    assert [parameter.requires_grad for parameter in module.parameters()] == frozen
    assert all(parameter.grad is None for parameter in module.parameters())


def test_the_calibration_images_stay_as_they_were(method: str) -> None:
    given = images()
    COMPRESSORS[method](Network(), calibration=given, **SETTINGS)
    assert np.array_equal(given, images())


def test_the_network_is_its_twin(method: str, twins: Callable[[str], Twin]) -> None:
    """On clean images, on noisy ones and at the ends of int16."""
    twin = twins(method)
    network = twin.integer_network()
    lowest, highest = -(1 << 15), (1 << 15) - 1
    noisy = np.random.default_rng(3).integers(lowest, highest + 1, (8, *SHAPE)).astype(np.int16)
    noisy[0], noisy[1] = lowest, highest
    assert require_equal(twin, network, images()) == 24 * 3
    assert require_equal(twin, network, noisy) == 8 * 3


def test_every_number_is_an_integer(method: str, twins: Callable[[str], Twin]) -> None:
    network = twins(method).integer_network()
    assert isinstance(network, IntegerNetwork)
    require_integers(network)


def test_the_same_input_gives_the_same_file(method: str, twins: Callable[[str], Twin]) -> None:
    again = COMPRESSORS[method](Network(), calibration=images(), **SETTINGS)
    assert codec.to_bytes(again.integer_network()) == codec.to_bytes(twins(method).integer_network())


def test_most_labels_are_those_of_the_float_network(method: str, twins: Callable[[str], Twin]) -> None:
    given = images(200)
    mean, std = (torch.tensor(v).reshape(-1, 1, 1) for v in ((0.5, 0.4), (0.25, 0.2)))
    with torch.no_grad():
        expected = Network().eval()((torch.tensor(given).float() / 255 - mean) / std).argmax(1)
    found = twins(method).integer_network().logits(given).argmax(1)
    assert len(set(expected.tolist())) > 1
    assert float((found == expected.numpy()).mean()) >= 0.95


def test_its_twin_can_be_trained(method: str, twins: Callable[[str], Twin]) -> None:
    twin = copy.deepcopy(twins(method)).train()
    before = twin.integer_network().digest
    optimiser = torch.optim.SGD(twin.parameters(), lr=0.05)
    torch.nn.functional.cross_entropy(twin(torch.tensor(images())), torch.arange(24) % 3).backward()
    optimiser.step()
    assert twin.integer_network().digest != before


# What is refused


def test_no_images_are_refused(method: str) -> None:
    with pytest.raises(ConversionError, match="there are no calibration images"):
        COMPRESSORS[method](Network(), calibration=images(0), **SETTINGS)


@pytest.mark.parametrize("value", [0, 77, 255])
@pytest.mark.parametrize("count", [1, 9])
def test_images_that_are_all_alike_are_refused(count: int, value: int, method: str) -> None:
    with pytest.raises(ConversionError, match="all calibration images are alike"):
        COMPRESSORS[method](Network(), calibration=np.full((count, *SHAPE), value, np.uint8), **SETTINGS)


def test_a_network_with_nothing_to_quantise_is_refused(method: str) -> None:
    module = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ConversionError, match="nothing to quantise"):
        COMPRESSORS[method](module, calibration=images(), **SETTINGS)


def test_what_has_no_integer_form_is_refused_by_name(method: str) -> None:
    """Never left in float in silence."""
    module = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Sigmoid(), nn.Flatten(), nn.Linear(48, 3))
    with pytest.raises(ConversionError, match=r"'1'.*Sigmoid|Sigmoid.*'1'|sigmoid"):
        COMPRESSORS[method](module, calibration=images(), **SETTINGS)
