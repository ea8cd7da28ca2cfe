"""``holdfast compare``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

__all__ = ["compare"]


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            help="LEDGER for every run in it, or LEDGER:RUN for one: the beginning of its id, or the name of imported "
            "results. The first is what the others are compared with.",
            metavar="LEDGER[:RUN]",
        ),
    ],
    radius: Annotated[
        list[str] | None,
        typer.Option(
            help="Compare certified accuracy at this radius (image units); repeat for more. By default multiples of "
            "sigma/2 up to 2 sigma.",
            metavar="DECIMAL",
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Also write a page (.html) with the curves.")] = None,
    json: JsonOption = False,
) -> None:
    """Runs side by side, and each against the first on the inputs that both have.

    The difference of certified accuracies and of average certified radii comes with a proved 95 % interval from the
    paired results; inputs that only one of the two has do not enter it. Runs on other data are refused.

    Example: holdfast compare float.ledger int8.ledger --out compare.html
    """
    from holdfast.report.comparison import comparison_lines
    from holdfast.workflows import compare as work

    comparison = work.compare(runs, radius or ())
    if out is not None:
        from holdfast.report.comparison_page import comparison_page

        out.write_text(comparison_page(comparison), encoding="utf-8")
    if json:
        print_json(work.as_json(comparison))
        return
    for line in comparison_lines(comparison):
        print_line(line)
    if out is not None:
        print_line(f"page: {out}")
