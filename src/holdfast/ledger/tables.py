"""Certificates as flat tables for other programs: tab-separated as the field publishes them, CSV, and Parquet.

Radii in decimals are cut, never rounded up; the exact value is the integer ``radius_sq_px``.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from holdfast.errors import MissingDependency
from holdfast.ledger.ledger import Entry, Ledger
from holdfast.ledger.published import COLUMNS
from holdfast.records import Run
from holdfast.rounding import radius_text

__all__ = ["csv_table", "parquet_table", "tsv_table"]

_DIGITS = 6
_LONGEST_SECONDS = 1e9
_COLUMNS = {
    "run": "string", "data": "string", "sigma": "string", "noise": "string", "n0": "int64", "n": "int64",
    "alpha": "string", "index": "int64", "digest": "string", "true_label": "int64", "label": "int64",
    "prediction": "int64", "radius_sq_px": "int64", "radius": "float64", "p_lower": "float64", "p_upper": "float64",
    "selection_counts": "list", "counts": "list", "seconds": "float64",
}  # fmt: skip
"""Of CSV and Parquet, with Parquet's types; a list is one of int64."""


def tsv_table(ledger: Ledger, run: Run) -> bytes:
    """A run in the columns of Cohen et al.: ``idx label predict radius correct time``, one line per input.

    ``predict`` is -1 and ``radius`` 0 for an abstention. The radius is in [0, 1] image units, cut after six decimals where
    the original rounds to three digits. ``time`` is h:mm:ss, empty when nothing is known.
    """
    seconds = _seconds(ledger, run)
    lines = ["\t".join(COLUMNS)]
    for entry in ledger.entries(run):
        c = entry.certificate
        radius = "0.0" if c.abstained else radius_text(c.radius_sq_px, _DIGITS)
        time = str(timedelta(seconds=seconds[entry.index])) if entry.index in seconds else ""
        correct = int(c.prediction == entry.label)
        lines.append("\t".join(map(str, (entry.index, entry.label, c.prediction, radius, correct, time))))
    return ("\n".join(lines) + "\n").encode()


def csv_table(ledger: Ledger, runs: Sequence[Run]) -> bytes:
    """Certificates of runs, one line each, with every column of a certificate and what tells the runs apart.

    Lists are JSON; probabilities are written so that reading them gives the same double. ``radius`` is in [0, 1] image
    units, cut after six decimals, and empty for an abstention.
    """
    text = io.StringIO()
    writer = csv.DictWriter(text, list(_COLUMNS), lineterminator="\n")
    writer.writeheader()
    for run, entry, seconds in _lines(ledger, runs):
        row, radius_sq = _row(run, entry, seconds), entry.certificate.radius_sq_px
        row["radius"] = radius_text(radius_sq, _DIGITS) if radius_sq >= 0 else ""
        writer.writerow(row | {name: json.dumps(row[name]) for name in ("selection_counts", "counts")})
    return text.getvalue().encode()


def parquet_table(ledger: Ledger, runs: Sequence[Run]) -> bytes:
    """The columns of :func:`csv_table` as Parquet; ``radius`` is a double that is never too large, or null.

    Raises:
        MissingDependency: pyarrow is not installed.
    """
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingDependency("Parquet needs pyarrow: pip install 'holdfast[parquet]'") from error
    plain = {kind: getattr(pyarrow, kind)() for kind in ("string", "int64", "float64")}
    kinds = plain | {"list": pyarrow.list_(pyarrow.int64())}
    schema = pyarrow.schema([(name, kinds[kind]) for name, kind in _COLUMNS.items()])
    rows = [_row(run, entry, seconds) for run, entry, seconds in _lines(ledger, runs)]
    sink = io.BytesIO()
    parquet.write_table(pyarrow.Table.from_pylist(rows, schema=schema), sink)
    return sink.getvalue()


def _lines(ledger: Ledger, runs: Sequence[Run]) -> Iterator[tuple[Run, Entry, float | None]]:
    for run in runs:
        seconds = _seconds(ledger, run)
        for entry in ledger.entries(run):
            yield run, entry, seconds.get(entry.index)


def _row(run: Run, entry: Entry, seconds: float | None) -> dict[str, Any]:
    c = entry.certificate
    return {
        "run": run.id, "data": run.data, "sigma": run.sigma, "noise": run.noise, "n0": run.n0, "n": run.n,
        "alpha": run.alpha, "index": entry.index, "digest": entry.digest, "true_label": entry.label, "label": c.label,
        "prediction": c.prediction, "radius_sq_px": c.radius_sq_px, "radius": None if c.abstained else c.radius,
        "p_lower": c.p_lower, "p_upper": c.p_upper, "selection_counts": list(c.selection_counts),
        "counts": list(c.counts), "seconds": seconds,
    }  # fmt: skip


def _seconds(ledger: Ledger, run: Run) -> dict[int, float]:
    """Time spent on each input, in all; a time that is none is left out."""
    spent: dict[int, float] = {}
    for execution in ledger.executions(run):
        if 0 <= execution.seconds < _LONGEST_SECONDS:
            spent[execution.index] = spent.get(execution.index, 0.0) + execution.seconds
    return spent
