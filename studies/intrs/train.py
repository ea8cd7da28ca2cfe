#!/usr/bin/env python3
"""The networks of the IntRS study: each 30-epoch float network, 8 more epochs as control, 8 epochs of quantised training.

usage: python -m studies.intrs.train [--data-dir DIR] [--work-dir DIR] [--sigma SIGMA ...] [--part control|int8 ...]

Both start from studies/models/cifar10-resnet20-sigmaS.safetensors and follow one schedule (recipe `qat`: the same rates,
batches, mirrored and shifted images, and noise). The control learns from the labels, the integer network from the float
network that it started as. What is in studies/models already is not trained again; what was interrupted continues from its
last whole epoch. Writes studies/models/NAME-control.safetensors, NAME.hfi, and a log of every epoch beside this file.
"""

from __future__ import annotations

import argparse
import shutil
import time
from pathlib import Path

from studies.certifying import show_epochs
from studies.intrs.plan import HERE, LOGS, MODELS, SIGMAS

from holdfast import __version__, data
from holdfast.data import DataSet
from holdfast.models import checkpoint
from holdfast.training import Recipe, accuracy, choose, train
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import Network, load_network
from holdfast.workflows.compress import CompressRequest, compress_network
from holdfast.workflows.train import recipe_for

PARTS, EPOCHS = ("control", "int8"), 8


def main() -> None:
    """Train what is not there yet, one network after the other."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog="python -m studies.intrs.train")
    parser.add_argument("--data-dir", type=Path, help="where the data sets are; by default HOLDFAST_DATA")
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=HERE.parents[1] / "build" / "studies",
        help="where unfinished trainings are kept",
    )
    parser.add_argument("--sigma", nargs="+", default=SIGMAS, choices=SIGMAS, help="these scales of the noise only")
    parser.add_argument("--part", nargs="+", default=PARTS, choices=PARTS, help="these networks only")
    arguments = parser.parse_args()
    keep_freed_memory()
    LOGS.mkdir(exist_ok=True)
    arguments.work_dir.mkdir(parents=True, exist_ok=True)
    training, test = (data.load("cifar10", split, arguments.data_dir) for split in ("train", "test"))
    recipe = recipe_for("qat", training, None, None, epochs=EPOCHS)
    for sigma in arguments.sigma:
        name = f"cifar10-resnet20-sigma{sigma}"
        for part in arguments.part:
            out = MODELS / (f"{name}-control.safetensors" if part == "control" else f"{name}.hfi")
            if out.exists():
                print(f"{out.name}: already there", flush=True)
                continue
            floating = load_network(str(MODELS / f"{name}.safetensors"))
            assert isinstance(floating, Network)
            if part == "control":
                control(floating, name, sigma, recipe, training, test, arguments.work_dir)
            else:
                quantised(floating, name, sigma, recipe, training, test, arguments.work_dir)


def control(
    floating: Network, name: str, sigma: str, recipe: Recipe, training: DataSet, test: DataSet, work_dir: Path
) -> None:
    """Go on training the float network from labels, by the recipe of the integer network."""
    result = train(
        floating.module,
        training.images,
        training.labels,
        preprocessing=floating.spec.preprocessing,
        sigma=sigma,
        recipe=recipe,
        compiled=True,
        state_path=work_dir / f"{name}-control.state",
        log_path=LOGS / f"{name}-control.csv",
        validation=(test.images[:2000], test.labels[:2000]),
        on_epoch=show_epochs(f"{name}-control", recipe.epochs),
    )
    measured = (floating.module, test.images, test.labels, floating.spec.preprocessing, choose("cpu", "float32"))
    metadata = floating.metadata | {
        "epochs": f"{floating.metadata['epochs']} + {recipe.epochs}",
        "recipe": recipe.to_json(),
        "objective": result.settings["objective"],
        "execution": result.settings["execution"],
        "clean_accuracy": accuracy(*measured),
        "noisy_accuracy": accuracy(*measured, sigma_px=float(sigma) * 255),
        "training_seconds": round(result.seconds, 1),
        "holdfast": __version__,
    }
    checkpoint.save(MODELS / f"{name}-control.safetensors", floating.module, floating.spec, metadata)


def quantised(
    floating: Network, name: str, sigma: str, recipe: Recipe, training: DataSet, test: DataSet, work_dir: Path
) -> None:
    """Compress the float network as `holdfast compress` does."""
    out = work_dir / f"{name}.hfi"
    out.unlink(missing_ok=True)  # of a run that was stopped between writing and moving it
    source = MODELS / f"{name}.safetensors"
    request = CompressRequest(network=floating, source=str(source), sigma=sigma, recipe=recipe, out=out)
    started = time.perf_counter()
    compress_network(
        request,
        training,
        test,
        say=lambda text: print(f"{name}: {text}", flush=True),
        on_epoch=show_epochs(name, recipe.epochs),
    )
    shutil.move(out.with_suffix(".csv"), LOGS / f"{name}.csv")
    shutil.move(out, MODELS / out.name)
    print(f"{name}: compressed, {time.perf_counter() - started:.0f} s since the start of this run", flush=True)


if __name__ == "__main__":
    main()
