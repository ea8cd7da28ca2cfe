"""From a float network to an integer network: export, plan, calibrate, convert, and check that twin and network agree."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from holdfast.compression.calibrate import initial_scales
from holdfast.compression.evaluate import each_value
from holdfast.compression.export import to_graph
from holdfast.compression.plan import make_plan
from holdfast.compression.twin import Twin
from holdfast.errors import ConversionError, ParameterError
from holdfast.intnet import IntegerNetwork
from holdfast.models import to_input
from holdfast.noise import noise_law
from holdfast.records import Address, Preprocessing, Purpose
from holdfast.rounding import exact_decimal

__all__ = ["CALIBRATION_IMAGES", "require_equal", "to_integer", "to_twin"]

CALIBRATION_IMAGES = 512
"""Images that decide initial scales; more change little."""


def to_integer(
    module: nn.Module, *, calibration: NDArray[np.uint8], preprocessing: Preprocessing, sigma: str | Fraction = "0"
) -> IntegerNetwork:
    """Quantise a trained float network without further training.

    Args:
        module: maps preprocessed batches (N, C, H, W) to logits; built of convolutions, matrix products, batch norms,
            ReLUs, clamps, pools, sums, concats, flattenings. It is not changed.
        calibration: uint8, shape (N, C, H, W): images like those the network will see; a few hundred suffice.
        preprocessing: the one map from pixels to the network's input.
        sigma: scale of the noise it will see, in [0, 1] image units.

    Returns:
        The integer network, proved within the law's ranges, equal to its training twin on the calibration images.

    Raises:
        ConversionError: an operation that is not supported (names it, its module and its line); NaN or infinite
            weights; calibration images that are none or all alike.
        NetworkError: a channel's accumulator could overflow.

    Example:
        >>> module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(16, 3)).eval()
        >>> images = np.random.default_rng(0).integers(0, 256, (32, 1, 4, 4), dtype=np.uint8)
        >>> network = to_integer(module, calibration=images, preprocessing=Preprocessing((0.5,), (0.25,)))
        >>> network.logits(images).shape, [type(op).__name__ for op in network.operations]
        ((32, 3), ['Input', 'Conv', 'Flatten', 'Linear'])
    """
    twin = to_twin(module, calibration=calibration, preprocessing=preprocessing, sigma=sigma)
    network = twin.integer_network()
    require_equal(twin, network, calibration[:64])
    return network


def to_twin(
    module: nn.Module, *, calibration: NDArray[np.uint8], preprocessing: Preprocessing, sigma: str | Fraction = "0"
) -> Twin:
    """The calibrated training twin of a float network, in evaluation mode; arguments and errors as :func:`to_integer`."""
    _check_calibration(calibration)
    channels, height, width = calibration.shape[1:]
    graph = to_graph(module, (channels, height, width))
    plan = make_plan(graph)
    images = calibration[:: max(1, len(calibration) // CALIBRATION_IMAGES)][:CALIBRATION_IMAGES]
    noisy = torch.from_numpy(_noisy(images, exact_decimal(sigma, "sigma") * 255))
    with torch.no_grad():
        scales = initial_scales(plan, each_value(graph, to_input(noisy, preprocessing, torch.float64)))
    return Twin(plan, scales, preprocessing).eval()


def require_equal(twin: Twin, network: IntegerNetwork, images: NDArray[Any]) -> int:
    """Compare twin and network on every logit of some images; returns how many logits were compared.

    Raises:
        ConversionError: one differs: a defect of holdfast.
    """
    ours = twin.logits(torch.tensor(images)).numpy()
    reference = network.logits(images)
    if not np.array_equal(ours, reference):
        image, logit = np.argwhere(ours != reference)[0]
        raise ConversionError(
            f"the training twin gives {ours[image, logit]} and the integer network {reference[image, logit]} for logit "
            f"{logit} of image {image}: this is a defect of holdfast, please report it"
        )
    return ours.size


def _check_calibration(images: NDArray[np.uint8]) -> None:
    if images.dtype != np.uint8 or images.ndim != 4:
        raise ParameterError(f"calibration images must be uint8 (N, C, H, W), not {images.dtype} {images.shape}")
    if not images.size:
        raise ConversionError("there are no calibration images: give a few hundred like those the network will see")
    if len(images) < 2 or bool((images == images[:1]).all()):
        raise ConversionError("all calibration images are alike: give a few hundred like those the network will see")


def _noisy(images: NDArray[np.uint8], sigma_px: Fraction) -> NDArray[np.int16]:
    """Images with noise at a fixed address: calibration is reproducible and shares no noise with any run."""
    pixels = images.astype(np.int16)
    if sigma_px == 0:
        return pixels
    name = hashlib.sha256(b"holdfast calibration").digest()
    address = Address(name, name, Purpose.PILOT)
    noise: NDArray[np.int16] = noise_law("discrete", sigma_px).sample(address, 0, len(images), images[0].size)
    return pixels + noise.reshape(images.shape)
