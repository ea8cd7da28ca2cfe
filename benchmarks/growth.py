"""How the engine's speed and memory grow with the number of samples, the size of an image and the width of a network."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np

from holdfast.engine.native import NativeNetwork
from holdfast.intnet import IntegerNetwork
from holdfast.noise import DiscreteGaussian

__all__ = ["SIGMA_PX", "Labeller", "cpu_seconds", "draw", "labeller", "measure_growth"]

SIGMA_PX = "63.75"
_SAMPLES = (1, 3, 10, 30, 100, 300, 1000, 3000, 10_000)
_SIDES = (16, 24, 32, 48, 64, 96, 128, 160, 192, 224)
_WIDTHS = (1, 2, 3, 4, 6, 8)
_TURN_MACS = 3e10

Labeller = Callable[[int], Any]
"""Labels so many noisy copies of one image."""


def labeller(network: IntegerNetwork, isa: str | None = None) -> tuple[NativeNetwork, Labeller]:
    """The engine, one thread, and its whole loop with noise."""
    engine, table = NativeNetwork(network, isa), DiscreteGaussian(SIGMA_PX).table
    image = np.random.default_rng(1).integers(0, 256, network.shape).astype(np.uint8)
    return engine, lambda count: engine.labels(image, table, (1, 2), 0, count)


def cpu_seconds(label: Labeller, count: int) -> float:
    """CPU time of one call."""
    began = time.process_time()
    label(count)
    return time.process_time() - began


def measure_growth(rounds: int) -> dict[str, list[dict[str, float]]]:
    """ResNet-20 with other numbers of samples, sides of the image and widths; each a row of medians over the rounds."""
    _, label = labeller(networks.resnet(3))
    samples = [
        {"n": n, "seconds": statistics.median(cpu_seconds(label, n) for _ in range(max(rounds, 300 // n)))}
        for n in _SAMPLES
    ]
    sides = [(side, networks.resnet(3, side=side)) for side in _SIDES]
    widths = [(width, networks.resnet(3, width=16 * width)) for width in _WIDTHS]
    return {"samples": samples, "side": _rates(sides, rounds), "width": _rates(widths, rounds)}


def _rates(cases: list[tuple[int, IntegerNetwork]], rounds: int) -> list[dict[str, float]]:
    """Speed and memory of each network, measured in turns."""
    chosen = [(*labeller(network), max(1, round(_TURN_MACS / network.macs))) for _, network in cases]
    seconds: list[list[float]] = [[] for _ in cases]
    for turn in range(rounds + 1):
        for taken, (_, label, count) in zip(seconds, chosen, strict=True):
            spent = cpu_seconds(label, count)
            if turn:
                taken.append(spent)
    rows = []
    for (value, network), (engine, _, count), taken in zip(cases, chosen, seconds, strict=True):
        rate, (weights, activations) = count / statistics.median(taken), engine.memory
        rows.append(
            {
                "value": value,
                "images_per_second": rate,
                "gmacs": rate * network.macs / 1e9,
                "weight_bytes": weights,
                "activation_bytes": activations,
            }
        )
    return rows


def draw(path: Path, growth: dict[str, list[dict[str, float]]], peak_gmacs: float | None) -> None:
    """Three panels: seconds of a call against n; multiply-adds per second against the side and against the width."""
    from matplotlib import rc_context
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10.5, 3.4), layout="constrained")
    FigureCanvasAgg(figure)
    first, *others = figure.subplots(1, 3)
    calls = growth["samples"]
    first.loglog([row["n"] for row in calls], [row["seconds"] for row in calls], marker="o")
    first.set(xlabel="noisy copies n", ylabel="seconds of a call (CPU)", title="ResNet-20, 32x32")
    for axes, kind, label in zip(
        others, ("side", "width"), ("side of the image", "width, times 16 channels"), strict=True
    ):
        rows = growth[kind]
        axes.plot([row["value"] for row in rows], [row["gmacs"] for row in rows], marker="o", label="engine")
        if peak_gmacs is not None:
            axes.axhline(peak_gmacs, linestyle="--", color="#6b7280", label="vpdpbusd peak")
        axes.set(
            xlabel=label,
            ylabel="billion multiply-adds/s",
            title=f"ResNet-20, {'width 16' if kind == 'side' else '32x32'}",
        )
        axes.set_ylim(bottom=0)
        axes.legend(frameon=False)
    for axes in (first, *others):
        axes.grid(alpha=0.3)
    with rc_context({"svg.hashsalt": "holdfast"}):
        figure.savefig(path, metadata={"Date": None, "Creator": None} if path.suffix == ".svg" else {"Software": None})
