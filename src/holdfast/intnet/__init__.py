"""Integer networks: operations, the rounding law, the proof of their ranges, the reference executor, the file format."""

from __future__ import annotations

from holdfast.intnet.codec import load, save
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
from holdfast.intnet.table import LayerRow, layer_table, require_integers

__all__ = [
    "LAW_VERSION",
    "Add",
    "AvgPool",
    "Concat",
    "Conv",
    "Flatten",
    "Input",
    "IntegerNetwork",
    "LayerRow",
    "Linear",
    "MaxPool",
    "Op",
    "Pad",
    "Requantise",
    "Rescale",
    "Residual",
    "Subsample",
    "layer_table",
    "load",
    "quantise_ratio",
    "require_integers",
    "save",
]
