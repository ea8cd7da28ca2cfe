"""The integer network: ordered integer operations that have been proved to obey the law. There is no float in it."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from holdfast.digest import array_digest, canonical_json
from holdfast.errors import NetworkError
from holdfast.intnet.fixedpoint import LAW_VERSION
from holdfast.intnet.ops import Conv, Flatten, Input, Linear, Op
from holdfast.intnet.ranges import ValueRange, output_range
from holdfast.intnet.shapes import Shape, is_raw, output_shape, sources_of

__all__ = ["LARGEST_OPS", "LARGEST_WIDTH", "IntegerNetwork"]

LARGEST_OPS = 1 << 14
LARGEST_WIDTH = 1 << 22
"""Most channels and features of all values together: each has a range, and a small file must not need much memory."""
_LONGEST_NAME = 200


@final
class IntegerNetwork:
    """Operations in order; the last one's value holds the logits. One that exists obeys law version 1.

    Operation ``i`` gives value ``i`` and reads earlier values only. The first is the :class:`~holdfast.intnet.ops.Input`.
    Values are int8 activations in [-127, 127], or raw int32 accumulators, which only the logits may be. The label is the
    position of the largest logit, the lowest on ties.

    Args:
        operations: in order.
        metadata: JSON values for people (where it comes from, accuracies); no part of the digest.

    Raises:
        NetworkError: shapes do not fit, a number is out of range, or an overflow cannot be excluded.

    Guarantee:
        For every int16 input and in any order of summation no accumulator leaves int32 and no product of the law leaves
        2^53 (:mod:`holdfast.intnet.ranges`).

    Example:
        >>> from holdfast.intnet import Flatten, Input, IntegerNetwork, Linear, Requantise
        >>> half = Requantise(np.array([1], np.int32), np.array([1], np.uint8), -127, 127)
        >>> weight = np.array([[1, 0], [0, 1], [1, 1]], np.int8)
        >>> network = IntegerNetwork([
        ...     Input("input", (1, 1, 2), np.array([128], np.int32), half),
        ...     Flatten("flatten", 0),
        ...     Linear("fc", 1, weight, np.zeros(3, np.int32), None),
        ... ])
        >>> network.logits(np.array([[[[130, 140]]]], np.uint8))  # (130 - 128) / 2 = 1 and (140 - 128) / 2 = 6
        array([[1, 6, 7]], dtype=int32)
        >>> network
        IntegerNetwork(1x1x2 to 3 classes, 3 operations, 6 weights, digest b3e7c2542006)
    """

    def __init__(self, operations: Iterable[Op], metadata: dict[str, Any] | None = None) -> None:
        self.operations = tuple(operations)
        self.metadata = dict(metadata or {})
        self.values, self.ranges = _checked(self.operations)

    def __repr__(self) -> str:
        size = f"{len(self.operations)} operations, {self.weights} weights"
        shape = "x".join(map(str, self.shape))
        return f"IntegerNetwork({shape} to {self.num_classes} classes, {size}, digest {self.digest[:12]})"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(C, H, W) of an image."""
        first = self.operations[0]
        assert isinstance(first, Input)
        return first.shape

    @property
    def num_classes(self) -> int:
        """Number of logits."""
        return self.values[-1][0]

    @property
    def weights(self) -> int:
        """Number of weights; each takes one byte."""
        return sum(op.weight.size for op in self.operations if isinstance(op, Conv | Linear))

    @property
    def macs(self) -> int:
        """Multiplications with a weight for one image."""
        return sum(self.macs_of(position) for position in range(len(self.operations)))

    def macs_of(self, position: int) -> int:
        """Multiplications with a weight of one operation, for one image; padded places count."""
        op = self.operations[position]
        if not isinstance(op, Conv | Linear):
            return 0
        return op.weight.size * math.prod(self.values[position][1:])

    def is_raw(self, position: int) -> bool:
        """Whether a value holds int32 accumulators instead of activations."""
        return _is_raw_value(self.operations, position)

    @cached_property
    def digest(self) -> str:
        """Hex SHA-256 of everything that determines a label: the law's version and the operations, names left out."""
        text = hashlib.sha256(canonical_json({"law": LAW_VERSION}))
        for op in self.operations:
            text.update(canonical_json(_form(op)))
        return text.hexdigest()

    def logits(self, images: NDArray[Any]) -> NDArray[np.int32]:
        """Logits of clean or noisy images, by the reference executor.

        Args:
            images: uint8 or int16, shape (N, C, H, W).

        Returns:
            int32, shape (N, num_classes).

        Raises:
            ParameterError: another shape or dtype.
        """
        from holdfast.intnet.reference import run

        return run(self, images)

    def save(self, path: Path | str) -> None:
        """Write an ``.hfi`` file, in one piece."""
        from holdfast.intnet.codec import save

        save(self, Path(path))


def _checked(operations: tuple[Op, ...]) -> tuple[tuple[Shape, ...], tuple[ValueRange, ...]]:
    if not 2 <= len(operations) <= LARGEST_OPS:
        raise NetworkError(f"a network has 2 to {LARGEST_OPS} operations, not {len(operations)}")
    shapes: list[Shape] = []
    ranges: list[ValueRange] = []
    width = 0
    for position, op in enumerate(operations):
        if not (1 <= len(op.name) <= _LONGEST_NAME and op.name.isprintable()):
            raise NetworkError(f"operation {position}: a name has 1 to {_LONGEST_NAME} printable characters")
        if isinstance(op, Input) != (position == 0):
            raise NetworkError(f"{op.name}: the first operation, and no other, is the input")
        for source in sources_of(op):
            if not 0 <= source < position:
                raise NetworkError(f"{op.name}: operation {position} reads value {source}, which is not an earlier one")
            if _is_raw_value(operations, source) and not isinstance(op, Flatten):
                raise NetworkError(f"{op.name}: reads raw accumulators, which only the logits may be")
        shapes.append(output_shape(op, shapes))
        width += shapes[-1][0]
        if width > LARGEST_WIDTH:
            raise NetworkError(f"{op.name}: the network has more than 2^22 channels and features up to here")
        ranges.append(output_range(op, ranges, shapes))
    _check_ends(operations, shapes)
    return tuple(shapes), tuple(ranges)


def _is_raw_value(operations: tuple[Op, ...], position: int) -> bool:
    """Whether a value holds int32 accumulators."""
    op = operations[position]
    return is_raw(op) or (isinstance(op, Flatten) and _is_raw_value(operations, op.source))


def _check_ends(operations: tuple[Op, ...], shapes: list[Shape]) -> None:
    if len(shapes[-1]) != 1 or not 2 <= shapes[-1][0] <= 1 << 16:
        raise NetworkError(f"{operations[-1].name}: the logits must be one flat value of 2 to 65536 numbers")
    read = {source for op in operations for source in sources_of(op)}
    for position, op in enumerate(operations[:-1]):
        if position not in read:
            raise NetworkError(f"{op.name}: value {position} is never read")


def _form(value: Any) -> Any:
    """An operation as JSON values: arrays as digests, names left out."""
    if is_dataclass(value) and not isinstance(value, type):
        content = {f.name: _form(getattr(value, f.name)) for f in fields(value) if f.name != "name"}
        return {"kind": type(value).__name__, **content}
    if isinstance(value, np.ndarray):
        return array_digest(value).hex()
    return list(value) if isinstance(value, tuple) else value
