"""The table of an integer network, and the check that nothing in it is a float."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from holdfast.errors import NetworkError
from holdfast.intnet import (
    Add,
    AvgPool,
    Conv,
    Flatten,
    Input,
    IntegerNetwork,
    Linear,
    MaxPool,
    Requantise,
    Residual,
    layer_table,
    require_integers,
)
from holdfast.intnet.table import LayerRow


def law(*pairs: tuple[int, int]) -> Requantise:
    return Requantise(np.array([m for m, _ in pairs], np.int32), np.array([s for _, s in pairs], np.uint8), -127, 127)


def network() -> IntegerNetwork:
    ones = np.ones((2, 1, 3, 3), np.int8)
    return IntegerNetwork([
        Input("input", (1, 4, 4), np.array([100], np.int32), law((1, 8))),
        Conv("conv", 0, ones * np.array([3, -2], np.int8).reshape(2, 1, 1, 1), np.array([7, -1], np.int32),
             law((3, 4), (5, 10)), padding=(1, 1, 1, 1)),
        Conv("body", 1, np.full((2, 1, 1, 1), 4, np.int8), np.zeros(2, np.int32), law((1, 2)), groups=2,
             residual=Residual(1, np.array([10, 0], np.int32))),
        Add("sum", (1, 2), (3, 2), 2, -127, 127),
        MaxPool("pool", 3, (2, 2), (2, 2)),
        AvgPool("mean", 4, (2, 2), (2, 2), law((1, 2))),
        Flatten("flat", 5),
        Linear("fc", 6, np.array([[1, 2], [3, -4], [5, 6]], np.int8), np.array([0, 1, -2], np.int32), None),
    ])  # fmt: skip


def test_each_operation_has_its_row() -> None:
    """By hand: the input reaches (32767 + 32768 - ...) and everything after it at most 127."""
    rows = {row.name: row for row in layer_table(network())}
    quarter = (0.25, 0.25)
    assert rows["input"] == LayerRow("input", "Input", (1, 4, 4), 8, (1 / 256, 1 / 256), 32768 + 100, 4 + 4 + 1, 0)
    assert rows["conv"] == LayerRow(
        "conv", "Conv", (2, 4, 4), 8, (5 / 1024, 3 / 16), 27 * 127 + 7, 18 + 8 + 2 * (4 + 1), 18 * 16
    )
    low = rows["body"]
    assert (low.kind, low.shape, low.multipliers, low.macs) == ("Conv", (2, 4, 4), quarter, 2 * 16)
    assert low.accumulator == (4 + 10) * 127
    assert low.bytes == 2 + 8 + 4 + 1 + 8
    assert rows["sum"].multipliers is None
    assert (rows["pool"].accumulator, rows["pool"].bytes, rows["pool"].macs) == (0, 0, 0)
    assert (rows["mean"].shape, rows["mean"].multipliers) == ((2, 1, 1), quarter)
    assert rows["flat"].shape == (2,)
    assert (rows["fc"].bits, rows["fc"].multipliers, rows["fc"].macs, rows["fc"].bytes) == (32, None, 6, 6 + 12)


def test_the_rows_add_up_to_the_network() -> None:
    found = network()
    rows = layer_table(found)
    assert [row.name for row in rows] == [op.name for op in found.operations]
    assert sum(row.macs for row in rows) == found.macs
    assert sum(row.bytes for row in rows) >= found.weights
    assert [row.bits for row in rows] == [8] * 7 + [32]
    for row, ranges in zip(rows, found.ranges, strict=True):
        assert row.accumulator == int(ranges.accumulator.max())


def test_operations_and_arrays_are_counted() -> None:
    operations, arrays = require_integers(network())
    assert operations == 8
    assert arrays == 3 + 4 + 5 + 0 + 0 + 2 + 0 + 2


def smuggled(position: int, **changes: Any) -> IntegerNetwork:
    """A network into which something else was put after it had been checked."""
    found = network()
    operations = list(found.operations)
    operations[position] = replace(operations[position], **changes)
    found.operations = tuple(operations)
    return found


@pytest.mark.parametrize(
    ("position", "changes", "said"),
    [
        (7, {"weight": np.ones((3, 2), np.float32)}, "fc: an array of float32 in an integer network"),
        (1, {"bias": np.zeros(2, bool)}, "conv: an array of bool in an integer network"),
        (3, {"multipliers": (0.5, 2)}, "sum: 0.5 in an integer network"),
        (3, {"shift": 2.0}, r"sum: 2\.0 in an integer network"),
        (4, {"stride": (True, 1)}, "pool: True in an integer network"),
        (2, {"residual": Residual(1, np.ones(2, np.float64))}, "body: an array of float64"),
    ],
)
def test_what_is_no_integer_is_named(position: int, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(NetworkError, match=said):
        require_integers(smuggled(position, **changes))
