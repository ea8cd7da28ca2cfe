"""The certified-accuracy curve as a PNG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from holdfast.errors import MissingDependency
from holdfast.report.content import RunReport

__all__ = ["write_png"]


def write_png(path: Path, runs: Sequence[RunReport]) -> None:
    """Draw certified accuracy against radius, one step line per run.

    Raises:
        MissingDependency: matplotlib is not installed.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingDependency("drawing needs matplotlib: pip install 'holdfast[report]'") from error
    figure = Figure(figsize=(6.4, 4.0), dpi=150, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for report in runs:
        x, y = zip(*report.curve(), strict=True)
        mark = "" if report.run.exact else " (float noise, not exact)"
        axes.plot(x, y, label=f"{report.run.data}, sigma {report.run.sigma}, n = {report.run.n}{mark}")
    axes.set(xlabel="L2 radius (image units)", ylabel="certified accuracy", ylim=(0, 1.02))
    axes.set_xlim(left=0)
    axes.grid(alpha=0.3)
    for text in axes.legend(frameon=False).get_texts():
        text.set_parse_math(False)
    figure.savefig(path, metadata={"Software": None})
