"""Noise as an address: pure functions from (run key, input, purpose, sample, coordinate) to noise."""

from __future__ import annotations

from fractions import Fraction

from holdfast.errors import ParameterError
from holdfast.noise.continuous import ContinuousGaussian
from holdfast.noise.discrete_gaussian import DiscreteGaussian
from holdfast.noise.rounded_gaussian import RoundedGaussian
from holdfast.noise.tables import noise_charge
from holdfast.protocols import Noise

__all__ = ["LAWS", "ContinuousGaussian", "DiscreteGaussian", "RoundedGaussian", "noise_charge", "noise_law"]

LAWS: dict[str, type[DiscreteGaussian] | type[RoundedGaussian] | type[ContinuousGaussian]] = {
    law.name: law for law in (DiscreteGaussian, RoundedGaussian, ContinuousGaussian)
}


def noise_law(name: str, sigma_px: str | int | Fraction) -> Noise:
    """A noise law by its name: ``discrete``, ``rounded`` or ``continuous``.

    Raises:
        ParameterError: an unknown name, or a scale outside (0, 2400].

    Example:
        >>> noise_law("discrete", "63.75")
        DiscreteGaussian(sigma_px=255/4)
    """
    if name not in LAWS:
        raise ParameterError(f"unknown noise {name!r}; known: {', '.join(LAWS)}")
    return LAWS[name](sigma_px)
