"""Tables, curves and pages from records; computes no certificate."""

from __future__ import annotations

from holdfast.report.content import RunReport
from holdfast.report.figure import write_png
from holdfast.report.html import html_report
from holdfast.report.markdown import markdown_report

__all__ = ["RunReport", "html_report", "markdown_report", "write_png"]
