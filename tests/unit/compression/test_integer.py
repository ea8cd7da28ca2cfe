"""From a module to an integer network: what comes out, what stays as it was, what is refused."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast import intnet
from holdfast.compression import require_equal, to_integer, to_twin
from holdfast.compression.integer import CALIBRATION_IMAGES
from holdfast.errors import ConversionError, ParameterError
from holdfast.intnet import IntegerNetwork, Linear, require_integers
from holdfast.records import Preprocessing

GREY = Preprocessing((0.5,), (0.25,))


@pytest.fixture(scope="module")
def module() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(144, 3)
    )


@pytest.fixture(scope="module")
def images() -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (40, 1, 8, 8), dtype=np.uint8)


@pytest.fixture(scope="module")
def network(module: nn.Module, images: NDArray[np.uint8]) -> IntegerNetwork:
    return to_integer(module, calibration=images, preprocessing=GREY)


def test_every_number_is_an_integer(network: IntegerNetwork) -> None:
    assert [type(op).__name__ for op in network.operations] == ["Input", "Conv", "Flatten", "Linear"]
    assert require_integers(network)[0] == 4
    assert (network.shape, network.num_classes) == ((1, 8, 8), 3)


def test_labels_are_mostly_those_of_the_float_network(
    module: nn.Module, network: IntegerNetwork, images: NDArray[np.uint8]
) -> None:
    with torch.no_grad():
        pixels = (torch.tensor(images).float() / 255 - 0.5) / 0.25
        logits = copy.deepcopy(module).eval()(pixels)
    agree = network.logits(images).argmax(1) == logits.argmax(1).numpy()
    assert agree.mean() >= 0.95


def test_the_same_call_gives_the_same_bytes(
    module: nn.Module, network: IntegerNetwork, images: NDArray[np.uint8], tmp_path: Path
) -> None:
    again = to_integer(module, calibration=images, preprocessing=GREY)
    network.save(tmp_path / "a.hfi")
    again.save(tmp_path / "b.hfi")
    assert (tmp_path / "a.hfi").read_bytes() == (tmp_path / "b.hfi").read_bytes()
    loaded = intnet.load(tmp_path / "a.hfi")
    assert loaded.digest == network.digest
    assert np.array_equal(loaded.logits(images), network.logits(images))


def test_the_noise_it_will_see_widens_the_input(
    module: nn.Module, network: IntegerNetwork, images: NDArray[np.uint8]
) -> None:
    """Calibrated under noise, a grey level is a smaller step, so that noisy pixels saturate less."""
    noisy = to_integer(module, calibration=images, preprocessing=GREY, sigma="0.5")

    def step(of: IntegerNetwork) -> float:
        law: Any = of.operations[0]
        return float(law.requantise.multiplier[0]) / 2.0 ** int(law.requantise.shift[0])

    assert step(noisy) < 0.8 * step(network)


def test_the_input_is_centred_at_the_mean(network: IntegerNetwork) -> None:
    first: Any = network.operations[0]
    assert first.center.tolist() == [128]  # 0.5 * 255 = 127.5, half up


def test_only_some_of_many_images_are_calibrated_on(module: nn.Module) -> None:
    many = np.random.default_rng(1).integers(0, 256, (3 * CALIBRATION_IMAGES, 1, 8, 8), dtype=np.uint8)
    first = to_integer(module, calibration=many, preprocessing=GREY)
    many[1::3] = 0  # these are not among them
    assert to_integer(module, calibration=many, preprocessing=GREY).digest == first.digest


def test_images_that_cannot_be_written_to_are_taken_in_silence(
    module: nn.Module, images: NDArray[np.uint8], recwarn: pytest.WarningsRecorder
) -> None:
    """Those of a data set are read-only."""
    fixed = images.copy()
    fixed.flags.writeable = False
    to_integer(module, calibration=fixed, preprocessing=GREY)
    assert [str(warning.message) for warning in recwarn if "writable" in str(warning.message)] == []


def test_a_difference_between_twin_and_network_is_found(module: nn.Module, images: NDArray[np.uint8]) -> None:
    twin = to_twin(module, calibration=images, preprocessing=GREY)
    network = twin.integer_network()
    assert require_equal(twin, network, images) == 40 * 3
    *start, last = network.operations
    assert isinstance(last, Linear)
    bias = last.bias.copy()
    bias[2] += 1
    other = IntegerNetwork([*start, Linear(last.name, last.source, last.weight, bias, None)])
    with pytest.raises(ConversionError, match=r"for logit 2 of image 0: this is a defect of holdfast"):
        require_equal(twin, other, images)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (np.zeros((4, 1, 8, 8), np.float32), r"must be uint8 \(N, C, H, W\), not float32"),
        (np.zeros((4, 1, 8, 8), np.int16), "must be uint8"),
        (np.zeros((4, 64), np.uint8), r"must be uint8 \(N, C, H, W\), not uint8 \(4, 64\)"),
    ],
)
def test_calibration_images_of_another_kind(module: nn.Module, wrong: Any, said: str) -> None:
    with pytest.raises(ParameterError, match=said):
        to_integer(module, calibration=wrong, preprocessing=GREY)


def test_a_network_for_other_images_is_refused(module: nn.Module) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (8, 3, 8, 8), dtype=np.uint8)
    with pytest.raises(ConversionError, match=r"cannot take images of shape \(3, 8, 8\)"):
        to_integer(module, calibration=colour, preprocessing=Preprocessing((0.5,) * 3, (0.25,) * 3))


def test_weights_that_are_not_finite_are_named(images: NDArray[np.uint8]) -> None:
    broken = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    with torch.no_grad():
        broken[1].weight[1, 5] = float("nan")
    with pytest.raises(ConversionError, match=r"1\.weight"):
        to_integer(broken, calibration=images, preprocessing=GREY)
