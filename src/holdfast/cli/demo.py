"""``holdfast demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.output import error_console, print_line, progress

__all__ = ["demo"]


def demo(
    out: Annotated[Path, typer.Option(help="Folder for the network, the ledger and the report.")] = Path(
        "holdfast-demo"
    ),
) -> None:
    """Train, certify and report in two minutes: handwritten digits, 8 x 8, everything included.

    Trains a small network under noise, certifies held-out digits, writes a ledger and a report, and says what to try next.
    Running it again continues an interrupted demo, or shows the finished one.
    """
    from holdfast.workflows.demo import run_demo

    console = error_console()

    def say(text: str) -> None:
        console.print(text, markup=False)

    with progress("demo") as report:
        result = run_demo(out, say=say, report=report)
    for line in result.lines():
        print_line(line)
