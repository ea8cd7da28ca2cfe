"""``holdfast inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

__all__ = ["inspect"]


def inspect(
    file: Annotated[Path, typer.Argument(help="A holdfast checkpoint (.safetensors).")],
    json: JsonOption = False,
) -> None:
    """What a network file holds: architecture, preprocessing, how it was trained, its tensors and its hash.

    Example: holdfast inspect net.safetensors
    """
    from holdfast.workflows.inspect import inspect_checkpoint

    found = inspect_checkpoint(file)
    if json:
        print_json(found)
        return
    print_line(f"{found['file']}: {found['bytes']:,} bytes, {found['numbers']:,} numbers")
    print_line(f"sha256 {found['sha256']}")
    for title in ("network", "metadata"):
        print_line(title)
        for key, value in found[title].items():
            print_line(f"  {key}: {value}")
    print_line("tensors")
    for tensor in found["tensors"]:
        shape = " x ".join(map(str, tensor["shape"])) or "scalar"
        print_line(f"  {tensor['name']:40} {tensor['dtype']:8} {shape}")
