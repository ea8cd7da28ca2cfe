"""``holdfast inspect``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

__all__ = ["inspect"]


def inspect(
    file: Annotated[Path, typer.Argument(help="A holdfast checkpoint (.safetensors) or integer network (.hfi).")],
    json: JsonOption = False,
) -> None:
    """What a network file holds: architecture, preprocessing, how it was trained, its tensors and its hash.

    For an integer network: every operation with its proved accumulator bound, and the check that there is no float in it.

    Example: holdfast inspect net.safetensors
    """
    from holdfast.workflows.classifiers import INTEGER_SUFFIX
    from holdfast.workflows.inspect import inspect_checkpoint

    if file.suffix == INTEGER_SUFFIX:
        _inspect_integer(file, json)
        return
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


def _inspect_integer(file: Path, json: bool) -> None:
    from holdfast.cli.layers import layer_lines
    from holdfast.workflows.inspect import inspect_integer

    network, facts = inspect_integer(file)
    if json:
        print_json(facts)
        return
    print_line(
        f"{file}: {facts['bytes']:,} bytes, {facts['weights']:,} weights of 8 bits, {facts['macs']:,} MACs an image"
    )
    print_line(f"sha256 {facts['sha256']}")
    print_line(f"digest {facts['digest']} (what certificates name), law version {facts['law']}")
    for line in layer_lines(network):
        print_line(line)
    checked = facts["integers_checked"]
    print_line(
        f"checked: every number in {checked['operations']} operations and {checked['arrays']} arrays is an integer"
    )
    print_line("metadata")
    for key, value in facts["metadata"].items():
        print_line(f"  {key}: {value}")
