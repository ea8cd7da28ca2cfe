"""An integer network as a table of text, for the verbs that show one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from holdfast.intnet import IntegerNetwork, LayerRow

__all__ = ["layer_lines"]

_HEADER = ("operation", "name", "shape", "bits", "multipliers", "accumulator <=", "bytes", "MACs")


def layer_lines(network: IntegerNetwork, saturated: Sequence[float] | None = None) -> list[str]:
    """A header and a line per operation, columns aligned; with the saturated share if it was measured."""
    from holdfast.intnet import layer_table

    rows = [list(_HEADER), *(_cells(row) for row in layer_table(network))]
    if saturated is not None:
        rows[0].append("saturated")
        for row, share in zip(rows[1:], saturated, strict=True):
            row.append(f"{share:.2%}")
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = 3  # columns of words; the others are numbers
    return [
        "  ".join(
            cell.ljust(width) if column < left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _cells(row: LayerRow) -> list[str]:
    factors = "" if row.multipliers is None else " to ".join(f"{m:.2e}" for m in sorted(set(row.multipliers)))
    return [
        row.kind,
        row.name,
        " x ".join(map(str, row.shape)),
        str(row.bits),
        factors,
        f"{row.accumulator:,}" if row.accumulator else "",
        f"{row.bytes:,}",
        f"{row.macs:,}" if row.macs else "",
    ]
