"""How fast noisy copies are labelled: the native integer engine beside a certify loop in torch, in one process.

Contestants take turns, every turn is measured in CPU time, and what is reported is the median of the turns and ratios of
medians. For two threads the wall clock decides, which says something on an idle machine only; what they cost in CPU time
is printed as well. The network is a CIFAR ResNet-20: in torch with random weights, for the
engine with random 8-bit weights of the same shapes. Run ``python benchmarks/engine.py --help``.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networks
import numpy as np
import torch
from numpy.typing import NDArray

from holdfast.engine.native import NativeNetwork, isas
from holdfast.models import ModelSpec, build
from holdfast.noise import DiscreteGaussian
from holdfast.records import Preprocessing

SIDE, CLASSES, BATCH, SIGMA_PX = 32, 10, 256, "63.75"
LOOPS = ("torch fp32 NCHW", "torch fp32 channels_last")
NOMINAL_MACS = 40_551_040
Contestants = dict[str, tuple[int, Callable[[], Any]]]


def torch_loop(layout: torch.memory_format, batches: int) -> Callable[[], Any]:
    """The loop that certification runs in floats: draw, add, forward, argmax, count."""
    spec = ModelSpec("resnet20", CLASSES, (3, SIDE, SIDE), Preprocessing((0.5,) * 3, (0.25,) * 3))
    module = build(spec, seed=0).eval().to(memory_format=layout)
    image = torch.rand(3, SIDE, SIDE)

    def run() -> torch.Tensor:
        counts = torch.zeros(CLASSES, dtype=torch.int64)
        with torch.inference_mode():
            for _ in range(batches):
                copies = image + torch.randn(BATCH, 3, SIDE, SIDE) * 0.25
                labels = module(copies.contiguous(memory_format=layout)).argmax(1)
                counts += torch.bincount(labels, minlength=CLASSES)
        return counts

    return run


def contestants(names: list[str], samples: int) -> Contestants:
    """(number of images, call) of each; torch's loops get a quarter of the samples, because they take so long."""
    torch.set_num_threads(1)
    batches = max(1, samples // 4 // BATCH)
    layouts = (torch.contiguous_format, torch.channels_last)
    found: Contestants = {n: (batches * BATCH, torch_loop(f, batches)) for n, f in zip(LOOPS, layouts, strict=True)}
    network, table = networks.resnet(3), DiscreteGaussian(SIGMA_PX).table
    image: NDArray[np.uint8] = np.random.default_rng(1).integers(0, 256, (3, SIDE, SIDE)).astype(np.uint8)
    for isa in names:
        for threads in (1, 2):
            engine = NativeNetwork(network, isa, threads)
            found[f"{isa}, {threads} thread{'s' * (threads > 1)}"] = (
                samples,
                lambda engine=engine: engine.labels(image, table, (1, 2), 0, samples),
            )
        copies = np.repeat(image[None].astype(np.int16), samples, axis=0)
        alone = NativeNetwork(network, isa)
        found[f"{isa}, network only"] = (samples, lambda engine=alone, copies=copies: engine.logits(copies))
    return found


def measure(chosen: Contestants, rounds: int) -> tuple[dict[str, float], dict[str, float]]:
    """Images per second of each, by its clock and by CPU time: medians over ``rounds`` turns, after one that does not count."""
    taken: dict[str, list[tuple[float, float]]] = {name: [] for name in chosen}
    for turn in range(rounds + 1):
        for name, (_, run) in chosen.items():
            began = time.perf_counter(), time.process_time()
            run()
            if turn:
                taken[name].append((time.perf_counter() - began[0], time.process_time() - began[1]))
    wall, cpu = (
        {name: chosen[name][0] / statistics.median(turn[clock] for turn in turns) for name, turns in taken.items()}
        for clock in (0, 1)
    )
    return {name: wall[name] if name.endswith("threads") else cpu[name] for name in chosen}, cpu


def peak(tool: Path | None) -> float | None:
    """Multiply-adds per second of vpdpbusd on registers alone, by native/tools/peak.cc."""
    if tool is None:
        return None
    return float(subprocess.run([tool], capture_output=True, text=True, check=True).stdout)


def report(rates: dict[str, float], peak_macs: float | None) -> list[dict[str, Any]]:
    """One row per contestant: images per second, times the torch loops, and of one thread of the engine the share of the peak."""
    rows = []
    for name, rate in rates.items():
        row: dict[str, Any] = {"name": name, "images_per_second": rate}
        row |= {f"times {loop}": rate / rates[loop] for loop in LOOPS}
        shared = peak_macs is not None and name not in LOOPS and not name.endswith("threads")
        row["share of peak"] = rate * NOMINAL_MACS / peak_macs if shared else None
        rows.append(row)
    return rows


def facts(settings: dict[str, Any]) -> dict[str, Any]:
    """What the numbers depend on: the machine, its load now, and these settings."""
    model = [line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    return {
        "command": " ".join(["python", *sys.argv]),
        "processor": model[0] if model else platform.processor(),
        "load": (_lines("/proc/loadavg") or ["unknown"])[0],
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        **settings,
        "torch": torch.__version__,
        "python": platform.python_version(),
    }


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []


def table(rows: list[dict[str, Any]]) -> str:
    """The rows as text."""
    head = f"{'':28}{'images/s':>10}" + "".join(f"{'times ' + loop:>32}" for loop in LOOPS) + f"{'of peak':>9}"
    lines = [
        f"{row['name']:28}{row['images_per_second']:10.0f}"
        + "".join(f"{row[f'times {loop}']:32.2f}" for loop in LOOPS)
        + (f"{row['share of peak']:9.0%}" if row["share of peak"] else "")
        for row in rows
    ]
    return "\n".join([head, *lines])


def main() -> None:
    """The command."""
    here = [name for name, supported in isas().items() if supported and name != "portable"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=4096, help="noisy copies per turn (default 4096)")
    parser.add_argument("--rounds", type=int, default=7, help="turns of each contestant (default 7)")
    parser.add_argument("--isa", action="append", choices=list(isas()), help=f"instruction sets (default {here})")
    parser.add_argument("--peak", type=Path, help="the program holdfast_peak (make benchmark builds it)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    chosen = parser.parse_args()
    if min(chosen.samples, chosen.rounds) < 1:
        parser.error("--samples and --rounds must be at least 1")
    before = peak(chosen.peak)
    rates, cpu = measure(contestants(chosen.isa or here, chosen.samples), chosen.rounds)
    after = peak(chosen.peak)
    peak_macs = None if before is None or after is None else max(before, after)
    peak_gmacs = None if peak_macs is None else peak_macs / 1e9
    rows = report(rates, peak_macs)
    about = facts({"peak_gmacs": peak_gmacs, "samples": chosen.samples, "rounds": chosen.rounds})
    for isa in chosen.isa or here:
        about[f"{isa}: CPU time of two threads, times one's"] = round(
            cpu[f"{isa}, 1 thread"] / cpu[f"{isa}, 2 threads"], 3
        )
    if chosen.json:
        print(json.dumps({"facts": about, "rows": rows}, indent=2))
        return
    print(table(rows))
    print(", ".join(f"{key} {value}" for key, value in about.items()))


if __name__ == "__main__":
    main()
