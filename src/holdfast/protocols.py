"""What the rooms expect of each other, as protocols."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from holdfast.records import Address

__all__ = ["Noise", "NoisyClassifier"]


@runtime_checkable
class Noise(Protocol):
    """A noise law as a pure function from addresses to noise."""

    @property
    def name(self) -> str:
        """``discrete``, ``rounded`` or ``continuous``."""

    @property
    def sigma_px(self) -> Fraction:
        """Scale in grey levels (255 times the scale in image units), exact."""

    @property
    def total_variation(self) -> Fraction:
        """Proved upper limit of the total variation distance, per coordinate, between this sampler and the ideal law."""

    @property
    def digest(self) -> str:
        """Hex SHA-256 of everything that determines the samples (the table's thresholds)."""

    def sample(self, address: Address, start: int, count: int, dimension: int) -> NDArray[Any]:
        """Noise of samples ``start .. start+count-1``: shape (count, dimension); int16 for integer laws."""


@runtime_checkable
class NoisyClassifier(Protocol):
    """A base classifier that labels noisy copies of an image: what every executor implements."""

    @property
    def fingerprint(self) -> str:
        """Hex SHA-256 of everything that determines a label, noise excluded."""

    @property
    def description(self) -> dict[str, Any]:
        """The readable facts behind the fingerprint (evaluation mode, dtype, versions, ...); JSON values only."""

    @property
    def executor(self) -> str:
        """What computes the labels here, for people: ``native amxint8``, ``reference``, ``torch bfloat16``."""

    @property
    def num_classes(self) -> int:
        """Labels are ``0 .. num_classes-1``."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape (C, H, W) of one image."""

    @property
    def noise(self) -> Noise:
        """The law of the noise added to the copies."""

    def labels(self, image: NDArray[np.uint8], address: Address, start: int, count: int) -> NDArray[np.uint16]:
        """Labels of noisy copies ``start .. start+count-1`` of ``image``: a pure function of its arguments.

        The label of a copy does not depend on ``start`` or ``count``, so any division into calls gives the same labels.
        """
