"""The tables of a report as CSV, for other programs: shares as decimals that are cut, never rounded up."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from holdfast.report.content import Measured, RunReport, curve_names
from holdfast.report.histogram import HISTOGRAM_COLUMNS, histogram_rows
from holdfast.report.inputs import INPUT_COLUMNS, input_rows
from holdfast.report.plot import reading_points
from holdfast.report.tables import METRICS, OVERVIEW_COLUMNS, curve_series, overview_rows, provenance_facts
from holdfast.report.timings import time_by_outcome, time_facts
from holdfast.rounding import decimal_text, truncated_text

__all__ = ["csv_tables", "radii_csv"]

_DIGITS = 6


def radii_csv(curves: Sequence[Measured]) -> str:
    """Every metric of every curve at every radius at which the page reads it out."""
    points = reading_points(curve_series(curves))
    header = ["curve", "radius", *(metric.replace(" ", "_") for metric in METRICS)]
    rows = [
        [name, decimal_text(r), *(truncated_text(getattr(curve, f)(r), _DIGITS) for f, _ in METRICS.values())]
        for curve, name in zip(curves, curve_names(curves), strict=True)
        for r in points
    ]
    return _text(header, rows)


def csv_tables(curves: Sequence[Measured]) -> dict[str, str]:
    """Every table of a report, by the name of its file."""
    named = list(zip(curves, curve_names(curves), strict=True))
    own = [(report, name) for report, name in named if isinstance(report, RunReport)]
    outcomes = ["outcome", "inputs", "time", "share of the time"]
    return {
        "radii.csv": radii_csv(curves),
        "overview.csv": _text(OVERVIEW_COLUMNS, overview_rows(curves)),
        "inputs.csv": _named(INPUT_COLUMNS, [(name, input_rows(curve)) for curve, name in named]),
        "histogram.csv": _named(HISTOGRAM_COLUMNS, [(name, histogram_rows(report)) for report, name in own]),
        "time.csv": _named(outcomes, [(name, time_by_outcome(r.timings, r.results)) for r, name in own]),
        "facts.csv": _named(["fact", "value"], [(name, _facts(report)) for report, name in own]),
    }


def _facts(report: RunReport) -> list[tuple[str, str]]:
    size = report.cost.facts() if report.cost else []
    return time_facts(report.timings, report.total * (report.run.n0 + report.run.n)) + size + provenance_facts(report)


def _named(header: Sequence[str], tables: Sequence[tuple[str, Sequence[Sequence[str]]]]) -> str:
    """One table of several, each row preceded by what it is of."""
    return _text(["curve", *header], [[name, *row] for name, rows in tables for row in rows])


def _text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_harmless(cell) for cell in row] for row in rows)
    return out.getvalue()


def _harmless(cell: str) -> str:
    """A text that a spreadsheet does not take for a formula; numbers stay as they are."""
    formula = cell[:1] in ("=", "+", "-", "@", "\t", "\r") and not cell[1:].replace(".", "", 1).isdigit()
    return f"'{cell}" if formula else cell
