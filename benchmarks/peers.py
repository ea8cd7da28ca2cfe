"""The native integer engine beside the runtimes that others deploy: one trained network, without noise, on one thread.

Contestants are torch.compile, OpenVINO and onnxruntime in float and, calibrated after training on the same images, in
8 bits, and every instruction set of the engine. Each runs in a process of its own with the size of batch that is its
best. They take turns, every turn is measured in CPU time, and what is reported is the median of the turns and, for every
instruction set of the engine, the median of its ratios to a contestant. So that the speeds compare like with like,
the accuracy of each is measured as well: on clean test images and with one draw of the noise for each.

Where the processor has AMX, OpenVINO in 8 bits is measured with and without it.

Needs the packages of the extra `bench`: pip install -e '.[bench]'. The images are those that the network was trained for,
from HOLDFAST_DATA; where they are not at hand random images do for the speeds, and no accuracy is reported.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import runtimes
import torch
from engine import facts
from numpy.typing import NDArray

from holdfast import data
from holdfast.engine.native import isas
from holdfast.errors import DataFileError, HoldfastError, ParameterError
from holdfast.models import ModelSpec
from holdfast.training.draws import generator, integer_noise
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import Network, load_network, sigma_of

MODEL = Path(__file__).parents[1] / "studies/models/cifar10-resnet20-sigma0.25.safetensors"
PACKAGES = ("openvino", "nncf", "onnxruntime", "onnx")
BATCHES, CALIBRATION, TESTED = (1, 8, 32, 128), 300, 1000
WITHOUT_AMX = {"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_VNNI"}


@dataclass(frozen=True)
class Images:
    """What to calibrate with and to measure on; pixels are int16, those that are noisy with noise."""

    name: str
    calibration: NDArray[np.uint8]
    noisy_calibration: runtimes.Pixels
    clean: runtimes.Pixels
    noisy: runtimes.Pixels
    labels: NDArray[np.int64] | None


@dataclass
class Contestant:
    """A process that runs the network, and what is known about it."""

    name: str
    pipe: Connection
    batch: int
    kernels: str
    clean: float | None
    noisy: float | None
    rates: list[float] = field(default_factory=list)


def images_for(network: Network, sigma: str) -> Images:
    """Training images to calibrate with and test images; random ones where the data set is not here."""
    try:
        sets = [data.load(network.metadata.get("data", ""), split) for split in ("train", "test")]
        calibration, tested, labels = sets[0].images[:CALIBRATION], sets[1].images[:TESTED], sets[1].labels[:TESTED]
        name = sets[0].name
    except (DataFileError, ParameterError):
        name, calibration, tested, labels = "random images", *_random_images(network.spec), None
    noisy = [_with_noise(pixels, sigma, epoch) for epoch, pixels in enumerate((calibration, tested))]
    return Images(name, calibration, noisy[0], tested.astype(np.int16), noisy[1], labels)


def _random_images(spec: ModelSpec) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    source = np.random.default_rng(0)
    first, second = (source.integers(0, 256, (count, *spec.shape), dtype=np.uint8) for count in (CALIBRATION, TESTED))
    return first, second


def _with_noise(pixels: NDArray[np.uint8], sigma: str, epoch: int) -> runtimes.Pixels:
    noise = integer_noise(pixels.shape, float(sigma) * 255, generator(0, epoch, "peers"))
    noisy: runtimes.Pixels = (torch.from_numpy(pixels.astype(np.float32)) + noise).to(torch.int16).numpy()
    return noisy


def entries(
    network: Network, folder: Path, names: list[str]
) -> dict[str, tuple[dict[str, str], Callable[[], runtimes.Opened]]]:
    """The environment of each contestant's process, and what opens it there."""
    pixels_to_input = network.spec.preprocessing
    openvino = partial(runtimes.open_openvino, folder, preprocessing=pixels_to_input)
    onnxruntime = partial(runtimes.open_onnxruntime, folder, preprocessing=pixels_to_input)
    int8 = partial(openvino, runtimes.IR_INT8)
    found: dict[str, tuple[dict[str, str], Callable[[], runtimes.Opened]]] = {
        "torch.compile fp32": ({}, partial(runtimes.open_torch, network, torch.float32)),
        "torch.compile bf16": ({}, partial(runtimes.open_torch, network, torch.bfloat16)),
        "onnxruntime fp32": ({}, partial(onnxruntime, runtimes.ONNX)),
        "onnxruntime int8": ({}, partial(onnxruntime, runtimes.ONNX_INT8)),
        "OpenVINO fp32": ({}, partial(openvino, runtimes.IR, precision="f32")),
        "OpenVINO bf16": ({}, partial(openvino, runtimes.IR, precision="bf16")),
        "OpenVINO int8": ({}, int8),
    }
    if _has_amx():
        found["OpenVINO int8, no AMX"] = (WITHOUT_AMX, int8)
    return found | {f"holdfast {isa}": ({}, partial(runtimes.open_engine, folder, isa)) for isa in names}


def _has_amx() -> bool:
    try:
        return "amx_int8" in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def start(
    name: str,
    environment: dict[str, str],
    opener: Callable[[], runtimes.Opened],
    images: Images,
    batches: list[int],
    seconds: float,
) -> Contestant:
    """A contestant in a process of its own, once it has found its best batch and labelled the test images."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(
        target=serve, args=(theirs, opener, images.clean, images.noisy, batches, seconds), daemon=True
    )
    before = dict(os.environ)
    os.environ.update(environment)
    process.start()
    os.environ.clear()
    os.environ.update(before)
    theirs.close()
    try:
        batch, kernels, clean, noisy = ours.recv()
    except EOFError:
        sys.exit(f"peers.py: {name} cannot run here; what it said is above")
    return Contestant(name, ours, batch, kernels, accuracy(clean, images.labels), accuracy(noisy, images.labels))


def accuracy(found: NDArray[np.int64], wanted: NDArray[np.int64] | None) -> float | None:
    """Share of labels that are right; None where they are not known."""
    return None if wanted is None else float((found == wanted).mean())


def serve(
    pipe: Connection,
    opener: Callable[[], runtimes.Opened],
    clean: runtimes.Pixels,
    noisy: runtimes.Pixels,
    batches: list[int],
    seconds: float,
) -> None:
    """A contestant's process: settle for a batch, label the images, then a rate for each turn that is asked for."""
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    keep_freed_memory()
    torch.set_num_threads(1)
    bind, kernels = opener()
    tried = {size: rate(bind(np.resize(noisy, (size, *noisy.shape[1:]))), size, seconds) for size in batches}
    batch = max(tried, key=tried.__getitem__)
    labelled = [labels(bind, pixels, batch) for pixels in (clean, noisy)]
    run = bind(np.resize(noisy, (batch, *noisy.shape[1:])))
    pipe.send((batch, kernels(), *labelled))
    while pipe.recv():
        pipe.send(rate(run, batch, seconds))


def rate(run: Callable[[], Any], images: int, seconds: float) -> float:
    """Images per second of CPU time in calls of so many, for so long, after one that does not count."""
    run()
    done, began = 0, time.process_time()
    while (taken := time.process_time() - began) < seconds or not done:
        run()
        done += images
    return done / taken


def labels(bind: runtimes.Bind, pixels: runtimes.Pixels, batch: int) -> NDArray[np.int64]:
    """Labels of all images, in batches of one size; the last one is filled up."""
    whole = np.resize(pixels, (-(-len(pixels) // batch) * batch, *pixels.shape[1:]))
    found = [np.array(bind(whole[i : i + batch])()).argmax(axis=1) for i in range(0, len(whole), batch)]
    return np.concatenate(found)[: len(pixels)]


def measure(contestants: list[Contestant], rounds: int) -> None:
    """So many turns of each; their rates are kept with them."""
    for _ in range(rounds):
        for contestant in contestants:
            contestant.pipe.send(True)
            contestant.rates.append(contestant.pipe.recv())
    for contestant in contestants:
        contestant.pipe.send(False)


def report(contestants: list[Contestant]) -> list[dict[str, Any]]:
    """One row per contestant: its rate, and how many times as fast each instruction set of the engine is."""
    engines = [c for c in contestants if c.name.startswith("holdfast ")]
    return [
        {
            "name": c.name,
            "images_per_second": statistics.median(c.rates),
            "batch": c.batch,
            "clean_accuracy": c.clean,
            "noisy_accuracy": c.noisy,
            "convolutions": c.kernels,
        }
        | {e.name: statistics.median(a / b for a, b in zip(e.rates, c.rates, strict=True)) for e in engines}
        for c in contestants
    ]


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    engines = [row["name"] for row in rows if row["name"].startswith("holdfast ")]
    head = f"{'':24}{'images/s':>10}{'batch':>7}{'clean':>8}{'noisy':>8}" + "".join(f"{e:>22}" for e in engines)
    head += "  convolutions"
    lines = [
        f"{row['name']:24}{row['images_per_second']:10.0f}{row['batch']:7d}"
        + "".join(
            f"{'-' if row[key] is None else f'{row[key]:.3f}':>8}" for key in ("clean_accuracy", "noisy_accuracy")
        )
        + "".join(f"{row[engine]:21.2f}x" for engine in engines)
        + f"  {row['convolutions']}"
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """The command."""
    here = [name for name, supported in isas().items() if supported and name != "portable"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=MODEL, help=f"a trained checkpoint (default {MODEL.name})")
    parser.add_argument("--seconds", type=float, default=1.0, help="CPU time of a turn, at least (default 1)")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each contestant (default 9)")
    parser.add_argument("--batch", type=int, action="append", help=f"sizes of batch to try (default {BATCHES})")
    parser.add_argument("--isa", action="append", choices=list(isas()), help=f"instruction sets (default {here})")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if min(chosen.seconds, chosen.rounds, *(chosen.batch or BATCHES)) <= 0:
        parser.error("--seconds, --rounds and --batch must be larger than 0")
    if missing := [package for package in PACKAGES if find_spec(package) is None]:
        parser.error(f"{', '.join(missing)} not installed here: pip install -e '.[bench]'")
    os.environ |= {"OMP_NUM_THREADS": "1", "NNCF_CI": "1"}  # the second keeps nncf from reporting its use
    try:
        network = load_network(str(chosen.model))
        if not isinstance(network, Network):
            parser.error(f"{chosen.model} is an integer network: give the float network that it was made from")
        sigma = sigma_of(network, None)
        with redirect_stdout(sys.stderr):
            rows, about = compare(network, sigma, chosen.isa or here, chosen)
    except HoldfastError as error:
        parser.error(str(error))
    if chosen.json:
        print(json.dumps({"facts": about, "rows": rows}, indent=2))
        return
    print(table(rows))
    print("A column of the engine says how many times as fast it is as the row's contestant.")
    print(", ".join(f"{key} {value}" for key, value in about.items()))


def compare(
    network: Network, sigma: str, names: list[str], chosen: argparse.Namespace
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Prepare, start, measure: the rows, and the facts they depend on, with the load of the machine before."""
    settings = {"model": chosen.model.name, "sigma": sigma, "seconds": chosen.seconds, "rounds": chosen.rounds}
    images = images_for(network, sigma)
    about = facts(settings | {"images": images.name} | {name: metadata.version(name) for name in PACKAGES})
    with tempfile.TemporaryDirectory() as folder:
        runtimes.prepare(network, images.calibration, images.noisy_calibration, sigma, Path(folder))
        contestants = []
        for name, (environment, opener) in entries(network, Path(folder), names).items():
            batches = chosen.batch or list(BATCHES)
            contestants.append(start(name, environment, opener, images, batches, chosen.seconds))
            print(f"{name}: best with batches of {contestants[-1].batch}", file=sys.stderr)
        measure(contestants, chosen.rounds)
    return report(contestants), about


if __name__ == "__main__":
    main()
