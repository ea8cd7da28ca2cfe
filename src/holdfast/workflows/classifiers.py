"""From a model file to the classifier that is certified."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

from holdfast.engine.torch import TorchClassifier
from holdfast.errors import ParameterError
from holdfast.models import checkpoint
from holdfast.noise import noise_law
from holdfast.rounding import exact_decimal

__all__ = ["Loaded", "load_classifier"]

Loaded = tuple[TorchClassifier, dict[str, Any]]


def load_classifier(
    path: Path,
    *,
    sigma: str | None = None,
    noise: str = "discrete",
    dtype: str = "float32",
    device: str = "cpu",
    threads: int | None = None,
) -> Loaded:
    """Load a checkpoint as a noisy classifier.

    Args:
        path: a holdfast checkpoint.
        sigma: noise scale in image units; by default the one the network was trained at.
        noise: ``discrete``, ``rounded`` or ``continuous``.
        dtype: arithmetic of the network.
        device: ``cpu`` or ``cuda``.
        threads: CPU threads of a forward pass; by default torch's own number.

    Returns:
        The classifier and the checkpoint's metadata.

    Raises:
        ModelFileError: the file cannot be used.
        ParameterError: no sigma was given and none is recorded, or a value is out of range.
    """
    module, spec, metadata = checkpoint.load(path)
    chosen = sigma if sigma is not None else metadata.get("sigma")
    if chosen is None:
        raise ParameterError(f"{path} does not say at which noise it was trained: give --sigma")
    sigma_image: Fraction = exact_decimal(str(chosen), "sigma")
    classifier = TorchClassifier(
        module,
        num_classes=spec.num_classes,
        shape=spec.shape,
        preprocessing=spec.preprocessing,
        noise=noise_law(noise, sigma_image * 255),
        dtype=dtype,
        device=device,
        threads=threads,
    )
    return classifier, metadata
