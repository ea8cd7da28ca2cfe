"""Executor for integer networks: labels that are the same on every machine, whatever computes them."""

from __future__ import annotations

from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import json_digest
from holdfast.errors import ParameterError
from holdfast.intnet import LAW_VERSION, IntegerNetwork
from holdfast.protocols import Noise
from holdfast.records import Address

__all__ = ["LARGEST_SIGMA_PX", "IntegerClassifier", "noisy_copies"]

LARGEST_SIGMA_PX = 2400
"""Beyond this a noisy pixel could leave int16."""
_BLOCK = 256


@final
class IntegerClassifier:
    """An integer network as a noisy classifier, run by the reference executor.

    With integer noise this is IntRS: there is no float between the pixels and the label. With ``continuous`` noise it is
    the float baseline FloatRS-quant: the noise is added in float32, the sum is rounded half up to whole grey levels and,
    if ``clip``, clipped to 0..255, and the integer network sees that.

    Args:
        network: the network.
        noise: law of the noise.
        clip: clip noisy pixels to 0..255 before the network sees them (post-processing, so it harms no certificate).

    Raises:
        ParameterError: sigma_px above 2400.

    Guarantee:
        A label is a function of the network's digest, ``clip``, the noise law and the address alone.
    """

    def __init__(self, network: IntegerNetwork, noise: Noise, clip: bool = False) -> None:
        if noise.sigma_px > LARGEST_SIGMA_PX:
            raise ParameterError(
                f"sigma_px {float(noise.sigma_px):g} is above {LARGEST_SIGMA_PX}: noisy pixels would not fit int16"
            )
        self.network, self.noise, self.clip = network, noise, clip

    @property
    def executor(self) -> str:
        """``reference``."""
        return "reference"

    @property
    def shape(self) -> tuple[int, ...]:
        """(C, H, W) of an image."""
        return self.network.shape

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.network.num_classes

    @property
    def fingerprint(self) -> str:
        """The network's digest; with ``clip``, a digest of that."""
        return self.network.digest if not self.clip else json_digest([self.network.digest, "clipped"]).hex()

    @property
    def description(self) -> dict[str, Any]:
        """What determines the labels, and the network's size; nothing about the machine, which determines nothing."""
        return {
            "evaluation": "integer",
            "law": LAW_VERSION,
            "network": self.network.digest,
            "clip": self.clip,
            "weights": self.network.weights,
            "macs": self.network.macs,
        }

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        """Labels of noisy copies ``start .. start+count-1``: uint16, length ``count``.

        Args:
            image: uint8, the network's shape.
            address: where the noise comes from.
            start: first sample, at least 0.
            count: number of samples, at least 0.
        """
        found = [np.empty(0, dtype=np.uint16)]
        for first in range(start, start + count, _BLOCK):
            size = min(_BLOCK, start + count - first)
            copies = noisy_copies(image, self.noise, address, first, size, self.clip)
            found.append(self.network.logits(copies).argmax(axis=1).astype(np.uint16))
        return np.concatenate(found)


def noisy_copies(
    image: NDArray[np.uint8], noise: Noise, address: Address, start: int, count: int, clip: bool = False
) -> NDArray[np.int16]:
    """``image + noise`` as int16, shape (count, C, H, W); float noise is rounded half up after it was added."""
    drawn = noise.sample(address, start, count, image.size).reshape(count, *image.shape)
    if drawn.dtype.kind == "f":
        copies = drawn + image.astype(drawn.dtype)
        copies += drawn.dtype.type(0.5)
        np.floor(copies, out=copies)
    else:
        copies = drawn.astype(np.int32) + image
    low, high = (0, 255) if clip else (-(1 << 15), (1 << 15) - 1)
    result: NDArray[np.int16] = copies.clip(low, high, out=copies).astype(np.int16)
    return result
