#!/usr/bin/env python3
"""Figure 7 of the IntRS paper: seconds for one certified image and bytes of a network, integer and float.

usage: python -m studies.intrs.cost [--seconds S] [--rounds N]

ResNet-20 at 32x32 with 100 000 samples an image and ResNet-50 at 224x224 with 10 000, one thread, the whole loop with noise;
contestants take turns, the median of the turns counts. ResNet-50 has random weights: neither time nor bytes depend on them.
Writes studies/intrs/cost.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch
from studies.intrs.plan import HERE

from holdfast.compression import to_twin
from holdfast.engine.native import isas
from holdfast.models import ModelSpec, build
from holdfast.protocols import NoisyClassifier
from holdfast.records import Address, Preprocessing, Purpose
from holdfast.workflows.allocator import keep_freed_memory
from holdfast.workflows.classifiers import Network, as_classifier

GREY = Preprocessing((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))
SHAPES = (("resnet20", 32, 10, 100_000), ("resnet50", 224, 101, 10_000))
SIGMA = "0.25"


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0], prog="python -m studies.intrs.cost")
    parser.add_argument("--seconds", type=float, default=10.0, help="of one turn of one contestant, at least one block")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    rows = [row for shape in SHAPES for row in measured(*shape, arguments.seconds, arguments.rounds)]
    facts = {
        "machine": platform.processor() or platform.machine(),
        "load": os.getloadavg()[0],
        "isa": next(reversed([name for name, there in isas().items() if there])),
        "rows": rows,
    }
    (HERE / "cost.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def measured(model: str, side: int, classes: int, n: int, seconds: float, rounds: int) -> list[dict[str, object]]:
    """Every contestant on one network."""
    spec = ModelSpec(model, classes, (3, side, side), GREY)
    module = build(spec, seed=0).eval()
    pixels = np.random.default_rng(0).integers(0, 256, (32, 3, side, side)).astype(np.uint8)
    network = to_twin(module, calibration=pixels, preprocessing=GREY, sigma=SIGMA).integer_network()
    floating, bytes_float = Network(module, spec, {}), 4 * sum(p.numel() for p in module.parameters())
    with TemporaryDirectory() as folder:
        network.save(path := Path(folder) / "net.hfi")
        bytes_integer = path.stat().st_size
    contenders: dict[str, tuple[NoisyClassifier, int]] = {
        "IntRS-quant, native": (as_classifier(network, sigma=SIGMA, threads=1), bytes_integer),
        "FloatRS-fp, float32": (as_classifier(floating, sigma=SIGMA, noise="continuous", threads=1), bytes_float),
        "FloatRS-fp, bfloat16, compiled": (
            as_classifier(floating, sigma=SIGMA, noise="continuous", threads=1, dtype="bfloat16", compiled=True),
            bytes_float // 2,
        ),
    }
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, (classifier, _) in contenders.items():
            times[name].append(seconds_per_sample(classifier, pixels[0], seconds))
    title = f"{'ResNet-20' if model == 'resnet20' else 'ResNet-50'} at {side}x{side}"
    return [
        {
            "network": title,
            "contender": name,
            "n": n,
            "samples_per_second": round(1 / statistics.median(times[name]), 1),
            "seconds_per_image": round(n * statistics.median(times[name]), 3),
            "bytes": size,
        }
        for name, (_, size) in contenders.items()
    ]


def seconds_per_sample(classifier: NoisyClassifier, image: np.ndarray, seconds: float) -> float:
    """CPU time of one labelled copy, over whole blocks."""
    address = Address(bytes(32), bytes(32), Purpose.ESTIMATE)
    began, samples = time.process_time(), 0
    while samples == 0 or time.process_time() - began < seconds:
        classifier.labels(image, address, samples, 256)
        samples += 256
    return (time.process_time() - began) / samples


if __name__ == "__main__":
    main()
