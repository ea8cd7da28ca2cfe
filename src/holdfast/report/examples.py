"""Noisy copies of an input, as the base classifier saw them, and how it labelled them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from holdfast.noise import noise_law
from holdfast.records import Purpose, Run

__all__ = ["COPIES", "Example", "noisy_example"]

COPIES = 4


@dataclass(frozen=True, slots=True, eq=False)
class Example:
    """An input, and the first of its noisy copies.

    Attributes:
        index: of the input.
        image: uint8 (C, H, W).
        copies: the noisy copies, uint8 (N, C, H, W), cut to 0..255 for showing; the classifier sees them uncut.
        labels: what the classifier said about each copy, from the ledger.
    """

    index: int
    image: NDArray[np.uint8]
    copies: NDArray[np.uint8]
    labels: tuple[int, ...]


def noisy_example(
    run: Run, index: int, input_digest: bytes, image: NDArray[np.uint8], labels: Sequence[int]
) -> Example:
    """The first estimation samples of an input: the noise of the run's law at the run's own addresses.

    Args:
        run: the run.
        index: of the input.
        input_digest: 32 bytes, of the image.
        image: uint8, the run's shape.
        labels: of the estimation samples, from the first on.
    """
    count = min(COPIES, len(labels))
    address = run.address(input_digest, Purpose.ESTIMATE)
    noise = noise_law(run.noise, run.sigma_px).sample(address, 0, count, image.size)
    copies = np.clip(image.astype(np.float64) + noise.reshape(count, *image.shape), 0, 255).round().astype(np.uint8)
    return Example(index, image, copies, tuple(int(label) for label in labels[:count]))
