"""The native integer engine on networks of many shapes, beside the certify loop in torch: one alternated run.

Every network has random weights, 8-bit for the engine and float for torch. Contestants take turns, every turn is measured
in CPU time on one thread, and what is reported is the median of the turns and ratios of medians. Then: the latency of one
call, what a process pays before its first certificate, and how time grows with the number of samples, the image and the
width of the network. Run ``python benchmarks/shapes.py --help``.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networks
import torch
from engine import facts, peak
from growth import Labeller, cpu_seconds, draw, labeller, measure_growth
from startup import measure_startup
from torch import nn

from holdfast.engine.native import isas
from holdfast.intnet import IntegerNetwork
from holdfast.models import ModelSpec, build
from holdfast.records import Preprocessing

LAYOUTS = {"NCHW": torch.contiguous_format, "channels_last": torch.channels_last}


@dataclass(frozen=True)
class Case:
    """A network in both forms.

    Attributes:
        integer: makes the one of the engine.
        floating: makes the one of torch.
        batch: images in one forward pass of torch.
    """

    integer: Callable[[], IntegerNetwork]
    floating: Callable[[], nn.Module]
    batch: int = 256


def _built(name: str, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10, **options: Any) -> nn.Module:
    preprocessing = Preprocessing((0.5,) * shape[0], (0.25,) * shape[0])
    return build(ModelSpec(name, classes, shape, preprocessing, options), seed=0)


DIGIT = (1, 28, 28)
CASES = {
    "mlp 784-256-256-10": Case(lambda: networks.mlp(DIGIT, (256, 256), 10), lambda: _built("mlp", DIGIT)),
    "cnn-small 28x28": Case(lambda: networks.cnn_small(DIGIT, (32, 64, 64), 10), lambda: _built("cnn-small", DIGIT)),
    "resnet20 32x32": Case(lambda: networks.resnet(3), lambda: _built("resnet20")),
    "resnet56 32x32": Case(lambda: networks.resnet(9), lambda: _built("resnet56")),
    "resnet110 32x32": Case(lambda: networks.resnet(18), lambda: _built("resnet110")),
    "mobilenetv2 32x32": Case(networks.mobilenetv2, networks.MobileNetV2),
    "resnet50 224x224": Case(networks.resnet50, lambda: _built("resnet50", (3, 224, 224), 1000), 8),
}


def torch_labeller(module: nn.Module, shape: tuple[int, ...], layout: str, batch: int) -> Labeller:
    """The loop that certification runs in floats: draw, add, forward, argmax, count; whole batches."""
    module = module.eval().to(memory_format=LAYOUTS[layout])  # type: ignore[call-overload]
    image = torch.rand(shape)

    def label(count: int) -> torch.Tensor:
        counts = torch.zeros(1000, dtype=torch.int64)
        with torch.inference_mode():
            for _ in range(count // batch):
                copies = image + torch.randn(batch, *shape) * 0.25
                labels = module(copies.contiguous(memory_format=LAYOUTS[layout])).argmax(1)
                counts += torch.bincount(labels, minlength=1000)
        return counts

    return label


@dataclass
class Contestant:
    """One way to label, the rates it reached, and the engine's bytes of weights and of activations."""

    label: Labeller
    unit: int
    memory: tuple[int, int] = (0, 0)
    count: int = 0
    rates: list[float] | None = None

    def take_turn(self, seconds: float) -> None:
        """Label for about so long; the first turn finds out how many that are, and does not count."""
        if self.rates is None:
            self.rates, self.count = [], self.unit
            cpu_seconds(self.label, self.unit)
            while (spent := cpu_seconds(self.label, self.count)) < seconds / 4:
                self.count *= 2
            self.count = max(round(self.count * seconds / spent) // self.unit, 1) * self.unit
            return
        self.rates.append(self.count / cpu_seconds(self.label, self.count))

    @property
    def median(self) -> float:
        return statistics.median(self.rates or [])


def contestants(case: Case, network: IntegerNetwork, isa_names: list[str]) -> dict[str, Contestant]:
    """The engine with these instruction sets and torch with both layouts."""
    found = {}
    for isa in isa_names:
        engine, label = labeller(network, isa)
        found[isa] = Contestant(label, 1, engine.memory)
    for layout in LAYOUTS:
        label = torch_labeller(case.floating(), network.shape, layout, case.batch)
        found[f"torch {layout}"] = Contestant(label, case.batch)
    return found


def measure(names: list[str], isa_names: list[str], rounds: int, seconds: float, tool: Path | None) -> dict[str, Any]:
    """Rows of all shapes, and the peak: the largest that was measured before, between and after the rounds."""
    torch.set_num_threads(1)
    integers = {name: CASES[name].integer() for name in names}
    fields = {name: contestants(CASES[name], integers[name], isa_names) for name in names}
    peaks = []
    for _ in range(rounds + 1):
        peaks.append(peak(tool))
        for field in fields.values():
            for contestant in field.values():
                contestant.take_turn(seconds)
    peaks.append(peak(tool))
    most = None if tool is None else max(value for value in peaks if value is not None)
    return {
        "peak_gmacs": None if most is None else most / 1e9,
        "shapes": [_row(name, integers[name], fields[name], isa_names, most) for name in names],
    }


def _row(
    name: str, network: IntegerNetwork, field: dict[str, Contestant], isa_names: list[str], most: float | None
) -> dict[str, Any]:
    rates = {who: contestant.median for who, contestant in field.items()}
    best = isa_names[0]
    label, (weights, activations) = field[best].label, field[best].memory
    alone = [cpu_seconds(label, 1) for _ in range(21)]
    return {
        "name": name,
        "macs": network.macs,
        "images_per_second": rates,
        "gmacs": {isa: rates[isa] * network.macs / 1e9 for isa in isa_names},
        "share_of_peak": None if most is None else {isa: rates[isa] * network.macs / most for isa in isa_names},
        "times_torch": {layout: rates[best] / rates[f"torch {layout}"] for layout in LAYOUTS},
        "call_ms": {"n=1": 1e3 * statistics.median(alone), "n=1000": 1e3 * cpu_seconds(label, 1000)},
        "weight_bytes": weights,
        "activation_bytes": activations,
    }


def shapes_table(found: dict[str, Any], isa_names: list[str]) -> str:
    """The shapes as text."""
    head = f"{'':20}{'MMAC':>8}"
    for isa in isa_names:
        head += f"{isa + ' img/s':>18}{'GMAC/s':>8}{'of peak':>8}"
    head += f"{'x NCHW':>8}{'x ch_last':>10}{'n=1 ms':>9}{'n=1000 ms':>11}{'weights':>9}{'activations':>12}"
    lines = [head]
    for row in found["shapes"]:
        line = f"{row['name']:20}{row['macs'] / 1e6:8.1f}"
        for isa in isa_names:
            share = "" if row["share_of_peak"] is None else f"{row['share_of_peak'][isa]:.0%}"
            line += f"{row['images_per_second'][isa]:18.0f}{row['gmacs'][isa]:8.0f}{share:>8}"
        line += f"{row['times_torch']['NCHW']:8.1f}{row['times_torch']['channels_last']:10.1f}"
        line += f"{row['call_ms']['n=1']:9.2f}{row['call_ms']['n=1000']:11.1f}"
        lines.append(line + f"{row['weight_bytes'] / 1024:7.0f} K{row['activation_bytes'] / 1024:10.0f} K")
    return "\n".join(lines)


def rest_table(startup: dict[str, dict[str, float]], growth: dict[str, list[dict[str, float]]]) -> str:
    """Start, memory and growth as text."""
    lines = ["", "ResNet-20 from the start of a process, CPU time"]
    lines += [f"  {step:32}{1e3 * value:9.1f} ms" for step, value in startup["seconds"].items()]
    lines += ["", "memory beyond a bare interpreter, ResNet-20, one thread"]
    lines += [f"  {step:32}{value / 2**20:9.1f} MiB" for step, value in startup["bytes"].items()]
    lines += ["", "one call, ResNet-20"]
    lines += [f"  n = {row['n']:<8}{1e3 * row['seconds']:11.2f} ms" for row in growth["samples"]]
    for kind in ("side", "width"):
        lines += ["", f"ResNet-20, {kind}"]
        lines += [
            f"  {row['value']:<6}{row['images_per_second']:10.0f} images/s{row['gmacs']:8.0f} GMAC/s"
            f"{row['weight_bytes'] / 1024:9.0f} K weights{row['activation_bytes'] / 1024:9.0f} K activations"
            for row in growth[kind]
        ]
    return "\n".join(lines)


def main() -> None:
    """The command."""
    here = [name for name, supported in isas().items() if supported]
    best = [here[-1]] + (["avx512vnni"] if "avx512vnni" in here[:-1] else [])
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shape", action="append", choices=list(CASES), help="a shape to measure (default all)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each contestant (default 5)")
    parser.add_argument("--seconds", type=float, default=0.5, help="CPU time of a turn, about (default 0.5)")
    parser.add_argument("--peak", type=Path, help="the program holdfast_peak (make benchmark builds it)")
    parser.add_argument("--plot", type=Path, help="draw the growth into this file (.svg or .png)")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    chosen = parser.parse_args()
    if chosen.rounds < 1 or not 0.01 <= chosen.seconds <= 60:
        parser.error("--rounds must be at least 1, --seconds between 0.01 and 60")
    about = facts({"instruction sets here": ", ".join(here), "seconds": chosen.seconds, "rounds": chosen.rounds})
    found = measure(chosen.shape or list(CASES), best, chosen.rounds, chosen.seconds, chosen.peak)
    startup, growth = measure_startup(networks.resnet(3), chosen.rounds), measure_growth(chosen.rounds)
    if chosen.plot:
        draw(chosen.plot, growth, found["peak_gmacs"])
    if chosen.json:
        print(json.dumps({"facts": about, **found, "startup": startup, "growth": growth}, indent=2))
        return
    print(shapes_table(found, best))
    print(rest_table(startup, growth))
    print()
    print(", ".join(f"{key} {value}" for key, value in about.items()))
    if found["peak_gmacs"] is not None:
        print(f"vpdpbusd peak {found['peak_gmacs']:.0f} GMAC/s")


if __name__ == "__main__":
    main()
