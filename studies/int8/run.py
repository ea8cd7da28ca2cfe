#!/usr/bin/env python3
"""The int8 study: digits and MNIST, float network against integer network, by the three methods of the IntRS paper.

usage: python -m studies.int8.run [--data-dir DIR] [--work-dir DIR] [--only NAME ...] [--threads N]

Compresses each float network (4 epochs of quantisation-aware training), then certifies 2000 test images (digits: all 500)
at n = 1000, alpha = 0.001 by the methods of studies/certifying.py, and writes
studies/int8/results.md. Interrupted, it continues; what is there already is not computed again.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from studies.certifying import (
    ALPHA,
    METHODS,
    METRICS,
    N0,
    Results,
    certify,
    loss_table,
    metric_table,
    results_of,
    show_epochs,
    verdict,
)

from holdfast import data
from holdfast.data import DataSet
from holdfast.intnet import IntegerNetwork
from holdfast.ledger import Ledger
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Preprocessing, Run
from holdfast.training import accuracy, choose, named, train
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import Network, load_network
from holdfast.workflows.compress import CompressRequest, compress_network
from holdfast.workflows.train import recipe_for

HERE = Path(__file__).resolve().parent
MODELS = HERE.parent / "models"
N, INPUTS, EPOCHS = 1000, 2000, 4


@dataclass(frozen=True)
class Configuration:
    """One network of the study."""

    name: str
    data: str
    sigma: str


CONFIGURATIONS = (
    Configuration("digits-cnn-small-sigma0.15", "digits", "0.15"),
    Configuration("mnist-cnn-small-sigma0.25", "mnist", "0.25"),
    Configuration("mnist-cnn-small-sigma0.5", "mnist", "0.5"),
)


def main() -> None:
    """Do what is not done yet, then write the tables."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog="python -m studies.int8.run")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir", type=Path, default=HERE.parents[1] / "build" / "studies", help="where ledgers are kept"
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="these networks only")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    keep_freed_memory()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    sections = []
    for configuration in CONFIGURATIONS:
        if not arguments.only or configuration.name in arguments.only:
            sections.append(study(configuration, arguments.data_dir, arguments.work_dir, arguments.threads))
    text = "\n\n".join(sections) + "\n"
    print(text)
    if not arguments.only:
        (HERE / "results.md").write_text(text, encoding="utf-8")


def study(configuration: Configuration, data_dir: Path | None, work_dir: Path, threads: int) -> str:
    """One network, by all methods; its section of the results."""
    training, test = (data.load(configuration.data, split, data_dir) for split in ("train", "test"))
    floating, integer = networks(configuration, training, test)
    runs, results = {}, {}
    with Ledger(work_dir / f"{configuration.name}.ledger", create=True) as ledger:
        for method in METHODS:
            run = certify(
                ledger,
                method,
                integer if method.integer else floating,
                test,
                sigma=configuration.sigma,
                n=N,
                inputs=INPUTS,
                title=f"{configuration.name}, {method.name}",
                threads=threads,
            )
            runs[method.name], results[method.name] = run, results_of(ledger, run)
    return section(configuration, integer, runs, results)


def networks(configuration: Configuration, training: DataSet, test: DataSet) -> tuple[Network, IntegerNetwork]:
    """The float network and its integer network, from studies/models or made now."""
    path = MODELS / f"{configuration.name}.safetensors"
    if not path.exists():
        train_digits(path, configuration, training, test)
    floating = load_network(str(path))
    assert isinstance(floating, Network)
    out = path.with_suffix(".hfi")
    if not out.exists():
        recipe = recipe_for("qat", training, None, None, epochs=EPOCHS)
        request = CompressRequest(network=floating, source=str(path), sigma=configuration.sigma, recipe=recipe, out=out)
        compress_network(request, training, test, say=print, on_epoch=show_epochs(configuration.name, recipe.epochs))
        out.with_suffix(".csv").unlink(missing_ok=True)
    integer = load_network(str(out))
    assert isinstance(integer, IntegerNetwork)
    return floating, integer


def train_digits(path: Path, configuration: Configuration, training: DataSet, test: DataSet) -> None:
    """The one float network that no other study has trained: 25 epochs on the embedded digits."""
    spec = ModelSpec("cnn-small", training.num_classes, training.shape, Preprocessing((0.3,), (0.4,)))
    module = build(spec, seed=0)
    recipe = named("quick", epochs=25, batch=64, flip=False, crop=0)
    train(
        module,
        training.images,
        training.labels,
        preprocessing=spec.preprocessing,
        sigma=configuration.sigma,
        recipe=recipe,
        precision="float32",
        compiled=False,
        on_epoch=show_epochs(configuration.name, recipe.epochs),
    )
    measured = (module, test.images, test.labels, spec.preprocessing, choose("cpu", "float32"))
    metadata = {
        "data": training.name,
        "data_digest": training.digest,
        "classes": list(training.classes),
        "sigma": configuration.sigma,
        "seed": 0,
        "epochs": recipe.epochs,
        "recipe": recipe.to_json(),
        "clean_accuracy": accuracy(*measured),
        "noisy_accuracy": accuracy(*measured, sigma_px=float(configuration.sigma) * 255),
    }
    checkpoint.save(path, module, spec, metadata)


def section(
    configuration: Configuration,
    integer: IntegerNetwork,
    runs: dict[str, Run],
    results: dict[str, Results],
) -> str:
    """Accuracies, then certified accuracy, percentage and eq. (10) of the paper by radius, then the paired limits."""
    facts = integer.metadata
    inputs = len(results["IntRS-quant"])
    lines = [
        f"## {configuration.name}",
        "",
        f"Clean accuracy on the whole test set: float {facts['float_clean_accuracy']:.4f}, int8 {facts['clean_accuracy']:.4f}; "
        f"under one draw of noise: float {facts['float_noisy_accuracy']:.4f}, int8 {facts['noisy_accuracy']:.4f}.",
        f"Certified: {inputs} test images, n0 = {N0}, n = {N}, alpha = {ALPHA}.",
    ]
    radii = [Fraction(configuration.sigma) * step / 4 for step in range(10)]
    for title, metric in METRICS:
        lines += ["", f"{title} by radius:", "", *metric_table(metric, results, radii)]
    lines += ["", "Certified accuracy lost by IntRS-quant, with its one-sided 95 % upper limit (paired, proved):", ""]
    lines += [*loss_table(results, radii), "", *verdict(results, configuration.sigma, radii)]
    lines += ["", "Runs: " + ", ".join(f"{name} `{run.id}` (nonce `{run.nonce}`)" for name, run in runs.items())]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
