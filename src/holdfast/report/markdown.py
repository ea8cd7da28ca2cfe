"""The report as Markdown."""

from __future__ import annotations

import re
from collections.abc import Sequence

from holdfast.report.content import GUARANTEE, NO_GUARANTEE, RunReport

__all__ = ["markdown_report"]


def markdown_report(title: str, runs: Sequence[RunReport], figure: str | None = None) -> str:
    """A page with one section per run.

    Args:
        title: heading of the page.
        runs: what to report.
        figure: file name of the curve, when one was drawn.
    """
    parts = [f"# {_plain(title)}\n"]
    if figure:
        parts.append(f"![certified accuracy against radius]({figure})\n")
    parts += [_section(report) for report in runs]
    parts.append(f"## What this says\n\n{GUARANTEE}\n\n{NO_GUARANTEE}\n")
    return "\n".join(parts)


def _section(report: RunReport) -> str:
    warning = "" if report.run.exact else "**Float noise: these radii are outside the exact guarantee.**\n\n"
    facts = _table(("fact", "value"), report.headline())
    numbers = _table(("radius", "certified accuracy", "certified percentage"), report.table())
    return f"## Run {report.run.id}\n\n{warning}{facts}\n{numbers}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(_plain(cell) for cell in line)} |\n" for line in lines)


def _plain(text: str) -> str:
    """Text that cannot end a table cell or start markup of its own."""
    return re.sub(r"([\\`*_\[\]<>|~&$])", r"\\\1", " ".join(text.split()))
