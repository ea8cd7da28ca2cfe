#!/usr/bin/env python3
"""Figures 3 to 7 and 11 to 13 of the IntRS paper, from the study's ledgers and cost.json.

usage: python -m studies.intrs.figures [--work-dir DIR] [--caltech-dir DIR] [--data-dir DIR]

Writes studies/intrs/figures/*.svg and noisy images as *.png. A figure whose runs are missing is left out and named.
"""

from __future__ import annotations

import argparse
import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from studies.certifying import METHODS, Results, finished_run, results_of, triples
from studies.intrs.caltech import SMALL, network_path, scaled
from studies.intrs.plan import DIFFERENCES, HERE, MISMATCH, MODELS, SIGMAS, TABLES
from studies.intrs.results import ALPHAS, Ledgers, jobs

from holdfast import data, intnet
from holdfast.ledger import Ledger
from holdfast.noise import DiscreteGaussian
from holdfast.records import Address, Purpose
from holdfast.rounding import exact_decimal
from holdfast.stats import certified_accuracy, certified_percentage

FIGURES = HERE / "figures"
COLOURS = {
    "IntRS-quant": "#1d4ed8",
    "FloatRS-fp": "#c2410c",
    "FloatRS-quant": "#15803d",
    "FloatRS-quant, clip": "#a16207",
}
STEPS = 200


def main() -> None:
    """Draw what can be drawn."""
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0], prog="python -m studies.intrs.figures"
    )
    build = HERE.parents[1] / "build" / "studies"
    parser.add_argument("--work-dir", type=Path, default=build / "intrs", help="where the ledgers are")
    parser.add_argument("--caltech-dir", type=Path, default=build / "caltech", help="where those of Caltech-101 are")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    arguments = parser.parse_args()
    matplotlib.rcParams["svg.hashsalt"] = "holdfast"
    FIGURES.mkdir(exist_ok=True)
    ledgers = Ledgers(arguments.work_dir)
    cifar = {sigma: ledgers.by_method(DIFFERENCES, sigma) for sigma in SIGMAS}
    caltech = {sigma: caltech_results(arguments.caltech_dir, sigma) for sigma in SIGMAS}
    by_radius("figure-3-cifar10", "certified accuracy", certified_accuracy, cifar)
    by_radius("figure-4-caltech101", "certified accuracy", certified_accuracy, caltech)
    by_radius("figure-5-cifar10", "certified percentage", certified_percentage, cifar)
    by_radius("figure-5-caltech101", "certified percentage", certified_percentage, caltech)
    mismatch(ledgers)
    cost()
    alphas(ledgers)
    noisy_images("figure-12-cifar10", data.load("cifar10", "test", arguments.data_dir).images[:6])
    noisy_images(
        "figure-13-caltech101",
        scaled(data.load("caltech101", "test", arguments.data_dir), SMALL.side).images[::202][:5],
    )


def caltech_results(folder: Path, sigma: str) -> dict[str, Results]:
    """The certificates of every method on Caltech-101 at one noise."""
    path, model, found = folder / f"{SMALL.name}-sigma{sigma}.ledger", network_path(SMALL, sigma, MODELS), {}
    if path.exists():
        network = intnet.load(model.with_suffix(".hfi"))
        with Ledger(path) as ledger:
            for method in METHODS:
                of = network if method.integer else None
                run = finished_run(ledger, method, sigma=sigma, n=SMALL.n, inputs=SMALL.inputs, network=of)
                if run is not None:
                    found[method.name] = results_of(ledger, run)
    return found


def by_radius(name: str, what: str, metric: Any, results: dict[str, dict[str, Results]]) -> None:
    """A panel per noise, a step line per method."""
    if not any(results.values()):
        print(f"{name}: nothing is certified yet")
        return
    figure = Figure(figsize=(10, 6.4), layout="constrained")
    shown = {sigma: found for sigma, found in results.items() if found}
    lines = {}
    for panel, (sigma, found) in enumerate(shown.items()):
        axes = figure.add_subplot(2, 2, panel + 1)
        end = Fraction(sigma) * 5 / 2
        radii = [end * step / STEPS for step in range(STEPS + 1)]
        for method in METHODS:
            if method.name in found:
                shares = [float(metric(triples(found[method.name]), r)) for r in radii]
                style = "-" if method.name == "IntRS-quant" else "--"
                x = [float(r) for r in radii]
                (lines[method.name],) = axes.plot(x, shares, style, color=COLOURS[method.name], linewidth=1.2)
        axes.set(
            title=f"sigma {sigma}", xlabel="L2 radius (image units)", ylabel=what, ylim=(0, 1), xlim=(0, float(end))
        )
        axes.grid(alpha=0.3)
    figure.legend(list(lines.values()), list(lines), loc="outside lower center", ncols=len(lines), frameon=False)
    save(figure, name)


def mismatch(ledgers: Ledgers) -> None:
    """Figure 6: certified accuracy at radius 0 and 0.2 against the noise of certification."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    drawn = False
    for panel, trained in enumerate(("0.12", "0.25")):
        axes = figure.add_subplot(1, 2, panel + 1)
        for name in ("IntRS-quant", "FloatRS-fp"):
            for radius, style in (("0", "-"), ("0.2", ":")):
                points = []
                for sigma in SIGMAS:
                    found = ledgers.by_method(TABLES if sigma == trained else MISMATCH, sigma, trained).get(name)
                    if found is not None:
                        points.append((sigma, float(certified_accuracy(triples(found), Fraction(radius)))))
                if points:
                    drawn = True
                    label = f"{name}, r = {radius}"
                    axes.plot(*zip(*points, strict=True), style, marker="o", color=COLOURS[name], label=label)
        axes.set(
            title=f"trained at sigma {trained}",
            xlabel="sigma of certification",
            ylabel="certified accuracy",
            ylim=(0, 1),
        )
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(frameon=False, fontsize=8)
    save(figure, "figure-6-mismatch") if drawn else print("figure-6-mismatch: nothing is certified yet")


def alphas(ledgers: Ledgers) -> None:
    """Figure 11: what other failure probabilities would have proved from the same labels."""
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    radii = [Fraction(step, 100) for step in range(100)]
    wanted = [j for j in jobs() if j.kind is TABLES and j.sigma == "0.25" and j.method.slug in ("intrs", "float")]
    drawn = False
    for panel, job in enumerate(wanted):
        axes = figure.add_subplot(1, 2, panel + 1)
        for alpha in ALPHAS:
            results = ledgers.with_alpha(job, alpha)
            if results is not None:
                drawn = True
                shares = [float(certified_accuracy(triples(results), r)) for r in radii]
                axes.plot([float(r) for r in radii], shares, label=f"alpha = {alpha}", linewidth=1.2)
        axes.set(
            title=f"{job.method.name}, sigma 0.25",
            xlabel="L2 radius (image units)",
            ylabel="certified accuracy",
            ylim=(0, 1),
        )
        axes.grid(alpha=0.3)
        if axes.has_data():
            axes.legend(frameon=False, fontsize=8)
    save(figure, "figure-11-alpha") if drawn else print("figure-11-alpha: nothing is certified yet")


def cost() -> None:
    """Figure 7: seconds for one certified image and bytes of a network, as measured by studies/intrs/cost.py."""
    path = HERE / "cost.json"
    if not path.exists():
        print("figure-7-cost: run python -m studies.intrs.cost first")
        return
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    figure = Figure(figsize=(10, 5.6), layout="constrained")
    for line, shape in enumerate(dict.fromkeys(row["network"] for row in rows)):
        own = [row for row in rows if row["network"] == shape]
        for column, (key, unit) in enumerate(
            (("seconds_per_image", "seconds per certified image"), ("bytes", "bytes of the network"))
        ):
            axes = figure.add_subplot(2, 2, 2 * line + column + 1)
            bars = axes.barh([row["contender"] for row in own], [row[key] for row in own], color="#1d4ed8")
            axes.bar_label(bars, fmt="{:,.1f}" if column == 0 else "{:,.0f}", padding=3, fontsize=8)
            axes.margins(x=0.35)
            axes.invert_yaxis()
            axes.set(title=f"{shape}, n = {own[0]['n']:,}" if column == 0 else shape, xlabel=unit)
    save(figure, "figure-7-cost")


def noisy_images(name: str, images: NDArray[np.uint8]) -> None:
    """Figures 12 and 13: a row per scale of the discrete noise, clipped to 0..255 for the eye."""
    rows = [images]
    address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
    for sigma in SIGMAS:
        law = DiscreteGaussian(exact_decimal(sigma, "sigma") * 255)
        noise = law.sample(address, 0, len(images), images[0].size).reshape(images.shape)
        rows.append(np.clip(noise + images.astype(np.int16), 0, 255).astype(np.uint8))
    picture = np.concatenate([np.concatenate(list(row), axis=2) for row in rows], axis=1).transpose(1, 2, 0)
    factor = max(1, 64 // images.shape[2])
    size = (picture.shape[1] * factor, picture.shape[0] * factor)
    Image.fromarray(picture).resize(size, Image.Resampling.NEAREST).save(FIGURES / f"{name}.png", optimize=True)


def save(figure: Figure, name: str) -> None:
    """Without a date, so that the same numbers give the same bytes."""
    figure.savefig(FIGURES / f"{name}.svg", metadata={"Date": None, "Creator": None})
    print(FIGURES / f"{name}.svg")


if __name__ == "__main__":
    main()
