"""The files of a report: one of a kind that its name says, or a folder with everything."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from holdfast.errors import ParameterError
from holdfast.report.content import ImportedReport, Measured, RunReport
from holdfast.report.delimited import csv_tables, radii_csv
from holdfast.report.figure import write_curves, write_histogram
from holdfast.report.html import html_report
from holdfast.report.markdown import inputs_markdown, markdown_report

__all__ = ["check_outputs", "write_report"]

_SUFFIXES = (".html", ".md", ".csv", ".svg", ".png")


def check_outputs(outputs: Sequence[Path], ledgers: Sequence[Path]) -> None:
    """Refuse what cannot be written, before any work.

    Raises:
        ParameterError: an unknown kind of file, or one that is read.
    """
    for path in outputs:
        if path.resolve() in [ledger.resolve() for ledger in ledgers]:
            raise ParameterError(f"--out {path} is a ledger that is to be read; give another name")
        if not _is_folder(path) and path.suffix not in _SUFFIXES:
            raise ParameterError(
                f"--out {path}: give a file that ends in {', '.join(_SUFFIXES)}, or a folder for all of them"
            )


def write_report(out: Path, title: str, runs: Sequence[RunReport], imported: Sequence[ImportedReport]) -> list[Path]:
    """Write a page (.html), its Markdown (.md), the curves (.svg, .png, .csv), or, into a folder, everything.

    Raises:
        MissingDependency: drawing needs matplotlib.
    """
    curves: list[Measured] = [*runs, *imported]
    if _is_folder(out):
        return _write_folder(out, title, runs, imported)
    if out.suffix in (".svg", ".png"):
        write_curves(out, curves)
        return [out]
    texts: dict[str, Callable[[], str]] = {
        ".html": lambda: html_report(title, runs, imported),
        ".md": lambda: markdown_report(title, runs, None, imported),
        ".csv": lambda: radii_csv(curves),
    }
    out.write_text(texts[out.suffix](), encoding="utf-8", newline="\n")
    return [out]


def _write_folder(out: Path, title: str, runs: Sequence[RunReport], imported: Sequence[ImportedReport]) -> list[Path]:
    out.mkdir(parents=True, exist_ok=True)
    curves: list[Measured] = [*runs, *imported]
    texts = {
        "report.html": html_report(title, runs, imported),
        "report.md": markdown_report(title, runs, "curve.png", imported),
        "inputs.md": inputs_markdown(title, curves),
        **csv_tables(curves),
    }
    for name, text in texts.items():
        (out / name).write_text(text, encoding="utf-8", newline="\n")
    drawn = ["curve.svg", "curve.png"]
    for name in drawn:
        write_curves(out / name, curves)
    for report in runs:
        for suffix in ("svg", "png"):
            drawn.append(f"histogram-{report.run.id}.{suffix}")
            write_histogram(out / drawn[-1], report)
    return [out / name for name in (*texts, *drawn)]


def _is_folder(path: Path) -> bool:
    return path.is_dir() or not path.suffix
