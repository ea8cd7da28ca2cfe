"""Tables, curves and pages from records; computes no certificate."""

from __future__ import annotations

from holdfast.report.content import ImportedReport, Measured, RunReport
from holdfast.report.cost import Cost, network_cost
from holdfast.report.delimited import csv_tables, radii_csv
from holdfast.report.examples import Example, noisy_example
from holdfast.report.figure import write_curves, write_histogram
from holdfast.report.html import html_report
from holdfast.report.markdown import inputs_markdown, markdown_report
from holdfast.report.timings import Timing
from holdfast.report.writing import check_outputs, write_report

__all__ = [
    "Cost",
    "Example",
    "ImportedReport",
    "Measured",
    "RunReport",
    "Timing",
    "check_outputs",
    "csv_tables",
    "html_report",
    "inputs_markdown",
    "markdown_report",
    "network_cost",
    "noisy_example",
    "radii_csv",
    "write_curves",
    "write_histogram",
    "write_report",
]
