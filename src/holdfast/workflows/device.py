"""``holdfast verify-device``: does this machine compute the logits that the law prescribes, on every engine it has?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import array_digest
from holdfast.engine.integer import noisy_copies
from holdfast.engine.native import NativeNetwork, available, isas
from holdfast.errors import NotReproducibleHere
from holdfast.intnet import IntegerNetwork
from holdfast.noise import noise_law
from holdfast.records import Address, Purpose

__all__ = ["EngineFinding", "check_engines", "golden_images"]

_GOLDEN_SIGMA_PX = Fraction(255, 2)


@dataclass(frozen=True, slots=True)
class EngineFinding:
    """What one engine gave.

    Attributes:
        engine: ``reference``, or ``native`` with its instruction set.
        digest: hex SHA-256 of the golden inputs' logits; None if the engine cannot run here.
        equal: whether they are the reference's; None if it cannot run.
        note: why it cannot run, or where it differs.
    """

    engine: str
    digest: str | None
    equal: bool | None
    note: str = ""


def golden_images(shape: tuple[int, int, int], count: int) -> NDArray[np.int16]:
    """Inputs that are the same everywhere: an image by rule, plus discrete Gaussian noise from a published address.

    Args:
        shape: (C, H, W).
        count: how many; the first has no noise.

    Example:
        >>> golden_images((1, 1, 4), 2)[0].tolist()
        [[[11, 48, 85, 122]]]
    """
    size = shape[0] * shape[1] * shape[2]
    image = ((np.arange(size) * 37 + 11) % 256).astype(np.uint8).reshape(shape)
    address = Address(hashlib.sha256(b"holdfast golden inputs").digest(), array_digest(image), Purpose.VERIFY)
    noisy = noisy_copies(image, noise_law("discrete", _GOLDEN_SIGMA_PX), address, 0, count - 1)
    return np.concatenate([image.astype(np.int16)[None], noisy])


def check_engines(network: IntegerNetwork, count: int) -> Iterator[EngineFinding]:
    """The golden inputs through the reference, then through every instruction set of the native engine.

    Args:
        network: the network.
        count: golden inputs, at least 1.

    Yields:
        a finding per engine, the reference's first.
    """
    images = golden_images(network.shape, count)
    expected = network.logits(images)
    yield EngineFinding("reference", _digest(expected), True)
    if not available():
        yield EngineFinding("native", None, None, "the native engine is not built here, or HOLDFAST_NATIVE=0")
    for isa, here in isas().items():
        name = f"native {isa}"
        if not here:
            yield EngineFinding(name, None, None, "this processor does not have it")
            continue
        try:
            logits = NativeNetwork(network, isa).logits(images)
        except NotReproducibleHere as error:
            yield EngineFinding(name, None, False, str(error))
            continue
        wrong = np.argwhere(logits != expected)
        note = "" if not len(wrong) else f"logit {wrong[0][1]} of golden input {wrong[0][0]} differs"
        yield EngineFinding(name, _digest(logits), not len(wrong), note)


def _digest(logits: NDArray[np.int32]) -> str:
    return array_digest(logits).hex()
