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
    help="Look into ledgers, check, export and merge them, and put published tables beside your own runs.\n\n"
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
        published = book.imported()
    if json:
        print_json(summaries)
        return
    for s in summaries:
        given = ", nonce given" if s["nonce_given"] else ""
        print_line(
            f"{s['run']}  {s['data']}  sigma {s['sigma']} {s['noise']}  n0 {s['n0']} n {s['n']} alpha {s['alpha']}  "
            f"{s['inputs']} inputs, ACR {cut_text(s['average_certified_radius'])}{given}"
        )
    for p in published:
        sigma = f"sigma {p.sigma}" if p.sigma else "sigma unknown"
        print_line(f"imported {p.name!r}  {p.data}  {sigma}  {len(p.results)} inputs from {p.source}, not re-checkable")


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
    form: Annotated[
        str,
        typer.Option(
            "--format",
            help="json: everything. csv, parquet: one line per certificate. tsv: one run in the columns of Cohen et al., "
            "idx label predict radius correct time.",
        ),
    ] = "json",
    run: Annotated[str | None, typer.Option(help="For a table, only this run (its id or the beginning of it).")] = None,
    canonical: Annotated[
        bool,
        typer.Option("--canonical", help="The form in which equal ledgers are equal bytes: no times, hosts or order."),
    ] = False,
    out: Annotated[Path | None, typer.Option(help="File to write; by default standard output.")] = None,
) -> None:
    """Everything as JSON, or certificates as a table. Radii in decimals are cut, never rounded up.

    With --canonical, what was computed and nothing about where and when: two ledgers are the same exactly when these
    bytes are.

    Example: holdfast ledger export net.ledger --format csv --out net.csv
    """
    from holdfast.ledger import Ledger
    from holdfast.workflows.exchange import exported

    with Ledger(path) as book:
        content = exported(book, form, run=run, canonical=canonical, to_file=out is not None)
    if out is None:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    else:
        out.write_bytes(content)


@ledger.command("import")
def import_table(
    file: Annotated[Path, typer.Argument(help="A table in the columns of Cohen et al. (.tsv).", metavar="FILE")],
    path: Annotated[Path, typer.Argument(help="The ledger; created if it is not there.", metavar="LEDGER")],
    name: Annotated[str, typer.Option(help="What reports call these results.")],
    data: Annotated[str, typer.Option(help="The data set in which its idx counts, such as cifar10.")],
    sigma: Annotated[
        str | None, typer.Option(help="Its noise scale in [0, 1] image units, a decimal.", metavar="DECIMAL")
    ] = None,
) -> None:
    """Put published results beside your own runs, for reports and comparisons.

    They are marked as imported: a table has no counts and no key, so nothing in it can be re-checked, and its radii are
    taken as printed, which is often rounded.

    Example: holdfast ledger import cohen.tsv net.ledger --name "Cohen et al." --data cifar10 --sigma 0.5
    """
    from holdfast.ledger import Ledger, read_published

    published = read_published(file, name=name, data=data, sigma=sigma)
    with Ledger(path, create=True) as book:
        new = book.add_imported(published)
    state = "imported, not re-checkable" if new else "already there, nothing changed"
    print_line(f"{path}: {len(published.results)} results of {published.data} as {published.name!r}: {state}")


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
