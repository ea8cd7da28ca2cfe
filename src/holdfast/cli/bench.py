"""``holdfast bench``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Annotated, Any

import typer

from holdfast.cli.options import JsonOption
from holdfast.cli.output import print_json, print_line, progress

if TYPE_CHECKING:
    from holdfast.intnet import IntegerNetwork
    from holdfast.workflows.bench import Speed

__all__ = ["bench"]


def bench(
    model: Annotated[
        str | None,
        typer.Argument(help="A checkpoint (.safetensors) or an integer network (.hfi); by default a ResNet-20."),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each contender; medians are shown.")] = 5,
    seconds: Annotated[float, typer.Option(min=0.01, help="Of each turn, at least.")] = 1.0,
    compiled: Annotated[
        bool, typer.Option("--compile", help="Also the float network through torch.compile: a minute or two more.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """How fast does this machine certify? The whole loop, noise included, by torch and by every engine it has.

    Contenders take turns in one run, so that other work on the machine meets all of them alike; trust the ratios more than
    the rates. A float network is quantised for the purpose, with random images, which changes no speed.

    Example: holdfast bench net.hfi
    """
    from holdfast.errors import ParameterError
    from holdfast.intnet import IntegerNetwork
    from holdfast.models.user_module import is_user_name
    from holdfast.workflows import bench as work
    from holdfast.workflows.classifiers import load_network
    from holdfast.workflows.environment import facts

    if model is not None and is_user_name(model):
        raise ParameterError(
            "bench takes a file, .safetensors or .hfi: train or compress makes one of a network of your own"
        )
    loaded = work.default_network() if model is None else load_network(model)
    if isinstance(loaded, IntegerNetwork):
        floating, integer = None, loaded
    else:
        floating, integer = loaded, work.quantised(loaded)
    if rounds * seconds > 3600:
        raise ParameterError("that is more than an hour for each contender: lower --rounds or --seconds")
    load = os.getloadavg()[0]
    with progress("bench") as report:
        speeds = work.measure(
            floating,
            integer,
            rounds=rounds,
            seconds=seconds,
            compiled=compiled,
            on_progress=lambda done, total: report(done, total, f"{done}/{total} turns"),
        )
    if json:
        print_json(_as_json(speeds, integer, load, facts()))
        return
    _print(speeds, integer, load)


def _print(speeds: list[Speed], integer: IntegerNetwork, load: float) -> None:
    base = speeds[0].median
    print_line(f"{integer.macs:,} multiplications an image; load of the machine before it began {load:.1f}")
    print_line(f"{'':32} threads  images/s  times the first   GMAC/s")
    for speed in speeds:
        print_line(
            f"{speed.name:32} {speed.threads:7d} {speed.median:9,.0f} {speed.median / base:16.2f} "
            f"{speed.median * integer.macs / 1e9:8.1f}"
        )


def _as_json(speeds: list[Speed], integer: IntegerNetwork, load: float, environment: dict[str, str]) -> dict[str, Any]:
    return {
        "macs": integer.macs,
        "load_before": load,
        "environment": environment,
        "contenders": [
            {"name": s.name, "threads": s.threads, "median": s.median, "rounds": list(s.samples_per_second)}
            for s in speeds
        ],
    }
