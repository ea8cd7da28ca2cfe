"""Curves and histograms as PNG and SVG files: the same bytes whenever they are drawn by the same matplotlib."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from holdfast.errors import MissingDependency
from holdfast.report.content import Measured, RunReport
from holdfast.report.histogram import BINS, histogram_rows
from holdfast.report.tables import curve_series

__all__ = ["write_curves", "write_histogram"]

_OUTCOMES = (("right", "#15803d"), ("wrong", "#c2410c"), ("abstained", "#6b7280"))


def write_curves(path: Path, curves: Sequence[Measured]) -> None:
    """Draw certified accuracy against radius, one step line per curve; published ones are dashed.

    Args:
        path: ends in ``.png`` or ``.svg``.
        curves: what is compared.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    figure, axes = _figure()
    for series in curve_series(curves):
        x, y = zip(*series.corners, strict=True)
        axes.plot(x, y, label=series.name, linestyle="--" if series.dashed else "-")
    axes.set(xlabel="L2 radius (image units)", ylabel="certified accuracy", ylim=(0, 1.02))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    _save(figure, axes, path)


def write_histogram(path: Path, report: RunReport) -> None:
    """Draw how many inputs have which lower limit of p_A, by outcome.

    Args:
        path: ends in ``.png`` or ``.svg``.
        report: of the run.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    figure, axes = _figure()
    rows = histogram_rows(report)
    floor = [0] * BINS
    for column, (outcome, colour) in enumerate(_OUTCOMES, 2):
        numbers = [int(row[column]) for row in rows]
        axes.bar([(i + 0.5) / BINS for i in range(BINS)], numbers, 0.9 / BINS, floor, color=colour, label=outcome)
        floor = [a + b for a, b in zip(floor, numbers, strict=True)]
    axes.set(xlabel="lower limit of p_A", ylabel="inputs", xlim=(0, 1))
    _save(figure, axes, path)


def _figure() -> tuple[Any, Any]:
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency("drawing needs matplotlib: pip install 'holdfast[report]'") from error
    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _save(figure: Any, axes: Any, path: Path) -> None:
    """Write without dates, versions and random names."""
    from matplotlib import rc_context

    for text in axes.legend(frameon=False).get_texts():
        text.set_parse_math(False)
    metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
    with rc_context({"svg.hashsalt": "holdfast"}):
        figure.savefig(path, metadata=metadata)
