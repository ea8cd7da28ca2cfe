#!/usr/bin/env python3
"""The Caltech-101 part of the IntRS study: train, compress and certify at four scales of noise.

usage: python -m studies.intrs.caltech [--configuration small|full] [--data-dir DIR] [--sigma SIGMA ...]

`small` shrinks the images to 64x64 and trains ResNet-20 from nothing, which two cores can do. `full` is the paper's scale,
ResNet-50 at 224x224 from published ImageNet weights (--weights FILE.safetensors, tensors named as torchvision names them):
the same commands, for a machine that has the time. What is there already is not computed again; interrupted, it continues. Writes
studies/intrs/caltech-NAME.md.
"""

from __future__ import annotations

import argparse
import shutil
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
from PIL import Image
from safetensors.torch import load_file
from studies.certifying import ALPHA, METHODS, METRICS, N0, Results, certify, metric_table, results_of, show_epochs
from studies.intrs.plan import HERE, LOGS, MODELS, SIGMAS

from holdfast import data
from holdfast.data import DataSet
from holdfast.intnet import IntegerNetwork
from holdfast.ledger import Ledger
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Run
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import Network, load_network
from holdfast.workflows.compress import CompressRequest, compress_network
from holdfast.workflows.train import TrainRequest, measured_preprocessing, recipe_for, train_network


@dataclass(frozen=True)
class Configuration:
    """A scale of the study."""

    name: str
    model: str
    side: int
    epochs: int
    quantised_epochs: int
    batch: int
    lr: float
    inputs: int
    n: int


SMALL = Configuration("small", "resnet20", 64, 60, 8, 32, 0.1, 100, 1000)
FULL = Configuration("full", "resnet50", 224, 90, 8, 64, 0.01, 100, 10_000)
RADII = [Fraction(step, 4) for step in range(9)]


def main() -> None:
    """Do what is not done yet, then write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        prog="python -m studies.intrs.caltech",
    )
    parser.add_argument("--configuration", choices=("small", "full"), default="small")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=HERE.parents[1] / "build" / "studies" / "caltech",
        help="where ledgers, unfinished trainings and the networks of `full` are kept",
    )
    parser.add_argument("--sigma", nargs="+", default=SIGMAS, choices=SIGMAS, help="these scales of the noise only")
    parser.add_argument("--weights", type=Path, help="ImageNet weights of ResNet-50 that `full` begins with")
    arguments = parser.parse_args()
    if (arguments.configuration == "full") != (arguments.weights is not None):
        parser.error("--configuration full needs --weights, and small takes none")
    keep_freed_memory()
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    configuration = SMALL if arguments.configuration == "small" else FULL
    training, test = (
        scaled(data.load("caltech101", s, arguments.data_dir), configuration.side) for s in ("train", "test")
    )
    text = [heading(configuration, training, test)]
    for sigma in arguments.sigma:
        floating, integer = networks(configuration, sigma, training, test, arguments.work_dir, arguments.weights)
        results: dict[str, Results] = {}
        runs: dict[str, Run] = {}
        with Ledger(arguments.work_dir / f"{configuration.name}-sigma{sigma}.ledger", create=True) as ledger:
            for method in METHODS:
                how = {} if method.integer else {"dtype": "bfloat16", "compiled": True}
                run = certify(
                    ledger,
                    method,
                    integer if method.integer else floating,
                    test,
                    sigma=sigma,
                    n=configuration.n,
                    inputs=configuration.inputs,
                    title=f"caltech101, sigma {sigma}, {method.name}",
                    threads=1,
                    **how,
                )
                results[method.name], runs[method.name] = results_of(ledger, run), run
        text.append(section(sigma, integer, results, runs))
    print("\n\n".join(text))
    if tuple(arguments.sigma) == SIGMAS:
        (HERE / f"caltech-{configuration.name}.md").write_text("\n\n".join(text) + "\n", encoding="utf-8")


def scaled(images: DataSet, side: int) -> DataSet:
    """The data set at another size (Lanczos), under a name that says so."""
    if images.shape[1:] == (side, side):
        return images
    small = [
        np.asarray(Image.fromarray(image.transpose(1, 2, 0)).resize((side, side), Image.Resampling.LANCZOS))
        for image in images.images
    ]
    pixels = np.ascontiguousarray(np.stack(small).transpose(0, 3, 1, 2))
    return DataSet(f"{images.name}-{side}", images.split, pixels, images.labels, images.classes)


def keep_log(configuration: Configuration, unfinished: Path, name: str) -> None:
    """The epochs of a training, beside those of the other networks."""
    if configuration is SMALL:
        shutil.move(unfinished.with_suffix(".csv"), LOGS / f"{name}.csv")


def network_path(configuration: Configuration, sigma: str, folder: Path) -> Path:
    """Of the float network; the integer one is beside it."""
    return folder / f"caltech101-{configuration.model}-{configuration.side}-sigma{sigma}.safetensors"


def networks(
    configuration: Configuration, sigma: str, training: DataSet, test: DataSet, work_dir: Path, weights: Path | None
) -> tuple[Network, IntegerNetwork]:
    """The float network and its integer network; those of the small configuration are kept in studies/models."""
    path = network_path(configuration, sigma, MODELS if configuration is SMALL else work_dir)
    shared = {"batch": configuration.batch}
    if not path.exists():
        recipe = recipe_for("quick", training, True, None, epochs=configuration.epochs, lr=configuration.lr, **shared)
        unfinished = work_dir / path.name
        start = None if weights is None else beginning(configuration, training, weights, work_dir)
        request = TrainRequest(model=configuration.model, sigma=sigma, out=unfinished, recipe=recipe, init_from=start)
        train_network(request, training, test, show_epochs(path.stem, recipe.epochs))
        unfinished.replace(path)
        keep_log(configuration, unfinished, path.stem)
    floating = load_network(str(path))
    assert isinstance(floating, Network)
    out = path.with_suffix(".hfi")
    if not out.exists():
        recipe = recipe_for("qat", training, True, None, epochs=configuration.quantised_epochs, **shared)
        unfinished = work_dir / out.name
        request = CompressRequest(network=floating, source=str(path), sigma=sigma, recipe=recipe, out=unfinished)
        compress_network(request, training, test, on_epoch=show_epochs(f"{path.stem}, int8", recipe.epochs))
        unfinished.replace(out)
        keep_log(configuration, unfinished, f"{path.stem}-int8")
    integer = load_network(str(out))
    assert isinstance(integer, IntegerNetwork)
    return floating, integer


def beginning(configuration: Configuration, training: DataSet, weights: Path, work_dir: Path) -> Path:
    """Published weights, all but the classifier's, as a checkpoint for the classes of the data set.

    Raises:
        SystemExit: tensors are missing or have other names.
    """
    spec = ModelSpec(configuration.model, training.num_classes, training.shape, measured_preprocessing(training))
    module = build(spec, seed=0)
    tensors = {name: tensor for name, tensor in load_file(weights).items() if not name.startswith("fc.")}
    missing, unknown = module.load_state_dict(tensors, strict=False)
    missing = [name for name in missing if not name.startswith("fc.") and not name.endswith("num_batches_tracked")]
    if missing or unknown:
        raise SystemExit(f"{weights} is not of {configuration.model}: missing {missing[:3]}, unknown {unknown[:3]}")
    out = work_dir / f"{configuration.name}-beginning.safetensors"
    checkpoint.save(out, module, spec, {"init_from": weights.name})
    return out


def heading(configuration: Configuration, training: DataSet, test: DataSet) -> str:
    """What was done, before the tables."""
    return (
        f"# Caltech-101, {configuration.model} at {configuration.side}x{configuration.side}\n\n"
        f"{len(training)} training and {len(test)} test images of {training.num_classes} classes; "
        f"{configuration.epochs} float epochs, {configuration.quantised_epochs} of quantised training; "
        f"{configuration.inputs} test images certified, n0 = {N0}, n = {configuration.n}, alpha = {ALPHA}."
    )


def section(sigma: str, integer: IntegerNetwork, results: dict[str, Results], runs: dict[str, Run]) -> str:
    """Table 3 of the paper, the other metrics, and what repeats the runs, at one scale of the noise."""
    facts = integer.metadata
    lines = [
        f"## sigma {sigma}",
        "",
        f"Whole test set: clean accuracy float {facts['float_clean_accuracy']:.4f}, int8 {facts['clean_accuracy']:.4f}; "
        f"under one draw of noise float {facts['float_noisy_accuracy']:.4f}, int8 {facts['noisy_accuracy']:.4f}.",
    ]
    for title, metric in METRICS:
        lines += ["", f"{title} by radius:", "", *metric_table(metric, results, RADII)]
    lines += ["", "| run | id | nonce |", "|---|---|---|"]
    lines += [f"| {name} | `{run.id}` | `{run.nonce}` |" for name, run in runs.items()]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
