"""``holdfast verify-device``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line

__all__ = ["verify_device"]


def verify_device(
    network: Annotated[Path, typer.Argument(help="An integer network (.hfi).", metavar="NET.hfi")],
    images: Annotated[
        int, typer.Option(min=1, max=10_000, help="Golden inputs; the reference takes most of the time.")
    ] = 16,
    expect: Annotated[
        str | None, typer.Option(help="The digest that another machine printed: it must be the same here.")
    ] = None,
    json: JsonOption = False,
) -> None:
    """Does this machine give the certified labels? Golden inputs through every engine and instruction set it has.

    The inputs are a fixed image with noise from a published address, so every machine has the same; the digest of their
    logits names what came out. Exit code 1 if an engine differs from the reference, or the digest from the expected one.

    Example: holdfast verify-device net.hfi
    """
    from holdfast import intnet
    from holdfast.workflows.device import check_engines

    findings = []
    for finding in check_engines(intnet.load(network), images):
        findings.append(finding)
        if not json:
            state = {True: "equal", False: "DIFFERENT", None: "not here"}[finding.equal]
            print_line(f"{finding.engine:20} {state}{', ' + finding.note if finding.note else ''}")
    digest = findings[0].digest
    as_expected = expect is None or digest == expect
    if json:
        print_json({"digest": digest, "as_expected": as_expected, "engines": [asdict(f) for f in findings]})
    else:
        print_line(f"digest of the logits of {images} golden inputs: {digest}")
        if not as_expected:
            print_line(f"EXPECTED {expect}")
    if not as_expected or any(finding.equal is False for finding in findings):
        raise typer.Exit(1)
