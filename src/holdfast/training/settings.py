"""Everything the weights of a training are a function of, on one machine: what a resumed training compares."""

from __future__ import annotations

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from holdfast.digest import array_digest
from holdfast.records import Preprocessing
from holdfast.training.objectives import Objective
from holdfast.training.precision import Execution
from holdfast.training.recipes import Recipe

__all__ = ["training_settings"]


def training_settings(
    module: nn.Module,
    images: NDArray[np.uint8],
    labels: NDArray[np.int64],
    preprocessing: Preprocessing | None,
    sigma: Fraction,
    recipe: Recipe,
    seed: int,
    *,
    objective: Objective,
    execution: Execution,
) -> dict[str, Any]:
    """The arguments of a training as JSON values, arrays and initial weights as digests."""
    return {
        "images": array_digest(images).hex(),
        "labels": array_digest(labels).hex(),
        "initial_weights": _weights_digest(module),
        "mean": None if preprocessing is None else list(preprocessing.mean),
        "std": None if preprocessing is None else list(preprocessing.std),
        "sigma": str(sigma),
        "recipe": recipe.to_json(),
        "seed": seed,
        "objective": objective.to_json(),
        "execution": execution.to_json(),
    }


def _weights_digest(module: nn.Module) -> str:
    """Hex SHA-256 of names and values of all tensors of a module."""
    digest = hashlib.sha256()
    for name, value in module.state_dict().items():
        digest.update(name.encode() + b"\0" + array_digest(value.detach().cpu().float().numpy()))
    return digest.hexdigest()
