"""``holdfast data``."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.options import DataDirOption, JsonOption
from holdfast.cli.output import print_json, print_line, progress

__all__ = ["data"]

data = typer.Typer(
    no_args_is_help=True,
    help="Which data sets are known, where they are looked for, and getting them.\n\n"
    "Besides these names, every --data option takes an .npz (`images` uint8, `labels`) or a folder of images.",
)

NameArgument = Annotated[str, typer.Argument(help="A data set's name; see `holdfast data list`.")]


@data.command("list")
def list_sets(data_dir: DataDirOption = None, json: JsonOption = False) -> None:
    """All data sets known by name, and whether they are here.

    Example: holdfast data list
    """
    from holdfast.data import SOURCES, find

    reports = [find(source.name, data_dir) for source in SOURCES]
    if json:
        print_json([{"name": r.source.name, "available": list(r.available)} for r in reports])
        return
    for r in reports:
        state = ", ".join(r.available) if r.available else "not here"
        print_line(f"{r.source.name:14} {state:14} {r.source.description}")
    print_line(f"looked in: {', '.join(str(folder) for folder in reports[0].looked_in)}")


@data.command("info")
def info(name: NameArgument, data_dir: DataDirOption = None, json: JsonOption = False) -> None:
    """One data set: shape, classes, licence; which files were looked for, found, missing or damaged (checksums).

    Example: holdfast data info cifar10
    """
    from holdfast.data import find

    report = find(name, data_dir, verify=True)
    source = report.source
    facts = {
        "name": source.name,
        "description": source.description,
        "shape": list(source.shape),
        "classes": source.num_classes,
        "splits": list(source.splits),
        "available": list(report.available),
        "licence": source.licence,
        "citation": source.citation,
    }
    if json:
        print_json(facts)
        return
    for key, value in facts.items():
        print_line(f"{key:12} {', '.join(map(str, value)) if isinstance(value, list) else value}")
    for split in source.splits:
        place = report.best(split)
        if report.embedded:
            print_line(f"{split}: part of holdfast")
        elif place is not None:
            print_line(f"{split}: {', '.join(str(path) for path in place.present)}")
        else:
            for line in report.explain(split).splitlines():
                print_line(line)


@data.command("fetch")
def fetch(
    name: NameArgument,
    data_dir: DataDirOption = None,
    base_url: Annotated[str | None, typer.Option(help="A mirror that has the publisher's files.")] = None,
) -> None:
    """Get a data set from its publisher; every file is checked against the published checksum.

    Example: holdfast data fetch mnist
    """
    from holdfast.data import fetch as fetch_set

    with progress(f"fetch {name}") as report:
        found = fetch_set(
            name,
            data_dir,
            base_url,
            lambda file, done, total: report(done, max(total, done, 1), f"{file}, {done / 1e6:.1f} MB"),
        )
    print_line(f"{found.source.name}: {', '.join(found.available)} in {found.looked_in[0]}")
