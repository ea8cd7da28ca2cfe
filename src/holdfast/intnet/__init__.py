"""Integer networks: operations, the rounding law, the proof of their ranges, the reference executor, the file format."""

from __future__ import annotations

from holdfast.intnet.fixedpoint import LAW_VERSION, Requantise, quantise_ratio
from holdfast.intnet.network import IntegerNetwork
from holdfast.intnet.ops import (
    Add,
    AvgPool,
    Concat,
    Conv,
    Flatten,
    Input,
    Linear,
    MaxPool,
    Op,
    Pad,
    Rescale,
    Residual,
    Subsample,
)

__all__ = [
    "LAW_VERSION",
    "Add",
    "AvgPool",
    "Concat",
    "Conv",
    "Flatten",
    "Input",
    "IntegerNetwork",
    "Linear",
    "MaxPool",
    "Op",
    "Pad",
    "Requantise",
    "Rescale",
    "Residual",
    "Subsample",
    "quantise_ratio",
]
