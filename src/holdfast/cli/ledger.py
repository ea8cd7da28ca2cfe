"""``holdfast ledger``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line
from holdfast.rounding import cut_text, radius_text

__all__ = ["ledger"]

ledger = typer.Typer(
    no_args_is_help=True,
    help="Look into ledgers, check, export and merge them.\n\n"
    "A ledger is one file with runs, certificates and all the labels they were counted from.",
)

LedgerArgument = Annotated[Path, typer.Argument(help="A ledger.", metavar="LEDGER")]


@ledger.command("list")
def list_runs(path: LedgerArgument, json: JsonOption = False) -> None:
    """The runs of a ledger, one line each.

    Example: holdfast ledger list net.ledger
    """
    from holdfast.ledger import Ledger
    from holdfast.workflows.summary import summarise

    with Ledger(path) as book:
        summaries = [summarise(book, run) for run in book.runs()]
    if json:
        print_json(summaries)
        return
    for s in summaries:
        given = ", nonce given" if s["nonce_given"] else ""
        print_line(
            f"{s['run']}  {s['data']}  sigma {s['sigma']} {s['noise']}  n0 {s['n0']} n {s['n']} alpha {s['alpha']}  "
            f"{s['inputs']} inputs, ACR {cut_text(s['average_certified_radius'])}{given}"
        )


@ledger.command("show")
def show(
    path: LedgerArgument,
    run: Annotated[str | None, typer.Option(help="A run's id or its beginning; by default every run.")] = None,
    json: JsonOption = False,
) -> None:
    """A run's parameters and its certificates.

    Example: holdfast ledger show net.ledger --run 3f9a
    """
    from dataclasses import asdict

    from holdfast.ledger import Ledger

    with Ledger(path) as book:
        runs = [book.run(run)] if run else book.runs()
        if json:
            print_json([{"id": r.id, "run": asdict(r), "inputs": [asdict(e) for e in book.entries(r)]} for r in runs])
            return
        for r in runs:
            print_line(f"run {r.id}")
            for key, value in {**r.parameters(), "nonce": r.nonce, "nonce_given": r.nonce_given}.items():
                print_line(f"  {key}: {value}")
            print_line("  index  label  predicted  radius    p_lower")
            for entry in book.entries(r):
                c = entry.certificate
                predicted = "abstain" if c.abstained else str(c.label)
                radius = radius_text(c.radius_sq_px)
                print_line(
                    f"  {entry.index:5d}  {entry.label:5d}  {predicted:>9}  {radius:8}  {cut_text(c.p_lower, 6)}"
                )


@ledger.command("check")
def check(path: LedgerArgument) -> None:
    """Is the ledger consistent in itself: structure, checksums, counts? Exit code 1 if not.

    Whether what it claims holds is the question of `holdfast verify`.

    Example: holdfast ledger check net.ledger
    """
    from holdfast.ledger import Ledger, ledger_problems

    with Ledger(path) as book:
        problems = list(ledger_problems(book))
    for problem in problems:
        print_line(problem)
    if problems:
        raise typer.Exit(1)
    print_line(f"{path}: clean")


@ledger.command("export")
def export(
    path: LedgerArgument,
    canonical: Annotated[
        bool,
        typer.Option("--canonical", help="The form in which equal ledgers are equal bytes: no times, hosts or order."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; by default standard output.")] = None,
) -> None:
    """Everything as JSON.

    With --canonical, what was computed and nothing about where and when: two ledgers are the same exactly when these
    bytes are.

    Example: holdfast ledger export net.ledger --canonical --out net.json
    """
    from holdfast.ledger import Ledger, canonical_export, full_export

    with Ledger(path) as book:
        text = canonical_export(book) if canonical else full_export(book)
    if out is None:
        sys.stdout.buffer.write(text)
    else:
        out.write_bytes(text)


@ledger.command("merge")
def merge(
    target: Annotated[Path, typer.Argument(help="The ledger that receives; created if it is not there.")],
    sources: Annotated[list[Path], typer.Argument(help="Ledgers to copy from; they are not changed.")],
) -> None:
    """Bring the certificates of several ledgers together. Counts are never pooled; conflicting entries are an error.

    Example: holdfast ledger merge all.ledger host-a.ledger host-b.ledger
    """
    from holdfast.ledger import Ledger
    from holdfast.ledger import merge as merge_ledgers

    with Ledger(target, create=True) as book:
        for source in sources:
            with Ledger(source) as other:
                added = merge_ledgers(book, other)
            print_line(f"{source}: {added} certificates added")
