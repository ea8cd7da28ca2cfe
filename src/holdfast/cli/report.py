"""``holdfast report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import DataDirOption
from holdfast.cli.output import print_line, progress

__all__ = ["report"]


def report(
    ledgers: Annotated[list[Path], typer.Argument(help="The ledgers to report on.", metavar="LEDGER...")],
    out: Annotated[
        list[Path] | None,
        typer.Option(
            help="Where to: report.html (one page), .md, .csv, .svg or .png (the curves), or a folder for all of them. "
            "Can be given several times.",
            metavar="PATH",
        ),
    ] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="A network's file (.safetensors, .hfi), for bytes and multiplications of the runs that are about it."
        ),
    ] = None,
    run: Annotated[
        list[str] | None,
        typer.Option(help="Only this run (its id or the beginning of it); can be given several times."),
    ] = None,
    data: Annotated[
        str | None, typer.Option(help="Where the pictures are, if the data set is not known by its name: a path.")
    ] = None,
    data_dir: DataDirOption = None,
    pictures: Annotated[
        bool, typer.Option("--pictures/--no-pictures", help="Show images; the page then contains them.")
    ] = True,
) -> None:
    """Put runs into one page that needs no network: curves, inputs, times, and what the certificates say.

    Several runs, also of several ledgers, stand beside each other. Every number is that of the ledger, and a radius is
    cut, never rounded up. Images are shown where the run's own data set is found here (its digest must agree).

    Example: holdfast report net.ledger --out report.html --out curves.svg --model net.safetensors
    """
    from holdfast.report import check_outputs, write_report
    from holdfast.report.tables import overview_rows
    from holdfast.workflows import report as work

    outputs = out or [Path("report.html")]
    check_outputs(outputs, ledgers)
    request = work.ReportRequest(tuple(ledgers), tuple(run or ()), tuple(model or ()), pictures)
    with progress("report") as tell:
        runs, imported = work.gather(request, work.DataFinder(data, data_dir), lambda text: tell(0, 1, text))
        title = f"Certified robustness: {ledgers[0].name if len(ledgers) == 1 else f'{len(ledgers)} ledgers'}"
        written = [path for target in outputs for path in write_report(target, title, runs, imported)]
    for name, inputs, abstained, accuracy, radius, *_ in overview_rows([*runs, *imported]):
        print_line(
            f"{name}: {inputs} inputs, {abstained} abstained, certified accuracy at radius 0 {accuracy}, "
            f"average certified radius {radius}"
        )
    for note in dict.fromkeys(r.images_note for r in runs if r.images_note):
        print_line(note)
    for path in written:
        print_line(f"wrote {path}")
