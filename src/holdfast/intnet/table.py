"""An integer network as a table: one row per operation, with what was proved about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import numpy as np

from holdfast.errors import NetworkError
from holdfast.intnet.network import IntegerNetwork
from holdfast.intnet.ops import AvgPool, Conv, Input, Linear, Rescale

__all__ = ["LayerRow", "layer_table", "require_integers"]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One operation.

    Attributes:
        name: of the operation, as in the float network.
        kind: ``Conv``, ``Linear``, ...
        shape: of its value.
        bits: of its value: 8, or 32 for raw logits.
        multipliers: smallest and largest effective multiplier ``M / 2^s``, or None if it does not requantise.
        accumulator: proved bound on every partial sum, or 0 where nothing is summed.
        bytes: of weights, biases, multipliers, shifts, residual factors.
        macs: multiplications with a weight for one image.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    bits: int
    multipliers: tuple[float, float] | None
    accumulator: int
    bytes: int
    macs: int


def layer_table(network: IntegerNetwork) -> list[LayerRow]:
    """A row for every operation, in order."""
    rows = []
    for position, op in enumerate(network.operations):
        law = op.requantise if isinstance(op, Input | Conv | Linear | AvgPool | Rescale) else None
        factors = None if law is None else np.ldexp(law.multiplier.astype(np.float64), -law.shift.astype(np.int64))
        rows.append(
            LayerRow(
                name=op.name,
                kind=type(op).__name__,
                shape=network.values[position],
                bits=32 if network.is_raw(position) else 8,
                multipliers=None if factors is None else (float(factors.min()), float(factors.max())),
                accumulator=int(network.ranges[position].accumulator.max()),
                bytes=sum(array.nbytes for array in _arrays(op)),
                macs=network.macs_of(position),
            )
        )
    return rows


def require_integers(network: IntegerNetwork) -> tuple[int, int]:
    """Check that every number in every operation is an integer; returns how many operations and arrays were checked.

    Raises:
        NetworkError: one is not; it is named.
    """
    arrays = 0
    for op in network.operations:
        for value in _leaves(op):
            if isinstance(value, np.ndarray):
                arrays += 1
                if value.dtype.kind not in "iu":
                    raise NetworkError(f"{op.name}: an array of {value.dtype} in an integer network")
            elif not isinstance(value, int | str | None) or isinstance(value, bool):
                raise NetworkError(f"{op.name}: {value!r} in an integer network")
    return len(network.operations), arrays


def _arrays(op: object) -> list[np.ndarray[Any, Any]]:
    return [value for value in _leaves(op) if isinstance(value, np.ndarray)]


def _leaves(value: Any) -> Iterator[Any]:
    """Everything inside an operation that is no container."""
    if is_dataclass(value):
        for f in fields(value):
            yield from _leaves(getattr(value, f.name))
    elif isinstance(value, tuple):
        for part in value:
            yield from _leaves(part)
    else:
        yield value
