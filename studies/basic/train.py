#!/usr/bin/env python3
"""Train the networks of the basic study: a small CNN on MNIST and ResNet-20 on CIFAR-10, under integer noise.

usage: python -m studies.basic.train [--data-dir DIR] [--work-dir DIR] [--only NAME ...]

What is in studies/models already is not trained again; what was interrupted continues from its last whole epoch.
Writes studies/models/NAME.safetensors and studies/basic/logs/NAME.csv.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from pathlib import Path

from studies.certifying import show_epochs

from holdfast import data
from holdfast.models import ModelSpec, build, checkpoint
from holdfast.records import Preprocessing
from holdfast.training import accuracy, choose, named, train
from holdfast.workflows.allocator import keep_freed_memory

HERE = Path(__file__).resolve().parent
MODELS, LOGS = HERE.parent / "models", HERE / "logs"
CIFAR10 = Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
MNIST = Preprocessing((0.1307,), (0.3081,))


@dataclass(frozen=True)
class Configuration:
    """One network of the study."""

    name: str
    data: str
    model: str
    sigma: str
    epochs: int
    preprocessing: Preprocessing
    flip: bool
    crop: int
    compiled: bool
    seed: int = 0


CONFIGURATIONS = (
    Configuration("cifar10-resnet20-sigma0.5", "cifar10", "resnet20", "0.5", 30, CIFAR10, True, 4, True),
    Configuration("cifar10-resnet20-sigma0.25", "cifar10", "resnet20", "0.25", 30, CIFAR10, True, 4, True),
    Configuration("cifar10-resnet20-sigma1.0", "cifar10", "resnet20", "1.0", 30, CIFAR10, True, 4, True),
    Configuration("cifar10-resnet20-sigma0.12", "cifar10", "resnet20", "0.12", 30, CIFAR10, True, 4, True),
    Configuration("mnist-cnn-small-sigma0.25", "mnist", "cnn-small", "0.25", 30, MNIST, False, 2, False),
    Configuration("mnist-cnn-small-sigma0.5", "mnist", "cnn-small", "0.5", 30, MNIST, False, 2, False),
)


def main() -> None:
    """Train what is not there yet, one network after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog="python -m studies.basic.train")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=HERE.parents[1] / "build" / "studies",
        help="where unfinished trainings are kept",
    )
    parser.add_argument("--only", nargs="+", metavar="NAME", help="train these networks only")
    arguments = parser.parse_args()
    keep_freed_memory()
    for configuration in CONFIGURATIONS:
        if arguments.only and configuration.name not in arguments.only:
            continue
        if (MODELS / f"{configuration.name}.safetensors").exists():
            print(f"{configuration.name}: already there", flush=True)
            continue
        run(configuration, arguments.data_dir, arguments.work_dir)
    summary()


def run(configuration: Configuration, data_dir: Path | None, work_dir: Path) -> None:
    """Train one network, measure it on the whole test set, and keep it."""
    training, test = (data.load(configuration.data, split, data_dir) for split in ("train", "test"))
    spec = ModelSpec(configuration.model, training.num_classes, training.shape, configuration.preprocessing)
    module = build(spec, seed=configuration.seed)
    recipe = named("quick", epochs=configuration.epochs, flip=configuration.flip, crop=configuration.crop)
    started = time.perf_counter()
    result = train(
        module,
        training.images,
        training.labels,
        preprocessing=spec.preprocessing,
        sigma=configuration.sigma,
        recipe=recipe,
        seed=configuration.seed,
        compiled=configuration.compiled,
        state_path=work_dir / f"{configuration.name}.state",
        log_path=LOGS / f"{configuration.name}.csv",
        validation=(test.images[:2000], test.labels[:2000]),
        on_epoch=show_epochs(configuration.name, recipe.epochs),
    )
    execution = choose("cpu", "float32", False)
    measured = (module, test.images, test.labels, spec.preprocessing, execution)
    metadata = {
        "data": training.name,
        "data_digest": training.digest,
        "classes": list(training.classes),
        "sigma": configuration.sigma,
        "seed": configuration.seed,
        "epochs": configuration.epochs,
        "recipe": recipe.to_json(),
        "objective": result.settings["objective"],
        "execution": result.settings["execution"],
        "clean_accuracy": accuracy(*measured),
        "noisy_accuracy": accuracy(*measured, sigma_px=float(configuration.sigma) * 255),
        "training_seconds": round(result.seconds, 1),
        "holdfast": "0.1.0",
    }
    checkpoint.save(MODELS / f"{configuration.name}.safetensors", module, spec, metadata)
    print(f"{configuration.name}: done in {time.perf_counter() - started:.0f} s", flush=True)


def summary() -> None:
    """Print what is in studies/models, as the table of the README."""
    print("| network | sigma | epochs | clean accuracy | noisy accuracy | training seconds |")
    print("|---|---|---|---|---|---|")
    for configuration in CONFIGURATIONS:
        path = MODELS / f"{configuration.name}.safetensors"
        if path.exists():
            _, facts = checkpoint.read_header(path)
            print(
                f"| `{configuration.name}` | {facts['sigma']} | {facts['epochs']} | {facts['clean_accuracy']:.4f} "
                f"| {facts['noisy_accuracy']:.4f} | {facts['training_seconds']:.0f} |"
            )


if __name__ == "__main__":
    main()
