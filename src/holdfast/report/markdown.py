"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.report.content import GUARANTEE, NO_GUARANTEE, ImportedReport, Measured, RunReport, curve_names
from holdfast.report.histogram import HISTOGRAM_COLUMNS, histogram_rows
from holdfast.report.inputs import INPUT_COLUMNS, input_rows
from holdfast.report.tables import METRICS, OVERVIEW_COLUMNS, metric_table, overview_rows, provenance_facts
from holdfast.report.timings import time_by_outcome, time_by_place, time_facts

__all__ = ["inputs_markdown", "markdown_report"]


def markdown_report(
    title: str, runs: Sequence[RunReport], figure: str | None = None, imported: Sequence[ImportedReport] = ()
) -> str:
    """The page without its inputs: accuracy, then one section per run.

    Args:
        title: heading of the page.
        runs: what to report.
        figure: file name of the curve, when one was drawn.
        imported: published results to stand beside them.
    """
    curves: list[Measured] = [*runs, *imported]
    parts = [f"# {_plain(title)}\n"]
    if figure:
        parts.append(f"![certified accuracy against radius]({figure})\n")
    parts.append(_table(OVERVIEW_COLUMNS, overview_rows(curves)))
    for metric, (_, meaning) in METRICS.items():
        parts.append(f"## {metric.capitalize()}\n\n{meaning}\n\n{_table(*metric_table(curves, metric))}")
    parts += [_run(report, name) for report, name in zip(runs, curve_names(curves), strict=False)]
    parts += [_imported(report) for report in imported]
    parts.append(f"## What this says\n\n{GUARANTEE}\n\n{NO_GUARANTEE}\n")
    return "\n".join(parts)


def inputs_markdown(title: str, curves: Sequence[Measured]) -> str:
    """The inputs of each curve as a table."""
    parts = [f"# {_plain(title)}\n"]
    for curve, name in zip(curves, curve_names(curves), strict=True):
        parts.append(f"## {_plain(name)}\n\n{_table(INPUT_COLUMNS, input_rows(curve))}")
    return "\n".join(parts)


def _run(report: RunReport, name: str) -> str:
    warning = "" if report.run.exact else "**Float noise: these radii are outside the exact guarantee.**\n\n"
    size = report.cost.facts() if report.cost else []
    time = time_facts(report.timings, report.total * (report.run.n0 + report.run.n))
    parts = [
        f"## Run {report.run.id}\n\n{_plain(name)}\n\n{warning}{_table(('fact', 'value'), report.headline())}",
        f"### Probability of the class\n\n{_table(HISTOGRAM_COLUMNS, histogram_rows(report))}",
        f"### Time and size\n\n{_table(('fact', 'value'), time + size)}",
    ]
    if report.timings:
        where = ("host and engine", "inputs", "samples", "time", "samples per second")
        parts.append(_table(where, time_by_place(report.timings)))
        what = ("spent on inputs that are", "inputs", "time", "share of the time")
        parts.append(_table(what, time_by_outcome(report.timings, report.results)))
    parts.append(f"### Provenance\n\n{_table(('fact', 'value'), provenance_facts(report))}")
    return "\n".join(parts)


def _imported(report: ImportedReport) -> str:
    known = report.imported
    rows = [("imported from", known.source), ("SHA-256 of that file", known.source_digest), ("data", known.data)]
    return f"## {_plain(report.name)}\n\n{_table(('fact', 'value'), rows)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_plain(cell) for cell in line)} |\n" for line in lines)


def _plain(text: str) -> str:
    """Text that cannot end a table cell or start markup of its own."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", " ".join(text.split()))
