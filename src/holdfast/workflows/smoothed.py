"""The library's front door, for people who know Cohen's ``Smooth``."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from holdfast.certify import certify, check_image, new_run, predict
from holdfast.digest import array_digest
from holdfast.engine.torch import TorchClassifier
from holdfast.noise import noise_law
from holdfast.records import Certificate, Preprocessing
from holdfast.rounding import exact_decimal

if TYPE_CHECKING:
    from torch import nn

__all__ = ["Smoothed"]


class Smoothed:
    """A network, smoothed with integer Gaussian noise, that predicts and certifies.

    Args:
        module: maps preprocessed batches (N, C, H, W) to logits.
        num_classes: number of logits.
        sigma: noise scale in [0, 1] image units, a decimal string or Fraction.
        shape: (C, H, W) of an image.
        mean: per channel, in [0, 1] image units; the network's input is ``(pixels / 255 - mean) / std``.
        std: per channel.
        noise: ``discrete`` (Theorem A1), ``rounded`` (I.1) or ``continuous`` (a float baseline without exact guarantee).
        dtype: ``float32``, ``bfloat16`` or ``float16``.
        device: ``cpu`` or ``cuda``.

    Raises:
        ParameterError: a value out of range, or a network that does not fit ``shape`` and ``num_classes``.

    Example:
        >>> import torch
        >>> brightness = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(4, 2, bias=False))
        >>> with torch.no_grad():
        ...     _ = brightness[1].weight.copy_(torch.tensor([[-1.0] * 4, [1.0] * 4]))
        >>> smoothed = Smoothed(brightness, num_classes=2, sigma="0.25", shape=(1, 2, 2), mean=(0.5,), std=(1.0,))
        >>> cert = smoothed.certify(np.full((1, 2, 2), 250, dtype=np.uint8), n0=100, n=1000, alpha="0.001")
        >>> cert.label, cert.abstained, cert.radius_sq_px > 15000
        (1, False, True)
        >>> smoothed.predict(np.full((1, 2, 2), 5, dtype=np.uint8), n=1000, alpha="0.001")
        0
    """

    def __init__(
        self,
        module: nn.Module,
        *,
        num_classes: int,
        sigma: str | Fraction,
        shape: tuple[int, int, int],
        mean: tuple[float, ...] | None = None,
        std: tuple[float, ...] | None = None,
        noise: str = "discrete",
        dtype: str = "float32",
        device: str = "cpu",
    ) -> None:
        channels = shape[0]
        self.classifier = TorchClassifier(
            module,
            num_classes=num_classes,
            shape=shape,
            preprocessing=Preprocessing(mean or (0.0,) * channels, std or (1.0,) * channels),
            noise=noise_law(noise, exact_decimal(sigma, "sigma") * 255),
            dtype=dtype,
            device=device,
        )

    def certify(
        self, image: NDArray[np.uint8], n0: int = 100, n: int = 100_000, alpha: str = "0.001", nonce: str | None = None
    ) -> Certificate:
        """Certify one image as a run of its own, with a fresh key.

        Args:
            image: uint8, shape (C, H, W).
            n0: samples that select the class.
            n: samples that estimate its probability.
            alpha: failure probability, a decimal string.
            nonce: 64 hex digits to replay an earlier call.

        Returns:
            The certificate: ``label``, ``radius_sq_px`` (squared grey levels), ``radius`` (image units, rounded down),
            ``abstained``.

        Guarantee:
            With probability at least 1 - alpha over the noise, the smoothed prediction is ``label`` for every image
            within ``radius_sq_px``.
        """
        digest = array_digest(check_image(image, self.classifier.shape))
        run = new_run(
            self.classifier,
            data="one image",
            data_digest=hashlib.sha256(digest).hexdigest(),
            n0=n0,
            n=n,
            alpha=alpha,
            nonce=nonce,
        )
        return certify(self.classifier, image, run)

    def predict(self, image: NDArray[np.uint8], n: int = 1000, alpha: str = "0.001") -> int:
        """The smoothed class of one image, or :data:`holdfast.ABSTAIN`; a fresh secret key for every call.

        Args:
            image: uint8, shape (C, H, W).
            n: samples.
            alpha: probability of naming another class than the smoothed one.
        """
        return predict(self.classifier, image, n, exact_decimal(alpha, "alpha")).label
