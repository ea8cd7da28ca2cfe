"""The randomness of training: every draw comes from a generator named by (seed, epoch, purpose).

Nothing reads the global generator, so an epoch draws the same numbers whether or not the training was interrupted
before it. Training noise carries no guarantee; certificates draw theirs from :mod:`holdfast.noise`.
"""

from __future__ import annotations

import hashlib
from fractions import Fraction

import torch
from torch import Tensor

from holdfast.errors import ParameterError

__all__ = ["generator", "integer_noise", "sigma_fraction"]


def generator(seed: int, epoch: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A generator of its own for one purpose in one epoch.

    Example:
        >>> a, b = (torch.rand(3, generator=generator(0, 1, "order")) for _ in range(2))
        >>> bool((a == b).all())
        True
    """
    digest = hashlib.sha256(f"holdfast training/{seed}/{epoch}/{purpose}".encode("ascii")).digest()
    return torch.Generator(device=device).manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def integer_noise(shape: tuple[int, ...], sigma_px: float, source: torch.Generator) -> Tensor:
    """``round(N(0, sigma_px^2))``, the rounded Gaussian law up to float32 precision.

    Args:
        shape: of the result.
        sigma_px: scale in grey levels; 0 gives zeros.
        source: the generator; its device is the result's.

    Returns:
        float32 tensor of integers.

    Example:
        >>> n = integer_noise((1000,), 64.0, generator(0, 0, "noise"))
        >>> bool((n == n.round()).all()), 50 < n.std() < 80
        (True, tensor(True))
    """
    if sigma_px == 0:
        return torch.zeros(shape, device=source.device)
    return torch.randn(shape, generator=source, device=source.device).mul_(sigma_px).round_()


def sigma_fraction(sigma: Fraction | str) -> Fraction:
    """The scale of the noise in [0, 1] image units, exact; a float is refused because 0.1 is none.

    Raises:
        ParameterError: not a Fraction, decimal or fraction text, or negative.

    Example:
        >>> sigma_fraction("0.25") * 255
        Fraction(255, 4)
    """
    if not isinstance(sigma, Fraction | str):
        raise ParameterError(f"sigma must be a decimal text or a Fraction, not {sigma!r}")
    try:
        value = Fraction(sigma)
    except (ValueError, ZeroDivisionError):
        raise ParameterError(f"sigma must be a number such as 0.25 or 1/4, not {sigma!r}") from None
    if not 0 <= value * 255 <= 2400:
        raise ParameterError(f"sigma must be from 0 to {2400 / 255:.2f}, not {sigma}")
    return value
