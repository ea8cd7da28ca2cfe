"""``holdfast gate``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

if TYPE_CHECKING:
    from holdfast.workflows.gate import GateResult

__all__ = ["gate"]


def gate(
    ledger: Annotated[Path, typer.Argument(help="The ledger that is judged.", metavar="LEDGER")],
    run: Annotated[
        str | None, typer.Option(help="Which run: the beginning of its id. Not needed where there is only one.")
    ] = None,
    min_certified_accuracy: Annotated[
        list[str] | None,
        typer.Option(
            help="Certified accuracy must be at least SHARE at RADIUS (image units), such as 0.45@0.25; repeat for more.",
            metavar="SHARE@RADIUS",
        ),
    ] = None,
    max_drop: Annotated[
        list[str] | None,
        typer.Option(
            help="Certified accuracy must not have dropped by more than SHARE; without a radius at those of "
            "--min-certified-accuracy, else at multiples of sigma/2 up to 2 sigma. Repeat for more.",
            metavar="SHARE[@RADIUS]",
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(
            help="What --max-drop compares with: a run of this ledger, or LEDGER[:RUN].", metavar="RUN|LEDGER[:RUN]"
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Does a run show what is demanded of it? For pipelines: exit code 0 if everything is shown, 1 if not, 2 for a mistake.

    A demand is about new inputs of the same kind, of which the certified ones are a sample: it is shown when the one-sided
    95 % confidence limit satisfies it. Otherwise it is refuted (the opposite limit contradicts it) or not shown, and the
    output says about how many inputs would decide.

    The ledger is believed: run `holdfast verify` first.

    Example: holdfast gate net.ledger --min-certified-accuracy 0.45@0.25 --max-drop 0.02 --against before.ledger
    """
    from holdfast.workflows import gate as work

    result = work.gate(ledger, run=run, least=min_certified_accuracy or (), drops=max_drop or (), against=against)
    _print_json(result) if json else _print_lines(result)
    if not result.passed:
        raise typer.Exit(1)


def _notes(result: GateResult) -> list[str]:
    both = [result.run, *([result.against] if result.against is not None else [])]
    return [f"{c.name}: {text}" for c in both for text in c.notes()]


def _print_lines(result: GateResult) -> None:
    inputs = len(result.run.outcomes)
    print_line(f"run {result.run.name} in {result.run.ledger}: {inputs} inputs of {result.run.record.data}")
    for note in _notes(result):
        print_line(f"NOTE: {note}")
    for judgement in result.judgements:
        print_line(judgement.text())
    shown = sum(j.verdict == "shown" for j in result.judgements)
    print_line(f"gate {'passed' if result.passed else 'not passed'}: {shown} of {len(result.judgements)} demands shown")
    print_line(
        "Limits are for new inputs of the same kind, and would be no narrower if these were a whole test set; on the "
        "inputs certified, the measured value is exact."
    )


def _print_json(result: GateResult) -> None:
    from holdfast.workflows.compare import outward

    print_json(
        {
            "passed": result.passed,
            "run": result.run.name,
            "ledger": result.run.ledger,
            "data": result.run.record.data,
            "inputs": len(result.run.outcomes),
            "against": result.against.name if result.against is not None else None,
            "about": "new inputs of the same kind; each limit holds with 95 % on its own",
            "notes": _notes(result),
            "demands": [
                {
                    "demand": j.demand,
                    "verdict": j.verdict,
                    "measured": float(j.measured),
                    "counts": j.counts,
                    "limits": outward(j.interval),
                    "inputs_needed": j.inputs_needed,
                }
                for j in result.judgements
            ],
        }
    )
