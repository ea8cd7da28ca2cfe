"""Options that several verbs share, so that each is explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "AlphaOption",
    "BatchOption",
    "ClipOption",
    "CompileOption",
    "DataDirOption",
    "DeviceOption",
    "DtypeOption",
    "EngineOption",
    "JsonOption",
    "MeanOption",
    "ModelArgument",
    "NoiseOption",
    "SigmaOption",
    "StdOption",
    "ThreadsOption",
    "WeightsOption",
]

AlphaOption = Annotated[str, typer.Option(help="Failure probability of each answer, a decimal.", metavar="DECIMAL")]
SigmaOption = Annotated[
    str | None,
    typer.Option(
        help="Noise scale in [0, 1] image units, a decimal; by default the one the network was trained at.",
        metavar="DECIMAL",
    ),
]
NoiseOption = Annotated[
    str,
    typer.Option(
        help="discrete: discrete Gaussian, exact (Theorem A1). rounded: rounded Gaussian, exact. "
        "continuous: the papers' float baseline, OUTSIDE the exact guarantee."
    ),
]
DtypeOption = Annotated[str, typer.Option(help="Arithmetic of the network: float32, bfloat16 or float16.")]
CompileOption = Annotated[
    bool,
    typer.Option(
        "--compile",
        help="Float networks: through torch.compile. Half a minute first, then about twice as fast with --dtype bfloat16.",
    ),
]
ClipOption = Annotated[
    bool, typer.Option("--clip", help="Integer networks: clip noisy pixels to 0..255 before the network.")
]
EngineOption = Annotated[
    str | None,
    typer.Option(help="Integer networks: native or reference; by default native where it was built. Never a label."),
]
DeviceOption = Annotated[str, typer.Option(help="cpu or cuda.")]
ThreadsOption = Annotated[
    int | None,
    typer.Option(min=1, help="CPU threads; 1 is best for tiny networks. Part of a float network's fingerprint."),
]
BatchOption = Annotated[
    int,
    typer.Option(
        "--batch-size", min=1, help="Noisy copies per step: memory and smoothness of progress, never a label."
    ),
]
DataDirOption = Annotated[
    Path | None,
    typer.Option(help="Where data sets are kept; by default HOLDFAST_DATA, then ~/.local/share/holdfast."),
]
ModelArgument = Annotated[
    str,
    typer.Argument(
        help="A holdfast checkpoint (.safetensors), an integer network (.hfi), or a network of your own as package.module:factory "
        "(imported from here, called without arguments)."
    ),
]
WeightsOption = Annotated[
    Path | None, typer.Option(help="Weights of your own network: .safetensors, or .pt (only tensors are read).")
]
MeanOption = Annotated[
    str | None,
    typer.Option(help="Your own network's input is (pixel/255 - mean)/std: one number, or one per channel (a,b,c)."),
]
StdOption = Annotated[str | None, typer.Option(help="See --mean.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to standard error.")]
